//! EDN, read and written the way Clojure does.
//!
//! Four ways in and one out:
//!
//! - [`from_str`] and [`from_slice`] read a text that is one form into a [`Value`];
//! - [`read_first`] reads the first form of a text, as `clojure.edn/read-string` does;
//! - a [`Cursor`] steps over the forms of a text without building values;
//! - a [`StreamReader`] takes a stream in chunks of any size and gives each form when it is complete;
//! - [`to_string`], [`to_vec`], [`write()`] and [`write_fmt`] print a value on one line;
//!   [`WriteOptions`] print it on aligned lines, sorted, or for a peer that lacks some forms.
//!
//! The judge of what is EDN is `clojure.edn` of Clojure 1.11, down to octal numbers, partial dates
//! and which tokens are keywords. The differences are few:
//!
//! - An unpaired surrogate in a string, `"\ud83d"`, becomes U+FFFD: Rust's strings hold none.
//!   (Clojure itself writes it as `?`.)
//! - A key that nobody could read back under the name its map gives it, as in `#:a{:_/:b 1}` or
//!   `#:a{:1 2}`, is an error.
//! - A ratio, and a number that is not decimal, may have 4096 digits.
//! - `:_/b/c` in a namespaced map is `:b/c`, with the namespace `b`. Clojure's has no namespace, and
//!   prints the same.
//! - `##NaN` equals itself. In Clojure it does not where it is a key of a map of up to eight
//!   entries, so that `#{{##NaN 1} {##NaN 1}}`, which is an error here, is a set there.
//! - Behind a tag Clojure compares as Java does. Where Java calls two values equal whose hashes
//!   differ, as with `#t #{1M}` and `#t #{1.0M}`, Clojure finds them equal or not by how many
//!   entries there are and which bits of the hashes. Here they differ.
//!
//! Texts may come from strangers. What they may ask for is bounded by [`Limits`]; no text makes
//! the stack grow, in reading or in anything done with the value later; and all of it takes time
//! that grows no faster than `n log n`.
//!
//! # Features
//!
//! - `std` (default): lets the dependencies use `std`. The crate itself is `no_std` with `alloc`.
//! - `bytes`: writing into a `BytesMut`.
//! - `serde`: the module `serde`, which makes Rust types of EDN and EDN of them.
//! - `uuid`, `jiff`, `num-bigint`, `bigdecimal`, `edn-rs`: conversions to and from the types of the
//!   crate of that name, see the module `interop`.
#![no_std]

extern crate alloc;

mod atom;
mod bignum;
mod boundary;
mod class;
mod collection;
mod compare;
mod cursor;
mod decimal;
mod deep;
mod error;
mod fingerprint;
mod inst;
mod integer;
#[cfg(any(
    feature = "bigdecimal",
    feature = "edn-rs",
    feature = "jiff",
    feature = "num-bigint",
    feature = "uuid"
))]
pub mod interop;
mod leaf;
mod lex;
mod limits;
mod machine;
mod map;
mod name;
mod number;
mod prefix;
mod ratio;
mod read;
mod run;
#[cfg(feature = "serde")]
pub mod serde;
mod set;
mod shape;
mod sinks;
mod stack;
mod stream;
mod table;
mod tagged;
mod text;
mod tokens;
mod tree;
mod uuid;
mod value;
mod write;

pub use collection::{List, Vector};
pub use cursor::{Cursor, Form};
pub use decimal::{Decimal, InvalidDecimal};
pub use error::{Error, ErrorKind, Expected, Inside};
pub use inst::{Inst, InvalidInst};
pub use integer::{BigInt, InvalidBigInt};
pub use limits::{Dialect, Limits};
pub use map::{IntoIter as MapIntoIter, Iter as MapIter, Map};
pub use name::{InvalidName, Keyword, Symbol};
pub use ratio::{InvalidRatio, Ratio};
pub use read::{from_slice, from_slice_with, from_str, read_first};
pub use set::Set;
pub use shape::Shape;
pub use stream::{StreamError, StreamForm, StreamReader};
pub use tagged::{InvalidTag, Tagged};
pub use tree::{Entries, Items, Node, Tree};
pub use uuid::{InvalidUuid, Uuid};
pub use value::Value;
#[cfg(feature = "bytes")]
pub use write::write_bytes;
pub use write::{
    Lacking, Peer, WriteError, WriteErrorKind, WriteOptions, to_string, to_vec, write, write_fmt,
};
