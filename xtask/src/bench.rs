//! `cargo xtask bench`: what the EDN codec, the engine, the runtimes, the packers and whole servers
//! cost beside others.

mod baseline;
mod e2e;
mod engine;
mod packers;
mod quick;
mod runtimes;
mod tools;

use std::fs;
use std::path::{Path, PathBuf};

use crate::workspace::{Task, Workspace};

/// What `cargo xtask bench --help` prints.
pub(crate) const HELP: &str = "\
Measures the EDN codec, the engine, the runtimes, the packers, or whole servers, beside others.

Usage: cargo xtask bench [edn] [--write]
       cargo xtask bench edn --quick [--peers] [FILTER]
       cargo xtask bench core [--write]
       cargo xtask bench runtimes [--write]
       cargo xtask bench packers [--write]
       cargo xtask bench e2e [--write] [--quick] [--only NAME].. [--list]

`edn`: without --quick everything is measured (instructions, allocations, time) and printed as one page
with the goals and whether they are reached. What is missing is installed: valgrind by apt-get,
gungraun-runner by cargo below the target directory.

`core`: the instructions of the engine's hot paths, beside the least that serde_json takes. They are
held to benches/baselines/core.tsv, as by the step `counts` of `cargo xtask test`, and with --write
become it.

`runtimes`: the instructions of an echoed call on each runtime, in memory and over sockets, beside
those of two bare engines, and what it costs that the driver does not know its link.

`packers`: the bytes of a few messages with every packer, with and without gzip, and the
instructions of packing and unpacking them, as one page.

`e2e`: our servers and those of other libraries, each doing the same work in turn under the same
load, as one page with ratios, figures and plots. It builds them all first, and installs the
packages of those that run on Node; both stay below the target directory.

Options:
      --write  Also write the page to docs/benchmarks/, as edn.md, core.md, runtimes.md,
               packers.md or e2e.md
      --only NAME  With e2e: only this work; may be given more than once. --list names them. With
               --write the page keeps what was written of the others
      --quick  Count instructions per operation only, as the difference of two runs under callgrind.
               The megabyte is left out unless FILTER says `large`. With e2e: fewer, shorter rounds
      --peers  With --quick: build and count the other EDN, JSON and MessagePack codecs too
  -h, --help   Print this help

Arguments:
  FILTER       With --quick: only the cases whose name (work/document/codec) contains this

Exit status: 0 measured, whatever the figures are, 1 something could not be built or run, or with
core takes more than it did, 2 wrong usage.
";

/// Where the results are kept, from the root.
const PAGE: &str = "docs/benchmarks/edn.md";

/// What the command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    e2e: Option<e2e::Options>,
    core: bool,
    packers: bool,
    runtimes: bool,
    write: bool,
    quick: bool,
    peers: bool,
    filter: Option<String>,
}

/// Reads what follows `bench`.
pub(crate) fn parse(arguments: &[String]) -> Result<Options, String> {
    let (mut options, mut words) = (Options::default(), Vec::new());
    if let Some((first, rest)) = arguments.split_first()
        && first == "e2e"
    {
        options.e2e = Some(e2e::parse(rest)?);
        return Ok(options);
    }
    for argument in arguments {
        match argument.as_str() {
            "--write" => options.write = true,
            "--quick" => options.quick = true,
            "--peers" => options.peers = true,
            other if other.starts_with('-') => return Err(format!("no such option: {other}")),
            word => words.push(word),
        }
    }
    options.filter = match words.as_slice() {
        [] | ["edn"] => None,
        ["core" | "packers" | "runtimes"] if options.quick || options.peers => {
            return Err("--quick and --peers go with edn".to_owned());
        }
        ["core"] => {
            options.core = true;
            None
        }
        ["packers"] => {
            options.packers = true;
            None
        }
        ["runtimes"] => {
            options.runtimes = true;
            None
        }
        ["edn", filter] => Some((*filter).to_owned()),
        ["edn", _, unexpected, ..] => return Err(format!("unexpected argument: {unexpected}")),
        [other, ..] => {
            return Err(format!(
                "there are no such benchmarks: {other}; try `edn`, `core`, `runtimes`, \
                 `packers` or `e2e`"
            ));
        }
    };
    if options.quick && options.write {
        return Err("--quick measures too little to --write".to_owned());
    }
    if !options.quick && (options.peers || options.filter.is_some()) {
        return Err("--peers and a filter go with --quick".to_owned());
    }
    Ok(options)
}

