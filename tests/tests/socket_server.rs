//! The server on real sockets: handlers, pushes, presence, ends.

#![allow(missing_docs)]

mod socket_support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sente_adapters::{CallFailure, Data, Router, State};
use sente_core::edn::Value;
use sente_core::{CallError, CloseReason, Target};
use sente_server::{Sender, ServerEvent};

use socket_support::{by_uid, client, closed, event, next, run, run_on, within};

type Seen = Arc<Mutex<Vec<u64>>>;

const SOON: Duration = Duration::from_secs(60);

fn doubling() -> Router {
    let double = async |Data(number): Data<i64>| number * 2;
    Router::new().on("test/double", double).unwrap()
}

#[tokio::test]
async fn what_a_handler_returns_is_the_reply() {
    let running = run(by_uid(doubling())).await;
    let (handle, _events) = client(&running, "ada", "c1").await;
    let reply = handle.call(event("test/double", 21), SOON).await.unwrap();
    assert_eq!(reply.to_value().unwrap(), Value::from(42));
}

#[tokio::test]
async fn a_handler_knows_whose_event_it_is_and_how_that_one_came() {
    let router = Router::new().fallback(async |sender: Sender| {
        let client_id = sender.request().unwrap().param("client-id").unwrap();
        format!("{} {client_id}", sender.user().unwrap())
    });
    let running = run(by_uid(router)).await;
    let (handle, _events) = client(&running, "ada", "c1").await;
    let reply = handle.call(event("test/who", 0), SOON).await.unwrap();
    assert_eq!(reply.to_value().unwrap(), Value::from("ada c1"));
}

#[tokio::test]
async fn a_handler_that_panics_is_told_of_and_its_caller_hears_at_once() {
    let router = doubling().on("test/panic", async || -> () { panic!("oh no") });
    let running = run(by_uid(router.unwrap())).await;
    let mut told = running.server.events();
    let (handle, _events) = client(&running, "ada", "c1").await;
    let failed = handle.call(event("test/panic", 0), SOON).await.unwrap_err();
    assert!(
        matches!(failed, CallFailure::Failed(CallError::Peer)),
        "{failed:?}"
    );
    let failure = loop {
        let told = within(told.next()).await.unwrap();
        if let ServerEvent::HandlerFailed { failure, .. } = told {
            break failure;
        }
    };
    assert_eq!(failure.event.as_str(), "test/panic");
    assert_eq!(
        (failure.panicked, failure.message.as_str()),
        (true, "oh no")
    );
    let reply = handle.call(event("test/double", 1), SOON).await;
    assert!(reply.is_ok(), "it lives on");
}

#[tokio::test]
async fn events_of_one_connection_are_handled_in_order() {
    let seen = Seen::default();
    let router = Router::with_state(seen.clone());
    let note = async |Data(number): Data<u64>, State(seen): State<Seen>| {
        // The later ones would be done first if they began before.
        tokio::time::sleep(Duration::from_millis(10 - number)).await;
        seen.lock().unwrap().push(number);
    };
    let router = router.on("test/note", note).unwrap();
    let running = run(by_uid(Router::new()).router(router)).await;
    let (handle, _events) = client(&running, "ada", "c1").await;
    for number in 0..9_u64 {
        handle.try_send(event("test/note", number)).unwrap();
    }
    handle.call(event("test/note", 9_u64), SOON).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), Vec::from_iter(0..10));
}

#[tokio::test]
async fn a_call_that_nobody_handles_fails_at_once() {
    let running = run(by_uid(doubling())).await;
    let (handle, _events) = client(&running, "ada", "c1").await;
    let failed = handle.call(event("test/nothing", 0), SOON).await;
    let failed = failed.unwrap_err();
    assert!(
        matches!(failed, CallFailure::Failed(CallError::Peer)),
        "{failed:?}"
    );
}

#[tokio::test]
async fn a_push_reaches_all_connections_of_a_user_in_one_order() {
    let running = run(by_uid(Router::new())).await;
    let (_a, mut phone) = client(&running, "ada", "phone").await;
    let (_b, mut laptop) = client(&running, "ada", "laptop").await;
    let (_c, mut other) = client(&running, "bob", "desk").await;
    for number in 0..100 {
        let target = Target::User("ada".into());
        let fanout = running
            .server
            .fan_out(&target, &event("news/item", number))
            .unwrap();
        assert_eq!((fanout.connections, fanout.packings), (2, 1));
    }
    for number in 0..100 {
        let expected = (String::from("news/item"), Value::from(number));
        assert_eq!(next(&mut phone).await, expected);
        assert_eq!(next(&mut laptop).await, expected);
    }
    running
        .server
        .fan_out(&Target::All, &event("news/end", 0))
        .unwrap();
    assert_eq!(next(&mut other).await.0, "news/end", "nothing came before");
}

