//! The key cache: references to map keys that a message has named before.
//!
//! Every string and keyword that is a map's key and written in full has a number, in the order in
//! which they stand, up to 256 in a message; an extension of type 8 is a key of that number.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::ext::{self, Ext};
use super::machine::{Atom, Budget, Kind, Machine, Place, Sink};
use super::out::{Open, Out, ROOM, TooLong};
use super::token::{Fault, REFERENCE, Reader, Token};
use crate::limits::Limits;

/// How many keys have a number.
const MOST_KEYS: usize = 256;

/// The message in `frame` with every reference written out; `None` if there are none.
///
/// # Errors
/// If the message cannot be read, or comes to more than `Limits::max_opened_bytes`.
pub(super) fn resolve(frame: &[u8], limits: &Limits) -> Result<Option<Vec<u8>>, Fault> {
    if !may_refer(frame) {
        return Ok(None);
    }
    let mut message = Vec::new();
    let mut resolve = Resolve {
        to: Rewrite::new(frame, &mut message),
        keys: Numbered::default(),
        most: limits.max_opened_bytes,
        resolved: false,
    };
    let mut machine = Machine::new(frame, Budget::new(limits));
    machine.value(&mut resolve)?;
    if !resolve.resolved {
        return Ok(None);
    }
    let end = machine.reader.at();
    match resolve.to.finish(end) {
        Ok(()) if message.len() <= limits.max_opened_bytes => Ok(Some(message)),
        _ => Err(Fault::over(end, "bytes", limits.max_opened_bytes)),
    }
}

/// Appends `message` with references wherever the real writer has them.
///
/// # Errors
/// If the message is not one that was packed.
pub(super) fn shorten(message: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let mut shorten = Shorten {
        to: Rewrite::new(message, out),
        keys: BTreeMap::new(),
        is_doubtful: false,
    };
    let mut machine = Machine::new(message, Budget::UNLIMITED);
    machine.value(&mut shorten)?;
    let end = machine.reader.at();
    let finished = shorten.to.finish(end);
    finished.map_err(|_| Fault::new(end, "a length of more than 32 bits"))
}

/// Whether there can be references: whether the bytes have a head of one anywhere.
pub(super) fn may_refer(bytes: &[u8]) -> bool {
    memchr::memchr_iter(REFERENCE.to_be_bytes()[0], bytes).any(|at| {
        let before = bytes.get(..at).unwrap_or_default();
        // The short form, which is Sente's only one, and those with a length.
        matches!(before, [.., 0xd4] | [.., 0xc7 | 0x00, 0x01])
    })
}

/// Whether a key has a number when it is written in full.
const fn has_number(atom: &Atom<'_>) -> bool {
    matches!(
        atom,
        Atom::Plain(Token::Str(_)) | Atom::Ext(Ext::Keyword(_), _)
    )
}

/// A copy in which some keys are written another way, and with them the heads of sets around them.
struct Rewrite<'a, 'o> {
    from: &'a [u8],
    to: Out<'o>,
    /// Up to where `from` has been copied.
    copied: usize,
    /// The sets that are open.
    sets: Vec<Open>,
}

impl<'a, 'o> Rewrite<'a, 'o> {
    const fn new(from: &'a [u8], to: &'o mut Vec<u8>) -> Self {
        Self {
            from,
            to: Out::new(to),
            copied: 0,
            sets: Vec::new(),
        }
    }

    fn copy_to(&mut self, end: usize) {
        let bytes = self.from.get(self.copied..end).unwrap_or_default();
        self.to.raw(bytes);
        self.copied = end.max(self.copied);
    }

    /// Leaves out what stands here.
    fn cut(&mut self, place: Place) {
        self.copy_to(place.start);
        self.copied = place.end;
    }

    fn open(&mut self, kind: Kind, place: Place) {
        if kind == Kind::Set {
            self.cut(place);
            self.sets.push(self.to.open());
        }
    }

    fn close(&mut self, kind: Kind, at: usize) {
        if kind == Kind::Set {
            self.copy_to(at);
            if let Some(open) = self.sets.pop() {
                self.to.close_ext(open, ext::SET);
            }
        }
    }

    fn finish(mut self, end: usize) -> Result<(), TooLong> {
        self.copy_to(end);
        self.to.finish()
    }
}

