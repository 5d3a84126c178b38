//! What holds of Transit for any value and for any bytes.
#![allow(missing_docs)]

#[path = "../../core/edn/tests/random_values/mod.rs"]
mod random_values;

use bytes::Bytes;
use proptest::prelude::*;
use random_values::{name, value};
use sente_core::Limits;
use sente_core::packer::{Cursor, Packer, Shape, TransitJson, TransitJsonVerbose, UnpackError};
use sente_edn::{Symbol, Tagged, Value};

fn packers() -> [Box<dyn Packer>; 3] {
    [
        Box::new(TransitJson::new()),
        Box::new(TransitJson::new().key_cache(true)),
        Box::new(TransitJsonVerbose::new()),
    ]
}

/// Transit's own letters and names, which are no tags of EDN's.
const OWN: &[&str] = &[
    "b",
    "c",
    "cmap",
    "d",
    "f",
    "i",
    "list",
    "m",
    "n",
    "ratio",
    "set",
    "t",
    "u",
    "with-meta",
    "z",
];

fn has_own_tag(value: &Value) -> bool {
    let text = value.to_string();
    OWN.iter().any(|tag| text.contains(&format!("#{tag} ")))
}

/// Steps over everything, into what can be entered, and says how many steps that took.
fn step_through(packer: &dyn Packer, packed: &[u8]) -> Result<usize, UnpackError> {
    let mut steps = 0;
    packer.walk(
        packed,
        &Limits::default(),
        &mut |cursor: &mut dyn Cursor| {
            let mut depth = 0;
            loop {
                match cursor.peek()? {
                    Some(Shape::List | Shape::Vector) => {
                        cursor.enter()?;
                        depth += 1;
                    }
                    Some(Shape::Keyword) => {
                        cursor.keyword()?;
                    }
                    Some(_) => {
                        cursor.skip()?;
                    }
                    None => {
                        cursor.leave()?;
                        depth -= 1;
                    }
                }
                steps += 1;
                if depth == 0 {
                    return Ok(());
                }
            }
        },
    )?;
    Ok(steps)
}

/// The bytes where the first value stands, and whether it is truthy.
fn skip(packer: &dyn Packer, packed: &[u8]) -> Result<(usize, usize, Shape, bool), UnpackError> {
    let mut found = None;
    packer.walk(
        packed,
        &Limits::default(),
        &mut |cursor: &mut dyn Cursor| {
            let shape = cursor.peek()?;
            let span = cursor.skip()?;
            assert_eq!(shape, Some(span.shape));
            found = Some((span.start, span.end, span.shape, span.truthy));
            Ok(())
        },
    )?;
    Ok(found.unwrap())
}

fn shape_of(value: &Value) -> Shape {
    match value {
        Value::Nil => Shape::Nil,
        Value::Bool(_) => Shape::Bool,
        Value::Char(_) => Shape::Char,
        Value::String(_) => Shape::String,
        Value::Keyword(_) => Shape::Keyword,
        Value::Symbol(_) => Shape::Symbol,
        Value::List(_) => Shape::List,
        Value::Vector(_) => Shape::Vector,
        Value::Set(_) => Shape::Set,
        Value::Map(_) => Shape::Map,
        Value::Inst(_) | Value::Uuid(_) | Value::Tagged(_) => Shape::Tagged,
        _ => Shape::Number,
    }
}

