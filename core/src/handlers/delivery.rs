//! One message on its way to the handlers: the event, whose it is, and the right to answer it.

use crate::connection::Message;
use crate::event::Event;
use crate::id::ReplyToken;
use crate::peer::Peer;

/// A message as every handler that wants it sees it.
///
/// All see the event and the sender. A call can be answered by one of them: the first that
/// [takes the reply token](Self::take_reply). One that nobody took stays in the [`Message`] the
/// delivery was made of, so that whoever dispatches can answer with an error or forget it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Delivery<'a> {
    /// The event.
    pub event: &'a Event,
    /// Who sent it; `None` where there is only one peer and nobody asks.
    pub from: Option<&'a Peer>,
    reply: Option<&'a mut Option<ReplyToken>>,
}

impl<'a> Delivery<'a> {
    /// A delivery of an event that nobody waits on.
    #[must_use]
    pub const fn new(event: &'a Event) -> Self {
        Self {
            event,
            from: None,
            reply: None,
        }
    }

    /// A delivery of what a connection gave out.
    #[must_use]
    pub const fn of_message(message: &'a mut Message) -> Self {
        Self {
            event: &message.event,
            from: None,
            reply: Some(&mut message.reply),
        }
    }

    /// The same, and who sent it. A server always says so: without it no waiter for one connection
    /// ([`Registry::take_from`](super::Registry::take_from)) sees the message.
    #[must_use]
    pub const fn sent_by(mut self, peer: &'a Peer) -> Self {
        self.from = Some(peer);
        self
    }

    /// Whether the sender waits for an answer that no handler has taken upon itself yet.
    #[must_use]
    pub const fn wants_reply(&self) -> bool {
        matches!(&self.reply, Some(Some(_)))
    }

    /// The right to answer, once; `None` for an event nobody waits on, and for all but the first
    /// who ask.
    pub const fn take_reply(&mut self) -> Option<ReplyToken> {
        match &mut self.reply {
            Some(reply) => reply.take(),
            None => None,
        }
    }
}
