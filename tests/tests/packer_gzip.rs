//! Sente's gzip wrapper: what the real one wrote and read, what no peer may do to it, and that it
//! never makes a message longer.
#![allow(missing_docs)]

use std::io::{Read, Write};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use flate2::{Compression, Crc, GzBuilder};
use proptest::prelude::*;
use sente_core::Limits;
use sente_core::framing::Kind;
use sente_core::packer::{Edn, Gzip, Packer, UnpackError};
use sente_tests::vectors::{field, load};
use sente_tests::{edn, try_edn};

fn open(frame: &[u8]) -> Result<Bytes, UnpackError> {
    Gzip::new(Edn).open(&Bytes::copy_from_slice(frame), &Limits::default())
}

fn seal(gzip: &Gzip<Edn>, message: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    gzip.seal(message, &mut frame).unwrap();
    frame
}

/// A gzip stream of `message`, as another library writes it.
fn gzipped(message: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(message).unwrap();
    encoder.finish().unwrap()
}

/// A frame that says that `stream` is compressed.
fn flagged(stream: &[u8]) -> Vec<u8> {
    [&[1], stream].concat()
}

fn problem(frame: &[u8]) -> String {
    open(frame).unwrap_err().to_string()
}

mod vectors {
    use super::*;

    fn bytes(row: &serde_json::Value, name: &str) -> Option<Vec<u8>> {
        Some(STANDARD.decode(field(row, name)?).unwrap())
    }

    /// The payload that the packer inside wrote for the same row.
    fn inner(rows: &serde_json::Value, description: &str, wrapped: bool) -> Option<Vec<u8>> {
        let row = rows.as_array().unwrap().iter().find(|row| {
            field(row, "description") == Some(description) && row["wrapped"] == wrapped
        })?;
        bytes(row, "payload_b64")
            .or_else(|| bytes(row, "payload_utf8_b64"))
            .or_else(|| Some(field(row, "payload")?.as_bytes().to_vec()))
    }

    /// How many rows there are, and how many of them are compressed.
    fn compare(name: &str) -> (usize, usize) {
        let rows = load(&format!("sente/packer-gzip-{name}.json"));
        let inside = load(&format!("sente/packer-{name}.json"));
        let (mut compared, mut compressed) = (0, 0);
        for row in rows.as_array().unwrap() {
            let Some(frame) = bytes(row, "payload_b64") else {
                assert!(field(row, "pack_error").is_some(), "{row}");
                continue;
            };
            let description = field(row, "description").unwrap();
            let opened = open(&frame).unwrap_or_else(|error| panic!("{description}: {error}"));
            if row["unstable_text"] != true {
                let wrapped = row["wrapped"].as_bool().unwrap();
                let plain = inner(&inside, description, wrapped);
                assert_eq!(Some(&opened[..]), plain.as_deref(), "{description}");
            }
            let sealed = seal(&Gzip::new(Edn), &opened);
            match frame[0] {
                0 => assert_eq!(sealed, frame, "{description}"),
                _ => {
                    compressed += 1;
                    assert_eq!(sealed[0], 1, "{description}");
                    assert_eq!(open(&sealed).unwrap(), opened, "{description}");
                }
            }
            compared += 1;
        }
        (compared, compressed)
    }

    #[test]
    fn what_sentes_wrapper_wrote_around_edn_opens_to_the_edn_and_is_sealed_the_same() {
        assert_eq!(compare("edn"), (455, 8));
    }

    #[test]
    fn what_sentes_wrapper_wrote_around_messagepack_opens_to_the_messagepack() {
        let (compared, compressed) = compare("msgpack");
        assert!(compared > 400 && compressed > 0, "{compared} {compressed}");
    }

    #[test]
    fn what_sentes_wrapper_wrote_unpacks_to_the_value_it_unpacked() {
        let gzip = Gzip::new(Edn);
        let limits = Limits::default();
        let mut read = 0;
        for row in load("sente/packer-gzip-edn.json").as_array().unwrap() {
            let (Some(frame), Some(theirs)) = (
                bytes(row, "payload_b64"),
                field(row, "unpacked_edn").filter(|text| try_edn(text).is_ok()),
            ) else {
                continue;
            };
            let ours = gzip.unpack_message(&Bytes::from(frame), &limits).unwrap();
            assert!(ours.identical(&edn(theirs)), "{ours} is not {theirs}");
            read += 1;
        }
        assert_eq!(read, 407);
    }

    /// What the real one read and ours refuses.
    const REFUSED: &[(&str, &str)] = &[(
        "raw gzip without flag byte",
        "Java makes U+FFFD of bytes that are not UTF-8, and reads the rest as a symbol",
    )];

