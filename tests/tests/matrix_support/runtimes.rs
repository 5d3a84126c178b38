//! The runtimes.

use std::future::Future;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;
use sente_adapters::{AsyncIo, Descriptor, Runtime, Timer, Tokio};
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RuntimeKind {
    AsyncStd,
    Blocking,
    Smol,
    Tokio,
    TokioOneThread,
}

impl RuntimeKind {
    pub(crate) const ALL: [Self; 5] = [
        Self::Tokio,
        Self::TokioOneThread,
        Self::Smol,
        Self::AsyncStd,
        Self::Blocking,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::AsyncStd => "async-std",
            Self::Blocking => "blocking",
            Self::Smol => "smol",
            Self::Tokio => "tokio",
            Self::TokioOneThread => "tokio-one-thread",
        }
    }

    pub(crate) fn named(name: &str) -> Self {
        let known = Self::ALL.into_iter().find(|kind| kind.name() == name);
        known.unwrap_or_else(|| panic!("there is no runtime {name}"))
    }
}

/// A runtime, and how to run a future on it.
pub(crate) struct Ground {
    pub(crate) kind: RuntimeKind,
    pub(crate) runtime: Arc<dyn Runtime>,
    tasks: Arc<AtomicUsize>,
    tokio: Option<tokio::runtime::Runtime>,
}

impl Ground {
    pub(crate) fn new(kind: RuntimeKind) -> Self {
        let tokio = match kind {
            RuntimeKind::Tokio => Some(tokio::runtime::Builder::new_multi_thread()),
            RuntimeKind::TokioOneThread => Some(tokio::runtime::Builder::new_current_thread()),
            _ => None,
        };
        let tokio = tokio.map(|mut builder| builder.enable_all().build().unwrap());
        let runtime: Arc<dyn Runtime> = match (kind, &tokio) {
            (_, Some(tokio)) => Arc::new(Tokio::new(tokio.handle().clone())),
            (RuntimeKind::AsyncStd, None) => Arc::new(AsyncIo::new(|task| {
                async_std::task::spawn(task);
            })),
            (RuntimeKind::Blocking, None) => Arc::new(AsyncIo::threads()),
            (_, None) => Arc::new(AsyncIo::smol()),
        };
        let tasks = Arc::new(AtomicUsize::new(0));
        Self {
            kind,
            runtime: Arc::new(Counting {
                inner: runtime,
                tasks: tasks.clone(),
            }),
            tasks,
            tokio,
        }
    }

    /// How many tasks were begun and have not ended.
    pub(crate) fn tasks(&self) -> usize {
        let counted = self.tasks.load(Ordering::Relaxed);
        // tokio counts, too, and lets go of a task a little later.
        let tokio = self.tokio.as_ref();
        let alive = tokio.map(|tokio| tokio.metrics().num_alive_tasks());
        alive.unwrap_or_default().max(counted)
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        match (&self.tokio, self.kind) {
            (Some(tokio), _) => tokio.block_on(future),
            (None, RuntimeKind::AsyncStd) => async_std::task::block_on(future),
            (None, _) => smol::block_on(future),
        }
    }
}

/// A runtime that counts its tasks.
#[derive(Debug)]
struct Counting {
    inner: Arc<dyn Runtime>,
    tasks: Arc<AtomicUsize>,
}

impl Runtime for Counting {
    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        let counted = Counted::new(&self.tasks);
        self.inner.spawn(Box::pin(async move {
            let _counted = counted;
            task.await;
        }));
    }

    fn timer(&self) -> Box<dyn Timer> {
        self.inner.timer()
    }

    fn watch(&self, fd: OwnedFd) -> std::io::Result<Box<dyn Descriptor>> {
        self.inner.watch(fd)
    }

    fn now(&self) -> Instant {
        self.inner.now()
    }
}

/// A task, until it is dropped.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(tasks: &Arc<AtomicUsize>) -> Self {
        tasks.fetch_add(1, Ordering::Relaxed);
        Self(tasks.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A runtime whose tasks can be dropped where they stand, as if their process had been killed.
#[derive(Clone, Debug)]
pub(crate) struct Mortal {
    inner: Arc<dyn Runtime>,
    killed: watch::Sender<bool>,
    resets: bool,
}

impl Mortal {
    pub(crate) fn new(inner: Arc<dyn Runtime>) -> Self {
        Self {
            inner,
            killed: watch::Sender::new(false),
            resets: false,
        }
    }

    /// One whose sockets do not end, but break.
    pub(crate) fn resetting(inner: Arc<dyn Runtime>) -> Self {
        Self {
            resets: true,
            ..Self::new(inner)
        }
    }

    pub(crate) fn kill(&self) {
        self.killed.send_replace(true);
    }
}

impl Runtime for Mortal {
    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        let mut killed = self.killed.subscribe();
        self.inner.spawn(Box::pin(async move {
            // Who is killed says nothing more, though others of its kind that were before it are
            // noticed.
            tokio::select! {
                biased;
                _ = killed.wait_for(|killed| *killed) => {}
                () = task => {}
            }
        }));
    }

    fn timer(&self) -> Box<dyn Timer> {
        self.inner.timer()
    }

    fn watch(&self, fd: OwnedFd) -> std::io::Result<Box<dyn Descriptor>> {
        if self.resets {
            // A TCP socket that is closed is reset. Others have nothing of the kind, and refuse.
            let _ = set_socket_linger(&fd, Some(Duration::ZERO));
        }
        self.inner.watch(fd)
    }

    fn now(&self) -> Instant {
        self.inner.now()
    }
}
