//! Lines and length-prefixed messages come out the same however their bytes arrive.
#![allow(missing_docs)]

use bytes::BytesMut;
use proptest::prelude::*;
use sente_core::framing::{Frame, FrameError, Kind, LengthPrefixed, Lines};

type Found = Vec<Result<Frame, FrameError>>;

/// The two deframers, so that one test can hold for both.
trait Deframer {
    fn handle_input(&mut self, input: &mut BytesMut);
    fn handle_eof(&mut self);
    fn poll_frame(&mut self) -> Option<Result<Frame, FrameError>>;
    fn buffered(&self) -> usize;
}

macro_rules! deframer {
    ($type:ty) => {
        impl Deframer for $type {
            fn handle_input(&mut self, input: &mut BytesMut) {
                self.handle_input(input);
            }
            fn handle_eof(&mut self) {
                self.handle_eof();
            }
            fn poll_frame(&mut self) -> Option<Result<Frame, FrameError>> {
                self.poll_frame()
            }
            fn buffered(&self) -> usize {
                self.buffered()
            }
        }
    };
}
deframer!(Lines);
deframer!(LengthPrefixed);

fn push(deframer: &mut dyn Deframer, bytes: &[u8]) {
    let mut input = BytesMut::from(bytes);
    deframer.handle_input(&mut input);
    assert!(input.is_empty(), "all input is taken");
}

fn drain(deframer: &mut dyn Deframer, found: &mut Found) {
    while let Some(frame) = deframer.poll_frame() {
        found.push(frame);
    }
}

/// What comes out of `pieces` that are polled after each, and at the end of the stream.
fn read<'a>(deframer: &mut dyn Deframer, pieces: impl IntoIterator<Item = &'a [u8]>) -> Found {
    let mut found = Found::new();
    for piece in pieces {
        push(deframer, piece);
        drain(deframer, &mut found);
    }
    deframer.handle_eof();
    drain(deframer, &mut found);
    assert_eq!(deframer.buffered(), 0, "nothing is held after the end");
    found
}

/// `read` in one piece, having seen that every cut in two and every byte by itself give the same.
fn read_every_way<D: Deframer>(new: impl Fn() -> D, bytes: &[u8]) -> Found {
    let whole = read(&mut new(), [bytes]);
    for cut in 0..=bytes.len() {
        let (left, right) = bytes.split_at(cut);
        assert_eq!(read(&mut new(), [left, right]), whole, "cut at {cut}");
    }
    assert_eq!(read(&mut new(), bytes.chunks(1)), whole, "byte by byte");

    let mut late = new();
    for byte in bytes.chunks(1) {
        push(&mut late, byte);
    }
    assert_eq!(read(&mut late, []), whole, "polled only at the end");
    whole
}

fn text(bytes: &'static [u8]) -> Result<Frame, FrameError> {
    Ok(Frame::new(Kind::Text, bytes.into()))
}

fn binary(bytes: &'static [u8]) -> Result<Frame, FrameError> {
    Ok(Frame::new(Kind::Binary, bytes.into()))
}

fn too_long(size: Option<u64>, limit: usize) -> Result<Frame, FrameError> {
    Err(FrameError::TooLong { size, limit })
}

mod lines {
    use super::*;

    fn lines(bytes: &[u8]) -> Found {
        read_every_way(|| Lines::new(8), bytes)
    }

    #[test]
    fn both_line_ends_are_taken_off() {
        assert_eq!(lines(b"[:a]\n[:b]\r\n"), [text(b"[:a]"), text(b"[:b]")]);
    }

    #[test]
    fn a_carriage_return_inside_a_line_stays() {
        assert_eq!(
            lines(b"a\rb\n\r\rc\r\r\n"),
            [text(b"a\rb"), text(b"\r\rc\r")]
        );
    }

    #[test]
    fn blank_lines_are_skipped() {
        assert_eq!(lines(b"\n\r\n \t\n[:a]\n\n\n"), [text(b"[:a]")]);
    }

