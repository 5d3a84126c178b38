//! When a client polls because its WebSocket does not get through, and when it comes back.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use sente_core::ajax::{AjaxClientConfig, AjaxConfigError};
use sente_core::{ConnectFailure, Dialect};

use super::ClientOptions;
use super::endpoint::Endpoint;
use super::polling::Polls;
use super::search::Search;
use crate::connect::ConnectOptions;
use crate::fetch::Fetcher;
use crate::runtime::Runtime;
use crate::url::{Address, Url, WsUrl, offered_in};

/// How a client falls back from WebSocket to Ajax long polling, as Sente's with the type `:auto`, for
/// `ws://` and `wss://` URLs in Sente's dialect. Default: after the first attempt in vain, and back within a
/// minute of a WebSocket getting through.
///
/// Sente's client never comes back; this one tries a WebSocket from time to time while it polls, and
/// changes to it, as [`ClientHandle::reconnect`](crate::ClientHandle) does, in a moment in which no
/// call is pending and nothing is queued. Where a poll does not get through either, WebSocket and
/// Ajax take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fallback {
    /// After how many WebSockets in a row that had no handshake. Default 1.
    pub after: NonZeroU32,
    /// How long after it began to poll, and again and again after that, a WebSocket is tried.
    /// `None` for never. Default 60 s.
    pub return_every: Option<Duration>,
    /// How many calls may be posted at once. Default 4.
    pub max_parallel_calls: usize,
    /// How long a poll may wait for its answer; longer than the server holds it. Default 60 s.
    pub request_timeout: Duration,
}

impl Default for Fallback {
    fn default() -> Self {
        Self {
            after: NonZeroU32::MIN,
            return_every: Some(Duration::from_secs(60)),
            max_parallel_calls: 4,
            request_timeout: Duration::from_secs(60),
        }
    }
}

/// Which way the next attempt goes, by how those before have fared.
#[derive(Debug)]
pub(super) struct Ways {
    fallback: Option<Fallback>,
    /// WebSockets in a row that had no handshake, since a poll last had none.
    in_vain: u32,
}

impl Ways {
    pub(super) const fn new(options: &ClientOptions) -> Self {
        Self {
            fallback: options.fallback,
            in_vain: 0,
        }
    }

    /// Each attempt says itself which way it goes.
    pub(super) const fn none() -> Self {
        Self {
            fallback: None,
            in_vain: 0,
        }
    }

    /// Notes whether a WebSocket had its handshake.
    pub(super) const fn web_socket(&mut self, opened: bool) {
        self.in_vain = if opened {
            0
        } else {
            self.in_vain.saturating_add(1)
        };
    }

    /// Notes whether a poll had one.
    pub(super) const fn polled(&mut self, opened: bool) {
        if !opened {
            self.in_vain = 0;
        }
    }

    /// What polls at `url`, if the next attempt there is to be one by Ajax.
    pub(super) fn polls(
        &self,
        runtime: &Arc<dyn Runtime>,
        url: &Url,
        options: &ConnectOptions,
        client_id: &str,
    ) -> Result<Option<Polls>, ConnectFailure> {
        match &self.fallback {
            Some(fallback)
                if self.in_vain >= fallback.after.get() && can_be_polled(url, options) =>
            {
                // Back to a WebSocket at the only endpoint there is.
                let search = Search {
                    candidates: vec![(0, Endpoint::new(url.clone(), options.clone()))],
                    every: fallback.return_every,
                    client_id: client_id.to_owned(),
                };
                fallback.polls(runtime, url, options, search).map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// Whether Sente's dialect over a WebSocket is spoken there, which can be had by Ajax, too.
fn can_be_polled(url: &Url, options: &ConnectOptions) -> bool {
    let dialect = options.dialect.unwrap_or_else(|| url.default_dialect());
    matches!(url.address, Address::Ws(_)) && dialect == Dialect::Sente
}

impl Fallback {
    /// What polls at `url`, while `search` looks for something better.
    pub(super) fn polls(
        &self,
        runtime: &Arc<dyn Runtime>,
        url: &Url,
        options: &ConnectOptions,
        search: Search,
    ) -> Result<Polls, ConnectFailure> {
        let Address::Ws(at) = &url.address else {
            return Err(not_polled(url));
        };
        if !can_be_polled(url, options) {
            return Err(not_polled(url));
        }
        let config = self.config(url, at, options);
        let config = config.map_err(|error| ConnectFailure::Final(error.to_string()))?;
        let (runtime, options) = (runtime.clone(), options.clone());
        Ok(Polls {
            fetcher: Fetcher::new(runtime, url.clone(), at.clone(), options),
            config,
            search,
        })
    }

    /// The configuration of a link that polls at `url` with what a WebSocket would have asked with.
    fn config(
        &self,
        url: &Url,
        at: &WsUrl,
        options: &ConnectOptions,
    ) -> Result<Arc<AjaxClientConfig>, AjaxConfigError> {
        const OWN: [&str; 4] = ["client-id", "csrf-token", "sente-ext", "udt"];
        let mut builder = AjaxClientConfig::builder(at.path.as_str())
            .packer(options.packer_at(url))
            .handshake_timeout(options.patience())
            .request_timeout(self.request_timeout)
            .max_parallel_calls(self.max_parallel_calls)
            .keep_dropped(options.keep_dropped)
            .wrap_received(options.wrap_received);
        let mut token = options.csrf_token.clone();
        let given = form_urlencoded::parse(at.query.as_bytes()).into_owned();
        for (name, value) in given.chain(options.params.iter().cloned()) {
            if name == "csrf-token" {
                token.get_or_insert(value);
            } else if !OWN.contains(&name.as_str()) {
                builder = builder.param(name, value);
            }
        }
        for (name, value) in &options.headers {
            builder = builder.header(name, value);
        }
        if let Some(token) = token {
            builder = builder.csrf_token(token);
        }
        if let Some(limits) = &options.limits {
            builder = builder.limits(limits.clone());
        }
        if let Some(extensions) = options.extensions.or_else(|| offered_in(&at.query)) {
            builder = builder.offer(extensions);
        }
        builder.build()
    }
}

fn not_polled(url: &Url) -> ConnectFailure {
    ConnectFailure::Final(format!(
        "{url}: only Sente's dialect over a WebSocket can be had by long polling"
    ))
}
