//! How text messages travel as lines: one message, one newline.

use bytes::BytesMut;
use memchr::memchr;

use super::input::Input;
use super::{Frame, FrameError, Kind, Whole, Wholes};

/// Cuts a byte stream into lines, the framing of text packers on pipes and sockets.
///
/// A frame is what stands before a `"\n"` or `"\r\n"`. Lines of white space alone are skipped. A
/// line that is not a message (a stray `println!` of a child process) costs one bad frame further
/// up and nothing here: the next newline is the next beginning. A line over the limit is dropped
/// as it arrives and reported once, when the limit is passed.
#[derive(Debug)]
pub struct Lines {
    input: Input,
    /// How far `input` was searched for a newline, so that no byte is looked at twice.
    searched: usize,
    /// Whether the rest of an over-long line is being dropped.
    skipping: bool,
    eof: bool,
    max_frame_bytes: usize,
}

impl Lines {
    /// What follows each message that is sent. The message itself has no newline in it: packers
    /// escape it in strings, and the sender makes sure.
    pub const SUFFIX: &'static [u8] = b"\n";

    /// A deframer for lines of at most `max_frame_bytes` bytes, their newline not counted.
    #[must_use]
    pub fn new(max_frame_bytes: usize) -> Self {
        Self {
            input: Input::default(),
            searched: 0,
            skipping: false,
            eof: false,
            max_frame_bytes,
        }
    }

    /// Takes all bytes out of `input`, without a copy when no unfinished line is waiting.
    pub fn handle_input(&mut self, input: &mut BytesMut) {
        self.input.push(input);
    }

    /// Says that no more bytes will come. A last line without a newline is a frame: a script may
    /// end without one.
    pub fn handle_eof(&mut self) {
        self.eof = true;
    }

    /// The next line as a [`Kind::Text`] frame, or what was wrong with it. `None` means that more
    /// bytes are needed.
    ///
    /// # Errors
    /// [`FrameError::TooLong`], after which the following lines are read as usual.
    #[must_use]
    pub fn poll_frame(&mut self) -> Option<Result<Frame, FrameError>> {
        loop {
            let unsearched = self.input.as_slice().get(self.searched..).unwrap_or(&[]);
            let Some(newline) = memchr(b'\n', unsearched) else {
                return self.unfinished();
            };
            let newline = self.searched.saturating_add(newline);
            let past = newline.saturating_add(1);
            self.searched = 0;
            let length = self.length_before(newline);
            if self.skipping {
                self.skipping = false;
                self.input.skip(past);
            } else if length > self.max_frame_bytes {
                self.input.skip(past);
                return Some(Err(self.too_long()));
            } else if self.is_blank(length) {
                self.input.skip(past);
            } else {
                let frame = self.input.take(length);
                self.input.skip(past.saturating_sub(length));
                return Some(Ok(Frame::new(Kind::Text, frame)));
            }
        }
    }

    pub(crate) fn lend(&mut self, input: &mut BytesMut) {
        self.input.lend(input);
    }

    pub(crate) fn give_back(&mut self, input: &mut BytesMut) {
        self.input.give_back(input);
    }

    pub(crate) fn is_drained(&mut self) -> bool {
        !self.eof && self.input.is_drained()
    }

    /// Steps over what [`whole_at`](Wholes::whole_at) has found at the front, and gives it out.
    pub(crate) fn take(&mut self, whole: Whole) -> Frame {
        self.searched = 0;
        self.input.take_message(whole)
    }

    /// How many bytes are waiting for their newline (or to be polled).
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.input.len()
    }

    /// What to do with bytes that no newline follows yet.
    fn unfinished(&mut self) -> Option<Result<Frame, FrameError>> {
        let length = self.length_before(self.input.len());
        let mut found = None;
        if self.skipping {
            self.input.clear();
        } else if length > self.max_frame_bytes {
            self.skipping = true;
            self.input.clear();
            found = Some(Err(self.too_long()));
        } else if self.eof {
            if !self.is_blank(length) {
                found = Some(Ok(Frame::new(Kind::Text, self.input.take(length))));
            }
            self.input.clear();
        } else {
            self.input.settle();
        }
        self.searched = self.input.len();
        found
    }

    /// The length of the line that ends at `end`, without a carriage return.
    fn length_before(&self, end: usize) -> usize {
        let line = self.input.as_slice().get(..end).unwrap_or(&[]);
        line.strip_suffix(b"\r").unwrap_or(line).len()
    }

    fn is_blank(&self, length: usize) -> bool {
        let line = self.input.as_slice().get(..length).unwrap_or(&[]);
        line.trim_ascii_start().is_empty()
    }

    fn too_long(&self) -> FrameError {
        // The size is not told even where it is known: the report of a line does not depend on
        // how its bytes happened to arrive.
        FrameError::TooLong {
            size: None,
            limit: self.max_frame_bytes,
        }
    }
}

impl Wholes for Lines {
    /// Ordinary are lines that are neither blank nor long, while nothing is being skipped. Where it is
    /// none, [`poll_frame`](Lines::poll_frame) knows more.
    #[inline]
    fn whole_at(&mut self, from: usize) -> Option<Whole> {
        let waiting = self.input.as_slice().get(from..)?;
        let searched = if from == 0 { self.searched } else { 0 };
        let Some(newline) = memchr(b'\n', waiting.get(searched..)?) else {
            if from == 0 {
                self.searched = waiting.len();
            }
            return None;
        };
        let newline = searched.saturating_add(newline);
        let len = match waiting.get(..newline) {
            Some([.., b'\r']) => newline.saturating_sub(1),
            _ => newline,
        };
        let is_ordinary = !self.skipping
            && len <= self.max_frame_bytes
            && len < Input::SHARE_FROM
            && waiting.first().is_some_and(u8::is_ascii_graphic);
        is_ordinary.then_some(Whole {
            kind: Kind::Text,
            start: 0,
            len,
            total: newline.saturating_add(1),
        })
    }

    #[inline]
    fn waiting(&self) -> &[u8] {
        self.input.as_slice()
    }

    #[inline]
    fn step_over(&mut self, count: usize) {
        if count > 0 {
            self.searched = 0;
            self.input.skip(count);
        }
    }
}
