//! How a sender waits: in line for room, and until the send rate allows its event.

use sente_core::{Event, Instant, ReserveError, SendError, SendOptions, Sent};
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::permit::Permit;

/// What one can send with and wait at.
pub(crate) trait Sender: Sync {
    fn try_send_with(&self, event: Event, options: SendOptions) -> Result<Sent, SendError>;
    fn reserve(&self, bytes: usize) -> impl Future<Output = Result<Permit, ReserveError>> + Send;
    /// Tells of room for those who could not wait in line, and of the end.
    fn room(&self) -> &Notify;
    fn clock(&self) -> Clock;
}

/// Queues `event`, waiting for room and for the rate.
pub(crate) async fn send(
    sender: &impl Sender,
    event: Event,
    options: SendOptions,
) -> Result<Sent, SendError> {
    let mut event = event;
    let mut permit: Option<Permit> = None;
    let mut has_no_line = false;
    loop {
        let room = sender.room().notified();
        tokio::pin!(room);
        room.as_mut().enable();
        let sent = match &mut permit {
            None => sender.try_send_with(event, options.clone()),
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
                    Err(SendError::Full {
                        event: Box::new(event),
                        messages,
                        bytes,
                        needed,
                    })
                };
                match sender.reserve(needed).await {
                    Ok(granted) => {
                        has_no_line = false;
                        permit = Some(granted);
                    }
                    // No room can be waited for.
                    Err(ReserveError::TooLarge { .. }) => return full(event),
                    // The line is full, too.
                    Err(ReserveError::TooMany { .. }) => room.await,
                    // It ended in this moment, so the next attempt says so and gives the event
                    // back; or the event is to be kept until there is a link, where nobody queues.
                    Err(_) if !std::mem::replace(&mut has_no_line, true) => {}
                    Err(_) if messages == 0 => return full(event),
                    Err(_) => room.await,
                }
            }
            Err(SendError::RateLimited {
                event: back,
                retry_at,
            }) => {
                event = *back;
                tokio::select! {
                    () = due(sender.clock(), retry_at) => {}
                    // Also the end of the connection.
                    () = room => {}
                }
            }
            // The link on which there was room is gone.
            Err(SendError::NoReservation(back) | SendError::NotOpen(back)) if permit.is_some() => {
                event = *back;
                permit = None;
            }
            other => return other,
        }
    }
}

async fn due(clock: Clock, at: Instant) {
    tokio::time::sleep_until(clock.to_tokio(at)).await;
}
