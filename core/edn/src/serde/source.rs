//! Where forms come from, one head at a time: a text that was validated, or a [`Value`].

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::slice;

use super::error::Error;
use super::options::Options;
use crate::cursor::Cursor;
use crate::deep;
use crate::error::ErrorKind;
use crate::lex::Lexer;
use crate::limits::{Dialect, Limits};
use crate::name;
use crate::text;
use crate::value::Value;

/// An atom, or what opens a collection.
#[derive(Debug)]
pub(super) enum Head<'de> {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Char(char),
    Str(Cow<'de, str>),
    Keyword(Cow<'de, str>),
    Symbol(Cow<'de, str>),
    /// A `BigInt`, `Decimal`, `Ratio`, `Inst` or `Uuid`.
    Atom(Value),
    Items(Items),
    Map,
    Tag(Cow<'de, str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Items {
    List,
    Vector,
    Set,
}

/// A form that comes next, to tell of it later.
#[derive(Clone, Copy)]
pub(super) enum Spot<'de> {
    Text(usize),
    Value(Option<&'de Value>),
}

pub(super) enum Source<'de> {
    Text(Text<'de>),
    Value(Tree<'de>),
}

impl<'de> Source<'de> {
    /// Validates a text, which must be one form.
    pub(super) fn text(bytes: &'de [u8], options: &Options) -> Result<Self, Error> {
        let mut cursor = Cursor::new(bytes, &options.limits);
        cursor.skip()?;
        if cursor.peek()?.is_some() {
            return Err(crate::Error::new(ErrorKind::TrailingForm, cursor.offset()).into());
        }
        let mut text = Text {
            lexer: Lexer::new(bytes),
            dialect: options.limits.dialect,
            open: Vec::new(),
        };
        text.blanks()?;
        Ok(Self::Text(text))
    }

    pub(super) fn value(value: &'de Value, options: &Options) -> Self {
        Self::Value(Tree {
            root: Some(value),
            open: Vec::new(),
            max_depth: options.limits.max_depth,
        })
    }

    /// Steps over an atom, or into a collection.
    pub(super) fn head(&mut self) -> Result<Head<'de>, Error> {
        match self {
            Self::Text(text) => text.head(),
            Self::Value(tree) => tree.head(),
        }
    }

    /// Whether there is more in the collection that was entered last; if not, leaves it.
    pub(super) fn more(&mut self) -> Result<bool, Error> {
        match self {
            Self::Text(text) => text.more(),
            Self::Value(tree) => Ok(tree.more()),
        }
    }

    /// Leaves a tag behind its form.
    pub(super) fn end_tag(&mut self) {
        match self {
            Self::Text(text) => drop(text.open.pop()),
            Self::Value(tree) => drop(tree.open.pop()),
        }
    }

    /// Steps over a form.
    pub(super) fn skip(&mut self) -> Result<(), Error> {
        match self {
            Self::Text(text) => {
                text.skip()?;
                text.flip();
            }
            Self::Value(tree) => {
                tree.next()?;
            }
        }
        Ok(())
    }

    /// Steps over a form and gives its text.
    pub(super) fn raw(&mut self) -> Result<Cow<'de, str>, Error> {
        match self {
            Self::Text(text) => text.raw(),
            Self::Value(tree) => Ok(Cow::Owned(tree.next()?.to_string())),
        }
    }

    pub(super) fn is_nil(&self) -> bool {
        match self {
            Self::Text(text) => {
                let mut lexer = text.lexer;
                lexer.peek() == Some(b'n')
                    && lexer.token(text.lexer.pos()).is_ok_and(|t| t == "nil")
            }
            Self::Value(tree) => tree.peek().is_some_and(Value::is_nil),
        }
    }

    /// The form that comes next.
    pub(super) fn spot(&self) -> Spot<'de> {
        match self {
            Self::Text(text) => Spot::Text(text.lexer.pos()),
            Self::Value(tree) => Spot::Value(tree.peek()),
        }
    }

    pub(super) fn offset(spot: Spot<'de>) -> Option<usize> {
        match spot {
            Spot::Text(offset) => Some(offset),
            Spot::Value(_) => None,
        }
    }

    /// How a key is told of in a path.
    pub(super) fn show(&self, spot: Spot<'de>) -> String {
        let all = match (self, spot) {
            (Self::Text(text), Spot::Text(start)) => {
                let mut other = Text {
                    lexer: text.lexer,
                    dialect: text.dialect,
                    open: Vec::new(),
                };
                other.lexer.seek(start);
                let end = other.skip().map_or(start, |()| other.lexer.pos());
                String::from(text.lexer.slice(start, end))
            }
            (_, Spot::Value(Some(value))) => value.to_string(),
            _ => String::from("?"),
        };
        match all.char_indices().nth(60) {
            Some((at, _)) => format!("{}…", all.get(..at).unwrap_or_default()),
            None => all,
        }
    }
}

/// A text that is known to be valid.
pub(super) struct Text<'de> {
    lexer: Lexer<'de>,
    dialect: Dialect,
    open: Vec<Open<'de>>,
}

