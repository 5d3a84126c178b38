//! The pieces of the engine's work that every message pays for, beside `serde_json` doing the least
//! that its format needs. The message is an event of 100 bytes, the same data in EDN and in JSON.

use std::hint::black_box;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use sente_core::packer::Edn;
use sente_core::{
    Accept, Carrier, Connection, ConnectionConfig, ConnectionEvent, Dialect, Event, EventId, Input,
    Instant, Limits, PackedEvent, Pattern, Registry, Role, TransmitBuf,
};
use serde::Serialize;
use serde_json::value::RawValue;

const NOW: Instant = Instant::EPOCH;

const EDN: &str = "[:chat/message {:room :lobby, :from \"alice\", :text \"see you at the station at six\", :n 42, :ok true}]";
const JSON: &str = "[\"chat/message\",{\"room\":\"lobby\",\"from\":\"alice\",\"text\":\"see you at the station at six\",\"n\":42,\"ok\":true}]";

/// How many events are handed over at once where that alone is measured.
pub const EVENTS: u64 = 500;

/// The same about a list of eight rows and a text: an event of 1 KB.
fn larger() -> (String, String) {
    let text = "the quick brown fox jumps over the lazy dog and runs away ".repeat(7);
    let (mut edn, mut json) = (String::new(), String::new());
    for n in 0..8 {
        let (open, price) = (n % 3 == 0, n * 5);
        edn += &format!(
            "{{:id 100{n}, :name \"item-{n}\", :qty {n}, :price {price}.5, :open {open}}} "
        );
        json += &format!(
            "{{\"id\":100{n},\"name\":\"item-{n}\",\"qty\":{n},\"price\":{price}.5,\"open\":{open}}},"
        );
    }
    let (edn, json) = (edn.trim_end(), json.trim_end_matches(','));
    (
        format!("[:chat/message {{:ts 1734300000123, :items [{edn}], :text \"{text}\"}}]"),
        format!(
            "[\"chat/message\",{{\"ts\":1734300000123,\"items\":[{json}],\"text\":\"{text}\"}}]"
        ),
    )
}

/// The data of the event, as a program holds it.
#[derive(Clone, Serialize)]
pub(crate) struct Say {
    room: &'static str,
    from: &'static str,
    text: &'static str,
    n: u32,
    ok: bool,
}

pub(crate) const SAY: Say = Say {
    room: "lobby",
    from: "alice",
    text: "see you at the station at six",
    n: 42,
    ok: true,
};

/// The case of what the transport does before a frame is there.
const FILLED: &str = "floor: the driver's buffer filled";

/// One operation, to be repeated.
pub type Operation = Box<dyn FnMut()>;

/// A piece of work.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the benchmarks' own")]
pub struct Case {
    /// The work and who does it.
    pub name: &'static str,
    /// How many events an operation is about.
    pub events: u64,
    /// Makes ready for it.
    pub prepare: fn() -> Operation,
}

/// All of them. Of the engine's first, then the floors.
pub const CASES: &[Case] = &[
    Case::new("frame-in/lines", || frame_in(Carrier::Lines, EDN)),
    Case::new("frame-in/lines, 1 KB", || {
        frame_in(Carrier::Lines, &larger().0)
    }),
    Case::new("frame-in/websocket", || frame_in(Carrier::WebSocket, EDN)),
    Case {
        events: EVENTS,
        ..Case::new("frame-in/websocket, many at once", || {
            frames_in(Carrier::WebSocket)
        })
    },
    Case::new("call-in/lines", call_in),
    Case::new("event-out/lines", || event_out(Carrier::Lines)),
    Case::new("event-out/websocket", || event_out(Carrier::WebSocket)),
    Case {
        events: EVENTS,
        ..Case::new("event-out/lines, many at once", events_out)
    },
    Case {
        events: EVENTS,
        ..Case::new("enqueue", enqueue)
    },
    Case::new("call", call),
    Case::new("echo", echo),
    Case {
        events: EVENTS,
        ..Case::new("echo/websocket, many at once", echoes)
    },
    Case::new(FILLED, fill),
    Case::new("floor: frame-in, serde_json", || frame_in_json(JSON)),
    Case::new("floor: frame-in, serde_json, 1 KB", || {
        frame_in_json(&larger().1)
    }),
    Case::new("floor: event-out, serde_json", event_out_json),
];

