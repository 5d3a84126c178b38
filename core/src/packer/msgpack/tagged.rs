//! What EDN has no form for, as tagged values: bytes, typed arrays and extensions kept as they are.

use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sente_edn::{Symbol, Tagged, Value};

/// `#bytes/b64 "AAE="`
pub(super) const BYTES: &str = "bytes/b64";
/// `#array/int [1 2]`
pub(super) const INTS: &str = "array/int";
/// `#array/float [1.5]`
pub(super) const FLOATS: &str = "array/float";
/// `#array/double [1.5]`
pub(super) const DOUBLES: &str = "array/double";
/// `#msgpack/ext [10 "AAE="]`
pub(super) const EXT: &str = "msgpack/ext";

/// Bytes.
pub(super) fn bytes(bytes: &[u8]) -> Value {
    tagged(BYTES, Value::from(encode(bytes)))
}

/// An extension that is kept as it is.
pub(super) fn opaque(id: i8, content: &[u8]) -> Value {
    tagged(
        EXT,
        Value::from(alloc::vec![Value::from(id), Value::from(encode(content))]),
    )
}

/// A typed array.
pub(super) fn array(tag: &str, items: Vec<Value>) -> Value {
    tagged(tag, Value::from(items))
}

pub(super) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

fn tagged(tag: &str, value: Value) -> Value {
    let symbol = Symbol::new(tag).ok();
    match symbol.and_then(|symbol| Tagged::new(symbol, value).ok()) {
        Some(tagged) => Value::Tagged(tagged),
        // The tags above are all valid.
        None => Value::Nil,
    }
}
