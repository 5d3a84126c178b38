//! Handlers that are async functions: what they take is read out of the event, what they return is
//! the answer.

mod answer;
mod connection;
mod context;
mod extract;
mod handler;
mod serving;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use sente_core::{EventId, EventIdError};
use thiserror::Error;

pub use answer::{Answer, IntoAnswer, NoReply, Typed};
pub use connection::AnyHandle;
pub use context::Context;
pub use extract::{Data, Extension, FromContext, MissingExtension, NotOfThisType, State};
pub use handler::{Handler, Outcome};
pub use serving::{HandlerFailure, Routed, Serving};

use handler::{Erased, Route};

/// Which handler an event is for, and the state that all of them share. One router serves any
/// number of connections, whatever carries them: clones are cheap and mean the same.
///
/// An event goes to the handler of its id, else to that of its namespace, else to the
/// [`fallback`](Self::fallback): one handler sees it. For handlers that come and go, or several for
/// one event, there is the [`Dispatcher`](crate::Dispatcher).
///
/// A handler is an async function. Its arguments are extractors ([`FromContext`]); what it returns
/// answers the call ([`IntoAnswer`]), or, where nobody waits for an answer and it is an event, is
/// sent. A handler that fails or panics costs its caller nothing but this call, which fails at once.
///
/// ```no_run
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use std::sync::Arc;
/// use sente_adapters::{ConnectOptions, Data, Router, State, Typed, connect};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Deserialize)]
/// struct Add {
///     amount: u64,
/// }
///
/// #[derive(Serialize)]
/// struct Total {
///     total: u64,
/// }
///
/// async fn add(Data(add): Data<Add>, State(total): State<Arc<AtomicU64>>) -> Typed<Total> {
///     let before = total.fetch_add(add.amount, Ordering::Relaxed);
///     Typed(Total { total: before + add.amount })
/// }
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let router = Router::with_state(Arc::new(AtomicU64::new(0))).on("counter/add", add)?;
/// let (_, events) = connect(&"stdio:".parse()?, &ConnectOptions::default()).await?;
/// router.serve(events).run().await;
/// # Ok(())
/// # }
/// ```
pub struct Router<S = ()> {
    routes: Arc<Routes<S>>,
}

impl Router {
    /// No handlers yet, and no state.
    #[must_use]
    pub fn new() -> Self {
        Self::with_state(())
    }
}

impl Default for Router {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Clone + Send + Sync + 'static> Router<S> {
    /// No handlers yet, for handlers that share `state`. Each call of one gets a clone.
    #[must_use]
    pub fn with_state(state: S) -> Self {
        let routes = Routes {
            state,
            by_id: HashMap::new(),
            by_namespace: HashMap::new(),
            fallback: None,
        };
        Self {
            routes: Arc::new(routes),
        }
    }

    /// Has `handler` take the events of this id, such as `"chat/say"`.
    ///
    /// # Errors
    /// [`RouteError`]: it is no event id, or has a handler already.
    pub fn on<T: 'static>(
        mut self,
        event: &str,
        handler: impl Handler<T, S>,
    ) -> Result<Self, RouteError> {
        let id = EventId::new(event)?;
        let routes = self.routes_mut();
        if routes.by_id.contains_key(&id) {
            return Err(RouteError::Twice(event.to_owned()));
        }
        routes.by_id.insert(id, Erased::new(handler));
        Ok(self)
    }

    /// Has `handler` take the events of this namespace that have no handler of their own.
    ///
    /// # Errors
    /// [`RouteError::Twice`] if it has a handler already.
    pub fn on_namespace<T: 'static>(
        mut self,
        namespace: &str,
        handler: impl Handler<T, S>,
    ) -> Result<Self, RouteError> {
        let routes = self.routes_mut();
        if routes.by_namespace.contains_key(namespace) {
            return Err(RouteError::Twice(namespace.to_owned()));
        }
        let handler = Erased::new(handler);
        routes.by_namespace.insert(namespace.to_owned(), handler);
        Ok(self)
    }

    /// Has `handler` take the events that no other takes. Without one a call that is for nobody
    /// fails at once, and [`Serving::next`] gives out other events.
    #[must_use]
    pub fn fallback<T: 'static>(mut self, handler: impl Handler<T, S>) -> Self {
        self.routes_mut().fallback = Some(Erased::new(handler));
        self
    }

    /// The state all handlers share.
    #[must_use]
    pub fn state(&self) -> &S {
        &self.routes.state
    }

    /// Calls the handler that `context` is for. The future ends when the handler is done and has been
    /// answered for. `None` if there is no handler; whoever called was told that the call failed.
    ///
    /// For servers that read the events themselves; [`serve`](Self::serve) does it for one
    /// connection.
    ///
    /// # Errors
    /// The future's: what went wrong in the handler.
    ///
    /// # Cancel safety
    /// Dropped, the handler is dropped where it stands, and its caller told that the call failed.
    pub fn call(
        &self,
        context: Context<S>,
    ) -> Option<impl Future<Output = Result<(), HandlerFailure>> + Send + use<S>> {
        let handler = self.routes.find(&context.event().id)?;
        Some(serving::call(handler, context))
    }

    /// Whether there is a handler for events of this id.
    #[must_use]
    pub fn handles(&self, id: &EventId) -> bool {
        self.routes.find(id).is_some()
    }

    fn routes_mut(&mut self) -> &mut Routes<S> {
        Arc::make_mut(&mut self.routes)
    }
}

impl<S> Clone for Router<S> {
    fn clone(&self) -> Self {
        Self {
            routes: self.routes.clone(),
        }
    }
}

impl<S> fmt::Debug for Router<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router")
            .field("events", &self.routes.by_id.keys())
            .field("namespaces", &self.routes.by_namespace.keys())
            .field("fallback", &self.routes.fallback.is_some())
            .finish_non_exhaustive()
    }
}

/// Why a handler cannot be registered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RouteError {
    /// What it is for cannot name an event.
    #[error(transparent)]
    Id(#[from] EventIdError),
    /// There is one already: one handler sees an event.
    #[error("{0} has a handler already: register each event and each namespace once")]
    Twice(String),
}

#[derive(Clone)]
struct Routes<S> {
    state: S,
    by_id: HashMap<EventId, Route<S>>,
    by_namespace: HashMap<String, Route<S>>,
    fallback: Option<Route<S>>,
}

impl<S> Routes<S> {
    fn find(&self, id: &EventId) -> Option<Route<S>> {
        let own = self.by_id.get(id);
        own.or_else(|| self.by_namespace.get(id.namespace()))
            .or(self.fallback.as_ref())
            .cloned()
    }
}
