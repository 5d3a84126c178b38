//! serde's data model as EDN.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use core::mem;

use ::serde::ser::{self, Serialize};

use super::error::Error;
use super::names;
use super::options::Options;
use super::out::{Bracket, Mark, Out, ToText, ToValue};
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
    options: Options,
    depth: usize,
    mode: Mode,
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
        Self::with(Out::Text(ToText::new()), options)
    }

    /// Begins a text that will be written at once.
    pub(super) fn to_text(options: &Options) -> Self {
        Self::with(Out::Text(ToText::with_room()), options)
    }

    /// Begins a text behind what is in a buffer.
    pub(super) fn behind(text: Vec<u8>, options: &Options) -> Self {
        Self::with(Out::Text(ToText::behind(text)), options)
    }

    pub(super) const fn to_value(options: &Options) -> Self {
        Self::with(Out::Value(ToValue::new()), options)
    }

    const fn with(out: Out, options: &Options) -> Self {
        Self {
            out,
            options: *options,
            depth: 0,
            mode: Mode::Plain,
        }
    }

    /// What was written.
    #[must_use]
    pub fn into_string(self) -> String {
        match self.out {
            // Only whole texts were written, so together they are one.
            Out::Text(text) => String::from_utf8(text.into_bytes()).unwrap_or_default(),
            Out::Value(value) => crate::to_string(&value.into_value()),
        }
    }

    pub(super) fn take_bytes(&mut self) -> Vec<u8> {
        match mem::replace(&mut self.out, Out::Text(ToText::behind(Vec::new()))) {
            Out::Text(text) => text.into_bytes(),
            Out::Value(value) => crate::to_vec(&value.into_value()),
        }
    }

    pub(super) fn into_value(self) -> Value {
        match self.out {
            Out::Value(value) => value.into_value(),
            Out::Text(_) => Value::Nil,
        }
    }

    fn deepen(&mut self) -> Result<(), Error> {
        let limit = self.options.limits.max_depth;
        if self.depth >= limit {
            let mut message = String::new();
            let _ = write!(message, "nests deeper than the {limit} levels allowed");
            return Err(Error::new(message));
        }
        self.depth = self.depth.saturating_add(1);
        Ok(())
    }

    fn open(&mut self, bracket: Bracket) -> Result<(), Error> {
        self.deepen()?;
        self.out.open(bracket);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        self.depth = self.depth.saturating_sub(1);
        self.out.close()
    }

    fn nil(&mut self) {
        self.mode = Mode::Plain;
        self.out.nil();
    }

    /// The name of a field or variant.
    #[inline]
    fn name(&mut self, name: &'static str) -> Result<(), Error> {
        if !self.options.string_names && self.out.plain_keyword(name) {
            return Ok(());
        }
        self.odd_name(name)
    }

    #[inline(never)]
    fn odd_name(&mut self, name: &'static str) -> Result<(), Error> {
        if self.options.string_names {
            self.out.text(name);
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

    fn sequence(&mut self) -> Result<Compound<'_>, Error> {
        let bracket = match mem::take(&mut self.mode) {
            Mode::List => Bracket::List,
            Mode::Set => Bracket::Set,
            Mode::Tagged => return Ok(Compound::new(self, Shape::Tagged)),
            _ => Bracket::Vector,
        };
        self.open(bracket)?;
        Ok(Compound::new(self, Shape::Collection))
    }

    fn map(&mut self) -> Result<Compound<'_>, Error> {
        self.mode = Mode::Plain;
        self.open(Bracket::Map)?;
        Ok(Compound::new(self, Shape::Collection))
    }

    fn variant(&mut self, name: &'static str) -> Result<(), Error> {
        self.mode = Mode::Plain;
        self.open(Bracket::Map)?;
        self.name(name)
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Collection,
    /// A collection that is the value of a one-entry map.
    Variant,
    Tagged,
}

/// A collection that is being written.
pub struct Compound<'s> {
    to: &'s mut Serializer,
    shape: Shape,
    index: usize,
    key: Option<Mark>,
}

