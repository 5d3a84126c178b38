//! One peer of the simulation: a machine of the engine and what the simulation knows of it.

use std::time::Duration;

use bytes::BytesMut;
use sente_core::{
    CallId, Event, FlushId, Input, Instant, PackedEvent, PackedSendError, Payload, ReplyError,
    ReplyToken, ReserveError, SendError, SendOptions, Sent, Ticket,
};

use super::hall::{self, take_token};
use super::machine::{Heard, Machine};
use super::spec::Spec;

/// What an application asks of its machine.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Command {
    /// Accept the peer, on a server.
    Accept,
    /// Let so many bytes wait to be read by the application.
    Allowance(usize),
    /// Whether to reconnect, on a client.
    AutoReconnect(bool),
    /// Break the transport of a client.
    Break,
    /// Cancel the call with this number: the peer's first has 0.
    Cancel(usize),
    /// Queue a call with this time to wait.
    Call(Event, Duration),
    /// Close now.
    Close,
    /// Ask for a link, on a client.
    Connect,
    /// Close in order, until this time at the latest.
    Drain(Instant),
    /// Ask to be told when all before has been written.
    Flush,
    /// Drop the right to answer with this number.
    Forget(usize),
    /// Ask for a fresh link, on a client.
    Reconnect,
    /// Give up the reservation with this number: the peer's first has 0.
    Release(usize),
    /// Answer with the right of this number: the first one the peer was given has 0.
    Reply(usize, Payload),
    /// Answer that it failed.
    ReplyError(usize),
    /// Ask for room for so many bytes, and wait for it until this time.
    Reserve(usize, Option<Instant>),
    /// Queue an event.
    Send(Event),
    /// Queue an event that is packed before.
    SendPacked(Event),
    /// Queue an event in the room of the reservation with this number.
    SendReserved(usize, Event),
    /// Queue an event in another way than `Send` does.
    SendWith(Event, SendOptions),
}

/// What a command gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Given {
    /// A call and its number.
    Call(CallId, usize),
    /// Nothing but success.
    Done,
    /// A flush.
    Flush(FlushId),
    /// What became of an event.
    Sent(Sent),
    /// A reservation and its number.
    Ticket(Ticket, usize),
}

/// Why a command was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// This side cannot call that one.
    CallsUnsupported,
    /// The send queue is full.
    Full,
    /// The connection is not open (yet, or any more).
    NotOpen,
    /// The reservation holds no room.
    NoReservation,
    /// Nothing had this number, or it was used up.
    NoSuch,
    /// For another reason.
    Other,
    /// Over the send rate until then.
    RateLimited(Instant),
    /// Over the frame limit, or more than ever fits.
    TooLarge,
    /// Over the limit on pending calls.
    TooManyCalls,
    /// Over the limit on reservations.
    TooManyReservations,
}

impl From<&SendError> for Refused {
    fn from(error: &SendError) -> Self {
        match error {
            SendError::CallsUnsupported(_) => Self::CallsUnsupported,
            SendError::Full { .. } => Self::Full,
            SendError::NoReservation(_) => Self::NoReservation,
            SendError::NotOpen(_) => Self::NotOpen,
            SendError::RateLimited { retry_at, .. } => Self::RateLimited(*retry_at),
            SendError::TooLarge { .. } => Self::TooLarge,
            SendError::TooManyCalls { .. } => Self::TooManyCalls,
            _ => Self::Other,
        }
    }
}

impl From<PackedSendError> for Refused {
    fn from(error: PackedSendError) -> Self {
        match error {
            PackedSendError::Full => Self::Full,
            PackedSendError::NotOpen => Self::NotOpen,
            PackedSendError::RateLimited { retry_at } => Self::RateLimited(retry_at),
            PackedSendError::TooLarge => Self::TooLarge,
            _ => Self::Other,
        }
    }
}

impl From<ReserveError> for Refused {
    fn from(error: ReserveError) -> Self {
        match error {
            ReserveError::NotOpen => Self::NotOpen,
            ReserveError::TooLarge { .. } => Self::TooLarge,
            ReserveError::TooMany { .. } => Self::TooManyReservations,
            _ => Self::Other,
        }
    }
}

impl From<&ReplyError> for Refused {
    fn from(error: &ReplyError) -> Self {
        match error {
            ReplyError::NotOpen(_) => Self::NotOpen,
            ReplyError::TooLarge { .. } => Self::TooLarge,
            _ => Self::Other,
        }
    }
}

/// A machine, and the names its application has given out or was given.
#[derive(Debug)]
pub struct Peer {
    pub(super) machine: Machine,
    pub(super) spec: Spec,
    /// The rights to answer, by number; `None` once used.
    pub(super) tokens: Vec<Option<ReplyToken>>,
    calls: Vec<CallId>,
    tickets: Vec<Ticket>,
    /// The peer that is the server, for one of its connections.
    pub(super) server: Option<usize>,
}

impl Peer {
    pub(super) fn new(spec: Spec, now: Instant) -> Self {
        let machine = Machine::new(&spec, now);
        Self::with_machine(spec, machine)
    }

    pub(super) const fn with_machine(spec: Spec, machine: Machine) -> Self {
        Self {
            machine,
            spec,
            tokens: Vec::new(),
            calls: Vec::new(),
            tickets: Vec::new(),
            server: None,
        }
    }

