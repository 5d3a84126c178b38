//! The short way to what most frames say: one event, call or reply in EDN that is written plainly.
//!
//! What is read here is read so by [`read`](super::read), too, which takes everything else: batches,
//! the protocol's own events, whatever is odd or wrong.

use core::ops::Range;
use core::str;

use sente_edn::{Limits, PlainCursor, Shape};

use crate::event::EventId;
use crate::packer::Span;
use crate::profile::{Dialect, Profile, Role};

/// The ids of the last few events, which the next is likely to have.
#[derive(Debug, Default)]
pub(crate) struct RecentIds([Option<EventId>; Self::PLACES]);

impl RecentIds {
    const PLACES: usize = 4;

    /// The place for an id that begins as the text at `start` does.
    #[inline]
    fn place(&mut self, text: &[u8], start: usize) -> Option<&mut Option<EventId>> {
        let first = u64::from_le_bytes(*text.get(start..)?.first_chunk()?);
        let at = first.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 62;
        self.0.get_mut(usize::try_from(at).ok()?)
    }
}

/// One thing a frame says.
#[derive(Debug)]
pub(crate) struct Plain {
    /// Of an event; `None` for the answer to a call.
    pub(crate) id: Option<EventId>,
    pub(crate) data: Option<Span>,
    /// Of a call, and of an answer.
    pub(crate) callback: Option<Span>,
}

/// Reads `frame`, all of it; `None` if that is not as simple as it looks.
pub(crate) fn read_plainly(
    profile: Profile,
    limits: &Limits,
    frame: &[u8],
    recent: &mut RecentIds,
) -> Option<Plain> {
    let mut cursor = PlainCursor::new(frame, limits)?;
    cursor.enter()?;
    let mut said = Plain {
        id: None,
        data: None,
        callback: None,
    };
    if profile.dialect == Dialect::SenteLite && cursor.peek()? == b':' {
        event(profile, frame, &mut cursor, recent, &mut said)?;
    } else if profile.role == Role::Client && profile.positional_replies() {
        push(profile, frame, &mut cursor, recent, &mut said)?;
    } else {
        cursor.enter()?;
        event(profile, frame, &mut cursor, recent, &mut said)?;
        cursor.leave()?;
        if cursor.peek()? == b'"' {
            // There are no calls of a call's answer.
            said.id.as_ref()?;
            said.callback = Some(span(cursor.string()?, Shape::String));
        } else if profile.dialect != Dialect::Sente || cursor.skip()?.1 != Shape::Nil {
            // In sente-lite's dialect a nested event is a call.
            return None;
        }
    }
    cursor.leave()?;
    cursor.is_at_end().then_some(said)
}

/// A message of a stock Sente server, whose vector has been entered: a batch of one event, or a
/// reply.
fn push(
    profile: Profile,
    frame: &[u8],
    cursor: &mut PlainCursor<'_>,
    recent: &mut RecentIds,
    said: &mut Plain,
) -> Option<()> {
    let byte = cursor.peek()?;
    let start = cursor.offset();
    let is_batch = matches!(frame.get(start..)?, [b'[', b'[', b':', ..]);
    let data = if is_batch {
        cursor.enter()?;
        cursor.enter()?;
        event(profile, frame, cursor, recent, said)?;
        cursor.leave()?;
        cursor.leave()?;
        (start..cursor.offset(), Shape::Vector)
    } else if byte == b':' {
        // Its pings are keywords.
        return None;
    } else {
        cursor.skip()?
    };
    let slot = cursor.skip()?;
    match slot.1 {
        Shape::Nil if is_batch => Some(()),
        Shape::String => {
            *said = Plain {
                id: None,
                data: Some(span(data.0, data.1)),
                callback: Some(span(slot.0, slot.1)),
            };
            Some(())
        }
        _ => None,
    }
}

/// An event or a reply whose vector has been entered, up to the bracket that ends it.
#[inline(always)]
fn event(
    profile: Profile,
    frame: &[u8],
    cursor: &mut PlainCursor<'_>,
    recent: &mut RecentIds,
    said: &mut Plain,
) -> Option<()> {
    cursor.peek()?;
    let place = recent.place(frame, cursor.offset())?;
    match place {
        Some(id) if cursor.keyword_of(id.as_str()).is_some() => said.id = Some(id.clone()),
        place => {
            if !profile.positional_replies() && cursor.keyword_of("chsk/reply").is_some() {
                return reply(cursor, said);
            }
            let name = str::from_utf8(frame.get(cursor.keyword()?)?).ok()?;
            if is_special(name) {
                return None;
            }
            let id = EventId::from_wire(name)?;
            *place = Some(id.clone());
            said.id = Some(id);
        }
    }
    if cursor.peek()? != b']' {
        let (range, shape) = cursor.skip()?;
        said.data = Some(span(range, shape));
    }
    Some(())
}

/// `{:cb-uuid .. :data ..}`, as this engine and sente-lite write it.
fn reply(cursor: &mut PlainCursor<'_>, said: &mut Plain) -> Option<()> {
    cursor.enter_map()?;
    cursor.keyword_of("cb-uuid")?;
    let (range, shape) = match cursor.peek()? {
        b'"' => (cursor.string()?, Shape::String),
        _ => cursor.skip()?,
    };
    said.callback = Some(span(range, shape));
    cursor.keyword_of("data")?;
    let (range, shape) = cursor.skip()?;
    said.data = Some(span(range, shape));
    cursor.leave_map()
}

/// Whether an id means something to the protocol, somewhere.
fn is_special(name: &str) -> bool {
    name.starts_with("chsk/") || matches!(name, "sente-lite/hello" | "batch/events")
}

#[inline]
fn span(range: Range<usize>, shape: Shape) -> Span {
    let mut span = Span::new(range.start, range.end, shape);
    // Whoever has to know looks.
    span.line_safe = false;
    span
}
