//! Frames that are made as soon as their messages are queued: where nothing waits before them, they are
//! written into the text that leaves next, and no message is moved twice.
//!
//! Whatever could still change such a frame, or its place, [takes it back](Connection::take_ahead_back):
//! then it is queued as it would have been without this.

use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;

use crate::queue::{Framed, Priority, SendOptions};
use crate::transmit::TransmitBuf;

use super::atoms::{Atoms, ReplyForm};
use super::envelope::{Around, AroundReply};
use super::{Connection, ConnectionConfig, envelope};

/// What became of an event that was packed.
pub(super) enum Packed {
    /// It is queued; its frame has been made.
    Ahead,
    /// It is to be queued.
    Alone(Bytes),
}

impl Connection {
    /// How much room a frame that is made ahead needs before its message, if there may be one.
    #[inline]
    fn room_ahead(&self) -> Option<usize> {
        let may_be = self.queue.has_none_but_ahead()
            && self.scratch.framed() < self.config.most_ahead
            && self.tape.is_none();
        may_be.then(|| self.framer.room_before())?
    }

    /// Packs an event, and frames and queues it right away if it is one of those that are queued
    /// without further ado. It is a call if it has a callback id.
    #[inline]
    pub(super) fn pack_ahead<E>(
        &mut self,
        callback: Option<&[u8]>,
        options: &SendOptions,
        pack: impl FnOnce(&ConnectionConfig, &mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Packed, E> {
        let config = &*self.config;
        let is_simple = options.priority == Priority::Normal && self.is_simple(options);
        let around = envelope::around_event(self.profile, &config.atoms, callback);
        let room = if is_simple { self.room_ahead() } else { None };
        let (Some(around), Some(room)) = (around, room) else {
            let packed = self.scratch.packed(|out| pack(config, out));
            return packed.map(Packed::Alone);
        };
        let Around { before, behind } = around;
        let kind = config.kind;
        let text = self.scratch.begin();
        let start = text.len();
        make_room(room, text);
        if !before.is_empty() {
            text.extend_from_slice(before);
        }
        let from = text.len();
        if let Err(error) = pack(config, text) {
            self.scratch.drop_last();
            return Err(error);
        }
        let end = text.len();
        let mut second = 0..0;
        if let Some(behind) = behind {
            second = append_second(&config.atoms, behind, text);
        }
        let size = text.len().wrapping_sub(start).wrapping_sub(room);
        let callback_len = callback.map_or(0, <[u8]>::len);
        let len = end.wrapping_sub(from).wrapping_add(callback_len);
        let calm = self.is_calm(size, len);
        if size >= TransmitBuf::SHARE_FROM || !(calm || self.has_simple_room(size, len)) {
            let packed = self.scratch.copied(from, end);
            self.scratch.drop_last();
            return Ok(Packed::Alone(packed));
        }
        if calm {
            self.stats.events_queued += 1;
        } else {
            self.before_push(size);
        }
        let moved = self.framer.frame(kind, start, self.scratch.begun());
        self.scratch.keep();
        // What is in the place of a callback id is none.
        let second = if callback.is_some() { second } else { end..end };
        let message = Framed::event(moved_by(moved, from..end), moved_by(moved, second));
        self.queue.push_ahead(message);
        if !calm {
            self.after_push();
        }
        if options.flush {
            self.held_until = None;
        }
        Ok(Packed::Ahead)
    }

    /// Frames and queues a reply right away. Whether that was possible; there is always room for it,
    /// but not in every frame.
    #[inline]
    pub(super) fn reply_ahead(&mut self, callback: &[u8], packed: &[u8]) -> bool {
        let config = &*self.config;
        let around = envelope::around_reply(self.profile, &config.atoms);
        let (Some(around), Some(room)) = (around, self.room_ahead()) else {
            return false;
        };
        let len = callback.len().wrapping_add(packed.len());
        let size = around.len().wrapping_add(len);
        if size >= config.quiet_below.min(TransmitBuf::SHARE_FROM) {
            return false;
        }
        let text = self.scratch.begin();
        let start = text.len();
        text.reserve(size.wrapping_add(SPARE));
        make_room(room, text);
        let (callback, packed) = match around {
            AroundReply::Bare(form) => {
                let place = append_callback(form, callback, text);
                let packed = append(packed, text);
                text.extend_from_slice(&form.close);
                (place, packed)
            }
            AroundReply::Pair(pair) => {
                text.extend_from_slice(pair.open());
                let packed = append(packed, text);
                text.extend_from_slice(pair.separator());
                let callback = append(callback, text);
                text.extend_from_slice(pair.close());
                (callback, packed)
            }
        };
        let moved = self.framer.frame(config.kind, start, text);
        self.scratch.keep();
        let message = Framed::reply(moved_by(moved, packed), moved_by(moved, callback));
        self.queue.push_ahead(message);
        self.after_reply();
        true
    }

    /// Writes the frames that were made already, before all others.
    #[inline]
    pub(super) fn write_ahead(&mut self, limit: usize, out: &mut TransmitBuf) {
        if !self.queue.has_ahead() || !self.framer.takes_messages() {
            return;
        }
        // As many as would be written one by one.
        if out.len().saturating_add(self.queue.last_ahead_start()) >= limit {
            return self.take_ahead_back();
        }
        self.move_ahead(out);
    }

    /// Writes all frames that were made already.
    #[inline]
    pub(super) fn move_ahead(&mut self, out: &mut TransmitBuf) {
        self.scratch.move_to(out);
        let count = self.queue.ahead_left();
        self.stats.frames_sent += count as u64;
    }

    /// Queues what was framed already as it would have been otherwise.
    pub(super) fn take_ahead_back(&mut self) {
        if self.queue.has_ahead() {
            self.queue.take_ahead_back(self.scratch.text());
            self.scratch.clear();
        }
    }
}

/// Appends what stands behind an event. Where its callback id is, or what is in the place of one.
#[inline]
fn append_second(
    atoms: &Atoms,
    [separator, callback, close]: [&[u8]; 3],
    text: &mut Vec<u8>,
) -> Range<usize> {
    if let Ok(callback) = <&[u8; 8]>::try_from(callback) {
        return append_eight(&atoms.behind_eight, separator.len(), callback, text);
    }
    text.extend_from_slice(separator);
    let place = append(callback, text);
    text.extend_from_slice(close);
    place
}

/// Appends the callback id of a reply with what stands around it. Where it is.
#[inline]
fn append_callback(form: &ReplyForm, callback: &[u8], text: &mut Vec<u8>) -> Range<usize> {
    if let Ok(callback) = <&[u8; 8]>::try_from(callback) {
        return append_eight(&form.around_eight, form.open.len(), callback, text);
    }
    text.extend_from_slice(&form.open);
    let place = append(callback, text);
    text.extend_from_slice(&form.middle);
    place
}

/// Appends what stands around a callback id that is as long as ours are, in one piece, and puts it in
/// its place there. Where that is.
#[inline]
fn append_eight(
    around: &[u8],
    before: usize,
    callback: &[u8; 8],
    text: &mut Vec<u8>,
) -> Range<usize> {
    let start = text.len().wrapping_add(before);
    text.extend_from_slice(around);
    let place = text.get_mut(start..).and_then(<[u8]>::first_chunk_mut);
    if let Some(place) = place {
        *place = *callback;
    }
    start..start.wrapping_add(callback.len())
}

/// Appends a piece. Where it is.
#[inline]
fn append(piece: &[u8], text: &mut Vec<u8>) -> Range<usize> {
    let start = text.len();
    text.extend_from_slice(piece);
    start..text.len()
}

/// Where a piece is after it has moved to the front.
#[inline]
const fn moved_by(moved: usize, piece: Range<usize>) -> Range<usize> {
    piece.start.wrapping_sub(moved)..piece.end.wrapping_sub(moved)
}

/// Appends what stands where a header will: none, or fewer than eight bytes.
#[inline]
fn make_room(room: usize, text: &mut Vec<u8>) {
    if room > 0 {
        let end = text.len().saturating_add(room);
        text.extend_from_slice(&[0; 8]);
        text.truncate(end);
    }
}

/// What a frame has at most before and behind its message.
const SPARE: usize = 8;
