//! The places a client may connect to, each of any kind.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use sente_core::packer::Packer;
use sente_core::{ConnectFailure, Role};

use super::Dialled;
#[cfg(feature = "http-client")]
use super::Fallback;
use super::dialling::{dial_at, take_up_at};
use crate::connect::ConnectOptions;
use crate::link::Link;
use crate::runtime::Runtime;
use crate::url::{Address, Url};

type Asked = Pin<Box<dyn Future<Output = Result<(Url, ConnectOptions), ConnectFailure>> + Send>>;
type Opened = Pin<Box<dyn Future<Output = io::Result<Box<dyn Link>>> + Send>>;

/// One of the places [`keep_connected_to`](super::keep_connected_to) may connect to. Clones are
/// cheap.
#[derive(Clone)]
pub struct Endpoint {
    name: String,
    how: How,
}

#[derive(Clone)]
enum How {
    Ask(Arc<dyn Fn() -> Asked + Send + Sync>),
    Link(Arc<At>, Arc<dyn Fn() -> Opened + Send + Sync>),
    #[cfg(feature = "http-client")]
    Poll(Arc<At>, Fallback),
    Url(Arc<At>),
}

struct At {
    url: Url,
    options: ConnectOptions,
}

/// What an attempt is to do.
pub(super) enum Aim {
    /// Dial this.
    Dial(Url, ConnectOptions),
    /// Run over a link that comes of this.
    TakeUp(Url, ConnectOptions, Opened),
    /// Poll there.
    #[cfg(feature = "http-client")]
    Poll(Url, ConnectOptions, Fallback),
}

impl Endpoint {
    /// What a URL of any kind names, with these options. It is called as the URL.
    #[must_use]
    pub fn new(url: Url, options: ConnectOptions) -> Self {
        Self {
            name: url.to_string(),
            how: How::Url(Arc::new(At { url, options })),
        }
    }

    /// A place that is asked for before every attempt: for a fresh token, or a host that is looked
    /// up. `name` is what it is called.
    pub fn asked<Fut>(
        name: impl Into<String>,
        target: impl Fn() -> Fut + Send + Sync + 'static,
    ) -> Self
    where
        Fut: Future<Output = Result<(Url, ConnectOptions), ConnectFailure>> + Send + 'static,
    {
        Self {
            name: name.into(),
            how: How::Ask(Arc::new(move || Box::pin(target()))),
        }
    }

    /// Links of one's own: `open` makes one for each attempt, and has the time of
    /// [`ConnectOptions::connect_timeout`] for it. What runs over it is as
    /// [`connect_over`](crate::connect_over) has it, `url` included.
    pub fn over<Fut, L>(
        url: Url,
        options: ConnectOptions,
        open: impl Fn() -> Fut + Send + Sync + 'static,
    ) -> Self
    where
        Fut: Future<Output = io::Result<L>> + Send + 'static,
        L: Link + 'static,
    {
        let open = move || -> Opened {
            let opening = open();
            Box::pin(async move {
                let link: Box<dyn Link> = Box::new(opening.await?);
                Ok(link)
            })
        };
        Self {
            name: url.to_string(),
            how: How::Link(Arc::new(At { url, options }), Arc::new(open)),
        }
    }

    /// Sente's Ajax long polling, at the server of the WebSocket that `url` names, in Sente's
    /// dialect. Of `polling` only `max_parallel_calls` and `request_timeout` are looked at. It is
    /// called `URL by long polling`.
    #[cfg(feature = "http-client")]
    #[must_use]
    pub fn long_polling(url: Url, options: ConnectOptions, polling: Fallback) -> Self {
        Self {
            name: format!("{url} by long polling"),
            how: How::Poll(Arc::new(At { url, options }), polling),
        }
    }

    /// What it is called in what is told of it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The packer spoken there, where that is known.
    pub(super) fn packer(&self) -> Option<Arc<dyn Packer>> {
        match &self.how {
            How::Ask(_) => None,
            #[cfg(feature = "http-client")]
            How::Poll(at, _) => Some(at.options.packer_at(&at.url)),
            How::Link(at, _) | How::Url(at) => Some(at.options.packer_at(&at.url)),
        }
    }

    /// What the next attempt there is to do.
    pub(super) async fn aim(&self) -> Result<Aim, ConnectFailure> {
        match &self.how {
            How::Url(at) => Ok(Aim::Dial(at.url.clone(), at.options.clone())),
            How::Link(at, open) => Ok(Aim::TakeUp(at.url.clone(), at.options.clone(), open())),
            #[cfg(feature = "http-client")]
            How::Poll(at, polling) => Ok(Aim::Poll(at.url.clone(), at.options.clone(), *polling)),
            How::Ask(target) => match target().await {
                Ok((url, options)) => Ok(Aim::Dial(url, options)),
                Err(ConnectFailure::Final(text)) => Err(ConnectFailure::Final(self.said(&text))),
                Err(ConnectFailure::Retry(text)) => Err(ConnectFailure::Retry(self.said(&text))),
            },
        }
    }

    /// Whether an open transport can be had there ahead of an attempt.
    pub(super) const fn can_be_probed(&self) -> bool {
        match &self.how {
            #[cfg(feature = "http-client")]
            How::Poll(..) => false,
            _ => true,
        }
    }

    /// Opens a transport there, if there is one to open.
    pub(super) async fn probe(
        &self,
        runtime: &Arc<dyn Runtime>,
        client_id: &str,
    ) -> Result<Dialled, ConnectFailure> {
        self.aim().await?.open(runtime, client_id).await
    }

    fn said(&self, text: &str) -> String {
        format!("{}: {text}", self.name)
    }
}

impl Aim {
    /// Opens the transport. What polls has none.
    pub(super) async fn open(
        self,
        runtime: &Arc<dyn Runtime>,
        client_id: &str,
    ) -> Result<Dialled, ConnectFailure> {
        match self {
            Self::Dial(url, mut options) => {
                as_client(&url, &mut options, client_id)?;
                dial_at(runtime, &url, &options).await
            }
            Self::TakeUp(url, mut options, link) => {
                as_client(&url, &mut options, client_id)?;
                take_up_at(runtime, &url, link, &options).await
            }
            #[cfg(feature = "http-client")]
            Self::Poll(url, ..) => Err(ConnectFailure::Retry(format!("{url}: it is polled"))),
        }
    }
}

/// Has this side be the client it is, with the label it has.
pub(super) fn as_client(
    url: &Url,
    options: &mut ConnectOptions,
    client_id: &str,
) -> Result<(), ConnectFailure> {
    if options.role_at(url) != Role::Client {
        return Err(ConnectFailure::Final(format!(
            "{url}: the child would be the client; a client that reconnects is one itself"
        )));
    }
    let dialect = options.dialect.unwrap_or_else(|| url.default_dialect());
    if matches!(url.address, Address::Ws(_)) && dialect == sente_core::Dialect::Sente {
        options
            .client_id
            .get_or_insert_with(|| client_id.to_owned());
    }
    Ok(())
}

impl From<Url> for Endpoint {
    fn from(url: Url) -> Self {
        Self::new(url, ConnectOptions::default())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(&self.name).finish()
    }
}
