//! Closures that handle what arrives: who sees it, who answers, and what a panic costs.
#![allow(missing_docs)]

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use sente_adapters::{
    CallFailure, ClientOptions, ConnectOptions, Dispatched, Dispatcher, Events, Handle,
    HandlerPanic, ListenOptions, Listener, connect, keep_connected,
};
use sente_core::{
    Accept, CallError, ClientEvent, CloseReason, ConnectionEvent, Event, EventId, Gone, Pattern,
};

const PATIENCE: Duration = Duration::from_secs(30);
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
async fn pair() -> (Handle, Events, Events, Dispatcher) {
    let at = "tcp://127.0.0.1:0".parse().unwrap();
    let mut listener = Listener::bind(&at, ListenOptions::default()).await.unwrap();
    let at = listener.url().clone();
    let options = ConnectOptions::default();
    let (client, server) = tokio::join!(connect(&at, &options), async {
        let incoming = listener.accept().await.unwrap().unwrap();
        incoming.accept(Accept::new("ada")).await.unwrap()
    });
    let ((caller, caller_events), (handle, events)) = (client.unwrap(), server);
    (caller, caller_events, events, Dispatcher::new(handle))
}

/// Dispatches until the next panic, or until `[:test/end]` comes.
async fn next_panic(handlers: &mut Dispatcher, events: &mut Events) -> Option<HandlerPanic> {
    loop {
        match soon(handlers.next(events)).await.expect("it is open") {
            Dispatched::Panicked(panic) => return Some(panic),
            Dispatched::Event(ConnectionEvent::Message(message)) => {
                assert_eq!(message.event.id.as_str(), "test/end");
                return None;
            }
            Dispatched::Event(_) => {}
        }
    }
}

async fn settle(handlers: &mut Dispatcher, events: &mut Events) -> Vec<HandlerPanic> {
    let mut panics = Vec::new();
    while let Some(panic) = next_panic(handlers, events).await {
        panics.push(panic);
    }
    panics
}

/// Calls, and says with `[:test/end]` that this was all.
async fn ask(caller: &Handle) -> Result<String, CallFailure> {
    let answer = soon(caller.call(event("[:test/ask 1]"), FOR_EVER)).await;
    caller.send(event("[:test/end]")).await.unwrap();
    answer.map(|payload| payload.to_value().unwrap().to_string())
}

fn seen() -> (Sender<String>, Receiver<String>) {
    channel()
}

fn all(seen: &Receiver<String>) -> Vec<String> {
    seen.try_iter().collect()
}

const PEER: Result<String, CallError> = Err(CallError::Peer);

fn failed(answer: Result<String, CallFailure>) -> Result<String, CallError> {
    answer.map_err(|failure| match failure {
        CallFailure::Failed(error) => error,
        CallFailure::Refused(error) => panic!("{error}"),
    })
}

#[tokio::test]
async fn a_handler_that_panics_harms_no_other_and_its_caller_is_told_at_once() {
    let (caller, _keep, mut events, mut handlers) = pair().await;
    let (sees, seen) = seen();
    let (before, after) = (sees.clone(), sees);
    handlers.on(Pattern::Any, move |received| {
        if !received.event().id.as_str().ends_with("end") {
            before.send("before".into()).unwrap();
        }
    });
    let broken = handlers.on(id("test/ask"), |received| {
        let _responder = received.take_reply();
        panic!("no idea");
    });
    handlers.on(id("test/ask"), move |received| {
        assert!(!received.wants_reply(), "the one before has taken it");
        after.send("after".into()).unwrap();
    });
    for round in 1..=2 {
        let (answer, panic) = tokio::join!(ask(&caller), next_panic(&mut handlers, &mut events));
        assert_eq!(failed(answer), PEER);
        let panic = panic.unwrap();
        assert_eq!(panic.handler, Some(broken));
        assert_eq!(panic.event, Some(EventId::new("test/ask").unwrap()));
        assert_eq!(panic.message, "no idea");
        assert_eq!(
            panic.to_string(),
            "a handler panicked at :test/ask: no idea"
        );
        assert_eq!(handlers.panics(), round);
        assert_eq!(all(&seen), ["before", "after"]);
    }
    assert_eq!(handlers.count(), 3, "it stays");
    assert!(handlers.off(broken));
    assert_eq!(handlers.count(), 2);
}

