//! A WebSocket whose upgrade somebody else's HTTP server has answered.

use std::io;
use std::sync::Arc;

use bytes::BytesMut;
#[cfg(feature = "deflate")]
use sente_core::framing::websocket::Deflate;
use sente_core::{Accept, ConnId, ConnectionConfig};

use crate::budget::SharedRecvBudget;
use crate::clock::Clock;
use crate::connection::start;
use crate::events::Events;
use crate::handle::Handle;
use crate::link::{Link, Transport};
use crate::record::{self, Recordings};
use crate::runtime::{Runtime, chosen};
use crate::seed::conn_id;

/// A server's connection over a stream that is a WebSocket already: an HTTP server has answered the
/// upgrade with 101.
///
/// [`UpgradeRequest::from_head`](crate::UpgradeRequest::from_head) looks at the request, and
/// [`UpgradeRequest::agree`](crate::UpgradeRequest::agree) has the headers of the answer.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "nothing speaks on the stream before `start`"]
pub struct WebSocketStart {
    /// That of a server's WebSocket, shared by all connections of an endpoint.
    pub config: Arc<ConnectionConfig>,
    /// The handshake its client is told.
    pub accept: Accept,
    /// What to call the client in messages: its address.
    pub peer: String,
    /// Its id; `None` for a fresh one. Default none.
    pub id: Option<ConnId>,
    /// What the HTTP server has read beyond the request. Default nothing.
    pub rest: BytesMut,
    /// The budget of received bytes its connections share. Default
    /// [`SharedRecvBudget::of_process`].
    pub budget: Option<SharedRecvBudget>,
    /// Where the connection is recorded. Default: nowhere.
    pub record: Option<Recordings>,
    /// Where it runs. Default: the runtime it is started on.
    pub runtime: Option<Arc<dyn Runtime>>,
    /// permessage-deflate as the upgrade agreed on it. Default not.
    #[cfg(feature = "deflate")]
    pub deflate: Option<Deflate>,
}

impl WebSocketStart {
    /// The defaults, for a client at `peer` that is told `accept`.
    pub fn new(config: Arc<ConnectionConfig>, accept: Accept, peer: impl Into<String>) -> Self {
        Self {
            config,
            accept,
            peer: peer.into(),
            id: None,
            rest: BytesMut::new(),
            budget: None,
            record: None,
            runtime: None,
            #[cfg(feature = "deflate")]
            deflate: None,
        }
    }

    /// Starts to drive the connection over `link`, on a task of its own.
    ///
    /// # Errors
    /// No runtime was named and the caller is on none, the system has no random bytes, or the
    /// connection cannot be recorded.
    pub fn start(self, link: Box<dyn Link>) -> io::Result<(Handle, Events)> {
        let id = match self.id {
            Some(id) => id,
            None => conn_id()?,
        };
        let mut transport = Transport::new(link, self.peer);
        transport.rest = self.rest;
        let clock = Clock::start(chosen(self.runtime.as_ref())?);
        let record = self.record.as_ref();
        let mut connection = record::connection(self.config, id, clock.now(), record)?;
        #[cfg(feature = "deflate")]
        if let Some(agreed) = self.deflate {
            connection.set_deflate(agreed);
        }
        connection.accept(clock.now(), self.accept);
        let budget = self.budget.unwrap_or_else(SharedRecvBudget::of_process);
        Ok(start(connection, clock, id, transport, &budget))
    }
}
