//! The page of options: what Sente and sente-lite can be told, and what says the same here. The
//! defaults in it are asked of the code.

use std::fmt::{Debug, Write as _};
use std::time::Duration;

use sente_core::admission::{Admission, CsrfCheck, Request};
use sente_core::ajax::{AjaxClientConfig, AjaxConfig};
use sente_core::{
    Backoff, Carrier, ClientConfig, ConnectionConfig, Dialect, HubConfig, Keepalive, Limits, Role,
};

/// What `docs/options.md` has to say.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(INTRODUCTION);
    for (title, rows) in [
        (
            "Sente's server, `make-channel-socket-server!`",
            sente_server(),
        ),
        (
            "Sente's client, `make-channel-socket-client!`",
            sente_client(),
        ),
        ("sente-lite's server", lite_server()),
        ("sente-lite's clients", lite_client()),
    ] {
        let _ = write!(page, "\n## {title}\n\n");
        page.push_str("| option | its default | here | our default |\n|---|---|---|---|\n");
        for [option, theirs, here, ours] in rows {
            let _ = writeln!(page, "| {option} | {theirs} | {here} | {ours} |");
        }
    }
    page
}

const INTRODUCTION: &str = "\
# Options

What Sente 1.22 and sente-lite 2.x can be told, and what says the same here. An option that is not
there is declined by name, with the reason. Every default of ours in the last column is asked of the
code by the test `the_page_of_options_is_what_the_defaults_are`; with `SENTE_WRITE_DOCS=1` the test
writes this page instead of comparing it.
";

type Rows = Vec<[String; 4]>;

fn row(option: &str, theirs: &str, here: &str, ours: impl Into<String>) -> [String; 4] {
    [option.into(), theirs.into(), here.into(), ours.into()]
}

fn declined(option: &str, theirs: &str, reason: &str) -> [String; 4] {
    row(option, theirs, &format!("declined: {reason}"), "–")
}

