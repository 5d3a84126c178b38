//! The server's side of Ajax: polls, what they are told, and how a session ends, in virtual time.
#![allow(missing_docs)]

mod ajax_support;

use ajax_support::{
    HANDSHAKE, NOW, TIMEOUT, WAIT, advance, answer, answers, events, greeted, messages, millis, ok,
    polled, post, second, seconds,
};
use sente_core::ajax::{AjaxConfig, AjaxSession};
use sente_core::{
    Accept, CloseReason, ConnectionEvent, Dialect, Instant, Limits, ReplyError, SendError,
    SendOptions, State,
};
use sente_tests::{edn, event, text};

#[test]
fn the_first_poll_is_answered_with_the_handshake_whatever_it_asks() {
    for first in [HANDSHAKE, WAIT] {
        let mut accept = Accept::new(7);
        accept.data = edn("{:v 1}");
        let config = AjaxConfig::builder().build().unwrap();
        let mut session = AjaxSession::new(config, accept, [1; 32], NOW);
        let exchange = session.handle(NOW, first);
        let said = "[[:chsk/handshake [7 nil {:v 1}]] nil]";
        assert_eq!(answer(&mut session, exchange), ok(said));
        assert!(events(&mut session).is_empty());
        assert_eq!(session.state(), State::Accepting);
    }
}

#[test]
fn a_client_may_ask_for_the_handshake_again_and_is_told_the_terms_of_now() {
    let mut session = greeted(|config| config);
    let mut accept = Accept::new("bob");
    accept.data = edn("[2]");
    session.accept(NOW, accept);
    let exchange = session.handle(NOW, HANDSHAKE);
    let said = "[[:chsk/handshake [\"bob\" nil [2]]] nil]";
    assert_eq!(answer(&mut session, exchange), ok(said));
}

#[test]
fn the_session_is_open_with_the_first_poll_that_waits() {
    let mut session = greeted(|config| config);
    assert!(matches!(
        session.send(NOW, event("[:a/b]")),
        Err(SendError::NotOpen(_))
    ));
    session.handle(NOW, WAIT);
    let told = events(&mut session);
    let [ConnectionEvent::Opened(opened)] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(
        opened.uid.as_ref().unwrap().to_value().unwrap(),
        edn("\"ada\"")
    );
    assert_eq!((opened.first, opened.dialect), (true, Dialect::Sente));
    assert_eq!(session.state(), State::Open);
    assert!(answers(&mut session).is_empty());
}

#[test]
fn a_message_before_any_poll_opens_the_session_first() {
    let config = AjaxConfig::builder().build().unwrap();
    let mut session = AjaxSession::new(config, Accept::new("ada"), [1; 32], NOW);
    session.handle(NOW, post("[[:a/b 1] nil]"));
    let told = events(&mut session);
    let [
        ConnectionEvent::Opened(_),
        ConnectionEvent::Message(message),
    ] = &told[..]
    else {
        panic!("{told:?}");
    };
    assert_eq!(text(message), "[:a/b 1]");
    // The client has heard no handshake, so its poll is answered with one.
    answers(&mut session);
    let poll = session.handle(NOW, WAIT);
    assert!(
        answer(&mut session, poll)
            .1
            .starts_with("[[:chsk/handshake")
    );
}

#[test]
fn what_is_sent_before_the_driver_asks_leaves_together() {
    let (mut session, poll) = polled(|config| config);
    for number in 0..3 {
        session
            .send(NOW, event(&format!("[:test/pushed {number}]")))
            .unwrap();
    }
    session.send(NOW, event("[:test/bare]")).unwrap();
    let said = "[[[:test/pushed 0] [:test/pushed 1] [:test/pushed 2] [:test/bare]] nil]";
    assert_eq!(answer(&mut session, poll), ok(said));
}

#[test]
fn what_is_sent_between_two_polls_waits_for_the_next_in_order() {
    let (mut session, first) = polled(|config| config);
    session.send(NOW, event("[:a/b 1]")).unwrap();
    assert_eq!(answer(&mut session, first), ok("[[[:a/b 1]] nil]"));
    session.send(millis(10), event("[:a/b 2]")).unwrap();
    session.send(millis(900), event("[:a/b 3]")).unwrap();
    assert!(answers(&mut session).is_empty());
    let second = session.handle(seconds(4), WAIT);
    assert_eq!(
        answer(&mut session, second),
        ok("[[[:a/b 2] [:a/b 3]] nil]")
    );
}

