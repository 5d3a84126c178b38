//! One budget of received bytes for many connections of a process.
#![allow(missing_docs)]

use std::time::Duration;

use sente_adapters::{
    ClientOptions, ConnectOptions, Events, Handle, Incoming, ListenOptions, Listener,
    SharedRecvBudget, connect, keep_connected,
};
use sente_core::{
    Accept, ClientEvent, ConnectFailure, ConnectionEvent, Event, RecvBudgetLimits, RecvStatus,
};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::yield_now;

const PATIENCE: Duration = Duration::from_secs(60);

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what)
        .await
        .expect("it takes for ever")
}

/// Lets the others go on until it is so.
async fn until(what: impl Fn() -> bool) {
    soon(async {
        while !what() {
            yield_now().await;
        }
    })
    .await;
}

fn budget(total: usize, max: usize, min: usize) -> SharedRecvBudget {
    let mut limits = RecvBudgetLimits::default();
    limits.total_bytes = total;
    limits.max_bytes = max;
    limits.min_bytes = min;
    SharedRecvBudget::new(limits)
}

/// Lines of two kilobytes, with their numbers.
fn lines(count: usize) -> String {
    let filler = "x".repeat(2_000);
    let line = |n| format!("[:a/n [{n} \"{filler}\"]]\n");
    (0..count).map(line).collect()
}

const FRAME: usize = 2_100;

/// A TCP server with this budget, and where it is.
async fn server(budget: &SharedRecvBudget) -> (Listener, String) {
    let mut options = ListenOptions::default();
    options.recv_budget = Some(budget.clone());
    let url = "tcp://127.0.0.1:0".parse().unwrap();
    let listener = Listener::bind(&url, options).await.unwrap();
    let address = listener.url().to_string().replace("tcp://", "");
    (listener, address)
}

async fn next(listener: &mut Listener) -> (Handle, Events) {
    let incoming: Incoming = soon(listener.accept()).await.unwrap().unwrap();
    incoming.accept(Accept::new("u")).await.unwrap()
}

/// A client that says all this and then goes on listening.
async fn say(address: &str, text: String) {
    let mut peer = TcpStream::connect(address).await.unwrap();
    tokio::spawn(async move {
        peer.write_all(text.as_bytes()).await.unwrap();
        peer.shutdown().await.unwrap();
        tokio::io::copy(&mut peer, &mut tokio::io::sink()).await
    });
}

fn held<'a>(handles: impl IntoIterator<Item = &'a Handle>) -> usize {
    let each = handles.into_iter();
    each.map(|handle| handle.recv_capacity().bytes).sum()
}

/// The number that an event of [`lines`] has.
fn number(event: &Event) -> i64 {
    let value = event.to_value().unwrap();
    let data = value.as_vector().unwrap().get(1).unwrap().clone();
    data.as_vector().unwrap().first().unwrap().as_i64().unwrap()
}

#[tokio::test]
async fn many_slow_applications_stay_within_one_budget_and_go_on_when_they_read() {
    const PEERS: usize = 24;
    const LINES: usize = 200;
    let budget = budget(256 * 1024, 64 * 1024, 4 * 1024);
    let (mut listener, address) = server(&budget).await;
    let mut links = Vec::new();
    for _ in 0..PEERS {
        say(&address, lines(LINES)).await;
        links.push(next(&mut listener).await);
    }
    let handles: Vec<Handle> = links.iter().map(|(handle, _)| handle.clone()).collect();
    let within = || {
        assert!(budget.granted() <= 256 * 1024);
        let held = held(&handles);
        assert!(held <= 256 * 1024 + PEERS * FRAME, "{held}");
    };
    // Nobody reads: 9.6 MB want in, and almost all of it stays with the peers.
    until(|| {
        within();
        // No more can be given, and whoever has anything has filled it.
        budget.granted() > 252 * 1024
            && handles.iter().all(|handle| {
                let capacity = handle.recv_capacity();
                capacity.bytes >= capacity.max_bytes
            })
    })
    .await;
    assert_eq!(budget.connections(), PEERS);
    assert!(budget.waiting() > 0);
    // One after the other reads everything; each that is done makes room for the others.
    for (_, events) in &mut links {
        let mut numbers = Vec::new();
        loop {
            within();
            match soon(events.next()).await {
                Some(ConnectionEvent::Message(message)) => numbers.push(number(&message.event)),
                Some(ConnectionEvent::PeerFinished) => break,
                Some(ConnectionEvent::RecvPressure(_) | ConnectionEvent::Opened(_)) => {}
                other => panic!("{other:?}"),
            }
        }
        let all: Vec<i64> = (0..).take(LINES).collect();
        assert_eq!(numbers, all);
    }
    assert_eq!(held(&handles), 0);
    assert_eq!(budget.granted(), PEERS * 4 * 1024);
    assert_eq!(budget.waiting(), 0);
    drop(links);
    drop(handles);
    until(|| budget.connections() == 0).await;
    assert_eq!(budget.granted(), 0);
}

