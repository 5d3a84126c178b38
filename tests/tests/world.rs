//! The simulated world behaves as transports do, and connections hold the model's checks in it.
//! The long run is `cargo xtask test --deep`.
#![allow(missing_docs)]

use std::time::Duration;

use sente_core::{
    CallError, Carrier, CloseReason, ConnectionEvent, Dialect, Instant, Keepalive, Role, State,
};
use sente_tests::world::{
    Command, Ended, Given, Link, Quality, Recording, Refused, Spec, Told, World,
};
use sente_tests::{event, millis, model, seconds, text};

fn specs() -> (Spec, Spec) {
    let spec = |role| {
        let mut spec = Spec::new(role, Dialect::Sente, Carrier::WebSocket);
        spec.keepalive = None;
        spec
    };
    (spec(Role::Client), spec(Role::Server))
}

/// A world with one open connection.
fn open(quality: Quality) -> (World, Link) {
    let mut world = World::new(1);
    let (client, server) = specs();
    let link = world.connect(client, server, quality);
    let opened = pass(&mut world, seconds(1));
    assert!(
        opened
            .iter()
            .all(|told| matches!(told.event, ConnectionEvent::Opened(_)))
    );
    (world, link)
}

fn pass(world: &mut World, time: Duration) -> Vec<Told> {
    let until = world.now() + time;
    std::iter::from_fn(|| world.advance_to(until)).collect()
}

fn send(world: &mut World, peer: usize, number: usize) -> Result<Given, Refused> {
    world.command(peer, Command::Send(event(&format!("[:a/b {number}]"))))
}

fn texts(told: &[Told]) -> Vec<String> {
    let messages = told.iter().filter_map(|told| match &told.event {
        ConnectionEvent::Message(message) => Some(text(message)),
        _ => None,
    });
    messages.collect()
}

fn closed(told: &[Told], peer: usize) -> Option<&CloseReason> {
    told.iter().find_map(|told| match &told.event {
        ConnectionEvent::Closed(reason) if told.peer == peer => Some(reason),
        _ => None,
    })
}

#[test]
fn the_model_finds_nothing_in_a_short_run() {
    let mut sum = model::Tally::default();
    for seed in 0..500 {
        let plan = model::plan(seed, 60);
        let outcome = if seed % 10 == 0 {
            model::run_twice(seed, &plan)
        } else {
            model::run(seed, &plan)
        };
        match outcome {
            Ok(tally) => sum.add(&tally),
            Err(violation) => panic!("{}", model::report(seed, 60, &violation)),
        }
    }
    // A run in which nothing happens proves nothing.
    for (what, count) in [
        ("arrived", sum.arrived),
        ("came back", sum.came_back),
        ("answered", sum.answered),
        ("timed out", sum.timed_out),
        ("cancelled", sum.cancelled),
        ("cut off", sum.cut_off),
        ("flushed", sum.flushed),
        ("dropped", sum.dropped),
        ("refused", sum.refused),
        ("rate limited", sum.rate_limited),
        ("granted", sum.granted),
        ("in vain", sum.in_vain),
        ("shed", sum.shed),
        ("held", sum.held),
        ("kept", sum.kept),
        ("reopened", sum.reopened),
        ("not connected", sum.connect_failures),
    ] {
        assert!(count > 10, "{what}: {sum:?}");
    }
}

#[test]
fn a_message_arrives_after_the_latency_byte_by_byte() {
    let (mut world, link) = open(Quality {
        latency: millis(30),
        chunk: 1,
        pace: millis(1),
        ..Quality::default()
    });
    let sent = world.now();
    send(&mut world, link.client, 1).unwrap();
    // A frame of 20 bytes, one a millisecond after the first.
    assert!(texts(&pass(&mut world, millis(48))).is_empty());
    let told = pass(&mut world, millis(1));
    assert_eq!(texts(&told), ["[:a/b 1]"], "{:?}", world.now() - sent);
}

