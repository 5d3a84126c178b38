//! What becomes of forms that are read: values, marks on the text, or classes of equal forms.

use alloc::vec::Vec;

use crate::atom::Atom;
use crate::collection::{List, Vector};
use crate::compare::{Classes, Mode, Node, SequenceKind};
use crate::error::{Error, ErrorKind};
use crate::frame::Kind;
use crate::machine::{Done, Machine, Repeats, Sink, Stop};
use crate::map::Map;
use crate::name::Symbol;
use crate::set::Set;
use crate::shape::Shape;
use crate::tagged::Tagged;
use crate::value::Value;

/// Reads the next form, and refuses it if a key or element is repeated in it.
pub(crate) fn read<'a, S: Sink>(
    machine: &mut Machine<'a, S>,
) -> Result<Option<Done<'a, S::Item>>, Error> {
    read_from(machine, machine.mark())
}

/// Reads on with a form that begins at a mark.
pub(crate) fn read_from<'a, S: Sink>(
    machine: &mut Machine<'a, S>,
    mark: (usize, usize),
) -> Result<Option<Done<'a, S::Item>>, Error> {
    match machine.form() {
        Ok(done) => Ok(done),
        Err(Stop::Error(error)) => Err(error),
        Err(Stop::Tie) => {
            // Almost always a repeated key. If not, someone has made fingerprints collide, and all
            // of the form is checked the slow way, which takes `n log n` whatever they do.
            machine.reset(mark);
            check_exactly(machine)?;
            machine.repeats = Repeats::Ignored;
            let done = machine.form();
            machine.repeats = Repeats::Suspected;
            match done {
                Ok(done) => Ok(done),
                Err(Stop::Error(error)) => Err(error),
                // It was told not to look.
                Err(Stop::Tie) => Ok(None),
            }
        }
    }
}

fn check_exactly<S: Sink>(machine: &Machine<'_, S>) -> Result<(), Error> {
    let mut exact = Machine::new(machine.lexer, machine.limits, ToClasses::default());
    exact.repeats = Repeats::Ignored;
    exact.depth = machine.depth;
    exact.reset(machine.mark());
    match exact.form() {
        Err(Stop::Error(error)) => Err(error),
        _ => Ok(()),
    }
}

/// Makes values.
pub(crate) struct ToValues;

impl Sink for ToValues {
    type Item = Value;
    type Open = Vec<Value>;

    #[inline]
    fn open(&mut self, _: Kind, _: usize) -> Vec<Value> {
        Vec::new()
    }

    #[inline]
    fn atom(&mut self, atom: Atom<'_>, _: usize, _: usize) -> Value {
        atom.to_value()
    }

    #[inline]
    fn push(&mut self, open: &mut Vec<Value>, item: Value, _: usize) {
        open.push(item);
    }

    fn close(&mut self, shape: Shape, open: Vec<Value>, _: u32, _: usize) -> Result<Value, Error> {
        Ok(match shape {
            Shape::List => Value::List(List::from(open)),
            Shape::Vector => Value::Vector(Vector::from(open)),
            Shape::Set => Value::Set(Set::from_distinct(open)),
            _ => Value::Map(Map::from_distinct(open)),
        })
    }

    fn tagged(&mut self, (tag, _): (&str, usize), _: Vec<Value>, item: Value, _: usize) -> Value {
        Value::Tagged(Tagged::from_valid(Symbol::from_valid(tag), item))
    }

    fn forget(&mut self, item: Value) {
        drop(item);
    }
}

/// Only validates, and remembers whether every reader would take what it has seen.
#[derive(Default)]
pub(crate) struct ToNothing {
    /// Whether there was a tag or a name that other readers refuse.
    pub(crate) is_foreign: bool,
}

impl Sink for ToNothing {
    type Item = ();
    type Open = ();

    #[inline]
    fn open(&mut self, _: Kind, _: usize) {}

    #[inline]
    fn atom(&mut self, atom: Atom<'_>, _: usize, _: usize) {
        if let Atom::Keyword(name) | Atom::Symbol(name) = atom {
            self.is_foreign |= is_foreign(name);
        }
    }

