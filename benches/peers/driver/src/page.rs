//! The results as a page of Markdown: ratios first, then the figures themselves.

use std::fmt::{self, Display};

use crate::goals::{GOALS, Goal, Verdict};
use crate::results::{Figure, Measured, Results};

/// The page.
pub(crate) struct Page<'a>(pub(crate) &'a Results);

const INTRODUCTION: &str = "\
# Our servers beside others, end to end

Made by `cargo xtask bench e2e --write`; do not edit.

One driver loads every server in the same way, with requests it made beforehand, in a closed loop: so
many calls under way on each connection, each followed by another when it is answered. The servers
take turns, A B C A B C, and all figures are medians of the rounds with the least and the most behind.
A ratio is that of two servers in the same round. Servers have one thread, those with `threads-2` behind
their names two. Server and driver share one processor where nothing else is said: a round trip is then the work of the two and two context
switches; with a processor each it is mostly the time that waking the other one takes.

“Server CPU” is the server's processor time, user and system, for each message, from the system's
accounts: the figure to trust on a machine that does other things as well. “1/s of CPU” is the rate in
a second of processor time of server and driver together, so what the rate would be if they had the
processor to themselves. “Bytes” are those of a message both ways, framing included, and “driver %” is
how much of the time of its processor the driver took: where a server may use both processors, as much
of one was not to be had. With 10,000 connections the servers take their turns whole, as in a fan-out.

What else runs on the machine has its turns on the processor, and p99 would tell of those. So p50 and p99
are of calls that nobody else was in the way of: every 10 ms the driver looks what the server and itself
had of the processor they share, and how long it was idle. Where that comes to less than 95 % of the
time, another program or the machine below had the rest, and calls that were under way then are left out, and
so are those sent so shortly before that a slow one (99.9 % are quicker) would not have been answered: not
only the quick ones are kept. The rule is the same for all servers, and a server that sleeps disturbs nobody.
“Left out %” is how much of a round's time that was. A round goes on, for five times as long at
most, until it has its time undisturbed; 100 says that fewer than 100 calls were left and all are kept.

`raw-*` and `bc-floor` are what the system takes, and `batch-*`, `bc-batch` and `stdio-batch` a prototype
that does nothing but the work: messages are read where they lie, data stay packed, all that one read asks
for is answered by one write, what is told to all is framed once. It has no sessions, heartbeats, limits or
bounded queues and looks no handler up: no server to use, but what the machine allows one that is.

Our server reads the envelope of each event, leaves its data packed, has a registered handler answer
the call with them, and matches what is asked of the others: `raw-*` give bytes back, `tungstenite*`,
`fastws` and `node-ws` WebSocket messages, unread; `tungstenite-json` is what one writes by hand;
`socketioxide`, `node-socketio`, `jsonrpsee`, `tarpc` answer events or calls. `tungstenite-4k` has
buffers of 4 KiB in place of 128 KiB. Outgoing buffers of socketioxide, jsonrpsee and tarpc are
enlarged, which otherwise refuse large windows. The events are the same data everywhere, and have the
length named as JSON; `tungstenite*`, `fastws` and `node-ws` get the same bytes as ours.

In a fan-out one connection says an event and all are told, over WebSockets: by ours as the subscribers
of a channel of a hub, by `socketioxide` and `node-socketio` as a room, by `bc-*` and `node-wsbc` as a
list of connections; `bc-floor` is one loop that writes bytes prepared once, those of a burst together. “KiB” is the server's private memory
for each connection, less what it has for eight: half a second after the last came, and a second after
the last event. Sockets themselves, in the kernel, are not in it. The servers take their turns whole
here, as their connections would not all fit at once. Those who do not read keep 8 KiB unread at most, and
have been told 4 MB before: more than the system keeps for a socket. The figures of the others are shown.
While one reader stops, p99 is that of 200 events to 100 bystanders, without and with it three times in
turn, and a round has the medians of the three.

Of ours, `each-alone` writes each frame by itself, `typed` reads and writes Rust types, `deflate` compresses
each message by itself (the limit below which it would not is taken away), `hooks-N` shows every event to
N handlers that count it, `logging` to one that writes a line to nowhere, and `modules-N` answers by a
module with N others attached.
";

const GOALS_READ: &str = "\
By the median of the rounds' ratios. Throughput is that of a second of processor time. What binds where
a goal is not met is in [decision 28](../decisions/0028-measured-beside-others.md). Goals in
instructions and allocations are other benchmarks'.

“Reach” is the same figure, compared in the same way, of those who do nothing but the work in the same
run: of the system's floor first, then of the prototype. It says what a goal means on this machine, and
changes no verdict. Where the best of them misses what must be, the verdict names it.";

impl Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(results) = self;
        writeln!(f, "{INTRODUCTION}\n## Measured with\n")?;
        for (what, which) in &results.environment {
            writeln!(f, "- {what}: {which}")?;
        }
        goals(f, results)?;
        for work in &results.works {
            table(f, work)?;
        }
        Ok(())
    }
}

