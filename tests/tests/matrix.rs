//! One suite of behaviour, run on every runtime over every transport.
//!
//! Each pair prints `matrix: RUNTIME TRANSPORT passed/total`, and `leaks: RUNTIME TRANSPORT ..`: what
//! a thousand connections left behind. There is no pair that cannot be.
//! `cargo test --test matrix -- smol unix` runs the pairs whose line has these words;
//! `SENTE_MATRIX_CASE=thousand` before it runs the cases with this in their names, and
//! `SENTE_MATRIX_TIMES=1` says how long each takes.
#![allow(missing_docs, clippy::print_stdout)]

#[path = "matrix_support/cases.rs"]
mod cases;
#[path = "matrix_support/leaks.rs"]
mod leaks;
#[path = "matrix_support/links.rs"]
mod links;
#[path = "matrix_support/party.rs"]
mod party;
#[path = "matrix_support/peer.rs"]
mod peer;
#[path = "matrix_support/runtimes.rs"]
mod runtimes;
#[path = "matrix_support/slow.rs"]
mod slow;
#[path = "matrix_support/transports.rs"]
mod transports;

use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use cases::{CASES, Case};
use runtimes::{Ground, RuntimeKind};
use transports::{Rig, Transport};

/// How long one case may take. The rest goes on without one that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    if let Ok(runtime) = std::env::var(transports::CHILD) {
        transports::be_a_child(&runtime);
        return ExitCode::SUCCESS;
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let began = Instant::now();
    let wanted = std::env::var("SENTE_MATRIX_CASE").unwrap_or_default();
    let wanted: Vec<Case> = CASES
        .iter()
        .copied()
        .filter(|(case, _)| case.contains(&wanted))
        .collect();
    let (mut pairs, mut failed, mut cases) = (0, 0, 0);
    for kind in RuntimeKind::ALL {
        let ground = Arc::new(Ground::new(kind));
        for transport in Transport::ALL {
            let name = format!("{} {}", kind.name(), transport.name());
            if !words.iter().all(|word| name.contains(word.as_str())) {
                continue;
            }
            pairs += 1;
            let passed = run_pair(&ground, transport, &name, &wanted);
            failed += usize::from(passed < wanted.len());
            cases += passed;
            println!("matrix: {name} {passed}/{}", wanted.len());
        }
    }
    let seconds = began.elapsed().as_secs_f32();
    println!(
        "matrix: {} of {pairs} pairs in {seconds:.1} s",
        pairs - failed
    );
    // As other tests end, for those who count.
    println!(
        "test result: {}. {cases} passed; {} failed; 0 ignored; 0 measured; 0 filtered out; finished in {seconds:.2}s",
        if failed == 0 { "ok" } else { "FAILED" },
        pairs * wanted.len() - cases,
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// How many cases pass.
fn run_pair(ground: &Arc<Ground>, transport: Transport, name: &str, cases: &[Case]) -> usize {
    let mut passed = 0;
    for &(case, run) in cases {
        let ground = ground.clone();
        let (sender, receiver) = mpsc::channel();
        let began = Instant::now();
        std::thread::Builder::new()
            .name(format!("{name}: {case}"))
            .spawn(move || {
                let rig = Rig::new(ground.clone(), transport);
                ground.block_on(run(&rig));
                let _ = sender.send(());
            })
            .unwrap();
        match receiver.recv_timeout(PATIENCE) {
            Ok(()) => passed += 1,
            Err(mpsc::RecvTimeoutError::Disconnected) => println!("{name}: {case}: failed"),
            Err(mpsc::RecvTimeoutError::Timeout) => println!("{name}: {case}: hangs"),
        }
        if std::env::var_os("SENTE_MATRIX_TIMES").is_some() {
            println!("{name}: {case}: {:.2} s", began.elapsed().as_secs_f32());
        }
    }
    passed
}
