//! One open transport, either role, either dialect: the machine in the middle of everything.

mod ahead;
mod atoms;
mod callback;
mod chance;
mod close;
mod config;
mod control;
mod deliver;
mod enqueue;
mod envelope;
mod event;
mod framer;
mod keepalive;
mod legacy;
mod plain;
mod receive;
mod recv_queue;
mod reserve;
mod scratch;
mod seal;
mod send;
#[cfg(feature = "serde")]
mod typed;
mod write;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;

use crate::calls::{CallName, Calls};
use crate::error::{CallError, CloseReason};
use crate::id::FlushId;
use crate::packed::PackedEvent;
use crate::profile::{Dialect, Profile, Role};
use crate::queue::{Outgoing, RateLimiter, SendQueue};
use crate::record::{Entry, Outcome, Recorder, Tape};
use crate::seldom::Seldom;
use crate::state::{LinkInput, first_link_state, next_link};
use crate::time::Instant;
use crate::wire::RecentIds;
use chance::{Beginning, Chance};
use close::Unread;
use control::Control;
use enqueue::Pressure;
use framer::Framer;
use receive::Incoming;
use recv_queue::{Lane, RecvQueue};
use scratch::Scratch;
use seal::Sealer;

use event::Counts;

pub(crate) use config::keyword;
pub use config::{
    Accept, ConfigError, ConnectionConfig, ConnectionConfigBuilder, Hello, RecvPolicy,
};
pub use event::{
    BadEvent, ConnectionEvent, Dropped, HelloReceived, Input, Message, Opened, SendCapacity, State,
    Stats, Transmit,
};
pub use recv_queue::{RecvCapacity, RecvStatus};
pub(crate) use seal::{fits_alone, frame_alone, seal_alone};
pub use send::PackedSendError;
#[cfg(feature = "serde")]
pub use typed::TypedSendError;

/// One connection, from the moment its transport is open to the moment it ends.
///
/// It has five verbs for the driver, and plain ones for the application:
///
/// | verb | what it does |
/// | --- | --- |
/// | [`handle_input`](Self::handle_input) | takes what the transport read |
/// | [`handle_timeout`](Self::handle_timeout) | says that the time of `poll_timeout` has come |
/// | [`poll_transmit`](Self::poll_transmit) | gives out what to write, answered by [`handle_transmitted`](Self::handle_transmitted) |
/// | [`poll_timeout`](Self::poll_timeout) | says when to come back |
/// | [`poll_event`](Self::poll_event) | gives out what the application should know |
///
/// Polls take no time and can be called in any order, any number of times. Not polling is
/// backpressure: read from the transport only while [`wants_read`](Self::wants_read) says so.
///
/// A server calls [`accept`](Self::accept) first; a client is open once the handshake arrived.
#[derive(Debug)]
pub struct Connection {
    config: Arc<ConnectionConfig>,
    profile: Profile,
    framer: Framer,
    chance: Chance,
    /// Marks this connection's reply tokens.
    serial: u64,
    now: Instant,
    state: State,

    /// What is said again where a hello may come: on byte streams.
    accept: Option<Box<Accept>>,
    handshakes: u32,
    handshake_deadline: Option<Instant>,
    drain_deadline: Option<Instant>,

    /// Whether the peer is pinged, as the configuration says. Nobody is before it may answer.
    pings: bool,
    last_received: Instant,
    ping_sent: Option<Instant>,
    ping_callback: Option<Box<CallName>>,

    /// Whole frames that go before everything else: handshake, hello, pings and pongs.
    control: Seldom<Control>,
    queue: SendQueue,
    sealer: Seldom<Sealer>,
    scratch: Scratch,
    limiter: Option<Box<RateLimiter>>,
    /// Until when what is queued waits for more to go with it.
    held_until: Option<Instant>,
    pressure: Seldom<Pressure>,
    calls: Seldom<Calls>,
    flushes: Seldom<VecDeque<(FlushId, u64)>>,
    next_flush: u64,
    /// Whether a transmit is with the driver.
    transmitting: bool,
    shutdown_given: bool,
    /// Whether the transmit with the driver began while the peer's replies piled up: then it is the
    /// peer's reading that shows its life.
    transmit_is_life: bool,
    /// When the transport is to be dropped whatever is still unwritten, and whether that time came.
    cut_deadline: Option<Instant>,
    cut: bool,
    /// After a breach the peer's bytes are still read and dropped until it ends its side: a
    /// transport dropped with unread bytes resets, and the peer would lose what we said last.
    lingers: bool,