#[tokio::test]
async fn a_connection_for_which_nothing_is_left_waits_until_another_ends() {
    let budget = budget(4_096, 4_096, 4_096);
    let (mut listener, address) = server(&budget).await;
    say(&address, lines(10)).await;
    let (first, first_events) = next(&mut listener).await;
    say(&address, lines(3)).await;
    let (second, mut events) = next(&mut listener).await;
    until(|| first.recv_capacity().bytes >= 4_096).await;
    assert_eq!((budget.connections(), budget.waiting()), (2, 1));
    assert_eq!(second.recv_capacity().max_bytes, 0);
    // Without its events the first discards what comes, and is over with its peer.
    drop((first, first_events));
    let mut numbers = Vec::new();
    loop {
        match soon(events.next()).await {
            Some(ConnectionEvent::Message(message)) => numbers.push(number(&message.event)),
            Some(ConnectionEvent::PeerFinished) => break,
            Some(_) => {}
            None => panic!("ended"),
        }
    }
    assert_eq!(numbers, [0, 1, 2]);
    assert_eq!(budget.connections(), 1);
}

#[tokio::test]
async fn a_share_that_grows_is_no_pressure() {
    let budget = budget(1024 * 1024, 1024 * 1024, 4 * 1024);
    let (mut listener, address) = server(&budget).await;
    say(&address, lines(90)).await;
    let (handle, mut events) = next(&mut listener).await;
    until(|| handle.recv_capacity().messages >= 90).await;
    // All of it came in at once, far over the share the connection began with.
    assert!(budget.granted() >= 90 * 2_000);
    assert_eq!(handle.recv_capacity().status, RecvStatus::Ok);
    let mut taken = 0;
    while taken < 90 {
        match soon(events.next()).await {
            Some(ConnectionEvent::Message(_)) => taken += 1,
            Some(event) => assert!(!matches!(event, ConnectionEvent::RecvPressure(_))),
            None => panic!("ended"),
        }
    }
    assert_eq!(budget.granted(), 4 * 1024);
}

/// A server that says all this to everybody.
async fn talker(text: String) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut peer, _)) = listener.accept().await {
            let text = format!("[:chsk/handshake [\"u\" nil {{}} true]]\n{text}");
            tokio::spawn(async move {
                peer.write_all(text.as_bytes()).await.unwrap();
                peer.shutdown().await.unwrap();
                tokio::io::copy(&mut peer, &mut tokio::io::sink()).await
            });
        }
    });
    format!("tcp://{address}")
}

#[tokio::test]
async fn a_connection_of_ones_own_shares_the_budget_it_is_given() {
    let budget = budget(16 * 1024, 8 * 1024, 4 * 1024);
    let url = talker(lines(100)).await.parse().unwrap();
    let mut options = ConnectOptions::default();
    options.recv_budget = Some(budget.clone());
    let (handle, mut events) = soon(connect(&url, &options)).await.unwrap();
    until(|| handle.recv_capacity().bytes >= 8 * 1024).await;
    assert_eq!(budget.granted(), 8 * 1024);
    let mut numbers = 0..100;
    while let Some(event) = soon(events.next()).await {
        match event {
            ConnectionEvent::Message(message) => {
                assert_eq!(Some(number(&message.event)), numbers.next());
            }
            ConnectionEvent::PeerFinished => break,
            _ => {}
        }
    }
    assert_eq!(numbers.next(), None);
    handle.close();
    soon(handle.ended()).await;
    while soon(events.next()).await.is_some() {}
    assert_eq!((budget.connections(), budget.granted()), (0, 0));
}

#[tokio::test]
async fn each_link_of_a_client_that_comes_back_has_its_share() {
    let budget = budget(16 * 1024, 8 * 1024, 4 * 1024);
    let url = talker(lines(20)).await;
    let share = budget.clone();
    let target = move |_| {
        let mut options = ConnectOptions::default();
        options.recv_budget = Some(share.clone());
        let url = url.parse().map_err(|_| ConnectFailure::Final("url".into()));
        async move { Ok((url?, options)) }
    };
    let (client, mut events) = keep_connected(ClientOptions::default(), target).unwrap();
    until(|| budget.granted() == 8 * 1024).await;
    for _ in 0..2 {
        let mut numbers = 0..20;
        while let Some(event) = soon(events.next()).await {
            match event {
                ClientEvent::Link(ConnectionEvent::Message(message)) => {
                    assert_eq!(Some(number(&message.event)), numbers.next());
                }
                ClientEvent::Closed(_) => break,
                _ => {}
            }
        }
        assert_eq!(numbers.next(), None);
        assert!(budget.connections() <= 1);
    }
    client.disconnect();
    drop((client, events));
    until(|| budget.connections() == 0).await;
    assert_eq!(budget.granted(), 0);
}
