//! W3C's `traceparent` between peers that agreed on it, and nothing of it for anybody else.
#![allow(missing_docs)]

use std::sync::Arc;

use proptest::prelude::*;
use sente_core::packer::{Edn, Gzip, Json, MsgPack, Packer, TransitJson};
use sente_core::{
    Accept, Carrier, Connection, ConnectionConfig, ConnectionEvent, Dialect, Extensions, Hello,
    Instant, Limits, PackedEvent, Policy, Role, SendOptions, Traceparent,
};
use sente_tests::{Pair, RawPeer, event, events, messages, seconds, text};

const NOW: Instant = Instant::EPOCH;
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn parent() -> Traceparent {
    PARENT.parse().unwrap()
}

const TRACE: Extensions = Extensions::NONE.with_trace();

fn pair_of(
    dialect: Dialect,
    carrier: Carrier,
    packer: &Arc<dyn Packer>,
    offer: Extensions,
) -> Pair {
    let mut client = ConnectionConfig::builder(Role::Client, dialect, carrier)
        .packer(packer.clone())
        .offer(offer);
    let mut server = dialect;
    if carrier != Carrier::WebSocket {
        let mut hello = Hello::new();
        hello.dialect = Some(dialect);
        client = client.hello(hello);
        server = Dialect::SenteLite;
    }
    let server = ConnectionConfig::builder(Role::Server, server, carrier).packer(packer.clone());
    let mut accept = Accept::new("u");
    accept.offered = (carrier == Carrier::WebSocket).then_some(offer);
    Pair::accepted(client.build().unwrap(), server.build().unwrap(), accept)
}

fn pair(offer: Extensions) -> Pair {
    let edn: Arc<dyn Packer> = Arc::new(Edn);
    pair_of(Dialect::Sente, Carrier::WebSocket, &edn, offer)
}

