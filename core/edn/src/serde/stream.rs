//! A text that is read while serde asks for what is in it, in one pass.
//!
//! What is plain is read here, as [`run`](crate::run) does; for the rest the one machine reads a
//! form. Nothing is explained here: where anything is wrong, or strange, the stream just fails, and
//! the text is read again by way of a tree, which finds the right error or that there is none.

use super::error::Error;
use super::options::Options;
use super::source::{BuiltIn, Head, Items, head_of};
use crate::atom::{Atom, Fact};
use crate::class;
use crate::error::Error as ReadError;
use crate::fingerprint::{self, KEYWORD, STRING};
use crate::frame::{Frame, Kind};
use crate::lex;
use crate::machine::{Done, Machine, Sink};
use crate::read;
use crate::run::{self, Plain};
use crate::shape::Shape;
use crate::text;
use crate::ties;
use crate::tree::Tree;
use crate::value::Value;

use alloc::borrow::Cow;
use core::mem;

/// How far a text was read, and what is open there.
pub(super) struct Stream<'de> {
    /// Its frames are the collections that serde is in.
    machine: Machine<'de, ToAtom>,
    has_failed: bool,
}

impl<'de> Stream<'de> {
    /// Begins a text; `None` if it has to be read in another way.
    #[inline]
    pub(super) fn new(text: &'de [u8], options: &Options) -> Option<Self> {
        let limits = options.limits;
        // Every form takes a byte, so there is no need to count them.
        if text.len() >= limits.max_elements {
            return None;
        }
        let lexer = read::open(text, &limits).ok()?;
        let is_whole = lexer.bytes().len() == text.len();
        is_whole.then(|| Self {
            machine: Machine::new(lexer, limits, ToAtom::default()),
            has_failed: false,
        })
    }

    /// Gives up. What is still asked for is not there.
    #[cold]
    pub(super) fn fail(&mut self) -> Error {
        self.has_failed = true;
        self.machine.lexer.seek(self.machine.lexer.bytes().len());
        self.machine.top = Frame::NOTHING;
        Error::new("the text is read in another way")
    }

    /// Whether all of the text was read, it is one form, and nothing went wrong.
    pub(super) fn is_complete(&mut self) -> bool {
        let top = &self.machine.top;
        let is_read = top.kind == Kind::Nothing && top.count == 1;
        let is_closed = self.machine.frames.len() == 0 && !self.has_failed;
        is_read && is_closed && matches!(self.machine.form(), Ok(None))
    }

    /// Whether there is more in the collection that was entered last; if not, leaves it.
    #[inline]
    pub(super) fn more(&mut self) -> bool {
        let (byte, pos) = self.ahead();
        self.machine.lexer.seek(pos);
        if byte == self.machine.top.closing {
            self.close();
            return false;
        }
        class::starts_form(byte) || self.more_behind()
    }

    #[cold]
    fn more_behind(&mut self) -> bool {
        let byte = self.peel();
        let is_end = byte == self.machine.top.closing;
        if is_end {
            self.close();
        }
        !is_end
    }

    /// Leaves a collection at its end.
    #[inline(never)]
    fn close(&mut self) {
        let machine = &mut self.machine;
        let top = machine.top;
        let own_keys = top.first_key();
        match top.kind {
            Kind::Vector | Kind::List => {}
            Kind::Map | Kind::Set => {
                let is_odd = top.kind == Kind::Map && top.count & 1 != 0;
                if is_odd || ties::has_tie(machine.keys.since(own_keys)) {
                    drop(self.fail());
                    return;
                }
                machine.keys.truncate(own_keys);
            }
            // There is nothing to close.
            _ => return,
        }
        machine.lexer.advance(1);
        machine.frames.pop_to(&mut machine.top);
        self.place(|| top.finish());
    }

