//! The server's side of the HTTP upgrade, however its bytes arrive.
#![allow(missing_docs)]

mod framing_support;

use bytes::BytesMut;
use framing_support::*;
use proptest::prelude::*;
use sente_core::TransmitBuf;
use sente_core::framing::upgrade::{
    HeaderProblem, NotUpgradable, ServerUpgrade, UpgradeError, UpgradeLimits, UpgradeRequest,
    accept_key,
};

#[test]
fn the_key_of_rfc_6455_section_1_3_is_answered_as_there() {
    assert_eq!(
        accept_key("dGhlIHNhbXBsZSBub25jZQ=="),
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
}

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
}
