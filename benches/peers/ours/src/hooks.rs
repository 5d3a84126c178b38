//! What looks on while calls are answered: modules beside the one that answers, and handlers of every
//! event.

use std::io::{self, BufWriter, Write};

use peer_shapes::EVENT_ID;
use sente_adapters::{Dispatcher, Events};
use sente_core::{Instant, Message, Module, Modules, Outbox, Pattern, Peer};

/// Adds handlers that see every event and count it.
pub(crate) fn watch(handlers: &mut Dispatcher, count: usize) {
    for _ in 0..count {
        let mut seen: u64 = 0;
        handlers.on(Pattern::Any, move |received| {
            seen += 1;
            std::hint::black_box((received.event(), seen));
        });
    }
}

/// Adds a handler that writes a line for every event.
pub(crate) fn log(handlers: &mut Dispatcher) {
    let mut lines = BufWriter::new(io::sink());
    let mut seen: u64 = 0;
    handlers.on(Pattern::Any, move |received| {
        seen += 1;
        let event = received.event();
        let bytes = event
            .data
            .as_ref()
            .and_then(|data| data.raw())
            .map_or(0, |raw| raw.len());
        // There is always room in a sink.
        let _ = writeln!(lines, "{seen} in {} {bytes} B", event.id);
    });
}

/// Answers calls by a module, with others attached beside it, until the connection ends.
pub(crate) async fn by_modules(events: Events, others: usize) {
    let mut modules = Modules::<()>::new();
    modules.add(Answering).expect("the first");
    for number in 0..others {
        let idle = Idle(format!("module-{number}"));
        modules.add(idle).expect("each has a namespace of its own");
    }
    let mut attached = events.attach(modules);
    while attached.next().await.is_some() {}
}

/// Answers with the data as they came.
struct Answering;

impl Module for Answering {
    type Event = ();

    fn namespace(&self) -> &str {
        EVENT_ID.split('/').next().unwrap_or_default()
    }

    fn handle_message(&mut self, _: Instant, from: &Peer, message: Message, out: &mut dyn Outbox) {
        if let (Some(token), Some(data)) = (message.reply, message.event.data) {
            // It fails only where the caller is gone.
            let _ = out.reply(from.connection, token, data);
        }
    }
}

/// Gets nothing.
struct Idle(String);

impl Module for Idle {
    type Event = ();

    fn namespace(&self) -> &str {
        &self.0
    }

    fn handle_message(&mut self, _: Instant, _: &Peer, _: Message, _: &mut dyn Outbox) {}
}
