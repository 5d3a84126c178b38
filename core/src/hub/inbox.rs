//! The bounded queue between a hub and one connection, and what becomes of a slow consumer.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use smol_str::SmolStr;
use thiserror::Error;

use crate::connection::{Connection, PackedSendError};
use crate::packed::PackedEvent;
use crate::queue::{Policy, Priority, SendOptions, Sent};
use crate::time::Instant;

use super::fanout::HubDelivery;

/// How many of normal priority may leave in a row while a low one waits, as in a send queue.
const NORMAL_IN_A_ROW: u8 = 15;

/// How long after a report of losses no other one is made.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// The bounds of an [`Inbox`], and what happens to a consumer that does not keep up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InboxLimits {
    /// Events. Default 1,000.
    pub max_messages: usize,
    /// Their packed bytes. Default 8 MiB.
    pub max_bytes: usize,
    /// Above how many percent of either the consumer counts as slow; 100 or more for never.
    /// Default 75.
    pub high_water: u8,
    /// At how many percent of both it does not count as slow any more; no higher than
    /// `high_water` counts. Default 50.
    pub low_water: u8,
    /// What happens to a slow consumer. Default [`SlowPolicy::Drop`].
    pub slow: SlowPolicy,
}

impl Default for InboxLimits {
    fn default() -> Self {
        Self {
            max_messages: 1_000,
            max_bytes: 8 * 1024 * 1024,
            high_water: 75,
            low_water: 50,
            slow: SlowPolicy::Drop,
        }
    }
}

/// What happens to a connection that takes less than is sent to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlowPolicy {
    /// What does not fit is dropped or refused, as the policy of each event says.
    #[default]
    Drop,
    /// The same, and a connection that was above high water for so long without falling to low
    /// water in between is closed.
    Close {
        /// For how long.
        after: Duration,
        /// The WebSocket close code, such as 1008.
        code: u16,
        /// The reason that goes with it.
        reason: SmolStr,
    },
}

/// Packed events on their way from a hub to one connection: what [`HubOutput::Deliver`] says goes
/// in, and leaves for the connection's send queue as there is room.
///
/// It is what lets a hub deliver without touching the connection: adapters put it behind a lock of
/// its own. Order is kept among events of one priority. Every event is moved on, refused when it
/// comes, or dropped as its policy says; losses are counted, and reported by
/// [`take_report`](Self::take_report).
///
/// ```
/// use sente_core::packer::Edn;
/// use sente_core::{Event, EventId, Inbox, InboxLimits, Instant, PackedEvent, SendOptions};
///
/// let mut limits = InboxLimits::default();
/// limits.max_messages = 1;
/// let mut inbox = Inbox::new(limits);
/// let event = PackedEvent::pack(&Event::bare(EventId::new("chat/hi")?), &Edn)?;
/// assert!(inbox.push(Instant::EPOCH, event.clone(), &SendOptions::new()).is_ok());
/// assert!(inbox.push(Instant::EPOCH, event, &SendOptions::new()).is_err());
/// assert_eq!(inbox.lost().count, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`HubOutput::Deliver`]: crate::HubOutput::Deliver
#[derive(Debug)]
pub struct Inbox {
    limits: InboxLimits,
    normal: BTreeMap<u64, Parcel>,
    low: BTreeMap<u64, Parcel>,
    /// The numbers of those that may be dropped for others.
    losable: BTreeSet<u64>,
    losable_bytes: usize,
    keys: BTreeMap<SmolStr, u64>,
    next: u64,
    bytes: usize,
    normal_in_a_row: u8,
    above_since: Option<Instant>,
    lost: Lost,
    untold: Lost,
    next_report: Instant,
}

/// An event in an inbox.
#[derive(Clone, Debug)]
pub(super) struct Parcel {
    pub(super) event: PackedEvent,
    pub(super) options: SendOptions,
    /// Whether it is worth keeping for when the client comes back.
    pub(super) keeps: bool,
    /// Whether it goes to sente-lite clients in a wrapper, where that is asked for.
    pub(super) wraps: bool,
}

/// Events that were lost for one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lost {
    /// How many.
    pub count: u64,
    /// Their packed bytes.
    pub bytes: u64,
}

