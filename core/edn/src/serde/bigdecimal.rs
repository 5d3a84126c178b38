//! For fields of the type `bigdecimal::BigDecimal`, which are decimal numbers with an `M` in EDN.
//!
//! Needs the feature `bigdecimal`, too.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! struct Row {
//!     #[serde(with = "sente_edn::serde::bigdecimal")]
//!     price: bigdecimal::BigDecimal,
//!     #[serde(with = "sente_edn::serde::bigdecimal::option", default)]
//!     before: Option<bigdecimal::BigDecimal>,
//! }
//!
//! let row = Row { price: "1.50".parse().unwrap(), before: None };
//! let text = sente_edn::serde::to_string(&row).unwrap();
//! assert_eq!(text, r#"{:price 1.50M, :before nil}"#);
//! assert_eq!(sente_edn::serde::from_str::<Row>(&text).unwrap(), row);
//! ```
//!
//! One that is read may have 4096 digits, but a power of ten of any size that Java takes: see
//! [`interop`](crate::interop#powers-of-ten) for what to beware of. Another format than EDN is given
//! a string.

use super::with::with;

with! {
    ::bigdecimal::BigDecimal as crate::decimal::Decimal: crate::decimal::Decimal::try_from;
}
