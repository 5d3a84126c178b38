//! A client with a list of endpoints: over loopback, and in virtual time over links in memory.
#![allow(missing_docs)]

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sente_adapters::{
    Acceptor, CallFailure, ClientEvents, ClientHandle, ClientOptions, ConnectOptions, Duplex,
    Endpoint, Events, Handle, ListenOptions, Listener, Url, keep_connected_to,
};
use sente_core::{
    Accept, CallError, ClientEvent, ClientState, CloseReason, ConnectFailure, ConnectionEvent,
    EndpointChange, Event, OnOffline, Payload, SendError,
};
use sente_edn::Value;
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(30);

fn event(text: &str) -> Event {
    Event::from_value(sente_edn::from_str(text).unwrap()).unwrap()
}

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("in time")
}

/// What the servers of a test have been told, one after the other.
type Heard = Arc<Mutex<Vec<String>>>;

/// Answers calls with what they bring, and writes down everything else.
async fn serve(handle: Handle, mut events: Events, heard: Heard) {
    while let Some(event) = events.next().await {
        match event {
            ConnectionEvent::Message(message) => match message.reply {
                // Nobody will answer.
                Some(_) if message.event.id.name() == "hang" => {}
                Some(token) => {
                    let data = message.event.data;
                    let data = data.unwrap_or_else(|| Payload::from(Value::Nil));
                    let _ = handle.reply(token, data);
                }
                None => {
                    let said = message.event.to_value().unwrap().to_string();
                    heard.lock().unwrap().push(said);
                }
            },
            ConnectionEvent::PeerFinished => handle.drain(PATIENCE),
            _ => {}
        }
    }
}

/// A server that can be killed.
struct Server {
    url: Url,
    links: Arc<Mutex<Vec<Handle>>>,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(at: &str, heard: &Heard) -> Self {
        let mut listener = soon(Listener::bind(&url(at), ListenOptions::default()))
            .await
            .unwrap();
        let url = listener.url().clone();
        let links = Arc::new(Mutex::new(Vec::new()));
        let (known, heard) = (links.clone(), heard.clone());
        let task = tokio::spawn(async move {
            while let Some(Ok(incoming)) = listener.accept().await {
                let accept = Accept::new(incoming.id().to_string());
                let Ok((handle, events)) = incoming.accept(accept).await else {
                    continue;
                };
                known.lock().unwrap().push(handle.clone());
                tokio::spawn(serve(handle, events, heard.clone()));
            }
        });
        Self { url, links, task }
    }

    async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
        let links = std::mem::take(&mut *self.links.lock().unwrap());
        for link in links {
            link.close();
            soon(link.ended()).await;
        }
    }
}

fn options() -> ClientOptions {
    let mut options = ClientOptions::default();
    options.on_offline = OnOffline::buffer();
    options.keep_undelivered = true;
    options.return_every = None;
    options.backoff.min = Duration::from_millis(1);
    options.backoff.max = Duration::from_millis(5);
    // However slow the machine, no link of a test counts as one that stood.
    options.backoff.stable_for = Duration::from_secs(100_000);
    options
}

async fn until<T>(events: &mut ClientEvents, mut pick: impl FnMut(ClientEvent) -> Option<T>) -> T {
    loop {
        let event = soon(events.next()).await.expect("the client is there");
        if let Some(picked) = pick(event) {
            return picked;
        }
    }
}

async fn opened(events: &mut ClientEvents) {
    until(events, |event| {
        matches!(event, ClientEvent::Opened(_) | ClientEvent::Reopened(_)).then_some(())
    })
    .await;
}

async fn changed(events: &mut ClientEvents) -> EndpointChange {
    until(events, |event| match event {
        ClientEvent::EndpointChanged(change) => Some(*change),
        _ => None,
    })
    .await
}

async fn echo(client: &ClientHandle, n: i64) {
    let reply = client.call(event(&format!("[:test/echo {n}]")), PATIENCE);
    assert_eq!(
        soon(reply).await.unwrap().to_value().unwrap(),
        Value::from(n)
    );
}

