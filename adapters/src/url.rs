//! Where to connect to or listen on, as one line of text.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use sente_core::framing::Kind;
use sente_core::packer::{self, Packer};
use sente_core::{Carrier, Dialect, Extensions};
use thiserror::Error;

/// An address of any transport, and the packer that is spoken there.
///
/// | text | means |
/// | --- | --- |
/// | `ws://host:port/path?query` | a WebSocket; the port defaults to 80 |
/// | `wss://host:port/path?query` | a WebSocket over TLS; the port defaults to 443 |
/// | `tcp://host:port` | a TCP connection |
/// | `tls://host:port` | a TCP connection with TLS |
/// | `unix:/path` | a Unix domain socket |
/// | `unix:@name` | a Unix domain socket without a file, in Linux's abstract names |
/// | `fifo:IN,OUT` | two named pipes that exist: this side reads `IN` and writes `OUT` |
/// | `exec:COMMAND ARGS` | a child process, by its standard input and output; words are split as a shell does, but no shell runs |
/// | `stdio:` | this process's own standard input and output, as a child |
///
/// Windows and its named pipes are left out: descriptors, pipes and sockets are those of Unix.
///
/// All but WebSockets are byte streams. The parameter `packer` names the packer, one of
/// [`packer::named`](sente_core::packer::named); without it that is EDN. It stands at the end, but
/// for `exec:`, where what follows belongs to the command: `tcp://127.0.0.1:4000?packer=msgpack`,
/// `unix:/tmp/s.sock?packer=json`, `exec:?packer=msgpack python3 echo.py`. It is for this side
/// alone, and a WebSocket's server does not see it; both sides have to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Url {
    /// The address.
    pub address: Address,
    packer: Option<String>,
}

/// Where a [`Url`] leads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// A child process: the program and its arguments.
    Exec(Vec<String>),
    /// Two named pipes.
    Fifo {
        /// The one this side reads.
        input: PathBuf,
        /// The one this side writes.
        output: PathBuf,
    },
    /// This process's standard input and output: it is a child, and its parent the peer. What else
    /// the process prints on standard output goes to standard error from then on.
    ///
    /// A parent that wants its child to end closes the child's standard input. The connection then
    /// tells `PeerFinished`, and a [`drain`](crate::Handle::drain) writes what is queued before it ends.
    /// **No signal is caught**, since handlers are the program's: one that is to end in order on
    /// `SIGTERM` drains its connection then. Without that the process ends at once, and its parent sees
    /// the end of the stream and the signal in the exit status. A parent that is gone is an error of the
    /// connection, and no `SIGPIPE`.
    Stdio,
    /// A TCP address.
    Tcp {
        /// A name or an address, IPv6 without brackets.
        host: String,
        /// The port; 0 lets a listener choose.
        port: u16,
    },
    /// A TCP address where TLS is spoken.
    Tls {
        /// A name or an address, IPv6 without brackets: what the server's certificate is to say.
        host: String,
        /// The port; 0 lets a listener choose.
        port: u16,
    },
    /// A Unix domain socket's path.
    Unix(PathBuf),
    /// A Unix domain socket's abstract name, as Linux has them: without a file, and without
    /// permissions.
    UnixAbstract(String),
    /// A WebSocket.
    Ws(WsUrl),
}

/// The parts of a `ws://` or `wss://` URL.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WsUrl {
    /// A name or an address, IPv6 without brackets.
    pub host: String,
    /// The port; 0 lets a listener choose.
    pub port: u16,
    /// The path, beginning with a slash.
    pub path: String,
    /// The query as it stands, without the question mark and the packer; empty if there is none.
    pub query: String,
    /// Whether it goes over TLS.
    pub security: Security,
}

/// Whether TLS is spoken beneath.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "it is or it is not")]
pub enum Security {
    /// No.
    Plain,
    /// Yes.
    Tls,
}

impl Address {
    /// Whether TLS is spoken there: `wss://` and `tls://`.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        match self {
            Self::Tls { .. } => true,
            Self::Ws(url) => matches!(url.security, Security::Tls),
            _ => false,
        }
    }
}

impl WsUrl {
    /// The port a URL leaves out.
    pub(crate) const fn default_port(&self) -> u16 {
        self.security.default_port()
    }
}

impl Security {
    const fn default_port(self) -> u16 {
        match self {
            Self::Plain => 80,
            Self::Tls => 443,
        }
    }
}

