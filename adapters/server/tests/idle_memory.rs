//! What an idle connection holds of the heap, and what a burst leaves behind. Alone in its process,
//! since it counts all there is; without times, so that it says the same everywhere.
#![allow(missing_docs)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

use dhat::{HeapStats, Profiler};
use sente_adapters::{ListenOptions, Listener};
use sente_core::edn::Value;
use sente_core::{Accept, ChannelOptions, ConnectionEvent, Event, EventId, Target};
use sente_server::{Server, ServerConfig, ServerEvent};
use tokio::sync::mpsc as tokio_mpsc;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// So many come first, so that what is there once is not counted.
const FIRST: usize = 16;
const COUNT: usize = 416;

/// What a connection may hold that nobody waits on, in bytes: WebSocket, engine, driver and what
/// the runtime has of them.
const PLAIN: usize = 2_304;

/// The same within a server, with a user of its own, and subscribed to a channel.
const IN_A_CHANNEL: usize = 2_688;

/// How many events a burst has.
const BURST: usize = 10;

#[test]
fn an_idle_connection_is_small() {
    counted(async {
        let mut listener = listening().await;
        let mut clients = Clients::of(&listener);
        let mut held = Vec::with_capacity(COUNT);
        let mut sizes = Vec::new();
        for count in [FIRST, COUNT] {
            clients.say(Order::Come(count));
            while held.len() < count {
                let incoming = listener.accept().await.unwrap().unwrap();
                let (handle, mut events) = incoming.accept(Accept::new("ada")).await.unwrap();
                let first = events.next().await;
                assert!(matches!(first, Some(ConnectionEvent::Opened(_))));
                held.push((handle, events));
            }
            clients.are_done().await;
            sizes.push(heap());
        }
        let each = each(&sizes);
        assert!(each <= PLAIN, "{each} bytes");
    });
}

#[test]
fn an_idle_connection_in_a_channel_is_small_before_and_after_a_burst() {
    counted(async {
        let mut config = ServerConfig::default();
        config.keep_requests = false;
        let server = Server::builder().config(config).let_everybody_in();
        let server = server.build().unwrap();
        let channel = Value::from("everybody");
        let channels = server.channels();
        channels
            .create(&channel, ChannelOptions::default())
            .unwrap();
        let listener = listening().await;
        let mut clients = Clients::of(&listener);
        let _listening = server.serve(listener);
        let mut events = server.events();
        let mut sizes = Vec::new();
        let mut joined = 0;
        for count in [FIRST, COUNT] {
            clients.say(Order::Come(count));
            while joined < count {
                if let Some(ServerEvent::Joined { peer, .. }) = events.next().await {
                    assert!(channels.subscribe(peer.connection, &channel).unwrap());
                    joined += 1;
                }
            }
            clients.are_done().await;
            sizes.push(heap());
        }
        let idle = each(&sizes);
        assert!(idle <= IN_A_CHANNEL, "{idle} bytes");

        let news = Event::new(EventId::new("news/flash").unwrap(), "x".repeat(200));
        let target = Target::Channel(channel);
        for _ in 0..BURST {
            let fanout = server.fan_out(&target, &news).unwrap();
            assert_eq!(fanout.connections, COUNT);
        }
        clients.say(Order::Hear(BURST));
        clients.are_done().await;
        let after = heap().saturating_sub(sizes[0]) / (COUNT - FIRST);
        assert!(after * 10 <= idle * 11, "{after} bytes, {idle} before");
    });
}

/// Runs `test` on one thread, and counts what it takes of the heap.
fn counted(test: impl Future<Output = ()>) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let _profiler = Profiler::builder().testing().build();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(test);
}

fn heap() -> usize {
    HeapStats::get().curr_bytes
}

/// What each of those that came later has added.
fn each(sizes: &[usize]) -> usize {
    (sizes[1] - sizes[0]) / (COUNT - FIRST)
}

async fn listening() -> Listener {
    let url = "ws://127.0.0.1:0/".parse().unwrap();
    Listener::bind(&url, ListenOptions::default())
        .await
        .unwrap()
}

/// Clients on a thread, who hold nothing of the heap while nothing is asked of them.
struct Clients {
    orders: mpsc::Sender<Order>,
    done: tokio_mpsc::Receiver<()>,
}

enum Order {
    /// So many are to be there, and to have read their handshake.
    Come(usize),
    /// Each is to read so many events.
    Hear(usize),
}

impl Clients {
    fn of(listener: &Listener) -> Self {
        let url = listener.url().to_string();
        let address = url.trim_start_matches("ws://").trim_end_matches('/');
        let address: SocketAddr = address.parse().unwrap();
        let (orders, ordered) = mpsc::channel();
        let (say, done) = tokio_mpsc::channel(1);
        thread::spawn(move || {
            let mut clients = Vec::with_capacity(COUNT);
            for order in ordered {
                match order {
                    Order::Come(count) => {
                        while clients.len() < count {
                            clients.push(come(address, clients.len()));
                        }
                    }
                    Order::Hear(count) => {
                        for client in &mut clients {
                            read_until(client, "news/flash", count);
                        }
                    }
                }
                if say.blocking_send(()).is_err() {
                    return;
                }
            }
        });
        Self { orders, done }
    }

    fn say(&self, order: Order) {
        self.orders.send(order).unwrap();
    }

    async fn are_done(&mut self) {
        self.done.recv().await.unwrap();
    }
}

fn come(address: SocketAddr, number: usize) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET /chsk?client-id=client-{number} HTTP/1.1\r\nHost: {address}\r\n\
         Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .unwrap();
    read_until(&mut stream, "chsk/handshake", 1);
    stream
}

/// Reads until `word` has come so often.
fn read_until(stream: &mut TcpStream, word: &str, count: usize) {
    let mut heard = Vec::new();
    let mut chunk = [0; 4096];
    while String::from_utf8_lossy(&heard).matches(word).count() < count {
        let read = stream.read(&mut chunk).unwrap();
        assert!(read > 0, "turned away");
        heard.extend_from_slice(&chunk[..read]);
    }
}
