//! Handlers that the driver of a connection runs: the same order, the same care, no task.
#![allow(missing_docs)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use sente_adapters::{
    Acceptor, CallFailure, ConnectOptions, Dispatched, Dispatcher, Duplex, Events, Handle,
    ListenOptions, Listener, Rest, SharedRecvBudget, Url, connect_over,
};
use sente_core::{
    Accept, CallError, ConnectionEvent, Event, EventId, Gone, Limits, Pattern, RecvBudgetLimits,
    ReplyError, SendError,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::yield_now;

const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than any test here has patience: what ends before has not waited for it.
const FOR_EVER: Duration = Duration::from_secs(3600);

fn event(text: &str) -> Event {
    Event::from_value(sente_edn::from_str(text).unwrap()).unwrap()
}

fn id(text: &str) -> Pattern {
    Pattern::Id(EventId::new(text).unwrap())
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what)
        .await
        .expect("it takes for ever")
}

/// A caller, and the side on which the handlers are.
async fn pair_with(options: ListenOptions) -> (Handle, Events, Events, Dispatcher) {
    let url: Url = "ws://in.memory/chsk".parse().unwrap();
    let (ours, theirs) = Duplex::pair();
    let acceptor = Acceptor::new(&url, options).unwrap();
    let how = ConnectOptions::default();
    let (client, server) = tokio::join!(connect_over(&url, ours, &how), async {
        let incoming = acceptor.take(theirs, "a friend").await.unwrap().unwrap();
        incoming.accept(Accept::new("ada")).await.unwrap()
    });
    let ((caller, caller_events), (handle, events)) = (client.unwrap(), server);
    (caller, caller_events, events, Dispatcher::new(handle))
}

async fn pair() -> (Handle, Events, Events, Dispatcher) {
    pair_with(ListenOptions::default()).await
}

/// Answers `[:test/ask n]` with `n`.
fn answers(handlers: &mut Dispatcher) {
    handlers.on(id("test/ask"), |received| {
        let data = received.event().data.clone().unwrap();
        received.reply(data).unwrap();
    });
}

async fn ask(caller: &Handle, text: &str) -> Result<String, CallFailure> {
    let answer = soon(caller.call(event(text), FOR_EVER)).await;
    answer.map(|payload| payload.to_value().unwrap().to_string())
}

fn is_peers(answer: &Result<String, CallFailure>) -> bool {
    matches!(answer, Err(CallFailure::Failed(CallError::Peer)))
}

/// The next message that no handler wanted.
async fn message(rest: &mut Rest) -> Option<String> {
    loop {
        if let Dispatched::Event(ConnectionEvent::Message(message)) = soon(rest.next()).await? {
            return Some(message.event.to_value().unwrap().to_string());
        }
    }
}

