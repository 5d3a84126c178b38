//! Maps: values under keys of any kind, in the order of insertion.

use alloc::vec::{self, Vec};
use core::fmt;

use crate::compare;
use crate::name::Keyword;
use crate::table::Table;
use crate::value::Value;
use crate::write;

/// A map from any values to any values: `{:a 1, [2] "b"}`.
///
/// It keeps the order of insertion, which does not count for equality. Keys are the same if
/// Clojure's `=` says so, as in [`Value`]. Finding a key takes logarithmic time, removing one
/// linear time. (A peer that makes fingerprints collide can slow down finding, and so inserting, keys
/// that are themselves collections, and only those.)
///
/// Collecting many entries takes `n log n` at most, whatever the keys are, and so does extending a map
/// by at least as many as it holds. The result is that of inserting them one by one.
///
/// ```
/// use sente_edn::{Map, Value};
///
/// let mut map = Map::new();
/// map.insert("b", 1);
/// map.insert("a", 2);
/// assert_eq!(map.insert("b", 3), Some(Value::Int(1)));
/// assert_eq!(map.to_string(), r#"{"b" 3, "a" 2}"#);
/// ```
#[derive(Clone)]
pub struct Map(Table<2>);

impl Map {
    /// An empty map.
    #[must_use]
    pub const fn new() -> Self {
        Self(Table::new())
    }

    /// Takes keys and values in turn, the keys known to be different.
    pub(crate) fn from_distinct(items: Vec<Value>) -> Self {
        Self(Table::from_distinct(items))
    }

    /// Takes keys and values in turn, as if they were inserted one by one.
    #[cfg(feature = "serde")]
    pub(crate) fn from_items(items: Vec<Value>) -> Self {
        Self(Table::from_items(items))
    }

    /// Puts a value under a key, and gives what was there before.
    ///
    /// A key that is there already stays where, and as, it is.
    pub fn insert(&mut self, key: impl Into<Value>, value: impl Into<Value>) -> Option<Value> {
        let (key, value) = (key.into(), value.into());
        match self.0.find(&key) {
            Some(at) => self.0.replace(at.saturating_add(1), value),
            None => {
                self.0.push([key, value]);
                None
            }
        }
    }

    /// Takes out what is under a key. The others keep their order; takes linear time.
    pub fn remove(&mut self, key: &Value) -> Option<Value> {
        let at = self.0.find(key)?;
        self.0.remove(at).pop()
    }

    /// What is under a key, to be changed.
    pub fn get_mut(&mut self, key: &Value) -> Option<&mut Value> {
        let at = self.0.find(key)?;
        self.0.value_mut(at.saturating_add(1))
    }

    /// What is under a key.
    #[must_use]
    pub fn get(&self, key: &Value) -> Option<&Value> {
        let at = self.0.find(key)?;
        self.0.items().get(at.saturating_add(1))
    }

    /// What is under a keyword, named without its colon.
    #[must_use]
    pub fn get_keyword(&self, name: &str) -> Option<&Value> {
        self.get(&Value::Keyword(Keyword::from_valid(name)))
    }

    /// Whether there is something under a key.
    #[must_use]
    pub fn contains_key(&self, key: &Value) -> bool {
        self.0.find(key).is_some()
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.items().is_empty()
    }

    /// The entries, in order.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.0.items().as_chunks::<2>().0.iter())
    }

    /// The keys, in order.
    #[must_use]
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &Value> + ExactSizeIterator {
        self.iter().map(|(key, _)| key)
    }

    /// The values, in order.
    #[must_use]
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &Value> + ExactSizeIterator {
        self.iter().map(|(_, value)| value)
    }

    pub(crate) fn with_items(&self, items: Vec<Value>) -> Self {
        Self(self.0.with_items(items))
    }

    pub(crate) const fn table(&self) -> &Table<2> {
        &self.0
    }

    pub(crate) const fn table_mut(&mut self) -> &mut Table<2> {
        &mut self.0
    }
}

impl Default for Map {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether two maps have equal values under equal keys, in any order.
impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        compare::equal_entries::<2>(self.0.items(), other.0.items())
    }
}

impl Eq for Map {}

impl<K: Into<Value>, V: Into<Value>> FromIterator<(K, V)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        map.extend(entries);
        map
    }
}

impl<K: Into<Value>, V: Into<Value>> Extend<(K, V)> for Map {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        let entries = entries.into_iter();
        self.0
            .extend(entries.map(|(key, value)| [key.into(), value.into()]));
    }
}

impl<K: Into<Value>, V: Into<Value>, const N: usize> From<[(K, V); N]> for Map {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl<'m> IntoIterator for &'m Map {
    type Item = (&'m Value, &'m Value);
    type IntoIter = Iter<'m>;

    fn into_iter(self) -> Iter<'m> {
        self.iter()
    }
}

impl IntoIterator for Map {
    type Item = (Value, Value);
    type IntoIter = IntoIter;

    fn into_iter(mut self) -> IntoIter {
        IntoIter(self.0.take_items().into_iter())
    }
}

impl fmt::Display for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write::display_items(self, self.0.items(), write::Kind::Map, f)
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The entries of a [`Map`], in order.
#[derive(Clone, Debug)]
pub struct Iter<'m>(core::slice::Iter<'m, [Value; 2]>);

impl<'m> Iterator for Iter<'m> {
    type Item = (&'m Value, &'m Value);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|[key, value]| (key, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(|[key, value]| (key, value))
    }
}

impl ExactSizeIterator for Iter<'_> {}

/// The entries of a [`Map`] that was taken apart, in order.
#[derive(Debug)]
pub struct IntoIter(vec::IntoIter<Value>);

impl Iterator for IntoIter {
    type Item = (Value, Value);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.0.next()?, self.0.next()?))
    }
}
