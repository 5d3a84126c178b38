//! Events that one says and everybody is told, and the memory of those who are told.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use peer_shapes::system::{cpu_ns, private_kib};
use rustix::event::epoll;

use crate::connection::{Connection, patience};
use crate::counter::What;
use crate::protocol::{Protocol, Requests};
use crate::results::{Figure, Row};
use crate::server::{Processors, Server};

/// How it is done.
#[derive(Clone, Debug)]
pub(crate) struct FanOut {
    pub(crate) servers: &'static [&'static str],
    pub(crate) connections: usize,
    /// How many events are said at once.
    pub(crate) burst: usize,
    /// How many more there are who have stopped reading.
    pub(crate) deaf: usize,
}

/// The length of an event, as JSON.
const BYTES: usize = 200;

/// What those who do not read are told first: so many events of this length as JSON, more than the
/// system keeps for a socket.
const FILLING: (usize, usize) = (60, 65536);

/// As many are open before memory is first looked at.
const WARM: usize = 8;

impl FanOut {
    /// Has each server tell everybody `rounds` times, and all of them so `often` in turn: their
    /// connections would not all be open at once.
    ///
    /// # Errors
    /// A server that does not come up, or does not tell everybody.
    pub(crate) fn measure(&self, often: usize, rounds: usize) -> Result<Vec<Row>, String> {
        let mut rows: Vec<Row> = self.servers.iter().map(|name| Row::new(name)).collect();
        for _ in 0..often {
            for row in &mut rows {
                let name = row.server.clone();
                self.one(&name, rounds, row)
                    .map_err(|problem| format!("{name}: {problem}"))?;
                // The kernel closes thousands of sockets.
                sleep(Duration::from_millis(300));
            }
        }
        Ok(rows)
    }

    fn one(&self, name: &str, rounds: usize, row: &mut Row) -> Result<(), String> {
        let failed = |error: io::Error| error.to_string();
        let requests = Arc::new(Requests::news(Protocol::of(name), BYTES)?);
        let mut server = Server::start(name, &[], Processors::SAME)?;
        let mut crowd = Crowd::new().map_err(failed)?;
        crowd.grow(&mut server, &requests, WARM).map_err(failed)?;
        crowd.rest(Duration::from_millis(200)).map_err(failed)?;
        let before = private_kib(server.id());
        let _deaf = self.fill_deaf(&mut server, &mut crowd).map_err(failed)?;
        crowd
            .grow(&mut server, &requests, self.connections)
            .map_err(failed)?;
        crowd.rest(Duration::from_millis(500)).map_err(failed)?;
        let added = (self.connections - WARM) as f64;
        let per_connection = |now: u64| now.saturating_sub(before) as f64 / added;
        // What is kept for those who do not read is another matter.
        let weighed = self.deaf == 0;
        if weighed {
            row.add(&[(Figure::Memory, per_connection(private_kib(server.id())))]);
        }
        for round in 0..=rounds {
            let figures = crowd.told(&server, self.burst).map_err(failed)?;
            if round > 0 {
                row.add(&figures);
            }
        }
        if weighed {
            crowd.rest(Duration::from_secs(1)).map_err(failed)?;
            let after = per_connection(private_kib(server.id()));
            row.add(&[(Figure::MemoryAfter, after)]);
        }
        Ok(())
    }
}

impl FanOut {
    /// Has those who read nothing join, and be told as much as fills what is kept for them; the few
    /// who are there already hear it, too.
    fn fill_deaf(&self, server: &mut Server, crowd: &mut Crowd) -> io::Result<Vec<Connection>> {
        let (count, bytes) = FILLING;
        let long = Requests::news(Protocol::of(&server.name), bytes);
        let long = Arc::new(long.map_err(io::Error::other)?);
        let mut deaf = Vec::new();
        for _ in 0..self.deaf {
            let one = Connection::open(server, &long, What::Events)?;
            one.keep_little()?;
            deaf.push(one);
        }
        if let Some(first) = deaf.first_mut() {
            for _ in 0..count {
                first.to_send = 1;
                while !first.pump()? {}
                crowd.hear(1)?;
            }
        }
        Ok(deaf)
    }
}

