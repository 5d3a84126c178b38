//! Packing and unpacking one message, by each packer and by the plain libraries.

use std::fmt;
use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::sync::Arc;

use bytes::Bytes;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use flate2::{Compress, Compression, FlushCompress, Status};
use sente_core::packer::{
    Edn, Gzip, Json, MsgPack, Packer, TransitJson, TransitJsonVerbose, msgpack,
};
use sente_core::{Carrier, ConnectionConfig, Dialect, EventId, Limits, PackedEvent, Payload, Role};
use sente_edn::Value;

use super::engine::{Routing, Sending};
use super::shapes::{self, Data, EVENT_ID, Size};
use super::sizes;
use crate::cases::{Operation, keep};

/// One piece of work on the message of one size, by one codec.
pub struct Case {
    /// What is done, as in `pack-typed`.
    pub work: &'static str,
    /// To which message.
    pub size: Size,
    /// By whom.
    pub codec: &'static str,
    prepare: Box<dyn Fn() -> Operation>,
}

impl Case {
    /// `work/size/codec`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}/{}", self.work, self.size.name(), self.codec)
    }

    /// Makes the message and what else there must be beforehand.
    #[must_use]
    pub fn prepare(&self) -> Operation {
        (self.prepare)()
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// All cases, by work.
#[must_use]
pub fn all() -> Vec<Case> {
    let mut cases = Cases(Vec::new());
    for size in Size::ALL {
        cases.typed(size);
        cases.values(size);
        cases.gzip(size);
        cases.connections(size);
    }
    let mut order = Vec::new();
    for case in &cases.0 {
        if !order.contains(&case.work) {
            order.push(case.work);
        }
    }
    let mut cases = cases.0;
    cases.sort_by_key(|case| order.iter().position(|work| *work == case.work));
    cases
}

/// The packers, as they are named here and everywhere.
fn packers() -> [(&'static str, Arc<dyn Packer>); 5] {
    [
        ("edn", Arc::new(Edn)),
        ("json", Arc::new(Json::new())),
        ("transit-json", Arc::new(TransitJson::new())),
        ("transit-json-verbose", Arc::new(TransitJsonVerbose::new())),
        ("msgpack", Arc::new(MsgPack::new())),
    ]
}

struct Cases(Vec<Case>);

impl Cases {
    fn add<T: 'static>(
        &mut self,
        (work, size, codec): (&'static str, Size, &'static str),
        make: impl Fn() -> T + 'static,
        run: impl Fn(&mut T) + Copy + 'static,
    ) {
        self.0.push(Case {
            work,
            size,
            codec,
            prepare: Box::new(move || {
                let mut stays = make();
                Box::new(move || run(black_box(&mut stays)))
            }),
        });
    }

    /// Rust types, written and read.
    fn typed(&mut self, size: Size) {
        let data = move || shapes::data(size);
        for (name, packer) in packers() {
            let event = packer.clone();
            self.add(
                ("pack-event", size, name),
                move || {
                    let id = EventId::new(EVENT_ID).expect("an id");
                    (id, data(), event.clone())
                },
                |(id, data, packer)| keep(PackedEvent::pack_typed(id, data, &**packer)),
            );
            let config = config(packer);
            let for_writing = config.clone();
            self.add(
                ("pack-typed", size, name),
                move || (data(), for_writing.clone()),
                |(data, config)| keep(Payload::typed(data, config)),
            );
            self.add(
                ("unpack-typed", size, name),
                move || Payload::typed(&data(), &config).expect("it can be packed"),
                |payload| keep(payload.deserialize::<Data>().expect("it was packed")),
            );
        }
        self.add(("pack-typed", size, "msgpack::to_vec"), data, |data| {
            keep(msgpack::to_vec(data));
        });
        self.add(
            ("unpack-typed", size, "msgpack::from_slice"),
            move || msgpack::to_vec(&data()).expect("it can be packed"),
            |packed| keep(msgpack::from_slice::<Data>(packed).expect("it was packed")),
        );
        self.plain_typed(size);
    }

    /// The same by the plain libraries.
    fn plain_typed(&mut self, size: Size) {
        let data = move || shapes::data(size);
        self.add(("pack-event", size, "serde_json"), data, |data| {
            keep(serde_json::to_vec(&(EVENT_ID, data)));
        });
        self.add(("pack-typed", size, "serde_json"), data, |data| {
            keep(serde_json::to_vec(data));
        });
        self.add(
            ("unpack-typed", size, "serde_json"),
            move || serde_json::to_vec(&data()).expect("it is JSON"),
            |text| keep(serde_json::from_slice::<Data>(text).expect("it is JSON")),
        );
        #[cfg(feature = "peers")]
        {
            self.add(("pack-event", size, "rmp-serde"), data, |data| {
                keep(rmp_serde::to_vec_named(&(EVENT_ID, data)));
            });
            self.add(("pack-typed", size, "rmp-serde"), data, |data| {
                keep(rmp_serde::to_vec_named(data));
            });
            self.add(
                ("unpack-typed", size, "rmp-serde"),
                move || rmp_serde::to_vec_named(&data()).expect("it can be packed"),
                |packed| keep(rmp_serde::from_slice::<Data>(packed).expect("it was packed")),
            );
        }
    }

    /// Values of any shape, written and read.
    fn values(&mut self, size: Size) {
        let value = move || sizes::event(&shapes::data(size));
        for (name, packer) in packers() {
            let writer = packer.clone();
            self.add(
                ("pack-value", size, name),
                move || (value(), writer.clone()),
                |(value, packer)| keep(packed(&**packer, value)),
            );
            self.add(
                ("unpack-value", size, name),
                move || (packed(&*packer, &value()), packer.clone()),
                |(bytes, packer)| {
                    let read = packer.unpack(bytes, &Limits::default());
                    keep(read.expect("it was packed"));
                },
            );
        }
        let json = move || serde_json::to_value((EVENT_ID, shapes::data(size))).expect("JSON");
        self.add(("pack-value", size, "serde_json"), json, |value| {
            keep(serde_json::to_vec(value));
        });
        self.add(
            ("unpack-value", size, "serde_json"),
            move || serde_json::to_vec(&json()).expect("JSON"),
            |text| keep(serde_json::from_slice::<serde_json::Value>(text).expect("JSON")),
        );
        #[cfg(feature = "peers")]
        {
            let rmpv = move || {
                let packed = rmp_serde::to_vec_named(&(EVENT_ID, shapes::data(size)));
                packed.expect("it can be packed")
            };
            self.add(
                ("pack-value", size, "rmpv"),
                move || rmpv::decode::read_value(&mut &*rmpv()).expect("it was packed"),
                |value| {
                    let mut out = Vec::new();
                    keep(rmpv::encode::write_value(&mut out, value));
                    keep(out);
                },
            );
            self.add(("unpack-value", size, "rmpv"), rmpv, |packed| {
                keep(rmpv::decode::read_value(&mut &**packed).expect("it was packed"));
            });
        }
    }

    /// What a connection does with it, behind the packer.
    fn connections(&mut self, size: Size) {
        for (name, packer) in packers() {
            let (routing, queueing, batching) = (packer.clone(), packer.clone(), packer);
            self.add(
                ("route", size, name),
                move || Routing::new(&routing, size),
                Routing::route,
            );
            self.add(
                ("queue", size, name),
                move || Sending::new(&queueing, size),
                Sending::queue,
            );
            self.add(
                ("batch", size, name),
                move || Sending::new(&batching, size),
                Sending::batch,
            );
        }
    }

    /// The message, packed as MessagePack, compressed and inflated; of any length, at level 6.
    fn gzip(&mut self, size: Size) {
        let message = move || packed(&MsgPack::new(), &sizes::event(&shapes::data(size)));
        let compressed = move || {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
            encoder.write_all(&message()).expect("into memory");
            encoder.finish().expect("into memory")
        };
        let gzip = || Gzip::new(MsgPack::new()).threshold(1);
        self.add(
            ("gzip", size, "gzip-msgpack"),
            move || (message(), gzip()),
            |(message, packer)| {
                let mut out = Vec::new();
                keep(packer.seal(message, &mut out));
                keep(out);
            },
        );
        self.add(("gzip", size, "flate2, made anew"), message, |message| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
            keep(encoder.write_all(message));
            keep(encoder.finish());
        });
        self.add(
            ("gzip", size, "flate2, reset"),
            move || (message(), Compress::new_gzip(Compression::new(6), 15)),
            |(message, state)| {
                let mut out = Vec::with_capacity(message.len() + 64);
                let status = state.compress_vec(message, &mut out, FlushCompress::Finish);
                assert_eq!(status.ok(), Some(Status::StreamEnd));
                state.reset();
                keep(out);
            },
        );
        self.add(
            ("gunzip", size, "gzip-msgpack"),
            move || {
                let frame: Vec<u8> = std::iter::once(1).chain(compressed()).collect();
                (Bytes::from(frame), gzip())
            },
            |(frame, packer)| {
                let opened = packer.open(frame, &Limits::default());
                keep(opened.expect("it was sealed"));
            },
        );
        self.add(
            ("gunzip", size, "flate2, made anew"),
            compressed,
            |compressed| {
                let mut out = Vec::new();
                let read = GzDecoder::new(&**compressed).read_to_end(&mut out);
                keep(read.expect("it was compressed"));
                keep(out);
            },
        );
    }
}

fn config(packer: Arc<dyn Packer>) -> Arc<ConnectionConfig> {
    let builder = ConnectionConfig::builder(Role::Client, Dialect::Sente, Carrier::WebSocket);
    builder.packer(packer).build().expect("the parts fit")
}

fn packed(packer: &dyn Packer, value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    packer.pack(value, &mut out).expect("it can be packed");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_can_be_repeated() {
        for case in all() {
            let mut operation = case.prepare();
            operation();
            operation();
        }
    }

    #[test]
    fn every_case_has_a_name_of_its_own() {
        let mut names: Vec<_> = all().iter().map(Case::name).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
