//! Small futures over any runtime.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::Runtime;

/// Comes at `at`.
pub(crate) async fn sleep_until(runtime: &dyn Runtime, at: Instant) {
    let mut timer = runtime.timer();
    poll_fn(|cx| timer.poll_until(cx, at)).await;
}

/// Comes after `pause`.
pub(crate) async fn sleep(runtime: &dyn Runtime, pause: Duration) {
    sleep_until(runtime, after(runtime, pause)).await;
}

/// What `work` gives; `None` if it takes longer than `within`.
pub(crate) async fn timeout<T>(
    runtime: &dyn Runtime,
    within: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    ready_or(work, sleep(runtime, within)).await
}

/// What `work` gives; `None` if `end` comes first.
pub(crate) async fn ready_or<T>(
    work: impl Future<Output = T>,
    end: impl Future<Output = ()>,
) -> Option<T> {
    match either(work, end).await {
        Either::First(done) => Some(done),
        Either::Second(()) => None,
    }
}

/// Which of two came.
pub(crate) enum Either<A, B> {
    First(A),
    Second(B),
}

/// What comes first of two; `first` where both have come.
pub(crate) async fn either<A, B>(
    first: impl Future<Output = A>,
    second: impl Future<Output = B>,
) -> Either<A, B> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    poll_fn(|cx| match first.as_mut().poll(cx) {
        Poll::Ready(first) => Poll::Ready(Either::First(first)),
        Poll::Pending => second.as_mut().poll(cx).map(Either::Second),
    })
    .await
}

/// Comes after others of the runtime have had a turn.
pub(crate) async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The time `pause` from now; a far one where that overflows.
fn after(runtime: &dyn Runtime, pause: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(365 * 24 * 3600);
    let now = runtime.now();
    now.checked_add(pause.min(FAR)).unwrap_or(now)
}