    #[test]
    fn hand_made_frames_are_read_and_refused_as_sentes_wrapper_does() {
        let gzip = Gzip::new(Edn);
        let limits = Limits::default();
        let rows = load("sente/unpack-gzip-edn.json");
        for row in rows.as_array().unwrap() {
            let description = field(row, "description").unwrap();
            let frame = Bytes::from(bytes(row, "payload_b64").unwrap());
            let ours = gzip.unpack_message(&frame, &limits);
            let refused = REFUSED.iter().any(|(known, _)| *known == description);
            match field(row, "unpacked_edn").filter(|_| !refused) {
                Some(theirs) => {
                    assert!(ours.unwrap().identical(&edn(theirs)), "{description}");
                }
                None => assert!(ours.is_err(), "{description}"),
            }
        }
        assert_eq!(rows.as_array().unwrap().len(), 9);
    }
}

mod names {
    use super::*;

    #[test]
    fn it_is_named_after_the_packer_inside_and_shares_its_format() {
        let gzip = Gzip::new(Edn);
        assert_eq!(
            (gzip.name(), gzip.format(), gzip.kind()),
            ("gzip-edn", "edn", Kind::Binary)
        );
        assert!(gzip.seals());
        assert_eq!(gzip.seal_overhead(), 1);
    }

    #[test]
    fn it_wraps_a_packer_that_is_only_known_when_the_program_runs() {
        let inside: Arc<dyn Packer> = Arc::new(Edn);
        let gzip: Arc<dyn Packer> = Arc::new(Gzip::new(inside));
        assert_eq!((gzip.name(), gzip.format()), ("gzip-edn", "edn"));
        let value = edn("[:a/b {:c 1}]");
        let mut frame = Vec::new();
        gzip.pack_message(&value, &mut frame).unwrap();
        let read = gzip.unpack_message(&Bytes::from(frame), &Limits::default());
        assert_eq!(read.unwrap(), value);
    }
}

mod sealing {
    use super::*;

    #[test]
    fn a_message_below_the_threshold_is_not_compressed() {
        let gzip = Gzip::new(Edn);
        let message = vec![b'x'; 1024];
        assert_eq!(seal(&gzip, &message)[0], 1);
        assert_eq!(seal(&gzip, &message[1..]), [&[0], &message[1..]].concat());
        assert_eq!(seal(&gzip.threshold(0), b"")[..], [0]);
    }

    #[test]
    fn a_message_that_would_not_become_shorter_is_not_compressed() {
        let noise = noise(5000);
        let frame = seal(&Gzip::new(Edn), &noise);
        assert_eq!(frame, [&[0], &noise[..]].concat());
        // What is stored only, with a header.
        let stored = seal(&Gzip::new(Edn).level(0), &vec![b'x'; 5000]);
        assert_eq!(stored[0], 0);
    }

    #[test]
    fn another_gzip_reads_what_is_compressed() {
        let message = b"[:a/b {:c \"d\"}] ".repeat(200);
        for level in 1..=9 {
            let frame = seal(&Gzip::new(Edn).level(level), &message);
            assert_eq!(frame[0], 1);
            let mut read = Vec::new();
            GzDecoder::new(&frame[1..]).read_to_end(&mut read).unwrap();
            assert_eq!(read, message);
        }
    }

    #[test]
    fn a_used_compressor_makes_the_same_frames_as_a_new_one() {
        let gzip = Gzip::new(Edn);
        let words = (0..3000).map(|n| format!(" {}", n * n)).collect::<String>();
        let messages = [words.as_bytes(), &[b'x'; 3000], &noise(3000)];
        for _ in 0..3 {
            for message in messages {
                assert_eq!(seal(&gzip, message), seal(&Gzip::new(Edn), message));
            }
        }
    }

    #[test]
    fn a_level_above_nine_is_nine() {
        let words = (0..3000).map(|n| format!(" {}", n * n)).collect::<String>();
        let nine = seal(&Gzip::new(Edn).level(9), words.as_bytes());
        assert_eq!(seal(&Gzip::new(Edn).level(200), words.as_bytes()), nine);
        assert_ne!(seal(&Gzip::new(Edn).level(1), words.as_bytes()), nine);
    }

    #[test]
    fn threads_may_seal_and_open_at_the_same_time() {
        let gzip = Gzip::new(Edn);
        std::thread::scope(|scope| {
            for thread in 0..4_u8 {
                let gzip = &gzip;
                scope.spawn(move || {
                    for round in 0..50_u8 {
                        let message = [thread, round].repeat(2000);
                        let frame = Bytes::from(seal(gzip, &message));
                        let opened = gzip.open(&frame, &Limits::default()).unwrap();
                        assert_eq!(opened, message);
                    }
                });
            }
        });
    }

