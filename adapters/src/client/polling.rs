//! A client's link over Ajax: its requests, and the WebSocket that is tried meanwhile.

use std::collections::HashMap;
use std::future::{Future, pending};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{AbortHandle, Abortable, Aborted};
use futures_util::stream::FuturesUnordered;
use sente_core::ajax::{AjaxClientConfig, AjaxSend, Exchange, Response};
use sente_core::{Attempt, Client, Instant};

use super::{Dialled, dial_at};
use crate::fetch::Fetcher;
use crate::runtime::{Either, either, sleep};
use crate::shared::Shared;

/// How long a moment is waited for in which nothing would be lost.
const QUIET_WITHIN: Duration = Duration::from_secs(5);

/// What an attempt by Ajax needs.
pub(super) struct Polls {
    pub(super) fetcher: Fetcher,
    pub(super) config: Arc<AjaxClientConfig>,
    pub(super) return_every: Option<Duration>,
}

/// A WebSocket that got through, on its way.
type Found<'a> = Pin<Box<dyn Future<Output = Dialled> + Send + 'a>>;

impl Polls {
    /// Makes the requests of a link until it is not needed any more. A WebSocket that got through
    /// meanwhile, for which the link was left.
    pub(super) async fn run(
        self,
        shared: &Arc<Shared<Client>>,
        attempt: Attempt,
    ) -> Option<Dialled> {
        let budget = self.fetcher.options().budget();
        if !shared.begin_polling(attempt, self.config.clone(), &budget) {
            return None;
        }
        let mut requests = FuturesUnordered::new();
        let mut under_way: HashMap<Exchange, AbortHandle> = HashMap::new();
        let mut finding = self.find(shared);
        // What is to be changed to, and until when a quiet moment is waited for.
        let mut found: Option<(Dialled, Instant)> = None;
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
                let quiet = client.pending_calls() == 0 && client.send_capacity().messages == 0;
                (client.is_wanted(attempt), quiet, client.poll_timeout(), now)
            });
            if !wanted {
                return None;
            }
            if let Some((dialled, until)) = found.take() {
                if quiet && under_way.len() <= 1 {
                    // The poll that waits is all there is.
                    shared.with(Client::reconnect);
                    while shared.with(|client, _| client.poll_abort()).is_some() {}
                    return Some(dialled);
                }
                if until > now {
                    found = Some((dialled, until));
                } else {
                    // Busy as it is: what was found has waited too long.
                    finding = self.find(shared);
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
                Either::Second(dialled) => found = Some((dialled, now + QUIET_WITHIN)),
            }
        }
    }

    async fn make(&self, send: AjaxSend) -> (Exchange, io::Result<Response>) {
        let limit = self.config.limits().max_frame_bytes;
        let answer = self.fetcher.fetch(&send.request, limit).await;
        (send.exchange, answer)
    }

    /// Tries a WebSocket from time to time, until one gets through.
    fn find<'a>(&'a self, shared: &'a Arc<Shared<Client>>) -> Found<'a> {
        Box::pin(async move {
            let Some(every) = self.return_every else {
                return pending().await;
            };
            let runtime = shared.clock.runtime();
            loop {
                sleep(&**runtime, every).await;
                match dial_at(runtime, self.fetcher.url(), self.fetcher.options()).await {
                    Ok(dialled) => return dialled,
                    Err(failure) => tracing::debug!(?failure, "a websocket is still in vain"),
                }
            }
        })
    }
}
