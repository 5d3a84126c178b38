//! Opening, sealing and walking over MessagePack frames, and what a hostile one comes to.
#![allow(missing_docs)]

mod packer_msgpack_support;

use bytes::Bytes;
use packer_msgpack_support::{edn, hex, pack, pack_message, read, show};
use sente_core::Limits;
use sente_core::packer::msgpack::Endian;
use sente_core::packer::{MsgPack, Packer, Shape, Span, UnpackError};
use sente_edn::Value;

fn open(frame: &[u8], limits: &Limits) -> Result<Bytes, UnpackError> {
    MsgPack::new().open(&Bytes::copy_from_slice(frame), limits)
}

fn opened(frame: &[u8]) -> Bytes {
    open(frame, &Limits::default()).unwrap()
}

fn skip(packed: &[u8]) -> Result<Span, UnpackError> {
    let mut span = None;
    MsgPack::new().walk(packed, &Limits::default(), &mut |cursor| {
        span = Some(cursor.skip()?);
        Ok(())
    })?;
    Ok(span.unwrap())
}

fn limits(change: impl Fn(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

#[test]
fn a_frame_without_references_is_its_own_message() {
    // With the bytes of a reference in a string, too, and in an integer.
    for text in ["[{:a 1} {:b 2}]", "{\"\\u0008\" 54280}", "[-11264 8]"] {
        let frame = Bytes::from(pack(&edn(text).unwrap()));
        let message = MsgPack::new().open(&frame, &Limits::default()).unwrap();
        assert_eq!(message.as_ptr(), frame.as_ptr(), "{text}");
    }
}

#[test]
fn references_are_written_out_wherever_they_stand() {
    for text in [
        "[{:a 1} {:a 2}]",
        "{\"s\" {\"s\" {\"s\" nil}}}",
        "{:a #{{:a 1} #{{:a 2 :bb 3} {:bb {:a 0}}}} :bb [#{}]}",
        "[{{:a 1} 2} {:a {{:a {:a 1}} 1}}]",
        "[{:a :a, \"a\" \"a\"} {\"a\" :a :a a}]",
    ] {
        let value = edn(text).unwrap();
        let frame = pack_message(&value);
        assert!(frame.windows(2).any(|bytes| bytes == [0xd4, 8]), "{text}");
        assert_eq!(show(&opened(&frame)), show(&pack(&value)), "{text}");
    }
}

#[test]
fn sets_get_the_right_length_whichever_form_that_takes() {
    // Sets within sets whose content grows past each length at which the head does.
    for length in [0, 1, 2, 5, 13, 14, 240, 255, 256, 65_520, 65_536, 70_000] {
        let key = "k".repeat(length);
        let text = format!("[{{\"{key}\" 0}} #{{#{{{{\"{key}\" 1}}}} #{{{{\"{key}\" 2}} 3}}}}]");
        let value = edn(&text).unwrap();
        let packed = pack(&value);
        assert!(read(&packed).unwrap().identical(&value), "{length}");
        let frame = pack_message(&value);
        assert!(read(&frame).unwrap().identical(&value), "{length}");
        assert_eq!(opened(&frame), packed, "{length}");
    }
}

#[test]
fn only_256_keys_have_a_number() {
    let mut text = String::from("[");
    for map in 0..2 {
        text.push('{');
        for key in 0..300 {
            text.push_str(&format!(":k{key} {map} "));
        }
        text.push('}');
    }
    let value = edn(&(text + "]")).unwrap();
    let frame = pack_message(&value);
    let references = frame.windows(2).filter(|bytes| *bytes == [0xd4, 8]);
    assert_eq!(references.count(), 256);
    assert!(read(&frame).unwrap().identical(&value));
    assert_eq!(opened(&frame), pack(&value));
}

#[test]
fn a_key_with_a_number_that_nothing_has_is_nil() {
    assert_eq!(read(&hex("81d4080501")).unwrap(), edn("{nil 1}").unwrap());
    assert_eq!(show(&opened(&hex("81d4080501"))), "81c001");
}

#[test]
fn a_reference_with_a_length_is_followed_as_the_short_one_is() {
    let expected = edn("[{\"a\" 1} {\"a\" 2}]").unwrap();
    for reference in ["d40800", "c7010800", "c800010800", "c9000000010800"] {
        let frame = hex(&format!("9281a1610181{reference}02"));
        assert_eq!(read(&frame).unwrap(), expected, "{reference}");
    }
}

#[test]
fn a_reference_where_no_key_stands_is_an_error() {
    for frame in [
        "d40800",
        "91d40800",
        "81a161d40800",
        "d70491d4080000000000",
        "d5080000",
    ] {
        assert!(read(&hex(frame)).is_err(), "{frame}");
        let opened = open(&hex(frame), &Limits::default());
        assert!(opened.and_then(|message| skip(&message)).is_err());
    }
    // And in packed bytes, which stand alone, it is one everywhere.
    assert!(skip(&hex("82a16101d4080002")).is_err());
}

#[test]
fn a_short_frame_of_many_references_to_a_long_key_is_not_opened() {
    let key = "k".repeat(60_000);
    let mut frame = vec![0xdc];
    frame.extend_from_slice(&1001_u16.to_be_bytes());
    frame.extend(pack(&edn(&format!("{{\"{key}\" 0}}")).unwrap()));
    for _ in 0..1000 {
        frame.extend_from_slice(&[0x81, 0xd4, 8, 0, 0]);
    }
    let bound = |bytes: usize| limits(|limits| limits.max_opened_bytes = bytes);
    let length = 3 + 1001 * (60_000 + 3 + 2);
    assert_eq!(open(&frame, &bound(length)).unwrap().len(), length);
    for most in [length - 1, 8 * 1024 * 1024, 0] {
        let error = open(&frame, &bound(most)).unwrap_err();
        assert!(
            matches!(error, UnpackError::OverLimit { what: "bytes", limit, .. } if limit == most),
            "{error}"
        );
        let unpacked = MsgPack::new().unpack(&frame, &bound(most));
        assert!(unpacked.is_err());
    }
}

#[test]
fn sealing_with_the_key_cache_is_what_sente_writes_and_never_longer() {
    let packer = MsgPack::new().key_cache(true);
    assert!(packer.seals() && packer.seal_overhead() == 0);
    for (text, is_shortened) in [
        ("[{:id 1 :name \"a\"} {:id 2 :name \"b\"}]", true),
        ("#{{:id 1} {:id 2}}", true),
        ("[{:a 1} {:b 2}]", false),
        // A reference takes a byte more than the key.
        ("[{\"a\" 1} {\"a\" 2}]", false),
    ] {
        let value = edn(text).unwrap();
        let packed = pack(&value);
        let mut sealed = vec![7];
        packer.seal(&packed, &mut sealed).unwrap();
        let sealed = sealed.split_off(1);
        assert!(sealed.len() <= packed.len(), "{text}");
        assert_eq!(sealed != packed, is_shortened, "{text}");
        assert_eq!(opened(&sealed), packed, "{text}");
        if is_shortened {
            assert_eq!(sealed, pack_message(&value), "{text}");
        }
        let mut copied = Vec::new();
        MsgPack::new().seal(&packed, &mut copied).unwrap();
        assert_eq!(copied, packed);
    }
    assert!(packer.seal(&[0xc1], &mut Vec::new()).is_err());
}

#[test]
fn keys_that_are_not_utf_8_are_not_taken_for_each_other() {
    // Two keys that read alike, and one that had a number before them.
    let packed = hex("9381a162 00 83a1ff01a1fe02a1cc03 83a1ff04a16205a1cc06");
    let mut sealed = Vec::new();
    let packer = MsgPack::new().key_cache(true);
    packer.seal(&packed, &mut sealed).unwrap();
    assert_eq!(opened(&sealed), packed);
}

#[test]
fn a_walk_gives_the_place_of_each_value_and_what_is_known_of_it() {
    let packed = pack(&edn("[[:chat/say {:a #{1}}] [] false \"x\"]").unwrap());
    let mut found = Vec::new();
    MsgPack::new()
        .walk(&packed, &Limits::default(), &mut |cursor| {
            assert!(cursor.leave().is_err());
            cursor.enter()?;
            cursor.enter()?;
            assert_eq!(cursor.peek()?, Some(Shape::Keyword));
            let (name, span) = cursor.keyword_span()?;
            assert_eq!(name, "chat/say");
            found.push(span);
            assert!(cursor.keyword().is_err() && cursor.enter().is_err());
            found.push(cursor.skip()?);
            cursor.leave()?;
            assert_eq!(cursor.peek()?, Some(Shape::Vector));
            cursor.enter()?;
            assert_eq!(cursor.peek()?, None);
            assert!(cursor.skip().is_err() && cursor.enter().is_err());
            cursor.leave()?;
            found.push(cursor.skip()?);
            found.push(cursor.skip()?);
            assert_eq!(cursor.peek()?, None);
            cursor.leave()?;
            assert_eq!(cursor.peek()?, None);
            Ok(())
        })
        .unwrap();
    let found: Vec<(Shape, &str, bool)> = found
        .iter()
        .map(|span| {
            let value = read(&packed[span.start..span.end]).unwrap().to_string();
            (span.shape, &*value.leak(), span.truthy)
        })
        .collect();
    assert_eq!(
        found,
        [
            (Shape::Keyword, ":chat/say", true),
            (Shape::Map, "{:a #{1}}", true),
            (Shape::Bool, "false", false),
            (Shape::String, "\"x\"", true),
        ]
    );
}

#[test]
fn every_kind_of_value_has_its_shape() {
    for (text, shape) in [
        ("nil", Shape::Nil),
        ("true", Shape::Bool),
        ("-1", Shape::Number),
        ("1.5", Shape::Number),
        ("1/3", Shape::Number),
        ("\\a", Shape::Char),
        ("\"a\"", Shape::String),
        (":a", Shape::Keyword),
        ("a", Shape::Symbol),
        ("[1]", Shape::Vector),
        ("#{1}", Shape::Set),
        ("{1 2}", Shape::Map),
        ("#inst \"2026\"", Shape::Tagged),
        (
            "#uuid \"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\"",
            Shape::Tagged,
        ),
        ("#bytes/b64 \"AAE=\"", Shape::Tagged),
        ("#array/double [1.5]", Shape::Tagged),
        ("#msgpack/ext [99 \"AAE=\"]", Shape::Tagged),
    ] {
        let packed = pack(&edn(text).unwrap());
        let span = skip(&packed).unwrap();
        assert_eq!((span.start, span.end, span.shape), (0, packed.len(), shape));
        assert!(span.portable, "{text}");
        MsgPack::new()
            .walk(&packed, &Limits::default(), &mut |cursor| {
                assert_eq!(cursor.peek()?, Some(shape));
                Ok(())
            })
            .unwrap();
    }
}

#[test]
fn what_some_peer_would_drop_a_frame_for_is_not_portable() {
    for packed in [
        "cf0000000000000005",
        "91cf8000000000000000",
        "d6ff5e0d5e25",
        "d80900112233445566778899aabbccddeeff",
    ] {
        let span = skip(&hex(packed)).unwrap();
        assert!(!span.portable, "{packed}");
        assert!(read(&hex(packed)).is_ok());
    }
}

#[test]
fn entries_have_keywords_and_strings_for_keys_and_none_are_in_what_is_no_map() {
    let packed = pack(&edn("{:a 1, \"b\" [2], c 3, 4 5, :d/e nil}").unwrap());
    let mut found = Vec::new();
    MsgPack::new().entries(&packed, &Limits::default(), &mut |key, span| {
        let value = read(&packed[span.start..span.end]).unwrap();
        found.push(format!("{key} {value}"));
    });
    assert_eq!(found, ["a 1", "b [2]", "d/e nil"]);
    for packed in ["", "90", "c0", "82a161", "81a161c1"] {
        MsgPack::new().entries(&hex(packed), &Limits::default(), &mut |key, _| {
            panic!("{key} in {packed}")
        });
    }
}

#[test]
fn what_follows_the_first_value_is_ignored() {
    assert_eq!(read(&hex("0102")).unwrap(), Value::Int(1));
    MsgPack::new()
        .walk(&hex("900102"), &Limits::default(), &mut |cursor| {
            cursor.skip()?;
            assert_eq!(cursor.peek()?, None);
            Ok(())
        })
        .unwrap();
    // Behind the array in a set as well.
    assert_eq!(
        read(&hex("c7040491a16101")).unwrap(),
        edn("#{\"a\"}").unwrap()
    );
}

#[test]
fn an_empty_message_has_nothing_in_it_and_is_no_value() {
    assert!(read(&[]).is_err());
    MsgPack::new()
        .walk(&[], &Limits::default(), &mut |cursor| {
            assert_eq!(cursor.peek()?, None);
            assert!(cursor.skip().is_err() && cursor.enter().is_err());
            Ok(())
        })
        .unwrap();
}

#[test]
fn lengths_that_the_message_does_not_have_are_an_error_at_once() {
    for frame in [
        "dbffffffff61",
        "c6ffffffff00",
        "c9ffffffff0a00",
        "ddffffffff",
        "dfffffffff00",
        "df80000001c0c0",
        "c9ffffffff0490",
        "c70504ddffffffff",
        "a1",
        "cd00",
        "d400",
    ] {
        assert!(read(&hex(frame)).is_err(), "{frame}");
        assert!(skip(&hex(frame)).is_err(), "{frame}");
    }
    // Arrays that each claim all that is left, one within the other.
    let mut frame = Vec::new();
    for level in 0..500_u16 {
        frame.extend_from_slice(&[0xdc]);
        frame.extend_from_slice(&(1497 - 3 * level).to_be_bytes());
    }
    let error = read(&frame).unwrap_err().to_string();
    assert_eq!(error, "more items than the message has bytes at byte 3");
}

#[test]
fn limits_hold_for_values_walks_and_frames_alike() {
    let depth = |levels: usize| limits(|limits| limits.max_depth = levels);
    let elements = |most: usize| limits(|limits| limits.max_elements = most);
    let nested = |levels: usize| {
        let mut packed = vec![0x91; levels];
        packed.push(0xc0);
        packed
    };
    let both = |packed: &[u8], limits: &Limits| {
        let value = MsgPack::new().unpack(packed, limits);
        let walked = MsgPack::new().walk(packed, limits, &mut |cursor| cursor.skip().map(drop));
        let value = value.map(drop);
        assert_eq!(value, walked);
        value
    };
    assert_eq!(both(&nested(512), &Limits::default()), Ok(()));
    assert!(matches!(
        both(&nested(513), &Limits::default()),
        Err(UnpackError::OverLimit {
            offset: 512,
            what: "levels of nesting",
            limit: 512
        })
    ));
    let sets = pack(&edn("#{#{#{1}}}").unwrap());
    assert_eq!(both(&sets, &depth(3)), Ok(()));
    assert!(both(&sets, &depth(2)).is_err());
    let entered = MsgPack::new().walk(&nested(3), &depth(2), &mut |cursor| {
        cursor.enter()?;
        cursor.enter()?;
        cursor.enter()
    });
    assert!(matches!(
        entered,
        Err(UnpackError::OverLimit { limit: 2, .. })
    ));

    let many = pack(&edn("[1 {:a 2} #{3} #array/int [4 5]]").unwrap());
    assert_eq!(both(&many, &elements(9)), Ok(()));
    assert!(matches!(
        both(&many, &elements(8)),
        Err(UnpackError::OverLimit {
            what: "elements",
            limit: 8,
            ..
        })
    ));
    assert!(both(&pack(&edn("[1]").unwrap()), &elements(0)).is_err());

    let referring = pack_message(&edn("[[{:a 1}] {:a 2}]").unwrap());
    assert!(open(&referring, &depth(3)).is_ok());
    assert!(open(&referring, &depth(2)).is_err());
    assert!(open(&referring, &elements(4)).is_err());
}

#[test]
fn a_hundred_thousand_levels_are_read_and_written_where_that_is_allowed() {
    const LEVELS: usize = 100_000;
    let deep = limits(|limits| limits.max_depth = LEVELS);
    let mut packed = vec![0x91; LEVELS];
    packed.push(0xc0);
    let value = MsgPack::new().unpack(&packed, &deep).unwrap();
    assert_eq!(pack(&value), packed);
    assert_eq!(pack_message(&value), packed);
    // Sets, whose heads are all written last.
    let mut value = edn("#{}").unwrap();
    for _ in 0..20_000 {
        value = Value::Set([value].into());
    }
    let packed = pack(&value);
    assert!(
        MsgPack::new()
            .unpack(&packed, &deep)
            .unwrap()
            .identical(&value)
    );
    assert_eq!(pack_message(&value), packed);
}

#[test]
fn extensions_that_are_not_known_are_kept_and_written_back() {
    for frame in [
        "d40a01",
        "d5fe0102",
        "c7007f",
        "c703630a0b0c",
        "d40020",
        "c703016e696c",
    ] {
        let value = read(&hex(frame)).unwrap();
        assert_eq!(value.as_tagged().unwrap().tag().as_str(), "msgpack/ext");
        assert_eq!(show(&pack(&value)), frame);
    }
    // An instant that no #inst can say.
    let frame = "c70cff000000007fffffffffffffff";
    assert_eq!(show(&pack(&read(&hex(frame)).unwrap())), frame);
}

#[test]
fn tagged_values_of_ours_are_written_only_if_they_are_what_the_tag_says() {
    let mut out = Vec::new();
    for text in [
        "#bytes/b64 \"?\"",
        "#bytes/b64 [1]",
        "#array/int [2147483648]",
        "#array/int [1.5]",
        "#array/int 1",
        "#array/double [:a]",
        "#msgpack/ext [128 \"\"]",
        "#msgpack/ext [1]",
        "#msgpack/ext [10 AA]",
        // What no peer could read, and a reference, which depends on what stands before it.
        "#msgpack/ext [4 \"AAAA\"]",
        "#msgpack/ext [9 \"AAAA\"]",
        "#msgpack/ext [8 \"AA==\"]",
        "#other 1",
    ] {
        let value = edn(text).unwrap();
        assert!(MsgPack::new().pack(&value, &mut out).is_err(), "{text}");
    }
}

#[test]
fn typed_arrays_are_in_the_order_of_bytes_that_was_asked_for() {
    let little = MsgPack::new().typed_arrays(Endian::Little);
    for (text, big_bytes, little_bytes) in [
        (
            "#array/int [1 -2]",
            "d70500000001fffffffe",
            "d70501000000feffffff",
        ),
        ("#array/float [0.1]", "d6063dcccccd", "d606cdcccc3d"),
        (
            "#array/double [1.5]",
            "d7073ff8000000000000",
            "d707000000000000f83f",
        ),
        ("#array/int []", "c70005", "c70005"),
    ] {
        let value = edn(text).unwrap();
        assert_eq!(show(&pack(&value)), big_bytes, "{text}");
        let mut out = Vec::new();
        little.pack(&value, &mut out).unwrap();
        assert_eq!(show(&out), little_bytes, "{text}");
        assert!(read(&hex(big_bytes)).unwrap().identical(&value), "{text}");
        let read = little.unpack(&out, &Limits::default()).unwrap();
        assert!(read.identical(&value), "{text}");
    }
    // Whatever else they share, packed values of one must not be taken for those of the other.
    assert_ne!(little.format(), MsgPack::new().format());
    assert_ne!(little.name(), MsgPack::new().name());
}

#[test]
fn with_safe_integers_only_those_are_packed_that_browsers_tell_apart() {
    let safe = MsgPack::new().safe_integers(true);
    let refused = |text: &str| {
        let value = edn(text).unwrap();
        assert!(MsgPack::new().pack(&value, &mut Vec::new()).is_ok());
        safe.pack(&value, &mut Vec::new()).is_err()
    };
    for text in [
        "9007199254740992",
        "-9007199254740992",
        "[9223372036854775807N]",
        "{1/9007199254740992 0}",
    ] {
        assert!(refused(text), "{text}");
    }
    for text in [
        "9007199254740991",
        "-9007199254740991",
        "1e300",
        "1/9007199254740991",
    ] {
        assert!(!refused(text), "{text}");
    }
    assert_eq!(safe.name(), "msgpack");
    assert_ne!(safe.format(), "msgpack");
}

#[test]
fn no_integer_is_ever_written_as_uint64() {
    for value in [u64::from(u32::MAX), 1 << 32, i64::MAX.unsigned_abs()] {
        assert_ne!(pack(&Value::from(value))[0], 0xcf, "{value}");
    }
    let large = Value::from(u64::MAX);
    assert!(MsgPack::new().pack(&large, &mut Vec::new()).is_err());
    // But read it is.
    assert_eq!(read(&hex("cfffffffffffffffff")).unwrap(), large);
}

#[test]
fn instants_are_read_to_the_millisecond_before_1970_as_well() {
    for (frame, text) in [
        (
            "c70cff000f423f0000000000000000",
            "1970-01-01T00:00:00.000-00:00",
        ),
        (
            "c70cff3b9ac9ffffffffffffffffff",
            "1969-12-31T23:59:59.999-00:00",
        ),
        ("d6ffffffffff", "2106-02-07T06:28:15.000-00:00"),
        ("d7ffee6b280000000001", "1970-01-01T00:00:02.000-00:00"),
    ] {
        let value = edn(&format!("#inst \"{text}\"")).unwrap();
        assert_eq!(read(&hex(frame)).unwrap(), value, "{frame}");
    }
    for frame in ["c700ff", "d4ff00", "d8ff00"] {
        assert!(read(&hex(frame)).is_err(), "{frame}");
    }
}
