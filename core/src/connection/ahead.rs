//! Frames that are made as soon as their messages are queued: where nothing waits before them, they are
//! written into the text that leaves next, and no message is moved twice.
//!
//! Whatever could still change such a frame, or its place, [takes it back](Connection::take_ahead_back):
//! then it is queued as it would have been without this.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::queue::{Framed, Priority, SendOptions};
use crate::transmit::TransmitBuf;

use super::scratch::Scratch;
use super::{Connection, envelope};

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
        let config = &*self.config;
        let most = Scratch::MOST.min(config.limits.max_transmit_bytes);
        let may_be = self.queue.has_none_but_ahead()
            && self.scratch.text().len() < most
            && !config.seals
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
        pack: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Packed, E> {
        let config = &*self.config;
        let is_simple = options.priority == Priority::Normal && self.is_simple(options);
        let around = envelope::around_event(self.profile, &config.atoms, callback);
        let (Some(around), Some(room)) = (around.filter(|_| is_simple), self.room_ahead()) else {
            return self.scratch.packed(pack).map(Packed::Alone);
        };
        let (before, behind) = around;
        let [separator, ..] = behind;
        let (kind, separator) = (config.kind, separator.len());
        let text = self.scratch.begin();
        let start = text.len();
        text.extend_from_slice(NO_HEADER.get(..room).unwrap_or_default());
        text.extend_from_slice(before);
        let from = text.len();
        if let Err(error) = pack(text) {
            self.scratch.drop_last();
            return Err(error);
        }
        let end = text.len();
        for part in behind {
            text.extend_from_slice(part);
        }
        let size = text.len().saturating_sub(start).saturating_sub(room);
        let callback_len = callback.map_or(0, <[u8]>::len);
        let len = end.saturating_sub(from).saturating_add(callback_len);
        if size >= TransmitBuf::SHARE_FROM || !self.has_simple_room(size, len) {
            let packed = self.scratch.copied(from, end);
            self.scratch.drop_last();
            return Ok(Packed::Alone(packed));
        }
        self.before_push(size);
        let moved = self.framer.frame(kind, start, self.scratch.begun());
        self.scratch.keep();
        let (from, end) = (from.saturating_sub(moved), end.saturating_sub(moved));
        let second = end.saturating_add(separator);
        let second = second..second.saturating_add(callback_len);
        self.queue.push_ahead(Framed::event(from..end, second));
        self.after_push();
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
        let parts = [open, first, middle, second, close];
        let size = parts
            .iter()
            .fold(0, |sum: usize, part| sum.saturating_add(part.len()));
        if size >= TransmitBuf::SHARE_FROM || size > config.limits.max_frame_bytes {
            return false;
        }
        let (kind, opening, between) = (config.kind, open.len(), middle.len());
        let text = self.scratch.begin();
        let start = text.len();
        text.reserve(size.saturating_add(SPARE));
        text.extend_from_slice(NO_HEADER.get(..room).unwrap_or_default());
        for part in parts {
            text.extend_from_slice(part);
        }
        let moved = self.framer.frame(kind, start, text);
        self.scratch.keep();
        let at = start.saturating_add(room).saturating_sub(moved);
        let at = at.saturating_add(opening);
        let first = at..at.saturating_add(first.len());
        let at = first.end.saturating_add(between);
        let second = at..at.saturating_add(second.len());
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
        out.put_slice(self.scratch.text());
        self.scratch.clear();
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

/// Stands where a header will.
const NO_HEADER: [u8; 8] = [0; 8];

/// What a frame has at most before and behind its message.
const SPARE: usize = 8;
