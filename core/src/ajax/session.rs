//! The server's side of Ajax: one user's client, its polls and what is told to them.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::backlog::{Backlog, BatchTerms};
use super::config::AjaxConfig;
use super::inbox::Inbox;
use super::request::{AjaxRequest, Exchange, Poll, Respond, Response};
use super::waiting::Waiting;
use crate::connection::{
    Accept, ConnectionEvent, Opened, RecvCapacity, SendCapacity, State, Stats,
};
use crate::error::CloseReason;
use crate::event::Payload;
use crate::extensions::Extensions;
use crate::packed::PackedEvent;
use crate::profile::{Dialect, Profile, Role};
use crate::state::{LinkInput, first_link_state, next_link};
use crate::time::Instant;

/// How often polls that displace each other are answered at once.
const DISPLACE_EVERY: Duration = Duration::from_secs(1);

/// One client of one user over Ajax, from its first request to the end of its grace.
///
/// | verb | what it does |
/// | --- | --- |
/// | [`handle`](Self::handle) | takes an admitted request |
/// | [`handle_aborted`](Self::handle_aborted) | says that a request's client is gone |
/// | [`handle_timeout`](Self::handle_timeout) | says that the time of `poll_timeout` has come |
/// | [`poll_respond`](Self::poll_respond) | gives out an answer |
/// | [`poll_timeout`](Self::poll_timeout) | says when to come back |
/// | [`poll_event`](Self::poll_event) | gives out what the application should know |
///
/// The session is open with the first poll that waits or the first message, whichever comes first:
/// `Opened` is told then, before everything else. `Closed` is told of every session, whether it opened
/// or not, and last of all. It ends when the client has had no request open for
/// the grace, as [`CloseReason::Eof`]: nobody says goodbye over Ajax. What is sent between two polls
/// waits for the next, in order.
///
/// A poll that comes while another waits displaces it: the older one is answered with
/// `[:chsk/timeout nil]`, at once unless that happened within the last second. (Two pages that
/// share a client id would otherwise answer each other without a pause.)
#[derive(Debug)]
pub struct AjaxSession {
    pub(super) config: Arc<AjaxConfig>,
    /// Marks this session's reply tokens.
    pub(super) serial: u64,
    pub(super) now: Instant,
    pub(super) state: State,
    pub(super) profile: Profile,
    accept: Accept,
    /// Whether a handshake was answered.
    greeted: bool,
    next_exchange: u64,

    /// The poll that waits.
    pub(super) parked: Option<Parked>,
    /// Older polls whose answer is put off.
    displaced: VecDeque<Parked>,
    last_displaced: Option<Instant>,
    pub(super) calls: Waiting,
    answers: VecDeque<Respond>,

    pub(super) backlog: Backlog,
    /// Until when what is queued waits for more to go with it.
    pub(super) held_until: Option<Instant>,
    /// The events of the last answer to a poll, until the client's next poll shows that it came.
    unconfirmed: Option<(Exchange, Vec<PackedEvent>)>,

    /// Since when the client has had no request open.
    quiet_since: Option<Instant>,
    drain_deadline: Option<Instant>,
    pub(super) inbox: Inbox,
    close_reason: Option<CloseReason>,
    pub(super) stats: Stats,
}

/// A poll that waits, and until when.
#[derive(Debug)]
pub(super) struct Parked {
    exchange: Exchange,
    deadline: Option<Instant>,
}