impl Lost {
    pub(super) fn add(&mut self, bytes: usize) {
        self.count = self.count.saturating_add(1);
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// The inbox is full, and the event's policy is to refuse it then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the inbox is full ({messages} messages, {bytes} bytes)")]
#[non_exhaustive]
pub struct InboxFull {
    /// Events in it.
    pub messages: usize,
    /// Their bytes.
    pub bytes: usize,
}

/// What there is to tell of a consumer that does not keep up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlowReport {
    /// Events that wait for it.
    pub messages: usize,
    /// Their bytes.
    pub bytes: usize,
    /// What it lost since the last report.
    pub lost: Lost,
    /// The code and reason to close its connection with, if its time is up.
    pub close: Option<(u16, SmolStr)>,
}

impl Inbox {
    /// An empty inbox, which has allocated nothing.
    #[must_use]
    pub const fn new(limits: InboxLimits) -> Self {
        Self {
            limits,
            normal: BTreeMap::new(),
            low: BTreeMap::new(),
            losable: BTreeSet::new(),
            losable_bytes: 0,
            keys: BTreeMap::new(),
            next: 0,
            bytes: 0,
            normal_in_a_row: 0,
            above_since: None,
            lost: Lost { count: 0, bytes: 0 },
            untold: Lost { count: 0, bytes: 0 },
            next_report: Instant::EPOCH,
        }
    }

    /// Puts an event in, or does with it what the policy of `options` says: see
    /// [`Policy`]. A [`Policy::Volatile`] event is dropped if anything is in here.
    ///
    /// # Errors
    /// [`InboxFull`]; the event is lost and counted.
    pub fn push(
        &mut self,
        now: Instant,
        event: PackedEvent,
        options: &SendOptions,
    ) -> Result<Sent, InboxFull> {
        self.push_parcel(
            now,
            Parcel {
                event,
                options: options.clone(),
                keeps: false,
                wraps: false,
            },
        )
    }

    /// Puts in what a hub delivers.
    ///
    /// # Errors
    /// As for [`push`](Self::push).
    pub fn push_delivery(
        &mut self,
        now: Instant,
        delivery: &HubDelivery,
    ) -> Result<Sent, InboxFull> {
        self.push_parcel(
            now,
            Parcel {
                event: delivery.event.clone(),
                options: delivery.options.clone(),
                keeps: delivery.keeps,
                wraps: false,
            },
        )
    }

    /// Takes the next event out, and how it is to be sent.
    pub fn pop(&mut self) -> Option<(PackedEvent, SendOptions)> {
        let parcel = self.pop_parcel()?;
        Some((parcel.event, parcel.options))
    }

    /// Moves what there is room for to the connection's send queue, as far as its high water: what
    /// waits in here is no news of the connection, so it tells no `HighWater` of it. Where it is
    /// above high water for other reasons, nothing moves until it has fallen to low water. When to
    /// try again, if a send rate holds it up; otherwise the connection's writing makes room.
    pub fn deliver_to(&mut self, now: Instant, connection: &mut Connection) -> Option<Instant> {
        while let Some(number) = self.next_number() {
            let Some(parcel) = self.find(number) else {
                break;
            };
            let place = connection.has_place_in_turn(now, parcel.event.bytes().len());
            // It adds nothing to what waits: it takes the place of another, or is dropped.
            let adds = match &parcel.options.policy {
                Policy::Latest(key) => !connection.has_queued(key),
                Policy::Volatile => false,
                Policy::DropOldest | Policy::Reject => true,
            };
            let sent = match place {
                Err(PackedSendError::Full) if adds => return None,
                Err(PackedSendError::NotOpen) => return None,
                Err(PackedSendError::RateLimited { retry_at })
                    if parcel.options.policy != Policy::Volatile =>
                {
                    return Some(retry_at);
                }
                _ => connection.send_packed_with(now, &parcel.event, parcel.options.clone()),
            };
            let size = parcel.event.bytes().len();
            match sent {
                Err(PackedSendError::Full | PackedSendError::NotOpen) => return None,
                Err(PackedSendError::RateLimited { retry_at }) => return Some(retry_at),
                Err(_) => self.lose(size),
                Ok(_) => {}
            }
            self.leave(number);
        }
        None
    }

    /// What an empty inbox would do with a delivery that is moved on at once, without the inbox:
    /// hands it to the connection, if that has room for it. `false` where it has not, or is to
    /// wait, or cannot be sent: then it belongs into an inbox, which sees to all that.
    pub fn pass_on(delivery: &HubDelivery, now: Instant, connection: &mut Connection) -> bool {
        let len = delivery.event.bytes().len();
        connection.has_place_in_turn(now, len).is_ok()
            && connection
                .send_packed_with(now, &delivery.event, delivery.options.clone())
                .is_ok()
    }

