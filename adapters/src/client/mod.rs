//! A connection that comes back, on a task of its own.

mod attempts;
mod dialling;
mod endpoint;
#[cfg(feature = "http-client")]
mod fallback;
mod handle;
#[cfg(not(feature = "http-client"))]
mod no_fallback;
#[cfg(feature = "http-client")]
mod polling;
mod search;
mod targets;

use std::convert::Infallible;
use std::future::{Future, pending};
use std::io;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use sente_core::packer::{Edn, Packer};
use sente_core::{
    Attempt, Backoff, Carrier, Client, ClientConfig, ConfigError, Connect, ConnectFailure,
    ConnectionConfig, Dialect, Endpoints, OnOffline, Role, State, Transmit, TransmitBuf,
};
use tokio::sync::watch;

use crate::budget::SharedRecvBudget;
use crate::clock::Clock;
use crate::connect::ConnectOptions;
use crate::driver::{Driven, News, Wants, drive};
use crate::engine::ClientFacts;
use crate::link::Transport;
use crate::record::Recordings;
use crate::runtime::{Either, Runtime, chosen, either, ready_or};
use crate::seed::random;
use crate::shared::Shared;
use crate::signal::Signal;
use crate::url::Url;
use endpoint::{Aim, as_client};
use search::{Found, Search};
use targets::{Asked, Listed, Targets};

pub use endpoint::Endpoint;
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
    /// Whether what was still queued on a link when it was lost is kept for the next one, where
    /// `on_offline` keeps events, see
    /// [`keep_undelivered`](sente_core::ClientConfigBuilder::keep_undelivered). Default no: it comes
    /// back as undelivered.
    pub keep_undelivered: bool,
    /// Whether to reconnect. Default yes.
    pub auto_reconnect: bool,
    /// The label of this client for servers that speak Sente over WebSocket, unless the options of
    /// an attempt name one. Default a random UUID, the same for all attempts.
    pub client_id: Option<String>,
    /// How many attempts in a row are made at one endpoint of a list until the next has its turn.
    /// Default 1. For [`keep_connected_to`] only.
    pub attempts_each: NonZeroU32,
    /// How long after a link opened, and again and again after that, the endpoints before its own
    /// in a list are tried. `None` for never. Default 60 s. For [`keep_connected_to`] only.
    pub return_every: Option<Duration>,
    /// When to poll instead, where a WebSocket does not get through. Default: never. Not looked at
    /// by [`keep_connected_to`], whose list may have an [`Endpoint::long_polling`].
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
            keep_undelivered: false,
            auto_reconnect: true,
            client_id: None,
            attempts_each: NonZeroU32::MIN,
            return_every: Some(Duration::from_secs(60)),
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
    start(options, None, Arc::new(Edn), Asked(target))
}

/// Connects to the first of `endpoints` that answers, and whenever the link is lost again, on a task
/// of its own.
///
/// The order is that of preference. Which endpoint has its turn follows from what failed alone, as
/// [`Endpoints`] says; while one is in use that is not the first, those before it are tried from time
/// to time ([`ClientOptions::return_every`]), and the client changes to the first that opens, in a
/// moment in which nothing is queued and no call is pending: the present link is drained first. An
/// endpoint that polls is not tried so, only in its turn.
///
/// What is sent while no link is open is kept where [`ClientOptions::on_offline`] says so, and with
/// [`ClientOptions::keep_undelivered`] what a lost link still had queued, too; it leaves on whatever
/// link opens next, once and in order. For that all endpoints have to speak the packer of the first;
/// what another cannot carry comes back as undelivered. A call is made on a link that is open, and
/// settles with it; [`call_when_open`](crate::Handle::call_when_open) waits for one.
///
/// [`ClientEvent::EndpointChanged`](sente_core::ClientEvent) tells of each change with its reason,
/// [`endpoint`](crate::Handle::endpoint) and [`endpoints`](crate::Handle::endpoints) say where the
/// client is and what failed at each, and a client that gives up names the failures of all in its
/// last state.
///
/// ```no_run
/// use sente_adapters::{ClientOptions, ConnectOptions, Endpoint, Url, keep_connected_to};
/// use sente_core::{ClientEvent, OnOffline};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mut options = ClientOptions::default();
/// options.on_offline = OnOffline::buffer();
/// options.keep_undelivered = true;
/// let endpoints = [
///     Endpoint::from("ws://example.org/chsk".parse::<Url>()?),
///     Endpoint::new("tcp://example.org:4000".parse()?, ConnectOptions::default()),
///     Endpoint::from("unix:/run/sente.sock".parse::<Url>()?),
/// ];
/// let (client, mut events) = keep_connected_to(options, endpoints)?;
/// while let Some(event) = events.next().await {
///     if let ClientEvent::EndpointChanged(change) = event {
///         println!("on to {}, since {:?}", change.new_name, change.reason);
///     }
/// }
/// # drop(client);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As for [`keep_connected`], and that there are no endpoints.
pub fn keep_connected_to(
    options: ClientOptions,
    endpoints: impl IntoIterator<Item = Endpoint>,
) -> io::Result<(ClientHandle, ClientEvents)> {
    let endpoints: Arc<[Endpoint]> = endpoints.into_iter().collect();
    let Some(first) = endpoints.first() else {
        let none = "no endpoint to connect to";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, none));
    };
    let packer = first.packer().unwrap_or_else(|| Arc::new(Edn));
    let mut names = Endpoints::new(endpoints.iter().map(Endpoint::name));
    names.attempts = options.attempts_each;
    let targets = Listed {
        return_every: options.return_every,
        endpoints,
    };
    start(options, Some(names), packer, targets)
}

