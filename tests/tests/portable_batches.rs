//! What a stock reader cannot take costs it the whole frame, so it leaves alone where a stock peer
//! may be listening.
#![allow(missing_docs)]

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use sente_core::packer::{Edn, Gzip, MsgPack, Packer, TransitJson};
use sente_core::{
    Accept, Carrier, Connection, ConnectionConfig, Dialect, Extensions, Instant, Limits,
    PackedEvent, Payload, Role,
};
use sente_tests::{RawPeer, Said, edn, event, messages};

const NOW: Instant = Instant::EPOCH;

fn server(packer: Arc<dyn Packer>, offered: Option<Extensions>) -> (Connection, RawPeer) {
    let config = ConnectionConfig::builder(Role::Server, Dialect::Sente, Carrier::WebSocket)
        .packer(packer)
        .build()
        .unwrap();
    let mut server = Connection::new(config, [3; 32], NOW);
    let mut accept = Accept::new("u");
    accept.offered = offered;
    server.accept(NOW, accept);
    let mut peer = RawPeer::new(Role::Client);
    peer.hear(&mut server, NOW);
    (server, peer)
}

fn sent(server: &mut Connection, peer: &mut RawPeer, events: &[&str]) -> Vec<String> {
    for text in events {
        server.send(NOW, event(text)).unwrap();
    }
    peer.texts(server, NOW)
}

#[test]
fn an_event_a_stock_reader_cannot_take_leaves_alone() {
    let (mut server, mut peer) = server(Arc::new(Edn), None);
    let frames = sent(
        &mut server,
        &mut peer,
        &[
            "[:a/b 1]",
            "[:a/b 2]",
            "[:a/c #my/tag 3]",
            "[:a/b 4]",
            "[:a/b #inst \"2026-01-01\"]",
        ],
    );
    assert_eq!(
        frames,
        [
            "[[[:a/b 1] [:a/b 2]] nil]",
            "[[[:a/c #my/tag 3]] nil]",
            "[[[:a/b 4] [:a/b #inst \"2026-01-01T00:00:00.000-00:00\"]] nil]",
        ]
    );
}

#[test]
fn it_leaves_alone_also_as_the_first_and_the_last_and_next_to_its_like() {
    let (mut server, mut peer) = server(Arc::new(Edn), None);
    let events = [
        "[:a/c #x 1]",
        "[:a/c #x 2]",
        "[:a/b 3]",
        "[:a/b 4]",
        "[:a/c #x 5]",
    ];
    let frames = sent(&mut server, &mut peer, &events);
    assert_eq!(
        frames,
        [
            "[[[:a/c #x 1]] nil]",
            "[[[:a/c #x 2]] nil]",
            "[[[:a/b 3] [:a/b 4]] nil]",
            "[[[:a/c #x 5]] nil]",
        ]
    );
}

#[test]
fn a_text_that_only_looks_like_a_tag_or_a_path_shares_a_frame() {
    let (mut server, mut peer) = server(Arc::new(Edn), None);
    let frames = sent(
        &mut server,
        &mut peer,
        &[
            "[:a/b \"#my/tag\"]",
            "[:a/b \"http://x/y/z\"]",
            "[:a/b #{:c/d :e/f}]",
            "[:a/b ##NaN]",
        ],
    );
    assert_eq!(frames.len(), 1, "{frames:?}");
}

#[test]
fn what_a_peer_sent_is_relayed_alone_where_it_has_to_be() {
    let (mut server, mut peer) = server(Arc::new(Edn), None);
    for text in [
        "[[:a/b 1] nil]",
        "[[:a/b #their/own {}] nil]",
        "[[:a/b :x/y/z] nil]",
    ] {
        peer.say(&mut server, NOW, text);
    }
    let received = messages(&mut server);
    let portable: Vec<bool> = received
        .iter()
        .map(|message| message.event.data.as_ref().unwrap().is_portable())
        .collect();
    assert_eq!(portable, [true, false, false]);
    server.send(NOW, event("[:a/b 0]")).unwrap();
    for message in received {
        server.send(NOW, message.event).unwrap();
    }
    let frames = peer.texts(&mut server, NOW);
    assert_eq!(
        frames,
        [
            "[[[:a/b 0] [:a/b 1]] nil]",
            "[[[:a/b #their/own {}]] nil]",
            "[[[:a/b :x/y/z]] nil]",
        ]
    );
}

