//! Holds our reader and printer to real `clojure.edn`, on generated documents.
//!
//! Half of the documents are changed at random, so that they may be invalid. Both readers must
//! agree on which are valid and on what they mean, and Clojure must read what we print as the value
//! it was printed from. `cargo xtask test --only clojure` installs Clojure and runs this.
//!
//! `SENTE_TEST_CLOJURE` is the directory with Clojure's jars, `SENTE_TEST_SEED` a number to make
//! other documents from, and `SENTE_TEST_DOCUMENTS` how many.
#![expect(clippy::print_stdout, reason = "it is a report")]

mod atoms;
mod canonical;
mod differences;
mod documents;
mod mutations;
mod oracle;
mod random;
mod report;
mod verdict;

use std::io;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use oracle::{Answers, Questions};
use random::Random;
use report::Report;
use verdict::Reading;

const SEED: u64 = 1;
const DOCUMENTS: u64 = 40_000;
/// A generated document, and what we make of it.
struct Case {
    number: u64,
    reading: Reading,
}

impl Case {
    fn new(seed: u64, number: u64) -> Self {
        let mut random = Random::new(seed, number);
        let mut text = documents::document(&mut random);
        if is_mutated(number) {
            text = mutations::mutate(&mut random, &text);
        }
        Self {
            number,
            reading: Reading::new(text),
        }
    }
}

const fn is_mutated(number: u64) -> bool {
    number % 2 == 1
}

fn main() -> ExitCode {
    match check() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn check() -> Result<bool, String> {
    let seed = setting("SENTE_TEST_SEED", SEED)?;
    let documents = setting("SENTE_TEST_DOCUMENTS", DOCUMENTS)?;
    let (questions, mut answers, version) = oracle::start()?;
    println!("clojure.edn {version}, seed {seed}, {documents} documents");
    let mut report = Report::default();
    let questions = thread::scope(|scope| {
        let (sender, cases) = sync_channel(10_000);
        let asking = scope.spawn(move || ask(seed, documents, questions, &sender));
        let compared = compare(&cases, &mut answers, &mut report);
        // Without it the other thread would wait for room for ever.
        drop(cases);
        let asked = asking.join().map_err(|_| "the generator broke")?;
        compared?;
        asked.map_err(|error| format!("Clojure takes no more questions: {error}"))
    })?;
    report.print(questions, answers)
}

fn setting(name: &str, default: u64) -> Result<u64, String> {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .map_err(|_| format!("{name} is no number: {text:?}")),
        Err(_) => Ok(default),
    }
}

/// Puts all documents to Clojure.
fn ask(
    seed: u64,
    documents: u64,
    mut questions: Questions,
    cases: &SyncSender<Case>,
) -> io::Result<Questions> {
    for number in 0..documents {
        let case = Case::new(seed, number);
        case.reading.ask(&mut questions)?;
        if number % 100 == 0 {
            questions.flush()?;
        }
        if cases.send(case).is_err() {
            break;
        }
    }
    questions.flush()?;
    Ok(questions)
}

fn compare(
    cases: &Receiver<Case>,
    answers: &mut Answers,
    report: &mut Report,
) -> Result<(), String> {
    for case in cases {
        let verdict = case.reading.compare(answers)?;
        report.add(case.number, &case.reading.text, verdict);
    }
    Ok(())
}
