//! What goes wrong on real transports: peers that die, flood, stall or hold on.
#![allow(missing_docs)]

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use sente_adapters::{
    Address, ConnectError, ConnectOptions, End, Events, Handle, ListenOptions, Listener, Url,
    connect,
};
use sente_core::{Accept, CloseReason, ConnectionEvent, Event, Limits, Role, SendError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const PATIENCE: Duration = Duration::from_secs(30);
const HANDSHAKE: &str = "[:chsk/handshake [\"u\" nil {} true]]\n";

fn event(text: &str) -> Event {
    Event::from_value(sente_edn::from_str(text).unwrap()).unwrap()
}

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

/// A shell as the child.
fn shell(script: &str) -> Url {
    Address::Exec(vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()]).into()
}

fn with_limits(change: impl FnOnce(&mut Limits)) -> ConnectOptions {
    let mut limits = Limits::default();
    change(&mut limits);
    let mut options = ConnectOptions::default();
    options.limits = Some(limits);
    options
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what)
        .await
        .expect("it takes for ever")
}

async fn ended(handle: &Handle) -> End {
    soon(handle.ended()).await
}

/// All that still comes.
async fn rest(events: &mut Events) -> Vec<ConnectionEvent> {
    let mut all = Vec::new();
    while let Some(event) = soon(events.next()).await {
        all.push(event);
    }
    all
}

fn messages(events: &[ConnectionEvent]) -> usize {
    let is_message = |event: &&ConnectionEvent| matches!(event, ConnectionEvent::Message(_));
    events.iter().filter(is_message).count()
}

/// A client of ours and the bare socket it speaks to, its handshake said.
async fn tcp_pair(options: &ConnectOptions) -> (Handle, Events, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = url(&format!("tcp://{}", listener.local_addr().unwrap()));
    let (client, peer) = tokio::join!(connect(&at, options), async {
        let (mut peer, _) = listener.accept().await.unwrap();
        peer.write_all(HANDSHAKE.as_bytes()).await.unwrap();
        peer
    });
    let (handle, events) = client.unwrap();
    (handle, events, peer)
}

/// A client and a server of ours over a WebSocket.
async fn ws_pair(options: &ConnectOptions) -> ((Handle, Events), (Handle, Events)) {
    let mut listener = Listener::bind(&url("ws://127.0.0.1:0/"), ListenOptions::default())
        .await
        .unwrap();
    let at = listener.url().clone();
    let (client, server) = tokio::join!(connect(&at, options), async {
        let incoming = listener.accept().await.unwrap().unwrap();
        incoming.accept(Accept::new("u")).await.unwrap()
    });
    (client.unwrap(), server)
}

#[tokio::test]
async fn a_connection_that_died_behind_a_full_queue_ends_once_it_is_read() {
    let options = with_limits(|limits| limits.max_recv_messages = 3);
    let ((client, mut events), (server, server_events)) = ws_pair(&options).await;
    for n in 0..10 {
        server.send(event(&format!("[:test/n {n}]"))).await.unwrap();
    }
    server.flush().await.unwrap();
    server.close();
    ended(&server).await;
    drop((server, server_events));
    assert_eq!(messages(&rest(&mut events).await), 10);
    ended(&client).await;
}

#[tokio::test]
async fn a_reply_behind_a_flood_reaches_its_caller_though_nobody_reads_the_events() {
    let options = with_limits(|limits| limits.max_recv_messages = 5);
    let (handle, events, mut peer) = tcp_pair(&options).await;
    drop(events);
    let caller = {
        let handle = handle.clone();
        tokio::spawn(async move { handle.call(event("[:test/echo 1]"), PATIENCE * 2).await })
    };
    let mut question = vec![0; 1024];
    let read = peer.read(&mut question).await.unwrap();
    let question = String::from_utf8_lossy(&question[..read]).into_owned();
    let callback = question.trim_end().trim_end_matches(']').rsplit(' ').next();
    let mut answer = "[:test/n]\n".repeat(20);
    answer += &format!("[:chsk/reply {{:cb-uuid {} :data 7}}]\n", callback.unwrap());
    answer += &"[:test/n]\n".repeat(20);
    peer.write_all(answer.as_bytes()).await.unwrap();
    let reply = soon(caller).await.unwrap().unwrap();
    assert_eq!(reply.to_value().unwrap().to_string(), "7");
}

