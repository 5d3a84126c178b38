//! Several children of one command, kept running, and calls shared out among them.

mod event;
mod run;

use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sente_core::{Backoff, Event, Payload, SendError, SendOptions};
use thiserror::Error;
use tokio::sync::{Notify, mpsc, watch};

use crate::connect::ConnectOptions;
use crate::handle::{CallFailure, Handle};
use crate::line::{self, Unsent};
use crate::runtime::{Runtime, chosen, ready_or, sleep};
use crate::url::{Address, Url};

pub use event::{ChildId, SupervisorEvent, SupervisorEvents};

/// How many events wait for the application until children have to wait with theirs.
const EVENTS: usize = 1024;

/// How children are kept.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SupervisorOptions {
    /// How many. Default 1.
    pub children: NonZeroUsize,
    /// Which ends are followed by another start. Default [`Restart::Always`].
    pub restart: Restart,
    /// How long to wait before a start that follows a failure, and after how many failures in a row
    /// a child is given up; one that ran for `stable_for` begins anew. Default
    /// [`Backoff::default`]: for ever.
    pub backoff: Backoff,
    /// How each child is started and spoken to. `stderr` is the supervisor's: lines come as
    /// [`SupervisorEvent::Stderr`].
    pub connect: ConnectOptions,
}

impl Default for SupervisorOptions {
    fn default() -> Self {
        Self {
            children: NonZeroUsize::MIN,
            restart: Restart::Always,
            backoff: Backoff::default(),
            connect: ConnectOptions::default(),
        }
    }
}

/// Which ends of a child are followed by another start. One that cannot be started counts as failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Restart {
    /// All.
    #[default]
    Always,
    /// All but an exit with status 0.
    OnFailure,
    /// None.
    Never,
}

/// Keeps children of one command running, and gives each call to the one with the fewest under way.
/// Clones are cheap and mean the same children.
///
/// When the last clone is dropped, the children are ended in order, as by [`stop`](Self::stop).
///
/// ```no_run
/// use std::num::NonZeroUsize;
/// use std::time::Duration;
/// use sente_adapters::{Supervisor, SupervisorOptions};
/// use sente_core::{Event, EventId};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mut options = SupervisorOptions::default();
/// options.children = NonZeroUsize::new(4).unwrap();
/// let url = "exec:python3 tests/peers/echo.py".parse()?;
/// let (supervisor, mut events) = Supervisor::start(&url, options)?;
/// let event = Event::new(EventId::new("test/echo")?, "hello");
/// let reply = supervisor.call(event, Duration::from_secs(5)).await?;
/// supervisor.stop().await;
/// while let Some(event) = events.next().await {
///     println!("{event}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Supervisor {
    shared: Arc<Shared>,
    _owner: Arc<Owner>,
}

impl Supervisor {
    /// Starts the children of an `exec:` URL, each on a task of its own. A child that cannot be
    /// started is told of by [`SupervisorEvent::StartFailed`].
    ///
    /// # Errors
    /// [`SupervisorError`].
    pub fn start(
        url: &Url,
        options: SupervisorOptions,
    ) -> Result<(Self, SupervisorEvents), SupervisorError> {
        if !matches!(url.address, Address::Exec(_)) {
            return Err(SupervisorError::NotACommand(url.to_string()));
        }
        let runtime = chosen(options.connect.runtime.as_ref()).map_err(SupervisorError::Runtime)?;
        let (sender, events) = mpsc::channel(EVENTS);
        let slots = (0..options.children.get()).map(|_| Slot::default());
        let shared = Arc::new(Shared {
            slots: slots.collect(),
            changed: Notify::new(),
            running: watch::Sender::new(0),
            stopping: watch::Sender::new(false),
            runtime: runtime.clone(),
        });
        let options = Arc::new(options);
        for number in 0..shared.slots.len() {
            let child = run::Child {
                id: ChildId(number),
                url: url.clone(),
                options: options.clone(),
                shared: shared.clone(),
                events: sender.clone(),
            };
            runtime.spawn(Box::pin(child.run()));
        }
        let supervisor = Self {
            _owner: Arc::new(Owner(shared.clone())),
            shared,
        };
        Ok((supervisor, SupervisorEvents(events)))
    }

    /// Calls the child with the fewest calls under way, and waits for its reply; while no child
    /// runs, for one that does. All of it takes `timeout` at most.
    ///
    /// # Errors
    /// [`SupervisedCallError`]. A call whose child ends is not given to another: it may have been
    /// carried out.
    ///
    /// # Cancel safety
    /// As for [`Handle::call`].
    pub async fn call(
        &self,
        event: Event,
        timeout: Duration,
    ) -> Result<Payload, SupervisedCallError> {
        let (handle, left, _under_way) = self.pick(timeout).await?;
        Ok(handle.call(event, left).await?)
    }

    /// Sends to the child with the fewest calls under way, waiting for room; while no child runs,
    /// for one that does. All of it takes `within` at most.
    ///
    /// # Errors
    /// [`SupervisedSendError`], each with the event.
    ///
    /// # Cancel safety
    /// As for [`Handle::send`].
    pub async fn send(&self, event: Event, within: Duration) -> Result<(), SupervisedSendError> {
        let (handle, left, _under_way) = match self.pick(within).await {
            Ok(picked) => picked,
            Err(reason) => {
                return Err(SupervisedSendError::NoChild {
                    event: Box::new(event),
                    reason,
                });
            }
        };
        let late = sleep(&*self.shared.runtime, left);
        match line::send_or(&handle, event, SendOptions::new(), late).await {
            Ok(_) => Ok(()),
            Err(Unsent::Refused(error)) => Err(error.into()),
            Err(Unsent::Late((), event)) => Err(SupervisedSendError::Timeout { event }),
        }
    }