    /// Steps over a keyword.
    #[inline]
    pub(super) fn plain_name(&mut self) -> Option<&'de str> {
        let (byte, pos) = self.ahead();
        if byte != b':' {
            return None;
        }
        let from = pos.wrapping_add(1);
        let end = lex::longer_plain_name(self.machine.lexer.bytes(), from)?;
        self.machine.lexer.seek(end);
        let name = self.machine.lexer.slice(from, end);
        self.place(|| fingerprint::text(KEYWORD, name.as_bytes()));
        Some(name)
    }

    /// Steps over a string without escapes.
    #[inline]
    pub(super) fn plain_string(&mut self) -> Option<&'de str> {
        let (byte, pos) = self.ahead();
        if byte != b'"' {
            return None;
        }
        let from = pos.wrapping_add(1);
        let bytes = self.machine.lexer.bytes();
        let rest = bytes.get(from..).unwrap_or_default();
        let end = from.wrapping_add(text::plain_length(rest));
        if bytes.get(end) != Some(&b'"') {
            return None;
        }
        self.machine.lexer.seek(end.wrapping_add(1));
        let text = self.machine.lexer.slice(from, end);
        self.place(|| fingerprint::text(STRING, text.as_bytes()));
        Some(text)
    }

    /// Steps over an integer.
    #[inline]
    pub(super) fn plain_int(&mut self) -> Option<i64> {
        let (_, start) = self.ahead();
        match run::plain_number(self.machine.lexer.bytes(), start)? {
            (end, Plain::Int(value)) => {
                self.machine.lexer.seek(end);
                self.place(|| fingerprint::int(value));
                Some(value)
            }
            _ => None,
        }
    }

    /// Steps over a float.
    #[inline]
    pub(super) fn plain_float(&mut self) -> Option<f64> {
        let (byte, start) = self.ahead();
        match run::plain_number(self.machine.lexer.bytes(), start)? {
            (end, Plain::Float(digits, places)) => {
                self.machine.lexer.seek(end);
                let value = match float(byte == b'-', digits, places) {
                    Some(value) => value,
                    None => self.machine.lexer.slice(start, end).parse().ok()?,
                };
                self.place(|| Atom::Float(value).fingerprint());
                Some(value)
            }
            _ => None,
        }
    }

    /// Steps over an instant or UUID.
    pub(super) fn built_in(&mut self) -> Option<BuiltIn> {
        let (byte, start) = self.ahead();
        if byte != b'#' || self.machine.is_full() {
            return None;
        }
        let (atom, end) = run::plain_built_in(&self.machine.lexer, start)?;
        let built_in = BuiltIn::of(atom)?;
        self.machine.lexer.seek(end);
        self.place(|| atom.fingerprint());
        Some(built_in)
    }

    /// Steps into a map.
    #[inline]
    pub(super) fn enter_map(&mut self) -> bool {
        let (byte, pos) = self.ahead();
        byte == b'{' && self.enter(Kind::Map, pos, 1)
    }

    /// Steps into a vector.
    #[inline]
    pub(super) fn enter_vector(&mut self) -> bool {
        let (byte, pos) = self.ahead();
        byte == b'[' && self.enter(Kind::Vector, pos, 1)
    }

    /// Steps over an opening of so many bytes, unless that is too deep.
    #[inline]
    fn enter(&mut self, kind: Kind, start: usize, length: usize) -> bool {
        let machine = &mut self.machine;
        if machine.is_full() {
            return false;
        }
        machine.lexer.seek(start.wrapping_add(length));
        let frame = Frame::new(kind, &machine.top, start, machine.keys.len());
        machine.frames.push(mem::replace(&mut machine.top, frame));
        true
    }

    /// Steps over an atom, or into a collection; `None` if the form is one to go [aside](Self::aside) for.
    pub(super) fn head(&mut self) -> Result<Option<Head<'de>>, Error> {
        let (byte, pos) = self.reach();
        let (kind, head) = match byte {
            b'[' => (Kind::Vector, Head::Items(Items::Vector)),
            b'{' => (Kind::Map, Head::Map),
            b'(' => (Kind::List, Head::Items(Items::List)),
            b'#' => return self.dispatch(),
            b'^' => return Ok(None),
            _ => return self.atom(byte).map(Some),
        };
        if self.enter(kind, pos, 1) {
            Ok(Some(head))
        } else {
            Err(self.fail())
        }
    }

    fn atom(&mut self, byte: u8) -> Result<Head<'de>, Error> {
        match byte {
            b'"' => {
                if let Some(text) = self.plain_string() {
                    return Ok(Head::Str(Cow::Borrowed(text)));
                }
                let Ok(raw) = self.machine.lexer.string() else {
                    return Err(self.fail());
                };
                let text = text::unescape(raw);
                self.place(|| fingerprint::text(STRING, text.as_bytes()));
                return Ok(Head::Str(text));
            }
            b':' => {
                if let Some(name) = self.plain_name() {
                    return Ok(Head::Keyword(Cow::Borrowed(name)));
                }
            }
            b'0'..=b'9' | b'-' => {
                if let Some(value) = self.plain_int() {
                    return Ok(Head::Int(value));
                }
                if let Some(value) = self.plain_float() {
                    return Ok(Head::Float(value));
                }
            }
            b'a'..=b'z' | b'A'..=b'Z' => {
                let start = self.machine.lexer.pos();
                if let Some(end) = lex::plain_name(self.machine.lexer.bytes(), start) {
                    self.machine.lexer.seek(end);
                    let name = self.machine.lexer.slice(start, end);
                    let (atom, head) = match name {
                        "nil" => (Atom::Nil, Head::Nil),
                        "true" => (Atom::Bool(true), Head::Bool(true)),
                        "false" => (Atom::Bool(false), Head::Bool(false)),
                        _ => (Atom::Symbol(name), Head::Symbol(Cow::Borrowed(name))),
                    };
                    self.place(|| atom.fingerprint());
                    return Ok(head);
                }
            }
            _ => {}
        }
        self.odd_atom()
    }

    /// Has the machine read an atom.
    fn odd_atom(&mut self) -> Result<Head<'de>, Error> {
        self.machine.sink.is_wanted = true;
        let done = self.form();
        self.machine.sink.is_wanted = false;
        let value = mem::take(&mut self.machine.sink.last);
        Ok(match done?.fact {
            Fact::Keyword(name) => Head::Keyword(Cow::Borrowed(name)),
            Fact::Symbol(name) => Head::Symbol(Cow::Borrowed(name)),
            Fact::Other => head_of_value(value),
            _ => return Err(self.fail()),
        })
    }

    /// A form that begins with `#`.
    fn dispatch(&mut self) -> Result<Option<Head<'de>>, Error> {
        let start = self.machine.lexer.pos();
        let from = start.wrapping_add(1);
        match self.machine.lexer.peek_at(1) {
            Some(b'{') if self.enter(Kind::Set, start, 2) => Ok(Some(Head::Items(Items::Set))),
            Some(b'#') => self.odd_atom().map(Some),
            Some(b'a'..=b'z' | b'A'..=b'Z') => {
                let Some(end) = lex::plain_name(self.machine.lexer.bytes(), from) else {
                    return Ok(None);
                };
                match self.machine.lexer.slice(from, end) {
                    "inst" | "uuid" => self.odd_atom().map(Some),
                    "nil" | "true" | "false" => Ok(None),
                    _ if self.machine.top.keys_next() => Ok(None),
                    tag => {
                        let length = end.wrapping_sub(start);
                        if !self.enter(Kind::Tag, start, length) {
                            return Err(self.fail());
                        }
                        Ok(Some(Head::Tag(Cow::Borrowed(tag))))
                    }
                }
            }
            _ => Ok(None),
        }
    }

    /// Leaves a tag behind its form.
    pub(super) fn end_tag(&mut self) -> Result<(), Error> {
        let machine = &mut self.machine;
        if machine.top.kind != Kind::Tag || machine.top.count != 1 {
            return Err(self.fail());
        }
        machine.frames.pop_to(&mut machine.top);
        self.place(|| 0);
        Ok(())
    }

    /// Steps over a form and gives it as a tree.
    #[cold]
    pub(super) fn aside(&mut self) -> Result<Tree<'de>, Error> {
        let machine = &mut self.machine;
        let depth = machine.depth.saturating_add(machine.frames.len());
        let keyed = machine.top.keys_next();
        match Tree::of_next(&mut machine.lexer, &machine.limits, depth, keyed) {
            Some((tree, fingerprint)) => {
                self.place(|| fingerprint);
                Ok(tree)
            }
            None => Err(self.fail()),
        }
    }

    /// Steps over a form.
    pub(super) fn skip(&mut self) -> Result<(), Error> {
        self.form().map(drop)
    }

    /// Steps over a form and gives its text.
    pub(super) fn raw(&mut self) -> Result<&'de str, Error> {
        let done = self.form()?;
        Ok(self.machine.lexer.slice(done.start, done.end))
    }

    /// Whether `nil` comes next.
    #[inline]
    pub(super) fn is_nil(&mut self) -> bool {
        self.reach().0 == b'n' && self.is_token("nil")
    }

    fn is_token(&self, wanted: &str) -> bool {
        let mut lexer = self.machine.lexer;
        let start = lexer.pos();
        lexer.token(start) == Ok(wanted)
    }

    /// Has the machine read a form, with all of its checks.
    fn form(&mut self) -> Result<Done<'de, ()>, Error> {
        let mut loose = Frame::NOTHING;
        loose.keyed = self.machine.top.keys_next();
        let top = mem::replace(&mut self.machine.top, loose);
        let done = self.machine.form();
        self.machine.top = top;
        match done {
            Ok(Some(done)) => {
                self.place(|| done.fingerprint);
                Ok(done)
            }
            _ => Err(self.fail()),
        }
    }

    /// Goes to the next form: its first byte, 0 at the end, and where it is.
    #[inline]
    fn reach(&mut self) -> (u8, usize) {
        let (byte, pos) = self.ahead();
        self.machine.lexer.seek(pos);
        if class::starts_form(byte) {
            return (byte, pos);
        }
        let byte = self.peel();
        (byte, self.machine.lexer.pos())
    }

    /// Skips blanks, comments and what is discarded, and says which byte is next; 0 at the end.
    #[cold]
    fn peel(&mut self) -> u8 {
        loop {
            let machine = &mut self.machine;
            let byte = machine.lexer.skip_blank(machine.limits.dialect);
            if byte != Some(b'#') || machine.lexer.peek_at(1) != Some(b'_') {
                return byte.unwrap_or_default();
            }
            if machine.is_full() {
                drop(self.fail());
                return 0;
            }
            machine.lexer.advance(2);
            let depth = machine.depth;
            machine.depth = depth.saturating_add(1);
            let top = mem::replace(&mut machine.top, Frame::NOTHING);
            let done = machine.form();
            machine.top = top;
            machine.depth = depth;
            if !matches!(done, Ok(Some(_))) {
                drop(self.fail());
                return 0;
            }
        }
    }

    /// The first byte that is no blank, 0 at the end, and where it is.
    #[inline(always)]
    fn ahead(&self) -> (u8, usize) {
        let bytes = self.machine.lexer.bytes();
        let mut pos = self.machine.lexer.pos();
        loop {
            let byte = bytes.get(pos).copied().unwrap_or_default();
            // Most forms begin behind the blanks, which the table need not be asked for.
            if byte > b',' || !class::is_blank(byte) {
                return (byte, pos);
            }
            pos = pos.wrapping_add(1);
        }
    }

    /// Gives a form to what is open.
    #[inline(always)]
    fn place(&mut self, fingerprint: impl FnOnce() -> u64) {
        let machine = &mut self.machine;
        if machine.top.keys_next() {
            machine.top.add(fingerprint(), true, &mut machine.keys);
        } else {
            machine.top.count = machine.top.count.wrapping_add(1);
        }
    }
}

