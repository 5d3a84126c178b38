//! Many connections at once: how quickly they open, and open again when all were lost.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use peer_shapes::system::cpu_ns;

use crate::connection::Connection;
use crate::counter::What;
use crate::protocol::{Protocol, Requests};
use crate::results::{Figure, Row};
use crate::server::{Address, Processors, Server};

/// How it is done.
#[derive(Clone, Debug)]
pub(crate) struct Storm {
    pub(crate) servers: &'static [&'static str],
    pub(crate) connections: usize,
    /// How many are opened at the same time.
    pub(crate) at_once: usize,
    /// Whether as many are lost just before.
    pub(crate) again: bool,
}

impl Storm {
    /// Has each server take its clients, `rounds` times in turn.
    ///
    /// # Errors
    /// A server that does not come up, or does not let everybody in.
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

    fn one(&self, name: &str) -> Result<[(Figure, f64); 3], String> {
        let requests = Arc::new(Requests::news(Protocol::of(name), 200)?);
        let server = Server::start(name, &[], Processors::SAME)?;
        let failed = |error: io::Error| error.to_string();
        if self.again {
            drop(self.open(&server.address, &requests).map_err(failed)?);
        }
        let (cpu, begun) = (cpu_ns(server.id()), Instant::now());
        let connections = self.open(&server.address, &requests).map_err(failed)?;
        let took = begun.elapsed().as_secs_f64();
        // What comes behind the last handshake is work, too.
        thread::sleep(Duration::from_millis(50));
        let cpu = (cpu_ns(server.id()) - cpu) as f64;
        let count = connections.len() as f64;
        Ok([
            (Figure::Rate, count / took),
            (Figure::Cpu, cpu / count),
            (Figure::Last, took * 1e3),
        ])
    }

    fn open(&self, address: &Address, requests: &Arc<Requests>) -> io::Result<Vec<Connection>> {
        let share = self.connections / self.at_once;
        let some = || {
            let one = |_| Connection::connect(address, requests, What::Events);
            (0..share).map(one).collect::<io::Result<Vec<_>>>()
        };
        thread::scope(|scope| {
            let threads: Vec<_> = (0..self.at_once).map(|_| scope.spawn(some)).collect();
            let mut all = Vec::new();
            for thread in threads {
                let opened = thread.join();
                all.extend(opened.map_err(|_| io::Error::other("a thread panicked"))??);
            }
            Ok(all)
        })
    }
}
