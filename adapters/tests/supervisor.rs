//! Children that are kept running, and calls shared out among them.
#![allow(missing_docs)]

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::Path;
use std::time::Duration;

use sente_adapters::{
    ChildId, NoChild, Restart, SupervisedCallError, SupervisedSendError, Supervisor,
    SupervisorError, SupervisorEvent, SupervisorEvents, SupervisorOptions, Url,
};
use sente_core::{ConnectionEvent, Event, Limits};

const PATIENCE: Duration = Duration::from_secs(60);

fn peer(script: &str) -> Url {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/peers");
    format!("exec:python3 {}/{script}", peers.display())
        .parse()
        .unwrap()
}

fn event(text: &str) -> Event {
    Event::from_value(sente_edn::from_str(text).unwrap()).unwrap()
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what)
        .await
        .expect("it takes for ever")
}

/// Waits for an event that `wanted` picks.
async fn until<T>(
    events: &mut SupervisorEvents,
    mut wanted: impl FnMut(SupervisorEvent) -> Option<T>,
) -> T {
    loop {
        let event = soon(events.next()).await.expect("there is more to tell");
        if let Some(found) = wanted(event) {
            return found;
        }
    }
}

async fn started(events: &mut SupervisorEvents) -> (ChildId, u32) {
    until(events, |event| match event {
        SupervisorEvent::Started { child, pid } => Some((child, pid.unwrap())),
        _ => None,
    })
    .await
}

fn options(children: usize) -> SupervisorOptions {
    let mut options = SupervisorOptions::default();
    options.children = NonZeroUsize::new(children).unwrap();
    options.backoff.min = Duration::from_millis(1);
    options.backoff.max = Duration::from_millis(5);
    options
}

#[tokio::test]
async fn calls_go_to_the_child_with_the_fewest_under_way() {
    let (supervisor, mut events) = Supervisor::start(&peer("echo.py"), options(3)).unwrap();
    for _ in 0..3 {
        started(&mut events).await;
    }
    let mut calls = Vec::new();
    for n in 0..30 {
        let supervisor = supervisor.clone();
        calls.push(tokio::spawn(async move {
            let event = event(&format!("[:test/echo {n}]"));
            supervisor
                .call(event, PATIENCE)
                .await
                .unwrap()
                .to_value()
                .unwrap()
                .as_i64()
        }));
    }
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(soon(call).await.unwrap(), Some(i64::try_from(n).unwrap()));
    }
    // All had their share: begun together, ten each.
    for child in supervisor.children() {
        let sent = supervisor.handle(child).unwrap().stats().events_queued;
        assert!(sent >= 5, "{child} got {sent} of 30");
    }
    soon(supervisor.stop()).await;
}

#[tokio::test]
async fn a_child_that_dies_is_started_again_and_calls_wait_for_it() {
    let (supervisor, mut events) =
        Supervisor::start(&peer("exit_with.py --on-event 3"), options(1)).unwrap();
    let (child, first) = started(&mut events).await;
    supervisor
        .send(event("[:test/exit]"), PATIENCE)
        .await
        .unwrap();
    let exit = until(&mut events, |event| match event {
        SupervisorEvent::Ended { exit, .. } => Some(exit.unwrap()),
        _ => None,
    })
    .await;
    assert_eq!(exit.code(), Some(3));
    let call = supervisor.call(event("[:test/echo \"back\"]"), PATIENCE);
    let (reply, (again, second)) = tokio::join!(soon(call), started(&mut events));
    assert_eq!(reply.unwrap().to_value().unwrap().as_str(), Some("back"));
    assert_eq!(child, again);
    assert_ne!(first, second);
    soon(supervisor.stop()).await;
}

#[tokio::test]
async fn lines_of_its_standard_error_are_events() {
    let (supervisor, mut events) =
        Supervisor::start(&peer("exit_with.py --on-event 0"), options(1)).unwrap();
    started(&mut events).await;
    supervisor
        .send(event("[:test/exit]"), PATIENCE)
        .await
        .unwrap();
    let line = until(&mut events, |event| match event {
        SupervisorEvent::Stderr { line, .. } => Some(line),
        _ => None,
    })
    .await;
    assert!(line.contains("leaving with 0"), "{line}");
}

