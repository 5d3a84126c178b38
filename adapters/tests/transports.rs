//! Events over real transports, both sides ours, and over children that are not.
#![allow(missing_docs)]

use std::time::Duration;

use sente_adapters::{
    Address, CallFailure, ConnectError, ConnectOptions, Events, Handle, ListenOptions, Listener,
    Url, connect,
};
use sente_core::{
    Accept, CallError, CloseReason, ConnectionEvent, Dialect, Event, Limits, Payload, State,
};
use sente_edn::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PATIENCE: Duration = Duration::from_secs(30);

fn event(text: &str) -> Event {
    Event::from_value(sente_edn::from_str(text).unwrap()).unwrap()
}

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

fn peer(script: &str) -> Url {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/peers");
    url(&format!(
        "exec:{} '{folder}/{}'",
        script.split_once(' ').unwrap().0,
        script.split_once(' ').unwrap().1
    ))
}

/// Listens at `url` and answers every call with its data, every event with the same event.
async fn echo_server(at: &Url) -> Url {
    let mut listener = Listener::bind(at, ListenOptions::default()).await.unwrap();
    let url = listener.url().clone();
    tokio::spawn(async move {
        while let Some(Ok(incoming)) = listener.accept().await {
            tokio::spawn(async move {
                let accept = Accept::new(incoming.id().to_string());
                let (handle, events) = incoming.accept(accept).await.unwrap();
                echo(handle, events).await;
            });
        }
    });
    url
}

async fn echo(handle: Handle, mut events: Events) {
    while let Some(event) = events.next().await {
        match event {
            ConnectionEvent::Message(message) => {
                let data = message.event.data.clone();
                match message.reply {
                    Some(token) => {
                        let data = data.unwrap_or_else(|| Payload::from(Value::Nil));
                        let _ = handle.reply(token, data);
                    }
                    None => {
                        let _ = handle.send(message.event).await;
                    }
                }
            }
            ConnectionEvent::PeerFinished => handle.drain(Duration::from_secs(5)),
            _ => {}
        }
    }
}

async fn next_message(events: &mut Events) -> String {
    loop {
        match tokio::time::timeout(PATIENCE, events.next()).await.unwrap() {
            Some(ConnectionEvent::Message(message)) => {
                return sente_edn::to_string(&message.event.to_value().unwrap());
            }
            Some(_) => {}
            None => panic!("ended"),
        }
    }
}

async fn talk(url: &Url) {
    let (handle, mut events) = connect(url, &ConnectOptions::default())
        .await
        .unwrap_or_else(|error| panic!("{url}: {error}"));
    let reply = handle
        .call(event("[:test/echo {:a [1 2.0 \"é\\n\"]}]"), PATIENCE)
        .await
        .unwrap();
    assert_eq!(
        reply.to_value().unwrap().to_string(),
        "{:a [1 2.0 \"é\\n\"]}",
        "{url}"
    );
    for n in 0..100 {
        handle.send(event(&format!("[:test/n {n}]"))).await.unwrap();
    }
    handle.flush().await.unwrap();
    for n in 0..100 {
        assert_eq!(
            next_message(&mut events).await,
            format!("[:test/n {n}]"),
            "{url}"
        );
    }
    handle.drain(Duration::from_secs(5));
    let end = tokio::time::timeout(PATIENCE, handle.ended())
        .await
        .unwrap();
    assert!(end.reason.is_clean(), "{url}: {:?}", end.reason);
    assert_eq!(handle.state(), State::Closed);
    if handle.pid().is_some() {
        assert!(end.exit.unwrap().success(), "{url}: {:?}", end.exit);
    }
}

#[tokio::test]
async fn events_and_calls_cross_tcp() {
    talk(&echo_server(&url("tcp://127.0.0.1:0")).await).await;
}

#[tokio::test]
async fn events_and_calls_cross_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.sock");
    talk(&echo_server(&Address::Unix(path).into()).await).await;
}

#[tokio::test]
async fn events_and_calls_cross_a_websocket_in_both_dialects() {
    let Address::Ws(mut at) = echo_server(&url("ws://127.0.0.1:0/")).await.address else {
        unreachable!()
    };
    talk(&Address::Ws(at.clone()).into()).await;
    at.path = "/chsk".to_owned();
    let at = Url::from(Address::Ws(at));
    assert_eq!(at.default_dialect(), Dialect::Sente);
    talk(&at).await;
}