    /// How the transport's reading side ended.
    ended: Option<Box<CloseReason>>,
    peer_finished: bool,
    /// What the application should know.
    recv: RecvQueue,
    /// The frame that is being handed out.
    incoming: Option<Box<Incoming>>,
    close_reason: Option<Box<CloseReason>>,
    /// Whether decoding stopped for want of room, so that events wait in `incoming` or in the
    /// framing.
    backlog: bool,
    /// Whether there was no room since the keepalive last looked: then silence says nothing.
    recv_stopped: bool,
    unread: Unread,
    hello_seen: bool,
    /// Of those it had lately; none where it was quiet.
    recent_ids: Option<Box<RecentIds>>,
    /// Calls received and not answered yet.
    owed_replies: usize,
    bad_since: Option<Instant>,
    bad_reported: usize,
    bad_suppressed: u64,
    stats: Counts,
    /// Where every call is written down, if that was asked for.
    tape: Option<Tape>,
}

impl Connection {
    /// A connection over a transport that is open at `now` (a WebSocket: after its upgrade).
    ///
    /// `seed` is where its callback ids and WebSocket masks come from: unpredictable and fresh for
    /// every connection, or fixed in a test.
    #[must_use]
    pub fn new(config: Arc<ConnectionConfig>, seed: [u8; 32], now: Instant) -> Self {
        let (chance, Beginning { serial, mask_seed }) = Chance::new(seed);
        let profile = config.profile;
        // On a byte stream everybody begins as a sente-lite peer, whatever the hello asks for.
        let dialect = match (profile.stream, profile.role, &config.hello) {
            (true, Role::Client, Some(_)) => Dialect::SenteLite,
            _ => profile.dialect,
        };
        let pings = config.keepalive.is_some() && !profile.stream;
        let mut connection = Self {
            framer: Framer::new(&config, mask_seed),
            profile: Profile { dialect, ..profile },
            chance,
            serial,
            now,
            state: first_link_state(profile.role),
            accept: None,
            handshakes: 0,
            handshake_deadline: None,
            drain_deadline: None,
            pings,
            last_received: now,
            ping_sent: None,
            ping_callback: None,
            control: Seldom::new(),
            queue: SendQueue::default(),
            sealer: Seldom::new(),
            scratch: Scratch::default(),
            limiter: config
                .send_rate
                .map(|rate| Box::new(RateLimiter::new(rate))),
            held_until: None,
            pressure: Seldom::new(),
            calls: Seldom::new(),
            flushes: Seldom::new(),
            next_flush: 0,
            transmitting: false,
            shutdown_given: false,
            transmit_is_life: false,
            cut_deadline: None,
            cut: false,
            lingers: false,
            ended: None,
            peer_finished: false,
            recv: RecvQueue::new(),
            incoming: None,
            close_reason: None,
            backlog: false,
            recv_stopped: false,
            unread: Unread::Waits,
            hello_seen: false,
            recent_ids: None,
            owed_replies: 0,
            bad_since: None,
            bad_reported: 0,
            bad_suppressed: 0,
            stats: Counts::default(),
            tape: None,
            config,
        };
        if profile.role == Role::Client {
            connection.handshake_deadline = Some(now + connection.config.handshake_timeout);
            if let Some(hello) = &connection.config.hello {
                let event = hello.to_event();
                connection.push_control_value(&event);
            }
        }
        connection
    }

