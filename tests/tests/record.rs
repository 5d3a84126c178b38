//! A recorded connection does the same again: every event, every byte, at every time.
#![allow(missing_docs)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use sente_core::record::{Recorder, Replay, ReplayError};
use sente_core::{
    Accept, Carrier, Connection, ConnectionConfig, ConnectionEvent, Dialect, Input, Instant, Role,
    TransmitBuf, packer,
};
use sente_tests::world::{Lines, taped};
use sente_tests::{event, model};

#[derive(Clone, Debug, Default)]
struct Tape(Arc<Mutex<Vec<String>>>);

impl Recorder for Tape {
    fn line(&mut self, line: &str) {
        assert!(!line.contains('\n'), "{line}");
        self.0.lock().unwrap().push(line.to_owned());
    }
}

fn play(lines: &[String]) -> Result<Vec<String>, ReplayError> {
    let mut replay = Replay::new(&lines[0])?;
    let told = lines[1..]
        .iter()
        .map(|line| Ok(replay.step(line)?.to_string()));
    told.collect()
}

/// A server that was called once and has answered, as it was recorded.
fn recorded() -> Lines {
    let tape = Tape::default();
    let config = ConnectionConfig::builder(Role::Server, Dialect::SenteLite, Carrier::Lines);
    let now = Instant::from_millis(5);
    let config = config.build().unwrap();
    let mut server = Connection::recorded(config, [3; 32], now, Box::new(tape.clone()));
    server.accept(now, Accept::new("ada"));
    let mut out = TransmitBuf::new();
    let _ = server.poll_transmit(&mut out);
    out.clear();
    server.handle_transmitted(now);
    let ask = "[[:a/sk {:n 1}] \"c\"]\n[:a/b \"two\nlines\"]\n[:no\n";
    server.handle_input(
        Instant::from_millis(1_234),
        Input::Bytes(&mut BytesMut::from(ask)),
    );
    while let Some(told) = server.poll_event() {
        if let ConnectionEvent::Message(message) = told
            && let Some(token) = message.reply
        {
            server.reply(Instant::from_millis(1_300), token, 7).unwrap();
        }
    }
    server
        .send(Instant::from_millis(1_301), event("[:te/xt \"\\n\"]"))
        .unwrap();
    let _ = server.poll_transmit(&mut out);
    tape.0.lock().unwrap().clone()
}

#[test]
fn every_simulated_connection_replays_as_it_was() {
    let (mut connections, mut steps) = (0, 0);
    for seed in 0..120 {
        let (result, tapes) = taped(|| model::run(seed, &model::plan(seed, 120)));
        result.unwrap();
        for lines in tapes {
            connections += 1;
            match play(&lines) {
                Ok(told) => steps += told.len(),
                Err(error) => panic!("seed {seed}: {error}\n{}", lines.join("\n")),
            }
        }
    }
    assert!(
        connections >= 240 && steps >= 20_000,
        "{connections} {steps}"
    );
}

#[test]
fn a_replay_shows_what_was_done_and_what_came_of_it() {
    let told = play(&recorded()).unwrap();
    let text = told.join("\n");
    for part in [
        "0.005 :accept {:uid \"ada\"",
        "1.234 :input",
        ":event Message",
        "1.300 :reply",
        ":transmit \"[:chsk/reply",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn a_connection_that_takes_another_course_is_said_to() {
    let mut lines = recorded();
    let at = lines
        .iter()
        .position(|line| line.contains(":reply"))
        .unwrap();
    lines[at] = lines[at].replace(":data 7", ":data 8");
    let Err(ReplayError::Diverged {
        line,
        recorded,
        replayed,
    }) = play(&lines)
    else {
        panic!("{lines:#?}");
    };
    assert!(line > u64::try_from(at).unwrap());
    assert_ne!(recorded, replayed);
}

#[test]
fn what_is_no_recording_is_said_with_its_line() {
    let lines = recorded();
    let problem = |first: &str| Replay::new(first).unwrap_err().to_string();
    assert_eq!(
        problem("{}"),
        "line 1 is no line of a recording: it has no :sente-recording"
    );
    assert!(problem("{:sente-recording 2}").contains("version 2"));
    assert!(problem(&lines[0].replace("\"edn\"", "\"morse\"")).contains("packer morse"));
    assert!(problem(&lines[0].replace(":role :server", ":role :guest")).contains(":guest"));
    let mut replay = Replay::new(&lines[0]).unwrap();
    for (line, reason) in [
        ("[1 :dance]", ":dance is nothing a connection does"),
        ("[1]", "it is no [nanoseconds :what {..}]"),
        ("[-1 :eof]", "-1 is no time"),
        ("[1 :input]", "it has no :bytes"),
        (
            "[1 :close {:code 70000, :reason \"\"}]",
            ":code cannot be 70000",
        ),
    ] {
        let error = replay.step(line).unwrap_err().to_string();
        assert!(error.contains(reason), "{line}: {error}");
    }
}

#[test]
fn any_bytes_and_any_packer_come_back() {
    for name in packer::NAMES.iter().copied().chain(["gzip-edn"]) {
        let packer = packer::named(name).unwrap();
        let tape = Tape::default();
        let config = |role| {
            ConnectionConfig::builder(role, Dialect::Sente, Carrier::WebSocket)
                .packer(packer.clone())
                .flush_window(Some(Duration::from_millis(2)))
                .build()
                .unwrap()
        };
        let now = Instant::EPOCH;
        let mut server = Connection::new(config(Role::Server), [1; 32], now);
        let mut client =
            Connection::recorded(config(Role::Client), [2; 32], now, Box::new(tape.clone()));
        server.accept(now, Accept::new("ada"));
        let long = "lots of text ".repeat(200);
        server
            .send(now, event(&format!("[:a/b {long:?}]")))
            .unwrap();
        server.flush(now);
        let mut out = TransmitBuf::new();
        while server.poll_transmit(&mut out).is_some() {
            let mut bytes = BytesMut::new();
            let len = out.len();
            bytes.extend(bytes::Buf::copy_to_bytes(&mut out, len));
            server.handle_transmitted(now);
            client.handle_input(now, Input::Bytes(&mut bytes));
        }
        let mut messages = 0;
        while let Some(told) = client.poll_event() {
            if let ConnectionEvent::Message(message) = told {
                messages += 1;
                // What came packed goes back packed.
                client.send(now, message.event).unwrap();
            }
        }
        assert_eq!(messages, 1, "{name}");
        client.flush(now);
        let _ = client.poll_transmit(&mut out);
        let lines = tape.0.lock().unwrap().clone();
        play(&lines).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}
