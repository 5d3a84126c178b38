//! The servers to compare with, one for each name: `peer-servers NAME ADDRESS`. Each is written the
//! way its library's own examples are, runs on one thread (on two with `/threads-2` behind the name),
//! and keeps the library's defaults, but for the outgoing buffers of socketioxide (which refuses at 128
//! packets), jsonrpsee and tarpc: they are larger, so that large windows can be measured.
//!
//! - bytes back: `raw-epoll`, `raw-tokio`, `stdio-raw`, `stdio-raw-tokio`
//! - WebSocket messages back: `tungstenite`, `tungstenite-4k`, `tungstenite-forward`, `fastws`
//! - events and calls answered: `tungstenite-json`, `socketioxide`, `jsonrpsee`, `tarpc`,
//!   `stdio-lines`, `stdio-lsp-server`, `stdio-async-lsp`
//! - what one says, told to all: `bc-floor`, `bc-tungstenite`, `bc-tungstenite-4k`, `bc-fastws`, and
//!   `socketioxide`
//! - what is left when a server does nothing but these, in place and many at once: `batch-ws` for
//!   messages, `batch-json`, `batch-json/typed`, `batch-msgpack/typed` and `stdio-batch` for calls,
//!   `bc-batch` for what is told to all; with `batch-json/each-alone` each has a write of its own

mod batch;
mod bcast;
mod echo;
mod floor;
mod rpc;
mod stdio;

use std::process::ExitCode;

use batch::Answer;

fn main() -> ExitCode {
    peer_shapes::system::end_with_parent();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (name, rest) = match arguments.split_first() {
        Some((name, rest)) => (name.as_str(), rest),
        None => ("", &[][..]),
    };
    let address = rest.first().cloned().unwrap_or_default();
    let (name, mut runtime) = match name.strip_suffix("/threads-2") {
        None => (name, tokio::runtime::Builder::new_current_thread()),
        Some(name) => {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            runtime.worker_threads(2);
            (name, runtime)
        }
    };
    let runtime = runtime.enable_all().build().expect("a runtime");
    match name {
        "raw-epoll" => floor::echo(&address),
        "bc-floor" => floor::broadcast(&address),
        "stdio-raw" => stdio::raw(),
        "stdio-raw-tokio" => runtime.block_on(stdio::raw_tokio()),
        "stdio-batch" => stdio::batch(),
        "stdio-lines" => stdio::lines(),
        "stdio-lsp-server" => stdio::lsp_server(),
        "stdio-async-lsp" => runtime.block_on(stdio::async_lsp()),
        "raw-tokio" => runtime.block_on(echo::raw_tokio(address)),
        "tungstenite" => runtime.block_on(echo::tungstenite(address, None)),
        // Its own read buffer has 128 KiB, which are cleared before every read.
        "tungstenite-4k" => runtime.block_on(echo::tungstenite(address, Some(4096))),
        "tungstenite-forward" => runtime.block_on(echo::tungstenite_forward(address)),
        "tungstenite-json" => runtime.block_on(echo::tungstenite_json(address)),
        "fastws" => runtime.block_on(echo::fastws(address)),
        "bc-tungstenite" => runtime.block_on(bcast::tungstenite(address, None)),
        "bc-tungstenite-4k" => runtime.block_on(bcast::tungstenite(address, Some(4096))),
        "bc-fastws" => runtime.block_on(bcast::fastws(address)),
        "batch-ws" => runtime.block_on(batch::echo(address, Answer::Back, false)),
        "batch-json" => runtime.block_on(batch::echo(address, Answer::AsTheyCame, false)),
        "batch-json/each-alone" => runtime.block_on(batch::echo(address, Answer::AsTheyCame, true)),
        "batch-json/typed" => runtime.block_on(batch::echo(address, Answer::Typed, false)),
        "batch-msgpack/typed" => {
            runtime.block_on(batch::echo(address, Answer::TypedMessagePack, false));
        }
        "bc-batch" => runtime.block_on(batch::tell(address)),
        "socketioxide" => runtime.block_on(rpc::socketioxide(address)),
        "jsonrpsee" => runtime.block_on(rpc::jsonrpsee(address)),
        "tarpc" => runtime.block_on(rpc::tarpc(address)),
        "tarpc-frames" => {
            let number = |at: usize| rest.get(at).and_then(|word| word.parse().ok());
            match (number(0), number(1), rest.get(2)) {
                (Some(bytes), Some(count), Some(path)) => rpc::tarpc_frames(bytes, count, path),
                _ => return usage(),
            }
        }
        _ => return usage(),
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: peer-servers NAME ADDRESS, or tarpc-frames BYTES COUNT FILE");
    ExitCode::from(2)
}
