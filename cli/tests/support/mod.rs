//! What the tests of the command share: running it, and keeping a server of it.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its part of this"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// What came of a run.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// The command, to be run at the root of the workspace.
pub fn sente() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sente"));
    command.current_dir(root()).env_remove("SENTE_LOG");
    command
}

/// Where the peers of the tests are found.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs the command to its end with this input. A run that does not end fails the test.
pub fn run(args: &[&str], input: &[u8]) -> Ran {
    let mut child = sente()
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    std::thread::spawn(move || {
        // The command may have ended without reading it.
        let _ = stdin.write_all(&input);
    });
    let out = collect(child.stdout.take().unwrap());
    let err = collect(child.stderr.take().unwrap());
    let code = wait(&mut child);
    Ran {
        code,
        out: out.recv().unwrap(),
        err: err.recv().unwrap(),
    }
}

/// Waits for a process, at most for `LONGEST`.
pub fn wait(child: &mut Child) -> Option<i32> {
    let id = child.id();
    let (done, ended) = mpsc::channel::<()>();
    let guard = std::thread::spawn(move || {
        if ended.recv_timeout(LONGEST) == Err(mpsc::RecvTimeoutError::Timeout) {
            signal(id, "KILL");
            panic!("the command did not end");
        }
    });
    let code = child.wait().unwrap().code();
    drop(done);
    guard.join().unwrap();
    code
}

/// Sends a signal to a process.
pub fn signal(id: u32, name: &str) {
    let status = Command::new("kill")
        .args([format!("-{name}"), id.to_string()])
        .status()
        .unwrap();
    assert!(status.success(), "kill -{name} {id}");
}

fn collect(mut from: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

/// A `sente serve` that is ended with the test.
pub struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    err: Option<mpsc::Receiver<String>>,
    /// The URLs it listens on, in the order of the flags' kinds: ws, tcp, unix.
    pub urls: Vec<String>,
    directory: Option<tempfile::TempDir>,
}

impl Server {
    /// Starts one on WebSocket, TCP and a Unix socket, with more flags.
    pub fn start(more: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self::start_at("127.0.0.1:0", "127.0.0.1:0", directory, more)
    }

    fn start_at(ws: &str, tcp: &str, directory: tempfile::TempDir, more: &[&str]) -> Self {
        let socket = directory.path().join("s.sock");
        let mut child = sente()
            .args(["serve", "--ws", ws, "--tcp", tcp, "--unix"])
            .arg(&socket)
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let err = collect(child.stderr.take().unwrap());
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let urls = (0..3)
            .map(|_| {
                let mut line = String::new();
                stdout.read_line(&mut line).unwrap();
                let url = line.strip_prefix("listening ").expect(&line);
                url.trim_end_matches('\n').to_owned()
            })
            .collect();
        Self {
            child,
            stdout,
            err: Some(err),
            urls,
            directory: Some(directory),
        }
    }

    /// The WebSocket, with this path behind the slash.
    pub fn ws(&self, path: &str) -> String {
        format!("{}{path}", self.urls[0])
    }

    /// The TCP port.
    pub fn tcp(&self) -> &str {
        &self.urls[1]
    }

    /// The Unix socket.
    pub fn unix(&self) -> &str {
        &self.urls[2]
    }

    /// Ends it, and starts one that listens where it did; `meanwhile` there is none.
    pub fn restart<T>(mut self, meanwhile: impl FnOnce() -> T) -> (Self, T) {
        let [ws, tcp, _] = &self.urls[..] else {
            panic!("{:?}", self.urls)
        };
        let ws = ws.trim_start_matches("ws://").trim_end_matches('/');
        let (ws, tcp) = (ws.to_owned(), tcp.trim_start_matches("tcp://").to_owned());
        let directory = self.directory.take().unwrap();
        self.stop("TERM");
        let result = meanwhile();
        (Self::start_at(&ws, &tcp, directory, &[]), result)
    }

    /// Ends it with a signal; the exit code, what else it printed, and standard error.
    pub fn stop(mut self, name: &str) -> Ran {
        signal(self.child.id(), name);
        let code = wait(&mut self.child);
        let mut out = String::new();
        self.stdout.read_to_string(&mut out).unwrap();
        let err = self.err.take().unwrap().recv().unwrap();
        Ran { code, out, err }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A `sente serve` of any flags, whose words can be waited for; it is ended with the test.
pub struct Live {
    child: Child,
    err: mpsc::Receiver<String>,
    out: mpsc::Receiver<String>,
    /// What it has said on standard error so far.
    pub said: String,
}

impl Live {
    /// Starts one.
    pub fn start(args: &[&str]) -> Self {
        Self::spawn(sente().arg("serve").args(args))
    }

    /// Starts what this command says.
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let err = lines(child.stderr.take().unwrap());
        let out = lines(child.stdout.take().unwrap());
        let said = String::new();
        Self {
            child,
            err,
            out,
            said,
        }
    }

    /// The URL of the next `listening` line.
    pub fn url(&self) -> String {
        let line = self.out.recv_timeout(LONGEST).expect("a listening line");
        line.strip_prefix("listening ").expect(&line).to_owned()
    }

    /// Waits until a line on standard error has this part, and gives it.
    pub fn until(&mut self, part: &str) -> String {
        loop {
            let line = self.err.recv_timeout(LONGEST);
            let line = line.unwrap_or_else(|_| panic!("no {part:?} in:\n{}", self.said));
            self.said.push_str(&line);
            self.said.push('\n');
            if line.contains(part) {
                return line;
            }
        }
    }

    /// The number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end: the exit code, and all it has said on standard error.
    pub fn end(mut self) -> (Option<i32>, String) {
        let code = wait(&mut self.child);
        let mut said = std::mem::take(&mut self.said);
        for line in &self.err {
            said.push_str(&line);
            said.push('\n');
        }
        (code, said)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a stream as they come.
fn lines(from: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines() {
            if line.map(|line| sender.send(line)).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Far more than any run takes.
const LONGEST: Duration = Duration::from_secs(60);
