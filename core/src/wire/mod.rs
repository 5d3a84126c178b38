//! The grammar of both dialects, reading side: what a frame means.
//!
//! Facts: Sente 1.22.0-RC1 (`sente.cljc`, `unpack`, `on-message`) and sente-lite 2.x
//! (`wire_format.cljc`), as observed on the wire.

mod form;
mod packet;
mod plain;

use crate::error::BadReason;
use crate::limits::Limits;
use crate::packer::{Cursor, Packer, Shape, Span, UnpackError};
use crate::profile::{Dialect, Profile, Role};
use form::{Form, named, read_event, read_event_inside, read_slots};

pub(crate) use packet::{Handshake, Packet, Packets};
pub(crate) use plain::{Known, RecentIds, read_known, read_plainly};

/// Reads `frame` by the grammar of `profile`: what it says, of a batch at first only as much as
/// there is `room` for.
///
/// # Errors
/// The packer's, if the frame is unreadable anywhere: then it says nothing at all, as in Sente.
pub(crate) fn read(
    profile: Profile,
    packer: &dyn Packer,
    limits: &Limits,
    frame: &[u8],
    room: usize,
) -> Result<Packets, UnpackError> {
    let mut packets = Packets::new(profile, frame.len(), room);
    if packer.format() == "edn"
        && let Some(reason) = old_format(frame)
    {
        packets.push(bad(reason));
        return Ok(packets);
    }
    let mut batch = None;
    let positional = profile.positional_replies();
    packer.walk(frame, limits, &mut |cursor| {
        let packets = &mut packets;
        match (profile.dialect, positional, profile.role) {
            (Dialect::SenteLite, ..) => lite(profile, cursor, packets),
            (Dialect::Sente, false, _) => sente_both_ways(profile, cursor, packets),
            (Dialect::Sente, true, Role::Server) => sente_request(profile, cursor, packets),
            (Dialect::Sente, true, Role::Client) => sente_push(cursor, &mut batch, packets),
        }
    })?;
    // A push is known to be one only when its second slot has been seen, so its events are read
    // in a second pass over the slice that the first one proved readable.
    if let Some(span) = batch
        && let Some(slice) = frame.get(span.start..span.end)
    {
        packer.walk(slice, limits, &mut |cursor| {
            if is_sequence(cursor.peek()?) {
                sente_first_slot(profile, cursor, &mut packets)
            } else {
                not_an_envelope("a batch of events", cursor, &mut packets)
            }
        })?;
        packets.shift(span.start);
    }
    Ok(packets)
}

/// Reads an event of a batch that was set aside.
fn read_aside(profile: Profile, packer: &dyn Packer, limits: &Limits, event: &[u8]) -> Packet {
    let mut packet = None;
    let walked = packer.walk(event, limits, &mut |cursor| {
        packet = Some(batched(profile, cursor)?);
        Ok(())
    });
    match (walked, packet) {
        (Ok(()), Some(packet)) => packet,
        // It was proven readable; a packer that sees that differently now is not believed.
        (Ok(()), None) => bad(BadReason::NotAnEvent("nothing")),
        (Err(error), _) => bad(BadReason::Unpack(error)),
    }
}

/// The events of a batch whose vector has been entered.
fn batch(
    profile: Profile,
    cursor: &mut dyn Cursor,
    packets: &mut Packets,
) -> Result<(), UnpackError> {
    while cursor.peek()?.is_some() {
        if packets.takes_more() {
            packets.push(batched(profile, cursor)?);
        } else {
            packets.set_aside(cursor.skip()?);
        }
    }
    Ok(())
}

