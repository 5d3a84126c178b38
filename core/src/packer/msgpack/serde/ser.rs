//! serde's data model as MessagePack.

use alloc::format;
use alloc::vec::Vec;
use core::mem;

use ::serde::ser::{self, Serialize};
use sente_edn::{BigInt, Decimal, Inst, Ratio, Symbol, Tagged, Uuid, Value};

use super::MAX_DEPTH;
use super::error::Error;
use super::names;
use crate::packer::msgpack::ext;
use crate::packer::msgpack::out::{Open, Out};
use crate::packer::msgpack::pack::{self, Style};

/// Writes one Rust value.
pub(super) struct Serializer<'o> {
    out: Out<'o>,
    depth: usize,
    mode: Mode,
    /// Tags that are being written, and what is behind them.
    tagged: Vec<Vec<Value>>,
}

/// Which of `sente-edn`'s types is being written.
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
    Set,
    Tagged,
    Raw,
}

impl<'o> Serializer<'o> {
    pub(super) const fn new(out: &'o mut Vec<u8>) -> Self {
        Self {
            out: Out::new(out),
            depth: 0,
            mode: Mode::Plain,
            tagged: Vec::new(),
        }
    }

    pub(super) fn finish(self) -> Result<(), Error> {
        self.out.finish().map_err(|_| Error::new(pack::too_long()))
    }

    #[inline]
    fn deepen(&mut self) -> Result<(), Error> {
        if self.depth >= MAX_DEPTH {
            return Err(Error::new(format!(
                "nests deeper than the {MAX_DEPTH} levels allowed"
            )));
        }
        self.depth = self.depth.saturating_add(1);
        Ok(())
    }

    /// The name of a field or variant.
    #[inline(always)]
    fn name(&mut self, name: &str) {
        self.out.ext(ext::KEYWORD, name.as_bytes());
    }

    #[inline]
    fn sequence(&mut self, count: Option<usize>) -> Result<Compound<'_, 'o>, Error> {
        match (self.mode, count) {
            (Mode::Plain, Some(count)) => {
                self.deepen()?;
                self.out.array(count);
                Ok(Compound::new(self, Kind::Known, count))
            }
            _ => self.odd_sequence(count),
        }
    }

    /// A set, a tagged form, or a sequence of unknown length.
    #[inline(never)]
    fn odd_sequence(&mut self, count: Option<usize>) -> Result<Compound<'_, 'o>, Error> {
        let set = match mem::take(&mut self.mode) {
            Mode::Tagged => {
                self.tagged.push(Vec::new());
                return Ok(Compound::new(self, Kind::Tagged, 0));
            }
            Mode::Set => Some(self.out.open()),
            _ => None,
        };
        self.deepen()?;
        Ok(match (set, count) {
            (None, Some(count)) => {
                self.out.array(count);
                Compound::new(self, Kind::Known, count)
            }
            (Some(set), Some(count)) => {
                self.out.array(count);
                Compound::new(self, Kind::Set(set), count)
            }
            (None, None) => {
                let array = self.out.open();
                Compound::new(self, Kind::Array(array), 0)
            }
            (Some(set), None) => {
                let array = self.out.open();
                Compound::new(self, Kind::SetOfArray(set, array), 0)
            }
        })
    }

    #[inline]
    fn map(&mut self, count: Option<usize>) -> Result<Compound<'_, 'o>, Error> {
        self.mode = Mode::Plain;
        self.deepen()?;
        Ok(match count {
            Some(count) => {
                self.out.map(count);
                Compound::new(self, Kind::Known, count)
            }
            None => {
                let map = self.out.open();
                Compound::new(self, Kind::Map(map), 0)
            }
        })
    }

    /// A variant that has something in it.
    fn variant(&mut self, name: &str) -> Result<(), Error> {
        self.mode = Mode::Plain;
        self.deepen()?;
        self.out.map(1);
        self.name(name);
        Ok(())
    }

    fn integer(&mut self, value: impl TryInto<i64>) -> Result<(), Error> {
        self.mode = Mode::Plain;
        match value.try_into() {
            Ok(value) => {
                self.out.int(value);
                Ok(())
            }
            Err(_) => Err(Error::new(
                "an integer of more than 64 bits with a sign, which Sente's peers cannot read",
            )),
        }
    }

    fn value(&mut self, value: &Value) -> Result<(), Error> {
        pack::write(value, Style::default(), &mut self.out).map_err(Error::new)
    }

