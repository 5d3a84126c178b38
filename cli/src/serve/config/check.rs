//! What has to fit together in a configuration, beyond each value by itself.

use std::collections::BTreeMap;

use std::time::Duration;

use sente_adapters::Address;
use sente_core::admission::CsrfToken;

use super::sections::{Config, Listen};
use super::units::{Percent, Spelled};
use super::values::Csrf;

/// What does not fit, and at which key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// The path of the key.
    pub(super) key: String,
    /// What to do.
    pub(super) message: String,
}

impl Wrong {
    pub(super) fn at(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            message: message.into(),
        }
    }
}

/// Looks at everything that spans several keys.
pub(super) fn check(config: &Config) -> Result<(), Wrong> {
    listeners(config)?;
    admission(config)?;
    if config.limits.max_frame_bytes.0 == 0 {
        return Err(Wrong::at(
            "limits.max-frame-bytes",
            "with 0 no frame could ever pass; write a size such as \"1MiB\"",
        ));
    }
    water(
        "limits.send-low-water",
        config.limits.send_low_water,
        config.limits.send_high_water,
    )?;
    water(
        "slow-consumer.low-water",
        config.slow_consumer.low_water,
        config.slow_consumer.high_water,
    )?;
    let keepalive = &config.keepalive;
    match (keepalive.interval.value(), keepalive.timeout.value()) {
        (Some(_), None) => Err(half("keepalive.timeout", "interval")),
        (None, Some(_)) => Err(half("keepalive.interval", "timeout")),
        _ => Ok(()),
    }?;
    ajax(config)?;
    http(config)
}

fn ajax(config: &Config) -> Result<(), Wrong> {
    let times = [
        ("ajax.poll-timeout", &config.ajax.poll_timeout),
        ("ajax.reply-timeout", &config.ajax.reply_timeout),
    ];
    for (key, timeout) in times {
        if timeout.value().is_some_and(|timeout| timeout.0 >= GIVES_UP) {
            return Err(Wrong::at(
                key,
                "a request is held for less than a minute: clients and proxies give up by then",
            ));
        }
    }
    Ok(())
}

fn http(config: &Config) -> Result<(), Wrong> {
    let http = &config.http;
    let optional = [
        ("health", &http.health),
        ("stats", &http.stats),
        ("channels", &http.channels),
        ("metrics", &http.metrics),
        ("csrf-token", &http.csrf_token),
        ("inspector", &http.inspector),
    ];
    let mut seen = BTreeMap::from([(http.chsk.spell(), "chsk")]);
    for (name, path) in optional {
        let Some(path) = path.value() else { continue };
        if let Some(other) = seen.insert(path.spell(), name) {
            let message = format!(
                "{other} has the path {} already; write another",
                path.spell()
            );
            return Err(Wrong::at(format!("http.{name}"), message));
        }
    }
    if http.inspector.value().is_some() && !asks_for_a_token(config) {
        return Err(Wrong::at(
            "http.inspector",
            "everybody could look inside; set admission.auth-token-file, and who shows that token may",
        ));
    }
    Ok(())
}

fn asks_for_a_token(config: &Config) -> bool {
    let admission = &config.admission;
    admission.auth_token.is_some() || admission.auth_token_file.is_some()
}

fn half(missing: &str, given: &str) -> Wrong {
    let name = missing.rsplit('.').next().unwrap_or(missing);
    Wrong::at(
        missing,
        format!("is missing: {given} is set, and the two go together; write {name} = \"10s\""),
    )
}

fn water(key: &str, low: Percent, high: Percent) -> Result<(), Wrong> {
    if low.0 <= high.0 {
        return Ok(());
    }
    let message = format!(
        "{} is above the high water of {}; write at most that",
        low.spell(),
        high.spell()
    );
    Err(Wrong::at(key, message))
}

