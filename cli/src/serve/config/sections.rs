//! The sections of the configuration and their defaults. `docs/serve.toml` explains each key.

use std::collections::BTreeMap;
use std::path::PathBuf;

use sente_adapters::RecordingLimits;
use sente_core::{InboxLimits, Limits as CoreLimits};
use serde::{Deserialize, Serialize};

use crate::args::DialectName;

use super::hub::Hub;
use super::tables::{Mirrors, mirror, section};
use super::units::{Count, Off, Or, Pace, Percent, Size, Standard, Time, Unlimited};
use super::values::{Csrf, Endpoint, ListenUrl, LogFormat, LogLevel, Origins, PackerName, Secret};

/// Everything `sente serve` can be told.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(
    default,
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a table"
)]
pub(crate) struct Config {
    pub(crate) listen: Vec<Listen>,
    pub(crate) admission: Admission,
    pub(crate) limits: Limits,
    pub(crate) keepalive: Keepalive,
    pub(crate) queue: Queue,
    pub(crate) slow_consumer: SlowConsumer,
    pub(crate) rates: Rates,
    pub(crate) hub: Hub,
    pub(crate) ajax: Ajax,
    pub(crate) http: Http,
    pub(crate) log: Log,
    pub(crate) record: Record,
    pub(crate) shutdown: Shutdown,
}

impl Config {
    /// As a file says it, without the secrets.
    pub(crate) fn to_toml(&self) -> String {
        // Every value here has a form in TOML, and every key is a text.
        let mut text = toml::to_string(self).unwrap_or_default();
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text
    }

    /// The same as a table.
    pub(crate) fn to_table(&self) -> toml::Table {
        toml::Table::try_from(self).unwrap_or_default()
    }
}

/// One listener.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(crate) struct Listen {
    pub(crate) url: ListenUrl,
    #[serde(default)]
    pub(crate) dialect: Option<DialectName>,
    #[serde(default)]
    pub(crate) packer: Option<PackerName>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) packer_by_path: BTreeMap<String, PackerName>,
    #[serde(default)]
    pub(crate) deflate: bool,
    #[serde(default)]
    pub(crate) small_frames: Or<Size, Off>,
    #[serde(default)]
    pub(crate) tls: Option<Tls>,
}

impl Listen {
    /// Whether its URL asks for TLS.
    pub(crate) const fn is_secure(&self) -> bool {
        self.url.0.address.is_secure()
    }

    /// Whether its clients have to show a certificate.
    pub(crate) fn asks_for_certificates(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some())
    }

    /// A listener as it is without further words.
    pub(crate) const fn new(url: ListenUrl) -> Self {
        Self {
            url,
            dialect: None,
            packer: None,
            packer_by_path: BTreeMap::new(),
            deflate: false,
            small_frames: Or::NONE,
            tls: None,
        }
    }
}

/// The files of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(crate) struct Tls {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    #[serde(default)]
    pub(crate) client_ca: Option<PathBuf>,
}

section! {
    /// Who may connect, and how many.
    Admission {
        origins: Origins = Origins::All,
        auth_token: Option<Secret> = None,
        auth_token_file: Option<PathBuf> = None,
        max_connections: Or<Count, Unlimited> = Or::some(Count(100_000)),
        max_per_address: Or<Count, Unlimited> = Or::NONE,
        max_per_user: Or<Count, Unlimited> = Or::NONE,
        connect_rate: Or<Pace, Unlimited> = Or::NONE,
        csrf: Csrf = Csrf::Off,
    }
}

