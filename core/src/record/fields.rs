//! Maps of a recording, written and read field by field.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sente_edn::{Map, Value};

use crate::connection::keyword;

/// A map that is being written.
#[derive(Debug, Default)]
pub(super) struct Writer(Map);

impl Writer {
    pub(super) fn put(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(keyword(key), value.into());
    }

    /// Only if it is there.
    pub(super) fn put_some(&mut self, key: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    /// Only where it is not what is meant without it.
    pub(super) fn put_true(&mut self, key: &str, holds: bool) {
        if holds {
            self.put(key, true);
        }
    }

    /// As text, or in Base64 under `key-base64` where it is none.
    pub(super) fn put_bytes(&mut self, key: &str, bytes: &[u8]) {
        match core::str::from_utf8(bytes) {
            Ok(text) => self.put(key, text),
            Err(_) => self.put(&format!("{key}-base64"), STANDARD.encode(bytes)),
        }
    }

    pub(super) fn put_duration(&mut self, key: &str, duration: Duration) {
        self.put(key, nanos(duration));
    }

    pub(super) fn finish(self) -> Value {
        Value::Map(self.0)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A map that is being read. What is wrong with it is said with its key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(pub(super) &'a Value);

impl<'a> Reader<'a> {
    pub(super) fn get(self, key: &str) -> Option<&'a Value> {
        self.0.get_keyword(key)
    }

    pub(super) fn inner(self, key: &str) -> Option<Self> {
        self.get(key).map(Self)
    }

    pub(super) fn str(self, key: &str) -> Option<&'a str> {
        self.get(key)?.as_str()
    }

    pub(super) fn word(self, key: &str) -> Option<&'a str> {
        Some(self.get(key)?.as_keyword()?.as_str())
    }

    pub(super) fn is_true(self, key: &str) -> bool {
        self.get(key).and_then(Value::as_bool).unwrap_or(false)
    }

    pub(super) fn u64(self, key: &str) -> Option<u64> {
        number(self.get(key)?)
    }

    pub(super) fn duration(self, key: &str) -> Option<Duration> {
        self.u64(key).map(Duration::from_nanos)
    }

    pub(super) fn bytes(self, key: &str) -> Option<Bytes> {
        if let Some(text) = self.str(key) {
            return Some(Bytes::copy_from_slice(text.as_bytes()));
        }
        let text = self.str(&format!("{key}-base64"))?;
        STANDARD.decode(text).ok().map(Bytes::from)
    }

    /// The same where it has to be there.
    pub(super) fn need<T>(
        self,
        key: &str,
        read: impl FnOnce(Self, &str) -> Option<T>,
    ) -> Result<T, String> {
        read(self, key).ok_or_else(|| match self.get(key) {
            Some(found) => format!(":{key} cannot be {found}"),
            None => format!("it has no :{key}"),
        })
    }
}

/// A whole number of any size that fits.
pub(super) fn number(value: &Value) -> Option<u64> {
    if let Some(small) = value.as_i64() {
        return u64::try_from(small).ok();
    }
    value.to_string().trim_end_matches('N').parse().ok()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|it| u8::try_from(it).ok()))
        .collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    Some(
        pairs
            .map(|pair| pair.iter().fold(0, |byte, digit| (byte << 4) | digit))
            .collect(),
    )
}
