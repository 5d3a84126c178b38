//! Which requests a client makes next, and what stands in them.

use alloc::string::String;

use bytes::Bytes;
use form_urlencoded::Serializer;

use super::{AjaxClient, Post};
use crate::admission::Request;
use crate::ajax::backlog::BatchTerms;
use crate::ajax::request::{Exchange, Poll};
use crate::connection::State;
use crate::error::CloseReason;
use crate::framing::Kind;
use crate::id::CallId;
use crate::time::Instant;

/// A request to be made, and the name under which its answer is awaited.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[must_use = "a request that is not made leaves the link waiting"]
pub struct AjaxSend {
    /// Names it in all that follows.
    pub exchange: Exchange,
    /// Method, target, headers and body. The host is the driver's to know.
    pub request: Request,
}

impl AjaxClient {
    /// The next request to make, if there is one now.
    pub fn poll_send(&mut self) -> Option<AjaxSend> {
        let send = self.next_send();
        self.settle();
        send
    }

    fn next_send(&mut self) -> Option<AjaxSend> {
        match self.state {
            State::Handshaking if self.poll.is_none() => Some(self.write_poll(Poll::Handshake)),
            State::Open | State::Draining => {
                // While the application is behind, the server keeps what it has to tell.
                if self.poll.is_none() && self.inbox.room(&self.config.limits) > 0 {
                    return Some(self.write_poll(Poll::Wait));
                }
                self.write_post()
            }
            _ => None,
        }
    }

    fn write_poll(&mut self, poll: Poll) -> AjaxSend {
        let timeout = match poll {
            Poll::Handshake => self.config.handshake_timeout,
            Poll::Wait => self.config.request_timeout,
        };
        let exchange = self.begin(Some(self.now + timeout));
        self.poll = Some(exchange);
        let mut query = self.query();
        if poll == Poll::Handshake {
            if let Some(offer) = self.config.offer {
                query.append_pair("sente-ext", &alloc::format!("{offer}"));
            }
            query.append_pair("handshake?", "1");
        }
        let target = self.target(&query.finish());
        AjaxSend {
            exchange,
            request: self.with_headers(Request::new("GET", &target)),
        }
    }

    /// The next post: events, unless some are under way already, or a call.
    fn write_post(&mut self) -> Option<AjaxSend> {
        if self.event_post.is_some() || self.paused_until.is_some() {
            return None;
        }
        loop {
            if !self.backlog.peek_is_call()? {
                return self.write_events();
            }
            if self.call_posts.len() >= self.config.max_parallel_calls {
                return None;
            }
            let (packed, callback) = self.backlog.pop_call()?;
            let number = <[u8; 8]>::try_from(&*callback).map(u64::from_be_bytes);
            // A call that was cancelled or timed out while it was queued is not made.
            if let (Ok(number), true) = (number, self.calls.is_taken(&callback)) {
                return self.write_call(CallId(number), &packed);
            }
        }
    }

    fn write_call(&mut self, call: CallId, packed: &[u8]) -> Option<AjaxSend> {
        match self.config.frames.call(packed) {
            Ok(frame) => {
                // Its own deadline ends it.
                let exchange = self.begin(None);
                self.posts.insert(exchange, Post::Call(call));
                self.call_posts.insert(call, exchange);
                Some(self.post(exchange, frame))
            }
            Err(error) => {
                self.finish(CloseReason::Unsealed(error));
                None
            }
        }
    }

    fn write_events(&mut self) -> Option<AjaxSend> {
        let config = self.config.clone();
        let batches = self.profile.extensions.batch;
        let terms = BatchTerms {
            limits: &config.limits,
            packer: &*config.packer,
            most: if batches { usize::MAX } else { 1 },
            stock: false,
        };
        let overhead = |count| config.frames.batch_overhead(count);
        let events = self.backlog.pop_batch(terms, overhead);
        if events.is_empty() {
            return None;
        }
        match config.frames.post(&events) {
            Ok(frame) => {
                let exchange = self.begin(Some(self.now + config.request_timeout));
                self.posts.insert(exchange, Post::Events(events));
                self.event_post = Some(exchange);
                Some(self.post(exchange, frame))
            }
            Err(error) => {
                // They come back with the rest.
                self.backlog.give_back(events);
                self.finish(CloseReason::Unsealed(error));
                None
            }
        }
    }

    fn post(&self, exchange: Exchange, frame: Bytes) -> AjaxSend {
        let mut query = self.query();
        let request = match self.config.packer.kind() {
            Kind::Binary => {
                query.append_pair("binary?", "true");
                Request::new("POST", &self.target(&query.finish()))
                    .with_header("Content-Type", "application/octet-stream")
                    .with_body(frame)
            }
            Kind::Text => {
                let mut form = String::from("ppstr=");
                form.extend(form_urlencoded::byte_serialize(&frame));
                Request::new("POST", &self.target(&query.finish()))
                    .with_header(
                        "Content-Type",
                        "application/x-www-form-urlencoded;charset=UTF-8",
                    )
                    .with_body(Bytes::from(form))
            }
        };
        AjaxSend {
            exchange,
            request: self.with_headers(request),
        }
    }

    /// Names a new request, which is given up at `deadline` if nothing else ends it.
    fn begin(&mut self, deadline: Option<Instant>) -> Exchange {
        let exchange = Exchange(self.next_exchange);
        self.next_exchange = self.next_exchange.wrapping_add(1);
        self.udt = self.udt.wrapping_add(1);
        self.waiting.insert(exchange, deadline);
        self.stats.frames_sent += 1;
        exchange
    }

    /// What stands in every query: the application's parameters first, as in Sente.
    fn query(&self) -> Serializer<'static, String> {
        let mut query = Serializer::new(String::new());
        for (name, value) in &self.config.params {
            query.append_pair(name, value);
        }
        query.append_pair("udt", &alloc::format!("{}", self.udt));
        query.append_pair("client-id", &self.client_id);
        query
    }

    fn target(&self, query: &str) -> String {
        let path = &self.config.path;
        let joint = if path.contains('?') { "&" } else { "?" };
        alloc::format!("{path}{joint}{query}")
    }

    fn with_headers(&self, request: Request) -> Request {
        let mut request = request.with_header("X-Requested-With", "XMLHttpRequest");
        if let Some(token) = &self.config.csrf_token {
            request = request.with_header("X-CSRF-Token", token);
        }
        for (name, value) in &self.config.headers {
            request = request.with_header(name, value);
        }
        request
    }
}
