//! The registry: which handler sees what, who waits and is told, and that nothing is ever lost.
#![allow(missing_docs)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sente_core::framing::Kind;
use sente_core::packer::{Edn, PackError, Packer, Span, Tokens, UnpackError, Visit};
use sente_core::{
    Carrier, ConnId, ConnectionConfig, Delivery, Dialect, Event, Gone, Instant, Limits, Message,
    Pattern, Peer, Registry, RequestId, Role,
};
use sente_edn::{Uuid, Value};
use sente_tests::{Pair, edn, event, id, messages, seconds};

fn conn(n: u8) -> ConnId {
    ConnId::new(1_700_000_000_000 + u64::from(n), &[n; 10])
}

const fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// What sees `event`.
fn seen<H: Clone>(registry: &mut Registry<H>, event: &Event) -> Vec<H> {
    let mut seen = Vec::new();
    let count = registry.dispatch(event, |_, handler| seen.push(handler.clone()));
    assert_eq!(count, seen.len());
    seen
}

/// The event as the other side of a connection receives it: packed.
fn received(text: &str) -> Message {
    let mut pair = Pair::open(Dialect::Sente, Carrier::WebSocket);
    pair.client.send(pair.now, event(text)).unwrap();
    pair.drive();
    messages(&mut pair.server).remove(0)
}

#[test]
fn off_by_event_takes_the_handlers_and_waiters_of_that_id_only() {
    let mut registry = Registry::new();
    registry.on(Pattern::Id(id("a/b")), 1);
    registry.take(Pattern::Id(id("a/b")), Some(at(5)), 2);
    registry.on(Pattern::Id(id("a/c")), 3);
    registry.on(Pattern::Namespace("a".into()), 4);
    registry.on(Pattern::Any, 5);
    assert_eq!(registry.count(), 5);
    assert_eq!(registry.count_for(&id("a/b")), 2);
    assert_eq!(registry.off_event(&id("a/b")), 2);
    assert_eq!(registry.off_event(&id("a/b")), 0);
    assert_eq!(registry.count_for(&id("a/b")), 0);
    assert_eq!(registry.count_for(&id("a/c")), 1);
    assert_eq!(
        registry.poll_timeout(),
        None,
        "the waiter's deadline went with it"
    );
    assert_eq!(seen(&mut registry, &event("[:a/b]")), [4, 5]);
    assert_eq!(seen(&mut registry, &event("[:a/c]")), [3, 4, 5]);
}

#[test]
fn off_all_leaves_nothing_and_ids_are_not_used_again() {
    let mut registry = Registry::new();
    let first = registry.on(Pattern::Any, 1);
    registry.take(Pattern::Id(id("a/b")), Some(at(5)), 2);
    registry.take_from(conn(1), Pattern::Any, Some(at(6)), 3);
    registry.take_reply("q", None, 4);
    assert_eq!((registry.count(), registry.count_waiters()), (4, 3));
    assert_eq!(registry.off_all(), 4);
    assert_eq!(registry.off_all(), 0);
    assert!(registry.is_empty());
    assert_eq!(registry.poll_timeout(), None);
    let question = event("[:a/b {:request-id \"q\"}]");
    assert_eq!(registry.dispatch(&question, |_, _| {}), 0);
    registry.handle_closed(|_, _, _| panic!("nobody waits"));
    registry.handle_closed_of(conn(1), |_, _, _| panic!("nobody waits"));
    let second = registry.on(Pattern::Any, 5);
    assert!(second > first);
    assert!(!registry.off(first));
    assert_eq!(registry.count(), 1);
}

#[test]
fn the_order_of_registration_holds_across_all_kinds_of_patterns() {
    let mut registry = Registry::new();
    let patterns: [fn() -> Pattern; 5] = [
        || Pattern::When(Box::new(|_| true)),
        || Pattern::Id(id("a/b")),
        || Pattern::RequestId("q".into()),
        || Pattern::Namespace("a".into()),
        || Pattern::Any,
    ];
    for n in 0..100_usize {
        registry.on(patterns[(n * 7) % 5](), n);
    }
    let all: Vec<usize> = (0..100).collect();
    assert_eq!(
        seen(&mut registry, &event("[:a/b {:request-id \"q\"}]")),
        all
    );
}

#[test]
fn an_answer_finds_who_waits_for_its_request_id() {
    let mut registry = Registry::new();
    registry.take_reply("q-1", None, "first");
    registry.take_reply("q-2", None, "second");
    for (text, expected) in [
        ("[:db/rows]", None),
        ("[:db/rows {:request-id \"q-3\"}]", None),
        ("[:db/rows {:id 1 :request-id \"q-2\"}]", Some("second")),
        ("[:db/rows {:id 1 :request-id \"q-2\"}]", None),
        ("[:other/thing {:request-id \"q-1\"}]", Some("first")),
    ] {
        let from_wire = received(text);
        let got = seen(&mut registry, &from_wire.event);
        assert_eq!(got, Vec::from_iter(expected), "{text}");
    }
    assert!(registry.is_empty());
}

