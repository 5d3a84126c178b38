//! The same work done by the codecs that are only compared with, each as its documentation says it
//! is used.

use std::hint::black_box;

use serde::{Deserialize, Serialize};
use simd_json::Buffers;

use crate::cases::{Cases, Subject, keep};
use crate::documents::{Document, Format};
use crate::message::PlainMessage;

const CLOJURE_READER: Subject = ("clojure-reader", Format::Edn);
const EDN_FORMAT: Subject = ("edn-format", Format::Edn);
const EDN_RS: Subject = ("edn-rs", Format::Edn);
const SIMD_JSON: Subject = ("simd-json", Format::Json);
const SONIC_RS: Subject = ("sonic-rs", Format::Json);
const RMP_SERDE: Subject = ("rmp-serde", Format::MessagePack);
const RMPV: Subject = ("rmpv", Format::MessagePack);

/// Adds their cases.
pub(crate) fn add(cases: &mut Cases) {
    for document in Document::ALL {
        add_values(cases, document);
    }
    for document in [Document::Medium, Document::Large] {
        add_trees(cases, document);
        add_prints(cases, document);
    }
    add_typed(cases);
}

fn add_values(cases: &mut Cases, document: Document) {
    cases.read("value", document, CLOJURE_READER, |text| {
        keep(clojure_reader(text));
    });
    cases.read("value", document, EDN_FORMAT, |text| keep(edn_format(text)));
    cases.read("value", document, EDN_RS, |text| keep(edn_rs(text)));
    cases.read("value", document, RMP_SERDE, |packed| {
        keep(rmp_typed::<serde_json::Value>(packed));
    });
}

fn add_trees(cases: &mut Cases, document: Document) {
    cases.read("tree", document, SONIC_RS, |text| {
        keep(sonic_typed::<sonic_rs::Value>(text));
    });
    cases.read("tree", document, RMPV, |mut packed| {
        keep(rmpv::decode::read_value_ref(&mut packed).expect("the document is MessagePack"));
    });
    // simd-json works in place, so its input has to be copied first.
    cases.read("tree", document, SIMD_JSON, |text| {
        let mut text = text.to_vec();
        keep(simd_json::to_borrowed_value(&mut text).expect("the document is JSON"));
    });
    cases.read_into(
        "scan",
        document,
        SIMD_JSON,
        <(Vec<u8>, Buffers)>::default,
        |text, (copy, buffers)| {
            copy.clear();
            copy.extend_from_slice(text);
            keep(simd_json::to_tape_with_buffers(copy, buffers).expect("the document is JSON"));
        },
    );
}

fn add_prints(cases: &mut Cases, document: Document) {
    // The EDN crates make a string of their own each time.
    cases.write("print", document, EDN_RS, edn_rs, |value, _| {
        keep(value.to_string())
    });
    cases.write("print", document, EDN_FORMAT, edn_format, |value, _| {
        keep(edn_format::emit_str(value))
    });
    cases.write(
        "print",
        document,
        CLOJURE_READER,
        // Its value borrows from a text that has to stay.
        |text| clojure_reader(text.to_vec().leak()),
        |value, _| keep(value.to_string()),
    );
    cases.write(
        "print",
        document,
        SONIC_RS,
        |text| sonic_typed::<sonic_rs::Value>(text),
        |value, out| {
            out.clear();
            sonic_rs::to_writer(out, value).expect("a vector takes everything");
        },
    );
}

fn add_typed(cases: &mut Cases) {
    cases.read("typed", Document::Medium, SONIC_RS, |text| {
        keep(sonic_typed::<PlainMessage>(text));
    });
    cases.read("typed", Document::Medium, RMP_SERDE, |packed| {
        keep(rmp_typed::<PlainMessage>(packed));
    });
    cases.read("typed", Document::Large, SONIC_RS, |text| {
        keep(sonic_typed::<Vec<PlainMessage>>(text));
    });
    cases.read("typed", Document::Large, RMP_SERDE, |packed| {
        keep(rmp_typed::<Vec<PlainMessage>>(packed));
    });
    cases.write(
        "typed-write",
        Document::Medium,
        SONIC_RS,
        |text| sonic_typed::<PlainMessage>(text),
        |value, _| keep(sonic_rs::to_vec(value).expect("the value can be written")),
    );
    cases.write(
        "typed-write",
        Document::Medium,
        RMP_SERDE,
        |packed| rmp_typed::<PlainMessage>(packed),
        |value, _| keep(rmp_write(value)),
    );
}

/// These three read strings, so the check of the encoding is part of the work.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("the document is UTF-8")
}

fn clojure_reader(bytes: &[u8]) -> clojure_reader::edn::Edn<'_> {
    clojure_reader::edn::read_string(text(bytes)).expect("the document is EDN")
}

fn edn_format(bytes: &[u8]) -> edn_format::Value {
    edn_format::parse_str(text(bytes)).expect("the document is EDN")
}

fn edn_rs(bytes: &[u8]) -> edn_rs::Edn {
    text(bytes).parse().expect("the document is EDN")
}

fn sonic_typed<'a, T: Deserialize<'a>>(text: &'a [u8]) -> T {
    sonic_rs::from_slice(text).expect("the document is what the type takes")
}

fn rmp_typed<'a, T: Deserialize<'a>>(packed: &'a [u8]) -> T {
    rmp_serde::from_slice(packed).expect("the document is what the type takes")
}

fn rmp_write<T: Serialize>(value: &T) -> Vec<u8> {
    rmp_serde::to_vec(black_box(value)).expect("the value can be written")
}
