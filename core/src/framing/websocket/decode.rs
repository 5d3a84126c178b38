//! How received bytes become messages and control frames (RFC 6455 sections 5 and 8.1).

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

use super::close::CloseFrame;
use super::deflate::Inflater;
use super::error::{Violation, WebSocketError};
use super::header::{Opcode, Received, ReceivedWhole};
use super::utf8::Utf8Check;
use super::{Frame, Kind, Role, WebSocketConfig, mask};
use crate::framing::Whole;
use crate::framing::input::Input;

/// What was decoded.
#[derive(Debug)]
pub(super) enum Item {
    Close(CloseFrame),
    Message(Frame),
    Ping(Bytes),
    Pong(Bytes),
}

/// Cuts bytes into frames and joins fragments.
///
/// A message that lies whole in the waiting bytes is unmasked where it is and given out as a slice
/// of them (or as a copy, see [`Input::SHARE_FROM`]). Otherwise its bytes move into `message` as
/// they arrive, so that at most a header or a control frame is ever left waiting in `input`.
#[derive(Debug)]
pub(super) struct Decoder {
    input: Input,
    /// The data frame whose payload is being read.
    payload: Option<Payload>,
    /// The message whose frames are being read.
    message: Option<Box<Partial>>,
    /// There where messages may be compressed.
    inflater: Option<Box<Inflater>>,
    /// Where in the stream the current frame begins.
    frame_at: u64,
    /// Where in the stream `input` begins.
    position: u64,
    role: Role,
    max_frame_bytes: usize,
    max_message_bytes: usize,
}

/// The rest of a data frame.
#[derive(Debug)]
struct Payload {
    is_final: bool,
    mask: Option<[u8; 4]>,
    /// How much of it was read.
    read: usize,
    /// How much of it is to come.
    remaining: usize,
}

/// The beginning of a message.
#[derive(Debug)]
struct Partial {
    kind: Kind,
    is_compressed: bool,
    /// How many bytes of it came, compressed if it is.
    received: usize,
    bytes: Vec<u8>,
    utf8: Utf8Check,
}

impl Decoder {
    pub(super) fn new(role: Role, config: &WebSocketConfig) -> Self {
        Self {
            input: Input::default(),
            payload: None,
            message: None,
            inflater: None,
            frame_at: 0,
            position: 0,
            role,
            max_frame_bytes: config.max_frame_bytes,
            max_message_bytes: config.max_message_bytes,
        }
    }

    #[cfg(feature = "deflate")]
    pub(super) fn inflate_with(&mut self, inflater: Inflater) {
        self.inflater = Some(Box::new(inflater));
    }

    /// The longest payload of a frame.
    pub(super) const fn max_frame_bytes(&self) -> usize {
        self.max_frame_bytes
    }

    pub(super) fn push(&mut self, input: &mut BytesMut) {
        self.input.push(input);
    }

    pub(super) fn lend(&mut self, input: &mut BytesMut) {
        self.input.lend(input);
    }

    pub(super) fn give_back(&mut self, input: &mut BytesMut) {
        self.input.give_back(input);
    }

    pub(super) fn is_drained(&mut self) -> bool {
        // An empty frame may end what has begun.
        self.payload.is_none() && self.input.is_drained()
    }

    /// The message `from` bytes behind the front, if it is one frame that is all there, neither long nor
    /// compressed, and without a fault. It is unmasked where it is, so
    /// [`skip_whole`](Self::skip_whole) or [`take_whole`](Self::take_whole) has to follow. Where it is
    /// none, [`poll`](Self::poll) knows more.
    #[inline]
    pub(super) fn whole_at(&mut self, from: usize) -> Option<Whole> {
        if self.payload.is_some() || self.message.is_some() {
            return None;
        }
        let waiting = self.input.as_mut_slice().get_mut(from..)?;
        let header = ReceivedWhole::parse(waiting, self.role)?;
        let (kind, len) = (header.kind, header.length);
        if len >= Input::SHARE_FROM || len > self.max_frame_bytes || len > self.max_message_bytes {
            return None;
        }
        let total = len.wrapping_add(header.size);
        let message = waiting.get_mut(header.size..total)?;
        let known_ascii = header
            .mask
            .is_some_and(|mask| mask::apply(mask, 0, message));
        if kind == Kind::Text && !known_ascii && core::str::from_utf8(message).is_err() {
            // As it was, for who says what is wrong with it.
            if let Some(mask) = header.mask {
                mask::apply(mask, 0, message);
            }
            return None;
        }
        Some(Whole {
            kind,
            start: header.size,
            len,
            total,
        })
    }

    /// The waiting bytes.
    #[inline]
    pub(super) fn waiting(&self) -> &[u8] {
        self.input.as_slice()
    }

