//! Every event a client accepts has one fate, whatever its policy, and everything that is waited for
//! ends once, over links that come, drain, break and are left.
#![allow(missing_docs)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use sente_core::{
    CallId, Carrier, ClientConfig, ClientEvent, Connection, ConnectionConfig, ConnectionEvent,
    Dialect, Event, FlushId, Limits, OnOffline, Policy, Priority, Rate, ReplyToken, Role,
    SendOptions, Ticket,
};
use sente_tests::{Rig, event, events, millis, seconds, text};

/// The terms of one run, all chosen so that they matter.
#[derive(Clone, Debug)]
struct Terms {
    dialect: Dialect,
    carrier: Carrier,
    messages: usize,
    bytes: usize,
    transmit: usize,
    received: usize,
    window: Option<u64>,
    rate: Option<(u32, u32)>,
    offline: Option<(usize, usize)>,
}

fn terms() -> impl Strategy<Value = Terms> {
    let link = prop::sample::select(vec![
        (Dialect::SenteLite, Carrier::Lines),
        (Dialect::Sente, Carrier::WebSocket),
        (Dialect::Sente, Carrier::Lines),
        (Dialect::SenteLite, Carrier::WebSocket),
    ]);
    let room = (
        prop::sample::select(vec![3usize, 8, 1_000]),
        prop::sample::select(vec![60usize, 300, 100_000]),
        prop::sample::select(vec![1usize, 100, 65_536]),
        prop::sample::select(vec![2usize, 5_000]),
    );
    let pace = (
        prop::option::of(0..100u64),
        prop::option::of((1..21u32, 1..6u32)),
    );
    let offline = prop::option::of((
        prop::sample::select(vec![2usize, 50]),
        prop::sample::select(vec![100usize, 10_000]),
    ));
    (link, room, pace, offline).prop_map(
        |((dialect, carrier), (messages, bytes, transmit, received), (window, rate), offline)| {
            Terms {
                dialect,
                carrier,
                messages,
                bytes,
                transmit,
                received,
                window,
                rate,
                offline,
            }
        },
    )
}

impl Terms {
    fn rig(&self) -> Rig {
        let mut limits = Limits::default();
        limits.max_send_messages = self.messages;
        limits.max_send_bytes = self.bytes;
        limits.max_transmit_bytes = self.transmit;
        limits.max_recv_messages = self.received;
        limits.max_reservations = 6;
        limits.max_flushes = 3;
        limits.max_batch_events = 4;
        let rate = |(events, burst)| Rate::new(events, seconds(1), burst);
        let link = ConnectionConfig::builder(Role::Client, self.dialect, self.carrier)
            .limits(limits)
            .flush_window(self.window.map(millis))
            .send_rate(self.rate.map(rate))
            .keep_dropped(1 << 30)
            .build()
            .unwrap();
        let mut offline = OnOffline::buffer();
        match (&mut offline, self.offline) {
            (
                OnOffline::Buffer {
                    max_messages,
                    max_bytes,
                },
                Some(room),
            ) => (*max_messages, *max_bytes) = room,
            _ => offline = OnOffline::Refuse,
        }
        let client = ClientConfig::builder(link).on_offline(offline);
        Rig::new(client.build().unwrap())
    }
}

#[derive(Clone, Debug)]
enum Op {
    Advance(u64),
    Answers,
    Break,
    Call(u64),
    Carries(bool),
    Connect,
    Disconnect,
    Drain,
    Drive,
    Flush,
    Look,
    Reconnect,
    Release(prop::sample::Index),
    Reply,
    Reserve(usize, Option<u64>),
    Send(usize, u8, bool, bool),
    SendReserved(usize),
    ServerCalls,
    ServerDrains,
    ServerSends,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        18 => (0..30usize, 0..5u8, prop::bool::weighted(0.3), prop::bool::weighted(0.1))
            .prop_map(|(size, policy, low, flush)| Op::Send(size, policy, low, flush)),
        2 => (5..45usize, prop::option::of(0..500u64)).prop_map(|(n, wait)| Op::Reserve(n, wait)),
        2 => (0..30usize).prop_map(Op::SendReserved),
        2 => any::<prop::sample::Index>().prop_map(Op::Release),
        2 => Just(Op::Flush),
        2 => (0..3_000u64).prop_map(Op::Call),
        2 => Just(Op::Look),
        2 => Just(Op::Answers),
        2 => prop::bool::weighted(0.7).prop_map(Op::Carries),
        4 => Just(Op::Drive),
        2 => (0..2_000u64).prop_map(Op::Advance),
        1 => Just(Op::ServerSends),
        1 => Just(Op::ServerCalls),
        1 => Just(Op::ServerDrains),
        2 => Just(Op::Reply),
        1 => Just(Op::Connect),
        1 => Just(Op::Break),
        1 => Just(Op::Disconnect),
        1 => Just(Op::Reconnect),
        1 => Just(Op::Drain),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Delivered,
    Dropped,
    Undelivered,
}

