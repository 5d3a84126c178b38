//! Frames written and read by hand, and a WebSocket driven with them.
#![allow(dead_code, missing_docs, unreachable_pub)]

use bytes::{Buf, Bytes, BytesMut};
use proptest::prelude::*;
use sente_core::framing::websocket::{Role, Violation, WebSocket, WebSocketConfig, WebSocketEvent};
use sente_core::framing::{Frame, Kind};
use sente_core::{Instant, TransmitBuf};

pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

pub const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// One frame, legal or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    pub fin: bool,
    pub rsv: u8,
    pub opcode: u8,
    pub payload: Vec<u8>,
}

impl Raw {
    pub fn new(opcode: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            fin: true,
            rsv: 0,
            opcode,
            payload: payload.into(),
        }
    }

    pub fn text(text: &str) -> Self {
        Self::new(TEXT, text)
    }

    pub fn close(code: u16, reason: impl AsRef<[u8]>) -> Self {
        Self::new(CLOSE, [&code.to_be_bytes(), reason.as_ref()].concat())
    }

    pub fn unfinished(self) -> Self {
        Self { fin: false, ..self }
    }

    pub fn reserved(self, rsv: u8) -> Self {
        Self { rsv, ..self }
    }

    /// The bytes of the frame, with the shortest length.
    pub fn encode(&self, mask: Option<[u8; 4]>) -> Vec<u8> {
        let length = self.payload.len();
        let (short, extended) = match (u8::try_from(length), u16::try_from(length)) {
            (Ok(short @ 0..=125), _) => (short, vec![]),
            (_, Ok(length)) => (126, length.to_be_bytes().to_vec()),
            _ => (127, (length as u64).to_be_bytes().to_vec()),
        };
        let mut bytes = vec![
            u8::from(self.fin) << 7 | self.rsv << 4 | self.opcode,
            u8::from(mask.is_some()) << 7 | short,
        ];
        bytes.extend(extended);
        let mask = match mask {
            Some(mask) => {
                bytes.extend(mask);
                mask
            }
            None => [0; 4],
        };
        bytes.extend(
            self.payload
                .iter()
                .zip(mask.iter().cycle())
                .map(|(b, m)| b ^ m),
        );
        bytes
    }

    /// The bytes as `receiver` must get them: masked for a server.
    pub fn encode_for(&self, receiver: Role) -> Vec<u8> {
        self.encode((receiver == Role::Server).then_some([0x37, 0xfa, 0x21, 0x3d]))
    }
}

pub fn encode_for(receiver: Role, frames: &[Raw]) -> Vec<u8> {
    frames
        .iter()
        .flat_map(|frame| frame.encode_for(receiver))
        .collect()
}

/// The whole frames in `bytes` as `sender` must have written them.
pub fn decode_from(sender: Role, mut bytes: &[u8]) -> Vec<Raw> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (first, second) = (bytes.get_u8(), bytes.get_u8());
        let masked = second & 0x80 != 0;
        assert_eq!(masked, sender == Role::Client, "only a client masks");
        let length = match second & 0x7f {
            126 => u64::from(bytes.get_u16()),
            127 => bytes.get_u64(),
            short => u64::from(short),
        };
        let mut mask = [0; 4];
        if masked {
            bytes.copy_to_slice(&mut mask);
        }
        let (payload, rest) = bytes.split_at(usize::try_from(length).unwrap());
        let plain = payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m);
        frames.push(Raw {
            fin: first & 0x80 != 0,
            rsv: first >> 4 & 7,
            opcode: first & 0xf,
            payload: plain.collect(),
        });
        bytes = rest;
    }
    frames
}

/// A WebSocket with what came out of it.
#[derive(Debug)]
pub struct Driven {
    pub socket: WebSocket,
    pub role: Role,
    pub now: Instant,
    pub events: Vec<WebSocketEvent>,
    /// The frames that it sent on its own.
    pub sent: Vec<Raw>,
}

impl Driven {
    pub fn new(role: Role) -> Self {
        Self::with_config(role, WebSocketConfig::default())
    }

    pub fn with_config(role: Role, config: WebSocketConfig) -> Self {
        Self {
            socket: WebSocket::new(role, config, [1; 32]),
            role,
            now: Instant::EPOCH,
            events: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// Reads `bytes`, and takes all that comes out.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.push(bytes);
        self.drain();
    }

    /// Reads `bytes`, and takes nothing.
    pub fn push(&mut self, bytes: &[u8]) {
        let mut input = BytesMut::from(bytes);
        self.socket.handle_input(self.now, &mut input);
        assert!(input.is_empty(), "all input is taken");
    }

    /// Reads `frames`, and takes all that comes out.
    pub fn frames(&mut self, frames: &[Raw]) {
        self.feed(&encode_for(self.role, frames));
    }

    pub fn eof(&mut self) {
        self.socket.handle_eof(self.now);
        self.drain();
    }

    /// Takes all that comes out, an answer as soon as it is due.
    pub fn drain(&mut self) {
        self.transmit();
        while let Some(event) = self.socket.poll_event() {
            self.events.push(event);
            self.transmit();
        }
    }

    pub fn transmit(&mut self) {
        let mut out = TransmitBuf::new();
        let written = self.socket.poll_transmit(&mut out);
        assert_eq!(written, !out.is_empty());
        let bytes = out.copy_to_bytes(out.remaining());
        self.sent.extend(decode_from(self.role, &bytes));
    }
}

/// The messages among `events`.
pub fn messages(events: &[WebSocketEvent]) -> Vec<(Kind, Vec<u8>)> {
    let message = |event: &WebSocketEvent| match event {
        WebSocketEvent::Message(frame) => Some((frame.kind, frame.bytes.to_vec())),
        _ => None,
    };
    events.iter().filter_map(message).collect()
}

pub fn message(kind: Kind, bytes: impl AsRef<[u8]>) -> WebSocketEvent {
    WebSocketEvent::Message(Frame::new(kind, Bytes::copy_from_slice(bytes.as_ref())))
}

pub fn text(text: &str) -> WebSocketEvent {
    message(Kind::Text, text)
}

/// The mistake of the peer that ended it.
pub fn violation(events: &[WebSocketEvent]) -> Option<Violation> {
    match events.last() {
        Some(WebSocketEvent::Closed(closed)) => {
            closed.error.as_ref().map(|error| error.violation.clone())
        }
        _ => None,
    }
}

/// Frames of all sorts, mostly legal.
pub fn any_frames() -> impl Strategy<Value = Vec<Raw>> {
    let payload = prop_oneof![
        4 => "[a-zé😀]{0,9}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..9),
        1 => (100_usize..300).prop_map(|length| vec![b'x'; length]),
    ];
    let opcode = prop_oneof![
        3 => Just(TEXT),
        2 => Just(BINARY),
        4 => Just(CONTINUATION),
        2 => Just(PING),
        1 => Just(PONG),
        1 => Just(CLOSE),
        1 => 0_u8..16,
    ];
    let rsv = prop_oneof![30 => Just(0_u8), 1 => 0_u8..8];
    let frame = (any::<bool>(), rsv, opcode, payload).prop_map(|(fin, rsv, opcode, payload)| Raw {
        fin: fin || opcode >= CLOSE,
        rsv,
        opcode,
        payload,
    });
    proptest::collection::vec(frame, 0..12)
}
