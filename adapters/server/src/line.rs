//! One connection of the server: what waits for it, and what is done with what it says.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use sente_adapters::{AnyHandle, Attendant, Events, Handle};
use sente_core::admission::Request;
use sente_core::packer::Packer;
use sente_core::{
    ConnId, ConnectionEvent, Dialect, EventGate, EventRefusal, Hub, HubDelivery, Inbox, Instant,
    Message, PackedEvent, Payload, Peer, ReplyToken, SlowReport, Stats, UserId,
};
use smol_str::SmolStr;
use tokio::task::yield_now;

use crate::event::ServerEvent;
use crate::reload::Bounds;
use crate::sender::Sender;
use crate::sending::Sends;
use crate::served::Served;
use crate::server::{Inner, Server};
use crate::stats::Waiting;
use crate::terms::Place;
use crate::trace;

/// How long a peer that has half-closed may take to read what it is owed.
const FINISHING: Duration = Duration::from_secs(5);

/// After so many events in a row others have their turn.
const IN_A_ROW: usize = 32;

/// Nobody takes events; somebody does; somebody does, and should look again.
const IDLE: u8 = 0;
const RUNNING: u8 = 1;
const AGAIN: u8 = 2;

/// What the server does with a connection, whatever carries it.
pub(crate) trait Wire: Sends + Send + Sync {
    fn link(&self) -> &Link;
    /// Takes what the hub delivers, in its order. Whether it is to be [written](Self::write) by
    /// whoever delivers, and is not so already.
    #[must_use]
    fn deliver(&self, now: Instant, delivery: &HubDelivery) -> bool;
    /// Writes what was delivered.
    fn write(&self);
    /// Has the driver write it.
    fn hand_over(&self);
    /// Has the driver look into the mailbox.
    fn wake(&self);
    fn stats(&self) -> Stats;
    /// What waits in its send queue.
    fn send_queue(&self) -> Waiting;
    fn dialect(&self) -> Option<Dialect>;
    fn packer(&self) -> Option<Arc<dyn Packer>>;
    /// What its peer is called in logs; nothing until it is attached.
    fn name(&self) -> String;
}

/// What the server has of every connection.
pub(crate) struct Link {
    pub(crate) id: ConnId,
    pub(crate) request: Option<Arc<Request>>,
    state: Mutex<LinkState>,
    /// `None` where everything passes.
    gate: Option<Box<Mutex<EventGate>>>,
    bounds: Arc<Bounds>,
    run: AtomicU8,
    /// Whether somebody is to write what was delivered.
    is_unwritten: AtomicBool,
}

/// What of it changes.
struct LinkState {
    user: Option<UserId>,
    /// Its place in the count of connections, until it is gone.
    place: Option<Place>,
    /// `None` while nothing is on its way, as for most connections most of the time.
    mailbox: Option<Box<Mailbox>>,
}

/// What is on its way to a connection.
#[derive(Default)]
struct Mailbox {
    /// `None` while no event waits.
    inbox: Option<Box<Inbox>>,
    orders: Vec<Order>,
    reports: Vec<SlowReport>,
    /// Until when it is to finish what it has begun, by the server's clock.
    drain: Option<Instant>,
    /// Whether the driver has been woken and has not looked yet.
    awake: bool,
}

impl Mailbox {
    fn has_a_line(&self) -> bool {
        self.inbox.as_ref().is_some_and(|inbox| !inbox.is_empty())
    }

    /// Whether nothing is in it or has its time.
    fn is_clear(&self) -> bool {
        self.inbox.is_none() && self.orders.is_empty() && self.drain.is_none()
    }

    /// Whether it can be let go of: nobody is to look into it.
    fn is_done(&self) -> bool {
        self.is_clear() && self.reports.is_empty() && !self.awake
    }

    /// Lets go of an inbox that has nothing in it and nothing to tell. When to look at it again.
    fn tidy(&mut self) -> Option<Instant> {
        let inbox = self.inbox.as_ref()?;
        let again = inbox.poll_timeout();
        if again.is_none() && inbox.is_empty() {
            self.inbox = None;
        }
        again
    }
}

/// What a connection is told to do.
pub(crate) enum Order {
    Close(u16, SmolStr),
    Reply(ReplyToken, Payload),
    ReplyError(ReplyToken),
}

impl Link {
    pub(crate) fn new(
        id: ConnId,
        request: Option<Arc<Request>>,
        place: Option<Place>,
        gate: Option<Box<Mutex<EventGate>>>,
        bounds: Arc<Bounds>,
    ) -> Self {
        Self {
            id,
            request,
            state: Mutex::new(LinkState {
                user: None,
                place,
                mailbox: None,
            }),
            gate,
            bounds,
            run: AtomicU8::new(IDLE),
            is_unwritten: AtomicBool::new(false),
        }
    }

