//! The hub against a small model of it: who is connected, who gets what in which order, and what is
//! kept, whatever happens.
#![allow(missing_docs)]

mod hub_support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use hub_support::{HubRig, conn};
use proptest::prelude::*;
use sente_core::packer::Edn;
use sente_core::{Dialect, HubEvent, Member, Takeover, Target, TransportKind};
use sente_edn::Value;

/// So many messages are kept for a client.
const KEPT: usize = 3;
/// To so many channels a connection may subscribe.
const SUBSCRIPTIONS: usize = 2;

#[derive(Clone, Debug)]
enum Op {
    Join(Who),
    /// A connection that is in joins again.
    Rejoin(usize, Who),
    Leave(usize),
    Push(usize),
    All,
    AllBut(usize),
    AllButUser(usize),
    One(usize),
    Subscribe(usize, u8),
    Unsubscribe(usize, u8),
    Publish(usize, u8, bool),
    Suspend(usize),
    Resume(usize),
    Advance(u64),
}

/// A user or nobody, a label or none, a transport.
#[derive(Clone, Copy, Debug)]
struct Who {
    user: usize,
    label: usize,
    ajax: bool,
}

const USERS: [&str; 2] = ["ada", "bob"];
const LABELS: [&str; 2] = ["x", "y"];

impl Who {
    fn transport(self) -> TransportKind {
        match self.ajax {
            true => TransportKind::Ajax,
            false => TransportKind::WebSocket,
        }
    }

    fn member(self) -> Member {
        let mut member = Member::new(Arc::new(Edn))
            .dialect(Dialect::SenteLite)
            .transport(self.transport());
        if let Some(user) = USERS.get(self.user) {
            member = member.user(*user);
        }
        if let Some(label) = LABELS.get(self.label) {
            member = member.client_id(*label);
        }
        member
    }
}

fn grace(transport: TransportKind) -> u64 {
    match transport {
        TransportKind::Ajax => 5_000,
        _ => 2_500,
    }
}

/// One client: here with its connections, or away with what is kept for it.
#[derive(Debug)]
struct Client {
    /// Its own number: the first connection may be another client's later.
    serial: u32,
    user: String,
    transport: TransportKind,
    label: Option<&'static str>,
    origin: u8,
    returns: bool,
    /// The oldest first.
    here: Vec<u8>,
    until: u64,
    kept: Vec<String>,
}

#[derive(Debug, Default)]
struct Model {
    now: u64,
    clients_ever: u32,
    all_receive: bool,
    clients: Vec<Client>,
    /// In the order they joined.
    connections: Vec<u8>,
    suspended: BTreeMap<u8, u64>,
    channels: BTreeMap<u8, BTreeSet<u8>>,
    got: BTreeMap<u8, Vec<String>>,
    uidports: Vec<String>,
    undelivered: Vec<String>,
}

impl Model {
    fn any(&self) -> BTreeSet<String> {
        self.clients
            .iter()
            .map(|client| client.user.clone())
            .collect()
    }

    /// Does something and tells who came or went by it.
    fn watched<T>(&mut self, f: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.any();
        let result = f(self);
        let after = self.any();
        let went = before.difference(&after).map(|user| format!("-{user}"));
        let came = after.difference(&before).map(|user| format!("+{user}"));
        let news: Vec<_> = went.chain(came).collect();
        self.uidports.extend(news);
        result
    }

    fn client_of(&mut self, n: u8) -> Option<&mut Client> {
        self.clients
            .iter_mut()
            .find(|client| client.here.contains(&n))
    }

    fn join(&mut self, n: u8, who: Who) {
        self.watched(|model| model.remove(n, false));
        self.watched(|model| {
            let user = USERS.get(who.user).map(|user| (*user).to_owned());
            let returns = user.is_some();
            let user = user.unwrap_or_else(|| conn(n).to_string());
            let label = LABELS.get(who.label).copied();
            let transport = who.transport();
            model.connections.push(n);
            model.clients_ever += 1;
            let serial = model.clients_ever;
            let mut same: Vec<&mut Client> = model
                .clients
                .iter_mut()
                .filter(|it| it.user == user && it.transport == transport && it.label == label)
                // Without a label only one that is away can be meant.
                .filter(|it| label.is_some() || it.here.is_empty())
                .collect();
            same.sort_by_key(|client| client.origin);
            match same.into_iter().next() {
                Some(client) => {
                    client.here.push(n);
                    let kept = std::mem::take(&mut client.kept);
                    model.got.entry(n).or_default().extend(kept);
                }
                None => model.clients.push(Client {
                    serial,
                    user,
                    transport,
                    label,
                    origin: n,
                    returns,
                    here: vec![n],
                    until: 0,
                    kept: Vec::new(),
                }),
            }
        });
    }

