//! A recording played back.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::fmt;

use bytes::{Buf, Bytes, BytesMut};
use sente_edn::{Limits as EdnLimits, Value};
use thiserror::Error;

use super::config::read_header;
use super::{Entry, Outcome};
use crate::connection::{Connection, ConnectionEvent, Input, Transmit};
use crate::id::{CallId, ReplyToken};
use crate::packer::{self, Packer};
use crate::time::Instant;
use crate::transmit::TransmitBuf;

/// A connection that does again what a [`Recorder`](super::Recorder) wrote down.
///
/// ```
/// use sente_core::record::Replay;
/// use sente_core::{
///     Carrier, Connection, ConnectionConfig, Dialect, Input, Instant, Role, record::Recorder,
/// };
/// # #[derive(Clone, Debug, Default)]
/// # struct Lines(std::sync::Arc<std::sync::Mutex<Vec<String>>>);
/// # impl Recorder for Lines {
/// #     fn line(&mut self, line: &str) { self.0.lock().unwrap().push(line.to_owned()) }
/// # }
///
/// let config = ConnectionConfig::builder(Role::Client, Dialect::SenteLite, Carrier::Lines)
///     .build()?;
/// let lines = Lines::default();
/// let now = Instant::EPOCH;
/// let mut connection = Connection::recorded(config, [7; 32], now, Box::new(lines.clone()));
/// let mut bytes = bytes::BytesMut::from("[:chsk/handshake [\"ada\" nil nil true]]\n");
/// connection.handle_input(now, Input::Bytes(&mut bytes));
/// while connection.poll_event().is_some() {}
///
/// let recording = lines.0.lock().unwrap().clone();
/// let mut replay = Replay::new(&recording[0])?;
/// for line in &recording[1..] {
///     let replayed = replay.step(line)?;
///     println!("{replayed}");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Replay {
    connection: Connection,
    packers: Packers,
    line: u64,
}

struct Packers(Arc<Find>);

type Find = dyn Fn(&str) -> Option<Arc<dyn Packer>> + Send + Sync;

impl fmt::Debug for Packers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Packers")
    }
}

impl Replay {
    /// Begins with the first line of a recording. Its packer is one of [`packer::named`].
    ///
    /// # Errors
    /// [`ReplayError::Unreadable`].
    pub fn new(first: &str) -> Result<Self, ReplayError> {
        Self::with_packers(first, packer::named)
    }

    /// The same for recordings with packers of one's own, which `packers` finds by their names.
    /// Two packers that say different things under one name replay as one.
    ///
    /// # Errors
    /// [`ReplayError::Unreadable`].
    pub fn with_packers(
        first: &str,
        packers: impl Fn(&str) -> Option<Arc<dyn Packer>> + Send + Sync + 'static,
    ) -> Result<Self, ReplayError> {
        let unreadable = |reason| ReplayError::Unreadable { line: 1, reason };
        let value = read_line(first).map_err(unreadable)?;
        let packers = Packers(Arc::new(packers));
        let header = read_header(&value, &*packers.0).map_err(unreadable)?;
        Ok(Self {
            connection: Connection::new(header.config, header.seed, header.at),
            packers,
            line: 1,
        })
    }

    /// Does what the next line says, and says what came of it.
    ///
    /// # Errors
    /// [`ReplayError`]. After [`ReplayError::Diverged`] the replay can go on, but what follows is
    /// another story.
    pub fn step(&mut self, line: &str) -> Result<Replayed, ReplayError> {
        self.line = self.line.saturating_add(1);
        let number = self.line;
        let unreadable = |reason| ReplayError::Unreadable {
            line: number,
            reason,
        };
        let value = read_line(line).map_err(unreadable)?;
        let (at, entry) = Entry::read(&value, &*self.packers.0).map_err(unreadable)?;
        let mut replayed = Replayed {
            line: number,
            at,
            what: value,
            event: None,
            written: None,
        };
        let polled = self.carry_out(at, entry, &mut replayed);
        match polled {
            Some((recorded, now)) if recorded != now => Err(ReplayError::Diverged {
                line: number,
                recorded,
                replayed: now,
            }),
            _ => Ok(replayed),
        }
    }

