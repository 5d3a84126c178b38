//! Named values: what parts of a program share under a fully qualified name, and watch.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use sente_edn::Value;
use smol_str::SmolStr;
use thiserror::Error;

/// A fully qualified name: a category of one word or several joined by dots, a slash, and a name.
/// Words begin with a small letter, followed by small letters and digits; the name may have hyphens
/// as well.
///
/// ```
/// use sente_core::Fqn;
///
/// let name = Fqn::new("config.server/ws-port")?;
/// assert_eq!((name.category(), name.name()), ("config.server", "ws-port"));
/// assert!(Fqn::new("Config/port").is_err());
/// # Ok::<(), sente_core::FqnError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fqn(SmolStr);

impl Fqn {
    /// The name that `text` is.
    ///
    /// # Errors
    /// [`FqnError::BadName`] if it is none.
    pub fn new(text: &str) -> Result<Self, FqnError> {
        let word = |word: &str, also: &[u8]| {
            let bytes = word.as_bytes();
            bytes.first().is_some_and(u8::is_ascii_lowercase)
                && bytes.iter().all(|byte| {
                    byte.is_ascii_lowercase() || byte.is_ascii_digit() || also.contains(byte)
                })
        };
        let is_name = text.split_once('/').is_some_and(|(category, name)| {
            category.split('.').all(|it| word(it, b"")) && word(name, b"-")
        });
        if is_name {
            Ok(Self(SmolStr::new(text)))
        } else {
            Err(FqnError::BadName(text.chars().take(100).collect()))
        }
    }

    /// What stands before the slash.
    #[must_use]
    pub fn category(&self) -> &str {
        self.parts().0
    }

    /// What stands behind the slash.
    #[must_use]
    pub fn name(&self) -> &str {
        self.parts().1
    }

    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parts(&self) -> (&str, &str) {
        self.0.split_once('/').unwrap_or_default()
    }
}

impl FromStr for Fqn {
    type Err = FqnError;

    fn from_str(text: &str) -> Result<Self, FqnError> {
        Self::new(text)
    }
}

impl fmt::Display for Fqn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Fqn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a name stands for: a place that holds a value. Two names may stand for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FqnRef(u64);

/// Names one watch of one registry until it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FqnWatch(u64);

/// What a watch saw: the value under its name has changed, once or many times since it was last
/// told.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FqnChange {
    /// The watch.
    pub watch: FqnWatch,
    /// The name it is for.
    pub name: Fqn,
    /// The value it was last told of; `None` where nothing was registered.
    pub old: Option<Value>,
    /// The value now; `None` where nothing is registered.
    pub new: Option<Value>,
}

/// Why a registry did not do it: the caller's mistake.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FqnError {
    /// Not a fully qualified name, shown up to its 100th character.
    #[error(
        "{0:?} is no name: the form is category.sub/name, in small letters, digits and hyphens"
    )]
    BadName(String),
    /// As many names, or watches, as there may be.
    #[error("{limit} are registered already")]
    Full {
        /// The limit in force.
        limit: usize,
    },
    /// No value is registered under the name, or the place is gone.
    #[error("{0} is not registered")]
    NotRegistered(String),
    /// A value is registered under the name already.
    #[error("{0} is registered already")]
    Taken(Fqn),
}

/// Values under names, with watches.
///
/// Whoever shares it looks values up by name, changes them, and is told of changes by
/// [`poll_change`](Self::poll_change). A value that is the text of another registered name can be
/// looked through, one level deep: see [`resolve`](Self::resolve).
///
/// ```
/// use sente_core::{Fqn, FqnRegistry, edn::Value};
///
/// let mut registry = FqnRegistry::new();
/// let (port, used) = (Fqn::new("config/port")?, Fqn::new("server/port")?);
/// registry.register(&port, 9090)?;
/// registry.register(&used, "config/port")?;
/// assert_eq!(registry.resolve(&used), Some(&Value::from(9090)));
///
/// let watch = registry.watch_resolved(&used)?;
/// registry.set(&port, 9091)?;
/// let change = registry.poll_change().unwrap();
/// assert_eq!((change.watch, change.new), (watch, Some(Value::from(9091))));
/// # Ok::<(), sente_core::FqnError>(())
/// ```
#[derive(Debug)]
pub struct FqnRegistry {
    limit: usize,
    names: BTreeMap<Fqn, FqnRef>,
    cells: BTreeMap<FqnRef, Cell>,
    watches: BTreeMap<FqnWatch, Watch>,
    /// Which watches look at a name.
    watched: BTreeMap<Fqn, BTreeSet<FqnWatch>>,
    /// The watches that have something to tell, each once.
    changed: VecDeque<FqnWatch>,
    next: u64,
}