/// Starts a client whose attempts go to `targets`; what is kept offline is packed by `packer`.
fn start(
    mut options: ClientOptions,
    endpoints: Option<Endpoints>,
    packer: Arc<dyn Packer>,
    targets: impl Targets + 'static,
) -> io::Result<(ClientHandle, ClientEvents)> {
    let runtime = chosen(options.runtime.as_ref())?;
    let record = options.record.take();
    let ways = match endpoints {
        Some(_) => Ways::none(),
        None => Ways::new(&options),
    };
    let config = config(options, endpoints, packer).map_err(io::Error::other)?;
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
    let driver = Arc::new(Signal::default());
    let shared = Shared::new(client, clock, driver, None, facts);
    let held = shared.hold();
    // Before the task begins: it may never do so.
    let over = Over(shared);
    runtime.spawn(Box::pin(async move {
        run(&over.0, targets, ways).await;
    }));
    Ok(held)
}

/// What events sent offline are packed with. Each attempt makes its own for its link.
fn config(
    options: ClientOptions,
    endpoints: Option<Endpoints>,
    packer: Arc<dyn Packer>,
) -> Result<Arc<ClientConfig>, ConfigError> {
    let link = ConnectionConfig::builder(Role::Client, Dialect::SenteLite, Carrier::WebSocket);
    let mut builder = ClientConfig::builder(link.packer(packer).build()?)
        .backoff(options.backoff)
        .on_offline(options.on_offline)
        .keep_undelivered(options.keep_undelivered)
        .auto_reconnect(options.auto_reconnect);
    if let Some(endpoints) = endpoints {
        builder = builder.endpoints(endpoints);
    }
    if let Some(id) = options.client_id {
        builder = builder.client_id(id);
    }
    builder.build()
}

/// Dials and drives one link after another.
async fn run(shared: &Arc<Shared<Client>>, mut targets: impl Targets, mut ways: Ways) {
    let runtime = shared.clock.runtime();
    // What got through while another link stood.
    let mut found: Option<Found> = None;
    while let Some(connect) = shared.next_attempt().await {
        let (attempt, endpoint) = (connect.attempt, connect.endpoint);
        let client_id = connect.client_id.clone();
        let search = targets.search(endpoint, &client_id);
        let ready = found.take().filter(|found| found.endpoint == endpoint);
        let opening = async {
            match ready {
                Some(found) => Ok(Way::Transport(Box::new(found.dialled))),
                None => {
                    let aim = targets.aim(connect).await?;
                    open(runtime, aim, &client_id, &mut ways, &search).await
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
            let child = if search.is_worth_it() {
                let seeking = async {
                    found = Some(search.run(shared).await);
                    pending::<Infallible>().await
                };
                match either(drive(&link, Box::new(transport), Clock::timer), seeking).await {
                    Either::First(child) => child,
                    Either::Second(never) => match never {},
                }
            } else {
                drive(&link, Box::new(transport), Clock::timer).await
            };
            if let Some(child) = child {
                // Few peers are children, and no other is to keep room for this.
                Box::pin(child.finish(pending())).await;
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
#[cfg_attr(
    not(feature = "http-client"),
    expect(unused_variables, reason = "only what polls takes the search along")
)]
async fn open(
    runtime: &Arc<dyn Runtime>,
    aim: Aim,
    client_id: &str,
    ways: &mut Ways,
    search: &Search,
) -> Result<Way, ConnectFailure> {
    let aim = match aim {
        Aim::Dial(url, mut options) => {
            as_client(&url, &mut options, client_id)?;
            if let Some(polls) = ways.polls(runtime, &url, &options, client_id)? {
                return Ok(Way::Polls(Box::new(polls)));
            }
            Aim::Dial(url, options)
        }
        #[cfg(feature = "http-client")]
        Aim::Poll(url, mut options, polling) => {
            as_client(&url, &mut options, client_id)?;
            let polls = polling.polls(runtime, &url, &options, search.clone())?;
            return Ok(Way::Polls(Box::new(polls)));
        }
        other @ Aim::TakeUp(..) => other,
    };
    let dialled = aim.open(runtime, client_id).await;
    if dialled.is_err() {
        ways.web_socket(false);
    }
    dialled.map(|dialled| Way::Transport(Box::new(dialled)))
}

/// The link of one attempt, as the loop drives it.
struct Link {
    shared: Arc<Shared<Client>>,
    attempt: Attempt,
}

impl Driven for Link {
    fn turn(&self, news: News<'_>, out: &mut TransmitBuf) -> Wants {
        let attempt = self.attempt;
        let tell = |client: &mut Client, now| match news {
            News::None => {}
            News::Input(input) => client.handle_input(now, attempt, input),
            News::Timeout => client.handle_timeout(now),
            News::Transmitted => client.handle_transmitted(now, attempt),
        };
        self.shared.step(tell, |client, _, now, again| {
            let transmit = if out.is_empty() {
                client.poll_transmit(out)
            } else {
                None
            };
            let timeout = [client.poll_timeout(), again.at];
            Wants {
                now,
                shutdown: transmit == Some(Transmit::Shutdown),
                read: client.wants_read(),
                timeout: timeout.into_iter().flatten().min(),
                finished: !client.is_wanted(self.attempt),
                closed: is_closed(client),
                has_event: client.has_event(),
                again: again.at_once,
                shown: again.shown,
            }
        })
    }

    fn is_closed(&self) -> bool {
        self.shared.with(|client, _| is_closed(client))
    }

    fn changed(&self) -> &Signal {
        &self.shared.driver
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