#[tokio::test]
async fn events_and_calls_cross_a_python_child() {
    talk(&peer("python3 echo.py")).await;
}

#[tokio::test]
async fn events_and_calls_cross_a_node_child() {
    talk(&peer("node echo.mjs")).await;
}

#[tokio::test]
async fn events_and_calls_cross_a_bash_child() {
    talk(&peer("bash echo.sh")).await;
}

#[tokio::test]
async fn a_hello_changes_the_dialect_of_a_byte_stream() {
    let at = echo_server(&url("tcp://127.0.0.1:0")).await;
    let mut options = ConnectOptions::default();
    options.dialect = Some(Dialect::Sente);
    let (handle, _events) = connect(&at, &options).await.unwrap();
    assert_eq!(handle.dialect(), Dialect::Sente);
    let reply = handle
        .call(event("[:test/echo 7]"), PATIENCE)
        .await
        .unwrap();
    assert_eq!(reply.to_value().unwrap(), Value::from(7));
}

#[tokio::test]
async fn ten_mebibytes_each_way_at_once_do_not_deadlock() {
    for at in [
        echo_server(&url("tcp://127.0.0.1:0")).await,
        echo_server(&url("ws://127.0.0.1:0/")).await,
        peer("python3 echo.py"),
    ] {
        let (handle, mut events) = connect(&at, &ConnectOptions::default()).await.unwrap();
        let payload = "x".repeat(100 * 1024);
        let text = format!("[:test/big \"{payload}\"]");
        let sender = {
            let (handle, event) = (handle.clone(), event(&text));
            tokio::spawn(async move {
                for _ in 0..103 {
                    handle.send(event.clone()).await.unwrap();
                }
            })
        };
        for _ in 0..103 {
            assert_eq!(next_message(&mut events).await.len(), text.len(), "{at}");
        }
        sender.await.unwrap();
    }
}

#[tokio::test]
async fn a_child_that_dies_settles_its_calls_and_leaves_its_status() {
    let (handle, mut events) = connect(
        &peer("python3 exit_with.py' --on-event '7"),
        &ConnectOptions::default(),
    )
    .await
    .unwrap();
    handle.send(event("[:test/exit]")).await.unwrap();
    match handle.call(event("[:test/echo 1]"), PATIENCE).await {
        Err(CallFailure::Failed(CallError::Closed)) => {}
        other => panic!("{other:?}"),
    }
    while let Some(event) = events.next().await {
        if matches!(event, ConnectionEvent::PeerFinished) {
            handle.drain(Duration::from_secs(1));
        }
    }
    let end = handle.ended().await;
    assert_eq!(end.exit.unwrap().code(), Some(7));
    // Waited for: the process table has it no more.
    assert!(!std::path::Path::new(&format!("/proc/{}", handle.pid().unwrap())).exists());
}

