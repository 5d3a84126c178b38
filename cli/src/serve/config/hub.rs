//! The sections `[hub]` and below: users, presence, channels.

use sente_core::{BroadcastRate, ChannelConfig, ChannelOptions, Grace, HubConfig, HubLimits};
use serde::{Deserialize, Serialize};

use super::units::{Count, Or, Pace, Size, Time, Unlimited};

/// Users, presence, channels.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(
    default,
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a table"
)]
pub(crate) struct Hub {
    pub(crate) takeover: Takeover,
    pub(crate) nobody: Nobody,
    pub(crate) wrap_pushes: bool,
    pub(crate) max_user_connections: Count,
    pub(crate) max_away: Count,
    pub(crate) max_client_id_bytes: Count,
    pub(crate) grace: GraceTimes,
    pub(crate) kept: Kept,
    pub(crate) broadcast: Broadcast,
    pub(crate) channels: Channels,
}

impl Default for Hub {
    fn default() -> Self {
        let limits = HubLimits::default();
        Self {
            takeover: Takeover::default(),
            nobody: Nobody::default(),
            wrap_pushes: false,
            max_user_connections: Count(limits.max_user_connections),
            max_away: Count(limits.max_away),
            max_client_id_bytes: Count(limits.max_client_id_bytes),
            grace: GraceTimes::default(),
            kept: Kept::default(),
            broadcast: Broadcast::default(),
            channels: Channels::default(),
        }
    }
}

impl Hub {
    /// As the hub takes it.
    pub(crate) fn to_config(&self) -> HubConfig {
        let mut config = HubConfig::default();
        config.takeover = self.takeover.into();
        config.nobody = self.nobody.into();
        config.wrap_pushes = self.wrap_pushes;
        config.grace = self.grace.to_grace();
        config.broadcast = self.broadcast.to_rate();
        config.channels = self.channels.to_config();
        let limits = &mut config.limits;
        limits.max_user_connections = self.max_user_connections.0;
        limits.max_away = self.max_away.0;
        limits.max_client_id_bytes = self.max_client_id_bytes.0;
        limits.kept.max_messages = self.kept.max_messages.0;
        limits.kept.max_bytes = self.kept.max_bytes.0;
        limits.max_kept_bytes = self.kept.max_total_bytes.0;
        limits.keep_for = self.kept.keep_for.0;
        limits.max_waiting_broadcasts = self.broadcast.max_waiting.0;
        limits.max_waiting_broadcast_bytes = self.broadcast.max_waiting_bytes.0;
        config
    }
}

/// Who receives when a client is connected more than once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Takeover {
    All,
    #[default]
    Newest,
    NewestClosesOthers,
}

impl From<Takeover> for sente_core::Takeover {
    fn from(takeover: Takeover) -> Self {
        match takeover {
            Takeover::All => Self::All,
            Takeover::Newest => Self::Newest,
            Takeover::NewestClosesOthers => Self::NewestClosesOthers,
        }
    }
}

/// Who a connection is that has no user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Nobody {
    #[default]
    ByDialect,
    Connection,
    NilUid,
}

impl From<Nobody> for sente_core::Nobody {
    fn from(nobody: Nobody) -> Self {
        match nobody {
            Nobody::ByDialect => Self::ByDialect,
            Nobody::Connection => Self::Connection,
            Nobody::NilUid => Self::NilUid,
        }
    }
}

/// How long a user counts as connected after the end of a connection.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(
    default,
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a table"
)]
pub(crate) struct GraceTimes {
    pub(crate) web_socket: Time,
    pub(crate) ajax: Time,
    pub(crate) stream: Time,
}

impl Default for GraceTimes {
    fn default() -> Self {
        let grace = Grace::default();
        Self {
            web_socket: Time(grace.web_socket),
            ajax: Time(grace.ajax),
            stream: Time(grace.stream),
        }
    }
}

impl GraceTimes {
    fn to_grace(&self) -> Grace {
        let mut grace = Grace::NONE;
        grace.web_socket = self.web_socket.0;
        grace.ajax = self.ajax.0;
        grace.stream = self.stream.0;
        grace
    }
}

