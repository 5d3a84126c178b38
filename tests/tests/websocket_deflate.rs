//! permessage-deflate between two of ours, and against frames made by hand: RFC 7692's own examples,
//! its rules, and what a peer may not do with it.
#![allow(missing_docs)]

mod deflate_support;
mod websocket_support;

use bytes::{Bytes, BytesMut};
use deflate_support::*;
use flate2::{Compress, Compression, FlushCompress};
use proptest::prelude::*;
use sente_core::TransmitBuf;
use sente_core::framing::Kind;
use sente_core::framing::websocket::{
    DeflateConfig, Part, Role, Violation, WebSocket, WebSocketEvent,
};
use websocket_support::{
    BINARY, CONTINUATION, PING, Raw, TEXT, decode_from, encode_for, message, violation,
};

/// The first reserved bit, which marks a compressed message.
const RSV1: u8 = 4;

/// A server that inflates, to at most `limit`.
fn server(limit: usize) -> WebSocket {
    let (_, agreed) = agree(&takeover(), &takeover());
    socket(Role::Server, agreed, limit)
}

fn compressed(opcode: u8, payload: &[u8]) -> Raw {
    Raw::new(opcode, payload).reserved(RSV1)
}

/// Reads `frames` as from a client.
fn feed(server: &mut WebSocket, frames: &[Raw]) -> Vec<WebSocketEvent> {
    read(server, &encode_for(Role::Server, frames))
}

/// The payload of a compressed message, as another library makes it.
fn deflated(message: &[u8]) -> Vec<u8> {
    let mut state = Compress::new(Compression::default(), false);
    let mut out = Vec::with_capacity(message.len() + 100);
    state
        .compress_vec(message, &mut out, FlushCompress::Sync)
        .unwrap();
    out.strip_suffix(&[0, 0, 0xff, 0xff]).unwrap().to_vec()
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 9_u64;
    std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_be_bytes()[0]
    })
    .take(length)
    .collect()
}

mod sending {
    use super::*;

    #[test]
    fn a_message_becomes_one_frame_with_the_first_reserved_bit() {
        let (mut client, mut server) = pair(&eager(), &eager());
        let text = b"[:a/b {:c 1}] ".repeat(100);
        let bytes = written(&mut client, Kind::Text, &text);
        let frames = decode_from(Role::Client, &bytes);
        assert_eq!((frames.len(), frames[0].rsv), (1, RSV1));
        assert_eq!(frames[0].payload, deflated(&text));
        assert_eq!(read(&mut server, &bytes), [message(Kind::Text, &text)]);
    }

    #[test]
    fn a_message_below_the_threshold_is_sent_as_it_is() {
        let config = DeflateConfig::default();
        let (mut client, mut server) = pair(&config, &config);
        for (length, rsv) in [(0, 0), (1023, 0), (1024, RSV1)] {
            let bytes = written(&mut client, Kind::Binary, &vec![b'x'; length]);
            assert_eq!(decode_from(Role::Client, &bytes)[0].rsv, rsv);
            let got = read(&mut server, &bytes);
            assert_eq!(got, [message(Kind::Binary, vec![b'x'; length])]);
        }
    }

    #[test]
    fn what_would_not_become_shorter_is_sent_as_it_is() {
        let (mut client, mut server) = pair(&eager(), &eager());
        let (noise, dull) = (noise(5000), vec![b'x'; 5000]);
        for (part, rsv) in [(&dull, RSV1), (&noise, 0), (&dull, RSV1)] {
            let bytes = written(&mut client, Kind::Binary, part);
            assert_eq!(decode_from(Role::Client, &bytes)[0].rsv, rsv);
            assert_eq!(read(&mut server, &bytes), [message(Kind::Binary, part)]);
        }
    }

    #[test]
    fn with_context_takeover_what_does_not_compress_is_a_little_longer_and_known_then() {
        let (mut client, mut server) = pair(&takeover(), &takeover());
        for length in [1, 100, 5000, 25_000] {
            let noise = noise(length);
            let mut sizes = Vec::new();
            for _ in 0..2 {
                let bytes = written(&mut client, Kind::Binary, &noise);
                sizes.push(decode_from(Role::Client, &bytes)[0].payload.len());
                assert_eq!(read(&mut server, &bytes), [message(Kind::Binary, &noise)]);
            }
            assert!(sizes[0] <= length + length / 1024 + 16, "{sizes:?}");
            assert!(sizes[1] <= length / 10 + 16, "{sizes:?}");
        }
    }

