//! What a connection tells the application, and what it asks of the driver.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

use crate::error::{BadReason, CallError, CloseReason};
use crate::event::{Event, Payload};
use crate::extensions::Extensions;
use crate::id::{CallId, FlushId, ReplyToken};
use crate::packed::PackedEvent;
use crate::profile::Dialect;
use crate::queue::Ticket;

use super::recv_queue::RecvStatus;

/// Something that came from the transport.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input<'a> {
    /// Bytes that were read. The connection takes all of them; it may change them in place and
    /// keep slices of them.
    Bytes(&'a mut BytesMut),
    /// The peer ended its stream.
    Eof,
    /// The transport failed, and how.
    Failed(String),
}

/// What the driver has to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "a transmit that is not carried out stalls the connection"]
pub enum Transmit {
    /// Write what stands in the buffer, then call `handle_transmitted`.
    Data,
    /// Everything was written: shut the writing side of the transport down.
    Shutdown,
}

/// Something the application should know.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectionEvent {
    /// The peer sent something that is no event: Sente's `:chsk/bad-event`. The link lives on.
    BadEvent(Box<BadEvent>),
    /// More bad frames came than are reported one by one: how many more.
    BadEventsSuppressed(u64),
    /// The connection ended. The last event of all, but for answers to what is asked of it later:
    /// a `flush` then is told to have failed.
    Closed(CloseReason),
    /// Events that were handed over for sending were dropped, as their policy says. There is one
    /// such event at most until it is taken; it says everything until then.
    Dropped(Dropped),
    /// What the flush waited for will never be written: the connection ended first.
    FlushFailed(FlushId),
    /// Everything queued before this flush has been handed to the transport.
    Flushed(FlushId),
    /// A reservation has its room, until it is used or released.
    Granted(Ticket),
    /// A client on a byte stream said who it is.
    Hello(HelloReceived),
    /// The send queue rose above `Limits::send_high_water`; `SendReady` follows when it has fallen
    /// to low water, unless the connection ends first. How full it was then.
    HighWater(SendCapacity),
    /// A frame of at least `Limits::warn_frame_bytes` was received or sent, or one of more than
    /// `ConnectionConfigBuilder::small_frames` was sent: its size.
    LargeFrame {
        /// Its size in bytes.
        size: usize,
        /// Whether it came from the peer.
        received: bool,
    },
    /// An event arrived, or a call.
    Message(Message),
    /// The connection is open: a client read the handshake, a server wrote it. What a client received
    /// before, from a server that did not wait for the answer to the hello, comes behind it, unless
    /// that was so much that it filled the receive queue.
    Opened(Box<Opened>),
    /// The peer ended its sending side. Events can still be sent to it, and replies it waits for;
    /// calls to it have been settled. React with `drain` or `close`.
    PeerFinished,
    /// How far the application is behind with what arrives has changed. It overtakes the messages
    /// that wait, and says how it is now, however often it changed since.
    RecvPressure(RecvStatus),
    /// A reservation waited until its deadline.
    ReservationExpired(Ticket),
    /// The connection drains or has ended, so that a reservation waits in vain.
    ReservationFailed(Ticket),
    /// The send queue has fallen to `Limits::send_low_water` after a send was refused as full, or
    /// after `HighWater`, and what was refused would fit. It comes while draining, too: then a send
    /// is refused as not open.
    SendReady,
    /// A call ended, once.
    Settled {
        /// The call, as `call` returned it.
        call: CallId,
        /// The reply, or why there is none.
        result: Result<Payload, CallError>,
    },
    /// Unread messages were dropped to make room, since the connection was configured so
    /// (`RecvPolicy::DropOldest`): how many since the last report. It overtakes the messages that
    /// wait.
    Shed {
        /// How many messages.
        count: u64,
        /// How many bytes they counted for.
        bytes: u64,
    },
    /// The connection ended before these queued events were written, in their order. Calls are not
    /// among them: what becomes of a call is said by `Settled` alone, as closed also where it never
    /// left.
    Undelivered(Vec<PackedEvent>),
}

impl ConnectionEvent {
    /// Whether somebody waits for it, so that it can be taken ahead of the messages.
    pub(crate) const fn is_answer(&self) -> bool {
        matches!(
            self,
            Self::Settled { .. }
                | Self::Flushed(_)
                | Self::FlushFailed(_)
                | Self::Granted(_)
                | Self::ReservationExpired(_)
                | Self::ReservationFailed(_)
                | Self::SendReady
        )
    }
}

/// A received event, with the right to answer it if it is a call.
#[derive(Debug)]
#[non_exhaustive]
pub struct Message {
    /// The event.
    pub event: Event,
    /// Given back to `Connection::reply`; `None` for an event nobody waits on.
    pub reply: Option<ReplyToken>,
}

/// A frame or an event in it that could not be taken.
#[derive(Debug)]
#[non_exhaustive]
pub struct BadEvent {
    /// What was wrong.
    pub reason: BadReason,
    /// The first bytes of the frame, `Limits::max_bad_frame_excerpt` at most; as the packer opened
    /// it, if it could.
    pub excerpt: Bytes,
    /// The size of all of that in bytes; 0 if the framing skipped the frame.
    pub frame_len: usize,
    /// The right to answer, if the frame had a callback id (Sente hands it over too).
    pub reply: Option<ReplyToken>,
}

