//! Streams of some of the events that clients of a server send, and the next of them.
#![allow(missing_docs)]

mod memory_support;

use std::pin::pin;

use futures_util::StreamExt;
use sente_adapters::{CallFailure, Router, StreamLimits};
use sente_core::edn::Value;
use sente_core::{CallError, EventId, Gone, Pattern};
use sente_server::{Server, ServerArrived, ServerEvent};

use memory_support::{PATIENCE, event, join, message, said, soon};

fn id(text: &str) -> EventId {
    EventId::new(text).unwrap()
}

/// A server whose handlers answer every call with `:handler`.
fn server() -> Server {
    let router = Router::new().fallback(async || Value::from("handler"));
    let builder = Server::builder().let_everybody_in().router(router);
    builder.build().unwrap()
}

fn said_in(arrived: Option<ServerArrived>) -> String {
    said(arrived.unwrap().event())
}

#[tokio::test]
async fn a_stream_has_the_events_of_all_connections_and_says_whose_they_are() {
    let server = server();
    let mut chat = server.on(Pattern::Namespace("chat".into()));
    let (ada, ada_sends, mut ada_hears) = join(&server).await;
    let (bob, bob_sends, _bob_hears) = join(&server).await;
    ada_sends.send(event("[:chat/say 1]")).await.unwrap();
    let arrived = soon(chat.next()).await.unwrap();
    assert_eq!(said(arrived.event()), "[:chat/say 1]");
    assert_eq!(arrived.sender().connection(), ada);
    assert!(!arrived.wants_reply());
    let answer = arrived.sender().send(event("[:chat/heard 1]"));
    answer.await.unwrap();
    assert_eq!(message(&mut ada_hears).await, "[:chat/heard 1]");
    bob_sends.send(event("[:chat/leave 2]")).await.unwrap();
    let arrived = soon(chat.next()).await.unwrap();
    assert_eq!(arrived.sender().connection(), bob);
    assert_eq!(said(&arrived.into_event()), "[:chat/leave 2]");
}

#[tokio::test]
async fn what_a_stream_takes_no_handler_sees_and_the_rest_they_do() {
    let server = server();
    let mut prices = server.on(id("price/ask"));
    let (_, client, _events) = join(&server).await;
    let other = client.call(event("[:other/ask 1]"), PATIENCE);
    assert_eq!(
        soon(other).await.unwrap().to_value().unwrap(),
        Value::from("handler")
    );
    let asked = client.call(event("[:price/ask 2]"), PATIENCE);
    let answered = async {
        let mut arrived = soon(prices.next()).await.unwrap();
        let responder = arrived.take_reply().unwrap();
        assert!(!arrived.wants_reply());
        responder.reply(Value::from(7)).unwrap();
    };
    let (reply, ()) = tokio::join!(soon(asked), answered);
    assert_eq!(reply.unwrap().to_value().unwrap(), Value::from(7));
    drop(prices);
    let asked = client.call(event("[:price/ask 3]"), PATIENCE);
    assert_eq!(
        soon(asked).await.unwrap().to_value().unwrap(),
        Value::from("handler")
    );
}

#[tokio::test]
async fn each_of_several_streams_gets_an_event_and_the_first_the_right_to_answer() {
    let server = server();
    let mut first = server.on(id("test/ask"));
    let mut second = server.on(Pattern::Any);
    let (_, client, _events) = join(&server).await;
    let asked = client.call(event("[:test/ask 1]"), PATIENCE);
    let heard = async {
        assert!(!soon(second.next()).await.unwrap().wants_reply());
        // Dropped, it answers with an error.
        assert!(soon(first.next()).await.unwrap().wants_reply());
    };
    let (failed, ()) = tokio::join!(soon(asked), heard);
    let failed = failed.unwrap_err();
    assert!(
        matches!(failed, CallFailure::Failed(CallError::Peer)),
        "{failed:?}"
    );
}