/// One event of a batch.
fn batched(profile: Profile, cursor: &mut dyn Cursor) -> Result<Packet, UnpackError> {
    Ok(match read_event(cursor)? {
        // Nothing of the protocol's own belongs into a batch of Sente's.
        Form::Event { id, .. } | Form::Handshake { id, .. }
            if profile.dialect == Dialect::Sente && !profile.stream && id.starts_with("chsk/") =>
        {
            bad(BadReason::Reserved(named(&id)))
        }
        event => event.into_packet(profile, None),
    })
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

/// A Sente client's message: `[event callback-id?]`, or `[[event ..] nil]` where that was
/// negotiated.
fn sente_request(
    profile: Profile,
    cursor: &mut dyn Cursor,
    packets: &mut Packets,
) -> Result<(), UnpackError> {
    if !is_sequence(cursor.peek()?) {
        return not_an_envelope("[event callback-id]", cursor, packets);
    }
    cursor.enter()?;
    let event = if profile.extensions.batch && cursor.peek()? == Some(Shape::Vector) {
        cursor.enter()?;
        let event = if is_sequence(cursor.peek()?) {
            batch(profile, cursor, packets)?;
            None
        } else {
            Some(read_event_inside(cursor)?)
        };
        cursor.leave()?;
        event
    } else {
        Some(read_event(cursor)?)
    };
    let callback = read_callback(cursor)?;
    cursor.leave()?;
    if let Some(event) = event {
        packets.push(event.into_packet(profile, callback));
    }
    Ok(())
}

/// A Sente server's message: `[handshake nil]`, `[:chsk/ws-ping nil]`, `[reply callback-id]` or
/// `[[event ..] nil]`, the last left to the caller in `batch`.
fn sente_push(
    cursor: &mut dyn Cursor,
    batch: &mut Option<Span>,
    packets: &mut Packets,
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

/// Sente's envelope where both sides may call, on a byte stream or because that was negotiated:
/// `[event callback-id?]` or `[[event ..] nil]`.
fn sente_both_ways(
    profile: Profile,
    cursor: &mut dyn Cursor,
    packets: &mut Packets,
) -> Result<(), UnpackError> {
    if !is_sequence(cursor.peek()?) {
        return not_an_envelope("[event callback-id]", cursor, packets);
    }
    cursor.enter()?;
    match cursor.peek()? {
        shape if is_sequence(shape) => sente_first_slot(profile, cursor, packets)?,
        Some(Shape::Keyword) => {
            // A server's ping is a bare keyword in Sente's envelope.
            let id = cursor.keyword()?;
            // Everybody begins as a sente-lite peer: a hello, and the handshake of a peer that
            // speaks sente-lite, come without the envelope.
            let is_opening = id == "chsk/handshake"
                || (id == "sente-lite/hello" && profile.role == Role::Server);
            if profile.stream && is_opening {
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
        Some(
            Packet::Event { callback, .. }
            | Packet::Bad { callback, .. }
            | Packet::Ping { callback },
        ),
    ) = (callback, packets.only())
    {
        *callback = Some(span);
    }
    Ok(())
}

/// The first slot of a Sente server's envelope: one event or handshake, or a batch of events.
fn sente_first_slot(
    profile: Profile,
    cursor: &mut dyn Cursor,
    packets: &mut Packets,
) -> Result<(), UnpackError> {
    cursor.enter()?;
    if cursor.peek()? == Some(Shape::Keyword) {
        let event = read_event_inside(cursor)?;
        // From a stock server a lone event is no push: only a handshake stands outside a batch.
        packets.push(match event {
            Form::Event { ref id, .. }
                if profile.positional_replies() && *id != "chsk/handshake" =>
            {
                bad(BadReason::NotAnEnvelope {
                    expected: "a batch of events",
                    got: "a single event",
                })
            }
            event => event.into_packet_from(profile, Dialect::Sente, None),
        });
    } else {
        batch(profile, cursor, packets)?;
    }
    cursor.leave()
}

/// sente-lite's message: `[id data?]`, or with a callback id `[[id data?] callback-id]`.
fn lite(
    profile: Profile,
    cursor: &mut dyn Cursor,
    packets: &mut Packets,
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
                        batch(profile, cursor, packets)?;
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
    packets: &mut Packets,
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