    /// The same, with everything that goes into it written down, so that it can be
    /// [replayed](crate::record::Replay).
    #[must_use]
    pub fn recorded(
        config: Arc<ConnectionConfig>,
        seed: [u8; 32],
        now: Instant,
        recorder: Box<dyn Recorder>,
    ) -> Self {
        let tape = Tape::start(recorder, &config, &seed, now);
        let mut connection = Self::new(config, seed, now);
        connection.tape = Some(tape);
        connection
    }

    /// Writes down what is being done, if that was asked for.
    #[inline]
    fn note(&mut self, at: Instant, entry: impl FnOnce() -> Entry) {
        if let Some(tape) = &mut self.tape {
            tape.note(at, entry);
        }
    }

    /// Compresses what a WebSocket carries as its upgrade agreed, see
    /// [`DeflateConfig`](crate::framing::websocket::DeflateConfig). To be called right after
    /// [`new`](Self::new). Does nothing on other carriers.
    #[cfg(feature = "deflate")]
    pub fn set_deflate(&mut self, agreed: crate::framing::websocket::Deflate) {
        self.note(self.now, || Entry::Deflate(agreed.clone()));
        if let Some(websocket) = self.framer.websocket() {
            websocket.set_deflate(agreed);
        }
    }

    /// Whether the peer has ended its side of a byte stream.
    pub(crate) const fn peer_has_finished(&self) -> bool {
        self.peer_finished
    }

