//! From an event and a target to which connections get which shared bytes.

use alloc::vec::Vec;

use sente_edn::Value;
use smol_str::SmolStr;
use thiserror::Error;

use crate::event::{Event, Payload};
use crate::id::{ConnId, ReplyToken};
use crate::packed::PackedEvent;
use crate::packer::{PackError, Packer};
use crate::profile::Role;
use crate::queue::{Policy, SendOptions};
use crate::time::Instant;

use super::Hub;
use super::broadcast::Job;
use super::event::NotKept;
use super::frames;
use super::inbox::Parcel;
use super::kept;
use super::slots::SlotKey;
use super::target::{Recipients, Target};

/// What is to be done for what the hub decided. Carry it out in the order it comes, before anything
/// else is asked of the hub: that order is the one that users see.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "what is not carried out is lost"]
pub enum HubOutput {
    /// Close a connection, and let it [leave](Hub::leave) when it has ended.
    Close {
        /// The connection.
        connection: ConnId,
        /// The WebSocket close code.
        code: u16,
        /// The reason that goes with it.
        reason: SmolStr,
    },
    /// Put an event into the inboxes of connections.
    Deliver(HubDelivery),
    /// Answer a call.
    Reply {
        /// The connection the call came on.
        to: ConnId,
        /// Its token.
        token: ReplyToken,
        /// The answer.
        payload: Payload,
    },
    /// Answer a call with a failure.
    ReplyError {
        /// The connection the call came on.
        to: ConnId,
        /// Its token.
        token: ReplyToken,
    },
}

/// One packed event for any number of connections, which share its bytes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HubDelivery {
    /// Who gets it, each once.
    pub to: Vec<ConnId>,
    /// What.
    pub event: PackedEvent,
    /// How it is to be sent.
    pub options: SendOptions,
    /// Whether it was pushed to a user, and so is worth keeping if the connection ends before it
    /// was written: see [`Inbox::take_unsent`](crate::Inbox::take_unsent).
    pub keeps: bool,
}

/// What a fan-out came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fanout {
    /// How many connections it is on its way to.
    pub connections: usize,
    /// For how many clients in their grace it is kept.
    pub kept: usize,
    /// For how many clients in their grace it could not be kept, as `HubEvent::Undelivered` says,
    /// or was not, since its policy is to drop it where it would wait.
    pub not_kept: usize,
    /// How often the event was packed: once for each format in use.
    pub packings: usize,
    /// How often it was sealed: once for each packer that seals and dialect of several connections.
    /// For one alone its connection does that, and only if it does not leave in a batch.
    pub sealings: usize,
    /// How many connections have a packer that cannot express it. Only of channel messages: of
    /// other events that is an error.
    pub unpackable: usize,
    /// Whether it waits for the rate of broadcasts, so that nobody gets it yet.
    pub waits: bool,
}

/// Why nobody gets an event.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FanoutError {
    /// There is no such channel.
    #[error("there is no such channel")]
    NoChannel,
    /// A packer in use cannot express its data.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// It is over the rate of broadcasts, and too many wait already.
    #[error("over the rate of broadcasts until {retry_at:?}, and no more may wait")]
    TooManyWaiting {
        /// When the rate allows the next.
        retry_at: Instant,
    },
}

/// How far something goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    /// Whether it is wrapped where that is asked for.
    pub(super) is_broadcast: bool,
    /// Whether it is kept for those who are away.
    pub(super) is_kept: bool,
}

impl Reach {
    pub(super) const CHANNEL: Self = Self {
        is_broadcast: true,
        is_kept: false,
    };

    const fn of(target: &Target) -> Self {
        Self {
            is_broadcast: target.is_broadcast(),
            is_kept: target.is_kept(),
        }
    }
}

/// What is to be fanned out.
#[derive(Clone, Copy, Debug)]
pub(super) enum What<'a> {
    Event(&'a Event),
    /// `[:sente-lite/channel-msg {:channel-id .. :data .. :from ..}]`
    ChannelMessage {
        channel: &'a Payload,
        data: &'a Payload,
        from: &'a Value,
    },
    /// The same whose data is a request.
    ChannelRequest {
        channel: &'a Payload,
        data: &'a Payload,
        from: &'a Value,
        request: &'a Value,
        unix_millis: u64,
    },
}

impl What<'_> {
    pub(super) fn pack(&self, packer: &dyn Packer) -> Result<PackedEvent, PackError> {
        match self {
            Self::Event(event) => PackedEvent::pack(event, packer),
            Self::ChannelMessage {
                channel,
                data,
                from,
            } => frames::event(
                "sente-lite/channel-msg",
                &[
                    ("channel-id", frames::Slot::Payload(channel)),
                    ("data", frames::Slot::Payload(data)),
                    ("from", frames::Slot::Value(from)),
                ],
                packer,
            ),
            Self::ChannelRequest {
                channel,
                data,
                from,
                request,
                unix_millis,
            } => frames::event(
                "sente-lite/channel-msg",
                &[
                    ("channel-id", frames::Slot::Payload(channel)),
                    (
                        "data",
                        frames::Slot::Map(&[
                            ("type", frames::Slot::Keyword("rpc-request")),
                            ("request-id", frames::Slot::Value(request)),
                            ("data", frames::Slot::Payload(data)),
                            ("sender-conn-id", frames::Slot::Value(from)),
                            ("created-at", frames::Slot::Value(&(*unix_millis).into())),
                        ]),
                    ),
                    ("from", frames::Slot::Value(from)),
                ],
                packer,
            ),
        }
    }
}

impl Hub {
    /// Sends `event` to all that `target` means, as `Connection::send` would.
    ///
    /// # Errors
    /// As for [`fan_out_with`](Self::fan_out_with).
    pub fn fan_out(
        &mut self,
        now: Instant,
        target: &Target,
        event: &Event,
    ) -> Result<Fanout, FanoutError> {
        self.fan_out_with(now, target, event, &SendOptions::new())
    }