    pub(crate) fn peer(&self) -> Peer {
        let user = lock(&self.state).user.clone();
        match user {
            Some(user) => Peer::of_user(self.id, user),
            None => Peer::new(self.id),
        }
    }

    pub(crate) fn set_user(&self, user: UserId) {
        lock(&self.state).user = Some(user);
    }

    /// Puts in what the hub delivers. Whether the driver is to be woken.
    pub(crate) fn deliver(&self, now: Instant, delivery: &HubDelivery) -> bool {
        let mut state = lock(&self.state);
        let mailbox = state.mailbox.get_or_insert_default();
        // What is refused is told as the loss of a slow consumer.
        let limits = &self.bounds.inbox;
        let inbox = mailbox
            .inbox
            .get_or_insert_with(|| Box::new(Inbox::new(limits.clone())));
        let _ = inbox.push_delivery(now, delivery);
        !std::mem::replace(&mut mailbox.awake, true)
    }

    /// The same with what is to be done.
    pub(crate) fn order(&self, order: Order) -> bool {
        let mut state = lock(&self.state);
        let mailbox = state.mailbox.get_or_insert_default();
        mailbox.orders.push(order);
        !std::mem::replace(&mut mailbox.awake, true)
    }

    /// Has it finish what it has begun, until `deadline` at the latest.
    pub(crate) fn drain(&self, deadline: Instant) -> bool {
        let mut state = lock(&self.state);
        let mailbox = state.mailbox.get_or_insert_default();
        let deadline = mailbox.drain.map_or(deadline, |at| at.min(deadline));
        mailbox.drain = Some(deadline);
        !std::mem::replace(&mut mailbox.awake, true)
    }

    /// What waits for it: events and their bytes.
    pub(crate) fn waiting(&self) -> Waiting {
        let state = lock(&self.state);
        let inbox = state.mailbox.as_ref().and_then(|it| it.inbox.as_deref());
        inbox.map_or_else(Waiting::default, |it| Waiting::new(it.len(), it.bytes()))
    }

    fn take_reports(&self) -> Vec<SlowReport> {
        let mut state = lock(&self.state);
        let Some(mailbox) = state.mailbox.as_deref_mut() else {
            return Vec::new();
        };
        let reports = std::mem::take(&mut mailbox.reports);
        if mailbox.is_done() {
            state.mailbox = None;
        }
        reports
    }

    pub(crate) fn has_a_line(&self) -> bool {
        let state = lock(&self.state);
        let mailbox = state.mailbox.as_ref();
        mailbox.is_some_and(|it| it.has_a_line())
    }

    /// Whether nothing is on its way that the next delivery would have to stand behind.
    pub(crate) fn is_clear(&self) -> bool {
        let state = lock(&self.state);
        let mailbox = state.mailbox.as_ref();
        mailbox.is_none_or(|it| it.is_clear())
    }

    pub(crate) fn take_unsent(&self) -> (Vec<PackedEvent>, Vec<PackedEvent>) {
        let mut state = lock(&self.state);
        let inbox = state.mailbox.as_mut().and_then(|it| it.inbox.take());
        inbox
            .map(|mut inbox| inbox.take_unsent())
            .unwrap_or_default()
    }
}

/// A connection of the server over `M`.
pub(crate) struct Line<M: Served> {
    link: Link,
    server: Weak<Inner>,
    handle: OnceLock<Handle<M>>,
    events: Mutex<Option<Events<M>>>,
}

impl<M: Served> Line<M> {
    pub(crate) fn new(link: Link, server: &Arc<Inner>) -> Arc<Self> {
        Arc::new(Self {
            link,
            server: Arc::downgrade(server),
            handle: OnceLock::new(),
            events: Mutex::new(None),
        })
    }

    /// Begins to serve it.
    pub(crate) fn attach(self: Arc<Self>, handle: Handle<M>, events: Events<M>) {
        *lock(&self.events) = Some(events);
        if self.handle.set(handle).is_ok()
            && let Some(handle) = self.handle.get()
        {
            handle.attend(self.clone());
        }
    }

    pub(crate) fn take_unsent(&self) -> (Vec<PackedEvent>, Vec<PackedEvent>) {
        self.link.take_unsent()
    }

    /// What it is sent to with; `None` until it is attached.
    pub(crate) fn handle(&self) -> Option<&Handle<M>> {
        self.handle.get()
    }

