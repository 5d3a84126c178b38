//! Frames that are made as soon as their messages are queued say what those of a queue say: here the
//! same happens to a connection that makes them, and to one that is recorded and makes none ahead.
#![allow(missing_docs)]

mod deflate_support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use deflate_support::{agree, eager, takeover};
use proptest::prelude::*;
use sente_core::framing::websocket::DeflateConfig;
use sente_core::packer::{Edn, Json, MsgPack, Packer};
use sente_core::{
    Accept, CallId, Carrier, Connection, ConnectionConfig, ConnectionEvent, Dialect, Event,
    EventId, Input, Instant, Limits, PackedEvent, Payload, Policy, Priority, Rate, ReplyToken,
    Role, SendOptions, Ticket, TransmitBuf,
};
use sente_edn::Value;
use serde::ser::{Error, SerializeSeq};
use serde::{Serialize, Serializer};

#[derive(Clone, Debug)]
enum Op {
    Send(How, usize),
    SendPacked(How, usize),
    SendTyped(How, usize),
    /// It fails after so many elements.
    FailTyped(usize),
    Call(usize),
    CallTyped(usize),
    Cancel(usize),
    Flush,
    Reserve(usize),
    SendReserved(How, usize),
    Release,
    /// The peer calls; what it asks comes back, or a value in its place.
    Asked(usize),
    Answer(bool, usize),
    Refuse,
    Take,
    Written,
    Advance(u64),
    Hello,
    Handshake,
    Ping,
    Garbage,
    Eof,
    Drain,
    Close,
}

#[derive(Clone, Debug)]
struct How {
    policy: Policy,
    low: bool,
    flush: bool,
}

impl How {
    fn options(&self) -> SendOptions {
        let priority = if self.low {
            Priority::Low
        } else {
            Priority::Normal
        };
        SendOptions::new()
            .policy(self.policy.clone())
            .priority(priority)
            .flush(self.flush)
    }
}

fn how() -> impl Strategy<Value = How> {
    let policy = prop_oneof![
        8 => Just(Policy::Reject),
        1 => Just(Policy::DropOldest),
        1 => Just(Policy::Volatile),
        1 => (0..2_u8).prop_map(|key| Policy::Latest(key.to_string().into())),
    ];
    let (low, flush) = (prop::bool::weighted(0.1), prop::bool::weighted(0.1));
    (policy, low, flush).prop_map(|(policy, low, flush)| How { policy, low, flush })
}

fn len() -> impl Strategy<Value = usize> {
    prop_oneof![6 => 0..40_usize, 3 => 90..140_usize, 1 => 4_000..4_200_usize, 1 => 60_000..70_000_usize]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (how(), len()).prop_map(|(how, len)| Op::Send(how, len)),
        2 => (how(), len()).prop_map(|(how, len)| Op::SendPacked(how, len)),
        6 => (how(), len()).prop_map(|(how, len)| Op::SendTyped(how, len)),
        1 => (0..9_usize).prop_map(Op::FailTyped),
        2 => len().prop_map(Op::Call),
        2 => len().prop_map(Op::CallTyped),
        1 => (0..4_usize).prop_map(Op::Cancel),
        2 => Just(Op::Flush),
        1 => len().prop_map(Op::Reserve),
        1 => (how(), len()).prop_map(|(how, len)| Op::SendReserved(how, len)),
        1 => Just(Op::Release),
        4 => len().prop_map(Op::Asked),
        4 => (any::<bool>(), len()).prop_map(|(as_it_came, len)| Op::Answer(as_it_came, len)),
        1 => Just(Op::Refuse),
        4 => Just(Op::Take),
        4 => Just(Op::Written),
        2 => (0..40_u64).prop_map(Op::Advance),
    ]
}

/// Seldom, since it ends things or changes them for good.
fn late() -> impl Strategy<Value = Op> {
    prop::sample::select(vec![
        Op::Hello,
        Op::Handshake,
        Op::Ping,
        Op::Garbage,
        Op::Eof,
        Op::Drain,
        Op::Close,
    ])
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let (first, then) = (
        prop::collection::vec(op(), 0..40),
        prop::collection::vec(op(), 0..12),
    );
    let ends = prop::collection::vec((late(), prop::collection::vec(op(), 0..8)), 0..3);
    (first, then, ends).prop_map(|(mut all, then, ends)| {
        all.extend(then);
        for (late, after) in ends {
            all.push(late);
            all.extend(after);
        }
        all
    })
}

