//! What clients say on channels, and what they are answered.

use alloc::string::ToString;

use sente_edn::{Map, Value};
use smol_str::SmolStr;

use crate::connection::{Message, keyword};
use crate::event::{Event, Payload};
use crate::id::{ConnId, ReplyToken};
use crate::queue::SendOptions;
use crate::time::Instant;

use super::Hub;
use super::broadcast::Publication;
use super::channels::{ChannelKey, PublishError, SubscribeError};
use super::event::HubEvent;
use super::fanout::{FanoutError, HubOutput};
use super::frames::{self, Slot};
use super::guard::Action;

/// What a client is told of a subscribe, an unsubscribe, or a publish that it called.
struct Ack {
    channel: Payload,
    success: Value,
    error: Option<SmolStr>,
}

impl Hub {
    /// Whether `event` may be one that a hub answers itself: a connection whose events are no such
    /// one need not ask the hub at all.
    #[must_use]
    pub fn may_take(event: &Event) -> bool {
        event.id.namespace() == "sente-lite"
            && matches!(
                event.id.name(),
                "publish" | "rpc" | "subscribe" | "unsubscribe"
            )
    }

    /// Takes what a client said if it is about channels, and gives back what is for the application.
    ///
    /// `:sente-lite/subscribe` and `:sente-lite/unsubscribe` are acknowledged as
    /// `:sente-lite/subscribed`, `:sente-lite/publish` is not, as in sente-lite. Sent as a call, each
    /// is answered with what an acknowledgement says. `:sente-lite/rpc` asks the subscribers: see
    /// [`request`](Self::request).
    #[must_use]
    pub fn handle_message(
        &mut self,
        now: Instant,
        from: ConnId,
        message: Message,
    ) -> Option<Message> {
        self.tick(now);
        if !self.config.channels.enabled
            || !Self::may_take(&message.event)
            || !self.members.contains_key(&from)
        {
            return Some(message);
        }
        let Message { event, reply } = message;
        let data = event.data.as_ref();
        match event.id.name() {
            "publish" => self.handle_publish(from, data, reply),
            "subscribe" => self.handle_subscribe(from, data, reply),
            "unsubscribe" => self.handle_unsubscribe(from, data, reply),
            _ => {
                // Without a channel it is an ordinary event.
                let [Some(channel), data, id, timeout] =
                    frames::fields(data, ["channel-id", "data", "request-id", "timeout-ms"])
                else {
                    return Some(Message { event, reply });
                };
                self.handle_request(from, channel, data, (id, reply), timeout.as_ref());
            }
        }
        None
    }

    fn handle_subscribe(
        &mut self,
        from: ConnId,
        data: Option<&Payload>,
        reply: Option<ReplyToken>,
    ) {
        let [channel] = frames::fields(data, ["channel-id"]);
        let subscribed = self.channel_id(channel.as_ref()).and_then(|id| {
            self.ask_guard(from, &Action::Subscribe { channel: &id })
                .map_err(|denied| SubscribeError::Denied(denied.reason))?;
            self.subscribe_quietly(from, &id)
        });
        let (success, error, retained) = match subscribed {
            Ok(retained) => (true, None, retained),
            Err(error) => (false, Some(error.word()), None),
        };
        let ack = Ack {
            channel: channel.unwrap_or_else(|| Payload::from(Value::Nil)),
            success: Value::Bool(success),
            error,
        };
        self.acknowledge(from, reply, &ack);
        self.deliver_retained(from, retained.unwrap_or_default());
    }

    fn handle_unsubscribe(
        &mut self,
        from: ConnId,
        data: Option<&Payload>,
        reply: Option<ReplyToken>,
    ) {
        let [channel] = frames::fields(data, ["channel-id"]);
        let ended = self
            .channel_id(channel.as_ref())
            .and_then(|id| self.unsubscribe(self.now, from, &id));
        // sente-lite's success is nil here, not false.
        let (success, error) = match ended {
            Ok(()) => (Value::Bool(true), None),
            Err(error) => (Value::Nil, Some(error.word())),
        };
        let ack = Ack {
            channel: channel.unwrap_or_else(|| Payload::from(Value::Nil)),
            success,
            error,
        };
        self.acknowledge(from, reply, &ack);
    }

