//! What two of our peers agree on beyond the stock dialects, and that nobody else sees any of it.
#![allow(missing_docs)]

use bytes::{Buf, BytesMut};
use sente_adapters::{Address, ConnectOptions, ListenOptions, Listener, Url, connect};
use sente_core::{
    Accept, Carrier, ConfigError, Connection, ConnectionConfig, ConnectionConfigBuilder,
    ConnectionEvent, Dialect, Extensions, Hello, Input, Instant, Opened, Role, TransmitBuf,
};
use sente_edn::Value;
use sente_tests::{RawPeer, config, edn, event, events, messages, seconds};

const EPOCH: Instant = Instant::EPOCH;

const LINKS: [(Dialect, Carrier); 5] = [
    (Dialect::Sente, Carrier::WebSocket),
    (Dialect::SenteLite, Carrier::WebSocket),
    (Dialect::SenteLite, Carrier::Lines),
    (Dialect::Sente, Carrier::Lines),
    (Dialect::Sente, Carrier::LengthPrefixed),
];

/// A client that ends up with this dialect on this carrier.
fn client(dialect: Dialect, carrier: Carrier) -> ConnectionConfigBuilder {
    let client = ConnectionConfig::builder(Role::Client, dialect, carrier);
    if carrier == Carrier::WebSocket {
        return client;
    }
    let mut hello = Hello::new();
    hello.dialect = Some(dialect);
    client.hello(hello)
}

/// Its server, which begins with sente-lite's dialect on a byte stream.
fn server(dialect: Dialect, carrier: Carrier) -> ConnectionConfigBuilder {
    let dialect = match carrier {
        Carrier::WebSocket => dialect,
        _ => Dialect::SenteLite,
    };
    ConnectionConfig::builder(Role::Server, dialect, carrier)
}

/// Everything `connection` writes now, as text.
fn said(connection: &mut Connection) -> String {
    let mut out = TransmitBuf::new();
    let mut all = Vec::new();
    while connection.poll_transmit(&mut out).is_some() {
        all.extend_from_slice(&out.copy_to_bytes(out.remaining()));
        connection.handle_transmitted(EPOCH);
    }
    String::from_utf8_lossy(&all).into()
}

fn opened(connection: &mut Connection) -> Opened {
    events(connection)
        .into_iter()
        .filter_map(|event| match event {
            ConnectionEvent::Opened(opened) => Some(*opened),
            _ => None,
        })
        .next_back()
        .unwrap()
}

fn handshake(dialect: Dialect, offered: Option<Extensions>, data: Value) -> String {
    let mut server = Connection::new(
        config(Role::Server, dialect, Carrier::WebSocket),
        [1; 32],
        EPOCH,
    );
    let mut accept = Accept::new("u");
    accept.data = data;
    accept.offered = offered;
    server.accept(EPOCH, accept);
    RawPeer::new(Role::Client)
        .texts(&mut server, EPOCH)
        .remove(0)
}

#[test]
fn an_offer_is_written_and_read_as_a_parameter() {
    assert_eq!(Extensions::ALL.to_string(), "1.batch.calls.trace");
    assert_eq!(Extensions::NONE.to_string(), "1");
    for known in [
        Extensions::NONE,
        Extensions::NONE.with_batch(),
        Extensions::NONE.with_calls(),
        Extensions::NONE.with_trace(),
        Extensions::ALL,
    ] {
        assert_eq!(known.to_string().parse(), Ok(known));
    }
    assert_eq!(
        "1.streams.calls..batch2".parse(),
        Ok(Extensions::NONE.with_calls())
    );
    for wrong in ["", "2.batch", "batch", "11.batch", "1batch"] {
        assert!(wrong.parse::<Extensions>().is_err(), "{wrong}");
    }
}

