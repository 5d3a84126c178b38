//! Messages whose frames were made as soon as they were queued, since nothing waited before them.

use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;

use crate::calls::CallName;
use crate::packed::SealedFrames;

use super::{Outgoing, WAITING_OVERHEAD};

/// What is known of the messages in the text of frames that is to leave next. They can be taken back:
/// then they are queued as they would have been.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    messages: Vec<Framed>,
    /// The number of the first.
    first: u64,
    bytes: usize,
    reply_bytes: usize,
}

/// Where a message stands in that text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Framed {
    packed: Piece,
    /// Empty for an event that is no call.
    callback: Piece,
    is_reply: bool,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    start: u32,
    end: u32,
}

impl Framed {
    /// An event, or a call with a callback id.
    #[inline]
    pub(crate) fn event(packed: Range<usize>, callback: Range<usize>) -> Self {
        Self {
            packed: Piece::new(&packed),
            callback: Piece::new(&callback),
            is_reply: false,
        }
    }

    /// A reply.
    #[inline]
    pub(crate) fn reply(packed: Range<usize>, callback: Range<usize>) -> Self {
        Self {
            is_reply: true,
            ..Self::event(packed, callback)
        }
    }

    /// As [`Outgoing::len`].
    #[inline]
    const fn len(&self) -> usize {
        self.packed.len().saturating_add(self.callback.len())
    }

    /// The message as it stands in `text`.
    fn outgoing(&self, text: &[u8]) -> Outgoing {
        let packed = Bytes::copy_from_slice(self.packed.of(text));
        let callback = CallName::new(self.callback.of(text));
        if self.is_reply {
            return Outgoing::Reply { callback, packed };
        }
        Outgoing::Event {
            packed,
            callback: (!callback.is_empty()).then_some(callback),
            sealed: SealedFrames::default(),
            portable: None,
        }
    }
}

impl Piece {
    /// A text of 4 GiB is never made.
    #[inline]
    fn new(range: &Range<usize>) -> Self {
        let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self {
            start: narrow(range.start),
            end: narrow(range.end),
        }
    }

    #[inline]
    const fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    fn of(self, text: &[u8]) -> &[u8] {
        let wide = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        text.get(wide(self.start)..wide(self.end))
            .unwrap_or_default()
    }
}

impl Ahead {
    /// Takes the message with this number.
    #[inline(always)]
    pub(super) fn push(&mut self, message: Framed, number: u64) {
        if self.messages.is_empty() {
            self.first = number;
        }
        let len = message.len();
        self.bytes = self.bytes.saturating_add(len);
        if message.is_reply {
            self.reply_bytes = self
                .reply_bytes
                .saturating_add(len.saturating_add(WAITING_OVERHEAD));
        }
        self.messages.push(message);
    }

    #[inline]
    pub(super) const fn len(&self) -> usize {
        self.messages.len()
    }

    #[inline]
    pub(super) const fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    #[inline]
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    #[inline]
    pub(super) const fn reply_bytes(&self) -> usize {
        self.reply_bytes
    }

    /// The number of the first, if there is one.
    #[inline]
    pub(super) fn first(&self) -> Option<u64> {
        (!self.is_empty()).then_some(self.first)
    }

    /// Where in the text the last message begins.
    pub(super) fn last_start(&self) -> usize {
        self.messages.last().map_or(0, |last| {
            usize::try_from(last.packed.start).unwrap_or(usize::MAX)
        })
    }

    /// Forgets them.
    pub(super) fn clear(&mut self) {
        self.messages.clear();
        self.bytes = 0;
        self.reply_bytes = 0;
    }

    /// Holds no memory beyond that of a few messages.
    pub(super) fn settle(&mut self) {
        const FEW: usize = 8;
        if self.messages.is_empty() && self.messages.capacity() > FEW {
            self.messages.shrink_to(FEW);
        }
    }

    /// Holds no memory at all, if there are none.
    pub(super) fn rest(&mut self) {
        if self.messages.is_empty() && self.messages.capacity() > 0 {
            self.messages = Vec::new();
        }
    }

    /// Takes them all out, the last first, with their numbers.
    pub(super) fn drain_back(&mut self, text: &[u8]) -> impl Iterator<Item = (u64, Outgoing)> {
        let first = self.first;
        self.bytes = 0;
        self.reply_bytes = 0;
        let messages = core::mem::take(&mut self.messages);
        let numbered = messages.into_iter().enumerate().rev();
        numbered.map(move |(at, message)| {
            let number = first.saturating_add(u64::try_from(at).unwrap_or(u64::MAX));
            (number, message.outgoing(text))
        })
    }
}
