//! What the project's codecs cost beside others.
//!
//! - [`documents`] makes the texts, the same data in each format;
//! - [`subjects`] holds one function per piece of work and codec, which every harness calls;
//! - [`cases`] pairs the two and names them, [`goals`] says what they are held to;
//! - the binary `edn_once` repeats one case, for counting its instructions from outside.
//!
//! Everything is deterministic. Nothing here is part of the product.

pub mod cases;
pub mod documents;
pub mod goals;
pub mod measure;
pub mod message;
pub mod subjects;
