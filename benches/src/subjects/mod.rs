//! One function per piece of work and codec. They do the work and no more, and panic on a document
//! that cannot be read, so that no harness measures an error.

pub mod edn;
pub mod json;
#[cfg(feature = "peers")]
pub(crate) mod peers;
