//! What the packers' messages weigh and cost.

use std::fmt::Write as _;
use std::fs;

use super::{Options, keep, machine, print_page, quick::Counter, write};
use crate::workspace::Workspace;

/// Where the results are kept, from the root.
const PAGE: &str = "docs/benchmarks/packers.md";

/// In how many rounds times are taken.
const ROUNDS: usize = 15;

/// The plain libraries that the page names.
const LIBRARIES: &[&str] = &["serde_json", "rmp-serde", "rmpv", "flate2", "zlib-rs"];

/// Counts every case, and makes the page.
pub(super) fn run(workspace: &Workspace, options: &Options, valgrind: &str) -> Result<(), String> {
    let mut build = workspace.cargo(["build", "--release", "-p", "sente-benches"]);
    build.arg("--bin").arg("packer_once").run()?;
    let counter = Counter {
        workspace,
        program: "packer_once",
    };
    let mut counts = String::new();
    for name in counter.asked("--list")?.lines() {
        let count = counter.per_operation(name)?;
        println!("{name:<40}{count:>14}");
        let _ = writeln!(counts, "{name}\t{count}");
    }
    let directory = workspace.target.join("benchmarks");
    let instructions = directory.join("packer_instructions.tsv");
    write(&instructions, counts.as_bytes())?;

    let mut allocations = super::bench(workspace, "packer_allocations");
    let allocations = keep(&mut allocations, directory.join("packer_allocations.tsv"))?;

    let mut table = workspace.cargo(["run", "--release", "-p", "sente-benches"]);
    table.arg("--bin").arg("packer_sizes").arg("--");
    table.arg("--instructions").arg(&instructions);
    table.arg("--allocations").arg(&allocations);
    table.arg("--rounds").arg(ROUNDS.to_string());
    let rustc = workspace.task("rustc").arg("--version").asked();
    for (what, which) in [
        ("machine", machine()),
        ("compiler", rustc.unwrap_or_else(|| "unknown".to_owned())),
        ("profile", "release, as in the root manifest".to_owned()),
        ("instructions", format!("{valgrind}, callgrind")),
        ("times", format!("medians of {ROUNDS} rounds")),
        ("libraries", libraries(workspace)?),
    ] {
        table.arg("--with").arg(format!("{what}={which}"));
    }
    let page = keep(&mut table, directory.join("packers.md"))?;
    print_page(workspace, &page, options.write.then_some(PAGE))
}

/// Their versions, as the lock file has them.
fn libraries(workspace: &Workspace) -> Result<String, String> {
    let lock = workspace.root.join("Cargo.lock");
    let lock = fs::read_to_string(&lock)
        .map_err(|error| format!("cannot read {}: {error}", lock.display()))?;
    let version = |name: &&str| {
        let version = super::tools::locked(&lock, name).unwrap_or("unknown");
        format!("`{name}` {version}")
    };
    Ok(LIBRARIES.iter().map(version).collect::<Vec<_>>().join(", "))
}
