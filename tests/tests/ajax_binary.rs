//! Ajax with a packer whose frames are binary and sealed: what travels is never the packed message.
#![allow(missing_docs)]

mod ajax_support;

use std::sync::Arc;

use ajax_support::{NOW, second};
use bytes::Bytes;
use sente_core::ajax::{
    AjaxClient, AjaxClientConfig, AjaxConfig, AjaxRequest, AjaxSession, Response,
};
use sente_core::framing::Kind;
use sente_core::packer::{Edn, Gzip, PackError, Packer, Span, Tokens, UnpackError, Visit};
use sente_core::{
    Accept, CloseReason, ConnectionEvent, Dialect, Extensions, Limits, PackedEvent, Role, SendError,
};
use sente_edn::Value;
use sente_tests::{event, text};

/// EDN whose frames are turned about and begin with a byte of their own.
#[derive(Debug)]
struct Sealed;

const MARK: u8 = 0xfe;

/// A message with this in it cannot be sealed.
const UNSEALABLE: &[u8] = b":no/key";

impl Packer for Sealed {
    fn name(&self) -> &str {
        "sealed-edn"
    }

    fn format(&self) -> &str {
        "edn"
    }

    fn kind(&self) -> Kind {
        Kind::Binary
    }

    fn pack(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), PackError> {
        Edn.pack(value, out)
    }

    fn unpack(&self, packed: &[u8], limits: &Limits) -> Result<Value, UnpackError> {
        Edn.unpack(packed, limits)
    }

    fn walk(
        &self,
        packed: &[u8],
        limits: &Limits,
        visit: &mut Visit<'_>,
    ) -> Result<(), UnpackError> {
        Edn.walk(packed, limits, visit)
    }

    fn entries(&self, packed: &[u8], limits: &Limits, visit: &mut dyn FnMut(&str, Span)) {
        Edn.entries(packed, limits, visit);
    }

    fn open(&self, frame: &Bytes, _limits: &Limits) -> Result<Bytes, UnpackError> {
        match frame.split_first() {
            Some((&MARK, rest)) => Ok(rest.iter().rev().copied().collect()),
            _ => Err(UnpackError::Other {
                offset: 0,
                message: "not sealed".to_owned(),
            }),
        }
    }

    fn seals(&self) -> bool {
        true
    }

    fn seal(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), PackError> {
        if message
            .windows(UNSEALABLE.len())
            .any(|part| part == UNSEALABLE)
        {
            return Err(PackError::new("sealed-edn", "no key for this"));
        }
        out.push(MARK);
        out.extend(message.iter().rev());
        Ok(())
    }

    fn seal_overhead(&self) -> usize {
        1
    }

    fn sequence(&self, len: usize) -> Tokens {
        Edn.sequence(len)
    }

    fn map(&self, len: usize) -> Tokens {
        Edn.map(len)
    }
}

fn opened(response: &Response) -> String {
    let message = Sealed.open(&response.body, &Limits::default()).unwrap();
    String::from_utf8(message.to_vec()).unwrap()
}

fn limits(max_frame_bytes: usize) -> Limits {
    let mut limits = Limits::default();
    limits.max_frame_bytes = max_frame_bytes;
    limits
}

/// Carries everything there and back, and says what the session answered.
fn carry(client: &mut AjaxClient, session: &mut AjaxSession) -> Vec<String> {
    let mut said = Vec::new();
    let mut asked = std::collections::BTreeMap::new();
    loop {
        let mut busy = false;
        while let Some(send) = client.poll_send() {
            busy = true;
            if send.request.method() == "POST" {
                assert_eq!(send.request.body().first(), Some(&MARK));
                assert_eq!(send.request.param("binary?").as_deref(), Some("true"));
                let kind = send.request.header("content-type");
                assert_eq!(kind, Some("application/octet-stream"));
            }
            let own = session.handle(NOW, AjaxRequest::read(&send.request).unwrap());
            asked.insert(own, send.exchange);
        }
        while let Some(respond) = session.poll_respond() {
            busy = true;
            assert_eq!(respond.response.content_type, "application/octet-stream");
            said.push(opened(&respond.response));
            let exchange = asked.remove(&respond.exchange).unwrap();
            client.handle_response(NOW, exchange, &respond.response);
        }
        if !busy {
            return said;
        }
    }
}

