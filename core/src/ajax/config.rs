//! What a server's Ajax sessions are told before they start.

use alloc::string::String;
use alloc::sync::Arc;
use core::time::Duration;

use thiserror::Error;

use super::frames::Frames;
use crate::event::Reader;
use crate::extensions::Extensions;
use crate::framing::Kind;
use crate::limits::Limits;
use crate::packer::{Edn, Packer};

/// The configuration that the sessions of an endpoint share: build it once, hand out clones of the
/// `Arc`.
///
/// | Sente's option | here | default |
/// | --- | --- | --- |
/// | `:lp-timeout-ms` | [`poll_timeout`], [`reply_timeout`] | 20 s each |
/// | `:send-buf-ms-ajax` | [`flush_window`] | none; Sente: 100 ms |
/// | `:ms-allow-reconnect-before-close-ajax` | [`grace`] | 5 s |
/// | `:packer` | [`packer`] | EDN |
/// | `:recv-buf-or-n` | [`limits`]: `max_recv_messages` | 5,000; Sente: 1,000, lossy |
///
/// [`poll_timeout`]: AjaxConfigBuilder::poll_timeout
/// [`reply_timeout`]: AjaxConfigBuilder::reply_timeout
/// [`flush_window`]: AjaxConfigBuilder::flush_window
/// [`grace`]: AjaxConfigBuilder::grace
/// [`packer`]: AjaxConfigBuilder::packer
/// [`limits`]: AjaxConfigBuilder::limits
///
/// ```
/// use sente_core::ajax::AjaxConfig;
///
/// let config = AjaxConfig::builder().build()?;
/// assert_eq!(config.max_body_bytes(), 3 * 1024 * 1024 + 4096);
/// # Ok::<(), sente_core::ajax::AjaxConfigError>(())
/// ```
#[derive(Debug)]
pub struct AjaxConfig {
    pub(super) packer: Arc<dyn Packer>,
    pub(super) limits: Arc<Limits>,
    pub(super) reader: Reader,
    pub(super) poll_timeout: Option<Duration>,
    pub(super) reply_timeout: Option<Duration>,
    pub(super) flush_window: Option<Duration>,
    pub(super) grace: Duration,
    pub(super) max_requests: usize,
    pub(super) keep_dropped: usize,
    pub(super) grant: Extensions,
    pub(super) frames: Frames,
}

impl AjaxConfig {
    /// The window in which Sente gathers events for Ajax, for
    /// [`flush_window`](AjaxConfigBuilder::flush_window).
    pub const SENTE_FLUSH_WINDOW: Duration = Duration::from_millis(100);

    /// Room for what stands in a form beside the message.
    const FORM_OVERHEAD: usize = 4096;

    /// Starts a configuration with the defaults.
    pub fn builder() -> AjaxConfigBuilder {
        AjaxConfigBuilder {
            packer: Arc::new(Edn),
            limits: Limits::default(),
            poll_timeout: Some(Duration::from_secs(20)),
            reply_timeout: Some(Duration::from_secs(20)),
            flush_window: None,
            grace: Duration::from_secs(5),
            max_requests: 256,
            keep_dropped: 0,
            grant: Extensions::ALL,
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

    /// The longest body of a post that can hold a message within the limits, in bytes: what is
    /// longer need not be read. A form takes three bytes for most letters of EDN.
    #[must_use]
    pub fn max_body_bytes(&self) -> usize {
        let frame = self.limits.max_frame_bytes;
        match self.packer.kind() {
            Kind::Binary => frame,
            Kind::Text => frame.saturating_mul(3).saturating_add(Self::FORM_OVERHEAD),
        }
    }
}

/// Builds an [`AjaxConfig`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct AjaxConfigBuilder {
    packer: Arc<dyn Packer>,
    limits: Limits,
    poll_timeout: Option<Duration>,
    reply_timeout: Option<Duration>,
    flush_window: Option<Duration>,
    grace: Duration,
    max_requests: usize,
    keep_dropped: usize,
    grant: Extensions,
}

impl AjaxConfigBuilder {
    /// The packer. Default [`Edn`].
    pub fn packer(mut self, packer: Arc<dyn Packer>) -> Self {
        self.packer = packer;
        self
    }

