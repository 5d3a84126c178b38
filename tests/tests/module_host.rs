//! Modules side by side, on a connection and on a client that comes back, in virtual time.
#![allow(missing_docs)]

#[path = "../../core/examples/clock/module.rs"]
mod clock;

use std::collections::VecDeque;
use std::time::Duration;

use clock::{Clock, ClockEvent};
use sente_core::{
    CallError, CallId, Carrier, ClientConfig, ClientEvent, ClientOutbox, CloseReason, ConnId,
    ConnectionConfig, ConnectionEvent, Dialect, Instant, Message, Module, Modules, NamespaceTaken,
    OnOffline, Outbox, PackedSendError, Payload, Peer, PeerChange, Rate, ReplyError, Role,
    SendError, Target,
};
use sente_tests::{Pair, Rig, config, event, messages, millis, seconds, text};

const EVERY: Duration = Duration::from_secs(10);

/// What is told by any of the modules here.
#[derive(Clone, Debug, PartialEq)]
enum Told {
    Clock(ClockEvent),
    Probe(Seen),
}

impl From<ClockEvent> for Told {
    fn from(told: ClockEvent) -> Self {
        Self::Clock(told)
    }
}

impl From<Seen> for Told {
    fn from(seen: Seen) -> Self {
        Self::Probe(seen)
    }
}

/// What a probe saw.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Heard(ConnId, String),
    Peer(ConnId, PeerChange),
    Settled(ConnId, Result<String, CallError>),
    Time(Instant),
}

/// Tells everything it sees, says `[:probe/thanks]` for what it hears, and answers calls.
#[derive(Debug)]
struct Probe {
    namespace: &'static str,
    seen: VecDeque<Seen>,
    wakes_at: Option<Instant>,
    calls: Vec<CallId>,
    /// What became of the thanks.
    thanks: Vec<bool>,
}

impl Probe {
    fn new(namespace: &'static str) -> Self {
        Self {
            namespace,
            seen: VecDeque::new(),
            wakes_at: None,
            calls: Vec::new(),
            thanks: Vec::new(),
        }
    }
}

impl Module for Probe {
    type Event = Seen;

    fn namespace(&self) -> &str {
        self.namespace
    }

    fn handle_message(&mut self, _: Instant, from: &Peer, message: Message, out: &mut dyn Outbox) {
        let heard = text(&message);
        self.seen.push_back(Seen::Heard(from.connection, heard));
        let thanks = match message.reply {
            Some(token) => out
                .reply(from.connection, token, Payload::from("thanks"))
                .is_ok(),
            None => out.send(from.connection, event("[:probe/thanks]")).is_ok(),
        };
        self.thanks.push(thanks);
    }

    fn handle_peer(&mut self, _: Instant, peer: &Peer, change: PeerChange, _: &mut dyn Outbox) {
        self.seen.push_back(Seen::Peer(peer.connection, change));
    }

    fn handle_settled(
        &mut self,
        _: Instant,
        peer: &Peer,
        call: CallId,
        result: &Result<Payload, CallError>,
        _: &mut dyn Outbox,
    ) -> bool {
        let Some(at) = self.calls.iter().position(|own| *own == call) else {
            return false;
        };
        self.calls.remove(at);
        let result = result.clone();
        let result = result.map(|payload| payload.to_value().unwrap().to_string());
        self.seen.push_back(Seen::Settled(peer.connection, result));
        true
    }

    fn handle_timeout(&mut self, now: Instant, _: &mut dyn Outbox) {
        self.wakes_at = None;
        self.seen.push_back(Seen::Time(now));
    }

    fn poll_event(&mut self) -> Option<Seen> {
        self.seen.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.wakes_at
    }
}

fn probe() -> Modules<Told> {
    let mut modules = Modules::new();
    modules.add(Probe::new("probe")).unwrap();
    modules
}

fn told(modules: &mut Modules<Told>) -> Vec<Told> {
    std::iter::from_fn(|| modules.poll_event()).collect()
}

