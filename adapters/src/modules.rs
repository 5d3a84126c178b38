//! Modules on a running connection or client.

use std::time::Duration;

use sente_core::ajax::AjaxSession;
use sente_core::packer::PackError;
use sente_core::{
    CallId, ConnId, Connection, Event, Instant, Module, Modules, Outbox, Payload, Published,
    ReplyError, ReplyToken, SendError, SendOptions, Sent, Target,
};

use crate::engine::Engine;
use crate::events::Events;
use crate::handle::Handle;
use crate::runtime::{Either, either};
use crate::shared::Waiter;

/// [`Modules`] on a connection or, as `Attached<E, Client>`, on a client that comes back: from
/// [`Events::attach`].
///
/// Nothing runs behind it. The modules get their messages, their time and word of their peer while
/// [`next`](Self::next) is awaited and at no other time, on the task that awaits it; what they queue
/// is written by the driver, as always. Not awaiting it is backpressure, as with [`Events`].
///
/// ```no_run
/// use sente_adapters::{ClientEvents, Told};
/// use sente_core::{Module, Modules};
///
/// # async fn example<M: Module + Send + 'static>(events: ClientEvents, module: M)
/// # -> Result<(), Box<dyn std::error::Error>> where M::Event: std::fmt::Debug {
/// let mut modules = Modules::<M::Event>::new();
/// modules.add(module)?;
/// let mut attached = events.attach(modules);
/// while let Some(told) = attached.next().await {
///     match told {
///         Told::Event(event) => println!("not for the module: {event:?}"),
///         Told::Module(event) => println!("the module says: {event:?}"),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "modules do nothing unless `next` is awaited"]
pub struct Attached<E, M: Engine = Connection> {
    events: Events<M>,
    modules: Modules<E>,
    user: Option<String>,
}

/// What comes of modules that are attached.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "it is a module's or it is not")]
pub enum Told<E, O> {
    /// What is not for the modules, and what others should see, too: every event but the messages
    /// of their namespaces and the ends of their calls.
    Event(O),
    /// What a module tells.
    Module(E),
}

impl<M: Engine> Events<M> {
    /// Attaches modules. Do it before the first event is taken: a peer of which they were not told
    /// that it opened is not there for them.
    pub fn attach<E>(self, modules: Modules<E>) -> Attached<E, M> {
        Attached {
            events: self,
            modules,
            user: None,
        }
    }
}

impl<E, M: Engine> Attached<E, M> {
    /// The next that the modules tell, or that is not for them; `None` after the end, as with
    /// [`Events::next`].
    ///
    /// # Cancel safety
    /// Safe: nothing is lost.
    pub async fn next(&mut self) -> Option<Told<E, M::Event>> {
        loop {
            if let Some(told) = self.modules.poll_event() {
                return Some(Told::Module(told));
            }
            let handle = self.events.handle().clone();
            let due = handle.shared.clock.reached(self.modules.poll_timeout());
            // Time first: a peer that never pauses must not keep it from the modules.
            let event = match either(due, self.events.next()).await {
                Either::First(()) => {
                    self.with_modules(|modules, now, out| modules.handle_timeout(now, out));
                    continue;
                }
                Either::Second(event) => event?,
            };
            let user = self.user.clone();
            let other = self.with_modules(|modules, now, out| {
                let facts = &handle.shared.facts;
                M::show(event, modules, facts, user.as_deref(), now, out)
            });
            if let Some(other) = other {
                return Some(Told::Event(other));
            }
        }
    }