#[test]
fn a_handler_of_a_request_id_sees_every_part_of_the_answer() {
    let mut registry = Registry::new();
    let parts = registry.on(Pattern::RequestId(7.into()), "parts");
    for _ in 0..3 {
        assert_eq!(
            seen(&mut registry, &event("[:nrepl/out {:request-id 7}]")),
            ["parts"]
        );
    }
    assert!(registry.off(parts));
    assert_eq!(
        seen(&mut registry, &event("[:nrepl/out {:request-id 7}]")),
        Vec::<&str>::new()
    );
}

#[test]
fn a_request_id_is_read_alike_from_a_value_and_from_the_wire() {
    let uuid = Uuid::from_u128(0xf81d_4fae_7dec_11d0_a765_00a0_c91e_6bf6);
    for (data, expected) in [
        ("{:request-id \"q\"}", Some(RequestId::from("q"))),
        ("{:request-id \"a\\nb\"}", Some(RequestId::from("a\nb"))),
        ("{:request-id -7}", Some(RequestId::from(-7))),
        ("{:request-id 7N}", Some(RequestId::from(7))),
        (
            "{:request-id :k/w}",
            RequestId::from_value(&Value::keyword("k/w").unwrap()),
        ),
        (
            "{:request-id sym}",
            RequestId::from_value(&Value::symbol("sym").unwrap()),
        ),
        (
            "{:request-id #uuid \"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\"}",
            Some(RequestId::from(uuid)),
        ),
        (
            "{:a {:request-id 1}, [1 2] {}, \"request-id\" 2, :request-id 3}",
            Some(RequestId::from(3)),
        ),
        ("{:request-id nil}", None),
        ("{:request-id true}", None),
        ("{:request-id 1.5}", None),
        ("{:request-id 99999999999999999999}", None),
        ("{:request-id [1]}", None),
        ("{:request-id {:request-id 1}}", None),
        ("{:request-id #my/tag 1}", None),
        ("{:my/request-id 1}", None),
        ("{}", None),
        ("[:request-id 1]", None),
        ("nil", None),
        ("\"{:request-id 1}\"", None),
    ] {
        let text = format!("[:a/b {data}]");
        assert_eq!(event(&text).request_id(), expected, "{text} as a value");
        let message = received(&text);
        assert!(
            message
                .event
                .data
                .as_ref()
                .is_some_and(|data| data.raw().is_some())
        );
        assert_eq!(message.event.request_id(), expected, "{text} from the wire");
        if let Some(request) = expected {
            assert_eq!(RequestId::from_value(&request.to_value()), Some(request));
        }
    }
}

#[test]
fn a_received_payload_is_not_looked_into_unless_somebody_waits_for_a_request_id() {
    let counting = Arc::new(Counting::default());
    let configure = |role| {
        ConnectionConfig::builder(role, Dialect::Sente, Carrier::WebSocket)
            .packer(counting.clone())
            .build()
            .unwrap()
    };
    let mut pair = Pair::with(configure(Role::Client), configure(Role::Server));
    let data = format!("[:a/b {{:rows {:?} :request-id \"q\"}}]", vec![0; 1000]);
    pair.client.send(pair.now, event(&data)).unwrap();
    pair.drive();
    let message = messages(&mut pair.server).remove(0);
    counting.reset();

    let mut registry = Registry::new();
    registry.on(Pattern::Any, "any");
    registry.on(Pattern::Namespace("a".into()), "namespace");
    registry.on(Pattern::Id(id("a/b")), "id");
    assert_eq!(seen(&mut registry, &message.event).len(), 3);
    assert_eq!(counting.counts(), (0, 0));

    registry.take_reply("q", None, "waiter");
    assert_eq!(seen(&mut registry, &message.event).len(), 4);
    assert_eq!(
        counting.counts(),
        (1, "\"q\"".len()),
        "one walk, and nothing is built but the id"
    );

    assert_eq!(seen(&mut registry, &message.event).len(), 3);
    assert_eq!(counting.counts(), (1, 3), "the waiter is gone");
}