#[tokio::test]
async fn a_handler_that_panics_before_it_takes_the_call_leaves_it_to_the_others() {
    let (caller, _keep, mut events, mut handlers) = pair().await;
    handlers.on(id("test/ask"), |_| panic!("too early"));
    handlers.on(id("test/ask"), |received| {
        let responder = received.take_reply().unwrap();
        responder.reply("an answer").unwrap();
    });
    let (answer, panics) = tokio::join!(ask(&caller), settle(&mut handlers, &mut events));
    assert_eq!(answer.unwrap(), "\"an answer\"");
    assert_eq!(panics.len(), 1);
}

#[tokio::test]
async fn a_call_that_handlers_saw_and_none_took_fails_at_once() {
    let (caller, _keep, mut events, mut handlers) = pair().await;
    handlers.on(id("test/ask"), |received| assert!(received.wants_reply()));
    let (answer, panics) = tokio::join!(ask(&caller), settle(&mut handlers, &mut events));
    assert_eq!(failed(answer), PEER);
    assert_eq!(panics, []);
}

#[tokio::test]
async fn a_call_for_which_there_is_no_handler_is_given_back_to_be_answered() {
    let (caller, _keep, mut events, mut handlers) = pair().await;
    handlers.on(id("test/other"), |_| panic!("nobody says that"));
    let serve = async {
        loop {
            let next = soon(handlers.next(&mut events)).await;
            if let Some(Dispatched::Event(ConnectionEvent::Message(message))) = next {
                let token = message.reply.expect("the right to answer");
                break events.handle().reply(token, 2).unwrap();
            }
        }
    };
    let (answer, ()) = tokio::join!(ask(&caller), serve);
    assert_eq!(answer.unwrap(), "2");
}

#[tokio::test]
async fn a_call_fails_when_the_task_that_took_it_panics() {
    let (caller, _keep, mut events, mut handlers) = pair().await;
    handlers.on(id("test/ask"), |received| {
        let responder = received.take_reply();
        tokio::spawn(async move {
            tokio::task::yield_now().await;
            assert!(responder.is_none(), "it cannot be done");
        });
    });
    let (answer, panics) = tokio::join!(ask(&caller), settle(&mut handlers, &mut events));
    assert_eq!(failed(answer), PEER);
    assert_eq!(panics, [], "that one is tokio's to report");
}

#[tokio::test]
async fn a_predicate_that_panics_counts_as_false_and_harms_no_other() {
    let (caller, _keep, mut events, mut handlers) = pair().await;
    let predicate = Pattern::When(Box::new(|event: &Event| match &event.data {
        Some(_) => panic!("no idea"),
        None => false,
    }));
    handlers.on(predicate, |_| panic!("it is never true"));
    handlers.on(id("test/ask"), |received| {
        received.take_reply().unwrap().reply(3).unwrap();
    });
    let (answer, panics) = tokio::join!(ask(&caller), settle(&mut handlers, &mut events));
    assert_eq!(answer.unwrap(), "3");
    let [panic] = &panics[..] else {
        panic!("{panics:?}");
    };
    assert_eq!((panic.handler, &*panic.message), (None, "no idea"));
    assert_eq!(handlers.panics(), 1);
}

#[tokio::test]
async fn reports_nobody_takes_are_counted_and_no_more_than_64_are_kept() {
    let (caller, _keep, mut events, mut handlers) = pair().await;
    handlers.on(Pattern::Any, |_| std::panic::panic_any(5));
    for _ in 0..70 {
        caller.send(event("[:test/n]")).await.unwrap();
    }
    while handlers.panics() < 70 {
        let event = soon(events.next()).await.unwrap();
        handlers.dispatch(event);
    }
    let reports: Vec<_> = std::iter::from_fn(|| handlers.poll_panic()).collect();
    assert_eq!(reports.len(), 64);
    assert!(
        reports
            .iter()
            .all(|report| report.message == "it says nothing")
    );
}