#[test]
fn a_peer_of_this_engine_gets_everything_in_one_frame() {
    let offered = Some(Extensions::NONE.with_batch());
    let (mut server, mut peer) = server(Arc::new(Edn), offered);
    let frames = sent(
        &mut server,
        &mut peer,
        &["[:a/b 1]", "[:a/c #my/tag 3]", "[:a/b 4]"],
    );
    assert_eq!(frames, ["[[[:a/b 1] [:a/c #my/tag 3] [:a/b 4]] nil]"]);
}

#[test]
fn events_packed_for_many_and_sealed_frames_keep_to_it_too() {
    for packer in [Arc::new(Edn) as Arc<dyn Packer>, Arc::new(Gzip::new(Edn))] {
        let (mut server, mut peer) = server(packer.clone(), None);
        for text in ["[:a/b 1]", "[:a/c #my/tag 3]", "[:a/b 4]", "[:a/b 5]"] {
            let packed = PackedEvent::pack(&event(text), &*packer).unwrap();
            server.send_packed(NOW, &packed).unwrap();
        }
        let frames: Vec<String> = peer
            .hear(&mut server, NOW)
            .into_iter()
            .map(|said| match said {
                Said::Text(text) => text,
                Said::Binary(frame) => packer
                    .unpack_message(&Bytes::from(frame), &Limits::default())
                    .unwrap()
                    .to_string(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            frames,
            [
                "[[[:a/b 1]] nil]",
                "[[[:a/c #my/tag 3]] nil]",
                "[[[:a/b 4] [:a/b 5]] nil]"
            ]
        );
    }
}

#[test]
fn each_packer_says_what_the_stock_readers_of_its_format_take() {
    let says = |packer: &dyn Packer, text: &str| {
        let mut packed = Vec::new();
        packer.pack(&edn(text), &mut packed).unwrap();
        packer.is_portable(&packed)
    };
    for text in [
        "nil",
        "[:a/b {:x #uuid \"00000000-0000-0000-0000-000000000000\"}]",
        "[1/3 \\a]",
    ] {
        assert!(says(&Edn, text), "{text}");
        assert!(says(&MsgPack::default(), text), "{text}");
        assert!(says(&TransitJson::default(), text), "{text}");
    }
    assert!(!says(&Edn, "[:a/b #my/tag 1]"));
    // Transit and Sente's MessagePack hand over what they do not know.
    assert!(says(&TransitJson::default(), "[:a/b #my/tag 1]"));
    // 2^63 as MessagePack's uint64, which ClojureScript throws over.
    assert!(!MsgPack::default().is_portable(b"\xcf\x80\0\0\0\0\0\0\0"));
}

#[test]
fn a_payload_says_whether_it_is_portable_before_it_is_packed() {
    assert!(Payload::from(edn("{:a [1 2 #inst \"2026-01-01\"]}")).is_portable());
    assert!(!Payload::from(edn("{:a [1 2 #my/tag 3]}")).is_portable());
}

proptest! {
    /// The short cut never says of a text what the whole walk would not.
    #[test]
    fn the_short_cut_and_the_walk_agree(text in "[ab1:/#\\[\\]{} \",\\\\n;^']{0,24}") {
        let packed = Bytes::from(text.into_bytes());
        let mut walked = None;
        let read = Edn.walk(&packed, &Limits::default(), &mut |cursor| {
            walked = Some(cursor.skip()?.portable);
            Ok(())
        });
        if let (Ok(()), Some(portable)) = (read, walked) {
            prop_assert_eq!(Edn.is_portable(&packed), portable);
        }
    }
}
