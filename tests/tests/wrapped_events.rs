//! `:wrap-recv-evs?`: events of the server in a wrapper of their own, on request.
#![allow(missing_docs)]

use std::time::Duration;

use sente_core::packer::{Edn, MsgPack, Packer};
use sente_core::{
    Accept, Carrier, Connection, ConnectionConfig, Dialect, Extensions, Instant, Pattern, Registry,
    Role,
};
use sente_tests::{Pair, RawPeer, event, messages, text};
use std::sync::Arc;

const NOW: Instant = Instant::EPOCH;

fn client(dialect: Dialect, wrap: Option<bool>) -> (Connection, RawPeer) {
    let mut config = ConnectionConfig::builder(Role::Client, dialect, Carrier::WebSocket);
    if let Some(wrap) = wrap {
        config = config.wrap_received(wrap);
    }
    let mut client = Connection::new(config.build().unwrap(), [1; 32], NOW);
    let mut peer = RawPeer::new(Role::Server);
    let handshake = match dialect {
        Dialect::Sente => "[[:chsk/handshake [\"u\" nil nil]] nil]",
        Dialect::SenteLite => "[:chsk/handshake [\"u\" nil {} true]]",
    };
    peer.say(&mut client, NOW, handshake);
    messages(&mut client);
    (client, peer)
}

fn heard(wrap: Option<bool>, dialect: Dialect, said: &str) -> Vec<String> {
    let (mut client, mut peer) = client(dialect, wrap);
    peer.say(&mut client, NOW, said);
    messages(&mut client).iter().map(text).collect()
}

#[test]
fn the_wrapper_is_off_by_default_as_in_sente() {
    for wrap in [None, Some(false)] {
        assert_eq!(
            heard(wrap, Dialect::Sente, "[[[:a/b 1]] nil]"),
            ["[:a/b 1]"]
        );
        let wrapped = "[:chsk/recv [:a/b 1]]";
        assert_eq!(heard(wrap, Dialect::SenteLite, wrapped), ["[:a/b 1]"]);
    }
}

#[test]
fn on_request_every_event_of_a_batch_comes_in_it() {
    assert_eq!(
        heard(
            Some(true),
            Dialect::Sente,
            "[[[:a/b {:x \"1\n2\"}] [:c/d]] nil]"
        ),
        ["[:chsk/recv [:a/b {:x \"1\\n2\"}]]", "[:chsk/recv [:c/d]]"]
    );
}

#[test]
fn what_a_sente_lite_server_has_wrapped_is_wrapped_once() {
    for said in ["[:chsk/recv [:a/b 1]]", "[:a/b 1]"] {
        assert_eq!(
            heard(Some(true), Dialect::SenteLite, said),
            ["[:chsk/recv [:a/b 1]]"]
        );
    }
}

#[test]
fn one_handler_sees_all_that_the_server_sends() {
    let (mut client, mut peer) = client(Dialect::Sente, Some(true));
    let mut handlers = Registry::new();
    let handler = handlers.on(Pattern::Namespace("chsk".into()), "from the server");
    peer.say(&mut client, NOW, "[[[:a/b 1]] nil]");
    let received = messages(&mut client).remove(0);
    let mut called = Vec::new();
    handlers.dispatch(&received.event, |id, name| called.push((id, *name)));
    assert_eq!(called, [(handler, "from the server")]);
}

#[test]
fn a_wrapped_call_is_answered_like_any_other() {
    for packer in [
        Arc::new(Edn) as Arc<dyn Packer>,
        Arc::new(MsgPack::default()),
    ] {
        let config = |role| {
            let config = ConnectionConfig::builder(role, Dialect::Sente, Carrier::WebSocket);
            config.packer(packer.clone())
        };
        let mut accept = Accept::new("u");
        accept.offered = Some(Extensions::ALL);
        let mut pair = Pair::accepted(
            config(Role::Client)
                .offer(Extensions::ALL)
                .wrap_received(true)
                .build()
                .unwrap(),
            config(Role::Server).build().unwrap(),
            accept,
        );
        let call = pair
            .server
            .call(pair.now, event("[:ask/this 1]"), Duration::from_secs(1));
        assert!(call.is_ok());
        pair.drive();
        let mut asked = messages(&mut pair.client).remove(0);
        assert_eq!(text(&asked), "[:chsk/recv [:ask/this 1]]");
        let token = asked.reply.take().unwrap();
        pair.client
            .reply(pair.now, token, sente_tests::edn("2"))
            .unwrap();
        pair.drive();
        assert_eq!(pair.server.pending_calls(), 0);
    }
}

#[test]
fn a_server_hands_over_what_clients_send_as_it_is() {
    let config = ConnectionConfig::builder(Role::Server, Dialect::Sente, Carrier::WebSocket)
        .wrap_received(true)
        .build()
        .unwrap();
    let mut server = Connection::new(config, [1; 32], NOW);
    server.accept(NOW, Accept::new("u"));
    RawPeer::new(Role::Client).say(&mut server, NOW, "[[:a/b 1] nil]");
    assert_eq!(text(&messages(&mut server)[0]), "[:a/b 1]");
}
