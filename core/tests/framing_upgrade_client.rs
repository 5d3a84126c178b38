//! The client's side of the HTTP upgrade, however its bytes arrive.
#![allow(missing_docs)]

mod framing_support;

use bytes::BytesMut;
use framing_support::*;
use proptest::prelude::*;
use sente_core::TransmitBuf;
use sente_core::framing::upgrade::{
    ClientUpgrade, Mismatch, ServerUpgrade, UpgradeError, UpgradeLimits,
};

#[test]
fn the_request_says_what_rfc_6455_section_4_1_demands() {
    let headers = [("Origin", "http://a"), ("Sec-WebSocket-Protocol", "x, y")];
    let mut client =
        ClientUpgrade::new("[::1]:8080", "/chsk?client-id=a", &headers, [7; 32]).unwrap();
    let mut out = TransmitBuf::new();
    assert!(client.poll_transmit(&mut out));
    assert!(!client.poll_transmit(&mut out), "it is sent once");
    let text = sent(out);
    let request = request(&text).unwrap();
    assert_eq!(request.upgradable, Ok(()));
    assert_eq!(request.target, "/chsk?client-id=a");
    assert_eq!(request.protocols, ["x", "y"]);
    assert_eq!(request.headers.get("host"), Some("[::1]:8080"));
    assert_eq!(request.headers.get("origin"), Some("http://a"));
    assert_eq!(text.lines().next(), Some("GET /chsk?client-id=a HTTP/1.1"));
}

#[test]
fn keys_differ_with_the_seed() {
    let key = |seed| {
        let mut out = TransmitBuf::new();
        ClientUpgrade::new("a", "/", &[], [seed; 32])
            .unwrap()
            .poll_transmit(&mut out);
        request(&sent(out)).unwrap().key.unwrap()
    };
    assert_eq!(key(1), key(1));
    assert_ne!(key(1), key(2));
}

#[test]
fn nothing_that_is_passed_in_can_add_a_line() {
    let new = |host, target, name, value| {
        ClientUpgrade::new(host, target, &[(name, value)], [0; 32]).unwrap_err()
    };
    for host in ["", "a b", "a\r\nX: y", "a/b", "user@a", "é"] {
        let error = new(host, "/", "A", "b");
        assert_eq!(error, UpgradeError::BadHost(host.to_owned()));
    }
    for target in ["", "chsk", "/a b", "/a\r\nX: y", "/a#b", "/é", "http://a/"] {
        let error = new("a", target, "A", "b");
        assert_eq!(error, UpgradeError::BadTarget(target.to_owned()));
    }
    for (name, value) in [
        ("A", "b\nC: d"),
        ("A\r\n", "b"),
        ("Host", "b"),
        ("upgrade", "b"),
    ] {
        let error = new("a", "/", name, value);
        assert!(
            matches!(error, UpgradeError::BadHeader { .. }),
            "{name:?}: {value:?}"
        );
    }
}

#[test]
fn a_good_answer_is_taken() {
    let response = response(&accepted(&[("Date", "today")])).unwrap();
    assert_eq!(response.headers.get("date"), Some("today"));
    assert_eq!(response.protocol, None);
}

#[test]
fn frames_in_the_same_read_as_the_answer_are_not_lost() {
    let stream = [accepted(&[]).as_bytes(), b"\x81\x05Hello"].concat();
    let (response, rest) = every_way(&stream, |pieces| ask(&mut client(&[]), pieces));
    assert!(response.unwrap().is_ok());
    assert_eq!(rest, b"\x81\x05Hello");
}

#[test]
fn an_answer_that_is_no_upgrade_says_where_it_differs() {
    for (name, value, mismatch) in [
        ("Upgrade", "h2c", Mismatch::Upgrade),
        ("Connection", "close", Mismatch::Connection),
        (
            "Sec-WebSocket-Accept",
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            Mismatch::Accept,
        ),
        ("Sec-WebSocket-Protocol", "chat", Mismatch::Protocol),
        (
            "Sec-WebSocket-Extensions",
            "permessage-deflate",
            Mismatch::Extension,
        ),
    ] {
        assert_eq!(
            response(&accepted(&[(name, value)])),
            Err(UpgradeError::Mismatch(mismatch))
        );
    }
}

#[test]
fn only_an_offered_protocol_may_be_chosen() {
    let answer = accepted(&[("Sec-WebSocket-Protocol", "b")]);
    let mut offering = client(&[("sec-websocket-protocol", "a, b")]);
    let (response, _) = ask(&mut offering, [answer.as_bytes()]);
    assert_eq!(response.unwrap().unwrap().protocol.as_deref(), Some("b"));
}

#[test]
fn informational_responses_before_the_answer_are_skipped() {
    let stream = format!(
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n{}",
        accepted(&[])
    );
    assert!(response(&stream).is_ok());
}

