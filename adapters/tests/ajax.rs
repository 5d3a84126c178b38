//! One client over Ajax: what its requests are answered, and what the application sees of it.
#![allow(missing_docs)]

use std::pin::pin;
use std::time::Duration;

use sente_adapters::{
    AjaxAnswer, AjaxEvents, AjaxHandle, AjaxPort, AjaxStart, CallFailure, Dispatcher,
};
use sente_core::ajax::{AjaxConfig, AjaxConfigBuilder, AjaxRequest, Poll};
use sente_core::framing::{Frame, Kind};
use sente_core::{
    Accept, CloseReason, ConnectionEvent, Event, EventId, Limits, Pattern, ReplyError, SendError,
    State,
};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);
const WAIT: AjaxRequest = AjaxRequest::Poll(Poll::Wait);
const RECEIVED: &str = "[:chsk/dummy-cb-200 nil]";

fn event(text: &str) -> Event {
    Event::from_value(sente_edn::from_str(text).unwrap()).unwrap()
}

fn post(message: &str) -> AjaxRequest {
    AjaxRequest::Post(Frame::new(Kind::Text, message.as_bytes().to_vec().into()))
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("it takes for ever")
}

fn start(
    configure: impl FnOnce(AjaxConfigBuilder) -> AjaxConfigBuilder,
) -> (AjaxPort, AjaxHandle, AjaxEvents) {
    let config = configure(AjaxConfig::builder()).build().unwrap();
    AjaxPort::start(AjaxStart::new(config, Accept::new("ada"), "192.0.2.7")).unwrap()
}

/// A session that its client has opened by its first post.
async fn opened(
    configure: impl FnOnce(AjaxConfigBuilder) -> AjaxConfigBuilder,
) -> (AjaxPort, AjaxHandle, AjaxEvents) {
    let (port, handle, mut events) = start(configure);
    let handshake = answered(&port, AjaxRequest::Poll(Poll::Handshake)).await;
    assert_eq!(handshake, "[[:chsk/handshake [\"ada\" nil nil]] nil]");
    assert_eq!(answered(&port, post("[[:a/hello] nil]")).await, RECEIVED);
    assert!(matches!(
        next(&mut events).await,
        ConnectionEvent::Opened(_)
    ));
    assert_eq!(message(&mut events).await, "a/hello");
    (port, handle, events)
}

fn body(answer: &AjaxAnswer) -> String {
    String::from_utf8(answer.response().body.to_vec()).unwrap()
}

/// Asks, and takes all of the answer.
async fn answered(port: &AjaxPort, request: AjaxRequest) -> String {
    let answer = soon(port.answer(request)).await;
    let body = body(&answer);
    answer.written();
    body
}

async fn next(events: &mut AjaxEvents) -> ConnectionEvent {
    soon(events.next()).await.expect("the session is over")
}

