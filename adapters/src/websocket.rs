//! The HTTP upgrade over a socket, both sides, with the engine's machines.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use sente_core::framing::upgrade::{
    ClientUpgrade, ServerUpgrade, UpgradeError, UpgradeLimits, UpgradeRequest,
};
use sente_core::{ConnectionConfig, Dialect, TransmitBuf};

use crate::connect::{ConnectError, ConnectOptions};
use crate::deflate;
use crate::link::{self, Held, Link, Transport};
use crate::runtime::{Runtime, timeout};
use crate::seed::random;
use crate::url::{EXTENSIONS, Security, WsUrl, bracketed};

/// Asks for the upgrade over an open link and reads the answer.
pub(crate) async fn ask(
    mut link: Box<dyn Link>,
    url: &WsUrl,
    dialect: Dialect,
    options: &ConnectOptions,
) -> Result<Transport, ConnectError> {
    let address = format!("{}:{}", bracketed(&url.host), url.port);
    let scheme = match url.security {
        Security::Plain => "ws",
        Security::Tls => "wss",
    };
    let host = if url.port == url.default_port() {
        bracketed(&url.host)
    } else {
        address.clone()
    };
    let target = target(url, dialect, options)?;
    let headers: Vec<(&str, &str)> = options
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let upgrade = ClientUpgrade::new(&host, &target, &headers, random()?)?;
    let mut upgrade = deflate::offer(upgrade, options);
    let mut out = TransmitBuf::new();
    upgrade.poll_transmit(&mut out);
    link::write_all(&mut *link, &mut out).await?;
    let answer = loop {
        if let Some(answer) = upgrade.poll_response() {
            break answer?;
        }
        read_into(&mut *link, |input| match input {
            Some(input) => upgrade.handle_input(input),
            None => upgrade.handle_eof(),
        })
        .await?;
    };
    let mut transport = Transport::new(link, format!("{scheme}://{address}{}", url.path));
    transport.deflate = deflate::answered(answer);
    transport.rest = upgrade.take_rest();
    Ok(transport)
}

/// Path and query: in Sente's dialect the caller's own parameters first, then `client-id`, then
/// `csrf-token`, which the former cannot override (Sente 1.22, `chsk-url` and `get-chsk-url`). An
/// offer of extensions stands last.
fn target(url: &WsUrl, dialect: Dialect, options: &ConnectOptions) -> io::Result<String> {
    const OWN: [&str; 2] = ["client-id", "csrf-token"];
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut own: [Option<String>; 2] = [options.client_id.clone(), options.csrf_token.clone()];
    let given = form_urlencoded::parse(url.query.as_bytes()).into_owned();
    for (name, value) in given.chain(options.params.iter().cloned()) {
        if name == EXTENSIONS && options.extensions.is_some() {
            continue;
        }
        match OWN.iter().position(|known| *known == name) {
            Some(at) if dialect == Dialect::Sente => {
                if let Some(slot) = own.get_mut(at) {
                    slot.get_or_insert(value);
                }
            }
            _ => pairs.push((name, value)),
        }
    }
    if dialect == Dialect::Sente {
        let [client_id, csrf_token] = own;
        let client_id = match client_id {
            Some(id) => id,
            None => crate::seed::conn_id()?.to_string(),
        };
        pairs.push(("client-id".to_owned(), client_id));
        if let Some(token) = csrf_token {
            pairs.push(("csrf-token".to_owned(), token));
        }
    }
    if let Some(extensions) = options.extensions {
        pairs.push((EXTENSIONS.to_owned(), extensions.to_string()));
    }
    let query: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    Ok(if query.is_empty() {
        url.path.clone()
    } else {
        format!("{}?{}", url.path, query.join("&"))
    })
}

/// Percent-encoding as Sente's clients write it: the form encoding, but `%20` for a blank and
/// `%2A` for an asterisk (encore's `url-encode`).
fn encode(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
        .replace('*', "%2A")
}

/// A request that asked for a WebSocket and waits for its answer.
pub(crate) struct Asked {
    pub(crate) link: Held,
    pub(crate) upgrade: ServerUpgrade,
    pub(crate) request: UpgradeRequest,
}

/// Reads a request. What is none, or asks for no upgrade, is answered here and gives `None`.
pub(crate) async fn read_request(
    runtime: &dyn Runtime,
    mut link: Box<dyn Link>,
) -> io::Result<Option<Asked>> {
    let mut upgrade = ServerUpgrade::new(UpgradeLimits::default());
    let request = loop {
        match upgrade.poll_request() {
            Some(Ok(request)) => break request,
            Some(Err(error)) => {
                if let Some(status) = error.status() {
                    refuse(runtime, &mut *link, status, &[], &format!("{error}\n")).await?;
                }
                return Ok(None);
            }
            None => {
                read_into(&mut *link, |input| match input {
                    Some(input) => upgrade.handle_input(input),
                    None => upgrade.handle_eof(),
                })
                .await?;
            }
        }
    };
    if let Err(problem) = request.upgradable {
        refuse(
            runtime,
            &mut *link,
            problem.status(),
            problem.headers(),
            &format!("{problem}\n"),
        )
        .await?;
        return Ok(None);
    }
    Ok(Some(Asked {
        link: Held::new(link),
        upgrade,
        request,
    }))
}

impl Asked {
    /// Agrees: the transport begins behind the 101 response.
    pub(crate) async fn accept(
        mut self,
        peer: String,
        config: &ConnectionConfig,
    ) -> io::Result<Transport> {
        let mut out = TransmitBuf::new();
        let agreed = deflate::accept(&mut self.upgrade, &self.request, config, &mut out);
        let agreed = agreed.map_err(invalid)?;
        let mut link = self.link.into_inner();
        link::write_all(&mut *link, &mut out).await?;
        let mut rest = self.upgrade.take_rest();
        if rest.is_empty() {
            // It would hold what the head was read into.
            rest = BytesMut::new();
        }
        let mut transport = Transport::new(link, peer);
        transport.deflate = agreed;
        transport.rest = rest;
        Ok(transport)
    }
}

/// How much of what a refused client still says is read, and for how long.
const LAST_WORDS_BYTES: usize = 4 * 1024 * 1024;
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Answers with a status and a text, and closes. What the client still says is read and dropped: a
/// socket closed with unread bytes resets, and the client would lose the answer.
pub(crate) async fn refuse(
    runtime: &dyn Runtime,
    link: &mut dyn Link,
    status: u16,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<()> {
    let mut out = TransmitBuf::new();
    ServerUpgrade::refuse(status, headers, body, &mut out).map_err(invalid)?;
    link::write_all(link, &mut out).await?;
    link::shutdown(link).await?;
    timeout(runtime, LAST_WORDS, async {
        let mut said = 0;
        while said < LAST_WORDS_BYTES {
            let mut dropped = BytesMut::new();
            match link::read(link, &mut dropped).await {
                Ok(0) | Err(_) => return,
                Ok(read) => said = said.saturating_add(read),
            }
        }
    })
    .await;
    Ok(())
}

fn invalid(error: UpgradeError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

/// Reads once and gives what came to `take`; `None` for the end.
async fn read_into(
    link: &mut dyn Link,
    take: impl FnOnce(Option<&mut BytesMut>),
) -> io::Result<()> {
    let mut input = BytesMut::new();
    let read = link::read(link, &mut input).await?;
    take((read > 0).then_some(&mut input));
    Ok(())
}
