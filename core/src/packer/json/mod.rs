//! The JSON packer, for peers that know neither EDN nor Transit.

mod keyword;
mod pack;
mod unpack;
mod walk;

use alloc::vec::Vec;

use bytes::Bytes;
use sente_edn::Value;

use super::text::TextCursor;
use super::{PackError, Packer, Span, Tokens, UnpackError, Visit};
use crate::framing::Kind;
use crate::limits::Limits;
use walk::Walk;

/// Text packer: plain JSON, for browsers without EDN and for other languages.
///
/// An event is `["chat/message", {"text": "hi"}]`. A string is taken for the id of an event where
/// it is the first item of an array and reads as a keyword with a namespace; a colon before it is
/// ignored. Everything the engine says of itself is written in the same way, so that a peer needs
/// no more than a JSON library:
///
/// ```
/// use sente_core::packer::{Json, Packer};
/// use sente_core::{Limits, edn};
///
/// let event = edn::from_str(r#"[:chat/say {:text "hi" :to #{:ada}, :at 1.5}]"#)?;
/// let mut packed = Vec::new();
/// Json::new().pack(&event, &mut packed)?;
/// assert_eq!(packed, br#"["chat/say",{"text":"hi","to":["ada"],"at":1.5}]"#);
///
/// let back = Json::new().unpack(&packed, &Limits::default())?;
/// assert_eq!(back.to_string(), r#"["chat/say" {:text "hi", :to ["ada"], :at 1.5}]"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What is written
///
/// JSON has fewer types than EDN. Every value can be packed, but for what the last row says; what
/// is lost is lost for good.
///
/// | EDN | JSON | comes back as |
/// |---|---|---|
/// | `nil`, `true`, `"a"`, `[1 2]` | `null`, `true`, `"a"`, `[1,2]` | itself |
/// | `42`, `42N` | `42`, all digits | an integer; without the `N` if 64 bits hold it. JavaScript rounds beyond 2^53 |
/// | `1.0`, `1e7` | `1.0`, `1.0E7` | itself. JavaScript tells it from `1` no longer |
/// | `##NaN`, `##Inf` | `null`, as `JSON.stringify` does | `nil` |
/// | `1.50M` | `1.50` | a float |
/// | `1/3` | `0.3333333333333333` | a float |
/// | `\a` | `"a"` | a string |
/// | `:a/b`, `x/y` | `"a/b"`, `"x/y"`, without a colon | a string |
/// | `(1 2)`, `#{1 2}` | `[1,2]` | a vector |
/// | `{:a 1, "b" 2}` | `{"a":1,"b":2}` | a map, its keys as said below |
/// | `{1 :x, nil :y, #uuid "…" :z}` | `{"1":"x","null":"y","…":"z"}`: the key as it would be as a value | the same |
/// | `{[1 2] :x}` | `{"[1 2]":"x"}`: a collection's EDN | the same |
/// | `#inst "…"` | `"2026-01-02T03:04:05.678Z"`, as JavaScript's `toJSON` | a string |
/// | `#uuid "…"` | its text | a string |
/// | `#my/tag [1 2]` | `[1,2]`, without the tag | what it holds |
/// | `#bytes/b64 "AQID"` | `"AQID"` | a string |
/// | `{:a 1, "a" 2}` and other keys that become the same | an error | |
///
/// What is packed [typed](crate::PackedEvent::pack_typed) is written as `serde_json` does and may
/// differ: a `Keyword` keeps its colon, a `Decimal` is a string.
///
/// # What is read
///
/// JSON as RFC 8259 has it and nothing more, in UTF-8. Arrays are vectors; numbers without fraction
/// and exponent are integers of any size (`-0` is `0`), the others floats, and one too large for
/// that infinite; strings are strings, also where they were keywords once. An unpaired surrogate,
/// as in `"\ud83d"`, is U+FFFD. Where an object has a key twice the last value counts, as in
/// JavaScript and in Clojure's JSON libraries.
///
/// A key becomes a keyword if it reads as one, with or without a colon before it, and stays a string
/// if not, as `"two words"` does: keywords are what Clojure code expects to find. It can be
/// [switched off](Self::keyword_keys). The keys that the protocol itself looks for are found
/// either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Json {
    keyword_keys: bool,
}

impl Json {
    /// The packer with its defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self { keyword_keys: true }
    }

    /// Whether the keys of objects become keywords where they can. Default: yes. Otherwise they
    /// stay the strings they are, colon and all. It changes what values are built, and no byte on
    /// the wire.
    #[must_use]
    pub const fn keyword_keys(mut self, keywords: bool) -> Self {
        self.keyword_keys = keywords;
        self
    }
}

impl Default for Json {
    fn default() -> Self {
        Self::new()
    }
}

impl Packer for Json {
    fn name(&self) -> &str {
        "json"
    }

    fn kind(&self) -> Kind {
        Kind::Text
    }

    fn pack(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), PackError> {
        pack::pack(value, out).map_err(|message| PackError::new("json", message))
    }

    /// Of an empty text there is no value: that is an error, as in JavaScript.
    fn unpack(&self, packed: &[u8], limits: &Limits) -> Result<Value, UnpackError> {
        unpack::unpack(packed, limits, self.keyword_keys)
    }

    fn walk(
        &self,
        packed: &[u8],
        limits: &Limits,
        visit: &mut Visit<'_>,
    ) -> Result<(), UnpackError> {
        visit(&mut Walk::new(packed, limits))
    }

    /// All keys of an object are keywords here: each without the colon it may have.
    fn entries(&self, packed: &[u8], limits: &Limits, visit: &mut dyn FnMut(&str, Span)) {
        walk::entries(TextCursor::new(packed, limits), visit);
    }

    /// Unlike [`unpack`](Self::unpack) it knows that it reads a message: the ids of its events are
    /// keywords.
    fn unpack_message(&self, frame: &Bytes, limits: &Limits) -> Result<Value, UnpackError> {
        self.unpack(frame, limits).map(keyword::name_events)
    }

    fn sequence(&self, _len: usize) -> Tokens {
        Tokens::new(b"[", b",", b"", b"]")
    }

    fn map(&self, _len: usize) -> Tokens {
        Tokens::new(b"{", b",", b":", b"}")
    }
}
