//! Upgrades read in pieces.
#![allow(dead_code, missing_docs, unreachable_pub)]

use bytes::{Buf, BytesMut};
use sente_core::TransmitBuf;
use sente_core::framing::upgrade::{
    ClientUpgrade, ServerUpgrade, UpgradeError, UpgradeLimits, UpgradeRequest, UpgradeResponse,
    accept_key,
};

pub type Parsed<T> = (Option<Result<T, UpgradeError>>, Vec<u8>);

/// Everything that `out` holds.
pub fn sent(mut out: TransmitBuf) -> String {
    let bytes = out.copy_to_bytes(out.remaining());
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What a server makes of `pieces`, and what follows the head; without the end of the stream
/// unless nothing came out before.
pub fn serve<'a>(
    limits: UpgradeLimits,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Parsed<UpgradeRequest> {
    let mut server = ServerUpgrade::new(limits);
    let mut found = None;
    for piece in pieces {
        server.handle_input(&mut BytesMut::from(piece));
        found = found.or_else(|| server.poll_request());
    }
    if found.is_none() {
        server.handle_eof();
        found = server.poll_request();
    }
    assert_eq!(server.poll_request(), None, "a request comes once");
    let rest = match &found {
        Some(Ok(_)) => server.take_rest().to_vec(),
        _ => Vec::new(),
    };
    (found, rest)
}

/// The same for a client whose key is that of `seed`.
pub fn ask<'a>(
    client: &mut ClientUpgrade,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Parsed<UpgradeResponse> {
    let mut found = None;
    for piece in pieces {
        client.handle_input(&mut BytesMut::from(piece));
        found = found.or_else(|| client.poll_response());
    }
    if found.is_none() {
        client.handle_eof();
        found = client.poll_response();
    }
    assert_eq!(client.poll_response(), None, "a response comes once");
    let rest = match &found {
        Some(Ok(_)) => client.take_rest().to_vec(),
        _ => Vec::new(),
    };
    (found, rest)
}

pub fn every_way<T: PartialEq + std::fmt::Debug>(
    bytes: &[u8],
    read: impl Fn(Vec<&[u8]>) -> Parsed<T>,
) -> Parsed<T> {
    let whole = read(vec![bytes]);
    for cut in 0..=bytes.len() {
        let (left, right) = bytes.split_at(cut);
        assert_eq!(read(vec![left, right]), whole, "cut at {cut}");
    }
    assert_eq!(read(bytes.chunks(1).collect()), whole, "byte by byte");
    whole
}

pub fn request(text: &str) -> Result<UpgradeRequest, UpgradeError> {
    let read = |pieces: Vec<&[u8]>| serve(UpgradeLimits::default(), pieces);
    every_way(text.as_bytes(), read).0.unwrap()
}

pub fn response(text: &str) -> Result<UpgradeResponse, UpgradeError> {
    let read = |pieces: Vec<&[u8]>| ask(&mut client(&[]), pieces);
    every_way(text.as_bytes(), read).0.unwrap()
}

/// A client with the seed 0 and these headers, its request sent.
pub fn client(headers: &[(&str, &str)]) -> ClientUpgrade {
    let mut client = ClientUpgrade::new("host", "/", headers, [0; 32]).unwrap();
    assert!(client.poll_transmit(&mut TransmitBuf::new()));
    client
}

/// The key of `client`.
pub fn key() -> String {
    let mut out = TransmitBuf::new();
    let mut client = ClientUpgrade::new("host", "/", &[], [0; 32]).unwrap();
    client.poll_transmit(&mut out);
    let request = sent(out);
    let (_, key) = request.split_once("Sec-WebSocket-Key: ").unwrap();
    key.split_once("\r\n").unwrap().0.to_owned()
}

/// A good response to `client`, with `instead` in the place of the header line of that name.
pub fn accepted(instead: &[(&str, &str)]) -> String {
    let accept = accept_key(&key());
    let mut response = "HTTP/1.1 101 Switching Protocols\r\n".to_owned();
    let lines = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", &accept),
    ];
    for (name, value) in lines {
        if !instead.iter().any(|(other, _)| *other == name) {
            response += &format!("{name}: {value}\r\n");
        }
    }
    for (name, value) in instead {
        response += &format!("{name}: {value}\r\n");
    }
    response + "\r\n"
}

/// RFC 6455 section 1.2.
pub const RFC_REQUEST: &str = "GET /chat HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Origin: http://example.com\r\n\
    Sec-WebSocket-Protocol: chat, superchat\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";
