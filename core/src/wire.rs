//! The grammar of both dialects, reading side: what a frame means.
//!
//! Facts: Sente 1.22.0-RC1 (`sente.cljc`, `unpack`, `on-message`) and sente-lite 2.x
//! (`wire_format.cljc`), as observed on the wire.

use alloc::string::String;
use alloc::vec::Vec;

use smol_str::SmolStr;

use crate::error::BadReason;
use crate::event::EventId;
use crate::limits::Limits;
use crate::packer::{Cursor, Packer, Shape, Span, UnpackError};
use crate::profile::{Dialect, Profile, Role};

/// One thing a frame says. A batch says several.
#[derive(Debug)]
pub(crate) enum Packet {
    Bad {
        reason: BadReason,
        callback: Option<Span>,
    },
    Event {
        id: EventId,
        data: Option<Span>,
        callback: Option<Span>,
    },
    Handshake(Handshake),
    Hello(Option<Span>),
    /// A reserved id that is harmless where it came from: counted, not delivered.
    Ignored,
    Ping {
        callback: Option<Span>,
    },
    Pong,
    Reply {
        callback: Span,
        data: Option<Span>,
    },
    /// `[:chsk/reply {:cb-uuid .. :data ..}]`, the map not yet taken apart.
    ReplyMap(Span),
}

/// The slots of a handshake, and which dialect's envelope it came in.
#[derive(Debug)]
pub(crate) struct Handshake {
    pub(crate) uid: Option<Span>,
    pub(crate) csrf_token: Option<Span>,
    pub(crate) data: Option<Span>,
    pub(crate) dialect: Dialect,
}

/// Reads `frame` by the grammar of `profile` and appends what it says to `packets`.
///
/// # Errors
/// The packer's, if the frame is unreadable anywhere: then it says nothing at all, as in Sente.
pub(crate) fn read(
    profile: Profile,
    packer: &dyn Packer,
    limits: &Limits,
    frame: &[u8],
    packets: &mut Vec<Packet>,
) -> Result<(), UnpackError> {
    if let Some(reason) = old_format(frame) {
        packets.push(bad(reason));
        return Ok(());
    }
    let mut batch = None;
    packer.walk(
        frame,
        limits,
        &mut |cursor| match (profile.dialect, profile.stream, profile.role) {
            (Dialect::SenteLite, _, _) => lite(profile, cursor, packets),
            (Dialect::Sente, true, _) => sente_stream(profile, cursor, packets),
            (Dialect::Sente, false, Role::Server) => sente_request(profile, cursor, packets),
            (Dialect::Sente, false, Role::Client) => sente_push(cursor, &mut batch, packets),
        },
    )?;
    // A push is known to be one only when its second slot has been seen, so its events are read
    // in a second pass over the slice that the first one proved readable.
    if let Some(span) = batch
        && let Some(slice) = frame.get(span.start..span.end)
    {
        let from = packets.len();
        packer.walk(slice, limits, &mut |cursor| {
            if is_sequence(cursor.peek()?) {
                sente_first_slot(profile, cursor, packets)
            } else {
                not_an_envelope("a batch of events", cursor, packets)
            }
        })?;
        for packet in packets.iter_mut().skip(from) {
            packet.shift(span.start);
        }
    }
    Ok(())
}

impl Packet {
    /// Moves every span by `offset`, from a slice to the frame it is a slice of.
    fn shift(&mut self, offset: usize) {
        let shift = |span: &mut Option<Span>| {
            if let Some(span) = span {
                span.start += offset;
                span.end += offset;
            }
        };
        match self {
            Self::Bad { callback, .. } | Self::Ping { callback } => shift(callback),
            Self::Event { data, callback, .. } => {
                shift(data);
                shift(callback);
            }
            Self::Handshake(handshake) => {
                shift(&mut handshake.uid);
                shift(&mut handshake.csrf_token);
                shift(&mut handshake.data);
            }
            Self::Hello(data) => shift(data),
            Self::Reply { callback, data } => {
                callback.start += offset;
                callback.end += offset;
                shift(data);
            }
            Self::ReplyMap(map) => {
                map.start += offset;
                map.end += offset;
            }
            Self::Ignored | Self::Pong => {}
        }
    }
}

/// Formats that are not read any more but deserve to be named.
fn old_format(frame: &[u8]) -> Option<BadReason> {
    match frame {
        [b'{', ..] => Some(BadReason::V1Map),
        [prefix @ (b'+' | b'-'), b'[' | b'"' | b'{' | b':', ..] => {
            Some(BadReason::OldPrefix(char::from(*prefix)))
        }
        _ => None,
    }
}

