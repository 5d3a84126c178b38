//! Packers that seal, through the engine: the frame limit holds for what travels, and what is opened
//! is bounded and counted.
#![allow(missing_docs)]

mod sealed_support;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Buf, BytesMut};
use sealed_support::*;
use sente_core::framing::Kind;
use sente_core::packer::{
    Edn, Gzip, Json, MsgPack, Packer, TransitJson, TransitJsonVerbose, UnpackError,
};
use sente_core::{
    Accept, BadReason, CallError, Carrier, Client, ClientConfig, CloseReason, Connection,
    ConnectionConfig, ConnectionEvent, Dialect, Event, Input, Limits, OnOffline, PackedEvent,
    PackedSendError, ReplyError, Role, SendError, TransmitBuf,
};
use sente_tests::{Pair, RawPeer, Said, event, events, messages, seconds, text};

mod talking {
    use super::*;

    #[test]
    fn everything_travels_sealed_and_arrives_in_all_carriers_and_dialects() {
        for (dialect, carrier) in [
            (Dialect::Sente, Carrier::WebSocket),
            (Dialect::SenteLite, Carrier::WebSocket),
            (Dialect::SenteLite, Carrier::LengthPrefixed),
        ] {
            let config = |role| {
                ConnectionConfig::builder(role, dialect, carrier)
                    .packer(gzip())
                    .build()
                    .unwrap()
            };
            let mut pair = Pair::with(config(Role::Client), config(Role::Server));
            pair.chunk = 7;
            let now = pair.now;
            for length in [0, 10, 2000, 100_000] {
                pair.client.send(now, dull(":a/up", length)).unwrap();
                pair.server.send(now, dull(":a/down", length)).unwrap();
                pair.server.send(now, event("[:a/small]")).unwrap();
                let question = dull(":a/ask", length);
                let call = pair.client.call(now, question, seconds(5)).unwrap();
                pair.drive();
                let mut got = messages(&mut pair.server).into_iter();
                assert_eq!(self::length(&got.next().unwrap().event), length);
                let asked = got.next().unwrap();
                let data = asked.event.data.clone().unwrap();
                pair.server.reply(now, asked.reply.unwrap(), data).unwrap();
                pair.drive();
                let told = events(&mut pair.client);
                let [
                    ConnectionEvent::Message(first),
                    ConnectionEvent::Message(second),
                    ConnectionEvent::Settled {
                        call: settled,
                        result: Ok(reply),
                    },
                ] = &told[..]
                else {
                    panic!("{dialect:?} {carrier:?}: {told:?}");
                };
                assert_eq!(self::length(&first.event), length);
                assert_eq!(text(second), "[:a/small]");
                assert_eq!(*settled, call);
                assert_eq!(reply.to_value().unwrap().as_str().unwrap().len(), length);
            }
        }
    }

    #[test]
    fn every_packer_talks_with_gzip_around_it() {
        let inside: [Arc<dyn Packer>; 7] = [
            Arc::new(Edn),
            Arc::new(Json::new()),
            Arc::new(TransitJson::new()),
            Arc::new(TransitJson::new().key_cache(true)),
            Arc::new(TransitJsonVerbose::new()),
            Arc::new(MsgPack::new()),
            Arc::new(MsgPack::new().key_cache(true)),
        ];
        for inside in inside {
            let name = format!("gzip-{}", inside.name());
            let packer: Arc<dyn Packer> = Arc::new(Gzip::new(inside));
            assert_eq!(packer.name(), name);
            let mut pair = pair(&packer, &Limits::default());
            let now = pair.now;
            let rows = "{:key 1, :other [1 2 3]} ".repeat(200);
            let event = event(&format!("[:a/rows [{rows}]]"));
            let value = event.to_value().unwrap();
            let before = pair.server.stats().bytes_sent;
            for _ in 0..3 {
                pair.server.send(now, event.clone()).unwrap();
            }
            let call = pair.client.call(now, event, seconds(5)).unwrap();
            pair.drive();
            for message in messages(&mut pair.client) {
                assert!(message.event.to_value().unwrap() == value, "{name}");
            }
            assert!(pair.server.stats().bytes_sent - before < 1000, "{name}");
            let asked = messages(&mut pair.server).remove(0);
            assert!(asked.event.to_value().unwrap() == value, "{name}");
            let data = asked.event.data.unwrap();
            pair.server.reply(now, asked.reply.unwrap(), data).unwrap();
            pair.drive();
            let told = events(&mut pair.client);
            let [
                ConnectionEvent::Settled {
                    call: settled,
                    result: Ok(reply),
                },
            ] = &told[..]
            else {
                panic!("{name}: {told:?}");
            };
            assert_eq!(*settled, call);
            let data = value.as_sequence().unwrap()[1].clone();
            assert!(reply.to_value().unwrap() == data, "{name}");
        }
    }