    /// Says what time it is. Calls before [`poll_timeout`](Self::poll_timeout) do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.note(now, || Entry::Timeout);
        self.tick(now);
        self.sleep();
        let now = self.now;
        while let Some(call) = self.calls.there().and_then(|calls| calls.expire(now)) {
            self.push_event(ConnectionEvent::Settled {
                call,
                result: Err(CallError::Timeout),
            });
        }
        self.expire_reservations();
        if self
            .bad_since
            .is_some_and(|since| since + self.config.limits.bad_frame_period <= now)
        {
            self.report_suppressed();
        }
        if self.handshake_deadline.is_some_and(|at| at <= now) {
            self.handshake_deadline = None;
            self.abort(CloseReason::HandshakeTimeout);
        }
        if self.drain_deadline.is_some_and(|at| at <= now) {
            self.drain_deadline = None;
            self.close_now(1000, "");
            if self.profile.stream {
                self.finish(CloseReason::Requested);
            }
        }
        self.check_keepalive(now);
        // Last, since what came before may have begun to close.
        if self.framer.handle_timeout(now) {
            self.closing_timed_out();
        }
        self.process();
        if self.cut_deadline.is_some_and(|at| at <= now) {
            self.cut_deadline = None;
            self.cut = true;
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; `None` for never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let suppressed = (self.bad_suppressed > 0)
            .then_some(self.bad_since)
            .flatten()
            .map(|since| since + self.config.limits.bad_frame_period);
        [
            self.calls.seen().and_then(Calls::next_deadline),
            self.queue.next_deadline(),
            self.held_until.filter(|_| self.is_held()),
            self.framer.poll_timeout(),
            self.handshake_deadline,
            self.drain_deadline,
            self.keepalive_deadline(),
            suppressed,
            self.cut_deadline.filter(|_| !self.is_finished()),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The next thing the application should know. Taking messages makes room, and so may make
    /// [`wants_read`](Self::wants_read) true again.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<ConnectionEvent> {
        if self.tape.is_some() {
            return self.next_event_noted();
        }
        self.next_event()
    }

    #[cold]
    fn next_event_noted(&mut self) -> Option<ConnectionEvent> {
        let event = self.next_event();
        self.note(self.now, || {
            Entry::PolledEvent(event.as_ref().map(Outcome::of_event))
        });
        event
    }

    #[inline(always)]
    fn next_event(&mut self) -> Option<ConnectionEvent> {
        if self.recv.has_only_messages() {
            if self.backlog {
                return self.next_message_of_backlog();
            }
            return self.recv.pop_message(&self.config.limits);
        }
        if self.is_told_out() {
            return None;
        }
        // What waits behind an answer comes after it.
        if !self.recv.has_messages() && (self.backlog || !self.recv.has_answer()) {
            self.process();
        }
        if let Some(notice) = self.recv.pop_notice() {
            return Some(notice);
        }
        let popped = self.recv.pop(&self.config.limits)?;
        Some(self.given_out(popped))
    }

    /// Whether there is nothing to tell, nor anything that was received and could be decoded now.
    #[inline]
    fn is_told_out(&mut self) -> bool {
        self.recv.is_blank()
            && !self.backlog
            && self.unread == Unread::Waits
            && self.incoming.is_none()
            && self.ended.is_none()
            && self.framer.is_drained()
    }

    /// The next `Settled`, `Flushed`, `FlushFailed`, `SendReady` or end of a reservation's wait, ahead of any message. For a
    /// driver whose callers wait for these while the application takes its time with the messages;
    /// [`poll_event`](Self::poll_event) alone gives everything out in one order.
    #[must_use]
    pub fn poll_answer(&mut self) -> Option<ConnectionEvent> {
        if !self.recv.has_answer() && self.tape.is_none() {
            return None;
        }
        let popped = self.recv.pop_answer(&self.config.limits);
        let event = popped.map(|popped| self.given_out(popped));
        if self.tape.is_some() {
            let outcome = event.as_ref().map(Outcome::of_event);
            self.note(self.now, || Entry::PolledAnswer(outcome));
        }
        event
    }

    /// Whether [`poll_event`](Self::poll_event) would give something out.
    #[must_use]
    pub fn has_event(&self) -> bool {
        self.recv.has_event()
    }

    /// Why the connection ended, once it has: what `Closed` says or will say.
    #[must_use]
    pub fn close_reason(&self) -> Option<&CloseReason> {
        self.close_reason.as_deref()
    }

    /// Whether the driver should read from the transport. False while the receive queue is full,
    /// while the peer lets its replies pile up, before `accept`, and at the end.
    #[must_use]
    pub fn wants_read(&self) -> bool {
        if self.ended.is_some() {
            return false;
        }
        match (self.state, &self.framer) {
            (State::Accepting, _) => false,
            // What comes now is dropped, so it needs no room.
            (State::Closed, Framer::WebSocket(websocket)) => {
                (!websocket.wants_shutdown() || self.lingers) && !self.is_finished()
            }
            // Two that close at the same time would each wait for the other to take the last bytes.
            (State::Closed, _) => (self.lingers || self.transmitting) && !self.is_finished(),
            (State::Closing, _) if self.unread == Unread::Dropped => true,
            _ => self.has_recv_room() && !self.backlog && self.has_reply_room(),
        }
    }

    /// Whether the connection is over and has nothing left to write: drop the transport. A peer
    /// that takes no more bytes is waited for no longer than the close timeout after `Closed`;
    /// then it is true with a transmit still out.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        let written = (self.shutdown_given || self.ended_badly()) && !self.transmitting;
        let lingers = self.lingers && self.ended.is_none();
        self.state == State::Closed && (self.cut || (written && !lingers))
    }

