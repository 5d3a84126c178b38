//! What the application says over an Ajax session: events, and replies to calls.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::backlog::{Refused, Terms};
use super::request::{Exchange, Response};
use super::session::AjaxSession;
use crate::connection::{PackedSendError, State};
use crate::error::{ReplyError, SendError};
use crate::event::{Event, Payload};
use crate::id::ReplyToken;
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
        if self.state != State::Open {
            self.stats.sends_refused += 1;
            return Err(SendError::NotOpen(Box::new(event)));
        }
        match PackedEvent::pack(&event, &*self.config.packer) {
            Ok(packed) => self
                .enqueue(packed, &options)
                .map_err(|refused| self.backlog.send_error(event, refused)),
            Err(error) => {
                self.stats.sends_refused += 1;
                Err(SendError::Unpackable {
                    event: Box::new(event),
                    error,
                })
            }
        }
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
        if self.state != State::Open {
            self.stats.sends_refused += 1;
            return Err(PackedSendError::NotOpen);
        }
        let sent = self.enqueue(event.clone(), &options)?;
        Ok(sent)
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
        if result.is_err() {
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
    pub fn forget(&mut self, now: Instant, token: ReplyToken) {
        let _ = self.reply_error(now, token);
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
        let fits = config
            .frames
            .fits(&mut event, Role::Server, false, &config.limits);
        let sent = fits.and_then(|()| {
            self.backlog
                .enqueue(event, None, options, terms, &mut self.stats)
        });
        if sent.is_err() {
            self.stats.sends_refused += 1;
        }
        if was_empty && !self.backlog.is_empty() {
            self.held_until = config.flush_window.map(|window| self.now + window);
        }
        if (options.flush && sent.is_ok()) || self.backlog.fills_a_batch(&config.limits) {
            self.held_until = None;
        }
        sent
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