#[tokio::test]
async fn a_peer_that_leaves_ends_a_connection_whose_events_nobody_reads() {
    let (handle, events, mut peer) = tcp_pair(&ConnectOptions::default()).await;
    drop(events);
    handle.send(event("[:last/words]")).await.unwrap();
    peer.shutdown().await.unwrap();
    let mut said = String::new();
    soon(peer.read_to_string(&mut said)).await.unwrap();
    assert_eq!(said, "[:last/words]\n");
    assert!(ended(&handle).await.reason.is_clean());
}

#[tokio::test]
async fn what_came_before_a_reset_is_not_lost() {
    let options = with_limits(|limits| limits.max_recv_messages = 3);
    let (handle, mut events, mut peer) = tcp_pair(&options).await;
    handle.send(event("[:never/read]")).await.unwrap();
    handle.flush().await.unwrap();
    peer.write_all("[:test/n]\n".repeat(100).as_bytes())
        .await
        .unwrap();
    // Closed with bytes it has not read, a socket resets.
    peer.readable().await.unwrap();
    drop(peer);
    let _ = handle.try_send(event("[:into/the-void]"));
    let mut seen = 0;
    while let Some(event) = soon(events.next()).await {
        match event {
            ConnectionEvent::Message(_) => seen += 1,
            ConnectionEvent::PeerFinished => handle.drain(Duration::from_secs(1)),
            _ => {}
        }
    }
    assert_eq!(seen, 100);
    ended(&handle).await;
}

#[tokio::test]
async fn a_peer_that_reads_no_more_cannot_flood_us() {
    let at = shell("exec <&-; exec yes \"[:test/n \\\"$(printf %01000d 0)\\\"]\"");
    let options = with_limits(|limits| limits.max_recv_messages = 10);
    let (handle, mut events) = connect(&at, &options).await.unwrap();
    for _ in 0..20 {
        let _ = handle.try_send(event("[:into/the-void]"));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let received = handle.stats().bytes_received;
    assert!(received < 1024 * 1024, "{received} bytes were taken");
    let mut last = None;
    while let Some(event) = soon(events.next()).await {
        last = Some(event);
    }
    assert!(matches!(
        last,
        Some(ConnectionEvent::Closed(CloseReason::Failed(_)))
    ));
    ended(&handle).await;
}

#[tokio::test]
async fn a_server_that_never_shakes_hands_cannot_flood_us() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let line = format!("[:test/n \"{}\"]\n", "x".repeat(1000));
        let mut written = 0;
        while stream.write_all(line.as_bytes()).await.is_ok() {
            written += line.len();
        }
        written
    });
    let mut options = with_limits(|limits| limits.max_recv_messages = 10);
    options.connect_timeout = Some(Duration::from_secs(1));
    match connect(&Address::Unix(path).into(), &options).await {
        Err(ConnectError::Timeout(_)) => {}
        other => panic!("{other:?}"),
    }
    let written = soon(server).await.unwrap();
    assert!(written < 2 * 1024 * 1024, "{written} bytes were taken");
}

#[tokio::test]
async fn what_came_with_the_handshake_and_before_an_early_end_is_not_lost() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = url(&format!("tcp://{}", listener.local_addr().unwrap()));
    tokio::spawn(async move {
        let (mut peer, _) = listener.accept().await.unwrap();
        let said = format!("[:test/early]\n{HANDSHAKE}[:test/late]\n");
        peer.write_all(said.as_bytes()).await.unwrap();
    });
    let (handle, mut events) = connect(&at, &ConnectOptions::default()).await.unwrap();
    assert!(handle.opened().is_some());
    handle.drain(Duration::from_secs(1));
    assert_eq!(messages(&rest(&mut events).await), 2);
}

