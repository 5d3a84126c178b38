//! The EDN packer, Sente's default and sente-lite's only one.

use alloc::vec::Vec;

use memchr::{memchr, memchr_iter, memmem};
use sente_edn::{Cursor as EdnCursor, Dialect, Limits as EdnLimits, Shape, Value};
use smol_str::SmolStr;

use super::{Cursor, PackError, Packer, Span, Tokens, UnpackError, Visit};
use crate::framing::Kind;
use crate::limits::Limits;

/// Text packer: EDN as `pr-str` writes it and Clojure's EDN reader reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a unit, complete by nature")]
pub struct Edn;

impl Packer for Edn {
    fn name(&self) -> &str {
        "edn"
    }

    fn kind(&self) -> Kind {
        Kind::Text
    }

    fn is_edn(&self) -> bool {
        true
    }

    fn pack(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), PackError> {
        sente_edn::write(value, out);
        Ok(())
    }

    fn unpack(&self, packed: &[u8], limits: &Limits) -> Result<Value, UnpackError> {
        let first = sente_edn::read_first(packed, &edn_limits(limits))?;
        Ok(first.map_or(Value::Nil, |(value, _)| value))
    }

    fn walk(
        &self,
        packed: &[u8],
        limits: &Limits,
        visit: &mut Visit<'_>,
    ) -> Result<(), UnpackError> {
        visit(&mut Walk(EdnCursor::new(packed, &edn_limits(limits))))
    }

    fn entries(&self, packed: &[u8], limits: &Limits, visit: &mut dyn FnMut(&str, Span)) {
        let Some(inside) = packed
            .strip_prefix(b"{")
            .and_then(|rest| rest.strip_suffix(b"}"))
        else {
            return;
        };
        let mut cursor = EdnCursor::new(inside, &edn_limits(limits));
        while let Ok(Some(_)) = cursor.peek() {
            let (Ok(key), Ok(value)) = (cursor.skip(), cursor.skip()) else {
                return;
            };
            let key = key.text().strip_prefix(b":").map(core::str::from_utf8);
            if let Some(Ok(key)) = key {
                let mut span = span_of(&value);
                // One for the bracket that was cut off.
                span.start += 1;
                span.end += 1;
                visit(key, span);
            }
        }
    }

    fn is_portable(&self, packed: &[u8]) -> bool {
        // Only these make an event unreadable, and few have them.
        if memchr(b'#', packed).is_none() && !has_odd_name(packed) {
            return true;
        }
        let mut cursor = EdnCursor::new(packed, &edn_limits(&Limits::default()));
        cursor.skip().is_ok_and(|form| form.is_portable())
    }

    fn sequence(&self, _len: usize) -> Tokens {
        Tokens::new(b"[", b" ", b"", b"]")
    }

    fn map(&self, _len: usize) -> Tokens {
        Tokens::new(b"{", b", ", b" ", b"}")
    }
}

struct Walk<'a>(EdnCursor<'a>);

impl Cursor for Walk<'_> {
    fn peek(&mut self) -> Result<Option<Shape>, UnpackError> {
        Ok(self.0.peek()?)
    }

    fn enter(&mut self) -> Result<(), UnpackError> {
        Ok(self.0.enter()?)
    }

    fn leave(&mut self) -> Result<(), UnpackError> {
        Ok(self.0.leave()?)
    }

    fn skip(&mut self) -> Result<Span, UnpackError> {
        Ok(span_of(&self.0.skip()?))
    }

    fn keyword_span(&mut self) -> Result<(SmolStr, Span), UnpackError> {
        let name = self.0.keyword()?;
        let end = self.0.offset();
        let start = end.saturating_sub(name.len()).saturating_sub(1);
        Ok((SmolStr::new(name), Span::new(start, end, Shape::Keyword)))
    }
}

/// Whether there is a name that one of Clojure's readers refuses, or may be: a text with a path in
/// it looks the same.
fn has_odd_name(packed: &[u8]) -> bool {
    let mut before: Option<usize> = None;
    for at in memchr_iter(b'/', packed) {
        let near = |at: Option<usize>| at.and_then(|at| packed.get(at)).copied();
        let behind = near(at.checked_add(1)).unwrap_or(b' ');
        if behind.is_ascii_digit() || !behind.is_ascii() || near(at.checked_sub(1)) == Some(b':') {
            return true;
        }
        let between = before.and_then(|before| packed.get(before..at));
        if between.is_some_and(|text| !text.iter().any(|byte| b" ,\n\"()[]{};".contains(byte))) {
            return true;
        }
        before = Some(at);
    }
    memmem::find(packed, b"::").is_some()
}

fn span_of(form: &sente_edn::Form<'_>) -> Span {
    let mut span = Span::new(form.start(), form.end(), form.shape());
    span.line_safe = form.is_line_safe();
    span.portable = form.is_portable();
    span.truthy = !matches!(form.text(), b"nil" | b"false");
    span
}

/// Reads what either of Clojure's EDN readers reads: sente-lite's peers use `clojure.edn`, Sente's
/// `clojure.tools.reader.edn`, and either's message is worth taking.
pub(crate) fn edn_limits(limits: &Limits) -> EdnLimits {
    EdnLimits::default()
        .dialect(Dialect::Either)
        // What travels is bounded by the framing, what it comes to by whoever opens it.
        .max_bytes(limits.max_frame_bytes.max(limits.max_opened_bytes))
        .max_depth(limits.max_depth)
        .max_elements(limits.max_elements)
}
