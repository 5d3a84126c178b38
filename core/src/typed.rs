//! Payloads and events as Rust types, by way of serde, without a [`Value`] between where that can
//! be.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;
#[cfg(feature = "json")]
use memchr::memchr2;
use sente_edn::serde::Options;
use sente_edn::{Dialect, Limits as EdnLimits, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;
use smol_str::SmolStr;
use thiserror::Error;

use crate::connection::ConnectionConfig;
use crate::event::{EventId, PackedPayload, Payload};
use crate::limits::Limits;
use crate::packed::PackedEvent;
use crate::packer::{Format, Known, PackError, Packer, Tokens, UnpackError};
use crate::room::Room;

/// Why a payload is not of the type that was asked for, or a Rust value cannot be packed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct TypedError {
    /// The packer's name; `edn`, whose types values have, for a payload that was never packed.
    pub packer: SmolStr,
    /// Which byte of the packed payload it is about, where that is known: of EDN the start of what
    /// is wrong, of JSON the last byte that was looked at.
    pub offset: Option<usize>,
    /// What is wrong and, where it is known, where. Of EDN it names the keys that lead there.
    pub message: String,
}

impl TypedError {
    fn new(packer: &str, offset: Option<usize>, message: impl ToString) -> Self {
        Self {
            packer: SmolStr::new(packer),
            offset,
            message: message.to_string(),
        }
    }

    fn from_edn(packer: &str, error: &sente_edn::serde::Error) -> Self {
        Self::new(packer, error.offset(), error)
    }

    pub(crate) fn from_pack(error: PackError) -> Self {
        Self {
            packer: error.packer.clone(),
            offset: None,
            message: error.to_string(),
        }
    }

    fn from_unpack(packer: &str, error: &UnpackError) -> Self {
        let offset = match error {
            UnpackError::Edn(error) => Some(error.offset()),
            UnpackError::OverLimit { offset, .. } | UnpackError::Other { offset, .. } => {
                Some(*offset)
            }
            UnpackError::WrongKind { .. } => None,
        };
        Self::new(packer, offset, error)
    }

    /// serde_json says where in lines and columns.
    #[cfg(feature = "json")]
    fn from_json(packer: &str, text: &[u8], error: &serde_json::Error) -> Self {
        let mut message = error.to_string();
        if error.line() == 0 {
            return Self::new(packer, None, message);
        }
        let lines_before = error.line().saturating_sub(1);
        let line_start = match lines_before.checked_sub(1) {
            Some(nth) => memchr::memchr_iter(b'\n', text)
                .nth(nth)
                .map_or(text.len(), |at| at.saturating_add(1)),
            None => 0,
        };
        let offset = line_start.saturating_add(error.column().saturating_sub(1));
        let place = alloc::format!(" at line {} column {}", error.line(), error.column());
        if let Some(what) = message.strip_suffix(&place) {
            message = alloc::format!("{what} at byte {offset}");
        }
        Self::new(packer, Some(offset), message)
    }
}

