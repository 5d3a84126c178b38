//! What `serve` says over HTTP: Sente's Ajax, reports, the CSRF token.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value as Json;
use support::{Live, run};

/// An answer over HTTP.
#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn json(&self) -> Json {
        assert!(
            self.head.contains("content-type: application/json"),
            "{self:?}"
        );
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Asks the server that listens at this `ws://` URL.
fn ask(url: &str, request: &str, more: &str, body: &str) -> Reply {
    let address = url.trim_start_matches("ws://");
    let address = address.split('/').next().unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    let head = format!("{request} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    let head = format!("{head}{more}Content-Length: {length}\r\n\r\n{body}");
    stream.write_all(head.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect(&text);
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Reply {
        status,
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

fn get(url: &str, path: &str) -> Reply {
    ask(url, &format!("GET {path}"), "", "")
}

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

#[test]
fn health_names_every_part() {
    let live = Live::start(&["--ws", "127.0.0.1:0", "--tcp", "127.0.0.1:0"]);
    let url = live.url();
    let health = get(&url, "/health");
    assert_eq!(health.status, 200, "{health:?}");
    let health = health.json();
    assert_eq!(health["status"], "healthy");
    assert_eq!(health["connections"], 0);
    assert!(health["uptime-ms"].is_u64(), "{health}");
    let parts = health["parts"].as_array().unwrap();
    let names: Vec<&str> = parts
        .iter()
        .map(|part| part["name"].as_str().unwrap())
        .collect();
    assert_eq!(names[..2], ["log", "hub"]);
    assert!(
        names[2].starts_with("ws://") && names[3].starts_with("tcp://"),
        "{names:?}"
    );
    assert!(parts.iter().all(|part| part["state"] == "up"), "{parts:?}");
}

#[test]
fn the_reports_of_sente_lite_s_server_are_there() {
    let live = Live::start(&["--ws", "127.0.0.1:0"]);
    let url = live.url();
    let ran = run(&["call", &url, "[:test/echo 1]"], b"");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let stats = get(&url, "/stats").json();
    assert_eq!(stats["total-messages"], 1, "{stats}");
    assert!(stats["channel-stats"]["total-channels"].is_u64(), "{stats}");
    let channels = get(&url, "/channels").json();
    assert!(channels["channels"].is_object(), "{channels}");
    assert_eq!(get(&url, "/metrics").status, 426, "off unless asked for");
    let wrong = ask(&url, "POST /stats", "", "");
    assert_eq!(wrong.status, 405);
    assert!(wrong.head.contains("allow: GET, HEAD"), "{wrong:?}");
}

#[test]
fn prometheus_is_told_the_numbers_where_that_is_asked_for() {
    let live = Live::start(&["--ws", "127.0.0.1:0", "--metrics"]);
    let url = live.url();
    let ran = run(&["call", &url, "[:test/echo 1]"], b"");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let metrics = get(&url, "/metrics");
    assert_eq!(metrics.status, 200, "{metrics:?}");
    assert!(metrics.head.contains("openmetrics-text"), "{metrics:?}");
    assert!(
        metrics.body.contains("\nsente_joins_total 1\n"),
        "{}",
        metrics.body
    );
    assert!(metrics.body.ends_with("# EOF\n"), "{}", metrics.body);
    let elsewhere = Live::start(&["--ws", "127.0.0.1:0", "--metrics=/numbers"]);
    assert_eq!(get(&elsewhere.url(), "/numbers").status, 200);
}

#[test]
fn with_a_token_only_health_is_told_to_everybody() {
    let live = Live::start(&[
        "--ws",
        "127.0.0.1:0",
        "--metrics",
        "--auth-token",
        "swordfish",
    ]);
    let url = live.url();
    assert_eq!(get(&url, "/health").status, 200);
    for path in ["/stats", "/channels", "/metrics"] {
        let refused = get(&url, path);
        assert_eq!(refused.status, 401, "{path}: {refused:?}");
        assert!(
            refused.head.contains("www-authenticate: Bearer"),
            "{refused:?}"
        );
        let bearer = "Authorization: Bearer swordfish\r\n";
        assert_eq!(ask(&url, &format!("GET {path}"), bearer, "").status, 200);
        assert_eq!(
            get(&url, &format!("{path}?auth-token=swordfish")).status,
            200
        );
        assert_eq!(get(&url, &format!("{path}?auth-token=sardine")).status, 401);
    }
}

#[test]
fn a_generated_csrf_token_is_there_for_pages_to_read() {
    let live = Live::start(&["--ws", "127.0.0.1:0", "--csrf", "generated"]);
    let url = live.url();
    let told = get(&url, "/csrf-token");
    assert!(
        !told.head.contains("access-control"),
        "for the same origin only: {told:?}"
    );
    let token = told.json()["csrf-token"].as_str().unwrap().to_owned();
    assert!(token.len() > 40, "{token}");
    let ran = run(
        &[
            "call",
            &format!("{url}chsk"),
            "[:test/echo 1]",
            &format!("--csrf-token={token}"),
        ],
        b"",
    );
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (Some(0), "1\n"),
        "{}",
        ran.err
    );
    let without = Live::start(&["--ws", "127.0.0.1:0"]);
    assert_eq!(get(&without.url(), "/csrf-token").status, 404);
}

#[test]
fn sente_s_clients_can_poll_and_post() {
    let live = Live::start(&["--ws", "127.0.0.1:0"]);
    let url = live.url();
    let handshake = get(&url, "/chsk?client-id=ada&handshake?=true");
    assert_eq!(
        handshake.body, "[[:chsk/handshake [\"ada\" nil nil]] nil]",
        "{handshake:?}"
    );
    let body = "client-id=ada&ppstr=%5B%5B%3Atest/echo%201%5D%20%22cb%22%5D";
    let reply = ask(&url, "POST /chsk", FORM, body);
    assert_eq!(
        (reply.status, reply.body.as_str()),
        (200, "[1 nil]"),
        "{reply:?}"
    );
    let off = Live::start(&["--ws", "127.0.0.1:0", "--set", "ajax.enabled=false"]);
    assert_eq!(
        get(&off.url(), "/chsk?client-id=ada&handshake?=true").status,
        426
    );
}

#[test]
fn a_poll_that_waits_is_answered_when_the_server_ends() {
    let live = Live::start(&["--ws", "127.0.0.1:0", "--set", "ajax.poll-timeout=50s"]);
    let url = live.url();
    get(&url, "/chsk?client-id=ada&handshake?=true");
    let (sender, answers) = std::sync::mpsc::channel();
    for _ in 0..2 {
        let (url, sender) = (url.clone(), sender.clone());
        std::thread::spawn(move || sender.send(get(&url, "/chsk?client-id=ada")).unwrap());
    }
    // The answer to one says that the other has come after it and waits.
    assert_eq!(answers.recv().unwrap().body, "[:chsk/timeout nil]");
    live.signal("TERM");
    let other = answers.recv().unwrap();
    assert_eq!(other.body, "The session is closed", "{other:?}");
    let (code, said) = live.end();
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn the_paths_are_those_of_the_configuration() {
    let live = Live::start(&[
        "--ws",
        "127.0.0.1:0",
        "--set",
        "http.chsk=/live/chsk",
        "--set",
        "http.health=/live/up",
        "--set",
        "http.stats=off",
    ]);
    let url = live.url();
    assert_eq!(get(&url, "/live/up").json()["status"], "healthy");
    assert_eq!(get(&url, "/stats").status, 426);
    let handshake = get(&url, "/live/chsk?client-id=ada&handshake?=true");
    assert!(
        handshake.body.starts_with("[[:chsk/handshake"),
        "{handshake:?}"
    );
    let event = "[:test/echo 1]";
    let ran = run(
        &[
            "call",
            "--dialect",
            "sente",
            &format!("{url}live/chsk"),
            event,
        ],
        b"",
    );
    assert_eq!(ran.out, "1\n", "{}", ran.err);
}