/// A collection that was entered: the namespace of its keys, and whether a key is next.
struct Open<'de> {
    namespace: Option<&'de str>,
    key: bool,
}

impl<'de> Text<'de> {
    /// For those who go on after an error they were given: they are nowhere.
    #[cold]
    fn lost(&self) -> Error {
        Error::new("expected a form").at(Some(self.lexer.pos()))
    }

    /// Skips to the next form: blanks, comments, discarded forms and metadata.
    fn blanks(&mut self) -> Result<Option<u8>, Error> {
        loop {
            let byte = self.lexer.skip_blank(self.dialect);
            let length = match (byte, self.lexer.peek_at(1)) {
                (Some(b'#'), Some(b'_' | b'^')) => 2,
                (Some(b'^'), _) => 1,
                _ => return Ok(byte),
            };
            self.lexer.advance(length);
            // What is discarded may discard in turn, no deeper than the limits of the reader.
            self.skip()?;
        }
    }

    /// Steps over a form.
    fn skip(&mut self) -> Result<(), Error> {
        let mut depth: usize = 0;
        loop {
            let byte = self.blanks()?.ok_or_else(|| self.lost())?;
            match byte {
                b'(' | b'[' | b'{' => {
                    self.lexer.advance(1);
                    depth = depth.saturating_add(1);
                    continue;
                }
                b')' | b']' | b'}' => {
                    if depth == 0 {
                        return Err(self.lost());
                    }
                    self.lexer.advance(1);
                    depth = depth.saturating_sub(1);
                }
                b'#' => {
                    match self.lexer.peek_at(1) {
                        Some(b'{') => {}
                        Some(b'#') => self.lexer.advance(1),
                        Some(b':') => {
                            self.lexer.advance(2);
                            self.blanks()?;
                            self.lexer.token(self.lexer.pos())?;
                            continue;
                        }
                        _ => {
                            self.tag()?;
                            continue;
                        }
                    }
                    self.lexer.advance(1);
                    continue;
                }
                _ => self.step_over_atom(byte)?,
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn step_over_atom(&mut self, byte: u8) -> Result<(), Error> {
        match byte {
            b'"' => self.lexer.string().map(drop)?,
            b'\\' => self.lexer.character(self.dialect).map(drop)?,
            _ if self.lexer.is_at_number(byte) => self.lexer.number(self.dialect).map(drop)?,
            _ => {
                let start = self.lexer.pos();
                self.lexer.token(start)?;
                if self.lexer.pos() == start {
                    return Err(self.lost());
                }
            }
        }
        Ok(())
    }

    fn tag(&mut self) -> Result<&'de str, Error> {
        self.lexer.advance(1);
        if self.dialect == Dialect::Either {
            self.lexer.skip_blank(self.dialect);
        }
        Ok(self.lexer.token(self.lexer.pos())?)
    }

    /// Notes that an item of the collection around was taken; the namespace if it was a key.
    fn flip(&mut self) -> Option<&'de str> {
        let open = self.open.last_mut()?;
        open.key = !open.key;
        if open.key { None } else { open.namespace }
    }

    fn enter(&mut self, namespace: Option<&'de str>) {
        self.lexer.advance(1);
        self.open.push(Open {
            namespace,
            key: true,
        });
    }

    /// What the reader makes of an atom, from where it starts.
    fn value_from(&self, start: usize) -> Result<Value, Error> {
        let text = self.lexer.slice(start, self.lexer.pos());
        let limits = Limits::unlimited().dialect(self.dialect);
        Ok(crate::from_slice_with(text.as_bytes(), &limits)?)
    }

    fn raw(&mut self) -> Result<Cow<'de, str>, Error> {
        let byte = self.blanks()?;
        let start = self.lexer.pos();
        let in_namespace = self
            .open
            .last()
            .is_some_and(|o| o.key && o.namespace.is_some());
        let is_name = byte.is_some_and(|byte| !matches!(byte, b'"' | b'\\' | b'('));
        if in_namespace && is_name {
            // The name that the namespace makes of it, which does not stand in the text.
            let mut probe = Text {
                lexer: self.lexer,
                dialect: self.dialect,
                open: Vec::new(),
            };
            let namespace = self.open.last().and_then(|open| open.namespace);
            probe.open.push(Open {
                namespace,
                key: true,
            });
            let named = match probe.head()? {
                Head::Keyword(name) => Some(format!(":{name}")),
                Head::Symbol(name) => Some(name.into_owned()),
                _ => None,
            };
            if let Some(named) = named {
                self.skip()?;
                self.flip();
                return Ok(Cow::Owned(named));
            }
        }
        self.skip()?;
        self.flip();
        Ok(Cow::Borrowed(self.lexer.slice(start, self.lexer.pos())))
    }