#[test]
fn events_calls_and_batches_travel_sealed_in_both_directions() {
    let config = AjaxConfig::builder()
        .packer(Arc::new(Sealed))
        .build()
        .unwrap();
    let mut accept = Accept::new("ada");
    accept.offered = Some(Extensions::ALL);
    let mut session = AjaxSession::new(config, accept, [1; 32], NOW);
    let config = AjaxClientConfig::builder("/chsk")
        .packer(Arc::new(Sealed))
        .offer(Extensions::ALL)
        .build()
        .unwrap();
    let mut client = AjaxClient::new(config, "c", [2; 32], NOW);
    let said = carry(&mut client, &mut session);
    assert_eq!(said.len(), 1);
    assert!(
        said[0].starts_with("[[:chsk/handshake [\"ada\""),
        "{said:?}"
    );
    assert!(client.poll_event().is_some() && session.poll_event().is_some());

    for number in 0..3 {
        client
            .send(NOW, event(&format!("[:a/b {number}]")))
            .unwrap();
    }
    client.call(NOW, event("[:a/ask 1]"), second(9)).unwrap();
    let said = carry(&mut client, &mut session);
    assert_eq!(said, ["[:chsk/dummy-cb-200 nil]"]);
    let mut told = Vec::new();
    while let Some(ConnectionEvent::Message(message)) = session.poll_event() {
        told.push(text(&message));
        if let Some(token) = message.reply {
            session.reply(NOW, token, 2).unwrap();
        }
    }
    assert_eq!(told, ["[:a/b 0]", "[:a/b 1]", "[:a/b 2]", "[:a/ask 1]"]);
    session.send(NOW, event("[:s/push {:x 1}]")).unwrap();
    // The poll waits since the first turn; its answer is for an exchange of that turn.
    let mut bodies = Vec::new();
    while let Some(respond) = session.poll_respond() {
        bodies.push(opened(&respond.response));
    }
    assert_eq!(bodies, ["[2 nil]", "[[[:s/push {:x 1}]] nil]"]);
}

#[test]
fn a_body_that_is_not_sealed_is_refused_and_reported() {
    let config = AjaxConfig::builder()
        .packer(Arc::new(Sealed))
        .build()
        .unwrap();
    let mut session = AjaxSession::new(config, Accept::new("ada"), [1; 32], NOW);
    let bare = sente_core::framing::Frame::new(Kind::Binary, Bytes::from_static(b"[[:a/b 1] nil]"));
    session.handle(NOW, AjaxRequest::Post(bare));
    let response = session.poll_respond().unwrap().response;
    assert_eq!(response.status, 400);
    assert_eq!(&response.body[..], b"not sealed at byte 0");
    assert!(matches!(
        session.poll_event(),
        Some(ConnectionEvent::BadEvent(_))
    ));
}

#[test]
fn what_sealing_adds_counts_for_the_frame_limit() {
    // `[[[:a/b 1]] nil]` has 16 bytes, and sealing adds one. Larger handshakes are the application's.
    for (limit, fits) in [(17, true), (16, false)] {
        let config = AjaxConfig::builder()
            .packer(Arc::new(Sealed))
            .limits(limits(limit))
            .build()
            .unwrap();
        let mut session = AjaxSession::new(config, Accept::new("ada"), [1; 32], NOW);
        session.handle(NOW, ajax_support::HANDSHAKE);
        assert!(session.poll_respond().is_some());
        session.handle(NOW, ajax_support::WAIT);
        let sent = session.send(NOW, event("[:a/b 1]"));
        assert_eq!(sent.is_ok(), fits, "{sent:?}");
        assert!(fits || matches!(sent, Err(SendError::TooLarge { size: 17, .. })));
        let length = session
            .poll_respond()
            .map(|respond| respond.response.body.len());
        assert_eq!(length, fits.then_some(17));
    }
}

#[test]
fn an_event_over_the_frame_limit_is_sent_if_its_compressed_frame_is_not() {
    let gzip: Arc<dyn Packer> = Arc::new(Gzip::new(Edn));
    let config = AjaxConfig::builder()
        .packer(gzip.clone())
        .limits(limits(1500));
    let config = config.build().unwrap();
    let mut session = AjaxSession::new(config, Accept::new("ada"), [1; 32], NOW);
    session.handle(NOW, ajax_support::HANDSHAKE);
    assert!(session.poll_respond().is_some());
    session.handle(NOW, ajax_support::WAIT);
    let said = format!("[:a/b {:?}]", "ab".repeat(5_000));
    session.send(NOW, event(&said)).unwrap();
    let body = session.poll_respond().unwrap().response.body;
    assert!(body.len() <= 1500);
    let message = gzip.open(&body, &Limits::default()).unwrap();
    assert_eq!(&message[..], format!("[[{said}] nil]").as_bytes());

    // What does not compress is refused, and what would be longer than a peer may open.
    let mut state = 1u64;
    let noise: String = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(b'a' + u8::try_from(state >> 59).unwrap() % 26)
    })
    .take(5_000)
    .collect();
    let noise = session.send(NOW, event(&format!("[:a/b {noise:?}]")));
    assert!(matches!(
        noise,
        Err(SendError::TooLarge { limit: 1500, .. })
    ));

    let config = AjaxClientConfig::builder("/chsk")
        .packer(gzip.clone())
        .limits(limits(1500));
    let mut client = AjaxClient::new(config.build().unwrap(), "c", [1; 32], NOW);
    let first = client.poll_send().unwrap();
    let mut handshake = Vec::new();
    let terms = sente_tests::edn("[[:chsk/handshake [1 nil nil]] nil]");
    gzip.pack_message(&terms, &mut handshake).unwrap();
    client.handle_response(NOW, first.exchange, &Response::new(200, handshake));
    client.send(NOW, event(&said)).unwrap();
    client.call(NOW, event(&said), second(9)).unwrap();
    let sends: Vec<_> = std::iter::from_fn(|| client.poll_send()).collect();
    let bodies: Vec<&Bytes> = sends.iter().map(|send| send.request.body()).collect();
    assert!(bodies.iter().all(|body| body.len() <= 1500));
    let opened = gzip.open(bodies[1], &Limits::default()).unwrap();
    assert_eq!(&opened[..], format!("[{said} nil]").as_bytes());
}

