//! Events sent while a client has no link: each by its policy and priority, as on a link.
#![allow(missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use sente_core::packer::Edn;
use sente_core::{
    Carrier, ClientConfig, ClientEvent, ConnectionConfig, ConnectionConfigBuilder, ConnectionEvent,
    Dialect, Dropped, Limits, OnOffline, PackedEvent, PackedSendError, Policy, Priority, Rate,
    Role, SendError, SendOptions, Sent,
};
use sente_tests::{Dial, Rig, event, events, messages, millis, seconds, text};

fn keeps(max_messages: usize, max_bytes: usize) -> OnOffline {
    OnOffline::Buffer {
        max_messages,
        max_bytes,
    }
}

fn config(
    on_offline: OnOffline,
    link: impl FnOnce(ConnectionConfigBuilder) -> ConnectionConfigBuilder,
) -> Arc<ClientConfig> {
    let builder = ConnectionConfig::builder(Role::Client, Dialect::SenteLite, Carrier::Lines)
        .keep_dropped(1 << 20);
    let link = link(builder).build().unwrap();
    let client = ClientConfig::builder(link).on_offline(on_offline);
    client.build().unwrap()
}

/// A client that was told to connect and has no link yet.
fn offline(on_offline: OnOffline) -> Rig {
    offline_with(config(on_offline, |link| link))
}

fn offline_with(config: Arc<ClientConfig>) -> Rig {
    let mut rig = Rig::new(config);
    rig.client.connect(rig.now);
    rig
}

fn drop_oldest() -> SendOptions {
    SendOptions::new().policy(Policy::DropOldest)
}

fn latest(key: &str) -> SendOptions {
    SendOptions::new().policy(Policy::Latest(key.into()))
}

fn volatile() -> SendOptions {
    SendOptions::new().policy(Policy::Volatile)
}

fn low() -> SendOptions {
    SendOptions::new().priority(Priority::Low)
}

fn send(rig: &mut Rig, text: &str, options: &SendOptions) -> Result<Sent, SendError> {
    rig.client.send_with(rig.now, event(text), options.clone())
}

fn send_all(rig: &mut Rig, texts: &[&str], options: &SendOptions) {
    for text in texts {
        assert_eq!(send(rig, text, options).unwrap(), Sent::Queued, "{text}");
    }
}

fn received(rig: &mut Rig) -> Vec<String> {
    messages(rig.server()).iter().map(text).collect()
}

fn texts(events: &[PackedEvent]) -> Vec<String> {
    let text = |event: &PackedEvent| String::from_utf8(event.bytes().to_vec()).unwrap();
    events.iter().map(text).collect()
}

/// The reports of dropped events.
fn reports(rig: &mut Rig) -> Vec<Dropped> {
    rig.events()
        .into_iter()
        .filter_map(|event| match event {
            ClientEvent::Link(ConnectionEvent::Dropped(dropped)) => Some(dropped),
            _ => None,
        })
        .collect()
}

#[test]
fn the_oldest_that_may_be_dropped_makes_room_for_the_newest() {
    let mut rig = offline(keeps(2, 1_000));
    send_all(&mut rig, &["[:a/kept 0]"], &SendOptions::new());
    send_all(
        &mut rig,
        &["[:a/n 1]", "[:a/n 2]", "[:a/n 3]"],
        &drop_oldest(),
    );
    let reports = reports(&mut rig);
    assert_eq!(reports.len(), 1, "one report for both");
    assert_eq!((reports[0].count, reports[0].bytes), (2, 16));
    assert_eq!(texts(&reports[0].events), ["[:a/n 1]", "[:a/n 2]"]);
    rig.drive();
    assert_eq!(received(&mut rig), ["[:a/kept 0]", "[:a/n 3]"]);
    let stats = rig.client.stats();
    assert_eq!(
        (stats.kept_offline, stats.dropped_oldest_offline),
        (4, 2),
        "{stats:?}"
    );
    assert_eq!(stats.links.dropped_oldest, 0);
    assert_eq!(stats.refused_offline, 0);
}

