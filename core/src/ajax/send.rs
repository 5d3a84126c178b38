//! What the application says over an Ajax session: events, and replies to calls.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use super::backlog::{Refused, Terms};
use super::request::{Exchange, Response};
use super::session::AjaxSession;
use crate::connection::{PackedSendError, State};
use crate::error::{ReplyError, SendError};
use crate::event::{Event, Payload};
use crate::id::{CallId, ReplyToken};
use crate::packed::{PackedEvent, pack_payload};
use crate::profile::Role;
use crate::queue::{SendOptions, Sent};
use crate::time::Instant;

impl AjaxSession {
    /// Queues `event` for the poll that waits or the next one. `Ok` means queued: it will be told in
    /// order, unless the session ends first, and then it comes back as `Undelivered`.
    ///
    /// # Errors
    /// [`SendError`] gives the event back: not open, queue full, too large, or not packable.
    pub fn send(&mut self, now: Instant, event: Event) -> Result<(), SendError> {
        self.send_with(now, event, SendOptions::new()).map(|_| ())
    }

    /// Queues `event` in the way `options` say, which may drop it or an older one: see
    /// [`Policy`](crate::Policy). A `Volatile` event is dropped while no poll waits.
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
        self.enqueue(packed, &options)
            .map_err(|refused| self.backlog.send_error(event, refused))
    }

    /// Queues an event that was packed before, as a broadcast does.
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
        let sent = self.enqueue(event.clone(), &options)?;
        Ok(sent)
    }

    /// Refuses to call: a client that polls has no way to answer. Here for code that serves
    /// connections and sessions alike, as [`SendHalf`](crate::SendHalf).
    ///
    /// # Errors
    /// Always: [`SendError::NotOpen`] while the session is not open, else
    /// [`SendError::CallsUnsupported`]. Both give the event back.
    pub fn call(
        &mut self,
        now: Instant,
        event: Event,
        _timeout: Duration,
    ) -> Result<CallId, SendError> {
        self.tick(now);
        self.stats.sends_refused += 1;
        let event = Box::new(event);
        Err(if self.takes_events() {
            SendError::CallsUnsupported(event)
        } else {
            SendError::NotOpen(event)
        })
    }

    /// Always `false`: there are [no calls](Self::call) to cancel.
    #[must_use]
    pub const fn cancel(&mut self, _call: CallId) -> bool {
        false
    }

    /// Answers a call: its post is answered.
    ///
    /// # Errors
    /// [`ReplyError`] gives the payload back: nobody waits any more, or the reply cannot be packed or
    /// is too large. In the latter cases the caller is told that the call failed (`:chsk/error`).
    pub fn reply(
        &mut self,
        now: Instant,
        token: ReplyToken,
        payload: impl Into<Payload>,
    ) -> Result<(), ReplyError> {
        self.tick(now);
        let payload = Box::new(payload.into());
        let exchange = match self.redeem(&token) {
            Redeemed::Exchange(exchange) => exchange,
            Redeemed::NobodyWaits => return Err(ReplyError::NotOpen(payload)),
            Redeemed::Elsewhere => return Err(ReplyError::WrongConnection(payload)),
        };
        let config = self.config.clone();
        let limit = config.limits.max_frame_bytes;
        let mut packed = Vec::new();
        let framed = pack_payload(&payload, &*config.packer, &mut packed)
            .and_then(|()| config.frames.alone(&packed));
        let result = match framed {
            Err(error) => Err(ReplyError::Unpackable { payload, error }),
            Ok(frame) if frame.len() > limit => Err(ReplyError::TooLarge {
                payload,
                size: frame.len(),
                limit,
            }),
            Ok(frame) => {
                self.warn_if_large(frame.len());
                self.answer(exchange, Response::message(config.packer.kind(), frame));
                Ok(())
            }
        };
        if let Err(error) = &result {
            if matches!(error, ReplyError::TooLarge { .. }) {
                self.stats.oversized_refused += 1;
            }
            self.answer_with(exchange, &config.frames.error);
        }
        self.settle();
        result
    }

    /// Answers a call with a failure (`:chsk/error`).
    ///
    /// # Errors
    /// [`ReplyError`] if nobody waits any more.
    pub fn reply_error(&mut self, now: Instant, token: ReplyToken) -> Result<(), ReplyError> {
        self.tick(now);
        let nothing = || Box::new(Payload::from(sente_edn::Value::Nil));
        match self.redeem(&token) {
            Redeemed::NobodyWaits => Err(ReplyError::NotOpen(nothing())),
            Redeemed::Elsewhere => Err(ReplyError::WrongConnection(nothing())),
            Redeemed::Exchange(exchange) => {
                let error = self.config.frames.error.clone();
                self.answer_with(exchange, &error);
                self.settle();
                Ok(())
            }
        }
    }

    /// Says that a call will not be answered: its caller is told at once that it failed
    /// (`:chsk/error`), so that its post need not be held.
    pub fn forget(&mut self, token: ReplyToken) {
        let _ = self.reply_error(self.now, token);
    }

    pub(super) fn answer_error(&mut self, token: ReplyToken) {
        let _ = self.reply_error(self.now, token);
    }

    fn enqueue(&mut self, mut event: PackedEvent, options: &SendOptions) -> Result<Sent, Refused> {
        let config = self.config.clone();
        let terms = Terms {
            limits: &config.limits,
            keep_dropped: config.keep_dropped,
            format: config.packer.format(),
            waits: self.parked.is_none(),
        };
        let was_empty = self.backlog.is_empty();
        let sent = self.fits(&mut event, false).and_then(|()| {
            self.backlog
                .enqueue(event, None, options, terms, &mut self.stats)
        });
        if let Err(refused) = &sent {
            self.stats.count_refused(refused.is_too_large());
        }
        self.was_queued(was_empty, options.flush && sent.is_ok());
        sent
    }

    pub(super) fn pack(&mut self, event: Event) -> Result<(Event, PackedEvent), SendError> {
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

    /// Whether an event fits a frame.
    pub(super) fn fits(&self, event: &mut PackedEvent, is_call: bool) -> Result<(), Refused> {
        let config = &self.config;
        config
            .frames
            .fits(event, Role::Server, is_call, &config.limits)
    }

    /// Sees to the flush window after something was queued, and to those who wait after something
    /// was dropped for it.
    pub(super) fn was_queued(&mut self, was_empty: bool, flush: bool) {
        let config = self.config.clone();
        if was_empty && !self.backlog.is_empty() {
            self.held_until = config.flush_window.map(|window| self.now + window);
        }
        if flush || self.backlog.fills_a_batch(&config.limits) {
            self.held_until = None;
        }
        self.backlog.grant(&config.limits);
        self.backlog.settle_flushes(false);
    }

    /// A flush ends the flush window.
    pub(super) fn was_flushed(&mut self) {
        self.held_until = None;
        self.backlog.settle_flushes(false);
    }

    pub(super) fn takes_events(&self) -> bool {
        self.state == State::Open
    }

    /// The post a token answers, which waits no longer.
    fn redeem(&mut self, token: &ReplyToken) -> Redeemed {
        if token.connection != self.serial {
            return Redeemed::Elsewhere;
        }
        let number = <[u8; 8]>::try_from(&*token.callback).map(u64::from_be_bytes);
        match number.map(Exchange) {
            Ok(exchange) if self.calls.remove(exchange) => Redeemed::Exchange(exchange),
            _ => Redeemed::NobodyWaits,
        }
    }
}

/// What became of a token.
enum Redeemed {
    Elsewhere,
    Exchange(Exchange),
    NobodyWaits,
}
