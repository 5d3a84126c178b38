//! `serve` with a certificate, where it is built with TLS.
#![cfg(feature = "tls")]

mod support;

use support::{Live, run, sente};

#[test]
fn a_certificate_in_the_configuration_is_shown_to_clients() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(path("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(path("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let tls = "tls = { cert = \"cert.pem\", key = \"key.pem\" }\n";
    let config = format!(
        "[[listen]]\nurl = \"wss://localhost:0/\"\n{tls}[[listen]]\nurl = \"tls://localhost:0\"\n{tls}"
    );
    std::fs::write(path("serve.toml"), config).unwrap();
    let file = path("serve.toml");
    let live = Live::start(&["--config", file.to_str().unwrap()]);
    let (web, stream) = (live.url(), live.url());
    for url in [web.clone(), format!("{web}chsk"), stream] {
        let called = sente()
            .args(["call", &url, "[:test/echo 1]"])
            .env("SSL_CERT_FILE", path("cert.pem"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&called.stderr);
        assert_eq!(called.stdout, b"1\n", "{url}: {said}");
    }
    // Whoever does not trust it does not speak to it.
    let ran = run(&["call", &web, "[:test/echo 1]"], b"");
    assert_eq!((ran.code, ran.out.as_str()), (Some(4), ""), "{}", ran.err);
    std::fs::remove_file(path("key.pem")).unwrap();
    let ran = run(
        &[
            "serve",
            "--check-config",
            "--config",
            file.to_str().unwrap(),
        ],
        b"",
    );
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("key.pem: No such file"), "{}", ran.err);
}
