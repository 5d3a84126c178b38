//! Values behind tags that this crate does not know.

use alloc::boxed::Box;
use core::fmt;

use crate::class;
use crate::compare::{self, Mode};
use crate::deep;
use crate::name::Symbol;
use crate::value::Value;
use crate::write;

/// A value behind a tag: `#my/point [1 2]`.
///
/// `#inst` and `#uuid` are not here but have variants of [`Value`] of their own. Most Clojure peers
/// drop a whole message over a tag they do not know.
pub struct Tagged(Box<(Symbol, Value)>);

impl Tagged {
    /// Puts a tag on a value.
    ///
    /// # Errors
    ///
    /// If the tag is `inst` or `uuid`, or does not begin with a letter.
    pub fn new(tag: Symbol, value: impl Into<Value>) -> Result<Self, InvalidTag> {
        let first = tag.as_str().chars().next();
        let reads_back = first.is_some_and(class::is_tag_start);
        if reads_back && !matches!(tag.as_str(), "inst" | "uuid") {
            Ok(Self::from_valid(tag, value.into()))
        } else {
            Err(InvalidTag(()))
        }
    }

    /// Takes a tag the reader has found valid.
    pub(crate) fn from_valid(tag: Symbol, value: Value) -> Self {
        Self(Box::new((tag, value)))
    }

    /// The tag, without `#`.
    #[must_use]
    pub fn tag(&self) -> &Symbol {
        &self.0.0
    }

    /// The value behind the tag.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.0.1
    }

    /// The value without its tag.
    #[must_use]
    pub fn into_value(mut self) -> Value {
        core::mem::take(&mut self.0.1)
    }

    /// The same tag on another value.
    pub(crate) fn with_value(&self, value: Value) -> Value {
        Value::Tagged(Self::from_valid(self.tag().clone(), value))
    }

    pub(crate) fn value_mut(&mut self) -> &mut Value {
        &mut self.0.1
    }
}

impl Clone for Tagged {
    fn clone(&self) -> Self {
        Self::from_valid(self.tag().clone(), deep::clone(self.value()))
    }
}

impl Drop for Tagged {
    fn drop(&mut self) {
        deep::drop_value(&mut self.0.1);
    }
}

/// Clojure's `=`, which compares what is behind a tag as Java does.
impl PartialEq for Tagged {
    fn eq(&self, other: &Self) -> bool {
        self.tag() == other.tag() && compare::equal(self.value(), other.value(), Mode::Java)
    }
}

impl Eq for Tagged {}

impl fmt::Display for Tagged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} ", self.tag())?;
        write::write_fmt(self.value(), f)
    }
}

impl fmt::Debug for Tagged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A tag that this crate would not read back as one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tag must begin with a letter and be neither `inst` nor `uuid`")]
#[non_exhaustive]
pub struct InvalidTag(());