    /// Where the connection is in its life.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// The dialect in force.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        self.profile.dialect
    }

    /// The configuration the connection was made with.
    #[must_use]
    pub const fn config(&self) -> &Arc<ConnectionConfig> {
        &self.config
    }

    /// Counts since the connection began.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats.all()
    }

    /// How full the send queue is.
    #[must_use]
    pub fn send_capacity(&self) -> SendCapacity {
        SendCapacity {
            messages: self.queue.len(),
            bytes: self.queue.bytes(),
            max_messages: self.config.limits.max_send_messages,
            max_bytes: self.config.limits.max_send_bytes,
            reserved_messages: self.queue.reservations.granted(),
            reserved_bytes: self.queue.reservations.granted_bytes(),
            waiting_reservations: self.queue.reservations.waiting(),
            above_high_water: self.pressure.high,
        }
    }

    /// How full the receive queue is, and how far the application is behind.
    #[must_use]
    pub fn recv_capacity(&self) -> RecvCapacity {
        self.recv.capacity(&self.config.limits)
    }

    /// Limits the bytes that may wait for the application to `bytes`, where that is less than
    /// `Limits::max_recv_bytes`: this connection's share of a budget that many connections have
    /// together, see [`RecvBudget`](crate::RecvBudget). With 0 nothing is read at all. What waits
    /// already stays.
    ///
    /// A connection that has used its allowance up, as [`recv_capacity`](Self::recv_capacity)
    /// shows, takes nothing more until it is told again. Told while it is used up (the same number,
    /// or a smaller one) it knows that there is no more: with
    /// [`RecvPolicy::DropOldest`](crate::RecvPolicy::DropOldest) it then makes room by dropping,
    /// until it is told otherwise.
    pub fn set_recv_allowance(&mut self, now: Instant, bytes: usize) {
        self.note(now, || Entry::RecvAllowance(bytes));
        self.tick(now);
        // After the end nothing more is read, so nothing has to be held back.
        if self.state != State::Closed && self.ended.is_none() {
            self.recv.set_allowance(bytes, &self.config.limits);
            self.process();
        }
    }

    /// Calls waiting for their reply.
    #[must_use]
    pub fn pending_calls(&self) -> usize {
        self.calls.seen().map_or(0, Calls::len)
    }

    /// Time enters with inputs and commands only, and never runs backwards.
    fn tick(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// Takes the step that `input` means, if it means one now. Whether it did. Nothing else changes
    /// the state.
    fn step(&mut self, input: LinkInput) -> bool {
        let next = next_link(self.state, input);
        self.state = next.unwrap_or(self.state);
        if next.is_some() && input != LinkInput::Handshake {
            // Whatever ends a client that never opened ends its waiting for that, too.
            self.recv.release_early();
        }
        next.is_some()
    }

    fn push_event(&mut self, event: ConnectionEvent) {
        self.enqueue_event(event, None);
    }

    /// Fills the room that taking an event made.
    fn given_out(&mut self, (mut event, made_room): (ConnectionEvent, bool)) -> ConnectionEvent {
        self.pressure_taken(&mut event);
        if made_room && self.backlog {
            self.process();
        }
        event
    }

    fn enqueue_event(&mut self, event: ConnectionEvent, counted: Option<usize>) {
        let lane = match &event {
            answer if answer.is_answer() => Lane::Answer,
            ConnectionEvent::Message(message) if message.reply.is_some() => Lane::Call,
            ConnectionEvent::BadEvent(bad) if bad.reply.is_some() => Lane::Call,
            // The first handshake is told; of those that follow, each replaces the one before.
            ConnectionEvent::Opened(opened) if opened.first => Lane::Other,
            ConnectionEvent::Hello(_) => Lane::Other,
            _ if counted.is_some() => Lane::Message,
            _ => Lane::Other,
        };
        let is_early = self.state == State::Handshaking;
        if is_early && matches!(event, ConnectionEvent::Message(_)) {
            self.recv
                .push_early(lane, event, counted, &self.config.limits);
        } else {
            self.recv.push(lane, event, counted, &self.config.limits);
        }
    }

    /// Whether what the peer sends may be taken: there is room, or it can be made.
    fn has_recv_room(&self) -> bool {
        self.recv.has_room(&self.config.limits)
            || (self.config.on_recv_full == RecvPolicy::DropOldest
                && self.recv.can_shed(&self.config.limits))
    }

    /// Whether the peer's questions may still cause answers. Our own events do not count: were
    /// reading to stop for them, two peers that both send much would wait for each other for ever.
    ///
    /// False while replies of more than `Limits::max_send_bytes` wait to be written. More are taken all
    /// the same; whoever can let questions wait does so until it is true again.
    #[must_use]
    pub fn has_reply_room(&self) -> bool {
        let waiting = self.queue.reply_bytes().saturating_add(self.control.bytes);
        waiting <= self.config.limits.max_send_bytes
    }

    fn ended_badly(&self) -> bool {
        matches!(self.ended.as_deref(), Some(CloseReason::Failed(_)))
    }
}