    fn head(&mut self) -> Result<Head<'de>, Error> {
        let byte = self.blanks()?.ok_or_else(|| self.lost())?;
        let start = self.lexer.pos();
        if matches!(byte, b')' | b']' | b'}') {
            return Err(self.lost());
        }
        let namespace = self.flip();
        let renamed = |name: &'de str| match namespace {
            Some(namespace) => name::in_namespace(namespace, name).unwrap_or(Cow::Borrowed(name)),
            None => Cow::Borrowed(name),
        };
        Ok(match byte {
            b'"' => Head::Str(text::unescape(self.lexer.string()?)),
            b'(' | b'[' | b'{' => {
                self.enter(None);
                match byte {
                    b'(' => Head::Items(Items::List),
                    b'[' => Head::Items(Items::Vector),
                    _ => Head::Map,
                }
            }
            b'#' => return self.dispatch(start),
            b'\\' => Head::Char(self.lexer.character(self.dialect)?),
            b':' => {
                let name = self.lexer.token(start)?;
                Head::Keyword(renamed(name.get(1..).unwrap_or_default()))
            }
            _ if self.lexer.is_at_number(byte) => self.number(start)?,
            _ => match self.lexer.token(start)? {
                "" => return Err(self.lost()),
                "nil" => Head::Nil,
                "true" => Head::Bool(true),
                "false" => Head::Bool(false),
                name => Head::Symbol(renamed(name)),
            },
        })
    }

    fn number(&mut self, start: usize) -> Result<Head<'de>, Error> {
        let text = self.lexer.number(self.dialect)?;
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        // A leading zero is an octal number, and more digits need a closer look.
        let plain = digits.len() <= 18 && digits.bytes().all(|byte| byte.is_ascii_digit());
        if plain && (digits.len() == 1 || !digits.starts_with('0')) {
            return text.parse().map(Head::Int).map_err(|_| self.lost());
        }
        // The text is valid, so what has only these characters, and is no integer, is a float.
        let fits =
            |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-');
        if digits.bytes().all(fits) && digits.contains(['.', 'e', 'E']) {
            return text.parse().map(Head::Float).map_err(|_| self.lost());
        }
        Ok(head_of(&self.value_from(start)?).unwrap_or(Head::Nil))
    }

    fn dispatch(&mut self, start: usize) -> Result<Head<'de>, Error> {
        match self.lexer.peek_at(1) {
            Some(b'{') => {
                self.lexer.advance(1);
                self.enter(None);
                Ok(Head::Items(Items::Set))
            }
            Some(b':') => {
                self.lexer.advance(2);
                self.blanks()?;
                let namespace = self.lexer.token(self.lexer.pos())?;
                self.blanks()?;
                self.enter(Some(namespace));
                Ok(Head::Map)
            }
            Some(b'#') => {
                self.skip()?;
                Ok(head_of(&self.value_from(start)?).unwrap_or(Head::Nil))
            }
            _ => match self.tag()? {
                "inst" | "uuid" => {
                    self.skip()?;
                    Ok(head_of(&self.value_from(start)?).unwrap_or(Head::Nil))
                }
                tag => {
                    // The form behind it is no item of the collection around.
                    self.open.push(Open {
                        namespace: None,
                        key: true,
                    });
                    self.blanks()?;
                    Ok(Head::Tag(Cow::Borrowed(tag)))
                }
            },
        }
    }

    fn more(&mut self) -> Result<bool, Error> {
        match self.blanks()? {
            None => Err(self.lost()),
            Some(b')' | b']' | b'}') => {
                self.lexer.advance(1);
                self.open.pop();
                Ok(false)
            }
            Some(_) => Ok(true),
        }
    }
}

