//! The command line: commands, flags and what they accept.

use std::ops::Deref;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use sente_adapters::Url;
use sente_core::Dialect;
use sente_core::packer::{self, Packer};
use serde::{Deserialize, Serialize};

use crate::serve::{self, ServeArgs};

/// Serve, reach and watch Sente-style events over WebSocket, TCP, Unix sockets and pipes.
///
/// An event is an EDN vector: [:namespace/name data]. Standard output carries data, standard error
/// everything else.
#[derive(Debug, Parser)]
#[command(
    name = "sente",
    version,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(after_help = EXAMPLES, after_long_help = LONG_HELP)]
pub(crate) struct Cli {
    /// Say more on standard error (-vv: still more); SENTE_LOG has the last word
    #[arg(short, long, action = clap::ArgAction::Count, global = true, display_order = 900)]
    pub(crate) verbose: u8,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve an echo server on WebSocket, TCP, Unix sockets or one's own pipes
    #[command(long_about = serve::ABOUT)]
    Serve(Box<ServeArgs>),
    /// Talk: events as EDN lines in, received events as EDN lines out
    ///
    /// Reads one event a line from standard input; blank lines and comments are skipped, a line that is
    /// no event is reported and makes the exit code 2. Calls the peer makes are printed like events,
    /// and not answered.
    ///
    /// At the end of the input, what has been read is written, and the peer has --linger to answer. On
    /// SIGTERM, SIGINT or SIGHUP no more is read, what has been read is written, and the link is
    /// closed. A child (exec:) is not sent the signal: it sees the end of its standard input, and, if
    /// it goes on, SIGTERM after two seconds and SIGKILL after three.
    Connect(ConnectArgs),
    /// Send one event that asks for a reply, and print the reply
    ///
    /// The reply is printed as EDN on one line. Events that come meanwhile are passed over. On SIGTERM,
    /// SIGINT or SIGHUP it stops waiting; a child (exec:) then ends as with `sente connect`.
    #[command(after_help = CALL_HELP)]
    Call(EventArgs),
    /// Send one event and return when it is written
    ///
    /// Written means that the system has taken all of it; nothing says whether the peer has read it.
    /// `sente call` waits for an answer.
    #[command(after_help = SEND_HELP)]
    Send(EventArgs),
    /// Keep a server busy with calls, and say how long they take and how many it answers
    ///
    /// A closed loop: each connection has --window calls under way, and each that is answered is followed
    /// by another. A server that is slow is therefore asked less, and the latency is that of a load it
    /// can bear. The first answer on each connection, and what is asked before --warm-up has passed, do
    /// not count. On SIGTERM or SIGINT it prints what it has, and where a connection ends under the load,
    /// before it fails.
    Bench(Box<BenchArgs>),
    /// Read packed messages, one a line, and write them packed another way
    ///
    /// Only the first form of a line is read. A blank line stays a blank line. An unreadable line
    /// gives an empty line in its place, its number and offset go to standard error, and the exit code
    /// is 1.
    Recode(RecodeArgs),
    /// Do again what a recorded connection did, and show it step by step
    ///
    /// Each call of the connection is done at its time and with the same random numbers, and printed on
    /// one line: the time since the process began to record, in seconds, what was done, and what came
    /// of it. Nothing is sent anywhere. Where this version does something else than the recorded one
    /// did, that is said, and the exit code is 1.
    Replay(ReplayArgs),
    /// Show the engine at work: one hub, five links, calls, pushes and a broadcast
    ///
    /// Starts a hub on WebSocket, TCP and a Unix socket, a child process on pipes, and one client on
    /// each; prints who said what to whom, over what, and how long it took. Needs no network but the
    /// loopback interface.
    Demo(DemoArgs),
}

/// `sente connect`.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit code: 0 done, 2 usage or a line that was no event, 3 timeout, 4 closed, refused, or not
everything was delivered.

Examples:
  sente connect ws://127.0.0.1:8080/
  printf '[:test/echo {:a 1}]\\n' | sente connect tcp://127.0.0.1:9000
  printf '[:test/echo {:a 1}]\\n' | sente connect 'exec:python3 tests/peers/echo.py'
  sente connect --reconnect ws://127.0.0.1:8080/chsk
  sente connect --reconnect ws://127.0.0.1:8080/chsk --fallback tcp://127.0.0.1:9000
  sente connect --ca ca.pem --cert me.pem --key me.key wss://example.org/chsk")]
