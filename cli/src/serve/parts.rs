//! A server of many parts: started in order, rolled back when one fails, stopped in reverse.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::exit::Failure;

/// What a part does that takes its time.
pub(crate) type Work<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Something that is started and stopped.
pub(crate) trait Part: Send {
    /// What it is called in reports.
    fn name(&self) -> String;

    /// Starts it; a part that has failed to start is not stopped. What it says, an address say, is
    /// its status.
    fn start(&mut self) -> Work<'_, Result<String, Failure>>;

    /// Stops it by the deadline at the latest.
    fn stop(&mut self, deadline: Instant) -> Work<'_, ()>;
}

/// The parts of a server, in the order in which they start.
#[derive(Default)]
pub(crate) struct Parts {
    parts: Vec<Box<dyn Part>>,
    board: Board,
}

impl Parts {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// One more, which is started after the others.
    pub(crate) fn add(&mut self, part: impl Part + 'static) {
        self.board.lines().push(Line {
            name: part.name(),
            state: PartState::Waiting,
        });
        self.parts.push(Box::new(part));
    }

    /// How they are, to be read from anywhere and at any time.
    pub(crate) fn board(&self) -> Board {
        self.board.clone()
    }

    /// Starts them one after the other. When one fails, those that have started are stopped, the
    /// last one first.
    ///
    /// # Errors
    /// The failure of that part, with its name.
    pub(crate) async fn start(&mut self, give_up: impl Fn() -> Instant) -> Result<(), Failure> {
        let mut failed = None;
        for (number, part) in self.parts.iter_mut().enumerate() {
            match part.start().await {
                Ok(status) => self.board.set(number, PartState::Up(status)),
                Err(failure) => {
                    self.board
                        .set(number, PartState::Failed(failure.message.clone()));
                    failed = Some(failure);
                    break;
                }
            }
        }
        match failed {
            None => Ok(()),
            Some(failure) => {
                self.stop(give_up()).await;
                Err(failure)
            }
        }
    }

    /// Stops those that are up, the last one first.
    pub(crate) async fn stop(&mut self, deadline: Instant) {
        for (number, part) in self.parts.iter_mut().enumerate().rev() {
            if !self.board.is_up(number) {
                continue;
            }
            tracing::debug!(part = part.name(), "stopping");
            self.board.set(number, PartState::Stopping);
            part.stop(deadline).await;
            self.board.set(number, PartState::Stopped);
        }
    }
}

/// How the parts are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board(Arc<Mutex<Vec<Line>>>);

impl Board {
    /// How each of them is, in their order.
    pub(crate) fn read(&self) -> Vec<Line> {
        self.lines().clone()
    }

    fn lines(&self) -> MutexGuard<'_, Vec<Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, number: usize, state: PartState) {
        if let Some(line) = self.lines().get_mut(number) {
            line.state = state;
        }
    }

    fn is_up(&self, number: usize) -> bool {
        matches!(self.lines().get(number), Some(line) if matches!(line.state, PartState::Up(_)))
    }
}

/// How one part is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// What it is called.
    pub(crate) name: String,
    /// How it is.
    pub(crate) state: PartState,
}

/// Where a part is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PartState {
    /// It could not start, for this reason.
    Failed(String),
    /// It has stopped.
    Stopped,
    /// It finishes what it has begun.
    Stopping,
    /// It works, and says this of itself.
    Up(String),
    /// It has not started yet.
    Waiting,
}

impl fmt::Display for PartState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(why) => write!(f, "failed: {why}"),
            Self::Stopped => f.write_str("stopped"),
            Self::Stopping => f.write_str("stopping"),
            Self::Up(what) => f.write_str(what),
            Self::Waiting => f.write_str("waiting"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::time::Instant;

    use super::{Part, PartState, Parts, Work};
    use crate::exit::Failure;

    type Diary = Arc<Mutex<Vec<String>>>;

    struct Actor {
        name: &'static str,
        works: bool,
        diary: Diary,
    }

    impl Actor {
        fn note(&self, what: &str) {
            self.diary
                .lock()
                .unwrap()
                .push(format!("{what} {}", self.name));
        }
    }

    impl Part for Actor {
        fn name(&self) -> String {
            self.name.to_owned()
        }

        fn start(&mut self) -> Work<'_, Result<String, Failure>> {
            Box::pin(async {
                self.note("start");
                match self.works {
                    true => Ok(format!("{} works", self.name)),
                    false => Err(Failure::other("no luck")),
                }
            })
        }

        fn stop(&mut self, _: Instant) -> Work<'_, ()> {
            Box::pin(async { self.note("stop") })
        }
    }

    fn parts(works: [bool; 3]) -> (Parts, Diary) {
        let diary = Diary::default();
        let mut parts = Parts::new();
        for (name, works) in ["log", "hub", "door"].into_iter().zip(works) {
            let diary = diary.clone();
            parts.add(Actor { name, works, diary });
        }
        (parts, diary)
    }

    fn states(parts: &Parts) -> Vec<String> {
        let lines = parts.board().read();
        lines.iter().map(|line| line.state.to_string()).collect()
    }

    #[tokio::test]
    async fn parts_start_in_order_and_stop_in_reverse() {
        let (mut parts, diary) = parts([true; 3]);
        assert_eq!(states(&parts), ["waiting"; 3]);
        parts.start(Instant::now).await.unwrap();
        assert_eq!(states(&parts), ["log works", "hub works", "door works"]);
        parts.stop(Instant::now()).await;
        assert_eq!(states(&parts), ["stopped"; 3]);
        assert_eq!(
            *diary.lock().unwrap(),
            [
                "start log",
                "start hub",
                "start door",
                "stop door",
                "stop hub",
                "stop log"
            ]
        );
        parts.stop(Instant::now()).await;
        assert_eq!(diary.lock().unwrap().len(), 6, "stopped once");
    }

    #[tokio::test]
    async fn what_has_started_is_rolled_back_when_a_part_fails() {
        let (mut parts, diary) = parts([true, false, true]);
        let failure = parts.start(Instant::now).await.unwrap_err();
        assert_eq!(failure.message, "no luck");
        assert_eq!(
            *diary.lock().unwrap(),
            ["start log", "start hub", "stop log"]
        );
        let board = parts.board().read();
        let states: Vec<_> = board.into_iter().map(|line| line.state).collect();
        let failed = PartState::Failed("no luck".to_owned());
        assert_eq!(states, [PartState::Stopped, failed, PartState::Waiting]);
    }
}
