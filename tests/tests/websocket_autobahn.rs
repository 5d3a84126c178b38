//! What the Autobahn test suite checks of a WebSocket, in both roles and however the bytes arrive.
#![allow(missing_docs)]

mod websocket_support;

use sente_core::framing::websocket::{ClosedBy, Role, WebSocketEvent};
use websocket_support::*;

/// Checks what came out of `pieces`, given how they were cut.
fn check<'a>(case: &Case, role: Role, pieces: impl IntoIterator<Item = &'a [u8]>, cut: &str) {
    let context = format!("case {} as {role:?}, {cut}", case.id);
    let mut driven = Driven::new(role);
    for piece in pieces {
        driven.feed(piece);
    }
    let Some(WebSocketEvent::Closed(closed)) = driven.events.pop() else {
        panic!("{context}: not closed, {:?}", driven.events)
    };
    assert_eq!(driven.events, case.gives, "{context}");

    let mut answers: Vec<_> = driven
        .events
        .iter()
        .filter_map(|event| match event {
            WebSocketEvent::Ping(payload) => Some(Raw::new(PONG, payload.to_vec())),
            _ => None,
        })
        .collect();
    match &case.end {
        End::Closes(code) => {
            let close = case.frames.iter().find(|frame| frame.opcode == CLOSE);
            answers.extend(close.cloned());
            assert_eq!(closed.code, *code, "{context}");
            assert_eq!(
                (closed.by, closed.clean),
                (ClosedBy::Peer, true),
                "{context}"
            );
            assert_eq!(closed.error, None, "{context}");
            assert_eq!(
                driven.socket.wants_shutdown(),
                role == Role::Server,
                "{context}"
            );
        }
        End::Fails { code, .. } => {
            answers.push(Raw::close(*code, &closed.reason));
            assert_eq!(closed.code, Some(*code), "{context}");
            assert_eq!(
                (closed.by, closed.clean),
                (ClosedBy::Us, false),
                "{context}"
            );
            assert!(closed.error.is_some(), "{context}");
            assert!(driven.socket.wants_shutdown(), "{context}");
        }
    }
    assert_eq!(driven.sent, answers, "{context}");
    assert_eq!(driven.socket.buffered(), 0, "{context}");
}

/// The cases whose id begins with one of `groups`.
fn cases_of<'a>(groups: &'a [&'a str]) -> impl Iterator<Item = Case> + 'a {
    let of = |case: &Case| {
        groups
            .iter()
            .any(|group| case.id.split('.').next() == Some(group))
    };
    cases().into_iter().filter(move |case| of(case))
}

fn check_groups(groups: &[&str], count: usize) {
    let mut found = 0;
    for case in cases_of(groups) {
        found += 1;
        for role in ROLES {
            let frames: Vec<_> = case.frames.iter().map(|raw| raw.encode_for(role)).collect();
            let bytes = frames.concat();
            check(&case, role, [&bytes[..]], "in one piece");
            check(
                &case,
                role,
                frames.iter().map(Vec::as_slice),
                "frame by frame",
            );
            check(&case, role, bytes.chunks(1), "byte by byte");
            if let Some(size) = case.chop {
                check(&case, role, bytes.chunks(size), "in Autobahn's chops");
            }
        }
    }
    assert_eq!(found, count, "cases of groups {groups:?}");
}

#[test]
fn group_1_messages_of_all_sizes() {
    check_groups(&["1"], 16);
}

#[test]
fn group_2_pings_and_pongs() {
    check_groups(&["2"], 11);
}

#[test]
fn group_3_reserved_bits() {
    check_groups(&["3"], 7);
}

#[test]
fn group_4_opcodes() {
    check_groups(&["4"], 10);
}

#[test]
fn group_5_fragments() {
    check_groups(&["5"], 20);
}

#[test]
fn group_6_utf_8() {
    check_groups(&["6"], 145);
}

#[test]
fn group_7_closing() {
    check_groups(&["7"], 37);
}

#[test]
fn group_10_messages_in_many_fragments() {
    check_groups(&["10"], 1);
}

#[test]
fn invalid_text_fails_at_the_byte_that_makes_it_so() {
    let mut checked = 0;
    for case in cases_of(&["6"]) {
        let End::Fails {
            after: Some(after), ..
        } = case.end
        else {
            continue;
        };
        checked += 1;
        for role in ROLES {
            let mut driven = Driven::new(role);
            let mut payload = 0;
            for frame in &case.frames {
                let bytes = frame.encode_for(role);
                let header = bytes.len() - frame.payload.len();
                for (at, byte) in bytes.chunks(1).enumerate() {
                    payload += usize::from(at >= header);
                    driven.feed(byte);
                    let failed = !driven.events.is_empty();
                    assert_eq!(failed, payload >= after, "case {} at {payload}", case.id);
                }
            }
        }
    }
    assert_eq!(checked, 75);
}

#[test]
fn registered_codes_that_autobahn_does_not_try_are_valid_but_for_1015() {
    for role in ROLES {
        for code in 1000..=1015 {
            let mut driven = Driven::new(role);
            driven.frames(&[Raw::close(code, "")]);
            let expected = match code {
                1004..=1006 | 1015 => 1002_u16,
                valid => valid,
            };
            assert_eq!(driven.sent[0].payload[..2], expected.to_be_bytes());
        }
    }
}