impl AjaxSession {
    /// A session for a client that was admitted at `now` and is told the handshake `accept`.
    ///
    /// `seed` marks its reply tokens: fresh for every session, or fixed in a test.
    #[must_use]
    pub fn new(config: Arc<AjaxConfig>, accept: Accept, seed: [u8; 32], now: Instant) -> Self {
        let (serial, _) = seed.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        Self {
            serial: u64::from_le_bytes(*serial),
            now,
            state: first_link_state(Role::Server),
            profile: Profile {
                role: Role::Server,
                dialect: Dialect::Sente,
                stream: false,
                extensions: Extensions::NONE,
            },
            accept,
            greeted: false,
            next_exchange: 0,
            parked: None,
            displaced: VecDeque::new(),
            last_displaced: None,
            calls: Waiting::default(),
            answers: VecDeque::new(),
            backlog: Backlog::default(),
            held_until: None,
            unconfirmed: None,
            quiet_since: Some(now),
            drain_deadline: None,
            inbox: Inbox::default(),
            close_reason: None,
            stats: Stats::default(),
            config,
        }
    }

    /// Changes what the next handshake says. To be called with what was admitted before a
    /// [`Poll::Handshake`] is handled: the client may offer something else than before, and the
    /// application have other data for it.
    pub fn accept(&mut self, now: Instant, accept: Accept) {
        self.tick(now);
        self.accept = accept;
    }

    /// Takes an admitted request of this client. Its answer comes out of
    /// [`poll_respond`](Self::poll_respond) under the name that is given back.
    pub fn handle(&mut self, now: Instant, request: AjaxRequest) -> Exchange {
        self.tick(now);
        let exchange = Exchange(self.next_exchange);
        self.next_exchange = self.next_exchange.wrapping_add(1);
        if self.state == State::Closed {
            self.answer(exchange, gone());
            return exchange;
        }
        // Whatever it asks, the client is there: its grace begins anew.
        self.quiet_since = None;
        match request {
            AjaxRequest::Poll(poll) => self.handle_poll(exchange, poll),
            AjaxRequest::Post(frame) => self.handle_post(exchange, &frame),
        }
        self.settle();
        exchange
    }

    /// Says that the client has given up a request that is not answered, or that its answer could
    /// not be written whole: events in it are told again with the next poll. Does nothing once the
    /// session is closed.
    pub fn handle_aborted(&mut self, now: Instant, exchange: Exchange) {
        self.tick(now);
        self.answers.retain(|respond| respond.exchange != exchange);
        if self
            .parked
            .as_ref()
            .is_some_and(|poll| poll.exchange == exchange)
        {
            self.parked = None;
        }
        self.displaced.retain(|poll| poll.exchange != exchange);
        self.calls.remove(exchange);
        if let Some((answered, events)) = self.unconfirmed.take() {
            if answered == exchange {
                self.backlog.give_back(events);
            } else {
                self.unconfirmed = Some((answered, events));
            }
        }
        self.settle();
    }

    /// Says what time it is. Calls before [`poll_timeout`](Self::poll_timeout) do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.tick(now);
        let now = self.now;
        self.inbox.handle_timeout(now, &self.config.limits);
        self.backlog.expire_reservations(now, &self.config.limits);
        let is_due = |poll: &Parked| poll.deadline.is_some_and(|at| at <= now);
        let mut over: Vec<Exchange> = Vec::new();
        if self.parked.as_ref().is_some_and(is_due) {
            // What is to be told goes with this poll rather than with the next.
            self.held_until = None;
        }
        if self.backlog.is_empty()
            && let Some(poll) = self.parked.take_if(|poll| is_due(poll))
        {
            over.push(poll.exchange);
        }
        self.displaced.retain(|poll| {
            if is_due(poll) {
                over.push(poll.exchange);
            }
            !is_due(poll)
        });
        over.extend(core::iter::from_fn(|| self.calls.expire(now)));
        for exchange in over {
            let timeout = self.config.frames.timeout.clone();
            self.answer_with(exchange, &timeout);
        }
        if self.drain_deadline.is_some_and(|at| at <= now) {
            self.finish(CloseReason::Requested);
        }
        let grace = self.quiet_since.map(|since| since + self.config.grace);
        if grace.is_some_and(|at| at <= now) {
            self.finish(CloseReason::Eof);
        }
        self.settle();
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; `None` for never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.state == State::Closed {
            return None;
        }
        let held = self.held_until.filter(|_| self.parked.is_some());
        // A poll that can be answered with events has no time limit any more.
        let waits = self.parked.as_ref().filter(|_| !self.has_delivery());
        [
            waits.and_then(|poll| poll.deadline),
            self.displaced.iter().filter_map(|poll| poll.deadline).min(),
            self.calls.next_deadline(),
            held.filter(|until| *until > self.now && !self.backlog.is_empty()),
            self.quiet_since.map(|since| since + self.config.grace),
            self.drain_deadline,
            self.backlog.queue.reservations.next_deadline(),
            self.inbox.poll_timeout(&self.config.limits),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The next answer to be written. What is queued for the poll that waits leaves together, so ask
    /// when everything that is to go with it has been sent.
    pub fn poll_respond(&mut self) -> Option<Respond> {
        if self.answers.is_empty() && self.has_delivery() {
            self.deliver();
            self.settle();
        }
        self.answers.pop_front()
    }

    /// The next thing the application should know.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<ConnectionEvent> {
        let open = self.tells_of_room();
        let notice = self.backlog.poll_notice(&self.config.limits, open);
        notice.or_else(|| self.inbox.pop())
    }

