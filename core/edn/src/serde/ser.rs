//! serde's data model as EDN.

mod compound;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use core::mem;

use ::serde::ser::{self, Serialize};

pub use compound::Compound;
use compound::Shape;

use super::error::Error;
use super::names;
use super::options::Options;
use super::out::{Bracket, Out};
use crate::decimal::Decimal;
use crate::inst::Inst;
use crate::integer::BigInt;
use crate::name::Keyword;
use crate::uuid::Uuid;
use crate::value::Value;

/// Writes one Rust value as EDN, as a text or as a [`Value`].
///
/// [`to_string`](super::to_string) and its like are the short way; this is for code that takes any
/// serializer.
///
/// ```
/// use sente_edn::serde::{Options, Serializer};
/// use serde::Serialize;
///
/// let mut serializer = Serializer::new(&Options::default());
/// (1, "a", Some('b')).serialize(&mut serializer).unwrap();
/// assert_eq!(serializer.into_string(), r#"[1 "a" \b]"#);
/// ```
pub struct Serializer {
    out: Out,
    mode: Mode,
    /// Whether names may be written as keywords into a text, and nothing else is to be asked.
    has_plain_names: bool,
    string_names: bool,
    /// How many levels may still be opened.
    levels: usize,
    max_depth: usize,
}

/// Which of this crate's types is being written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Plain,
    Keyword,
    Symbol,
    BigInt,
    Decimal,
    Ratio,
    Inst,
    Uuid,
    List,
    Set,
    Tagged,
    Tag,
    Raw,
}

impl Serializer {
    /// Begins a text.
    #[must_use]
    pub const fn new(options: &Options) -> Self {
        Self::with(Out::behind(Vec::new()), options)
    }

    /// Begins a text that will be written at once.
    pub(super) fn to_text(options: &Options) -> Self {
        Self::with(Out::with_room(), options)
    }

    /// Begins a text behind what is in a buffer.
    #[inline]
    pub(super) const fn behind(text: Vec<u8>, options: &Options) -> Self {
        Self::with(Out::behind(text), options)
    }

    pub(super) fn to_value(options: &Options) -> Self {
        Self::with(Out::to_value(), options)
    }

    #[inline]
    const fn with(out: Out, options: &Options) -> Self {
        let max_depth = options.limits.max_depth;
        Self {
            has_plain_names: out.is_text() && !options.string_names,
            string_names: options.string_names,
            levels: max_depth,
            max_depth,
            mode: Mode::Plain,
            out,
        }
    }

    /// What was written.
    #[must_use]
    pub fn into_string(self) -> String {
        // Only whole texts were written, so together they are one.
        String::from_utf8(self.out.into_bytes()).unwrap_or_default()
    }

    #[inline]
    pub(super) fn take_bytes(&mut self) -> Vec<u8> {
        mem::replace(&mut self.out, Out::behind(Vec::new())).into_bytes()
    }

    pub(super) fn into_value(self) -> Value {
        self.out.into_value()
    }

    #[inline]
    fn deepen(&mut self) -> Result<(), Error> {
        match self.levels.checked_sub(1) {
            Some(levels) => {
                self.levels = levels;
                Ok(())
            }
            None => Err(self.too_deep()),
        }
    }

    #[cold]
    fn too_deep(&self) -> Error {
        let mut message = String::new();
        let limit = self.max_depth;
        let _ = write!(message, "nests deeper than the {limit} levels allowed");
        Error::new(message)
    }

    #[inline]
    fn open(&mut self, bracket: Bracket) -> Result<(), Error> {
        self.deepen()?;
        self.out.open(bracket);
        Ok(())
    }

    #[inline]
    fn close(&mut self, bracket: Bracket) -> Result<(), Error> {
        self.levels = self.levels.saturating_add(1);
        self.out.close(bracket)
    }

    fn nil(&mut self) {
        self.mode = Mode::Plain;
        self.out.nil();
    }

