//! Weighs the messages of every packer, and prints that as a page with what was counted elsewhere.
#![expect(clippy::print_stdout, reason = "a program that reports")]

use std::collections::HashMap;
use std::fs;
use std::process::ExitCode;

use sente_benches::measure;
use sente_benches::packers::cases::{self, Case};
use sente_benches::packers::page::Page;
use sente_benches::packers::shapes::Size;

const HELP: &str = "\
Weighs the messages of every packer, and prints a page of Markdown.

Usage: packer_sizes [OPTIONS]

Options:
      --instructions FILE  A case of `packer_once` and its instructions on each line, parted by a tab
      --allocations FILE   The same of `packer_allocations`, whose further columns are not read
      --rounds N           Take times, in so many rounds [default: 0]
      --with WHAT=WHICH    A line of what was measured with; may be given more than once
  -h, --help               Print this help
";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}\n\nFor the usage, try: packer_sizes --help");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), String> {
    let (mut instructions, mut environment) = (HashMap::new(), Vec::new());
    let (mut allocations, mut rounds) = (HashMap::new(), 0);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "-h" || argument == "--help" {
            print!("{HELP}");
            return Ok(());
        }
        let value = arguments.next();
        let value = value.ok_or_else(|| format!("{argument} is unknown or needs a value"))?;
        match argument.as_str() {
            "--instructions" => instructions = counted(&value)?,
            "--allocations" => allocations = counted(&value)?,
            "--rounds" => rounds = value.parse().map_err(|_| "--rounds needs a number")?,
            "--with" => {
                let (what, which) = value.split_once('=').ok_or("--with needs WHAT=WHICH")?;
                environment.push((what.to_owned(), which.to_owned()));
            }
            other => return Err(format!("no such option: {other}")),
        }
    }
    let cases = cases::all();
    let mut times = HashMap::new();
    // All who do the same work on the same message take turns.
    let works = cases.chunk_by(|one, other| one.work == other.work);
    for work in works.filter(|_| rounds > 0) {
        for size in Size::ALL {
            let these = || work.iter().filter(|case| case.size == size);
            let took = measure::in_turn(these().map(Case::prepare), rounds);
            times.extend(these().map(Case::name).zip(took));
        }
    }
    let page = Page {
        cases: &cases,
        instructions: &instructions,
        allocations: &allocations,
        times: &times,
        environment: &environment,
    };
    print!("{page}");
    Ok(())
}

fn counted(path: &str) -> Result<HashMap<String, u64>, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))?;
    let mut counts = HashMap::new();
    for line in text.lines() {
        let mut parts = line.split('\t');
        let (name, count) = parts
            .next()
            .zip(parts.next())
            .ok_or_else(|| format!("{path}: {line}"))?;
        let count = count.parse().map_err(|_| format!("{path}: {line}"))?;
        counts.insert(name.to_owned(), count);
    }
    Ok(counts)
}
