//! What the inspector shows of a server at one time: a value of EDN, made from what was counted.

use std::collections::BTreeMap;
use std::time::Duration;

use sente_core::edn::{Map, Value};
use sente_core::{ChannelInfo, ConnId, ConnectionInfo, Dialect, Stats, TransportKind, UserId};

/// What was seen of one connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectionRow {
    /// What the hub knows of it.
    pub info: ConnectionInfo,
    /// What its peer is called in logs: an address, a path, a command.
    pub peer: String,
    /// The name of its packer, if that is known.
    pub packer: String,
    /// How long it has been here.
    pub age: Duration,
    /// Events that wait for it, in its inbox and in its send queue.
    pub waiting_messages: usize,
    /// Their bytes.
    pub waiting_bytes: usize,
    /// Its counts.
    pub stats: Stats,
}

impl ConnectionRow {
    /// A connection of which nothing but what the hub knows is known.
    #[must_use]
    pub fn new(info: ConnectionInfo) -> Self {
        Self {
            info,
            peer: String::new(),
            packer: String::new(),
            age: Duration::ZERO,
            waiting_messages: 0,
            waiting_bytes: 0,
            stats: Stats::default(),
        }
    }
}

/// What was seen of a server.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Overview {
    /// When, in milliseconds since 1970.
    pub unix_millis: u64,
    /// How long the server has run.
    pub uptime: Duration,
    /// Its connections.
    pub connections: Vec<ConnectionRow>,
    /// Clients in their grace.
    pub away: usize,
    /// Its channels.
    pub channels: Vec<ChannelInfo>,
    /// What clients were refused: events, subscribes and publishes.
    pub refused: u64,
    /// The counts of all connections together, also of those that are gone.
    pub traffic: Stats,
}

/// Makes the value of each [`Overview`], with the rates since the one before.
///
/// ```
/// use sente_server::inspector::{Overview, Snapshots};
///
/// let mut snapshots = Snapshots::new(200);
/// let mut seen = Overview::default();
/// seen.unix_millis = 1_760_000_000_000;
/// let value = snapshots.next(&seen);
/// let totals = value.get_keyword("totals").unwrap();
/// assert_eq!(totals.get_keyword("connections").and_then(|it| it.as_i64()), Some(0));
/// ```
#[derive(Clone, Debug)]
pub struct Snapshots {
    max_rows: usize,
    before: Option<Before>,
}

/// What rates are counted from.
#[derive(Clone, Debug)]
struct Before {
    unix_millis: u64,
    traffic: Stats,
    /// Events received and queued, of each connection.
    connections: BTreeMap<ConnId, (u64, u64)>,
}

impl Snapshots {
    /// Shows at most so many connections, users and channels each, and how many there are.
    ///
    /// Of more connections, those are shown for which most waits, then the newest; of users those
    /// with most connections, of channels those with most subscribers.
    #[must_use]
    pub const fn new(max_rows: usize) -> Self {
        Self {
            max_rows,
            before: None,
        }
    }

    /// The value of what is seen now. The first has no rates.
    #[must_use]
    pub fn next(&mut self, seen: &Overview) -> Value {
        let before = self.before.take();
        let elapsed = before
            .as_ref()
            .map(|before| seen.unix_millis.saturating_sub(before.unix_millis));
        let rates = Rates {
            millis: elapsed.unwrap_or(0),
        };
        let value = map([
            ("at", int(seen.unix_millis)),
            ("uptime-ms", int(seen.uptime.as_millis())),
            ("totals", totals(seen)),
            (
                "rates",
                rates.of_all(before.as_ref().map(|before| &before.traffic), &seen.traffic),
            ),
            (
                "connections",
                self.connections(seen, before.as_ref(), &rates),
            ),
            ("users", self.users(seen)),
            ("channels", self.channels(seen)),
        ]);
        let counts = |row: &ConnectionRow| {
            let counts = (row.stats.events_received, row.stats.events_queued);
            (row.info.connection, counts)
        };
        self.before = Some(Before {
            unix_millis: seen.unix_millis,
            traffic: seen.traffic,
            connections: seen.connections.iter().map(counts).collect(),
        });
        value
    }

    fn connections(&self, seen: &Overview, before: Option<&Before>, rates: &Rates) -> Value {
        let mut rows: Vec<&ConnectionRow> = seen.connections.iter().collect();
        rows.sort_by_key(|row| (std::cmp::Reverse(row.waiting_bytes), row.age));
        rows.truncate(self.max_rows);
        let shown = rows.into_iter().map(|row| {
            let counts = before.map_or_else(
                || Some((row.stats.events_received, row.stats.events_queued)),
                |before| before.connections.get(&row.info.connection).copied(),
            );
            // One that is new has done all of it since.
            let (came, went) = counts.unwrap_or_default();
            let mut shown = connection(row);
            let stats = &row.stats;
            shown.insert(keyword("in"), rates.events(came, stats.events_received));
            shown.insert(keyword("out"), rates.events(went, stats.events_queued));
            Value::Map(shown)
        });
        Value::Vector(shown.collect::<Vec<_>>().into())
    }

    fn users(&self, seen: &Overview) -> Value {
        let mut counts: BTreeMap<&UserId, u64> = BTreeMap::new();
        for row in &seen.connections {
            let count = counts.entry(&row.info.user).or_default();
            *count = count.saturating_add(1);
        }
        let mut users: Vec<_> = counts.into_iter().collect();
        users.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        users.truncate(self.max_rows);
        let shown = users
            .into_iter()
            .map(|(user, count)| map([("user", user.to_value()), ("connections", int(count))]));
        Value::Vector(shown.collect::<Vec<_>>().into())
    }