    #[test]
    fn a_message_is_wrapped_around_what_the_packer_inside_seals() {
        let gzip = Gzip::new(Gzip::new(Edn).threshold(1)).threshold(1);
        assert_eq!((gzip.name(), gzip.seal_overhead()), ("gzip-gzip-edn", 2));
        let message = vec![b'x'; 100_000];
        let mut frame = Vec::new();
        gzip.seal(&message, &mut frame).unwrap();
        assert!(frame.len() < 100, "{}", frame.len());
        let frame = Bytes::from(frame);
        assert_eq!(gzip.open(&frame, &Limits::default()).unwrap(), message);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_sealed_opens_to_the_message_and_is_at_most_a_byte_longer(
            pieces in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..40), 1_usize..60), 0..8),
            threshold in 0_usize..3000,
            level in 0_u8..10,
        ) {
            let message: Vec<u8> = pieces.iter().flat_map(|(piece, times)| piece.repeat(*times)).collect();
            let frame = seal(&Gzip::new(Edn).threshold(threshold).level(level), &message);
            prop_assert!(frame.len() <= message.len() + 1);
            prop_assert_eq!(open(&frame).unwrap(), message);
        }
    }
}

mod opening {
    use super::*;

    #[test]
    fn any_flag_but_one_stands_before_a_message_that_is_not_compressed() {
        for flag in (0..=255).filter(|flag| *flag != 1) {
            assert_eq!(open(&[flag, b'[', b']']).unwrap(), "[]");
        }
        assert_eq!(open(&[0]).unwrap(), "");
    }

    #[test]
    fn a_message_that_is_not_compressed_is_not_copied() {
        let frame = Bytes::from_static(b"\0[:a/b]");
        let opened = Gzip::new(Edn).open(&frame, &Limits::default()).unwrap();
        assert_eq!(opened.as_ptr(), frame[1..].as_ptr());
    }

    #[test]
    fn an_empty_message_is_refused() {
        assert_eq!(
            problem(b""),
            "an empty message: its first byte says whether it is compressed at byte 0"
        );
    }

    #[test]
    fn a_stream_that_is_cut_off_anywhere_is_refused() {
        let frame = flagged(&gzipped(&b"[:a/b 1] ".repeat(30)));
        for length in 1..frame.len() {
            assert!(open(&frame[..length]).is_err(), "{length}");
        }
        open(&frame).unwrap();
    }

    #[test]
    fn a_changed_bit_is_found_or_changes_nothing() {
        let message = b"[:a/b {:c 1}] ".repeat(20);
        let frame = flagged(&gzipped(&message));
        for at in 1..frame.len() {
            for bit in 0..8 {
                let mut changed = frame.clone();
                changed[at] ^= 1 << bit;
                if let Ok(opened) = open(&changed) {
                    assert_eq!(opened, message);
                }
            }
        }
    }

    #[test]
    fn headers_with_every_field_are_read() {
        let message = b"[:a/b 1]".repeat(5);
        let mut encoder = GzBuilder::new()
            .filename("a name")
            .comment("a comment")
            .extra(vec![7; 300])
            .write(Vec::new(), Compression::default());
        encoder.write_all(&message).unwrap();
        let mut stream = encoder.finish().unwrap();
        assert_eq!(open(&flagged(&stream)).unwrap(), message);
        // With a checksum of the header (RFC 1952, FHCRC), and reserved bits, which Java ignores.
        let fields = 10 + 2 + 300 + "a name\0a comment\0".len();
        stream[3] |= 0xe0 | 2;
        let mut sum = Crc::new();
        sum.update(&stream[..fields]);
        let [low, high, ..] = sum.sum().to_le_bytes();
        stream.splice(fields..fields, [low, high]);
        assert_eq!(open(&flagged(&stream)).unwrap(), message);
        stream[fields] ^= 1;
        assert_eq!(
            problem(&flagged(&stream)),
            "the gzip header has another checksum at byte 1"
        );
    }

    #[test]
    fn what_is_no_gzip_stream_is_named() {
        let expected = [
            (
                &b"\x01hello"[..],
                "not a gzip stream, though the first byte is 1 at byte 1",
            ),
            (b"\x01", "the gzip header does not end at byte 1"),
            (
                b"\x01\x1f\x8b\x09\0\0\0\0\0\0\0",
                "an unknown method of compression in a gzip header at byte 1",
            ),
            (
                b"\x01\x1f\x8b\x08\0\0\0\0\0\0\0\xff\xff",
                "not a deflate stream at byte 11",
            ),
            (
                b"\x01\x1f\x8b\x08\0\0\0\0\0\0\0\x03",
                "the gzip stream does not end at byte 12",
            ),
        ];
        for (frame, message) in expected {
            assert_eq!(problem(frame), message);
        }
    }

