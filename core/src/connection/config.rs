//! What a connection is told before it starts.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use sente_edn::{Keyword, Map, Value};
use thiserror::Error;

use crate::event::Reader;
use crate::extensions::Extensions;
use crate::framing::Kind;
#[cfg(feature = "deflate")]
use crate::framing::websocket::DeflateConfig;
use crate::limits::Limits;
use crate::packer::{Edn, Format, Packer, edn_limits};
use crate::profile::{Carrier, Dialect, Keepalive, Profile, Role};
use crate::queue::{Rate, WaterMarks};

use super::atoms::Atoms;
use super::scratch::Scratch;

/// The configuration connections share: build it once, hand out clones of the `Arc`.
///
/// ```
/// use sente_core::{Carrier, ConnectionConfig, Dialect, Role};
///
/// let config = ConnectionConfig::builder(Role::Client, Dialect::Sente, Carrier::WebSocket)
///     .build()?;
/// # Ok::<(), sente_core::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct ConnectionConfig {
    pub(crate) profile: Profile,
    pub(crate) carrier: Carrier,
    pub(crate) packer: Arc<dyn Packer>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) reader: Reader,
    /// What the packer says of itself.
    pub(crate) kind: Kind,
    pub(crate) seals: bool,
    pub(crate) format: Format,
    pub(crate) water_marks: WaterMarks,
    /// A message whose frame is shorter is neither refused for its length nor told of.
    pub(crate) quiet_below: usize,
    /// The same; 0 where more is to be asked of each event.
    pub(crate) simple_below: usize,
    /// How many bytes of frames may be made before they leave; 0 where none may.
    pub(crate) most_ahead: usize,
    pub(crate) keepalive: Option<Keepalive>,
    pub(crate) handshake_timeout: Duration,
    pub(crate) close_timeout: Duration,
    pub(crate) hello: Option<Hello>,
    pub(crate) flush_window: Option<Duration>,
    pub(crate) send_rate: Option<Rate>,
    pub(crate) keep_dropped: usize,
    /// What a client offers, or a server grants to those who offer.
    pub(crate) extensions: Extensions,
    /// Whether an answer in the handshake is looked for.
    pub(crate) offers: bool,
    pub(crate) on_recv_full: RecvPolicy,
    pub(crate) wrap_received: bool,
    /// Where frames are EDN: how much one may ask of its reader.
    pub(crate) edn: Option<sente_edn::Limits>,
    /// A frame larger than this is reported; [`usize::MAX`] where nobody asked for that.
    pub(crate) small_frames: usize,
    #[cfg(feature = "deflate")]
    deflate: Option<DeflateConfig>,
    pub(crate) atoms: Atoms,
    #[cfg(feature = "serde")]
    pub(crate) room: crate::room::Room,
}

impl ConnectionConfig {
    /// Starts a configuration with the defaults of this role, dialect and carrier.
    pub fn builder(role: Role, dialect: Dialect, carrier: Carrier) -> ConnectionConfigBuilder {
        ConnectionConfigBuilder {
            profile: Profile {
                role,
                dialect,
                stream: carrier.is_stream(),
                extensions: Extensions::NONE,
            },
            carrier,
            packer: Arc::new(Edn),
            limits: Limits::default(),
            keepalive: Some(Keepalive::default_for(role, dialect)),
            handshake_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
            hello: None,
            flush_window: None,
            send_rate: None,
            keep_dropped: 0,
            offer: None,
            grant: None,
            on_recv_full: RecvPolicy::Backpressure,
            wrap_received: false,
            small_frames: None,
            #[cfg(feature = "deflate")]
            deflate: None,
        }
    }

    /// What the driver offers or grants of permessage-deflate in the upgrade of a WebSocket.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub const fn deflate(&self) -> Option<&DeflateConfig> {
        self.deflate.as_ref()
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The packer in force.
    #[must_use]
    pub fn packer(&self) -> &Arc<dyn Packer> {
        &self.packer
    }

    /// The dialect the connection begins with.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        self.profile.dialect
    }

    /// The side of the connection.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.profile.role
    }

    /// What carries the frames.
    #[must_use]
    pub const fn carrier(&self) -> Carrier {
        self.carrier
    }
}

/// Builds a [`ConnectionConfig`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct ConnectionConfigBuilder {
    profile: Profile,
    carrier: Carrier,
    packer: Arc<dyn Packer>,
    limits: Limits,
    keepalive: Option<Keepalive>,
    handshake_timeout: Duration,
    close_timeout: Duration,
    hello: Option<Hello>,
    flush_window: Option<Duration>,
    send_rate: Option<Rate>,
    keep_dropped: usize,
    offer: Option<Extensions>,
    grant: Option<Extensions>,
    on_recv_full: RecvPolicy,
    wrap_received: bool,
    small_frames: Option<usize>,
    #[cfg(feature = "deflate")]
    deflate: Option<DeflateConfig>,
}

