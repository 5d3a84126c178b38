//! A server for Sente-style events on tokio: the [`sente_core::Hub`] on real sockets.
//!
//! A [`Server`] takes listeners and connections that are open already, decides who may come in, keeps
//! users, presence and channels in its hub, and shows what clients say to [`Handlers`]. See there.

mod builder;
mod channels;
mod clock;
mod config;
mod event;
mod handlers;
mod line;
mod room;
#[cfg(feature = "json-schema")]
mod schema;
mod seed;
mod served;
mod server;
mod serving;
mod stats;
mod terms;
mod users;

pub use builder::{ServerBuilder, StreamPeer};
pub use channels::Channels;
pub use config::ServerConfig;
pub use event::{ServerEvent, ServerEvents};
pub use handlers::{Answer, Handlers, Received, Responder};
#[cfg(feature = "json-schema")]
pub use schema::{SchemaError, SchemaGuard};
pub use served::{Facts, Served};
pub use server::{Server, ServerJoinError};
pub use serving::Serving;
pub use stats::ServerStats;
pub use terms::{Entry, Terms};
pub use users::Users;
