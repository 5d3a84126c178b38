//! The packers by their names, for command lines, URLs and configuration files.

use alloc::sync::Arc;

use super::{Edn, Packer};

/// The names of the packers that were built in, without those with `gzip-` before them.
pub const NAMES: &[&str] = &[
    "edn",
    #[cfg(feature = "json")]
    "json",
    #[cfg(feature = "transit")]
    "transit-json",
    #[cfg(feature = "transit")]
    "transit-json-verbose",
    #[cfg(feature = "msgpack")]
    "msgpack",
];

/// The packer called `name`, with its defaults: one of [`NAMES`], or one with `gzip-` before it
/// where the feature `gzip` is built in. `None` if there is no such packer, or its feature is not
/// built in.
///
/// `transit-json-bencode` is sente-lite's other name for `transit-json`: its messages are the same
/// bytes, without any bencode.
///
/// ```
/// use sente_core::packer;
///
/// assert_eq!(packer::named("edn").map(|packer| packer.name().len()), Some(3));
/// assert!(packer::named("protobuf").is_none());
/// ```
#[must_use]
pub fn named(name: &str) -> Option<Arc<dyn Packer>> {
    #[cfg(feature = "gzip")]
    if let Some(inner) = name.strip_prefix("gzip-") {
        // One gzip is enough.
        return match plain(inner)? {
            Plain::Edn => Some(Arc::new(super::Gzip::new(Edn))),
            #[cfg(feature = "json")]
            Plain::Json => Some(Arc::new(super::Gzip::new(super::Json::new()))),
            #[cfg(feature = "transit")]
            Plain::Transit => Some(Arc::new(super::Gzip::new(super::TransitJson::new()))),
            #[cfg(feature = "transit")]
            Plain::TransitVerbose => {
                Some(Arc::new(super::Gzip::new(super::TransitJsonVerbose::new())))
            }
            #[cfg(feature = "msgpack")]
            Plain::MsgPack => Some(Arc::new(super::Gzip::new(super::MsgPack::new()))),
        };
    }
    Some(match plain(name)? {
        Plain::Edn => Arc::new(Edn),
        #[cfg(feature = "json")]
        Plain::Json => Arc::new(super::Json::new()),
        #[cfg(feature = "transit")]
        Plain::Transit => Arc::new(super::TransitJson::new()),
        #[cfg(feature = "transit")]
        Plain::TransitVerbose => Arc::new(super::TransitJsonVerbose::new()),
        #[cfg(feature = "msgpack")]
        Plain::MsgPack => Arc::new(super::MsgPack::new()),
    })
}

enum Plain {
    Edn,
    #[cfg(feature = "json")]
    Json,
    #[cfg(feature = "transit")]
    Transit,
    #[cfg(feature = "transit")]
    TransitVerbose,
    #[cfg(feature = "msgpack")]
    MsgPack,
}

fn plain(name: &str) -> Option<Plain> {
    Some(match name {
        "edn" => Plain::Edn,
        #[cfg(feature = "json")]
        "json" => Plain::Json,
        #[cfg(feature = "transit")]
        "transit-json" | "transit-json-bencode" => Plain::Transit,
        #[cfg(feature = "transit")]
        "transit-json-verbose" => Plain::TransitVerbose,
        #[cfg(feature = "msgpack")]
        "msgpack" => Plain::MsgPack,
        _ => return None,
    })
}
