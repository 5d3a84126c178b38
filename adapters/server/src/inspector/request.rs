//! What an inspector page asks of the server.

use sente_core::edn::Value;
use sente_core::{Event, Hub, Target, UserId};

/// An event that the page wants sent, read from `{:to .. :event [id data]}`.
#[derive(Clone, Debug)]
pub(super) struct SendRequest {
    pub(super) to: Whom,
    pub(super) event: Event,
}

/// Whom it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    All,
    Channel(Value),
    /// By the text of its id.
    Connection(String),
    User(Value),
}

impl SendRequest {
    /// The error is the word that the page is told.
    pub(super) fn read(data: &Value) -> Result<Self, &'static str> {
        let to = data.get_keyword("to").ok_or("no-target")?;
        let whom = [
            ("user", Whom::User as fn(Value) -> Whom),
            ("channel", Whom::Channel),
        ];
        let named = whom
            .into_iter()
            .find_map(|(name, make)| to.get_keyword(name).map(|id| make(id.clone())));
        let connection = to.get_keyword("connection").and_then(Value::as_str);
        let to = match (named, connection) {
            (Some(named), _) => named,
            (None, Some(id)) => Whom::Connection(id.to_owned()),
            (None, None) if to.as_keyword().is_some_and(|it| it.as_str() == "all") => Whom::All,
            (None, None) => return Err("no-target"),
        };
        let event = data.get_keyword("event").cloned().unwrap_or_default();
        let event = Event::from_value(event).map_err(|_| "no-event")?;
        match event.id.namespace() {
            // What pages like this one listen to.
            "inspector" => Err("reserved"),
            _ => Ok(Self { to, event }),
        }
    }
}

impl Whom {
    /// The error is the word that the page is told.
    pub(super) fn target(self, hub: &Hub) -> Result<Target, &'static str> {
        match self {
            Self::All => Ok(Target::All),
            Self::Channel(id) => Ok(Target::Channel(id)),
            Self::User(id) => Ok(Target::User(UserId::from(&id))),
            Self::Connection(id) => hub
                .connections()
                .map(|info| info.connection)
                .find(|connection| connection.to_string() == id)
                .map(Target::Connection)
                .ok_or("no-such-connection"),
        }
    }
}