/// The head of an atom that a text does not hold as it is.
fn head_of(value: &Value) -> Option<Head<'static>> {
    Some(match value {
        Value::Int(value) => Head::Int(*value),
        Value::Float(value) => Head::Float(*value),
        Value::BigInt(_) | Value::Decimal(_) | Value::Ratio(_) => Head::Atom(value.clone()),
        Value::Inst(_) | Value::Uuid(_) => Head::Atom(value.clone()),
        _ => return None,
    })
}

/// A value that is walked through.
pub(super) struct Tree<'de> {
    root: Option<&'de Value>,
    open: Vec<slice::Iter<'de, Value>>,
    max_depth: usize,
}

impl<'de> Tree<'de> {
    fn peek(&self) -> Option<&'de Value> {
        match self.open.last() {
            Some(items) => items.as_slice().first(),
            None => self.root,
        }
    }

    fn next(&mut self) -> Result<&'de Value, Error> {
        let next = match self.open.last_mut() {
            Some(items) => items.next(),
            None => self.root.take(),
        };
        next.ok_or_else(|| Error::new("expected a form"))
    }

    fn more(&mut self) -> bool {
        let more = self.open.last().is_some_and(|items| items.len() > 0);
        if !more {
            self.open.pop();
        }
        more
    }

    fn head(&mut self) -> Result<Head<'de>, Error> {
        let value = self.next()?;
        if !deep::is_atom(value) {
            if self.open.len() >= self.max_depth {
                let limit = self.max_depth;
                return Err(Error::new(format!(
                    "the value nests deeper than the {limit} levels allowed"
                )));
            }
            self.open.push(deep::children(value).iter());
        }
        Ok(match value {
            Value::Nil => Head::Nil,
            Value::Bool(value) => Head::Bool(*value),
            Value::Char(value) => Head::Char(*value),
            Value::String(value) => Head::Str(Cow::Borrowed(value)),
            Value::Keyword(value) => Head::Keyword(Cow::Borrowed(value.as_str())),
            Value::Symbol(value) => Head::Symbol(Cow::Borrowed(value.as_str())),
            Value::List(_) => Head::Items(Items::List),
            Value::Vector(_) => Head::Items(Items::Vector),
            Value::Set(_) => Head::Items(Items::Set),
            Value::Map(_) => Head::Map,
            Value::Tagged(value) => Head::Tag(Cow::Borrowed(value.tag().as_str())),
            other => head_of(other).unwrap_or(Head::Nil),
        })
    }
}
