//! Payloads checked by JSON Schema before anything comes of them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jsonschema::{PatternOptions, Validator};
use sente_core::{Action, Denied, Event, EventId, Guard, Payload, Peer};
use serde_json::Value;

/// A [`Guard`] that checks the data of received events by JSON Schema. Needs the feature
/// `json-schema`.
///
/// The data are looked at as JSON: keywords, as keys and as values, are their text without the
/// colon, sets and lists are arrays, and what JSON has no word for (symbols, characters, instants,
/// tags) is a string. An event without data counts as `null`.
///
/// What does not match is denied as `invalid`, with a detail that says where, as a JSON pointer,
/// and what was expected; it never quotes the data. The check of another guard comes
/// behind it, see [`and`](Self::and).
///
/// ```
/// use sente_core::{Action, ConnId, Event, EventId, Guard, Peer};
/// use sente_server::SchemaGuard;
///
/// let say = EventId::new("chat/say")?;
/// let guard = SchemaGuard::new().event(
///     say.clone(),
///     r#"{"type": "object", "required": ["text"],
///         "properties": {"text": {"type": "string", "maxLength": 500}}}"#,
/// )?;
/// let event = Event::new(say, sente_core::edn::from_str("{:text 17}")?);
/// let peer = Peer::new(ConnId::new(0, &[0; 10]));
/// let denied = guard.check(&peer, &Action::Event(&event)).unwrap_err();
/// assert_eq!(denied.reason, "invalid");
/// assert!(denied.detail.unwrap().starts_with("/text: "));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SchemaGuard {
    schemas: BTreeMap<EventId, Arc<Validator>>,
    max_bytes: usize,
    only_listed: bool,
    next: Option<Arc<dyn Guard>>,
}

impl SchemaGuard {
    /// A guard without schemas, which denies nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            schemas: BTreeMap::new(),
            max_bytes: 64 * 1024,
            only_listed: false,
            next: None,
        }
    }

    /// Checks events of this id by `schema`, which is JSON. A second schema for an id takes the
    /// place of the first.
    ///
    /// References to elsewhere are not followed. Patterns are matched in time that grows with the
    /// text alone, so those with look-around or back-references are refused here.
    ///
    /// # Errors
    /// [`SchemaError`] if it is no JSON, or no schema.
    pub fn event(mut self, id: EventId, schema: &str) -> Result<Self, SchemaError> {
        let wrong = |message: String| SchemaError {
            event: id.clone(),
            message,
        };
        let schema = serde_json::from_str(schema).map_err(|error| wrong(error.to_string()))?;
        let validator = jsonschema::options()
            .with_pattern_options(PatternOptions::regex())
            .offline()
            .build(&schema)
            .map_err(|error| wrong(error.to_string()))?;
        self.schemas.insert(id, Arc::new(validator));
        Ok(self)
    }

    /// The longest packed data that are checked, in bytes; longer are denied as `too-large`. Only
    /// events that have a schema are measured. Default 64 KiB.
    #[must_use]
    pub const fn max_bytes(mut self, max: usize) -> Self {
        self.max_bytes = max;
        self
    }

    /// Denies events that have no schema, as `no-schema`. Default: they pass. The frames of
    /// channels, such as `:sente-lite/subscribe`, are events, too.
    #[must_use]
    pub const fn only_listed(mut self) -> Self {
        self.only_listed = true;
        self
    }

    /// Asks `guard` of everything that passes here, and of all that is no event.
    #[must_use]
    pub fn and(mut self, guard: Arc<dyn Guard>) -> Self {
        self.next = Some(guard);
        self
    }

    fn check_event(&self, event: &Event) -> Result<(), Denied> {
        let Some(validator) = self.schemas.get(&event.id) else {
            return match self.only_listed {
                true => Err(Denied::new("no-schema")),
                false => Ok(()),
            };
        };
        let value = match &event.data {
            None => Value::Null,
            Some(data) => self.to_json(data)?,
        };
        validator.validate(&value).map_err(|error| {
            let at = error.instance_path().to_string();
            Denied::new("invalid").with_detail(shortened(&format!("{at}: {}", error.masked())))
        })
    }

    fn to_json(&self, data: &Payload) -> Result<Value, Denied> {
        let size = match data.raw() {
            Some(raw) => raw.len(),
            None => data.to_value().map_or(0, |value| value.to_string().len()),
        };
        if size > self.max_bytes {
            let detail = format!("{size} bytes are over the limit of {}", self.max_bytes);
            return Err(Denied::new("too-large").with_detail(detail));
        }
        // Deeper than what is typed may nest it is an error, too.
        data.deserialize().map_err(|error| {
            Denied::new("invalid").with_detail(shortened(&format!("not as JSON: {error}")))
        })
    }
}

impl Default for SchemaGuard {
    fn default() -> Self {
        Self::new()
    }
}

impl Guard for SchemaGuard {
    fn check(&self, from: &Peer, action: &Action<'_>) -> Result<(), Denied> {
        if let Action::Event(event) = action {
            self.check_event(event)?;
        }
        match &self.next {
            Some(next) => next.check(from, action),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for SchemaGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SchemaGuard")
            .field("events", &self.schemas.keys())
            .field("max_bytes", &self.max_bytes)
            .field("only_listed", &self.only_listed)
            .finish_non_exhaustive()
    }
}

/// What is wrong with a schema: the caller's mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchemaError {
    /// The event it was for.
    pub event: EventId,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the schema of {}: {}", self.event, self.message)
    }
}

impl std::error::Error for SchemaError {}

/// A path is as long as the peer's keys make it.
fn shortened(text: &str) -> String {
    const MOST: usize = 300;
    text.chars().take(MOST).collect()
}