    fn handle_publish(&mut self, from: ConnId, data: Option<&Payload>, reply: Option<ReplyToken>) {
        let [channel, data, exclude] =
            frames::fields(data, ["channel-id", "data", "exclude-sender?"]);
        let nil = || Payload::from(Value::Nil);
        let channel = channel.unwrap_or_else(nil);
        let data = data.unwrap_or_else(nil);
        let published = match self.channel_id(Some(&channel)) {
            // No channel has such an id.
            Err(_) => Err((Value::Nil, PublishError::Fanout(FanoutError::NoChannel))),
            Ok(id) => {
                let key = ChannelKey::of(&id);
                let action = Action::Respond {
                    channel: &id,
                    data: &data,
                };
                if let Some((request, response)) = self.response_in(from, &key, &data) {
                    let may = self.ask_guard(from, &action);
                    if may.is_ok() {
                        self.settle(&request, Ok(response));
                    }
                    may.map_err(|denied| (id, PublishError::Denied(denied)))
                } else {
                    let publication = Publication {
                        key,
                        channel: channel.clone(),
                        data,
                        from: Value::from(from.to_string()),
                        except: frames::is_true(exclude.as_ref()).then_some(from),
                        options: SendOptions::new(),
                    };
                    let published = self.publish_for(from, &id, publication);
                    published.map(|_| ()).map_err(|error| (id, error))
                }
            }
        };
        let error = published.err().map(|(id, error)| {
            let why = error.word();
            self.count_refused_publish();
            // Publishing where nobody listens is no mistake that anybody need hear of.
            if error != PublishError::Fanout(FanoutError::NoChannel) {
                self.tell(HubEvent::PublishRefused {
                    connection: from,
                    channel: id,
                    why: why.clone(),
                });
            }
            why
        });
        if reply.is_some() {
            let ack = Ack {
                channel,
                success: Value::Bool(error.is_none()),
                error,
            };
            self.acknowledge(from, reply, &ack);
        }
    }

    /// The channel id of a request: nil where it has none.
    pub(super) fn channel_id(&self, channel: Option<&Payload>) -> Result<Value, SubscribeError> {
        let Some(channel) = channel else {
            return Ok(Value::Nil);
        };
        let limit = self.config.channels.max_id_bytes;
        if let Some(bytes) = channel.raw().map(bytes::Bytes::len)
            && bytes > limit
        {
            return Err(SubscribeError::IdTooLong { bytes, limit });
        }
        // It was read when it arrived.
        Ok(channel.to_value().unwrap_or_default())
    }

    /// Answers a call, or says the same as an event where it was none.
    fn acknowledge(&mut self, to: ConnId, reply: Option<ReplyToken>, ack: &Ack) {
        let Some(member) = self.members.get(&to) else {
            return;
        };
        if let Some(token) = reply {
            let mut map = Map::new();
            let channel = ack.channel.to_value().unwrap_or_default();
            map.insert(keyword("channel-id"), channel);
            map.insert(keyword("success"), ack.success.clone());
            if let Some(error) = &ack.error {
                map.insert(keyword("error"), frames::error_of(error));
            }
            let payload = Payload::from(Value::Map(map));
            self.output(HubOutput::Reply { to, token, payload });
            return;
        }
        let error = frames::error_of(ack.error.as_deref().unwrap_or_default());
        let entries = [
            ("channel-id", Slot::Payload(&ack.channel)),
            ("success", Slot::Value(&ack.success)),
            ("error", Slot::Value(&error)),
        ];
        let count = if ack.error.is_some() { 3 } else { 2 };
        let entries = entries.get(..count).unwrap_or_default();
        let packed = frames::event("sente-lite/subscribed", entries, &*member.packer);
        // The packer has just read the id that it is to write.
        if let Ok(event) = packed {
            self.deliver_to(to, event, SendOptions::new(), false);
        }
    }
}
