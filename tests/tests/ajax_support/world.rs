//! A client's links and a server's sessions, with a network in between that delays and loses.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sente_core::admission::Request;
use sente_core::ajax::{
    AjaxClient, AjaxClientConfig, AjaxConfig, AjaxRequest, AjaxSession, Exchange, Poll, Response,
};
use sente_core::{
    Accept, CallId, ConnectionEvent, Event, Extensions, Instant, Limits, Payload, ReplyToken, State,
};
use sente_tests::id;

use super::{NOW, second};

/// How the network behaves.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    /// The longest way, in milliseconds.
    pub delay: u64,
    /// How many of a hundred requests and answers are lost.
    pub lost: u64,
    /// Whether the server hears of answers that did not arrive.
    pub silent: bool,
}

#[derive(Clone, Copy, Debug)]
pub enum Step {
    Call { timeout: u64 },
    Cancel,
    ClientSend,
    LaterReply,
    Push,
    Pause { millis: u64 },
    ServerReads,
}

pub enum Delivery {
    Failed(usize, Exchange),
    Request(usize, Exchange, Request),
    Response(usize, Exchange, Response),
}

/// A link of the client, and what became of what it was given.
pub struct Link {
    pub client: AjaxClient,
    closed: bool,
    /// The numbers of the events it took.
    taken: Vec<i64>,
    pub undelivered: BTreeSet<i64>,
    calls: BTreeMap<CallId, (i64, u32)>,
    asked: BTreeSet<Exchange>,
}

/// A session of the server, and what became of what it was given.
pub struct Session {
    session: AjaxSession,
    /// Which request of which link each of its own stands for, and whether it has been answered.
    exchanges: BTreeMap<Exchange, (usize, Exchange)>,
    opened: bool,
    closed: bool,
    taken: Vec<i64>,
    undelivered: Vec<i64>,
}

pub struct World {
    network: Network,
    state: u64,
    now: Instant,
    number: i64,
    pub links: Vec<Link>,
    pub sessions: Vec<Session>,
    config: Arc<AjaxConfig>,
    client_config: Arc<AjaxClientConfig>,
    on_the_way: Vec<(Instant, u64, Delivery)>,
    sequence: u64,
    /// When the next link begins.
    reconnect: Option<Instant>,
    server_reads: bool,
    tokens: Vec<(usize, ReplyToken, i64)>,
    /// What the server's application was told, by link and number.
    arrived: BTreeMap<i64, u32>,
    pub order: Vec<i64>,
    /// What the client's application was told.
    pub pushed: Vec<i64>,
    lost_pushes: bool,
}

pub fn numbered(name: &str, number: i64) -> Event {
    Event::new(id(name), number)
}

pub fn number_of(payload: &Payload) -> i64 {
    payload.to_value().unwrap().as_i64().unwrap()
}

pub fn numbers(events: &[sente_core::PackedEvent]) -> impl Iterator<Item = i64> {
    events.iter().map(|event| {
        let value = sente_tests::edn(std::str::from_utf8(event.bytes()).unwrap());
        value.as_sequence().unwrap()[1].as_i64().unwrap()
    })
}

impl World {
    pub fn new(network: Network, seed: u64, window: bool, batches: bool) -> Self {
        let mut limits = Limits::default();
        limits.max_recv_messages = 6;
        limits.max_send_messages = 8;
        limits.max_batch_events = 4;
        let mut client = AjaxClientConfig::builder("/chsk")
            .limits(limits.clone())
            .max_parallel_calls(3);
        if batches {
            client = client.offer(Extensions::ALL);
        }
        let mut server = AjaxConfig::builder()
            .limits(limits)
            .max_requests(6)
            .poll_timeout(Some(second(3)))
            .reply_timeout(Some(second(4)));
        if window {
            server = server.flush_window(Some(AjaxConfig::SENTE_FLUSH_WINDOW));
        }
        let mut world = Self {
            network,
            state: seed | 1,
            now: NOW,
            number: 0,
            links: Vec::new(),
            sessions: Vec::new(),
            config: server.build().unwrap(),
            client_config: client.build().unwrap(),
            on_the_way: Vec::new(),
            sequence: 0,
            reconnect: Some(NOW),
            server_reads: true,
            tokens: Vec::new(),
            arrived: BTreeMap::new(),
            order: Vec::new(),
            pushed: Vec::new(),
            lost_pushes: false,
        };
        world.drive();
        world
    }

