//! The long run of the model tests: `cargo xtask test --deep`.
#![expect(
    clippy::print_stdout,
    reason = "standard output is this program's report, not a wire"
)]

use std::process::ExitCode;

use sente_tests::model;

fn main() -> ExitCode {
    let mut seeds = 10_000;
    let mut ops = 100;
    let mut only = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().and_then(|text| text.parse::<u64>().ok());
        match (argument.as_str(), value) {
            ("--seeds", Some(value)) => seeds = value,
            ("--ops", Some(value)) => ops = usize::try_from(value).unwrap_or(ops),
            ("--seed", Some(value)) => only = Some(value),
            _ => {
                eprintln!("usage: world-deep [--seeds N] [--ops N] [--seed S]");
                return ExitCode::from(2);
            }
        }
    }
    // A panic is caught, named and reported with its seed.
    std::panic::set_hook(Box::new(|_| {}));
    let range = only.map_or(0..seeds, |seed| seed..seed.saturating_add(1));
    let mut violations = 0_u64;
    let mut done = 0_u64;
    let mut first = None;
    let mut sum = model::Tally::default();
    for seed in range {
        let plan = model::plan(seed, ops);
        // Now and then everything is done twice and replayed.
        let outcome = if seed % 16 == 0 || only.is_some() {
            model::run_twice(seed, &plan)
        } else {
            model::run(seed, &plan)
        };
        done += 1;
        match outcome {
            Ok(tally) => sum.add(&tally),
            Err(violation) => {
                violations += 1;
                println!("seed {seed}: {violation}");
                first.get_or_insert((seed, violation));
                if violations >= 10 {
                    break;
                }
            }
        }
    }
    if let Some((seed, violation)) = &first {
        println!("\n{}\n", model::report(*seed, ops, violation));
    }
    println!("{sum:?}");
    let total = done * ops as u64;
    println!("deep: ops={total} seeds={done} violations={violations}");
    ExitCode::from(u8::from(violations > 0))
}