impl ConnectionConfigBuilder {
    /// The packer. Default [`Edn`].
    pub fn packer(mut self, packer: Arc<dyn Packer>) -> Self {
        self.packer = packer;
        self
    }

    /// The limits. Default [`Limits::default`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// When to ping and give up; `None` for never. Default [`Keepalive::default_for`] the role and
    /// dialect. A byte stream is only pinged after a hello: a bare script is never killed for its
    /// silence. Times below a millisecond count as one.
    pub fn keepalive(mut self, keepalive: Option<Keepalive>) -> Self {
        self.keepalive = keepalive;
        self
    }

    /// How long a client waits for the handshake. Default 10 s.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// How long the closing handshake of a WebSocket may take before the transport is cut
    /// (http-kit never closes its TCP side). Default 5 s.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }

    /// The hello a client says on a byte stream. Default none: it is a bare sente-lite peer.
    pub fn hello(mut self, hello: Hello) -> Self {
        self.hello = Some(hello);
        self
    }

    /// How long the first event queued waits for others to leave with it. Default `None`: what is
    /// queued leaves as soon as the transport is free, and what gathers meanwhile leaves together.
    /// Sente's server gathers for 30 ms, sente-lite's client for 10 ms.
    ///
    /// The wait ends early when a batch is full (`Limits::max_batch_events`, `max_batch_bytes`),
    /// with a call, a reply, a send that says `flush`, `flush` and `drain`. The handshake, pings
    /// and pongs never wait.
    pub fn flush_window(mut self, window: Option<Duration>) -> Self {
        self.flush_window = window;
        self
    }

    /// How many events this side sends at most; replies do not count. Default `None`: no limit.
    /// A [`Client`](crate::Client) is held to it over all its links together.
    /// What comes too early is refused as `SendError::RateLimited`, with the time to try again.
    pub fn send_rate(mut self, rate: Option<Rate>) -> Self {
        self.send_rate = rate;
        self
    }

    /// How many bytes of dropped events are kept for the next `ConnectionEvent::Dropped`, where
    /// the application wants to put them elsewhere; each counts 64 bytes more than its own. The
    /// first are kept, all are counted. Default 0: none is kept.
    pub fn keep_dropped(mut self, max_bytes: usize) -> Self {
        self.keep_dropped = max_bytes;
        self
    }

    /// The extensions a client offers. Default none, not even an empty offer: the handshake is the
    /// stock one. On a byte stream the hello carries the offer, an empty hello if none is set; over
    /// WebSocket the driver passes it in the URL, as the parameter `sente-ext`.
    pub fn offer(mut self, extensions: Extensions) -> Self {
        self.offer = Some(extensions);
        self
    }

    /// The extensions a server grants to clients that offer them. Default all; clients that offer
    /// nothing never hear of it.
    pub fn grant(mut self, extensions: Extensions) -> Self {
        self.grant = Some(extensions);
        self
    }

    /// What becomes of what arrives while the receive queue is full. Default
    /// [`RecvPolicy::Backpressure`].
    pub fn on_recv_full(mut self, policy: RecvPolicy) -> Self {
        self.on_recv_full = policy;
        self
    }

    /// Whether a client hands every event over as `[:chsk/recv event]`, as Sente's and sente-lite's
    /// `:wrap-recv-evs?` says: one handler then sees all that the server sends, and nothing that is
    /// the client's own. Default `false`: also what a sente-lite server has wrapped is unwrapped.
    /// Costs a copy of each event; calls are wrapped, too, and answered as ever. Does nothing on a
    /// server, whose option is [`HubConfig::wrap_pushes`](crate::HubConfig::wrap_pushes).
    pub fn wrap_received(mut self, wrap: bool) -> Self {
        self.wrap_received = wrap;
        self
    }

    /// Keeps frames at or under so many bytes for a peer that loses larger ones, such as sente-lite's
    /// Babashka client, which loses messages above about 16 KiB
    /// ([`BABASHKA_FRAME_BYTES`](crate::BABASHKA_FRAME_BYTES)). Default `None`.
    ///
    /// Batches are bounded by it, before they are compressed or encrypted, and so is what is handed
    /// to the transport in one go (`Limits::max_batch_bytes`, `max_transmit_bytes`). Messages are
    /// never fragmented, so one event, call or reply that is larger leaves as it is, alone, and is
    /// reported as `ConnectionEvent::LargeFrame`.
    pub fn small_frames(mut self, max_bytes: Option<usize>) -> Self {
        self.small_frames = max_bytes;
        self
    }

