//! A host that stands alone: the core's rules, a gate, and whoever arrives in a queue.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use sente_core::admission::{
    Admission, Admitted, Gate, GateLimits, Incoming, Pass, Refusal, Request,
};
use sente_core::{Dialect, Instant, UserId};
use tokio::sync::mpsc;

use super::host::{Arrival, HttpHost};

/// An [`HttpHost`] of rules and limits, that hands out who arrives: for an application without a
/// [`Hub`](sente_core::Hub).
///
/// ```
/// use sente_core::admission::{Admission, CsrfCheck, GateLimits, Identity};
/// use sente_server::http::Door;
///
/// let (door, arrivals) = Door::new(Admission::new(CsrfCheck::cookie()), GateLimits::default());
/// let door = door.identify(async |incoming| {
///     // Here a database may be asked.
///     let user = incoming.request().cookie("session").map(|session| format!("user of {session}"));
///     match user {
///         Some(user) => Ok(incoming.accept(Identity::of(user.as_str()))),
///         None => Err(incoming.refuse(401, "Log in first")),
///     }
/// });
/// # let _ = (door, arrivals);
/// ```
pub struct Door {
    admission: Admission,
    gate: Arc<Mutex<Gate>>,
    identify: Option<Arc<Identify>>,
    began: std::time::Instant,
    arrivals: mpsc::UnboundedSender<Arrival<DoorPlace>>,
}

type Identify = dyn Fn(Incoming) -> Identifying + Send + Sync;
type Identifying = Pin<Box<dyn Future<Output = Result<Admitted, Refusal>> + Send>>;

impl Door {
    /// A door with these rules and limits, and those who come in by it. Sente's clients are asked
    /// for a client id in any case.
    #[must_use]
    pub fn new(admission: Admission, limits: GateLimits) -> (Self, Arrivals) {
        // Whoever is in the queue has a place, so the limits bound it.
        let (sender, receiver) = mpsc::unbounded_channel();
        let door = Self {
            admission,
            gate: Arc::new(Mutex::new(Gate::new(limits))),
            identify: None,
            began: std::time::Instant::now(),
            arrivals: sender,
        };
        (door, Arrivals(receiver))
    }

    /// Says who it is that passed the rules, and may take its time. Default: what the admission's
    /// `user_id` and `handshake_data` say.
    #[must_use]
    pub fn identify<F, R>(mut self, identify: F) -> Self
    where
        F: Fn(Incoming) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Admitted, Refusal>> + Send + 'static,
    {
        self.identify = Some(Arc::new(move |incoming| Box::pin(identify(incoming))));
        self
    }

    /// How many connections there are.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.gate
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .connections()
    }

    fn now(&self) -> Instant {
        Instant::EPOCH + self.began.elapsed()
    }
}

impl HttpHost for Door {
    type Place = DoorPlace;

    fn take_place(&self, remote: Option<&str>) -> Result<DoorPlace, Refusal> {
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        let pass = gate.enter(self.now(), remote)?;
        Ok(DoorPlace {
            gate: Arc::downgrade(&self.gate),
            pass: Some(pass),
        })
    }

    fn check(&self, request: Request, _: Dialect) -> Result<Incoming, Refusal> {
        self.admission.check(request)
    }

    async fn identify(&self, incoming: Incoming) -> Result<Admitted, Refusal> {
        match &self.identify {
            Some(identify) => identify(incoming).await,
            None => {
                let identity = self.admission.identify(&incoming);
                Ok(incoming.accept(identity))
            }
        }
    }

    fn name_user(&self, place: &mut DoorPlace, user: &UserId) -> Result<(), Refusal> {
        let Some(pass) = &mut place.pass else {
            return Ok(());
        };
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        gate.name_user(pass, user)
    }

    fn arrived(&self, arrival: Arrival<DoorPlace>) {
        // Where nobody takes arrivals any more they are closed.
        let _ = self.arrivals.send(arrival);
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door")
            .field("admission", &self.admission)
            .field("connections", &self.connections())
            .finish_non_exhaustive()
    }
}

/// Those who come in by a [`Door`].
#[derive(Debug)]
pub struct Arrivals(mpsc::UnboundedReceiver<Arrival<DoorPlace>>);

impl Arrivals {
    /// The next one; `None` once the door is gone.
    ///
    /// # Cancel safety
    /// Safe: nobody is lost.
    pub async fn next(&mut self) -> Option<Arrival<DoorPlace>> {
        self.0.recv().await
    }
}

/// The place of one connection in the count of a [`Door`]. Dropped, it is free again.
#[derive(Debug)]
pub struct DoorPlace {
    gate: Weak<Mutex<Gate>>,
    pass: Option<Pass>,
}

impl Drop for DoorPlace {
    fn drop(&mut self) {
        if let (Some(gate), Some(pass)) = (self.gate.upgrade(), self.pass.take()) {
            gate.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .leave(pass);
        }
    }
}
