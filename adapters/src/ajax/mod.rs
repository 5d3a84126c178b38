//! One client over Ajax, as the application sees it and as an HTTP server serves it.

mod driver;
mod machine;

use std::fmt;
use std::io;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use sente_core::ajax::{AjaxConfig, AjaxRequest, AjaxSession, Exchange, Response};
use sente_core::packer::Packer;
use sente_core::{Accept, ConnId, Opened, RecvCapacity, State, Stats};
use tokio::sync::oneshot;

use crate::budget::SharedRecvBudget;
use crate::clock::Clock;
use crate::events::Events;
use crate::handle::{End, Handle};
use crate::runtime::{Runtime, chosen};
use crate::seed::{conn_id, random};
use crate::shared::Shared;
use crate::signal::Signal;
use machine::AjaxFacts;

/// Sends to one client over Ajax. As with a WebSocket, but [`call`](Handle::call) is always refused
/// (`SendError::CallsUnsupported`): who polls has no way to answer.
pub type AjaxHandle = Handle<AjaxSession>;

/// What arrives from one client over Ajax. The same events as over a WebSocket, and `None` after
/// `Closed`.
///
/// Not reading it is backpressure: posts are not taken any more, and whoever sends them is asked to
/// come back.
pub type AjaxEvents = Events<AjaxSession>;

/// What an Ajax session is started with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AjaxStart {
    /// Shared by all sessions of an endpoint.
    pub config: Arc<AjaxConfig>,
    /// The handshake its client is told.
    pub accept: Accept,
    /// What to call the client in messages: its address.
    pub peer: String,
    /// Its id; `None` for a fresh one. Default none.
    pub id: Option<ConnId>,
    /// The budget of received bytes its connections share. Default
    /// [`SharedRecvBudget::of_process`].
    pub budget: Option<SharedRecvBudget>,
    /// The runtime the session lives on. Default: that of the caller.
    pub runtime: Option<Arc<dyn Runtime>>,
}

impl AjaxStart {
    /// The defaults, for a client at `peer` that is told `accept`.
    pub fn new(config: Arc<AjaxConfig>, accept: Accept, peer: impl Into<String>) -> Self {
        Self {
            config,
            accept,
            peer: peer.into(),
            id: None,
            budget: None,
            runtime: None,
        }
    }
}

/// Where the HTTP requests of one client over Ajax go in and their answers come out. Clones mean
/// the same session.
///
/// It is the HTTP server's end; the application has an [`AjaxHandle`] and [`AjaxEvents`]. The session
/// lives on a task of its own until it is closed, or its client has had no request open for the grace.
///
/// ```
/// use sente_adapters::{AjaxPort, AjaxStart};
/// use sente_core::{Accept, ConnectionEvent};
/// use sente_core::ajax::{AjaxConfig, AjaxRequest, Poll};
/// use sente_core::framing::{Frame, Kind};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let config = AjaxConfig::builder().build()?;
/// let start = AjaxStart::new(config, Accept::new("ada"), "192.0.2.7");
/// let (port, _handle, mut events) = AjaxPort::start(start)?;
///
/// let hello = port.answer(AjaxRequest::Poll(Poll::Handshake)).await;
/// assert_eq!(&hello.response().body[..], b"[[:chsk/handshake [\"ada\" nil nil]] nil]");
/// hello.written();
///
/// let said = Frame::new(Kind::Text, "[[:chat/say 1] nil]".into());
/// port.answer(AjaxRequest::Post(said)).await.written();
/// assert!(matches!(events.next().await, Some(ConnectionEvent::Opened(_))));
/// assert!(matches!(events.next().await, Some(ConnectionEvent::Message(_))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct AjaxPort {
    shared: Arc<Shared<AjaxSession>>,
}

impl AjaxPort {
    /// Starts a session on a task of its own. Its first request is to follow within the grace.
    ///
    /// # Errors
    /// No runtime was named and the caller is on none, or the system has no random bytes.
    pub fn start(start: AjaxStart) -> io::Result<(Self, AjaxHandle, AjaxEvents)> {
        let id = match start.id {
            Some(id) => id,
            None => conn_id()?,
        };
        let runtime = chosen(start.runtime.as_ref())?;
        let clock = Clock::start(runtime.clone());
        let mut session =
            AjaxSession::new(start.config.clone(), start.accept, random()?, clock.now());
        let driver = Arc::new(Signal::default());
        let budget = start.budget.unwrap_or_else(SharedRecvBudget::of_process);
        let mut share = budget.join(&driver);
        if let Some(bytes) = share.news() {
            session.set_recv_allowance(clock.now(), bytes);
        }
        let facts = AjaxFacts::new(id, start.config.packer().clone(), start.peer);
        let shared = Shared::new(session, clock, driver, Some(share), facts);
        let (handle, events) = shared.hold();
        runtime.spawn(Box::pin(driver::drive(shared.clone())));
        Ok((Self { shared }, handle, events))
    }

