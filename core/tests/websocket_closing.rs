//! How a WebSocket ends: the closing handshake, its timer, failures, and who closes TCP
//! (RFC 6455 sections 5.5.1 and 7).
#![allow(missing_docs)]

mod websocket_support;

use std::time::Duration;

use sente_core::framing::Kind;
use sente_core::framing::websocket::{
    Closed, ClosedBy, Part, Role, Violation, WebSocketConfig, WebSocketEvent,
};
use sente_core::{Instant, TransmitBuf};
use websocket_support::*;

/// What a test expects of `Closed`.
fn closed(driven: &Driven) -> (Option<u16>, &str, ClosedBy, bool) {
    let Some(WebSocketEvent::Closed(Closed {
        code,
        reason,
        by,
        clean,
        ..
    })) = driven.events.last()
    else {
        panic!("not closed: {driven:?}")
    };
    let count = driven
        .events
        .iter()
        .filter(|event| matches!(event, WebSocketEvent::Closed(_)))
        .count();
    assert_eq!(count, 1);
    (*code, reason, *by, *clean)
}

/// Whether messages and pings are refused, without a byte.
fn writes_nothing(driven: &mut Driven) -> bool {
    let mut out = TransmitBuf::new();
    let written = driven
        .socket
        .write_message(Kind::Text, &[Part::Slice(b"late")], &mut out)
        || driven.socket.write_ping(b"", &mut out);
    !written && out.is_empty() && !driven.socket.is_open()
}

fn at(driven: &mut Driven, millis: u64) {
    driven.now = Instant::from_millis(millis);
    driven.socket.handle_timeout(driven.now);
    driven.drain();
}

mod by_the_peer {
    use super::*;

    #[test]
    fn a_close_is_answered_in_kind() {
        for role in ROLES {
            for close in [
                Raw::close(1000, ""),
                Raw::close(4999, "näin"),
                Raw::close(1000, [b'x'; 123]),
                Raw::new(CLOSE, ""),
            ] {
                let mut driven = Driven::new(role);
                driven.frames(std::slice::from_ref(&close));
                assert_eq!(driven.sent, [close]);
                assert!(writes_nothing(&mut driven));
            }
        }
    }

    #[test]
    fn code_and_reason_are_told() {
        let mut driven = Driven::new(Role::Server);
        driven.frames(&[Raw::close(3000, "bye")]);
        assert_eq!(closed(&driven), (Some(3000), "bye", ClosedBy::Peer, true));
        let mut driven = Driven::new(Role::Server);
        driven.frames(&[Raw::new(CLOSE, "")]);
        assert_eq!(closed(&driven), (None, "", ClosedBy::Peer, true));
    }

    #[test]
    fn what_follows_a_close_is_ignored() {
        for role in ROLES {
            let mut driven = Driven::new(role);
            driven.frames(&[Raw::close(1000, ""), Raw::text("a"), Raw::new(PING, "")]);
            driven.frames(&[Raw::new(3, ""), Raw::close(1001, "")]);
            assert_eq!(driven.events.len(), 1);
            assert_eq!(driven.sent, [Raw::close(1000, "")]);
            assert_eq!(driven.socket.buffered(), 0);
        }
    }

    #[test]
    fn a_close_inside_a_message_ends_it_unread() {
        let mut driven = Driven::new(Role::Server);
        driven.frames(&[Raw::text("a").unfinished(), Raw::close(1000, "")]);
        driven.frames(&[Raw::new(CONTINUATION, "b")]);
        assert_eq!(driven.events.len(), 1);
        assert_eq!(driven.socket.buffered(), 0);
    }

    #[test]
    fn a_server_closes_tcp_once_its_answer_is_out() {
        let mut driven = Driven::new(Role::Server);
        driven.push(&Raw::close(1000, "").encode_for(Role::Server));
        assert!(driven.socket.poll_event().is_some());
        assert!(!driven.socket.wants_shutdown());
        assert_eq!(
            driven.socket.poll_timeout(),
            Some(Instant::from_millis(5000))
        );
        driven.transmit();
        assert!(driven.socket.wants_shutdown());
        assert_eq!(driven.socket.poll_timeout(), None);
    }