fn listeners(config: &Config) -> Result<(), Wrong> {
    if config.listen.is_empty() {
        return Err(Wrong::at(
            "listen",
            "there is nothing to listen on; add [[listen]] and below it \
             url = \"ws://127.0.0.1:8080/\", or say --ws 127.0.0.1:8080",
        ));
    }
    let mut seen = BTreeMap::new();
    for (number, listen) in config.listen.iter().enumerate() {
        let at = |key: &str| format!("listen[{number}].{key}");
        let url = listen.url.spell();
        let free = match &listen.url.0.address {
            Address::Ws(url) => url.port == 0,
            Address::Tcp { port, .. } | Address::Tls { port, .. } => *port == 0,
            _ => false,
        };
        if let Some(other) = seen.insert(url.clone(), number)
            && !free
        {
            return Err(Wrong::at(
                at("url"),
                format!("listen[{other}] listens on {url} already; remove one of the two"),
            ));
        }
        listener(listen, &at)?;
    }
    Ok(())
}

fn listener(listen: &Listen, at: &dyn Fn(&str) -> String) -> Result<(), Wrong> {
    tls(listen, at)?;
    for path in listen.packer_by_path.keys() {
        if !path.starts_with('/') {
            return Err(Wrong::at(
                at("packer-by-path"),
                format!("a path begins with a slash: write \"/{path}\""),
            ));
        }
    }
    if matches!(listen.url.0.address, Address::Ws(_)) {
        return Ok(());
    }
    let only_web = |key: &str, what: &str| {
        let url = listen.url.spell();
        let message = format!("only WebSockets have {what}, and this is {url}; remove it");
        Err(Wrong::at(at(key), message))
    };
    if !listen.packer_by_path.is_empty() {
        return only_web("packer-by-path", "paths");
    }
    if listen.deflate {
        return only_web("deflate", "permessage-deflate");
    }
    Ok(())
}

/// A listener whose URL asks for TLS has a certificate, and no other has.
fn tls(listen: &Listen, at: &dyn Fn(&str) -> String) -> Result<(), Wrong> {
    let url = listen.url.spell();
    match (listen.is_secure(), &listen.tls) {
        (false, None) => Ok(()),
        (false, Some(_)) => Err(Wrong::at(
            at("tls"),
            format!("TLS is for wss:// and tls:// URLs, and this is {url}; write one of these"),
        )),
        // The adapters may have it all the same, where something else is built with them.
        _ if !cfg!(feature = "tls") => {
            let scheme = url.split(':').next().unwrap_or_default();
            let message = format!("{scheme}: is not built in: TLS needs the feature `tls`");
            Err(Wrong::at(at("url"), message))
        }
        (true, Some(_)) => Ok(()),
        (true, None) => Err(Wrong::at(
            at("url"),
            format!(
                "{url} needs a certificate; add \
                 tls = {{ cert = \"cert.pem\", key = \"key.pem\" }}"
            ),
        )),
    }
}

fn admission(config: &Config) -> Result<(), Wrong> {
    let admission = &config.admission;
    if let Csrf::Token(token) = &admission.csrf
        && let Err(error) = CsrfToken::new(token.reveal())
    {
        return Err(Wrong::at("admission.csrf", error.to_string()));
    }
    if admission.auth_token.is_some() && admission.auth_token_file.is_some() {
        return Err(Wrong::at(
            "admission.auth-token-file",
            "auth-token says the token already; remove one of the two",
        ));
    }
    let asks = asks_for_a_token(config);
    let tcp = |listen: &Listen| match &listen.url.0.address {
        Address::Tcp { .. } | Address::UnixAbstract(_) => true,
        // Its clients show a certificate instead.
        Address::Tls { .. } => !listen.asks_for_certificates(),
        _ => false,
    };
    if let (true, Some(number)) = (asks, config.listen.iter().position(tcp)) {
        return Err(Wrong::at(
            format!("listen[{number}].url"),
            "whoever reaches it is let in without a token, and there is an auth-token; listen on \
             ws:// instead, or on a path of unix: where the file's permissions say who may connect",
        ));
    }
    Ok(())
}

/// When clients and proxies give up.
const GIVES_UP: Duration = Duration::from_secs(60);
