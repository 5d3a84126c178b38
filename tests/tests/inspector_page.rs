//! The inspector page in Chromium: what it shows, how it is used, and that nothing a client says is
//! taken for markup.
#![allow(missing_docs)]

mod installed;
mod socket_support;

use axum::routing::get_service;
use installed::{SOURCES, at, printed_json};
use sente_adapters::{ConnectOptions, Events, Handle, Router, connect};
use sente_core::UserId;
use sente_core::edn::from_str;
use sente_server::Server;
use sente_server::http::{CsrfTokens, HttpConfig, SenteService, ServeOptions, router, serve};
use sente_server::inspector::{Inspector, InspectorConfig, InspectorPage};
use serde_json::json;
use socket_support::{by_uid, event, next, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

/// A server that `admin` may look into, with its page, and where it listens.
async fn inspected() -> (Server, String) {
    let mut config = InspectorConfig::default();
    config.can_send = true;
    let inspector = Inspector::new(config, |sender| {
        // The page has asked for a token.
        let token = sender.request().and_then(|asked| asked.param("csrf-token"));
        sender.user() == Some(&UserId::from("admin")) && token.is_some_and(|it| it.len() > 20)
    });
    let routes = inspector.register(Router::new()).unwrap();
    let server = by_uid(routes).build().unwrap();
    inspector.watch(&server);
    let endpoint = SenteService::new(server.clone(), HttpConfig::new().unwrap());
    let page = InspectorPage::new("/chsk?uid=admin").csrf_tokens("/csrf-token");
    let page = page.service("/inspector", |request| {
        !request.headers.contains_key("x-stranger")
    });
    let site: axum::Router = page
        .router()
        .merge(router("/chsk", endpoint))
        .route("/csrf-token", get_service(CsrfTokens::cookie()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let options = ServeOptions::default();
    tokio::spawn(serve(listener, site, options, std::future::pending()));
    (server, address.to_string())
}

async fn client(address: &str, user: &str, client_id: &str) -> (Handle, Events) {
    let url = format!("ws://{address}/chsk?uid={user}");
    let mut options = ConnectOptions::default();
    options.client_id = Some(client_id.to_owned());
    within(connect(&url.parse().unwrap(), &options))
        .await
        .unwrap()
}

/// The status and head of the answer to a request.
async fn ask(address: &str, request: &str) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!("{request}\r\nhost: here\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    answer.split("\r\n\r\n").next().unwrap().to_lowercase()
}

#[tokio::test]
async fn the_page_is_at_its_path_for_those_who_may_load_it() {
    let (_server, address) = inspected().await;
    for (request, wanted) in [
        ("GET /inspector/ HTTP/1.1", "http/1.1 200"),
        ("GET /inspector/sente.js HTTP/1.1", "http/1.1 200"),
        ("HEAD /inspector/inspector.css HTTP/1.1", "http/1.1 200"),
        ("GET /inspector HTTP/1.1", "http/1.1 308"),
        ("GET /inspector HTTP/1.1", "location: inspector/"),
        ("GET /inspector/nothing.js HTTP/1.1", "http/1.1 404"),
        ("POST /inspector/ HTTP/1.1", "http/1.1 405"),
        ("GET /inspector/ HTTP/1.1\r\nx-stranger: 1", "http/1.1 403"),
        (
            "GET /inspector/ HTTP/1.1",
            "content-security-policy: default-src 'none'",
        ),
        (
            "GET /inspector/ HTTP/1.1",
            "x-content-type-options: nosniff",
        ),
    ] {
        let head = within(ask(&address, request)).await;
        assert!(head.contains(wanted), "{request}: {head}");
    }
}

const MARKUP: &str = "%3Cimg%20src=x%20onerror=alert(1)%3E";

#[tokio::test]
async fn the_page_shows_a_server_and_sends_events() {
    let (_server, address) = inspected().await;
    // The page also looks for a name in the ids of connections: it is none that digits can spell.
    let (olga, mut heard) = client(&address, "olga", "phone").await;
    let (_other, _other_events) = client(&address, MARKUP, "tablet").await;
    let (_olga_too, _olga_too_events) = client(&address, "olga", "laptop").await;
    for (id, data) in [
        ("sente-lite/subscribe", "{:channel-id \"room-1\"}"),
        (
            "sente-lite/subscribe",
            "{:channel-id [:doc {:id 7, :html \"<b>\"}]}",
        ),
        ("chat/say", "{:text \"secret\"}"),
    ] {
        olga.send(event(id, from_str(data).unwrap())).await.unwrap();
    }
    let mut node = Command::new("node");
    node.env("SENTE_TEST_CHROMIUM", at("SENTE_TEST_CHROMIUM"))
        .env("SENTE_TEST_NODE_PATH", at("SENTE_TEST_NODE_PATH"))
        .arg(format!("{SOURCES}/inspector.mjs"))
        .arg(format!("http://{address}/inspector/"))
        .args(std::env::var_os("SENTE_TEST_SCREENSHOTS"));
    let mut seen = printed_json(node).await;
    let none: [&str; 0] = [];
    assert_eq!(seen["problems"], json!(none));
    assert_eq!(seen["weak"], json!(none));
    assert_eq!(seen["overflow"], json!(none));
    let sent = seen["sent"].take();
    assert_eq!(sent[0], "Sent to 2 connections.");
    assert_eq!(
        sent[1],
        "This is no event: it has to be [:namespace/name data]."
    );
    assert!(
        sent[2]
            .as_str()
            .unwrap()
            .starts_with("This is no EDN: unexpected end")
    );
    assert_eq!(sent[3], "Not sent: no-event");
    let mut users = seen["users"].take();
    let users = users.as_array_mut().unwrap();
    users.sort_by_key(ToString::to_string);
    let markup = "<img src=x onerror=alert(1)>";
    assert_eq!(json!(users), json!([markup, "admin", "olga"]));
    let mut channels = seen["channels"].take();
    let channels = channels.as_array_mut().unwrap();
    channels.sort_by_key(ToString::to_string);
    assert_eq!(
        json!(channels),
        json!(["[:doc {:id 7, :html \"<b>\"}]", "room-1"])
    );
    assert_eq!(seen["images"], 0);
    assert_eq!(seen["data"], "hidden");
    assert_eq!(seen["firstStop"], "Skip to the connections");
    assert_eq!(seen["paused"], "true");
    assert_eq!(seen["filtered"], json!(["olga", "olga"]));
    assert_eq!(seen["none"], "No connection matches.");
    assert_eq!(seen["target"], true);
    assert_eq!(
        seen["structure"],
        json!({
            "nameless": none,
            "landmarks": 3,
            "unlabelled": 0,
            "ids": true,
            "headings": "H1 H2 H2 H2 H2 H2 H2",
            "lang": "en",
        })
    );
    // What the page sent has come.
    loop {
        let (id, data) = next(&mut heard).await;
        if id == "chat/notice" {
            assert_eq!(data, from_str("{:text \"hello\"}").unwrap());
            break;
        }
    }
}
