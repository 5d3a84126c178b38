//! The client's side of Ajax: one link, made of polls and posts.

mod config;
mod receive;
mod send;
mod write;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::backlog::Backlog;
use super::inbox::Inbox;
use super::request::{Exchange, Response};
use super::waiting::Waiting;
use crate::calls::Calls;
use crate::connection::{
    ConnectionEvent, PackedSendError, RecvCapacity, SendCapacity, State, Stats,
};
use crate::error::{CallError, CloseReason};
use crate::extensions::Extensions;
use crate::id::{CallId, Legacy};
use crate::packed::PackedEvent;
use crate::profile::{Dialect, Profile, Role};
use crate::queue::RateLimiter;
use crate::state::{LinkInput, first_link_state, next_link};
use crate::time::Instant;

pub use config::{AjaxClientConfig, AjaxClientConfigBuilder};
pub use write::AjaxSend;

/// One link of a client over Ajax, from its first poll to its end.
///
/// | verb | what it does |
/// | --- | --- |
/// | [`poll_send`](Self::poll_send) | gives out a request to make |
/// | [`poll_abort`](Self::poll_abort) | names a request whose answer nobody wants any more |
/// | [`handle_response`](Self::handle_response) | takes the answer to a request |
/// | [`handle_failed`](Self::handle_failed) | says that a request got no answer |
/// | [`handle_timeout`](Self::handle_timeout) | says that the time of `poll_timeout` has come |
/// | [`poll_timeout`](Self::poll_timeout) | says when to come back |
/// | [`poll_event`](Self::poll_event) | gives out what the application should know |
///
/// One poll is always out while the link is open and the application keeps up. Events are posted one
/// after the other, so that they arrive in order, or in batches where the server grants that. A call
/// is posted once every event before it has been taken; its answer is not waited for, so what is sent
/// after a call may overtake it.
///
/// The link ends when a poll fails: `Closed` says why. Of posts that were under way then it is not
/// known whether they arrived: they are among the `Undelivered`.
#[derive(Debug)]
pub struct AjaxClient {
    pub(in crate::ajax) config: Arc<AjaxClientConfig>,
    client_id: String,
    now: Instant,
    pub(in crate::ajax) state: State,
    profile: Profile,
    /// What makes the next request differ from all others, so that no cache answers it.
    udt: u64,
    next_exchange: u64,

    /// The poll that is out, the handshake's first of all.
    poll: Option<Exchange>,
    /// Polls in a row that nobody answered in time.
    unanswered: u8,
    posts: BTreeMap<Exchange, Post>,
    /// The post of events that is out: there is never more than one.
    event_post: Option<Exchange>,
    /// Calls that are out.
    call_posts: BTreeMap<CallId, Exchange>,
    /// When requests are given up.
    waiting: Waiting,
    aborts: VecDeque<Exchange>,

    pub(in crate::ajax) backlog: Backlog,
    /// Until when the server asked not to be sent events.
    paused_until: Option<Instant>,
    calls: Calls,
    /// When the handshake has to be there, or the end of a drain.
    deadline: Option<Instant>,

    pub(in crate::ajax) inbox: Inbox,
    close_reason: Option<CloseReason>,
    /// That of an earlier link, for one that comes later: this one has no rate.
    limiter: Option<RateLimiter>,
    pub(in crate::ajax) stats: Stats,
}

/// What a post carries.
#[derive(Debug)]
enum Post {
    Call(CallId),
    Events(Vec<PackedEvent>),
}

impl AjaxClient {
    /// A link of the client that calls itself `client_id`, wanted at `now`. Its first request asks
    /// for the handshake.
    ///
    /// `seed` keeps caches from answering its requests: fresh for every link, or fixed in a test.
    #[must_use]
    pub fn new(
        config: Arc<AjaxClientConfig>,
        client_id: impl Into<String>,
        seed: [u8; 32],
        now: Instant,
    ) -> Self {
        let (base, _) = seed.split_first_chunk::<4>().unwrap_or((&[0; 4], &[]));
        Self {
            client_id: client_id.into(),
            now,
            state: first_link_state(Role::Client),
            profile: Profile {
                role: Role::Client,
                dialect: Dialect::Sente,
                stream: false,
                extensions: Extensions::NONE,
            },
            udt: u64::from(u32::from_le_bytes(*base)) << 20,
            next_exchange: 0,
            poll: None,
            unanswered: 0,
            posts: BTreeMap::new(),
            event_post: None,
            call_posts: BTreeMap::new(),
            waiting: Waiting::default(),
            aborts: VecDeque::new(),
            backlog: Backlog::default(),
            paused_until: None,
            calls: Calls::default(),
            deadline: Some(now + config.handshake_timeout),
            inbox: Inbox::default(),
            close_reason: None,
            limiter: None,
            stats: Stats::default(),
            config,
        }
    }

