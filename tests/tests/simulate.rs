//! Connections behind their handles, on a runtime whose order of everything follows from a seed:
//! whoever waits is woken, and nothing waits for time to pass that need not.
//!
//! A failure names its seed. `SENTE_SIMULATE_SEED=7 cargo test --test simulate` runs that one alone,
//! `SENTE_SIMULATE_SEEDS=100000` that many of each.
#![allow(missing_docs)]

#[path = "simulate_support/executor.rs"]
mod executor;
#[path = "simulate_support/jagged.rs"]
mod jagged;
#[path = "simulate_support/pair.rs"]
mod pair;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{Either, join, join_all, select};
use sente_adapters::{CallFailure, Handle};
use sente_core::{ConnectionEvent, SendError};

use executor::{Joined, Sim};
use pair::{Heard, LONG, Plan, Side, event, hear, item, text};

/// How many seeds each test runs.
const SEEDS: u64 = 80;

/// What a connection may take to end where its peer reads nothing: closing and the last flush.
const WITHIN: Duration = Duration::from_secs(15);

/// Runs `scenario` with many seeds.
fn simulate<F>(scenario: impl Fn(Sim, Plan) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let setting = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let seeds = match setting("SENTE_SIMULATE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..setting("SENTE_SIMULATE_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        let sim = Sim::new(seed);
        let plan = Plan::new(&sim);
        let told = format!("{plan:?}");
        let work = scenario(sim.clone(), plan);
        let run = AssertUnwindSafe(|| sim.run(work, WITHIN));
        if let Err(panic) = catch_unwind(run) {
            eprintln!("SENTE_SIMULATE_SEED={seed}: {told}");
            resume_unwind(panic);
        }
    }
}

fn at_once(sim: &Sim, what: &str) {
    assert_eq!(sim.passed(), Duration::ZERO, "{what} waited");
}

#[test]
fn everything_said_arrives_in_order_and_every_question_is_answered() {
    simulate(|sim, plan| async move {
        let pairs = sim.chance(|rng| rng.between(1, 3));
        let mut talks = Vec::new();
        for _ in 0..pairs {
            let (one, other) = some_attached(&sim, plan.open(&sim).await);
            let [up, down] = sim.chance(|rng| [rng.below(40), rng.below(40)]);
            let [one_said, other_said] = [Arc::<AtomicBool>::default(), Arc::default()];
            let said = [one_said.clone(), other_said.clone()];
            talks.push(sim.spawn(talk(sim.clone(), plan.clone(), one, [up, down], said)));
            let said = [other_said, one_said];
            talks.push(sim.spawn(talk(sim.clone(), plan.clone(), other, [down, up], said)));
        }
        join_all(talks).await;
        at_once(&sim, "somebody");
    });
}

#[test]
fn a_busy_connection_closes_at_once_though_nobody_hears_what_came() {
    simulate(|sim, plan| async move {
        let (mut closer, other) = some_attached(&sim, plan.open(&sim).await);
        let handle = other.handle.clone();
        let busy = [
            babble(&sim, &plan, &closer.handle),
            babble(&sim, &plan, &handle),
        ];
        let listening = listen(&sim, other);
        hear_some(&sim, &mut closer).await;
        closer.handle.close();
        closer.handle.ended().await;
        while hear(&closer.handle, &mut closer.events).await.is_some() {}
        handle.ended().await;
        join(listening, join_all(busy)).await;
        at_once(&sim, "the end");
    });
}

#[test]
fn a_busy_connection_closes_in_time_though_its_peer_reads_nothing() {
    simulate(|sim, plan| async move {
        let (mut closer, other) = some_attached(&sim, plan.open(&sim).await);
        let busy = [
            babble(&sim, &plan, &closer.handle),
            babble(&sim, &plan, &other.handle),
        ];
        hear_some(&sim, &mut closer).await;
        closer.handle.close();
        closer.handle.ended().await;
        assert!(sim.passed() <= WITHIN, "{:?}", sim.passed());
        let before = sim.passed();
        let handle = other.handle.clone();
        listen(&sim, other).await;
        handle.ended().await;
        join_all(busy).await;
        assert!(sim.passed() - before <= WITHIN, "{:?}", sim.passed());
    });
}

