//! Timers on tokio: one of its own for each that comes soon, one for many of those that come late.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::{AbortHandle, yield_now};
use tokio::time::{Instant, Sleep, sleep_until};

use super::Timer;

/// From so many timers on those that come late wait together. With fewer the rounds would take more
/// memory than they save.
const MANY: usize = 256;

/// Those that come within so long after each other wait in one round.
const ROUND: Duration = Duration::from_millis(500);

/// What comes sooner than this does not wait in a round.
const SOON: Duration = Duration::from_secs(2);

/// So many are woken in a row before others of the runtime have a turn.
const IN_A_ROW: usize = 64;

/// The timers of one runtime. Most connections are quiet, and wait for nothing but the next look of
/// their keepalive, seconds from now. A timer of tokio's for each would be a tenth of what such a
/// connection keeps. So they wait in rounds: all that come within half a second are woken together
/// at its beginning, and then wait alone for the rest of their time, to the millisecond.
pub(super) struct Timers {
    runtime: Handle,
    /// What the rounds are counted from.
    began: Instant,
    rounds: Mutex<BTreeMap<u128, Weak<Round>>>,
}

impl Timers {
    pub(super) fn new(runtime: Handle) -> Self {
        Self {
            runtime,
            began: Instant::now(),
            rounds: Mutex::new(BTreeMap::new()),
        }
    }

    pub(super) const fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// The round of `at`, which begins no later, if it is worth to wait in one.
    fn round_of(self: &Arc<Self>, at: Instant) -> Option<Arc<Round>> {
        if Arc::strong_count(self) < MANY {
            return None;
        }
        let since = at.saturating_duration_since(self.began);
        let number = since.as_nanos().checked_div(ROUND.as_nanos())?;
        let rounds = u32::try_from(number).ok()?;
        let begins = self.began.checked_add(ROUND.checked_mul(rounds)?)?;
        if begins < Instant::now().checked_add(SOON)? {
            return None;
        }
        let mut rounds = lock(&self.rounds);
        if let Some(round) = rounds.get(&number).and_then(Weak::upgrade) {
            return Some(round);
        }
        let round = Arc::new(Round {
            timers: self.clone(),
            number,
            begins,
            waiting: Mutex::new(Some(Vec::new())),
            task: OnceLock::new(),
        });
        let task = self.runtime.spawn(begin(begins, Arc::downgrade(&round)));
        // It is set once.
        let _ = round.task.set(task.abort_handle());
        rounds.insert(number, Arc::downgrade(&round));
        Some(round)
    }
}

impl fmt::Debug for Timers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.runtime.fmt(f)
    }
}

/// Timers that are woken together, before their time comes.
struct Round {
    timers: Arc<Timers>,
    number: u128,
    begins: Instant,
    /// Whom it wakes, by their places; `None` once it has begun.
    waiting: Mutex<Option<Vec<Option<Waker>>>>,
    task: OnceLock<AbortHandle>,
}

impl Round {
    /// A place in it, unless it has begun.
    fn join(&self, waker: &Waker) -> Option<u32> {
        let mut waiting = lock(&self.waiting);
        let waiting = waiting.as_mut()?;
        let place = u32::try_from(waiting.len()).ok()?;
        if waiting.len() == waiting.capacity() {
            // A quarter more, not as much again: it is kept for seconds.
            waiting.reserve_exact((waiting.len() / 4).max(4));
        }
        waiting.push(Some(waker.clone()));
        Some(place)
    }

    /// Has the place wake this one, unless the round has begun. Whether it will.
    fn stay(&self, place: u32, waker: &Waker) -> bool {
        let mut waiting = lock(&self.waiting);
        let places = waiting.as_mut().zip(usize::try_from(place).ok());
        match places.and_then(|(waiting, place)| waiting.get_mut(place)?.as_mut()) {
            Some(known) => {
                known.clone_from(waker);
                true
            }
            None => false,
        }
    }

    fn leave(&self, place: u32) {
        let mut waiting = lock(&self.waiting);
        let places = waiting.as_mut().zip(usize::try_from(place).ok());
        let left = places.and_then(|(waiting, place)| waiting.get_mut(place)?.take());
        drop(waiting);
        drop(left);
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
        let mut rounds = lock(&self.timers.rounds);
        // Another may have its number by now.
        if rounds
            .get(&self.number)
            .is_some_and(|it| it.strong_count() == 0)
        {
            rounds.remove(&self.number);
        }
    }
}

