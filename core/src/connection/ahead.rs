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

use super::envelope::Around;
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
        if let Some([separator, callback, close]) = behind {
            text.reserve(
                separator
                    .len()
                    .saturating_add(callback.len())
                    .saturating_add(SPARE),
            );
            text.extend_from_slice(separator);
            second.start = text.len();
            text.extend_from_slice(callback);
            second.end = text.len();
            text.extend_from_slice(close);
        }
        let size = text.len().saturating_sub(start).saturating_sub(room);
        let callback_len = callback.map_or(0, <[u8]>::len);
        let len = end.saturating_sub(from).saturating_add(callback_len);
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
        let second = if callback.is_some() { second } else { 0..0 };
        let moved = |piece: Range<usize>| {
            piece.start.saturating_sub(moved)..piece.end.saturating_sub(moved)
        };
        let message = Framed::event(moved(from..end), moved(second));
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
        let (Some((around, callback_first)), Some(room)) = (around, self.room_ahead()) else {
            return false;
        };
        let [open, middle, close] = around;
        let (first, second) = if callback_first {
            (callback, packed)
        } else {
            (packed, callback)
        };
        let size = open
            .len()
            .saturating_add(middle.len())
            .saturating_add(close.len())
            .saturating_add(callback.len())
            .saturating_add(packed.len());
        if size >= TransmitBuf::SHARE_FROM || size > config.limits.max_frame_bytes {
            return false;
        }
        let text = self.scratch.begin();
        let start = text.len();
        text.reserve(size.saturating_add(SPARE));
        make_room(room, text);
        let first_at = text.len().saturating_add(open.len());
        if callback_first && let Ok(callback) = <&[u8; 8]>::try_from(callback) {
            // As long as ours are: one piece, in which it is put in its place.
            text.extend_from_slice(&config.atoms.reply.around_eight);
            let place = text.get_mut(first_at..).and_then(<[u8]>::first_chunk_mut);
            if let Some(place) = place {
                *place = *callback;
            }
        } else {
            for part in [open, first, middle] {
                text.extend_from_slice(part);
            }
        }
        let second_at = text.len();
        text.extend_from_slice(second);
        text.extend_from_slice(close);
        let moved = self.framer.frame(config.kind, start, text);
        self.scratch.keep();
        let place = |at: usize, piece: &[u8]| {
            let at = at.saturating_sub(moved);
            at..at.saturating_add(piece.len())
        };
        let (first, second) = (place(first_at, first), place(second_at, second));
        let (callback, packed) = if callback_first {
            (first, second)
        } else {
            (second, first)
        };
        self.warn_if_large(size);
        self.queue.push_ahead(Framed::reply(packed, callback));
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