#[tokio::test]
async fn a_command_that_is_not_there_is_an_error_that_names_it() {
    match connect(
        &url("exec:no-such-command-here"),
        &ConnectOptions::default(),
    )
    .await
    {
        Err(error @ ConnectError::Spawn { .. }) => {
            assert!(
                error.to_string().contains("no-such-command-here"),
                "{error}"
            );
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn nobody_listening_is_an_error() {
    let at = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    for text in [format!("tcp://{at}"), format!("ws://{at}/")] {
        match connect(&url(&text), &ConnectOptions::default()).await {
            Err(ConnectError::Io(error)) => {
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_taken_address_is_an_error_and_a_stale_socket_file_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.sock");
    let at = Url::from(Address::Unix(path.clone()));
    let first = Listener::bind(&at, ListenOptions::default()).await.unwrap();
    assert!(Listener::bind(&at, ListenOptions::default()).await.is_err());
    drop(first);
    assert!(!path.exists());
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let again = Listener::bind(&at, ListenOptions::default()).await.unwrap();
    drop(again);
    std::fs::write(&path, "not a socket").unwrap();
    assert!(Listener::bind(&at, ListenOptions::default()).await.is_err());
    assert!(path.exists());
}

#[tokio::test]
async fn a_refused_client_learns_why() {
    let mut listener = Listener::bind(&url("ws://127.0.0.1:0/"), ListenOptions::default())
        .await
        .unwrap();
    let at = listener.url().clone();
    tokio::spawn(async move {
        while let Some(Ok(incoming)) = listener.accept().await {
            incoming.refuse(403, "Bad CSRF token").await;
        }
    });
    let error = connect(&at, &ConnectOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("403"), "{error}");
    assert!(error.to_string().contains("Bad CSRF token"), "{error}");
}

#[tokio::test]
async fn parameters_are_written_as_sentes_client_writes_them() {
    let mut listener = Listener::bind(&url("ws://127.0.0.1:0/chsk"), ListenOptions::default())
        .await
        .unwrap();
    let at = listener.url().clone();
    let server = tokio::spawn(async move {
        let incoming = listener.accept().await.unwrap().unwrap();
        let target = incoming.request().unwrap().target.clone();
        let token = incoming.param("csrf-token");
        drop(incoming);
        (target, token)
    });
    let mut options = ConnectOptions::default();
    options.client_id = Some("client-C".to_owned());
    options.csrf_token = Some("tok+en/1=&x".to_owned());
    options.params = vec![
        ("uid".to_owned(), "uid C/é".to_owned()),
        ("client-id".to_owned(), "evil".to_owned()),
    ];
    assert!(connect(&at, &options).await.is_err());
    let (target, token) = server.await.unwrap();
    // As captured from the real client.
    assert_eq!(
        target,
        "/chsk?uid=uid%20C%2F%C3%A9&client-id=client-C&csrf-token=tok%2Ben%2F1%3D%26x"
    );
    assert_eq!(token.as_deref(), Some("tok+en/1=&x"));
}

#[tokio::test]
async fn a_sente_client_without_an_id_and_a_plain_request_are_answered() {
    let at = echo_server(&url("ws://127.0.0.1:0/")).await;
    let address = at.to_string().replace("ws://", "").replace('/', "");
    for (request, status) in [
        (
            "GET /chsk HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            "400",
        ),
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "426"),
        ("nonsense\r\n\r\n", "400"),
    ] {
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request}: {answer}"
        );
    }
}

#[tokio::test]
async fn bytes_behind_the_http_head_are_not_lost() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let key = head
            .lines()
            .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))
            .unwrap();
        let accept = sente_core::framing::upgrade::accept_key(key);
        let text = b"[:chsk/handshake [\"u\" nil {} true]]";
        let mut answer = format!("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n").into_bytes();
        answer.extend([0x81, u8::try_from(text.len()).unwrap()]);
        answer.extend(text);
        stream.write_all(&answer).await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.unwrap();
    });
    let (handle, _events) = connect(&url(&format!("ws://{at}/")), &ConnectOptions::default())
        .await
        .unwrap();
    let uid = handle
        .opened()
        .map(|opened| opened.uid.unwrap().to_value().unwrap());
    // `connect` waits for the handshake, which came in one burst with the head.
    assert!(uid.is_none_or(|uid| uid.as_str() == Some("u")));
}

#[tokio::test]
async fn a_half_closed_client_still_gets_its_replies() {
    let at = echo_server(&url("tcp://127.0.0.1:0")).await;
    let mut stream = tokio::net::TcpStream::connect(at.to_string().replace("tcp://", ""))
        .await
        .unwrap();
    stream
        .write_all(b"[[:test/echo 1] \"a\"]\n[:test/n 2]")
        .await
        .unwrap();
    stream.shutdown().await.unwrap();
    let mut said = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut said))
        .await
        .unwrap()
        .unwrap();
    let lines: Vec<_> = said.lines().skip(1).collect();
    assert_eq!(
        lines,
        ["[:chsk/reply {:cb-uuid \"a\", :data 1}]", "[:test/n 2]"]
    );
}