/// Wakes all who wait in a round when it begins, if anybody does by then.
async fn begin(at: Instant, round: Weak<Round>) {
    sleep_until(at).await;
    let waiting = round
        .upgrade()
        .and_then(|round| lock(&round.waiting).take());
    let wakers = waiting.into_iter().flatten().flatten();
    for (number, waker) in wakers.enumerate() {
        waker.wake();
        if number % IN_A_ROW == IN_A_ROW - 1 {
            yield_now().await;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One timer.
pub(crate) struct TokioTimer {
    timers: Arc<Timers>,
    waits: Waits,
}

/// How a timer waits.
enum Waits {
    Not,
    /// Moved where its time changes.
    Alone(Pin<Box<Sleep>>),
    /// At this place of a round.
    Together(Arc<Round>, u32),
}

impl TokioTimer {
    pub(super) const fn new(timers: Arc<Timers>) -> Self {
        Self {
            timers,
            waits: Waits::Not,
        }
    }
}

impl Timer for TokioTimer {
    fn poll_until(&mut self, cx: &mut Context<'_>, at: std::time::Instant) -> Poll<()> {
        let at = Instant::from_std(at);
        // A round that comes too early is left as it is: its timer is looked at then.
        if let Waits::Together(round, place) = &self.waits
            && round.begins <= at
            && round.stay(*place, cx.waker())
        {
            return Poll::Pending;
        }
        if let Some(round) = self.timers.round_of(at)
            && let Some(place) = round.join(cx.waker())
        {
            self.waits.end();
            self.waits = Waits::Together(round, place);
            return Poll::Pending;
        }
        if let Waits::Alone(sleep) = &mut self.waits {
            if sleep.deadline() != at {
                sleep.as_mut().reset(at);
            }
            return sleep.as_mut().poll(cx);
        }
        self.waits.end();
        let mut sleep = {
            let _entered = self.timers.runtime.enter();
            Box::pin(sleep_until(at))
        };
        let polled = sleep.as_mut().poll(cx);
        self.waits = Waits::Alone(sleep);
        polled
    }
}

impl Waits {
    /// Waits no longer.
    fn end(&mut self) {
        if let Self::Together(round, place) = std::mem::replace(self, Self::Not) {
            round.leave(place);
        }
    }
}

impl Drop for TokioTimer {
    fn drop(&mut self) {
        self.waits.end();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::task::JoinSet;

    use super::*;

    fn many() -> (Arc<Timers>, Vec<TokioTimer>) {
        let timers = Arc::new(Timers::new(Handle::current()));
        let others = (0..MANY).map(|_| TokioTimer::new(timers.clone()));
        let others = others.collect();
        (timers, others)
    }

    async fn until(timer: &mut TokioTimer, at: Instant) {
        // As the driver: it looks at the clock when it is woken, and waits again.
        let at = at.into_std();
        poll_fn(|cx| timer.poll_until(cx, at)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_together_is_woken_to_the_millisecond() {
        let (timers, _others) = many();
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for number in 0..500_u64 {
            let mut timer = TokioTimer::new(timers.clone());
            tasks.spawn(async move {
                let at = began + Duration::from_millis(20_000 + 7 * number);
                until(&mut timer, at).await;
                (at, Instant::now())
            });
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(lock(&timers.rounds).len(), 7);
        while let Some(woken) = tasks.join_next().await {
            let (at, now) = woken.unwrap();
            assert!(
                now >= at && now - at <= Duration::from_millis(1),
                "{at:?} {now:?}"
            );
        }
        assert!(lock(&timers.rounds).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_round_that_nobody_waits_in_leaves_no_task() {
        let (timers, mut others) = many();
        let before = Handle::current().metrics().num_alive_tasks();
        let at = (Instant::now() + Duration::from_secs(20)).into_std();
        poll_fn(|cx| {
            for timer in &mut others {
                assert!(timer.poll_until(cx, at).is_pending());
            }
            Poll::Ready(())
        })
        .await;
        assert_eq!(Handle::current().metrics().num_alive_tasks(), before + 1);
        drop(others);
        yield_now().await;
        assert_eq!(Handle::current().metrics().num_alive_tasks(), before);
        assert!(lock(&timers.rounds).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_that_comes_sooner_than_before_is_kept() {
        let (timers, _others) = many();
        let began = Instant::now();
        let mut timer = TokioTimer::new(timers);
        let late = (began + Duration::from_secs(60)).into_std();
        poll_fn(|cx| {
            assert!(timer.poll_until(cx, late).is_pending());
            Poll::Ready(())
        })
        .await;
        let soon = began + Duration::from_millis(30);
        until(&mut timer, soon).await;
        assert_eq!(Instant::now(), soon);
    }
}
