//! A server that is killed and started again under many clients that come back, in virtual time.
#![allow(missing_docs)]

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use sente_core::{
    CallError, CallId, Carrier, ClientEvent, ConnectionEvent, Dialect, Instant, Payload, Role,
    ServerConfig, ServerEvent, State, Target, UserId,
};
use sente_tests::world::{Command, Given, Quality, Reconnects, Refused, Spec, World};
use sente_tests::{event, millis, seconds};

/// What the clients of one server did and were told.
struct Fleet {
    world: World,
    server: usize,
    clients: Vec<usize>,
    /// How often each call settled, by client.
    calls: Vec<BTreeMap<CallId, Vec<Settled>>>,
    /// How often the link of each client opened.
    opened: Vec<usize>,
    /// The numbers that each client was pushed, in the order they came.
    pushed: Vec<Vec<u64>>,
    pushes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settled {
    Answered,
    Closed,
    Late,
}

fn user_of(client: usize) -> String {
    format!("user-{client}")
}

impl Fleet {
    fn new(seed: u64, clients: usize, dialect: Dialect, quality: Quality) -> Self {
        let mut world = World::new(seed);
        let spec = |role| Spec::new(role, dialect, Carrier::WebSocket);
        let mut config = ServerConfig::default();
        config.hub.limits.max_connections = 2_000;
        let server = world.serve(config, spec(Role::Server));
        let clients: Vec<usize> = (0..clients)
            .map(|client| {
                let mut spec = spec(Role::Client);
                spec.reconnects = Some(Reconnects {
                    keeps: 0,
                    attempts: 0,
                });
                spec.seed[..8].copy_from_slice(&(seed ^ (client as u64 + 1)).to_le_bytes());
                let peer = world.dialler_to(spec, &user_of(client), server, quality);
                world.command(peer, Command::Connect).unwrap();
                peer
            })
            .collect();
        Self {
            server,
            calls: clients.iter().map(|_| BTreeMap::new()).collect(),
            opened: vec![0; clients.len()],
            pushed: clients.iter().map(|_| Vec::new()).collect(),
            clients,
            world,
            pushes: 0,
        }
    }

    /// Lets time pass. The server answers `:ask/quick`, and never `:ask/never`.
    fn pass(&mut self, time: Duration) {
        let until = self.world.now() + time;
        while let Some(told) = self.world.advance_to(until) {
            self.look_at_lives();
            let client = self.clients.iter().position(|peer| *peer == told.peer);
            match (client, told.event) {
                (Some(client), ConnectionEvent::Settled { call, result }) => {
                    let settled = match result {
                        Ok(_) => Settled::Answered,
                        Err(CallError::Closed) => Settled::Closed,
                        Err(CallError::Timeout) => Settled::Late,
                        Err(other) => panic!("{other:?}"),
                    };
                    self.calls[client].get_mut(&call).unwrap().push(settled);
                }
                (Some(client), ConnectionEvent::Message(message)) => {
                    let number = message.event.data.unwrap().to_value().unwrap();
                    let number = u64::try_from(number.as_i64().unwrap()).unwrap();
                    self.pushed[client].push(number);
                }
                (None, ConnectionEvent::Message(message))
                    if message.event.id.as_str() == "ask/quick" =>
                {
                    let answer = Command::Reply(told.token.unwrap(), Payload::from(1));
                    // Refused where the asker is gone.
                    let _ = self.world.command(told.peer, answer);
                }
                _ => {}
            }
        }
        self.look_at_lives();
        while self.world.take_hall(self.server).is_some() {}
    }

    fn look_at_lives(&mut self) {
        for (client, peer) in self.clients.iter().enumerate() {
            while let Some(life) = self.world.take_life(*peer) {
                if let ClientEvent::Opened(_) | ClientEvent::Reopened(_) = life {
                    self.opened[client] += 1;
                }
            }
        }
    }

    /// Whether it could be made.
    fn call(&mut self, client: usize, what: &str, timeout: Duration) -> bool {
        let call = Command::Call(event(&format!("[:ask/{what} 1]")), timeout);
        match self.world.command(self.clients[client], call) {
            Ok(Given::Call(call, _)) => {
                assert!(self.calls[client].insert(call, Vec::new()).is_none());
                true
            }
            Err(Refused::NotOpen) => false,
            other => panic!("{other:?}"),
        }
    }

    fn push(&mut self, target: &Target) {
        self.pushes += 1;
        let news = event(&format!("[:n/w {}]", self.pushes));
        self.world.fan_out(self.server, target, &news);
    }

    fn is_open(&self, client: usize) -> bool {
        let client = self.world.client(self.clients[client]).unwrap();
        let link = client.connection();
        link.is_some_and(|link| link.state() == State::Open)
    }