#[test]
fn a_stalled_wire_keeps_everything_and_then_delivers_it() {
    let (mut world, link) = open(Quality::default());
    world.set_quality(link.client, |quality| quality.stalled = true);
    for number in 0..5 {
        send(&mut world, link.client, number).unwrap();
    }
    assert!(texts(&pass(&mut world, seconds(9))).is_empty());
    world.set_quality(link.client, |quality| quality.stalled = false);
    assert_eq!(texts(&pass(&mut world, Duration::ZERO)).len(), 5);
}

#[test]
fn an_unwritable_wire_fills_the_queue_and_what_never_left_comes_back() {
    let mut world = World::new(1);
    let (mut client, server) = specs();
    client.limits.max_send_messages = 3;
    let link = world.connect(client, server, Quality::default());
    pass(&mut world, seconds(1));
    world.set_quality(link.client, |quality| quality.unwritable = true);
    send(&mut world, link.client, 0).unwrap();
    // The first is with the driver; three wait.
    pass(&mut world, millis(1));
    for number in 1..4 {
        send(&mut world, link.client, number).unwrap();
    }
    assert_eq!(send(&mut world, link.client, 4), Err(Refused::Full));
    world.cut(link.client, Ended::Failed, false);
    let told = pass(&mut world, seconds(1));
    let came_back = told.iter().find_map(|told| match &told.event {
        ConnectionEvent::Undelivered(events) => Some(events.len()),
        _ => None,
    });
    assert_eq!(came_back, Some(3));
    assert!(matches!(
        closed(&told, link.client),
        Some(CloseReason::Failed(_))
    ));
}

#[test]
fn a_cut_with_the_tail_delivers_what_was_written_and_one_without_does_not() {
    for (with_tail, arrived) in [(true, 1), (false, 0)] {
        let (mut world, link) = open(Quality {
            latency: millis(50),
            ..Quality::default()
        });
        send(&mut world, link.client, 1).unwrap();
        pass(&mut world, millis(1));
        world.cut(link.client, Ended::Eof, with_tail);
        let told = pass(&mut world, seconds(9));
        assert_eq!(texts(&told).len(), arrived);
        assert!(closed(&told, link.client).is_some());
        assert!(closed(&told, link.server).is_some());
        assert!(world.is_quiet());
    }
}

#[test]
fn a_paused_application_stops_the_sender_and_nothing_is_lost() {
    let mut world = World::new(1);
    let (mut client, mut server) = specs();
    client.limits.max_send_messages = 10;
    server.limits.max_recv_messages = 10;
    let window = 500;
    let quality = Quality {
        window,
        ..Quality::default()
    };
    let link = world.connect(client, server, quality);
    pass(&mut world, seconds(1));
    world.pause(link.server);
    let mut accepted = 0;
    while send(&mut world, link.client, accepted).is_ok() {
        accepted += 1;
        pass(&mut world, millis(1));
        assert!(accepted < 1_000, "nothing ever stops the sender");
    }
    world.resume(link.server);
    let told = pass(&mut world, seconds(1));
    let expected: Vec<_> = (0..accepted)
        .map(|number| format!("[:a/b {number}]"))
        .collect();
    assert_eq!(texts(&told), expected);
    assert!(
        told.iter()
            .any(|told| matches!(told.event, ConnectionEvent::SendReady))
    );
}

#[test]
fn a_peer_that_falls_silent_is_given_up_after_interval_and_timeout() {
    let mut world = World::new(1);
    let (mut client, server) = specs();
    client.keepalive = Some(Keepalive::new(seconds(10), seconds(5)));
    let link = world.connect(client, server, Quality::default());
    pass(&mut world, Duration::ZERO);
    world.sever(link.server);
    let told = pass(&mut world, millis(14_999));
    assert_eq!(closed(&told, link.client), None);
    let told = pass(&mut world, millis(1));
    assert_eq!(closed(&told, link.client), Some(&CloseReason::PingTimeout));
}