    /// A connection ends, and its client may come back.
    fn leave(&mut self, n: u8) {
        self.remove(n, true);
    }

    fn remove(&mut self, n: u8, with_grace: bool) {
        let now = self.now;
        let Some(client) = self.client_of(n) else {
            return;
        };
        client.here.retain(|known| *known != n);
        client.until = now + grace(client.transport);
        let is_over = client.here.is_empty() && !(with_grace && client.returns);
        let serial = client.serial;
        if is_over {
            self.clients.retain(|client| client.serial != serial);
        }
        self.connections.retain(|known| *known != n);
        self.suspended.remove(&n);
        for subscribers in self.channels.values_mut() {
            subscribers.remove(&n);
        }
    }

    fn receivers(&self, client: &Client) -> Vec<u8> {
        match (self.all_receive, client.here.last()) {
            (true, _) => client.here.clone(),
            (false, last) => last.copied().into_iter().collect(),
        }
    }

    fn push(&mut self, text: &str, meant: impl Fn(&Client) -> bool, but: Option<u8>) {
        let mut receivers = Vec::new();
        for client in &self.clients {
            if meant(client) {
                receivers.extend(self.receivers(client));
            }
        }
        for client in &mut self.clients {
            if !meant(client) || !client.here.is_empty() {
                continue;
            }
            if client.kept.len() < KEPT {
                client.kept.push(text.to_owned());
            } else {
                self.undelivered.push(text.to_owned());
            }
        }
        for n in receivers {
            if Some(n) != but {
                self.got.entry(n).or_default().push(text.to_owned());
            }
        }
    }

    fn subscribe(&mut self, n: u8, channel: u8) {
        let count = self.channels.values().filter(|it| it.contains(&n)).count();
        if self.connections.contains(&n) && count < SUBSCRIPTIONS {
            self.channels.entry(channel).or_default().insert(n);
        }
    }

    fn publish(&mut self, n: u8, channel: u8, exclude: bool, text: &str) {
        if !self.connections.contains(&n) {
            return;
        }
        for to in self.channels.get(&channel).into_iter().flatten() {
            if !(exclude && *to == n) {
                self.got.entry(*to).or_default().push(text.to_owned());
            }
        }
    }

    fn advance(&mut self, to: u64) {
        loop {
            let suspended = self.suspended.iter().map(|(n, until)| (*until, Some(*n)));
            let away = self.clients.iter().filter(|client| client.here.is_empty());
            let next = suspended
                .chain(away.map(|client| (client.until, None)))
                .min_by_key(|(until, n)| (*until, n.is_none()));
            let Some((at, who)) = next.filter(|(at, _)| *at <= to) else {
                break;
            };
            self.now = at;
            self.watched(|model| match who {
                Some(n) => model.remove(n, false),
                None => {
                    let (over, rest) = std::mem::take(&mut model.clients)
                        .into_iter()
                        .partition(|client| client.here.is_empty() && client.until <= at);
                    model.clients = rest;
                    let over: Vec<Client> = over;
                    model
                        .undelivered
                        .extend(over.into_iter().flat_map(|client| client.kept));
                }
            });
        }
        self.now = to;
    }
}

fn who() -> impl Strategy<Value = Who> {
    (0..3usize, 0..3usize, any::<bool>()).prop_map(|(user, label, ajax)| Who { user, label, ajax })
}

