//! Echoes calls one way, and does nothing else: `runtimes_once --only tcp/tokio/1 --iters 2000`.
//! The last part of the name is how many calls are under way at once.
//!
//! Run under an instruction counter with two numbers of calls, the difference is the cost of the
//! calls without that of starting and connecting.
#![expect(clippy::print_stdout, reason = "a program that reports")]

use std::process::ExitCode;

use sente_benches::runtimes::{WINDOWS, Way};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let all = || Way::all().flat_map(|way| WINDOWS.iter().map(move |window| (way, *window)));
    let name = |(way, window): (Way, u64)| format!("{}/{window}", way.name());
    match words[..] {
        ["--list"] => {
            for case in all() {
                println!("{}", name(case));
            }
            ExitCode::SUCCESS
        }
        ["--only", wanted, "--iters", count] => {
            let Some((way, window)) = all().find(|case| name(*case) == wanted) else {
                eprintln!("error: no such case: {wanted}");
                return ExitCode::from(2);
            };
            let mut echo = way.open(window);
            // What grows at first has its size.
            echo(window * 3);
            echo(count.parse().unwrap_or(1));
            // Its end does not count, and threads of a runtime are not waited for.
            std::mem::forget(echo);
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("usage: runtimes_once --list | --only NAME --iters N");
            ExitCode::from(2)
        }
    }
}
