//! Two connected peers in a simulation, as its seed wants them.

use std::sync::Arc;
use std::time::Duration;

use sente_adapters::{
    Acceptor, ConnectOptions, Dispatched, Dispatcher, Duplex, Events, Handle, Link, ListenOptions,
    Rest, SharedRecvBudget, Url, connect_over,
};
use sente_core::packer;
use sente_core::{
    Accept, ConnectionEvent, Event, EventId, Limits, Pattern, Payload, RecvBudgetLimits,
};
use sente_tests::world::Rng;

use crate::executor::{Group, Sim};
use crate::jagged::Jagged;

/// A peer: what its application holds, and its tasks.
pub(crate) struct Side {
    pub(crate) handle: Handle,
    pub(crate) events: Ears,
    pub(crate) tasks: Group,
}

impl Side {
    /// The same, perhaps with its handler of questions on the driver.
    pub(crate) fn attached_by_chance(self, sim: &Sim) -> Self {
        match self.events {
            Ears::Own(events) if sim.chance(|rng| rng.one_in(3)) => {
                let mut handlers = Dispatcher::new(self.handle.clone());
                handlers.on(
                    Pattern::Id(EventId::new("test/question").unwrap()),
                    |received| {
                        let data = received.event().data.clone().unwrap();
                        let _ = received.reply(data);
                    },
                );
                Self {
                    events: Ears::Rest(handlers.attach(events)),
                    ..self
                }
            }
            _ => self,
        }
    }
}

/// Where an application hears what came.
pub(crate) enum Ears {
    Own(Events),
    /// What handlers on the driver leave.
    Rest(Rest),
}

impl Ears {
    pub(crate) async fn next(&mut self) -> Option<ConnectionEvent> {
        match self {
            Self::Own(events) => events.next().await,
            Self::Rest(rest) => match rest.next().await? {
                Dispatched::Event(event) => Some(event),
                other => panic!("{other:?}"),
            },
        }
    }
}

/// What both sides are given, and what passes between them.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) url: Url,
    packer: Option<&'static str>,
    capacity: usize,
    /// The most that passes at a time, if that is limited.
    piece: Option<usize>,
    limits: Limits,
    budget: Option<SharedRecvBudget>,
    /// The length of the longest event.
    pub(crate) max_len: usize,
}

impl Plan {
    pub(crate) fn new(sim: &Sim) -> Self {
        sim.chance(|rng| {
            let url = [
                "ws://in.memory/socket",
                "ws://in.memory/chsk",
                "tcp://in.memory:1",
            ];
            let mut limits = Limits::default();
            if !rng.one_in(4) {
                limits.max_recv_messages = rng.pick(&[1, 2, 7, 5_000]);
                limits.max_recv_bytes = rng.pick(&[1, 200, 2_000, 8_000_000]);
                limits.max_send_messages = rng.pick(&[1, 2, 7, 1_000]);
                limits.max_send_bytes = rng.pick(&[400, 2_000, 8_000_000]);
                limits.max_transmit_bytes = rng.pick(&[1, 100, 64 * 1024]);
                limits.max_reservations = rng.pick(&[1, 2, 1_000]);
            }
            let budget = rng.one_in(3).then(|| {
                let mut budget = RecvBudgetLimits::default();
                budget.min_bytes = rng.pick(&[1, 100]);
                budget.max_bytes = rng.pick(&[1, 300, 10_000]);
                // The least of each is kept for it, and a quarter for others.
                budget.total_bytes = budget.min_bytes * 16 + rng.below(2_000);
                SharedRecvBudget::new(budget)
            });
            let capacity = rng.pick(&[1, 3, 100, 1_000, 64 * 1024]);
            let piece = (!rng.one_in(4)).then(|| rng.pick(&[1, 2, 50, 4096, 64 * 1024]));
            Self {
                url: rng.pick(&url).parse().unwrap(),
                packer: rng.pick(&[None, None, Some("msgpack"), Some("json")]),
                capacity,
                piece,
                limits,
                budget,
                // Where little passes at a time, little is said, so that it does not take long.
                max_len: rng
                    .pick(&[1, 30, 300])
                    .min(capacity.min(piece.unwrap_or(capacity)) * 10),
            }
        })
    }

