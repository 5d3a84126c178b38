//! What links are opened with, and what one link may not do to the others.
#![allow(missing_docs)]

use std::future::poll_fn;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use sente_adapters::{
    Acceptor, Address, ConnectError, ConnectOptions, Descriptor, Direction, Duplex, Handle,
    ListenOptions, Listener, Moved, Runtime, TcpKeepalive, Tokio, Url, connect, connect_over,
};
use sente_core::{Accept, ConnectionEvent, Event, EventId, Role};

const PATIENCE: Duration = Duration::from_secs(20);

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

/// Serves whoever comes, and answers calls with their data.
async fn serve(at: &Url, options: ListenOptions) -> Url {
    let mut listener = Listener::bind(at, options).await.unwrap();
    let url = listener.url().clone();
    tokio::spawn(async move {
        while let Some(Ok(incoming)) = listener.accept().await {
            let (handle, events) = incoming.accept(Accept::new("ada")).await.unwrap();
            tokio::spawn(answer(handle, events));
        }
    });
    url
}

async fn answer(handle: Handle, mut events: sente_adapters::Events) {
    while let Some(event) = events.next().await {
        if let ConnectionEvent::Message(message) = event
            && let (Some(token), Some(data)) = (message.reply, message.event.data)
        {
            let _ = handle.reply(token, data);
        }
    }
}

async fn asks(handle: &Handle) -> Option<i64> {
    let event = Event::new(EventId::new("test/echo").unwrap(), 7);
    let reply = handle.call(event, PATIENCE).await.unwrap();
    reply.to_value().unwrap().as_i64()
}

#[tokio::test]
async fn a_socket_has_the_permissions_that_were_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    for mode in [0o600, 0o666] {
        let path = folder.path().join(format!("{mode:o}"));
        let mut options = ListenOptions::default();
        options.socket_mode = Some(mode);
        let at = serve(&Address::Unix(path.clone()).into(), options).await;
        let found = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode);
        let (handle, _events) = connect(&at, &ConnectOptions::default()).await.unwrap();
        assert_eq!(asks(&handle).await, Some(7));
    }
}

/// What Linux says of the timers of the sockets bound to, or connected to, `port`: 2 is keepalive's.
#[cfg(target_os = "linux")]
fn timers_at(port: u16) -> Vec<String> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let port = format!(":{port:04X}");
    let timer = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let connected = fields.get(3) == Some(&"01");
        let ours = fields[1].ends_with(&port) || fields[2].ends_with(&port);
        (connected && ours).then(|| fields[5].split(':').next().unwrap().to_owned())
    };
    table.lines().skip(1).filter_map(timer).collect()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn keepalive_is_the_systems_business_where_it_is_asked_for() {
    for asked in [false, true] {
        let keepalive = asked.then(TcpKeepalive::default);
        let mut options = ListenOptions::default();
        options.tcp.keepalive.clone_from(&keepalive);
        let at = serve(&url("tcp://127.0.0.1:0"), options).await;
        let Address::Tcp { port, .. } = at.address else {
            panic!("{at}");
        };
        let mut options = ConnectOptions::default();
        options.tcp.keepalive = keepalive;
        let (handle, _events) = connect(&at, &options).await.unwrap();
        assert_eq!(asks(&handle).await, Some(7));
        // As long as the system waits for something else, its timer is about that.
        let mut timers = timers_at(port);
        while timers.iter().any(|timer| timer == "01") {
            tokio::time::sleep(Duration::from_millis(5)).await;
            timers = timers_at(port);
        }
        assert_eq!(timers.len(), 2, "both ends");
        let kept = timers.iter().filter(|timer| *timer == "02").count();
        assert_eq!(kept, if asked { 2 } else { 0 }, "{timers:?}");
    }
}

