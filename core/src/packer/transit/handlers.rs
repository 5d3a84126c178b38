//! What an application makes of tags of its own, in both directions.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use sente_edn::Value;
use smol_str::SmolStr;

type Read = dyn Fn(Value) -> Result<Value, String> + Send + Sync;
type Write = dyn Fn(&Value) -> Result<(String, Value), String> + Send + Sync;

/// Handlers for tags that mean something to the application: how what stands behind one becomes a
/// value, and how a tagged value is written.
///
/// Without a handler a tag is kept: `["~#point",[1,2]]` is read as `#point [1 2]` and written as it
/// came. Transit's own tags (`set`, `list`, `cmap`, `ratio`, the single letters of dates and
/// numbers) cannot be handled; `r` (a URI) and `link` can.
///
/// ```
/// use sente_core::packer::{Packer, TransitHandlers, TransitJson};
/// use sente_core::{Limits, edn};
///
/// let handlers = TransitHandlers::new()
///     // What comes as a point is a map here,
///     .read("point", |rep| match rep.as_sequence() {
///         Some([x, y]) => Ok([("x", x.clone()), ("y", y.clone())]
///             .into_iter()
///             .map(|(key, value)| (edn::Value::from(key), value))
///             .collect::<edn::Map>()
///             .into()),
///         _ => Err("a point has two coordinates".into()),
///     })
///     // and what is `#my/celsius 20` here goes out as `["~#temperature",["C",20]]`.
///     .write("my/celsius", |value| {
///         let rep = edn::Value::from(vec!["C".into(), value.clone()]);
///         Ok(("temperature".into(), rep))
///     });
/// let packer = TransitJson::new().handlers(handlers);
///
/// let point = packer.unpack(br#"["~#point",[1,2]]"#, &Limits::default())?;
/// assert_eq!(point.to_string(), r#"{"x" 1, "y" 2}"#);
///
/// let mut out = Vec::new();
/// packer.pack(&edn::from_str("#my/celsius 20").unwrap(), &mut out)?;
/// assert_eq!(out, br#"["~#temperature",["C",20]]"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct TransitHandlers {
    read: BTreeMap<SmolStr, Arc<Read>>,
    write: BTreeMap<SmolStr, Arc<Write>>,
}

impl TransitHandlers {
    /// No handlers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What stands behind `tag` is read by `handler`, which says what is wrong if it cannot. A
    /// handler for a single character is given the rest of a string such as `"~rhttp://…"`.
    ///
    /// A handler runs when a value is unpacked, not when a message is looked through as it comes
    /// in: if it refuses, it is the payload that cannot be read, not the message.
    #[must_use]
    pub fn read<F>(mut self, tag: &str, handler: F) -> Self
    where
        F: Fn(Value) -> Result<Value, String> + Send + Sync + 'static,
    {
        self.read.insert(SmolStr::new(tag), Arc::new(handler));
        self
    }

    /// A value tagged `tag` is written as `handler` says: the tag for the wire, and what stands
    /// behind it. It may use Transit's own tags, and is asked twice about a key, which must give the
    /// same. What it gives may hold further tagged values, but their handlers may not go on without
    /// end: more than 64 levels are an error.
    #[must_use]
    pub fn write<F>(mut self, tag: &str, handler: F) -> Self
    where
        F: Fn(&Value) -> Result<(String, Value), String> + Send + Sync + 'static,
    {
        self.write.insert(SmolStr::new(tag), Arc::new(handler));
        self
    }

    pub(super) fn reader(&self, tag: &str) -> Option<&Read> {
        self.read.get(tag).map(|handler| &**handler)
    }

    pub(super) fn writer(&self, tag: &str) -> Option<&Write> {
        self.write.get(tag).map(|handler| &**handler)
    }
}

impl fmt::Debug for TransitHandlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransitHandlers")
            .field("read", &self.read.keys())
            .field("write", &self.write.keys())
            .finish()
    }
}
