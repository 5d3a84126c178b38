//! Reservations: who waits for room in the send queue, in which order, and how the wait ends.
#![allow(missing_docs)]

use bytes::{Buf, BytesMut};
use sente_core::{
    Carrier, Connection, ConnectionConfig, ConnectionEvent, Dialect, Event, Input, Instant, Limits,
    Policy, Priority, ReserveError, Role, SendError, SendOptions, Sent, Ticket, TransmitBuf,
};
use sente_tests::{Pair, event, events, messages, millis};

const NOW: Instant = Instant::EPOCH;

/// A name and what it does to a connection.
struct End(&'static str, fn(&mut Connection));

/// An open client on lines with room for `messages` events and `bytes` bytes.
fn client(messages: usize, bytes: usize) -> Connection {
    let mut limits = Limits::default();
    limits.max_send_messages = messages;
    limits.max_send_bytes = bytes;
    limits.max_reservations = 5;
    limits.max_transmit_bytes = 1;
    let config = |role| {
        ConnectionConfig::builder(role, Dialect::SenteLite, Carrier::Lines)
            .limits(limits.clone())
            .build()
            .unwrap()
    };
    Pair::with(config(Role::Client), config(Role::Server)).client
}

/// An event of ten packed bytes.
fn ten(n: usize) -> Event {
    event(&format!("[:a/n {}]", 100 + n))
}

/// Writes one frame.
fn write_one(connection: &mut Connection) -> String {
    let mut out = TransmitBuf::new();
    let _ = connection.poll_transmit(&mut out);
    connection.handle_transmitted(NOW);
    String::from_utf8(out.copy_to_bytes(out.remaining()).to_vec()).unwrap()
}

#[derive(Debug, PartialEq)]
enum Told {
    Granted(Ticket),
    Expired(Ticket),
    Failed(Ticket),
    Ready,
}

fn told(connection: &mut Connection) -> Vec<Told> {
    events(connection)
        .into_iter()
        .filter_map(|event| match event {
            ConnectionEvent::Granted(ticket) => Some(Told::Granted(ticket)),
            ConnectionEvent::ReservationExpired(ticket) => Some(Told::Expired(ticket)),
            ConnectionEvent::ReservationFailed(ticket) => Some(Told::Failed(ticket)),
            ConnectionEvent::SendReady => Some(Told::Ready),
            _ => None,
        })
        .collect()
}

#[test]
fn free_room_is_granted_at_once_and_kept() {
    let mut client = client(2, 100);
    let ticket = client.reserve(NOW, 10, None).unwrap();
    assert_eq!(told(&mut client), [Told::Granted(ticket)]);
    let capacity = client.send_capacity();
    assert_eq!(
        (capacity.reserved_messages, capacity.reserved_bytes),
        (1, 10)
    );
    client.send(NOW, ten(1)).unwrap();
    assert!(matches!(
        client.send(NOW, ten(2)),
        Err(SendError::Full {
            messages: 1,
            needed: 10,
            ..
        })
    ));
    client.send_reserved(NOW, ticket, ten(3)).unwrap();
    assert_eq!(client.send_capacity().reserved_bytes, 0);
    assert_eq!(client.send_capacity().messages, 2);
    assert!(matches!(
        client.send_reserved(NOW, ticket, ten(4)),
        Err(SendError::NoReservation(_))
    ));
    assert!(!client.release(NOW, ticket));
}

#[test]
fn who_waits_first_is_served_first_though_a_later_one_would_fit() {
    let mut client = client(100, 30);
    for n in 0..2 {
        client.send(NOW, ten(n)).unwrap();
    }
    let large = client.reserve(NOW, 25, None).unwrap();
    let small = client.reserve(NOW, 5, None).unwrap();
    assert!(told(&mut client).is_empty());
    assert_eq!(client.send_capacity().waiting_reservations, 2);
    // A send without a ticket would fit, too, and does not overtake.
    let refused = client.send(NOW, ten(5));
    assert!(matches!(refused, Err(SendError::Full { .. })));
    write_one(&mut client);
    assert!(told(&mut client).is_empty());
    write_one(&mut client);
    assert_eq!(
        told(&mut client)[..2],
        [Told::Granted(large), Told::Granted(small)]
    );
}

#[test]
fn send_ready_comes_when_nobody_waits_any_more() {
    let mut client = client(2, 100);
    client.send(NOW, ten(0)).unwrap();
    client.send(NOW, ten(1)).unwrap();
    let tickets = [(); 3].map(|()| client.reserve(NOW, 10, None).unwrap());
    assert!(client.send(NOW, ten(2)).is_err());
    write_one(&mut client);
    write_one(&mut client);
    assert_eq!(
        told(&mut client),
        [Told::Granted(tickets[0]), Told::Granted(tickets[1])]
    );
    assert!(client.release(NOW, tickets[0]));
    assert_eq!(told(&mut client), [Told::Granted(tickets[2])]);
    assert!(client.release(NOW, tickets[1]));
    assert_eq!(told(&mut client), [Told::Ready]);
}

#[test]
fn sends_that_make_their_own_room_pass_without_taking_that_of_others() {
    let mut client = client(100, 40);
    let drop_oldest = || SendOptions::new().policy(Policy::DropOldest);
    client.send(NOW, ten(0)).unwrap();
    client.send_with(NOW, ten(1), drop_oldest()).unwrap();
    client.send_with(NOW, ten(2), drop_oldest()).unwrap();
    let ticket = client.reserve(NOW, 20, None).unwrap();
    assert!(told(&mut client).is_empty());
    // There would be room for one more, but it is waited for: an old one goes instead.
    let sent = client.send_with(NOW, ten(3), drop_oldest()).unwrap();
    assert_eq!(sent, Sent::Queued);
    assert_eq!(client.send_capacity().bytes, 30);
    assert_eq!(client.stats().dropped_oldest, 1);
    let too_much = event("[:a/big \"0123456789012345\"]");
    let refused = client.send_with(NOW, too_much, drop_oldest());
    assert!(matches!(refused, Err(SendError::Full { .. })));
    assert_eq!(client.stats().dropped_oldest, 1);
    write_one(&mut client);
    assert_eq!(told(&mut client)[0], Told::Granted(ticket));
}

#[test]
fn a_reservation_waits_until_its_deadline() {
    let mut client = client(100, 30);
    for n in 0..2 {
        client.send(NOW, ten(n)).unwrap();
    }
    let late = client.reserve(NOW, 25, Some(NOW + millis(50))).unwrap();
    let next = client.reserve(NOW, 10, Some(NOW + millis(80))).unwrap();
    assert_eq!(client.poll_timeout(), Some(NOW + millis(50)));
    client.handle_timeout(NOW + millis(49));
    assert!(told(&mut client).is_empty());
    client.handle_timeout(NOW + millis(50));
    // The one behind wants less, and there was room for it all the time.
    assert_eq!(
        told(&mut client),
        [Told::Expired(late), Told::Granted(next)]
    );
    // Granted, it has no deadline any more.
    assert_eq!(client.poll_timeout(), None);
    client.handle_timeout(NOW + millis(100));
    assert!(told(&mut client).is_empty());
    client.send_reserved(NOW, next, ten(3)).unwrap();
    assert!(matches!(
        client.send_reserved(NOW, late, ten(4)),
        Err(SendError::NoReservation(_))
    ));
}

#[test]
fn a_smaller_event_gives_the_rest_back_and_a_larger_one_needs_it_free() {
    let mut client = client(100, 30);
    let small = client.reserve(NOW, 20, None).unwrap();
    let large = client.reserve(NOW, 5, None).unwrap();
    let waiting = client.reserve(NOW, 12, None).unwrap();
    assert_eq!(
        told(&mut client),
        [Told::Granted(small), Told::Granted(large)]
    );
    // Somebody waits for the difference.
    let refused = client.send_reserved(NOW, large, ten(1));
    assert!(matches!(refused, Err(SendError::Full { needed: 10, .. })));
    client.send_reserved(NOW, small, ten(2)).unwrap();
    assert_eq!(told(&mut client), [Told::Granted(waiting)]);
    assert!(client.release(NOW, waiting));
    // The reservation survived the refusal, and now there is room.
    client.send_reserved(NOW, large, ten(3)).unwrap();
    assert_eq!(client.send_capacity().bytes, 20);
}

#[test]
fn whoever_waits_is_told_when_the_connection_drains_or_ends() {
    let ends: [End; 4] = [
        End("drain", |client| client.drain(NOW, NOW + millis(10))),
        End("close", |client| client.close(NOW)),
        End("failure", |client| {
            client.handle_input(NOW, Input::Failed("cut".into()));
        }),
        End("timeout", |client| {
            client.drain(NOW, NOW + millis(10));
            client.handle_timeout(NOW + millis(10));
        }),
    ];
    for End(name, end) in ends {
        let mut client = client(1, 100);
        let held = client.reserve(NOW, 10, None).unwrap();
        let first = client.reserve(NOW, 10, Some(NOW + millis(5))).unwrap();
        let second = client.reserve(NOW, 10, None).unwrap();
        assert_eq!(told(&mut client), [Told::Granted(held)]);
        end(&mut client);
        assert_eq!(
            told(&mut client),
            [Told::Failed(first), Told::Failed(second)],
            "{name}"
        );
        let refused = client.send_reserved(NOW, held, ten(1));
        assert!(matches!(refused, Err(SendError::NotOpen(_))), "{name}");
        assert_eq!(client.reserve(NOW, 1, None), Err(ReserveError::NotOpen));
    }
}

#[test]
fn what_never_fits_and_what_is_too_many_is_refused() {
    let mut client = client(100, 30);
    assert_eq!(
        client.reserve(NOW, 31, None),
        Err(ReserveError::TooLarge {
            bytes: 31,
            limit: 30
        })
    );
    let tickets = [(); 5].map(|()| client.reserve(NOW, 10, None).unwrap());
    assert_eq!(
        client.reserve(NOW, 1, None),
        Err(ReserveError::TooMany { limit: 5 })
    );
    // One that waits can give up, too.
    assert!(client.release(NOW, tickets[4]));
    client.reserve(NOW, 1, None).unwrap();
}

#[test]
fn reserved_room_is_used_with_priority_and_key_as_any_other() {
    let mut client = client(4, 100);
    let tickets = [(); 3].map(|()| client.reserve(NOW, 10, None).unwrap());
    let low = SendOptions::new().priority(Priority::Low);
    let latest = SendOptions::new().policy(Policy::Latest("k".into()));
    let mut send = |at: usize, n, options| {
        client
            .send_reserved_with(NOW, tickets[at], ten(n), options)
            .unwrap()
    };
    assert_eq!(send(0, 1, low), Sent::Queued);
    assert_eq!(send(1, 2, latest.clone()), Sent::Queued);
    // It takes the place of the other, and gives its room back.
    assert_eq!(send(2, 3, latest), Sent::Replaced);
    let capacity = client.send_capacity();
    assert_eq!((capacity.messages, capacity.reserved_messages), (2, 0));
    assert_eq!(write_one(&mut client), "[:a/n 103]\n");
    assert_eq!(write_one(&mut client), "[:a/n 101]\n");
}

#[test]
fn a_reservation_holds_its_room_for_a_replacement_though_replies_went_over_the_limit() {
    let mut client = client(4, 100);
    let mut call = BytesMut::from("[[:q/a] \"cb\"]\n");
    client.handle_input(NOW, Input::Bytes(&mut call));
    let token = messages(&mut client).remove(0).reply.unwrap();
    let latest = SendOptions::new().policy(Policy::Latest("k".into()));
    client
        .send_with(NOW, event("[:a/n 1]"), latest.clone())
        .unwrap();
    let ticket = client.reserve(NOW, 10, None).unwrap();
    client.reply(NOW, token, "x".repeat(200).as_str()).unwrap();
    let sent = client.send_reserved_with(NOW, ticket, ten(1), latest);
    assert_eq!(sent.unwrap(), Sent::Replaced);
}