    #[test]
    fn the_protocols_own_frames_are_sealed_too() {
        let (mut server, mut peer) = server(&gzip(), &Limits::default());
        let due = server.poll_timeout().unwrap();
        server.handle_timeout(due);
        let said = peer.hear(&mut server, due);
        assert_eq!(said, [Said::Binary(b"\0[:chsk/ws-ping nil]".to_vec())]);
        peer.say_frame(
            &mut server,
            due,
            Kind::Binary,
            b"\0[[:chsk/ws-ping] \"cb\"]",
        );
        let said = peer.hear(&mut server, due);
        assert_eq!(said, [Said::Binary(b"\0[\"pong\" \"cb\"]".to_vec())]);
    }

    #[test]
    fn a_payload_goes_on_as_it_is_to_a_connection_whose_packer_has_the_same_format() {
        let mut plain = Pair::open(Dialect::Sente, Carrier::WebSocket);
        let mut sealed = pair(&gzip(), &Limits::default());
        let now = plain.now;
        sealed.client.send(now, dull(":a/b", 5000)).unwrap();
        sealed.drive();
        let message = messages(&mut sealed.server).remove(0);
        let raw = message.event.data.as_ref().unwrap().raw().unwrap().clone();
        plain.server.send(now, message.event).unwrap();
        plain.drive();
        let relayed = messages(&mut plain.client).remove(0);
        assert_eq!(relayed.event.data.unwrap().raw().unwrap(), &raw);
    }
}

mod frame_limit {
    use super::*;

    #[test]
    fn what_fits_only_when_it_is_sealed_can_be_sent_called_and_replied() {
        let mut pair = pair(&gzip(), &limits(1000));
        let now = pair.now;
        pair.client.send(now, dull(":a/event", 50_000)).unwrap();
        let call = pair.client.call(now, dull(":a/call", 50_000), seconds(5));
        pair.server.send(now, dull(":a/down", 50_000)).unwrap();
        pair.drive();
        let mut got = messages(&mut pair.server);
        assert_eq!(length(&got[0].event), 50_000);
        let asked = got.remove(1);
        let data = asked.event.data.unwrap();
        pair.server.reply(now, asked.reply.unwrap(), data).unwrap();
        pair.drive();
        let told = events(&mut pair.client);
        let [
            ConnectionEvent::Message(down),
            ConnectionEvent::Settled {
                call: settled,
                result: Ok(_),
            },
        ] = &told[..]
        else {
            panic!("{told:?}");
        };
        assert_eq!(length(&down.event), 50_000);
        assert_eq!(*settled, call.unwrap());
    }

    #[test]
    fn what_does_not_fit_when_it_is_sealed_either_is_refused() {
        let mut pair = pair(&gzip(), &limits(1000));
        let now = pair.now;
        let refused = pair.client.send(now, noisy(":a/event", 5000)).unwrap_err();
        let SendError::TooLarge { size, limit, .. } = refused else {
            panic!("{refused}");
        };
        assert_eq!(limit, 1000);
        assert!((2000..5000).contains(&size), "the sealed size: {size}");
        let event = PackedEvent::pack(&noisy(":a/event", 5000), &Edn).unwrap();
        assert_eq!(
            pair.client.send_packed(now, &event),
            Err(PackedSendError::TooLarge)
        );
        let call = pair
            .client
            .call(now, event_of_nothing(), seconds(5))
            .unwrap();
        pair.drive();
        let token = messages(&mut pair.server).remove(0).reply.unwrap();
        let payload = noisy(":a/reply", 5000).data.unwrap();
        let refused = pair.server.reply(now, token, payload).unwrap_err();
        assert!(
            matches!(refused, ReplyError::TooLarge { limit: 1000, .. }),
            "{refused}"
        );
        pair.drive();
        let told = events(&mut pair.client);
        assert!(
            matches!(
                told[..],
                [ConnectionEvent::Settled { call: settled, result: Err(CallError::Peer) }] if settled == call
            ),
            "{told:?}"
        );
    }

