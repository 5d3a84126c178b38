//! The hot path: what is plain in a collection, which is nearly all of nearly every text.
//!
//! Here nothing is refused. What is not plain, or not right, is left to [`Machine::form`], which
//! knows all of the grammar and all of the errors.

use crate::atom::Atom;
use crate::class;
use crate::error::Error;
use crate::fingerprint::{self, KEYWORD, STRING};
use crate::frame::{Frame, Kind};
use crate::inst::Inst;
use crate::lex::{self, Lexer, RawStr};
use crate::machine::{Machine, Repeats, Sink};
use crate::number::Num;
use crate::shape::Shape;
use crate::text;
use crate::ties;
use crate::uuid::Uuid;

/// A collection that was read to its end and stands in nothing.
pub(crate) struct Closed<I> {
    pub(crate) item: I,
    pub(crate) shape: Shape,
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// 0 if it is not wanted.
    pub(crate) fingerprint: u64,
}

impl<S: Sink> Machine<'_, S> {
    /// Reads on up to the end of what is open, or to what is not plain.
    ///
    /// Nothing or a plain collection must be open, and no more than that is closed here.
    #[inline(never)]
    pub(crate) fn run(&mut self) -> Result<Option<Closed<S::Item>>, Error> {
        let bytes = self.lexer.bytes();
        let suspects = self.repeats == Repeats::Suspected;
        let mut pos = self.lexer.pos();
        let mut top = self.top;
        let mut closed = None;
        // Every form takes a byte.
        let may_be_too_many = bytes.len() >= self.limits.max_elements.saturating_sub(self.elements);
        while let Some(mut byte) = bytes.get(pos).copied() {
            while class::is_blank(byte) {
                pos = pos.wrapping_add(1);
                byte = match bytes.get(pos) {
                    Some(next) => *next,
                    None => break,
                };
            }
            if may_be_too_many && self.elements >= self.limits.max_elements {
                break;
            }
            let start = pos;
            match byte {
                b'"' => {
                    let from = pos.wrapping_add(1);
                    let rest = bytes.get(from..).unwrap_or_default();
                    let end = from.wrapping_add(text::plain_length(rest));
                    if bytes.get(end) != Some(&b'"') {
                        let Some(end) = self.take_escaped(&mut top, start) else {
                            break;
                        };
                        pos = end;
                        continue;
                    }
                    if top.kind == Kind::Nothing {
                        break;
                    }
                    pos = end.wrapping_add(1);
                    if top.keys_next() {
                        let text = bytes.get(from..end).unwrap_or_default();
                        let fingerprint = fingerprint::text(STRING, text);
                        top.add(fingerprint, suspects, &mut self.keys);
                    } else {
                        top.count = top.count.wrapping_add(1);
                    }
                    let text = self.lexer.slice(from, end);
                    let is_escaped = false;
                    self.take(Atom::Str(RawStr { text, is_escaped }), start, pos);
                }
                b':' => {
                    let from = pos.wrapping_add(1);
                    let Some(end) = lex::plain_name(bytes, from) else {
                        break;
                    };
                    if top.kind == Kind::Nothing {
                        break;
                    }
                    pos = end;
                    if top.keys_next() {
                        let name = bytes.get(from..end).unwrap_or_default();
                        let fingerprint = fingerprint::text(KEYWORD, name);
                        top.add(fingerprint, suspects, &mut self.keys);
                    } else {
                        top.count = top.count.wrapping_add(1);
                    }
                    self.take(Atom::Keyword(self.lexer.slice(from, end)), start, pos);
                }
                b'0'..=b'9' => {
                    let mut value = i64::from(byte.wrapping_sub(b'0'));
                    let mut end = pos.wrapping_add(1);
                    let mut next = 0;
                    while let Some(byte) = bytes.get(end) {
                        next = *byte;
                        let digit = next.wrapping_sub(b'0');
                        if digit > 9 {
                            break;
                        }
                        value = value.wrapping_mul(10).wrapping_add(i64::from(digit));
                        end = end.wrapping_add(1);
                    }
                    if next == b'.'
                        && let Some(end) = fraction(bytes, end)
                        && top.kind != Kind::Nothing
                    {
                        pos = end;
                        let atom = Atom::Num(Num::Float(self.lexer.slice(start, end)));
                        self.take_with(&mut top, atom, start, end);
                        continue;
                    }
                    let length = end.wrapping_sub(start);
                    // A leading zero makes it octal, and 19 digits may be too many.
                    let is_odd = length > 18 || (byte == b'0' && length > 1);
                    if is_odd || !class::ends_token(next) || top.kind == Kind::Nothing {
                        let Some(end) = self.take_number(&mut top, start) else {
                            break;
                        };
                        pos = end;
                        continue;
                    }
                    pos = end;
                    if top.keys_next() {
                        top.add(fingerprint::int(value), suspects, &mut self.keys);
                    } else {
                        top.count = top.count.wrapping_add(1);
                    }
                    self.take(Atom::Num(Num::Int(value)), start, pos);
                }
                b'-' => {
                    let Some(end) = self.take_number(&mut top, start) else {
                        break;
                    };
                    pos = end;
                }
                b'a'..=b'z' | b'A'..=b'Z' => {
                    let Some(end) = lex::plain_name(bytes, pos) else {
                        break;
                    };
                    if top.kind == Kind::Nothing {
                        break;
                    }
                    pos = end;
                    let atom = match bytes.get(start..end).unwrap_or_default() {
                        b"nil" => Atom::Nil,
                        b"true" => Atom::Bool(true),
                        b"false" => Atom::Bool(false),
                        _ => Atom::Symbol(self.lexer.slice(start, end)),
                    };
                    if top.keys_next() {
                        top.add(atom.fingerprint(), suspects, &mut self.keys);
                    } else {
                        top.count = top.count.wrapping_add(1);
                    }
                    self.take(atom, start, pos);
                }
                b'[' | b'{' | b'(' | b'#' => {
                    let (kind, length) = match byte {
                        b'[' => (Kind::Vector, 1),
                        b'{' => (Kind::Map, 1),
                        b'(' => (Kind::List, 1),
                        _ if bytes.get(pos.wrapping_add(1)) == Some(&b'{') => (Kind::Set, 2),
                        _ => match self.take_built_in(&mut top, start) {
                            Some(end) => {
                                pos = end;
                                continue;
                            }
                            None => break,
                        },
                    };
                    if self.is_full() {
                        break;
                    }
                    pos = pos.wrapping_add(length);
                    self.frames.push(top);
                    self.open.push(self.sink.open(kind, start));
                    top = Frame::new(kind, &top, start, self.keys.len());
                    continue;
                }
                b']' | b'}' | b')' => {
                    let is_odd = top.kind == Kind::Map && top.count & 1 != 0;
                    if top.closing != byte || is_odd {
                        break;
                    }
                    if !top.around.is_plain() && top.around != Kind::Nothing {
                        break;
                    }
                    if matches!(top.kind, Kind::Map | Kind::Set) && suspects {
                        if ties::has_tie(self.keys.since(top.first_key())) {
                            break;
                        }
                        self.keys.truncate(top.first_key());
                    }
                    let Some(open) = self.open.pop() else {
                        break;
                    };
                    pos = pos.wrapping_add(1);
                    self.elements = self.elements.wrapping_add(1);
                    let inner = top;
                    self.frames.pop_to(&mut top);
                    let shape = match inner.kind {
                        Kind::List => Shape::List,
                        Kind::Vector => Shape::Vector,
                        Kind::Set => Shape::Set,
                        _ => Shape::Map,
                    };
                    let item = self.sink.close(shape, open, inner.count, pos)?;
                    if top.kind == Kind::Nothing {
                        closed = Some(Closed {
                            item,
                            shape,
                            start: inner.start(),
                            end: pos,
                            fingerprint: if inner.keyed { inner.finish() } else { 0 },
                        });
                        break;
                    }
                    if top.keys_next() {
                        top.add(inner.finish(), suspects, &mut self.keys);
                    } else {
                        top.count = top.count.wrapping_add(1);
                    }
                    if let Some(open) = self.open.last_mut() {
                        self.sink.push(open, item, inner.start());
                    }
                }
                _ => break,
            }
        }
        self.lexer.seek(pos);
        self.top = top;
        Ok(closed)
    }

    /// Hands on an atom that the frame has taken in.
    #[inline]
    fn take(&mut self, atom: Atom<'_>, start: usize, end: usize) {
        self.elements = self.elements.wrapping_add(1);
        let item = self.sink.plain_atom(atom, start, end);
        if let Some(open) = self.open.last_mut() {
            self.sink.push(open, item, start);
        }
    }

    /// Reads a string that has a backslash in it, and says where it ends.
    fn take_escaped(&mut self, top: &mut Frame, start: usize) -> Option<usize> {
        self.lexer.seek(start);
        if top.kind == Kind::Nothing {
            return None;
        }
        let atom = Atom::Str(self.lexer.string().ok()?);
        let end = self.lexer.pos();
        self.take_with(top, atom, start, end);
        Some(end)
    }

    /// Reads a number that has a sign or a fraction, and says where it ends.
    fn take_number(&mut self, top: &mut Frame, start: usize) -> Option<usize> {
        if top.kind == Kind::Nothing {
            return None;
        }
        let (end, number) = plain_number(self.lexer.bytes(), start)?;
        let number = match number {
            Plain::Int(value) => Num::Int(value),
            Plain::Float(..) => Num::Float(self.lexer.slice(start, end)),
        };
        self.take_with(top, Atom::Num(number), start, end);
        Some(end)
    }

    /// Reads a `#inst` or `#uuid` as it is usually written, and says where it ends.
    fn take_built_in(&mut self, top: &mut Frame, start: usize) -> Option<usize> {
        let (atom, end) = plain_built_in(&self.lexer, start)?;
        // Its string is a form, too, and it nests one level.
        let elements = self.elements.wrapping_add(1);
        let is_full = elements >= self.limits.max_elements || self.is_full();
        if is_full || top.kind == Kind::Nothing {
            return None;
        }
        self.elements = elements;
        self.take_with(top, atom, start, end);
        Some(end)
    }

    #[inline]
    fn take_with(&mut self, top: &mut Frame, atom: Atom<'_>, start: usize, end: usize) {
        if top.keys_next() {
            let suspects = self.repeats == Repeats::Suspected;
            top.add(atom.fingerprint(), suspects, &mut self.keys);
        } else {
            top.count = top.count.wrapping_add(1);
        }
        self.take(atom, start, end);
    }
}

