//! Ajax over real sockets: sessions, bodies, refusals, and clients that go.
#![allow(missing_docs)]

mod http_support;

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use http_support::{
    Client, HANDSHAKE, POLL, RECEIVED, Served, TIMEOUT, event, message, open_to_all, post, soon,
};
use sente_core::admission::{
    Admission, CsrfCheck, CsrfToken, GateLimits, Identity, Origins, Refusal,
};
use sente_core::ajax::{AjaxConfig, AjaxConfigBuilder};
use sente_core::{CloseReason, Event, EventId, Limits};
use sente_server::http::{Door, HttpConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn ajax(
    change: impl FnOnce(AjaxConfigBuilder) -> AjaxConfigBuilder,
) -> impl FnOnce(HttpConfig) -> HttpConfig {
    |mut config| {
        config.ajax = Some(change(AjaxConfig::builder()).build().unwrap());
        config
    }
}

fn get(target: &str) -> http::request::Builder {
    Request::get(target)
}

fn nothing() -> Full<Bytes> {
    Full::default()
}

#[tokio::test]
async fn a_client_polls_posts_and_calls() {
    let mut served = Served::new().await;
    let mut client = served.client().await;
    let hello = client
        .get("/chsk?client-id=c1&uid=ada&handshake%3F=1")
        .await;
    assert_eq!(
        hello.told(),
        (200, "[[:chsk/handshake [\"ada\" nil nil]] nil]")
    );
    assert_eq!(
        hello.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(hello.header("cache-control"), Some("no-store"));
    let arrival = served.arrival().await;
    assert_eq!(arrival.admitted.client_id.as_deref(), Some("c1"));
    let sente_server::http::ArrivalLink::Ajax(handle, mut events) = arrival.link else {
        panic!("a websocket");
    };
    assert_eq!(handle.peer(), "ajax://127.0.0.1");
    assert_eq!(handle.id(), arrival.id);

    // As nobody it is a session of its own: only GET requests have the parameter here.
    let mut poster = served.client().await;
    let mut of_ada = post("[[:a/say 1] nil]");
    *of_ada.uri_mut() = "/chsk?uid=ada".parse().unwrap();
    assert_eq!(poster.ask(of_ada).await.told(), (200, RECEIVED));
    assert_eq!(message(&mut events).await.event.id.as_str(), "a/say");

    let poll = tokio::spawn(async move {
        let answer = client.get("/chsk?client-id=c1&uid=ada").await;
        (client, answer)
    });
    handle.send(event("[:a/news {:n 1}]")).await.unwrap();
    let (_client, told) = soon(poll).await.unwrap();
    assert_eq!(told.told(), (200, "[[[:a/news {:n 1}]] nil]"));

    let mut call = post("[[:a/ask 20] :ajax]");
    *call.uri_mut() = "/chsk?uid=ada".parse().unwrap();
    let call = tokio::spawn(async move { poster.ask(call).await });
    let asked = message(&mut events).await;
    handle.reply(asked.reply.unwrap(), 42).unwrap();
    assert_eq!(soon(call).await.unwrap().told(), (200, "[42 nil]"));
    assert_eq!(served.service.ajax_sessions(), 1);
}

#[tokio::test]
async fn a_session_belongs_to_a_user_and_a_client_id() {
    let mut served = Served::new().await;
    let mut client = served.client().await;
    for target in [
        "/chsk?client-id=c1&uid=ada&handshake%3F=1",
        "/chsk?client-id=c1&uid=bob&handshake%3F=1",
        "/chsk?client-id=c2&uid=ada&handshake%3F=1",
        "/chsk?client-id=c1&uid=ada&handshake%3F=1",
    ] {
        assert_eq!(client.get(target).await.status, 200);
    }
    assert_eq!(served.service.ajax_sessions(), 3);
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(served.session().await);
    }
    let mut poll = tokio::spawn(async move { client.get("/chsk?client-id=c1&uid=bob").await });
    held[0].0.close();
    tokio::select! {
        biased;
        answer = &mut poll => panic!("{answer:?}"),
        end = held[0].0.ended() => assert_eq!(end.reason, CloseReason::Requested),
    }
    // It opens with its first poll.
    while held[1].0.try_send(event("[:to/bob]")).is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(soon(poll).await.unwrap().text(), "[[[:to/bob]] nil]");
}

#[tokio::test]
async fn a_session_holds_one_place_from_its_first_request_to_its_end() {
    let mut limits = GateLimits::default();
    limits.max_connections = Some(1);
    let (door, arrivals) = Door::new(open_to_all(), limits);
    let mut served = Served::of(door, arrivals, HttpConfig::new().unwrap()).await;
    let (mut client, handle, events, place) = served.greeted().await;
    assert_eq!(served.service.host().connections(), 1);
    assert_eq!(client.post("[[:a/b] nil]").await.told(), (200, RECEIVED));
    let other = client.get("/chsk?client-id=c2&handshake%3F=1").await;
    assert_eq!(other.status, 503);
    assert_eq!(other.header("retry-after"), Some("5"));
    handle.close();
    soon(handle.ended()).await;
    drop((handle, events, place));
    let other = client.get("/chsk?client-id=c2&handshake%3F=1").await;
    assert_eq!(other.status, 200);
    assert_eq!(served.service.host().connections(), 1);
}

#[tokio::test]
async fn a_session_that_was_closed_begins_anew() {
    let mut served = Served::new().await;
    let (mut client, handle, _events, _place) = served.greeted().await;
    let mut poll = Box::pin(client.get(POLL));
    tokio::select! {
        biased;
        answer = &mut poll => panic!("{answer:?}"),
        () = async { while handle.try_send(event("[:a/b]")).is_err() {
            tokio::task::yield_now().await;
        } } => {}
    }
    assert_eq!(soon(poll).await.text(), "[[[:a/b]] nil]");
    handle.close();
    soon(handle.ended()).await;
    let answer = client.get(POLL).await;
    assert_eq!(
        answer.text(),
        "[[:chsk/handshake [:sente/nil-uid nil nil]] nil]"
    );
    let (anew, _events, _place) = served.session().await;
    assert_ne!(anew.id(), handle.id());
}

#[tokio::test]
async fn a_poll_ends_in_time() {
    let mut served = Served::with(
        open_to_all(),
        ajax(|config| config.poll_timeout(Some(Duration::from_millis(20)))),
    )
    .await;
    let (mut client, ..) = served.greeted().await;
    // Nobody holds the session any more, so it is another one that answers.
    assert!(client.get(POLL).await.text().contains("chsk/handshake"));
    let (_handle, _events, _place) = served.session().await;
    assert_eq!(client.get(POLL).await.text(), TIMEOUT);
}

#[tokio::test]
async fn a_client_that_goes_in_the_middle_of_a_poll_is_missed() {
    let mut served = Served::with(
        open_to_all(),
        ajax(|config| config.poll_timeout(None).grace(Duration::from_millis(20))),
    )
    .await;
    let (mut client, handle, _events, _place) = served.greeted().await;
    let poll = tokio::spawn(async move { client.get(POLL).await });
    while handle.opened().is_none() && handle.state() != sente_core::State::Open {
        tokio::task::yield_now().await;
    }
    // Its socket closes with it; the grace begins when the server has seen that.
    poll.abort();
    assert_eq!(soon(handle.ended()).await.reason, CloseReason::Eof);
}

#[tokio::test]
async fn an_answer_whose_socket_fails_is_told_again() {
    let mut limits = Limits::default();
    (limits.max_frame_bytes, limits.max_batch_bytes) = (16 << 20, 16 << 20);
    (limits.max_send_bytes, limits.warn_frame_bytes) = (16 << 20, 16 << 20);
    let mut served = Served::with(open_to_all(), ajax(|config| config.limits(limits))).await;
    let (mut client, handle, mut events, _place) = served.greeted().await;
    assert_eq!(client.post("[[:a/b] nil]").await.told(), (200, RECEIVED));
    message(&mut events).await;
    // More than any socket holds for a reader.
    let large = "x".repeat(12 << 20);
    let id = EventId::new("a/large").unwrap();
    handle.send(Event::new(id, large.as_str())).await.unwrap();
    let mut socket = TcpStream::connect(served.address).await.unwrap();
    let head = format!("GET {POLL} HTTP/1.1\r\nHost: a\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut begun = [0; 64];
    soon(socket.read_exact(&mut begun)).await.unwrap();
    assert!(begun.starts_with(b"HTTP/1.1 200 OK"));
    // With unread bytes it is reset.
    drop(socket);
    // Whether the server has noticed yet: then the next poll has it.
    let mut told = client.get(POLL).await;
    if told.text() == TIMEOUT {
        told = client.get(POLL).await;
    }
    assert_eq!(
        told.body.len(),
        large.len() + "[[[:a/large \"\"]] nil]".len()
    );
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_whether_it_says_so_or_not() {
    let mut limits = Limits::default();
    limits.max_frame_bytes = 1_000;
    let served = Served::with(open_to_all(), ajax(|config| config.limits(limits))).await;
    let limit = 3 * 1_000 + 4_096;
    let mut client = served.client().await;
    let large = Request::post("/chsk?client-id=c1")
        .body(Full::from("x".repeat(limit + 1)))
        .unwrap();
    let answer = client.ask(large).await;
    assert_eq!(answer.told(), (413, "The body is too large"));

    let mut socket = TcpStream::connect(served.address).await.unwrap();
    let head = "POST /chsk?client-id=c1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("{:x}\r\n{}\r\n", limit + 1, "x".repeat(limit + 1));
    socket.write_all(chunk.as_bytes()).await.unwrap();
    assert!(response(&mut socket).await.starts_with("HTTP/1.1 413 "));
    assert_eq!(served.service.ajax_sessions(), 0);
}

/// What comes on a raw socket until the end of the head.
async fn response(socket: &mut TcpStream) -> String {
    let mut all = Vec::new();
    while !all.windows(4).any(|window| window == b"\r\n\r\n") {
        let mut some = [0; 1024];
        let read = soon(socket.read(&mut some)).await.unwrap();
        assert_ne!(read, 0, "{:?}", String::from_utf8_lossy(&all));
        all.extend_from_slice(&some[..read]);
    }
    String::from_utf8(all).unwrap()
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let served = Served::with(open_to_all(), |mut config| {
        config.body_timeout = Duration::from_millis(20);
        config
    })
    .await;
    let mut socket = TcpStream::connect(served.address).await.unwrap();
    let head = "POST /chsk?client-id=c1 HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nppstr=";
    socket.write_all(head.as_bytes()).await.unwrap();
    assert!(response(&mut socket).await.starts_with("HTTP/1.1 408 "));
    assert_eq!(served.service.ajax_sessions(), 0);
}

#[tokio::test]
async fn bodies_wait_for_their_turn_where_much_is_read_already() {
    let served = Served::with(open_to_all(), |mut config| {
        config.max_bodies_bytes = 1024;
        config
    })
    .await;
    let mut slow = TcpStream::connect(served.address).await.unwrap();
    let head = "POST /chsk?client-id=c1 HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nppstr=";
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut client = served.client().await;
    let waiting = tokio::spawn(async move { client.post("[[:a/b] nil]").await });
    assert_eq!(served.service.ajax_sessions(), 0);
    drop(slow);
    assert_eq!(soon(waiting).await.unwrap().told(), (200, RECEIVED));
}

#[tokio::test]
async fn posts_to_an_application_that_is_behind_wait_for_it() {
    let mut limits = Limits::default();
    limits.max_recv_messages = 1;
    let mut served = Served::with(open_to_all(), ajax(|config| config.limits(limits))).await;
    let (mut client, _handle, mut events, _place) = served.greeted().await;
    assert_eq!(client.post("[[:a/b 1] nil]").await.told(), (200, RECEIVED));
    let waiting = tokio::spawn(async move { client.post("[[:a/b 2] nil]").await });
    assert_eq!(message(&mut events).await.event.id.as_str(), "a/b");
    assert_eq!(soon(waiting).await.unwrap().told(), (200, RECEIVED));
    assert_eq!(message(&mut events).await.event.id.as_str(), "a/b");
}

#[tokio::test]
async fn posts_to_an_application_that_stays_behind_are_put_off() {
    let mut limits = Limits::default();
    limits.max_recv_messages = 1;
    let mut served = Served::with(open_to_all(), |config| {
        let mut config = ajax(|config| config.limits(limits))(config);
        config.behind_timeout = Duration::from_millis(20);
        config
    })
    .await;
    let (mut client, _handle, _events, _place) = served.greeted().await;
    assert_eq!(client.post("[[:a/b 1] nil]").await.told(), (200, RECEIVED));
    let busy = client.post("[[:a/b 2] nil]").await;
    assert_eq!((busy.status, busy.header("retry-after")), (503, Some("1")));
}

#[tokio::test]
async fn a_rejection_is_the_response_as_it_is() {
    let admission = open_to_all().reject(|request| {
        request.has_param("bad").then(|| {
            Refusal::new(418, "no coffee")
                .with_header("Content-Type", "text/x-tea")
                .with_header("X-Pot", "1")
                .with_header("X-Pot", "2")
        })
    });
    let served = Served::with(admission, |config| config).await;
    let mut client = served.client().await;
    let answer = client.get("/chsk?client-id=c1&bad=1").await;
    assert_eq!(answer.told(), (418, "no coffee"));
    assert_eq!(answer.header("content-type"), Some("text/x-tea"));
    let pots: Vec<_> = answer.headers.get_all("x-pot").iter().collect();
    assert_eq!(pots, ["1", "2"]);
    assert_eq!(served.service.ajax_sessions(), 0);
    assert_eq!(served.service.host().connections(), 0);
}

#[tokio::test]
async fn every_request_is_asked_for_its_token_and_its_origin() {
    let token = CsrfToken::new("t0k").unwrap();
    let admission = Admission::new(CsrfCheck::token(token))
        .origins(Origins::only(["https://app.example"]).unwrap());
    let served = Served::with(admission, |config| config).await;
    let mut client = served.client().await;
    let request = |target: &str| get(target).header("origin", "https://app.example");
    let bad = request(HANDSHAKE).body(nothing()).unwrap();
    assert_eq!(client.ask(bad).await.told(), (403, "Bad CSRF token"));
    let ok = request(&format!("{HANDSHAKE}&csrf-token=t0k"));
    assert_eq!(client.ask(ok.body(nothing()).unwrap()).await.status, 200);
    let ok = request(HANDSHAKE).header("x-csrf-token", "t0k");
    assert_eq!(client.ask(ok.body(nothing()).unwrap()).await.status, 200);
    assert_eq!(
        client.post("[[:a/b] nil]").await.told(),
        (403, "Bad CSRF token")
    );
    let elsewhere = get(HANDSHAKE)
        .header("x-csrf-token", "t0k")
        .header("origin", "https://evil.example");
    assert_eq!(
        client.ask(elsewhere.body(nothing()).unwrap()).await.told(),
        (403, "Unauthorized origin")
    );
}

#[tokio::test]
async fn the_application_may_take_its_time_to_say_who_it_is() {
    let (door, arrivals) = Door::new(open_to_all(), GateLimits::default());
    let door = door.identify(async |incoming| {
        tokio::task::yield_now().await;
        match incoming.request().header("authorization") {
            Some("Bearer ada") => Ok(incoming.accept(Identity::of("ada").with_data(7))),
            _ => Err(incoming.refuse(401, "who are you?")),
        }
    });
    let served = Served::of(door, arrivals, HttpConfig::new().unwrap()).await;
    let mut client = served.client().await;
    assert_eq!(client.get(HANDSHAKE).await.told(), (401, "who are you?"));
    let known = get(HANDSHAKE).header("authorization", "Bearer ada");
    assert_eq!(
        client.ask(known.body(nothing()).unwrap()).await.text(),
        "[[:chsk/handshake [\"ada\" nil 7]] nil]"
    );
    // The same is asked of every request.
    assert_eq!(client.get(POLL).await.status, 401);
    assert_eq!(client.post("[[:a/b] nil]").await.status, 401);
}

#[tokio::test]
async fn what_is_no_poll_and_no_post_is_told_so() {
    let served = Served::new().await;
    let mut client = served.client().await;
    let put = Request::put("/chsk?client-id=c1").body(nothing()).unwrap();
    let answer = client.ask(put).await;
    assert_eq!(answer.told(), (405, "This endpoint takes GET and POST"));
    assert_eq!(answer.header("allow"), Some("GET, POST"));
    for target in [
        "/chsk",
        "/chsk?client-id=%20",
        "/chsk?client-id=a&client-id=b",
    ] {
        let answer = client.get(target).await;
        assert_eq!(answer.status, 400, "{target}");
        assert!(answer.text().contains("client-id"), "{}", answer.text());
    }
    let answer = client.post("[[:a/b").await;
    assert_eq!(answer.status, 400);
    assert!(!answer.text().is_empty());
}

#[tokio::test]
async fn pages_of_named_origins_may_read_the_answers() {
    let served = Served::with(open_to_all(), |mut config| {
        config.cors = Some(Origins::only(["https://app.example"]).unwrap());
        config
    })
    .await;
    let mut client = served.client().await;
    let preflight = |origin: &str| {
        Request::options("/chsk?client-id=c1")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "x-csrf-token")
            .body(nothing())
            .unwrap()
    };
    let answer = client.ask(preflight("https://app.example")).await;
    assert_eq!(answer.status, 204);
    let allowed = answer.header("access-control-allow-headers").unwrap();
    assert!(allowed.contains("X-CSRF-Token"), "{allowed}");
    assert_eq!(
        answer.header("access-control-allow-methods"),
        Some("GET, POST")
    );
    let answer = client.ask(preflight("https://evil.example")).await;
    assert_eq!(answer.header("access-control-allow-origin"), None);
    assert_eq!(answer.header("access-control-allow-methods"), None);

    let poll = |origin: &str| get(HANDSHAKE).header("origin", origin);
    let answer = client
        .ask(poll("https://app.example").body(nothing()).unwrap())
        .await;
    assert_eq!(
        answer.header("access-control-allow-origin"),
        Some("https://app.example")
    );
    assert_eq!(
        answer.header("access-control-allow-credentials"),
        Some("true")
    );
    assert_eq!(answer.header("vary"), Some("Origin"));
    let answer = client
        .ask(poll("https://evil.example").body(nothing()).unwrap())
        .await;
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn without_cors_an_endpoint_says_nothing_of_origins() {
    let served = Served::new().await;
    let mut client: Client = served.client().await;
    let poll = get(HANDSHAKE).header("origin", "https://app.example");
    let answer = client.ask(poll.body(nothing()).unwrap()).await;
    assert_eq!(answer.header("access-control-allow-origin"), None);
    assert_eq!(answer.header("vary"), None);
}
