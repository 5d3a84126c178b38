//! Where the workspace is, and commands that run in it.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output};

/// The places everything else is found from.
pub(crate) struct Workspace {
    /// The directory of the root manifest.
    pub(crate) root: PathBuf,
    /// Where builds go.
    pub(crate) target: PathBuf,
    cargo: OsString,
}

impl Workspace {
    pub(crate) fn find() -> Result<Self, String> {
        let manifest = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest
            .parent()
            .map(PathBuf::from)
            .ok_or("xtask is not in a workspace")?;
        let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
        Ok(Self {
            target: root.join(target),
            root,
            cargo: env::var_os("CARGO").unwrap_or_else(|| "cargo".into()),
        })
    }

    /// A cargo command, to be run at the root.
    pub(crate) fn cargo<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Task {
        let mut task = self.task(&self.cargo);
        task.shown = "cargo".to_owned();
        for argument in arguments {
            task.arg(argument);
        }
        task
    }

    /// Any command, to be run at the root.
    pub(crate) fn task(&self, program: impl AsRef<OsStr>) -> Task {
        let program = program.as_ref();
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        Task {
            command,
            shown: program.to_string_lossy().into_owned(),
            environment: String::new(),
        }
    }
}

/// A command that knows how to show itself.
pub(crate) struct Task {
    command: Command,
    shown: String,
    environment: String,
}

impl Task {
    pub(crate) fn arg(&mut self, argument: impl AsRef<OsStr>) -> &mut Self {
        let argument = argument.as_ref();
        let _ = write!(self.shown, " {}", quoted(&argument.to_string_lossy()));
        self.command.arg(argument);
        self
    }

    pub(crate) fn env(&mut self, name: &str, value: impl AsRef<OsStr>) -> &mut Self {
        let value = value.as_ref();
        let _ = write!(
            self.environment,
            "{name}={} ",
            quoted(&value.to_string_lossy())
        );
        self.command.env(name, value);
        self
    }

    pub(crate) fn directory(&mut self, directory: impl Into<PathBuf>) -> &mut Self {
        self.command.current_dir(directory.into());
        self
    }

    /// Shows the command, runs it with our own standard streams and wants it to succeed.
    pub(crate) fn run(&mut self) -> Result<(), String> {
        println!("$ {self}");
        match self.command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("`{self}` ended with {status}")),
            Err(error) => Err(format!("`{self}` could not be started: {error}")),
        }
    }

    /// Shows the command, runs it and keeps what it says, whether it succeeds or not.
    pub(crate) fn output(&mut self) -> Result<Output, String> {
        println!("$ {self}");
        self.quiet_output()
    }

    /// Does what [`output`](Self::output) does, without a word.
    pub(crate) fn quiet_output(&mut self) -> Result<Output, String> {
        self.command
            .output()
            .map_err(|error| format!("`{self}` could not be started: {error}"))
    }

    /// What a short command prints, or `None` if there is no such program or it fails.
    pub(crate) fn asked(&mut self) -> Option<String> {
        let output = self.command.output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    }
}

impl std::fmt::Display for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.environment, self.shown)
    }
}

fn quoted(word: &str) -> String {
    if word.contains([' ', '\'', '"']) {
        format!("{word:?}")
    } else {
        word.to_owned()
    }
}
