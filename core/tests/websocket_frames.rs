//! Frames in, messages out; messages in, frames out: RFC 6455 section 5.
#![allow(missing_docs)]

mod websocket_support;

use bytes::{Buf, Bytes};
use proptest::prelude::*;
use sente_core::TransmitBuf;
use sente_core::framing::Kind;
use sente_core::framing::websocket::{
    Part, Role, Violation, WebSocket, WebSocketConfig, WebSocketEvent, server_header,
};
use websocket_support::*;

/// What `role` makes of `bytes`, having seen that every cut in two and every byte by itself give
/// the same.
fn read_every_way(role: Role, bytes: &[u8]) -> Vec<WebSocketEvent> {
    let read = |pieces: &[&[u8]]| {
        let mut driven = Driven::new(role);
        for piece in pieces {
            driven.feed(piece);
        }
        driven.eof();
        assert_eq!(driven.socket.buffered(), 0);
        driven.events
    };
    let whole = read(&[bytes]);
    for cut in 0..=bytes.len() {
        let (left, right) = bytes.split_at(cut);
        assert_eq!(read(&[left, right]), whole, "cut at {cut}");
    }
    let octets: Vec<_> = bytes.chunks(1).collect();
    assert_eq!(read(&octets), whole, "byte by byte");
    whole
}

/// `read_every_way` without the end, which is not clean.
fn events_of(role: Role, bytes: &[u8]) -> Vec<WebSocketEvent> {
    let mut events = read_every_way(role, bytes);
    assert_eq!(violation(&events), Some(Violation::EndedWithoutClose));
    events.pop();
    events
}

mod rfc_6455_section_5_7 {
    use super::*;

    #[test]
    fn an_unmasked_text_message_is_read_by_a_client() {
        let events = events_of(Role::Client, b"\x81\x05Hello");
        assert_eq!(events, [text("Hello")]);
    }

    #[test]
    fn a_masked_text_message_is_read_by_a_server() {
        let bytes = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
        assert_eq!(events_of(Role::Server, bytes), [text("Hello")]);
    }

    #[test]
    fn an_unmasked_message_in_fragments_is_joined() {
        let events = events_of(Role::Client, b"\x01\x03Hel\x80\x02lo");
        assert_eq!(events, [text("Hello")]);
    }

    #[test]
    fn a_ping_is_answered_by_a_masked_pong_of_the_same_bytes() {
        let mut driven = Driven::new(Role::Client);
        driven.feed(b"\x89\x05Hello");
        assert_eq!(driven.events, [WebSocketEvent::Ping("Hello".into())]);
        assert_eq!(driven.sent, [Raw::new(PONG, "Hello")]);
    }

    #[test]
    fn a_masked_pong_is_read_by_a_server() {
        let bytes = b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
        let events = events_of(Role::Server, bytes);
        assert_eq!(events, [WebSocketEvent::Pong("Hello".into())]);
    }

    #[test]
    fn binary_messages_of_256_bytes_and_64_kib_have_longer_lengths() {
        for (header, length) in [
            (&b"\x82\x7e\x01\x00"[..], 256),
            (b"\x82\x7f\0\0\0\0\0\x01\0\0", 65536),
        ] {
            let payload: Vec<u8> = (0..=255).cycle().take(length).collect();
            let mut driven = Driven::new(Role::Client);
            driven.feed(&[header, &payload].concat());
            assert_eq!(driven.events, [message(Kind::Binary, &payload)]);

            assert_eq!(server_header(Kind::Binary, length).as_slice(), header);
        }
    }
}

mod reading {
    use super::*;

    /// Frames that are legal for both roles.
    fn events_of_frames(frames: &[Raw]) -> Vec<WebSocketEvent> {
        let [client, server] = ROLES.map(|role| events_of(role, &encode_for(role, frames)));
        assert_eq!(client, server);
        client
    }

    /// Frames that break the protocol for both roles, and the code that answers.
    fn broken(frames: &[Raw]) -> (Violation, u16) {
        let [client, server] = ROLES.map(|role| {
            let bytes = encode_for(role, frames);
            let found = violation(&read_every_way(role, &bytes)).unwrap();
            let mut driven = Driven::new(role);
            driven.feed(&bytes);
            let [close] = &driven.sent[..] else {
                panic!("{:?}", driven.sent)
            };
            assert_eq!(close.opcode, CLOSE);
            assert_eq!(&close.payload[2..], found.to_string().as_bytes());
            (
                found,
                u16::from_be_bytes([close.payload[0], close.payload[1]]),
            )
        });
        assert_eq!(client, server);
        client
    }

