//! Packed events for another packer than theirs, or in sente-lite's wrapper.

use alloc::vec::Vec;

use crate::connection::keyword;
use crate::limits::Limits;
use crate::packed::PackedEvent;
use crate::packer::{PackError, Packer};

/// The same event packed by `to`: shared where the format is the same.
pub(super) fn repack(
    event: &PackedEvent,
    from: &dyn Packer,
    to: &dyn Packer,
) -> Result<PackedEvent, PackError> {
    if event.format() == to.format() {
        return Ok(event.clone());
    }
    let value = from
        .unpack(event.bytes(), &Limits::default())
        .map_err(|error| PackError::new(to.name(), alloc::format!("{error}")))?;
    let mut out = Vec::new();
    to.pack(&value, &mut out)?;
    let mut repacked = PackedEvent::from_parts(out, to.format());
    repacked.traceparent.clone_from(&event.traceparent);
    Ok(repacked)
}

/// `[:chsk/recv event]`
pub(super) fn wrap(event: &PackedEvent, packer: &dyn Packer) -> Result<PackedEvent, PackError> {
    let tokens = packer.sequence(2);
    let mut out = Vec::with_capacity(event.bytes().len().saturating_add(16));
    out.extend_from_slice(tokens.open());
    packer.pack(&keyword("chsk/recv"), &mut out)?;
    out.extend_from_slice(tokens.separator());
    out.extend_from_slice(event.bytes());
    out.extend_from_slice(tokens.close());
    let mut wrapped = PackedEvent::from_parts(out, event.format());
    wrapped.portable = event.portable;
    wrapped.traceparent.clone_from(&event.traceparent);
    Ok(wrapped)
}

pub(super) fn bytes_of(events: &[PackedEvent]) -> usize {
    let sizes = events.iter().map(|event| event.bytes().len());
    sizes.fold(0, usize::saturating_add)
}
