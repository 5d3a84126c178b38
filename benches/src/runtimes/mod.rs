//! An echoed call between two ends in one process: by two bare engines that hand each other bytes,
//! and through the adapters on each runtime, over a link in memory and over sockets.
//!
//! Both ends do the same everywhere: one calls with an event of 100 bytes, its data packed before;
//! the other takes the event and replies with its data. What is counted is the work of both. With
//! several calls under way, all are made before the first answer is taken.

mod adapters;
mod bare;

/// Echoes so many calls.
pub type Echo = Box<dyn FnMut(u64)>;

/// A way for calls to go.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the benchmarks' own")]
pub struct Way {
    /// What carries the bytes.
    pub link: Link,
    /// What runs the ends.
    pub runtime: Runtime,
}

/// What carries the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the benchmarks' own")]
pub enum Link {
    /// A buffer, or the adapters' `Duplex`.
    Memory,
    /// A TCP connection to this host.
    Tcp,
    /// A Unix socket.
    Unix,
    /// A TCP connection as tokio has it, behind the adapters' `TokioLink`.
    TokioTcp,
}

/// What runs the ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the benchmarks' own")]
pub enum Runtime {
    /// Nothing: engines in a loop, and blocking sockets.
    Bare,
    /// tokio's, of one thread.
    Tokio,
    /// The same with the server's handler run by its driver, without a task.
    Handlers,
    /// tokio's with drivers that know the types of their link and timer.
    Unerased,
    /// smol's global executor, of one thread.
    Smol,
    /// async-std's, of as many threads as `ASYNC_STD_THREAD_COUNT` says.
    AsyncStd,
    /// A thread for each end, and one for each connection.
    Threads,
}

/// How many calls are under way at once.
pub const WINDOWS: &[u64] = &[1, 64];

impl Way {
    /// All of them, those of each link together.
    pub fn all() -> impl Iterator<Item = Self> {
        let runtimes = [
            Runtime::Bare,
            Runtime::Tokio,
            Runtime::Smol,
            Runtime::AsyncStd,
            Runtime::Threads,
        ];
        let links = [Link::Memory, Link::Tcp, Link::Unix];
        let every = links
            .into_iter()
            .flat_map(move |link| runtimes.map(|runtime| Self { link, runtime }));
        let way = |link, runtime| Self { link, runtime };
        every.chain([
            way(Link::Memory, Runtime::Handlers),
            way(Link::Tcp, Runtime::Handlers),
            way(Link::Memory, Runtime::Unerased),
            way(Link::TokioTcp, Runtime::Tokio),
            way(Link::TokioTcp, Runtime::Unerased),
        ])
    }

    /// What it is called: `tcp/tokio`.
    #[must_use]
    pub fn name(self) -> String {
        let link = match self.link {
            Link::Memory => "memory",
            Link::Tcp => "tcp",
            Link::Unix => "unix",
            Link::TokioTcp => "tokio-tcp",
        };
        let runtime = match self.runtime {
            Runtime::Bare => "bare",
            Runtime::Tokio => "tokio",
            Runtime::Handlers => "tokio-handlers",
            Runtime::Unerased => "tokio-unerased",
            Runtime::Smol => "smol",
            Runtime::AsyncStd => "async-std",
            Runtime::Threads => "threads",
        };
        format!("{link}/{runtime}")
    }

    /// Connects the two ends; echoing, `window` calls are under way at once.
    #[must_use]
    pub fn open(self, window: u64) -> Echo {
        match self.runtime {
            Runtime::Bare => bare::open(self.link, window),
            _ => adapters::open(self, window),
        }
    }
}
