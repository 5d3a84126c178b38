//! What every pair is held to.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use sente_adapters::CallFailure;
use sente_core::{CallError, CloseReason, ConnectionEvent, RecvStatus, SendError, State};

use crate::leaks::leaves_nothing;
use crate::peer::{event, number};
use crate::transports::{Rig, Setup};

/// A case: its name and what it does. It panics where it fails.
pub(crate) type Case = (
    &'static str,
    fn(&Rig) -> Pin<Box<dyn Future<Output = ()> + '_>>,
);

pub(crate) const CASES: &[Case] = &[
    ("a connection is open when it is there", |rig| {
        Box::pin(opens(rig))
    }),
    ("a refusal is an error", |rig| Box::pin(is_refused(rig))),
    ("events come back in their order", |rig| {
        Box::pin(echoes(rig))
    }),
    ("calls are answered in both directions", |rig| {
        Box::pin(calls(rig))
    }),
    ("a call nobody answers times out", |rig| {
        Box::pin(times_out(rig))
    }),
    ("a reader that stops is noticed and loses nothing", |rig| {
        Box::pin(pushes_back(rig))
    }),
    ("what was said before an end arrives", |rig| {
        Box::pin(is_finished(rig))
    }),
    ("the other side hears an end and answers", |rig| {
        Box::pin(finishes(rig))
    }),
    ("a killed peer ends calls and the connection", |rig| {
        Box::pin(is_killed(rig))
    }),
    ("64 MiB pass", |rig| Box::pin(passes_much(rig))),
    ("one byte at a time is enough", |rig| Box::pin(is_slow(rig))),
    ("a busy connection closes at once", |rig| {
        Box::pin(closes_while_busy(rig))
    }),
    ("a connection nobody reads closes at once", |rig| {
        Box::pin(closes_unread(rig))
    }),
    ("a thousand that are cut leave nothing behind", |rig| {
        Box::pin(leaves_nothing(rig))
    }),
];

const SOON: Duration = Duration::from_secs(20);

async fn opens(rig: &Rig) {
    let pair = rig.open().await;
    let reply = pair.ours.call(event("test/echo", "here"), SOON).await;
    assert_eq!(reply.unwrap().to_value().unwrap().as_str(), Some("here"));
    assert_eq!(pair.ours.handle().state(), State::Open);
    pair.ours.handle().close();
    pair.ours.ended().await;
}

async fn is_refused(rig: &Rig) {
    let attempts = rig.refused().await;
    assert!(!attempts.is_empty());
    for attempt in attempts {
        let Err(error) = attempt else {
            panic!("it was let in");
        };
        assert!(!error.to_string().is_empty());
    }
}

async fn echoes(rig: &Rig) {
    let mut pair = rig.open().await;
    for n in 0..200 {
        pair.ours.send(event("test/echo", n)).await.unwrap();
    }
    for n in 0..200 {
        let back = pair.ours.message().await;
        assert_eq!(number(back.event.data.as_ref()), n);
    }
}

async fn calls(rig: &Rig) {
    let mut pair = rig.open().await;
    for n in 0..50 {
        let reply = pair.ours.call(event("test/echo", n), SOON).await.unwrap();
        assert_eq!(number(Some(&reply)), n);
    }
    pair.ours.send(event("test/ask", 0)).await.unwrap();
    let asked = pair.ours.message().await;
    let token = asked.reply.expect("the peer waits");
    let doubled = number(asked.event.data.as_ref()) * 2;
    pair.ours.handle().reply(token, doubled).unwrap();
    let answered = pair.ours.message().await;
    assert_eq!(number(answered.event.data.as_ref()), 41);
}

async fn times_out(rig: &Rig) {
    let pair = rig.open().await;
    let short = Duration::from_millis(50);
    let settled = pair.ours.call(event("test/mute", 0), short).await;
    assert!(
        matches!(settled, Err(CallFailure::Failed(CallError::Timeout))),
        "{settled:?}"
    );
    // The connection is as it was.
    let reply = pair.ours.call(event("test/echo", 1), SOON).await.unwrap();
    assert_eq!(number(Some(&reply)), 1);
}

async fn pushes_back(rig: &Rig) {
    let pair = rig.open().await;
    pair.ours.call(event("test/stop", 0), SOON).await.unwrap();
    pair.stop();
    let data = "x".repeat(64 * 1024);
    let mut sent = 0;
    loop {
        match pair
            .ours
            .handle()
            .try_send(event("test/item", data.as_str()))
        {
            Ok(()) => sent += 1,
            Err(SendError::Full { .. }) => break,
            Err(other) => panic!("{other}"),
        }
        assert!(sent < 4096, "256 MiB went to a peer that reads nothing");
    }
    pair.go_on();
    pair.ours.flush().await;
    let count = pair.ours.call(event("test/count", 0), SOON).await.unwrap();
    assert_eq!(number(Some(&count)), sent);
}

