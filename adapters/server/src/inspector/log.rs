//! The last events of a server, as the inspector shows them: few, small, and without their payloads
//! unless the application says so.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use sente_core::edn::{Map, Value};
use sente_core::{ConnId, EventId, Payload, UserId};

use super::overview::{int, keyword, map};

/// A payload of more packed bytes than this is not read to be shown.
const MAX_READ: usize = 64 * 1024;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoggedKind {
    /// A client's frames or events were unreadable.
    BadEvent,
    /// A connection joined.
    Joined,
    /// A connection ended.
    Left,
    /// A client sent an event.
    Received,
    /// A client's event was refused.
    Refused,
    /// The application sent an event.
    Sent,
    /// A connection does not take what is sent to it.
    Slow,
    /// Somebody was not let in.
    TurnedAway,
    /// Events were not written before their connection ended.
    Undelivered,
}

impl LoggedKind {
    const fn word(self) -> &'static str {
        match self {
            Self::BadEvent => "bad-event",
            Self::Joined => "joined",
            Self::Left => "left",
            Self::Received => "received",
            Self::Refused => "refused",
            Self::Sent => "sent",
            Self::Slow => "slow",
            Self::TurnedAway => "turned-away",
            Self::Undelivered => "undelivered",
        }
    }
}

/// Something that happened, before it is decided what may be shown of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Logged<'a> {
    /// When, in milliseconds since 1970.
    pub unix_millis: u64,
    /// What.
    pub kind: LoggedKind,
    /// On which connection.
    pub connection: Option<ConnId>,
    /// Whose that is.
    pub user: Option<&'a UserId>,
    /// The event, if it was one.
    pub id: Option<&'a EventId>,
    /// What the event carried.
    pub payload: Option<&'a Payload>,
    /// Whether whoever sent it waits for a reply.
    pub is_call: bool,
    /// More of it in words, such as a reason or a target. Shown as it is, at most 200 characters.
    pub about: Option<String>,
}

impl<'a> Logged<'a> {
    /// Something of a kind at a time, and nothing more.
    #[must_use]
    pub const fn new(unix_millis: u64, kind: LoggedKind) -> Self {
        Self {
            unix_millis,
            kind,
            connection: None,
            user: None,
            id: None,
            payload: None,
            is_call: false,
            about: None,
        }
    }

    /// The connection, and whose it is.
    #[must_use]
    pub const fn on(mut self, connection: ConnId, user: Option<&'a UserId>) -> Self {
        self.connection = Some(connection);
        self.user = user;
        self
    }

    /// More of it in words.
    #[must_use]
    pub fn about(mut self, about: impl Into<String>) -> Self {
        self.about = Some(about.into());
        self
    }
}

/// What is shown of an event's payload.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shown {
    /// That there is one, and how many bytes.
    Hidden,
    /// This text in its place.
    Text(String),
    /// Nothing: the event does not appear at all.
    Unlogged,
}

/// Decides what the inspector shows of payloads. Default: that they are there, and no more.
///
/// ```
/// use sente_server::inspector::{Redaction, Shown};
///
/// let redaction = Redaction::by(|event| match event.id {
///     Some(id) if id.namespace() == "chat" => Shown::Hidden,
///     Some(id) if id.as_str() == "login/password" => Shown::Unlogged,
///     _ => Redaction::text(event.payload, 200),
/// });
/// # let _ = redaction;
/// ```
#[derive(Clone, Default)]
pub struct Redaction(Option<Arc<Rule>>);