    /// The connection as it is now.
    #[must_use]
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Calls the connection; of a poll, gives what came out then and what comes out now.
    fn carry_out(
        &mut self,
        at: Instant,
        entry: Entry,
        replayed: &mut Replayed,
    ) -> Option<(String, String)> {
        let connection = &mut self.connection;
        let token = |callback, connection| ReplyToken {
            callback,
            connection,
        };
        match entry {
            Entry::Input(bytes) => {
                let mut bytes = BytesMut::from(&*bytes);
                connection.handle_input(at, Input::Bytes(&mut bytes));
            }
            Entry::Eof => connection.handle_input(at, Input::Eof),
            Entry::Failed(error) => connection.handle_input(at, Input::Failed(error)),
            Entry::Timeout => connection.handle_timeout(at),
            Entry::Transmitted => connection.handle_transmitted(at),
            Entry::PolledTransmit(recorded) => {
                let mut out = TransmitBuf::new();
                let now = match connection.poll_transmit(&mut out) {
                    Some(Transmit::Data) => Some(Some(Outcome::of_bytes(&out))),
                    Some(Transmit::Shutdown) => Some(None),
                    None => None,
                };
                replayed.written = now.as_ref().map(|_| out.copy_to_bytes(out.remaining()));
                return Some((transmit_text(recorded), transmit_text(now)));
            }
            Entry::PolledEvent(recorded) => {
                let event = connection.poll_event();
                let now = event.as_ref().map(Outcome::of_event);
                replayed.event = event;
                return Some((event_text(recorded), event_text(now)));
            }
            Entry::PolledAnswer(recorded) => {
                let event = connection.poll_answer();
                let now = event.as_ref().map(Outcome::of_event);
                replayed.event = event;
                return Some((event_text(recorded), event_text(now)));
            }
            Entry::RecvAllowance(bytes) => connection.set_recv_allowance(at, bytes),
            #[cfg(feature = "deflate")]
            Entry::Deflate(agreed) => connection.set_deflate(agreed),
            Entry::ContinuedFrom(legacy) => connection.continue_from(legacy),
            Entry::Accept(accept) => connection.accept(at, accept),
            // What was refused then is refused now; nobody waits for what they return.
            Entry::Send(event, options) => drop(connection.send_with(at, event, options)),
            Entry::SendPacked(event, options) => {
                let _ = connection.send_packed_with(at, &event, options);
            }
            Entry::Call(event, timeout) => drop(connection.call(at, event, timeout)),
            Entry::Cancel(call) => _ = connection.cancel(CallId(call)),
            Entry::Reply(callback, of, payload) => {
                drop(connection.reply(at, token(callback, of), payload));
            }
            Entry::ReplyError(callback, of) => {
                drop(connection.reply_error(at, token(callback, of)));
            }
            Entry::Forget(callback, of) => connection.forget(token(callback, of)),
            Entry::Reserve(bytes, deadline) => drop(connection.reserve(at, bytes, deadline)),
            Entry::SendReserved(ticket, event, options) => {
                let ticket = crate::queue::Ticket::from_u64(ticket);
                drop(connection.send_reserved_with(at, ticket, event, options));
            }
            Entry::Release(ticket) => {
                _ = connection.release(at, crate::queue::Ticket::from_u64(ticket));
            }
            Entry::Flush => _ = connection.flush(at),
            Entry::Close(code, reason) => connection.close_with(at, code, &reason),
            Entry::Drain(deadline) => connection.drain(at, deadline),
        }
        None
    }
}

/// One line of a recording, and what came of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Replayed {
    /// The number of the line, from 1 for the first line of the recording.
    pub line: u64,
    /// The time of the connection.
    pub at: Instant,
    /// The line as it was read.
    pub what: Value,
    /// The event that was polled, if it was polled for one.
    pub event: Option<ConnectionEvent>,
    /// The bytes that were polled to be written; none for the end of writing.
    pub written: Option<Bytes>,
}

/// The time in seconds, what was done, and what came out.
impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.at.as_millis();
        write!(f, "{:>6}.{:03} ", millis / 1000, millis % 1000)?;
        let items = self.what.as_vector().map(|items| items.as_slice());
        let Some([_, what, rest @ ..]) = items else {
            return write!(f, "{}", self.what);
        };
        match (&self.event, &self.written) {
            (Some(event), _) => write!(f, "{what} {event:?}"),
            (None, Some(written)) if written.is_empty() => write!(f, "{what} end of writing"),
            (None, Some(written)) => write!(f, "{what} {}", Shown(written)),
            (None, None) => {
                write!(f, "{what}")?;
                rest.iter().try_for_each(|rest| write!(f, " {rest}"))
            }
        }
    }
}

/// Bytes as text where they are text.
struct Shown<'a>(&'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match core::str::from_utf8(self.0) {
            Ok(text) => write!(f, "{text:?}"),
            Err(_) => write!(f, "{} bytes", self.0.len()),
        }
    }
}

/// Why a recording does not play.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// A connection of this version does something else than the recorded one did.
    #[error(
        "line {line}: {recorded} came out when it was recorded, {replayed} now: this is not the \
         version that recorded it, or something in it is not determined by its inputs"
    )]
    Diverged {
        /// The number of the line.
        line: u64,
        /// What came out then, as its kind and a hash.
        recorded: String,
        /// What comes out now.
        replayed: String,
    },
    /// It is no line of a recording.
    #[error("line {line} is no line of a recording: {reason}")]
    Unreadable {
        /// The number of the line.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
}

fn read_line(line: &str) -> Result<Value, String> {
    let limits = EdnLimits::default()
        .dialect(sente_edn::Dialect::Either)
        .max_bytes(line.len());
    sente_edn::from_slice_with(line.as_bytes(), &limits).map_err(|error| error.to_string())
}

fn event_text(outcome: Option<Outcome>) -> String {
    match outcome {
        Some(Outcome { kind, hash }) => alloc::format!("{kind} ({hash:016x})"),
        None => String::from("no event"),
    }
}

fn transmit_text(outcome: Option<Option<Outcome>>) -> String {
    match outcome {
        Some(Some(Outcome { kind, hash })) => alloc::format!("{kind} bytes ({hash:016x})"),
        Some(None) => String::from("the end of writing"),
        None => String::from("nothing to write"),
    }
}
