//! How a child is ended: by the end of its input, then by a signal it can catch, then by one it cannot.
#![allow(missing_docs)]

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sente_adapters::{ConnectOptions, StderrLines, Url, connect};

const PATIENCE: Duration = Duration::from_secs(30);
/// Longer than any test here has patience: what ends before has not waited for it.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// Runs a child in Python, ends its connection once it has said `ready`, and gives how it ended and
/// what it said.
async fn ended(script: &str, change: impl FnOnce(&mut ConnectOptions)) -> (ExitStatus, String) {
    let said = Arc::new(Mutex::new(String::new()));
    let (ready, is_ready) = tokio::sync::watch::channel(false);
    let mut options = ConnectOptions::default();
    let lines = said.clone();
    options.child.stderr = Some(StderrLines::new(move |_, line| {
        ready.send_replace(true);
        lines.lock().unwrap().push_str(&format!("{line};"));
    }));
    change(&mut options);
    let script = format!(
        "import os, signal, sys, time\n\
         def say(word): print(word, file=sys.stderr, flush=True)\n\
         {script}\n"
    );
    let url: Url = format!("exec:python3 -c '{script}'").parse().unwrap();
    let (handle, mut events) = connect(&url, &options).await.unwrap();
    tokio::spawn(async move { while events.next().await.is_some() {} });
    let mut is_ready = is_ready;
    let ready = tokio::time::timeout(PATIENCE, is_ready.wait_for(|ready| *ready));
    ready.await.unwrap().unwrap();
    handle.drain(Duration::ZERO);
    let end = tokio::time::timeout(PATIENCE, handle.ended())
        .await
        .unwrap();
    let said = said.lock().unwrap().clone();
    (end.exit.unwrap(), said)
}

#[tokio::test]
async fn a_child_that_heeds_its_input_gets_no_signal() {
    let script = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))\n\
                  say(\"ready\")\n\
                  sys.stdin.buffer.read()\n\
                  say(\"end of input\")";
    let (exit, said) = ended(script, |options| {
        options.child.term_grace = FOR_EVER;
        options.child.kill_grace = FOR_EVER;
    })
    .await;
    assert_eq!(
        (exit.code(), said.as_str()),
        (Some(0), "ready;end of input;")
    );
}

#[tokio::test]
async fn a_child_that_does_not_end_with_its_input_is_asked_to_by_sigterm() {
    let script = "signal.signal(signal.SIGTERM, lambda *_: (say(\"term\"), sys.exit(7)))\n\
                  say(\"ready\")\n\
                  time.sleep(3600)";
    let (exit, said) = ended(script, |options| {
        options.child.term_grace = Duration::from_millis(20);
        options.child.kill_grace = FOR_EVER;
    })
    .await;
    assert_eq!((exit.code(), said.as_str()), (Some(7), "ready;term;"));
}

#[tokio::test]
async fn a_child_that_heeds_neither_is_killed() {
    let script = "signal.signal(signal.SIGTERM, lambda *_: say(\"term\"))\n\
                  say(\"ready\")\n\
                  while True: time.sleep(3600)";
    let (exit, said) = ended(script, |options| {
        options.child.term_grace = Duration::from_millis(20);
        options.child.kill_grace = Duration::from_millis(500);
    })
    .await;
    assert_eq!(exit.signal(), Some(9));
    assert!(said.starts_with("ready;"), "{said}");
}

#[tokio::test]
async fn a_child_is_killed_without_sigterm_where_there_is_no_time_for_it() {
    let script = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n\
                  say(\"ready\")\n\
                  time.sleep(3600)";
    let (exit, _) = ended(script, |options| {
        options.child.kill_grace = Duration::from_millis(20);
    })
    .await;
    assert_eq!((exit.code(), exit.signal()), (None, Some(9)));
}

#[tokio::test]
async fn a_child_leads_a_group_of_its_own_if_it_is_to() {
    for own_group in [true, false] {
        let script = "say(f\"{os.getpgid(0) == os.getpid()}\")";
        let (exit, said) = ended(script, |options| {
            options.child.own_group = own_group;
        })
        .await;
        let expected = if own_group { "True;" } else { "False;" };
        assert_eq!((exit.code(), said.as_str()), (Some(0), expected));
    }
}
