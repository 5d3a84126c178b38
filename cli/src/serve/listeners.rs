//! The parts of a server that do the work: its log file, its hub, its sockets.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use sente_adapters::{ListenOptions, Listener, Url};
use sente_core::framing::websocket::DeflateConfig;
use sente_core::{Dialect, Keepalive};
use sente_server::{Listening, Server};
use tokio::time::Instant;

use super::config::{Config, Listen};
use super::parts::{Part, Work};
use crate::exit::Failure;
use crate::logs::Logs;

/// Starts to listen.
pub(crate) async fn bind(url: &Url, options: ListenOptions) -> Result<Listener, Failure> {
    Listener::bind(url, options).await.map_err(Failure::other)
}

/// A URL this program has put together.
pub(crate) fn parse(url: &str) -> Result<Url, Failure> {
    url.parse()
        .map_err(|error| Failure::usage(format!("cannot use {url}: {error}")))
}

/// How a listener of this configuration listens.
pub(super) fn listen_options(config: &Config, listen: &Listen) -> ListenOptions {
    let mut options = ListenOptions::default();
    options.dialect = listen.dialect.map(Dialect::from);
    options.packer = listen.packer.clone().map(|packer| packer.0);
    let by_path = listen.packer_by_path.iter();
    options.packer_by_path = by_path
        .map(|(path, packer)| (path.clone(), packer.0.clone()))
        .collect();
    options.deflate = listen.deflate.then(DeflateConfig::default);
    options.limits = Some(config.limits.to_limits());
    options.flush_window = config.queue.flush_window.value().map(|window| window.0);
    let keepalive = &config.keepalive;
    options.keepalive = match (keepalive.interval.value(), keepalive.timeout.value()) {
        (Some(interval), Some(timeout)) => Some(Keepalive::new(interval.0, timeout.0)),
        _ => None,
    };
    options
}

/// The log file.
pub(super) struct LogFile {
    pub(super) logs: Logs,
    pub(super) path: Option<PathBuf>,
}

impl Part for LogFile {
    fn name(&self) -> String {
        "log".to_owned()
    }

    fn start(&mut self) -> Work<'_, Result<String, Failure>> {
        Box::pin(async {
            self.logs.set_file(self.path.as_deref())?;
            Ok(match &self.path {
                Some(path) => format!("log in {}", path.display()),
                None => "log on standard error".to_owned(),
            })
        })
    }

    fn stop(&mut self, _: Instant) -> Work<'_, ()> {
        // What is logged from here on is for whoever watches the end.
        Box::pin(async {
            let _ = self.logs.set_file(None);
        })
    }
}

/// The server that all connections belong to.
pub(super) struct Hub {
    pub(super) server: Server,
    pub(super) about: String,
}

impl Part for Hub {
    fn name(&self) -> String {
        "hub".to_owned()
    }

    fn start(&mut self) -> Work<'_, Result<String, Failure>> {
        Box::pin(async { Ok(self.about.clone()) })
    }

    fn stop(&mut self, deadline: Instant) -> Work<'_, ()> {
        let within = deadline.saturating_duration_since(Instant::now());
        Box::pin(async move { self.server.drain(within).await })
    }
}

/// A socket that is listened on.
pub(super) struct Socket {
    url: Url,
    options: ListenOptions,
    server: Server,
    urls: Urls,
    listening: Option<Listening>,
}

impl Socket {
    pub(super) fn new(url: Url, options: ListenOptions, server: &Server, urls: &Urls) -> Self {
        Self {
            url,
            options,
            server: server.clone(),
            urls: urls.clone(),
            listening: None,
        }
    }
}

impl Part for Socket {
    fn name(&self) -> String {
        self.url.to_string()
    }

    fn start(&mut self) -> Work<'_, Result<String, Failure>> {
        Box::pin(async {
            let listener = bind(&self.url, self.options.clone()).await?;
            let url = listener.url().to_string();
            self.urls.push(url.clone());
            self.listening = Some(self.server.serve(listener));
            Ok(url)
        })
    }

    fn stop(&mut self, _: Instant) -> Work<'_, ()> {
        Box::pin(async {
            if let Some(listening) = self.listening.take() {
                listening.stop().await;
            }
        })
    }
}

/// The URLs that are listened on, with their real ports, in the order of the configuration.
#[derive(Clone, Debug, Default)]
pub(super) struct Urls(Arc<Mutex<Vec<String>>>);

impl Urls {
    /// `listening URL`, a line for each.
    pub(super) fn announcement(&self) -> String {
        let urls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        urls.iter()
            .map(|url| format!("listening {url}\n"))
            .collect()
    }

    fn push(&self, url: String) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(url);
    }
}
