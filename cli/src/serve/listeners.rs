//! The parts of a server that do the work: its log file, its hub, its sockets.

use std::future::ready;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

#[cfg(feature = "tls")]
use sente_adapters::tls::ServerTls;
use sente_adapters::{Address, ListenOptions, Listener, Recordings, Url, WsUrl};
use sente_core::framing::websocket::DeflateConfig;
use sente_core::{Dialect, Keepalive};
#[cfg(feature = "tls")]
use sente_server::http::serve_with;
use sente_server::http::{ServeOptions, serve};
use sente_server::{Listening, Server};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
#[cfg(feature = "tls")]
use tokio_rustls::TlsAcceptor;

use super::config::{Config, Listen};
use super::parts::{Part, Work};
use super::site::Site;
use crate::exit::Failure;
use crate::logs::Logs;
use crate::output::say;

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
///
/// # Errors
/// Where its certificate cannot be used.
pub(super) fn listen_options(config: &Config, listen: &Listen) -> Result<ListenOptions, Failure> {
    let mut options = ListenOptions::default();
    options.dialect = listen.dialect.map(Dialect::from);
    options.packer = listen.packer.clone().map(|packer| packer.0);
    options.limits = Some(config.limits.to_limits());
    options.flush_window = config.queue.flush_window.value().map(|window| window.0);
    options.keepalive = keepalive(config);
    options.small_frames = listen.small_frames.value().map(|size| size.0);
    options.deflate = listen.deflate.then(DeflateConfig::default);
    let by_path = listen.packer_by_path.iter();
    options.packer_by_path = by_path
        .map(|(path, packer)| (path.clone(), packer.0.clone()))
        .collect();
    #[cfg(feature = "tls")]
    if let Some(files) = &listen.tls {
        let client_ca = files.client_ca.as_deref();
        let tls = crate::tls::of_server(&files.cert, &files.key, client_ca)?;
        options.tls = Some(tls);
    }
    Ok(options)
}

/// When to ping and give up; `None` for the default of each dialect.
pub(super) fn keepalive(config: &Config) -> Option<Keepalive> {
    let keepalive = &config.keepalive;
    let (interval, timeout) = (keepalive.interval.value()?, keepalive.timeout.value()?);
    Some(Keepalive::new(interval.0, timeout.0))
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

/// The files that connections are recorded in.
pub(super) struct Recorder {
    directory: PathBuf,
    pub(super) recordings: Recordings,
}

impl Recorder {
    /// The recorder that a configuration asks for, with its directory made.
    ///
    /// # Errors
    /// Where there can be no directory.
    pub(super) fn of(config: &Config) -> Result<Option<Self>, Failure> {
        let Some(directory) = config.record.dir.clone() else {
            return Ok(None);
        };
        let recordings = Recordings::in_directory(&directory).map_err(|error| {
            let directory = directory.display();
            Failure::usage(format!("cannot record in {directory}: {error}"))
        })?;
        Ok(Some(Self {
            directory,
            recordings: recordings.with_limits(config.record.to_limits()),
        }))
    }
}

impl Part for Recorder {
    fn name(&self) -> String {
        "recorder".to_owned()
    }

    fn start(&mut self) -> Work<'_, Result<String, Failure>> {
        Box::pin(async { Ok(format!("records in {}", self.directory.display())) })
    }

    fn stop(&mut self, _: Instant) -> Work<'_, ()> {
        say!(
            "recorded {} connections in {}; not recorded: {} connections, and {} lines of others",
            self.recordings.begun(),
            self.directory.display(),
            self.recordings.skipped(),
            self.recordings.lost(),
        );
        Box::pin(ready(()))
    }
}

/// The server that all connections belong to.
pub(super) struct Hub {
    pub(super) server: Server,
    pub(super) about: String,
    pub(super) answers: Answers,
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
        Box::pin(async move {
            self.server.drain(within).await;
            // What ends the sessions of Ajax is written by those who hold their polls.
            self.answers.written(deadline).await;
        })
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

/// A socket on which HTTP is spoken: WebSockets, Ajax, reports.
pub(super) struct Web {
    pub(super) address: WsUrl,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<ServerTls>,
    pub(super) shown: Url,
    pub(super) site: Site,
    pub(super) urls: Urls,
    pub(super) answers: Answers,
    pub(super) stop: Option<oneshot::Sender<()>>,
}

impl Part for Web {
    fn name(&self) -> String {
        self.shown.to_string()
    }

    fn start(&mut self) -> Work<'_, Result<String, Failure>> {
        Box::pin(async {
            let failed =
                |error| Failure::other(format!("cannot listen on {}: {error}", self.shown));
            let (host, port) = (self.address.host.as_str(), self.address.port);
            let listener = TcpListener::bind((host, port)).await.map_err(failed)?;
            let port = listener.local_addr().map_err(failed)?.port();
            let mut url = self.shown.clone();
            if let Address::Ws(address) = &mut url.address {
                address.port = port;
            }
            let url = url.to_string();
            self.urls.push(url.clone());
            let (stop, stopped) = oneshot::channel::<()>();
            self.stop = Some(stop);
            let mut options = ServeOptions::default();
            // The hub decides how long they may take.
            options.shutdown_timeout = LONGEST;
            let site = self.site.clone();
            let stop = async { drop(stopped.await) };
            #[cfg(feature = "tls")]
            if let Some(tls) = &self.tls {
                let acceptor = TlsAcceptor::from(tls.config().clone());
                let agree = move |stream| acceptor.accept(stream);
                let serving = serve_with(listener, agree, site, options, stop);
                self.answers.hold(tokio::spawn(serving));
                return Ok(format!("{url} with {}", self.site.paths()));
            }
            let serving = serve(listener, site, options, stop);
            self.answers.hold(tokio::spawn(serving));
            Ok(format!("{url} with {}", self.site.paths()))
        })
    }

    fn stop(&mut self, _: Instant) -> Work<'_, ()> {
        // Requests under way are answered while the hub drains.
        self.stop.take();
        Box::pin(ready(()))
    }
}

/// Those who write answers.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers(Arc<Mutex<Vec<JoinHandle<()>>>>);

impl Answers {
    fn hold(&self, task: JoinHandle<()>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(task);
    }

    /// Waits until all are written, until the deadline at most.
    async fn written(&self, deadline: Instant) {
        let tasks = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for mut task in tasks {
            if timeout_at(deadline, &mut task).await.is_err() {
                task.abort();
            }
        }
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

/// Longer than any server takes to end.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);
