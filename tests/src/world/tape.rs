//! What the engine's own recorders write down of a simulation.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};

use sente_core::record::Recorder;

/// The lines of one connection.
pub type Lines = Vec<String>;

thread_local! {
    /// Where the machines of this thread are recorded, if they are.
    static TAPES: RefCell<Option<Vec<Tape>>> = const { RefCell::new(None) };
}

/// Runs `simulate`, with every connection that is made on this thread meanwhile recorded.
pub fn taped<T>(simulate: impl FnOnce() -> T) -> (T, Vec<Lines>) {
    TAPES.set(Some(Vec::new()));
    let result = simulate();
    let tapes = TAPES.take().unwrap_or_default();
    let lines = |tape: Tape| std::mem::take(&mut *tape.lock());
    (result, tapes.into_iter().map(lines).collect())
}

/// A recorder for the next connection, if this thread is taped.
pub(super) fn next() -> Option<Box<dyn Recorder>> {
    TAPES.with_borrow_mut(|tapes| {
        let tape = Tape::default();
        tapes.as_mut()?.push(tape.clone());
        Some(Box::new(tape) as Box<dyn Recorder>)
    })
}

#[derive(Clone, Debug, Default)]
struct Tape(Arc<Mutex<Lines>>);

impl Tape {
    fn lock(&self) -> std::sync::MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recorder for Tape {
    fn line(&mut self, line: &str) {
        self.lock().push(line.to_owned());
    }
}