    /// Sends `event` in the way `options` say to all that `target` means: the deliveries come out
    /// of [`poll_output`](Self::poll_output). It is packed once for each packed format in use, and
    /// kept for clients in their grace where it is for their user.
    ///
    /// # Errors
    /// [`FanoutError`]: then nobody gets it.
    pub fn fan_out_with(
        &mut self,
        now: Instant,
        target: &Target,
        event: &Event,
        options: &SendOptions,
    ) -> Result<Fanout, FanoutError> {
        self.tick(now);
        if let Target::Channel(id) = target
            && !self.channels.contains(id)
        {
            return Err(FanoutError::NoChannel);
        }
        if target.is_broadcast() && !self.broadcasts.is_free(self.now) {
            return self.broadcasts.put_off(
                self.now,
                &self.config.limits,
                Job::Event {
                    target: target.clone(),
                    event: event.clone(),
                    options: options.clone(),
                },
            );
        }
        Ok(self.fan_out_now(target, event, options)?)
    }

    pub(super) fn fan_out_now(
        &mut self,
        target: &Target,
        event: &Event,
        options: &SendOptions,
    ) -> Result<Fanout, PackError> {
        let recipients = self.recipients_to_tell(target);
        let what = What::Event(event);
        let mut packings = Packings::default();
        for group in &recipients.groups {
            packings.get(&what, &*group.packer)?;
        }
        let reach = Reach::of(target);
        let fanout = self.deliver(recipients, &what, options, reach, &mut packings);
        if target.is_broadcast() {
            let bytes = packings.largest().saturating_mul(fanout.connections);
            self.broadcasts.charge(self.now, fanout.connections, bytes);
        }
        Ok(fanout)
    }

    /// Hands out what is packed for each group, or can be.
    pub(super) fn deliver(
        &mut self,
        recipients: Recipients,
        what: &What<'_>,
        options: &SendOptions,
        reach: Reach,
        packings: &mut Packings,
    ) -> Fanout {
        let mut fanout = Fanout::default();
        for group in recipients.groups {
            let count = group.to.len();
            let wraps = group.wraps && reach.is_broadcast;
            let packed = packings
                .get(what, &*group.packer)
                .and_then(|event| match wraps {
                    true => kept::wrap(&event, &*group.packer),
                    false => Ok(event),
                });
            let Ok(mut event) = packed else {
                fanout.unpackable = fanout.unpackable.saturating_add(count);
                continue;
            };
            if count > 1 && !group.packer.seals() {
                event.frame_for(group.dialect, &group.packer);
            }
            if count > 1 && group.packer.seals() {
                // Where it fails each connection tries for itself, and tells what is wrong.
                let sealed = event.seal_for(Role::Server, group.dialect, &group.packer);
                fanout.sealings = fanout.sealings.saturating_add(sealed.is_ok().into());
            }
            fanout.connections = fanout.connections.saturating_add(count);
            self.output(HubOutput::Deliver(HubDelivery {
                to: group.to,
                event,
                options: options.clone(),
                // In its wrapper it is fit for this connection only.
                keeps: reach.is_kept && !wraps,
            }));
        }
        for key in &recipients.away {
            match self.keep_for(key, what, options, reach, packings) {
                true => fanout.kept = fanout.kept.saturating_add(1),
                false => fanout.not_kept = fanout.not_kept.saturating_add(1),
            }
        }
        fanout.packings = packings.count;
        let delivered = u64::try_from(fanout.connections).unwrap_or(u64::MAX);
        self.stats.deliveries = self.stats.deliveries.saturating_add(delivered);
        fanout
    }

    /// Keeps what is packed for a client that is away. Whether it is kept.
    fn keep_for(
        &mut self,
        key: &SlotKey,
        what: &What<'_>,
        options: &SendOptions,
        reach: Reach,
        packings: &mut Packings,
    ) -> bool {
        if options.policy == Policy::Volatile {
            return false;
        }
        let Some(packer) = self.slots.away_mut(key).map(|away| away.packer.clone()) else {
            return false;
        };
        let Ok(event) = packings.get(what, &*packer) else {
            return false;
        };
        let refused = self.keep(
            key,
            Parcel {
                event,
                options: options.clone(),
                keeps: true,
                wraps: reach.is_broadcast,
            },
        );
        let kept = refused.is_ok();
        if let Err(event) = refused {
            self.tell_undelivered(key, Vec::from([event]), NotKept::Full);
        }
        kept
    }

    pub(super) fn deliver_to(
        &mut self,
        connection: ConnId,
        event: PackedEvent,
        options: SendOptions,
        keeps: bool,
    ) {
        self.output(HubOutput::Deliver(HubDelivery {
            to: Vec::from([connection]),
            event,
            options,
            keeps,
        }));
    }
}

/// An event in the formats it was packed in.
#[derive(Debug, Default)]
pub(super) struct Packings {
    made: Vec<PackedEvent>,
    count: usize,
}

impl Packings {
    pub(super) fn get(
        &mut self,
        what: &What<'_>,
        packer: &dyn Packer,
    ) -> Result<PackedEvent, PackError> {
        let format = packer.format();
        if let Some(made) = self.made.iter().find(|made| made.format() == format) {
            return Ok(made.clone());
        }
        let mut made = what.pack(packer)?;
        made.know_portability(packer);
        self.count = self.count.saturating_add(1);
        self.made.push(made.clone());
        Ok(made)
    }

    pub(super) fn largest(&self) -> usize {
        let sizes = self.made.iter().map(|made| made.bytes().len());
        sizes.max().unwrap_or(0)
    }
}
