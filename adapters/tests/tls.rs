//! TLS: who is trusted, who is let in, and where a connection that is cut differs from one that ends.
#![cfg(feature = "tls")]
#![allow(missing_docs)]

use std::time::Duration;

use sente_adapters::tls::{ClientTls, ServerTls, TlsError};
use sente_adapters::{
    Acceptor, ConnectError, ConnectOptions, Duplex, Handle, LinkLayer, ListenError, ListenOptions,
    Listener, Url, connect, connect_over,
};
use sente_core::{Accept, CloseReason, ConnectionEvent, Event, EventId};

const PATIENCE: Duration = Duration::from_secs(20);

/// A certificate and its key, in PEM.
struct Identity {
    chain: String,
    key: String,
}

fn identity_of(name: &str) -> Identity {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    Identity {
        chain: made.cert.pem(),
        key: made.signing_key.serialize_pem(),
    }
}

impl Identity {
    fn server(&self) -> ServerTls {
        ServerTls::new(self.chain.as_bytes(), self.key.as_bytes()).unwrap()
    }

    fn server_for(&self, clients: &Self) -> ServerTls {
        let (chain, key) = (self.chain.as_bytes(), self.key.as_bytes());
        ServerTls::for_clients_of(clients.chain.as_bytes(), chain, key).unwrap()
    }

    fn trusted(&self) -> ClientTls {
        ClientTls::trusting(self.chain.as_bytes()).unwrap()
    }

    fn client_of(&self, server: &Self) -> ClientTls {
        let (chain, key) = (self.chain.as_bytes(), self.key.as_bytes());
        ClientTls::with_identity(server.chain.as_bytes(), chain, key).unwrap()
    }
}

/// Listens and answers calls with how many certificates the client showed.
async fn serve(at: &str, tls: ServerTls) -> Url {
    let mut options = ListenOptions::default();
    options.tls = Some(tls);
    let mut listener = Listener::bind(&at.parse().unwrap(), options).await.unwrap();
    let url = listener.url().clone();
    tokio::spawn(async move {
        while let Some(Ok(incoming)) = listener.accept().await {
            let shown = i64::try_from(incoming.certificates().len()).unwrap();
            let Ok((handle, mut events)) = incoming.accept(Accept::new("ada")).await else {
                continue;
            };
            tokio::spawn(async move {
                while let Some(event) = events.next().await {
                    if let ConnectionEvent::Message(message) = event {
                        handle.reply(message.reply.unwrap(), shown).unwrap();
                    }
                }
            });
        }
    });
    url
}

async fn dial(url: &Url, tls: Option<ClientTls>) -> Result<Handle, ConnectError> {
    let mut options = ConnectOptions::default();
    options.tls = tls;
    options.connect_timeout = Some(PATIENCE);
    let (handle, mut events) = connect(url, &options).await?;
    tokio::spawn(async move { while events.next().await.is_some() {} });
    Ok(handle)
}

async fn certificates_seen(handle: &Handle) -> Option<i64> {
    let asked = Event::new(EventId::new("test/who").unwrap(), 0);
    let reply = handle.call(asked, PATIENCE).await.ok()?;
    reply.to_value().unwrap().as_i64()
}

#[test]
fn urls_with_tls_are_read_and_written() {
    for text in ["wss://127.0.0.1:41234/chsk?a=b", "tls://[::1]:4000"] {
        assert_eq!(text.parse::<Url>().unwrap().to_string(), text);
    }
    let without_port: Url = "wss://example.org/".parse().unwrap();
    assert_eq!(without_port.to_string(), "wss://example.org:443/");
}

#[tokio::test]
async fn both_schemes_are_spoken_and_a_listener_names_its_own() {
    let server = identity_of("localhost");
    for at in ["wss://localhost:0/chsk", "tls://localhost:0"] {
        let url = serve(at, server.server()).await;
        assert!(url.to_string().starts_with(&at[..6]), "{url}");
        let handle = dial(&url, Some(server.trusted())).await.unwrap();
        assert_eq!(certificates_seen(&handle).await, Some(0), "{url}");
    }
}

#[tokio::test]
async fn a_server_of_another_name_or_authority_is_refused() {
    let (server, stranger) = (identity_of("localhost"), identity_of("localhost"));
    let url = serve("tls://localhost:0", server.server()).await;
    let error = dial(&url, Some(stranger.trusted())).await.unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
    // Nor does the system trust it.
    let error = dial(&url, None).await.unwrap_err();
    assert!(
        error.to_string().contains("certificate") || error.to_string().contains("trust"),
        "{error}"
    );
    let elsewhere = url.to_string().replace("localhost", "127.0.0.1");
    let error = dial(&elsewhere.parse().unwrap(), Some(server.trusted())).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
}

#[tokio::test]
async fn a_server_at_another_address_can_be_expected_by_its_name() {
    let server = identity_of("inside.example");
    for at in ["wss://127.0.0.1:0/", "tls://127.0.0.1:0"] {
        let url = serve(at, server.server()).await;
        let expecting = |name: &str| server.trusted().expecting(name).unwrap();
        let handle = dial(&url, Some(expecting("inside.example"))).await.unwrap();
        assert_eq!(certificates_seen(&handle).await, Some(0), "{url}");
        for wrong in [server.trusted(), expecting("outside.example")] {
            let error = dial(&url, Some(wrong)).await.unwrap_err().to_string();
            assert!(error.contains("not valid for name"), "{error}");
        }
    }
    let error = server.trusted().expecting("no name").unwrap_err();
    assert_eq!(error.to_string(), "\"no name\" is no name of a server");
}

