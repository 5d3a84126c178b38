//! The bodies of captured Ajax exchanges, with every packer: the same five exchanges were recorded
//! with each, so each says what the one in EDN says, and ours packs it in the same bytes.
#![allow(missing_docs)]

mod replay_support;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use replay_support::packers;
use sente_core::Limits;
use sente_core::admission::Request;
use sente_core::framing::Kind;
use sente_core::packer::{Gzip, MsgPack, Packer, TransitJson};
use sente_edn::Value;
use sente_tests::edn;
use sente_tests::vectors::{field, load};
use serde_json::Value as Json;

/// The exchanges that were recorded with every packer.
const EXCHANGES: &[&str] = &[
    "handshake poll (handshake?=1)",
    "send, no callback (event pushes 3 to own uid=client-id)",
    "long-poll answered by a server push (batch)",
    "send with callback, replied",
    "send without callback",
];

/// The messages of an exchange: the posted one, if one is, and the answer.
fn messages(rows: &Json, packer: &str, exchange: &str) -> Vec<Bytes> {
    let mut rows = rows.as_array().unwrap().iter();
    let row = rows.find(|row| {
        field(row, "packer") == Some(packer) && field(row, "description") == Some(exchange)
    });
    let row = row.unwrap_or_else(|| panic!("{packer}: {exchange}"));
    let posted = posted(&row["request"]);
    posted.into_iter().chain([body(&row["response"])]).collect()
}

fn body(side: &Json) -> Bytes {
    Bytes::from(STANDARD.decode(field(side, "body_b64").unwrap()).unwrap())
}

/// What a request posts: the parameter `ppstr` of a form, or the whole of a binary body.
fn posted(request: &Json) -> Option<Bytes> {
    if field(request, "method") != Some("POST") {
        return None;
    }
    let kind = field(&request["headers"], "Content-Type").unwrap();
    if kind == "application/octet-stream" {
        return Some(body(request));
    }
    let read = Request::new("POST", "/chsk").with_header("content-type", kind);
    let read = read.with_body(body(request));
    Some(Bytes::from(read.param("ppstr").unwrap().into_owned()))
}

/// The packers as they pack when they have a whole message: with the key cache, as Sente's do.
fn whole(packer: Arc<dyn Packer>) -> Arc<dyn Packer> {
    match packer.name() {
        "transit-json" => Arc::new(TransitJson::new().key_cache(true)),
        "msgpack" => Arc::new(MsgPack::new().key_cache(true)),
        "gzip-msgpack" => Arc::new(Gzip::new(MsgPack::new().key_cache(true))),
        _ => packer,
    }
}

#[test]
fn the_bodies_of_every_packer_say_what_those_in_edn_say() {
    let rows = load("sente/ajax-all.json");
    let limits = Limits::default();
    let mut count = 0;
    for packer in packers().map(whole) {
        let name = packer.name();
        for exchange in EXCHANGES {
            let recorded = messages(&rows, name, exchange);
            let in_edn = messages(&rows, "edn", exchange);
            assert_eq!(recorded.len(), in_edn.len(), "{name}: {exchange}");
            for (body, text) in recorded.iter().zip(&in_edn) {
                // The user is named after the packer.
                let text = std::str::from_utf8(text).unwrap();
                let expected: Value = edn(&text.replace("ajax-edn", &format!("ajax-{name}")));
                let read = packer.unpack_message(body, &limits).unwrap();
                assert!(read.identical(&expected), "{name}: {exchange}: {read}");
                let mut packed = Vec::new();
                packer.pack_message(&expected, &mut packed).unwrap();
                assert_eq!(packed, **body, "{name}: {exchange}");
                count += 1;
            }
        }
        assert_eq!(
            packer.kind() == Kind::Text,
            !name.contains("gzip") && name != "msgpack"
        );
    }
    eprintln!("ajax bodies: {count} equal in meaning and bytes");
    assert_eq!(count, 48);
}