impl Case {
    const fn new(name: &'static str, prepare: fn() -> Operation) -> Self {
        Self {
            name,
            events: 1,
            prepare,
        }
    }
}

/// What a piece of work is held to: so much of what its floor takes, or so many instructions.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the benchmarks' own")]
pub struct Goal {
    /// The work, in words.
    pub label: &'static str,
    /// The case.
    pub case: &'static str,
    /// What is taken off it.
    pub less: &'static [&'static str],
    /// What it is compared with; nothing for a number of instructions.
    pub floor: Option<&'static str>,
    /// What must be reached.
    pub must: f64,
    /// What would be good.
    pub stretch: f64,
}

/// All of them.
pub const GOALS: &[Goal] = &[
    Goal {
        label: "frame in to routed event, data lazy, against serde_json `(&str, &RawValue)`",
        case: "frame-in/lines",
        less: &[FILLED],
        floor: Some("floor: frame-in, serde_json"),
        must: 1.3,
        stretch: 0.8,
    },
    Goal {
        label: "the same on a WebSocket, where it is unmasked and checked as UTF-8, too",
        case: "frame-in/websocket",
        less: &[FILLED],
        floor: Some("floor: frame-in, serde_json"),
        must: 1.3,
        stretch: 0.8,
    },
    Goal {
        label: "typed event out to framed bytes, many at once, against serde_json `to_writer`",
        case: "event-out/lines, many at once",
        less: &[],
        floor: Some("floor: event-out, serde_json"),
        must: 1.2,
        stretch: 0.9,
    },
    Goal {
        label: "the same, one at a time: with all that a transmit costs",
        case: "event-out/lines",
        less: &[],
        floor: Some("floor: event-out, serde_json"),
        must: 1.2,
        stretch: 0.9,
    },
    Goal {
        label: "call beyond an event out and a frame in: register, match, settle",
        case: "call",
        less: &["event-out/lines", "frame-in/lines"],
        floor: None,
        must: 1200.0,
        stretch: 600.0,
    },
    Goal {
        label: "enqueue an event that is packed",
        case: "enqueue",
        less: &[],
        floor: None,
        must: 250.0,
        stretch: 120.0,
    },
];

/// What the transport does, and no engine.
fn fill() -> Operation {
    let mut arriving = Arriving::new(framed(Carrier::Lines, EDN));
    Box::new(move || {
        arriving.fill();
        black_box(&arriving.buffer);
    })
}

/// A driver's buffer that `frame` arrives in.
struct Arriving {
    buffer: BytesMut,
    frame: Vec<u8>,
}

impl Arriving {
    fn new(frame: Vec<u8>) -> Self {
        Self {
            buffer: BytesMut::with_capacity(1 << 16),
            frame,
        }
    }

    fn fill(&mut self) {
        self.buffer.clear();
        self.buffer.reserve(self.frame.len().max(1 << 12));
        self.buffer.extend_from_slice(&self.frame);
    }

    fn arrive(&mut self, connection: &mut Connection) {
        self.fill();
        connection.handle_input(NOW, Input::Bytes(&mut self.buffer));
    }
}

fn frame_in(carrier: Carrier, message: &str) -> Operation {
    let mut connection = server(carrier);
    let mut registry: Registry<u32> = Registry::new();
    registry.on(Pattern::Id(id()), 1);
    let mut arriving = Arriving::new(framed(carrier, message));
    Box::new(move || {
        arriving.arrive(&mut connection);
        let Some(ConnectionEvent::Message(message)) = connection.poll_event() else {
            panic!("no message")
        };
        let mut seen = 0;
        registry.dispatch(&message.event, |_, handler| seen += *handler);
        assert_eq!(seen, 1);
        black_box(message);
    })
}

