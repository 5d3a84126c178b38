//! Children: requests on standard input, replies on standard output.

use std::io::{BufRead, Write};

use serde_json::Value;

use crate::batch::{as_they_came, put_reply};

/// The floor: bytes in, bytes out.
pub(crate) fn raw() {
    let (input, output) = (rustix::stdio::stdin(), rustix::stdio::stdout());
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = rustix::io::read(input, &mut buffer[..]) {
        let mut rest = &buffer[..read];
        while !rest.is_empty() {
            match rustix::io::write(output, rest) {
                Ok(written) => rest = &rest[written..],
                Err(_) => return,
            }
        }
    }
}

/// The same by a runtime that waits for readiness, as one does that has more than a pipe to watch.
pub(crate) async fn raw_tokio() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::unix::pipe::{Receiver, Sender};
    let own = |descriptor| rustix::io::dup(descriptor).expect("a descriptor more");
    let (input, output) = (own(rustix::stdio::stdin()), own(rustix::stdio::stdout()));
    let mut input = Receiver::from_owned_fd(input).expect("a pipe");
    let mut output = Sender::from_owned_fd(output).expect("a pipe");
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = input.read(&mut buffer).await {
        if output.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

/// The prototype on pipes: lines are read where they lie, their data stay packed, and all that one read
/// asks for is answered by one write.
pub(crate) fn batch() {
    let (input, output) = (rustix::stdio::stdin(), rustix::stdio::stdout());
    let (mut came, mut filled) = (vec![0; 64 * 1024], 0);
    let mut out = Vec::new();
    loop {
        if filled == came.len() {
            came.resize(2 * filled, 0);
        }
        let Ok(read @ 1..) = rustix::io::read(input, &mut came[filled..]) else {
            return;
        };
        filled += read;
        let mut used = 0;
        for end in memchr::memchr_iter(b'\n', &came[..filled]) {
            let line = std::str::from_utf8(&came[used..end]).expect("text");
            if let Some((data, callback)) = as_they_came(line).expect("a request") {
                put_reply(&mut out, data, callback);
                out.push(b'\n');
            }
            used = end + 1;
        }
        came.copy_within(used..filled, 0);
        filled -= used;
        let mut rest = &out[..];
        while !rest.is_empty() {
            match rustix::io::write(output, rest) {
                Ok(written) => rest = &rest[written..],
                Err(_) => return,
            }
        }
        out.clear();
    }
}

/// Lines of JSON, by hand: parse `[[id, data], callback]`, answer `[data, callback]`, flush each.
pub(crate) fn lines() {
    let mut input = std::io::stdin().lock();
    let mut output = std::io::stdout().lock();
    let mut line = String::new();
    while input.read_line(&mut line).unwrap_or(0) > 0 {
        let parsed = serde_json::from_str::<((String, Value), Value)>(&line);
        let ((_, data), callback) = parsed.expect("a request");
        let reply = serde_json::to_string(&(data, callback)).expect("JSON");
        let written = writeln!(output, "{reply}").and_then(|()| output.flush());
        if written.is_err() {
            return;
        }
        line.clear();
    }
}

pub(crate) fn lsp_server() {
    use lsp_server::{Connection, Message, Response};
    let (connection, threads) = Connection::stdio();
    for message in &connection.receiver {
        if let Message::Request(request) = message {
            let response = Response::new_ok(request.id, request.params);
            let _ = connection.sender.send(response.into());
        }
    }
    drop(connection);
    let _ = threads.join();
}

pub(crate) async fn async_lsp() {
    use async_lsp::router::Router;
    use async_lsp::stdio::{PipeStdin, PipeStdout};
    let (server, _client) = async_lsp::MainLoop::new_server(|_client| {
        let mut router: Router<(), async_lsp::ResponseError> = Router::new(());
        router.unhandled_request(|_, request| async move { Ok(request.params) });
        router.unhandled_notification(|_, _| std::ops::ControlFlow::Continue(()));
        router
    });
    let input = PipeStdin::lock_tokio().expect("a pipe");
    let output = PipeStdout::lock_tokio().expect("a pipe");
    let _ = server.run_buffered(input, output).await;
}
