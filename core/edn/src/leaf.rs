//! When two values that are made of no others are equal, and in which order they are kept.

use alloc::boxed::Box;

use crate::compare::Mode;
use crate::value::Value;

/// What decides whether two atoms are equal. The order only serves to find them again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Leaf<S> {
    Nil,
    Bool(bool),
    Int(i64),
    Big(S),
    Float(u64),
    Decimal(bool, S, i64),
    Ratio(S, S),
    Char(char),
    String(S),
    Keyword(S),
    Symbol(S),
    Inst(i64),
    Uuid(u128),
}

impl<'v> Leaf<&'v str> {
    /// `None` for a value that is made of others.
    pub(crate) fn of(value: &'v Value, mode: Mode) -> Option<Self> {
        let exact = mode != Mode::Clojure;
        Some(match value {
            Value::Nil => Self::Nil,
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(value) => Self::Int(*value),
            Value::BigInt(value) => match value.to_i64() {
                Some(small) if !matches!(mode, Mode::Java | Mode::Strict) => Self::Int(small),
                _ => Self::Big(value.as_str()),
            },
            Value::Float(value) => Self::Float(float_bits(*value, exact)),
            Value::Decimal(value) => {
                let (negative, digits, power) = if exact { value.exact() } else { value.value() };
                Self::Decimal(negative, digits, power)
            }
            Value::Ratio(value) => {
                Self::Ratio(value.numerator().as_str(), value.denominator().as_str())
            }
            Value::Char(value) => Self::Char(*value),
            Value::String(value) => Self::String(value),
            Value::Keyword(value) => Self::Keyword(value.as_str()),
            Value::Symbol(value) => Self::Symbol(value.as_str()),
            Value::Inst(value) => Self::Inst(value.as_millis()),
            Value::Uuid(value) => Self::Uuid(value.as_u128()),
            Value::List(_)
            | Value::Vector(_)
            | Value::Set(_)
            | Value::Map(_)
            | Value::Tagged(_) => {
                return None;
            }
        })
    }

    pub(crate) fn to_owned(&self) -> Leaf<Box<str>> {
        match *self {
            Self::Nil => Leaf::Nil,
            Self::Bool(value) => Leaf::Bool(value),
            Self::Int(value) => Leaf::Int(value),
            Self::Big(value) => Leaf::Big(value.into()),
            Self::Float(value) => Leaf::Float(value),
            Self::Decimal(negative, digits, power) => Leaf::Decimal(negative, digits.into(), power),
            Self::Ratio(above, below) => Leaf::Ratio(above.into(), below.into()),
            Self::Char(value) => Leaf::Char(value),
            Self::String(value) => Leaf::String(value.into()),
            Self::Keyword(value) => Leaf::Keyword(value.into()),
            Self::Symbol(value) => Leaf::Symbol(value.into()),
            Self::Inst(value) => Leaf::Inst(value),
            Self::Uuid(value) => Leaf::Uuid(value),
        }
    }
}

/// The bits that tell floating-point numbers apart: all NaN are one, and so are both zeros.
pub(crate) fn float_bits(value: f64, exact: bool) -> u64 {
    if value.is_nan() {
        f64::NAN.to_bits()
    } else if value == 0.0 && !exact {
        0
    } else {
        value.to_bits()
    }
}
