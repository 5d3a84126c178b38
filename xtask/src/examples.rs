//! The examples, run as the documentation at their top says, and held to what it says they print.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::workspace::Workspace;

/// How long one may take. Most take a moment.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a printed line may have anything in the place of.
const ANYTHING: &str = "...";

/// Builds every example of the workspace and runs it.
pub(crate) fn run(workspace: &Workspace) -> Result<(), String> {
    let sources = sources(&workspace.root)?;
    workspace
        .cargo(["build", "--workspace", "--examples"])
        .run()?;
    let mut wrong = Vec::new();
    for source in &sources {
        let name = source.name.as_str();
        match show(workspace, source) {
            Ok(lines) => println!("example {name}: {lines} lines, as it says"),
            Err(problem) => {
                println!("example {name}: {problem}");
                wrong.push(name);
            }
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(format!("not as they say: {}", wrong.join(", ")))
    }
}

/// An example.
struct Source {
    name: String,
    text: String,
}

/// All examples of the packages below `root`. What is deeper belongs to other workspaces.
fn sources(root: &Path) -> Result<Vec<Source>, String> {
    let mut found = Vec::new();
    let mut folders = vec![(root.to_path_buf(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in entries(&folder)? {
            let name = file_name(&entry);
            if !entry.is_dir() || name.starts_with('.') || name == "target" {
                continue;
            }
            if name == "examples" && folder.join("Cargo.toml").is_file() {
                for example in entries(&entry)? {
                    let program = if example.is_dir() {
                        example.join("main.rs")
                    } else {
                        example.clone()
                    };
                    if program
                        .extension()
                        .is_some_and(|extension| extension == "rs")
                    {
                        found.push(Source {
                            name: file_name(&example.with_extension("")),
                            text: read(&program)?,
                        });
                    }
                }
            } else if depth < 2 {
                folders.push((entry, depth + 1));
            }
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

/// Runs one and compares. How many lines it printed.
fn show(workspace: &Workspace, source: &Source) -> Result<usize, String> {
    let Shown { arguments, lines } = shown(&source.text, &source.name)?;
    let program = workspace.target.join("debug/examples").join(&source.name);
    let mut command = Command::new(&program);
    command.args(arguments).current_dir(&workspace.root);
    let printed = printed(command)?;
    let printed: Vec<&str> = printed.lines().collect();
    for (number, (line, wanted)) in printed.iter().zip(&lines).enumerate() {
        if !matches(line, wanted) {
            let number = number + 1;
            return Err(format!("line {number} is {line:?}, it says {wanted:?}"));
        }
    }
    if printed.len() == lines.len() {
        Ok(lines.len())
    } else {
        Err(format!(
            "it prints {} lines and says {}:\n{}",
            printed.len(),
            lines.len(),
            printed.join("\n"),
        ))
    }
}

/// What an example says of itself.
#[derive(Debug, PartialEq, Eq)]
struct Shown<'a> {
    arguments: Vec<&'a str>,
    lines: Vec<&'a str>,
}

/// Reads the first console block of an example's documentation: the command and what it prints.
fn shown<'a>(text: &'a str, name: &str) -> Result<Shown<'a>, String> {
    let mut lines = text
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .skip_while(|line| *line != "```console")
        .skip(1);
    let command = lines.next().ok_or("its documentation shows no console")?;
    let (cargo, arguments) = command.split_once(" -- ").unwrap_or((command, ""));
    let wanted = format!("--example {name}");
    if !cargo.starts_with("$ cargo run -p ") || !cargo.ends_with(&wanted) {
        return Err(format!(
            "its documentation shows {command:?}, and not how it is run"
        ));
    }
    Ok(Shown {
        arguments: arguments.split_whitespace().collect(),
        lines: lines.take_while(|line| *line != "```").collect(),
    })
}

/// What the program prints, which has to end well.
fn printed(mut command: Command) -> Result<String, String> {
    let failed = |error| format!("cannot run it: {error}");
    let mut running = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut output = running.stdout.take().ok_or("it has no output")?;
    let reading = thread::spawn(move || {
        let mut printed = String::new();
        output.read_to_string(&mut printed).map(|_| printed)
    });
    let until = Instant::now() + PATIENCE;
    let status = loop {
        match running.try_wait().map_err(failed)? {
            Some(status) => break status,
            None if Instant::now() < until => thread::sleep(Duration::from_millis(10)),
            None => {
                running.kill().map_err(failed)?;
                running.wait().map_err(failed)?;
                return Err(format!("it has not ended after {} s", PATIENCE.as_secs()));
            }
        }
    };
    let printed = reading.join().map_err(|_| "its output cannot be read")?;
    let printed = printed.map_err(failed)?;
    if status.success() {
        Ok(printed)
    } else {
        Err(format!("it ends with {status}:\n{printed}"))
    }
}

/// Whether `line` is as `wanted`.
fn matches(line: &str, wanted: &str) -> bool {
    let mut parts = wanted.split(ANYTHING);
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else {
        return false;
    };
    let mut parts = parts.peekable();
    let mut ends_anyhow = false;
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        rest = if is_last && !part.is_empty() {
            match rest.strip_suffix(part) {
                Some(_) => "",
                None => return false,
            }
        } else {
            match rest.find(part) {
                Some(at) => rest.get(at + part.len()..).unwrap_or_default(),
                None => return false,
            }
        };
        ends_anyhow = is_last;
    }
    ends_anyhow || rest.is_empty()
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |error| format!("cannot read {}: {error}", folder.display());
    let entries = fs::read_dir(folder).map_err(failed)?;
    entries
        .map(|entry| entry.map(|entry| entry.path()).map_err(failed))
        .collect()
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_console_says_how_an_example_is_run_and_what_it_prints() {
        let text = "//! One.\n//!\n//! ```console\n//! $ cargo run -p a --example b -- c 1\n\
                    //! two lines:\n//!   here\n//! ```\n//!\n//! More.\n\nfn main() {}\n";
        let expected = Shown {
            arguments: vec!["c", "1"],
            lines: vec!["two lines:", "  here"],
        };
        assert_eq!(shown(text, "b"), Ok(expected));
        assert!(shown(text, "another").is_err());
        assert!(shown("//! Nothing.\n", "b").is_err());
    }

    #[test]
    fn dots_stand_for_anything() {
        for (line, wanted) in [
            ("a line", "a line"),
            ("after 1.5 ms", "after ..."),
            ("12 of 13 B", "... of ... B"),
            ("", "..."),
            ("B and B", "...B"),
        ] {
            assert!(matches(line, wanted), "{line:?}, {wanted:?}");
        }
        for (line, wanted) in [
            ("a line", "a lin"),
            ("a line", "a line more"),
            ("before 1.5 ms", "after ..."),
            ("12 of 13", "... of ... B"),
        ] {
            assert!(!matches(line, wanted), "{line:?}, {wanted:?}");
        }
    }

    #[test]
    fn every_example_says_what_it_prints() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let sources = sources(root).unwrap();
        assert!(sources.len() > 5, "they are elsewhere");
        for source in &sources {
            shown(&source.text, &source.name)
                .unwrap_or_else(|problem| panic!("{}: {problem}", source.name));
        }
    }
}