    #[test]
    fn a_client_waits_for_the_server_to_close_tcp() {
        let mut driven = Driven::new(Role::Client);
        driven.frames(&[Raw::close(1000, "")]);
        assert!(!driven.socket.wants_shutdown());
        driven.eof();
        assert!(driven.socket.wants_shutdown());
        assert_eq!(driven.events.len(), 1);
    }

    #[test]
    fn a_client_cuts_a_server_that_never_closes_tcp() {
        let mut driven = Driven::new(Role::Client);
        driven.now = Instant::from_millis(100);
        driven.frames(&[Raw::close(1000, "")]);
        assert_eq!(
            driven.socket.poll_timeout(),
            Some(Instant::from_millis(5100))
        );
        at(&mut driven, 5099);
        assert!(!driven.socket.wants_shutdown());
        at(&mut driven, 5100);
        assert!(driven.socket.wants_shutdown());
        assert_eq!(driven.socket.poll_timeout(), None);
        assert_eq!(closed(&driven), (Some(1000), "", ClosedBy::Peer, true));
    }

    #[test]
    fn an_unanswered_ping_is_forgotten_at_a_close() {
        let mut driven = Driven::new(Role::Server);
        driven.push(&encode_for(
            Role::Server,
            &[Raw::new(PING, "a"), Raw::close(1000, "")],
        ));
        while driven.socket.poll_event().is_some() {}
        driven.transmit();
        assert_eq!(driven.sent, [Raw::close(1000, "")]);
    }
}

mod by_us {
    use super::*;

    fn closing(role: Role) -> Driven {
        let mut driven = Driven::new(role);
        driven.socket.close(driven.now, 1001, "going");
        assert!(writes_nothing(&mut driven));
        driven.drain();
        assert_eq!(driven.sent, [Raw::close(1001, "going")]);
        assert_eq!(driven.events, []);
        driven
    }

    #[test]
    fn messages_are_read_until_the_peer_answers() {
        for role in ROLES {
            let mut driven = closing(role);
            driven.frames(&[Raw::text("a"), Raw::new(PING, ""), Raw::close(1001, "")]);
            assert_eq!(driven.events[0], text("a"));
            assert_eq!(closed(&driven), (Some(1001), "", ClosedBy::Us, true));
            assert_eq!(driven.sent.len(), 1, "neither a pong nor a second close");
        }
    }

    #[test]
    fn the_answer_lets_a_server_close_tcp_and_a_client_wait_for_that() {
        for role in ROLES {
            let mut driven = closing(role);
            assert!(!driven.socket.wants_shutdown());
            driven.frames(&[Raw::close(1001, "")]);
            assert_eq!(driven.socket.wants_shutdown(), role == Role::Server);
            driven.eof();
            assert!(driven.socket.wants_shutdown());
        }
    }

    #[test]
    fn a_server_whose_answer_crossed_ours_still_sends_ours_first() {
        let mut driven = Driven::new(Role::Server);
        driven.socket.close(driven.now, 1001, "");
        driven.push(&Raw::close(1000, "").encode_for(Role::Server));
        assert!(driven.socket.poll_event().is_some());
        assert!(!driven.socket.wants_shutdown());
        driven.transmit();
        assert_eq!(driven.sent, [Raw::close(1001, "")]);
        assert!(driven.socket.wants_shutdown());
    }

    #[test]
    fn a_peer_that_never_answers_is_cut() {
        for role in ROLES {
            let mut driven = closing(role);
            assert_eq!(
                driven.socket.poll_timeout(),
                Some(Instant::from_millis(5000))
            );
            at(&mut driven, 4999);
            assert_eq!(driven.events, []);
            at(&mut driven, 5000);
            assert_eq!(closed(&driven), (Some(1001), "going", ClosedBy::Us, false));
            assert!(driven.socket.wants_shutdown());
        }
    }

    #[test]
    fn what_had_arrived_before_the_cut_is_read() {
        let mut driven = closing(Role::Client);
        driven.push(&encode_for(
            Role::Client,
            &[Raw::text("a"), Raw::close(1001, "")],
        ));
        at(&mut driven, 5000);
        assert!(driven.socket.wants_shutdown());
        assert_eq!(driven.events[0], text("a"));
        assert_eq!(closed(&driven), (Some(1001), "", ClosedBy::Us, true));
    }

