//! Who sent an event, as its handler sees it, and the handlers without the type of their state.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use http::Extensions;
use sente_adapters::{
    AnyHandle, Context, Extension, FromContext, HandlerFailure, MissingExtension, Router,
};
use sente_core::admission::Request;
use sente_core::{ConnId, Event, Message, Peer, SendError, UserId};

use crate::server::Server;

/// Who sent an event: an argument that handlers of a [`Server`] can ask for.
///
/// ```
/// use sente_adapters::{Data, Router};
/// use sente_server::Sender;
///
/// async fn whoami(sender: Sender) -> Option<String> {
///     sender.user().map(|user| user.to_string())
/// }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let router = Router::new().on("test/whoami", whoami)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Sender(Arc<Sent>);

struct Sent {
    peer: Peer,
    request: Option<Arc<Request>>,
    server: Server,
}

impl Sender {
    pub(crate) fn new(peer: Peer, request: Option<Arc<Request>>, server: Server) -> Self {
        Self(Arc::new(Sent {
            peer,
            request,
            server,
        }))
    }

    /// The connection, and whose it is.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.0.peer
    }

    /// The connection.
    #[must_use]
    pub fn connection(&self) -> ConnId {
        self.0.peer.connection
    }

    /// Whose connection it is, as the application established, or the name for nobody.
    #[must_use]
    pub fn user(&self) -> Option<&UserId> {
        self.0.peer.user.as_ref()
    }

    /// The request the connection came with. None on byte streams, and where the server is not to
    /// keep them.
    #[must_use]
    pub fn request(&self) -> Option<&Request> {
        self.0.request.as_deref()
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.0.server
    }

    /// Sends `event` to this connection, behind what the server has sent to it, and waits for room
    /// while it is behind. An [`AnyHandle`] does not queue behind what waits in the inbox.
    ///
    /// # Errors
    /// [`SendError`] gives the event back.
    pub async fn send(&self, event: Event) -> Result<(), SendError> {
        self.0.server.send(self.connection(), event).await
    }
}

impl<S> FromContext<S> for Sender {
    type Rejection = MissingExtension;

    fn from_context(context: &Context<S>) -> Result<Self, MissingExtension> {
        Extension::from_context(context).map(|Extension(sender)| sender)
    }
}

impl<S> FromContext<S> for Server {
    type Rejection = MissingExtension;

    fn from_context(context: &Context<S>) -> Result<Self, MissingExtension> {
        let sender = Sender::from_context(context)?;
        Ok(sender.0.server.clone())
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sender").field(&self.0.peer).finish()
    }
}

/// A handler at work.
pub(crate) type Work = Pin<Box<dyn Future<Output = Result<(), HandlerFailure>> + Send>>;

/// A [`Router`] without the type of its state.
pub(crate) trait Routes: Send + Sync {
    /// Begins what `message` is for. `None` if there is no handler; whoever called has been told.
    fn begin(&self, message: Message, connection: AnyHandle, sender: Sender) -> Option<Work>;
}

impl<S: Clone + Send + Sync + 'static> Routes for Router<S> {
    fn begin(&self, message: Message, connection: AnyHandle, sender: Sender) -> Option<Work> {
        let mut extensions = Extensions::new();
        extensions.insert(sender);
        let context = Context::of_any(message, connection, self.state().clone(), extensions);
        let work = self.call(context)?;
        Some(Box::pin(work))
    }
}