type Rule = dyn Fn(&Logged<'_>) -> Shown + Send + Sync;

impl Redaction {
    /// Shows no payload.
    #[must_use]
    pub const fn hide_payloads() -> Self {
        Self(None)
    }

    /// Shows the beginning of every payload, at most so many bytes of its EDN. Whoever may look
    /// sees what users write to each other then.
    #[must_use]
    pub fn show_payloads(max_bytes: usize) -> Self {
        Self::by(move |event| Self::text(event.payload, max_bytes))
    }

    /// Asks the application. It is asked on the way of every event: be quick.
    #[must_use]
    pub fn by(rule: impl Fn(&Logged<'_>) -> Shown + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(rule)))
    }

    /// The beginning of a payload's EDN, at most so many bytes; of one that is larger than 64 KiB
    /// only that it is there.
    #[must_use]
    pub fn text(payload: Option<&Payload>, max_bytes: usize) -> Shown {
        let Some(payload) = payload else {
            return Shown::Text(String::new());
        };
        if payload.raw().is_some_and(|raw| raw.len() > MAX_READ) {
            return Shown::Hidden;
        }
        match payload.to_value() {
            Ok(value) => Shown::Text(shorten(value.to_string(), max_bytes)),
            Err(_) => Shown::Hidden,
        }
    }

    fn decide(&self, event: &Logged<'_>) -> Shown {
        match &self.0 {
            Some(rule) => rule(event),
            None => Shown::Hidden,
        }
    }
}

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.0.is_some() {
            "by rule"
        } else {
            "hidden"
        };
        write!(f, "Redaction({what})")
    }
}

/// The last events: a ring that forgets the oldest.
#[derive(Clone, Debug)]
pub struct EventLog {
    max_events: usize,
    redaction: Redaction,
    /// The number of the next event.
    next: u64,
    events: VecDeque<Value>,
}

impl EventLog {
    /// Keeps so many events.
    #[must_use]
    pub const fn new(max_events: usize, redaction: Redaction) -> Self {
        Self {
            max_events,
            redaction,
            next: 0,
            events: VecDeque::new(),
        }
    }

    /// Takes down what happened, as far as it may be shown.
    pub fn record(&mut self, event: &Logged<'_>) {
        let shown = self.redaction.decide(event);
        if shown == Shown::Unlogged || self.max_events == 0 {
            return;
        }
        let mut entry = Map::new();
        let mut put = |name, value| entry.insert(keyword(name), value);
        put("seq", int(self.next));
        put("at", int(event.unix_millis));
        put("kind", keyword(event.kind.word()));
        if let Some(connection) = event.connection {
            put("connection", Value::from(connection.to_string()));
        }
        if let Some(user) = event.user {
            put("user", user.to_value());
        }
        if let Some(id) = event.id {
            put(
                "event",
                Value::from(shorten(format!(":{}", id.as_str()), 200)),
            );
        }
        if event.is_call {
            put("call", Value::Bool(true));
        }
        if let Some(about) = &event.about {
            put("about", Value::from(shorten(about.clone(), 200)));
        }
        if let Some(payload) = event.payload {
            if let Some(raw) = payload.raw() {
                put("bytes", int(raw.len()));
            }
            match shown {
                Shown::Text(text) => put("data", Value::from(text)),
                _ => put("hidden", Value::Bool(true)),
            };
        }
        self.next = self.next.saturating_add(1);
        self.events.push_back(Value::Map(entry));
        if self.events.len() > self.max_events {
            self.events.pop_front();
        }
    }

    /// What to read from to hear only of what is new.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.next
    }

    /// The events from the number `from` on, oldest first, and how many of them are forgotten:
    /// `{:events [..] :missed 0}`. Nothing if there are none.
    #[must_use]
    pub fn since(&self, from: u64) -> Option<Value> {
        let kept = u64::try_from(self.events.len()).unwrap_or(u64::MAX);
        let oldest = self.next.saturating_sub(kept);
        let skipped = usize::try_from(from.saturating_sub(oldest)).unwrap_or(usize::MAX);
        let events: Vec<Value> = self.events.iter().skip(skipped).cloned().collect();
        let missed = oldest.saturating_sub(from);
        (!events.is_empty() || missed > 0).then(|| {
            map([
                ("events", Value::Vector(events.into())),
                ("missed", int(missed)),
            ])
        })
    }
}

/// A text of at most `max` bytes, with a mark where it was cut.
fn shorten(mut text: String, max: usize) -> String {
    if text.len() > max {
        let end = (0..=max).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
    text
}
