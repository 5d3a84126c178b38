//! The cases of `vectors/websocket`, and the frames of the core's own tests.
#![allow(dead_code, missing_docs, unreachable_pub, unused_imports)]

#[path = "../../../core/tests/websocket_support/mod.rs"]
mod frames;

pub use frames::*;

use sente_core::framing::Kind;
use sente_core::framing::websocket::WebSocketEvent;
use serde_json::Value;

/// One case of `autobahn.json`; its README says what the fields mean.
#[derive(Clone, Debug)]
pub struct Case {
    pub id: String,
    pub frames: Vec<Raw>,
    pub gives: Vec<WebSocketEvent>,
    pub end: End,
    pub chop: Option<usize>,
}

/// How a case ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// By the Close frame of the peer with that code.
    Closes(Option<u16>),
    /// By failing the peer, if it is not UTF-8 at that byte of the payload.
    Fails { code: u16, after: Option<usize> },
}

/// All cases, those without an end of their own closed with 1000.
pub fn cases() -> Vec<Case> {
    let text = include_str!("../../vectors/websocket/autobahn.json");
    let cases: Vec<Value> = serde_json::from_str(text).unwrap();
    cases.iter().map(case).collect()
}

fn case(case: &Value) -> Case {
    let list = |field: &str| case[field].as_array().unwrap().clone();
    let mut frames: Vec<_> = list("frames").iter().map(frame).collect();
    let end = if let Some(code) = case.get("fails") {
        End::Fails {
            code: number(code),
            after: case.get("fails_after").map(number),
        }
    } else if let Some(code) = case.get("closes") {
        End::Closes((!code.is_null()).then(|| number(code)))
    } else {
        frames.push(Raw::close(1000, ""));
        End::Closes(Some(1000))
    };
    Case {
        id: case["id"].as_str().unwrap().to_owned(),
        frames,
        gives: list("gives").iter().map(event).collect(),
        end,
        chop: case.get("chop").map(number),
    }
}

fn frame(frame: &Value) -> Raw {
    let opcode = match &frame["op"] {
        Value::String(name) => match name.as_str() {
            "continue" => CONTINUATION,
            "text" => TEXT,
            "binary" => BINARY,
            "close" => CLOSE,
            "ping" => PING,
            "pong" => PONG,
            other => panic!("opcode {other}"),
        },
        other => number(other),
    };
    Raw {
        fin: frame["fin"].as_bool().unwrap_or(true),
        rsv: frame.get("rsv").map_or(0, number),
        opcode,
        payload: data(frame.get("data")),
    }
}

fn event(event: &Value) -> WebSocketEvent {
    let payload = data(event.get(1));
    match event[0].as_str().unwrap() {
        "text" => message(Kind::Text, payload),
        "binary" => message(Kind::Binary, payload),
        "ping" => WebSocketEvent::Ping(payload.into()),
        "pong" => WebSocketEvent::Pong(payload.into()),
        other => panic!("event {other}"),
    }
}

fn data(data: Option<&Value>) -> Vec<u8> {
    let text = data.map_or("", |data| data.as_str().unwrap());
    if let Some(text) = text.strip_prefix("text:") {
        text.as_bytes().to_vec()
    } else if let Some(digits) = text.strip_prefix("hex:") {
        digits.as_bytes().chunks(2).map(byte).collect()
    } else if let Some(fill) = text.strip_prefix("fill:") {
        let (digits, count) = fill.split_once(':').unwrap();
        vec![byte(digits.as_bytes()); count.parse().unwrap()]
    } else {
        assert_eq!(text, "");
        Vec::new()
    }
}

fn byte(digits: &[u8]) -> u8 {
    u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap()
}

fn number<T: TryFrom<u64, Error: std::fmt::Debug>>(value: &Value) -> T {
    T::try_from(value.as_u64().unwrap()).unwrap()
}
