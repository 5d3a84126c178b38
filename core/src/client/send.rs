//! The sending half of a client: to the open link, or kept until there is one.

use alloc::boxed::Box;
use core::time::Duration;

use super::life::Leaving;
use super::{Carried, Client, ClientEvent, Instant};
use crate::connection::{ConnectionEvent, PackedSendError, SendCapacity, fits_alone};
use crate::error::{ReplyError, SendError};
use crate::event::{Event, Payload};
use crate::id::{CallId, FlushId, ReplyToken};
use crate::packed::PackedEvent;
use crate::queue::{ReserveError, SendOptions, Sent, Ticket};
use crate::state::ClientPhase;

impl Client {
    /// Queues `event` on the link, or keeps it where that was asked for, see [`OnOffline`](super::OnOffline).
    ///
    /// # Errors
    /// [`SendError`] gives the event back.
    pub fn send(&mut self, now: Instant, event: Event) -> Result<(), SendError> {
        self.send_with(now, event, SendOptions::new()).map(|_| ())
    }

    /// The same in the way `options` say, which hold for the events kept offline as for those
    /// queued on a link. What is volatile is dropped where another would be kept.
    ///
    /// # Errors
    /// [`SendError`] gives the event back.
    pub fn send_with(
        &mut self,
        now: Instant,
        event: Event,
        options: SendOptions,
    ) -> Result<Sent, SendError> {
        self.tick(now);
        self.forward_offline();
        let mut event = event;
        if let Some(connection) = self.open_link() {
            match connection.send_with(now, event, options.clone()) {
                Err(SendError::NotOpen(back)) => event = *back,
                other => return other,
            }
        }
        self.send_offline(event, &options)
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

    /// The same in the way `options` say, as [`send_with`](Self::send_with).
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
        self.forward_offline();
        if let Some(connection) = self.open_link() {
            match connection.send_packed_with(now, event, options.clone()) {
                Err(PackedSendError::NotOpen) => {}
                other => return other,
            }
        }
        self.keep_offline(event, &options)
    }

    /// Asks for room on the open link, as [`Connection::reserve`](crate::Connection::reserve). A reservation fails with its
    /// link.
    ///
    /// # Errors
    /// [`ReserveError`]; [`ReserveError::NotOpen`] also while events sent offline still wait.
    pub fn reserve(
        &mut self,
        now: Instant,
        bytes: usize,
        deadline: Option<Instant>,
    ) -> Result<Ticket, ReserveError> {
        self.tick(now);
        self.forward_offline();
        match self.open_link() {
            Some(connection) => connection.reserve(now, bytes, deadline),
            None => Err(ReserveError::NotOpen),
        }
    }

    /// Queues `event` in the room that `ticket` was granted.
    ///
    /// # Errors
    /// As [`Connection::send_reserved`](crate::Connection::send_reserved).
    pub fn send_reserved(
        &mut self,
        now: Instant,
        ticket: Ticket,
        event: Event,
    ) -> Result<(), SendError> {
        self.send_reserved_with(now, ticket, event, SendOptions::new())
            .map(|_| ())
    }

    /// The same in the way `options` say.
    ///
    /// # Errors
    /// As [`Connection::send_reserved_with`](crate::Connection::send_reserved_with).
    pub fn send_reserved_with(
        &mut self,
        now: Instant,
        ticket: Ticket,
        event: Event,
        options: SendOptions,
    ) -> Result<Sent, SendError> {
        self.tick(now);
        match self.open_link() {
            Some(connection) => connection.send_reserved_with(now, ticket, event, options),
            None => {
                self.count_refused();
                Err(SendError::NotOpen(Box::new(event)))
            }
        }
    }

    /// Gives up a reservation. `false` if it had ended already.
    pub fn release(&mut self, now: Instant, ticket: Ticket) -> bool {
        self.tick(now);
        self.link
            .as_mut()
            .is_some_and(|link| link.connection.release(now, ticket))
    }