    /// Moves what there is room for to whatever `send` queues it in, a session of Ajax for example,
    /// and stops where that is full. When to try again, if a send rate holds it up.
    pub fn deliver_by(
        &mut self,
        mut send: impl FnMut(&PackedEvent, SendOptions) -> Result<Sent, PackedSendError>,
    ) -> Option<Instant> {
        while let Some(number) = self.next_number() {
            let Some(parcel) = self.find(number) else {
                break;
            };
            let size = parcel.event.bytes().len();
            match send(&parcel.event, parcel.options.clone()) {
                Err(PackedSendError::Full | PackedSendError::NotOpen) => return None,
                Err(PackedSendError::RateLimited { retry_at }) => return Some(retry_at),
                // It never fits.
                Err(_) => self.lose(size),
                Ok(_) => {}
            }
            self.leave(number);
        }
        None
    }

    /// Takes everything out when the connection has ended, in order: what was pushed to its user, for
    /// `Hub::leave_with`, and the rest, which was for this connection only.
    pub fn take_unsent(&mut self) -> (Vec<PackedEvent>, Vec<PackedEvent>) {
        let parcels: Vec<Parcel> = core::iter::from_fn(|| self.pop_parcel()).collect();
        let (kept, rest): (Vec<_>, Vec<_>) = parcels.into_iter().partition(|it| it.keeps);
        let events = |parcels: Vec<Parcel>| parcels.into_iter().map(|it| it.event).collect();
        (events(kept), events(rest))
    }

    /// Says what there is to tell of a slow consumer at `now`, if anything: that it has lost
    /// events, at most once a second, or that it is to be closed, once.
    pub fn take_report(&mut self, now: Instant) -> Option<SlowReport> {
        let close = match (&self.limits.slow, self.close_at()) {
            (SlowPolicy::Close { code, reason, .. }, Some(at)) if at <= now => {
                Some((*code, reason.clone()))
            }
            _ => None,
        };
        if close.is_some() {
            // Whoever asked closes it; it is not said twice.
            self.above_since = None;
            self.limits.slow = SlowPolicy::Drop;
        } else if self.untold.count == 0 || self.next_report > now {
            return None;
        }
        self.next_report = now + REPORT_EVERY;
        Some(SlowReport {
            messages: self.len(),
            bytes: self.bytes,
            lost: core::mem::take(&mut self.untold),
            close,
        })
    }

    /// When [`take_report`](Self::take_report) will have something to say; `None` for never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let report = (self.untold.count > 0).then_some(self.next_report);
        [report, self.close_at()].into_iter().flatten().min()
    }

