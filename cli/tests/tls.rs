//! TLS as a client: whom it trusts, who it is, whom it expects, and what is said of files that are
//! not what they should be.
#![cfg(feature = "tls")]

mod support;

use std::fs;

use rcgen::{CertificateParams, DnType, KeyPair};
use support::{Live, Ran, run};

const EVENT: &str = "[:test/echo 1]";

/// A folder of certificates, each with its key.
struct Folder(tempfile::TempDir);

impl Folder {
    /// One of `names` in `NAME.pem` and its key in `NAME.key`.
    fn of(names: &[&str]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for name in names {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new([(*name).to_owned()]).unwrap();
            params.distinguished_name.push(DnType::CommonName, *name);
            let made = params.self_signed(&key).unwrap();
            folder.write(&format!("{name}.pem"), &made.pem());
            folder.write(&format!("{name}.key"), &key.serialize_pem());
        }
        folder
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// A server with the certificate of `name` on `wss://` and `tls://`.
    fn serve(&self, name: &str, more: &str) -> (Live, [String; 2]) {
        let tls = format!("tls = {{ cert = \"{name}.pem\", key = \"{name}.key\"{more} }}\n");
        let listen = |scheme| format!("[[listen]]\nurl = \"{scheme}://localhost:0\"\n{tls}");
        self.write("serve.toml", &(listen("wss") + &listen("tls")));
        let live = Live::start(&["--config", &self.path("serve.toml")]);
        let urls = [live.url(), live.url()];
        (live, urls)
    }

    /// Calls `url`; names of files are taken from the folder.
    fn call(&self, url: &str, flags: &[&str]) -> Ran {
        let files: Vec<String> = flags
            .iter()
            .map(
                |flag| match flag.ends_with(".pem") || flag.ends_with(".key") {
                    true => self.path(flag),
                    false => (*flag).to_owned(),
                },
            )
            .collect();
        let mut args = vec!["call", url, EVENT];
        args.extend(files.iter().map(String::as_str));
        run(&args, b"")
    }

    /// What is said without the folder.
    fn said(&self, ran: &Ran) -> String {
        ran.err
            .replace(&format!("{}/", self.0.path().display()), "")
    }
}

#[test]
fn authorities_of_one_s_own_are_trusted_alone() {
    let folder = Folder::of(&["localhost", "stranger"]);
    let (_live, urls) = folder.serve("localhost", "");
    for url in &urls {
        let ran = folder.call(url, &["--ca", "localhost.pem"]);
        assert_eq!(
            (ran.code, ran.out.as_str()),
            (Some(0), "1\n"),
            "{}",
            ran.err
        );
        let ran = folder.call(url, &["--ca", "stranger.pem"]);
        assert_eq!((ran.code, ran.out.as_str()), (Some(4), ""), "{}", ran.err);
        assert!(ran.err.contains("UnknownIssuer"), "{}", ran.err);
        assert!(ran.err.contains("--ca FILE says whom"), "{}", ran.err);
    }
    let sent = run(
        &[
            "send",
            &urls[0],
            EVENT,
            "--ca",
            &folder.path("localhost.pem"),
        ],
        b"",
    );
    assert_eq!(sent.code, Some(0), "{}", sent.err);
    let ca = folder.path("localhost.pem");
    let talk = run(
        &["connect", &urls[1], "--ca", &ca, "--linger", "30s"],
        b"[:a/b 1]\n",
    );
    assert!(talk.out.contains(":sente-lite/echo"), "{}", talk.err);
    let again = run(
        &[
            "connect",
            "--reconnect",
            &urls[0],
            "--ca",
            &ca,
            "--linger",
            "5s",
        ],
        b"[:a/b 1]\n",
    );
    assert!(again.out.contains(":sente-lite/echo"), "{}", again.err);
    let bench = ["bench", &urls[0], "--ca", &ca, "--duration", "50ms"];
    assert_eq!(run(&bench, b"").code, Some(0));
}

#[test]
fn a_server_that_asks_for_certificates_refuses_those_without() {
    let folder = Folder::of(&["localhost", "client", "stranger"]);
    let (_live, urls) = folder.serve("localhost", ", client-ca = \"client.pem\"");
    let trusted = ["--ca", "localhost.pem"];
    for url in &urls {
        let shown = ["--cert", "client.pem", "--key", "client.key"];
        let ran = folder.call(url, &[&trusted[..], &shown].concat());
        assert_eq!(
            (ran.code, ran.out.as_str()),
            (Some(0), "1\n"),
            "{}",
            ran.err
        );
        let ran = folder.call(url, &trusted);
        assert_eq!((ran.code, ran.out.as_str()), (Some(4), ""), "{}", ran.err);
        let hint = "--cert FILE and --key FILE show one";
        assert!(ran.err.contains(hint), "{url}: {}", ran.err);
        let wrong = ["--cert", "stranger.pem", "--key", "stranger.key"];
        let ran = folder.call(url, &[&trusted[..], &wrong].concat());
        assert_eq!((ran.code, ran.out.as_str()), (Some(4), ""), "{}", ran.err);
    }
}

#[test]
fn a_server_can_be_expected_by_another_name() {
    let folder = Folder::of(&["inside.example"]);
    let (_live, urls) = folder.serve("inside.example", "");
    let trusted = ["--ca", "inside.example.pem"];
    for url in &urls {
        let named = ["--server-name", "inside.example"];
        let ran = folder.call(url, &[&trusted[..], &named].concat());
        assert_eq!(
            (ran.code, ran.out.as_str()),
            (Some(0), "1\n"),
            "{}",
            ran.err
        );
        let ran = folder.call(url, &trusted);
        assert_eq!(ran.code, Some(4));
        let hint = "--server-name NAME says what the server is called";
        assert!(ran.err.contains(hint), "{}", ran.err);
    }
}

#[test]
fn a_file_that_is_not_what_it_should_be_is_named() {
    let folder = Folder::of(&["a", "b"]);
    folder.write("empty.pem", "");
    let whole = fs::read_to_string(folder.path("a.key")).unwrap();
    folder.write("cut.key", &whole[..80]);
    let url = "wss://127.0.0.1:1/";
    for (flags, said) in [
        (
            &["--ca", "none.pem"][..],
            "error: --ca: cannot read none.pem: No such file or directory (os error 2)\n",
        ),
        (
            &["--ca", "empty.pem"],
            "error: --ca: empty.pem: there is no certificate in it\n",
        ),
        (
            &["--ca", "a.key"],
            "error: --ca: a.key: there is no certificate in it\n",
        ),
        (
            &["--ca", "a.pem", "--cert", "a.key", "--key", "a.key"],
            "error: --cert: a.key: there is no certificate in it\n",
        ),
        (
            &["--ca", "a.pem", "--cert", "a.pem", "--key", "a.pem"],
            "error: --key: a.pem: there is no private key in it\n",
        ),
        (
            &["--ca", "a.pem", "--cert", "a.pem", "--key", "cut.key"],
            "error: --key: cut.key: it is cut off: a section of it does not end\n",
        ),
        (
            &["--ca", "a.pem", "--server-name", "no name"],
            "error: --server-name: \"no name\" is no name of a server\n",
        ),
    ] {
        let ran = folder.call(url, flags);
        assert_eq!((ran.code, folder.said(&ran).as_str()), (Some(2), said));
    }
    let ran = folder.call(url, &["--ca", "a.pem", "--cert", "a.pem", "--key", "b.key"]);
    assert_eq!(ran.code, Some(2));
    let said = folder.said(&ran);
    assert!(
        said.starts_with("error: --cert a.pem and --key b.key do not go together: "),
        "{said}"
    );
    let ran = folder.call(url, &["--cert", "a.pem"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("--key <FILE>"), "{}", ran.err);
    let ran = folder.call("ws://127.0.0.1:1/", &["--ca", "a.pem"]);
    assert_eq!(ran.code, Some(2));
    assert_eq!(
        ran.err,
        "error: --ca is about TLS: it works with wss:// and tls:// URLs only, not with \
         ws://127.0.0.1:1/\n"
    );
}
