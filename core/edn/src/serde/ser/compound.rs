//! What has parts: sequences, maps, structs, and what is behind a tag.

use ::serde::ser::{self, Serialize};

use super::{Mode, Serializer, within_field};
use crate::serde::error::Error;
use crate::serde::out::{Bracket, Mark};

/// A collection that is being written.
pub struct Compound<'s> {
    to: &'s mut Serializer,
    shape: Shape,
    bracket: Bracket,
    /// How many items, entries or fields it has.
    count: usize,
    key: Option<Mark>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Collection,
    /// A collection that is the value of a one-entry map.
    Variant,
    /// A map that its first field opens, or its end.
    Struct,
    StructVariant,
    Tagged,
}

impl<'s> Compound<'s> {
    #[inline]
    pub(super) const fn new(to: &'s mut Serializer, shape: Shape, bracket: Bracket) -> Self {
        Self {
            to,
            shape,
            bracket,
            count: 0,
            key: None,
        }
    }

    #[inline]
    fn item<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), Error> {
        let index = self.count;
        self.count = index.saturating_add(1);
        if self.shape == Shape::Tagged {
            if index > 1 {
                return Err(tag_without_one_form());
            }
            self.to.mode = if index == 0 { Mode::Tag } else { Mode::Plain };
            return item.serialize(&mut *self.to);
        }
        if index > 0 {
            self.to.out.blank();
        }
        let done = item.serialize(&mut *self.to);
        done.map_err(|error| within_item(error, index))
    }

    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        let is_first = self.count == 0;
        self.count = 1;
        self.to.key(name, is_first)?;
        let done = value.serialize(&mut *self.to);
        done.map_err(|error| within_field(error, name))
    }

    #[inline]
    fn finish(self) -> Result<(), Error> {
        match self.shape {
            Shape::Collection => self.to.close(self.bracket),
            Shape::Variant => {
                self.to.close(self.bracket)?;
                self.to.close(Bracket::Map)
            }
            Shape::Struct | Shape::StructVariant => {
                if self.count == 0 {
                    self.to.out.open(Bracket::Map);
                }
                self.to.close(Bracket::Map)?;
                if self.shape == Shape::StructVariant {
                    self.to.close(Bracket::Map)?;
                }
                Ok(())
            }
            Shape::Tagged if self.count == 2 => {
                self.to.levels = self.to.levels.saturating_add(1);
                self.to.out.end_tag()
            }
            Shape::Tagged => Err(tag_without_one_form()),
        }
    }
}

macro_rules! compound {
    ($($trait:ident::$method:ident;)*) => {$(
        impl ser::$trait for Compound<'_> {
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

            #[inline]
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

impl ser::SerializeMap for Compound<'_> {
    type Ok = ();
    type Error = Error;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        if self.count > 0 {
            self.to.out.comma();
        }
        self.count = 1;
        let start = self.to.out.mark();
        key.serialize(&mut *self.to)?;
        self.key = Some(self.to.out.key_since(start));
        Ok(())
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.to.out.blank();
        let done = value.serialize(&mut *self.to);
        done.map_err(|error| match self.key {
            Some(key) => error.within(&self.to.out.show(key)),
            None => error,
        })
    }

    #[inline]
    fn end(self) -> Result<(), Error> {
        self.finish()
    }
}

#[cold]
fn within_item(error: Error, index: usize) -> Error {
    error.within(&index)
}

#[cold]
fn tag_without_one_form() -> Error {
    Error::new("a tag stands before one form")
}
