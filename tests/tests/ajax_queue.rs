//! The server's side of Ajax: what waits to be told, and what becomes of what does not fit.
#![allow(missing_docs)]

mod ajax_support;

use ajax_support::{NOW, WAIT, answer, answers, events, ok, polled, post, second, seconds};
use sente_core::{
    ConnectionEvent, Limits, PackedEvent, PackedSendError, Policy, Priority, SendError,
    SendOptions, Sent, packer,
};
use sente_tests::event;

#[test]
fn the_queue_between_two_polls_is_bounded_and_says_when_there_is_room() {
    let mut limits = Limits::default();
    limits.max_send_messages = 4;
    let (mut session, poll) = polled(|config| config.limits(limits));
    session.handle_aborted(NOW, poll);
    for number in 0..4 {
        session
            .send(NOW, event(&format!("[:a/b {number}]")))
            .unwrap();
    }
    let full = session.send(NOW, event("[:a/b 4]"));
    assert!(
        matches!(full, Err(SendError::Full { messages: 4, .. })),
        "{full:?}"
    );
    let told = events(&mut session);
    assert!(
        matches!(told[..], [ConnectionEvent::HighWater(_)]),
        "{told:?}"
    );
    let poll = session.handle(NOW, WAIT);
    assert!(answer(&mut session, poll).1.contains("[:a/b 3]"));
    let told = events(&mut session);
    assert!(matches!(told[..], [ConnectionEvent::SendReady]), "{told:?}");
    assert!(events(&mut session).is_empty());
}

#[test]
fn policies_drop_and_replace_and_every_loss_is_told() {
    let mut limits = Limits::default();
    limits.max_send_messages = 2;
    limits.send_high_water = 100;
    let (mut session, poll) = polled(|config| config.limits(limits).keep_dropped(1024));
    session.handle_aborted(NOW, poll);
    let with = |policy| SendOptions::new().policy(policy);
    let mut send = |said: &str, policy| session.send_with(NOW, event(said), with(policy)).unwrap();
    assert_eq!(send("[:a/old 1]", Policy::DropOldest), Sent::Queued);
    assert_eq!(send("[:a/at 1]", Policy::Latest("at".into())), Sent::Queued);
    assert_eq!(
        send("[:a/at 2]", Policy::Latest("at".into())),
        Sent::Replaced
    );
    assert_eq!(send("[:a/new 1]", Policy::DropOldest), Sent::Queued);
    assert_eq!(send("[:a/now 1]", Policy::Volatile), Sent::Dropped);
    let told = events(&mut session);
    let [ConnectionEvent::Dropped(dropped)] = &told[..] else {
        panic!("{told:?}");
    };
    let lost: Vec<&[u8]> = dropped
        .events
        .iter()
        .map(|event| &event.bytes()[..])
        .collect();
    assert_eq!(lost, [&b"[:a/at 1]"[..], b"[:a/old 1]", b"[:a/now 1]"]);
    let stats = session.stats();
    assert_eq!(
        (stats.dropped_oldest, stats.dropped_volatile, stats.replaced),
        (1, 1, 1)
    );
    let poll = session.handle(NOW, WAIT);
    assert_eq!(
        answer(&mut session, poll),
        ok("[[[:a/at 2] [:a/new 1]] nil]")
    );
    // With a poll that waits and nothing else queued it does not have to wait.
    let poll = session.handle(NOW, WAIT);
    let sent = session.send_with(NOW, event("[:a/now 2]"), with(Policy::Volatile));
    assert_eq!(sent.unwrap(), Sent::Queued);
    assert_eq!(answer(&mut session, poll), ok("[[[:a/now 2]] nil]"));
}

#[test]
fn low_events_go_behind_normal_ones_of_the_same_answer() {
    let (mut session, poll) = polled(|config| config);
    let low = SendOptions::new().priority(Priority::Low);
    session.send_with(NOW, event("[:a/low]"), low).unwrap();
    session.send(NOW, event("[:a/normal]")).unwrap();
    assert_eq!(
        answer(&mut session, poll),
        ok("[[[:a/normal] [:a/low]] nil]")
    );
}

#[test]
fn an_answer_is_no_larger_than_a_batch_may_be() {
    let mut limits = Limits::default();
    limits.max_batch_bytes = 60;
    limits.max_batch_events = 3;
    let (mut session, mut poll) = polled(|config| config.limits(limits));
    session.handle_aborted(NOW, poll);
    for number in 0..4 {
        session
            .send(NOW, event(&format!("[:a/b {number}]")))
            .unwrap();
    }
    session
        .send(
            NOW,
            event("[:a/long \"0123456789012345678901234567890123456789\"]"),
        )
        .unwrap();
    session.send(NOW, event("[:a/b 5]")).unwrap();
    let mut said = Vec::new();
    for _ in 0..4 {
        poll = session.handle(NOW, WAIT);
        said.extend(answers(&mut session).into_iter().map(|(_, _, body)| body));
    }
    assert_eq!(
        said,
        [
            "[[[:a/b 0] [:a/b 1] [:a/b 2]] nil]",
            "[[[:a/b 3]] nil]",
            "[[[:a/long \"0123456789012345678901234567890123456789\"]] nil]",
            "[[[:a/b 5]] nil]"
        ]
    );
    session.handle_aborted(NOW, poll);
}

