//! A client's link over Ajax: its requests, and the WebSocket that is tried meanwhile.

use std::collections::HashMap;
use std::future::pending;
use std::io;
use std::pin::pin;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::{AbortHandle, Abortable, Aborted};
use futures_util::stream::FuturesUnordered;
use sente_core::ajax::{AjaxClientConfig, AjaxSend, Exchange, Response};
use sente_core::{Attempt, Client, Instant};

use super::search::{Found, QUIET_WITHIN, Search, is_quiet, leave_for};
use crate::fetch::Fetcher;
use crate::runtime::{Either, either};
use crate::shared::Shared;

/// What an attempt by Ajax needs.
pub(super) struct Polls {
    pub(super) fetcher: Fetcher,
    pub(super) config: Arc<AjaxClientConfig>,
    /// What is tried meanwhile.
    pub(super) search: Search,
}

impl Polls {
    /// Makes the requests of a link until it is not needed any more. What got through meanwhile, for
    /// which the link was left.
    pub(super) async fn run(self, shared: &Arc<Shared<Client>>, attempt: Attempt) -> Option<Found> {
        let budget = self.fetcher.options().budget();
        if !shared.begin_polling(attempt, self.config.clone(), &budget) {
            return None;
        }
        let mut requests = FuturesUnordered::new();
        let mut under_way: HashMap<Exchange, AbortHandle> = HashMap::new();
        let runtime = shared.clock.runtime();
        let mut finding = Box::pin(self.search.next(runtime));
        // What is to be changed to, and until when a quiet moment is waited for.
        let mut found: Option<(Found, Instant)> = None;
        loop {
            while let Some(exchange) = shared.with(|client, _| client.poll_abort()) {
                if let Some(request) = under_way.remove(&exchange) {
                    request.abort();
                }
            }
            while let Some(send) = shared.with(|client, _| client.poll_send()) {
                let (abort, registration) = AbortHandle::new_pair();
                under_way.insert(send.exchange, abort);
                requests.push(Abortable::new(self.make(send), registration));
            }
            let (wanted, quiet, due, now) = shared.with(|client, now| {
                let quiet = is_quiet(client);
                (client.is_wanted(attempt), quiet, client.poll_timeout(), now)
            });
            if !wanted {
                return None;
            }
            if let Some((better, until)) = found.take() {
                // The poll that waits is all there is.
                let idle = quiet && under_way.len() <= 1;
                if idle && shared.with(|client, now| leave_for(client, now, &better)) {
                    while shared.with(|client, _| client.poll_abort()).is_some() {}
                    return Some(better);
                }
                if until > now {
                    found = Some((better, until));
                } else {
                    // Busy as it is: what was found has waited too long.
                    finding = Box::pin(self.search.next(runtime));
                }
            }
            let due = [due, found.as_ref().map(|(_, until)| *until)];
            let due = due.into_iter().flatten().min();
            let answered = async {
                match requests.next().await {
                    Some(answered) => answered,
                    None => pending().await,
                }
            };
            let changed = either(shared.woken(), shared.clock.reached(due));
            let looks = found.is_none();
            let looked = async {
                if looks {
                    finding.as_mut().await
                } else {
                    pending().await
                }
            };
            match either(either(pin!(answered), pin!(changed)), pin!(looked)).await {
                Either::First(Either::First(Ok((exchange, answer)))) => {
                    under_way.remove(&exchange);
                    shared.with(|client, now| match answer {
                        Ok(response) => client.handle_response(now, attempt, exchange, &response),
                        Err(error) => {
                            let reason = error.to_string();
                            client.handle_request_failed(now, attempt, exchange, &reason);
                        }
                    });
                }
                // Nobody waits for it, or somebody has changed the client.
                Either::First(Either::First(Err(Aborted)) | Either::Second(Either::First(()))) => {}
                Either::First(Either::Second(Either::Second(()))) => {
                    shared.with(Client::handle_timeout);
                }
                Either::Second(better) => found = Some((better, now + QUIET_WITHIN)),
            }
        }
    }

    async fn make(&self, send: AjaxSend) -> (Exchange, io::Result<Response>) {
        let limit = self.config.limits().max_frame_bytes;
        let answer = self.fetcher.fetch(&send.request, limit).await;
        (send.exchange, answer)
    }
}
