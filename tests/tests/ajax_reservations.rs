//! Ajax, both sides: room that is reserved, flushes that are waited for, and what cannot be asked.
#![allow(missing_docs)]

mod ajax_support;

use ajax_support::link::{answer as respond, events as told_of_link, opened, posted, sends};
use ajax_support::{
    NOW, WAIT, answer, answers, events, greeted, ok, polled, post, second, seconds,
};
use sente_core::ajax::AjaxSession;
use sente_core::{
    Connection, ConnectionEvent, Limits, Policy, ReserveError, SendError, SendHalf, SendOptions,
    Sent, Ticket,
};
use sente_tests::event;

/// The answers that somebody waits for.
fn told(session: &mut AjaxSession) -> Vec<ConnectionEvent> {
    std::iter::from_fn(|| session.poll_answer()).collect()
}

fn room_for(messages: usize) -> Limits {
    let mut limits = Limits::default();
    limits.max_send_messages = messages;
    limits.send_high_water = 100;
    limits
}

fn granted(told: &[ConnectionEvent]) -> Vec<Ticket> {
    let ticket = |event: &ConnectionEvent| match event {
        ConnectionEvent::Granted(ticket) => *ticket,
        other => panic!("{other:?}"),
    };
    told.iter().map(ticket).collect()
}

#[test]
fn who_waits_for_room_gets_it_in_order_when_a_poll_takes_what_is_queued() {
    let (mut session, poll) = polled(|config| config.limits(room_for(1)));
    session.handle_aborted(NOW, poll);
    session.send(NOW, event("[:a/b 1]")).unwrap();
    let first = session.reserve(NOW, 8, None).unwrap();
    let second = session.reserve(NOW, 8, None).unwrap();
    assert!(told(&mut session).is_empty());
    assert_eq!(session.send_capacity().waiting_reservations, 2);

    let poll = session.handle(NOW, WAIT);
    assert_eq!(answer(&mut session, poll), ok("[[[:a/b 1]] nil]"));
    assert_eq!(granted(&told(&mut session)), [first]);
    // What is reserved is nobody else's.
    let refused = session.send(NOW, event("[:a/b 9]"));
    assert!(
        matches!(refused, Err(SendError::Full { .. })),
        "{refused:?}"
    );
    let early = session.send_reserved(NOW, second, event("[:a/b 3]"));
    assert!(
        matches!(early, Err(SendError::NoReservation(_))),
        "{early:?}"
    );

    session
        .send_reserved(NOW, first, event("[:a/b 2]"))
        .unwrap();
    let poll = session.handle(NOW, WAIT);
    assert_eq!(answer(&mut session, poll), ok("[[[:a/b 2]] nil]"));
    assert_eq!(granted(&told(&mut session)), [second]);
    assert!(session.release(NOW, second));
    assert!(!session.release(NOW, second));
    assert!(matches!(
        told(&mut session)[..],
        [ConnectionEvent::SendReady]
    ));
}

#[test]
fn a_reservation_ends_at_its_deadline_and_the_next_in_line_may_fit() {
    let mut limits = room_for(10);
    limits.max_send_bytes = 100;
    let (mut session, poll) = polled(|config| config.limits(limits));
    session.handle_aborted(NOW, poll);
    session.send(NOW, event("[:a/b 1]")).unwrap();
    let large = session.reserve(NOW, 100, Some(seconds(2))).unwrap();
    let small = session.reserve(NOW, 10, None).unwrap();
    assert_eq!(session.poll_timeout(), Some(seconds(2)));
    session.handle_timeout(seconds(2));
    let told = told(&mut session);
    assert!(
        matches!(&told[..], [ConnectionEvent::ReservationExpired(expired), ConnectionEvent::Granted(next)]
            if *expired == large && *next == small),
        "{told:?}"
    );
}

#[test]
fn room_that_never_is_or_for_too_many_is_refused_at_once() {
    let mut limits = room_for(10);
    limits.max_send_bytes = 100;
    limits.max_reservations = 1;
    let (mut session, _) = polled(|config| config.limits(limits.clone()));
    assert!(matches!(
        session.reserve(NOW, 101, None),
        Err(ReserveError::TooLarge {
            bytes: 101,
            limit: 100
        })
    ));
    session.reserve(NOW, 1, None).unwrap();
    assert!(matches!(
        session.reserve(NOW, 1, None),
        Err(ReserveError::TooMany { limit: 1 })
    ));
    // It is not open before its client polls or posts.
    let mut early = greeted(|config| config.limits(limits));
    assert!(matches!(
        early.reserve(NOW, 1, None),
        Err(ReserveError::NotOpen)
    ));
}

#[test]
fn reservations_fail_when_a_session_drains() {
    let (mut session, poll) = polled(|config| config.limits(room_for(1)));
    session.handle_aborted(NOW, poll);
    session.send(NOW, event("[:a/b 1]")).unwrap();
    let ticket = session.reserve(NOW, 8, None).unwrap();
    session.drain(NOW, seconds(3));
    let told = told(&mut session);
    assert!(
        matches!(&told[..], [ConnectionEvent::ReservationFailed(failed)] if *failed == ticket),
        "{told:?}"
    );
}

