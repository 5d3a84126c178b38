//! Room in the send queue that one sender holds.

use sente_core::{Connection, Event, SendError, SendOptions, Sent, Ticket};

use crate::engine::Engine;
use crate::handle::Handle;

/// Room for one event in the send queue of a connection, or of the present link of a client, from
/// [`Handle::reserve`]. Dropped, it is given to the next in line. It is the engine's [`Ticket`] once
/// that holds its room, and who owns it.
#[derive(Debug)]
#[must_use = "dropped, the room is given back"]
pub struct Permit<M: Engine = Connection> {
    handle: Handle<M>,
    /// `None` once it is used.
    ticket: Option<Ticket>,
}

impl<M: Engine> Permit<M> {
    pub(crate) const fn new(handle: Handle<M>, ticket: Ticket) -> Self {
        Self {
            handle,
            ticket: Some(ticket),
        }
    }

    /// Queues `event` in this room, now.
    ///
    /// # Errors
    /// [`SendError`] gives the event back: not open any more, over the send rate, not packable, or
    /// larger than was reserved while there is no more room; [`SendError::NoReservation`] if a
    /// client has another link by now.
    pub fn send(self, event: Event) -> Result<(), SendError> {
        self.send_with(event, SendOptions::new()).map(|_| ())
    }

    /// Queues `event` in this room in the way `options` say. It has its room, so a policy decides
    /// only what may become of it later, and which one of the same key it replaces.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    pub fn send_with(mut self, event: Event, options: SendOptions) -> Result<Sent, SendError> {
        self.try_send_with(event, options)
    }

    /// The same, and the room is kept where the event is refused.
    pub(crate) fn try_send_with(
        &mut self,
        event: Event,
        options: SendOptions,
    ) -> Result<Sent, SendError> {
        let Some(ticket) = self.ticket else {
            return Err(SendError::NoReservation(Box::new(event)));
        };
        let shared = &self.handle.shared;
        let sent = shared
            .with_waking(|machine, now| machine.send_reserved_with(now, ticket, event, options));
        if sent.is_ok() {
            self.ticket = None;
        }
        sent
    }
}

impl<M: Engine> Drop for Permit<M> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.handle.shared.release(ticket);
        }
    }
}
