//! The grammar of both dialects, writing side: which bytes stand around a packed message.

use alloc::vec::Vec;
use core::ops::Deref;

use bytes::Bytes;

use crate::framing::websocket::Part;
use crate::packer::{Packer, Tokens};
use crate::profile::{Dialect, Profile, Role};
use crate::queue::Outgoing;

use super::atoms::{Atoms, ReplyForm};

/// The most parts a frame of one message has: a reply of Sente's dialect on a byte stream.
const MAX_PARTS: usize = 9;

/// The parts of a frame of one message, in order. They live on the stack: this is made for every
/// message, once to measure it and once to write it.
pub(super) struct Parts<'a> {
    parts: [Part<'a>; MAX_PARTS],
    len: usize,
}

impl<'a> Parts<'a> {
    const fn new() -> Self {
        Self {
            parts: [Part::Slice(&[]); MAX_PARTS],
            len: 0,
        }
    }

    fn push(&mut self, part: Part<'a>) {
        let slot = self.parts.get_mut(self.len);
        debug_assert!(slot.is_some(), "MAX_PARTS is too small");
        if let Some(slot) = slot {
            *slot = part;
            self.len += 1;
        }
    }
}

impl<'a> Deref for Parts<'a> {
    type Target = [Part<'a>];

    fn deref(&self) -> &[Part<'a>] {
        self.parts.get(..self.len).unwrap_or_default()
    }
}

/// A frame with one message.
pub(super) fn message<'a>(profile: Profile, atoms: &'a Atoms, item: &'a Outgoing) -> Parts<'a> {
    let mut parts = Parts::new();
    match item {
        Outgoing::Event {
            packed,
            callback: None,
            ..
        } => match (profile.dialect, profile.role) {
            (Dialect::SenteLite, _) => parts.push(Part::Shared(packed)),
            (Dialect::Sente, Role::Client) => pair(atoms, packed, &atoms.nil, &mut parts),
            (Dialect::Sente, Role::Server) => {
                parts.push(Part::Slice(atoms.pair.open()));
                parts.push(Part::Slice(atoms.single.open()));
                parts.push(Part::Shared(packed));
                parts.push(Part::Slice(atoms.single.close()));
                parts.push(Part::Slice(atoms.pair.separator()));
                parts.push(Part::Slice(&atoms.nil));
                parts.push(Part::Slice(atoms.pair.close()));
            }
        },
        Outgoing::Event {
            packed,
            callback: Some(callback),
            ..
        } => pair(atoms, packed, callback, &mut parts),
        Outgoing::Reply { callback, packed } => {
            if profile.positional_replies() {
                pair(atoms, packed, callback, &mut parts);
            } else if profile.dialect == Dialect::Sente {
                parts.push(Part::Slice(atoms.pair.open()));
                reply_event(atoms, callback, packed, &mut parts);
                parts.push(Part::Slice(atoms.pair.separator()));
                parts.push(Part::Slice(&atoms.nil));
                parts.push(Part::Slice(atoms.pair.close()));
            } else {
                reply_event(atoms, callback, packed, &mut parts);
            }
        }
    }
    parts
}

/// Hands the parts of that frame to `write`: those of an event or a call without room for more.
#[inline(always)]
pub(super) fn with_message<R>(
    profile: Profile,
    atoms: &Atoms,
    item: &Outgoing,
    write: impl FnOnce(&[Part<'_>]) -> R,
) -> R {
    let (packed, second) = match item {
        Outgoing::Event {
            packed,
            callback: None,
            ..
        } if profile.dialect == Dialect::SenteLite => return write(&[Part::Shared(packed)]),
        Outgoing::Event {
            packed,
            callback: Some(callback),
            ..
        } => (packed, &**callback),
        Outgoing::Reply { callback, packed } if profile.positional_replies() => {
            (packed, &**callback)
        }
        Outgoing::Reply { callback, packed } if profile.dialect == Dialect::SenteLite => {
            return write(&[
                Part::Slice(&atoms.reply.open),
                Part::Slice(callback),
                Part::Slice(&atoms.reply.middle),
                Part::Shared(packed),
                Part::Slice(&atoms.reply.close),
            ]);
        }
        _ => return write(&message(profile, atoms, item)),
    };
    write(&[
        Part::Slice(atoms.pair.open()),
        Part::Shared(packed),
        Part::Slice(atoms.pair.separator()),
        Part::Slice(second),
        Part::Slice(atoms.pair.close()),
    ])
}

/// The length of that frame.
#[inline]
pub(super) fn message_len(profile: Profile, atoms: &Atoms, item: &Outgoing) -> usize {
    let pair = pair_len(atoms);
    let (packed, around) = match item {
        Outgoing::Event {
            packed,
            callback: None,
            ..
        } => (packed, around_event_len(profile, atoms)),
        Outgoing::Event {
            packed,
            callback: Some(callback),
            ..
        } => (packed, pair + callback.len()),
        Outgoing::Reply { callback, packed } => {
            let around = if profile.positional_replies() {
                pair
            } else {
                match profile.dialect {
                    Dialect::Sente => pair + atoms.reply.len() + atoms.nil.len(),
                    Dialect::SenteLite => atoms.reply.len(),
                }
            };
            (packed, around + callback.len())
        }
    };
    let len = around.saturating_add(packed.len());
    debug_assert_eq!(
        len,
        super::framer::len_of(&message(profile, atoms, item)),
        "it is as long as it is"
    );
    len
}

/// How many bytes stand around an event that is no call and leaves alone.
#[inline]
pub(super) fn around_event_len(profile: Profile, atoms: &Atoms) -> usize {
    match (profile.dialect, profile.role) {
        (Dialect::SenteLite, _) => 0,
        (Dialect::Sente, Role::Client) => pair_len(atoms) + atoms.nil.len(),
        (Dialect::Sente, Role::Server) => {
            let single = atoms.single.open().len() + atoms.single.close().len();
            pair_len(atoms) + single + atoms.nil.len()
        }
    }
}

fn pair_len(atoms: &Atoms) -> usize {
    tokens_len(&atoms.pair)
}

/// How many bytes stand around two values.
fn tokens_len(pair: &Tokens) -> usize {
    pair.open().len() + pair.separator().len() + pair.close().len()
}

/// What stands around an event that leaves alone.
pub(super) struct Around<'a> {
    pub(super) before: &'a [u8],
    /// A separator, the callback id or what is in its place, and the end; of some events nothing.
    pub(super) behind: Option<[&'a [u8]; 3]>,
}

/// What stands around an event that leaves alone. `None` where pushes are put together.
#[inline]
pub(super) fn around_event<'a>(
    profile: Profile,
    atoms: &'a Atoms,
    callback: Option<&'a [u8]>,
) -> Option<Around<'a>> {
    let second = match (callback, profile.dialect, profile.role) {
        (Some(callback), ..) => callback,
        (None, ..) if profile.batches() => return None,
        (None, Dialect::SenteLite, _) => {
            return Some(Around {
                before: &[],
                behind: None,
            });
        }
        (None, Dialect::Sente, Role::Client) => &atoms.nil,
        (None, Dialect::Sente, Role::Server) => return None,
    };
    let (open, close) = (atoms.pair.open(), atoms.pair.close());
    Some(Around {
        before: open,
        behind: Some([atoms.pair.separator(), second, close]),
    })
}

/// What stands around a reply that leaves alone.
pub(super) enum AroundReply<'a> {
    /// Before, between and behind the callback id and the data.
    Bare(&'a ReplyForm),
    /// The same of the data and the callback id.
    Pair(&'a Tokens),
}

impl AroundReply<'_> {
    #[inline]
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Bare(form) => form.len(),
            Self::Pair(pair) => tokens_len(pair),
        }
    }
}

