//! The hub's part in the demo: it gathers the clients, lets them act, and speaks to each and all.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sente_adapters::{CallFailure, ConnectOptions, Handle, Url, connect};
use sente_core::edn::{Map, Value};
use sente_core::{ConnId, Event, SendError, Target};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::table::{Row, Table, show_time};
use super::{Urls, client};
use crate::exit::Failure;
use crate::serve::parse;
use crate::server::{Heard, Reached, Server};
use crate::text::{event, keyword, show_event, show_payload};

/// A client, its way to the hub, and its connection there.
#[derive(Clone, Debug)]
struct Guest {
    name: &'static str,
    transport: &'static str,
    dialect: &'static str,
    id: ConnId,
}

/// The show.
pub(crate) struct Show {
    server: Arc<Server>,
    heard: mpsc::UnboundedReceiver<Heard>,
    guests: Vec<Guest>,
    table: Table,
    /// The clients of this process, and the hub's end of the child.
    tasks: Vec<JoinHandle<()>>,
    handles: Vec<Handle>,
    doing: String,
    reached: Option<Reached>,
    notes: u64,
}

impl Show {
    /// A show for a hub that reports what its demo clients say to `heard`.
    pub(crate) fn new(server: Arc<Server>, heard: mpsc::UnboundedReceiver<Heard>) -> Self {
        Self {
            server,
            heard,
            guests: Vec::new(),
            table: Table::default(),
            tasks: Vec::new(),
            handles: Vec::new(),
            doing: String::new(),
            reached: None,
            notes: 0,
        }
    }

    /// Plays it all.
    pub(crate) async fn play(&mut self, urls: &Urls) -> Result<(), Failure> {
        self.join("ada", "WebSocket", "sente", &urls.sente).await?;
        self.join("bob", "WebSocket", "sente-lite", &urls.lite)
            .await?;
        self.join("cleo", "TCP", "sente-lite", &urls.tcp).await?;
        self.join("dan", "Unix socket", "sente-lite", &urls.unix)
            .await?;
        self.spawn("eve").await?;
        let guests = self.guests.clone();
        let mut reports = Vec::new();
        for guest in &guests {
            reports.push(self.act(guest).await?);
        }
        // Grouped by what was done, as the rest of the table is.
        for index in 0..ACTS {
            for (guest, report) in guests.iter().zip(&reports) {
                self.take_report(guest, report.get(index))?;
            }
        }
        for guest in &guests {
            self.ask(guest).await?;
        }
        for guest in &guests {
            self.push(guest).await?;
        }
        self.broadcast(&guests).await
    }

    /// What it was doing last, for when it takes too long.
    pub(crate) fn doing(&self) -> &str {
        &self.doing
    }

    /// What has been said so far.
    pub(crate) const fn table(&self) -> &Table {
        &self.table
    }

    /// The show in one line.
    pub(crate) fn summary(&self) -> String {
        let mut times: Vec<Duration> = self.table.times().collect();
        times.sort_unstable();
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        let mut text = format!(
            "\n{} round trips over {} links, median {}",
            times.len(),
            self.guests.len(),
            show_time(median)
        );
        if let Some(reached) = self.reached {
            // Writing to a string does not fail.
            let _ = write!(
                text,
                "; the broadcast was packed {} for {} connections",
                if reached.packings == 1 {
                    "once".to_owned()
                } else {
                    format!("{} times", reached.packings)
                },
                reached.connections
            );
        }
        text.push_str(".\n");
        text
    }

    /// Sends the clients home.
    pub(crate) async fn end(&mut self) {
        for handle in &self.handles {
            handle.drain(GOODBYE);
        }
        for mut task in self.tasks.drain(..) {
            if tokio::time::timeout(GOODBYE, &mut task).await.is_err() {
                task.abort();
            }
        }
    }

    /// Connects a client in this process.
    async fn join(
        &mut self,
        name: &'static str,
        transport: &'static str,
        dialect: &'static str,
        url: &Url,
    ) -> Result<(), Failure> {
        self.doing = format!("{name} connects to {url}");
        let mut options = ConnectOptions::default();
        if dialect == "sente" {
            options.client_id = Some(name.to_owned());
        }
        let (handle, events) = connect(url, &options)
            .await
            .map_err(|error| Failure::other(format!("{name} cannot connect to {url}: {error}")))?;
        self.handles.push(handle.clone());
        self.tasks
            .push(tokio::spawn(client::play(name.to_owned(), handle, events)));
        self.welcome(name, transport, dialect).await
    }