#[tokio::test]
async fn an_event_that_can_never_fit_is_refused_and_not_waited_for() {
    let options = with_limits(|limits| limits.max_send_bytes = 100);
    let (handle, _events, _peer) = tcp_pair(&options).await;
    let big = event(&format!("[:test/big \"{}\"]", "x".repeat(200)));
    match soon(handle.send(big)).await {
        Err(SendError::TooLarge { limit: 100, .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_runtime_that_ends_ends_its_connections() {
    let theirs = tokio::runtime::Runtime::new().unwrap();
    let ours = tokio::runtime::Runtime::new().unwrap();
    let (handle, mut events, _peer) = theirs.block_on(tcp_pair(&ConnectOptions::default()));
    let caller = {
        let handle = handle.clone();
        ours.spawn(async move { handle.call(event("[:test/never]"), PATIENCE * 2).await })
    };
    theirs.shutdown_background();
    ours.block_on(async {
        ended(&handle).await;
        soon(caller).await.unwrap().unwrap_err();
        rest(&mut events).await;
        handle.send(event("[:test/late]")).await.unwrap_err();
        soon(handle.flush()).await.unwrap_err();
    });
}

#[tokio::test]
async fn a_childs_child_that_holds_its_output_does_not_hold_the_connection() {
    let (handle, mut events) = connect(
        &shell("echo '[:test/n]'; sleep 600 & exit 7"),
        &ConnectOptions::default(),
    )
    .await
    .unwrap();
    let mut seen = 0;
    while let Some(event) = soon(events.next()).await {
        match event {
            ConnectionEvent::Message(_) => seen += 1,
            ConnectionEvent::PeerFinished => handle.drain(Duration::from_secs(1)),
            _ => {}
        }
    }
    assert_eq!(seen, 1);
    assert_eq!(ended(&handle).await.exit.unwrap().code(), Some(7));
}

#[tokio::test]
async fn a_child_that_ignores_everything_is_killed() {
    let (handle, _events) = connect(
        &shell("trap '' TERM PIPE; while :; do sleep 1; done"),
        &ConnectOptions::default(),
    )
    .await
    .unwrap();
    handle.drain(Duration::from_millis(50));
    assert_eq!(ended(&handle).await.exit.unwrap().signal(), Some(9));
}

#[tokio::test]
async fn a_child_that_floods_its_standard_error_still_speaks() {
    let script = "head -c 20000000 /dev/zero >&2; yes complaint | head -c 20000000 >&2; cat";
    let (handle, mut events) = connect(&shell(script), &ConnectOptions::default())
        .await
        .unwrap();
    handle.send(event("[:test/n]")).await.unwrap();
    handle.drain(PATIENCE);
    assert_eq!(messages(&rest(&mut events).await), 1);
    assert!(ended(&handle).await.exit.unwrap().success());
}

#[tokio::test]
async fn a_child_that_closes_its_input_at_once_is_still_heard() {
    let (handle, mut events) = connect(
        &shell("exec <&-; echo '[:test/a]'; echo '[:test/b]'; exit 3"),
        &ConnectOptions::default(),
    )
    .await
    .unwrap();
    let mut seen = 0;
    while let Some(event) = soon(events.next()).await {
        match event {
            ConnectionEvent::Message(_) => seen += 1,
            ConnectionEvent::PeerFinished => handle.drain(Duration::from_secs(1)),
            _ => {}
        }
    }
    assert_eq!(seen, 2);
    assert_eq!(ended(&handle).await.exit.unwrap().code(), Some(3));
}

#[tokio::test]
async fn flushes_and_calls_end_with_the_connection() {
    let (handle, events, peer) = tcp_pair(&ConnectOptions::default()).await;
    let big = event(&format!("[:test/big \"{}\"]", "x".repeat(900 * 1024)));
    let mut waiters = Vec::new();
    while handle.try_send(big.clone()).is_ok() {
        tokio::task::yield_now().await;
    }
    for _ in 0..3 {
        let (flush, call, send) = (handle.clone(), handle.clone(), handle.clone());
        let big = big.clone();
        waiters.push(tokio::spawn(async move {
            let _ = flush.flush().await;
        }));
        waiters.push(tokio::spawn(async move {
            let _ = call.call(event("[:test/q]"), PATIENCE * 2).await;
        }));
        waiters.push(tokio::spawn(async move {
            let _ = send.send(big).await;
        }));
    }
    tokio::task::yield_now().await;
    drop(peer);
    for waiter in waiters {
        soon(waiter).await.unwrap();
    }
    drop(events);
    ended(&handle).await;
}

#[tokio::test]
async fn a_peer_that_takes_nothing_does_not_hold_a_closed_connection() {
    let (handle, _events, _peer) = tcp_pair(&ConnectOptions::default()).await;
    let big = event(&format!("[:test/big \"{}\"]", "x".repeat(900 * 1024)));
    while handle.try_send(big.clone()).is_ok() {
        tokio::task::yield_now().await;
    }
    handle.close();
    ended(&handle).await;
}

#[tokio::test]
async fn a_dropped_listener_frees_its_address_at_once() {
    for text in ["tcp://127.0.0.1:0", "ws://127.0.0.1:0/"] {
        let listener = Listener::bind(&url(text), ListenOptions::default())
            .await
            .unwrap();
        tokio::task::yield_now().await;
        let at = listener.url().clone();
        drop(listener);
        drop(Listener::bind(&at, ListenOptions::default()).await.unwrap());
    }
}

#[tokio::test]
async fn a_dropped_listener_leaves_anothers_socket_file_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.sock");
    let at = Url::from(Address::Unix(path.clone()));
    let first = Listener::bind(&at, ListenOptions::default()).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    let _second = Listener::bind(&at, ListenOptions::default()).await.unwrap();
    drop(first);
    assert!(path.exists());
}

#[test]
fn of_many_who_find_a_stale_socket_file_one_gets_the_path() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..50 {
        let path = folder.path().join(format!("{round}.sock"));
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let start = std::sync::Arc::new(std::sync::Barrier::new(4));
        let racers: Vec<_> = (0..4)
            .map(|_| {
                let (at, start) = (Url::from(Address::Unix(path.clone())), start.clone());
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .enable_all()
                        .build()
                        .unwrap();
                    runtime.block_on(async {
                        start.wait();
                        let bound = Listener::bind(&at, ListenOptions::default()).await;
                        start.wait();
                        bound.is_ok()
                    })
                })
            })
            .collect();
        let winners = racers
            .into_iter()
            .filter_map(|racer| racer.join().unwrap().then_some(()))
            .count();
        assert_eq!(winners, 1);
    }
}

