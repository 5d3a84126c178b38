//! A client that comes back, over real transports.
#![allow(missing_docs)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sente_adapters::{
    CallFailure, ClientEvents, ClientHandle, ClientOptions, ConnectOptions, Handle, ListenOptions,
    Listener, Url, keep_connected,
};
use sente_core::{
    Accept, CallError, ClientEvent, ClientState, CloseReason, ConnectFailure, ConnectionEvent,
    Event, Limits, OnOffline, Payload, Policy, ReserveError, SendError, SendOptions, Sent,
};
use sente_edn::Value;

const PATIENCE: Duration = Duration::from_secs(30);

fn event(text: &str) -> Event {
    Event::from_value(sente_edn::from_str(text).unwrap()).unwrap()
}

/// An echo server that can be made to lose its connections.
struct Server {
    url: Url,
    links: Arc<Mutex<Vec<Handle>>>,
    queries: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(at: &str) -> Self {
        let at = at.parse().unwrap();
        let mut listener = Listener::bind(&at, ListenOptions::default()).await.unwrap();
        let url = listener.url().clone();
        let links = Arc::new(Mutex::new(Vec::new()));
        let queries = Arc::new(Mutex::new(Vec::new()));
        let (known, asked) = (links.clone(), queries.clone());
        tokio::spawn(async move {
            while let Some(Ok(incoming)) = listener.accept().await {
                if let Some(request) = incoming.request() {
                    asked.lock().unwrap().push(request.target.clone());
                }
                let accept = Accept::new(incoming.id().to_string());
                let (handle, mut events) = incoming.accept(accept).await.unwrap();
                known.lock().unwrap().push(handle.clone());
                tokio::spawn(async move {
                    while let Some(event) = events.next().await {
                        match event {
                            ConnectionEvent::Message(message) => {
                                let Some(token) = message.reply else { continue };
                                let data = message.event.data;
                                let data = data.unwrap_or_else(|| Payload::from(Value::Nil));
                                let _ = handle.reply(token, data);
                            }
                            ConnectionEvent::PeerFinished => handle.drain(PATIENCE),
                            _ => {}
                        }
                    }
                });
            }
        });
        Self {
            url,
            links,
            queries,
        }
    }

    fn drop_all(&self) {
        for link in self.links.lock().unwrap().drain(..) {
            link.close();
        }
    }
}

async fn next(events: &mut ClientEvents) -> ClientEvent {
    tokio::time::timeout(PATIENCE, events.next())
        .await
        .expect("in time")
        .expect("the client is there")
}

async fn until(events: &mut ClientEvents, wanted: impl Fn(&ClientEvent) -> bool) -> ClientEvent {
    loop {
        let event = next(events).await;
        if wanted(&event) {
            return event;
        }
    }
}

const fn is_opened(event: &ClientEvent) -> bool {
    matches!(event, ClientEvent::Opened(_))
}

const fn is_reopened(event: &ClientEvent) -> bool {
    matches!(event, ClientEvent::Reopened(_))
}

async fn comes_back(at: &str) {
    let server = Server::start(at).await;
    let url = server.url.clone();
    let (client, mut events) = keep_connected(ClientOptions::default(), move |_| {
        let url = url.clone();
        async move { Ok((url, ConnectOptions::default())) }
    })
    .unwrap();
    until(&mut events, is_opened).await;
    let asked = client.call(event("[:test/echo 1]"), PATIENCE).await;
    assert_eq!(asked.unwrap().to_value().unwrap().to_string(), "1");

    server.drop_all();
    until(&mut events, |event| matches!(event, ClientEvent::Closed(_))).await;
    until(&mut events, is_reopened).await;
    let asked = client.call(event("[:test/echo 2]"), PATIENCE).await;
    assert_eq!(asked.unwrap().to_value().unwrap().to_string(), "2");

    client.reconnect();
    until(&mut events, is_reopened).await;
    client.flush().await.unwrap();
    assert_eq!(client.stats().reconnects, 2);

    client.drain(PATIENCE);
    assert_eq!(
        tokio::time::timeout(PATIENCE, client.closed())
            .await
            .unwrap(),
        CloseReason::Requested
    );
    let late = client.try_send(event("[:a/late]"));
    assert!(matches!(late, Err(SendError::NotOpen(_))));
}

#[tokio::test]
async fn a_client_comes_back_over_tcp() {
    comes_back("tcp://127.0.0.1:0").await;
}

#[tokio::test]
async fn a_client_comes_back_over_a_websocket() {
    comes_back("ws://127.0.0.1:0/chsk").await;
}

