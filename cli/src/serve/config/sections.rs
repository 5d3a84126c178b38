//! The sections of the configuration and their defaults. `docs/serve.toml` explains each key.

use std::collections::BTreeMap;
use std::path::PathBuf;

use sente_adapters::RecordingLimits;
use sente_core::{InboxLimits, Limits as CoreLimits};
use serde::{Deserialize, Serialize};

use crate::args::DialectName;

use super::hub::Hub;
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

/// Who may connect, and how many.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(
    default,
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a table"
)]
pub(crate) struct Admission {
    pub(crate) origins: Origins,
    pub(crate) auth_token: Option<Secret>,
    pub(crate) auth_token_file: Option<PathBuf>,
    pub(crate) max_connections: Or<Count, Unlimited>,
    pub(crate) max_per_address: Or<Count, Unlimited>,
    pub(crate) max_per_user: Or<Count, Unlimited>,
    pub(crate) connect_rate: Or<Pace, Unlimited>,
    pub(crate) csrf: Csrf,
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            origins: Origins::All,
            auth_token: None,
            auth_token_file: None,
            max_connections: Or::some(Count(100_000)),
            max_per_address: Or::NONE,
            max_per_user: Or::NONE,
            connect_rate: Or::NONE,
            csrf: Csrf::Off,
        }
    }
}

/// What one connection may hold.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(
    default,
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a table"
)]
pub(crate) struct Limits {
    pub(crate) max_frame_bytes: Size,
    pub(crate) warn_frame_bytes: Size,
    pub(crate) max_opened_bytes: Size,
    pub(crate) max_depth: Count,
    pub(crate) max_elements: Count,
    pub(crate) max_send_messages: Count,
    pub(crate) max_send_bytes: Size,
    pub(crate) send_high_water: Percent,
    pub(crate) send_low_water: Percent,
    pub(crate) max_recv_messages: Count,
    pub(crate) max_recv_bytes: Size,
    pub(crate) recv_slow_messages: Count,
    pub(crate) max_batch_bytes: Size,
    pub(crate) max_batch_events: Count,
    pub(crate) max_pending_calls: Count,
    pub(crate) max_transmit_bytes: Size,
    pub(crate) max_bad_frames_reported: Count,
    pub(crate) bad_frame_period: Time,
}

impl Default for Limits {
    fn default() -> Self {
        let limits = CoreLimits::default();
        Self {
            max_frame_bytes: Size(limits.max_frame_bytes),
            warn_frame_bytes: Size(limits.warn_frame_bytes),
            max_opened_bytes: Size(limits.max_opened_bytes),
            max_depth: Count(limits.max_depth),
            max_elements: Count(limits.max_elements),
            max_send_messages: Count(limits.max_send_messages),
            max_send_bytes: Size(limits.max_send_bytes),
            send_high_water: Percent(limits.send_high_water),
            send_low_water: Percent(limits.send_low_water),
            max_recv_messages: Count(limits.max_recv_messages),
            max_recv_bytes: Size(limits.max_recv_bytes),
            recv_slow_messages: Count(limits.recv_slow_messages),
            max_batch_bytes: Size(limits.max_batch_bytes),
            max_batch_events: Count(limits.max_batch_events),
            max_pending_calls: Count(limits.max_pending_calls),
            max_transmit_bytes: Size(limits.max_transmit_bytes),
            max_bad_frames_reported: Count(limits.max_bad_frames_reported),
            bad_frame_period: Time(limits.bad_frame_period),
        }
    }
}

impl Limits {
    /// As connections take them.
    pub(crate) fn to_limits(&self) -> CoreLimits {
        let mut limits = CoreLimits::default();
        limits.max_frame_bytes = self.max_frame_bytes.0;
        limits.warn_frame_bytes = self.warn_frame_bytes.0;
        limits.max_opened_bytes = self.max_opened_bytes.0;
        limits.max_depth = self.max_depth.0;
        limits.max_elements = self.max_elements.0;
        limits.max_send_messages = self.max_send_messages.0;
        limits.max_send_bytes = self.max_send_bytes.0;
        limits.send_high_water = self.send_high_water.0;
        limits.send_low_water = self.send_low_water.0;
        limits.max_recv_messages = self.max_recv_messages.0;
        limits.max_recv_bytes = self.max_recv_bytes.0;
        limits.recv_slow_messages = self.recv_slow_messages.0;
        limits.max_batch_bytes = self.max_batch_bytes.0;
        limits.max_batch_events = self.max_batch_events.0;
        limits.max_pending_calls = self.max_pending_calls.0;
        limits.max_transmit_bytes = self.max_transmit_bytes.0;
        limits.max_bad_frames_reported = self.max_bad_frames_reported.0;
        limits.bad_frame_period = self.bad_frame_period.0;
        limits
    }
}

