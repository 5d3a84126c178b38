//! The messages: events whose compact JSON text has just the length that is asked for, with numbers,
//! rows and words in them.

use serde::{Deserialize, Serialize};

/// The id of every event.
pub const EVENT_ID: &str = "chat/msg";

/// How long an event is as compact JSON: `["chat/msg",{…}]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the benchmarks' own, matched in full"
)]
pub enum Size {
    /// 100 bytes: no rows, hardly any words.
    Small,
    /// 1,024 bytes.
    Medium,
    /// 65,536 bytes.
    Large,
}

impl Size {
    /// All of them, the smallest first.
    pub const ALL: [Self; 3] = [Self::Small, Self::Medium, Self::Large];

    /// How cases name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Small => "100B",
            Self::Medium => "1KB",
            Self::Large => "64KB",
        }
    }

    /// How a page names it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Small => "100 B",
            Self::Medium => "1 KB",
            Self::Large => "64 KB",
        }
    }

    /// In bytes of JSON.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Small => 100,
            Self::Medium => 1024,
            Self::Large => 65_536,
        }
    }
}

/// What an event carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Data {
    id: u64,
    user: String,
    ts: u64,
    items: Vec<Item>,
    body: String,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Item {
    id: u64,
    name: String,
    qty: u32,
    price: f64,
    active: bool,
}

/// The data of one event: rows for about two thirds, the rest words.
///
/// # Panics
/// Never: the shape fits into the smallest size.
#[must_use]
pub fn data(size: Size) -> Data {
    let mut data = Data {
        id: 123_456,
        user: "u-000042".to_owned(),
        ts: 1_734_300_000_123,
        items: Vec::new(),
        body: String::new(),
    };
    let target = size.bytes();
    let mut used = json_length(&data);
    let budget = used + (target - used) * 2 / 3;
    for index in 0_u32.. {
        let item = Item {
            id: 1000 + u64::from(index),
            name: format!("item-{index}"),
            qty: index % 97,
            price: f64::from(index) * 1.25 + 0.5,
            active: index % 3 == 0,
        };
        let row = serde_json::to_vec(&item).expect("a row is JSON").len() + 1;
        if used + row > budget {
            break;
        }
        used += row;
        data.items.push(item);
    }
    let left = target - json_length(&data);
    data.body = WORDS.chars().cycle().take(left).collect();
    data
}

/// The data of so many events that differ a little: in their ids, times, users, and where their words
/// begin.
#[must_use]
pub fn batch(size: Size, count: u32) -> Vec<Data> {
    let one = |index: u32| {
        let mut data = data(size);
        data.id += 7 * u64::from(index);
        data.ts += 131 * u64::from(index);
        data.user = format!("u-{:06}", index * 37 % 1000);
        let skipped = usize::try_from(index % 5).unwrap_or(0);
        data.body = data.body.chars().rev().skip(skipped).collect();
        data
    };
    (0..count).map(one).collect()
}

const WORDS: &str = "the quick brown fox jumps over the lazy dog and runs away ";

fn json_length(data: &Data) -> usize {
    let text = serde_json::to_vec(&(EVENT_ID, data));
    text.expect("an event is JSON").len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_as_long_as_its_name_says() {
        for size in Size::ALL {
            assert_eq!(json_length(&data(size)), size.bytes());
        }
    }

    #[test]
    fn no_two_events_of_a_batch_are_alike() {
        let batch = batch(Size::Small, 20);
        for (index, one) in batch.iter().enumerate() {
            assert!(!batch[..index].contains(one));
        }
    }
}