/// What is kept for those whose grace runs.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(
    default,
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a table"
)]
pub(crate) struct Kept {
    pub(crate) max_messages: Count,
    pub(crate) max_bytes: Size,
    pub(crate) max_total_bytes: Size,
    pub(crate) keep_for: Time,
}

impl Default for Kept {
    fn default() -> Self {
        let limits = HubLimits::default();
        Self {
            max_messages: Count(limits.kept.max_messages),
            max_bytes: Size(limits.kept.max_bytes),
            max_total_bytes: Size(limits.max_kept_bytes),
            keep_for: Time(limits.keep_for),
        }
    }
}

/// How many broadcasts may leave.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(
    default,
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a table"
)]
pub(crate) struct Broadcast {
    pub(crate) deliveries: Or<Pace, Unlimited>,
    pub(crate) bytes: Or<Pace, Unlimited>,
    pub(crate) max_waiting: Count,
    pub(crate) max_waiting_bytes: Size,
}

impl Default for Broadcast {
    fn default() -> Self {
        let limits = HubLimits::default();
        Self {
            deliveries: Or::NONE,
            bytes: Or::NONE,
            max_waiting: Count(limits.max_waiting_broadcasts),
            max_waiting_bytes: Size(limits.max_waiting_broadcast_bytes),
        }
    }
}

impl Broadcast {
    fn to_rate(&self) -> BroadcastRate {
        let mut rate = BroadcastRate::default();
        rate.deliveries = self.deliveries.value().map(Pace::to_rate);
        rate.bytes = self.bytes.value().map(Pace::to_rate);
        rate
    }
}

/// The channels that clients subscribe to.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(
    default,
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a table"
)]
pub(crate) struct Channels {
    pub(crate) enabled: bool,
    pub(crate) auto_create: bool,
    pub(crate) max_channels: Count,
    pub(crate) max_id_bytes: Count,
    pub(crate) max_subscribers: Count,
    pub(crate) max_subscriptions: Count,
    pub(crate) max_requests: Count,
    pub(crate) max_requests_per_connection: Count,
    pub(crate) request_timeout: Time,
    pub(crate) retain_messages: Count,
    pub(crate) retain_bytes: Size,
    pub(crate) max_retained_bytes: Size,
}

impl Default for Channels {
    fn default() -> Self {
        let channels = ChannelConfig::default();
        Self {
            enabled: channels.enabled,
            auto_create: channels.auto_create,
            max_channels: Count(channels.max_channels),
            max_id_bytes: Count(channels.max_id_bytes),
            max_subscribers: Count(channels.new_channels.max_subscribers),
            max_subscriptions: Count(channels.max_subscriptions),
            max_requests: Count(channels.max_requests),
            max_requests_per_connection: Count(channels.max_requests_per_connection),
            request_timeout: Time(channels.request_timeout),
            retain_messages: Count(channels.new_channels.retain_messages),
            retain_bytes: Size(channels.new_channels.retain_bytes),
            max_retained_bytes: Size(channels.max_retained_bytes),
        }
    }
}

impl Channels {
    fn to_config(&self) -> ChannelConfig {
        let mut config = ChannelConfig::default();
        config.enabled = self.enabled;
        config.auto_create = self.auto_create;
        config.max_channels = self.max_channels.0;
        config.max_id_bytes = self.max_id_bytes.0;
        config.max_subscriptions = self.max_subscriptions.0;
        config.max_requests = self.max_requests.0;
        config.max_requests_per_connection = self.max_requests_per_connection.0;
        config.request_timeout = self.request_timeout.0;
        config.max_retained_bytes = self.max_retained_bytes.0;
        let mut new_channels = ChannelOptions::default()
            .retain(self.retain_messages.0)
            .max_subscribers(self.max_subscribers.0);
        new_channels.retain_bytes = self.retain_bytes.0;
        config.new_channels = new_channels;
        config
    }
}
