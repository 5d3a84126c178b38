//! `serve`, `call`, `send` and `connect` over every transport.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;
use std::time::Duration;

use support::{Server, run, sente, signal, wait};

const PYTHON: &str = "exec:python3 tests/peers/echo.py";

#[test]
fn a_server_says_where_it_listens_and_ends_in_time() {
    let server = Server::start(&[]);
    assert!(server.urls[0].starts_with("ws://127.0.0.1:") && server.urls[0].ends_with('/'));
    assert!(server.tcp().starts_with("tcp://127.0.0.1:"));
    assert!(server.unix().starts_with("unix:/"));
    assert!(
        !server
            .urls
            .iter()
            .any(|url| url.ends_with(":0") || url.contains(":0/"))
    );
    let ran = server.stop("TERM");
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""));
}

#[test]
fn a_call_is_answered_over_every_transport() {
    let server = Server::start(&[]);
    let own = format!("exec:'{}' serve --stdio", env!("CARGO_BIN_EXE_sente"));
    for url in [
        server.ws(""),
        server.ws("chsk"),
        server.ws("x?client-id=ada"),
        server.tcp().to_owned(),
        server.unix().to_owned(),
        own,
        PYTHON.to_owned(),
    ] {
        let ran = run(&["call", &url, "[:test/echo {:a 1}]"], b"");
        assert_eq!(ran.out, "{:a 1}\n", "{url}: {}", ran.err);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{url}");
    }
    let ran = run(&["call", server.tcp(), "[:test/echo]"], b"");
    assert_eq!(ran.out, "nil\n");
}

#[test]
fn an_unknown_call_is_answered_as_the_stock_server_echoes() {
    let server = Server::start(&[]);
    let ran = run(&["call", server.tcp(), "[:who/knows [1 \"x\"]]"], b"");
    let start = r#"{:original-event-id :who/knows, :original-data [1 "x"], :conn-id ""#;
    assert!(ran.out.starts_with(start), "{}", ran.out);
    assert!(ran.out.contains(", :timestamp 1"), "{}", ran.out);
}

#[test]
fn a_talk_prints_what_comes_back() {
    let server = Server::start(&[]);
    for url in [
        server.ws("any"),
        server.ws("chsk"),
        server.tcp().to_owned(),
        server.unix().to_owned(),
    ] {
        let input = b"[:a/b 1]\n\n; nothing\n[:sente-lite/echo 1]\n[:test/echo]\n";
        let ran = run(&["connect", &url], input);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{url}");
        let lines: Vec<&str> = ran.out.lines().collect();
        assert_eq!(lines.len(), 2, "{url}: {}", ran.out);
        for (line, id, data) in [(0, ":a/b", "1"), (1, ":test/echo", "nil")] {
            let start = format!(
                "[:sente-lite/echo {{:original-event-id {id}, :original-data {data}, :conn-id \""
            );
            assert!(lines[line].starts_with(&start), "{url}: {}", ran.out);
        }
    }
}

#[test]
fn a_python_child_echoes() {
    let ran = run(
        &["connect", PYTHON, "--linger", "30s"],
        b"[:test/echo {:a 1}]\n[:x/y \"\xc3\xa9\"]\n",
    );
    assert_eq!(
        ran.out, "[:test/echo {:a 1}]\n[:x/y \"é\"]\n",
        "{}",
        ran.err
    );
    assert_eq!(ran.code, Some(0));
}

#[test]
fn everything_piped_in_comes_back_in_order() {
    let mut input = String::new();
    for number in 0..20_000 {
        input.push_str(&format!("[:count/up {number}]\n"));
    }
    let ran = run(&["connect", PYTHON, "--linger", "30s"], input.as_bytes());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(
        ran.out == input,
        "{} of {} bytes",
        ran.out.len(),
        input.len()
    );
}

#[test]
fn a_bad_line_is_told_and_the_rest_goes_on() {
    let ran = run(
        &["connect", PYTHON, "--linger", "30s"],
        b"[:a/b 1]\n[:a/b\n[:a/b 2]\n{}\n",
    );
    assert_eq!(ran.out, "[:a/b 1]\n[:a/b 2]\n");
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("line 2: "), "{}", ran.err);
    assert!(ran.err.contains("at byte 0"), "{}", ran.err);
    assert!(ran.err.contains("line 4: "), "{}", ran.err);
}

