//! Clients that come to a listener: let in, or turned away.

use sente_adapters::{Incoming, Listener, Url};
use sente_core::admission::{Refusal, Request};
use sente_core::edn::{Map, Value};
use sente_core::{Accept, Connection, Dialect, UserId};
use smol_str::SmolStr;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::builder::StreamPeer;
use crate::served::{Facts, Served};
use crate::server::Server;
use crate::terms::Terms;
use crate::trace;

/// A listener that is served: from [`Server::serve`]. Dropped, it goes on.
#[derive(Debug)]
pub struct Listening {
    url: Url,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Listening {
    /// The URL with the real port.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// Stops listening, and waits until the socket is closed. Connections go on.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        // A task that panicked has closed its socket, too.
        let _ = self.task.await;
    }
}

impl Server {
    /// Lets in, or turns away, whoever comes to `listener`, on a task of its own, until it is
    /// stopped, or the server is drained or closed.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[expect(clippy::must_use_candidate, reason = "dropped, it goes on")]
    pub fn serve(&self, listener: Listener) -> Listening {
        let url = listener.url().clone();
        let stop = watch::Sender::new(false);
        let stopped = stop.subscribe();
        let task = tokio::spawn(listen(self.clone(), listener, stopped));
        Listening { url, stop, task }
    }

    /// Lets one client in or turns it away: for one's own accept loop.
    pub async fn arrived(&self, incoming: Incoming) {
        if *self.inner.is_closing.borrow() {
            incoming.refuse(503, "The server closes").await;
            return;
        }
        let decided = match incoming.request() {
            Some(request) => {
                let remote = remote_of(incoming.peer());
                let request = Request::from(request).with_remote(remote);
                let dialect = incoming.dialect();
                self.admit(request, dialect)
                    .await
                    .map(|entry| (entry.handshake(), entry.into_terms()))
            }
            None => self.admit_stream(&incoming).await,
        };
        match decided {
            Ok((accept, terms)) => self.let_in(incoming, accept, terms).await,
            Err(refusal) => turn_away(incoming, &refusal).await,
        }
    }

    async fn admit_stream(&self, incoming: &Incoming) -> Result<(Accept, Terms), Refusal> {
        let remote = remote_of(incoming.peer());
        let decided = async {
            let mut place = self.take_place(Some(&remote))?;
            let peer = StreamPeer {
                peer: incoming.peer().to_owned(),
                dialect: incoming.dialect(),
            };
            let identity = self.inner.hooks.admit_stream(peer).await;
            let identity = identity.ok_or_else(|| Refusal::new(401, "not let in"))?;
            let mut terms = Terms::new();
            if let Some(user) = &identity.user {
                let user = UserId::from(user);
                self.name_user(&mut place, &user)?;
                terms = terms.user(user);
            }
            terms.expires = identity.expires;
            terms.place = Some(place);
            let mut accept = Accept::new(Value::Nil);
            accept.data = identity.data;
            Ok((accept, terms))
        };
        let decided: Result<_, Refusal> = decided.await;
        decided.inspect_err(|refusal| self.tell_refusal(Some(remote.clone()), refusal))
    }

    async fn let_in(&self, incoming: Incoming, mut accept: Accept, terms: Terms) {
        let (id, dialect) = (incoming.id(), incoming.dialect());
        let transport = incoming.carrier().into();
        let facts =
            Facts::new(id, incoming.packer().clone(), transport).peer(incoming.peer().to_owned());
        let (line, user) = match self.enter::<Connection>(facts, dialect, terms) {
            Ok(entered) => entered,
            Err(error) => {
                trace::no_room(id, incoming.peer(), &error);
                incoming.refuse(503, &error.to_string()).await;
                return;
            }
        };
        accept.uid = user.to_value();
        self.complete(dialect, &mut accept);
        match incoming.accept(accept).await {
            Ok((handle, events)) => line.attach(handle, events),
            Err(error) => {
                trace::lost(id, &error);
                let (kept, _) = line.take_unsent();
                self.depart(id, kept, Connection::had_its_grace());
            }
        }
    }

    /// Puts into a handshake what its dialect has there beside the user.
    pub fn complete(&self, dialect: Dialect, accept: &mut Accept) {
        if dialect == Dialect::SenteLite {
            accept
                .csrf_token
                .clone_from(&self.inner.config.handshake_csrf);
            if accept.data == Value::Nil {
                let version = Value::keyword("sente-lite-version").unwrap_or_default();
                accept.data = Value::from(Map::from([(version, Value::from("2.0.0"))]));
            }
        }
    }
}

async fn listen(server: Server, mut listener: Listener, mut stopped: watch::Receiver<bool>) {
    let mut closing = server.inner.is_closing.subscribe();
    loop {
        let incoming = tokio::select! {
            () = asked(&mut stopped) => return,
            _ = closing.wait_for(|closing| *closing) => return,
            incoming = listener.accept() => incoming,
        };
        match incoming {
            Some(Ok(incoming)) => {
                let server = server.clone();
                tokio::spawn(async move { server.arrived(incoming).await });
            }
            Some(Err(error)) => trace::cannot_accept(&listener.url().to_string(), &error),
            None => return,
        }
    }
}

/// Comes when it is asked to stop; never where nobody can ask any more.
async fn asked(stopped: &mut watch::Receiver<bool>) {
    if stopped.wait_for(|stopped| *stopped).await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn turn_away(incoming: Incoming, refusal: &Refusal) {
    let headers: Vec<(&str, &str)> = refusal
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    incoming
        .refuse_with(refusal.status, &headers, &refusal.body)
        .await;
}

/// The address of a peer without scheme and port; what has none stands for itself.
fn remote_of(peer: &str) -> SmolStr {
    let address = peer.split_once("://").map_or(peer, |(_, address)| address);
    match address.parse::<std::net::SocketAddr>() {
        Ok(address) => SmolStr::from(address.ip().to_string()),
        Err(_) => SmolStr::new(peer),
    }
}