    fn event_of_nothing() -> Event {
        event("[:a/ask]")
    }

    #[test]
    fn what_the_peer_could_not_open_is_refused() {
        let mut limits = limits(1000);
        limits.max_opened_bytes = 20_000;
        let mut pair = pair(&gzip(), &limits);
        // `[[:a/event "xx…"] nil]`
        pair.client
            .send(pair.now, dull(":a/event", 20_000 - 19))
            .unwrap();
        let refused = pair
            .client
            .send(pair.now, dull(":a/event", 20_000 - 18))
            .unwrap_err();
        assert!(
            matches!(
                refused,
                SendError::TooLarge {
                    size: 20_001,
                    limit: 20_000,
                    ..
                }
            ),
            "{refused:?}"
        );
        pair.drive();
        assert_eq!(messages(&mut pair.server).len(), 1);
    }

    #[test]
    fn what_sealing_would_push_over_the_limit_is_refused() {
        let packer: Arc<dyn Packer> = Padded::new(100);
        let mut pair = pair(&packer, &limits(1000));
        let fits = |length: usize| dull(":a/event", length - 19);
        pair.client.send(pair.now, fits(900)).unwrap();
        let refused = pair.client.send(pair.now, fits(901)).unwrap_err();
        assert!(
            matches!(
                refused,
                SendError::TooLarge {
                    size: 1001,
                    limit: 1000,
                    ..
                }
            ),
            "{refused:?}"
        );
        pair.drive();
        assert_eq!(messages(&mut pair.server).len(), 1);
    }

    #[test]
    fn an_event_that_had_to_be_sealed_to_be_measured_is_not_sealed_again() {
        let padded = Padded::around(gzip(), 10);
        let packer: Arc<dyn Packer> = padded.clone();
        let (mut server, mut peer) = server(&packer, &limits(1000));
        let before = padded.sealed();
        server.send(NOW, dull(":a/b", 5000)).unwrap();
        assert_eq!(padded.sealed(), before + 1);
        assert_eq!(binaries(&mut peer, &mut server).len(), 1);
        assert_eq!(padded.sealed(), before + 1);
    }

    #[test]
    fn a_batch_that_does_not_fit_is_halved_until_it_does() {
        let packer: Arc<dyn Packer> = Arc::new(Gzip::new(Edn).threshold(1));
        let (mut server, mut peer) = server(&packer, &limits(2000));
        for n in 0..100 {
            let mut event = noisy(":a/noise", 700);
            event.id = sente_tests::id(&format!("a/n{n}"));
            server.send(NOW, event).unwrap();
        }
        let frames = binaries(&mut peer, &mut server);
        let mut ids = Vec::new();
        for frame in &frames {
            assert!(frame.len() <= 2000, "{}", frame.len());
            let value = packer.unpack_message(frame, &Limits::default()).unwrap();
            let batch = value.as_sequence().unwrap()[0].clone();
            ids.extend(
                batch
                    .as_sequence()
                    .unwrap()
                    .iter()
                    .map(|event| event.as_sequence().unwrap()[0].to_string()),
            );
        }
        let expected: Vec<String> = (0..100).map(|n| format!(":a/n{n}")).collect();
        assert_eq!(ids, expected);
        assert!(frames.len() < 100, "{} frames", frames.len());
    }