    /// The handle of a child, while it runs.
    #[must_use]
    pub fn handle(&self, child: ChildId) -> Option<Handle> {
        let slot = self.shared.slots.get(child.0)?;
        slot.lock().clone()
    }

    /// The children, whether they run or not.
    pub fn children(&self) -> impl Iterator<Item = ChildId> + use<> {
        (0..self.shared.slots.len()).map(ChildId)
    }

    /// How many children run, as it changes.
    #[must_use]
    pub fn running(&self) -> watch::Receiver<usize> {
        self.shared.running.subscribe()
    }

    /// Ends all children: each finishes what it has begun, within the time after which a child is
    /// killed ([`ChildOptions::kill_grace`](crate::ChildOptions::kill_grace)), and is not started
    /// again. Comes when all have been waited for.
    ///
    /// # Cancel safety
    /// Safe: the children end all the same.
    pub async fn stop(&self) {
        self.shared.stop();
        let mut running = self.shared.running.subscribe();
        // The sender lives in `shared`.
        let _ = running.wait_for(|running| *running == 0).await;
    }

    /// The open child with the fewest calls under way, and what is left of `within`.
    async fn pick(&self, within: Duration) -> Result<(Handle, Duration, UnderWay), NoChild> {
        let shared = &self.shared;
        let begun = shared.runtime.now();
        let wait = async {
            loop {
                let mut changed = std::pin::pin!(shared.changed.notified());
                changed.as_mut().enable();
                if let Some(picked) = shared.least() {
                    return Ok(picked);
                }
                if *shared.stopping.borrow() {
                    return Err(NoChild::Stopped);
                }
                if shared.all_gave_up() {
                    return Err(NoChild::GaveUp);
                }
                changed.await;
            }
        };
        let picked = ready_or(wait, sleep(&*shared.runtime, within)).await;
        let (handle, under_way) = picked.unwrap_or(Err(NoChild::NotInTime))?;
        let spent = shared.runtime.now().saturating_duration_since(begun);
        Ok((handle, within.saturating_sub(spent), under_way))
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor")
            .field("children", &self.shared.slots.len())
            .field("running", &*self.shared.running.borrow())
            .finish_non_exhaustive()
    }
}

/// Why there are no children to keep.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SupervisorError {
    /// The URL names no command.
    #[error("only commands can be supervised: {0} is no exec: URL")]
    NotACommand(String),
    /// No runtime was named, and the caller is on none.
    #[error(transparent)]
    Runtime(io::Error),
}

/// Why a call of some child has no reply.
#[derive(Clone, Debug, Error)]
#[expect(clippy::exhaustive_enums, reason = "a child was called, or none")]
pub enum SupervisedCallError {
    /// The child that was called gave none.
    #[error(transparent)]
    Call(#[from] CallFailure),
    /// None was called.
    #[error(transparent)]
    NoChild(#[from] NoChild),
}

/// Why an event was sent to no child.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum SupervisedSendError {
    /// There is none.
    #[error("{reason}")]
    #[non_exhaustive]
    NoChild {
        /// The event.
        event: Box<Event>,
        /// Why.
        reason: NoChild,
    },
    /// The child did not take it; the event is in the error.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The child's queue had no room for it in time, or its send rate did not allow it.
    #[error("the child had no room for the event in time")]
    #[non_exhaustive]
    Timeout {
        /// The event.
        event: Box<Event>,
    },
}

/// Why no child could be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NoChild {
    /// Every child was given up.
    #[error("no child runs, and none will be started again")]
    GaveUp,
    /// None ran in time.
    #[error("no child ran in time")]
    NotInTime,
    /// The supervisor was stopped.
    #[error("the supervisor was stopped")]
    Stopped,
}

struct Shared {
    slots: Box<[Slot]>,
    /// A child runs now that did not, or will never run again.
    changed: Notify,
    running: watch::Sender<usize>,
    stopping: watch::Sender<bool>,
    runtime: Arc<dyn Runtime>,
}

/// One child's place.
#[derive(Default)]
struct Slot {
    /// While it is open.
    handle: Mutex<Option<Handle>>,
    /// Calls and sends under way.
    under_way: Arc<AtomicUsize>,
    /// Whether it will never run again.
    over: std::sync::atomic::AtomicBool,
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Option<Handle>> {
        self.handle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn least(&self) -> Option<(Handle, UnderWay)> {
        let open = self.slots.iter().filter_map(|slot| {
            let handle = slot.lock().clone()?;
            Some((slot.under_way.load(Ordering::Relaxed), handle, slot))
        });
        let (_, handle, slot) = open.min_by_key(|(under_way, ..)| *under_way)?;
        Some((handle, UnderWay::begin(&slot.under_way)))
    }

    fn all_gave_up(&self) -> bool {
        let mut slots = self.slots.iter();
        slots.all(|slot| slot.over.load(Ordering::Relaxed))
    }

    fn stop(&self) {
        self.stopping.send_replace(true);
        self.changed.notify_waiters();
    }
}

/// Counts what is under way with a child.
struct UnderWay(Arc<AtomicUsize>);

impl UnderWay {
    fn begin(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Ends the children of which nobody holds the supervisor any more.
struct Owner(Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.stop();
    }
}
