//! Sets: different values of any kind, in the order of insertion.

use alloc::vec::{self, Vec};
use core::fmt;

use crate::compare;
use crate::table::Table;
use crate::value::Value;
use crate::write;

/// A set of any values: `#{1 :a}`.
///
/// It keeps the order of insertion, which does not count for equality. Elements are the same if
/// Clojure's `=` says so, as in [`Value`]. Finding one takes logarithmic time, with the exception
/// told of at [`Map`](crate::Map); removing one takes linear time. Collecting many takes `n log n` at
/// most, as for maps.
///
/// ```
/// use sente_edn::{Set, Value};
///
/// let mut set = Set::from(["b", "a"]);
/// assert!(!set.insert("b"));
/// assert_eq!(set.to_string(), r#"#{"b" "a"}"#);
/// ```
#[derive(Clone)]
pub struct Set(Table<1>);

impl Set {
    /// An empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self(Table::new())
    }

    /// Takes elements known to be different.
    pub(crate) fn from_distinct(items: Vec<Value>) -> Self {
        Self(Table::from_distinct(items))
    }

    /// Takes elements as if they were inserted one by one.
    #[cfg(feature = "serde")]
    pub(crate) fn from_items(items: Vec<Value>) -> Self {
        Self(Table::from_items(items))
    }

    /// Adds an element; whether it was not there before.
    pub fn insert(&mut self, element: impl Into<Value>) -> bool {
        let element = element.into();
        if self.contains(&element) {
            return false;
        }
        self.0.push([element]);
        true
    }

    /// Takes out an element. The others keep their order; takes linear time.
    pub fn remove(&mut self, element: &Value) -> Option<Value> {
        let at = self.0.find(element)?;
        self.0.remove(at).pop()
    }

    /// The element of the set that is equal to this one.
    #[must_use]
    pub fn get(&self, element: &Value) -> Option<&Value> {
        self.0.items().get(self.0.find(element)?)
    }

    /// Whether an element is there.
    #[must_use]
    pub fn contains(&self, element: &Value) -> bool {
        self.0.find(element).is_some()
    }

    /// How many elements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.items().is_empty()
    }

    /// The elements, in order.
    pub fn iter(&self) -> core::slice::Iter<'_, Value> {
        self.0.items().iter()
    }

    pub(crate) fn with_items(&self, items: Vec<Value>) -> Self {
        Self(self.0.with_items(items))
    }

    pub(crate) const fn table(&self) -> &Table<1> {
        &self.0
    }

    pub(crate) const fn table_mut(&mut self) -> &mut Table<1> {
        &mut self.0
    }
}

impl Default for Set {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether two sets have equal elements, in any order.
impl PartialEq for Set {
    fn eq(&self, other: &Self) -> bool {
        compare::equal_entries::<1>(self.0.items(), other.0.items())
    }
}

impl Eq for Set {}

impl<T: Into<Value>> FromIterator<T> for Set {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        let mut set = Self::new();
        set.extend(elements);
        set
    }
}

impl<T: Into<Value>> Extend<T> for Set {
    fn extend<I: IntoIterator<Item = T>>(&mut self, elements: I) {
        self.0
            .extend(elements.into_iter().map(|element| [element.into()]));
    }
}

impl<T: Into<Value>, const N: usize> From<[T; N]> for Set {
    fn from(elements: [T; N]) -> Self {
        elements.into_iter().collect()
    }
}

impl<'s> IntoIterator for &'s Set {
    type Item = &'s Value;
    type IntoIter = core::slice::Iter<'s, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Set {
    type Item = Value;
    type IntoIter = vec::IntoIter<Value>;

    fn into_iter(mut self) -> Self::IntoIter {
        self.0.take_items().into_iter()
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write::display_items(self, self.0.items(), write::Kind::Set, f)
    }
}

impl fmt::Debug for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
