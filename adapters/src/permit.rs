//! Room in the send queue that one sender holds.

use sente_core::{Event, SendError, SendOptions, Sent, Ticket};

use crate::client::ClientHandle;
use crate::handle::Handle;

/// Room for one event in the send queue of a connection, from
/// [`Handle::reserve`](crate::Handle::reserve), or of the present link of a client, from
/// [`ClientHandle::reserve`](crate::ClientHandle::reserve). Dropped, it is given to the next in
/// line. It is the engine's [`Ticket`] once that holds its room, and who owns it.
#[derive(Debug)]
#[must_use = "dropped, the room is given back"]
pub struct Permit {
    place: Place,
    /// `None` once it is used.
    ticket: Option<Ticket>,
}

/// Where the room is.
#[derive(Debug)]
pub(crate) enum Place {
    Client(ClientHandle),
    Connection(Handle),
}

impl Permit {
    pub(crate) const fn new(place: Place, ticket: Ticket) -> Self {
        Self {
            place,
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
        let sent = match &self.place {
            Place::Client(handle) => handle
                .shared()
                .with_waking(|client, now| client.send_reserved_with(now, ticket, event, options)),
            Place::Connection(handle) => handle.shared.with_waking(|connection, now| {
                connection.send_reserved_with(now, ticket, event, options)
            }),
        };
        if sent.is_ok() {
            self.ticket = None;
        }
        sent
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        match &self.place {
            Place::Client(handle) => handle.shared().release(ticket),
            Place::Connection(handle) => {
                handle.shared.lock().tickets.remove(&ticket);
                let shared = &handle.shared;
                shared.with(|connection, now| connection.release(now, ticket));
            }
        }
    }
}
