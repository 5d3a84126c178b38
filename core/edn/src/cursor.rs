//! Reading a text step by step, without building values: what an envelope needs.

use core::fmt;

use crate::atom::Fact;
use crate::class;
use crate::error::{Error, ErrorKind, Expected, Inside};
use crate::lex::{self, Lexer};
use crate::limits::Limits;
use crate::machine::{Done, Machine};
use crate::plain;
use crate::read;
use crate::shape::Shape;
use crate::sinks::{self, ToNothing};
use crate::stack::Stack;
use crate::text;

/// A place in a text, moved over the forms of it one by one.
///
/// A list or vector can be entered and left; every other form is stepped over as a whole. What has
/// been stepped over is valid, so that [`from_slice`](crate::from_slice) would read it. Where the
/// text turns out not to be EDN the cursor stops for good, and gives the same error to every
/// further call; being asked for a form that is not there does not stop it.
///
/// There is no allocation while forms are at most eight levels deep, and the maps and sets that are
/// open at once have at most 48 keys and elements between them. Exceptions are keys and elements that
/// are strings with escapes, numbers other than floats and integers of 64 bits, or names that get a
/// namespace from their map; and keys that collide, which they hardly ever do by chance.
///
/// ```
/// use sente_edn::{Cursor, Limits, Shape};
///
/// let mut cursor = Cursor::new(b"[[:chat/say {:text \"hi\"}] \"cb-7\"]", &Limits::default());
/// cursor.enter()?;
/// cursor.enter()?;
/// assert_eq!(cursor.keyword()?, "chat/say");
/// assert_eq!(cursor.skip()?.text(), b"{:text \"hi\"}");
/// cursor.leave()?;
/// assert_eq!(cursor.peek()?, Some(Shape::String));
/// # Ok::<(), sente_edn::Error>(())
/// ```
pub struct Cursor<'a> {
    machine: Machine<'a, ToNothing>,
    /// The sequence that was stepped into last.
    inside: Entered,
    /// Those around it, and what is around all of them first.
    entered: Stack<Entered, 8>,
    /// What [`peek`](Cursor::peek) has found, until it is read.
    next: Option<Next>,
    /// Why the text can not be read, or not any further.
    fault: Option<Error>,
    /// Whether forms have to be counted, as there may be too many of them.
    counts: bool,
}

/// A sequence that was stepped into.
#[derive(Clone, Copy)]
struct Entered {
    start: usize,
    /// How many levels it is deeper than what is around it: one, and one for each metadata on it.
    levels: usize,
    /// The bracket that ends it; 0 for the text itself.
    closing: u8,
}

impl Entered {
    const TEXT: Self = Self {
        start: 0,
        levels: 0,
        closing: 0,
    };

    const fn is_text(&self) -> bool {
        self.closing == 0
    }
}

#[derive(Clone, Copy)]
struct Next {
    shape: Option<Shape>,
    /// How many metadata it carries; they nest it deeper.
    carried: usize,
}

impl<'a> Cursor<'a> {
    /// Stands before the first form of a text.
    #[must_use]
    pub fn new(text: &'a [u8], limits: &Limits) -> Self {
        let (lexer, fault) = match read::open(text, limits) {
            Ok(lexer) => (lexer, None),
            Err(error) => (Lexer::new(&[]), Some(error)),
        };
        let machine = Machine::new(lexer, *limits, ToNothing::default());
        Self {
            machine,
            inside: Entered::TEXT,
            entered: Stack::new(Entered::TEXT),
            next: None,
            fault,
            // Every form takes a byte.
            counts: text.len() >= limits.max_elements,
        }
    }

    /// Skips blanks, comments, discarded forms and metadata, and says which shape comes next.
    ///
    /// `None` at the end of the sequence that was entered, or of the text.
    ///
    /// # Errors
    ///
    /// If what was skipped is not valid, a bracket closes nothing, or the text ends inside of a
    /// sequence.
    #[inline]
    pub fn peek(&mut self) -> Result<Option<Shape>, Error> {
        if let Some(next) = self.next {
            return Ok(next.shape);
        }
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let next = self.find_next().map_err(|error| self.stop(error))?;
        self.next = Some(next);
        Ok(next.shape)
    }