    #[test]
    fn control_frames_come_between_fragments() {
        let frames = [
            Raw::new(BINARY, "a").unfinished(),
            Raw::new(PING, "1"),
            Raw::new(CONTINUATION, "").unfinished(),
            Raw::new(PONG, "2"),
            Raw::new(CONTINUATION, "b"),
            Raw::text("c"),
        ];
        assert_eq!(
            events_of_frames(&frames),
            [
                WebSocketEvent::Ping("1".into()),
                WebSocketEvent::Pong("2".into()),
                message(Kind::Binary, "ab"),
                text("c"),
            ]
        );
    }

    #[test]
    fn characters_may_be_cut_between_fragments() {
        let bytes = "κόσμε😀".as_bytes();
        for cut in 0..=bytes.len() {
            let (left, right) = bytes.split_at(cut);
            let frames = [
                Raw::new(TEXT, left).unfinished(),
                Raw::new(PING, [0xff]),
                Raw::new(CONTINUATION, right),
            ];
            assert_eq!(events_of_frames(&frames)[1], text("κόσμε😀"));
        }
    }

    #[test]
    fn breaches_of_the_protocol_are_answered_with_1002() {
        for (frames, expected) in [
            (vec![Raw::text("a").reserved(4)], Violation::ReservedBits(4)),
            (vec![Raw::new(3, "a")], Violation::ReservedOpcode(3)),
            (vec![Raw::new(15, "")], Violation::ReservedOpcode(15)),
            (
                vec![Raw::new(PING, "").unfinished()],
                Violation::FragmentedControl,
            ),
            (vec![Raw::new(PONG, [0; 126])], Violation::ControlTooLong),
            (
                vec![Raw::new(CONTINUATION, "a")],
                Violation::NothingToContinue,
            ),
            (
                vec![Raw::text("a").unfinished(), Raw::text("b")],
                Violation::UnfinishedMessage,
            ),
            (vec![Raw::new(CLOSE, [3])], Violation::ShortClose),
            (vec![Raw::close(1005, "")], Violation::BadCloseCode(1005)),
        ] {
            assert_eq!(broken(&frames), (expected, 1002), "{frames:?}");
        }
    }

    #[test]
    fn text_that_is_not_utf_8_is_answered_with_1007() {
        let at = |at| (Violation::InvalidUtf8 { at }, 1007);
        assert_eq!(broken(&[Raw::new(TEXT, b"ab\xff")]), at(2));
        assert_eq!(broken(&[Raw::new(TEXT, b"ab\xce")]), at(2));
        assert_eq!(
            broken(&[
                Raw::new(TEXT, b"a\xce").unfinished(),
                Raw::new(CONTINUATION, "b")
            ]),
            at(1)
        );
        assert_eq!(
            broken(&[
                Raw::new(TEXT, b"a\xce").unfinished(),
                Raw::new(CONTINUATION, "")
            ]),
            at(1)
        );
        assert_eq!(
            broken(&[Raw::close(1000, b"\xff")]),
            (Violation::BadCloseReason, 1007)
        );
    }

    #[test]
    fn masking_in_the_wrong_direction_is_answered_with_1002() {
        for (role, frame, expected) in [
            (
                Role::Client,
                Raw::text("a").encode_for(Role::Server),
                Violation::Masked,
            ),
            (
                Role::Server,
                Raw::text("a").encode_for(Role::Client),
                Violation::Unmasked,
            ),
        ] {
            let events = read_every_way(role, &frame);
            assert_eq!(violation(&events), Some(expected));
        }
    }

    #[test]
    fn lengths_not_in_their_shortest_form_are_refused() {
        for header in [
            &b"\x82\x7e\x00\x7d"[..],
            b"\x82\x7e\x00\x00",
            b"\x82\x7f\0\0\0\0\0\0\xff\xff",
            b"\x82\x7f\0\0\0\0\0\0\0\x01",
        ] {
            let events = read_every_way(Role::Client, header);
            assert_eq!(violation(&events), Some(Violation::LengthNotMinimal));
        }
        let events = read_every_way(Role::Client, b"\x82\x7f\x80\0\0\0\0\0\0\0");
        assert_eq!(violation(&events), Some(Violation::LengthOutOfRange));
    }

