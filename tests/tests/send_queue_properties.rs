//! What holds for the send queue under any sequence of sends, writes, reservations and ends.
#![allow(missing_docs)]

use std::collections::{BTreeMap, BTreeSet};

use bytes::Buf;
use proptest::prelude::*;
use sente_core::{
    Accept, Carrier, Connection, ConnectionConfig, ConnectionEvent, Dialect, Event, FlushId,
    Instant, Limits, Policy, Priority, Rate, RateLimiter, Role, SendError, SendOptions, Sent,
    Ticket, TransmitBuf,
};
use sente_tests::{events, id, millis};

const MAX_MESSAGES: usize = 12;
const MAX_BYTES: usize = 400;

#[derive(Clone, Debug)]
enum Op {
    Send { kind: Kind, low: bool, len: usize },
    Take,
    Written,
    Reserve { bytes: usize, wait: Option<u64> },
    SendReserved { which: usize, len: usize },
    Release { which: usize },
    Flush,
    Advance { millis: u64 },
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    DropOldest,
    Latest(u8),
    Reject,
    Volatile,
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::DropOldest),
        (0..4u8).prop_map(Kind::Latest),
        Just(Kind::Reject),
        Just(Kind::Volatile),
    ]
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        8 => (kinds(), any::<bool>(), 0..90usize)
            .prop_map(|(kind, low, len)| Op::Send { kind, low, len }),
        2 => Just(Op::Take),
        2 => Just(Op::Written),
        2 => (0..120usize, prop::option::of(0..40u64))
            .prop_map(|(bytes, wait)| Op::Reserve { bytes, wait }),
        2 => (0..8usize, 0..90usize)
            .prop_map(|(which, len)| Op::SendReserved { which, len }),
        1 => (0..8usize).prop_map(|which| Op::Release { which }),
        1 => Just(Op::Flush),
        1 => (0..30u64).prop_map(|millis| Op::Advance { millis }),
    ];
    prop::collection::vec(op, 1..120)
}

/// What became of an event that was accepted.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Dropped,
    Undelivered,
    Written,
}

/// An accepted event: in which lane it stands, where in it, its size, and whether it may be
/// dropped.
#[derive(Clone, Copy, Debug)]
struct Place {
    low: bool,
    at: usize,
    size: usize,
    losable: bool,
}

struct Run {
    connection: Connection,
    now: Instant,
    next: usize,
    accepted: BTreeMap<usize, Place>,
    fates: BTreeMap<usize, Fate>,
    /// Which event stands in the queue for a key.
    keys: BTreeMap<u8, usize>,
    written: Vec<usize>,
    volatile_dropped: u64,
    waiting: Vec<(Ticket, usize)>,
    granted: Vec<Ticket>,
    grants: Vec<Ticket>,
    /// Every flush and whether it has settled: several may be one.
    flushes: BTreeMap<FlushId, bool>,
}

impl Run {
    fn new((dialect, carrier): (Dialect, Carrier), window: bool) -> Self {
        let mut limits = Limits::default();
        limits.max_send_messages = MAX_MESSAGES;
        limits.max_send_bytes = MAX_BYTES;
        limits.max_batch_events = 5;
        limits.max_transmit_bytes = 100;
        let config = ConnectionConfig::builder(Role::Server, dialect, carrier)
            .limits(limits)
            .keepalive(None)
            .keep_dropped(1_000_000)
            .flush_window(window.then_some(millis(20)))
            .build()
            .unwrap();
        let now = Instant::EPOCH;
        let mut connection = Connection::new(config, [5; 32], now);
        connection.accept(now, Accept::new("ada"));
        let mut run = Self {
            connection,
            now,
            next: 0,
            accepted: BTreeMap::new(),
            fates: BTreeMap::new(),
            keys: BTreeMap::new(),
            written: Vec::new(),
            volatile_dropped: 0,
            waiting: Vec::new(),
            granted: Vec::new(),
            grants: Vec::new(),
            flushes: BTreeMap::new(),
        };
        run.take();
        run.connection.handle_transmitted(now);
        events(&mut run.connection);
        run
    }

