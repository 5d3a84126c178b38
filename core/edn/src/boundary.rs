//! Where a form of a stream ends, found in bytes that come in piece by piece.
//!
//! Much less is known here than the grammar knows: which brackets and prefixes are open, and in
//! what kind of token the bytes end. That suffices to see each byte once, and the grammar reads
//! each form when it is there. What can not be a form is only pointed at; the grammar says why.

use alloc::vec::Vec;

use crate::class;
use crate::limits::Limits;

/// What the bytes so far come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A form has ended, or one to discard.
    Complete,
    /// The last character can not stand there.
    Fault,
    /// The form goes on behind the bytes, or may, or none has begun.
    More,
}

/// The place in the bytes, and what is open there.
#[derive(Clone, Debug)]
pub(crate) struct Boundary {
    state: State,
    open: Vec<Open>,
    /// Where the form starts, with its prefixes; where to look next if none has started.
    start: usize,
    pos: usize,
    /// Where the token starts in which the bytes end.
    token: usize,
    max_depth: usize,
    is_wide: bool,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Blank,
    /// Behind a backslash outside of strings.
    Character,
    Comment,
    /// Behind `#`.
    Hash,
    /// Behind a `#` that other blanks and comments than its tag may follow.
    HashBlank,
    HashComment,
    /// Behind one more `#`, which must begin a comment.
    HashHash,
    Name,
    /// Behind `#:` and the namespace.
    Namespaced,
    Number,
    /// Behind a sign, which begins a number or a name.
    Sign,
    String,
    /// Behind a backslash in a string.
    StringEscape,
    Tag,
}

/// What waits for forms or for its bracket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Bracket(u8),
    Discard,
    /// Waits for the metadata, and then for what carries it.
    Metadata,
    /// Waits for the namespace, and then for a bracket.
    Namespace,
    /// Waits for one form: a tag, `##`, or metadata that is there.
    Prefix,
}

