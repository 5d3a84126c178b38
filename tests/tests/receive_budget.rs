//! One budget of received bytes for many connections.
#![allow(missing_docs)]

use std::collections::BTreeMap;

use bytes::BytesMut;
use proptest::prelude::*;
use sente_core::{
    Accept, Carrier, ConnId, Connection, ConnectionConfig, ConnectionEvent, Dialect, Input,
    Instant, RecvBudget, RecvBudgetLimits, RecvPolicy, Role,
};
use sente_tests::{config, events, messages, text};

const EPOCH: Instant = Instant::EPOCH;

fn limits(total: usize, max: usize, min: usize) -> RecvBudgetLimits {
    let mut limits = RecvBudgetLimits::default();
    limits.total_bytes = total;
    limits.max_bytes = max;
    limits.min_bytes = min;
    limits
}

fn id(n: u64) -> ConnId {
    ConnId::new(n, &[0; 10])
}

/// Connections that share a budget, as an adapter holds them.
struct Process {
    budget: RecvBudget,
    connections: BTreeMap<ConnId, Connection>,
}

impl Process {
    fn new(limits: RecvBudgetLimits, count: u64) -> Self {
        Self::with_policy(limits, count, RecvPolicy::Backpressure)
    }

    fn with_policy(limits: RecvBudgetLimits, count: u64, policy: RecvPolicy) -> Self {
        let config = ConnectionConfig::builder(Role::Server, Dialect::SenteLite, Carrier::Lines)
            .on_recv_full(policy)
            .build()
            .unwrap();
        let mut process = Self {
            budget: RecvBudget::new(limits),
            connections: BTreeMap::new(),
        };
        for n in 0..count {
            let mut connection = Connection::new(config.clone(), [1; 32], EPOCH);
            connection.accept(EPOCH, Accept::new("u"));
            events(&mut connection);
            let allowance = process.budget.join(id(n));
            connection.set_recv_allowance(EPOCH, allowance);
            process.connections.insert(id(n), connection);
        }
        process
    }

    /// Lets `f` at a connection and settles its share, as a driver does.
    fn with<T>(&mut self, n: u64, f: impl FnOnce(&mut Connection) -> T) -> T {
        let connection = self.connections.get_mut(&id(n)).unwrap();
        let result = f(connection);
        let capacity = connection.recv_capacity();
        if self.budget.limits().is_due(&capacity) {
            self.budget.report(id(n), &capacity);
        }
        self.settle();
        result
    }

    fn settle(&mut self) {
        while let Some((id, bytes)) = self.budget.poll_allowance() {
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.set_recv_allowance(EPOCH, bytes);
                let capacity = connection.recv_capacity();
                if self.budget.limits().is_due(&capacity) {
                    self.budget.report(id, &capacity);
                }
            }
        }
    }

    fn held(&self) -> usize {
        self.connections
            .values()
            .map(|connection| connection.recv_capacity().bytes)
            .sum()
    }

    /// Feeds a connection one line if it reads. Whether it did.
    fn feed(&mut self, n: u64, line: &str) -> bool {
        let reads = self.connections[&id(n)].wants_read();
        if reads {
            self.with(n, |connection| {
                connection.handle_input(EPOCH, Input::Bytes(&mut BytesMut::from(line)));
            });
        }
        reads
    }
}

#[test]
fn a_thousand_connections_keep_to_one_budget_and_lose_nothing() {
    const COUNT: u64 = 1_000;
    let total = 2_000_000;
    let line = format!("[:a/b \"{}\"]\n", "x".repeat(500));
    let mut process = Process::new(limits(total, 100_000, 1_000), COUNT);
    let mut fed = vec![0; 1_000];
    loop {
        let mut moved = false;
        for n in 0..COUNT {
            if process.feed(n, &line) {
                fed[usize::try_from(n).unwrap()] += 1;
                moved = true;
            }
        }
        assert!(process.held() <= total + 1_000 * line.len());
        assert!(process.budget.granted() <= total);
        if !moved {
            break;
        }
    }
    assert!(process.held() > total / 2, "the budget is used");
    assert!(process.budget.waiting() > 0);
    // Whoever is emptied makes room for the others; in the end everything was handed out.
    let mut taken = vec![0; 1_000];
    for n in 0..COUNT {
        let got = process.with(n, |connection| messages(connection).len());
        taken[usize::try_from(n).unwrap()] += got;
    }
    assert_eq!(taken, fed);
    assert_eq!(process.held(), 0);
    for n in 0..COUNT {
        assert!(process.connections[&id(n)].wants_read());
    }
}

