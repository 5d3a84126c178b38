//! Real connections, brought through every transition of the table and through no other.
#![allow(missing_docs)]

use bytes::{Buf, BytesMut};
use proptest::prelude::*;
use sente_core::state::{LINK_STATES, LinkInput, first_link_state, next_link};
use sente_core::{
    Accept, Carrier, Connection, Dialect, Event, Input, Instant, Role, State, Transmit, TransmitBuf,
};
use sente_tests::{RawPeer, config, event, events, seconds};

const CARRIERS: [Carrier; 3] = [Carrier::WebSocket, Carrier::Lines, Carrier::LengthPrefixed];
const HANDSHAKE: &str = "[:chsk/handshake [\"u\" nil nil true]]";

/// A connection and the peer in the hands of the test.
struct Link {
    connection: Connection,
    carrier: Carrier,
    peer: RawPeer,
    now: Instant,
}

impl Link {
    fn new(role: Role, carrier: Carrier) -> Self {
        let now = Instant::EPOCH;
        let config = config(role, Dialect::SenteLite, carrier);
        Self {
            connection: Connection::new(config, [1; 32], now),
            carrier,
            peer: RawPeer::new(match role {
                Role::Client => Role::Server,
                Role::Server => Role::Client,
            }),
            now,
        }
    }

    /// A link that is in `state`, if a link of this kind ever is.
    fn at(role: Role, carrier: Carrier, state: State) -> Option<Self> {
        let mut link = Self::new(role, carrier);
        if state == first_link_state(role) {
            return Some(link);
        }
        match state {
            State::Accepting | State::Handshaking => return None,
            State::Closed => link.fail(),
            _ => link.open(),
        }
        match state {
            State::Draining => {
                // What waits to be written keeps it from closing at once.
                link.connection.send(link.now, event("[:a/b 1]")).unwrap();
                link.drain();
            }
            State::Closing if carrier == Carrier::WebSocket => link.connection.close(link.now),
            State::Closing => return None,
            _ => {}
        }
        assert_eq!(link.connection.state(), state, "{role:?} {carrier:?}");
        Some(link)
    }

    fn open(&mut self) {
        self.connection.accept(self.now, Accept::new("u"));
        if self.connection.state() == State::Handshaking {
            self.say(HANDSHAKE);
        }
        self.write();
        events(&mut self.connection);
    }

    fn say(&mut self, text: &str) {
        let mut bytes = BytesMut::new();
        match self.carrier {
            Carrier::Lines => bytes.extend_from_slice(format!("{text}\n").as_bytes()),
            Carrier::LengthPrefixed => {
                bytes.extend_from_slice(&[0]);
                bytes.extend_from_slice(&u32::try_from(text.len()).unwrap().to_be_bytes());
                bytes.extend_from_slice(text.as_bytes());
            }
            _ => return self.peer.say(&mut self.connection, self.now, text),
        }
        self.connection
            .handle_input(self.now, Input::Bytes(&mut bytes));
    }

    /// Writes what there is; nobody answers.
    fn write(&mut self) {
        let mut out = TransmitBuf::new();
        while let Some(Transmit::Data) = self.connection.poll_transmit(&mut out) {
            out.advance(out.remaining());
            self.connection.handle_transmitted(self.now);
        }
    }

    fn drain(&mut self) {
        let deadline = self.now + seconds(1);
        self.connection.drain(self.now, deadline);
    }

    fn fail(&mut self) {
        let input = Input::Failed("gone".to_owned());
        self.connection.handle_input(self.now, input);
    }

    fn pass(&mut self, time: u64) {
        self.now = self.now + seconds(time);
        self.connection.handle_timeout(self.now);
    }
}