    /// Steps into the list or vector that is next.
    ///
    /// # Errors
    ///
    /// If another shape is next, or the text may not nest so deep.
    pub fn enter(&mut self) -> Result<(), Error> {
        match self.ahead() {
            Some(b'[') => return self.step_in(b']', 0),
            Some(b'(') => return self.step_in(b')', 0),
            _ => {}
        }
        let shape = self.peek()?;
        match shape {
            Some(Shape::Vector) => self.step_in(b']', self.carried()),
            Some(Shape::List) => self.step_in(b')', self.carried()),
            _ => Err(self.unexpected(Expected::Sequence, shape)),
        }
    }

    #[inline]
    fn step_in(&mut self, closing: u8, carried: usize) -> Result<(), Error> {
        let start = self.offset();
        self.check_depth(carried, start)?;
        let levels = carried.saturating_add(1);
        self.machine.lexer.advance(1);
        self.machine.depth = self.machine.depth.saturating_add(levels);
        let inner = Entered {
            start,
            levels,
            closing,
        };
        self.entered
            .push(core::mem::replace(&mut self.inside, inner));
        self.next = None;
        Ok(())
    }

    /// Steps over what is left of the sequence that was entered, and out behind its bracket.
    ///
    /// # Errors
    ///
    /// If no sequence was entered, or what is left of it is not valid.
    pub fn leave(&mut self) -> Result<(), Error> {
        if self.inside.is_text() {
            let shape = self.peek()?;
            return Err(self.unexpected(Expected::Open, shape));
        }
        if self.ahead() != Some(self.inside.closing) {
            while self.peek()?.is_some() {
                self.skip()?;
            }
        }
        self.machine.lexer.advance(1);
        let Entered { start, levels, .. } = self.inside;
        self.entered.pop_to(&mut self.inside);
        self.machine.depth = self.machine.depth.saturating_sub(levels);
        self.next = None;
        self.count(start)
    }

