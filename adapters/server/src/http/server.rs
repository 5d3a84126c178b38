//! The server as the host of an endpoint over HTTP.

use sente_core::admission::{Admitted, Incoming, Refusal, Request};
use sente_core::{Accept, ConnId, Dialect, UserId};
use smol_str::SmolStr;

use super::host::{Arrival, ArrivalLink, HttpHost};
use crate::server::Server;
use crate::terms::{Entry, Place};

/// The place of one connection in the count of a [`Server`]. Dropped, it is free again.
#[derive(Debug)]
pub struct ServerPlace(Place);

/// Lets clients in by the server's rules and its application's word, and has them join.
///
/// ```no_run
/// use sente_server::Server;
/// use sente_server::http::{HttpConfig, SenteService, ServeOptions, serve};
/// use tokio::net::TcpListener;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::builder().let_everybody_in().build()?;
/// let service = SenteService::new(server, HttpConfig::new()?);
/// let listener = TcpListener::bind("127.0.0.1:8080").await?;
/// serve(listener, service, ServeOptions::default(), std::future::pending()).await;
/// # Ok(())
/// # }
/// ```
impl HttpHost for Server {
    type Place = ServerPlace;

    fn take_place(&self, remote: Option<&str>) -> Result<ServerPlace, Refusal> {
        if *self.inner.is_closing.borrow() {
            return Err(Refusal::new(503, "The server closes"));
        }
        Self::take_place(self, remote)
            .map(ServerPlace)
            .inspect_err(|refusal| self.tell_refusal(remote.map(SmolStr::new), refusal))
    }

    fn check(&self, request: Request, dialect: Dialect) -> Result<Incoming, Refusal> {
        Self::check(self, request, dialect)
    }

    async fn identify(&self, incoming: Incoming) -> Result<Admitted, Refusal> {
        let remote = incoming.request().remote().map(SmolStr::new);
        let identified = self.inner.hooks.admit(incoming).await;
        identified.inspect_err(|refusal| self.tell_refusal(remote, refusal))
    }

    fn name_user(&self, place: &mut ServerPlace, user: &UserId) -> Result<(), Refusal> {
        Self::name_user(self, &mut place.0, user)
    }

    fn handshake(&self, id: ConnId, dialect: Dialect, admitted: &Admitted) -> Accept {
        let user = admitted.identity.user.as_ref().map(UserId::from);
        let mut accept = admitted.handshake();
        accept.uid = self.handshake_user(id, dialect, user).to_value();
        self.complete(dialect, &mut accept);
        accept
    }

    fn arrived(&self, arrival: Arrival<ServerPlace>) {
        let Arrival {
            id,
            admitted,
            place,
            link,
        } = arrival;
        let entry = Entry {
            admitted,
            place: place.0,
            keeps_request: self.inner.config.keep_requests,
        };
        let terms = entry.into_terms();
        let joined = match link {
            ArrivalLink::Ajax(handle, events) => self.join(handle, events, terms),
            ArrivalLink::WebSocket(handle, events) => self.join(handle, events, terms),
        };
        if let Err(error) = joined {
            tracing::warn!(connection = %id, %error, "not let in");
        }
    }
}