#[tokio::test]
async fn every_attempt_asks_where_to_go_and_keeps_its_client_id() {
    let server = Server::start("ws://127.0.0.1:0/chsk").await;
    let url = server.url.clone();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let (client, mut events) = keep_connected(ClientOptions::default(), move |connect| {
        let nth = count.fetch_add(1, Ordering::Relaxed);
        assert_eq!(connect.reason.is_some(), nth > 0);
        let url = url.clone();
        async move {
            if nth == 1 {
                return Err(ConnectFailure::Retry("no token today".into()));
            }
            let mut options = ConnectOptions::default();
            options.csrf_token = Some(format!("token-{nth}"));
            Ok((url, options))
        }
    })
    .unwrap();
    until(&mut events, is_opened).await;
    client.break_connection();
    until(
        &mut events,
        |event| matches!(event, ClientEvent::ConnectFailed { failure, .. } if failure.to_string() == "no token today"),
    )
    .await;
    until(&mut events, is_reopened).await;
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    let queries = server.queries.lock().unwrap().clone();
    assert_eq!(queries.len(), 2);
    for (query, token) in queries.iter().zip(["token-0", "token-2"]) {
        assert!(query.contains(token), "{query}");
        assert!(query.contains(&client.client_id()), "{query}");
    }
}

#[tokio::test]
async fn calls_settle_at_once_when_the_link_is_lost() {
    let server = Server::start("tcp://127.0.0.1:0").await;
    let url = server.url.clone();
    let (client, mut events) = keep_connected(ClientOptions::default(), move |_| {
        let url = url.clone();
        async move { Ok((url, ConnectOptions::default())) }
    })
    .unwrap();
    until(&mut events, is_opened).await;
    let asking = client.clone();
    let call = tokio::spawn(async move {
        // Broken before the task drives on: no reply can have come.
        let call = asking.call(event("[:test/echo 1]"), Duration::from_secs(3600));
        tokio::pin!(call);
        let early = ready_now(call.as_mut()).await;
        assert!(early.is_none());
        asking.break_connection();
        call.await
    });
    let settled = tokio::time::timeout(PATIENCE, call).await.unwrap().unwrap();
    assert!(matches!(
        settled,
        Err(CallFailure::Failed(CallError::Closed))
    ));
}

/// What a future has ready at once.
async fn ready_now<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match future.as_mut().poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_not_there_is_asked_again_with_patience() {
    let mut options = ClientOptions::default();
    options.backoff.max_attempts = std::num::NonZeroU32::new(8);
    let (client, mut events) = keep_connected(options, |_| async {
        Err(ConnectFailure::Retry("nobody there".into()))
    })
    .unwrap();
    let began = tokio::time::Instant::now();
    let gave_up = until(&mut events, |event| {
        matches!(event, ClientEvent::GaveUp { .. })
    })
    .await;
    assert!(matches!(gave_up, ClientEvent::GaveUp { attempts: 8 }));
    // At most 0.5 + 1 + 2 + 4 + 8 + 16 s, and the timer's grain.
    assert!(began.elapsed() < Duration::from_secs(32));
    let reason = CloseReason::ConnectFailed("nobody there".into());
    assert_eq!(client.closed().await, reason);
    assert_eq!(client.opened().await, Err(reason));
}

#[tokio::test]
async fn what_is_sent_offline_leaves_when_the_link_opens_if_asked_for() {
    let server = Server::start("tcp://127.0.0.1:0").await;
    let url = server.url.clone();
    let mut options = ClientOptions::default();
    options.on_offline = OnOffline::buffer();
    let (client, _events) = keep_connected(options, move |_| {
        let url = url.clone();
        async move { Ok((url, ConnectOptions::default())) }
    })
    .unwrap();
    client.send(event("[:a/early]")).await.unwrap();
    tokio::time::timeout(PATIENCE, client.opened())
        .await
        .unwrap()
        .unwrap();
    client.flush().await.unwrap();
    assert_eq!(client.stats().links.events_queued, 1);
}

#[tokio::test]
async fn a_child_that_would_be_the_client_is_refused_for_good() {
    let (client, _events) = keep_connected(ClientOptions::default(), |_| async {
        let url = "exec:true".parse().unwrap();
        Ok((url, ConnectOptions::default()))
    })
    .unwrap();
    let reason = tokio::time::timeout(PATIENCE, client.closed()).await;
    assert!(matches!(reason, Ok(CloseReason::ConnectFailed(_))));
}

#[tokio::test]
async fn an_attempt_under_way_is_given_up_on_disconnect() {
    let (client, _events) = keep_connected(ClientOptions::default(), |_| async {
        std::future::pending::<()>().await;
        Err(ConnectFailure::Retry("never".into()))
    })
    .unwrap();
    tokio::task::yield_now().await;
    client.disconnect();
    assert_eq!(client.closed().await, CloseReason::Requested);
    assert_eq!(client.state(), ClientState::Closed(CloseReason::Requested));
    client.connect();
    let mut states = client.states();
    tokio::time::timeout(
        PATIENCE,
        states.wait_for(|state| matches!(state, ClientState::Connecting { .. })),
    )
    .await
    .unwrap()
    .unwrap();
}