    fn open(&self) -> usize {
        let all = 0..self.clients.len();
        all.filter(|client| self.is_open(*client)).count()
    }

    /// How many connections the hub knows of, and how many users.
    fn known(&mut self) -> (usize, usize) {
        let server = self.server;
        let counts = self.world.with_server(server, |server, _| {
            (server.hub().len(), server.hub().users().count())
        });
        counts.unwrap()
    }

    fn settled(&self, how: Settled) -> usize {
        let all = self.calls.iter().flat_map(BTreeMap::values).flatten();
        all.filter(|settled| **settled == how).count()
    }

    /// Every call settled once.
    fn check_calls(&self) {
        for (client, calls) in self.calls.iter().enumerate() {
            for (call, settled) in calls {
                assert_eq!(settled.len(), 1, "client {client}: {call:?} {settled:?}");
            }
        }
    }
}

/// The share of the clients that arrive within the busiest stretch of `window`.
fn busiest(arrivals: &[Instant], window: Duration) -> f64 {
    let mut sorted = arrivals.to_vec();
    sorted.sort_unstable();
    let most = sorted
        .iter()
        .map(|from| {
            let within = |at: &&Instant| **at >= *from && **at < *from + window;
            sorted.iter().filter(within).count()
        })
        .max();
    most.unwrap_or(0) as f64 / sorted.len() as f64
}

#[test]
fn a_thousand_clients_return_to_a_restarted_server_spread_by_jitter_and_no_call_stays_open() {
    const CLIENTS: usize = 1_000;
    let quality = Quality {
        latency: millis(5),
        ..Quality::default()
    };
    let mut fleet = Fleet::new(7, CLIENTS, Dialect::Sente, quality);
    fleet.pass(seconds(6));
    assert_eq!(fleet.open(), CLIENTS);
    assert_eq!(fleet.known(), (CLIENTS, CLIENTS));

    // Half of the calls are answered, and half are under way when the server dies.
    for client in 0..CLIENTS {
        assert!(fleet.call(client, "quick", seconds(10)));
    }
    fleet.pass(seconds(1));
    assert_eq!(fleet.settled(Settled::Answered), CLIENTS);
    for client in 0..CLIENTS {
        assert!(fleet.call(client, "never", seconds(10)));
    }
    fleet.pass(millis(100));
    let died = fleet.world.now();
    fleet.world.kill(fleet.server);
    fleet.pass(millis(500));
    assert_eq!(fleet.open(), 0);
    assert_eq!(
        fleet.settled(Settled::Closed),
        CLIENTS,
        "at once, not in time"
    );
    for client in 0..CLIENTS {
        assert!(!fleet.call(client, "quick", seconds(10)), "nobody is there");
    }

    fleet.pass(millis(2_500));
    fleet.world.restart(fleet.server);
    let restarted = fleet.world.now();
    fleet.pass(seconds(40));
    assert_eq!(fleet.open(), CLIENTS, "all are back");
    assert_eq!(fleet.known(), (CLIENTS, CLIENTS));
    assert!(fleet.opened.iter().all(|times| *times == 2));
    let last = |peer: &usize| *fleet.world.attempts(*peer).last().unwrap();
    let arrivals: Vec<Instant> = fleet.clients.iter().map(last).collect();
    // One that was refused just before waits for the longest time of all, and no longer.
    for at in &arrivals {
        assert!(*at >= restarted && *at <= restarted + seconds(30), "{at:?}");
    }
    assert!(
        busiest(&arrivals, millis(100)) < 0.06,
        "nobody comes in step"
    );
    assert!(busiest(&arrivals, seconds(1)) < 0.40);
    // No client tried more often than its backoff has it: at once, and then ever more rarely.
    for peer in &fleet.clients {
        let asked = fleet.world.attempts(*peer);
        assert_eq!(asked[1], died + millis(5), "as soon as it heard");
        assert!(asked.len() < 20, "{asked:?}");
    }

    for client in 0..CLIENTS {
        assert!(fleet.call(client, "quick", seconds(10)));
    }
    fleet.push(&Target::All);
    fleet.pass(seconds(1));
    assert_eq!(fleet.settled(Settled::Answered), 2 * CLIENTS);
    assert!(fleet.pushed.iter().all(|pushed| *pushed == [1]));
    fleet.pass(seconds(10));
    fleet.check_calls();
}

#[test]
fn a_client_of_a_server_that_is_down_for_minutes_waits_no_longer_than_the_cap() {
    let mut fleet = Fleet::new(3, 1, Dialect::Sente, Quality::default());
    fleet.pass(seconds(1));
    fleet.world.kill(fleet.server);
    fleet.pass(seconds(300));
    let asked = fleet.world.attempts(fleet.clients[0]).to_vec();
    let waits: Vec<Duration> = asked
        .windows(2)
        .map(|pair| pair[1].saturating_duration_since(pair[0]))
        .collect();
    assert!(
        waits.iter().skip(1).all(|wait| *wait <= seconds(30)),
        "{waits:?}"
    );
    assert!(waits.iter().any(|wait| *wait > seconds(10)), "{waits:?}");
    fleet.world.restart(fleet.server);
    fleet.pass(seconds(31));
    assert_eq!(fleet.open(), 1);
}

#[derive(Clone, Debug)]
enum Op {
    Call(usize, bool, u64),
    Cut(usize, bool),
    Disconnect(usize),
    Kill,
    Pass(u64),
    Push(usize),
    PushAll,
    Restart,
    Sever(usize),
    Stall(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..20usize, any::<bool>(), 1..20_000u64).prop_map(|(c, q, t)| Op::Call(c, q, t)),
        2 => (0..20usize, any::<bool>()).prop_map(|(c, tail)| Op::Cut(c, tail)),
        1 => (0..20usize).prop_map(Op::Disconnect),
        2 => Just(Op::Kill),
        6 => (0..5_000u64).prop_map(Op::Pass),
        4 => (0..20usize).prop_map(Op::Push),
        2 => Just(Op::PushAll),
        2 => Just(Op::Restart),
        1 => (0..20usize).prop_map(Op::Sever),
        1 => (0..20usize).prop_map(Op::Stall),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is cut, killed and started again: every call settles once, pushes come in order and
    /// never twice, and in the end everybody is connected, and known to the server once.
    #[test]
    fn whatever_happens_to_a_server_its_clients_come_back_and_nothing_is_twice(
        seed in any::<u64>(),
        clients in 2..12usize,
        sente in any::<bool>(),
        latency in 0..50u64,
        ops in proptest::collection::vec(op(), 1..60),
    ) {
        let dialect = if sente { Dialect::Sente } else { Dialect::SenteLite };
        let quality = Quality { latency: millis(latency), random_chunks: true, ..Quality::default() };
        let mut fleet = Fleet::new(seed, clients, dialect, quality);
        let mut up = true;
        for op in ops {
            match op {
                Op::Call(client, quick, timeout) => {
                    let what = if quick { "quick" } else { "never" };
                    fleet.call(client % clients, what, millis(timeout));
                }
                Op::Cut(client, tail) => {
                    let peer = fleet.clients[client % clients];
                    fleet.world.cut(peer, sente_tests::world::Ended::Failed, tail);
                }
                Op::Disconnect(client) => {
                    let user = Target::User(UserId::from(user_of(client % clients).as_str()));
                    fleet.world.with_server(fleet.server, |server, now| {
                        server.with_hub(now, |hub, now| hub.disconnect(now, &user, 4000, "bye"))
                    });
                }
                Op::Kill => {
                    fleet.world.kill(fleet.server);
                    up = false;
                }
                Op::Pass(time) => fleet.pass(millis(time)),
                Op::Push(client) => {
                    let user = UserId::from(user_of(client % clients).as_str());
                    fleet.push(&Target::User(user));
                }
                Op::PushAll => fleet.push(&Target::All),
                Op::Restart => {
                    if !up {
                        fleet.world.restart(fleet.server);
                        up = true;
                    }
                }
                Op::Sever(client) => fleet.world.sever(fleet.clients[client % clients]),
                Op::Stall(client) => {
                    let peer = fleet.clients[client % clients];
                    fleet.world.set_quality(peer, |quality| quality.stalled = true);
                }
            }
        }
        if !up {
            fleet.world.restart(fleet.server);
        }
        // Keepalives find what was severed or stalled, and the longest wait is half a minute.
        fleet.pass(seconds(120));
        prop_assert_eq!(fleet.open(), clients);
        prop_assert_eq!(fleet.known(), (clients, clients));
        fleet.check_calls();
        for pushed in &fleet.pushed {
            prop_assert!(pushed.is_sorted_by(|a, b| a < b), "{:?}", pushed);
        }
        // And everything works as on the first day.
        for client in 0..clients {
            prop_assert!(fleet.call(client, "quick", seconds(5)));
        }
        fleet.push(&Target::All);
        fleet.pass(seconds(10));
        fleet.check_calls();
        for (client, pushed) in fleet.pushed.iter().enumerate() {
            prop_assert_eq!(pushed.last(), Some(&fleet.pushes));
            prop_assert_eq!(fleet.calls[client].values().last(), Some(&vec![Settled::Answered]));
        }
        let told: Option<ServerEvent> = fleet.world.take_hall(fleet.server);
        prop_assert!(told.is_none(), "it was looked at");
    }
}
