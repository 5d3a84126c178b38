//! The flags of `sente serve`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::config::LogFormat;
use crate::args::{DialectName, PackerAt, address, duration};

/// `sente serve`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("where").required(true).multiple(true)
    .args(["ws", "tcp", "unix", "stdio", "config", "print_config"]))]
#[command(after_help = "Examples:
  sente serve --ws 127.0.0.1:8080
  sente serve --ws 127.0.0.1:0 --tcp 127.0.0.1:0 --unix /tmp/sente.sock
  sente serve --ws 127.0.0.1:8080 --packer transit-json --packer /binary=gzip-msgpack
  sente serve --config serve.toml --set hub.grace.ajax=10s --print-config
  sente call 'exec:sente serve --stdio' '[:test/echo {:a 1}]'")]
pub(crate) struct ServeArgs {
    /// Listen for WebSockets; port 0 takes a free one. The path /chsk or a client-id parameter
    /// means Sente, any other path sente-lite
    #[arg(long, value_name = "HOST:PORT", value_parser = address, help_heading = WHERE)]
    pub(crate) ws: Vec<String>,
    /// Listen for TCP, one event a line; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", value_parser = address, help_heading = WHERE)]
    pub(crate) tcp: Vec<String>,
    /// Listen on a Unix socket, one event a line
    #[arg(long, value_name = "PATH", help_heading = WHERE)]
    pub(crate) unix: Vec<PathBuf>,
    /// Speak over one's own standard input and output, as the child of a parent that speaks first;
    /// the `listening` lines go to standard error then
    #[arg(long, help_heading = WHERE)]
    pub(crate) stdio: bool,
    /// Speak this dialect to every WebSocket, whatever its path says. Byte streams begin with
    /// sente-lite, and a client can ask for Sente in its hello
    #[arg(long, value_enum, help_heading = WHERE)]
    pub(crate) dialect: Option<DialectName>,
    /// The packer to speak: edn, json, transit-json, transit-json-verbose or msgpack, or one of
    /// these with gzip- before it. /PATH=PACKER means the WebSockets of this path; may be given
    /// once for each path and once for all the rest [default: edn]
    #[arg(long, value_name = "[/PATH=]PACKER", help_heading = WHERE)]
    pub(crate) packer: Vec<PackerAt>,

    /// Ask every WebSocket for a CSRF token in the parameter csrf-token or the header X-CSRF-Token;
    /// 403 without it. `generated` is a new one with each start, `off` none [default: off]
    #[arg(long, value_name = "TOKEN", value_parser = clap::builder::NonEmptyStringValueParser::new(), help_heading = WHO)]
    pub(crate) csrf: Option<String>,
    /// Let in only web pages of this origin, such as `https://app.example`; may be given more than
    /// once [default: all]
    #[arg(long, value_name = "ORIGIN", help_heading = WHO)]
    pub(crate) allow_origin: Vec<String>,
    /// Ask every WebSocket for this token, in the header `Authorization: Bearer TOKEN` or the
    /// parameter auth-token; 401 without it. Everybody on this machine can read it in the list of
    /// processes: SENTE_AUTH_TOKEN in the environment and --auth-token-file say it in secret
    #[arg(long, value_name = "TOKEN", conflicts_with = "auth_token_file", help_heading = WHO)]
    pub(crate) auth_token: Option<String>,
    /// The same, with the first line of this file as the token; read again on SIGHUP
    #[arg(long, value_name = "FILE", help_heading = WHO)]
    pub(crate) auth_token_file: Option<PathBuf>,
    /// Take so many connections at once [default: 100000]
    #[arg(long, value_name = "NUMBER", help_heading = WHO)]
    pub(crate) max_connections: Option<String>,
    /// Take so many connections of one address at once [default: unlimited]
    #[arg(long, value_name = "NUMBER", help_heading = WHO)]
    pub(crate) max_per_address: Option<String>,
    /// Let one address connect so often, such as 10/s or 60/min [default: unlimited]
    #[arg(long, value_name = "RATE", help_heading = WHO)]
    pub(crate) connect_rate: Option<String>,

    /// Tell Prometheus the server's numbers at this path [default with --metrics alone: /metrics]
    #[arg(long, value_name = "PATH", num_args = 0..=1, require_equals = true,
        default_missing_value = "/metrics", help_heading = HOW)]
    pub(crate) metrics: Option<String>,
    /// Let those who show the auth token look inside, on a page at this path [default with
    /// --inspector alone: /inspector]
    #[arg(long, value_name = "PATH", num_args = 0..=1, require_equals = true,
        default_missing_value = "/inspector", help_heading = HOW)]
    pub(crate) inspector: Option<String>,
    /// Write the log to this file, opened again on SIGHUP [default: standard error]
    #[arg(long, value_name = "FILE", help_heading = HOW)]
    pub(crate) log_file: Option<PathBuf>,
    /// How log lines look [default: text]
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = HOW)]
    pub(crate) log_format: Option<LogFormat>,
    /// Record every connection but those of Ajax to a file of its own in this directory, tokens
    /// included, for sente replay; --set record.max-connections and the like say how much
    #[arg(long, value_name = "DIR", help_heading = HOW)]
    pub(crate) record: Option<PathBuf>,
    /// How long connections may take to finish when the server ends [default: 3s]
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = HOW)]
    pub(crate) drain: Option<std::time::Duration>,

    /// Read the configuration from this TOML file
    #[arg(long, value_name = "FILE", help_heading = CONFIG)]
    pub(crate) config: Option<PathBuf>,
    /// Overrule any key of the configuration, such as limits.max-frame-bytes=64KiB; may be given
    /// more than once
    #[arg(long, value_name = "KEY=VALUE", help_heading = CONFIG)]
    pub(crate) set: Vec<String>,
    /// Print the configuration in force as TOML, without its secrets, and end
    #[arg(long, help_heading = CONFIG)]
    pub(crate) print_config: bool,
    /// Say what is wrong with the configuration, and end: 0 if nothing is, else 2
    #[arg(long, help_heading = CONFIG)]
    pub(crate) check_config: bool,
}

/// What `sente serve --help` begins with.
pub(crate) const ABOUT: &str =
    "Serve an echo server on WebSocket, TCP, Unix sockets or one's own pipes.

Prints `listening URL` for each listener once all of them are ready. Answers a call of :test/echo \
with the event's data, and any other event with :sente-lite/echo, as sente-lite's stock server does.

Everything can be said in the file of --config: --print-config shows all keys with their defaults, \
and docs/serve.toml explains them. Flags overrule the file, and --set any key of it.

On SIGTERM it takes no new connections and lets the open ones finish; a second signal ends it at \
once. On SIGHUP it reads --config and --auth-token-file again, opens its log file again, and says \
what needs a restart; with none of these, SIGHUP ends it.";

const WHERE: &str = "Where to listen, and what is spoken there";
const WHO: &str = "Who may connect";
const HOW: &str = "Numbers, logs and ending";
const CONFIG: &str = "Configuration";
