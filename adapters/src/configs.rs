//! What a listener's connections have in common: a configuration for each way to speak.

use std::sync::Arc;

use sente_core::packer::Packer;
use sente_core::{Carrier, ConfigError, ConnectionConfig, Dialect, Role};

use crate::budget::SharedRecvBudget;
use crate::listen::ListenOptions;
use crate::record::Recordings;
use crate::url::stream_carrier;

/// The configurations, built once and shared.
#[derive(Clone)]
pub(crate) struct Configs {
    pub(crate) stream: Arc<ConnectionConfig>,
    /// Of links that carry whole messages.
    pub(crate) messages: Arc<ConnectionConfig>,
    websocket: ByDialect,
    by_path: Arc<[(String, ByDialect)]>,
    pub(crate) budget: SharedRecvBudget,
    pub(crate) record: Option<Recordings>,
}

/// The two configurations of a WebSocket.
#[derive(Clone)]
struct ByDialect {
    sente: Arc<ConnectionConfig>,
    sente_lite: Arc<ConnectionConfig>,
}

impl Configs {
    pub(crate) fn new(
        options: &ListenOptions,
        packer: &Arc<dyn Packer>,
    ) -> Result<Self, ConfigError> {
        let build = |dialect, carrier, packer: &Arc<dyn Packer>| {
            let mut builder = ConnectionConfig::builder(Role::Server, dialect, carrier)
                .packer(packer.clone())
                .flush_window(options.flush_window)
                .keep_dropped(options.keep_dropped)
                .small_frames(options.small_frames);
            if let Some(limits) = &options.limits {
                builder = builder.limits(limits.clone());
            }
            if options.keepalive.is_some() {
                builder = builder.keepalive(options.keepalive);
            }
            if let Some(extensions) = options.extensions {
                builder = builder.grant(extensions);
            }
            #[cfg(feature = "deflate")]
            {
                builder = builder.deflate(options.deflate.clone());
            }
            builder.build()
        };
        let websocket = |packer| {
            Ok::<_, ConfigError>(ByDialect {
                sente: build(Dialect::Sente, Carrier::WebSocket, packer)?,
                sente_lite: build(Dialect::SenteLite, Carrier::WebSocket, packer)?,
            })
        };
        let by_path = options
            .packer_by_path
            .iter()
            .map(|(path, packer)| Ok((path.clone(), websocket(packer)?)))
            .collect::<Result<_, ConfigError>>()?;
        let budget = options.recv_budget.clone();
        Ok(Self {
            stream: build(Dialect::SenteLite, stream_carrier(&**packer), packer)?,
            messages: build(Dialect::SenteLite, Carrier::LengthPrefixed, packer)?,
            websocket: websocket(packer)?,
            by_path,
            budget: budget.unwrap_or_else(SharedRecvBudget::of_process),
            record: options.record.clone(),
        })
    }

    /// Of a WebSocket that asks for `path`.
    pub(crate) fn websocket_at(&self, path: &str, dialect: Dialect) -> Arc<ConnectionConfig> {
        let own = self.by_path.iter().find(|(known, _)| known == path);
        let both = own.map_or(&self.websocket, |(_, own)| own);
        match dialect {
            Dialect::Sente => both.sente.clone(),
            Dialect::SenteLite => both.sente_lite.clone(),
        }
    }
}
