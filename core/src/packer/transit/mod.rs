//! The packers for Transit, as transit-clj, transit-cljs and transit-js speak it: JSON text in
//! which strings such as `"~:user/id"` and arrays such as `["~#set",[1]]` say more than JSON can.
//!
//! # Which value is written how
//!
//! | value | [`TransitJson`] | [`TransitJsonVerbose`] | as a key |
//! |---|---|---|---|
//! | nil, booleans | `null`, `true` | the same | `"~_"`, `"~?t"` |
//! | integers to 2⁵³-1, others of 64 bits | `7`, `"~i9007199254740992"` | the same | `"~i7"` |
//! | floating point | `1.5`, `"~zNaN"`, `"~zINF"`, `"~z-INF"` | the same | `"~d1.5"` |
//! | `7N`, `1.50M` | `"~n7"`, `"~f1.50"` | the same | the same |
//! | `1/3` | `["~#ratio",["~n1","~n3"]]` | `{"~#ratio":["~n1","~n3"]}` | in a `cmap` |
//! | `\a` | `"~ca"` | the same | the same |
//! | strings | `"a"`; `"~~a"` for `"~a"`, and so `^` and `` ` `` | the same | the same |
//! | keywords, symbols | `"~:a/b"`, `"~$a"` | the same | the same |
//! | `#inst` | `"~m1577934245123"` | `"~t2020-01-02T03:04:05.123Z"` | the same |
//! | `#uuid`, `#bytes/b64 "AQI="` | `"~uf81d…"`, `"~bAQI="` | the same | the same |
//! | vectors | `[1,2]` | the same | in a `cmap` |
//! | lists, sets | `["~#list",[1]]`, `["~#set",[1]]` | `{"~#list":[1]}` | in a `cmap` |
//! | maps | `["^ ","~:a",1]` | `{"~:a":1}` | in a `cmap` |
//! | maps with such keys | `["~#cmap",[[1,2],3]]` | `{"~#cmap":[[1,2],3]}` | in a `cmap` |
//! | `#my/tag x` | `["~#my/tag",x]` | `{"~#my/tag":x}` | in a `cmap` |
//! | `#q "x"`: one character, a string | `"~qx"` | the same | the same |
//!
//! Both forms are read by both packers, and so are Transit's quotes `["~#'",1]`, a UUID of two
//! integers, `with-meta`, whose metadata is dropped, and what transit-js writes in its own way:
//! `"~i1.5"` for a key, and years that have no four digits.
//!
//! # What EDN has no form for
//!
//! A tag without a meaning of Transit's own is kept, and written as it came: `"~rhttp://a"` is
//! `#r "http://a"`, `["~#link",["^ ",…]]` is `#link {…}`. What such a form cannot say is
//! `#transit/tagged [tag rep]`: tags that are no names in EDN, `(keyword "a b")` as
//! `#transit/tagged [":" "a b"]`, and times outside the years that `#inst` has.
//!
//! # What is lost
//!
//! - Arrays of one type (`#array/int [1 2]`) are written as plain arrays, as Sente does.
//! - A character beyond 16 bits is written as a string, as in EDN; an unpaired surrogate is read as
//!   U+FFFD.
//! - `#set [1]` and the like, a tag of EDN's that means something in Transit, cannot be written.
//!
//! # The cache
//!
//! Transit's writers replace a string they have written before, if it is a key, a keyword, a symbol
//! or a tag of more than three characters, by a code such as `"^0"`. [`open`](Packer::open) undoes
//! that: packed values hold no codes. [`pack_message`](Packer::pack_message) does it; a connection
//! does if the packer was made with [`key_cache(true)`](TransitJson::key_cache).

mod cache;
mod decode;
mod forms;
mod frame;
mod handlers;
mod read;
mod scan;
mod tagged;
mod walk;
mod write;

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;
use sente_edn::Value;

use super::{PackError, Packer, Span, Tokens, UnpackError, Visit};
use crate::framing::Kind;
use crate::limits::Limits;
use walk::Walk;
use write::Style;

pub use handlers::TransitHandlers;

/// Text packer: Transit's JSON, Sente's `:json`. Its name is `"transit-json"`.
///
/// sente-lite's `transit-json-bencode` is the same. See [`TransitJsonVerbose`] for the other form.
///
/// ```
/// use bytes::Bytes;
/// use sente_core::packer::{Packer, TransitJson};
/// use sente_core::{Limits, edn};
///
/// let packer = TransitJson::new();
/// let value = edn::from_str("[{:user/id 1} {:user/id 2, :tags #{:a}}]").unwrap();
///
/// let mut packed = Vec::new();
/// packer.pack(&value, &mut packed)?;
/// let text = r#"[["^ ","~:user/id",1],["^ ","~:user/id",2,"~:tags",["~#set",["~:a"]]]]"#;
/// assert_eq!(packed, text.as_bytes());
///
/// // A whole message names each key once.
/// let mut frame = Vec::new();
/// packer.pack_message(&value, &mut frame)?;
/// let text = r#"[["^ ","~:user/id",1],["^ ","^0",2,"~:tags",["~#set",["~:a"]]]]"#;
/// assert_eq!(frame, text.as_bytes());
/// assert_eq!(packer.unpack_message(&Bytes::from(frame), &Limits::default())?, value);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct TransitJson {
    handlers: Arc<TransitHandlers>,
    key_cache: bool,
}

