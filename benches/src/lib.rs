//! What the project's codecs cost beside others.
//!
//! - [`documents`] makes the texts, the same data in each format;
//! - [`subjects`] holds one function per piece of work and codec, which every harness calls;
//! - [`cases`] pairs the two and names them, [`goals`] says what they are held to;
//! - [`measure`] takes times, and [`report`] makes a page of everything that was measured;
//! - the binary `edn_table` does both;
//! - the benches `edn_instructions` and `edn_allocations` count, with callgrind and with `dhat`;
//! - the binary `edn_once` repeats one case, for counting its instructions from outside;
//! - [`packers`] does the same for whole messages and every packer: the binary `packer_once` repeats
//!   one case, and `packer_sizes` prints sizes and what was counted as a page.
//! - [`engine`] has the engine's own pieces of work, which `core_once` repeats, and `runtimes`
//!   echoes calls between two ends on each runtime, for `runtimes_once`.
//!
//! Everything is deterministic. Nothing here is part of the product.

pub mod cases;
pub mod documents;
pub mod engine;
pub mod goals;
pub mod measure;
pub mod message;
pub mod packers;
pub mod report;
#[cfg(feature = "runtimes")]
pub mod runtimes;
pub mod subjects;
