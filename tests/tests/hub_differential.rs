//! What a hub tells many is what each would have been sent alone: the same happens to connections that
//! its deliveries are passed on to, and to others to whom each event is sent by itself, packed anew.
#![allow(missing_docs)]

mod deflate_support;
mod hub_support;

use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use deflate_support::{agree, eager, takeover};
use hub_support::conn;
use proptest::prelude::*;
use sente_core::packer::{Edn, Gzip, Json, MsgPack, Packer};
use sente_core::{
    Accept, Carrier, ChannelOptions, Connection, ConnectionConfig, ConnectionEvent, Dialect, Event,
    EventId, Hub, HubConfig, HubOutput, Inbox, InboxLimits, Instant, Limits, Member, PackedEvent,
    Policy, Priority, Rate, Role, SendOptions, State, Target, TransmitBuf,
};
use sente_edn::Value;

/// Which connection.
type Who = u8;

#[derive(Clone, Debug)]
enum Op {
    /// To all, in a channel, or to one.
    FanOut(To, Options, usize),
    /// To one, past the hub.
    Send(Who, usize),
    Subscribe(Who),
    Unsubscribe(Who),
    /// Who does not is slow.
    Take(Who),
    Written(Who),
    Advance(u64),
    Drain(Who),
    Close(Who),
    Leave(Who),
}

#[derive(Clone, Debug)]
enum To {
    All,
    Channel,
    One(Who),
}

type Options = (Policy, bool, bool);

fn op() -> impl Strategy<Value = Op> {
    let who = || 0..6_u8;
    let to = prop_oneof![
        4 => Just(To::All),
        4 => Just(To::Channel),
        1 => who().prop_map(To::One),
    ];
    let policy = prop_oneof![
        8 => Just(Policy::Reject),
        1 => Just(Policy::DropOldest),
        1 => Just(Policy::Volatile),
        1 => (0..2_u8).prop_map(|key| Policy::Latest(key.to_string().into())),
    ];
    let options = (policy, prop::bool::weighted(0.1), prop::bool::weighted(0.1));
    let len = || prop_oneof![6 => 0..40_usize, 3 => 90..140_usize, 1 => 4_000..4_200_usize];
    prop_oneof![
        12 => (to, options, len()).prop_map(|(to, options, len)| Op::FanOut(to, options, len)),
        3 => (who(), len()).prop_map(|(who, len)| Op::Send(who, len)),
        2 => who().prop_map(Op::Subscribe),
        1 => who().prop_map(Op::Unsubscribe),
        6 => who().prop_map(Op::Take),
        6 => who().prop_map(Op::Written),
        2 => (0..40_u64).prop_map(Op::Advance),
        1 => who().prop_map(Op::Drain),
        1 => who().prop_map(Op::Close),
        1 => who().prop_map(Op::Leave),
    ]
}

#[derive(Clone, Debug)]
struct Setup {
    link: (Dialect, Carrier),
    packer: usize,
    /// Whether a WebSocket compresses, and refers to what was before.
    deflate: Option<bool>,
    window: Option<u64>,
    rate: bool,
    limits: Limits,
    inbox: InboxLimits,
}

const LINKS: [(Dialect, Carrier); 5] = [
    (Dialect::Sente, Carrier::WebSocket),
    (Dialect::SenteLite, Carrier::WebSocket),
    (Dialect::Sente, Carrier::Lines),
    (Dialect::SenteLite, Carrier::Lines),
    (Dialect::Sente, Carrier::LengthPrefixed),
];

fn setup() -> impl Strategy<Value = Setup> {
    let limits = (
        prop_oneof![Just(3_usize), Just(20), Just(1_000)],
        prop_oneof![Just(300_usize), Just(1 << 20)],
        prop_oneof![Just(1_usize), 1..400_usize, Just(1 << 18)],
        1..20_usize,
        prop_oneof![Just(4_usize), Just(1_000)],
    );
    let link = prop::sample::select(LINKS.to_vec());
    let deflate = prop::option::weighted(0.4, any::<bool>());
    let window = prop::option::weighted(0.2, 1..30_u64);
    let rate = prop::bool::weighted(0.2);
    (link, 0..4_usize, deflate, window, rate, limits).prop_map(
        |(link, packer, deflate, window, rate, (messages, bytes, transmit, batch, kept))| {
            let mut limits = Limits::default();
            limits.max_send_messages = messages;
            limits.max_send_bytes = bytes;
            limits.max_transmit_bytes = transmit;
            limits.max_batch_events = batch;
            let mut inbox = InboxLimits::default();
            inbox.max_messages = kept;
            Setup {
                link,
                packer,
                deflate,
                window,
                rate,
                limits,
                inbox,
            }
        },
    )
}

/// A connection and what waits for it.
struct End {
    connection: Connection,
    inbox: Inbox,
    /// What waits for its time in the inbox.
    retry_at: Option<Instant>,
}

