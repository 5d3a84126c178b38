//! Our servers beside others, end to end.

use std::fs;
use std::path::Path;

use super::{keep, machine, print_page};
use crate::peers;
use crate::workspace::Workspace;

/// The workspace of the suite, from the root.
const SUITE: &str = "benches/peers";

/// Where the results are kept, from the root.
const PAGE: &str = "docs/benchmarks/e2e.md";
const PLOTS: &str = "docs/benchmarks/e2e";

/// What every round of a work gave when it was last kept, from the root.
const KEPT: &str = "benches/baselines/e2e.json";

/// The libraries whose versions the page names.
const LIBRARIES: &[&str] = &[
    "tokio",
    "tokio-tungstenite",
    "fastwebsockets",
    "socketioxide",
    "jsonrpsee",
    "tarpc",
    "async-lsp",
    "lsp-server",
];

/// What the command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    write: bool,
    quick: bool,
    list: bool,
    only: Vec<String>,
}

/// Reads what follows `bench e2e`.
pub(super) fn parse(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options::default();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--write" => options.write = true,
            "--quick" => options.quick = true,
            "--list" => options.list = true,
            "--only" => {
                let name = arguments.next().ok_or("--only needs a name of --list")?;
                options.only.push(name.clone());
            }
            other => return Err(format!("unexpected argument: {other}")),
        }
    }
    if options.write && options.quick {
        return Err("--quick measures too little to --write".to_owned());
    }
    Ok(options)
}

/// Builds everybody and measures.
pub(super) fn run(workspace: &Workspace, options: &Options) -> Result<(), String> {
    let target = workspace.target.join("e2e");
    let manifest = format!("{SUITE}/Cargo.toml");
    let build = ["build", "--release", "--manifest-path"];
    let mut build = workspace.cargo(build);
    build
        .arg(&manifest)
        .arg("--target-dir")
        .arg(&target)
        .run()?;
    let node = target.join("node");
    fs::create_dir_all(&node)
        .map_err(|error| format!("cannot make {}: {error}", node.display()))?;
    let sources = workspace.root.join(SUITE).join("node");
    let modules = peers::install_node(workspace, &sources, &node)?;

    let driver = target.join("release/peer-driver");
    if options.list {
        return workspace.task(&driver).arg("list").run();
    }
    let directory = workspace.target.join("benchmarks");
    fs::create_dir_all(&directory)
        .map_err(|error| format!("cannot make {}: {error}", directory.display()))?;
    let results = if options.write {
        workspace.root.join(KEPT)
    } else {
        directory.join("e2e.json")
    };
    let mut measure = workspace.task(&driver);
    measure.env("PEERS_NODE", &sources);
    measure.env("NODE_PATH", &modules);
    measure.arg("run").arg("--results").arg(&results);
    if options.quick {
        measure.arg("--quick");
    }
    if options.write && !options.only.is_empty() {
        measure.arg("--merge");
    }
    let now = workspace.task("date").arg("-u").arg("+%F %H:%M").asked();
    if let Some(now) = now {
        measure.arg("--at").arg(format!("{now} UTC"));
    }
    for name in &options.only {
        measure.arg("--only").arg(name);
    }
    for (what, which) in environment(workspace, &sources)? {
        measure.arg("--with").arg(format!("{what}={which}"));
    }
    // A work that failed leaves the others to be shown.
    let measured = measure.run();

    let mut page = workspace.task(&driver);
    page.arg("page").arg("--results").arg(&results);
    let plots = if options.write {
        workspace.root.join(PLOTS)
    } else {
        directory.join("e2e")
    };
    fs::create_dir_all(&plots)
        .map_err(|error| format!("cannot make {}: {error}", plots.display()))?;
    page.arg("--plots").arg(&plots);
    let page = keep(&mut page, directory.join("e2e.md"))?;
    print_page(workspace, &page, options.write.then_some(PAGE))?;
    measured
}

/// What the figures depend on.
fn environment(
    workspace: &Workspace,
    scripts: &Path,
) -> Result<Vec<(&'static str, String)>, String> {
    let lock = read(&workspace.root.join(SUITE).join("Cargo.lock"))?;
    let version = |name: &&str| {
        let version = newest(&lock, name).unwrap_or("unknown");
        format!("`{name}` {version}")
    };
    let libraries: Vec<_> = LIBRARIES.iter().map(version).collect();
    let asked = |program: &str, option: &str| {
        let said = workspace.task(program).arg(option).asked();
        said.unwrap_or_else(|| "unknown".to_owned())
    };
    let manifest = read(&scripts.join("package.json"))?;
    let packages: Vec<_> = ["ws", "socket.io"]
        .iter()
        .filter_map(|name| {
            let (_, rest) = manifest.split_once(&format!("\"{name}\": \""))?;
            Some(format!("`{name}` {}", rest.split_once('"')?.0))
        })
        .collect();
    Ok(vec![
        ("machine", machine()),
        ("system", format!("Linux {}", asked("uname", "-r"))),
        ("compiler", asked("rustc", "--version")),
        ("profile", "release, as in the root manifest".to_owned()),
        ("libraries", libraries.join(", ")),
        (
            "node",
            format!("{}, {}", asked("node", "--version"), packages.join(", ")),
        ),
    ])
}

/// The version of a package in a lock file; where there are two, that of the suite itself is the newer,
/// which stands behind the other.
fn newest<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let (_, rest) = lock.rsplit_once(&format!("\nname = \"{package}\"\nversion = \""))?;
    Some(rest.split_once('"')?.0)
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &str) -> Result<Options, String> {
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        parse(&words)
    }

    #[test]
    fn works_are_chosen_by_name() {
        let options = parsed("--quick --only window-64 --only fan-out-1k").unwrap();
        assert!(options.quick);
        assert_eq!(options.only, ["window-64", "fan-out-1k"]);
    }

    #[test]
    fn works_can_be_kept_one_by_one() {
        assert!(parsed("--write").unwrap().write);
        assert!(parsed("--write --only window-64").unwrap().write);
        assert!(parsed("--write --quick").is_err());
        assert!(parsed("--only").is_err());
        assert!(parsed("window-64").is_err());
    }
}
