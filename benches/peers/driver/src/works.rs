//! What is measured, in the order of the page.

use crate::echo::Echo;
use crate::server::Processors;

/// One table of the page.
pub(crate) struct Work {
    /// What `--only` calls it.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// The server that the others are compared with.
    pub(crate) against: &'static str,
    pub(crate) kind: Kind,
}

impl Work {
    /// Who does it.
    #[cfg(test)]
    pub(crate) fn servers(&self) -> &'static [&'static str] {
        match &self.kind {
            Kind::Echo(echo) => echo.servers,
        }
    }
}

/// How it is done.
pub(crate) enum Kind {
    Echo(Echo),
}

/// Everything.
pub(crate) fn works() -> Vec<Work> {
    let mut works = Vec::new();
    for (name, title, bytes, connections, window) in [
        (
            "ping-pong-100B",
            "Ping-pong, 100 B, one connection",
            100,
            1,
            1,
        ),
        (
            "ping-pong-1KB",
            "Ping-pong, 1 KB, one connection",
            1024,
            1,
            1,
        ),
        (
            "ping-pong-64KB",
            "Ping-pong, 64 KB, one connection",
            65536,
            1,
            1,
        ),
        ("window-16", "16 calls of 100 B under way", 100, 1, 16),
        ("window-64", "64 calls of 100 B under way", 100, 1, 64),
        (
            "window-1024",
            "1,024 calls of 100 B under way",
            100,
            1,
            1024,
        ),
        ("window-64-1KB", "64 calls of 1 KB under way", 1024, 1, 64),
        ("window-4-64KB", "4 calls of 64 KB under way", 65536, 1, 4),
        (
            "connections-100",
            "100 connections, one call of 100 B each under way",
            100,
            100,
            1,
        ),
        (
            "connections-100-window-10",
            "100 connections, 10 calls of 100 B each under way",
            100,
            100,
            10,
        ),
    ] {
        works.push(Work {
            name,
            title,
            against: "socketioxide",
            kind: Kind::Echo(Echo {
                servers: SOCKETS,
                bytes,
                connections,
                window,
                processors: Processors::SAME,
            }),
        });
    }
    works.push(Work {
        name: "window-64-two-processors",
        title: "64 calls of 100 B under way, server and driver on a processor each",
        against: "socketioxide",
        kind: Kind::Echo(Echo {
            servers: TWO_PROCESSORS,
            bytes: 100,
            connections: 1,
            window: 64,
            processors: Processors::EACH,
        }),
    });
    works
}

const SOCKETS: &[&str] = &[
    "raw-epoll",
    "raw-tokio",
    "tungstenite-4k",
    "tungstenite",
    "tungstenite-forward",
    "fastws",
    "tungstenite-json",
    "socketioxide",
    "jsonrpsee",
    "tarpc",
    "node-ws",
    "node-socketio",
    "ours/ws/edn",
];

const TWO_PROCESSORS: &[&str] = &[
    "raw-epoll",
    "tungstenite-4k",
    "tungstenite-forward",
    "socketioxide",
    "tarpc",
    "ours/ws/edn",
];