    #[test]
    fn streams_behind_the_first_are_joined_to_it() {
        let frame = flagged(&[gzipped(b"[:a/b "), gzipped(b""), gzipped(b"1]")].concat());
        assert_eq!(open(&frame).unwrap(), "[:a/b 1]");
    }

    #[test]
    fn what_follows_the_last_stream_is_ignored_if_it_is_no_stream() {
        let stream = gzipped(b"[:a/b 1]");
        for rest in [&b"\0"[..], b"some text that goes on and on", &stream[..19]] {
            let frame = flagged(&[&stream, rest].concat());
            assert_eq!(open(&frame).unwrap(), "[:a/b 1]");
        }
        let broken = flagged(&[&stream[..], &stream[..24]].concat());
        assert!(problem(&broken).starts_with("the gzip stream does not end"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_bytes_open_to_more_than_the_limit(
            stream in proptest::collection::vec(any::<u8>(), 0..60),
            limit in 0_usize..50,
        ) {
            let mut limits = Limits::default();
            limits.max_opened_bytes = limit;
            // Most random bytes are no gzip stream, so that a header and a whole frame are tried, too.
            let header = b"\x01\x1f\x8b\x08\0\0\0\0\0\0\x03";
            for frame in [flagged(&stream), [header, &stream[..]].concat(), flagged(&gzipped(&stream)), stream] {
                if let Ok(opened) = Gzip::new(Edn).open(&Bytes::from(frame), &limits) {
                    prop_assert!(opened.len() <= limit);
                }
            }
        }
    }
}

mod limits {
    use super::*;

    fn limits(max_opened_bytes: usize) -> Limits {
        let mut limits = Limits::default();
        limits.max_opened_bytes = max_opened_bytes;
        limits
    }

    #[test]
    fn a_message_of_exactly_the_limit_opens_and_one_more_byte_is_too_much() {
        let gzip = Gzip::new(Edn).threshold(1);
        for length in [1, 100, 4095, 4096, 4097, 100_000] {
            for message in [vec![b'x'; length], noise(length)] {
                for frame in [
                    Bytes::from(seal(&gzip, &message)),
                    Bytes::from(flagged(&gzipped(&message))),
                ] {
                    assert_eq!(gzip.open(&frame, &limits(length)).unwrap(), message);
                    let error = gzip.open(&frame, &limits(length - 1)).unwrap_err();
                    assert!(
                        matches!(error, UnpackError::OverLimit { limit, .. } if limit == length - 1),
                        "{error:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_frame_that_would_inflate_to_much_more_is_refused_at_the_limit() {
        let bomb = Bytes::from(flagged(&gzipped(&vec![0; 32 << 20])));
        assert!(bomb.len() < 40_000, "{}", bomb.len());
        let error = Gzip::new(Edn).open(&bomb, &Limits::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "over the limit of 8388608 bytes when decompressed at byte 1"
        );
    }

    #[test]
    fn a_frame_may_say_that_it_inflates_to_anything() {
        let mut stream = gzipped(b"[:a/b 1]");
        let size = stream.len() - 4;
        stream[size..].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(problem(&flagged(&stream)).starts_with("the gzip stream has another checksum"));
    }

    #[test]
    fn a_frame_may_be_held_to_a_ratio() {
        let gzip = Gzip::new(Edn).max_ratio(Some(20));
        let words = (0..3000).map(|n| format!(" {}", n * n)).collect::<String>();
        let ordinary = Bytes::from(seal(&gzip, words.as_bytes()));
        assert_eq!(gzip.open(&ordinary, &Limits::default()).unwrap(), words);
        let bomb = Bytes::from(seal(&gzip, &[b'x'; 100_000]));
        let error = gzip.open(&bomb, &Limits::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "over the limit of 20 times its size for what is compressed at byte 1"
        );
        // The limit in bytes still counts.
        let error = gzip.open(&ordinary, &limits(100)).unwrap_err();
        assert!(matches!(error, UnpackError::OverLimit { limit: 100, .. }));
    }

    #[test]
    fn what_opened_holds_no_more_than_a_quarter_beyond_itself() {
        // The size it says is wrong by design: the memory must follow what there is.
        for length in [10, 5000, 100_000, 1_000_000] {
            let frame = Bytes::from(flagged(&gzipped(&vec![b'x'; length])));
            let opened = Gzip::new(Edn).open(&frame, &Limits::default()).unwrap();
            let held = opened.try_into_mut().unwrap().capacity();
            assert!(held <= length + length / 4, "{held} for {length}");
        }
    }
}

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_be_bytes()[0]
    })
    .take(length)
    .collect()
}
