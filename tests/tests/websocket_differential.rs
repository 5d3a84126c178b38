//! Where our WebSocket and tungstenite's agree, and the list of where they do not.
#![allow(missing_docs)]

mod websocket_support;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::rc::Rc;

use bytes::{Buf, Bytes, BytesMut};
use proptest::prelude::*;
use sente_core::framing::Kind;
use sente_core::framing::upgrade::{ClientUpgrade, ServerUpgrade, UpgradeLimits};
use sente_core::framing::websocket::{
    ClosedBy, Part, Role, Violation, WebSocket, WebSocketConfig, WebSocketEvent,
};
use sente_core::{Instant, TransmitBuf};
use tungstenite::Message;
use tungstenite::handshake::HandshakeError;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{self, CloseFrame};
use websocket_support::*;

/// Small enough for random frames to be too long.
const MAX_FRAME: usize = 250;
const MAX_MESSAGE: usize = 400;

/// What an endpoint made of a stream of bytes that then ended.
#[derive(Clone, Debug, PartialEq)]
struct Outcome {
    /// The messages, pings and pongs.
    events: Vec<WebSocketEvent>,
    end: Ending,
}

#[derive(Clone, Debug, PartialEq)]
enum Ending {
    /// With the peer's Close frame.
    Closed(Option<u16>, String),
    /// By failing the peer, with this code.
    Failed(u16),
    /// Without any of that.
    Ended,
}

/// A known difference between an outcome of ours and one of tungstenite's.
struct Difference {
    /// What tungstenite does, and why ours stays different.
    why: &'static str,
    /// Whether it explains these outcomes; the violation is the one that ours found.
    explains: fn(&Ending, Option<&Violation>, &Ending) -> bool,
    /// Frames for a client that show it.
    example: fn() -> Vec<u8>,
}

/// The one difference that only streams cut inside a frame may show.
const CUT: &str = "tungstenite looks at a frame when all of it is there; ours at each byte, so \
                   that a frame cut off after its mistake is a mistake and not an end";

const DIFFERENCES: &[Difference] = &[
    Difference {
        why: "tungstenite takes any length form; RFC 6455 section 5.2 demands the shortest",
        explains: |_, found, _| found == Some(&Violation::LengthNotMinimal),
        example: || b"\x81\x7e\0\x01a".to_vec(),
    },
    Difference {
        why: "the same in a control frame, whose long form ours refuses at its second byte",
        explains: |_, found, _| found == Some(&Violation::ControlTooLong),
        example: || b"\x89\x7e\0\x01a".to_vec(),
    },
    Difference {
        why: CUT,
        explains: |ours, _, theirs| matches!(ours, Ending::Failed(_)) && *theirs == Ending::Ended,
        example: || b"\xc1\x05ab".to_vec(),
    },
    Difference {
        why: "tungstenite looks at the length before anything else; ours says 1002 where the \
              header is illegal whatever its length",
        explains: |ours, _, theirs| {
            (ours, theirs) == (&Ending::Failed(1002), &Ending::Failed(1009))
        },
        example: || b"\x82\x7f\x80\0\0\0\0\0\0\0".to_vec(),
    },
    Difference {
        why: "tungstenite reads the reason of a Close before its code; both are wrong here",
        explains: |_, found, theirs| {
            matches!(found, Some(Violation::BadCloseCode(_))) && *theirs == Ending::Failed(1007)
        },
        example: || Raw::close(0, b"\xff").encode(None),
    },
    Difference {
        why: "tungstenite does not know 1014 (Bad Gateway), which the IANA registry has",
        explains: |ours, _, theirs| {
            matches!(ours, Ending::Closed(Some(1014), _)) && *theirs == Ending::Failed(1002)
        },
        example: || Raw::close(1014, "").encode(None),
    },
];

/// What ours makes of `bytes`.
fn ours(role: Role, bytes: &[u8]) -> (Outcome, Option<Violation>) {
    let mut config = WebSocketConfig::default();
    config.max_frame_bytes = MAX_FRAME;
    config.max_message_bytes = MAX_MESSAGE;
    let mut driven = Driven::with_config(role, config);
    driven.feed(bytes);
    driven.eof();
    let found = violation(&driven.events);
    let Some(WebSocketEvent::Closed(closed)) = driven.events.pop() else {
        panic!("{driven:?}")
    };
    let end = match closed.by {
        ClosedBy::Us => Ending::Failed(closed.code.unwrap()),
        ClosedBy::Peer if closed.clean => Ending::Closed(closed.code, closed.reason),
        ClosedBy::Peer => Ending::Ended,
    };
    let events = driven.events;
    (Outcome { events, end }, found)
}