    fn random(&mut self, below: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        if below == 0 { 0 } else { self.state % below }
    }

    fn next_number(&mut self) -> i64 {
        self.number += 1;
        self.number
    }

    fn carry(&mut self, delivery: Delivery) {
        let delay = 1 + self.random(self.network.delay);
        let at = self.now + Duration::from_millis(delay);
        self.sequence += 1;
        self.on_the_way.push((at, self.sequence, delivery));
    }

    fn is_lost(&mut self) -> bool {
        self.random(100) < self.network.lost
    }

    /// Carries out what both sides want done now.
    fn drive(&mut self) {
        loop {
            let mut busy = false;
            if self.reconnect.is_some_and(|at| at <= self.now) {
                self.reconnect = None;
                let seed = [u8::try_from(self.links.len() % 256).unwrap(); 32];
                let client = AjaxClient::new(self.client_config.clone(), "c", seed, self.now);
                self.links.push(Link {
                    client,
                    closed: false,
                    taken: Vec::new(),
                    undelivered: BTreeSet::new(),
                    calls: BTreeMap::new(),
                    asked: BTreeSet::new(),
                });
                busy = true;
            }
            for at in 0..self.links.len() {
                busy |= self.drive_link(at);
            }
            for at in 0..self.sessions.len() {
                busy |= self.drive_session(at);
            }
            if !busy {
                return;
            }
        }
    }

    fn drive_link(&mut self, at: usize) -> bool {
        let mut busy = false;
        while let Some(send) = self.links[at].client.poll_send() {
            busy = true;
            assert!(self.links[at].asked.insert(send.exchange), "asked once");
            // A poll, a post of events, and the calls.
            assert!(self.links[at].client.pending_requests() <= 2 + 3);
            let lost = self.is_lost();
            self.carry(if lost {
                Delivery::Failed(at, send.exchange)
            } else {
                Delivery::Request(at, send.exchange, send.request)
            });
        }
        while let Some(exchange) = self.links[at].client.poll_abort() {
            busy = true;
            self.give_up(at, exchange);
        }
        while let Some(event) = self.links[at].client.poll_event() {
            busy = true;
            assert!(!self.links[at].closed, "Closed is the last: {event:?}");
            let link = &mut self.links[at];
            match event {
                ConnectionEvent::Message(message) => {
                    self.pushed
                        .push(number_of(message.event.data.as_ref().unwrap()));
                }
                ConnectionEvent::Undelivered(events) => link.undelivered.extend(numbers(&events)),
                ConnectionEvent::Settled { call, result } => {
                    let (number, settled) = link.calls.get_mut(&call).unwrap();
                    *settled += 1;
                    assert_eq!(*settled, 1, "settled once");
                    if let Ok(payload) = result {
                        assert_eq!(number_of(&payload), *number);
                    }
                }
                ConnectionEvent::Closed(_) => {
                    link.closed = true;
                    let wait = Duration::from_millis(200);
                    self.reconnect = Some(self.now + wait);
                }
                ConnectionEvent::BadEvent(bad) => panic!("{bad:?}"),
                _ => {}
            }
        }
        busy
    }

    /// The client's side ends a request: what is on the way to it is lost.
    fn give_up(&mut self, link: usize, exchange: Exchange) {
        let on_the_way = std::mem::take(&mut self.on_the_way);
        for (at, sequence, delivery) in on_the_way {
            match delivery {
                Delivery::Response(to, answered, _) if (to, answered) == (link, exchange) => {}
                Delivery::Failed(to, failed) if (to, failed) == (link, exchange) => {}
                other => self.on_the_way.push((at, sequence, other)),
            }
        }
        self.tell_aborted(link, exchange);
    }

    fn tell_aborted(&mut self, link: usize, exchange: Exchange) {
        if self.network.silent {
            self.lost_pushes = true;
            return;
        }
        for session in &mut self.sessions {
            let found = session
                .exchanges
                .iter()
                .find(|(_, of)| **of == (link, exchange));
            if let Some((own, _)) = found {
                let own = *own;
                // Of a session that is over nobody can be told any more.
                if session.session.state() == State::Closed {
                    self.lost_pushes = true;
                }
                session.session.handle_aborted(self.now, own);
            }
        }
    }