#[tokio::test]
async fn a_reader_that_stops_stops_the_writer() {
    let mut limits = Limits::default();
    limits.max_recv_messages = 10;
    limits.max_send_messages = 10;
    let mut listen = ListenOptions::default();
    listen.limits = Some(limits.clone());
    let mut listener = Listener::bind(&url("tcp://127.0.0.1:0"), listen)
        .await
        .unwrap();
    let mut options = ConnectOptions::default();
    options.limits = Some(limits);
    let at = listener.url().clone();
    let (client, server) = tokio::join!(connect(&at, &options), async {
        let incoming = listener.accept().await.unwrap().unwrap();
        incoming.accept(Accept::new("u")).await.unwrap()
    });
    let (client, _client_events) = client.unwrap();
    let (_server, mut server_events) = server;
    let event = event(&format!("[:test/big \"{}\"]", "x".repeat(200 * 1024)));
    // Nobody reads: sooner or later the queue is full and stays so.
    let mut sent = 0;
    let mut refused = 0;
    while refused < 50 {
        match client.try_send(event.clone()) {
            Ok(()) => {
                sent += 1;
                refused = 0;
            }
            Err(_) => {
                refused += 1;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
        assert!(sent < 2_000, "the writer was never stopped");
    }
    for _ in 0..sent {
        next_message(&mut server_events).await;
    }
    client.send(event).await.unwrap();
    next_message(&mut server_events).await;
}

#[tokio::test]
async fn a_dropped_call_is_cancelled() {
    let at = echo_server(&url("tcp://127.0.0.1:0")).await;
    let (handle, _events) = connect(&at, &ConnectOptions::default()).await.unwrap();
    let call = handle.call(event("[:test/echo 1]"), PATIENCE);
    let dropped = tokio::time::timeout(Duration::ZERO, call).await;
    // Either it was answered at once, or it is gone; nothing is left behind.
    drop(dropped);
    let again = handle
        .call(event("[:test/echo 2]"), PATIENCE)
        .await
        .unwrap();
    assert_eq!(again.to_value().unwrap(), Value::from(2));
}

#[tokio::test]
async fn a_call_times_out_though_nobody_reads_the_events() {
    let mut listener = Listener::bind(&url("tcp://127.0.0.1:0"), ListenOptions::default())
        .await
        .unwrap();
    let at = listener.url().clone();
    let server = tokio::spawn(async move {
        let (handle, events) = listener
            .accept()
            .await
            .unwrap()
            .unwrap()
            .accept(Accept::new("u"))
            .await
            .unwrap();
        for n in 0..100 {
            handle.send(event(&format!("[:test/n {n}]"))).await.unwrap();
        }
        (listener, handle, events)
    });
    let (handle, _events) = connect(&at, &ConnectOptions::default()).await.unwrap();
    let _server = server.await.unwrap();
    let outcome = handle
        .call(event("[:test/never]"), Duration::from_millis(20))
        .await;
    assert!(matches!(
        outcome,
        Err(CallFailure::Failed(CallError::Timeout))
    ));
}

#[tokio::test]
async fn dropping_everything_closes_in_order() {
    let mut listener = Listener::bind(&url("ws://127.0.0.1:0/"), ListenOptions::default())
        .await
        .unwrap();
    let at = listener.url().clone();
    let options = ConnectOptions::default();
    let (client, server) = tokio::join!(connect(&at, &options), async {
        listener
            .accept()
            .await
            .unwrap()
            .unwrap()
            .accept(Accept::new("u"))
            .await
            .unwrap()
    });
    let (handle, events) = client.unwrap();
    handle.send(event("[:last/words]")).await.unwrap();
    drop((handle, events));
    let (server, mut events) = server;
    assert_eq!(next_message(&mut events).await, "[:last/words]");
    let end = tokio::time::timeout(PATIENCE, server.ended())
        .await
        .unwrap();
    assert!(
        matches!(
            end.reason,
            CloseReason::PeerClosed {
                code: Some(1000),
                ..
            }
        ),
        "{:?}",
        end.reason
    );
}

#[test]
fn urls_are_read_written_and_refused_with_a_reason() {
    for text in [
        "ws://127.0.0.1:41234/",
        "ws://[::1]:80/chsk?a=b",
        "tcp://127.0.0.1:4000",
        "tcp://[::1]:4000",
        "unix:/tmp/s.sock",
        "unix:@name",
        "fifo:/tmp/there,/tmp/back",
        "stdio:",
        "exec:python3 'a b.py' x",
    ] {
        assert_eq!(url(text).to_string(), text);
    }
    for (text, why) in [
        ("127.0.0.1:80", "unknown scheme"),
        ("tcp://127.0.0.1", "port"),
        ("tcp://:80", "host"),
        ("tcp://127.0.0.1:99999", "port"),
        #[cfg(not(feature = "tls"))]
        ("wss://x/", "TLS"),
        ("http://x/", "unknown scheme"),
        ("unix:", "path"),
        ("unix:@", "path"),
        ("fifo:/tmp/there", "two paths"),
        ("fifo:,/tmp/back", "two paths"),
        ("exec:", "command"),
        ("exec:a 'b", "quote"),
        ("", "no scheme"),
    ] {
        let error = text.parse::<Url>().unwrap_err().to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
}
