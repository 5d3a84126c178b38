//! How values of any depth are walked, cloned and dropped without recursion.

use alloc::vec::Vec;
use core::slice;

use crate::value::Value;

/// What a value is made of: items, or keys and values in turn.
pub(crate) fn children(value: &Value) -> &[Value] {
    match value {
        Value::List(list) => list.as_slice(),
        Value::Vector(vector) => vector.as_slice(),
        Value::Set(set) => set.table().items(),
        Value::Map(map) => map.table().items(),
        Value::Tagged(tagged) => slice::from_ref(tagged.value()),
        _ => &[],
    }
}

/// Whether a value is made of no others, even if it could be.
pub(crate) const fn is_atom(value: &Value) -> bool {
    !matches!(
        value,
        Value::List(_) | Value::Vector(_) | Value::Set(_) | Value::Map(_) | Value::Tagged(_)
    )
}

/// One step of a walk through a value.
pub(crate) enum Step<'v> {
    /// A value that is made of no others.
    Atom(&'v Value),
    /// A value whose children follow.
    Open(&'v Value),
    /// That value again, after its children.
    Close(&'v Value),
}

/// A walk through a value, parents before and after their children.
pub(crate) struct Walk<'v> {
    root: Option<&'v Value>,
    open: Vec<(&'v Value, slice::Iter<'v, Value>)>,
}

impl<'v> Walk<'v> {
    pub(crate) const fn new(root: &'v Value) -> Self {
        Self {
            root: Some(root),
            open: Vec::new(),
        }
    }
}

impl<'v> Iterator for Walk<'v> {
    type Item = Step<'v>;

    fn next(&mut self) -> Option<Step<'v>> {
        let next = match self.open.last_mut() {
            None => self.root.take()?,
            Some((parent, children)) => match children.next() {
                Some(child) => child,
                None => {
                    let parent = *parent;
                    self.open.pop();
                    return Some(Step::Close(parent));
                }
            },
        };
        if is_atom(next) {
            return Some(Step::Atom(next));
        }
        self.open.push((next, children(next).iter()));
        Some(Step::Open(next))
    }
}

/// A copy of a value.
pub(crate) fn clone(value: &Value) -> Value {
    let mut open: Vec<Vec<Value>> = Vec::new();
    for step in Walk::new(value) {
        let done = match step {
            Step::Atom(atom) => atom.clone(),
            Step::Open(parent) => {
                open.push(Vec::with_capacity(children(parent).len()));
                continue;
            }
            Step::Close(parent) => rebuild(parent, open.pop().unwrap_or_default()),
        };
        match open.last_mut() {
            Some(siblings) => siblings.push(done),
            None => return done,
        }
    }
    Value::Nil
}

/// A copy of each item.
pub(crate) fn clone_items(items: &[Value]) -> Vec<Value> {
    items
        .iter()
        .map(|item| {
            if is_atom(item) {
                item.clone()
            } else {
                clone(item)
            }
        })
        .collect()
}

/// A value like another, made of copies of its children.
fn rebuild(parent: &Value, mut items: Vec<Value>) -> Value {
    match parent {
        Value::List(_) => Value::List(items.into()),
        Value::Vector(_) => Value::Vector(items.into()),
        Value::Set(set) => Value::Set(set.with_items(items)),
        Value::Map(map) => Value::Map(map.with_items(items)),
        Value::Tagged(tagged) => tagged.with_value(items.pop().unwrap_or_default()),
        atom => atom.clone(),
    }
}

/// Drops items, so that what is left for their own `drop` is flat.
pub(crate) fn drop_items(items: &mut Vec<Value>) {
    if items.iter().any(is_deep) {
        drop_all(core::mem::take(items));
    }
}

/// Drops a value, so that what is left for its own `drop` is flat.
pub(crate) fn drop_value(value: &mut Value) {
    if is_deep(value) {
        drop_all(alloc::vec![core::mem::take(value)]);
    }
}

/// Whether dropping the value would drop others.
fn is_deep(value: &Value) -> bool {
    match value {
        Value::Tagged(tagged) => !is_atom(tagged.value()),
        other => !children(other).is_empty(),
    }
}

fn drop_all(mut pending: Vec<Value>) {
    while let Some(mut value) = pending.pop() {
        match &mut value {
            Value::List(list) => pending.append(list.items_mut()),
            Value::Vector(vector) => pending.append(vector.items_mut()),
            Value::Set(set) => pending.append(&mut set.table_mut().take_items()),
            Value::Map(map) => pending.append(&mut map.table_mut().take_items()),
            Value::Tagged(tagged) => pending.push(core::mem::take(tagged.value_mut())),
            _ => {}
        }
    }
}
