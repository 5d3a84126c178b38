//! Who is let in, and what whoever is not is told.
#![allow(missing_docs)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use sente_core::admission::{
    Admission, CsrfCheck, CsrfReference, CsrfToken, CsrfTokenError, Identity, Origins, Refusal,
    RefusalReason, Request,
};
use sente_core::framing::upgrade::{ServerUpgrade, UpgradeError, UpgradeLimits};
use sente_core::{Extensions, TransmitBuf};
use sente_edn::Value;
use sente_tests::edn;

const TOKEN: &str = "tok+en/1=&x";

fn get(query: &str) -> Request {
    Request::new("GET", &format!("/chsk?client-id=c{query}"))
}

fn open() -> Admission {
    Admission::new(CsrfCheck::skip())
}

fn with_token() -> Admission {
    Admission::new(CsrfCheck::token(CsrfToken::new(TOKEN).unwrap()))
}

fn refused(admission: &Admission, request: Request) -> Refusal {
    admission.check(request).map(|_| ()).unwrap_err()
}

fn passes(admission: &Admission, request: Request) -> bool {
    admission.check(request).is_ok()
}

#[test]
fn the_checks_come_in_sentes_order_and_the_first_that_fails_answers() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let note = |name: &'static str| {
        let asked = asked.clone();
        move || asked.lock().unwrap().push(name)
    };
    let (reject, csrf, authorized, user, data) = (
        note("reject"),
        note("csrf"),
        note("authorized"),
        note("user"),
        note("data"),
    );
    let csrf = CsrfCheck::by(move |_| {
        csrf();
        CsrfReference::Token(CsrfToken::new(TOKEN).unwrap())
    });
    let admission = Admission::new(csrf)
        .reject(move |request| {
            reject();
            request
                .has_param("bad")
                .then(|| Refusal::new(429, "slow down").with_header("Retry-After", "3"))
        })
        .origins(Origins::only(["http://good.example"]).unwrap())
        .authorized(move |request| {
            authorized();
            request.has_param("auth")
        })
        .user_id(move |_| {
            user();
            Some(Value::from("ada"))
        })
        .handshake_data(move |_| {
            data();
            edn("{:v 1}")
        });
    // One thing more is right with each.
    let with_token = |target| Request::new("GET", target).with_header("X-CSRF-Token", TOKEN);
    let good = |target| with_token(target).with_header("Origin", "http://good.example");
    let bad_id = "The parameter client-id is missing, blank, too long or given twice";
    let ladder = [
        (Request::new("GET", "/chsk?bad=1"), 429, "slow down", 1),
        (Request::new("GET", "/chsk"), 403, "Bad CSRF token", 2),
        (with_token("/chsk"), 403, "Unauthorized origin", 2),
        (good("/chsk"), 401, "Unauthorized request", 3),
        (good("/chsk?auth=1"), 400, bad_id, 3),
    ];
    for (request, status, body, hooks) in ladder {
        asked.lock().unwrap().clear();
        let refusal = refused(&admission, request);
        assert_eq!((refusal.status, refusal.body.as_str()), (status, body));
        let expected = &["reject", "csrf", "authorized"][..hooks];
        assert_eq!(*asked.lock().unwrap(), expected, "{body}");
    }
    let request = good("/chsk?auth=1&client-id=c");
    asked.lock().unwrap().clear();
    let admitted = admission.admit(request).unwrap();
    assert_eq!(
        *asked.lock().unwrap(),
        ["reject", "csrf", "authorized", "user", "data"]
    );
    assert_eq!(admitted.identity.user, Some(Value::from("ada")));
    assert_eq!(admitted.identity.data, edn("{:v 1}"));
    assert_eq!(admitted.client_id.as_deref(), Some("c"));
}

