//! For fields of the type `jiff::Timestamp`, which are `#inst` in EDN.
//!
//! Needs the feature `jiff`, too.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! struct Row {
//!     #[serde(with = "sente_edn::serde::jiff")]
//!     at: jiff::Timestamp,
//!     #[serde(with = "sente_edn::serde::jiff::option", default)]
//!     before: Option<jiff::Timestamp>,
//! }
//!
//! let row = Row { at: "2026-01-02T03:04:05.678Z".parse().unwrap(), before: None };
//! let text = sente_edn::serde::to_string(&row).unwrap();
//! assert_eq!(text, r#"{:at #inst "2026-01-02T03:04:05.678-00:00", :before nil}"#);
//! assert_eq!(sente_edn::serde::from_str::<Row>(&text).unwrap(), row);
//! ```
//!
//! `#inst` ends with the millisecond. **A timestamp that does not is an error when it is written**,
//! and that is nearly every one that `Timestamp::now` gives: round it first, as by
//! `now.round(jiff::Unit::Millisecond)`. A text may have more digits, but what is read of them is
//! what Clojure reads: milliseconds.
//!
//! Another format than EDN is given the string that stands behind `#inst`.

use super::with::with;

with! {
    ::jiff::Timestamp as crate::inst::Inst: |at: &::jiff::Timestamp| crate::inst::Inst::try_from(*at);
}