    #[test]
    fn a_batch_whose_sealed_frame_fits_may_be_longer_than_the_limit_itself() {
        let (mut server, mut peer) = server(&gzip(), &limits(1000));
        for _ in 0..50 {
            server.send(NOW, dull(":a/b", 500)).unwrap();
        }
        let frames = binaries(&mut peer, &mut server);
        assert_eq!(frames.len(), 1);
        assert!(frames[0].len() < 1000, "{}", frames[0].len());
    }

    #[test]
    fn what_never_compresses_is_sealed_a_few_times_a_frame_at_most() {
        let padded = Padded::new(0);
        let packer: Arc<dyn Packer> = padded.clone();
        let mut limits = limits(1000);
        limits.max_batch_bytes = 100_000;
        let (mut server, mut peer) = server(&packer, &limits);
        let before = padded.sealed();
        for _ in 0..200 {
            server.send(NOW, dull(":a/b", 400)).unwrap();
        }
        let frames = binaries(&mut peer, &mut server);
        // One leaves alone where three are halved.
        assert_eq!(frames.len(), 101);
        let sealed = padded.sealed() - before;
        assert!(sealed <= 8 + 2 * 100, "{sealed}");
    }

    #[test]
    fn an_event_kept_offline_may_be_one_that_fits_only_when_it_is_sealed() {
        let config = |role| config(role, gzip(), &limits(1000));
        let client = ClientConfig::builder(config(Role::Client))
            .on_offline(OnOffline::buffer())
            .build()
            .unwrap();
        let mut client = Client::new(client, [1; 32], NOW);
        client.connect(NOW);
        client.send(NOW, dull(":a/b", 50_000)).unwrap();
        let refused = client.send(NOW, noisy(":a/c", 5000)).unwrap_err();
        assert!(matches!(refused, SendError::TooLarge { .. }), "{refused}");

        let attempt = client.poll_connect().unwrap().attempt;
        client.handle_connected(NOW, attempt);
        let mut server = Connection::new(config(Role::Server), [2; 32], NOW);
        server.accept(NOW, Accept::new("ada"));
        let mut out = TransmitBuf::new();
        assert!(server.poll_transmit(&mut out).is_some());
        let mut bytes = BytesMut::from(&*out.copy_to_bytes(out.remaining()));
        client.handle_input(NOW, attempt, Input::Bytes(&mut bytes));
        assert!(client.poll_transmit(&mut out).is_some());
        let mut bytes = BytesMut::from(&*out.copy_to_bytes(out.remaining()));
        assert!(bytes.len() < 1000, "{}", bytes.len());
        server.handle_input(NOW, Input::Bytes(&mut bytes));
        let got = messages(&mut server);
        assert_eq!(got.len(), 1);
        assert_eq!(length(&got[0].event), 50_000);
    }
}

mod failing {
    use super::*;

    #[test]
    fn a_frame_that_cannot_be_sealed_ends_the_connection_and_nothing_is_lost() {
        let padded = Padded::new(1);
        let packer: Arc<dyn Packer> = padded.clone();
        let mut pair = pair(&packer, &Limits::default());
        let now = pair.now;
        pair.server.send(now, event("[:a/b 1]")).unwrap();
        pair.server.send(now, event("[:a/b 2]")).unwrap();
        padded.fails.store(true, Ordering::Relaxed);
        pair.drive();
        let told = events(&mut pair.server);
        let [
            ConnectionEvent::Undelivered(back),
            ConnectionEvent::Closed(CloseReason::Unsealed(error)),
        ] = &told[..]
        else {
            panic!("{told:?}");
        };
        assert_eq!(back.len(), 2);
        assert_eq!(
            error.to_string(),
            "padded-edn cannot carry this value: it was told to"
        );
    }
}

mod receiving {
    use super::*;

    fn frame(message: &str) -> Vec<u8> {
        let mut frame = Vec::new();
        Gzip::new(Edn).seal(message.as_bytes(), &mut frame).unwrap();
        frame
    }

