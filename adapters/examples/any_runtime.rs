//! The same program on tokio, on smol, on async-std, on an executor of one's own, and on none.
//!
//! With the name of one behind `--`, it runs on that alone.
//!
//! ```console
//! $ cargo run -p sente-adapters --features smol,blocking --example any_runtime
//! tokio: 41 and one are 42
//! smol: 41 and one are 42
//! async-std: 41 and one are 42
//! own: 41 and one are 42
//! none: 41 and one are 42
//! ```
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use sente_adapters::{
    AsyncIo, ConnectOptions, ListenOptions, Listener, Runtime, Tokio, blocking, connect,
};
use sente_core::{Accept, ConnectionEvent, Event, EventId};

type Outcome = Result<Option<i64>, Box<dyn Error + Send + Sync>>;

const RUNTIMES: [&str; 5] = ["tokio", "smol", "async-std", "own", "none"];

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let wanted = std::env::args().nth(1);
    let is_wanted = |name: &&str| wanted.as_deref().is_none_or(|wanted| wanted == *name);
    for runtime in RUNTIMES.into_iter().filter(is_wanted) {
        let sum = match runtime {
            "tokio" => on_tokio(),
            "smol" => on_smol(),
            "async-std" => on_async_std(),
            "own" => on_an_executor_of_its_own(),
            _ => without_a_runtime(),
        };
        println!("{runtime}: 41 and one are {}", sum?.ok_or("no number")?);
    }
    Ok(())
}

fn on_tokio() -> Outcome {
    let tokio = tokio::runtime::Runtime::new()?;
    let runtime = Tokio::new(tokio.handle().clone());
    tokio.block_on(program(Arc::new(runtime)))
}

fn on_smol() -> Outcome {
    smol::block_on(program(Arc::new(AsyncIo::smol())))
}

fn on_async_std() -> Outcome {
    let runtime = AsyncIo::new(|task| {
        async_std::task::spawn(task);
    });
    async_std::task::block_on(program(Arc::new(runtime)))
}

fn on_an_executor_of_its_own() -> Outcome {
    let executor = Arc::new(smol::Executor::new());
    let spawner = executor.clone();
    let runtime = AsyncIo::new(move |task| spawner.spawn(task).detach());
    smol::block_on(executor.run(program(Arc::new(runtime))))
}

/// A server that adds one, and a client that asks it.
async fn program(runtime: Arc<dyn Runtime>) -> Outcome {
    let mut listening = ListenOptions::default();
    listening.runtime = Some(runtime.clone());
    let mut listener = Listener::bind(&"tcp://127.0.0.1:0".parse()?, listening).await?;
    let url = listener.url().clone();
    runtime.spawn(Box::pin(async move {
        while let Some(Ok(incoming)) = listener.accept().await {
            let Ok((handle, mut events)) = incoming.accept(Accept::new("client")).await else {
                return;
            };
            while let Some(event) = events.next().await {
                if let ConnectionEvent::Message(message) = event
                    && let Some(token) = message.reply
                {
                    let number = message
                        .event
                        .data
                        .and_then(|data| data.to_value().ok()?.as_i64());
                    let _ = handle.reply(token, number.unwrap_or_default() + 1);
                }
            }
        }
    }));
    let mut options = ConnectOptions::default();
    options.runtime = Some(runtime);
    let (handle, _events) = connect(&url, &options).await?;
    let event = Event::new(EventId::new("test/add-one")?, 41);
    let reply = handle.call(event, Duration::from_secs(5)).await?;
    Ok(reply.to_value()?.as_i64())
}

/// The same with methods that wait, on plain threads.
fn without_a_runtime() -> Outcome {
    let url = "tcp://127.0.0.1:0".parse()?;
    let mut listener = blocking::Listener::bind(&url, ListenOptions::default())?;
    let url = listener.url().clone();
    std::thread::spawn(move || {
        while let Some(Ok(incoming)) = listener.accept() {
            let Ok((handle, events)) = incoming.accept(Accept::new("client")) else {
                return;
            };
            for event in events {
                if let ConnectionEvent::Message(message) = event
                    && let Some(token) = message.reply
                {
                    let number = message
                        .event
                        .data
                        .and_then(|data| data.to_value().ok()?.as_i64());
                    let _ = handle.reply(token, number.unwrap_or_default() + 1);
                }
            }
        }
    });
    let (handle, _events) = blocking::connect(&url, &ConnectOptions::default())?;
    let event = Event::new(EventId::new("test/add-one")?, 41);
    let reply = handle.call(event, Duration::from_secs(5))?;
    Ok(reply.to_value()?.as_i64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokio_carries_it() {
        assert_eq!(on_tokio().unwrap(), Some(42));
    }

    #[test]
    fn smol_carries_it() {
        assert_eq!(on_smol().unwrap(), Some(42));
    }

    #[test]
    fn async_std_carries_it() {
        assert_eq!(on_async_std().unwrap(), Some(42));
    }

    #[test]
    fn an_executor_of_ones_own_carries_it() {
        assert_eq!(on_an_executor_of_its_own().unwrap(), Some(42));
    }

    #[test]
    fn threads_carry_it() {
        assert_eq!(without_a_runtime().unwrap(), Some(42));
    }
}
