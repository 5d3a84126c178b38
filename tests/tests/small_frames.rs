//! Frames for peers that lose large ones: sente-lite's Babashka client loses what is above 16 KiB, and
//! whatever is in fragments (`sente-lite.md` §8).
#![allow(missing_docs)]

use bytes::Buf;
use proptest::prelude::*;
use sente_core::{
    Accept, BABASHKA_FRAME_BYTES, Carrier, Connection, ConnectionConfig, ConnectionEvent, Dialect,
    Event, Extensions, Instant, Role, TransmitBuf,
};
use sente_tests::{Pair, edn, event, events, id, messages, seconds};

const NOW: Instant = Instant::EPOCH;

fn server(dialect: Dialect, max: Option<usize>) -> Connection {
    let config = ConnectionConfig::builder(Role::Server, dialect, Carrier::WebSocket)
        .small_frames(max)
        .build()
        .unwrap();
    let mut server = Connection::new(config, [1; 32], NOW);
    let mut accept = Accept::new("u");
    // Ours batch in sente-lite's dialect, too.
    accept.offered = (dialect == Dialect::SenteLite).then_some(Extensions::NONE.with_batch());
    server.accept(NOW, accept);
    frames(&mut server);
    events(&mut server);
    server
}

fn sized(bytes: usize) -> Event {
    Event::new(id("a/b"), edn(&format!("{:?}", "x".repeat(bytes))))
}

/// The payloads of the WebSocket frames that `server` writes, each of them a whole text message.
fn frames(server: &mut Connection) -> Vec<Vec<u8>> {
    let mut out = TransmitBuf::new();
    let mut written = Vec::new();
    while server.poll_transmit(&mut out).is_some() {
        written.extend_from_slice(&out.copy_to_bytes(out.remaining()));
        server.handle_transmitted(NOW);
    }
    let mut rest = &written[..];
    let mut frames = Vec::new();
    while !rest.is_empty() {
        assert_eq!(rest.get_u8(), 0x81, "final, and text");
        let len = match rest.get_u8() {
            126 => usize::from(rest.get_u16()),
            127 => usize::try_from(rest.get_u64()).unwrap(),
            len => usize::from(len),
        };
        frames.push(rest.copy_to_bytes(len).to_vec());
    }
    frames
}

fn reported(server: &mut Connection) -> Vec<usize> {
    events(server)
        .into_iter()
        .filter_map(|event| match event {
            ConnectionEvent::LargeFrame {
                size,
                received: false,
            } => Some(size),
            _ => None,
        })
        .collect()
}

#[test]
fn a_batch_stays_under_the_size_asked_for() {
    for dialect in [Dialect::Sente, Dialect::SenteLite] {
        let sizes = |max| {
            let mut server = server(dialect, max);
            for _ in 0..20 {
                server.send(NOW, sized(3_000)).unwrap();
            }
            assert!(reported(&mut server).is_empty());
            frames(&mut server).iter().map(Vec::len).collect::<Vec<_>>()
        };
        let small = sizes(Some(BABASHKA_FRAME_BYTES));
        assert_eq!(small.len(), 4, "five in each");
        assert!(small.iter().all(|size| *size <= BABASHKA_FRAME_BYTES));
        assert_eq!(sizes(None).len(), 1, "{dialect:?}");
    }
}

#[test]
fn an_event_that_is_larger_alone_leaves_whole_and_is_reported() {
    for dialect in [Dialect::Sente, Dialect::SenteLite] {
        let mut server = server(dialect, Some(BABASHKA_FRAME_BYTES));
        server.send(NOW, sized(10)).unwrap();
        server.send(NOW, sized(20_000)).unwrap();
        server.send(NOW, sized(10)).unwrap();
        let [size] = reported(&mut server)[..] else {
            panic!("one is reported");
        };
        assert!(size > 20_000);
        let frames: Vec<usize> = frames(&mut server).iter().map(Vec::len).collect();
        assert_eq!(frames.len(), 3, "{frames:?}");
        assert_eq!(frames[1], size, "{dialect:?}");
    }
}

#[test]
fn an_event_of_just_the_size_is_not_reported() {
    let mut server = server(Dialect::SenteLite, Some(1_000));
    let around = "[:a/b \"\"]".len();
    server.send(NOW, sized(1_000 - around)).unwrap();
    assert!(reported(&mut server).is_empty());
    server.send(NOW, sized(1_001 - around)).unwrap();
    assert_eq!(reported(&mut server), [1_001]);
}

#[test]
fn a_large_reply_is_reported_too() {
    let config = |role, max| {
        ConnectionConfig::builder(role, Dialect::Sente, Carrier::WebSocket)
            .small_frames(max)
            .build()
            .unwrap()
    };
    let mut pair = Pair::with(
        config(Role::Client, None),
        config(Role::Server, Some(1_000)),
    );
    pair.client
        .call(pair.now, event("[:ask/this]"), seconds(1))
        .unwrap();
    pair.drive();
    let token = messages(&mut pair.server).remove(0).reply.unwrap();
    let reply = edn(&format!("{:?}", "x".repeat(2_000)));
    pair.server.reply(pair.now, token, reply).unwrap();
    assert_eq!(reported(&mut pair.server).len(), 1);
}

proptest! {
    /// Whatever is sent, no frame of several events is too large, and nothing is lost or torn.
    #[test]
    fn frames_are_small_whatever_is_sent(
        max in 100..2_000usize,
        sizes in proptest::collection::vec(0..3_000usize, 1..60),
    ) {
        let mut server = server(Dialect::Sente, Some(max));
        for size in &sizes {
            server.send(NOW, sized(*size)).unwrap();
        }
        let large = reported(&mut server);
        let mut got = Vec::new();
        for frame in frames(&mut server) {
            let frame_len = frame.len();
            let batch = edn(std::str::from_utf8(&frame).unwrap());
            let batch = batch.as_vector().unwrap()[0].as_vector().unwrap().to_vec();
            prop_assert!(frame_len <= max || (batch.len() == 1 && large.contains(&frame_len)));
            got.extend(batch.iter().map(|event| event.as_vector().unwrap()[1].as_str().unwrap().len()));
        }
        prop_assert_eq!(got, sizes);
    }
}
