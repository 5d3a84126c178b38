//! The server behind `serve` and `demo`: it admits connections, keeps them in a hub and answers
//! what they say.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sente_adapters::{Events, Handle, Incoming, Listener};
use sente_core::edn::{Map, Value};
use sente_core::{
    Accept, ConnId, ConnectionEvent, Dialect, Event, Grace, Hub, HubConfig, HubOutput, Instant,
    Member, Message, Payload, ReplyError, ReplyToken, SendError, Target, UserId,
};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::link::mention;
use crate::output::say;
use crate::signals::DRAIN;
use crate::text;

/// Answers everybody who connects.
#[derive(Debug)]
pub(crate) struct Server {
    room: Mutex<Room>,
    /// How many connections there are.
    open: watch::Sender<usize>,
    /// Where the events of the namespace `demo` go; without it they are ordinary ones.
    demo: Option<mpsc::UnboundedSender<Heard>>,
}

/// Who is there.
#[derive(Debug)]
struct Room {
    hub: Hub,
    handles: HashMap<ConnId, Handle>,
    closing: bool,
}

impl Default for Room {
    fn default() -> Self {
        let mut config = HubConfig::default();
        // Who has left is gone at once, so that the hub needs no clock.
        config.grace = Grace::NONE;
        Self {
            // Nobody asks over channels here, so that no id need be unpredictable.
            hub: Hub::new(config, [0; 32]),
            handles: HashMap::new(),
            closing: false,
        }
    }
}

impl Room {
    fn join(&mut self, handle: &Handle, user: &str) {
        let member = Member::new(handle.packer().clone())
            .dialect(handle.dialect())
            .user(user);
        // There are not as many connections as a hub takes.
        if let Err(error) = self.hub.join(Instant::EPOCH, handle.id(), member) {
            tracing::warn!("{user:?} is not in the hub: {error}");
        }
        self.hear_nothing();
    }

    fn leave(&mut self, id: ConnId) {
        self.hub.leave(Instant::EPOCH, id);
        self.handles.remove(&id);
        self.hear_nothing();
    }

    /// Nobody is told of who comes and goes.
    fn hear_nothing(&mut self) {
        while self.hub.poll_event().is_some() {}
    }
}

/// An event of the demo, and who said it.
#[derive(Debug)]
pub(crate) struct Heard {
    /// The connection it came on.
    pub(crate) from: ConnId,
    /// What it says.
    pub(crate) event: Event,
}

/// What a broadcast came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reached {
    /// How many connections took it.
    pub(crate) connections: usize,
    /// How often it was packed.
    pub(crate) packings: usize,
}

impl Server {
    /// A server that hands the events of the demo to `demo`.
    pub(crate) fn for_demo(demo: mpsc::UnboundedSender<Heard>) -> Arc<Self> {
        Arc::new(Self {
            room: Mutex::default(),
            open: watch::Sender::new(0),
            demo: Some(demo),
        })
    }

    /// Admits whoever comes to `listener`, until the task is aborted.
    pub(crate) fn listen(self: &Arc<Self>, mut listener: Listener) -> JoinHandle<()> {
        let server = Arc::clone(self);
        tokio::spawn(async move {
            while let Some(incoming) = listener.accept().await {
                match incoming {
                    Ok(incoming) => {
                        let server = Arc::clone(&server);
                        tokio::spawn(async move { server.admit(incoming).await });
                    }
                    Err(error) => say!("{}: {error}", listener.url()),
                }
            }
        })
    }

    /// Serves a connection that is open already, as `user`, until it ends.
    pub(crate) async fn serve(&self, handle: Handle, mut events: Events, user: String) {
        let id = handle.id();
        self.join(&handle, user);
        while let Some(event) = events.next().await {
            self.react(&handle, event).await;
        }
        let mut room = self.room();
        room.leave(id);
        drop(room);
        self.open.send_modify(|open| *open = open.saturating_sub(1));
    }

    /// Sends `event` to everyone `target` means, packed once for each packer in use.
    pub(crate) async fn tell(&self, target: &Target, event: &Event) -> Result<Reached, String> {
        let (deliveries, packings) = {
            let mut room = self.room();
            let fanout = room
                .hub
                .fan_out(Instant::EPOCH, target, event)
                .map_err(|error| error.to_string())?;
            let mut deliveries = Vec::new();
            while let Some(output) = room.hub.poll_output() {
                if let HubOutput::Deliver(delivery) = output {
                    for id in &delivery.to {
                        let handle = room.handles.get(id).cloned();
                        deliveries.extend(handle.map(|it| (it, delivery.event.clone())));
                    }
                }
            }
            (deliveries, fanout.packings)
        };
        let mut connections = 0;
        for (handle, packed) in deliveries {
            match handle.send_packed(&packed) {
                Ok(()) => connections += 1,
                // A broadcast waits for nobody.
                Err(error) => tracing::warn!("{} misses a broadcast: {error}", handle.peer()),
            }
        }
        Ok(Reached {
            connections,
            packings,
        })
    }

    /// The handle of a connection that is still there.
    pub(crate) fn handle(&self, id: ConnId) -> Option<Handle> {
        self.room().handles.get(&id).cloned()
    }

    /// Lets every connection finish what it has begun, `within` at most.
    pub(crate) async fn drain(&self, within: Duration) {
        let handles: Vec<Handle> = {
            let mut room = self.room();
            room.closing = true;
            room.handles.values().cloned().collect()
        };
        for handle in &handles {
            handle.drain(within);
        }
        let mut open = self.open.subscribe();
        let all_gone = open.wait_for(|open| *open == 0);
        let all_gone = tokio::time::timeout(within + Duration::from_millis(500), all_gone).await;
        if all_gone.is_err() {
            for handle in &handles {
                handle.close();
            }
        }
    }

