//! The captured messages of real Sente over Transit, taken apart and put together again: pieces
//! packed once and spliced make the same bytes that the real packer makes of the whole.
#![allow(missing_docs)]

mod packer_transit_support;

use bytes::Bytes;
use packer_transit_support::{message, packed, rows};
use sente_core::packer::{Packer, Shape, Span, TransitJson, TransitJsonVerbose};
use sente_core::{Event, Limits, PackedEvent};
use sente_edn::Value;

/// Every text frame of a session.
fn frames(session: &str) -> Vec<String> {
    let frames: Vec<String> = rows(session)
        .iter()
        .filter(|row| row["frame_type"] == "text")
        .map(|row| row["payload"].as_str().unwrap().to_owned())
        .collect();
    assert!(frames.len() >= 40, "{session}: {}", frames.len());
    frames
}

fn packers() -> [(Box<dyn Packer>, &'static str); 2] {
    [
        (
            Box::new(TransitJson::new().key_cache(true)),
            "ws-transit-json-basic.json",
        ),
        (
            Box::new(TransitJsonVerbose::new()),
            "ws-transit-json-verbose-basic.json",
        ),
    ]
}

/// Where the items of a packed sequence stand.
fn items(packer: &dyn Packer, packed: &[u8]) -> Vec<Span> {
    let mut items = Vec::new();
    let walked = packer.walk(packed, &Limits::default(), &mut |cursor| {
        cursor.enter()?;
        while cursor.peek()?.is_some() {
            items.push(cursor.skip()?);
        }
        cursor.leave()
    });
    walked.unwrap();
    items
}

fn splice<P: AsRef<[u8]>>(packer: &dyn Packer, pieces: &[P]) -> Vec<u8> {
    let tokens = packer.sequence(pieces.len());
    let mut out = tokens.open().to_vec();
    for (index, piece) in pieces.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(tokens.separator());
        }
        out.extend_from_slice(piece.as_ref());
    }
    out.extend_from_slice(tokens.close());
    out
}

fn slice(packed: &Bytes, span: &Span) -> Bytes {
    packed.slice(span.start..span.end)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn batches_of_events_packed_one_by_one_are_the_captured_ones() {
    for (packer, session) in packers() {
        let mut events = 0;
        let mut shortened = 0;
        for frame in frames(session) {
            let opened = packer
                .open(&Bytes::from(frame.clone()), &Limits::default())
                .unwrap();
            shortened += usize::from(opened.len() > frame.len());
            let [envelope, callback] = items(&*packer, &opened)[..] else {
                // A client's event without a place for a callback.
                panic!("{frame}");
            };
            let batch = slice(&opened, &envelope);
            let is_batch = !callback.truthy
                && envelope.shape == Shape::Vector
                && items(&*packer, &batch)
                    .iter()
                    .all(|item| item.shape == Shape::Vector);
            if !is_batch {
                continue;
            }
            let pieces: Vec<Bytes> = items(&*packer, &batch)
                .iter()
                .map(|item| {
                    let alone = packer
                        .unpack(&slice(&batch, item), &Limits::default())
                        .unwrap();
                    let event = Event::from_value(alone).unwrap();
                    PackedEvent::pack(&event, &*packer).unwrap().bytes().clone()
                })
                .collect();
            events += pieces.len();
            let again = splice(&*packer, &[&splice(&*packer, &pieces)[..], b"null"]);
            assert_eq!(text(&again), text(&opened));
            let mut sealed = Vec::new();
            packer.seal(&again, &mut sealed).unwrap();
            assert_eq!(text(&sealed), frame);
        }
        assert!(events >= 16, "{session}: {events}");
        assert_eq!(shortened > 0, packer.seals(), "{session}: {shortened}");
    }
}

#[test]
fn every_piece_of_a_captured_message_means_the_same_wherever_it_stands() {
    for (packer, session) in packers() {
        for frame in frames(session) {
            let opened = packer
                .open(&Bytes::from(frame.clone()), &Limits::default())
                .unwrap();
            let whole = packer.unpack(&opened, &Limits::default()).unwrap();
            let pieces: Vec<Bytes> = items(&*packer, &opened)
                .iter()
                .map(|span| slice(&opened, span))
                .collect();
            let values: Vec<Value> = pieces
                .iter()
                .map(|piece| packer.unpack(piece, &Limits::default()).unwrap())
                .collect();
            assert!(Value::from(values.clone()).identical(&whole), "{frame}");
            // The same bytes as packing the piece anew, and as the whole packed at once.
            for (piece, value) in pieces.iter().zip(&values) {
                assert_eq!(packed(&*packer, value), text(piece));
            }
            assert_eq!(splice(&*packer, &pieces), opened);
            assert_eq!(message(&*packer, &whole), frame);
            // Behind other pieces that would have changed what a reference means.
            let moved = splice(
                &*packer,
                &[&packed(&*packer, &whole).into_bytes()[..], &opened],
            );
            let twice = packer.unpack(&moved, &Limits::default()).unwrap();
            assert!(twice.identical(&vec![whole.clone(), whole].into()));
        }
    }
}