fn survives(packer: &dyn Packer, value: &Value) -> Result<(), TestCaseError> {
    let limits = Limits::default();
    let mut packed = Vec::new();
    if let Err(error) = packer.pack(value, &mut packed) {
        prop_assert!(has_own_tag(value), "{value}: {error}");
        return Ok(());
    }
    let text = String::from_utf8_lossy(&packed).into_owned();
    let again = packer.unpack(&packed, &limits).unwrap();
    prop_assert!(again.identical(value), "{value} became {again} by {text}");
    // Every JSON reader takes it, and no line ends early.
    prop_assert!(serde_json::from_slice::<serde_json::Value>(&packed).is_ok());
    prop_assert!(!packed.contains(&b'\n') && !packed.contains(&b'\r'));
    // What is packed is its own message.
    let packed = Bytes::from(packed);
    let opened = packer.open(&packed, &limits).unwrap();
    prop_assert_eq!(opened.as_ptr(), packed.as_ptr());
    prop_assert_eq!(
        skip(packer, &packed).unwrap(),
        (
            0,
            packed.len(),
            shape_of(value),
            !matches!(value, Value::Nil | Value::Bool(false))
        )
    );
    step_through(packer, &packed).unwrap();
    // And as a whole message, which is never longer, but for the quotes around a scalar.
    let mut frame = Vec::new();
    packer.pack_message(value, &mut frame).unwrap();
    prop_assert!(frame.len() <= packed.len() + 9);
    let opened = packer.open(&Bytes::from(frame.clone()), &limits).unwrap();
    if packed
        .first()
        .is_some_and(|first| matches!(first, b'[' | b'{'))
    {
        prop_assert_eq!(&opened, &packed);
        let mut sealed = Vec::new();
        packer.seal(&packed, &mut sealed).unwrap();
        prop_assert_eq!(sealed == frame, packer.seals() || frame == packed);
    }
    let again = packer.unpack_message(&Bytes::from(frame), &limits).unwrap();
    prop_assert!(again.identical(value));
    Ok(())
}

/// No panic; where the cursor gets through, so does the reader; and what was read survives.
fn holds_together(packer: &dyn Packer, data: &[u8]) -> Result<(), TestCaseError> {
    let limits = Limits::default();
    let Ok(opened) = packer.open(&Bytes::copy_from_slice(data), &limits) else {
        return Ok(());
    };
    prop_assert!(opened.len() <= limits.max_opened_bytes);
    let value = packer.unpack(&opened, &limits);
    let skipped = skip(packer, &opened);
    prop_assert_eq!(value.is_ok(), skipped.is_ok());
    let (Ok(value), Ok((start, end, shape, truthy))) = (value, skipped) else {
        return Ok(());
    };
    prop_assert_eq!(shape, shape_of(&value));
    prop_assert_eq!(truthy, !matches!(value, Value::Nil | Value::Bool(false)));
    let alone = packer.unpack(&opened[start..end], &limits).unwrap();
    prop_assert!(alone.identical(&value));
    step_through(packer, &opened).unwrap();
    let twice = packer.open(&opened, &limits).unwrap();
    prop_assert_eq!(twice.as_ptr(), opened.as_ptr());
    // A tag that EDN shows and Transit has no value for is written otherwise, if at all.
    let text = value.to_string();
    let lossy = ["#array/", "#transit/", "#bytes/"];
    if !has_own_tag(&value) && !lossy.iter().any(|tag| text.contains(tag)) {
        let beyond = text.chars().any(|c| c > '\u{ffff}');
        if !beyond {
            survives(packer, &value)?;
        }
    }
    Ok(())
}

/// Bytes that are often Transit's own.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        6 => proptest::sample::select(&[
            "[", "]", "{", "}", ",", ",", ",", ":", "\"^ \",", "\"^0\"", "\"^1\"", "\"^10\"",
            "\"~#set\",", "\"~#list\",", "\"~#cmap\",", "\"~#'\",", "\"~#ratio\",", "\"~#foo\",",
            "\"~#with-meta\",", "\"~:abc\"", "\"~:a\"", "\"abcd\"", "\"~$ab\"", "\"~i7\"",
            "\"~m0\"", "\"~#u\",", "\"~uf81d4fae-7dec-11d0-a765-00a0c91e6bf6\"", "\"~bAQI=\"",
            "\"~_\"", "\"~?t\"", "\"~zNaN\"", "\"~n5\"", "\"~c\"", "\"\\u005e0\"",
            "\"\\u007e:xyz\"", "null", "true", "1", "-2.5", " ", "\n",
        ][..]).prop_map(|part| part.as_bytes().to_vec()),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
        1 => "\"[~^`#:$a0 ]{0,4}\"".prop_map(String::into_bytes),
    ];
    proptest::collection::vec(part, 0..14).prop_map(|parts| parts.concat())
}