    /// Whether [`poll_event`](Self::poll_event) would give something out.
    #[must_use]
    pub fn has_event(&self) -> bool {
        let open = self.tells_of_room();
        !self.inbox.is_empty() || self.backlog.has_notice(&self.config.limits, open)
    }

    /// Whether the driver should read the bodies of posts. False while the application is behind:
    /// a post that comes all the same is answered with 503.
    #[must_use]
    pub fn wants_post(&self) -> bool {
        self.state != State::Closed && self.inbox.room(&self.config.limits) > 0
    }

    /// Ends the session now: what is queued comes back as `Undelivered`, the poll that waits is
    /// answered with 410, calls with `:chsk/closed`.
    pub fn close(&mut self, now: Instant) {
        self.tick(now);
        self.finish(CloseReason::Requested);
    }

    /// Ends the session in order: new events are refused, what is queued waits for the client's
    /// polls, and calls for their replies; then the session closes, at `deadline` in any case.
    pub fn drain(&mut self, now: Instant, deadline: Instant) {
        self.tick(now);
        if self.state == State::Accepting {
            self.finish(CloseReason::Requested);
        } else if self.step(LinkInput::Drain) {
            self.drain_deadline = Some(deadline);
            self.held_until = None;
            self.backlog.fail_reservations();
        } else if self.state == State::Draining {
            self.drain_deadline = self.drain_deadline.map(|at| at.min(deadline));
        }
        self.settle();
    }