#[tokio::test]
async fn whatever_carries_them_the_endpoints_follow_each_other_and_nothing_queued_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let heard = Heard::default();
    let path = directory.path().join("s.sock");
    let name = format!("unix:@sente-endpoints-{}", std::process::id());
    let mut servers = Vec::new();
    for at in [
        "ws://127.0.0.1:0/chsk",
        &format!("unix:{}", path.display()),
        "tcp://127.0.0.1:0",
        &name,
        "ws://127.0.0.1:0/lite",
    ] {
        servers.push(Server::start(at, &heard).await);
    }
    let endpoints: Vec<Endpoint> = servers.iter().map(|s| s.url.clone().into()).collect();
    let (client, mut events) = keep_connected_to(options(), endpoints).unwrap();
    let count = servers.len();
    let mut sent = Vec::new();
    for (nth, server) in servers.into_iter().enumerate() {
        opened(&mut events).await;
        let at = client.endpoint();
        assert_eq!(at.name, server.url.to_string());
        echo(&client, 1).await;
        soon(client.send(event(&format!("[:a/said {nth}]"))))
            .await
            .unwrap();
        sent.push(format!("[:a/said {nth}]"));
        soon(client.flush()).await.unwrap();
        // So that it is known to have been heard before the server dies.
        echo(&client, 2).await;
        if nth + 1 == count {
            break;
        }
        let left = server.url.to_string();
        server.kill().await;
        let change = changed(&mut events).await;
        assert_eq!((change.old, change.new), (nth, nth + 1));
        assert_eq!(change.old_name, left);
        assert!(change.reason.is_some());
        for kept in 0..3 {
            let said = format!("[:a/kept [{nth} {kept}]]");
            soon(client.send(event(&said))).await.unwrap();
            sent.push(said);
        }
    }
    assert_eq!(*heard.lock().unwrap(), sent);
    assert_eq!(client.stats().endpoint_changes, 4);
    for left in &client.endpoints()[..4] {
        assert!(left.last_failure.is_some(), "{left:?}");
    }
}

#[tokio::test]
async fn when_all_are_dead_the_reason_of_each_is_told_with_its_name() {
    let heard = Heard::default();
    let directory = tempfile::tempdir().unwrap();
    let mut names = Vec::new();
    for at in ["tcp://127.0.0.1:0", "ws://127.0.0.1:0/chsk"] {
        let server = Server::start(at, &heard).await;
        names.push(server.url.to_string());
        server.kill().await;
    }
    names.push(format!("unix:{}", directory.path().join("none").display()));
    names.push("a place that is looked up".to_owned());
    let mut endpoints: Vec<Endpoint> = names[..3].iter().map(|name| url(name).into()).collect();
    endpoints.push(Endpoint::asked(names[3].clone(), || async {
        Err(ConnectFailure::Retry("nobody knows it".into()))
    }));
    let mut options = options();
    options.backoff.max_attempts = NonZeroU32::new(1);
    let (client, mut events) = keep_connected_to(options, endpoints).unwrap();
    let mut failed = Vec::new();
    let attempts = until(&mut events, |event| match event {
        ClientEvent::ConnectFailed { failure, .. } => {
            failed.push(failure.to_string());
            None
        }
        ClientEvent::GaveUp { attempts } => Some(attempts),
        _ => None,
    })
    .await;
    assert_eq!(attempts, 4);
    let CloseReason::ConnectFailed(text) = soon(client.closed()).await else {
        panic!("{:?}", client.state());
    };
    assert_eq!(text, failed.join("; "));
    for (name, failed) in names.iter().zip(failed) {
        assert!(failed.starts_with(&format!("{name}: ")), "{failed}");
    }
    assert!(text.ends_with("a place that is looked up: nobody knows it"));
}

#[tokio::test]
async fn a_preferred_server_that_is_back_is_returned_to() {
    let directory = tempfile::tempdir().unwrap();
    let heard = Heard::default();
    let first = format!("unix:{}", directory.path().join("first").display());
    let second = Server::start("tcp://127.0.0.1:0", &heard).await;
    let mut options = options();
    options.return_every = Some(Duration::from_millis(5));
    let endpoints = [url(&first).into(), second.url.clone().into()];
    let (client, mut events) = keep_connected_to(options, endpoints).unwrap();
    opened(&mut events).await;
    assert_eq!(client.endpoint().name, second.url.to_string());
    echo(&client, 1).await;
    soon(client.send(event("[:a/said 1]"))).await.unwrap();
    let back = Server::start(&first, &heard).await;
    let change = until(&mut events, |event| match event {
        ClientEvent::EndpointChanged(change) => Some(*change),
        ClientEvent::ConnectFailed { failure, .. } => panic!("{failure}"),
        _ => None,
    })
    .await;
    assert_eq!((change.old, change.new, change.reason), (1, 0, None));
    soon(client.send(event("[:a/said 2]"))).await.unwrap();
    opened(&mut events).await;
    echo(&client, 2).await;
    assert_eq!(client.endpoint().name, first);
    assert_eq!(*heard.lock().unwrap(), ["[:a/said 1]", "[:a/said 2]"]);
    assert_eq!(back.links.lock().unwrap().len(), 1);
    // The link that was left was drained, not cut.
    let left = second.links.lock().unwrap()[0].clone();
    assert!(soon(left.ended()).await.reason.is_clean());
}

