//! A client whose links are made of requests: where a WebSocket does not get through.
#![allow(missing_docs)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sente_core::ajax::{
    AjaxClientConfig, AjaxConfig, AjaxRequest, AjaxSession, Exchange, Response,
};
use sente_core::{
    Accept, Attempt, CallError, Carrier, Client, ClientConfig, ClientEvent, ClientState,
    CloseReason, ConnectionConfig, ConnectionEvent, Dialect, Extensions, Input, Instant, OnOffline,
    Role, SendError, State,
};
use sente_tests::{event, text};

const NOW: Instant = Instant::EPOCH;

fn config(on_offline: OnOffline) -> Arc<ClientConfig> {
    let link = ConnectionConfig::builder(Role::Client, Dialect::Sente, Carrier::WebSocket);
    ClientConfig::builder(link.build().unwrap())
        .on_offline(on_offline)
        .client_id("c1")
        .build()
        .unwrap()
}

/// A client, the server's session, and the requests between them.
struct Rig {
    client: Client,
    session: AjaxSession,
    attempt: Attempt,
    asked: BTreeMap<Exchange, Exchange>,
    now: Instant,
}

impl Rig {
    /// A client whose first link is being opened by Ajax.
    fn new(on_offline: OnOffline) -> Self {
        let mut client = Client::new(config(on_offline), [1; 32], NOW);
        client.connect(NOW);
        let attempt = client.poll_connect().unwrap().attempt;
        Self {
            client,
            session: session(NOW),
            attempt,
            asked: BTreeMap::new(),
            now: NOW,
        }
    }

    fn open(&mut self) {
        let config = AjaxClientConfig::builder("/chsk").offer(Extensions::ALL);
        let config = config.build().unwrap();
        let client = &mut self.client;
        assert!(client.handle_connected_by_ajax(self.now, self.attempt, config));
        assert!(client.is_over_ajax());
        assert!(client.connection().is_none());
        self.run();
        assert!(self.client.state().is_open(), "{:?}", self.client.state());
    }

    fn opened(on_offline: OnOffline) -> Self {
        let mut rig = Self::new(on_offline);
        rig.open();
        rig
    }

    /// Carries requests and answers until nothing is left to carry.
    fn run(&mut self) {
        loop {
            let mut moved = false;
            while let Some(aborted) = self.client.poll_abort() {
                moved = true;
                if let Some((exchange, _)) = self.asked.iter().find(|(_, asked)| **asked == aborted)
                {
                    let exchange = *exchange;
                    self.asked.remove(&exchange);
                    self.session.handle_aborted(self.now, exchange);
                }
            }
            while let Some(send) = self.client.poll_send() {
                moved = true;
                assert_eq!(send.request.client_id().as_deref(), Some("c1"));
                let asks = AjaxRequest::read(&send.request).unwrap();
                let exchange = self.session.handle(self.now, asks);
                self.asked.insert(exchange, send.exchange);
            }
            while let Some(respond) = self.session.poll_respond() {
                moved = true;
                let asked = self.asked.remove(&respond.exchange).unwrap();
                let response = &respond.response;
                self.client
                    .handle_response(self.now, self.attempt, asked, response);
            }
            if !moved {
                return;
            }
        }
    }

    fn told(&mut self) -> Vec<ClientEvent> {
        std::iter::from_fn(|| self.client.poll_event()).collect()
    }

    fn heard(&mut self) -> Vec<ConnectionEvent> {
        std::iter::from_fn(|| self.session.poll_event()).collect()
    }
}

fn session(now: Instant) -> AjaxSession {
    let config = AjaxConfig::builder().build().unwrap();
    let mut accept = Accept::new("ada");
    accept.offered = Some(Extensions::ALL);
    AjaxSession::new(config, accept, [2; 32], now)
}

fn link_events(told: Vec<ClientEvent>) -> Vec<ConnectionEvent> {
    told.into_iter()
        .filter_map(|event| match event {
            ClientEvent::Link(event) => Some(event),
            _ => None,
        })
        .collect()
}

