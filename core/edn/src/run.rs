//! The hot path: what is plain in a collection, which is nearly all of nearly every text.
//!
//! Here nothing is refused. What is not plain, or not right, is left to [`Machine::form`], which
//! knows all of the grammar and all of the errors.

use crate::atom::Atom;
use crate::class;
use crate::error::Error;
use crate::lex::{self, RawStr};
use crate::machine::{self, Frame, Kind, Machine, Repeats, Sink};
use crate::number::Num;
use crate::shape::Shape;
use crate::text;

impl<S: Sink> Machine<'_, S> {
    /// Reads on in the collection that is open, up to its end or to what is not plain.
    ///
    /// What closes the last plain collection is not read, either.
    pub(crate) fn run(&mut self) -> Result<(), Error> {
        let bytes = self.lexer.bytes();
        let suspects = self.repeats == Repeats::Suspected;
        let max_elements = self.limits.max_elements;
        let mut pos = self.lexer.pos();
        let mut top = self.top;
        let mut elements = self.elements;
        loop {
            let Some(mut byte) = bytes.get(pos).copied() else {
                break;
            };
            while class::is_blank(byte) {
                pos = pos.wrapping_add(1);
                byte = match bytes.get(pos) {
                    Some(next) => *next,
                    None => break,
                };
            }
            if elements >= max_elements {
                break;
            }
            let start = pos;
            let atom = match byte {
                b'"' => {
                    let from = pos.wrapping_add(1);
                    let rest = bytes.get(from..).unwrap_or_default();
                    let end = from.wrapping_add(text::plain_length(rest));
                    match bytes.get(end) {
                        Some(b'"') => {
                            pos = end.wrapping_add(1);
                            Atom::Str(RawStr {
                                text: self.lexer.slice(from, end),
                                is_escaped: false,
                            })
                        }
                        _ => {
                            self.lexer.seek(pos);
                            let Ok(raw) = self.lexer.string() else {
                                break;
                            };
                            pos = self.lexer.pos();
                            Atom::Str(raw)
                        }
                    }
                }
                b':' => {
                    let from = pos.wrapping_add(1);
                    let Some(end) = lex::plain_name(bytes, from) else {
                        break;
                    };
                    pos = end;
                    Atom::Keyword(self.lexer.slice(from, end))
                }
                b'0'..=b'9' | b'-' => match plain_number(bytes, pos) {
                    Some((end, Plain::Int(value))) => {
                        pos = end;
                        Atom::Num(Num::Int(value))
                    }
                    Some((end, Plain::Float)) => {
                        pos = end;
                        Atom::Num(Num::Float(self.lexer.slice(start, end)))
                    }
                    None => break,
                },
                b'a'..=b'z' | b'A'..=b'Z' => {
                    let Some(end) = lex::plain_name(bytes, pos) else {
                        break;
                    };
                    pos = end;
                    match bytes.get(start..end).unwrap_or_default() {
                        b"nil" => Atom::Nil,
                        b"true" => Atom::Bool(true),
                        b"false" => Atom::Bool(false),
                        _ => Atom::Symbol(self.lexer.slice(start, end)),
                    }
                }
                b'[' | b'{' | b'(' | b'#' => {
                    let (kind, length) = match byte {
                        b'[' => (Kind::Vector, 1),
                        b'{' => (Kind::Map, 1),
                        b'(' => (Kind::List, 1),
                        _ if bytes.get(pos.wrapping_add(1)) == Some(&b'{') => (Kind::Set, 2),
                        _ => break,
                    };
                    if self.is_full() {
                        break;
                    }
                    pos = pos.wrapping_add(length);
                    let frame = Frame::new(kind, top.keys_next(), start, self.keys.len());
                    self.frames.push(top);
                    self.open.push(self.sink.open(kind, start));
                    top = frame;
                    continue;
                }
                b']' | b'}' | b')' => {
                    let odd = top.kind == Kind::Map && top.count & 1 != 0;
                    if top.kind.closing() != Some(byte) || odd {
                        break;
                    }
                    let Some(around) = self.frames.last() else {
                        break;
                    };
                    if !around.kind.is_plain() {
                        break;
                    }
                    if matches!(top.kind, Kind::Map | Kind::Set) && suspects {
                        if machine::has_tie(self.keys.since(top.first_key)) {
                            break;
                        }
                        self.keys.truncate(top.first_key);
                    }
                    let Some(open) = self.open.pop() else {
                        break;
                    };
                    pos = pos.wrapping_add(1);
                    let fingerprint = if top.keyed {
                        top.group.finish(top.count)
                    } else {
                        0
                    };
                    let shape = match top.kind {
                        Kind::List => Shape::List,
                        Kind::Vector => Shape::Vector,
                        Kind::Set => Shape::Set,
                        _ => Shape::Map,
                    };
                    let start = top.start;
                    top = *around;
                    self.frames.pop();
                    let item = self.sink.close(shape, open, pos)?;
                    elements = elements.wrapping_add(1);
                    top.add(fingerprint, self.repeats, &mut self.keys);
                    if let Some(open) = self.open.last_mut() {
                        self.sink.push(open, item, start);
                    }
                    continue;
                }
                _ => break,
            };
            elements = elements.wrapping_add(1);
            let is_key = top.is_key_next();
            if is_key || top.keyed {
                top.add(atom.fingerprint(), self.repeats, &mut self.keys);
            } else {
                top.count = top.count.wrapping_add(1);
            }
            let item = self.sink.plain_atom(atom, start, pos);
            if let Some(open) = self.open.last_mut() {
                self.sink.push(open, item, start);
            }
        }
        self.lexer.seek(pos);
        self.top = top;
        self.elements = elements;
        Ok(())
    }
}

enum Plain {
    Int(i64),
    Float,
}

/// Reads an integer of up to 18 digits, or a float without an exponent, and says where it ends.
#[inline]
fn plain_number(bytes: &[u8], start: usize) -> Option<(usize, Plain)> {
    let rest = bytes.get(start..)?;
    let (is_negative, rest) = match rest {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let mut value: i64 = 0;
    let mut length: usize = 0;
    let mut ends = 0;
    for byte in rest {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            ends = *byte;
            break;
        }
        value = value.wrapping_mul(10).wrapping_add(i64::from(digit));
        length = length.wrapping_add(1);
    }
    let from = start.wrapping_add(usize::from(is_negative));
    let end = from.wrapping_add(length);
    if class::ends_token(ends) {
        // A leading zero makes it octal, and 19 digits may be too many.
        let is_plain = match length {
            0 => false,
            1 => true,
            _ => length <= 18 && rest.first() != Some(&b'0'),
        };
        let value = if is_negative {
            value.wrapping_neg()
        } else {
            value
        };
        return is_plain.then_some((end, Plain::Int(value)));
    }
    if ends != b'.' || length == 0 {
        return None;
    }
    let fraction = bytes.get(end.wrapping_add(1)..)?;
    let digits = fraction.iter().position(|byte| !byte.is_ascii_digit())?;
    let end = end.wrapping_add(1).wrapping_add(digits);
    let is_plain = fraction
        .get(digits)
        .is_some_and(|byte| class::ends_token(*byte));
    is_plain.then_some((end, Plain::Float))
}
