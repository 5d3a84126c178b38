//! Events as they stand in a frame, and what they mean on a link.

use alloc::boxed::Box;
use alloc::string::String;

use smol_str::SmolStr;

use super::packet::{Handshake, Packet};
use super::{bad, is_sequence, shape_name};
use crate::error::BadReason;
use crate::event::EventId;
use crate::packed::TRACE;
use crate::packer::{Cursor, Shape, Span, UnpackError};
use crate::profile::{Dialect, Profile, Role};

/// An event as it stands, before anybody asked whether it may stand there.
pub(super) enum Form {
    Bad(BadReason),
    Event {
        id: SmolStr,
        data: Option<Span>,
        extra: bool,
        /// Where the traceparent of the wrapper it stood in stands.
        trace: Option<Box<Span>>,
    },
    Handshake {
        id: SmolStr,
        slots: [Option<Span>; 4],
    },
}

impl Form {
    pub(super) fn into_packet(self, profile: Profile, callback: Option<Span>) -> Packet {
        self.into_packet_from(profile, profile.dialect, callback)
    }

    /// What the event means on this link. `dialect` is that of the envelope it stood in.
    pub(super) fn into_packet_from(
        self,
        profile: Profile,
        dialect: Dialect,
        callback: Option<Span>,
    ) -> Packet {
        match self {
            Self::Bad(reason) => Packet::Bad { reason, callback },
            Self::Handshake {
                slots: [uid, csrf_token, data, extra],
                ..
            } => {
                if profile.role == Role::Client {
                    Packet::Handshake(Handshake {
                        uid,
                        csrf_token,
                        data,
                        extra,
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
            Self::Event { trace, .. } if trace.is_some() && !profile.extensions.trace => {
                Packet::Bad {
                    reason: BadReason::Reserved(named(TRACE)),
                    callback,
                }
            }
            Self::Event {
                id,
                data,
                extra,
                trace,
            } => {
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
                        Some(id) => Packet::Event {
                            id,
                            data,
                            callback,
                            trace,
                        },
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
pub(super) fn read_event(cursor: &mut dyn Cursor) -> Result<Form, UnpackError> {
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
pub(super) fn read_event_inside(cursor: &mut dyn Cursor) -> Result<Form, UnpackError> {
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
pub(super) fn read_slots(id: SmolStr, cursor: &mut dyn Cursor) -> Result<Form, UnpackError> {
    if id == TRACE {
        return read_traced(cursor);
    }
    read_own_slots(id, cursor)
}

/// Reads `"traceparent" event`, where the event stands in no further wrapper.
fn read_traced(cursor: &mut dyn Cursor) -> Result<Form, UnpackError> {
    const WRONG: Form = Form::Bad(BadReason::NotAnEvent("a :chsk/trace without its event"));
    let text = match cursor.peek()? {
        Some(Shape::String) => cursor.skip()?,
        _ => return Ok(WRONG),
    };
    if cursor.peek()? != Some(Shape::Vector) {
        return Ok(WRONG);
    }
    cursor.enter()?;
    let form = match cursor.peek()? {
        Some(Shape::Keyword) => {
            let id = cursor.keyword()?;
            read_own_slots(id, cursor)?
        }
        _ => WRONG,
    };
    cursor.leave()?;
    Ok(match form {
        Form::Event {
            id, data, extra, ..
        } if id != TRACE => Form::Event {
            id,
            data,
            extra,
            trace: Some(Box::new(text)),
        },
        _ => WRONG,
    })
}

fn read_own_slots(id: SmolStr, cursor: &mut dyn Cursor) -> Result<Form, UnpackError> {
    if id == "chsk/handshake" {
        let mut slots = [None; 4];
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
    Ok(Form::Event {
        id,
        data,
        extra,
        trace: None,
    })
}

/// An id as a report names it: a peer may send one of a megabyte.
pub(super) fn named(id: &str) -> String {
    const MOST: usize = 100;
    id.chars().take(MOST).collect()
}