fn sente_server() -> Rows {
    let connection = builder(Role::Server, Dialect::Sente);
    let ajax = AjaxConfig::builder();
    let keepalive = Keepalive::default_for(Role::Server, Dialect::Sente);
    let hub = HubConfig::default();
    let limits = Limits::default();
    Vec::from([
        row(
            "`:recv-buf-or-n`",
            "1,000 for all connections, the oldest is lost",
            "`Limits::max_recv_messages`, `ConnectionConfigBuilder::on_recv_full`",
            format!(
                "{} for each connection, {}",
                limits.max_recv_messages,
                field(&connection, "on_recv_full")
            ),
        ),
        row(
            "`:ws-kalive-ms`",
            "25 s, which it halves",
            "`ConnectionConfigBuilder::keepalive`; `None` for never",
            time(keepalive.interval),
        ),
        row(
            "`:ws-ping-timeout-ms`",
            "10 s",
            "`ConnectionConfigBuilder::keepalive`; a ping whose answer is not waited for is declined: it would find nobody",
            time(keepalive.timeout),
        ),
        row(
            "`:lp-timeout-ms`",
            "20 s, and below 60 s",
            "`AjaxConfigBuilder::poll_timeout`, `reply_timeout`",
            format!(
                "{}, {}",
                field(&ajax, "poll_timeout"),
                field(&ajax, "reply_timeout")
            ),
        ),
        row(
            "`:send-buf-ms-ws`",
            "30 ms",
            "`ConnectionConfigBuilder::flush_window`",
            field(&connection, "flush_window"),
        ),
        row(
            "`:send-buf-ms-ajax`",
            "100 ms",
            "`AjaxConfigBuilder::flush_window`",
            field(&ajax, "flush_window"),
        ),
        row(
            "`:user-id-fn`",
            "the session's `:uid`",
            "`Admission::user_id`, `Incoming::accept`",
            "nobody is known, told as `:sente/nil-uid`",
        ),
        row(
            "`:csrf-token-fn`",
            "looks in the request and the session",
            "`Admission::new(CsrfCheck)`: a function, a cookie, one token, or `skip` by name",
            refusal(
                &Admission::default(),
                Request::new("GET", "/chsk?client-id=1"),
            ),
        ),
        row(
            "`:bad-csrf-fn`",
            "403 `Bad CSRF token`",
            "`Admission::on_bad_csrf`",
            refusal(
                &Admission::new(CsrfCheck::cookie()),
                Request::new("GET", "/chsk?client-id=1"),
            ),
        ),
        row(
            "`:allowed-origins`",
            "`:all`",
            "`Admission::origins`",
            refusal(
                &Admission::new(CsrfCheck::skip()),
                Request::new("GET", "/chsk?client-id=1").with_header("Origin", "https://a.example"),
            ),
        ),
        row(
            "`:bad-origin-fn`",
            "403 `Unauthorized origin`",
            "`Admission::on_bad_origin`",
            refusal(
                &Admission::new(CsrfCheck::skip()).origins(
                    sente_core::admission::Origins::only(["https://a.example"])
                        .expect("it is an origin"),
                ),
                Request::new("GET", "/chsk?client-id=1").with_header("Origin", "https://b.example"),
            ),
        ),
        row(
            "`:authorized?-fn`",
            "everybody is",
            "`Admission::authorized`; with time to wait: `Incoming`",
            refusal(
                &Admission::new(CsrfCheck::skip()),
                Request::new("GET", "/chsk?client-id=1"),
            ),
        ),
        row(
            "`:unauthorized-fn`",
            "401 `Unauthorized request`",
            "`Admission::on_unauthorized`",
            refusal(
                &Admission::new(CsrfCheck::skip()).authorized(|_| false),
                Request::new("GET", "/chsk?client-id=1"),
            ),
        ),
        declined(
            "`:?unauthorized-fn`",
            "none",
            "Sente deprecates it; `Admission::reject` does what it did",
        ),
        row(
            "`:reject-fn`",
            "rejects nothing",
            "`Admission::reject`",
            refusal(
                &Admission::new(CsrfCheck::skip()),
                Request::new("GET", "/chsk?client-id=1"),
            ),
        ),
        row(
            "`:handshake-data-fn`",
            "nil",
            "`Admission::handshake_data`, `Incoming::accept`",
            format!("{}", sente_core::Accept::new("u").data),
        ),
        row(
            "`:packer`",
            "`:edn`",
            "`ConnectionConfigBuilder::packer`, `AjaxConfigBuilder::packer`",
            format!(
                "{}, {}",
                field(&connection, "packer"),
                field(&ajax, "packer")
            ),
        ),
        row(
            "`:ms-allow-reconnect-before-close-ws`",
            "2.5 s",
            "`HubConfig::grace`",
            time(hub.grace.web_socket),
        ),
        row(
            "`:ms-allow-reconnect-before-close-ajax`",
            "5 s",
            "`HubConfig::grace`, `AjaxConfigBuilder::grace`",
            format!("{}, {}", time(hub.grace.ajax), field(&ajax, "grace")),
        ),
    ])
}