#[tokio::test]
async fn a_server_that_asks_lets_only_its_clients_in_and_sees_who_they_are() {
    let (server, client, stranger) = (
        identity_of("localhost"),
        identity_of("client"),
        identity_of("stranger"),
    );
    for at in ["wss://localhost:0/socket", "tls://localhost:0"] {
        let url = serve(at, server.server_for(&client)).await;
        let handle = dial(&url, Some(client.client_of(&server))).await.unwrap();
        assert_eq!(certificates_seen(&handle).await, Some(1), "{url}");
        for refused in [server.trusted(), stranger.client_of(&server)] {
            assert!(dial(&url, Some(refused)).await.is_err(), "{url}");
        }
    }
}

#[tokio::test]
async fn a_listener_needs_a_certificate_and_pem_has_to_be_what_it_says() {
    let at: Url = "wss://localhost:0/".parse().unwrap();
    let error = Listener::bind(&at, ListenOptions::default()).await;
    assert!(matches!(error, Err(ListenError::NoCertificate(_))));
    assert!(matches!(
        ClientTls::trusting(b"no certificate"),
        Err(TlsError::NoCertificate)
    ));
    let (one, other) = (identity_of("a"), identity_of("b"));
    let (chain, key) = (one.chain.as_bytes(), one.key.as_bytes());
    let problem = |chain: &[u8], key: &[u8]| match ServerTls::new(chain, key) {
        Err(error) => error,
        Ok(_) => panic!("it is none"),
    };
    assert_eq!(problem(key, key), TlsError::NoCertificate);
    assert_eq!(problem(chain, chain), TlsError::NoKey);
    let cut_off = "it is cut off: a section of it does not end".to_owned();
    assert_eq!(problem(&chain[..100], key), TlsError::Pem(cut_off.clone()));
    assert_eq!(problem(chain, &key[..100]), TlsError::Key(cut_off));
    let damaged = one.key.replacen("M", "!", 1);
    let damaged = problem(chain, damaged.as_bytes()).to_string();
    assert_eq!(damaged, "it is damaged: a section of it is no Base64");
    assert!(ServerTls::new(one.chain.as_bytes(), other.key.as_bytes()).is_err());
}

/// Both sides in memory; `cut` sees the client's link beneath TLS.
async fn in_memory(cut: Option<LinkLayer>) -> (Handle, tokio::task::JoinHandle<CloseReason>) {
    let server = identity_of("in.memory");
    let url: Url = "tls://in.memory:1".parse().unwrap();
    let (ours, theirs) = Duplex::pair();
    let mut options = ListenOptions::default();
    options.tls = Some(server.server());
    let acceptor = Acceptor::new(&url, options).unwrap();
    let reason = tokio::spawn(async move {
        let incoming = acceptor.take(theirs, "ours").await.unwrap().unwrap();
        let (handle, mut events) = incoming.accept(Accept::new("ada")).await.unwrap();
        while let Some(event) = events.next().await {
            if matches!(event, ConnectionEvent::PeerFinished) {
                handle.drain(PATIENCE);
            }
        }
        handle.ended().await.reason
    });
    let mut options = ConnectOptions::default();
    options.tls = Some(server.trusted());
    options.layer = cut;
    let (handle, mut events) = connect_over(&url, ours, &options).await.unwrap();
    tokio::spawn(async move { while events.next().await.is_some() {} });
    (handle, reason)
}

#[tokio::test]
async fn an_end_that_tls_announced_is_one_and_a_cut_is_a_failure() {
    let (handle, reason) = in_memory(None).await;
    handle.drain(PATIENCE);
    handle.ended().await;
    let reason = reason.await.unwrap();
    assert!(!matches!(reason, CloseReason::Failed(_)), "{reason}");

    let (handle, reason) = in_memory(Some(cut::before_the_goodbye())).await;
    handle.drain(PATIENCE);
    handle.ended().await;
    let reason = reason.await.unwrap();
    assert!(matches!(reason, CloseReason::Failed(_)), "{reason}");
}

/// A layer that ends a link without what TLS says at its end.
mod cut {
    use std::io;
    use std::task::{Context, Poll};

    use bytes::{Buf, BytesMut};
    use sente_adapters::{Link, LinkLayer};
    use sente_core::TransmitBuf;

    pub(super) fn before_the_goodbye() -> LinkLayer {
        LinkLayer::new(|inner| Box::new(Cut { inner }))
    }

    struct Cut {
        inner: Box<dyn Link>,
    }

    impl Link for Cut {
        fn poll_read(
            &mut self,
            cx: &mut Context<'_>,
            input: &mut BytesMut,
        ) -> Poll<io::Result<usize>> {
            self.inner.poll_read(cx, input)
        }

        fn poll_write(
            &mut self,
            cx: &mut Context<'_>,
            out: &mut TransmitBuf,
        ) -> Poll<io::Result<usize>> {
            // In TLS 1.3 only an alert is that short.
            if out.len() < 25 {
                let swallowed = out.len();
                out.advance(swallowed);
                return Poll::Ready(Ok(swallowed));
            }
            self.inner.poll_write(cx, out)
        }

        fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.inner.poll_flush(cx)
        }

        fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.inner.poll_shutdown(cx)
        }
    }
}