/// What is no merit of a server, or said by another figure.
const NOT_COMPARED: [Figure; 4] = [
    Figure::Switches,
    Figure::Half,
    Figure::Driver,
    Figure::LeftOut,
];

/// The figure that is plotted.
pub(crate) fn plotted(work: &Measured) -> Figure {
    let has = |figure| {
        work.rows
            .iter()
            .any(|row| row.figures.contains_key(&figure))
    };
    if work.name.starts_with("threads") {
        // More of them do not make a message cheaper.
        Figure::Rate
    } else if has(Figure::Cpu) {
        Figure::Cpu
    } else {
        Figure::P99Slowed
    }
}

fn goals(f: &mut fmt::Formatter<'_>, results: &Results) -> fmt::Result {
    writeln!(f, "\n## Goals\n\n{GOALS_READ}\n")?;
    writeln!(
        f,
        "| work | figure | ours | other | ratio, or what is said (least–most) | must | stretch | reach | verdict |"
    )?;
    writeln!(f, "|---|---|---:|---:|---:|---:|---:|---|---|")?;
    for goal in GOALS {
        let (must, stretch) = goal.bounds();
        write!(f, "| {} | {} |", goal.label, goal.figure().head())?;
        match goal.measured(results) {
            Some((ours, peer, ratio)) => {
                let verdict = goal.verdict(ratio.median);
                write!(
                    f,
                    " {ours} | {peer} | {:.2} ({:.2}–{:.2}) | {must} | {stretch} | {} | {verdict}",
                    ratio.median,
                    ratio.least,
                    ratio.most,
                    reached(goal, results),
                )?;
                if verdict == Verdict::NotMet
                    && let Some(name) = goal.out_of_reach(results)
                {
                    write!(f, "; nor does `{name}`")?;
                }
                if goal.disturbed(results) {
                    write!(f, "; disturbed, so it says nothing")?;
                }
                writeln!(f, " |")?;
            }
            None => writeln!(f, " | | | {must} | {stretch} | | not measured |")?,
        }
    }
    Ok(())
}

/// What the machine allows, by name.
fn reached(goal: &Goal, results: &Results) -> String {
    let reached = goal.reached(results);
    let each = reached.iter().map(|(name, median)| {
        let digits = if median.abs() < 0.1 { 3 } else { 2 };
        format!("`{name}` {median:.digits$}")
    });
    each.collect::<Vec<_>>().join(", ")
}

fn table(f: &mut fmt::Formatter<'_>, work: &Measured) -> fmt::Result {
    writeln!(f, "\n## {}\n", work.title)?;
    let (name, load, took) = (&work.name, work.load, work.took);
    let at = if work.at.is_empty() {
        ""
    } else {
        ", measured "
    };
    writeln!(
        f,
        "`{name}`{at}{} in {took:.0} s, load {load:.1} at its beginning.\n",
        work.at
    )?;
    writeln!(f, "![{}](e2e/{}.svg)\n", work.title, work.name)?;
    let mut figures: Vec<Figure> = Vec::new();
    for row in &work.rows {
        figures.extend(row.figures.keys());
    }
    figures.sort_unstable();
    figures.dedup();
    let compared: Vec<Figure> = figures
        .iter()
        .copied()
        .filter(|figure| !NOT_COMPARED.contains(figure))
        .collect();
    write!(f, "| over {} |", work.against)?;
    for figure in &compared {
        let head = match figure {
            Figure::P99Slowed | Figure::Memory | Figure::MemoryAfter => figure.head(),
            Figure::Cpu => "server CPU",
            Figure::Rate => "rate",
            Figure::Throughput => "rate by CPU",
            _ => figure.head().split(' ').next().unwrap_or_default(),
        };
        write!(f, " {head} |")?;
    }
    writeln!(f, "\n|---|{}", "---:|".repeat(compared.len()))?;
    for row in &work.rows {
        write!(f, "| `{}` |", row.server)?;
        for figure in &compared {
            match work.ratio(*figure, &row.server, &work.against) {
                Some(ratio) => {
                    write!(
                        f,
                        " {:.2} ({:.2}–{:.2}) |",
                        ratio.median, ratio.least, ratio.most
                    )?;
                }
                None => write!(f, " |")?,
            }
        }
        writeln!(f)?;
    }
    write!(f, "\n| server |")?;
    for figure in &figures {
        write!(f, " {} |", figure.head())?;
    }
    writeln!(f, "\n|---|{}", "---:|".repeat(figures.len()))?;
    for row in &work.rows {
        write!(f, "| `{}` |", row.server)?;
        for figure in &figures {
            match row.summary(*figure) {
                Some(of) => {
                    let [median, least, most] =
                        [of.median, of.least, of.most].map(|number| figure.show(number));
                    write!(f, " {median} ({least}–{most}) |")?;
                }
                None => write!(f, " |")?,
            }
        }
        writeln!(f)?;
    }
    Ok(())
}