fn sente_client() -> Rows {
    let connection = builder(Role::Client, Dialect::Sente);
    let keepalive = Keepalive::default_for(Role::Client, Dialect::Sente);
    let client = ClientConfig::builder(connection.clone().build().expect("defaults fit"));
    let ajax = AjaxClientConfig::builder("/chsk");
    let backoff = Backoff::default();
    Vec::from([
        row(
            "`:type`",
            "`:auto`; `:ws` on the JVM",
            "the URL's scheme, or `AjaxClient`; falling back by itself is planned (issue 7)",
            "–",
        ),
        row(
            "`:protocol`, `:host`, `:port`",
            "the page's",
            "the URL",
            "–",
        ),
        row(
            "`:params`",
            "none",
            "`ConnectOptions::params`, `AjaxClientConfigBuilder::param`",
            field(&ajax, "params"),
        ),
        row(
            "`:headers`",
            "none; on the JVM only",
            "`ConnectOptions::headers`, `AjaxClientConfigBuilder::header`",
            field(&ajax, "headers"),
        ),
        row(
            "`:client-id`",
            "a random UUID",
            "`ClientConfigBuilder::client_id`, `ConnectOptions::client_id`",
            format!("{}: a random UUID", field(&client, "client_id")),
        ),
        declined("`:client-uuid`", "–", "the old name of `:client-id`"),
        row(
            "`:packer`",
            "`:edn`",
            "`ConnectionConfigBuilder::packer`, `AjaxClientConfigBuilder::packer`",
            format!(
                "{}, {}",
                field(&connection, "packer"),
                field(&ajax, "packer")
            ),
        ),
        row(
            "`:recv-buf-or-n`",
            "2,048, the oldest is lost",
            "`Limits::max_recv_messages`, `ConnectionConfigBuilder::on_recv_full`",
            format!(
                "{}, {}",
                Limits::default().max_recv_messages,
                field(&connection, "on_recv_full")
            ),
        ),
        row(
            "`:wrap-recv-evs?`",
            "false",
            "`ConnectionConfigBuilder::wrap_received`, `AjaxClientConfigBuilder::wrap_received`",
            format!(
                "{}, {}",
                field(&connection, "wrap_received"),
                field(&ajax, "wrap_received")
            ),
        ),
        row(
            "`:ws-kalive-ms`",
            "20 s, which it halves",
            "`ConnectionConfigBuilder::keepalive`",
            time(keepalive.interval),
        ),
        row(
            "`:ws-ping-timeout-ms`",
            "5 s",
            "`ConnectionConfigBuilder::keepalive`",
            time(keepalive.timeout),
        ),
        declined(
            "`:ws-kalive-ping-timeout-ms`",
            "–",
            "the old name of `:ws-ping-timeout-ms`",
        ),
        row(
            "`:backoff-ms-fn`",
            "exponential, 2 s to 4 s at first, without a cap",
            "`ClientConfigBuilder::backoff`, `Client::set_backoff`",
            format!(
                "at once, then up to {}, doubled up to {}",
                time(backoff.min),
                time(backoff.max)
            ),
        ),
        declined(
            "`:ws-constructor`, `:ws-opts`",
            "the platform's WebSocket",
            "the WebSocket is the engine's own; a transport of one's own is a stream of bytes",
        ),
        row(
            "`:ajax-opts`",
            "passed on; 60 s for a request",
            "`AjaxClientConfigBuilder::header`, `request_timeout`",
            field(&ajax, "request_timeout"),
        ),
        declined(
            "`:chsk-url-fn`",
            "–",
            "Sente deprecates it; the URL is given whole",
        ),
    ])
}

fn lite_server() -> Rows {
    let connection = builder(Role::Server, Dialect::SenteLite);
    let keepalive = Keepalive::default_for(Role::Server, Dialect::SenteLite);
    let hub = HubConfig::default();
    let limits = Limits::default();
    Vec::from([
        row(
            "`:port`, `:host`",
            "all interfaces in nbb",
            "the URL that is listened on",
            "–",
        ),
        row(
            "`:wire-format`",
            "`:edn`",
            "`ConnectionConfigBuilder::packer`",
            field(&connection, "packer"),
        ),
        row(
            "`:csrf-token`",
            "one random UUID for the server",
            "`ServerAccept::csrf_token`, `Accept::csrf_token`",
            format!("{}", sente_core::Accept::new("u").csrf_token),
        ),
        row(
            "`:on-message`",
            "echoes",
            "the application's handlers; `sente_server` does not echo",
            "–",
        ),
        row(
            "`:wrap-recv-evs?`",
            "false",
            "`HubConfig::wrap_pushes`",
            hub.wrap_pushes.to_string(),
        ),
        row(
            "`:interval-ms` of its pings",
            "30 s",
            "`ConnectionConfigBuilder::keepalive`: after so long without a sign of life",
            time(keepalive.interval),
        ),
        row(
            "`:timeout-ms` of its pings",
            "60 s since the last pong",
            "`ConnectionConfigBuilder::keepalive`: since the ping; anything counts as life",
            time(keepalive.timeout),
        ),
        row(
            "`[:websocket :max-message-bytes]`",
            "1,048,576 characters",
            "`Limits::max_frame_bytes`, in bytes",
            limits.max_frame_bytes.to_string(),
        ),
        row(
            "`[:websocket :max-connections]`",
            "1,000",
            "`HubLimits::max_connections`",
            hub.limits.max_connections.to_string(),
        ),
        declined(
            "`[:websocket :message-timeout-ms]`",
            "5 s",
            "sente-lite never looks at it",
        ),
        row(
            "`:auto-create` of channels",
            "true",
            "`ChannelConfig::auto_create`",
            hub.channels.auto_create.to_string(),
        ),
        row(
            "the subscribers of a channel",
            "1,000",
            "`ChannelOptions::max_subscribers`",
            hub.channels.new_channels.max_subscribers.to_string(),
        ),
        row(
            "the subscriptions of a connection",
            "100",
            "`ChannelConfig::max_subscriptions`",
            hub.channels.max_subscriptions.to_string(),
        ),
        row(
            "the messages a channel retains",
            "0, and never delivered",
            "`ChannelOptions::retain_messages`",
            hub.channels.new_channels.retain_messages.to_string(),
        ),
        row(
            "the time of a request over a channel",
            "30 s",
            "`ChannelConfig::request_timeout`",
            time(hub.channels.request_timeout),
        ),
    ])
}

