//! What can be wrong with a JSON text.

use alloc::string::String;

use crate::packer::UnpackError;

/// What is wrong, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TextError {
    /// The byte it is about.
    pub(crate) offset: usize,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Not JSON, or not what was asked for: what was expected.
    Syntax(&'static str),
    /// Over a limit: of what, and the limit.
    OverLimit(&'static str, usize),
}

impl TextError {
    pub(crate) const fn new(offset: usize, message: &'static str) -> Self {
        Self {
            offset,
            kind: Kind::Syntax(message),
        }
    }

    pub(super) const fn over(offset: usize, what: &'static str, limit: usize) -> Self {
        Self {
            offset,
            kind: Kind::OverLimit(what, limit),
        }
    }
}

impl From<TextError> for UnpackError {
    fn from(error: TextError) -> Self {
        let offset = error.offset;
        match error.kind {
            Kind::Syntax(message) => Self::Other {
                offset,
                message: String::from(message),
            },
            Kind::OverLimit(what, limit) => Self::OverLimit {
                offset,
                what,
                limit,
            },
        }
    }
}
