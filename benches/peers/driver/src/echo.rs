//! Calls in a closed loop: so many under way on each connection, each answered before it is followed
//! by another.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use peer_shapes::stats::percentile;
use peer_shapes::system::{context_switches, cpu_ns, thread_cpu_ns};
use rustix::event::{Timespec, epoll};

use crate::connection::{Connection, patience};
use crate::counter::What;
use crate::protocol::{Protocol, Requests};
use crate::results::{Figure, Row};
use crate::server::{Processors, Server};
use crate::watch::Watch;

/// How it is done.
#[derive(Clone, Debug)]
pub(crate) struct Echo {
    pub(crate) servers: &'static [&'static str],
    pub(crate) bytes: usize,
    pub(crate) connections: usize,
    pub(crate) window: usize,
    pub(crate) processors: Processors,
    /// Whether each server does all its rounds before the next begins: where the connections of all
    /// would not be open at once.
    pub(crate) whole: bool,
    /// How many rounds are enough.
    pub(crate) rounds: usize,
}

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rounds {
    pub(crate) count: usize,
    pub(crate) each: Duration,
}

/// A server and what is open to it.
struct Peer {
    server: Server,
    /// The processor that it shares with the driver.
    shared: Option<usize>,
    connections: Vec<Connection>,
    epoll: OwnedFd,
}

impl Echo {
    /// Has the servers work in turn, and gives what each did.
    ///
    /// # Errors
    /// A server that does not come up, or does not answer.
    pub(crate) fn measure(&self, rounds: Rounds) -> Result<Vec<Row>, String> {
        if !self.whole {
            return self.in_turn(self.servers, rounds);
        }
        let mut rows = Vec::new();
        for server in self.servers.chunks(1) {
            rows.extend(self.in_turn(server, rounds)?);
            // The kernel closes thousands of sockets.
            sleep(Duration::from_millis(300));
        }
        Ok(rows)
    }

    fn in_turn(&self, servers: &[&str], rounds: Rounds) -> Result<Vec<Row>, String> {
        let mut peers = Vec::new();
        for name in servers {
            peers.push(
                self.open(name)
                    .map_err(|error| format!("{name}: {error}"))?,
            );
        }
        let mut rows: Vec<Row> = servers.iter().map(|name| Row::new(name)).collect();
        // The first does not count.
        for round in 0..=rounds.count.min(self.rounds) {
            for (peer, row) in peers.iter_mut().zip(&mut rows) {
                let time = if round == 0 { FIRST } else { rounds.each };
                let figures = Round::run(peer, self.window, time)
                    .map_err(|error| format!("{}: {error}", row.server))?;
                if round > 0 {
                    row.add(&figures);
                }
            }
        }
        Ok(rows)
    }

    fn open(&self, name: &str) -> Result<Peer, String> {
        let failed = |error: io::Error| error.to_string();
        let protocol = Protocol::of(name);
        let requests = Arc::new(Requests::calls(protocol, self.bytes, self.window)?);
        let mut server = Server::start(name, &[], self.processors)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC);
        let epoll = epoll.map_err(|error| error.to_string())?;
        let mut connections = Vec::new();
        for number in 0..self.connections {
            let connection = Connection::open(&mut server, &requests, What::Messages);
            let connection = connection.map_err(failed)?;
            let data = epoll::EventData::new_u64(number as u64);
            epoll::add(&epoll, connection.reader(), data, epoll::EventFlags::IN)
                .map_err(|error| error.to_string())?;
            connections.push(connection);
            if connections.len().is_multiple_of(500) {
                // Thousands take longer than the first may wait for the answer to a ping.
                answer_pings(&mut connections, &epoll).map_err(failed)?;
            }
        }
        Ok(Peer {
            server,
            shared: self.processors.shared(),
            connections,
            epoll,
        })
    }
}

/// Reads what is there. Nothing is under way, so replies are not among it.
fn answer_pings(connections: &mut [Connection], epoll: &OwnedFd) -> io::Result<()> {
    let mut events = [const { MaybeUninit::<epoll::Event>::uninit() }; 256];
    let mut buffer = vec![0; 4096];
    let (ready, _) = epoll::wait(epoll, &mut events, Some(&Timespec::default()))?;
    for event in ready {
        let connection = &mut connections[event.data.u64() as usize];
        if let Some(read) = connection.read(&mut buffer, false)? {
            connection.count(&buffer[..read])?;
        }
    }
    Ok(())
}

const FIRST: Duration = Duration::from_millis(150);

/// So few replies have no p99.
const FEWEST: usize = 100;

impl Row {
    pub(crate) fn new(server: &str) -> Self {
        Self {
            server: server.to_owned(),
            figures: std::collections::BTreeMap::new(),
        }
    }

    /// Adds what one round gave.
    pub(crate) fn add(&mut self, figures: &[(Figure, f64)]) {
        for (figure, number) in figures {
            let rounds = self.figures.entry(*figure).or_default();
            rounds.push(five_digits(*number));
        }
    }
}

/// A number is not known more precisely than that.
fn five_digits(number: f64) -> f64 {
    format!("{number:.4e}").parse().unwrap_or(number)
}

/// One server's turn.
struct Round {
    begun: Instant,
    time: Duration,
    /// The time is over: what is under way is waited for, and nothing else is sent.
    over: bool,
    under_way: usize,
    replies: Vec<Reply>,
    watch: Option<Watch>,
}

/// When a request was sent and its reply came, in nanoseconds of the round.
#[derive(Clone, Copy, Debug)]
struct Reply {
    sent: u64,
    came: u64,
}

impl Reply {
    fn took(&self) -> u64 {
        self.came - self.sent
    }
}

