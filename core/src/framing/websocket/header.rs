//! How a WebSocket frame header is read and written (RFC 6455 section 5.2).

use super::error::Violation;
use super::{Kind, Role};

/// The longest header: two bytes, a 64-bit length, a masking key.
const MAX_HEADER: usize = 14;
/// The longest payload of a Close, Ping or Pong.
pub(super) const MAX_CONTROL: usize = 125;

const FIN: u8 = 0x80;
const RESERVED_BITS: u8 = 0x70;
/// The first reserved bit: it marks the first frame of a compressed message (RFC 7692 section 6).
const COMPRESSED: u8 = 0x40;
const OPCODE_BITS: u8 = 0x0f;
const MASKED: u8 = 0x80;
const LENGTH_BITS: u8 = 0x7f;
/// Says that the length is in the next two bytes.
const LENGTH_16: u8 = 126;
/// Says that the length is in the next eight bytes.
const LENGTH_64: u8 = 127;

/// A frame header as it goes before a payload: at most 14 bytes, read as a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    bytes: [u8; MAX_HEADER],
    length: u8,
}

impl Header {
    /// How long a server's is before a message of 126 bytes up to 64 KiB; before one of fewer it is
    /// shorter.
    pub(super) const LONGER: usize = 4;

    pub(super) fn new(opcode: Opcode, mask: Option<[u8; 4]>, payload: usize) -> Self {
        let masked = if mask.is_some() { MASKED } else { 0 };
        let first = FIN | opcode.bits();
        let (begin, length) = match (u8::try_from(payload), u16::try_from(payload)) {
            (Ok(length), _) if length < LENGTH_16 => {
                ([first, masked | length, 0, 0, 0, 0, 0, 0, 0, 0], 2)
            }
            (_, Ok(length)) => {
                let [a, b] = length.to_be_bytes();
                ([first, masked | LENGTH_16, a, b, 0, 0, 0, 0, 0, 0], 4)
            }
            _ => {
                let length = u64::try_from(payload).unwrap_or(u64::MAX);
                let [a, b, c, d, e, f, g, h] = length.to_be_bytes();
                ([first, masked | LENGTH_64, a, b, c, d, e, f, g, h], 10)
            }
        };
        let mut bytes = [0; MAX_HEADER];
        if let Some(slots) = bytes.first_chunk_mut() {
            *slots = begin;
        }
        let mut header = Self { bytes, length };
        if let Some(mask) = mask {
            header.put(&mask);
        }
        header
    }

    /// That of a message of 126 bytes up to 64 KiB from a server.
    #[inline]
    pub(super) const fn longer(kind: Kind, payload: u16) -> [u8; Self::LONGER] {
        let [a, b] = payload.to_be_bytes();
        [FIN | Opcode::of(kind).bits(), LENGTH_16, a, b]
    }

    /// The same before the payload of a compressed message.
    pub(super) fn compressed(mut self) -> Self {
        let [first, ..] = &mut self.bytes;
        *first |= COMPRESSED;
        self
    }

    /// The bytes to send before the payload.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.length))
            .unwrap_or_default()
    }

    fn put(&mut self, bytes: &[u8]) {
        let free = self.bytes.iter_mut().skip(usize::from(self.length));
        for (slot, byte) in free.zip(bytes) {
            *slot = *byte;
            self.length = self.length.saturating_add(1);
        }
    }
}

impl AsRef<[u8]> for Header {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

/// The header of a whole message of `length` bytes from a server.
///
/// A server does not mask, so its frames are the same for every client: a hub puts this before a
/// message once, and shares the result with all of its connections. At most 10 bytes.
#[must_use]
pub fn server_header(kind: Kind, length: usize) -> Header {
    Header::new(Opcode::of(kind), None, length)
}

/// What a frame is (the opcodes with a meaning).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation,
    Data(Kind),
    Close,
    Ping,
    Pong,
}

impl Opcode {
    pub(super) const fn of(kind: Kind) -> Self {
        Self::Data(kind)
    }

    const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Data(Kind::Text) => 1,
            Self::Data(Kind::Binary) => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }

    const fn from_bits(bits: u8) -> Result<Self, Violation> {
        match bits {
            0 => Ok(Self::Continuation),
            1 => Ok(Self::Data(Kind::Text)),
            2 => Ok(Self::Data(Kind::Binary)),
            8 => Ok(Self::Close),
            9 => Ok(Self::Ping),
            10 => Ok(Self::Pong),
            _ => Err(Violation::ReservedOpcode(bits)),
        }
    }

    pub(super) const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// A header that was received and is legal in itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) is_final: bool,
    pub(super) opcode: Opcode,
    /// Whether it begins a compressed message.
    pub(super) is_compressed: bool,
    /// The masking key, present where `role` is a server and absent where it is a client.
    pub(super) mask: Option<[u8; 4]>,
    /// The length of the payload.
    pub(super) length: u64,
    /// How many bytes the header itself takes.
    pub(super) size: usize,
}

