//! How the upgrade agrees on permessage-deflate: what is offered, answered and refused
//! (RFC 7692 sections 5 and 7.1).
#![allow(missing_docs)]

mod deflate_support;

use bytes::BytesMut;
use deflate_support::*;
use sente_core::TransmitBuf;
use sente_core::framing::upgrade::{
    ClientUpgrade, Mismatch, ServerUpgrade, UpgradeError, UpgradeLimits, UpgradeResponse,
    accept_key,
};
use sente_core::framing::websocket::{Deflate, DeflateConfig};

const BOTH_RESET: &str =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// What a server answers to these extension headers, and what it will do.
fn answer(config: &DeflateConfig, offers: &[&str]) -> Option<(String, Deflate)> {
    let mut request = String::from(
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    );
    for offer in offers {
        request += &format!("Sec-WebSocket-Extensions: {offer}\r\n");
    }
    request += "\r\n";
    let mut upgrade = ServerUpgrade::new(UpgradeLimits::default());
    upgrade.handle_input(&mut BytesMut::from(request.as_bytes()));
    let request = upgrade.poll_request().unwrap().unwrap();
    let mut out = TransmitBuf::new();
    let agreed = upgrade
        .accept_deflate(&request, &[], config, &mut out)
        .unwrap();
    let response = text(&mut out);
    let answer = extension(&response).map(str::to_owned);
    assert_eq!(answer.is_some(), agreed.is_some());
    Some((answer?, agreed?))
}

/// What a client makes of a server's extension headers.
fn accepted(
    config: Option<&DeflateConfig>,
    answers: &[&str],
) -> Result<Option<Deflate>, UpgradeError> {
    let mut upgrade = ClientUpgrade::new("localhost", "/", &[], [1; 32]).unwrap();
    if let Some(config) = config {
        upgrade = upgrade.deflate(config);
    }
    let mut out = TransmitBuf::new();
    upgrade.poll_transmit(&mut out);
    let request = text(&mut out);
    let key = request
        .lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))
        .unwrap();
    let mut response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n",
        accept_key(key)
    );
    for answer in answers {
        response += &format!("Sec-WebSocket-Extensions: {answer}\r\n");
    }
    response += "\r\n";
    upgrade.handle_input(&mut BytesMut::from(response.as_bytes()));
    let answer: Result<UpgradeResponse, UpgradeError> = upgrade.poll_response().unwrap();
    answer.map(|response| response.deflate)
}

fn terms(agreed: &Deflate) -> (bool, bool, Option<u8>) {
    (
        agreed.has_context_takeover(),
        agreed.has_peer_context_takeover(),
        agreed.agreed_window_bits(),
    )
}

#[test]
fn nothing_is_offered_or_answered_unless_it_is_asked_for() {
    let default = DeflateConfig::default();
    for (client, server) in [(None, None), (None, Some(&default)), (Some(&default), None)] {
        let upgraded = upgrade(client, server);
        assert_eq!(extension(&upgraded.request).is_some(), client.is_some());
        assert_eq!(extension(&upgraded.response), None);
        assert_eq!((upgraded.client.deflate, upgraded.server), (None, None));
    }
}

#[test]
fn the_request_is_one_head_with_one_offer() {
    let config = DeflateConfig::default();
    let upgraded = upgrade(Some(&config), Some(&config));
    assert_eq!(
        upgraded.request.matches("Sec-WebSocket-Extensions").count(),
        1
    );
    assert_eq!(upgraded.request.matches("\r\n\r\n").count(), 1);
    assert!(upgraded.request.ends_with("\r\n\r\n"));
}

#[test]
fn what_is_offered_says_what_the_client_wants() {
    let offer = |config: &DeflateConfig| {
        extension(&upgrade(Some(config), None).request)
            .unwrap()
            .to_owned()
    };
    let default = DeflateConfig::default();
    assert_eq!(
        offer(&default),
        format!("{BOTH_RESET}; client_max_window_bits")
    );
    assert_eq!(
        offer(&takeover()),
        "permessage-deflate; client_max_window_bits"
    );
    assert_eq!(
        offer(&takeover().window_bits(10).peer_window_bits(9)),
        "permessage-deflate; server_max_window_bits=9; client_max_window_bits=10"
    );
    // Out of range counts as the nearest: 8 is none that zlib compresses with.
    assert_eq!(
        offer(&takeover().window_bits(8).peer_window_bits(99)),
        "permessage-deflate; client_max_window_bits=9"
    );
}

