//! What is wrong with a text, where, and whether more text could mend it.

use alloc::boxed::Box;
use core::fmt;

use crate::Shape;

/// Why a text is not the EDN that was asked for.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Error(Box<Fault>);

/// Behind a pointer, because what can fail is all over the hot paths and hardly ever does.
#[derive(Clone, PartialEq, Eq)]
struct Fault {
    kind: ErrorKind,
    offset: usize,
}

impl Error {
    #[cold]
    pub(crate) fn new(kind: ErrorKind, offset: usize) -> Self {
        Self(Box::new(Fault { kind, offset }))
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// Where it is wrong: the byte at which the faulty form or character starts.
    ///
    /// For a text that ends too early this is the opening of what is still open, or the end of the
    /// text if nothing is.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.0.offset
    }

    /// Whether the text merely ends too early: with more behind it, it could still become valid.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        matches!(self.0.kind, ErrorKind::UnexpectedEnd { .. })
    }

    /// Where it is wrong as a line and a column, both counted from 1, columns in characters.
    ///
    /// `text` is the text that was read.
    ///
    /// ```
    /// let text = b"[1\n 2 1a]";
    /// let error = sente_edn::from_slice(text).unwrap_err();
    /// assert_eq!(error.line_column(text), (2, 4));
    /// ```
    #[must_use]
    pub fn line_column(&self, text: &[u8]) -> (usize, usize) {
        let before = text.get(..self.0.offset).unwrap_or(text);
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |at| at.saturating_add(1));
        let lines = memchr::memchr_iter(b'\n', before).count();
        let line = before.get(line_start..).unwrap_or_default();
        // Continuation bytes of UTF-8 do not start a character.
        let characters = line.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
        (lines.saturating_add(1), characters.saturating_add(1))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.0.kind, self.0.offset)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug.field("kind", self.kind());
        debug.field("offset", &self.offset());
        debug.finish()
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        None
    }
}

/// What is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A character that may stand in no token: `@`, a back-tick or `~`.
    #[error("`{0}` may not stand in EDN outside strings")]
    BannedCharacter(char),
    /// A backslash outside strings that is not followed by a character's name or code.
    #[error("no such character; expected one character, its name, `\\uXXXX` or `\\oNNN`")]
    InvalidCharacter,
    /// A `#` that starts nothing EDN knows.
    #[error("`#` must be followed by a tag, `{{`, `_`, `:`, `^` or `#`")]
    InvalidDispatch,
    /// A backslash in a string that is not followed by an escape Clojure knows.
    #[error("no such escape; expected one of `\\\" \\\\ \\n \\t \\r \\b \\f \\uXXXX \\NNN`")]
    InvalidEscape,
    /// An `#inst` that is not a string with a date that exists.
    #[error("`#inst` must be followed by a string with an RFC 3339 date that exists")]
    InvalidInst,
    /// Metadata that is not a symbol, keyword, string or map.
    #[error("metadata must be a symbol, keyword, string or map")]
    InvalidMetadata,
    /// Metadata in front of something that can not carry any.
    #[error("only symbols, lists, vectors, maps and sets can carry metadata")]
    InvalidMetadataTarget,
    /// A `#:` that is not followed by a plain symbol and a map.
    #[error("`#:` must be followed by a symbol without a namespace and then a map")]
    InvalidNamespacedMap,
    /// A token that starts like a number and is none.
    #[error("no such number")]
    InvalidNumber,
    /// A `##` that is not followed by `Inf`, `-Inf` or `NaN`.
    #[error("`##` must be followed by `Inf`, `-Inf` or `NaN`")]
    InvalidSymbolic,
    /// A tag that is not a symbol.
    #[error("a tag must be a symbol")]
    InvalidTag,
    /// A token that is neither a symbol nor a keyword.
    #[error("neither a symbol nor a keyword")]
    InvalidToken,
    /// Bytes that are not UTF-8.
    #[error("not UTF-8")]
    InvalidUtf8,
    /// A `#uuid` that is not a string `java.util.UUID` reads.
    #[error("`#uuid` must be followed by a string with a UUID")]
    InvalidUuid,
    /// A `#:` with a namespace so long that copies of it, one for each key, could fill the memory.
    #[error("the namespace of a map has more than the {limit} bytes allowed")]
    LongNamespace {
        /// How many bytes it may have.
        limit: usize,
    },
    /// A map with a key and no value.
    #[error("a map must have a value for every key")]
    MissingValue,
    /// Two equal keys in one map.
    #[error("the map has this key already")]
    RepeatedKey,
    /// Two equal elements in one set.
    #[error("the set has this element already")]
    RepeatedElement,
    /// More bytes than [`Limits::max_bytes`](crate::Limits::max_bytes).
    #[error("the text has {length} bytes, more than the {limit} allowed")]
    TooLong {
        /// How many bytes the text has.
        length: usize,
        /// How many it may have.
        limit: usize,
    },
    /// A number whose exact value would take too long to work out.
    #[error("a ratio, or a number that is not decimal, has more than the {limit} digits allowed")]
    TooManyDigits {
        /// How many digits it may have.
        limit: usize,
    },
    /// More forms than [`Limits::max_elements`](crate::Limits::max_elements).
    #[error("the text has more than the {limit} forms allowed")]
    TooManyElements {
        /// How many forms the text may have.
        limit: usize,
    },
    /// Deeper than [`Limits::max_depth`](crate::Limits::max_depth).
    #[error("the text nests deeper than the {limit} levels allowed")]
    TooDeep {
        /// How many levels the text may have.
        limit: usize,
    },
    /// Something after the one form that was asked for.
    #[error("expected the end of the text")]
    TrailingForm,
    /// The text ends too early.
    #[error("the text ends {inside}")]
    UnexpectedEnd {
        /// What the text ends inside of.
        inside: Inside,
    },
    /// Another shape than the one asked for, by users of a [`Cursor`](crate::Cursor).
    #[error("expected {expected}, found {}", Found(*.found))]
    UnexpectedShape {
        /// What was asked for.
        expected: Expected,
        /// What stands there; `None` at the end of a sequence or of the text.
        found: Option<Shape>,
    },
    /// A closing bracket that closes nothing.
    #[error("`{found}` closes nothing here; expected {}", Closing(*.expected))]
    UnmatchedDelimiter {
        /// The bracket that stands there.
        found: char,
        /// The bracket that would close what is open, if a bracket would.
        expected: Option<char>,
    },
    /// A key of a namespaced map whose full name nobody could read back, as in `#:a{:_/:b 1}`.
    #[error("with its namespace this key could not be read back")]
    UnreadableKey,
    /// A ratio whose denominator is zero.
    #[error("a ratio must not divide by zero")]
    ZeroDenominator,
}

