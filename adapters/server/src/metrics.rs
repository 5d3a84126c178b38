//! The numbers of a server for Prometheus.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use sente_core::Stats;
use smol_str::SmolStr;

use crate::server::Server;
use crate::stats::{ServerStats, Waiting};

/// The content type of what [`Metrics::render`] gives.
pub const METRICS_CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The upper bounds of the buckets of latencies, in seconds.
const BUCKETS: [f64; 14] = [
    0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// The numbers of a server, in the text format of OpenMetrics that Prometheus reads.
///
/// What the server counts anyway is read when it is asked for, so that a server without metrics and
/// one with them differ by two histograms. Asking takes time for each connection: some microseconds
/// for a hundred. The labels are the names of packers, directions, the reasons of refusals and the
/// like: never a user, an event id or anything else that clients choose. `docs/operations.md` names
/// all of them.
///
/// ```
/// use sente_server::{Metrics, Server};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::builder().build()?;
/// let metrics = Metrics::new(&server);
/// assert!(metrics.render().contains("sente_connections 0"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Registry>);

impl Metrics {
    /// The numbers of `server` from now on, and what it has counted before.
    #[must_use]
    pub fn new(server: &Server) -> Self {
        let mut registry = Registry::default();
        Self::register(server, &mut registry);
        Self(Arc::new(registry))
    }

    /// Adds the numbers of `server` to a registry of the application's own.
    pub fn register(server: &Server, registry: &mut Registry) {
        let latency = server.inner.latency.get_or_init(Latency::new);
        registry.register(
            "sente_handler_seconds",
            "How long handlers took, from the event to the end of the handler",
            latency.handlers.clone(),
        );
        registry.register(
            "sente_call_seconds",
            "How long clients took to answer calls of the server, or not to",
            latency.calls.clone(),
        );
        registry.register_collector(Box::new(Numbers(server.clone())));
    }

    /// The text.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing into a text does not fail.
        let _ = encode(&mut text, &self.0);
        text
    }
}

/// What cannot be read from counts.
#[derive(Debug)]
pub(crate) struct Latency {
    handlers: Histogram,
    calls: Histogram,
}

impl Latency {
    fn new() -> Self {
        Self {
            handlers: Histogram::new(BUCKETS),
            calls: Histogram::new(BUCKETS),
        }
    }

    pub(crate) fn handled(&self, took: Duration) {
        self.handlers.observe(took.as_secs_f64());
    }

    pub(crate) fn called(&self, took: Duration) {
        self.calls.observe(took.as_secs_f64());
    }
}

/// What is read from the counts of a server.
#[derive(Debug)]
struct Numbers(Server);

impl Collector for Numbers {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        Writer(encoder).write(&self.0.stats())
    }
}

struct Writer<'a>(DescriptorEncoder<'a>);

