//! A hub whose outputs are carried out into what each connection got.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sente_core::packer::Edn;
use sente_core::{
    ConnId, Connection, ConnectionEvent, Dialect, Event, Hub, HubConfig, HubEvent, HubOutput,
    Instant, Member, Message, Target, TransportKind,
};
use sente_tests::{Pair, edn, event};

/// A hub, a clock, and what came out.
pub struct HubRig {
    pub hub: Hub,
    pub now: Instant,
    /// What each connection got, as EDN.
    pub got: BTreeMap<ConnId, Vec<String>>,
    /// Which were to be closed, with which code and reason.
    pub closed: Vec<(ConnId, u16, String)>,
    /// What callers were answered; `None` for an error.
    pub replies: Vec<(ConnId, Option<String>)>,
    /// How many outputs carried deliveries.
    pub deliveries: usize,
}

/// The `n`th connection that was made.
pub fn conn(n: u8) -> ConnId {
    ConnId::new(1_700_000_000_000 + u64::from(n), &[n; 10])
}

/// A member of a user, with a client id or none.
pub fn member(user: &str, client_id: Option<&str>) -> Member {
    let member = Member::new(Arc::new(Edn)).user(user);
    match client_id {
        Some(label) => member.client_id(label),
        None => member,
    }
}

impl HubRig {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// A hub with these changes to the default options.
    pub fn with(change: impl FnOnce(&mut HubConfig)) -> Self {
        let mut config = HubConfig::default();
        change(&mut config);
        Self {
            hub: Hub::new(config, [7; 32]),
            now: Instant::EPOCH,
            got: BTreeMap::new(),
            closed: Vec::new(),
            replies: Vec::new(),
            deliveries: 0,
        }
    }

    pub fn join(&mut self, n: u8, member: Member) -> sente_core::Joined {
        let joined = self.hub.join(self.now, conn(n), member).unwrap();
        self.carry_out();
        joined
    }

    /// Lets a user's WebSocket join.
    pub fn join_user(&mut self, n: u8, user: &str, client_id: &str) -> sente_core::Joined {
        self.join(n, member(user, Some(client_id)))
    }

    pub fn leave(&mut self, n: u8) -> Option<sente_core::Left> {
        let left = self.hub.leave(self.now, conn(n));
        self.carry_out();
        left
    }

    pub fn send(&mut self, target: &Target, text: &str) -> sente_core::Fanout {
        let fanout = self.hub.fan_out(self.now, target, &event(text)).unwrap();
        self.carry_out();
        fanout
    }

    pub fn push(&mut self, user: &str, text: &str) -> sente_core::Fanout {
        self.send(&Target::User(user.into()), text)
    }

    /// Hands the hub an event of a client; what it does not take comes back.
    pub fn say(&mut self, n: u8, text: &str) -> Option<Message> {
        let message = received(text);
        let left = self.hub.handle_message(self.now, conn(n), message);
        self.carry_out();
        left
    }

    /// Lets time pass, stopping at every deadline.
    pub fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some(at) = self.hub.poll_timeout()
            && at <= end
        {
            self.now = self.now.max(at);
            self.hub.handle_timeout(self.now);
            self.carry_out();
            assert!(
                self.hub.poll_timeout().is_none_or(|at| at > self.now),
                "a deadline is still due after handle_timeout"
            );
        }
        self.now = end;
    }

    pub fn carry_out(&mut self) {
        while let Some(output) = self.hub.poll_output() {
            match output {
                HubOutput::Deliver(delivery) => {
                    self.deliveries += 1;
                    let text = std::str::from_utf8(delivery.event.bytes()).unwrap();
                    for to in delivery.to {
                        self.got.entry(to).or_default().push(text.to_owned());
                    }
                }
                HubOutput::Close {
                    connection,
                    code,
                    reason,
                } => self.closed.push((connection, code, reason.to_string())),
                HubOutput::Reply { to, payload, .. } => {
                    self.replies
                        .push((to, Some(payload.to_value().unwrap().to_string())));
                }
                HubOutput::ReplyError { to, .. } => self.replies.push((to, None)),
                other => panic!("{other:?}"),
            }
        }
    }

    /// What a connection got since it was last asked.
    pub fn got(&mut self, n: u8) -> Vec<String> {
        self.got.remove(&conn(n)).unwrap_or_default()
    }

    /// What the hub told since it was last asked.
    pub fn told(&mut self) -> Vec<HubEvent> {
        std::iter::from_fn(|| self.hub.poll_event()).collect()
    }

    /// `+user` and `-user` for each `uidport-open` and `uidport-close` told.
    pub fn uidports(&mut self) -> Vec<String> {
        self.told()
            .into_iter()
            .filter_map(|event| match event {
                HubEvent::UidportOpen(user) => Some(format!("+{user}")),
                HubEvent::UidportClose(user) => Some(format!("-{user}")),
                _ => None,
            })
            .collect()
    }

    /// Who is connected by a transport.
    pub fn uids(&self, transport: TransportKind) -> Vec<String> {
        let uids = self.hub.connected_uids().by(transport);
        uids.iter().map(ToString::to_string).collect()
    }

    /// Who is connected at all.
    pub fn any(&self) -> Vec<String> {
        self.hub.users().map(ToString::to_string).collect()
    }
}