    /// Takes the next event out of the machine; the right to answer it stays here, by its number.
    pub(super) fn poll_event(&mut self) -> Option<(Heard, Option<usize>)> {
        let mut event = self.machine.poll_event()?;
        let token = match &mut event {
            Heard::Link(event) => take_token(event),
            Heard::Life(_) | Heard::Server(_) => None,
        };
        let number = token.is_some().then_some(self.tokens.len());
        if token.is_some() {
            self.tokens.push(token);
        }
        Some((event, number))
    }

    pub(super) fn command(&mut self, now: Instant, command: Command) -> Result<Given, Refused> {
        // Both kinds of machine have these verbs.
        macro_rules! both {
            ($machine:ident => $done:expr) => {
                match &mut self.machine {
                    Machine::Connection($machine) => $done,
                    Machine::Client($machine, _) => $done,
                    Machine::Served(..) | Machine::Server(_) => return Err(Refused::Other),
                }
            };
        }
        let mut token = |number: usize| {
            let token = self.tokens.get_mut(number).and_then(Option::take);
            token.ok_or(Refused::NoSuch)
        };
        if let Machine::Served(hall, id) = &self.machine {
            return hall::command(hall, *id, now, command, token);
        }
        match command {
            Command::Accept => {
                if let Machine::Connection(connection) = &mut self.machine {
                    connection.accept(now, self.spec.accept());
                }
                Ok(Given::Done)
            }
            Command::Allowance(bytes) => {
                if let Machine::Connection(connection) = &mut self.machine {
                    connection.set_recv_allowance(now, bytes);
                }
                Ok(Given::Done)
            }
            Command::AutoReconnect(_) | Command::Break | Command::Connect | Command::Reconnect => {
                if let Machine::Client(client, _) = &mut self.machine {
                    match command {
                        Command::AutoReconnect(on) => client.set_auto_reconnect(now, on),
                        Command::Break => client.break_connection(now),
                        Command::Connect => client.connect(now),
                        _ => client.reconnect(now),
                    }
                }
                Ok(Given::Done)
            }
            Command::Cancel(number) => {
                let call = self.calls.get(number).ok_or(Refused::NoSuch)?;
                let pending = both!(m => m.cancel(*call));
                pending.then_some(Given::Done).ok_or(Refused::NoSuch)
            }
            Command::Call(event, timeout) => match both!(m => m.call(now, event, timeout)) {
                Ok(call) => {
                    self.calls.push(call);
                    Ok(Given::Call(call, self.calls.len() - 1))
                }
                Err(error) => Err(Refused::from(&error)),
            },
            Command::Close => {
                match &mut self.machine {
                    Machine::Connection(connection) => connection.close(now),
                    Machine::Client(client, _) => client.disconnect(now),
                    Machine::Served(..) | Machine::Server(_) => return Err(Refused::Other),
                }
                Ok(Given::Done)
            }
            Command::Drain(deadline) => {
                both!(m => m.drain(now, deadline));
                Ok(Given::Done)
            }
            Command::Flush => Ok(Given::Flush(both!(m => m.flush(now)))),
            Command::Forget(number) => {
                let token = token(number)?;
                both!(m => m.forget(token));
                Ok(Given::Done)
            }
            Command::Release(number) => {
                let ticket = *self.tickets.get(number).ok_or(Refused::NoSuch)?;
                let released = both!(m => m.release(now, ticket));
                released.then_some(Given::Done).ok_or(Refused::NoSuch)
            }
            Command::Reply(number, payload) => {
                let token = token(number)?;
                let reply = both!(m => m.reply(now, token, payload));
                reply.map(|()| Given::Done).map_err(|e| Refused::from(&e))
            }
            Command::ReplyError(number) => {
                let token = token(number)?;
                let reply = both!(m => m.reply_error(now, token));
                reply.map(|()| Given::Done).map_err(|e| Refused::from(&e))
            }
            Command::Reserve(bytes, deadline) => {
                let ticket = both!(m => m.reserve(now, bytes, deadline))?;
                self.tickets.push(ticket);
                Ok(Given::Ticket(ticket, self.tickets.len() - 1))
            }
            Command::SendReserved(number, event) => {
                let ticket = *self.tickets.get(number).ok_or(Refused::NoSuch)?;
                let sent = both!(m => m.send_reserved(now, ticket, event));
                sent.map(|()| Given::Done).map_err(|e| Refused::from(&e))
            }
            Command::Send(event) => {
                let sent = both!(m => m.send(now, event));
                sent.map(|()| Given::Done).map_err(|e| Refused::from(&e))
            }
            Command::SendWith(event, options) => {
                let sent = both!(m => m.send_with(now, event, options));
                sent.map(Given::Sent).map_err(|e| Refused::from(&e))
            }
            Command::SendPacked(event) => {
                let packed = PackedEvent::pack(&event, &**self.spec.config().packer())
                    .map_err(|_| Refused::Other)?;
                let sent = both!(m => m.send_packed(now, &packed));
                sent.map(|()| Given::Done).map_err(Refused::from)
            }
        }
    }

    pub(super) fn bytes(&mut self, now: Instant, attempt: u64, bytes: &mut BytesMut) {
        let input = Input::Bytes(bytes);
        self.machine.handle_input(now, attempt, input);
    }
}
