//! The server's side of Ajax: posts and their answers, in virtual time.
#![allow(missing_docs)]

mod ajax_support;

use ajax_support::{
    HANDSHAKE, NOW, RECEIVED, TIMEOUT, WAIT, advance, answer, answers, events, greeted, messages,
    ok, polled, post, second, seconds,
};
use bytes::Bytes;
use sente_core::admission::Request;
use sente_core::ajax::{AjaxConfig, AjaxConfigError, AjaxRequest, AjaxSession, BadMethod, Poll};
use sente_core::framing::{Frame, Kind};
use sente_core::{Accept, BadReason, ConnectionEvent, Extensions, Limits, ReplyError, State};
use sente_tests::{edn, event, text};

#[test]
fn a_post_without_a_callback_is_answered_at_once_and_one_with_it_by_the_application() {
    let mut session = greeted(|config| config);
    let plain = session.handle(NOW, post("[[:a/b {:x 1}] nil]"));
    assert_eq!(answer(&mut session, plain), ok(RECEIVED));
    for callback in [":ajax", "true", "\"abc\"", "0"] {
        let call = session.handle(NOW, post(&format!("[[:a/b 1] {callback}]")));
        assert!(answers(&mut session).is_empty());
        let message = messages(&mut session).pop().unwrap();
        session
            .reply(NOW, message.reply.unwrap(), edn("{:y #{2}}"))
            .unwrap();
        assert_eq!(answer(&mut session, call), ok("[{:y #{2}} nil]"));
    }
    for callback in ["false", "nil"] {
        let plain = session.handle(NOW, post(&format!("[[:a/b 1] {callback}]")));
        assert_eq!(answer(&mut session, plain), ok(RECEIVED));
        assert!(messages(&mut session).pop().unwrap().reply.is_none());
    }
}

#[test]
fn replies_go_to_their_own_posts_in_any_order() {
    let mut session = greeted(|config| config);
    let calls = [1, 2, 3].map(|n| session.handle(NOW, post(&format!("[[:a/b {n}] :ajax]"))));
    let mut tokens = messages(&mut session);
    let mut said = Vec::new();
    for number in [3, 1, 2] {
        let at = tokens
            .iter()
            .position(|message| text(message) == format!("[:a/b {number}]"))
            .unwrap();
        let token = tokens.swap_remove(at).reply.unwrap();
        session.reply(NOW, token, number).unwrap();
        said.extend(answers(&mut session));
    }
    let expected = [
        (calls[2], "[3 nil]"),
        (calls[0], "[1 nil]"),
        (calls[1], "[2 nil]"),
    ];
    let said: Vec<_> = said
        .iter()
        .map(|(call, _, body)| (*call, body.as_str()))
        .collect();
    assert_eq!(said, expected);
}

#[test]
fn a_call_that_nobody_answers_times_out_and_a_late_reply_is_given_back() {
    let mut session = greeted(|config| config);
    let call = session.handle(NOW, post("[[:a/b 1] :ajax]"));
    let token = messages(&mut session).pop().unwrap().reply.unwrap();
    let said = advance(&mut session, seconds(21));
    assert_eq!(said, [(20_000, call, TIMEOUT.to_owned())]);
    let late = session.reply(seconds(21), token, 1);
    assert!(matches!(late, Err(ReplyError::NotOpen(_))), "{late:?}");
    assert!(answers(&mut session).is_empty());
}

#[test]
fn a_reply_to_a_post_that_was_given_up_is_given_back() {
    let mut session = greeted(|config| config);
    let call = session.handle(NOW, post("[[:a/b 1] :ajax]"));
    let token = messages(&mut session).pop().unwrap().reply.unwrap();
    session.handle_aborted(NOW, call);
    assert!(matches!(
        session.reply(NOW, token, 1),
        Err(ReplyError::NotOpen(_))
    ));
    assert!(answers(&mut session).is_empty());
}

#[test]
fn a_token_of_another_session_answers_nothing() {
    let mut session = greeted(|config| config);
    let config = AjaxConfig::builder().build().unwrap();
    let mut other = AjaxSession::new(config, Accept::new("bob"), [2; 32], NOW);
    let call = session.handle(NOW, post("[[:a/b 1] :ajax]"));
    other.handle(NOW, post("[[:a/b 1] :ajax]"));
    let token = messages(&mut other).pop().unwrap().reply.unwrap();
    let wrong = session.reply(NOW, token, 1);
    assert!(
        matches!(wrong, Err(ReplyError::WrongConnection(_))),
        "{wrong:?}"
    );
    let token = messages(&mut session).pop().unwrap().reply.unwrap();
    session.reply_error(NOW, token).unwrap();
    assert_eq!(answer(&mut session, call), ok("[:chsk/error nil]"));
}

