//! Repeats one case of the packers, and does nothing else:
//! `packer_once --only pack-typed/1KB/msgpack --iters 100`.
//!
//! Run under an instruction counter with two numbers of iterations, the difference is the cost of
//! the work without that of starting and preparing.
#![expect(clippy::print_stdout, reason = "a program that reports")]

use std::process::ExitCode;

use sente_benches::cases::used_heap;
use sente_benches::packers::cases;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let all = cases::all();
    match words[..] {
        ["--list"] => {
            for case in all {
                println!("{}", case.name());
            }
            ExitCode::SUCCESS
        }
        ["--only", name, "--iters", count] => {
            let (Some(case), Ok(count)) = (
                all.iter().find(|case| case.name() == name),
                count.parse::<u64>(),
            ) else {
                eprintln!("error: no such case or number: {name}, {count}");
                return ExitCode::from(2);
            };
            let _heap = used_heap();
            let mut operation = case.prepare();
            for _ in 0..count {
                operation();
            }
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("usage: packer_once --list | --only NAME --iters N");
            ExitCode::from(2)
        }
    }
}
