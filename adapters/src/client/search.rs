//! The way back to an endpoint that is preferred.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use sente_core::{Client, Instant};

use super::Dialled;
use super::endpoint::Endpoint;
use crate::runtime::{Runtime, sleep};
use crate::shared::Shared;

/// How long a moment is waited for in which nothing would be lost.
pub(super) const QUIET_WITHIN: Duration = Duration::from_secs(5);

/// How often it is looked whether this is the moment, where nothing says so.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Tries the endpoints that are preferred to the present one from time to time.
#[derive(Clone)]
pub(super) struct Search {
    /// Those to be preferred first.
    pub(super) candidates: Vec<(usize, Endpoint)>,
    /// `None` for never.
    pub(super) every: Option<Duration>,
    pub(super) client_id: String,
}

/// A transport that got through, for the attempt that comes next.
pub(super) struct Found {
    pub(super) endpoint: usize,
    pub(super) dialled: Dialled,
}

impl Search {
    /// Whether anything may be found.
    pub(super) fn is_worth_it(&self) -> bool {
        self.every.is_some() && self.candidates.iter().any(|(_, at)| at.can_be_probed())
    }

    /// Tries until one gets through.
    pub(super) async fn next(&self, runtime: &Arc<dyn Runtime>) -> Found {
        let Some(every) = self.every else {
            return pending().await;
        };
        loop {
            sleep(&**runtime, every).await;
            for (endpoint, at) in &self.candidates {
                if !at.can_be_probed() {
                    continue;
                }
                match at.probe(runtime, &self.client_id).await {
                    Ok(dialled) => {
                        let endpoint = *endpoint;
                        return Found { endpoint, dialled };
                    }
                    Err(failure) => tracing::debug!(?failure, "{} is still in vain", at.name()),
                }
            }
        }
    }

    /// Tries until one gets through and the client has left its link for it, beside whatever drives
    /// that link.
    pub(super) async fn run(&self, shared: &Shared<Client>) -> Found {
        let runtime = shared.clock.runtime();
        loop {
            let found = self.next(runtime).await;
            let until = shared.clock.now() + QUIET_WITHIN;
            loop {
                let (moved, now) = shared.with_waking(|client, now| {
                    (is_quiet(client) && leave_for(client, now, &found), now)
                });
                if moved {
                    return found;
                }
                if now >= until {
                    // Busy as it is: what was found has waited too long.
                    break;
                }
                sleep(&**runtime, LOOK_EVERY).await;
            }
        }
    }
}

/// Whether nothing is queued, and nobody waits for an answer.
pub(super) fn is_quiet(client: &Client) -> bool {
    client.pending_calls() == 0 && client.send_capacity().messages == 0
}

/// Leaves the present link for what was found. Whether it could.
pub(super) fn leave_for(client: &mut Client, now: Instant, found: &Found) -> bool {
    client.move_to_endpoint(now, found.endpoint, now + QUIET_WITHIN)
}