impl Round {
    /// Nothing is under way when it returns.
    fn run(peer: &mut Peer, window: usize, time: Duration) -> io::Result<Vec<(Figure, f64)>> {
        let id = peer.server.id();
        let (cpu, switches, driver) = (cpu_ns(id), context_switches(id), thread_cpu_ns());
        let begun = Instant::now();
        let mut round = Self {
            begun,
            time,
            over: false,
            under_way: 0,
            replies: Vec::with_capacity(1 << 20),
            watch: peer
                .shared
                .and_then(|processor| Watch::new(id, processor, begun)),
        };
        let now = round.now();
        for connection in &mut peer.connections {
            connection.moved = 0;
            connection.to_send = window;
            connection.sent_at.extend(std::iter::repeat_n(now, window));
            round.under_way += window;
            connection.pump()?;
        }
        match &mut peer.connections[..] {
            [one] => round.one(one)?,
            many => round.many(many, &peer.epoll)?,
        }
        let took = round.begun.elapsed().as_secs_f64();
        let (cpu, switches) = (
            cpu_ns(id) - cpu,
            context_switches(id).saturating_sub(switches),
        );
        let moved: usize = peer.connections.iter().map(|one| one.moved).sum();
        let driver = thread_cpu_ns() - driver - round.watch.as_ref().map_or(0, |watch| watch.spent);
        let count = round.replies.len() as f64;
        let (latencies, left_out) = round.latencies();
        let mut figures = vec![
            (Figure::Rate, count / took),
            (Figure::Throughput, count * 1e9 / (cpu + driver) as f64),
            (Figure::P50, percentile(&latencies, 0.5) as f64 / 1e3),
            (Figure::P99, percentile(&latencies, 0.99) as f64 / 1e3),
            (Figure::Cpu, cpu as f64 / count),
            (Figure::Switches, switches as f64 / count),
            (Figure::Wire, moved as f64 / count),
            (Figure::Driver, driver as f64 / 1e7 / took),
        ];
        figures.extend(left_out.map(|share| (Figure::LeftOut, share * 100.0)));
        Ok(figures)
    }

    /// Those that no other program was in the way of, sorted, and the share of time that was left out.
    /// All of them where too few would be left.
    fn latencies(self) -> (Vec<u64>, Option<f64>) {
        let now = self.now();
        let disturbed = self.watch.map(|watch| watch.end(now));
        let mut latencies = disturbed.as_ref().map_or_else(Vec::new, |disturbed| {
            let undisturbed = |reply: &&Reply| !disturbed.touches(reply.sent, reply.came);
            let mut took: Vec<u64> = self
                .replies
                .iter()
                .filter(undisturbed)
                .map(Reply::took)
                .collect();
            took.sort_unstable();
            let long = percentile(&took, 0.999);
            // As long for all: of those that were sent shortly before a disturbance only the quick
            // would be kept otherwise.
            let clear = |reply: &&Reply| !disturbed.touches(reply.sent, reply.sent + long);
            let clear = self.replies.iter().filter(clear);
            clear.map(Reply::took).collect()
        });
        let mut left_out = disturbed.map(|disturbed| disturbed.time as f64 / now as f64);
        if latencies.len() < FEWEST.min(self.replies.len()) {
            latencies = self.replies.iter().map(Reply::took).collect();
            left_out = left_out.map(|_| 1.0);
        }
        latencies.sort_unstable();
        (latencies, left_out)
    }

    /// Whether what is measured at this time of the round is the last: when so much of it was not
    /// disturbed as it is long, or it took five times as long.
    fn is_over(&self, now: u64) -> bool {
        let time = self.time.as_nanos() as u64;
        let left = self.watch.as_ref().map_or(now, |watch| watch.left(now));
        left >= time || now >= 5 * time
    }

    fn now(&self) -> u64 {
        self.begun.elapsed().as_nanos() as u64
    }

    /// Without waiting for readiness first: that would be another system call.
    fn one(&mut self, connection: &mut Connection) -> io::Result<()> {
        let mut buffer = vec![0; READ_BYTES];
        while self.under_way > 0 {
            connection.pump()?;
            if let Some(read) = connection.read(&mut buffer, true)? {
                self.take(connection, &buffer[..read])?;
            }
        }
        Ok(())
    }

    fn many(&mut self, connections: &mut [Connection], epoll: &OwnedFd) -> io::Result<()> {
        let mut buffer = vec![0; READ_BYTES];
        let mut events = [const { MaybeUninit::<epoll::Event>::uninit() }; 256];
        while self.under_way > 0 {
            let (ready, _) = epoll::wait(epoll, &mut events, Some(&patience()))?;
            if ready.is_empty() {
                return Err(io::Error::other("it has stopped answering"));
            }
            for event in ready {
                let connection = &mut connections[event.data.u64() as usize];
                connection.pump()?;
                if let Some(read) = connection.read(&mut buffer, false)? {
                    self.take(connection, &buffer[..read])?;
                    connection.pump()?;
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, connection: &mut Connection, bytes: &[u8]) -> io::Result<()> {
        let replies = connection.count(bytes)?;
        if replies == 0 {
            return Ok(());
        }
        let now = self.now();
        if let Some(watch) = &mut self.watch {
            watch.at(now);
        }
        self.over |= self.is_over(now);
        for _ in 0..replies {
            let Some(sent) = connection.sent_at.pop_front() else {
                let said = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]);
                return Err(io::Error::other(format!("a reply too many: {said:?}")));
            };
            self.replies.push(Reply { sent, came: now });
        }
        self.under_way -= replies;
        if !self.over {
            connection.to_send += replies;
            connection.sent_at.extend(std::iter::repeat_n(now, replies));
            self.under_way += replies;
        }
        Ok(())
    }
}

const READ_BYTES: usize = 256 * 1024;
