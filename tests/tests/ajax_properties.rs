//! What holds for either side of Ajax whatever the other says: each request has one answer, each call
//! settles once, nothing grows past its limit, and no body is too odd to be read.
#![allow(missing_docs)]

mod ajax_support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ajax_support::NOW;
use bytes::Bytes;
use proptest::prelude::*;
use sente_core::admission::{Admission, CsrfCheck, CsrfToken, Origins, Request};
use sente_core::ajax::{
    AjaxClient, AjaxClientConfig, AjaxConfig, AjaxRequest, AjaxSession, Poll, Response,
};
use sente_core::framing::{Frame, Kind};
use sente_core::{
    Accept, ConnectionEvent, Event, Extensions, Limits, Policy, ReplyToken, SendOptions, State,
};
use sente_tests::id;

/// Bodies of all kinds, most of them nearly right.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let parts = prop::sample::select(vec![
        "[",
        "]",
        "[[:a/b 1] nil]",
        "[[:a/b 1] :ajax]",
        "[[:a/b] true]",
        "[[:plain] \"x\"]",
        "[[[:a/b 1] [:a/c 2]] nil]",
        "[:chsk/timeout nil]",
        "[[:chsk/ws-ping] :ajax]",
        "[[:chsk/handshake [\"u\" nil nil]] nil]",
        "[:chsk/error nil]",
        " ",
        "nil",
        "#x 1",
        "{",
        "}",
        "\"",
        "5",
        ":a/b",
        ",",
        "\\",
        "[nil nil]",
        "[[] nil]",
        "[[[:chsk/x 1]] nil]",
        "#{1 1}",
    ]);
    prop_oneof![
        8 => parts.clone().prop_map(|part| part.as_bytes().to_vec()),
        3 => prop::collection::vec(parts, 0..5).prop_map(|parts| parts.concat().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ]
}

#[derive(Clone, Debug)]
enum Op {
    Abort(usize),
    Close,
    Drain(u64),
    Handshake { offers: bool },
    Poll,
    PollEvents(usize),
    PollAnswers,
    Post(Vec<u8>, bool),
    Reply(usize),
    Send(u8, usize),
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => any::<usize>().prop_map(Op::Abort),
        1 => Just(Op::Close),
        1 => (0..9_000u64).prop_map(Op::Drain),
        3 => any::<bool>().prop_map(|offers| Op::Handshake { offers }),
        9 => Just(Op::Poll),
        5 => (0..6usize).prop_map(Op::PollEvents),
        9 => Just(Op::PollAnswers),
        12 => (body(), any::<bool>()).prop_map(|(body, odd)| Op::Post(body, odd)),
        5 => any::<usize>().prop_map(Op::Reply),
        12 => (0..4u8, 0..90usize).prop_map(|(policy, len)| Op::Send(policy, len)),
        5 => (0..3_000u64).prop_map(Op::Wait),
    ]
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_frame_bytes = 80;
    limits.max_recv_messages = 4;
    limits.max_recv_bytes = 120;
    limits.max_send_messages = 5;
    limits.max_send_bytes = 150;
    limits.max_batch_events = 3;
    limits.max_batch_bytes = 70;
    limits.max_pending_calls = 3;
    limits.max_bad_frames_reported = 2;
    limits
}