    /// How many events are in here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.normal.len().saturating_add(self.low.len())
    }

    /// Whether nothing is in here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.normal.is_empty() && self.low.is_empty()
    }

    /// The packed bytes of what is in here.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Since when it is above high water, without having fallen to low water.
    #[must_use]
    pub const fn above_high_water_since(&self) -> Option<Instant> {
        self.above_since
    }

    /// What was lost since the beginning: refused as full, dropped for others, replaced, too large.
    #[must_use]
    pub const fn lost(&self) -> Lost {
        self.lost
    }

    pub(super) fn push_parcel(&mut self, now: Instant, parcel: Parcel) -> Result<Sent, InboxFull> {
        let size = parcel.event.bytes().len();
        if let Policy::Latest(key) = &parcel.options.policy
            && let Some(number) = self.keys.get(key).copied()
            && let Some(old) = self.find(number).map(|old| old.event.bytes().len())
        {
            let grown = self.bytes.saturating_sub(old).saturating_add(size);
            if grown > self.limits.max_bytes {
                return Err(self.refuse(size));
            }
            return Ok(self.replace(now, number, parcel));
        }
        if parcel.options.policy == Policy::Volatile && !(self.is_empty() && self.has_room(size)) {
            // As was wished for: nobody needs to be told.
            self.lost.add(size);
            return Ok(Sent::Dropped);
        }
        let may_drop = parcel.options.policy == Policy::DropOldest;
        let fits = self.has_room(size) || (may_drop && self.make_room(size));
        if !fits {
            return Err(self.refuse(size));
        }
        self.insert(parcel);
        self.look_at_high_water(now);
        Ok(Sent::Queued)
    }

    pub(super) fn pop_parcel(&mut self) -> Option<Parcel> {
        let number = self.next_number()?;
        self.leave(number)
    }

    /// Takes one out whose turn it is.
    fn leave(&mut self, number: u64) -> Option<Parcel> {
        let passes_low = self.normal.contains_key(&number) && !self.low.is_empty();
        self.normal_in_a_row = match passes_low {
            true => self.normal_in_a_row.saturating_add(1),
            false => 0,
        };
        self.take(number)
    }

    fn refuse(&mut self, size: usize) -> InboxFull {
        self.lose(size);
        InboxFull {
            messages: self.len(),
            bytes: self.bytes,
        }
    }

    fn lose(&mut self, size: usize) {
        self.lost.add(size);
        self.untold.add(size);
    }

    fn insert(&mut self, parcel: Parcel) {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let size = parcel.event.bytes().len();
        self.bytes = self.bytes.saturating_add(size);
        match &parcel.options.policy {
            Policy::Reject => {}
            policy => {
                if let Policy::Latest(key) = policy {
                    self.keys.insert(key.clone(), number);
                }
                self.losable.insert(number);
                self.losable_bytes = self.losable_bytes.saturating_add(size);
            }
        }
        match parcel.options.priority {
            Priority::Low => self.low.insert(number, parcel),
            Priority::Normal => self.normal.insert(number, parcel),
        };
    }

    /// Puts a parcel in the place of the one of its key.
    fn replace(&mut self, now: Instant, number: u64, parcel: Parcel) -> Sent {
        let lane = if self.low.contains_key(&number) {
            &mut self.low
        } else {
            &mut self.normal
        };
        let new = parcel.event.bytes().len();
        if let Some(slot) = lane.get_mut(&number) {
            let old = core::mem::replace(slot, parcel).event.bytes().len();
            let counted = |bytes: usize| bytes.saturating_sub(old).saturating_add(new);
            self.bytes = counted(self.bytes);
            self.losable_bytes = counted(self.losable_bytes);
            self.lost.add(old);
        }
        self.look_at_high_water(now);
        Sent::Replaced
    }

    fn take(&mut self, number: u64) -> Option<Parcel> {
        let normal = self.normal.remove(&number);
        let parcel = normal.or_else(|| self.low.remove(&number))?;
        let size = parcel.event.bytes().len();
        self.bytes = self.bytes.saturating_sub(size);
        if self.losable.remove(&number) {
            self.losable_bytes = self.losable_bytes.saturating_sub(size);
        }
        if let Policy::Latest(key) = &parcel.options.policy {
            self.keys.remove(key);
        }
        if self.is_at_most(self.limits.low_water.min(self.limits.high_water)) {
            self.above_since = None;
        }
        Some(parcel)
    }

    fn find(&self, number: u64) -> Option<&Parcel> {
        self.normal.get(&number).or_else(|| self.low.get(&number))
    }

    fn next_number(&self) -> Option<u64> {
        let first = |lane: &BTreeMap<u64, Parcel>| lane.first_key_value().map(|(at, _)| *at);
        match (first(&self.normal), first(&self.low)) {
            (Some(_), Some(low)) if self.normal_in_a_row >= NORMAL_IN_A_ROW => Some(low),
            (normal, low) => normal.or(low),
        }
    }

    fn has_room(&self, size: usize) -> bool {
        self.len() < self.limits.max_messages
            && self.bytes.saturating_add(size) <= self.limits.max_bytes
    }

    /// Drops the oldest that may be until `size` bytes fit, if that is enough. Whether it is.
    fn make_room(&mut self, size: usize) -> bool {
        let left = self.len().saturating_sub(self.losable.len());
        let bytes = self.bytes.saturating_sub(self.losable_bytes);
        if left >= self.limits.max_messages || bytes.saturating_add(size) > self.limits.max_bytes {
            return false;
        }
        while !self.has_room(size) {
            let Some(dropped) = self
                .losable
                .first()
                .copied()
                .and_then(|number| self.take(number))
            else {
                return false;
            };
            self.lose(dropped.event.bytes().len());
        }
        true
    }

    fn look_at_high_water(&mut self, now: Instant) {
        if self.above_since.is_none() && !self.is_at_most(self.limits.high_water) {
            self.above_since = Some(now);
        }
    }

    fn is_at_most(&self, percent: u8) -> bool {
        let part = |limit: usize| {
            let part = (limit as u128).saturating_mul(percent.into()) / 100;
            usize::try_from(part).unwrap_or(usize::MAX)
        };
        self.len() <= part(self.limits.max_messages) && self.bytes <= part(self.limits.max_bytes)
    }

    fn close_at(&self) -> Option<Instant> {
        match (&self.limits.slow, self.above_since) {
            (SlowPolicy::Close { after, .. }, Some(since)) => Some(since + *after),
            _ => None,
        }
    }
}