impl End {
    fn new(setup: &Setup, packer: &Arc<dyn Packer>) -> Self {
        let (dialect, carrier) = setup.link;
        let config = ConnectionConfig::builder(Role::Server, dialect, carrier)
            .packer(packer.clone())
            .limits(setup.limits.clone())
            .flush_window(setup.window.map(Duration::from_millis))
            .send_rate(
                setup
                    .rate
                    .then(|| Rate::new(10, Duration::from_millis(20), 4)),
            )
            .build()
            .unwrap();
        let mut connection = Connection::new(config, [1; 32], Instant::EPOCH);
        if let Some(takes_over) = setup.deflate
            && carrier == Carrier::WebSocket
        {
            let deflate = if takes_over { takeover() } else { eager() };
            connection.set_deflate(agree(&deflate, &deflate).1);
        }
        connection.accept(Instant::EPOCH, Accept::new("u"));
        Self {
            connection,
            inbox: Inbox::new(setup.inbox.clone()),
            retry_at: None,
        }
    }

    fn move_on(&mut self, now: Instant) {
        self.retry_at = self.inbox.deliver_to(now, &mut self.connection);
    }

    /// What is written next.
    fn take(&mut self, now: Instant) -> Vec<u8> {
        self.move_on(now);
        let mut out = TransmitBuf::new();
        let _ = self.connection.poll_transmit(&mut out);
        let mut bytes = vec![0; out.remaining()];
        out.copy_to_slice(&mut bytes);
        bytes
    }

    fn written(&mut self, now: Instant) {
        self.connection.handle_transmitted(now);
        self.move_on(now);
    }

    /// All that can be known of it.
    fn told(&mut self) -> String {
        let mut told = Vec::new();
        while let Some(event) = self.connection.poll_event() {
            told.push(match event {
                ConnectionEvent::Undelivered(events) => {
                    let bytes: Vec<_> = events.iter().map(|event| event.bytes().clone()).collect();
                    format!("{bytes:?}")
                }
                other => format!("{other:?}"),
            });
        }
        let connection = &self.connection;
        told.push(format!(
            "{:?}",
            (
                connection.stats(),
                connection.state(),
                connection.send_capacity(),
                connection.poll_timeout(),
                (self.inbox.len(), self.inbox.bytes(), self.inbox.lost()),
                self.retry_at,
            )
        ));
        told.join("\n")
    }
}

/// One of those who are told, twice.
struct Listener {
    packer: Arc<dyn Packer>,
    /// By the hub.
    among_others: End,
    /// By itself.
    alone: End,
    /// Whether the hub knows it.
    is_here: bool,
}

impl Listener {
    fn new(setup: &Setup) -> Self {
        let packers: [Arc<dyn Packer>; 4] = [
            Arc::new(Edn),
            Arc::new(Json::new()),
            Arc::new(MsgPack::new()),
            Arc::new(Gzip::new(Edn)),
        ];
        // What is not text cannot be told apart by lines.
        let is_text = setup.link.1 != Carrier::Lines || setup.packer < 2;
        let packer = packers[if is_text { setup.packer } else { 0 }].clone();
        Self {
            among_others: End::new(setup, &packer),
            alone: End::new(setup, &packer),
            packer,
            is_here: true,
        }
    }

    fn is_open(&self) -> bool {
        self.among_others.connection.state() == State::Open
    }

    fn both(&mut self, mut act: impl FnMut(&mut End)) {
        act(&mut self.among_others);
        act(&mut self.alone);
    }

    fn packed(&self, event: &Event) -> PackedEvent {
        PackedEvent::pack(event, &*self.packer).unwrap()
    }
}

fn event(number: usize, len: usize) -> Event {
    let data = Value::from(format!("{number} {}", "x".repeat(len)));
    Event::new(EventId::new("n/w").unwrap(), data)
}

fn options((policy, low, flush): &Options) -> SendOptions {
    let priority = if *low {
        Priority::Low
    } else {
        Priority::Normal
    };
    SendOptions::new()
        .policy(policy.clone())
        .priority(priority)
        .flush(*flush)
}

struct World {
    hub: Hub,
    now: Instant,
    channel: Value,
    listeners: Vec<Listener>,
    count: usize,
}

impl World {
    fn new(setups: &[Setup]) -> Self {
        let mut hub = Hub::new(HubConfig::default(), [7; 32]);
        let (now, channel) = (Instant::EPOCH, Value::from("everybody"));
        hub.create_channel(now, &channel, ChannelOptions::default())
            .unwrap();
        let listeners: Vec<_> = setups.iter().map(Listener::new).collect();
        for (n, (listener, setup)) in (0..).zip(listeners.iter().zip(setups)) {
            let member = Member::new(listener.packer.clone()).dialect(setup.link.0);
            hub.join(now, conn(n), member.user(format!("user-{n}")))
                .unwrap();
            hub.subscribe(now, conn(n), &channel).unwrap();
        }
        let mut world = Self {
            hub,
            now,
            channel,
            listeners,
            count: 0,
        };
        world.carry_out();
        world
    }

