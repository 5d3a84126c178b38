//! The Transit packers: frames to messages to values to bytes, and by the cursor.

use bytes::Bytes;
use sente_core::Limits;
use sente_core::packer::{Cursor, Packer, Shape, TransitJson, TransitJsonVerbose, UnpackError};
use sente_edn::Value;

use crate::Dice;

/// A frame is opened to a message within its limits that holds no references, seals to a frame that
/// opens to the same message, and means the same value to the cursor and to the reader, whichever
/// packer reads it.
///
/// # Panics
///
/// If that does not hold.
pub fn transit_message(data: &[u8]) {
    let limits = some_limits(data);
    let packer = TransitJson::new().key_cache(true);
    let frame = Bytes::copy_from_slice(data);
    let opened = match packer.open(&frame, &limits) {
        Ok(opened) => opened,
        Err(error) => return check_error(&error, data),
    };
    assert!(opened.len() <= limits.max_opened_bytes.max(data.len()));
    let value = packer.unpack(&opened, &limits);
    let by_verbose = TransitJsonVerbose::new().unpack_message(&frame, &limits);
    check_cursor(&packer, &opened, &value, &limits);
    let value = match (value, by_verbose) {
        (Ok(value), Ok(by_verbose)) => {
            assert!(value.identical(&by_verbose));
            value
        }
        (Err(error), Err(by_verbose)) => {
            assert_eq!(error, by_verbose);
            return check_error(&error, &opened);
        }
        (value, by_verbose) => panic!("{value:?}, but as verbose {by_verbose:?}"),
    };
    let again = packer.open(&opened, &limits).unwrap();
    assert_eq!(again.as_ptr(), opened.as_ptr());
    let mut sealed = Vec::new();
    packer.seal(&opened, &mut sealed).unwrap();
    assert!(sealed.len() <= opened.len());
    let again = packer
        .open(&Bytes::from(sealed), &Limits::default())
        .unwrap();
    assert!(opened.starts_with(&again));
    // What was behind the message is no part of it.
    let again = packer.unpack(&again, &limits).unwrap();
    assert!(again.identical(&value));
}

/// What is unpacked can be packed, in both texts, and comes back as it was, alone and as a message;
/// but for the few values that Transit has no form for.
///
/// # Panics
///
/// If that does not hold.
pub fn transit_value(data: &[u8]) {
    let frame = Bytes::copy_from_slice(data);
    let Ok(value) = TransitJson::new().unpack_message(&frame, &Limits::default()) else {
        return;
    };
    let text = value.to_string();
    // A character beyond 16 bits is written as a string, arrays of one type as plain ones.
    let is_lossy = text.contains("#array/") || text.chars().any(|c| c > '\u{ffff}');
    let packers: [&dyn Packer; 2] = [&TransitJson::new(), &TransitJsonVerbose::new()];
    for packer in packers {
        let mut packed = Vec::new();
        if let Err(error) = packer.pack(&value, &mut packed) {
            // A tag that Transit has a meaning for can come from EDN only.
            panic!("{error}: {text}");
        }
        assert!(!packed.contains(&b'\n') && !packed.contains(&b'\r'));
        // Two levels of JSON for one, and what EDN has no form for takes one more in turn.
        let mut limits = Limits::default();
        limits.max_depth *= 2;
        let again = packer.unpack(&packed, &limits).unwrap();
        assert!(is_lossy || again.identical(&value), "{text} became {again}");
        let mut twice = Vec::new();
        packer.pack(&again, &mut twice).unwrap();
        assert!(is_lossy || twice == packed);
        let mut message = Vec::new();
        packer.pack_message(&value, &mut message).unwrap();
        let again = packer
            .unpack_message(&Bytes::from(message), &limits)
            .unwrap();
        assert!(is_lossy || again.identical(&value), "{text} became {again}");
    }
}

/// The cursor finds the value that is unpacked, or the same fault, whether it steps over the value
/// or into it.
fn check_cursor(
    packer: &dyn Packer,
    packed: &Bytes,
    value: &Result<Value, UnpackError>,
    limits: &Limits,
) {
    let mut first = None;
    let walked = packer.walk(packed, limits, &mut |cursor| {
        let shape = cursor.peek()?;
        let span = cursor.skip()?;
        assert_eq!(shape, Some(span.shape));
        first = Some(span);
        Ok(())
    });
    let stepped = packer.walk(packed, limits, &mut step_through);
    match (value, walked, first) {
        (Ok(value), Ok(()), Some(span)) => {
            stepped.unwrap();
            let text = packed.get(span.start..span.end).unwrap();
            let alone = packer.unpack(text, limits).unwrap();
            assert!(alone.identical(value));
            let breaks = text.contains(&b'\n') || text.contains(&b'\r');
            assert_eq!(span.line_safe, !breaks);
            let falsy = matches!(value, Value::Nil | Value::Bool(false));
            assert_eq!(span.truthy, !falsy);
            packer.entries(text, limits, &mut |key, span| {
                let behind = packer.unpack(&text[span.start..span.end], limits).unwrap();
                // Of equal keys the last counts, and the cursor sees them all.
                assert!(value.get_keyword(key).is_some(), "{key} {behind}");
            });
        }
        (Err(_), Err(_), None) => assert!(stepped.is_err() || packed.trim_ascii().is_empty()),
        other => panic!("{other:?}"),
    }
}

fn step_through(cursor: &mut dyn Cursor) -> Result<(), UnpackError> {
    let mut depth = 0_usize;
    loop {
        match cursor.peek()? {
            Some(Shape::Vector | Shape::List) => {
                cursor.enter()?;
                depth = depth.saturating_add(1);
            }
            Some(Shape::Keyword) => {
                cursor.keyword()?;
            }
            Some(_) => {
                cursor.skip()?;
            }
            None if depth == 0 => return Ok(()),
            None => {
                cursor.leave()?;
                depth = depth.saturating_sub(1);
            }
        }
    }
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
        limits.max_opened_bytes = dice.below(256);
    }
    limits
}
