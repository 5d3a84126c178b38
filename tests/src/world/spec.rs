//! What a peer of the simulation is made of, as values and as one line of text.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use sente_core::{Carrier, ConnectionConfig, Dialect, Hello, Keepalive, Limits, Role};

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
    /// The limits.
    pub limits: Limits,
    /// Where its randomness comes from.
    pub seed: [u8; 32],
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
            max_bad_frames_reported
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
            .limits(self.limits.clone());
        if self.hello {
            let mut hello = Hello::new();
            hello.client_id = Some("world".into());
            hello.dialect = Some(self.dialect);
            builder = builder.hello(hello);
        }
        builder.build().expect("the spec fits together")
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
