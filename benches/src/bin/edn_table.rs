//! Takes the times of all cases, and prints them as a page with what was counted elsewhere.
#![expect(clippy::print_stdout, reason = "a program that reports")]

use std::collections::HashMap;
use std::fs;
use std::process::ExitCode;

use sente_benches::cases::{self, Case};
use sente_benches::documents::Document;
use sente_benches::measure;
use sente_benches::report::{Heap, Measured, Page};
use serde_json::Value;

const HELP: &str = "\
Takes the times of all cases, and prints them as a page of Markdown.

Usage: edn_table [OPTIONS]

Options:
      --instructions FILE  What `edn_instructions` printed with --output-format=json
      --allocations FILE   What `edn_allocations` printed
      --with WHAT=WHICH    A line of what was measured with; may be given more than once
      --rounds N           How many rounds [default: 41]; a quarter of it for the megabyte
  -h, --help               Print this help
";

#[derive(Default)]
struct Options {
    measured: Measured,
    environment: Vec<(String, String)>,
    rounds: Option<usize>,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}\n\nFor the usage, try: edn_table --help");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), String> {
    let cases = cases::all();
    let Some(mut options) = parse(&cases)? else {
        print!("{HELP}");
        return Ok(());
    };
    let rounds = options.rounds.unwrap_or(41);
    let _heap = cases::used_heap();
    for document in Document::ALL {
        let these: Vec<&Case> = cases
            .iter()
            .filter(|case| case.document == document)
            .collect();
        let rounds = match document {
            Document::Large => rounds.div_ceil(4),
            _ => rounds,
        };
        let times = measure::interleaved(&these, rounds);
        let names = these.iter().map(|case| case.name());
        options.measured.times.extend(names.zip(times));
    }
    options.environment.push((
        "codecs".to_owned(),
        versions(cases.iter().map(|case| case.codec)),
    ));
    options.environment.push((
        "rounds".to_owned(),
        format!("{rounds}, and {} for the megabyte", rounds.div_ceil(4)),
    ));
    print!(
        "{}",
        Page::new(&options.measured, &cases, &options.environment)
    );
    Ok(())
}

/// Reads the command line; `None` asks for help.
fn parse(cases: &[Case]) -> Result<Option<Options>, String> {
    let mut options = Options::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "-h" || argument == "--help" {
            return Ok(None);
        }
        let value = arguments.next();
        let value = value.ok_or_else(|| format!("{argument} is unknown or needs a value"))?;
        match argument.as_str() {
            "--instructions" => {
                options.measured.instructions = instructions(&read(&value)?, cases)?;
            }
            "--allocations" => options.measured.heap = heap(&read(&value)?),
            "--with" => {
                let (what, which) = value.split_once('=').ok_or("--with needs WHAT=WHICH")?;
                options
                    .environment
                    .push((what.to_owned(), which.to_owned()));
            }
            "--rounds" => {
                let rounds: usize = value.parse().map_err(|_| "--rounds needs a number")?;
                options.rounds = Some(rounds.max(1));
            }
            other => return Err(format!("no such option: {other}")),
        }
    }
    Ok(Some(options))
}

fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))
}

/// Reads gungraun's summaries, one JSON object a line; its ids are names of cases with underscores.
fn instructions(text: &str, cases: &[Case]) -> Result<HashMap<String, u64>, String> {
    let mut counts = HashMap::new();
    for line in text.lines() {
        let summary: Value = serde_json::from_str(line)
            .map_err(|error| format!("the instructions are not JSON: {error}"))?;
        let id = summary["id"].as_str();
        let count = summary
            .pointer("/profiles/0/data/total/metrics/Ir/values/new")
            .and_then(Value::as_u64);
        let case = cases
            .iter()
            .map(Case::name)
            .find(|name| id == Some(&*name.replace(['/', '-'], "_")));
        match (case, count) {
            (Some(case), Some(count)) => counts.insert(case, count / cases::OPERATIONS),
            _ => return Err(format!("the instructions have an unknown form: {line}")),
        };
    }
    Ok(counts)
}

/// Reads what `edn_allocations` prints. Cargo's own lines are passed over.
fn heap(text: &str) -> HashMap<String, Heap> {
    let line = |line: &str| {
        let mut parts = line.split('\t');
        let name = parts.next()?.to_owned();
        let mut number = || parts.next()?.parse().ok();
        let (allocations, _bytes, peak) = (number()?, number()?, number()?);
        Some((name, Heap { allocations, peak }))
    };
    text.lines().filter_map(line).collect()
}

/// The versions of the codecs, as the lock file has them.
fn versions<'a>(codecs: impl Iterator<Item = &'a str>) -> String {
    let lock = include_str!("../../../Cargo.lock");
    let mut named: Vec<&str> = Vec::new();
    for codec in codecs {
        if !named.contains(&codec) {
            named.push(codec);
        }
    }
    let version = |codec: &str| {
        let (_, rest) = lock.split_once(&format!("\nname = \"{codec}\"\nversion = \""))?;
        Some(rest.split_once('"')?.0)
    };
    let named = named
        .into_iter()
        .map(|codec| format!("`{codec}` {}", version(codec).unwrap_or("?")));
    named.collect::<Vec<_>>().join(", ")
}
