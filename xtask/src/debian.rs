//! Installs packages from Debian's archive, where this may be done.

use crate::workspace::Workspace;

/// Installs `packages` with what they depend on and nothing they only recommend.
pub(crate) fn install(workspace: &Workspace, packages: &[&str]) -> Result<(), String> {
    let by_hand = || {
        format!(
            "it takes root to install {0}; on Debian: apt-get install --no-install-recommends {0}",
            packages.join(" ")
        )
    };
    let asked = |program: &str, argument: &str| workspace.task(program).arg(argument).asked();
    asked("apt-get", "--version").ok_or_else(by_hand)?;
    let is_root = asked("id", "-u").is_some_and(|user| user == "0");
    let may_sudo = || {
        let mut sudo = workspace.task("sudo");
        sudo.arg("-n").arg("true").asked().is_some()
    };
    if !is_root && !may_sudo() {
        return Err(by_hand());
    }
    let apt = |arguments: &[&str], packages: &[&str]| {
        let mut task = workspace.task(if is_root { "env" } else { "sudo" });
        if !is_root {
            task.arg("-n").arg("env");
        }
        task.arg("DEBIAN_FRONTEND=noninteractive").arg("apt-get");
        for argument in arguments.iter().chain(packages) {
            task.arg(argument);
        }
        task.run()
    };
    apt(&["update", "--quiet"], &[])?;
    apt(
        &["install", "--quiet", "--yes", "--no-install-recommends"],
        packages,
    )
}
