//! Repeats one piece of the engine's work, and does nothing else:
//! `core_once --only frame-in/lines --iters 100`.
//!
//! Run under an instruction counter with two numbers of iterations, the difference is the cost of
//! the work without that of starting and preparing.
#![expect(clippy::print_stdout, reason = "a program that reports")]

use std::process::ExitCode;

use sente_benches::engine::{CASES, GOALS};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["--list"] => {
            for case in CASES {
                println!("{}\t{}", case.name, case.events);
            }
            ExitCode::SUCCESS
        }
        ["--goals"] => {
            for goal in GOALS {
                let (less, floor) = (goal.less.join(","), goal.floor.unwrap_or_default());
                println!(
                    "{}\t{less}\t{floor}\t{}\t{}\t{}",
                    goal.case, goal.must, goal.stretch, goal.label
                );
            }
            ExitCode::SUCCESS
        }
        ["--only", name, "--iters", count] => {
            let Some(case) = CASES.iter().find(|case| case.name == name) else {
                eprintln!("error: no such case: {name}");
                return ExitCode::from(2);
            };
            let mut operation = (case.prepare)();
            for _ in 0..count.parse::<u64>().unwrap_or(1) {
                operation();
            }
            // What it holds is not dropped within the count.
            std::mem::forget(operation);
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("usage: core_once --list | --goals | --only NAME --iters N");
            ExitCode::from(2)
        }
    }
}
