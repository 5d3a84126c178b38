//! What the others notice of one who does not read any more.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use peer_shapes::stats::{percentile, summary};

use crate::connection::Connection;
use crate::counter::What;
use crate::fanout::Crowd;
use crate::protocol::{Protocol, Requests};
use crate::results::{Figure, Row};
use crate::server::{Processors, Server};

/// How it is done: a crowd is told events; then one more joins who reads nothing, and is told as many
/// as fill what the system and the server keep for it; then it goes. That is done several times, and
/// a round's figures are the medians of the p99 of each time.
#[derive(Clone, Debug)]
pub(crate) struct Slow {
    pub(crate) servers: &'static [&'static str],
    pub(crate) bystanders: usize,
}

/// The length of an event, as JSON.
const BYTES: usize = 4096;

/// Events until the one has no room left: 4 MB, more than the kernel keeps for a socket whose reader
/// keeps little.
const FILLING: usize = 1_000;

/// Events that are measured at a time, and how often in turn: without one who has stopped, and with.
const MEASURED: usize = 200;
const TURNS: usize = 3;

impl Slow {
    /// Has the servers do it `rounds` times in turn.
    ///
    /// # Errors
    /// A server that does not come up, or leaves bystanders out.
    pub(crate) fn measure(&self, rounds: usize) -> Result<Vec<Row>, String> {
        let mut rows: Vec<Row> = self.servers.iter().map(|name| Row::new(name)).collect();
        for _ in 0..rounds {
            for row in &mut rows {
                let figures = self
                    .one(&row.server)
                    .map_err(|problem| format!("{}: {problem}", row.server))?;
                row.add(&figures);
            }
        }
        Ok(rows)
    }

    fn one(&self, name: &str) -> Result<[(Figure, f64); 2], String> {
        let requests = Arc::new(Requests::news(Protocol::of(name), BYTES)?);
        let mut server = Server::start(name, &[], Processors::SAME)?;
        self.watch(&mut server, &requests)
            .map_err(|error| error.to_string())
    }

    fn watch(
        &self,
        server: &mut Server,
        requests: &Arc<Requests>,
    ) -> io::Result<[(Figure, f64); 2]> {
        let mut crowd = Crowd::new()?;
        crowd.grow(server, requests, self.bystanders)?;
        crowd.rest(Duration::from_millis(100))?;
        crowd.latencies(MEASURED)?;
        let (mut before, mut slowed) = (Vec::new(), Vec::new());
        // What else the machine does is the same for both where they take turns.
        for _ in 0..TURNS {
            before.push(p99(crowd.latencies(MEASURED)?));
            let deaf = Connection::open(server, requests, What::Events)?;
            deaf.keep_little()?;
            crowd.rest(Duration::from_millis(50))?;
            crowd.latencies(FILLING)?;
            slowed.push(p99(crowd.latencies(MEASURED)?));
            drop(deaf);
            // Its end is seen.
            crowd.rest(Duration::from_millis(50))?;
            crowd.latencies(MEASURED / 5)?;
        }
        Ok([
            (Figure::P99, summary(&before).median),
            (Figure::P99Slowed, summary(&slowed).median),
        ])
    }
}

fn p99(mut latencies: Vec<u64>) -> f64 {
    latencies.sort_unstable();
    percentile(&latencies, 0.99) as f64 / 1e3
}
