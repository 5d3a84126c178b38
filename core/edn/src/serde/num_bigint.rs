//! For fields of the type `num_bigint::BigInt`, which are integers with an `N` in EDN.
//!
//! Needs the feature `num-bigint`, too.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! struct Row {
//!     #[serde(with = "sente_edn::serde::num_bigint")]
//!     count: num_bigint::BigInt,
//!     #[serde(with = "sente_edn::serde::num_bigint::option", default)]
//!     before: Option<num_bigint::BigInt>,
//! }
//!
//! let row = Row { count: 7.into(), before: None };
//! let text = sente_edn::serde::to_string(&row).unwrap();
//! assert_eq!(text, r#"{:count 7N, :before nil}"#);
//! assert_eq!(sente_edn::serde::from_str::<Row>(&text).unwrap(), row);
//! ```
//!
//! Integers without an `N` are read, too. One that is read may have 4096 digits, see
//! [`interop`](crate::interop#long-numbers). Another format than EDN is given a string.

use super::with::with;

with! {
    ::num_bigint::BigInt as crate::integer::BigInt: crate::integer::BigInt::try_from;
}