    /// A text that stands for one of `sente-edn`'s types.
    #[inline(never)]
    fn special(&mut self, mode: Mode, text: &str) -> Result<(), Error> {
        let wrong = || Error::new("not what its type says it is");
        match mode {
            Mode::Keyword => self.name(text.strip_prefix(':').unwrap_or(text)),
            Mode::Symbol => self.out.ext(ext::SYMBOL, text.as_bytes()),
            Mode::BigInt => {
                let value = BigInt::new(text).map_err(|_| wrong())?;
                self.out.int(pack::long(&value).map_err(Error::new)?);
            }
            Mode::Decimal => {
                let value = Decimal::new(text).map_err(|_| wrong())?;
                self.out.double(value.to_f64());
            }
            Mode::Ratio => {
                let (above, below) = text.split_once('/').ok_or_else(wrong)?;
                let above = BigInt::new(above).map_err(|_| wrong())?;
                let below = BigInt::new(below).map_err(|_| wrong())?;
                let value = Ratio::divide(&above, &below).map_err(|_| wrong())?;
                self.value(&value)?;
            }
            Mode::Inst => pack::instant(Inst::parse(text).map_err(|_| wrong())?, &mut self.out),
            Mode::Uuid => pack::uuid(Uuid::parse(text).map_err(|_| wrong())?, &mut self.out),
            Mode::Raw => {
                let value =
                    sente_edn::from_str(text).map_err(|error| Error::new(format!("{error}")))?;
                self.value(&value)?;
            }
            _ => self.out.str(text),
        }
        Ok(())
    }
}

/// What is to be done at the end of a collection.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Nothing: its head says how many items it has.
    Known,
    /// It is the value of a one-entry map.
    Variant,
    /// To say how many items it had.
    Array(Open),
    Map(Open),
    /// To say how long the extension around the array is.
    Set(Open),
    SetOfArray(Open, Open),
    /// To write the tag and the form behind it, which have been collected.
    Tagged,
}

/// A collection that is being written.
pub(super) struct Compound<'s, 'o> {
    to: &'s mut Serializer<'o>,
    kind: Kind,
    /// How many items its head says it has, if there is one.
    said: usize,
    count: usize,
}

impl<'s, 'o> Compound<'s, 'o> {
    #[inline]
    const fn new(to: &'s mut Serializer<'o>, kind: Kind, said: usize) -> Self {
        Self {
            to,
            kind,
            said,
            count: 0,
        }
    }

    #[inline]
    fn item<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), Error> {
        let index = self.count;
        self.count = index.wrapping_add(1);
        if matches!(self.kind, Kind::Tagged) {
            return self.part(item);
        }
        let done = item.serialize(&mut *self.to);
        done.map_err(|error| error.within(&index))
    }

    /// A tag, or the form behind it.
    #[inline(never)]
    fn part<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), Error> {
        let value = sente_edn::serde::to_value(item);
        let value = value.map_err(|error| Error::new(format!("{error}")))?;
        if let Some(parts) = self.to.tagged.last_mut() {
            parts.push(value);
        }
        Ok(())
    }

    /// Where it is inlined the name is known, and with it how it is written.
    #[inline(always)]
    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        self.count = self.count.wrapping_add(1);
        self.to.name(name);
        self.field_value(name, value)
    }

    #[inline]
    fn field_value<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        let done = value.serialize(&mut *self.to);
        done.map_err(|error| error.within(&format_args!(":{name}")))
    }

    #[inline]
    fn finish(self) -> Result<(), Error> {
        self.to.depth = self.to.depth.saturating_sub(1);
        if matches!(self.kind, Kind::Known) && self.count == self.said {
            return Ok(());
        }
        self.finish_odd()
    }

    #[inline(never)]
    fn finish_odd(self) -> Result<(), Error> {
        let is_known = matches!(self.kind, Kind::Known | Kind::Variant | Kind::Set(_));
        if is_known && self.count != self.said {
            let (count, said) = (self.count, self.said);
            return Err(Error::new(format!(
                "a collection of {count} was said to have {said}"
            )));
        }
        let out = &mut self.to.out;
        match self.kind {
            Kind::Known => {}
            Kind::Variant => self.to.depth = self.to.depth.saturating_sub(1),
            Kind::Array(array) => out.close_array(array, self.count),
            Kind::Map(map) => out.close_map(map, self.count),
            Kind::Set(set) => out.close_ext(set, ext::SET),
            Kind::SetOfArray(set, array) => {
                out.close_array(array, self.count);
                out.close_ext(set, ext::SET);
            }
            Kind::Tagged => {
                // It was not entered.
                self.to.depth = self.to.depth.saturating_add(1);
                let parts = self.to.tagged.pop().unwrap_or_default();
                self.to.value(&tagged(parts)?)?;
            }
        }
        Ok(())
    }
}

