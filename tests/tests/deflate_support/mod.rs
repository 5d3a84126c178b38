//! Two WebSockets that have agreed on permessage-deflate, and what travels between them.
#![allow(dead_code, missing_docs, unreachable_pub)]

use bytes::{Buf, BytesMut};
use sente_core::framing::Kind;
use sente_core::framing::upgrade::{ClientUpgrade, ServerUpgrade, UpgradeLimits, UpgradeResponse};
use sente_core::framing::websocket::{
    Deflate, DeflateConfig, Part, Role, WebSocket, WebSocketConfig, WebSocketEvent,
};
use sente_core::{Instant, TransmitBuf};

pub const NOW: Instant = Instant::EPOCH;

/// Compresses everything.
pub fn eager() -> DeflateConfig {
    DeflateConfig::default().threshold(0)
}

/// Refers to what was before, in both directions.
pub fn takeover() -> DeflateConfig {
    eager().context_takeover(true).peer_context_takeover(true)
}

/// What an upgrade comes to: the heads as they went over the wire, and what both sides made of them.
pub struct Upgraded {
    pub request: String,
    pub response: String,
    pub client: UpgradeResponse,
    pub server: Option<Deflate>,
}

pub fn text(out: &mut TransmitBuf) -> String {
    String::from_utf8(out.copy_to_bytes(out.remaining()).to_vec()).unwrap()
}

/// The value of the extension header in a head.
pub fn extension(head: &str) -> Option<&str> {
    head.lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "))
}

pub fn upgrade(client: Option<&DeflateConfig>, server: Option<&DeflateConfig>) -> Upgraded {
    let mut out = TransmitBuf::new();
    let mut dialing = ClientUpgrade::new("localhost", "/", &[], [1; 32]).unwrap();
    if let Some(config) = client {
        dialing = dialing.deflate(config);
    }
    dialing.poll_transmit(&mut out);
    let request = text(&mut out);
    let mut answering = ServerUpgrade::new(UpgradeLimits::default());
    answering.handle_input(&mut BytesMut::from(request.as_bytes()));
    let asked = answering.poll_request().unwrap().unwrap();
    let agreed = match server {
        Some(config) => answering
            .accept_deflate(&asked, &[], config, &mut out)
            .unwrap(),
        None => {
            answering.accept(&asked, &[], &mut out).unwrap();
            None
        }
    };
    let response = text(&mut out);
    dialing.handle_input(&mut BytesMut::from(response.as_bytes()));
    Upgraded {
        request,
        response,
        client: dialing.poll_response().unwrap().unwrap(),
        server: agreed,
    }
}

/// What both sides agree on.
pub fn agree(client: &DeflateConfig, server: &DeflateConfig) -> (Deflate, Deflate) {
    let upgraded = upgrade(Some(client), Some(server));
    (upgraded.client.deflate.unwrap(), upgraded.server.unwrap())
}

pub fn socket(role: Role, agreed: Deflate, limit: usize) -> WebSocket {
    let mut config = WebSocketConfig::default();
    config.max_frame_bytes = limit;
    config.max_message_bytes = limit;
    let mut socket = WebSocket::new(role, config, [2; 32]);
    socket.set_deflate(agreed);
    socket
}

/// A client and a server of these configurations, with a limit of 1 MiB.
pub fn pair(client: &DeflateConfig, server: &DeflateConfig) -> (WebSocket, WebSocket) {
    let (client, server) = agree(client, server);
    (
        socket(Role::Client, client, 1 << 20),
        socket(Role::Server, server, 1 << 20),
    )
}

/// The bytes of a message.
pub fn written(from: &mut WebSocket, kind: Kind, message: &[u8]) -> Vec<u8> {
    let mut out = TransmitBuf::new();
    assert!(from.write_message(kind, &[Part::Slice(message)], &mut out));
    out.copy_to_bytes(out.remaining()).to_vec()
}

/// What comes of `bytes`.
pub fn read(to: &mut WebSocket, bytes: &[u8]) -> Vec<WebSocketEvent> {
    to.handle_input(NOW, &mut BytesMut::from(bytes));
    std::iter::from_fn(|| to.poll_event()).collect()
}

/// All that was written.
pub fn text_bytes(out: &mut TransmitBuf) -> Vec<u8> {
    out.copy_to_bytes(out.remaining()).to_vec()
}