#[test]
fn a_handler_learns_who_sent_a_message_and_one_of_them_answers() {
    let mut pair = Pair::open(Dialect::Sente, Carrier::WebSocket);
    let call = pair
        .client
        .call(pair.now, event("[:chat/ask 1]"), seconds(5))
        .unwrap();
    pair.drive();
    let mut message = messages(&mut pair.server).remove(0);
    let ada = Peer::of_user(conn(1), "ada");

    let mut registry = Registry::new();
    for n in 0..3 {
        registry.on(Pattern::Any, n);
    }
    let mut tokens = Vec::new();
    let mut delivery = Delivery::of_message(&mut message).sent_by(&ada);
    let count = registry.deliver(&mut delivery, |_, handler, delivery| {
        let user = delivery.from.and_then(|peer| peer.user.as_deref());
        assert_eq!(user, Some("ada"));
        assert_eq!(delivery.event.id, id("chat/ask"));
        assert_eq!(delivery.wants_reply(), *handler < 2);
        if *handler > 0 {
            tokens.extend(delivery.take_reply());
        }
    });
    assert_eq!(count, 3);
    assert_eq!(tokens.len(), 1);
    assert!(message.reply.is_none());

    pair.server.reply(pair.now, tokens.remove(0), "me").unwrap();
    pair.drive();
    let settled = sente_tests::events(&mut pair.client)
        .into_iter()
        .any(|event| {
            matches!(event, sente_core::ConnectionEvent::Settled { call: of, result: Ok(_) } if of == call)
        });
    assert!(settled);
}

#[test]
fn a_reply_token_that_no_handler_takes_stays_with_the_message() {
    let mut pair = Pair::open(Dialect::Sente, Carrier::WebSocket);
    pair.client
        .call(pair.now, event("[:chat/ask 1]"), seconds(5))
        .unwrap();
    pair.drive();
    let mut message = messages(&mut pair.server).remove(0);
    let mut registry = Registry::new();
    registry.on(Pattern::Any, ());
    registry.deliver(
        &mut Delivery::of_message(&mut message),
        |_, (), delivery| {
            assert!(delivery.wants_reply());
        },
    );
    let token = message.reply.take().unwrap();
    pair.server.reply_error(pair.now, token).unwrap();
    assert!(!Delivery::of_message(&mut message).wants_reply());
    assert!(!Delivery::new(&message.event).wants_reply());
    assert_eq!(Delivery::new(&message.event).take_reply(), None);
}

#[test]
fn another_client_cannot_answer_what_is_awaited_from_one() {
    let mut registry = Registry::new();
    let request = || Pattern::RequestId("q".into());
    registry.take_from(conn(1), request(), None, "waiter");
    let answer = event("[:a/answer {:request-id \"q\"}]");
    let deliver = |registry: &mut Registry<&str>, from: Option<&Peer>| {
        let mut delivery = Delivery::new(&answer);
        if let Some(peer) = from {
            delivery = delivery.sent_by(peer);
        }
        registry.deliver(&mut delivery, |_, _, _| {})
    };
    assert_eq!(deliver(&mut registry, None), 0);
    assert_eq!(
        deliver(&mut registry, Some(&Peer::of_user(conn(2), "eve"))),
        0
    );
    assert_eq!(
        deliver(&mut registry, Some(&Peer::of_user(conn(1), "ada"))),
        1
    );
    assert_eq!(
        deliver(&mut registry, Some(&Peer::of_user(conn(1), "ada"))),
        0
    );
}

#[test]
fn the_close_of_one_connection_ends_only_what_waits_for_it() {
    let mut registry = Registry::new();
    registry.on(Pattern::Any, "stays");
    registry.take_from(conn(2), Pattern::Any, None, "two");
    registry.take_from(conn(1), Pattern::Any, Some(at(9)), "one");
    registry.take(Pattern::Any, None, "anybody");
    registry.take_from(conn(1), Pattern::Any, None, "one again");
    let mut gone = Vec::new();
    registry.handle_closed_of(conn(1), |_, handler, why| gone.push((handler, why)));
    assert_eq!(gone, [("one", Gone::Closed), ("one again", Gone::Closed)]);
    assert_eq!(registry.poll_timeout(), None);
    assert_eq!((registry.count(), registry.count_waiters()), (3, 2));
    gone.clear();
    registry.handle_closed(|_, handler, why| gone.push((handler, why)));
    assert_eq!(gone, [("two", Gone::Closed), ("anybody", Gone::Closed)]);
    assert_eq!((registry.count(), registry.count_waiters()), (1, 0));
}

#[test]
fn handlers_stay_over_a_reconnect_and_see_the_new_connection() {
    let mut registry = Registry::new();
    registry.on(Pattern::Id(id("a/b")), "stays");
    registry.take(Pattern::Id(id("a/b")), None, "waits");
    let mut gone = Vec::new();
    for connection in 0..3 {
        let mut pair = Pair::open(Dialect::Sente, Carrier::WebSocket);
        if connection > 0 {
            pair.server.send(pair.now, event("[:a/b]")).unwrap();
            pair.drive();
            let message = messages(&mut pair.client).remove(0);
            assert_eq!(seen(&mut registry, &message.event), ["stays"]);
        }
        pair.server.close(pair.now);
        pair.drive();
        registry.handle_closed(|_, handler, why| gone.push((handler, why)));
    }
    assert_eq!(gone, [("waits", Gone::Closed)]);
}