#[test]
fn what_reject_says_is_the_response_with_its_headers() {
    let admission = open().reject(|_| {
        Some(
            Refusal::new(429, "slow down")
                .with_header("Content-Type", "text/plain")
                .with_header("Retry-After", "3"),
        )
    });
    let refusal = refused(&admission, get(""));
    assert_eq!(
        refusal.headers,
        [
            ("Content-Type".to_owned(), "text/plain".to_owned()),
            ("Retry-After".to_owned(), "3".to_owned())
        ]
    );
    let mut out = TransmitBuf::new();
    refusal.write(&mut out).unwrap();
    let len = bytes::Buf::remaining(&out);
    let written = String::from_utf8(bytes::Buf::copy_to_bytes(&mut out, len).to_vec());
    let written = written.unwrap();
    assert!(
        written.starts_with("HTTP/1.1 429 Too Many Requests\r\n"),
        "{written}"
    );
    assert!(
        written.contains("Content-Type: text/plain\r\nRetry-After: 3\r\n"),
        "{written}"
    );
    assert!(written.ends_with("\r\n\r\nslow down"), "{written}");
}

#[test]
fn a_refusal_that_is_no_response_is_not_written() {
    let mut out = TransmitBuf::new();
    let odd = Refusal::new(99, "");
    assert_eq!(odd.write(&mut out), Err(UpgradeError::BadStatus(99)));
    let split = Refusal::new(403, "").with_header("X-Why", "a\r\nSet-Cookie: b");
    assert!(matches!(
        split.write(&mut out),
        Err(UpgradeError::BadHeader { .. })
    ));
    assert_eq!(bytes::Buf::remaining(&out), 0);
}

#[test]
fn the_token_is_the_param_then_the_first_header_then_the_second() {
    let admission = with_token();
    let right = "&csrf-token=tok%2Ben%2F1%3D%26x";
    let row = |query: &str, headers: &[(&str, &str)]| {
        let request = headers.iter().fold(get(query), |request, (name, value)| {
            request.with_header(name, value)
        });
        passes(&admission, request)
    };
    assert!(!row("", &[]));
    assert!(row(right, &[]));
    assert!(row("", &[("X-CSRF-Token", TOKEN)]));
    assert!(row("", &[("x-xsrf-token", TOKEN)]));
    assert!(row(
        right,
        &[("X-CSRF-Token", "bad"), ("X-XSRF-Token", "bad")]
    ));
    assert!(row("", &[("X-CSRF-Token", TOKEN), ("X-XSRF-Token", "bad")]));
    assert!(!row("&csrf-token=bad", &[("X-CSRF-Token", TOKEN)]));
    assert!(!row("&csrf-token=", &[("X-CSRF-Token", TOKEN)]));
    assert!(!row(
        "",
        &[("X-CSRF-Token", "bad"), ("X-XSRF-Token", TOKEN)]
    ));
    // Twice is not once, whichever of the two is right.
    assert!(!row(&format!("{right}{right}"), &[]));
    assert!(!row(
        "",
        &[("X-CSRF-Token", TOKEN), ("X-CSRF-Token", TOKEN)]
    ));
    // Nor does the next place make up for a place that says two things.
    assert!(!row(&format!("{right}{right}"), &[("X-CSRF-Token", TOKEN)]));
    let repeated = [
        ("X-CSRF-Token", TOKEN),
        ("X-CSRF-Token", TOKEN),
        ("X-XSRF-Token", TOKEN),
    ];
    assert!(!row("", &repeated));
    // A prefix or more than the token is not the token.
    assert!(!row("&csrf-token=tok", &[]));
    assert!(!row(&format!("{right}x"), &[]));
}

#[test]
fn the_token_of_a_post_may_stand_in_its_form() {
    let post = |content_type: &str| {
        Request::new("POST", "/chsk")
            .with_header("Content-Type", content_type)
            .with_body(Bytes::from_static(
                b"client-id=c&csrf-token=tok%2Ben%2F1%3D%26x",
            ))
    };
    let form = "application/x-www-form-urlencoded;charset=UTF-8";
    assert!(passes(&with_token(), post(form)));
    assert!(!passes(&with_token(), post("text/plain")));
}

