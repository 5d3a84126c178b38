//! How much of a refusal's body is waited for and kept.

use alloc::string::String;
use alloc::vec::Vec;

use memchr::memchr;

use super::Headers;
use crate::framing::input::Input;

/// The most of a body that is kept: enough for a message, and no more than an error should carry.
const MAX_EXCERPT: usize = 1024;
/// The longest line with the size of a chunk; what is longer is not HTTP.
const MAX_SIZE_LINE: usize = 256;

/// The beginning of a response's body, read as it arrives.
#[derive(Debug)]
pub(super) struct Body {
    framing: Framing,
    /// How much is to come of the body, or of the current chunk.
    remaining: u64,
    excerpt: Vec<u8>,
}

/// How the end of a body is known (RFC 9112 section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Chunked,
    /// It has a length, or goes on until the connection ends.
    Plain,
}

impl Body {
    pub(super) fn new(status: u16, headers: &Headers) -> Self {
        let declared = || headers.only("content-length")?.parse().ok();
        let (framing, remaining) = if matches!(status, 204 | 304) {
            (Framing::Plain, 0)
        } else if headers.has_token("transfer-encoding", "chunked") {
            (Framing::Chunked, 0)
        } else {
            (Framing::Plain, declared().unwrap_or(u64::MAX))
        };
        Self {
            framing,
            remaining,
            excerpt: Vec::new(),
        }
    }

    /// Reads on. Whether that was all that is wanted.
    pub(super) fn read(&mut self, input: &mut Input, eof: bool) -> bool {
        loop {
            let wanted = MAX_EXCERPT.saturating_sub(self.excerpt.len());
            let count = usize::try_from(self.remaining)
                .unwrap_or(usize::MAX)
                .min(wanted);
            let bytes = input.as_slice();
            let bytes = bytes.get(..count).unwrap_or(bytes);
            let count = bytes.len();
            self.excerpt.extend_from_slice(bytes);
            self.remaining = self
                .remaining
                .saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
            input.skip(count);

            if self.excerpt.len() == MAX_EXCERPT {
                return true;
            }
            if self.remaining > 0 {
                return eof;
            }
            if self.framing == Framing::Plain {
                return true;
            }
            match read_size_line(input) {
                SizeLine::Incomplete => return eof,
                SizeLine::Last => return true,
                SizeLine::Next(size) => self.remaining = size,
            }
        }
    }

    /// What was read; bytes that are not UTF-8 become U+FFFD.
    pub(super) fn excerpt(&self) -> String {
        String::from_utf8_lossy(&self.excerpt).into_owned()
    }
}

enum SizeLine {
    Incomplete,
    /// The size 0 ends a body, as does what is no size.
    Last,
    /// The size of the next chunk; 0 for the line end after the last chunk's bytes.
    Next(u64),
}

fn read_size_line(input: &mut Input) -> SizeLine {
    let bytes = input.as_slice();
    let bytes = bytes.get(..MAX_SIZE_LINE).unwrap_or(bytes);
    let Some(end) = memchr(b'\n', bytes) else {
        return if bytes.len() < MAX_SIZE_LINE {
            SizeLine::Incomplete
        } else {
            SizeLine::Last
        };
    };
    let line = bytes.get(..end).unwrap_or_default().trim_ascii();
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let digits = core::str::from_utf8(digits).unwrap_or_default();
    let found = match u64::from_str_radix(digits.trim_ascii(), 16) {
        Ok(size) if size > 0 => SizeLine::Next(size),
        _ if line.is_empty() => SizeLine::Next(0),
        _ => SizeLine::Last,
    };
    input.skip(end.saturating_add(1));
    found
}