#[test]
fn a_call_whose_answer_cannot_be_told_or_will_not_come_is_told_of_an_error() {
    let mut limits = Limits::default();
    limits.max_frame_bytes = 100;
    let mut session = greeted(|config| config.limits(limits));
    let call = session.handle(NOW, post("[[:a/b 1] :ajax]"));
    let token = messages(&mut session).pop().unwrap().reply.unwrap();
    let large = session.reply(NOW, token, "x".repeat(200).as_str());
    assert!(
        matches!(large, Err(ReplyError::TooLarge { limit: 100, .. })),
        "{large:?}"
    );
    assert_eq!(answer(&mut session, call), ok("[:chsk/error nil]"));
    let call = session.handle(NOW, post("[[:a/b 1] :ajax]"));
    let token = messages(&mut session).pop().unwrap().reply.unwrap();
    session.forget(token);
    assert_eq!(answer(&mut session, call), ok("[:chsk/error nil]"));
}

#[test]
fn a_ping_is_answered_and_a_pong_taken() {
    let mut session = greeted(|config| config);
    for (said, answered) in [
        ("[[:chsk/ws-ping] :ajax]", "[\"pong\" nil]"),
        ("[[:chsk/ws-ping] nil]", RECEIVED),
        ("[[:chsk/ws-pong] nil]", RECEIVED),
    ] {
        let exchange = session.handle(NOW, post(said));
        assert_eq!(answer(&mut session, exchange), ok(answered));
    }
    assert!(messages(&mut session).is_empty());
}

#[test]
fn what_is_no_event_is_told_to_the_application_which_may_answer() {
    let mut session = greeted(|config| config);
    let plain = session.handle(NOW, post("[[:plain 1] nil]"));
    assert_eq!(answer(&mut session, plain), ok(RECEIVED));
    let call = session.handle(NOW, post("[[:chsk/uidport-close \"ada\"] :ajax]"));
    let told = events(&mut session);
    let [
        ConnectionEvent::Opened(_),
        ConnectionEvent::BadEvent(plain),
        ConnectionEvent::BadEvent(reserved),
    ] = &told[..]
    else {
        panic!("{told:?}");
    };
    assert!(matches!(plain.reason, BadReason::NoNamespace(_)) && plain.reply.is_none());
    assert!(matches!(reserved.reason, BadReason::Reserved(_)));
    assert!(answers(&mut session).is_empty());
    let told = told.into_iter().last();
    let Some(ConnectionEvent::BadEvent(bad)) = told else {
        unreachable!()
    };
    session.reply(NOW, bad.reply.unwrap(), "no").unwrap();
    assert_eq!(answer(&mut session, call), ok("[\"no\" nil]"));
}

#[test]
fn a_post_that_cannot_be_read_is_answered_with_400_and_told() {
    let mut session = greeted(|config| config);
    for body in [
        "",
        "nil",
        "5",
        "[[:a/b 1",
        "{:a 1}",
        "+[[:a/b 1] nil]",
        "hello",
        "]",
    ] {
        let exchange = session.handle(NOW, post(body));
        let (status, told) = answer(&mut session, exchange);
        assert_eq!(status, 400, "{body}: {told}");
        assert!(!told.is_empty());
        assert!(
            matches!(events(&mut session)[..], [ConnectionEvent::BadEvent(_)]),
            "{body}"
        );
    }
    // None of them opened the session.
    assert_eq!(session.state(), State::Accepting);
}

#[test]
fn the_wrong_kind_of_body_is_named() {
    let mut session = greeted(|config| config);
    let binary = Frame::new(Kind::Binary, Bytes::from_static(b"[[:a/b 1] nil]"));
    let exchange = session.handle(NOW, AjaxRequest::Post(binary));
    let (status, told) = answer(&mut session, exchange);
    assert_eq!(status, 400);
    assert!(told.contains("packer"), "{told}");
}