    #[test]
    fn a_mistake_is_told_in_the_byte_that_makes_it() {
        for (bytes, at) in [
            (&b"\x91\x80"[..], 1),
            (b"\x83", 1),
            (b"\x09", 1),
            (b"\x81\x05", 2),
            (b"\x89\xfe", 2),
            (b"\x82\xfe\0\x01", 4),
        ] {
            let mut driven = Driven::new(Role::Server);
            driven.feed(&bytes[..at - 1]);
            assert_eq!(driven.events, []);
            driven.feed(&bytes[at - 1..]);
            assert_eq!(driven.events.len(), 1, "{bytes:?}");
        }
    }

    #[test]
    fn the_offset_of_a_mistake_is_that_of_its_frame() {
        let mut driven = Driven::new(Role::Server);
        driven.frames(&[Raw::text("Hello"), Raw::new(PING, ""), Raw::new(4, "")]);
        let Some(WebSocketEvent::Closed(closed)) = driven.events.pop() else {
            panic!("{driven:?}")
        };
        let error = closed.error.unwrap();
        assert_eq!(error.offset, 11 + 6);
        assert_eq!(
            error.to_string(),
            "opcode 0x4 is reserved (at byte 17 of the WebSocket stream)"
        );
    }

    #[test]
    fn what_follows_a_mistake_is_not_read() {
        let mut driven = Driven::new(Role::Client);
        driven.frames(&[
            Raw::text("a"),
            Raw::new(3, ""),
            Raw::text("b"),
            Raw::new(PING, ""),
        ]);
        driven.frames(&[Raw::text("c")]);
        assert_eq!(driven.events.len(), 2);
        assert_eq!(driven.events[0], text("a"));
        assert_eq!(driven.sent.len(), 1);
        assert_eq!(driven.socket.buffered(), 0);
    }

    #[test]
    fn the_newest_of_several_pings_is_answered() {
        let mut driven = Driven::new(Role::Server);
        let pings: Vec<_> = (0..1000)
            .map(|number| Raw::new(PING, number.to_string()))
            .collect();
        driven.push(&encode_for(Role::Server, &pings));
        while driven.socket.poll_event().is_some() {}
        driven.transmit();
        assert_eq!(driven.sent, [Raw::new(PONG, "999")]);
    }
}

mod writing {
    use super::*;

    fn written(
        role: Role,
        write: impl FnOnce(&mut WebSocket, &mut TransmitBuf) -> bool,
    ) -> Vec<u8> {
        let mut socket = WebSocket::new(role, WebSocketConfig::default(), [9; 32]);
        let mut out = TransmitBuf::new();
        assert!(write(&mut socket, &mut out));
        out.copy_to_bytes(out.remaining()).to_vec()
    }

    #[test]
    fn a_server_does_not_mask() {
        let bytes = written(Role::Server, |socket, out| {
            socket.write_message(Kind::Text, &[Part::Slice(b"Hello")], out)
        });
        assert_eq!(bytes, b"\x81\x05Hello");
    }

    #[test]
    fn parts_are_joined_under_one_header_and_one_mask() {
        let shared = Bytes::from("x".repeat(5000));
        for role in ROLES {
            let bytes = written(role, |socket, out| {
                let parts = [
                    Part::Slice(b"[[:a 1] "),
                    Part::Shared(&shared),
                    Part::Slice(b""),
                    Part::Slice(b"]"),
                ];
                socket.write_message(Kind::Binary, &parts, out)
            });
            let expected = format!("[[:a 1] {}]", "x".repeat(5000));
            assert_eq!(decode_from(role, &bytes), [Raw::new(BINARY, expected)]);
        }
    }

    #[test]
    fn a_server_shares_what_is_large() {
        let shared = Bytes::from(vec![7; 10_000]);
        let mut socket = WebSocket::new(Role::Server, WebSocketConfig::default(), [0; 32]);
        let mut out = TransmitBuf::new();
        socket.write_message(Kind::Binary, &[Part::Shared(&shared)], &mut out);
        out.advance(4);
        assert_eq!(out.chunk().as_ptr(), shared.as_ptr());
    }