pub(crate) struct ConnectArgs {
    #[command(flatten)]
    pub(crate) link: LinkArgs,
    /// How long to wait for the peer after the end of input [default: 1s; 10s for a child, which may
    /// still have to start and ends when it has read everything]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) linger: Option<Duration>,
    /// How long connecting may take; with --reconnect, each attempt
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// Connect again whenever the link is lost or cannot be had (sockets only).
    /// Standard error says why, and when the next attempt is due; lines wait until then. What had
    /// been handed to a link that is lost is not sent again: if any of it was not written, that is
    /// said, and the exit code is 4
    #[arg(long)]
    pub(crate) reconnect: bool,
    /// Go to URL where the first one cannot be had, with the flags that fit it; can be repeated, in the
    /// order to try. Once a minute those before the one in use are tried, and gone back to
    #[arg(long, value_name = "URL", requires = "reconnect")]
    pub(crate) fallback: Vec<Url>,
}

/// `sente call` and `sente send`.
#[derive(Debug, Args)]
pub(crate) struct EventArgs {
    #[command(flatten)]
    pub(crate) link: LinkArgs,
    /// The event, in EDN: '[:namespace/name data]'
    #[arg(value_name = "EVENT")]
    pub(crate) event: String,
    /// How long it may take, connecting included
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub(crate) timeout: Duration,
}

/// `sente bench`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code: 0 measured, 1 answered with errors only, 2 usage, 3 nothing answered, 4 closed or
refused.

Examples:
  sente bench ws://127.0.0.1:8080/chsk
  sente bench --window 64 --connections 100 --duration 10s tcp://127.0.0.1:9000
  sente bench --event chat/ask --size 1024 --packer msgpack --json ws://127.0.0.1:8080/chsk
  sente bench --event any/thing --answer sente-lite/echo ws://127.0.0.1:8080/
  sente bench 'exec:python3 tests/peers/echo.py'"
)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) link: LinkArgs,
    /// The id of the event to call with; the server has to answer it
    #[arg(long, value_name = "ID", default_value = "test/echo")]
    pub(crate) event: String,
    /// Send events instead of calls, and take each event of this id for the answer to the oldest that
    /// has none: sente-lite/echo is what sente-lite's stock server answers
    #[arg(long, value_name = "ID")]
    pub(crate) answer: Option<String>,
    /// The bytes of text that each event carries, as {:text "xx.."}
    #[arg(long, value_name = "BYTES", default_value_t = 100, value_parser = clap::value_parser!(u32).range(..=8 * 1024 * 1024))]
    pub(crate) size: u32,
    /// How many calls are under way on each connection
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) window: u32,
    /// How many connections
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub(crate) connections: u32,
    /// How long is measured
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub(crate) duration: Duration,
    /// How long the server is kept busy before that
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = duration)]
    pub(crate) warm_up: Duration,
    /// How long one answer may take, and all connecting
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// Print one JSON object on one line; times are in nanoseconds
    #[arg(long)]
    pub(crate) json: bool,
}

/// Whom to speak to, and how.
#[derive(Clone, Debug, Args)]
pub(crate) struct LinkArgs {
    /// ws://HOST:PORT/PATH, wss://HOST/PATH, tcp://HOST:PORT, tls://HOST:PORT, unix:/PATH,
    /// exec:COMMAND or stdio:
    #[arg(value_name = "URL")]
    pub(crate) url: Url,
    /// The dialect to speak [default: for ws:// what the URL says, sente-lite elsewhere]
    #[arg(long, value_enum)]
    pub(crate) dialect: Option<DialectName>,
    /// The packer to speak, which the peer has to speak, too: edn, json, transit-json,
    /// transit-json-verbose or msgpack, or one of these with gzip- before it [default: what
    /// ?packer=NAME in the URL says, edn elsewhere]
    #[arg(long, value_name = "PACKER")]
    pub(crate) packer: Option<PackerName>,
    /// What this client calls itself: the client-id parameter of a Sente URL, a label in the hello
    /// over TCP, Unix sockets and stdio: [default for Sente over ws://: a random one]
    #[arg(long, value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) client_id: Option<String>,
    /// The csrf-token parameter of a Sente URL (WebSockets only)
    #[arg(long, value_name = "TOKEN")]
    pub(crate) csrf_token: Option<String>,
    /// A further parameter of the URL (WebSockets only); can be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = parameter)]
    pub(crate) param: Vec<(String, String)>,
    /// A header of the upgrade request (WebSockets only); can be repeated
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    pub(crate) header: Vec<(String, String)>,
    /// Record all that goes into the connection to FILE, tokens included, for sente replay; the
    /// links of --reconnect after the first go to FILE.1, FILE.2 and so on
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
}

/// How TLS is spoken with a server. All files are PEM.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct TlsArgs {
    /// Trust the authorities in FILE alone [default: those the system trusts]
    #[arg(long, value_name = "FILE", help_heading = TLS)]
    pub(crate) ca: Option<PathBuf>,
    /// Show the server the certificate in FILE, which may be a chain that begins with it
    #[arg(long, value_name = "FILE", help_heading = TLS, requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// The private key of the certificate
    #[arg(long, value_name = "FILE", help_heading = TLS, requires = "cert")]
    pub(crate) key: Option<PathBuf>,
    /// Expect a server of this name, whatever the URL says
    #[arg(long, value_name = "NAME", help_heading = TLS)]
    pub(crate) server_name: Option<String>,
}