/// Two sente-lite clients, both subscribed to `"room"`, nothing of that left to read.
pub fn room() -> HubRig {
    let mut rig = HubRig::new();
    for n in 1..=2 {
        join_lite(&mut rig, n);
        rig.say(n, "[:sente-lite/subscribe {:channel-id \"room\"}]");
    }
    rig.got.clear();
    rig.told();
    rig
}

/// Lets a stock sente-lite client join.
pub fn join_lite(rig: &mut HubRig, n: u8) {
    let member = Member::new(Arc::new(Edn)).dialect(Dialect::SenteLite);
    rig.join(n, member);
}

/// A channel message as it is sent.
pub fn message(channel: &str, data: &str, from: u8) -> String {
    let from = conn(from);
    format!("[:sente-lite/channel-msg {{:channel-id {channel}, :data {data}, :from \"{from}\"}}]")
}

/// A message as it arrives: its payload packed.
pub fn received(text: &str) -> Message {
    let mut pair = open_pair();
    let sent: Event = Event::from_value(edn(text)).unwrap();
    pair.client.send(pair.now, sent).unwrap();
    pair.drive();
    one_message(&mut pair.server)
}

/// A call as it arrives.
pub fn called(text: &str) -> Message {
    let mut pair = open_pair();
    pair.client
        .call(pair.now, event(text), Duration::from_secs(9))
        .unwrap();
    pair.drive();
    one_message(&mut pair.server)
}

fn open_pair() -> Pair {
    Pair::open(Dialect::SenteLite, sente_core::Carrier::WebSocket)
}

fn one_message(connection: &mut Connection) -> Message {
    std::iter::from_fn(|| connection.poll_event())
        .find_map(|event| match event {
            ConnectionEvent::Message(message) => Some(message),
            _ => None,
        })
        .unwrap()
}

/// EDN by another name, which cannot express symbols: a packer of another format.
#[derive(Debug)]
pub struct Other;

impl sente_core::packer::Packer for Other {
    fn name(&self) -> &str {
        "other"
    }

    fn kind(&self) -> sente_core::framing::Kind {
        Edn.kind()
    }

    fn pack(
        &self,
        value: &sente_edn::Value,
        out: &mut Vec<u8>,
    ) -> Result<(), sente_core::packer::PackError> {
        let items = value.as_sequence().unwrap_or_default();
        if value.as_symbol().is_some() || items.iter().any(|item| item.as_symbol().is_some()) {
            return Err(sente_core::packer::PackError::new("other", "a symbol"));
        }
        Edn.pack(value, out)
    }

    fn unpack(
        &self,
        packed: &[u8],
        limits: &sente_core::Limits,
    ) -> Result<sente_edn::Value, sente_core::packer::UnpackError> {
        Edn.unpack(packed, limits)
    }

    fn walk(
        &self,
        packed: &[u8],
        limits: &sente_core::Limits,
        visit: &mut sente_core::packer::Visit<'_>,
    ) -> Result<(), sente_core::packer::UnpackError> {
        Edn.walk(packed, limits, visit)
    }

    fn entries(
        &self,
        packed: &[u8],
        limits: &sente_core::Limits,
        visit: &mut dyn FnMut(&str, sente_core::packer::Span),
    ) {
        Edn.entries(packed, limits, visit);
    }

    fn sequence(&self, len: usize) -> sente_core::packer::Tokens {
        Edn.sequence(len)
    }

    fn map(&self, len: usize) -> sente_core::packer::Tokens {
        Edn.map(len)
    }
}
