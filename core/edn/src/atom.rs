//! Forms that are made of no others, as they stand in the text.

use alloc::string::String;

use crate::decimal::Decimal;
use crate::fingerprint;
use crate::inst::Inst;
use crate::integer::BigInt;
use crate::lex::RawStr;
use crate::name::{Keyword, Symbol};
use crate::number::Num;
use crate::ratio;
use crate::shape::Shape;
use crate::text;
use crate::uuid::Uuid;
use crate::value::Value;

/// A form that is made of no others and was found valid.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Atom<'t> {
    Nil,
    Bool(bool),
    Num(Num<'t>),
    Float(f64),
    Char(char),
    Str(RawStr<'t>),
    Keyword(&'t str),
    Symbol(&'t str),
    Inst(Inst),
    Uuid(Uuid),
}

impl<'t> Atom<'t> {
    pub(crate) const fn shape(self) -> Shape {
        match self {
            Self::Nil => Shape::Nil,
            Self::Bool(_) => Shape::Bool,
            Self::Num(_) | Self::Float(_) => Shape::Number,
            Self::Char(_) => Shape::Char,
            Self::Str(_) => Shape::String,
            Self::Keyword(_) => Shape::Keyword,
            Self::Symbol(_) => Shape::Symbol,
            Self::Inst(_) | Self::Uuid(_) => Shape::Tagged,
        }
    }

    pub(crate) const fn fact(self) -> Fact<'t> {
        match self {
            Self::Keyword(name) => Fact::Keyword(name),
            Self::Str(raw) => Fact::Str(raw),
            Self::Symbol(name) => Fact::Symbol(name),
            _ => Fact::Other,
        }
    }

    pub(crate) fn to_value(self) -> Value {
        match self {
            Self::Nil => Value::Nil,
            Self::Bool(value) => Value::Bool(value),
            Self::Num(Num::Int(value)) => Value::Int(value),
            Self::Num(Num::Big {
                negative,
                digits,
                radix,
            }) => Value::BigInt(BigInt::from_radix(negative, digits, radix)),
            // Rust takes all that Clojure's pattern lets through, and rounds as Java does.
            Self::Num(Num::Float(text)) => Value::Float(text.parse().unwrap_or(f64::NAN)),
            Self::Num(Num::Decimal(text)) => Value::Decimal(Decimal::from_checked(text)),
            Self::Num(Num::Ratio {
                negative,
                numerator,
                denominator,
            }) => ratio::reduce(negative, numerator, denominator),
            Self::Float(value) => Value::Float(value),
            Self::Char(value) => Value::Char(value),
            Self::Str(raw) => Value::String(String::from(text::unescape(raw))),
            Self::Keyword(text) => Value::Keyword(Keyword::from_valid(text)),
            Self::Symbol(text) => Value::Symbol(Symbol::from_valid(text)),
            Self::Inst(value) => Value::Inst(value),
            Self::Uuid(value) => Value::Uuid(value),
        }
    }

    /// What [`fingerprint::of`] gives for the value.
    #[inline]
    pub(crate) fn fingerprint(self) -> u64 {
        match self {
            Self::Keyword(text) => fingerprint::text(fingerprint::KEYWORD, text.as_bytes()),
            Self::Symbol(text) => fingerprint::text(fingerprint::SYMBOL, text.as_bytes()),
            Self::Num(Num::Int(value)) => fingerprint::int(value),
            Self::Str(raw) => {
                fingerprint::text(fingerprint::STRING, text::unescape(raw).as_bytes())
            }
            other => fingerprint::atom(&other.to_value()),
        }
    }
}

/// What `^`, `##`, `#:`, `#inst` and the like need to know of the form that follows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fact<'a> {
    Collection,
    Keyword(&'a str),
    Map,
    Other,
    Str(RawStr<'a>),
    Symbol(&'a str),
}