/// What stands around a reply. `None` for the one that has more around it.
#[inline]
pub(super) fn around_reply(profile: Profile, atoms: &Atoms) -> Option<AroundReply<'_>> {
    if profile.positional_replies() {
        return Some(AroundReply::Pair(&atoms.pair));
    }
    let is_bare = profile.dialect == Dialect::SenteLite;
    is_bare.then_some(AroundReply::Bare(&atoms.reply))
}

/// A frame with a batch of events: Sente's `[[event ..] nil]`, sente-lite's
/// `[:batch/events [event ..]]`.
pub(super) fn batch<'a>(
    profile: Profile,
    packer_tokens: &'a Tokens,
    atoms: &'a Atoms,
    events: &'a [Bytes],
) -> Vec<Part<'a>> {
    let lite = profile.dialect == Dialect::SenteLite;
    let mut parts = Vec::with_capacity(events.len() * 2 + 8);
    parts.push(Part::Slice(atoms.pair.open()));
    if lite {
        parts.push(Part::Slice(&atoms.batch_id));
        parts.push(Part::Slice(atoms.pair.separator()));
    }
    parts.push(Part::Slice(packer_tokens.open()));
    for (index, event) in events.iter().enumerate() {
        if index > 0 {
            parts.push(Part::Slice(packer_tokens.separator()));
        }
        parts.push(Part::Shared(event));
    }
    parts.push(Part::Slice(packer_tokens.close()));
    if !lite {
        parts.push(Part::Slice(atoms.pair.separator()));
        parts.push(Part::Slice(&atoms.nil));
    }
    parts.push(Part::Slice(atoms.pair.close()));
    parts
}