/// The links on which frames are made ahead, and one on which they are for replies alone.
const LINKS: [(Role, Dialect, Carrier); 8] = [
    (Role::Server, Dialect::SenteLite, Carrier::WebSocket),
    (Role::Server, Dialect::Sente, Carrier::WebSocket),
    (Role::Server, Dialect::SenteLite, Carrier::Lines),
    (Role::Client, Dialect::SenteLite, Carrier::Lines),
    (Role::Client, Dialect::Sente, Carrier::Lines),
    (Role::Server, Dialect::Sente, Carrier::Lines),
    (Role::Client, Dialect::Sente, Carrier::LengthPrefixed),
    (Role::Server, Dialect::SenteLite, Carrier::LengthPrefixed),
];

#[derive(Clone, Debug)]
struct Setup {
    link: (Role, Dialect, Carrier),
    packer: usize,
    window: Option<u64>,
    rate: bool,
    keeps: bool,
    /// What a WebSocket has agreed on.
    deflate: Option<DeflateConfig>,
    limits: Limits,
}

fn setup() -> impl Strategy<Value = Setup> {
    let limits = (
        prop_oneof![Just(20_usize), Just(1_000)],
        prop_oneof![Just(300_usize), Just(5_000), Just(1 << 20)],
        prop_oneof![Just(1_usize), 1..400_usize, Just(1 << 18)],
        prop_oneof![Just(150_usize), Just(1 << 20)],
        1..20_usize,
    );
    let link = prop::sample::select(LINKS.to_vec());
    let window = prop::option::weighted(0.3, 1..30_u64);
    let deflate = prop::sample::select(vec![None, None, Some(takeover()), Some(eager())]);
    let others = (prop::bool::weighted(0.1), any::<bool>(), deflate);
    (link, 0..3_usize, window, others, limits).prop_map(
        |(link, packer, window, (rate, keeps, deflate), low)| {
            let (messages, bytes, transmit, frame, batch) = low;
            let mut limits = Limits::default();
            limits.max_send_messages = messages;
            limits.max_send_bytes = bytes;
            limits.max_transmit_bytes = transmit;
            limits.max_frame_bytes = frame;
            limits.warn_frame_bytes = frame / 2;
            limits.max_batch_events = batch;
            limits.max_flushes = 3;
            Setup {
                link,
                packer,
                window,
                rate,
                keeps,
                deflate,
                limits,
            }
        },
    )
}

struct Run {
    role: Role,
    carrier: Carrier,
    packer: Arc<dyn Packer>,
    connection: Connection,
    now: Instant,
    tokens: Vec<ReplyToken>,
    calls: Vec<CallId>,
    tickets: Vec<Ticket>,
    asked: Vec<Payload>,
    told: Vec<String>,
}

/// Fails at its end.
struct Failing(usize);

impl Serialize for Failing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for n in 0..self.0 {
            list.serialize_element(&n)?;
        }
        Err(S::Error::custom("no more"))
    }
}

fn id() -> EventId {
    EventId::new("a/b").unwrap()
}

fn text(len: usize) -> String {
    "x".repeat(len)
}

fn event(len: usize) -> Event {
    Event::new(id(), Value::from(text(len)))
}

impl Run {
    fn new(setup: &Setup, is_recorded: bool) -> Self {
        let (role, dialect, carrier) = setup.link;
        let packers: [Arc<dyn Packer>; 3] = [
            Arc::new(Edn),
            Arc::new(Json::new()),
            Arc::new(MsgPack::new()),
        ];
        // What is not text cannot be told apart by lines.
        let packer = match (carrier, setup.packer) {
            (Carrier::Lines, 2) => 0,
            (_, other) => other,
        };
        let packer = packers[packer].clone();
        let mut builder = ConnectionConfig::builder(role, dialect, carrier)
            .packer(packer.clone())
            .limits(setup.limits.clone())
            .flush_window(setup.window.map(Duration::from_millis));
        if setup.rate {
            builder = builder.send_rate(Some(Rate::new(10, Duration::from_millis(20), 4)));
        }
        if setup.keeps {
            builder = builder.keep_dropped(200);
        }
        let config = builder.build().unwrap();
        let mut connection = if is_recorded {
            Connection::recorded(config, [1; 32], Instant::EPOCH, Box::new(Vec::new()))
        } else {
            Connection::new(config, [1; 32], Instant::EPOCH)
        };
        if let Some(deflate) = setup.deflate.as_ref()
            && carrier == Carrier::WebSocket
        {
            connection.set_deflate(agree(deflate, deflate).1);
        }
        let mut run = Self {
            role,
            carrier,
            packer,
            connection,
            now: Instant::EPOCH,
            tokens: Vec::new(),
            calls: Vec::new(),
            tickets: Vec::new(),
            asked: Vec::new(),
            told: Vec::new(),
        };
        if role == Role::Server {
            run.connection.accept(run.now, Accept::new("u"));
        } else {
            run.shakes_hands(dialect);
        }
        run
    }

