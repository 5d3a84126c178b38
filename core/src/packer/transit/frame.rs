//! Messages as they travel, with references to strings named before, and without.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;
use memchr::memmem;

use super::cache::{ReadCache, WriteCache, is_cacheable, number_of, write_code};
use super::scan::{MAP, Strings};
use crate::limits::Limits;
use crate::packer::UnpackError;
use crate::packer::text::TextError;

/// The message in `frame`, every reference replaced by what it refers to: the same bytes if there
/// are none.
pub(super) fn open(frame: &Bytes, limits: &Limits) -> Result<Bytes, UnpackError> {
    if !may_refer(frame) {
        return Ok(frame.clone());
    }
    let mut strings = Strings::new(frame, limits);
    let mut cache = ReadCache::default();
    let mut out = Vec::new();
    let mut copied = 0;
    let mut put = |from: usize, to: usize, instead: &[u8]| {
        let between = frame.get(from..to).unwrap_or_default();
        let length = out.len().saturating_add(between.len());
        if length.saturating_add(instead.len()) > limits.max_opened_bytes {
            return Err(UnpackError::OverLimit {
                offset: to,
                what: "bytes",
                limit: limits.max_opened_bytes,
            });
        }
        out.extend_from_slice(between);
        out.extend_from_slice(instead);
        Ok(())
    };
    while let Some(found) = strings.next()? {
        if !found.text.starts_with('^') || found.text == MAP {
            if is_cacheable(&found.text, found.key) {
                cache.register(found.start, found.end);
            }
            continue;
        }
        let Some(number) = number_of(&found.text) else {
            return Err(UnpackError::Other {
                offset: found.start,
                message: String::from("not a code of the cache"),
            });
        };
        // As for the real readers, what has not been named is nil.
        let nil: &[u8] = if found.field { b"\"~_\"" } else { b"null" };
        let named = cache
            .token(number)
            .and_then(|(start, end)| frame.get(start..end));
        put(copied, found.start, named.unwrap_or(nil))?;
        copied = found.end;
    }
    if copied == 0 {
        return Ok(frame.clone());
    }
    put(copied, strings.end(), b"")?;
    Ok(Bytes::from(out))
}

/// Whether there may be a reference: a string that begins with `^` and is not the marker of a map.
fn may_refer(frame: &[u8]) -> bool {
    memmem::find_iter(frame, b"\"^").any(|at| {
        let behind = at.saturating_add(2);
        frame.get(behind..behind.saturating_add(2)) != Some(b" \"")
    }) || memmem::find(frame, b"\"\\u005").is_some()
}

/// Appends `message` with references for every string that has been named before.
pub(super) fn seal(message: &[u8], limits: &Limits, out: &mut Vec<u8>) -> Result<(), TextError> {
    let mut strings = Strings::new(message, limits);
    let mut cache = WriteCache::default();
    let mut copied = 0;
    out.reserve(message.len());
    while let Some(found) = strings.next()? {
        if !is_cacheable(&found.text, found.key) {
            continue;
        }
        let token = message.get(found.start..found.end).unwrap_or_default();
        if let Some(number) = cache.number(token) {
            out.extend_from_slice(message.get(copied..found.start).unwrap_or_default());
            write_code(number, out);
            copied = found.end;
        }
    }
    out.extend_from_slice(message.get(copied..strings.end()).unwrap_or_default());
    Ok(())
}
