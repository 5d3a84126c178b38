//! How a server is put together: its options, its handlers, and who decides who may come in.

use std::fmt;
use std::future::{Future, ready};
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use sente_adapters::Router;
use sente_core::admission::{Admission, Admitted, CsrfCheck, Identity, Incoming, Refusal};
use sente_core::{Dialect, Guard};

use crate::config::ServerConfig;
use crate::reload::Rules;
use crate::sender::{Routes, Sender};
use crate::server::Server;

/// Puts a [`Server`] together: from [`Server::builder`].
#[must_use = "a server is built by `build`"]
pub struct ServerBuilder {
    pub(crate) config: ServerConfig,
    pub(crate) routes: Arc<dyn Routes>,
    pub(crate) hooks: Hooks,
}

/// The application's word on who may come in.
pub(crate) struct Hooks {
    pub(crate) rules: Rules,
    admit: Option<Arc<Admit>>,
    stream: Option<Arc<AdmitStream>>,
    recheck: Option<Arc<AskAgain>>,
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Admit = dyn Fn(Incoming) -> BoxFuture<Result<Admitted, Refusal>> + Send + Sync;
type AskAgain = dyn Fn(Sender) -> BoxFuture<Option<Identity>> + Send + Sync;
type AdmitStream = dyn Fn(StreamPeer) -> BoxFuture<Option<Identity>> + Send + Sync;

/// A client on a byte stream that wants in. All that is known of it is where it comes from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StreamPeer {
    /// Its address, or the path of the socket it came by.
    pub peer: String,
    /// The dialect it will be spoken to in, until its hello says another.
    pub dialect: Dialect,
}

impl ServerBuilder {
    pub(crate) fn new() -> Self {
        Self {
            config: ServerConfig::default(),
            routes: Arc::new(Router::new()),
            hooks: Hooks {
                rules: Rules::new(Admission::default()),
                admit: None,
                stream: None,
                recheck: None,
            },
        }
    }

    /// The options. Default [`ServerConfig::default`].
    pub fn config(mut self, config: ServerConfig) -> Self {
        self.config = config;
        self
    }

    /// The handlers of what clients say. Default none. What a router does not handle is dropped, and
    /// a call fails.
    ///
    /// Besides what every handler can ask for, these can ask for the
    /// [`Sender`](crate::Sender) of an event and for the [`Server`].
    pub fn router<S: Clone + Send + Sync + 'static>(mut self, router: Router<S>) -> Self {
        self.routes = Arc::new(router);
        self
    }

    /// The rules by which WebSockets and Ajax are let in. Default [`Admission::default`], which
    /// refuses all of them for want of a CSRF token, until it is said where that is. Clients that
    /// speak sente-lite need no client id.
    pub fn admission(mut self, admission: Admission) -> Self {
        self.hooks.rules = Rules::new(admission);
        self
    }

    /// Lets everybody in over WebSocket and Ajax, whatever page it comes from: for a server that is
    /// reached by programs, not by browsers.
    pub fn let_everybody_in(self) -> Self {
        self.admission(Admission::new(CsrfCheck::skip()))
    }

    /// Asked of a request that passed the checks, and may take its time: who it is, or why it is
    /// refused. Default: what the admission's `user_id` and `handshake_data` say.
    pub fn admit<F, R>(mut self, hook: F) -> Self
    where
        F: Fn(Incoming) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Admitted, Refusal>> + Send + 'static,
    {
        self.hooks.admit = Some(Arc::new(move |incoming| Box::pin(hook(incoming))));
        self
    }

    /// Asked of a client on a byte stream: who it is, or `None` to turn it away. Default: nobody in
    /// particular.
    pub fn admit_stream<F, R>(mut self, hook: F) -> Self
    where
        F: Fn(StreamPeer) -> R + Send + Sync + 'static,
        R: Future<Output = Option<Identity>> + Send + 'static,
    {
        self.hooks.stream = Some(Arc::new(move |peer| Box::pin(hook(peer))));
        self
    }

    /// Asked when [`Recheck`](crate::Recheck) says so: whether the identity of a connection still
    /// holds, and until when. `None` closes the connection, with code 1008. Only the end of what it
    /// gives counts. Default: it holds until it expires.
    pub fn recheck<F, R>(mut self, hook: F) -> Self
    where
        F: Fn(Sender) -> R + Send + Sync + 'static,
        R: Future<Output = Option<Identity>> + Send + 'static,
    {
        self.hooks.recheck = Some(Arc::new(move |sender| Box::pin(hook(sender))));
        self
    }

    /// The application's own check of what clients do: see [`Guard`]. The same as the hub's in the
    /// options.
    pub fn guard(mut self, guard: impl Guard + 'static) -> Self {
        self.config.hub.guard = Some(Arc::new(guard));
        self
    }

    /// The server. Its timers run on the tokio runtime this is called on.
    ///
    /// # Errors
    /// The system's, if it gives no random numbers.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn build(self) -> io::Result<Server> {
        Server::start(self)
    }
}

impl fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Hooks {
    /// Whether a request may come in, and as whom, once the rules let it.
    pub(crate) async fn admit(&self, incoming: Incoming) -> Result<Admitted, Refusal> {
        match &self.admit {
            Some(hook) => hook(incoming).await,
            None => {
                let identity = self.rules.identify(&incoming);
                Ok(incoming.accept(identity))
            }
        }
    }

    /// `None` where the application has nothing to say.
    pub(crate) fn recheck(&self, sender: Sender) -> Option<BoxFuture<Option<Identity>>> {
        self.recheck.as_ref().map(|hook| hook(sender))
    }

    pub(crate) fn admit_stream(&self, peer: StreamPeer) -> BoxFuture<Option<Identity>> {
        match &self.stream {
            Some(hook) => hook(peer),
            None => Box::pin(ready(Some(Identity::nobody()))),
        }
    }
}