    fn event(&mut self, len: usize) -> (usize, Event) {
        let n = self.next;
        self.next += 1;
        let data = sente_tests::edn(&format!("[{n} \"{}\"]", "x".repeat(len)));
        (n, Event::new(id("t/e"), data))
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Send { kind, low, len } => self.send(*kind, *low, *len),
            Op::Take => self.take(),
            Op::Written => self.connection.handle_transmitted(self.now),
            Op::Reserve { bytes, wait } => {
                let deadline = wait.map(|wait| self.now + millis(wait));
                let ticket = self.connection.reserve(self.now, *bytes, deadline);
                self.waiting.push((ticket.unwrap(), *bytes));
            }
            Op::SendReserved { which, len } => {
                let (n, event) = self.event(*len);
                let size = sente_edn::to_string(&event.to_value().unwrap()).len();
                let Some(ticket) = self.granted.get(*which).copied() else {
                    return;
                };
                match self.connection.send_reserved(self.now, ticket, event) {
                    Ok(()) => {
                        self.granted.retain(|one| *one != ticket);
                        self.accept(n, size, false, false);
                    }
                    Err(SendError::Full { .. }) => {}
                    Err(other) => panic!("{other:?}"),
                }
            }
            Op::Release { which } => {
                let waiting = self.waiting.iter().map(|(ticket, _)| *ticket);
                let mut all = waiting.chain(self.granted.iter().copied());
                if let Some(ticket) = all.nth(*which) {
                    assert!(self.connection.release(self.now, ticket));
                    self.waiting.retain(|(one, _)| *one != ticket);
                    self.granted.retain(|one| *one != ticket);
                }
            }
            Op::Flush => {
                self.flush();
            }
            Op::Advance { millis: by } => {
                self.now = self.now + millis(*by);
                self.connection.handle_timeout(self.now);
                let next = self.connection.poll_timeout();
                assert!(next.is_none_or(|at| at > self.now), "a busy timer");
            }
        }
        self.listen();
        self.check();
    }

    fn send(&mut self, kind: Kind, low: bool, len: usize) {
        let (n, event) = self.event(len);
        let size = sente_edn::to_string(&event.to_value().unwrap()).len();
        let waited_for = !self.waiting.is_empty();
        let (messages, bytes) = self.taken();
        let (losable, losable_bytes) = self.losable();
        let policy = match kind {
            Kind::DropOldest => Policy::DropOldest,
            Kind::Latest(key) => Policy::Latest(format!("key {key}").into()),
            Kind::Reject => Policy::Reject,
            Kind::Volatile => Policy::Volatile,
        };
        let priority = if low { Priority::Low } else { Priority::Normal };
        let options = SendOptions::new().policy(policy).priority(priority);
        match (kind, self.connection.send_with(self.now, event, options)) {
            (Kind::Volatile, Ok(Sent::Dropped)) => {
                self.volatile_dropped += 1;
                self.fates.insert(n, Fate::Dropped);
            }
            (Kind::Latest(key), Ok(Sent::Replaced)) => {
                let old = self.keys.insert(key, n).unwrap();
                let place = self.accepted[&old];
                self.accepted.insert(n, Place { size, ..place });
            }
            (_, Ok(Sent::Queued)) => {
                self.accept(n, size, low, !matches!(kind, Kind::Reject));
                if waited_for {
                    assert!(matches!(kind, Kind::DropOldest), "overtaken");
                    // What it dropped may have let somebody in; it took no more than that itself.
                    let (messages_now, bytes_now) = self.taken_without_new_grants();
                    assert!(messages_now <= messages && bytes_now <= bytes);
                }
                if let Kind::Latest(key) = kind {
                    self.keys.insert(key, n);
                }
            }
            (Kind::Latest(key), Err(SendError::Full { needed, .. }))
                if self.is_queued(self.keys.get(&key)) =>
            {
                let old = self.accepted[&self.keys[&key]].size;
                assert_eq!(needed, size);
                assert!(
                    bytes - old + size > MAX_BYTES,
                    "refused where there is room"
                );
            }
            (Kind::Reject | Kind::Latest(_), Err(SendError::Full { needed, .. })) => {
                assert_eq!(needed, size);
                let full = messages == MAX_MESSAGES || bytes + size > MAX_BYTES;
                assert!(waited_for || full, "refused where there is room");
            }
            (Kind::DropOldest, Err(SendError::Full { .. })) => {
                let full = losable == 0
                    || messages - losable == MAX_MESSAGES
                    || bytes - losable_bytes + size > MAX_BYTES
                    || (waited_for && losable_bytes < size);
                assert!(full, "refused where room can be made");
            }
            other => panic!("{other:?}"),
        }
    }

    fn accept(&mut self, n: usize, size: usize, low: bool, losable: bool) {
        let place = Place {
            low,
            at: n,
            size,
            losable,
        };
        self.accepted.insert(n, place);
    }

    /// Messages and bytes queued or reserved.
    fn taken(&self) -> (usize, usize) {
        let capacity = self.connection.send_capacity();
        (
            capacity.messages + capacity.reserved_messages,
            capacity.bytes + capacity.reserved_bytes,
        )
    }

    /// The same without what was granted since the last `listen`.
    fn taken_without_new_grants(&self) -> (usize, usize) {
        let (messages, bytes) = self.taken();
        let still = self.connection.send_capacity().waiting_reservations;
        let granted = self.waiting.len() - still;
        let new = self.waiting.iter().take(granted);
        let new_bytes: usize = new.map(|(_, bytes)| *bytes).sum();
        (messages - granted, bytes - new_bytes)
    }

    fn is_queued(&self, n: Option<&usize>) -> bool {
        n.is_some_and(|n| !self.fates.contains_key(n))
    }

    /// How many queued events may be dropped, and their bytes.
    fn losable(&self) -> (usize, usize) {
        let queued = self.accepted.iter();
        let queued = queued.filter(|(n, place)| place.losable && self.is_queued(Some(n)));
        queued.fold((0, 0), |(count, bytes), (_, place)| {
            (count + 1, bytes + place.size)
        })
    }

    fn take(&mut self) {
        let mut out = TransmitBuf::new();
        if self.connection.poll_transmit(&mut out).is_some() {
            let bytes = out.copy_to_bytes(out.remaining());
            for n in numbers(&bytes) {
                self.settle(n, Fate::Written);
                self.written.push(n);
            }
        }
    }

    fn settle(&mut self, n: usize, fate: Fate) {
        let before = self.fates.insert(n, fate);
        assert!(before.is_none(), "{n} was {before:?} and is {fate:?}");
    }

    fn listen(&mut self) {
        let mut kinds = BTreeSet::new();
        for event in events(&mut self.connection) {
            match event {
                ConnectionEvent::Dropped(dropped) => {
                    assert!(kinds.insert("dropped"), "reported twice");
                    assert_eq!(dropped.count, dropped.events.len() as u64);
                    let sizes = dropped.events.iter().map(|event| event.bytes().len());
                    assert_eq!(dropped.bytes, sizes.sum::<usize>() as u64);
                    for event in &dropped.events {
                        self.lost(numbers(event.bytes())[0]);
                    }
                }
                ConnectionEvent::Granted(ticket) => {
                    // Strictly first come, first served.
                    assert_eq!(self.waiting.remove(0).0, ticket);
                    self.granted.push(ticket);
                    self.grants.push(ticket);
                }
                ConnectionEvent::ReservationExpired(ticket)
                | ConnectionEvent::ReservationFailed(ticket) => {
                    let before = self.waiting.len();
                    self.waiting.retain(|(one, _)| *one != ticket);
                    assert_eq!(self.waiting.len() + 1, before);
                }
                ConnectionEvent::Undelivered(events) => {
                    for event in &events {
                        self.settle(numbers(event.bytes())[0], Fate::Undelivered);
                    }
                }
                ConnectionEvent::Flushed(id) | ConnectionEvent::FlushFailed(id) => {
                    let before = self.flushes.insert(id, true);
                    assert_eq!(before, Some(false), "every flush settles once");
                }
                ConnectionEvent::HighWater(_) => assert!(kinds.insert("high")),
                ConnectionEvent::SendReady => assert!(kinds.insert("ready")),
                _ => {}
            }
        }
    }

    fn lost(&mut self, n: usize) {
        match self.accepted.get(&n) {
            Some(place) => {
                assert!(place.losable, "{n} may not be dropped");
                let mut queued = self.accepted.iter();
                let replaced = queued.any(|(other, at)| *other > n && at.at == place.at);
                let oldest = self.accepted.iter();
                let oldest = oldest.filter(|(n, at)| at.losable && self.is_queued(Some(n)));
                let oldest = oldest.map(|(_, at)| at.at).min();
                assert!(
                    replaced || oldest == Some(place.at),
                    "{n} is not the oldest"
                );
                self.settle(n, Fate::Dropped);
            }
            // A volatile one was dropped before it was queued.
            None => assert_eq!(self.fates.get(&n), Some(&Fate::Dropped)),
        }
    }

    /// What holds after every step.
    fn check(&self) {
        let capacity = self.connection.send_capacity();
        assert!(capacity.messages + capacity.reserved_messages <= MAX_MESSAGES);
        assert!(capacity.bytes + capacity.reserved_bytes <= MAX_BYTES);
        assert_eq!(capacity.reserved_messages, self.granted.len());
        assert_eq!(capacity.waiting_reservations, self.waiting.len());
        let volatile = usize::try_from(self.volatile_dropped).unwrap();
        let queued = self.accepted.len() + volatile - self.fates.len();
        assert_eq!(capacity.messages, queued);
        let sizes = self.accepted.iter();
        let sizes = sizes.filter(|(n, _)| self.is_queued(Some(n)));
        assert_eq!(
            capacity.bytes,
            sizes.map(|(_, place)| place.size).sum::<usize>()
        );
        if let Some((_, first)) = self.waiting.first() {
            let (messages, bytes) = self.taken();
            let full = messages == MAX_MESSAGES || bytes + first > MAX_BYTES;
            assert!(full, "somebody waits for room there is");
        }
        let stats = self.connection.stats();
        assert_eq!(stats.dropped_volatile, self.volatile_dropped);
        assert_eq!(stats.events_queued, self.accepted.len() as u64);
        let dropped = self.fates.values().filter(|fate| **fate == Fate::Dropped);
        assert_eq!(
            stats.dropped_oldest + stats.dropped_volatile + stats.replaced,
            dropped.count() as u64
        );
    }

    fn flush(&mut self) {
        let id = self.connection.flush(self.now);
        let settled = self.flushes.entry(id).or_insert(false);
        assert!(!*settled, "the id of one that has settled");
    }

    /// Ends the connection, in order or at once, and checks what must hold then.
    fn end(&mut self, in_order: bool) {
        if in_order {
            for ticket in self.granted.drain(..) {
                self.connection.release(self.now, ticket);
            }
            self.flush();
            for _ in 0..1_000 {
                self.connection.handle_transmitted(self.now);
                self.take();
                self.listen();
                for ticket in self.granted.drain(..) {
                    self.connection.release(self.now, ticket);
                }
            }
            assert!(self.waiting.is_empty());
            let capacity = self.connection.send_capacity();
            assert_eq!((capacity.messages, capacity.bytes), (0, 0));
            assert!(!capacity.above_high_water);
            assert!(self.fates.values().all(|fate| *fate != Fate::Undelivered));
        }
        self.connection.close(self.now);
        self.listen();
        self.connection.handle_transmitted(self.now);
        self.listen();
        assert!(self.waiting.is_empty());
        assert!(
            self.flushes.values().all(|settled| *settled),
            "{:?}",
            self.flushes
        );
        let gone = self.fates.len() - usize::try_from(self.volatile_dropped).unwrap();
        assert_eq!(gone, self.accepted.len(), "one fate for every event");
        for low in [false, true] {
            let places = self.written.iter().map(|n| self.accepted[n]);
            let places = places.filter(|place| place.low == low);
            let places: Vec<_> = places.map(|place| place.at).collect();
            assert!(places.is_sorted(), "out of order: {places:?}");
        }
        assert!(self.grants.is_sorted());
    }
}

