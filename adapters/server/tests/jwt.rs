//! The example of JSON Web Tokens: which count, as whom, and for how long.

#![allow(missing_docs)]

#[path = "../examples/jwt.rs"]
#[allow(dead_code, reason = "its `main` is not run here")]
mod jwt;

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use sente_adapters::{
    ConnectError, ConnectOptions, Events, Handle, ListenOptions, Listener, connect,
};
use sente_core::framing::upgrade::UpgradeError;
use sente_core::{CloseReason, ConnectionEvent, Event, EventId};
use sente_server::{Listening, Server};
use serde_json::{Value, json};

use jwt::{AUDIENCE, ISSUER, Tokens, issue, unix_millis};

const SECRET: &[u8] = b"a secret of thirty-two bytes, say";
const PATIENCE: Duration = Duration::from_secs(20);
/// Longer than any test here takes.
const LONG: u64 = 3600;

struct Running {
    tokens: Arc<Tokens>,
    listening: Listening,
    _server: Server,
}

async fn run(period: Duration) -> Running {
    let tokens = Arc::new(Tokens::new(SECRET));
    let server = jwt::server(&tokens, period).unwrap();
    let url = "ws://127.0.0.1:0/chsk".parse().unwrap();
    let listener = Listener::bind(&url, ListenOptions::default())
        .await
        .unwrap();
    Running {
        tokens,
        listening: server.serve(listener),
        _server: server,
    }
}

/// A client with this token, in the header or as the parameter.
async fn client(running: &Running, token: &str, how: &str) -> Result<(Handle, Events), u16> {
    let mut options = ConnectOptions::default();
    options.client_id = Some("c1".to_owned());
    match how {
        "header" => {
            let bearer = format!("Bearer {token}");
            options.headers = vec![("Authorization".to_owned(), bearer)];
        }
        _ => options.params = vec![("token".to_owned(), token.to_owned())],
    }
    let url = running.listening.url();
    match tokio::time::timeout(PATIENCE, connect(url, &options))
        .await
        .unwrap()
    {
        Ok(client) => Ok(client),
        Err(ConnectError::Upgrade(UpgradeError::Refused { status, .. })) => Err(status),
        Err(error) => panic!("{error}"),
    }
}

async fn whoami(handle: &Handle) -> String {
    let ask = Event::bare(EventId::new("test/whoami").unwrap());
    let reply = handle.call(ask, PATIENCE).await.unwrap();
    reply.to_value().unwrap().as_str().unwrap().to_owned()
}

async fn closed(events: &mut Events) -> CloseReason {
    loop {
        let event = tokio::time::timeout(PATIENCE, events.next()).await.unwrap();
        if let Some(ConnectionEvent::Closed(reason)) = event {
            return reason;
        }
    }
}

/// A token with these claims over the usual ones; `null` takes one away.
fn token(algorithm: Algorithm, secret: &[u8], changed: Value) -> String {
    let mut claims = json!({
        "sub": "ada", "exp": unix_millis() / 1000 + LONG, "iss": ISSUER, "aud": AUDIENCE,
    });
    for (name, value) in changed.as_object().unwrap() {
        let claims = claims.as_object_mut().unwrap();
        match value {
            Value::Null => drop(claims.remove(name)),
            value => drop(claims.insert(name.clone(), value.clone())),
        }
    }
    encode(
        &Header::new(algorithm),
        &claims,
        &EncodingKey::from_secret(secret),
    )
    .unwrap()
}

#[tokio::test]
async fn a_token_says_who_is_there() {
    let running = run(PATIENCE).await;
    for (user, how) in [("ada", "header"), ("bob", "parameter")] {
        let token = issue(SECRET, user, LONG).unwrap();
        let (handle, _events) = client(&running, &token, how).await.unwrap();
        assert_eq!(whoami(&handle).await, user);
    }
}

#[tokio::test]
async fn a_token_that_does_not_count_lets_nobody_in() {
    let running = run(PATIENCE).await;
    let now = unix_millis() / 1000;
    let right = token(Algorithm::HS256, SECRET, json!({}));
    let parts: Vec<&str> = right.split('.').collect();
    // `{"alg":"none","typ":"JWT"}`
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", parts[1]);
    let other_body = token(Algorithm::HS256, SECRET, json!({"sub": "bob"}));
    let swapped = format!(
        "{}.{}.{}",
        parts[0],
        other_body.split('.').nth(1).unwrap(),
        parts[2]
    );
    let wrong = [
        ("none at all", String::new()),
        ("not a token", "abc".to_owned()),
        ("no signature", unsigned),
        ("another's signature", swapped),
        (
            "another secret",
            token(
                Algorithm::HS256,
                b"another secret of 32 bytes, or so",
                json!({}),
            ),
        ),
        (
            "another algorithm",
            token(Algorithm::HS512, SECRET, json!({})),
        ),
        (
            "over",
            token(Algorithm::HS256, SECRET, json!({"exp": now - 1})),
        ),
        (
            "no end",
            token(Algorithm::HS256, SECRET, json!({"exp": null})),
        ),
        (
            "not yet",
            token(Algorithm::HS256, SECRET, json!({"nbf": now + LONG})),
        ),
        (
            "another issuer",
            token(
                Algorithm::HS256,
                SECRET,
                json!({"iss": "https://evil.example"}),
            ),
        ),
        (
            "no issuer",
            token(Algorithm::HS256, SECRET, json!({"iss": null})),
        ),
        (
            "another audience",
            token(Algorithm::HS256, SECRET, json!({"aud": "mail"})),
        ),
        (
            "nobody's",
            token(Algorithm::HS256, SECRET, json!({"sub": null})),
        ),
    ];
    for (what, token) in wrong {
        for how in ["header", "parameter"] {
            let refused = client(&running, &token, how).await.err();
            assert_eq!(refused, Some(401), "{what}, as a {how}");
        }
    }
    assert!(client(&running, &right, "header").await.is_ok());
}

#[tokio::test]
async fn a_connection_ends_with_its_token() {
    let running = run(PATIENCE).await;
    let token = issue(SECRET, "ada", 2).unwrap();
    let (handle, mut events) = client(&running, &token, "header").await.unwrap();
    assert_eq!(whoami(&handle).await, "ada");
    let reason = closed(&mut events).await;
    let code = Some(1008);
    assert!(
        matches!(&reason, CloseReason::PeerClosed { code: told, .. } if *told == code),
        "{reason:?}"
    );
    assert_eq!(client(&running, &token, "header").await.err(), Some(401));
}

#[tokio::test]
async fn whoever_is_blocked_is_closed_when_looked_at_again() {
    let running = run(Duration::from_millis(20)).await;
    let ada = issue(SECRET, "ada", LONG).unwrap();
    let bob = issue(SECRET, "bob", LONG).unwrap();
    let (_ada, mut of_ada) = client(&running, &ada, "header").await.unwrap();
    let (bob, _of_bob) = client(&running, &bob, "header").await.unwrap();
    running.tokens.block("ada");
    let reason = closed(&mut of_ada).await;
    assert!(
        matches!(reason, CloseReason::PeerClosed { .. }),
        "{reason:?}"
    );
    assert_eq!(whoami(&bob).await, "bob", "others stay");
    assert_eq!(client(&running, &ada, "header").await.err(), Some(401));
}