#[test]
fn two_connections_of_one_client_answer_their_own_calls() {
    let (mut world, first) = open(Quality::default());
    let (client, server) = specs();
    let second = world.connect(client, server, Quality::default());
    pass(&mut world, seconds(1));
    let mut calls = Vec::new();
    for link in [first, second] {
        let call = Command::Call(event("[:a/who]"), seconds(5));
        calls.push((link, world.command(link.client, call).unwrap()));
    }
    let asked = pass(&mut world, millis(1));
    for told in &asked {
        let token = told.token.unwrap();
        let name = i64::try_from(told.peer).unwrap().into();
        world
            .command(told.peer, Command::Reply(token, name))
            .unwrap();
    }
    let answers = pass(&mut world, millis(1));
    assert_eq!(answers.len(), 2);
    for told in answers {
        let ConnectionEvent::Settled { call, result } = told.event else {
            panic!("{told:?}");
        };
        let (link, _) = calls
            .iter()
            .find(|(link, given)| {
                link.client == told.peer && matches!(given, Given::Call(id, _) if *id == call)
            })
            .unwrap();
        let answer = result.unwrap().to_value().unwrap();
        assert_eq!(answer, i64::try_from(link.server).unwrap().into());
    }
}

#[test]
fn a_clock_that_jumps_times_calls_out_once_and_one_that_goes_back_changes_nothing() {
    let (mut world, link) = open(Quality::default());
    world
        .command(link.client, Command::Call(event("[:a/b]"), seconds(5)))
        .unwrap();
    pass(&mut world, millis(1));
    world.look_back(link.client, seconds(1));
    assert!(pass(&mut world, Duration::ZERO).is_empty());
    world.jump(seconds(3_600));
    let told = pass(&mut world, Duration::ZERO);
    assert!(matches!(
        told[..],
        [Told {
            event: ConnectionEvent::Settled {
                result: Err(CallError::Timeout),
                ..
            },
            ..
        }]
    ));
}

#[test]
fn a_drained_connection_loses_nothing_whatever_the_wire_is_like() {
    let (mut world, link) = open(Quality {
        latency: millis(100),
        chunk: 7,
        window: 1,
        ..Quality::default()
    });
    for number in 0..50 {
        send(&mut world, link.client, number).unwrap();
        send(&mut world, link.server, number).unwrap();
    }
    let deadline = world.now() + seconds(60);
    world
        .command(link.client, Command::Drain(deadline))
        .unwrap();
    let told = pass(&mut world, seconds(60));
    assert_eq!(closed(&told, link.client), Some(&CloseReason::Requested));
    let undelivered = told
        .iter()
        .filter(|told| matches!(told.event, ConnectionEvent::Undelivered(_)));
    assert!(undelivered.clone().all(|told| told.peer == link.server));
    let from_client = told.iter().filter(|told| {
        told.peer == link.server && matches!(told.event, ConnectionEvent::Message(_))
    });
    assert_eq!(from_client.count(), 50);
    assert!(world.is_quiet());
}

#[test]
fn a_recording_replays_from_a_file_and_a_changed_one_does_not() {
    let mut world = World::new(7);
    world.record();
    let (client, server) = specs();
    let quality = Quality {
        chunk: 5,
        random_chunks: true,
        latency: millis(3),
        ..Quality::default()
    };
    let link = world.connect(client, server, quality);
    pass(&mut world, seconds(1));
    let call = Command::Call(event("[:a/b \"two\\nlines\"]"), seconds(5));
    world.command(link.client, call).unwrap();
    let asked = pass(&mut world, millis(100));
    let token = asked[0].token.unwrap();
    world
        .command(link.server, Command::Reply(token, 1.into()))
        .unwrap();
    send(&mut world, link.server, 2).unwrap();
    pass(&mut world, millis(100));
    world.command(link.client, Command::Close).unwrap();
    pass(&mut world, seconds(60));
    assert_eq!(world.connection(link.client).state(), State::Closed);

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("run.log");
    std::fs::write(&file, world.recording().unwrap().as_str()).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let lines = Recording::from_text(text.clone()).replay().unwrap();
    assert_eq!(lines, text.lines().count());

    let changed = text.replacen(":a/b 2", ":a/b 3", 1);
    assert_ne!(changed, text);
    let problem = Recording::from_text(changed).replay().unwrap_err();
    assert!(problem.contains("now it is data"), "{problem}");
}

#[test]
fn one_seed_makes_one_run() {
    let plan = model::plan(3, 80);
    assert_eq!(model::run(3, &plan).unwrap(), model::run(3, &plan).unwrap());
    assert_eq!(Instant::EPOCH, World::new(3).now());
}