    /// The name of a field or variant.
    fn name(&mut self, name: &'static str) -> Result<(), Error> {
        if self.string_names {
            self.out.string(name);
            return Ok(());
        }
        if self.out.plain_keyword(name) {
            return Ok(());
        }
        let Ok(keyword) = Keyword::new(name) else {
            let mut message = String::new();
            let _ = write!(message, "the name `{name}` can not be a keyword");
            return Err(Error::new(message));
        };
        self.out.atom(Value::Keyword(keyword));
        Ok(())
    }

    /// A name as a key, with what stands before and behind it; the first one opens the map.
    #[inline(always)]
    fn key(&mut self, name: &'static str, is_first: bool) -> Result<(), Error> {
        if self.has_plain_names && self.out.short_key(name, is_first) {
            return Ok(());
        }
        self.other_key(name, is_first)
    }

    #[inline(never)]
    fn other_key(&mut self, name: &'static str, is_first: bool) -> Result<(), Error> {
        if is_first {
            self.out.open(Bracket::Map);
        } else {
            self.out.comma();
        }
        self.name(name)?;
        self.out.blank();
        Ok(())
    }

    #[inline]
    fn sequence(&mut self) -> Result<Compound<'_>, Error> {
        let bracket = match mem::take(&mut self.mode) {
            Mode::Plain => Bracket::Vector,
            Mode::Tagged => return Ok(Compound::new(self, Shape::Tagged, Bracket::Vector)),
            Mode::List => Bracket::List,
            Mode::Set => Bracket::Set,
            _ => Bracket::Vector,
        };
        self.open(bracket)?;
        Ok(Compound::new(self, Shape::Collection, bracket))
    }

    fn variant(&mut self, name: &'static str) -> Result<(), Error> {
        self.mode = Mode::Plain;
        self.deepen()?;
        self.key(name, true)
    }

    /// A string that stands for a type of this crate.
    fn special(&mut self, mode: Mode, text: &str) -> Result<(), Error> {
        let value = match mode {
            Mode::Keyword => {
                let name = text.strip_prefix(':').unwrap_or(text);
                if self.out.plain_keyword(name) {
                    return Ok(());
                }
                super::types::keyword(name).map(Value::Keyword)
            }
            Mode::Symbol => super::types::symbol(text).map(Value::Symbol),
            Mode::BigInt => BigInt::new(text).ok().map(Value::BigInt),
            Mode::Decimal => Decimal::new(text).ok().map(Value::Decimal),
            Mode::Ratio => super::types::ratio(text).map(Value::Ratio),
            Mode::Inst => {
                let value = Inst::parse(text).map_err(|_| not_its_type())?;
                self.out.inst(value, text);
                return Ok(());
            }
            Mode::Uuid => {
                let value = Uuid::parse(text).map_err(|_| not_its_type())?;
                self.out.small(Value::Uuid(value));
                return Ok(());
            }
            Mode::Raw => return self.out.raw(text),
            Mode::Tag => {
                let tag = super::types::symbol(text);
                let tag = tag.ok_or_else(|| Error::new("no such tag"))?;
                self.deepen()?;
                self.out.tag(tag);
                return Ok(());
            }
            _ => Some(Value::from(text)),
        };
        self.out.atom(value.ok_or_else(not_its_type)?);
        Ok(())
    }

    fn float(&mut self, value: f64) {
        self.mode = Mode::Plain;
        self.out.float(value);
    }
}

#[cold]
fn not_its_type() -> Error {
    Error::new("not what its type says it is")
}

#[cold]
fn within_field(error: Error, name: &'static str) -> Error {
    error.within(&format_args!(":{name}"))
}

macro_rules! integers {
    ($($method:ident: $type:ty;)*) => {$(
        #[inline]
        fn $method(self, value: $type) -> Result<(), Error> {
            self.mode = Mode::Plain;
            match i64::try_from(value) {
                Ok(value) => self.out.int(value),
                Err(_) => self.out.atom(Value::BigInt(super::types::big(value))),
            }
            Ok(())
        }
    )*};
}

impl<'s> ser::Serializer for &'s mut Serializer {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Compound<'s>;
    type SerializeTuple = Compound<'s>;
    type SerializeTupleStruct = Compound<'s>;
    type SerializeTupleVariant = Compound<'s>;
    type SerializeMap = Compound<'s>;
    type SerializeStruct = Compound<'s>;
    type SerializeStructVariant = Compound<'s>;

