//! The ids by which replies find their calls, as packers of several kinds write them.
#![allow(missing_docs)]

use std::sync::Arc;

use sente_core::packer::{Edn, PackError, Packer, Span, Tokens, UnpackError, Visit};
use sente_core::{CallError, Carrier, ConnectionConfig, ConnectionEvent, Dialect, Limits, Role};
use sente_edn::Value;
use sente_tests::{Pair, event, events, messages, seconds};

/// EDN in which every character of a string is escaped: it reads the same.
#[derive(Debug)]
struct Escaping;

impl Packer for Escaping {
    fn name(&self) -> &str {
        "escaping"
    }

    fn kind(&self) -> sente_core::framing::Kind {
        Edn.kind()
    }

    fn pack(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), PackError> {
        let Value::String(text) = value else {
            return Edn.pack(value, out);
        };
        out.push(b'"');
        for unit in text.encode_utf16() {
            out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
        }
        out.push(b'"');
        Ok(())
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

    fn sequence(&self, len: usize) -> Tokens {
        Edn.sequence(len)
    }

    fn map(&self, len: usize) -> Tokens {
        Edn.map(len)
    }
}

fn pair(packer: &Arc<dyn Packer>, dialect: Dialect, carrier: Carrier) -> Pair {
    let config = |role| {
        let builder = ConnectionConfig::builder(role, dialect, carrier);
        builder.packer(packer.clone()).build().unwrap()
    };
    Pair::with(config(Role::Client), config(Role::Server))
}

#[test]
fn replies_find_their_calls_however_the_packer_writes_strings() {
    let packers: [Arc<dyn Packer>; 2] = [Arc::new(Edn), Arc::new(Escaping)];
    for packer in packers {
        for (dialect, carrier) in [
            (Dialect::Sente, Carrier::WebSocket),
            (Dialect::SenteLite, Carrier::Lines),
        ] {
            let mut pair = pair(&packer, dialect, carrier);
            let now = pair.now;
            let calls = [0, 1].map(|n| {
                let event = event(&format!("[:q/a {n}]"));
                pair.client.call(now, event, seconds(5)).unwrap()
            });
            pair.drive();
            // In the other order.
            for (n, message) in messages(&mut pair.server).into_iter().enumerate().rev() {
                let answer = i64::try_from(n).unwrap() * 10;
                pair.server
                    .reply(now, message.reply.unwrap(), answer)
                    .unwrap();
            }
            pair.drive();
            let told = events(&mut pair.client);
            let settled: Vec<_> = told
                .iter()
                .map(|event| match event {
                    ConnectionEvent::Settled {
                        call,
                        result: Ok(payload),
                    } => (*call, payload.to_value().unwrap()),
                    other => panic!("{other:?}"),
                })
                .collect();
            assert_eq!(
                settled,
                [(calls[1], Value::from(10)), (calls[0], Value::from(0))],
                "{packer:?}"
            );
        }
    }
}

#[test]
fn a_cancelled_call_is_not_found_again() {
    let packers: [Arc<dyn Packer>; 2] = [Arc::new(Edn), Arc::new(Escaping)];
    for packer in packers {
        let mut pair = pair(&packer, Dialect::Sente, Carrier::WebSocket);
        let now = pair.now;
        let call = pair.client.call(now, event("[:q/a]"), seconds(5)).unwrap();
        pair.drive();
        let token = messages(&mut pair.server).remove(0).reply.unwrap();
        assert!(pair.client.cancel(call) && !pair.client.cancel(call));
        pair.server.reply(now, token, 1).unwrap();
        pair.drive();
        let told = events(&mut pair.client);
        assert!(
            matches!(
                told[..],
                [ConnectionEvent::Settled {
                    result: Err(CallError::Cancelled),
                    ..
                }]
            ),
            "{told:?}"
        );
        assert_eq!(pair.client.stats().late_replies, 1);
    }
}