fn op() -> impl Strategy<Value = Op> {
    let at = 0..8usize;
    let channel = 0..3u8;
    prop_oneof![
        6 => who().prop_map(Op::Join),
        1 => (at.clone(), who()).prop_map(|(at, who)| Op::Rejoin(at, who)),
        4 => at.clone().prop_map(Op::Leave),
        4 => (0..3usize).prop_map(Op::Push),
        2 => Just(Op::All),
        1 => at.clone().prop_map(Op::AllBut),
        1 => (0..3usize).prop_map(Op::AllButUser),
        1 => at.clone().prop_map(Op::One),
        3 => (at.clone(), channel.clone()).prop_map(|(at, channel)| Op::Subscribe(at, channel)),
        1 => (at.clone(), channel.clone()).prop_map(|(at, channel)| Op::Unsubscribe(at, channel)),
        3 => (at.clone(), channel, any::<bool>())
            .prop_map(|(at, channel, exclude)| Op::Publish(at, channel, exclude)),
        1 => at.clone().prop_map(Op::Suspend),
        1 => at.prop_map(Op::Resume),
        4 => prop_oneof![Just(1u64), 0..6_000u64].prop_map(Op::Advance),
    ]
}

/// The hub and its model, side by side.
struct Both {
    rig: HubRig,
    model: Model,
    next: u8,
    sent: u32,
    undelivered: Vec<String>,
    uidports: Vec<String>,
}

impl Both {
    fn new(takeover: Takeover) -> Self {
        let rig = HubRig::with(|config| {
            config.takeover = takeover;
            config.limits.kept.max_messages = KEPT;
            config.channels.max_subscriptions = SUBSCRIPTIONS;
        });
        let model = Model {
            all_receive: takeover == Takeover::All,
            ..Model::default()
        };
        Self {
            rig,
            model,
            next: 1,
            sent: 0,
            undelivered: Vec::new(),
            uidports: Vec::new(),
        }
    }

    /// The `at`th connection that is in, round and round; one that never was where none is.
    fn at(&self, at: usize) -> u8 {
        let connections = &self.model.connections;
        match connections.len() {
            0 => 255,
            len => connections[at % len],
        }
    }

    fn text(&mut self) -> String {
        self.sent += 1;
        format!("[:n/w {}]", self.sent)
    }

