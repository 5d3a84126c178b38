//! What the application says over an Ajax link: events and calls.

use alloc::boxed::Box;
use core::time::Duration;

use bytes::Bytes;

use super::AjaxClient;
use crate::ajax::backlog::{Refused, Terms};
use crate::calls::CallName;
use crate::connection::{PackedSendError, State};
use crate::error::{CallError, SendError};
use crate::event::Event;
use crate::id::CallId;
use crate::packed::PackedEvent;
use crate::profile::Role;
use crate::queue::{SendOptions, Sent};
use crate::time::Instant;

impl AjaxClient {
    /// Queues `event`. `Ok` means queued: it will be posted in order, unless the link ends first;
    /// what does not arrive, as far as is known, comes back as `Undelivered`.
    ///
    /// # Errors
    /// [`SendError`] gives the event back: not open, queue full, too large, or not packable.
    pub fn send(&mut self, now: Instant, event: Event) -> Result<(), SendError> {
        self.send_with(now, event, SendOptions::new()).map(|_| ())
    }

    /// Queues `event` in the way `options` say, which may drop it or an older one: see
    /// [`Policy`](crate::Policy).
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    pub fn send_with(
        &mut self,
        now: Instant,
        event: Event,
        options: SendOptions,
    ) -> Result<Sent, SendError> {
        self.tick(now);
        let (event, packed) = self.pack(event)?;
        self.enqueue(packed, None, &options)
            .map_err(|refused| self.backlog.send_error(event, refused))
    }

    /// Queues an event that was packed before.
    ///
    /// # Errors
    /// [`PackedSendError`]; the event is only borrowed.
    pub fn send_packed(
        &mut self,
        now: Instant,
        event: &PackedEvent,
    ) -> Result<(), PackedSendError> {
        self.send_packed_with(now, event, SendOptions::new())
            .map(|_| ())
    }

    /// Queues an event that was packed before in the way `options` say.
    ///
    /// # Errors
    /// [`PackedSendError`]; the event is only borrowed.
    pub fn send_packed_with(
        &mut self,
        now: Instant,
        event: &PackedEvent,
        options: SendOptions,
    ) -> Result<Sent, PackedSendError> {
        self.tick(now);
        if event.format() != self.config.packer.format() {
            return Err(PackedSendError::WrongPacker);
        }
        if self.state != State::Open {
            self.stats.sends_refused += 1;
            return Err(PackedSendError::NotOpen);
        }
        let sent = self.enqueue(event.clone(), None, &options)?;
        Ok(sent)
    }

    /// Queues a call: `event`, to be answered within `timeout` from now. It settles exactly once, as
    /// a `Settled` event, also when the link ends.
    ///
    /// # Errors
    /// [`SendError`] gives the event back.
    pub fn call(
        &mut self,
        now: Instant,
        event: Event,
        timeout: Duration,
    ) -> Result<CallId, SendError> {
        self.tick(now);
        let limit = self.config.limits.max_pending_calls;
        if self.calls.len() >= limit && self.state == State::Open {
            self.stats.sends_refused += 1;
            let event = Box::new(event);
            return Err(SendError::TooManyCalls { event, limit });
        }
        let (event, packed) = self.pack(event)?;
        let callback = Bytes::copy_from_slice(&self.calls.next_id().to_be_bytes());
        let name = CallName::new(&callback);
        match self.enqueue(packed, Some(callback), &SendOptions::new()) {
            Ok(_) => Ok(self.calls.register(name, self.now + timeout)),
            Err(refused) => Err(self.backlog.send_error(event, refused)),
        }
    }

    /// Settles a call as cancelled, and ends its request. `false` if it had settled already.
    pub fn cancel(&mut self, now: Instant, call: CallId) -> bool {
        self.tick(now);
        if !self.calls.remove(call) {
            return false;
        }
        if let Some(exchange) = self.call_posts.remove(&call) {
            self.posts.remove(&exchange);
            self.waiting.remove(exchange);
            self.aborts.push_back(exchange);
        }
        self.settle_call(call, Err(CallError::Cancelled), 0);
        self.settle_drain();
        true
    }

    fn pack(&mut self, event: Event) -> Result<(Event, PackedEvent), SendError> {
        let error = if self.state == State::Open {
            match PackedEvent::pack(&event, &*self.config.packer) {
                Ok(packed) => return Ok((event, packed)),
                Err(error) => SendError::Unpackable {
                    event: Box::new(event),
                    error,
                },
            }
        } else {
            SendError::NotOpen(Box::new(event))
        };
        self.stats.sends_refused += 1;
        Err(error)
    }

    fn enqueue(
        &mut self,
        mut event: PackedEvent,
        callback: Option<Bytes>,
        options: &SendOptions,
    ) -> Result<Sent, Refused> {
        let config = &*self.config;
        let terms = Terms {
            limits: &config.limits,
            keep_dropped: config.keep_dropped,
            format: config.packer.format(),
            waits: self.event_post.is_some() || self.paused_until.is_some(),
        };
        let is_call = callback.is_some();
        let fits = config
            .frames
            .fits(&mut event, Role::Client, is_call, &config.limits);
        let sent = fits.and_then(|()| {
            self.backlog
                .enqueue(event, callback, options, terms, &mut self.stats)
        });
        if sent.is_err() {
            self.stats.sends_refused += 1;
        }
        sent
    }
}