/// The bytes a batch of `count` events needs beyond the events themselves.
pub(super) fn batch_overhead(
    profile: Profile,
    packer: &dyn Packer,
    atoms: &Atoms,
    count: usize,
) -> usize {
    let other_slot = match profile.dialect {
        Dialect::Sente => &atoms.nil,
        Dialect::SenteLite => &atoms.batch_id,
    };
    let tokens = packer.sequence(count);
    let separators = tokens
        .separator()
        .len()
        .saturating_mul(count.saturating_sub(1));
    tokens.open().len()
        + tokens.close().len()
        + atoms.pair.open().len()
        + atoms.pair.separator().len()
        + atoms.pair.close().len()
        + other_slot.len()
        + separators
}

/// The frame of a keepalive ping. `callback` is the packed id a Sente server answers to.
pub(super) fn ping<'a>(
    profile: Profile,
    atoms: &'a Atoms,
    callback: Option<&'a [u8]>,
) -> Parts<'a> {
    let mut parts = Parts::new();
    match (profile.dialect, profile.role) {
        (Dialect::SenteLite, _) => parts.push(Part::Slice(&atoms.ping_event)),
        (Dialect::Sente, Role::Server) => pair(atoms, &atoms.ping, &atoms.nil, &mut parts),
        (Dialect::Sente, Role::Client) => pair(
            atoms,
            &atoms.ping_event,
            callback.unwrap_or(&atoms.nil),
            &mut parts,
        ),
    }
    parts
}

/// The frame that answers a ping, if this dialect answers it.
pub(super) fn pong<'a>(
    profile: Profile,
    atoms: &'a Atoms,
    callback: Option<&'a [u8]>,
) -> Option<Parts<'a>> {
    let mut parts = Parts::new();
    let positional = profile.positional_replies();
    match (profile.dialect, profile.role, positional, callback) {
        (Dialect::SenteLite, ..) => parts.push(Part::Slice(&atoms.pong_event)),
        (Dialect::Sente, Role::Server, true, Some(callback)) => {
            pair(atoms, &atoms.pong, callback, &mut parts);
        }
        // Sente's server answers only pings that carry a callback id.
        (Dialect::Sente, Role::Server, true, None) => return None,
        (Dialect::Sente, ..) => pair(atoms, &atoms.pong_event, &atoms.nil, &mut parts),
    }
    Some(parts)
}

fn pair<'a>(atoms: &'a Atoms, first: &'a Bytes, second: &'a [u8], parts: &mut Parts<'a>) {
    parts.push(Part::Slice(atoms.pair.open()));
    parts.push(Part::Shared(first));
    parts.push(Part::Slice(atoms.pair.separator()));
    parts.push(Part::Slice(second));
    parts.push(Part::Slice(atoms.pair.close()));
}

/// `[:chsk/reply {:cb-uuid callback, :data packed}]`
fn reply_event<'a>(atoms: &'a Atoms, callback: &'a [u8], packed: &'a Bytes, parts: &mut Parts<'a>) {
    parts.push(Part::Slice(&atoms.reply.open));
    parts.push(Part::Slice(callback));
    parts.push(Part::Slice(&atoms.reply.middle));
    parts.push(Part::Shared(packed));
    parts.push(Part::Slice(&atoms.reply.close));
}
