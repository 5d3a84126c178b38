//! Streams of some of the events, the next event of a kind, and the state as a watch.
#![allow(missing_docs)]

use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use sente_adapters::{
    Acceptor, CallFailure, ClientOptions, ConnectOptions, Duplex, Endpoint, Events, Handle,
    ListenOptions, StreamLimits, Url, connect_over, keep_connected_to,
};
use sente_core::{
    Accept, CallError, ConnectionEvent, Event, EventId, Gone, Limits, Pattern, RequestId, State,
};

const PATIENCE: Duration = Duration::from_secs(30);

fn event(text: &str) -> Event {
    Event::from_value(sente_edn::from_str(text).unwrap()).unwrap()
}

fn id(text: &str) -> EventId {
    EventId::new(text).unwrap()
}

fn said(event: &Event) -> String {
    event.to_value().unwrap().to_string()
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("in time")
}

/// Both ends of a connection in memory.
async fn pair() -> ((Handle, Events), (Handle, Events)) {
    pair_with(&ConnectOptions::default()).await
}

async fn pair_with(options: &ConnectOptions) -> ((Handle, Events), (Handle, Events)) {
    let url: Url = "tcp://memory:1".parse().unwrap();
    let (ours, theirs) = Duplex::pair();
    let acceptor = Acceptor::new(&url, ListenOptions::default()).unwrap();
    let server = tokio::spawn(async move {
        let incoming = acceptor.take(theirs, "a client").await.unwrap().unwrap();
        incoming.accept(Accept::new("ada")).await.unwrap()
    });
    let client = connect_over(&url, ours, options).await;
    (client.unwrap(), server.await.unwrap())
}

async fn message(events: &mut Events) -> String {
    loop {
        if let ConnectionEvent::Message(message) = soon(events.next()).await.unwrap() {
            return said(&message.event);
        }
    }
}

#[tokio::test]
async fn what_a_stream_takes_does_not_come_from_the_events_as_well() {
    let ((handle, mut events), (server, _theirs)) = pair().await;
    let mut prices = handle.on(id("price/changed"));
    let mut chat = handle.on(Pattern::Namespace("chat".into()));
    for text in [
        "[:price/changed 1]",
        "[:other/event 2]",
        "[:chat/said 3]",
        "[:price/changed 4]",
        "[:chat/left 5]",
        "[:price/gone 6]",
    ] {
        server.send(event(text)).await.unwrap();
    }
    assert_eq!(message(&mut events).await, "[:other/event 2]");
    assert_eq!(message(&mut events).await, "[:price/gone 6]");
    for wanted in ["[:price/changed 1]", "[:price/changed 4]"] {
        let arrived = soon(prices.next()).await.unwrap();
        assert_eq!(said(arrived.event()), wanted);
        assert!(!arrived.wants_reply());
    }
    for wanted in ["[:chat/said 3]", "[:chat/left 5]"] {
        // The trait of everybody's streams.
        let arrived = soon(StreamExt::next(&mut chat)).await.unwrap();
        assert_eq!(said(&arrived.into_event()), wanted);
    }
    drop(prices);
    server.send(event("[:price/changed 7]")).await.unwrap();
    assert_eq!(message(&mut events).await, "[:price/changed 7]");
}

#[tokio::test]
async fn streams_go_on_where_nobody_reads_the_events_and_end_with_the_connection() {
    let ((handle, events), (server, _theirs)) = pair().await;
    let mut ticks = handle.on(id("a/tick"));
    drop(events);
    for n in 0..500 {
        server.send(event(&format!("[:a/tick {n}]"))).await.unwrap();
        server.send(event("[:a/noise]")).await.unwrap();
    }
    for n in 0..500 {
        let arrived = soon(ticks.next()).await.unwrap();
        assert_eq!(said(arrived.event()), format!("[:a/tick {n}]"));
    }
    server.send(event("[:a/tick :last]")).await.unwrap();
    server.drain(PATIENCE);
    // What came before the end is told before the end.
    let last = soon(ticks.next()).await.unwrap();
    assert_eq!(said(last.event()), "[:a/tick :last]");
    assert!(soon(ticks.next()).await.is_none());
    assert_eq!(ticks.missed(), 0);
    assert!(soon(handle.on(id("a/tick")).next()).await.is_none());
    assert!(matches!(
        soon(handle.take(id("a/tick"))).await,
        Err(Gone::Closed)
    ));
}

