//! The registry against the plainest one there can be: a list that is gone through each time.
#![allow(missing_docs)]

use proptest::prelude::*;
use sente_core::{ConnId, Delivery, Event, Gone, HandlerId, Instant, Pattern, Peer, Registry};
use sente_tests::{event, id};

const IDS: [&str; 3] = ["a/x", "a/y", "b/x"];

#[derive(Clone, Copy, Debug)]
enum Wants {
    Any,
    Even,
    Id(usize),
    Namespace(bool),
    Request(i64),
}

#[derive(Clone, Debug)]
enum Op {
    On(Wants),
    Take(Wants, Option<u8>, Option<u64>),
    Off(usize),
    OffEvent(usize),
    OffAll,
    Deliver(usize, i64, Option<u8>),
    Timeout(u64),
    Closed,
    ClosedOf(u8),
}

/// One handler of the model; its number is what the registry holds.
#[derive(Clone, Debug)]
struct Known {
    id: HandlerId,
    number: usize,
    wants: Wants,
    /// Whom it waits for, and until when; `None` for a handler that stays.
    waits: Option<(Option<u8>, Option<u64>)>,
}

fn wants() -> impl Strategy<Value = Wants> {
    prop_oneof![
        Just(Wants::Any),
        Just(Wants::Even),
        (0..3_usize).prop_map(Wants::Id),
        any::<bool>().prop_map(Wants::Namespace),
        (0..3_i64).prop_map(Wants::Request),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let from = || proptest::option::of(0..3_u8);
    let deadline = proptest::option::of(0..50_u64);
    prop_oneof![
        6 => wants().prop_map(Op::On),
        10 => (wants(), from(), deadline)
            .prop_map(|(wants, from, deadline)| Op::Take(wants, from, deadline)),
        2 => any::<usize>().prop_map(Op::Off),
        1 => (0..3_usize).prop_map(Op::OffEvent),
        1 => Just(Op::OffAll),
        10 => (0..3_usize, 0..4_i64, from())
            .prop_map(|(event, request, from)| Op::Deliver(event, request, from)),
        3 => (0..50_u64).prop_map(Op::Timeout),
        1 => Just(Op::Closed),
        2 => (0..3_u8).prop_map(Op::ClosedOf),
    ]
}

fn conn(n: u8) -> ConnId {
    ConnId::new(7, &[n; 10])
}

fn is_even(event: &Event) -> bool {
    event
        .request_id()
        .and_then(|id| id.to_value().as_i64())
        .is_some_and(|number| number % 2 == 0)
}

impl Wants {
    fn pattern(self) -> Pattern {
        match self {
            Self::Any => Pattern::Any,
            Self::Even => Pattern::When(Box::new(is_even)),
            Self::Id(event) => Pattern::Id(id(IDS[event])),
            Self::Namespace(a) => Pattern::Namespace(if a { "a" } else { "b" }.into()),
            Self::Request(request) => Pattern::RequestId(request.into()),
        }
    }

    fn matches(self, event: usize, request: i64) -> bool {
        match self {
            Self::Any => true,
            Self::Even => request % 2 == 0,
            Self::Id(wanted) => wanted == event,
            Self::Namespace(a) => IDS[event].starts_with('a') == a,
            Self::Request(wanted) => wanted == request,
        }
    }
}

/// Takes what `is_gone` says out of the model, in its order.
fn extract(model: &mut Vec<Known>, is_gone: impl Fn(&Known) -> bool) -> Vec<Known> {
    let (gone, kept) = model.drain(..).partition(is_gone);
    *model = kept;
    gone
}

fn numbers(known: &[Known]) -> Vec<usize> {
    known.iter().map(|known| known.number).collect()
}

proptest! {
    #[test]
    fn the_registry_does_what_a_list_of_handlers_would(ops in prop::collection::vec(op(), 1..120)) {
        let mut registry = Registry::new();
        let mut model: Vec<Known> = Vec::new();
        for (number, op) in ops.into_iter().enumerate() {
            match op {
                Op::On(wants) => {
                    let id = registry.on(wants.pattern(), number);
                    model.push(Known { id, number, wants, waits: None });
                }
                Op::Take(wants, from, millis) => {
                    let deadline = millis.map(Instant::from_millis);
                    let id = match from {
                        Some(from) => {
                            registry.take_from(conn(from), wants.pattern(), deadline, number)
                        }
                        None => registry.take(wants.pattern(), deadline, number),
                    };
                    model.push(Known { id, number, wants, waits: Some((from, millis)) });
                }
                Op::Off(which) => {
                    if !model.is_empty() {
                        let known = model.remove(which % model.len());
                        prop_assert!(registry.off(known.id));
                        prop_assert!(!registry.off(known.id));
                    }
                }
                Op::OffEvent(event) => {
                    let gone = extract(&mut model, |known| {
                        matches!(known.wants, Wants::Id(wanted) if wanted == event)
                    });
                    let event = id(IDS[event]);
                    prop_assert_eq!(registry.count_for(&event), gone.len());
                    prop_assert_eq!(registry.off_event(&event), gone.len());
                }
                Op::OffAll => {
                    prop_assert_eq!(registry.off_all(), model.len());
                    model.clear();
                }
                Op::Deliver(which, request, from) => {
                    let sees = |known: &Known| {
                        let bound = known.waits.and_then(|(from, _)| from);
                        known.wants.matches(which, request) && (bound.is_none() || bound == from)
                    };
                    let expected: Vec<usize> =
                        model.iter().filter(|known| sees(known)).map(|known| known.number).collect();
                    model.retain(|known| known.waits.is_none() || !sees(known));
                    let event = event(&format!("[:{} {{:request-id {request}}}]", IDS[which]));
                    let peer = from.map(|from| Peer::new(conn(from)));
                    let mut delivery = Delivery::new(&event);
                    if let Some(peer) = &peer {
                        delivery = delivery.sent_by(peer);
                    }
                    let mut seen = Vec::new();
                    let count = registry.deliver(&mut delivery, |_, handler, _| seen.push(*handler));
                    prop_assert_eq!(count, seen.len());
                    prop_assert_eq!(seen, expected);
                }
                Op::Timeout(millis) => {
                    let mut expected = extract(&mut model, |known| {
                        known.waits.is_some_and(|(_, at)| at.is_some_and(|at| at <= millis))
                    });
                    expected.sort_by_key(|known| known.waits.map(|(_, at)| at));
                    let mut gone = Vec::new();
                    let now = Instant::from_millis(millis);
                    registry.handle_timeout(now, |_, handler, why| gone.push((handler, why)));
                    prop_assert!(gone.iter().all(|(_, why)| *why == Gone::Timeout));
                    let gone: Vec<usize> = gone.into_iter().map(|(handler, _)| handler).collect();
                    prop_assert_eq!(gone, numbers(&expected));
                    prop_assert!(registry.poll_timeout().is_none_or(|at| at > now));
                }
                Op::Closed => {
                    let expected = extract(&mut model, |known| known.waits.is_some());
                    let mut gone = Vec::new();
                    registry.handle_closed(|_, handler, _| gone.push(handler));
                    prop_assert_eq!(gone, numbers(&expected));
                }
                Op::ClosedOf(from) => {
                    let expected = extract(&mut model, |known| {
                        known.waits.is_some_and(|(of, _)| of == Some(from))
                    });
                    let mut gone = Vec::new();
                    registry.handle_closed_of(conn(from), |_, handler, _| gone.push(handler));
                    prop_assert_eq!(gone, numbers(&expected));
                }
            }
            prop_assert_eq!(registry.count(), model.len());
            prop_assert_eq!(registry.is_empty(), model.is_empty());
            let waiters = model.iter().filter_map(|known| known.waits);
            prop_assert_eq!(registry.count_waiters(), waiters.clone().count());
            let next = waiters.filter_map(|(_, at)| at).min().map(Instant::from_millis);
            prop_assert_eq!(registry.poll_timeout(), next);
        }
    }
}
