//! A frame of plain EDN is taken a shorter way than all others, and says the same on either: here
//! the same frames go to a connection whose packer is known to be EDN, and to one whose packer is not.
#![allow(missing_docs)]

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use proptest::prelude::*;
use sente_core::framing::Kind;
use sente_core::packer::{Edn, PackError, Packer, Span, Tokens, UnpackError, Visit};
use sente_core::{
    Accept, Carrier, Connection, ConnectionConfig, ConnectionEvent, Dialect, Event, Extensions,
    Input, Instant, Limits, Role, TransmitBuf,
};
use sente_edn::Value;

/// EDN, under a name that the engine has no shorter way for.
#[derive(Debug)]
struct Disguised;

impl Packer for Disguised {
    fn name(&self) -> &str {
        "edn"
    }

    fn format(&self) -> &str {
        "disguised-edn"
    }

    fn kind(&self) -> Kind {
        Edn.kind()
    }

    fn pack(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), PackError> {
        Edn.pack(value, out)
    }

    fn unpack(&self, packed: &[u8], limits: &Limits) -> Result<Value, UnpackError> {
        Edn.unpack(packed, limits)
    }

    fn walk(
        &self,
        packed: &[u8],
        limits: &Limits,
        visit: &mut Visit<'_>,
    ) -> Result<(), UnpackError> {
        Edn.walk(packed, limits, visit)
    }

    fn entries(&self, packed: &[u8], limits: &Limits, visit: &mut dyn FnMut(&str, Span)) {
        Edn.entries(packed, limits, visit);
    }

    fn sequence(&self, len: usize) -> Tokens {
        Edn.sequence(len)
    }

    fn map(&self, len: usize) -> Tokens {
        Edn.map(len)
    }
}

const LINKS: [(Role, Dialect, Carrier); 10] = [
    (Role::Server, Dialect::Sente, Carrier::WebSocket),
    (Role::Client, Dialect::Sente, Carrier::WebSocket),
    (Role::Server, Dialect::SenteLite, Carrier::WebSocket),
    (Role::Client, Dialect::SenteLite, Carrier::WebSocket),
    (Role::Server, Dialect::SenteLite, Carrier::Lines),
    (Role::Client, Dialect::SenteLite, Carrier::Lines),
    (Role::Server, Dialect::Sente, Carrier::Lines),
    (Role::Client, Dialect::Sente, Carrier::Lines),
    (Role::Server, Dialect::SenteLite, Carrier::LengthPrefixed),
    (Role::Client, Dialect::Sente, Carrier::LengthPrefixed),
];

fn open(link: (Role, Dialect, Carrier), packer: Arc<dyn Packer>, limits: &Limits) -> Connection {
    let (role, dialect, carrier) = link;
    let builder = ConnectionConfig::builder(role, dialect, carrier)
        .packer(packer)
        .limits(limits.clone());
    let mut connection = Connection::new(builder.build().unwrap(), [1; 32], Instant::EPOCH);
    connection.accept(Instant::EPOCH, Accept::new("u"));
    connection
}

/// A frame as it travels to a side of this role; a client's mask is none.
fn framed(role: Role, carrier: Carrier, message: &str, out: &mut Vec<u8>) {
    let len = message.len();
    match carrier {
        Carrier::Lines => {
            out.extend_from_slice(message.as_bytes());
            out.push(b'\n');
            return;
        }
        Carrier::WebSocket => {
            let masked = if role == Role::Server { 0x80 } else { 0 };
            out.push(0x81);
            match u8::try_from(len) {
                Ok(short) if short < 126 => out.push(masked | short),
                _ => {
                    out.push(masked | 126);
                    out.extend_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
                }
            }
            if role == Role::Server {
                out.extend_from_slice(&[0x20, 0, 0x01, 0xff]);
                let key = [0x20, 0, 0x01, 0xff];
                let mask = key.iter().cycle();
                out.extend(message.bytes().zip(mask).map(|(byte, key)| byte ^ key));
                return;
            }
        }
        _ => {
            out.push(0);
            out.extend_from_slice(&u32::try_from(len).unwrap().to_be_bytes());
        }
    }
    out.extend_from_slice(message.as_bytes());
}

