//! The send queue of a connection: policies, priorities and rate.
#![allow(missing_docs)]

use sente_core::{
    Carrier, Connection, ConnectionEvent, Dialect, Dropped, Instant, PackedEvent, PackedSendError,
    Rate, RateLimiter, SendError, SendOptions, Sent,
};
use sente_tests::lines::{
    client, client_with, drop_oldest, latest, low, numbered, said, taken, volatile, written,
};
use sente_tests::{Pair, event, events, messages, millis, text};

const NOW: Instant = Instant::EPOCH;

fn dropped(connection: &mut Connection) -> Vec<Dropped> {
    events(connection)
        .into_iter()
        .filter_map(|event| match event {
            ConnectionEvent::Dropped(dropped) => Some(dropped),
            _ => None,
        })
        .collect()
}

fn texts(events: &[PackedEvent]) -> Vec<&str> {
    events
        .iter()
        .map(|event| std::str::from_utf8(event.bytes()).unwrap())
        .collect()
}

#[test]
fn drop_oldest_drops_what_may_be_lost_and_reports_it_once() {
    let mut client = client_with(
        |limits| limits.max_send_messages = 4,
        |config| config.keep_dropped(10_000),
    );
    client.send(NOW, numbered(0)).unwrap();
    client.send_with(NOW, numbered(1), drop_oldest()).unwrap();
    client.send_with(NOW, numbered(2), latest("k")).unwrap();
    client.send(NOW, numbered(3)).unwrap();
    for n in 4..6 {
        let sent = client.send_with(NOW, numbered(n), drop_oldest()).unwrap();
        assert_eq!(sent, Sent::Queued);
    }
    let told = dropped(&mut client);
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].count, told[0].bytes), (2, 16));
    assert_eq!(texts(&told[0].events), ["[:a/n 1]", "[:a/n 2]"]);
    assert_eq!(client.stats().dropped_oldest, 2);
    // The key is free again.
    let sent = client.send_with(NOW, numbered(6), latest("k"));
    assert!(matches!(sent, Err(SendError::Full { .. })));
    assert_eq!(
        written(&mut client, NOW),
        ["[:a/n 0]", "[:a/n 3]", "[:a/n 4]", "[:a/n 5]"]
    );
    assert!(dropped(&mut client).is_empty());
}

#[test]
fn drop_oldest_drops_nothing_where_that_is_not_enough() {
    let mut client = client(|limits| limits.max_send_bytes = 40);
    client.send(NOW, event("[:a/kept \"0123456789\"]")).unwrap();
    client.send_with(NOW, numbered(1), drop_oldest()).unwrap();
    let big = event("[:a/big \"0123456789\"]");
    match client.send_with(NOW, big, drop_oldest()) {
        Err(SendError::Full { event, needed, .. }) => {
            assert_eq!(event.id.as_str(), "a/big");
            assert_eq!(needed, 21);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(client.stats().dropped_oldest, 0);
    assert_eq!(written(&mut client, NOW).len(), 2);
}

#[test]
fn dropping_behind_an_event_that_is_stuck_neither_grows_nor_loses_order() {
    let mut client = client(|limits| limits.max_send_messages = 10);
    client.send(NOW, numbered(0)).unwrap();
    for n in 1..5_000 {
        client.send_with(NOW, numbered(n), drop_oldest()).unwrap();
    }
    let told = dropped(&mut client);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].count, 4_990);
    assert!(told[0].events.is_empty(), "nobody asked for them");
    let mut expected = vec!["[:a/n 0]".to_owned()];
    expected.extend((4_991..5_000).map(|n| format!("[:a/n {n}]")));
    assert_eq!(written(&mut client, NOW), expected);
}

#[test]
fn dropped_events_are_kept_up_to_the_bytes_asked_for() {
    let mut client = client_with(
        |limits| limits.max_send_messages = 1,
        // Each counts 64 bytes more than its own 8.
        |config| config.keep_dropped(2 * 72),
    );
    for n in 0..6 {
        client.send_with(NOW, numbered(n), drop_oldest()).unwrap();
    }
    let told = dropped(&mut client).remove(0);
    assert_eq!(told.count, 5);
    assert_eq!(texts(&told.events), ["[:a/n 0]", "[:a/n 1]"]);
    // Taken, there is room for more.
    client.send_with(NOW, numbered(6), drop_oldest()).unwrap();
    let told = dropped(&mut client).remove(0);
    assert_eq!(texts(&told.events), ["[:a/n 5]"]);
}