#[test]
fn a_reserved_event_replaces_the_one_of_its_key() {
    let (mut session, poll) = polled(|config| config.limits(room_for(2)));
    session.handle_aborted(NOW, poll);
    let latest = SendOptions::new().policy(Policy::Latest("k".into()));
    session
        .send_with(NOW, event("[:a/at 1]"), latest.clone())
        .unwrap();
    let ticket = session.reserve(NOW, 9, None).unwrap();
    let sent = session.send_reserved_with(NOW, ticket, event("[:a/at 2]"), latest);
    assert_eq!(sent.unwrap(), Sent::Replaced);
    assert_eq!(session.send_capacity().reserved_messages, 0);
    let poll = session.handle(NOW, WAIT);
    assert_eq!(answer(&mut session, poll), ok("[[[:a/at 2]] nil]"));
}

#[test]
fn a_flush_is_told_when_what_was_queued_before_it_has_left() {
    let (mut session, poll) = polled(|config| config);
    session.handle_aborted(NOW, poll);
    let nothing = session.flush(NOW);
    assert!(matches!(&told(&mut session)[..], [ConnectionEvent::Flushed(id)] if *id == nothing));
    session.send(NOW, event("[:a/b 1]")).unwrap();
    let one = session.flush(NOW);
    assert_eq!(session.flush(NOW), one);
    session.send(NOW, event("[:a/b 2]")).unwrap();
    assert!(told(&mut session).is_empty());
    let poll = session.handle(NOW, WAIT);
    assert_eq!(answer(&mut session, poll), ok("[[[:a/b 1] [:a/b 2]] nil]"));
    assert!(matches!(&told(&mut session)[..], [ConnectionEvent::Flushed(id)] if *id == one));
    // It comes back, and the next flush waits for it.
    session.handle_aborted(NOW, poll);
    let two = session.flush(NOW);
    assert!(told(&mut session).is_empty());
    session.close(NOW);
    assert!(matches!(&told(&mut session)[..], [ConnectionEvent::FlushFailed(id)] if *id == two));
    let late = session.flush(NOW);
    assert!(matches!(&told(&mut session)[..], [ConnectionEvent::FlushFailed(id)] if *id == late));
}

#[test]
fn a_flush_ends_the_window_in_which_events_are_gathered() {
    let (mut session, poll) = polled(|config| config.flush_window(Some(second(1))));
    session.send(NOW, event("[:a/b 1]")).unwrap();
    assert!(answers(&mut session).is_empty());
    session.flush(NOW);
    assert_eq!(answer(&mut session, poll), ok("[[[:a/b 1]] nil]"));
}

#[test]
fn a_client_is_not_called_over_ajax_and_says_so() {
    let mut early = greeted(|config| config);
    let call = SendHalf::call(&mut early, NOW, event("[:a/b]"), second(1));
    assert!(matches!(call, Err(SendError::NotOpen(_))), "{call:?}");
    let (mut session, _) = polled(|config| config);
    let call = SendHalf::call(&mut session, NOW, event("[:a/b]"), second(1));
    let Err(SendError::CallsUnsupported(back)) = call else {
        panic!("{call:?}");
    };
    assert_eq!(back.id.as_str(), "a/b");
    assert_eq!(session.stats().sends_refused, 1);
}

#[test]
fn posts_wait_where_the_budget_allows_no_more() {
    let mut session = greeted(|config| config);
    session.set_recv_allowance(NOW, 10);
    let first = session.handle(NOW, post("[[:a/b \"0123456789\"] nil]"));
    assert_eq!(answer(&mut session, first).0, 200);
    assert!(!session.wants_post());
    assert_eq!(session.recv_capacity().max_bytes, 10);
    let second = session.handle(NOW, post("[[:a/b 1] nil]"));
    assert_eq!(answer(&mut session, second).0, 503);
    assert_eq!(events(&mut session).len(), 2);
    assert!(session.wants_post());
}

#[test]
fn a_clients_flush_waits_for_the_answer_to_its_posts() {
    let (mut client, _) = opened(|config| config);
    client.send(NOW, event("[:a/b 1]")).unwrap();
    let flush = client.flush(NOW);
    assert!(client.poll_answer().is_none());
    let post = sends(&mut client).remove(0);
    assert_eq!(posted(&post), "[[:a/b 1] nil]");
    assert!(client.poll_answer().is_none());
    respond(&mut client, NOW, post.exchange, "[:chsk/dummy-cb-200 nil]");
    assert!(matches!(client.poll_answer(), Some(ConnectionEvent::Flushed(id)) if id == flush));
}

#[test]
fn a_clients_call_settles_ahead_of_what_waits_for_the_application() {
    let (mut client, poll) = opened(|config| config);
    let call = client.call(NOW, event("[:a/ask]"), second(5)).unwrap();
    let post = sends(&mut client).remove(0);
    respond(&mut client, NOW, poll, "[[[:a/b 1]] nil]");
    respond(&mut client, NOW, post.exchange, "[7 nil]");
    assert!(matches!(
        client.poll_answer(),
        Some(ConnectionEvent::Settled { call: settled, result: Ok(_) }) if settled == call
    ));
    assert!(client.poll_answer().is_none());
    let told = told_of_link(&mut client);
    assert!(
        matches!(told[..], [ConnectionEvent::Message(_)]),
        "{told:?}"
    );
}

/// One function for every kind of link.
fn capacity(half: &impl SendHalf) -> usize {
    half.send_capacity().max_messages
}

#[test]
fn both_sides_of_ajax_serve_code_that_serves_connections() {
    fn is_half<M: SendHalf>() {}
    is_half::<Connection>();
    let (session, _) = polled(|config| config.limits(room_for(3)));
    let (client, _) = opened(|config| config.limits(room_for(4)));
    assert_eq!((capacity(&session), capacity(&client)), (3, 4));
}
