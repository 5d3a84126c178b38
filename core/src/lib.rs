//! The engine. (Front page to be written with the connection.)
#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod framing;
mod limits;
mod time;
mod transmit;

pub use limits::Limits;
pub use time::Instant;
pub use transmit::TransmitBuf;
