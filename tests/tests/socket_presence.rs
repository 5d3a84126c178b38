//! Who is connected, grace, identities that end, slow consumers and rates, on real sockets.

#![allow(missing_docs)]

mod socket_support;

use std::time::Duration;

use sente_adapters::{CallFailure, Router};
use sente_core::admission::{Admission, CsrfCheck, Identity};
use sente_core::{
    CallError, CloseReason, Denied, HubEvent, Peer, Rate, SendOptions, SlowPolicy, Target,
};
use sente_server::{Sender, Server, ServerConfig, ServerEvent};

use socket_support::{by_uid, client, closed, event, next, run, within};

const SOON: Duration = Duration::from_secs(10);

/// What of the server's events `wanted` makes something of.
async fn told<T>(
    events: &mut sente_server::ServerEvents,
    wanted: impl Fn(ServerEvent) -> Option<T>,
) -> T {
    loop {
        let event = within(events.next()).await.expect("the server is there");
        if let Some(found) = wanted(event) {
            return found;
        }
    }
}

fn opened(event: ServerEvent) -> Option<String> {
    match event {
        ServerEvent::Hub(HubEvent::UidportOpen(user)) => Some(user.to_string()),
        _ => None,
    }
}

fn gone(event: ServerEvent) -> Option<String> {
    match event {
        ServerEvent::Hub(HubEvent::UidportClose(user)) => Some(user.to_string()),
        _ => None,
    }
}

#[tokio::test]
async fn a_user_is_gone_when_the_grace_of_the_last_connection_is_over() {
    let mut config = ServerConfig::default();
    config.hub.grace.web_socket = Duration::from_millis(30);
    let running = run(by_uid(Router::new()).config(config)).await;
    let mut events = running.server.events();
    let mut users = running.server.users();
    let (phone, _phone) = client(&running, "ada", "phone").await;
    let (laptop, _laptop) = client(&running, "ada", "laptop").await;
    assert_eq!(told(&mut events, opened).await, "ada");
    let uids = within(users.wait_for(|uids| uids.any().contains(&"ada".into()))).await;
    assert_eq!(uids.any().len(), 1);
    phone.close();
    laptop.close();
    assert_eq!(told(&mut events, gone).await, "ada");
    within(users.wait_for(|uids| uids.any().is_empty())).await;
    let (_again, _) = client(&running, "ada", "phone").await;
    assert_eq!(
        told(&mut events, opened).await,
        "ada",
        "anew, and not before"
    );
}

#[tokio::test]
async fn what_is_pushed_during_the_grace_comes_first_when_the_client_is_back() {
    let mut config = ServerConfig::default();
    config.hub.grace.web_socket = SOON;
    let running = run(by_uid(Router::new()).config(config)).await;
    let mut events = running.server.events();
    let (handle, _) = client(&running, "ada", "phone").await;
    handle.close();
    told(&mut events, |event| match event {
        ServerEvent::Left { .. } => Some(()),
        _ => None,
    })
    .await;
    let target = Target::User("ada".into());
    for number in 0..3 {
        let fanout = running.server.fan_out(&target, &event("news/item", number));
        assert_eq!(fanout.unwrap().kept, 1);
    }
    let (_handle, mut back) = client(&running, "ada", "phone").await;
    running
        .server
        .fan_out(&target, &event("news/item", 3))
        .unwrap();
    for number in 0..4 {
        let expected = (String::from("news/item"), number.into());
        assert_eq!(next(&mut back).await, expected);
    }
}

#[tokio::test]
async fn a_connection_ends_with_its_identity() {
    let builder = Server::builder().admission(Admission::new(CsrfCheck::skip()));
    let at = std::sync::Arc::new(std::sync::OnceLock::<Server>::new());
    let clock = at.clone();
    let running = run(builder.admit(move |incoming| {
        let now = clock.get().unwrap().now();
        let identity = Identity::of("ada").until(now + Duration::from_millis(50));
        std::future::ready(Ok(incoming.accept(identity)))
    }))
    .await;
    at.set(running.server.clone()).unwrap();
    let (_handle, mut events) = client(&running, "", "c1").await;
    let CloseReason::PeerClosed { code, reason } = closed(&mut events).await else {
        panic!("it did not end so");
    };
    assert_eq!((code, reason.as_str()), (Some(1008), "identity is over"));
}

