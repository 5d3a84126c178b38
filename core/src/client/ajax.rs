//! Links of a client over Ajax: what a driver does with them instead of carrying bytes.

use alloc::boxed::Box;
use alloc::sync::Arc;

use rand_chacha::rand_core::Rng;

use super::carried::Carried;
use super::{Attempt, Client, Instant};
use crate::ajax::{AjaxClient, AjaxClientConfig, AjaxSend, Exchange, Response};

impl Client {
    /// Says that `attempt` is to be a link over Ajax, where a WebSocket does not get through. Its
    /// first request asks for the handshake. `false` if nobody wants the attempt any more.
    ///
    /// The driver then makes the requests of [`poll_send`](Self::poll_send) and hands the answers
    /// in; there are no bytes to carry. Events kept offline have to be packed as this link packs.
    pub fn handle_connected_by_ajax(
        &mut self,
        now: Instant,
        attempt: Attempt,
        config: Arc<AjaxClientConfig>,
    ) -> bool {
        self.tick(now);
        if !self.is_dialing(attempt) {
            self.count_stale();
            self.settle();
            return false;
        }
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        let link = AjaxClient::new(config, self.client_id.as_str(), seed, self.now);
        self.begin_link(attempt, Carried::Ajax(Box::new(link)));
        true
    }

    /// Whether the present link is one over Ajax.
    #[must_use]
    pub fn is_over_ajax(&self) -> bool {
        let link = self.link.as_ref().map(|link| &link.connection);
        matches!(link, Some(Carried::Ajax(_)))
    }

    /// The next request to make for the present link, if it is over Ajax.
    pub fn poll_send(&mut self) -> Option<AjaxSend> {
        let send = self.ajax_link()?.poll_send();
        self.settle();
        send
    }

    /// The next request of the link over Ajax whose answer nobody wants any more: end it.
    #[must_use]
    pub fn poll_abort(&mut self) -> Option<Exchange> {
        let abort = self.ajax_link()?.poll_abort();
        // It may have been the last thing to do.
        self.settle();
        abort
    }

    /// Takes the answer to a request of `attempt`. That of an old attempt is dropped and counted.
    pub fn handle_response(
        &mut self,
        now: Instant,
        attempt: Attempt,
        exchange: Exchange,
        response: &Response,
    ) {
        self.tick(now);
        match self.ajax_link_of(attempt) {
            Some(link) => link.handle_response(now, exchange, response),
            None => self.count_stale(),
        }
        self.settle();
    }

    /// Says that a request of `attempt` got no answer, and why, in the transport's words.
    pub fn handle_request_failed(
        &mut self,
        now: Instant,
        attempt: Attempt,
        exchange: Exchange,
        reason: &str,
    ) {
        self.tick(now);
        match self.ajax_link_of(attempt) {
            Some(link) => link.handle_failed(now, exchange, reason),
            None => self.count_stale(),
        }
        self.settle();
    }

    fn ajax_link(&mut self) -> Option<&mut AjaxClient> {
        self.link.as_mut()?.connection.ajax_mut()
    }

    fn ajax_link_of(&mut self, attempt: Attempt) -> Option<&mut AjaxClient> {
        self.link_of(attempt)?.ajax_mut()
    }
}
