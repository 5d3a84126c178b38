//! What the engine's hot paths took when that was last written down, and whether they take more now.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::workspace::Workspace;

/// Where it is kept, from the root.
pub(super) const FILE: &str = "benches/baselines/core.tsv";

/// By how many percent a case may exceed it where everything is as it was: the same code is then counted
/// the same to one instruction in a hundred, and what is smaller than this is not worth a red run.
const TOLERANCE: u64 = 3;

/// The same where compiler, C library, valgrind or the processor's kind is another. The `memcpy` that glibc
/// takes without AVX2 moved cases by -8 to +5 %, a compiler two versions newer ours by 1 % and the floors
/// by 10 %.
const WIDE: u64 = 15;

/// What a case takes for each event.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) name: String,
    pub(super) instructions: u64,
}

/// What counts depend on besides the code that is counted: what it is, and which.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Conditions(Vec<(String, String)>);

/// Figures, and what they depend on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Baseline {
    pub(super) conditions: Conditions,
    pub(super) counts: Vec<Count>,
}

impl Conditions {
    /// Those of here and now.
    pub(super) fn here(workspace: &Workspace, valgrind: &str) -> Self {
        let asked = |program: &str, argument: &str| {
            let said = workspace.task(program).arg(argument).asked();
            said.unwrap_or_else(|| "unknown".to_owned())
        };
        // Valgrind shows programs a processor with AVX2 where there is one, whatever else that can do.
        let flags = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let kind = if flags.split_whitespace().any(|flag| flag == "avx2") {
            " with AVX2"
        } else {
            ""
        };
        let conditions = [
            (ARCHITECTURE, std::env::consts::ARCH.to_owned()),
            ("processor", format!("{}{kind}", std::env::consts::ARCH)),
            ("compiler", asked("rustc", "--version")),
            ("libc", asked("getconf", "GNU_LIBC_VERSION")),
            ("valgrind", valgrind.to_owned()),
        ];
        let owned = |(what, which): (&str, String)| (what.to_owned(), which);
        Self(conditions.into_iter().map(owned).collect())
    }

    fn get(&self, what: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == what);
        found.map_or("unknown", |(_, which)| which)
    }

    /// What is another than there, in words.
    fn unlike(&self, there: &Self) -> Vec<String> {
        let differs = |(what, which): &(String, String)| {
            let other = there.get(what);
            (other != which).then(|| format!("{what} is {which}, not {other}"))
        };
        self.0.iter().filter_map(differs).collect()
    }
}

/// What other instructions are counted on cannot be compared.
const ARCHITECTURE: &str = "architecture";

impl Baseline {
    /// As it is kept.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::from(
            "# Instructions for each event. Written by `cargo xtask bench core --write`; do not edit.\n",
        );
        for (what, which) in &self.conditions.0 {
            let _ = writeln!(text, "# {what}: {which}");
        }
        for Count { name, instructions } in &self.counts {
            let _ = writeln!(text, "{name}\t{instructions}");
        }
        text
    }

    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let (mut conditions, mut counts) = (Vec::new(), Vec::new());
        for line in text.lines() {
            if let Some(said) = line.strip_prefix("# ") {
                let said = said.split_once(": ");
                conditions.extend(said.map(|(what, which)| (what.to_owned(), which.to_owned())));
                continue;
            }
            let found = line.split_once('\t').and_then(|(name, instructions)| {
                Some(Count {
                    name: name.to_owned(),
                    instructions: instructions.parse().ok()?,
                })
            });
            counts.push(found.ok_or_else(|| format!("{FILE} has a line that is none: {line}"))?);
        }
        Ok(Self {
            conditions: Conditions(conditions),
            counts,
        })
    }

    /// Compares what is counted now with it, and says what there is to say. Fails where a case takes more
    /// than the tolerance allows, is new, or is gone; one that takes less is only told of. Those of the
    /// floors are not ours to answer for.
    pub(super) fn hold(&self, now: &Self) -> Result<String, String> {
        let unlike = now.conditions.unlike(&self.conditions);
        let other = now.conditions.get(ARCHITECTURE) != self.conditions.get(ARCHITECTURE);
        if other {
            return Ok(format!(
                "not compared with {FILE}, whose instructions are others': {}\n",
                unlike.join("; ")
            ));
        }
        let (tolerance, why) = if unlike.is_empty() {
            let why = "counted as the baseline was".to_owned();
            (TOLERANCE, why)
        } else {
            (
                WIDE,
                format!("{TOLERANCE} % were it not that {}", unlike.join("; ")),
            )
        };
        let allowed = format!("tolerance {tolerance} % ({why})");
        let (mut worse, mut better, mut unknown) = (String::new(), String::new(), String::new());
        for Count { name, instructions } in now.counts.iter().filter(|count| count.is_ours()) {
            let Some(was) = self.instructions(name) else {
                let _ = writeln!(unknown, "  {name} takes {instructions} and is not there");
                continue;
            };
            let line = format!(
                "  {name:<34} expected {was:>7}, got {instructions:>7}: {}",
                change(was, *instructions)
            );
            if instructions * 100 > was * (100 + tolerance) {
                let _ = writeln!(worse, "{line}");
            } else if instructions * 100 < was * (100 - tolerance) {
                let _ = writeln!(better, "{line}");
            }
        }
        for Count { name, .. } in self.counts.iter().filter(|count| count.is_ours()) {
            if now.instructions(name).is_none() {
                let _ = writeln!(unknown, "  {name} is there and not counted any more");
            }
        }
        let mut said = format!("held to {FILE}, {allowed}\n");
        if !better.is_empty() {
            let _ = write!(
                said,
                "better than the baseline, which {WRITE} lowers to keep what was won:\n{better}"
            );
        }
        if worse.is_empty() && unknown.is_empty() {
            return Ok(said);
        }
        let mut problem = String::new();
        if !worse.is_empty() {
            let _ = write!(
                problem,
                "more instructions for each event than {FILE} has, {allowed}:\n{worse}"
            );
        }
        if !unknown.is_empty() {
            let _ = write!(
                problem,
                "{FILE} knows other cases than are counted:\n{unknown}"
            );
        }
        let _ = write!(problem, "{WHAT_TO_DO}");
        Err(problem)
    }

    fn instructions(&self, name: &str) -> Option<u64> {
        let found = self.counts.iter().find(|count| count.name == name);
        found.map(|count| count.instructions)
    }
}

