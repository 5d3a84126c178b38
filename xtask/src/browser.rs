//! Finds Chromium, or installs it from Debian.

use std::path::{Path, PathBuf};

use crate::debian;
use crate::workspace::Workspace;

/// Names another browser to use; the tests read it, too.
pub(crate) const VARIABLE: &str = "SENTE_TEST_CHROMIUM";

/// Where Debian's package puts it.
const DEBIAN: &str = "/usr/bin/chromium";
const PACKAGE: &str = "chromium";

/// Sees to it that there is a Chromium, and says where.
pub(crate) fn install(workspace: &Workspace) -> Result<PathBuf, String> {
    if let Some(own) = std::env::var_os(VARIABLE).map(PathBuf::from) {
        return if own.exists() {
            Ok(own)
        } else {
            Err(format!(
                "{VARIABLE} names {}, which is not there",
                own.display()
            ))
        };
    }
    let debian = Path::new(DEBIAN);
    if !debian.exists() {
        debian::install(workspace, &[PACKAGE]).map_err(|problem| {
            format!("Chromium is missing: {problem}. Elsewhere: let {VARIABLE} name one")
        })?;
        if !debian.exists() {
            return Err(format!("{PACKAGE} is installed, but there is no {DEBIAN}"));
        }
    }
    println!("chromium: {DEBIAN}");
    Ok(debian.to_owned())
}
