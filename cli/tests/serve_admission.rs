//! Who `serve` lets in: tokens, origins, limits; and what changes of that on SIGHUP.

mod support;

use std::path::Path;

use support::{Live, Ran, run, sente, wait};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What becomes of a call to `url` with these flags.
fn call(url: &str, flags: &[&str]) -> Ran {
    let mut args = vec!["call", url, "[:test/echo 1]"];
    args.extend(flags);
    run(&args, b"")
}

/// The call is answered.
fn answered(url: &str, flags: &[&str]) {
    let ran = call(url, flags);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (Some(0), "1\n"),
        "{flags:?}: {}",
        ran.err
    );
}

/// The call is refused with this status and reason.
fn refused(url: &str, flags: &[&str], status: &str, why: &str) {
    let ran = call(url, flags);
    assert_eq!(ran.code, Some(4), "{flags:?}: {}", ran.err);
    assert!(ran.err.contains(status), "{flags:?}: {}", ran.err);
    assert!(ran.err.contains(why), "{flags:?}: {}", ran.err);
}

const BEARER: [&str; 2] = ["--header", "Authorization: Bearer swordfish"];
const PARAM: [&str; 2] = ["--param", "auth-token=swordfish"];

#[test]
fn a_token_is_asked_for_in_a_header_or_a_parameter() {
    let live = Live::start(&["--ws", "127.0.0.1:0", "--auth-token", "swordfish"]);
    let root = live.url();
    for url in [root.clone(), format!("{root}chsk")] {
        answered(&url, &BEARER);
        answered(&url, &PARAM);
        for wrong in [
            &[][..],
            &["--header", "Authorization: Bearer swordfisch"],
            &["--header", "Authorization: Basic swordfish"],
            &["--param", "auth-token=swordfish2"],
        ] {
            refused(&url, wrong, "401", "Authorization: Bearer TOKEN");
        }
    }
}

#[test]
fn a_token_from_the_environment_or_a_file_is_not_in_the_list_of_processes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "swordfish\n# the rest is ignored\n").unwrap();
    let by_file = Live::start(&["--ws", "127.0.0.1:0", "--auth-token-file", text(&file)]);
    let mut command = sente();
    command.args(["serve", "--ws", "127.0.0.1:0"]);
    let by_environment = Live::spawn(command.env("SENTE_AUTH_TOKEN", "swordfish"));
    for live in [by_file, by_environment] {
        let url = live.url();
        answered(&url, &BEARER);
        refused(&url, &[], "401", "a token is asked for");
        let line = std::fs::read(format!("/proc/{}/cmdline", live.id())).unwrap();
        assert!(!String::from_utf8_lossy(&line).contains("swordfish"));
    }
}

#[test]
fn only_pages_of_the_allowed_origins_may_connect() {
    let origins = [
        "--allow-origin",
        "https://a.example",
        "--allow-origin",
        "http://localhost:8080",
    ];
    let live = Live::start(&[&["--ws", "127.0.0.1:0"][..], &origins].concat());
    let url = live.url();
    answered(&url, &["--header", "Origin: https://a.example"]);
    answered(&url, &["--header", "Origin: http://localhost:8080"]);
    answered(&url, &["--header", "Referer: https://a.example/page"]);
    for origin in ["https://a.example.evil", "http://a.example", "null"] {
        refused(
            &url,
            &["--header", &format!("Origin: {origin}")],
            "403",
            "Unauthorized origin",
        );
    }
    refused(&url, &[], "403", "Unauthorized origin");
}

#[test]
fn the_csrf_token_is_asked_for_in_a_parameter_or_a_header() {
    let live = Live::start(&["--ws", "127.0.0.1:0", "--csrf", "sesame"]);
    let url = live.url();
    answered(&url, &["--csrf-token", "sesame"]);
    answered(&url, &["--header", "X-CSRF-Token: sesame"]);
    refused(&url, &["--csrf-token", "sesam"], "403", "Bad CSRF token");
    refused(&url, &[], "403", "Bad CSRF token");
    let live = Live::start(&["--ws", "127.0.0.1:0", "--csrf", "generated"]);
    refused(
        &live.url(),
        &["--csrf-token", "generated"],
        "403",
        "Bad CSRF token",
    );
}

