//! Waiting for room in the send queue, in line, and what becomes of a wait that is given up.
#![allow(missing_docs)]

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use sente_adapters::{ConnectOptions, Events, Handle, connect};
use sente_core::{
    ConnectionEvent, Event, Limits, Policy, Priority, Rate, ReserveError, SendError, SendOptions,
    Sent,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};

const PATIENCE: Duration = Duration::from_secs(30);

fn event(text: &str) -> Event {
    Event::from_value(sente_edn::from_str(text).unwrap()).unwrap()
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what)
        .await
        .expect("it takes for ever")
}

fn with_limits(change: impl FnOnce(&mut Limits)) -> ConnectOptions {
    let mut limits = Limits::default();
    change(&mut limits);
    let mut options = ConnectOptions::default();
    options.limits = Some(limits);
    options
}

/// A client of ours, and what the peer hears.
async fn pair(options: &ConnectOptions) -> (Handle, Events, Lines<BufReader<TcpStream>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("tcp://{}", listener.local_addr().unwrap());
    let at = at.parse().unwrap();
    let (client, peer) = tokio::join!(connect(&at, options), async {
        let (mut peer, _) = listener.accept().await.unwrap();
        let handshake = b"[:chsk/handshake [\"u\" nil {} true]]\n";
        peer.write_all(handshake).await.unwrap();
        peer
    });
    let (handle, events) = client.unwrap();
    (handle, events, BufReader::new(peer).lines())
}

/// Begins to wait: polls once, with nobody to wake.
fn waits<T>(what: std::pin::Pin<&mut impl Future<Output = T>>) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    matches!(what.poll(&mut context), Poll::Pending)
}

#[tokio::test]
async fn senders_that_wait_are_served_in_their_order() {
    let options = with_limits(|limits| limits.max_send_messages = 1);
    let (handle, _events, mut peer) = pair(&options).await;
    let permit = soon(handle.reserve(10)).await.unwrap();
    assert!(matches!(
        handle.try_send(event("[:a/n 0]")),
        Err(SendError::Full { .. })
    ));
    let mut first = pin!(handle.send(event("[:a/n 1]")));
    let mut second = pin!(handle.send(event("[:a/n 2]")));
    assert!(waits(first.as_mut()) && waits(second.as_mut()));
    assert_eq!(handle.send_capacity().waiting_reservations, 2);
    permit.send(event("[:a/n 3]")).unwrap();
    let both = soon(async { tokio::join!(second, first) }).await;
    assert!(both.0.is_ok() && both.1.is_ok());
    for n in [3, 1, 2] {
        let line = soon(peer.next_line()).await.unwrap();
        assert_eq!(line, Some(format!("[:a/n {n}]")));
    }
}

#[tokio::test]
async fn a_wait_that_is_dropped_gives_its_turn_to_the_next() {
    let options = with_limits(|limits| limits.max_send_messages = 1);
    let (handle, _events, _peer) = pair(&options).await;
    let held = soon(handle.reserve(10)).await.unwrap();
    let next = {
        let mut dropped = Box::pin(handle.reserve(10));
        assert!(waits(dropped.as_mut()));
        let mut next = Box::pin(handle.reserve(10));
        assert!(waits(next.as_mut()));
        next
    };
    assert_eq!(handle.send_capacity().waiting_reservations, 1);
    drop(held);
    let permit = soon(next).await.unwrap();
    // Granted, and dropped unused.
    drop(permit);
    let capacity = handle.send_capacity();
    assert_eq!(
        (capacity.reserved_messages, capacity.waiting_reservations),
        (0, 0)
    );
    handle.try_send(event("[:a/n 1]")).unwrap();
}

#[tokio::test]
async fn a_grant_nobody_took_is_given_back() {
    let options = with_limits(|limits| limits.max_send_messages = 1);
    let (handle, _events, _peer) = pair(&options).await;
    let held = soon(handle.reserve(10)).await.unwrap();
    {
        let mut granted = pin!(handle.reserve(10));
        assert!(waits(granted.as_mut()));
        drop(held);
        assert_eq!(handle.send_capacity().reserved_messages, 1);
    }
    assert_eq!(handle.send_capacity().reserved_messages, 0);
}

#[tokio::test]
async fn who_waits_is_told_when_the_connection_ends() {
    let options = with_limits(|limits| limits.max_send_messages = 1);
    let (handle, _events, _peer) = pair(&options).await;
    let held = soon(handle.reserve(10)).await.unwrap();
    let mut room = Box::pin(handle.reserve(10));
    let mut send = Box::pin(handle.send(event("[:a/n 1]")));
    assert!(waits(room.as_mut()) && waits(send.as_mut()));
    handle.close();
    assert_eq!(soon(room).await.err(), Some(ReserveError::NotOpen));
    let refused = soon(send).await;
    assert!(matches!(refused, Err(SendError::NotOpen(_))));
    let refused = held.send(event("[:a/n 2]"));
    assert!(matches!(refused, Err(SendError::NotOpen(_))));
}