async fn message(events: &mut AjaxEvents) -> String {
    match next(events).await {
        ConnectionEvent::Message(message) => message.event.id.as_str().to_owned(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_poll_waits_for_what_is_sent() {
    let (port, handle, _events) = opened(|config| config).await;
    let poll = tokio::spawn({
        let port = port.clone();
        async move { answered(&port, WAIT).await }
    });
    handle.try_send(event("[:a/b 1]")).unwrap();
    assert_eq!(soon(poll).await.unwrap(), "[[[:a/b 1]] nil]");
    handle.try_send(event("[:a/b 2]")).unwrap();
    handle.try_send(event("[:a/b 3]")).unwrap();
    assert_eq!(answered(&port, WAIT).await, "[[[:a/b 2] [:a/b 3]] nil]");
}

#[tokio::test]
async fn a_call_is_answered_by_its_own_request() {
    let (port, handle, mut events) = opened(|config| config).await;
    let mut call = pin!(port.answer(post("[[:a/ask 1] :ajax]")));
    let token = tokio::select! {
        answer = &mut call => panic!("{answer:?}"),
        told = next(&mut events) => match told {
            ConnectionEvent::Message(message) => message.reply.unwrap(),
            other => panic!("{other:?}"),
        },
    };
    handle.reply(token, 7).unwrap();
    let answer = soon(call).await;
    assert_eq!(body(&answer), "[7 nil]");
    answer.written();
}

#[tokio::test]
async fn nobody_waits_for_the_reply_of_a_call_whose_client_is_gone() {
    let (port, handle, mut events) = opened(|config| config).await;
    let token = {
        let mut call = pin!(port.answer(post("[[:a/ask 1] :ajax]")));
        tokio::select! {
            answer = &mut call => panic!("{answer:?}"),
            told = next(&mut events) => match told {
                ConnectionEvent::Message(message) => message.reply.unwrap(),
                other => panic!("{other:?}"),
            },
        }
    };
    assert!(matches!(
        handle.reply(token, 7),
        Err(ReplyError::NotOpen(_))
    ));
}

#[tokio::test]
async fn what_was_not_written_is_told_again() {
    let (port, handle, _events) = opened(|config| config).await;
    handle.try_send(event("[:a/b 1]")).unwrap();
    drop(soon(port.answer(WAIT)).await);
    handle.try_send(event("[:a/b 2]")).unwrap();
    assert_eq!(answered(&port, WAIT).await, "[[[:a/b 1] [:a/b 2]] nil]");
}

#[tokio::test]
async fn a_poll_that_is_given_up_takes_nothing_with_it() {
    let (port, handle, _events) = opened(|config| config).await;
    {
        let mut poll = pin!(port.answer(WAIT));
        tokio::select! {
            biased;
            answer = &mut poll => panic!("{answer:?}"),
            () = tokio::task::yield_now() => {}
        }
    }
    handle.try_send(event("[:a/b 1]")).unwrap();
    assert_eq!(answered(&port, WAIT).await, "[[[:a/b 1]] nil]");
}

#[tokio::test]
async fn calling_a_client_over_ajax_is_refused_by_name() {
    let (_port, handle, _events) = opened(|config| config).await;
    let call = handle.call(event("[:a/ask]"), PATIENCE).await;
    assert!(
        matches!(
            call,
            Err(CallFailure::Refused(SendError::CallsUnsupported(_)))
        ),
        "{call:?}"
    );
}

#[tokio::test]
async fn senders_wait_in_line_for_the_next_poll() {
    let mut limits = Limits::default();
    limits.max_send_messages = 1;
    let (port, handle, _events) = opened(|config| config.limits(limits)).await;
    handle.try_send(event("[:a/b 1]")).unwrap();
    let mut second = pin!(handle.send(event("[:a/b 2]")));
    tokio::select! {
        biased;
        sent = &mut second => panic!("{sent:?}"),
        () = tokio::task::yield_now() => {}
    }
    assert_eq!(answered(&port, WAIT).await, "[[[:a/b 1]] nil]");
    soon(second).await.unwrap();
    assert_eq!(answered(&port, WAIT).await, "[[[:a/b 2]] nil]");
}

#[tokio::test]
async fn a_flush_ends_with_the_poll_that_takes_what_was_queued() {
    let (port, handle, _events) = opened(|config| config).await;
    soon(handle.flush()).await.unwrap();
    handle.try_send(event("[:a/b 1]")).unwrap();
    let mut flush = pin!(handle.flush());
    tokio::select! {
        biased;
        flushed = &mut flush => panic!("{flushed:?}"),
        () = tokio::task::yield_now() => {}
    }
    assert_eq!(answered(&port, WAIT).await, "[[[:a/b 1]] nil]");
    soon(flush).await.unwrap();
    handle.try_send(event("[:a/b 2]")).unwrap();
    let flush = handle.flush();
    handle.close();
    assert!(soon(flush).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_poll_is_answered_in_time_and_a_silent_client_is_gone_after_the_grace() {
    let (port, handle, mut events) = opened(|config| config).await;
    let began = tokio::time::Instant::now();
    assert_eq!(answered(&port, WAIT).await, "[:chsk/timeout nil]");
    assert_eq!(began.elapsed().as_secs(), 20);
    handle.try_send(event("[:a/b 1]")).unwrap();
    assert!(matches!(
        next(&mut events).await,
        ConnectionEvent::Undelivered(_)
    ));
    assert!(matches!(
        next(&mut events).await,
        ConnectionEvent::Closed(CloseReason::Eof)
    ));
    assert!(began.elapsed().as_secs() >= 25);
    assert!(events.next().await.is_none());
    let end = port.ended().await;
    assert_eq!(end.reason, CloseReason::Eof);
    assert_eq!(end.stats.events_received, 1);
    assert!(port.is_over());
    let late = port.answer(WAIT).await;
    assert_eq!(late.response().status, 410);
}

#[tokio::test]
async fn posts_wait_for_an_application_that_is_behind() {
    let mut limits = Limits::default();
    limits.max_recv_messages = 1;
    let (port, _handle, mut events) = opened(|config| config.limits(limits)).await;
    soon(port.wants_post()).await;
    assert_eq!(answered(&port, post("[[:a/b 1] nil]")).await, RECEIVED);
    let mut room = pin!(port.wants_post());
    tokio::select! {
        biased;
        () = &mut room => panic!("there is no room"),
        () = tokio::task::yield_now() => {}
    }
    let refused = soon(port.answer(post("[[:a/b 2] nil]"))).await;
    assert_eq!(refused.response().status, 503);
    refused.written();
    assert_eq!(message(&mut events).await, "a/b");
    soon(room).await;
    assert_eq!(answered(&port, post("[[:a/b 3] nil]")).await, RECEIVED);
}

#[tokio::test]
async fn a_session_that_nobody_holds_tells_the_rest_and_ends() {
    let (port, handle, events) = opened(|config| config).await;
    handle.try_send(event("[:a/b 1]")).unwrap();
    drop((handle, events));
    assert_eq!(answered(&port, WAIT).await, "[[[:a/b 1]] nil]");
    assert_eq!(soon(port.ended()).await.reason, CloseReason::Requested);
}

#[tokio::test]
async fn calls_that_nobody_reads_are_answered_with_an_error() {
    let (port, handle, events) = opened(|config| config).await;
    drop(events);
    assert_eq!(
        answered(&port, post("[[:a/ask 1] :ajax]")).await,
        "[:chsk/error nil]"
    );
    assert_eq!(handle.state(), State::Open);
}

#[tokio::test]
async fn what_waits_is_answered_when_the_session_closes() {
    let (port, handle, mut events) = opened(|config| config).await;
    let poll = tokio::spawn({
        let port = port.clone();
        async move { port.answer(WAIT).await.response().status }
    });
    let mut call = pin!(port.answer(post("[[:a/ask 1] :ajax]")));
    tokio::select! {
        answer = &mut call => panic!("{answer:?}"),
        told = next(&mut events) => assert!(matches!(told, ConnectionEvent::Message(_))),
    }
    handle.close();
    assert_eq!(body(&soon(call).await), "[:chsk/closed nil]");
    assert_eq!(soon(poll).await.unwrap(), 410);
    assert!(matches!(
        next(&mut events).await,
        ConnectionEvent::Closed(CloseReason::Requested)
    ));
}

#[tokio::test]
async fn handlers_serve_sessions_as_they_serve_connections() {
    let (port, handle, mut events) = opened(|config| config).await;
    let mut handlers = Dispatcher::new(handle);
    let id = Pattern::Id(EventId::new("a/double").unwrap());
    handlers.on(id, |received| {
        let number = received.event().data.as_ref().unwrap().to_value().unwrap();
        let responder = received.take_reply().unwrap();
        responder.reply(number.as_i64().unwrap() * 2).unwrap();
    });
    let mut call = pin!(port.answer(post("[[:a/double 21] :ajax]")));
    let told = tokio::select! {
        answer = &mut call => panic!("{answer:?}"),
        told = next(&mut events) => told,
    };
    assert!(handlers.dispatch(told).is_none());
    assert_eq!(body(&soon(call).await), "[42 nil]");
}