    #[test]
    fn what_keeps_to_the_limit_of_frames_does_so_when_it_is_compressed() {
        let (agreed, other) = agree(&takeover(), &takeover());
        let mut client = socket(Role::Client, agreed, 1000);
        let mut server = socket(Role::Server, other, 1000);
        for (length, rsv) in [(1000, 0), (900, RSV1), (1000, RSV1), (1000, RSV1)] {
            let noise = noise(length);
            let bytes = written(&mut client, Kind::Binary, &noise);
            assert_eq!(decode_from(Role::Client, &bytes)[0].rsv, rsv, "{length}");
            assert_eq!(read(&mut server, &bytes), [message(Kind::Binary, &noise)]);
        }
    }

    #[test]
    fn with_context_takeover_a_message_like_the_last_one_is_a_few_bytes() {
        let text = b"[[:chat/message {:from \"ada\", :text \"hello there\", :n 1}] nil]";
        let (mut client, mut server) = pair(&takeover(), &takeover());
        let mut sizes = Vec::new();
        for _ in 0..3 {
            let bytes = written(&mut client, Kind::Text, text);
            sizes.push(decode_from(Role::Client, &bytes)[0].payload.len());
            assert_eq!(read(&mut server, &bytes), [message(Kind::Text, text)]);
        }
        assert!(sizes[0] > 40 && sizes[1] < 10 && sizes[2] < 10, "{sizes:?}");
    }

    #[test]
    fn a_message_in_parts_is_compressed_as_one() {
        let (mut client, mut server) = pair(&eager(), &eager());
        let shared = Bytes::from(vec![b'x'; 10_000]);
        let mut out = TransmitBuf::new();
        let parts = [
            Part::Slice(b"["),
            Part::Shared(&shared),
            Part::Slice(b""),
            Part::Slice(b"]"),
        ];
        assert!(client.write_message(Kind::Text, &parts, &mut out));
        let whole = [b"[", &shared[..], b"]"].concat();
        let bytes = text_bytes(&mut out);
        assert_eq!(read(&mut server, &bytes), [message(Kind::Text, whole)]);
    }

    #[test]
    fn pings_and_closes_are_never_compressed() {
        let (mut client, mut server) = pair(&eager(), &eager());
        let mut out = TransmitBuf::new();
        assert!(client.write_ping(&[b'x'; 125], &mut out));
        client.close(NOW, 1000, &"x".repeat(100));
        assert!(client.poll_transmit(&mut out));
        let bytes = text_bytes(&mut out);
        let frames = decode_from(Role::Client, &bytes);
        assert!(frames.iter().all(|frame| frame.rsv == 0));
        assert_eq!(read(&mut server, &bytes).len(), 2);
    }

    #[test]
    fn each_window_size_and_level_is_read_again() {
        let words = (0..20_000)
            .map(|n| format!(" {}", n % 4000))
            .collect::<String>();
        for bits in 9..=15 {
            for level in [1, 6, 9] {
                let config = takeover().window_bits(bits).level(level);
                let (mut client, mut server) = pair(&config, &config);
                for _ in 0..2 {
                    let bytes = written(&mut client, Kind::Text, words.as_bytes());
                    assert!(bytes.len() < words.len());
                    let got = read(&mut server, &bytes);
                    assert_eq!(got, [message(Kind::Text, &words)]);
                }
            }
        }
    }

    #[test]
    fn configurations_made_of_one_another_keep_to_their_own_level_and_window() {
        let words = (0..3000).map(|n| format!(" {}", n * n)).collect::<String>();
        let size = |config: &DeflateConfig| {
            let (mut client, _) = pair(config, config);
            let size = written(&mut client, Kind::Text, words.as_bytes()).len();
            // Its state is free again, for whoever comes next.
            assert_eq!(
                written(&mut client, Kind::Text, words.as_bytes()).len(),
                size
            );
            size
        };
        let nine = eager().level(9);
        let one = nine.clone().level(1);
        let small = nine.clone().window_bits(9);
        let sizes = [&nine, &one, &small, &nine].map(size);
        let alone = [9, 1].map(|level| size(&eager().level(level)));
        assert_eq!(
            [sizes[0], sizes[1], sizes[3]],
            [alone[0], alone[1], alone[0]]
        );
        assert!(sizes[0] != sizes[1] && sizes[0] != sizes[2], "{sizes:?}");
    }

