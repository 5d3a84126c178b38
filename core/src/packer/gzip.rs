//! Sente's gzip wrapper around any packer: whole messages, compressed where that makes them shorter.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;
use flate2::{Compress, Crc, Decompress, FlushCompress, Status};
use sente_edn::Value;
use smol_str::{SmolStr, format_smolstr};

use super::{PackError, Packer, Span, Tokens, UnpackError, Visit};
use crate::flate::{InflateError, Spare, compression, inflate, inflater};
use crate::framing::Kind;
use crate::limits::Limits;

/// Stands before a message that is not compressed.
const RAW: u8 = 0;
/// Stands before a gzip stream.
const GZIPPED: u8 = 1;

/// Wraps the messages of the packer `P` as Sente's `gzip/wrap-packer` does: one byte that says
/// whether a gzip stream follows or the message itself, always in binary frames.
///
/// A message shorter than the [threshold](Self::threshold) is never compressed, nor is one that
/// would not become shorter: a frame is at most one byte longer than its message. A batch is
/// compressed as a whole. Any first byte but 1 means an uncompressed message, as for Sente.
///
/// What a frame inflates to is bounded by `Limits::max_opened_bytes` and, if asked for, by a
/// [ratio](Self::max_ratio); the memory for it grows as it is needed, so a frame that promises much
/// and is too much takes no more than the limit. Streams behind the first are joined to it, and
/// what follows the last one and is no gzip stream is ignored, both as Java's `GZIPInputStream`
/// does. Checksums are checked.
///
/// With the feature `std` one compressor (380 KB) and one decompressor (48 KB) are kept for
/// the next message once they have been used, and shared by all connections of the packer; without
/// `std` every message makes its own.
///
/// ```
/// use sente_core::packer::{Edn, Gzip, Packer};
/// use sente_core::edn::Value;
///
/// let gzip = Gzip::new(Edn);
/// assert_eq!((gzip.name(), gzip.format()), ("gzip-edn", "edn"));
///
/// let mut frame = Vec::new();
/// gzip.pack_message(&Value::from("short"), &mut frame)?;
/// assert_eq!(frame, b"\0\"short\"");
///
/// frame.clear();
/// gzip.pack_message(&Value::from("long ".repeat(1000)), &mut frame)?;
/// assert!(frame.starts_with(&[1, 0x1f, 0x8b]) && frame.len() < 100);
/// # Ok::<(), sente_core::packer::PackError>(())
/// ```
#[derive(Debug)]
pub struct Gzip<P> {
    inner: P,
    name: SmolStr,
    threshold: usize,
    level: u8,
    max_ratio: Option<usize>,
    deflaters: Spare<Compress>,
    inflaters: Spare<Decompress>,
}

impl<P: Packer> Gzip<P> {
    /// Wraps `inner`, with Sente's threshold and level.
    #[must_use]
    pub fn new(inner: P) -> Self {
        Self {
            name: format_smolstr!("gzip-{}", inner.name()),
            inner,
            threshold: 1024,
            level: 6,
            max_ratio: None,
            deflaters: Spare::default(),
            inflaters: Spare::default(),
        }
    }

    /// The shortest message that is compressed, in bytes. Default 1024, as Sente's; readers take
    /// any.
    #[must_use]
    pub const fn threshold(mut self, bytes: usize) -> Self {
        self.threshold = bytes;
        self
    }

    /// How much work goes into compressing: 1 is fast, 9 thorough, 0 does not compress; more counts
    /// as 9. Default 6, as Sente's.
    #[must_use]
    pub fn level(mut self, level: u8) -> Self {
        self.level = level.min(9);
        self
    }

    /// How many times its size a received gzip stream may inflate to. Default `None`: only
    /// `Limits::max_opened_bytes` counts. Deflate reaches 1,032 at most, and ordinary messages that
    /// repeat themselves reach 100.
    #[must_use]
    pub const fn max_ratio(mut self, ratio: Option<usize>) -> Self {
        self.max_ratio = ratio;
        self
    }

    /// The packer inside.
    #[must_use]
    pub const fn inner(&self) -> &P {
        &self.inner
    }

    /// Appends the frame of what the packer inside made.
    fn wrap(&self, message: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        if message.len() >= self.threshold {
            out.push(GZIPPED);
            if self.compress(message, out) {
                return;
            }
            out.truncate(start);
        }
        out.reserve(message.len().saturating_add(1));
        out.push(RAW);
        out.extend_from_slice(message);
    }

