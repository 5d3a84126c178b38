//! Transit's grammar on top of JSON's: atoms and collections instead of strings and arrays.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use sente_edn::{BigInt, Value};

use super::scan::MAP;
use super::{decode, json_limits};
use crate::limits::Limits;
use crate::packer::UnpackError;
use crate::packer::text::{Container, Kind as Json, Number, TextCursor, TextError, Token};

/// One step over a message. What it led to, [`Forms`] holds until the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// To an [`atom`](Forms::atom).
    Atom,
    /// Into a collection, or behind a [`tag`](Forms::tag).
    Open(Kind),
    /// Out of the collection, or of the tagged value, last opened.
    Close,
    /// Nowhere: the value has ended.
    End,
}

/// What is made of no other values.
#[derive(Clone, Debug)]
pub(super) enum Atom<'a> {
    Nil,
    Bool(bool),
    Number(Number<'a>),
    String(Cow<'a, str>),
    /// `~`, the character, the rest: not looked at yet.
    Scalar(char, Cow<'a, str>),
    /// What took more than a string to say.
    Value(Value),
}

/// What is made of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Vector,
    List,
    Set,
    /// Keys and values come in turn.
    Map,
    /// One value, behind a tag that is not Transit's own.
    Tagged,
}

/// What is wrong with a message.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    Depth { offset: usize, limit: usize },
    Text(TextError),
}

impl From<TextError> for Fault {
    fn from(error: TextError) -> Self {
        Self::Text(error)
    }
}

impl From<Fault> for UnpackError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Depth { offset, limit } => Self::OverLimit {
                offset,
                what: "levels of nesting",
                limit,
            },
            Fault::Text(error) => error.into(),
        }
    }
}

/// The steps over the first value of a text, in order, in bounded memory and without recursion.
///
/// Values in quotes (`["~#'",1]`) and with metadata are given as what they are without.
pub(super) struct Forms<'a> {
    text: TextCursor<'a>,
    open: Vec<Level>,
    max_depth: usize,
    /// The first item of an array, read to see what the array is.
    head: Option<Cow<'a, str>>,
    /// Where the last item begins.
    start: usize,
    atom: Atom<'a>,
    tag: Cow<'a, str>,
}

/// A collection that is open.
#[derive(Clone, Copy, Debug)]
struct Level {
    rule: Rule,
    /// How many items have begun.
    items: usize,
    /// Whether the collection stands in an array, or object, of its tag, which ends with it.
    tagged: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// Any number of items.
    Items,
    /// Keys and values in turn.
    Entries,
    /// One item, and what follows is ignored.
    One,
    /// The same, and nobody is told of the level.
    Silent,
}

impl<'a> Forms<'a> {
    /// Stands before the first value of `text`.
    pub(super) fn new(text: &'a [u8], limits: &Limits) -> Self {
        Self {
            text: TextCursor::new(text, &json_limits(limits)),
            open: Vec::new(),
            max_depth: limits.max_depth,
            head: None,
            start: 0,
            atom: Atom::Nil,
            tag: Cow::Borrowed(""),
        }
    }