#[test]
fn one_busy_connection_grows_to_its_most_and_gives_it_back() {
    let mut process = Process::new(limits(1_000_000, 64_000, 1_000), 2);
    assert_eq!(process.budget.granted(), 2_000);
    while process.feed(0, &format!("[:a/b \"{}\"]\n", "x".repeat(300))) {}
    assert_eq!(process.budget.allowance(id(0)), Some(64_000));
    assert_eq!(process.budget.allowance(id(1)), Some(1_000));
    process.with(0, |connection| messages(connection).len());
    assert_eq!(process.budget.allowance(id(0)), Some(1_000));
    assert_eq!(process.budget.granted(), 2_000);
}

#[test]
fn who_waits_first_is_served_first() {
    let mut process = Process::new(limits(4_000, 2_000, 1_000), 6);
    let allowed: Vec<_> = (0..6)
        .filter_map(|n| process.budget.allowance(id(n)))
        .collect();
    assert_eq!(allowed, [1_000, 1_000, 1_000, 1_000, 0, 0]);
    assert!(!process.connections[&id(4)].wants_read());
    // Grows behind those who have nothing, and not into what is kept for them.
    while process.feed(0, "[:a/b \"some bytes\"]\n") {}
    assert_eq!(process.budget.waiting(), 3);
    for (leaves, gains) in [(1, Some(4)), (2, Some(5)), (3, None), (4, Some(0))] {
        process.budget.leave(id(leaves));
        process.connections.remove(&id(leaves));
        process.settle();
        let expected = if gains == Some(0) { 2_000 } else { 1_000 };
        if let Some(gains) = gains {
            assert_eq!(process.budget.allowance(id(gains)), Some(expected));
            assert!(process.connections[&id(gains)].wants_read());
        }
    }
    assert_eq!(process.budget.waiting(), 0);
    process.budget.leave(id(0));
    process.budget.leave(id(5));
    process.budget.leave(id(5));
    assert!(process.budget.is_empty());
    assert_eq!(process.budget.granted(), 0);
}

#[test]
fn who_is_served_after_its_need_has_passed_gives_it_back() {
    // A quarter is kept for newcomers, so that one of them can grow.
    let mut process = Process::new(limits(5_400, 2_000, 1_000), 3);
    for n in [0, 1] {
        while process.feed(n, "[:a/b \"some bytes\"]\n") {}
    }
    assert_eq!(process.budget.allowance(id(0)), Some(2_000));
    assert_eq!(process.budget.allowance(id(1)), Some(1_000));
    assert_eq!(process.budget.waiting(), 1);
    // Emptied while it waits; it has no more than the least, so there is nothing to report.
    process.with(1, |connection| messages(connection).len());
    process.with(0, |connection| messages(connection).len());
    for n in 0..3 {
        assert_eq!(process.budget.allowance(id(n)), Some(1_000), "{n}");
    }
    assert_eq!(process.budget.waiting(), 0);
}

#[test]
fn the_defaults_are_a_gibibyte_and_eight_mebibytes() {
    let budget = RecvBudget::default();
    assert_eq!(budget.limits().total_bytes, 1 << 30);
    assert_eq!(budget.limits().max_bytes, 8 << 20);
}

#[derive(Clone, Debug)]
enum Op {
    Join(u64),
    Leave(u64),
    Feed(u64, usize),
    Take(u64, usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        1 => (0..12u64).prop_map(Op::Join),
        1 => (0..12u64).prop_map(Op::Leave),
        6 => (0..12u64, 0..3_000usize).prop_map(|(n, size)| Op::Feed(n, size)),
        4 => (0..12u64, 1..20usize).prop_map(|(n, count)| Op::Take(n, count)),
    ]
}

proptest! {
    #[test]
    fn the_total_is_never_passed_and_whoever_has_taken_everything_reads_again(
        ops in prop::collection::vec(op(), 1..300),
        total in 0..20_000usize,
    ) {
        let mut process = Process::new(limits(total, 8_000, 1_000), 0);
        for op in ops {
            match op {
                Op::Join(n) if !process.connections.contains_key(&id(n)) => {
                    let mut one = Process::new(limits(1 << 20, 1 << 20, 1), 1);
                    let mut connection = one.connections.remove(&id(0)).unwrap();
                    let allowance = process.budget.join(id(n));
                    connection.set_recv_allowance(EPOCH, allowance);
                    process.connections.insert(id(n), connection);
                }
                Op::Leave(n) => {
                    process.connections.remove(&id(n));
                    process.budget.leave(id(n));
                    process.settle();
                }
                Op::Feed(n, size) if process.connections.contains_key(&id(n)) => {
                    process.feed(n, &format!("[:a/b \"{}\"]\n", "x".repeat(size)));
                }
                Op::Take(n, count) if process.connections.contains_key(&id(n)) => {
                    process.with(n, |connection| {
                        for _ in 0..count {
                            let _ = connection.poll_event();
                        }
                    });
                }
                _ => {}
            }
            let granted: usize = process
                .connections
                .keys()
                .map(|id| process.budget.allowance(*id).unwrap())
                .sum();
            prop_assert_eq!(granted, process.budget.granted());
            prop_assert!(granted <= total);
            prop_assert!(process.held() <= total + process.connections.len() * 3_020);
        }
        // Whoever has room for the least is never left waiting for it.
        let all: Vec<ConnId> = process.connections.keys().copied().collect();
        for n in 0..12 {
            if process.connections.contains_key(&id(n)) {
                process.with(n, |connection| events(connection).len());
            }
        }
        let readers = all
            .iter()
            .filter(|id| process.connections[*id].wants_read())
            .count();
        prop_assert_eq!(readers, all.len().min(total / 1_000));
    }
}

