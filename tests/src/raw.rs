//! A peer that says exactly what a test or a recorded session says, over a WebSocket.

use bytes::{Buf, BytesMut};
use sente_core::framing::Kind;
use sente_core::framing::websocket::{Part, Role, WebSocket, WebSocketConfig, WebSocketEvent};
use sente_core::{Connection, Input, Instant, Transmit, TransmitBuf};

/// What our side said to the raw peer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Said {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A close frame with its code.
    Close(Option<u16>),
    /// A WebSocket pong.
    Pong(Vec<u8>),
    /// The end of the stream.
    Eof,
}

/// The other end of a connection's WebSocket, in the hands of the test.
#[derive(Debug)]
pub struct RawPeer {
    websocket: WebSocket,
}

impl RawPeer {
    /// The peer of a connection in the other role.
    #[must_use]
    pub fn new(role: Role) -> Self {
        let mut config = WebSocketConfig::default();
        config.max_frame_bytes = usize::MAX / 4;
        config.max_message_bytes = usize::MAX / 4;
        Self {
            websocket: WebSocket::new(role, config, [3; 32]),
        }
    }

    /// Sends one text message to `connection`.
    pub fn say(&mut self, connection: &mut Connection, now: Instant, text: &str) {
        self.say_frame(connection, now, Kind::Text, text.as_bytes());
    }

    /// Sends one message to `connection`.
    pub fn say_frame(
        &mut self,
        connection: &mut Connection,
        now: Instant,
        kind: Kind,
        payload: &[u8],
    ) {
        let mut out = TransmitBuf::new();
        self.websocket
            .write_message(kind, &[Part::Slice(payload)], &mut out);
        deliver(&mut out, connection, now);
    }

    /// Begins to close.
    pub fn close(&mut self, connection: &mut Connection, now: Instant, code: u16) {
        let mut out = TransmitBuf::new();
        self.websocket.close(now, code, "");
        self.websocket.poll_transmit(&mut out);
        deliver(&mut out, connection, now);
    }

    /// Takes everything `connection` says now, answering its control frames.
    pub fn hear(&mut self, connection: &mut Connection, now: Instant) -> Vec<Said> {
        let mut said = Vec::new();
        let mut out = TransmitBuf::new();
        while let Some(transmit) = connection.poll_transmit(&mut out) {
            if transmit == Transmit::Shutdown {
                said.push(Said::Eof);
                break;
            }
            let mut bytes = BytesMut::from(&*out.copy_to_bytes(out.remaining()));
            connection.handle_transmitted(now);
            self.websocket.handle_input(now, &mut bytes);
            while let Some(event) = self.websocket.poll_event() {
                match event {
                    WebSocketEvent::Message(frame) => said.push(match frame.kind {
                        Kind::Text => Said::Text(String::from_utf8_lossy(&frame.bytes).into()),
                        Kind::Binary => Said::Binary(frame.bytes.to_vec()),
                    }),
                    WebSocketEvent::Pong(payload) => said.push(Said::Pong(payload.to_vec())),
                    WebSocketEvent::Closed(closed) => said.push(Said::Close(closed.code)),
                    _ => {}
                }
            }
            let mut answer = TransmitBuf::new();
            if self.websocket.poll_transmit(&mut answer) {
                deliver(&mut answer, connection, now);
            }
        }
        said
    }

    /// The texts among what `connection` says now.
    pub fn texts(&mut self, connection: &mut Connection, now: Instant) -> Vec<String> {
        self.hear(connection, now)
            .into_iter()
            .filter_map(|said| match said {
                Said::Text(text) => Some(text),
                _ => None,
            })
            .collect()
    }
}

fn deliver(out: &mut TransmitBuf, connection: &mut Connection, now: Instant) {
    let mut bytes = BytesMut::from(&*out.copy_to_bytes(out.remaining()));
    connection.handle_input(now, Input::Bytes(&mut bytes));
}
