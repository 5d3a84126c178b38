//! The HTTP upgrade, both sides, however its bytes arrive.
#![allow(missing_docs)]

use bytes::{Buf, BytesMut};
use proptest::prelude::*;
use sente_core::TransmitBuf;
use sente_core::framing::upgrade::{
    ClientUpgrade, HeaderProblem, Mismatch, NotUpgradable, ServerUpgrade, UpgradeError,
    UpgradeLimits, UpgradeRequest, UpgradeResponse, accept_key,
};

type Parsed<T> = (Option<Result<T, UpgradeError>>, Vec<u8>);

/// Everything that `out` holds.
fn sent(mut out: TransmitBuf) -> String {
    let bytes = out.copy_to_bytes(out.remaining());
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What a server makes of `pieces`, and what follows the head; without the end of the stream
/// unless nothing came out before.
fn serve<'a>(
    limits: UpgradeLimits,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Parsed<UpgradeRequest> {
    let mut server = ServerUpgrade::new(limits);
    let mut found = None;
    for piece in pieces {
        server.handle_input(&mut BytesMut::from(piece));
        found = found.or_else(|| server.poll_request());
    }
    if found.is_none() {
        server.handle_eof();
        found = server.poll_request();
    }
    assert_eq!(server.poll_request(), None, "a request comes once");
    let rest = match &found {
        Some(Ok(_)) => server.take_rest().to_vec(),
        _ => Vec::new(),
    };
    (found, rest)
}

/// The same for a client whose key is that of `seed`.
fn ask<'a>(
    client: &mut ClientUpgrade,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Parsed<UpgradeResponse> {
    let mut found = None;
    for piece in pieces {
        client.handle_input(&mut BytesMut::from(piece));
        found = found.or_else(|| client.poll_response());
    }
    if found.is_none() {
        client.handle_eof();
        found = client.poll_response();
    }
    assert_eq!(client.poll_response(), None, "a response comes once");
    let rest = match &found {
        Some(Ok(_)) => client.take_rest().to_vec(),
        _ => Vec::new(),
    };
    (found, rest)
}

fn every_way<T: PartialEq + std::fmt::Debug>(
    bytes: &[u8],
    read: impl Fn(Vec<&[u8]>) -> Parsed<T>,
) -> Parsed<T> {
    let whole = read(vec![bytes]);
    for cut in 0..=bytes.len() {
        let (left, right) = bytes.split_at(cut);
        assert_eq!(read(vec![left, right]), whole, "cut at {cut}");
    }
    assert_eq!(read(bytes.chunks(1).collect()), whole, "byte by byte");
    whole
}

fn request(text: &str) -> Result<UpgradeRequest, UpgradeError> {
    let read = |pieces: Vec<&[u8]>| serve(UpgradeLimits::default(), pieces);
    every_way(text.as_bytes(), read).0.unwrap()
}

fn response(text: &str) -> Result<UpgradeResponse, UpgradeError> {
    let read = |pieces: Vec<&[u8]>| ask(&mut client(&[]), pieces);
    every_way(text.as_bytes(), read).0.unwrap()
}

/// A client with the seed 0 and these headers, its request sent.
fn client(headers: &[(&str, &str)]) -> ClientUpgrade {
    let mut client = ClientUpgrade::new("host", "/", headers, [0; 32]).unwrap();
    assert!(client.poll_transmit(&mut TransmitBuf::new()));
    client
}

/// The key of `client`.
fn key() -> String {
    let mut out = TransmitBuf::new();
    let mut client = ClientUpgrade::new("host", "/", &[], [0; 32]).unwrap();
    client.poll_transmit(&mut out);
    let request = sent(out);
    let (_, key) = request.split_once("Sec-WebSocket-Key: ").unwrap();
    key.split_once("\r\n").unwrap().0.to_owned()
}

/// A good response to `client`, with `instead` in the place of the header line of that name.
fn accepted(instead: &[(&str, &str)]) -> String {
    let accept = accept_key(&key());
    let mut response = "HTTP/1.1 101 Switching Protocols\r\n".to_owned();
    let lines = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", &accept),
    ];
    for (name, value) in lines {
        if !instead.iter().any(|(other, _)| *other == name) {
            response += &format!("{name}: {value}\r\n");
        }
    }
    for (name, value) in instead {
        response += &format!("{name}: {value}\r\n");
    }
    response + "\r\n"
}

