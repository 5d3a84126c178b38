//! Values of a configuration that are neither times nor numbers: origins, tokens, paths, packers.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use sente_adapters::{Address, Url};
use sente_core::admission;
use sente_core::packer::{self, Packer};
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde::{Serialize, Serializer};

use tracing_subscriber::EnvFilter;

use super::units::{Reader, Spelled, by_spelling};

by_spelling!(Endpoint, ListenUrl, LogLevel, Origin, PackerName, Secret);

/// Where to listen: `ws://HOST:PORT/`, `tcp://HOST:PORT`, `unix:/PATH` or `stdio:`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ListenUrl(pub(crate) Url);

impl Spelled for ListenUrl {
    const EXPECTED: &'static str = "a URL to listen on, such as \"ws://127.0.0.1:8080/\"";

    fn read(text: &str) -> Result<Self, String> {
        let url: Url = text.parse().map_err(|error| format!("{error}"))?;
        match url.address {
            Address::Exec(_) => Err(
                "exec: starts a child and is nothing to listen on; write ws://, tcp://, unix: \
                     or stdio:"
                    .to_owned(),
            ),
            Address::Fifo { .. } => Err(
                "fifo: is one connection and nothing to listen on; write ws://, tcp://, unix: \
                     or stdio:"
                    .to_owned(),
            ),
            _ => Ok(Self(url)),
        }
    }

    fn spell(&self) -> String {
        self.0.to_string()
    }
}

/// A packer by its name.
#[derive(Clone, Debug)]
pub(crate) struct PackerName(pub(crate) Arc<dyn Packer>);

impl PartialEq for PackerName {
    fn eq(&self, other: &Self) -> bool {
        self.0.name() == other.0.name()
    }
}

impl Spelled for PackerName {
    const EXPECTED: &'static str = "the name of a packer, such as \"transit-json\"";

    fn read(text: &str) -> Result<Self, String> {
        packer::named(text).map(Self).ok_or_else(|| {
            format!(
                "there is no packer {text:?}; there are {}, and each of them with gzip- before it",
                packer::NAMES.join(", ")
            )
        })
    }

    fn spell(&self) -> String {
        self.0.name().to_owned()
    }
}

/// The path of an HTTP endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint(pub(crate) String);

impl Endpoint {
    /// That of a default.
    pub(crate) fn at(path: &str) -> Self {
        Self(path.to_owned())
    }
}

impl Spelled for Endpoint {
    const EXPECTED: &'static str = "a path, such as \"/health\"";

    fn read(text: &str) -> Result<Self, String> {
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"?#{}*\"<>\\^`|".contains(&byte);
        if !text.starts_with('/') || text.len() < 2 || !text.bytes().all(plain) {
            return Err(format!(
                "{text:?} is no path; write one that begins with a slash, such as /health"
            ));
        }
        Ok(Self(text.to_owned()))
    }

    fn spell(&self) -> String {
        self.0.clone()
    }
}

/// What nobody else may know. Neither `Debug` nor a printed configuration shows it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// The secret `text`.
    ///
    /// # Errors
    /// Why it would be none.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        if text == REDACTED {
            // Anybody could guess it who has ever seen a printed configuration.
            return Err(format!(
                "{REDACTED} stands where --print-config left a secret out; put the secret here, \
                 or remove the line"
            ));
        }
        if text.trim().is_empty() {
            return Err("a secret is not blank".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    /// The secret itself.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl Spelled for Secret {
    const EXPECTED: &'static str = "a secret text";

    fn read(text: &str) -> Result<Self, String> {
        Self::new(text)
    }

    fn spell(&self) -> String {
        REDACTED.to_owned()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// The CSRF token that is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Csrf {
    /// A new one with each start.
    Generated,
    /// None: right as long as no cookie says who is connecting.
    #[default]
    Off,
    /// This one.
    Token(Secret),
}

/// The web pages that may connect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Origins {
    /// Every one, and programs that are no browsers.
    #[default]
    All,
    /// Those of these origins.
    Only(Vec<Origin>),
}

impl Origins {
    /// As admission takes it.
    pub(crate) fn to_rule(&self) -> Result<admission::Origins, admission::OriginError> {
        match self {
            Self::All => Ok(admission::Origins::all()),
            Self::Only(origins) => {
                admission::Origins::only(origins.iter().map(|origin| origin.0.as_str()))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Origins {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Origins;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"all\", or a list such as [\"https://app.example\"]")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Origins, E> {
                match text {
                    "all" => Ok(Origins::All),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Origins, A::Error> {
                let mut origins = Vec::new();
                while let Some(origin) = items.next_element()? {
                    origins.push(origin);
                }
                Ok(Origins::Only(origins))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl Serialize for Origins {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_str("all"),
            Self::Only(origins) => origins.serialize(serializer),
        }
    }
}

/// One origin, as browsers write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin(String);

impl Spelled for Origin {
    const EXPECTED: &'static str = "an origin, such as \"https://app.example\"";

    fn read(text: &str) -> Result<Self, String> {
        if text == "null" {
            return Err(
                "\"null\" is the origin of every sandboxed page, and would allow them all; write \
                 the origin of your own page, such as https://app.example"
                    .to_owned(),
            );
        }
        match admission::Origins::only([text]) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(error) => Err(error.to_string()),
        }
    }

    fn spell(&self) -> String {
        self.0.clone()
    }
}

/// Which log lines are written: a level, or `tracing`'s filters, `info,sente_adapters=debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogLevel(pub(crate) String);

impl Spelled for LogLevel {
    const EXPECTED: &'static str = "a level, such as \"info\"";

    fn read(text: &str) -> Result<Self, String> {
        // A misspelt level alone would be taken for the name of a crate.
        let bare = text.bytes().all(|byte| byte.is_ascii_alphabetic());
        if bare && !LEVELS.contains(&text) {
            return Err(format!(
                "there is no level {text:?}; there are {}, and filters such as \
                 info,sente_adapters=debug",
                LEVELS.join(", ")
            ));
        }
        match EnvFilter::builder().parse(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(error) => Err(format!(
                "{error}; write a level such as info, or filters such as info,sente_adapters=debug"
            )),
        }
    }

    fn spell(&self) -> String {
        self.0.clone()
    }
}

/// How log lines look.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, Serialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogFormat {
    /// One JSON object a line
    Json,
    /// For people
    #[default]
    Text,
}

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

const REDACTED: &str = "<redacted>";
