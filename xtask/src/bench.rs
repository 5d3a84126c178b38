//! `cargo xtask bench`: what the EDN codec costs beside others.

use std::fmt::Write as _;

use crate::workspace::Workspace;

/// What `cargo xtask bench --help` prints.
pub(crate) const HELP: &str = "\
Measures the EDN codec beside others.

Usage: cargo xtask bench edn --quick [--peers] [FILTER]

Arguments:
  FILTER     Only the cases whose name (work/document/codec) contains this

Options:
      --quick  Count instructions per operation only, as the difference of two runs under callgrind.
               The megabyte is left out unless FILTER says `large`
      --peers  Build and count the other EDN, JSON and MessagePack codecs too
  -h, --help   Print this help

Needs `valgrind`. Nothing here fails because of what it measured.
";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    peers: bool,
    filter: Option<String>,
}

/// Reads what follows `bench`.
pub(crate) fn parse(arguments: &[String]) -> Result<Options, String> {
    let (mut quick, mut peers, mut words) = (false, false, Vec::new());
    for argument in arguments {
        match argument.as_str() {
            "--quick" => quick = true,
            "--peers" => peers = true,
            other if other.starts_with('-') => return Err(format!("no such option: {other}")),
            word => words.push(word),
        }
    }
    let filter = match words.as_slice() {
        ["edn"] => None,
        ["edn", filter] => Some((*filter).to_owned()),
        _ => return Err("usage: cargo xtask bench edn [OPTIONS] [FILTER]".to_owned()),
    };
    if !quick {
        return Err("only --quick is there so far".to_owned());
    }
    Ok(Options { peers, filter })
}

/// Measures.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<(), String> {
    let mut build = workspace.cargo(["build", "--release", "-p", "sente-benches"]);
    build.arg("--bin").arg("edn_once");
    if !options.peers {
        build.arg("--no-default-features");
    }
    build.run()?;
    let counter = Counter { workspace };

    let filter = options.filter.as_deref().unwrap_or_default();
    let wanted = |name: &&str| {
        name.contains(filter) && (filter.contains("large") || !name.contains("/large/"))
    };
    let names = counter.asked("--list")?;
    let mut counts: Vec<(&str, u64)> = Vec::new();
    println!("{:<40}{:>14}", "case", "instr/op");
    for name in names.lines().filter(wanted) {
        let count = counter.per_operation(name)?;
        println!("{name:<40}{count:>14}");
        counts.push((name, count));
    }
    let goals = counter.asked("--goals")?;
    let mut table = String::new();
    for goal in goals.lines() {
        line(goal, &counts, &mut table)?;
    }
    if !table.is_empty() {
        println!("\n{:>8}{:>8}{:>9}  goal", "measured", "must", "stretch");
        print!("{table}");
    }
    Ok(())
}

/// Adds a goal's line if what it compares was counted.
fn line(goal: &str, counts: &[(&str, u64)], table: &mut String) -> Result<(), String> {
    let [ours, peers, must, stretch, label] = goal.split('\t').collect::<Vec<_>>()[..] else {
        return Err(format!("edn_once says something unknown: {goal}"));
    };
    let count = |name: &str| {
        let found = counts.iter().find(|(counted, _)| *counted == name);
        found.map(|(_, count)| *count)
    };
    let least = peers.split(',').filter_map(count).min();
    if let (Some(ours), Some(peer)) = (count(ours), least) {
        let ratio = ratio(ours, peer);
        let _ = writeln!(table, "{ratio:>8.2}{must:>8}{stretch:>9}  {label}");
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn ratio(ours: u64, peer: u64) -> f64 {
    ours as f64 / peer as f64
}

/// Runs `edn_once` under callgrind.
struct Counter<'a> {
    workspace: &'a Workspace,
}

impl Counter<'_> {
    fn program(&self) -> std::path::PathBuf {
        self.workspace.target.join("release/edn_once")
    }

    fn asked(&self, option: &str) -> Result<String, String> {
        let mut task = self.workspace.task(self.program());
        let said = task.arg(option).asked();
        said.ok_or_else(|| format!("`edn_once {option}` failed"))
    }

    /// The instructions of one operation: those of more of them, less those of fewer.
    fn per_operation(&self, name: &str) -> Result<u64, String> {
        // The megabyte takes long enough.
        let fewer = if name.contains("/large/") { 1 } else { 20 };
        let more = 3 * fewer;
        let (few, many) = (self.count(name, fewer)?, self.count(name, more)?);
        Ok(many.saturating_sub(few) / (more - fewer))
    }

    fn count(&self, name: &str, iterations: u64) -> Result<u64, String> {
        let mut task = self.workspace.task("valgrind");
        task.arg("--tool=callgrind")
            .arg("--callgrind-out-file=/dev/null")
            .arg(self.program())
            .arg("--only")
            .arg(name)
            .arg("--iters")
            .arg(iterations.to_string());
        let output = task.quiet_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        let collected = said
            .lines()
            .find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
        match collected {
            Some(count) if output.status.success() => Ok(count),
            _ => Err(format!("`{task}` counted nothing:\n{said}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &str) -> Result<Options, String> {
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        parse(&words)
    }

    #[test]
    fn a_filter_follows_what_is_measured() {
        let options = parsed("edn --quick scan/").unwrap();
        assert_eq!(options.filter.as_deref(), Some("scan/"));
        assert!(!options.peers);
    }

    #[test]
    fn what_is_not_known_is_a_usage_error() {
        for wrong in ["", "json --quick", "edn --quick a b", "edn --fast"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_goal_is_compared_with_the_cheapest_of_its_peers() {
        let counts = [("a", 10), ("b", 40), ("c", 20)];
        let mut table = String::new();
        line("a\tb,c,d\t0.4\t0.2\twords", &counts, &mut table).unwrap();
        line("x\tb\t0.4\t0.2\tnot counted", &counts, &mut table).unwrap();
        assert_eq!(table, "    0.50     0.4      0.2  words\n");
    }
}