    #[test]
    fn a_state_that_was_used_before_compresses_as_a_new_one() {
        let config = eager();
        let (mut first, _) = pair(&config, &config);
        let (mut second, _) = pair(&config, &config);
        let (mut other, _) = pair(&eager(), &eager());
        let payload = |socket: &mut WebSocket, text: &[u8]| {
            decode_from(Role::Client, &written(socket, Kind::Text, text))[0]
                .payload
                .clone()
        };
        for text in [&b"hello hello hello hello"[..], b"hello there, hello there"] {
            let expected = payload(&mut other, text);
            assert_eq!(payload(&mut first, text), expected);
            assert_eq!(payload(&mut second, text), expected);
        }
    }
}

mod reading {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        // RFC 7692 section 7.2.3: one frame, two fragments, a message again with and without
        // context takeover, a block that is not compressed, one that is the last, and two blocks.
        let hello: &[u8] = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        let mut server = server(100);
        let frames = [
            compressed(TEXT, hello),
            compressed(TEXT, &hello[..3]).unfinished(),
            Raw::new(CONTINUATION, &hello[3..]),
            compressed(TEXT, &[0xf2, 0x00, 0x11, 0x00, 0x00]),
            compressed(
                TEXT,
                &[
                    0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00,
                ],
            ),
            compressed(TEXT, &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00]),
            compressed(
                TEXT,
                &[
                    0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
                ],
            ),
        ];
        assert_eq!(
            feed(&mut server, &frames),
            [(); 6].map(|()| message(Kind::Text, "Hello"))
        );
    }

    #[test]
    fn an_empty_message_may_be_compressed_or_have_nothing_at_all() {
        let mut server = server(100);
        let frames = [
            compressed(TEXT, &[0]),
            compressed(TEXT, &[]),
            compressed(BINARY, &[]).unfinished(),
            Raw::new(CONTINUATION, []),
            compressed(TEXT, &deflated(b"Hello")),
        ];
        assert_eq!(
            feed(&mut server, &frames),
            [
                message(Kind::Text, ""),
                message(Kind::Text, ""),
                message(Kind::Binary, ""),
                message(Kind::Text, "Hello"),
            ]
        );
    }

    #[test]
    fn messages_may_be_compressed_or_not_in_any_order() {
        let mut server = server(100);
        let frames = [
            Raw::text("one"),
            compressed(TEXT, &deflated(b"two")),
            Raw::text("three").unfinished(),
            Raw::new(PING, "p"),
            Raw::new(CONTINUATION, "!"),
            compressed(TEXT, &deflated(b"four")[..2]).unfinished(),
            Raw::new(PING, "q"),
            Raw::new(CONTINUATION, &deflated(b"four")[2..]),
        ];
        assert_eq!(
            feed(&mut server, &frames),
            [
                message(Kind::Text, "one"),
                message(Kind::Text, "two"),
                WebSocketEvent::Ping("p".into()),
                message(Kind::Text, "three!"),
                WebSocketEvent::Ping("q".into()),
                message(Kind::Text, "four"),
            ]
        );
    }

    #[test]
    fn the_bit_is_refused_where_it_has_no_meaning() {
        let bits = |events: &[WebSocketEvent]| violation(events);
        let payload = deflated(b"Hello");
        for frames in [
            // On a continuation, on a control frame, and beside another bit.
            vec![
                compressed(TEXT, &payload).unfinished(),
                compressed(CONTINUATION, &payload),
            ],
            vec![compressed(PING, b"")],
            vec![Raw::new(TEXT, &payload[..]).reserved(RSV1 | 1)],
            vec![Raw::new(TEXT, &payload[..]).reserved(2)],
        ] {
            let mut server = server(100);
            let events = feed(&mut server, &frames);
            assert!(
                matches!(bits(&events), Some(Violation::ReservedBits(_))),
                "{events:?}"
            );
        }
        // And everywhere, where nothing was agreed on.
        let config = sente_core::framing::websocket::WebSocketConfig::default();
        let mut plain = WebSocket::new(Role::Server, config, [1; 32]);
        let events = feed(&mut plain, &[compressed(TEXT, &payload)]);
        assert_eq!(bits(&events), Some(Violation::ReservedBits(RSV1)));
    }

    #[test]
    fn what_is_no_deflate_stream_ends_the_connection_with_1007() {
        let mut server = server(100);
        let events = feed(&mut server, &[compressed(TEXT, &[0xff, 0xff, 0xff])]);
        assert_eq!(violation(&events), Some(Violation::BadDeflate));
        assert_eq!(close_code(&mut server), 1007);
        // A reference to what was before, where nothing was.
        let mut server = self::server(100);
        let events = feed(
            &mut server,
            &[compressed(TEXT, &[0xf2, 0x00, 0x11, 0x00, 0x00])],
        );
        assert_eq!(violation(&events), Some(Violation::BadDeflate));
    }

    #[test]
    fn compressed_text_must_be_utf8_at_the_first_byte_that_is_not() {
        let mut server = server(100);
        let events = feed(&mut server, &[compressed(TEXT, &deflated(b"ab\xff"))]);
        assert_eq!(violation(&events), Some(Violation::InvalidUtf8 { at: 2 }));
        let mut server = self::server(100);
        let cut = "aé".as_bytes();
        let events = feed(&mut server, &[compressed(TEXT, &deflated(&cut[..2]))]);
        assert_eq!(violation(&events), Some(Violation::InvalidUtf8 { at: 1 }));
        let mut server = self::server(100);
        let events = feed(&mut server, &[compressed(BINARY, &deflated(b"ab\xff"))]);
        assert_eq!(events, [message(Kind::Binary, b"ab\xff")]);
    }

    fn close_code(socket: &mut WebSocket) -> u16 {
        let mut out = TransmitBuf::new();
        assert!(socket.poll_transmit(&mut out));
        let frames = decode_from(Role::Server, &text_bytes(&mut out));
        u16::from_be_bytes([frames[0].payload[0], frames[0].payload[1]])
    }

    #[test]
    fn a_message_of_exactly_the_limit_is_read_and_one_more_byte_is_too_much() {
        for length in [10, 4095, 4096, 4097, 100_000] {
            let payload = deflated(&vec![b'x'; length]);
            let mut fits = server(length);
            let events = feed(&mut fits, &[compressed(TEXT, &payload)]);
            assert_eq!(events, [message(Kind::Text, vec![b'x'; length])]);
            let mut too_small = server(length - 1);
            let events = feed(&mut too_small, &[compressed(TEXT, &payload)]);
            let limit = length - 1;
            assert_eq!(
                violation(&events),
                Some(Violation::InflatedTooLong { limit })
            );
            assert_eq!(close_code(&mut too_small), 1009);
        }
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit_in_one_frame_and_in_many() {
        let bomb = deflated(&vec![0; 32 << 20]);
        let mut whole = server(100_000);
        let events = feed(&mut whole, &[compressed(BINARY, &bomb)]);
        let limit = 100_000;
        assert_eq!(
            violation(&events),
            Some(Violation::InflatedTooLong { limit })
        );

        let mut pieces = server(100_000);
        let mut frames: Vec<Raw> = bomb
            .chunks(10)
            .map(|chunk| Raw::new(CONTINUATION, chunk).unfinished())
            .collect();
        frames[0] = compressed(BINARY, &frames[0].payload).unfinished();
        let mut fed = 0;
        for frame in &frames {
            fed += 1;
            let events = feed(&mut pieces, std::slice::from_ref(frame));
            assert!(pieces.buffered() <= 100_000, "{}", pieces.buffered());
            if !events.is_empty() {
                assert_eq!(
                    violation(&events),
                    Some(Violation::InflatedTooLong { limit })
                );
                break;
            }
        }
        assert!(fed < frames.len() / 10, "{fed} of {}", frames.len());
    }

    #[test]
    fn what_is_compressed_may_be_no_longer_than_the_limit_either() {
        let mut server = server(100);
        let fragment = deflated(&noise(90));
        let mut frames = vec![compressed(BINARY, &fragment[..60]).unfinished()];
        frames.push(Raw::new(CONTINUATION, vec![0; 41]));
        let events = feed(&mut server, &frames);
        assert_eq!(
            violation(&events),
            Some(Violation::MessageTooLong {
                length: 101,
                limit: 100
            })
        );
    }

    #[test]
    fn a_message_holds_little_more_than_itself() {
        let mut server = server(1 << 20);
        for length in [1000, 100_000, 600_000] {
            let events = feed(
                &mut server,
                &[compressed(BINARY, &deflated(&vec![7; length]))],
            );
            let Some(WebSocketEvent::Message(frame)) = events.into_iter().next() else {
                panic!("a message");
            };
            let held = frame.bytes.try_into_mut().unwrap().capacity();
            assert!(held <= length + length / 4, "{held} for {length}");
        }
    }
}

