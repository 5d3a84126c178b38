//! How much memory idle connections take, and how long a broadcast to all of them.
//!
//! ```console
//! $ cargo run -p sente-server --example crowd -- 100
//! 100 connections, ... KiB each
//! a broadcast is in all inboxes after ...
//! ```
//!
//! The figures count with `--release` and many more of them: `-- 10000`.
//!
//! The server runs in this process, the clients in a child, so that what the system counts for this
//! one is the server's alone. Each client is a WebSocket of a user of its own, which has read its
//! handshake and is silent. Open files are limited: `ulimit -n 20000` first.

use std::env::{args, current_exe};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use sente_adapters::{ListenOptions, Listener};
use sente_core::admission::{Admission, CsrfCheck};
use sente_core::edn::Value;
use sente_core::{Event, EventId, Target};
use sente_server::{Server, ServerConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = args().skip(1);
    let count: usize = args.next().map_or(Ok(1_000), |count| count.parse())?;
    match args.next() {
        Some(address) => come(count, address.parse()?),
        None => serve(count),
    }
}

#[tokio::main]
async fn serve(count: usize) -> Result<(), Box<dyn std::error::Error>> {
    let mut config = ServerConfig::default();
    config.keep_requests = false;
    let admission = Admission::new(CsrfCheck::skip())
        .user_id(|request| request.client_id().map(|id| Value::from(&*id)));
    let server = Server::builder()
        .config(config)
        .admission(admission)
        .build()?;
    let listener = Listener::bind(&"ws://127.0.0.1:0/".parse()?, ListenOptions::default()).await?;
    let url = listener.url().to_string();
    let address = url.trim_start_matches("ws://").trim_end_matches('/');
    server.serve(listener);
    let before = memory()?;
    let mut clients = Command::new(current_exe()?)
        .args([count.to_string().as_str(), address])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let said = clients.stdout.take().ok_or("no output")?;
    let line = tokio::task::spawn_blocking(move || BufReader::new(said).lines().next());
    line.await?.ok_or("the clients are gone")??;
    let connections = server.connections().len();
    let idle = memory()?;
    let each = |kib: u64| kib as f64 / connections as f64;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{connections} connections, {:.2} KiB each",
        each(idle - before)
    )?;
    let news = Event::new(EventId::new("news/flash")?, "read all about it");
    let began = std::time::Instant::now();
    server.fan_out(&Target::All, &news)?;
    writeln!(
        out,
        "a broadcast is in all inboxes after {:?}",
        began.elapsed()
    )?;
    drop(clients.stdin.take());
    clients.wait()?;
    Ok(())
}

/// The anonymous memory of this process, in KiB.
fn memory() -> Result<u64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("RssAnon"));
    let figure = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(figure.ok_or("the system does not say")?.parse()?)
}

/// Opens so many connections, says so, and holds them until its input ends.
fn come(count: usize, address: SocketAddr) -> Result<(), Box<dyn std::error::Error>> {
    let mut open = Vec::new();
    for number in 0..count {
        let mut stream = TcpStream::connect(address)?;
        write!(
            stream,
            "GET /chsk?client-id=client-{number} HTTP/1.1\r\nHost: {address}\r\n\
             Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )?;
        let mut answer = Vec::new();
        let mut chunk = [0; 1024];
        while !String::from_utf8_lossy(&answer).contains("chsk/handshake") {
            let read = stream.read(&mut chunk)?;
            if read == 0 {
                return Err("turned away".into());
            }
            answer.extend_from_slice(chunk.get(..read).unwrap_or_default());
        }
        open.push(stream);
    }
    writeln!(io::stdout(), "here")?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