    fn links(&self, sim: &Sim) -> (Box<dyn Link>, Box<dyn Link>) {
        let (ours, theirs) = Duplex::with_capacity(self.capacity);
        let link = |one| -> Box<dyn Link> {
            match self.piece {
                Some(piece) => Box::new(Jagged::new(one, Rng::new(sim.chance(Rng::next)), piece)),
                None => Box::new(one),
            }
        };
        (link(ours), link(theirs))
    }

    /// A pair that is open: who has asked, and who was asked.
    pub(crate) async fn open(&self, sim: &Sim) -> (Side, Side) {
        let (here, there) = (sim.group(), sim.group());
        let (ours, theirs) = self.links(sim);
        let mut options = ListenOptions::default();
        options.runtime = Some(Arc::new(there.clone()));
        options.packer = self.packer.and_then(packer::named);
        options.limits = Some(self.limits.clone());
        options.recv_budget.clone_from(&self.budget);
        let acceptor = Acceptor::new(&self.url, options).unwrap();
        let accepting = sim.spawn(async move {
            let incoming = acceptor.take(theirs, "theirs").await.unwrap().unwrap();
            incoming.accept(Accept::new("ada")).await.unwrap()
        });
        let mut options = ConnectOptions::default();
        options.runtime = Some(Arc::new(here.clone()));
        options.packer = self.packer.and_then(packer::named);
        options.limits = Some(self.limits.clone());
        options.recv_budget.clone_from(&self.budget);
        let connected = connect_over(&self.url, ours, &options).await;
        let (handle, events) = connected.unwrap();
        let one = Side {
            handle,
            events: Ears::Own(events),
            tasks: here,
        };
        let (handle, events) = accepting.await;
        let other = Side {
            handle,
            events: Ears::Own(events),
            tasks: there,
        };
        (one, other)
    }
}

pub(crate) fn event(id: &str, data: impl Into<Payload>) -> Event {
    Event::new(EventId::new(id).unwrap(), data)
}

/// The event with this number, as long as chance has it.
pub(crate) fn item(sim: &Sim, plan: &Plan, number: usize) -> Event {
    let len = sim.chance(|rng| rng.below(plan.max_len));
    event("test/item", format!("{number} {}", "x".repeat(len)))
}

pub(crate) fn text(payload: Option<&Payload>) -> String {
    let value = payload.unwrap().to_value().unwrap();
    value.as_str().unwrap().to_owned()
}

/// Takes one event and does what it asks for: a question is answered. The number of an item; `None`
/// at the end.
pub(crate) async fn hear(handle: &Handle, events: &mut Ears) -> Option<Heard> {
    Some(match events.next().await? {
        ConnectionEvent::Message(message) => {
            let said = text(message.event.data.as_ref());
            match message.reply {
                Some(token) if message.event.id.to_string() == ":test/question" => {
                    let _ = handle.reply(token, said);
                    Heard::Other
                }
                Some(token) => {
                    handle.forget(token);
                    Heard::Other
                }
                None => {
                    let number = said.split_once(' ').unwrap().0.parse().unwrap();
                    Heard::Item(number)
                }
            }
        }
        ConnectionEvent::PeerFinished => {
            handle.drain(LONG);
            Heard::Other
        }
        _ => Heard::Other,
    })
}

/// What was heard.
#[derive(Debug)]
pub(crate) enum Heard {
    Item(usize),
    Other,
}

/// Longer than anything takes: who waits for so long stands still.
pub(crate) const LONG: Duration = Duration::from_secs(1_000_000);
