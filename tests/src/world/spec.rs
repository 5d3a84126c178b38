//! What a peer of the simulation is made of, as values and as one line of text.

use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use sente_core::{
    Accept, Backoff, Carrier, ClientConfig, ConnectionConfig, Dialect, Extensions, Hello,
    Keepalive, Limits, OnOffline, Rate, RecvPolicy, Role,
};

/// Everything a [`Connection`](sente_core::Connection) is told before it starts.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "tests build it field by field")]
pub struct Spec {
    /// The side.
    pub role: Role,
    /// The dialect; on a byte stream what the hello asks for, if there is one.
    pub dialect: Dialect,
    /// What carries the frames.
    pub carrier: Carrier,
    /// Whether a client says hello.
    pub hello: bool,
    /// When to ping and to give up.
    pub keepalive: Option<Keepalive>,
    /// How long the closing handshake may take.
    pub close_timeout: Duration,
    /// What a client offers. Over WebSocket the URL carries it, so that the server is told.
    pub extensions: Option<Extensions>,
    /// How long queued events wait for others.
    pub flush_window: Option<Duration>,
    /// How often it sends at most: so many events in a period, so many at once.
    pub send_rate: Option<(u32, Duration, u32)>,
    /// Whether the receive queue drops what is oldest when it is full.
    pub sheds: bool,
    /// For a client that comes back: how.
    pub reconnects: Option<Reconnects>,
    /// The limits.
    pub limits: Limits,
    /// Where its randomness comes from.
    pub seed: [u8; 32],
}

/// How a client comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "tests build it field by field")]
pub struct Reconnects {
    /// How many events are kept while it is offline; 0 to refuse them.
    pub keeps: usize,
    /// How many attempts it makes in a row; 0 for ever.
    pub attempts: u32,
}

/// The limits that a recorded line can carry, by name.
macro_rules! numbers {
    ($visit:ident) => {
        $visit!(
            max_frame_bytes,
            max_send_messages,
            max_send_bytes,
            max_recv_messages,
            max_recv_bytes,
            max_batch_bytes,
            max_batch_events,
            max_pending_calls,
            max_transmit_bytes,
            max_bad_frames_reported,
            max_flushes,
            max_reservations
        )
    };
}

impl Spec {
    /// A peer of all defaults.
    #[must_use]
    pub fn new(role: Role, dialect: Dialect, carrier: Carrier) -> Self {
        Self {
            role,
            dialect,
            carrier,
            hello: false,
            keepalive: Some(Keepalive::default_for(role, dialect)),
            close_timeout: Duration::from_secs(5),
            extensions: None,
            flush_window: None,
            send_rate: None,
            sheds: false,
            reconnects: None,
            limits: Limits::default(),
            seed: [1; 32],
        }
    }

    /// The configuration it stands for.
    ///
    /// # Panics
    /// If its parts do not fit together.
    #[must_use]
    pub fn config(&self) -> Arc<ConnectionConfig> {
        let mut builder = ConnectionConfig::builder(self.role, self.dialect, self.carrier)
            .keepalive(self.keepalive)
            .close_timeout(self.close_timeout)
            // So that it is known which events were dropped.
            .keep_dropped(1 << 20)
            .flush_window(self.flush_window)
            .send_rate(self.rate())
            .limits(self.limits.clone());
        if self.sheds {
            builder = builder.on_recv_full(RecvPolicy::DropOldest);
        }
        if let Some(extensions) = self.extensions.filter(|_| self.role == Role::Client) {
            builder = builder.offer(extensions);
        }
        if self.hello {
            let mut hello = Hello::new();
            hello.client_id = Some("world".into());
            hello.dialect = Some(self.dialect);
            builder = builder.hello(hello);
        }
        builder.build().expect("the spec fits together")
    }

    /// The configuration of a client that comes back.
    pub(super) fn client_config(&self) -> Option<Arc<ClientConfig>> {
        let reconnects = self.reconnects?;
        let backoff = Backoff::default();
        let mut builder = ClientConfig::builder(self.config()).backoff({
            let mut backoff = backoff;
            backoff.max_attempts = NonZeroU32::new(reconnects.attempts);
            backoff
        });
        if reconnects.keeps > 0 {
            builder = builder.on_offline(OnOffline::Buffer {
                max_messages: reconnects.keeps,
                max_bytes: 1 << 20,
            });
        }
        Some(builder.build().expect("the spec is a client's"))
    }

    /// What a server of it says when it accepts.
    #[must_use]
    pub fn accept(&self) -> Accept {
        let mut accept = Accept::new("u");
        accept.offered = self
            .extensions
            .filter(|_| self.carrier == Carrier::WebSocket);
        accept
    }

    fn rate(&self) -> Option<Rate> {
        self.send_rate
            .map(|(events, period, burst)| Rate::new(events, period, burst))
    }

