//! What a thousand connections that are cut leave behind: nothing, on either side.
//!
//! Both sides are in this process, children excepted, and so what either forgets is counted. TCP
//! sockets are reset, others closed with whatever is in them; a child gets SIGKILL.

use std::time::Duration;

use sente_core::ConnectionEvent;

use crate::runtimes::Mortal;
use crate::transports::Rig;

/// How many connections are cut for each pair, and how many are open at a time.
const CONNECTS: usize = 1_000;
const AT_ONCE: usize = 50;

/// In how many ways connections are cut.
const WAYS: usize = 3;

/// How often to look again, every 20 ms, until what was cut has to be gone.
const LOOKS: usize = 1_500;

pub(crate) async fn leaves_nothing(rig: &Rig) {
    // What the runtime opens for itself at its first connections, and keeps.
    for way in 0..WAYS {
        connect_and_cut(rig, way).await;
    }
    let before = settled(rig).await;
    for way in 0..CONNECTS / AT_ONCE {
        connect_and_cut(rig, way).await;
    }
    let mut now = Held::by(rig);
    for _ in 0..LOOKS {
        if now.is_within(&before) {
            break;
        }
        rig.pause(Duration::from_millis(20)).await;
        now = Held::by(rig);
    }
    let left = now.beyond(&before);
    println!(
        "leaks: {} {CONNECTS} connects and kills: {} descriptors, {} children, {} tasks, {} threads left",
        rig.name(),
        left.descriptors,
        left.children,
        left.tasks,
        left.threads,
    );
    assert!(now.is_within(&before), "before: {before:?}, after: {now:?}");
}

/// Opens connections, and cuts them all in one of [`WAYS`].
async fn connect_and_cut(rig: &Rig, way: usize) {
    let ours = Mortal::resetting(rig.runtime());
    let theirs = Mortal::resetting(rig.runtime());
    let mut many = rig.open_many(AT_ONCE, &ours, &theirs).await;
    match way % WAYS {
        // The peers are killed, and we notice.
        0 => {
            many.kill_theirs(&theirs);
            for party in &mut many.ours {
                while let Some(event) = party.next().await {
                    // What is cut off may look like an end.
                    if matches!(event, ConnectionEvent::PeerFinished) {
                        party.handle().close();
                    }
                }
                party.ended().await;
            }
        }
        // We are killed, and the peers notice.
        1 => ours.kill(),
        // Nobody wants ours any more.
        _ => drop(many),
    }
}

/// Waits until nothing of what went before is still on its way out.
async fn settled(rig: &Rig) -> Held {
    let mut held = Held::by(rig);
    for _ in 0..LOOKS {
        rig.pause(Duration::from_millis(20)).await;
        let now = Held::by(rig);
        if held == now && (now.tasks, now.children) == (0, 0) {
            break;
        }
        held = now;
    }
    held
}

/// What this process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    descriptors: usize,
    /// Those that have ended and nobody has waited for are among them.
    children: usize,
    tasks: usize,
    threads: usize,
}

impl Held {
    fn by(rig: &Rig) -> Self {
        let me = std::process::id().to_string();
        let children = std::fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("stat")).ok())
            .filter(|stat| {
                let behind_name = stat.rsplit(')').next().unwrap_or_default();
                behind_name.split_whitespace().nth(1) == Some(&me)
            })
            .count();
        Self {
            descriptors: entries("/proc/self/fd"),
            children,
            tasks: rig.tasks(),
            threads: entries("/proc/self/task"),
        }
    }

    const fn is_within(&self, before: &Self) -> bool {
        self.descriptors <= before.descriptors
            && self.children <= before.children
            && self.tasks <= before.tasks
            && self.threads <= before.threads
    }

    const fn beyond(&self, before: &Self) -> Self {
        Self {
            descriptors: self.descriptors.saturating_sub(before.descriptors),
            children: self.children.saturating_sub(before.children),
            tasks: self.tasks.saturating_sub(before.tasks),
            threads: self.threads.saturating_sub(before.threads),
        }
    }
}

fn entries(folder: &str) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}
