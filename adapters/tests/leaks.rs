//! What a thousand connections of each kind leave behind: nothing. Alone in its process, since it
//! counts what the process holds.
#![allow(missing_docs)]

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sente_adapters::{Address, ConnectOptions, ListenOptions, Listener, Url, connect};
use sente_core::{Accept, ConnectionEvent};
use tokio::task::JoinSet;

const PATIENCE: Duration = Duration::from_secs(60);
const ROUNDS: usize = 1_000;
const AT_ONCE: usize = 50;

/// Runs `test` on a runtime of its own. What one counts, another must not disturb, and a runtime
/// that comes or goes has descriptors too: none is built before the last is gone.
fn alone<T: Future<Output = ()>>(test: impl FnOnce() -> T) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        // What the runtime itself opens for its first child, and keeps.
        let (at, options) = ("exec:cat".parse().unwrap(), ConnectOptions::default());
        let (handle, events) = connect(&at, &options).await.unwrap();
        handle.close();
        handle.ended().await;
        drop((handle, events));
        test().await;
    });
}

/// Descriptors, children and tasks.
fn held() -> (usize, usize, usize) {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().count();
    let me = std::process::id().to_string();
    let children = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("stat")).ok())
        .filter(|stat| {
            let behind_name = stat.rsplit(')').next().unwrap_or_default();
            behind_name.split_whitespace().nth(1) == Some(&me)
        })
        .count();
    let tasks = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    (descriptors, children, tasks)
}

/// Waits until no more is held than before.
async fn back_to(before: (usize, usize, usize), what: &str) {
    let mut now = held();
    for _ in 0..1_000 {
        if now.0 <= before.0 && now.1 <= before.1 && now.2 <= before.2 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        now = held();
    }
    panic!("{what}: (descriptors, children, tasks) were {before:?}, are {now:?}");
}

/// Opens and ends connections in every way there is.
async fn churn(at: &Url, options: &ConnectOptions) {
    for round in 0..ROUNDS / AT_ONCE {
        let mut under_way = JoinSet::new();
        for n in 0..AT_ONCE {
            let (at, options) = (at.clone(), options.clone());
            under_way.spawn(async move {
                if (round + n) % 5 == 4 {
                    // Given up before it is open.
                    let attempt = connect(&at, &options);
                    let _ = tokio::time::timeout(Duration::from_micros(300), attempt).await;
                    return;
                }
                let Ok((handle, events)) = connect(&at, &options).await else {
                    return;
                };
                match (round + n) % 5 {
                    0 => handle.close(),
                    1 => handle.drain(Duration::from_secs(1)),
                    2 => {
                        drop((handle, events));
                        return;
                    }
                    _ => {
                        drop(events);
                        handle.close();
                    }
                }
                tokio::time::timeout(PATIENCE, handle.ended())
                    .await
                    .unwrap();
            });
        }
        while let Some(done) = under_way.join_next().await {
            done.unwrap();
        }
    }
}

async fn serve(mut listener: Listener) {
    let mut connections = JoinSet::new();
    while let Some(Ok(incoming)) = listener.accept().await {
        connections.spawn(async move {
            let Ok((handle, mut events)) = incoming.accept(Accept::new("u")).await else {
                return;
            };
            while let Some(event) = events.next().await {
                if matches!(event, ConnectionEvent::PeerFinished) {
                    handle.drain(Duration::from_secs(1));
                }
            }
            handle.ended().await;
        });
        while connections.try_join_next().is_some() {}
    }
}

#[test]
fn a_thousand_connections_of_each_kind_leave_nothing_behind() {
    alone(thousand_of_each);
}

async fn thousand_of_each() {
    let folder = tempfile::tempdir().unwrap();
    let options = ConnectOptions::default();
    for text in [
        "exec:cat".to_owned(),
        "tcp://127.0.0.1:0".to_owned(),
        format!("unix:{}", folder.path().join("s.sock").display()),
        "ws://127.0.0.1:0/".to_owned(),
        "ws://127.0.0.1:0/chsk".to_owned(),
    ] {
        let before = held();
        let at: Url = text.parse().unwrap();
        if matches!(at.address, Address::Exec(_)) {
            churn(&at, &options).await;
        } else {
            let listener = Listener::bind(&at, ListenOptions::default()).await.unwrap();
            let at = listener.url().clone();
            let server = tokio::spawn(serve(listener));
            churn(&at, &options).await;
            server.abort();
        }
        back_to(before, &text).await;
    }
}

#[test]
fn attempts_that_time_out_leave_nothing_behind() {
    alone(attempts);
}

async fn attempts() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut options = ConnectOptions::default();
    options.connect_timeout = Some(Duration::from_millis(20));
    options.role = Some(sente_core::Role::Client);
    let before = held();
    for text in [
        format!("tcp://{address}"),
        format!("ws://{address}/"),
        "exec:sleep 600".to_owned(),
    ] {
        for _ in 0..20 {
            connect(&text.parse().unwrap(), &options).await.unwrap_err();
        }
        while let Ok(Ok(_)) = tokio::time::timeout(Duration::ZERO, listener.accept()).await {}
    }
    back_to(before, "attempts").await;
}
