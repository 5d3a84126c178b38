//! What the modules for fields of other crates' types consist of.

/// The two functions that `#[serde(with)]` wants, and the same two for an `Option`.
macro_rules! with {
    ($there:ty as $here:ty: $convert:expr;) => {
        use ::serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

        /// Writes it as EDN's own form.
        ///
        /// # Errors
        ///
        /// Those of the serializer, and if EDN has no form for it.
        pub fn serialize<S: Serializer>(there: &$there, serializer: S) -> Result<S::Ok, S::Error> {
            here(there)?.serialize(serializer)
        }

        /// Reads EDN's own form.
        ///
        /// # Errors
        ///
        /// Those of the deserializer, and if the type cannot hold what was read.
        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<$there, D::Error> {
            there(<$here>::deserialize(deserializer)?)
        }

        /// The same for an `Option`, of which `None` is `nil`.
        ///
        /// A field that may be missing needs `#[serde(default)]` besides.
        pub mod option {
            use ::serde::{Deserialize, Deserializer, Serialize, Serializer};

            /// Writes it as EDN's own form, or as `nil`.
            ///
            /// # Errors
            ///
            /// Those of the serializer, and if EDN has no form for it.
            pub fn serialize<S: Serializer>(
                there: &Option<$there>,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                let here = there.as_ref().map(super::here).transpose()?;
                here.serialize(serializer)
            }

            /// Reads EDN's own form, or `nil`.
            ///
            /// # Errors
            ///
            /// Those of the deserializer, and if the type cannot hold what was read.
            pub fn deserialize<'de, D: Deserializer<'de>>(
                deserializer: D,
            ) -> Result<Option<$there>, D::Error> {
                let here = Option::<$here>::deserialize(deserializer)?;
                here.map(super::there).transpose()
            }
        }

        fn here<E: ser::Error>(there: &$there) -> Result<$here, E> {
            let convert = $convert;
            convert(there).map_err(E::custom)
        }

        fn there<E: de::Error>(here: $here) -> Result<$there, E> {
            here.try_into().map_err(E::custom)
        }
    };
}

pub(super) use with;