#[test]
fn both_sides_come_to_the_same_terms() {
    let default = DeflateConfig::default();
    let small = takeover().window_bits(10).peer_window_bits(11);
    for (client, server, expected) in [
        (&default, &default, (false, false, 15, 15)),
        (&takeover(), &takeover(), (true, true, 15, 15)),
        (&takeover(), &default, (false, false, 15, 15)),
        (&default, &takeover(), (false, false, 15, 15)),
        (
            &default.clone().context_takeover(true),
            &default.clone().peer_context_takeover(true),
            (true, false, 15, 15),
        ),
        (
            &default.clone().peer_context_takeover(true),
            &default.clone().context_takeover(true),
            (false, true, 15, 15),
        ),
        (&small, &takeover(), (true, true, 10, 11)),
        (&takeover(), &small, (true, true, 11, 10)),
        (&small, &small, (true, true, 10, 10)),
    ] {
        let (client, server) = agree(client, server);
        let (up, down, client_bits, server_bits) = expected;
        assert_eq!(terms(&client), (up, down, Some(client_bits)));
        assert_eq!(terms(&server), (down, up, Some(server_bits)));
    }
}

#[test]
fn a_server_answers_the_first_offer_that_it_can_accept() {
    let plain = "permessage-deflate";
    for (offers, expected) in [
        (&[plain][..], Some(plain)),
        (&["PerMessage-Deflate"], Some(plain)),
        (&["x-webkit-deflate-frame, foo; bar=1", plain], Some(plain)),
        (&["permessage-deflate; client_max_window_bits"], Some(plain)),
        (
            &["permessage-deflate; client_no_context_takeover"],
            Some("permessage-deflate; client_no_context_takeover"),
        ),
        (
            &["permessage-deflate ;server_no_context_takeover ; server_max_window_bits = 10"],
            Some("permessage-deflate; server_no_context_takeover; server_max_window_bits=10"),
        ),
        (
            &["permessage-deflate; server_max_window_bits=\"12\""],
            Some("permessage-deflate; server_max_window_bits=12"),
        ),
        (
            &["permessage-deflate; client_max_window_bits=9"],
            Some("permessage-deflate; client_max_window_bits=9"),
        ),
        // A window of 8 is none that we have; the next offer is as good.
        (&["permessage-deflate; server_max_window_bits=8"], None),
        (
            &["permessage-deflate; server_max_window_bits=8, permessage-deflate"],
            Some(plain),
        ),
        // What nobody may offer.
        (&["permessage-deflate; server_max_window_bits"], None),
        (&["permessage-deflate; server_max_window_bits=16"], None),
        (&["permessage-deflate; server_max_window_bits=09"], None),
        (
            &["permessage-deflate; server_max_window_bits=9; server_max_window_bits=9"],
            None,
        ),
        (&["permessage-deflate; client_max_window_bits=7"], None),
        (
            &["permessage-deflate; client_max_window_bits; client_max_window_bits=9"],
            None,
        ),
        (&["permessage-deflate; server_no_context_takeover=1"], None),
        (
            &["permessage-deflate; server_no_context_takeover; server_no_context_takeover"],
            None,
        ),
        (&["permessage-deflate; something_else"], None),
        (&["permessage-deflate;"], None),
        // Within quotes nothing begins.
        (&["foo; bar=\"a, permessage-deflate\""], None),
        (&["foo; bar=\"a\\\", permessage-deflate\""], None),
        (&[""], None),
        (&[], None),
    ] {
        let answer = answer(&takeover(), offers);
        let answer = answer.as_ref().map(|(answer, _)| answer.as_str());
        assert_eq!(answer, expected, "{offers:?}");
    }
}

#[test]
fn a_server_that_keeps_no_windows_says_so_unasked() {
    let (answer, agreed) = answer(&DeflateConfig::default(), &["permessage-deflate"]).unwrap();
    assert_eq!(answer, BOTH_RESET);
    assert_eq!(terms(&agreed), (false, false, Some(15)));
}