impl Received {
    /// Reads the header at the start of `bytes` as `role` receives it, where messages may be
    /// compressed if `deflates`. `Ok(None)` means that it is not all there; a mistake is found in
    /// the byte that makes it.
    pub(super) fn parse(
        bytes: &[u8],
        role: Role,
        deflates: bool,
    ) -> Result<Option<Self>, Violation> {
        let Some(&first) = bytes.first() else {
            return Ok(None);
        };
        let reserved = first & RESERVED_BITS;
        let is_compressed = deflates
            && reserved == COMPRESSED
            && matches!(Opcode::from_bits(first & OPCODE_BITS), Ok(Opcode::Data(_)));
        if reserved != 0 && !is_compressed {
            return Err(Violation::ReservedBits(reserved >> 4));
        }
        let opcode = Opcode::from_bits(first & OPCODE_BITS)?;
        let is_final = first & FIN != 0;
        if opcode.is_control() && !is_final {
            return Err(Violation::FragmentedControl);
        }

        let Some(&second) = bytes.get(1) else {
            return Ok(None);
        };
        let masked = second & MASKED != 0;
        match role {
            Role::Client if masked => return Err(Violation::Masked),
            Role::Server if !masked => return Err(Violation::Unmasked),
            Role::Client | Role::Server => {}
        }
        let short = second & LENGTH_BITS;
        if opcode.is_control() && usize::from(short) > MAX_CONTROL {
            return Err(Violation::ControlTooLong);
        }

        let rest = bytes.get(2..).unwrap_or_default();
        let Some((length, rest)) = length_of(short, rest)? else {
            return Ok(None);
        };
        let (mask, rest) = match rest.split_first_chunk::<4>() {
            Some((mask, rest)) if masked => (Some(*mask), rest),
            None if masked => return Ok(None),
            _ => (None, rest),
        };
        Ok(Some(Self {
            is_final,
            opcode,
            is_compressed,
            mask,
            length,
            size: bytes.len().saturating_sub(rest.len()),
        }))
    }
}

/// The header of a message that is all in one frame, of less than 64 KiB and not compressed: what
/// nearly all are.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReceivedWhole {
    pub(super) kind: Kind,
    pub(super) mask: Option<[u8; 4]>,
    /// The length of the payload.
    pub(super) length: usize,
    /// How many bytes the header itself takes.
    pub(super) size: usize,
}

impl ReceivedWhole {
    /// Reads the header at the start of `bytes` as `role` receives it. `None` for any other header, one
    /// with a mistake, and one that is not all there: [`Received::parse`] knows more.
    #[inline(always)]
    pub(super) fn parse(bytes: &[u8], role: Role) -> Option<Self> {
        let ([first, second], rest) = bytes.split_first_chunk::<2>()?;
        let kind = match *first {
            Self::TEXT => Kind::Text,
            Self::BINARY => Kind::Binary,
            _ => return None,
        };
        let is_masked = second & MASKED != 0;
        if is_masked != (role == Role::Server) {
            return None;
        }
        let (length, rest, size) = match second & LENGTH_BITS {
            LENGTH_16 => {
                let (bytes, rest) = rest.split_first_chunk::<2>()?;
                let length = u16::from_be_bytes(*bytes);
                if length < u16::from(LENGTH_16) {
                    return None;
                }
                (usize::from(length), rest, 4)
            }
            LENGTH_64 => return None,
            short => (usize::from(short), rest, 2),
        };
        let (mask, size) = if is_masked {
            (Some(*rest.first_chunk::<4>()?), size + 4)
        } else {
            (None, size)
        };
        Some(Self {
            kind,
            mask,
            length,
            size,
        })
    }

    const TEXT: u8 = FIN | Opcode::Data(Kind::Text).bits();
    const BINARY: u8 = FIN | Opcode::Data(Kind::Binary).bits();
}

/// The length that `short` and the bytes after it say, and what follows.
fn length_of(short: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, Violation> {
    let (length, rest, least) = match short {
        LENGTH_16 => match rest.split_first_chunk::<2>() {
            Some((bytes, rest)) => (u64::from(u16::from_be_bytes(*bytes)), rest, 126),
            None => return Ok(None),
        },
        LENGTH_64 => match rest.split_first_chunk::<8>() {
            Some((bytes, rest)) => (u64::from_be_bytes(*bytes), rest, 0x1_0000),
            None => return Ok(None),
        },
        short => (u64::from(short), rest, 0),
    };
    if length >> 63 != 0 {
        Err(Violation::LengthOutOfRange)
    } else if length < least {
        Err(Violation::LengthNotMinimal)
    } else {
        Ok(Some((length, rest)))
    }
}
