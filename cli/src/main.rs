//! `sente`: serve, reach and watch Sente-style events from the command line.

mod args;
mod bench;
mod call;
mod connect;
mod demo;
mod exit;
mod lines;
mod link;
mod logs;
mod output;
mod recode;
mod reconnect;
mod replay;
mod serve;
mod server;
mod signals;
mod text;
mod tls;

use clap::Parser;

use args::{Cli, Command};
use exit::{Failure, Outcome};
use logs::Logs;
use output::say;
use signals::{Hangup, Signals};

fn main() {
    let cli = Cli::parse();
    let exit = match run(cli.command, cli.verbose) {
        Ok(exit) => exit,
        Err(failure) => {
            say!("error: {failure}");
            failure.exit
        }
    };
    // A thread may still wait for standard input; the process does not wait for the thread.
    std::process::exit(i32::from(exit.code()));
}

fn run(command: Command, verbose: u8) -> Outcome {
    if !matches!(command, Command::Serve(_)) {
        // A server is told where to log.
        Logs::start(verbose, false)?;
    }
    match command {
        Command::Recode(args) => return recode::run(&args),
        Command::Replay(args) => return replay::run(&args),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::other(format!("cannot start: {error}")))?;
    let outcome = runtime.block_on(async {
        let hangup = match command {
            Command::Serve(_) => Hangup::IsItsOwn,
            _ => Hangup::Ends,
        };
        let signals = Signals::listen(hangup)?;
        match command {
            Command::Serve(args) => serve::run(*args, verbose, signals).await,
            Command::Connect(args) if args.reconnect => reconnect::run(args, signals).await,
            Command::Connect(args) => connect::run(args, signals).await,
            Command::Call(args) => call::call(args, signals).await,
            Command::Send(args) => call::send(args, signals).await,
            Command::Bench(args) => bench::run(*args, signals).await,
            Command::Recode(args) => recode::run(&args),
            Command::Replay(args) => replay::run(&args),
            Command::Demo(args) => demo::run(args, signals).await,
        }
    });
    // Children are collected by tasks; a thread that reads a terminal is left behind.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    outcome
}