/// Measures.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<(), String> {
    if let Some(options) = &options.e2e {
        return e2e::run(workspace, options);
    }
    let valgrind = tools::valgrind(workspace)?;
    if options.quick {
        return quick::run(workspace, options);
    }
    if options.core {
        return engine::run(workspace, options, &valgrind);
    }
    if options.packers {
        return packers::run(workspace, options, &valgrind);
    }
    if options.runtimes {
        return runtimes::run(workspace, options, &valgrind);
    }
    let runner = tools::gungraun_runner(workspace)?;
    let directory = workspace.target.join("benchmarks");
    fs::create_dir_all(&directory)
        .map_err(|error| format!("cannot make {}: {error}", directory.display()))?;

    let mut bench = bench(workspace, "edn_instructions");
    bench.env("GUNGRAUN_RUNNER", &runner.path);
    bench.arg("--").arg("--output-format=json");
    let instructions = keep(&mut bench, directory.join("edn_instructions.json"))?;
    let mut bench = self::bench(workspace, "edn_allocations");
    let allocations = keep(&mut bench, directory.join("edn_allocations.tsv"))?;

    let mut table = workspace.cargo(["run", "--release", "-p", "sente-benches"]);
    table.arg("--bin").arg("edn_table").arg("--");
    table.arg("--instructions").arg(&instructions);
    table.arg("--allocations").arg(&allocations);
    let rustc = workspace.task("rustc").arg("--version").asked();
    let counter = format!("{valgrind}, gungraun {}", runner.version);
    for (what, which) in [
        ("machine", machine()),
        ("compiler", rustc.unwrap_or_else(|| "unknown".to_owned())),
        ("profile", "release, as in the root manifest".to_owned()),
        ("instructions", counter),
    ] {
        table.arg("--with").arg(format!("{what}={which}"));
    }
    let page = keep(&mut table, directory.join("edn.md"))?;
    print_page(workspace, &page, options.write.then_some(PAGE))
}

/// Holds the engine's hot paths to what they took when that was last written.
pub(crate) fn check(workspace: &Workspace) -> Result<(), String> {
    engine::check(workspace)
}

/// Prints a page that was made, and writes it where it is kept if asked to.
fn print_page(workspace: &Workspace, page: &Path, kept: Option<&str>) -> Result<(), String> {
    let text = fs::read_to_string(page)
        .map_err(|error| format!("cannot read {}: {error}", page.display()))?;
    print!("\n{text}");
    if let Some(kept) = kept {
        write(&workspace.root.join(kept), text.as_bytes())?;
        println!("\nwritten to {kept}");
    }
    Ok(())
}

fn bench(workspace: &Workspace, name: &str) -> Task {
    let mut task = workspace.cargo(["bench", "-p", "sente-benches", "--bench"]);
    task.arg(name);
    task
}

/// Runs a command and writes what it prints into a file.
fn keep(task: &mut Task, path: PathBuf) -> Result<PathBuf, String> {
    let output = task.output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`{task}` ended with {}:\n{said}", output.status));
    }
    write(&path, &output.stdout)?;
    Ok(path)
}

fn write(path: &Path, content: &[u8]) -> Result<(), String> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)
            .map_err(|error| format!("cannot make {}: {error}", directory.display()))?;
    }
    fs::write(path, content).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// What kind of machine this is, and no more than that.
fn machine() -> String {
    let (system, kind) = (std::env::consts::OS, std::env::consts::ARCH);
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let about = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = about.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == "model name").then(|| value.trim().to_owned())
    });
    let model = model.unwrap_or_else(|| "unknown processor".to_owned());
    format!("{model}, {processors} processors, {system} on {kind}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &str) -> Result<Options, String> {
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        parse(&words)
    }

    #[test]
    fn edn_is_what_there_is_to_measure() {
        assert_eq!(parsed(""), Ok(Options::default()));
        assert_eq!(parsed("edn"), Ok(Options::default()));
        assert!(parsed("edn --write").unwrap().write);
    }

    #[test]
    fn the_engine_is_counted_at_once_and_written_on_demand() {
        let options = parsed("core").unwrap();
        assert!(options.core && !options.write);
        assert!(parsed("core --write").unwrap().write);
        assert!(parsed("core --quick").is_err());
    }

    #[test]
    fn packers_are_weighed_and_counted_at_once() {
        let options = parsed("packers --write").unwrap();
        assert!(options.packers && options.write);
        assert!(parsed("packers --quick").is_err());
    }

    #[test]
    fn runtimes_are_counted_at_once() {
        let options = parsed("runtimes --write").unwrap();
        assert!(options.runtimes && options.write);
        assert!(parsed("runtimes --peers").is_err());
    }

    #[test]
    fn a_filter_follows_what_is_measured() {
        let options = parsed("edn --quick scan/").unwrap();
        assert_eq!(options.filter.as_deref(), Some("scan/"));
        assert!(!options.peers);
    }

    #[test]
    fn what_is_not_known_is_a_usage_error() {
        for wrong in [
            "json",
            "edn --fast",
            "edn --quick a b",
            "edn --quick --write",
            "edn --peers",
            "edn scan/",
        ] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}