    /// Does with what the hub delivers what a server does.
    fn carry_out(&mut self) {
        let now = self.now;
        while let Some(output) = self.hub.poll_output() {
            let HubOutput::Deliver(delivery) = output else {
                continue;
            };
            for (n, listener) in (0..).zip(&mut self.listeners) {
                if !delivery.to.contains(&conn(n)) {
                    continue;
                }
                let End {
                    connection, inbox, ..
                } = &mut listener.among_others;
                if !inbox.is_empty() || !Inbox::pass_on(&delivery, now, connection) {
                    let _ = inbox.push_delivery(now, &delivery);
                    listener.among_others.move_on(now);
                }
            }
        }
    }

    fn fan_out(&mut self, to: &To, how: &Options, len: usize) {
        let target = match to {
            To::All => Target::All,
            To::Channel => Target::Channel(self.channel.clone()),
            To::One(who) => Target::Connection(conn(*who)),
        };
        let (now, how) = (self.now, options(how));
        let event = event(self.count, len);
        self.count += 1;
        let meant = self.hub.resolve(&target);
        let fanout = self.hub.fan_out_with(now, &target, &event, &how).unwrap();
        assert_eq!(fanout.connections, meant.len());
        self.carry_out();
        for (n, listener) in (0..).zip(&mut self.listeners) {
            if meant.contains(&conn(n)) {
                let packed = listener.packed(&event);
                let _ = listener.alone.inbox.push(now, packed, &how);
                listener.alone.move_on(now);
            }
        }
    }

    fn act(&mut self, op: &Op) -> Result<(), TestCaseError> {
        let now = self.now;
        match op {
            Op::FanOut(to, how, len) => self.fan_out(to, how, *len),
            Op::Subscribe(who) => {
                // Who is not here cannot.
                let _ = self.hub.subscribe(now, conn(*who), &self.channel);
                self.carry_out();
            }
            Op::Unsubscribe(who) => {
                let _ = self.hub.unsubscribe(now, conn(*who), &self.channel);
                self.carry_out();
            }
            Op::Advance(millis) => {
                self.now = now + Duration::from_millis(*millis);
                let now = self.now;
                self.hub.handle_timeout(now);
                self.carry_out();
                for listener in &mut self.listeners {
                    listener.both(|end| {
                        end.connection.handle_timeout(now);
                        end.move_on(now);
                    });
                }
            }
            Op::Leave(who) => {
                if let Some(listener) = self.listeners.get_mut(usize::from(*who))
                    && std::mem::replace(&mut listener.is_here, false)
                {
                    self.hub.leave_at_once(now, conn(*who));
                    self.carry_out();
                }
            }
            Op::Send(who, len) => {
                let event = event(self.count, *len);
                self.count += 1;
                if let Some(listener) = self.listeners.get_mut(usize::from(*who)) {
                    let packed = listener.packed(&event);
                    listener.both(|end| {
                        // It may be refused.
                        let _ = end.connection.send_packed(now, &packed);
                    });
                }
            }
            Op::Take(who) => {
                if let Some(listener) = self.listeners.get_mut(usize::from(*who)) {
                    let bytes = listener.among_others.take(now);
                    prop_assert_eq!(bytes, listener.alone.take(now));
                }
            }
            Op::Written(who) => self.both(*who, |end| end.written(now)),
            Op::Drain(who) => self.both(*who, |end| {
                end.connection.drain(now, now + Duration::from_millis(50));
            }),
            Op::Close(who) => self.both(*who, |end| end.connection.close(now)),
        }
        for listener in &mut self.listeners {
            let told = listener.among_others.told();
            prop_assert_eq!(told, listener.alone.told(), "after {:?}", op);
        }
        Ok(())
    }

    /// Those who were slow read all there is.
    fn end(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..60 {
            self.act(&Op::Advance(5))?;
            for listener in &mut self.listeners {
                loop {
                    listener.both(|end| end.written(self.now));
                    let bytes = listener.among_others.take(self.now);
                    prop_assert_eq!(&bytes, &listener.alone.take(self.now));
                    if bytes.is_empty() {
                        break;
                    }
                }
            }
        }
        for listener in &self.listeners {
            prop_assert!(listener.among_others.inbox.is_empty() || !listener.is_open());
        }
        Ok(())
    }

    fn both(&mut self, who: Who, act: impl FnMut(&mut End)) {
        if let Some(listener) = self.listeners.get_mut(usize::from(who)) {
            listener.both(act);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_a_hub_tells_many_is_what_each_would_have_been_sent_alone(
        setups in prop::collection::vec(setup(), 1..7),
        is_alike in any::<bool>(),
        ops in prop::collection::vec(op(), 1..80),
    ) {
        let mut setups = setups;
        if is_alike {
            // So that they share their frames.
            let first = setups[0].clone();
            for setup in &mut setups {
                (setup.link, setup.packer) = (first.link, first.packer);
            }
        }
        let mut world = World::new(&setups);
        for op in &ops {
            world.act(op)?;
        }
        world.end()?;
    }
}
