//! The MessagePack packer against what real Sente was captured reading and writing.
#![allow(missing_docs)]

mod packer_msgpack_support;

use std::collections::BTreeSet;

use bytes::Bytes;
use packer_msgpack_support::differences::{READ, REWRITTEN, SHOWN, WRITTEN, Written};
use packer_msgpack_support::{base64, edn, hex, pack, pack_message, read, show};
use sente_core::Limits;
use sente_core::packer::{MsgPack, Packer, Shape};
use sente_edn::Value;
use sente_tests::vectors::{field, load, names};
use serde_json::Value as Json;

/// A captured value as it stands on the wire.
struct Row {
    description: String,
    /// The frame, or nothing where Sente could not pack the value.
    frame: Option<Vec<u8>>,
    /// What it was made of, and what Sente reads from it.
    input: String,
    unpacked: Option<String>,
}

/// The captured values of a packer, as they are wrapped on the wire.
fn wrapped(packer: &str) -> Vec<Row> {
    let rows = load(&format!("sente/packer-{packer}.json"));
    let rows = rows.as_array().unwrap().iter();
    let rows = rows.filter(|row| row["wrapped"] == true).map(|row| Row {
        description: field(row, "description").unwrap().to_owned(),
        frame: field(row, "payload_b64").map(base64),
        input: field(row, "input_edn").unwrap().to_owned(),
        unpacked: field(row, "unpacked_edn").map(str::to_owned),
    });
    rows.collect()
}

/// What Sente displays, as EDN. Java's instants are displayed by a tag that EDN does not have, and
/// are instants to us.
fn displayed(text: &str) -> Option<Value> {
    edn(&text.replace("#java.time.Instant", "#inst"))
}

/// Checks what a frame reads as, and says whether that is listed as a difference.
fn check_read(description: &str, frame: &[u8], unpacked: Option<&str>) -> bool {
    let ours = read(frame).map_err(|error| error.to_string());
    if let Some(difference) = READ.iter().find(|row| row.description == description) {
        assert!(!difference.reason.is_empty());
        match (difference.ours, ours) {
            (Ok(expected), Ok(ours)) => {
                assert!(
                    edn(expected).unwrap().identical(&ours),
                    "{description}: {ours}"
                );
            }
            (Err(expected), Err(ours)) => assert_eq!(ours, expected, "{description}"),
            (expected, ours) => panic!("{description}: {ours:?}, not {expected:?}"),
        }
        return true;
    }
    match (unpacked, ours) {
        (Some(theirs), Ok(ours)) => {
            let theirs = displayed(theirs).unwrap_or_else(|| panic!("{description}: {theirs}"));
            assert!(
                theirs.identical(&ours),
                "{description}: {ours}, not {theirs}"
            );
        }
        (None, Err(_)) => {}
        (theirs, ours) => panic!("{description}: {ours:?}, not {theirs:?}"),
    }
    false
}

fn is_listed(list: &[Written], description: &str) -> bool {
    let found = list.iter().find(|row| row.description == description);
    found.is_some_and(|row| !row.reason.is_empty())
}

#[test]
fn every_captured_value_unpacks_to_what_sente_reads_and_packs_to_what_sente_writes() {
    let rows = wrapped("msgpack");
    let (mut bytes_equal, mut values_equal) = (0, 0);
    let mut differences: BTreeSet<&str> = BTreeSet::new();
    for row in &rows {
        let Some(frame) = &row.frame else {
            continue;
        };
        if check_read(&row.description, frame, row.unpacked.as_deref()) {
            differences.insert(&row.description);
        }
        let value = read(frame).unwrap();
        let packed = pack_message(&value);
        if packed == *frame {
            bytes_equal += 1;
            assert!(!is_listed(REWRITTEN, &row.description));
        } else {
            values_equal += 1;
            assert!(
                is_listed(REWRITTEN, &row.description),
                "{}: {}, not {}",
                row.description,
                show(&packed),
                show(frame)
            );
            assert!(read(&packed).unwrap().identical(&value));
            differences.insert(&row.description);
        }
    }
    eprintln!(
        "msgpack: {} wrapped, {bytes_equal} bytes equal, {values_equal} values equal, {} \
         differences",
        rows.len(),
        differences.len()
    );
    assert_eq!((rows.len(), bytes_equal, values_equal), (227, 201, 5));
    assert_eq!(differences.len(), 10);
}

#[test]
fn what_edn_says_is_packed_as_sente_packs_it_and_refused_where_sente_refuses() {
    let (mut equal, mut refused, mut unread, mut listed) = (0, 0, 0, 0);
    for row in wrapped("msgpack") {
        let Some(value) = edn(&row.input) else {
            unread += 1;
            continue;
        };
        let mut packed = Vec::new();
        let done = MsgPack::new().pack_message(&value, &mut packed);
        let same = match (&done, &row.frame) {
            (Ok(()), Some(frame)) => packed == *frame,
            (Err(_), None) => true,
            _ => false,
        };
        let is_listed = is_listed(WRITTEN, &row.description);
        assert!(same != is_listed, "{}: {done:?}", row.description);
        match (is_listed, done) {
            (true, _) => listed += 1,
            (false, Ok(())) => equal += 1,
            (false, Err(_)) => refused += 1,
        }
    }
    eprintln!("msgpack: {equal} texts equal, {refused} refused, {listed} listed, {unread} unread");
    assert_eq!((equal, refused, listed), (189, 17, WRITTEN.len()));
}