#[tokio::test]
async fn named_pipes_that_nobody_opens_are_given_up_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let (there, back) = (folder.path().join("there"), folder.path().join("back"));
    for path in [&there, &back] {
        let made = std::process::Command::new("mkfifo").arg(path).status();
        assert!(made.unwrap().success());
    }
    let pair = |one: &std::path::Path, other: &std::path::Path| {
        url(&format!("fifo:{},{}", one.display(), other.display()))
    };
    let mut options = ConnectOptions::default();
    options.connect_timeout = Some(Duration::from_millis(50));
    let alone = connect(&pair(&back, &there), &options).await;
    assert!(matches!(alone, Err(ConnectError::Timeout(_))));
    // The same pipes serve two that do come, one after the other as well.
    options.connect_timeout = Some(PATIENCE);
    for _ in 0..2 {
        let mut serving = options.clone();
        serving.role = Some(Role::Server);
        let (ours, theirs) = (pair(&back, &there), pair(&there, &back));
        let (ours, theirs) = tokio::join!(connect(&ours, &options), connect(&theirs, &serving));
        let ((handle, _events), (server, server_events)) = (ours.unwrap(), theirs.unwrap());
        let answering = tokio::spawn(answer(server.clone(), server_events));
        assert_eq!(asks(&handle).await, Some(7));
        handle.close();
        handle.ended().await;
        server.close();
        server.ended().await;
        answering.await.unwrap();
    }
}

#[tokio::test]
async fn a_link_that_always_has_more_lets_others_have_their_turn() {
    let at = url("tcp://in.memory:1");
    // Nothing makes this client wait, so only its own restraint lets others on this thread run.
    let mut options = ConnectOptions::default();
    options.role = Some(Role::Server);
    let (_busy, _unread) = connect_over(&at, endless::Blank, &options).await.unwrap();
    let acceptor = Acceptor::new(&at, ListenOptions::default()).unwrap();
    let (ours, theirs) = Duplex::pair();
    tokio::spawn(async move {
        let incoming = acceptor.take(theirs, "ours").await.unwrap().unwrap();
        let (handle, events) = incoming.accept(Accept::new("ada")).await.unwrap();
        answer(handle, events).await;
    });
    let (handle, _events) = connect_over(&at, ours, &ConnectOptions::default())
        .await
        .unwrap();
    assert_eq!(asks(&handle).await, Some(7));
}

/// A link that has blank lines for ever and takes everything.
mod endless {
    use std::io;
    use std::task::{Context, Poll};

    use bytes::{Buf, BytesMut};
    use sente_adapters::Link;
    use sente_core::TransmitBuf;

    pub(super) struct Blank;

    impl Link for Blank {
        fn poll_read(
            &mut self,
            _: &mut Context<'_>,
            input: &mut BytesMut,
        ) -> Poll<io::Result<usize>> {
            input.extend_from_slice(b"\n\n\n\n");
            Poll::Ready(Ok(4))
        }

        fn poll_write(
            &mut self,
            _: &mut Context<'_>,
            out: &mut TransmitBuf,
        ) -> Poll<io::Result<usize>> {
            let bytes = out.len();
            out.advance(bytes);
            Poll::Ready(Ok(bytes))
        }

        fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }
}

#[tokio::test]
async fn a_unix_socket_is_watched_for_room_once_there_is_none() {
    let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let socket: Arc<dyn Descriptor> =
        Arc::from(Tokio::current().unwrap().watch_unix(ours.into()).unwrap());
    let waiting = socket.clone();
    let reader = tokio::spawn(poll_fn(move |cx| {
        waiting.poll_io(cx, Direction::Read, &mut |fd| {
            let mut heard = [0; 8];
            let bytes = rustix::io::read(fd, &mut heard)?;
            let exhausted = bytes < heard.len();
            Ok(Moved { bytes, exhausted })
        })
    }));
    tokio::task::yield_now().await;
    // It waits, and goes on waiting while the other task finds out that there is no room.
    let mut written = 0;
    let write = |socket: &dyn Descriptor, cx: &mut Context<'_>| {
        socket.poll_io(cx, Direction::Write, &mut |fd| {
            let bytes = rustix::io::write(fd, &[7; 4096])?;
            let exhausted = bytes < 4096;
            Ok(Moved { bytes, exhausted })
        })
    };
    while let Poll::Ready(more) = poll_fn(|cx| Poll::Ready(write(&*socket, cx))).await {
        written += more.unwrap();
    }
    theirs.write_all(b"news").unwrap();
    let heard = tokio::time::timeout(PATIENCE, reader).await.unwrap();
    assert_eq!(heard.unwrap().unwrap(), 4);
    let waiting = socket.clone();
    let writer = tokio::spawn(poll_fn(move |cx| write(&*waiting, cx)));
    tokio::task::yield_now().await;
    assert!(!writer.is_finished());
    theirs.read_exact(&mut vec![0; written]).unwrap();
    let more = tokio::time::timeout(PATIENCE, writer).await.unwrap();
    assert_eq!(more.unwrap().unwrap(), 4096);
}
