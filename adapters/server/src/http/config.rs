//! How an endpoint is served over HTTP.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use sente_adapters::{Recordings, SharedRecvBudget};
use sente_core::admission::Origins;
use sente_core::ajax::{AjaxConfig, AjaxConfigError};
use sente_core::packer::{Edn, Packer};
use sente_core::{Carrier, ConfigError, ConnectionConfig, Dialect, Limits, Role};
use smol_str::SmolStr;
use thiserror::Error;

/// The options of one endpoint, for one packer. Change single fields on top of
/// [`new`](Self::new) or [`with_packer`](Self::with_packer).
///
/// ```
/// use std::time::Duration;
/// use sente_core::ajax::AjaxConfig;
/// use sente_server::http::HttpConfig;
///
/// let mut config = HttpConfig::new()?;
/// // Sente's `:lp-timeout-ms`.
/// let ajax = AjaxConfig::builder().poll_timeout(Some(Duration::from_secs(30)));
/// config.ajax = Some(ajax.build()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpConfig {
    /// That of each WebSocket; `None` where none are taken. Its dialect is the endpoint's.
    pub websocket: Option<Arc<ConnectionConfig>>,
    /// That of each Ajax session; `None` where there are none, as for sente-lite, which has no
    /// Ajax. It has the poll timeout and the limit of bodies.
    pub ajax: Option<Arc<AjaxConfig>>,
    /// The pages of other origins that may read the answers, cookies included (CORS). What they may
    /// ask for is for the host's rules to say. Default `None`: only pages of the same origin.
    pub cors: Option<Origins>,
    /// How long the body of a post may take to arrive. Default 30 s.
    pub body_timeout: Duration,
    /// What all bodies that are being read or wait for their application may take together, in
    /// bytes; further ones wait for their turn, within the same time. Default 64 MiB.
    pub max_bodies_bytes: usize,
    /// How long a post waits for an application that is behind with what was posted before it is
    /// answered with 503. Default 10 s.
    pub behind_timeout: Duration,
    /// How long a client may take between the answer to its upgrade and the upgrade itself. Default
    /// 10 s.
    pub upgrade_timeout: Duration,
    /// The budget of received bytes its connections share. Default
    /// [`SharedRecvBudget::of_process`].
    pub recv_budget: Option<SharedRecvBudget>,
    /// Where the WebSockets are recorded. Sessions of Ajax are not, see [`Recordings`]. Default:
    /// nowhere.
    pub record: Option<Recordings>,
    /// Where a request comes from. Default: the address of its socket.
    pub remote: RemoteAddress,
}

impl HttpConfig {
    /// Sente's dialect in EDN, by WebSocket and Ajax, with the default limits.
    ///
    /// # Errors
    /// As for [`with_packer`](Self::with_packer); not with this packer.
    pub fn new() -> Result<Self, HttpConfigError> {
        Self::with_packer(Arc::new(Edn), Limits::default())
    }

    /// Sente's dialect by this packer, by WebSocket and Ajax.
    ///
    /// # Errors
    /// [`HttpConfigError`] where packer and limits do not fit.
    pub fn with_packer(packer: Arc<dyn Packer>, limits: Limits) -> Result<Self, HttpConfigError> {
        let websocket = ConnectionConfig::builder(Role::Server, Dialect::Sente, Carrier::WebSocket)
            .packer(packer.clone())
            .limits(limits.clone())
            .build()?;
        let ajax = AjaxConfig::builder()
            .packer(packer)
            .limits(limits)
            .build()?;
        Ok(Self {
            websocket: Some(websocket),
            ajax: Some(ajax),
            cors: None,
            body_timeout: Duration::from_secs(30),
            max_bodies_bytes: 64 * 1024 * 1024,
            behind_timeout: Duration::from_secs(10),
            upgrade_timeout: Duration::from_secs(10),
            recv_budget: None,
            record: None,
            remote: RemoteAddress::default(),
        })
    }

    /// The dialect of the endpoint: that of its WebSockets.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.websocket
            .as_ref()
            .map_or(Dialect::Sente, |websocket| websocket.dialect())
    }
}

/// What does not fit together: the caller's mistake.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum HttpConfigError {
    /// For Ajax.
    #[error(transparent)]
    Ajax(#[from] AjaxConfigError),
    /// For WebSockets.
    #[error(transparent)]
    WebSocket(#[from] ConfigError),
}

/// How the address is found that a request counts for.
///
/// Behind a proxy that is to be trusted it stands in a header of the proxy's. Anywhere else such a
/// header is the client's to invent.
#[derive(Clone, Default)]
pub struct RemoteAddress(Option<Arc<Find>>);

type Find = dyn Fn(&Parts) -> Option<SmolStr> + Send + Sync;

impl RemoteAddress {
    /// Finds it in the head of a request.
    pub fn by(find: impl Fn(&Parts) -> Option<SmolStr> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(find)))
    }

    pub(super) fn of(&self, parts: &Parts) -> Option<SmolStr> {
        match &self.0 {
            Some(find) => find(parts),
            None => socket_of(parts),
        }
    }
}

impl fmt::Debug for RemoteAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Some(_) => "RemoteAddress::by(..)",
            None => "RemoteAddress::default()",
        })
    }
}

/// Where a request comes from, as an extension of it: whoever accepts sockets puts it there, as
/// [`serve`](super::serve) does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "it is an address")]
pub struct Remote(pub SmolStr);

fn socket_of(parts: &Parts) -> Option<SmolStr> {
    if let Some(Remote(address)) = parts.extensions.get() {
        return Some(address.clone());
    }
    #[cfg(feature = "axum")]
    if let Some(axum::extract::ConnectInfo(address)) = parts
        .extensions
        .get::<axum::extract::ConnectInfo<std::net::SocketAddr>>()
    {
        return Some(SmolStr::new(address.ip().to_string()));
    }
    None
}