    /// Appends `message` as a gzip stream. Whether it came to less than the message.
    fn compress(&self, message: &[u8], out: &mut Vec<u8>) -> bool {
        let mut state = self
            .deflaters
            .take()
            .unwrap_or_else(|| Compress::new_gzip(compression(self.level), 15));
        let begin = out.len();
        let is_shorter = loop {
            let written = out.len().saturating_sub(begin);
            if written >= message.len() {
                break false;
            }
            if out.len() == out.capacity() {
                let growth = written.max(message.len() / 8).saturating_add(32);
                out.reserve_exact(growth.min(message.len()));
            }
            let read = usize::try_from(state.total_in()).unwrap_or(usize::MAX);
            let rest = message.get(read..).unwrap_or_default();
            match state.compress_vec(rest, out, FlushCompress::Finish) {
                Ok(Status::StreamEnd) => {
                    break out.len().saturating_sub(begin) < message.len();
                }
                Ok(Status::Ok | Status::BufError) => {}
                Err(_) => break false,
            }
        };
        state.reset();
        self.deflaters.put(state);
        is_shorter
    }

    /// What the gzip streams in `input` come to.
    fn decompress(&self, input: &[u8], limits: &Limits) -> Result<Bytes, UnpackError> {
        let mut state = inflater(&self.inflaters);
        let opened = self.decompress_with(&mut state, input, limits);
        self.inflaters.put(state);
        opened.map_err(|mut error| {
            if let UnpackError::Other { offset, .. } | UnpackError::OverLimit { offset, .. } =
                &mut error
            {
                // The flag before it.
                *offset = offset.saturating_add(1);
            }
            error
        })
    }

    fn decompress_with(
        &self,
        state: &mut Decompress,
        input: &[u8],
        limits: &Limits,
    ) -> Result<Bytes, UnpackError> {
        let by_ratio = self
            .max_ratio
            .map_or(usize::MAX, |ratio| input.len().saturating_mul(ratio));
        let limit = limits.max_opened_bytes.min(by_ratio);
        let mut out = Vec::with_capacity(likely_size(input).min(limit));
        let mut rest = input;
        let mut header = member_header(rest).map_err(|problem| broken(input, rest, problem))?;
        loop {
            let begin = out.len();
            rest = rest.get(header..).unwrap_or_default();
            let inflated = inflate(state, rest, &mut out, limit).map_err(|error| match error {
                InflateError::Corrupt => broken(input, rest, "not a deflate stream"),
                InflateError::TooLong => self.too_long(limit, limits),
            })?;
            rest = rest.get(inflated.read..).unwrap_or_default();
            let trailer = rest.split_first_chunk::<4>().and_then(|(crc, rest)| {
                let (size, rest) = rest.split_first_chunk::<4>()?;
                Some((u32::from_le_bytes(*crc), u32::from_le_bytes(*size), rest))
            });
            let Some((crc, size, behind)) = trailer.filter(|_| inflated.ended) else {
                return Err(broken(input, &[], "the gzip stream does not end"));
            };
            let mut sum = Crc::new();
            sum.update(out.get(begin..).unwrap_or_default());
            if (crc, size) != (sum.sum(), sum.amount()) {
                return Err(broken(input, rest, "the gzip stream has another checksum"));
            }
            rest = behind;
            match member_header(rest) {
                Ok(next) if rest.len() >= SHORTEST_MEMBER => header = next,
                _ => return Ok(settled(out)),
            }
            state.reset(false);
        }
    }

    fn too_long(&self, limit: usize, limits: &Limits) -> UnpackError {
        match self.max_ratio {
            Some(ratio) if limit < limits.max_opened_bytes => UnpackError::OverLimit {
                offset: 0,
                what: "times its size for what is compressed",
                limit: ratio,
            },
            _ => over_limit(limits),
        }
    }
}

impl<P: Packer> Packer for Gzip<P> {
    fn name(&self) -> &str {
        &self.name
    }

    fn format(&self) -> &str {
        self.inner.format()
    }

