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

    /// The id that stands at `start`, behind its colon, if it is one of these, and where it ends.
    #[inline(always)]
    fn known(&mut self, text: &[u8], colon: usize) -> Option<(&EventId, usize)> {
        let id = self.place(text, colon)?.as_ref()?;
        let start = colon.wrapping_add(1);
        let end = start.wrapping_add(id.as_str().len());
        is_same(text.get(start..end)?, id.as_str().as_bytes()).then_some((id, end))
    }
}

/// Whether two texts of the same length are the same; most names are short.
#[inline(always)]
fn is_same(one: &[u8], other: &[u8]) -> bool {
    if let (0..=16, Some(first), Some(last)) =
        (one.len(), one.first_chunk::<8>(), one.last_chunk::<8>())
    {
        return other.first_chunk() == Some(first) && other.last_chunk() == Some(last);
    }
    one == other
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

/// An event of an id that was read before, with data.
#[derive(Debug)]
pub(crate) struct Known<'a> {
    pub(crate) id: &'a EventId,
    pub(crate) data: &'a [u8],
    /// Of a call.
    pub(crate) callback: Option<&'a [u8]>,
}

/// Reads `frame`, all of it, if it is such an event as programs write it: one blank between two things
/// and no others. Nothing is said of any other.
#[inline(always)]
pub(crate) fn read_known<'a>(
    profile: Profile,
    limits: &Limits,
    frame: &'a [u8],
    recent: &'a mut RecentIds,
) -> Option<Known<'a>> {
    let is_lite = profile.dialect == Dialect::SenteLite;
    // What a stock server pushes is a batch.
    let is_pushed = profile.role == Role::Client && profile.positional_replies();
    let colon = match frame {
        [b'[', b':', ..] if is_lite => 1,
        [b'[', b'[', b':', ..] if !is_pushed => 2,
        [b'[', b'[', b'[', b':', ..] if is_pushed => 3,
        _ => return None,
    };
    let (id, end) = recent.known(frame, colon)?;
    let start = end.wrapping_add(1);
    if frame.get(end) != Some(&b' ') || matches!(frame.get(start)?, b' ' | b',') {
        return None;
    }
    // What the frame asks of the limits, all of it.
    PlainCursor::new(frame, limits)?;
    let inside = frame.get(start..)?;
    let (data, _) = PlainCursor::new(inside, limits)?.skip()?;
    let behind = inside.get(data.end..)?;
    let callback = match behind {
        b"]" if colon == 1 => None,
        b"] nil]" if colon == 2 && !is_lite => None,
        b"]] nil]" if colon == 3 => None,
        [b']', b' ', callback @ .., b']'] if colon == 2 && is_plain_string(callback) => {
            Some(callback)
        }
        _ => return None,
    };
    Some(Known {
        id,
        data: inside.get(data)?,
        callback,
    })
}

/// Whether it is a string, all of it ASCII and without escapes.
#[inline(always)]
fn is_plain_string(packed: &[u8]) -> bool {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const QUOTE: u64 = b'"' as u64;
    if let Ok(packed) = packed.try_into() {
        // As nearly all callback ids: six characters. With the quotes taken away they hold neither quotes
        // nor backslashes, of which bytes of zeros would be left.
        let inside = u64::from_le_bytes(packed) ^ (QUOTE | (QUOTE << 56));
        let is_quoted = inside & 0xff00_0000_0000_00ff == 0;
        let zeros = |word: u64| word.wrapping_sub(LOW) & !word;
        let ends = zeros(inside ^ LOW.wrapping_mul(QUOTE)) | zeros(inside ^ LOW.wrapping_mul(0x5c));
        return is_quoted && (ends | inside) & HIGH == 0;
    }
    let is_plain = |byte: &u8| byte.is_ascii() && !matches!(byte, b'"' | b'\\');
    matches!(packed, [b'"', inside @ .., b'"'] if inside.iter().all(is_plain))
}

/// Reads `frame`, all of it; `None` if that is not as simple as it looks.
#[inline(never)]
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
