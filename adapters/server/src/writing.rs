//! What was delivered to many connections is written from one task, not from one task for each.

use std::sync::{Arc, Weak};

use tokio::runtime::RuntimeFlavor;
use tokio::task::yield_now;

use crate::line::{Wire, lock};
use crate::server::Inner;

/// After so many connections others of the runtime have their turn.
const IN_A_ROW: usize = 64;

/// So many connections are for one task, where there are several threads for them.
const FOR_ONE_TASK: usize = 256;

/// Connections with something to write. Their drivers see to those that are left when it is dropped.
struct Unwritten(std::vec::IntoIter<Arc<dyn Wire>>);

impl Unwritten {
    async fn write(mut self) {
        let mut written = 0_usize;
        for line in self.0.by_ref() {
            line.write();
            drop(line);
            written = written.wrapping_add(1);
            if written.is_multiple_of(IN_A_ROW) {
                yield_now().await;
            }
        }
    }
}

impl Drop for Unwritten {
    fn drop(&mut self) {
        for line in self.0.by_ref() {
            line.hand_over();
        }
    }
}

/// Writes until nothing is left.
pub(crate) struct Writing(Weak<Inner>);

impl Writing {
    pub(crate) fn of(server: &Arc<Inner>) -> Self {
        Self(Arc::downgrade(server))
    }

    pub(crate) async fn run(mut self) {
        while let Some(all) = self.next() {
            let is_alone = tokio::runtime::Handle::try_current()
                .is_ok_and(|it| it.runtime_flavor() == RuntimeFlavor::CurrentThread);
            if is_alone || all.len() <= FOR_ONE_TASK {
                Unwritten(all.into_iter()).write().await;
                continue;
            }
            let mut all = all.into_iter();
            loop {
                let some: Vec<_> = all.by_ref().take(FOR_ONE_TASK).collect();
                if some.is_empty() {
                    break;
                }
                tokio::spawn(Unwritten(some.into_iter()).write());
            }
        }
        // Whoever comes next has begun anew.
        self.0 = Weak::new();
    }

    /// Those who have something to write now; `None` if nobody has, and then it ends.
    fn next(&self) -> Option<Vec<Arc<dyn Wire>>> {
        let server = self.0.upgrade()?;
        let mut room = lock(&server.room);
        let all = std::mem::take(&mut room.unwritten);
        room.is_writing = !all.is_empty();
        room.is_writing.then_some(all)
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        // Something is left where the runtime has dropped it.
        while let Some(all) = self.next() {
            drop(Unwritten(all.into_iter()));
        }
    }
}