/// The status, reason and body of a refusal.
fn refusal(text: &str) -> (u16, String, String) {
    match response(text) {
        Err(UpgradeError::Refused {
            status,
            reason,
            body,
            ..
        }) => (status, reason, body),
        other => panic!("{other:?}"),
    }
}

fn told(status: u16, reason: &str, body: &str) -> (u16, String, String) {
    (status, reason.to_owned(), body.to_owned())
}

#[test]
fn a_refusal_comes_with_its_body() {
    assert_eq!(
        refusal("HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!and more"),
        told(403, "Forbidden", "no!")
    );
    assert_eq!(
        refusal("HTTP/1.1 500 \r\nConnection: close\r\n\r\nuntil the end"),
        told(500, "", "until the end")
    );
    assert_eq!(
        refusal("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"),
        told(401, "Unauthorized", "")
    );
    assert_eq!(
        refusal("HTTP/1.1 204 No Content\r\n\r\n"),
        told(204, "No Content", "")
    );
    assert_eq!(
        refusal("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut"),
        told(200, "OK", "cut")
    );
}

#[test]
fn a_refusal_in_chunks_is_put_together() {
    let head = "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (body, text) in [
        ("3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", "abcde"),
        ("0\r\n\r\n", ""),
        ("a\r\n0123456789\r\nnonsense\r\n", "0123456789"),
        ("5\r\nab", "ab"),
    ] {
        assert_eq!(refusal(&format!("{head}{body}")), told(503, "Busy", text));
    }
    let endless = "1".repeat(500);
    assert_eq!(refusal(&format!("{head}{endless}")), told(503, "Busy", ""));
}

#[test]
fn no_more_than_a_kibibyte_of_a_body_is_waited_for() {
    let head = "HTTP/1.1 403 Forbidden\r\n";
    for framing in [
        "Content-Length: 99999\r\n\r\n",
        "\r\n",
        "Transfer-Encoding: chunked\r\n\r\nfff\r\n",
    ] {
        let text = format!("{head}{framing}{}", "x".repeat(1024));
        let mut client = client(&[]);
        client.handle_input(&mut BytesMut::from(text.as_bytes()));
        let refused = client.poll_response().unwrap().unwrap_err();
        assert!(matches!(refused, UpgradeError::Refused { body, .. } if body == "x".repeat(1024)));
    }
}

#[test]
fn a_redirect_says_where_to() {
    let refused = response("HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n");
    let Err(UpgradeError::Refused { headers, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(headers.get("location"), Some("/b"));
}

#[test]
fn heads_are_bounded_together() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(1000);
    let (found, _) = ask(&mut client(&[]), [interim.as_bytes()]);
    assert_eq!(found, Some(Err(UpgradeError::HeadTooLong { limit: 16384 })));
}

#[test]
fn what_is_not_http_is_an_error() {
    assert!(matches!(response("[1]"), Err(UpgradeError::BadHead { .. })));
    assert!(matches!(
        response("SSH-2.0-x\r\n\r\n"),
        Err(UpgradeError::BadHead { .. })
    ));
    assert_eq!(
        response("HTTP/1.1 101"),
        Err(UpgradeError::Ended { received: 12 })
    );
    assert_eq!(response(""), Err(UpgradeError::Ended { received: 0 }));
}

#[test]
fn client_and_server_agree() {
    let mut client = ClientUpgrade::new("a:1", "/x?y", &[], [3; 32]).unwrap();
    let mut server = ServerUpgrade::new(UpgradeLimits::default());
    let mut out = TransmitBuf::new();
    client.poll_transmit(&mut out);
    server.handle_input(&mut BytesMut::from(sent(out).as_bytes()));
    let request = server.poll_request().unwrap().unwrap();
    let mut out = TransmitBuf::new();
    server
        .accept(&request, &[("Date", "now")], &mut out)
        .unwrap();
    client.handle_input(&mut BytesMut::from(sent(out).as_bytes()));
    assert!(client.poll_response().unwrap().is_ok());
    assert!(client.take_rest().is_empty());
    assert!(server.take_rest().is_empty());
}

proptest! {
    #[test]
    fn any_bytes_are_an_answer_or_an_error(
        bytes in proptest::collection::vec(any::<u8>(), 0..80),
        prefix in prop_oneof![Just(""), Just("HTTP/1.1 "), Just("HTTP/1.1 403 X\r\nTransfer-Encoding: chunked\r\n\r\n")],
    ) {
        let stream = [prefix.as_bytes(), &bytes].concat();
        let whole = ask(&mut client(&[]), [&stream[..]]);
        prop_assert!(whole.0.is_some());
        prop_assert_eq!(ask(&mut client(&[]), stream.chunks(1)), whole);
    }
}