    #[test]
    fn a_peer_that_closes_tcp_instead_of_answering_ends_it() {
        let mut driven = closing(Role::Server);
        driven.eof();
        assert_eq!(closed(&driven), (Some(1001), "going", ClosedBy::Us, false));
        assert!(driven.socket.wants_shutdown());
    }

    #[test]
    fn a_second_close_changes_nothing() {
        let mut driven = closing(Role::Client);
        driven
            .socket
            .close(Instant::from_millis(3000), 4000, "again");
        driven.drain();
        assert_eq!(driven.sent.len(), 1);
        assert_eq!(
            driven.socket.poll_timeout(),
            Some(Instant::from_millis(5000))
        );
    }

    #[test]
    fn a_close_after_the_peers_changes_nothing() {
        let mut driven = Driven::new(Role::Client);
        driven.frames(&[Raw::close(1000, "")]);
        driven.socket.close(driven.now, 4000, "late");
        driven.drain();
        assert_eq!(driven.sent, [Raw::close(1000, "")]);
    }

    #[test]
    fn a_pong_that_is_due_goes_before_the_close() {
        let mut driven = Driven::new(Role::Server);
        driven.push(&Raw::new(PING, "a").encode_for(Role::Server));
        assert!(driven.socket.poll_event().is_some());
        driven.socket.close(driven.now, 1000, "");
        driven.transmit();
        assert_eq!(driven.sent, [Raw::new(PONG, "a"), Raw::close(1000, "")]);
    }

    fn sent_for(code: u16, reason: &str) -> Raw {
        let mut driven = Driven::new(Role::Client);
        driven.socket.close(driven.now, code, reason);
        driven.drain();
        driven.sent.remove(0)
    }

    #[test]
    fn a_reason_is_cut_at_a_character() {
        assert_eq!(
            sent_for(1000, &"x".repeat(500)),
            Raw::close(1000, [b'x'; 123])
        );
        let sent = sent_for(1000, &"é".repeat(100));
        assert_eq!(sent, Raw::close(1000, "é".repeat(61)));
    }

    #[test]
    fn a_code_that_must_not_be_sent_is_left_out() {
        for code in [0, 999, 1004, 1005, 1006, 1015, 2999, 5000] {
            assert_eq!(sent_for(code, "x"), Raw::new(CLOSE, ""), "{code}");
        }
        for code in [1000, 1014, 3000, 4999] {
            assert_eq!(sent_for(code, "x"), Raw::close(code, "x"));
        }
    }

    #[test]
    fn the_time_to_close_is_what_the_config_says() {
        let mut config = WebSocketConfig::default();
        config.close_timeout = Duration::from_millis(10);
        let mut driven = Driven::with_config(Role::Client, config);
        driven.socket.close(Instant::from_millis(1), 1000, "");
        assert_eq!(driven.socket.poll_timeout(), Some(Instant::from_millis(11)));
    }
}

mod by_a_breach {
    use super::*;

    #[test]
    fn tcp_is_closed_by_either_role_once_the_close_is_out() {
        for role in ROLES {
            let mut driven = Driven::new(role);
            driven.push(&Raw::new(3, "").encode_for(role));
            let Some(WebSocketEvent::Closed(closed)) = driven.socket.poll_event() else {
                panic!("{driven:?}")
            };
            assert_eq!(closed.code, Some(1002));
            assert_eq!(closed.reason, "opcode 0x3 is reserved");
            assert_eq!(closed.by, ClosedBy::Us);
            assert!(!closed.clean);
            assert!(writes_nothing(&mut driven));
            assert!(!driven.socket.wants_shutdown());
            assert!(driven.socket.poll_timeout().is_some());
            driven.transmit();
            assert_eq!(driven.sent, [Raw::close(1002, "opcode 0x3 is reserved")]);
            assert!(driven.socket.wants_shutdown());
            assert_eq!(driven.socket.poll_timeout(), None);
        }
    }

    #[test]
    fn a_peer_that_does_not_take_the_close_is_cut() {
        let mut driven = Driven::new(Role::Server);
        driven.push(&Raw::new(3, "").encode_for(Role::Server));
        assert!(driven.socket.poll_event().is_some());
        driven.socket.handle_timeout(Instant::from_millis(5000));
        assert!(driven.socket.wants_shutdown());
    }