#[test]
fn only_an_offer_is_answered_in_the_handshake() {
    let lite_data = edn("{:sente-lite-version \"2.0.0\"}");
    for (dialect, offered, data, expected) in [
        (
            Dialect::Sente,
            None,
            edn("{:a 1}"),
            "[[:chsk/handshake [\"u\" nil {:a 1}]] nil]",
        ),
        (
            Dialect::Sente,
            Some(Extensions::ALL),
            edn("{:a 1}"),
            "[[:chsk/handshake [\"u\" nil {:a 1} {:ext {:batch true, :calls true, :trace true}}]] nil]",
        ),
        (
            Dialect::Sente,
            Some(Extensions::NONE),
            Value::Nil,
            "[[:chsk/handshake [\"u\" nil nil {:ext {}}]] nil]",
        ),
        (
            Dialect::SenteLite,
            None,
            lite_data.clone(),
            "[:chsk/handshake [\"u\" nil {:sente-lite-version \"2.0.0\"} true]]",
        ),
        (
            Dialect::SenteLite,
            Some(Extensions::NONE.with_batch()),
            lite_data,
            "[:chsk/handshake [\"u\" nil {:sente-lite-version \"2.0.0\", :ext {:batch true}} true]]",
        ),
        (
            Dialect::SenteLite,
            Some(Extensions::ALL),
            Value::Nil,
            "[:chsk/handshake [\"u\" nil {:ext {:batch true, :calls true, :trace true}} true]]",
        ),
        (
            Dialect::SenteLite,
            Some(Extensions::ALL),
            edn("17"),
            "[:chsk/handshake [\"u\" nil 17 true]]",
        ),
    ] {
        assert_eq!(handshake(dialect, offered, data), expected);
    }
}

#[test]
fn a_hello_carries_the_offer_and_a_hello_without_one_gets_no_answer() {
    let client = ConnectionConfig::builder(Role::Client, Dialect::SenteLite, Carrier::Lines)
        .offer(Extensions::ALL)
        .build()
        .unwrap();
    let mut client = Connection::new(client, [1; 32], EPOCH);
    assert_eq!(
        said(&mut client),
        "[:sente-lite/hello {:ext {:batch true, :calls true, :trace true}}]\n"
    );
    for (hello, answer) in [
        ("{}", "nil"),
        ("{:ext {}}", "{:ext {}}"),
        (
            "{:ext {:batch true :calls false :later 1}}",
            "{:ext {:batch true}}",
        ),
        ("{:ext {:batch nil}}", "{:ext {}}"),
        ("{:ext 17}", "{:ext {}}"),
    ] {
        let mut server = Connection::new(
            config(Role::Server, Dialect::SenteLite, Carrier::Lines),
            [1; 32],
            EPOCH,
        );
        server.accept(EPOCH, Accept::new("u"));
        assert_eq!(
            said(&mut server),
            "[:chsk/handshake [\"u\" nil nil true]]\n"
        );
        let line = format!("[:sente-lite/hello {hello}]\n");
        server.handle_input(EPOCH, Input::Bytes(&mut BytesMut::from(&*line)));
        assert_eq!(
            said(&mut server),
            format!("[:chsk/handshake [\"u\" nil {answer} true]]\n"),
            "{hello}"
        );
    }
}

#[test]
fn what_holds_is_what_was_offered_and_granted() {
    let some = [
        Extensions::NONE,
        Extensions::NONE.with_batch(),
        Extensions::NONE.with_calls(),
        Extensions::ALL,
    ];
    for (dialect, carrier) in LINKS {
        for offer in some {
            for grant in some {
                let client = client(dialect, carrier).offer(offer).build().unwrap();
                let server = server(dialect, carrier).grant(grant).build().unwrap();
                let mut client = Connection::new(client, [1; 32], EPOCH);
                let mut server = Connection::new(server, [2; 32], EPOCH);
                let mut accept = Accept::new("u");
                accept.offered = (carrier == Carrier::WebSocket).then_some(offer);
                server.accept(EPOCH, accept);
                for _ in 0..3 {
                    pass(&mut client, &mut server);
                    pass(&mut server, &mut client);
                }
                let holds = offer.and(grant);
                assert_eq!(
                    opened(&mut server).extensions,
                    holds,
                    "{dialect:?} {carrier:?}"
                );
                assert_eq!(
                    opened(&mut client).extensions,
                    holds,
                    "{dialect:?} {carrier:?}"
                );
            }
        }
    }
}

fn pass(from: &mut Connection, to: &mut Connection) {
    let mut out = TransmitBuf::new();
    while from.poll_transmit(&mut out).is_some() {
        let mut bytes = BytesMut::from(&*out.copy_to_bytes(out.remaining()));
        from.handle_transmitted(EPOCH);
        to.handle_input(EPOCH, Input::Bytes(&mut bytes));
    }
}

