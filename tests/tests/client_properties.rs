//! Whatever happens to a reconnecting client, in whatever order: what always holds.
#![allow(missing_docs)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use sente_core::{
    CallId, Carrier, ClientConfig, ClientEvent, ConnectFailure, ConnectionEvent, Dialect,
    OnOffline, Role,
};
use sente_tests::{Dial, Rig, config, event, events, millis, text};

#[derive(Clone, Debug)]
enum Op {
    Advance(u64),
    Break,
    Call(u64),
    Carries(bool),
    Connect,
    Cut,
    DialAnswered,
    DialFails,
    DialHangs,
    Disconnect,
    Drain(u64),
    Look,
    Reconnect,
    Send,
    ServerCloses,
    ServerDrains,
    ServerSends,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..20_000u64).prop_map(Op::Advance),
        6 => Just(Op::Send),
        4 => Just(Op::Look),
        3 => (1..30_000u64).prop_map(Op::Call),
        3 => Just(Op::Connect),
        2 => Just(Op::Cut),
        2 => Just(Op::ServerSends),
        2 => any::<bool>().prop_map(Op::Carries),
        3 => Just(Op::DialAnswered),
        1 => Just(Op::DialFails),
        1 => Just(Op::DialHangs),
        1 => Just(Op::Break),
        1 => Just(Op::Disconnect),
        1 => (0..5_000u64).prop_map(Op::Drain),
        1 => Just(Op::Reconnect),
        1 => Just(Op::ServerCloses),
        1 => Just(Op::ServerDrains),
    ]
}

/// What the test knows to have happened.
#[derive(Default)]
struct Seen {
    accepted: u64,
    calls: BTreeMap<CallId, usize>,
    /// The numbers of events that arrived or came back.
    fates: BTreeSet<u64>,
    last_received: Option<u64>,
    links_opened: usize,
    links_closed: usize,
}

impl Seen {
    fn fate(&mut self, text: &str) -> u64 {
        let number = text
            .trim_start_matches("[:n/n ")
            .trim_end_matches(']')
            .parse()
            .unwrap_or_else(|_| panic!("{text}"));
        assert!(self.fates.insert(number), "{number} has two fates");
        number
    }

    fn look(&mut self, rig: &mut Rig) {
        for event in rig.events() {
            match event {
                ClientEvent::Opened(_) => {
                    assert_eq!(self.links_opened, 0, "the first link opens once");
                    self.links_opened += 1;
                }
                ClientEvent::Reopened(_) => {
                    assert!(self.links_opened > 0, "only later links reopen");
                    self.links_opened += 1;
                }
                ClientEvent::Closed(_) => self.links_closed += 1,
                ClientEvent::Link(ConnectionEvent::Settled { call, .. }) => {
                    *self.calls.get_mut(&call).expect("a call that was made") += 1;
                }
                ClientEvent::Link(ConnectionEvent::Undelivered(events)) => {
                    for event in events {
                        let text = String::from_utf8(event.bytes().to_vec()).unwrap();
                        if text.starts_with("[:n/n ") {
                            self.fate(&text);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn listen(&mut self, rig: &mut Rig) {
        let Some((_, server)) = &mut rig.server else {
            return;
        };
        for event in events(server) {
            if let ConnectionEvent::Message(message) = event
                && message.event.id.as_str() == "n/n"
            {
                let number = self.fate(&text(&message));
                assert!(
                    self.last_received.is_none_or(|last| last < number),
                    "{number} is out of order"
                );
                self.last_received = Some(number);
            }
        }
    }
}

fn run(carrier: Carrier, policy: OnOffline, ops: Vec<Op>) {
    let link = config(Role::Client, Dialect::SenteLite, carrier);
    let client = ClientConfig::builder(link).on_offline(policy);
    let mut rig = Rig::new(client.build().unwrap());
    let mut seen = Seen::default();
    for op in ops {
        let now = rig.now;
        match op {
            Op::Advance(by) => rig.advance(millis(by)),
            Op::Break => rig.client.break_connection(now),
            Op::Call(within) => {
                let call = rig.client.call(now, event("[:n/ask]"), millis(within));
                if let Ok(call) = call {
                    assert_eq!(seen.calls.insert(call, 0), None, "an id is used twice");
                }
            }
            Op::Carries(carries) => rig.carries = carries,
            Op::Connect => rig.client.connect(now),
            Op::Cut => rig.cut(),
            Op::DialAnswered => rig.dial = Dial::Answered,
            Op::DialFails => rig.dial = Dial::Fails(ConnectFailure::Retry("no".into())),
            Op::DialHangs => rig.dial = Dial::Hangs,
            Op::Disconnect => rig.client.disconnect(now),
            Op::Drain(within) => rig.client.drain(now, now + millis(within)),
            Op::Look => seen.look(&mut rig),
            Op::Reconnect => rig.client.reconnect(now),
            Op::Send => {
                let sent = event(&format!("[:n/n {}]", seen.accepted));
                if rig.client.send(now, sent).is_ok() {
                    seen.accepted += 1;
                }
            }
            Op::ServerCloses => {
                if let Some((_, server)) = &mut rig.server {
                    server.close(now);
                }
            }
            Op::ServerDrains => {
                if let Some((_, server)) = &mut rig.server {
                    server.drain(now, now + millis(500));
                }
            }
            Op::ServerSends => {
                if let Some((_, server)) = &mut rig.server {
                    let _ = server.send(now, event("[:s/s]"));
                }
            }
        }
        // Links end in between without the test's doing: what they heard is not lost.
        seen.listen(&mut rig);
    }

    // In the end everything settles, and a client that is left alone is at rest.
    rig.client.disconnect(rig.now);
    rig.advance(millis(60_000));
    seen.listen(&mut rig);
    seen.look(&mut rig);
    assert_eq!(rig.client.poll_timeout(), None);
    assert!(rig.client.connection().is_none(), "a link was kept");
    for (call, settled) in &seen.calls {
        assert_eq!(*settled, 1, "{call:?}");
    }
    let stats = rig.client.stats();
    assert_eq!(usize::try_from(stats.opened), Ok(seen.links_opened));
    assert!(
        seen.links_closed >= seen.links_opened,
        "an end was not told"
    );
    assert!(seen.fates.len() as u64 <= seen.accepted);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_happens_twice_and_everything_ends_over_a_websocket(
        ops in prop::collection::vec(op(), 1..120),
        buffers in any::<bool>(),
    ) {
        let policy = if buffers { OnOffline::buffer() } else { OnOffline::Refuse };
        run(Carrier::WebSocket, policy, ops);
    }

    #[test]
    fn nothing_happens_twice_and_everything_ends_over_lines(
        ops in prop::collection::vec(op(), 1..120),
        buffers in any::<bool>(),
    ) {
        let policy = if buffers { OnOffline::buffer() } else { OnOffline::Refuse };
        run(Carrier::Lines, policy, ops);
    }
}