/// Those who are told.
pub(crate) struct Crowd {
    connections: Vec<Connection>,
    epoll: OwnedFd,
    buffer: Vec<u8>,
}

impl Crowd {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            connections: Vec::new(),
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            buffer: vec![0; 64 * 1024],
        })
    }

    pub(crate) fn grow(
        &mut self,
        server: &mut Server,
        requests: &Arc<Requests>,
        size: usize,
    ) -> io::Result<()> {
        while self.connections.len() < size {
            let connection = Connection::open(server, requests, What::Events)?;
            let data = epoll::EventData::new_u64(self.connections.len() as u64);
            let reader = connection.reader();
            epoll::add(&self.epoll, reader, data, epoll::EventFlags::IN)?;
            self.connections.push(connection);
            if self.connections.len().is_multiple_of(500) {
                // Thousands take longer than the first may wait for the answer to a ping.
                while self.read_all(Duration::ZERO)?.is_some() {}
            }
        }
        Ok(())
    }

    /// Answers pings for a while.
    pub(crate) fn rest(&mut self, time: Duration) -> io::Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.read_all(Duration::ZERO)?;
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// One says `burst` events, and all are told.
    fn told(&mut self, server: &Server, burst: usize) -> io::Result<[(Figure, f64); 3]> {
        let cpu = cpu_ns(server.id());
        let begun = Instant::now();
        if let Some(first) = self.connections.first_mut() {
            first.to_send = burst;
            while !first.pump()? {}
        }
        let wanted = self.connections.len() * burst;
        let half = self.hear(burst)?.duration_since(begun).as_secs_f64() * 1e3;
        let last = begun.elapsed().as_secs_f64() * 1e3;
        // What comes behind the last delivery is its work, too.
        sleep(Duration::from_millis(30));
        let cpu = cpu_ns(server.id()) - cpu;
        Ok([
            (Figure::Cpu, cpu as f64 / wanted as f64),
            (Figure::Half, half),
            (Figure::Last, last),
        ])
    }

    /// Reads until everybody was told `burst` events, and says when half of that was done.
    fn hear(&mut self, burst: usize) -> io::Result<Instant> {
        let wanted = self.connections.len() * burst;
        let (mut told, mut half) = (0, None);
        while told < wanted {
            let more = self.read_all(Duration::from_secs(20))?;
            if more.is_none() {
                let what = format!("it told {told} of {wanted}");
                return Err(io::Error::other(what));
            }
            told += more.unwrap_or(0);
            if half.is_none() && told * 2 >= wanted {
                half = Some(Instant::now());
            }
        }
        Ok(half.unwrap_or_else(Instant::now))
    }

    /// One says so many events, each when all were told the last; how long each delivery took, in
    /// nanoseconds.
    pub(crate) fn latencies(&mut self, count: usize) -> io::Result<Vec<u64>> {
        let mut latencies = Vec::with_capacity(count * self.connections.len());
        for _ in 0..count {
            let begun = Instant::now();
            if let Some(first) = self.connections.first_mut() {
                first.to_send = 1;
                while !first.pump()? {}
            }
            let mut told = 0;
            while told < self.connections.len() {
                let more = self.read_all(Duration::from_secs(20))?;
                let more = more.ok_or_else(|| io::Error::other("it has stopped telling"))?;
                let took = begun.elapsed().as_nanos() as u64;
                latencies.extend(std::iter::repeat_n(took, more));
                told += more;
            }
        }
        Ok(latencies)
    }

    /// Reads what is there, once; how many events that was, or `None` if nothing came in time.
    fn read_all(&mut self, time: Duration) -> io::Result<Option<usize>> {
        let mut events = [const { MaybeUninit::<epoll::Event>::uninit() }; 1024];
        let mut timeout = patience();
        timeout.tv_sec = time.as_secs() as i64;
        let (ready, _) = epoll::wait(&self.epoll, &mut events, Some(&timeout))?;
        if ready.is_empty() {
            return Ok(None);
        }
        let mut told = 0;
        for event in ready {
            let connection = &mut self.connections[event.data.u64() as usize];
            if let Some(read) = connection.read(&mut self.buffer, false)? {
                told += connection.count(&self.buffer[..read])?;
            }
        }
        Ok(Some(told))
    }
}