/// Servers in memory: each is there or not.
#[derive(Clone, Default)]
struct Memory {
    is_there: Arc<Mutex<Vec<bool>>>,
    links: Arc<Mutex<Vec<(usize, Handle)>>>,
    heard: Heard,
}

impl Memory {
    fn endpoints(&self, count: usize) -> Vec<Endpoint> {
        *self.is_there.lock().unwrap() = vec![false; count];
        (0..count).map(|nth| self.endpoint(nth)).collect()
    }

    fn endpoint(&self, nth: usize) -> Endpoint {
        let at = url(&format!("tcp://memory-{nth}:1"));
        let (memory, listens) = (self.clone(), at.clone());
        Endpoint::over(at, ConnectOptions::default(), move || {
            let (memory, at) = (memory.clone(), listens.clone());
            async move {
                if !memory.is_there.lock().unwrap()[nth] {
                    return Err(std::io::ErrorKind::ConnectionRefused.into());
                }
                let (ours, theirs) = Duplex::pair();
                let acceptor = Acceptor::new(&at, ListenOptions::default()).unwrap();
                tokio::spawn(async move {
                    let incoming = acceptor.take(theirs, "a client").await.unwrap().unwrap();
                    let (handle, events) = incoming.accept(Accept::new("ada")).await.unwrap();
                    memory.links.lock().unwrap().push((nth, handle.clone()));
                    serve(handle, events, memory.heard).await;
                });
                Ok(ours)
            }
        })
    }

    fn set(&self, nth: usize, is_there: bool) {
        self.is_there.lock().unwrap()[nth] = is_there;
        if !is_there {
            self.links.lock().unwrap().retain(|(at, link)| {
                if *at == nth {
                    link.close();
                }
                *at != nth
            });
        }
    }
}

#[tokio::test(start_paused = true)]
async fn those_before_the_one_in_use_are_tried_once_a_minute() {
    let memory = Memory::default();
    let endpoints = memory.endpoints(3);
    memory.set(2, true);
    let mut options = options();
    options.return_every = ClientOptions::default().return_every;
    let (client, mut events) = keep_connected_to(options, endpoints).unwrap();
    opened(&mut events).await;
    assert_eq!(client.endpoint().name, "tcp://memory-2:1");
    let begun = tokio::time::Instant::now();
    tokio::time::sleep(Duration::from_secs(90)).await;
    memory.set(1, true);
    // What waits for the next look: at 120 s, not before.
    let change = changed_in(&mut events, Duration::from_secs(100)).await;
    assert_eq!((change.old, change.new, change.reason), (2, 1, None));
    assert_eq!(begun.elapsed().as_secs(), 120);
    opened(&mut events).await;
    memory.set(0, true);
    let change = changed_in(&mut events, Duration::from_secs(100)).await;
    assert_eq!((change.old, change.new), (1, 0));
    opened(&mut events).await;
    echo(&client, 1).await;
    // There is nothing to be preferred to the first.
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(client.stats().opened, 3);
}

async fn changed_in(events: &mut ClientEvents, within: Duration) -> EndpointChange {
    let changed = async {
        loop {
            match events.next().await {
                Some(ClientEvent::EndpointChanged(change)) => return *change,
                Some(_) => {}
                None => panic!("the client is gone"),
            }
        }
    };
    tokio::time::timeout(within, changed)
        .await
        .expect("in time")
}

#[tokio::test(start_paused = true)]
async fn a_call_of_the_peer_is_answered_before_its_link_is_left() {
    let memory = Memory::default();
    let endpoints = memory.endpoints(2);
    memory.set(1, true);
    let mut options = options();
    options.return_every = ClientOptions::default().return_every;
    let (client, mut events) = keep_connected_to(options, endpoints).unwrap();
    opened(&mut events).await;
    let link = memory.links.lock().unwrap()[0].1.clone();
    let asking = link.call(event("[:test/ask]"), Duration::from_secs(3600));
    let asked = until(&mut events, |event| match event {
        ClientEvent::Link(ConnectionEvent::Message(message)) => message.reply,
        _ => None,
    });
    tokio::pin!(asking);
    let asked = tokio::select! {
        asked = asked => asked,
        _ = &mut asking => panic!("nobody has answered"),
    };
    memory.set(0, true);
    // A call of the peer is answered on the link it came on, however long that drains.
    let change = changed_in(&mut events, Duration::from_secs(100)).await;
    assert_eq!(change.new, 0);
    client.reply(asked, 7).unwrap();
    let reply = soon(asking).await.unwrap();
    assert_eq!(reply.to_value().unwrap(), Value::from(7));
    opened(&mut events).await;
}

