//! Reading a stream that comes in chunks: each form as soon as its last byte is there.

use alloc::vec::Vec;
use core::fmt;

use crate::boundary::{Boundary, Step};
use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind};
use crate::limits::Limits;
use crate::read::read_first;
use crate::shape::Shape;
use crate::value::Value;

/// Reads the forms of a stream one by one, from chunks of any size.
///
/// It does no I/O: [`feed`](Self::feed) it what came in, take forms until there is none, and call
/// [`finish`](Self::finish) when nothing more comes. Where the stream is split makes no difference
/// to the forms and errors it gives; they are those of reading the whole.
///
/// ```
/// use sente_edn::{Limits, StreamReader};
///
/// let mut reader = StreamReader::new(&Limits::default());
/// let mut forms = Vec::new();
/// for chunk in ["{:a [1", " 2]} ; c", "omment\n 1", "23"] {
///     reader.feed(chunk.as_bytes());
///     while let Some(form) = reader.next_form()? {
///         forms.push((form.start(), String::from_utf8_lossy(form.text()).into_owned()));
///     }
/// }
/// // A number may go on in the next chunk, so this one waits.
/// assert_eq!(forms, [(0, "{:a [1 2]}".to_owned())]);
/// reader.finish();
/// assert_eq!(reader.next_value()?, Some(123.into()));
/// assert_eq!(reader.next_value()?, None);
/// # Ok::<(), sente_edn::StreamError>(())
/// ```
///
/// # When a form is there
///
/// Collections and strings are complete with their last byte. Names, numbers and characters are
/// complete when something else follows, or at the end of the stream. Tags, metadata and `#_` wait
/// for their form.
///
/// # When a fault is seen
///
/// At once: a bracket that closes nothing, a character that may not stand in EDN, bytes that are not
/// UTF-8, too many levels or bytes. All else, such as `[1x`, is seen when the form is complete, when
/// the stream is finished, or earlier: what there is of a form is looked at whenever it has become
/// twice as long as it was the last time.
///
/// After a fault the reader stops for good, and gives the same error to every further call: nothing
/// in EDN says where the next form begins after a broken one. What was fed and not taken is still in
/// [`unread`](Self::unread), and a stream with a frame around each form, such as a line, can begin
/// with a new reader at the next frame.
///
/// # Limits and cost
///
/// The [`Limits`] hold for each top-level form by itself, with the prefixes before it and what
/// stands between them; a form under `#_` at the top level counts as one of its own. Blanks and
/// comments between forms count for nothing and are not kept. The stream has no limit.
///
/// If forms are taken until there is none before each `feed`, no more than
/// [`max_bytes`](Limits::max_bytes) and two chunks are held, in a buffer that doubles when it grows.
///
/// Each byte is looked at a fixed number of times, however small the chunks: once for where forms
/// end, once when its form is read, and at most twice to see faults early.
#[derive(Clone)]
pub struct StreamReader {
    limits: Limits,
    max_bytes: usize,
    boundary: Boundary,
    buffer: Vec<u8>,
    /// How much at the beginning of the buffer has been taken.
    taken: usize,
    /// How many bytes behind those are whole UTF-8 characters.
    valid: usize,
    /// Whether bytes that are not UTF-8 follow those.
    is_broken: bool,
    /// How long the form was when it was last looked at before it was complete.
    looked_at: usize,
    /// Where in the stream the first byte is that was not taken.
    place: Place,
    is_finished: bool,
    fault: Option<StreamError>,
}

