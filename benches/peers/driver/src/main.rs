//! Loads every server in the same way and measures it from outside:
//!
//! - `peer-driver run --results FILE [--merge] [--quick] [--only NAME].. [--at WHEN] [--with WHAT=WHICH]..`:
//!   with `--merge` what FILE has of other works stays
//! - `peer-driver page --results FILE [--plots DIRECTORY]`: what was measured, as a page of Markdown
//! - `peer-driver list`: what can be measured
//!
//! The programs `peer-servers` and `our-servers` are found beside this one, the scripts for Node in
//! the directory that PEERS_NODE names.

mod connection;
mod counter;
mod echo;
mod fanout;
mod goals;
mod lineup;
mod page;
mod plot;
mod protocol;
mod results;
mod server;
mod slow;
mod storm;
mod watch;
mod works;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use echo::Rounds;
use results::{Measured, Results};
use works::{Kind, works};

fn main() -> ExitCode {
    let outcome = Options::parse(std::env::args().skip(1)).and_then(|options| {
        match options.command.as_str() {
            "run" => run(&options),
            "page" => page(&options),
            "list" => {
                for work in works() {
                    println!("{:<32}{}", work.name, work.title);
                }
                Ok(())
            }
            other => Err(format!("no such command: {other:?}")),
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, Default)]
struct Options {
    command: String,
    results: PathBuf,
    plots: Option<PathBuf>,
    quick: bool,
    merge: bool,
    at: String,
    only: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            command: words.next().unwrap_or_default(),
            ..Self::default()
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--results" => options.results = value()?.into(),
                "--plots" => options.plots = Some(value()?.into()),
                "--quick" => options.quick = true,
                "--merge" => options.merge = true,
                "--at" => options.at = value()?,
                "--only" => options.only.push(value()?),
                "--with" => {
                    let value = value()?;
                    let (what, which) = value.split_once('=').ok_or("--with WHAT=WHICH")?;
                    let pair = (what.to_owned(), which.to_owned());
                    options.environment.push(pair);
                }
                other => return Err(format!("no such option: {other}")),
            }
        }
        Ok(options)
    }

    fn rounds(&self) -> Rounds {
        let (count, millis) = if self.quick { (3, 100) } else { (7, 200) };
        Rounds {
            count,
            each: Duration::from_millis(millis),
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    let works = works();
    let unknown = options
        .only
        .iter()
        .find(|name| !works.iter().any(|work| work.name == **name));
    if let Some(unknown) = unknown {
        return Err(format!("there is no work {unknown}; `list` names them"));
    }
    let mut results = if options.merge && options.results.exists() {
        read(&options.results)?
    } else {
        Results::default()
    };
    results.environment.clone_from(&options.environment);
    let names: Vec<&str> = works.iter().map(|work| work.name).collect();
    let mut problems = Vec::new();
    for work in &works {
        if !options.only.is_empty() && !options.only.iter().any(|name| name == work.name) {
            continue;
        }
        eprintln!("{}", work.title);
        let (load, begun) = (peer_shapes::system::load(), Instant::now());
        let rows = match &work.kind {
            Kind::Echo(echo) => echo.measure(options.rounds()),
            Kind::FanOut(fan_out) => {
                let (often, rounds) = if options.quick { (1, 3) } else { (2, 5) };
                fan_out.measure(often, rounds)
            }
            Kind::Slow(slow) => slow.measure(if options.quick { 1 } else { 3 }),
            Kind::Storm(storm) => storm.measure(if options.quick { 1 } else { 3 }),
        };
        let rows = match rows {
            Ok(rows) => rows,
            // One that cannot be done is no reason not to do the others.
            Err(problem) => {
                eprintln!("    error: {problem}");
                problems.push(format!("{}: {problem}", work.name));
                continue;
            }
        };
        let measured = Measured {
            name: work.name.to_owned(),
            title: work.title.to_owned(),
            against: work.against.to_owned(),
            load,
            at: options.at.clone(),
            rows,
            took: begun.elapsed().as_secs_f64(),
        };
        eprintln!("    {:.0} s", measured.took);
        results.keep(measured, &names);
        // What has been measured is kept, whatever becomes of the rest.
        let path = options.results.display();
        std::fs::write(&options.results, results.to_text()?)
            .map_err(|error| format!("cannot write {path}: {error}"))?;
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(problems.join("; "))
}

fn page(options: &Options) -> Result<(), String> {
    let results = read(&options.results)?;
    if let Some(directory) = &options.plots {
        for work in &results.works {
            let Some(picture) = plot::plot(work, page::plotted(work)) else {
                continue;
            };
            let path = directory.join(format!("{}.svg", work.name));
            let shown = path.display();
            svg::save(&path, &picture).map_err(|error| format!("cannot write {shown}: {error}"))?;
        }
    }
    print!("{}", page::Page(&results));
    Ok(())
}

fn read(path: &Path) -> Result<Results, String> {
    let shown = path.display();
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    serde_json::from_str(&text).map_err(|error| format!("{shown}: {error}"))
}