#[tokio::test(start_paused = true)]
async fn a_link_on_which_a_call_is_pending_is_not_left() {
    let memory = Memory::default();
    let endpoints = memory.endpoints(2);
    memory.set(1, true);
    let mut options = options();
    options.return_every = ClientOptions::default().return_every;
    let (client, mut events) = keep_connected_to(options, endpoints).unwrap();
    opened(&mut events).await;
    memory.set(0, true);
    let hanging = client.call(event("[:test/hang]"), Duration::from_secs(200));
    let settled = tokio::time::timeout(Duration::from_secs(300), hanging).await;
    assert!(matches!(
        settled.unwrap(),
        Err(CallFailure::Failed(CallError::Timeout))
    ));
    assert_eq!(client.endpoint().name, "tcp://memory-1:1");
    let change = changed_in(&mut events, Duration::from_secs(100)).await;
    assert_eq!((change.old, change.new), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn rounds_that_fail_wait_longer_and_longer_and_the_states_show_it() {
    let memory = Memory::default();
    let endpoints = memory.endpoints(2);
    let (client, mut events) = keep_connected_to(ClientOptions::default(), endpoints).unwrap();
    let begun = tokio::time::Instant::now();
    let mut tried = 0;
    until_within(&mut events, Duration::from_secs(600), |event| {
        if let ClientEvent::ConnectFailed { number, .. } = event {
            tried = *number;
        }
        tried == 20
    })
    .await;
    // Ten rounds: at most 0.5 + 1 + 2 + 4 + 8 + 16 + 30 + 30 s, and the timer's grain.
    assert!(
        begun.elapsed() < Duration::from_secs(92),
        "{:?}",
        begun.elapsed()
    );
    memory.set(1, true);
    let mut states = client.states();
    let state = states.wait_for(|state| matches!(state, ClientState::Open { .. }));
    let draining = async {
        loop {
            if events.next().await.is_none() {
                panic!("the client is gone");
            }
        }
    };
    tokio::select! {
        state = state => drop(state.unwrap()),
        () = draining => {}
    }
    assert_eq!(client.endpoint().name, "tcp://memory-1:1");
    assert_eq!(client.endpoint().opened, 1);
}

async fn until_within(
    events: &mut ClientEvents,
    within: Duration,
    mut wanted: impl FnMut(&ClientEvent) -> bool,
) {
    let wait = async {
        loop {
            let event = events.next().await.expect("the client is there");
            if wanted(&event) {
                return;
            }
        }
    };
    tokio::time::timeout(within, wait).await.expect("in time");
}

#[tokio::test]
async fn a_list_of_nothing_is_an_error() {
    let error = keep_connected_to(options(), []).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}

#[tokio::test(start_paused = true)]
async fn events_and_calls_of_the_time_between_two_links_arrive_once_and_in_order() {
    let memory = Memory::default();
    let endpoints = memory.endpoints(3);
    memory.set(0, true);
    let (client, mut events) = keep_connected_to(options(), endpoints).unwrap();
    opened(&mut events).await;
    memory.set(0, false);
    until(&mut events, |event| {
        matches!(event, ClientEvent::Closed(_)).then_some(())
    })
    .await;
    let mut calls = Vec::new();
    for n in 1..=3 {
        client.send(event(&format!("[:a/said {n}]"))).await.unwrap();
        let client = client.clone();
        calls.push(tokio::spawn(async move {
            let asked = event(&format!("[:test/echo {n}]"));
            client.call_when_open(asked, PATIENCE).await
        }));
    }
    // They have been refused once, and wait.
    tokio::task::yield_now().await;
    memory.set(1, true);
    opened(&mut events).await;
    for (n, call) in (1..).zip(calls) {
        let reply = soon(call).await.unwrap().unwrap();
        assert_eq!(reply.to_value().unwrap(), Value::from(n));
    }
    let said = ["[:a/said 1]", "[:a/said 2]", "[:a/said 3]"];
    assert_eq!(*memory.heard.lock().unwrap(), said);
    // Three calls and three events: each was sent once.
    assert_eq!(client.stats().links.events_queued, 6);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_a_link_is_given_back_in_time() {
    let memory = Memory::default();
    let endpoints = memory.endpoints(1);
    let (client, events) = keep_connected_to(options(), endpoints).unwrap();
    drop(events);
    let begun = tokio::time::Instant::now();
    let late = client.call_when_open(event("[:test/echo 1]"), Duration::from_secs(7));
    let Err(CallFailure::Refused(refused)) = late.await else {
        panic!("nobody is there");
    };
    assert_eq!(refused.into_event().id.as_str(), "test/echo");
    assert_eq!(begun.elapsed().as_secs(), 7);
    client.disconnect();
    let closed = client.call_when_open(event("[:test/echo 1]"), PATIENCE);
    assert!(matches!(
        closed.await,
        Err(CallFailure::Refused(SendError::NotOpen(_)))
    ));
    assert_eq!(begun.elapsed().as_secs(), 7);
}