impl StreamReader {
    /// Begins a stream, with those limits for each form.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            limits: limits.max_bytes(Limits::UNLIMITED),
            max_bytes: limits.max_bytes,
            boundary: Boundary::new(limits),
            buffer: Vec::new(),
            taken: 0,
            valid: 0,
            is_broken: false,
            looked_at: 0,
            place: Place::START,
            is_finished: false,
            fault: None,
        }
    }

    /// Takes in the next bytes of the stream. They are copied, and read later.
    ///
    /// After an error was given they are dropped: it is given again by every further call. After
    /// [`finish`](Self::finish) they are read on as if it had not been called.
    pub fn feed(&mut self, chunk: &[u8]) {
        if self.fault.is_some() {
            return;
        }
        self.is_finished = false;
        // As many bytes were taken as are moved, so that this costs each byte once.
        if self.taken >= self.buffer.len().saturating_sub(self.taken) {
            self.buffer.drain(..self.taken);
            self.taken = 0;
        }
        self.buffer.extend_from_slice(chunk);
        if !self.is_broken {
            let new = self.unread().get(self.valid..).unwrap_or_default();
            let (valid, is_broken) = match core::str::from_utf8(new) {
                Ok(_) => (new.len(), false),
                Err(error) => (error.valid_up_to(), error.error_len().is_some()),
            };
            self.valid = self.valid.saturating_add(valid);
            self.is_broken = is_broken;
        }
    }

    /// Says that the stream has ended: what was fed and is not complete now will not become so.
    ///
    /// Forms that were fed, and a name or number at the very end, can still be taken. After them
    /// [`next_form`](Self::next_form) gives `None`, or the error that the stream ended inside of a
    /// form, for which [`StreamError::is_incomplete`] is true.
    pub fn finish(&mut self) {
        self.is_finished = true;
    }

    /// Takes the next form, if it is complete.
    ///
    /// It is valid, and can be read with [`from_slice_with`](crate::from_slice_with), a [`Cursor`]
    /// or serde, given the same limits. `None` if more must be fed before there is a form; after
    /// [`finish`](Self::finish), if the stream has ended after a whole form.
    ///
    /// # Errors
    ///
    /// If the next form is not EDN, beyond the limits, or cut off by the end of the stream. The
    /// reader then stops for good.
    pub fn next_form(&mut self) -> Result<Option<StreamForm<'_>>, StreamError> {
        let Some(found) = self.take(find)? else {
            return Ok(None);
        };
        let start = self.taken.saturating_sub(found.length);
        Ok(Some(StreamForm {
            text: self.buffer.get(start..self.taken).unwrap_or_default(),
            end: self.place.offset,
            shape: found.shape,
            is_portable: found.is_portable,
        }))
    }

    /// Takes the next form, if it is complete, and gives the value it makes.
    ///
    /// # Errors
    ///
    /// Those of [`next_form`](Self::next_form).
    pub fn next_value(&mut self) -> Result<Option<Value>, StreamError> {
        self.take(read_first)
    }

    /// At which byte of the stream the form starts that has begun and is not complete, with the
    /// prefixes before it; `None` between forms.
    ///
    /// To be asked after [`next_form`](Self::next_form) gave `None`: what was fed later, or has not
    /// been taken, is not looked at. For a prompt this tells whether to ask for more.
    #[must_use]
    pub fn open_since(&self) -> Option<u64> {
        self.boundary.is_inside().then_some(self.place.offset)
    }

    /// What was fed and not taken, nor skipped as a blank or comment.
    ///
    /// After an error this begins with what could not be read, and ends with the chunk that was fed
    /// last before the error was given.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        self.buffer.get(self.taken..).unwrap_or_default()
    }

    /// Looks for the end of the next form, reads it and takes it. `read` gives what it makes of the
    /// first form of a text, and where that ends.
    fn take<T>(
        &mut self,
        read: impl Fn(&[u8], &Limits) -> Result<Option<(T, usize)>, Error>,
    ) -> Result<Option<T>, StreamError> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        loop {
            let unread = self.buffer.get(self.taken..).unwrap_or_default();
            let step = self
                .boundary
                .scan(unread.get(..self.valid).unwrap_or_default());
            self.skip(self.boundary.start());
            let length = self.boundary.pos();
            // A `#` may still turn out to begin a comment, which no limit counts.
            let is_counted = step != Step::More || !self.boundary.is_lone_hash();
            let result = match step {
                _ if length > self.max_bytes && is_counted => Err(self.too_long()),
                Step::Complete => self.read(length, &read),
                Step::Fault => Err(self.explain(length)),
                Step::More if self.is_broken => Err(self.explain(length.saturating_add(4))),
                Step::More if !self.is_finished => match self.look() {
                    Ok(()) => return Ok(None),
                    Err(error) => Err(error),
                },
                Step::More if self.unread().is_empty() => return Ok(None),
                Step::More => self.read(self.unread().len(), &read),
            };
            match result {
                Ok(Some((item, end))) => {
                    self.begin_next(end);
                    return Ok(Some(item));
                }
                // It was to be discarded.
                Ok(None) => self.begin_next(length),
                Err(error) => return Err(self.fail(&error)),
            }
        }
    }

    /// Reads a form that has ended.
    fn read<T>(
        &self,
        length: usize,
        read: impl Fn(&[u8], &Limits) -> Result<Option<T>, Error>,
    ) -> Result<Option<T>, Error> {
        let result = read(self.first(length), &self.limits);
        match (&result, self.length_with_next(length)) {
            // With what ended it in sight it is known that the name or number does not go on.
            (Err(error), Some(longer)) if error.is_incomplete() => {
                read(self.first(longer), &self.limits)
            }
            _ => result,
        }
    }

    /// Why a form that can not go on as it does is none.
    #[cold]
    fn explain(&self, length: usize) -> Error {
        match self.read(length, find) {
            Err(error) => error,
            // Does not happen: what the boundary calls a fault the grammar does, too.
            Ok(_) => Error::new(ErrorKind::InvalidToken, self.boundary.start()),
        }
    }

    /// Why a form is wrong that is too long, if nothing else is wrong before that.
    #[cold]
    fn too_long(&self) -> Error {
        match find(self.first(self.max_bytes), &self.limits) {
            Err(error) if !error.is_incomplete() => error,
            _ => {
                let kind = ErrorKind::TooLong {
                    length: self.max_bytes.saturating_add(1),
                    limit: self.max_bytes,
                };
                Error::new(kind, self.max_bytes)
            }
        }
    }

    /// Looks for faults in a form that is not complete, if much of it is new.
    fn look(&mut self) -> Result<(), Error> {
        let length = self.boundary.settled();
        if length == 0 || length < self.looked_at.saturating_mul(2) {
            return Ok(());
        }
        self.looked_at = length;
        match find(self.first(length), &self.limits) {
            Err(error) if !error.is_incomplete() => Err(error),
            _ => Ok(()),
        }
    }

    /// The beginning of what was not taken.
    fn first(&self, length: usize) -> &[u8] {
        let unread = self.unread();
        unread.get(..length).unwrap_or(unread)
    }

    /// A length and that of the character behind it.
    fn length_with_next(&self, length: usize) -> Option<usize> {
        let rest = self.unread().get(length..self.valid)?;
        let is_continuation = |byte: &&u8| **byte & 0xc0 == 0x80;
        let first = usize::from(!rest.is_empty());
        let more = rest.iter().skip(1).take_while(is_continuation).count();
        (first > 0).then_some(length.saturating_add(first).saturating_add(more))
    }

    fn begin_next(&mut self, taken: usize) {
        self.skip(taken);
        self.boundary.restart();
        self.looked_at = 0;
    }

    /// Takes the next bytes.
    fn skip(&mut self, bytes: usize) {
        self.place = self.place.after(self.first(bytes));
        self.taken = self.taken.saturating_add(bytes);
        self.valid = self.valid.saturating_sub(bytes);
        self.boundary.rebase(bytes);
    }

    #[cold]
    fn fail(&mut self, error: &Error) -> StreamError {
        let fault = StreamError {
            kind: error.kind().clone(),
            place: self.place.after(self.first(error.offset())),
        };
        self.fault = Some(fault.clone());
        fault
    }
}