    /// Steps over whole messages of so many bytes.
    pub(super) fn skip_whole(&mut self, count: usize) {
        self.skip(count);
    }

    /// Steps over what [`whole_at`](Self::whole_at) has found at the front, and gives it out.
    pub(super) fn take_whole(&mut self, whole: Whole) -> Frame {
        self.step(whole.total);
        self.input.take_message(whole)
    }

    /// The next item; `None` means that more bytes are needed. After an error nothing is read.
    pub(super) fn poll(&mut self) -> Option<Result<Item, WebSocketError>> {
        let found = self.advance().map_err(|violation| self.error(violation));
        if matches!(found, Ok(None)) {
            self.input.settle();
        }
        found.transpose()
    }

    /// Forgets everything and gives the memory back.
    pub(super) fn clear(&mut self) {
        self.input.clear();
        self.payload = None;
        self.message = None;
        self.inflater = None;
    }

    /// How many bytes are held: unread ones and those of an unfinished message.
    pub(super) fn buffered(&self) -> usize {
        let message = self
            .message
            .as_ref()
            .map_or(0, |message| message.bytes.len());
        self.input.len().saturating_add(message)
    }

    /// `violation` at the current frame.
    pub(super) fn error(&self, violation: Violation) -> WebSocketError {
        WebSocketError {
            violation,
            offset: self.frame_at,
        }
    }

    fn advance(&mut self) -> Result<Option<Item>, Violation> {
        loop {
            if let Some(payload) = &self.payload {
                let is_final = payload.is_final;
                if !self.read_payload()? {
                    return Ok(None);
                }
                self.payload = None;
                if is_final && let Some(message) = self.message.take() {
                    let frame = message.finish(&mut self.inflater, self.max_message_bytes)?;
                    return Ok(Some(Item::Message(frame)));
                }
            }

            self.frame_at = self.position;
            let deflates = self.inflater.is_some();
            let header = Received::parse(self.input.as_slice(), self.role, deflates)?;
            let Some(header) = header else {
                return Ok(None);
            };
            let found = match header.opcode {
                Opcode::Continuation => self.begin_data(&header, None)?,
                Opcode::Data(kind) => self.begin_data(&header, Some(kind))?,
                Opcode::Close | Opcode::Ping | Opcode::Pong => {
                    let Some(payload) = self.read_control(&header) else {
                        return Ok(None);
                    };
                    Some(match header.opcode {
                        Opcode::Ping => Item::Ping(payload),
                        Opcode::Pong => Item::Pong(payload),
                        _ => Item::Close(CloseFrame::parse(&payload)?),
                    })
                }
            };
            if found.is_some() {
                return Ok(found);
            }
        }
    }

    /// A control frame's payload, once all of it is there.
    fn read_control(&mut self, header: &Received) -> Option<Bytes> {
        let length = usize::try_from(header.length).unwrap_or(usize::MAX);
        if self.input.len() < header.size.saturating_add(length) {
            return None;
        }
        self.skip(header.size);
        Some(self.take_unmasked(header, length).0)
    }

    /// Begins a data frame: a whole message if it is all there, else what is to be read is noted.
    fn begin_data(
        &mut self,
        header: &Received,
        kind: Option<Kind>,
    ) -> Result<Option<Item>, Violation> {
        let so_far = match (&self.message, kind) {
            (None, None) => return Err(Violation::NothingToContinue),
            (Some(_), Some(_)) => return Err(Violation::UnfinishedMessage),
            (Some(message), None) => message.received,
            (None, Some(_)) => 0,
        };
        let length = self.check_length(header.length, so_far)?;
        self.skip(header.size);
        if let Some(kind) = kind {
            if header.is_final && !header.is_compressed && length <= self.input.len() {
                return self.read_whole(header, kind, length).map(Some);
            }
            self.message = Some(Box::new(Partial::new(kind, header.is_compressed)));
        }
        self.payload = Some(Payload {
            is_final: header.is_final,
            mask: header.mask,
            read: 0,
            remaining: length,
        });
        Ok(None)
    }

