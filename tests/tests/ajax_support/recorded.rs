//! The exchanges recorded with the real Sente server, and where ours answers otherwise.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sente_core::Limits;
use sente_core::admission::{
    Admission, CsrfCheck, CsrfReference, CsrfToken, Origins, Refusal, Request,
};
use sente_core::ajax::{AjaxConfig, AjaxConfigBuilder};
use sente_core::packer::{Edn, Gzip, MsgPack, Packer, TransitJson, TransitJsonVerbose};
use sente_edn::Value;
use sente_tests::vectors::field;
use serde_json::Value as Json;

pub const TOKEN: &str = "tok+en/1=&x";

/// What ours answers where it answers otherwise, and why: description, status, body.
pub const DIFFERENCES: &[(&str, u16, &str, &str)] = &[
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

pub fn admission(port: i64) -> Admission {
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

pub fn packer(name: &str) -> Arc<dyn Packer> {
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
pub fn request(row: &Json) -> Request {
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

pub fn body(recorded: &Json) -> Bytes {
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
pub fn steps(rows: &[&Json]) -> Vec<Vec<usize>> {
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

/// The options of the recorded server on this port. Its timeouts were of a second and a half.
pub fn config(port: i64, packer: Arc<dyn Packer>, timeout: Duration) -> AjaxConfigBuilder {
    let config = AjaxConfig::builder().packer(packer);
    match port {
        14_012 => config
            .poll_timeout(Some(timeout))
            .reply_timeout(Some(timeout)),
        14_016 => config.flush_window(Some(Duration::from_millis(600))),
        _ => config.flush_window(Some(AjaxConfig::SENTE_FLUSH_WINDOW)),
    }
}

/// Compares an answer of ours with the recorded one; notes a difference that the table has.
pub fn compare<'r>(
    row: &'r Json,
    packer: &dyn Packer,
    (status, ours): (u16, &Bytes),
    differed: &mut Vec<&'r str>,
) {
    let description = field(row, "description").unwrap();
    let recorded = &row["response"];
    let theirs = body(recorded);
    let same = recorded["status"].as_u64() == Some(u64::from(status))
        && (*ours == theirs || (status == 200 && means_the_same(packer, ours, &theirs)));
    if same {
        return;
    }
    let shown = String::from_utf8_lossy(ours).into_owned();
    let (_, expected, body, _) = DIFFERENCES
        .iter()
        .find(|(listed, ..)| *listed == description)
        .unwrap_or_else(|| panic!("{description}: {status} {shown}, recorded {recorded}"));
    assert_eq!(status, *expected, "{description}: {shown}");
    if body.is_empty() {
        assert!(!ours.is_empty(), "{description}");
    } else {
        assert_eq!(shown, *body, "{description}");
    }
    differed.push(description);
}

/// Every difference that is listed is one.
pub fn assert_all_listed(mut differed: Vec<&str>) {
    let mut listed: Vec<&str> = DIFFERENCES.iter().map(|(row, ..)| *row).collect();
    differed.sort_unstable();
    listed.sort_unstable();
    assert_eq!(differed, listed);
}

fn means_the_same(packer: &dyn Packer, ours: &Bytes, theirs: &Bytes) -> bool {
    let limits = Limits::default();
    let read = |body| packer.unpack_message(body, &limits);
    matches!((read(ours), read(theirs)), (Ok(ours), Ok(theirs)) if ours.identical(&theirs))
}
