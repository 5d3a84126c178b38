//! A runtime with one thread, a clock of its own, and an order of everything that follows from a
//! seed.

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use sente_adapters::{Descriptor, Runtime, Timer};
use sente_tests::world::Rng;

/// After so many polls a simulation counts as one that never ends.
const MAX_POLLS: usize = 1_000_000;

/// The executor. Clones mean the same one.
///
/// It may be as strict as the contract of [`Waker`] allows: of a task, only the waker of its last
/// poll counts. What wakes the others, or nobody, stands still. Or a task has one waker all its life,
/// as with most executors.
#[derive(Clone)]
pub(crate) struct Sim {
    state: Arc<Mutex<State>>,
    began: Instant,
}

/// What a task comes to.
pub(crate) type Joined<T> = Pin<Box<dyn Future<Output = T> + Send>>;

type BoxFuture = Joined<()>;

struct State {
    rng: Rng,
    now: Duration,
    /// Whether tasks are also polled when nobody woke them.
    is_nervous: bool,
    is_strict: bool,
    tasks: BTreeMap<usize, Slot>,
    next_task: usize,
    timers: BTreeMap<usize, (Instant, Waker)>,
    next_timer: usize,
    next_group: usize,
    polls: usize,
}

struct Slot {
    /// `None` while it is polled.
    future: Option<BoxFuture>,
    group: usize,
    /// Counts its wakers.
    generation: u64,
    waker: Option<Waker>,
    is_ready: bool,
}

