//! Starts servers by their names, and ends them.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp(String),
    Unix(PathBuf),
    /// On its standard input.
    Child,
}

/// A running server, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) address: Address,
    pub(crate) child: Child,
}

/// Which processors are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Processors {
    pub(crate) server: &'static [usize],
    pub(crate) driver: &'static [usize],
}

impl Processors {
    /// One for both: a round trip is then the work of the two and two context switches.
    pub(crate) const SAME: Self = Self {
        server: &[1],
        driver: &[1],
    };
    /// One each: a round trip is then mostly the time that waking the other takes.
    pub(crate) const EACH: Self = Self {
        server: &[0],
        driver: &[1],
    };
    /// Both for the server, one of them for the driver as well.
    pub(crate) const BOTH: Self = Self {
        server: &[0, 1],
        driver: &[1],
    };
}

impl Processors {
    /// The one that server and driver have together and nobody's other thread is meant to use.
    pub(crate) fn shared(self) -> Option<usize> {
        match (self.server, self.driver) {
            ([one], [other]) if one == other => Some(*one),
            _ => None,
        }
    }
}

impl Server {
    /// Starts the server `name` and waits until it listens. `options` are for ours.
    ///
    /// # Errors
    /// It does not come up.
    pub(crate) fn start(
        name: &str,
        options: &[&str],
        processors: Processors,
    ) -> Result<Self, String> {
        let failed = |error: io::Error| format!("cannot start {name}: {error}");
        let address = address_for(name).map_err(failed)?;
        let mut command = command(name, &address, options)?;
        let (input, output) = match address {
            Address::Child => (Stdio::piped(), Stdio::piped()),
            // What watches its input ends with us.
            _ => (Stdio::piped(), Stdio::null()),
        };
        // It inherits where it runs.
        peer_shapes::system::pin(processors.server);
        let child = command.stdin(input).stdout(output).spawn();
        peer_shapes::system::pin(processors.driver);
        let mut server = Self {
            name: name.to_owned(),
            address,
            child: child.map_err(failed)?,
        };
        server.wait_until_up()?;
        Ok(server)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn wait_until_up(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            let up = match &self.address {
                Address::Tcp(address) => TcpStream::connect(address).is_ok(),
                Address::Unix(path) => UnixStream::connect(path).is_ok(),
                Address::Child => true,
            };
            match self.child.try_wait() {
                Ok(None) if up => return Ok(()),
                Ok(None) if begun.elapsed() < Duration::from_secs(10) => {}
                Ok(None) => return Err(format!("{} does not listen", self.name)),
                Ok(Some(status)) => return Err(format!("{} ended with {status}", self.name)),
                Err(error) => return Err(format!("{}: {error}", self.name)),
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Address::Unix(path) = &self.address {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A program of the suite, which was built beside this one.
///
/// # Errors
/// It was not.
pub(crate) fn program(name: &str) -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let path = own.with_file_name(name);
    if path.exists() {
        Ok(path)
    } else {
        Err(format!("{} is not built", path.display()))
    }
}

fn address_for(name: &str) -> io::Result<Address> {
    if name.starts_with("stdio-") || name.starts_with("ours/stdio/") {
        return Ok(Address::Child);
    }
    if name == "raw-epoll/unix" || name.starts_with("ours/unix/") {
        let file = format!("sente-bench-{}-{}", std::process::id(), unique());
        return Ok(Address::Unix(std::env::temp_dir().join(file)));
    }
    // Free now, and taken by the server in a moment.
    let free = TcpListener::bind("127.0.0.1:0")?;
    Ok(Address::Tcp(free.local_addr()?.to_string()))
}

fn unique() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}

fn command(name: &str, address: &Address, options: &[&str]) -> Result<Command, String> {
    let address = match address {
        Address::Tcp(address) => address.clone(),
        Address::Unix(path) => path.display().to_string(),
        Address::Child => String::new(),
    };
    if let Some(script) = name.strip_prefix("node-") {
        let directory = std::env::var("PEERS_NODE").map_err(|_| "PEERS_NODE is not set")?;
        let mut command = Command::new("node");
        let script = Path::new(&directory).join(format!("{script}.js"));
        let port = address.rsplit(':').next().unwrap_or_default();
        command.arg(script).arg(port);
        return Ok(command);
    }
    let Some(ours) = name.strip_prefix("ours/") else {
        let mut command = Command::new(program("peer-servers")?);
        let plain = name.strip_suffix("/unix").unwrap_or(name);
        command.arg(plain).arg(address);
        return Ok(command);
    };
    let mut parts = ours.split('/');
    let (transport, packer) = (parts.next().unwrap_or(""), parts.next().unwrap_or("edn"));
    let mut command = Command::new(program("our-servers")?);
    for option in parts.chain(options.iter().copied()) {
        command.arg(format!("--{option}"));
    }
    command.arg(match transport {
        "ws" => format!("ws://{address}/chsk?packer={packer}"),
        "tcp" => format!("tcp://{address}?packer={packer}"),
        "unix" => format!("unix:{address}?packer={packer}"),
        _ => format!("stdio:?packer={packer}"),
    });
    Ok(command)
}