#[derive(Debug)]
struct Cell {
    value: Value,
    /// The names that stand for it: without any it is gone.
    names: BTreeSet<Fqn>,
}

#[derive(Debug)]
struct Watch {
    name: Fqn,
    /// The name it looks through, if it does and the value is one.
    through: Option<Fqn>,
    resolves: bool,
    told: Option<Value>,
    is_changed: bool,
}

impl Default for FqnRegistry {
    fn default() -> Self {
        Self::new()
    }
}

impl FqnRegistry {
    /// An empty registry of at most 10,000 names and as many watches.
    #[must_use]
    pub const fn new() -> Self {
        Self::with_limit(10_000)
    }

    /// An empty registry of at most `limit` names and as many watches.
    #[must_use]
    pub const fn with_limit(limit: usize) -> Self {
        Self {
            limit,
            names: BTreeMap::new(),
            cells: BTreeMap::new(),
            watches: BTreeMap::new(),
            watched: BTreeMap::new(),
            changed: VecDeque::new(),
            next: 0,
        }
    }

    /// Registers a value under a name that is free.
    ///
    /// # Errors
    /// [`FqnError::Taken`], [`FqnError::Full`].
    pub fn register(&mut self, name: &Fqn, value: impl Into<Value>) -> Result<FqnRef, FqnError> {
        if self.names.contains_key(name) {
            return Err(FqnError::Taken(name.clone()));
        }
        self.ensure(name, value)
    }

    /// What stands under a name; if nothing does, a value is registered there first.
    ///
    /// # Errors
    /// [`FqnError::Full`].
    pub fn ensure(&mut self, name: &Fqn, value: impl Into<Value>) -> Result<FqnRef, FqnError> {
        if let Some(known) = self.names.get(name) {
            return Ok(*known);
        }
        if self.names.len() >= self.limit {
            return Err(FqnError::Full { limit: self.limit });
        }
        let place = FqnRef(self.next);
        self.next = self.next.wrapping_add(1);
        let cell = Cell {
            value: value.into(),
            names: BTreeSet::from([name.clone()]),
        };
        self.cells.insert(place, cell);
        self.names.insert(name.clone(), place);
        self.has_changed(name);
        Ok(place)
    }

    /// Takes a name out, and its value unless another name stands for the same place.
    pub fn unregister(&mut self, name: &Fqn) -> bool {
        let Some(place) = self.names.remove(name) else {
            return false;
        };
        self.let_go(place, name);
        self.has_changed(name);
        true
    }

    /// Takes out all names that begin with `prefix`, such as `config.`. How many.
    pub fn unregister_prefix(&mut self, prefix: &str) -> usize {
        let names: Vec<Fqn> = self.with_prefix(prefix).cloned().collect();
        for name in &names {
            self.unregister(name);
        }
        names.len()
    }

    /// Puts a value under a registered name, and gives what was there.
    ///
    /// # Errors
    /// [`FqnError::NotRegistered`].
    pub fn set(&mut self, name: &Fqn, value: impl Into<Value>) -> Result<Value, FqnError> {
        let mut value = Some(value.into());
        let mut old = Value::Nil;
        self.swap(name, |before| {
            old = before.clone();
            value.take().unwrap_or_default()
        })?;
        Ok(old)
    }

