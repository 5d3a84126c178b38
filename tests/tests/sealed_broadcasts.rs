//! Broadcasts to connections whose packers seal: once for all that read the same frame.
#![allow(missing_docs)]

mod sealed_support;

use std::sync::Arc;

use bytes::Bytes;
use sealed_support::*;
use sente_core::packer::{Edn, Packer};
use sente_core::{
    ConnId, ConnectionEvent, Dialect, Event, Hub, HubConfig, HubOutput, Input, Limits, Member,
    PackedEvent, Role, Target,
};
use sente_tests::{event, events};

fn conn(n: u8) -> ConnId {
    ConnId::new(1_700_000_000_000 + u64::from(n), &[n; 10])
}

fn member(packer: &Arc<dyn Packer>, dialect: Dialect) -> Member {
    Member::new(packer.clone()).user("ada").dialect(dialect)
}

/// How often a broadcast to ten connections is sealed, and what each said. The hub is told that
/// they speak `dialect`.
fn broadcast(dialect: Dialect, event: &Event) -> (usize, usize, Vec<Vec<Bytes>>) {
    let padded = Padded::new(3);
    let packer: Arc<dyn Packer> = padded.clone();
    let mut hub = Hub::new(HubConfig::default(), [0; 32]);
    let mut servers: Vec<_> = (0..10)
        .map(|n| {
            hub.join(NOW, conn(n), member(&packer, dialect)).unwrap();
            (conn(n), server(&packer, &Limits::default()))
        })
        .collect();
    let before = padded.sealed();
    let fanout = hub.fan_out(NOW, &Target::All, event).unwrap();
    assert_eq!((fanout.packings, fanout.connections), (1, 10));
    let Some(HubOutput::Deliver(delivery)) = hub.poll_output() else {
        panic!("nothing is delivered");
    };
    for to in &delivery.to {
        let (_, (server, _)) = servers.iter_mut().find(|(id, _)| id == to).unwrap();
        server.send_packed(NOW, &delivery.event).unwrap();
    }
    let said = servers
        .iter_mut()
        .map(|(_, (server, peer))| binaries(peer, server))
        .collect();
    (fanout.sealings, padded.sealed() - before, said)
}

#[test]
fn a_broadcast_is_sealed_once_for_all_connections_of_one_packer_and_dialect() {
    let event = dull(":news/flash", 5000);
    let (sealings, sealed, said) = broadcast(Dialect::Sente, &event);
    assert_eq!((sealings, sealed), (1, 1));
    assert!(said.iter().all(|frames| *frames == said[0]));
    assert!(said[0][0].starts_with(b"...[[[:news/flash \"xxx"));
    // Where the hub is told wrongly what they speak, each does it alone, to the same effect.
    let (sealings, sealed, mistaken) = broadcast(Dialect::SenteLite, &event);
    assert_eq!((sealings, sealed), (1, 11));
    assert_eq!(mistaken, said);
}

#[test]
fn each_packer_and_dialect_has_a_frame_of_its_own() {
    let packers: [Arc<dyn Packer>; 3] = [gzip(), gzip(), Arc::new(Edn)];
    let mut hub = Hub::new(HubConfig::default(), [0; 32]);
    for n in 0..12 {
        let packer = &packers[usize::from(n % 3)];
        hub.join(NOW, conn(n), member(packer, Dialect::Sente))
            .unwrap();
        if n >= 6 {
            assert!(hub.set_dialect(conn(n), Dialect::SenteLite));
        }
    }
    let fanout = hub.fan_out(NOW, &Target::All, &event("[:a/b]")).unwrap();
    assert_eq!((fanout.packings, fanout.sealings), (1, 4));
    let outputs = std::iter::from_fn(|| hub.poll_output()).count();
    assert_eq!(outputs, 5, "and one for all that do not seal");
    // For one alone nothing is sealed before it is known how it leaves.
    let fanout = hub.fan_out(NOW, &Target::Connection(conn(0)), &event("[:a/b]"));
    assert_eq!(fanout.unwrap().sealings, 0);
    assert!(!hub.set_dialect(conn(99), Dialect::Sente));
}

#[test]
fn what_was_sealed_alone_still_leaves_in_a_batch_with_others() {
    let packer = gzip();
    let mut packed = PackedEvent::pack(&event("[:a/b 1]"), &*packer).unwrap();
    packed
        .seal_for(Role::Server, Dialect::Sente, &packer)
        .unwrap();
    let (mut server, mut peer) = server(&packer, &Limits::default());
    server.send_packed(NOW, &packed).unwrap();
    server.send(NOW, event("[:a/b 2]")).unwrap();
    assert_eq!(
        binaries(&mut peer, &mut server),
        ["\0[[[:a/b 1] [:a/b 2]] nil]"]
    );
}

#[test]
fn a_frame_sealed_for_others_is_not_used() {
    let packer = gzip();
    let mut packed = PackedEvent::pack(&event("[:a/b 1]"), &*packer).unwrap();
    // Another side, another dialect, another packer of the same name.
    packed
        .seal_for(Role::Client, Dialect::Sente, &packer)
        .unwrap();
    packed
        .seal_for(Role::Server, Dialect::SenteLite, &packer)
        .unwrap();
    let padded: Arc<dyn Packer> = Padded::new(5);
    packed
        .seal_for(Role::Server, Dialect::Sente, &padded)
        .unwrap();
    let (mut server, mut peer) = server(&packer, &Limits::default());
    server.send_packed(NOW, &packed).unwrap();
    assert_eq!(binaries(&mut peer, &mut server), ["\0[[[:a/b 1]] nil]"]);
}

#[test]
fn an_event_that_comes_back_undelivered_is_sealed_still() {
    let padded = Padded::new(2);
    let packer: Arc<dyn Packer> = padded.clone();
    let mut packed = PackedEvent::pack(&event("[:a/b 1]"), &*packer).unwrap();
    packed
        .seal_for(Role::Server, Dialect::Sente, &packer)
        .unwrap();
    let (mut first, _) = server(&packer, &Limits::default());
    first.send_packed(NOW, &packed).unwrap();
    first.handle_input(NOW, Input::Failed("gone".into()));
    let back = events(&mut first)
        .into_iter()
        .find_map(|told| match told {
            ConnectionEvent::Undelivered(mut back) => back.pop(),
            _ => None,
        })
        .unwrap();
    let (mut second, mut peer) = server(&packer, &Limits::default());
    let before = padded.sealed();
    second.send_packed(NOW, &back).unwrap();
    assert_eq!(binaries(&mut peer, &mut second), ["..[[[:a/b 1]] nil]"]);
    assert_eq!(padded.sealed(), before);
}