    fn kind(&self) -> Kind {
        Kind::Binary
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

    fn is_portable(&self, packed: &[u8]) -> bool {
        self.inner.is_portable(packed)
    }

    fn open(&self, frame: &Bytes, limits: &Limits) -> Result<Bytes, UnpackError> {
        let message = match frame.split_first() {
            None => {
                return Err(UnpackError::Other {
                    offset: 0,
                    message: String::from(
                        "an empty message: its first byte says whether it is compressed",
                    ),
                });
            }
            Some((&GZIPPED, stream)) => self.decompress(stream, limits)?,
            Some((_, message)) if message.len() > limits.max_opened_bytes => {
                return Err(over_limit(limits));
            }
            Some(_) => frame.slice(1..),
        };
        self.inner.open(&message, limits)
    }

    fn seals(&self) -> bool {
        true
    }

    fn seal(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), PackError> {
        if !self.inner.seals() {
            self.wrap(message, out);
            return Ok(());
        }
        let mut sealed = Vec::new();
        self.inner.seal(message, &mut sealed)?;
        self.wrap(&sealed, out);
        Ok(())
    }

    fn seal_overhead(&self) -> usize {
        self.inner.seal_overhead().saturating_add(1)
    }

    fn pack_message(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), PackError> {
        let mut message = Vec::new();
        self.inner.pack_message(value, &mut message)?;
        self.wrap(&message, out);
        Ok(())
    }

    fn unpack_message(&self, frame: &Bytes, limits: &Limits) -> Result<Value, UnpackError> {
        // The packer inside may read a message as a whole otherwise than a value of it.
        self.inner
            .unpack_message(&self.open(frame, limits)?, limits)
    }

    fn sequence(&self, len: usize) -> Tokens {
        self.inner.sequence(len)
    }

    fn map(&self, len: usize) -> Tokens {
        self.inner.map(len)
    }
}

/// A header, an empty stream and a trailer.
const SHORTEST_MEMBER: usize = 20;

/// How long the header is at the start of `input` (RFC 1952 section 2.3), read as Java's
/// `GZIPInputStream` does: it looks at no reserved bit.
fn member_header(input: &[u8]) -> Result<usize, &'static str> {
    const HEADER_CRC: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    const SHORT: &str = "the gzip header does not end";
    match input {
        [0x1f, 0x8b, 8, ..] => {}
        [0x1f, 0x8b, _, ..] => return Err("an unknown method of compression in a gzip header"),
        [] | [0x1f] | [0x1f, 0x8b] => return Err(SHORT),
        _ => return Err("not a gzip stream, though the first byte is 1"),
    }
    let flags = input.get(3).copied().ok_or(SHORT)?;
    let mut rest = input.get(10..).ok_or(SHORT)?;
    if flags & EXTRA != 0 {
        let (length, behind) = rest.split_first_chunk::<2>().ok_or(SHORT)?;
        let length = usize::from(u16::from_le_bytes(*length));
        rest = behind.get(length..).ok_or(SHORT)?;
    }
    for flag in [NAME, COMMENT] {
        if flags & flag != 0 {
            let end = memchr::memchr(0, rest).ok_or(SHORT)?;
            rest = rest.get(end.saturating_add(1)..).ok_or(SHORT)?;
        }
    }
    if flags & HEADER_CRC != 0 {
        let (wanted, behind) = rest.split_first_chunk::<2>().ok_or(SHORT)?;
        let mut sum = Crc::new();
        let header = input.len().saturating_sub(rest.len());
        sum.update(input.get(..header).unwrap_or_default());
        let [low, high, ..] = sum.sum().to_le_bytes();
        if *wanted != [low, high] {
            return Err("the gzip header has another checksum");
        }
        rest = behind;
    }
    Ok(input.len().saturating_sub(rest.len()))
}

/// What the stream says it comes to, as far as that is likely: whoever lies about it gets memory
/// for a few times what was sent.
fn likely_size(input: &[u8]) -> usize {
    let said = input.last_chunk::<4>().map_or(0, |size| {
        usize::try_from(u32::from_le_bytes(*size)).unwrap_or(usize::MAX)
    });
    said.min(input.len().saturating_mul(16))
}

/// The bytes, without much unused memory behind them.
fn settled(mut out: Vec<u8>) -> Bytes {
    if out.capacity() > out.len().saturating_add(out.len() / 4) {
        out.shrink_to_fit();
    }
    Bytes::from(out)
}

/// An error where `rest`, the end of `input`, begins.
fn broken(input: &[u8], rest: &[u8], problem: &str) -> UnpackError {
    UnpackError::Other {
        offset: input.len().saturating_sub(rest.len()),
        message: String::from(problem),
    }
}

const fn over_limit(limits: &Limits) -> UnpackError {
    UnpackError::OverLimit {
        offset: 0,
        what: "bytes when decompressed",
        limit: limits.max_opened_bytes,
    }
}
