//! Sente's MessagePack packer, and MessagePack for Rust types.
//!
//! [`MsgPack`] packs any EDN value; [`from_slice`] and [`to_vec`] read and write Rust types by serde
//! without building one.
//!
//! # Which form becomes what
//!
//! | EDN | is written as | and read from |
//! |---|---|---|
//! | `nil`, booleans | nil, booleans | the same |
//! | integers, `N` too | the shortest form; `uint64` never, so none beyond 64 bits with a sign | any integer |
//! | floats, decimals `1.5M` | `float 64` | `float 32`, `float 64`, as floats |
//! | strings, and characters beyond 16 bits | `str` | `str`; what is not UTF-8 becomes U+FFFD |
//! | lists, vectors | array | arrays, as vectors |
//! | maps | map | maps; of a key that repeats the last value counts |
//! | keywords, symbols, characters | extensions 0, 1, 2 | the same |
//! | ratios | extension 3, two integers | the same |
//! | sets | extension 4, an array | the same |
//! | `#inst` | extension -1, 12 bytes | the same, to the millisecond; and MessagePack's 4 and 8 bytes |
//! | `#uuid` | extension 9, its text | the same, and 16 bytes |
//! | `#bytes/b64 "AAE="` | `bin` | `bin` |
//! | `#array/int [1]`, `#array/float [1.5]`, `#array/double [1.5]` | extensions 5, 6, 7 | the same |
//! | `#msgpack/ext [10 "AAE="]` | that extension | any other extension; a keyword or symbol that EDN has no form for, such as one with a blank; an instant outside the years of `#inst` |
//!
//! Other tags cannot be packed: Sente refuses them as well.
//!
//! # Keys that repeat
//!
//! Within a message Sente writes a map's key that has been there before as a reference (extension
//! 8). References are written out when a frame is opened, and written only by a packer with
//! [`MsgPack::key_cache`], when it seals, or by [`Packer::pack_message`]. A reference to a key that
//! was never there is `nil`, as in Sente; one that is no key is an error.
//!
//! # Peers in Java and in the browser
//!
//! Sente's two implementations do not agree on everything, and nothing on the wire tells them apart:
//!
//! - Typed arrays are big-endian in Java, and in ClojureScript as the machine is, which is
//!   little-endian nearly everywhere: see [`MsgPack::typed_arrays`].
//! - Java writes and reads integers of 64 bits; ClojureScript refuses to write those beyond 2^53, and
//!   reads them as the nearest it has: see [`MsgPack::safe_integers`].
//! - ClojureScript has no characters and ratios; it reads strings and floats.
//!
//! # Rust types
//!
//! serde's types are written and read as `sente_edn::serde` does: fields and variants are keywords,
//! and read from strings, too; enums have the same forms; [`Keyword`](sente_edn::Keyword),
//! [`Inst`](sente_edn::Inst), [`Uuid`](sente_edn::Uuid), [`Value`] and the others of that crate are
//! what the table above says, and its modules `as_set`, `jiff` and so on work. What differs:
//!
//! | Rust | is written as | and read from |
//! |---|---|---|
//! | `f32` | `float 32` | any number |
//! | bytes | `bin` | `bin`, strings as their UTF-8, arrays of integers |
//! | `Vec`, `HashSet`, … | array | arrays, sets, typed arrays in Java's order of bytes, `bin` |
//! | integers | as above; beyond 64 bits with a sign they are an error | any that fit |
//! | [`Decimal`](sente_edn::Decimal) | `float 64` | floats and integers, by their shortest digits |
//! | [`List`](sente_edn::List), [`Vector`](sente_edn::Vector) | array | arrays |
//! | names that are no keywords in EDN | the same extension | the same |
//!
//! `&str` is borrowed if it is UTF-8, and an error if not; `#[serde(borrow)] Cow<str>` takes both.
//! Values may nest [`MAX_DEPTH`] levels.
//!
//! # What a stranger's bytes can do
//!
//! They are read without recursion, but for Rust types, within [`Limits`], in time linear in their length but for large
//! maps and sets, and take memory for no more items than there are bytes.

mod ext;
mod keys;
mod machine;
mod out;
mod pack;
mod serde;
mod stack;
mod tagged;
mod token;
mod unpack;
mod walk;

use alloc::vec::Vec;

use bytes::Bytes;
use sente_edn::Value;

pub(crate) use self::serde::from_value;
pub use self::serde::{Error, MAX_DEPTH, from_slice, to_vec, to_writer};
use crate::framing::Kind;
use crate::limits::Limits;
use crate::packer::{PackError, Packer, Span, Tokens, UnpackError, Visit};

use out::Head;
use pack::Style;
use walk::Walk;

