//! The 87 exchanges recorded with the real Sente server, asked of ours, and its refusals of WebSocket
//! upgrades. Where ours answers otherwise, the difference stands in a table with its reason.
#![allow(missing_docs)]

mod ajax_support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ajax_support::endpoint::{Asked, Endpoint};
use ajax_support::{millis, shown};
use bytes::Bytes;
use sente_core::admission::{
    Admission, CsrfCheck, CsrfReference, CsrfToken, Origins, Refusal, Request,
};
use sente_core::ajax::{AjaxConfig, Response};
use sente_core::packer::{Edn, Gzip, MsgPack, Packer, TransitJson, TransitJsonVerbose};
use sente_core::{Instant, Limits};
use sente_edn::Value;
use sente_tests::vectors::{field, load};
use serde_json::Value as Json;

const TOKEN: &str = "tok+en/1=&x";

/// What ours answers where it answers otherwise, and why: description, status, body.
const DIFFERENCES: &[(&str, u16, &str, &str)] = &[
    (
        "POST ws-ping event over ajax, with cb (no auto-pong on ajax; lp-timeout reply)",
        200,
        "[\"pong\" nil]",
        "a ping is answered, rather than handed to the application under a reserved id",
    ),
    (
        "POST malformed EDN",
        400,
        "",
        "the client's mistake is no 500, and its text says what is wrong; the same below",
    ),
    (
        "POST unknown tag",
        200,
        "[:chsk/dummy-cb-200 nil]",
        "a tag that nobody registered is data: it is handed on as it is",
    ),
    (
        "POST empty ppstr",
        400,
        "",
        "there is no event to take: 200 would hide that",
    ),
    ("POST ppstr not a vector (5)", 400, "", "not 500"),
    (
        "POST ppstr nil",
        400,
        "",
        "there is no event to take: 200 would hide that",
    ),
    (
        "POST without ppstr",
        400,
        "",
        "there is no event to take: 200 would hide that",
    ),
    (
        "POST without client-id",
        400,
        "The parameter client-id is missing, blank, too long or given twice",
        "Sente drops the event and lets the caller wait for 20 s",
    ),
    (
        "GET without client-id",
        400,
        "The parameter client-id is missing, blank, too long or given twice",
        "the client's mistake is no 500",
    ),
    (
        "GET blank client-id",
        400,
        "The parameter client-id is missing, blank, too long or given twice",
        "the client's mistake is no 500",
    ),
    (
        "PUT (adapter-level 405 in OUR test server, not Sente)",
        405,
        "This endpoint takes GET and POST",
        "the recorded test server's own, without a text",
    ),
    (
        "first of two concurrent polls by one client (never answered, client gave up at 4s)",
        200,
        "[:chsk/timeout nil]",
        "a poll that is displaced is answered rather than forgotten",
    ),
];

fn admission(port: i64) -> Admission {
    let csrf = match port {
        14_010 => CsrfCheck::token(CsrfToken::new(TOKEN).unwrap()),
        14_018 => CsrfCheck::by(|_| CsrfReference::Missing),
        _ => CsrfCheck::skip(),
    };
    let mut admission =
        Admission::new(csrf).user_id(|request| match request.param("uid").as_deref() {
            Some("nil") => None,
            Some(uid) => Some(Value::from(uid)),
            None => request.client_id().map(|id| Value::from(id.as_str())),
        });
    match port {
        14_013 => admission = admission.origins(Origins::only(["http://good.example"]).unwrap()),
        14_014 => {
            admission =
                admission.authorized(|request| request.param("auth").as_deref() == Some("yes"));
        }
        14_015 => {
            admission = admission.reject(|request| {
                request.has_param("bad").then(|| {
                    Refusal::new(429, "slow down")
                        .with_header("Content-Type", "text/plain")
                        .with_header("Retry-After", "3")
                })
            });
        }
        _ => {}
    }
    admission
}

