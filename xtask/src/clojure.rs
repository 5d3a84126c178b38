//! Finds Clojure, or installs it from Debian, and holds our EDN to it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::debian;
use crate::workspace::Workspace;

/// Where Debian's packages put jars.
const DEBIAN: &str = "/usr/share/java";
/// Clojure, and what it loads when it starts.
const JARS: [&str; 3] = ["clojure.jar", "spec.alpha.jar", "core.specs.alpha.jar"];
/// Depends on a Java without screens.
const PACKAGE: &str = "clojure";

/// Compares our reader and printer with `clojure.edn`, on generated documents.
pub(crate) fn compare(workspace: &Workspace) -> Result<(), String> {
    let jars = install(workspace)?;
    let program = "edn-against-clojure";
    workspace
        .cargo(["run", "--quiet", "-p", "sente-tests", "--bin", program])
        .env("SENTE_TEST_CLOJURE", jars)
        .run()
}

/// Sees to it that there is a `java`, and a directory with Clojure's jars and nothing else.
fn install(workspace: &Workspace) -> Result<PathBuf, String> {
    let java = || workspace.task("java").arg("-version").asked().is_some();
    if let Some(own) = std::env::var_os("SENTE_TEST_CLOJURE").map(PathBuf::from)
        && java()
        && jars_in(&own)
    {
        println!("clojure: the jars are in {}", own.display());
        return Ok(own);
    }
    let debian = Path::new(DEBIAN);
    if java() && jars_in(debian) {
        println!("clojure: the jars are in {DEBIAN}");
    } else {
        from_debian(workspace)?;
        if !java() || !jars_in(debian) {
            return Err(format!(
                "{PACKAGE} is installed, but {DEBIAN} has no {JARS:?}, or there is no `java`"
            ));
        }
    }
    copy(debian, &workspace.target.join("peers/clojure"))
}

fn jars_in(directory: &Path) -> bool {
    JARS.iter().all(|jar| directory.join(jar).exists())
}

fn from_debian(workspace: &Workspace) -> Result<(), String> {
    debian::install(workspace, &[PACKAGE]).map_err(|problem| {
        format!(
            "Clojure is missing: {problem}. Elsewhere: put {JARS:?} into a directory that \
             SENTE_TEST_CLOJURE names, and a `java` into the path"
        )
    })
}

/// Copies the jars to a directory of their own.
fn copy(from: &Path, to: &Path) -> Result<PathBuf, String> {
    let copied = fs::create_dir_all(to).and_then(|()| {
        JARS.iter()
            .try_for_each(|jar| fs::copy(from.join(jar), to.join(jar)).map(drop))
    });
    copied.map_err(|error| format!("cannot copy {JARS:?} to {}: {error}", to.display()))?;
    Ok(to.to_owned())
}