#[test]
fn a_flush_window_gathers_from_the_first_event_on() {
    let window = AjaxConfig::SENTE_FLUSH_WINDOW;
    let (mut session, poll) = polled(|config| config.flush_window(Some(window)));
    session.send(millis(0), event("[:a/b 1]")).unwrap();
    assert!(answers(&mut session).is_empty());
    assert_eq!(session.poll_timeout(), Some(millis(100)));
    session.send(millis(90), event("[:a/b 2]")).unwrap();
    let said = advance(&mut session, millis(200));
    assert_eq!(said, [(100, poll, "[[[:a/b 1] [:a/b 2]] nil]".to_owned())]);
}

#[test]
fn a_flush_window_ends_with_a_flush_a_full_batch_and_the_end_of_the_poll() {
    let window = second(10);
    let (mut session, poll) = polled(|config| config.flush_window(Some(window)));
    session.send(NOW, event("[:a/b 1]")).unwrap();
    let flush = SendOptions::new().flush(true);
    session.send_with(NOW, event("[:a/b 2]"), flush).unwrap();
    assert_eq!(answer(&mut session, poll), ok("[[[:a/b 1] [:a/b 2]] nil]"));

    let mut limits = Limits::default();
    limits.max_batch_events = 2;
    let (mut session, poll) = polled(|config| config.limits(limits).flush_window(Some(window)));
    session.send(NOW, event("[:a/b 1]")).unwrap();
    assert!(answers(&mut session).is_empty());
    session.send(NOW, event("[:a/b 2]")).unwrap();
    assert_eq!(answer(&mut session, poll), ok("[[[:a/b 1] [:a/b 2]] nil]"));

    let (mut session, poll) = polled(|config| config.flush_window(Some(window)));
    session.send(seconds(15), event("[:a/b 1]")).unwrap();
    let said = advance(&mut session, seconds(21));
    assert_eq!(said, [(20_000, poll, "[[[:a/b 1]] nil]".to_owned())]);
}

#[test]
fn a_poll_with_nothing_to_tell_is_answered_after_twenty_seconds() {
    let (mut session, poll) = polled(|config| config);
    let said = advance(&mut session, seconds(24));
    assert_eq!(said, [(20_000, poll, TIMEOUT.to_owned())]);
    let (mut session, poll) = polled(|config| config.poll_timeout(Some(millis(1_500) - NOW)));
    let said = advance(&mut session, seconds(2));
    assert_eq!(said, [(1_500, poll, TIMEOUT.to_owned())]);
    let (session, _) = polled(|config| config.poll_timeout(None));
    assert_eq!(session.poll_timeout(), None);
}

#[test]
fn a_poll_displaces_the_one_before_and_that_is_answered_at_once() {
    let (mut session, first) = polled(|config| config);
    let second = session.handle(seconds(1), WAIT);
    assert_eq!(answer(&mut session, first), ok(TIMEOUT));
    session.send(seconds(1), event("[:a/b 1]")).unwrap();
    assert_eq!(answer(&mut session, second), ok("[[[:a/b 1]] nil]"));
}

#[test]
fn a_handshake_displaces_a_poll_too_so_that_nothing_is_told_to_nobody() {
    let (mut session, first) = polled(|config| config);
    let handshake = session.handle(seconds(1), HANDSHAKE);
    session.send(seconds(1), event("[:a/b 1]")).unwrap();
    let said = answers(&mut session);
    assert_eq!((said[0].0, said[0].2.as_str()), (first, TIMEOUT));
    assert_eq!(said[1].0, handshake);
    assert_eq!(said.len(), 2);
    let next = session.handle(seconds(1), WAIT);
    assert_eq!(answer(&mut session, next), ok("[[[:a/b 1]] nil]"));
}

