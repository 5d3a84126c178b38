//! What compresses: gzip frames and compressed WebSocket messages.

use bytes::{Buf, Bytes, BytesMut};
use sente_core::framing::Kind;
use sente_core::framing::upgrade::{ClientUpgrade, ServerUpgrade, UpgradeLimits};
use sente_core::framing::websocket::{
    Deflate, DeflateConfig, Part, Role, WebSocket, WebSocketConfig, WebSocketEvent,
};
use sente_core::packer::{Edn, Gzip, Packer};
use sente_core::{Instant, Limits, TransmitBuf};

use crate::Dice;

/// Whatever is opened keeps to the limit, also as what follows a header that is right, and what is
/// sealed opens again and is at most one byte longer.
///
/// # Panics
///
/// If not.
pub fn gzip(data: &[u8]) {
    const HEADER: &[u8] = b"\x01\x1f\x8b\x08\0\0\0\0\0\0\x03";
    let mut dice = Dice::new(data);
    let gzip = Gzip::new(Edn)
        .threshold(dice.below(100))
        .level(u8::try_from(dice.below(10)).unwrap_or_default());
    let mut limits = Limits::default();
    for limit in [limits.max_opened_bytes, dice.below(2000)] {
        limits.max_opened_bytes = limit;
        for frame in [data.to_vec(), [HEADER, data].concat()] {
            if let Ok(opened) = gzip.open(&Bytes::from(frame), &limits) {
                assert!(opened.len() <= limit);
            }
        }
        let mut frame = Vec::new();
        assert_eq!(gzip.seal(data, &mut frame), Ok(()));
        assert!(frame.len() <= data.len() + gzip.seal_overhead());
        match gzip.open(&Bytes::from(frame), &limits) {
            Ok(opened) => assert!(opened == data && data.len() <= limit),
            Err(_) => assert!(data.len() > limit),
        }
    }
}

/// A stream of frames gives the same events however it is split, all of them within the limit, with
/// the bytes as frames and as the payload of a compressed message; and messages arrive as they were
/// sent.
///
/// # Panics
///
/// If not.
pub fn websocket_deflate(data: &[u8]) {
    const LIMIT: usize = 3000;
    let mut dice = Dice::new(data);
    let Some((client, server)) = agree(&mut dice) else {
        panic!("two that agree on everything do not agree");
    };
    let payload = data.get(..data.len().min(125)).unwrap_or_default();
    let length = u8::try_from(payload.len()).unwrap_or_default();
    let cut = dice.below(payload.len());
    let (first, second) = payload.split_at(cut);
    let (first_length, second_length) = (
        u8::try_from(first.len()).unwrap_or_default(),
        u8::try_from(second.len()).unwrap_or_default(),
    );
    for stream in [
        data.to_vec(),
        [&[0xc2, length], payload].concat(),
        [&[0x42, first_length], first, &[0x80, second_length], second].concat(),
    ] {
        let whole = read(&client, LIMIT, &stream, || stream.len());
        for event in &whole {
            if let WebSocketEvent::Message(frame) = event {
                assert!(frame.bytes.len() <= LIMIT);
            }
        }
        assert_eq!(read(&client, LIMIT, &stream, || 1), whole);
        assert_eq!(read(&client, LIMIT, &stream, || dice.below(16)), whole);
    }

    // As messages, cut where it falls.
    let mut sender = socket(Role::Server, &server, usize::MAX);
    let mut out = TransmitBuf::new();
    let messages: Vec<&[u8]> = data.chunks(dice.below(200).max(1)).collect();
    for message in &messages {
        assert!(sender.write_message(Kind::Binary, &[Part::Slice(message)], &mut out));
    }
    let stream = out.copy_to_bytes(out.remaining());
    let read = read(&client, usize::MAX, &stream, || dice.below(64));
    let arrived = read.iter().map(|event| match event {
        WebSocketEvent::Message(frame) => &frame.bytes[..],
        other => panic!("{other:?}"),
    });
    assert!(arrived.eq(messages));
}

/// What a client makes of a server's bytes.
fn read(
    agreed: &Deflate,
    limit: usize,
    bytes: &[u8],
    mut chunk: impl FnMut() -> usize,
) -> Vec<WebSocketEvent> {
    let mut client = socket(Role::Client, agreed, limit);
    let mut events = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (part, behind) = rest.split_at(chunk().clamp(1, rest.len()));
        client.handle_input(Instant::EPOCH, &mut BytesMut::from(part));
        events.extend(std::iter::from_fn(|| client.poll_event()));
        rest = behind;
    }
    events
}

fn socket(role: Role, agreed: &Deflate, limit: usize) -> WebSocket {
    let mut config = WebSocketConfig::default();
    config.max_frame_bytes = limit;
    config.max_message_bytes = limit;
    let mut socket = WebSocket::new(role, config, [1; 32]);
    socket.set_deflate(agreed.clone());
    socket
}

/// What an upgrade agrees on: a client's side and a server's.
fn agree(dice: &mut Dice) -> Option<(Deflate, Deflate)> {
    let takeover = dice.below(2) == 1;
    let config = DeflateConfig::default()
        .threshold(dice.below(20))
        .window_bits(u8::try_from(9 + dice.below(7)).ok()?)
        .level(u8::try_from(1 + dice.below(9)).ok()?)
        .context_takeover(takeover)
        .peer_context_takeover(takeover);
    let mut out = TransmitBuf::new();
    let carry = |out: &mut TransmitBuf| BytesMut::from(&out.copy_to_bytes(out.remaining())[..]);
    let mut client = ClientUpgrade::new("a", "/", &[], [1; 32])
        .ok()?
        .deflate(&config);
    client.poll_transmit(&mut out);
    let mut server = ServerUpgrade::new(UpgradeLimits::default());
    server.handle_input(&mut carry(&mut out));
    let request = server.poll_request()?.ok()?;
    let agreed = server
        .accept_deflate(&request, &[], &config, &mut out)
        .ok()??;
    client.handle_input(&mut carry(&mut out));
    Some((client.poll_response()?.ok()?.deflate?, agreed))
}