#[test]
fn a_server_limits_only_the_window_of_a_client_that_can_be_told() {
    let config = takeover().peer_window_bits(10);
    for (offer, expected) in [
        ("permessage-deflate", "permessage-deflate"),
        (
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; client_max_window_bits=10",
        ),
        (
            "permessage-deflate; client_max_window_bits=9",
            "permessage-deflate; client_max_window_bits=9",
        ),
    ] {
        assert_eq!(answer(&config, &[offer]).unwrap().0, expected);
    }
}

#[test]
fn a_client_takes_the_answers_that_its_offer_allows() {
    for (answers, expected) in [
        (&[][..], None),
        (&[""], None),
        (&["permessage-deflate"], Some((true, true, Some(15)))),
        (
            &["permessage-deflate; client_no_context_takeover; server_max_window_bits=9"],
            Some((false, true, Some(15))),
        ),
        (
            &["permessage-deflate; server_no_context_takeover; client_max_window_bits=9"],
            Some((true, false, Some(9))),
        ),
        // A server may demand the window that we do not have: then nothing is compressed.
        (
            &["permessage-deflate; client_max_window_bits=8"],
            Some((true, true, None)),
        ),
    ] {
        let agreed = accepted(Some(&takeover()), answers).unwrap();
        assert_eq!(agreed.as_ref().map(terms), expected, "{answers:?}");
    }
}

#[test]
fn a_client_refuses_what_it_did_not_offer() {
    let refused = Err(UpgradeError::Mismatch(Mismatch::Extension));
    let default = DeflateConfig::default();
    let small = takeover().window_bits(10).peer_window_bits(10);
    for (config, answers) in [
        (None, &["permessage-deflate"][..]),
        (None, &["foo"]),
        (Some(&takeover()), &["foo"]),
        (
            Some(&takeover()),
            &["permessage-deflate, permessage-deflate"],
        ),
        (
            Some(&takeover()),
            &["permessage-deflate", "permessage-deflate"],
        ),
        (Some(&takeover()), &["permessage-deflate, foo"]),
        (Some(&takeover()), &["permessage-deflate; foo"]),
        (
            Some(&takeover()),
            &["permessage-deflate; client_max_window_bits"],
        ),
        (
            Some(&takeover()),
            &["permessage-deflate; server_max_window_bits=16"],
        ),
        // It offered that the server keeps no window, and smaller ones.
        (Some(&default), &["permessage-deflate"]),
        (Some(&small), &["permessage-deflate"]),
        (
            Some(&small),
            &["permessage-deflate; server_max_window_bits=11"],
        ),
        (
            Some(&small),
            &["permessage-deflate; server_max_window_bits=10; client_max_window_bits=11"],
        ),
    ] {
        assert_eq!(accepted(config, answers), refused, "{answers:?}");
    }
}

#[test]
fn a_header_of_the_callers_own_cannot_promise_the_extension() {
    let header = [("Sec-WebSocket-Extensions", "permessage-deflate")];
    assert!(matches!(
        ClientUpgrade::new("localhost", "/", &header, [1; 32]),
        Err(UpgradeError::BadHeader { .. })
    ));
}

#[test]
fn where_the_window_is_too_small_for_us_messages_go_uncompressed_and_are_inflated() {
    let config = takeover();
    let agreed = accepted(
        Some(&config),
        &["permessage-deflate; client_max_window_bits=8"],
    )
    .unwrap()
    .unwrap();
    let (_, server) = agree(&config, &config);
    use sente_core::framing::Kind;
    use sente_core::framing::websocket::{Role, WebSocketEvent};
    let mut client = socket(Role::Client, agreed, 10_000);
    let mut server = socket(Role::Server, server, 10_000);
    let text = "hello ".repeat(100);
    let up = written(&mut client, Kind::Text, text.as_bytes());
    assert!(up.len() > text.len());
    let down = written(&mut server, Kind::Text, text.as_bytes());
    assert!(down.len() < 50);
    for (socket, bytes) in [(&mut server, up), (&mut client, down)] {
        let events = read(socket, &bytes);
        let [WebSocketEvent::Message(frame)] = &events[..] else {
            panic!("{events:?}");
        };
        assert_eq!(frame.bytes, text);
    }
}
