//! Channels and pushes among clients of every packer, over real connections.
#![allow(missing_docs)]

mod server_support;

use std::collections::BTreeMap;
use std::sync::Arc;

use sente_core::packer::{Edn, Gzip, Json, MsgPack, Packer, TransitJson};
use sente_core::{Carrier, Connection, ConnectionConfig, Dialect, Role, ServerAccept, Target};
use sente_edn::Value;
use sente_tests::{edn, event};
use server_support::ServerRig;

/// A client of each packer in each dialect, all subscribed to one channel.
fn everybody() -> (ServerRig, Vec<sente_core::ConnId>) {
    let packers: [Arc<dyn Packer>; 5] = [
        Arc::new(Edn),
        Arc::new(TransitJson::new()),
        Arc::new(MsgPack::new()),
        Arc::new(Json::new()),
        Arc::new(Gzip::new(Edn)),
    ];
    let mut rig = ServerRig::new();
    let mut ids = Vec::new();
    for packer in packers {
        for dialect in [Dialect::Sente, Dialect::SenteLite] {
            let config = |role| {
                ConnectionConfig::builder(role, dialect, Carrier::WebSocket)
                    .packer(packer.clone())
                    .build()
                    .unwrap()
            };
            let seed = u8::try_from(ids.len()).unwrap();
            let client = Connection::new(config(Role::Client), [seed; 32], rig.now);
            let id = rig.server.open(rig.now, config(Role::Server));
            rig.clients.insert(id, client);
            let user = format!("user-{seed}");
            let terms = ServerAccept::new().user(user);
            rig.server.accept(rig.now, id, terms).unwrap();
            rig.drive();
            rig.say(id, "[:sente-lite/subscribe {:channel-id \"room\"}]");
            assert_eq!(
                rig.got(id),
                ["[:sente-lite/subscribed {:channel-id \"room\", :success true}]"]
            );
            ids.push(id);
        }
    }
    (rig, ids)
}

/// What each client got under `:data`, the only message it got.
fn data(rig: &mut ServerRig, ids: &[sente_core::ConnId]) -> Vec<Value> {
    let mut of = |id| {
        let got = rig.got(id);
        assert_eq!(got.len(), 1, "{got:?}");
        let value = edn(&got[0]);
        value.as_sequence().unwrap()[1]
            .get_keyword("data")
            .unwrap()
            .clone()
    };
    ids.iter().map(|id| of(*id)).collect()
}

#[test]
fn a_publish_by_any_client_reaches_all_with_the_same_data() {
    let (mut rig, ids) = everybody();
    // What every packer keeps as it is.
    let said = "{:n 1, :list [1 2.5 \"text\"], :yes true, :none nil}";
    for id in &ids {
        rig.say(
            *id,
            &format!("[:sente-lite/publish {{:channel-id \"room\" :data {said}}}]"),
        );
        let got = data(&mut rig, &ids);
        assert!(got.iter().all(|data| *data == edn(said)), "{got:?}");
    }
    let stats = rig.server.hub().channel_stats();
    assert_eq!((stats.published, stats.delivered), (10, 100));
}

#[test]
fn a_push_is_packed_once_for_each_format_and_reads_the_same() {
    let (mut rig, ids) = everybody();
    let news = event("[:news/flash {:n 1 :text \"read all about it\"}]");
    let fanout = rig.server.fan_out(rig.now, &Target::All, &news).unwrap();
    assert_eq!((fanout.connections, fanout.packings), (10, 4));
    rig.drive();
    let got: BTreeMap<_, _> = ids.iter().map(|id| (*id, rig.got(*id))).collect();
    let expected = edn("[:news/flash {:n 1 :text \"read all about it\"}]");
    for (id, got) in got {
        assert_eq!(got.len(), 1, "{id}");
        assert_eq!(edn(&got[0]), expected);
    }
}
