//! Requests over channels: asked of all subscribers, answered once, by one of them.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use rand_chacha::rand_core::Rng;
use sente_edn::Value;
use smol_str::SmolStr;
use thiserror::Error;

use crate::event::Payload;
use crate::id::{ConnId, ReplyToken};
use crate::queue::SendOptions;
use crate::time::Instant;

use super::Hub;
use super::channels::ChannelKey;
use super::event::{HubEvent, Response};
use super::fanout::{HubOutput, Packings, Reach, What};
use super::frames::{self, Slot};
use super::guard::Action;
use super::kept;

/// Names one request over a channel until it settles. It is what travels as `:request-id`, and
/// cannot be guessed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelRequestId(SmolStr);

impl fmt::Display for ChannelRequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ChannelRequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a request over a channel has no response.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ChannelRequestError {
    /// The application cancelled it.
    #[error("the request was cancelled")]
    Cancelled,
    /// The guard says so, and why.
    #[error("not permitted: {0}")]
    Denied(SmolStr),
    /// Nobody else is subscribed to the channel, or there is none.
    #[error("nobody is there to answer")]
    NoSubscribers,
    /// The rate of broadcasts does not allow it now.
    #[error("over the rate of broadcasts")]
    OverRate,
    /// No response came in time.
    #[error("no response came in time")]
    Timeout,
    /// As many wait as may.
    #[error("too many requests wait for their response")]
    TooMany,
    /// No subscriber's packer can express what is asked.
    #[error("no subscriber can be told what is asked")]
    Unpackable,
}

impl ChannelRequestError {
    /// What a client is told as the data of a response.
    fn word(&self) -> &str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Denied(why) => why,
            Self::NoSubscribers => "no-subscribers",
            Self::OverRate => "over-rate",
            Self::Timeout => "timeout",
            Self::TooMany => "too-many-requests",
            Self::Unpackable => "unpackable",
        }
    }
}

/// The requests that wait for their response.
#[derive(Debug, Default)]
pub(super) struct Requests {
    pending: BTreeMap<ChannelRequestId, Pending>,
    deadlines: BTreeSet<(Instant, ChannelRequestId)>,
    of_connection: BTreeMap<ConnId, BTreeSet<ChannelRequestId>>,
}

#[derive(Debug)]
struct Pending {
    key: ChannelKey,
    channel: Payload,
    asker: Asker,
    asked: Instant,
    deadline: Instant,
}

/// Who waits, and how they are told.
#[derive(Debug)]
enum Asker {
    Application,
    Call {
        connection: ConnId,
        token: ReplyToken,
    },
    Event {
        connection: ConnId,
        /// What the client calls its request.
        id: Payload,
    },
}

impl Asker {
    const fn connection(&self) -> Option<ConnId> {
        match self {
            Self::Application => None,
            Self::Call { connection, .. } | Self::Event { connection, .. } => Some(*connection),
        }
    }
}

impl Requests {
    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    pub(super) fn older_than_a_minute(&self, now: Instant) -> usize {
        let minute = Duration::from_secs(60);
        let pending = self.pending.values();
        pending.filter(|it| it.asked + minute < now).count()
    }

    /// A connection left: nobody waits for its requests any more.
    pub(super) fn leave(&mut self, connection: ConnId) {
        for id in self.of_connection.remove(&connection).unwrap_or_default() {
            self.remove(&id);
        }
    }

    fn count_of(&self, connection: ConnId) -> usize {
        self.of_connection.get(&connection).map_or(0, BTreeSet::len)
    }

    fn insert(&mut self, id: ChannelRequestId, pending: Pending) {
        self.deadlines.insert((pending.deadline, id.clone()));
        if let Some(connection) = pending.asker.connection() {
            let requests = self.of_connection.entry(connection).or_default();
            requests.insert(id.clone());
        }
        self.pending.insert(id, pending);
    }

    fn remove(&mut self, id: &ChannelRequestId) -> Option<Pending> {
        let pending = self.pending.remove(id)?;
        self.deadlines.remove(&(pending.deadline, id.clone()));
        if let Some(connection) = pending.asker.connection()
            && let Some(requests) = self.of_connection.get_mut(&connection)
        {
            requests.remove(id);
            if requests.is_empty() {
                self.of_connection.remove(&connection);
            }
        }
        Some(pending)
    }
}