/// A regression: a few slow readers had all of the budget, and nobody else was heard any more.
#[test]
fn those_who_have_much_leave_room_for_those_who_have_nothing() {
    let mut limits = RecvBudgetLimits::default();
    limits.total_bytes = 64 * 1024 * 1024;
    let mut budget = RecvBudget::new(limits);
    let slow: Vec<_> = (0..64).map(|n| ConnId::new(n, &[1; 10])).collect();
    for id in &slow {
        assert!(budget.join(*id) >= limits.min_bytes);
    }
    let mut full = Connection::new(
        config(Role::Server, Dialect::Sente, Carrier::WebSocket),
        [7; 32],
        EPOCH,
    )
    .recv_capacity();
    for _ in 0..20 {
        for id in &slow {
            full.bytes = budget.allowance(*id).unwrap();
            budget.report(*id, &full);
        }
    }
    assert!(budget.waiting() > 0, "they would take more");
    for n in 100..1_100 {
        let newcomer = ConnId::new(n, &[2; 10]);
        assert_eq!(budget.join(newcomer), limits.min_bytes);
    }
    assert!(budget.granted() <= limits.total_bytes);
}

/// Lines of about 320 bytes, with their numbers.
fn numbered(n: usize) -> String {
    format!("[:a/n [{n} \"{}\"]]\n", "x".repeat(300))
}

fn shed(process: &Process, n: u64) -> u64 {
    process.connections[&id(n)].stats().shed
}

#[test]
fn who_sheds_asks_for_more_before_anything_is_dropped() {
    let mut process =
        Process::with_policy(limits(1_000_000, 64_000, 1_000), 2, RecvPolicy::DropOldest);
    let mut fed = 0;
    while shed(&process, 0) == 0 {
        assert!(process.feed(0, &numbered(fed)), "it reads on");
        fed += 1;
    }
    assert_eq!(process.budget.allowance(id(0)), Some(64_000));
    assert!(fed > 64_000 / 330, "{fed}");
    // Emptied, it asks again.
    process.with(0, |connection| events(connection).len());
    assert_eq!(process.budget.allowance(id(0)), Some(1_000));
    let before = shed(&process, 0);
    for n in 0..100 {
        assert!(process.feed(0, &numbered(n)));
    }
    assert_eq!(shed(&process, 0), before);
    let told = process.with(0, messages);
    assert_eq!(told.len(), 100);
}

#[test]
fn who_sheds_goes_on_with_the_newest_while_there_is_no_more() {
    let mut process = Process::with_policy(limits(4_000, 2_000, 1_000), 4, RecvPolicy::DropOldest);
    for n in 0..50 {
        assert!(process.feed(0, &numbered(n)));
        assert!(process.connections[&id(0)].recv_capacity().bytes < 1_000 + 400);
    }
    assert_eq!(process.budget.allowance(id(0)), Some(1_000));
    assert_eq!(process.budget.waiting(), 1);
    let dropped = shed(&process, 0);
    assert!(dropped > 40, "{dropped}");
    // Those who leave make room for it, and for that long nothing is dropped.
    for n in [1, 2] {
        process.budget.leave(id(n));
        process.connections.remove(&id(n));
    }
    process.settle();
    assert_eq!(process.budget.allowance(id(0)), Some(2_000));
    assert!(process.feed(0, &numbered(50)));
    assert_eq!(shed(&process, 0), dropped);
    let told = process.with(0, messages);
    assert!(text(told.last().unwrap()).starts_with("[:a/n [50 "));
}