    /// Reads the keyword that is next, and gives it without its colon.
    ///
    /// # Errors
    ///
    /// If something else is next, or the keyword is not valid.
    pub fn keyword(&mut self) -> Result<&'a str, Error> {
        if self.ahead() != Some(b':') {
            let shape = self.peek()?;
            if shape != Some(Shape::Keyword) {
                return Err(self.unexpected(Expected::Keyword, shape));
            }
        }
        let start = self.offset();
        let from = start.wrapping_add(1);
        if self.carried() == 0
            && let Some(end) = lex::plain_name(self.machine.lexer.bytes(), from)
        {
            self.machine.lexer.seek(end);
            self.next = None;
            self.count(start)?;
            return Ok(self.machine.lexer.slice(from, end));
        }
        match self.form()?.fact {
            Fact::Keyword(name) => Ok(name),
            _ => Err(self.unexpected(Expected::Keyword, None)),
        }
    }

    /// Steps over the form that is next, of whatever shape, and checks it completely.
    ///
    /// # Errors
    ///
    /// If nothing is next, or the form is not valid or beyond the limits.
    pub fn skip(&mut self) -> Result<Form<'a>, Error> {
        let byte = match self.ahead() {
            Some(byte @ (b'"' | b'{' | b'[' | b'(')) => Some(byte),
            _ => {
                self.peek()?;
                self.machine.lexer.peek()
            }
        };
        self.machine.sink.is_foreign = false;
        let deepest = self.machine.depth.saturating_add(plain::LEVELS);
        if byte.is_some()
            && self.carried() == 0
            && !self.counts
            && deepest < self.machine.limits.max_depth
        {
            let start = self.offset();
            if let Some((end, shape)) = plain::form(self.machine.lexer.bytes(), start) {
                self.machine.lexer.seek(end);
                self.next = None;
                return Ok(self.form_at(start, end, shape));
            }
        }
        let mark = self.machine.mark();
        let done = match byte {
            Some(b'"') if self.carried() == 0 => return self.string(),
            Some(b'{' | b'[' | b'(') if self.carried() == 0 => {
                if let Some(closed) = self.machine.run().map_err(|error| self.stop(error))? {
                    self.next = None;
                    return Ok(self.form_at(closed.start, closed.end, closed.shape));
                }
                self.read_on(0, mark)?
            }
            _ => self.form_from(mark)?,
        };
        Ok(self.form_at(done.start, done.end, done.shape))
    }

    #[inline]
    fn form_at(&self, start: usize, end: usize, shape: Shape) -> Form<'a> {
        Form {
            text: self
                .machine
                .lexer
                .bytes()
                .get(start..end)
                .unwrap_or_default(),
            start,
            shape,
            is_portable: !self.machine.sink.is_foreign,
        }
    }

    /// Skips blanks and says which byte is next, if that is not known yet.
    #[inline]
    fn ahead(&mut self) -> Option<u8> {
        if self.next.is_some() || self.fault.is_some() {
            return None;
        }
        self.machine.lexer.skip_blank(self.machine.limits.dialect)
    }

    /// How many metadata the next form carries.
    #[inline]
    fn carried(&self) -> usize {
        self.next.map_or(0, |next| next.carried)
    }

    /// Notes that the text can not be read any further.
    #[cold]
    fn stop(&mut self, error: Error) -> Error {
        self.fault = Some(error.clone());
        error
    }

    /// Steps over the string that is next.
    fn string(&mut self) -> Result<Form<'a>, Error> {
        let lexer = &mut self.machine.lexer;
        let start = lexer.pos();
        lexer.string().map_err(|error| self.stop(error))?;
        self.next = None;
        self.count(start)?;
        let end = self.offset();
        Ok(Form {
            text: self
                .machine
                .lexer
                .bytes()
                .get(start..end)
                .unwrap_or_default(),
            start,
            shape: Shape::String,
            is_portable: true,
        })
    }

    /// Counts a form that is complete.
    fn count(&mut self, start: usize) -> Result<(), Error> {
        self.machine.count(start).map_err(|error| self.stop(error))
    }

    /// At which byte the cursor stands.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.machine.lexer.pos()
    }

    /// Reads the form that was found to be next.
    fn form(&mut self) -> Result<Done<'a, ()>, Error> {
        self.form_from(self.machine.mark())
    }

    /// Reads on with the form that was found to be next, which begins at a mark.
    fn form_from(&mut self, mark: (usize, usize)) -> Result<Done<'a, ()>, Error> {
        if self.peek()?.is_none() {
            return Err(self.unexpected(Expected::Form, None));
        }
        self.read_on(self.carried(), mark)
    }

    /// Reads on with a form that is so many levels deeper and begins at a mark.
    fn read_on(&mut self, levels: usize, mark: (usize, usize)) -> Result<Done<'a, ()>, Error> {
        self.next = None;
        let done = self.read_from(levels, mark);
        let done = done.map_err(|error| self.stop(error))?;
        done.ok_or_else(|| {
            self.machine
                .lexer
                .end(Inside::Text, self.machine.lexer.pos())
        })
    }

    /// Skips to the next form.
    #[inline]
    fn find_next(&mut self) -> Result<Next, Error> {
        let byte = self.machine.lexer.skip_blank(self.machine.limits.dialect);
        let shape = match byte {
            Some(b'"') => Some(Shape::String),
            Some(b'(') => Some(Shape::List),
            Some(b'[') => Some(Shape::Vector),
            Some(b'{') => Some(Shape::Map),
            Some(b':') => Some(Shape::Keyword),
            Some(byte @ (b']' | b')')) if byte == self.inside.closing => None,
            None if self.inside.is_text() && self.machine.lexer.check_tail().is_ok() => None,
            _ => return self.find_other(),
        };
        Ok(Next { shape, carried: 0 })
    }

    /// Skips to the next form, whatever stands before it.
    fn find_other(&mut self) -> Result<Next, Error> {
        // How many metadata wait for a form to carry them, and where the last one is.
        let mut carried: usize = 0;
        let mut last_carried = None;
        loop {
            let byte = self.machine.lexer.skip_blank(self.machine.limits.dialect);
            let (start, ahead) = (self.offset(), self.machine.lexer.peek_at(1));
            match (byte, ahead) {
                (None, _) => return self.end(last_carried),
                (Some(b'#'), Some(b'_')) => {
                    self.skip_prefixed(2, carried, Inside::Discard).map(drop)?
                }
                (Some(b'^'), _) | (Some(b'#'), Some(b'^')) => {
                    let length = if byte == Some(b'^') { 1 } else { 2 };
                    let metadata = self.skip_prefixed(length, carried, Inside::Metadata)?;
                    let shapes = [Shape::Keyword, Shape::Map, Shape::String, Shape::Symbol];
                    if !shapes.contains(&metadata.shape) {
                        return Err(Error::new(ErrorKind::InvalidMetadata, metadata.start));
                    }
                    carried = carried.saturating_add(1);
                    last_carried = Some(start);
                }
                (Some(byte @ (b')' | b']' | b'}')), _) => {
                    let expected = match (last_carried, self.inside.closing) {
                        (None, closing @ 1..) => Some(char::from(closing)),
                        _ => None,
                    };
                    let found = char::from(byte);
                    if expected == Some(found) {
                        return Ok(Next {
                            shape: None,
                            carried,
                        });
                    }
                    let kind = ErrorKind::UnmatchedDelimiter { found, expected };
                    return Err(Error::new(kind, start));
                }
                (Some(byte), ahead) => {
                    let shape = self.shape(byte, ahead)?;
                    let carries = [
                        Shape::List,
                        Shape::Map,
                        Shape::Set,
                        Shape::Symbol,
                        Shape::Vector,
                    ];
                    if carried > 0 && !carries.contains(&shape) {
                        // What is wrong with the form itself comes first; and where the text ends
                        // `nil` may still become a symbol.
                        self.read(carried)?;
                        let may_go_on = matches!(shape, Shape::Nil | Shape::Bool);
                        if may_go_on && self.machine.lexer.is_at_end() {
                            return Err(self.machine.lexer.end(Inside::Token, start));
                        }
                        return Err(Error::new(ErrorKind::InvalidMetadataTarget, start));
                    }
                    return Ok(Next {
                        shape: Some(shape),
                        carried,
                    });
                }
            }
        }
    }

    /// Steps over `#_` or `^` and the form that belongs to it.
    fn skip_prefixed(
        &mut self,
        length: usize,
        carried: usize,
        inside: Inside,
    ) -> Result<Done<'a, ()>, Error> {
        let start = self.offset();
        self.check_depth(carried, start)?;
        self.machine.lexer.advance(length);
        let done = self.read(carried.saturating_add(1))?;
        done.ok_or_else(|| self.machine.lexer.end(inside, start))
    }

    /// Reads a form that is so many levels deeper than what was entered.
    fn read(&mut self, levels: usize) -> Result<Option<Done<'a, ()>>, Error> {
        self.read_from(levels, self.machine.mark())
    }

    /// Reads on with a form that begins at a mark and is so many levels deeper.
    fn read_from(
        &mut self,
        levels: usize,
        mark: (usize, usize),
    ) -> Result<Option<Done<'a, ()>>, Error> {
        let depth = self.machine.depth;
        self.machine.depth = depth.saturating_add(levels);
        let done = sinks::read_from(&mut self.machine, mark);
        self.machine.depth = depth;
        done
    }

    fn check_depth(&self, levels: usize, start: usize) -> Result<(), Error> {
        let limit = self.machine.limits.max_depth;
        if self.machine.depth.saturating_add(levels) >= limit {
            return Err(Error::new(ErrorKind::TooDeep { limit }, start));
        }
        Ok(())
    }

    fn end(&self, carried: Option<usize>) -> Result<Next, Error> {
        if let Some(start) = carried {
            return Err(self.machine.lexer.end(Inside::Metadata, start));
        }
        let start = self.inside.start;
        match self.inside.closing {
            b')' => Err(self.machine.lexer.end(Inside::List, start)),
            b']' => Err(self.machine.lexer.end(Inside::Vector, start)),
            _ => {
                self.machine.lexer.check_tail()?;
                Ok(Next {
                    shape: None,
                    carried: 0,
                })
            }
        }
    }

    /// The shape of the form that begins here.
    fn shape(&self, byte: u8, ahead: Option<u8>) -> Result<Shape, Error> {
        Ok(match (byte, ahead) {
            (b'"', _) => Shape::String,
            (b'(', _) => Shape::List,
            (b'[', _) => Shape::Vector,
            (b'{', _) | (b'#', Some(b':')) => Shape::Map,
            (b'#', Some(b'{')) => Shape::Set,
            (b'#', Some(b'#')) => Shape::Number,
            (b'#', _) => Shape::Tagged,
            (b'\\', _) => Shape::Char,
            (b':', _) => Shape::Keyword,
            _ if self.machine.lexer.is_at_number(byte) => Shape::Number,
            _ if class::is_banned(byte) => {
                let kind = ErrorKind::BannedCharacter(char::from(byte));
                return Err(Error::new(kind, self.offset()));
            }
            _ => match self.machine.lexer.clone().token(self.offset())? {
                "nil" => Shape::Nil,
                "true" | "false" => Shape::Bool,
                _ => Shape::Symbol,
            },
        })
    }

    fn unexpected(&self, expected: Expected, found: Option<Shape>) -> Error {
        if found.is_none() && self.inside.is_text() {
            return self.machine.lexer.end(Inside::Text, self.offset());
        }
        Error::new(
            ErrorKind::UnexpectedShape { expected, found },
            self.offset(),
        )
    }
}