#[test]
fn what_may_not_be_dropped_stays_and_the_newest_is_refused() {
    let mut rig = offline(keeps(2, 1_000));
    send_all(&mut rig, &["[:a/n 0]", "[:a/n 1]"], &SendOptions::new());
    let refused = send(&mut rig, "[:a/n 2]", &drop_oldest()).unwrap_err();
    assert!(matches!(
        refused,
        SendError::Full {
            messages: 2,
            bytes: 16,
            needed: 8,
            ..
        }
    ));
    let back = refused.into_event().to_value().unwrap();
    assert_eq!(back.to_string(), "[:a/n 2]");
    assert_eq!(rig.client.stats().refused_offline, 1);
    assert_eq!(reports(&mut rig).len(), 0);
    rig.drive();
    assert_eq!(received(&mut rig), ["[:a/n 0]", "[:a/n 1]"]);
    let told = rig.events();
    let ready =
        |event: &ClientEvent| matches!(event, ClientEvent::Link(ConnectionEvent::SendReady));
    assert!(told.iter().any(ready), "{told:?}");
}

#[test]
fn bytes_count_for_what_is_dropped_and_nothing_is_dropped_in_vain() {
    let mut rig = offline(keeps(100, 32));
    send_all(&mut rig, &["[:a/n 0]"], &SendOptions::new());
    send_all(&mut rig, &["[:a/n 1]", "[:a/n 2]"], &drop_oldest());
    // 25 bytes would be free at most.
    let huge = "[:a/huge \"twenty-five more\"]";
    let refused = send(&mut rig, huge, &drop_oldest());
    assert!(matches!(refused, Err(SendError::Full { messages: 3, .. })));
    assert_eq!(reports(&mut rig).len(), 0);
    send_all(&mut rig, &["[:a/large \"23 b\"]"], &drop_oldest());
    let reports = reports(&mut rig);
    assert_eq!(texts(&reports[0].events), ["[:a/n 1]", "[:a/n 2]"]);
    assert_eq!(rig.client.send_capacity().messages, 2);
}

#[test]
fn of_one_key_only_the_latest_is_kept_in_the_place_of_the_first() {
    let mut rig = offline(keeps(3, 40));
    send_all(&mut rig, &["[:a/at 1]"], &latest("at"));
    send_all(&mut rig, &["[:a/n 2]"], &SendOptions::new());
    send_all(&mut rig, &["[:b/at 3]"], &latest("other"));
    for n in 4..7 {
        let sent = send(&mut rig, &format!("[:a/at {n}]"), &latest("at"));
        assert_eq!(sent.unwrap(), Sent::Replaced);
    }
    let longer = "[:a/at \"longer than there is room\"]";
    let refused = send(&mut rig, longer, &latest("at"));
    assert!(matches!(refused, Err(SendError::Full { .. })));
    let reports = reports(&mut rig);
    assert_eq!(
        texts(&reports[0].events),
        ["[:a/at 1]", "[:a/at 4]", "[:a/at 5]"]
    );
    assert_eq!(rig.client.stats().replaced_offline, 3);
    rig.drive();
    assert_eq!(received(&mut rig), ["[:a/at 6]", "[:a/n 2]", "[:b/at 3]"]);
}

#[test]
fn what_is_volatile_is_dropped_where_others_are_kept_and_refused_where_none_are() {
    let mut rig = Rig::new(config(keeps(10, 1_000), |link| link));
    let idle = send(&mut rig, "[:a/blink 0]", &volatile());
    assert!(matches!(idle, Err(SendError::NotOpen(_))), "nobody tries");
    rig.client.connect(rig.now);
    for n in 1..3 {
        let sent = send(&mut rig, &format!("[:a/blink {n}]"), &volatile());
        assert_eq!(sent.unwrap(), Sent::Dropped);
    }
    let packed = PackedEvent::pack(&event("[:a/blink 3]"), &Edn).unwrap();
    let sent = rig.client.send_packed_with(rig.now, &packed, volatile());
    assert_eq!(sent.unwrap(), Sent::Dropped);
    let reports = reports(&mut rig);
    assert_eq!(reports.iter().map(|report| report.count).sum::<u64>(), 3);
    let stats = rig.client.stats();
    assert_eq!((stats.dropped_volatile_offline, stats.kept_offline), (3, 0));

    let mut refusing = offline(OnOffline::Refuse);
    let refused = send(&mut refusing, "[:a/blink]", &volatile());
    assert!(matches!(refused, Err(SendError::NotOpen(_))));
    assert_eq!(refusing.client.stats().refused_offline, 1);
}

#[test]
fn drops_are_told_once_and_another_report_begins_when_one_is_taken() {
    let mut rig = offline(keeps(1, 1_000));
    send_all(&mut rig, &["[:a/n 0]", "[:a/n 1]"], &drop_oldest());
    assert_eq!(reports(&mut rig).len(), 1);
    assert_eq!(reports(&mut rig).len(), 0);
    send_all(&mut rig, &["[:a/n 2]", "[:a/n 3]"], &drop_oldest());
    let again = reports(&mut rig);
    assert_eq!(texts(&again[0].events), ["[:a/n 1]", "[:a/n 2]"]);
    assert_eq!(again.len(), 1);
}