#[tokio::test]
async fn a_policy_says_which_ends_are_final() {
    for (restart, code, final_) in [
        (Restart::OnFailure, 0, true),
        (Restart::OnFailure, 1, false),
        (Restart::Never, 1, true),
        (Restart::Always, 0, false),
    ] {
        let mut options = options(1);
        options.restart = restart;
        let script = format!("exit_with.py --on-event {code}");
        let (supervisor, mut events) = Supervisor::start(&peer(&script), options).unwrap();
        started(&mut events).await;
        supervisor
            .send(event("[:test/exit]"), PATIENCE)
            .await
            .unwrap();
        let gave_up = until(&mut events, |event| match event {
            SupervisorEvent::GaveUp { .. } => Some(true),
            SupervisorEvent::Restarting { .. } => Some(false),
            _ => None,
        })
        .await;
        assert_eq!(gave_up, final_, "{restart:?} after {code}");
        if final_ {
            let call = soon(supervisor.call(event("[:a/b]"), PATIENCE)).await;
            assert!(
                matches!(call, Err(SupervisedCallError::NoChild(NoChild::GaveUp))),
                "{call:?}"
            );
            assert!(soon(events.next()).await.is_none());
        }
    }
}

#[tokio::test]
async fn a_child_that_cannot_start_is_given_up_after_so_many_failures() {
    let mut options = options(1);
    options.backoff.max_attempts = NonZeroU32::new(3);
    let url = "exec:/no/such/program".parse().unwrap();
    let (supervisor, mut events) = Supervisor::start(&url, options).unwrap();
    let mut failures = 0;
    until(&mut events, |event| match event {
        SupervisorEvent::StartFailed { .. } => {
            failures += 1;
            None
        }
        SupervisorEvent::GaveUp { .. } => Some(()),
        _ => None,
    })
    .await;
    assert_eq!(failures, 3);
    assert_eq!(*supervisor.running().borrow(), 0);
}

#[tokio::test]
async fn environment_and_directory_are_the_childs_own() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("say.py");
    let text = "import os, sys\nprint('[:it/is \"%s %s\"]' % (os.environ['WHO'], os.getcwd()), flush=True)\nfor _ in sys.stdin: pass\n";
    std::fs::write(&script, text).unwrap();
    let mut options = options(1);
    options.connect.child.env = vec![("WHO".into(), "ada".into())];
    options.connect.child.current_dir = Some(directory.path().to_owned());
    let (supervisor, mut events) =
        Supervisor::start(&"exec:python3 say.py".parse().unwrap(), options).unwrap();
    let said = until(&mut events, |event| match event {
        SupervisorEvent::Event {
            event: ConnectionEvent::Message(message),
            ..
        } => Some(message.event.to_value().unwrap().to_string()),
        _ => None,
    })
    .await;
    let real = directory.path().canonicalize().unwrap();
    assert_eq!(said, format!("[:it/is \"ada {}\"]", real.display()));
    soon(supervisor.stop()).await;
}

#[tokio::test]
async fn dropped_it_ends_its_children() {
    let (supervisor, mut events) = Supervisor::start(&peer("echo.py"), options(2)).unwrap();
    let (_, one) = started(&mut events).await;
    let (_, two) = started(&mut events).await;
    drop(supervisor);
    let mut ended = 0;
    while let Some(event) = soon(events.next()).await {
        ended += u32::from(matches!(event, SupervisorEvent::Ended { .. }));
    }
    assert_eq!(ended, 2);
    for pid in [one, two] {
        assert!(
            !Path::new(&format!("/proc/{pid}")).exists(),
            "process {pid} is left"
        );
    }
}

#[tokio::test]
async fn only_commands_can_be_supervised() {
    let url = "tcp://127.0.0.1:1".parse().unwrap();
    let error = Supervisor::start(&url, SupervisorOptions::default()).unwrap_err();
    assert!(matches!(error, SupervisorError::NotACommand(_)));
    assert!(
        error
            .to_string()
            .contains("tcp://127.0.0.1:1 is no exec: URL")
    );
}

#[tokio::test]
async fn an_event_that_found_no_room_in_time_is_given_back() {
    let mut limits = Limits::default();
    limits.max_send_messages = 1;
    let mut options = options(1);
    options.connect.limits = Some(limits);
    let (supervisor, mut events) = Supervisor::start(&peer("echo.py"), options).unwrap();
    let (child, _) = started(&mut events).await;
    let handle = supervisor.handle(child).unwrap();
    let held = soon(handle.reserve(100)).await.unwrap();
    let late = soon(supervisor.send(event("[:a/late 1]"), Duration::ZERO)).await;
    let Err(SupervisedSendError::Timeout { event: back, .. }) = late else {
        panic!("{late:?}");
    };
    assert_eq!(back.to_value().unwrap().to_string(), "[:a/late 1]");
    // Its turn in the line is given up, too.
    drop(held);
    soon(supervisor.send(*back, PATIENCE)).await.unwrap();
    soon(handle.flush()).await.unwrap();
    assert_eq!(handle.stats().events_queued, 1);
}