impl Hub {
    /// Asks the subscribers of a channel. Each gets a channel message whose data is
    /// `{:type :rpc-request, :request-id "req-..", :data data, :sender-conn-id nil, :created-at ms}`.
    /// The first that publishes `{:type :rpc-response, :request-id "req-..", :data ..}` on the same
    /// channel, with `:error? true` if it failed, settles it, as `HubEvent::RequestSettled`; the
    /// other subscribers see nothing of that.
    ///
    /// A client asks with `[:sente-lite/rpc {:channel-id .., :data ..}]`: as a call, which is
    /// answered with the response's data or fails, or with a `:request-id` of its own, and gets a
    /// channel message whose data is `{:type :rpc-response, :request-id its-own, :data ..}`.
    ///
    /// # Errors
    /// [`ChannelRequestError`] if it is not asked.
    pub fn request(
        &mut self,
        now: Instant,
        channel: &Value,
        data: impl Into<Payload>,
        timeout: Duration,
    ) -> Result<ChannelRequestId, ChannelRequestError> {
        self.tick(now);
        let pending = self.pending(channel, Payload::from(channel.clone()), timeout);
        self.ask(pending, &data.into()).map_err(|refused| refused.1)
    }

    /// Cancels a request of the application. `false` if it had settled already.
    pub fn cancel_request(&mut self, now: Instant, request: &ChannelRequestId) -> bool {
        self.tick(now);
        let known = self.requests.pending.get(request);
        if !known.is_some_and(|pending| matches!(pending.asker, Asker::Application)) {
            return false;
        }
        self.settle(request, Err(ChannelRequestError::Cancelled));
        true
    }

    /// Asks for a client. `waits` is what it calls its request, and the right to answer if it
    /// called.
    pub(super) fn handle_request(
        &mut self,
        from: ConnId,
        channel: Payload,
        data: Option<Payload>,
        waits: (Option<Payload>, Option<ReplyToken>),
        timeout: Option<&Payload>,
    ) {
        let nil = || Payload::from(Value::Nil);
        let data = data.unwrap_or_else(nil);
        let most = self.config.channels.request_timeout;
        let timeout = timeout
            .and_then(|timeout| timeout.to_value().ok()?.as_i64())
            .and_then(|millis| u64::try_from(millis).ok())
            .map_or(most, |millis| Duration::from_millis(millis).min(most));
        let asker = match waits {
            (_, Some(token)) => Asker::Call {
                connection: from,
                token,
            },
            (id, None) => Asker::Event {
                connection: from,
                id: id.unwrap_or_else(nil),
            },
        };
        let id = self.channel_id(Some(&channel));
        let mut pending = self.pending(id.as_ref().unwrap_or(&Value::Nil), channel, timeout);
        pending.asker = asker;
        let asked = match &id {
            Err(_) => Err(Box::new((pending, ChannelRequestError::NoSubscribers))),
            Ok(id) => {
                let action = Action::Request {
                    channel: id,
                    data: &data,
                };
                match self.ask_guard(from, &action) {
                    Ok(()) => self.ask(pending, &data),
                    Err(denied) => {
                        let error = ChannelRequestError::Denied(denied.reason);
                        Err(Box::new((pending, error)))
                    }
                }
            }
        };
        if let Err(refused) = asked {
            let (pending, error) = *refused;
            self.count_refused_publish();
            self.answer(pending, Err(error));
        }
    }

    /// What a subscriber published, if it is the response to a request, and to which.
    pub(super) fn response_in(
        &self,
        from: ConnId,
        key: &ChannelKey,
        data: &Payload,
    ) -> Option<(ChannelRequestId, Response)> {
        if self.requests.len() == 0 {
            return None;
        }
        let [kind, id, response, error] =
            frames::fields(Some(data), ["type", "request-id", "data", "error?"]);
        let kind = kind?.to_value().ok()?;
        let id = id?.to_value().ok()?;
        if kind.as_keyword()?.as_str() != "rpc-response" {
            return None;
        }
        let id = ChannelRequestId(SmolStr::new(id.as_str()?));
        let pending = self.requests.pending.get(&id)?;
        if pending.key != *key || !self.channels.is_subscribed(key, from) {
            return None;
        }
        let response = Response {
            from,
            data: response.unwrap_or_else(|| Payload::from(Value::Nil)),
            is_error: frames::is_true(error.as_ref()),
        };
        Some((id, response))
    }

    pub(super) fn expire_requests(&mut self) {
        while let Some((at, id)) = self.requests.deadlines.first().cloned()
            && at <= self.now
        {
            self.settle(&id, Err(ChannelRequestError::Timeout));
        }
    }