/// As many frames as one read may bring.
fn frames_in(carrier: Carrier) -> Operation {
    let mut connection = server(carrier);
    let mut registry: Registry<u32> = Registry::new();
    registry.on(Pattern::Id(id()), 1);
    let mut arriving = Arriving::new(many(framed(carrier, EDN)));
    Box::new(move || {
        arriving.arrive(&mut connection);
        let mut seen = 0;
        while let Some(event) = connection.poll_event() {
            if let ConnectionEvent::Message(message) = event {
                registry.dispatch(&message.event, |_, handler| seen += u64::from(*handler));
                black_box(message);
            }
        }
        assert_eq!(seen, EVENTS);
    })
}

fn frame_in_json(message: &str) -> Operation {
    let message = message.as_bytes().to_vec();
    Box::new(move || {
        let (id, data): (&str, &RawValue) =
            serde_json::from_slice(black_box(&message)).expect("reads");
        black_box((id, data));
    })
}

/// Takes a call, and does not answer it.
fn call_in() -> Operation {
    let mut connection = server(Carrier::Lines);
    let frame = format!("[{EDN} \"4c2ab8\"]");
    let mut arriving = Arriving::new(framed(Carrier::Lines, &frame));
    Box::new(move || {
        arriving.arrive(&mut connection);
        let Some(ConnectionEvent::Message(message)) = connection.poll_event() else {
            panic!("no message")
        };
        connection.forget(message.reply.expect("it is a call"));
        black_box(message.event);
    })
}

/// Takes a call and answers it with its own data.
fn echo() -> Operation {
    let mut connection = server(Carrier::Lines);
    let frame = format!("[{EDN} \"4c2ab8\"]");
    let mut arriving = Arriving::new(framed(Carrier::Lines, &frame));
    let mut out = TransmitBuf::new();
    Box::new(move || {
        arriving.arrive(&mut connection);
        let Some(ConnectionEvent::Message(message)) = connection.poll_event() else {
            panic!("no message")
        };
        let (token, data) = (message.reply.expect("a call"), message.event.data);
        connection
            .reply(NOW, token, data.expect("it has data"))
            .expect("the caller waits");
        flush(&mut connection, &mut out);
    })
}

/// The same with as many calls as one read may bring.
fn echoes() -> Operation {
    let mut connection = server(Carrier::WebSocket);
    let frame = format!("[{EDN} \"4c2ab8\"]");
    let mut arriving = Arriving::new(many(framed(Carrier::WebSocket, &frame)));
    let mut out = TransmitBuf::new();
    Box::new(move || {
        arriving.arrive(&mut connection);
        while let Some(event) = connection.poll_event() {
            let ConnectionEvent::Message(message) = event else {
                continue;
            };
            let (token, data) = (message.reply.expect("a call"), message.event.data);
            connection
                .reply(NOW, token, data.expect("it has data"))
                .expect("the caller waits");
        }
        flush(&mut connection, &mut out);
    })
}

fn event_out(carrier: Carrier) -> Operation {
    let mut connection = server(carrier);
    let mut out = TransmitBuf::new();
    let id = id();
    Box::new(move || {
        send(&mut connection, &id);
        flush(&mut connection, &mut out);
    })
}

fn events_out() -> Operation {
    let mut connection = server(Carrier::Lines);
    let mut out = TransmitBuf::new();
    let id = id();
    Box::new(move || {
        for _ in 0..EVENTS {
            send(&mut connection, &id);
        }
        flush(&mut connection, &mut out);
    })
}

fn send(connection: &mut Connection, id: &EventId) {
    connection
        .send_typed(NOW, id, black_box(&SAY))
        .expect("there is room");
}

fn event_out_json() -> Operation {
    let mut out = Vec::with_capacity(1 << 12);
    Box::new(move || {
        out.clear();
        serde_json::to_writer(&mut out, &("chat/message", black_box(&SAY))).expect("writes");
        black_box(&out);
    })
}

