//! Transit's cache in frames, and the limits of what comes in.
#![allow(missing_docs)]

mod packer_transit_support;

use bytes::Bytes;
use packer_transit_support::{message, packed, read, value};
use sente_core::Limits;
use sente_core::packer::{Packer, TransitJson, TransitJsonVerbose, UnpackError};
use sente_edn::Value;

fn opened(text: &str) -> String {
    let limits = Limits::default();
    let opened = TransitJson::new().open(&Bytes::from(text.to_owned()), &limits);
    String::from_utf8(opened.unwrap_or_else(|e| panic!("{text}: {e}")).to_vec()).unwrap()
}

fn sealed(text: &str) -> String {
    let mut out = Vec::new();
    let packer = TransitJson::new().key_cache(true);
    packer.seal(text.as_bytes(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_reference_in_a_packed_value_is_an_error_because_it_could_mean_anything() {
    let packer = TransitJson::new();
    let error = packer.unpack(b"[\"~:abc\",\"^0\"]", &Limits::default());
    let error = error.unwrap_err().to_string();
    assert_eq!(error, "a reference in a packed value at byte 9");
}

#[test]
fn keys_keywords_symbols_and_tags_of_four_units_or_more_are_cached_each_where_it_may_be() {
    for (text, expected) in [
        // Three units with the prefix are too short to be worth it.
        ("[:a :a :ab :ab]", "[\"~:a\",\"~:a\",\"~:ab\",\"^0\"]"),
        ("[ab ab]", "[\"~$ab\",\"^0\"]"),
        // UTF-16 units, not bytes or characters.
        (
            "[:é :é :\u{1f600} :\u{1f600}]",
            "[\"~:é\",\"~:é\",\"~:\\uD83D\\uDE00\",\"^0\"]",
        ),
        // A string is cached as a key only, and then not where it is none.
        (
            "[\"abcd\" {\"abcd\" \"abcd\"} {\"abcd\" 1, \"abc\" 2}]",
            "[\"abcd\",[\"^ \",\"abcd\",\"abcd\"],[\"^ \",\"^0\",1,\"abc\",2]]",
        ),
        // Everything that is a string in a key is.
        (
            "[{1000 1} {1000 2} {1.5 1} {1.5 2}]",
            "[[\"^ \",\"~i1000\",1],[\"^ \",\"^0\",2],[\"^ \",\"~d1.5\",1],[\"^ \",\"^1\",2]]",
        ),
        (
            "[#{} #{} (1) {[] :set}]",
            "[[\"~#set\",[]],[\"^0\",[]],[\"~#list\",[1]],[\"~#cmap\",[[],\"~:set\"]]]",
        ),
        (
            "[#foo 1 #foo 2 #q \"long\" #q \"long\"]",
            "[[\"~#foo\",1],[\"^0\",2],\"~qlong\",\"~qlong\"]",
        ),
        // In a map with composite keys, keys are values.
        (
            "[{[] 1, \"abcd\" 2} {\"abcd\" 3}]",
            "[[\"~#cmap\",[[],1,\"abcd\",2]],[\"^ \",\"abcd\",3]]",
        ),
        (
            "[{:abc {:abc :abc}}]",
            "[[\"^ \",\"~:abc\",[\"^ \",\"^0\",\"^0\"]]]",
        ),
    ] {
        assert_eq!(message(&TransitJson::new(), &value(text)), expected);
        let again = read(&TransitJson::new(), expected).unwrap();
        assert!(again.identical(&value(text)), "{again}");
        let packed = packed(&TransitJson::new(), &value(text));
        assert_eq!(opened(expected), packed);
        assert_eq!(sealed(&packed), expected);
        assert!(!message(&TransitJsonVerbose::new(), &value(text)).contains("\"^"));
    }
}

/// Names long enough for the cache, in order.
fn names(count: usize) -> Vec<Value> {
    (0..count)
        .map(|index| Value::keyword(&format!("name{index}")).unwrap())
        .collect()
}

#[test]
fn codes_have_one_digit_below_44_and_two_above() {
    let mut items = names(44 * 44);
    for index in [0, 9, 10, 43, 44, 45, 87, 88, 1935] {
        items.push(items[index].clone());
    }
    let text = message(&TransitJson::new(), &items.clone().into());
    let codes = text.split_once("\"~:name1935\",").unwrap().1;
    assert_eq!(
        codes,
        "\"^0\",\"^9\",\"^:\",\"^[\",\"^10\",\"^11\",\"^1[\",\"^20\",\"^[[\"]"
    );
    assert_eq!(read(&TransitJson::new(), &text).unwrap(), items.into());
}

#[test]
fn a_full_cache_starts_anew_at_the_next_new_name() {
    let mut items = names(44 * 44);
    let [first, second] = [items[0].clone(), items[1].clone()];
    let new = Value::keyword("new-name").unwrap();
    // A known one does not start it anew, as with Java.
    items.extend([
        first.clone(),
        new.clone(),
        first.clone(),
        first.clone(),
        second,
        new,
    ]);
    let text = message(&TransitJson::new(), &items.clone().into());
    let codes = text.split_once("\"~:name1935\",").unwrap().1;
    assert_eq!(
        codes,
        "\"^0\",\"~:new-name\",\"~:name0\",\"^1\",\"~:name1\",\"^0\"]"
    );
    assert_eq!(read(&TransitJson::new(), &text).unwrap(), items.into());
}

#[test]
fn a_writer_that_starts_its_cache_anew_sooner_is_read() {
    // transit-js clears a full cache before it looks for a name in it.
    let mut text = String::from("[");
    for index in 0..44 * 44 {
        text.push_str(&format!("\"~:name{index}\","));
    }
    text.push_str("\"~:name5\",\"^0\",\"~:name6\",\"^1\",\"^2\"]");
    let value = read(&TransitJson::new(), &text).unwrap();
    let items = value.as_sequence().unwrap();
    let last: Vec<String> = items[44 * 44..].iter().map(Value::to_string).collect();
    // The third place still holds what it held.
    assert_eq!(last, [":name5", ":name5", ":name6", ":name6", ":name2"]);
}

#[test]
fn opening_writes_out_references_and_leaves_other_messages_as_they_are() {
    for (text, expected) in [
        (
            "[[\"^ \",\"~:id\",1],[\"^ \",\"^0\",2]]",
            "[[\"^ \",\"~:id\",1],[\"^ \",\"~:id\",2]]",
        ),
        // As it was written, escapes and all.
        (
            "[\"~:\\u0061b\", \"^0\" ]",
            "[\"~:\\u0061b\", \"~:\\u0061b\" ]",
        ),
        ("[\"~:abc\",\"\\u005e0\"]", "[\"~:abc\",\"~:abc\"]"),
        (
            "{\"abcd\":1,\"x\":{\"^0\":2}}",
            "{\"abcd\":1,\"x\":{\"abcd\":2}}",
        ),
        // The real readers find nil where nothing has been named.
        (
            "[\"^0\",[\"^ \",\"^0\",\"^1\"]]",
            "[null,[\"^ \",null,null]]",
        ),
        ("{\"^0\":\"^[[\"}", "{\"~_\":null}"),
        // What stands behind the message is ignored.
        ("[\"~:abc\",\"^0\"] ]", "[\"~:abc\",\"~:abc\"]"),
    ] {
        assert_eq!(opened(text), expected);
    }
    for text in [
        "[[\"^ \",\"a\",1]]",
        "[\"a\\\"^0\",\"~:abc\"]",
        "[\"~^0\"]",
        "[\"\\u005c\"]",
        "{",
    ] {
        let frame = Bytes::from(text.to_owned());
        let opened = TransitJson::new().open(&frame, &Limits::default()).unwrap();
        assert_eq!(opened.as_ptr(), frame.as_ptr(), "{text}");
        assert_eq!(opened, frame);
    }
}

#[test]
fn a_short_frame_full_of_references_is_no_bomb() {
    let mut text = format!("[\"~:{}\"", "a".repeat(10_000));
    text.push_str(&",\"^0\"".repeat(500));
    text.push(']');
    let frame = Bytes::from(text);
    let mut limits = Limits::default();
    let opened = TransitJson::new().open(&frame, &limits).unwrap();
    assert!(frame.len() < 13_000 && opened.len() > 5_000_000);
    limits.max_opened_bytes = opened.len();
    assert!(TransitJson::new().open(&frame, &limits).is_ok());
    limits.max_opened_bytes = opened.len() - 1;
    let error = TransitJson::new().open(&frame, &limits).unwrap_err();
    assert!(
        matches!(&error, UnpackError::OverLimit { what: "bytes", limit, .. } if *limit == opened.len() - 1),
        "{error:?}"
    );
}

#[test]
fn depth_and_elements_are_limited_in_every_form() {
    let mut limits = Limits::default();
    limits.max_depth = 3;
    let packer = TransitJson::new();
    for (fits, too_deep) in [
        ("[[[1]]]", "[[[[1]]]]"),
        (
            "[\"~#set\",[[\"~#list\",[[\"~#cmap\",[[\"~#ratio\",[1,2]],1]]]]]]",
            "[\"~#set\",[[\"~#list\",[[\"~#set\",[[]]]]]]]",
        ),
        (
            "[\"~#x\",[\"~#y\",[\"~#w\",\"~:x\"]]]",
            "[\"~#foo\",[\"~#foo\",[\"~#foo\",[]]]]",
        ),
        ("{\"a\":{\"a\":{\"a\":1}}}", "{\"a\":{\"a\":{\"a\":{}}}}"),
        (
            "[\"~#'\",[\"~#'\",[\"~#'\",1]]]",
            "[\"~#'\",[\"~#'\",[\"~#'\",[\"~#'\",1]]]]",
        ),
    ] {
        let refused = |result: Result<(), UnpackError>| {
            matches!(
                result,
                Err(UnpackError::OverLimit {
                    what: "levels of nesting",
                    limit: 3..,
                    ..
                })
            )
        };
        let skip = |text: &str| {
            packer.walk(text.as_bytes(), &limits, &mut |cursor| {
                cursor.skip().map(drop)
            })
        };
        assert!(packer.unpack(fits.as_bytes(), &limits).is_ok(), "{fits}");
        skip(fits).unwrap();
        assert!(
            refused(packer.unpack(too_deep.as_bytes(), &limits).map(drop)),
            "{too_deep}"
        );
        assert!(refused(skip(too_deep)), "{too_deep}");
    }
    let mut limits = Limits::default();
    limits.max_elements = 5;
    assert!(packer.unpack(b"[1,2,3,4]", &limits).is_ok());
    let error = packer.unpack(b"[1,2,3,4,5]", &limits).unwrap_err();
    assert!(
        matches!(
            error,
            UnpackError::OverLimit {
                what: "elements",
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn hostile_depth_takes_no_stack() {
    let mut limits = Limits::default();
    limits.max_depth = 100_000;
    for (open, close) in [
        ("[", "]"),
        ("[\"~#set\",[", "]]"),
        ("{\"~#x\":", "}"),
        ("[\"~#'\",", "]"),
    ] {
        for count in [90_000, 300_000] {
            let text = format!("{}1{}", open.repeat(count), close.repeat(count));
            let packer = TransitJson::new();
            let value = packer.unpack(text.as_bytes(), &limits);
            assert_eq!(value.is_ok(), count < 100_000);
            let value = value.unwrap_or_default();
            let mut out = Vec::new();
            packer.pack_message(&value, &mut out).unwrap();
            TransitJsonVerbose::new().pack(&value, &mut out).unwrap();
            let frame = Bytes::from(format!("[\"~:abc\",\"^0\",{text}]"));
            assert_eq!(
                packer.open(&frame, &limits).is_ok(),
                count < 100_000,
                "{open}"
            );
        }
    }
}
