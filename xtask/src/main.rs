//! The project's own commands: `cargo xtask test` runs every check there is, on a machine with the
//! Rust toolchain, Node and Python, and installs what else it needs.
#![expect(
    clippy::print_stdout,
    reason = "standard output is this program's report, not a wire"
)]

mod bench;
mod browser;
mod clojure;
mod debian;
mod deep;
mod examples;
mod fuzz;
mod link;
mod peers;
mod steps;
mod workspace;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use steps::{CHECK, Step, TEST};
use workspace::Workspace;

const HELP: &str = "\
The project's own commands.

Usage: cargo xtask <COMMAND> [OPTIONS]

Commands:
  test   Run every check there is: format, lints, documentation, all tests, the no_std proofs,
         the engine's instruction counts
  check  Run the quick ones: format, lints, documentation
  bench  Measure the EDN codec, the packers or servers beside others; see cargo xtask bench --help
  fuzz   Look for bytes that break something; see cargo xtask fuzz --help

Options of test:
      --deep       Run a million random operations against the model instead, which takes seconds.
                   Options behind it: --seeds N and --ops N for how many seeds and operations each,
                   --seed S for one of them

Options of test and check:
      --only STEP  Run this step only; may be given more than once
      --list       List the steps and stop
  -h, --help       Print this help

Exit status: 0 all steps passed, 1 a step failed, 2 wrong usage.
";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Request {
    Help,
    List(&'static [Step]),
    Run(&'static str, Vec<&'static Step>),
    /// The long run of the model tests, with the options it takes itself.
    Deep(Vec<String>),
    BenchHelp,
    Bench(bench::Options),
    Fuzz(fuzz::Request),
}

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)) {
        Ok(Request::Help) => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Ok(Request::List(steps)) => {
            for step in steps {
                println!("{:<12}{}", step.name, step.about);
            }
            ExitCode::SUCCESS
        }
        Ok(Request::Run(command, steps)) => run(command, &steps),
        Ok(Request::Deep(options)) => {
            match Workspace::find().and_then(|workspace| deep::run(&workspace, &options)) {
                Ok(()) => ExitCode::SUCCESS,
                Err(problem) => {
                    eprintln!("error: {problem}");
                    ExitCode::FAILURE
                }
            }
        }
        Ok(Request::BenchHelp) => {
            print!("{}", bench::HELP);
            ExitCode::SUCCESS
        }
        Ok(Request::Bench(options)) => {
            reported(Workspace::find().and_then(|workspace| bench::run(&workspace, &options)))
        }
        Ok(Request::Fuzz(request)) => {
            reported(Workspace::find().and_then(|workspace| fuzz::run(&workspace, &request)))
        }
        Err(problem) => {
            eprintln!("error: {problem}\n\nFor the usage, try: cargo xtask --help");
            ExitCode::from(2)
        }
    }
}

fn reported(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Request, String> {
    let arguments: Vec<String> = arguments.into_iter().collect();
    if let Some((first, rest)) = arguments.split_first()
        && first == "bench"
    {
        let help = rest.iter().any(|word| word == "-h" || word == "--help");
        return if help {
            Ok(Request::BenchHelp)
        } else {
            bench::parse(rest).map(Request::Bench)
        };
    }
    if let Some((first, rest)) = arguments.split_first()
        && first == "fuzz"
    {
        return fuzz::parse(rest).map(Request::Fuzz);
    }
    if let [command, deep, options @ ..] = &arguments[..]
        && command == "test"
        && deep == "--deep"
    {
        return deep::parse(options).map(Request::Deep);
    }
    let mut command = None;
    let mut only = Vec::new();
    let mut list = false;
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "-h" | "--help" | "help" => return Ok(Request::Help),
            "--list" => list = true,
            "--only" => only.push(arguments.next().ok_or("--only needs the name of a step")?),
            other => match other.strip_prefix("--only=") {
                Some(step) => only.push(step.to_owned()),
                None if other.starts_with('-') => return Err(format!("no such option: {other}")),
                None if command.is_some() => return Err(format!("unexpected argument: {other}")),
                None => command = Some(argument),
            },
        }
    }
    let (command, steps) = match command.as_deref() {
        Some("test") => ("test", TEST),
        Some("check") => ("check", CHECK),
        Some(other) => return Err(format!("no such command: {other}")),
        None => return Err("a command is missing: test, check, bench or fuzz".to_owned()),
    };
    if list {
        return Ok(Request::List(steps));
    }
    if let Some(unknown) = only
        .iter()
        .find(|name| !steps.iter().any(|step| step.name == **name))
    {
        return Err(format!(
            "no such step: {unknown}; `cargo xtask {command} --list` names them"
        ));
    }
    let wanted = |step: &&Step| only.is_empty() || only.iter().any(|name| name == step.name);
    Ok(Request::Run(command, steps.iter().filter(wanted).collect()))
}