    #[test]
    fn a_breach_during_our_close_is_not_answered_twice() {
        let mut driven = Driven::new(Role::Server);
        driven.socket.close(driven.now, 1000, "");
        driven.drain();
        driven.frames(&[Raw::new(3, "")]);
        assert_eq!(driven.sent, [Raw::close(1000, "")]);
        assert_eq!(closed(&driven), (Some(1000), "", ClosedBy::Us, false));
        assert_eq!(
            violation(&driven.events),
            Some(Violation::ReservedOpcode(3))
        );
        assert!(driven.socket.wants_shutdown());
    }
}

mod by_the_end_of_the_stream {
    use super::*;

    #[test]
    fn the_end_without_a_close_is_not_clean() {
        for role in ROLES {
            let whole = Raw::text("a").encode_for(role);
            let cut = &Raw::text("abc").encode_for(role)[..4];
            for (bytes, offset) in [(&[][..], 0), (&whole[..], whole.len()), (cut, 0)] {
                let mut driven = Driven::new(role);
                driven.feed(bytes);
                driven.eof();
                assert_eq!(closed(&driven), (None, "", ClosedBy::Peer, false));
                let Some(WebSocketEvent::Closed(closed)) = driven.events.last() else {
                    unreachable!()
                };
                let error = closed.error.clone().unwrap();
                assert_eq!(error.violation, Violation::EndedWithoutClose);
                assert_eq!(error.offset, offset as u64);
                assert!(driven.socket.wants_shutdown());
                assert_eq!(driven.sent, []);
            }
        }
    }

    #[test]
    fn messages_before_the_end_are_read_first() {
        let mut driven = Driven::new(Role::Client);
        driven.push(&encode_for(
            Role::Client,
            &[Raw::text("a"), Raw::new(PING, "")],
        ));
        driven.socket.handle_eof(driven.now);
        assert!(!driven.socket.wants_shutdown());
        assert!(writes_nothing(&mut driven));
        driven.drain();
        assert_eq!(driven.events[0], text("a"));
        assert_eq!(driven.events.len(), 3);
        assert_eq!(driven.sent, [], "nobody is left to take a pong");
        assert!(driven.socket.wants_shutdown());
    }

    #[test]
    fn a_close_is_answered_even_if_the_stream_has_ended() {
        for role in ROLES {
            let mut driven = Driven::new(role);
            driven.push(&Raw::close(1000, "").encode_for(role));
            driven.socket.handle_eof(driven.now);
            driven.drain();
            assert_eq!(driven.sent, [Raw::close(1000, "")]);
            assert_eq!(closed(&driven), (Some(1000), "", ClosedBy::Peer, true));
            assert!(driven.socket.wants_shutdown());
        }
    }
}

#[test]
fn an_open_socket_has_no_timer_and_is_not_disturbed_by_one() {
    let mut driven = Driven::new(Role::Server);
    assert_eq!(driven.socket.poll_timeout(), None);
    at(&mut driven, 1_000_000);
    assert!(driven.socket.is_open());
    assert_eq!(driven.events, []);
    assert!(!driven.socket.wants_shutdown());
}

#[test]
fn both_sides_close_cleanly_with_each_other() {
    for starter in ROLES {
        let mut client = Driven::new(Role::Client);
        let mut server = Driven::new(Role::Server);
        let first = if starter == Role::Client {
            &mut client
        } else {
            &mut server
        };
        first.socket.close(Instant::EPOCH, 1000, "done");
        first.drain();
        for _ in 0..2 {
            let sent = std::mem::take(&mut client.sent);
            server.frames(&sent);
            let sent = std::mem::take(&mut server.sent);
            client.frames(&sent);
        }
        assert!(server.socket.wants_shutdown());
        assert!(!client.socket.wants_shutdown());
        client.eof();
        assert!(client.socket.wants_shutdown());
        for driven in [&client, &server] {
            let by = if driven.role == starter {
                ClosedBy::Us
            } else {
                ClosedBy::Peer
            };
            assert_eq!(closed(driven), (Some(1000), "done", by, true));
        }
    }
}
