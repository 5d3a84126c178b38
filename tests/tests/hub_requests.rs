//! Requests over channels: asked of all subscribers, answered once.
#![allow(missing_docs)]

mod hub_support;

use std::sync::Arc;

use hub_support::{HubRig, called, conn, join_lite, room};
use sente_core::{Action, ChannelRequestError, Denied, HubEvent, Peer};
use sente_edn::Value;
use sente_tests::{edn, millis, seconds};

fn request_id(frame: &str) -> String {
    let value = edn(frame);
    let data = value.as_sequence().unwrap()[1].get_keyword("data").unwrap();
    let id = data.get_keyword("request-id").unwrap();
    id.as_str().unwrap().to_owned()
}

fn respond(rig: &mut HubRig, n: u8, id: &str, data: &str) {
    rig.say(
        n,
        &format!(
            "[:sente-lite/publish {{:channel-id \"room\" :data \
             {{:type :rpc-response :request-id {id:?} {data}}}}}]"
        ),
    );
}

#[test]
fn a_client_asks_the_subscribers_and_the_first_response_answers_its_call() {
    let mut rig = room();
    join_lite(&mut rig, 3);
    let question = called("[:sente-lite/rpc {:channel-id \"room\" :data {:q 1}}]");
    rig.advance(seconds(7));
    assert!(rig.hub.handle_message(rig.now, conn(3), question).is_none());
    rig.carry_out();
    let asked = rig.got(1);
    assert_eq!(rig.got(2), asked);
    let id = request_id(&asked[0]);
    assert!(id.starts_with("req-"));
    let from = conn(3);
    assert_eq!(
        asked,
        [format!(
            "[:sente-lite/channel-msg {{:channel-id \"room\", :data {{:type :rpc-request, \
             :request-id {id:?}, :data {{:q 1}}, :sender-conn-id \"{from}\", :created-at 7000}}, \
             :from \"{from}\"}}]"
        )]
    );
    respond(&mut rig, 2, &id, ":data {:a 2}");
    assert_eq!(rig.replies, [(conn(3), Some("{:a 2}".to_owned()))]);
    assert!(rig.got(1).is_empty(), "the response is nobody else's");
    // A second one is an ordinary message.
    respond(&mut rig, 1, &id, ":data {:a 3}");
    assert_eq!(rig.replies.len(), 1);
    assert_eq!(rig.got(2).len(), 1);
    assert_eq!(rig.hub.poll_timeout(), None);
}

#[test]
fn a_client_that_did_not_call_is_answered_by_a_message_with_its_own_request_id() {
    let mut rig = room();
    rig.say(
        1,
        "[:sente-lite/rpc {:channel-id \"room\" :data 1 :request-id \"mine\"}]",
    );
    assert!(rig.got(1).is_empty(), "who asks is not asked");
    let id = request_id(&rig.got(2)[0]);
    respond(&mut rig, 2, &id, ":data \"no\" :error? true");
    let from = conn(2);
    assert_eq!(
        rig.got(1),
        [format!(
            "[:sente-lite/channel-msg {{:channel-id \"room\", :data {{:type :rpc-response, \
             :request-id \"mine\", :data \"no\", :error? true}}, :from \"{from}\"}}]"
        )]
    );
}

#[test]
fn a_request_times_out_and_one_that_nobody_can_answer_fails_at_once() {
    let mut rig = room();
    let ask = |rig: &mut HubRig, text: &str| {
        assert!(
            rig.hub
                .handle_message(rig.now, conn(1), called(text))
                .is_none()
        );
        rig.carry_out();
    };
    ask(
        &mut rig,
        "[:sente-lite/rpc {:channel-id \"room\" :data 1 :timeout-ms 500}]",
    );
    ask(
        &mut rig,
        "[:sente-lite/rpc {:channel-id \"room\" :data 1 :timeout-ms 99999999}]",
    );
    ask(
        &mut rig,
        "[:sente-lite/rpc {:channel-id \"nowhere\" :data 1}]",
    );
    assert_eq!(rig.replies, [(conn(1), None)]);
    rig.advance(millis(500));
    assert_eq!(rig.replies.len(), 2);
    rig.advance(seconds(29));
    assert_eq!(rig.replies.len(), 2);
    rig.advance(seconds(1));
    assert_eq!(rig.replies.len(), 3);
    assert!(rig.replies.iter().all(|(_, reply)| reply.is_none()));
    assert_eq!(rig.hub.channel_stats().requests, 0);
    rig.say(
        1,
        "[:sente-lite/rpc {:channel-id \"nowhere\" :request-id 7}]",
    );
    assert_eq!(
        rig.got(1),
        ["[:sente-lite/channel-msg {:channel-id \"nowhere\", \
          :data {:type :rpc-response, :request-id 7, :data :no-subscribers, :error? true}, :from nil}]"]
    );
}

