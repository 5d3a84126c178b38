//! The client's side of Ajax: which requests a link makes, and what it makes of the answers.
#![allow(missing_docs)]

mod ajax_support;

use ajax_support::link::{
    HANDSHAKE, aborts, answer, asks, events, new, opened, opened_with, posted, sends, sent,
    settled, undelivered,
};
use ajax_support::{NOW, millis, second, seconds};
use sente_core::ajax::{
    AjaxClient, AjaxClientConfig, AjaxConfigError, AjaxRequest, Poll, Response,
};
use sente_core::{
    BadReason, CallError, CloseReason, ConnectionEvent, Extensions, Limits, Payload, Policy,
    SendError, SendOptions, Sent, State,
};
use sente_tests::{edn, event, text};

#[test]
fn a_link_asks_for_the_handshake_and_then_polls_without_a_pause() {
    let mut client = new(|config| {
        config
            .param("room", "7 b")
            .csrf_token("t0k")
            .header("X-A", "1")
    });
    let first = sent(&mut client);
    let request = &first.request;
    assert_eq!((request.method(), request.path()), ("GET", "/chsk"));
    assert_eq!(asks(request), AjaxRequest::Poll(Poll::Handshake));
    assert_eq!(request.client_id().as_deref(), Some("c1"));
    assert_eq!(request.param("room").as_deref(), Some("7 b"));
    assert_eq!(request.header("X-CSRF-Token"), Some("t0k"));
    assert_eq!(request.header("X-A"), Some("1"));
    assert!(!request.has_param("sente-ext"));
    answer(&mut client, NOW, first.exchange, HANDSHAKE);
    let told = events(&mut client);
    let [ConnectionEvent::Opened(terms)] = &told[..] else {
        panic!("{told:?}");
    };
    let read = |slot: &Option<Payload>| slot.as_ref().unwrap().to_value().unwrap();
    assert_eq!(
        (read(&terms.uid), read(&terms.data)),
        (edn("\"ada\""), edn("{:v 1}"))
    );
    let mut seen = vec![first.request.param("udt").unwrap().into_owned()];
    for body in ["[[[:a/b 1] [:a/c]] nil]", "[:chsk/timeout nil]", "[[] nil]"] {
        let poll = sent(&mut client);
        assert_eq!(asks(&poll.request), AjaxRequest::Poll(Poll::Wait));
        seen.push(poll.request.param("udt").unwrap().into_owned());
        answer(&mut client, NOW, poll.exchange, body);
    }
    let told: Vec<String> = events(&mut client)
        .iter()
        .map(|event| match event {
            ConnectionEvent::Message(message) => text(message),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, ["[:a/b 1]", "[:a/c]"]);
    // No two requests are alike, so no cache answers one.
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 4);
}

#[test]
fn nothing_is_sent_before_the_link_is_open() {
    let mut client = new(|config| config);
    assert!(matches!(
        client.send(NOW, event("[:a/b]")),
        Err(SendError::NotOpen(_))
    ));
    let call = client.call(NOW, event("[:a/b]"), second(1));
    assert!(matches!(call, Err(SendError::NotOpen(_))));
    assert_eq!(sends(&mut client).len(), 1);
}

#[test]
fn events_are_posted_one_after_the_other() {
    let (mut client, _) = opened(|config| config);
    for number in 0..3 {
        client
            .send(NOW, event(&format!("[:a/b {number}]")))
            .unwrap();
    }
    for number in 0..3 {
        let post = sent(&mut client);
        assert_eq!(posted(&post), format!("[[:a/b {number}] nil]"));
        assert!(sends(&mut client).is_empty());
        answer(&mut client, NOW, post.exchange, "[:chsk/dummy-cb-200 nil]");
    }
    assert!(sends(&mut client).is_empty());
    assert!(events(&mut client).is_empty());
}

#[test]
fn granted_batches_leave_in_one_post_that_ends_before_a_call() {
    let said = "[[:chsk/handshake [\"ada\" nil nil {:ext {:batch true :calls true}}]] nil]";
    let (mut client, _) = opened_with(|config| config.offer(Extensions::ALL), said);
    for number in 0..3 {
        client
            .send(NOW, event(&format!("[:a/b {number}]")))
            .unwrap();
    }
    client.call(NOW, event("[:a/ask]"), second(9)).unwrap();
    client.send(NOW, event("[:a/b 3]")).unwrap();
    let post = sent(&mut client);
    assert_eq!(posted(&post), "[[[:a/b 0] [:a/b 1] [:a/b 2]] nil]");
    answer(&mut client, NOW, post.exchange, "[:chsk/dummy-cb-200 nil]");
    let posts = sends(&mut client);
    let said: Vec<String> = posts.iter().map(posted).collect();
    assert_eq!(said, ["[[:a/ask] :ajax]", "[[:a/b 3] nil]"]);
}