/// Lets the others go on until it is so.
async fn until(what: impl Fn() -> bool) {
    soon(async {
        while !what() {
            yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn calls_are_answered_in_their_order_though_nobody_reads_the_rest() {
    let (caller, _keep, events, mut handlers) = pair().await;
    let (sees, seen) = channel();
    handlers.on(id("test/ask"), move |received| {
        let data = received.event().data.clone().unwrap();
        sees.send(data.to_value().unwrap().as_i64().unwrap())
            .unwrap();
        received.reply(data).unwrap();
    });
    drop(handlers.attach(events));
    let asked = (0..500).map(|n| {
        let caller = caller.clone();
        async move { ask(&caller, &format!("[:test/ask {n}]")).await.unwrap() }
    });
    let answered = futures_util::future::join_all(asked).await;
    let expected: Vec<_> = (0..500).map(|n: i32| n.to_string()).collect();
    assert_eq!(answered, expected);
    assert_eq!(
        seen.try_iter().collect::<Vec<_>>(),
        (0..500).collect::<Vec<_>>()
    );
    assert!(is_peers(&ask(&caller, "[:nobody/knows]").await));
}

#[tokio::test]
async fn what_no_handler_wants_comes_in_order_and_handlers_wait_for_it_to_be_read() {
    let (caller, _keep, events, mut handlers) = pair().await;
    let seen = Arc::new(AtomicUsize::new(0));
    let sees = seen.clone();
    handlers.on(id("test/note"), move |_| {
        sees.fetch_add(1, Ordering::Relaxed);
    });
    let mut rest = handlers.attach(events);
    for n in 0..50 {
        caller.send(event("[:test/note]")).await.unwrap();
        caller
            .send(event(&format!("[:other/thing {n}]")))
            .await
            .unwrap();
    }
    soon(caller.flush()).await.unwrap();
    for n in 0..50 {
        assert_eq!(
            message(&mut rest).await.unwrap(),
            format!("[:other/thing {n}]")
        );
        // One message at most has been taken for whoever reads the rest.
        assert!(seen.load(Ordering::Relaxed) <= n + 2);
    }
    assert_eq!(seen.load(Ordering::Relaxed), 50);
}

#[tokio::test]
async fn a_rest_that_nobody_reads_stops_the_peer_within_the_budget_and_loses_nothing() {
    let mut limits = RecvBudgetLimits::default();
    (limits.total_bytes, limits.min_bytes, limits.max_bytes) = (16_384, 16_384, 16_384);
    let budget = SharedRecvBudget::new(limits);
    let mut options = ListenOptions::default();
    options.recv_budget = Some(budget.clone());
    let (caller, _keep, events, mut handlers) = pair_with(options).await;
    answers(&mut handlers);
    let mut rest = handlers.attach(events);
    let filler = "x".repeat(2_000);
    let mut sent = 0;
    // As much as the queues and the link hold.
    loop {
        match caller.try_send(event(&format!("[:other/thing [{sent} \"{filler}\"]]"))) {
            Ok(()) => sent += 1,
            Err(SendError::Full { .. }) => break,
            Err(error) => panic!("{error}"),
        }
        yield_now().await;
    }
    until(|| rest.handle().recv_capacity().bytes > 16_384 - 2_100).await;
    assert_eq!(budget.granted(), 16_384);
    let capacity = rest.handle().recv_capacity();
    assert!(capacity.bytes <= 16_384 + 2_100, "{capacity:?}");
    for n in 0..sent {
        let read = message(&mut rest).await.unwrap();
        assert!(
            read.starts_with(&format!("[:other/thing [{n} ")),
            "{n}: {read:.40}"
        );
    }
    assert_eq!(ask(&caller, "[:test/ask 1]").await.unwrap(), "1");
}

#[tokio::test]
async fn a_panic_is_caught_counted_and_told_and_its_caller_is_told_at_once() {
    let (caller, _keep, events, mut handlers) = pair().await;
    let broken = handlers.on(id("test/break"), |_| panic!("no idea"));
    answers(&mut handlers);
    let mut rest = handlers.attach(events);
    assert!(is_peers(&ask(&caller, "[:test/break]").await));
    let panic = loop {
        match soon(rest.next()).await.unwrap() {
            Dispatched::Panicked(panic) => break panic,
            Dispatched::Event(event) => {
                assert!(matches!(event, ConnectionEvent::Opened(_)), "{event:?}");
            }
        }
    };
    assert_eq!((panic.handler, &*panic.message), (Some(broken), "no idea"));
    assert_eq!(ask(&caller, "[:test/ask 7]").await.unwrap(), "7");
}

#[tokio::test]
async fn a_closure_is_shown_the_rest_to_the_end_and_may_panic_as_well() {
    let (caller, _keep, events, mut handlers) = pair().await;
    answers(&mut handlers);
    let handle = events.handle().clone();
    let told = Arc::new(Mutex::new(Vec::new()));
    let tells = told.clone();
    handlers.attach_with(events, move |dispatched| {
        let what = match dispatched {
            Dispatched::Event(ConnectionEvent::Message(message)) => {
                assert_ne!(message.event.id.as_str(), "test/break", "what it says");
                message.event.id.to_string()
            }
            Dispatched::Event(ConnectionEvent::Closed(_)) => "closed".to_owned(),
            Dispatched::Event(_) => return,
            Dispatched::Panicked(panic) => {
                assert_eq!(panic.handler, None);
                "panicked".to_owned()
            }
        };
        tells.lock().unwrap().push(what);
    });
    caller.send(event("[:test/one]")).await.unwrap();
    caller.send(event("[:test/break]")).await.unwrap();
    caller.send(event("[:test/two]")).await.unwrap();
    assert_eq!(ask(&caller, "[:test/ask 1]").await.unwrap(), "1");
    caller.close();
    soon(handle.ended()).await;
    let told = told.lock().unwrap().clone();
    assert_eq!(told, [":test/one", "panicked", ":test/two", "closed"]);
}

#[tokio::test]
async fn a_handler_may_use_the_handle_of_its_own_connection() {
    let (caller, mut caller_events, events, mut handlers) = pair().await;
    handlers.on(id("test/ask"), |received| {
        let handle = received.handle().clone();
        handle.try_send(event("[:test/news]")).unwrap();
        assert!(handle.stats().events_received > 0);
        received.reply("done").unwrap();
        let again = received.reply("once more");
        assert!(matches!(again, Err(ReplyError::NotOpen(_))));
    });
    drop(handlers.attach(events));
    assert_eq!(ask(&caller, "[:test/ask]").await.unwrap(), "\"done\"");
    let news = loop {
        if let ConnectionEvent::Message(message) = soon(caller_events.next()).await.unwrap() {
            break message;
        }
    };
    assert_eq!(news.event.id.as_str(), "test/news");
}

#[tokio::test]
async fn a_handler_that_has_to_wait_answers_from_a_task_and_holds_nobody_up() {
    let (caller, _keep, events, mut handlers) = pair().await;
    let (release, released) = tokio::sync::oneshot::channel();
    let mut released = Some(released);
    handlers.on(id("test/wait"), move |received| {
        let (responder, released) = (received.take_reply().unwrap(), released.take().unwrap());
        tokio::spawn(async move {
            let answer: i64 = released.await.unwrap();
            responder.reply(answer).unwrap();
        });
    });
    answers(&mut handlers);
    drop(handlers.attach(events));
    let waits = tokio::spawn({
        let caller = caller.clone();
        async move { ask(&caller, "[:test/wait]").await }
    });
    for n in 0..10 {
        let n = n.to_string();
        assert_eq!(ask(&caller, &format!("[:test/ask {n}]")).await.unwrap(), n);
    }
    assert!(!waits.is_finished());
    release.send(42).unwrap();
    assert_eq!(soon(waits).await.unwrap().unwrap(), "42");
}

#[tokio::test]
async fn a_peer_that_asks_and_does_not_read_is_answered_no_further_than_the_limit() {
    const CALLS: usize = 800;
    const ANSWER: usize = 100_000;
    let url: Url = "tcp://127.0.0.1:0".parse().unwrap();
    let mut listener = Listener::bind(&url, ListenOptions::default())
        .await
        .unwrap();
    let at = listener.url().to_string();
    let at = at.trim_start_matches("tcp://").trim_end_matches('/');
    let mut peer = TcpStream::connect(at).await.unwrap();
    let incoming = soon(listener.accept()).await.unwrap().unwrap();
    let (handle, events) = incoming.accept(Accept::new("ada")).await.unwrap();
    let mut handlers = Dispatcher::new(handle);
    let most = Arc::new(AtomicUsize::new(0));
    let seen = most.clone();
    let answer = "x".repeat(ANSWER);
    handlers.on(id("test/ask"), move |received| {
        received.reply(answer.as_str()).unwrap();
        let bytes = received.handle().send_capacity().bytes;
        seen.fetch_max(bytes, Ordering::Relaxed);
    });
    let limit = Limits::default().max_send_bytes;
    drop(handlers.attach(events));
    let calls = "[[:test/ask] \"012345\"]\n".repeat(CALLS);
    peer.write_all(calls.as_bytes()).await.unwrap();
    until(|| most.load(Ordering::Relaxed) > limit).await;
    let mut answers = 0;
    let mut lines = BufReader::new(peer).lines();
    while answers < CALLS {
        let line = soon(lines.next_line()).await.unwrap().unwrap();
        answers += usize::from(line.len() > ANSWER);
    }
    let most = most.load(Ordering::Relaxed);
    assert!(most < limit + 2 * ANSWER, "{most}");
}

#[tokio::test]
async fn a_handler_may_close_the_connection_and_the_rest_ends_with_that() {
    let (caller, _keep, events, mut handlers) = pair().await;
    handlers.on(id("test/close"), |received| received.handle().close());
    let mut rest = handlers.attach(events);
    let handle = rest.handle().clone();
    for _ in 0..300 {
        // The first may have ended it.
        let _ = caller.send(event("[:test/close]")).await;
    }
    soon(handle.ended()).await;
    let mut last = None;
    while let Some(Dispatched::Event(next)) = soon(rest.next()).await {
        last = Some(next);
    }
    assert!(matches!(last, Some(ConnectionEvent::Closed(_))), "{last:?}");
    assert!(soon(rest.next()).await.is_none());
}

#[tokio::test]
async fn handlers_attached_after_the_end_see_all_that_came_before_it() {
    let (caller, _keep, events, mut handlers) = pair().await;
    let seen = Arc::new(AtomicUsize::new(0));
    let sees = seen.clone();
    handlers.on(id("test/note"), move |_| {
        sees.fetch_add(1, Ordering::Relaxed);
    });
    for _ in 0..300 {
        caller.send(event("[:test/note]")).await.unwrap();
    }
    soon(caller.flush()).await.unwrap();
    caller.close();
    soon(events.handle().ended()).await;
    let mut rest = handlers.attach(events);
    assert_eq!(seen.load(Ordering::Relaxed), 300);
    let mut last = None;
    while let Some(Dispatched::Event(next)) = soon(rest.next()).await {
        last = Some(next);
    }
    assert!(matches!(last, Some(ConnectionEvent::Closed(_))), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn a_waiter_is_told_on_time_that_nothing_came() {
    let (_caller, _keep, events, mut handlers) = pair().await;
    let (sees, seen) = channel();
    let within = Duration::from_secs(3);
    handlers.take(id("test/never"), Some(within), move |came| {
        sees.send(came.err()).unwrap();
    });
    let began = tokio::time::Instant::now();
    drop(handlers.attach(events));
    while seen.try_recv().ok() != Some(Some(Gone::Timeout)) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let took = began.elapsed();
    assert!(took >= within && took < within * 2, "{took:?}");
}

#[tokio::test]
async fn a_busy_connection_lets_others_have_their_turn() {
    const EVENTS: usize = 20_000;
    let (caller, _keep, events, mut handlers) = pair().await;
    let seen = Arc::new(AtomicUsize::new(0));
    let sees = seen.clone();
    handlers.on(id("test/note"), move |_| {
        sees.fetch_add(1, Ordering::Relaxed);
    });
    drop(handlers.attach(events));
    let sends = tokio::spawn(async move {
        for _ in 0..EVENTS {
            caller.send(event("[:test/note]")).await.unwrap();
        }
        caller.flush().await.unwrap();
        caller
    });
    // One of the others, which is always ready.
    let other = tokio::spawn(std::future::poll_fn({
        let (mut before, mut most) = (0, 0);
        move |cx| {
            let now = seen.load(Ordering::Relaxed);
            most = most.max(now - before);
            before = now;
            if now == EVENTS {
                return Poll::Ready(most);
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    }));
    let most = soon(other).await.unwrap();
    drop(sends.await.unwrap());
    // What is begun with at the limit is done.
    assert!(most > 1 && most <= 512, "{most} in a row");
}

/// Serves one raw TCP peer, which has written `text` before it was accepted.
async fn served(text: &str) -> (TcpStream, Handle, Events) {
    let url: Url = "tcp://127.0.0.1:0".parse().unwrap();
    let mut listener = Listener::bind(&url, ListenOptions::default())
        .await
        .unwrap();
    let at = listener.url().to_string();
    let at = at.trim_start_matches("tcp://").trim_end_matches('/');
    let mut peer = TcpStream::connect(at).await.unwrap();
    peer.write_all(text.as_bytes()).await.unwrap();
    let incoming = soon(listener.accept()).await.unwrap().unwrap();
    let (handle, events) = incoming.accept(Accept::new("ada")).await.unwrap();
    (peer, handle, events)
}

#[tokio::test]
async fn what_waited_for_room_for_answers_is_shown_in_order_at_the_end() {
    const CALLS: i64 = 800;
    let calls: String = (0..CALLS)
        .map(|n| format!("[[:test/ask {n}] \"012345\"]\n"))
        .collect();
    let (peer, handle, events) = served(&calls).await;
    let mut handlers = Dispatcher::new(handle.clone());
    let answer = "x".repeat(100_000);
    let (sees, seen) = channel();
    let most = Arc::new(AtomicUsize::new(0));
    let had = most.clone();
    handlers.on(id("test/ask"), move |received| {
        let number = received.event().data.as_ref().unwrap().to_value().unwrap();
        sees.send(number.as_i64().unwrap()).unwrap();
        // At the end nobody waits for it.
        let _ = received.reply(answer.as_str());
        had.fetch_max(received.handle().send_capacity().bytes, Ordering::Relaxed);
    });
    let limit = Limits::default().max_send_bytes;
    drop(handlers.attach(events));
    until(|| most.load(Ordering::Relaxed) > limit).await;
    let before: Vec<_> = seen.try_iter().collect();
    assert!(before.len() < 800, "all were answered at once");
    drop(peer);
    soon(handle.ended()).await;
    let all: Vec<_> = before.into_iter().chain(seen.try_iter()).collect();
    assert_eq!(all, (0..CALLS).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_was_taken_before_a_handler_closed_the_connection_is_shown_and_the_end_is_last() {
    const NOTES: usize = 300;
    let mut text: String = "[:test/note]\n".repeat(NOTES);
    text.push_str("[:nobody/knows]\n");
    let (_peer, handle, events) = served(&text).await;
    let mut handlers = Dispatcher::new(handle.clone());
    let seen = Arc::new(AtomicUsize::new(0));
    let sees = seen.clone();
    handlers.on(id("test/note"), move |received| {
        if sees.fetch_add(1, Ordering::Relaxed) == 5 {
            received.handle().close();
        }
    });
    let rest = Arc::new(Mutex::new(Vec::new()));
    let told = rest.clone();
    handlers.attach_with(events, move |left| {
        if let Dispatched::Event(event) = left {
            told.lock().unwrap().push(event);
        }
    });
    soon(handle.ended()).await;
    let rest = std::mem::take(&mut *rest.lock().unwrap());
    let ends = rest
        .iter()
        .filter(|event| matches!(event, ConnectionEvent::Closed(_)));
    assert_eq!(ends.count(), 1, "{rest:?}");
    let last = rest.last();
    assert!(matches!(last, Some(ConnectionEvent::Closed(_))), "{last:?}");
    // What stood behind the notes was read with them, or not at all.
    let knows = |event: &&ConnectionEvent| matches!(event, ConnectionEvent::Message(_));
    let seen = seen.load(Ordering::Relaxed);
    assert!(
        seen > 5 && (seen == NOTES || rest.iter().find(knows).is_none()),
        "{seen}"
    );
}