/// A Sente client's message: `[event callback-id?]`.
fn sente_request(
    profile: Profile,
    cursor: &mut dyn Cursor,
    packets: &mut Vec<Packet>,
) -> Result<(), UnpackError> {
    if !is_sequence(cursor.peek()?) {
        return not_an_envelope("[event callback-id]", cursor, packets);
    }
    cursor.enter()?;
    let event = read_event(cursor)?;
    let callback = read_callback(cursor)?;
    cursor.leave()?;
    packets.push(event.into_packet(profile, callback));
    Ok(())
}

/// A Sente server's message: `[handshake nil]`, `[:chsk/ws-ping nil]`, `[reply callback-id]` or
/// `[[event ..] nil]`, the last left to the caller in `batch`.
fn sente_push(
    cursor: &mut dyn Cursor,
    batch: &mut Option<Span>,
    packets: &mut Vec<Packet>,
) -> Result<(), UnpackError> {
    if !is_sequence(cursor.peek()?) {
        return not_an_envelope("[payload callback-id]", cursor, packets);
    }
    cursor.enter()?;
    if cursor.peek()? == Some(Shape::Keyword) {
        // A ping is a ping even with a callback id, as Sente's client takes it; any other keyword
        // can only be a reply.
        let (id, span) = cursor.keyword_span()?;
        let callback = read_callback(cursor)?;
        cursor.leave()?;
        packets.push(match (id == "chsk/ws-ping", callback) {
            (true, _) => Packet::Ping { callback: None },
            (false, _) if id == "chsk/handshake" => bad(BadReason::NotAnEnvelope {
                expected: "[payload callback-id]",
                got: "a bare handshake: is the peer speaking sente-lite's dialect?",
            }),
            (false, Some(callback)) => Packet::Reply {
                callback,
                data: Some(span),
            },
            (false, None) => bad(BadReason::NotAnEnvelope {
                expected: "a batch of events",
                got: "a keyword",
            }),
        });
        return Ok(());
    }
    let payload = match cursor.peek()? {
        Some(_) => Some(cursor.skip()?),
        None => None,
    };
    let callback = read_callback(cursor)?;
    cursor.leave()?;
    match (payload, callback) {
        (Some(span), None) if span.shape == Shape::Vector => {
            *batch = Some(span);
        }
        (data, Some(callback)) => packets.push(Packet::Reply { callback, data }),
        (payload, None) => packets.push(bad(BadReason::NotAnEnvelope {
            expected: "a batch of events",
            got: payload.map_or("nothing", |span| shape_name(span.shape)),
        })),
    }
    Ok(())
}

/// Sente's envelope on a byte stream, where both sides may call: `[event callback-id?]` or
/// `[[event ..] nil]`.
fn sente_stream(
    profile: Profile,
    cursor: &mut dyn Cursor,
    packets: &mut Vec<Packet>,
) -> Result<(), UnpackError> {
    if !is_sequence(cursor.peek()?) {
        return not_an_envelope("[event callback-id]", cursor, packets);
    }
    cursor.enter()?;
    let from = packets.len();
    match cursor.peek()? {
        shape if is_sequence(shape) => sente_first_slot(profile, cursor, packets)?,
        Some(Shape::Keyword) => {
            // A server's ping is a bare keyword in Sente's envelope.
            let id = cursor.keyword()?;
            // Everybody begins as a sente-lite peer: a hello, and the handshake of a peer that
            // speaks sente-lite, come without the envelope.
            if id == "chsk/handshake" || (id == "sente-lite/hello" && profile.role == Role::Server)
            {
                let event = read_slots(id, cursor)?;
                cursor.leave()?;
                packets.push(event.into_packet_from(profile, Dialect::SenteLite, None));
                return Ok(());
            }
            packets.push(match id.as_str() {
                "chsk/ws-ping" => Packet::Ping { callback: None },
                _ => bad(BadReason::NotAnEnvelope {
                    expected: "[event callback-id]",
                    got: "a bare event",
                }),
            });
        }
        _ => packets.push(read_event(cursor)?.into_packet(profile, None)),
    }
    let callback = read_callback(cursor)?;
    cursor.leave()?;
    if let (
        Some(span),
        [
            Packet::Event { callback, .. }
            | Packet::Bad { callback, .. }
            | Packet::Ping { callback },
        ],
    ) = (callback, packets.get_mut(from..).unwrap_or_default())
    {
        *callback = Some(span);
    }
    Ok(())
}