impl<'s> Compound<'s> {
    const fn new(to: &'s mut Serializer, shape: Shape) -> Self {
        Self {
            to,
            shape,
            index: 0,
            key: None,
        }
    }

    fn item<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), Error> {
        let index = self.index;
        self.index = index.saturating_add(1);
        if self.shape == Shape::Tagged {
            if index > 1 {
                return Err(Error::new("a tag stands before one form"));
            }
            self.to.mode = if index == 0 { Mode::Tag } else { Mode::Plain };
            return item.serialize(&mut *self.to);
        }
        let done = item.serialize(&mut *self.to);
        done.map_err(|error| error.within(&index))
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        self.to.name(name)?;
        let done = value.serialize(&mut *self.to);
        done.map_err(|error| error.within(&format_args!(":{name}")))
    }

    fn finish(self) -> Result<(), Error> {
        match self.shape {
            Shape::Collection => self.to.close(),
            Shape::Variant => {
                self.to.close()?;
                self.to.close()
            }
            Shape::Tagged if self.index == 2 => {
                self.to.depth = self.to.depth.saturating_sub(1);
                self.to.out.end_tag()
            }
            Shape::Tagged => Err(Error::new("a tag stands before one form")),
        }
    }
}

macro_rules! integers {
    ($($method:ident: $type:ty;)*) => {$(
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

    fn serialize_f64(self, value: f64) -> Result<(), Error> {
        self.float(value);
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), Error> {
        // Beyond 16 bits Clojure has no characters, and what is written is a string.
        self.mode = Mode::Plain;
        match u16::try_from(value) {
            Ok(_) => self.out.char(value),
            Err(_) => self.out.text(value.encode_utf8(&mut [0; 4])),
        }
        Ok(())
    }

    fn serialize_str(self, text: &str) -> Result<(), Error> {
        match mem::take(&mut self.mode) {
            Mode::Plain => {
                self.out.text(text);
                Ok(())
            }
            mode => self.special(mode, text),
        }
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), Error> {
        self.mode = Mode::Plain;
        self.open(Bracket::Vector)?;
        for byte in bytes {
            self.out.int(i64::from(*byte));
        }
        self.close()
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.nil();
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.nil();
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.nil();
        Ok(())
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
    ) -> Result<(), Error> {
        self.mode = Mode::Plain;
        self.name(name)
    }

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
        done.map_err(|error| error.within(&format_args!(":{name}")))?;
        self.close()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Compound<'s>, Error> {
        self.sequence()
    }

    fn serialize_tuple(self, _: usize) -> Result<Compound<'s>, Error> {
        self.sequence()
    }

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
        Ok(Compound::new(self, Shape::Variant))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Compound<'s>, Error> {
        self.map()
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Compound<'s>, Error> {
        self.map()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Compound<'s>, Error> {
        self.variant(name)?;
        self.open(Bracket::Map)?;
        Ok(Compound::new(self, Shape::Variant))
    }
}

macro_rules! compound {
    ($($trait:ident::$method:ident;)*) => {$(
        impl ser::$trait for Compound<'_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), Error> {
                self.item(item)
            }

            fn end(self) -> Result<(), Error> {
                self.finish()
            }
        }
    )*};
}

compound! {
    SerializeSeq::serialize_element;
    SerializeTuple::serialize_element;
    SerializeTupleStruct::serialize_field;
    SerializeTupleVariant::serialize_field;
}

macro_rules! fields {
    ($($trait:ident)*) => {$(
        impl ser::$trait for Compound<'_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                self.field(name, value)
            }

            fn end(self) -> Result<(), Error> {
                self.finish()
            }
        }
    )*};
}

fields! { SerializeStruct SerializeStructVariant }

impl ser::SerializeMap for Compound<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        let start = self.to.out.mark();
        key.serialize(&mut *self.to)?;
        self.key = Some(self.to.out.key_since(start));
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let done = value.serialize(&mut *self.to);
        done.map_err(|error| match self.key {
            Some(key) => error.within(&self.to.out.show(key)),
            None => error,
        })
    }

    fn end(self) -> Result<(), Error> {
        self.finish()
    }
}
