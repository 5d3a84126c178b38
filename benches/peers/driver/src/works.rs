//! What is measured, in the order of the page.

use crate::echo::Echo;
use crate::fanout::FanOut;
use crate::lineup::{
    CHILDREN, COALESCING, CROWDS, DEFLATE, DOORS, GROWING, HOOKS, LARGE_CROWDS, LARGEST_CROWDS,
    MODULES, OURS, QUEUES, SOCKET_TRANSPORTS, SOCKETS, THREADS, TRANSPORTS, TWO_PROCESSORS, TYPED,
    TYPED_THREADS,
};
use crate::server::Processors;
use crate::slow::Slow;
use crate::storm::Storm;

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
            Kind::FanOut(fan_out) => fan_out.servers,
            Kind::Slow(slow) => slow.servers,
            Kind::Storm(storm) => storm.servers,
        }
    }
}

/// How it is done.
pub(crate) enum Kind {
    Echo(Echo),
    FanOut(FanOut),
    Slow(Slow),
    Storm(Storm),
}

/// Every round that is asked for.
const ALL: usize = usize::MAX;

/// Of works that are many, and no goals but one.
const FEW: usize = 5;

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
                whole: false,
                rounds: ALL,
            }),
        });
    }
    for (name, title, connections) in [
        ("scale-1", "1 connection, one call of 100 B under way", 1),
        (
            "scale-10",
            "10 connections, one call of 100 B each under way",
            10,
        ),
        (
            "scale-100",
            "100 connections, one call of 100 B each under way, again",
            100,
        ),
        (
            "scale-1k",
            "1,000 connections, one call of 100 B each under way",
            1_000,
        ),
        (
            "scale-10k",
            "10,000 connections, one call of 100 B each under way",
            10_000,
        ),
    ] {
        works.push(Work {
            name,
            title,
            against: "socketioxide",
            kind: Kind::Echo(Echo {
                servers: GROWING,
                bytes: 100,
                connections,
                window: 1,
                processors: Processors::SAME,
                whole: connections > 1_000,
                rounds: ALL,
            }),
        });
    }
    for (name, title, against, servers, bytes, window) in [
        (
            "transports-ping-pong",
            "Transports and packers of ours, ping-pong, 100 B",
            OURS,
            TRANSPORTS,
            100,
            1,
        ),
        (
            "transports-ping-pong-1KB",
            "Transports and packers of ours, ping-pong, 1 KB",
            OURS,
            TRANSPORTS,
            1024,
            1,
        ),
        (
            "transports-ping-pong-64KB",
            "Transports and packers of ours, ping-pong, 64 KB",
            OURS,
            TRANSPORTS,
            65536,
            1,
        ),
        (
            "transports-window-16",
            "Transports and packers of ours, 16 calls of 100 B under way",
            OURS,
            TRANSPORTS,
            100,
            16,
        ),
        (
            "transports-window-64",
            "Transports and packers of ours, 64 calls of 100 B under way",
            OURS,
            TRANSPORTS,
            100,
            64,
        ),
        (
            "transports-window-1024",
            "Transports and packers of ours, 1,024 calls of 100 B under way",
            OURS,
            TRANSPORTS,
            100,
            1024,
        ),
        (
            "transports-window-64-1KB",
            "Transports and packers of ours, 64 calls of 1 KB under way",
            OURS,
            TRANSPORTS,
            1024,
            64,
        ),
        (
            "transports-window-4-64KB",
            "Transports and packers of ours, 4 calls of 64 KB under way",
            OURS,
            TRANSPORTS,
            65536,
            4,
        ),
        (
            "typed-window-64-1KB",
            "Handlers that read and write Rust types, 64 calls of 1 KB under way",
            "ours/ws/json/typed",
            TYPED,
            1024,
            64,
        ),
        (
            "coalescing-ping-pong",
            "With and without coalescing, ping-pong, 100 B",
            "ours/ws/edn/each-alone",
            COALESCING,
            100,
            1,
        ),
        (
            "coalescing-window-64",
            "With and without coalescing, 64 calls of 100 B under way",
            "ours/ws/edn/each-alone",
            COALESCING,
            100,
            64,
        ),
        (
            "coalescing-window-64-1KB",
            "With and without coalescing, 64 calls of 1 KB under way",
            "ours/ws/edn/each-alone",
            COALESCING,
            1024,
            64,
        ),
        (
            "coalescing-window-4-64KB",
            "With and without coalescing, 4 calls of 64 KB under way",
            "ours/ws/edn/each-alone",
            COALESCING,
            65536,
            4,
        ),
        (
            "deflate-100B",
            "With and without permessage-deflate, 16 calls of 100 B under way",
            OURS,
            DEFLATE,
            100,
            16,
        ),
        (
            "deflate-1KB",
            "With and without permessage-deflate, 16 calls of 1 KB under way",
            OURS,
            DEFLATE,
            1024,
            16,
        ),
        (
            "deflate-64KB",
            "With and without permessage-deflate, 4 calls of 64 KB under way",
            OURS,
            DEFLATE,
            65536,
            4,
        ),
        (
            "hooks",
            "Handlers of every event beside the one that answers, 64 calls of 100 B under way",
            OURS,
            HOOKS,
            100,
            64,
        ),
        (
            "modules",
            "Modules beside the one that answers, 64 calls of 100 B under way",
            "ours/ws/edn/modules-0",
            MODULES,
            100,
            64,
        ),
        (
            "child-ping-pong",
            "A child on pipes, ping-pong, 100 B",
            "stdio-async-lsp",
            CHILDREN,
            100,
            1,
        ),
        (
            "child-window-64",
            "A child on pipes, 64 calls of 100 B under way",
            "stdio-async-lsp",
            CHILDREN,
            100,
            64,
        ),
    ] {
        works.push(Work {
            name,
            title,
            against,
            kind: Kind::Echo(Echo {
                servers,
                bytes,
                connections: 1,
                window,
                processors: Processors::SAME,
                whole: false,
                rounds: if name.starts_with("transports-") {
                    FEW
                } else {
                    ALL
                },
            }),
        });
    }
    for (name, title, bytes, window) in [
        (
            "transports-connections-100",
            "Transports and packers of ours, 100 connections, 10 calls of 100 B each under way",
            100,
            10,
        ),
        (
            "transports-connections-100-1KB",
            "Transports and packers of ours, 100 connections, 10 calls of 1 KB each under way",
            1024,
            10,
        ),
        (
            "transports-connections-100-64KB",
            "Transports and packers of ours, 100 connections, one call of 64 KB each under way",
            65536,
            1,
        ),
    ] {
        works.push(Work {
            name,
            title,
            against: OURS,
            kind: Kind::Echo(Echo {
                servers: SOCKET_TRANSPORTS,
                bytes,
                connections: 100,
                window,
                processors: Processors::SAME,
                whole: false,
                rounds: FEW,
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
            whole: false,
            rounds: ALL,
        }),
    });
    for (name, title, servers, bytes, connections, window) in [
        (
            "threads",
            "One and two threads on two processors, 100 connections, 10 calls of 100 B each under way",
            THREADS,
            100,
            100,
            10,
        ),
        (
            "threads-typed-1KB",
            "One and two threads on two processors, 16 connections, 16 calls of 1 KB each under way, as Rust types",
            TYPED_THREADS,
            1024,
            16,
            16,
        ),
    ] {
        works.push(Work {
            name,
            title,
            against: servers[0],
            kind: Kind::Echo(Echo {
                servers,
                bytes,
                connections,
                window,
                processors: Processors::BOTH,
                whole: false,
                rounds: ALL,
            }),
        });
    }
    for (name, title, servers, connections, burst, deaf) in [
        (
            "fan-out-1k",
            "An event of 200 B told to 1,000",
            CROWDS,
            1_000,
            1,
            0,
        ),
        (
            "fan-out-1k-10-slow",
            "An event of 200 B told to 1,000, beside 10 who do not read",
            QUEUES,
            1_000,
            1,
            10,
        ),
        (
            "fan-out-1k-100-slow",
            "An event of 200 B told to 1,000, beside 100 who do not read",
            QUEUES,
            1_000,
            1,
            100,
        ),
        (
            "fan-out-5k",
            "An event of 200 B told to 5,000",
            LARGE_CROWDS,
            5_000,
            1,
            0,
        ),
        (
            "fan-out-10k",
            "An event of 200 B told to 10,000",
            LARGE_CROWDS,
            10_000,
            1,
            0,
        ),
        (
            "fan-out-19k",
            "An event of 200 B told to 19,000",
            LARGEST_CROWDS,
            19_000,
            1,
            0,
        ),
        (
            "burst-1k",
            "10 events of 200 B at once, told to 1,000",
            LARGE_CROWDS,
            1_000,
            10,
            0,
        ),
    ] {
        works.push(Work {
            name,
            title,
            against: "socketioxide",
            kind: Kind::FanOut(FanOut {
                servers,
                connections,
                burst,
                deaf,
            }),
        });
    }
    works.push(Work {
        name: "slow-reader",
        title: "Events of 4 KB told to 100, while another one stops reading",
        against: "socketioxide",
        kind: Kind::Slow(Slow {
            servers: QUEUES,
            bystanders: 100,
        }),
    });
    for (name, title, connections, at_once, again) in [
        (
            "connect",
            "2,000 connections, one after the other",
            2_000,
            1,
            false,
        ),
        (
            "storm",
            "5,000 connections again, 100 at a time, after all were lost",
            5_000,
            100,
            true,
        ),
    ] {
        works.push(Work {
            name,
            title,
            against: "socketioxide",
            kind: Kind::Storm(Storm {
                servers: DOORS,
                connections,
                at_once,
                again,
            }),
        });
    }
    works
}