/// Binary packer: MessagePack with Sente's extension types.
///
/// ```
/// use sente_core::packer::{MsgPack, Packer};
/// use sente_core::{Limits, edn};
///
/// let value = edn::from_str(r#"[[:chat/say {:text "hi"}] "cb-7"]"#)?;
/// let mut packed = Vec::new();
/// MsgPack::new().pack(&value, &mut packed)?;
/// assert_eq!(packed.len(), 27);
/// assert_eq!(MsgPack::new().unpack(&packed, &Limits::default())?, value);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MsgPack {
    key_cache: bool,
    typed_arrays: Endian,
    safe_integers: bool,
}

impl MsgPack {
    /// The packer for peers in Java.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            key_cache: false,
            typed_arrays: Endian::Big,
            safe_integers: false,
        }
    }

    /// Whether keys that repeat within a message are written as references, as Sente does. Default:
    /// no. It makes messages of many like maps shorter and takes a pass over each that is sent;
    /// messages of others are read either way.
    #[must_use]
    pub const fn key_cache(mut self, on: bool) -> Self {
        self.key_cache = on;
        self
    }

    /// The byte order of the elements of `int[]`, `float[]` and `double[]`, written and read.
    /// Default: [`Endian::Big`], as Java; ClojureScript's is [`Endian::Little`]. Packed values of
    /// the two are different [formats](Packer::format).
    #[must_use]
    pub const fn typed_arrays(mut self, order: Endian) -> Self {
        self.typed_arrays = order;
        self
    }

    /// Whether integers beyond 2^53 - 1 in either direction are an error to pack. Default: no. Java
    /// writes and reads them; ClojureScript reads another number near them without a word, and
    /// would itself throw. Packed values of the two are different [formats](Packer::format), and
    /// what a peer sent is unpacked and packed anew before it is passed on to such a packer.
    #[must_use]
    pub const fn safe_integers(mut self, only: bool) -> Self {
        self.safe_integers = only;
        self
    }

    const fn style(self) -> Style {
        Style {
            endian: self.typed_arrays,
            safe_integers: self.safe_integers,
        }
    }
}

/// The order of the bytes in a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are no others")]
pub enum Endian {
    /// The highest byte first.
    #[default]
    Big,
    /// The lowest byte first.
    Little,
}

impl Packer for MsgPack {
    fn name(&self) -> &str {
        match self.typed_arrays {
            Endian::Big => NAME,
            Endian::Little => "msgpack-le",
        }
    }

    fn format(&self) -> &str {
        match (self.typed_arrays, self.safe_integers) {
            (Endian::Big, false) => NAME,
            (Endian::Big, true) => "msgpack-53",
            (Endian::Little, false) => "msgpack-le",
            (Endian::Little, true) => "msgpack-le-53",
        }
    }

    fn kind(&self) -> Kind {
        Kind::Binary
    }

    fn pack(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), PackError> {
        pack::pack(value, self.style(), out).map_err(|why| PackError::new(self.name(), why))
    }

    fn unpack(&self, packed: &[u8], limits: &Limits) -> Result<Value, UnpackError> {
        Ok(unpack::unpack(packed, limits, self.typed_arrays)?)
    }

    fn walk(
        &self,
        packed: &[u8],
        limits: &Limits,
        visit: &mut Visit<'_>,
    ) -> Result<(), UnpackError> {
        visit(&mut Walk::new(packed, limits))
    }

    fn entries(&self, packed: &[u8], limits: &Limits, visit: &mut dyn FnMut(&str, Span)) {
        walk::entries(packed, limits, visit);
    }

    fn open(&self, frame: &Bytes, limits: &Limits) -> Result<Bytes, UnpackError> {
        let resolved = keys::resolve(frame, limits)?;
        Ok(resolved.map_or_else(|| frame.clone(), Bytes::from))
    }

    fn seals(&self) -> bool {
        self.key_cache
    }

    fn seal(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), PackError> {
        if self.key_cache {
            let start = out.len();
            self.shorten(message, out)?;
            // A reference is longer than a key of one letter: then the message goes as it is.
            if out.len().saturating_sub(start) <= message.len() {
                return Ok(());
            }
            out.truncate(start);
        }
        out.extend_from_slice(message);
        Ok(())
    }

    /// With key references, whether the packer [seals](Self::seals) or not: so Sente itself writes
    /// every message.
    fn pack_message(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), PackError> {
        let mut packed = Vec::new();
        self.pack(value, &mut packed)?;
        self.shorten(&packed, out)
    }

    fn sequence(&self, len: usize) -> Tokens {
        Tokens::new(Head::array(len).as_slice(), b"", b"", b"")
    }

    fn map(&self, len: usize) -> Tokens {
        Tokens::new(Head::map(len).as_slice(), b"", b"", b"")
    }
}

const NAME: &str = "msgpack";

impl MsgPack {
    fn shorten(self, message: &[u8], out: &mut Vec<u8>) -> Result<(), PackError> {
        keys::shorten(message, out).map_err(|fault| PackError::new(self.name(), fault.message()))
    }
}