    fn shakes_hands(&mut self, dialect: Dialect) {
        self.hear(match dialect {
            Dialect::Sente => "[[:chsk/handshake [\"u\" nil nil true]] nil]",
            Dialect::SenteLite => "[:chsk/handshake [\"u\" nil nil true]]",
        });
    }

    /// The peer says this.
    fn hear(&mut self, edn: &str) {
        let value: Value = sente_edn::from_str(edn).unwrap();
        let mut message = Vec::new();
        self.packer.pack(&value, &mut message).unwrap();
        let is_text = self.packer.kind() == Edn.kind();
        let mut bytes = BytesMut::new();
        match self.carrier {
            Carrier::Lines => {}
            Carrier::WebSocket => {
                bytes.extend_from_slice(&[if is_text { 0x81 } else { 0x82 }]);
                match (u8::try_from(message.len()), u16::try_from(message.len())) {
                    (Ok(short), _) if short < 126 => bytes.extend_from_slice(&[0x80 | short]),
                    (_, Ok(long)) => {
                        bytes.extend_from_slice(&[0xfe]);
                        bytes.extend_from_slice(&long.to_be_bytes());
                    }
                    _ => {
                        bytes.extend_from_slice(&[0xff]);
                        let len = u64::try_from(message.len()).unwrap();
                        bytes.extend_from_slice(&len.to_be_bytes());
                    }
                }
                bytes.extend_from_slice(&[0; 4]);
            }
            _ => {
                bytes.extend_from_slice(&[u8::from(!is_text)]);
                bytes.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
            }
        }
        bytes.extend_from_slice(&message);
        if self.carrier == Carrier::Lines {
            bytes.extend_from_slice(b"\n");
        }
        self.connection
            .handle_input(self.now, Input::Bytes(&mut bytes));
    }

    fn note(&mut self, what: impl std::fmt::Debug) {
        self.told.push(format!("{what:?}"));
    }

    fn take_events(&mut self) {
        while let Some(event) = self.connection.poll_event() {
            match event {
                ConnectionEvent::Message(message) => {
                    self.note((&message.event.id, message.reply.is_some()));
                    self.tokens.extend(message.reply);
                    self.asked.extend(message.event.data);
                }
                ConnectionEvent::Granted(ticket) => {
                    self.tickets.push(ticket);
                    self.note(ConnectionEvent::Granted(ticket));
                }
                ConnectionEvent::Undelivered(events) => {
                    let bytes: Vec<_> = events.iter().map(|event| event.bytes().clone()).collect();
                    self.note(bytes);
                }
                other => self.note(other),
            }
        }
    }

    fn take(&mut self) {
        let mut out = TransmitBuf::new();
        let transmit = self.connection.poll_transmit(&mut out);
        let mut written = vec![0; out.remaining()];
        out.copy_to_slice(&mut written);
        self.note((transmit, Bytes::from(written)));
    }

