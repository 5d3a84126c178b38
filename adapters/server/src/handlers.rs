//! What is done with events: asynchronous handlers, shared by all connections.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use sente_core::admission::Request;
use sente_core::edn::Value;
use sente_core::{
    ConnId, Event, EventId, EventIdError, Message, Payload, Peer, ReplyError, ReplyToken,
    SendError, UserId,
};

use crate::line::Wire;
use crate::server::Server;

/// The handlers of a server. Every one that an event is for sees it, in the order of registration,
/// one after the other; those of different connections run side by side.
///
/// While a handler of a connection runs, nothing more is taken from that connection: not being ready
/// is backpressure. One that would take long spawns a task, and takes the [`Responder`] along.
///
/// What a handler returns is the reply, where the event is a call: the first that is not
/// [`Answer::Nothing`] counts. A call that nobody answers is answered with an error; so is one whose
/// handler panicked. A panic is caught, counted, logged, and told as
/// [`ServerEvent::HandlerPanicked`](crate::ServerEvent::HandlerPanicked).
///
/// ```
/// use sente_server::{Handlers, Received};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let handlers = Handlers::new()
///     .on("test/double", async |received: Received| {
///         let number = received.data().and_then(|data| data.as_i64());
///         number.map(|number| number.saturating_mul(2))
///     })?
///     .on_namespace("log", async |received: Received| {
///         println!("{:?} {}", received.user(), received.event().id);
///     });
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct Handlers {
    all: Vec<Arc<Handler>>,
    by_id: HashMap<EventId, Vec<usize>>,
    by_namespace: HashMap<String, Vec<usize>>,
    any: Vec<usize>,
    otherwise: Option<Arc<Handler>>,
}

type Handler = dyn Fn(Received) -> BoxFuture<Answer> + Send + Sync;
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl Handlers {
    /// No handlers: every call is answered with an error, and every event is dropped.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// For events of this id.
    ///
    /// # Errors
    /// [`EventIdError`] if `id` is none, such as `chat/say`.
    pub fn on<F, R, A>(mut self, id: &str, handler: F) -> Result<Self, EventIdError>
    where
        F: Fn(Received) -> R + Send + Sync + 'static,
        R: Future<Output = A> + Send + 'static,
        A: Into<Answer>,
    {
        let place = self.add(handler);
        let id = EventId::new(id)?;
        self.by_id.entry(id).or_default().push(place);
        Ok(self)
    }

    /// For events whose id has this namespace.
    #[must_use]
    pub fn on_namespace<F, R, A>(mut self, namespace: &str, handler: F) -> Self
    where
        F: Fn(Received) -> R + Send + Sync + 'static,
        R: Future<Output = A> + Send + 'static,
        A: Into<Answer>,
    {
        let place = self.add(handler);
        let places = self.by_namespace.entry(namespace.to_owned());
        places.or_default().push(place);
        self
    }

    /// For every event.
    #[must_use]
    pub fn on_any<F, R, A>(mut self, handler: F) -> Self
    where
        F: Fn(Received) -> R + Send + Sync + 'static,
        R: Future<Output = A> + Send + 'static,
        A: Into<Answer>,
    {
        let place = self.add(handler);
        self.any.push(place);
        self
    }

    /// For every event that no other handler is for.
    #[must_use]
    pub fn otherwise<F, R, A>(mut self, handler: F) -> Self
    where
        F: Fn(Received) -> R + Send + Sync + 'static,
        R: Future<Output = A> + Send + 'static,
        A: Into<Answer>,
    {
        self.otherwise = Some(boxed(handler));
        self
    }

    fn add<F, R, A>(&mut self, handler: F) -> usize
    where
        F: Fn(Received) -> R + Send + Sync + 'static,
        R: Future<Output = A> + Send + 'static,
        A: Into<Answer>,
    {
        self.all.push(boxed(handler));
        self.all.len().saturating_sub(1)
    }

    /// Those that an event is for, in the order of registration.
    fn find(&self, id: &EventId) -> Vec<Arc<Handler>> {
        let by_id = self.by_id.get(id).into_iter().flatten();
        let by_namespace = self.by_namespace.get(id.namespace()).into_iter().flatten();
        let mut places: Vec<usize> = by_id
            .chain(by_namespace)
            .chain(&self.any)
            .copied()
            .collect();
        places.sort_unstable();
        let found = places.into_iter();
        let mut found: Vec<_> = found.filter_map(|at| self.all.get(at).cloned()).collect();
        if found.is_empty() {
            found.extend(self.otherwise.clone());
        }
        found
    }

    /// Shows a message to those it is for. Gives back what the panics said.
    pub(crate) async fn show(
        &self,
        message: Message,
        peer: Peer,
        request: Option<Arc<Request>>,
        server: &Server,
        wire: &Arc<dyn Wire>,
    ) -> Shown {
        let handlers = self.find(&message.event.id);
        let mut shown = Shown {
            seen: handlers.len(),
            panics: Vec::new(),
        };
        let responder = message.reply.map(|token| Responder {
            wire: wire.clone(),
            token: Some(token),
        });
        let received = Received {
            event: message.event,
            peer,
            request,
            server: server.clone(),
            wire: wire.clone(),
            responder: responder.map(|responder| Arc::new(Mutex::new(Some(responder)))),
        };
        for handler in handlers {
            // What a handler leaves half done is its own.
            let made = catch_unwind(AssertUnwindSafe(|| handler(received.clone())));
            let answer = match made {
                Ok(future) => caught(future).await,
                Err(panic) => Err(message_of(panic)),
            };
            match answer {
                Ok(answer) => received.answer(answer),
                Err(panic) => {
                    // Whoever called is told now.
                    drop(received.take_reply());
                    shown.panics.push(panic);
                }
            }
        }
        shown
    }
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handlers")
            .field("count", &self.all.len())
            .field("ids", &self.by_id.len())
            .field("namespaces", &self.by_namespace.len())
            .finish_non_exhaustive()
    }
}