    #[test]
    fn a_frame_that_opens_to_too_much_is_reported_and_the_connection_goes_on() {
        let mut limits = Limits::default();
        limits.max_opened_bytes = 100_000;
        let (mut server, mut peer) = server(&gzip(), &limits);
        let bomb = frame(&format!("[[:a/b \"{}\"] nil]", "x".repeat(100_000)));
        assert!(bomb.len() < 1000);
        for frame in [&bomb[..], b"\x01junk", b"", b"\0[[:a/b 1] nil]"] {
            peer.say_frame(&mut server, NOW, Kind::Binary, frame);
        }
        let told = events(&mut server);
        let [
            ConnectionEvent::BadEvent(bomb_told),
            ConnectionEvent::BadEvent(junk),
            ConnectionEvent::BadEvent(empty),
            ConnectionEvent::Message(message),
        ] = &told[..]
        else {
            panic!("{told:?}");
        };
        assert!(matches!(
            bomb_told.reason,
            BadReason::Unpack(UnpackError::OverLimit { limit: 100_000, .. })
        ));
        assert_eq!(bomb_told.frame_len, bomb.len());
        assert!(matches!(junk.reason, BadReason::Unpack(_)));
        assert!(matches!(empty.reason, BadReason::Unpack(_)));
        assert_eq!(text(message), "[:a/b 1]");
    }

    #[test]
    fn what_was_opened_counts_with_its_real_size() {
        let (mut server, mut peer) = server(&gzip(), &Limits::default());
        let message = format!("[[:a/b \"{}\"] nil]", "x".repeat(100_000));
        peer.say_frame(&mut server, NOW, Kind::Binary, &frame(&message));
        let capacity = server.recv_capacity();
        assert_eq!((capacity.messages, capacity.bytes), (1, 100_002 + 3));
    }

    #[test]
    fn a_batch_that_waits_for_room_counts_with_what_it_was_opened_to() {
        let mut limits = Limits::default();
        limits.max_recv_bytes = 1000;
        let config = config(Role::Client, gzip(), &limits);
        let mut client = Connection::new(config, [1; 32], NOW);
        let mut peer = RawPeer::new(Role::Server);
        let event = format!("[:a/b \"{}\"]", "x".repeat(600));
        let batch = format!("[[{}] nil]", [event.as_str(); 10].join(" "));
        peer.say_frame(&mut client, NOW, Kind::Binary, &frame(&batch));
        // Two events passed the limit; the others wait in the message.
        let capacity = client.recv_capacity();
        assert_eq!(capacity.messages, 2);
        assert_eq!(capacity.bytes, 2 * (3 + 602) + batch.len());
        assert!(!client.wants_read());
        assert_eq!(messages(&mut client).len(), 10);
        assert_eq!(client.recv_capacity().bytes, 0);
        assert!(client.wants_read());
    }

    #[test]
    fn a_message_that_is_only_framed_counts_as_an_unsealed_one() {
        let mut limits = Limits::default();
        limits.max_recv_bytes = 100;
        let config = config(Role::Client, gzip(), &limits);
        let mut client = Connection::new(config, [1; 32], NOW);
        let mut peer = RawPeer::new(Role::Server);
        let event = format!("[:a/b \"{}\"]", "x".repeat(60));
        let batch = format!("\0[[{}] nil]", [event.as_str(); 5].join(" "));
        peer.say_frame(&mut client, NOW, Kind::Binary, batch.as_bytes());
        assert_eq!(client.recv_capacity().bytes, 2 * (3 + 62));
        assert_eq!(messages(&mut client).len(), 5);
    }

    #[test]
    fn a_text_frame_is_of_the_wrong_kind() {
        let (mut server, mut peer) = server(&gzip(), &Limits::default());
        peer.say(&mut server, NOW, "[[:a/b 1] nil]");
        let told = events(&mut server);
        let [ConnectionEvent::BadEvent(bad)] = &told[..] else {
            panic!("{told:?}");
        };
        assert!(matches!(
            bad.reason,
            BadReason::Unpack(UnpackError::WrongKind { .. })
        ));
    }
}

#[test]
fn a_packer_that_seals_binary_frames_does_not_travel_in_lines() {
    let built = ConnectionConfig::builder(Role::Client, Dialect::SenteLite, Carrier::Lines)
        .packer(gzip())
        .build();
    assert_eq!(
        built.unwrap_err().to_string(),
        "the packer gzip-edn is binary and cannot travel in lines: use LengthPrefixed"
    );
}