    /// Hands an admitted request in, and waits for its answer: at once for most, up to the session's
    /// `poll_timeout` and `reply_timeout` for polls and calls.
    ///
    /// # Cancel safety
    /// Dropped while it waits, the session is told that the client has given up. A post was taken
    /// all the same.
    pub async fn answer(&self, request: AjaxRequest) -> AjaxAnswer {
        let (exchange, receiver) = self.hand_in(request);
        let guard = Unwritten {
            session: Some(self.shared.clone()),
            exchange,
        };
        // Without a sender the session's task is gone with its runtime.
        let response = receiver
            .await
            .unwrap_or_else(|_| Response::new(503, "The server is shutting down"));
        AjaxAnswer { response, guard }
    }

    /// Changes what the next handshake says, which is to be done with what was admitted before a
    /// request for one is handed in.
    pub fn accept(&self, accept: Accept) {
        self.shared.with(|session, now| session.accept(now, accept));
    }

    /// Waits until the application keeps up, so that the body of a post is worth reading, or the
    /// session is over.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn wants_post(&self) {
        loop {
            let mut room = pin!(self.shared.facts.room.notified());
            room.as_mut().enable();
            let ready = self
                .shared
                .with(|session, _| session.wants_post() || session.state() == State::Closed);
            if ready {
                return;
            }
            room.await;
        }
    }

    /// Whether the session is over: a request of the same client is to get a new one.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.shared.lock().machine.state() == State::Closed
    }

    /// Waits for the end of the session.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn ended(&self) -> End {
        self.shared.facts.ended().await
    }

    /// The id of its session.
    #[must_use]
    pub fn id(&self) -> ConnId {
        self.shared.facts.id
    }

    fn hand_in(&self, request: AjaxRequest) -> (Exchange, oneshot::Receiver<Response>) {
        let shared = &self.shared;
        let handed_in = shared.with(|session, now| {
            let (sender, receiver) = oneshot::channel();
            let exchange = session.handle(now, request);
            let mut waiting = shared.facts.waiting();
            waiting.insert(exchange, sender);
            // Most are answered now; that need not go through the session's task.
            driver::give_out(session, &mut waiting, now);
            (exchange, receiver)
        });
        // When to come back may have changed.
        shared.wake();
        handed_in
    }
}

impl fmt::Debug for AjaxPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AjaxPort")
            .field("id", &self.id())
            .field("peer", &self.shared.facts.peer)
            .finish_non_exhaustive()
    }
}

/// The answer to one request, which is to be written. Dropped instead of
/// [written](Self::written), it counts as lost: the events in it are told again with the client's
/// next poll.
#[derive(Debug)]
#[must_use = "a request is to be answered"]
pub struct AjaxAnswer {
    response: Response,
    guard: Unwritten,
}

impl AjaxAnswer {
    /// What to answer.
    pub const fn response(&self) -> &Response {
        &self.response
    }

    /// Takes the body out of it, which need not be kept until it is known to be written.
    pub fn take_body(&mut self) -> Bytes {
        std::mem::take(&mut self.response.body)
    }

    /// Says that all of it was written.
    pub fn written(mut self) {
        self.guard.session = None;
    }
}

/// A request whose answer has not been written.
struct Unwritten {
    /// `None` once it has been.
    session: Option<Arc<Shared<AjaxSession>>>,
    exchange: Exchange,
}

impl Drop for Unwritten {
    fn drop(&mut self) {
        if let Some(shared) = &self.session {
            shared.facts.waiting().remove(&self.exchange);
            shared.with_waking(|session, now| session.handle_aborted(now, self.exchange));
        }
    }
}

impl fmt::Debug for Unwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Unwritten").field(&self.exchange).finish()
    }
}

impl AjaxHandle {
    /// Closes now: what is queued comes back as `Undelivered`, the poll that waits is answered with
    /// 410, and calls with `:chsk/closed`.
    pub fn close(&self) {
        self.shared.with_waking(AjaxSession::close);
    }

    /// Waits for the end of the session.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn ended(&self) -> End {
        self.shared.facts.ended().await
    }

    /// The id of this session on this side.
    #[must_use]
    pub fn id(&self) -> ConnId {
        self.shared.facts.id
    }

    /// The packer both sides speak. A `Hub` wants to know it.
    #[must_use]
    pub fn packer(&self) -> &Arc<dyn Packer> {
        &self.shared.facts.packer
    }

    /// What the client is called in messages: the address of its first request.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.shared.facts.peer
    }

    /// The terms of the session, once it opened and that was seen.
    #[must_use]
    pub fn opened(&self) -> Option<Opened> {
        self.shared.lock().opened.as_deref().cloned()
    }

    /// Where the session is in its life.
    #[must_use]
    pub fn state(&self) -> State {
        self.shared.lock().machine.state()
    }

    /// Counts since the session began. Frames are requests and answers.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.lock().machine.stats()
    }

    /// How much waits for the application, and of how much that may be.
    #[must_use]
    pub fn recv_capacity(&self) -> RecvCapacity {
        self.shared.lock().machine.recv_capacity()
    }
}
