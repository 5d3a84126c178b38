//! Lists and vectors: items in order.

use alloc::vec::{self, Vec};
use core::fmt;
use core::ops::{Deref, DerefMut};
use core::slice;

use crate::compare::{self, Mode};
use crate::deep;
use crate::value::Value;
use crate::write;

macro_rules! sequence {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Default)]
        pub struct $name(Vec<Value>);

        impl $name {
            /// An empty one.
            #[must_use]
            pub const fn new() -> Self {
                Self(Vec::new())
            }

            /// Adds an item at the end.
            pub fn push(&mut self, item: impl Into<Value>) {
                self.0.push(item.into());
            }

            /// The items.
            #[must_use]
            pub fn into_vec(mut self) -> Vec<Value> {
                core::mem::take(&mut self.0)
            }

            /// The items, in order.
            #[must_use]
            pub fn as_slice(&self) -> &[Value] {
                &self.0
            }

            pub(crate) fn items_mut(&mut self) -> &mut Vec<Value> {
                &mut self.0
            }
        }

        impl Deref for $name {
            type Target = [Value];

            fn deref(&self) -> &[Value] {
                &self.0
            }
        }

        impl DerefMut for $name {
            fn deref_mut(&mut self) -> &mut [Value] {
                &mut self.0
            }
        }

        impl From<Vec<Value>> for $name {
            fn from(items: Vec<Value>) -> Self {
                Self(items)
            }
        }

        impl<T: Into<Value>> FromIterator<T> for $name {
            fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
                Self(items.into_iter().map(Into::into).collect())
            }
        }

        impl<T: Into<Value>> Extend<T> for $name {
            fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
                self.0.extend(items.into_iter().map(Into::into));
            }
        }

        impl IntoIterator for $name {
            type Item = Value;
            type IntoIter = vec::IntoIter<Value>;

            fn into_iter(self) -> Self::IntoIter {
                self.into_vec().into_iter()
            }
        }

        impl<'v> IntoIterator for &'v $name {
            type Item = &'v Value;
            type IntoIter = slice::Iter<'v, Value>;

            fn into_iter(self) -> Self::IntoIter {
                self.0.iter()
            }
        }

        impl Clone for $name {
            fn clone(&self) -> Self {
                Self(deep::clone_items(&self.0))
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                deep::drop_items(&mut self.0);
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                compare::equal_items(&self.0, &other.0, Mode::Clojure)
            }
        }

        impl Eq for $name {}

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write::display_items(self, &self.0, write::Kind::$name, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

sequence! {
    /// A list: `(1 2)`. It reads like a slice of its items.
    List
}

sequence! {
    /// A vector: `[1 2]`. It reads like a slice of its items.
    Vector
}