#[test]
fn an_answer_nobody_asked_for_changes_nothing() {
    let mut client = Connection::new(
        config(Role::Client, Dialect::Sente, Carrier::WebSocket),
        [1; 32],
        EPOCH,
    );
    let mut peer = RawPeer::new(Role::Server);
    peer.say(
        &mut client,
        EPOCH,
        "[[:chsk/handshake [\"u\" nil nil {:ext {:batch true :calls true}}]] nil]",
    );
    assert_eq!(opened(&mut client).extensions, Extensions::NONE);
    for n in 0..2 {
        client.send(EPOCH, event(&format!("[:a/n {n}]"))).unwrap();
    }
    assert_eq!(
        peer.texts(&mut client, EPOCH),
        ["[[:a/n 0] nil]", "[[:a/n 1] nil]"]
    );
}

#[test]
fn a_server_does_not_offer_and_a_client_does_not_grant() {
    let server = ConnectionConfig::builder(Role::Server, Dialect::Sente, Carrier::WebSocket)
        .offer(Extensions::ALL)
        .build();
    assert_eq!(server.unwrap_err(), ConfigError::MisplacedExtensions);
    let client = ConnectionConfig::builder(Role::Client, Dialect::Sente, Carrier::WebSocket)
        .grant(Extensions::ALL)
        .build();
    assert_eq!(client.unwrap_err(), ConfigError::MisplacedExtensions);
}

#[tokio::test]
async fn an_offer_in_the_url_or_the_options_crosses_a_real_transport() {
    let folder = tempfile::tempdir().unwrap();
    let unix = format!("unix:{}", folder.path().join("s").display());
    for (address, asks) in [
        ("ws://127.0.0.1:0/chsk", "options"),
        ("ws://127.0.0.1:0/chsk", "url"),
        ("ws://127.0.0.1:0/lite", "options"),
        (unix.as_str(), "options"),
        ("ws://127.0.0.1:0/chsk", "nothing"),
    ] {
        let url: Url = address.parse().unwrap();
        let mut listener = Listener::bind(&url, ListenOptions::default())
            .await
            .unwrap();
        let mut url = listener.url().clone();
        let mut options = ConnectOptions::default();
        if let (Address::Ws(url), "url") = (&mut url.address, asks) {
            url.query = "sente-ext=1.batch.calls.trace".into();
        }
        if asks == "options" {
            options.extensions = Some(Extensions::ALL);
        }
        let serve = async {
            let incoming = listener.accept().await.unwrap().unwrap();
            let (handle, mut events) = incoming.accept(Accept::new("u")).await.unwrap();
            loop {
                match events.next().await {
                    Some(ConnectionEvent::Message(_)) => break,
                    Some(_) => {}
                    None => panic!("ended"),
                }
            }
            let holds = handle.opened().unwrap().extensions;
            let answer = handle.call(event("[:q/a 1]"), seconds(20)).await;
            (holds, answer)
        };
        let dial = async {
            let (handle, mut events) = connect(&url, &options).await.unwrap();
            handle.send(event("[:a/b]")).await.unwrap();
            while let Some(event) = events.next().await {
                match event {
                    ConnectionEvent::Message(message) => {
                        if let Some(token) = message.reply {
                            handle.reply(token, 7).unwrap();
                        }
                    }
                    ConnectionEvent::PeerFinished => break,
                    _ => {}
                }
            }
        };
        let ((holds, answer), ()) = tokio::join!(serve, dial);
        if asks == "nothing" {
            assert_eq!(holds, Extensions::NONE);
            assert!(answer.is_err());
        } else {
            assert_eq!(holds, Extensions::ALL, "{address} {asks}");
            assert_eq!(answer.unwrap().to_value().unwrap(), edn("7"));
        }
    }
}

#[test]
fn a_client_that_closes_before_the_handshake_reads_on_by_its_terms() {
    let (dialect, carrier) = (Dialect::Sente, Carrier::WebSocket);
    let offer = Extensions::NONE.with_calls();
    let mut client = Connection::new(
        client(dialect, carrier).offer(offer).build().unwrap(),
        [1; 32],
        EPOCH,
    );
    let mut server = Connection::new(server(dialect, carrier).build().unwrap(), [2; 32], EPOCH);
    let mut accept = Accept::new("u");
    accept.offered = Some(offer);
    server.accept(EPOCH, accept);
    server.call(EPOCH, event("[:a/who]"), seconds(5)).unwrap();
    client.close(EPOCH);
    pass(&mut server, &mut client);
    let asked = messages(&mut client);
    assert!(asked[0].reply.is_some(), "{asked:?}");
    assert_eq!(client.stats().late_replies, 0);
}
