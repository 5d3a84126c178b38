//! W3C's `traceparent`: which trace an event belongs to.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

/// The trace an event belongs to and the span it came from, as W3C's Trace Context writes it:
/// `00-<32 hexadecimal digits>-<16>-<flags>`, 55 bytes.
///
/// It travels with an [`Event`](crate::Event) or a call where both sides agreed on the extension
/// [`trace`](crate::Extensions::trace), and nowhere else. What a peer sends is checked for its form
/// and no more: it names a trace, and proves nothing.
///
/// ```
/// use sente_core::Traceparent;
///
/// let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let parent: Traceparent = text.parse()?;
/// assert!(parent.is_sampled());
/// assert_eq!(parent.to_string(), text);
/// # Ok::<(), sente_core::TraceparentError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Traceparent {
    trace_id: [u8; 16],
    parent_id: [u8; 8],
    flags: u8,
}

impl Traceparent {
    /// How many bytes its text has.
    pub const LEN: usize = 55;

    const SAMPLED: u8 = 1;

    /// The parent of these ids; `None` where one of them is all zeros, which names nothing.
    #[must_use]
    pub fn new(trace_id: [u8; 16], parent_id: [u8; 8], sampled: bool) -> Option<Self> {
        (trace_id != [0; 16] && parent_id != [0; 8]).then_some(Self {
            trace_id,
            parent_id,
            flags: u8::from(sampled),
        })
    }

    /// The trace.
    #[must_use]
    pub const fn trace_id(&self) -> [u8; 16] {
        self.trace_id
    }

    /// The span that sent the event.
    #[must_use]
    pub const fn parent_id(&self) -> [u8; 8] {
        self.parent_id
    }

    /// The flags: the lowest bit says whether the sender records the trace.
    #[must_use]
    pub const fn flags(&self) -> u8 {
        self.flags
    }

    /// Whether the sender records the trace.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.flags & Self::SAMPLED != 0
    }
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("00-")?;
        for byte in self.trace_id {
            write!(f, "{byte:02x}")?;
        }
        f.write_str("-")?;
        for byte in self.parent_id {
            write!(f, "{byte:02x}")?;
        }
        write!(f, "-{:02x}", self.flags)
    }
}

impl fmt::Debug for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Traceparent {
    type Err = TraceparentError;

    /// Reads 55 bytes of the form above, in lower case. Of a version other than `00` only the bit
    /// that says whether the trace is recorded is taken; `ff` is none.
    fn from_str(text: &str) -> Result<Self, TraceparentError> {
        let wrong = || TraceparentError(text.chars().take(60).collect());
        let bytes: &[u8; Self::LEN] = text.as_bytes().try_into().map_err(|_| wrong())?;
        let mut fields = bytes.split(|byte| *byte == b'-');
        let version: [u8; 1] = fields.next().and_then(hex).ok_or_else(wrong)?;
        let trace_id = fields.next().and_then(hex).ok_or_else(wrong)?;
        let parent_id = fields.next().and_then(hex).ok_or_else(wrong)?;
        let flags: [u8; 1] = fields.next().and_then(hex).ok_or_else(wrong)?;
        if version == [0xff] || fields.next().is_some() {
            return Err(wrong());
        }
        let [flags] = flags;
        let mut parent = Self::new(trace_id, parent_id, false).ok_or_else(wrong)?;
        parent.flags = match version {
            [0] => flags,
            _ => flags & Self::SAMPLED,
        };
        Ok(parent)
    }
}

/// The bytes that so many hexadecimal digits in lower case stand for.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let (pairs, rest) = digits.as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = (digit(*high)? << 4) | digit(*low)?;
    }
    Some(bytes)
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(byte.wrapping_sub(b'a').wrapping_add(10)),
        _ => None,
    }
}

/// A text that is no `traceparent`, shown up to its 60th character.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no traceparent: the form is 00-<32 hex digits>-<16 hex digits>-<2 hex digits>")]
#[expect(clippy::exhaustive_structs, reason = "it says all there is")]
pub struct TraceparentError(pub String);