/// A `#inst` or `#uuid` as it is usually written, and where it ends.
#[inline]
pub(crate) fn plain_built_in(lexer: &Lexer<'_>, start: usize) -> Option<(Atom<'static>, usize)> {
    let rest = lexer.bytes().get(start..)?;
    let (tag, rest) = rest.split_first_chunk::<7>()?;
    let is_inst = match tag {
        b"#inst \"" => true,
        b"#uuid \"" => false,
        _ => return None,
    };
    let from = start.wrapping_add(7);
    // Neither is ever longer than that, the way it is usually written.
    let near = rest.get(..40).unwrap_or(rest);
    let end = from.wrapping_add(memchr::memchr(b'"', near)?);
    let text = lexer.slice(from, end);
    let atom = if is_inst {
        Atom::Inst(Inst::parse(text).ok()?)
    } else {
        Atom::Uuid(Uuid::parse(text).ok()?)
    };
    Some((atom, end.wrapping_add(1)))
}

/// A number that [`plain_number`] has read.
pub(crate) enum Plain {
    Int(i64),
    /// What it says without its point and sign, unless that has more than 15 digits, and how many
    /// digits are behind the point.
    #[cfg_attr(
        not(feature = "serde"),
        expect(dead_code, reason = "others leave the float where it stands")
    )]
    Float(Option<u64>, usize),
}

