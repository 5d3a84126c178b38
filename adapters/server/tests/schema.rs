//! What a `SchemaGuard` lets through, and what it says of the rest.
#![cfg(feature = "json-schema")]
#![allow(missing_docs)]

use std::sync::Arc;

use sente_core::{
    Action, ConnId, Denied, Event, EventGate, EventId, EventRefusal, Guard, Instant, Payload, Peer,
    RecvRates,
};
use sente_server::SchemaGuard;

const SAY: &str = r#"{
    "type": "object",
    "required": ["text"],
    "additionalProperties": false,
    "properties": {
        "text": {"type": "string", "maxLength": 10},
        "to": {"type": "array", "items": {"type": "string", "pattern": "^[a-z]+$"}},
        "chat/room": {"enum": ["lobby", "cellar"]}
    }
}"#;

fn id(name: &str) -> EventId {
    EventId::new(name).unwrap()
}

fn event(text: &str) -> Event {
    Event::from_value(sente_core::edn::from_str(text).unwrap()).unwrap()
}

fn peer() -> Peer {
    Peer::new(ConnId::new(0, &[1; 10]))
}

fn guard() -> SchemaGuard {
    SchemaGuard::new().event(id("chat/say"), SAY).unwrap()
}

fn check(guard: &SchemaGuard, said: &str) -> Result<(), Denied> {
    guard.check(&peer(), &Action::Event(&event(said)))
}

#[test]
fn data_that_match_pass_with_keywords_as_their_names() {
    for said in [
        "[:chat/say {:text \"hi\"}]",
        "[:chat/say {:text \"hi\" :to #{\"ada\"}}]",
        "[:chat/say {:text :hi :to (\"ada\" bob) :chat/room :lobby}]",
        "[:chat/say {\"text\" \"hi\"}]",
    ] {
        assert_eq!(check(&guard(), said), Ok(()), "{said}");
    }
}

#[test]
fn what_does_not_match_is_denied_with_its_place() {
    for (said, place) in [
        ("[:chat/say {:text 17}]", "/text: "),
        ("[:chat/say {:text \"hi\" :to [\"ada\" \"B\"]}]", "/to/1: "),
        (
            "[:chat/say {:text \"hi\" :chat/room :attic}]",
            "/chat~1room: ",
        ),
        ("[:chat/say {:text \"hi\" :more 1}]", ": "),
        ("[:chat/say {}]", ": "),
        ("[:chat/say]", ": "),
        ("[:chat/say nil]", ": "),
        ("[:chat/say {:text \"far too long a text\"}]", "/text: "),
    ] {
        let denied = check(&guard(), said).unwrap_err();
        assert_eq!(denied.reason, "invalid", "{said}");
        let detail = denied.detail.unwrap();
        assert!(detail.starts_with(place), "{said}: {detail}");
        assert!(!detail.contains("far too long"), "{detail}");
    }
}

#[test]
fn the_refusal_of_a_gate_says_the_place() {
    let mut gate = EventGate::new(&RecvRates::default(), Some(Arc::new(guard())));
    let peer = peer();
    let mut ask = |said: &str| gate.check(Instant::EPOCH, &peer, &event(said), None);
    assert_eq!(ask("[:chat/say {:text \"hi\"}]"), Ok(()));
    let refused = ask("[:chat/say {:text 17}]").unwrap_err();
    assert!(matches!(refused, EventRefusal::Denied(_)));
    let told = refused.to_string();
    assert!(told.starts_with("denied: invalid (/text: "), "{told}");
}

#[test]
fn events_without_a_schema_pass_unless_only_those_with_one_may() {
    assert_eq!(check(&guard(), "[:chat/leave 17]"), Ok(()));
    let strict = guard().only_listed();
    let denied = check(&strict, "[:chat/leave 17]").unwrap_err();
    assert_eq!(denied, Denied::new("no-schema"));
    assert_eq!(check(&strict, "[:chat/say {:text \"hi\"}]"), Ok(()));
}

#[test]
fn data_over_the_limit_are_not_even_looked_at() {
    let small = guard().max_bytes(20);
    assert_eq!(check(&small, "[:chat/say {:text \"0123\"}]"), Ok(()));
    let denied = check(&small, "[:chat/say {:text \"01234567890123\"}]").unwrap_err();
    assert_eq!(denied.reason, "too-large");
    assert_eq!(
        check(&small, "[:chat/other \"01234567890123456789\"]"),
        Ok(())
    );
}

#[test]
fn data_that_nest_without_end_are_denied_and_cost_no_stack() {
    let deep = format!("[:chat/say {}1{}]", "[".repeat(5_000), "]".repeat(5_000));
    let limits = sente_core::edn::Limits::default().max_depth(10_000);
    let value = sente_core::edn::from_slice_with(deep.as_bytes(), &limits).unwrap();
    let event = Event::from_value(value).unwrap();
    let denied = guard().check(&peer(), &Action::Event(&event));
    assert_eq!(denied.unwrap_err().reason, "invalid");
}

#[test]
fn another_guard_is_asked_of_what_passes_and_of_all_that_is_no_event() {
    let next = |_: &Peer, _: &Action<'_>| Err(Denied::new("not-today"));
    let both = guard().and(Arc::new(next));
    let valid = check(&both, "[:chat/say {:text \"hi\"}]");
    assert_eq!(valid, Err(Denied::new("not-today")));
    assert_eq!(
        check(&both, "[:chat/say {}]").unwrap_err().reason,
        "invalid"
    );
    let (channel, data) = (sente_core::edn::Value::Nil, Payload::from(1));
    let publish = Action::Publish {
        channel: &channel,
        data: &data,
    };
    assert!(both.check(&peer(), &publish).is_err());
    assert_eq!(guard().check(&peer(), &publish), Ok(()));
}

#[test]
fn a_schema_that_is_none_is_refused_with_the_name_of_its_event() {
    for (schema, wrong) in [
        ("{", "EOF"),
        ("{\"type\": \"thing\"}", "thing"),
        ("{\"pattern\": \"(?=a)b\"}", "regex"),
        (
            "{\"$ref\": \"https://example.org/schema.json\"}",
            "example.org",
        ),
    ] {
        let error = SchemaGuard::new().event(id("a/b"), schema).unwrap_err();
        assert_eq!(error.event, id("a/b"));
        let told = error.to_string();
        assert!(told.starts_with("the schema of :a/b: "), "{told}");
        assert!(told.contains(wrong), "{schema}: {told}");
    }
}
