//! The long run of the model tests, in a release build.

use crate::workspace::Workspace;

/// The options that the run takes itself, each with a number.
pub(crate) fn parse(options: &[String]) -> Result<Vec<String>, String> {
    for pair in options.chunks(2) {
        match pair {
            [name, number] if ["--seeds", "--ops", "--seed"].contains(&name.as_str()) => {
                if number.parse::<u64>().is_err() {
                    return Err(format!("{name} needs a number, not {number}"));
                }
            }
            [name, ..] => return Err(format!("no such option of a deep run: {name}")),
            [] => {}
        }
    }
    Ok(options.to_vec())
}

/// Runs it. Its last line says how many operations and seeds there were, and how many breaches.
pub(crate) fn run(workspace: &Workspace, options: &[String]) -> Result<(), String> {
    let mut task = workspace.cargo(["run", "--release", "--quiet", "-p", "sente-tests"]);
    task.arg("--bin").arg("world-deep").arg("--");
    for option in options {
        task.arg(option);
    }
    task.run()
}