#[test]
fn a_calling_peer_is_printed_and_not_answered() {
    let script = r#"exec:sh -c 'read a; echo "[[:who/there {:n 1}] \"cb-1\"]"; cat >/dev/null'"#;
    let ran = run(&["connect", script, "--linger", "30s"], b"");
    assert_eq!(ran.out, "[:who/there {:n 1}]\n", "{}", ran.err);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.err.contains("not answered"), "{}", ran.err);
}

#[test]
fn a_sent_event_has_been_written() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("heard");
    let url = format!("exec:tee {}", file.display());
    let ran = run(&["send", &url, "[:log/line \"done\"]"], b"");
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""), "{}", ran.err);
    let heard = std::fs::read_to_string(&file).unwrap();
    assert!(heard.contains("[:log/line \"done\"]\n"), "{heard}");

    let server = Server::start(&[]);
    for url in [server.ws(""), server.ws("chsk"), server.unix().to_owned()] {
        let ran = run(&["send", &url, "[:log/line 1]"], b"");
        assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""), "{}", ran.err);
    }
}

#[test]
fn a_token_is_asked_for_only_if_it_was_set() {
    let server = Server::start(&["--csrf", "secret"]);
    let url = server.ws("chsk");
    let event = "[:test/echo 1]";
    let ran = run(&["call", &url, event], b"");
    assert_eq!(ran.code, Some(4), "{}", ran.err);
    assert!(ran.err.contains("403"), "{}", ran.err);
    let ran = run(&["call", &url, event, "--csrf-token", "wrong"], b"");
    assert_eq!(ran.code, Some(4));
    let ran = run(&["call", &url, event, "--csrf-token", "secret"], b"");
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (Some(0), "1\n"),
        "{}",
        ran.err
    );
    let ran = run(&["call", server.tcp(), event], b"");
    assert_eq!(ran.code, Some(0));
}

#[test]
fn a_dialect_can_be_forced_on_both_sides() {
    let server = Server::start(&["--dialect", "sente"]);
    for url in [server.ws("any"), server.tcp().to_owned()] {
        let ran = run(&["call", &url, "[:test/echo 1]", "--dialect", "sente"], b"");
        assert_eq!(
            (ran.code, ran.out.as_str()),
            (Some(0), "1\n"),
            "{url}: {}",
            ran.err
        );
    }
}

#[test]
fn a_bad_frame_is_logged_in_one_short_line() {
    let server = Server::start(&[]);
    let address = server.tcp().trim_start_matches("tcp://");
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    let bad = format!("[:a/b \x1b[2J{}\n[:a/b 1]\n", "x".repeat(5_000));
    stream.write_all(bad.as_bytes()).unwrap();
    let mut line = String::new();
    while !line.starts_with("[:sente-lite/echo") {
        line.clear();
        assert!(
            answers.read_line(&mut line).unwrap() > 0,
            "the connection lives on"
        );
    }
    drop((stream, answers));
    let ran = server.stop("TERM");
    let logged: Vec<&str> = ran
        .err
        .lines()
        .filter(|line| line.contains("bad frame"))
        .collect();
    assert_eq!(logged.len(), 1, "{}", ran.err);
    assert!(
        !logged[0].contains('\x1b') && logged[0].matches('x').count() < 220,
        "{}",
        ran.err
    );
}