#[tokio::test]
async fn a_waiter_sees_one_message_or_is_told_that_none_came() {
    let (caller, _keep, mut events, mut handlers) = pair().await;
    let (sees, seen) = seen();
    let waiter = |sees: &Sender<String>, name: &'static str| {
        let sees = sees.clone();
        move |shown: Result<&mut sente_adapters::Received<'_>, Gone>| {
            let shown = shown.map(|received| received.event().id.to_string());
            sees.send(format!("{name}: {shown:?}")).unwrap();
        }
    };
    handlers.take(id("test/n"), None, waiter(&sees, "first"));
    handlers.take_reply("q", Some(FOR_EVER), waiter(&sees, "reply"));
    handlers.take(
        id("test/never"),
        Some(Duration::ZERO),
        waiter(&sees, "late"),
    );
    handlers.take(id("test/never"), None, waiter(&sees, "closed"));
    handlers.take(id("test/never"), Some(Duration::ZERO), |_| {
        panic!("late, too")
    });
    for text in ["[:test/n]", "[:test/answer {:request-id \"q\"}]"] {
        caller.send(event(text)).await.unwrap();
    }
    let panic = next_panic(&mut handlers, &mut events).await.unwrap();
    assert_eq!((panic.event, &*panic.message), (None, "late, too"));
    caller.send(event("[:test/end]")).await.unwrap();
    assert_eq!(settle(&mut handlers, &mut events).await, []);
    let mut so_far = all(&seen);
    so_far.sort();
    assert_eq!(
        so_far,
        [
            "first: Ok(\":test/n\")",
            "late: Err(Timeout)",
            "reply: Ok(\":test/answer\")"
        ]
    );
    caller.close();
    let mut told = Vec::new();
    while let Some(next) = soon(handlers.next(&mut events)).await {
        if let Dispatched::Event(event) = next {
            if let ConnectionEvent::PeerFinished = event {
                events.handle().close();
            }
            told.push(event);
        }
    }
    assert!(matches!(told.last(), Some(ConnectionEvent::Closed(_))));
    assert_eq!(all(&seen), ["closed: Err(Closed)"]);
    assert_eq!(handlers.count(), 0);
}

#[tokio::test]
async fn handlers_on_a_client_stay_over_a_reconnect_and_waiters_are_told() {
    let at = "tcp://127.0.0.1:0".parse().unwrap();
    let mut listener = Listener::bind(&at, ListenOptions::default()).await.unwrap();
    let url = listener.url().clone();
    tokio::spawn(async move {
        while let Some(Ok(incoming)) = listener.accept().await {
            let (handle, mut events) = incoming.accept(Accept::new("ada")).await.unwrap();
            handle.send(event("[:test/hello]")).await.unwrap();
            tokio::spawn(async move { while events.next().await.is_some() {} });
        }
    });
    let (client, mut events) = keep_connected(ClientOptions::default(), move |_| {
        let url = url.clone();
        async move { Ok((url, ConnectOptions::default())) }
    })
    .unwrap();
    let mut handlers = Dispatcher::new(client);
    let (sees, seen) = seen();
    let waits = sees.clone();
    let mut broken = false;
    handlers.on(id("test/hello"), move |received| {
        sees.send("hello".into()).unwrap();
        if std::mem::replace(&mut broken, true) {
            received.handle().disconnect();
        } else {
            received.handle().break_connection();
        }
    });
    handlers.take(id("test/never"), None, move |shown| {
        waits.send(format!("{:?}", shown.err())).unwrap();
    });
    loop {
        let next = soon(handlers.next(&mut events)).await.unwrap();
        if let Dispatched::Event(ClientEvent::Closed(CloseReason::Requested)) = next {
            break;
        }
    }
    assert_eq!(all(&seen), ["hello", "Some(Closed)", "hello"]);
    assert_eq!(handlers.off_event(&EventId::new("test/hello").unwrap()), 1);
    assert_eq!((handlers.off_all(), handlers.panics()), (0, 0));
}