impl Sim {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let is_nervous = rng.one_in(3);
        let is_strict = rng.one_in(2);
        Self {
            state: Arc::new(Mutex::new(State {
                rng,
                now: Duration::ZERO,
                is_nervous,
                is_strict,
                tasks: BTreeMap::new(),
                next_task: 0,
                timers: BTreeMap::new(),
                next_timer: 0,
                next_group: 0,
                polls: 0,
            })),
            began: Instant::now(),
        }
    }

    /// Something left to chance.
    pub(crate) fn chance<T>(&self, choose: impl FnOnce(&mut Rng) -> T) -> T {
        choose(&mut self.lock().rng)
    }

    /// How much time has passed. None does while anything can be done.
    pub(crate) fn passed(&self) -> Duration {
        self.lock().now
    }

    /// A runtime whose tasks can be killed together.
    pub(crate) fn group(&self) -> Group {
        let mut state = self.lock();
        state.next_group += 1;
        Group {
            sim: self.clone(),
            group: state.next_group,
        }
    }

    /// Runs `work` on a task of its own. What it comes to, once it is awaited.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Joined<T> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let task = async move {
            let _ = sender.send(work.await);
        };
        self.add(0, Box::pin(task));
        Box::pin(async move { receiver.await.expect("the task is not killed") })
    }

    /// Runs everything until `work` is done, and then what it has left behind, which is given
    /// `within` to end.
    pub(crate) fn run(&self, work: impl Future<Output = ()> + Send + 'static, within: Duration) {
        let main = self.add(0, Box::pin(work));
        while self.lock().tasks.contains_key(&main) {
            assert!(self.step(), "nothing moves, and nothing is waited for");
        }
        let until = self.passed() + within;
        while !self.lock().tasks.is_empty() {
            assert!(self.step(), "what is left behind never ends");
            assert!(self.passed() <= until, "what is left behind takes too long");
        }
    }

    /// Lets others go first, some times.
    pub(crate) async fn rest(&self, times: usize) {
        let mut left = times;
        poll_fn(|cx| {
            if left == 0 {
                return Poll::Ready(());
            }
            left -= 1;
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    fn add(&self, group: usize, future: BoxFuture) -> usize {
        let mut state = self.lock();
        let task = state.next_task;
        state.next_task += 1;
        let slot = Slot {
            future: Some(future),
            group,
            generation: 0,
            waker: None,
            is_ready: true,
        };
        state.tasks.insert(task, slot);
        task
    }

    /// Polls a task; where none is ready, lets the next timer come. Whether there was either.
    fn step(&self) -> bool {
        let mut state = self.lock();
        state.polls += 1;
        assert!(state.polls < MAX_POLLS, "it goes on and on");
        let is_nervous = state.is_nervous && state.rng.one_in(8);
        let ready: Vec<usize> = state
            .tasks
            .iter()
            .filter(|(_, slot)| slot.future.is_some() && (slot.is_ready || is_nervous))
            .map(|(task, _)| *task)
            .collect();
        let is_idle = !state.tasks.values().any(|slot| slot.is_ready);
        if is_idle {
            let due = state.timers.values().map(|(at, _)| *at).min();
            let Some(due) = due else { return false };
            state.now = state.now.max(due.saturating_duration_since(self.began));
            let come: Vec<usize> = state
                .timers
                .iter()
                .filter(|(_, (at, _))| *at <= due)
                .map(|(timer, _)| *timer)
                .collect();
            let wakers: Vec<Waker> = come
                .iter()
                .filter_map(|timer| state.timers.remove(timer))
                .map(|(_, waker)| waker)
                .collect();
            drop(state);
            wakers.into_iter().for_each(Waker::wake);
            return true;
        }
        let task = state.rng.pick(&ready);
        let is_strict = state.is_strict;
        let slot = state.tasks.get_mut(&task).expect("it is ready");
        let mut future = slot.future.take().expect("it is not polled");
        slot.is_ready = false;
        let waker = match slot.waker.take() {
            Some(waker) if !is_strict => waker,
            _ => {
                slot.generation += 1;
                Waker::from(Arc::new(TaskWaker {
                    state: self.state.clone(),
                    task,
                    generation: slot.generation,
                }))
            }
        };
        slot.waker = Some(waker.clone());
        drop(state);
        let is_done = future
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_ready();
        let mut state = self.lock();
        // It may have been killed meanwhile.
        let slot = state.tasks.get_mut(&task);
        match slot {
            Some(slot) if !is_done => slot.future = Some(future),
            _ => {
                state.tasks.remove(&task);
                drop(state);
                drop(future);
            }
        }
        true
    }

    fn new_timer(&self) -> SimTimer {
        let mut state = self.lock();
        state.next_timer += 1;
        SimTimer {
            sim: self.clone(),
            id: state.next_timer,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

struct TaskWaker {
    state: Arc<Mutex<State>>,
    task: usize,
    generation: u64,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        let mut state = self.state.lock().unwrap();
        if let Some(slot) = state.tasks.get_mut(&self.task) {
            slot.is_ready |= slot.generation == self.generation;
        }
    }
}

/// The simulation as a runtime.
#[derive(Clone)]
pub(crate) struct Group {
    sim: Sim,
    group: usize,
}

impl Group {
    /// Drops the tasks where they stand, as if their process had been killed.
    pub(crate) fn kill(&self) {
        let mut state = self.sim.lock();
        let dead: Vec<usize> = state
            .tasks
            .iter()
            .filter(|(_, slot)| slot.group == self.group)
            .map(|(task, _)| *task)
            .collect();
        let dead: Vec<_> = dead
            .iter()
            .filter_map(|task| state.tasks.remove(task))
            .collect();
        drop(state);
        drop(dead);
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").finish_non_exhaustive()
    }
}

impl Runtime for Group {
    fn spawn(&self, task: BoxFuture) {
        self.sim.add(self.group, task);
    }

    fn timer(&self) -> Box<dyn Timer> {
        Box::new(self.sim.new_timer())
    }

    fn watch(&self, _: OwnedFd) -> io::Result<Box<dyn Descriptor>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn now(&self) -> Instant {
        self.sim.began + self.sim.passed()
    }
}

struct SimTimer {
    sim: Sim,
    id: usize,
}

impl Timer for SimTimer {
    fn poll_until(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        let mut state = self.sim.lock();
        if self.sim.began + state.now >= at {
            state.timers.remove(&self.id);
            return Poll::Ready(());
        }
        state.timers.insert(self.id, (at, cx.waker().clone()));
        Poll::Pending
    }
}

impl Drop for SimTimer {
    fn drop(&mut self) {
        let timer = self.sim.lock().timers.remove(&self.id);
        drop(timer);
    }
}
