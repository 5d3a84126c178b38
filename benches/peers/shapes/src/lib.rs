//! The messages every server of the suite exchanges: events `["chat/msg",{…}]` whose compact JSON
//! text has just the length that is asked for. Beside them, what all its programs need: statistics,
//! WebSocket frames and the system's counts.

pub mod frame;
pub mod stats;
pub mod system;

use serde::{Deserialize, Serialize};

/// The id of every event.
pub const EVENT_ID: &str = "chat/msg";

/// Stands in every event just once, in its words: what received events are counted by.
pub const MARK: u8 = b'~';

/// What an event carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Data {
    pub id: u64,
    pub user: String,
    pub ts: u64,
    pub items: Vec<Item>,
    pub body: String,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Item {
    pub id: u64,
    pub name: String,
    pub qty: u32,
    pub price: f64,
    pub active: bool,
}

/// The data of an event that is `bytes` long as JSON: rows for about two thirds, the rest words. An
/// event has 96 bytes at least.
pub fn data(bytes: usize) -> Data {
    let mut data = Data {
        id: 123_456,
        user: "u-000042".to_owned(),
        ts: 1_734_300_000_123,
        items: Vec::new(),
        body: String::new(),
    };
    let mut used = json_length(&data);
    let budget = used + bytes.saturating_sub(used) * 2 / 3;
    for index in 0_u32.. {
        let item = Item {
            id: 1000 + u64::from(index),
            name: format!("item-{index}"),
            qty: index % 97,
            price: f64::from(index) * 1.25 + 0.5,
            active: index % 3 == 0,
        };
        let row = json(&item).len() + 1;
        if used + row > budget {
            break;
        }
        used += row;
        data.items.push(item);
    }
    let left = bytes.checked_sub(json_length(&data));
    let left = left.filter(|&left| left > 0).expect("too short an event");
    let words = WORDS.chars().cycle().take(left - 1);
    data.body = std::iter::once(char::from(MARK)).chain(words).collect();
    data
}

/// The event as compact JSON.
pub fn event_json(bytes: usize) -> String {
    json(&(EVENT_ID, data(bytes)))
}

/// Its data alone.
pub fn data_json(bytes: usize) -> String {
    json(&data(bytes))
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("it is JSON")
}

fn json_length(data: &Data) -> usize {
    json(&(EVENT_ID, data)).len()
}

const WORDS: &str = "the quick brown fox jumps over the lazy dog and runs away ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_as_long_as_it_was_asked_to_be() {
        for bytes in [100, 200, 1024, 65536] {
            assert_eq!(event_json(bytes).len(), bytes);
        }
    }

    #[test]
    fn an_event_has_one_mark() {
        let event = event_json(1024);
        assert_eq!(event.bytes().filter(|&byte| byte == MARK).count(), 1);
    }
}
