//! The inspector at work: who may look, who is looking, and what they are sent each second.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use sente_adapters::{RouteError, Router};
use sente_core::edn::Value;
use sente_core::{
    ConnId, Event, EventId, HubEvent, Instant, Peer, Policy, SendOptions, Stats, Target,
};
use tokio::time::{MissedTickBehavior, interval};

use super::log::{EventLog, Logged, LoggedKind, Redaction};
use super::overview::{ConnectionRow, Overview, Snapshots, int, keyword, map};
use super::request::SendRequest;
use crate::clock::unix_millis;
use crate::event::ServerEvent;
use crate::sender::Sender;
use crate::server::{Inner, Server, Tap};

/// How often those who look are told.
const PERIOD: Duration = Duration::from_secs(1);

/// The options of an [`Inspector`]. The default suits most; change single fields on top of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InspectorConfig {
    /// Whether those who may look may also send events to anybody, as the application can. Default
    /// `false`.
    pub can_send: bool,
    /// How many events the log keeps. Default 200; with 0 there is none.
    pub max_events: usize,
    /// How many connections, users and channels are shown, each. Default 200.
    pub max_rows: usize,
    /// How many may look at the same time. Default 16.
    pub max_watchers: usize,
    /// What is shown of payloads. Default nothing but that they are there.
    pub redaction: Redaction,
}

impl Default for InspectorConfig {
    fn default() -> Self {
        Self {
            can_send: false,
            max_events: 200,
            max_rows: 200,
            max_watchers: 16,
            redaction: Redaction::hide_payloads(),
        }
    }
}

/// Shows a server from inside to those who may look. Clones mean the same inspector.
///
/// It answers the events of the namespace `inspector` on any connection of the server, and is off
/// until it is both registered among the handlers and told which server to watch:
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use sente_adapters::Router;
/// use sente_server::Server;
/// use sente_server::inspector::{Inspector, InspectorConfig};
///
/// let inspector = Inspector::new(InspectorConfig::default(), |sender| {
///     sender.user().is_some_and(|user| &**user == "admin")
/// });
/// let router = inspector.register(Router::new())?;
/// let server = Server::builder().router(router).build()?;
/// inspector.watch(&server);
/// # Ok(())
/// # }
/// ```
///
/// While nobody looks, an event costs a lock and a small entry in the log, and nothing is counted
/// together.
#[derive(Clone)]
pub struct Inspector {
    inner: Arc<Watch>,
}

type Allow = dyn Fn(&Sender) -> bool + Send + Sync;

struct Watch {
    config: InspectorConfig,
    allow: Box<Allow>,
    state: Mutex<State>,
}

struct State {
    log: EventLog,
    /// Those who look, and from where on they have not seen the log; `None` if they do not want it.
    watchers: BTreeMap<ConnId, Option<u64>>,
    /// Whether a task tells them.
    is_telling: bool,
}

impl Inspector {
    /// An inspector for those of whom `allow` says that they may look. It is asked at every event of
    /// theirs, with the user and the request of their connection.
    #[must_use]
    pub fn new(
        config: InspectorConfig,
        allow: impl Fn(&Sender) -> bool + Send + Sync + 'static,
    ) -> Self {
        let log = EventLog::new(config.max_events, config.redaction.clone());
        Self {
            inner: Arc::new(Watch {
                config,
                allow: Box::new(allow),
                state: Mutex::new(State {
                    log,
                    watchers: BTreeMap::new(),
                    is_telling: false,
                }),
            }),
        }
    }

    /// Adds what answers the pages.
    ///
    /// # Errors
    /// [`RouteError::Twice`] where something else takes the events of the namespace `inspector`.
    pub fn register<S>(&self, router: Router<S>) -> Result<Router<S>, RouteError>
    where
        S: Clone + Send + Sync + 'static,
    {
        let inner = self.inner.clone();
        router.on_namespace("inspector", move |sender: Sender, event: Event| {
            let answer = inner.answer(&sender, &event);
            async move { answer }
        })
    }

    /// Begins to take down the events of a server. A server has one inspector: whether this is it.
    #[expect(clippy::must_use_candidate, reason = "it is done for what it does")]
    pub fn watch(&self, server: &Server) -> bool {
        if server.inner.tap.set(self.inner.clone()).is_err() {
            return false;
        }
        let (inner, mut events) = (self.inner.clone(), server.events());
        server.inner.runtime.spawn(async move {
            while let Some(event) = events.next().await {
                inner.take_down(event);
            }
        });
        true
    }
}

impl fmt::Debug for Inspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspector")
            .field("config", &self.inner.config)
            .field("watchers", &self.inner.state().watchers.len())
            .finish_non_exhaustive()
    }
}