#[test]
fn waiters_time_out_in_the_order_of_their_deadlines() {
    let mut registry = Registry::new();
    for (n, deadline) in [30, 10, 20, 10, 40].into_iter().enumerate() {
        registry.take(Pattern::Any, Some(at(deadline)), n);
    }
    let mut gone = Vec::new();
    registry.handle_timeout(at(30), |_, handler, why| {
        assert_eq!(why, Gone::Timeout);
        gone.push(handler);
    });
    assert_eq!(gone, [1, 3, 2, 0]);
    assert_eq!(registry.poll_timeout(), Some(at(40)));
}

#[test]
fn a_waiter_that_saw_its_event_has_no_deadline_any_more() {
    let mut registry = Registry::new();
    registry.take(Pattern::Any, Some(at(5)), ());
    assert_eq!(registry.dispatch(&event("[:a/b]"), |_, ()| {}), 1);
    assert_eq!(registry.poll_timeout(), None);
    registry.handle_timeout(at(9), |_, (), _| panic!("it was answered"));
    registry.handle_closed(|_, (), _| panic!("it was answered"));
}

#[test]
fn a_visitor_that_panics_loses_no_other_waiter() {
    let panics = |f: &mut dyn FnMut()| {
        assert!(catch_unwind(AssertUnwindSafe(f)).is_err());
    };
    let mut registry = Registry::new();
    for n in 0..4 {
        registry.take(Pattern::Any, Some(at(5)), n);
    }
    let stays = registry.on(Pattern::Any, 9);

    panics(&mut || {
        registry.dispatch(&event("[:a/b]"), |_, handler| {
            assert_ne!(*handler, 0, "on purpose");
        });
    });
    assert_eq!(registry.count(), 4, "it was visited, and once is once");

    panics(&mut || registry.handle_timeout(at(5), |_, _, _| panic!("on purpose")));
    assert_eq!(registry.count(), 3);
    assert_eq!(
        registry.poll_timeout(),
        Some(at(5)),
        "the others are still due"
    );

    panics(&mut || registry.handle_closed(|_, _, _| panic!("on purpose")));
    let mut told = Vec::new();
    registry.handle_closed(|_, handler, _| told.push(handler));
    assert_eq!(told, [3]);

    panics(&mut || {
        registry.dispatch(&event("[:a/b]"), |_, _| panic!("on purpose"));
    });
    assert!(registry.off(stays), "a handler that stays, stays");
    assert!(registry.is_empty());
}

#[test]
fn a_predicate_that_panics_loses_nobody() {
    let mut registry = Registry::new();
    registry.take(
        Pattern::When(Box::new(|_| panic!("on purpose"))),
        Some(at(5)),
        1,
    );
    registry.take(Pattern::Any, Some(at(5)), 2);
    let dispatched = catch_unwind(AssertUnwindSafe(|| {
        registry.dispatch(&event("[:a/b]"), |_, _| {});
    }));
    assert!(dispatched.is_err());
    let mut told = Vec::new();
    registry.handle_timeout(at(5), |_, handler, _| told.push(handler));
    assert_eq!(told, [1, 2]);
}

/// EDN that counts how often payloads are walked over, and how many bytes are unpacked.
#[derive(Debug, Default)]
struct Counting {
    walks: AtomicUsize,
    unpacked: AtomicUsize,
}

impl Counting {
    fn counts(&self) -> (usize, usize) {
        (
            self.walks.load(Ordering::Relaxed),
            self.unpacked.load(Ordering::Relaxed),
        )
    }

    fn reset(&self) {
        self.walks.store(0, Ordering::Relaxed);
        self.unpacked.store(0, Ordering::Relaxed);
    }
}

impl Packer for Counting {
    fn name(&self) -> &str {
        "edn"
    }

    fn kind(&self) -> Kind {
        Edn.kind()
    }

    fn pack(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), PackError> {
        Edn.pack(value, out)
    }

    fn unpack(&self, packed: &[u8], limits: &Limits) -> Result<Value, UnpackError> {
        self.unpacked.fetch_add(packed.len(), Ordering::Relaxed);
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
        self.walks.fetch_add(1, Ordering::Relaxed);
        Edn.entries(packed, limits, visit);
    }

    fn sequence(&self, len: usize) -> Tokens {
        Edn.sequence(len)
    }

    fn map(&self, len: usize) -> Tokens {
        Edn.map(len)
    }
}

#[test]
fn a_value_that_is_no_request_id_makes_none() {
    for text in ["nil", "1.5", "[1]", "{}", "#{}", "\\a", "true"] {
        assert_eq!(RequestId::from_value(&edn(text)), None, "{text}");
    }
}