/// Needs the feature `serde`.
impl Payload {
    /// What the payload carries, as a Rust type.
    ///
    /// A packed EDN or JSON payload is read as it is, by `sente_edn::serde` or `serde_json`, and no
    /// value is built; payloads of other formats are unpacked first. `nil` is `()` and `None`.
    /// Types nest at most 128 levels deep: code that serde derives calls itself for each level.
    ///
    /// ```
    /// use sente_core::Payload;
    /// use serde::Deserialize;
    ///
    /// #[derive(Deserialize)]
    /// struct Say {
    ///     text: String,
    ///     to: Vec<String>,
    /// }
    ///
    /// let payload = Payload::from(sente_core::edn::from_str(r#"{:text "hi", :to ["ada"]}"#)?);
    /// let say: Say = payload.deserialize()?;
    /// assert_eq!((say.text.as_str(), say.to.len()), ("hi", 1));
    /// assert!(payload.deserialize::<u8>().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`TypedError`] if it is not what the type takes.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T, TypedError> {
        if let Some(value) = self.as_value() {
            return from_value(value, "edn");
        }
        match self.as_packed() {
            Some(packed) => from_packed(packed),
            None => from_value(&Value::Nil, "edn"),
        }
    }

    /// What `data` is as a value, to be packed when it is sent, by whatever packer that takes. Where
    /// the connection is known, [`typed`](Self::typed) saves the value.
    ///
    /// ```
    /// let payload = sente_core::Payload::from_typed(&("ada", [1, 2]))?;
    /// assert_eq!(payload.to_value()?.to_string(), r#"["ada" [1 2]]"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`TypedError`] if EDN cannot express it, or its `Serialize` fails.
    pub fn from_typed<T: Serialize + ?Sized>(data: &T) -> Result<Self, TypedError> {
        sente_edn::serde::to_value(data)
            .map(Self::from)
            .map_err(|error| TypedError::from_edn("edn", &error))
    }

    /// A payload packed by the packer of `config`, to be sent, called or replied with on its
    /// connections; others can send it as well.
    ///
    /// ```
    /// use sente_core::{Carrier, ConnectionConfig, Dialect, Event, EventId, Payload, Role};
    ///
    /// let config = ConnectionConfig::builder(Role::Client, Dialect::Sente, Carrier::WebSocket)
    ///     .build()?;
    /// let payload = Payload::typed(&("ada", [1, 2]), &config)?;
    /// let event = Event::new(EventId::new("chat/joined")?, payload);
    /// assert_eq!(event.to_value()?.to_string(), r#"[:chat/joined ["ada" [1 2]]]"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`TypedError`] if the format cannot express `data`, or its `Serialize` fails; but for JSON
    /// also if it nests deeper than 128 levels.
    pub fn typed<T: Serialize + ?Sized>(
        data: &T,
        config: &ConnectionConfig,
    ) -> Result<Self, TypedError> {
        let mut packed = config.room.make();
        let packer = (&*config.packer, &config.format);
        pack_onto(data, packer, &config.limits, &mut packed)?;
        config.room.learn(&mut packed);
        Ok(Self::from_packed(PackedPayload {
            bytes: Bytes::from(packed),
            reader: config.reader.clone(),
            line_safe: true,
            portable: None,
        }))
    }
}

/// Needs the feature `serde`.
impl PackedEvent {
    /// Packs the event `[id data]`. EDN and JSON are written from `data` as it is, by
    /// `sente_edn::serde` or `serde_json`; for other formats it becomes a value first.
    ///
    /// ```
    /// use sente_core::packer::Edn;
    /// use sente_core::{EventId, PackedEvent};
    /// use serde::Serialize;
    ///
    /// #[derive(Serialize)]
    /// struct Tick {
    ///     n: u32,
    /// }
    ///
    /// let event = PackedEvent::pack_typed(&EventId::new("clock/tick")?, &Tick { n: 7 }, &Edn)?;
    /// assert_eq!(event.bytes(), "[:clock/tick {:n 7}]");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`TypedError`] if the format cannot express `data`, or its `Serialize` fails; but for JSON
    /// also if it nests deeper than 128 levels.
    pub fn pack_typed<T: Serialize + ?Sized>(
        id: &EventId,
        data: &T,
        packer: &dyn Packer,
    ) -> Result<Self, TypedError> {
        let mut out = Vec::with_capacity(FIRST_ROOM);
        let pair = packer.sequence(2);
        let format = Format::new(packer.format());
        let limits = Limits::default();
        pack_typed_onto(id, data, (packer, &format), &pair, &limits, &mut out)?;
        Ok(Self::of_bytes(Bytes::from(out), format))
    }
}

/// Appends the event `[id data]`, where `pair` stands around the two.
pub(crate) fn pack_typed_onto<T: Serialize + ?Sized>(
    id: &EventId,
    data: &T,
    (packer, format): (&dyn Packer, &Format),
    pair: &Tokens,
    limits: &Limits,
    out: &mut Vec<u8>,
) -> Result<(), TypedError> {
    if format.known() == Known::Edn {
        make_room(out);
        out.extend_from_slice(b"[:");
        out.extend_from_slice(id.as_str().as_bytes());
        out.push(b' ');
        sente_edn::serde::append(data, out)
            .map_err(|error| TypedError::from_edn(packer.name(), &error))?;
        out.push(b']');
        return Ok(());
    }
    out.extend_from_slice(pair.open());
    packer
        .pack(&id.to_value(), out)
        .map_err(TypedError::from_pack)?;
    out.extend_from_slice(pair.separator());
    pack_onto(data, (packer, format), limits, out)?;
    out.extend_from_slice(pair.close());
    Ok(())
}