#[test]
fn bad_posts_are_reported_at_a_rate_and_their_callers_answered_all_the_same() {
    let mut session = greeted(|config| config);
    session.handle(NOW, post("[[:a/b] nil]"));
    answers(&mut session);
    events(&mut session);
    for _ in 0..20 {
        session.handle(NOW, post("[[:plain 1] :ajax]"));
    }
    assert_eq!(events(&mut session).len(), 16);
    let told = answers(&mut session);
    assert_eq!(told.len(), 4);
    assert!(told.iter().all(|(_, _, body)| body == "[:chsk/error nil]"));
    advance(&mut session, seconds(2));
    let told = events(&mut session);
    assert!(
        matches!(told[..], [ConnectionEvent::BadEventsSuppressed(4)]),
        "{told:?}"
    );
}

#[test]
fn a_post_over_the_frame_limit_is_refused_with_413() {
    let mut limits = Limits::default();
    limits.max_frame_bytes = 100;
    let mut session = greeted(|config| config.limits(limits));
    let exchange = session.handle(NOW, post(&format!("[[:a/b {:?}] nil]", "x".repeat(100))));
    assert_eq!(answer(&mut session, exchange).0, 413);
    let told = events(&mut session);
    assert!(
        matches!(told[..], [ConnectionEvent::BadEvent(_)]),
        "{told:?}"
    );
}

#[test]
fn while_the_application_is_behind_posts_are_put_off() {
    let mut limits = Limits::default();
    limits.max_recv_messages = 2;
    let mut session = greeted(|config| config.limits(limits));
    for number in 0..2 {
        assert!(session.wants_post());
        session.handle(NOW, post(&format!("[[:a/b {number}] nil]")));
        answers(&mut session);
    }
    assert!(!session.wants_post());
    let exchange = session.handle(NOW, post("[[:a/b 2] :ajax]"));
    let respond = session.poll_respond().unwrap();
    assert_eq!((respond.exchange, respond.response.status), (exchange, 503));
    let headers = respond.response.headers();
    assert!(
        headers.contains(&("Retry-After", "1".to_owned())),
        "{headers:?}"
    );
    assert_eq!(messages(&mut session).len(), 2);
    assert!(session.wants_post());

    let mut limits = Limits::default();
    limits.max_recv_bytes = 20;
    let mut session = greeted(|config| config.limits(limits));
    session.handle(NOW, post(&format!("[[:a/b {:?}] nil]", "x".repeat(20))));
    assert!(!session.wants_post());
}

#[test]
fn only_so_many_requests_of_one_client_wait() {
    let mut session = greeted(|config| config.max_requests(3));
    for _ in 0..3 {
        session.handle(NOW, post("[[:a/b 1] :ajax]"));
    }
    assert!(answers(&mut session).is_empty());
    let fourth = session.handle(NOW, post("[[:a/b 1] :ajax]"));
    assert_eq!(answer(&mut session, fourth).0, 503);
    assert_eq!(session.pending_requests(), 3);
}

#[test]
fn a_batch_is_taken_only_from_a_client_that_was_granted_it() {
    let mut session = greeted(|config| config);
    let batch = "[[[:a/b 1] [:a/b 2] [:chsk/x] [:a/b 3]] nil]";
    let exchange = session.handle(NOW, post(batch));
    assert_eq!(answer(&mut session, exchange), ok(RECEIVED));
    assert_eq!(messages(&mut session).len(), 0);

    let mut accept = Accept::new("ada");
    accept.offered = Some(Extensions::ALL);
    session.accept(NOW, accept);
    let exchange = session.handle(NOW, HANDSHAKE);
    let said = "[[:chsk/handshake [\"ada\" nil nil {:ext {:batch true}}]] nil]";
    assert_eq!(answer(&mut session, exchange), ok(said));
    let exchange = session.handle(NOW, post(batch));
    assert_eq!(answer(&mut session, exchange), ok(RECEIVED));
    let told: Vec<String> = messages(&mut session).iter().map(text).collect();
    assert_eq!(told, ["[:a/b 1]", "[:a/b 2]", "[:a/b 3]"]);

    // A stock client of the same id is not held to it.
    session.accept(NOW, Accept::new("ada"));
    session.handle(NOW, HANDSHAKE);
    answers(&mut session);
    session.handle(NOW, post(batch));
    assert_eq!(messages(&mut session).len(), 0);
}

