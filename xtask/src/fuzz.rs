//! `cargo xtask fuzz`: libFuzzer calls the functions of `fuzz/` with bytes it makes up.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use crate::workspace::{Task, Workspace};

/// What `cargo xtask fuzz --help` prints.
pub(crate) const HELP: &str = "\
Looks for bytes for which something does not hold that must, with libFuzzer.

Usage: cargo xtask fuzz [OPTIONS] [TARGET]

Arguments:
  TARGET     The one target to run; without it all of them, one after the other

Options:
      --time TIME  How long each target runs, such as 90s, 10m or 8h. Default: 60s
      --list       List the targets and stop
  -h, --help       Print this help

Needs a nightly toolchain, which it does not install, and installs cargo-fuzz below the target
directory. It begins with the inputs in fuzz/corpus, and keeps those it finds in target/fuzz/corpus.
";

/// The manifest of the wrappers' package, from the root.
const MANIFEST: &str = "fuzz/libfuzzer/Cargo.toml";
const DEFAULT_SECONDS: u64 = 60;
const CARGO_FUZZ_VERSION: &str = "0.13.2";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Help,
    List,
    Run {
        target: Option<String>,
        seconds: u64,
    },
}

/// Reads what follows `fuzz`.
pub(crate) fn parse(arguments: &[String]) -> Result<Request, String> {
    let (mut target, mut seconds, mut list) = (None, DEFAULT_SECONDS, false);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "-h" | "--help" => return Ok(Request::Help),
            "--list" => list = true,
            "--time" => seconds = time(arguments.next().ok_or("--time needs a time")?)?,
            other => match other.strip_prefix("--time=") {
                Some(text) => seconds = time(text)?,
                None if other.starts_with('-') => return Err(format!("no such option: {other}")),
                None if target.is_some() => return Err(format!("unexpected argument: {other}")),
                None => target = Some(argument.clone()),
            },
        }
    }
    Ok(if list {
        Request::List
    } else {
        Request::Run { target, seconds }
    })
}

/// A time in seconds.
fn time(text: &str) -> Result<u64, String> {
    let wrong = || format!("no such time: {text}; such as 90s, 10m or 8h");
    let (number, seconds) = [("s", 1), ("m", 60), ("h", 3600)]
        .iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds)))
        .ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let time = number.checked_mul(seconds).filter(|time| *time > 0);
    time.ok_or_else(wrong)
}

/// Does it.
pub(crate) fn run(workspace: &Workspace, request: &Request) -> Result<(), String> {
    let targets = targets(workspace)?;
    let (only, seconds) = match request {
        Request::Help => {
            print!("{HELP}");
            return Ok(());
        }
        Request::List => {
            println!("{}", targets.join("\n"));
            return Ok(());
        }
        Request::Run { target, seconds } => (target, *seconds),
    };
    if let Some(only) = only
        && !targets.contains(only)
    {
        let known = targets.join(", ");
        return Err(format!("no such target: {only}; there are {known}"));
    }
    let path = install(workspace)?;
    // The versions under test are those of the workspace; cargo drops what the wrappers do not use.
    let lock = workspace.root.join(MANIFEST).with_file_name("Cargo.lock");
    fs::copy(workspace.root.join("Cargo.lock"), &lock)
        .map_err(|error| format!("cannot write {}: {error}", lock.display()))?;
    for target in targets {
        if only.as_ref().is_none_or(|only| *only == target) {
            fuzz(workspace, &path, &target, seconds)?;
        }
    }
    Ok(())
}

/// The names of the wrappers.
fn targets(workspace: &Workspace) -> Result<Vec<String>, String> {
    let folder = workspace.root.join(MANIFEST).with_file_name("fuzz_targets");
    let wrong = |error| format!("cannot list {}: {error}", folder.display());
    let mut targets = Vec::new();
    for file in fs::read_dir(&folder).map_err(wrong)? {
        let path = PathBuf::from(file.map_err(wrong)?.file_name());
        targets.extend(path.file_stem().map(|name| name.to_string_lossy().into()));
    }
    targets.sort();
    Ok(targets)
}

/// Finds the nightly toolchain and cargo-fuzz, and says on which path cargo finds the latter.
fn install(workspace: &Workspace) -> Result<OsString, String> {
    let version = nightly(workspace).arg("--version").asked().ok_or(
        "there is no nightly toolchain (`cargo +nightly` fails), and libFuzzer needs one; \
         installing it is left to you: rustup toolchain install nightly",
    )?;
    println!("nightly: {version}");
    let tools = workspace.target.join("tools");
    let folder = tools.join("bin");
    if !folder.join("cargo-fuzz").exists() {
        let mut install = workspace.cargo(["install", "cargo-fuzz", "--locked"]);
        install
            .arg("--version")
            .arg(CARGO_FUZZ_VERSION)
            .arg("--root")
            .arg(&tools)
            .run()?;
    }
    let before = env::var_os("PATH").unwrap_or_default();
    env::join_paths([folder].into_iter().chain(env::split_paths(&before)))
        .map_err(|error| format!("cannot search {}: {error}", tools.display()))
}

/// Runs one target; an error if it found something.
fn fuzz(workspace: &Workspace, path: &OsString, target: &str, seconds: u64) -> Result<(), String> {
    let found = workspace.target.join("fuzz/corpus").join(target);
    fs::create_dir_all(&found)
        .map_err(|error| format!("cannot make {}: {error}", found.display()))?;
    let mut fuzz = nightly(workspace);
    fuzz.env("PATH", path)
        .arg("fuzz")
        .arg("run")
        .arg("--fuzz-dir")
        .arg("fuzz/libfuzzer")
        .arg("--target-dir")
        .arg(workspace.target.join("fuzz"))
        .arg(target)
        // What is found goes to the first folder; the second one is only read.
        .arg(&found)
        .arg(workspace.root.join("fuzz/corpus").join(target))
        .arg("--")
        .arg(format!("-max_total_time={seconds}"))
        .arg("-timeout=20");
    fuzz.run().map_err(|problem| {
        format!(
            "{problem}\n{target} may have found an input that breaks it, named above. Put it into \
             fuzz/corpus/{target}, where `cargo test -p sente-fuzz` replays it"
        )
    })
}

/// Whichever `cargo` understands `+nightly`: the one that runs us does not.
fn nightly(workspace: &Workspace) -> Task {
    let mut task = workspace.task("cargo");
    task.arg("+nightly");
    task
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Request, String> {
        let arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
        parse(&arguments)
    }

    #[test]
    fn a_bare_command_runs_every_target_for_a_minute() {
        let all = Request::Run {
            target: None,
            seconds: 60,
        };
        assert_eq!(parsed(&[]), Ok(all));
    }

    #[test]
    fn a_time_has_a_unit() {
        for (text, seconds) in [("90s", 90), ("10m", 600), ("8h", 28_800)] {
            let one = Request::Run {
                target: Some("edn_value".to_owned()),
                seconds,
            };
            assert_eq!(parsed(&["edn_value", "--time", text]), Ok(one));
        }
        for text in ["", "s", "60", "0s", "-1s", "1d", "99999999999999999999h"] {
            assert!(parsed(&["--time", text]).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_not_known_is_a_usage_error() {
        for wrong in [&["--quick"][..], &["a", "b"], &["--time"], &["--time=60"]] {
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(parsed(&["--help"]), Ok(Request::Help));
        assert_eq!(parsed(&["--list"]), Ok(Request::List));
    }
}