/// One sample: its labels and its value.
type Sample<const N: usize> = ([(&'static str, String); N], u64);

impl Writer<'_> {
    fn write(&mut self, stats: &ServerStats) -> Result<(), fmt::Error> {
        self.write_presence(stats)?;
        self.write_traffic(stats)?;
        self.write_queues(stats)?;
        self.write_handlers(stats)?;
        self.write_channels(stats)
    }

    fn write_presence(&mut self, stats: &ServerStats) -> Result<(), fmt::Error> {
        self.gauge("sente_connections", "Connections", stats.connections)?;
        self.gauge("sente_users", "Users who are connected", stats.users)?;
        self.gauge("sente_clients_away", "Clients in their grace", stats.away)?;
        let hub = &stats.hub;
        self.counter("sente_joins", "Connections that joined", hub.joins)?;
        self.counter("sente_leaves", "Connections that left", hub.leaves)?;
        let full = ([("reason", "hub-full".to_owned())], hub.refused_joins);
        let reasons = stats.turned_away.iter();
        let reasons = reasons.map(|(why, count)| ([("reason", why.to_string())], *count));
        self.counters(
            "sente_rejections",
            "Requests for a connection that were turned away",
            reasons.chain([full]),
        )
    }

    fn write_traffic(&mut self, stats: &ServerStats) -> Result<(), fmt::Error> {
        type Count = fn(&Stats) -> u64;
        let both: [(&str, &str, [Count; 2]); 4] = [
            (
                "sente_messages",
                "Events, calls and replies received, and queued to be sent",
                [|it| it.events_received, |it| it.events_queued],
            ),
            (
                "sente_frames",
                "Frames received and written",
                [|it| it.frames_received, |it| it.frames_sent],
            ),
            (
                "sente_bytes",
                "Bytes received and written, framing included",
                [|it| it.bytes_received, |it| it.bytes_sent],
            ),
            (
                "sente_oversized",
                "Messages received over their limit, and refused to be sent as over it",
                [|it| it.oversized_received, |it| it.oversized_refused],
            ),
        ];
        for (name, help, counts) in both {
            self.counters(name, help, by_packer(stats, counts))?;
        }
        let all = stats.all_traffic();
        self.counter(
            "sente_parse_errors",
            "Frames and events that could not be read",
            all.bad_events,
        )?;
        self.counter(
            "sente_refused_events",
            "Received events that the guard or a rate refused",
            stats.refused_events,
        )?;
        self.counter(
            "sente_late_replies",
            "Replies to calls that had settled",
            all.late_replies,
        )?;
        self.counter("sente_pings", "Pings sent", all.pings_sent)
    }

    fn write_queues(&mut self, stats: &ServerStats) -> Result<(), fmt::Error> {
        let queues = |of: fn(Waiting) -> usize| {
            [
                ("inbox", of(stats.inboxes)),
                ("send", of(stats.send_queues)),
            ]
            .map(|(queue, count)| ([("queue", queue.to_owned())], as_u64(count)))
        };
        self.gauges(
            "sente_queue_events",
            "Events that wait to be written",
            queues(|it| it.events),
        )?;
        self.gauges(
            "sente_queue_bytes",
            "Their packed bytes",
            queues(|it| it.bytes),
        )?;
        let all = stats.all_traffic();
        let dropped = [
            ("latest", all.replaced),
            ("oldest", all.dropped_oldest),
            ("unread", all.shed),
            ("volatile", all.dropped_volatile),
        ];
        self.counters(
            "sente_dropped",
            "Events that were dropped, as their policy says",
            dropped.map(|(why, count)| ([("policy", why.to_owned())], count)),
        )?;
        self.counter(
            "sente_send_refusals",
            "Events that a send queue did not take",
            all.sends_refused,
        )?;
        self.counter(
            "sente_deliveries",
            "Events handed to connections by the hub",
            stats.hub.deliveries,
        )?;
        self.counter(
            "sente_undelivered",
            "Pushes to clients in their grace that were not delivered",
            stats.hub.undelivered,
        )?;
        self.counter(
            "sente_slow_closed",
            "Connections that were closed since they were too slow",
            stats.hub.slow_closed,
        )
    }

    fn write_handlers(&mut self, stats: &ServerStats) -> Result<(), fmt::Error> {
        let failures = [
            ("failed", stats.failed_handlers),
            ("panicked", stats.panicked_handlers),
        ];
        self.counters(
            "sente_handler_failures",
            "Events and calls that handlers did not manage",
            failures.map(|(how, count)| ([("how", how.to_owned())], count)),
        )
    }

    fn write_channels(&mut self, stats: &ServerStats) -> Result<(), fmt::Error> {
        let channels = &stats.channels;
        self.gauge("sente_channels", "Channels", channels.channels)?;
        self.gauge(
            "sente_subscriptions",
            "Subscriptions to channels",
            channels.subscriptions,
        )?;
        self.counter(
            "sente_published",
            "Messages published on channels",
            channels.published,
        )?;
        self.counter(
            "sente_refused_publishes",
            "Publishes and requests of clients that were refused",
            channels.refused_publishes,
        )?;
        self.counter(
            "sente_refused_subscribes",
            "Subscribes that were refused",
            channels.refused_subscribes,
        )
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> Result<(), fmt::Error> {
        let mut encoder = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        encoder.encode_counter::<NoLabelSet, u64, f64>(&value, None)
    }

    fn counters<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = Sample<N>>,
    ) -> Result<(), fmt::Error> {
        let mut encoder = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in samples {
            let mut one = encoder.encode_family(&labels)?;
            one.encode_counter::<NoLabelSet, u64, f64>(&value, None)?;
        }
        Ok(())
    }

    fn gauge(&mut self, name: &str, help: &str, value: usize) -> Result<(), fmt::Error> {
        let mut encoder = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        encoder.encode_gauge(&as_u64(value))
    }

    fn gauges<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = Sample<N>>,
    ) -> Result<(), fmt::Error> {
        let mut encoder = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in samples {
            encoder.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }
}

/// The samples of a count by packer and direction: received and sent.
fn by_packer(stats: &ServerStats, [received, sent]: [fn(&Stats) -> u64; 2]) -> Vec<Sample<2>> {
    let sample = |direction: &str, packer: &SmolStr, count| {
        let labels = [
            ("direction", direction.to_owned()),
            ("packer", packer.to_string()),
        ];
        (labels, count)
    };
    let both = stats.traffic.iter().flat_map(|(packer, stats)| {
        [
            sample("in", packer, received(stats)),
            sample("out", packer, sent(stats)),
        ]
    });
    both.collect()
}

fn as_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