#[tokio::test]
async fn a_stream_that_is_not_read_loses_its_oldest_counts_them_and_answers_their_callers() {
    let server = server();
    let mut limits = StreamLimits::default();
    limits.max_events = 2;
    let mut stream = server.on_with(Pattern::Namespace("n".into()), limits);
    let (_, client, _events) = join(&server).await;
    let asked = client.call(event("[:n/w 0]"), PATIENCE);
    let sent = async {
        for n in 1..=3 {
            let news = event(&format!("[:n/w {n}]"));
            client.send(news).await.unwrap();
        }
    };
    let (failed, ()) = tokio::join!(soon(asked), sent);
    let failed = failed.unwrap_err();
    assert!(
        matches!(failed, CallFailure::Failed(CallError::Peer)),
        "{failed:?}"
    );
    // A call that handlers answer comes behind what is for the stream.
    let behind = client.call(event("[:other/ask 1]"), PATIENCE);
    soon(behind).await.unwrap();
    assert_eq!((stream.missed(), stream.waiting()), (2, 2));
    assert_eq!(said_in(soon(stream.next()).await), "[:n/w 2]");
    assert_eq!(
        said_in(soon(StreamExt::next(&mut stream)).await),
        "[:n/w 3]"
    );
}

#[tokio::test]
async fn what_is_taken_from_one_connection_nobody_else_can_send() {
    let server = server();
    let (ada, ada_sends, _ada_hears) = join(&server).await;
    let (bob, bob_sends, bob_hears) = join(&server).await;
    let from_ada = server.take_from(ada, id("test/answer"));
    let from_bob = server.take_from(bob, id("test/other"));
    let from_any = server.take(id("test/answer"));
    bob_sends.send(event("[:test/answer 1]")).await.unwrap();
    assert_eq!(said_in(soon(from_any).await.ok()), "[:test/answer 1]");
    ada_sends.send(event("[:test/answer 2]")).await.unwrap();
    assert_eq!(said_in(soon(from_ada).await.ok()), "[:test/answer 2]");

    let mut told = server.events();
    drop((bob_sends, bob_hears));
    assert_eq!(soon(from_bob).await.unwrap_err(), Gone::Closed);
    while !matches!(soon(told.next()).await, Some(ServerEvent::Left { .. })) {}
    let late = server.take_from(bob, id("test/answer"));
    assert_eq!(late.await.unwrap_err(), Gone::Closed);
}

#[tokio::test]
async fn streams_end_when_the_server_is_closed_and_what_waits_has_been_taken() {
    let server = server();
    let mut stream = server.on(id("test/said"));
    let mut never = pin!(server.take(id("test/never")));
    let (_, client, _events) = join(&server).await;
    client.send(event("[:test/said 1]")).await.unwrap();
    let behind = client.call(event("[:other/ask 1]"), PATIENCE);
    soon(behind).await.unwrap();
    client.drain(PATIENCE);
    soon(server.drain(PATIENCE)).await;
    assert_eq!(said_in(soon(stream.next()).await), "[:test/said 1]");
    assert!(soon(stream.next()).await.is_none());
    assert_eq!(soon(never.as_mut()).await.unwrap_err(), Gone::Closed);
    let mut late = server.on(id("test/said"));
    assert!(soon(late.next()).await.is_none());
}

#[tokio::test]
async fn a_predicate_that_panics_takes_nothing_and_harms_nobody() {
    let server = server();
    let panics = Pattern::When(Box::new(|_| panic!("oh no")));
    let stream = server.on(panics);
    let (_, client, _events) = join(&server).await;
    for _ in 0..2 {
        let asked = client.call(event("[:test/ask 1]"), PATIENCE);
        let reply = soon(asked).await.unwrap().to_value().unwrap();
        assert_eq!(reply, Value::from("handler"));
    }
    assert_eq!(stream.waiting(), 0);
}