#[test]
fn without_a_reference_everything_is_refused_and_skipping_has_to_be_said() {
    let shown = || get("").with_header("X-CSRF-Token", TOKEN);
    assert!(!passes(&Admission::default(), shown()));
    let missing = Admission::new(CsrfCheck::by(|_| CsrfReference::Missing));
    assert!(!passes(&missing, shown()));
    let skips = Admission::new(CsrfCheck::by(|_| CsrfReference::SkipCheck));
    assert!(passes(&skips, get("")));
    assert!(passes(&open(), get("")));
}

#[test]
fn a_generated_token_is_random_readable_and_its_cookie_passes_its_check() {
    let token = CsrfToken::generate(&[251; 32]);
    assert_ne!(token.as_str(), CsrfToken::generate(&[252; 32]).as_str());
    assert_eq!(token.as_str().len(), 43);
    assert_eq!(
        token.meta_tag(),
        format!("<meta name=\"csrf-token\" content=\"{}\">", token.as_str())
    );
    assert_eq!(
        token.set_cookie(),
        format!(
            "__Host-csrf-token={}; Path=/; Secure; SameSite=Strict",
            token.as_str()
        )
    );
    assert!(!format!("{token:?}").contains(token.as_str()));

    let admission = Admission::new(CsrfCheck::cookie());
    let cookie = format!("theme=dark; __Host-csrf-token={}", token.as_str());
    let request = get("").with_header("Cookie", &cookie);
    assert!(!passes(&admission, request.clone()));
    assert!(!passes(
        &admission,
        get("").with_header("X-CSRF-Token", token.as_str())
    ));
    let request = request.with_header("X-CSRF-Token", token.as_str());
    assert!(passes(&admission, request.clone()));
    // A second cookie of the name was planted by somebody.
    let planted = request.with_header("Cookie", "__Host-csrf-token=x");
    assert!(!passes(&admission, planted));
}

#[test]
fn a_token_made_elsewhere_is_escaped_where_it_is_shown() {
    let token = CsrfToken::new("a\"<&'> b=;").unwrap();
    assert_eq!(
        token.meta_tag(),
        "<meta name=\"csrf-token\" content=\"a&quot;&lt;&amp;&#39;&gt; b=;\">"
    );
    let cookie = token.set_cookie();
    let (pair, _) = cookie.split_once("; ").unwrap();
    assert_eq!(pair, "__Host-csrf-token=a%22%3C%26%27%3E+b%3D%3B");
    let request = get("")
        .with_header("Cookie", pair)
        .with_header("X-CSRF-Token", token.as_str());
    assert!(passes(&Admission::new(CsrfCheck::cookie()), request));
}

#[test]
fn a_token_that_anybody_would_know_is_none() {
    assert_eq!(CsrfToken::new(" ").unwrap_err(), CsrfTokenError::Blank);
    assert_eq!(CsrfToken::new("").unwrap_err(), CsrfTokenError::Blank);
    let long = "x".repeat(CsrfToken::MAX_LEN + 1);
    assert_eq!(CsrfToken::new(&long).unwrap_err(), CsrfTokenError::TooLong);
    let empty = get("")
        .with_header("Cookie", "__Host-csrf-token=")
        .with_header("X-CSRF-Token", "");
    assert!(!passes(&Admission::new(CsrfCheck::cookie()), empty));
}

#[test]
fn the_csrf_check_serves_other_endpoints_too() {
    let admission = with_token();
    let order = Request::new("POST", "/orders");
    assert!(!admission.csrf().passes(&order));
    assert!(
        admission
            .csrf()
            .passes(&order.with_header("X-CSRF-Token", TOKEN))
    );
}

#[test]
fn an_origin_counts_letter_by_letter() {
    let admission = open().origins(Origins::only(["http://good.example"]).unwrap());
    let from = |headers: &[(&str, &str)]| {
        let request = headers.iter().fold(get(""), |request, (name, value)| {
            request.with_header(name, value)
        });
        passes(&admission, request)
    };
    assert!(!from(&[]));
    assert!(from(&[("Origin", "http://good.example")]));
    for bad in [
        "http://evil.example",
        "http://good.example/",
        "HTTP://GOOD.EXAMPLE",
        "https://good.example",
        "http://good.example:80",
        "http://good.example.evil",
        "",
        "null",
    ] {
        assert!(!from(&[("Origin", bad)]), "{bad}");
        // A good page does not make up for a bad origin.
        let both = [("Origin", bad), ("Referer", "http://good.example/")];
        assert!(!from(&both), "{bad}");
    }
    let twice = [
        ("Origin", "http://good.example"),
        ("Origin", "http://good.example"),
    ];
    assert!(!from(&twice));
    // Nor does a good page make up for that.
    let mut with_page = twice.to_vec();
    with_page.push(("Referer", "http://good.example/"));
    assert!(!from(&with_page));
}

