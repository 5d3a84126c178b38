//! Sente's gzip wrapper against what browsers have: `pako`, and the platform's own streams.
#![allow(missing_docs)]

mod peer_script;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use peer_script::Script;
use sente_core::Limits;
use sente_core::packer::{Edn, Gzip, Packer};

/// Messages that compress well, hardly and not at all.
fn messages() -> Vec<Vec<u8>> {
    let words: String = (0..20_000).map(|n| format!("[:a/b {}] ", n * n)).collect();
    let noise = (0..50_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]);
    vec![
        b"[[:chat/message {:text \"gr\xc3\xbc\xc3\x9fe\"}] nil]".repeat(40),
        words.into_bytes(),
        vec![b'x'; 1_000_000],
        noise.collect(),
    ]
}

async fn ask(peer: &mut Script, verb: &str, bytes: &[u8]) -> Vec<u8> {
    peer.say(&format!("{verb} {}", STANDARD.encode(bytes)))
        .await;
    let answer = peer.hear().await;
    STANDARD
        .decode(&answer)
        .unwrap_or_else(|_| panic!("{verb}: {answer}"))
}

#[tokio::test]
async fn pako_and_decompression_streams_read_what_we_compress() {
    let mut peer = Script::start("gzip", "mjs", &[]);
    let mut compressed = 0;
    for message in messages() {
        for level in [1, 6, 9] {
            let mut frame = Vec::new();
            let gzip = Gzip::new(Edn).level(level);
            gzip.seal(&message, &mut frame).unwrap();
            if frame[0] == 0 {
                assert_eq!(frame[1..], message);
                continue;
            }
            compressed += 1;
            for verb in ["pako-ungzip", "stream-ungzip"] {
                assert_eq!(ask(&mut peer, verb, &frame[1..]).await, message, "{verb}");
            }
        }
    }
    assert!(compressed >= 9, "{compressed}");
}

#[tokio::test]
async fn we_read_what_pako_and_compression_streams_write() {
    let mut peer = Script::start("gzip", "mjs", &[]);
    let gzip = Gzip::new(Edn);
    for message in messages().into_iter().chain([Vec::new(), b"nil".to_vec()]) {
        for verb in ["pako-gzip", "stream-gzip"] {
            let stream = ask(&mut peer, verb, &message).await;
            let frame = Bytes::from([&[1], &stream[..]].concat());
            let opened = gzip.open(&frame, &Limits::default()).unwrap();
            assert_eq!(opened, message, "{verb}");
        }
    }
}