#[tokio::test]
async fn a_stream_that_is_not_read_loses_its_oldest_and_counts_them_and_holds_up_nobody() {
    let ((handle, mut events), (server, _theirs)) = pair().await;
    let mut limits = StreamLimits::default();
    limits.max_events = 3;
    let mut slow = handle.on_with(id("a/tick"), limits);
    limits.max_events = 100;
    limits.max_bytes = 1000;
    let mut large = handle.on_with(id("a/large"), limits);
    for n in 0..10 {
        server.send(event(&format!("[:a/tick {n}]"))).await.unwrap();
    }
    let long = "x".repeat(400);
    for n in 0..10 {
        let text = format!("[:a/large [{n} \"{long}\"]]");
        server.send(event(&text)).await.unwrap();
    }
    server.send(event("[:a/other]")).await.unwrap();
    assert_eq!(message(&mut events).await, "[:a/other]");
    assert_eq!((slow.waiting(), slow.missed()), (3, 7));
    for n in 7..10 {
        let arrived = soon(slow.next()).await.unwrap();
        assert_eq!(said(arrived.event()), format!("[:a/tick {n}]"));
    }
    assert_eq!((large.waiting(), large.missed()), (2, 8));
    let arrived = soon(large.next()).await.unwrap();
    assert!(said(arrived.event()).starts_with("[:a/large [8 "));
}

#[tokio::test(start_paused = true)]
async fn a_receive_queue_that_a_stream_empties_is_filled_again() {
    let mut limits = Limits::default();
    limits.max_recv_messages = 2;
    let mut options = ConnectOptions::default();
    options.limits = Some(limits);
    let ((handle, mut events), (server, _theirs)) = pair_with(&options).await;
    let mut ticks = handle.on(id("a/tick"));
    // More than one read brings, and than the link holds.
    let long = "x".repeat(2000);
    let sending = tokio::spawn(async move {
        for n in 0..500 {
            let sent = server.send(event(&format!("[:a/tick [{n} \"{long}\"]]")));
            soon(sent).await.unwrap();
        }
    });
    // All that can move has moved.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let begun = tokio::time::Instant::now();
    let reading = tokio::spawn(async move { while events.next().await.is_some() {} });
    for n in 0..500 {
        let arrived = soon(ticks.next()).await.unwrap();
        let said = said(arrived.event());
        assert!(said.starts_with(&format!("[:a/tick [{n} ")), "{said}");
    }
    // No timer had to come to the rescue: the clock stands still while anything moves.
    assert_eq!(begun.elapsed(), Duration::ZERO);
    soon(sending).await.unwrap();
    handle.close();
    soon(reading).await.unwrap();
}

#[tokio::test]
async fn a_call_in_a_stream_is_answered_once_and_one_that_is_dropped_fails_at_once() {
    let ((handle, events), (server, _theirs)) = pair().await;
    let mut limits = StreamLimits::default();
    limits.max_events = 1;
    let mut asked = handle.on_with(id("a/ask"), limits);
    let mut also = handle.on(id("a/ask"));
    drop(events);
    let ask = |n: i64| {
        let server = server.clone();
        async move { server.call(event(&format!("[:a/ask {n}]")), PATIENCE).await }
    };
    let answers = async {
        let mut first = soon(asked.next()).await.unwrap();
        first.take_reply().unwrap().reply(41).unwrap();
        assert!(!soon(also.next()).await.unwrap().wants_reply());
    };
    let (reply, ()) = tokio::join!(soon(ask(1)), answers);
    assert_eq!(reply.unwrap().to_value().unwrap().as_i64(), Some(41));

    // Not looked at by the time the next comes.
    let forgotten = tokio::spawn(ask(2));
    soon(also.next()).await.unwrap();
    let waiting = tokio::spawn(ask(3));
    soon(also.next()).await.unwrap();
    assert!(failed(soon(forgotten).await.unwrap()));
    // With the stream goes what waits in it.
    drop(asked);
    assert!(failed(soon(waiting).await.unwrap()));
}

fn failed<T>(reply: Result<T, CallFailure>) -> bool {
    matches!(reply, Err(CallFailure::Failed(CallError::Peer)))
}

#[tokio::test]
async fn the_next_event_of_a_kind_is_waited_for_from_the_call_on() {
    let ((handle, events), (server, mut theirs)) = pair().await;
    drop(events);
    let request = RequestId::from("r-1");
    let answer = handle.take(Pattern::RequestId(request));
    let pong = handle.take(id("a/pong"));
    handle
        .send(event("[:a/ask {:request-id \"r-1\"}]"))
        .await
        .unwrap();
    assert_eq!(message(&mut theirs).await, "[:a/ask {:request-id \"r-1\"}]");
    for text in [
        "[:a/pong 1]",
        "[:a/pong 2]",
        "[:a/answer {:request-id \"r-1\"}]",
    ] {
        server.send(event(text)).await.unwrap();
    }
    assert_eq!(said(soon(pong).await.unwrap().event()), "[:a/pong 1]");
    let answer = soon(answer).await.unwrap();
    assert_eq!(answer.event().id.as_str(), "a/answer");

    let never = handle.take(id("a/never"));
    server.close();
    assert_eq!(soon(never).await.err(), Some(Gone::Closed));
}