#[tokio::test]
async fn a_client_nobody_holds_ends_its_link() {
    let server = Server::start("tcp://127.0.0.1:0").await;
    let url = server.url.clone();
    let (client, events) = keep_connected(ClientOptions::default(), move |_| {
        let url = url.clone();
        async move { Ok((url, ConnectOptions::default())) }
    })
    .unwrap();
    tokio::time::timeout(PATIENCE, client.opened())
        .await
        .unwrap()
        .unwrap();
    drop(events);
    drop(client);
    let link = loop {
        let link = server.links.lock().unwrap().first().cloned();
        match link {
            Some(link) => break link,
            None => tokio::task::yield_now().await,
        }
    };
    let end = tokio::time::timeout(PATIENCE, link.ended()).await.unwrap();
    assert!(end.reason.is_clean(), "{:?}", end.reason);
}

/// A client whose send queue holds one event, and its open link.
async fn narrow(server: &Server, options: ClientOptions) -> (ClientHandle, ClientEvents) {
    let url = server.url.clone();
    let (client, mut events) = keep_connected(options, move |_| {
        let mut limits = Limits::default();
        limits.max_send_messages = 1;
        let mut options = ConnectOptions::default();
        options.limits = Some(limits);
        let url = url.clone();
        async move { Ok((url, options)) }
    })
    .unwrap();
    until(&mut events, is_opened).await;
    (client, events)
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("in time")
}

#[tokio::test]
async fn those_who_send_with_a_client_wait_in_line() {
    let server = Server::start("tcp://127.0.0.1:0").await;
    let (client, _events) = narrow(&server, ClientOptions::default()).await;
    let held = soon(client.reserve(10)).await.unwrap();
    let full = client.try_send(event("[:a/n 0]"));
    assert!(matches!(full, Err(SendError::Full { .. })));
    let mut first = Box::pin(client.send_with(event("[:a/n 1]"), SendOptions::new()));
    let mut second = Box::pin(client.reserve(10));
    assert!(ready_now(first.as_mut()).await.is_none());
    assert!(ready_now(second.as_mut()).await.is_none());
    held.send(event("[:a/n 2]")).unwrap();
    assert_eq!(soon(first).await.unwrap(), Sent::Queued);
    let permit = soon(second).await.unwrap();
    // Dropped unused, the room is anybody's.
    drop(permit);
    soon(client.send(event("[:a/n 3]"))).await.unwrap();
    soon(client.flush()).await.unwrap();
    assert_eq!(client.stats().links.events_queued, 3);
    let volatile = SendOptions::new().policy(Policy::Volatile);
    let sent = client.try_send_with(event("[:a/n 4]"), volatile);
    assert_eq!(sent.unwrap(), Sent::Queued);
}

#[tokio::test]
async fn room_on_a_link_is_lost_with_it() {
    let server = Server::start("tcp://127.0.0.1:0").await;
    let (client, mut events) = narrow(&server, ClientOptions::default()).await;
    let held = soon(client.reserve(10)).await.unwrap();
    let mut waiting = Box::pin(client.reserve(10));
    let mut sending = Box::pin(client.send(event("[:a/n 1]")));
    assert!(ready_now(waiting.as_mut()).await.is_none());
    assert!(ready_now(sending.as_mut()).await.is_none());
    client.break_connection();
    assert_eq!(soon(waiting).await.err(), Some(ReserveError::NotOpen));
    assert!(matches!(soon(sending).await, Err(SendError::NotOpen(_))));
    assert_eq!(
        soon(client.reserve(10)).await.err(),
        Some(ReserveError::NotOpen)
    );
    until(&mut events, is_reopened).await;
    let late = held.send(event("[:a/n 2]"));
    assert!(matches!(late, Err(SendError::NoReservation(_))));
    soon(client.send(event("[:a/n 3]"))).await.unwrap();
}

#[tokio::test]
async fn who_waits_for_room_when_the_link_is_lost_is_kept_for_the_next_if_asked_for() {
    let server = Server::start("tcp://127.0.0.1:0").await;
    let mut options = ClientOptions::default();
    options.on_offline = OnOffline::Buffer {
        max_messages: 1,
        max_bytes: 100,
    };
    let (client, mut events) = narrow(&server, options).await;
    let _held = soon(client.reserve(10)).await.unwrap();
    let mut first = Box::pin(client.send(event("[:a/n 1]")));
    let mut second = Box::pin(client.send(event("[:a/n 2]")));
    assert!(ready_now(first.as_mut()).await.is_none());
    assert!(ready_now(second.as_mut()).await.is_none());
    client.break_connection();
    // There is room for one of them only, until there is a link.
    soon(first).await.unwrap();
    assert!(ready_now(second.as_mut()).await.is_none());
    let huge = format!("[:a/n \"{}\"]", "x".repeat(200));
    let mut huge = Box::pin(client.send(event(&huge)));
    assert!(ready_now(huge.as_mut()).await.is_none());
    until(&mut events, is_reopened).await;
    soon(second).await.unwrap();
    soon(huge).await.unwrap();
    soon(client.flush()).await.unwrap();
    assert_eq!(client.stats().links.events_queued, 3);
}
