//! What travels where the packer seals: frames compressed or encrypted as they leave, each within
//! the frame limit.

use alloc::vec::Vec;

use bytes::Bytes;
use sente_edn::Value;

use crate::error::CloseReason;
use crate::extensions::Extensions;
use crate::framing::websocket::{Part, server_header};
use crate::packed::{PackedEvent, SealedFrames};
use crate::packer::{PackError, Packer};
use crate::profile::{Dialect, Profile, Role};
use crate::queue::{Outgoing, Priority};
use crate::transmit::TransmitBuf;

use super::atoms::Atoms;
use super::config::ConnectionConfig;
use super::enqueue::Refused;
use super::{Connection, envelope, framer};

/// What a scratch buffer may keep between two transmits while there is more to send.
const KEEP: usize = 64 * 1024;

/// A message that no frame has room for.
#[derive(Clone, Copy, Debug)]
pub(super) struct TooLarge {
    pub(super) size: usize,
    pub(super) limit: usize,
}

impl From<TooLarge> for Refused {
    fn from(TooLarge { size, limit }: TooLarge) -> Self {
        Self::TooLarge { size, limit }
    }
}

/// Where messages are joined and sealed. Holds nothing while there is nothing to send.
#[derive(Debug, Default)]
pub(super) struct Sealer {
    plain: Vec<u8>,
    sealed: Vec<u8>,
    /// How many events of a batch fitted a frame when more did not; it doubles with each batch
    /// that fits, so that what does not compress costs three attempts a frame and not one for each
    /// time it is halved.
    most: Option<usize>,
}

impl Sealer {
    /// The sealed frame of the message that `parts` make.
    fn seal(&mut self, parts: &[Part<'_>], packer: &dyn Packer) -> Result<&[u8], PackError> {
        self.plain.clear();
        self.sealed.clear();
        framer::join(parts, &mut self.plain);
        packer.seal(&self.plain, &mut self.sealed)?;
        Ok(&self.sealed)
    }

    /// A frame of `count` events was not too long.
    const fn fitted(&mut self, count: usize) {
        if let Some(most) = self.most
            && most <= count
        {
            self.most = Some(count.saturating_mul(2));
        }
    }

    /// Gives back what is not needed for now.
    fn settle(&mut self) {
        for buffer in [&mut self.plain, &mut self.sealed] {
            buffer.clear();
            buffer.shrink_to(KEEP);
        }
    }
}

impl Connection {
    /// The longest message that may leave, before it is sealed.
    pub(super) fn longest_message(&self) -> usize {
        longest_message(&self.config)
    }

    /// The size of the frame it makes alone. One that is over the frame limit is sealed to see
    /// whether that helps, and what comes out is kept for an event.
    pub(super) fn fits_a_frame(&self, item: &mut Outgoing) -> Result<usize, TooLarge> {
        let config = &*self.config;
        let size = envelope::message_len(self.profile, &config.atoms, item);
        within(size, longest_message(config))?;
        let limit = config.limits.max_frame_bytes;
        if size.saturating_add(overhead(config)) <= limit {
            return Ok(size);
        }
        if let Some(frame) = self.sealed_alone(item) {
            return within(frame.len(), limit);
        }
        let mut sealer = Sealer::default();
        let parts = envelope::message(self.profile, &config.atoms, item);
        let Ok(frame) = sealer.seal(&parts, &*config.packer) else {
            return Err(TooLarge { size, limit });
        };
        let size = within(frame.len(), limit)?;
        if let Outgoing::Event {
            callback: None,
            sealed,
            ..
        } = item
        {
            let Profile { role, dialect, .. } = self.profile;
            let frame = Bytes::copy_from_slice(&sealer.sealed);
            sealed.insert(role, dialect, config.packer.clone(), frame);
        }
        Ok(size)
    }

    /// A frame of the protocol's own as it travels. `None` if it cannot be sealed, and then the
    /// connection has ended.
    pub(super) fn sealed_control(&mut self, frame: Bytes) -> Option<Bytes> {
        if !self.config.seals {
            return Some(frame);
        }
        let mut sealed = Vec::new();
        match self.config.packer.seal(&frame, &mut sealed) {
            Ok(()) => Some(Bytes::from(sealed)),
            Err(error) => {
                self.abort(CloseReason::Unsealed(error));
                None
            }
        }
    }

    /// Writes the next frame of a lane, sealed: of a batch as many events as fit a frame. Whether
    /// there was one.
    pub(super) fn write_next_sealed(&mut self, priority: Priority, out: &mut TransmitBuf) -> bool {
        let mut sealer = core::mem::take(&mut self.sealer);
        let taken = self.write_from(priority, sealer.make(), out);
        self.sealer = sealer;
        match taken {
            Ok(count) => {
                for _ in 0..count {
                    self.queue.pop(priority);
                }
                count > 0
            }
            Err(error) => {
                // What could not be sealed is still queued, and comes back with the rest.
                self.abort(CloseReason::Unsealed(error));
                false
            }
        }
    }

    /// Gives back what sealing does not need for now.
    pub(super) fn settle_sealer(&mut self) {
        if self.queue.is_empty() {
            self.sealer.clear();
        } else if let Some(sealer) = self.sealer.there() {
            sealer.settle();
        }
    }