#[test]
fn a_client_says_calls_and_is_told_over_ajax() {
    let mut rig = Rig::opened(OnOffline::Refuse);
    let told = rig.told();
    let opened = told
        .iter()
        .any(|event| matches!(event, ClientEvent::Opened(terms) if terms.extensions.batch));
    assert!(opened, "{told:?}");
    rig.client.send(NOW, event("[:a/say 1]")).unwrap();
    let call = rig
        .client
        .call(NOW, event("[:a/ask 2]"), Duration::from_secs(5))
        .unwrap();
    rig.run();
    let mut reply = None;
    let mut said = Vec::new();
    for told in rig.heard() {
        if let ConnectionEvent::Message(message) = told {
            said.push(text(&message));
            reply = message.reply;
        }
    }
    assert_eq!(said, ["[:a/say 1]", "[:a/ask 2]"]);
    rig.session.reply(NOW, reply.unwrap(), 42).unwrap();
    rig.session.send(NOW, event("[:a/news]")).unwrap();
    rig.run();
    assert!(matches!(
        rig.client.poll_answer(),
        Some(ClientEvent::Link(ConnectionEvent::Settled { call: settled, result: Ok(_) }))
            if settled == call
    ));
    let told = link_events(rig.told());
    assert!(
        matches!(&told[..], [ConnectionEvent::Message(message)] if text(message) == "[:a/news]"),
        "{told:?}"
    );
}

#[test]
fn events_kept_offline_are_posted_once_the_link_is_open() {
    let mut rig = Rig::new(OnOffline::buffer());
    for number in 0..3 {
        rig.client
            .send(NOW, event(&format!("[:a/b {number}]")))
            .unwrap();
    }
    rig.open();
    let said: Vec<String> = rig
        .heard()
        .iter()
        .filter_map(|told| match told {
            ConnectionEvent::Message(message) => Some(text(message)),
            _ => None,
        })
        .collect();
    assert_eq!(said, ["[:a/b 0]", "[:a/b 1]", "[:a/b 2]"]);
}

#[test]
fn a_session_that_ends_is_a_link_that_is_lost() {
    let mut rig = Rig::opened(OnOffline::Refuse);
    rig.told();
    let call = rig
        .client
        .call(NOW, event("[:a/ask]"), Duration::from_secs(60))
        .unwrap();
    rig.run();
    rig.session.close(NOW);
    rig.run();
    let told = rig.told();
    assert!(
        told.iter().any(|event| matches!(
            event,
            ClientEvent::Closed(CloseReason::PeerClosed { code: None, .. })
        )),
        "{told:?}"
    );
    assert!(told.iter().any(|event| matches!(
        event,
        ClientEvent::Link(ConnectionEvent::Settled { call: settled, result: Err(CallError::Closed) })
            if *settled == call
    )));

    // The next attempt may be a WebSocket again; its calls have other ids.
    let attempt = rig.client.poll_connect().unwrap().attempt;
    assert!(rig.client.handle_connected(NOW, attempt));
    assert!(!rig.client.is_over_ajax());
    let mut handshake = bytes::BytesMut::new();
    // One frame of text from a server.
    let frame = b"[[:chsk/handshake [\"ada\" nil nil]] nil]";
    handshake.extend_from_slice(&[0x81, u8::try_from(frame.len()).unwrap()]);
    handshake.extend_from_slice(frame);
    rig.client
        .handle_input(NOW, attempt, Input::Bytes(&mut handshake));
    let told = rig.told();
    assert!(
        told.iter()
            .any(|event| matches!(event, ClientEvent::Reopened(_))),
        "{told:?}"
    );
    let next = rig
        .client
        .call(NOW, event("[:a/ask]"), Duration::from_secs(60))
        .unwrap();
    assert!(next > call);
}