    fn channels(&self, seen: &Overview) -> Value {
        let mut channels: Vec<&ChannelInfo> = seen.channels.iter().collect();
        channels.sort_by_key(|channel| std::cmp::Reverse(channel.subscribers));
        channels.truncate(self.max_rows);
        let shown = channels.into_iter().map(|channel| {
            map([
                ("channel", channel.id.clone()),
                ("subscribers", int(channel.subscribers)),
                ("published", int(channel.published)),
                ("delivered", int(channel.delivered)),
                ("retained", int(channel.retained)),
            ])
        });
        Value::Vector(shown.collect::<Vec<_>>().into())
    }
}

/// Counts per second over a time.
#[derive(Clone, Copy, Debug)]
struct Rates {
    millis: u64,
}

impl Rates {
    fn of_all(self, before: Option<&Stats>, now: &Stats) -> Value {
        let before = before.copied().unwrap_or(*now);
        map([
            (
                "events-in",
                self.events(before.events_received, now.events_received),
            ),
            (
                "events-out",
                self.events(before.events_queued, now.events_queued),
            ),
            (
                "bytes-in",
                self.whole(before.bytes_received, now.bytes_received),
            ),
            ("bytes-out", self.whole(before.bytes_sent, now.bytes_sent)),
            ("drops", self.events(drops(&before), drops(now))),
        ])
    }

    /// To a tenth.
    fn events(self, before: u64, now: u64) -> Value {
        let tenths = self.per_second(before, now, 10);
        Value::Float(f64::from(u32::try_from(tenths).unwrap_or(u32::MAX)) / 10.0)
    }

    fn whole(self, before: u64, now: u64) -> Value {
        int(self.per_second(before, now, 1))
    }

    fn per_second(self, before: u64, now: u64, times: u64) -> u64 {
        let count = now.saturating_sub(before).saturating_mul(1000);
        let count = count.saturating_mul(times);
        count.checked_div(self.millis).unwrap_or(0)
    }
}

fn totals(seen: &Overview) -> Value {
    let rows = seen.connections.iter();
    let waiting = rows.fold((0_usize, 0_usize), |(messages, bytes), row| {
        (
            messages.saturating_add(row.waiting_messages),
            bytes.saturating_add(row.waiting_bytes),
        )
    });
    let users: std::collections::BTreeSet<&UserId> =
        seen.connections.iter().map(|row| &row.info.user).collect();
    let subscriptions = seen.channels.iter().map(|channel| channel.subscribers);
    map([
        ("connections", int(seen.connections.len())),
        ("users", int(users.len())),
        ("away", int(seen.away)),
        ("channels", int(seen.channels.len())),
        (
            "subscriptions",
            int(subscriptions.fold(0_usize, usize::saturating_add)),
        ),
        ("waiting-messages", int(waiting.0)),
        ("waiting-bytes", int(waiting.1)),
        ("drops", int(drops(&seen.traffic))),
        ("refused", int(seen.refused)),
        ("bad-events", int(seen.traffic.bad_events)),
        ("events-in", int(seen.traffic.events_received)),
        ("events-out", int(seen.traffic.events_queued)),
        ("bytes-in", int(seen.traffic.bytes_received)),
        ("bytes-out", int(seen.traffic.bytes_sent)),
    ])
}

fn connection(row: &ConnectionRow) -> Map {
    let ConnectionRow { info, stats, .. } = row;
    let state = match (info.suspended, info.receives) {
        (true, _) => "away",
        (false, true) => "open",
        (false, false) => "superseded",
    };
    let entries = [
        ("id", Value::from(info.connection.to_string())),
        ("user", info.user.to_value()),
        (
            "client-id",
            info.client_id.as_deref().map_or(Value::Nil, Value::from),
        ),
        ("peer", Value::from(row.peer.as_str())),
        ("transport", keyword(transport(info.transport))),
        ("dialect", keyword(dialect(info.dialect))),
        ("packer", Value::from(row.packer.as_str())),
        ("state", keyword(state)),
        ("age-ms", int(row.age.as_millis())),
        ("subscriptions", int(info.subscriptions)),
        ("waiting-messages", int(row.waiting_messages)),
        ("waiting-bytes", int(row.waiting_bytes)),
        ("drops", int(drops(stats))),
        ("bad-events", int(stats.bad_events)),
        ("events-in", int(stats.events_received)),
        ("events-out", int(stats.events_queued)),
        ("bytes-in", int(stats.bytes_received)),
        ("bytes-out", int(stats.bytes_sent)),
    ];
    entries
        .into_iter()
        .map(|(name, value)| (keyword(name), value))
        .collect()
}

/// Events that were given up for want of room.
const fn drops(stats: &Stats) -> u64 {
    stats
        .dropped_oldest
        .saturating_add(stats.dropped_volatile)
        .saturating_add(stats.sends_refused)
        .saturating_add(stats.shed)
}

const fn transport(kind: TransportKind) -> &'static str {
    match kind {
        TransportKind::Ajax => "ajax",
        TransportKind::WebSocket => "ws",
        TransportKind::Stream => "stream",
        _ => "other",
    }
}

const fn dialect(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sente => "sente",
        Dialect::SenteLite => "sente-lite",
    }
}

/// A keyword that is written in this crate; all of them read back.
pub(super) fn keyword(name: &str) -> Value {
    Value::keyword(name).unwrap_or_default()
}

pub(super) fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    let entries = entries.into_iter();
    Value::Map(
        entries
            .map(|(name, value)| (keyword(name), value))
            .collect(),
    )
}

pub(super) fn int(number: impl TryInto<i64>) -> Value {
    Value::Int(number.try_into().unwrap_or(i64::MAX))
}