    /// The limits of a session. Default [`Limits::default`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How long a poll is held while there is nothing to tell; `None` for as long as it takes. Less
    /// than 60 s, after which clients and proxies give up. Default 20 s, as Sente's.
    pub fn poll_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.poll_timeout = timeout;
        self
    }

    /// How long the post of a call is held for the application's reply; `None` for as long as it
    /// takes. Less than 60 s. Default 20 s, as Sente's.
    pub fn reply_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.reply_timeout = timeout;
        self
    }

    /// How long the first event queued waits for others to leave with it. Default `None`: a waiting
    /// poll is answered with what is queued when the driver asks for answers, and what is sent until
    /// the client's next poll leaves together anyway. Sente waits for
    /// [100 ms](AjaxConfig::SENTE_FLUSH_WINDOW).
    ///
    /// The wait ends early when a batch is full and with a send that says `flush`.
    pub fn flush_window(mut self, window: Option<Duration>) -> Self {
        self.flush_window = window;
        self
    }

    /// How long a session lives without any request of its client: what is sent meanwhile is kept,
    /// within the limits, for the next poll. Default 5 s, as Sente's.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// How many requests of one session may wait for their answers; what comes beyond is answered
    /// with 503. Default 256.
    pub fn max_requests(mut self, max: usize) -> Self {
        self.max_requests = max;
        self
    }

    /// How many bytes of dropped events are kept for the next `ConnectionEvent::Dropped`; each
    /// counts 64 bytes more than its own. Default 0.
    pub fn keep_dropped(mut self, max_bytes: usize) -> Self {
        self.keep_dropped = max_bytes;
        self
    }

    /// The extensions granted to clients that offer them. Default all that Ajax can carry, which is
    /// batches; over Ajax a server cannot call.
    pub fn grant(mut self, extensions: Extensions) -> Self {
        self.grant = extensions;
        self
    }

    /// The finished configuration.
    ///
    /// # Errors
    /// [`AjaxConfigError`] naming what does not fit together.
    pub fn build(self) -> Result<Arc<AjaxConfig>, AjaxConfigError> {
        const GIVES_UP: Duration = Duration::from_secs(60);
        let holds = self.poll_timeout.max(self.reply_timeout);
        if holds.is_some_and(|timeout| timeout >= GIVES_UP) {
            return Err(AjaxConfigError::HeldTooLong);
        }
        if self.limits.max_frame_bytes == 0 {
            return Err(AjaxConfigError::NoFrames);
        }
        let frames = Frames::new(&self.packer)
            .ok_or_else(|| AjaxConfigError::UnfitPacker(String::from(self.packer.name())))?;
        let mut grant = self.grant;
        grant.calls = false;
        grant.trace = false;
        let limits = Arc::new(self.limits);
        Ok(Arc::new(AjaxConfig {
            reader: Reader::new(&self.packer, &limits),
            packer: self.packer,
            limits,
            poll_timeout: self.poll_timeout,
            reply_timeout: self.reply_timeout,
            flush_window: self.flush_window,
            grace: self.grace,
            max_requests: self.max_requests,
            keep_dropped: self.keep_dropped,
            grant,
            frames,
        }))
    }
}

/// What does not fit together in a configuration: the caller's mistake.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AjaxConfigError {
    /// A request would be held longer than clients wait.
    #[error("a request is held for less than 60 s: clients and proxies give up by then")]
    HeldTooLong,
    /// A frame limit of nothing.
    #[error("max_frame_bytes is 0: no frame could ever pass")]
    NoFrames,
    /// A packer that cannot pack keywords and strings.
    #[error("the packer {0} cannot pack the protocol's own keywords and strings")]
    UnfitPacker(String),
}
