//! WebSocket frames, as far as the suite needs them.

/// The opcode of a text message.
pub const TEXT: u8 = 1;

/// The same of a binary one.
pub const BINARY: u8 = 2;

/// Beside an opcode: the message is compressed.
pub const COMPRESSED: u8 = 0x40;

/// A whole message in one frame, masked as a client does if `mask` says how.
pub fn frame(opcode: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 14);
    put_header(&mut frame, opcode, payload.len());
    match mask {
        Some(key) => {
            frame[1] |= 0x80;
            frame.extend_from_slice(&key);
            let bytes = payload.iter().enumerate();
            frame.extend(bytes.map(|(at, byte)| byte ^ key[at & 3]));
        }
        None => frame.extend_from_slice(payload),
    }
    frame
}

/// The header of a whole message in one frame that is not masked.
pub fn put_header(frame: &mut Vec<u8>, opcode: u8, payload: usize) {
    frame.push(0x80 | opcode);
    match payload {
        short @ 0..126 => frame.push(short as u8),
        long if long < 65536 => {
            frame.push(126);
            frame.extend_from_slice(&(long as u16).to_be_bytes());
        }
        longer => {
            frame.push(127);
            frame.extend_from_slice(&(longer as u64).to_be_bytes());
        }
    }
}

/// How a frame begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its own length, the key included.
    pub bytes: usize,
    /// How long the payload is.
    pub payload: usize,
    pub opcode: u8,
    pub masked: bool,
}

/// The header at the start of `bytes`; `None` until it is whole.
pub fn header(bytes: &[u8]) -> Option<Header> {
    let [first, second, rest @ ..] = bytes else {
        return None;
    };
    let masked = second & 0x80 != 0;
    let (length, payload) = match second & 0x7f {
        126 => (4, usize::from(u16::from_be_bytes(*rest.first_chunk()?))),
        127 => (10, u64::from_be_bytes(*rest.first_chunk()?) as usize),
        short => (2, usize::from(short)),
    };
    let length = if masked { length + 4 } else { length };
    (bytes.len() >= length).then_some(Header {
        bytes: length,
        payload,
        opcode: first & 0x0f,
        masked,
    })
}

/// The payload of the masked frame at the start of `bytes`, if it is all there.
pub fn unmasked(bytes: &[u8]) -> Option<Vec<u8>> {
    let header = header(bytes).filter(|header| header.masked)?;
    let key = bytes.get(header.bytes - 4..header.bytes)?;
    let payload = bytes.get(header.bytes..header.bytes + header.payload)?;
    let bytes = payload.iter().enumerate();
    Some(bytes.map(|(at, byte)| byte ^ key[at & 3]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_framed_is_found_again() {
        for length in [0, 125, 126, 65535, 65536] {
            let payload = vec![7; length];
            let framed = frame(TEXT, &payload, Some([1, 2, 3, 4]));
            assert_eq!(unmasked(&framed), Some(payload));
            assert_eq!(header(&framed).unwrap().opcode, TEXT);
            let framed = frame(TEXT, &[7; 3], None);
            assert_eq!(header(&framed).unwrap().payload, 3);
        }
    }
}