proptest! {
    #[test]
    fn a_session_answers_each_request_once_and_holds_its_limits(
        ops in prop::collection::vec(op(), 1..150),
        window in any::<bool>(),
    ) {
        let mut config = AjaxConfig::builder().limits(limits()).max_requests(3).keep_dropped(200);
        if window {
            config = config.flush_window(Some(Duration::from_millis(100)));
        }
        let config = config.build().unwrap();
        let mut session = AjaxSession::new(config, Accept::new("ada"), [1; 32], NOW);
        let mut now = NOW;
        let mut open = BTreeSet::new();
        let mut tokens: Vec<ReplyToken> = Vec::new();
        let mut events = 0;
        let (mut opened, mut closed) = (0, 0);
        let mut take = |event: ConnectionEvent, tokens: &mut Vec<ReplyToken>| {
            events += 1;
            match event {
                ConnectionEvent::Message(message) => tokens.extend(message.reply),
                ConnectionEvent::BadEvent(bad) => tokens.extend(bad.reply),
                ConnectionEvent::Opened(_) => opened += 1,
                ConnectionEvent::Closed(_) => closed += 1,
                _ => {}
            }
        };
        let mut ops = ops;
        ops.extend([Op::Close, Op::PollAnswers, Op::PollEvents(usize::MAX)]);
        for op in ops {
            match op {
                Op::Abort(which) => {
                    let exchange = open.iter().nth(which % open.len().max(1)).copied();
                    if let Some(exchange) = exchange {
                        open.remove(&exchange);
                        session.handle_aborted(now, exchange);
                    }
                }
                Op::Close => session.close(now),
                Op::Drain(after) => session.drain(now, now + Duration::from_millis(after)),
                Op::Handshake { offers } => {
                    let mut accept = Accept::new("ada");
                    accept.offered = offers.then_some(Extensions::ALL);
                    session.accept(now, accept);
                    open.insert(session.handle(now, AjaxRequest::Poll(Poll::Handshake)));
                }
                Op::Poll => {
                    open.insert(session.handle(now, AjaxRequest::Poll(Poll::Wait)));
                }
                Op::PollEvents(most) => {
                    for _ in 0..most {
                        let has = session.has_event();
                        let event = session.poll_event();
                        prop_assert_eq!(has, event.is_some());
                        let Some(event) = event else { break };
                        take(event, &mut tokens);
                    }
                }
                Op::PollAnswers => {
                    while let Some(respond) = session.poll_respond() {
                        prop_assert!(open.remove(&respond.exchange), "asked, and not answered yet");
                        let size = respond.response.body.len();
                        prop_assert!(respond.response.status != 200 || size <= 80, "{}", size);
                    }
                }
                Op::Post(body, odd) => {
                    let kind = if odd && body.len() % 7 == 0 { Kind::Binary } else { Kind::Text };
                    let frame = Frame::new(kind, Bytes::from(body));
                    open.insert(session.handle(now, AjaxRequest::Post(frame)));
                }
                Op::Reply(which) if !tokens.is_empty() => {
                    let token = tokens.swap_remove(which % tokens.len());
                    let _ = session.reply(now, token, "x".repeat(which % 90).as_str());
                }
                Op::Reply(_) => {}
                Op::Send(policy, len) => {
                    let policy = match policy {
                        0 => Policy::Reject,
                        1 => Policy::DropOldest,
                        2 => Policy::Volatile,
                        _ => Policy::Latest("k".into()),
                    };
                    let event = Event::new(id("a/b"), "x".repeat(len).as_str());
                    let options = SendOptions::new().policy(policy);
                    let sent = session.send_with(now, event, options);
                    prop_assert!(sent.is_err() || session.state() == State::Open);
                }
                Op::Wait(millis) => {
                    let until = now + Duration::from_millis(millis);
                    let mut turns = 0;
                    while let Some(at) = session.poll_timeout().filter(|at| *at <= until) {
                        session.handle_timeout(at);
                        while let Some(respond) = session.poll_respond() {
                            prop_assert!(open.remove(&respond.exchange));
                        }
                        turns += 1;
                        prop_assert!(turns < 50, "the driver would spin");
                    }
                    now = until;
                }
            }
            let (messages, bytes) = session.recv_queued();
            // What is taken is taken whole, so the last message may go over the limit of bytes.
            prop_assert!(messages <= 4 + 1 && bytes <= 120 + 80, "{} {}", messages, bytes);
            let capacity = session.send_capacity();
            prop_assert!(capacity.messages <= 5 && capacity.bytes <= 150);
            prop_assert!(session.pending_requests() <= 3 + 4);
        }
        prop_assert!(open.is_empty(), "left without an answer: {:?}", open);
        prop_assert!(session.is_finished());
        prop_assert!(opened <= 1, "opened {} times", opened);
        prop_assert_eq!(closed, 1, "it closes once, opened or not");
    }

    #[test]
    fn a_link_takes_any_answer_and_settles_each_call_once(
        ops in prop::collection::vec((0..9u8, body(), any::<usize>()), 1..150),
    ) {
        let config = AjaxClientConfig::builder("/chsk")
            .limits(limits())
            .offer(Extensions::ALL)
            .max_parallel_calls(2)
            .build()
            .unwrap();
        let mut client = AjaxClient::new(config, "c", [1; 32], NOW);
        let mut now = NOW;
        let mut open = BTreeSet::new();
        let mut calls = BTreeMap::new();
        let mut closed = 0;
        let mut ops = ops;
        ops.insert(0, (8, Vec::new(), 0));
        for (what, body, number) in ops {
            match what {
                0 => {
                    let _ = client.send(now, Event::new(id("a/b"), "x".repeat(number % 90).as_str()));
                }
                1 => {
                    let timeout = Duration::from_millis((number % 9_000) as u64);
                    if let Ok(call) = client.call(now, Event::bare(id("a/b")), timeout) {
                        prop_assert!(calls.insert(call, 0).is_none());
                    }
                }
                2 | 3 | 8 => {
                    let exchange = open.iter().nth(number % open.len().max(1)).copied();
                    if let Some(exchange) = exchange {
                        open.remove(&exchange);
                        let status = if number % 5 == 0 { 503 } else { 200 };
                        let mut response = Response::new(status, body);
                        if what == 8 && client.state() == State::Handshaking {
                            let said = "[[:chsk/handshake [1 nil nil {:ext {:batch true}}]] nil]";
                            response = Response::new(200, said);
                        }
                        if number % 2 == 0 {
                            response = response.with_retry_after(Duration::from_secs(1));
                        }
                        client.handle_response(now, exchange, &response);
                    }
                }
                4 => {
                    let exchange = open.iter().nth(number % open.len().max(1)).copied();
                    if let Some(exchange) = exchange.filter(|_| number % 4 == 0) {
                        open.remove(&exchange);
                        client.handle_failed(now, exchange, "reset");
                    }
                }
                5 => {
                    if let Some(call) = calls.keys().nth(number % calls.len().max(1)).copied() {
                        client.cancel(call);
                    }
                }
                6 => {
                    let until = now + Duration::from_millis((number % 4_000) as u64);
                    let mut turns = 0;
                    while let Some(at) = client.poll_timeout().filter(|at| *at <= until) {
                        client.handle_timeout(at);
                        turns += 1;
                        prop_assert!(turns < 50, "the driver would spin");
                    }
                    now = until;
                }
                _ => {}
            }
            while let Some(send) = client.poll_send() {
                prop_assert!(open.insert(send.exchange));
                prop_assert!(AjaxRequest::read(&send.request).is_ok());
            }
            while let Some(exchange) = client.poll_abort() {
                open.remove(&exchange);
            }
            prop_assert!(client.pending_requests() <= 2 + 2);
            prop_assert!(client.pending_calls() <= 3);
            let capacity = client.send_capacity();
            prop_assert!(capacity.messages <= 5 && capacity.bytes <= 150);
            if what == 7 {
                while let Some(event) = client.poll_event() {
                    match event {
                        ConnectionEvent::Settled { call, .. } => *calls.get_mut(&call).unwrap() += 1,
                        ConnectionEvent::Closed(_) => closed += 1,
                        _ => prop_assert_eq!(closed, 0, "Closed is the last"),
                    }
                }
            }
        }
        client.close(now);
        while let Some(event) = client.poll_event() {
            match event {
                ConnectionEvent::Settled { call, .. } => *calls.get_mut(&call).unwrap() += 1,
                ConnectionEvent::Closed(_) => closed += 1,
                _ => {}
            }
        }
        prop_assert!(calls.values().all(|settled| *settled == 1), "{:?}", calls);
        prop_assert_eq!(closed, 1);
    }

    #[test]
    fn no_request_is_too_odd_to_be_judged(
        method in prop::sample::select(vec!["GET", "POST", "PUT", ""]),
        target in "(/[a-z%&=?+.é]{0,30})|\\PC{0,30}",
        headers in prop::collection::vec(
            ("(?i)(origin|referer|cookie|x-csrf-token|content-type|\\PC{0,8})", "\\PC{0,30}"),
            0..6,
        ),
        form in any::<bool>(),
        body in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut request = headers.iter().fold(
            Request::new(method, &target),
            |request, (name, value)| request.with_header(name, value),
        );
        if form {
            request = request.with_header("Content-Type", "application/x-www-form-urlencoded");
        }
        let request = request.with_body(Bytes::from(body)).with_remote("é");
        let token = CsrfToken::generate(&[7; 32]);
        for csrf in [CsrfCheck::skip(), CsrfCheck::cookie(), CsrfCheck::token(token)] {
            let admission = Admission::new(csrf)
                .origins(Origins::only(["http://good.example"]).unwrap());
            let judged = admission.check(request.clone());
            let all = Admission::new(CsrfCheck::skip()).check(request.clone());
            // Stricter rules never let more in.
            prop_assert!(judged.is_err() || all.is_ok());
        }
        let _ = AjaxRequest::read(&request);
    }
}

#[test]
fn a_megabyte_of_parameters_is_looked_through_once_for_each_name() {
    let body = "a=b&".repeat(300_000);
    let request = Request::new("POST", "/chsk")
        .with_header("Content-Type", "application/x-www-form-urlencoded")
        .with_body(Bytes::from(body + "client-id=c&ppstr=%5B%5D"));
    assert_eq!(request.client_id().as_deref(), Some("c"));
    assert_eq!(request.param("a"), None);
    let said = Frame::new(Kind::Text, Bytes::from_static(b"[]"));
    assert_eq!(AjaxRequest::read(&request), Ok(AjaxRequest::Post(said)));
}