    #[test]
    fn every_length_has_its_shortest_header() {
        for (length, header) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            for role in ROLES {
                let payload = vec![b'x'; length];
                let bytes = written(role, |socket, out| {
                    socket.write_message(Kind::Text, &[Part::Slice(&payload)], out)
                });
                let mask = if role == Role::Client { 4 } else { 0 };
                assert_eq!(bytes.len(), header + mask + length);
                assert_eq!(decode_from(role, &bytes), [Raw::new(TEXT, payload)]);
            }
        }
    }

    #[test]
    fn a_pre_framed_message_is_what_a_server_writes() {
        for length in [0, 125, 126, 65_535, 65_536] {
            let payload = vec![b'x'; length];
            let bytes = written(Role::Server, |socket, out| {
                socket.write_message(Kind::Text, &[Part::Slice(&payload)], out)
            });
            let header = server_header(Kind::Text, length);
            assert!(header.as_slice().len() <= 10);
            assert_eq!([header.as_ref(), &payload].concat(), bytes);
        }
    }

    #[test]
    fn every_frame_of_a_client_has_its_own_mask() {
        let mut socket = WebSocket::new(Role::Client, WebSocketConfig::default(), [9; 32]);
        let mut masks = std::collections::BTreeSet::new();
        for _ in 0..1000 {
            let mut out = TransmitBuf::new();
            socket.write_ping(b"", &mut out);
            let bytes = out.copy_to_bytes(6);
            assert_eq!(bytes[..2], [0x89, 0x80]);
            masks.insert(bytes.slice(2..));
        }
        assert!(masks.len() > 990, "32 random bits seldom meet");
    }

    #[test]
    fn a_ping_carries_up_to_125_bytes() {
        for role in ROLES {
            let bytes = written(role, |socket, out| socket.write_ping(&[1; 200], out));
            assert_eq!(decode_from(role, &bytes), [Raw::new(PING, [1; 125])]);
        }
    }
}

proptest! {
    #[test]
    fn events_come_out_the_same_in_any_pieces(
        frames in any_frames(),
        is_server in any::<bool>(),
        noise in proptest::collection::vec((0_usize..200, 0_u8..8), 0..2),
        sizes in proptest::collection::vec(0_usize..40, 0..20),
    ) {
        let role = ROLES[usize::from(is_server)];
        let mut bytes = encode_for(role, &frames);
        for (at, bit) in noise {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
        let mut whole = Driven::new(role);
        whole.feed(&bytes);
        whole.eof();

        let mut octets = Driven::new(role);
        for byte in bytes.chunks(1) {
            octets.feed(byte);
        }
        octets.eof();
        prop_assert_eq!(&octets.events, &whole.events);
        prop_assert_eq!(&octets.sent, &whole.sent);

        let mut cut = Driven::new(role);
        let mut rest = &bytes[..];
        for size in sizes {
            let (piece, after) = rest.split_at(size.min(rest.len()));
            cut.feed(piece);
            rest = after;
        }
        cut.push(rest);
        cut.eof();
        prop_assert_eq!(&cut.events, &whole.events);
    }

    #[test]
    fn what_one_side_writes_the_other_reads(
        texts in proptest::collection::vec(".{0,40}", 0..10),
        long in 0_usize..70_000,
        to_server in any::<bool>(),
    ) {
        let role = ROLES[usize::from(to_server)];
        let sender = ROLES[usize::from(!to_server)];
        let mut socket = WebSocket::new(sender, WebSocketConfig::default(), [5; 32]);
        let mut out = TransmitBuf::new();
        let mut expected = Vec::new();
        for sent in texts.iter().chain([&"x".repeat(long)]) {
            let (left, right) = sent.as_bytes().split_at(sent.len() / 2);
            socket.write_message(Kind::Text, &[Part::Slice(left), Part::Slice(right)], &mut out);
            expected.push(text(sent));
        }
        let mut driven = Driven::new(role);
        driven.feed(&out.copy_to_bytes(out.remaining()));
        prop_assert_eq!(driven.events, expected);
    }
}
