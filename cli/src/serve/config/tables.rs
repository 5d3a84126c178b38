//! How a table of the configuration is written down: each key once, with its type and its default.

use std::time::Duration;

use super::units::{Count, Percent, Size, Time};

/// A table whose keys have the defaults that stand beside them; in parentheses what these are taken from.
macro_rules! section {
    (
        $(#[$about:meta])*
        $name:ident $(($from:ident: $source:ty))? {
            $($key:ident: $type:ty = $default:expr,)*
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize)]
        #[serde(
            default,
            deny_unknown_fields,
            rename_all = "kebab-case",
            expecting = "a table"
        )]
        pub(crate) struct $name {
            $(pub(crate) $key: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                $(let $from = <$source>::default();)?
                Self {
                    $($key: $default,)*
                }
            }
        }
    };
}
pub(crate) use section;

/// A table whose keys are fields of what the library takes: there they have their defaults, and there
/// `apply` puts what the configuration says.
macro_rules! mirror {
    (
        $(#[$about:meta])*
        $name:ident of $of:ty {
            $($key:ident: $type:ty = $($field:ident).+,)*
        }
    ) => {
        section! {
            $(#[$about])*
            $name (library: $of) {
                $($key: $type = Mirrors::of(library.$($field).+),)*
            }
        }

        impl $name {
            /// Says it as the library has it.
            pub(crate) fn apply(&self, to: &mut $of) {
                $(to.$($field).+ = Mirrors::to(&self.$key);)*
            }
        }
    };
}
pub(crate) use mirror;

/// A value that the library has without its unit.
pub(crate) trait Mirrors<T> {
    /// That value.
    fn of(value: T) -> Self;

    /// The library's.
    fn to(&self) -> T;
}

macro_rules! wraps {
    ($($type:ident of $of:ty),*) => {$(
        impl Mirrors<$of> for $type {
            fn of(value: $of) -> Self {
                Self(value)
            }

            fn to(&self) -> $of {
                self.0
            }
        }
    )*};
}

wraps!(Count of usize, Percent of u8, Size of usize, Time of Duration);

impl Mirrors<u64> for Count {
    fn of(value: u64) -> Self {
        Self(usize::try_from(value).unwrap_or(usize::MAX))
    }

    fn to(&self) -> u64 {
        u64::try_from(self.0).unwrap_or(u64::MAX)
    }
}

impl Mirrors<u64> for Size {
    fn of(value: u64) -> Self {
        Self(usize::try_from(value).unwrap_or(usize::MAX))
    }

    fn to(&self) -> u64 {
        u64::try_from(self.0).unwrap_or(u64::MAX)
    }
}

impl Mirrors<Self> for bool {
    fn of(value: Self) -> Self {
        value
    }

    fn to(&self) -> Self {
        *self
    }
}
