//! Streams of some of the events, and the next of them, from a handle.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use futures_util::future::poll_fn;
use sente_core::{Connection, Event, Gone, HandlerId, Pattern, ReplyToken};

use crate::dispatch::Responder;
use crate::engine::Engine;
use crate::handle::Handle;
use crate::subscriptions::{EventQueue, StreamLimits, Subscriptions};

impl<M: Engine> Handle<M> {
    /// The events that `pattern` says as a [`Stream`], from now on and over reconnects: those of one
    /// [`EventId`](sente_core::EventId), or of a whole [`Pattern::Namespace`].
    ///
    /// What a stream takes does not come from [`Events`](crate::Events) as well, nor is it shown to
    /// handlers that are run from there. Of several streams that want the same event, each gets it,
    /// and the first registered the right to answer.
    ///
    /// **Events come past somebody**: streams are filled while `Events` is read, by whoever reads it,
    /// or once it is dropped. An `Events` that is held and not read holds up the streams, too, since
    /// what is for it stands before what is for them. Where there is nothing else to read, drop it.
    ///
    /// The predicate of a [`Pattern::When`] runs under the connection's lock: it must not use a handle.
    ///
    /// A stream that is not read holds up nobody: beyond its [`StreamLimits`] the oldest event that
    /// waits is dropped for the new one, counted in [`EventStream::missed`], and, where it is a call,
    /// answered with an error.
    ///
    /// ```no_run
    /// use sente_adapters::{ConnectOptions, connect};
    /// use sente_core::EventId;
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let url = "tcp://127.0.0.1:4000".parse()?;
    /// let (handle, events) = connect(&url, &ConnectOptions::default()).await?;
    /// let mut prices = handle.on(EventId::new("price/changed")?);
    /// drop(events);
    /// while let Some(price) = prices.next().await {
    ///     println!("{:?}", price.event().data);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "dropped, the stream takes nothing any more"]
    pub fn on(&self, pattern: impl Into<Pattern>) -> EventStream<M> {
        self.on_with(pattern, StreamLimits::default())
    }

    /// The same, and how much may wait.
    #[must_use = "dropped, the stream takes nothing any more"]
    pub fn on_with(&self, pattern: impl Into<Pattern>, limits: StreamLimits) -> EventStream<M> {
        EventStream(self.subscribe(|all| all.on(pattern.into(), limits)))
    }

    /// The next event that `pattern` says, as a future that waits for it from now on, also before it
    /// is first polled: an answer to what is sent next cannot be missed. As with [`on`](Self::on) it
    /// does not come from [`Events`](crate::Events) as well, and comes past whoever reads that.
    ///
    /// [`Pattern::RequestId`] waits for the answer to a question that was sent as an ordinary event.
    #[must_use = "a future waits for nothing unless it is awaited"]
    pub fn take(&self, pattern: impl Into<Pattern>) -> Take<M> {
        Take(self.subscribe(|all| all.take(pattern.into())))
    }

    fn subscribe(
        &self,
        register: impl FnOnce(&mut Subscriptions) -> (HandlerId, Arc<EventQueue>),
    ) -> Subscribed<M> {
        let mut inner = self.shared.lock();
        let is_over = inner.is_told_out();
        let all = inner.subscriptions.get_or_insert_default();
        let (id, queue) = register(all);
        if is_over {
            queue.end();
        }
        drop(inner);
        Subscribed {
            handle: self.clone(),
            id,
            queue,
        }
    }
}

/// Some of the events of a connection or a client, one after the other, from [`Handle::on`]. It counts
/// as a handle of the connection, which does not close for want of others.
///
/// Dropped, it takes no more; calls that still waited in it are answered with an error.
#[derive(Debug)]
pub struct EventStream<M: Engine = Connection>(Subscribed<M>);

impl<M: Engine> EventStream<M> {
    /// The next event; `None` once the connection has ended and all have been taken, or a client's
    /// task is gone.
    ///
    /// # Cancel safety
    /// Safe: no event is lost.
    pub async fn next(&mut self) -> Option<Arrived<M>> {
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

impl<M: Engine> Stream for EventStream<M> {
    type Item = Arrived<M>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Arrived<M>>> {
        self.0.poll(cx)
    }
}

/// The next event of a kind, from [`Handle::take`].
///
/// Comes with [`Gone::Closed`] where the link ends first, that of a client, too: who was asked cannot
/// answer any more.
///
/// # Cancel safety
/// Dropped, it waits no longer, and the event goes where it would have gone without; one that has come
/// already and was not looked at goes with it, and a call is answered with an error.
#[derive(Debug)]
#[must_use = "a future waits for nothing unless it is awaited"]
pub struct Take<M: Engine = Connection>(Subscribed<M>);

impl<M: Engine> Future for Take<M> {
    type Output = Result<Arrived<M>, Gone>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(cx).map(|taken| taken.ok_or(Gone::Closed))
    }
}

/// An event that was taken past [`Events`](crate::Events).
///
/// One that its sender waits on is answered with an error when this is dropped, unless somebody has
/// [taken the right to answer](Self::take_reply).
#[derive(Debug)]
pub struct Arrived<M: Engine = Connection> {
    event: Event,
    responder: Option<Responder<M>>,
}

impl<M: Engine> Arrived<M> {
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

    /// Whether the sender waits for an answer.
    #[must_use]
    pub const fn wants_reply(&self) -> bool {
        self.responder.is_some()
    }

    /// The right to answer, once; `None` for an event nobody waits on, and for a second stream that
    /// took the same event.
    #[must_use = "a responder that is dropped answers with an error"]
    pub const fn take_reply(&mut self) -> Option<Responder<M>> {
        self.responder.take()
    }
}

/// A place among those who take events.
#[derive(Debug)]
struct Subscribed<M: Engine> {
    handle: Handle<M>,
    id: HandlerId,
    queue: Arc<EventQueue>,
}

impl<M: Engine> Subscribed<M> {
    fn poll(&self, cx: &Context<'_>) -> Poll<Option<Arrived<M>>> {
        let next = self.queue.poll_pop(cx);
        next.map(|next| next.map(|next| self.arrived(next)))
    }

    fn arrived(&self, (event, reply): (Event, Option<ReplyToken>)) -> Arrived<M> {
        let responder = reply.map(|token| Responder::new(self.handle.clone(), token));
        Arrived { event, responder }
    }
}

impl<M: Engine> Drop for Subscribed<M> {
    fn drop(&mut self) {
        if let Some(all) = &mut self.handle.shared.lock().subscriptions {
            all.off(self.id);
        }
        for token in self.queue.clear().into_iter().flatten() {
            // It fails only where the caller is gone.
            let _ = self.handle.reply_error(token);
        }
    }
}
