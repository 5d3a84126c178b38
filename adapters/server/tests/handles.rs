//! What a server does with one connection beside sending, and its state as a watch.
#![allow(missing_docs)]

mod memory_support;

use std::pin::pin;
use std::task::{Context, Waker};

use sente_adapters::Ended;
use sente_core::{ReserveError, SendError, SendOptions, Target};
use sente_server::{Server, ServerEvent, ServerState};

use memory_support::{PATIENCE, event, join, message, said, soon};

fn server() -> Server {
    Server::builder().let_everybody_in().build().unwrap()
}

fn queued(server: &Server) -> usize {
    let stats = server.stats();
    stats.send_queues.events + stats.inboxes.events
}

#[tokio::test]
async fn what_is_tried_is_refused_while_the_connection_is_behind_and_waits_for_room_that_is_reserved()
 {
    let server = server();
    let (id, _handle, mut events) = join(&server).await;
    // Nothing here waits, so the driver writes nothing meanwhile.
    server.try_send(id, event("[:n/w 1]")).unwrap();
    server.try_send(id, event("[:n/w 2]")).unwrap();
    let full = server.try_send(id, event("[:n/w 3]")).unwrap_err();
    let SendError::Full {
        event: back,
        messages,
        needed,
        ..
    } = full
    else {
        panic!("{full:?}");
    };
    assert_eq!((said(&back).as_str(), messages), ("[:n/w 3]", 2));
    {
        let mut reserved = pin!(server.reserve(id, needed));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(reserved.as_mut().poll(&mut cx).is_pending());
        let permit = soon(reserved).await.unwrap();
        permit.send(*back).unwrap();
    }
    for wanted in ["[:n/w 1]", "[:n/w 2]", "[:n/w 3]"] {
        assert_eq!(message(&mut events).await, wanted);
    }
}

#[tokio::test]
async fn a_permit_holds_its_room_against_others_until_it_is_dropped() {
    let server = server();
    let (id, _handle, mut events) = join(&server).await;
    let first = soon(server.reserve(id, 100)).await.unwrap();
    let second = soon(server.reserve(id, 100)).await.unwrap();
    let refused = server.try_send(id, event("[:n/w 1]")).unwrap_err();
    assert!(matches!(refused, SendError::Full { .. }), "{refused:?}");
    drop(first);
    server.try_send(id, event("[:n/w 2]")).unwrap();
    second
        .send_with(event("[:n/w 3]"), SendOptions::new())
        .unwrap();
    assert_eq!(message(&mut events).await, "[:n/w 2]");
    assert_eq!(message(&mut events).await, "[:n/w 3]");
}

#[tokio::test]
async fn nothing_overtakes_what_was_fanned_out_before() {
    let server = server();
    let (id, _handle, mut events) = join(&server).await;
    for n in 1..=5 {
        let news = event(&format!("[:n/w {n}]"));
        server.fan_out(&Target::All, &news).unwrap();
    }
    let full = server.try_send(id, event("[:n/w 6]")).unwrap_err();
    let SendError::Full {
        event: back,
        messages,
        needed,
        ..
    } = full
    else {
        panic!("{full:?}");
    };
    assert_eq!(messages, 5);
    let permit = soon(server.reserve(id, needed)).await.unwrap();
    permit.send(*back).unwrap();
    for n in 1..=6 {
        assert_eq!(message(&mut events).await, format!("[:n/w {n}]"));
    }
}

#[tokio::test]
async fn a_flush_waits_for_what_was_fanned_out_and_for_what_was_sent() {
    let server = server();
    let (id, _handle, mut events) = join(&server).await;
    for n in 1..=5 {
        let news = event(&format!("[:n/w {n}]"));
        server.fan_out(&Target::All, &news).unwrap();
    }
    assert_eq!(queued(&server), 5);
    soon(server.flush(id)).await.unwrap();
    assert_eq!(queued(&server), 0);
    server.try_send(id, event("[:n/w 6]")).unwrap();
    assert_eq!(queued(&server), 1);
    soon(server.flush(id)).await.unwrap();
    assert_eq!(queued(&server), 0);
    for n in 1..=6 {
        assert_eq!(message(&mut events).await, format!("[:n/w {n}]"));
    }
}

#[tokio::test]
async fn what_is_for_a_connection_that_is_gone_fails_at_once() {
    let server = server();
    let (id, handle, events) = join(&server).await;
    let mut told = server.events();
    let permit = soon(server.reserve(id, 100)).await.unwrap();
    drop((handle, events));
    while !matches!(soon(told.next()).await, Some(ServerEvent::Left { .. })) {}
    let refused = server.try_send(id, event("[:n/w 1]")).unwrap_err();
    assert!(matches!(refused, SendError::NotOpen(_)), "{refused:?}");
    let refused = permit.send(event("[:n/w 2]")).unwrap_err();
    assert!(
        matches!(refused, SendError::NotOpen(_) | SendError::NoReservation(_)),
        "{refused:?}"
    );
    let reserved = server.reserve(id, 1).await.unwrap_err();
    assert_eq!(reserved, ReserveError::NotOpen);
    assert_eq!(server.flush(id).await, Err(Ended));
}

#[tokio::test]
async fn the_state_is_a_watch_that_goes_from_serving_to_draining_to_closed() {
    let server = server();
    let (_id, handle, _events) = join(&server).await;
    let mut states = server.states();
    assert_eq!(*states.borrow_and_update(), ServerState::Serving);
    let draining = tokio::spawn({
        let server = server.clone();
        async move { server.drain(PATIENCE).await }
    });
    soon(states.changed()).await.unwrap();
    // In one step where the client is quick.
    assert!(*states.borrow_and_update() > ServerState::Serving);
    handle.drain(PATIENCE);
    soon(draining).await.unwrap();
    assert_eq!(server.state(), ServerState::Closed);
    assert_eq!(*states.borrow(), ServerState::Closed);
    server.close();
    assert_eq!(server.state(), ServerState::Closed);
}

#[tokio::test]
async fn a_server_that_is_closed_is_draining_as_long_as_somebody_is_there() {
    let server = server();
    let (_id, _handle, _events) = join(&server).await;
    let mut states = server.states();
    server.close();
    assert_eq!(server.state(), ServerState::Draining);
    let closed = states.wait_for(|state| *state == ServerState::Closed);
    soon(closed).await.unwrap();
}

#[tokio::test]
async fn a_server_without_connections_is_closed_at_once_and_a_watch_does_not_keep_it() {
    let server = server();
    let mut states = server.states();
    server.close();
    assert_eq!(*states.borrow_and_update(), ServerState::Closed);
    drop(server);
    assert!(soon(states.changed()).await.is_err());
}
