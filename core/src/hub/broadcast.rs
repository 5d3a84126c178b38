//! Broadcasts held to their rate: what waits, and when it may go.

use alloc::collections::VecDeque;

use sente_edn::Value;

use crate::event::{Event, Payload};
use crate::id::ConnId;
use crate::queue::SendOptions;
use crate::time::Instant;

use super::channels::ChannelKey;
use super::config::{BroadcastRate, HubLimits};
use super::fanout::{Fanout, FanoutError};
use super::guard::Pace;
use super::target::Target;

/// A broadcast that waits.
#[derive(Debug)]
pub(super) enum Job {
    Event {
        target: Target,
        event: Event,
        options: SendOptions,
    },
    Publish(Publication),
}

/// Data on its way to the subscribers of a channel.
#[derive(Clone, Debug)]
pub(super) struct Publication {
    pub(super) key: ChannelKey,
    pub(super) channel: Payload,
    pub(super) data: Payload,
    pub(super) from: Value,
    /// Who does not get it.
    pub(super) except: Option<ConnId>,
    pub(super) options: SendOptions,
}

/// The rate of broadcasts, and those that wait for it.
#[derive(Debug)]
pub(super) struct Broadcasts {
    pace: Pace,
    waiting: VecDeque<(Job, usize)>,
    bytes: usize,
}

impl Broadcasts {
    pub(super) fn new(rate: &BroadcastRate) -> Self {
        Self {
            pace: Pace::new(rate.deliveries, rate.bytes),
            waiting: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Whether a broadcast may go now: none waits, and the rate allows it.
    pub(super) fn is_free(&self, now: Instant) -> bool {
        self.waiting.is_empty() && self.pace.check(now).is_ok()
    }

    /// Lets a broadcast wait its turn.
    pub(super) fn put_off(
        &mut self,
        now: Instant,
        limits: &HubLimits,
        job: Job,
    ) -> Result<Fanout, FanoutError> {
        let size = job.size();
        let bytes = self.bytes.saturating_add(size);
        if self.waiting.len() >= limits.max_waiting_broadcasts
            || bytes > limits.max_waiting_broadcast_bytes
        {
            let retry_at = self.pace.check(now).err().unwrap_or(now);
            return Err(FanoutError::TooManyWaiting { retry_at });
        }
        self.bytes = bytes;
        self.waiting.push_back((job, size));
        Ok(Fanout {
            waits: true,
            ..Fanout::default()
        })
    }

    /// The next one that may go now.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Job> {
        self.pace.check(now).ok()?;
        let (job, size) = self.waiting.pop_front()?;
        self.bytes = self.bytes.saturating_sub(size);
        Some(job)
    }

    /// Counts one that went out.
    pub(super) fn charge(&mut self, now: Instant, deliveries: usize, bytes: usize) {
        self.pace.take_many(now, deliveries, bytes);
    }

    /// When the next one may go, if any waits.
    pub(super) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        if self.waiting.is_empty() {
            return None;
        }
        Some(self.pace.check(now).err().unwrap_or(now))
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

impl Job {
    /// Its packed bytes, or about as many.
    fn size(&self) -> usize {
        match self {
            Self::Event { event, .. } => event
                .data
                .as_ref()
                .map_or(0, size_of)
                .saturating_add(event.id.as_str().len()),
            Self::Publish(publication) => {
                size_of(&publication.channel).saturating_add(size_of(&publication.data))
            }
        }
    }
}

fn size_of(payload: &Payload) -> usize {
    match (payload.raw(), payload.as_value()) {
        (Some(raw), _) => raw.len(),
        (None, Some(value)) => sente_edn::to_string(value).len(),
        (None, None) => 0,
    }
}
