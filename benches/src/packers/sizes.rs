//! What a message weighs with each packer, with and without gzip around it.

use std::sync::Arc;

use sente_core::packer::{Edn, Gzip, Json, MsgPack, Packer, TransitJson, TransitJsonVerbose};
use sente_edn::{Keyword, Value};

use super::shapes::{self, EVENT_ID, Size};

/// A packer, and how a page names it.
pub type Named = (&'static str, Arc<dyn Packer>);

/// Every packer, EDN first.
#[must_use]
pub fn plain() -> Vec<Named> {
    vec![
        ("edn", Arc::new(Edn)),
        ("json", Arc::new(Json::new())),
        ("transit-json", Arc::new(TransitJson::new())),
        (
            "transit-json, cache",
            Arc::new(TransitJson::new().key_cache(true)),
        ),
        ("transit-json-verbose", Arc::new(TransitJsonVerbose::new())),
        ("msgpack", Arc::new(MsgPack::new())),
        ("msgpack, cache", Arc::new(MsgPack::new().key_cache(true))),
    ]
}

/// The same in the same order, each in gzip as Sente has it: level 6, from 1,024 bytes on.
#[must_use]
pub fn gzipped() -> Vec<Named> {
    vec![
        ("edn", Arc::new(Gzip::new(Edn))),
        ("json", Arc::new(Gzip::new(Json::new()))),
        ("transit-json", Arc::new(Gzip::new(TransitJson::new()))),
        (
            "transit-json, cache",
            Arc::new(Gzip::new(TransitJson::new().key_cache(true))),
        ),
        (
            "transit-json-verbose",
            Arc::new(Gzip::new(TransitJsonVerbose::new())),
        ),
        ("msgpack", Arc::new(Gzip::new(MsgPack::new()))),
        (
            "msgpack, cache",
            Arc::new(Gzip::new(MsgPack::new().key_cache(true))),
        ),
    ]
}

/// MessagePack in gzip that compresses every message which becomes shorter by it.
#[must_use]
pub fn always_gzipped() -> impl Packer {
    Gzip::new(MsgPack::new()).threshold(1)
}

/// A message that is weighed.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the benchmarks' own")]
pub struct Message {
    /// How a page names it.
    pub label: String,
    /// One event, or a vector of events.
    pub value: Value,
}

/// Every message that is weighed.
#[must_use]
pub fn messages() -> Vec<Message> {
    let one = |size: Size| Message {
        label: size.label().to_owned(),
        value: event(&shapes::data(size)),
    };
    let batch = |size: Size| Message {
        label: format!("{BATCH} × {}", size.label()),
        value: shapes::batch(size, BATCH).iter().map(event).collect(),
    };
    vec![
        one(Size::Small),
        one(Size::Medium),
        one(Size::Large),
        batch(Size::Small),
        batch(Size::Medium),
    ]
}

const BATCH: u32 = 20;

/// The event of some data.
///
/// # Panics
/// Never: the data are a value, and the id is a keyword.
#[must_use]
pub fn event(data: &shapes::Data) -> Value {
    let id = Keyword::new(EVENT_ID).expect("the id is a keyword");
    let data = sente_edn::serde::to_value(data).expect("the data are a value");
    Value::from(vec![Value::from(id), data])
}

/// How many bytes travel for a message on a connection with this packer: packed, then sealed.
///
/// # Panics
/// Never: every packer can carry the messages.
#[must_use]
pub fn weigh(packer: &dyn Packer, message: &Value) -> usize {
    let (mut packed, mut frame) = (Vec::new(), Vec::new());
    packer.pack(message, &mut packed).expect("it can be packed");
    packer.seal(&packed, &mut frame).expect("it can be sealed");
    frame.len()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use sente_core::Limits;

    use super::*;

    #[test]
    fn what_is_weighed_is_read_again_as_it_was() {
        for (name, packer) in plain().into_iter().chain(gzipped()) {
            for Message { label, value } in messages() {
                let mut frame = Vec::new();
                packer.pack_message(&value, &mut frame).unwrap();
                let read = packer.unpack_message(&Bytes::from(frame), &Limits::default());
                // JSON has strings for keywords.
                let same = read.unwrap().identical(&value) || packer.format() == "json";
                assert!(same, "{name}: {label}");
            }
        }
    }

    #[test]
    fn the_two_lists_name_the_same_packers() {
        let names = |list: Vec<Named>| list.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(plain()), names(gzipped()));
    }
}
