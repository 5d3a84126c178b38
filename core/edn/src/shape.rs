//! What a form is, as far as its first characters tell.

use core::fmt;

/// What comes next in a text, without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Shape {
    /// `nil`
    Nil,
    /// `true`, `false`
    Bool,
    /// Any number, `##NaN` and the infinities among them.
    Number,
    /// A character: `\a`
    Char,
    /// A string: `"a"`
    String,
    /// A keyword: `:a`
    Keyword,
    /// A symbol: `a`
    Symbol,
    /// A list: `(1 2)`
    List,
    /// A vector: `[1 2]`
    Vector,
    /// A set: `#{1 2}`
    Set,
    /// A map: `{:a 1}`, `#:ns{:a 1}`
    Map,
    /// Anything behind a tag, `#inst` and `#uuid` among them.
    Tagged,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nil => "nil",
            Self::Bool => "a boolean",
            Self::Number => "a number",
            Self::Char => "a character",
            Self::String => "a string",
            Self::Keyword => "a keyword",
            Self::Symbol => "a symbol",
            Self::List => "a list",
            Self::Vector => "a vector",
            Self::Set => "a set",
            Self::Map => "a map",
            Self::Tagged => "a tagged form",
        })
    }
}