#[test]
fn an_event_that_fits_no_frame_is_given_back() {
    let mut limits = Limits::default();
    limits.max_frame_bytes = 40;
    let (mut session, _) = polled(|config| config.limits(limits));
    let large = session.send(
        NOW,
        event("[:a/b \"0123456789012345678901234567890123456789\"]"),
    );
    assert!(
        matches!(large, Err(SendError::TooLarge { limit: 40, .. })),
        "{large:?}"
    );
    let packed = PackedEvent::pack(&event("[:a/b 1]"), &packer::Edn).unwrap();
    session.send_packed(NOW, &packed).unwrap();
    assert_eq!(answers(&mut session)[0].2, "[[[:a/b 1]] nil]");
    session.close(NOW);
    assert_eq!(
        session.send_packed(NOW, &packed),
        Err(PackedSendError::NotOpen)
    );
}

#[test]
fn a_volatile_event_does_not_queue_behind_others() {
    let window = Some(second(1));
    let (mut session, _) = polled(|config| config.flush_window(window));
    let volatile = || SendOptions::new().policy(Policy::Volatile);
    // A flush window does not count as waiting, what is queued in it does.
    let first = session.send_with(NOW, event("[:a/now 1]"), volatile());
    assert_eq!(first.unwrap(), Sent::Queued);
    let second = session.send_with(NOW, event("[:a/now 2]"), volatile());
    assert_eq!(second.unwrap(), Sent::Dropped);
    let told = events(&mut session);
    assert!(
        matches!(told[..], [ConnectionEvent::Dropped(_)]),
        "{told:?}"
    );
}

#[test]
fn room_is_told_only_at_low_water() {
    let mut limits = Limits::default();
    limits.max_send_messages = 4;
    limits.max_batch_events = 1;
    let (mut session, poll) = polled(|config| config.limits(limits));
    session.handle_aborted(NOW, poll);
    for number in 0..4 {
        let said = format!("[:a/b {number}]");
        session.send(NOW, event(&said)).unwrap();
    }
    assert!(session.send(NOW, event("[:a/b 4]")).is_err());
    let told = events(&mut session);
    assert!(
        matches!(told[..], [ConnectionEvent::HighWater(_)]),
        "{told:?}"
    );
    // Three are left of four, then two: that is the half at which it is told.
    let poll = session.handle(NOW, WAIT);
    assert_eq!(answer(&mut session, poll), ok("[[[:a/b 0]] nil]"));
    assert!(events(&mut session).is_empty());
    let poll = session.handle(NOW, WAIT);
    assert_eq!(answer(&mut session, poll), ok("[[[:a/b 1]] nil]"));
    let told = events(&mut session);
    assert!(matches!(told[..], [ConnectionEvent::SendReady]), "{told:?}");
}

#[test]
fn an_event_that_the_queue_never_has_room_for_is_too_large() {
    let mut limits = Limits::default();
    limits.max_send_bytes = 20;
    let (mut session, poll) = polled(|config| config.limits(limits));
    let large = session.send(NOW, event("[:a/b \"0123456789012345\"]"));
    assert!(
        matches!(large, Err(SendError::TooLarge { limit: 20, .. })),
        "{large:?}"
    );
    assert!(answers(&mut session).is_empty());
    session.send(NOW, event("[:a/b 1]")).unwrap();
    assert_eq!(answer(&mut session, poll), ok("[[[:a/b 1]] nil]"));
}

#[test]
fn whoever_waits_for_room_hears_of_it_while_draining_too() {
    let mut limits = Limits::default();
    limits.max_send_messages = 1;
    limits.send_high_water = 100;
    let (mut session, poll) = polled(|config| config.limits(limits));
    session.handle_aborted(NOW, poll);
    session.handle(NOW, post("[[:a/ask] :ajax]"));
    session.send(NOW, event("[:a/b 1]")).unwrap();
    assert!(session.send(NOW, event("[:a/b 2]")).is_err());
    session.drain(NOW, seconds(9));
    events(&mut session);
    session.handle(NOW, WAIT);
    assert_eq!(answers(&mut session).len(), 1);
    let told = events(&mut session);
    assert!(matches!(told[..], [ConnectionEvent::SendReady]), "{told:?}");
}

#[test]
fn an_event_that_a_stock_reader_cannot_take_has_an_answer_of_its_own() {
    let (mut session, poll) = polled(|config| config);
    session.handle_aborted(NOW, poll);
    for said in ["[:a/b 1]", "[:a/b 2]", "[:a/b #my/tag 3]", "[:a/b 4]"] {
        session.send(NOW, event(said)).unwrap();
    }
    let mut heard = || {
        let poll = session.handle(NOW, WAIT);
        answer(&mut session, poll)
    };
    assert_eq!(heard(), ok("[[[:a/b 1] [:a/b 2]] nil]"));
    assert_eq!(heard(), ok("[[[:a/b #my/tag 3]] nil]"));
    assert_eq!(heard(), ok("[[[:a/b 4]] nil]"));
}
