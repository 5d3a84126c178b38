//! Served connections are recorded in files that replay exactly, within the limits asked for.
#![allow(missing_docs)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sente_adapters::{
    ConnectOptions, Events, ListenOptions, Listener, RecordingLimits, Recordings, Url, connect,
};
use sente_core::record::Replay;
use sente_core::{Accept, BABASHKA_FRAME_BYTES, ConnectionEvent, Event};

const PATIENCE: Duration = Duration::from_secs(20);

fn event(text: &str) -> Event {
    Event::from_value(sente_edn::from_str(text).unwrap()).unwrap()
}

/// Echoes events and calls until the connection has ended.
async fn echo(mut events: Events) {
    let handle = events.handle().clone();
    while let Some(said) = events.next().await {
        match said {
            ConnectionEvent::Message(message) => match message.reply {
                Some(token) => handle.reply(token, message.event.data.unwrap()).unwrap(),
                None => drop(handle.send(message.event).await),
            },
            ConnectionEvent::PeerFinished => handle.drain(PATIENCE),
            _ => {}
        }
    }
    handle.ended().await;
}

/// One client of a listener at `url` that records, to the end of the connection on both sides.
async fn session(url: &str, record: &Recordings, text: &str) {
    let mut options = ListenOptions::default();
    options.record = Some(record.clone());
    let mut listener = Listener::bind(&url.parse().unwrap(), options)
        .await
        .unwrap();
    let url: Url = listener.url().clone();
    let serving = tokio::spawn(async move {
        let incoming = listener.accept().await.unwrap().unwrap();
        let (_, events) = incoming.accept(Accept::new("ada")).await.unwrap();
        echo(events).await;
    });
    let (handle, mut events) = connect(&url, &ConnectOptions::default()).await.unwrap();
    let said = event(&format!("[:test/say {text:?}]"));
    let call = handle.call(said.clone(), PATIENCE).await.unwrap();
    assert_eq!(call.to_value().unwrap().as_str(), Some(text), "{url}");
    handle.send(said).await.unwrap();
    while !matches!(events.next().await.unwrap(), ConnectionEvent::Message(_)) {}
    handle.drain(PATIENCE);
    tokio::spawn(async move { while events.next().await.is_some() {} });
    serving.await.unwrap();
}

/// The recordings in a directory, oldest first.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Does again what was recorded, which comes out the same; the messages that came.
fn replayed(file: &Path) -> Vec<String> {
    let recording = fs::read_to_string(file).unwrap();
    let mut lines = recording.lines();
    let mut replay = Replay::new(lines.next().unwrap()).unwrap();
    let mut messages = Vec::new();
    for line in lines {
        let replayed = replay.step(line).unwrap();
        if let Some(ConnectionEvent::Message(message)) = replayed.event {
            messages.push(message.event.to_value().unwrap().to_string());
        }
    }
    messages
}

#[tokio::test]
async fn served_connections_replay_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("deep/in");
    let record = Recordings::in_directory(&directory).unwrap();
    let socket = format!("unix:{}", folder.path().join("s").display());
    let urls = [
        "ws://127.0.0.1:0/chsk",
        "ws://127.0.0.1:0/",
        "tcp://127.0.0.1:0",
        "tcp://127.0.0.1:0?packer=msgpack",
        &socket,
    ];
    for url in urls {
        session(url, &record, url).await;
    }
    assert_eq!((record.begun(), record.skipped(), record.lost()), (5, 0, 0));
    let files = files(&directory);
    assert_eq!(files.len(), urls.len());
    for (file, url) in files.iter().zip(urls) {
        let message = format!("[:test/say {url:?}]");
        assert_eq!(replayed(file), [message.clone(), message], "{url}");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(file), mode(&directory)), (0o600, 0o700));
    }
}

#[tokio::test]
async fn frames_for_peers_that_lose_large_ones_are_an_option_of_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    for url in ["ws://127.0.0.1:0/", "tcp://127.0.0.1:0"] {
        let mut options = ListenOptions::default();
        options.small_frames = Some(BABASHKA_FRAME_BYTES);
        let mut listener = Listener::bind(&url.parse().unwrap(), options)
            .await
            .unwrap();
        let url = listener.url().clone();
        let mut options = ConnectOptions::default();
        options.small_frames = Some(500);
        options.wrap_received = true;
        options.record = Some(Recordings::new(folder.path().join("client")));
        let (client, server) = tokio::join!(connect(&url, &options), async {
            let incoming = listener.accept().await.unwrap().unwrap();
            incoming.accept(Accept::new("ada")).await.unwrap()
        });
        let (from, mut to) = client.unwrap();
        let (back, mut events) = server;
        let sized = |bytes| event(&format!("[:test/say {:?}]", "x".repeat(bytes)));
        // Each side warns of the single event that is larger than what the other is to get.
        from.send(sized(1_000)).await.unwrap();
        back.send(sized(15_000)).await.unwrap();
        back.send(sized(20_000)).await.unwrap();
        for (events, bytes) in [(&mut to, 1_000), (&mut events, 20_000)] {
            loop {
                match events.next().await.unwrap() {
                    ConnectionEvent::LargeFrame { size, received } => {
                        assert!(!received && size > bytes && size < bytes + 100, "{size}");
                        break;
                    }
                    ConnectionEvent::Message(message) if bytes == 1_000 => {
                        assert_eq!(message.event.id.as_str(), "chsk/recv");
                    }
                    _ => {}
                }
            }
        }
        let recording = fs::read_to_string(folder.path().join("client")).unwrap();
        let header = recording.lines().next().unwrap();
        for part in [":small-frames 500", ":wrap-received true"] {
            assert!(header.contains(part), "{part} in {header}");
        }
    }
}