    /// The permessage-deflate that the driver offers or grants in the upgrade of a WebSocket, and
    /// whose outcome it hands to `Connection::set_deflate`. Default `None`: not at all.
    #[cfg(feature = "deflate")]
    pub fn deflate(mut self, deflate: Option<DeflateConfig>) -> Self {
        self.deflate = deflate;
        self
    }

    /// The finished configuration.
    ///
    /// # Errors
    /// [`ConfigError`] naming what does not fit together.
    pub fn build(self) -> Result<Arc<ConnectionConfig>, ConfigError> {
        let Self {
            profile, carrier, ..
        } = self;
        if carrier == Carrier::Lines && self.packer.kind() == Kind::Binary {
            return Err(ConfigError::BinaryInLines(String::from(self.packer.name())));
        }
        if self.hello.is_some() && (profile.role == Role::Server || !profile.stream) {
            return Err(ConfigError::MisplacedHello);
        }
        let misplaced = match profile.role {
            Role::Client => self.grant.is_some(),
            Role::Server => self.offer.is_some(),
        };
        if misplaced {
            return Err(ConfigError::MisplacedExtensions);
        }
        if self.limits.max_frame_bytes == 0 {
            return Err(ConfigError::NoFrames);
        }
        let mut limits = self.limits;
        let small_frames = self.small_frames.unwrap_or(usize::MAX);
        limits.max_batch_bytes = limits.max_batch_bytes.min(small_frames);
        limits.max_transmit_bytes = limits.max_transmit_bytes.min(small_frames);
        let mut hello = self.hello;
        if self.offer.is_some() && profile.stream {
            hello.get_or_insert_default().offer = self.offer;
        }
        let extensions = match profile.role {
            Role::Client => self.offer.unwrap_or_default(),
            Role::Server => self.grant.unwrap_or(Extensions::ALL),
        };
        let atoms = Atoms::new(&*self.packer)
            .ok_or_else(|| ConfigError::UnfitPacker(String::from(self.packer.name())))?;
        let edn =
            (self.packer.format() == "edn" && !self.packer.seals()).then(|| edn_limits(&limits));
        let water_marks = WaterMarks::new(&limits);
        let asks_more =
            self.packer.seals() || self.send_rate.is_some() || self.flush_window.is_some();
        let most = limits.max_frame_bytes.min(small_frames);
        let quiet_below = most.saturating_add(1).min(limits.warn_frame_bytes);
        let simple_below = if asks_more { 0 } else { quiet_below };
        let most_ahead = if self.packer.seals() {
            0
        } else {
            Scratch::MOST.min(limits.max_transmit_bytes)
        };
        let limits = Arc::new(limits);
        Ok(Arc::new(ConnectionConfig {
            profile,
            carrier,
            reader: Reader::new(&self.packer, &limits),
            kind: self.packer.kind(),
            seals: self.packer.seals(),
            format: Format::new(self.packer.format()),
            packer: self.packer,
            water_marks,
            quiet_below,
            simple_below,
            most_ahead,
            limits,
            keepalive: self.keepalive.map(Keepalive::at_least_a_millisecond),
            handshake_timeout: self.handshake_timeout,
            close_timeout: self.close_timeout,
            flush_window: self.flush_window,
            send_rate: self.send_rate,
            keep_dropped: self.keep_dropped,
            hello,
            extensions,
            offers: self.offer.is_some(),
            on_recv_full: self.on_recv_full,
            edn,
            wrap_received: self.wrap_received && profile.role == Role::Client,
            small_frames,
            #[cfg(feature = "deflate")]
            deflate: self.deflate,
            atoms,
            #[cfg(feature = "serde")]
            room: crate::room::Room::default(),
        }))
    }
}

/// What becomes of what arrives while the receive queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecvPolicy {
    /// The transport is not read until there is room, so that the peer has to wait: nothing is
    /// lost.
    #[default]
    Backpressure,
    /// Reading goes on, and the oldest unread messages make room, as in Sente's sliding buffers:
    /// events first, then calls, which are answered with an error. All are counted and reported as
    /// `ConnectionEvent::Shed`. What the application itself asked for, replies to its calls, is
    /// kept; reading stops only where nothing but that fills the queue, or where the peer takes no
    /// answers.
    ///
    /// The share of a budget (`Connection::set_recv_allowance`) is asked to be raised before
    /// anything is dropped for it: reading stops until the answer is there.
    DropOldest,
}

/// What does not fit together in a configuration: the caller's mistake.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A binary packer on a carrier of lines.
    #[error("the packer {0} is binary and cannot travel in lines: use LengthPrefixed")]
    BinaryInLines(String),
    /// A client that grants extensions, or a server that offers them.
    #[error("a client offers extensions, a server grants them")]
    MisplacedExtensions,
    /// A hello elsewhere than on the client side of a byte stream.
    #[error("only the client side of a byte stream says hello")]
    MisplacedHello,
    /// A client was given the configuration of a server's links.
    #[error("a client needs links of the role Client")]
    NotAClient,
    /// A frame limit of nothing.
    #[error("max_frame_bytes is 0: no frame could ever pass")]
    NoFrames,
    /// A packer that cannot pack keywords and strings.
    #[error("the packer {0} cannot pack the protocol's own keywords and strings")]
    UnfitPacker(String),
}

