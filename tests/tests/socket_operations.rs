//! What a running server says of itself: metrics, health, stats, channels.

#![allow(missing_docs)]

mod socket_support;

use std::time::Duration;

use sente_adapters::{ConnectOptions, Router, connect};
use sente_core::Target;
use sente_core::edn::Value;
use sente_server::{Metrics, Server};

use socket_support::{by_uid, client, event, next, run, within};

const SOON: Duration = Duration::from_secs(60);

/// The value of a sample, by its name and labels as they are written.
fn sample(text: &str, name: &str) -> f64 {
    let line = text
        .lines()
        .find(|line| line.rsplit_once(' ').unwrap().0 == name);
    let line = line.unwrap_or_else(|| panic!("no {name} in\n{text}"));
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[tokio::test]
async fn metrics_count_what_happens() {
    let router = Router::new()
        .on("test/ask", async || 1)
        .unwrap()
        .on("test/fail", async || Err::<(), _>("no"))
        .unwrap();
    let running = run(by_uid(router)).await;
    let metrics = Metrics::new(&running.server);
    let (handle, mut events) = client(&running, "ada", "c1").await;
    handle.call(event("test/ask", 0), SOON).await.unwrap();
    assert!(handle.call(event("test/fail", 0), SOON).await.is_err());
    running
        .server
        .fan_out(&Target::All, &event("news/item", 1))
        .unwrap();
    next(&mut events).await;
    let text = metrics.render();
    assert_eq!(sample(&text, "sente_connections"), 1.0);
    assert_eq!(sample(&text, "sente_users"), 1.0);
    assert_eq!(sample(&text, "sente_joins_total"), 1.0);
    let received = r#"sente_messages_total{direction="in",packer="edn"}"#;
    assert_eq!(sample(&text, received), 2.0);
    assert_eq!(sample(&text, "sente_deliveries_total"), 1.0);
    assert_eq!(sample(&text, "sente_handler_seconds_count"), 2.0);
    let failed = r#"sente_handler_failures_total{how="failed"}"#;
    assert_eq!(sample(&text, failed), 1.0);
    assert!(text.ends_with("# EOF\n"));
}

#[tokio::test]
async fn a_connection_that_is_gone_still_counts() {
    let running = run(by_uid(Router::new().fallback(async || 1))).await;
    let metrics = Metrics::new(&running.server);
    let (handle, _) = client(&running, "ada", "c1").await;
    handle.call(event("test/ask", 0), SOON).await.unwrap();
    within(running.server.drain(SOON)).await;
    let text = metrics.render();
    assert_eq!(sample(&text, "sente_connections"), 0.0);
    let received = r#"sente_messages_total{direction="in",packer="edn"}"#;
    assert_eq!(sample(&text, received), 1.0);
}

#[tokio::test]
async fn no_label_is_one_that_clients_choose() {
    let running = run(by_uid(Router::new().fallback(async || 1))).await;
    let metrics = Metrics::new(&running.server);
    let (handle, _events) = client(&running, "mallory-7", "label-7").await;
    handle.call(event("chosen/name-7", 0), SOON).await.unwrap();
    let text = metrics.render();
    for theirs in ["mallory", "label-7", "chosen", "name-7"] {
        assert!(!text.contains(theirs), "{theirs} in\n{text}");
    }
}

#[tokio::test]
async fn those_who_are_turned_away_are_counted_by_why() {
    let builder = Server::builder().router(Router::new());
    let running = run(builder).await;
    let metrics = Metrics::new(&running.server);
    let options = ConnectOptions::default();
    let refused = within(connect(&running.url("/chsk"), &options)).await;
    assert!(refused.is_err(), "nobody said where the CSRF token is");
    let name = r#"sente_rejections_total{reason="bad-csrf-token"}"#;
    assert_eq!(sample(&metrics.render(), name), 1.0);
    let stats: serde_json::Value = serde_json::from_str(&running.server.stats_json()).unwrap();
    assert_eq!(stats["metrics"]["rejected-connections"], 1);
}

#[tokio::test]
async fn health_stats_and_channels_are_those_of_sente_lite() {
    let running = run(by_uid(Router::new())).await;
    let (handle, mut events) = client(&running, "ada", "c1").await;
    let health: serde_json::Value = {
        let health = running.server.health();
        assert!(health.is_healthy);
        serde_json::from_str(&health.body).unwrap()
    };
    assert_eq!(health["status"], "healthy");
    assert_eq!(health["connections"], 1);
    assert!(health["uptime-ms"].is_u64());
    let id = running.server.connections()[0].connection;
    for channel in [Value::from("room-1"), Value::keyword("news/flash").unwrap()] {
        running.server.channels().subscribe(id, &channel).unwrap();
    }
    let published = running.server.channels().publish(&"room-1".into(), "hello");
    assert_eq!(published.unwrap().connections, 1);
    assert_eq!(next(&mut events).await.0, "sente-lite/channel-msg");
    let stats: serde_json::Value = serde_json::from_str(&running.server.stats_json()).unwrap();
    assert_eq!(stats["active-connections"], 1);
    assert_eq!(stats["channel-stats"]["total-channels"], 2);
    assert_eq!(stats["channel-stats"]["total-subscriptions"], 2);
    let room = &stats["channel-stats"]["channels"]["room-1"];
    assert_eq!(
        (&room["subscriber-count"], &room["message-count"]),
        (&1.into(), &1.into())
    );
    let channels: serde_json::Value =
        serde_json::from_str(&running.server.channels_json()).unwrap();
    let of_keyword = &channels["channels"]["news/flash"];
    assert_eq!(of_keyword["config"]["max-subscribers"], 1000);
    drop(handle);
    within(running.server.drain(SOON)).await;
    assert!(!running.server.health().is_healthy, "it lets nobody in");
}