type Cause = (&'static str, fn(&mut Link));

/// What means this input to a connection in `state`, by name: everything that does where it has an
/// effect, and the plainest way to say it where it has none.
fn causes(state: State, input: LinkInput, carrier: Carrier) -> Vec<Cause> {
    let over_websocket = carrier == Carrier::WebSocket;
    let mut causes: Vec<Cause> = Vec::new();
    match input {
        LinkInput::Accept => causes.push(("accept", |link| {
            link.connection.accept(link.now, Accept::new("u"));
        })),
        LinkInput::Handshake => causes.push(("a handshake", |link| link.say(HANDSHAKE))),
        // Before it is open, a link that is asked to drain ends: that is another input.
        LinkInput::Drain if matches!(state, State::Accepting | State::Handshaking) => {}
        LinkInput::Drain => causes.push(("drain", Link::drain)),
        LinkInput::Goodbye if !over_websocket => {}
        LinkInput::Goodbye => {
            causes.push(("close", |link| link.connection.close(link.now)));
            match state {
                State::Accepting | State::Handshaking => {
                    causes.push(("drain before it is open", Link::drain));
                }
                State::Draining => {
                    causes.push(("all is written", Link::write));
                    causes.push(("the time to drain is over", |link| link.pass(1)));
                }
                _ => {}
            }
        }
        LinkInput::End => {
            causes.push(("the transport failed", Link::fail));
            // The end of a byte stream in its middle is a half-close, and while draining what is
            // queued is still written.
            let half = matches!(state, State::Open | State::Draining) && !over_websocket;
            if !half {
                causes.push(("the stream ended", |link| {
                    link.connection.handle_input(link.now, Input::Eof);
                }));
            }
            if !over_websocket {
                causes.push(("close", |link| link.connection.close(link.now)));
            }
            if state == State::Handshaking {
                causes.push(("no handshake in time", |link| link.pass(10)));
            }
            if matches!(state, State::Handshaking | State::Open | State::Draining) {
                match carrier {
                    Carrier::WebSocket => {
                        causes.push(("the peer said goodbye", |link| {
                            link.peer.close(&mut link.connection, link.now, 1000);
                        }));
                        causes.push(("a breach of the protocol", |link| {
                            let mut bytes = BytesMut::from(&[0xff, 0xff][..]);
                            let input = Input::Bytes(&mut bytes);
                            link.connection.handle_input(link.now, input);
                        }));
                    }
                    Carrier::LengthPrefixed => {
                        causes.push(("a header that is none", |link| {
                            let mut bytes = BytesMut::from(&[9][..]);
                            let input = Input::Bytes(&mut bytes);
                            link.connection.handle_input(link.now, input);
                        }));
                    }
                    _ => {}
                }
            }
            match state {
                State::Open if over_websocket => causes.push(("silence", |link| {
                    while let Some(at) = link.connection.poll_timeout() {
                        link.now = at;
                        link.connection.handle_timeout(at);
                        link.write();
                        if link.connection.state() == State::Closed {
                            return;
                        }
                    }
                })),
                State::Draining if !over_websocket => {
                    causes.push(("the time to drain is over", |link| link.pass(1)));
                    causes.push(("all is written, and the peer's side ended", |link| {
                        link.write();
                        link.connection.handle_input(link.now, Input::Eof);
                    }));
                }
                State::Closing => {
                    causes.push(("the peer answered the goodbye", |link| {
                        let said = link.peer.hear(&mut link.connection, link.now);
                        assert!(!said.is_empty());
                    }));
                    causes.push(("no answer to the goodbye in time", |link| {
                        link.write();
                        link.pass(5);
                    }));
                }
                _ => {}
            }
        }
        _ => unreachable!("an input this test does not know"),
    }
    causes
}

#[test]
fn a_connection_goes_where_the_table_says_on_every_input_in_every_state() {
    let mut unseen: Vec<(State, LinkInput)> = LINK_STATES
        .into_iter()
        .flat_map(|state| LinkInput::ALL.map(|input| (state, input)))
        .filter(|(state, input)| next_link(*state, *input).is_some())
        .collect();
    for carrier in CARRIERS {
        for (role, state, input) in [Role::Client, Role::Server].into_iter().flat_map(|role| {
            LINK_STATES
                .into_iter()
                .flat_map(move |state| LinkInput::ALL.map(|input| (role, state, input)))
        }) {
            for (cause, act) in causes(state, input, carrier) {
                let Some(mut link) = Link::at(role, carrier, state) else {
                    continue;
                };
                act(&mut link);
                let expected = next_link(state, input);
                assert_eq!(
                    link.connection.state(),
                    expected.unwrap_or(state),
                    "{role:?} over {carrier:?}, {state:?} on {input:?}: {cause}"
                );
                if expected.is_some() {
                    unseen.retain(|seen| *seen != (state, input));
                }
            }
        }
    }
    assert_eq!(unseen, [], "transitions no connection ever made");
}

/// One thing that somebody does to a connection.
#[derive(Clone, Debug)]
enum Act {
    Accept,
    Allow(usize),
    Call,
    Close,
    Drain(u64),
    Eof,
    Fail,
    Flush,
    Garbage(Vec<u8>),
    Pass(u64),
    PeerClose,
    Poll,
    Say(&'static str),
    Send,
    Transmit,
    Transmitted,
}

impl Act {
    /// The inputs it can come to, those included that waited in what was received before.
    const fn inputs(&self) -> &'static [LinkInput] {
        use LinkInput as On;
        match self {
            Self::Accept => &[On::Accept, On::End],
            Self::Call | Self::Flush | Self::Send | Self::Transmitted => &[],
            Self::Close => &[On::Goodbye, On::End],
            // Before the link is open it means to close.
            Self::Drain(_) => &[On::Drain, On::Goodbye, On::End],
            Self::Allow(_)
            | Self::Eof
            | Self::Fail
            | Self::Garbage(_)
            | Self::PeerClose
            | Self::Poll
            | Self::Say(_) => &[On::Handshake, On::End],
            Self::Pass(_) => &[On::Goodbye, On::Handshake, On::End],
            Self::Transmit => &[On::Goodbye, On::End],
        }
    }

    fn run(&self, link: &mut Link, out: &mut TransmitBuf) {
        let now = link.now;
        let connection = &mut link.connection;
        match self {
            Self::Accept => connection.accept(now, Accept::new("u")),
            Self::Allow(bytes) => connection.set_recv_allowance(now, *bytes),
            Self::Call => {
                let _ = connection.call(now, question(), seconds(3));
            }
            Self::Close => connection.close(now),
            Self::Drain(time) => connection.drain(now, now + seconds(*time)),
            Self::Eof => connection.handle_input(now, Input::Eof),
            Self::Fail => link.fail(),
            Self::Flush => {
                connection.flush(now);
            }
            Self::Garbage(bytes) => {
                let mut bytes = BytesMut::from(&bytes[..]);
                connection.handle_input(now, Input::Bytes(&mut bytes));
            }
            Self::Pass(time) => link.pass(*time),
            Self::PeerClose => link.peer.close(connection, now, 1000),
            Self::Poll => drop(connection.poll_event()),
            Self::Say(text) => link.say(text),
            Self::Send => {
                let _ = connection.send(now, question());
            }
            Self::Transmit => {
                if out.is_empty() {
                    let _ = connection.poll_transmit(out);
                }
            }
            Self::Transmitted => {
                out.advance(out.remaining());
                connection.handle_transmitted(now);
            }
        }
    }
}

fn question() -> Event {
    event("[:a/b 1]")
}

fn act() -> impl Strategy<Value = Act> {
    let texts = vec![
        HANDSHAKE,
        "[:a/b 1]",
        "[[:a/b 1] \"cb\"]",
        "[:chsk/ws-ping]",
        "[:sente-lite/hello {:client-id \"c\" :dialect :sente}]",
        "]",
    ];
    prop_oneof![
        2 => Just(Act::Accept),
        1 => prop::sample::select(vec![0, 10, usize::MAX]).prop_map(Act::Allow),
        1 => Just(Act::Call),
        1 => Just(Act::Close),
        2 => (0..20u64).prop_map(Act::Drain),
        1 => Just(Act::Eof),
        1 => Just(Act::Fail),
        1 => Just(Act::Flush),
        1 => prop::collection::vec(any::<u8>(), 1..40).prop_map(Act::Garbage),
        2 => (0..40u64).prop_map(Act::Pass),
        1 => Just(Act::PeerClose),
        4 => Just(Act::Poll),
        6 => prop::sample::select(texts).prop_map(Act::Say),
        3 => Just(Act::Send),
        4 => Just(Act::Transmit),
        4 => Just(Act::Transmitted),
    ]
}

/// Whether the table leads from one state to the other by no inputs but these.
fn leads(from: State, to: State, inputs: &[LinkInput]) -> bool {
    let mut reached = vec![from];
    let mut at = 0;
    while let Some(state) = reached.get(at).copied() {
        at += 1;
        let next = inputs.iter().filter_map(|input| next_link(state, *input));
        let new: Vec<State> = next.filter(|next| !reached.contains(next)).collect();
        reached.extend(new);
    }
    reached.contains(&to)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_happens_a_connection_only_takes_steps_of_the_table(
        role in prop::sample::select(vec![Role::Client, Role::Server]),
        carrier in prop::sample::select(CARRIERS.to_vec()),
        acts in prop::collection::vec(act(), 1..40),
    ) {
        let mut link = Link::new(role, carrier);
        let mut out = TransmitBuf::new();
        prop_assert_eq!(link.connection.state(), first_link_state(role));
        for act in acts {
            let before = link.connection.state();
            act.run(&mut link, &mut out);
            let after = link.connection.state();
            prop_assert!(
                leads(before, after, act.inputs()),
                "{:?} led from {:?} to {:?}", act, before, after
            );
        }
    }
}
