//! The format of packed values, asked once where it would be asked for each message.

use alloc::sync::Arc;

/// What [`Packer::format`](super::Packer::format) says. Those of this crate are told apart without
/// comparing texts.
#[derive(Clone, Debug)]
pub(crate) struct Format {
    known: Known,
    /// The name of another.
    other: Option<Arc<str>>,
}

/// The formats that are written from Rust types as they are, and all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Edn,
    Json,
    MsgPack,
    Other,
}

impl Format {
    pub(crate) fn new(name: &str) -> Self {
        let known = match name {
            "edn" => Known::Edn,
            "json" => Known::Json,
            "msgpack" => Known::MsgPack,
            _ => Known::Other,
        };
        Self {
            known,
            other: (known == Known::Other).then(|| name.into()),
        }
    }

    #[inline]
    pub(crate) const fn known(&self) -> Known {
        self.known
    }

    pub(crate) fn as_str(&self) -> &str {
        match self.known {
            Known::Edn => "edn",
            Known::Json => "json",
            Known::MsgPack => "msgpack",
            Known::Other => self.other.as_deref().unwrap_or_default(),
        }
    }
}

impl PartialEq for Format {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.known == other.known && (self.known != Known::Other || self.other == other.other)
    }
}

impl Eq for Format {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_says_the_name_it_was_made_of() {
        for name in ["edn", "json", "msgpack", "transit", "", "edn2"] {
            assert_eq!(Format::new(name).as_str(), name);
            assert_eq!(Format::new(name) == Format::new("edn"), name == "edn");
            assert_eq!(
                Format::new(name) == Format::new("transit"),
                name == "transit"
            );
        }
    }
}