fn seen(modules: &mut Modules<Told>) -> Vec<Seen> {
    let probe = |told| match told {
        Told::Probe(seen) => seen,
        Told::Clock(_) => panic!("no clock was asked for"),
    };
    told(modules).into_iter().map(probe).collect()
}

/// Shows the modules what the client has to tell; what is not for them.
fn show(modules: &mut Modules<Told>, rig: &mut Rig) -> Vec<ClientEvent> {
    let now = rig.now;
    std::iter::from_fn(|| modules.poll_client(now, &mut rig.client)).collect()
}

fn buffering(rate: Option<Rate>) -> std::sync::Arc<ClientConfig> {
    let link = ConnectionConfig::builder(Role::Client, Dialect::Sente, Carrier::WebSocket)
        .send_rate(rate)
        .build()
        .unwrap();
    let client = ClientConfig::builder(link).on_offline(OnOffline::buffer());
    client.build().unwrap()
}

/// A client that has been told to connect, and has.
fn connected() -> Rig {
    let link = config(Role::Client, Dialect::Sente, Carrier::WebSocket);
    let mut rig = Rig::new(ClientConfig::builder(link).build().unwrap());
    rig.client.connect(rig.now);
    rig.drive();
    rig
}

fn link(rig: &Rig) -> ConnId {
    rig.client.link_id().unwrap()
}

#[test]
fn modules_are_told_of_every_link_of_a_client_that_comes_back() {
    let mut rig = connected();
    let mut modules = probe();
    let first = link(&rig);
    let rest = show(&mut modules, &mut rig);
    assert!(
        rest.iter()
            .any(|event| matches!(event, ClientEvent::Opened(_))),
        "others want to know, too: {rest:?}"
    );
    rig.cut();
    assert_eq!(rig.client.link_id(), None);
    rig.drive();
    let second = link(&rig);
    show(&mut modules, &mut rig);
    rig.client.disconnect(rig.now);
    rig.drive();
    show(&mut modules, &mut rig);
    let failed = CloseReason::Failed("the network is down".into());
    assert_eq!(
        seen(&mut modules),
        [
            Seen::Peer(first, PeerChange::Opened),
            Seen::Peer(first, PeerChange::Closed(failed)),
            Seen::Peer(second, PeerChange::Reopened),
            Seen::Peer(second, PeerChange::Closed(CloseReason::Requested)),
        ]
    );
    assert!(first < second, "ids are in the order of the links");
}

#[test]
fn a_link_that_never_opened_is_not_told() {
    let mut rig = Rig::new(buffering(None));
    rig.client.connect(rig.now);
    let connect = rig.client.poll_connect().unwrap();
    rig.client.handle_connected(rig.now, connect.attempt);
    let failed = sente_core::Input::Failed("reset".into());
    rig.client.handle_input(rig.now, connect.attempt, failed);
    let mut modules = probe();
    let rest = show(&mut modules, &mut rig);
    assert!(
        rest.iter()
            .any(|event| matches!(event, ClientEvent::Closed(_))),
        "{rest:?}"
    );
    assert_eq!(seen(&mut modules), []);
}

#[test]
fn links_of_different_clients_have_different_ids() {
    let open = |seed| {
        let config = buffering(None);
        let mut client = sente_core::Client::new(config, [seed; 32], Instant::EPOCH);
        client.connect(Instant::EPOCH);
        client.poll_connect().unwrap().attempt.link_id()
    };
    assert_eq!(open(1), open(1));
    assert_ne!(open(1), open(2));
}