fn lite_client() -> Rows {
    let connection = builder(Role::Client, Dialect::SenteLite);
    let client = ClientConfig::builder(connection.clone().build().expect("defaults fit"));
    let backoff = Backoff::default();
    let limits = Limits::default();
    Vec::from([
        row("`:url`", "–", "the URL", "–"),
        row(
            "`:auto-reconnect?`",
            "true",
            "`ClientConfigBuilder::auto_reconnect`",
            field(&client, "auto_reconnect"),
        ),
        row(
            "`:reconnect-delay`, `:max-reconnect-delay`",
            "1 s and 30 s, without jitter, and never reset",
            "`ClientConfigBuilder::backoff`",
            format!(
                "at once, then up to {}, doubled up to {}",
                time(backoff.min),
                time(backoff.max)
            ),
        ),
        row(
            "`:wrap-recv-evs?`",
            "false",
            "`ConnectionConfigBuilder::wrap_received`",
            field(&connection, "wrap_received"),
        ),
        row(
            "`:max-depth` of the `:send-queue`",
            "1,000",
            "`Limits::max_send_messages`",
            limits.max_send_messages.to_string(),
        ),
        row(
            "`:flush-interval-ms` of the `:send-queue`",
            "10 ms",
            "`ConnectionConfigBuilder::flush_window`",
            field(&connection, "flush_window"),
        ),
        row(
            "`:on-open`, `:on-reconnect`, `:on-close`, `:on-channel-ready`, `:on-message`",
            "–",
            "`ClientEvent`, `Registry`",
            "–",
        ),
        declined(
            "`:on-error`",
            "–",
            "sente-lite never calls it; errors are events",
        ),
    ])
}

fn builder(role: Role, dialect: Dialect) -> sente_core::ConnectionConfigBuilder {
    ConnectionConfig::builder(role, dialect, Carrier::WebSocket)
}

/// What a request is answered with by these rules.
fn refusal(admission: &Admission, request: Request) -> String {
    match admission.check(request) {
        Ok(_) => "passes".to_owned(),
        Err(refusal) => format!("{} `{}`", refusal.status, refusal.body),
    }
}

fn time(time: Duration) -> String {
    // A blank as elsewhere in the documents.
    let text = format!("{time:?}");
    let digits = text
        .trim_end_matches(|letter: char| letter.is_alphabetic())
        .len();
    format!("{} {}", &text[..digits], &text[digits..])
}

/// The value of a field as `Debug` shows it: builders do not give theirs out.
fn field(of: &impl Debug, name: &str) -> String {
    let text = format!("{of:?}");
    let start = format!(" {name}: ");
    let at = text
        .find(&start)
        .unwrap_or_else(|| panic!("{name} in {text}"));
    let rest = &text[at + start.len()..];
    // To the comma or brace that ends it.
    let mut open = 0;
    let end = rest.find(|letter| {
        open += i32::from(matches!(letter, '(' | '{' | '['));
        open -= i32::from(matches!(letter, ')' | '}' | ']'));
        open < 0 || (open == 0 && letter == ',')
    });
    let value = rest[..end.unwrap_or(rest.len())].trim();
    format!("`{value}`")
}
