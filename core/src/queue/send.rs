//! The send queue of one connection: packed messages, bounded by count and by bytes.

use alloc::collections::BTreeMap;

use bytes::Bytes;
use smol_str::SmolStr;

use crate::calls::CallName;
use crate::limits::Limits;
use crate::packed::SealedFrames;
use crate::packer::Packer;
use crate::seldom::{Blank, Seldom};
use crate::time::Instant;

use super::ahead::Ahead;
use super::lane::{Entry, Lane};
use super::{Framed, Mark, Policy, Priority, Reservations};

/// What a waiting frame costs besides its bytes. Counted where the peer decides how many wait.
pub(crate) const WAITING_OVERHEAD: usize = 64;

/// How many frames of normal priority may leave in a row while a low one waits.
const NORMAL_IN_A_ROW: u8 = 15;

/// A packed message on its way out, without its envelope.
#[derive(Clone, Debug)]
pub(crate) enum Outgoing {
    /// A packed event, and the packed callback id if it is a call.
    Event {
        packed: Bytes,
        callback: Option<CallName>,
        /// What it makes alone, as far as that has been sealed already. Not counted: where there
        /// is some, it is no longer than the packed event and the overhead of its packer.
        sealed: SealedFrames,
        /// Whether every stock reader takes it, where that is known.
        portable: Option<bool>,
    },
    /// A packed reply and the packed callback id it answers.
    Reply { callback: CallName, packed: Bytes },
}

impl Outgoing {
    /// An event that is no call and has not been sealed.
    pub(crate) fn event(packed: Bytes) -> Self {
        Self::Event {
            packed,
            callback: None,
            sealed: SealedFrames::default(),
            portable: None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Event {
                packed, callback, ..
            } => packed.len() + callback.as_ref().map_or(0, |callback| callback.len()),
            Self::Reply { callback, packed } => packed.len() + callback.len(),
        }
    }

    /// Whether every stock reader takes it.
    pub(crate) fn is_portable(&self, packer: &dyn Packer) -> bool {
        match self {
            Self::Event {
                packed, portable, ..
            } => portable.unwrap_or_else(|| packer.is_portable(packed)),
            Self::Reply { packed, .. } => packer.is_portable(packed),
        }
    }

    /// What it counts for among the replies.
    fn reply_len(&self) -> usize {
        match self {
            Self::Event { .. } => 0,
            Self::Reply { .. } => self.len() + WAITING_OVERHEAD,
        }
    }
}

/// What the queue may do with an entry to make room for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Keep it.
    Keep,
    /// Keep it or drop it.
    Lose,
    /// The same, and replace it by the next of this key.
    Replace(SmolStr),
}

impl Hold {
    /// What may become of a queued event of this policy.
    pub(crate) fn of(policy: &Policy) -> Self {
        match policy {
            Policy::DropOldest | Policy::Volatile => Self::Lose,
            Policy::Latest(key) => Self::Replace(key.clone()),
            Policy::Reject => Self::Keep,
        }
    }

    /// The policy that queues an event so.
    pub(crate) fn policy(&self) -> Policy {
        match self {
            Self::Keep => Policy::Reject,
            Self::Lose => Policy::DropOldest,
            Self::Replace(key) => Policy::Latest(key.clone()),
        }
    }
}

/// Two lanes, first in, first out in each. Events are refused at the limits; replies are always
/// taken, since the peer asked for them, and count: past the limit the connection stops reading
/// what would cause more. Room that has been reserved counts as taken.
#[derive(Debug, Default)]
pub(crate) struct SendQueue {
    /// Go before all others.
    ahead: Ahead,
    normal: Lane,
    low: Seldom<Lane>,
    keys: Seldom<Keys>,
    pub(crate) reservations: Seldom<Reservations>,
    bytes: usize,
    reply_bytes: usize,
    /// What could be dropped to make room.
    losable: usize,
    losable_bytes: usize,
    /// Messages ever queued: the number of the next one.
    queued: u64,
    /// Frames of normal priority since the last low one, while a low one waits.
    normal_in_a_row: u8,
}

impl SendQueue {
    /// Whether one more message of `len` bytes fits, for somebody who has not reserved room.
    pub(crate) fn takes(&self, len: usize, limits: &Limits) -> bool {
        // Whoever waits does so because it does not fit: nobody else may have the room before.
        let waiting = self.reservations.seen().map_or(0, Reservations::waiting);
        waiting == 0 && self.has_room(len, limits)
    }