/// RFC 6455 section 1.2.
const RFC_REQUEST: &str = "GET /chat HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Origin: http://example.com\r\n\
    Sec-WebSocket-Protocol: chat, superchat\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

#[test]
fn the_key_of_rfc_6455_section_1_3_is_answered_as_there() {
    assert_eq!(
        accept_key("dGhlIHNhbXBsZSBub25jZQ=="),
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
}

mod server {
    use super::*;

    #[test]
    fn the_request_of_rfc_6455_section_1_2_is_accepted() {
        let request = request(RFC_REQUEST).unwrap();
        assert_eq!(request.upgradable, Ok(()));
        assert_eq!(request.method, "GET");
        assert_eq!(request.target, "/chat");
        assert_eq!(request.protocols, ["chat", "superchat"]);
        assert_eq!(request.key.as_deref(), Some("dGhlIHNhbXBsZSBub25jZQ=="));

        let mut out = TransmitBuf::new();
        ServerUpgrade::new(UpgradeLimits::default())
            .accept(&request, &[("Sec-WebSocket-Protocol", "chat")], &mut out)
            .unwrap();
        assert_eq!(
            sent(out),
            "HTTP/1.1 101 Switching Protocols\r\n\
             Upgrade: websocket\r\n\
             Connection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
             Sec-WebSocket-Protocol: chat\r\n\r\n"
        );
    }

    #[test]
    fn frames_in_the_same_read_as_the_request_are_not_lost() {
        let stream = [RFC_REQUEST.as_bytes(), b"\x81\x85\0\0\0\0Hello"].concat();
        let (request, rest) = every_way(&stream, |pieces| serve(UpgradeLimits::default(), pieces));
        assert!(request.unwrap().is_ok());
        assert_eq!(rest, b"\x81\x85\0\0\0\0Hello");
    }

    #[test]
    fn headers_are_found_whatever_their_case_and_in_their_order() {
        let request = request(
            "GET / HTTP/1.1\r\nhost: a\r\nX-Tag: one\r\nCookie:  b=1; c=2 \t\r\nx-tag: two\r\n\r\n",
        )
        .unwrap();
        assert_eq!(request.headers.get("HOST"), Some("a"));
        assert_eq!(request.headers.get("cookie"), Some("b=1; c=2"));
        assert_eq!(request.headers.get("Origin"), None);
        let tags: Vec<_> = request.headers.get_all("X-TAG").collect();
        assert_eq!(tags, ["one", "two"]);
        let names: Vec<_> = request.headers.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["host", "X-Tag", "Cookie", "x-tag"]);
        assert_eq!(request.headers.len(), 4);
        assert!(!request.headers.is_empty());
    }

    #[test]
    fn tokens_are_found_in_lists_and_whatever_their_case() {
        let request = request(
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c, WebSocket\r\n\
             Connection: keep-alive\r\nConnection: foo,UPGRADE\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: a,,b\r\nSec-WebSocket-Protocol: c\r\n\r\n",
        )
        .unwrap();
        assert_eq!(request.upgradable, Ok(()));
        assert_eq!(request.protocols, ["a", "b", "c"]);
    }

    #[test]
    fn path_and_query_are_told_apart() {
        for (target, path, query) in [
            ("/chsk?client-id=a&x=%20", "/chsk", "client-id=a&x=%20"),
            ("/chsk", "/chsk", ""),
            ("/?a?b", "/", "a?b"),
        ] {
            let request = request(&format!("GET {target} HTTP/1.1\r\n\r\n")).unwrap();
            assert_eq!((request.path(), request.query()), (path, query));
        }
    }

    #[test]
    fn bare_newlines_and_leading_empty_lines_are_taken() {
        let request = request("\r\n\nGET / HTTP/1.1\nHost: a\n\n").unwrap();
        assert_eq!(request.headers.get("host"), Some("a"));
    }

    /// `RFC_REQUEST` with one line replaced.
    fn changed(name: &str, line: &str) -> NotUpgradable {
        let lines = RFC_REQUEST
            .split_inclusive("\r\n")
            .map(|old| if old.starts_with(name) { line } else { old });
        request(&lines.collect::<String>())
            .unwrap()
            .upgradable
            .unwrap_err()
    }

    #[test]
    fn a_request_that_cannot_be_accepted_is_a_value_that_says_why() {
        for (name, line, problem) in [
            ("Upgrade", "", NotUpgradable::PlainHttp),
            ("Upgrade", "Upgrade: h2c\r\n", NotUpgradable::PlainHttp),
            ("Connection", "", NotUpgradable::PlainHttp),
            ("GET", "POST / HTTP/1.1\r\n", NotUpgradable::Method),
            ("GET", "GET / HTTP/1.0\r\n", NotUpgradable::HttpVersion),
            ("Host", "", NotUpgradable::Host),
            ("Host", "Host: a\r\nHost: b\r\n", NotUpgradable::Host),
            ("Sec-WebSocket-Version", "", NotUpgradable::Version),
            (
                "Sec-WebSocket-Version",
                "Sec-WebSocket-Version: 8\r\n",
                NotUpgradable::Version,
            ),
            ("Sec-WebSocket-Key", "", NotUpgradable::Key),
            (
                "Sec-WebSocket-Key",
                "Sec-WebSocket-Key: short\r\n",
                NotUpgradable::Key,
            ),
            (
                "Sec-WebSocket-Key",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
                NotUpgradable::Key,
            ),
        ] {
            assert_eq!(changed(name, line), problem, "{line:?} for {name}");
        }
    }

    #[test]
    fn the_status_of_a_problem_comes_with_its_headers() {
        assert_eq!(NotUpgradable::Version.status(), 426);
        assert_eq!(
            NotUpgradable::Version.headers(),
            [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
        );
        assert_eq!(NotUpgradable::Method.status(), 405);
        assert_eq!(NotUpgradable::Method.headers(), [("Allow", "GET")]);
        assert_eq!(NotUpgradable::Key.status(), 400);
    }

    #[test]
    fn what_cannot_be_accepted_is_not() {
        let plain = request("GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let mut out = TransmitBuf::new();
        let error = ServerUpgrade::new(UpgradeLimits::default()).accept(&plain, &[], &mut out);
        assert_eq!(
            error,
            Err(UpgradeError::NotUpgradable(NotUpgradable::PlainHttp))
        );
        assert!(out.is_empty());
    }

    #[test]
    fn headers_of_the_answer_cannot_add_lines_or_lie() {
        let request = request(RFC_REQUEST).unwrap();
        let mut server = ServerUpgrade::new(UpgradeLimits::default());
        let bad = |name: &str, problem| {
            Err(UpgradeError::BadHeader {
                name: name.to_owned(),
                problem,
            })
        };
        for (name, value, expected) in [
            ("X", "a\r\nY: b", bad("X", HeaderProblem::Value)),
            ("X", "a\0", bad("X", HeaderProblem::Value)),
            ("X Y", "a", bad("X Y", HeaderProblem::Name)),
            ("X:", "a", bad("X:", HeaderProblem::Name)),
            ("", "a", bad("", HeaderProblem::Name)),
            ("Upgrade", "h2c", bad("Upgrade", HeaderProblem::Reserved)),
            (
                "sec-websocket-extensions",
                "permessage-deflate",
                bad("sec-websocket-extensions", HeaderProblem::Reserved),
            ),
            (
                "Sec-WebSocket-Protocol",
                "other",
                Err(UpgradeError::NotOffered("other".to_owned())),
            ),
        ] {
            let mut out = TransmitBuf::new();
            assert_eq!(
                server.accept(&request, &[(name, value)], &mut out),
                expected
            );
            assert!(out.is_empty());
        }
    }

    #[test]
    fn a_refusal_is_a_complete_response() {
        let mut out = TransmitBuf::new();
        let problem = NotUpgradable::Version;
        ServerUpgrade::refuse(problem.status(), problem.headers(), "näin", &mut out).unwrap();
        assert_eq!(
            sent(out),
            "HTTP/1.1 426 Upgrade Required\r\n\
             Upgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\
             Content-Length: 5\r\n\
             Connection: close\r\n\r\nnäin"
        );
    }

    #[test]
    fn a_refusal_may_name_its_own_content_type() {
        let mut out = TransmitBuf::new();
        let headers = [("content-type", "application/edn")];
        ServerUpgrade::refuse(403, &headers, "{}", &mut out).unwrap();
        assert_eq!(
            sent(out),
            "HTTP/1.1 403 Forbidden\r\ncontent-type: application/edn\r\n\
             Content-Length: 2\r\nConnection: close\r\n\r\n{}"
        );
    }

    #[test]
    fn a_refusal_cannot_be_made_into_something_else() {
        let mut out = TransmitBuf::new();
        let refused = ServerUpgrade::refuse(101, &[], "", &mut out);
        assert_eq!(refused, Err(UpgradeError::BadStatus(101)));
        let headers = [("Content-Length", "7")];
        assert!(ServerUpgrade::refuse(400, &headers, "", &mut out).is_err());
        assert!(out.is_empty());
    }

    #[test]
    fn another_protocol_is_told_at_its_first_byte() {
        for bytes in [&b"\x16\x03\x01"[..], b"[:chsk/handshake]", b"\0"] {
            let mut server = ServerUpgrade::new(UpgradeLimits::default());
            server.handle_input(&mut BytesMut::from(&bytes[..1]));
            let error = server.poll_request().unwrap().unwrap_err();
            assert!(matches!(error, UpgradeError::BadHead { .. }));
            assert_eq!(error.status(), Some(400));
        }
    }

    #[test]
    fn a_head_that_is_not_http_is_an_error() {
        for head in [
            "GET /\r\n\r\n",
            "GET / HTTP/2.0\r\n\r\n",
            "GET / HTTP/1.1\r\nno colon\r\n\r\n",
            "GET / HTTP/1.1\r\nA: \x01\r\n\r\n",
            "GET / HTTP/1.1\r\nA : b\r\n\r\n",
            "G\r\n\r\n",
            "\rGET / HTTP/1.1\r\n\r\n",
        ] {
            let error = request(head).unwrap_err();
            assert!(
                matches!(error, UpgradeError::BadHead { .. }),
                "{head:?}: {error}"
            );
        }
    }

    #[test]
    fn a_stream_that_ends_in_the_head_says_how_far_it_came() {
        assert_eq!(
            request("GET / HTTP/1.1\r\n"),
            Err(UpgradeError::Ended { received: 16 })
        );
    }

    fn small() -> UpgradeLimits {
        let mut limits = UpgradeLimits::default();
        limits.max_head_bytes = 40;
        limits.max_headers = 2;
        limits
    }

    fn limited(text: &str) -> Result<UpgradeRequest, UpgradeError> {
        every_way(text.as_bytes(), |pieces| serve(small(), pieces))
            .0
            .unwrap()
    }

    #[test]
    fn a_head_over_the_limit_is_refused_before_its_end() {
        let error = UpgradeError::HeadTooLong { limit: 40 };
        assert_eq!(error.status(), Some(431));
        let too_long = Err(error);
        assert!(limited("GET / HTTP/1.1\r\nA: 45678901234567890\r\n\r\n").is_ok());
        assert_eq!(
            limited("GET / HTTP/1.1\r\nA: 456789012345678901\r\n\r\n"),
            too_long
        );
        assert_eq!(limited(&"G".repeat(41)), too_long);
        assert_eq!(limited(&"\r\n".repeat(21)), too_long);
    }

    #[test]
    fn too_many_headers_are_refused() {
        assert!(limited("GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\n\r\n").is_ok());
        assert_eq!(
            limited("GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n"),
            Err(UpgradeError::TooManyHeaders { limit: 2 })
        );
    }
}

mod client {
    use super::*;

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
            assert!(
                matches!(refused, UpgradeError::Refused { body, .. } if body == "x".repeat(1024))
            );
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

#[test]
fn sixteen_kibibytes_byte_by_byte_are_one_head() {
    let value = "x".repeat(16_000);
    let stream = format!("GET / HTTP/1.1\r\nA: {value}\r\n\r\n");
    let (request, _) = serve(UpgradeLimits::default(), stream.as_bytes().chunks(1));
    assert_eq!(
        request.unwrap().unwrap().headers.get("a"),
        Some(value.as_str())
    );
}

proptest! {
    #[test]
    fn a_request_comes_out_the_same_in_any_pieces(
        stream in "(GET |[ -~]{0,6})(/[a-z]{0,4})?( HTTP/1\\.[01])?\r?\n\
                   ((Host|[a-zA-Z-]{0,6}):? ?[ -~\u{e9}]{0,8}\r?\n){0,5}\r?\n.{0,10}",
        sizes in proptest::collection::vec(1_usize..30, 0..20),
    ) {
        let mut limits = UpgradeLimits::default();
        limits.max_head_bytes = 80;
        limits.max_headers = 3;
        let mut pieces = Vec::new();
        let mut rest = stream.as_bytes();
        for size in sizes {
            let (piece, after) = rest.split_at(size.min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        pieces.push(rest);
        let whole = serve(limits, [stream.as_bytes()]);
        prop_assert_eq!(&serve(limits, pieces), &whole);
        prop_assert_eq!(&serve(limits, stream.as_bytes().chunks(1)), &whole);
    }

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
