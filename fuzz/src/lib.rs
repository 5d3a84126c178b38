//! What must hold for any bytes at all: one function per property, which panics where it does not.
//!
//! Ordinary tests call them with the corpora in `fuzz/corpus` and with random bytes. `cargo xtask
//! fuzz` lets libFuzzer call them; its wrappers are in `fuzz/libfuzzer`.

mod compressed;
mod json;
mod msgpack;
mod serde_types;
mod stream;
mod transit;
mod value;

pub use compressed::{gzip, websocket_deflate};
pub use json::{json_cursor, json_value};
pub use msgpack::{msgpack_serde, msgpack_value};
pub use serde_types::edn_serde;
pub use stream::edn_stream;
pub use transit::{transit_message, transit_value};
pub use value::{edn_cursor, edn_value};

use sente_edn::{Dialect, Limits};

/// A function, and the name of its corpus and of its wrapper.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "there is nothing more to a target"
)]
pub struct Target {
    /// The function's name.
    pub name: &'static str,
    /// The function.
    pub check: fn(&[u8]),
}

/// Every target there is, by name.
pub const TARGETS: &[Target] = &[
    Target {
        name: "edn_cursor",
        check: edn_cursor,
    },
    Target {
        name: "edn_serde",
        check: edn_serde,
    },
    Target {
        name: "edn_stream",
        check: edn_stream,
    },
    Target {
        name: "edn_value",
        check: edn_value,
    },
    Target {
        name: "gzip",
        check: gzip,
    },
    Target {
        name: "json_cursor",
        check: json_cursor,
    },
    Target {
        name: "json_value",
        check: json_value,
    },
    Target {
        name: "msgpack_serde",
        check: msgpack_serde,
    },
    Target {
        name: "msgpack_value",
        check: msgpack_value,
    },
    Target {
        name: "transit_message",
        check: transit_message,
    },
    Target {
        name: "transit_value",
        check: transit_value,
    },
    Target {
        name: "websocket_deflate",
        check: websocket_deflate,
    },
];

/// The default limits in both dialects.
fn dialects() -> [Limits; 2] {
    [Dialect::Clojure, Dialect::Either].map(|dialect| Limits::default().dialect(dialect))
}

/// Bits that depend on all of the input, to choose sizes and limits by. The input itself is all
/// text, so that any text can be a seed and any corpus can be read.
struct Dice(u64);

impl Dice {
    /// FNV-1a.
    fn new(data: &[u8]) -> Self {
        let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        Self(data.iter().fold(0xcbf2_9ce4_8422_2325, mix))
    }

    /// A number below `end`, or 0.
    fn below(&mut self, end: usize) -> usize {
        // The constants of PCG; its upper bits are the good ones.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let bits = usize::try_from(self.0 >> 33).unwrap_or_default();
        bits.checked_rem(end).unwrap_or_default()
    }
}
