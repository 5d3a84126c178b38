//! The server's index over its connections: who is connected, which connections a target means, and
//! what they say on channels. It owns no connection and no socket.

mod broadcast;
mod channels;
mod config;
mod dense;
mod event;
mod fanout;
mod frames;
mod guard;
mod inbox;
mod kept;
mod member;
mod membership;
mod messages;
mod rpc;
mod slots;
mod target;
mod user;

use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::id::ConnId;
use crate::peer::Peer;
use crate::time::Instant;

use broadcast::{Broadcasts, Job};
use channels::Channels;
use event::Events;
use member::Members;
use rpc::Requests;
use slots::{Away, SlotKey, Slots};
use target::Known;

pub use channels::{ChannelInfo, ChannelStats, PublishError, PublishOptions, SubscribeError};
pub use config::{
    BroadcastRate, ChannelConfig, ChannelOptions, Grace, HubConfig, HubLimits, Nobody, Takeover,
};
pub use event::{HubEvent, NotKept, Response};
pub use fanout::{Fanout, FanoutError, HubDelivery, HubOutput};
pub use guard::{Action, Denied, EventGate, EventRefusal, Guard, RateOf, RecvRates, UserRates};
pub use inbox::{Inbox, InboxFull, InboxLimits, Lost, SlowPolicy, SlowReport};
pub use member::{ConnectionInfo, JoinError, Joined, Left, Member, TransportKind};
pub use rpc::{ChannelRequestError, ChannelRequestId};
pub use slots::ConnectedUids;
pub use target::Target;
pub use user::UserId;

/// Users, their connections, and channels.
///
/// Given an event and a [`Target`], it answers which connections get which shared bytes; given a
/// client's message on a channel, what is answered and delivered. The caller carries that out:
/// ordinary events, calls and replies never touch the hub, so that connections run on tasks and
/// cores of their own.
///
/// | verb | what it does |
/// | --- | --- |
/// | [`handle_message`](Self::handle_message) | takes what a client said, if it is about channels |
/// | [`handle_timeout`](Self::handle_timeout) | says that the time of `poll_timeout` has come |
/// | [`poll_output`](Self::poll_output) | gives out what is to be done: deliver, answer, close |
/// | [`poll_timeout`](Self::poll_timeout) | says when to come back |
/// | [`poll_event`](Self::poll_event) | gives out what the application should know |
///
/// After every call that takes the time, take all outputs and carry them out in order before the
/// next: where the hub is behind a lock, under that lock. Then any two connections of a user see
/// one order.
///
/// ```
/// use std::sync::Arc;
/// use sente_core::packer::Edn;
/// use sente_core::{
///     ConnIds, Event, EventId, Hub, HubConfig, HubOutput, Instant, Member, Target,
/// };
///
/// let now = Instant::EPOCH;
/// let mut ids = ConnIds::new(1_760_000_000_000, [1; 32]);
/// let mut hub = Hub::new(HubConfig::default(), [2; 32]);
/// let (phone, laptop) = (ids.generate(now), ids.generate(now));
/// for connection in [phone, laptop] {
///     hub.join(now, connection, Member::new(Arc::new(Edn)).user("ada"))?;
/// }
/// let news = Event::new(EventId::new("news/flash")?, "read all about it");
/// let fanout = hub.fan_out(now, &Target::User("ada".into()), &news)?;
/// assert_eq!((fanout.connections, fanout.packings), (2, 1));
/// let Some(HubOutput::Deliver(delivery)) = hub.poll_output() else { panic!() };
/// assert_eq!(delivery.to, [phone, laptop]);
/// assert_eq!(delivery.event.bytes(), r#"[:news/flash "read all about it"]"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Hub {
    config: HubConfig,
    now: Instant,
    members: Members,
    /// Whom the channel means that was told something last.
    known: Option<Box<Known>>,
    /// How many ever joined.
    joined: u64,
    slots: Slots,
    timers: Timers,
    channels: Channels,
    requests: Requests,
    broadcasts: Broadcasts,
    /// What is kept for clients in their grace, and what of it the application has not taken back
    /// yet, in bytes.
    kept_bytes: usize,
    outputs: VecDeque<HubOutput>,
    events: Events,
    stats: HubStats,
    rng: ChaCha12Rng,
}

/// What has its time.
#[derive(Debug, Default)]
struct Timers {
    grace: BTreeSet<(Instant, SlotKey)>,
    /// Where what is kept is given up before the grace ends.
    keep: BTreeSet<(Instant, SlotKey)>,
    suspended: BTreeSet<(Instant, ConnId)>,
}

impl Timers {
    fn begin(&mut self, key: &SlotKey, away: &Away) {
        self.grace.insert((away.until, key.clone()));
        if away.keep_until < away.until {
            self.keep.insert((away.keep_until, key.clone()));
        }
    }

    fn end(&mut self, key: &SlotKey, away: &Away) {
        self.grace.remove(&(away.until, key.clone()));
        self.keep.remove(&(away.keep_until, key.clone()));
    }
}

/// Counts since the hub began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubStats {
    /// Connections that joined, each time they did.
    pub joins: u64,
    /// Connections that left.
    pub leaves: u64,
    /// Connections that were refused when they wanted to join.
    pub refused_joins: u64,
    /// Events handed to connections, one for each of them.
    pub deliveries: u64,
    /// Pushes that were to be kept for a client in its grace and were not delivered.
    pub undelivered: u64,
    /// Connections that were closed since they were too slow.
    pub slow_closed: u64,
}

