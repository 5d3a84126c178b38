//! An event packed once, to be sent on any number of connections.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;
use sente_edn::Value;

use crate::connection::keyword;
use crate::event::{Event, Payload};
use crate::limits::Limits;
use crate::packer::{Format, PackError, Packer, Shape, identity};
use crate::profile::{Dialect, Role};
use crate::queue::{Hold, Priority};
use crate::trace::Traceparent;

/// A packed `[id data]` and the packer that packed it. Cloning shares the bytes.
#[derive(Clone, Debug)]
pub struct PackedEvent {
    pub(crate) bytes: Bytes,
    pub(crate) format: Format,
    pub(crate) sealed: SealedFrames,
    /// Whether every stock reader takes it, where that is known.
    pub(crate) portable: Option<bool>,
    /// The trace it belongs to, put around it where a link takes that.
    pub(crate) traceparent: Option<Box<Traceparent>>,
    /// As what a lost link had it queued, if not as most are: told to the client that keeps it for
    /// the next link.
    pub(crate) queued_as: Option<Box<(Hold, Priority)>>,
}

impl PackedEvent {
    /// Packs `event`.
    ///
    /// # Errors
    /// [`PackError`] if the packer cannot express its data.
    pub fn pack(event: &Event, packer: &dyn Packer) -> Result<Self, PackError> {
        let mut out = Vec::with_capacity(64);
        pack_event(event, packer, &mut out)?;
        let mut packed = Self::from_parts(out, packer.format());
        packed.traceparent.clone_from(&event.traceparent);
        Ok(packed)
    }

    /// What was packed elsewhere.
    pub(crate) fn from_parts(bytes: Vec<u8>, format: &str) -> Self {
        Self::of_bytes(Bytes::from(bytes), Format::new(format))
    }

    /// The same, of shared bytes.
    pub(crate) fn of_bytes(bytes: Bytes, format: Format) -> Self {
        Self {
            bytes,
            format,
            sealed: SealedFrames::default(),
            portable: None,
            traceparent: None,
            queued_as: None,
        }
    }

    /// Seals the frame in which the event leaves alone on connections of this `role`, `dialect`
    /// and `packer` (the same `Arc`), so that they and the clones of the event share one frame,
    /// compressed once. Where it leaves in a batch that saves nothing. Does nothing for a packer
    /// that [seals](Packer::seals) nothing or has another format, and nothing twice.
    ///
    /// # Errors
    /// [`PackError`] if the packer cannot make the frame.
    pub fn seal_for(
        &mut self,
        role: Role,
        dialect: Dialect,
        packer: &Arc<dyn Packer>,
    ) -> Result<(), PackError> {
        if packer.seals()
            && packer.format() == self.format.as_str()
            && self.sealed.find(role, dialect, packer).is_none()
        {
            let frame = crate::connection::seal_alone(&self.bytes, role, dialect, &**packer)?;
            self.sealed.insert(role, dialect, packer.clone(), frame);
        }
        Ok(())
    }

    /// Makes the frame in which the event leaves alone on the WebSockets of a server that speak this
    /// `dialect` with this `packer` (the same `Arc`) and compress nothing, so that they share it:
    /// a server masks nothing, so all of its bytes are the same for all. Does nothing for a packer
    /// that seals, see [`seal_for`](Self::seal_for), or has another format, and nothing twice.
    pub(crate) fn frame_for(&mut self, dialect: Dialect, packer: &Arc<dyn Packer>) {
        let is_new = self.sealed.find(Role::Server, dialect, packer).is_none();
        if is_new
            && !packer.seals()
            && packer.format() == self.format.as_str()
            && let Some(frame) = crate::connection::frame_alone(&self.bytes, dialect, &**packer)
        {
            self.sealed
                .insert(Role::Server, dialect, packer.clone(), frame);
        }
    }

    /// Finds out whether every stock reader takes it, once for all connections it goes to.
    pub(crate) fn know_portability(&mut self, packer: &dyn Packer) {
        self.portable = Some(self.is_portable(packer));
    }

    /// Whether every stock reader takes it.
    pub(crate) fn is_portable(&self, packer: &dyn Packer) -> bool {
        self.portable
            .unwrap_or_else(|| packer.is_portable(&self.bytes))
    }

    /// The packed bytes, without any envelope.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The [format](Packer::format) of the packed bytes.
    #[must_use]
    pub fn format(&self) -> &str {
        self.format.as_str()
    }
}