/// Events that were dropped on the sending side.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Dropped {
    /// How many.
    pub count: u64,
    /// Their packed bytes.
    pub bytes: u64,
    /// The events themselves, in the order they were dropped, as many of the first as
    /// `ConnectionConfigBuilder::keep_dropped` has room for: to be kept elsewhere.
    pub events: Vec<PackedEvent>,
}

impl Dropped {
    pub(crate) const NONE: Self = Self {
        count: 0,
        bytes: 0,
        events: Vec::new(),
    };
}

/// The terms of an open connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Opened {
    /// The user id.
    pub uid: Option<Payload>,
    /// The CSRF token, if the server sent one.
    pub csrf_token: Option<Payload>,
    /// The server's handshake data.
    pub data: Option<Payload>,
    /// Whether this is the connection's first handshake; a server may send more.
    pub first: bool,
    /// The dialect spoken from here on.
    pub dialect: Dialect,
    /// The extensions in force from here on: offered by the client and granted by the server.
    pub extensions: Extensions,
}

/// What a client's hello said.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HelloReceived {
    /// The label the client gave itself.
    pub client_id: Option<String>,
    /// The token it showed.
    pub token: Option<String>,
    /// The dialect it asked for, already in force.
    pub dialect: Option<Dialect>,
    /// The extensions it offered; the `Opened` that follows says which hold.
    pub offered: Option<Extensions>,
}

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// A server that has not accepted yet.
    Accepting,
    /// A client that waits for the handshake.
    Handshaking,
    /// Open in both directions, or after `PeerFinished` in ours only.
    Open,
    /// Emptying its queue; sends are refused, replies still taken.
    Draining,
    /// The WebSocket closing handshake is under way.
    Closing,
    /// Over.
    Closed,
}

/// Counts since the connection began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Frames received, good and bad.
    pub frames_received: u64,
    /// Frames written.
    pub frames_sent: u64,
    /// Bytes received from the transport, framing included.
    pub bytes_received: u64,
    /// Bytes given to the transport, framing included.
    pub bytes_sent: u64,
    /// Events and calls received.
    pub events_received: u64,
    /// Events and calls queued.
    pub events_queued: u64,
    /// Sends refused.
    pub sends_refused: u64,
    /// Queued events dropped to make room for newer ones (`Policy::DropOldest`).
    pub dropped_oldest: u64,
    /// Events dropped since they would have had to wait (`Policy::Volatile`); they were never
    /// queued.
    pub dropped_volatile: u64,
    /// Queued events dropped for a newer one of the same key (`Policy::Latest`).
    pub replaced: u64,
    /// Bad frames and events, reported or not. What was too large is not among them.
    pub bad_events: u64,
    /// Frames and messages of the peer that were over a limit of size (`Limits::max_frame_bytes`,
    /// `max_opened_bytes`), reported or not.
    pub oversized_received: u64,
    /// Events, calls and replies of our own that were refused as too large; but for replies they
    /// are among `sends_refused`, too.
    pub oversized_refused: u64,
    /// Reserved ids that were ignored because a bare script may echo them.
    pub ignored: u64,
    /// Replies to calls that had settled already, or that nobody made.
    pub late_replies: u64,
    /// Pings sent.
    pub pings_sent: u64,
    /// Unread messages dropped to make room (`RecvPolicy::DropOldest`).
    pub shed: u64,
}

/// The counts of a connection. Those that most never have are behind a pointer.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) frames_received: u64,
    pub(super) frames_sent: u64,
    pub(super) bytes_received: u64,
    pub(super) bytes_sent: u64,
    pub(super) events_received: u64,
    pub(super) events_queued: u64,
    pub(super) pings_sent: u64,
    rare: Option<Box<Stats>>,
}

impl Counts {
    /// All other counts.
    pub(super) fn rare(&mut self) -> &mut Stats {
        self.rare.get_or_insert_default()
    }

    pub(super) fn all(&self) -> Stats {
        Stats {
            frames_received: self.frames_received,
            frames_sent: self.frames_sent,
            bytes_received: self.bytes_received,
            bytes_sent: self.bytes_sent,
            events_received: self.events_received,
            events_queued: self.events_queued,
            pings_sent: self.pings_sent,
            ..self.rare.as_deref().copied().unwrap_or_default()
        }
    }
}

impl Stats {
    /// Counts something of the peer's that is not taken.
    pub(crate) fn count_bad(&mut self, reason: &BadReason) {
        let count = if reason.is_oversized() {
            &mut self.oversized_received
        } else {
            &mut self.bad_events
        };
        *count = count.saturating_add(1);
    }

    /// Counts a send that is refused, perhaps as too large.
    pub(crate) const fn count_refused(&mut self, too_large: bool) {
        self.sends_refused = self.sends_refused.saturating_add(1);
        if too_large {
            self.oversized_refused = self.oversized_refused.saturating_add(1);
        }
    }
}

/// How full the send queue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SendCapacity {
    /// Messages queued.
    pub messages: usize,
    /// Bytes queued.
    pub bytes: usize,
    /// The limit on messages.
    pub max_messages: usize,
    /// The limit on bytes.
    pub max_bytes: usize,
    /// Places reserved and not used yet; they count for the limit on messages.
    pub reserved_messages: usize,
    /// Bytes reserved and not used yet; they count for the limit on bytes.
    pub reserved_bytes: usize,
    /// Reservations that wait for room. While there are any, sends without one are refused.
    pub waiting_reservations: usize,
    /// Whether `HighWater` was reached, and low water has not been since.
    pub above_high_water: bool,
}
