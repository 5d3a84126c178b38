//! A driver that knows what its link is, to compare the one that does not with.

use std::io;
use std::sync::Arc;

use sente_core::{Accept, Connection, ConnectionConfig, Role};

use crate::budget::SharedRecvBudget;
use crate::clock::Clock;
use crate::connection::start_with;
use crate::events::Events;
use crate::handle::Handle;
use crate::link::{Link, Transport};
use crate::runtime::Tokio;
use crate::seed::{conn_id, random};

/// Drives a connection on `runtime` over `link`, both of them known when this is compiled; a server
/// lets its client in. Without this function there is one driver for all links, behind pointers:
/// it is for benchmarks, and does nothing that [`connect_over`](crate::connect_over) does before.
///
/// # Errors
/// The system has no randomness to give.
pub fn start_unerased<L: Link + 'static>(
    config: Arc<ConnectionConfig>,
    link: L,
    runtime: &Tokio,
) -> io::Result<(Handle, Events)> {
    let clock = Clock::start(Arc::new(runtime.clone()));
    let (role, id) = (config.role(), conn_id()?);
    let mut connection = Connection::new(config, random()?, clock.now());
    if role == Role::Server {
        connection.accept(clock.now(), Accept::new(id.to_string()));
    }
    let transport = Transport::over(Box::new(link), "unerased".to_owned());
    let runtime = runtime.clone();
    let timer = move |_: &Clock| Box::new(runtime.own_timer());
    let budget = SharedRecvBudget::of_process();
    Ok(start_with(connection, clock, id, transport, timer, &budget))
}
