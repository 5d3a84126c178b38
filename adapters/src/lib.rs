//! Thin adapters that carry the [`sente_core`] engine over real transports, on tokio or another
//! [`Runtime`]: WebSocket, TCP, Unix sockets, a child process's standard streams, and one's own.
//!
//! [`connect`] opens a [`Url`] and gives a [`Handle`] to send with and [`Events`] to read from;
//! [`Listener`] is the other side. [`keep_connected`] is a client that comes back when its link is
//! lost. One driver loop serves them all. On top of the events, a [`Dispatcher`] shows messages to
//! closures, best on the driver itself ([`Dispatcher::attach`]), a [`Router`] to async functions, and
//! [`Events::attach`] runs modules.
//!
//! ```no_run
//! use std::time::Duration;
//! use sente_adapters::{ConnectOptions, connect};
//! use sente_core::{Event, EventId};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let url = "exec:python3 tests/peers/echo.py".parse()?;
//! let (handle, _events) = connect(&url, &ConnectOptions::default()).await?;
//! let event = Event::new(EventId::new("test/echo")?, "hello");
//! let reply = handle.call(event, Duration::from_secs(5)).await?;
//! assert_eq!(reply.to_value()?.as_str(), Some("hello"));
//! # Ok(())
//! # }
//! ```

mod ajax;
mod attendant;
#[cfg(feature = "blocking")]
pub mod blocking;
mod budget;
mod child;
mod client;
mod clock;
mod configs;
mod connect;
mod connection;
mod deflate;
mod descriptors;
mod direct;
mod dispatch;
mod driver;
mod duplex;
mod ending;
mod engine;
mod events;
#[cfg(feature = "http-client")]
mod fetch;
mod fifo;
mod flushes;
mod handle;
mod incoming;
mod inline;
mod line;
mod link;
mod listen;
mod messages;
mod modules;
mod on;
mod permit;
mod process;
mod record;
mod router;
mod runtime;
mod seed;
mod shared;
mod signal;
mod socket_file;
mod sockets;
mod spare;
mod stdio;
mod streams;
mod subscriptions;
mod supervisor;
mod threads;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(not(feature = "tls"))]
#[path = "tls/without.rs"]
mod tls;
mod typed;
#[cfg(feature = "unerased")]
mod unerased;
mod upgraded;
mod url;
mod websocket;

pub use ajax::{AjaxAnswer, AjaxEvents, AjaxHandle, AjaxPort, AjaxStart};
pub use attendant::Attendant;
pub use budget::SharedRecvBudget;
pub use child::{ChildOptions, StderrLines};
#[cfg(feature = "http-client")]
pub use client::Fallback;
pub use client::{
    ClientEvents, ClientHandle, ClientOptions, Endpoint, keep_connected, keep_connected_to,
};
pub use connect::{ConnectError, ConnectOptions, connect, connect_over};
pub use dispatch::{Dispatched, Dispatcher, HandlerPanic, Received, Responder};
pub use duplex::Duplex;
pub use engine::Engine;
pub use events::Events;
pub use handle::{CallFailure, End, Ended, Handle};
pub use incoming::{Acceptor, Incoming};
pub use inline::Rest;
pub use link::{Link, LinkLayer};
pub use listen::{ListenError, ListenOptions, Listener};
pub use messages::MessageLink;
pub use modules::{Attached, HandleOutbox, Told};
pub use on::{Arrived, EventStream, Take};
pub use permit::Permit;
pub use record::{RecordingLimits, Recordings};
pub use router::{
    Answer, AnyHandle, Context, Data, Extension, FromContext, Handler, HandlerFailure, IntoAnswer,
    MissingExtension, NoReply, NotOfThisType, Outcome, RouteError, Routed, Router, Serving, State,
    Typed,
};
#[cfg(feature = "async-io")]
pub use runtime::AsyncIo;
#[cfg(feature = "tokio")]
pub use runtime::Tokio;
pub use runtime::{Descriptor, Direction, Moved, Runtime, Timer};
pub use seed::{fresh_conn_id, fresh_csrf_token};
pub use sente_core::framing::upgrade::UpgradeRequest;
pub use sockets::{TcpKeepalive, TcpOptions};
pub use streams::{FuturesLink, TokioLink};
pub use subscriptions::{EventQueue, StreamLimits, Subscriptions};
pub use supervisor::{
    ChildId, NoChild, Restart, SupervisedCallError, SupervisedSendError, Supervisor,
    SupervisorError, SupervisorEvent, SupervisorEvents, SupervisorOptions,
};
pub use typed::{TypedCallError, TypedSendError};
#[cfg(feature = "unerased")]
pub use unerased::start_unerased;
pub use upgraded::WebSocketStart;
pub use url::{Address, Security, Url, UrlError, WsUrl};
