//! Who is connected, grace, identities that end, slow consumers and rates, on real sockets.

#![allow(missing_docs)]

mod socket_support;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sente_adapters::{CallFailure, Router};
use sente_core::admission::{Admission, CsrfCheck, Identity};
use sente_core::{
    CallError, CloseReason, Denied, HubEvent, Peer, Rate, SendOptions, SlowPolicy, Target,
};
use sente_server::{Sender, Server, ServerConfig, ServerEvent};

use tokio::net::TcpStream;

use socket_support::{Running, by_uid, client, closed, event, next, run, within};

/// Only where something hangs does it take so long.
const SOON: Duration = Duration::from_secs(60);

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

/// A client that asks for the upgrade, and leaves all else to the test.
async fn upgraded(running: &Running, user: &str) -> TcpStream {
    let listening = running.listening.url().to_string();
    let address = listening.trim_start_matches("ws://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /chsk?uid={user}&client-id=c1 HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Version: 13\r\n\r\n"
    );
    let written = tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes());
    written.await.unwrap();
    stream
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
async fn a_connection_ends_with_its_identity_even_if_that_was_over_before_it_began() {
    for holds in [Duration::ZERO, Duration::from_millis(50)] {
        let builder = Server::builder().admission(Admission::new(CsrfCheck::skip()));
        let at = Arc::new(OnceLock::<Server>::new());
        let clock = at.clone();
        let running = run(builder.admit(move |incoming| {
            let now = clock.get().unwrap().now();
            let identity = Identity::of("ada").until(now + holds);
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
}

#[tokio::test]
async fn an_identity_that_does_not_hold_any_more_when_asked_again_is_over() {
    let mut config = ServerConfig::default();
    config.recheck.every = Some(Duration::from_millis(20));
    let asked = Arc::new(AtomicU32::new(0));
    let counted = asked.clone();
    let builder = by_uid(Router::new()).config(config);
    let running = run(builder.recheck(move |sender: Sender| {
        assert_eq!(sender.user().map(|user| &**user), Some("ada"));
        let before = counted.fetch_add(1, Ordering::Relaxed);
        std::future::ready((before < 2).then(|| Identity::of("ada")))
    }))
    .await;
    let (_handle, mut events) = client(&running, "ada", "c1").await;
    let reason = closed(&mut events).await;
    assert!(matches!(reason, CloseReason::PeerClosed { .. }), "{reason}");
    let asked = asked.load(Ordering::Relaxed);
    assert!(asked >= 3, "asked {asked} times, and it held twice");
}

#[tokio::test]
async fn an_identity_that_is_over_is_not_asked_about_while_the_goodbye_waits() {
    let mut config = ServerConfig::default();
    config.recheck.every = Some(Duration::from_millis(1));
    let (asked, _) = tokio::sync::watch::channel((0, 0));
    let counted = asked.clone();
    let builder = by_uid(Router::new()).config(config);
    let running = run(builder.recheck(move |sender: Sender| {
        let is_ada = sender.user().is_some_and(|user| &**user == "ada");
        counted.send_modify(|(ada, bob)| *(if is_ada { ada } else { bob }) += 1);
        std::future::ready((!is_ada).then(|| Identity::of("bob")))
    }))
    .await;
    let (_bob, _events) = client(&running, "bob", "c2").await;
    // She hears the goodbye, and does not answer it.
    let mut ada = upgraded(&running, "ada").await;
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).contains("identity is over") {
        let read = within(tokio::io::AsyncReadExt::read_buf(&mut ada, &mut heard));
        assert!(read.await.unwrap() > 0, "it ended without a goodbye");
    }
    let (before, bob) = *asked.borrow();
    assert!(before > 0);
    let mut asked = asked.subscribe();
    let (after, _) = *within(asked.wait_for(|(_, now)| *now >= bob + 20))
        .await
        .unwrap();
    assert_eq!(after, before, "and he was asked about 20 times since");
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
    let stream = upgraded(&running, "ada").await;
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