#[test]
fn a_clock_asks_over_every_link_and_its_peer_answers() {
    let mut rig = connected();
    let mut asks = Modules::<Told>::new();
    asks.add(Clock::new(Some(EVERY)).unwrap()).unwrap();
    let mut answers = Modules::<Told>::new();
    answers.add(Clock::new(None).unwrap()).unwrap();
    let ada = Peer::of_user(ConnId::new(1, &[7; 10]), "ada");
    let mut read = Vec::new();
    for round in 0..6 {
        if round == 3 {
            rig.cut();
        }
        for _ in 0..2 {
            rig.drive();
            show(&mut asks, &mut rig);
            let now = rig.now;
            let server = rig.server();
            while answers.poll_connection(now, server, &ada).is_some() {}
        }
        rig.drive();
        show(&mut asks, &mut rig);
        read.extend(told(&mut asks));
        assert_eq!(asks.poll_timeout(), Some(rig.now + EVERY), "round {round}");
        rig.advance(EVERY);
        let now = rig.now;
        asks.handle_timeout(now, &mut ClientOutbox::new(&mut rig.client, now));
    }
    let mut links: Vec<_> = read
        .iter()
        .map(|told| match told {
            Told::Clock(ClockEvent::Read { peer, .. }) => (*peer, true),
            Told::Clock(ClockEvent::Failed { peer, error }) => {
                assert_eq!(*error, CallError::Closed);
                (*peer, false)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let times = |links: &[(ConnId, bool)], answered| {
        let of = |link: &&(ConnId, bool)| link.1 == answered;
        links.iter().filter(of).count()
    };
    assert_eq!((times(&links, true), times(&links, false)), (6, 1));
    links.dedup_by_key(|(link, _)| *link);
    assert_eq!(links.len(), 2, "three answers over each link: {links:?}");
}

#[test]
fn each_module_gets_its_namespace_and_the_rest_is_given_back_in_order() {
    let mut pair = Pair::open(Dialect::Sente, Carrier::WebSocket);
    let mut modules = probe();
    modules.add(Probe::new("other")).unwrap();
    let server = Peer::new(ConnId::new(1, &[1; 10]));
    for text in ["[:a/b 1]", "[:probe/b 2]", "[:probes/b 3]", "[:other/b 4]"] {
        pair.server.send(pair.now, event(text)).unwrap();
    }
    pair.drive();
    let rest: Vec<_> =
        std::iter::from_fn(|| modules.poll_connection(pair.now, &mut pair.client, &server))
            .map(|event| match event {
                ConnectionEvent::Message(message) => text(&message),
                other => panic!("{other:?}"),
            })
            .collect();
    assert_eq!(rest, ["[:a/b 1]", "[:probes/b 3]"]);
    let mut heard = seen(&mut modules);
    heard.sort_by_key(|seen| format!("{seen:?}"));
    let heard_of = |text: &str| Seen::Heard(server.connection, text.into());
    assert_eq!(heard, [heard_of("[:other/b 4]"), heard_of("[:probe/b 2]")]);
    pair.drive();
    assert_eq!(messages(&mut pair.server).len(), 2, "both said thanks");
}

#[test]
fn a_call_nobody_is_there_for_is_given_back_with_the_right_to_answer() {
    let mut pair = Pair::open(Dialect::Sente, Carrier::WebSocket);
    let mut modules = probe();
    let ada = Peer::new(ConnId::new(1, &[1; 10]));
    for text in ["[:a/ask]", "[:probe/ask]"] {
        pair.client.call(pair.now, event(text), seconds(1)).unwrap();
    }
    pair.drive();
    let rest = modules.poll_connection(pair.now, &mut pair.server, &ada);
    let Some(ConnectionEvent::Message(message)) = rest else {
        panic!("{rest:?}");
    };
    assert!(message.reply.is_some());
    assert!(
        modules
            .poll_connection(pair.now, &mut pair.server, &ada)
            .is_none()
    );
    pair.drive();
    let settled = sente_tests::events(&mut pair.client);
    let [ConnectionEvent::Settled { result, .. }] = &settled[..] else {
        panic!("{settled:?}");
    };
    let answer = result.as_ref().unwrap().to_value().unwrap();
    assert_eq!(answer.as_str(), Some("thanks"));
}

#[test]
fn a_call_is_settled_with_the_module_that_made_it() {
    let mut rig = connected();
    let mut modules = probe();
    modules.add(Probe::new("other")).unwrap();
    show(&mut modules, &mut rig);
    told(&mut modules);
    let now = rig.now;
    let to = link(&rig);
    let call = ClientOutbox::new(&mut rig.client, now)
        .call(to, event("[:probe/ask]"), seconds(1))
        .unwrap();
    modules.find_mut::<Probe>().unwrap().calls.push(call);
    let applications = rig.client.call(now, event("[:a/ask]"), seconds(1)).unwrap();
    rig.advance(seconds(2));
    let rest = show(&mut modules, &mut rig);
    assert!(
        matches!(
            rest[..],
            [ClientEvent::Link(ConnectionEvent::Settled { call, .. })] if call == applications
        ),
        "{rest:?}"
    );
    assert_eq!(
        seen(&mut modules),
        [Seen::Settled(to, Err(CallError::Timeout))]
    );
}

#[test]
fn only_modules_whose_time_has_come_are_woken_and_the_earliest_is_named() {
    let mut modules = Modules::<Told>::new();
    assert_eq!(modules.poll_timeout(), None);
    let at = |millis| Instant::from_millis(millis);
    for (namespace, wakes_at) in [("a", 30), ("b", 10), ("c", 20)] {
        let mut probe = Probe::new(namespace);
        probe.wakes_at = Some(at(wakes_at));
        modules.add(probe).unwrap();
    }
    let mut rig = connected();
    let mut woken = Vec::new();
    for expected in [10, 20, 30] {
        assert_eq!(modules.poll_timeout(), Some(at(expected)));
        for now in [at(expected - 1), at(expected)] {
            let mut out = ClientOutbox::new(&mut rig.client, now);
            modules.handle_timeout(now, &mut out);
            woken.extend(seen(&mut modules));
        }
    }
    assert_eq!(woken, [10, 20, 30].map(|now| Seen::Time(at(now))));
    assert_eq!(modules.poll_timeout(), None);
}

#[test]
fn two_modules_cannot_have_one_namespace() {
    let mut modules = probe();
    let taken = modules.add(Probe::new("probe"));
    assert_eq!(taken, Err(NamespaceTaken("probe".into())));
    assert_eq!(modules.len(), 1);
    modules.add(Clock::new(None).unwrap()).unwrap();
    assert_eq!(modules.len(), 2);
    assert!(modules.find_mut::<Clock>().is_some());
}

#[test]
fn what_was_heard_on_a_lost_link_is_not_answered_on_the_next() {
    let mut rig = connected();
    let mut modules = probe();
    let old = link(&rig);
    let now = rig.now;
    rig.server().send(now, event("[:probe/late]")).unwrap();
    rig.drive();
    rig.cut();
    rig.drive();
    assert!(rig.client.state().is_open());
    assert_ne!(
        link(&rig),
        old,
        "the next link is open before the message is read"
    );
    show(&mut modules, &mut rig);
    rig.drive();
    assert_eq!(messages(rig.server()).len(), 0);
    assert_eq!(modules.find_mut::<Probe>().unwrap().thanks, [false]);
    let heard = Seen::Heard(old, "[:probe/late]".into());
    assert!(seen(&mut modules).contains(&heard));
}

#[test]
fn an_outbox_over_a_client_reaches_the_present_link_only_and_keeps_nothing_for_a_later_one() {
    let mut rig = Rig::open_with(buffering(None));
    let old = link(&rig);
    let now = rig.now;
    let news = event("[:news/flash]");
    rig.cut();
    let mut out = ClientOutbox::new(&mut rig.client, now);
    let sent = out.send(old, news.clone());
    assert!(matches!(sent, Err(SendError::NotOpen(_))), "{sent:?}");
    let called = out.call(old, news.clone(), seconds(1));
    assert!(matches!(called, Err(SendError::NotOpen(_))), "{called:?}");
    let published = out.publish(&Target::All, &news).unwrap();
    assert_eq!((published.queued, published.refused.len()), (0, 0));
    assert_eq!(rig.client.send_capacity().messages, 0);

    rig.drive();
    let to = link(&rig);
    let mut out = ClientOutbox::new(&mut rig.client, now);
    for (target, queued) in [
        (Target::All, 1),
        (Target::AllBut(to), 0),
        (Target::AllBut(old), 1),
        (Target::Connection(to), 1),
        (Target::Connection(old), 0),
        (Target::User("ada".into()), 0),
    ] {
        let published = out.publish(&target, &news).unwrap();
        assert_eq!(published.queued, queued, "{target:?}");
        assert_eq!(published.refused, [], "{target:?}");
    }
    out.send(to, news.clone()).unwrap();
    assert!(out.send(old, news.clone()).is_err());
    let call = out.call(to, event("[:news/ask]"), seconds(1)).unwrap();
    assert!(!out.cancel(old, call));
    assert!(out.cancel(to, call));
    rig.drive();
    assert_eq!(messages(rig.server()).len(), 5);
}

#[test]
fn an_outbox_over_a_client_does_not_overtake_what_was_kept_for_its_link() {
    let mut rig = Rig::new(buffering(Some(Rate::new(1, seconds(1), 1))));
    rig.client.connect(rig.now);
    for n in 0..2 {
        let kept = event(&format!("[:a/n {n}]"));
        rig.client.send(rig.now, kept).unwrap();
    }
    rig.drive();
    let (now, to) = (rig.now, link(&rig));
    let mut out = ClientOutbox::new(&mut rig.client, now);
    let sent = out.send(to, event("[:b/n 2]"));
    assert!(
        matches!(sent, Err(SendError::Full { messages: 1, .. })),
        "{sent:?}"
    );
    let published = out.publish(&Target::All, &event("[:b/n 3]")).unwrap();
    assert_eq!(published.refused, [(to, PackedSendError::Full)]);
    rig.advance(millis(2_500));
    let now = rig.now;
    let mut out = ClientOutbox::new(&mut rig.client, now);
    out.send(to, event("[:b/n 4]")).unwrap();
    rig.drive();
    let arrived: Vec<_> = messages(rig.server()).iter().map(text).collect();
    assert_eq!(arrived, ["[:a/n 0]", "[:a/n 1]", "[:b/n 4]"]);
}

#[test]
fn an_outbox_over_a_client_answers_refuses_and_forgets_calls() {
    let client = ClientConfig::builder(config(Role::Client, Dialect::SenteLite, Carrier::Lines));
    let mut rig = Rig::open_with(client.build().unwrap());
    let now = rig.now;
    for n in 0..4 {
        let question = event(&format!("[:a/ask {n}]"));
        rig.server().call(now, question, seconds(5)).unwrap();
    }
    rig.drive();
    let mut tokens: Vec<_> = rig
        .events()
        .into_iter()
        .filter_map(|event| match event {
            ClientEvent::Link(ConnectionEvent::Message(message)) => message.reply,
            _ => None,
        })
        .collect();
    assert_eq!(tokens.len(), 4);
    let to = link(&rig);
    let elsewhere = ConnId::new(0, &[0; 10]);
    let mut out = ClientOutbox::new(&mut rig.client, now);
    out.reply(to, tokens.remove(0), Payload::from(1)).unwrap();
    out.reply_error(to, tokens.remove(0)).unwrap();
    let refused = out.reply(elsewhere, tokens.remove(0), Payload::from(3));
    assert!(matches!(refused, Err(ReplyError::NotOpen(_))));
    out.forget(to, tokens.remove(0));
    rig.drive();
    rig.advance(seconds(6));
    let mut results: Vec<_> = sente_tests::events(rig.server())
        .into_iter()
        .filter_map(|event| match event {
            ConnectionEvent::Settled { result, .. } => Some(result.err()),
            _ => None,
        })
        .collect();
    results.sort_by_key(|error| format!("{error:?}"));
    let timeout = Some(CallError::Timeout);
    assert_eq!(results, [None, Some(CallError::Peer), timeout, timeout]);
}
