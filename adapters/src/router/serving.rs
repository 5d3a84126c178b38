//! The loop that has a router's handlers answer what arrives on one connection.

use std::any::Any;
use std::fmt;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use http::Extensions;
use sente_core::{Connection, ConnectionEvent, EventId, Message};

use crate::dispatch::message_of;
use crate::engine::Engine;
use crate::events::Events;
use crate::router::Router;
use crate::router::answer::Answer;
use crate::router::context::Context;
use crate::router::handler::Route;

/// How long a peer that has half-closed may take to read its answers.
const FINISHING: Duration = Duration::from_secs(5);

impl<S: Clone + Send + Sync + 'static> Router<S> {
    /// Serves the connection or client that `events` belong to, as long as the result is
    /// [`run`](Serving::run) or asked for its [`next`](Serving::next).
    #[must_use]
    pub fn serve<M: Engine>(&self, events: Events<M>) -> Serving<S, M> {
        Serving {
            router: self.clone(),
            events,
            extensions: Extensions::new(),
            at_once: 1,
            at_work: FuturesUnordered::new(),
            last: None,
            failures: 0,
        }
    }
}

/// A connection that a [`Router`] serves.
///
/// Handlers run on the task that awaits this, one after the other in the order of the events, unless
/// [`concurrency`](Self::concurrency) is asked for. While as many are at work as may be, nothing is
/// taken from the connection: a slow handler is backpressure for its peer. What handlers began
/// before the connection ended they finish.
pub struct Serving<S = (), M: Engine = Connection> {
    router: Router<S>,
    events: Events<M>,
    extensions: Extensions,
    at_once: usize,
    at_work: FuturesUnordered<BoxFuture<'static, Result<(), HandlerFailure>>>,
    /// Told once the handlers that began before it are done.
    last: Option<M::Event>,
    failures: u64,
}

/// What comes of serving, besides answers.
#[derive(Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "it was for a handler, and went well, or not"
)]
pub enum Routed<O> {
    /// What is not for handlers, and messages that none is for; of these only those that nobody
    /// waits for the answer of: a call that is for nobody has failed already.
    Event(O),
    /// A handler failed or panicked.
    Failed(HandlerFailure),
}

/// What went wrong in a handler. Its caller was told that the call failed, but not why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the handler of {event} {}: {message}", if *.panicked { "panicked" } else { "failed" })]
#[non_exhaustive]
pub struct HandlerFailure {
    /// The event.
    pub event: EventId,
    /// Whether it panicked.
    pub panicked: bool,
    /// What it said.
    pub message: String,
}