    /// Takes the answer to a request. One that is not waited for any more is ignored.
    pub fn handle_response(&mut self, now: Instant, exchange: Exchange, response: &Response) {
        self.tick(now);
        if !self.waiting.remove(exchange) {
            self.stats.ignored += 1;
            return;
        }
        self.unanswered = 0;
        self.stats.frames_received += 1;
        self.stats.bytes_received += response.body.len() as u64;
        if self.poll == Some(exchange) {
            self.poll = None;
            self.take_poll_answer(response);
        } else if let Some(post) = self.take_post(exchange) {
            self.take_post_answer(post, response);
        }
        self.settle();
    }

    /// Says that a request got no answer, and why, in the transport's words.
    pub fn handle_failed(&mut self, now: Instant, exchange: Exchange, reason: &str) {
        self.tick(now);
        if !self.waiting.remove(exchange) {
            self.stats.ignored += 1;
            return;
        }
        if self.poll == Some(exchange) {
            self.poll = None;
            self.finish(CloseReason::Failed(String::from(reason)));
        } else if let Some(post) = self.take_post(exchange) {
            self.lose_post(post, CallError::Closed);
        }
        self.settle();
    }

    /// Says what time it is. Calls before [`poll_timeout`](Self::poll_timeout) do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.tick(now);
        let now = self.now;
        self.inbox.handle_timeout(now, &self.config.limits);
        self.backlog.expire_reservations(now, &self.config.limits);
        while let Some(call) = self.calls.expire(now) {
            if let Some(exchange) = self.call_posts.remove(&call) {
                self.posts.remove(&exchange);
                self.waiting.remove(exchange);
                self.aborts.push_back(exchange);
            }
            self.settle_call(call, Err(CallError::Timeout), 0);
        }
        while let Some(exchange) = self.waiting.expire(now) {
            self.aborts.push_back(exchange);
            if self.poll == Some(exchange) {
                self.poll = None;
                self.poll_expired();
            } else if let Some(post) = self.take_post(exchange) {
                self.lose_post(post, CallError::Timeout);
            }
        }
        if self.paused_until.is_some_and(|until| until <= now) {
            self.paused_until = None;
        }
        if self.deadline.is_some_and(|at| at <= now) {
            self.finish(match self.state {
                State::Handshaking => CloseReason::HandshakeTimeout,
                _ => CloseReason::Requested,
            });
        }
        self.settle();
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; `None` for never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.state == State::Closed {
            return None;
        }
        [
            self.waiting.next_deadline(),
            self.calls.next_deadline(),
            self.paused_until.filter(|_| !self.backlog.is_empty()),
            self.deadline,
            self.backlog.queue.reservations.next_deadline(),
            self.inbox.poll_timeout(&self.config.limits),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The next request whose answer nobody wants any more: end it.
    #[must_use]
    pub fn poll_abort(&mut self) -> Option<Exchange> {
        self.aborts.pop_front()
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

    /// Ends the link now: events queued or under way come back as `Undelivered`, calls settle.
    /// The server notices when its grace is over.
    pub fn close(&mut self, now: Instant) {
        self.tick(now);
        self.finish(CloseReason::Requested);
    }

    /// Ends the link as if its transport had failed.
    pub(crate) fn fail(&mut self, now: Instant, reason: String) {
        self.tick(now);
        self.finish(CloseReason::Failed(reason));
    }

    /// Whether the link is over and every request that nobody waits for any more was named.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.state == State::Closed && self.aborts.is_empty()
    }

    /// What the client's next link goes on with.
    pub(crate) fn legacy(&self) -> Legacy {
        Legacy {
            limiter: self.limiter,
            call: self.calls.next_id(),
            flush: self.backlog.next_flush,
            ticket: self.backlog.queue.reservations.next_id(),
        }
    }

    /// Goes on where an earlier link stopped, so that no id of one client means two things. A rate
    /// is kept for the next link that has one.
    pub(crate) fn continue_from(&mut self, legacy: Legacy) {
        self.calls.continue_from(legacy.call);
        self.backlog.next_flush = legacy.flush;
        self.backlog.queue.reservations.continue_from(legacy.ticket);
        self.limiter = legacy.limiter;
    }

    /// Whether an event of `len` packed bytes would be queued now without dropping another.
    pub(crate) fn has_place_for(&self, _: Instant, len: usize) -> Result<(), PackedSendError> {
        let limits = &self.config.limits;
        if !self.takes_events() {
            Err(PackedSendError::NotOpen)
        } else if len > limits.max_send_bytes {
            Err(PackedSendError::TooLarge)
        } else if !self.backlog.queue.takes(len, limits) {
            Err(PackedSendError::Full)
        } else {
            Ok(())
        }
    }

    /// Ends the link in order: new events and calls are refused, what is queued is posted, and the
    /// replies to calls are waited for; then the link closes, at `deadline` in any case.
    pub fn drain(&mut self, now: Instant, deadline: Instant) {
        self.tick(now);
        if self.state == State::Handshaking {
            self.finish(CloseReason::Requested);
        } else if self.step(LinkInput::Drain) {
            self.deadline = Some(deadline);
            self.backlog.fail_reservations();
        } else if self.state == State::Draining {
            self.deadline = self.deadline.map(|at| at.min(deadline));
        }
        self.settle();
    }

    /// Where the link is in its life.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Why the link ended, once it has: what `Closed` says or will say.
    #[must_use]
    pub const fn close_reason(&self) -> Option<&CloseReason> {
        self.close_reason.as_ref()
    }

    /// The configuration the link was made with.
    #[must_use]
    pub const fn config(&self) -> &Arc<AjaxClientConfig> {
        &self.config
    }

    /// How full the send queue is.
    #[must_use]
    pub fn send_capacity(&self) -> SendCapacity {
        self.backlog.capacity(&self.config.limits)
    }

    /// Requests that are out.
    #[must_use]
    pub fn pending_requests(&self) -> usize {
        self.waiting.len()
    }

    /// Calls waiting for their reply.
    #[must_use]
    pub fn pending_calls(&self) -> usize {
        self.calls.len()
    }

    /// Messages that wait for the application, and the bytes they count for.
    #[must_use]
    pub const fn recv_queued(&self) -> (usize, usize) {
        self.inbox.counted()
    }

    /// How much waits for the application, and of how much that may be.
    #[must_use]
    pub fn recv_capacity(&self) -> RecvCapacity {
        self.inbox.capacity(&self.config.limits)
    }

    /// Bounds the bytes that may wait for the application, beside `Limits::max_recv_bytes`: what a
    /// [`RecvBudget`](crate::RecvBudget) says. Beyond, the server is not polled.
    pub fn set_recv_allowance(&mut self, now: Instant, bytes: usize) {
        self.tick(now);
        self.inbox.set_allowance(bytes);
    }

    /// Counts since the link began. Frames are requests and answers.
    #[must_use]
    pub const fn stats(&self) -> Stats {
        self.stats
    }

    /// Nobody answered a poll in time. Once, and it is asked anew: a server may hold its polls longer
    /// than this side waits. Twice with nothing at all in between, and the server is gone.
    fn poll_expired(&mut self) {
        self.unanswered = self.unanswered.saturating_add(1);
        if self.unanswered > 1 {
            self.finish(CloseReason::PingTimeout);
        }
    }

    fn take_post(&mut self, exchange: Exchange) -> Option<Post> {
        let post = self.posts.remove(&exchange)?;
        if self.event_post == Some(exchange) {
            self.event_post = None;
        }
        if let Post::Call(call) = post {
            self.call_posts.remove(&call);
        }
        Some(post)
    }

    /// Tells that a post did not arrive, as far as is known.
    fn lose_post(&mut self, post: Post, error: CallError) {
        match post {
            Post::Call(call) => {
                if self.calls.remove(call) {
                    self.settle_call(call, Err(error), 0);
                }
            }
            Post::Events(events) => {
                self.inbox.push(ConnectionEvent::Undelivered(events));
            }
        }
    }

    /// After a change: who waits for room or for a flush is told, and a drain ends.
    pub(super) fn settle(&mut self) {
        if self.state == State::Open {
            self.backlog.grant(&self.config.limits);
        }
        self.settle_flushes();
        if self.state == State::Draining
            && self.backlog.is_empty()
            && self.posts.is_empty()
            && self.calls.len() == 0
        {
            self.finish(CloseReason::Requested);
        }
    }

    /// An event is with the server when its post was answered: until then it may come back.
    pub(super) fn settle_flushes(&mut self) {
        let under_way = self.event_post.is_some();
        self.backlog.settle_flushes(under_way);
    }

    /// Whether `SendReady` is told: while draining, too, so that whoever waits for room finds out
    /// that nothing more is taken.
    pub(in crate::ajax) const fn tells_of_room(&self) -> bool {
        matches!(self.state, State::Open | State::Draining)
    }

    /// Time enters with inputs and commands only, and never runs backwards.
    pub(in crate::ajax) fn tick(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    fn step(&mut self, input: LinkInput) -> bool {
        let next = next_link(self.state, input);
        self.state = next.unwrap_or(self.state);
        next.is_some()
    }

    /// The end. Calls settle, what is queued or under way is given back, `Closed` comes last.
    fn finish(&mut self, reason: CloseReason) {
        if !self.step(LinkInput::End) {
            return;
        }
        self.deadline = None;
        self.paused_until = None;
        self.poll = None;
        self.call_posts.clear();
        while let Some(exchange) = self.waiting.pop() {
            self.aborts.push_back(exchange);
        }
        self.backlog.fail_reservations();
        self.backlog.fail_flushes();
        self.inbox.tell_suppressed();
        for call in self.calls.drain() {
            self.settle_call(call, Err(CallError::Closed), 0);
        }
        if let Some(Post::Events(events)) = self
            .event_post
            .take()
            .and_then(|exchange| self.posts.remove(&exchange))
        {
            self.backlog.give_back(events);
        }
        self.posts.clear();
        let undelivered = self.backlog.drain(self.config.packer.format());
        if !undelivered.is_empty() {
            self.inbox.push(ConnectionEvent::Undelivered(undelivered));
        }
        self.close_reason = Some(reason.clone());
        self.inbox.push(ConnectionEvent::Closed(reason));
    }
}