#[test]
fn both_sides_close_a_busy_connection_at_once() {
    simulate(|sim, plan| async move {
        let (mut one, mut other) = some_attached(&sim, plan.open(&sim).await);
        let busy = [
            babble(&sim, &plan, &one.handle),
            babble(&sim, &plan, &other.handle),
        ];
        join(hear_some(&sim, &mut one), hear_some(&sim, &mut other)).await;
        one.handle.close();
        let pause = sim.chance(|rng| rng.below(20));
        sim.rest(pause).await;
        other.handle.close();
        join(one.handle.ended(), other.handle.ended()).await;
        join_all(busy).await;
        at_once(&sim, "the end");
    });
}

#[test]
fn a_peer_that_vanishes_ends_calls_and_everything_else_at_once() {
    simulate(|sim, plan| async move {
        let (one, other) = some_attached(&sim, plan.open(&sim).await);
        let handle = one.handle.clone();
        let busy = [
            babble(&sim, &plan, &handle),
            babble(&sim, &plan, &other.handle),
        ];
        let calls = (0..3).map(|_| {
            let handle = handle.clone();
            sim.spawn(async move { handle.call(event("test/mute", "?"), LONG).await })
        });
        let calls: Vec<_> = calls.collect();
        let listening = listen(&sim, one);
        let tasks = other.tasks.clone();
        let their_end = other.handle.clone();
        let also = sim.chance(|rng| rng.one_in(2)).then(|| listen(&sim, other));
        let pause = sim.chance(|rng| rng.below(400));
        sim.rest(pause).await;
        tasks.kill();
        assert!(join_all(calls).await.iter().all(Result::is_err));
        join(listening, handle.ended()).await;
        their_end.ended().await;
        if let Some(also) = also {
            also.await;
        }
        join_all(busy).await;
        at_once(&sim, "the end");
    });
}

#[test]
fn what_nobody_holds_any_more_ends_at_once_and_says_the_rest() {
    simulate(|sim, plan| async move {
        let (one, other) = either_way(&sim, plan.open(&sim).await);
        let mut other = other.attached_by_chance(&sim);
        let busy = babble(&sim, &plan, &other.handle);
        let mut said = 0;
        for number in 0..10 {
            said += usize::from(one.handle.try_send(item(&sim, &plan, number)).is_ok());
        }
        drop(one);
        let mut heard = 0;
        while let Some(what) = hear(&other.handle, &mut other.events).await {
            heard += usize::from(matches!(what, Heard::Item(_)));
        }
        assert_eq!(heard, said);
        other.handle.ended().await;
        busy.await;
        at_once(&sim, "the end");
    });
}

#[test]
fn a_drain_ends_with_the_last_call_though_its_caller_gave_up() {
    simulate(|sim, plan| async move {
        let (one, other) = some_attached(&sim, plan.open(&sim).await);
        let handle = one.handle.clone();
        // Heard and never answered.
        let listening = [listen(&sim, one), hold(&sim, other)];
        let calling = handle.call(event("test/mute", "?"), LONG);
        let [before, after] = sim.chance(|rng| [rng.below(50), rng.below(50)]);
        let waiting = async {
            sim.rest(before).await;
            handle.drain(LONG);
            sim.rest(after).await;
        };
        let mut calling = Box::pin(calling);
        if let Either::Left((_, waiting)) = select(&mut calling, Box::pin(waiting)).await {
            // It could not be asked.
            waiting.await;
        }
        drop(calling);
        handle.ended().await;
        join_all(listening).await;
        at_once(&sim, "the end");
    });
}

#[test]
fn who_waits_in_line_is_served_though_others_give_up() {
    simulate(|sim, plan| async move {
        let (one, mut other) = some_attached(&sim, plan.open(&sim).await);
        let handle = one.handle.clone();
        let senders = (0..6).map(|number| {
            let (sim, plan, handle) = (sim.clone(), plan.clone(), handle.clone());
            sim.clone().spawn(async move {
                let mut sent = 0;
                for _ in 0..5 {
                    sent += usize::from(send_or_give_up(&sim, &plan, &handle, number).await);
                }
                sent
            })
        });
        let senders: Vec<_> = senders.collect();
        let saying = sim.spawn(async move {
            let sent: usize = join_all(senders).await.into_iter().sum();
            handle.send(event("test/item", "6 the last")).await.unwrap();
            handle.flush().await.unwrap();
            handle.drain(LONG);
            sent + 1
        });
        let listening = listen(&sim, one);
        let mut heard = 0;
        while let Some(what) = hear(&other.handle, &mut other.events).await {
            heard += usize::from(matches!(what, Heard::Item(_)));
        }
        assert_eq!(heard, saying.await);
        listening.await;
        at_once(&sim, "somebody");
    });
}

