//! What the tests of Ajax share: requests as clients write them, and a session that is asked.
#![allow(dead_code, missing_docs, unreachable_pub)]

pub mod endpoint;
pub mod link;
pub mod recorded;
pub mod world;

use std::time::Duration;

use bytes::Bytes;
use sente_core::ajax::{
    AjaxConfig, AjaxConfigBuilder, AjaxRequest, AjaxSession, Exchange, Poll, Response,
};
use sente_core::framing::{Frame, Kind};
use sente_core::{Accept, ConnectionEvent, Instant, Message};

pub const NOW: Instant = Instant::EPOCH;
pub const TIMEOUT: &str = "[:chsk/timeout nil]";
pub const RECEIVED: &str = "[:chsk/dummy-cb-200 nil]";

pub const fn millis(count: u64) -> Instant {
    Instant::from_millis(count)
}

pub const fn seconds(count: u64) -> Instant {
    Instant::from_millis(count * 1000)
}

pub fn post(message: &str) -> AjaxRequest {
    AjaxRequest::Post(Frame::new(
        Kind::Text,
        Bytes::copy_from_slice(message.as_bytes()),
    ))
}

pub const WAIT: AjaxRequest = AjaxRequest::Poll(Poll::Wait);
pub const HANDSHAKE: AjaxRequest = AjaxRequest::Poll(Poll::Handshake);

/// A session that has answered its handshake.
pub fn greeted(configure: impl FnOnce(AjaxConfigBuilder) -> AjaxConfigBuilder) -> AjaxSession {
    let config = configure(AjaxConfig::builder()).build().unwrap();
    let mut session = AjaxSession::new(config, Accept::new("ada"), [1; 32], NOW);
    let exchange = session.handle(NOW, HANDSHAKE);
    assert_eq!(
        answers(&mut session),
        [(
            exchange,
            200,
            String::from("[[:chsk/handshake [\"ada\" nil nil]] nil]")
        )]
    );
    session
}

/// A session with a poll that waits.
pub fn polled(
    configure: impl FnOnce(AjaxConfigBuilder) -> AjaxConfigBuilder,
) -> (AjaxSession, Exchange) {
    let mut session = greeted(configure);
    let poll = session.handle(NOW, WAIT);
    assert!(answers(&mut session).is_empty());
    assert!(matches!(
        events(&mut session)[..],
        [ConnectionEvent::Opened(_)]
    ));
    (session, poll)
}

/// All answers there are now: the request, the status and the body as text.
pub fn answers(session: &mut AjaxSession) -> Vec<(Exchange, u16, String)> {
    std::iter::from_fn(|| session.poll_respond())
        .map(|respond| {
            let (status, body) = shown(&respond.response);
            (respond.exchange, status, body)
        })
        .collect()
}

/// The only answer there is now.
pub fn answer(session: &mut AjaxSession, exchange: Exchange) -> (u16, String) {
    let mut all = answers(session);
    assert_eq!(all.len(), 1, "{all:?}");
    let (answered, status, body) = all.remove(0);
    assert_eq!(answered, exchange);
    (status, body)
}

pub fn shown(response: &Response) -> (u16, String) {
    let body = String::from_utf8_lossy(&response.body).into_owned();
    (response.status, body)
}

pub fn ok(body: &str) -> (u16, String) {
    (200, body.to_owned())
}

pub fn events(session: &mut AjaxSession) -> Vec<ConnectionEvent> {
    std::iter::from_fn(|| session.poll_event()).collect()
}

pub fn messages(session: &mut AjaxSession) -> Vec<Message> {
    events(session)
        .into_iter()
        .filter_map(|event| match event {
            ConnectionEvent::Message(message) => Some(message),
            _ => None,
        })
        .collect()
}

/// Lets time pass up to `until`, as a driver does: at each deadline the machine is told, and what it
/// answers is noted with the time.
pub fn advance(session: &mut AjaxSession, until: Instant) -> Vec<(u64, Exchange, String)> {
    let mut said = Vec::new();
    let mut last = None;
    while let Some(at) = session.poll_timeout().filter(|at| *at <= until) {
        assert_ne!(last, Some(at), "the driver would spin");
        last = Some(at);
        session.handle_timeout(at);
        for (exchange, _, body) in answers(session) {
            said.push((at.as_millis(), exchange, body));
        }
    }
    session.handle_timeout(until);
    for (exchange, _, body) in answers(session) {
        said.push((until.as_millis(), exchange, body));
    }
    said
}

pub const fn second(count: u64) -> Duration {
    Duration::from_secs(count)
}
