//! For fields that hold a sequence and are a list in EDN.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Query {
//!     #[serde(with = "sente_edn::serde::as_list")]
//!     ids: Vec<u8>,
//! }
//!
//! let text = sente_edn::serde::to_string(&Query { ids: vec![1, 2] }).unwrap();
//! assert_eq!(text, "{:ids (1 2)}");
//! assert_eq!(sente_edn::serde::from_str::<Query>(&text).unwrap().ids, vec![1, 2]);
//! ```

use ::serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::names;

/// Writes a sequence as a list; to other formats than EDN it is a sequence.
///
/// # Errors
///
/// Those of the serializer.
pub fn serialize<T: Serialize + ?Sized, S: Serializer>(
    items: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_newtype_struct(names::LIST, items)
}

/// Reads a sequence, whichever form it has.
///
/// # Errors
///
/// Those of the deserializer.
pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    T::deserialize(deserializer)
}