/// The frames in which one event stands alone: sealed ones of packers that seal, whole ones of a
/// server's WebSockets of all others. Most events have none, which takes no memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct SealedFrames(Option<Arc<[SealedFrame]>>);

#[derive(Clone, Debug)]
struct SealedFrame {
    role: Role,
    dialect: Dialect,
    /// Not the name: two packers of one name may seal with different keys.
    packer: Arc<dyn Packer>,
    frame: Bytes,
}

impl SealedFrames {
    /// The frame for these connections, if it has been sealed.
    pub(crate) fn find(
        &self,
        role: Role,
        dialect: Dialect,
        packer: &Arc<dyn Packer>,
    ) -> Option<&Bytes> {
        self.0
            .iter()
            .flat_map(|frames| frames.iter())
            .find(|known| {
                known.role == role
                    && known.dialect == dialect
                    && identity(&known.packer) == identity(packer)
            })
            .map(|known| &known.frame)
    }

    /// Keeps a frame; clones made before do not have it.
    pub(crate) fn insert(
        &mut self,
        role: Role,
        dialect: Dialect,
        packer: Arc<dyn Packer>,
        frame: Bytes,
    ) {
        let known = self.0.iter().flat_map(|frames| frames.iter().cloned());
        let new = SealedFrame {
            role,
            dialect,
            packer,
            frame,
        };
        self.0 = Some(known.chain([new]).collect());
    }
}

/// Appends `[:chsk/trace "traceparent" event]`, where `event` appends the packed event.
pub(crate) fn pack_traced(
    traceparent: &Traceparent,
    packer: &dyn Packer,
    out: &mut Vec<u8>,
    event: impl FnOnce(&mut Vec<u8>) -> Result<(), PackError>,
) -> Result<(), PackError> {
    let tokens = packer.sequence(3);
    out.extend_from_slice(tokens.open());
    packer.pack(&keyword(TRACE), out)?;
    out.extend_from_slice(tokens.separator());
    packer.pack(&Value::from(alloc::format!("{traceparent}")), out)?;
    out.extend_from_slice(tokens.separator());
    event(out)?;
    out.extend_from_slice(tokens.close());
    Ok(())
}

/// The reverse of it; `None` for an event that has no trace around it.
pub(crate) fn take_trace(packed: &Bytes, packer: &dyn Packer) -> Option<(Bytes, Traceparent)> {
    let (mut text, mut event) = (None, None);
    let walked = packer.walk(packed, &Limits::default(), &mut |cursor| {
        cursor.enter()?;
        if cursor.peek()? == Some(Shape::Keyword) && cursor.keyword()? == TRACE {
            text = Some(cursor.skip()?);
            event = Some(cursor.skip()?);
        }
        Ok(())
    });
    walked.ok()?;
    let (text, event) = (text?, event?);
    let traceparent = read_traceparent(packed.get(text.start..text.end)?, packer)?;
    (event.end <= packed.len()).then(|| (packed.slice(event.start..event.end), traceparent))
}

/// The packed text, if it is one.
pub(crate) fn read_traceparent(packed: &[u8], packer: &dyn Packer) -> Option<Traceparent> {
    let text = packer.unpack(packed, &Limits::default()).ok()?;
    text.as_str()?.parse().ok()
}

/// The keyword of the wrapper.
pub(crate) const TRACE: &str = "chsk/trace";

/// Appends `event` packed.
pub(crate) fn pack_event(
    event: &Event,
    packer: &dyn Packer,
    out: &mut Vec<u8>,
) -> Result<(), PackError> {
    let slots = if event.data.is_some() { 2 } else { 1 };
    let tokens = packer.sequence(slots);
    out.extend_from_slice(tokens.open());
    packer.pack(&event.id.to_value(), out)?;
    if let Some(data) = &event.data {
        out.extend_from_slice(tokens.separator());
        pack_payload(data, packer, out)?;
    }
    out.extend_from_slice(tokens.close());
    Ok(())
}

/// Appends `payload` packed: a packed one of the same packer as it is, unless a raw line break in
/// it could end a line too early.
pub(crate) fn pack_payload(
    payload: &Payload,
    packer: &dyn Packer,
    out: &mut Vec<u8>,
) -> Result<(), PackError> {
    if let Some(value) = payload.as_value() {
        return packer.pack(value, out);
    }
    if let Some(packed) = payload.as_packed_by(packer) {
        out.extend_from_slice(&packed.bytes);
        return Ok(());
    }
    let value = payload
        .to_value()
        .map_err(|error| PackError::new(packer.name(), alloc::format!("{error}")))?;
    packer.pack(&value, out)
}