    async fn admit(&self, incoming: Incoming) {
        let peer = incoming.peer().to_string();
        let id = incoming.id().to_string();
        let accept = match incoming.dialect() {
            Dialect::Sente => {
                let user = incoming.param("uid").or_else(|| incoming.client_id());
                Accept::new(user.unwrap_or(id))
            }
            Dialect::SenteLite => {
                let mut accept = Accept::new(id);
                accept.data = Value::from(Map::from([(
                    text::keyword("sente-lite-version"),
                    Value::from("2.0.0"),
                )]));
                accept
            }
        };
        let user = accept.uid.as_str().unwrap_or_default().to_owned();
        match incoming.accept(accept).await {
            Ok((handle, events)) => self.serve(handle, events, user).await,
            Err(error) => say!("{peer} was lost in the handshake: {error}"),
        }
    }

    fn join(&self, handle: &Handle, user: String) {
        tracing::info!("{} is here as {user:?}", handle.peer());
        self.open.send_modify(|open| *open += 1);
        let mut room = self.room();
        room.join(handle, &user);
        room.handles.insert(handle.id(), handle.clone());
        if room.closing {
            handle.drain(DRAIN);
        }
    }

    async fn react(&self, handle: &Handle, event: ConnectionEvent) {
        match event {
            ConnectionEvent::Message(message) => self.hear(handle, message).await,
            ConnectionEvent::PeerFinished => handle.drain(FINISHING),
            ConnectionEvent::Closed(reason) => {
                tracing::info!("{} is gone: {reason}", handle.peer());
            }
            event => mention(handle, event),
        }
    }

    async fn hear(&self, handle: &Handle, message: Message) {
        let Message { event, reply, .. } = message;
        match (event.id.as_str(), reply) {
            // Two echoers would talk for ever.
            ("sente-lite/echo", Some(token)) => handle.forget(token),
            ("sente-lite/echo", None) => {}
            ("test/echo", Some(token)) => {
                let data = event.data.unwrap_or_else(|| Payload::from(Value::Nil));
                answer(handle, token, data);
            }
            ("demo/who", Some(token)) if self.demo.is_some() => {
                let users: Vec<Value> = self.room().hub.users().map(UserId::to_value).collect();
                answer(handle, token, Value::Vector(users.into()));
            }
            ("demo/say", None) if self.demo.is_some() => self.say(handle.id(), &event).await,
            (_, None) if self.demo.is_some() && event.id.namespace() == "demo" => {
                self.note(handle.id(), event);
            }
            (_, Some(token)) => answer(handle, token, echo(handle, &event)),
            (_, None) => {
                if let Some(echo) = text::event("sente-lite/echo", echo(handle, &event)) {
                    push(handle, echo).await;
                }
            }
        }
    }

    /// Passes what one user of the demo says on to all the others.
    async fn say(&self, from: ConnId, event: &Event) {
        let user = self.room().hub.user_of(from).map(UserId::to_value);
        let data = event.data.as_ref().and_then(|data| data.to_value().ok());
        let said = Map::from([
            (text::keyword("from"), user.unwrap_or_default()),
            (text::keyword("data"), data.unwrap_or_default()),
        ]);
        if let Some(said) = text::event("demo/said", Value::from(said))
            && let Err(error) = self.tell(&Target::AllBut(from), &said).await
        {
            say!("a broadcast failed: {error}");
        }
    }

    /// Takes an event of the demo: a name, or something the show waits for.
    fn note(&self, from: ConnId, event: Event) {
        if event.id.as_str() == "demo/hello"
            && let Some(Ok(data)) = event.data.as_ref().map(Payload::to_value)
            && let Some(name) = data.get_keyword("name").and_then(Value::as_str)
        {
            let mut room = self.room();
            let handle = room.handles.get(&from).cloned();
            if let Some(handle) = handle {
                room.join(&handle, name);
            }
        }
        if let Some(demo) = &self.demo {
            // After the show nobody listens any more.
            let _ = demo.send(Heard { from, event });
        }
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        // Nothing that runs under the lock leaves the room half changed.
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What sente-lite's stock server answers to an event it does not know.
fn echo(handle: &Handle, event: &Event) -> Value {
    let data = event.data.as_ref().and_then(|data| data.to_value().ok());
    let millis = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        });
    Value::from(Map::from([
        (
            text::keyword("original-event-id"),
            text::keyword(event.id.as_str()),
        ),
        (text::keyword("original-data"), data.unwrap_or_default()),
        (
            text::keyword("conn-id"),
            Value::from(handle.id().to_string()),
        ),
        (text::keyword("timestamp"), Value::from(millis)),
    ]))
}

/// Sends an event; while the peer takes nothing more, nothing more is read from it.
async fn push(handle: &Handle, event: Event) {
    let sent = match handle.try_send(event) {
        Err(SendError::Full { event, .. }) => handle.send(*event).await,
        sent => sent,
    };
    match sent {
        Ok(()) => {}
        // It has left, with perhaps thousands of its events still to be answered.
        Err(SendError::NotOpen(_)) => tracing::debug!("{} has left", handle.peer()),
        Err(error) => tracing::warn!("{} misses an event: {error}", handle.peer()),
    }
}

fn answer(handle: &Handle, token: ReplyToken, payload: impl Into<Payload>) {
    match handle.reply(token, payload) {
        Ok(()) => {}
        Err(error @ ReplyError::NotOpen(_)) => {
            tracing::debug!("{} has left: {error}", handle.peer());
        }
        Err(error) => tracing::warn!("{} gets no reply: {error}", handle.peer()),
    }
}

/// How long a peer that has half-closed may take to read its replies.
const FINISHING: Duration = Duration::from_secs(5);