/// What a client may say of itself on a byte stream, `[:sente-lite/hello {..}]`.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Hello {
    /// A label for the client, never a proof of anything.
    pub client_id: Option<String>,
    /// A token for the server's admission.
    pub token: Option<String>,
    /// The dialect asked for from the second handshake on.
    pub dialect: Option<Dialect>,
    /// What [`ConnectionConfigBuilder::offer`] said.
    offer: Option<Extensions>,
}

impl Hello {
    /// An empty hello: it makes keepalive work and asks for nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn to_event(&self) -> Value {
        let mut map = Map::new();
        let mut put = |key: &str, value: Value| {
            map.insert(keyword(key), value);
        };
        if let Some(id) = &self.client_id {
            put("client-id", Value::from(id.as_str()));
        }
        if let Some(token) = &self.token {
            put("token", Value::from(token.as_str()));
        }
        match self.dialect {
            Some(Dialect::Sente) => put("dialect", keyword("sente")),
            Some(Dialect::SenteLite) => put("dialect", keyword("sente-lite")),
            None => {}
        }
        if let Some(offer) = self.offer {
            put("ext", offer.to_value());
        }
        vector([keyword("sente-lite/hello"), Value::Map(map)])
    }
}

/// What a server tells a client in its handshake.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Accept {
    /// The user id: any value; Sente's default for nobody is `:sente/nil-uid`.
    pub uid: Value,
    /// The CSRF token, sent in sente-lite's handshake only (Sente's slot is always nil).
    pub csrf_token: Value,
    /// The application's data. sente-lite's stock server sends `{:sente-lite-version "2.0.0"}`.
    pub data: Value,
    /// The extensions the client offered in its URL (`sente-ext`); `None` if it offered nothing,
    /// and then the handshake says nothing of them. The hello of a byte stream takes its place.
    ///
    /// In sente-lite's dialect the answer is a key of `data`, so `data` has to be a map or nil;
    /// otherwise nothing is granted.
    pub offered: Option<Extensions>,
}

impl Accept {
    /// The handshake of `uid`, without a token and with nil data.
    #[must_use]
    pub fn new(uid: impl Into<Value>) -> Self {
        Self {
            uid: uid.into(),
            csrf_token: Value::Nil,
            data: Value::Nil,
            offered: None,
        }
    }

    /// Whether the handshake has a place for the answer to an offer.
    pub(crate) const fn can_answer(&self, dialect: Dialect) -> bool {
        match dialect {
            Dialect::Sente => true,
            Dialect::SenteLite => matches!(self.data, Value::Map(_) | Value::Nil),
        }
    }

    /// The handshake as the frame of `dialect`. Sente: three slots in an envelope; sente-lite:
    /// four slots, the last always true. An offer is answered with what is `granted`: in Sente's
    /// dialect in a fourth slot, in sente-lite's in the data.
    pub(crate) fn to_frame(&self, dialect: Dialect, granted: Extensions) -> Value {
        let id = keyword("chsk/handshake");
        let answer = self
            .offered
            .filter(|_| self.can_answer(dialect))
            .map(|_| granted.to_value());
        match dialect {
            Dialect::Sente => {
                let mut slots = Vec::from([self.uid.clone(), Value::Nil, self.data.clone()]);
                if let Some(answer) = answer {
                    let mut map = Map::new();
                    map.insert(keyword("ext"), answer);
                    slots.push(Value::Map(map));
                }
                vector([vector([id, Value::Vector(slots.into())]), Value::Nil])
            }
            Dialect::SenteLite => {
                let mut data = self.data.clone();
                if let Some(answer) = answer {
                    let mut map = match data {
                        Value::Map(map) => map,
                        _ => Map::new(),
                    };
                    map.insert(keyword("ext"), answer);
                    data = Value::Map(map);
                }
                vector([
                    id,
                    vector([
                        self.uid.clone(),
                        self.csrf_token.clone(),
                        data,
                        Value::Bool(true),
                    ]),
                ])
            }
        }
    }
}

/// A keyword the engine itself spells; nil if it should ever be misspelt.
pub(crate) fn keyword(name: &str) -> Value {
    Keyword::new(name).map_or(Value::Nil, Value::Keyword)
}

pub(crate) fn vector<const N: usize>(items: [Value; N]) -> Value {
    Value::Vector(Vec::from(items).into())
}