fn endpoint(port: i64, packer: Arc<dyn Packer>) -> Endpoint {
    let mut config = AjaxConfig::builder().packer(packer);
    match port {
        14_012 => {
            let timeout = Some(Duration::from_millis(1_500));
            config = config.poll_timeout(timeout).reply_timeout(timeout);
        }
        14_016 => config = config.flush_window(Some(Duration::from_millis(600))),
        _ => config = config.flush_window(Some(AjaxConfig::SENTE_FLUSH_WINDOW)),
    }
    Endpoint::new(admission(port), config.build().unwrap())
}

fn packer(name: &str) -> Arc<dyn Packer> {
    match name {
        "edn" => Arc::new(Edn),
        "gzip-edn" => Arc::new(Gzip::new(Edn)),
        "gzip-msgpack" => Arc::new(Gzip::new(MsgPack::new())),
        "msgpack" => Arc::new(MsgPack::new()),
        "transit-json" => Arc::new(TransitJson::new()),
        "transit-json-verbose" => Arc::new(TransitJsonVerbose::new()),
        _ => panic!("no packer {name}"),
    }
}

/// A recorded request.
fn request(row: &Json) -> Request {
    let recorded = &row["request"];
    let mut request = Request::new(
        field(recorded, "method").unwrap(),
        field(recorded, "url").unwrap(),
    );
    for (name, value) in recorded["headers"].as_object().unwrap() {
        request = request.with_header(name, value.as_str().unwrap());
    }
    request.with_body(body(recorded))
}

fn body(recorded: &Json) -> Bytes {
    field(recorded, "body_b64").map_or_else(Bytes::new, |text| Bytes::from(base64(text)))
}

fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut held, mut out) = (0u32, 0, Vec::new());
    for digit in text.bytes().take_while(|byte| *byte != b'=') {
        let value = DIGITS.iter().position(|known| *known == digit).unwrap();
        bits = (bits << 6 | u32::try_from(value).unwrap()) & 0xff_ffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from(bits >> held & 0xff).unwrap());
        }
    }
    out
}

/// The rows in the order in which they were asked, those together that waited at the same time: a
/// poll stands in the file behind the post whose pushes answered it.
fn steps(rows: &[&Json]) -> Vec<Vec<usize>> {
    let mut steps: Vec<Vec<usize>> = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        if steps.iter().flatten().any(|known| *known == at) {
            continue;
        }
        let description = field(row, "description").unwrap();
        let waited_on = description.starts_with("send, no callback (event pushes")
            || ["push1", "push 4 gap 100", "second concurrent poll"].contains(&description);
        steps.push(if waited_on {
            vec![at + 1, at]
        } else {
            vec![at]
        });
    }
    steps
}

#[test]
fn every_recorded_exchange_is_answered_as_recorded_or_as_the_table_of_differences_says() {
    let file = load("sente/ajax-all.json");
    let rows = file.as_array().unwrap();
    assert_eq!(rows.len(), 87);
    let mut by_server: BTreeMap<i64, Vec<&Json>> = BTreeMap::new();
    for row in rows {
        let port = row["server_port"].as_i64().unwrap();
        by_server.entry(port).or_default().push(row);
    }
    let mut replayed = 0;
    let mut differed = Vec::new();
    for (port, rows) in by_server {
        let packer = packer(field(rows[0], "packer").unwrap());
        let mut server = endpoint(port, packer.clone());
        let mut now = millis(1);
        let mut asked: Vec<(usize, Instant, Asked)> = Vec::new();
        for step in steps(&rows) {
            for at in step {
                now = now + Duration::from_millis(1);
                if field(rows[at], "description")
                    .unwrap()
                    .starts_with("re-poll 0.5s later")
                {
                    now = now + Duration::from_millis(500);
                }
                asked.push((at, now, server.ask(now, request(rows[at]))));
            }
            for (_, _, open) in &asked {
                while server.answer(open).is_none() {
                    now = server.next().unwrap();
                    server.advance(now);
                }
            }
        }
        for (at, since, asked) in asked {
            let (when, ours) = server.answer(&asked).unwrap();
            let took = when.saturating_duration_since(since);
            compare(rows[at], &*packer, ours, took, &mut differed);
            replayed += 1;
        }
    }
    assert_eq!(replayed, 87);
    // Every difference that is listed is one.
    let listed: Vec<&str> = DIFFERENCES.iter().map(|(row, ..)| *row).collect();
    differed.sort_unstable();
    let mut expected = listed.clone();
    expected.sort_unstable();
    assert_eq!(differed, expected);
}