mirror! {
    /// What one connection may hold.
    Limits of CoreLimits {
        max_frame_bytes: Size = max_frame_bytes,
        warn_frame_bytes: Size = warn_frame_bytes,
        max_opened_bytes: Size = max_opened_bytes,
        max_depth: Count = max_depth,
        max_elements: Count = max_elements,
        max_send_messages: Count = max_send_messages,
        max_send_bytes: Size = max_send_bytes,
        send_high_water: Percent = send_high_water,
        send_low_water: Percent = send_low_water,
        max_recv_messages: Count = max_recv_messages,
        max_recv_bytes: Size = max_recv_bytes,
        recv_slow_messages: Count = recv_slow_messages,
        max_batch_bytes: Size = max_batch_bytes,
        max_batch_events: Count = max_batch_events,
        max_pending_calls: Count = max_pending_calls,
        max_transmit_bytes: Size = max_transmit_bytes,
        max_bad_frames_reported: Count = max_bad_frames_reported,
        bad_frame_period: Time = bad_frame_period,
    }
}

impl Limits {
    /// As connections take them.
    pub(crate) fn to_limits(&self) -> CoreLimits {
        let mut limits = CoreLimits::default();
        self.apply(&mut limits);
        limits
    }
}

section! {
    /// When to ping and give up.
    Keepalive {
        interval: Or<Time, Standard> = Or::NONE,
        timeout: Or<Time, Standard> = Or::NONE,
    }
}

section! {
    /// What waits for one connection that takes less than is sent to it.
    Queue (limits: InboxLimits) {
        max_messages: Count = Count(limits.max_messages),
        max_bytes: Size = Size(limits.max_bytes),
        flush_window: Or<Time, Off> = Or::NONE,
    }
}

section! {
    /// What happens to a connection whose queue stays full.
    SlowConsumer (limits: InboxLimits) {
        high_water: Percent = Percent(limits.high_water),
        low_water: Percent = Percent(limits.low_water),
        close_after: Or<Time, Off> = Or::NONE,
    }
}

section! {
    /// How much clients may send.
    Rates {
        connection_messages: Or<Pace, Unlimited> = Or::NONE,
        connection_bytes: Or<Pace, Unlimited> = Or::NONE,
        user_messages: Or<Pace, Unlimited> = Or::NONE,
        user_bytes: Or<Pace, Unlimited> = Or::NONE,
    }
}

section! {
    /// Long polling.
    Ajax {
        enabled: bool = true,
        poll_timeout: Or<Time, Off> = Or::some(Time::secs(20)),
        reply_timeout: Or<Time, Off> = Or::some(Time::secs(20)),
        flush_window: Or<Time, Off> = Or::NONE,
        max_requests: Count = Count(256),
    }
}

section! {
    /// The paths of the HTTP endpoints.
    Http {
        chsk: Endpoint = Endpoint::at("/chsk"),
        health: Or<Endpoint, Off> = Or::some(Endpoint::at("/health")),
        stats: Or<Endpoint, Off> = Or::some(Endpoint::at("/stats")),
        channels: Or<Endpoint, Off> = Or::some(Endpoint::at("/channels")),
        csrf_token: Or<Endpoint, Off> = Or::some(Endpoint::at("/csrf-token")),
        metrics: Or<Endpoint, Off> = Or::NONE,
        inspector: Or<Endpoint, Off> = Or::NONE,
    }
}

section! {
    /// Where log lines go, and which.
    Log {
        level: LogLevel = LogLevel("warn".to_owned()),
        file: Option<PathBuf> = None,
        format: LogFormat = LogFormat::Text,
    }
}

section! {
    /// Where connections are recorded, and how much.
    Record (limits: RecordingLimits) {
        dir: Option<PathBuf> = None,
        max_connections: Count = Mirrors::of(limits.max_recordings),
        max_bytes: Size = Mirrors::of(limits.max_bytes),
        max_total_bytes: Size = Mirrors::of(limits.max_total_bytes),
    }
}

impl Record {
    /// As recordings take it.
    pub(crate) fn to_limits(&self) -> RecordingLimits {
        let mut limits = RecordingLimits::default();
        limits.max_recordings = self.max_connections.to();
        limits.max_bytes = self.max_bytes.to();
        limits.max_total_bytes = self.max_total_bytes.to();
        limits
    }
}

section! {
    /// How the server ends.
    Shutdown {
        drain: Time = Time::secs(3),
    }
}