    /// Puts what `f` makes of the value under a registered name in its place, and gives it.
    ///
    /// # Errors
    /// [`FqnError::NotRegistered`].
    pub fn swap(
        &mut self,
        name: &Fqn,
        f: impl FnOnce(&Value) -> Value,
    ) -> Result<&Value, FqnError> {
        let missing = || FqnError::NotRegistered(String::from(name.as_str()));
        let place = self.reference(name).ok_or_else(missing)?;
        let names = match self.cells.get_mut(&place) {
            Some(cell) => {
                cell.value = f(&cell.value);
                cell.names.clone()
            }
            None => BTreeSet::new(),
        };
        for name in &names {
            self.has_changed(name);
        }
        self.value(name).ok_or_else(missing)
    }

    /// Lets a name, registered or new, stand for a place that another one stands for.
    ///
    /// # Errors
    /// [`FqnError::NotRegistered`] if no name stands for the place any more, [`FqnError::Full`].
    pub fn set_reference(&mut self, name: &Fqn, place: FqnRef) -> Result<(), FqnError> {
        let before = self.names.get(name).copied();
        if before == Some(place) {
            return Ok(());
        }
        if before.is_none() && self.names.len() >= self.limit {
            return Err(FqnError::Full { limit: self.limit });
        }
        let Some(cell) = self.cells.get_mut(&place) else {
            return Err(FqnError::NotRegistered(String::from("the place")));
        };
        cell.names.insert(name.clone());
        self.names.insert(name.clone(), place);
        if let Some(before) = before {
            self.let_go(before, name);
        }
        self.has_changed(name);
        Ok(())
    }

    /// Lets a registered name stand for what `f` makes of what it stands for.
    ///
    /// # Errors
    /// As for [`set_reference`](Self::set_reference).
    pub fn swap_reference(
        &mut self,
        name: &Fqn,
        f: impl FnOnce(FqnRef) -> FqnRef,
    ) -> Result<(), FqnError> {
        let missing = || FqnError::NotRegistered(String::from(name.as_str()));
        let place = self.reference(name).ok_or_else(missing)?;
        self.set_reference(name, f(place))
    }

    /// Begins to watch the value under a name, whether one is registered or not.
    ///
    /// # Errors
    /// [`FqnError::Full`].
    pub fn watch(&mut self, name: &Fqn) -> Result<FqnWatch, FqnError> {
        self.begin_watch(name, false)
    }

    /// Begins to watch what a name resolves to: it also tells when the value changes that is looked
    /// through to.
    ///
    /// # Errors
    /// [`FqnError::Full`].
    pub fn watch_resolved(&mut self, name: &Fqn) -> Result<FqnWatch, FqnError> {
        self.begin_watch(name, true)
    }

    /// Ends a watch. Whether there was one.
    pub fn unwatch(&mut self, watch: FqnWatch) -> bool {
        let Some(ended) = self.watches.remove(&watch) else {
            return false;
        };
        self.look_away(watch, &ended.name);
        if let Some(through) = &ended.through {
            self.look_away(watch, through);
        }
        self.changed.retain(|known| *known != watch);
        true
    }

    /// The next change that a watch saw. Changes that were made since the last are one; those that
    /// led back to the same value are none.
    #[must_use]
    pub fn poll_change(&mut self) -> Option<FqnChange> {
        loop {
            let id = self.changed.pop_front()?;
            let now = self.seen_by(id).cloned();
            let Some(watch) = self.watches.get_mut(&id) else {
                continue;
            };
            watch.is_changed = false;
            if watch.told == now {
                continue;
            }
            return Some(FqnChange {
                watch: id,
                name: watch.name.clone(),
                old: core::mem::replace(&mut watch.told, now.clone()),
                new: now,
            });
        }
    }

    /// The value under a name.
    #[must_use]
    pub fn value(&self, name: &Fqn) -> Option<&Value> {
        self.value_at(self.reference(name)?)
    }

    /// What a name stands for.
    #[must_use]
    pub fn reference(&self, name: &Fqn) -> Option<FqnRef> {
        self.names.get(name).copied()
    }