impl<S: Clone + Send + Sync + 'static, M: Engine> Serving<S, M> {
    /// Lets up to so many handlers of this connection run at once; their answers then come in the
    /// order in which they finish. Default 1.
    #[must_use]
    pub fn concurrency(mut self, handlers: NonZeroUsize) -> Self {
        self.at_once = handlers.get();
        self
    }

    /// Gives handlers `value` as [`Extension<T>`](crate::Extension): an identity, the opening
    /// request.
    #[must_use]
    pub fn extension<T: Clone + Send + Sync + 'static>(mut self, value: T) -> Self {
        self.extensions.insert(value);
        self
    }

    /// How many calls of handlers have failed or panicked.
    #[must_use]
    pub const fn failures(&self) -> u64 {
        self.failures
    }

    /// Runs handlers until there is something else to tell; `None` after the end, as with
    /// [`Events::next`].
    ///
    /// # Cancel safety
    /// Safe: nothing is lost, and handlers at work go on with the next call.
    pub async fn next(&mut self) -> Option<Routed<M::Event>> {
        loop {
            if self.at_work.is_empty()
                && let Some(last) = self.last.take()
            {
                return Some(Routed::Event(last));
            }
            let may_take = self.at_work.len() < self.at_once && self.last.is_none();
            tokio::select! {
                Some(done) = self.at_work.next() => {
                    if let Err(failure) = done {
                        self.failures = self.failures.saturating_add(1);
                        tracing::warn!("{failure}");
                        return Some(Routed::Failed(failure));
                    }
                }
                event = self.events.next(), if may_take => {
                    let Some(event) = event else {
                        // Those who are still at work are done first.
                        if self.at_work.is_empty() {
                            return None;
                        }
                        self.at_once = 0;
                        continue;
                    };
                    if let Some(other) = self.take(event) {
                        return Some(Routed::Event(other));
                    }
                }
                else => return None,
            }
        }
    }

    /// Runs handlers until the end. What is not for them is dropped, and logged where it says that
    /// something is wrong; a peer that half-closes gets its answers within five seconds.
    ///
    /// # Cancel safety
    /// Dropped, handlers are dropped where they stand, their callers told that the calls failed,
    /// and what arrives later is discarded.
    pub async fn run(mut self) {
        while let Some(routed) = self.next().await {
            let Routed::Event(event) = routed else {
                continue;
            };
            match M::of_link(event) {
                Ok(ConnectionEvent::PeerFinished) => self.events.handle().drain(FINISHING),
                Ok(ConnectionEvent::Message(message)) => {
                    tracing::debug!("nobody handles {}", message.event.id);
                }
                Ok(ConnectionEvent::BadEvent(bad)) => tracing::warn!("{bad:?}"),
                Ok(other) => tracing::trace!("{other:?}"),
                Err(other) => tracing::trace!("{other:?}"),
            }
        }
    }

    /// Begins what an event is for; gives back what is for nobody.
    fn take(&mut self, event: M::Event) -> Option<M::Event> {
        if M::ends_link(&event) && !self.at_work.is_empty() {
            self.last = Some(event);
            return None;
        }
        let message = match M::of_link(event) {
            Ok(ConnectionEvent::Message(message)) => message,
            Ok(other) => return Some(M::told_of_link(other)),
            Err(other) => return Some(other),
        };
        if !self.router.handles(&message.event.id) {
            return self
                .unhandled(message)
                .map(ConnectionEvent::Message)
                .map(M::told_of_link);
        }
        let state = self.router.state().clone();
        let context = Context::new(
            message,
            self.events.handle(),
            state,
            self.extensions.clone(),
        );
        let work = self.router.call(context);
        self.at_work.extend(work.map(FutureExt::boxed));
        None
    }

    fn unhandled(&self, mut message: Message) -> Option<Message> {
        let Some(token) = message.reply.take() else {
            return Some(message);
        };
        tracing::debug!("nobody handles {}: its caller is told", message.event.id);
        // It fails only where the caller is gone.
        let _ = self.events.handle().reply_error(token);
        None
    }
}

impl<S, M: Engine> fmt::Debug for Serving<S, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving")
            .field("router", &self.router)
            .field("at_work", &self.at_work.len())
            .field("failures", &self.failures)
            .finish_non_exhaustive()
    }
}

/// Runs a handler and answers for it.
pub(super) async fn call<S>(
    route: Route<S>,
    mut context: Context<S>,
) -> Result<(), HandlerFailure> {
    // Dropped before it is used, it tells the caller that the call failed.
    let responder = context.take_responder();
    let is_call = responder.is_some();
    let event = context.event().id.clone();
    let connection = context.connection().clone();
    let failure = |panicked, message| HandlerFailure {
        event: event.clone(),
        panicked,
        message,
    };
    let panic = |payload: Box<dyn Any + Send>| failure(true, message_of(payload));
    // What a handler leaves half done is its own; nothing of the engine is in its reach.
    let work = catch_unwind(AssertUnwindSafe(|| route.call(&context))).map_err(panic)?;
    drop(context);
    let answer = AssertUnwindSafe(work).catch_unwind().await.map_err(panic)?;
    let payload = match answer {
        Answer::Failed(message) => return Err(failure(false, message)),
        Answer::Nothing => {
            if let Some(responder) = responder {
                responder.forget();
            }
            return Ok(());
        }
        Answer::Event(event) if !is_call => {
            return connection
                .send(event)
                .await
                .map_err(|error| failure(false, format!("its event was not sent: {error}")));
        }
        Answer::Event(event) => event
            .to_value()
            .map_err(|error| failure(false, format!("its event is no answer: {error}")))?
            .into(),
        Answer::Reply(payload) => payload,
    };
    match responder.map(|responder| responder.reply(payload)) {
        // A caller that is gone needs no answer.
        None | Some(Ok(()) | Err(sente_core::ReplyError::NotOpen(_))) => Ok(()),
        Some(Err(error)) => Err(failure(false, format!("its answer was not sent: {error}"))),
    }
}