    fn nudge(self: Arc<Self>) {
        if self.link.run.swap(AGAIN, Ordering::AcqRel) != IDLE {
            return;
        }
        if let Some(server) = self.server.upgrade() {
            let runtime = server.runtime.clone();
            runtime.spawn(self.run(Server::from(server)));
        }
    }

    /// Takes what there is to take, in order, until there is nothing.
    async fn run(self: Arc<Self>, server: Server) {
        loop {
            self.link.run.store(RUNNING, Ordering::Release);
            let mut taken = 0_usize;
            loop {
                // Not in the loop's head, where the mailbox would stay locked.
                let reports = self.link.take_reports();
                for report in reports {
                    server.tell_slow(self.link.id, report);
                }
                let Some(event) = self.next() else { break };
                self.hear(&server, event).await;
                taken = taken.wrapping_add(1);
                if taken.is_multiple_of(IN_A_ROW) {
                    yield_now().await;
                }
            }
            let ended =
                self.link
                    .run
                    .compare_exchange(RUNNING, IDLE, Ordering::AcqRel, Ordering::Acquire);
            if ended.is_ok() {
                return;
            }
        }
    }

    fn next(&self) -> Option<ConnectionEvent> {
        let mut events = lock(&self.events);
        loop {
            let told = events.as_mut()?.try_next()?;
            if let Ok(event) = M::to_event(told) {
                return Some(event);
            }
        }
    }

    async fn hear(self: &Arc<Self>, server: &Server, event: ConnectionEvent) {
        match event {
            ConnectionEvent::Message(message) => self.hear_message(server, message).await,
            ConnectionEvent::PeerFinished => self.finish(server.now() + FINISHING),
            ConnectionEvent::Closed(reason) => {
                // Nobody takes events any more; what holds them can go.
                let events = lock(&self.events).take();
                let (kept, rest) = self.link.take_unsent();
                let peer = self.link.peer();
                server.depart(self.link.id, kept, M::had_its_grace());
                let place = lock(&self.link.state).place.take();
                drop(place);
                trace::left(&peer, &reason, &self.name());
                if !rest.is_empty() {
                    let (peer, events) = (peer.clone(), rest);
                    server.tell(ServerEvent::Undelivered { peer, events });
                }
                server.tell(ServerEvent::Left { peer, reason });
                drop(events);
            }
            ConnectionEvent::Undelivered(events) => {
                let peer = self.link.peer();
                server.tell(ServerEvent::Undelivered { peer, events });
            }
            ConnectionEvent::BadEvent(bad) => {
                if let Some(token) = bad.reply {
                    self.reply_error(token);
                }
                let peer = self.link.peer();
                trace::bad_event(&peer, &bad.reason);
                server.tell(ServerEvent::BadEvents {
                    peer,
                    reason: Some(bad.reason),
                    count: 1,
                });
            }
            ConnectionEvent::BadEventsSuppressed(count) => {
                let peer = self.link.peer();
                server.tell(ServerEvent::BadEvents {
                    peer,
                    reason: None,
                    count,
                });
            }
            ConnectionEvent::Hello(hello) => {
                if let Some(dialect) = self.dialect() {
                    server.with_hub(|hub, _| hub.set_dialect(self.link.id, dialect));
                }
                server.tell(ServerEvent::Hello {
                    peer: self.link.peer(),
                    client_id: hello.client_id.map(SmolStr::from),
                    token: hello.token,
                });
            }
            // Answers go to those who wait for them, and the rest is told by numbers.
            _ => {}
        }
    }

    fn finish(&self, deadline: Instant) {
        if self.link.drain(deadline) {
            self.wake();
        }
    }

    async fn hear_message(self: &Arc<Self>, server: &Server, message: Message) {
        let peer = self.link.peer();
        if let Err(why) = self.pass(server, &peer, &message) {
            let id = message.event.id;
            if let Some(token) = message.reply {
                self.reply_error(token);
            }
            let gate = self.link.gate.as_deref();
            let report = gate.and_then(|gate| lock(gate).report(server.now()));
            server.inner.counts.refused_event();
            if let Some(count) = report {
                trace::refused_events(&peer, &id, &why, count);
                server.tell(ServerEvent::Refused {
                    peer,
                    id,
                    why,
                    count,
                });
            }
            return;
        }
        if let Some(tap) = server.inner.tap.get() {
            tap.received(&peer, &message.event, message.reply.is_some());
        }
        let message = if Hub::may_take(&message.event) {
            let from = self.link.id;
            server.with_hub(|hub, now| hub.handle_message(now, from, message))
        } else {
            Some(message)
        };
        if let (Some(message), Some(handle)) = (message, self.handle.get()) {
            let request = self.link.request.clone();
            let sender = Sender::new(peer, request, server.clone());
            if let Some(message) = server.offer(message, &sender, self) {
                server.handle(message, AnyHandle::of(handle), sender).await;
            }
        }
    }

