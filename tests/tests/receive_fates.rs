//! Every message a connection receives is told once and in its order, or counted as shed, however
//! small the receive queue and whatever the allowance; and every call made of it settles once.
#![allow(missing_docs)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use sente_core::{
    Accept, CallId, Carrier, ConnectionConfig, ConnectionEvent, Dialect, Extensions, Limits,
    RecvPolicy, RecvStatus, ReplyToken, Role,
};
use sente_tests::{Pair, event, events, millis, seconds, text};

#[derive(Clone, Debug)]
struct Terms {
    dialect: Dialect,
    carrier: Carrier,
    messages: usize,
    bytes: usize,
    slow: usize,
    sheds: bool,
    batch: usize,
    window: bool,
    chunk: usize,
}

fn terms() -> impl Strategy<Value = Terms> {
    let link = prop::sample::select(vec![
        (Dialect::SenteLite, Carrier::Lines),
        (Dialect::Sente, Carrier::WebSocket),
        (Dialect::Sente, Carrier::Lines),
        (Dialect::SenteLite, Carrier::WebSocket),
    ]);
    let room = (
        prop::sample::select(vec![1usize, 2, 5, 50]),
        prop::sample::select(vec![50usize, 200, 10_000]),
        0..4usize,
        any::<bool>(),
    );
    let wire = (
        1..9usize,
        any::<bool>(),
        prop::sample::select(vec![1usize, 7, usize::MAX]),
    );
    (link, room, wire).prop_map(
        |((dialect, carrier), (messages, bytes, slow, sheds), (batch, window, chunk))| Terms {
            dialect,
            carrier,
            messages,
            bytes,
            slow,
            sheds,
            batch,
            window,
            chunk,
        },
    )
}

impl Terms {
    fn pair(&self) -> Pair {
        let mut limits = Limits::default();
        limits.max_batch_events = self.batch;
        let client = ConnectionConfig::builder(Role::Client, self.dialect, self.carrier)
            .offer(Extensions::ALL)
            .limits(limits)
            .flush_window(self.window.then_some(millis(20)));
        let mut limits = Limits::default();
        limits.max_recv_messages = self.messages;
        limits.max_recv_bytes = self.bytes;
        limits.recv_slow_messages = self.slow;
        let policy = if self.sheds {
            RecvPolicy::DropOldest
        } else {
            RecvPolicy::Backpressure
        };
        let server = ConnectionConfig::builder(Role::Server, self.dialect, self.carrier)
            .limits(limits)
            .on_recv_full(policy);
        let mut accept = Accept::new("u");
        if matches!(self.carrier, Carrier::WebSocket) {
            accept.offered = Some(Extensions::ALL);
        }
        let (client, server) = (client.build().unwrap(), server.build().unwrap());
        let mut pair = Pair::accepted(client, server, accept);
        pair.chunk = self.chunk;
        pair
    }
}

#[derive(Clone, Debug)]
enum Op {
    Advance(u64),
    Allowance(usize),
    Answer(bool),
    Call(u64),
    Drive,
    Hear,
    Read(usize),
    Send(Vec<usize>),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => prop::collection::vec(0..40usize, 0..6).prop_map(Op::Send),
        1 => (5_000..10_000u64).prop_map(Op::Call),
        2 => Just(Op::Drive),
        1 => (0..5usize).prop_map(Op::Read),
        1 => any::<bool>().prop_map(Op::Answer),
        1 => prop::sample::select(vec![0usize, 10, 100, usize::MAX]).prop_map(Op::Allowance),
        1 => (0..300u64).prop_map(Op::Advance),
        1 => Just(Op::Hear),
    ]
}

/// Who ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Client,
    Nobody,
    Server,
}

/// The pair, what the client sent, and what the server's application was told.
struct Book {
    pair: Pair,
    next: u64,
    sent: BTreeSet<u64>,
    got: Vec<u64>,
    shed: u64,
    calls: BTreeMap<CallId, bool>,
    tokens: Vec<ReplyToken>,
    status: RecvStatus,
    closed: bool,
}