#[test]
fn a_volatile_event_is_dropped_where_it_would_wait() {
    let mut client = client(|_| {});
    assert_eq!(
        client.send_with(NOW, numbered(0), volatile()).unwrap(),
        Sent::Queued
    );
    // Something is queued.
    assert_eq!(
        client.send_with(NOW, numbered(1), volatile()).unwrap(),
        Sent::Dropped
    );
    assert_eq!(taken(&mut client), ["[:a/n 0]"]);
    // A transmit is out.
    assert_eq!(
        client.send_with(NOW, numbered(2), volatile()).unwrap(),
        Sent::Dropped
    );
    client.handle_transmitted(NOW);
    assert_eq!(
        client.send_with(NOW, numbered(3), volatile()).unwrap(),
        Sent::Queued
    );
    assert_eq!(written(&mut client, NOW), ["[:a/n 3]"]);
    assert_eq!(client.stats().dropped_volatile, 2);
    assert_eq!(client.stats().events_queued, 2);
    assert_eq!(dropped(&mut client)[0].count, 2);
}

#[test]
fn the_latest_event_of_a_key_takes_the_place_of_the_one_before() {
    let mut client = client(|_| {});
    client.send(NOW, numbered(0)).unwrap();
    let first = client.send_with(NOW, numbered(1), latest("x")).unwrap();
    client.send(NOW, numbered(2)).unwrap();
    client.send_with(NOW, numbered(3), latest("y")).unwrap();
    let second = client
        .send_with(NOW, event("[:a/longer 4]"), latest("x"))
        .unwrap();
    assert_eq!((first, second), (Sent::Queued, Sent::Replaced));
    assert_eq!(client.send_capacity().bytes, 3 * 8 + 13);
    assert_eq!(
        written(&mut client, NOW),
        ["[:a/n 0]", "[:a/longer 4]", "[:a/n 2]", "[:a/n 3]"]
    );
    assert_eq!(client.send_capacity().bytes, 0);
    assert_eq!(client.stats().replaced, 1);
    assert_eq!(dropped(&mut client)[0].bytes, 8);
    // What has left is not replaced any more.
    let third = client.send_with(NOW, numbered(5), latest("x")).unwrap();
    assert_eq!(third, Sent::Queued);
}

#[test]
fn a_latest_event_that_does_not_fit_leaves_the_one_before() {
    let mut client = client(|limits| {
        limits.max_send_messages = 1;
        limits.max_send_bytes = 20;
    });
    client.send_with(NOW, numbered(1), latest("x")).unwrap();
    let big = event("[:a/big \"0123456789\"]");
    let sent = client.send_with(NOW, big, latest("x"));
    assert!(matches!(
        sent,
        Err(SendError::TooLarge {
            size: 21,
            limit: 20,
            ..
        })
    ));
    // A full queue does not hinder one that fits.
    let sent = client.send_with(NOW, numbered(2), latest("x")).unwrap();
    assert_eq!(sent, Sent::Replaced);
    assert_eq!(written(&mut client, NOW), ["[:a/n 2]"]);
}

#[test]
fn low_events_leave_after_normal_ones_and_in_every_sixteenth_frame() {
    let mut client = client(|_| {});
    for n in 0..3 {
        client
            .send_with(NOW, event(&format!("[:a/low {n}]")), low())
            .unwrap();
    }
    for n in 0..20 {
        client.send(NOW, numbered(n)).unwrap();
    }
    let lines = written(&mut client, NOW);
    assert_eq!(lines.len(), 23);
    let lows: Vec<_> = (0..lines.len())
        .filter(|at| lines[*at].starts_with("[:a/low"))
        .collect();
    assert_eq!(lows, [15, 21, 22]);
    let normal: Vec<_> = lines.iter().filter(|line| line.contains("/n")).collect();
    let expected: Vec<_> = (0..20).map(|n| format!("[:a/n {n}]")).collect();
    assert!(normal.into_iter().eq(expected.iter()));
}

#[test]
fn a_batch_holds_events_of_one_priority() {
    let mut pair = Pair::open(Dialect::Sente, Carrier::WebSocket);
    for n in 0..3 {
        pair.server.send_with(NOW, numbered(n), low()).unwrap();
        pair.server.send(NOW, numbered(10 + n)).unwrap();
    }
    let frames = pair.server.stats().frames_sent;
    pair.drive();
    assert_eq!(pair.server.stats().frames_sent - frames, 2);
    let got: Vec<_> = messages(&mut pair.client).iter().map(text).collect();
    let expected = [10, 11, 12, 0, 1, 2].map(|n| format!("[:a/n {n}]"));
    assert_eq!(got, expected);
}

