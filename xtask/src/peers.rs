//! Installs what the peers in `tests/peers` need, below the target directory and once only.

use std::fs;
use std::path::{Path, PathBuf};

use crate::workspace::Workspace;

const SOURCES: &str = "tests/peers";

/// Where the installed packages are.
pub(crate) struct Peers {
    /// A `node_modules` directory that has `ws`.
    pub(crate) node_path: PathBuf,
    /// A Python interpreter that has `websockets`.
    pub(crate) python: PathBuf,
}

/// Installs the packages at their pinned versions, or finds that they are there already.
pub(crate) fn install(workspace: &Workspace) -> Result<Peers, String> {
    let directory = workspace.target.join("peers");
    fs::create_dir_all(&directory)
        .map_err(|error| format!("cannot make {}: {error}", directory.display()))?;
    Ok(Peers {
        node_path: install_node(workspace, &workspace.root.join(SOURCES), &directory)?,
        python: install_python(workspace, &directory)?,
    })
}

/// Installs what the `package.json` in `sources` asks for below `directory`, and gives its
/// `node_modules`.
pub(crate) fn install_node(
    workspace: &Workspace,
    sources: &Path,
    directory: &Path,
) -> Result<PathBuf, String> {
    let version = workspace
        .task("node")
        .arg("--version")
        .asked()
        .ok_or("there is no `node`; on Debian: apt-get install nodejs npm")?;
    let modules = directory.join("node_modules");
    let manifest = read(&sources.join("package.json"))?;
    let lock = read(&sources.join("package-lock.json"))?;
    let stamp = Stamp::new(directory, "node", &[&version, &manifest, &lock]);
    if stamp.matches() && modules.is_dir() {
        println!("node {version}: packages are in place");
        return Ok(modules);
    }
    write(&directory.join("package.json"), &manifest)?;
    write(&directory.join("package-lock.json"), &lock)?;
    workspace
        .task("npm")
        .arg("ci")
        .arg("--ignore-scripts")
        .arg("--no-audit")
        .arg("--no-fund")
        .directory(directory)
        .run()?;
    stamp.keep()?;
    Ok(modules)
}

fn install_python(workspace: &Workspace, directory: &Path) -> Result<PathBuf, String> {
    let version = workspace
        .task("python3")
        .arg("-c")
        .arg("import sys; print(sys.version.split()[0], sys.executable)")
        .asked()
        .ok_or("there is no `python3`; on Debian: apt-get install python3 python3-venv")?;
    let environment = directory.join("python");
    let python = environment.join("bin/python");
    let wanted = read(&workspace.root.join(SOURCES).join("requirements.txt"))?;
    let stamp = Stamp::new(directory, "python", &[&version, &wanted]);
    if stamp.matches() && python.exists() {
        println!("python {version}: packages are in place");
        return Ok(python);
    }
    workspace
        .task("python3")
        .arg("-m")
        .arg("venv")
        .arg("--clear")
        .arg(&environment)
        .run()
        .map_err(|problem| {
            format!("{problem}; on Debian it needs: apt-get install python3-venv")
        })?;
    workspace
        .task(&python)
        .arg("-m")
        .arg("pip")
        .arg("install")
        .arg("--quiet")
        .arg("--disable-pip-version-check")
        .arg("--requirement")
        .arg(workspace.root.join(SOURCES).join("requirements.txt"))
        .run()?;
    stamp.keep()?;
    Ok(python)
}

/// A file that says what an installation was made from.
struct Stamp {
    path: PathBuf,
    content: String,
}

impl Stamp {
    fn new(directory: &Path, name: &str, parts: &[&str]) -> Self {
        Self {
            path: directory.join(format!("{name}.stamp")),
            content: parts.join("\n"),
        }
    }

    fn matches(&self) -> bool {
        fs::read_to_string(&self.path).is_ok_and(|found| found == self.content)
    }

    fn keep(&self) -> Result<(), String> {
        write(&self.path, &self.content)
    }
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn write(path: &Path, content: &str) -> Result<(), String> {
    fs::write(path, content).map_err(|error| format!("cannot write {}: {error}", path.display()))
}