impl TransitJson {
    /// A packer without handlers that writes no cache codes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the messages of a connection are shortened by Transit's cache when they leave.
    /// Default `false`: it costs a pass over each message, and broadcasts are then shortened for
    /// each peer anew. What comes in may use the cache in any case.
    #[must_use]
    pub const fn key_cache(mut self, on: bool) -> Self {
        self.key_cache = on;
        self
    }

    /// What an application makes of tags of its own. Default: nothing, they are kept.
    #[must_use]
    pub fn handlers(mut self, handlers: TransitHandlers) -> Self {
        self.handlers = Arc::new(handlers);
        self
    }
}

impl Packer for TransitJson {
    fn name(&self) -> &str {
        NAME
    }

    fn kind(&self) -> Kind {
        Kind::Text
    }

    fn pack(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), PackError> {
        write::write(value, Style::Compact, &self.handlers, out)
            .map_err(|message| PackError::new(NAME, message))
    }

    fn unpack(&self, packed: &[u8], limits: &Limits) -> Result<Value, UnpackError> {
        read::read(packed, &self.handlers, limits)
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
        frame::open(frame, limits)
    }

    fn seals(&self) -> bool {
        self.key_cache
    }

    fn seal(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), PackError> {
        if self.key_cache {
            return shorten(message, out);
        }
        out.extend_from_slice(message);
        Ok(())
    }

    /// Appends what transit-clj would write: with the cache, and quotes around a single scalar.
    fn pack_message(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), PackError> {
        let mut packed = Vec::new();
        self.pack(value, &mut packed)?;
        if write::is_scalar(&packed) {
            out.extend_from_slice(b"[\"~#'\",");
            out.append(&mut packed);
            out.push(b']');
            return Ok(());
        }
        shorten(&packed, out)
    }

    fn sequence(&self, _len: usize) -> Tokens {
        Tokens::new(b"[", b",", b"", b"]")
    }

    fn map(&self, len: usize) -> Tokens {
        let open: &[u8] = if len == 0 { b"[\"^ \"" } else { b"[\"^ \"," };
        Tokens::new(open, b",", b",", b"]")
    }
}

/// Text packer: Transit's JSON for people, Sente's `:json-verbose`: maps are objects, dates can be
/// read, and nothing refers to anything. Its name is `"transit-json-verbose"`.
///
/// What a [`map`](Packer::map) is put together from must be strings, keywords or symbols where it
/// is a key: an object has no others.
///
/// ```
/// use sente_core::edn;
/// use sente_core::packer::{Packer, TransitJsonVerbose};
///
/// let value = edn::from_str(r#"{:at #inst "2020-01-02T03:04:05.678Z", :tags #{:a}}"#).unwrap();
/// let mut packed = Vec::new();
/// TransitJsonVerbose::new().pack(&value, &mut packed)?;
/// let text = r#"{"~:at":"~t2020-01-02T03:04:05.678Z","~:tags":{"~#set":["~:a"]}}"#;
/// assert_eq!(packed, text.as_bytes());
/// # Ok::<(), sente_core::packer::PackError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct TransitJsonVerbose {
    handlers: Arc<TransitHandlers>,
}

impl TransitJsonVerbose {
    /// A packer without handlers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What an application makes of tags of its own. Default: nothing, they are kept.
    #[must_use]
    pub fn handlers(mut self, handlers: TransitHandlers) -> Self {
        self.handlers = Arc::new(handlers);
        self
    }
}

impl Packer for TransitJsonVerbose {
    fn name(&self) -> &str {
        VERBOSE_NAME
    }

    fn kind(&self) -> Kind {
        Kind::Text
    }

    fn pack(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), PackError> {
        write::write(value, Style::Verbose, &self.handlers, out)
            .map_err(|message| PackError::new(VERBOSE_NAME, message))
    }

    fn unpack(&self, packed: &[u8], limits: &Limits) -> Result<Value, UnpackError> {
        read::read(packed, &self.handlers, limits)
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

    /// A peer that sends the other form is understood.
    fn open(&self, frame: &Bytes, limits: &Limits) -> Result<Bytes, UnpackError> {
        frame::open(frame, limits)
    }

    /// Appends what transit-clj would write: with quotes around a single scalar.
    fn pack_message(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), PackError> {
        let start = out.len();
        self.pack(value, out)?;
        if write::is_scalar(out.get(start..).unwrap_or_default()) {
            out.splice(start..start, *b"{\"~#'\":");
            out.push(b'}');
        }
        Ok(())
    }

    fn sequence(&self, _len: usize) -> Tokens {
        Tokens::new(b"[", b",", b"", b"]")
    }

    fn map(&self, _len: usize) -> Tokens {
        Tokens::new(b"{", b",", b":", b"}")
    }
}

const NAME: &str = "transit-json";
const VERBOSE_NAME: &str = "transit-json-verbose";

/// Appends the message with codes of the cache.
fn shorten(message: &[u8], out: &mut Vec<u8>) -> Result<(), PackError> {
    // What we have packed ourselves is as deep as the caller wants it to be.
    let limits = Limits {
        max_depth: usize::MAX,
        max_elements: usize::MAX,
        ..Limits::default()
    };
    frame::seal(message, &limits, out)
        .map_err(|error| PackError::new(NAME, alloc::format!("{}", UnpackError::from(error))))
}

/// The limits of the JSON text that a message within `limits` is: a value nests at most two deep in
/// it, and a ratio at the bottom is two more.
fn json_limits(limits: &Limits) -> Limits {
    Limits {
        max_depth: limits.max_depth.saturating_mul(2).saturating_add(2),
        ..limits.clone()
    }
}
