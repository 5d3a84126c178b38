//! A place in a JSON text, moved over its values one by one.

use super::error::TextError;
use super::levels::Levels;
use super::number::Number;
use super::scan;
use super::string::Text;
use crate::limits::Limits;

/// What comes next in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

/// What holds other values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    Array,
    Object,
}

/// One step over a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    Null,
    Bool(bool),
    Number(Number<'a>),
    String(Text<'a>),
    /// A string that is a key of the object last opened; its value is next.
    Key(Text<'a>),
    Open(Container),
    /// The end of the container last opened.
    Close,
}

/// Where a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TextSpan {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) kind: Kind,
    /// Whether there is no raw line feed or carriage return in it. (In strings there never is.)
    pub(crate) line_safe: bool,
}

/// A place in a text, moved over the first value of it and over those inside; see the
/// [module](super).
///
/// In an object keys and values come in turn, each as an item of its own.
#[derive(Debug)]
pub(crate) struct TextCursor<'a> {
    /// As much of the text as is UTF-8.
    text: &'a str,
    /// Whether there is more behind that.
    torn: bool,
    pos: usize,
    /// Where the last token starts.
    start: usize,
    place: Place,
    /// Why the text cannot be read any further.
    fault: Option<TextError>,
    /// The containers that are open, an object being a set bit.
    levels: Levels,
    /// The innermost of them.
    inside: Option<Container>,
    /// In an object, whether the next item is a key.
    at_key: bool,
    /// The byte behind the last line break between two tokens.
    behind_break: usize,
    elements: usize,
    max_depth: usize,
    max_elements: usize,
}

/// Where a cursor stands.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// Before the text, or just behind an opening bracket.
    First,
    /// Behind an item.
    Behind,
    /// At the first byte of an item.
    At(Kind),
    /// At the bracket that closes the container, or behind the value of the text.
    End,
    /// Where the text cannot be read.
    Stopped,
}

impl<'a> TextCursor<'a> {
    /// Stands before the first value of `text`. Of `limits` those of depth and elements hold here:
    /// how many arrays and objects may be open at once, and how many values and keys there may be.
    pub(crate) fn new(text: &'a [u8], limits: &Limits) -> Self {
        let (text, torn) = match core::str::from_utf8(text) {
            Ok(text) => (text, false),
            Err(error) => {
                let valid = text.get(..error.valid_up_to()).unwrap_or_default();
                (core::str::from_utf8(valid).unwrap_or_default(), true)
            }
        };
        Self {
            text,
            torn,
            pos: 0,
            start: 0,
            place: Place::First,
            fault: None,
            levels: Levels::default(),
            inside: None,
            at_key: false,
            behind_break: 0,
            elements: 0,
            max_depth: limits.max_depth,
            max_elements: limits.max_elements,
        }
    }

    /// What comes next; `None` at the end of the container that was entered, and behind the value
    /// of the text. An empty text has none.
    #[inline(always)]
    pub(crate) fn peek(&mut self) -> Result<Option<Kind>, TextError> {
        match self.place {
            Place::At(kind) => Ok(Some(kind)),
            Place::End => Ok(None),
            Place::First | Place::Behind | Place::Stopped => self.arrive(),
        }
    }