    /// Whether one more message of `len` bytes fits beside what is queued and reserved.
    pub(crate) fn has_room(&self, len: usize, limits: &Limits) -> bool {
        self.messages() < limits.max_send_messages
            && self.bytes_taken().saturating_add(len) <= limits.max_send_bytes
    }

    /// Whether what is queued or reserved may grow by `more` bytes.
    pub(crate) fn has_bytes_for(&self, more: usize, limits: &Limits) -> bool {
        self.bytes_taken().saturating_add(more) <= limits.max_send_bytes
    }

    /// Whether nothing is queued, reserved or waited for.
    pub(crate) fn is_idle(&self) -> bool {
        self.messages() == 0 && self.reservations.waiting() == 0
    }

    /// Whether a message of `len` bytes fits once everything is dropped that may be.
    pub(crate) fn has_room_without_losable(&self, len: usize, limits: &Limits) -> bool {
        let bytes = self.bytes_taken().saturating_sub(self.losable_bytes);
        self.losable > 0
            && self.messages().saturating_sub(self.losable) < limits.max_send_messages
            && bytes.saturating_add(len) <= limits.max_send_bytes
            // It takes no more than it drops while somebody waits.
            && (self.reservations.waiting() == 0 || self.losable_bytes >= len)
    }

    /// Whether one more message of `len` bytes fits, and leaves the queue at this mark or below it.
    /// Asked for every event.
    #[inline]
    pub(crate) fn takes_below(&self, len: usize, mark: Mark, limits: &Limits) -> bool {
        mark.covers_also(self, len)
            && if self.reservations.is_blank() {
                // A mark is no higher than the limits.
                true
            } else {
                self.takes(len, limits)
            }
    }