/// What tungstenite makes of `bytes`.
fn theirs(role: Role, bytes: &[u8]) -> Outcome {
    let config = protocol::WebSocketConfig::default()
        .read_buffer_size(4096)
        .max_frame_size(Some(MAX_FRAME))
        .max_message_size(Some(MAX_MESSAGE));
    let mut socket = tungstenite(role, Wire::ended(bytes), Some(config));
    let mut events = Vec::new();
    let end = loop {
        match socket.read() {
            Ok(Message::Text(text)) => events.push(message(Kind::Text, text)),
            Ok(Message::Binary(bytes)) => events.push(message(Kind::Binary, bytes)),
            Ok(Message::Ping(bytes)) => events.push(WebSocketEvent::Ping(bytes)),
            Ok(Message::Pong(bytes)) => events.push(WebSocketEvent::Pong(bytes)),
            // It answers a code that must not be sent with this, and says the same to us.
            Ok(Message::Close(Some(frame))) if frame.reason == "Protocol violation" => {
                break Ending::Failed(frame.code.into());
            }
            Ok(Message::Close(Some(frame))) => {
                break Ending::Closed(Some(frame.code.into()), frame.reason.to_string());
            }
            Ok(Message::Close(None)) => break Ending::Closed(None, String::new()),
            Ok(Message::Frame(_)) => unreachable!("never read"),
            Err(tungstenite::Error::Utf8(_)) => break Ending::Failed(1007),
            Err(tungstenite::Error::Capacity(_)) => break Ending::Failed(1009),
            Err(tungstenite::Error::Protocol(error)) => {
                let reset = tungstenite::error::ProtocolError::ResetWithoutClosingHandshake;
                break if error == reset {
                    Ending::Ended
                } else {
                    Ending::Failed(1002)
                };
            }
            Err(error) => panic!("{error:?}"),
        }
    };
    Outcome { events, end }
}

/// Why the outcomes for `bytes` differ; `None` if they are the same.
///
/// # Panics
/// If they differ for no known reason.
fn difference(role: Role, bytes: &[u8]) -> Option<&'static str> {
    let (ours, found) = ours(role, bytes);
    let theirs = theirs(role, bytes);
    if ours == theirs {
        return None;
    }
    let known = DIFFERENCES
        .iter()
        .find(|difference| (difference.explains)(&ours.end, found.as_ref(), &theirs.end));
    let Some(known) = known else {
        panic!("{role:?}, {bytes:02x?}\nours {ours:?} {found:?}\ntheirs {theirs:?}")
    };
    // What was given out before is the same.
    assert!(
        theirs.events.starts_with(&ours.events),
        "{role:?}, {bytes:02x?}"
    );
    Some(known.why)
}

#[test]
fn every_difference_in_the_list_is_real() {
    for known in DIFFERENCES {
        let bytes = (known.example)();
        assert_eq!(
            difference(Role::Client, &bytes),
            Some(known.why),
            "{bytes:02x?}"
        );
    }
}

