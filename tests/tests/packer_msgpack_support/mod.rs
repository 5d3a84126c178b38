//! What the tests of the MessagePack packer share.
#![allow(dead_code, missing_docs)]

pub(crate) mod differences;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sente_core::Limits;
use sente_core::packer::{MsgPack, Packer, UnpackError};
use sente_edn::{Dialect, Value};

/// Bytes from base64.
pub(crate) fn base64(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap()
}

/// Bytes from hexadecimal digits.
pub(crate) fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u32> = digits
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .collect();
    let bytes = digits.as_chunks::<2>().0.iter();
    bytes
        .map(|[high, low]| u8::try_from(high * 16 + low).unwrap())
        .collect()
}

/// Hexadecimal digits of bytes.
pub(crate) fn show(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A value from EDN, as either of Clojure's readers reads it.
pub(crate) fn edn(text: &str) -> Option<Value> {
    let limits = sente_edn::Limits::default().dialect(Dialect::Either);
    sente_edn::from_slice_with(text.as_bytes(), &limits).ok()
}

/// The value of a frame.
pub(crate) fn read(frame: &[u8]) -> Result<Value, UnpackError> {
    let frame = Bytes::copy_from_slice(frame);
    MsgPack::new().unpack_message(&frame, &Limits::default())
}

/// A value packed by itself.
pub(crate) fn pack(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    MsgPack::new().pack(value, &mut out).unwrap();
    out
}

/// A value as the frame that Sente makes of it.
pub(crate) fn pack_message(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    MsgPack::new().pack_message(value, &mut out).unwrap();
    out
}