/// The numbers of the events in packed bytes, with whatever stands around them.
fn numbers(bytes: &[u8]) -> Vec<usize> {
    let text = String::from_utf8_lossy(bytes);
    text.split("[:t/e [")
        .skip(1)
        .map(|rest| rest.split(' ').next().unwrap().parse().unwrap())
        .collect()
}

proptest! {
    #[test]
    fn every_accepted_event_is_written_in_order_or_returned_or_counted_as_dropped(
        ops in ops(),
        link in prop_oneof![
            Just((Dialect::Sente, Carrier::WebSocket)),
            Just((Dialect::SenteLite, Carrier::Lines)),
        ],
        window in any::<bool>(),
        in_order in any::<bool>(),
    ) {
        let mut run = Run::new(link, window);
        for op in &ops {
            run.apply(op);
        }
        run.end(in_order);
    }

    #[test]
    fn no_window_of_time_has_more_than_the_burst_and_the_rate_allow(
        per in 1..20u32,
        burst in 1..5u32,
        gaps in prop::collection::vec(0..400u64, 1..200),
    ) {
        let mut limiter = RateLimiter::new(Rate::new(per, millis(1_000), burst));
        let mut now = Instant::EPOCH;
        let mut taken = Vec::new();
        for gap in gaps {
            now = now + millis(gap);
            match limiter.check(now) {
                Ok(()) => {
                    limiter.take(now);
                    taken.push(now.as_nanos());
                }
                Err(retry_at) => {
                    prop_assert!(retry_at > now);
                    prop_assert_eq!(limiter.check(retry_at), Ok(()));
                }
            }
        }
        for (first, start) in taken.iter().enumerate() {
            for (last, end) in taken.iter().enumerate().skip(first) {
                let paced = u128::from(end - start) * u128::from(per) / 1_000_000_000;
                let count = u128::try_from(last - first + 1).unwrap();
                prop_assert!(count <= paced + u128::from(burst));
            }
        }
    }
}