    fn act(&mut self, op: &Op) {
        let now = self.now;
        let connection = &mut self.connection;
        let within = Duration::from_millis(100);
        match op {
            Op::Send(how, len) => {
                let sent = connection.send_with(now, event(*len), how.options());
                self.note(sent);
            }
            Op::SendPacked(how, len) => {
                let packed = PackedEvent::pack(&event(*len), &*self.packer).unwrap();
                let sent = connection.send_packed_with(now, &packed, how.options());
                self.note(sent);
            }
            Op::SendTyped(how, len) => {
                let sent = connection.send_typed_with(now, &id(), &text(*len), &how.options());
                self.note(sent);
            }
            Op::FailTyped(count) => {
                let sent = connection.send_typed(now, &id(), &Failing(*count));
                self.note(sent);
            }
            Op::Call(len) => {
                let call = connection.call(now, event(*len), within);
                self.calls.extend(call.as_ref().ok());
                self.note(call);
            }
            Op::CallTyped(len) => {
                let call = connection.call_typed(now, &id(), &text(*len), within);
                self.calls.extend(call.as_ref().ok());
                self.note(call);
            }
            Op::Cancel(which) => {
                if let Some(call) = self.calls.get(*which) {
                    let cancelled = connection.cancel(*call);
                    self.note(cancelled);
                }
            }
            Op::Flush => {
                let flush = connection.flush(now);
                self.note(flush);
            }
            Op::Reserve(bytes) => {
                let ticket = connection.reserve(now, *bytes, None);
                self.note(ticket);
            }
            Op::SendReserved(how, len) => {
                if let Some(ticket) = self.tickets.pop() {
                    let sent =
                        connection.send_reserved_with(now, ticket, event(*len), how.options());
                    self.note(sent);
                }
            }
            Op::Release => {
                if let Some(ticket) = self.tickets.pop() {
                    let released = connection.release(now, ticket);
                    self.note(released);
                }
            }
            Op::Asked(len) => {
                let text = text((*len).min(100));
                self.hear(&format!("[[:a/ask \"{text}\"] \"012345\"]"));
            }
            Op::Answer(as_it_came, len) => {
                if let Some(token) = self.tokens.pop() {
                    let payload = match self.asked.pop() {
                        Some(payload) if *as_it_came => payload,
                        _ => Payload::from(Value::from(text(*len))),
                    };
                    let answered = connection.reply(now, token, payload);
                    self.note(answered.is_ok());
                }
            }
            Op::Refuse => {
                if let Some(token) = self.tokens.pop() {
                    let answered = connection.reply_error(now, token);
                    self.note(answered.is_ok());
                }
            }
            Op::Take => self.take(),
            Op::Written => connection.handle_transmitted(now),
            Op::Advance(millis) => {
                self.now = now + Duration::from_millis(*millis);
                connection.handle_timeout(self.now);
            }
            Op::Hello => self.hear("[:sente-lite/hello {:dialect \"sente\" :batch true}]"),
            Op::Handshake if self.role == Role::Client => self.shakes_hands(Dialect::Sente),
            Op::Handshake => {}
            Op::Ping => self.hear("[:chsk/ws-ping]"),
            Op::Garbage => self.hear("{:a 1}"),
            Op::Eof => connection.handle_input(now, Input::Eof),
            Op::Drain => connection.drain(now, now + Duration::from_millis(50)),
            Op::Close => connection.close(now),
        }
        self.take_events();
        let told = (
            self.connection.stats(),
            self.connection.state(),
            self.connection.send_capacity(),
            self.connection.poll_timeout(),
            self.connection.wants_read(),
        );
        self.note(told);
    }

    fn end(&mut self) {
        for _ in 0..200 {
            self.act(&Op::Take);
            self.act(&Op::Written);
        }
        self.act(&Op::Close);
        self.act(&Op::Take);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn frames_made_ahead_change_nothing_of_what_is_written_and_told(
        setup in setup(),
        ops in ops(),
    ) {
        let mut runs = [false, true].map(|is_recorded| Run::new(&setup, is_recorded));
        for op in &ops {
            for run in &mut runs {
                run.act(op);
            }
            let [ahead, queued] = &mut runs;
            prop_assert_eq!(&ahead.told, &queued.told, "after {:?}", op);
            ahead.told.clear();
            queued.told.clear();
        }
        let [mut ahead, mut queued] = runs;
        ahead.end();
        queued.end();
        prop_assert_eq!(ahead.told, queued.told);
    }
}

/// Panics after some elements.
struct Panicking;

impl Serialize for Panicking {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        list.serialize_element("half of it")?;
        panic!("in the middle of it")
    }
}

#[test]
fn a_buffer_that_a_value_panics_behind_keeps_what_it_held() {
    let mut text = b"[:tick ".to_vec();
    let appended = catch_unwind(AssertUnwindSafe(|| {
        sente_edn::serde::append(&Panicking, &mut text)
    }));
    assert!(appended.is_err() && text.starts_with(b"[:tick "));
}

#[test]
fn what_panics_while_it_is_packed_leaves_nothing_in_what_is_written() {
    for link in LINKS {
        let setup = Setup {
            link,
            packer: 0,
            window: None,
            rate: false,
            keeps: false,
            deflate: None,
            limits: Limits::default(),
        };
        let runs = [false, true].map(|panics| {
            let mut run = Run::new(&setup, false);
            let plainly = How {
                policy: Policy::Reject,
                low: false,
                flush: false,
            };
            for n in 0..3 {
                if panics {
                    let connection = &mut run.connection;
                    let sent = catch_unwind(AssertUnwindSafe(|| {
                        connection.send_typed(Instant::EPOCH, &id(), &Panicking)
                    }));
                    assert!(sent.is_err());
                }
                run.act(&Op::SendTyped(plainly.clone(), n));
                run.act(&Op::Send(plainly.clone(), n));
            }
            if panics {
                let connection = &mut run.connection;
                let low = SendOptions::new().priority(Priority::Low);
                let sent = catch_unwind(AssertUnwindSafe(|| {
                    connection.send_typed_with(Instant::EPOCH, &id(), &Panicking, &low)
                }));
                assert!(sent.is_err());
            }
            run.act(&Op::Take);
            run.act(&Op::Written);
            run.told
        });
        let [without, with] = runs;
        for (without, with) in without.iter().zip(&with) {
            assert_eq!(without, with, "{link:?}");
        }
        assert_eq!(without.len(), with.len());
    }
}
