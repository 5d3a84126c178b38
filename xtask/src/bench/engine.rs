//! The instructions of the engine's hot paths, held to a baseline.

use std::fmt::Write as _;
use std::fs;

use super::baseline::{self, Baseline, Conditions, Count};
use super::{Options, keep, machine, print_page, quick::Counter, tools, write};
use crate::workspace::Workspace;

/// Where the results are kept, from the root.
const PAGE: &str = "docs/benchmarks/core.md";
/// Counts every case, makes the page, and compares with the baseline or writes a new one.
pub(super) fn run(workspace: &Workspace, options: &Options, valgrind: &str) -> Result<(), String> {
    let (counter, counts) = count_all(workspace)?;
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
    let now = Baseline {
        conditions: Conditions::here(workspace, valgrind),
        counts,
    };
    if options.write {
        let path = workspace.root.join(baseline::FILE);
        return write(&path, now.to_text().as_bytes());
    }
    hold(workspace, &now)
}

/// Counts every case and compares with the baseline, for `cargo xtask test`: nothing else is measured,
/// and no page made.
pub(super) fn check(workspace: &Workspace) -> Result<(), String> {
    let valgrind = tools::valgrind(workspace)?;
    let now = Baseline {
        counts: count_all(workspace)?.1,
        conditions: Conditions::here(workspace, &valgrind),
    };
    let mut allocations = super::bench(workspace, "core_allocations");
    let allocated = allocations.arg("--no-default-features").run();
    // Both are said where both fail.
    match (hold(workspace, &now), allocated) {
        (Err(one), Err(other)) => Err(format!(
            "{one}\n{other}: events take more allocations than they may"
        )),
        (Ok(()), Err(other)) => Err(format!(
            "{other}: events take more allocations than they may"
        )),
        (held, Ok(())) => held,
    }
}

fn hold(workspace: &Workspace, now: &Baseline) -> Result<(), String> {
    let baseline = Baseline::read(&workspace.root.join(baseline::FILE))?;
    print!("{}", baseline.hold(now)?);
    Ok(())
}

/// Builds the cases and counts each.
fn count_all(workspace: &Workspace) -> Result<(Counter<'_>, Vec<Count>), String> {
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
    Ok((counter, counts))
}

fn serde_json(workspace: &Workspace) -> Result<String, String> {
    let lock = workspace.root.join("Cargo.lock");
    let lock = fs::read_to_string(&lock)
        .map_err(|error| format!("cannot read {}: {error}", lock.display()))?;
    Ok(tools::locked(&lock, "serde_json")
        .unwrap_or("unknown")
        .to_owned())
}

/// The page up to what it was measured with.
fn page(goals: &str, counts: &[Count], allocations: &str) -> Result<String, String> {
    let mut text = String::from(
        "# What the engine adds to a message\n\n\
         Made by `cargo xtask bench core --write`; do not edit.\n\n\
         Instructions of the engine's hot paths, counted by callgrind as the difference of two runs, for\n\
         each event. They come out the same on a busy machine, so the step `counts` of `cargo xtask test`\n\
         holds them to the figures of `benches/baselines/core.tsv`, with a tolerance of 3 % (15 % where\n\
         compiler, C library or valgrind are others), and the allocations to what the bench\n\
         `core_allocations` says. Figures are instructions, ratios of them, or allocations from\n\
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