#[tokio::test]
async fn an_identity_that_does_not_hold_any_more_when_asked_again_is_over() {
    let mut config = ServerConfig::default();
    config.recheck.every = Some(Duration::from_millis(20));
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counted = asked.clone();
    let builder = by_uid(Router::new()).config(config);
    let running = run(builder.recheck(move |sender: Sender| {
        assert_eq!(sender.user().map(|user| &**user), Some("ada"));
        let before = counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        std::future::ready((before < 2).then(|| Identity::of("ada")))
    }))
    .await;
    let (_handle, mut events) = client(&running, "ada", "c1").await;
    let reason = closed(&mut events).await;
    assert!(matches!(reason, CloseReason::PeerClosed { .. }), "{reason}");
    assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 3);
}

#[tokio::test]
async fn what_is_over_a_rate_is_refused_and_told_and_its_caller_hears() {
    let mut config = ServerConfig::default();
    config.rates.user_messages = Some(Rate::new(1, Duration::from_secs(60), 2));
    let router = Router::new().fallback(async || 1);
    let running = run(by_uid(router).config(config)).await;
    let mut events = running.server.events();
    let (phone, _phone) = client(&running, "ada", "phone").await;
    let (laptop, _laptop) = client(&running, "ada", "laptop").await;
    assert!(phone.call(event("test/ask", 0), SOON).await.is_ok());
    assert!(laptop.call(event("test/ask", 0), SOON).await.is_ok());
    let refused = phone.call(event("test/ask", 0), SOON).await.unwrap_err();
    assert!(matches!(refused, CallFailure::Failed(CallError::Peer)));
    let count = told(&mut events, |event| match event {
        ServerEvent::Refused { count, .. } => Some(count),
        _ => None,
    });
    assert_eq!(count.await, 1);
    assert_eq!(running.server.stats().refused_events, 1);
}

#[tokio::test]
async fn a_guard_is_asked_before_any_handler() {
    let router = Router::new().fallback(async || 1);
    let guard = |from: &Peer, action: &sente_core::Action<'_>| match action {
        sente_core::Action::Event(event) if event.id.namespace() == "admin" => {
            match from.user.as_deref() {
                Some("root") => Ok(()),
                _ => Err(Denied::new("not-an-admin")),
            }
        }
        _ => Ok(()),
    };
    let running = run(by_uid(router).guard(guard)).await;
    let (ada, _ada) = client(&running, "ada", "c1").await;
    let (root, _root) = client(&running, "root", "c2").await;
    assert!(ada.call(event("admin/stop", 0), SOON).await.is_err());
    assert!(root.call(event("admin/stop", 0), SOON).await.is_ok());
    assert!(ada.call(event("chat/say", 0), SOON).await.is_ok());
}

#[tokio::test]
async fn a_slow_consumer_is_told_of_by_name_and_closed() {
    let mut config = ServerConfig::default();
    config.inbox.max_messages = 100;
    config.inbox.slow = SlowPolicy::Close {
        after: Duration::from_millis(20),
        code: 1008,
        reason: "too slow".into(),
    };
    let running = run(by_uid(Router::new()).config(config)).await;
    let mut events = running.server.events();
    // A client that asks for the upgrade and then reads nothing.
    let listening = running.listening.url().to_string();
    let address = listening.trim_start_matches("ws://").trim_end_matches('/');
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /chsk?uid=ada&client-id=c1 HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Version: 13\r\n\r\n"
    );
    tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes())
        .await
        .unwrap();
    told(&mut events, opened).await;
    let server = running.server.clone();
    let pushing = tokio::spawn(async move {
        let large = event("news/large", "x".repeat(100_000));
        let options = SendOptions::new();
        loop {
            let _ = server.fan_out_with(&Target::User("ada".into()), &large, &options);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let lost = told(&mut events, |event| match event {
        ServerEvent::Hub(HubEvent::SlowConsumer {
            user, closed, lost, ..
        }) if closed || lost.count > 0 => {
            assert_eq!(&*user, "ada");
            Some(closed)
        }
        _ => None,
    });
    let closed = lost.await;
    if !closed {
        told(&mut events, |event| match event {
            ServerEvent::Hub(HubEvent::SlowConsumer { closed, .. }) => closed.then_some(()),
            _ => None,
        })
        .await;
    }
    pushing.abort();
    drop(stream);
    told(&mut events, |event| match event {
        ServerEvent::Left { peer, .. } => Some(peer.user),
        _ => None,
    })
    .await;
}
