//! EDN, read and written the way Clojure does.
//!
//! EDN is how Clojure programs write data down: JSON's lists, maps, strings and numbers, and
//! besides keywords, symbols, sets, characters, exact numbers, points in time, UUIDs and tags for
//! everything else. This crate reads what `clojure.edn` reads, refuses what it refuses, and prints
//! what Clojure and ClojureScript read back as the same value.
//!
//! # As a value
//!
//! [`from_str`] reads a text into a [`Value`], which can be asked, changed and printed.
//!
//! ```
//! use sente_edn::{Value, from_str};
//!
//! let mut user = from_str("{:user/id 7, :user/tags #{:admin}, :score 1.50M}")?;
//! assert_eq!(user.get_keyword("user/id").and_then(Value::as_i64), Some(7));
//!
//! if let Value::Map(map) = &mut user {
//!     map.insert(Value::keyword("seen").unwrap(), Value::from(vec![1.into(), 2.5.into()]));
//! }
//! assert_eq!(user.to_string(), "{:user/id 7, :user/tags #{:admin}, :score 1.50M, :seen [1 2.5]}");
//! # Ok::<(), sente_edn::Error>(())
//! ```
//!
//! # Without building anything
//!
//! A [`Tree`] borrows from its text and takes a third of the time. A [`Cursor`] builds nothing at
//! all: it steps over forms, checks them, and gives their text.
//!
//! ```
//! use sente_edn::{Cursor, Limits, Tree};
//!
//! let text = br#"[:chat/say {:text "hi" :to [1 2 3]}]"#;
//! let tree = Tree::parse(text)?;
//! let data = tree.root().items().nth(1).unwrap();
//! assert_eq!(data.get_keyword("text").unwrap().as_str().unwrap(), "hi");
//!
//! let mut cursor = Cursor::new(text, &Limits::default());
//! cursor.enter()?;
//! assert_eq!(cursor.keyword()?, "chat/say");
//! assert_eq!(cursor.skip()?.text(), br#"{:text "hi" :to [1 2 3]}"#);
//! # Ok::<(), sente_edn::Error>(())
//! ```
//!
//! # As a Rust type
//!
//! With the feature `serde` the module `sente_edn::serde` reads and writes any type that derives
//! serde's traits. Fields are keywords, as is the custom in Clojure, and EDN's own types have Rust
//! types here that come back as they went.
//!
#![cfg_attr(feature = "serde", doc = "```")]
#![cfg_attr(not(feature = "serde"), doc = "```ignore")]
//! use sente_edn::{Inst, Keyword};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! struct Message {
//!     #[serde(rename = "message/id")]
//!     id: u64,
//!     text: String,
//!     kind: Keyword,
//!     at: Option<Inst>,
//! }
//!
//! let text = r#"{:message/id 7, :text "hi", :kind :chat/say, :at nil}"#;
//! let message: Message = sente_edn::serde::from_str(text)?;
//! assert_eq!(message.id, 7);
//! assert_eq!(sente_edn::serde::to_string(&message)?, text);
//! # Ok::<(), sente_edn::serde::Error>(())
//! ```
//!
//! # Which form is which type
//!
//! | EDN | [`Value`] | holds | [`Shape`] |
//! |---|---|---|---|
//! | `nil` | `Nil` | | `Nil` |
//! | `true`, `false` | `Bool` | `bool` | `Bool` |
//! | `42`, `-0x2A`, `052`, `2r101010` | `Int` | `i64` | `Number` |
//! | `42N`, and what 64 bits do not hold | `BigInt` | [`BigInt`]: any number of digits | `Number` |
//! | `4.2`, `1e3`, `##Inf`, `##-Inf`, `##NaN` | `Float` | `f64` | `Number` |
//! | `4.20M` | `Decimal` | [`Decimal`]: digits and a power of ten | `Number` |
//! | `22/7` | `Ratio` | [`Ratio`], in lowest terms | `Number` |
//! | `\a`, `\newline`, `\u03A9` | `Char` | `char` | `Char` |
//! | `"a\n"` | `String` | `String` | `String` |
//! | `:a`, `:user/id` | `Keyword` | [`Keyword`] | `Keyword` |
//! | `a`, `user/id` | `Symbol` | [`Symbol`] | `Symbol` |
//! | `(1 2)` | `List` | [`List`] | `List` |
//! | `[1 2]` | `Vector` | [`Vector`] | `Vector` |
//! | `#{1 2}` | `Set` | [`Set`], in the order of insertion | `Set` |
//! | `{:a 1}`, `#:user{:id 1}` | `Map` | [`Map`], keys of any kind, in the order of insertion | `Map` |
//! | `#inst "2026-01-02T03:04:05.678Z"` | `Inst` | [`Inst`]: milliseconds | `Tagged` |
//! | `#uuid "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"` | `Uuid` | [`Uuid`] | `Tagged` |
//! | `#my/tag x` | `Tagged` | [`Tagged`]: the tag and the form | `Tagged` |
//! | `#_ x`, `; comment`, `,`, `^{:doc ""}` before a form | nothing | | |
//!
//! Which of serde's types become which form is listed in the module `serde`.
//!
//! # All the ways
//!
//! | to | there is |
//! |---|---|
//! | read a text that is one form | [`from_str`], [`from_slice`], [`from_slice_with`] |
//! | read the first form, as `clojure.edn/read-string` does | [`read_first`] |
//! | read without copying | [`Tree`] |
//! | check, and take what is needed | [`Cursor`]; [`PlainCursor`] where most of it is plain |
//! | read from chunks, as they come in | [`StreamReader`] |
//! | print on one line | [`to_string`], [`to_vec`], [`write()`], [`write_fmt`], `{}` |
//! | print for people, sorted, or for ClojureScript | [`WriteOptions`], `{:#}` |
//!
//! # Errors
//!
//! An [`Error`] says what is wrong and at which byte, and [`Error::line_column`] at which line and
//! column. [`Error::is_incomplete`] tells a text that merely ends too early from one that nothing
//! behind it could mend. Every [`ErrorKind`] says in its text what was expected.
//!
//! # Whose EDN
//!
//! The judge of what is EDN is `clojure.edn` of Clojure 1.11, down to octal numbers, partial dates
//! and which tokens are keywords. The differences are few:
//!
//! - An unpaired surrogate in a string, `"\ud83d"`, becomes U+FFFD: Rust's strings hold none.
//!   (Clojure itself writes it as `?`.)
//! - A key that nobody could read back under the name its map gives it, as in `#:a{:_/:b 1}` or
//!   `#:a{:1 2}`, is an error.
//! - A ratio, and a number that is not decimal, may have 4096 digits.
//! - The namespace of a map, as in `#:user{:id 1}`, may have 256 bytes: each key gets a copy of it.
//! - `:_/b/c` in a namespaced map is `:b/c`, with the namespace `b`. Clojure's has no namespace, and
//!   prints the same.
//! - `##NaN` equals itself. In Clojure it does not where it is a key of a map of up to eight
//!   entries, so that `#{{##NaN 1} {##NaN 1}}`, which is an error here, is a set there.
//! - Behind a tag Clojure compares as Java does. Where Java calls two values equal whose hashes
//!   differ, as with `#t #{1M}` and `#t #{1.0M}`, Clojure finds them equal or not by how many
//!   entries there are and which bits of the hashes. Here they differ.
//!
//! # Texts from strangers
//!
//! Texts may come from strangers. What they may ask for is bounded by [`Limits`]; no text makes
//! the stack grow, in reading or in anything done with the value later; and reading and writing take
//! time that grows no faster than `n log n`. One thing does not: to look for keys, or insert them one
//! by one, in a [`Map`] or a [`Set`], where a peer has chosen collections as keys that collide, or in
//! a `HashMap` of values. To collect a map or a set, or extend one by as much as it holds, is safe.
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
mod frame;
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
mod plain;
mod prefix;
mod ratio;
mod read;
mod repeats;
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
mod ties;
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
pub use plain::PlainCursor;
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
