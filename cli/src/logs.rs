//! Where the logs of every crate go, and which of them: to be changed while the process runs.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::exit::Failure;

/// What may be changed of the logs.
#[derive(Clone)]
pub(crate) struct Logs {
    filter: reload::Handle<EnvFilter, Registry>,
    sink: Sink,
    verbose: u8,
}

impl Logs {
    /// Starts to log to standard error; `verbose` counts `-v`.
    ///
    /// # Errors
    /// If `SENTE_LOG` cannot be understood.
    pub(crate) fn start(verbose: u8, json: bool) -> Result<Self, Failure> {
        let (filter, handle) = reload::Layer::new(filter(verbose, None)?);
        let sink = Sink::default();
        // Colours are a feature of its own, and without it to ask for them is an error.
        let lines = fmt::layer()
            .with_writer(sink.clone())
            .with_ansi(false)
            .log_internal_errors(false);
        let lines = match json {
            true => lines.json().boxed(),
            false => lines.boxed(),
        };
        tracing_subscriber::registry()
            .with(filter)
            .with(lines)
            .init();
        Ok(Self {
            filter: handle,
            sink,
            verbose,
        })
    }

    /// Logs what `level` says from now on, unless `-v` or `SENTE_LOG` say otherwise.
    ///
    /// # Errors
    /// If the level cannot be understood.
    pub(crate) fn set_level(&self, level: &str) -> Result<(), Failure> {
        let filter = filter(self.verbose, Some(level))?;
        self.filter.reload(filter).map_err(Failure::other)
    }

    /// Logs to this file from now on, which is opened anew and appended to; `None` for standard
    /// error.
    ///
    /// # Errors
    /// If the file cannot be opened: then nothing changes.
    pub(crate) fn set_file(&self, path: Option<&Path>) -> Result<(), Failure> {
        let opened = path.map(|path| (path.to_owned(), open(path)));
        let target = match opened {
            None => None,
            Some((_, Ok(file))) => Some(file),
            Some((path, Err(error))) => {
                let path: PathBuf = path;
                return Err(Failure::other(format!(
                    "cannot open the log file {}: {error}",
                    path.display()
                )));
            }
        };
        *self.sink.target() = target;
        Ok(())
    }
}

/// What is logged: what `SENTE_LOG` says, else `-v`, else the level, else warnings.
fn filter(verbose: u8, level: Option<&str>) -> Result<EnvFilter, Failure> {
    if let Ok(filter) = std::env::var("SENTE_LOG")
        && !filter.is_empty()
    {
        return EnvFilter::builder()
            .parse(&filter)
            .map_err(|error| Failure::usage(format!("SENTE_LOG={filter}: {error}")));
    }
    let level = match verbose {
        0 => level.unwrap_or("warn"),
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    EnvFilter::builder()
        .parse(level)
        .map_err(|error| Failure::usage(format!("log level {level}: {error}")))
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Where log lines are written: a file, or standard error.
#[derive(Clone, Debug, Default)]
struct Sink(Arc<Mutex<Option<File>>>);

impl Sink {
    fn target(&self) -> MutexGuard<'_, Option<File>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Writer<'a>;

    fn make_writer(&'a self) -> Writer<'a> {
        Writer(self.target())
    }
}

/// Writes one line.
struct Writer<'a>(MutexGuard<'a, Option<File>>);

impl Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut *self.0 {
            Some(file) => file.write(bytes),
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut *self.0 {
            Some(file) => file.flush(),
            None => io::stderr().flush(),
        }
    }
}
