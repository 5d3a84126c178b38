//! What a frame can say.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use crate::error::BadReason;
use crate::event::EventId;
use crate::limits::Limits;
use crate::packer::{Packer, Span};
use crate::profile::{Dialect, Profile};

/// One thing a frame says. A batch says several.
#[derive(Debug)]
pub(crate) enum Packet {
    Bad {
        reason: BadReason,
        callback: Option<Span>,
    },
    Event {
        id: EventId,
        data: Option<Span>,
        callback: Option<Span>,
        /// Where its traceparent stands. Few have one.
        trace: Option<Box<Span>>,
    },
    Handshake(Handshake),
    Hello(Option<Span>),
    /// A reserved id that is harmless where it came from: counted, not delivered.
    Ignored,
    Ping {
        callback: Option<Span>,
    },
    Pong,
    Reply {
        callback: Span,
        data: Option<Span>,
    },
    /// `[:chsk/reply {:cb-uuid .. :data ..}]`, the map not yet taken apart.
    ReplyMap(Span),
}

/// The slots of a handshake, and which dialect's envelope it came in.
#[derive(Debug)]
pub(crate) struct Handshake {
    pub(crate) uid: Option<Span>,
    pub(crate) csrf_token: Option<Span>,
    pub(crate) data: Option<Span>,
    /// The fourth slot, where Sente's dialect answers an offer of extensions.
    pub(crate) extra: Option<Span>,
    pub(crate) dialect: Dialect,
}

/// What one frame says, in order. Of a large batch only the first events are read at once; where the
/// others stand is kept, and they are read one by one when there is room for them.
#[derive(Debug)]
pub(crate) struct Packets {
    read: VecDeque<Packet>,
    unread: VecDeque<(u32, u32)>,
    /// How many are read at once.
    most: usize,
    /// The link as it was when the frame came.
    profile: Profile,
}

impl Packets {
    /// The most that are read at once, however much room there is: what is read takes more memory
    /// than what is only known to stand somewhere.
    const MOST: usize = 256;

    /// For a frame of `len` bytes and room for `room` messages.
    pub(crate) fn new(profile: Profile, len: usize, room: usize) -> Self {
        let places_fit = u32::try_from(len).is_ok();
        Self {
            read: VecDeque::with_capacity(1),
            unread: VecDeque::new(),
            most: if places_fit {
                room.clamp(1, Self::MOST)
            } else {
                usize::MAX
            },
            profile,
        }
    }

    pub(super) fn push(&mut self, packet: Packet) {
        self.read.push_back(packet);
    }

    /// Whether another event of a batch should be read now.
    pub(super) fn takes_more(&self) -> bool {
        self.read.len() < self.most
    }

    /// Keeps an event of a batch for later.
    pub(super) fn set_aside(&mut self, span: Span) {
        if let (Ok(start), Ok(end)) = (u32::try_from(span.start), u32::try_from(span.end)) {
            self.unread.push_back((start, end));
        }
    }

    /// The packet of a frame that says one thing only.
    pub(super) fn only(&mut self) -> Option<&mut Packet> {
        if self.read.len() == 1 && self.unread.is_empty() {
            self.read.front_mut()
        } else {
            None
        }
    }

    /// Moves everything by `offset`, from a slice to the frame it is a slice of.
    pub(super) fn shift(&mut self, offset: usize) {
        for packet in &mut self.read {
            packet.shift(offset);
        }
        let offset = u32::try_from(offset).unwrap_or(u32::MAX);
        for (start, end) in &mut self.unread {
            *start = start.saturating_add(offset);
            *end = end.saturating_add(offset);
        }
    }

    /// The next thing `frame`, which this was read from, says.
    pub(crate) fn next(
        &mut self,
        packer: &dyn Packer,
        limits: &Limits,
        frame: &[u8],
    ) -> Option<Packet> {
        if let Some(packet) = self.read.pop_front() {
            return Some(packet);
        }
        let (start, end) = self.unread.pop_front()?;
        let (start, end) = (usize::try_from(start).ok()?, usize::try_from(end).ok()?);
        let slice = frame.get(start..end).unwrap_or_default();
        let mut packet = super::read_aside(self.profile, packer, limits, slice);
        packet.shift(start);
        Some(packet)
    }
}

impl Packet {
    /// Moves every span by `offset`, from a slice to the frame it is a slice of.
    pub(super) fn shift(&mut self, offset: usize) {
        let shift = |span: &mut Option<Span>| {
            if let Some(span) = span {
                span.start += offset;
                span.end += offset;
            }
        };
        match self {
            Self::Bad { callback, .. } | Self::Ping { callback } => shift(callback),
            Self::Event {
                data,
                callback,
                trace,
                ..
            } => {
                shift(data);
                shift(callback);
                if let Some(span) = trace {
                    span.start += offset;
                    span.end += offset;
                }
            }
            Self::Handshake(handshake) => {
                shift(&mut handshake.uid);
                shift(&mut handshake.csrf_token);
                shift(&mut handshake.data);
                shift(&mut handshake.extra);
            }
            Self::Hello(data) => shift(data),
            Self::Reply { callback, data } => {
                callback.start += offset;
                callback.end += offset;
                shift(data);
            }
            Self::ReplyMap(map) => {
                map.start += offset;
                map.end += offset;
            }
            Self::Ignored | Self::Pong => {}
        }
    }
}