impl Watch {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that runs under the lock leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The error is for the server's log; the page hears that its call failed.
    fn answer(self: &Arc<Self>, sender: &Sender, event: &Event) -> Result<Value, &'static str> {
        let who = sender.connection();
        if !(self.allow)(sender) {
            tracing::warn!(connection = %who, user = ?sender.user(), "may not look inside");
            return Err("may not look inside");
        }
        let data = event.data.as_ref().and_then(|data| data.to_value().ok());
        let data = data.unwrap_or_default();
        match event.id.name() {
            "subscribe" => self.subscribe(sender, &data),
            "unsubscribe" => {
                self.state().watchers.remove(&who);
                Ok(Value::Bool(true))
            }
            "send" => Ok(self.send(sender, &data)),
            _ => Err("the inspector knows no such event"),
        }
    }

    fn subscribe(self: &Arc<Self>, sender: &Sender, data: &Value) -> Result<Value, &'static str> {
        let who = sender.connection();
        let wants_events = data.get_keyword("events").and_then(Value::as_bool) == Some(true);
        let mut state = self.state();
        let is_new = !state.watchers.contains_key(&who);
        if is_new && state.watchers.len() >= self.config.max_watchers {
            return Err("too many look inside already");
        }
        tracing::info!(connection = %who, user = ?sender.user(), "looks inside");
        state.watchers.insert(who, wants_events.then_some(0));
        if !std::mem::replace(&mut state.is_telling, true) {
            let inner = &sender.server().inner;
            let (told, server) = (self.clone(), Arc::downgrade(inner));
            inner.runtime.spawn(async move { told.tell(server).await });
        }
        drop(state);
        Ok(map([
            ("version", int(1)),
            ("every-ms", int(PERIOD.as_millis())),
            ("can-send", Value::Bool(self.config.can_send)),
        ]))
    }

    fn send(&self, sender: &Sender, data: &Value) -> Value {
        let server = sender.server();
        let sent = if self.config.can_send {
            SendRequest::read(data)
        } else {
            Err("not-allowed")
        };
        let sent = sent.and_then(|SendRequest { to, event }| {
            tracing::info!(
                connection = %sender.connection(), user = ?sender.user(), id = %event.id, ?to,
                "sends by the inspector"
            );
            let target = server.with_hub(|hub, _| to.target(hub))?;
            let fanout = server.fan_out(&target, &event);
            fanout.map_err(|_| "not-delivered")
        });
        match sent {
            Ok(fanout) => map([
                ("connections", int(fanout.connections)),
                ("kept", int(fanout.kept)),
                ("waits", Value::Bool(fanout.waits)),
            ]),
            Err(word) => map([("error", keyword(word))]),
        }
    }

    /// Tells those who look, until nobody does or the server is gone.
    async fn tell(self: Arc<Self>, server: Weak<Inner>) {
        let mut snapshots = Snapshots::new(self.config.max_rows);
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let Some(server) = server.upgrade().map(Server::from) else {
                return;
            };
            let watchers = self.watchers(&server);
            if watchers.is_empty() {
                return;
            }
            let Ok(id) = EventId::new("inspector/snapshot") else {
                return;
            };
            let snapshot = Event::new(id, snapshots.next(&overview(&server)));
            // Of those that are not written yet, the newest is enough.
            let latest = SendOptions::new().policy(Policy::Latest("inspector/snapshot".into()));
            for (watcher, from) in watchers {
                let target = Target::Connection(watcher);
                // Who is gone is not told the next time.
                let _ = server.fan_out_with(&target, &snapshot, &latest);
                if let Some(from) = from {
                    self.tell_events(&server, watcher, from);
                }
            }
        }
    }

    /// Those who look and are still there. Where there are none, the next one begins anew.
    fn watchers(&self, server: &Server) -> Vec<(ConnId, Option<u64>)> {
        let asked: Vec<ConnId> = self.state().watchers.keys().copied().collect();
        let gone: Vec<ConnId> = server.with_hub(|hub, _| {
            let gone = asked.into_iter();
            gone.filter(|id| hub.connection(*id).is_none()).collect()
        });
        let mut state = self.state();
        for id in gone {
            state.watchers.remove(&id);
        }
        state.is_telling = !state.watchers.is_empty();
        let watchers = state.watchers.iter();
        watchers.map(|(id, from)| (*id, *from)).collect()
    }

    fn tell_events(&self, server: &Server, watcher: ConnId, from: u64) {
        let (news, end) = {
            let state = self.state();
            (state.log.since(from), state.log.end())
        };
        let (Some(news), Ok(id)) = (news, EventId::new("inspector/events")) else {
            return;
        };
        let told = server.fan_out(&Target::Connection(watcher), &Event::new(id, news));
        if told.is_ok()
            && let Some(next) = self.state().watchers.get_mut(&watcher)
        {
            *next = Some(end);
        }
    }

    fn record(&self, event: &Logged<'_>) {
        self.state().log.record(event);
    }

    /// Takes down what the server tells of itself.
    fn take_down(&self, event: ServerEvent) {
        let now = unix_millis();
        let of = |kind, peer: &Peer, about: String| {
            self.record(
                &Logged::new(now, kind)
                    .on(peer.connection, peer.user.as_ref())
                    .about(about),
            );
        };
        match event {
            ServerEvent::BadEvents {
                peer,
                reason,
                count,
            } => {
                let about =
                    reason.map_or_else(|| format!("{count} more"), |reason| reason.to_string());
                of(LoggedKind::BadEvent, &peer, about);
            }
            ServerEvent::Joined { peer, transport } => {
                of(LoggedKind::Joined, &peer, format!("{transport:?}"));
            }
            ServerEvent::Left { peer, reason } => of(LoggedKind::Left, &peer, reason.to_string()),
            ServerEvent::Refused { peer, id, why, .. } => {
                let mut event = Logged::new(now, LoggedKind::Refused)
                    .on(peer.connection, peer.user.as_ref())
                    .about(why.to_string());
                event.id = Some(&id);
                self.record(&event);
            }
            ServerEvent::TurnedAway {
                remote,
                reason,
                status,
            } => {
                let remote = remote.unwrap_or_default();
                let about = format!("{status} {reason} {remote}");
                self.record(&Logged::new(now, LoggedKind::TurnedAway).about(about));
            }
            ServerEvent::Undelivered { peer, events } => {
                let about = format!("{} events", events.len());
                of(LoggedKind::Undelivered, &peer, about);
            }
            ServerEvent::Hub(HubEvent::SlowConsumer {
                connection,
                user,
                messages,
                bytes,
                closed,
                ..
            }) => {
                let closed = if closed { ", closed" } else { "" };
                self.record(
                    &Logged::new(now, LoggedKind::Slow)
                        .on(connection, Some(&user))
                        .about(format!("{messages} events, {bytes} bytes wait{closed}")),
                );
            }
            _ => {}
        }
    }
}