    /// Where the session is in its life.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Whether the session is over and every answer has been given out: forget it. Events may still
    /// wait for the application.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.state == State::Closed && self.answers.is_empty()
    }

    /// Why the session ended, once it has: what `Closed` says or will say.
    #[must_use]
    pub const fn close_reason(&self) -> Option<&CloseReason> {
        self.close_reason.as_ref()
    }

    /// The configuration the session was made with.
    #[must_use]
    pub const fn config(&self) -> &Arc<AjaxConfig> {
        &self.config
    }

    /// How full the send queue is.
    #[must_use]
    pub fn send_capacity(&self) -> SendCapacity {
        self.backlog.capacity(&self.config.limits)
    }

    /// Requests that wait for their answers.
    #[must_use]
    pub fn pending_requests(&self) -> usize {
        usize::from(self.parked.is_some()) + self.displaced.len() + self.calls.len()
    }

    /// Messages that wait for the application, and the bytes they count for.
    #[must_use]
    pub const fn recv_queued(&self) -> (usize, usize) {
        self.inbox.counted()
    }

    /// How much waits for the application, and of how much that may be. How far the application is
    /// behind is told here only, not as `RecvPressure`.
    #[must_use]
    pub fn recv_capacity(&self) -> RecvCapacity {
        self.inbox.capacity(&self.config.limits)
    }

    /// Bounds the bytes that may wait for the application, beside `Limits::max_recv_bytes`: what a
    /// [`RecvBudget`](crate::RecvBudget) says. Posts beyond are answered with 503.
    pub fn set_recv_allowance(&mut self, now: Instant, bytes: usize) {
        self.tick(now);
        self.inbox.set_allowance(bytes);
    }

    /// Counts since the session began. Frames are requests and answers.
    #[must_use]
    pub const fn stats(&self) -> Stats {
        self.stats
    }

    fn handle_poll(&mut self, exchange: Exchange, poll: Poll) {
        self.stats.frames_received += 1;
        self.unconfirmed = None;
        if poll == Poll::Handshake || !self.greeted {
            // A client that wants a handshake waits on no poll: what came there would be lost.
            self.displace();
            self.greet(exchange);
            return;
        }
        self.open();
        self.displace();
        self.parked = Some(Parked {
            exchange,
            deadline: self.config.poll_timeout.map(|timeout| self.now + timeout),
        });
    }

    fn greet(&mut self, exchange: Exchange) {
        let offered = self.accept.offered.unwrap_or_default();
        self.profile.extensions = offered.and(self.config.grant);
        let value = self
            .accept
            .to_frame(Dialect::Sente, self.profile.extensions);
        let mut frame = Vec::new();
        match self.config.packer.pack_message(&value, &mut frame) {
            Ok(()) => {
                self.greeted = true;
                let kind = self.config.packer.kind();
                self.answer(exchange, Response::message(kind, Bytes::from(frame)));
            }
            Err(error) => {
                let told = alloc::format!("The handshake cannot be told: {error}");
                self.answer(exchange, Response::text(500, told));
            }
        }
    }

    /// Answers the poll that waits, since another takes its place.
    fn displace(&mut self) {
        let Some(mut older) = self.parked.take() else {
            return;
        };
        let paced = self.last_displaced.map(|last| last + DISPLACE_EVERY);
        self.last_displaced = Some(self.now);
        let Some(at) = paced.filter(|at| *at > self.now) else {
            self.answer_timeout(older.exchange);
            return;
        };
        older.deadline = Some(older.deadline.map_or(at, |deadline| deadline.min(at)));
        self.displaced.push_back(older);
        if self.displaced.len() > self.config.max_requests
            && let Some(oldest) = self.displaced.pop_front()
        {
            self.answer_timeout(oldest.exchange);
        }
    }

    /// Tells that the session is open, if it was not.
    pub(super) fn open(&mut self) {
        if !self.step(LinkInput::Accept) {
            return;
        }
        let accept = &self.accept;
        let opened = Opened {
            uid: Some(Payload::from(accept.uid.clone())),
            csrf_token: None,
            data: Some(Payload::from(accept.data.clone())),
            first: true,
            dialect: Dialect::Sente,
            extensions: self.profile.extensions,
        };
        self.inbox.push(ConnectionEvent::Opened(Box::new(opened)));
    }

    /// Whether the poll that waits can be answered with events now.
    fn has_delivery(&self) -> bool {
        self.parked.is_some() && !self.backlog.is_empty() && !self.is_held()
    }

    fn is_held(&self) -> bool {
        self.held_until.is_some_and(|until| until > self.now)
    }

    /// Answers the poll that waits with what is queued, as much as goes in one batch.
    fn deliver(&mut self) {
        let Some(poll) = self.parked.take() else {
            return;
        };
        let config = self.config.clone();
        let terms = BatchTerms {
            limits: &config.limits,
            packer: &*config.packer,
            most: usize::MAX,
            stock: !self.profile.extensions.batch,
        };
        let overhead = |count| config.frames.batch_overhead(count);
        let events = self.backlog.pop_batch(terms, overhead);
        self.held_until = None;
        match config.frames.batch(&events) {
            Ok(frame) => {
                self.warn_if_large(frame.len());
                let response = Response::message(config.packer.kind(), frame);
                self.answer(poll.exchange, response);
                self.unconfirmed = Some((poll.exchange, events));
            }
            Err(error) => {
                // They come back with the rest.
                self.backlog.give_back(events);
                let told = alloc::format!("The events cannot be told: {error}");
                self.answer(poll.exchange, Response::text(500, told));
                self.finish(CloseReason::Unsealed(error));
            }
        }
    }

    fn answer_timeout(&mut self, exchange: Exchange) {
        let timeout = self.config.frames.timeout.clone();
        self.answer_with(exchange, &timeout);
    }

    /// Answers `[packed nil]`.
    pub(super) fn answer_with(&mut self, exchange: Exchange, packed: &[u8]) {
        let response = match self.config.frames.alone(packed) {
            Ok(frame) => Response::message(self.config.packer.kind(), frame),
            Err(error) => Response::text(500, String::from(error.message.as_str())),
        };
        self.answer(exchange, response);
    }

    pub(super) fn answer(&mut self, exchange: Exchange, response: Response) {
        self.stats.frames_sent += 1;
        self.stats.bytes_sent += response.body.len() as u64;
        self.answers.push_back(Respond { exchange, response });
    }

    pub(super) fn warn_if_large(&mut self, size: usize) {
        if size >= self.config.limits.warn_frame_bytes {
            self.inbox.push(ConnectionEvent::LargeFrame {
                size,
                received: false,
            });
        }
    }

    /// Time enters with inputs and commands only, and never runs backwards.
    pub(super) fn tick(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// What follows from a change: the end of a drain, and the beginning or end of the grace.
    pub(super) fn settle(&mut self) {
        if self.state == State::Open {
            self.backlog.grant(&self.config.limits);
        }
        self.backlog.settle_flushes(false);
        if self.state == State::Draining && self.backlog.is_empty() && self.calls.len() == 0 {
            self.finish(CloseReason::Requested);
        }
        let quiet = self.pending_requests() == 0 && self.state != State::Closed;
        self.quiet_since = quiet.then(|| self.quiet_since.unwrap_or(self.now));
    }

    /// Whether `SendReady` is told: while draining, too, so that whoever waits for room finds out
    /// that nothing more is taken.
    pub(super) const fn tells_of_room(&self) -> bool {
        matches!(self.state, State::Open | State::Draining)
    }

    fn step(&mut self, input: LinkInput) -> bool {
        let next = next_link(self.state, input);
        self.state = next.unwrap_or(self.state);
        next.is_some()
    }

    /// The end. Everybody who waits is answered, and what is queued given back.
    fn finish(&mut self, reason: CloseReason) {
        if !self.step(LinkInput::End) {
            return;
        }
        self.drain_deadline = None;
        self.quiet_since = None;
        self.held_until = None;
        self.unconfirmed = None;
        let polls = self.parked.take().into_iter();
        let polls: Vec<Parked> = polls.chain(core::mem::take(&mut self.displaced)).collect();
        for poll in polls {
            self.answer(poll.exchange, gone());
        }
        let closed = self.config.frames.closed.clone();
        while let Some(exchange) = self.calls.pop() {
            self.answer_with(exchange, &closed);
        }
        self.backlog.fail_reservations();
        self.backlog.fail_flushes();
        self.inbox.tell_suppressed();
        let undelivered = self.backlog.drain(self.config.packer.format());
        if !undelivered.is_empty() {
            self.inbox.push(ConnectionEvent::Undelivered(undelivered));
        }
        self.close_reason = Some(reason.clone());
        self.inbox.push(ConnectionEvent::Closed(reason));
    }
}

/// The answer to a poll of a session that is over: the client is to begin anew.
fn gone() -> Response {
    Response::text(410, "The session is closed")
}
