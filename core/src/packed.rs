//! An event packed once, to be sent on any number of connections.

use alloc::vec::Vec;

use bytes::Bytes;
use smol_str::SmolStr;

use crate::event::{Event, Payload};
use crate::packer::{PackError, Packer};

/// A packed `[id data]` and the packer that packed it. Cloning shares the bytes.
#[derive(Clone, Debug)]
pub struct PackedEvent {
    pub(crate) bytes: Bytes,
    pub(crate) format: SmolStr,
}

impl PackedEvent {
    /// Packs `event`.
    ///
    /// # Errors
    /// [`PackError`] if the packer cannot express its data.
    pub fn pack(event: &Event, packer: &dyn Packer) -> Result<Self, PackError> {
        let mut out = Vec::with_capacity(64);
        let slots = if event.data.is_some() { 2 } else { 1 };
        let tokens = packer.sequence(slots);
        out.extend_from_slice(tokens.open());
        packer.pack(&event.id.to_value(), &mut out)?;
        if let Some(data) = &event.data {
            out.extend_from_slice(tokens.separator());
            pack_payload(data, packer, &mut out)?;
        }
        out.extend_from_slice(tokens.close());
        Ok(Self {
            bytes: Bytes::from(out),
            format: SmolStr::new(packer.format()),
        })
    }

    /// The packed bytes, without any envelope.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The [format](Packer::format) of the packed bytes.
    #[must_use]
    pub fn format(&self) -> &str {
        &self.format
    }
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
    if let Some(packed) = payload.as_packed()
        && packed.line_safe
        && packed.packer.format() == packer.format()
    {
        out.extend_from_slice(&packed.bytes);
        return Ok(());
    }
    let value = payload
        .to_value()
        .map_err(|error| PackError::new(packer.name(), alloc::format!("{error}")))?;
    packer.pack(&value, out)
}