/// `sente replay`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  sente connect --record session.edn ws://127.0.0.1:8080/
  sente replay session.edn
  sente replay --events session.edn")]
pub(crate) struct ReplayArgs {
    /// A recording, by --record
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Print only the events that the application was told
    #[arg(long)]
    pub(crate) events: bool,
}

/// `sente recode`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  printf '#:a{:b 1e3}\\n' | sente recode --from edn --to edn
  printf '\"{:text 1}\"\\n' | sente recode --from edn --to edn --jsonl
  echo '[[:a/b {:c 1}] nil]' | sente recode --from edn --to transit-json
  echo '[[:a/b {:c 1}] nil]' | sente recode --from edn --to gzip-msgpack --base64")]
pub(crate) struct RecodeArgs {
    /// The packer that wrote the input: edn, json, transit-json, transit-json-verbose or msgpack, or
    /// one of these with gzip- before it
    #[arg(long, value_name = "PACKER")]
    pub(crate) from: PackerName,
    /// The packer for the output
    #[arg(long, value_name = "PACKER")]
    pub(crate) to: PackerName,
    /// Lines of text packers are JSON strings that hold the messages, so that any text can pass
    #[arg(long)]
    pub(crate) jsonl: bool,
    /// Lines of binary packers (msgpack, gzip-...) are base64
    #[arg(long)]
    pub(crate) base64: bool,
    /// The longest line taken, in bytes; a longer one is unreadable
    #[arg(long, value_name = "BYTES", default_value_t = 16 * 1024 * 1024)]
    pub(crate) max_line: u32,
}

/// `sente demo`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  sente demo
  sente demo --serve")]
pub(crate) struct DemoArgs {
    /// Leave the hub up afterwards and print how to talk to it
    #[arg(long)]
    pub(crate) serve: bool,
    /// How long the show may take
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// Be the demo's child process, under this name
    #[arg(long, value_name = "NAME", hide = true)]
    pub(crate) child: Option<String>,
}

/// The two wire formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DialectName {
    /// Sente since 1.18: [event callback-id]
    Sente,
    /// sente-lite 2.x: bare [event-id data]
    SenteLite,
}

impl From<DialectName> for Dialect {
    fn from(name: DialectName) -> Self {
        match name {
            DialectName::Sente => Self::Sente,
            DialectName::SenteLite => Self::SenteLite,
        }
    }
}

/// A packer by its name.
#[derive(Clone, Debug)]
pub(crate) struct PackerName(pub(crate) Arc<dyn Packer>);

impl PackerName {
    /// The packer itself.
    pub(crate) fn into_packer(self) -> Arc<dyn Packer> {
        self.0
    }
}

impl Deref for PackerName {
    type Target = dyn Packer;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl FromStr for PackerName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        packer::named(name).map(Self).ok_or_else(|| {
            format!(
                "there is no such packer; there are {}, and each of them with gzip- before it",
                packer::NAMES.join(", ")
            )
        })
    }
}

/// A packer, and where it is spoken.
#[derive(Clone, Debug)]
pub(crate) struct PackerAt {
    /// The path of WebSockets; `None` for everywhere else.
    pub(crate) path: Option<String>,
    /// The packer.
    pub(crate) packer: PackerName,
}

impl FromStr for PackerAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, name) = match text.rsplit_once('=') {
            Some((path, name)) => (Some(path), name),
            None => (None, text),
        };
        if path.is_some_and(|path| !path.starts_with('/')) {
            return Err("a path begins with a slash: write /PATH=PACKER".to_owned());
        }
        Ok(Self {
            path: path.map(str::to_owned),
            packer: name.parse()?,
        })
    }
}

/// A duration with its unit, at most a year.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!(
            "a duration needs a unit: write {text}s or {text}ms"
        ));
    }
    let duration = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write durations like 2s or 500ms"))?;
    if duration > LONGEST {
        return Err("longer than a year".to_owned());
    }
    Ok(duration)
}

/// What `--ws` and `--tcp` take.
pub(crate) fn address(text: &str) -> Result<String, String> {
    let fault = "write HOST:PORT, such as 127.0.0.1:8080 or [::1]:0";
    let (host, port) = text.rsplit_once(':').ok_or(fault)?;
    let bare_v6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
    if host.is_empty() || host.contains(['/', '@', '?', '#', ' ']) || bare_v6 {
        return Err(fault.to_owned());
    }
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || port.parse::<u16>().is_err() {
        return Err(format!("{port:?} is not a port; {fault}"));
    }
    Ok(text.to_owned())
}

fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or("write a header as 'Name: value'")?;
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(format!("{name:?} is not a header name"));
    }
    let value = value.trim();
    if value.chars().any(|c| c.is_control() && c != '\t') {
        return Err("a header value has no control characters".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}

const TLS: &str = "TLS (wss:// and tls:// only)";

const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

const EXAMPLES: &str = "Examples:
  sente demo
  sente serve --ws 127.0.0.1:8080 --tcp 127.0.0.1:9000
  sente call ws://127.0.0.1:8080/chsk '[:test/echo {:a 1}]'
  sente call 'exec:python3 tests/peers/echo.py' '[:test/echo {:a 1}]'
  printf '[:chat/message \"hi\"]\\n' | sente connect tcp://127.0.0.1:9000

`sente help COMMAND` says more about each.";

const CALL_HELP: &str = "\
Exit code: 0 reply, 1 the peer reports an error, 2 usage or unreadable EDN, 3 timeout, 4 closed or
refused.

Examples:
  sente call ws://127.0.0.1:8080/chsk '[:test/echo {:a 1}]'
  sente call --timeout 500ms unix:/tmp/sente.sock '[:test/echo 1]'
  sente call --packer transit-json ws://127.0.0.1:8080/chsk '[:test/echo 1]'
  sente call 'tcp://127.0.0.1:9000?packer=msgpack' '[:test/echo 1]'
  sente call 'exec:python3 tests/peers/echo.py' '[:test/echo {:a 1}]'";

const SEND_HELP: &str = "\
Exit code: 0 written, 2 usage or unreadable EDN, 3 timeout, 4 closed or refused.

Examples:
  sente send tcp://127.0.0.1:9000 '[:log/line \"done\"]'
  sente send --client-id robot ws://127.0.0.1:8080/chsk '[:chat/message {:text \"hi\"}]'";

const LONG_HELP: &str = "URLs:
  ws://HOST:PORT/PATH   a WebSocket; the path /chsk or a client-id parameter means Sente,
                        any other path sente-lite
  tcp://HOST:PORT       one event a line over TCP
  wss://, tls://        the same over TLS, where it is built in (feature `tls`)
  unix:/PATH            one event a line over a Unix socket; unix:@NAME is an abstract one
  fifo:IN,OUT           two named pipes, the first to read from
  exec:COMMAND          a child process on pipes; words are split as a shell does, without a shell
  stdio:                one's own standard input and output, as a child process (call and send)

  ?packer=NAME at the end, behind exec: before the command, is the packer to speak there:
  tcp://HOST:PORT?packer=msgpack, exec:?packer=msgpack COMMAND. Both sides have to be told.
  Lines carry text; binary packers have the length before each frame on a byte stream.

Exit codes: 0 done, 1 failed, 2 usage or unreadable EDN, 3 timeout, 4 closed or refused.

Durations have a unit: 2s, 500ms. Colours only on a terminal. SENTE_LOG takes filters such as
`debug` or `sente_adapters=trace`.

Signals: SIGTERM, SIGINT and SIGHUP end any command in order, within five seconds (`serve` takes its
--drain, and SIGHUP has it read its files again); a second one ends it at once. Under nohup SIGHUP
does nothing. No signal is forwarded to a child: it sees the end of its standard input, and if it
goes on, SIGTERM and then SIGKILL. What Ctrl-C in a terminal sends, its children get as well.

Examples:
  sente demo
  sente serve --ws 127.0.0.1:8080 --tcp 127.0.0.1:9000
  sente call ws://127.0.0.1:8080/chsk '[:test/echo {:a 1}]'
  sente call 'exec:python3 tests/peers/echo.py' '[:test/echo {:a 1}]'
  printf '[:chat/message \"hi\"]\\n' | sente connect tcp://127.0.0.1:9000";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::{Cli, address, duration, header};

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_duration_needs_its_unit() {
        assert!(duration("5").unwrap_err().contains("5s"));
        assert!(duration("0").is_err());
        assert!(duration("").is_err());
        assert_eq!(duration("1500ms").unwrap().as_millis(), 1500);
        assert!(duration("9999y").is_err());
    }

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for good in ["127.0.0.1:0", "localhost:80", "[::1]:0", "0.0.0.0:65535"] {
            assert!(address(good).is_ok(), "{good}");
        }
        for bad in ["8080", ":80", "::1:80", "a:65536", "a:+1", "ws://a:1", "a:"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_header_can_not_smuggle_another() {
        assert!(header("X: a\r\nY: b").is_err());
        assert!(header("X y: a").is_err());
        assert_eq!(header("X-A: b:c").unwrap(), ("X-A".into(), "b:c".into()));
    }
}