/// What became of a step.
enum Outcome {
    Passed,
    Failed(String),
    /// A step that this one builds on failed.
    NotRun(&'static str),
}

fn run(command: &str, steps: &[&'static Step]) -> ExitCode {
    let workspace = match Workspace::find() {
        Ok(workspace) => workspace,
        Err(problem) => {
            eprintln!("error: {problem}");
            return ExitCode::FAILURE;
        }
    };
    let begun = Instant::now();
    let mut done: Vec<(&Step, Outcome, Duration)> = Vec::new();
    for step in steps {
        let missing = step.needs.iter().find(|name| {
            done.iter().any(|(step, outcome, _)| {
                step.name == **name && !matches!(outcome, Outcome::Passed)
            })
        });
        let started = Instant::now();
        let outcome = match missing {
            Some(missing) => Outcome::NotRun(missing),
            None => {
                println!("\n=== {}: {}", step.name, step.about);
                match (step.run)(&workspace) {
                    Ok(()) => Outcome::Passed,
                    Err(problem) => Outcome::Failed(problem),
                }
            }
        };
        let took = started.elapsed();
        match &outcome {
            Outcome::Passed => println!("=== {}: ok in {}", step.name, seconds(took)),
            Outcome::Failed(problem) => println!("=== {}: FAILED: {problem}", step.name),
            Outcome::NotRun(_) => {}
        }
        done.push((*step, outcome, took));
    }
    summary(command, &done, begun.elapsed())
}

fn summary(command: &str, done: &[(&Step, Outcome, Duration)], took: Duration) -> ExitCode {
    println!("\n=== summary");
    for (step, outcome, took) in done {
        let result = match outcome {
            Outcome::Passed => "ok".to_owned(),
            Outcome::Failed(_) => "FAILED".to_owned(),
            Outcome::NotRun(missing) => format!("not run, since {missing} failed"),
        };
        println!("{:<12}{:>9}  {result}", step.name, seconds(*took));
    }
    println!("{:<12}{:>9}", "all", seconds(took));
    let mut status = ExitCode::SUCCESS;
    for (step, outcome, _) in done {
        if let Outcome::Failed(problem) = outcome {
            println!("\nfailed: {}: {problem}", step.name);
            println!("repeat: cargo xtask {command} --only {}", step.name);
            status = ExitCode::FAILURE;
        }
    }
    status
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Request, String> {
        parse(arguments.iter().map(|&argument| argument.to_owned()))
    }

    fn names(request: Request) -> Vec<&'static str> {
        match request {
            Request::Run(_, steps) => steps.iter().map(|step| step.name).collect(),
            other => panic!("not a run: {other:?}"),
        }
    }

    #[test]
    fn a_bare_command_runs_all_its_steps() {
        let all: Vec<_> = TEST.iter().map(|step| step.name).collect();
        assert_eq!(names(parsed(&["test"]).unwrap()), all);
        assert_eq!(names(parsed(&["check"]).unwrap()), ["fmt", "clippy", "doc"]);
    }

    #[test]
    fn only_chooses_steps_and_keeps_their_order() {
        let request = parsed(&["test", "--only", "test", "--only=fmt"]).unwrap();
        assert_eq!(names(request), ["fmt", "test"]);
    }

    #[test]
    fn what_is_not_known_is_a_usage_error() {
        for wrong in [
            &[][..],
            &["tset"],
            &["test", "--quick"],
            &["test", "fmt"],
            &["test", "--only"],
            &["test", "--only", "nothing"],
            &["check", "--only", "test"],
        ] {
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_deep_run_takes_numbers_only() {
        let options = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        assert_eq!(
            parsed(&["test", "--deep", "--seed", "7"]),
            Ok(Request::Deep(options(&["--seed", "7"])))
        );
        for wrong in [&["--seed"][..], &["--seed", "x"], &["--only", "1"]] {
            let words = [&["test", "--deep"], wrong].concat();
            assert!(parsed(&words).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn help_and_list_run_nothing() {
        assert_eq!(parsed(&["test", "--help"]), Ok(Request::Help));
        assert_eq!(parsed(&["check", "--list"]), Ok(Request::List(CHECK)));
    }

    #[test]
    fn every_need_is_an_earlier_step() {
        for (index, step) in TEST.iter().enumerate() {
            for need in step.needs {
                assert!(TEST[..index].iter().any(|earlier| earlier.name == *need));
            }
        }
    }
}
