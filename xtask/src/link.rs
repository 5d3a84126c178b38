//! The link test: a program without `std` around core and edn, and its negative control.

use std::fs;

use crate::workspace::{Task, Workspace};

/// The program's manifest, from the root.
pub(crate) const MANIFEST: &str = "tests/nostd-link/Cargo.toml";

/// Builds and runs the program, then wants the same program with `std` in its graph to be refused.
pub(crate) fn check(workspace: &Workspace) -> Result<(), String> {
    // The versions under test are those of the workspace; cargo drops what the program does not use.
    let lock = workspace.root.join(MANIFEST).with_file_name("Cargo.lock");
    fs::copy(workspace.root.join("Cargo.lock"), &lock)
        .map_err(|error| format!("cannot write {}: {error}", lock.display()))?;

    build(workspace).run()?;
    let program = workspace.target.join("nostd-link/debug/nostd-link");
    workspace.task(&program).run()?;

    let mut control = build(workspace);
    let output = control.arg("--features").arg("leak-std").output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        return Err(format!("`{control}` links: the test no longer notices std"));
    }
    if !(said.contains("E0152") && said.contains("panic_impl") && said.contains("crate `std`")) {
        print!("{said}");
        return Err(format!("`{control}` fails, but not because std is there"));
    }
    println!("refused as it should be: std brings a second panic handler (E0152)");
    Ok(())
}

fn build(workspace: &Workspace) -> Task {
    let mut task = workspace.cargo(["build", "--manifest-path", MANIFEST]);
    task.arg("--target-dir")
        .arg(workspace.target.join("nostd-link"));
    task
}