/// Reads an integer of up to 18 digits, or a float without an exponent, and says where it ends.
#[inline]
pub(crate) fn plain_number(bytes: &[u8], start: usize) -> Option<(usize, Plain)> {
    let is_negative = *bytes.get(start)? == b'-';
    let from = start.wrapping_add(usize::from(is_negative));
    let (value, end, next) = digits(bytes, from, 0);
    let length = end.wrapping_sub(from);
    if class::ends_token(next) {
        // A leading zero makes it octal, and 19 digits may be too many.
        let is_plain = match length {
            0 => false,
            1 => true,
            _ => length <= 18 && bytes.get(from) != Some(&b'0'),
        };
        let value = value.cast_signed();
        let value = if is_negative {
            value.wrapping_neg()
        } else {
            value
        };
        return is_plain.then_some((end, Plain::Int(value)));
    }
    if next != b'.' || length == 0 {
        return None;
    }
    let point = end;
    let (value, end, next) = digits(bytes, point.wrapping_add(1), value);
    let places = end.wrapping_sub(point).wrapping_sub(1);
    let is_short = length.wrapping_add(places) <= 15;
    class::ends_token(next).then_some((end, Plain::Float(is_short.then_some(value), places)))
}

/// Reads digits behind others: what they say, where they end, and the byte there if there is one.
#[inline(always)]
pub(crate) fn digits(bytes: &[u8], start: usize, value: u64) -> (u64, usize, u8) {
    let (mut value, mut end) = (value, start);
    while let Some(byte) = bytes.get(end) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return (value, end, *byte);
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        end = end.wrapping_add(1);
    }
    (value, end, 0)
}

/// Where a number ends that has a point at `point`, if only digits follow that.
#[inline]
fn fraction(bytes: &[u8], point: usize) -> Option<usize> {
    let mut end = point.wrapping_add(1);
    while bytes.get(end)?.is_ascii_digit() {
        end = end.wrapping_add(1);
    }
    class::ends_token(*bytes.get(end)?).then_some(end)
}
