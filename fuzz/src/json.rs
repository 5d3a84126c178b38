//! The JSON packer: bytes to values to bytes, and by the cursor.

use bytes::Bytes;
use sente_core::Limits;
use sente_core::packer::{Json, Packer, Shape, Span, UnpackError};
use sente_edn::Value;

use crate::Dice;

/// What is unpacked is packed again, comes back as it was, and is packed alike again; and what is
/// JSON to `serde_json` is so here.
///
/// # Panics
///
/// If that does not hold.
pub fn json_value(data: &[u8]) {
    let limits = some_limits(data);
    let mut taken = false;
    for json in [Json::new(), Json::new().keyword_keys(false)] {
        match json.unpack(data, &limits) {
            Ok(value) => {
                taken = true;
                survives(&json, &value, &limits);
            }
            Err(error) => {
                assert!(!taken, "how keys are read decides what is JSON");
                check_error(&error, data);
            }
        }
        let message = json.unpack_message(&Bytes::copy_from_slice(data), &limits);
        assert_eq!(message.is_ok(), taken);
    }
    agrees_with_serde_json(data);
}

fn survives(json: &Json, value: &Value, limits: &Limits) {
    let text = pack(json, value);
    assert!(!text.contains(&b'\n') && !text.contains(&b'\r'));
    let again = json
        .unpack(&text, limits)
        .unwrap_or_else(|error| panic!("{error} in {}", String::from_utf8_lossy(&text)));
    // Numbers that no float holds are infinite, and JSON has no infinities.
    let may_be_infinite = value.to_string().contains("##");
    assert!(
        may_be_infinite || again.identical(value),
        "{value} became {again}"
    );
    assert_eq!(pack(json, &again), text);
}

fn pack(json: &Json, value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    json.pack(value, &mut out)
        .unwrap_or_else(|error| panic!("{error}: {value}"));
    out
}

fn agrees_with_serde_json(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    // serde_json stops at 128 levels.
    let mut limits = Limits::default();
    limits.max_depth = 100;
    let mut end = 0;
    let walked = Json::new().walk(data, &limits, &mut |cursor| {
        end = cursor.skip()?.end;
        Ok(())
    });
    if !matches!(walked, Err(UnpackError::OverLimit { .. })) {
        let rest = data.get(end..).unwrap_or_default();
        let blank = |byte: &u8| b" \n\r\t".contains(byte);
        let ours = walked.is_ok() && rest.iter().all(blank);
        let theirs = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        assert_eq!(ours, theirs, "{text}");
    }
}

/// The cursor finds the value that is unpacked, or the same fault, whether it steps over the value
/// or into it.
///
/// # Panics
///
/// If they differ.
pub fn json_cursor(data: &[u8]) {
    let json = Json::new();
    let limits = some_limits(data);
    let value = json.unpack(data, &limits);
    let mut first = None;
    let walked = json.walk(data, &limits, &mut |cursor| {
        let shape = cursor.peek()?;
        let span = cursor.skip()?;
        assert_eq!(shape, Some(span.shape));
        first = Some(span);
        Ok(())
    });
    let mut end = None;
    let stepped = json.walk(data, &limits, &mut |cursor| {
        let mut depth = 0_usize;
        loop {
            match cursor.peek()? {
                Some(Shape::Vector) => {
                    cursor.enter()?;
                    depth = depth.saturating_add(1);
                }
                Some(Shape::Keyword) => {
                    let (name, span) = cursor.keyword_span()?;
                    assert!(!name.starts_with(':') && name.contains('/'));
                    assert!(matches!(slice(data, &span), [b'"', .., b'"']));
                }
                Some(_) => end = Some(cursor.skip()?.end),
                None if depth == 0 => return Ok(()),
                None => {
                    cursor.leave()?;
                    depth = depth.saturating_sub(1);
                }
            }
        }
    });
    match (value, walked, first) {
        (Ok(value), Ok(()), Some(span)) => {
            stepped.unwrap();
            assert!(end.is_none_or(|end| end <= span.end));
            check_span(&span, &value, data);
            check_entries(&json, &limits, slice(data, &span));
        }
        (Err(by_unpack), Err(by_cursor), None) => {
            let nothing = data.iter().all(u8::is_ascii_whitespace);
            assert!(nothing || by_unpack == by_cursor, "{by_unpack} {by_cursor}");
            assert!(nothing || stepped.is_err());
        }
        other => panic!("{other:?}"),
    }
}

fn check_span(span: &Span, value: &Value, data: &[u8]) {
    let text = slice(data, span);
    let alone = Json::new().unpack(text, &Limits::default());
    if let Ok(alone) = alone {
        assert!(alone.identical(value));
    }
    let breaks = text.contains(&b'\n') || text.contains(&b'\r');
    assert_eq!(span.line_safe, !breaks);
    assert_eq!(
        span.truthy,
        !matches!(value, Value::Nil | Value::Bool(false))
    );
    assert!(span.portable);
}

/// Each key and value of an object is visited, and the value is where the span says.
fn check_entries(json: &Json, limits: &Limits, object: &[u8]) {
    json.entries(object, limits, &mut |_, span| {
        json.unpack(slice(object, &span), limits).unwrap();
    });
}

fn slice<'d>(data: &'d [u8], span: &Span) -> &'d [u8] {
    data.get(span.start..span.end).unwrap()
}

fn check_error(error: &UnpackError, data: &[u8]) {
    let (UnpackError::Other { offset, .. } | UnpackError::OverLimit { offset, .. }) = error else {
        panic!("{error:?}");
    };
    assert!(*offset <= data.len());
}

/// The default limits, or narrow ones.
fn some_limits(data: &[u8]) -> Limits {
    let mut dice = Dice::new(data);
    let mut limits = Limits::default();
    if dice.below(4) == 0 {
        limits.max_depth = dice.below(8);
        limits.max_elements = dice.below(64);
    }
    limits
}
