//! Programs that `cargo xtask test` installs, and what they print.

#![allow(dead_code, reason = "each test file uses its part of this")]

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value as Json;
use tokio::process::Command;
use tokio::time::timeout;

/// Starting a browser takes seconds on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The folder of the peers' sources.
pub(crate) const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers");

/// Where something is that was installed, as the environment variable says.
pub(crate) fn at(variable: &str) -> String {
    let at = std::env::var(variable).unwrap_or_default();
    assert!(
        Path::new(&at).exists(),
        "{variable} names {at:?}, which is not there; `cargo xtask test` installs what the tests \
         need and says where it is"
    );
    at
}

/// Runs the function in `tests/peers/pages/NAME.js` in a page of a browser, with a script of an
/// installed package loaded first, and gives back what it returned.
pub(crate) async fn in_a_page(script: Option<&str>, name: &str, arguments: &[&str]) -> Json {
    at("SENTE_TEST_CHROMIUM");
    at("SENTE_TEST_NODE_PATH");
    let mut node = Command::new("node");
    node.arg(format!("{SOURCES}/browser.mjs"));
    if let Some(script) = script {
        node.args(["--script", script]);
    }
    node.arg(format!("{SOURCES}/pages/{name}.js"))
        .args(arguments);
    printed_json(node).await
}

/// Runs a program to its end and reads the line of JSON it prints.
pub(crate) async fn printed_json(mut program: Command) -> Json {
    let child = program
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let output = timeout(PATIENCE, child.wait_with_output())
        .await
        .expect("the program is done in time")
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program:?}: {errors}");
    serde_json::from_str(&printed).unwrap_or_else(|_| panic!("{program:?}: {printed:?} {errors}"))
}
