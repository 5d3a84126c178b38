//! The Clojure that is asked, over the standard streams of one process.

use std::io::{self, BufReader, BufWriter, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// What `clojure.edn` makes of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It reads it as the value of this canonical form.
    Reads(String),
    /// It refuses it, and says why.
    Refuses(String),
    /// It breaks, as by a stack that is too small: no answer.
    Breaks(String),
}

/// Puts texts to Clojure. Dropping it ends the questions.
pub(crate) struct Questions(BufWriter<ChildStdin>);

/// The answers, in the order of the questions.
pub(crate) struct Answers {
    input: BufReader<ChildStdout>,
    child: Child,
}

/// Starts Clojure; also says its version.
pub(crate) fn start() -> Result<(Questions, Answers, String), String> {
    let jars = std::env::var("SENTE_TEST_CLOJURE").unwrap_or_default();
    if !Path::new(&jars).join("clojure.jar").exists() {
        return Err(format!(
            "there is no clojure.jar in {jars:?}: run `cargo xtask test --only clojure`, or set \
             SENTE_TEST_CLOJURE to a directory with clojure.jar, spec.alpha.jar and \
             core.specs.alpha.jar"
        ));
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/edn_oracle.clj");
    let mut child = Command::new("java")
        .args(["-Xss16m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
        .arg("-cp")
        .arg(format!("{jars}/*"))
        .args(["clojure.main", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| {
            format!("java: {error}; run `cargo xtask test --only clojure`, which installs it")
        })?;
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err("java has no standard streams".to_owned());
    };
    let mut answers = Answers {
        input: BufReader::new(output),
        child,
    };
    let version = answers.frame()?;
    Ok((Questions(BufWriter::new(input)), answers, version))
}

impl Questions {
    pub(crate) fn ask(&mut self, text: &str) -> io::Result<()> {
        let length = u32::try_from(text.len()).map_err(io::Error::other)?;
        self.0.write_all(&length.to_be_bytes())?;
        self.0.write_all(text.as_bytes())
    }

    /// Sees to it that all that was asked gets there.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Answers {
    pub(crate) fn next(&mut self) -> Result<Answer, String> {
        let mut text = self.frame()?;
        let kind = if text.is_empty() {
            String::new()
        } else {
            text.drain(..1).collect()
        };
        match kind.as_str() {
            "+" => Ok(Answer::Reads(text)),
            "-" => Ok(Answer::Refuses(text)),
            "!" => Ok(Answer::Breaks(text)),
            other => Err(format!("Clojure answers {other:?}")),
        }
    }

    fn frame(&mut self) -> Result<String, String> {
        let mut read = || {
            let mut length = [0; 4];
            self.input.read_exact(&mut length)?;
            let length = u64::from(u32::from_be_bytes(length));
            let mut text = String::new();
            self.input.by_ref().take(length).read_to_string(&mut text)?;
            Ok(text)
        };
        read().map_err(|error: io::Error| format!("Clojure gives no more answers: {error}"))
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        // It ends by itself when the questions do; this is for when they did not.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