    #[test]
    fn a_last_line_without_newline_is_a_frame() {
        assert_eq!(lines(b"[:a]\n[:b]"), [text(b"[:a]"), text(b"[:b]")]);
        assert_eq!(lines(b"[:b]\r"), [text(b"[:b]")]);
        assert_eq!(lines(b"[:b]\n  "), [text(b"[:b]")]);
    }

    #[test]
    fn an_empty_stream_has_no_frames() {
        assert_eq!(lines(b""), []);
    }

    #[test]
    fn a_stray_line_costs_one_frame() {
        assert_eq!(
            lines(b"[:a]\nWARNING:\n[:b]\n"),
            [text(b"[:a]"), text(b"WARNING:"), text(b"[:b]")]
        );
    }

    #[test]
    fn a_line_of_exactly_the_limit_is_a_frame() {
        assert_eq!(
            lines(b"12345678\n12345678\r\n12345678"),
            [text(b"12345678"), text(b"12345678"), text(b"12345678")]
        );
    }

    #[test]
    fn an_over_long_line_costs_one_error_and_the_next_is_read() {
        assert_eq!(
            lines(b"123456789\n[:a]\n123456789abcdef\r\n[:b]\n123456789"),
            [
                too_long(None, 8),
                text(b"[:a]"),
                too_long(None, 8),
                text(b"[:b]"),
                too_long(None, 8)
            ]
        );
    }

    #[test]
    fn a_limit_of_zero_lets_nothing_through() {
        let found = read_every_way(|| Lines::new(0), b"\na\n\n");
        assert_eq!(found, [too_long(None, 0)]);
    }

    #[test]
    fn an_over_long_line_is_dropped_as_it_arrives() {
        let mut lines = Lines::new(100);
        let mut found = Found::new();
        for _ in 0..10_000 {
            push(&mut lines, &[b'x'; 64]);
            drain(&mut lines, &mut found);
            assert!(lines.buffered() <= 100);
        }
        assert_eq!(found, [too_long(None, 100)]);
        push(&mut lines, b"\n[:a]\n");
        assert_eq!(lines.poll_frame(), Some(text(b"[:a]")));
    }

    #[test]
    fn a_mebibyte_byte_by_byte_is_one_line() {
        let mut lines = Lines::new(1 << 20);
        let mut found = Found::new();
        for _ in 0..1 << 20 {
            push(&mut lines, b" ");
            drain(&mut lines, &mut found);
        }
        push(&mut lines, b"\nx\n");
        drain(&mut lines, &mut found);
        assert_eq!(found, [text(b"x")]);
    }

    #[test]
    fn a_large_line_is_a_slice_of_its_chunk_and_a_small_one_a_copy() {
        let stream = [vec![b'a'; 10_000], b"\nsmall\n".to_vec()].concat();
        let mut chunk = BytesMut::from(stream.as_slice());
        let memory = chunk.as_ptr_range();
        let mut lines = Lines::new(1 << 20);
        lines.handle_input(&mut chunk);
        let large = lines.poll_frame().unwrap().unwrap().bytes;
        let small = lines.poll_frame().unwrap().unwrap().bytes;
        assert!(memory.contains(&large.as_ptr()));
        assert!(!memory.contains(&small.as_ptr()));
    }

    #[test]
    fn an_idle_deframer_lets_the_read_buffer_go() {
        let mut buffer = BytesMut::with_capacity(64 * 1024);
        let mut lines = Lines::new(1 << 20);
        let memory = buffer.as_ptr();
        for _ in 0..100 {
            buffer.extend_from_slice(b"[:a]\n[:unfin");
            lines.handle_input(&mut buffer);
            while lines.poll_frame().is_some() {}
            buffer.reserve(64 * 1024);
            assert_eq!(
                buffer.as_ptr(),
                memory,
                "the same memory is read into again"
            );
        }
    }
}