    fn pass(&self, server: &Server, peer: &Peer, message: &Message) -> Result<(), EventRefusal> {
        let Some(gate) = self.link.gate.as_deref() else {
            return Ok(());
        };
        let mut users = server.user_rates();
        lock(gate).check(server.now(), peer, &message.event, users.as_deref_mut())
    }

    /// The deadline of a drain for the connection's own clock, if it is time for one.
    fn drain_now(mailbox: &mut Mailbox, server_now: Instant, now: Instant) -> Option<Instant> {
        let deadline = mailbox.drain?;
        if mailbox.has_a_line() && deadline > server_now {
            return None;
        }
        mailbox.drain = None;
        Some(now + deadline.saturating_duration_since(server_now))
    }
}

impl<M: Served> Attendant<M> for Line<M> {
    fn attend(self: Arc<Self>, now: Instant, machine: &mut M) -> Option<Instant> {
        let mut state = lock(&self.link.state);
        let mailbox = state.mailbox.as_deref_mut()?;
        mailbox.awake = false;
        if mailbox.is_clear() {
            if mailbox.is_done() {
                state.mailbox = None;
            }
            return None;
        }
        let server_now = self.link.bounds.clock.now();
        for order in std::mem::take(&mut mailbox.orders) {
            match order {
                Order::Close(code, reason) => M::close_with(machine, now, code, &reason),
                // Whoever called is gone where these fail.
                Order::Reply(token, payload) => drop(machine.reply(now, token, payload)),
                Order::ReplyError(token) => drop(machine.reply_error(now, token)),
            }
        }
        let inbox = mailbox.inbox.as_deref_mut();
        let retry_at = inbox.and_then(|inbox| M::deliver(machine, inbox, now));
        if let Some(deadline) = Self::drain_now(mailbox, server_now, now) {
            machine.drain(now, deadline);
        }
        if !machine.is_open() {
            return None;
        }
        let inbox = mailbox.inbox.as_deref_mut();
        let report = inbox.and_then(|inbox| inbox.take_report(server_now));
        let has_report = report.is_some();
        mailbox.reports.extend(report);
        let wanted = [mailbox.tidy(), mailbox.drain];
        if mailbox.is_done() {
            state.mailbox = None;
        }
        drop(state);
        if has_report {
            self.nudge();
        }
        let wanted = wanted.into_iter().flatten().min();
        let wanted = wanted.map(|at| now + at.saturating_duration_since(server_now));
        [retry_at, wanted].into_iter().flatten().min()
    }

    fn arrived(self: Arc<Self>) {
        self.nudge();
    }
}

impl<M: Served> Wire for Line<M> {
    fn link(&self) -> &Link {
        &self.link
    }

    fn deliver(&self, now: Instant, delivery: &HubDelivery) -> bool {
        // Mostly nothing waits, and there is room where it would have to go in the end. Deliveries
        // come one after the other, under the server's lock: none can come between.
        let passed = self.link.is_clear()
            && self.handle.get().is_some_and(|handle| {
                handle.queue_now(|now, machine| machine.pass_on(delivery, now))
            });
        if passed {
            return !self.link.is_unwritten.swap(true, Ordering::AcqRel);
        }
        if self.link.deliver(now, delivery) {
            self.wake();
        }
        false
    }

    fn write(&self) {
        // First: what is delivered from now on is for the next time.
        self.link.is_unwritten.store(false, Ordering::Release);
        if let Some(handle) = self.handle.get() {
            M::write_now(handle);
        }
    }

    fn hand_over(&self) {
        self.link.is_unwritten.store(false, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        if let Some(handle) = self.handle.get() {
            handle.wake();
        }
    }

    fn stats(&self) -> Stats {
        self.handle.get().map(M::stats).unwrap_or_default()
    }

    fn send_queue(&self) -> Waiting {
        let capacity = self.handle.get().map(Handle::send_capacity);
        capacity.map_or_else(Waiting::default, |it| Waiting::new(it.messages, it.bytes))
    }

    fn dialect(&self) -> Option<Dialect> {
        self.handle.get().map(M::dialect)
    }

    fn packer(&self) -> Option<Arc<dyn Packer>> {
        self.handle.get().map(|handle| M::facts(handle).packer)
    }

    fn name(&self) -> String {
        let handle = self.handle.get();
        handle.map_or_else(String::new, |handle| M::facts(handle).peer)
    }
}

/// Nothing that runs under these locks leaves a thing half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