#[test]
fn two_pages_with_one_client_id_do_not_answer_each_other_without_a_pause() {
    // Each page polls again the moment its poll is answered.
    let (mut session, _) = polled(|config| config);
    let mut now = NOW;
    let mut answered = 0;
    session.handle(now, WAIT);
    while now < seconds(60) {
        let said = answers(&mut session);
        if said.is_empty() {
            now = session.poll_timeout().unwrap();
            session.handle_timeout(now);
            continue;
        }
        answered += said.len();
        for _ in said {
            session.handle(now, WAIT);
        }
    }
    assert!(
        (50..=130).contains(&answered),
        "{answered} answers in a minute"
    );
    assert!(session.pending_requests() <= 3);
}

#[test]
fn a_poll_that_was_given_up_is_not_answered_and_what_is_sent_waits() {
    let (mut session, poll) = polled(|config| config);
    session.handle_aborted(seconds(1), poll);
    session.send(seconds(1), event("[:a/b 1]")).unwrap();
    assert!(answers(&mut session).is_empty());
    let next = session.handle(seconds(2), WAIT);
    assert_eq!(answer(&mut session, next), ok("[[[:a/b 1]] nil]"));
}

#[test]
fn an_answer_that_could_not_be_written_is_told_again_before_what_came_later() {
    let (mut session, poll) = polled(|config| config);
    session.send(NOW, event("[:a/b 1]")).unwrap();
    session.send(NOW, event("[:a/b 2]")).unwrap();
    assert_eq!(answer(&mut session, poll), ok("[[[:a/b 1] [:a/b 2]] nil]"));
    session.send(NOW, event("[:a/b 3]")).unwrap();
    session.handle_aborted(millis(5), poll);
    let next = session.handle(millis(10), WAIT);
    let said = "[[[:a/b 1] [:a/b 2] [:a/b 3]] nil]";
    assert_eq!(answer(&mut session, next), ok(said));
    // A client that polls again has had its answer: it is not told twice.
    let last = session.handle(millis(20), WAIT);
    session.handle_aborted(millis(30), next);
    assert!(answers(&mut session).is_empty());
    session.handle_aborted(millis(30), last);
    let again = session.handle(millis(40), WAIT);
    assert!(answers(&mut session).is_empty());
    session.handle_aborted(millis(50), again);
}

#[test]
fn an_answer_that_was_not_taken_when_its_client_left_is_told_again() {
    let (mut session, poll) = polled(|config| config);
    session.send(NOW, event("[:a/b 1]")).unwrap();
    let respond = session.poll_respond().unwrap();
    assert_eq!(respond.exchange, poll);
    session.handle_aborted(NOW, poll);
    session.handle_aborted(NOW, poll);
    let next = session.handle(NOW, WAIT);
    assert_eq!(answer(&mut session, next), ok("[[[:a/b 1]] nil]"));
}

#[test]
fn a_client_that_stays_away_for_the_grace_is_gone_and_what_waited_comes_back() {
    let (mut session, poll) = polled(|config| config);
    session.handle_aborted(seconds(1), poll);
    session.send(seconds(1), event("[:a/b 1]")).unwrap();
    session.send(seconds(2), event("[:a/b 2]")).unwrap();
    assert_eq!(session.poll_timeout(), Some(seconds(6)));
    session.handle_timeout(millis(5_999));
    assert_eq!(session.state(), State::Open);
    session.handle_timeout(seconds(6));
    let told = events(&mut session);
    let [
        ConnectionEvent::Undelivered(lost),
        ConnectionEvent::Closed(CloseReason::Eof),
    ] = &told[..]
    else {
        panic!("{told:?}");
    };
    let lost: Vec<&[u8]> = lost.iter().map(|event| &event.bytes()[..]).collect();
    assert_eq!(lost, [&b"[:a/b 1]"[..], b"[:a/b 2]"]);
    assert!(session.is_finished() && session.poll_timeout().is_none());
    assert_eq!(session.close_reason(), Some(&CloseReason::Eof));
    assert!(matches!(
        session.send(seconds(7), event("[:a/b]")),
        Err(SendError::NotOpen(_))
    ));
}

#[test]
fn a_client_with_a_request_open_is_there_however_long_that_takes() {
    let (mut session, poll) = polled(|config| config);
    session.handle(seconds(19), post("[[:a/b 1] :ajax]"));
    let said = advance(&mut session, seconds(43));
    let said: Vec<_> = said
        .iter()
        .map(|(at, _, body)| (*at, body.as_str()))
        .collect();
    assert_eq!(said, [(20_000, TIMEOUT), (39_000, TIMEOUT)]);
    assert_eq!(
        (session.state(), session.pending_requests()),
        (State::Open, 0)
    );
    session.handle_aborted(seconds(43), poll);
    advance(&mut session, seconds(44));
    assert_eq!(session.state(), State::Closed);
}

