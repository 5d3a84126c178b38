//! What the server does for its clients: it echoes, as sente-lite's stock server does.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use sente_adapters::{Answer, Context, FromContext, MissingExtension, NoReply, RouteError, Router};
use sente_core::admission::{Admission, Identity};
use sente_core::edn::{Map, Value};
use sente_core::{Event, Payload, SlowPolicy};
use sente_server::inspector::{Inspector, InspectorConfig};
use sente_server::{Sender, Server, ServerConfig, ServerEvent, ServerEvents};

use super::admission;
use super::config::{Config, Loaded, Pace};
use crate::exit::Failure;
use crate::text;

/// The server of this configuration.
///
/// # Errors
/// If the system gives no random numbers.
pub(super) fn start(loaded: &Loaded, rules: Admission) -> Result<Server, Failure> {
    let mut router = router().map_err(Failure::other)?;
    // Everybody who is here has shown the token then, or came by a socket that a file guards.
    let inspector = Inspector::new(InspectorConfig::default(), |_| true);
    let has_inspector = loaded.config.http.inspector.value().is_some();
    if has_inspector {
        router = inspector.register(router).map_err(Failure::other)?;
    }
    let server = Server::builder()
        .config(config(loaded))
        .admission(rules)
        .admit(async |incoming| {
            // Nothing proves who is there: Sente's clients say who they are, and are believed.
            let request = incoming.request();
            let user = request.param("uid").map(|uid| uid.into_owned());
            let user = user.or_else(|| incoming.client_id().map(str::to_owned));
            let identity = user.map_or_else(Identity::nobody, Identity::of);
            Ok(incoming.accept(identity))
        })
        .router(router)
        .build()
        .map_err(|error: io::Error| Failure::other(format!("cannot start: {error}")))?;
    tokio::spawn(watch(server.events()));
    if has_inspector {
        inspector.watch(&server);
    }
    Ok(server)
}

/// The options of the server.
pub(super) fn config(loaded: &Loaded) -> ServerConfig {
    let Config {
        queue,
        slow_consumer,
        rates,
        hub,
        ..
    } = &loaded.config;
    let mut config = ServerConfig::default();
    config.gate = admission::gate(loaded);
    config.hub = hub.to_config();
    config.keep_requests = false;
    config.inbox.max_messages = queue.max_messages.0;
    config.inbox.max_bytes = queue.max_bytes.0;
    config.inbox.high_water = slow_consumer.high_water.0;
    config.inbox.low_water = slow_consumer.low_water.0;
    config.inbox.slow = match slow_consumer.close_after.value() {
        None => SlowPolicy::Drop,
        Some(after) => SlowPolicy::Close {
            after: after.0,
            code: 1008,
            reason: "too slow".into(),
        },
    };
    config.rates.connection_messages = rates.connection_messages.value().map(Pace::to_rate);
    config.rates.connection_bytes = rates.connection_bytes.value().map(Pace::to_rate);
    config.rates.user_messages = rates.user_messages.value().map(Pace::to_rate);
    config.rates.user_bytes = rates.user_bytes.value().map(Pace::to_rate);
    config
}

fn router() -> Result<Router, RouteError> {
    Router::new()
        .on("test/echo", async |asked: Asked| {
            if asked.is_call {
                let nil = || Payload::from(Value::Nil);
                return Answer::Reply(asked.event.data.unwrap_or_else(nil));
            }
            echo(asked).await
        })?
        // Two echoers would talk for ever.
        .on("sente-lite/echo", async || NoReply)
        .map(|router| router.fallback(echo))
}

/// An event, who sent it, and whether an answer is waited for.
struct Asked {
    event: Event,
    sender: Sender,
    is_call: bool,
}

impl<S> FromContext<S> for Asked {
    type Rejection = MissingExtension;

    fn from_context(context: &Context<S>) -> Result<Self, MissingExtension> {
        Ok(Self {
            event: context.event().clone(),
            sender: Sender::from_context(context)?,
            is_call: context.is_call(),
        })
    }
}

/// What sente-lite's stock server answers to an event it does not know.
async fn echo(asked: Asked) -> Answer {
    let Asked {
        event,
        sender,
        is_call,
    } = asked;
    let millis = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        });
    let data = event.data.as_ref().and_then(|data| data.to_value().ok());
    let echo = Value::from(Map::from([
        (
            text::keyword("original-event-id"),
            text::keyword(event.id.as_str()),
        ),
        (text::keyword("original-data"), data.unwrap_or_default()),
        (
            text::keyword("conn-id"),
            Value::from(sender.connection().to_string()),
        ),
        (text::keyword("timestamp"), Value::from(millis)),
    ]));
    if is_call {
        return Answer::Reply(Payload::from(echo));
    }
    if let Some(event) = text::event("sente-lite/echo", echo)
        && let Err(error) = sender.send(event).await
    {
        // It has left, with perhaps thousands of its events still to be answered.
        tracing::debug!(connection = %sender.connection(), %error, "an echo is lost");
    }
    Answer::Nothing
}

/// Logs what an operator should know of.
async fn watch(mut events: ServerEvents) {
    while let Some(event) = events.next().await {
        match event {
            ServerEvent::BadEvents {
                peer,
                reason: Some(reason),
                ..
            } => tracing::warn!(connection = %peer.connection, %reason, "bad frame"),
            ServerEvent::BadEvents { peer, count, .. } => {
                tracing::warn!(connection = %peer.connection, count, "more bad frames");
            }
            ServerEvent::Undelivered { peer, events } => {
                let count = events.len();
                tracing::warn!(connection = %peer.connection, count, "events were not delivered");
            }
            ServerEvent::Missed(count) => tracing::warn!(count, "reports were missed"),
            // What else there is to say the server itself has said.
            _ => {}
        }
    }
}
