//! What is changed of a running server: it holds for whoever comes later.

#![allow(missing_docs)]

mod socket_support;

use std::time::Duration;

use sente_adapters::{CallFailure, ConnectError, ConnectOptions, Data, Handle, Router, connect};
use sente_core::admission::{Admission, CsrfCheck, GateLimits, Origins};
use sente_core::edn::Value;
use sente_core::framing::upgrade::UpgradeError;
use sente_core::{HubEvent, InboxLimits, Limits, Rate, RecvRates, Target, UserId};
use sente_server::{ServerBuilder, ServerEvent};

use socket_support::{Running, by_uid, client, event, next, run, within};

const SOON: Duration = Duration::from_secs(60);

fn doubling() -> ServerBuilder {
    let double = async |Data(number): Data<i64>| number * 2;
    by_uid(Router::new().on("test/double", double).unwrap())
}

async fn double(handle: &Handle) -> Result<Value, CallFailure> {
    let reply = handle.call(event("test/double", 21), SOON).await?;
    Ok(reply.to_value().unwrap())
}

/// The status a client of this origin is refused with.
async fn refused(running: &Running, origin: &str) -> Option<u16> {
    let mut options = ConnectOptions::default();
    options.headers = vec![("Origin".to_owned(), origin.to_owned())];
    let url = running.url("/chsk?client-id=c");
    match within(connect(&url, &options)).await {
        Ok(_) => None,
        Err(ConnectError::Upgrade(UpgradeError::Refused { status, .. })) => Some(status),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn other_rules_hold_for_those_who_come_later() {
    let running = run(doubling()).await;
    let (handle, _events) = client(&running, "ada", "c1").await;
    assert_eq!(refused(&running, "https://b.example").await, None);
    let origins = Origins::only(["https://a.example"]).unwrap();
    let rules = Admission::new(CsrfCheck::skip()).origins(origins);
    running.server.set_admission(rules);
    assert_eq!(refused(&running, "https://b.example").await, Some(403));
    assert_eq!(refused(&running, "https://a.example").await, None);
    assert_eq!(double(&handle).await.unwrap(), Value::from(42), "it stays");
}

#[tokio::test]
async fn other_limits_of_connecting_hold_for_those_who_come_later() {
    let running = run(doubling()).await;
    let (handle, _events) = client(&running, "ada", "c1").await;
    let mut limits = GateLimits::default();
    limits.max_connections = Some(1);
    running.server.set_gate_limits(limits);
    assert_eq!(refused(&running, "https://a.example").await, Some(503));
    limits.max_connections = Some(2);
    running.server.set_gate_limits(limits);
    assert_eq!(refused(&running, "https://a.example").await, None);
    assert_eq!(double(&handle).await.unwrap(), Value::from(42), "it stays");
}

#[tokio::test]
async fn other_rates_hold_for_connections_that_come_later() {
    let running = run(doubling()).await;
    let (old, _events) = client(&running, "ada", "c1").await;
    let mut rates = RecvRates::default();
    rates.connection_messages = Some(Rate::new(1, Duration::from_secs(3600), 1));
    running.server.set_connection_rates(&rates);
    let (new, _events) = client(&running, "bob", "c2").await;
    assert!(double(&new).await.is_ok());
    assert!(double(&new).await.is_err(), "one an hour");
    for _ in 0..3 {
        assert!(double(&old).await.is_ok(), "it came before");
    }
}

#[tokio::test]
async fn other_inboxes_hold_for_connections_that_come_later() {
    let running = run(doubling()).await;
    let (_old, mut old) = client(&running, "ada", "c1").await;
    let mut limits = InboxLimits::default();
    limits.max_messages = 0;
    running.server.set_inbox_limits(limits);
    let (_new, _events) = client(&running, "bob", "c2").await;
    let mut told = running.server.events();
    let (server, all) = (&running.server, Target::All);
    // An inbox is for what the send queue has no room for; no driver runs meanwhile.
    let room = Limits::default().max_send_messages;
    for number in 0..=room {
        server
            .fan_out(&all, &event("news/item", i64::try_from(number).unwrap()))
            .unwrap();
    }
    let lost = loop {
        if let Some(ServerEvent::Hub(HubEvent::SlowConsumer { user, lost, .. })) =
            within(told.next()).await
        {
            break (user, lost.count);
        }
    };
    assert_eq!(lost.0, UserId::from("bob"));
    assert!(lost.1 > 0, "nothing lost");
    for number in 0..=room {
        let (id, _) = next(&mut old).await;
        assert_eq!(id, "news/item", "it came before: {number}");
    }
}