#[test]
fn an_allowance_of_nothing_stops_the_reading_also_while_a_message_waits() {
    for policy in [RecvPolicy::Backpressure, RecvPolicy::DropOldest] {
        let mut process = Process::with_policy(limits(1 << 20, 1 << 20, 1 << 10), 1, policy);
        assert!(process.feed(0, &numbered(0)));
        let mut connection = process.connections.remove(&id(0)).unwrap();
        for _ in 0..2 {
            connection.set_recv_allowance(EPOCH, 0);
            assert!(!connection.wants_read(), "{policy:?}");
            let line = numbered(1);
            connection.handle_input(EPOCH, Input::Bytes(&mut BytesMut::from(line.as_str())));
            assert_eq!(connection.stats().shed, 0);
            assert_eq!(connection.recv_capacity().messages, 1);
        }
        let told =
            |event: Option<ConnectionEvent>| matches!(event, Some(ConnectionEvent::Message(_)));
        let _ = connection.poll_event();
        assert!(told(connection.poll_event()) && connection.poll_event().is_none());
        assert!(!connection.wants_read());
        connection.set_recv_allowance(EPOCH, 1_000);
        assert_eq!(messages(&mut connection).len(), 2, "{policy:?}");
    }
}

#[test]
fn an_allowance_told_again_while_it_is_used_up_is_all_there_is() {
    let mut process = Process::with_policy(limits(1 << 20, 1 << 20, 1), 1, RecvPolicy::DropOldest);
    let mut connection = process.connections.remove(&id(0)).unwrap();
    connection.set_recv_allowance(EPOCH, 300);
    let feed = |connection: &mut Connection, n: usize| {
        let line = numbered(n);
        connection.handle_input(EPOCH, Input::Bytes(&mut BytesMut::from(line.as_str())));
    };
    feed(&mut connection, 0);
    feed(&mut connection, 1);
    assert!(!connection.wants_read(), "it waits for an answer");
    assert_eq!(connection.stats().shed, 0);
    // More, but not enough: still no answer.
    connection.set_recv_allowance(EPOCH, 305);
    assert!(!connection.wants_read());
    connection.set_recv_allowance(EPOCH, 305);
    assert!(connection.wants_read());
    assert_eq!(connection.stats().shed, 1);
    feed(&mut connection, 2);
    assert_eq!(connection.stats().shed, 2);
    // With room nothing is dropped before it has asked again.
    connection.set_recv_allowance(EPOCH, 400);
    feed(&mut connection, 3);
    feed(&mut connection, 4);
    assert_eq!(connection.stats().shed, 2);
    assert!(!connection.wants_read());
}

#[test]
fn who_has_the_least_needs_no_name_until_it_asks_for_more() {
    let mut budget = RecvBudget::new(limits(10_000, 8_000, 1_000));
    assert!(budget.join_unnamed() && budget.join_unnamed());
    assert_eq!((budget.len(), budget.granted()), (2, 2_000));
    budget.give_name(id(0));
    assert_eq!(budget.allowance(id(0)), Some(1_000));
    assert_eq!((budget.len(), budget.granted()), (2, 2_000));
    let config = config(Role::Server, Dialect::Sente, Carrier::WebSocket);
    let mut capacity = Connection::new(config, [7; 32], EPOCH).recv_capacity();
    capacity.bytes = 1_000;
    budget.report(id(0), &capacity);
    assert_eq!(budget.poll_allowance(), Some((id(0), 2_000)));
    assert!(!budget.forget_name(id(0)), "it has more than the least");
    (capacity.bytes, capacity.max_bytes) = (0, 2_000);
    budget.report(id(0), &capacity);
    assert!(!budget.forget_name(id(0)), "it was not told yet");
    assert_eq!(budget.poll_allowance(), Some((id(0), 1_000)));
    assert!(budget.forget_name(id(0)));
    assert_eq!(budget.allowance(id(0)), None);
    assert_eq!((budget.len(), budget.granted()), (2, 2_000));
    for _ in 0..3 {
        budget.leave_unnamed();
    }
    assert!(budget.is_empty());
    assert_eq!(budget.granted(), 0);
}

#[test]
fn nobody_without_a_name_goes_before_those_who_wait_with_one() {
    let mut budget = RecvBudget::new(limits(1_000, 1_000, 1_000));
    assert!(budget.join_unnamed());
    assert!(!budget.join_unnamed(), "nothing is left");
    assert_eq!(budget.join(id(1)), 0);
    budget.leave_unnamed();
    assert_eq!(budget.poll_allowance(), Some((id(1), 1_000)));
    assert!(!budget.join_unnamed());
    // Where all have a name, there is none to give.
    budget.give_name(id(2));
    assert_eq!((budget.allowance(id(2)), budget.len()), (None, 1));
}
