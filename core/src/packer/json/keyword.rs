//! Which strings are keywords.

use sente_edn::{Keyword, Value, Vector};

use crate::event::EventId;

/// The name of an event that a string stands for, without its colon: a readable keyword with a
/// namespace.
pub(super) fn event_name(text: &str) -> Option<&str> {
    let name = without_colon(text);
    let id = name.contains('/').then(|| EventId::from_wire(name))??;
    // The whole of it: what reads a keyword passes over a comment behind it.
    (id.as_str() == name).then_some(name)
}

/// The keyword that a key stands for.
pub(super) fn key(text: &str) -> Option<Keyword> {
    Keyword::new(without_colon(text)).ok()
}

pub(super) fn without_colon(text: &str) -> &str {
    text.strip_prefix(':').unwrap_or(text)
}

/// Makes keywords of the ids of the events in a whole message of either dialect: `["a/b" 1]`,
/// `[["a/b" 1] "callback"]`, `[[["a/b" 1] ["c/d" 2]] nil]`, `["batch/events" [["a/b" 1]]]`,
/// `["chsk/recv" ["a/b" 1]]`. A reply's data cannot be told from an event, so there a namespaced
/// string that comes first becomes a keyword, too.
pub(super) fn name_events(message: Value) -> Value {
    let Value::Vector(items) = message else {
        return message;
    };
    let mut items = items.into_vec();
    let is_enveloped = matches!(items.first(), Some(Value::Vector(_)));
    if is_enveloped {
        let is_push = matches!(items.get(1), None | Some(Value::Nil));
        replace(items.first_mut(), |slot| match slot {
            Value::Vector(inner) if is_push && starts_with_vector(&inner) => name_each(inner),
            event => name_event(event),
        });
        return Value::Vector(items.into());
    }
    name_first(&mut items);
    let inside = items.first().and_then(Value::as_keyword);
    match inside.map(Keyword::as_str) {
        Some("batch/events") => replace(items.get_mut(1), |events| match events {
            Value::Vector(events) => name_each(events),
            other => other,
        }),
        Some("chsk/recv") => replace(items.get_mut(1), name_event),
        _ => {}
    }
    Value::Vector(items.into())
}

fn starts_with_vector(items: &Vector) -> bool {
    matches!(items.as_slice().first(), Some(Value::Vector(_)))
}

fn name_each(events: Vector) -> Value {
    events.into_iter().map(name_event).collect()
}

fn name_event(event: Value) -> Value {
    let Value::Vector(items) = event else {
        return event;
    };
    let mut items = items.into_vec();
    name_first(&mut items);
    Value::Vector(items.into())
}

fn name_first(items: &mut [Value]) {
    replace(items.first_mut(), |first| match &first {
        Value::String(text) => match event_name(text).and_then(EventId::from_wire) {
            Some(id) => id.to_value(),
            None => first,
        },
        _ => first,
    });
}

fn replace(slot: Option<&mut Value>, with: impl FnOnce(Value) -> Value) {
    if let Some(slot) = slot {
        *slot = with(core::mem::take(slot));
    }
}
