//! Bytes to values to bytes to values, by the reader and by the cursor.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use sente_edn::{
    Cursor, Error, ErrorKind, Limits, Shape, Value, from_slice_with, read_first, to_string, to_vec,
};

use crate::dialects;

/// What is read and printed is read as the same value and printed as the same bytes.
///
/// # Panics
///
/// If that or anything else about the value or the error is not as it must be.
pub fn edn_value(data: &[u8]) {
    for limits in dialects() {
        let whole = from_slice_with(data, &limits);
        let first = read_first(data, &limits);
        match (&whole, &first) {
            (Ok(value), Ok(Some((first, end)))) => {
                assert!(value.identical(first));
                assert!(*end <= data.len());
                survives(value, &limits);
            }
            // Something follows the first form.
            (Err(error), Ok(Some((first, end)))) => {
                assert!(error.offset() >= *end);
                check_error(error, data);
                survives(first, &limits);
            }
            (Err(error), Ok(None)) => {
                assert!(error.is_incomplete());
                check_error(error, data);
            }
            (Err(whole), Err(first)) => {
                assert_eq!(whole, first);
                check_error(whole, data);
            }
            _ => panic!("{whole:?}, but first {first:?}"),
        }
    }
}

/// The value is printed on one line and comes back as it was.
fn survives(value: &Value, limits: &Limits) {
    let text = to_vec(value);
    assert_eq!(text, to_string(value).into_bytes());
    assert!(!text.contains(&b'\n') && !text.contains(&b'\r'));
    // A form may become longer in print, and a map with a namespace gets one for each key.
    let limits = limits.max_bytes(Limits::UNLIMITED);
    let again = from_slice_with(&text, &limits).unwrap_or_else(|error| {
        panic!("{error} in {}", String::from_utf8_lossy(&text));
    });
    assert!(again.identical(value), "{value} became {again}");
    assert_eq!(again, *value);
    assert_eq!(hash(&again), hash(value));
    assert_eq!(to_vec(&again), text);
    let copy = value.clone();
    drop(again);
    assert!(copy.identical(value));
}

fn hash(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn check_error(error: &Error, text: &[u8]) {
    assert!(error.offset() <= text.len());
    assert!(!error.to_string().is_empty());
    let (line, column) = error.line_column(text);
    assert!(line > 0 && column > 0);
    let is_end = matches!(error.kind(), ErrorKind::UnexpectedEnd { .. });
    assert_eq!(error.is_incomplete(), is_end);
}

/// The cursor finds the form that the reader reads, or the same fault, whether it steps over the
/// form or into it.
///
/// # Panics
///
/// If they differ.
pub fn edn_cursor(data: &[u8]) {
    for limits in dialects() {
        let first = read_first(data, &limits);
        let mut cursor = Cursor::new(data, &limits);
        let shape = cursor.peek();
        let skipped = match shape {
            Ok(None) => Ok(None),
            _ => cursor.skip().map(Some),
        };
        match (&first, &skipped) {
            (Ok(None), Ok(None)) => {}
            (Ok(Some((value, end))), Ok(Some(form))) => {
                assert_eq!(form.end(), *end);
                assert_eq!(form.start() + form.text().len(), form.end());
                assert_eq!(data.get(form.start()..form.end()), Some(form.text()));
                assert_eq!(shape, Ok(Some(form.shape())));
                let alone = from_slice_with(form.text(), &limits);
                assert!(alone.is_ok_and(|alone| alone.identical(value)));
                assert_eq!(step_through(data, &limits), Ok(*end));
            }
            (Err(by_reader), Err(by_cursor)) => {
                assert_eq!(by_reader, by_cursor);
                // A cursor that steps into sequences has not seen how they end, but it can not get
                // through them.
                assert!(step_through(data, &limits).is_err());
            }
            _ => panic!("{first:?}, but by the cursor {skipped:?}"),
        }
    }
}

/// Enters what can be entered, and says where the first form ends.
fn step_through(text: &[u8], limits: &Limits) -> Result<usize, Error> {
    let mut cursor = Cursor::new(text, limits);
    let mut depth = 0_usize;
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
        if depth == 0 {
            return Ok(cursor.offset());
        }
    }
}
