//! The Ajax sessions of an endpoint, by user and client id.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sente_adapters::AjaxPort;
use sente_core::UserId;
use smol_str::SmolStr;

/// Whose session it is: the label a client gave itself counts together with who it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Owner {
    pub(super) client_id: SmolStr,
    pub(super) user: Option<UserId>,
}

/// The sessions that are not over.
#[derive(Clone, Debug, Default)]
pub(super) struct Sessions(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    ports: HashMap<Owner, AjaxPort>,
    /// How many sessions there are of each client id, whoever's.
    clients: HashMap<SmolStr, usize>,
}

impl Sessions {
    pub(super) fn len(&self) -> usize {
        self.lock().ports.len()
    }

    /// Whether some user has a session of this client id: then its request is likely no new one.
    pub(super) fn knows(&self, client_id: &str) -> bool {
        self.lock().clients.contains_key(client_id)
    }

    pub(super) fn find(&self, owner: &Owner) -> Option<AjaxPort> {
        let port = self.lock().ports.get(owner).cloned();
        port.filter(|port| !port.is_over())
    }

    /// The session of `owner`, and, where it was not there, what `start` gave beside it.
    pub(super) fn find_or_start<T, E>(
        &self,
        owner: Owner,
        start: impl FnOnce() -> Result<(AjaxPort, T), E>,
    ) -> Result<(AjaxPort, Option<T>), E> {
        let mut table = self.lock();
        if let Some(port) = table.ports.get(&owner).filter(|port| !port.is_over()) {
            return Ok((port.clone(), None));
        }
        let (port, rest) = start()?;
        table.insert(owner.clone(), port.clone());
        drop(table);
        let (sessions, ended) = (self.clone(), port.clone());
        tokio::spawn(async move {
            ended.ended().await;
            sessions.lock().remove(&owner, &ended);
        });
        Ok((port, Some(rest)))
    }

    /// Nothing that runs under this lock leaves the table half changed.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn insert(&mut self, owner: Owner, port: AjaxPort) {
        let client_id = owner.client_id.clone();
        if self.ports.insert(owner, port).is_none() {
            let count = self.clients.entry(client_id).or_default();
            *count = count.saturating_add(1);
        }
    }

    /// Removes the session of `owner`, if it is still this one.
    fn remove(&mut self, owner: &Owner, port: &AjaxPort) {
        let is_it = self
            .ports
            .get(owner)
            .is_some_and(|known| known.id() == port.id());
        if !is_it {
            return;
        }
        self.ports.remove(owner);
        if let Some(count) = self.clients.get_mut(&owner.client_id) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.clients.remove(&owner.client_id);
            }
        }
    }
}