/// Everything a connection says and writes once it is fed so, and what it counted.
fn told(connection: &mut Connection, bytes: &[u8], piece: usize, calls: usize) -> Vec<String> {
    let mut told = Vec::new();
    let mut out = TransmitBuf::new();
    let mut take = |connection: &mut Connection, told: &mut Vec<String>| {
        while let Some(event) = connection.poll_event() {
            if let ConnectionEvent::Message(message) = event {
                let data = message.event.data;
                let portable = data.as_ref().map(|data| data.is_portable());
                told.push(format!("{} {data:?} {portable:?}", message.event.id));
                if let Some(token) = message.reply {
                    let answer = data.unwrap_or_else(|| Value::Nil.into());
                    told.push(format!(
                        "{:?}",
                        connection.reply(Instant::EPOCH, token, answer)
                    ));
                }
            } else {
                told.push(format!("{event:?}"));
            }
        }
        while let Some(transmit) = connection.poll_transmit(&mut out) {
            let mut written = vec![0; out.remaining()];
            out.copy_to_slice(&mut written);
            told.push(format!("{transmit:?} {:?}", Bytes::from(written)));
            connection.handle_transmitted(Instant::EPOCH);
        }
    };
    take(connection, &mut told);
    for n in 0..calls {
        let value = sente_edn::from_str(&format!("[:a/call {n}]")).unwrap();
        let event = Event::from_value(value).unwrap();
        let call = connection.call(Instant::EPOCH, event, Duration::from_secs(1));
        told.push(format!("{:?}", call.is_ok()));
    }
    for part in bytes.chunks(piece.max(1)) {
        let mut chunk = BytesMut::from(part);
        connection.handle_input(Instant::EPOCH, Input::Bytes(&mut chunk));
        assert!(chunk.is_empty());
        take(connection, &mut told);
    }
    told.push(format!("{:?} {:?}", connection.stats(), connection.state()));
    told
}

fn same(
    link: (Role, Dialect, Carrier),
    messages: &[String],
    piece: usize,
    limits: &Limits,
) -> Result<(), TestCaseError> {
    let (role, dialect, carrier) = link;
    let mut bytes = Vec::new();
    if role == Role::Client {
        let handshake = match dialect {
            Dialect::Sente => "[[:chsk/handshake [\"u\" nil nil true]] nil]",
            Dialect::SenteLite => "[:chsk/handshake [\"u\" nil nil true]]",
        };
        framed(role, carrier, handshake, &mut bytes);
    }
    for message in messages {
        framed(role, carrier, message, &mut bytes);
    }
    let packers: [Arc<dyn Packer>; 2] = [Arc::new(Edn), Arc::new(Disguised)];
    let [plain, disguised] =
        packers.map(|packer| told(&mut open(link, packer, limits), &bytes, piece, 2));
    prop_assert_eq!(plain, disguised);
    Ok(())
}

fn id() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        ":a/b",
        ":chat/message",
        ":chat/mess",
        ":chat/messages",
        ":chat/mes:sage",
        ":an-id-of-more-bytes/than-are-kept-in-place",
        ":plain",
        ":user/1",
        ":a/b/c",
        ":chsk/ws-ping",
        ":chsk/ws-pong",
        ":chsk/reply",
        ":chsk/recv",
        ":chsk/uidport-open",
        ":batch/events",
        ":sente-lite/hello",
        "\"a/b\"",
        "nil",
        "a/b",
    ]);
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => ":[a-c]{1,2}/[a-c0é/]{1,9}"]
}

