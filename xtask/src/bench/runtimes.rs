//! What each runtime adds to the bare engine for an echoed call.

use std::fmt::Write as _;

use super::{Options, machine, print_page, quick::Counter, write};
use crate::workspace::Workspace;

/// Where the results are kept, from the root.
const PAGE: &str = "docs/benchmarks/runtimes.md";

/// How many calls are echoed in the two runs whose difference counts; whole windows of them.
const FEWER: u64 = 256;
const MORE: u64 = 2048;

/// By how much the driver behind pointers may exceed the one that knows its link.
const ERASED: f64 = 1.03;

/// Where the erased and the known driver do the same, and how that is said.
const PAIRS: &[(&str, &str, &str)] = &[
    (
        "`Duplex`, in memory",
        "memory/tokio",
        "memory/tokio-unerased",
    ),
    (
        "`TokioLink` over TCP",
        "tokio-tcp/tokio",
        "tokio-tcp/tokio-unerased",
    ),
];

const INTRODUCTION: &str = "\
# What a runtime adds to the bare engine

Made by `cargo xtask bench runtimes --write`; do not edit.

Instructions of one echoed call, those of both ends together, counted by callgrind as the difference of
two runs, of 256 and of 2,048 calls. An end calls with an event of 100 bytes, whose data are packed, and
takes the answer; the other takes the event and replies with its data; frames are lines of EDN. *Bare*
is two engines in a loop that hand each other bytes, or write them to a blocking socket and read them:
no task, no timer, no handle, and nobody can be waited for. All others are the adapters' handles and
events, both ends in one process: on tokio's runtime of one thread, on one thread of smol's and of
async-std's executors, and on threads of their own with the methods that wait. `memory` is a `Duplex`.
With `tokio-handlers` the server's handler is run by its driver (`Dispatcher::attach`), in place of a task
that takes its events. With 64 calls under way, 64 are made, and the next 64 when all are answered.

What the kernel does is not counted, so sockets cost little more than memory here; what waits and is
woken counts. Where threads meet, counts differ by a few percent from run to run.

";

const ERASURE: &str = "
## Erased and generic

There is one driver for all links: it has its link and its timer behind pointers (`Box<dyn Link>`,
`Box<dyn Timer>`), so that a program with five transports has one copy of it. The same loop compiled for
the type of its link and timer (`start_unerased`, built only with the feature `unerased`), on tokio. The
erased one must be within 3 % of it. The runtime's clock and the task's own future are behind pointers
in both.

| link | calls under way | erased | generic | erased over generic | verdict |
|---|---:|---:|---:|---:|---|
";

struct Count {
    /// The way and how many calls are under way, as in `tcp/tokio` and `64`.
    way: String,
    window: String,
    instructions: u64,
}

/// Counts every case, and makes the page.
pub(super) fn run(workspace: &Workspace, options: &Options, valgrind: &str) -> Result<(), String> {
    let mut build = workspace.cargo(["build", "--release", "-p", "sente-benches"]);
    build.arg("--no-default-features").arg("--features");
    build.arg("runtimes").arg("--bin").arg("runtimes_once");
    build.run()?;
    let counter = Counter {
        workspace,
        program: "runtimes_once",
    };
    let mut counts = Vec::new();
    for name in counter.asked("--list")?.lines() {
        let (way, window) = name.rsplit_once('/').unwrap_or((name, "1"));
        let instructions = counter.between(name, FEWER, MORE)?;
        println!("{name:<40}{instructions:>14}");
        counts.push(Count {
            way: way.to_owned(),
            window: window.to_owned(),
            instructions,
        });
    }
    let mut text = page(&counts)?;
    let rustc = workspace.task("rustc").arg("--version").asked();
    for (what, which) in [
        ("machine", machine()),
        ("compiler", rustc.unwrap_or_else(|| "unknown".to_owned())),
        ("profile", "release, as in the root manifest".to_owned()),
        ("instructions", format!("{valgrind}, callgrind")),
    ] {
        let _ = writeln!(text, "- {what}: {which}");
    }
    let path = workspace.target.join("benchmarks/runtimes.md");
    write(&path, text.as_bytes())?;
    print_page(workspace, &path, options.write.then_some(PAGE))
}

