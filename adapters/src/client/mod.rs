//! A connection that comes back, on a task of its own.

mod attempts;
#[cfg(feature = "http-client")]
mod fallback;
mod handle;
#[cfg(not(feature = "http-client"))]
mod no_fallback;
#[cfg(feature = "http-client")]
mod polling;

use std::future::Future;
use std::io;
use std::sync::Arc;

use sente_core::{
    Attempt, Backoff, Carrier, Client, ClientConfig, ConfigError, Connect, ConnectFailure,
    ConnectionConfig, Dialect, Input, OnOffline, Role, State, Transmit, TransmitBuf,
};
use tokio::sync::{Notify, watch};

use crate::budget::SharedRecvBudget;
use crate::clock::Clock;
use crate::connect::{ConnectError, ConnectOptions, dial};
use crate::driver::{Driven, Wants, drive};
use crate::engine::ClientFacts;
use crate::link::Transport;
use crate::record::Recordings;
use crate::runtime::{Runtime, chosen, ready_or, timeout};
use crate::seed::random;
use crate::shared::Shared;
use crate::url::{Address, Url};

#[cfg(feature = "http-client")]
pub use fallback::Fallback;
#[cfg(feature = "http-client")]
use fallback::Ways;
pub use handle::{ClientEvents, ClientHandle};
#[cfg(not(feature = "http-client"))]
use no_fallback::{Polls, Ways};
#[cfg(feature = "http-client")]
use polling::Polls;

/// How a client reconnects. The default suits most.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientOptions {
    /// How long to wait between attempts, and how many to make. Default [`Backoff::default`].
    pub backoff: Backoff,
    /// What happens to events sent while no link is open. Default [`OnOffline::Refuse`].
    pub on_offline: OnOffline,
    /// Whether to reconnect. Default yes.
    pub auto_reconnect: bool,
    /// The label of this client for servers that speak Sente over WebSocket, unless the options of
    /// an attempt name one. Default a random UUID, the same for all attempts.
    pub client_id: Option<String>,
    /// When to poll instead, where a WebSocket does not get through. Default: never.
    #[cfg(feature = "http-client")]
    pub fallback: Option<Fallback>,
    /// Where the links are recorded, one after the other, but for those over Ajax. Default: nowhere.
    pub record: Option<Recordings>,
    /// The runtime of the client and all its links. Default: that of the caller.
    pub runtime: Option<Arc<dyn Runtime>>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            backoff: Backoff::default(),
            on_offline: OnOffline::Refuse,
            auto_reconnect: true,
            client_id: None,
            #[cfg(feature = "http-client")]
            fallback: None,
            record: None,
            runtime: None,
        }
    }
}