#[tokio::test]
async fn the_server_calls_a_client() {
    let running = run(by_uid(Router::new())).await;
    let (handle, mut events) = client(&running, "ada", "c1").await;
    let id = running.server.connections()[0].connection;
    let server = running.server.clone();
    let call = tokio::spawn(async move { server.call(id, event("ask/you", 1), SOON).await });
    let asked = socket_support::message(&mut events).await;
    handle.reply(asked.reply.unwrap(), "fine").unwrap();
    let reply = within(call).await.unwrap().unwrap();
    assert_eq!(reply.to_value().unwrap(), Value::from("fine"));
}

#[tokio::test]
async fn a_user_is_disconnected_with_code_and_reason() {
    let running = run(by_uid(Router::new())).await;
    let (_a, mut ada) = client(&running, "ada", "c1").await;
    let target = Target::User("ada".into());
    assert_eq!(running.server.disconnect(&target, 4001, "go away"), 1);
    let reason = closed(&mut ada).await;
    let CloseReason::PeerClosed { code, reason } = reason else {
        panic!("{reason}")
    };
    assert_eq!((code, reason.as_str()), (Some(4001), "go away"));
}

#[tokio::test]
async fn a_drain_answers_what_was_asked_and_ends_all() {
    let router = Router::new().on("test/slow", async || {
        tokio::time::sleep(Duration::from_millis(50)).await;
        "done"
    });
    let running = run(by_uid(router.unwrap())).await;
    let mut told = running.server.events();
    let (handle, mut events) = client(&running, "ada", "c1").await;
    let call = tokio::spawn(async move { handle.call(event("test/slow", 0), SOON).await });
    let id = running.server.connections()[0].connection;
    // Its call has arrived when the connection has counted it.
    running.server.send_to(id, &event("test/begin", 0)).unwrap();
    assert_eq!(next(&mut events).await.0, "test/begin");
    within(async {
        while running.server.stats().all_traffic().events_received == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    within(running.server.drain(SOON)).await;
    assert_eq!(
        within(call).await.unwrap().unwrap().to_value().unwrap(),
        Value::from("done")
    );
    closed(&mut events).await;
    assert!(running.server.connections().is_empty());
    let left = async { while !matches!(told.next().await, Some(ServerEvent::Left { .. })) {} };
    within(left).await;
}

#[tokio::test]
async fn a_byte_stream_is_served_like_a_websocket() {
    let running = run_on(by_uid(doubling()), "tcp://127.0.0.1:0").await;
    let options = sente_adapters::ConnectOptions::default();
    let connected = sente_adapters::connect(running.listening.url(), &options);
    let (handle, _events) = within(connected).await.unwrap();
    let reply = handle.call(event("test/double", 4), SOON).await.unwrap();
    assert_eq!(reply.to_value().unwrap(), Value::from(8));
}

#[tokio::test]
async fn a_connection_that_is_open_already_joins() {
    let running = run(by_uid(Router::new())).await;
    let url = "tcp://127.0.0.1:0".parse().unwrap();
    let mut listener = sente_adapters::Listener::bind(&url, Default::default())
        .await
        .unwrap();
    let url = listener.url().clone();
    let connecting = tokio::spawn(async move {
        sente_adapters::connect(&url, &Default::default())
            .await
            .unwrap()
    });
    let incoming = within(listener.accept()).await.unwrap().unwrap();
    let accept = sente_core::Accept::new("carl");
    let (handle, events) = incoming.accept(accept).await.unwrap();
    let user = running
        .server
        .join(handle, events, sente_server::Terms::new().user("carl"));
    assert_eq!(&*user.unwrap(), "carl");
    let (_handle, mut events) = within(connecting).await.unwrap();
    running
        .server
        .fan_out(&Target::User("carl".into()), &event("news/item", 1))
        .unwrap();
    assert_eq!(next(&mut events).await.0, "news/item");
}

#[tokio::test]
async fn a_listener_goes_on_when_its_handle_is_dropped_and_ends_when_it_is_stopped() {
    let running = run(by_uid(doubling())).await;
    let url = running.url("/chsk?uid=ada");
    let socket_support::Running { server, listening } = running;
    drop(listening);
    let options = sente_adapters::ConnectOptions::default();
    let (_handle, _events) = within(sente_adapters::connect(&url, &options))
        .await
        .unwrap();
    let tcp = "tcp://127.0.0.1:0".parse().unwrap();
    let listener = sente_adapters::Listener::bind(&tcp, Default::default()).await;
    let listening = server.serve(listener.unwrap());
    let tcp = listening.url().clone();
    within(listening.stop()).await;
    assert!(
        within(sente_adapters::connect(&tcp, &options))
            .await
            .is_err()
    );
}