#[test]
fn without_an_origin_the_page_has_to_be_one_of_an_allowed_origin() {
    let origins = Origins::only(["http://good.example", "http://a.example:8080"]).unwrap();
    let page = |page: &str| origins.allow(&get("").with_header("Referer", page));
    assert!(page("http://good.example/page"));
    assert!(page("http://good.example/"));
    assert!(page("http://a.example:8080/x?y#z"));
    for bad in [
        "http://good.example",
        "http://good.example.evil/",
        "http://good.example@evil/",
        "http://good.example:81/",
        "good.example/",
        "",
        "null/",
        "http:///",
        "://é/",
    ] {
        assert!(!page(bad), "{bad}");
    }
}

#[test]
fn null_is_allowed_only_by_its_dangerous_name() {
    let only = Origins::only(["http://good.example"]).unwrap();
    let null = get("").with_header("Origin", "null");
    assert!(!only.allow(&null));
    assert!(only.clone().dangerously_allow_null().allow(&null));
    assert!(!only.dangerously_allow_null().allow(&get("")));
    assert!(Origins::only(["null"]).is_err());
    assert!(Origins::all().allow(&null));
    assert!(!Origins::only([]).unwrap().allow(&null));
}

#[test]
fn an_origin_that_no_browser_sends_is_an_error_that_says_what_is_wrong() {
    for (origin, problem) in [
        ("good.example", "scheme://host"),
        ("http://", "scheme://host"),
        ("http://good.example/", "slash"),
        ("http://u@good.example", "slash"),
        ("HTTP://good.example", "lower case"),
        ("https://good.example:443", "default port"),
        ("http://good.example:80", "default port"),
        ("http://bücher.example", "xn--"),
    ] {
        let error = Origins::only([origin]).unwrap_err();
        assert!(error.to_string().contains(problem), "{error}");
    }
    assert!(Origins::only(["http://localhost:8080", "https://[::1]:8443"]).is_ok());
}

#[test]
fn an_application_may_answer_in_its_own_words() {
    let own = |name: &'static str| {
        move |request: &Request| {
            Refusal::new(418, &format!("{name} {}", request.path())).with_header("X-Why", name)
        }
    };
    let admission = with_token()
        .origins(Origins::only(["http://good.example"]).unwrap())
        .authorized(|_| false)
        .on_bad_csrf(own("csrf"))
        .on_bad_origin(own("origin"))
        .on_unauthorized(own("authorized"));
    let told = |request: Request| {
        let refusal = refused(&admission, request);
        (refusal.reason, refusal.body)
    };
    let request = get("");
    assert_eq!(
        told(request.clone()),
        (RefusalReason::BadCsrfToken, "csrf /chsk".into())
    );
    let request = request.with_header("X-CSRF-Token", TOKEN);
    assert_eq!(
        told(request.clone()),
        (RefusalReason::BadOrigin, "origin /chsk".into())
    );
    let request = request.with_header("Origin", "http://good.example");
    assert_eq!(
        told(request),
        (RefusalReason::Unauthorized, "authorized /chsk".into())
    );
}