/// Transit that is well-formed JSON, so that more of it means something.
fn transit() -> impl Strategy<Value = String> {
    let atom = prop_oneof![
        "\"[~^][#:$0a_i'][a-z0-9]{0,3}\"",
        "\"[a-c]{3,5}\"",
        "(null|true|7|1\\.5|\"~i7\"|\"~n7\"|\"\\^ \")",
    ];
    atom.prop_recursive(4, 30, 6, |inner| {
        let items = proptest::collection::vec(inner.clone(), 0..6);
        let tag = "(\"~#(set|list|cmap|ratio|foo|'|with-meta|u|m)\"|\"\\^[01]\")";
        prop_oneof![
            items
                .clone()
                .prop_map(|items| format!("[{}]", items.join(","))),
            items.prop_map(|items| {
                let items: String = items.iter().map(|item| format!(",{item}")).collect();
                format!("[\"^ \"{items}]")
            }),
            (tag, inner.clone()).prop_map(|(tag, rep)| format!("[{tag},{rep}]")),
            (tag, inner.clone()).prop_map(|(tag, rep)| format!("{{{tag}:{rep}}}")),
            proptest::collection::vec(("\"[~^]?[:a-c0]{1,5}\"", inner), 0..3).prop_map(|entries| {
                let entries: Vec<_> = entries
                    .iter()
                    .map(|(key, value)| format!("{key}:{value}"))
                    .collect();
                format!("{{{}}}", entries.join(","))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_value_survives_being_packed_and_unpacked(value in value()) {
        for packer in packers() {
            survives(&*packer, &value)?;
        }
    }

    #[test]
    fn bytes_and_unreadable_names_survive(
        bytes in any::<Vec<u8>>(),
        tag in prop_oneof![name(), any::<String>(), Just(":".into()), Just("m".into())],
        text in prop_oneof![any::<String>(), any::<i64>().prop_map(|n| n.to_string())],
    ) {
        use base64::Engine as _;
        let tagged = |tag: &str, value: Value| {
            Value::from(Tagged::new(Symbol::new(tag).unwrap(), value).unwrap())
        };
        let text = tagged("transit/tagged", vec![tag.into(), Value::from(text)].into());
        let bytes = tagged(
            "bytes/b64",
            base64::prelude::BASE64_STANDARD.encode(bytes).into(),
        );
        for packer in packers() {
            survives(&*packer, &bytes)?;
            survives(&*packer, &text)?;
            survives(&*packer, &vec![text.clone(), bytes.clone()].into())?;
            let map = [(text.clone(), bytes.clone()), (bytes.clone(), text.clone())];
            survives(&*packer, &sente_edn::Map::from(map).into())?;
        }
    }

    #[test]
    fn no_bytes_panic_and_the_cursor_agrees_with_the_reader(data in bytes()) {
        for packer in packers() {
            holds_together(&*packer, &data)?;
        }
    }

    #[test]
    fn no_text_panics_and_the_cursor_agrees_with_the_reader(text in transit()) {
        for packer in packers() {
            holds_together(&*packer, text.as_bytes())?;
        }
    }

    #[test]
    fn a_message_means_the_same_with_and_without_references(text in transit()) {
        let packer = TransitJson::new();
        let limits = Limits::default();
        let opened = packer.open(&Bytes::from(text), &limits);
        if let Ok(opened) = opened
            && let Ok(value) = packer.unpack(&opened, &limits)
        {
            let mut sealed = Vec::new();
            TransitJson::new().key_cache(true).seal(&opened, &mut sealed).unwrap();
            prop_assert!(sealed.len() <= opened.len());
            let again = packer.open(&Bytes::from(sealed), &limits).unwrap();
            prop_assert!(packer.unpack(&again, &limits).unwrap().identical(&value));
            prop_assert_eq!(again, opened);
        }
    }
}
