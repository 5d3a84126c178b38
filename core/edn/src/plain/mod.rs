//! The shortest path: forms that are written plainly, stepped over without keeping anything.
//!
//! Here nothing is refused and nothing is counted. What is not plain is left to [`Cursor`], which
//! knows all of the grammar, all of the errors and all of the limits. What is plain is a part of what
//! [`Machine::run`](crate::machine::Machine::run) takes.
//!
//! [`Cursor`]: crate::Cursor

mod atoms;
mod scan;
mod word;

use core::ops::Range;

use crate::class;
use crate::lex;
use crate::limits::Limits;
use crate::shape::Shape;

pub(crate) use scan::{LEVELS, form};

/// Moves over the forms of a text that are written plainly, and gives up at whatever is not.
///
/// It takes a part of what a [`Cursor`](crate::Cursor) takes, and all it takes a cursor would: most
/// messages that programs write, at a fraction of the cost. `None` from any of its methods is no
/// verdict; it only means that a cursor has to be asked, from the beginning.
///
/// Not plain are, among others: comments, metadata and `#_`; tags but `#inst` and `#uuid`;
/// characters, ratios, numbers with an exponent or a suffix; keys that are collections, floats or
/// have escapes; more than 16 levels, or 24 keys of the maps that are open at once. A form must
/// have something behind it: what ends with the text could go on. There is no allocation.
///
/// ```
/// use sente_edn::{Limits, PlainCursor, Shape};
///
/// let text = b"[[:chat/say {:text \"hi\"}] \"cb-7\"]";
/// let mut cursor = PlainCursor::new(text, &Limits::default()).unwrap();
/// cursor.enter().unwrap();
/// cursor.enter().unwrap();
/// assert_eq!(cursor.keyword(), Some(3..11));
/// assert_eq!(cursor.skip(), Some((12..24, Shape::Map)));
/// cursor.leave().unwrap();
/// assert_eq!(cursor.peek(), Some(b'"'));
/// ```
#[derive(Clone, Debug)]
pub struct PlainCursor<'a> {
    text: &'a [u8],
    pos: usize,
    /// How many vectors and maps were entered and not left.
    entered: usize,
}

impl<'a> PlainCursor<'a> {
    /// Stands before the first form of a text. `None` if the text could be beyond the limits, which
    /// are looked at nowhere else; so it is where they are unusually low.
    #[inline]
    #[must_use]
    pub const fn new(text: &'a [u8], limits: &Limits) -> Option<Self> {
        // Every form takes a byte, and an envelope does not nest deep.
        let fits = text.len() <= limits.max_bytes
            && text.len() <= Limits::MOST_BYTES
            && text.len() < limits.max_elements
            && limits.max_depth > LEVELS * 2;
        if fits {
            Some(Self {
                text,
                pos: 0,
                entered: 0,
            })
        } else {
            None
        }
    }

    /// At which byte it stands.
    #[inline]
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.pos
    }

    /// Skips blanks, and says which byte is next.
    #[inline(always)]
    pub fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.get(self.pos)?;
            if !class::is_blank(byte) {
                return Some(byte);
            }
            self.pos = self.pos.wrapping_add(1);
        }
    }

    /// Steps into the vector that is next. No more than 16 vectors and maps may be entered at once.
    #[inline]
    pub fn enter(&mut self) -> Option<()> {
        self.enter_over(b'[')
    }

    /// Steps behind the bracket that ends a vector, which has to be next.
    #[inline]
    pub fn leave(&mut self) -> Option<()> {
        self.leave_over(b']')
    }

    /// Steps into the map that is next. Whether a key repeats is for the caller to see.
    #[inline]
    pub fn enter_map(&mut self) -> Option<()> {
        self.enter_over(b'{')
    }

    /// Steps behind the bracket that ends a map, which has to be next.
    #[inline]
    pub fn leave_map(&mut self) -> Option<()> {
        self.leave_over(b'}')
    }

    #[inline(always)]
    fn enter_over(&mut self, bracket: u8) -> Option<()> {
        if self.entered >= LEVELS {
            return None;
        }
        self.step_over(bracket)?;
        self.entered = self.entered.wrapping_add(1);
        Some(())
    }

    #[inline(always)]
    fn leave_over(&mut self, bracket: u8) -> Option<()> {
        let around = self.entered.checked_sub(1)?;
        self.step_over(bracket)?;
        self.entered = around;
        Some(())
    }

    #[inline(always)]
    fn step_over(&mut self, bracket: u8) -> Option<()> {
        if self.peek()? != bracket {
            return None;
        }
        self.pos = self.pos.wrapping_add(1);
        Some(())
    }

    /// Steps over the keyword that is next, and says where its name stands, behind the colon. It is
    /// ASCII, and has at most one slash, with something on both sides.
    #[inline]
    pub fn keyword(&mut self) -> Option<Range<usize>> {
        if self.peek()? != b':' {
            return None;
        }
        let start = self.pos.wrapping_add(1);
        let end = lex::plain_name(self.text, start)?;
        self.pos = end;
        Some(start..end)
    }

    /// Steps over the keyword that is next if it is the one of this name, which has been read
    /// before. Where it is not, nothing is stepped over.
    #[inline(always)]
    pub fn keyword_of(&mut self, name: &str) -> Option<()> {
        if self.peek()? != b':' {
            return None;
        }
        let start = self.pos.wrapping_add(1);
        let end = start.wrapping_add(name.len());
        let is_same = is_same(self.text.get(start..end)?, name.as_bytes());
        let ends = class::ends_token(*self.text.get(end)?);
        (is_same && ends).then(|| self.pos = end)
    }

    /// Steps over the string that is next, and says where it stands with its quotes.
    #[inline(always)]
    pub fn string(&mut self) -> Option<Range<usize>> {
        if self.peek()? != b'"' {
            return None;
        }
        let start = self.pos;
        self.pos = scan::end_of_string(self.text, start)?;
        Some(start..self.pos)
    }

    /// Steps over the form that is next, and says where it stands and what it is.
    #[inline]
    pub fn skip(&mut self) -> Option<(Range<usize>, Shape)> {
        self.peek()?;
        let start = self.pos;
        let (end, shape) = form(self.text, start)?;
        self.pos = end;
        Some((start..end, shape))
    }

    /// Whether the text ends here.
    #[inline]
    #[must_use]
    pub const fn is_at_end(&self) -> bool {
        self.pos == self.text.len()
    }
}

/// Whether two texts of the same length are the same; most names are short.
#[inline(always)]
fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() > 16 {
        return one == other;
    }
    match (one.first_chunk::<8>(), one.last_chunk::<8>()) {
        (Some(first), Some(last)) => {
            other.first_chunk() == Some(first) && other.last_chunk() == Some(last)
        }
        _ => one == other,
    }
}