#[test]
fn hand_made_frames_read_as_they_do_in_sente() {
    let rows = load("sente/unpack-msgpack.json");
    let rows: Vec<&Json> = rows.as_array().unwrap().iter().collect();
    let mut listed = 0;
    for row in &rows {
        let description = field(row, "description").unwrap();
        let frame = hex(field(row, "hex").unwrap());
        if check_read(description, &frame, field(row, "unpacked_edn")) {
            listed += 1;
        }
    }
    eprintln!("msgpack: {} hand-made, {listed} differences", rows.len());
    assert_eq!((rows.len(), listed), (81, 13));
}

#[test]
fn every_difference_in_reading_is_one_of_a_captured_row() {
    let mut known: BTreeSet<String> = wrapped("msgpack")
        .into_iter()
        .map(|row| row.description)
        .collect();
    let hand_made = load("sente/unpack-msgpack.json");
    let hand_made = hand_made.as_array().unwrap().iter();
    known.extend(hand_made.map(|row| field(row, "description").unwrap().to_owned()));
    let listed = READ.iter().map(|row| row.description);
    let listed = listed.chain(REWRITTEN.iter().map(|row| row.description));
    for description in listed.chain(WRITTEN.iter().map(|row| row.description)) {
        assert!(known.contains(description), "{description}");
    }
}

#[test]
fn what_gzip_left_as_it_was_is_the_same_packed_value() {
    let mut read = 0;
    for row in wrapped("gzip-msgpack") {
        // The flag of what is not compressed.
        if let Some([0, frame @ ..]) = row.frame.as_deref() {
            check_read(&row.description, frame, row.unpacked.as_deref());
            read += 1;
        }
    }
    assert_eq!(read, 203);
}

/// The binary frames of the captured sessions of this packer, each with what Sente reads from it.
fn captured_frames() -> Vec<(Vec<u8>, String)> {
    let mut frames = Vec::new();
    for name in names("sente", "ws-msgpack-") {
        let rows = load(&name);
        for row in rows.as_array().unwrap() {
            if let (Some(frame), Some(decoded)) =
                (field(row, "payload_b64"), field(row, "decoded_edn"))
            {
                frames.push((base64(frame), decoded.to_owned()));
            }
        }
    }
    frames
}

#[test]
fn every_frame_of_the_captured_sessions_reads_as_it_does_in_sente_and_is_written_alike() {
    let frames = captured_frames();
    let (mut equal, mut unreadable, mut rewritten) = (0, 0, 0);
    for (frame, decoded) in &frames {
        let value = read(frame).unwrap();
        match displayed(decoded) {
            Some(theirs) if theirs.identical(&value) => equal += 1,
            _ => {
                unreadable += 1;
                let shown = value.to_string();
                let is_listed = SHOWN.iter().any(|row| shown.contains(row.ours));
                assert!(is_listed, "{shown}, not {decoded}");
            }
        }
        if pack_message(&value) != *frame {
            rewritten += 1;
            let again = read(&pack_message(&value)).unwrap();
            assert!(again.identical(&value), "{decoded}");
        }
    }
    eprintln!(
        "msgpack: {} captured frames, {equal} equal, {unreadable} displayed otherwise, {rewritten} \
         written otherwise",
        frames.len()
    );
    assert_eq!((equal, unreadable, rewritten), (647, 6, 6));
}

/// The events of a captured batch, each cut out of the opened message.
fn events_of(message: &Bytes) -> Vec<Bytes> {
    let mut events = Vec::new();
    let walked = MsgPack::new().walk(message, &Limits::default(), &mut |cursor| {
        cursor.enter()?;
        cursor.enter()?;
        while cursor.peek()? == Some(Shape::Vector) {
            let span = cursor.skip()?;
            events.push(message.slice(span.start..span.end));
        }
        cursor.leave()?;
        assert_eq!(cursor.peek()?, Some(Shape::Nil));
        cursor.leave()
    });
    walked.unwrap();
    events
}

/// What stands around packed events, and the events.
fn splice(packer: &MsgPack, events: &[Bytes]) -> Vec<u8> {
    let mut message = packer.sequence(2).open().to_vec();
    message.extend_from_slice(packer.sequence(events.len()).open());
    for event in events {
        message.extend_from_slice(event);
    }
    message.extend(pack(&Value::Nil));
    message
}

#[test]
fn events_packed_alone_and_spliced_are_the_captured_batches() {
    let mut batches = 0;
    for (frame, decoded) in captured_frames() {
        if !decoded.starts_with("[[[") || !decoded.ends_with("]] nil]") {
            continue;
        }
        batches += 1;
        let value = read(&frame).unwrap();
        // Packed one by one, as they are when they are sent.
        let events = value.as_sequence().unwrap()[0].as_sequence().unwrap();
        let alone: Vec<Bytes> = events
            .iter()
            .map(|event| Bytes::from(pack(event)))
            .collect();
        let spliced = splice(&MsgPack::new(), &alone);
        assert!(read(&spliced).unwrap().identical(&value), "{decoded}");
        // Cut out of the message that came, as they are when they are passed on.
        let opened = MsgPack::new()
            .open(&Bytes::from(frame.clone()), &Limits::default())
            .unwrap();
        assert_eq!(events_of(&opened), alone, "{decoded}");
        // And with keys written as references they are the very bytes.
        let mut sealed = Vec::new();
        let packer = MsgPack::new().key_cache(true);
        packer.seal(&spliced, &mut sealed).unwrap();
        assert_eq!(show(&sealed), show(&frame), "{decoded}");
    }
    eprintln!("msgpack: {batches} captured batches");
    assert!(batches >= 10, "{batches}");
}