#[test]
fn an_event_keeps_its_trace_in_both_directions_dialects_and_all_packers() {
    let packers: [Arc<dyn Packer>; 5] = [
        Arc::new(Edn),
        Arc::new(Gzip::new(Edn)),
        Arc::new(Json::default()),
        Arc::new(MsgPack::default()),
        Arc::new(TransitJson::default()),
    ];
    for dialect in [Dialect::Sente, Dialect::SenteLite] {
        for carrier in [Carrier::WebSocket, Carrier::LengthPrefixed] {
            for packer in &packers {
                for offer in [TRACE, Extensions::ALL] {
                    let mut pair = pair_of(dialect, carrier, packer, offer);
                    let case = format!("{dialect:?} {carrier:?} {} {offer}", packer.name());
                    for said in ["[:a/b {:x 1}]", "[:a/b]", "[:a/b nil]"] {
                        for _ in 0..2 {
                            let said = || event(said).with_traceparent(parent());
                            pair.client.send(pair.now, said()).unwrap();
                            pair.server.send(pair.now, said()).unwrap();
                        }
                        pair.client.send(pair.now, event(said)).unwrap();
                        pair.drive();
                        for (side, count) in [(&mut pair.server, 3), (&mut pair.client, 2)] {
                            let got = messages(side);
                            assert_eq!(got.len(), count, "{case}");
                            for message in &got[..2] {
                                assert_eq!(text(message), said, "{case}");
                                let carried = message.event.traceparent.as_deref();
                                assert_eq!(carried, Some(&parent()), "{case}");
                            }
                            for message in &got[2..] {
                                assert_eq!(message.event.traceparent, None, "{case}");
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn the_events_of_a_batch_that_is_read_bit_by_bit_keep_theirs() {
    let mut limits = Limits::default();
    limits.max_recv_messages = 2;
    let client = ConnectionConfig::builder(Role::Client, Dialect::Sente, Carrier::WebSocket)
        .limits(limits)
        .offer(TRACE);
    let server = ConnectionConfig::builder(Role::Server, Dialect::Sente, Carrier::WebSocket);
    let mut accept = Accept::new("u");
    accept.offered = Some(TRACE);
    let mut pair = Pair::accepted(client.build().unwrap(), server.build().unwrap(), accept);
    let parent_of = |n: u8| Traceparent::new([1; 16], [n; 8], true).unwrap();
    for n in 1..=100 {
        let said = event(&format!("[:a/b {n}]"));
        let traced = said.with_traceparent(parent_of(n));
        pair.server.send(pair.now, traced).unwrap();
    }
    pair.drive();
    let got = messages(&mut pair.client);
    assert_eq!(got.len(), 100);
    for (n, message) in (1..).zip(got) {
        assert_eq!(text(&message), format!("[:a/b {n}]"));
        assert_eq!(message.event.traceparent.as_deref(), Some(&parent_of(n)));
    }
}

#[test]
fn a_call_has_its_trace_around_the_event_and_is_answered() {
    let mut pair = pair(TRACE);
    let call = event("[:ask/this 1]").with_traceparent(parent());
    pair.client.call(pair.now, call, seconds(1)).unwrap();
    pair.drive();
    let asked = messages(&mut pair.server).remove(0);
    assert_eq!(asked.event.traceparent.as_deref(), Some(&parent()));
    let token = asked.reply.unwrap();
    pair.server.reply(pair.now, token, 2).unwrap();
    pair.drive();
    assert_eq!(pair.client.pending_calls(), 0);
}

/// A stock server, and the client of whoever tests it.
fn stock() -> (Connection, RawPeer) {
    let config = ConnectionConfig::builder(Role::Server, Dialect::Sente, Carrier::WebSocket);
    let mut server = Connection::new(config.build().unwrap(), [1; 32], NOW);
    server.accept(NOW, Accept::new("u"));
    let mut peer = RawPeer::new(Role::Client);
    peer.hear(&mut server, NOW);
    (server, peer)
}

#[test]
fn to_a_peer_that_did_not_ask_for_it_an_event_goes_without_its_trace() {
    let (mut server, mut peer) = stock();
    server
        .send(NOW, event("[:a/b 1]").with_traceparent(parent()))
        .unwrap();
    assert_eq!(peer.texts(&mut server, NOW), ["[[[:a/b 1]] nil]"]);
    let mut plain = pair(Extensions::NONE.with_batch());
    plain
        .client
        .send(plain.now, event("[:a/b 1]").with_traceparent(parent()))
        .unwrap();
    plain.drive();
    assert_eq!(messages(&mut plain.server)[0].event.traceparent, None);
}

#[test]
fn a_trace_that_was_not_agreed_on_is_a_reserved_id() {
    let (mut server, mut peer) = stock();
    peer.say(
        &mut server,
        NOW,
        &format!("[[:chsk/trace {PARENT:?} [:a/b 1]] nil]"),
    );
    assert!(messages(&mut server).is_empty());
    assert_eq!(server.stats().bad_events, 1);
}

/// A server that agreed to traces, what it hears as text, and how many bad events that made.
fn heard(said: &str) -> (Vec<(String, Option<Traceparent>)>, u64) {
    let config = ConnectionConfig::builder(Role::Server, Dialect::Sente, Carrier::WebSocket);
    let mut server = Connection::new(config.build().unwrap(), [1; 32], NOW);
    let mut accept = Accept::new("u");
    accept.offered = Some(Extensions::ALL);
    server.accept(NOW, accept);
    RawPeer::new(Role::Client).say(&mut server, NOW, said);
    let heard = messages(&mut server)
        .iter()
        .map(|message| (text(message), message.event.traceparent.as_deref().copied()))
        .collect();
    (heard, server.stats().bad_events)
}

#[test]
fn a_traceparent_of_another_form_is_passed_over_and_the_event_taken() {
    for wrong in [
        "",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
        "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "0-04bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ] {
        assert!(wrong.parse::<Traceparent>().is_err(), "{wrong}");
        let said = format!("[[:chsk/trace {wrong:?} [:a/b 1]] nil]");
        assert_eq!(
            heard(&said),
            (vec![("[:a/b 1]".to_owned(), None)], 0),
            "{wrong}"
        );
    }
}

#[test]
fn of_a_later_version_only_the_sampled_bit_is_taken() {
    let later = PARENT.replacen("00", "cc", 1).replace("-01", "-ff");
    assert_eq!(later.parse(), Ok(parent()));
    let flags = PARENT.replace("-01", "-02");
    let unsampled: Traceparent = flags.parse().unwrap();
    assert!(!unsampled.is_sampled());
    assert_eq!(unsampled.to_string(), flags);
}

#[test]
fn a_wrapper_holds_one_event_and_no_other_wrapper() {
    for wrong in [
        format!("[:chsk/trace {PARENT:?}]"),
        format!("[:chsk/trace {PARENT:?} :a/b]"),
        format!("[:chsk/trace {PARENT:?} []]"),
        "[:chsk/trace]".to_owned(),
        "[:chsk/trace :x [:a/b 1]]".to_owned(),
        format!("[:chsk/trace {PARENT:?} [:chsk/trace {PARENT:?} [:a/b 1]]]"),
        format!("[:chsk/trace {PARENT:?} [:chsk/handshake [1 2 3]]]"),
        format!("[:chsk/trace {PARENT:?} [:a/b 1 2]]"),
        format!("[:chsk/trace {PARENT:?} [:chsk/closed 1]]"),
    ] {
        assert_eq!(heard(&format!("[{wrong} nil]")), (vec![], 1), "{wrong}");
    }
    // In a batch it costs nobody else anything.
    let batch = format!("[[[:a/b 1] [:chsk/trace 1] [:chsk/trace {PARENT:?} [:c/d]]] nil]");
    let (got, bad) = heard(&batch);
    assert_eq!(bad, 1);
    let expected = [
        ("[:a/b 1]".to_owned(), None),
        ("[:c/d]".to_owned(), Some(parent())),
    ];
    assert_eq!(got, expected);
}

#[test]
fn an_event_packed_for_many_has_its_trace_where_a_link_takes_it() {
    let traced = event("[:a/b 1]").with_traceparent(parent());
    let mut packed = PackedEvent::pack(&traced, &Edn).unwrap();
    let edn: Arc<dyn Packer> = Arc::new(Edn);
    packed.seal_for(Role::Server, Dialect::Sente, &edn).unwrap();
    for (offer, expected) in [(TRACE, Some(parent())), (Extensions::NONE, None)] {
        let mut pair = pair(offer);
        pair.server.send_packed(pair.now, &packed).unwrap();
        pair.drive();
        let got = messages(&mut pair.client).remove(0);
        assert_eq!(text(&got), "[:a/b 1]");
        assert_eq!(got.event.traceparent.as_deref().copied(), expected);
    }
}

#[test]
fn what_was_not_delivered_comes_back_as_it_was_handed_in() {
    let config = ConnectionConfig::builder(Role::Server, Dialect::Sente, Carrier::WebSocket);
    let mut server = Connection::new(config.keep_dropped(1_000).build().unwrap(), [1; 32], NOW);
    let mut accept = Accept::new("u");
    accept.offered = Some(TRACE);
    server.accept(NOW, accept);
    let latest = || SendOptions::new().policy(Policy::Latest("k".into()));
    for said in ["[:a/b 1]", "[:a/b 2]"] {
        let said = event(said).with_traceparent(parent());
        server.send_with(NOW, said, latest()).unwrap();
    }
    server.send(NOW, event("[:a/c]")).unwrap();
    server.handle_input(NOW, sente_core::Input::Failed("gone".into()));
    let told = events(&mut server);
    let back: Vec<PackedEvent> = told
        .into_iter()
        .flat_map(|event| match event {
            ConnectionEvent::Dropped(dropped) => dropped.events,
            ConnectionEvent::Undelivered(events) => events,
            _ => Vec::new(),
        })
        .collect();
    let texts: Vec<&[u8]> = back.iter().map(|event| &event.bytes()[..]).collect();
    assert_eq!(texts, [&b"[:a/b 1]"[..], b"[:a/b 2]", b"[:a/c]"]);
    // On another link that takes traces they have theirs again.
    let mut next = pair(TRACE);
    for event in &back {
        next.server.send_packed(next.now, event).unwrap();
    }
    next.drive();
    let carried: Vec<bool> = messages(&mut next.client)
        .iter()
        .map(|message| message.event.traceparent.is_some())
        .collect();
    assert_eq!(carried, [true, true, false]);
}

#[test]
fn a_relayed_event_goes_on_with_its_trace() {
    let mut first = pair(TRACE);
    first
        .client
        .send(first.now, event("[:a/b 1]").with_traceparent(parent()))
        .unwrap();
    first.drive();
    let received = messages(&mut first.server).remove(0);
    let mut second = pair(TRACE);
    second.server.send(second.now, received.event).unwrap();
    second.drive();
    let got = messages(&mut second.client).remove(0);
    assert_eq!(got.event.traceparent.as_deref(), Some(&parent()));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_and_what_is_read_is_written_back(
        text in prop_oneof![
            ".{0,70}",
            "(00|01|fe|ff)-[0-9a-g]{32}-[0-9a-f]{16}-[0-9a-f]{2}",
        ],
    ) {
        if let Ok(parent) = text.parse::<Traceparent>() {
            prop_assert_eq!(text.len(), Traceparent::LEN);
            let written = parent.to_string();
            prop_assert_eq!(written.parse(), Ok(parent));
            prop_assert!(!text.starts_with("00") || written == text);
        }
    }
}
