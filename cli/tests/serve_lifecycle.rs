//! How `serve` starts, reloads and ends.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use support::{Live, run};

/// A client on a byte stream that has been answered once.
struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(url: &str) -> Self {
        let address = url.trim_start_matches("tcp://");
        let mut client = Self(BufReader::new(TcpStream::connect(address).unwrap()));
        client.say("[:a/b 1]");
        client.until("[:sente-lite/echo");
        client
    }

    fn say(&mut self, line: &str) {
        let stream = self.0.get_mut();
        stream.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Reads until a line begins like this.
    fn until(&mut self, start: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "{start}");
            if line.starts_with(start) {
                return line;
            }
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A folder with a configuration that listens on TCP and logs into a file.
struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let site = Self { folder };
        site.write(more);
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, more: &str) {
        let listen = "[[listen]]\nurl = \"tcp://127.0.0.1:0\"\n";
        std::fs::write(self.path("serve.toml"), format!("{listen}{more}")).unwrap();
    }

    fn start(&self) -> Live {
        Live::start(&["--config", text(&self.path("serve.toml"))])
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("s.log")).unwrap_or_default()
    }
}

#[test]
fn what_is_up_is_said_in_one_line() {
    let mut live = Live::start(&["--tcp", "127.0.0.1:0", "--ws", "127.0.0.1:0", "--csrf", "x"]);
    let urls = [live.url(), live.url()];
    let line = live.until("up: ");
    for part in [
        "log on standard error",
        "asks WebSockets for a csrf token",
        &urls[0],
        &urls[1],
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
}

#[test]
fn what_has_started_is_rolled_back_when_a_part_cannot_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s.sock");
    let log = folder.path().join("s.log");
    let file = folder.path().join("serve.toml");
    let config = format!(
        "[[listen]]\nurl = \"unix:{}\"\n[[listen]]\nurl = \"tcp://{}\"\n",
        socket.display(),
        taken.local_addr().unwrap()
    );
    std::fs::write(&file, config).unwrap();
    let args = [
        "serve",
        "-vv",
        "--config",
        text(&file),
        "--log-file",
        text(&log),
    ];
    let ran = run(&args, b"");
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{}", ran.err);
    assert!(ran.err.contains("in use"), "{}", ran.err);
    assert!(!socket.exists(), "the first listener has been closed again");
    let log = std::fs::read_to_string(&log).unwrap();
    let stopped: Vec<_> = log
        .match_indices("stopping part=")
        .map(|(at, _)| at)
        .collect();
    assert_eq!(stopped.len(), 3, "{log}");
    let (unix, hub) = (
        log.find("stopping part=\"unix:"),
        log.find("stopping part=\"hub\""),
    );
    assert!(unix < hub && unix.is_some(), "in reverse: {log}");
}

#[test]
fn a_log_file_that_cannot_be_opened_stops_the_start() {
    let ran = run(
        &[
            "serve",
            "--tcp",
            "127.0.0.1:0",
            "--log-file",
            "/nowhere/at/all.log",
        ],
        b"",
    );
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{}", ran.err);
    let said = "cannot open the log file /nowhere/at/all.log: No such file";
    assert!(ran.err.contains(said), "{}", ran.err);
}

#[test]
fn connections_finish_what_they_have_begun() {
    let mut live = Live::start(&["--tcp", "127.0.0.1:0", "--drain", "10m"]);
    let mut client = Client::connect(&live.url());
    live.signal("TERM");
    live.until("a second signal ends it at once");
    assert!(live.runs(), "the client is still there");
    let mut rest = String::new();
    client.0.read_to_string(&mut rest).unwrap();
    assert!(
        rest.is_empty(),
        "it is told that nothing more comes: {rest}"
    );
    assert!(live.runs(), "it may still take its time");
    drop(client);
    let (code, said) = live.end();
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut live = Live::start(&["--tcp", "127.0.0.1:0", "--drain", "10m"]);
    let client = Client::connect(&live.url());
    live.signal("INT");
    live.until("a second signal ends it at once");
    assert!(live.runs());
    live.signal("TERM");
    let (code, said) = live.end();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("ended at once by a second signal"), "{said}");
    drop(client);
}

#[test]
fn the_time_to_finish_is_over_at_its_end() {
    let live = Live::start(&["--tcp", "127.0.0.1:0", "--drain", "100ms"]);
    let mut client = Client::connect(&live.url());
    live.signal("TERM");
    let (code, said) = live.end();
    assert_eq!(code, Some(0), "{said}");
    let mut rest = Vec::new();
    client.0.read_to_end(&mut rest).unwrap();
}

#[test]
fn a_hangup_with_nothing_to_read_again_ends_it() {
    let mut live = Live::start(&["--tcp", "127.0.0.1:0"]);
    live.until("up: ");
    live.signal("HUP");
    let (code, said) = live.end();
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn the_log_file_is_opened_again_on_a_hangup() {
    let site = Site::new("[log]\nfile = \"s.log\"\nlevel = \"info\"\nformat = \"json\"\n");
    let mut live = site.start();
    let url = live.url();
    live.until("up: ");
    drop(Client::connect(&url));
    let first = site.log();
    for line in first.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["level"].is_string(), "{line}");
    }
    assert!(first.contains("up: "), "{first}");
    std::fs::rename(site.path("s.log"), site.path("s.log.1")).unwrap();
    live.signal("HUP");
    live.until("SIGHUP: nothing new to load");
    assert!(site.path("s.log").exists());
    site.write("[log]\nfile = \"s.log\"\nlevel = \"off\"\n");
    live.signal("HUP");
    live.until("SIGHUP: reloaded log.level");
    live.until("SIGHUP: needs a restart: log.format");
    let quiet = site.log();
    drop(Client::connect(&url));
    assert_eq!(site.log(), quiet, "nothing more is logged");
}

#[test]
fn a_hangup_reloads_what_it_can_and_names_what_needs_a_restart() {
    let site = Site::new("");
    let mut live = site.start();
    live.until("up: ");
    site.write(
        "[shutdown]\ndrain = \"50ms\"\n[hub]\nwrap-pushes = true\n[hub.grace]\najax = \"1s\"\n",
    );
    live.signal("HUP");
    let line = live.until("SIGHUP: reloaded");
    assert_eq!(line, "SIGHUP: reloaded shutdown.drain");
    let line = live.until("SIGHUP: needs a restart");
    assert_eq!(
        line,
        "SIGHUP: needs a restart: hub.grace.ajax, hub.wrap-pushes"
    );
    // What needs a restart is said until there is one.
    live.signal("HUP");
    live.until("SIGHUP: nothing new to load");
    live.until("SIGHUP: needs a restart: hub.grace.ajax, hub.wrap-pushes");
}

#[test]
fn a_broken_file_leaves_the_configuration_in_force() {
    let site = Site::new("[shutdown]\ndrain = \"10m\"\n");
    let mut live = site.start();
    let mut client = Client::connect(&live.url());
    site.write("[shutdown]\ndrain = 3\n");
    live.signal("HUP");
    let line = live.until("SIGHUP: ");
    assert!(
        line.contains("serve.toml:4:9: shutdown.drain: invalid value"),
        "{line}"
    );
    live.until("SIGHUP: the configuration stays as it was");
    std::fs::remove_file(site.path("serve.toml")).unwrap();
    live.signal("HUP");
    live.until("SIGHUP: cannot read ");
    client.say("[:a/b 2]");
    client.until("[:sente-lite/echo");
    live.signal("TERM");
    live.until("a second signal ends it at once");
    assert!(
        live.runs(),
        "the first configuration lets connections drain for long"
    );
}