/// What a [`Cursor`](crate::Cursor) was asked to step over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expected {
    /// Any form.
    Form,
    /// A keyword.
    Keyword,
    /// A sequence that was entered and can be left.
    Open,
    /// A list or vector.
    Sequence,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "a form",
            Self::Keyword => "a keyword",
            Self::Open => "to be inside a sequence",
            Self::Sequence => "a list or vector",
        })
    }
}

/// What a text that ends too early ends inside of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Inside {
    /// After a backslash that should have become a character.
    Character,
    /// In a multi-byte UTF-8 character.
    CodePoint,
    /// After `#_`, before the form to discard.
    Discard,
    /// After `#`.
    Dispatch,
    /// In a list.
    List,
    /// In a map.
    Map,
    /// After `^`, before the metadata or what carries it.
    Metadata,
    /// After `#:`, before the map.
    NamespacedMap,
    /// In a number.
    Number,
    /// In a set.
    Set,
    /// In a string.
    String,
    /// After `##`.
    Symbolic,
    /// After a tag, before what it tags.
    Tag,
    /// Before any form.
    Text,
    /// In a symbol or keyword.
    Token,
    /// In a vector.
    Vector,
}

impl fmt::Display for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Character => "inside a character",
            Self::CodePoint => "inside a UTF-8 character",
            Self::Discard => "after `#_`; expected the form to discard",
            Self::Dispatch => "after `#`; expected a tag, `{`, `_`, `:`, `^` or `#`",
            Self::List => "inside a list; expected a form or `)`",
            Self::Map => "inside a map; expected a form or `}`",
            Self::Metadata => "after `^`; expected the metadata and the form that carries it",
            Self::NamespacedMap => "after `#:`; expected a symbol and a map",
            Self::Number => "inside a number",
            Self::Set => "inside a set; expected a form or `}`",
            Self::String => "inside a string; expected `\"`",
            Self::Symbolic => "after `##`; expected `Inf`, `-Inf` or `NaN`",
            Self::Tag => "after a tag; expected the form it tags",
            Self::Text => "before any form",
            Self::Token => "inside a symbol or keyword",
            Self::Vector => "inside a vector; expected a form or `]`",
        })
    }
}

struct Found(Option<Shape>);

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(shape) => write!(f, "{shape}"),
            None => f.write_str("the end"),
        }
    }
}

struct Closing(Option<char>);

impl fmt::Display for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(bracket) => write!(f, "`{bracket}` or a form"),
            None => f.write_str("a form"),
        }
    }
}