/// The page up to what it was measured with.
fn page(counts: &[Count]) -> Result<String, String> {
    let of = |way: &str, window: &str| {
        let found = counts
            .iter()
            .find(|count| (&*count.way, &*count.window) == (way, window));
        found
            .map(|count| count.instructions)
            .ok_or_else(|| format!("there is no such case: {way}/{window}"))
    };
    let mut text = String::from(INTRODUCTION);
    text.push_str(
        "| link and runtime | one call under way | over bare | 64 under way | over bare |\n\
         |---|---:|---:|---:|---:|\n",
    );
    let ways = counts.iter().filter(|count| count.window == "1");
    for Count { way, .. } in ways {
        // The bare engines' of the same link; tokio's own streams are sockets.
        let link = way.split('/').next().unwrap_or_default();
        let bare = format!("{}/bare", link.trim_start_matches("tokio-"));
        let _ = write!(text, "| `{way}` |");
        for window in ["1", "64"] {
            let (count, bare) = (of(way, window)?, of(&bare, window)?);
            let _ = write!(text, " {count} | {:.2} |", ratio(count, bare));
        }
        text.push('\n');
    }
    text.push_str(ERASURE);
    for (link, erased, generic) in PAIRS {
        for window in ["1", "64"] {
            let (erased, generic) = (of(erased, window)?, of(generic, window)?);
            let ratio = ratio(erased, generic);
            let verdict = if ratio <= ERASED {
                "met"
            } else {
                "**not met**"
            };
            let _ = writeln!(
                text,
                "| {link} | {window} | {erased} | {generic} | {ratio:.3} | {verdict} |"
            );
        }
    }
    text.push_str("\n## Measured with\n\n");
    Ok(text)
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn ratio(one: u64, other: u64) -> f64 {
    one as f64 / other as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(of: &[(&str, u64)]) -> Vec<Count> {
        let count = |(name, instructions): &(&str, u64)| {
            let (way, window) = name.rsplit_once('/').unwrap();
            Count {
                way: way.to_owned(),
                window: window.to_owned(),
                instructions: *instructions,
            }
        };
        of.iter().map(count).collect()
    }

    #[test]
    fn a_way_is_compared_with_the_bare_engines_of_its_link() {
        let mut all = vec![
            ("memory/bare", 1_000),
            ("tcp/bare", 2_000),
            ("memory/tokio", 3_000),
            ("tokio-tcp/tokio", 5_000),
            ("memory/tokio-unerased", 2_950),
            ("tokio-tcp/tokio-unerased", 4_000),
        ];
        let of_64: Vec<_> = all.iter().map(|(way, count)| (*way, count / 2)).collect();
        let named = |all: &[(&str, u64)], window: &str| -> Vec<(String, u64)> {
            let with = |(way, count): &(&str, u64)| (format!("{way}/{window}"), *count);
            all.iter().map(with).collect()
        };
        let names = [named(&all, "1"), named(&of_64, "64")].concat();
        all = names
            .iter()
            .map(|(name, count)| (&**name, *count))
            .collect();
        let page = page(&counts(&all)).unwrap();
        assert!(
            page.contains("| `tokio-tcp/tokio` | 5000 | 2.50 | 2500 | 2.50 |"),
            "{page}"
        );
        assert!(page.contains("| 1 | 3000 | 2950 | 1.017 | met |"), "{page}");
        assert!(
            page.contains("| 1 | 5000 | 4000 | 1.250 | **not met** |"),
            "{page}"
        );
    }

    #[test]
    fn a_page_needs_every_case_it_compares() {
        assert!(page(&counts(&[("memory/tokio/1", 1)])).is_err());
    }
}
