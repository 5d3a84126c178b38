//! `sente serve`: listeners, their announcement, and an orderly end.

use std::sync::Arc;

use sente_adapters::{ConnectOptions, ListenOptions, Listener, Url, connect};
use sente_core::Dialect;

use crate::args::{PackerAt, ServeArgs};
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{put, say};
use crate::server::Server;
use crate::signals::Signals;

/// Serves until the process is asked to end, or its parent hangs up.
pub(crate) async fn run(args: ServeArgs, mut signals: Signals) -> Outcome {
    let options = listen_options(&args)?;
    let mut listeners = Vec::new();
    for url in urls(&args)? {
        listeners.push(bind(&url, options.clone()).await?);
    }
    let announcement: String = listeners
        .iter()
        .map(|listener| format!("listening {}\n", listener.url()))
        .collect();
    let server = Server::new(args.csrf.clone());
    let alone = listeners.is_empty();
    let tasks: Vec<_> = listeners
        .into_iter()
        .map(|listener| server.listen(listener))
        .collect();
    let child = if args.stdio {
        // Standard output is the link.
        for line in announcement.lines() {
            say!("{line}");
        }
        tokio::select! {
            child = serve_parent(&server, &options) => Some(child?),
            // The parent has not said a word yet.
            () = signals.asked() => None,
        }
    } else {
        put(announcement.as_bytes())
            .map_err(|error| Failure::other(format!("cannot say what is ready: {error}")))?;
        None
    };
    match child {
        Some(child) if alone => {
            tokio::select! {
                _ = child => {}
                () = signals.asked() => {}
            }
        }
        _ => signals.asked().await,
    }
    for task in tasks {
        task.abort();
        // An aborted task is an error by nature; what matters is that its socket is closed.
        let _ = task.await;
    }
    server.drain().await;
    Ok(Exit::Success)
}

/// Starts to listen.
pub(crate) async fn bind(url: &Url, options: ListenOptions) -> Result<Listener, Failure> {
    Listener::bind(url, options).await.map_err(Failure::other)
}

/// A URL this program has put together.
pub(crate) fn parse(url: &str) -> Result<Url, Failure> {
    url.parse()
        .map_err(|error| Failure::usage(format!("cannot use {url}: {error}")))
}

async fn serve_parent(
    server: &Arc<Server>,
    listening: &ListenOptions,
) -> Result<tokio::task::JoinHandle<()>, Failure> {
    let mut options = ConnectOptions::default();
    options.dialect = listening.dialect;
    options.packer.clone_from(&listening.packer);
    let (handle, events) = connect(&parse("stdio:")?, &options)
        .await
        .map_err(|error| Failure::closed(format!("cannot use standard input: {error}")))?;
    let server = Arc::clone(server);
    Ok(tokio::spawn(async move {
        server.serve(handle, events, "parent".to_owned()).await;
    }))
}

/// How to listen.
fn listen_options(args: &ServeArgs) -> Result<ListenOptions, Failure> {
    let mut options = ListenOptions::default();
    options.dialect = args.dialect.map(Dialect::from);
    for PackerAt { path, packer } in args.packer.iter().cloned() {
        let packer = packer.into_packer();
        let twice = |at: &str| Failure::usage(format!("--packer: there are two for {at}"));
        match path {
            Some(path) if args.ws.is_empty() => {
                return Err(Failure::usage(format!(
                    "--packer {path}={}: only WebSockets have paths, and there is no --ws",
                    packer.name()
                )));
            }
            Some(path) if options.packer_by_path.iter().any(|(at, _)| *at == path) => {
                return Err(twice(&path));
            }
            Some(path) => options.packer_by_path.push((path, packer)),
            None if options.packer.is_some() => return Err(twice("the same listeners")),
            None => options.packer = Some(packer),
        }
    }
    Ok(options)
}

/// Where to listen.
fn urls(args: &ServeArgs) -> Result<Vec<Url>, Failure> {
    let mut urls = Vec::new();
    for address in &args.ws {
        urls.push(parse(&format!("ws://{address}/"))?);
    }
    for address in &args.tcp {
        urls.push(parse(&format!("tcp://{address}"))?);
    }
    for path in &args.unix {
        let path = std::path::absolute(path)
            .map_err(|error| Failure::usage(format!("--unix {}: {error}", path.display())))?;
        let path = path.to_str().ok_or_else(|| {
            Failure::usage(format!("--unix {}: the path is not UTF-8", path.display()))
        })?;
        urls.push(parse(&format!("unix:{path}"))?);
    }
    Ok(urls)
}