fn tagged(parts: Vec<Value>) -> Result<Value, Error> {
    let mut parts = parts.into_iter();
    let wrong = || Error::new("not a tag and one form");
    let (Some(Value::String(tag)), Some(value), None) = (parts.next(), parts.next(), parts.next())
    else {
        return Err(wrong());
    };
    let tag = Symbol::new(&tag).map_err(|_| wrong())?;
    let tagged = Tagged::new(tag, value).map_err(|_| wrong())?;
    Ok(Value::Tagged(tagged))
}

macro_rules! integers {
    ($($method:ident: $type:ty;)*) => {$(
        #[inline]
        fn $method(self, value: $type) -> Result<(), Error> {
            self.integer(value)
        }
    )*};
}

impl<'s, 'o> ser::Serializer for &'s mut Serializer<'o> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Compound<'s, 'o>;
    type SerializeTuple = Compound<'s, 'o>;
    type SerializeTupleStruct = Compound<'s, 'o>;
    type SerializeTupleVariant = Compound<'s, 'o>;
    type SerializeMap = Compound<'s, 'o>;
    type SerializeStruct = Compound<'s, 'o>;
    type SerializeStructVariant = Compound<'s, 'o>;

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

    #[inline]
    fn serialize_f32(self, value: f32) -> Result<(), Error> {
        self.mode = Mode::Plain;
        self.out.float(value);
        Ok(())
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result<(), Error> {
        self.mode = Mode::Plain;
        self.out.double(value);
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), Error> {
        self.mode = Mode::Plain;
        pack::char(value, &mut self.out);
        Ok(())
    }

    #[inline]
    fn serialize_str(self, text: &str) -> Result<(), Error> {
        match mem::take(&mut self.mode) {
            Mode::Plain => {
                self.out.str(text);
                Ok(())
            }
            mode => self.special(mode, text),
        }
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), Error> {
        self.mode = Mode::Plain;
        self.out.bin(bytes);
        Ok(())
    }

    #[inline]
    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_unit(self) -> Result<(), Error> {
        self.mode = Mode::Plain;
        self.out.nil();
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
    ) -> Result<(), Error> {
        self.mode = Mode::Plain;
        self.name(name);
        Ok(())
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        // Of all names few are `sente-edn`'s.
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
            names::SET => Mode::Set,
            names::TAGGED => Mode::Tagged,
            names::RAW => Mode::Raw,
            _ => Mode::Plain,
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
        self.depth = self.depth.saturating_sub(1);
        Ok(())
    }

    #[inline]
    fn serialize_seq(self, count: Option<usize>) -> Result<Compound<'s, 'o>, Error> {
        self.sequence(count)
    }

    #[inline]
    fn serialize_tuple(self, count: usize) -> Result<Compound<'s, 'o>, Error> {
        self.sequence(Some(count))
    }

    #[inline]
    fn serialize_tuple_struct(
        self,
        _: &'static str,
        count: usize,
    ) -> Result<Compound<'s, 'o>, Error> {
        self.sequence(Some(count))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        count: usize,
    ) -> Result<Compound<'s, 'o>, Error> {
        self.variant(name)?;
        self.deepen()?;
        self.out.array(count);
        Ok(Compound::new(self, Kind::Variant, count))
    }

    #[inline]
    fn serialize_map(self, count: Option<usize>) -> Result<Compound<'s, 'o>, Error> {
        self.map(count)
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, count: usize) -> Result<Compound<'s, 'o>, Error> {
        self.map(Some(count))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        count: usize,
    ) -> Result<Compound<'s, 'o>, Error> {
        self.variant(name)?;
        self.deepen()?;
        self.out.map(count);
        Ok(Compound::new(self, Kind::Variant, count))
    }
}

macro_rules! items {
    ($($trait:ident::$method:ident;)*) => {$(
        impl ser::$trait for Compound<'_, '_> {
            type Ok = ();
            type Error = Error;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), Error> {
                self.item(item)
            }

            #[inline]
            fn end(self) -> Result<(), Error> {
                self.finish()
            }
        }
    )*};
}

items! {
    SerializeSeq::serialize_element;
    SerializeTuple::serialize_element;
    SerializeTupleStruct::serialize_field;
    SerializeTupleVariant::serialize_field;
}

macro_rules! fields {
    ($($trait:ident)*) => {$(
        impl ser::$trait for Compound<'_, '_> {
            type Ok = ();
            type Error = Error;

            #[inline(always)]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                self.field(name, value)
            }

            #[inline]
            fn end(self) -> Result<(), Error> {
                self.finish()
            }
        }
    )*};
}

fields! { SerializeStruct SerializeStructVariant }

impl ser::SerializeMap for Compound<'_, '_> {
    type Ok = ();
    type Error = Error;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.count = self.count.saturating_add(1);
        key.serialize(&mut *self.to)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(&mut *self.to)
    }

    fn end(self) -> Result<(), Error> {
        self.finish()
    }
}