    /// Starts a client in a process of its own.
    async fn spawn(&mut self, name: &'static str) -> Result<(), Failure> {
        self.doing = format!("{name} is started as a child process");
        let program = std::env::current_exe()
            .map_err(|error| Failure::other(format!("cannot find this program: {error}")))?;
        let program = program
            .to_str()
            .ok_or_else(|| Failure::other("the path of this program is not UTF-8"))?;
        let url = parse(&format!("exec:{} demo --child {name}", quote(program)))?;
        let (handle, events) = connect(&url, &ConnectOptions::default())
            .await
            .map_err(|error| Failure::other(format!("cannot start a child process: {error}")))?;
        self.handles.push(handle.clone());
        let server = Arc::clone(&self.server);
        self.tasks.push(tokio::spawn(async move {
            server.serve(handle, events, name.to_owned()).await;
        }));
        self.welcome(name, "child stdio", "sente-lite").await
    }

    /// Waits until a client has said its name.
    async fn welcome(
        &mut self,
        name: &'static str,
        transport: &'static str,
        dialect: &'static str,
    ) -> Result<(), Failure> {
        self.doing = format!("{name} says hello over {transport}");
        let said = self.hear("demo/hello", None).await?;
        self.guests.push(Guest {
            name,
            transport,
            dialect,
            id: said.from,
        });
        Ok(())
    }

    /// Lets a client call the hub and say something; what it reports.
    async fn act(&mut self, guest: &Guest) -> Result<Vec<Value>, Failure> {
        self.doing = format!("{} calls the hub over {}", guest.name, guest.transport);
        self.send(guest, "demo/act", Value::Nil).await?;
        let report = self.hear("demo/report", Some(guest.id)).await?;
        let report = report.event.data.map(|data| data.to_value());
        match report {
            Some(Ok(Value::Vector(rows))) => Ok(rows.into_iter().collect()),
            _ => Err(Failure::other(format!(
                "{} reports nothing readable",
                guest.name
            ))),
        }
    }