fn data() -> impl Strategy<Value = String> {
    let plain = prop::sample::select(vec![
        "nil",
        "1",
        "-1.5",
        ":k",
        "[]",
        "\"\"",
        "\"a\rb\"",
        "\"\\n\"",
        "\"é\"",
        "{:a 1, :b [2 {:c #{3}}]}",
        "{:cb-uuid \"012345\", :data 1}",
        "{:cb-uuid \"012345\" :data {:a 1}}",
        "{:data 1 :cb-uuid \"012345\"}",
        "{:cb-uuid \"a\" :data 1 :more 2}",
        "{:cb-uuid nil :data :chsk/error}",
        "[[:a/b 1] [:c/d 2]]",
        "[[:a/b 1]]",
        "#inst \"2026-01-02\"",
        "#inst \"never\"",
        "#unknown 1",
        "{:a 1 :a 2}",
        "{:a}",
        "\\newline",
        "#_ 1 2",
        "1 2",
        "",
        "]",
        "\"",
    ]);
    // What shares memory with others, and what is too long for that.
    let long = (1_usize..500).prop_map(|length| format!("\"{}\"", "long ".repeat(length / 5)));
    prop_oneof![
        4 => plain.prop_map(str::to_owned),
        1 => long,
        1 => "[-\\[\\]{}()#:\"\\\\a0 é/]{0,9}"
    ]
}

fn message() -> impl Strategy<Value = String> {
    let callback = prop::sample::select(vec![
        "nil",
        "\"012345\"",
        "\"4c2ab8b6-2ae9-4c36-8a0c-93a1a1a4d7a5\"",
        "\"twenty bytes of it, 22\"",
        "\"a callback id of more than twenty-two bytes, which few have\"",
        "\"01\\\"345\"",
        "\"01\\\\345\"",
        "\"01é345\"",
        "\"01é34\"",
        "\"01\"345\"",
        "\"01 345\"",
        "false",
        ":cb",
        "",
        "nil nil",
        "\"a\" 1",
    ]);
    let event = (id(), data()).prop_map(|(id, data)| format!("[{id} {data}]"));
    let bare = id().prop_map(|id| format!("[{id}]"));
    let event = prop_oneof![3 => event, 1 => bare].boxed();
    let shape = prop_oneof![
        2 => Just("E"),
        3 => Just("[E C]"),
        2 => Just("[[E] C]"),
        1 => Just("[[E E] C]"),
        1 => Just("[:batch/events [E E]]"),
        1 => Just("[:chsk/recv E]"),
        1 => Just("[D C]"),
        1 => Just(" [ E,C ] "),
        1 => Just("[E C] []"),
        1 => Just("[E C"),
        1 => Just("(E C)"),
        1 => Just("D"),
    ];
    (shape, event.clone(), event, callback, data()).prop_map(
        |(shape, first, second, callback, data)| {
            let text = shape.replacen('E', "\u{1}", 1).replace('E', "\u{2}");
            let text = text.replace('C', "\u{3}").replace('D', "\u{4}");
            text.replace('\u{1}', &first)
                .replace('\u{2}', &second)
                .replace('\u{3}', callback)
                .replace('\u{4}', &data)
        },
    )
}

/// Old formats are told apart for EDN alone, and a line ends where it does.
fn is_comparable(message: &str) -> bool {
    !message.starts_with(['{', '+', '-']) && !message.contains('\n')
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plain_frame_says_what_it_says_on_the_longer_way(
        link in prop::sample::select(LINKS.to_vec()),
        messages in prop::collection::vec(message().prop_filter("", |message| is_comparable(message)), 0..12),
        piece in prop_oneof![Just(usize::MAX), 1_usize..200],
    ) {
        same(link, &messages, piece, &Limits::default())?;
    }

    #[test]
    fn low_limits_are_kept_on_either_way(
        link in prop::sample::select(LINKS.to_vec()),
        messages in prop::collection::vec(message().prop_filter("", |message| is_comparable(message)), 0..6),
        max_frame_bytes in 40_usize..100,
        max_depth in 1_usize..9,
        max_elements in 1_usize..60,
        max_recv_messages in 1_usize..4,
    ) {
        let mut limits = Limits::default();
        limits.max_frame_bytes = max_frame_bytes;
        limits.warn_frame_bytes = max_frame_bytes / 2;
        limits.max_depth = max_depth;
        limits.max_elements = max_elements;
        limits.max_recv_messages = max_recv_messages;
        same(link, &messages, usize::MAX, &limits)?;
        limits.max_depth = 512;
        limits.max_elements = 1_000_000;
        same(link, &messages, usize::MAX, &limits)?;
    }
}