#[test]
fn no_more_connect_than_are_let_in() {
    let mut live = Live::start(&["--ws", "127.0.0.1:0", "--max-connections", "1"]);
    let url = live.url();
    let mut first = sente()
        .args(["connect", &url, "--linger", "10m"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // It is in once it has been answered.
    use std::io::{BufRead, BufReader, Write};
    first
        .stdin
        .as_mut()
        .unwrap()
        .write_all(b"[:a/b 1]\n")
        .unwrap();
    let mut line = String::new();
    BufReader::new(first.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(line.starts_with("[:sente-lite/echo"), "{line}");
    refused(&url, &[], "503", "as many connections as it takes");
    live.until("a request was not let in");
    first.kill().unwrap();
    wait(&mut first);

    let live = Live::start(&["--ws", "127.0.0.1:0", "--max-per-address", "0"]);
    refused(
        &live.url(),
        &[],
        "429",
        "as many connections as one address may have",
    );
    let live = Live::start(&["--ws", "127.0.0.1:0", "--connect-rate", "1/h"]);
    let url = live.url();
    answered(&url, &[]);
    refused(&url, &[], "429", "connects too often");
}

#[test]
fn who_may_connect_is_read_again_on_a_hangup() {
    let folder = tempfile::tempdir().unwrap();
    let (file, token) = (
        folder.path().join("serve.toml"),
        folder.path().join("token"),
    );
    let write = |admission: &str| {
        let listen = "[[listen]]\nurl = \"ws://127.0.0.1:0/\"\n";
        std::fs::write(&file, format!("{listen}[admission]\n{admission}")).unwrap();
    };
    std::fs::write(&token, "swordfish").unwrap();
    write("auth-token-file = \"token\"\n");
    let mut live = Live::start(&["--config", text(&file)]);
    let url = live.url();
    answered(&url, &BEARER);
    // The file of the token alone.
    std::fs::write(&token, "sardine").unwrap();
    live.signal("HUP");
    assert_eq!(
        live.until("SIGHUP"),
        "SIGHUP: reloaded admission.auth-token"
    );
    refused(&url, &BEARER, "401", "a token is asked for");
    answered(&url, &["--header", "Authorization: Bearer sardine"]);
    // Everything else.
    write(
        "origins = [\"https://a.example\"]\ncsrf = { token = \"sesame\" }\nmax-per-address = 9\n",
    );
    live.signal("HUP");
    let said = live.until("SIGHUP: reloaded");
    assert_eq!(
        said,
        "SIGHUP: reloaded admission.auth-token, admission.auth-token-file, admission.csrf, \
         admission.max-per-address, admission.origins"
    );
    let page = ["--header", "Origin: https://a.example"];
    refused(&url, &page, "403", "Bad CSRF token");
    refused(
        &url,
        &["--csrf-token", "sesame"],
        "403",
        "Unauthorized origin",
    );
    answered(&url, &[&page[..], &["--csrf-token", "sesame"]].concat());
    write("max-connections = 0\n");
    live.signal("HUP");
    live.until("SIGHUP: reloaded");
    refused(&url, &[], "503", "as many connections as it takes");
}

#[test]
fn a_secret_appears_in_no_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("s.log");
    let mut command = sente();
    command.args([
        "serve",
        "-vvv",
        "--ws",
        "127.0.0.1:0",
        "--csrf",
        "sesame",
        "--log-file",
    ]);
    let live = Live::spawn(command.arg(&log).env("SENTE_AUTH_TOKEN", "swordfish"));
    let url = live.url();
    let flags = ["--csrf-token", "sesame"];
    answered(&url, &[&BEARER[..], &flags].concat());
    answered(&url, &[&PARAM[..], &flags].concat());
    refused(
        &url,
        &[&PARAM[..], &["--csrf-token", "sesame2"]].concat(),
        "403",
        "CSRF",
    );
    live.signal("TERM");
    let (code, said) = live.end();
    assert_eq!(code, Some(0), "{said}");
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(log.contains("a request was not let in"), "{log}");
    for secret in ["swordfish", "sesame"] {
        assert!(
            !log.contains(secret) && !said.contains(secret),
            "{secret}: {log}{said}"
        );
    }
}
