//! Numbers as they stand in a text.

/// A number of valid grammar, kept as its text: JSON says nothing of sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number<'a> {
    text: &'a str,
    integer: bool,
}

impl<'a> Number<'a> {
    pub(super) const fn new(text: &'a str, integer: bool) -> Self {
        Self { text, integer }
    }

    /// As it stands in the text.
    pub(crate) const fn text(self) -> &'a str {
        self.text
    }

    /// Whether it has neither fraction nor exponent. `-0` is an integer here.
    pub(crate) const fn is_integer(self) -> bool {
        self.integer
    }

    /// The number, if it is an integer by its text and 64 bits with a sign hold it.
    pub(crate) fn to_i64(self) -> Option<i64> {
        self.integer.then(|| self.text.parse().ok()).flatten()
    }

    /// The nearest number of floating point; an infinity if there is none, as in JavaScript and
    /// Java.
    pub(crate) fn to_f64(self) -> f64 {
        self.text.parse().unwrap_or(f64::NAN)
    }
}
