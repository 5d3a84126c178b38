//! What the application says over an Ajax link: events and calls.

use alloc::boxed::Box;
use core::time::Duration;

use super::AjaxClient;
use crate::ajax::backlog::{Refused, Terms};
use crate::calls::CallName;
use crate::connection::{PackedSendError, State};
use crate::error::{CallError, ReplyError, SendError};
use crate::event::{Event, Payload};
use crate::id::{CallId, ReplyToken};
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
        if !self.takes_events() {
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
        let name = CallName::new(&self.calls.next_id().to_be_bytes());
        match self.enqueue(packed, Some(name.clone()), &SendOptions::new()) {
            Ok(_) => Ok(self.calls.register(&name, self.now + timeout)),
            Err(refused) => Err(self.backlog.send_error(event, refused)),
        }
    }

    /// Settles a call as cancelled, and ends its request. `false` if it had settled already.
    pub fn cancel(&mut self, call: CallId) -> bool {
        if !self.calls.remove(call) {
            return false;
        }
        if let Some(exchange) = self.call_posts.remove(&call) {
            self.posts.remove(&exchange);
            self.waiting.remove(exchange);
            self.aborts.push_back(exchange);
        }
        self.settle_call(call, Err(CallError::Cancelled), 0);
        self.settle();
        true
    }

    /// Refuses to reply: over Ajax a server cannot call, so there is no token of this link's. Here
    /// for code that serves connections and links alike, as [`SendHalf`](crate::SendHalf).
    ///
    /// # Errors
    /// Always [`ReplyError::WrongConnection`], which gives the payload back.
    pub fn reply(
        &mut self,
        now: Instant,
        _token: ReplyToken,
        payload: impl Into<Payload>,
    ) -> Result<(), ReplyError> {
        self.tick(now);
        Err(ReplyError::WrongConnection(Box::new(payload.into())))
    }

    /// Refuses to reply, as [`reply`](Self::reply).
    ///
    /// # Errors
    /// Always [`ReplyError::WrongConnection`].
    pub fn reply_error(&mut self, now: Instant, token: ReplyToken) -> Result<(), ReplyError> {
        self.reply(now, token, sente_edn::Value::Nil)
    }

    /// Does nothing: over Ajax a server cannot call.
    pub fn forget(&mut self, token: ReplyToken) {
        drop(token);
    }

    pub(in crate::ajax) fn pack(
        &mut self,
        event: Event,
    ) -> Result<(Event, PackedEvent), SendError> {
        let error = if self.takes_events() {
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
        callback: Option<CallName>,
        options: &SendOptions,
    ) -> Result<Sent, Refused> {
        let config = self.config.clone();
        let terms = Terms {
            limits: &config.limits,
            keep_dropped: config.keep_dropped,
            format: config.packer.format(),
            waits: self.event_post.is_some() || self.paused_until.is_some(),
        };
        let is_call = callback.is_some();
        let sent = self.fits(&mut event, is_call).and_then(|()| {
            self.backlog
                .enqueue(event, callback, options, terms, &mut self.stats)
        });
        if let Err(refused) = &sent {
            self.stats.count_refused(refused.is_too_large());
        }
        // Others may have been dropped for it.
        self.was_queued(false, false);
        sent
    }

    /// Whether an event, or a call, fits a frame.
    pub(in crate::ajax) fn fits(
        &self,
        event: &mut PackedEvent,
        is_call: bool,
    ) -> Result<(), Refused> {
        let config = &self.config;
        config
            .frames
            .fits(event, Role::Client, is_call, &config.limits)
    }

    /// Sees to those who wait after something was dropped for what was queued. There is no flush
    /// window here.
    pub(in crate::ajax) fn was_queued(&mut self, _was_empty: bool, _flush: bool) {
        self.backlog.grant(&self.config.limits);
        self.settle_flushes();
    }

    pub(in crate::ajax) fn was_flushed(&mut self) {
        self.settle_flushes();
    }

    pub(in crate::ajax) fn takes_events(&self) -> bool {
        self.state == State::Open
    }
}
