//! How a sender waits: in line for room, and until the send rate allows its event.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::pin;

use sente_core::{Event, ReserveError, SendError, SendOptions, Sent};

use crate::engine::Engine;
use crate::handle::Handle;
use crate::permit::Permit;
use crate::runtime::{Either, either, ready_or};

/// Queues `event`, waiting for room and for the rate.
pub(crate) async fn send<M: Engine>(
    handle: &Handle<M>,
    event: Event,
    options: SendOptions,
) -> Result<Sent, SendError> {
    let sent = send_or(handle, event, options, pending::<Infallible>());
    sent.await.map_err(|unsent| match unsent {
        Unsent::Refused(error) => error,
        Unsent::Late(never, _) => match never {},
    })
}

/// Why an event was not queued. The event is in it.
pub(crate) enum Unsent<L> {
    /// It was refused.
    Refused(SendError),
    /// It still waited when it was given up.
    Late(L, Box<Event>),
}

/// The same, and gives up waiting, never the event, once `late` comes.
pub(crate) async fn send_or<M: Engine, L>(
    handle: &Handle<M>,
    event: Event,
    options: SendOptions,
    late: impl Future<Output = L>,
) -> Result<Sent, Unsent<L>> {
    let mut late = pin!(late);
    let shared = &handle.shared;
    let mut event = event;
    let mut permit: Option<Permit<M>> = None;
    let mut has_no_line = false;
    loop {
        let mut room = pin!(shared.room.notified());
        room.as_mut().enable();
        let sent = match &mut permit {
            None => handle.try_send_with(event, options.clone()),
            Some(permit) => permit.try_send_with(event, options.clone()),
        };
        match sent {
            Err(SendError::Full {
                event: back,
                messages,
                bytes,
                needed,
            }) => {
                event = *back;
                // What it holds is too little by now: who waits with it would wait for itself.
                permit = None;
                let full = |event| {
                    Err(Unsent::Refused(SendError::Full {
                        event: Box::new(event),
                        messages,
                        bytes,
                        needed,
                    }))
                };
                let reserved = match either(handle.reserve(needed), late.as_mut()).await {
                    Either::First(reserved) => reserved,
                    Either::Second(late) => return Err(Unsent::Late(late, Box::new(event))),
                };
                match reserved {
                    Ok(granted) => {
                        has_no_line = false;
                        permit = Some(granted);
                    }
                    // No room can be waited for.
                    Err(ReserveError::TooLarge { .. }) => return full(event),
                    // The line is full, too.
                    Err(ReserveError::TooMany { .. }) => {
                        if let Either::Second(late) = either(room, late.as_mut()).await {
                            return Err(Unsent::Late(late, Box::new(event)));
                        }
                    }
                    // It ended in this moment, so the next attempt says so and gives the event
                    // back; or the event is to be kept until there is a link, where nobody queues.
                    Err(_) if !std::mem::replace(&mut has_no_line, true) => {}
                    Err(_) if messages == 0 => return full(event),
                    Err(_) => {
                        if let Either::Second(late) = either(room, late.as_mut()).await {
                            return Err(Unsent::Late(late, Box::new(event)));
                        }
                    }
                }
            }
            Err(SendError::RateLimited {
                event: back,
                retry_at,
            }) => {
                event = *back;
                // News of room is also that of the end of the connection.
                let allowed = ready_or(room, shared.clock.reached(Some(retry_at)));
                if let Either::Second(late) = either(allowed, late.as_mut()).await {
                    return Err(Unsent::Late(late, Box::new(event)));
                }
            }
            // The link on which there was room is gone.
            Err(SendError::NoReservation(back) | SendError::NotOpen(back)) if permit.is_some() => {
                event = *back;
                permit = None;
            }
            other => return other.map_err(Unsent::Refused),
        }
    }
}