    /// Steps over the next token; `None` behind the value of the text.
    // Measured: where the token is not looked at, none is made.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Result<Option<Token<'a>>, TextError> {
        let Some(kind) = self.peek()? else {
            return Ok(if self.inside.is_some() {
                self.close();
                Some(Token::Close)
            } else {
                None
            });
        };
        if self.elements >= self.max_elements {
            let limit = self.max_elements;
            return Err(self.stop(TextError::over(self.pos, "elements", limit)));
        }
        self.elements = self.elements.saturating_add(1);
        self.start = self.pos;
        self.read(kind).map(Some).map_err(|error| self.stop(error))
    }

    /// Steps into the array or object that comes next, and says which it is.
    pub(crate) fn enter(&mut self) -> Result<Container, TextError> {
        if let Some(Kind::Array | Kind::Object) = self.peek()?
            && let Some(Token::Open(container)) = self.next()?
        {
            return Ok(container);
        }
        Err(TextError::new(self.pos, "expected an array or an object"))
    }

    /// Steps over what is left of the container that was entered, and out of it.
    pub(crate) fn leave(&mut self) -> Result<(), TextError> {
        if self.inside.is_none() {
            return Err(TextError::new(self.pos, "there is nothing to leave"));
        }
        self.leave_to(self.levels.len().saturating_sub(1))
    }

    /// Steps over what comes next, and everything in it.
    pub(crate) fn skip(&mut self) -> Result<TextSpan, TextError> {
        let Some(kind) = self.peek()? else {
            return Err(TextError::new(self.pos, "expected another value"));
        };
        let start = self.pos;
        let levels = self.levels.len();
        self.next()?;
        if self.levels.len() > levels {
            self.leave_to(levels)?;
        }
        Ok(self.span_from(start, kind))
    }

    /// Reads the string, or the key, that comes next.
    pub(crate) fn string(&mut self) -> Result<(Text<'a>, TextSpan), TextError> {
        if self.peek()? == Some(Kind::String)
            && let Some(Token::String(text) | Token::Key(text)) = self.next()?
        {
            return Ok((text, self.span_from(self.start, Kind::String)));
        }
        Err(TextError::new(self.pos, "expected a string"))
    }

    /// The string that [`peek`](Self::peek) has found, without stepping over it.
    pub(crate) fn peek_string(&self) -> Result<Text<'a>, TextError> {
        let from = self.pos.saturating_add(1);
        let (end, escaped) =
            scan::string(self.bytes(), from).map_err(|error| self.torn_instead(error))?;
        let body = self.text.get(from..end).unwrap_or_default();
        Ok(Text::new(body, escaped))
    }

    /// The text, as far as it is UTF-8.
    pub(crate) const fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// Where the last token starts.
    pub(crate) const fn start(&self) -> usize {
        self.start
    }

    /// The byte behind what was stepped over last, and behind blanks that were peeked past.
    pub(crate) const fn pos(&self) -> usize {
        self.pos
    }

    fn leave_to(&mut self, levels: usize) -> Result<(), TextError> {
        while self.levels.len() > levels {
            self.next()?;
        }
        Ok(())
    }

    const fn span_from(&self, start: usize, kind: Kind) -> TextSpan {
        TextSpan {
            start,
            end: self.pos,
            kind,
            line_safe: self.behind_break <= start,
        }
    }

    /// Goes to the next item.
    #[inline(always)]
    fn arrive(&mut self) -> Result<Option<Kind>, TextError> {
        let found = match self.place {
            Place::Behind => self.go_on(),
            Place::Stopped => return Err(self.fault()),
            _ => self.begin(),
        };
        match found {
            Ok(Some(kind)) => {
                self.place = Place::At(kind);
                Ok(Some(kind))
            }
            Ok(None) => {
                self.place = Place::End;
                Ok(None)
            }
            Err(error) => Err(self.stop(error)),
        }
    }

    /// From the start of the text or of a container.
    #[inline(always)]
    fn begin(&mut self) -> Result<Option<Kind>, TextError> {
        let byte = self.skip_blanks();
        match self.inside {
            None if byte.is_none() && !self.torn => Ok(None),
            Some(Container::Array) if byte == Some(b']') => Ok(None),
            Some(Container::Object) if byte == Some(b'}') => Ok(None),
            _ => self.at_item(byte),
        }
    }

    /// From behind an item.
    #[inline(always)]
    fn go_on(&mut self) -> Result<Option<Kind>, TextError> {
        let Some(container) = self.inside else {
            return Ok(None);
        };
        let byte = self.skip_blanks();
        match (container, byte) {
            (Container::Object, Some(b':')) if !self.at_key => {}
            (Container::Object, _) if !self.at_key => {
                return Err(self.expected("expected a colon behind a key"));
            }
            (_, Some(b',')) => {}
            (Container::Array, Some(b']')) | (Container::Object, Some(b'}')) => {
                return Ok(None);
            }
            (Container::Array, _) => return Err(self.expected("expected a comma or ]")),
            (Container::Object, _) => return Err(self.expected("expected a comma or }")),
        }
        self.pos = self.pos.saturating_add(1);
        let byte = self.skip_blanks();
        self.at_item(byte)
    }

    #[inline(always)]
    fn at_item(&self, byte: Option<u8>) -> Result<Option<Kind>, TextError> {
        let kind = match byte {
            Some(b'"') => Kind::String,
            _ if self.at_key => return Err(self.expected("expected a key in quotes")),
            Some(b'-' | b'0'..=b'9') => Kind::Number,
            Some(b'[') => Kind::Array,
            Some(b'{') => Kind::Object,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') => Kind::Null,
            _ => return Err(self.expected("expected a JSON value")),
        };
        Ok(Some(kind))
    }

    /// Steps over the token that starts here.
    #[inline(always)]
    fn read(&mut self, kind: Kind) -> Result<Token<'a>, TextError> {
        let token = match kind {
            Kind::String => {
                let from = self.pos.saturating_add(1);
                let (end, escaped) = scan::string(self.bytes(), from)?;
                let text = Text::new(self.text.get(from..end).unwrap_or_default(), escaped);
                self.pos = end.saturating_add(1);
                if self.at_key {
                    Token::Key(text)
                } else {
                    Token::String(text)
                }
            }
            Kind::Number => {
                let (end, integer) = scan::number(self.bytes(), self.pos)?;
                let text = self.text.get(self.pos..end).unwrap_or_default();
                self.pos = end;
                self.check_end("not a number")?;
                Token::Number(Number::new(text, integer))
            }
            Kind::Null => {
                self.word("null")?;
                Token::Null
            }
            Kind::Bool => {
                let value = self.byte() == Some(b't');
                self.word(if value { "true" } else { "false" })?;
                Token::Bool(value)
            }
            Kind::Array => return self.open(Container::Array),
            Kind::Object => return self.open(Container::Object),
        };
        self.place = Place::Behind;
        self.at_key = !self.at_key && self.inside == Some(Container::Object);
        Ok(token)
    }

    fn open(&mut self, container: Container) -> Result<Token<'a>, TextError> {
        if self.levels.len() >= self.max_depth {
            let limit = self.max_depth;
            return Err(TextError::over(self.pos, "levels of nesting", limit));
        }
        let is_object = container == Container::Object;
        self.levels.push(is_object);
        self.inside = Some(container);
        self.at_key = is_object;
        self.place = Place::First;
        self.pos = self.pos.saturating_add(1);
        Ok(Token::Open(container))
    }

    fn close(&mut self) {
        self.start = self.pos;
        self.pos = self.pos.saturating_add(1);
        self.inside = self.levels.pop().map(|is_object| {
            if is_object {
                Container::Object
            } else {
                Container::Array
            }
        });
        // What was closed was a value, so in an object a key is next.
        self.at_key = self.inside == Some(Container::Object);
        self.place = Place::Behind;
    }

    fn word(&mut self, word: &'static str) -> Result<(), TextError> {
        let rest = self.bytes().get(self.pos..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(self.expected("expected true, false or null"));
        }
        self.pos = self.pos.saturating_add(word.len());
        self.check_end("expected true, false or null")
    }

    /// Whether a number or a word may end here.
    fn check_end(&self, message: &'static str) -> Result<(), TextError> {
        match self.byte() {
            Some(b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t') => Ok(()),
            None if self.torn => Err(TextError::new(self.pos, message)),
            None => Ok(()),
            Some(_) => Err(TextError::new(self.start, message)),
        }
    }

    /// Steps over blanks, and gives the byte behind them.
    #[inline(always)]
    fn skip_blanks(&mut self) -> Option<u8> {
        match self.byte() {
            Some(byte) if byte > b' ' => Some(byte),
            _ => self.skip_some_blanks(),
        }
    }

    fn skip_some_blanks(&mut self) -> Option<u8> {
        let bytes = self.bytes();
        loop {
            match bytes.get(self.pos)? {
                b' ' | b'\t' => self.pos = self.pos.saturating_add(1),
                b'\n' | b'\r' => {
                    self.pos = self.pos.saturating_add(1);
                    self.behind_break = self.pos;
                }
                other => return Some(*other),
            }
        }
    }

    #[inline(always)]
    fn byte(&self) -> Option<u8> {
        self.bytes().get(self.pos).copied()
    }

    #[cold]
    fn expected(&self, message: &'static str) -> TextError {
        let ended = self.pos >= self.text.len();
        TextError::new(
            self.pos,
            if ended {
                "the text ends too early"
            } else {
                message
            },
        )
    }

    /// At the end of what is UTF-8 another error is the one to tell.
    fn torn_instead(&self, error: TextError) -> TextError {
        if self.torn && error.offset >= self.text.len() {
            TextError::new(self.text.len(), "not UTF-8")
        } else {
            error
        }
    }

    #[cold]
    fn stop(&mut self, error: TextError) -> TextError {
        let error = self.torn_instead(error);
        self.place = Place::Stopped;
        self.fault = Some(error);
        error
    }

    #[cold]
    fn fault(&self) -> TextError {
        self.fault
            .unwrap_or_else(|| self.expected("expected a JSON value"))
    }
}