impl Url {
    /// The address where another packer is spoken; `None` for the default, EDN.
    ///
    /// # Errors
    /// [`UrlError::UnknownPacker`] if no packer of this name is built in.
    pub fn with_packer(mut self, name: Option<&str>) -> Result<Self, UrlError> {
        self.packer = match name {
            Some(name) if packer::named(name).is_none() => {
                return Err(UrlError::UnknownPacker {
                    name: name.to_owned(),
                });
            }
            name => name.map(str::to_owned),
        };
        Ok(self)
    }

    /// The name of the packer, if the URL says one.
    #[must_use]
    pub fn packer(&self) -> Option<&str> {
        self.packer.as_deref()
    }

    /// The packer the URL names.
    pub(crate) fn to_packer(&self) -> Option<Arc<dyn Packer>> {
        packer::named(self.packer()?)
    }

    /// The dialect spoken there unless somebody says otherwise: Sente on a WebSocket whose path is
    /// `/chsk` or whose query has a `client-id`, sente-lite everywhere else.
    #[must_use]
    pub fn default_dialect(&self) -> Dialect {
        match &self.address {
            Address::Ws(url) => dialect_of(&url.path, &url.query),
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

/// How frames of `packer` are cut out of a byte stream.
pub(crate) fn stream_carrier(packer: &dyn Packer) -> Carrier {
    match packer.kind() {
        Kind::Text => Carrier::Lines,
        Kind::Binary => Carrier::LengthPrefixed,
    }
}

impl From<Address> for Url {
    fn from(address: Address) -> Self {
        Self {
            address,
            packer: None,
        }
    }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(UrlError::NoScheme(text.to_owned()));
        };
        let (address, packer) = match scheme {
            "exec" => exec(rest)?,
            "stdio" => {
                let (rest, packer) = split_packer(rest);
                if !matches!(rest, "" | "//") {
                    return Err(unexpected(text, rest));
                }
                (Address::Stdio, packer)
            }
            "unix" => {
                let (path, packer) = split_packer(rest.strip_prefix("//").unwrap_or(rest));
                if path.is_empty() {
                    return Err(UrlError::NoPath);
                }
                let address = match path.strip_prefix('@') {
                    Some("") => return Err(UrlError::NoPath),
                    Some(name) => Address::UnixAbstract(name.to_owned()),
                    None => Address::Unix(PathBuf::from(path)),
                };
                (address, packer)
            }
            "fifo" => {
                let (paths, packer) = split_packer(rest);
                match paths.split_once(',') {
                    Some((input, output)) if !input.is_empty() && !output.is_empty() => {
                        let (input, output) = (PathBuf::from(input), PathBuf::from(output));
                        (Address::Fifo { input, output }, packer)
                    }
                    _ => return Err(UrlError::NoPair),
                }
            }
            "tcp" => {
                let (rest, packer) = split_packer(text);
                let (host, port) = host_and_port(rest)?;
                (Address::Tcp { host, port }, packer)
            }
            "wss" | "tls" if !cfg!(feature = "tls") => {
                return Err(UrlError::NoTls(scheme.to_owned()));
            }
            "tls" => {
                let (rest, packer) = split_packer(text);
                let (host, port) = host_and_port(rest)?;
                (Address::Tls { host, port }, packer)
            }
            "ws" | "wss" => {
                let security = match scheme {
                    "wss" => Security::Tls,
                    _ => Security::Plain,
                };
                let uri = authority(text)?;
                let (query, packer) = without_packer(text, uri.query().unwrap_or_default())?;
                let url = WsUrl {
                    host: host_of(&uri),
                    port: uri.port_u16().unwrap_or_else(|| security.default_port()),
                    path: uri.path().to_owned(),
                    query,
                    security,
                };
                let url = Self::from(Address::Ws(url));
                return url.with_packer(packer.as_deref());
            }
            _ => return Err(UrlError::UnknownScheme(scheme.to_owned())),
        };
        Self::from(address).with_packer(packer)
    }
}

/// The parameter that names the packer.
const PACKER: &str = "packer=";

/// What stands before `?packer=NAME` at the end of `text`, and the name.
fn split_packer(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once('?') {
        Some((rest, query)) => match query.strip_prefix(PACKER) {
            Some(name) => (rest, Some(name)),
            None => (text, None),
        },
        None => (text, None),
    }
}

/// A query without the parameter that names the packer, and that name.
fn without_packer(url: &str, query: &str) -> Result<(String, Option<String>), UrlError> {
    let (ours, theirs): (Vec<&str>, Vec<&str>) = query
        .split('&')
        .partition(|parameter| parameter.starts_with(PACKER));
    let mut names = ours.iter().filter_map(|ours| ours.strip_prefix(PACKER));
    let name = names.next().map(str::to_owned);
    match ours.get(1) {
        Some(second) => Err(unexpected(url, second)),
        None => Ok((theirs.join("&"), name)),
    }
}

/// A command, with the packer before it.
fn exec(text: &str) -> Result<(Address, Option<&str>), UrlError> {
    let (packer, command) = match text.strip_prefix('?').and_then(|t| t.strip_prefix(PACKER)) {
        Some(rest) => {
            let (name, command) = rest.split_once(' ').unwrap_or((rest, ""));
            (Some(name), command)
        }
        None => (None, text),
    };
    let words =
        shell_words::split(command).map_err(|_| UrlError::UnclosedQuote(command.to_owned()))?;
    if words.is_empty() {
        return Err(UrlError::NoCommand);
    }
    Ok((Address::Exec(words), packer))
}

fn host_and_port(text: &str) -> Result<(String, u16), UrlError> {
    let uri = authority(text)?;
    let rest = uri.path_and_query().map_or("", |path| path.as_str());
    if !matches!(rest, "" | "/") {
        return Err(unexpected(text, rest));
    }
    let Some(port) = uri.port_u16() else {
        return Err(UrlError::NoPort(text.to_owned()));
    };
    Ok((host_of(&uri), port))
}

fn unexpected(url: &str, part: &str) -> UrlError {
    UrlError::Unexpected {
        url: url.to_owned(),
        part: part.to_owned(),
    }
}

fn authority(text: &str) -> Result<http::Uri, UrlError> {
    let uri: http::Uri =
        text.parse()
            .map_err(|error: http::uri::InvalidUri| UrlError::Invalid {
                url: text.to_owned(),
                problem: match text.split_once(":") {
                    Some((scheme, rest)) if !rest.starts_with("//") || rest.len() < 3 => {
                        format!("write {scheme}://HOST:PORT")
                    }
                    _ => error.to_string(),
                },
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
        let Some(packer) = self.packer() else {
            return self.address.fmt(f);
        };
        match &self.address {
            Address::Exec(words) => {
                write!(f, "exec:?{PACKER}{packer} {}", shell_words::join(words))
            }
            Address::Ws(url) if !url.query.is_empty() => write!(f, "{url}&{PACKER}{packer}"),
            address => write!(f, "{address}?{PACKER}{packer}"),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exec(words) => write!(f, "exec:{}", shell_words::join(words)),
            Self::Fifo { input, output } => {
                write!(f, "fifo:{},{}", input.display(), output.display())
            }
            Self::Stdio => f.write_str("stdio:"),
            Self::Tcp { host, port } => write!(f, "tcp://{}:{port}", bracketed(host)),
            Self::Tls { host, port } => write!(f, "tls://{}:{port}", bracketed(host)),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::UnixAbstract(name) => write!(f, "unix:@{name}"),
            Self::Ws(url) => url.fmt(f),
        }
    }
}

impl fmt::Display for WsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}://{}:{}{}",
            match self.security {
                Security::Plain => "ws",
                Security::Tls => "wss",
            },
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
    /// `fifo:` without two paths.
    #[error("fifo: needs two paths, as in fifo:/tmp/to-me,/tmp/from-me")]
    NoPair,
    /// `unix:` alone.
    #[error("unix: needs a path, as in unix:/tmp/s.sock")]
    NoPath,
    /// A TCP address without a port.
    #[error("{0:?} needs a port, as in tcp://127.0.0.1:4000")]
    NoPort(String),
    /// No scheme.
    #[error(
        "{0:?} has no scheme: write ws://host:port/, tcp://host:port, unix:/path, fifo:IN,OUT, exec:COMMAND or stdio:"
    )]
    NoScheme(String),
    /// TLS is not built in.
    #[error("{0}: is not built in: TLS needs the feature `tls`")]
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
    /// A packer that is not there, or not built in.
    #[error("there is no packer {name:?}; there are {}", known_packers())]
    UnknownPacker {
        /// The name.
        name: String,
    },
    /// A scheme nobody knows.
    #[error("unknown scheme {0:?}: use ws:, wss:, tcp:, tls:, unix:, fifo:, exec: or stdio:")]
    UnknownScheme(String),
}

fn known_packers() -> String {
    let mut known = packer::NAMES.join(", ");
    if packer::named("gzip-edn").is_some() {
        known.push_str(", and each of them with gzip- before it");
    }
    known
}