#[test]
fn tungstenite_agrees_on_the_autobahn_cases() {
    let mut compared = 0;
    for case in cases() {
        // The limits of this test are below those of the large messages.
        if case
            .frames
            .iter()
            .any(|frame| frame.payload.len() > MAX_FRAME)
            || case.id == "10.1.1"
        {
            continue;
        }
        compared += 1;
        for role in ROLES {
            let bytes = encode_for(role, &case.frames);
            let differs = difference(role, &bytes);
            assert_eq!(differs, None, "case {} as {role:?}", case.id);
        }
    }
    assert!(compared > 230);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_frames_are_read_the_same(frames in any_frames(), to_server in any::<bool>()) {
        let role = ROLES[usize::from(to_server)];
        let found = difference(role, &encode_for(role, &frames));
        prop_assert_ne!(found, Some(CUT));
    }

    #[test]
    fn mutated_frames_are_read_the_same(
        frames in any_frames(),
        to_server in any::<bool>(),
        flips in proptest::collection::vec((0_usize..100, 0_u8..8), 1..4),
        cut in prop_oneof![2 => Just(usize::MAX), 1 => 0_usize..200],
    ) {
        let role = ROLES[usize::from(to_server)];
        let mut bytes = encode_for(role, &frames);
        for (at, bit) in flips {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
        bytes.truncate(cut);
        let _ = difference(role, &bytes);
    }

    #[test]
    fn random_bytes_are_read_the_same(
        bytes in proptest::collection::vec(any::<u8>(), 0..60),
        to_server in any::<bool>(),
    ) {
        let _ = difference(ROLES[usize::from(to_server)], &bytes);
    }
}

/// A message or control frame to be written.
#[derive(Clone, Debug)]
enum Written {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
}

fn writings() -> impl Strategy<Value = Vec<Written>> {
    let any_length = prop_oneof![4 => 0_usize..300, 1 => 65_000_usize..67_000];
    let one = prop_oneof![
        ".{0,60}".prop_map(Written::Text),
        (any::<u8>(), any_length).prop_map(|(byte, length)| Written::Binary(vec![byte; length])),
        proptest::collection::vec(any::<u8>(), 0..=125).prop_map(Written::Ping),
    ];
    proptest::collection::vec(one, 0..8)
}

const fn other(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

proptest! {
    #[test]
    fn tungstenite_reads_what_ours_writes(
        writings in writings(),
        cut in 0_usize..100,
        from_server in any::<bool>(),
    ) {
        let role = ROLES[usize::from(from_server)];
        let mut socket = WebSocket::new(role, WebSocketConfig::default(), [3; 32]);
        let mut out = TransmitBuf::new();
        let mut expected = Vec::new();
        for written in writings {
            let (kind, bytes) = match written {
                Written::Text(text) => {
                    expected.push(Message::text(&text));
                    (Kind::Text, Bytes::from(text))
                }
                Written::Binary(bytes) => {
                    expected.push(Message::binary(bytes.clone()));
                    (Kind::Binary, Bytes::from(bytes))
                }
                Written::Ping(bytes) => {
                    expected.push(Message::Ping(bytes.clone().into()));
                    socket.write_ping(&bytes, &mut out);
                    continue;
                }
            };
            let cut = cut.min(bytes.len());
            let parts = [Part::Slice(&bytes[..cut]), Part::Shared(&bytes.slice(cut..))];
            socket.write_message(kind, &parts, &mut out);
        }
        socket.close(Instant::EPOCH, 1001, "enough");
        socket.poll_transmit(&mut out);
        expected.push(Message::Close(Some(CloseFrame {
            code: CloseCode::Away,
            reason: "enough".into(),
        })));

        let bytes = out.copy_to_bytes(out.remaining());
        let mut reader = tungstenite(other(role), Wire::ended(&bytes), None);
        for message in expected {
            prop_assert_eq!(reader.read().unwrap(), message);
        }
    }

    #[test]
    fn ours_reads_what_tungstenite_writes(writings in writings(), from_server in any::<bool>()) {
        let role = ROLES[usize::from(from_server)];
        let wire = Wire::default();
        let mut socket = tungstenite(role, wire.clone(), None);
        let mut expected = Vec::new();
        for written in writings {
            let (sent, event) = match written {
                Written::Text(sent) => (Message::text(&sent), text(&sent)),
                Written::Binary(bytes) => {
                    (Message::binary(bytes.clone()), message(Kind::Binary, bytes))
                }
                Written::Ping(bytes) => {
                    (Message::Ping(bytes.clone().into()), WebSocketEvent::Ping(bytes.into()))
                }
            };
            socket.send(sent).unwrap();
            expected.push(event);
        }
        let mut driven = Driven::new(other(role));
        driven.feed(&wire.take_sent());
        prop_assert_eq!(driven.events, expected);
        prop_assert!(driven.socket.is_open());
    }
}

/// Ours and tungstenite's with a wire between them.
struct Pair {
    ours: Driven,
    theirs: tungstenite::WebSocket<Wire>,
    wire: Wire,
}

impl Pair {
    fn new(our_role: Role) -> Self {
        let wire = Wire::default();
        Self {
            ours: Driven::new(our_role),
            theirs: tungstenite(other(our_role), wire.clone(), None),
            wire,
        }
    }

    /// Carries all that ours has to say, and returns what tungstenite reads.
    fn carry_to_theirs(&mut self) -> Vec<Result<Message, tungstenite::Error>> {
        for frame in std::mem::take(&mut self.ours.sent) {
            self.wire.push(&frame.encode_for(other(self.ours.role)));
        }
        let mut read = Vec::new();
        loop {
            match self.theirs.read() {
                Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    return read;
                }
                Err(error) => {
                    read.push(Err(error));
                    return read;
                }
                Ok(message) => read.push(Ok(message)),
            }
        }
    }

    fn carry_to_ours(&mut self) {
        let sent = self.wire.take_sent();
        self.ours.feed(&sent);
    }
}

#[test]
fn both_close_when_ours_begins() {
    for role in ROLES {
        let mut pair = Pair::new(role);
        pair.ours.socket.close(Instant::EPOCH, 3000, "done");
        pair.ours.drain();
        let read = pair.carry_to_theirs();
        assert!(
            matches!(&read[0], Ok(Message::Close(Some(frame))) if frame.reason == "done"),
            "{read:?}"
        );
        pair.carry_to_ours();
        let Some(WebSocketEvent::Closed(closed)) = pair.ours.events.pop() else {
            panic!("{:?}", pair.ours)
        };
        assert_eq!(
            (closed.code, closed.by, closed.clean),
            (Some(3000), ClosedBy::Us, true)
        );
        assert_eq!(pair.ours.socket.wants_shutdown(), role == Role::Server);
    }
}

#[test]
fn both_close_when_tungstenite_begins() {
    for role in ROLES {
        let mut pair = Pair::new(role);
        let frame = CloseFrame {
            code: CloseCode::Library(4001),
            reason: "done".into(),
        };
        pair.theirs.close(Some(frame)).unwrap();
        pair.carry_to_ours();
        let Some(WebSocketEvent::Closed(closed)) = pair.ours.events.pop() else {
            panic!("{:?}", pair.ours)
        };
        assert_eq!(
            (closed.code, closed.by, closed.clean),
            (Some(4001), ClosedBy::Peer, true)
        );
        let read = pair.carry_to_theirs();
        assert!(matches!(&read[0], Ok(Message::Close(Some(_)))), "{read:?}");
    }
}

#[test]
fn tungstenite_takes_our_failure_as_a_close() {
    for role in ROLES {
        let mut pair = Pair::new(role);
        pair.ours.frames(&[Raw::new(TEXT, b"\xff")]);
        let read = pair.carry_to_theirs();
        assert!(
            matches!(&read[0], Ok(Message::Close(Some(frame))) if frame.code == CloseCode::Invalid),
            "{read:?}"
        );
    }
}

#[test]
fn tungstenites_client_takes_our_servers_upgrade() {
    let wire = Wire::default();
    let request = "ws://example.com/chat?x=y";
    let Err(HandshakeError::Interrupted(asking)) = tungstenite::client(request, wire.clone())
    else {
        panic!("it waits for the answer")
    };
    let mut server = ServerUpgrade::new(UpgradeLimits::default());
    server.handle_input(&mut BytesMut::from(&wire.take_sent()[..]));
    let request = server.poll_request().unwrap().unwrap();
    assert_eq!((request.path(), request.query()), ("/chat", "x=y"));
    let mut out = TransmitBuf::new();
    server.accept(&request, &[], &mut out).unwrap();
    wire.push(&out.copy_to_bytes(out.remaining()));
    wire.push(&Raw::text("first").encode(None));
    let (mut socket, response) = asking.handshake().unwrap();
    assert_eq!(response.status(), 101);
    assert_eq!(socket.read().unwrap(), Message::text("first"));
}

#[test]
fn our_client_takes_tungstenites_servers_upgrade() {
    let wire = Wire::default();
    let mut client = ClientUpgrade::new("example.com", "/chat", &[], [4; 32]).unwrap();
    let mut out = TransmitBuf::new();
    client.poll_transmit(&mut out);
    wire.push(&out.copy_to_bytes(out.remaining()));
    let mut socket = tungstenite::accept(wire.clone()).unwrap();
    socket.send(Message::text("first")).unwrap();
    client.handle_input(&mut BytesMut::from(&wire.take_sent()[..]));
    assert!(client.poll_response().unwrap().is_ok());
    assert_eq!(client.take_rest(), Raw::text("first").encode(None));
}

fn tungstenite(
    role: Role,
    wire: Wire,
    config: Option<protocol::WebSocketConfig>,
) -> tungstenite::WebSocket<Wire> {
    let role = match role {
        Role::Client => protocol::Role::Client,
        Role::Server => protocol::Role::Server,
    };
    tungstenite::WebSocket::from_raw_socket(wire, role, config)
}

/// A connection in memory, as one end sees it; the test holds the other.
#[derive(Clone, Debug, Default)]
struct Wire(Rc<RefCell<Ends>>);

#[derive(Debug, Default)]
struct Ends {
    to_read: VecDeque<u8>,
    written: Vec<u8>,
    ended: bool,
}

impl Wire {
    /// With `bytes` to read, and then the end.
    fn ended(bytes: &[u8]) -> Self {
        let wire = Self::default();
        wire.push(bytes);
        wire.0.borrow_mut().ended = true;
        wire
    }

    fn push(&self, bytes: &[u8]) {
        self.0.borrow_mut().to_read.extend(bytes);
    }

    fn take_sent(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.borrow_mut().written)
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut ends = self.0.borrow_mut();
        if ends.to_read.is_empty() && !ends.ended {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        ends.to_read.read(buffer)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().written.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