impl Hub {
    /// A hub without connections. `seed` is where the ids of requests over channels come from:
    /// unpredictable and fresh for every hub, or fixed in a test.
    #[must_use]
    pub fn new(config: HubConfig, seed: [u8; 32]) -> Self {
        Self {
            broadcasts: Broadcasts::new(&config.broadcast),
            config,
            now: Instant::EPOCH,
            members: Members::new(),
            known: None,
            joined: 0,
            slots: Slots::default(),
            timers: Timers::default(),
            channels: Channels::new(),
            requests: Requests::default(),
            kept_bytes: 0,
            outputs: VecDeque::new(),
            events: Events::default(),
            stats: HubStats::default(),
            rng: ChaCha12Rng::from_seed(seed),
        }
    }

    /// Says what time it is: graces end, requests time out, broadcasts that waited go out. Calls
    /// before [`poll_timeout`](Self::poll_timeout) do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.tick(now);
        let now = self.now;
        while let Some((at, connection)) = self.timers.suspended.first().copied()
            && at <= now
        {
            self.timers.suspended.pop_first();
            self.expire(connection);
        }
        while let Some((at, key)) = self.timers.keep.first().cloned()
            && at <= now
        {
            self.timers.keep.pop_first();
            self.end_keeping(&key);
        }
        while let Some((at, key)) = self.timers.grace.first().cloned()
            && at <= now
        {
            self.timers.grace.pop_first();
            self.end_grace(&key);
        }
        self.expire_requests();
        while let Some(job) = self.broadcasts.pop(now) {
            self.broadcast(job);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; `None` for never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        [
            self.timers.suspended.first().map(|(at, _)| *at),
            self.timers.keep.first().map(|(at, _)| *at),
            self.timers.grace.first().map(|(at, _)| *at),
            self.requests.next_deadline(),
            self.broadcasts.poll_timeout(self.now),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The next thing that is to be done.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<HubOutput> {
        self.outputs.pop_front()
    }

    /// The next thing the application should know.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<HubEvent> {
        let event = self.events.pop()?;
        if let HubEvent::Undelivered { events, .. } = &event {
            self.kept_bytes = self.kept_bytes.saturating_sub(kept::bytes_of(events));
        }
        Some(event)
    }

    /// Whether [`poll_event`](Self::poll_event) would give something out.
    #[must_use]
    pub fn has_event(&self) -> bool {
        !self.events.is_empty()
    }

    /// Notes what an inbox had to tell of its slow consumer ([`Inbox::take_report`]): the
    /// application hears of it, and a connection whose time is up is closed.
    pub fn handle_slow(&mut self, now: Instant, connection: ConnId, report: SlowReport) {
        self.tick(now);
        let Some(user) = self.user_of(connection).cloned() else {
            return;
        };
        let closed = report.close.is_some();
        if let Some((code, reason)) = report.close {
            self.stats.slow_closed = self.stats.slow_closed.saturating_add(1);
            self.output(HubOutput::Close {
                connection,
                code,
                reason,
            });
        }
        self.tell(HubEvent::SlowConsumer {
            connection,
            user,
            messages: report.messages,
            bytes: report.bytes,
            lost: report.lost,
            closed,
        });
    }

    /// Which users are connected, by transport.
    #[must_use]
    pub const fn connected_uids(&self) -> &ConnectedUids {
        self.slots.uids()
    }

    /// The users who are connected, in order.
    pub fn users(&self) -> impl Iterator<Item = &UserId> {
        self.slots.uids().any().iter()
    }

    /// The user of a connection.
    #[must_use]
    pub fn user_of(&self, connection: ConnId) -> Option<&UserId> {
        self.members
            .get(&connection)
            .map(|member| &member.slot.user)
    }

    /// How many connections there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// How many clients are in their grace.
    #[must_use]
    pub fn away(&self) -> usize {
        self.slots.away_count()
    }

    /// The bytes that are kept for clients in their grace, or were and have not been taken back.
    #[must_use]
    pub const fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// How many broadcasts wait for their rate.
    #[must_use]
    pub fn waiting_broadcasts(&self) -> usize {
        self.broadcasts.waiting()
    }

    /// Counts since the hub began.
    #[must_use]
    pub const fn stats(&self) -> HubStats {
        self.stats
    }

    /// The configuration in force.
    #[must_use]
    pub const fn config(&self) -> &HubConfig {
        &self.config
    }

    /// Time enters with inputs and commands only, and never runs backwards.
    fn tick(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    fn output(&mut self, output: HubOutput) {
        self.outputs.push_back(output);
    }

    /// Tells the application something, if there is room. Whether there is.
    fn tell(&mut self, event: HubEvent) -> bool {
        self.events.push(event, self.config.limits.max_events)
    }

    fn peer_of(&self, connection: ConnId) -> Peer {
        Peer {
            connection,
            user: self.user_of(connection).cloned(),
        }
    }

    /// Asks the application's guard, if there is one.
    fn ask_guard(&self, connection: ConnId, action: &Action<'_>) -> Result<(), Denied> {
        match &self.config.guard {
            Some(guard) => guard.check(&self.peer_of(connection), action),
            None => Ok(()),
        }
    }

    /// A connection that was suspended did not come back.
    fn expire(&mut self, connection: ConnId) {
        let Some(left) = self.remove(connection, None) else {
            return;
        };
        self.tell(HubEvent::Expired {
            connection,
            user: left.user,
        });
        self.output(HubOutput::Close {
            connection,
            code: 1000,
            reason: smol_str::SmolStr::new_static("did not come back"),
        });
    }

    /// Sends out a broadcast that waited for its rate.
    fn broadcast(&mut self, job: Job) {
        match job {
            Job::Event {
                target,
                event,
                options,
            } => {
                if let Err(error) = self.fan_out_now(&target, &event, &options) {
                    self.tell(HubEvent::BroadcastFailed(error));
                }
            }
            Job::Publish(publication) => {
                self.publish_now(&publication);
            }
        }
    }
}