#[test]
fn dropped_events_are_counted_and_not_held_unless_that_is_asked_for() {
    let mut rig = offline_with(config(keeps(1, 1_000), |link| link.keep_dropped(0)));
    send_all(
        &mut rig,
        &["[:a/n 0]", "[:a/n 1]", "[:a/n 2]"],
        &drop_oldest(),
    );
    let reports = reports(&mut rig);
    assert_eq!((reports[0].count, reports[0].events.len()), (2, 0));
}

#[test]
fn packed_events_go_by_the_same_rules() {
    let mut rig = offline(keeps(1, 1_000));
    let pack = |n: u8| PackedEvent::pack(&event(&format!("[:a/n {n}]")), &Edn).unwrap();
    rig.client.send_packed(rig.now, &pack(0)).unwrap();
    let full = rig
        .client
        .send_packed_with(rig.now, &pack(1), drop_oldest());
    assert_eq!(full, Err(PackedSendError::Full));
    rig.drive();
    assert_eq!(received(&mut rig), ["[:a/n 0]"]);
}

#[test]
fn those_of_normal_priority_leave_first_in_their_order() {
    let mut rig = offline(OnOffline::buffer());
    send_all(&mut rig, &["[:low/n 0]", "[:low/n 1]"], &low());
    send_all(&mut rig, &["[:a/n 2]", "[:a/n 3]"], &SendOptions::new());
    rig.drive();
    assert_eq!(
        received(&mut rig),
        ["[:a/n 2]", "[:a/n 3]", "[:low/n 0]", "[:low/n 1]"]
    );
}

#[test]
fn priorities_hold_too_where_a_rate_lets_what_was_kept_leave_one_by_one() {
    let rate = Rate::new(1, seconds(1), 1);
    let mut rig = offline_with(config(OnOffline::buffer(), |link| {
        link.send_rate(Some(rate))
    }));
    send_all(&mut rig, &["[:low/n 0]"], &low());
    for n in 1..=17 {
        send_all(&mut rig, &[&format!("[:a/n {n}]")], &SendOptions::new());
    }
    rig.drive();
    rig.advance(seconds(20));
    let mut expected: Vec<_> = (1..=17).map(|n| format!("[:a/n {n}]")).collect();
    // At the latest every 16th is a low one, so that it never starves.
    expected.insert(15, "[:low/n 0]".into());
    assert_eq!(received(&mut rig), expected);
}

#[test]
fn a_policy_goes_with_its_event_to_the_link() {
    let mut rig = offline_with(config(OnOffline::buffer(), |link| {
        let mut limits = Limits::default();
        limits.max_send_messages = 3;
        link.limits(limits)
    }));
    send_all(&mut rig, &["[:a/kept 0]"], &SendOptions::new());
    send_all(&mut rig, &["[:a/n 1]"], &drop_oldest());
    send_all(&mut rig, &["[:a/at 2]"], &latest("at"));
    // The link opens, and takes nothing more after that.
    rig.drive();
    assert_eq!(received(&mut rig).len(), 3);
    rig.cut();
    rig.dial = Dial::Hangs;
    rig.drive();
    rig.events();
    send_all(&mut rig, &["[:a/kept 3]"], &SendOptions::new());
    send_all(&mut rig, &["[:a/n 4]"], &drop_oldest());
    send_all(&mut rig, &["[:a/at 5]"], &latest("at"));
    let attempt = rig.hanging.take().unwrap();
    rig.client.handle_connected(rig.now, attempt);
    let mut handshake = bytes::BytesMut::from(&b"[:chsk/handshake [\"u\" nil nil true]]\n"[..]);
    let input = sente_core::Input::Bytes(&mut handshake);
    rig.client.handle_input(rig.now, attempt, input);
    assert!(rig.client.state().is_open());
    rig.events();
    // Now they stand in the queue of the link, which is full.
    assert_eq!(rig.client.connection().unwrap().send_capacity().messages, 3);
    assert_eq!(
        send(&mut rig, "[:a/at 6]", &latest("at")).unwrap(),
        Sent::Replaced
    );
    send_all(&mut rig, &["[:a/n 7]"], &drop_oldest());
    let reports = reports(&mut rig);
    assert_eq!(texts(&reports[0].events), ["[:a/at 5]", "[:a/n 4]"]);
    let stats = rig.client.stats();
    assert_eq!((stats.links.replaced, stats.links.dropped_oldest), (1, 1));
    assert_eq!(
        (stats.replaced_offline, stats.dropped_oldest_offline),
        (0, 0)
    );
}