fn from_packed<T: DeserializeOwned>(packed: &PackedPayload) -> Result<T, TypedError> {
    let name = packed.packer().name();
    match packed.packer().format() {
        "edn" => {
            // The text was taken when it came, so its length is no question; what is new is what
            // the type does with its depth.
            let limits = EdnLimits::default()
                .dialect(Dialect::Either)
                .max_bytes(packed.bytes.len())
                .max_elements(packed.limits().max_elements)
                .max_depth(packed.limits().max_depth.min(Options::DEFAULT_MAX_DEPTH));
            sente_edn::serde::from_slice_with(&packed.bytes, &Options::default().limits(limits))
                .map_err(|error| TypedError::from_edn(name, &error))
        }
        #[cfg(feature = "json")]
        "json" => serde_json::from_slice(&packed.bytes)
            .map_err(|error| TypedError::from_json(name, &packed.bytes, &error)),
        #[cfg(feature = "msgpack")]
        "msgpack" => crate::packer::msgpack::from_value(&packed.bytes)
            .map_err(|error| TypedError::new(name, error.offset(), error)),
        _ => {
            let value = packed
                .packer()
                .unpack(&packed.bytes, packed.limits())
                .map_err(|error| TypedError::from_unpack(name, &error))?;
            from_value(&value, name)
        }
    }
}

fn from_value<T: DeserializeOwned>(value: &Value, packer: &str) -> Result<T, TypedError> {
    sente_edn::serde::from_value(value).map_err(|error| TypedError::from_edn(packer, &error))
}

/// A few short steps of growing are worth skipping.
const FIRST_ROOM: usize = Room::LEAST;

/// Appends `data` as one packed value on one line.
fn pack_onto<T: Serialize + ?Sized>(
    data: &T,
    (packer, format): (&dyn Packer, &Format),
    limits: &Limits,
    out: &mut Vec<u8>,
) -> Result<(), TypedError> {
    let name = packer.name();
    #[cfg(feature = "json")]
    let start = out.len();
    #[cfg(not(feature = "json"))]
    let _ = limits;
    match format.known() {
        Known::Edn => {
            make_room(out);
            // Text that a type holds raw is put on one line there.
            sente_edn::serde::append(data, out).map_err(|error| TypedError::from_edn(name, &error))
        }
        #[cfg(feature = "json")]
        Known::Json => {
            make_room(out);
            write_json(data, out).map_err(|error| TypedError::new(name, None, error))?;
            one_line(packer, limits, start, out)
        }
        #[cfg(feature = "msgpack")]
        Known::MsgPack => {
            make_room(out);
            crate::packer::msgpack::to_writer(out, data)
                .map_err(|error| TypedError::new(name, None, error))
        }
        _ => {
            let value = sente_edn::serde::to_value(data)
                .map_err(|error| TypedError::from_edn(name, &error))?;
            packer.pack(&value, out).map_err(TypedError::from_pack)
        }
    }
}

/// Packs what was appended from `start` on again, if it is not on one line: only text that a type
/// holds raw can have line breaks in it.
#[cfg(feature = "json")]
fn one_line(
    packer: &dyn Packer,
    limits: &Limits,
    start: usize,
    out: &mut Vec<u8>,
) -> Result<(), TypedError> {
    let packed = out.get(start..).unwrap_or_default();
    if memchr2(b'\n', b'\r', packed).is_none() {
        return Ok(());
    }
    let value = packer
        .unpack(packed, limits)
        .map_err(|error| TypedError::from_unpack(packer.name(), &error))?;
    out.truncate(start);
    packer.pack(&value, out).map_err(TypedError::from_pack)
}

/// Appends `more`, or takes its place where there is nothing before it.
#[cfg(all(feature = "json", not(feature = "std")))]
fn append(out: &mut Vec<u8>, more: Vec<u8>) {
    if out.is_empty() {
        *out = more;
    } else {
        // With room for what closes an event.
        out.reserve(more.len().saturating_add(16));
        out.extend_from_slice(&more);
    }
}

fn make_room(out: &mut Vec<u8>) {
    if out.capacity() == 0 {
        *out = Vec::with_capacity(FIRST_ROOM);
    }
}

#[cfg(all(feature = "json", feature = "std"))]
fn write_json<T: Serialize + ?Sized>(data: &T, out: &mut Vec<u8>) -> serde_json::Result<()> {
    serde_json::to_writer(out, data)
}

/// Without `std` there is nothing for `serde_json` to write to but its own.
#[cfg(all(feature = "json", not(feature = "std")))]
fn write_json<T: Serialize + ?Sized>(data: &T, out: &mut Vec<u8>) -> serde_json::Result<()> {
    append(out, serde_json::to_vec(data)?);
    Ok(())
}
