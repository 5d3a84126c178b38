//! `serve` with a certificate, where it is built with TLS.
#![cfg(feature = "tls")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use sente_adapters::tls::rustls;
use sente_adapters::tls::rustls::RootCertStore;
use sente_adapters::tls::rustls::pki_types::pem::PemObject;
use sente_adapters::tls::rustls::pki_types::{CertificateDer, ServerName};
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

/// What is answered to a request over TLS, head and body.
fn https(address: &str, authority: &[u8], request: &str) -> String {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authority) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = rustls::StreamOwned::new(session, TcpStream::connect(address).unwrap());
    write!(
        stream,
        "GET {request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

#[test]
fn what_is_not_a_websocket_is_answered_over_tls_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let authority = made.cert.pem();
    std::fs::write(path("cert.pem"), &authority).unwrap();
    std::fs::write(path("key.pem"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(
        path("serve.toml"),
        "[[listen]]\nurl = \"wss://localhost:0/\"\n\
         tls = { cert = \"cert.pem\", key = \"key.pem\" }\n",
    )
    .unwrap();
    let file = path("serve.toml");
    let mut live = Live::start(&["--config", file.to_str().unwrap()]);
    let up = live.until("up: ");
    assert!(up.contains("/ with /chsk /health /stats"), "{up}");
    let url = live.url();
    let address = url.trim_start_matches("wss://").trim_end_matches('/');
    let ask = |request: &str| https(address, authority.as_bytes(), request);
    let health = ask("/health");
    assert!(health.starts_with("HTTP/1.1 200 "), "{health}");
    assert!(health.contains(r#""status":"healthy""#), "{health}");
    // Sente's handshake by Ajax.
    let poll = ask("/chsk?client-id=c1&handshake%3F=true");
    assert!(poll.starts_with("HTTP/1.1 200 "), "{poll}");
    assert!(poll.contains("[[:chsk/handshake [\"c1\" nil"), "{poll}");
    assert!(ask("/nothing/here").starts_with("HTTP/1.1 4"));

    // Who speaks no TLS, or says nothing at all, holds nobody up.
    let mut plain = TcpStream::connect(address).unwrap();
    plain.write_all(b"GET /health HTTP/1.1\r\n\r\n").unwrap();
    let mut rest = Vec::new();
    plain.read_to_end(&mut rest).unwrap();
    assert!(!rest.starts_with(b"HTTP"), "{rest:?}");
    let silent = TcpStream::connect(address).unwrap();
    assert!(ask("/health").starts_with("HTTP/1.1 200 "));
    live.signal("TERM");
    let (code, said) = live.end();
    assert_eq!(code, Some(0), "{said}");
    drop(silent);
}
