//! For fields of the type `uuid::Uuid`, which are `#uuid` in EDN.
//!
//! Needs the feature `uuid`, too.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! struct Row {
//!     #[serde(with = "sente_edn::serde::uuid")]
//!     id: uuid::Uuid,
//!     #[serde(with = "sente_edn::serde::uuid::option", default)]
//!     before: Option<uuid::Uuid>,
//! }
//!
//! let row = Row { id: uuid::uuid!("f81d4fae-7dec-11d0-a765-00a0c91e6bf6"), before: None };
//! let text = sente_edn::serde::to_string(&row).unwrap();
//! assert_eq!(text, r#"{:id #uuid "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", :before nil}"#);
//! assert_eq!(sente_edn::serde::from_str::<Row>(&text).unwrap(), row);
//! ```
//!
//! Another format than EDN is given the usual string.

use core::convert::Infallible;

use super::with::with;

with! {
    ::uuid::Uuid as crate::uuid::Uuid: |id: &::uuid::Uuid| Ok::<_, Infallible>((*id).into());
}
