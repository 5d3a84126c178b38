//! What we make of a document beside what Clojure makes of it.

use std::io;

use sente_edn::{Error, Limits, Value, read_first};

use crate::canonical::canonical;
use crate::differences::Known;
use crate::oracle::{Answer, Answers, Questions};

/// A document as we read it.
pub(crate) struct Reading {
    pub(crate) text: String,
    /// `Err(None)` is a text without a form, which `clojure.edn/read-string` refuses like any
    /// other when it has not been told what to make of the end.
    ours: Result<Value, Option<Error>>,
}

/// How our reading and Clojure's compare.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Both read the same value, and Clojure reads it again from what we print.
    ReadAlike,
    RefusedByBoth,
    Known(Known),
    /// A bug: what we make of the document, and what Clojure does.
    Differs(String),
}

impl Reading {
    pub(crate) fn new(text: String) -> Self {
        let ours = match read_first(text.as_bytes(), &Limits::default()) {
            Ok(Some((value, _))) => Ok(value),
            Ok(None) => Err(None),
            Err(error) => Err(Some(error)),
        };
        Self { text, ours }
    }

    /// Puts the document to Clojure, and behind it what we print for it.
    pub(crate) fn ask(&self, questions: &mut Questions) -> io::Result<()> {
        questions.ask(&self.text)?;
        match &self.ours {
            Ok(value) => questions.ask(&value.to_string()),
            Err(_) => Ok(()),
        }
    }

    /// Takes Clojure's answers to what [`ask`](Self::ask) asked.
    pub(crate) fn compare(&self, answers: &mut Answers) -> Result<Verdict, String> {
        let theirs = answers.next()?;
        let value = match (&self.ours, &theirs) {
            (Ok(value), _) => value,
            (Err(_), Answer::Refuses(_)) => return Ok(Verdict::RefusedByBoth),
            (Err(None), _) => {
                return Ok(Verdict::Differs(format!(
                    "we find no form\nto Clojure: {theirs:?}"
                )));
            }
            (Err(Some(error)), _) => {
                return Ok(match Known::refusal(&self.text, error, &theirs) {
                    Some(known) => Verdict::Known(known),
                    None => {
                        Verdict::Differs(format!("we refuse it: {error}\nto Clojure: {theirs:?}"))
                    }
                });
            }
        };
        let ours = Answer::Reads(canonical(value));
        let printed = answers.next()?;
        let (what, other) = if theirs == ours {
            ("we print it as", printed)
        } else {
            ("we read it as", theirs)
        };
        Ok(if other == ours {
            Verdict::ReadAlike
        } else if let Some(known) = Known::reading(&self.text, value, &other) {
            Verdict::Known(known)
        } else {
            Verdict::Differs(format!(
                "{what} {value}\nwhich is   {ours:?}\nto Clojure {other:?}"
            ))
        })
    }
}