#[test]
fn an_offer_is_made_with_the_handshake_only() {
    let mut client = new(|config| config.offer(Extensions::ALL));
    let first = sent(&mut client);
    assert_eq!(
        first.request.param("sente-ext").as_deref(),
        Some("1.batch.calls")
    );
    answer(&mut client, NOW, first.exchange, HANDSHAKE);
    let poll = sent(&mut client);
    assert!(!poll.request.has_param("sente-ext"));
}

#[test]
fn a_call_settles_with_what_its_post_is_answered() {
    let (mut client, _) = opened(|config| config.max_parallel_calls(9));
    let rows: [(u16, &str, Result<&str, CallError>); 9] = [
        (200, "[{:x 1} nil]", Ok("{:x 1}")),
        (200, "[nil nil]", Ok("nil")),
        (200, "[]", Ok("nil")),
        (200, "[:chsk/timeout nil]", Err(CallError::Timeout)),
        (200, "[:chsk/closed nil]", Err(CallError::Closed)),
        (200, "[:chsk/error nil]", Err(CallError::Peer)),
        (200, "", Err(CallError::Peer)),
        (200, "[1", Err(CallError::Peer)),
        (500, "[1 nil]", Err(CallError::Peer)),
    ];
    for (status, body, expected) in rows {
        let call = client.call(NOW, event("[:a/ask 1]"), second(9)).unwrap();
        let post = sent(&mut client);
        assert_eq!(posted(&post), "[[:a/ask 1] :ajax]");
        client.handle_response(NOW, post.exchange, &Response::new(status, body));
        let told = events(&mut client);
        assert!(told.iter().any(|event| matches!(event, ConnectionEvent::Settled { call: settled, .. } if *settled == call)));
        let settled: Vec<_> = settled(&told)
            .into_iter()
            .map(|result| result.map(|payload| payload.to_value().unwrap()))
            .collect();
        assert_eq!(settled, [expected.map(edn)], "{body}");
    }
    assert_eq!((client.pending_calls(), client.pending_requests()), (0, 1));
}

#[test]
fn calls_wait_for_the_events_before_them_and_for_a_free_connection() {
    let (mut client, _) = opened(|config| config.max_parallel_calls(2));
    client.send(NOW, event("[:a/first]")).unwrap();
    for number in 0..3 {
        client
            .call(NOW, event(&format!("[:a/ask {number}]")), second(9))
            .unwrap();
    }
    let event_post = sent(&mut client);
    assert_eq!(posted(&event_post), "[[:a/first] nil]");
    answer(
        &mut client,
        NOW,
        event_post.exchange,
        "[:chsk/dummy-cb-200 nil]",
    );
    let posts = sends(&mut client);
    let said: Vec<String> = posts.iter().map(posted).collect();
    assert_eq!(said, ["[[:a/ask 0] :ajax]", "[[:a/ask 1] :ajax]"]);
    answer(&mut client, NOW, posts[1].exchange, "[1 nil]");
    assert_eq!(posted(&sent(&mut client)), "[[:a/ask 2] :ajax]");
}

#[test]
fn a_call_that_times_out_or_is_cancelled_ends_its_request_and_is_not_made_later() {
    let (mut client, _) = opened(|config| config.max_parallel_calls(1));
    client.call(NOW, event("[:a/ask 0]"), second(1)).unwrap();
    client.call(NOW, event("[:a/ask 1]"), second(1)).unwrap();
    let third = client.call(NOW, event("[:a/ask 2]"), second(9)).unwrap();
    let post = sent(&mut client);
    assert_eq!(client.poll_timeout(), Some(seconds(1)));
    client.handle_timeout(seconds(1));
    let told = events(&mut client);
    let results = settled(&told);
    assert_eq!(results.len(), 2);
    assert!(
        results
            .iter()
            .all(|result| matches!(result, Err(CallError::Timeout)))
    );
    assert_eq!(aborts(&mut client), [post.exchange]);
    let post = sent(&mut client);
    assert_eq!(posted(&post), "[[:a/ask 2] :ajax]");
    assert!(client.cancel(third));
    assert!(!client.cancel(third));
    assert_eq!(aborts(&mut client), [post.exchange]);
    let told = events(&mut client);
    assert!(matches!(settled(&told)[..], [Err(CallError::Cancelled)]));
    // An answer all the same is for nobody.
    answer(&mut client, seconds(3), post.exchange, "[1 nil]");
    assert!(events(&mut client).is_empty());
}