    integers! {
        serialize_i8: i8;
        serialize_i16: i16;
        serialize_i32: i32;
        serialize_i64: i64;
        serialize_i128: i128;
        serialize_u8: u8;
        serialize_u16: u16;
        serialize_u32: u32;
        serialize_u64: u64;
        serialize_u128: u128;
    }

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.mode = Mode::Plain;
        self.out.bool(value);
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<(), Error> {
        // The digits that suffice for 32 bits, unless the way over 64 would change the number.
        let mut buffer = zmij::Buffer::new();
        let short: f64 = buffer.format(value).parse().unwrap_or(f64::NAN);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it is compared with the original"
        )]
        let same = (short as f32).to_bits() == value.to_bits();
        self.float(if same { short } else { f64::from(value) });
        Ok(())
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result<(), Error> {
        self.float(value);
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), Error> {
        // Beyond 16 bits Clojure has no characters, and what is written is a string.
        self.mode = Mode::Plain;
        match u16::try_from(value) {
            Ok(_) => self.out.char(value),
            Err(_) => self.out.string(value.encode_utf8(&mut [0; 4])),
        }
        Ok(())
    }

    #[inline]
    fn serialize_str(self, text: &str) -> Result<(), Error> {
        match mem::take(&mut self.mode) {
            Mode::Plain => {
                self.out.string(text);
                Ok(())
            }
            mode => self.special(mode, text),
        }
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), Error> {
        self.mode = Mode::Plain;
        self.open(Bracket::Vector)?;
        for (nth, byte) in bytes.iter().enumerate() {
            if nth > 0 {
                self.out.blank();
            }
            self.out.int(i64::from(*byte));
        }
        self.close(Bracket::Vector)
    }

    #[inline]
    fn serialize_none(self) -> Result<(), Error> {
        self.nil();
        Ok(())
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_unit(self) -> Result<(), Error> {
        self.nil();
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.nil();
        Ok(())
    }

    #[inline]
    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
    ) -> Result<(), Error> {
        self.mode = Mode::Plain;
        self.name(name)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        // Of all names few are this crate's own.
        if !name.starts_with(names::PREFIX) {
            return value.serialize(self);
        }
        self.mode = match name {
            names::KEYWORD => Mode::Keyword,
            names::SYMBOL => Mode::Symbol,
            names::BIG_INT => Mode::BigInt,
            names::DECIMAL => Mode::Decimal,
            names::RATIO => Mode::Ratio,
            names::INST => Mode::Inst,
            names::UUID => Mode::Uuid,
            names::LIST => Mode::List,
            names::SET => Mode::Set,
            names::TAGGED => Mode::Tagged,
            names::RAW => Mode::Raw,
            _ => mem::take(&mut self.mode),
        };
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.variant(name)?;
        let done = value.serialize(&mut *self);
        done.map_err(|error| within_field(error, name))?;
        self.close(Bracket::Map)
    }

    #[inline]
    fn serialize_seq(self, _: Option<usize>) -> Result<Compound<'s>, Error> {
        self.sequence()
    }

    #[inline]
    fn serialize_tuple(self, _: usize) -> Result<Compound<'s>, Error> {
        self.sequence()
    }

    #[inline]
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Compound<'s>, Error> {
        self.sequence()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Compound<'s>, Error> {
        self.variant(name)?;
        self.open(Bracket::Vector)?;
        Ok(Compound::new(self, Shape::Variant, Bracket::Vector))
    }

    #[inline]
    fn serialize_map(self, _: Option<usize>) -> Result<Compound<'s>, Error> {
        self.mode = Mode::Plain;
        self.open(Bracket::Map)?;
        Ok(Compound::new(self, Shape::Collection, Bracket::Map))
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Compound<'s>, Error> {
        self.mode = Mode::Plain;
        self.deepen()?;
        Ok(Compound::new(self, Shape::Struct, Bracket::Map))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Compound<'s>, Error> {
        self.variant(name)?;
        self.deepen()?;
        Ok(Compound::new(self, Shape::StructVariant, Bracket::Map))
    }
}