/// The keys that have a number, in its order.
#[derive(Debug, Default)]
pub(super) struct Numbered<'a>(Vec<Reader<'a>>);

impl<'a> Numbered<'a> {
    /// Gives the next number to a key that is written in full, if there is one left.
    pub(super) fn add(&mut self, key: Reader<'a>) {
        if self.0.len() < MOST_KEYS {
            self.0.push(key);
        }
    }

    /// The key of this number, and what is nil if there is none, as in Sente.
    pub(super) fn get(&self, number: u8) -> Reader<'a> {
        let key = self.0.get(usize::from(number));
        key.copied().unwrap_or(Reader::new(&[0xc0]))
    }
}

/// Steps over a value and takes note of its keys.
pub(super) struct Watch<'k, 'a> {
    /// Where the value begins.
    pub(super) from: Reader<'a>,
    /// Where the keys go, if there can be references to them.
    pub(super) keys: Option<&'k mut Numbered<'a>>,
}

impl<'a> Sink<'a> for Watch<'_, 'a> {
    fn sees_all(&self) -> bool {
        self.keys.is_some()
    }

    fn atom(&mut self, atom: Atom<'a>, place: Place) {
        if place.is_key
            && has_number(&atom)
            && let Some(keys) = &mut self.keys
        {
            keys.add(self.from.part(place.start..place.end));
        }
    }

    fn open(&mut self, _: Kind, _: usize, _: Place) {}

    fn close(&mut self, _: Kind, _: usize) {}

    fn reference(&mut self, _: u8, _: Place) -> Result<(), Fault> {
        Ok(())
    }
}

/// Writes references out.
struct Resolve<'a, 'o> {
    to: Rewrite<'a, 'o>,
    keys: Numbered<'a>,
    most: usize,
    resolved: bool,
}

impl<'a> Sink<'a> for Resolve<'a, '_> {
    fn atom(&mut self, atom: Atom<'a>, place: Place) {
        if place.is_key && has_number(&atom) {
            let frame = Reader::new(self.to.from);
            self.keys.add(frame.part(place.start..place.end));
        }
    }

    fn open(&mut self, kind: Kind, _: usize, place: Place) {
        self.to.open(kind, place);
    }

    fn close(&mut self, kind: Kind, at: usize) {
        self.to.close(kind, at);
    }

    fn reference(&mut self, number: u8, place: Place) -> Result<(), Fault> {
        self.resolved = true;
        self.to.cut(place);
        let key = self.keys.get(number).rest;
        // The heads of sets that are open may become a little shorter.
        let room = self.to.sets.len().saturating_mul(ROOM);
        let length = self.to.to.len().saturating_add(key.len());
        if length.saturating_sub(room) > self.most {
            return Err(Fault::over(place.start, "bytes", self.most));
        }
        self.to.to.raw(key);
        Ok(())
    }
}

/// Puts references where keys are repeated.
struct Shorten<'a, 'o> {
    to: Rewrite<'a, 'o>,
    /// The numbers of keys, by whether they are keywords and their text.
    keys: BTreeMap<(bool, &'a [u8]), u8>,
    /// Whether there was a key that is not UTF-8, so that readers may not agree on which keys are
    /// equal: no further ones get a number then.
    is_doubtful: bool,
}

impl<'a> Sink<'a> for Shorten<'a, '_> {
    fn atom(&mut self, atom: Atom<'a>, place: Place) {
        let key = match atom {
            Atom::Plain(Token::Str(text)) if place.is_key => (false, text),
            Atom::Ext(Ext::Keyword(name), _) if place.is_key => (true, name),
            _ => return,
        };
        if let Some(number) = self.keys.get(&key) {
            self.to.cut(place);
            self.to.to.ext(REFERENCE, &[*number]);
            return;
        }
        self.is_doubtful |= core::str::from_utf8(key.1).is_err();
        if let Ok(number) = u8::try_from(self.keys.len())
            && !self.is_doubtful
        {
            self.keys.insert(key, number);
        }
    }

    fn open(&mut self, kind: Kind, _: usize, place: Place) {
        self.to.open(kind, place);
    }

    fn close(&mut self, kind: Kind, at: usize) {
        self.to.close(kind, at);
    }
}