#[test]
fn replies_keep_their_order_with_normal_events() {
    let mut client = client(|_| {});
    said(&mut client, NOW, "[[:q/a] \"cb\"]\n");
    let token = messages(&mut client).remove(0).reply.unwrap();
    client.send_with(NOW, numbered(0), low()).unwrap();
    client.send(NOW, numbered(1)).unwrap();
    client.reply(NOW, token, 7).unwrap();
    client.send(NOW, numbered(2)).unwrap();
    let lines = written(&mut client, NOW);
    assert_eq!(lines[0], "[:a/n 1]");
    assert!(lines[1].contains(":chsk/reply"), "{lines:?}");
    assert_eq!(lines[2..], ["[:a/n 2]", "[:a/n 0]"]);
}

#[test]
fn packed_events_are_sent_by_the_same_policies() {
    let mut client = client(|limits| limits.max_send_messages = 1);
    let packed = PackedEvent::pack(&numbered(1), &sente_core::packer::Edn).unwrap();
    let mut send = |options| client.send_packed_with(NOW, &packed, options);
    assert_eq!(send(latest("x")), Ok(Sent::Queued));
    assert_eq!(send(latest("x")), Ok(Sent::Replaced));
    assert_eq!(send(volatile()), Ok(Sent::Dropped));
    assert_eq!(send(drop_oldest()), Ok(Sent::Queued));
    assert_eq!(send(SendOptions::new()), Err(PackedSendError::Full));
    assert_eq!(written(&mut client, NOW), ["[:a/n 1]"]);
}

#[test]
fn what_was_not_written_comes_back_in_the_order_it_was_queued() {
    let mut client = client(|_| {});
    client.send_with(NOW, numbered(0), low()).unwrap();
    client.send(NOW, numbered(1)).unwrap();
    client.send_with(NOW, numbered(2), low()).unwrap();
    client.send_with(NOW, numbered(3), drop_oldest()).unwrap();
    client.close(NOW);
    let back = events(&mut client)
        .into_iter()
        .find_map(|event| match event {
            ConnectionEvent::Undelivered(events) => Some(events),
            _ => None,
        });
    let expected = ["[:a/n 0]", "[:a/n 1]", "[:a/n 2]", "[:a/n 3]"];
    assert_eq!(texts(&back.unwrap()), expected);
}

#[test]
fn events_over_the_rate_are_refused_with_the_time_to_try_again() {
    let rate = Rate::new(10, millis(1_000), 2);
    let mut client = client_with(|_| {}, |config| config.send_rate(Some(rate)));
    client.send(NOW, numbered(0)).unwrap();
    client.send_with(NOW, numbered(1), latest("x")).unwrap();
    match client.send(NOW, numbered(2)) {
        Err(SendError::RateLimited { event, retry_at }) => {
            assert_eq!(event.id.as_str(), "a/n");
            assert_eq!(retry_at, Instant::from_millis(100));
        }
        other => panic!("{other:?}"),
    }
    // Replacing sends nothing more, a reply is owed, and a volatile event does not wait.
    let sent = client.send_with(NOW, numbered(3), latest("x")).unwrap();
    assert_eq!(sent, Sent::Replaced);
    said(&mut client, NOW, "[[:q/a] \"cb\"]\n");
    let token = messages(&mut client).remove(0).reply.unwrap();
    client.reply(NOW, token, 7).unwrap();
    written(&mut client, NOW);
    let sent = client.send_with(NOW, numbered(4), volatile()).unwrap();
    assert_eq!(sent, Sent::Dropped);
    assert!(client.send(Instant::from_millis(99), numbered(5)).is_err());
    client.send(Instant::from_millis(100), numbered(6)).unwrap();
    assert!(client.send(Instant::from_millis(100), numbered(7)).is_err());
    assert_eq!(client.stats().sends_refused, 3);
}

#[test]
fn a_rate_of_nothing_allows_none_and_one_without_a_period_all() {
    for never in [Rate::new(0, millis(1), 5), Rate::new(5, millis(1), 0)] {
        let limiter = RateLimiter::new(never);
        assert!(limiter.check(Instant::from_nanos(u64::MAX - 1)).is_err());
    }
    let mut limiter = RateLimiter::new(Rate::new(1, millis(0), 1));
    for _ in 0..1_000 {
        assert_eq!(limiter.check(NOW), Ok(()));
        limiter.take(NOW);
    }
}