/// What became of showing a message.
pub(crate) struct Shown {
    /// How many handlers saw it.
    pub(crate) seen: usize,
    /// What those said that panicked.
    pub(crate) panics: Vec<String>,
}

/// An event as a handler sees it, and what the handler can do about it.
#[derive(Clone)]
pub struct Received {
    event: Event,
    peer: Peer,
    request: Option<Arc<Request>>,
    server: Server,
    wire: Arc<dyn Wire>,
    responder: Option<Arc<Mutex<Option<Responder>>>>,
}

impl Received {
    /// The event.
    #[must_use]
    pub const fn event(&self) -> &Event {
        &self.event
    }

    /// What the event carries, read. `None` where it carries nothing.
    #[must_use]
    pub fn data(&self) -> Option<Value> {
        // What does not read was told as a bad event and is not here.
        self.event.data.as_ref()?.to_value().ok()
    }

    /// The connection it came on, and whose that is.
    #[must_use]
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The connection it came on.
    #[must_use]
    pub const fn connection(&self) -> ConnId {
        self.peer.connection
    }

    /// Whose connection it came on, as the application established, or the name for nobody.
    #[must_use]
    pub const fn user(&self) -> Option<&UserId> {
        self.peer.user.as_ref()
    }

    /// The request the connection came with. None on byte streams, and where the server is not to
    /// keep them.
    #[must_use]
    pub fn request(&self) -> Option<&Request> {
        self.request.as_deref()
    }

    /// The server.
    #[must_use]
    pub const fn server(&self) -> &Server {
        &self.server
    }

    /// Sends `event` to where this one came from, waiting for room while the peer is behind.
    ///
    /// # Errors
    /// [`SendError`] gives the event back.
    pub async fn send(&self, event: Event) -> Result<(), SendError> {
        self.wire.clone().send(event).await
    }

    /// Whether the sender waits for an answer that no handler has given or taken upon itself.
    #[must_use]
    pub fn wants_reply(&self) -> bool {
        let responder = self.responder.as_ref();
        responder.is_some_and(|it| it.lock().unwrap_or_else(PoisonError::into_inner).is_some())
    }

