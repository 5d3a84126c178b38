//! The other side of every pair: it does what it is asked to.

use std::sync::Arc;
use std::time::Duration;

use sente_adapters::{Events, Handle};
use sente_core::{ConnectionEvent, Event, EventId, Message, Payload};
use sente_edn::Value;
use tokio::sync::Notify;

/// How a peer in the same process is let go on after it was told to stop.
pub(crate) type GoOn = Arc<Notify>;

pub(crate) fn event(id: &str, data: impl Into<Payload>) -> Event {
    Event::new(EventId::new(id).unwrap(), data)
}

pub(crate) fn number(payload: Option<&Payload>) -> i64 {
    payload.unwrap().to_value().unwrap().as_i64().unwrap()
}

/// Serves one connection to its end.
pub(crate) async fn serve(handle: Handle, mut events: Events, go_on: GoOn) {
    let mut items = 0;
    let mut unanswered = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            ConnectionEvent::Message(message) => {
                match &*message.event.id.to_string() {
                    ":test/item" => items += 1,
                    ":test/count" => {
                        handle.reply(message.reply.unwrap(), items).unwrap();
                    }
                    ":test/mute" => unanswered.push(message.reply),
                    ":test/stop" => {
                        handle.reply(message.reply.unwrap(), true).unwrap();
                        go_on.notified().await;
                    }
                    _ => act(&handle, message).await,
                };
            }
            ConnectionEvent::PeerFinished => {
                let _ = handle.send(self::event("test/bye", items)).await;
                handle.drain(Duration::from_secs(5));
            }
            _ => {}
        }
    }
}

/// What needs no memory.
async fn act(handle: &Handle, message: Message) {
    let data = message.event.data.clone();
    match (&*message.event.id.to_string(), message.reply) {
        (":test/echo", Some(token)) => {
            let data = data.unwrap_or_else(|| Payload::from(Value::Nil));
            let _ = handle.reply(token, data);
        }
        // Whoever asked may be gone.
        (":test/echo", None) => {
            let _ = handle.send(message.event).await;
        }
        (":test/ask", None) => {
            let asked = event("test/question", 20);
            let reply = handle.call(asked, Duration::from_secs(20)).await.unwrap();
            let answered = event("test/answered", number(Some(&reply)) + 1);
            handle.send(answered).await.unwrap();
        }
        (":test/burst", None) => {
            let asked = data.unwrap().to_value().unwrap();
            let (count, size) = asked.as_str().unwrap().split_once(' ').unwrap();
            let (count, size): (i64, usize) = (count.parse().unwrap(), size.parse().unwrap());
            let item = "x".repeat(size);
            for _ in 0..count {
                if handle
                    .send(event("test/item", item.as_str()))
                    .await
                    .is_err()
                {
                    return;
                }
            }
            let _ = handle.send(event("test/done", count)).await;
        }
        (":test/finish", None) => {
            for n in 0..50 {
                handle.send(event("test/item", n)).await.unwrap();
            }
            handle.drain(Duration::from_secs(5));
        }
        (id, _) => panic!("{id}"),
    }
}
