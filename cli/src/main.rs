//! `sente`: serve, reach and watch Sente-style events from the command line.

mod args;
mod call;
mod connect;
mod demo;
mod exit;
mod lines;
mod link;
mod output;
mod recode;
mod reconnect;
mod serve;
mod server;
mod signals;
mod text;

use std::io;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use args::{Cli, Command};
use exit::{Failure, Outcome};
use output::say;
use signals::Signals;

fn main() {
    let cli = Cli::parse();
    let exit = match log(cli.verbose).and_then(|()| run(cli.command)) {
        Ok(exit) => exit,
        Err(failure) => {
            say!("error: {failure}");
            failure.exit
        }
    };
    // A thread may still wait for standard input; the process does not wait for the thread.
    std::process::exit(i32::from(exit.code()));
}

fn run(command: Command) -> Outcome {
    if let Command::Recode(args) = command {
        return recode::run(&args);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::other(format!("cannot start: {error}")))?;
    let outcome = runtime.block_on(async {
        let signals = Signals::listen()?;
        match command {
            Command::Serve(args) => serve::run(args, signals).await,
            Command::Connect(args) if args.reconnect => reconnect::run(args, signals).await,
            Command::Connect(args) => connect::run(args, signals).await,
            Command::Call(args) => call::call(args, signals).await,
            Command::Send(args) => call::send(args, signals).await,
            Command::Recode(args) => recode::run(&args),
            Command::Demo(args) => demo::run(args, signals).await,
        }
    });
    // Children are collected by tasks; a thread that reads a terminal is left behind.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    outcome
}

/// Sends the logs of every crate to standard error.
fn log(verbose: u8) -> Result<(), Failure> {
    let filter = match std::env::var("SENTE_LOG") {
        Ok(filter) if !filter.is_empty() => EnvFilter::builder()
            .parse(&filter)
            .map_err(|error| Failure::usage(format!("SENTE_LOG={filter}: {error}")))?,
        _ => EnvFilter::new(match verbose {
            0 => "warn",
            1 => "info",
            2 => "debug",
            _ => "trace",
        }),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        // Colours are a feature of its own, and without it to ask for them is an error.
        .with_ansi(false)
        .log_internal_errors(false)
        .init();
    Ok(())
}
