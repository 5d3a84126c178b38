//! What a WebSocket holds, and what it refuses to hold.
#![allow(missing_docs)]

mod websocket_support;

use bytes::{Bytes, BytesMut};
use sente_core::Instant;
use sente_core::framing::websocket::{Role, Violation, WebSocket, WebSocketConfig, WebSocketEvent};
use websocket_support::*;

mod limits {
    use super::*;

    fn config(max_frame_bytes: usize, max_message_bytes: usize) -> WebSocketConfig {
        let mut config = WebSocketConfig::default();
        config.max_frame_bytes = max_frame_bytes;
        config.max_message_bytes = max_message_bytes;
        config
    }

    fn driven(max_frame_bytes: usize, max_message_bytes: usize) -> Driven {
        Driven::with_config(Role::Client, config(max_frame_bytes, max_message_bytes))
    }

    #[test]
    fn a_message_of_exactly_the_limit_is_read() {
        let mut driven = driven(10, 10);
        driven.frames(&[
            Raw::text("0123456789"),
            Raw::text("01234").unfinished(),
            Raw::new(CONTINUATION, "56789"),
        ]);
        assert_eq!(driven.events, [text("0123456789"), text("0123456789")]);
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_at_its_header() {
        let mut driven = driven(10, 100);
        driven.feed(b"\x82\x0b");
        assert_eq!(
            violation(&driven.events),
            Some(Violation::FrameTooLong {
                length: 11,
                limit: 10
            })
        );
        assert_eq!(driven.sent[0].payload[..2], 1009_u16.to_be_bytes());
    }

    #[test]
    fn a_message_over_the_limit_is_refused_at_the_header_of_the_fragment() {
        let mut driven = driven(10, 15);
        driven.frames(&[Raw::text("0123456789").unfinished()]);
        assert_eq!(driven.socket.buffered(), 10);
        driven.feed(b"\x80\x06");
        assert_eq!(
            violation(&driven.events),
            Some(Violation::MessageTooLong {
                length: 16,
                limit: 15
            })
        );
        assert_eq!(driven.sent[0].payload[..2], 1009_u16.to_be_bytes());
        assert_eq!(driven.socket.buffered(), 0);
    }

    #[test]
    fn a_declared_length_of_2_to_the_62_takes_no_memory() {
        let header = b"\x82\x7f\x40\0\0\0\0\0\0\0";
        let mut limited = driven(1 << 20, 1 << 20);
        limited.feed(header);
        assert_eq!(
            violation(&limited.events),
            Some(Violation::FrameTooLong {
                length: 1 << 62,
                limit: 1 << 20
            })
        );

        let mut unlimited = driven(usize::MAX, usize::MAX);
        unlimited.feed(header);
        unlimited.feed(b"abc");
        assert_eq!(unlimited.events, []);
        assert_eq!(unlimited.socket.buffered(), 3);
    }

    #[test]
    fn lengths_of_fragments_cannot_overflow() {
        let mut driven = driven(usize::MAX, usize::MAX);
        driven.frames(&[Raw::new(BINARY, "abc").unfinished()]);
        driven.feed(b"\0\x7f\x7f\xff\xff\xff\xff\xff\xff\xff");
        driven.feed(b"x");
        assert_eq!(driven.socket.buffered(), 4);
    }

    #[test]
    fn a_mebibyte_byte_by_byte_is_one_message() {
        let payload = "é".repeat(1 << 19);
        let mut driven = Driven::new(Role::Server);
        for byte in Raw::text(&payload).encode_for(Role::Server).chunks(1) {
            driven.feed(byte);
        }
        assert_eq!(driven.events, [text(&payload)]);
        assert_eq!(driven.socket.buffered(), 0);
    }

    #[test]
    fn a_mebibyte_in_fragments_of_one_byte_is_one_message() {
        let mut driven = Driven::new(Role::Server);
        let middle = Raw::new(CONTINUATION, "x")
            .unfinished()
            .encode_for(Role::Server);
        driven.frames(&[Raw::new(BINARY, "").unfinished()]);
        for _ in 0..1 << 20 {
            driven.feed(&middle);
        }
        driven.frames(&[Raw::new(CONTINUATION, "")]);
        assert_eq!(messages(&driven.events)[0].1.len(), 1 << 20);
    }

    #[test]
    fn endless_empty_fragments_hold_nothing() {
        let mut driven = Driven::new(Role::Server);
        let empty = Raw::new(CONTINUATION, "")
            .unfinished()
            .encode_for(Role::Server);
        driven.frames(&[Raw::text("").unfinished()]);
        for _ in 0..100_000 {
            driven.feed(&empty);
        }
        assert_eq!(driven.socket.buffered(), 0);
        driven.frames(&[Raw::new(CONTINUATION, "a")]);
        assert_eq!(driven.events, [text("a")]);
    }
}

mod memory {
    use super::*;

