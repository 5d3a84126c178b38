//! The sections `[hub]` and below: users, presence, channels.

use sente_core::{BroadcastRate, ChannelConfig, Grace, HubConfig, HubLimits};
use serde::{Deserialize, Serialize};

use super::tables::{Mirrors, mirror, section};
use super::units::{Count, Or, Pace, Size, Time, Unlimited};

section! {
    /// Users, presence, channels.
    Hub (limits: HubLimits) {
        takeover: Takeover = Takeover::default(),
        nobody: Nobody = Nobody::default(),
        wrap_pushes: bool = false,
        max_user_connections: Count = Count(limits.max_user_connections),
        max_away: Count = Count(limits.max_away),
        max_client_id_bytes: Count = Count(limits.max_client_id_bytes),
        grace: GraceTimes = GraceTimes::default(),
        kept: Kept = Kept::default(),
        broadcast: Broadcast = Broadcast::default(),
        channels: Channels = Channels::default(),
    }
}

impl Hub {
    /// As the hub takes it.
    pub(crate) fn to_config(&self) -> HubConfig {
        let mut config = HubConfig::default();
        config.takeover = self.takeover.into();
        config.nobody = self.nobody.into();
        config.wrap_pushes = self.wrap_pushes;
        self.grace.apply(&mut config.grace);
        config.broadcast = self.broadcast.to_rate();
        self.channels.apply(&mut config.channels);
        let limits = &mut config.limits;
        limits.max_user_connections = self.max_user_connections.0;
        limits.max_away = self.max_away.0;
        limits.max_client_id_bytes = self.max_client_id_bytes.0;
        self.kept.apply(limits);
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

mirror! {
    /// How long a user counts as connected after the end of a connection.
    GraceTimes of Grace {
        web_socket: Time = web_socket,
        ajax: Time = ajax,
        stream: Time = stream,
    }
}

mirror! {
    /// What is kept for those whose grace runs.
    Kept of HubLimits {
        max_messages: Count = kept.max_messages,
        max_bytes: Size = kept.max_bytes,
        max_total_bytes: Size = max_kept_bytes,
        keep_for: Time = keep_for,
    }
}

section! {
    /// How many broadcasts may leave.
    Broadcast (limits: HubLimits) {
        deliveries: Or<Pace, Unlimited> = Or::NONE,
        bytes: Or<Pace, Unlimited> = Or::NONE,
        max_waiting: Count = Count(limits.max_waiting_broadcasts),
        max_waiting_bytes: Size = Size(limits.max_waiting_broadcast_bytes),
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

mirror! {
    /// The channels that clients subscribe to.
    Channels of ChannelConfig {
        enabled: bool = enabled,
        auto_create: bool = auto_create,
        max_channels: Count = max_channels,
        max_id_bytes: Count = max_id_bytes,
        max_subscribers: Count = new_channels.max_subscribers,
        max_subscriptions: Count = max_subscriptions,
        max_requests: Count = max_requests,
        max_requests_per_connection: Count = max_requests_per_connection,
        request_timeout: Time = request_timeout,
        retain_messages: Count = new_channels.retain_messages,
        retain_bytes: Size = new_channels.retain_bytes,
        max_retained_bytes: Size = max_retained_bytes,
    }
}
