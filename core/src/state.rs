//! Every transition there is, of one link and of a client that reconnects, as pure functions.
//!
//! [`next_client`] is what [`Client`](crate::Client) asks before every change of its state; `None`
//! means that the input has no effect in this state. [`next_link`] is the same for one
//! [`Connection`](crate::Connection), which begins in [`first_link_state`]. `docs/states.md` is drawn
//! from these functions.

use crate::connection::State;
use crate::profile::Role;

/// The kind of a [`ClientState`](crate::ClientState), without what the state carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ClientPhase {
    /// Never asked to connect.
    Idle,
    /// An attempt is wanted, or the driver is dialling.
    Connecting,
    /// The transport is open, the handshake has not come.
    Handshaking,
    /// The handshake came: events can be sent.
    Open,
    /// The link ends in order; sends are refused.
    Draining,
    /// The next attempt waits for its time.
    Waiting,
    /// Nothing is tried until the application connects again.
    Closed,
}

impl ClientPhase {
    /// All of them, in the order of a life.
    pub const ALL: [Self; 7] = [
        Self::Idle,
        Self::Connecting,
        Self::Handshaking,
        Self::Open,
        Self::Draining,
        Self::Waiting,
        Self::Closed,
    ];
}

/// What can change the state of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ClientInput {
    /// The application asks to connect.
    Connect,
    /// The driver has opened the transport of the attempt.
    Connected,
    /// The application asks to disconnect or to drain.
    Disconnect,
    /// The time to wait is over.
    Due,
    /// The attempt or the link ended, and another attempt will follow.
    Lost,
    /// The handshake came.
    Opened,
    /// The attempt or the link ended, and none will follow.
    Over,
    /// The peer ended its side of a byte stream: what is queued is still written.
    PeerFinished,
    /// The application asks for a fresh link.
    Reconnect,
}

impl ClientInput {
    /// All of them, in alphabetical order.
    pub const ALL: [Self; 9] = [
        Self::Connect,
        Self::Connected,
        Self::Disconnect,
        Self::Due,
        Self::Lost,
        Self::Opened,
        Self::Over,
        Self::PeerFinished,
        Self::Reconnect,
    ];
}

/// The state of a client after `input`; `None` if the input has no effect in `phase`.
#[must_use]
pub const fn next_client(phase: ClientPhase, input: ClientInput) -> Option<ClientPhase> {
    use ClientInput as On;
    use ClientPhase as At;
    Some(match (phase, input) {
        (At::Idle | At::Closed | At::Waiting | At::Draining, On::Connect | On::Reconnect)
        | (At::Connecting | At::Handshaking | At::Open, On::Reconnect)
        | (At::Waiting, On::Due) => At::Connecting,

        (At::Connecting, On::Connected) => At::Handshaking,
        (At::Handshaking, On::Opened) => At::Open,

        (At::Handshaking | At::Open | At::Draining, On::Disconnect)
        | (At::Open, On::PeerFinished) => At::Draining,

        (At::Connecting | At::Handshaking | At::Open | At::Draining, On::Lost) => At::Waiting,

        (At::Connecting | At::Handshaking | At::Open | At::Draining | At::Waiting, On::Over)
        | (At::Connecting | At::Waiting, On::Disconnect) => At::Closed,

        _ => return None,
    })
}

/// What can change the state of one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LinkInput {
    /// The server accepts the client.
    Accept,
    /// The application asks to drain.
    Drain,
    /// The link is over: the transport ended, the closing handshake is done, the peer broke the
    /// protocol or was silent too long, or a byte stream was closed.
    End,
    /// This side says goodbye on a WebSocket: it was closed, or has drained.
    Goodbye,
    /// The handshake that opens the link came.
    Handshake,
}

impl LinkInput {
    /// All of them, in alphabetical order.
    pub const ALL: [Self; 5] = [
        Self::Accept,
        Self::Drain,
        Self::End,
        Self::Goodbye,
        Self::Handshake,
    ];
}

/// The states of a link, in the order of a life.
pub const LINK_STATES: [State; 6] = [
    State::Accepting,
    State::Handshaking,
    State::Open,
    State::Draining,
    State::Closing,
    State::Closed,
];

/// The state a link of this role begins in.
#[must_use]
pub const fn first_link_state(role: Role) -> State {
    match role {
        Role::Client => State::Handshaking,
        Role::Server => State::Accepting,
    }
}

/// The state of a link after `input`; `None` if the input has no effect in `state`.
///
/// Asked to drain before it is open, a link closes instead: a WebSocket says goodbye, a byte stream
/// ends.
#[must_use]
pub const fn next_link(state: State, input: LinkInput) -> Option<State> {
    use LinkInput as On;
    use State as At;
    Some(match (state, input) {
        (At::Accepting, On::Accept) | (At::Handshaking, On::Handshake) => At::Open,
        (At::Open, On::Drain) => At::Draining,
        (At::Accepting | At::Handshaking | At::Open | At::Draining, On::Goodbye) => At::Closing,
        (At::Accepting | At::Handshaking | At::Open | At::Draining | At::Closing, On::End) => {
            At::Closed
        }
        _ => return None,
    })
}