    /// Asks something of the module of type `N`, with the time and an outbox for what it has to
    /// say; `None` if there is no such module.
    pub fn with<N: Module + 'static, T>(
        &mut self,
        ask: impl FnOnce(&mut N, Instant, &mut dyn Outbox) -> T,
    ) -> Option<T> {
        self.with_modules(|modules, now, out| {
            modules.find_mut().map(|module| ask(module, now, out))
        })
    }

    /// The handle of the same connection or client.
    #[must_use]
    pub const fn handle(&self) -> &Handle<M> {
        self.events.handle()
    }

    /// The events and the modules apart again.
    #[must_use]
    pub fn detach(self) -> (Events<M>, Modules<E>) {
        (self.events, self.modules)
    }

    fn with_modules<T>(
        &mut self,
        f: impl FnOnce(&mut Modules<E>, Instant, &mut dyn Outbox) -> T,
    ) -> T {
        let handle = self.events.handle();
        let now = handle.shared.clock.now();
        let mut out = HandleOutbox {
            handle,
            user: self.user.as_deref(),
        };
        f(&mut self.modules, now, &mut out)
    }
}

impl<E> Attached<E> {
    /// Says whose connection it is, for modules that address users. Before the first
    /// [`next`](Self::next).
    pub fn of_user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }
}

impl<E> Attached<E, AjaxSession> {
    /// Says whose session it is, for modules that address users. Before the first
    /// [`next`](Self::next).
    pub fn of_user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }
}

/// An [`Outbox`] over a handle, from [`Handle::outbox`], for one that drives a module by itself.
///
/// The peer is known by [`Handle::id`], and that of a client by the id of the present link, as with
/// [`ClientOutbox`](sente_core::ClientOutbox). How a call ended comes as `Settled` of the
/// [`Events`], which gives out no others.
#[derive(Debug)]
pub struct HandleOutbox<'a, M: Engine = Connection> {
    handle: &'a Handle<M>,
    user: Option<&'a str>,
}

impl<M: Engine> Handle<M> {
    /// An outbox for a module that is driven by hand; [`Events::attach`] does that for several.
    #[must_use]
    pub const fn outbox(&self) -> HandleOutbox<'_, M> {
        HandleOutbox {
            handle: self,
            user: None,
        }
    }
}

impl<M: Engine> HandleOutbox<'_, M> {
    /// Runs `f` on the engine's own outbox.
    fn with<T>(&self, f: impl FnOnce(&mut dyn Outbox) -> T) -> T {
        let shared = &self.handle.shared;
        shared.with_waking(|machine, now| machine.with_outbox(&shared.facts, self.user, now, f))
    }
}

impl<M: Engine> Outbox for HandleOutbox<'_, M> {
    fn send_with(
        &mut self,
        to: ConnId,
        event: Event,
        options: SendOptions,
    ) -> Result<Sent, SendError> {
        self.with(|out| out.send_with(to, event, options))
    }

    fn publish_with(
        &mut self,
        to: &Target,
        event: &Event,
        options: &SendOptions,
    ) -> Result<Published, PackError> {
        self.with(|out| out.publish_with(to, event, options))
    }

    fn call(&mut self, to: ConnId, event: Event, timeout: Duration) -> Result<CallId, SendError> {
        let shared = &self.handle.shared;
        let call = {
            let mut inner = shared.lock();
            let now = shared.clock.now();
            let call = inner
                .machine
                .with_outbox(&shared.facts, self.user, now, |out| {
                    out.call(to, event, timeout)
                })?;
            inner.waiting().calls.insert(call, Waiter::Events);
            call
        };
        shared.wake();
        Ok(call)
    }

    fn cancel(&mut self, to: ConnId, call: CallId) -> bool {
        self.with(|out| out.cancel(to, call))
    }

    fn reply(&mut self, to: ConnId, token: ReplyToken, payload: Payload) -> Result<(), ReplyError> {
        self.with(|out| out.reply(to, token, payload))
    }

    fn reply_error(&mut self, to: ConnId, token: ReplyToken) -> Result<(), ReplyError> {
        self.with(|out| out.reply_error(to, token))
    }

    fn forget(&mut self, to: ConnId, token: ReplyToken) {
        self.with(|out| out.forget(to, token));
    }
}