/// Whether an event was sent by one who waits for it only so long.
async fn send_or_give_up(sim: &Sim, plan: &Plan, handle: &Handle, number: usize) -> bool {
    let item = item(sim, plan, number);
    let [patience, holds] = sim.chance(|rng| [rng.below(60), rng.below(20)]);
    if sim.chance(|rng| rng.one_in(3)) {
        let reserving = pin!(handle.reserve(plan.max_len + 100));
        let Either::Left((Ok(permit), _)) = select(reserving, pin!(sim.rest(patience))).await
        else {
            return false;
        };
        sim.rest(holds).await;
        return sim.chance(|rng| rng.one_in(2)) && permit.send(item).is_ok();
    }
    let sending = pin!(handle.send(item));
    match select(sending, pin!(sim.rest(patience))).await {
        Either::Left((sent, _)) => sent.is_ok(),
        Either::Right(_) => false,
    }
}

/// The two as they are, or the other way round.
fn either_way(sim: &Sim, (one, other): (Side, Side)) -> (Side, Side) {
    if sim.chance(|rng| rng.one_in(2)) {
        (one, other)
    } else {
        (other, one)
    }
}

/// The same, and perhaps with handlers on their drivers.
fn some_attached(sim: &Sim, pair: (Side, Side)) -> (Side, Side) {
    let (one, other) = either_way(sim, pair);
    (one.attached_by_chance(sim), other.attached_by_chance(sim))
}

/// Hears a few events, if they come, and then nothing for a while.
async fn hear_some(sim: &Sim, side: &mut Side) {
    let [count, pause] = sim.chance(|rng| [rng.below(5), rng.below(300)]);
    for _ in 0..count {
        hear(&side.handle, &mut side.events).await.unwrap();
    }
    sim.rest(pause).await;
}

/// Says `sends` and asks, hears `hears`, and ends in order once both sides have said everything.
async fn talk(
    sim: Sim,
    plan: Plan,
    mut side: Side,
    [sends, hears]: [usize; 2],
    [said, others_said]: [Arc<AtomicBool>; 2],
) {
    let handle = side.handle.clone();
    let speaking = {
        let handle = handle.clone();
        sim.clone().spawn(async move {
            for number in 0..sends {
                handle.send(item(&sim, &plan, number)).await.unwrap();
                if sim.chance(|rng| rng.one_in(10)) {
                    let asked = number.to_string();
                    let question = event("test/question", asked.as_str());
                    match handle.call(question, LONG).await {
                        Ok(reply) => assert_eq!(text(Some(&reply)), asked),
                        Err(CallFailure::Refused(
                            SendError::Full { .. } | SendError::CallsUnsupported(_),
                        )) => {}
                        Err(other) => panic!("{other}"),
                    }
                }
                let pause = sim.chance(|rng| rng.below(4));
                sim.rest(pause).await;
            }
            handle.flush().await.unwrap();
            said.store(true, Ordering::Relaxed);
            while !others_said.load(Ordering::Relaxed) {
                sim.rest(1).await;
            }
            handle.drain(LONG);
        })
    };
    let mut next = 0;
    let hearing = async {
        while let Some(heard) = hear(&handle, &mut side.events).await {
            if let Heard::Item(number) = heard {
                assert_eq!(number, next, "in order");
                next += 1;
            }
        }
    };
    join(speaking, hearing).await;
    assert_eq!(next, hears, "everything");
    handle.ended().await;
}

/// Speaks much, or until the connection ends.
fn babble(sim: &Sim, plan: &Plan, handle: &Handle) -> Joined<()> {
    let (sim, plan, handle) = (sim.clone(), plan.clone(), handle.clone());
    sim.clone().spawn(async move {
        for number in 0..60 {
            if handle.send(item(&sim, &plan, number)).await.is_err() {
                return;
            }
        }
    })
}

/// Hears everything to the end.
fn listen(sim: &Sim, mut side: Side) -> Joined<()> {
    sim.spawn(async move { while hear(&side.handle, &mut side.events).await.is_some() {} })
}

/// Hears everything to the end, and keeps the questions without answering them.
fn hold(sim: &Sim, mut side: Side) -> Joined<()> {
    sim.spawn(async move {
        let mut kept = Vec::new();
        while let Some(event) = side.events.next().await {
            match event {
                ConnectionEvent::Message(message) => kept.extend(message.reply),
                ConnectionEvent::PeerFinished => {
                    for token in kept.drain(..) {
                        side.handle.forget(token);
                    }
                    side.handle.drain(LONG);
                }
                _ => {}
            }
        }
    })
}
