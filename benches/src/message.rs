//! The medium document as Rust types.
//!
//! The same structs serve every format. Where EDN has a type of its own and the others a string, a
//! parameter takes whichever is natural there: in EDN a UUID is checked and becomes one, in JSON it
//! is a string like any other, so that the other formats are not charged for what they do not do.

use std::borrow::Cow;

use sente_edn::{Inst, Keyword, Uuid};
use serde::{Deserialize, Serialize};

/// The message that EDN gives, with strings of its own.
pub type EdnMessage = Message<String, Uuid, Inst, Keyword>;
/// The message that EDN gives, with strings that borrow from the text.
pub type EdnMessageRef<'a> = Message<Text<'a>, Uuid, Inst, Keyword>;
/// The message that other formats give, with strings of its own.
pub type PlainMessage = Message<String, String, String, String>;
/// The message that other formats give, with strings that borrow from the text.
pub type PlainMessageRef<'a> = Message<Text<'a>, Text<'a>, Text<'a>, Text<'a>>;

/// A string that is borrowed unless there is an escape in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
#[expect(clippy::exhaustive_structs, reason = "the benchmarks' own")]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// A chat message. `S` is text, `U` a UUID, `T` an instant, `K` a keyword.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message<S, U, T, K> {
    #[serde(rename = "message/id")]
    id: U,
    #[serde(rename = "message/at")]
    at: T,
    #[serde(rename = "message/room")]
    room: K,
    #[serde(rename = "message/text")]
    text: S,
    #[serde(rename = "message/tags")]
    tags: Vec<K>,
    #[serde(rename = "message/author")]
    author: Author<S, K>,
    #[serde(rename = "message/reactions")]
    reactions: Vec<Reaction<S>>,
    #[serde(rename = "message/attachments")]
    attachments: Vec<Attachment<S>>,
    #[serde(rename = "message/edited?")]
    edited: bool,
    #[serde(rename = "message/reply-to")]
    reply_to: Option<U>,
    #[serde(rename = "message/weight")]
    weight: f64,
    #[serde(rename = "message/version")]
    version: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Author<S, K> {
    #[serde(rename = "user/id")]
    id: u64,
    #[serde(rename = "user/name")]
    name: S,
    #[serde(rename = "user/admin?")]
    admin: bool,
    #[serde(rename = "user/status")]
    status: K,
    #[serde(rename = "user/balance")]
    balance: f64,
    #[serde(rename = "user/place")]
    place: Place<S>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Place<S> {
    lat: f64,
    lon: f64,
    label: S,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Reaction<S> {
    emoji: S,
    count: u32,
    users: Vec<u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Attachment<S> {
    name: S,
    #[serde(rename = "type")]
    kind: S,
    bytes: u64,
    width: u32,
    ratio: f64,
}