mod any {
    use super::*;

    fn config() -> impl Strategy<Value = DeflateConfig> {
        (any::<[bool; 2]>(), 9_u8..=15, 1_u8..=9, 0_usize..50).prop_map(
            |([ours, theirs], bits, level, threshold)| {
                DeflateConfig::default()
                    .context_takeover(ours)
                    .peer_context_takeover(theirs)
                    .window_bits(bits)
                    .level(level)
                    .threshold(threshold)
            },
        )
    }

    fn message_bytes() -> impl Strategy<Value = Vec<u8>> {
        let piece = proptest::collection::vec(any::<u8>(), 0..30);
        let pieces = proptest::collection::vec((piece, 1_usize..20), 0..6);
        pieces.prop_map(|pieces| {
            pieces
                .iter()
                .flat_map(|(piece, times)| piece.repeat(*times))
                .collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn messages_arrive_as_they_were_sent_however_the_bytes_are_split(
            client in config(),
            server in config(),
            messages in proptest::collection::vec((any::<bool>(), message_bytes()), 1..6),
            chunk in 1_usize..200,
        ) {
            let (mut client, mut server) = pair(&client, &server);
            let mut up = Vec::new();
            let mut down = Vec::new();
            let (mut sent_up, mut sent_down) = (Vec::new(), Vec::new());
            for (is_up, bytes) in &messages {
                let event = message(Kind::Binary, bytes);
                if *is_up {
                    up.extend(written(&mut client, Kind::Binary, bytes));
                    sent_up.push(event);
                } else {
                    down.extend(written(&mut server, Kind::Binary, bytes));
                    sent_down.push(event);
                }
            }
            let mut got_up = Vec::new();
            for part in up.chunks(chunk) {
                got_up.extend(read(&mut server, part));
            }
            let mut got_down = Vec::new();
            for part in down.chunks(chunk) {
                got_down.extend(read(&mut client, part));
            }
            prop_assert_eq!(got_up, sent_up);
            prop_assert_eq!(got_down, sent_down);
        }

        #[test]
        fn a_compressed_message_in_any_fragments_is_one_message(
            bytes in message_bytes(),
            cuts in proptest::collection::vec(1_usize..20, 0..8),
        ) {
            let payload = deflated(&bytes);
            let mut rest = &payload[..];
            let mut frames = Vec::new();
            for cut in cuts {
                let (piece, behind) = rest.split_at(cut.min(rest.len()));
                frames.push(Raw::new(CONTINUATION, piece).unfinished());
                rest = behind;
            }
            frames.push(Raw::new(CONTINUATION, rest));
            frames[0].opcode = BINARY;
            frames[0].rsv = RSV1;
            let mut server = server(1 << 20);
            prop_assert_eq!(feed(&mut server, &frames), [message(Kind::Binary, bytes)]);
        }

        #[test]
        fn no_bytes_inflate_to_more_than_the_limit(
            payload in proptest::collection::vec(any::<u8>(), 0..60),
            cut in 0_usize..60,
            limit in 60_usize..200,
        ) {
            let mut server = server(limit);
            let (first, second) = payload.split_at(cut.min(payload.len()));
            let frames = [
                compressed(BINARY, first).unfinished(),
                Raw::new(CONTINUATION, second),
            ];
            let bytes = encode_for(Role::Server, &frames);
            server.handle_input(NOW, &mut BytesMut::from(&bytes[..]));
            while let Some(event) = server.poll_event() {
                if let WebSocketEvent::Message(frame) = event {
                    prop_assert!(frame.bytes.len() <= limit);
                }
            }
        }
    }
}