    /// Calls the peer, as [`Connection::call`](crate::Connection::call). Call ids are never used twice by one client.
    ///
    /// # Errors
    /// [`SendError`] gives the event back; [`SendError::NotOpen`] also where events are kept:
    /// nobody could answer in time.
    pub fn call(
        &mut self,
        now: Instant,
        event: Event,
        timeout: Duration,
    ) -> Result<CallId, SendError> {
        let (link, event) = self.link_for(now, event)?;
        link.call(now, event, timeout)
    }

    /// Queues `event` on the open link or refuses it: it is not kept for another one.
    pub(crate) fn send_on_link(
        &mut self,
        now: Instant,
        event: Event,
        options: SendOptions,
    ) -> Result<Sent, SendError> {
        let (link, event) = self.link_for(now, event)?;
        link.send_with(now, event, options)
    }

    /// Settles a call as cancelled. `false` if it had settled already.
    pub fn cancel(&mut self, call: CallId) -> bool {
        self.link
            .as_mut()
            .is_some_and(|link| link.connection.cancel(call))
    }

    /// Answers a call. A call of a link that is gone cannot be answered.
    ///
    /// # Errors
    /// [`ReplyError`] gives the payload back.
    pub fn reply(
        &mut self,
        now: Instant,
        token: ReplyToken,
        payload: impl Into<Payload>,
    ) -> Result<(), ReplyError> {
        self.tick(now);
        match &mut self.link {
            Some(link) => link.connection.reply(now, token, payload),
            None => Err(ReplyError::NotOpen(Box::new(payload.into()))),
        }
    }

    /// Answers a call with a failure.
    ///
    /// # Errors
    /// [`ReplyError`] if nobody waits any more.
    pub fn reply_error(&mut self, now: Instant, token: ReplyToken) -> Result<(), ReplyError> {
        self.tick(now);
        match &mut self.link {
            Some(link) => link.connection.reply_error(now, token),
            None => Err(ReplyError::NotOpen(Box::new(Payload::from(
                sente_edn::Value::Nil,
            )))),
        }
    }

    /// Says that a call will not be answered, so that a drain does not wait for it.
    pub fn forget(&mut self, token: ReplyToken) {
        if let Some(link) = &mut self.link {
            link.connection.forget(token);
        }
    }

    /// Asks to be told, by `Flushed`, when everything queued on the link until now was written, as
    /// [`Connection::flush`](crate::Connection::flush).
    /// Fails at once without an open link, and while events sent offline still wait for room.
    pub fn flush(&mut self, now: Instant) -> FlushId {
        self.tick(now);
        self.forward_offline();
        if let Some(connection) = self.open_link() {
            return connection.flush(now);
        }
        let id = self.next_flush();
        self.log
            .push(ClientEvent::Link(ConnectionEvent::FlushFailed(id)));
        id
    }

    /// The link that takes `event` now, or why none does. A refusal has been counted.
    fn link_for(&mut self, now: Instant, event: Event) -> Result<(&mut Carried, Event), SendError> {
        let event = match self.no_link(now) {
            Some(PackedSendError::Full) => {
                let (event, packed) = self.pack(event)?;
                self.count_refused();
                return Err(self.full(event, packed.bytes().len()));
            }
            Some(_) => {
                self.count_refused();
                event
            }
            None => event,
        };
        match self.open_link() {
            Some(link) => Ok((link, event)),
            None => Err(SendError::NotOpen(Box::new(event))),
        }
    }

    /// The link that takes a packed event now, or why none does. A refusal has been counted.
    pub(crate) fn link_for_packed(
        &mut self,
        now: Instant,
    ) -> Result<&mut Carried, PackedSendError> {
        if let Some(refused) = self.no_link(now) {
            self.count_refused();
            return Err(refused);
        }
        self.open_link().ok_or(PackedSendError::NotOpen)
    }

