//! The sans-IO protocol engine for Sente-style events.
//!
//! An event is `[event-id ?data]`. A [`Connection`] exchanges events, calls and replies over one
//! open transport, in either role and either [`Dialect`], and touches no socket, clock or entropy
//! of its own: bytes and time go in; bytes, a deadline and events come out.
//!
//! # The rules
//!
//! 1. The engine never reads a clock, a socket, a file or entropy.
//! 2. Inputs are ordered, so they are one [`Input`]. Outputs have separate readiness, so each has
//!    its own `poll_*`.
//! 3. Not polling is backpressure: read only while [`Connection::wants_read`].
//! 4. Time enters with inputs and commands only; `poll_*` can be called at any time.
//! 5. A peer's mistake is an event, a caller's mistake is a `Result`, our mistake is a bug.
//! 6. Every message has one visible fate, and every call settles once.
//! 7. An event is packed once, when it is queued; batches and broadcasts share the bytes.
//! 8. The same five verbs at every layer: `handle_input`, `handle_timeout`, `poll_transmit`,
//!    `poll_timeout`, `poll_event`.
//!
//! A [`Client`] is a `Connection` that comes back: it says when to dial, waits between attempts, and
//! tells what ended, reopened and was not delivered.
//!
//! What may connect is the matter of [`admission`]; where no WebSocket gets through, [`ajax`] carries
//! the same events over polls and posts.
//!
//! # A whole conversation, without any I/O
//!
//! ```
//! use std::time::Duration;
//! use bytes::{Buf, BytesMut};
//! use sente_core::{
//!     Accept, Carrier, Connection, ConnectionConfig, ConnectionEvent, Dialect, Event, EventId,
//!     Input, Instant, Role, TransmitBuf,
//! };
//!
//! // Carries what one side has to write to the other: the driver's whole work.
//! fn carry(from: &mut Connection, to: &mut Connection, now: Instant) {
//!     let mut out = TransmitBuf::new();
//!     while from.poll_transmit(&mut out).is_some() {
//!         let mut bytes = BytesMut::from(&*out.copy_to_bytes(out.remaining()));
//!         from.handle_transmitted(now);
//!         to.handle_input(now, Input::Bytes(&mut bytes));
//!     }
//! }
//!
//! let now = Instant::EPOCH;
//! let config = |role| {
//!     ConnectionConfig::builder(role, Dialect::Sente, Carrier::WebSocket).build()
//! };
//! let mut server = Connection::new(config(Role::Server)?, [1; 32], now);
//! let mut client = Connection::new(config(Role::Client)?, [2; 32], now);
//!
//! server.accept(now, Accept::new("ada"));
//! carry(&mut server, &mut client, now);
//!
//! let question = Event::new(EventId::new("chat/ask")?, "who is there?");
//! let call = client.call(now, question, Duration::from_secs(5))?;
//! carry(&mut client, &mut server, now);
//!
//! while let Some(event) = server.poll_event() {
//!     if let ConnectionEvent::Message(message) = event
//!         && let Some(token) = message.reply
//!     {
//!         server.reply(now, token, "ada")?;
//!     }
//! }
//! carry(&mut server, &mut client, now);
//!
//! let reply = std::iter::from_fn(|| client.poll_event()).find_map(|event| match event {
//!     ConnectionEvent::Settled { call: settled, result } if settled == call => Some(result),
//!     _ => None,
//! });
//! assert_eq!(reply.unwrap()?.to_value()?.as_str(), Some("ada"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod admission;
pub mod ajax;
mod budget;
mod calls;
mod client;
mod connection;
mod error;
mod event;
mod extensions;
#[cfg(any(feature = "gzip", feature = "deflate"))]
mod flate;
mod fqn;
pub mod framing;
mod half;
mod handlers;
mod hub;
mod id;
mod limits;
mod module;
mod packed;
pub mod packer;
mod peer;
mod profile;
mod queue;
pub mod record;
#[cfg(feature = "serde")]
mod room;
mod seldom;
mod server;
pub mod state;
mod time;
mod trace;
mod transmit;
#[cfg(feature = "serde")]
mod typed;
mod wire;

pub use budget::{RecvBudget, RecvBudgetLimits};
pub use client::{
    Attempt, Backoff, Client, ClientConfig, ClientConfigBuilder, ClientEvent, ClientState,
    ClientStats, Connect, ConnectFailure, EndpointChange, EndpointStatus, Endpoints, OnOffline,
    StateChange,
};
#[cfg(feature = "serde")]
pub use connection::TypedSendError;
pub use connection::{
    Accept, BadEvent, ConfigError, Connection, ConnectionConfig, ConnectionConfigBuilder,
    ConnectionEvent, Dropped, Hello, HelloReceived, Input, Message, Opened, PackedSendError,
    RecvCapacity, RecvPolicy, RecvStatus, SendCapacity, State, Stats, Transmit,
};
pub use error::{BadReason, CallError, CloseReason, ReplyError, SendError};
pub use event::{Event, EventError, EventId, EventIdError, Payload};
pub use extensions::{Extensions, ExtensionsError};
pub use fqn::{Fqn, FqnChange, FqnError, FqnRef, FqnRegistry, FqnWatch};
pub use half::SendHalf;
pub use handlers::{Delivery, Gone, HandlerId, Pattern, Registry, RequestId};
pub use hub::{
    Action, BroadcastRate, ChannelConfig, ChannelInfo, ChannelOptions, ChannelRequestError,
    ChannelRequestId, ChannelStats, ConnectedUids, ConnectionInfo, Denied, EventGate, EventRefusal,
    Fanout, FanoutError, Grace, Guard, Hub, HubConfig, HubDelivery, HubEvent, HubLimits, HubOutput,
    HubStats, Inbox, InboxFull, InboxLimits, JoinError, Joined, Left, Lost, Member, Nobody,
    NotKept, PublishError, PublishOptions, RateOf, RecvRates, Response, SlowPolicy, SlowReport,
    SubscribeError, Takeover, Target, TransportKind, UserId, UserRates,
};
pub use id::{CallId, ConnId, ConnIds, FlushId, ReplyToken};
pub use limits::{BABASHKA_FRAME_BYTES, Limits};
pub use module::{
    ClientOutbox, ConnectionOutbox, Module, Modules, NamespaceTaken, Outbox, Published,
    ServerOutbox,
};
pub use packed::PackedEvent;
pub use peer::{Peer, PeerChange};
pub use profile::{Carrier, Dialect, Keepalive, Role};
pub use queue::{Policy, Priority, Rate, RateLimiter, ReserveError, SendOptions, Sent, Ticket};
pub use sente_edn as edn;
pub use server::{AcceptError, Server, ServerAccept, ServerConfig, ServerEvent, ServerStats};
pub use time::Instant;
pub use trace::{Traceparent, TraceparentError};
pub use transmit::TransmitBuf;
#[cfg(feature = "serde")]
pub use typed::TypedError;