#[test]
fn a_client_that_disconnects_gives_its_requests_up() {
    let mut rig = Rig::opened(OnOffline::Refuse);
    rig.told();
    // The poll that waits.
    assert_eq!(rig.asked.len(), 1);
    rig.client.disconnect(NOW);
    assert!(rig.client.is_wanted(rig.attempt));
    rig.run();
    assert!(rig.asked.is_empty());
    assert!(!rig.client.is_wanted(rig.attempt));
    assert_eq!(
        *rig.client.state(),
        ClientState::Closed(CloseReason::Requested)
    );
    assert!(matches!(
        rig.client.send(NOW, event("[:a/b]")),
        Err(SendError::NotOpen(_))
    ));
}

#[test]
fn a_drain_posts_what_is_queued_and_closes() {
    let mut rig = Rig::opened(OnOffline::Refuse);
    rig.client.send(NOW, event("[:a/b 1]")).unwrap();
    rig.client.drain(NOW, Instant::from_millis(5_000));
    rig.run();
    let said = rig.heard();
    assert!(
        said.iter()
            .any(|told| matches!(told, ConnectionEvent::Message(_))),
        "{said:?}"
    );
    assert_eq!(
        *rig.client.state(),
        ClientState::Closed(CloseReason::Requested)
    );
}

#[test]
fn a_request_that_fails_ends_the_link_and_late_answers_are_counted() {
    let mut rig = Rig::opened(OnOffline::Refuse);
    let poll = *rig.asked.values().next().unwrap();
    rig.client
        .handle_request_failed(NOW, rig.attempt, poll, "connection refused");
    let told = rig.told();
    assert!(
        told.iter().any(|event| matches!(
            event,
            ClientEvent::Closed(CloseReason::Failed(why)) if why == "connection refused"
        )),
        "{told:?}"
    );
    let before = rig.client.stats().stale_inputs;
    let late = Response::new(200, "[[[:a/b]] nil]");
    rig.client.handle_response(NOW, rig.attempt, poll, &late);
    assert_eq!(rig.client.stats().stale_inputs, before + 1);
}

#[test]
fn a_link_that_gets_no_handshake_is_a_failure_that_is_retried() {
    let mut rig = Rig::new(OnOffline::Refuse);
    let config = AjaxClientConfig::builder("/chsk").build().unwrap();
    let attempt = rig.attempt;
    assert!(rig.client.handle_connected_by_ajax(NOW, attempt, config));
    assert_eq!(rig.client.link_state(), Some(State::Handshaking));
    let first = rig.client.poll_send().unwrap();
    let refused = Response::new(403, "Bad CSRF token");
    rig.client
        .handle_response(NOW, attempt, first.exchange, &refused);
    let told = rig.told();
    assert!(
        told.iter().any(|event| matches!(
            event,
            ClientEvent::Closed(CloseReason::Failed(why)) if why.contains("403")
        )),
        "{told:?}"
    );
    // After the first failure at once.
    assert!(
        matches!(
            rig.client.state(),
            ClientState::Connecting { number: 2, .. }
        ),
        "{:?}",
        rig.client.state()
    );
}

#[test]
fn a_break_is_that_of_a_transport() {
    let mut rig = Rig::opened(OnOffline::Refuse);
    rig.client.break_connection(NOW);
    rig.run();
    // After the first failure at once.
    assert!(
        matches!(
            rig.client.state(),
            ClientState::Connecting { number: 2, .. }
        ),
        "{:?}",
        rig.client.state()
    );
    assert!(rig.asked.is_empty());
}

#[test]
fn only_an_attempt_under_way_becomes_a_link() {
    let mut rig = Rig::opened(OnOffline::Refuse);
    let config = AjaxClientConfig::builder("/chsk").build().unwrap();
    let (now, attempt) = (rig.now, rig.attempt);
    assert!(!rig.client.handle_connected_by_ajax(now, attempt, config));
    assert_eq!(rig.client.stats().stale_inputs, 1);
}