/// How a reservation goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Waits,
    Granted,
    Over,
}

/// What was accepted and asked for, and what became of it.
struct Book {
    rig: Rig,
    next: u64,
    accepted: BTreeSet<u64>,
    fates: BTreeMap<u64, Fate>,
    tickets: BTreeMap<Ticket, Standing>,
    flushes: BTreeMap<FlushId, bool>,
    calls: BTreeMap<CallId, bool>,
    tokens: Vec<ReplyToken>,
}

fn number(packed: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(packed).unwrap();
    text.strip_prefix("[:a/n [")?
        .split(' ')
        .next()?
        .parse()
        .ok()
}

fn options(policy: u8, low: bool, flush: bool) -> SendOptions {
    let policy = match policy {
        0 => Policy::DropOldest,
        1 => Policy::Volatile,
        2 => Policy::Latest("p".into()),
        _ => Policy::Reject,
    };
    let priority = if low { Priority::Low } else { Priority::Normal };
    let options = SendOptions::new().policy(policy).priority(priority);
    options.flush(flush)
}

impl Book {
    fn fate(&mut self, number: u64, fate: Fate) {
        assert!(
            self.accepted.contains(&number),
            "{number} was never accepted: {fate:?}"
        );
        let before = self.fates.insert(number, fate);
        assert_eq!(before, None, "{number} is {fate:?}, too");
    }

    fn event(&self, size: usize) -> (u64, Event) {
        let filler = "x".repeat(size);
        let event = event(&format!("[:a/n [{} \"{filler}\"]]", self.next));
        (self.next, event)
    }

    fn ticket(&mut self, ticket: Ticket, from: Standing, to: Standing) {
        assert_eq!(
            self.tickets.insert(ticket, to),
            Some(from),
            "{ticket:?} is {to:?}"
        );
    }

    fn told(&mut self, event: ConnectionEvent) {
        match event {
            ConnectionEvent::Undelivered(events) => {
                for event in events {
                    let number = number(event.bytes()).expect("calls do not come back");
                    self.fate(number, Fate::Undelivered);
                }
            }
            ConnectionEvent::Dropped(dropped) => {
                assert_eq!(dropped.count, dropped.events.len() as u64);
                for event in dropped.events {
                    self.fate(number(event.bytes()).unwrap(), Fate::Dropped);
                }
            }
            ConnectionEvent::Granted(ticket) => {
                self.ticket(ticket, Standing::Waits, Standing::Granted);
            }
            ConnectionEvent::ReservationExpired(ticket)
            | ConnectionEvent::ReservationFailed(ticket) => {
                self.ticket(ticket, Standing::Waits, Standing::Over);
            }
            ConnectionEvent::Flushed(flush) | ConnectionEvent::FlushFailed(flush) => {
                assert_eq!(self.flushes.insert(flush, true), Some(false), "{flush:?}");
            }
            ConnectionEvent::Settled { call, .. } => {
                assert_eq!(self.calls.insert(call, true), Some(false), "{call:?}");
            }
            ConnectionEvent::Message(message) => self.tokens.extend(message.reply),
            _ => {}
        }
    }

    fn answers(&mut self) {
        while let Some(ClientEvent::Link(event)) = self.rig.client.poll_answer() {
            self.told(event);
        }
    }

    fn look(&mut self) {
        for event in self.rig.events() {
            if let ClientEvent::Link(event) = event {
                self.told(event);
            }
        }
    }

    /// The servers take what has come, and the present one answers.
    fn serve(&mut self) {
        let mut heard = Vec::new();
        let mut owed = Vec::new();
        let now = self.rig.now;
        for mut server in std::mem::take(&mut self.rig.former) {
            heard.extend(take(&mut server, &mut Vec::new()));
        }
        if let Some((_, server)) = &mut self.rig.server {
            heard.extend(take(server, &mut owed));
            for token in owed {
                let _ = server.reply(now, token, "ok");
            }
        }
        for number in heard {
            self.fate(number, Fate::Delivered);
        }
    }

    fn send_reserved(&mut self, size: usize) {
        let granted = |(_, standing): &(&Ticket, &Standing)| **standing == Standing::Granted;
        let ticket = self.tickets.iter().find(granted).map(|(ticket, _)| *ticket);
        let Some(ticket) = ticket else { return };
        let (number, event) = self.event(size);
        let now = self.rig.now;
        self.next += 1;
        if self.rig.client.send_reserved(now, ticket, event).is_ok() {
            self.accepted.insert(number);
        } else {
            self.rig.client.release(now, ticket);
        }
        self.tickets.insert(ticket, Standing::Over);
    }