/// When to ping and give up.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(
    default,
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a table"
)]
pub(crate) struct Keepalive {
    pub(crate) interval: Or<Time, Standard>,
    pub(crate) timeout: Or<Time, Standard>,
}

/// What waits for one connection that takes less than is sent to it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(
    default,
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a table"
)]
pub(crate) struct Queue {
    pub(crate) max_messages: Count,
    pub(crate) max_bytes: Size,
    pub(crate) flush_window: Or<Time, Off>,
}

impl Default for Queue {
    fn default() -> Self {
        let limits = InboxLimits::default();
        Self {
            max_messages: Count(limits.max_messages),
            max_bytes: Size(limits.max_bytes),
            flush_window: Or::NONE,
        }
    }
}

/// What happens to a connection whose queue stays full.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(
    default,
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a table"
)]
pub(crate) struct SlowConsumer {
    pub(crate) high_water: Percent,
    pub(crate) low_water: Percent,
    pub(crate) close_after: Or<Time, Off>,
}

impl Default for SlowConsumer {
    fn default() -> Self {
        let limits = InboxLimits::default();
        Self {
            high_water: Percent(limits.high_water),
            low_water: Percent(limits.low_water),
            close_after: Or::NONE,
        }
    }
}

/// How much clients may send.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(
    default,
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a table"
)]
pub(crate) struct Rates {
    pub(crate) connection_messages: Or<Pace, Unlimited>,
    pub(crate) connection_bytes: Or<Pace, Unlimited>,
    pub(crate) user_messages: Or<Pace, Unlimited>,
    pub(crate) user_bytes: Or<Pace, Unlimited>,
}

/// Long polling.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(
    default,
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a table"
)]
pub(crate) struct Ajax {
    pub(crate) enabled: bool,
    pub(crate) poll_timeout: Or<Time, Off>,
    pub(crate) reply_timeout: Or<Time, Off>,
    pub(crate) flush_window: Or<Time, Off>,
    pub(crate) max_requests: Count,
}

impl Default for Ajax {
    fn default() -> Self {
        Self {
            enabled: true,
            poll_timeout: Or::some(Time::secs(20)),
            reply_timeout: Or::some(Time::secs(20)),
            flush_window: Or::NONE,
            max_requests: Count(256),
        }
    }
}

/// The paths of the HTTP endpoints.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(
    default,
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a table"
)]
pub(crate) struct Http {
    pub(crate) chsk: Endpoint,
    pub(crate) health: Or<Endpoint, Off>,
    pub(crate) stats: Or<Endpoint, Off>,
    pub(crate) channels: Or<Endpoint, Off>,
    pub(crate) csrf_token: Or<Endpoint, Off>,
    pub(crate) metrics: Or<Endpoint, Off>,
    pub(crate) inspector: Or<Endpoint, Off>,
}

impl Default for Http {
    fn default() -> Self {
        let at = |path: &str| Or::some(Endpoint(path.to_owned()));
        Self {
            chsk: Endpoint("/chsk".to_owned()),
            health: at("/health"),
            stats: at("/stats"),
            channels: at("/channels"),
            csrf_token: at("/csrf-token"),
            metrics: Or::NONE,
            inspector: Or::NONE,
        }
    }
}

/// Where log lines go, and which.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(
    default,
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a table"
)]
pub(crate) struct Log {
    pub(crate) level: LogLevel,
    pub(crate) file: Option<PathBuf>,
    pub(crate) format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: LogLevel("warn".to_owned()),
            file: None,
            format: LogFormat::Text,
        }
    }
}

/// Where connections are recorded, and how much.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(
    default,
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a table"
)]
pub(crate) struct Record {
    pub(crate) dir: Option<PathBuf>,
    pub(crate) max_connections: Count,
    pub(crate) max_bytes: Size,
    pub(crate) max_total_bytes: Size,
}

impl Default for Record {
    fn default() -> Self {
        let limits = RecordingLimits::default();
        let size = |bytes| Size(usize::try_from(bytes).unwrap_or(usize::MAX));
        let count = usize::try_from(limits.max_recordings);
        Self {
            dir: None,
            max_connections: Count(count.unwrap_or(usize::MAX)),
            max_bytes: size(limits.max_bytes),
            max_total_bytes: size(limits.max_total_bytes),
        }
    }
}

impl Record {
    /// As recordings take it.
    pub(crate) fn to_limits(&self) -> RecordingLimits {
        let number = |number| u64::try_from(number).unwrap_or(u64::MAX);
        let mut limits = RecordingLimits::default();
        limits.max_recordings = number(self.max_connections.0);
        limits.max_bytes = number(self.max_bytes.0);
        limits.max_total_bytes = number(self.max_total_bytes.0);
        limits
    }
}

/// How the server ends.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(
    default,
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a table"
)]
pub(crate) struct Shutdown {
    pub(crate) drain: Time,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            drain: Time::secs(3),
        }
    }
}
