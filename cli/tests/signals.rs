//! Signals: what a command passes on to its child, and what it does as a child itself.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Stdio};

use support::{sente, signal, wait};

/// A command with a child in Python that says what it sees in lines of events.
struct Parent {
    sente: Child,
    out: BufReader<ChildStdout>,
    folder: tempfile::TempDir,
}

/// Says that it is there in the file of its argument, and what ends it.
const CHILD: &str = r#"
import signal, sys, time
def note(word):
    with open(sys.argv[1], "a") as notes: notes.write(word + "\n")
def term(*_):
    note("SIGTERM")
    sys.exit(0)
signal.signal(signal.SIGTERM, term)
signal.signal(signal.SIGINT, lambda *_: note("SIGINT"))
signal.signal(signal.SIGHUP, lambda *_: note("SIGHUP"))
sys.stdin.buffer.readline()
print("[:child/ready]", flush=True)
sys.stdin.buffer.read()
note("end of input")
if sys.argv[2] == "stubborn": time.sleep(3600)
"#;

impl Parent {
    /// Starts `sente COMMAND exec:CHILD`, and waits until the child is there.
    fn start(command: &[&str], manner: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("child.py");
        std::fs::write(&script, CHILD).unwrap();
        let notes = folder.path().join("notes");
        let url = format!(
            "exec:python3 {} {} {manner}",
            script.display(),
            notes.display()
        );
        let mut sente = sente()
            .args(command)
            .arg(url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(sente.stdout.take().unwrap());
        Self { sente, out, folder }
    }

    fn until_ready(&mut self) {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        assert_eq!(line, "[:child/ready]\n");
    }

    /// Sends a signal to the parent alone; its exit code, and what the child saw.
    fn end(mut self, name: &str) -> (Option<i32>, String) {
        signal(self.sente.id(), name);
        // Waiting closes the parent's input, which is another way to end.
        let stdin = self.sente.stdin.take();
        let code = wait(&mut self.sente);
        drop(stdin);
        let notes = std::fs::read_to_string(self.folder.path().join("notes"));
        (code, notes.unwrap_or_default())
    }
}

#[test]
fn a_signal_is_the_end_of_input_to_a_child_and_not_forwarded() {
    for name in ["TERM", "INT", "HUP"] {
        let mut parent = Parent::start(&["connect"], "obedient");
        parent.until_ready();
        assert_eq!(
            parent.end(name),
            (Some(0), "end of input\n".to_owned()),
            "SIG{name}"
        );
    }
}

#[test]
fn a_child_that_does_not_end_with_its_input_gets_sigterm() {
    let mut parent = Parent::start(&["connect"], "stubborn");
    parent.until_ready();
    let seen = "end of input\nSIGTERM\n".to_owned();
    assert_eq!(parent.end("TERM"), (Some(0), seen));
}

#[test]
fn a_call_that_is_interrupted_lets_its_child_end_in_order() {
    let script =
        "exec:sh -c 'read handshake; read call; echo heard >&2; cat >/dev/null; echo ended >&2'";
    for name in ["TERM", "INT", "HUP"] {
        let mut call = sente()
            .args(["-v", "call", script, "[:a/b 1]", "--timeout", "50s"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(call.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("heard") {
            line.clear();
            assert!(stderr.read_line(&mut line).unwrap() > 0);
        }
        signal(call.id(), name);
        assert_eq!(wait(&mut call), Some(1), "SIG{name}");
        let mut rest = String::new();
        stderr.read_to_string(&mut rest).unwrap();
        assert!(rest.contains("ended"), "SIG{name}: {rest}");
        assert!(rest.contains("interrupted before the reply"), "{rest}");
    }
}

#[test]
fn a_command_that_is_to_outlive_its_terminal_does() {
    let mut talk = std::process::Command::new("nohup")
        .arg(env!("CARGO_BIN_EXE_sente"))
        .args(["connect", "exec:python3 tests/peers/echo.py"])
        .current_dir(support::root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(talk.stdout.take().unwrap());
    let mut stdin = talk.stdin.take().unwrap();
    for number in 0..2 {
        writeln!(stdin, "[:a/b {number}]").unwrap();
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        assert_eq!(line, format!("[:a/b {number}]\n"));
        signal(talk.id(), "HUP");
    }
    drop(stdin);
    assert_eq!(wait(&mut talk), Some(0));
}

#[test]
fn a_server_that_is_a_child_ends_in_order_on_a_signal_and_at_the_end_of_its_input() {
    for name in [Some("TERM"), Some("INT"), Some("HUP"), None] {
        let mut child = sente()
            .args(["serve", "--stdio"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        // Its parent speaks first.
        let said = b"[:chsk/handshake [\"parent\" nil nil true]]\n[:a/b 1]\n";
        stdin.write_all(said).unwrap();
        let mut line = String::new();
        while !line.contains(":sente-lite/echo") {
            line.clear();
            assert!(out.read_line(&mut line).unwrap() > 0);
        }
        let stdin = match name {
            Some(name) => {
                signal(child.id(), name);
                Some(stdin)
            }
            None => {
                drop(stdin);
                None
            }
        };
        assert_eq!(wait(&mut child), Some(0), "{name:?}");
        drop(stdin);
    }
}
