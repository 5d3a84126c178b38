//! How binary messages travel on a byte stream: a flag, a length, the message.

use bytes::BytesMut;

use super::input::Input;
use super::{Frame, FrameError, Kind, Whole, Wholes};

/// The bytes before each message: the flag and a big-endian `u32`.
const HEADER: usize = 5;
const TEXT: u8 = 0;
const BINARY: u8 = 1;

/// Cuts a byte stream into length-prefixed messages, the framing of binary packers on pipes and
/// sockets.
///
/// A frame is a flag byte (0 text, 1 binary), the length as a big-endian `u32`, and that many
/// bytes. Any other flag ends the stream, since nothing after it can be cut; a frame over the
/// limit is dropped as it arrives and reported once, at its header. No memory is set aside for a
/// declared length.
#[derive(Debug)]
pub struct LengthPrefixed {
    input: Input,
    /// How much of an over-long frame is still to be dropped.
    skip: u64,
    state: State,
    max_frame_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    /// No more bytes will come.
    Ending,
    /// The end or a fatal error was reported: nothing more is read.
    Ended,
}

impl LengthPrefixed {
    /// A deframer for messages of at most `max_frame_bytes` bytes, their header not counted.
    #[must_use]
    pub fn new(max_frame_bytes: usize) -> Self {
        Self {
            input: Input::default(),
            skip: 0,
            state: State::Reading,
            max_frame_bytes,
        }
    }

    /// How many bytes go before each message.
    pub(crate) const HEADER: usize = HEADER;

    /// What goes before a message of `length` bytes; `None` if a `u32` cannot say that length.
    #[must_use]
    pub fn header(kind: Kind, length: usize) -> Option<[u8; HEADER]> {
        let [a, b, c, d] = u32::try_from(length).ok()?.to_be_bytes();
        let flag = match kind {
            Kind::Text => TEXT,
            Kind::Binary => BINARY,
        };
        Some([flag, a, b, c, d])
    }

    /// Takes all bytes out of `input`, without a copy when no unfinished frame is waiting.
    pub fn handle_input(&mut self, input: &mut BytesMut) {
        match self.state {
            State::Ended => input.clear(),
            State::Reading | State::Ending => self.input.push(input),
        }
    }

    /// Says that no more bytes will come.
    pub fn handle_eof(&mut self) {
        if self.state == State::Reading {
            self.state = State::Ending;
        }
    }

    /// The next frame, or what was wrong with it. `None` means that more bytes are needed.
    ///
    /// # Errors
    /// [`FrameError::TooLong`], after which later frames are read as usual;
    /// [`FrameError::BadFlag`] and, at the end of the stream, [`FrameError::Truncated`], after
    /// which nothing more is read.
    #[must_use]
    pub fn poll_frame(&mut self) -> Option<Result<Frame, FrameError>> {
        if self.state == State::Ended {
            return None;
        }
        self.drop_over_long();
        if self.skip > 0 {
            // The frame that is cut short here was reported as too long already.
            self.input.clear();
            return None;
        }
        let (kind, declared) = match self.input.as_slice() {
            [] => {
                self.input.clear();
                return None;
            }
            &[flag, ..] if flag != TEXT && flag != BINARY => {
                return self.end(FrameError::BadFlag(flag));
            }
            &[flag, a, b, c, d, ..] => {
                let kind = if flag == TEXT {
                    Kind::Text
                } else {
                    Kind::Binary
                };
                (kind, u32::from_be_bytes([a, b, c, d]))
            }
            _ => return self.incomplete(None),
        };

        let length = usize::try_from(declared).unwrap_or(usize::MAX);
        if length > self.max_frame_bytes {
            self.input.skip(HEADER);
            self.skip = u64::from(declared);
            return Some(Err(FrameError::TooLong {
                size: Some(u64::from(declared)),
                limit: self.max_frame_bytes,
            }));
        }
        let missing = length
            .saturating_add(HEADER)
            .saturating_sub(self.input.len());
        if missing > 0 {
            return self.incomplete(Some(missing));
        }
        self.input.skip(HEADER);
        Some(Ok(Frame::new(kind, self.input.take(length))))
    }

    pub(crate) fn lend(&mut self, input: &mut BytesMut) {
        match self.state {
            State::Ended => input.clear(),
            State::Reading | State::Ending => self.input.lend(input),
        }
    }

    pub(crate) fn give_back(&mut self, input: &mut BytesMut) {
        self.input.give_back(input);
    }

    pub(crate) fn is_drained(&mut self) -> bool {
        self.state == State::Reading && self.input.is_drained()
    }

    /// Steps over what [`whole_at`](Wholes::whole_at) has found at the front, and gives it out.
    pub(crate) fn take(&mut self, whole: Whole) -> Frame {
        self.input.take_message(whole)
    }

    /// How many bytes are waiting for the rest of their frame (or to be polled).
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.input.len()
    }

    fn drop_over_long(&mut self) {
        let waiting = self.input.len();
        let step = usize::try_from(self.skip).map_or(waiting, |skip| skip.min(waiting));
        self.input.skip(step);
        self.skip = self
            .skip
            .saturating_sub(u64::try_from(step).unwrap_or(u64::MAX));
    }

    fn incomplete(&mut self, missing: Option<usize>) -> Option<Result<Frame, FrameError>> {
        if self.state == State::Ending {
            let missing = missing.and_then(|missing| u64::try_from(missing).ok());
            return self.end(FrameError::Truncated { missing });
        }
        self.input.settle();
        None
    }

    fn end(&mut self, error: FrameError) -> Option<Result<Frame, FrameError>> {
        self.state = State::Ended;
        self.input.clear();
        Some(Err(error))
    }
}

impl Wholes for LengthPrefixed {
    /// Ordinary are frames that are not long. Where it is none,
    /// [`poll_frame`](LengthPrefixed::poll_frame) knows more.
    #[inline]
    fn whole_at(&mut self, from: usize) -> Option<Whole> {
        let waiting = self.input.as_slice().get(from..)?;
        let &[flag, a, b, c, d, ..] = waiting else {
            return None;
        };
        let kind = match flag {
            TEXT => Kind::Text,
            BINARY => Kind::Binary,
            _ => return None,
        };
        let len = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
        let total = len.checked_add(HEADER)?;
        let is_ordinary = self.skip == 0
            && self.state != State::Ended
            && len <= self.max_frame_bytes
            && len < Input::SHARE_FROM
            && total <= waiting.len();
        is_ordinary.then_some(Whole {
            kind,
            start: HEADER,
            len,
            total,
        })
    }

    #[inline]
    fn waiting(&self) -> &[u8] {
        self.input.as_slice()
    }

    #[inline]
    fn step_over(&mut self, count: usize) {
        self.input.skip(count);
    }
}