    fn pending(&self, id: &Value, channel: Payload, timeout: Duration) -> Pending {
        Pending {
            key: ChannelKey::of(id),
            channel,
            asker: Asker::Application,
            asked: self.now,
            deadline: self.now + timeout,
        }
    }

    /// Sends a request to the subscribers. What is not asked comes back.
    fn ask(
        &mut self,
        pending: Pending,
        data: &Payload,
    ) -> Result<ChannelRequestId, Box<(Pending, ChannelRequestError)>> {
        let from = pending.asker.connection();
        let config = &self.config.channels;
        let recipients = self.channel_recipients(&pending.key, from);
        let many = from
            .is_some_and(|from| self.requests.count_of(from) >= config.max_requests_per_connection);
        if recipients.count() == 0 {
            return Err(Box::new((pending, ChannelRequestError::NoSubscribers)));
        }
        if many || self.requests.len() >= config.max_requests {
            return Err(Box::new((pending, ChannelRequestError::TooMany)));
        }
        if !self.broadcasts.is_free(self.now) {
            return Err(Box::new((pending, ChannelRequestError::OverRate)));
        }
        let random = [self.rng.next_u64(), self.rng.next_u64()];
        let [high, low] = random;
        let id = SmolStr::from(alloc::format!("req-{high:016x}{low:016x}"));
        let what = What::ChannelRequest {
            channel: &pending.channel,
            data,
            from: &from.map(|from| from.to_string()).into(),
            request: &Value::from(id.as_str()),
            unix_millis: self.config.unix_millis(self.now),
        };
        let mut packings = Packings::default();
        let options = SendOptions::new();
        let fanout = self.deliver(recipients, &what, &options, Reach::CHANNEL, &mut packings);
        if fanout.connections == 0 {
            return Err(Box::new((pending, ChannelRequestError::Unpackable)));
        }
        let bytes = packings.largest().saturating_mul(fanout.connections);
        self.broadcasts.charge(self.now, fanout.connections, bytes);
        let id = ChannelRequestId(id);
        self.requests.insert(id.clone(), pending);
        Ok(id)
    }

    pub(super) fn settle(
        &mut self,
        id: &ChannelRequestId,
        result: Result<Response, ChannelRequestError>,
    ) {
        let Some(pending) = self.requests.remove(id) else {
            return;
        };
        if matches!(pending.asker, Asker::Application) {
            self.tell(HubEvent::RequestSettled {
                request: id.clone(),
                result,
            });
        } else {
            self.answer(pending, result);
        }
    }

    /// Tells a client what came of its request.
    fn answer(&mut self, pending: Pending, result: Result<Response, ChannelRequestError>) {
        match pending.asker {
            Asker::Application => {}
            Asker::Call { connection, token } => self.output(match result {
                Ok(response) if !response.is_error => HubOutput::Reply {
                    to: connection,
                    token,
                    payload: response.data,
                },
                _ => HubOutput::ReplyError {
                    to: connection,
                    token,
                },
            }),
            Asker::Event { connection, id } => {
                self.answer_by_message(connection, &pending.channel, &id, &result);
            }
        }
    }

    fn answer_by_message(
        &mut self,
        to: ConnId,
        channel: &Payload,
        id: &Payload,
        result: &Result<Response, ChannelRequestError>,
    ) {
        let Some(member) = self.members.get(&to) else {
            return;
        };
        let packer = &*member.packer;
        let from = Value::from(result.as_ref().ok().map(|it| it.from.to_string()));
        let failed = Value::Bool(true);
        let why = frames::error_of(result.as_ref().err().map_or("", |error| error.word()));
        let mut data: Vec<(&str, Slot<'_>)> = Vec::from([
            ("type", Slot::Keyword("rpc-response")),
            ("request-id", Slot::Payload(id)),
        ]);
        let is_error = match result {
            Ok(response) => {
                data.push(("data", Slot::Payload(&response.data)));
                response.is_error
            }
            Err(_) => {
                data.push(("data", Slot::Value(&why)));
                true
            }
        };
        if is_error {
            data.push(("error?", Slot::Value(&failed)));
        }
        let entries = [
            ("channel-id", Slot::Payload(channel)),
            ("data", Slot::Map(&data)),
            ("from", Slot::Value(&from)),
        ];
        let packed = frames::event("sente-lite/channel-msg", &entries, packer);
        let packed = packed.and_then(|event| match member.wraps {
            true => kept::wrap(&event, packer),
            false => Ok(event),
        });
        // A response that its packer cannot express is as good as none: it times out.
        if let Ok(event) = packed {
            self.deliver_to(to, event, SendOptions::new(), false);
        }
    }
}