    /// When the first reservation ends that waits.
    #[inline]
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let reservations = self.reservations.seen();
        reservations.and_then(Reservations::next_deadline)
    }

    /// Messages queued and places reserved.
    fn messages(&self) -> usize {
        let reserved = self.reservations.seen().map_or(0, Reservations::granted);
        self.len().saturating_add(reserved)
    }

    fn bytes_taken(&self) -> usize {
        let reserved = self.reservations.seen();
        let reserved = reserved.map_or(0, Reservations::granted_bytes);
        self.bytes().saturating_add(reserved)
    }

    #[inline(always)]
    pub(crate) fn push(&mut self, item: Outgoing, priority: Priority, hold: Hold) {
        let number = self.queued;
        self.queued += 1;
        self.count_in(&item, &hold);
        if let Hold::Replace(key) = &hold {
            self.keys.make().0.insert(key.clone(), (priority, number));
        }
        self.lane_mut(priority).push(number, item, hold);
    }

    /// Queues an event of `len` bytes of normal priority that is no call and is to be kept. It is made
    /// where it will lie, since it is large to move.
    #[inline]
    pub(crate) fn push_event(&mut self, len: usize, event: impl FnOnce() -> Outgoing) {
        let number = self.queued;
        self.queued = self.queued.wrapping_add(1);
        self.bytes = self.bytes.wrapping_add(len);
        let lane = &mut self.normal;
        lane.live = lane.live.wrapping_add(1);
        lane.entries.push_back(Entry {
            number,
            item: Some(event()),
            hold: Hold::Keep,
        });
    }

    /// Whether a message may be [framed ahead](Self::push_ahead) of all that is queued otherwise:
    /// nothing is.
    #[inline]
    pub(crate) fn has_none_but_ahead(&self) -> bool {
        self.normal.live == 0 && self.low.seen().is_none_or(|low| low.live == 0)
    }

    /// Queues a message whose frame was made already, and stands behind those that were made before.
    #[inline]
    pub(crate) fn push_ahead(&mut self, message: Framed) {
        let number = self.queued;
        self.queued = self.queued.wrapping_add(1);
        self.ahead.push(message, number);
    }

    /// Whether there are frames that were made already.
    #[inline]
    pub(crate) const fn has_ahead(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// Where among these frames the last message begins.
    pub(crate) fn last_ahead_start(&self) -> usize {
        self.ahead.last_start()
    }

    /// Says that these frames have left. How many there were.
    #[inline]
    pub(crate) fn ahead_left(&mut self) -> usize {
        let count = self.ahead.len();
        self.ahead.clear();
        // No low one waited for them.
        self.normal_in_a_row = 0;
        count
    }

    /// Queues these messages as others are, before all of them; `text` is that of their frames, which
    /// are not to leave any more.
    pub(crate) fn take_ahead_back(&mut self, text: &[u8]) {
        for (number, item) in self.ahead.drain_back(text) {
            self.bytes = self.bytes.saturating_add(item.len());
            self.reply_bytes = self.reply_bytes.saturating_add(item.reply_len());
            self.normal.push_front(number, item);
        }
    }

    /// Holds no more memory than a queue that is idle should.
    pub(crate) fn settle(&mut self) {
        self.ahead.settle();
    }

    /// The same where nothing is said for a while.
    pub(crate) fn rest(&mut self) {
        if self.normal.entries.is_empty() && self.normal.entries.capacity() > 0 {
            self.normal = Lane::default();
        }
        if self.low.entries.is_empty() {
            self.low.clear();
        }
        if self.keys.0.is_empty() {
            self.keys.clear();
        }
    }

    /// The same where nothing has been said for long.
    pub(crate) fn sleep(&mut self) {
        self.rest();
        self.ahead.rest();
    }

    /// The size of the queued event of this key.
    pub(crate) fn len_of(&self, key: &str) -> Option<usize> {
        let (priority, number) = self.keys.0.get(key)?;
        let entry = self.lane(*priority).find(*number)?;
        entry.item.as_ref().map(Outgoing::len)
    }

    /// The size of the queued event that one of this policy replaces, if there is one.
    pub(crate) fn replaced_by(&self, policy: &Policy) -> Option<usize> {
        match policy {
            Policy::Latest(key) => self.len_of(key),
            _ => None,
        }
    }

    /// Puts `item` in the place of the queued event of this key, which is given back.
    pub(crate) fn replace(&mut self, key: &str, item: Outgoing) -> Option<Outgoing> {
        let (priority, number) = self.keys.0.get(key).copied()?;
        let entry = self.lane_mut(priority).find_mut(number)?;
        let new_len = item.len();
        let old = entry.item.replace(item)?;
        self.bytes = self.bytes.saturating_add(new_len).saturating_sub(old.len());
        self.losable_bytes = self
            .losable_bytes
            .saturating_add(new_len)
            .saturating_sub(old.len());
        Some(old)
    }

    /// Takes out the next event that has to go so that `len` bytes fit, as
    /// [`has_room_without_losable`](Self::has_room_without_losable) said they can; `None` once they
    /// do. `freed` counts what went, and begins at 0.
    pub(crate) fn drop_for(
        &mut self,
        len: usize,
        freed: &mut usize,
        limits: &Limits,
    ) -> Option<Outgoing> {
        // Whoever waits for room must not be the worse for it: as much leaves as comes.
        let waited_for = self.reservations.waiting() > 0;
        if *freed > 0 && self.has_room(len, limits) && !(waited_for && *freed < len) {
            return None;
        }
        let item = self.drop_oldest()?;
        *freed = freed.saturating_add(item.len()).max(1);
        Some(item)
    }

    /// Takes the oldest event out that may be dropped.
    fn drop_oldest(&mut self) -> Option<Outgoing> {
        let of = |lane: &Lane| lane.losable.front().copied();
        let priority = match (of(&self.normal), of(&self.low)) {
            (Some(normal), Some(low)) if low < normal => Priority::Low,
            (None, _) => Priority::Low,
            (Some(_), _) => Priority::Normal,
        };
        let (item, hold) = self.lane_there(priority)?.drop_oldest()?;
        self.count_out(&item, &hold);
        Some(item)
    }

    /// From which lane the next frame comes; `None` if nothing waits.
    pub(crate) fn next_lane(&self) -> Option<Priority> {
        match (self.normal.live > 0, self.low.live > 0) {
            (false, false) => None,
            (false, true) => Some(Priority::Low),
            (true, true) if self.normal_in_a_row >= NORMAL_IN_A_ROW => Some(Priority::Low),
            (true, _) => Some(Priority::Normal),
        }
    }

    /// Counts a frame that is taken from a lane, before its messages are.
    pub(crate) fn frame_begins(&mut self, priority: Priority) {
        self.normal_in_a_row = match priority {
            Priority::Normal if self.low.live > 0 => self.normal_in_a_row.saturating_add(1),
            _ => 0,
        };
    }

    /// The number of the oldest message of a lane, and what may become of it.
    pub(crate) fn front(&self, priority: Priority) -> Option<(u64, &Outgoing, &Hold)> {
        let entry = self.lane(priority).entries.front()?;
        Some((entry.number, entry.item.as_ref()?, &entry.hold))
    }

    pub(crate) fn pop(&mut self, priority: Priority) -> Option<Outgoing> {
        self.pop_with_hold(priority).map(|(item, _)| item)
    }

    #[inline(always)]
    fn pop_with_hold(&mut self, priority: Priority) -> Option<(Outgoing, Hold)> {
        debug_assert!(self.ahead.is_empty(), "what is ahead leaves first");
        let (item, hold) = self.lane_there(priority)?.pop()?;
        self.count_out(&item, &hold);
        Some((item, hold))
    }

    /// Takes the oldest of both lanes out.
    pub(crate) fn pop_oldest(&mut self) -> Option<Outgoing> {
        self.pop_oldest_with_hold().map(|(item, ..)| item)
    }

    /// The same, with what might have become of it and its priority.
    pub(crate) fn pop_oldest_with_hold(&mut self) -> Option<(Outgoing, Hold, Priority)> {
        let priority = match (self.normal.oldest(), self.low.oldest()) {
            (Some(normal), Some(low)) if low < normal => Priority::Low,
            (None, _) => Priority::Low,
            (Some(_), _) => Priority::Normal,
        };
        let (item, hold) = self.pop_with_hold(priority)?;
        Some((item, hold, priority))
    }

    pub(crate) fn iter(&self, priority: Priority) -> impl Iterator<Item = &Outgoing> {
        let entries = self.lane(priority).entries.iter();
        entries.filter_map(|entry| entry.item.as_ref())
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        let low = self.low.seen().map_or(0, |low| low.live);
        self.ahead
            .len()
            .wrapping_add(self.normal.live)
            .wrapping_add(low)
    }

    #[inline]
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes.wrapping_add(self.ahead.bytes())
    }

    /// What the waiting replies hold, their administration included.
    pub(crate) const fn reply_bytes(&self) -> usize {
        self.reply_bytes.saturating_add(self.ahead.reply_bytes())
    }

    /// The number the next message will have.
    pub(crate) const fn queued(&self) -> u64 {
        self.queued
    }

    /// The number of the oldest message that is still here: all before it have left.
    pub(crate) fn oldest(&self) -> u64 {
        if let Some(first) = self.ahead.first() {
            return first;
        }
        let of = |lane: &Lane| lane.oldest().unwrap_or(self.queued);
        of(&self.normal).min(of(&self.low))
    }

    #[inline(always)]
    fn count_in(&mut self, item: &Outgoing, hold: &Hold) {
        self.bytes = self.bytes.saturating_add(item.len());
        self.reply_bytes = self.reply_bytes.saturating_add(item.reply_len());
        if *hold != Hold::Keep {
            self.losable = self.losable.saturating_add(1);
            self.losable_bytes = self.losable_bytes.saturating_add(item.len());
        }
    }

    fn count_out(&mut self, item: &Outgoing, hold: &Hold) {
        self.bytes = self.bytes.saturating_sub(item.len());
        self.reply_bytes = self.reply_bytes.saturating_sub(item.reply_len());
        if *hold != Hold::Keep {
            self.losable = self.losable.saturating_sub(1);
            self.losable_bytes = self.losable_bytes.saturating_sub(item.len());
        }
        if let Hold::Replace(key) = hold {
            self.keys.make().0.remove(key);
        }
    }

    fn lane(&self, priority: Priority) -> &Lane {
        match priority {
            Priority::Low => &self.low,
            Priority::Normal => &self.normal,
        }
    }

    fn lane_mut(&mut self, priority: Priority) -> &mut Lane {
        match priority {
            Priority::Low => self.low.make(),
            Priority::Normal => &mut self.normal,
        }
    }

    /// The lane, if it ever had an entry.
    fn lane_there(&mut self, priority: Priority) -> Option<&mut Lane> {
        match priority {
            Priority::Low => self.low.there(),
            Priority::Normal => Some(&mut self.normal),
        }
    }
}

/// The numbers of those that the next of their key replaces.
#[derive(Debug, Default)]
struct Keys(BTreeMap<SmolStr, (Priority, u64)>);

impl Blank for Keys {
    const BLANK: &'static Self = &Self(BTreeMap::new());
}
