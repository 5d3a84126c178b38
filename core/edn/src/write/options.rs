//! How a value is written, chosen: on lines, sorted, and fit for a peer that lacks some forms.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::value::Value;

use super::adapt::adapt;
use super::compact::compact;
use super::error::{WriteError, WriteErrorKind};
use super::out::{Fmt, Out};
use super::pretty::pretty;
use super::tree::AsIs;

/// How values are written. The default is what [`to_string`](crate::to_string) does: one line, in
/// the order the value has, every form as Clojure reads it.
///
/// ```
/// use sente_edn::{Peer, WriteOptions, from_str};
///
/// let value = from_str(r"{:b 1/4, :a \x}").unwrap();
/// let options = WriteOptions::new().sort_keys(true).for_peer(Peer::ClojureScript);
/// assert_eq!(options.to_string(&value).unwrap(), r#"{:a "x", :b 0.25}"#);
/// ```
///
/// # Lines
///
/// [`pretty`](Self::pretty) prints what `clojure.pprint/pprint` of Clojure 1.11 prints, without
/// the line break at the end. It has been compared byte for byte with thousands of documents; the
/// differences are these:
///
/// - `pprint` abbreviates `(quote x)` to `'x`, and likewise `var`, `clojure.core/deref` and
///   `clojure.core/unquote`. No EDN reader takes that for what it was, so it is not done here.
/// - `pprint` indents without end. Here no line begins more than 128 columns beyond the width, so
///   that a value which nests deep does not make text of the square of its size.
/// - What [`to_string`](crate::to_string) escapes and `pr-str` does not, is escaped here, too.
///
/// # Sorted keys
///
/// [`sort_keys`](Self::sort_keys) sorts the keys of maps and the elements of sets, at every level.
/// That takes time of n log n. Values of different kinds are in this order: `nil`, booleans,
/// integers (with and without an `N`), floats, decimals, ratios, characters, strings, keywords,
/// symbols, instants, UUIDs, lists, vectors, sets, maps, tagged values. Within a kind:
///
/// - `false` is before `true`.
/// - Numbers go by value, `-0.0` before `0.0`, `##NaN` last; ratios by the integer above the line,
///   then by the one below. Of equal numbers, `1` is before `1N` and `1.0M` before `1.00M`.
/// - Characters, strings, keywords and symbols go by their code points, and a namespace counts as
///   part of the text.
/// - Collections go by their first items that differ, in the order in which they are printed, and a
///   beginning of another is before it. Tagged values go by the tag, then by what is behind it.
///
/// Two values that [`identical`](Value::identical) calls so give the same text.
///
/// # Peers that lack a form
///
/// ClojureScript has no ratios and no characters, and all its numbers are JavaScript's: doubles.
/// [`for_peer`](Self::for_peer) says who reads the text, and the methods after it what is done with
/// each form that peer lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriteOptions {
    width: Option<usize>,
    pub(crate) sorts_keys: bool,
    pub(crate) one_number_type: bool,
    pub(crate) chars: Lacking,
    pub(crate) numbers: Lacking,
    pub(crate) ratios: Lacking,
}

/// Who reads the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peer {
    /// Clojure, which has every form.
    #[default]
    Clojure,
    /// ClojureScript.
    ///
    /// What its reader does was tried with nbb 1.6.214, whose `cljs.reader` is ClojureScript's:
    /// `1/3` is read as `0.3333333333333333`, `\a` as `"a"`, `1.50M` as `1.5`, integers beyond
    /// 2<sup>53</sup> as the nearest double, and `1.0` as `1`. Keys that become equal by that make
    /// it refuse the whole text, so they are an error here, [`WriteErrorKind::DuplicateKey`]. That
    /// reader took every one of 3,271 texts written for it, and refused each of the 319 values that
    /// are refused here.
    ///
    /// It also refuses tags that nobody told it of, and keywords such as `:a/1`. These are written
    /// as they are.
    ClojureScript,
}

/// What is done with a form that the peer lacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lacking {
    /// It is written as Clojure would, and the peer makes of it what it does.
    #[default]
    Keep,
    /// It is an error, which names the form and where it stands.
    Refuse,
    /// Something near to it is written, which the peer has.
    Substitute,
}

impl WriteOptions {
    /// The width that Clojure's `*print-right-margin*` has if nobody changes it.
    pub const DEFAULT_WIDTH: usize = 72;