impl Boundary {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            state: State::Blank,
            open: Vec::new(),
            start: 0,
            pos: 0,
            token: 0,
            max_depth: limits.max_depth,
            is_wide: limits.dialect.is_wide(),
        }
    }

    /// Where the form starts, or nothing has yet.
    pub(crate) fn start(&self) -> usize {
        self.start
    }

    /// How far the bytes were looked at; behind a form that is complete or a fault.
    pub(crate) fn pos(&self) -> usize {
        self.pos
    }

    /// Up to where each token is known to have ended.
    pub(crate) fn settled(&self) -> usize {
        match self.state {
            State::Blank
            | State::Comment
            | State::Namespaced
            | State::String
            | State::StringEscape => self.pos,
            _ => self.token,
        }
    }

    /// Whether a form has started and not ended.
    pub(crate) fn is_inside(&self) -> bool {
        !(self.open.is_empty() && matches!(self.state, State::Blank | State::Comment))
    }

    /// Whether all there is of the form is a `#`, which may begin a mere comment.
    pub(crate) fn is_lone_hash(&self) -> bool {
        self.open.is_empty() && self.state == State::Hash
    }

    /// Counts from another byte on.
    pub(crate) fn rebase(&mut self, bytes: usize) {
        self.start = self.start.saturating_sub(bytes);
        self.pos = self.pos.saturating_sub(bytes);
        self.token = self.token.saturating_sub(bytes);
    }

    /// Begins with the next form at the first byte.
    pub(crate) fn restart(&mut self) {
        self.state = State::Blank;
        self.open.clear();
        (self.start, self.pos, self.token) = (0, 0, 0);
    }

    /// Looks at the bytes that were not looked at yet. All of them are whole UTF-8 characters.
    pub(crate) fn scan(&mut self, text: &[u8]) -> Step {
        while let Some(&byte) = text.get(self.pos) {
            let step = match self.state {
                State::Blank => self.blank(text, byte),
                State::Character => self.character(text),
                State::Comment => self.comment(text, State::Blank),
                State::Hash => self.hash(text, byte),
                State::HashBlank => self.hash_blank(text, byte),
                State::HashComment => self.comment(text, State::HashBlank),
                State::HashHash if byte == b'!' => self.go_on(1, State::HashComment),
                State::HashHash => self.fault(text),
                State::Name | State::Tag => self.name(text, byte),
                State::Namespaced => self.namespaced(text, byte),
                State::Number => self.number(text, byte),
                State::Sign => self.sign(text, byte),
                State::String => self.string(text),
                State::StringEscape => self.go_on(1, State::String),
            };
            if !self.is_inside() && step == Step::More {
                self.start = self.pos;
            }
            if step != Step::More {
                return step;
            }
        }
        Step::More
    }

    fn go_on(&mut self, bytes: usize, state: State) -> Step {
        self.pos = self.pos.saturating_add(bytes);
        self.state = state;
        Step::More
    }

    fn fault(&mut self, text: &[u8]) -> Step {
        let length = char_at(text, self.pos).map_or(1, char::len_utf8);
        self.pos = self.pos.saturating_add(length);
        Step::Fault
    }

    fn blank(&mut self, text: &[u8], byte: u8) -> Step {
        if class::is_blank(byte) {
            let length = self.length_while(text, class::is_blank);
            return self.go_on(length, State::Blank);
        }
        self.token = self.pos;
        match byte {
            b'"' => self.go_on(1, State::String),
            b';' => self.go_on(1, State::Comment),
            b'#' => self.go_on(1, State::Hash),
            b'\\' => self.go_on(1, State::Character),
            b'+' | b'-' => self.go_on(1, State::Sign),
            b'0'..=b'9' => self.go_on(1, State::Number),
            b'(' => self.open(text, Open::Bracket(b')')),
            b'[' => self.open(text, Open::Bracket(b']')),
            b'{' => self.open(text, Open::Bracket(b'}')),
            b'^' => self.open(text, Open::Metadata),
            b')' | b']' | b'}' => self.close(text, byte),
            0x80.. => match char_at(text, self.pos) {
                Some(c) if class::is_whitespace(c) => self.go_on(c.len_utf8(), State::Blank),
                Some(c) if class::is_digit(c) => self.go_on(c.len_utf8(), State::Number),
                _ => self.go_on(0, State::Name),
            },
            _ => self.go_on(0, State::Name),
        }
    }

    fn comment(&mut self, text: &[u8], behind: State) -> Step {
        let rest = text.get(self.pos..).unwrap_or_default();
        match memchr::memchr2(b'\n', b'\r', rest) {
            Some(length) => self.go_on(length, behind),
            None => self.go_on(rest.len(), self.state),
        }
    }

    fn hash(&mut self, text: &[u8], byte: u8) -> Step {
        match byte {
            b'{' => self.open(text, Open::Bracket(b'}')),
            b'_' => self.open(text, Open::Discard),
            b'^' => self.open(text, Open::Metadata),
            b':' => self.open(text, Open::Namespace),
            b'#' => self.open(text, Open::Prefix),
            b'!' if self.is_wide => self.go_on(1, State::Comment),
            _ if self.is_wide => self.go_on(0, State::HashBlank),
            _ => match char_at(text, self.pos) {
                Some(c) if class::is_tag_start(c) => self.go_on(0, State::Tag),
                _ => self.fault(text),
            },
        }
    }

    fn hash_blank(&mut self, text: &[u8], byte: u8) -> Step {
        match (byte, char_at(text, self.pos)) {
            (b';', _) => self.go_on(1, State::HashComment),
            (b'#', _) => self.go_on(1, State::HashHash),
            (_, Some(c)) if class::is_whitespace(c) => self.go_on(c.len_utf8(), State::HashBlank),
            (_, Some(c)) if c.is_alphabetic() => self.go_on(0, State::Tag),
            _ => self.fault(text),
        }
    }

    fn name(&mut self, text: &[u8], byte: u8) -> Step {
        if class::is_plain(byte) || byte == b'#' {
            let length = self.length_while(text, |byte| class::is_plain(byte) || byte == b'#');
            return self.go_on(length, self.state);
        }
        if class::is_banned(byte) {
            return self.fault(text);
        }
        match char_at(text, self.pos) {
            Some(c) if !c.is_ascii() && !class::is_whitespace(c) => {
                self.go_on(c.len_utf8(), self.state)
            }
            _ if self.state == State::Tag => self.push(Open::Prefix),
            _ => self.settle(),
        }
    }

    fn number(&mut self, text: &[u8], byte: u8) -> Step {
        let ends = byte == b':' && self.is_wide;
        if !ends && (class::is_plain(byte) || class::is_banned(byte)) {
            return self.go_on(1, State::Number);
        }
        match char_at(text, self.pos) {
            Some(c) if !c.is_ascii() && !class::is_whitespace(c) => {
                self.go_on(c.len_utf8(), State::Number)
            }
            _ => self.settle(),
        }
    }

    fn sign(&mut self, text: &[u8], byte: u8) -> Step {
        let is_number = match char_at(text, self.pos) {
            Some(c) => class::is_digit(c),
            None => byte.is_ascii_digit(),
        };
        let state = if is_number {
            State::Number
        } else {
            State::Name
        };
        self.go_on(0, state)
    }

    fn character(&mut self, text: &[u8]) -> Step {
        let c = char_at(text, self.pos).unwrap_or_default();
        self.pos = self.pos.saturating_add(c.len_utf8());
        let ends_itself = self.is_wide
            && c != '#'
            && (class::is_macro_char(c) || class::is_whitespace(c) || matches!(c, '@' | '`' | '~'));
        if ends_itself {
            return self.settle();
        }
        self.go_on(0, State::Name)
    }

    fn string(&mut self, text: &[u8]) -> Step {
        let rest = text.get(self.pos..).unwrap_or_default();
        let Some(length) = memchr::memchr2(b'"', b'\\', rest) else {
            return self.go_on(rest.len(), State::String);
        };
        self.pos = self.pos.saturating_add(length).saturating_add(1);
        if rest.get(length) == Some(&b'\\') {
            return self.go_on(0, State::StringEscape);
        }
        self.settle()
    }

    fn namespaced(&mut self, text: &[u8], byte: u8) -> Step {
        match char_at(text, self.pos) {
            Some(c) if class::is_whitespace(c) => self.go_on(c.len_utf8(), State::Namespaced),
            _ if byte == b'{' => {
                self.open.pop();
                self.open.push(Open::Bracket(b'}'));
                self.go_on(1, State::Blank)
            }
            _ => self.fault(text),
        }
    }

    /// Steps over the last byte of an opening, and into what it opens.
    fn open(&mut self, text: &[u8], open: Open) -> Step {
        if self.open.len() >= self.max_depth {
            return self.fault(text);
        }
        self.pos = self.pos.saturating_add(1);
        self.push(open)
    }

    fn push(&mut self, open: Open) -> Step {
        self.state = State::Blank;
        if self.open.len() >= self.max_depth {
            return Step::Fault;
        }
        self.open.push(open);
        Step::More
    }

    fn close(&mut self, text: &[u8], bracket: u8) -> Step {
        if self.open.last() != Some(&Open::Bracket(bracket)) {
            return self.fault(text);
        }
        self.open.pop();
        self.pos = self.pos.saturating_add(1);
        self.settle()
    }

    /// Gives a form that has ended to what waits for it.
    fn settle(&mut self) -> Step {
        self.state = State::Blank;
        loop {
            match self.open.last_mut() {
                None => return Step::Complete,
                Some(Open::Bracket(_)) => return Step::More,
                Some(Open::Discard) => {
                    self.open.pop();
                    return if self.open.is_empty() {
                        Step::Complete
                    } else {
                        Step::More
                    };
                }
                Some(metadata @ Open::Metadata) => {
                    *metadata = Open::Prefix;
                    return Step::More;
                }
                Some(Open::Namespace) => {
                    self.state = State::Namespaced;
                    return Step::More;
                }
                Some(Open::Prefix) => {
                    self.open.pop();
                }
            }
        }
    }

    fn length_while(&self, text: &[u8], fits: impl Fn(u8) -> bool) -> usize {
        let rest = text.get(self.pos..).unwrap_or_default();
        let length = rest.iter().position(|byte| !fits(*byte));
        length.unwrap_or(rest.len())
    }
}

/// The character at a place, if it is whole.
fn char_at(text: &[u8], pos: usize) -> Option<char> {
    let rest = text.get(pos..)?;
    let length = match rest.first()? {
        0..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0.. => 4,
    };
    core::str::from_utf8(rest.get(..length)?)
        .ok()?
        .chars()
        .next()
}