/// The first slot of a Sente server's envelope: one event or handshake, or a batch of events.
fn sente_first_slot(
    profile: Profile,
    cursor: &mut dyn Cursor,
    packets: &mut Vec<Packet>,
) -> Result<(), UnpackError> {
    cursor.enter()?;
    if cursor.peek()? == Some(Shape::Keyword) {
        let event = read_event_inside(cursor)?;
        // Over WebSocket a lone event is no push: only a handshake stands outside a batch.
        packets.push(match event {
            Form::Event { ref id, .. } if !profile.stream && *id != "chsk/handshake" => {
                bad(BadReason::NotAnEnvelope {
                    expected: "a batch of events",
                    got: "a single event",
                })
            }
            event => event.into_packet_from(profile, Dialect::Sente, None),
        });
    } else {
        while cursor.peek()?.is_some() {
            let packet = match read_event(cursor)? {
                // Nothing of the protocol's own belongs into a batch.
                Form::Event { id, .. } | Form::Handshake { id, .. }
                    if !profile.stream && id.starts_with("chsk/") =>
                {
                    bad(BadReason::Reserved(named(&id)))
                }
                event => event.into_packet_from(profile, Dialect::Sente, None),
            };
            packets.push(packet);
        }
    }
    cursor.leave()
}

/// sente-lite's message: `[id data?]`, or with a callback id `[[id data?] callback-id]`.
fn lite(
    profile: Profile,
    cursor: &mut dyn Cursor,
    packets: &mut Vec<Packet>,
) -> Result<(), UnpackError> {
    if cursor.peek()? != Some(Shape::Vector) {
        return not_an_envelope("[event-id data]", cursor, packets);
    }
    cursor.enter()?;
    match cursor.peek()? {
        Some(Shape::Vector) => {
            let event = read_event(cursor)?;
            let callback = match cursor.peek()? {
                Some(_) => Some(cursor.skip()?),
                None => None,
            };
            cursor.leave()?;
            let is_call = callback.is_some_and(|span| span.shape == Shape::String);
            // The one Sente frame a sente-lite peer may see: the handshake its hello asked for.
            let is_answer = profile.stream && matches!(event, Form::Handshake { .. });
            packets.push(if is_call || is_answer {
                let callback = callback.filter(|_| is_call);
                event.into_packet_from(profile, Dialect::Sente, callback)
            } else {
                bad(BadReason::NotAnEnvelope {
                    expected: "[event-id data] or [[event-id data] \"callback-id\"]",
                    got: "another nested vector: is the peer speaking Sente's dialect?",
                })
            });
        }
        Some(Shape::Keyword) => {
            let id = cursor.keyword()?;
            match id.as_str() {
                "chsk/recv" if profile.role == Role::Client => {
                    // A push in the server's optional wrapper.
                    let event = read_event(cursor)?;
                    cursor.leave()?;
                    packets.push(event.into_packet(profile, None));
                }
                "batch/events" => {
                    if is_sequence(cursor.peek()?) {
                        cursor.enter()?;
                        while cursor.peek()?.is_some() {
                            let event = read_event(cursor)?;
                            packets.push(event.into_packet(profile, None));
                        }
                        cursor.leave()?;
                    } else {
                        packets.push(bad(BadReason::NotAnEvent("a batch that is no vector")));
                    }
                    cursor.leave()?;
                }
                _ => {
                    let mut event = read_slots(id, cursor)?;
                    cursor.leave()?;
                    // Elements behind the data are ignored, as sente-lite does.
                    if let Form::Event { extra, .. } = &mut event {
                        *extra = false;
                    }
                    packets.push(event.into_packet(profile, None));
                }
            }
        }
        _ => {
            cursor.leave()?;
            packets.push(bad(BadReason::IdNotAKeyword));
        }
    }
    Ok(())
}

/// An event as it stands, before anybody asked whether it may stand there.
enum Form {
    Bad(BadReason),
    Event {
        id: SmolStr,
        data: Option<Span>,
        extra: bool,
    },
    Handshake {
        id: SmolStr,
        slots: [Option<Span>; 3],
    },
}

impl Form {
    fn into_packet(self, profile: Profile, callback: Option<Span>) -> Packet {
        self.into_packet_from(profile, profile.dialect, callback)
    }