    fn drive_session(&mut self, at: usize) -> bool {
        let mut busy = false;
        let reads = self.server_reads;
        while let Some(event) = reads
            .then(|| self.sessions[at].session.poll_event())
            .flatten()
        {
            busy = true;
            let session = &mut self.sessions[at];
            assert!(!session.closed, "Closed is the last: {event:?}");
            match event {
                ConnectionEvent::Opened(_) => {
                    assert!(!session.opened);
                    session.opened = true;
                }
                ConnectionEvent::Message(message) => {
                    assert!(session.opened, "Opened comes first");
                    let number = number_of(message.event.data.as_ref().unwrap());
                    *self.arrived.entry(number).or_default() += 1;
                    self.order.push(number);
                    if let Some(token) = message.reply {
                        self.tokens.push((at, token, number));
                    }
                }
                ConnectionEvent::Undelivered(events) => {
                    session.undelivered.extend(numbers(&events))
                }
                ConnectionEvent::Closed(_) => session.closed = true,
                ConnectionEvent::BadEvent(bad) => panic!("{bad:?}"),
                _ => {}
            }
        }
        // Most calls are answered as they come, some later.
        let tokens = std::mem::take(&mut self.tokens);
        for (of, token, number) in tokens {
            if self.random(4) > 0 {
                let _ = self.sessions[of].session.reply(self.now, token, number);
            } else {
                self.tokens.push((of, token, number));
            }
        }
        while let Some(respond) = self.sessions[at].session.poll_respond() {
            busy = true;
            let answered = self.sessions[at].exchanges.get(&respond.exchange).copied();
            let (link, exchange) = answered.expect("only what was asked is answered");
            // Kept until the answer has arrived, for `tell_aborted`.
            let response = respond.response;
            assert!(matches!(response.status, 200 | 410 | 503), "{response:?}");
            let waits = self.links[link].client.pending_requests() > 0;
            if self.is_lost() && waits {
                self.tell_aborted(link, exchange);
                self.carry(Delivery::Failed(link, exchange));
            } else {
                self.carry(Delivery::Response(link, exchange, response));
            }
        }
        let session = &self.sessions[at].session;
        let (messages, _) = session.recv_queued();
        assert!(messages <= 6);
        assert!(session.send_capacity().messages <= 8);
        assert!(session.pending_requests() <= 6 + 6);
        busy
    }