#[test]
fn a_batch_is_taken_whole_or_not_at_all() {
    let mut limits = Limits::default();
    limits.max_recv_messages = 3;
    let mut session = greeted(|config| config.limits(limits));
    let mut accept = Accept::new("ada");
    accept.offered = Some(Extensions::ALL);
    session.accept(NOW, accept);
    session.handle(NOW, HANDSHAKE);
    session.handle(NOW, post("[[:a/b 0] nil]"));
    answers(&mut session);
    let three = "[[[:a/b 1] [:a/b 2] [:a/b 3]] nil]";
    let busy = session.handle(NOW, post(three));
    assert_eq!(answer(&mut session, busy).0, 503);
    assert_eq!(messages(&mut session).len(), 1);
    let taken = session.handle(NOW, post(three));
    assert_eq!(answer(&mut session, taken).0, 200);
    assert_eq!(messages(&mut session).len(), 3);
    let never = session.handle(NOW, post("[[[:a/b] [:a/b] [:a/b] [:a/b]] nil]"));
    assert_eq!(answer(&mut session, never).0, 413);
}

#[test]
fn answers_say_what_they_are_and_that_nobody_may_keep_or_guess_them() {
    let (mut session, _) = polled(|config| config);
    session.send(NOW, event("[:a/b \"<script>\"]")).unwrap();
    let response = session.poll_respond().unwrap().response;
    assert_eq!(
        response.headers(),
        [
            ("Content-Type", "text/plain; charset=utf-8".to_owned()),
            ("Cache-Control", "no-store".to_owned()),
            ("X-Content-Type-Options", "nosniff".to_owned()),
        ]
    );
}

#[test]
fn a_request_is_a_poll_or_a_post_by_its_method_and_parameters() {
    let read = |request: Request| AjaxRequest::read(&request);
    let get = |target| read(Request::new("GET", target)).unwrap();
    assert_eq!(get("/chsk?client-id=a"), WAIT);
    assert_eq!(
        get("/chsk?client-id=a&handshake%3F=1"),
        AjaxRequest::Poll(Poll::Handshake)
    );
    assert_eq!(
        get("/chsk?client-id=a&handshake?=false"),
        AjaxRequest::Poll(Poll::Handshake)
    );

    let form = Request::new("POST", "/chsk")
        .with_header(
            "Content-Type",
            "application/x-www-form-urlencoded;charset=UTF-8",
        )
        .with_body(Bytes::from_static(
            b"udt=1&client-id=a&ppstr=%5B%5B%3Aa%2Fb%20%22%2B+%22%5D%20nil%5D",
        ));
    let said = Frame::new(Kind::Text, Bytes::from_static(b"[[:a/b \"+ \"] nil]"));
    assert_eq!(read(form), Ok(AjaxRequest::Post(said)));
    let binary = Request::new("POST", "/chsk?client-id=a&binary%3F=true")
        .with_body(Bytes::from_static(b"\x92\xc0\xc0"));
    let said = Frame::new(Kind::Binary, Bytes::from_static(b"\x92\xc0\xc0"));
    assert_eq!(read(binary), Ok(AjaxRequest::Post(said)));
    let empty = Frame::new(Kind::Text, Bytes::new());
    assert_eq!(
        read(Request::new("POST", "/chsk")),
        Ok(AjaxRequest::Post(empty))
    );

    assert_eq!(read(Request::new("PUT", "/chsk")), Err(BadMethod));
    let response = BadMethod.response();
    assert_eq!(response.status, 405);
    assert!(
        response
            .headers()
            .contains(&("Allow", "GET, POST".to_owned()))
    );
}

#[test]
fn a_configuration_that_clients_would_not_wait_for_is_an_error() {
    let build = |config: sente_core::ajax::AjaxConfigBuilder| config.build().map(|_| ());
    let builder = AjaxConfig::builder;
    assert_eq!(
        build(builder().poll_timeout(Some(second(60)))),
        Err(AjaxConfigError::HeldTooLong)
    );
    assert_eq!(
        build(builder().reply_timeout(Some(second(60)))),
        Err(AjaxConfigError::HeldTooLong)
    );
    let mut limits = Limits::default();
    limits.max_frame_bytes = 0;
    assert_eq!(
        build(builder().limits(limits)),
        Err(AjaxConfigError::NoFrames)
    );
    assert_eq!(
        build(builder().poll_timeout(None).reply_timeout(None)),
        Ok(())
    );
}