#[test]
fn a_post_begins_the_grace_anew() {
    let (mut session, poll) = polled(|config| config);
    session.handle_aborted(NOW, poll);
    session.handle(seconds(4), post("[[:a/b 1] nil]"));
    advance(&mut session, seconds(8));
    assert_eq!(session.state(), State::Open);
    advance(&mut session, seconds(9));
    assert_eq!(session.state(), State::Closed);
}

#[test]
fn a_session_that_nobody_opened_closes_all_the_same() {
    let mut session = greeted(|config| config.grace(second(2)));
    advance(&mut session, seconds(2));
    assert!(session.is_finished());
    // Whoever keeps an account of sessions has to hear of every end.
    let told = events(&mut session);
    assert!(
        matches!(told[..], [ConnectionEvent::Closed(CloseReason::Eof)]),
        "{told:?}"
    );
}

#[test]
fn closing_answers_everybody_who_waits() {
    let (mut session, poll) = polled(|config| config);
    let call = session.handle(NOW, post("[[:a/b 1] :ajax]"));
    let token = messages(&mut session).pop().unwrap().reply.unwrap();
    session.send(NOW, event("[:a/b 1]")).unwrap();
    session.close(NOW);
    let said = answers(&mut session);
    assert_eq!((said[0].0, said[0].1), (poll, 410));
    assert_eq!(
        (said[1].0, said[1].2.as_str()),
        (call, "[:chsk/closed nil]")
    );
    let told = events(&mut session);
    assert!(
        matches!(
            told[..],
            [
                ConnectionEvent::Undelivered(_),
                ConnectionEvent::Closed(CloseReason::Requested)
            ]
        ),
        "{told:?}"
    );
    assert!(matches!(
        session.reply(NOW, token, 1),
        Err(ReplyError::NotOpen(_))
    ));
    // What comes now is told to begin anew.
    let late = session.handle(NOW, WAIT);
    assert_eq!(answer(&mut session, late).0, 410);
    session.close(NOW);
    assert!(events(&mut session).is_empty() && session.is_finished());
}

#[test]
fn a_drain_tells_what_is_queued_and_waits_for_replies() {
    let (mut session, poll) = polled(|config| config.flush_window(Some(second(9))));
    session.handle(NOW, post("[[:a/b 1] :ajax]"));
    let token = messages(&mut session).pop().unwrap().reply.unwrap();
    session.send(NOW, event("[:a/b 1]")).unwrap();
    session.drain(NOW, seconds(30));
    assert_eq!(session.state(), State::Draining);
    assert!(matches!(
        session.send(NOW, event("[:a/b 2]")),
        Err(SendError::NotOpen(_))
    ));
    assert_eq!(answer(&mut session, poll), ok("[[[:a/b 1]] nil]"));
    assert_eq!(session.state(), State::Draining);
    let next = session.handle(NOW, WAIT);
    assert!(answers(&mut session).is_empty());
    session.reply(NOW, token, 1).unwrap();
    let said = answers(&mut session);
    assert_eq!(said.len(), 2);
    assert!(
        said.iter()
            .any(|(exchange, status, _)| (*exchange, *status) == (next, 410))
    );
    assert_eq!(session.state(), State::Closed);

    // At the deadline it ends in any case.
    let (mut session, poll) = polled(|config| config);
    session.handle_aborted(NOW, poll);
    session.send(NOW, event("[:a/b 1]")).unwrap();
    session.drain(NOW, seconds(2));
    advance(&mut session, seconds(2));
    let told = events(&mut session);
    assert!(
        matches!(told[0], ConnectionEvent::Undelivered(_)),
        "{told:?}"
    );
}

#[test]
fn time_never_runs_backwards() {
    let (mut session, poll) = polled(|config| config);
    session.handle_timeout(seconds(19));
    session.handle_timeout(Instant::EPOCH);
    let said = advance(&mut session, seconds(20));
    assert_eq!(said, [(20_000, poll, TIMEOUT.to_owned())]);
}
