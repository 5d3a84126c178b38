//! MessagePack and Rust types.

mod access;
mod de;
mod error;
mod key;
mod names;
mod owned;
mod ser;
mod visit;

use alloc::vec::Vec;

use ::serde::de::DeserializeOwned;
use ::serde::{Deserialize, Serialize};

pub use error::Error;

use de::Reading;
use ser::Serializer;

/// How deep the values may nest that are read into, or written from, Rust types: 128 levels.
///
/// That is less than what the packer takes, because code that serde derives calls itself for each
/// level, and how much stack that takes is up to the types. It is the same for EDN.
pub const MAX_DEPTH: usize = 128;

/// Reads packed bytes into a Rust type, which may borrow strings and bytes from them.
///
/// What follows the first value is ignored, as Sente does. References to keys are followed, so that
/// a frame can be read as it came. Types are taken as the
/// [module](super#rust-types) says.
///
/// # Errors
/// If the bytes cannot be read, are not what the type takes, or nest deeper than [`MAX_DEPTH`].
///
/// ```
/// use sente_core::packer::msgpack::{from_slice, to_vec};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// struct Message<'a> {
///     #[serde(rename = "message/id")]
///     id: u64,
///     text: &'a str,
/// }
///
/// let packed = to_vec(&Message { id: 7, text: "hi" })?;
/// assert_eq!(from_slice::<Message<'_>>(&packed)?, Message { id: 7, text: "hi" });
/// # Ok::<(), sente_core::packer::msgpack::Error>(())
/// ```
pub fn from_slice<'de, T: Deserialize<'de>>(packed: &'de [u8]) -> Result<T, Error> {
    let mut reading = Reading::new(packed);
    T::deserialize(&mut reading).map_err(|error| error.at(0))
}

/// Reads a packed value, in which there are no references, into a Rust type.
///
/// # Errors
/// Those of [`from_slice`].
pub(crate) fn from_value<T: DeserializeOwned>(packed: &[u8]) -> Result<T, Error> {
    let mut reading = Reading::of_value(packed);
    T::deserialize(&mut reading).map_err(|error| error.at(0))
}

/// Packs a Rust value.
///
/// # Errors
/// If the value's `Serialize` fails, it nests deeper than [`MAX_DEPTH`], or has an integer beyond
/// 64 bits with a sign.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Error> {
    let mut out = Vec::with_capacity(FIRST_ROOM);
    to_writer(&mut out, value)?;
    Ok(out)
}

/// A few short steps of growing are worth skipping.
const FIRST_ROOM: usize = 128;

/// Packs a Rust value behind what is in `out` already.
///
/// # Errors
/// Those of [`to_vec`]; `out` may then hold a part of the value.
pub fn to_writer<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) -> Result<(), Error> {
    let mut serializer = Serializer::new(out);
    value.serialize(&mut serializer)?;
    serializer.finish()
}