#[cfg(feature = "deflate")]
#[tokio::test]
async fn a_compressed_websocket_replays_exactly() {
    use sente_core::framing::websocket::DeflateConfig;
    let folder = tempfile::tempdir().unwrap();
    let record = Recordings::in_directory(folder.path()).unwrap();
    let mut options = ListenOptions::default();
    options.record = Some(record.clone());
    options.deflate = Some(DeflateConfig::default());
    let url: Url = "ws://127.0.0.1:0/chsk".parse().unwrap();
    let mut listener = Listener::bind(&url, options).await.unwrap();
    let mut asked = ConnectOptions::default();
    asked.deflate = Some(DeflateConfig::default());
    let url = listener.url().clone();
    let serving = tokio::spawn(async move {
        let incoming = listener.accept().await.unwrap().unwrap();
        let (_, events) = incoming.accept(Accept::new("ada")).await.unwrap();
        echo(events).await;
    });
    let (handle, mut events) = connect(&url, &asked).await.unwrap();
    tokio::spawn(async move { while events.next().await.is_some() {} });
    let long = "again ".repeat(1000);
    let said = event(&format!("[:test/say {long:?}]"));
    handle.call(said, PATIENCE).await.unwrap();
    handle.drain(PATIENCE);
    serving.await.unwrap();
    let [file] = &files(folder.path())[..] else {
        panic!("one connection");
    };
    assert_eq!(replayed(file), [format!("[:test/say {long:?}]")]);
    assert!(
        fs::read_to_string(file).unwrap().contains(":deflate"),
        "the upgrade agreed on it"
    );
}

#[tokio::test]
async fn connections_beyond_the_limit_go_on_unrecorded_and_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut limits = RecordingLimits::default();
    limits.max_recordings = 2;
    let record = Recordings::in_directory(folder.path()).unwrap();
    let record = record.with_limits(limits);
    for _ in 0..4 {
        session("tcp://127.0.0.1:0", &record, "hi").await;
    }
    assert_eq!((record.begun(), record.skipped()), (2, 2));
    assert_eq!(files(folder.path()).len(), 2);
}

#[tokio::test]
async fn a_recording_that_reached_its_limit_replays_to_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut limits = RecordingLimits::default();
    limits.max_bytes = 4096;
    let record = Recordings::in_directory(folder.path()).unwrap();
    let record = record.with_limits(limits);
    session("tcp://127.0.0.1:0", &record, &"x".repeat(3000)).await;
    assert!(record.lost() > 0);
    let [file] = &files(folder.path())[..] else {
        panic!("one connection");
    };
    assert!(fs::metadata(file).unwrap().len() <= 4096);
    replayed(file);
}

#[tokio::test]
async fn all_recordings_together_stay_within_their_limit() {
    let folder = tempfile::tempdir().unwrap();
    let mut limits = RecordingLimits::default();
    limits.max_total_bytes = 20_000;
    let record = Recordings::in_directory(folder.path()).unwrap();
    let record = record.with_limits(limits);
    for _ in 0..5 {
        session("tcp://127.0.0.1:0", &record, &"x".repeat(2000)).await;
    }
    assert!(record.lost() > 0);
    let sizes = files(folder.path()).into_iter();
    let total: u64 = sizes.map(|file| fs::metadata(file).unwrap().len()).sum();
    assert!(total > 15_000 && total <= 20_000, "{total}");
}

#[tokio::test]
async fn a_server_goes_on_where_it_cannot_record() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("gone");
    let record = Recordings::in_directory(&directory).unwrap();
    fs::remove_dir(&directory).unwrap();
    session("tcp://127.0.0.1:0", &record, "hi").await;
    assert_eq!((record.begun(), record.skipped()), (0, 1));
    fs::write(&directory, "").unwrap();
    assert!(Recordings::in_directory(&directory).is_err());
}

#[tokio::test]
async fn the_recordings_of_a_file_are_numbered() {
    let folder = tempfile::tempdir().unwrap();
    let record = Recordings::new(folder.path().join("it"));
    for _ in 0..3 {
        session("tcp://127.0.0.1:0", &record, "hi").await;
    }
    let files = files(folder.path());
    let names: Vec<_> = files.iter().map(|file| file.file_name().unwrap()).collect();
    assert_eq!(names, ["it", "it.1", "it.2"]);
    for file in &files {
        assert_eq!(replayed(file).len(), 2);
    }
}
