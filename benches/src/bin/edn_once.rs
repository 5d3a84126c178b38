//! Repeats one case, and does nothing else: `edn_once --only scan/medium/sente-edn --iters 100`.
//!
//! Run under an instruction counter with two numbers of iterations, the difference is the cost of
//! the work without that of starting and preparing.
#![expect(clippy::print_stdout, reason = "a program that reports")]

use std::process::ExitCode;

use sente_benches::cases;
use sente_benches::goals::GOALS;

const HELP: &str = "\
Repeats one case.

Usage: edn_once --only NAME [--iters N]
       edn_once --list
       edn_once --goals

Options:
      --only NAME  The case, named work/document/codec
      --iters N    How often [default: 1]
      --list       Print the names of all cases
      --goals      Print the goals, one a line, parted by tabs: case, peers (parted by commas),
                   must, stretch, words
  -h, --help       Print this help
";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}\n\nFor the usage, try: edn_once --help");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), String> {
    let (mut only, mut iterations) = (None, 1_u64);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .ok_or_else(|| format!("{argument} needs a value"))
        };
        match argument.as_str() {
            "-h" | "--help" => {
                print!("{HELP}");
                return Ok(());
            }
            "--list" => {
                for case in cases::all() {
                    println!("{}", case.name());
                }
                return Ok(());
            }
            "--goals" => {
                goals();
                return Ok(());
            }
            "--only" => only = Some(value()?),
            "--iters" => {
                let number = value()?;
                let number = number.parse();
                iterations = number.map_err(|_| "--iters needs a number".to_owned())?;
            }
            other => return Err(format!("unexpected argument: {other}")),
        }
    }
    let only = only.ok_or("--only is missing")?;
    let _heap = cases::used_heap();
    let all = cases::all();
    let case = all.iter().find(|case| case.name() == only);
    let mut operation = case
        .ok_or_else(|| format!("no such case: {only}"))?
        .prepare();
    for _ in 0..iterations {
        operation();
    }
    Ok(())
}

fn goals() {
    for goal in GOALS {
        let peers: Vec<_> = goal.peer_cases().collect();
        println!(
            "{}\t{}\t{}\t{}\t{}",
            goal.case(),
            peers.join(","),
            goal.must,
            goal.stretch,
            goal.label
        );
    }
}