#[tokio::test]
async fn a_take_that_is_given_up_leaves_the_event_to_others() {
    let ((handle, mut events), (server, _theirs)) = pair().await;
    drop(handle.take(id("a/one")));
    server.send(event("[:a/one 1]")).await.unwrap();
    assert_eq!(message(&mut events).await, "[:a/one 1]");
}

#[tokio::test]
async fn a_predicate_that_panics_takes_nothing() {
    let ((handle, mut events), (server, _theirs)) = pair().await;
    let pattern = Pattern::When(Box::new(|event| {
        assert_ne!(event.id.as_str(), "a/bomb");
        true
    }));
    let mut all = handle.on(pattern);
    server.send(event("[:a/bomb]")).await.unwrap();
    server.send(event("[:a/fine]")).await.unwrap();
    server.send(event("[:a/bomb]")).await.unwrap();
    assert_eq!(message(&mut events).await, "[:a/bomb]");
    assert_eq!(message(&mut events).await, "[:a/bomb]");
    assert_eq!(said(soon(all.next()).await.unwrap().event()), "[:a/fine]");
}

#[tokio::test]
async fn the_state_is_a_watch_whose_last_value_is_not_lost() {
    let ((handle, events), (server, _theirs)) = pair().await;
    let mut states = handle.states();
    let late = states.clone();
    assert_eq!(*states.borrow_and_update(), State::Open);
    drop(events);
    server.drain(PATIENCE);
    let closed = states.wait_for(|state| *state == State::Closed);
    assert_eq!(*soon(closed).await.unwrap(), State::Closed);
    drop((handle, states));
    assert_eq!(*late.borrow(), State::Closed);
}

#[tokio::test]
async fn a_stream_of_a_client_goes_on_over_its_links() {
    let url: Url = "tcp://memory:1".parse().unwrap();
    let (links, mut opened) = tokio::sync::mpsc::unbounded_channel();
    let at = url.clone();
    let endpoint = Endpoint::over(url, ConnectOptions::default(), move || {
        let (links, at) = (links.clone(), at.clone());
        async move {
            let (ours, theirs) = Duplex::pair();
            let acceptor = Acceptor::new(&at, ListenOptions::default()).unwrap();
            tokio::spawn(async move {
                let incoming = acceptor.take(theirs, "a client").await.unwrap().unwrap();
                let accepted = incoming.accept(Accept::new("ada")).await.unwrap();
                links.send(accepted).unwrap();
            });
            Ok(ours)
        }
    });
    let (client, events) = keep_connected_to(ClientOptions::default(), [endpoint]).unwrap();
    let mut ticks = client.on(id("a/tick"));
    drop(events);
    let never = client.take(id("a/never"));
    let (first, _events) = soon(opened.recv()).await.unwrap();
    first.send(event("[:a/tick 1]")).await.unwrap();
    assert_eq!(
        said(soon(ticks.next()).await.unwrap().event()),
        "[:a/tick 1]"
    );
    first.close();
    // Who was asked cannot answer any more.
    assert_eq!(soon(never).await.err(), Some(Gone::Closed));
    let (second, _events) = soon(opened.recv()).await.unwrap();
    second.send(event("[:a/tick 2]")).await.unwrap();
    assert_eq!(
        said(soon(ticks.next()).await.unwrap().event()),
        "[:a/tick 2]"
    );
}

#[test]
fn a_stream_of_a_client_ends_with_its_runtime() {
    // On a runtime that runs the task at once, and on one that never has begun with it.
    let many = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let one = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    for runtime in [many.unwrap(), one.unwrap()] {
        let (client, mut ticks, mut all) = runtime.block_on(async {
            let nowhere = Endpoint::from("unix:@sente-nobody".parse::<Url>().unwrap());
            let (client, events) = keep_connected_to(ClientOptions::default(), [nowhere]).unwrap();
            (client.clone(), client.on(id("a/tick")), events)
        });
        drop(runtime);
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        loop {
            match std::pin::pin!(all.next()).poll(&mut cx) {
                Poll::Ready(Some(_)) => {}
                Poll::Ready(None) => break,
                Poll::Pending => panic!("nothing more can come"),
            }
        }
        assert!(matches!(
            Pin::new(&mut ticks).poll_next(&mut cx),
            Poll::Ready(None)
        ));
        let closed = std::pin::pin!(client.closed()).poll(&mut cx);
        assert!(closed.is_ready());
    }
}

#[test]
fn a_connection_whose_task_never_began_ends_with_its_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (handle, _theirs) = runtime.block_on(async {
        let url: Url = "tcp://memory:1".parse().unwrap();
        let (ours, theirs) = Duplex::pair();
        let acceptor = Acceptor::new(&url, ListenOptions::default()).unwrap();
        let incoming = acceptor.take(theirs, "a client").await.unwrap().unwrap();
        let (handle, _events) = incoming.accept(Accept::new("ada")).await.unwrap();
        (handle, ours)
    });
    drop(runtime);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(std::pin::pin!(handle.ended()).poll(&mut cx).is_ready());
}
