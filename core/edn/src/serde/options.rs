//! What is left to the caller's choice.

use crate::limits::Limits;

/// How Rust values and EDN become each other, where that is a matter of choice.
///
/// ```
/// use sente_edn::serde::{Options, to_string_with};
///
/// #[derive(serde::Serialize)]
/// struct User { id: u32 }
///
/// let user = User { id: 7 };
/// assert_eq!(to_string_with(&user, &Options::default()).unwrap(), "{:id 7}");
/// let strings = Options::default().string_names(true);
/// assert_eq!(to_string_with(&user, &strings).unwrap(), r#"{"id" 7}"#);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    pub(crate) limits: Limits,
    pub(crate) string_names: bool,
}

impl Options {
    /// How deep the functions of this module go by default: 128 levels.
    ///
    /// That is less than the reader's 512, because code that serde derives calls itself for each
    /// level, and how much stack that takes is up to the types. `serde_json` stops at 128 as well.
    pub const DEFAULT_MAX_DEPTH: usize = 128;

    /// Whether the names of fields and variants are written as strings instead of keywords.
    /// Default: no. Both are read, whatever this says.
    #[must_use]
    pub const fn string_names(mut self, strings: bool) -> Self {
        self.string_names = strings;
        self
    }

    /// What a text may ask of the reader. The depth also holds for values, and for what is written.
    /// Default: [`Limits::default`] with a depth of [`DEFAULT_MAX_DEPTH`](Self::DEFAULT_MAX_DEPTH).
    ///
    /// Whoever allows more depth must see to it that the stack is large enough.
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: Limits::default().max_depth(Self::DEFAULT_MAX_DEPTH),
            string_names: false,
        }
    }
}