/// A listener whose clients may take for ever to ask for their upgrade.
async fn patient_listener() -> (Listener, String) {
    let mut options = ListenOptions::default();
    options.upgrade_timeout = Some(Duration::from_secs(3600));
    let listener = Listener::bind(&url("ws://127.0.0.1:0/"), options)
        .await
        .unwrap();
    let Address::Ws(at) = &listener.url().address else {
        unreachable!()
    };
    let address = format!("{}:{}", at.host, at.port);
    (listener, address)
}

#[tokio::test]
async fn a_dropped_listener_lets_go_of_clients_that_never_asked() {
    let (listener, address) = patient_listener().await;
    let mut silent = TcpStream::connect(&address).await.unwrap();
    silent.write_all(b"GET / HT").await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(listener);
    let mut answer = Vec::new();
    let _ = soon(silent.read_to_end(&mut answer)).await;
    assert!(answer.is_empty());
}

#[tokio::test]
async fn clients_that_never_ask_do_not_keep_others_out() {
    let (mut listener, address) = patient_listener().await;
    let at = listener.url().clone();
    let mut silent = Vec::new();
    for _ in 0..1_100 {
        silent.push(TcpStream::connect(&address).await.unwrap());
    }
    let options = ConnectOptions::default();
    let (client, _server) = tokio::join!(connect(&at, &options), async {
        let incoming = soon(listener.accept()).await.unwrap().unwrap();
        incoming.accept(Accept::new("u")).await.unwrap()
    });
    client.unwrap();
}

#[test]
fn a_refusal_reaches_a_client_that_said_more_than_was_read() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (_listener, address) = runtime.block_on(patient_listener());
    for _ in 0..20 {
        let mut client = std::net::TcpStream::connect(&address).unwrap();
        let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n";
        client.write_all(head.as_bytes()).unwrap();
        client.write_all(&vec![b'x'; 500_000]).unwrap();
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut client, &mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
}

#[tokio::test]
async fn a_handshake_may_take_as_long_as_connecting_may() {
    let mut options = ConnectOptions::default();
    options.role = Some(Role::Client);
    options.connect_timeout = Some(Duration::from_millis(50));
    match soon(connect(&shell("exec sleep 600"), &options)).await {
        Err(ConnectError::Timeout(within)) => assert_eq!(within, Duration::from_millis(50)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_killed_child_is_waited_for_without_its_grace() {
    let (handle, _events) = connect(&url("exec:sleep 600"), &ConnectOptions::default())
        .await
        .unwrap();
    handle.kill();
    let end = ended(&handle).await;
    assert_eq!(end.exit.unwrap().signal(), Some(9));
}

#[tokio::test]
async fn a_refusal_of_ones_own_is_sent_word_for_word() {
    let options = ListenOptions::default();
    let mut listener = Listener::bind(&url("ws://127.0.0.1:0/"), options)
        .await
        .unwrap();
    let Address::Ws(at) = listener.url().address.clone() else {
        panic!("it listens for WebSockets");
    };
    let mut client = TcpStream::connect((at.host.as_str(), at.port))
        .await
        .unwrap();
    let request = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    client.write_all(request.as_bytes()).await.unwrap();
    let incoming = soon(listener.accept()).await.unwrap().unwrap();
    let headers = [("X-Why", "tea")];
    let (_, answer) = tokio::join!(
        incoming.refuse_with(418, &headers, "short\nand stout"),
        async {
            let mut answer = String::new();
            soon(client.read_to_string(&mut answer)).await.unwrap();
            answer
        }
    );
    assert!(answer.starts_with("HTTP/1.1 418 "), "{answer}");
    assert!(answer.contains("\r\nX-Why: tea\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nshort\nand stout"), "{answer:?}");
}