    /// Why no link takes what may not be kept for another one, if none does.
    fn no_link(&mut self, now: Instant) -> Option<PackedSendError> {
        self.tick(now);
        self.forward_offline();
        if self.sends_on_link() {
            return None;
        }
        if !self.state.is_open() {
            return Some(PackedSendError::NotOpen);
        }
        // It would overtake what was sent before.
        self.offline.refused = true;
        Some(PackedSendError::Full)
    }

    /// The connection that takes events now.
    fn open_link(&mut self) -> Option<&mut Carried> {
        let sends = self.sends_on_link();
        let link = self.link.as_mut().filter(|_| sends)?;
        Some(&mut link.connection)
    }

    /// Whether events go to a link now: an open one that has what was sent before.
    pub(super) fn sends_on_link(&self) -> bool {
        self.state.is_open() && self.offline.is_empty()
    }

    /// Whether what is sent now can wait for the next link.
    fn keeps_offline(&self) -> bool {
        let returns = match self.state.phase() {
            ClientPhase::Connecting
            | ClientPhase::Handshaking
            | ClientPhase::Open
            | ClientPhase::Waiting => true,
            ClientPhase::Draining => {
                let leaving = self.link.as_ref().map(|link| link.leaving);
                leaving == Some(Leaving::PeerFinished) && self.auto_reconnect
            }
            ClientPhase::Closed | ClientPhase::Idle => false,
        };
        returns && self.offline.keeps()
    }

    fn send_offline(&mut self, event: Event, options: &SendOptions) -> Result<Sent, SendError> {
        if !self.keeps_offline() {
            self.count_refused();
            return Err(SendError::NotOpen(Box::new(event)));
        }
        let (event, packed) = self.pack(event)?;
        let size = packed.bytes().len();
        self.keep_offline(&packed, options)
            .map_err(|refused| match refused {
                PackedSendError::TooLarge => SendError::TooLarge {
                    event: Box::new(event),
                    size,
                    limit: self.config.connection.limits().max_frame_bytes,
                },
                _ => self.full(event, size),
            })
    }

    fn keep_offline(
        &mut self,
        event: &PackedEvent,
        options: &SendOptions,
    ) -> Result<Sent, PackedSendError> {
        let mut event = event.clone();
        let result = if !self.keeps_offline() {
            Err(PackedSendError::NotOpen)
        } else if event.format() != self.offline.format() {
            Err(PackedSendError::WrongPacker)
        } else if !fits_alone(&mut event, &self.config.connection) {
            Err(PackedSendError::TooLarge)
        } else {
            self.keep(&event, options).ok_or(PackedSendError::Full)
        };
        if result.is_err() {
            self.count_refused();
        }
        result
    }

    /// Packs an event that is not for a link, or not yet. A refusal has been counted.
    fn pack(&mut self, event: Event) -> Result<(Event, PackedEvent), SendError> {
        match PackedEvent::pack(&event, &**self.config.connection.packer()) {
            Ok(packed) => Ok((event, packed)),
            Err(error) => {
                self.count_refused();
                Err(SendError::Unpackable {
                    event: Box::new(event),
                    error,
                })
            }
        }
    }

    fn full(&self, event: Event, needed: usize) -> SendError {
        let SendCapacity {
            messages, bytes, ..
        } = self.offline.capacity();
        SendError::Full {
            event: Box::new(event),
            needed,
            messages,
            bytes,
        }
    }

    const fn count_refused(&mut self) {
        self.stats.refused_offline = self.stats.refused_offline.saturating_add(1);
    }

    /// An id for a flush that fails, in line with those of the links.
    fn next_flush(&mut self) -> FlushId {
        let mut legacy = match &self.link {
            Some(link) => link.connection.legacy(),
            None => self.legacy,
        };
        let id = FlushId(legacy.flush);
        legacy.flush = legacy.flush.wrapping_add(1);
        match &mut self.link {
            Some(link) => link.connection.continue_from(legacy),
            None => self.legacy = legacy,
        }
        id
    }
}