impl Tap for Watch {
    fn received(&self, peer: &Peer, event: &Event, is_call: bool) {
        if event.id.namespace() == "inspector" {
            return;
        }
        let mut logged = Logged::new(unix_millis(), LoggedKind::Received)
            .on(peer.connection, peer.user.as_ref());
        logged.id = Some(&event.id);
        logged.payload = event.data.as_ref();
        logged.is_call = is_call;
        self.record(&logged);
    }

    fn sent(&self, target: &Target, event: &Event) {
        if event.id.namespace() == "inspector" {
            return;
        }
        let mut logged = Logged::new(unix_millis(), LoggedKind::Sent);
        match target {
            Target::User(user) => logged.user = Some(user),
            Target::Connection(connection) => logged.connection = Some(*connection),
            Target::Channel(id) => logged.about = Some(format!("to channel {id}")),
            Target::All => logged.about = Some("to everybody".to_owned()),
            _ => logged.about = Some("to several".to_owned()),
        }
        logged.id = Some(&event.id);
        logged.payload = event.data.as_ref();
        self.record(&logged);
    }
}

/// What is seen of a server now. Takes time for each connection.
fn overview(server: &Server) -> Overview {
    let mut seen = Overview::default();
    let now = server.now();
    let (lines, gone) = server.in_room(|room, _| {
        seen.away = room.hub.away();
        seen.channels = room.hub.channels().collect();
        let channels = room.hub.channel_stats();
        seen.refused = channels
            .refused_subscribes
            .saturating_add(channels.refused_publishes);
        let infos = room.hub.connections().map(|info| {
            let line = room.lines.get(&info.connection).cloned();
            (info, line)
        });
        let gone = room.gone.values();
        let gone = gone.fold(Stats::default(), |all, one| all.plus(*one));
        (infos.collect::<Vec<_>>(), gone)
    });
    seen.unix_millis = unix_millis();
    seen.uptime = now.saturating_duration_since(Instant::EPOCH);
    let refused = server.inner.counts.refused_events();
    seen.refused = seen.refused.saturating_add(refused);
    seen.traffic = gone;
    for (info, line) in lines {
        let mut row = ConnectionRow::new(info);
        row.age = now.saturating_duration_since(row.info.since);
        if let Some(line) = line {
            row.stats = line.stats();
            seen.traffic = seen.traffic.plus(row.stats);
            for waiting in [line.link().waiting(), line.send_queue()] {
                row.waiting_messages = row.waiting_messages.saturating_add(waiting.events);
                row.waiting_bytes = row.waiting_bytes.saturating_add(waiting.bytes);
            }
            row.peer = line.name();
            row.packer = line
                .packer()
                .map(|it| it.name().to_owned())
                .unwrap_or_default();
        }
        seen.connections.push(row);
    }
    seen
}
