//! Opening the transport of an attempt, in the words of a client.

use std::future::Future;
use std::io;
use std::sync::Arc;

use sente_core::{ConnectFailure, ConnectionConfig};

use super::Dialled;
use crate::connect::{ConnectError, ConnectOptions, dial, take_up};
use crate::link::{Link, Transport};
use crate::runtime::{Runtime, timeout};
use crate::url::Url;

/// Opens what `url` names.
pub(super) async fn dial_at(
    runtime: &Arc<dyn Runtime>,
    url: &Url,
    options: &ConnectOptions,
) -> Result<Dialled, ConnectFailure> {
    in_time(runtime, url, options, dial(runtime, url, options)).await
}

/// The same over a link that comes of `opening`.
pub(super) async fn take_up_at(
    runtime: &Arc<dyn Runtime>,
    url: &Url,
    opening: impl Future<Output = io::Result<Box<dyn Link>>>,
    options: &ConnectOptions,
) -> Result<Dialled, ConnectFailure> {
    let opening = async { take_up(url, opening.await?, options).await };
    in_time(runtime, url, options, opening).await
}

async fn in_time(
    runtime: &Arc<dyn Runtime>,
    url: &Url,
    options: &ConnectOptions,
    opening: impl Future<Output = Result<(Transport, Arc<ConnectionConfig>), ConnectError>>,
) -> Result<Dialled, ConnectFailure> {
    let patience = options.patience();
    match timeout(&**runtime, patience, opening).await {
        Some(Ok((transport, config))) => Ok((transport, config, options.budget())),
        Some(Err(error @ ConnectError::Config(_))) => Err(ConnectFailure::Final(error.to_string())),
        Some(Err(error)) => Err(ConnectFailure::Retry(format!("{url}: {error}"))),
        None => {
            let late = ConnectError::Timeout(patience);
            Err(ConnectFailure::Retry(format!("{url}: {late}")))
        }
    }
}