impl Book {
    /// Takes one event of the server's. Whether there was one.
    fn read(&mut self) -> bool {
        let Some(event) = self.pair.server.poll_event() else {
            return false;
        };
        assert!(!self.closed, "{event:?} behind the end");
        match event {
            ConnectionEvent::Message(message) => {
                let text = text(&message);
                let number = text.strip_prefix("[:a/n [").and_then(|rest| {
                    let (number, _) = rest.split_once(' ')?;
                    number.parse::<u64>().ok()
                });
                self.got.extend(number);
                self.tokens.extend(message.reply);
            }
            ConnectionEvent::Shed { count, .. } => self.shed += count,
            ConnectionEvent::RecvPressure(status) => {
                assert_ne!(status, self.status, "that is no change");
                self.status = status;
            }
            ConnectionEvent::PeerFinished => {
                let deadline = self.pair.now + seconds(40);
                self.pair.server.drain(self.pair.now, deadline);
            }
            ConnectionEvent::Closed(_) => self.closed = true,
            _ => {}
        }
        true
    }

    fn hear(&mut self) {
        for event in events(&mut self.pair.client) {
            if let ConnectionEvent::Settled { call, .. } = event {
                assert_eq!(self.calls.insert(call, true), Some(false), "{call:?}");
            }
        }
    }

    fn act(&mut self, op: Op) {
        let now = self.pair.now;
        match op {
            Op::Send(sizes) => {
                for size in sizes {
                    let number = self.next;
                    self.next += 1;
                    let filler = "x".repeat(size);
                    let event = event(&format!("[:a/n [{number} \"{filler}\"]]"));
                    self.pair.client.send(now, event).unwrap();
                    self.sent.insert(number);
                }
            }
            Op::Call(within) => {
                let call = self.pair.client.call(now, event("[:a/q]"), millis(within));
                self.calls.insert(call.unwrap(), false);
            }
            Op::Drive => self.pair.drive(),
            Op::Read(count) => {
                for _ in 0..count {
                    self.read();
                }
            }
            Op::Answer(answers) => match self.tokens.pop() {
                Some(token) if answers => drop(self.pair.server.reply(now, token, "ok")),
                Some(token) => self.pair.server.forget(token),
                None => {}
            },
            Op::Allowance(bytes) => self.pair.server.set_recv_allowance(now, bytes),
            Op::Advance(by) => self.pair.advance(millis(by)),
            Op::Hear => self.hear(),
        }
        let capacity = self.pair.server.recv_capacity();
        assert!(capacity.messages <= capacity.max_messages, "{capacity:?}");
    }

    fn finish(&mut self, sheds: bool, end: End) {
        let pair = &mut self.pair;
        pair.server.set_recv_allowance(pair.now, usize::MAX);
        pair.advance(millis(30));
        let deadline = pair.now + seconds(50);
        match end {
            End::Client => pair.client.drain(pair.now, deadline),
            End::Server => pair.server.drain(pair.now, deadline),
            End::Nobody => {}
        }
        loop {
            self.pair.drive();
            let more = self.read();
            for token in std::mem::take(&mut self.tokens) {
                let _ = self.pair.server.reply(self.pair.now, token, "ok");
            }
            self.pair.drive();
            if !more {
                break;
            }
        }
        for wait in [12, 60] {
            self.pair.advance(seconds(wait));
            while self.read() {}
            self.hear();
        }
        assert!(self.calls.values().all(|over| *over), "{:?}", self.calls);
        assert!(
            self.got.is_sorted_by(|one, next| one < next),
            "{:?}",
            self.got
        );
        assert!(self.got.iter().all(|number| self.sent.contains(number)));
        let missing = (self.sent.len() - self.got.len()) as u64;
        assert_eq!(self.pair.server.stats().shed, self.shed);
        assert!(sheds || self.shed == 0);
        // What a server does not read any more once it drains is not told.
        if end != End::Server {
            assert!(
                missing <= self.shed,
                "{missing} are missing, {} shed",
                self.shed
            );
        }
        if end == End::Client {
            assert!(self.closed);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn every_message_is_told_in_its_order_or_counted_as_shed(
        terms in terms(),
        ops in prop::collection::vec(op(), 1..120),
        end in prop::sample::select(vec![End::Client, End::Nobody, End::Server]),
    ) {
        let mut book = Book {
            pair: terms.pair(),
            next: 0,
            sent: BTreeSet::new(),
            got: Vec::new(),
            shed: 0,
            calls: BTreeMap::new(),
            tokens: Vec::new(),
            status: RecvStatus::Ok,
            closed: false,
        };
        for op in ops {
            book.act(op);
        }
        book.finish(terms.sheds, end);
    }
}