#[test]
fn what_lies_in_the_buffer_may_be_kept_and_the_buffer_is_given_back() {
    for (role, dialect, carrier) in LINKS {
        let mut connection = open((role, dialect, carrier), Arc::new(Edn), &Limits::default());
        let mut bytes = Vec::new();
        let (handshake, event) = match (role, dialect) {
            (Role::Client, Dialect::Sente) => (
                "[[:chsk/handshake [\"u\" nil nil true]] nil]",
                "[[[:a/b {:n 1}]] nil]",
            ),
            (Role::Client, _) => ("[:chsk/handshake [\"u\" nil nil true]]", "[:a/b {:n 1}]"),
            (_, Dialect::Sente) => ("[[:a/b {:n 1}] nil]", "[[:a/b {:n 1}] nil]"),
            (_, _) => ("[:a/b {:n 1}]", "[:a/b {:n 1}]"),
        };
        framed(role, carrier, handshake, &mut bytes);
        let mut chunk = BytesMut::with_capacity(1 << 16);
        chunk.extend_from_slice(&bytes);
        connection.handle_input(Instant::EPOCH, Input::Bytes(&mut chunk));
        while connection.poll_event().is_some() {}

        bytes.clear();
        framed(role, carrier, event, &mut bytes);
        let (whole, cut) = (bytes.len(), bytes.len() - 5);
        bytes.extend_from_within(..cut);
        chunk.reserve(1 << 12);
        chunk.extend_from_slice(&bytes);
        connection.handle_input(Instant::EPOCH, Input::Bytes(&mut chunk));
        assert!(
            chunk.is_empty() && chunk.capacity() >= 1 << 12,
            "{carrier:?}"
        );
        let Some(ConnectionEvent::Message(first)) = connection.poll_event() else {
            panic!("no event on {carrier:?} as {role:?} of {dialect:?}")
        };
        assert!(connection.poll_event().is_none());

        // What was kept of the cut frame does not change with the buffer.
        let rest = bytes[cut..whole].to_vec();
        chunk.extend_from_slice(&rest);
        connection.handle_input(Instant::EPOCH, Input::Bytes(&mut chunk));
        chunk.extend_from_slice(&[b'x'; 100]);
        let Some(ConnectionEvent::Message(second)) = connection.poll_event() else {
            panic!("no second event on {carrier:?} as {role:?} of {dialect:?}")
        };
        for message in [first, second] {
            assert_eq!(message.event.id.as_str(), "a/b");
            assert_eq!(message.event.data.unwrap().raw().unwrap(), "{:n 1}");
        }
    }
}

#[test]
fn extensions_change_nothing_of_that() {
    let messages = [
        "[[:a/b 1] \"cb\"]",
        "[[[:a/b 1]] nil]",
        "[[:chsk/reply {:cb-uuid \"x\" :data 1}] nil]",
    ];
    for packer in [Arc::new(Edn) as Arc<dyn Packer>, Arc::new(Disguised)] {
        let config = ConnectionConfig::builder(Role::Server, Dialect::Sente, Carrier::WebSocket)
            .packer(packer)
            .build()
            .unwrap();
        let mut connection = Connection::new(config, [1; 32], Instant::EPOCH);
        let mut accept = Accept::new("u");
        accept.offered = Some(Extensions::ALL);
        connection.accept(Instant::EPOCH, accept);
        let mut bytes = Vec::new();
        for message in messages {
            framed(Role::Server, Carrier::WebSocket, message, &mut bytes);
        }
        let told = told(&mut connection, &bytes, usize::MAX, 0);
        let events: Vec<&String> = told
            .iter()
            .filter(|told| told.starts_with(":a/b"))
            .collect();
        assert_eq!(events.len(), 2, "{told:?}");
        assert_eq!(connection.stats().late_replies, 1);
    }
}