fn compare<'r>(
    row: &'r Json,
    packer: &dyn Packer,
    ours: &Response,
    took: Duration,
    differed: &mut Vec<&'r str>,
) {
    let description = field(row, "description").unwrap();
    let recorded = &row["response"];
    let status = recorded["status"].as_u64();
    let theirs = body(recorded);
    let same = status == Some(u64::from(ours.status))
        && (ours.body == theirs
            || (ours.status == 200 && means_the_same(packer, &ours.body, &theirs)));
    // Ours is never slower, but for the time that passes between the rows of this test.
    let took = u64::try_from(took.as_millis()).unwrap();
    assert!(
        took <= recorded["ms"].as_u64().unwrap() + 5,
        "{description}: {took} ms"
    );
    if same {
        return;
    }
    let (_, status, body, _) = DIFFERENCES
        .iter()
        .find(|(listed, ..)| *listed == description)
        .unwrap_or_else(|| panic!("{description}: {:?}, recorded {recorded}", shown(ours)));
    assert_eq!(ours.status, *status, "{description}: {:?}", shown(ours));
    if body.is_empty() {
        assert!(!ours.body.is_empty(), "{description}");
    } else {
        assert_eq!(shown(ours).1, *body, "{description}");
    }
    differed.push(description);
}

fn means_the_same(packer: &dyn Packer, ours: &Bytes, theirs: &Bytes) -> bool {
    let limits = Limits::default();
    let read = |body| packer.unpack_message(body, &limits);
    matches!((read(ours), read(theirs)), (Ok(ours), Ok(theirs)) if ours.identical(&theirs))
}

#[test]
fn every_recorded_refusal_of_an_upgrade_is_ours_too() {
    let file = load("sente/ws-raw-server-behaviour.json");
    let rows = file.as_array().unwrap().iter();
    let rows = rows.filter(|row| row.get("upgrade_status").is_some());
    let mut replayed = 0;
    for row in rows {
        let description = field(row, "description").unwrap();
        let mut target = String::from("/chsk?");
        for (name, value) in row["query"].as_object().unwrap() {
            let value: String = value
                .as_str()
                .unwrap()
                .bytes()
                .map(|b| format!("%{b:02X}"))
                .collect();
            target += &format!("{name}={value}&");
        }
        let mut request = Request::new("GET", &target);
        for (name, value) in row["headers"].as_object().unwrap() {
            request = request.with_header(name, value.as_str().unwrap());
        }
        let port = row["server_port"].as_i64().unwrap();
        let status = row["upgrade_status"].as_u64().unwrap();
        match admission(port).admit(request) {
            Ok(admitted) => {
                assert_eq!(status, 101, "{description}");
                assert_eq!(admitted.handshake().uid, Value::from("c"));
            }
            // The client's mistake is no 500.
            Err(refusal) if status == 500 => {
                assert_eq!(description, "WS upgrade: no client-id");
                assert_eq!(refusal.status, 400);
            }
            Err(refusal) => {
                assert_eq!(u64::from(refusal.status), status, "{description}");
                assert_eq!(refusal.body, field(row, "upgrade_body").unwrap());
                let theirs = row["upgrade_headers"].as_array().unwrap();
                for (name, value) in &refusal.headers {
                    let header = serde_json::json!([name, value]);
                    assert!(theirs.contains(&header), "{description}: {name}");
                }
            }
        }
        replayed += 1;
    }
    assert_eq!(replayed, 8);
}
