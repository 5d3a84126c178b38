//! `sente serve`: a configuration, the parts it asks for, and an orderly end.

mod admission;
mod args;
mod config;
mod listeners;
mod parts;
mod reload;
mod service;
mod site;

use sente_adapters::{Address, ConnectOptions, connect, fresh_csrf_token};
use sente_core::UserId;
use sente_server::{Server, Terms};
use tokio::time::Instant;

use admission::Tokens;
pub(crate) use args::{ABOUT, ServeArgs};
use config::{Environment, Loaded, LogFormat};
use listeners::{Answers, Hub, LogFile, Recorder, Socket, Urls, Web, listen_options};
pub(crate) use listeners::{bind, parse};
use parts::Parts;
use reload::Reload;
use site::{Site, packer_of};

use crate::exit::{Exit, Failure, Outcome};
use crate::logs::Logs;
use crate::output::{put, say};
use crate::signals::Signals;

/// Serves until the process is asked to end, or its parent hangs up.
pub(crate) async fn run(args: ServeArgs, verbose: u8, mut signals: Signals) -> Outcome {
    let loaded = Loaded::load(&args, &Environment::of_process()).map_err(Failure::usage)?;
    if args.print_config {
        print(&loaded.config.to_toml())?;
        return Ok(Exit::Success);
    }
    if args.check_config {
        for listen in &loaded.config.listen {
            listen_options(&loaded.config, listen)?;
        }
        say!("nothing is wrong with the configuration");
        return Ok(Exit::Success);
    }
    let config = &loaded.config;
    let logs = Logs::start(verbose, config.log.format == LogFormat::Json)?;
    logs.set_level(&config.log.level.0)?;
    signals.allow(config.shutdown.drain.0);

    let generated =
        fresh_csrf_token().map_err(|error| Failure::other(format!("cannot start: {error}")))?;
    let rules = admission::rules(&loaded, &generated).map_err(Failure::usage)?;
    let server = service::start(&loaded, rules)?;
    let urls = Urls::default();
    let mut parts = Parts::new();
    parts.add(LogFile {
        logs: logs.clone(),
        path: config.log.file.clone(),
    });
    let recorder = Recorder::of(config)?;
    let record = recorder.as_ref().map(|it| it.recordings.clone());
    if let Some(recorder) = recorder {
        parts.add(recorder);
    }
    let answers = Answers::default();
    parts.add(Hub {
        server: server.clone(),
        about: loaded.about(),
        answers: answers.clone(),
    });
    let tokens = Tokens::new(&loaded, &generated);
    let mut stdio = None;
    for listen in &config.listen {
        let mut options = listen_options(config, listen)?;
        options.record.clone_from(&record);
        match &listen.url.0.address {
            Address::Stdio => stdio = Some(options),
            Address::Ws(address) => {
                let (shown, packer) = packer_of(listen);
                let inside = (parts.board(), tokens.clone());
                parts.add(Web {
                    address: address.clone(),
                    #[cfg(feature = "tls")]
                    tls: options.tls,
                    shown,
                    site: Site::new(&server, config, listen, packer, record.as_ref(), inside)?,
                    urls: urls.clone(),
                    answers: answers.clone(),
                    stop: None,
                });
            }
            _ => parts.add(Socket::new(listen.url.0.clone(), options, &server, &urls)),
        }
    }
    let drain = config.shutdown.drain.0;
    parts.start(|| Instant::now() + drain).await?;
    let status: Vec<String> = parts
        .board()
        .read()
        .iter()
        .map(|line| line.state.to_string())
        .collect();
    tracing::info!("up: {}", status.join("; "));

    let mut reload = Reload::new(args, loaded, logs, server.clone(), (generated, tokens))?;
    let served = match stdio {
        None => {
            print(&urls.announcement())?;
            say!("up: {}", status.join("; "));
            reload.until(signals.asked()).await;
            Ok(Exit::Success)
        }
        Some(options) => {
            // Standard output is the link.
            for line in urls.announcement().lines() {
                say!("{line}");
            }
            let alone = urls.announcement().is_empty();
            let parent = serve_parent(&server, options, alone);
            tokio::select! {
                served = reload.until(parent) => served.unwrap_or(Ok(Exit::Success)),
                () = signals.asked() => Ok(Exit::Success),
            }
        }
    };
    parts.stop(Instant::now() + reload.drain()).await;
    served
}

/// Serves the parent; returns when it hangs up, if there is nobody else.
async fn serve_parent(
    server: &Server,
    listening: sente_adapters::ListenOptions,
    alone: bool,
) -> Outcome {
    let mut options = ConnectOptions::default();
    options.dialect = listening.dialect;
    options.packer = listening.packer;
    options.limits = listening.limits;
    options.keepalive = listening.keepalive;
    options.flush_window = listening.flush_window;
    options.small_frames = listening.small_frames;
    options.record = listening.record;
    let (handle, events) = connect(&parse("stdio:")?, &options)
        .await
        .map_err(|error| Failure::closed(format!("cannot use standard input: {error}")))?;
    let ended = handle.clone();
    server
        .join(
            handle,
            events,
            Terms::new().user(UserId::from("parent".to_owned())),
        )
        .map_err(|error| Failure::closed(format!("cannot use standard input: {error}")))?;
    ended.ended().await;
    if !alone {
        std::future::pending::<()>().await;
    }
    Ok(Exit::Success)
}

fn print(text: &str) -> Result<(), Failure> {
    put(text.as_bytes())
        .map(|_| ())
        .map_err(|error| Failure::other(format!("cannot print: {error}")))
}