#[tokio::test]
async fn more_senders_than_reservations_all_get_their_turn() {
    let options = with_limits(|limits| {
        limits.max_send_messages = 1;
        limits.max_reservations = 2;
    });
    let (handle, _events, mut peer) = pair(&options).await;
    let senders: Vec<_> = (0..50)
        .map(|n| {
            let handle = handle.clone();
            tokio::spawn(async move { handle.send(event(&format!("[:a/n {n}]"))).await })
        })
        .collect();
    for _ in 0..50 {
        assert!(soon(peer.next_line()).await.unwrap().is_some());
    }
    for sender in senders {
        soon(sender).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn sends_wait_for_the_rate_and_end_with_the_connection() {
    let mut options = ConnectOptions::default();
    options.send_rate = Some(Rate::new(100, Duration::from_secs(1), 1));
    let (handle, _events, mut peer) = pair(&options).await;
    for n in 0..3 {
        soon(handle.send(event(&format!("[:a/n {n}]"))))
            .await
            .unwrap();
        assert!(soon(peer.next_line()).await.unwrap().is_some());
    }
    options.send_rate = Some(Rate::new(0, Duration::from_secs(1), 1));
    let (handle, _events, _peer) = pair(&options).await;
    let mut never = Box::pin(handle.send(event("[:a/n 0]")));
    assert!(waits(never.as_mut()));
    handle.close();
    assert!(matches!(soon(never).await, Err(SendError::NotOpen(_))));
}

#[tokio::test]
async fn policies_and_priorities_reach_the_engine_and_drops_the_application() {
    let mut options = with_limits(|limits| limits.max_send_messages = 2);
    options.keep_dropped = 1_000;
    options.flush_window = Some(PATIENCE);
    let (handle, mut events, mut peer) = pair(&options).await;
    let opened = soon(events.next()).await;
    assert!(matches!(opened, Some(ConnectionEvent::Opened(_))));
    let low = SendOptions::new()
        .policy(Policy::DropOldest)
        .priority(Priority::Low);
    let latest = SendOptions::new().policy(Policy::Latest("k".into()));
    let sent = handle.try_send_with(event("[:a/low 1]"), low.clone());
    assert_eq!(sent.unwrap(), Sent::Queued);
    let sent = soon(handle.send_with(event("[:a/k 1]"), latest.clone())).await;
    assert_eq!(sent.unwrap(), Sent::Queued);
    let sent = handle.try_send_with(event("[:a/low 2]"), low);
    assert_eq!(sent.unwrap(), Sent::Queued);
    let sent = soon(handle.send_with(event("[:a/k 2]"), latest)).await;
    assert_eq!(sent.unwrap(), Sent::Replaced);
    soon(handle.flush()).await.unwrap();
    for expected in ["[:a/k 2]", "[:a/low 2]"] {
        let line = soon(peer.next_line()).await.unwrap();
        assert_eq!(line.as_deref(), Some(expected));
    }
    let mut dropped = Vec::new();
    while dropped.len() < 2 {
        if let Some(ConnectionEvent::Dropped(one)) = soon(events.next()).await {
            let texts = one.events.iter().map(|event| event.bytes().to_vec());
            dropped.extend(texts.map(|text| String::from_utf8(text).unwrap()));
        }
    }
    assert_eq!(dropped, ["[:a/low 1]", "[:a/k 1]"]);
}

#[tokio::test]
async fn flushes_that_wait_together_are_all_told() {
    let options = with_limits(|limits| limits.max_flushes = 1);
    let (handle, _events, mut peer) = pair(&options).await;
    handle.try_send(event("[:a/n 1]")).unwrap();
    let mut first = std::pin::pin!(handle.flush());
    let mut second = std::pin::pin!(handle.flush());
    assert!(waits(first.as_mut()) && waits(second.as_mut()));
    handle.try_send(event("[:a/n 2]")).unwrap();
    let mut third = std::pin::pin!(handle.flush());
    assert!(waits(third.as_mut()));
    let told = soon(async { tokio::join!(first, second, third) }).await;
    assert!(matches!(told, (Ok(()), Ok(()), Ok(()))), "{told:?}");
    for expected in ["[:a/n 1]", "[:a/n 2]"] {
        let line = soon(peer.next_line()).await.unwrap();
        assert_eq!(line.as_deref(), Some(expected));
    }
}