    /// Reads `bytes` as one chunk, and says where that chunk is.
    fn feed_chunk(socket: &mut WebSocket, bytes: &[u8]) -> std::ops::Range<*const u8> {
        let mut chunk = BytesMut::from(bytes);
        let memory = chunk.as_ptr_range();
        socket.handle_input(Instant::EPOCH, &mut chunk);
        memory
    }

    fn next_message(socket: &mut WebSocket) -> Bytes {
        match socket.poll_event() {
            Some(WebSocketEvent::Message(frame)) => frame.bytes,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_large_message_is_a_slice_of_its_chunk_and_a_small_one_a_copy() {
        let frames = [Raw::new(BINARY, vec![7; 10_000]), Raw::text("small")];
        let mut socket = WebSocket::new(Role::Server, WebSocketConfig::default(), [0; 32]);
        let chunk = feed_chunk(&mut socket, &encode_for(Role::Server, &frames));
        let large = next_message(&mut socket);
        assert_eq!(large, vec![7; 10_000]);
        assert!(chunk.contains(&large.as_ptr()));
        let small = next_message(&mut socket);
        assert_eq!(small, "small");
        assert!(!chunk.contains(&small.as_ptr()));
    }

    #[test]
    fn a_message_in_pieces_takes_no_more_than_its_size() {
        let bytes = Raw::new(BINARY, vec![7; 100_000]).encode_for(Role::Server);
        let mut driven = Driven::new(Role::Server);
        for piece in bytes.chunks(1000) {
            driven.feed(piece);
        }
        let Some(WebSocketEvent::Message(frame)) = driven.events.pop() else {
            panic!("{driven:?}")
        };
        let vec = frame.bytes.try_into_mut().unwrap();
        assert_eq!(vec.capacity(), 100_000);
    }

    #[test]
    fn an_idle_socket_lets_the_read_buffer_go() {
        let mut buffer = BytesMut::with_capacity(64 * 1024);
        let memory = buffer.as_ptr();
        let mut socket = WebSocket::new(Role::Server, WebSocketConfig::default(), [0; 32]);
        let frame = Raw::text("Hello").encode_for(Role::Server);
        for count in 0..100 {
            // The last frame is cut at another byte each time.
            let (cut, _) = frame.split_at(count % frame.len());
            buffer.extend_from_slice(&[&frame, cut].concat());
            socket.handle_input(Instant::EPOCH, &mut buffer);
            assert_eq!(next_message(&mut socket), "Hello");
            assert_eq!(socket.poll_event(), None);
            buffer.reserve(64 * 1024);
            assert_eq!(
                buffer.as_ptr(),
                memory,
                "the same memory is read into again"
            );

            buffer.extend_from_slice(&frame[cut.len()..]);
            socket.handle_input(Instant::EPOCH, &mut buffer);
            assert_eq!(next_message(&mut socket), "Hello");
            assert_eq!(socket.poll_event(), None);
            assert_eq!(socket.buffered(), 0);
            buffer.reserve(64 * 1024);
        }
    }

    #[test]
    fn one_event_is_decoded_per_call() {
        let mut socket = WebSocket::new(Role::Client, WebSocketConfig::default(), [0; 32]);
        let frames = [Raw::text("a"), Raw::text("b")];
        feed_chunk(&mut socket, &encode_for(Role::Client, &frames));
        assert_eq!(socket.buffered(), 6);
        assert_eq!(next_message(&mut socket), "a");
        assert_eq!(socket.buffered(), 3);
    }
}