    /// What the event means on this link. `dialect` is that of the envelope it stood in.
    fn into_packet_from(
        self,
        profile: Profile,
        dialect: Dialect,
        callback: Option<Span>,
    ) -> Packet {
        match self {
            Self::Bad(reason) => Packet::Bad { reason, callback },
            Self::Handshake {
                slots: [uid, csrf_token, data],
                ..
            } => {
                if profile.role == Role::Client {
                    Packet::Handshake(Handshake {
                        uid,
                        csrf_token,
                        data,
                        dialect,
                    })
                } else if profile.stream {
                    // A bare script may well echo what it was sent.
                    Packet::Ignored
                } else {
                    Packet::Bad {
                        reason: BadReason::Reserved(String::from("chsk/handshake")),
                        callback,
                    }
                }
            }
            Self::Event { id, data, extra } => {
                if extra {
                    return Packet::Bad {
                        reason: BadReason::TooLong,
                        callback,
                    };
                }
                // Sente's server takes exactly `[:chsk/ws-ping]` for a ping.
                let is_ping = data.is_none() || profile.dialect == Dialect::SenteLite;
                match id.as_str() {
                    "chsk/ws-ping" if is_ping => Packet::Ping { callback },
                    "chsk/ws-pong" => Packet::Pong,
                    "chsk/reply" if !profile.positional_replies() => match data {
                        Some(map) if map.shape == Shape::Map => Packet::ReplyMap(map),
                        _ => bad(BadReason::NotAnEvent("a reply without its map")),
                    },
                    "sente-lite/hello" if profile.role == Role::Server && profile.stream => {
                        Packet::Hello(data)
                    }
                    reserved if reserved.starts_with("chsk/") => {
                        // A bare script may echo what it hears, but it never makes a call of it.
                        let echoed = profile.stream && profile.role == Role::Server;
                        if echoed && callback.is_none() {
                            Packet::Ignored
                        } else {
                            Packet::Bad {
                                reason: BadReason::Reserved(named(reserved)),
                                callback,
                            }
                        }
                    }
                    _ => match EventId::from_wire(&id) {
                        Some(id) => Packet::Event { id, data, callback },
                        None => Packet::Bad {
                            reason: BadReason::NoNamespace(named(&id)),
                            callback,
                        },
                    },
                }
            }
        }
    }
}

/// Reads the next form as an event.
fn read_event(cursor: &mut dyn Cursor) -> Result<Form, UnpackError> {
    match cursor.peek()? {
        None => Ok(Form::Bad(BadReason::NotAnEvent("nothing"))),
        Some(Shape::Vector) => {
            cursor.enter()?;
            let event = read_event_inside(cursor)?;
            cursor.leave()?;
            Ok(event)
        }
        Some(shape) => {
            cursor.skip()?;
            Ok(Form::Bad(BadReason::NotAnEvent(shape_name(shape))))
        }
    }
}

/// Reads an event whose vector has been entered.
fn read_event_inside(cursor: &mut dyn Cursor) -> Result<Form, UnpackError> {
    match cursor.peek()? {
        None => Ok(Form::Bad(BadReason::NotAnEvent("an empty vector"))),
        Some(Shape::Keyword) => {
            let id = cursor.keyword()?;
            read_slots(id, cursor)
        }
        Some(_) => Ok(Form::Bad(BadReason::IdNotAKeyword)),
    }
}

/// Reads what follows the id of an event whose vector has been entered.
fn read_slots(id: SmolStr, cursor: &mut dyn Cursor) -> Result<Form, UnpackError> {
    if id == "chsk/handshake" {
        let mut slots = [None; 3];
        if is_sequence(cursor.peek()?) {
            cursor.enter()?;
            for slot in &mut slots {
                if cursor.peek()?.is_none() {
                    break;
                }
                *slot = Some(cursor.skip()?);
            }
            cursor.leave()?;
        }
        return Ok(Form::Handshake { id, slots });
    }
    let data = match cursor.peek()? {
        Some(_) => Some(cursor.skip()?),
        None => None,
    };
    let extra = data.is_some() && cursor.peek()?.is_some();
    Ok(Form::Event { id, data, extra })
}

/// The second slot of an envelope: nothing, nil and false are no callback id, anything else is one
/// and is given back as it is, as Sente does.
fn read_callback(cursor: &mut dyn Cursor) -> Result<Option<Span>, UnpackError> {
    match cursor.peek()? {
        None => Ok(None),
        Some(_) => cursor.skip().map(|span| span.truthy.then_some(span)),
    }
}

fn not_an_envelope(
    expected: &'static str,
    cursor: &mut dyn Cursor,
    packets: &mut Vec<Packet>,
) -> Result<(), UnpackError> {
    let got = match cursor.peek()? {
        Some(shape) => {
            cursor.skip()?;
            shape_name(shape)
        }
        None => "nothing",
    };
    packets.push(bad(BadReason::NotAnEnvelope { expected, got }));
    Ok(())
}

/// An id as a report names it: a peer may send one of a megabyte.
fn named(id: &str) -> String {
    const MOST: usize = 100;
    id.chars().take(MOST).collect()
}

const fn bad(reason: BadReason) -> Packet {
    Packet::Bad {
        reason,
        callback: None,
    }
}

const fn is_sequence(shape: Option<Shape>) -> bool {
    matches!(shape, Some(Shape::Vector | Shape::List))
}

const fn shape_name(shape: Shape) -> &'static str {
    match shape {
        Shape::Nil => "nil",
        Shape::Bool => "a boolean",
        Shape::Number => "a number",
        Shape::Char => "a character",
        Shape::String => "a string",
        Shape::Keyword => "a keyword",
        Shape::Symbol => "a symbol",
        Shape::List => "a list",
        Shape::Vector => "a vector",
        Shape::Set => "a set",
        Shape::Map => "a map",
        _ => "a tagged value",
    }
}