/// Where it stands, and why it has stopped if it has.
impl fmt::Debug for Cursor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Cursor");
        debug.field("offset", &self.offset());
        debug.field("fault", &self.fault);
        debug.finish_non_exhaustive()
    }
}

/// A form that was checked, as it stands in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form<'a> {
    text: &'a [u8],
    start: usize,
    shape: Shape,
    is_portable: bool,
}

impl<'a> Form<'a> {
    /// The bytes of the form, without metadata or anything else before or behind it.
    #[must_use]
    pub const fn text(&self) -> &'a [u8] {
        self.text
    }

    /// At which byte of the text it starts.
    #[must_use]
    pub const fn start(&self) -> usize {
        self.start
    }

    /// At which byte of the text it has ended.
    #[must_use]
    pub const fn end(&self) -> usize {
        self.start.saturating_add(self.text.len())
    }

    /// Its shape.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// Whether it stands on one line: there is no raw line feed or carriage return in it.
    #[must_use]
    pub fn is_line_safe(&self) -> bool {
        !text::has_line_end(self.text)
    }

    /// Whether every Clojure or ClojureScript peer can read it.
    ///
    /// A peer drops the whole frame over a tag it does not know, and those other than `#inst` and
    /// `#uuid` it may not know, discarded or not. `clojure.tools.reader`, with which Sente reads,
    /// does the same over some names that `clojure.edn` takes, such as `:a/b/c`, `:a/1` and `:a::b`. What a peer merely
    /// changes is portable: ClojureScript makes `1/3`, `1N`, `1M` and `\a` numbers and strings of
    /// its own.
    #[must_use]
    pub const fn is_portable(&self) -> bool {
        self.is_portable
    }
}
