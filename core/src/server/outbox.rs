//! What modules say goes through the server like everything else.

use alloc::boxed::Box;
use core::time::Duration;

use crate::error::{ReplyError, SendError};
use crate::event::{Event, Payload};
use crate::hub::{FanoutError, Target};
use crate::id::{CallId, ConnId, ReplyToken};
use crate::module::{Outbox, Published};
use crate::packer::PackError;
use crate::queue::{SendOptions, Sent};
use crate::time::Instant;

use super::{Link, Server};

impl Server {
    /// Queues `event` for one connection, behind what the hub has delivered to it.
    ///
    /// # Errors
    /// [`SendError`] gives the event back, as [`Connection::send`](crate::Connection::send).
    pub fn send(&mut self, now: Instant, to: ConnId, event: Event) -> Result<(), SendError> {
        self.send_with(now, to, event, SendOptions::new())
            .map(|_| ())
    }

    /// Queues `event` for one connection in the way `options` say.
    ///
    /// # Errors
    /// [`SendError`] gives the event back, as [`Connection::send_with`](crate::Connection::send_with).
    pub fn send_with(
        &mut self,
        now: Instant,
        to: ConnId,
        event: Event,
        options: SendOptions,
    ) -> Result<Sent, SendError> {
        self.tick(now);
        self.refresh(to);
        let now = self.now;
        let sent = match self.links.get_mut(&to) {
            None => return Err(SendError::NotOpen(Box::new(event))),
            Some(link) if link.has_a_line() => return Err(link.full(event)),
            Some(link) => link.connection.send_with(now, event, options),
        };
        self.refresh(to);
        sent
    }

    /// Calls one connection's peer, to be answered within `timeout`; it settles as a `Settled`
    /// event of that connection.
    ///
    /// # Errors
    /// [`SendError`] gives the event back, as [`Connection::call`](crate::Connection::call).
    pub fn call(
        &mut self,
        now: Instant,
        to: ConnId,
        event: Event,
        timeout: Duration,
    ) -> Result<CallId, SendError> {
        self.tick(now);
        self.refresh(to);
        let now = self.now;
        let call = match self.links.get_mut(&to) {
            None => return Err(SendError::NotOpen(Box::new(event))),
            Some(link) if link.has_a_line() => return Err(link.full(event)),
            Some(link) => link.connection.call(now, event, timeout),
        };
        self.refresh(to);
        call
    }

    /// Settles a call as cancelled. `false` if it had settled already.
    pub fn cancel(&mut self, now: Instant, to: ConnId, call: CallId) -> bool {
        let cancelled = self.with_connection(now, to, |connection, _| connection.cancel(call));
        cancelled.unwrap_or(false)
    }

    /// Answers a call that came on a connection.
    ///
    /// # Errors
    /// [`ReplyError`] gives the payload back, as [`Connection::reply`](crate::Connection::reply).
    pub fn reply(
        &mut self,
        now: Instant,
        to: ConnId,
        token: ReplyToken,
        payload: impl Into<Payload>,
    ) -> Result<(), ReplyError> {
        self.tick(now);
        let payload = payload.into();
        let replied = match self.links.get_mut(&to) {
            None => Err(ReplyError::NotOpen(Box::new(payload))),
            Some(link) => link.connection.reply(self.now, token, payload),
        };
        self.refresh(to);
        replied
    }

    /// Answers a call with a failure.
    ///
    /// # Errors
    /// [`ReplyError`] if nobody waits any more.
    pub fn reply_error(
        &mut self,
        now: Instant,
        to: ConnId,
        token: ReplyToken,
    ) -> Result<(), ReplyError> {
        let replied = self.with_connection(now, to, |connection, now| {
            connection.reply_error(now, token)
        });
        let nobody = || ReplyError::NotOpen(Box::new(Payload::from(sente_edn::Value::Nil)));
        replied.unwrap_or_else(|| Err(nobody()))
    }

    /// Says that a call will not be answered, so that a drain does not wait for it.
    pub fn forget(&mut self, now: Instant, to: ConnId, token: ReplyToken) {
        self.with_connection(now, to, |connection, _| connection.forget(token));
    }
}

impl Link {
    /// Whether something waits that an event queued now would overtake.
    fn has_a_line(&self) -> bool {
        !self.inbox.is_empty() && self.takes()
    }

    fn full(&self, event: Event) -> SendError {
        SendError::Full {
            event: Box::new(event),
            messages: self.inbox.len(),
            bytes: self.inbox.bytes(),
            needed: 0,
        }
    }
}

/// At the time the server was last told.
impl Outbox for Server {
    fn send_with(
        &mut self,
        to: ConnId,
        event: Event,
        options: SendOptions,
    ) -> Result<Sent, SendError> {
        Self::send_with(self, self.now, to, event, options)
    }

    fn publish_with(
        &mut self,
        to: &Target,
        event: &Event,
        options: &SendOptions,
    ) -> Result<Published, PackError> {
        let mut published = Published::default();
        match self.fan_out_with(self.now, to, event, options) {
            // What an inbox has no room for is told as the loss of a slow consumer.
            Ok(fanout) => published.queued = fanout.connections,
            Err(FanoutError::NoChannel) => {}
            Err(FanoutError::Pack(error)) => return Err(error),
            Err(FanoutError::TooManyWaiting { .. }) => published.throttled = true,
        }
        Ok(published)
    }

    fn call(&mut self, to: ConnId, event: Event, timeout: Duration) -> Result<CallId, SendError> {
        Self::call(self, self.now, to, event, timeout)
    }

    fn cancel(&mut self, to: ConnId, call: CallId) -> bool {
        Self::cancel(self, self.now, to, call)
    }

    fn reply(&mut self, to: ConnId, token: ReplyToken, payload: Payload) -> Result<(), ReplyError> {
        Self::reply(self, self.now, to, token, payload)
    }

    fn reply_error(&mut self, to: ConnId, token: ReplyToken) -> Result<(), ReplyError> {
        Self::reply_error(self, self.now, to, token)
    }

    fn forget(&mut self, to: ConnId, token: ReplyToken) {
        Self::forget(self, self.now, to, token);
    }
}