    /// The right to answer later, once; `None` for an event nobody waits on, and where it was taken.
    #[must_use = "a responder that is dropped answers with an error"]
    pub fn take_reply(&self) -> Option<Responder> {
        let mut responder = self.responder.as_ref()?.lock();
        responder
            .as_mut()
            .unwrap_or_else(|poisoned| poisoned.get_mut())
            .take()
    }

    fn answer(&self, answer: Answer) {
        let payload = match answer {
            Answer::Nothing => return,
            Answer::Reply(payload) => payload,
            Answer::Failed => {
                drop(self.take_reply());
                return;
            }
        };
        if let Some(responder) = self.take_reply() {
            // Whoever called is gone where this fails.
            let _ = responder.reply(*payload);
        }
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("event", &self.event)
            .field("peer", &self.peer)
            .field("wants_reply", &self.wants_reply())
            .finish_non_exhaustive()
    }
}

/// What a handler has to say to whoever called.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_enums, reason = "a reply, a failure or neither")]
pub enum Answer {
    /// The call failed.
    Failed,
    /// Nothing: other handlers may, or a [`Responder`] that was taken.
    #[default]
    Nothing,
    /// This.
    Reply(Box<Payload>),
}

impl Answer {
    /// This reply.
    #[must_use]
    pub fn reply(payload: impl Into<Payload>) -> Self {
        Self::Reply(Box::new(payload.into()))
    }
}

impl From<()> for Answer {
    fn from((): ()) -> Self {
        Self::Nothing
    }
}

impl From<Payload> for Answer {
    fn from(payload: Payload) -> Self {
        Self::Reply(Box::new(payload))
    }
}

macro_rules! reply_from {
    ($($type:ty),*) => {
        $(impl From<$type> for Answer {
            fn from(reply: $type) -> Self {
                Self::reply(reply)
            }
        })*
    };
}

reply_from!(Value, &str, String, i64, bool);

/// Nothing where there is nothing.
impl<T: Into<Self>> From<Option<T>> for Answer {
    fn from(reply: Option<T>) -> Self {
        reply.map_or(Self::Nothing, Into::into)
    }
}

/// An error says that the call failed, and is not sent.
impl<T: Into<Self>, E> From<Result<T, E>> for Answer {
    fn from(reply: Result<T, E>) -> Self {
        reply.map_or(Self::Failed, Into::into)
    }
}

/// The right to answer one call, once. Dropped without an answer it tells the caller at once that
/// the call failed.
#[must_use = "dropped, it answers with an error"]
pub struct Responder {
    wire: Arc<dyn Wire>,
    /// `None` once it is used.
    token: Option<ReplyToken>,
}

impl Responder {
    /// Answers the call.
    ///
    /// # Errors
    /// [`ReplyError`] gives the payload back; also when the connection is gone.
    pub fn reply(mut self, payload: impl Into<Payload>) -> Result<(), ReplyError> {
        match self.token.take() {
            Some(token) => self.wire.reply(token, payload.into()),
            None => Err(ReplyError::NotOpen(Box::new(payload.into()))),
        }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if let Some(token) = self.token.take() {
            self.wire.reply_error(token);
        }
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Responder")
    }
}

fn boxed<F, R, A>(handler: F) -> Arc<Handler>
where
    F: Fn(Received) -> R + Send + Sync + 'static,
    R: Future<Output = A> + Send + 'static,
    A: Into<Answer>,
{
    Arc::new(move |received| {
        let future = handler(received);
        Box::pin(async move { future.await.into() })
    })
}

/// Waits for `future`, or for its panic and what that said.
async fn caught<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let mut future = pin!(future);
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
            Err(panic) => Poll::Ready(Err(message_of(panic))),
        }
    })
    .await
}

fn message_of(panic: Box<dyn Any + Send>) -> String {
    let panic = match panic.downcast::<String>() {
        Ok(message) => return *message,
        Err(panic) => panic,
    };
    match panic.downcast::<&'static str>() {
        Ok(message) => (*message).to_owned(),
        Err(panic) => {
            // Dropping what is not known could panic again.
            std::mem::forget(panic);
            String::from("it says nothing")
        }
    }
}
