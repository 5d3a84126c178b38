//! SIGHUP: the configuration is read again, and what can be changed while the server runs is.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use sente_core::admission::CsrfToken;
use sente_server::Server;
use tokio::signal::unix::{Signal, SignalKind};
use toml::Value;

use super::admission::{self, Tokens};
use super::args::ServeArgs;
use super::config::{Environment, Loaded};
use super::service;
use crate::exit::Failure;
use crate::logs::Logs;
use crate::output::say;
use crate::signals::{ignores_hangups, listen_to};

/// What is needed to read the configuration again.
pub(super) struct Reload {
    args: ServeArgs,
    hangups: Signal,
    /// It was started to outlive its terminal.
    outlives: bool,
    /// What the server was started with.
    started: Loaded,
    /// What is in force.
    loaded: Loaded,
    logs: Logs,
    server: Server,
    generated: CsrfToken,
    tokens: Tokens,
}

impl Reload {
    /// Starts to listen for SIGHUP.
    pub(super) fn new(
        args: ServeArgs,
        loaded: Loaded,
        logs: Logs,
        server: Server,
        (generated, tokens): (CsrfToken, Tokens),
    ) -> Result<Self, Failure> {
        let outlives = ignores_hangups();
        Ok(Self {
            args,
            outlives,
            hangups: listen_to(SignalKind::hangup())?,
            started: loaded.clone(),
            loaded,
            logs,
            server,
            generated,
            tokens,
        })
    }

    /// Reloads with every SIGHUP until `end` is there. `None` for a SIGHUP where there is nothing to
    /// read again: then it means that the terminal is gone, which `nohup` has it outlive.
    pub(super) async fn until<T>(&mut self, end: impl Future<Output = T>) -> Option<T> {
        let mut end = std::pin::pin!(end);
        loop {
            tokio::select! {
                end = &mut end => return Some(end),
                _ = self.hangups.recv() => {
                    match self.has_files() {
                        true => self.reload(),
                        false if self.outlives => {}
                        false => return None,
                    }
                }
            }
        }
    }

    fn has_files(&self) -> bool {
        let config = &self.loaded.config;
        let files = [
            &self.args.config,
            &config.log.file,
            &config.admission.auth_token_file,
        ];
        files.into_iter().any(Option::is_some)
    }

    /// How long connections may take to finish.
    pub(super) fn drain(&self) -> Duration {
        self.loaded.config.shutdown.drain.0
    }

    fn reload(&mut self) {
        match Loaded::load(&self.args, &Environment::of_process()) {
            Err(fault) => say!("SIGHUP: {fault}\nSIGHUP: the configuration stays as it was"),
            Ok(new) => self.apply(new),
        }
    }

    fn apply(&mut self, mut new: Loaded) {
        match admission::rules(&new, &self.generated) {
            Ok(rules) => self.server.set_admission(rules),
            // Each origin was looked at with the file.
            Err(error) => say!("SIGHUP: {error}"),
        }
        self.tokens.set(&new, &self.generated);
        self.server.set_gate_limits(admission::gate(&new));
        let config = service::config(&new);
        self.server.set_inbox_limits(config.inbox);
        self.server.set_connection_rates(&config.rates);
        let now = |key: &String| RELOADABLE.iter().any(|known| key.starts_with(known));
        let later: Vec<_> = changes(&self.started, &new)
            .into_iter()
            .filter(|key| !now(key))
            .collect();
        let mut now: Vec<_> = changes(&self.loaded, &new)
            .into_iter()
            .filter(now)
            .collect();
        let file = new.config.log.file.clone();
        if let Err(failure) = self.logs.set_file(file.as_deref()) {
            say!("SIGHUP: {failure}; the log goes on where it was");
            new.config.log.file.clone_from(&self.loaded.config.log.file);
            now.retain(|key| key != "log.file");
        }
        if let Err(failure) = self.logs.set_level(&new.config.log.level.0) {
            say!("SIGHUP: {failure}");
        }
        match now.as_slice() {
            [] => say!("SIGHUP: nothing new to load"),
            keys => say!("SIGHUP: reloaded {}", keys.join(", ")),
        }
        if !later.is_empty() {
            say!("SIGHUP: needs a restart: {}", later.join(", "));
        }
        self.loaded = new;
    }
}

/// The keys that two configurations differ in.
fn changes(old: &Loaded, new: &Loaded) -> Vec<String> {
    let (mut before, mut after) = (flat(old), flat(new));
    let mut changed: Vec<String> = Vec::new();
    before.retain(|key, value| after.remove(key).as_ref() != Some(value));
    changed.extend(before.into_keys());
    changed.extend(after.into_keys());
    if old.auth_token != new.auth_token {
        changed.push("admission.auth-token".to_owned());
    }
    if old.config.admission.csrf != new.config.admission.csrf {
        changed.push("admission.csrf".to_owned());
    }
    changed.sort();
    changed.dedup();
    changed
}

/// Every key with its value, listeners as one.
fn flat(loaded: &Loaded) -> BTreeMap<String, Value> {
    let mut flat = BTreeMap::new();
    let mut tables = vec![(String::new(), loaded.config.to_table())];
    while let Some((parent, table)) = tables.pop() {
        for (name, value) in table {
            let key = match parent.as_str() {
                "" => name,
                parent => format!("{parent}.{name}"),
            };
            match value {
                // A token in it is compared by itself: here it is left out.
                Value::Table(inner) if key != "admission.csrf" => tables.push((key, inner)),
                value => {
                    flat.insert(key, value);
                }
            }
        }
    }
    flat
}

/// What can be changed while the server runs, for whoever comes later.
const RELOADABLE: [&str; 7] = [
    "admission.",
    "log.file",
    "log.level",
    "queue.max-",
    "rates.connection-",
    "shutdown.",
    "slow-consumer.",
];
