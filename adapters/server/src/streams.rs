//! Streams of some of the events that clients send, and the next of them.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_util::Stream;
use sente_adapters::{EventQueue, StreamLimits, Subscriptions};
use sente_core::{
    ConnId, Event, Gone, HandlerId, Message, Pattern, Payload, ReplyError, ReplyToken,
};

use crate::line::{Wire, lock};
use crate::sender::Sender;
use crate::server::{Inner, Server};
use crate::state::ServerState;

/// All that take events past the handlers. Its lock comes after that of the room.
pub(crate) type Streams = Mutex<Subscriptions<Taken>>;

impl Server {
    /// The events that `pattern` says, from any connection, as a [`Stream`] from now on: those of one
    /// [`EventId`](sente_core::EventId), or of a whole [`Pattern::Namespace`].
    ///
    /// What a stream takes is not shown to the handlers of the router as well. What the guard or a
    /// rate refuses and what is said on channels does not come here. Of several streams that want the
    /// same event, each gets it, and the first registered the right to answer. The events of one
    /// connection come in their order.
    ///
    /// A stream that is not read holds up nobody: beyond its [`StreamLimits`] the oldest event that
    /// waits is dropped for the new one, counted in [`ServerEventStream::missed`], and, where it is a
    /// call, answered with an error.
    ///
    /// ```no_run
    /// use sente_core::EventId;
    /// # async fn example(server: sente_server::Server) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut said = server.on(EventId::new("chat/say")?);
    /// while let Some(arrived) = said.next().await {
    ///     println!("{:?}: {:?}", arrived.sender().user(), arrived.event().data);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "dropped, the stream takes nothing any more"]
    pub fn on(&self, pattern: impl Into<Pattern>) -> ServerEventStream {
        self.on_with(pattern, StreamLimits::default())
    }

    /// The same, and how much may wait.
    #[must_use = "dropped, the stream takes nothing any more"]
    pub fn on_with(&self, pattern: impl Into<Pattern>, limits: StreamLimits) -> ServerEventStream {
        ServerEventStream(self.subscribe(|all| all.on(pattern.into(), limits)))
    }

    /// The next event that `pattern` says, from any connection, as a future that waits for it from
    /// now on, also before it is first polled. As with [`on`](Self::on) no handler sees it as well.
    #[must_use = "a future waits for nothing unless it is awaited"]
    pub fn take(&self, pattern: impl Into<Pattern>) -> ServerTake {
        ServerTake(self.subscribe(|all| all.take(pattern.into())))
    }

    /// The same, from one connection: nobody else can answer in its place.
    /// [`Pattern::RequestId`] waits for the answer to a question that was sent as an ordinary event.
    #[must_use = "a future waits for nothing unless it is awaited"]
    pub fn take_from(&self, connection: ConnId, pattern: impl Into<Pattern>) -> ServerTake {
        let subscribed = self.subscribe(|all| all.take_from(connection, pattern.into()));
        // Whoever leaves from now on ends it.
        if self.line(connection).is_none() {
            subscribed.queue.end();
        }
        ServerTake(subscribed)
    }

    fn subscribe(
        &self,
        register: impl FnOnce(&mut Subscriptions<Taken>) -> (HandlerId, Arc<EventQueue<Taken>>),
    ) -> Subscribed {
        let mut all = lock(self.inner.streams.get_or_init(Box::default));
        let (id, queue) = register(&mut all);
        // Under the lock: the end that comes later finds it.
        if self.state() == ServerState::Closed {
            queue.end();
        }
        drop(all);
        Subscribed {
            server: self.clone(),
            id,
            queue,
        }
    }

    /// Shows a message to those who take it past the handlers; gives it back if nobody does.
    pub(crate) fn offer(
        &self,
        message: Message,
        sender: &Sender,
        line: &Arc<impl Wire + 'static>,
    ) -> Option<Message> {
        let Some(streams) = self.inner.streams.get() else {
            return Some(message);
        };
        let mut dropped = Vec::new();
        let rights = |reply: Option<ReplyToken>| Taken {
            sender: sender.clone(),
            responder: reply.map(|token| ServerResponder {
                line: line.clone(),
                token: Some(token),
            }),
        };
        let peer = Some(sender.peer());
        let left = lock(streams).offer(message, peer, rights, &mut dropped);
        // Callers hear of it without the lock.
        drop(dropped);
        left
    }
}

impl Inner {
    /// A connection is gone, and what was to come from it does not come.
    pub(crate) fn end_streams_of(&self, connection: ConnId) {
        if let Some(streams) = self.streams.get() {
            lock(streams).link_ended_of(connection);
        }
    }

    /// Nothing more comes.
    pub(crate) fn end_streams(&self) {
        if let Some(streams) = self.streams.get() {
            lock(streams).end();
        }
    }
}