/// A float of up to 15 digits, so many of which are behind the point.
#[inline]
fn float(is_negative: bool, digits: Option<u64>, places: usize) -> Option<f64> {
    const POWERS: [f64; 16] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
    ];
    // Both numbers are floats as they are, so dividing them rounds once, as it should.
    #[expect(
        clippy::cast_precision_loss,
        reason = "15 digits are a float as they are"
    )]
    let value = digits? as f64 / POWERS.get(places)?;
    Some(if is_negative { -value } else { value })
}

/// The head of an atom that was made a value.
fn head_of_value(value: Value) -> Head<'static> {
    match value {
        Value::Bool(value) => Head::Bool(value),
        Value::Char(value) => Head::Char(value),
        Value::Nil => Head::Nil,
        other => head_of(&other).unwrap_or(Head::Nil),
    }
}

/// Keeps the last atom, if it is wanted.
#[derive(Default)]
struct ToAtom {
    is_wanted: bool,
    last: Value,
}

impl Sink for ToAtom {
    type Item = ();
    type Open = ();

    #[inline]
    fn open(&mut self, _: Kind, _: usize) {}

    #[inline]
    fn atom(&mut self, atom: Atom<'_>, _: usize, _: usize) {
        if self.is_wanted {
            self.last = atom.to_value();
        }
    }

    #[inline]
    fn plain_atom(&mut self, _: Atom<'_>, _: usize, _: usize) {}

    #[inline]
    fn push(&mut self, (): &mut (), (): (), _: usize) {}

    #[inline]
    fn close(&mut self, _: Shape, (): (), _: u32, _: usize) -> Result<(), ReadError> {
        Ok(())
    }

    fn tagged(&mut self, _: (&str, usize), (): (), (): (), _: usize) {}

    #[inline]
    fn forget(&mut self, (): ()) {}
}