mod length_prefixed {
    use super::*;

    fn frames(bytes: &[u8]) -> Found {
        read_every_way(|| LengthPrefixed::new(8), bytes)
    }

    #[test]
    fn flag_and_length_come_before_the_message() {
        assert_eq!(
            frames(b"\0\0\0\0\x02hi\x01\0\0\0\x03\xff\0\xfe"),
            [text(b"hi"), binary(b"\xff\0\xfe")]
        );
    }

    #[test]
    fn an_empty_message_is_a_frame() {
        assert_eq!(frames(b"\x01\0\0\0\0\0\0\0\0\0"), [binary(b""), text(b"")]);
    }

    #[test]
    fn the_header_of_a_message_reads_back() {
        for (kind, message) in [(Kind::Text, &b"[:a]"[..]), (Kind::Binary, b"")] {
            let header = LengthPrefixed::header(kind, message.len()).unwrap();
            let found = frames(&[&header, message].concat());
            assert_eq!(found, [Ok(Frame::new(kind, message.to_vec().into()))]);
        }
        assert_eq!(
            LengthPrefixed::header(Kind::Binary, 0x0102_0304),
            Some([1, 1, 2, 3, 4])
        );
        assert_eq!(
            LengthPrefixed::header(Kind::Text, u32::MAX as usize),
            Some([0, 255, 255, 255, 255])
        );
        assert_eq!(LengthPrefixed::header(Kind::Text, 1 << 32), None);
    }

    #[test]
    fn a_bad_flag_says_what_was_seen_and_ends_the_stream() {
        assert_eq!(
            frames(b"\0\0\0\0\x02hiHTTP/1.1 200 OK\r\n"),
            [text(b"hi"), Err(FrameError::BadFlag(b'H'))]
        );
        assert!(FrameError::BadFlag(b'H').is_fatal());
    }

    #[test]
    fn an_over_long_frame_is_skipped_and_reported_once() {
        assert_eq!(
            frames(b"\x01\0\0\0\x09123456789\0\0\0\0\x0212"),
            [too_long(Some(9), 8), text(b"12")]
        );
        assert!(!too_long(Some(9), 8).unwrap_err().is_fatal());
    }

    #[test]
    fn a_frame_of_exactly_the_limit_is_read() {
        assert_eq!(frames(b"\0\0\0\0\x0812345678"), [text(b"12345678")]);
    }

    #[test]
    fn a_stream_that_ends_inside_a_frame_is_truncated() {
        let truncated = |missing| Err(FrameError::Truncated { missing });
        assert_eq!(frames(b"\0\0\0"), [truncated(None)]);
        assert_eq!(frames(b"\0\0\0\0\x05ab"), [truncated(Some(3))]);
        assert_eq!(frames(b"\0\0\0\0\x09ab"), [too_long(Some(9), 8)]);
    }

    #[test]
    fn a_declared_length_takes_no_memory() {
        let mut frames = LengthPrefixed::new(usize::MAX);
        push(&mut frames, b"\x01\xff\xff\xff\xffabc");
        assert_eq!(frames.poll_frame(), None);
        assert_eq!(frames.buffered(), 8);
    }

    #[test]
    fn an_over_long_frame_is_dropped_as_it_arrives() {
        let mut frames = LengthPrefixed::new(100);
        let mut found = Found::new();
        push(
            &mut frames,
            &LengthPrefixed::header(Kind::Binary, 640_000).unwrap(),
        );
        for _ in 0..10_000 {
            push(&mut frames, &[b'x'; 64]);
            drain(&mut frames, &mut found);
            assert_eq!(frames.buffered(), 0);
        }
        assert_eq!(found, [too_long(Some(640_000), 100)]);
        push(&mut frames, b"\0\0\0\0\x01a");
        assert_eq!(frames.poll_frame(), Some(text(b"a")));
    }