/// Some of the events that the clients of a server send, one after the other, from [`Server::on`]. It
/// counts as a handle of the server.
///
/// Dropped, it takes no more; calls that still waited in it are answered with an error.
#[derive(Debug)]
pub struct ServerEventStream(Subscribed);

impl ServerEventStream {
    /// The next event; `None` once the server is [closed](ServerState::Closed) and all have been
    /// taken.
    ///
    /// # Cancel safety
    /// Safe: no event is lost.
    pub async fn next(&mut self) -> Option<ServerArrived> {
        poll_fn(|cx| self.0.poll(cx)).await
    }

    /// How many events were dropped so far, since they were not taken in time.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.0.queue.missed()
    }

    /// How many events wait to be taken.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.queue.len()
    }
}

impl Stream for ServerEventStream {
    type Item = ServerArrived;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ServerArrived>> {
        self.0.poll(cx)
    }
}

/// The next event of a kind, from [`Server::take`] and [`Server::take_from`].
///
/// Comes with [`Gone::Closed`] where the server is closed first, or the one connection it was to come
/// from ends or is not there.
///
/// # Cancel safety
/// Dropped, it waits no longer, and the event goes where it would have gone without; one that has come
/// already and was not looked at goes with it, and a call is answered with an error.
#[derive(Debug)]
#[must_use = "a future waits for nothing unless it is awaited"]
pub struct ServerTake(Subscribed);

impl Future for ServerTake {
    type Output = Result<ServerArrived, Gone>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(cx).map(|taken| taken.ok_or(Gone::Closed))
    }
}

/// An event that was taken past the handlers of a server, and who sent it.
///
/// One that its sender waits on is answered with an error when this is dropped, unless somebody has
/// [taken the right to answer](Self::take_reply).
#[derive(Debug)]
pub struct ServerArrived {
    event: Event,
    taken: Taken,
}

impl ServerArrived {
    /// The event.
    #[must_use]
    pub const fn event(&self) -> &Event {
        &self.event
    }

    /// The event alone; a call is answered with an error.
    #[must_use]
    pub fn into_event(self) -> Event {
        self.event
    }

    /// Who sent it: the connection, whose that is, and what to answer with.
    #[must_use]
    pub const fn sender(&self) -> &Sender {
        &self.taken.sender
    }

    /// Whether the sender waits for an answer.
    #[must_use]
    pub const fn wants_reply(&self) -> bool {
        self.taken.responder.is_some()
    }

    /// The right to answer, once; `None` for an event nobody waits on, and for a second stream that
    /// took the same event.
    #[must_use = "a responder that is dropped answers with an error"]
    pub const fn take_reply(&mut self) -> Option<ServerResponder> {
        self.taken.responder.take()
    }
}

/// The right to answer one call of a client. Dropped, it answers with an error.
#[must_use = "a responder that is dropped answers with an error"]
pub struct ServerResponder {
    line: Arc<dyn Wire>,
    /// `None` once it is used.
    token: Option<ReplyToken>,
}

impl ServerResponder {
    /// Answers the call.
    ///
    /// # Errors
    /// [`ReplyError`] gives the payload back; also when the connection the call came on is gone.
    pub fn reply(mut self, payload: impl Into<Payload>) -> Result<(), ReplyError> {
        match self.token.take() {
            Some(token) => self.line.reply(token, payload.into()),
            None => Err(ReplyError::NotOpen(Box::new(payload.into()))),
        }
    }

    /// Says that nobody will answer, and does not tell the caller.
    pub fn forget(mut self) {
        if let Some(token) = self.token.take() {
            self.line.forget(token);
        }
    }
}

impl Drop for ServerResponder {
    fn drop(&mut self) {
        if let Some(token) = self.token.take() {
            self.line.reply_error(token);
        }
    }
}

impl fmt::Debug for ServerResponder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServerResponder").field(&self.token).finish()
    }
}

/// What comes with an event that is taken.
#[derive(Debug)]
pub(crate) struct Taken {
    sender: Sender,
    responder: Option<ServerResponder>,
}

/// A place among those who take events.
#[derive(Debug)]
struct Subscribed {
    server: Server,
    id: HandlerId,
    queue: Arc<EventQueue<Taken>>,
}

impl Subscribed {
    fn poll(&self, cx: &Context<'_>) -> Poll<Option<ServerArrived>> {
        let next = self.queue.poll_pop(cx);
        next.map(|next| next.map(|(event, taken)| ServerArrived { event, taken }))
    }
}

impl Drop for Subscribed {
    fn drop(&mut self) {
        if let Some(streams) = self.server.inner.streams.get() {
            lock(streams).off(self.id);
        }
        // Those who wait for an answer get an error, without a lock.
        drop(self.queue.clear());
    }
}