    fn release(&mut self, pick: prop::sample::Index) {
        if self.tickets.is_empty() {
            return;
        }
        // What it may have been told of by now is known.
        self.answers();
        let tickets: Vec<Ticket> = self.tickets.keys().copied().collect();
        let ticket = tickets[pick.index(tickets.len())];
        if self.rig.client.release(self.rig.now, ticket) {
            self.tickets.insert(ticket, Standing::Over);
        }
    }

    fn act(&mut self, op: Op) {
        let now = self.rig.now;
        match op {
            Op::Send(size, policy, low, flush) => {
                let (number, event) = self.event(size);
                self.next += 1;
                let sent = self
                    .rig
                    .client
                    .send_with(now, event, options(policy, low, flush));
                if sent.is_ok() {
                    self.accepted.insert(number);
                }
            }
            Op::Reserve(bytes, wait) => {
                let deadline = wait.map(|wait| now + millis(wait));
                if let Ok(ticket) = self.rig.client.reserve(now, bytes, deadline) {
                    assert_eq!(self.tickets.insert(ticket, Standing::Waits), None);
                }
            }
            Op::SendReserved(size) => self.send_reserved(size),
            Op::Release(pick) => self.release(pick),
            Op::Flush => {
                let flush = self.rig.client.flush(now);
                let settled = self.flushes.entry(flush).or_insert(false);
                assert!(!*settled, "{flush:?} has settled");
            }
            Op::Call(within) => {
                if let Ok(call) = self.rig.client.call(now, event("[:a/ask]"), millis(within)) {
                    assert_eq!(self.calls.insert(call, false), None);
                }
            }
            Op::Look => self.look(),
            Op::Answers => self.answers(),
            Op::Carries(carries) => self.rig.carries = carries,
            Op::Drive => {
                self.rig.drive();
                self.serve();
            }
            Op::Advance(by) => {
                self.rig.advance(millis(by));
                self.serve();
            }
            Op::ServerSends | Op::ServerCalls | Op::ServerDrains => {
                let Some((_, server)) = &mut self.rig.server else {
                    return;
                };
                match op {
                    Op::ServerSends => drop(server.send(now, event("[:s/e]"))),
                    Op::ServerCalls => drop(server.call(now, event("[:s/q]"), seconds(1))),
                    _ => server.drain(now, now + seconds(1_000)),
                }
            }
            Op::Reply => {
                if let Some(token) = self.tokens.pop() {
                    let _ = self.rig.client.reply(now, token, "yes");
                }
            }
            Op::Connect => self.rig.client.connect(now),
            Op::Break => self.rig.client.break_connection(now),
            Op::Disconnect => self.rig.client.disconnect(now),
            Op::Reconnect => self.rig.client.reconnect(now),
            Op::Drain => self.rig.client.drain(now, now + seconds(1)),
        }
    }

    fn finish(&mut self) {
        self.rig.carries = true;
        self.look();
        self.rig.drive();
        self.serve();
        self.look();
        self.rig.client.disconnect(self.rig.now);
        for _ in 0..3 {
            self.rig.advance(seconds(20));
            self.serve();
            self.look();
        }
        let waits = |standing: &Standing| *standing == Standing::Waits;
        assert!(!self.tickets.values().any(waits), "{:?}", self.tickets);
        assert!(
            self.flushes.values().all(|over| *over),
            "{:?}",
            self.flushes
        );
        assert!(self.calls.values().all(|over| *over), "{:?}", self.calls);
        let lost = |number: &&u64| !self.fates.contains_key(number);
        let lost: Vec<_> = self.accepted.iter().filter(lost).collect();
        assert!(
            lost.is_empty(),
            "{lost:?} are nowhere: {:?}",
            self.rig.client.stats()
        );
    }
}

/// What a server has heard, and the calls among it.
fn take(server: &mut Connection, owed: &mut Vec<ReplyToken>) -> Vec<u64> {
    let mut heard = Vec::new();
    for event in events(server) {
        if let ConnectionEvent::Message(message) = event {
            heard.extend(number(text(&message).as_bytes()));
            owed.extend(message.reply);
        }
    }
    heard
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn every_accepted_event_is_delivered_dropped_or_given_back_and_every_wait_ends_once(
        terms in terms(),
        ops in prop::collection::vec(op(), 1..150),
    ) {
        let mut book = Book {
            rig: terms.rig(),
            next: 0,
            accepted: BTreeSet::new(),
            fates: BTreeMap::new(),
            tickets: BTreeMap::new(),
            flushes: BTreeMap::new(),
            calls: BTreeMap::new(),
            tokens: Vec::new(),
        };
        book.rig.client.connect(book.rig.now);
        for op in ops {
            book.act(op);
        }
        book.finish();
    }
}