    #[inline]
    fn plain_atom(&mut self, _: Atom<'_>, _: usize, _: usize) {}

    #[inline]
    fn push(&mut self, (): &mut (), (): (), _: usize) {}

    #[inline]
    fn close(&mut self, _: Shape, (): (), _: u32, _: usize) -> Result<(), Error> {
        Ok(())
    }

    fn tagged(&mut self, _: (&str, usize), (): (), (): (), _: usize) {
        self.is_foreign = true;
    }

    #[inline]
    fn forget(&mut self, (): ()) {}
}

/// Whether `clojure.tools.reader` refuses a name that `clojure.edn` takes: it wants at most one
/// slash, or one and the name `/`, something before it, no digit behind it and no colon before it,
/// and no two colons in a row anywhere.
fn is_foreign(name: &str) -> bool {
    let odd_slash = match name.split_once('/') {
        None => false,
        Some(("", name)) => !name.is_empty(),
        Some((space, name)) => {
            space.ends_with(':')
                || name.starts_with(char::is_numeric)
                || (name.len() > 1 && name.contains('/'))
        }
    };
    odd_slash || name.ends_with(':') || name.contains("::")
}

/// Finds repeated keys and elements, however their fingerprints are made to collide.
#[derive(Default)]
struct ToClasses {
    classes: Classes,
}

/// The classes a form is in: for Clojure, for Java, and as a key for Java.
#[derive(Clone, Copy)]
struct InModes {
    clojure: u32,
    java: u32,
    java_key: u32,
}

impl Sink for ToClasses {
    type Item = InModes;
    type Open = Vec<(InModes, usize)>;

    fn open(&mut self, _: Kind, _: usize) -> Vec<(InModes, usize)> {
        Vec::new()
    }

    fn atom(&mut self, atom: Atom<'_>, _: usize, _: usize) -> InModes {
        let value = atom.to_value();
        InModes {
            clojure: self.classes.leaf(&value, Mode::Clojure),
            java: self.classes.leaf(&value, Mode::Java),
            java_key: self.classes.leaf(&value, Mode::JavaKey),
        }
    }

    fn push(&mut self, open: &mut Vec<(InModes, usize)>, item: InModes, start: usize) {
        open.push((item, start));
    }

    fn close(
        &mut self,
        shape: Shape,
        open: Vec<(InModes, usize)>,
        _: u32,
        _: usize,
    ) -> Result<InModes, Error> {
        match shape {
            Shape::Set => check(open.iter(), ErrorKind::RepeatedElement)?,
            Shape::Map => check(open.iter().step_by(2), ErrorKind::RepeatedKey)?,
            _ => {}
        }
        let mut class = |pick: fn(usize, &InModes) -> u32| {
            let items = open
                .iter()
                .enumerate()
                .map(|(index, (item, _))| pick(index, item));
            let items: Vec<u32> = items.collect();
            self.classes.class(match shape {
                Shape::Set => Node::set(items),
                Shape::Map => Node::map(&items),
                _ => Node::Sequence(SequenceKind::Any, items.into()),
            })
        };
        let java = match shape {
            Shape::Set => class(|_, item| item.java_key),
            Shape::Map => class(|index, item| {
                if index.is_multiple_of(2) {
                    item.java_key
                } else {
                    item.java
                }
            }),
            _ => class(|_, item| item.java),
        };
        let clojure = class(|_, item| item.clojure);
        let java_key = class(|_, item| item.java_key);
        Ok(InModes {
            clojure,
            java,
            java_key,
        })
    }

    fn tagged(
        &mut self,
        (tag, _): (&str, usize),
        _: Vec<(InModes, usize)>,
        item: InModes,
        _: usize,
    ) -> InModes {
        let class = self.classes.class(Node::Tagged(tag.into(), item.java));
        InModes {
            clojure: class,
            java: class,
            java_key: class,
        }
    }

    fn forget(&mut self, _: InModes) {}
}

/// Finds the first key that was there before.
fn check<'k>(
    keys: impl Iterator<Item = &'k (InModes, usize)>,
    kind: ErrorKind,
) -> Result<(), Error> {
    let mut keys: Vec<(u32, usize)> = keys.map(|(key, start)| (key.clojure, *start)).collect();
    keys.sort_unstable();
    let repeats = keys.windows(2).filter_map(|pair| match pair {
        [(first, _), (second, start)] if first == second => Some(*start),
        _ => None,
    });
    match repeats.min() {
        Some(start) => Err(Error::new(kind, start)),
        None => Ok(()),
    }
}