    /// What [`to_string`](crate::to_string) does.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            width: None,
            sorts_keys: false,
            one_number_type: false,
            chars: Lacking::Keep,
            numbers: Lacking::Keep,
            ratios: Lacking::Keep,
        }
    }

    /// Breaks the text into lines of at most so many UTF-16 units, where that can be, and aligns
    /// them. The default is one line.
    ///
    /// Takes time and memory in proportion to the value, or to the text if that is longer. With
    /// `usize::MAX`, nothing is broken.
    #[must_use]
    pub const fn pretty(mut self, width: usize) -> Self {
        self.width = Some(width);
        self
    }

    /// Whether the keys of maps and the elements of sets are sorted. The default is not.
    #[must_use]
    pub const fn sort_keys(mut self, sort: bool) -> Self {
        self.sorts_keys = sort;
        self
    }

    /// Says who reads the text: for Clojure, every form is kept; for ClojureScript, what it lacks
    /// is substituted, and keys that are equal to it are an error. The default is Clojure.
    ///
    /// This sets what [`chars`](Self::chars), [`numbers`](Self::numbers) and
    /// [`ratios`](Self::ratios) set, so it comes before them.
    #[must_use]
    pub const fn for_peer(mut self, peer: Peer) -> Self {
        let lacking = match peer {
            Peer::Clojure => Lacking::Keep,
            Peer::ClojureScript => Lacking::Substitute,
        };
        self.one_number_type = matches!(peer, Peer::ClojureScript);
        self.chars(lacking).numbers(lacking).ratios(lacking)
    }

    /// What is done with characters. Their substitute is a string of one character.
    #[must_use]
    pub const fn chars(mut self, lacking: Lacking) -> Self {
        self.chars = lacking;
        self
    }

    /// What is done with numbers that a double does not hold.
    ///
    /// Their substitute is the nearest double, as a float: `9007199254740993` becomes
    /// `9.007199254740992E15`, and `0.10000000000000000001M` becomes `0.1`. Numbers too large for
    /// that are an error even then. Unless they are kept, numbers that survive lose their suffix
    /// only, and are never refused: `7N` becomes `7`, and `1.50M` becomes `1.5`.
    #[must_use]
    pub const fn numbers(mut self, lacking: Lacking) -> Self {
        self.numbers = lacking;
        self
    }

    /// What is done with ratios. Their substitute is a double that is near, as a float; a ratio of
    /// integers too large for doubles is an error even then.
    #[must_use]
    pub const fn ratios(mut self, lacking: Lacking) -> Self {
        self.ratios = lacking;
        self
    }

    /// Writes a value to a string.
    ///
    /// # Errors
    ///
    /// If there is something in the value that these options refuse.
    pub fn to_string(&self, value: &Value) -> Result<String, WriteError> {
        // Only whole texts go into the buffer, so it always is one.
        self.to_vec(value)
            .map(|text| String::from_utf8(text).unwrap_or_default())
    }

    /// Writes a value as bytes of UTF-8.
    ///
    /// # Errors
    ///
    /// Those of [`to_string`](Self::to_string).
    pub fn to_vec(&self, value: &Value) -> Result<Vec<u8>, WriteError> {
        let mut out = Vec::new();
        self.write(value, &mut out)?;
        Ok(out)
    }

    /// Writes a value behind what is in the buffer already.
    ///
    /// # Errors
    ///
    /// Those of [`to_string`](Self::to_string); the buffer is as it was then.
    pub fn write(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), WriteError> {
        self.write_out(value, out)?;
        Ok(())
    }

    /// Writes a value behind what is in the buffer already.
    ///
    /// # Errors
    ///
    /// Those of [`to_string`](Self::to_string); the buffer is as it was then.
    #[cfg(feature = "bytes")]
    pub fn write_bytes(&self, value: &Value, out: &mut bytes::BytesMut) -> Result<(), WriteError> {
        self.write_out(value, out)?;
        Ok(())
    }

    /// Writes a value to anything that takes text.
    ///
    /// # Errors
    ///
    /// Those of [`to_string`](Self::to_string), before anything is written; and
    /// [`WriteErrorKind::Output`] if `out` fails, maybe with a part of the text.
    pub fn write_fmt<W: fmt::Write + ?Sized>(
        &self,
        value: &Value,
        out: &mut W,
    ) -> Result<(), WriteError> {
        let written = self.write_out(value, &mut Fmt(out));
        match written {
            Ok(()) => Ok(()),
            Err(Failure::Output(_)) => Err(WriteError::new(WriteErrorKind::Output, &[])),
            Err(Failure::Value(error)) => Err(error),
        }
    }

    fn write_out<O: Out>(&self, value: &Value, out: &mut O) -> Result<(), Failure<O::Error>> {
        let adapts = self.sorts_keys
            || self.one_number_type
            || [self.chars, self.numbers, self.ratios] != [Lacking::Keep; 3];
        let width = self.width.unwrap_or(usize::MAX);
        if adapts {
            let (forest, root) = adapt(value, self).map_err(Failure::Value)?;
            pretty(&forest, &root, width, out).map_err(Failure::Output)
        } else if self.width.is_some() {
            pretty(&AsIs, value, width, out).map_err(Failure::Output)
        } else {
            compact(value, out).map_err(Failure::Output)
        }
    }
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self::new()
    }
}

enum Failure<E> {
    Output(E),
    Value(WriteError),
}

impl From<Failure<core::convert::Infallible>> for WriteError {
    fn from(failure: Failure<core::convert::Infallible>) -> Self {
        match failure {
            Failure::Value(error) => error,
            Failure::Output(never) => match never {},
        }
    }
}
