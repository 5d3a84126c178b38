//! The runtimes.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

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
        Self {
            kind,
            runtime,
            tokio,
        }
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        match (&self.tokio, self.kind) {
            (Some(tokio), _) => tokio.block_on(future),
            (None, RuntimeKind::AsyncStd) => async_std::task::block_on(future),
            (None, _) => smol::block_on(future),
        }
    }
}

/// A runtime whose tasks can be dropped where they stand, as if their process had been killed.
#[derive(Clone, Debug)]
pub(crate) struct Mortal {
    inner: Arc<dyn Runtime>,
    killed: watch::Sender<bool>,
}

impl Mortal {
    pub(crate) fn new(inner: Arc<dyn Runtime>) -> Self {
        Self {
            inner,
            killed: watch::Sender::new(false),
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
            tokio::select! {
                () = task => {}
                _ = killed.wait_for(|killed| *killed) => {}
            }
        }));
    }

    fn timer(&self) -> Box<dyn Timer> {
        self.inner.timer()
    }

    fn watch(&self, fd: std::os::fd::OwnedFd) -> std::io::Result<Box<dyn Descriptor>> {
        self.inner.watch(fd)
    }

    fn now(&self) -> Instant {
        self.inner.now()
    }
}
