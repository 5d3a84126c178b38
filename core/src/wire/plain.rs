//! The short way to what most frames say: one event, call or reply in EDN that is written plainly.
//!
//! What is read here is read so by [`read`](super::read), too, which takes everything else: batches,
//! the protocol's own events, whatever is odd or wrong.

use core::ops::Range;
use core::str;

use sente_edn::{Limits, PlainCursor, Shape};

use super::Packet;
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

/// Reads `frame`, all of it; `None` if that is not as simple as it looks.
pub(crate) fn read_plainly(
    profile: Profile,
    limits: &Limits,
    frame: &[u8],
    recent: &mut RecentIds,
) -> Option<Packet> {
    let mut cursor = PlainCursor::new(frame, limits)?;
    cursor.enter()?;
    let packet = match (profile.dialect, profile.role) {
        (Dialect::SenteLite, _) if cursor.peek()? == b':' => {
            event(profile, frame, &mut cursor, recent)?
        }
        (Dialect::Sente, Role::Client) if profile.positional_replies() => {
            push(profile, frame, &mut cursor, recent)?
        }
        _ => {
            cursor.enter()?;
            let packet = event(profile, frame, &mut cursor, recent)?;
            cursor.leave()?;
            let slot = cursor.skip()?;
            match (packet, slot.1) {
                (Packet::Event { id, data, .. }, Shape::String) => Packet::Event {
                    id,
                    data,
                    callback: Some(span(slot)),
                    trace: None,
                },
                // In sente-lite's dialect a nested event is a call.
                (packet, Shape::Nil) if profile.dialect == Dialect::Sente => packet,
                _ => return None,
            }
        }
    };
    cursor.leave()?;
    cursor.is_at_end().then_some(packet)
}

/// A message of a stock Sente server, whose vector has been entered: a batch of one event, or a
/// reply.
fn push(
    profile: Profile,
    frame: &[u8],
    cursor: &mut PlainCursor<'_>,
    recent: &mut RecentIds,
) -> Option<Packet> {
    let byte = cursor.peek()?;
    let start = cursor.offset();
    let batch = match frame.get(start..)? {
        [b'[', b'[', b':', ..] => {
            cursor.enter()?;
            cursor.enter()?;
            let packet = event(profile, frame, cursor, recent)?;
            cursor.leave()?;
            cursor.leave()?;
            Some(packet)
        }
        // Its pings are keywords.
        _ if byte == b':' => return None,
        _ => None,
    };
    let data = match batch {
        Some(_) => (start..cursor.offset(), Shape::Vector),
        None => cursor.skip()?,
    };
    let slot = cursor.skip()?;
    match (batch, slot.1) {
        (Some(packet), Shape::Nil) => Some(packet),
        (_, Shape::String) => Some(Packet::Reply {
            callback: span(slot),
            data: Some(span(data)),
        }),
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
) -> Option<Packet> {
    cursor.peek()?;
    let place = recent.place(frame, cursor.offset())?;
    let known = place
        .as_ref()
        .filter(|id| cursor.keyword_of(id.as_str()).is_some());
    let id = match known {
        Some(id) => id.clone(),
        None if !profile.positional_replies() && cursor.keyword_of("chsk/reply").is_some() => {
            return reply(cursor);
        }
        None => {
            let name = str::from_utf8(frame.get(cursor.keyword()?)?).ok()?;
            if is_special(name) {
                return None;
            }
            let id = EventId::from_wire(name)?;
            *place = Some(id.clone());
            id
        }
    };
    let data = match cursor.peek()? {
        b']' => None,
        _ => Some(span(cursor.skip()?)),
    };
    Some(Packet::Event {
        id,
        data,
        callback: None,
        trace: None,
    })
}

/// `{:cb-uuid .. :data ..}`, as this engine and sente-lite write it.
fn reply(cursor: &mut PlainCursor<'_>) -> Option<Packet> {
    cursor.enter_map()?;
    cursor.keyword_of("cb-uuid")?;
    let callback = span(cursor.skip()?);
    cursor.keyword_of("data")?;
    let data = Some(span(cursor.skip()?));
    cursor.leave_map()?;
    Some(Packet::Reply { callback, data })
}

/// Whether an id means something to the protocol, somewhere.
fn is_special(name: &str) -> bool {
    name.starts_with("chsk/") || matches!(name, "sente-lite/hello" | "batch/events")
}

#[inline]
fn span((range, shape): (Range<usize>, Shape)) -> Span {
    let mut span = Span::new(range.start, range.end, shape);
    // Whoever has to know looks.
    span.line_safe = false;
    span
}