#[test]
fn a_post_that_fails_is_told_and_the_link_goes_on() {
    let (mut client, _) = opened(|config| config);
    client.send(NOW, event("[:a/b 1]")).unwrap();
    let post = sent(&mut client);
    client.handle_failed(NOW, post.exchange, "connection reset");
    assert_eq!(undelivered(&events(&mut client)), ["[:a/b 1]"]);
    client.send(NOW, event("[:a/b 2]")).unwrap();
    let post = sent(&mut client);
    client.handle_response(NOW, post.exchange, &Response::new(403, "Bad CSRF token"));
    assert_eq!(undelivered(&events(&mut client)), ["[:a/b 2]"]);
    client.send(NOW, event("[:a/b 3]")).unwrap();
    let post = sent(&mut client);
    client.handle_timeout(seconds(59));
    assert!(events(&mut client).is_empty());
    client.handle_timeout(seconds(60));
    assert_eq!(undelivered(&events(&mut client)), ["[:a/b 3]"]);
    assert!(aborts(&mut client).contains(&post.exchange));
    let call = client.call(seconds(60), event("[:a/ask]"), second(9));
    call.unwrap();
    let posts = sends(&mut client);
    let post = posts
        .iter()
        .find(|send| send.request.method() == "POST")
        .unwrap();
    client.handle_failed(seconds(60), post.exchange, "connection reset");
    let told = events(&mut client);
    assert!(matches!(settled(&told)[..], [Err(CallError::Closed)]));
    assert_eq!(client.state(), State::Open);
}

#[test]
fn a_server_without_room_gets_the_same_events_again_after_the_time_it_asks_for() {
    let (mut client, _) = opened(|config| config);
    client.send(NOW, event("[:a/b 1]")).unwrap();
    client.send(NOW, event("[:a/b 2]")).unwrap();
    let post = sent(&mut client);
    let busy = Response::new(503, "no room").with_retry_after(second(2));
    client.handle_response(NOW, post.exchange, &busy);
    assert!(sends(&mut client).is_empty() && events(&mut client).is_empty());
    assert_eq!(client.poll_timeout(), Some(seconds(2)));
    client.handle_timeout(seconds(2));
    for number in 1..3 {
        let post = sent(&mut client);
        assert_eq!(posted(&post), format!("[[:a/b {number}] nil]"));
        answer(
            &mut client,
            seconds(2),
            post.exchange,
            "[:chsk/dummy-cb-200 nil]",
        );
    }
    // Without a time it is a failure as any other.
    client.send(seconds(2), event("[:a/b 3]")).unwrap();
    let post = sent(&mut client);
    client.handle_response(seconds(2), post.exchange, &Response::new(503, "down"));
    assert_eq!(undelivered(&events(&mut client)), ["[:a/b 3]"]);
}

#[test]
fn a_poll_that_fails_ends_the_link_and_everything_is_accounted_for() {
    let (mut client, poll) = opened(|config| config);
    client.send(NOW, event("[:a/b 1]")).unwrap();
    client.send(NOW, event("[:a/b 2]")).unwrap();
    let post = sent(&mut client);
    client.call(NOW, event("[:a/ask]"), second(9)).unwrap();
    client.handle_failed(millis(5), poll, "connection reset");
    assert_eq!(aborts(&mut client), [post.exchange]);
    let told = events(&mut client);
    assert!(matches!(settled(&told)[..], [Err(CallError::Closed)]));
    assert_eq!(undelivered(&told), ["[:a/b 1]", "[:a/b 2]"]);
    let last = told.last();
    assert!(
        matches!(last, Some(ConnectionEvent::Closed(CloseReason::Failed(reason))) if reason == "connection reset"),
        "{last:?}"
    );
    assert_eq!(client.state(), State::Closed);
    assert!(sends(&mut client).is_empty() && client.poll_timeout().is_none());
    answer(&mut client, NOW, post.exchange, "[:chsk/dummy-cb-200 nil]");
    assert!(events(&mut client).is_empty());
}

