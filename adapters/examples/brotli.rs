//! A packer of one's own that compresses: Brotli around any other, as `Gzip` does it.
//!
//! What a message comes to:
//!
//! ```console
//! $ cargo run -p sente-adapters --example brotli
//!                  edn:  5943 bytes
//!             gzip-edn:   654 bytes
//!           brotli-edn:   442 bytes
//!  brotli-transit-json:   462 bytes
//!         gzip-msgpack:   589 bytes
//!       brotli-msgpack:   525 bytes
//! ```
//!
//! Zstandard and any other compression is done the same way. The other side has to have the same
//! packer.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::io::{Read, Write};

use bytes::Bytes;
use sente_core::Limits;
use sente_core::framing::Kind;
use sente_core::packer::{
    Edn, Gzip, MsgPack, PackError, Packer, Span, Tokens, TransitJson, UnpackError, Visit,
};
use sente_edn::{Map, Value};

/// Stands before a message that is not compressed, and before one that is.
const RAW: u8 = 0;
const BROTLI: u8 = 1;

/// Compresses the messages of the packer inside where that makes them shorter.
#[derive(Debug)]
struct Brotli<P> {
    inner: P,
    name: String,
    /// 0 is fast, 11 thorough.
    quality: u32,
}

impl<P: Packer> Brotli<P> {
    fn new(inner: P) -> Self {
        Self {
            name: format!("brotli-{}", inner.name()),
            inner,
            quality: 5,
        }
    }

    fn compress(&self, message: &[u8]) -> std::io::Result<Vec<u8>> {
        // The window is a power of two, 256 KiB here: the reader holds as much.
        let mut writer = brotli::CompressorWriter::new(Vec::new(), 4096, self.quality, 18);
        writer.write_all(message)?;
        writer.flush()?;
        Ok(writer.into_inner())
    }
}

impl<P: Packer> Packer for Brotli<P> {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        Kind::Binary
    }

    fn seals(&self) -> bool {
        true
    }

    fn seal(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), PackError> {
        let mut sealed = Vec::new();
        self.inner.seal(message, &mut sealed)?;
        let compressed = self
            .compress(&sealed)
            .map_err(|error| PackError::new(&self.name, error.to_string()))?;
        let (flag, body) = if compressed.len() < sealed.len() {
            (BROTLI, compressed)
        } else {
            (RAW, sealed)
        };
        out.push(flag);
        out.extend_from_slice(&body);
        Ok(())
    }

    fn seal_overhead(&self) -> usize {
        self.inner.seal_overhead().saturating_add(1)
    }

    fn open(&self, frame: &Bytes, limits: &Limits) -> Result<Bytes, UnpackError> {
        let other = |message: String| UnpackError::Other { offset: 0, message };
        let message = match frame.split_first() {
            Some((&RAW, _)) => frame.slice(1..),
            Some((&BROTLI, stream)) => {
                // One byte more than allowed is enough to know that it is too much.
                let most = u64::try_from(limits.max_opened_bytes).unwrap_or(u64::MAX);
                let mut reader =
                    brotli::Decompressor::new(stream, 4096).take(most.saturating_add(1));
                let mut message = Vec::new();
                reader
                    .read_to_end(&mut message)
                    .map_err(|error| other(format!("not Brotli: {error}")))?;
                message.into()
            }
            _ => return Err(other("its first byte is neither 0 nor 1".to_owned())),
        };
        if message.len() > limits.max_opened_bytes {
            return Err(UnpackError::OverLimit {
                offset: 0,
                what: "bytes",
                limit: limits.max_opened_bytes,
            });
        }
        self.inner.open(&message, limits)
    }

    // All the rest is about packed values, which are those of the packer inside.

    fn format(&self) -> &str {
        self.inner.format()
    }

    fn pack(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), PackError> {
        self.inner.pack(value, out)
    }

    fn unpack(&self, packed: &[u8], limits: &Limits) -> Result<Value, UnpackError> {
        self.inner.unpack(packed, limits)
    }

    fn walk(
        &self,
        packed: &[u8],
        limits: &Limits,
        visit: &mut Visit<'_>,
    ) -> Result<(), UnpackError> {
        self.inner.walk(packed, limits, visit)
    }

    fn entries(&self, packed: &[u8], limits: &Limits, visit: &mut dyn FnMut(&str, Span)) {
        self.inner.entries(packed, limits, visit);
    }

    fn sequence(&self, len: usize) -> Tokens {
        self.inner.sequence(len)
    }

    fn map(&self, len: usize) -> Tokens {
        self.inner.map(len)
    }
}

/// A list of people, in all about 8 KB of EDN.
fn people() -> Option<Value> {
    let mut people = Vec::new();
    for n in 0..100_i64 {
        people.push(Value::from(Map::from([
            (Value::keyword("user/id")?, Value::from(n * 7919 % 1000)),
            (
                Value::keyword("user/name")?,
                Value::from(format!("Person {n}")),
            ),
            (Value::keyword("user/active?")?, Value::from(n % 3 == 0)),
        ])));
    }
    Some(Value::Vector(people.into()))
}

fn show() -> Result<(), Box<dyn Error>> {
    let value = people().ok_or("a keyword is misspelt")?;
    let packers: [Box<dyn Packer>; 6] = [
        Box::new(Edn),
        Box::new(Gzip::new(Edn)),
        Box::new(Brotli::new(Edn)),
        Box::new(Brotli::new(TransitJson::new())),
        Box::new(Gzip::new(MsgPack::new())),
        Box::new(Brotli::new(MsgPack::new())),
    ];
    for packer in packers {
        let mut frame = Vec::new();
        packer.pack_message(&value, &mut frame)?;
        println!("{:>20}: {:>5} bytes", packer.name(), frame.len());
        if packer.unpack_message(&frame.into(), &Limits::default())? != value {
            return Err("what was read differs".into());
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    show()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_runs() {
        show().unwrap();
    }

    #[test]
    fn a_bomb_is_an_error_at_the_limit() {
        let packer = Brotli::new(Edn);
        let mut frame = Vec::new();
        packer.seal(&vec![b' '; 50_000_000], &mut frame).unwrap();
        assert!(frame.len() < 10_000, "{}", frame.len());
        let frame = Bytes::from(frame);
        let error = packer.open(&frame, &Limits::default()).unwrap_err();
        assert!(matches!(error, UnpackError::OverLimit { .. }), "{error}");
        for cut in [0, 2, frame.len() - 1] {
            let cut = packer.open(&frame.slice(..cut), &Limits::default());
            assert!(cut.is_err());
        }
    }

    #[test]
    fn what_does_not_compress_gets_one_byte_longer() {
        let packer = Brotli::new(Edn);
        let mut frame = Vec::new();
        packer.pack_message(&Value::from("x"), &mut frame).unwrap();
        assert_eq!(frame, b"\0\"x\"");
    }
}
