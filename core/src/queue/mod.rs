//! What waits to be sent on one connection, by which rules, and who waits for room.

mod ahead;
mod drops;
mod lane;
mod policy;
mod rate;
mod reserve;
mod send;
mod water;

pub(crate) use ahead::Framed;
pub(crate) use drops::{Drops, Loss};
pub use policy::{Policy, Priority, SendOptions, Sent};
pub use rate::{Rate, RateLimiter};
pub(crate) use reserve::Reservations;
pub use reserve::{ReserveError, Ticket};
pub(crate) use send::{Hold, Outgoing, SendQueue, WAITING_OVERHEAD};
pub(crate) use water::{Mark, WaterMarks};