    #[test]
    fn a_mebibyte_byte_by_byte_is_one_frame() {
        let mut frames = LengthPrefixed::new(1 << 20);
        let mut found = Found::new();
        push(
            &mut frames,
            &LengthPrefixed::header(Kind::Binary, 1 << 20).unwrap(),
        );
        for _ in 0..1 << 20 {
            push(&mut frames, b"x");
            drain(&mut frames, &mut found);
        }
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].as_ref().unwrap().bytes.len(), 1 << 20);
    }

    #[test]
    fn a_large_frame_is_a_slice_of_its_chunk() {
        let header = LengthPrefixed::header(Kind::Binary, 10_000).unwrap();
        let mut chunk = BytesMut::from([&header[..], &[7; 10_000]].concat().as_slice());
        let memory = chunk.as_ptr_range();
        let mut frames = LengthPrefixed::new(1 << 20);
        frames.handle_input(&mut chunk);
        let frame = frames.poll_frame().unwrap().unwrap();
        assert!(memory.contains(&frame.bytes.as_ptr()));
    }
}

#[test]
fn messages_of_errors_say_what_was_wrong() {
    let messages = [
        FrameError::BadFlag(b'H'),
        FrameError::TooLong {
            size: Some(9),
            limit: 8,
        },
        FrameError::TooLong {
            size: None,
            limit: 8,
        },
        FrameError::Truncated { missing: Some(3) },
    ]
    .map(|error| error.to_string());
    assert_eq!(
        messages,
        [
            "expected a frame flag of 0 (text) or 1 (binary), got byte 0x48: \
             is the peer using another framing?",
            "frame of 9 bytes is over the limit of 8 bytes",
            "frame of an unknown number of bytes is over the limit of 8 bytes",
            "the stream ended in the middle of a frame, 3 bytes before its end",
        ]
    );
}

/// Where a stream is cut.
fn cuts() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(0_usize..40, 0..20)
}

/// `bytes` in pieces of `sizes`, and the rest.
fn pieces<'a>(mut bytes: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for size in sizes {
        let (piece, rest) = bytes.split_at((*size).min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces.push(bytes);
    pieces
}

proptest! {
    #[test]
    fn lines_come_out_the_same_in_any_pieces(
        stream in "([ab \r\n]|[^\r\n]{0,12}\n){0,30}",
        sizes in cuts(),
    ) {
        let bytes = stream.as_bytes();
        let whole = read(&mut Lines::new(8), [bytes]);
        prop_assert_eq!(&read(&mut Lines::new(8), pieces(bytes, &sizes)), &whole);
        prop_assert_eq!(&read(&mut Lines::new(8), bytes.chunks(1)), &whole);
        let model: Found = bytes
            .split(|byte| *byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
            .filter(|line| line.len() > 8 || !line.trim_ascii().is_empty())
            .map(|line| match line.len() {
                0..=8 => Ok(Frame::new(Kind::Text, line.to_vec().into())),
                _ => too_long(None, 8),
            })
            .collect();
        prop_assert_eq!(whole, model);
    }

    #[test]
    fn length_prefixed_frames_come_out_the_same_in_any_pieces(
        frames in proptest::collection::vec((any::<bool>(), 0_usize..12), 0..8),
        garbage in proptest::collection::vec(0_u8..3, 0..60),
        sizes in cuts(),
    ) {
        let mut stream = Vec::new();
        for (is_text, length) in frames {
            let kind = if is_text { Kind::Text } else { Kind::Binary };
            stream.extend(LengthPrefixed::header(kind, length).unwrap());
            stream.resize(stream.len() + length, b'x');
        }
        stream.extend(garbage);
        let whole = read(&mut LengthPrefixed::new(8), [&stream[..]]);
        let cut = read(&mut LengthPrefixed::new(8), pieces(&stream, &sizes));
        prop_assert_eq!(cut, whole.clone());
        prop_assert_eq!(read(&mut LengthPrefixed::new(8), stream.chunks(1)), whole);
    }
}
