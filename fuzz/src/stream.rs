//! Streams in chunks against the whole text.

use sente_edn::{Cursor, ErrorKind, Limits, StreamReader, Value, from_slice_with, read_first};

use crate::{Dice, dialects};

/// Where a form stands, its text, and what it says.
type Found = (u64, Vec<u8>, Value);
/// The forms, and why and where there are no more of them.
type Outcome = (Vec<Found>, Option<(ErrorKind, u64)>);

/// A stream gives the forms and the error of the whole, however it is split, and within limits
/// that it hits the split makes no difference either.
///
/// # Panics
///
/// If it does.
pub fn edn_stream(data: &[u8]) {
    let mut dice = Dice::new(data);
    for limits in dialects() {
        let whole = by_the_whole(data, &limits);
        check_splits(data, &limits, &whole, &mut dice);

        let tight = limits
            .max_bytes(dice.below(data.len()))
            .max_depth(dice.below(8))
            .max_elements(dice.below(20));
        let whole = by_chunks(data, &tight, || data.len());
        check_splits(data, &tight, &whole, &mut dice);
    }
}

fn check_splits(data: &[u8], limits: &Limits, whole: &Outcome, dice: &mut Dice) {
    assert_eq!(&by_chunks(data, limits, || 1), whole);
    assert_eq!(&by_chunks(data, limits, || data.len()), whole);
    for most in [3, 16, 100] {
        assert_eq!(&by_chunks(data, limits, || dice.below(most)), whole);
    }
}

/// Reads form by form without a stream.
fn by_the_whole(data: &[u8], limits: &Limits) -> Outcome {
    let mut forms = Vec::new();
    let mut at = 0;
    loop {
        let rest = data.get(at..).unwrap_or_default();
        match read_first(rest, limits) {
            Ok(Some((value, end))) => {
                let form = Cursor::new(rest, limits).skip().ok();
                let (start, text) =
                    form.map_or((0, Vec::new()), |form| (form.start(), form.text().to_vec()));
                forms.push(((at + start) as u64, text, value));
                at += end;
            }
            Ok(None) => return (forms, None),
            Err(error) => {
                let offset = (at + error.offset()) as u64;
                return (forms, Some((error.kind().clone(), offset)));
            }
        }
    }
}

fn by_chunks(data: &[u8], limits: &Limits, mut size: impl FnMut() -> usize) -> Outcome {
    let mut reader = StreamReader::new(limits);
    let mut values = StreamReader::new(limits);
    let mut forms = Vec::new();
    let mut rest = data;
    let alone = limits.max_elements(Limits::UNLIMITED);
    loop {
        if rest.is_empty() {
            reader.finish();
            values.finish();
        }
        loop {
            match reader.next_form() {
                Ok(Some(form)) => {
                    let value = from_slice_with(form.text(), &alone);
                    let value = value.unwrap_or_else(|error| panic!("{error}: {form:?}"));
                    assert!(
                        values.next_value().is_ok_and(|other| {
                            other.is_some_and(|other| other.identical(&value))
                        })
                    );
                    assert_eq!(form.end() - form.start(), form.text().len() as u64);
                    forms.push((form.start(), form.text().to_vec(), value));
                }
                Ok(None) => {
                    assert_eq!(values.next_value(), Ok(None));
                    break;
                }
                Err(error) => {
                    assert_eq!(values.next_value(), Err(error.clone()));
                    assert!(!error.is_incomplete() || rest.is_empty());
                    return (forms, Some((error.kind().clone(), error.offset())));
                }
            }
        }
        if rest.is_empty() {
            assert!(reader.unread().is_empty() && reader.open_since().is_none());
            return (forms, None);
        }
        let (chunk, more) = rest.split_at(size().clamp(1, rest.len()));
        reader.feed(chunk);
        values.feed(chunk);
        rest = more;
    }
}