/// Connects, and connects again whenever the link is lost, on a task of its own. The links are on the
/// client's runtime, whatever the options of an attempt say.
///
/// `target` is asked before every attempt where to connect to and with what: it may look up a host
/// or fetch a fresh token. An error of its own is a failed attempt, final or to be retried. An
/// attempt fails for good, too, when its options do not fit together, and with `exec:` URLs, whose
/// child is a client itself, unless the options give this side the role of the client.
///
/// ```no_run
/// use sente_adapters::{ClientOptions, ConnectOptions, keep_connected};
/// use sente_core::{ClientEvent, ConnectFailure};
///
/// # async fn fresh_token() -> Result<String, std::io::Error> { Ok(String::new()) }
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let (client, mut events) = keep_connected(ClientOptions::default(), |_attempt| async {
///     let mut options = ConnectOptions::default();
///     let token = fresh_token().await;
///     options.csrf_token = Some(token.map_err(|e| ConnectFailure::Retry(e.to_string()))?);
///     Ok(("ws://127.0.0.1:8080/chsk".parse().map_err(|e| ConnectFailure::Final(format!("{e}")))?, options))
/// })?;
/// while let Some(event) = events.next().await {
///     if let ClientEvent::Opened(_) | ClientEvent::Reopened(_) = event {
///         // The moment to subscribe.
///     }
/// }
/// # drop(client);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// That no runtime was named and the caller is on none; what the system says when it has no
/// randomness to give, which does not happen once it has started.
pub fn keep_connected<F, Fut>(
    options: ClientOptions,
    target: F,
) -> io::Result<(ClientHandle, ClientEvents)>
where
    F: FnMut(Connect) -> Fut + Send + 'static,
    Fut: Future<Output = Result<(Url, ConnectOptions), ConnectFailure>> + Send,
{
    let runtime = chosen(options.runtime.as_ref())?;
    let record = options.record.clone();
    let ways = Ways::new(&options);
    let config = config(options).map_err(io::Error::other)?;
    let clock = Clock::start(runtime.clone());
    let mut client = Client::new(config, random()?, clock.now());
    if let Some(recordings) = record {
        client.record_links(move |_| match recordings.begin(None) {
            Ok(recorder) => recorder,
            Err(error) => {
                tracing::error!("{error}");
                None
            }
        });
    }
    client.connect(clock.now());
    let facts = ClientFacts {
        states: watch::Sender::new(client.state().clone()),
    };
    let driver = Arc::new(Notify::new());
    let shared = Shared::new(client, clock, driver, None, facts);
    let held = shared.hold();
    runtime.spawn(Box::pin(async move {
        let over = Over(shared);
        run(&over.0, target, ways).await;
    }));
    Ok(held)
}

/// What events sent offline are packed with. Each attempt makes its own for its link.
fn config(options: ClientOptions) -> Result<Arc<ClientConfig>, ConfigError> {
    let link = ConnectionConfig::builder(Role::Client, Dialect::SenteLite, Carrier::WebSocket);
    let mut builder = ClientConfig::builder(link.build()?)
        .backoff(options.backoff)
        .on_offline(options.on_offline)
        .auto_reconnect(options.auto_reconnect);
    if let Some(id) = options.client_id {
        builder = builder.client_id(id);
    }
    builder.build()
}

/// Dials and drives one link after another.
async fn run<F, Fut>(shared: &Arc<Shared<Client>>, mut target: F, mut ways: Ways)
where
    F: FnMut(Connect) -> Fut,
    Fut: Future<Output = Result<(Url, ConnectOptions), ConnectFailure>>,
{
    // A WebSocket that got through while the client was polling.
    let mut found = None;
    while let Some(connect) = shared.next_attempt().await {
        let attempt = connect.attempt;
        let client_id = connect.client_id.clone();
        let opening = async {
            match found.take() {
                Some(dialled) => Ok(Way::Transport(Box::new(dialled))),
                None => {
                    open(
                        shared.clock.runtime(),
                        target(connect),
                        client_id,
                        &mut ways,
                    )
                    .await
                }
            }
        };
        let Some(way) = ready_or(opening, shared.given_up(attempt)).await else {
            continue;
        };
        let opened = || shared.with(|client, _| client.stats().opened);
        let before = opened();
        let (mut transport, config, budget) = match way {
            Ok(Way::Transport(dialled)) => *dialled,
            Ok(Way::Polls(polls)) => {
                found = polls.run(shared, attempt).await;
                ways.polled(opened() > before);
                continue;
            }
            Err(failure) => {
                shared.with(|client, now| client.handle_connect_failed(now, attempt, failure));
                continue;
            }
        };
        let deflate = transport.deflate.take();
        if shared.handle_connected(attempt, config, deflate, &budget) {
            let link = Link {
                shared: shared.clone(),
                attempt,
            };
            if let Some(child) = drive(&link, transport).await {
                child.finish(std::future::pending()).await;
            }
            ways.web_socket(opened() > before);
        }
    }
}

/// A transport that is open, and what is to run over it.
type Dialled = (Transport, Arc<ConnectionConfig>, SharedRecvBudget);

/// What an attempt came to.
enum Way {
    Polls(Box<Polls>),
    Transport(Box<Dialled>),
}

/// Opens the transport of one attempt, or finds out that it is to be polled.
async fn open(
    runtime: &Arc<dyn Runtime>,
    target: impl Future<Output = Result<(Url, ConnectOptions), ConnectFailure>>,
    client_id: String,
    ways: &mut Ways,
) -> Result<Way, ConnectFailure> {
    let (url, mut options) = target.await?;
    if options.role_at(&url) != Role::Client {
        return Err(ConnectFailure::Final(format!(
            "{url}: the child would be the client; a client that reconnects is one itself"
        )));
    }
    let dialect = options.dialect.unwrap_or_else(|| url.default_dialect());
    if matches!(url.address, Address::Ws(_)) && dialect == Dialect::Sente {
        options.client_id.get_or_insert(client_id);
    }
    if let Some(polls) = ways.polls(runtime, &url, &options)? {
        return Ok(Way::Polls(Box::new(polls)));
    }
    let dialled = dial_at(runtime, &url, &options).await;
    if dialled.is_err() {
        ways.web_socket(false);
    }
    dialled.map(|dialled| Way::Transport(Box::new(dialled)))
}

async fn dial_at(
    runtime: &Arc<dyn Runtime>,
    url: &Url,
    options: &ConnectOptions,
) -> Result<Dialled, ConnectFailure> {
    let patience = options.patience();
    let dialled = timeout(&**runtime, patience, dial(runtime, url, options));
    match dialled.await {
        Some(Ok((transport, config))) => Ok((transport, config, options.budget())),
        Some(Err(error @ ConnectError::Config(_))) => Err(ConnectFailure::Final(error.to_string())),
        Some(Err(error)) => Err(ConnectFailure::Retry(format!("{url}: {error}"))),
        None => {
            let late = ConnectError::Timeout(patience);
            Err(ConnectFailure::Retry(format!("{url}: {late}")))
        }
    }
}

/// The link of one attempt, as the loop drives it.
struct Link {
    shared: Arc<Shared<Client>>,
    attempt: Attempt,
}

impl Driven for Link {
    fn handle_input(&self, input: Input<'_>) {
        let attempt = self.attempt;
        self.shared
            .with(|client, now| client.handle_input(now, attempt, input));
    }

    fn handle_timeout(&self) {
        self.shared.with(Client::handle_timeout);
    }

    fn handle_transmitted(&self) {
        let attempt = self.attempt;
        self.shared
            .with(|client, now| client.handle_transmitted(now, attempt));
    }

    fn ask(&self, out: &mut TransmitBuf) -> Wants {
        self.shared.with(|client, _| {
            let transmit = if out.is_empty() {
                client.poll_transmit(out)
            } else {
                None
            };
            Wants {
                shutdown: transmit == Some(Transmit::Shutdown),
                read: client.wants_read(),
                timeout: client.poll_timeout(),
                finished: !client.is_wanted(self.attempt),
                closed: is_closed(client),
                has_event: client.has_event(),
            }
        })
    }

    fn is_closed(&self) -> bool {
        self.shared.with(|client, _| is_closed(client))
    }

    fn woken(&self) -> impl Future<Output = ()> + Send {
        self.shared.woken()
    }

    fn clock(&self) -> &Clock {
        &self.shared.clock
    }
}

fn is_closed(client: &Client) -> bool {
    client.link_state() == Some(State::Closed)
}

/// Says that the task is over, however it ends: also when the runtime drops it, or a panic does.
struct Over(Arc<Shared<Client>>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.finish();
    }
}
