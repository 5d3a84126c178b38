//! The instructions of the engine's hot paths, held to a baseline.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::{Options, keep, machine, print_page, quick::Counter, tools, write};
use crate::workspace::Workspace;

/// Where the results are kept, from the root.
const PAGE: &str = "docs/benchmarks/core.md";
/// What every case took when that was last looked at, from the root.
const BASELINE: &str = "benches/baselines/core.tsv";
/// By how many percent a case may exceed its baseline.
const TOLERANCE: u64 = 3;

/// What a case takes for each event.
#[derive(Debug, PartialEq, Eq)]
struct Count {
    name: String,
    instructions: u64,
}

/// Counts every case, makes the page, and compares with the baseline or writes a new one.
pub(super) fn run(workspace: &Workspace, options: &Options, valgrind: &str) -> Result<(), String> {
    let mut build = workspace.cargo(["build", "--release", "-p", "sente-benches"]);
    build.arg("--no-default-features").arg("--bin");
    build.arg("core_once").run()?;
    let counter = Counter {
        workspace,
        program: "core_once",
    };
    let mut counts = Vec::new();
    for line in counter.asked("--list")?.lines() {
        let (name, events) = line.split_once('\t').unwrap_or((line, "1"));
        let events: u64 = events.parse().unwrap_or(1);
        let instructions = counter.per_operation(name)? / events.max(1);
        println!("{name:<40}{instructions:>14}");
        counts.push(Count {
            name: name.to_owned(),
            instructions,
        });
    }
    // Fails where an event takes more memory than it may.
    let mut allocations = super::bench(workspace, "core_allocations");
    allocations.arg("--no-default-features");
    let directory = workspace.target.join("benchmarks");
    let allocations = keep(&mut allocations, directory.join("core_allocations.tsv"))?;
    let allocations = fs::read_to_string(&allocations)
        .map_err(|error| format!("cannot read {}: {error}", allocations.display()))?;
    print!("{allocations}");

    let rustc = workspace.task("rustc").arg("--version").asked();
    let mut text = page(&counter.asked("--goals")?, &counts, &allocations)?;
    for (what, which) in [
        ("machine", machine()),
        ("compiler", rustc.unwrap_or_else(|| "unknown".to_owned())),
        ("profile", "release, as in the root manifest".to_owned()),
        ("instructions", format!("{valgrind}, callgrind")),
        ("`serde_json`", serde_json(workspace)?),
    ] {
        let _ = writeln!(text, "- {what}: {which}");
    }
    let path = directory.join("core.md");
    write(&path, text.as_bytes())?;
    print_page(workspace, &path, options.write.then_some(PAGE))?;
    let baseline = workspace.root.join(BASELINE);
    if options.write {
        return write(&baseline, table(&counts).as_bytes());
    }
    compare(&counts, &read(&baseline)?)
}

fn serde_json(workspace: &Workspace) -> Result<String, String> {
    let lock = workspace.root.join("Cargo.lock");
    let lock = fs::read_to_string(&lock)
        .map_err(|error| format!("cannot read {}: {error}", lock.display()))?;
    Ok(tools::locked(&lock, "serde_json")
        .unwrap_or("unknown")
        .to_owned())
}

/// The baseline as it is kept.
fn table(counts: &[Count]) -> String {
    let mut text = String::new();
    for Count { name, instructions } in counts {
        let _ = writeln!(text, "{name}\t{instructions}");
    }
    text
}

fn read(path: &Path) -> Result<Vec<Count>, String> {
    let text = fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    text.lines().map(count).collect()
}

fn count(line: &str) -> Result<Count, String> {
    let found = line.split_once('\t').and_then(|(name, instructions)| {
        Some(Count {
            name: name.to_owned(),
            instructions: instructions.parse().ok()?,
        })
    });
    found.ok_or_else(|| format!("{BASELINE} has a line that is none: {line}"))
}

/// Fails where a case takes more than it did. Those of the floors are not ours to answer for.
fn compare(counts: &[Count], baseline: &[Count]) -> Result<(), String> {
    let mut problems = String::new();
    for Count { name, instructions } in counts {
        if name.starts_with("floor: ") {
            continue;
        }
        let Some(known) = baseline.iter().find(|known| known.name == *name) else {
            let _ = writeln!(problems, "{name} is not in {BASELINE}");
            continue;
        };
        let most = known.instructions + known.instructions * TOLERANCE / 100;
        if *instructions > most {
            let _ = writeln!(
                problems,
                "{name} takes {instructions} instructions; its baseline is {}",
                known.instructions
            );
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{problems}More than {TOLERANCE} % over the baseline. With --write the new figures become it."
    ))
}