impl Count {
    fn is_ours(&self) -> bool {
        !self.name.starts_with("floor: ")
    }
}

const WRITE: &str = "`cargo xtask bench core --write`";

const WHAT_TO_DO: &str = "\
What to do: see where they went, by comparing `valgrind --tool=callgrind target/release/core_once \
--only CASE --iters 100` before and after; what is meant to cost that much becomes the baseline, and \
docs/benchmarks/core.md, by `cargo xtask bench core --write`.";

/// By how many percent, with a sign.
#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn change(was: u64, is: u64) -> String {
    format!("{:+.1} %", (is as f64 / was as f64 - 1.0) * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(compiler: &str, of: &[(&str, u64)]) -> Baseline {
        on("x86_64", compiler, of)
    }

    fn on(architecture: &str, compiler: &str, of: &[(&str, u64)]) -> Baseline {
        let conditions = [(ARCHITECTURE, architecture), ("compiler", compiler)];
        let owned = |(what, which): (&str, &str)| (what.to_owned(), which.to_owned());
        let count = |(name, instructions): &(&str, u64)| Count {
            name: (*name).to_owned(),
            instructions: *instructions,
        };
        Baseline {
            conditions: Conditions(conditions.into_iter().map(owned).collect()),
            counts: of.iter().map(count).collect(),
        }
    }

    #[test]
    fn what_takes_more_than_its_baseline_is_a_failure() {
        let baseline = counted("1", &[("a", 1000), ("floor: b", 10)]);
        let held = |of: &[(&str, u64)]| baseline.hold(&counted("1", of));
        assert!(held(&[("a", 1030), ("floor: b", 99)]).is_ok());
        let problem = held(&[("a", 1031)]).unwrap_err();
        assert!(
            problem.contains("expected    1000, got    1031: +3.1 %"),
            "{problem}"
        );
        assert!(problem.contains("--write"), "{problem}");
    }

    #[test]
    fn what_takes_less_is_told_of_and_passes() {
        let baseline = counted("1", &[("a", 1000)]);
        let said = baseline.hold(&counted("1", &[("a", 900)])).unwrap();
        assert!(said.contains("got     900: -10.0 %"), "{said}");
        let said = baseline.hold(&counted("1", &[("a", 980)])).unwrap();
        assert!(!said.contains("better"), "{said}");
    }

    #[test]
    fn another_compiler_may_take_more_and_is_named() {
        let baseline = counted("1", &[("a", 1000)]);
        let said = baseline.hold(&counted("2", &[("a", 1150)])).unwrap();
        assert!(said.contains("compiler is 2, not 1"), "{said}");
        assert!(baseline.hold(&counted("2", &[("a", 1151)])).is_err());
    }

    #[test]
    fn instructions_of_another_architecture_are_not_compared() {
        let baseline = counted("1", &[("a", 1000)]);
        let said = baseline.hold(&on("aarch64", "1", &[("a", 2000)])).unwrap();
        assert!(said.contains("not compared"), "{said}");
    }

    #[test]
    fn a_case_that_is_new_or_gone_is_a_failure() {
        let baseline = counted("1", &[("a", 1000)]);
        let problem = baseline.hold(&counted("1", &[("b", 1)])).unwrap_err();
        assert!(problem.contains("b takes 1 and is not there"), "{problem}");
        assert!(problem.contains("a is there and not counted"), "{problem}");
    }

    #[test]
    fn a_baseline_is_read_as_it_was_written() {
        let written = counted(
            "rustc 1.95.0 (1: 2)",
            &[("call-in/lines", 12), ("enqueue", 7)],
        );
        assert_eq!(Baseline::parse(&written.to_text()), Ok(written));
        assert!(Baseline::parse("enqueue 7").is_err());
    }
}