#[test]
fn what_a_poll_is_answered_decides_why_the_link_ends() {
    let end = |response: Response| {
        let (mut client, poll) = opened(|config| config);
        client.handle_response(NOW, poll, &response);
        client.close_reason().cloned()
    };
    let closed = CloseReason::PeerClosed {
        code: None,
        reason: "The session is closed".into(),
    };
    assert_eq!(
        end(Response::new(410, "The session is closed")),
        Some(closed)
    );
    let failed = |said: &str| Some(CloseReason::Failed(said.to_owned()));
    let status = "the poll was answered with status 502: bad gateway";
    assert_eq!(end(Response::new(502, "bad gateway")), failed(status));
    let nothing = "the poll was answered with nothing";
    assert_eq!(end(Response::new(200, "")), failed(nothing));
    // A handshake nobody asked for: the server has forgotten this client.
    assert_eq!(end(Response::new(200, HANDSHAKE)), Some(CloseReason::Eof));
    assert_eq!(end(Response::new(200, "[:chsk/timeout nil]")), None);
}

#[test]
fn the_first_poll_has_to_be_answered_with_a_handshake() {
    for body in [
        "[:chsk/timeout nil]",
        "[[[:a/b 1]] nil]",
        "<html>",
        "5",
        "[nil nil]",
        "[]",
    ] {
        let mut client = new(|config| config);
        let first = sent(&mut client);
        answer(&mut client, NOW, first.exchange, body);
        let reason = client.close_reason();
        assert!(
            matches!(reason, Some(CloseReason::Failed(_))),
            "{body}: {reason:?}"
        );
    }
    let mut client = new(|config| config);
    let _ = sent(&mut client);
    assert_eq!(client.poll_timeout(), Some(seconds(10)));
    client.handle_timeout(seconds(10));
    assert_eq!(client.close_reason(), Some(&CloseReason::HandshakeTimeout));
    assert_eq!(aborts(&mut client).len(), 1);
}

#[test]
fn a_bad_answer_on_an_open_link_is_reported_and_the_link_lives() {
    let (mut client, mut poll) = opened(|config| config);
    for body in [
        "[1",
        "5",
        "[[[:plain 1]] nil]",
        "[[[:chsk/x]] nil]",
        "[[:a/b 1] nil]",
    ] {
        answer(&mut client, NOW, poll, body);
        let told = events(&mut client);
        assert!(
            matches!(told[..], [ConnectionEvent::BadEvent(_)]),
            "{body}: {told:?}"
        );
        poll = sent(&mut client).exchange;
    }
    answer(
        &mut client,
        NOW,
        poll,
        "[[[:a/b 1] [:plain 2] [:a/b 3]] nil]",
    );
    let told = events(&mut client);
    assert!(
        matches!(
            told[..],
            [
                ConnectionEvent::Message(_),
                ConnectionEvent::BadEvent(_),
                ConnectionEvent::Message(_)
            ]
        ),
        "{told:?}"
    );
    assert_eq!(client.state(), State::Open);
}

#[test]
fn an_answer_over_the_frame_limit_is_reported_and_not_read() {
    let mut limits = Limits::default();
    limits.max_frame_bytes = 60;
    let (mut client, poll) = opened(|config| config.limits(limits));
    let large = format!("[[[:a/b {:?}]] nil]", "x".repeat(60));
    answer(&mut client, NOW, poll, &large);
    let told = events(&mut client);
    let [ConnectionEvent::BadEvent(bad)] = &told[..] else {
        panic!("{told:?}");
    };
    assert!(matches!(bad.reason, BadReason::Frame(_)));
}

#[test]
fn a_poll_that_nobody_answers_is_asked_anew_once_and_then_the_server_is_gone() {
    let (mut client, poll) = opened(|config| config);
    client.handle_timeout(seconds(60));
    assert_eq!(aborts(&mut client), [poll]);
    let next = sent(&mut client);
    // An answer to anything at all shows that the server is there.
    client.send(seconds(61), event("[:a/b]")).unwrap();
    let post = sent(&mut client);
    answer(
        &mut client,
        seconds(61),
        post.exchange,
        "[:chsk/dummy-cb-200 nil]",
    );
    client.handle_timeout(seconds(120));
    assert_eq!(aborts(&mut client), [next.exchange]);
    assert_eq!(client.state(), State::Open);
    let _ = sent(&mut client);
    client.handle_timeout(seconds(180));
    assert_eq!(client.close_reason(), Some(&CloseReason::PingTimeout));
}

#[test]
fn while_the_application_is_behind_nothing_is_polled() {
    let mut limits = Limits::default();
    limits.max_recv_messages = 2;
    let (mut client, poll) = opened(|config| config.limits(limits));
    answer(&mut client, NOW, poll, "[[[:a/b 1] [:a/b 2] [:a/b 3]] nil]");
    assert!(sends(&mut client).is_empty());
    assert!(client.poll_event().is_some());
    assert!(sends(&mut client).is_empty());
    assert!(client.poll_event().is_some());
    assert_eq!(
        asks(&sent(&mut client).request),
        AjaxRequest::Poll(Poll::Wait)
    );
}

