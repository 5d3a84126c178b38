//! The part of a client in the demo, the same in this process and in the child.

use std::time::{Duration, Instant};

use sente_adapters::{Events, Handle};
use sente_core::edn::{Map, Value};
use sente_core::{ConnectionEvent, Event, Message, Payload};
use tokio::sync::mpsc;

use crate::link::mention;
use crate::text::{event, keyword, show_event, show_payload};

/// Plays until the link ends: says its name, acts when it is told to, and answers.
pub(crate) async fn play(name: String, handle: Handle, mut events: Events) {
    let (echo, mut echoes) = mpsc::channel(1);
    // The act waits for echoes that this loop hears.
    let (act, mut acts) = mpsc::channel::<()>(1);
    let acting = tokio::spawn({
        let handle = handle.clone();
        let name = name.clone();
        async move {
            while acts.recv().await.is_some() {
                let report = perform(&name, &handle, &mut echoes).await;
                tell(&handle, "demo/report", report).await;
            }
        }
    });
    let mut greeted = false;
    loop {
        if !greeted && handle.opened().is_some() {
            greeted = true;
            let hello = Map::from([(keyword("name"), Value::from(name.as_str()))]);
            tell(&handle, "demo/hello", Value::from(hello)).await;
        }
        let Some(happened) = events.next().await else {
            break;
        };
        match happened {
            ConnectionEvent::Message(message) => {
                let Message { event, reply, .. } = message;
                match (event.id.as_str(), reply) {
                    ("demo/ask", Some(token)) => {
                        if let Err(error) = handle.reply(token, name.as_str()) {
                            tracing::debug!("{name} cannot reply: {error}");
                        }
                    }
                    (_, Some(token)) => handle.forget(token),
                    ("demo/act", None) => {
                        let _ = act.try_send(());
                    }
                    ("demo/note", None) => {
                        let data = event.data.unwrap_or_else(|| Payload::from(Value::Nil));
                        tell(&handle, "demo/got", data).await;
                    }
                    ("sente-lite/echo", None) => {
                        let _ = echo.try_send(event);
                    }
                    _ => tracing::debug!("{name} has no use for {}", event.id),
                }
            }
            ConnectionEvent::PeerFinished => handle.drain(Duration::from_secs(1)),
            ConnectionEvent::Opened(_) => {}
            other => mention(&handle, other),
        }
    }
    acting.abort();
}

/// Calls the hub and says something that comes back as an echo. The report names both, what came
/// back, and how long it took.
async fn perform(name: &str, handle: &Handle, echoes: &mut mpsc::Receiver<Event>) -> Value {
    let data = Value::from(Map::from([(keyword("from"), Value::from(name))]));
    let mut rows: Vec<Value> = Vec::new();
    if let Some(call) = event("test/echo", data.clone()) {
        let said = show_event(&call);
        let began = Instant::now();
        let reply = handle.call(call, PATIENCE).await;
        let took = began.elapsed();
        rows.push(match reply {
            Ok(reply) => {
                let right = reply.to_value().is_ok_and(|value| value == data);
                let shown = show_payload(&reply).unwrap_or_else(|error| error);
                row("call", &said, &shown, took, right)
            }
            Err(error) => row("call", &said, &format!("{error:?}"), took, false),
        });
    }
    if let Some(line) = event("chat/line", Value::from("hi")) {
        let said = show_event(&line);
        let began = Instant::now();
        let sent = handle.send(line).await;
        let back = match sent {
            Ok(()) => tokio::time::timeout(PATIENCE, echoes.recv()).await,
            Err(_) => Ok(None),
        };
        let took = began.elapsed();
        rows.push(match back {
            Ok(Some(back)) => row("event", &said, &show_event(&back), took, true),
            Ok(None) => row("event", &said, "the connection ended", took, false),
            Err(_) => row("event", &said, "no echo came", took, false),
        });
    }
    Value::Vector(rows.into())
}

/// One thing that was done, as the hub is told of it.
fn row(what: &str, said: &str, answer: &str, took: Duration, right: bool) -> Value {
    let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
    Value::from(Map::from([
        (keyword("what"), Value::from(what)),
        (keyword("said"), Value::from(said)),
        (keyword("answer"), Value::from(answer)),
        (keyword("nanos"), Value::from(nanos)),
        (keyword("right"), Value::Bool(right)),
    ]))
}

async fn tell(handle: &Handle, id: &str, data: impl Into<Payload>) {
    if let Some(event) = event(id, data)
        && let Err(error) = handle.send(event).await
    {
        tracing::debug!("{} does not hear :{id}: {error}", handle.peer());
    }
}

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
