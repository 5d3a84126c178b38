//! What the replays of captured sessions share.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::sync::Arc;

use bytes::Bytes;
use sente_core::Limits;
use sente_core::packer::{Edn, Gzip, MsgPack, Packer, TransitJson, TransitJsonVerbose};
use sente_tests::vectors::names;

/// The packers of the captured sessions; one whose name begins with another's comes first.
pub(crate) fn packers() -> [Arc<dyn Packer>; 6] {
    [
        Arc::new(Edn),
        Arc::new(Gzip::new(Edn)),
        Arc::new(TransitJsonVerbose::new()),
        Arc::new(TransitJson::new()),
        Arc::new(MsgPack::new()),
        Arc::new(Gzip::new(MsgPack::new())),
    ]
}

/// The message in a frame as EDN; EDN as it came, readable or not.
pub(crate) fn as_edn(packer: &dyn Packer, frame: &[u8]) -> String {
    if packer.name() == "edn" {
        return String::from_utf8_lossy(frame).into_owned();
    }
    let frame = Bytes::copy_from_slice(frame);
    let value = packer.unpack_message(&frame, &Limits::default()).unwrap();
    sente_edn::to_string(&value)
}

/// Which packers a scenario was recorded with.
pub(crate) fn recorded_with(name: &str) -> Vec<Arc<dyn Packer>> {
    let files = names("sente", "ws-");
    let is_there = |packer: &Arc<dyn Packer>| files.contains(&file(&**packer, name));
    packers().into_iter().filter(is_there).collect()
}

/// Where the session of a scenario with a packer is.
pub(crate) fn file(packer: &dyn Packer, name: &str) -> String {
    format!("sente/ws-{}-{name}.json", packer.name())
}
