//! A server for Sente-style events on tokio: the [`sente_core::Hub`] on real sockets.
//!
//! A [`Server`] takes listeners and connections that are open already, decides who may come in, keeps
//! users, presence and channels in its hub, and has the handlers of a
//! [`Router`](sente_adapters::Router) answer what clients say. See there.

mod admit;
mod builder;
mod channels;
mod clock;
mod config;
mod event;
#[cfg(feature = "http")]
pub mod http;
mod identities;
pub mod inspector;
mod line;
mod listening;
#[cfg(feature = "metrics")]
mod metrics;
mod reload;
mod report;
mod room;
#[cfg(feature = "json-schema")]
mod schema;
mod seed;
mod sender;
mod sending;
mod served;
mod server;
mod state;
mod stats;
mod streams;
mod terms;
mod trace;
mod users;
mod writing;

pub use builder::{ServerBuilder, StreamPeer};
pub use channels::Channels;
pub use config::{Recheck, ServerConfig};
pub use event::{ServerEvent, ServerEvents};
pub use listening::Listening;
#[cfg(feature = "metrics")]
pub use metrics::{METRICS_CONTENT_TYPE, Metrics};
pub use report::Health;
#[cfg(feature = "json-schema")]
pub use schema::{SchemaError, SchemaGuard};
pub use sender::Sender;
pub use sending::ServerPermit;
pub use served::{Facts, Served};
pub use server::{Server, ServerJoinError};
pub use state::ServerState;
pub use stats::{ServerStats, Waiting};
pub use streams::{ServerArrived, ServerEventStream, ServerResponder, ServerTake};
pub use terms::{Entry, Terms};
pub use users::Users;
