//! How calls of a connection are answered, time out, and settle.
#![allow(missing_docs)]

use sente_core::{
    CallError, Carrier, Connection, ConnectionConfig, ConnectionEvent, Dialect, Hello, Input,
    Limits, Role, SendError, State,
};
use sente_tests::{Pair, edn, event, events, messages, millis, seconds};

const LINKS: [(Dialect, Carrier); 6] = [
    (Dialect::Sente, Carrier::WebSocket),
    (Dialect::SenteLite, Carrier::WebSocket),
    (Dialect::SenteLite, Carrier::Lines),
    (Dialect::SenteLite, Carrier::LengthPrefixed),
    (Dialect::Sente, Carrier::Lines),
    (Dialect::Sente, Carrier::LengthPrefixed),
];

/// An open pair on any of the links; Sente on a byte stream is asked for by a hello.
fn pair(dialect: Dialect, carrier: Carrier) -> Pair {
    pair_with(dialect, carrier, Limits::default())
}

fn pair_with(dialect: Dialect, carrier: Carrier, limits: Limits) -> Pair {
    let mut client =
        ConnectionConfig::builder(Role::Client, dialect, carrier).limits(limits.clone());
    if carrier != Carrier::WebSocket {
        let mut hello = Hello::new();
        hello.dialect = Some(dialect);
        client = client.hello(hello);
    }
    // A listener on a byte stream begins with sente-lite; the hello changes that.
    let served = match carrier {
        Carrier::WebSocket => dialect,
        _ => Dialect::SenteLite,
    };
    let server = ConnectionConfig::builder(Role::Server, served, carrier).limits(limits);
    let pair = Pair::with(client.build().unwrap(), server.build().unwrap());
    assert_eq!(pair.client.dialect(), dialect, "{carrier:?}");
    assert_eq!(pair.server.dialect(), dialect, "{carrier:?}");
    assert_eq!(pair.client.state(), State::Open);
    pair
}

fn settled(connection: &mut Connection) -> Vec<Result<String, CallError>> {
    events(connection)
        .into_iter()
        .filter_map(|event| match event {
            ConnectionEvent::Settled { result, .. } => {
                Some(result.map(|payload| sente_edn::to_string(&payload.to_value().unwrap())))
            }
            _ => None,
        })
        .collect()
}

#[test]
fn a_client_calls_on_every_link_and_a_server_where_the_dialect_can_answer() {
    for (dialect, carrier) in LINKS {
        let mut pair = pair(dialect, carrier);
        pair.client
            .call(pair.now, event("[:q/a 1]"), seconds(1))
            .unwrap();
        pair.drive();
        let token = messages(&mut pair.server).remove(0).reply.unwrap();
        pair.server.reply(pair.now, token, edn("{:b 2}")).unwrap();
        pair.drive();
        assert_eq!(
            settled(&mut pair.client),
            [Ok("{:b 2}".into())],
            "{dialect:?} {carrier:?}"
        );

        let called = pair.server.call(pair.now, event("[:q/b 2]"), seconds(1));
        if (dialect, carrier) == (Dialect::Sente, Carrier::WebSocket) {
            assert!(matches!(called, Err(SendError::CallsUnsupported(_))));
            continue;
        }
        called.unwrap();
        pair.drive();
        let token = messages(&mut pair.client).remove(0).reply.unwrap();
        pair.client.reply(pair.now, token, edn("nil")).unwrap();
        pair.drive();
        assert_eq!(
            settled(&mut pair.server),
            [Ok("nil".into())],
            "{dialect:?} {carrier:?}"
        );
    }
}

#[test]
fn a_call_times_out_and_its_late_reply_is_counted() {
    let mut pair = pair(Dialect::Sente, Carrier::WebSocket);
    pair.client
        .call(pair.now, event("[:q/a 1]"), millis(500))
        .unwrap();
    pair.advance(millis(499));
    assert_eq!(settled(&mut pair.client), []);
    pair.advance(millis(1));
    assert_eq!(settled(&mut pair.client), [Err(CallError::Timeout)]);
    let token = messages(&mut pair.server).remove(0).reply.unwrap();
    pair.server.reply(pair.now, token, edn("1")).unwrap();
    pair.drive();
    assert_eq!(settled(&mut pair.client), []);
    assert_eq!(pair.client.stats().late_replies, 1);
    assert_eq!(pair.client.pending_calls(), 0);
}

#[test]
fn a_cancelled_call_settles_once() {
    let mut pair = pair(Dialect::SenteLite, Carrier::Lines);
    let call = pair
        .client
        .call(pair.now, event("[:q/a 1]"), seconds(1))
        .unwrap();
    assert!(pair.client.cancel(call));
    assert!(!pair.client.cancel(call));
    pair.advance(seconds(2));
    assert_eq!(settled(&mut pair.client), [Err(CallError::Cancelled)]);
}

#[test]
fn a_call_settles_when_its_link_dies() {
    for (dialect, carrier) in LINKS {
        let mut pair = pair(dialect, carrier);
        pair.client
            .call(pair.now, event("[:q/a 1]"), seconds(60))
            .unwrap();
        pair.drive();
        pair.client
            .handle_input(pair.now, Input::Failed("connection reset".into()));
        assert_eq!(
            settled(&mut pair.client),
            [Err(CallError::Closed)],
            "{dialect:?} {carrier:?}"
        );
        assert_eq!(pair.client.state(), State::Closed);
        assert!(pair.client.is_finished());
    }
}

#[test]
fn a_failing_handler_settles_its_caller() {
    for (dialect, carrier) in LINKS {
        let mut pair = pair(dialect, carrier);
        pair.client
            .call(pair.now, event("[:q/a 1]"), seconds(60))
            .unwrap();
        pair.drive();
        let token = messages(&mut pair.server).remove(0).reply.unwrap();
        pair.server.reply_error(pair.now, token).unwrap();
        pair.drive();
        assert_eq!(
            settled(&mut pair.client),
            [Err(CallError::Peer)],
            "{dialect:?} {carrier:?}"
        );
    }
}