/// Where in the stream it is, how much was fed and not taken, and why it has stopped if it has.
impl fmt::Debug for StreamReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("StreamReader");
        debug.field("offset", &self.place.offset);
        debug.field("unread", &self.unread().len());
        debug.field("fault", &self.fault);
        debug.finish_non_exhaustive()
    }
}

/// What there is to know of a form.
struct Found {
    length: usize,
    shape: Shape,
    is_portable: bool,
}

/// Checks the first form of a text.
fn find(text: &[u8], limits: &Limits) -> Result<Option<(Found, usize)>, Error> {
    let mut cursor = Cursor::new(text, limits);
    if cursor.peek()?.is_none() {
        return Ok(None);
    }
    let form = cursor.skip()?;
    let found = Found {
        length: form.text().len(),
        shape: form.shape(),
        is_portable: form.is_portable(),
    };
    Ok(Some((found, form.end())))
}

/// A form of a stream that was checked.
///
/// It is what a [`Form`](crate::Form) is to a text, with offsets that count from the beginning of
/// the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamForm<'a> {
    text: &'a [u8],
    end: u64,
    shape: Shape,
    is_portable: bool,
}

impl<'a> StreamForm<'a> {
    /// The bytes of the form, without metadata or anything else before or behind it.
    #[must_use]
    pub const fn text(&self) -> &'a [u8] {
        self.text
    }

    /// At which byte of the stream it starts.
    #[must_use]
    pub const fn start(&self) -> u64 {
        self.end.saturating_sub(self.text.len() as u64)
    }

    /// At which byte of the stream it has ended.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.end
    }

    /// Its shape.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// Whether every Clojure or ClojureScript peer can read it, as
    /// [`Form::is_portable`](crate::Form::is_portable) says.
    #[must_use]
    pub const fn is_portable(&self) -> bool {
        self.is_portable
    }
}

/// Why a stream can not be read on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {} (line {}, column {})", .place.offset, .place.line, .place.column)]
#[non_exhaustive]
pub struct StreamError {
    kind: ErrorKind,
    place: Place,
}

impl StreamError {
    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// Where it is wrong, in bytes from the beginning of the stream: where the faulty form or
    /// character starts, or where a form reaches a limit.
    ///
    /// For a stream that ends inside of a form this is the opening of what is still open.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.place.offset
    }

    /// The line of that byte, counted from 1.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.place.line
    }

    /// The column of that byte in its line, in characters counted from 1.
    #[must_use]
    pub fn column(&self) -> u64 {
        self.place.column
    }

    /// Whether the stream has merely ended too early, inside of a form.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        matches!(self.kind, ErrorKind::UnexpectedEnd { .. })
    }
}

/// A byte of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    offset: u64,
    line: u64,
    column: u64,
}

impl Place {
    const START: Self = Self {
        offset: 0,
        line: 1,
        column: 1,
    };

    /// The place behind those bytes.
    fn after(self, bytes: &[u8]) -> Self {
        let lines = memchr::memchr_iter(b'\n', bytes).count();
        let line_start = memchr::memrchr(b'\n', bytes).map_or(0, |at| at.saturating_add(1));
        let line = bytes.get(line_start..).unwrap_or_default();
        // Continuation bytes of UTF-8 do not start a character.
        let characters = line.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
        let column = if lines == 0 { self.column } else { 1 };
        Self {
            offset: self.offset.saturating_add(bytes.len() as u64),
            line: self.line.saturating_add(lines as u64),
            column: column.saturating_add(characters as u64),
        }
    }
}