#[test]
fn a_broadcast_that_was_sealed_once_leaves_as_it_is() {
    let gzip: Arc<dyn Packer> = Arc::new(Gzip::new(Edn));
    let config = AjaxConfig::builder().packer(gzip.clone()).build().unwrap();
    let said = event(&format!("[:a/b {:?}]", "ab".repeat(5_000)));
    let mut packed = PackedEvent::pack(&said, &*gzip).unwrap();
    packed
        .seal_for(Role::Server, Dialect::Sente, &gzip)
        .unwrap();
    let bodies: Vec<Bytes> = (0..2)
        .map(|number| {
            let accept = Accept::new(number);
            let mut session = AjaxSession::new(config.clone(), accept, [1; 32], NOW);
            session.handle(NOW, ajax_support::HANDSHAKE);
            assert!(session.poll_respond().is_some());
            session.handle(NOW, ajax_support::WAIT);
            session.send_packed(NOW, &packed).unwrap();
            session.poll_respond().unwrap().response.body
        })
        .collect();
    assert_eq!(bodies[0].as_ptr(), bodies[1].as_ptr());
    let message = gzip.open(&bodies[0], &Limits::default()).unwrap();
    assert!(message.starts_with(b"[[[:a/b \"abab"));
}

#[test]
fn a_packer_that_fails_to_seal_ends_the_session_or_the_link_and_the_events_come_back() {
    let packer: Arc<dyn Packer> = Arc::new(Sealed);
    let config = AjaxConfig::builder()
        .packer(packer.clone())
        .build()
        .unwrap();
    let mut session = AjaxSession::new(config, Accept::new("ada"), [1; 32], NOW);
    session.handle(NOW, ajax_support::HANDSHAKE);
    assert!(session.poll_respond().is_some());
    session.handle(NOW, ajax_support::WAIT);
    session.send(NOW, event("[:a/b 1]")).unwrap();
    session.send(NOW, event("[:no/key 2]")).unwrap();
    let answers: Vec<_> = std::iter::from_fn(|| session.poll_respond()).collect();
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].response.status, 500);
    let told: Vec<_> = std::iter::from_fn(|| session.poll_event()).collect();
    let [
        ConnectionEvent::Opened(_),
        ConnectionEvent::Undelivered(lost),
        ConnectionEvent::Closed(CloseReason::Unsealed(_)),
    ] = &told[..]
    else {
        panic!("{told:?}");
    };
    assert_eq!(lost.len(), 2);

    let config = AjaxClientConfig::builder("/chsk").packer(packer);
    let mut client = AjaxClient::new(config.build().unwrap(), "c", [1; 32], NOW);
    let first = client.poll_send().unwrap();
    let mut handshake = Vec::new();
    let terms = b"[[:chsk/handshake [1 nil nil]] nil]";
    Sealed.seal(terms, &mut handshake).unwrap();
    client.handle_response(NOW, first.exchange, &Response::new(200, handshake));
    client.send(NOW, event("[:no/key 1]")).unwrap();
    client.send(NOW, event("[:a/b 2]")).unwrap();
    let sends: Vec<_> = std::iter::from_fn(|| client.poll_send()).collect();
    assert_eq!(sends.len(), 1, "the poll alone: {sends:?}");
    let told: Vec<_> = std::iter::from_fn(|| client.poll_event()).collect();
    let [
        ConnectionEvent::Opened(_),
        ConnectionEvent::Undelivered(lost),
        ConnectionEvent::Closed(CloseReason::Unsealed(_)),
    ] = &told[..]
    else {
        panic!("{told:?}");
    };
    assert_eq!(lost.len(), 2);
}
