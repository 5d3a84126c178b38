//! What arrived before a deadline is heard before the deadline is kept, however late that is
//! noticed: after a long sleep of the machine both are due at once.
#![allow(missing_docs)]

use std::time::Duration;

use sente_adapters::{CallFailure, ClientOptions, ConnectOptions, Url, connect, keep_connected};
use sente_core::{CallError, Event, Payload};
use tokio::io::AsyncReadExt;
use tokio::net::{UnixListener, UnixStream};

/// Far more than the test takes while time passes by itself.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Which of the two is seen first is left to chance, so one round proves little.
const ROUNDS: usize = 100;

fn event(text: &str) -> Event {
    Event::from_value(sente_edn::from_str(text).unwrap()).unwrap()
}

/// Somebody who writes and reads lines, at an address of its own.
struct Peer {
    listener: UnixListener,
    url: Url,
    _folder: tempfile::TempDir,
}

impl Peer {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        Self {
            listener: UnixListener::bind(&path).unwrap(),
            url: format!("unix:{}", path.display()).parse().unwrap(),
            _folder: folder,
        }
    }

    async fn accept(&self) -> UnixStream {
        let (stream, _) = self.listener.accept().await.unwrap();
        stream.writable().await.unwrap();
        write(&stream, "[:chsk/handshake [\"u\" nil {} true]]\n");
        stream
    }
}

/// Writes at once: what a Unix socket has taken is there for its reader.
fn write(stream: &UnixStream, text: &str) {
    assert_eq!(stream.try_write(text.as_bytes()).unwrap(), text.len());
}

/// The answer to the question that arrives.
async fn answer_to_the_question(stream: &mut UnixStream) -> String {
    let mut question = Vec::new();
    while question.last() != Some(&b'\n') {
        stream.read_buf(&mut question).await.unwrap();
    }
    let question = String::from_utf8(question).unwrap();
    let callback = question.trim_end().trim_end_matches(']');
    let callback = callback.rsplit(' ').next().unwrap();
    format!("[:chsk/reply {{:cb-uuid {callback} :data 7}}]\n")
}

/// What becomes of `call` if its answer arrives, the machine then sleeps until long after the
/// deadline, and both are noticed when it wakes.
async fn oversleep(
    stream: &mut UnixStream,
    call: impl Future<Output = Result<Payload, CallFailure>> + Send + 'static,
    answers: bool,
) -> Result<Payload, CallFailure> {
    let call = tokio::spawn(call);
    let answer = answer_to_the_question(stream).await;
    stream.writable().await.unwrap();
    tokio::time::pause();
    if answers {
        write(stream, &answer);
    }
    tokio::time::advance(TIMEOUT * 2).await;
    let outcome = call.await.unwrap();
    tokio::time::resume();
    outcome
}

#[tokio::test]
async fn a_reply_that_came_in_time_is_heard_though_its_deadline_is_over() {
    let peer = Peer::new();
    for round in 0..ROUNDS {
        let options = ConnectOptions::default();
        let (opened, mut stream) = tokio::join!(connect(&peer.url, &options), peer.accept());
        let (handle, _events) = opened.unwrap();
        let call = async move { handle.call(event("[:test/ask]"), TIMEOUT).await };
        let outcome = oversleep(&mut stream, call, true).await;
        let answer = outcome.unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert_eq!(answer.to_value().unwrap().to_string(), "7");
    }
}

#[tokio::test]
async fn the_same_holds_for_a_client_that_comes_back() {
    let peer = Peer::new();
    for round in 0..ROUNDS {
        let url = peer.url.clone();
        let (client, _events) = keep_connected(ClientOptions::default(), move |_| {
            let url = url.clone();
            async move { Ok((url, ConnectOptions::default())) }
        })
        .unwrap();
        let mut stream = peer.accept().await;
        client.opened().await.unwrap();
        let call = async move { client.call(event("[:test/ask]"), TIMEOUT).await };
        let outcome = oversleep(&mut stream, call, true).await;
        assert!(outcome.is_ok(), "round {round}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_deadline_before_which_nothing_came_is_kept() {
    let peer = Peer::new();
    let options = ConnectOptions::default();
    let (opened, mut stream) = tokio::join!(connect(&peer.url, &options), peer.accept());
    let (handle, _events) = opened.unwrap();
    let call = async move { handle.call(event("[:test/ask]"), TIMEOUT).await };
    let outcome = oversleep(&mut stream, call, false).await;
    assert!(
        matches!(outcome, Err(CallFailure::Failed(CallError::Timeout))),
        "{outcome:?}"
    );
}
