//! Any EDN value, owned: the enum, what it converts from, and what it can be asked for.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::hash::{Hash, Hasher};

use crate::collection::{List, Vector};
use crate::compare::{self, Mode};
use crate::decimal::Decimal;
use crate::fingerprint;
use crate::inst::Inst;
use crate::integer::BigInt;
use crate::map::Map;
use crate::name::{Keyword, Symbol};
use crate::ratio::Ratio;
use crate::set::Set;
use crate::tagged::Tagged;
use crate::uuid::Uuid;
use crate::write;

/// Any EDN value.
///
/// `==` is Clojure's `=`: `1` equals `1N` but not `1.0`, a list equals a vector of equal items,
/// maps and sets do not care about order. `##NaN` is equal to itself here, because to Clojure's
/// reader it is: `#{##NaN ##NaN}` is refused as a set with a repeated element. Behind a tag
/// Clojure compares as Java does, so `#a 1` does not equal `#a 1N`. For whether two values would
/// print the same, but for the order of maps and sets, see [`identical`](Self::identical).
///
/// However deep a value nests, dropping, cloning, comparing, hashing and printing it takes no more
/// stack than for a flat one.
///
/// ```
/// use sente_edn::{Value, from_str};
///
/// let value = from_str("{:user/id 7, :tags #{:a}}").unwrap();
/// assert_eq!(value.get_keyword("user/id"), Some(&Value::Int(7)));
/// assert_eq!(value.to_string(), "{:user/id 7, :tags #{:a}}");
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Value {
    /// `nil`
    #[default]
    Nil,
    /// `true`, `false`
    Bool(bool),
    /// An integer of 64 bits: `42`
    Int(i64),
    /// An integer of any size: `42N`
    BigInt(BigInt),
    /// A floating-point number: `4.2`, `##NaN`
    Float(f64),
    /// A decimal number: `4.20M`
    Decimal(Decimal),
    /// A ratio in lowest terms: `1/3`
    Ratio(Ratio),
    /// A character: `\a`. Clojure's have 16 bits; one beyond them is written as a string.
    Char(char),
    /// A string: `"a"`
    String(String),
    /// A keyword: `:user/id`
    Keyword(Keyword),
    /// A symbol: `user/id`
    Symbol(Symbol),
    /// A list: `(1 2)`
    List(List),
    /// A vector: `[1 2]`
    Vector(Vector),
    /// A set: `#{1 2}`
    Set(Set),
    /// A map: `{:a 1}`
    Map(Map),
    /// A point in time: `#inst "2026-01-02T03:04:05.678-00:00"`
    Inst(Inst),
    /// A UUID: `#uuid "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"`
    Uuid(Uuid),
    /// A value behind a tag this crate does not know: `#my/point [1 2]`
    Tagged(Tagged),
}

impl Value {
    /// A keyword, its name given without the colon; `None` if Clojure could not read it back.
    #[must_use]
    pub fn keyword(name: &str) -> Option<Self> {
        Keyword::new(name).ok().map(Self::Keyword)
    }

    /// A symbol; `None` if Clojure could not read it back.
    #[must_use]
    pub fn symbol(name: &str) -> Option<Self> {
        Symbol::new(name).ok().map(Self::Symbol)
    }