    fn user(&self, at: usize) -> String {
        let named = USERS.get(at).map(|user| (*user).to_owned());
        named.unwrap_or_else(|| conn(self.at(at)).to_string())
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Join(who) => {
                self.next += 1;
                self.join(self.next, who);
            }
            Op::Rejoin(at, who) => {
                let n = self.at(at);
                if n != 255 {
                    self.join(n, who);
                }
            }
            Op::Leave(at) => {
                let n = self.at(at);
                self.rig.leave(n);
                self.model.watched(|model| model.leave(n));
            }
            Op::Push(at) => {
                let (user, text) = (self.user(at), self.text());
                self.rig.push(&user, &text);
                self.model.push(&text, |client| client.user == user, None);
            }
            Op::All => {
                let text = self.text();
                self.rig.send(&Target::All, &text);
                self.model.push(&text, |_| true, None);
            }
            Op::AllBut(at) => {
                let (n, text) = (self.at(at), self.text());
                self.rig.send(&Target::AllBut(conn(n)), &text);
                self.model.push(&text, |_| true, Some(n));
            }
            Op::AllButUser(at) => {
                let (user, text) = (self.user(at), self.text());
                self.rig
                    .send(&Target::AllButUser(user.as_str().into()), &text);
                self.model.push(&text, |client| client.user != user, None);
            }
            Op::One(at) => {
                let (n, text) = (self.at(at), self.text());
                self.rig.send(&Target::Connection(conn(n)), &text);
                if self.model.connections.contains(&n) {
                    self.model.got.entry(n).or_default().push(text);
                }
            }
            Op::Subscribe(at, channel) => {
                let n = self.at(at);
                let _ = self
                    .rig
                    .hub
                    .subscribe(self.rig.now, conn(n), &Value::from(channel));
                self.rig.carry_out();
                self.model.subscribe(n, channel);
            }
            Op::Unsubscribe(at, channel) => {
                let n = self.at(at);
                let _ = self
                    .rig
                    .hub
                    .unsubscribe(self.rig.now, conn(n), &Value::from(channel));
                if let Some(subscribers) = self.model.channels.get_mut(&channel) {
                    subscribers.remove(&n);
                }
            }
            Op::Publish(at, channel, exclude) => {
                let (n, number) = (self.at(at), self.sent);
                self.rig.say(
                    n,
                    &format!(
                        "[:sente-lite/publish {{:channel-id {channel} :data {number} \
                         :exclude-sender? {exclude}}}]"
                    ),
                );
                let from = conn(n);
                let text = format!(
                    "[:sente-lite/channel-msg {{:channel-id {channel}, :data {number}, \
                     :from \"{from}\"}}]"
                );
                self.model.publish(n, channel, exclude, &text);
            }
            Op::Suspend(at) => {
                let n = self.at(at);
                let suspended = self.rig.hub.suspend(self.rig.now, conn(n));
                let now = self.model.now;
                if let Some(client) = self.model.client_of(n) {
                    let until = now + grace(client.transport);
                    self.model.suspended.insert(n, until);
                }
                assert_eq!(suspended, n != 255);
            }
            Op::Resume(at) => {
                let n = self.at(at);
                let resumed = self.rig.hub.resume(self.rig.now, conn(n));
                assert_eq!(resumed, self.model.suspended.remove(&n).is_some());
            }
            Op::Advance(by) => {
                self.rig.advance(Duration::from_millis(by));
                let to = self.model.now + by;
                self.model.advance(to);
            }
        }
        self.compare();
    }

    fn join(&mut self, n: u8, who: Who) {
        self.rig.join(n, who.member());
        self.model.join(n, who);
    }

    fn compare(&mut self) {
        for event in self.rig.told() {
            match event {
                HubEvent::UidportOpen(user) => self.uidports.push(format!("+{user}")),
                HubEvent::UidportClose(user) => self.uidports.push(format!("-{user}")),
                HubEvent::Undelivered { events, count, .. } => {
                    assert_eq!(count, events.len() as u64);
                    let texts = events
                        .iter()
                        .map(|event| String::from_utf8(event.bytes().to_vec()).unwrap());
                    self.undelivered.extend(texts);
                }
                _ => {}
            }
        }
        let (rig, model) = (&self.rig, &self.model);
        let got: BTreeMap<_, _> = model
            .got
            .iter()
            .filter(|(_, got)| !got.is_empty())
            .collect();
        let ours: BTreeMap<_, _> = got
            .iter()
            .map(|(n, got)| (conn(**n), (*got).clone()))
            .collect();
        assert_eq!(rig.got, ours, "who got what, in which order");
        assert_eq!(
            rig.any().into_iter().collect::<BTreeSet<_>>(),
            model.any(),
            "who is connected"
        );
        let mut sorted = (self.uidports.clone(), model.uidports.clone());
        sorted.0.sort();
        sorted.1.sort();
        assert_eq!(sorted.0, sorted.1, "who came and went");
        let mut sorted = (self.undelivered.clone(), model.undelivered.clone());
        sorted.0.sort();
        sorted.1.sort();
        assert_eq!(sorted.0, sorted.1, "what was not delivered");
        let newest_first: Vec<_> = rig.hub.connections().map(|info| info.connection).collect();
        let expected: Vec<_> = model.connections.iter().rev().map(|n| conn(*n)).collect();
        assert_eq!(newest_first, expected, "who is here, newest first");
        for (channel, subscribers) in &model.channels {
            let ours: Vec<_> = rig.hub.subscribers(&Value::from(*channel)).collect();
            let theirs: Vec<_> = subscribers.iter().map(|n| conn(*n)).collect();
            assert_eq!(ours, theirs, "the subscribers of {channel}");
        }
        let away = model.clients.iter().filter(|client| client.here.is_empty());
        let kept: usize = away
            .clone()
            .flat_map(|client| &client.kept)
            .map(String::len)
            .sum();
        assert_eq!(rig.hub.away(), away.count());
        assert_eq!(rig.hub.kept_bytes(), kept, "every kept byte is counted");
        if model.clients.iter().all(|client| !client.here.is_empty()) && model.suspended.is_empty()
        {
            assert_eq!(
                rig.hub.poll_timeout(),
                None,
                "a quiet hub waits for nothing"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_hub_does_what_the_model_says(
        takeover in prop_oneof![
            Just(Takeover::Newest),
            Just(Takeover::All),
            Just(Takeover::NewestClosesOthers)
        ],
        ops in proptest::collection::vec(op(), 1..80),
    ) {
        let mut both = Both::new(takeover);
        for op in ops {
            both.apply(op);
        }
    }
}