    fn take_report(&mut self, guest: &Guest, report: Option<&Value>) -> Result<(), Failure> {
        let text = |key: &str| {
            let value = report.and_then(|report| report.get_keyword(key));
            value.and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let number = report.and_then(|report| report.get_keyword("nanos")?.as_i64());
        let nanos = number.and_then(|number| u64::try_from(number).ok());
        let right = report.and_then(|report| report.get_keyword("right")?.as_bool());
        let row = Row {
            from: guest.name.to_owned(),
            to: "hub".to_owned(),
            transport: guest.transport,
            dialect: guest.dialect,
            what: text("what"),
            said: text("said"),
            answer: text("answer"),
            took: nanos.map(Duration::from_nanos),
        };
        let failed = format!(
            "the {} of {} over {}: {}",
            row.what, row.from, row.transport, row.answer
        );
        self.table.push(row);
        match right {
            Some(true) => Ok(()),
            _ => Err(Failure::other(failed)),
        }
    }

    /// Calls a client from the hub.
    async fn ask(&mut self, guest: &Guest) -> Result<(), Failure> {
        self.doing = format!("the hub calls {} over {}", guest.name, guest.transport);
        let handle = self.handle(guest)?;
        let question = make("demo/ask", keyword("name"))?;
        let said = show_event(&question);
        let began = Instant::now();
        let (answer, took) = match handle.call(question, PATIENCE).await {
            Ok(reply) => {
                let took = began.elapsed();
                let name = reply.to_value().ok();
                if name.as_ref().and_then(Value::as_str) != Some(guest.name) {
                    return Err(Failure::other(format!("{} gives a wrong name", guest.name)));
                }
                (show_payload(&reply).unwrap_or_default(), Some(took))
            }
            Err(CallFailure::Refused(SendError::CallsUnsupported(_))) => {
                ("(Sente has no calls to clients)".to_owned(), None)
            }
            Err(error) => {
                return Err(Failure::other(format!(
                    "the hub calls {} over {}: {error:?}",
                    guest.name, guest.transport
                )));
            }
        };
        self.add(guest, "call", said, answer, took);
        Ok(())
    }

    /// Pushes an event to one user; the client says that it has got it.
    async fn push(&mut self, guest: &Guest) -> Result<(), Failure> {
        self.doing = format!("the hub pushes to {} over {}", guest.name, guest.transport);
        let note = self.note()?;
        let said = show_event(&note);
        let began = Instant::now();
        let user = Target::User(guest.name.into());
        let reached = self.server.tell(&user, &note).await;
        let reached = reached.map_err(Failure::other)?;
        if reached.connections != 1 {
            return Err(Failure::other(format!(
                "a push to {} reached {} connections",
                guest.name, reached.connections
            )));
        }
        let got = self.hear("demo/got", Some(guest.id)).await?;
        let took = began.elapsed();
        self.add(guest, "push", said, show_event(&got.event), Some(took));
        Ok(())
    }

    /// Says one thing to all; every client says that it has got it.
    async fn broadcast(&mut self, guests: &[Guest]) -> Result<(), Failure> {
        "the hub says something to everybody".clone_into(&mut self.doing);
        let note = self.note()?;
        let said = show_event(&note);
        let began = Instant::now();
        let reached = self.server.tell(&Target::All, &note).await;
        let reached = reached.map_err(Failure::other)?;
        self.reached = Some(reached);
        let mut answers: Vec<Option<(String, Duration)>> = vec![None; guests.len()];
        while answers.iter().any(Option::is_none) {
            let got = self.hear("demo/got", None).await?;
            let took = began.elapsed();
            let from = guests.iter().position(|guest| guest.id == got.from);
            if let Some(answer) = from.and_then(|at| answers.get_mut(at)) {
                *answer = Some((show_event(&got.event), took));
            }
        }
        for (guest, (answer, took)) in guests.iter().zip(answers.into_iter().flatten()) {
            self.add(guest, "broadcast", said.clone(), answer, Some(took));
        }
        if reached.packings != 1 || reached.connections != guests.len() {
            return Err(Failure::other(format!(
                "the broadcast was packed {} times for {} connections, not once for {}",
                reached.packings,
                reached.connections,
                guests.len()
            )));
        }
        Ok(())
    }

    fn add(
        &mut self,
        guest: &Guest,
        what: &str,
        said: String,
        answer: String,
        took: Option<Duration>,
    ) {
        self.table.push(Row {
            from: "hub".to_owned(),
            to: guest.name.to_owned(),
            transport: guest.transport,
            dialect: guest.dialect,
            what: what.to_owned(),
            said,
            answer,
            took,
        });
    }

    /// A numbered note, so that no answer can be taken for another.
    fn note(&mut self) -> Result<Event, Failure> {
        self.notes += 1;
        let data = Map::from([(keyword("note"), Value::from(self.notes))]);
        make("demo/note", Value::from(data))
    }

    async fn send(&self, guest: &Guest, id: &str, data: Value) -> Result<(), Failure> {
        let sent = self.handle(guest)?.send(make(id, data)?).await;
        sent.map_err(|error| Failure::other(format!("{} cannot be told: {error}", guest.name)))
    }

    fn handle(&self, guest: &Guest) -> Result<Handle, Failure> {
        self.server
            .handle(guest.id)
            .ok_or_else(|| Failure::other(format!("{} has left", guest.name)))
    }

    /// The next event with this id, from that connection if one is given.
    async fn hear(&mut self, id: &str, from: Option<ConnId>) -> Result<Heard, Failure> {
        let heard = async {
            while let Some(heard) = self.heard.recv().await {
                let from = from.is_none_or(|from| from == heard.from);
                if from && heard.event.id.as_str() == id {
                    return Some(heard);
                }
            }
            None
        };
        match tokio::time::timeout(PATIENCE, heard).await {
            Ok(Some(heard)) => Ok(heard),
            _ => Err(Failure::other(format!("nothing came back: {}", self.doing))),
        }
    }
}

fn make(id: &str, data: Value) -> Result<Event, Failure> {
    event(id, data).ok_or_else(|| Failure::other(format!("{id} is no event id")))
}

/// A word that a shell, and what splits like one, takes as it is.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// How many things a client does when it is told to act.
const ACTS: usize = 2;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the clients may take to leave.
const GOODBYE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn a_quoted_word_stays_one_word() {
        assert_eq!(quote("/a b/s"), "'/a b/s'");
        assert_eq!(quote("it's"), r"'it'\''s'");
    }
}