    /// Whether this is `nil`.
    #[must_use]
    pub const fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }

    /// The boolean, if this is one.
    #[must_use]
    pub const fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The integer, if this is one and 64 bits hold it.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            Self::BigInt(value) => value.to_i64(),
            _ => None,
        }
    }

    /// The number as a floating-point one, as near as that comes, if this is a number.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "the doc says so")]
            Self::Int(value) => Some(*value as f64),
            Self::BigInt(value) => value.as_str().parse().ok(),
            Self::Float(value) => Some(*value),
            Self::Decimal(value) => Some(value.to_f64()),
            Self::Ratio(value) => Some(value.to_f64()),
            _ => None,
        }
    }

    /// The character, if this is one.
    #[must_use]
    pub const fn as_char(&self) -> Option<char> {
        match self {
            Self::Char(value) => Some(*value),
            _ => None,
        }
    }

    /// The string, if this is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(value) => Some(value),
            _ => None,
        }
    }

    /// The keyword, if this is one.
    #[must_use]
    pub const fn as_keyword(&self) -> Option<&Keyword> {
        match self {
            Self::Keyword(value) => Some(value),
            _ => None,
        }
    }

    /// The symbol, if this is one.
    #[must_use]
    pub const fn as_symbol(&self) -> Option<&Symbol> {
        match self {
            Self::Symbol(value) => Some(value),
            _ => None,
        }
    }

    /// The list, if this is one.
    #[must_use]
    pub const fn as_list(&self) -> Option<&List> {
        match self {
            Self::List(value) => Some(value),
            _ => None,
        }
    }

    /// The vector, if this is one.
    #[must_use]
    pub const fn as_vector(&self) -> Option<&Vector> {
        match self {
            Self::Vector(value) => Some(value),
            _ => None,
        }
    }

    /// The items of a list or vector.
    #[must_use]
    pub fn as_sequence(&self) -> Option<&[Self]> {
        match self {
            Self::List(value) => Some(value),
            Self::Vector(value) => Some(value),
            _ => None,
        }
    }

    /// The set, if this is one.
    #[must_use]
    pub const fn as_set(&self) -> Option<&Set> {
        match self {
            Self::Set(value) => Some(value),
            _ => None,
        }
    }

    /// The map, if this is one.
    #[must_use]
    pub const fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(value) => Some(value),
            _ => None,
        }
    }

    /// The point in time, if this is one.
    #[must_use]
    pub const fn as_inst(&self) -> Option<Inst> {
        match self {
            Self::Inst(value) => Some(*value),
            _ => None,
        }
    }

    /// The UUID, if this is one.
    #[must_use]
    pub const fn as_uuid(&self) -> Option<Uuid> {
        match self {
            Self::Uuid(value) => Some(*value),
            _ => None,
        }
    }

    /// The tagged value, if this is one.
    #[must_use]
    pub const fn as_tagged(&self) -> Option<&Tagged> {
        match self {
            Self::Tagged(value) => Some(value),
            _ => None,
        }
    }

    /// What a map has under a key. `None` if this is no map, too.
    #[must_use]
    pub fn get(&self, key: &Self) -> Option<&Self> {
        self.as_map()?.get(key)
    }

    /// What a map has under a keyword, named without its colon. `None` if this is no map, too.
    #[must_use]
    pub fn get_keyword(&self, name: &str) -> Option<&Self> {
        self.as_map()?.get_keyword(name)
    }

    /// Whether two values print the same, but for the order of maps and sets.
    ///
    /// Unlike `==` this tells lists from vectors, `1` from `1N`, `1.0M` from `1.00M` and `0.0`
    /// from `-0.0`.
    #[must_use]
    pub fn identical(&self, other: &Self) -> bool {
        compare::equal(self, other, Mode::Strict)
    }
}

/// Clojure's `=`; see [`Value`].
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        compare::equal(self, other, Mode::Clojure)
    }
}

impl Eq for Value {}

/// Equal values hash alike, whatever their order and kind of sequence.
///
/// What is hashed is 64 bits without a secret, so whoever writes the values can make them collide,
/// whichever hasher is used. Values of strangers are better collected into a [`Map`] or a [`Set`].
impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(fingerprint::of(self));
    }
}

/// The text that [`to_string`](crate::to_string) gives; with `{:#}`, on aligned lines of
/// [72 columns](crate::WriteOptions::DEFAULT_WIDTH) where that can be.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write::display(self, f)
    }
}

/// The same text: EDN is made for reading.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write::display(self, f)
    }
}

macro_rules! from {
    ($($source:ty => $variant:ident: $convert:expr;)*) => {$(
        impl From<$source> for Value {
            fn from(value: $source) -> Self {
                Self::$variant($convert(value))
            }
        }
    )*};
}

from! {
    bool => Bool: |value| value;
    i8 => Int: i64::from;
    i16 => Int: i64::from;
    i32 => Int: i64::from;
    i64 => Int: |value| value;
    u8 => Int: i64::from;
    u16 => Int: i64::from;
    u32 => Int: i64::from;
    f32 => Float: f64::from;
    f64 => Float: |value| value;
    char => Char: |value| value;
    &str => String: String::from;
    String => String: |value| value;
    BigInt => BigInt: |value| value;
    Decimal => Decimal: |value| value;
    Ratio => Ratio: |value| value;
    Keyword => Keyword: |value| value;
    Symbol => Symbol: |value| value;
    List => List: |value| value;
    Vector => Vector: |value| value;
    Vec<Value> => Vector: Vector::from;
    Set => Set: |value| value;
    Map => Map: |value| value;
    Inst => Inst: |value| value;
    Uuid => Uuid: |value| value;
    Tagged => Tagged: |value| value;
}

impl From<u64> for Value {
    /// An `Int` if it fits, else a `BigInt`.
    fn from(value: u64) -> Self {
        match i64::try_from(value) {
            Ok(value) => Self::Int(value),
            Err(_) => Self::BigInt(BigInt::from(i128::from(value))),
        }
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    /// `nil` for `None`.
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nil, Into::into)
    }
}

impl FromIterator<Self> for Value {
    /// A vector.
    fn from_iter<I: IntoIterator<Item = Self>>(items: I) -> Self {
        Self::Vector(items.into_iter().collect())
    }
}
