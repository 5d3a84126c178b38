//! Whatever a peer sends, in whatever pieces: no panic, the same events, bounded memory.
#![allow(missing_docs)]

use bytes::BytesMut;
use proptest::prelude::*;
use sente_core::{
    Accept, Carrier, Connection, ConnectionEvent, Dialect, Input, Instant, Role, TransmitBuf,
};
use sente_tests::{config, events};

const LINKS: [(Role, Dialect, Carrier); 8] = [
    (Role::Server, Dialect::Sente, Carrier::WebSocket),
    (Role::Client, Dialect::Sente, Carrier::WebSocket),
    (Role::Server, Dialect::SenteLite, Carrier::WebSocket),
    (Role::Client, Dialect::SenteLite, Carrier::WebSocket),
    (Role::Server, Dialect::SenteLite, Carrier::Lines),
    (Role::Client, Dialect::SenteLite, Carrier::Lines),
    (Role::Server, Dialect::Sente, Carrier::Lines),
    (Role::Server, Dialect::SenteLite, Carrier::LengthPrefixed),
];

/// Pieces of frames that are nearly right.
fn fragments() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        "#{",
        " ",
        "\n",
        "\"cb\"",
        "nil",
        "false",
        ":a/b",
        ":plain",
        ":chsk/handshake",
        ":chsk/ws-ping",
        ":chsk/ws-pong",
        ":chsk/reply",
        ":chsk/recv",
        ":batch/events",
        ":sente-lite/hello",
        ":cb-uuid",
        ":data",
        ":client-id",
        ":dialect",
        ":sente",
        "1",
        "#inst",
        "#foo",
        "\"a\\nb\"",
        "+",
        "\\newline",
        "#_",
        "^",
        "é",
        "[:a/b 1]",
        "[[:a/b 1] \"x\"]",
        "[[[:a/b 1] [:c/d]] nil]",
        "[:chsk/ws-ping nil]",
        "[:chsk/handshake [\"u\" nil nil true]]",
        "[[:chsk/handshake [\"u\" nil nil]] nil]",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.join(" "))
}

fn open(role: Role, dialect: Dialect, carrier: Carrier) -> Connection {
    let mut connection = Connection::new(config(role, dialect, carrier), [1; 32], Instant::EPOCH);
    connection.accept(Instant::EPOCH, Accept::new("u"));
    connection
}

fn feed(connection: &mut Connection, bytes: &[u8], pieces: usize) -> Vec<String> {
    let mut told = Vec::new();
    for part in bytes.chunks(bytes.len().div_ceil(pieces.max(1)).max(1)) {
        connection.handle_input(Instant::EPOCH, Input::Bytes(&mut BytesMut::from(part)));
    }
    connection.handle_input(Instant::EPOCH, Input::Eof);
    while let Some(event) = connection.poll_event() {
        told.push(match event {
            ConnectionEvent::Message(message) => format!("{:?}", message.event),
            ConnectionEvent::BadEvent(bad) => format!("bad {}", bad.reason),
            other => format!("{other:?}"),
        });
    }
    let mut out = TransmitBuf::new();
    while connection.poll_transmit(&mut out).is_some() {
        out.clear();
        connection.handle_transmitted(Instant::EPOCH);
    }
    told
}

fn framed(carrier: Carrier, role: Role, texts: &[String]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for text in texts {
        let text = text.replace('\n', " ");
        match carrier {
            Carrier::Lines => {
                bytes.extend_from_slice(text.as_bytes());
                bytes.push(b'\n');
            }
            Carrier::LengthPrefixed => {
                bytes.push(0);
                bytes.extend_from_slice(&u32::try_from(text.len()).unwrap().to_be_bytes());
                bytes.extend_from_slice(text.as_bytes());
            }
            _ => {
                // Masked with zeros where the peer is a client.
                let mask = if role == Role::Server { 0x80 } else { 0 };
                bytes.push(0x81);
                bytes.push(mask | 126);
                bytes.extend_from_slice(&u16::try_from(text.len().max(126)).unwrap().to_be_bytes());
                if mask != 0 {
                    bytes.extend_from_slice(&[0; 4]);
                }
                bytes.extend_from_slice(text.as_bytes());
                bytes.extend(std::iter::repeat_n(
                    b' ',
                    126usize.saturating_sub(text.len()),
                ));
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), link in 0..LINKS.len()) {
        let (role, dialect, carrier) = LINKS[link];
        feed(&mut open(role, dialect, carrier), &bytes, 3);
    }

    #[test]
    fn any_frames_in_any_pieces_tell_the_same(
        texts in prop::collection::vec(fragments(), 1..8),
        link in 0..LINKS.len(),
        pieces in 1..60usize,
    ) {
        let (role, dialect, carrier) = LINKS[link];
        let bytes = framed(carrier, role, &texts);
        let whole = feed(&mut open(role, dialect, carrier), &bytes, 1);
        let split = feed(&mut open(role, dialect, carrier), &bytes, pieces);
        prop_assert_eq!(&whole, &split);
        let one = feed(&mut open(role, dialect, carrier), &bytes, bytes.len());
        prop_assert_eq!(&whole, &one);
    }
}

#[test]
fn a_million_brackets_is_an_error_on_a_small_stack() {
    let thread = std::thread::Builder::new().stack_size(2 * 1024 * 1024);
    let handle = thread
        .spawn(|| {
            let mut server = open(Role::Server, Dialect::SenteLite, Carrier::Lines);
            events(&mut server);
            let mut line = "[".repeat(1_000_000);
            line.push('\n');
            let mut bytes = BytesMut::from(line.as_bytes());
            server.handle_input(Instant::EPOCH, Input::Bytes(&mut bytes));
            let told = events(&mut server);
            assert!(
                told.iter()
                    .any(|event| matches!(event, ConnectionEvent::BadEvent(_))),
                "{told:?}"
            );
        })
        .unwrap();
    handle.join().unwrap();
}
