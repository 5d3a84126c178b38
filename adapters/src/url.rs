//! Where to connect to or listen on, as one line of text.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use sente_core::{Dialect, Extensions};
use thiserror::Error;

/// An address of any transport.
///
/// | text | means |
/// | --- | --- |
/// | `ws://host:port/path?query` | a WebSocket; the port defaults to 80 |
/// | `tcp://host:port` | a TCP connection carrying lines |
/// | `unix:/path` | a Unix domain socket carrying lines |
/// | `exec:COMMAND ARGS` | a child process, lines on its standard input and output; words are split as a shell does, but no shell runs |
/// | `stdio:` | this process's own standard input and output, as a child |
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Url {
    /// A child process: the program and its arguments.
    Exec(Vec<String>),
    /// This process's standard input and output.
    Stdio,
    /// A TCP address.
    Tcp {
        /// A name or an address, IPv6 without brackets.
        host: String,
        /// The port; 0 lets a listener choose.
        port: u16,
    },
    /// A Unix domain socket's path.
    Unix(PathBuf),
    /// A WebSocket.
    Ws(WsUrl),
}

/// The parts of a `ws://` URL.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WsUrl {
    /// A name or an address, IPv6 without brackets.
    pub host: String,
    /// The port; 0 lets a listener choose.
    pub port: u16,
    /// The path, beginning with a slash.
    pub path: String,
    /// The query as it stands, without the question mark; empty if there is none.
    pub query: String,
}

impl Url {
    /// The dialect spoken there unless somebody says otherwise: Sente on a WebSocket whose path is
    /// `/chsk` or whose query has a `client-id`, sente-lite everywhere else.
    #[must_use]
    pub fn default_dialect(&self) -> Dialect {
        match self {
            Self::Ws(url) => dialect_of(&url.path, &url.query),
            _ => Dialect::SenteLite,
        }
    }
}

/// The rule by which both sides choose the dialect of a WebSocket.
pub(crate) fn dialect_of(path: &str, query: &str) -> Dialect {
    let has_client_id =
        form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "client-id");
    if path == "/chsk" || has_client_id {
        Dialect::Sente
    } else {
        Dialect::SenteLite
    }
}

/// The parameter in which a WebSocket client offers extensions.
pub(crate) const EXTENSIONS: &str = "sente-ext";

/// The extensions a query offers; `None` if it offers none or in no form we know.
pub(crate) fn offered_in(query: &str) -> Option<Extensions> {
    form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == EXTENSIONS)
        .and_then(|(_, offer)| offer.parse().ok())
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(UrlError::NoScheme(text.to_owned()));
        };
        match scheme {
            "exec" => {
                let words = shell_words::split(rest)
                    .map_err(|_| UrlError::UnclosedQuote(rest.to_owned()))?;
                if words.is_empty() {
                    return Err(UrlError::NoCommand);
                }
                Ok(Self::Exec(words))
            }
            "stdio" if rest.is_empty() || rest == "//" => Ok(Self::Stdio),
            "stdio" => Err(UrlError::Unexpected {
                url: text.to_owned(),
                part: rest.to_owned(),
            }),
            "unix" => {
                let path = rest.strip_prefix("//").unwrap_or(rest);
                if path.is_empty() {
                    return Err(UrlError::NoPath);
                }
                Ok(Self::Unix(PathBuf::from(path)))
            }
            "tcp" => {
                let uri = authority(text)?;
                if !matches!(
                    uri.path_and_query().map(|path| path.as_str()),
                    None | Some("/")
                ) {
                    return Err(UrlError::Unexpected {
                        url: text.to_owned(),
                        part: uri
                            .path_and_query()
                            .map_or("", |path| path.as_str())
                            .to_owned(),
                    });
                }
                let Some(port) = uri.port_u16() else {
                    return Err(UrlError::NoPort(text.to_owned()));
                };
                Ok(Self::Tcp {
                    host: host_of(&uri),
                    port,
                })
            }
            "ws" => {
                let uri = authority(text)?;
                Ok(Self::Ws(WsUrl {
                    host: host_of(&uri),
                    port: uri.port_u16().unwrap_or(80),
                    path: uri.path().to_owned(),
                    query: uri.query().unwrap_or_default().to_owned(),
                }))
            }
            "wss" | "tls" => Err(UrlError::NoTls(scheme.to_owned())),
            _ => Err(UrlError::UnknownScheme(scheme.to_owned())),
        }
    }
}

fn authority(text: &str) -> Result<http::Uri, UrlError> {
    let uri: http::Uri =
        text.parse()
            .map_err(|error: http::uri::InvalidUri| UrlError::Invalid {
                url: text.to_owned(),
                problem: error.to_string(),
            })?;
    let problem = match uri.authority() {
        None => Some("a host is missing"),
        Some(authority) if authority.host().is_empty() => Some("a host is missing"),
        Some(authority) if authority.as_str().contains('@') => {
            Some("user and password have no place here")
        }
        // `http` takes a port that is no number for none.
        Some(authority) if authority.port_u16().is_none() && has_port(authority.as_str()) => {
            Some("the port is no number up to 65535")
        }
        Some(_) => None,
    };
    match problem {
        Some(problem) => Err(UrlError::Invalid {
            url: text.to_owned(),
            problem: problem.to_owned(),
        }),
        None => Ok(uri),
    }
}

/// Whether something stands behind the host's colon.
fn has_port(authority: &str) -> bool {
    authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.ends_with(']'))
}

fn host_of(uri: &http::Uri) -> String {
    let host = uri.host().unwrap_or_default();
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned()
}

/// A host as it stands before a port: an IPv6 address in brackets.
pub(crate) fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exec(words) => write!(f, "exec:{}", shell_words::join(words)),
            Self::Stdio => f.write_str("stdio:"),
            Self::Tcp { host, port } => write!(f, "tcp://{}:{port}", bracketed(host)),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Ws(url) => url.fmt(f),
        }
    }
}

impl fmt::Display for WsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ws://{}:{}{}",
            bracketed(&self.host),
            self.port,
            self.path
        )?;
        if !self.query.is_empty() {
            write!(f, "?{}", self.query)?;
        }
        Ok(())
    }
}

/// What is wrong with a URL.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Not a URL of its scheme.
    #[error("{url:?} is no address: {problem}")]
    Invalid {
        /// The text.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// `exec:` alone.
    #[error("exec: needs a command, as in exec:python3 echo.py")]
    NoCommand,
    /// `unix:` alone.
    #[error("unix: needs a path, as in unix:/tmp/s.sock")]
    NoPath,
    /// A TCP address without a port.
    #[error("{0:?} needs a port, as in tcp://127.0.0.1:4000")]
    NoPort(String),
    /// No scheme.
    #[error(
        "{0:?} has no scheme: write ws://host:port/, tcp://host:port, unix:/path, exec:COMMAND or stdio:"
    )]
    NoScheme(String),
    /// TLS is not there yet.
    #[error(
        "{0}: is not supported yet: TLS transports come later, use ws:// or tcp:// behind a proxy"
    )]
    NoTls(String),
    /// Something behind the address.
    #[error("{url:?} has no place for {part:?}")]
    Unexpected {
        /// The text.
        url: String,
        /// What should not be there.
        part: String,
    },
    /// A quote that is never closed.
    #[error("a quote is not closed in {0:?}")]
    UnclosedQuote(String),
    /// A scheme nobody knows.
    #[error("unknown scheme {0:?}: use ws:, tcp:, unix:, exec: or stdio:")]
    UnknownScheme(String),
}