async fn is_finished(rig: &Rig) {
    let mut pair = rig.open().await;
    pair.ours.send(event("test/finish", 0)).await.unwrap();
    let mut said = 0;
    loop {
        match pair.ours.next().await.expect("it says why it is closed") {
            ConnectionEvent::Message(message) => {
                assert_eq!(number(message.event.data.as_ref()), said);
                said += 1;
            }
            ConnectionEvent::PeerFinished => pair.ours.handle().drain(SOON),
            ConnectionEvent::Closed(_) => break,
            _ => {}
        }
    }
    assert_eq!(said, 50);
    pair.ours.ended().await;
}

async fn finishes(rig: &Rig) {
    let mut pair = rig.open().await;
    for n in 0..100 {
        pair.ours.send(event("test/item", n)).await.unwrap();
    }
    pair.ours.handle().drain(SOON);
    let refused = pair.ours.handle().try_send(event("test/item", 100));
    assert!(refused.is_err(), "it was to end");
    let mut last = None;
    while let Some(event) = pair.ours.next().await {
        if let ConnectionEvent::Message(message) = event {
            last = Some(number(message.event.data.as_ref()));
        }
    }
    // A WebSocket ends as a whole.
    assert_eq!(last, rig.transport.half_closes().then_some(100));
    pair.ours.ended().await;
}

async fn is_killed(rig: &Rig) {
    let mut pair = rig.open().await;
    let reply = pair.ours.call(event("test/echo", 1), SOON).await.unwrap();
    assert_eq!(number(Some(&reply)), 1);
    pair.ours.send(event("test/mute", 0)).await.unwrap();
    pair.ours.flush().await;
    pair.kill();
    let settled = pair.ours.call(event("test/mute", 0), SOON).await;
    assert!(settled.is_err());
    while let Some(event) = pair.ours.next().await {
        if matches!(event, ConnectionEvent::PeerFinished) {
            pair.ours.handle().close();
        }
    }
    pair.ours.ended().await;
}

async fn passes_much(rig: &Rig) {
    let setup = Setup {
        packer: Some("msgpack"),
        ..Setup::default()
    };
    let mut pair = rig.open_with(setup).await;
    let size = 512 * 1024;
    pair.ours
        .send(event("test/burst", format!("128 {size}")))
        .await
        .unwrap();
    let mut bytes = 0;
    loop {
        let message = pair.ours.message().await;
        let data = message.event.data.unwrap();
        if message.event.id.to_string() == ":test/done" {
            break;
        }
        bytes += data.to_value().unwrap().as_str().unwrap().len();
    }
    assert_eq!(bytes, 64 * 1024 * 1024);
}

async fn is_slow(rig: &Rig) {
    let setup = Setup {
        is_slow: true,
        ..Setup::default()
    };
    let mut pair = rig.open_with(setup).await;
    let data = "é🙂 ".repeat(300);
    let reply = pair
        .ours
        .call(event("test/echo", data.as_str()), SOON)
        .await;
    assert_eq!(reply.unwrap().to_value().unwrap().as_str(), Some(&*data));
    for n in 0..20 {
        pair.ours.send(event("test/echo", n)).await.unwrap();
    }
    for n in 0..20 {
        let back = pair.ours.message().await;
        assert_eq!(number(back.event.data.as_ref()), n);
    }
}

async fn closes_while_busy(rig: &Rig) {
    let mut pair = rig.open().await;
    pair.ours
        .send(event("test/burst", format!("1000 {}", 32 * 1024)))
        .await
        .unwrap();
    let data = "x".repeat(32 * 1024);
    for _ in 0..3 {
        pair.ours.message().await;
        pair.ours
            .send(event("test/item", data.as_str()))
            .await
            .unwrap();
    }
    pair.ours.handle().close();
    pair.ours.ended().await;
    while pair.ours.next().await.is_some() {}
}

/// Nobody takes what arrives, until there is no room for more; then nobody has to for it to end.
async fn closes_unread(rig: &Rig) {
    let mut pair = rig.open().await;
    pair.ours
        .send(event("test/burst", format!("1000 {}", 32 * 1024)))
        .await
        .unwrap();
    while pair.ours.handle().recv_capacity().status != RecvStatus::Full {
        rig.pause(Duration::from_millis(1)).await;
    }
    pair.ours.handle().close();
    pair.ours.ended().await;
    let mut last = None;
    while let Some(event) = pair.ours.next().await {
        last = Some(event);
    }
    assert!(
        matches!(last, Some(ConnectionEvent::Closed(CloseReason::Requested))),
        "{last:?}"
    );
}