/// Nothing is written; there is room for all that are handed over.
fn enqueue() -> Operation {
    let mut limits = Limits::default();
    limits.max_send_messages = usize::MAX;
    limits.max_send_bytes = usize::MAX;
    let mut connection = open(Role::Client, Carrier::Lines, limits);
    let packed = PackedEvent::pack(&event(), &Edn).expect("packs");
    let mut out = TransmitBuf::new();
    // The queue has its size.
    for _ in 0..(1 << 15) {
        connection.send_packed(NOW, &packed).expect("room");
    }
    flush(&mut connection, &mut out);
    Box::new(move || {
        for _ in 0..EVENTS {
            connection.send_packed(NOW, &packed).expect("room");
        }
    })
}

fn call() -> Operation {
    let mut connection = open(Role::Client, Carrier::Lines, Limits::default());
    let mut out = TransmitBuf::new();
    let mut chunk = BytesMut::with_capacity(1 << 16);
    let id = id();
    let data = &EDN["[:chat/message ".len()..EDN.len() - 1];
    Box::new(move || {
        let call = connection.call_typed(NOW, &id, black_box(&SAY), Duration::from_secs(5));
        black_box(call.expect("room"));
        // The peer answers in place, so that what is counted is this side's.
        chunk.clear();
        chunk.reserve(1 << 12);
        chunk.extend_from_slice(b"[:chsk/reply {:cb-uuid ");
        while connection.poll_transmit(&mut out).is_some() {
            let sent = out.chunk();
            chunk.extend_from_slice(&sent[sent.len() - "\"012345\"]\n".len()..sent.len() - 2]);
            out.advance(out.remaining());
            connection.handle_transmitted(NOW);
        }
        chunk.extend_from_slice(b", :data ");
        chunk.extend_from_slice(data.as_bytes());
        chunk.extend_from_slice(b"}]\n");
        connection.handle_input(NOW, Input::Bytes(&mut chunk));
        let settled = connection.poll_event();
        assert!(matches!(
            settled,
            Some(ConnectionEvent::Settled { result: Ok(_), .. })
        ));
        black_box(settled);
    })
}

fn flush(connection: &mut Connection, out: &mut TransmitBuf) {
    while connection.poll_transmit(out).is_some() {
        out.advance(out.remaining());
        connection.handle_transmitted(NOW);
    }
}

pub(crate) fn id() -> EventId {
    EventId::new("chat/message").expect("an id")
}

fn event() -> Event {
    let value = sente_edn::from_str(EDN).expect("it reads");
    Event::from_value(value).expect("an event")
}

fn server(carrier: Carrier) -> Connection {
    open(Role::Server, carrier, Limits::default())
}

pub(crate) fn open(role: Role, carrier: Carrier, limits: Limits) -> Connection {
    let builder = ConnectionConfig::builder(role, Dialect::SenteLite, carrier).limits(limits);
    let config = builder.build().expect("the parts fit");
    let mut connection = Connection::new(config, [1; 32], NOW);
    if role == Role::Server {
        connection.accept(NOW, Accept::new("u"));
        flush(&mut connection, &mut TransmitBuf::new());
    } else {
        let mut handshake = BytesMut::from("[:chsk/handshake [\"u\" nil nil true]]\n");
        connection.handle_input(NOW, Input::Bytes(&mut handshake));
    }
    while connection.poll_event().is_some() {}
    connection
}

fn many(frame: Vec<u8>) -> Vec<u8> {
    let count = usize::try_from(EVENTS).expect("they are few");
    frame.repeat(count)
}

/// A frame as a server receives it.
fn framed(carrier: Carrier, message: &str) -> Vec<u8> {
    const MASK: [u8; 4] = [0x21, 0x43, 0x65, 0x87];
    match carrier {
        Carrier::WebSocket => {
            let length = u8::try_from(message.len()).expect("it is short");
            let mut frame = vec![0x81, 0x80 | length.min(126)];
            if length >= 126 {
                frame.extend_from_slice(&[0, length]);
            }
            frame.extend_from_slice(&MASK);
            let masked = message.bytes().zip(MASK.iter().cycle());
            frame.extend(masked.map(|(byte, key)| byte ^ key));
            frame
        }
        _ => format!("{message}\n").into_bytes(),
    }
}
