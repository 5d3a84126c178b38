//! What a peer wrote, taken apart without the engine's help: frames, and the events in them.

use sente_core::Carrier;

/// The payloads of the data frames in one transmit, with where each begins.
pub(super) fn split(carrier: Carrier, bytes: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let mut frames = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let (payload, used) = match carrier {
            Carrier::Lines => {
                let end = rest.iter().position(|byte| *byte == b'\n');
                let end = end.unwrap_or(rest.len());
                (rest[..end].to_vec(), end + 1)
            }
            Carrier::LengthPrefixed => {
                let length = number(&rest[1..5]);
                (rest[5..5 + length].to_vec(), 5 + length)
            }
            _ => {
                let (payload, used) = websocket(rest);
                if rest[0] & 0x0f > 2 {
                    at += used;
                    continue;
                }
                (payload, used)
            }
        };
        frames.push((at, payload));
        at += used;
    }
    frames
}

/// How many of the model's events stand in a frame.
pub(super) fn events_in(frame: &[u8]) -> usize {
    let id = b"[:m/e ";
    frame.windows(id.len()).filter(|part| part == id).count()
}

/// Whether a frame is a ping of the keepalive.
pub(super) fn is_ping(frame: &[u8]) -> bool {
    let id = b":chsk/ws-ping";
    frame.windows(id.len()).any(|part| part == id)
}

fn websocket(bytes: &[u8]) -> (Vec<u8>, usize) {
    let (length, mut used) = match bytes[1] & 0x7f {
        126 => (number(&bytes[2..4]), 4),
        127 => (number(&bytes[2..10]), 10),
        short => (usize::from(short), 2),
    };
    let mut mask = [0; 4];
    if bytes[1] & 0x80 != 0 {
        mask.copy_from_slice(&bytes[used..used + 4]);
        used += 4;
    }
    let payload = bytes[used..used + length].iter().enumerate();
    let payload = payload.map(|(at, byte)| byte ^ mask[at % 4]).collect();
    (payload, used + length)
}

fn number(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .fold(0, |sum, byte| (sum << 8) | usize::from(*byte))
}
