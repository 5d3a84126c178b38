//! Every event id that can arrive can be sent again.
#![allow(missing_docs)]

use sente_core::{Carrier, Dialect};
use sente_tests::{Pair, RawPeer, config, messages, text};

#[test]
fn odd_but_readable_ids_are_relayed_as_they_came() {
    for id in [
        "a/1", "a::b/c", "a.b/c", "a/b'c", "a#/b", "ä/ö", "a/b:c", "1a/b", "a/b/c", "%/&",
    ] {
        let frame = format!("[:{id} 1]");
        let mut server = sente_core::Connection::new(
            config(
                sente_core::Role::Server,
                Dialect::SenteLite,
                Carrier::WebSocket,
            ),
            [1; 32],
            sente_core::Instant::EPOCH,
        );
        server.accept(sente_core::Instant::EPOCH, sente_core::Accept::new("u"));
        let mut peer = RawPeer::new(sente_core::Role::Client);
        peer.say(&mut server, sente_core::Instant::EPOCH, &frame);
        let message = messages(&mut server).pop().unwrap();
        let mut pair = Pair::open(Dialect::SenteLite, Carrier::Lines);
        pair.client.send(pair.now, message.event).unwrap();
        pair.drive();
        let got: Vec<_> = messages(&mut pair.server).iter().map(text).collect();
        assert_eq!(got, [frame]);
    }
}
