//! Instructions per operation, quickly: no runner to install, no peers to build.

use std::fmt::Write as _;

use super::Options;
use crate::workspace::Workspace;

/// Counts the cases that are wanted, and prints them and the goals they decide.
pub(super) fn run(workspace: &Workspace, options: &Options) -> Result<(), String> {
    let mut build = workspace.cargo(["build", "--release", "-p", "sente-benches"]);
    build.arg("--bin").arg("edn_once");
    if !options.peers {
        build.arg("--no-default-features");
    }
    build.run()?;
    let counter = Counter {
        workspace,
        program: "edn_once",
    };

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

/// Runs a program that repeats one case under callgrind.
pub(super) struct Counter<'a> {
    pub(super) workspace: &'a Workspace,
    /// Its name; it has been built.
    pub(super) program: &'a str,
}

impl Counter<'_> {
    fn program(&self) -> std::path::PathBuf {
        self.workspace.target.join("release").join(self.program)
    }

    pub(super) fn asked(&self, option: &str) -> Result<String, String> {
        let mut task = self.workspace.task(self.program());
        let said = task.arg(option).asked();
        said.ok_or_else(|| format!("`{} {option}` failed", self.program))
    }

    /// The instructions of one operation: those of more of them, less those of fewer.
    pub(super) fn per_operation(&self, name: &str) -> Result<u64, String> {
        // The megabyte takes long enough, and so do 64 KB.
        let fewer = match name {
            _ if name.contains("/large/") => 1,
            _ if name.contains("/64KB/") => 2,
            _ => 20,
        };
        self.between(name, fewer, 3 * fewer)
    }

    /// The same by these numbers of them.
    pub(super) fn between(&self, name: &str, fewer: u64, more: u64) -> Result<u64, String> {
        let (few, many) = (self.count(name, fewer)?, self.count(name, more)?);
        Ok(many.saturating_sub(few) / (more - fewer))
    }

    fn count(&self, name: &str, iterations: u64) -> Result<u64, String> {
        let mut task = self.workspace.task("valgrind");
        // The runtimes that have a number of threads have one.
        task.env("ASYNC_STD_THREAD_COUNT", "1");
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

    #[test]
    fn a_goal_is_compared_with_the_cheapest_of_its_peers() {
        let counts = [("a", 10), ("b", 40), ("c", 20)];
        let mut table = String::new();
        line("a\tb,c,d\t0.4\t0.2\twords", &counts, &mut table).unwrap();
        line("x\tb\t0.4\t0.2\tnot counted", &counts, &mut table).unwrap();
        assert_eq!(table, "    0.50     0.4      0.2  words\n");
    }
}
