//! What two peers of this engine can do beyond the stock dialects, if both say so.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use sente_edn::{Map, Value};

use crate::connection::keyword;

/// The extensions a client offers, a server grants, or a link has in force.
///
/// A client offers them in its URL (`sente-ext=1.batch.calls.trace`, which is what
/// [`Display`](fmt::Display) writes and [`FromStr`] reads) or in the hello of a byte stream. Only
/// then does the handshake carry an answer; a peer that offers nothing sees exactly stock frames.
///
/// ```
/// use sente_core::Extensions;
///
/// let offered: Extensions = "1.batch.calls.trace".parse().unwrap();
/// assert_eq!(offered, Extensions::ALL);
/// assert_eq!(Extensions::NONE.with_batch().to_string(), "1.batch");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Extensions {
    /// Several events may travel in one message in either direction. Without it only a Sente
    /// server's pushes do.
    pub batch: bool,
    /// Either side may call the other. Without it a Sente server over WebSocket cannot call.
    pub calls: bool,
    /// Events and calls may carry a [`Traceparent`](crate::Traceparent). Without it there is no
    /// place for one, and it is left out.
    pub trace: bool,
}

impl Extensions {
    /// None: the stock dialect.
    pub const NONE: Self = Self {
        batch: false,
        calls: false,
        trace: false,
    };

    /// All this engine knows.
    pub const ALL: Self = Self {
        batch: true,
        calls: true,
        trace: true,
    };

    /// The version of the offer's form.
    const VERSION: &'static str = "1";

    /// These and batches both ways.
    #[must_use]
    pub const fn with_batch(self) -> Self {
        Self {
            batch: true,
            ..self
        }
    }

    /// These and calls both ways.
    #[must_use]
    pub const fn with_calls(self) -> Self {
        Self {
            calls: true,
            ..self
        }
    }

    /// These and traces both ways.
    #[must_use]
    pub const fn with_trace(self) -> Self {
        Self {
            trace: true,
            ..self
        }
    }

    /// Those that are in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            batch: self.batch && other.batch,
            calls: self.calls && other.calls,
            trace: self.trace && other.trace,
        }
    }

    /// Takes the extension called `name` up, if it is known.
    pub(crate) fn insert(&mut self, name: &str) {
        match name {
            "batch" => self.batch = true,
            "calls" => self.calls = true,
            "trace" => self.trace = true,
            _ => {}
        }
    }

    fn names(self) -> impl Iterator<Item = &'static str> {
        [
            ("batch", self.batch),
            ("calls", self.calls),
            ("trace", self.trace),
        ]
        .into_iter()
        .filter_map(|(name, holds)| holds.then_some(name))
    }

    /// As the value of `:ext`: `{:batch true, :calls true, :trace true}`.
    pub(crate) fn to_value(self) -> Value {
        let mut map = Map::new();
        for name in self.names() {
            map.insert(keyword(name), Value::Bool(true));
        }
        Value::Map(map)
    }
}

impl fmt::Display for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::VERSION)?;
        for name in self.names() {
            write!(f, ".{name}")?;
        }
        Ok(())
    }
}

impl FromStr for Extensions {
    type Err = ExtensionsError;

    /// Reads `1.name.name`; names that are not known are passed over.
    fn from_str(text: &str) -> Result<Self, ExtensionsError> {
        let mut words = text.split('.');
        if words.next() != Some(Self::VERSION) {
            return Err(ExtensionsError(text.chars().take(40).collect()));
        }
        let mut extensions = Self::NONE;
        for name in words {
            extensions.insert(name);
        }
        Ok(extensions)
    }
}

/// An offer of extensions of another form than `1.name.name`, shown up to its 40th character.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} offers no extensions: the form is 1.batch.calls")]
#[expect(clippy::exhaustive_structs, reason = "it says all there is")]
pub struct ExtensionsError(pub String);