#[test]
fn a_client_id_is_not_blank_not_long_and_given_once() {
    let admission = open();
    let asks = |query: &str| admission.check(Request::new("GET", &format!("/chsk?{query}")));
    for bad in [
        "",
        "client-id=",
        "client-id=%20",
        "client-id=a&client-id=a",
        &format!("client-id={}", "x".repeat(Request::MAX_CLIENT_ID + 1)),
    ] {
        let refusal = asks(bad).map(|_| ()).unwrap_err();
        assert_eq!(
            (refusal.reason, refusal.status),
            (RefusalReason::BadClientId, 400),
            "{bad}"
        );
    }
    assert_eq!(asks("client-id=a%20b").unwrap().client_id(), Some("a b"));

    let lite = open().client_id_optional();
    let asks = |query: &str| lite.check(Request::new("GET", &format!("/ws?{query}")));
    assert_eq!(asks("").unwrap().client_id(), None);
    assert_eq!(asks("client-id=a").unwrap().client_id(), Some("a"));
    assert!(asks("client-id=%20").is_err());
}

#[test]
fn a_form_goes_before_the_query() {
    let request = Request::new("POST", "/chsk?client-id=query&user=q")
        .with_header("Content-Type", "application/x-www-form-urlencoded")
        .with_body(Bytes::from_static(b"client-id=f%C3%B6rm+1"));
    assert_eq!(request.param("client-id").as_deref(), Some("förm 1"));
    assert_eq!(request.param("user").as_deref(), Some("q"));
    assert_eq!(request.query(), "client-id=query&user=q");
}

#[test]
fn an_incoming_request_may_wait_for_the_application_and_be_refused_with_a_reason() {
    let incoming = open().check(get("&token=t")).unwrap();
    assert_eq!(incoming.request().param("token").as_deref(), Some("t"));
    let refusal = incoming.refuse(403, "This account is closed");
    assert_eq!(refusal.reason, RefusalReason::Application);
    assert_eq!(
        (refusal.status, refusal.body.as_str()),
        (403, "This account is closed")
    );

    let incoming = open().check(get("")).unwrap();
    let identity = Identity::of(7).with_data(edn("[1]"));
    let admitted = incoming.accept(identity);
    let accept = admitted.handshake();
    assert_eq!((accept.uid, accept.data), (Value::from(7), edn("[1]")));
}

#[test]
fn nobody_known_is_sentes_nil_uid_and_an_offer_of_extensions_is_read() {
    let admitted = open().admit(get("&sente-ext=1.batch")).unwrap();
    let accept = admitted.handshake();
    assert_eq!(accept.uid, edn(":sente/nil-uid"));
    assert_eq!(accept.data, Value::Nil);
    assert_eq!(accept.offered, Some(Extensions::NONE.with_batch()));
    let stock = open().admit(get("")).unwrap();
    assert_eq!(stock.handshake().offered, None);
    let odd = open().admit(get("&sente-ext=what")).unwrap();
    assert_eq!(odd.handshake().offered, None);
}

#[test]
fn hooks_are_asked_once_and_shared_by_clones() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let admission = open().authorized(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        true
    });
    assert!(passes(&admission.clone(), get("")));
    assert!(passes(&admission, get("")));
    assert_eq!(count.load(Ordering::Relaxed), 2);
}

#[test]
fn an_upgrade_is_looked_at_as_any_request() {
    let mut upgrade = ServerUpgrade::new(UpgradeLimits::default());
    let mut head = bytes::BytesMut::from(
        "GET /chsk?client-id=c HTTP/1.1\r\nHost: a\r\nOrigin: http://good.example\r\n\
         Cookie: session=42\r\n\r\n",
    );
    upgrade.handle_input(&mut head);
    let parsed = upgrade.poll_request().unwrap().unwrap();
    let request = Request::from(&parsed).with_remote("192.0.2.7");
    assert_eq!((request.method(), request.path()), ("GET", "/chsk"));
    assert_eq!(request.header("origin"), Some("http://good.example"));
    assert_eq!(request.cookie("session"), Some("42"));
    assert_eq!(request.remote(), Some("192.0.2.7"));
    assert!(passes(&open(), request));
}

#[test]
fn debug_output_of_a_request_keeps_its_secrets() {
    let request = get("&csrf-token=s3cret")
        .with_header("Cookie", "session=s3cret")
        .with_body(Bytes::from_static(b"s3cret"));
    let shown = format!("{request:?}");
    assert!(
        shown.contains("/chsk") && shown.contains("Cookie"),
        "{shown}"
    );
    assert!(!shown.contains("s3cret"), "{shown}");
}