/// A client whose links gather events for 50 ms.
fn gathering() -> Rig {
    offline_with(config(OnOffline::buffer(), |link| {
        link.flush_window(Some(millis(50)))
    }))
}

#[test]
fn what_was_kept_waits_for_the_flush_window_of_the_link() {
    let mut rig = gathering();
    send_all(&mut rig, &["[:a/n 0]"], &SendOptions::new());
    rig.drive();
    assert_eq!(received(&mut rig), [""; 0]);
    rig.advance(millis(50));
    assert_eq!(received(&mut rig), ["[:a/n 0]"]);
}

#[test]
fn a_flush_goes_with_the_events_before_it_to_the_link() {
    let mut rig = gathering();
    send_all(&mut rig, &["[:a/n 0]"], &SendOptions::new());
    send_all(&mut rig, &["[:a/n 1]"], &SendOptions::new().flush(true));
    rig.drive();
    assert_eq!(received(&mut rig), ["[:a/n 0]", "[:a/n 1]"]);
}

#[test]
fn a_flush_holds_where_its_own_event_is_dropped() {
    let mut rig = gathering();
    send_all(&mut rig, &["[:a/n 0]"], &SendOptions::new());
    let blink = send(&mut rig, "[:a/blink]", &volatile().flush(true));
    assert_eq!(blink.unwrap(), Sent::Dropped);
    rig.drive();
    assert_eq!(received(&mut rig), ["[:a/n 0]"]);
}

#[test]
fn an_old_flush_does_not_hurry_what_is_kept_for_a_later_link() {
    let mut rig = gathering();
    send_all(&mut rig, &["[:a/n 0]"], &SendOptions::new().flush(true));
    rig.drive();
    assert_eq!(received(&mut rig), ["[:a/n 0]"]);
    rig.cut();
    send_all(&mut rig, &["[:a/n 1]"], &SendOptions::new());
    rig.events();
    rig.drive();
    assert_eq!(received(&mut rig), [""; 0]);
    rig.advance(millis(50));
    assert_eq!(received(&mut rig), ["[:a/n 1]"]);
}

#[test]
fn what_comes_back_comes_in_the_order_in_which_it_was_sent() {
    let mut rig = offline(OnOffline::buffer());
    send_all(&mut rig, &["[:low/n 0]"], &low());
    send_all(&mut rig, &["[:a/n 1]"], &SendOptions::new());
    send_all(
        &mut rig,
        &["[:low/at 2]"],
        &latest("at").priority(Priority::Low),
    );
    send_all(&mut rig, &["[:a/n 3]"], &drop_oldest());
    rig.client.disconnect(rig.now);
    let back: Vec<_> = rig
        .events()
        .into_iter()
        .filter_map(|event| match event {
            ClientEvent::Link(ConnectionEvent::Undelivered(events)) => Some(texts(&events)),
            _ => None,
        })
        .collect();
    assert_eq!(
        back,
        [["[:low/n 0]", "[:a/n 1]", "[:low/at 2]", "[:a/n 3]"]]
    );
    assert!(rig.client.send_capacity().bytes == 0);
}

#[derive(Clone, Debug)]
enum Op {
    Advance(u64),
    Cut,
    Dial(bool),
    Look,
    Send {
        policy: u8,
        low: bool,
        flush: bool,
        size: usize,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let send = (0..6u8, any::<bool>(), any::<bool>(), 0..40usize);
    prop_oneof![
        12 => send.prop_map(|(policy, low, flush, size)| Op::Send { policy, low, flush, size }),
        3 => (0..3_000u64).prop_map(Op::Advance),
        2 => Just(Op::Cut),
        2 => any::<bool>().prop_map(Op::Dial),
        1 => Just(Op::Look),
    ]
}

/// What becomes of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Arrived,
    CameBack,
    Dropped,
}

/// What the test knows of the events that were not refused, by number.
#[derive(Default)]
struct Seen {
    sent: BTreeMap<u64, (SendOptions, Sent)>,
    fates: BTreeMap<u64, Fate>,
    /// The last that arrived of either priority and keeps its own place.
    last: BTreeMap<bool, u64>,
    dropped: u64,
}