    /// The declared length as one that this machine may read. Nothing is allocated for it.
    fn check_length(&self, length: u64, so_far: usize) -> Result<usize, Violation> {
        let within = |limit: usize, length: u64| usize::try_from(length).is_ok_and(|l| l <= limit);
        if !within(self.max_frame_bytes, length) {
            return Err(Violation::FrameTooLong {
                length,
                limit: self.max_frame_bytes,
            });
        }
        let message = u64::try_from(so_far)
            .unwrap_or(u64::MAX)
            .saturating_add(length);
        if !within(self.max_message_bytes, message) {
            return Err(Violation::MessageTooLong {
                length: message,
                limit: self.max_message_bytes,
            });
        }
        Ok(usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// A message of one frame that is all there.
    fn read_whole(
        &mut self,
        header: &Received,
        kind: Kind,
        length: usize,
    ) -> Result<Item, Violation> {
        let (bytes, known_ascii) = self.take_unmasked(header, length);
        if kind == Kind::Text && !known_ascii {
            core::str::from_utf8(&bytes).map_err(|error| Violation::InvalidUtf8 {
                at: error.valid_up_to(),
            })?;
        }
        Ok(Item::Message(Frame::new(kind, bytes)))
    }

    /// Moves what is there of the current frame's payload into the message. Whether that was all.
    fn read_payload(&mut self) -> Result<bool, Violation> {
        let (Some(payload), Some(message)) = (&mut self.payload, &mut self.message) else {
            return Ok(true);
        };
        let count = payload.remaining.min(self.input.len());
        let bytes = self
            .input
            .as_mut_slice()
            .get_mut(..count)
            .unwrap_or_default();
        let known_ascii = payload
            .mask
            .is_some_and(|mask| mask::apply(mask, payload.read, bytes));
        let most = if payload.is_final {
            payload.remaining
        } else {
            usize::MAX
        };
        if message.is_compressed {
            message.inflate(bytes, &mut self.inflater, self.max_message_bytes)?;
        } else {
            message.push(bytes, known_ascii, most)?;
        }
        message.received = message.received.saturating_add(count);
        payload.read = payload.read.saturating_add(count);
        payload.remaining = payload.remaining.saturating_sub(count);
        let whole = payload.remaining == 0;
        self.skip(count);
        Ok(whole)
    }

    /// The next `length` bytes unmasked, and whether they are known to be ASCII.
    fn take_unmasked(&mut self, header: &Received, length: usize) -> (Bytes, bool) {
        let known_ascii = header.mask.is_some_and(|mask| {
            let payload = self.input.as_mut_slice().get_mut(..length);
            mask::apply(mask, 0, payload.unwrap_or_default())
        });
        self.step(length);
        (self.input.take(length), known_ascii)
    }

    fn skip(&mut self, count: usize) {
        self.step(count);
        self.input.skip(count);
    }

    fn step(&mut self, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.position = self.position.saturating_add(count);
    }
}

impl Partial {
    const fn new(kind: Kind, is_compressed: bool) -> Self {
        Self {
            kind,
            is_compressed,
            received: 0,
            bytes: Vec::new(),
            utf8: Utf8Check::new(),
        }
    }

    /// Appends `bytes`, the first of at most `most` that are to come in this message.
    fn push(&mut self, bytes: &[u8], known_ascii: bool, most: usize) -> Result<(), Violation> {
        if self.kind == Kind::Text {
            self.utf8
                .push(bytes, known_ascii)
                .map_err(|at| Violation::InvalidUtf8 { at })?;
        }
        let free = self.bytes.capacity().saturating_sub(self.bytes.len());
        if bytes.len() > free {
            // Twice what has arrived, so that small pieces stay linear; but not more than the last
            // frame can fill, so that the last step is exact.
            let growth = self.bytes.len().max(bytes.len()).min(most);
            self.bytes.reserve_exact(growth);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Appends what `bytes` inflate to, in all at most `limit`.
    fn inflate(
        &mut self,
        bytes: &[u8],
        inflater: &mut Option<Box<Inflater>>,
        limit: usize,
    ) -> Result<(), Violation> {
        let before = self.bytes.len();
        let inflated = match inflater {
            Some(inflater) => inflater.push(bytes, &mut self.bytes, limit),
            None => Ok(()),
        };
        // What came of it before it broke counts first, as it would have byte by byte.
        self.check_from(before)?;
        inflated
    }

    /// Looks at the text from byte `start` on.
    fn check_from(&mut self, start: usize) -> Result<(), Violation> {
        let new = self.bytes.get(start..).unwrap_or_default();
        if self.kind == Kind::Text {
            self.utf8
                .push(new, false)
                .map_err(|at| Violation::InvalidUtf8 { at })?;
        }
        Ok(())
    }

    fn finish(
        mut self,
        inflater: &mut Option<Box<Inflater>>,
        limit: usize,
    ) -> Result<Frame, Violation> {
        // An empty message needs no stream, though it may have one.
        if self.is_compressed
            && self.received > 0
            && let Some(inflater) = inflater
        {
            let before = self.bytes.len();
            let inflated = inflater.finish(&mut self.bytes, limit);
            self.check_from(before)?;
            inflated?;
            // While it grew nobody knew where it would end.
            if self.bytes.capacity() > self.bytes.len().saturating_add(self.bytes.len() / 4) {
                self.bytes.shrink_to_fit();
            }
        }
        if !self.utf8.is_whole() {
            return Err(Violation::InvalidUtf8 {
                at: self.utf8.valid(),
            });
        }
        Ok(Frame::new(self.kind, Bytes::from(self.bytes)))
    }
}