/// The page up to what it was measured with.
fn page(goals: &str, counts: &[Count], allocations: &str) -> Result<String, String> {
    let mut text = String::from(
        "# What the engine adds to a message\n\n\
         Made by `cargo xtask bench core --write`; do not edit.\n\n\
         Instructions of the engine's hot paths, counted by callgrind as the difference of two runs, for\n\
         each event. They come out the same on a busy machine, so `cargo xtask bench core` holds them to\n\
         the figures of `benches/baselines/core.tsv`, with a tolerance of 3 %, and the allocations to what\n\
         the bench `core_allocations` says. Figures are instructions, ratios of them, or allocations from\n\
         the heap. The event has 100 bytes; the floor is what `serde_json` takes\n\
         for the same data as JSON, doing no more than its format needs: no framing, no queue, no handler,\n\
         nothing counted, and repeated keys are not looked for. What was tried and what it gave stands\n\
         with the decisions [26](../decisions/0026-plain-frames-are-read-where-they-lie.md),\n\
         [27](../decisions/0027-what-sending-and-calling-cost.md) and\n\
         [35](../decisions/0035-frames-made-when-they-are-queued.md).\n\n\
         ## Goals\n\n\
         | work | measured | must | stretch | verdict |\n|---|---:|---:|---:|---|\n",
    );
    for goal in goals.lines() {
        let [case, less, floor, must, stretch, label] = goal.split('\t').collect::<Vec<_>>()[..]
        else {
            return Err(format!("core_once says something unknown: {goal}"));
        };
        let of = |name: &str| {
            let found = counts.iter().find(|count| count.name == name);
            found
                .map(|count| float(count.instructions))
                .ok_or_else(|| format!("there is no such case: {name}"))
        };
        let mut measured = of(case)?;
        for less in less.split(',').filter(|less| !less.is_empty()) {
            measured -= of(less)?;
        }
        let mut digits = 0;
        if !floor.is_empty() {
            measured /= of(floor)?;
            digits = 2;
        }
        let verdict = verdict(measured, must, stretch)?;
        let _ = writeln!(
            text,
            "| {label} | {measured:.digits$} | {must} | {stretch} | {verdict} |"
        );
    }
    let (label, must, stretch) = ECHO_GOAL;
    let echoed = rows(allocations).find(|[case, _, _]| *case == ECHO);
    let [_, echoed, _] = echoed.ok_or("core_allocations says nothing of an echo")?;
    let measured = echoed
        .parse()
        .map_err(|_| format!("core_allocations says something unknown: {echoed}"))?;
    let verdict = verdict(measured, must, stretch)?;
    let _ = writeln!(
        text,
        "| {label} | {measured:.2} | {must} | {stretch} | {verdict} |"
    );
    text.push_str("\n## Instructions\n\n| case | instructions |\n|---|---:|\n");
    for Count { name, instructions } in counts {
        let _ = writeln!(text, "| {name} | {instructions} |");
    }
    text.push_str(ALLOCATIONS);
    for [case, blocks, bytes] in rows(allocations) {
        let _ = writeln!(text, "| {case} | {blocks} | {bytes} |");
    }
    text.push_str("\n## Measured with\n\n");
    Ok(text)
}

const ALLOCATIONS: &str = "
## Allocations

From the heap, for each event, counted by `dhat` once queues and buffers have their size. The data of the
short event are a word, of the long one 250 bytes, of the large one 30 KB; *packed bytes* are what they
come to.

| case | allocations | bytes |
|---|---:|---:|
";

/// The case of `core_allocations` that is a goal, and what is said of it: must and stretch.
const ECHO: &str = "echo of a call";
const ECHO_GOAL: (&str, &str, &str) = (
    "heap allocations of an echoed call in the steady state",
    "1",
    "0",
);

/// Case, allocations and bytes of what `core_allocations` prints.
fn rows(allocations: &str) -> impl Iterator<Item = [&str; 3]> {
    allocations.lines().filter_map(|line| {
        let parts: Vec<&str> = line.split('\t').collect();
        <[&str; 3]>::try_from(parts).ok()
    })
}

fn verdict(measured: f64, must: &str, stretch: &str) -> Result<&'static str, String> {
    let limit = |limit: &str| {
        let parsed = limit.parse::<f64>();
        parsed.map_err(|_| format!("{limit} is no limit"))
    };
    Ok(if measured <= limit(stretch)? {
        "stretch"
    } else if measured <= limit(must)? {
        "met"
    } else {
        "**not met**"
    })
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(of: &[(&str, u64)]) -> Vec<Count> {
        let count = |(name, instructions): &(&str, u64)| Count {
            name: (*name).to_owned(),
            instructions: *instructions,
        };
        of.iter().map(count).collect()
    }

    #[test]
    fn what_takes_more_than_its_baseline_is_a_failure() {
        let baseline = counts(&[("a", 1000), ("floor: b", 10)]);
        assert_eq!(
            compare(&counts(&[("a", 1030), ("floor: b", 99)]), &baseline),
            Ok(())
        );
        assert!(compare(&counts(&[("a", 1031)]), &baseline).is_err());
        assert!(compare(&counts(&[("new", 1)]), &baseline).is_err());
    }

    #[test]
    fn a_baseline_is_read_as_it_was_written() {
        let written = counts(&[("call-in/lines", 12), ("enqueue", 7)]);
        let read: Result<Vec<Count>, String> = table(&written).lines().map(count).collect();
        assert_eq!(read, Ok(written));
        assert!(count("enqueue 7").is_err());
    }

    #[test]
    fn a_goal_is_a_ratio_or_what_is_left_of_a_difference() {
        let counts = counts(&[("a", 130), ("b", 100), ("floor: c", 100)]);
        let goals = "a\t\tfloor: c\t1.3\t0.8\tin\na\tb\t\t20\t10\tbeyond";
        let page = page(goals, &counts, "echo of a call\t0.99\t\nsend\t1.00\t90.5\n").unwrap();
        for row in [
            "| in | 1.30 | 1.3 | 0.8 | met |",
            "| beyond | 30 | 20 | 10 | **not met** |",
            "steady state | 0.99 | 1 | 0 | met |",
            "| send | 1.00 | 90.5 |",
        ] {
            assert!(page.contains(row), "{row}: {page}");
        }
    }

    #[test]
    fn an_echo_that_was_not_counted_makes_no_page() {
        assert!(page("", &[], "send\t1.00\t90.5\n").is_err());
    }
}
