//! What an Ajax link of a client is told before it starts.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::ajax::config::AjaxConfigError;
use crate::ajax::frames::Frames;
use crate::event::Reader;
use crate::extensions::Extensions;
use crate::limits::Limits;
use crate::packer::{Edn, Packer};

/// The configuration that the Ajax links of a client share.
///
/// ```
/// use sente_core::ajax::AjaxClientConfig;
///
/// let config = AjaxClientConfig::builder("/chsk")
///     .param("room", "7")
///     .csrf_token("t0k")
///     .build()?;
/// # Ok::<(), sente_core::ajax::AjaxConfigError>(())
/// ```
#[derive(Debug)]
pub struct AjaxClientConfig {
    pub(super) path: String,
    pub(super) params: Vec<(String, String)>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) csrf_token: Option<String>,
    pub(in crate::ajax) packer: Arc<dyn Packer>,
    pub(in crate::ajax) limits: Arc<Limits>,
    pub(in crate::ajax) reader: Reader,
    pub(super) handshake_timeout: Duration,
    pub(super) request_timeout: Duration,
    pub(super) max_parallel_calls: usize,
    pub(in crate::ajax) keep_dropped: usize,
    pub(super) offer: Option<Extensions>,
    pub(super) wrap_received: bool,
    pub(in crate::ajax) frames: Frames,
}

impl AjaxClientConfig {
    /// Starts a configuration for the endpoint at `path`, such as `/chsk`.
    pub fn builder(path: impl Into<String>) -> AjaxClientConfigBuilder {
        AjaxClientConfigBuilder {
            path: path.into(),
            params: Vec::new(),
            headers: Vec::new(),
            csrf_token: None,
            packer: Arc::new(Edn),
            limits: Limits::default(),
            handshake_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(60),
            max_parallel_calls: 4,
            keep_dropped: 0,
            offer: None,
            wrap_received: false,
        }
    }

    /// The packer in force.
    #[must_use]
    pub const fn packer(&self) -> &Arc<dyn Packer> {
        &self.packer
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }
}

/// Builds an [`AjaxClientConfig`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct AjaxClientConfigBuilder {
    path: String,
    params: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    csrf_token: Option<String>,
    packer: Arc<dyn Packer>,
    limits: Limits,
    handshake_timeout: Duration,
    request_timeout: Duration,
    max_parallel_calls: usize,
    keep_dropped: usize,
    offer: Option<Extensions>,
    wrap_received: bool,
}

impl AjaxClientConfigBuilder {
    /// A parameter of the application's own, in the query of every request, posts included (Sente's
    /// client leaves it out there). `client-id`, `csrf-token` and the protocol's other names are not
    /// to be used.
    pub fn param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.params.push((name.into(), value.into()));
        self
    }

    /// A header of the application's own, in every request.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The CSRF token, shown as the header `X-CSRF-Token`. Default none.
    pub fn csrf_token(mut self, token: impl Into<String>) -> Self {
        self.csrf_token = Some(token.into());
        self
    }

    /// The packer. Default [`Edn`].
    pub fn packer(mut self, packer: Arc<dyn Packer>) -> Self {
        self.packer = packer;
        self
    }

    /// Whether every event is handed over as `[:chsk/recv event]`, as
    /// [`ConnectionConfigBuilder::wrap_received`](crate::ConnectionConfigBuilder::wrap_received)
    /// says. Default `false`.
    pub fn wrap_received(mut self, wrap: bool) -> Self {
        self.wrap_received = wrap;
        self
    }

    /// The limits of a link. Default [`Limits::default`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How long the handshake may take. Default 10 s.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// How long a poll, or a post that is no call, may wait for its answer; longer than the server
    /// holds a poll. Default 60 s, as Sente's.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// How many calls may be posted at once; each takes a connection while its reply is waited for.
    /// Further ones wait in the queue. At least 1; default 4.
    pub fn max_parallel_calls(mut self, max: usize) -> Self {
        self.max_parallel_calls = max.max(1);
        self
    }

    /// How many bytes of dropped events are kept for the next `ConnectionEvent::Dropped`; each
    /// counts 64 bytes more than its own. Default 0.
    pub fn keep_dropped(mut self, max_bytes: usize) -> Self {
        self.keep_dropped = max_bytes;
        self
    }

    /// The extensions offered to the server. Default none. Over Ajax only batches make a difference:
    /// without them every event is a post of its own.
    pub fn offer(mut self, extensions: Extensions) -> Self {
        self.offer = Some(extensions);
        self
    }

    /// The finished configuration.
    ///
    /// # Errors
    /// [`AjaxConfigError`] naming what does not fit together.
    pub fn build(self) -> Result<Arc<AjaxClientConfig>, AjaxConfigError> {
        if self.limits.max_frame_bytes == 0 {
            return Err(AjaxConfigError::NoFrames);
        }
        let frames = Frames::new(&self.packer)
            .ok_or_else(|| AjaxConfigError::UnfitPacker(String::from(self.packer.name())))?;
        let limits = Arc::new(self.limits);
        Ok(Arc::new(AjaxClientConfig {
            path: self.path,
            params: self.params,
            headers: self.headers,
            csrf_token: self.csrf_token,
            reader: Reader::new(&self.packer, &limits),
            packer: self.packer,
            limits,
            handshake_timeout: self.handshake_timeout,
            request_timeout: self.request_timeout,
            max_parallel_calls: self.max_parallel_calls,
            keep_dropped: self.keep_dropped,
            offer: self.offer.map(|offer| Extensions {
                trace: false,
                ..offer
            }),
            wrap_received: self.wrap_received,
            frames,
        }))
    }
}