#[test]
fn the_queue_is_bounded_and_calls_are_counted() {
    let mut limits = Limits::default();
    limits.max_send_messages = 2;
    limits.max_pending_calls = 1;
    limits.send_high_water = 100;
    let (mut client, _) = opened(|config| config.limits(limits));
    client.call(NOW, event("[:a/ask]"), second(9)).unwrap();
    let second_call = client.call(NOW, event("[:a/ask]"), second(9));
    assert!(matches!(
        second_call,
        Err(SendError::TooManyCalls { limit: 1, .. })
    ));
    client.send(NOW, event("[:a/b 1]")).unwrap();
    let full = client.send(NOW, event("[:a/b 2]"));
    assert!(
        matches!(full, Err(SendError::Full { messages: 2, .. })),
        "{full:?}"
    );
    assert_eq!(sends(&mut client).len(), 2);
    let told = events(&mut client);
    assert!(matches!(told[..], [ConnectionEvent::SendReady]), "{told:?}");
    // An event is on its way: what would have to wait for it is dropped.
    let volatile = SendOptions::new().policy(Policy::Volatile);
    let sent = client.send_with(NOW, event("[:a/now]"), volatile);
    assert_eq!(sent.unwrap(), Sent::Dropped);
}

#[test]
fn a_drain_posts_what_is_queued_and_waits_for_replies() {
    let (mut client, poll) = opened(|config| config);
    client.send(NOW, event("[:a/b 1]")).unwrap();
    client.call(NOW, event("[:a/ask]"), second(9)).unwrap();
    client.drain(NOW, seconds(30));
    assert!(matches!(
        client.send(NOW, event("[:a/b 2]")),
        Err(SendError::NotOpen(_))
    ));
    let post = sent(&mut client);
    answer(&mut client, NOW, post.exchange, "[:chsk/dummy-cb-200 nil]");
    let call = sent(&mut client);
    assert_eq!(client.state(), State::Draining);
    answer(&mut client, NOW, call.exchange, "[1 nil]");
    assert_eq!(client.close_reason(), Some(&CloseReason::Requested));
    assert_eq!(aborts(&mut client), [poll]);

    let (mut client, _) = opened(|config| config);
    client.send(NOW, event("[:a/b 1]")).unwrap();
    client.drain(NOW, seconds(3));
    assert_eq!(client.poll_timeout(), Some(seconds(3)));
    client.handle_timeout(seconds(3));
    assert_eq!(undelivered(&events(&mut client)), ["[:a/b 1]"]);

    let mut client = new(|config| config);
    client.drain(NOW, seconds(3));
    assert_eq!(client.close_reason(), Some(&CloseReason::Requested));
}

#[test]
fn a_path_with_a_query_of_its_own_keeps_it() {
    let config = AjaxClientConfig::builder("/chsk?tenant=7").build().unwrap();
    let mut client = AjaxClient::new(config, "c1", [1; 32], NOW);
    let request = sent(&mut client).request;
    assert_eq!(request.path(), "/chsk");
    assert_eq!(request.param("tenant").as_deref(), Some("7"));
    assert_eq!(request.client_id().as_deref(), Some("c1"));
    let mut limits = Limits::default();
    limits.max_frame_bytes = 0;
    let refused = AjaxClientConfig::builder("/")
        .limits(limits)
        .build()
        .map(|_| ());
    assert_eq!(refused, Err(AjaxConfigError::NoFrames));
}

#[test]
fn calls_from_the_server_are_not_taken_as_granted() {
    // Over Ajax a server has no way to call: a server that grants it is not believed.
    let said = "[[:chsk/handshake [1 nil nil {:ext {:batch true, :calls true}}]] nil]";
    let mut client = new(|config| config.offer(Extensions::ALL));
    let first = sent(&mut client);
    answer(&mut client, NOW, first.exchange, said);
    let told = events(&mut client);
    let [ConnectionEvent::Opened(terms)] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(terms.extensions, Extensions::NONE.with_batch());
}

#[test]
fn on_request_events_come_in_a_wrapper_of_the_client_s_own() {
    let (mut client, poll) = opened(|config| config.wrap_received(true));
    answer(&mut client, NOW, poll, "[[[:a/b 1]] nil]");
    let told = client.poll_event();
    let Some(ConnectionEvent::Message(message)) = told else {
        panic!("{told:?}");
    };
    assert_eq!(text(&message), "[:chsk/recv [:a/b 1]]");
}
