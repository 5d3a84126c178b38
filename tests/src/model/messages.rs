//! What the events of a run are made of: a number, by which everything is known again, and as much
//! data as asked for.

use sente_core::{Event, EventId, Payload};
use sente_edn::Value;

/// The event with this number and this much data.
pub(super) fn event(number: u64, size: usize) -> Event {
    let id = EventId::new("m/e").expect("the id is one");
    Event::new(id, payload(number, size))
}

/// The data of the event or reply with this number.
pub(super) fn payload(number: u64, size: usize) -> Payload {
    let number = Value::from(i64::try_from(number).unwrap_or(0));
    let value = Value::Vector(vec![number, Value::from("x".repeat(size))].into());
    Payload::from(value)
}

pub(super) fn payload_text(number: u64, size: usize) -> String {
    format!("[{number} \"{}\"]", "x".repeat(size))
}

/// The least an event of this number and data takes in a queue.
pub(super) fn packed_len(number: u64, size: usize) -> usize {
    "[:m/e ]".len() + payload_text(number, size).len()
}

/// The number at the front of a payload, or behind the id of a packed event.
pub(super) fn number_in(raw: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(raw).ok()?;
    let text = text.strip_prefix("[:m/e ").unwrap_or(text);
    let digits = text.strip_prefix('[')?.split(' ').next()?;
    digits.parse().ok()
}
