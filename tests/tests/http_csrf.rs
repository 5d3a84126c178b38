//! CSRF tokens over HTTP: told to pages, set as a cookie, and checked for endpoints of one's own.
#![allow(missing_docs)]

mod http_support;

use axum::Router;
use axum::routing::{get, get_service};
use http::Request;
use http_body_util::Full;
use http_support::{Answer, Client, serve_any};
use sente_core::admission::{Admission, CsrfCheck, CsrfReference, CsrfToken, GateLimits};
use sente_server::http::{CsrfLayer, CsrfTokens, Door, HttpConfig, SenteService, router};

/// An application with an endpoint of Sente's and one of its own.
async fn application(check: CsrfCheck, tokens: CsrfTokens) -> Client {
    let (door, arrivals) = Door::new(Admission::new(check.clone()), GateLimits::default());
    let service = SenteService::new(door, HttpConfig::new().unwrap());
    let app = Router::new()
        .route("/orders", get(async || "orders").post(async || "ordered"))
        .layer(CsrfLayer::new(check))
        .route("/csrf-token", get_service(tokens))
        .merge(router("/chsk", service));
    let (address, task) = serve_any(app).await;
    // For the whole test.
    std::mem::forget((arrivals, task));
    Client::connect(address).await
}

fn token_in(answer: &Answer) -> String {
    let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    told["csrf-token"].as_str().unwrap().to_owned()
}

fn with(method: &str, target: &str, headers: &[(&str, &str)]) -> Request<Full<bytes::Bytes>> {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::default()).unwrap()
}

#[tokio::test]
async fn a_page_reads_its_token_and_shows_it() {
    let mut client = application(CsrfCheck::cookie(), CsrfTokens::cookie()).await;
    let told = client.get("/csrf-token").await;
    assert_eq!(told.status, 200);
    assert_eq!(told.header("content-type"), Some("application/json"));
    assert_eq!(told.header("cache-control"), Some("no-store"));
    assert_eq!(told.header("access-control-allow-origin"), None);
    let token = token_in(&told);
    assert_eq!(token.len(), 43);
    let set = told.header("set-cookie").unwrap().to_owned();
    let (cookie, attributes) = set.split_once(';').unwrap();
    assert_eq!(cookie, format!("{}={token}", CsrfToken::COOKIE));
    assert!(attributes.contains("Secure") && attributes.contains("SameSite=Strict"));

    // The cookie stays what it is.
    let again = client
        .ask(with("GET", "/csrf-token", &[("cookie", cookie)]))
        .await;
    assert_eq!(token_in(&again), token);
    assert_eq!(again.header("set-cookie"), None);

    let both = [("cookie", cookie), ("x-csrf-token", token.as_str())];
    for target in ["/orders", "/chsk?client-id=c1"] {
        let alone = with("POST", target, &[("cookie", cookie)]);
        assert_eq!(client.ask(alone).await.told(), (403, "Bad CSRF token"));
        let alone = with("POST", target, &[("x-csrf-token", &token)]);
        assert_eq!(client.ask(alone).await.told(), (403, "Bad CSRF token"));
    }
    let ordered = client.ask(with("POST", "/orders", &both)).await;
    assert_eq!(ordered.told(), (200, "ordered"));
    let target = format!("/orders?csrf-token={token}");
    let ordered = client
        .ask(with("POST", &target, &[("cookie", cookie)]))
        .await;
    assert_eq!(ordered.told(), (200, "ordered"));
    let poll = with("GET", "/chsk?client-id=c1&handshake%3F=1", &both);
    assert_eq!(client.ask(poll).await.status, 200);
    // What only reads needs none.
    assert_eq!(client.get("/orders").await.told(), (200, "orders"));
}

#[tokio::test]
async fn two_visitors_have_two_tokens() {
    let mut client = application(CsrfCheck::cookie(), CsrfTokens::cookie()).await;
    let one = token_in(&client.get("/csrf-token").await);
    let two = token_in(&client.get("/csrf-token").await);
    assert_ne!(one, two);
    let crossed = [
        ("cookie", format!("{}={one}", CsrfToken::COOKIE)),
        ("x-csrf-token", two),
    ];
    let crossed: Vec<_> = crossed
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let answer = client.ask(with("POST", "/orders", &crossed)).await;
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn a_token_of_the_session_is_told_to_who_has_one() {
    let check = CsrfCheck::by(|request| match request.cookie("session") {
        // It may hold anything.
        Some("42") => CsrfReference::Token(CsrfToken::new("t\"0\\k\u{1}é").unwrap()),
        _ => CsrfReference::Missing,
    });
    let mut client = application(check.clone(), CsrfTokens::of(check)).await;
    assert_eq!(
        client.get("/csrf-token").await.told(),
        (404, "There is no CSRF token")
    );
    let told = client
        .ask(with("GET", "/csrf-token", &[("cookie", "session=42")]))
        .await;
    assert_eq!(token_in(&told), "t\"0\\k\u{1}é");
    let post = with("POST", "/csrf-token", &[("cookie", "session=42")]);
    assert_eq!(client.ask(post).await.status, 405);
}

#[tokio::test]
async fn a_layer_may_check_every_method() {
    let check = CsrfCheck::token(CsrfToken::new("t0k").unwrap());
    let app: Router = Router::new()
        .route("/secret", get(async || "secret"))
        .layer(CsrfLayer::new(check).all_methods());
    let (address, _task) = serve_any(app).await;
    let mut client = Client::connect(address).await;
    assert_eq!(client.get("/secret").await.told(), (403, "Bad CSRF token"));
    let shown = with("GET", "/secret", &[("x-xsrf-token", "t0k")]);
    assert_eq!(client.ask(shown).await.told(), (200, "secret"));
}