    /// The atom that the last step led to.
    pub(super) const fn atom(&self) -> &Atom<'a> {
        &self.atom
    }

    /// The same, taken out.
    pub(super) fn take_atom(&mut self) -> Atom<'a> {
        core::mem::replace(&mut self.atom, Atom::Nil)
    }

    /// The tag that the last step led behind, taken out.
    pub(super) fn take_tag(&mut self) -> Cow<'a, str> {
        core::mem::replace(&mut self.tag, Cow::Borrowed(""))
    }

    /// Where the item begins that the last step began with.
    pub(super) const fn start(&self) -> usize {
        self.start
    }

    /// The byte behind the last step, if that was an atom or a close.
    pub(super) const fn end(&self) -> usize {
        self.text.pos()
    }

    /// How many collections are open.
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// Takes the next step.
    pub(super) fn next(&mut self) -> Result<Step, Fault> {
        // The brackets around a value in quotes are part of it.
        let mut inside = false;
        loop {
            if let Some(head) = self.head.take() {
                self.begin_item();
                if !inside {
                    self.start = self.text.start();
                }
                self.string(head)?;
                return self.at_atom();
            }
            if let Some(Level {
                rule: Rule::One,
                items: 1..,
                ..
            }) = self.open.last()
            {
                return self.close();
            }
            let Some(json) = self.text.peek()? else {
                return self.end_of_container();
            };
            let start = self.text.pos();
            if !inside {
                self.start = start;
            }
            self.begin_item();
            inside = true;
            match json {
                Json::Array | Json::Object => {
                    if let Some(step) = self.container()? {
                        return Ok(step);
                    }
                }
                Json::Null | Json::Bool | Json::Number | Json::String => {
                    match self.text.next()? {
                        Some(Token::Null) => self.atom = Atom::Nil,
                        Some(Token::Bool(value)) => self.atom = Atom::Bool(value),
                        Some(Token::Number(number)) => self.atom = Atom::Number(number),
                        Some(Token::String(text) | Token::Key(text)) => {
                            self.string(text.decode())?;
                        }
                        Some(Token::Open(_) | Token::Close) | None => {
                            return Err(self.error("expected a value"));
                        }
                    }
                    return self.at_atom();
                }
            }
        }
    }

    /// Steps into the array or object that comes next, and over what says what it is. `None` if
    /// that is nothing to be told of: the value is what comes next.
    fn container(&mut self) -> Result<Option<Step>, Fault> {
        let container = self.text.enter()?;
        let first = match self.text.peek()? {
            Some(Json::String) => Some(self.text.string()?.0.decode()),
            _ => None,
        };
        let Some(first) = first else {
            return match container {
                Container::Array => self.push(Rule::Items, false, Kind::Vector),
                Container::Object => self.push(Rule::Entries, false, Kind::Map),
            };
        };
        if let Some(tag) = first.strip_prefix("~#") {
            let tag = match &first {
                Cow::Borrowed(first) => Cow::Borrowed(first.get(2..).unwrap_or_default()),
                Cow::Owned(_) => Cow::Owned(String::from(tag)),
            };
            return self.tagged(tag);
        }
        if container == Container::Array && first == MAP {
            return self.push(Rule::Entries, false, Kind::Map);
        }
        self.head = Some(first);
        match container {
            Container::Array => self.push(Rule::Items, false, Kind::Vector),
            Container::Object => self.push(Rule::Entries, false, Kind::Map),
        }
    }

    /// What stands behind a tag that has been read.
    fn tagged(&mut self, tag: Cow<'a, str>) -> Result<Option<Step>, Fault> {
        let Some(next) = self.text.peek()? else {
            return Err(self.error("there is nothing behind a tag"));
        };
        let items = |forms: &mut Self| {
            if next == Json::Array {
                forms.plain_array()
            } else {
                Err(forms.error("expected an array behind a tag"))
            }
        };
        match &*tag {
            "set" => {
                items(self)?;
                self.push(Rule::Items, true, Kind::Set)
            }
            "list" => {
                items(self)?;
                self.push(Rule::Items, true, Kind::List)
            }
            "cmap" => {
                items(self)?;
                self.push(Rule::Entries, true, Kind::Map)
            }
            "'" => self.push_level(Rule::Silent, false).map(|()| None),
            "with-meta" => {
                items(self)?;
                self.push_level(Rule::Silent, true).map(|()| None)
            }
            "ratio" => {
                let [above, below] = self.two_integers()?;
                let ratio = decode::ratio(&above, &below).map_err(|message| self.error(message))?;
                self.text.leave()?;
                self.atom = Atom::Value(ratio);
                self.at_atom().map(Some)
            }
            "u" if next == Json::Array => {
                let [high, low] = self.two_integers()?.map(|half| half.to_i64());
                let (Some(high), Some(low)) = (high, low) else {
                    return Err(self.error("half of a UUID has 64 bits"));
                };
                self.text.leave()?;
                self.atom = Atom::Value(decode::uuid(high, low));
                self.at_atom().map(Some)
            }
            own if decode::is_own(own) => {
                let letter = own.chars().next().unwrap_or_default();
                self.composite_scalar(letter)?;
                self.text.leave()?;
                self.at_atom().map(Some)
            }
            _ => {
                self.tag = tag;
                self.push(Rule::One, false, Kind::Tagged)
            }
        }
    }

    /// Steps into an array that is nothing else.
    fn plain_array(&mut self) -> Result<(), Fault> {
        self.text.enter()?;
        if self.text.peek()? == Some(Json::String) {
            let head = self.text.string()?.0.decode();
            if head == MAP || head.starts_with("~#") {
                return Err(self.error("expected a plain array behind a tag"));
            }
            self.head = Some(head);
        }
        Ok(())
    }

    /// Reads an array of two integers.
    fn two_integers(&mut self) -> Result<[BigInt; 2], Fault> {
        const EXPECTED: &str = "expected an array of two integers behind a tag";
        if self.text.peek()? != Some(Json::Array) {
            return Err(self.error(EXPECTED));
        }
        self.text.enter()?;
        let mut integer = || {
            let text = match self.text.next()? {
                Some(Token::Number(number)) if number.is_integer() => Cow::Borrowed(number.text()),
                Some(Token::String(text)) => text.decode(),
                _ => return Err(self.error(EXPECTED)),
            };
            let digits = text.strip_prefix("~n").or_else(|| text.strip_prefix("~i"));
            BigInt::new(digits.unwrap_or(&text)).map_err(|_| self.error(EXPECTED))
        };
        let both = [integer()?, integer()?];
        if self.text.peek()?.is_some() {
            return Err(self.error(EXPECTED));
        }
        self.text.leave()?;
        Ok(both)
    }

    /// Reads what stands behind one of Transit's letters as a tag: `["~#m",0]`.
    fn composite_scalar(&mut self, letter: char) -> Result<(), Fault> {
        match self.text.next()? {
            Some(Token::String(text)) => {
                self.string(text.decode())?;
                match self.take_atom() {
                    Atom::String(text) => self.scalar(letter, text),
                    _ => Err(self.error("expected a string behind a tag")),
                }
            }
            Some(Token::Number(number)) if letter == 'm' && number.is_integer() => {
                self.scalar(letter, Cow::Borrowed(number.text()))
            }
            _ => Err(self.error("expected a string behind a tag")),
        }
    }

    /// Finds what a string means that is no tag and no marker.
    fn string(&mut self, text: Cow<'a, str>) -> Result<(), Fault> {
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some('^'), Some(' ')) if text == MAP => {
                Err(self.error("the marker of a map stands at the head of an array only"))
            }
            (Some('^'), _) => Err(self.error("a reference in a packed value")),
            (Some('~'), Some('#')) => {
                Err(self.error("a tag stands at the head of an array of two only"))
            }
            (Some('~'), Some('~' | '^' | '`')) => {
                self.atom = Atom::String(behind(text, 1));
                Ok(())
            }
            (Some('~'), Some(letter)) => {
                let rest = behind(text, letter.len_utf8().saturating_add(1));
                self.scalar(letter, rest)
            }
            _ => {
                self.atom = Atom::String(text);
                Ok(())
            }
        }
    }

    fn scalar(&mut self, letter: char, text: Cow<'a, str>) -> Result<(), Fault> {
        self.atom = match (letter, &*text) {
            ('_', _) => Atom::Nil,
            ('?', "t") => Atom::Bool(true),
            ('?', "f") => Atom::Bool(false),
            ('?', _) => return Err(self.error("expected t or f")),
            _ => Atom::Scalar(letter, text),
        };
        Ok(())
    }

    /// An item of the collection that is open begins.
    fn begin_item(&mut self) {
        if let Some(level) = self.open.last_mut() {
            level.items = level.items.saturating_add(1);
        }
    }

    fn push(&mut self, rule: Rule, tagged: bool, kind: Kind) -> Result<Option<Step>, Fault> {
        self.push_level(rule, tagged)?;
        Ok(Some(Step::Open(kind)))
    }

    fn push_level(&mut self, rule: Rule, tagged: bool) -> Result<(), Fault> {
        if self.open.len() >= self.max_depth {
            return Err(Fault::Depth {
                offset: self.start,
                limit: self.max_depth,
            });
        }
        self.open.push(Level {
            rule,
            items: 0,
            tagged,
        });
        Ok(())
    }

    fn at_atom(&mut self) -> Result<Step, Fault> {
        self.leave_silent()?;
        Ok(Step::Atom)
    }

    /// Steps out of the innermost collection, over what is left of it.
    fn close(&mut self) -> Result<Step, Fault> {
        self.leave()?;
        self.leave_silent()?;
        Ok(Step::Close)
    }

    /// Steps out of the brackets around a value that nobody is told of.
    fn leave_silent(&mut self) -> Result<(), Fault> {
        while let Some(Level {
            rule: Rule::Silent, ..
        }) = self.open.last()
        {
            self.leave()?;
        }
        Ok(())
    }

    fn leave(&mut self) -> Result<(), Fault> {
        if let Some(level) = self.open.pop() {
            self.text.leave()?;
            if level.tagged {
                self.text.leave()?;
            }
        }
        Ok(())
    }

    fn end_of_container(&mut self) -> Result<Step, Fault> {
        match self.open.last() {
            None => Ok(Step::End),
            Some(Level {
                rule: Rule::One | Rule::Silent,
                ..
            }) => Err(self.error("there is nothing behind a tag")),
            Some(Level {
                rule: Rule::Entries,
                items,
                ..
            }) if !items.is_multiple_of(2) => Err(self.error("a map has a key without a value")),
            Some(_) => self.close(),
        }
    }

    const fn error(&self, message: &'static str) -> Fault {
        Fault::Text(TextError::new(self.text.start(), message))
    }
}

/// The text without its first bytes.
fn behind(text: Cow<'_, str>, bytes: usize) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(bytes..).unwrap_or_default()),
        Cow::Owned(mut text) => {
            text.drain(..bytes.min(text.len()));
            Cow::Owned(text)
        }
    }
}
