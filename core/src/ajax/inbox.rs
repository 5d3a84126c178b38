//! What waits for the application: in order, bounded by messages and bytes, bad events reported at
//! a rate.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use bytes::Bytes;

use crate::connection::{BadEvent, ConnectionEvent, RecvCapacity, RecvStatus};
use crate::error::BadReason;
use crate::id::ReplyToken;
use crate::limits::Limits;
use crate::time::Instant;

/// The events of one session.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    events: VecDeque<Queued>,
    /// Those that somebody waits for: they can be taken ahead of the others.
    answers: VecDeque<Queued>,
    next: u64,
    messages: usize,
    bytes: usize,
    /// The bytes that the owner of the process-wide budget allows.
    allowance: Option<usize>,
    bad_since: Option<Instant>,
    bad_reported: usize,
    bad_suppressed: u64,
}

/// An event and its place in the order of all.
#[derive(Debug)]
struct Queued {
    number: u64,
    event: ConnectionEvent,
    counted: Option<usize>,
}

impl Inbox {
    /// Queues what this side has to tell.
    pub(super) fn push(&mut self, event: ConnectionEvent) {
        self.push_back(event, None);
    }

    /// Queues what the peer said, which counts for so many bytes.
    pub(super) fn push_counted(&mut self, event: ConnectionEvent, size: usize) {
        self.messages = self.messages.saturating_add(1);
        self.bytes = self.bytes.saturating_add(size);
        self.push_back(event, Some(size));
    }

    pub(super) fn pop(&mut self) -> Option<ConnectionEvent> {
        let number = |queue: &VecDeque<Queued>| queue.front().map(|queued| queued.number);
        let answer_is_next = match (number(&self.answers), number(&self.events)) {
            (Some(answer), Some(event)) => answer < event,
            (answer, _) => answer.is_some(),
        };
        if answer_is_next {
            return self.pop_answer();
        }
        let queued = self.events.pop_front()?;
        Some(self.count_out(queued))
    }

    /// The next that somebody waits for.
    pub(super) fn pop_answer(&mut self) -> Option<ConnectionEvent> {
        let queued = self.answers.pop_front()?;
        Some(self.count_out(queued))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.answers.is_empty()
    }

    /// How full it is.
    pub(super) fn capacity(&self, limits: &Limits) -> RecvCapacity {
        RecvCapacity {
            messages: self.messages,
            bytes: self.bytes,
            max_messages: limits.max_recv_messages,
            max_bytes: self.max_bytes(limits),
            status: if self.room(limits) == 0 {
                RecvStatus::Full
            } else if self.messages > limits.recv_slow_messages {
                RecvStatus::Slow
            } else {
                RecvStatus::Ok
            },
        }
    }

    pub(super) const fn set_allowance(&mut self, bytes: usize) {
        self.allowance = Some(bytes);
    }

    /// Messages that wait and the bytes they count for.
    pub(super) const fn counted(&self) -> (usize, usize) {
        (self.messages, self.bytes)
    }

    /// How many more messages the peer may say; 0 where their bytes are at the limit.
    pub(super) fn room(&self, limits: &Limits) -> usize {
        if self.bytes >= self.max_bytes(limits) {
            0
        } else {
            limits.max_recv_messages.saturating_sub(self.messages)
        }
    }

    /// Reports what is no event. The token is given back where it is only counted.
    pub(super) fn report_bad(
        &mut self,
        now: Instant,
        limits: &Limits,
        reason: BadReason,
        frame: &Bytes,
        reply: Option<ReplyToken>,
    ) -> Result<(), Option<ReplyToken>> {
        let since = *self.bad_since.get_or_insert(now);
        if since + limits.bad_frame_period <= now {
            self.tell_suppressed();
            self.bad_since = Some(now);
        }
        if self.bad_reported >= limits.max_bad_frames_reported {
            self.bad_suppressed = self.bad_suppressed.saturating_add(1);
            return Err(reply);
        }
        self.bad_reported = self.bad_reported.saturating_add(1);
        let end = frame.len().min(limits.max_bad_frame_excerpt);
        let bad = BadEvent {
            reason,
            excerpt: Bytes::copy_from_slice(frame.get(..end).unwrap_or_default()),
            frame_len: frame.len(),
            reply,
        };
        self.push_counted(ConnectionEvent::BadEvent(Box::new(bad)), end);
        Ok(())
    }

    /// When the bad events that were only counted are to be told.
    pub(super) fn poll_timeout(&self, limits: &Limits) -> Option<Instant> {
        let since = self.bad_since.filter(|_| self.bad_suppressed > 0)?;
        Some(since + limits.bad_frame_period)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, limits: &Limits) {
        if self.poll_timeout(limits).is_some_and(|at| at <= now) {
            self.tell_suppressed();
        }
    }

    pub(super) fn tell_suppressed(&mut self) {
        let count = core::mem::take(&mut self.bad_suppressed);
        self.bad_since = None;
        self.bad_reported = 0;
        if count > 0 {
            self.push(ConnectionEvent::BadEventsSuppressed(count));
        }
    }

    fn push_back(&mut self, event: ConnectionEvent, counted: Option<usize>) {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let queue = if event.is_answer() {
            &mut self.answers
        } else {
            &mut self.events
        };
        queue.push_back(Queued {
            number,
            event,
            counted,
        });
    }

    fn count_out(&mut self, queued: Queued) -> ConnectionEvent {
        if let Some(size) = queued.counted {
            self.messages = self.messages.saturating_sub(1);
            self.bytes = self.bytes.saturating_sub(size);
        }
        queued.event
    }

    fn max_bytes(&self, limits: &Limits) -> usize {
        let allowance = self.allowance.unwrap_or(usize::MAX);
        limits.max_recv_bytes.min(allowance)
    }
}
