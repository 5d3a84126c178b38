//! Reading texts into values: a whole text, or the first form of it.

use crate::error::{Error, ErrorKind, Inside};
use crate::lex::Lexer;
use crate::limits::Limits;
use crate::machine::Machine;
use crate::sinks::{self, ToNothing, ToValues};
use crate::value::Value;

/// Reads a text that is one form, with the default [`Limits`].
///
/// # Errors
///
/// If the text is not EDN, holds no form or more than one, or is beyond the limits. Blanks,
/// comments and discarded forms around the one form are fine.
///
/// ```
/// let value = sente_edn::from_str("[1 :a] ; done").unwrap();
/// assert_eq!(value.to_string(), "[1 :a]");
/// assert!(sente_edn::from_str("1 2").is_err());
/// assert!(sente_edn::from_str("[1 :a").unwrap_err().is_incomplete());
/// ```
pub fn from_str(text: &str) -> Result<Value, Error> {
    from_slice(text.as_bytes())
}

/// Reads a text that is one form, as [`from_str`] does, from bytes that should be UTF-8.
///
/// # Errors
///
/// Those of [`from_str`], and if the bytes are not UTF-8. A byte order mark is not a blank.
pub fn from_slice(text: &[u8]) -> Result<Value, Error> {
    from_slice_with(text, &Limits::default())
}

/// Reads a text that is one form, as [`from_slice`] does, with other [`Limits`].
///
/// # Errors
///
/// Those of [`from_slice`].
pub fn from_slice_with(text: &[u8], limits: &Limits) -> Result<Value, Error> {
    let mut machine = Machine::new(open(text, limits)?, *limits, ToValues);
    let Some(done) = sinks::read(&mut machine)? else {
        return Err(machine.lexer.end(Inside::Text, machine.lexer.pos()));
    };
    let mut lexer = machine.lexer;
    if lexer.skip_blank(limits.dialect).is_none() {
        lexer.check_tail()?;
        return Ok(done.item);
    }
    let mut rest = Machine::new(lexer, *limits, ToNothing::default());
    rest.elements = machine.elements;
    match sinks::read(&mut rest)? {
        Some(trailing) => Err(Error::new(ErrorKind::TrailingForm, trailing.start)),
        None => Ok(done.item),
    }
}

/// Reads the first form of a text, and says at which byte it ends.
///
/// What stands behind it is not looked at, as `clojure.edn/read-string` does not. `None` if there
/// is no form in the text: only blanks, comments and discarded forms. (There
/// `clojure.edn/read-string` gives `nil`, or fails if it was told to.)
///
/// # Errors
///
/// If the first form is not EDN, not complete, or beyond the limits.
///
/// ```
/// use sente_edn::{Limits, read_first};
///
/// let (value, end) = read_first(b" :a :b", &Limits::default()).unwrap().unwrap();
/// assert_eq!((value.to_string().as_str(), end), (":a", 3));
/// assert_eq!(read_first(b" ; nothing", &Limits::default()), Ok(None));
/// ```
pub fn read_first(text: &[u8], limits: &Limits) -> Result<Option<(Value, usize)>, Error> {
    let mut machine = Machine::new(open(text, limits)?, *limits, ToValues);
    let done = sinks::read(&mut machine)?;
    Ok(done.map(|done| (done.item, machine.lexer.pos())))
}

impl core::str::FromStr for Value {
    type Err = Error;

    /// Reads as [`from_str`] does.
    fn from_str(text: &str) -> Result<Self, Error> {
        from_str(text)
    }
}

/// Begins a text, if it is not too long.
pub(crate) fn open<'a>(text: &'a [u8], limits: &Limits) -> Result<Lexer<'a>, Error> {
    let limit = limits.max_bytes.min(Limits::MOST_BYTES);
    if text.len() > limit {
        let length = text.len();
        return Err(Error::new(ErrorKind::TooLong { length, limit }, limit));
    }
    Ok(Lexer::new(text))
}