    /// The value at a place, while a name stands for it.
    #[must_use]
    pub fn value_at(&self, place: FqnRef) -> Option<&Value> {
        self.cells.get(&place).map(|cell| &cell.value)
    }

    /// The value under a name, or if that is the text of another registered name, the value under
    /// that one; whatever it is, it is looked no further.
    #[must_use]
    pub fn resolve(&self, name: &Fqn) -> Option<&Value> {
        let value = self.value(name)?;
        match self.named_by(value) {
            Some(other) => self.value(&other),
            None => Some(value),
        }
    }

    /// Whether a value is registered under a name.
    #[must_use]
    pub fn contains(&self, name: &Fqn) -> bool {
        self.names.contains_key(name)
    }

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &Fqn> {
        self.names.keys()
    }

    /// The names that begin with `prefix`, in order.
    pub fn with_prefix<'r>(&'r self, prefix: &str) -> impl Iterator<Item = &'r Fqn> + use<'r> {
        let prefix = SmolStr::new(prefix);
        self.names
            .range(Fqn(prefix.clone())..)
            .map(|(name, _)| name)
            .take_while(move |name| name.as_str().starts_with(prefix.as_str()))
    }

    /// How many names there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    fn begin_watch(&mut self, name: &Fqn, resolves: bool) -> Result<FqnWatch, FqnError> {
        if self.watches.len() >= self.limit {
            return Err(FqnError::Full { limit: self.limit });
        }
        let id = FqnWatch(self.next);
        self.next = self.next.wrapping_add(1);
        self.watches.insert(
            id,
            Watch {
                name: name.clone(),
                through: None,
                resolves,
                told: None,
                is_changed: false,
            },
        );
        self.watched.entry(name.clone()).or_default().insert(id);
        self.look_through(id);
        let told = self.seen_by(id).cloned();
        if let Some(watch) = self.watches.get_mut(&id) {
            watch.told = told;
        }
        Ok(id)
    }

    fn seen_by(&self, watch: FqnWatch) -> Option<&Value> {
        let watch = self.watches.get(&watch)?;
        match watch.resolves {
            true => self.resolve(&watch.name),
            false => self.value(&watch.name),
        }
    }

    /// The registered name that a value is the text of.
    fn named_by(&self, value: &Value) -> Option<Fqn> {
        let name = Fqn::new(value.as_str()?).ok()?;
        self.contains(&name).then_some(name)
    }

    /// Lets a watch look at the name that its value is, if it resolves. The name need not be
    /// registered yet.
    fn look_through(&mut self, id: FqnWatch) {
        let Some(watch) = self.watches.get(&id).filter(|watch| watch.resolves) else {
            return;
        };
        let text = self.value(&watch.name).and_then(Value::as_str);
        let through = text
            .and_then(|text| Fqn::new(text).ok())
            .filter(|it| *it != watch.name);
        if through == watch.through {
            return;
        }
        if let Some(through) = &through {
            self.watched.entry(through.clone()).or_default().insert(id);
        }
        let before = self.watches.get_mut(&id);
        let before = before.and_then(|watch| core::mem::replace(&mut watch.through, through));
        if let Some(before) = before {
            self.look_away(id, &before);
        }
    }

    fn look_away(&mut self, watch: FqnWatch, name: &Fqn) {
        if let Some(watches) = self.watched.get_mut(name) {
            watches.remove(&watch);
            if watches.is_empty() {
                self.watched.remove(name);
            }
        }
    }

    /// Notes for all who look at it that the value under a name may be another.
    fn has_changed(&mut self, name: &Fqn) {
        for id in self.watched.get(name).cloned().unwrap_or_default() {
            if let Some(watch) = self.watches.get_mut(&id)
                && !core::mem::replace(&mut watch.is_changed, true)
            {
                self.changed.push_back(id);
            }
            self.look_through(id);
        }
    }

    fn let_go(&mut self, place: FqnRef, name: &Fqn) {
        if let Some(cell) = self.cells.get_mut(&place) {
            cell.names.remove(name);
            if cell.names.is_empty() {
                self.cells.remove(&place);
            }
        }
    }
}