#[test]
fn only_subscribers_of_the_channel_can_answer_and_nobody_waits_for_who_left() {
    let mut rig = room();
    join_lite(&mut rig, 3);
    rig.say(1, "[:sente-lite/rpc {:channel-id \"room\" :request-id 1}]");
    let id = request_id(&rig.got(2)[0]);
    respond(&mut rig, 3, &id, ":data 1");
    assert_eq!(rig.got(1).len(), 1, "an ordinary message");
    assert_eq!(rig.hub.channel_stats().requests, 1);
    rig.leave(1);
    assert_eq!(rig.hub.channel_stats().requests, 0);
    assert_eq!(rig.hub.poll_timeout(), None);
}

#[test]
fn the_application_asks_and_is_told_once() {
    let mut rig = room();
    let id = edn("\"room\"");
    let ask = |rig: &mut HubRig| rig.hub.request(rig.now, &id, 1, seconds(2));
    let first = ask(&mut rig).unwrap();
    let second = ask(&mut rig).unwrap();
    let third = ask(&mut rig).unwrap();
    rig.carry_out();
    assert_ne!(first, second);
    respond(&mut rig, 1, &first.to_string(), ":data 42");
    let now = rig.now;
    assert!(rig.hub.cancel_request(now, &second));
    assert!(!rig.hub.cancel_request(now, &second));
    rig.advance(seconds(2));
    let told: Vec<_> = rig
        .told()
        .into_iter()
        .map(|event| match event {
            HubEvent::RequestSettled { request, result } => (
                request,
                result.map(|response| (response.from, response.data.to_value().unwrap())),
            ),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        told,
        [
            (first, Ok((conn(1), Value::from(42)))),
            (second, Err(ChannelRequestError::Cancelled)),
            (third, Err(ChannelRequestError::Timeout)),
        ]
    );
    assert_eq!(
        rig.hub.request(rig.now, &edn(":no"), 1, seconds(1)),
        Err(ChannelRequestError::NoSubscribers)
    );
}

#[test]
fn requests_are_bounded_and_old_ones_are_a_sign_of_ill_health() {
    let mut rig = HubRig::with(|config| {
        config.channels.max_requests = 12;
        config.channels.max_requests_per_connection = 2;
        config.channels.request_timeout = seconds(1_000);
    });
    for n in 1..=2 {
        join_lite(&mut rig, n);
        rig.hub.subscribe(rig.now, conn(n), &Value::Nil).unwrap();
    }
    rig.carry_out();
    for _ in 0..3 {
        let question = called("[:sente-lite/rpc {:channel-id nil}]");
        assert!(rig.hub.handle_message(rig.now, conn(1), question).is_none());
    }
    rig.carry_out();
    assert_eq!(rig.replies.len(), 1);
    let results: Vec<_> = (0..11)
        .map(|_| rig.hub.request(rig.now, &Value::Nil, 1, seconds(1_000)))
        .collect();
    assert!(results[..10].iter().all(Result::is_ok));
    assert_eq!(results[10], Err(ChannelRequestError::TooMany));
    assert!(rig.hub.channel_stats().is_healthy());
    rig.advance(seconds(61));
    rig.hub.handle_timeout(rig.now);
    assert!(!rig.hub.channel_stats().is_healthy());
    assert_eq!(rig.hub.channel_stats().old_requests, 12);
}

#[test]
fn a_guard_decides_who_may_answer() {
    let guard = |from: &Peer, action: &Action<'_>| match action {
        Action::Respond { .. } if from.connection == conn(2) => Err(Denied::new("not-you")),
        _ => Ok(()),
    };
    let mut rig = HubRig::with(|config| config.guard = Some(Arc::new(guard)));
    for n in 1..=3 {
        join_lite(&mut rig, n);
        rig.say(n, "[:sente-lite/subscribe {:channel-id \"room\"}]");
    }
    rig.got.clear();
    rig.say(1, "[:sente-lite/rpc {:channel-id \"room\" :request-id 1}]");
    let id = request_id(&rig.got(2)[0]);
    respond(&mut rig, 2, &id, ":data 1");
    assert!(rig.got(1).is_empty());
    assert_eq!(rig.got(3).len(), 1, "the request");
    respond(&mut rig, 3, &id, ":data 2");
    assert_eq!(rig.got(1).len(), 1);
}
