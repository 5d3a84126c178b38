//! sente-lite's frames of channels: which fields came, and what is answered.

use alloc::vec::Vec;

use bytes::Bytes;
use sente_edn::Value;

use crate::connection::keyword;
use crate::event::{PackedPayload, Payload};
use crate::packed::{PackedEvent, pack_payload};
use crate::packer::{PackError, Packer, Span};

/// In a payload smaller than this, nothing is too small to be a slice of it.
const PIN_BELOW: usize = 4096;

/// A value of a map that is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Slot<'a> {
    Keyword(&'a str),
    Map(&'a [(&'a str, Self)]),
    Payload(&'a Payload),
    Value(&'a Value),
}

impl Slot<'_> {
    /// Maps nest as deep as the code that calls this says.
    fn pack(&self, packer: &dyn Packer, out: &mut Vec<u8>) -> Result<(), PackError> {
        match self {
            Self::Keyword(name) => packer.pack(&keyword(name), out),
            Self::Map(entries) => pack_map(entries, packer, out),
            Self::Payload(payload) => pack_payload(payload, packer, out),
            Self::Value(value) => packer.pack(value, out),
        }
    }
}

fn pack_map(
    entries: &[(&str, Slot<'_>)],
    packer: &dyn Packer,
    out: &mut Vec<u8>,
) -> Result<(), PackError> {
    let map = packer.map(entries.len());
    out.extend_from_slice(map.open());
    for (index, (key, value)) in entries.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(map.separator());
        }
        packer.pack(&keyword(key), out)?;
        out.extend_from_slice(map.key_separator());
        value.pack(packer, out)?;
    }
    out.extend_from_slice(map.close());
    Ok(())
}

/// Packs `[id {key value, ..}]`.
pub(super) fn event(
    id: &str,
    entries: &[(&str, Slot<'_>)],
    packer: &dyn Packer,
) -> Result<PackedEvent, PackError> {
    let pair = packer.sequence(2);
    let mut out = Vec::with_capacity(128);
    out.extend_from_slice(pair.open());
    packer.pack(&keyword(id), &mut out)?;
    out.extend_from_slice(pair.separator());
    pack_map(entries, packer, &mut out)?;
    out.extend_from_slice(pair.close());
    Ok(PackedEvent::from_parts(out, packer.format()))
}

/// What stands under these keywords in the map that an event carries; nothing where it carries no
/// map, as Clojure's `get` has it. Nothing is unpacked.
pub(super) fn fields<const N: usize>(
    data: Option<&Payload>,
    names: [&str; N],
) -> [Option<Payload>; N] {
    let mut found = [const { None }; N];
    let mut set = |name: &str, value: &dyn Fn() -> Payload| {
        let places = names.iter().zip(found.iter_mut());
        for (_, place) in places.filter(|(known, _)| **known == name) {
            *place = Some(value());
        }
    };
    let Some(data) = data else { return found };
    if let Some(packed) = data.as_packed() {
        packed
            .packer()
            .entries(&packed.bytes, packed.limits(), &mut |name, span| {
                set(name, &|| part(packed, span));
            });
    } else if let Some(map) = data.as_value().and_then(Value::as_map) {
        for (key, value) in map {
            if let Some(name) = key.as_keyword() {
                set(name.as_str(), &|| Payload::from(value.clone()));
            }
        }
    }
    found
}

/// Whether a field is anything but missing, nil and false.
pub(super) fn is_true(field: Option<&Payload>) -> bool {
    let value = field.and_then(|field| field.to_value().ok());
    !matches!(value, None | Some(Value::Nil | Value::Bool(false)))
}

/// A part of a packed payload, copied where it would keep a large one alive for little.
fn part(whole: &PackedPayload, span: Span) -> Payload {
    let bytes = whole.bytes.get(span.start..span.end).unwrap_or_default();
    let bytes = if whole.bytes.len() < PIN_BELOW || bytes.len() >= whole.bytes.len() / 2 {
        whole.bytes.slice_ref(bytes)
    } else {
        Bytes::copy_from_slice(bytes)
    };
    Payload::from_packed(PackedPayload {
        bytes,
        reader: whole.reader.clone(),
        line_safe: span.line_safe,
        portable: Some(span.portable),
    })
}

/// What stands under `:error`. A guard may give a reason that is no word.
pub(super) fn error_of(word: &str) -> Value {
    Value::keyword(word).unwrap_or_else(|| keyword("not-permitted"))
}