    /// How many messages of the lane are in the frame that was written.
    fn write_from(
        &mut self,
        priority: Priority,
        sealer: &mut Sealer,
        out: &mut TransmitBuf,
    ) -> Result<usize, PackError> {
        let config = self.config.clone();
        let packer = &*config.packer;
        let limit = config.limits.max_frame_bytes;
        let wanted = self.batch_len(priority);
        let mut count = wanted.min(sealer.most.unwrap_or(wanted));
        self.queue.frame_begins(priority);
        while count > 1 {
            let events: Vec<Bytes> = self
                .queue
                .iter(priority)
                .take(count)
                .filter_map(|item| match item {
                    Outgoing::Event { packed, .. } => Some(packed.clone()),
                    Outgoing::Reply { .. } => None,
                })
                .collect();
            let tokens = packer.sequence(events.len());
            let parts = envelope::batch(self.profile, &tokens, &config.atoms, &events);
            let frame = sealer.seal(&parts, packer)?;
            if frame.len() <= limit {
                self.write_frame(&[Part::Slice(frame)], out);
                sealer.fitted(count);
                return Ok(count);
            }
            count /= 2;
            sealer.most = Some(count);
        }
        let Some(item) = self.queue.iter(priority).next() else {
            return Ok(0);
        };
        sealer.fitted(1);
        if let Some(frame) = self.sealed_alone(item).cloned() {
            self.write_frame(&[Part::Shared(&frame)], out);
            return Ok(1);
        }
        let parts = envelope::message(self.profile, &config.atoms, item);
        let frame = sealer.seal(&parts, packer)?;
        self.write_frame(&[Part::Slice(frame)], out);
        Ok(1)
    }

    fn write_frame(&mut self, parts: &[Part<'_>], out: &mut TransmitBuf) {
        if self.framer.write(self.config.packer.kind(), parts, out) {
            self.stats.frames_sent += 1;
        }
    }

    /// The frame in which an event leaves alone, if it has been sealed already.
    fn sealed_alone<'a>(&self, item: &'a Outgoing) -> Option<&'a Bytes> {
        match item {
            Outgoing::Event {
                callback: None,
                sealed,
                ..
            } => sealed.find(self.profile.role, self.profile.dialect, &self.config.packer),
            Outgoing::Event { .. } | Outgoing::Reply { .. } => None,
        }
    }
}

/// Whether `event` can be sent alone on connections of this configuration. What had to be sealed to
/// know that is kept with it.
pub(crate) fn fits_alone(event: &mut PackedEvent, config: &ConnectionConfig) -> bool {
    let limit = config.limits.max_frame_bytes;
    let size = event.bytes.len();
    if size <= limit || !config.seals || size > longest_message(config) {
        return size <= limit;
    }
    let Profile { role, dialect, .. } = config.profile;
    if event.seal_for(role, dialect, &config.packer).is_err() {
        return false;
    }
    let frame = event.sealed.find(role, dialect, &config.packer);
    frame.is_some_and(|frame| frame.len() <= limit)
}

/// The sealed frame in which the packed event leaves alone.
pub(crate) fn seal_alone(
    packed: &Bytes,
    role: Role,
    dialect: Dialect,
    packer: &dyn Packer,
) -> Result<Bytes, PackError> {
    let profile = Profile {
        role,
        dialect,
        // The envelope of an event that is no call depends on neither.
        stream: false,
        extensions: Extensions::NONE,
    };
    let unfit = || PackError::new(packer.name(), "the protocol's own keywords and strings");
    let atoms = Atoms::new(packer).ok_or_else(unfit)?;
    let item = Outgoing::Event {
        packed: packed.clone(),
        callback: None,
        sealed: SealedFrames::default(),
        portable: None,
    };
    let mut sealer = Sealer::default();
    sealer.seal(&envelope::message(profile, &atoms, &item), packer)?;
    Ok(Bytes::from(sealer.sealed))
}

/// The frame in which the packed event leaves alone on a WebSocket of a server whose packer seals
/// nothing. `None` if the packer cannot express nil, with which it has no connections.
pub(crate) fn frame_alone(packed: &Bytes, dialect: Dialect, packer: &dyn Packer) -> Option<Bytes> {
    let mut nil = Vec::new();
    packer.pack(&Value::Nil, &mut nil).ok()?;
    let (single, pair) = (packer.sequence(1), packer.sequence(2));
    let enveloped: [&[u8]; 7] = match dialect {
        Dialect::SenteLite => [&[], &[], packed, &[], &[], &[], &[]],
        Dialect::Sente => [
            pair.open(),
            single.open(),
            packed,
            single.close(),
            pair.separator(),
            &nil,
            pair.close(),
        ],
    };
    let header = server_header(packer.kind(), enveloped.iter().map(|part| part.len()).sum());
    Some(Bytes::from(
        [header.as_slice(), &enveloped.concat()].concat(),
    ))
}

/// The longest message that may leave, before it is sealed: what seals may make it shorter, but the
/// peer has to open it again.
fn longest_message(config: &ConnectionConfig) -> usize {
    let limits = &config.limits;
    if config.seals {
        limits.max_opened_bytes
    } else {
        limits.max_frame_bytes
    }
}

/// The most bytes that sealing adds.
fn overhead(config: &ConnectionConfig) -> usize {
    if config.seals {
        config.packer.seal_overhead()
    } else {
        0
    }
}

const fn within(size: usize, limit: usize) -> Result<usize, TooLarge> {
    if size > limit {
        return Err(TooLarge { size, limit });
    }
    Ok(size)
}
