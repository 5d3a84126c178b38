//! What the Transit tests share: the captured rows, with unpaired surrogates mended.
#![allow(dead_code)]

pub(crate) mod differences;

use bytes::Bytes;
use sente_core::Limits;
use sente_core::packer::{Packer, UnpackError};
use sente_edn::{Dialect, Value};
use serde_json::Value as Json;

/// The rows of `tests/vectors/sente/<name>`. JSON as Clojure writes it may hold unpaired surrogates,
/// which become U+FFFD, as they do when we read them.
pub(crate) fn rows(name: &str) -> Vec<Json> {
    let path = format!("{}/vectors/sente/{name}", env!("CARGO_MANIFEST_DIR"));
    let json = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut mended = String::with_capacity(json.len());
    let mut rest = &json[..];
    while let Some(at) = rest.find('\\') {
        mended.push_str(&rest[..at]);
        rest = &rest[at..];
        let length = match (unit(rest), rest.get(6..).and_then(unit)) {
            (Some(0xd800..0xdc00), Some(0xdc00..0xe000)) => {
                mended.push_str(&rest[..12]);
                12
            }
            (Some(0xd800..0xe000), _) => {
                mended.push_str("\\ufffd");
                6
            }
            _ => {
                mended.push_str(&rest[..2]);
                2
            }
        };
        rest = &rest[length..];
    }
    mended.push_str(rest);
    serde_json::from_str(&mended).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn unit(escape: &str) -> Option<u16> {
    u16::from_str_radix(escape.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

/// One form, as either of Clojure's readers takes it.
pub(crate) fn edn(text: &str) -> Option<Value> {
    let limits = sente_edn::Limits::default().dialect(Dialect::Either);
    sente_edn::from_slice_with(text.as_bytes(), &limits).ok()
}

/// A value as a whole message.
pub(crate) fn message(packer: &dyn Packer, value: &Value) -> String {
    let mut out = Vec::new();
    packer
        .pack_message(value, &mut out)
        .unwrap_or_else(|error| panic!("{value}: {error}"));
    String::from_utf8(out).unwrap()
}

/// The value of a whole message.
pub(crate) fn read(packer: &dyn Packer, frame: &str) -> Result<Value, UnpackError> {
    packer.unpack_message(&Bytes::from(frame.to_owned()), &Limits::default())
}

/// A value a test wrote as EDN.
pub(crate) fn value(text: &str) -> Value {
    edn(text).unwrap_or_else(|| panic!("{text}"))
}

/// A value, packed.
pub(crate) fn packed(packer: &dyn Packer, value: &Value) -> String {
    let mut out = Vec::new();
    packer
        .pack(value, &mut out)
        .unwrap_or_else(|error| panic!("{value}: {error}"));
    String::from_utf8(out).unwrap()
}
