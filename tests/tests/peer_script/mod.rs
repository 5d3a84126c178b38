//! A script of `tests/peers` that a test talks to line by line.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running peer script.
pub struct Script {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Script {
    pub fn start(name: &str, language: &str, arguments: &[&str]) -> Self {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/peers");
        let (variable, what) = match language {
            "py" => ("SENTE_TEST_PYTHON", "the Python of the test peers"),
            _ => ("SENTE_TEST_NODE_PATH", "the packages of the test peers"),
        };
        let installed = std::env::var(variable).unwrap_or_default();
        assert!(
            std::path::Path::new(&installed).exists(),
            "{what} are not at {installed:?}: run `cargo xtask test --only peers` once"
        );
        let program = if language == "py" { &installed } else { "node" };
        let mut child = Command::new(program)
            .arg(format!("{folder}/{name}.{language}"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self {
            input: child.stdin.take().unwrap(),
            output: BufReader::new(child.stdout.take().unwrap()).lines(),
            _child: child,
        }
    }

    pub async fn say(&mut self, line: &str) {
        self.input.write_all(line.as_bytes()).await.unwrap();
        self.input.write_all(b"\n").await.unwrap();
    }

    pub async fn hear(&mut self) -> String {
        let line = timeout(PATIENCE, self.output.next_line()).await;
        line.expect("the peer says something in time")
            .unwrap()
            .expect("the peer goes on")
    }

    /// The next line that is not about an HTTP header.
    pub async fn hear_frame(&mut self) -> String {
        loop {
            let line = self.hear().await;
            if !line.starts_with("#header") {
                return line;
            }
        }
    }
}