    fn deliver(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Failed(link, exchange) => {
                self.links[link]
                    .client
                    .handle_failed(self.now, exchange, "lost");
            }
            Delivery::Response(link, exchange, response) => {
                self.links[link]
                    .client
                    .handle_response(self.now, exchange, &response);
            }
            Delivery::Request(link, exchange, request) => {
                if self
                    .sessions
                    .last()
                    .is_none_or(|last| last.session.state() == State::Closed)
                {
                    let config = self.config.clone();
                    let seed = [u8::try_from(self.sessions.len() % 256).unwrap(); 32];
                    self.sessions.push(Session {
                        session: AjaxSession::new(config, Accept::new("ada"), seed, self.now),
                        exchanges: BTreeMap::new(),
                        opened: false,
                        closed: false,
                        taken: Vec::new(),
                        undelivered: Vec::new(),
                    });
                }
                let session = self.sessions.last_mut().unwrap();
                let asks = AjaxRequest::read(&request).unwrap();
                if asks == AjaxRequest::Poll(Poll::Handshake) {
                    let mut accept = Accept::new("ada");
                    accept.offered = request.param("sente-ext").and_then(|e| e.parse().ok());
                    session.session.accept(self.now, accept);
                }
                let own = session.session.handle(self.now, asks);
                session.exchanges.insert(own, (link, exchange));
            }
        }
    }

    fn next(&self) -> Option<Instant> {
        let links = self
            .links
            .iter()
            .filter_map(|link| link.client.poll_timeout());
        let sessions = self
            .sessions
            .iter()
            .filter_map(|s| s.session.poll_timeout());
        let on_the_way = self.on_the_way.iter().map(|(at, ..)| *at);
        links
            .chain(sessions)
            .chain(on_the_way)
            .chain(self.reconnect)
            .min()
    }

    fn advance(&mut self, until: Instant) {
        let mut turns = 0;
        while let Some(at) = self.next().filter(|at| *at <= until) {
            turns += 1;
            assert!(turns < 20_000, "nothing stands still");
            self.now = self.now.max(at);
            let mut due: Vec<(Instant, u64, Delivery)> = Vec::new();
            let mut rest = Vec::new();
            for delivery in std::mem::take(&mut self.on_the_way) {
                if delivery.0 <= self.now {
                    due.push(delivery);
                } else {
                    rest.push(delivery);
                }
            }
            self.on_the_way = rest;
            due.sort_by_key(|(at, sequence, _)| (*at, *sequence));
            for (_, _, delivery) in due {
                self.deliver(delivery);
                self.drive();
            }
            for link in &mut self.links {
                link.client.handle_timeout(self.now);
            }
            for session in &mut self.sessions {
                session.session.handle_timeout(self.now);
            }
            self.drive();
        }
        self.now = until;
    }

    pub fn step(&mut self, step: Step) {
        let now = self.now;
        match step {
            Step::Pause { millis } => self.advance(now + Duration::from_millis(millis)),
            Step::ClientSend => {
                let number = self.next_number();
                if let Some(link) = self.links.last_mut()
                    && link.client.send(now, numbered("c/event", number)).is_ok()
                {
                    link.taken.push(number);
                }
            }
            Step::Call { timeout } => {
                let number = self.next_number();
                let timeout = Duration::from_millis(timeout);
                if let Some(link) = self.links.last_mut()
                    && let Ok(call) = link.client.call(now, numbered("c/call", number), timeout)
                {
                    link.calls.insert(call, (number, 0));
                }
            }
            Step::Cancel => {
                if let Some(link) = self.links.last_mut()
                    && let Some((call, _)) =
                        link.calls.iter().find(|(_, (_, settled))| *settled == 0)
                {
                    let call = *call;
                    link.client.cancel(call);
                }
            }
            Step::Push => {
                let number = self.next_number();
                if let Some(session) = self.sessions.last_mut()
                    && session
                        .session
                        .send(now, numbered("s/push", number))
                        .is_ok()
                {
                    session.taken.push(number);
                }
            }
            Step::LaterReply => {
                if let Some((of, token, number)) = self.tokens.pop() {
                    let _ = self.sessions[of].session.reply(now, token, number);
                }
            }
            Step::ServerReads => self.server_reads = !self.server_reads,
        }
        self.drive();
    }

    /// Nothing is lost any more, and everything is read and closed.
    pub fn finish(&mut self) {
        self.network.lost = 0;
        self.server_reads = true;
        self.drive();
        self.advance(self.now + second(90));
        for link in &mut self.links {
            link.client.close(self.now);
        }
        self.drive();
        self.reconnect = None;
        for session in &mut self.sessions {
            session.session.close(self.now);
        }
        self.drive();
    }

    pub fn check(&self) {
        for link in &self.links {
            assert!(link.closed, "every link ends");
            for number in &link.taken {
                let arrived = self.arrived.get(number).copied().unwrap_or(0);
                assert!(arrived <= 1, "{number} arrived {arrived} times");
                let undelivered = link.undelivered.contains(number);
                assert!(arrived == 1 || undelivered, "{number} has no fate");
            }
            assert!(link.calls.values().all(|(_, settled)| *settled == 1));
            // In order, as far as they arrived.
            let of_link: Vec<i64> = self
                .order
                .iter()
                .copied()
                .filter(|number| link.taken.contains(number))
                .collect();
            assert!(of_link.is_sorted(), "{of_link:?}");
        }
        let mut fates: BTreeMap<i64, u32> = BTreeMap::new();
        for session in &self.sessions {
            assert_eq!(session.opened, session.closed, "what opened closes");
            for number in &session.undelivered {
                *fates.entry(*number).or_default() += 1;
            }
            let seen: Vec<i64> = self
                .pushed
                .iter()
                .copied()
                .filter(|number| session.taken.contains(number))
                .collect();
            assert!(seen.is_sorted(), "{seen:?}");
        }
        for number in &self.pushed {
            *fates.entry(*number).or_default() += 1;
        }
        for number in self.sessions.iter().flat_map(|session| &session.taken) {
            let fate = fates.get(number).copied().unwrap_or(0);
            assert!(fate <= 1, "{number} has {fate} fates");
            assert!(fate == 1 || self.lost_pushes, "{number} has no fate");
        }
    }
}
