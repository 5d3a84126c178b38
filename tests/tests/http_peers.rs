//! The endpoint against a client that is not ours: Node's `fetch`, with a CSRF token.
#![allow(missing_docs)]

mod http_support;

use std::time::Duration;

use axum::Router;
use axum::routing::get_service;
use http_support::{event, message, serve_any, soon};
use sente_core::CloseReason;
use sente_core::admission::{Admission, CsrfCheck, GateLimits};
use sente_core::ajax::AjaxConfig;
use sente_edn::Value;
use sente_server::http::{ArrivalLink, CsrfTokens, Door, HttpConfig, SenteService, router};
use tokio::process::Command;

#[tokio::test]
async fn node_polls_posts_and_calls_with_its_csrf_token_and_goes() {
    let admission = Admission::new(CsrfCheck::cookie())
        .user_id(|_| Some(Value::from("ada")))
        .handshake_data(|_| Value::from(7));
    let (door, mut arrivals) = Door::new(admission, GateLimits::default());
    let mut config = HttpConfig::new().unwrap();
    let ajax = AjaxConfig::builder().grace(Duration::from_millis(500));
    config.ajax = Some(ajax.build().unwrap());
    let app = Router::new()
        .route("/csrf-token", get_service(CsrfTokens::cookie()))
        .merge(router("/chsk", SenteService::new(door, config)));
    let (address, _task) = serve_any(app).await;
    let mut node = Command::new("node");
    node.arg(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/peers/ajax_client.mjs"
    ));
    node.arg(format!("http://{address}")).arg("3");
    let client = tokio::spawn(node.kill_on_drop(true).output());

    let arrival = soon(arrivals.next()).await.unwrap();
    let ArrivalLink::Ajax(handle, mut events) = arrival.link else {
        panic!("a websocket");
    };
    let mut heard = Vec::new();
    while heard.last().is_none_or(|id| id != "test/bye") {
        let said = message(&mut events).await;
        let id = said.event.id.as_str().to_owned();
        let data = said.event.data.map(|data| data.to_value().unwrap());
        match id.as_str() {
            "test/hello" => {
                assert_eq!(data, Some(Value::from("node é")));
                for number in 0..3 {
                    let pushed = event(&format!("[:test/pushed {number}]"));
                    handle.send(pushed).await.unwrap();
                }
            }
            "test/double" => {
                let number = data.and_then(|data| data.as_i64()).unwrap();
                handle.reply(said.reply.unwrap(), number * 2).unwrap();
            }
            _ => {}
        }
        heard.push(id);
    }
    heard.sort_unstable();
    assert_eq!(heard, ["test/bye", "test/double", "test/hello"]);
    let printed = soon(client).await.unwrap().unwrap();
    let errors = String::from_utf8_lossy(&printed.stderr);
    assert!(printed.status.success(), "{errors}");
    let told: serde_json::Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!(
        told["refused"],
        serde_json::json!([403, "Bad CSRF token"]),
        "{told}"
    );
    assert_eq!(told["handshake"], "[[:chsk/handshake [\"ada\" nil 7]] nil]");
    assert_eq!(told["received"], http_support::RECEIVED);
    assert_eq!(told["reply"], "[42 nil]");
    assert_eq!(told["left"], "AbortError");
    // In one batch or in several, but in order.
    let pushed = told["pushed"].as_str().unwrap();
    let numbers: String = pushed.chars().filter(char::is_ascii_digit).collect();
    assert_eq!(numbers, "012", "{pushed}");
    assert_eq!(soon(handle.ended()).await.reason, CloseReason::Eof);
}