    /// The spec as one line.
    #[must_use]
    pub fn to_line(&self) -> String {
        let mut line = format!(
            "role={:?} dialect={:?} carrier={:?} hello={} close_timeout={}",
            self.role,
            self.dialect,
            self.carrier,
            self.hello,
            self.close_timeout.as_nanos()
        );
        if let Some(keepalive) = self.keepalive {
            let (interval, timeout) = (keepalive.interval.as_nanos(), keepalive.timeout.as_nanos());
            let _ = write!(line, " keepalive={interval}/{timeout}");
        }
        if let Some(extensions) = self.extensions {
            let _ = write!(line, " extensions={extensions}");
        }
        if let Some(window) = self.flush_window {
            let _ = write!(line, " flush_window={}", window.as_nanos());
        }
        if let Some((events, period, burst)) = self.send_rate {
            let _ = write!(line, " send_rate={events}/{}/{burst}", period.as_nanos());
        }
        if let Some(Reconnects { keeps, attempts }) = self.reconnects {
            let _ = write!(line, " reconnects={keeps}/{attempts}");
        }
        if self.sheds {
            line.push_str(" sheds=true");
        }
        let defaults = Limits::default();
        macro_rules! write_changed {
            ($($name:ident),*) => {
                $(if self.limits.$name != defaults.$name {
                    let _ = write!(line, " {}={}", stringify!($name), self.limits.$name);
                })*
            };
        }
        numbers!(write_changed);
        let _ = write!(line, " seed={}", super::record::hex(&self.seed));
        line
    }

    /// The spec a line stands for.
    ///
    /// # Errors
    /// What cannot be understood.
    pub fn from_line(line: &str) -> Result<Self, String> {
        let mut spec = Self::new(Role::Client, Dialect::Sente, Carrier::WebSocket);
        spec.keepalive = None;
        for word in line.split_whitespace() {
            let (name, text) = word.split_once('=').ok_or_else(|| word.to_owned())?;
            let wrong = || format!("what is {word}?");
            let number = || text.parse::<u64>().map_err(|_| wrong());
            macro_rules! read_number {
                ($($name:ident),*) => {
                    match name {
                        $(stringify!($name) => {
                            spec.limits.$name = usize::try_from(number()?).map_err(|_| wrong())?;
                        })*
                        "role" => spec.role = match text {
                            "Client" => Role::Client,
                            "Server" => Role::Server,
                            _ => return Err(wrong()),
                        },
                        "dialect" => spec.dialect = match text {
                            "Sente" => Dialect::Sente,
                            "SenteLite" => Dialect::SenteLite,
                            _ => return Err(wrong()),
                        },
                        "carrier" => spec.carrier = match text {
                            "Lines" => Carrier::Lines,
                            "LengthPrefixed" => Carrier::LengthPrefixed,
                            "WebSocket" => Carrier::WebSocket,
                            _ => return Err(wrong()),
                        },
                        "hello" => spec.hello = text == "true",
                        "extensions" => {
                            spec.extensions = Some(text.parse().map_err(|_| wrong())?);
                        }
                        "flush_window" => {
                            spec.flush_window = Some(Duration::from_nanos(number()?));
                        }
                        "send_rate" => spec.send_rate = Some(parse_rate(text).ok_or_else(wrong)?),
                        "reconnects" => {
                            let (keeps, attempts) = text.split_once('/').ok_or_else(wrong)?;
                            spec.reconnects = Some(Reconnects {
                                keeps: keeps.parse().map_err(|_| wrong())?,
                                attempts: attempts.parse().map_err(|_| wrong())?,
                            });
                        }
                        "sheds" => spec.sheds = text == "true",
                        "close_timeout" => spec.close_timeout = Duration::from_nanos(number()?),
                        "keepalive" => {
                            let (interval, timeout) = text.split_once('/').ok_or_else(wrong)?;
                            let nanos = |text: &str| text.parse().map_err(|_| wrong());
                            spec.keepalive = Some(Keepalive::new(
                                Duration::from_nanos(nanos(interval)?),
                                Duration::from_nanos(nanos(timeout)?),
                            ));
                        }
                        "seed" => {
                            let bytes = super::record::unhex(text).ok_or_else(wrong)?;
                            spec.seed = bytes.try_into().map_err(|_| wrong())?;
                        }
                        _ => return Err(wrong()),
                    }
                };
            }
            numbers!(read_number);
        }
        Ok(spec)
    }
}

/// `events/nanoseconds/burst`
fn parse_rate(text: &str) -> Option<(u32, Duration, u32)> {
    let mut words = text.split('/');
    let events = words.next()?.parse().ok()?;
    let period = Duration::from_nanos(words.next()?.parse().ok()?);
    Some((events, period, words.next()?.parse().ok()?))
}