#[test]
fn a_signal_ends_a_talk_and_a_call() {
    let server = Server::start(&[]);
    let mut child = sente()
        .args(["connect", server.tcp()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .as_mut()
        .unwrap()
        .write_all(b"[:a/b 1]\n")
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    signal(child.id(), "TERM");
    assert_eq!(wait(&mut child), Some(0));

    let script = r#"exec:sh -c 'read a; read b; echo heard >&2; cat >/dev/null'"#;
    let mut child = sente()
        .args(["-v", "call", script, "[:a/b 1]", "--timeout", "50s"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("heard") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0);
    }
    signal(child.id(), "INT");
    assert_eq!(wait(&mut child), Some(1));
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("interrupted"), "{rest}");
}

#[test]
fn a_second_signal_does_not_cut_the_first_short() {
    let mut child = sente()
        .args(["demo", "--serve"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = lines.map(Result::unwrap);
    let socket = lines.find_map(|line| Some(line.split_once("unix:")?.1.to_owned()));
    let socket = std::path::PathBuf::from(socket.unwrap());
    assert!(socket.exists());
    signal(child.id(), "TERM");
    signal(child.id(), "TERM");
    assert_eq!(wait(&mut child), Some(0));
    assert!(!socket.exists() && !socket.parent().unwrap().exists());
}

#[test]
fn an_event_too_large_is_refused_and_the_talk_goes_on() {
    let mut input = b"[:a/b \"".to_vec();
    input.resize(2_000_000, b'x');
    input.extend_from_slice(b"\"]\n[:a/b 1]\n");
    let ran = run(&["connect", PYTHON, "--linger", "30s"], &input);
    assert_eq!(ran.out, "[:a/b 1]\n");
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.starts_with("line 1: "), "{}", ran.err);
    assert!(ran.err.len() < 500, "{}", ran.err.len());
}

#[test]
fn a_reader_that_leaves_ends_a_talk_quietly() {
    let server = Server::start(&[]);
    let mut child = sente()
        .args(["connect", server.tcp()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    child
        .stdin
        .as_mut()
        .unwrap()
        .write_all(b"[:a/b 1]\n")
        .unwrap();
    // The input stays open: only the missing reader can end it.
    let stdin = child.stdin.take();
    assert_eq!(wait(&mut child), Some(0));
    drop(stdin);
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!(said, "");
}

#[test]
fn a_child_that_ends_is_told_with_its_status() {
    for (script, why) in [
        ("exit 0", "before the reply: the peer ended the stream\n"),
        ("exit 3", "the peer ended the stream (exit status: 3)"),
        ("kill -9 $$", "(signal: 9"),
    ] {
        let url = format!("exec:sh -c 'read handshake; read call; {script}'");
        let ran = run(&["call", &url, "[:a/b 1]"], b"");
        assert_eq!(ran.code, Some(4), "{script}: {}", ran.err);
        assert!(ran.err.contains(why), "{script}: {}", ran.err);
    }
}

#[test]
fn a_signal_ends_a_server_whose_parent_is_silent() {
    let mut child = sente()
        .args(["serve", "--stdio", "--tcp", "127.0.0.1:0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    stderr.read_line(&mut line).unwrap();
    assert!(line.starts_with("listening tcp:"), "{line}");
    // Waiting closes the child's input, and a parent that hangs up is another way to end.
    let stdin = child.stdin.take();
    signal(child.id(), "TERM");
    assert_eq!(wait(&mut child), Some(0));
    drop(stdin);
}

#[test]
fn a_terminal_gets_no_word_that_a_pipe_would_not_get() {
    let script = "import os, pty, sys; \
                  sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    let output = std::process::Command::new("python3")
        .args(["-c", script, env!("CARGO_BIN_EXE_sente")])
        .args(["call", PYTHON, "[:test/echo 1]"])
        .current_dir(support::root())
        .env_remove("SENTE_LOG")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1\r\n");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn an_over_long_line_is_told_without_an_empty_excerpt() {
    let script = "exec:python3 -c 'print(\"x\" * 2000000); input()'";
    let ran = run(&["connect", script, "--linger", "10s"], b"[:a/b 1]\n");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.err.ends_with("1048576 bytes\n"), "{}", ran.err);
}

#[test]
fn a_websocket_that_is_cut_is_lost() {
    // Upgrades, shakes hands, and dies in the middle of a frame.
    let script = r#"
import base64, hashlib, socket
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
stream, _ = server.accept()
head = b""
while not head.endswith(b"\r\n\r\n"):
    head += stream.recv(4096)
key = next(line.split(b": ")[1] for line in head.split(b"\r\n")
           if line.lower().startswith(b"sec-websocket-key"))
accept = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
stream.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
               b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + base64.b64encode(accept)
               + b"\r\n\r\n")
hello = b'[:chsk/handshake ["u" nil {} true]]'
stream.sendall(bytes([0x81, len(hello)]) + hello + bytes([0x81, 100]) + b"[:a/b")
"#;
    let mut peer = std::process::Command::new("python3")
        .args(["-c", script])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut port = String::new();
    let mut stdout = BufReader::new(peer.stdout.take().unwrap());
    stdout.read_line(&mut port).unwrap();
    let url = format!("ws://127.0.0.1:{}/", port.trim());
    let ran = run(&["connect", &url, "--linger", "20s"], b"");
    assert_eq!(ran.code, Some(4), "{}", ran.err);
    assert!(ran.err.contains("without a close frame"), "{}", ran.err);
    wait(&mut peer);
}

/// A talk with `--reconnect`, line by line.
struct Talk {
    child: std::process::Child,
    out: std::sync::mpsc::Receiver<String>,
    err: std::sync::mpsc::Receiver<String>,
}

impl Talk {
    fn start(url: &str) -> Self {
        Self::start_with(url, &[])
    }

    fn start_with(url: &str, flags: &[&str]) -> Self {
        let mut child = sente()
            .args(["connect", "--reconnect", url])
            .args(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = lines_of(child.stdout.take().unwrap());
        let err = lines_of(child.stderr.take().unwrap());
        Self { child, out, err }
    }

    fn say(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        writeln!(stdin, "{line}").unwrap();
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines something says, as they come.
fn lines_of(from: impl Read + Send + 'static) -> std::sync::mpsc::Receiver<String> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines() {
            if sender.send(line.unwrap()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// The next line with this in it; those before it are passed over.
fn line_with(lines: &std::sync::mpsc::Receiver<String>, part: &str) -> String {
    loop {
        let line = lines.recv_timeout(Duration::from_secs(60)).expect(part);
        if line.contains(part) {
            return line;
        }
    }
}

#[test]
fn a_talk_goes_on_with_a_server_that_is_restarted_on_its_port() {
    for at in 0..3 {
        let server = Server::start(&[]);
        let url = server.urls[at].clone();
        let mut talk = Talk::start(&url);
        talk.say("[:a/b 1]");
        line_with(&talk.out, ":original-data 1,");
        let (again, _) = server.restart(|| {
            let lost = line_with(&talk.err, "next attempt");
            assert!(lost.starts_with(&format!("lost {url}: ")), "{lost}");
            let failed = line_with(&talk.err, "could not connect");
            assert!(failed.contains("; next attempt in "), "{failed}");
            // Nobody is there: it waits for its link.
            talk.say("[:a/b 2]");
        });
        assert_eq!(again.urls[at], url);
        line_with(&talk.err, &format!("connected to {url} again"));
        line_with(&talk.out, ":original-data 2,");
        talk.say("[:a/b 3]");
        drop(talk.child.stdin.take());
        line_with(&talk.out, ":original-data 3,");
        assert_eq!(wait(&mut talk.child), Some(0), "{url}");
        let rest: Vec<String> = talk.err.iter().collect();
        assert_eq!(rest, Vec::<String>::new());
    }
}

#[test]
fn a_talk_that_reconnects_ends_on_a_signal_without_any_link() {
    let server = Server::start(&[]);
    let url = server.tcp().to_owned();
    server.stop("TERM");
    let mut talk = Talk::start(&url);
    talk.say("[:a/b 1]");
    line_with(&talk.err, "next attempt");
    signal(talk.child.id(), "TERM");
    assert_eq!(wait(&mut talk.child), Some(0));
}

#[test]
fn a_talk_goes_on_with_another_server_where_its_own_is_gone() {
    let (first, second) = (Server::start(&[]), Server::start(&[]));
    let (url, other) = (first.urls[0].clone(), second.tcp().to_owned());
    let flags = ["--fallback", &other, "--csrf-token", "for-the-first-alone"];
    let mut talk = Talk::start_with(&url, &flags);
    talk.say("[:a/b 1]");
    line_with(&talk.out, ":original-data 1,");
    first.stop("TERM");
    let lost = line_with(&talk.err, &format!("; next attempt at once, at {other}"));
    // It had its own tried once more, if that link counts as one that stood.
    assert!(lost.contains(&url), "{lost}");
    line_with(&talk.err, &format!("connected to {other} again"));
    talk.say("[:a/b 2]");
    line_with(&talk.out, ":original-data 2,");
    drop(talk.child.stdin.take());
    assert_eq!(wait(&mut talk.child), Some(0));
}