impl Seen {
    fn fate(&mut self, text: &str, fate: Fate) -> u64 {
        let number = text.split(['"', ' ']).nth(2).unwrap();
        let number = number.parse().unwrap_or_else(|_| panic!("{text}"));
        let (options, sent) = &self.sent[&number];
        let may_drop = options.policy != Policy::Reject;
        assert!(fate != Fate::Dropped || may_drop, "{number} was dropped");
        assert!(*sent != Sent::Dropped || fate == Fate::Dropped, "{number}");
        let before = self.fates.insert(number, fate);
        assert_eq!(before, None, "{number} has two fates");
        number
    }

    fn look(&mut self, rig: &mut Rig) {
        for event in rig.events() {
            match event {
                ClientEvent::Link(ConnectionEvent::Dropped(dropped)) => {
                    assert!(dropped.count > 0);
                    assert_eq!(dropped.count, dropped.events.len() as u64);
                    self.dropped += dropped.count;
                    for text in texts(&dropped.events) {
                        self.fate(&text, Fate::Dropped);
                    }
                }
                ClientEvent::Link(ConnectionEvent::Undelivered(events)) => {
                    for text in texts(&events) {
                        self.fate(&text, Fate::CameBack);
                    }
                }
                _ => {}
            }
        }
    }

    fn listen(&mut self, rig: &mut Rig) {
        let Some((_, server)) = &mut rig.server else {
            return;
        };
        for event in events(server) {
            let ConnectionEvent::Message(message) = event else {
                continue;
            };
            let number = self.fate(&text(&message), Fate::Arrived);
            let (options, _) = &self.sent[&number];
            if matches!(options.policy, Policy::Latest(_)) {
                continue;
            }
            let last = self.last.insert(options.priority == Priority::Low, number);
            assert!(last < Some(number), "{number} behind {last:?}");
        }
    }
}

fn options(policy: u8, low: bool, flush: bool) -> SendOptions {
    let policy = match policy {
        0 => Policy::Reject,
        1 | 2 => Policy::DropOldest,
        3 => Policy::Latest("a".into()),
        4 => Policy::Latest("b".into()),
        _ => Policy::Volatile,
    };
    let priority = if low { Priority::Low } else { Priority::Normal };
    SendOptions::new()
        .policy(policy)
        .priority(priority)
        .flush(flush)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_event_has_one_fate_and_limits_and_order_hold(
        ops in prop::collection::vec(op(), 1..150),
        rate in any::<bool>(),
        window in any::<bool>(),
    ) {
        let config = config(keeps(6, 200), |link| {
            let mut limits = Limits::default();
            (limits.max_send_messages, limits.max_send_bytes) = (4, 150);
            link.limits(limits)
                .send_rate(rate.then(|| Rate::new(2, millis(500), 2)))
                .flush_window(window.then(|| millis(30)))
        });
        let mut rig = offline_with(config);
        let mut seen = Seen::default();
        let mut number = 0;
        for op in ops {
            match op {
                Op::Advance(by) => rig.advance(millis(by)),
                Op::Cut => rig.cut(),
                Op::Dial(answered) => {
                    rig.dial = if answered { Dial::Answered } else { Dial::Hangs };
                    if let (true, Some(attempt)) = (answered, rig.hanging.take()) {
                        let failure = sente_core::ConnectFailure::Retry("late".into());
                        rig.client.handle_connect_failed(rig.now, attempt, failure);
                    }
                }
                Op::Look => seen.look(&mut rig),
                Op::Send { policy, low, flush, size } => {
                    number += 1;
                    let options = options(policy, low, flush);
                    let text = format!("[:n/n \"{number} {}\"]", "x".repeat(size));
                    let sent = send(&mut rig, &text, &options);
                    if let Ok(sent) = sent {
                        seen.sent.insert(number, (options, sent));
                    }
                    if !rig.client.state().is_open() {
                        let capacity = rig.client.send_capacity();
                        prop_assert!(capacity.messages <= 6 && capacity.bytes <= 200, "{capacity:?}");
                    }
                }
            }
            // Links end in between without the test's doing: what they heard is not lost.
            seen.listen(&mut rig);
        }
        rig.client.disconnect(rig.now);
        rig.advance(seconds(60));
        seen.listen(&mut rig);
        seen.look(&mut rig);
        let sent: BTreeSet<_> = seen.sent.keys().collect();
        let fates: BTreeSet<_> = seen.fates.keys().collect();
        prop_assert_eq!(sent, fates);
        let stats = rig.client.stats();
        let dropped = [
            stats.dropped_oldest_offline,
            stats.dropped_volatile_offline,
            stats.replaced_offline,
            stats.links.dropped_oldest,
            stats.links.dropped_volatile,
            stats.links.replaced,
        ];
        prop_assert_eq!(seen.dropped, dropped.iter().sum::<u64>());
    }
}
