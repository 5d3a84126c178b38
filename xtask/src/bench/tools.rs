//! The programs that measuring needs, installed where they are missing.

use std::fs;
use std::path::PathBuf;

use crate::debian;
use crate::workspace::Workspace;

/// What runs gungraun's benchmarks.
pub(super) struct Runner {
    pub(super) path: PathBuf,
    pub(super) version: String,
}

/// Sees to it that there is valgrind, and says which.
pub(super) fn valgrind(workspace: &Workspace) -> Result<String, String> {
    let version = || workspace.task("valgrind").arg("--version").asked();
    if let Some(version) = version() {
        return Ok(version);
    }
    let install = debian::install(workspace, &["valgrind"]);
    version().ok_or_else(|| {
        let problem = install.err().unwrap_or_default();
        format!("there is no `valgrind`, and it could not be installed: {problem}")
    })
}

/// Sees to it that there is gungraun's runner, in the version of the library: no other will do.
pub(super) fn gungraun_runner(workspace: &Workspace) -> Result<Runner, String> {
    let lock = workspace.root.join("Cargo.lock");
    let lock = fs::read_to_string(&lock)
        .map_err(|error| format!("cannot read {}: {error}", lock.display()))?;
    let version = locked(&lock, "gungraun").ok_or("gungraun is not in Cargo.lock")?;
    let root = workspace.target.join("tools");
    let path = root.join("bin/gungraun-runner");
    let found = workspace.task(&path).arg("--version").asked();
    if found.is_none_or(|found| found.split_whitespace().last() != Some(version)) {
        let mut install = workspace.cargo(["install", "gungraun-runner", "--locked", "--root"]);
        let exact = format!("={version}");
        install.arg(&root).arg("--version").arg(exact).run()?;
    }
    Ok(Runner {
        path,
        version: version.to_owned(),
    })
}

/// The version of a package in a lock file.
pub(super) fn locked<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let (_, rest) = lock.split_once(&format!("\nname = \"{package}\"\nversion = \""))?;
    Some(rest.split_once('"')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_that_of_the_package_with_just_this_name() {
        let lock = "\nname = \"gungraun-runner\"\nversion = \"1.0.0\"\n\
                    \nname = \"gungraun\"\nversion = \"0.20.0\"\n";
        assert_eq!(locked(lock, "gungraun"), Some("0.20.0"));
        assert_eq!(locked(lock, "gung"), None);
    }
}
