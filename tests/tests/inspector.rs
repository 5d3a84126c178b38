//! What the inspector shows of a server, to whom, and what it keeps to itself.
#![allow(missing_docs)]

mod socket_support;

use std::sync::Arc;
use std::time::Duration;

use sente_adapters::{CallFailure, Events, Handle, Router};
use sente_core::edn::{Value, from_str};
use sente_core::packer::Edn;
use sente_core::{
    CallError, ConnIds, EventId, Hub, HubConfig, Instant, Member, Payload, Target, UserId,
};
use sente_server::inspector::{
    ConnectionRow, EventLog, Inspector, InspectorConfig, InspectorPage, Logged, LoggedKind,
    Overview, Redaction, Shown, Snapshots, sente_js,
};
use socket_support::{Running, by_uid, client, event, next, run, within};

const SOON: Duration = Duration::from_secs(60);

fn edn(text: &str) -> Value {
    from_str(text).unwrap()
}

fn at<'a>(value: &'a Value, path: &[&str]) -> &'a Value {
    path.iter()
        .fold(value, |value, name| value.get_keyword(name).unwrap())
}

fn rows<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    let Value::Vector(rows) = at(value, &[name]) else {
        panic!("{name} of {value}");
    };
    rows.as_slice()
}

/// A hub with these users, and a row for the connection of each.
fn seen(users: &[&str]) -> Overview {
    let mut ids = ConnIds::new(1_760_000_000_000, [1; 32]);
    let mut hub = Hub::new(HubConfig::default(), [2; 32]);
    let now = Instant::EPOCH;
    for user in users {
        let member = Member::new(Arc::new(Edn)).user(*user);
        hub.join(now, ids.generate(now), member).unwrap();
    }
    let connection = hub.connections().next().unwrap().connection;
    hub.subscribe(now, connection, &edn("#{:room 1}")).unwrap();
    let mut seen = Overview::default();
    seen.unix_millis = 1_000_000;
    seen.connections = hub.connections().map(ConnectionRow::new).collect();
    seen.channels = hub.channels().collect();
    seen
}

#[test]
fn a_snapshot_says_who_is_there_and_what_waits() {
    let mut seen = seen(&["ada", "ada", "bob"]);
    let row = &mut seen.connections[1];
    (row.waiting_messages, row.waiting_bytes) = (3, 4000);
    row.peer = "127.0.0.1:9".to_owned();
    row.packer = "msgpack".to_owned();
    row.age = Duration::from_millis(2500);
    row.stats.dropped_oldest = 2;
    let value = Snapshots::new(10).next(&seen);
    let total = |name| at(&value, &["totals", name]).as_i64().unwrap();
    assert_eq!((total("connections"), total("users")), (3, 2));
    assert_eq!((total("channels"), total("subscriptions")), (1, 1));
    assert_eq!(
        (total("waiting-messages"), total("waiting-bytes")),
        (3, 4000)
    );
    let first = &rows(&value, "connections")[0];
    for (name, wanted) in [
        ("peer", "\"127.0.0.1:9\""),
        ("packer", "\"msgpack\""),
        ("transport", ":ws"),
        ("dialect", ":sente"),
        ("state", ":open"),
        ("age-ms", "2500"),
        ("waiting-bytes", "4000"),
        ("drops", "2"),
        ("client-id", "nil"),
    ] {
        assert_eq!(at(first, &[name]), &edn(wanted), "{name}");
    }
    assert_eq!(
        rows(&value, "users"),
        [
            edn("{:user \"ada\" :connections 2}"),
            edn("{:user \"bob\" :connections 1}")
        ]
    );
    assert_eq!(
        rows(&value, "channels"),
        [edn(
            "{:channel #{:room 1} :subscribers 1 :published 0 :delivered 0 :retained 0}"
        )]
    );
}

#[test]
fn rates_are_what_changed_since_the_snapshot_before() {
    let mut seen = seen(&["ada"]);
    let mut snapshots = Snapshots::new(10);
    seen.traffic.events_received = 1000;
    seen.connections[0].stats.events_received = 500;
    let first = snapshots.next(&seen);
    assert_eq!(at(&first, &["rates", "events-in"]), &Value::Float(0.0));
    seen.unix_millis += 2000;
    seen.traffic.events_received += 25;
    seen.traffic.bytes_sent += 3000;
    seen.traffic.shed += 4;
    seen.connections[0].stats.events_received += 1;
    let second = snapshots.next(&seen);
    assert_eq!(at(&second, &["rates", "events-in"]), &Value::Float(12.5));
    assert_eq!(at(&second, &["rates", "bytes-out"]), &Value::Int(1500));
    assert_eq!(at(&second, &["rates", "drops"]), &Value::Float(2.0));
    let row = &rows(&second, "connections")[0];
    assert_eq!(at(row, &["in"]), &Value::Float(0.5));
    // The clock may be set back, and a count begin anew.
    seen.unix_millis = 5;
    seen.traffic.events_received = 1;
    let third = snapshots.next(&seen);
    assert_eq!(at(&third, &["rates", "events-in"]), &Value::Float(0.0));
}

#[test]
fn of_many_connections_those_are_shown_for_which_most_waits() {
    let users: Vec<String> = (0..50).map(|n| format!("user-{n}")).collect();
    let users: Vec<&str> = users.iter().map(String::as_str).collect();
    let mut seen = seen(&users);
    seen.connections[40].waiting_bytes = 10;
    seen.connections[30].waiting_bytes = 20;
    let wanted = [30, 40].map(|at| seen.connections[at].info.user.to_value());
    let value = Snapshots::new(2).next(&seen);
    let shown = rows(&value, "connections").iter();
    assert_eq!(
        shown
            .map(|row| at(row, &["user"]).clone())
            .collect::<Vec<_>>(),
        wanted
    );
    assert_eq!(rows(&value, "users").len(), 2);
    assert_eq!(at(&value, &["totals", "connections"]), &Value::Int(50));
}

fn logged<'a>(id: &'a EventId, payload: &'a Payload) -> Logged<'a> {
    let mut logged = Logged::new(7, LoggedKind::Received);
    logged.id = Some(id);
    logged.payload = Some(payload);
    logged
}

#[test]
fn the_log_hides_payloads_unless_it_is_told_otherwise() {
    let id = EventId::new("chat/say").unwrap();
    let payload = Payload::from(edn("{:text \"secret\"}"));
    let shown = |redaction| {
        let mut log = EventLog::new(10, redaction);
        log.record(&logged(&id, &payload));
        let since = log.since(0)?;
        Some(rows(&since, "events")[0].clone())
    };
    let hidden = shown(Redaction::default()).unwrap();
    assert_eq!(
        hidden,
        edn("{:seq 0 :at 7 :kind :received :event \":chat/say\" :hidden true}")
    );
    let open = shown(Redaction::show_payloads(100)).unwrap();
    assert_eq!(at(&open, &["data"]), &Value::from("{:text \"secret\"}"));
    let cut = shown(Redaction::show_payloads(9)).unwrap();
    assert_eq!(at(&cut, &["data"]), &Value::from("{:text \"s…"));
    let ruled = Redaction::by(|event| match event.id {
        Some(id) if id.name() == "say" => Shown::Unlogged,
        _ => Shown::Hidden,
    });
    assert_eq!(shown(ruled), None);
}

#[test]
fn a_text_is_cut_between_characters() {
    let payload = Payload::from("grüße🙂");
    for max in 0..14 {
        let Shown::Text(text) = Redaction::text(Some(&payload), max) else {
            panic!("{max}");
        };
        assert!(text.len() <= max + '…'.len_utf8(), "{text}");
    }
}

#[test]
fn the_log_forgets_the_oldest_and_says_how_many() {
    let id = EventId::new("test/event").unwrap();
    let payload = Payload::from(1);
    let mut log = EventLog::new(3, Redaction::default());
    assert_eq!(log.since(0), None);
    for _ in 0..5 {
        log.record(&logged(&id, &payload));
    }
    let numbers = |from| {
        let since = log.since(from)?;
        let events = rows(&since, "events").iter();
        let numbers: Vec<_> = events
            .map(|event| at(event, &["seq"]).as_i64().unwrap())
            .collect();
        Some((numbers, at(&since, &["missed"]).as_i64().unwrap()))
    };
    assert_eq!(numbers(0), Some((vec![2, 3, 4], 2)));
    assert_eq!(numbers(4), Some((vec![4], 0)));
    assert_eq!(numbers(log.end()), None);
    assert_eq!(numbers(99), None);
    let mut none = EventLog::new(0, Redaction::default());
    none.record(&logged(&id, &payload));
    assert_eq!(none.since(0), None);
}

#[test]
fn the_page_may_load_nothing_but_its_own_files() {
    let files = InspectorPage::new("/a\"b<c&d").csrf_tokens("/tokens");
    let page = files.asset("").unwrap();
    let html = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(html.contains("content=\"/a&quot;b&lt;c&amp;d\""), "{html}");
    assert!(html.contains("content=\"/tokens\""), "{html}");
    assert!(!html.contains("<script>") && !html.contains("style="));
    for name in ["inspector.js", "inspector.css", "sente.js"] {
        assert!(html.contains(name) || name == "sente.js");
        let file = files.asset(name).unwrap();
        let policy = file
            .headers()
            .into_iter()
            .find(|(name, _)| *name == "content-security-policy");
        let policy = policy.unwrap().1;
        assert!(policy.contains("default-src 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
    }
    assert_eq!(files.asset("sente.js"), Some(sente_js()));
    assert_eq!(files.asset("server.rs"), None);
}

/// A server that `admin` may look into.
async fn inspected(config: InspectorConfig, router: Router) -> (Running, Inspector) {
    let inspector = Inspector::new(config, |asked| asked.user() == Some(&UserId::from("admin")));
    let running = run(by_uid(inspector.register(router).unwrap())).await;
    assert!(inspector.watch(&running.server));
    (running, inspector)
}

async fn ask(handle: &Handle, id: &str, data: &str) -> Result<Value, CallFailure> {
    let reply = handle.call(event(id, edn(data)), SOON).await?;
    Ok(reply.to_value().unwrap())
}

/// The next data of an event of this id for which `take` finds something.
async fn until<T>(events: &mut Events, id: &str, take: impl Fn(&Value) -> Option<T>) -> T {
    within(async {
        loop {
            let (came, data) = next(events).await;
            if came == id
                && let Some(found) = take(&data)
            {
                return found;
            }
        }
    })
    .await
}

#[tokio::test]
async fn who_may_look_is_sent_snapshots_and_the_log() {
    let (running, _inspector) = inspected(InspectorConfig::default(), Router::new()).await;
    let (ada, _ada_events) = client(&running, "ada", "c1").await;
    let (admin, mut events) = client(&running, "admin", "c2").await;
    let terms = ask(&admin, "inspector/subscribe", "{:events true}").await;
    assert_eq!(
        terms.unwrap(),
        edn("{:version 1 :every-ms 1000 :can-send false}")
    );
    ada.send(event("chat/say", edn("{:text \"secret\"}")))
        .await
        .unwrap();
    let said = until(&mut events, "inspector/events", |data| {
        let mut events = rows(data, "events").iter();
        events
            .find(|event| event.get_keyword("event") == Some(&Value::from(":chat/say")))
            .cloned()
    })
    .await;
    assert_eq!(at(&said, &["user"]), &Value::from("ada"));
    assert_eq!(at(&said, &["hidden"]), &Value::Bool(true));
    assert!(!said.to_string().contains("secret"));
    let users = until(&mut events, "inspector/snapshot", |data| {
        (rows(data, "users").len() == 2).then(|| rows(data, "connections").to_vec())
    })
    .await;
    assert_eq!(users.len(), 2);
    // After the end of its subscription it hears no more than what is on its way.
    assert_eq!(
        ask(&admin, "inspector/unsubscribe", "nil").await.unwrap(),
        Value::Bool(true)
    );
}

#[tokio::test]
async fn who_may_not_look_is_refused_whatever_it_asks() {
    let (running, _inspector) = inspected(InspectorConfig::default(), Router::new()).await;
    let (ada, _events) = client(&running, "ada", "c1").await;
    for id in ["subscribe", "unsubscribe", "send", "anything"] {
        let refused = ask(&ada, &format!("inspector/{id}"), "{}").await;
        assert!(
            matches!(refused, Err(CallFailure::Failed(CallError::Peer))),
            "{id}"
        );
    }
}

#[tokio::test]
async fn so_many_may_look_at_once_and_no_more() {
    let mut config = InspectorConfig::default();
    config.max_watchers = 1;
    let (running, _inspector) = inspected(config, Router::new()).await;
    let (first, mut events) = client(&running, "admin", "c1").await;
    let (second, _events) = client(&running, "admin", "c2").await;
    let subscribe = "inspector/subscribe";
    ask(&first, subscribe, "nil").await.unwrap();
    ask(&first, subscribe, "nil").await.unwrap();
    assert!(ask(&second, subscribe, "nil").await.is_err());
    first.close();
    while within(events.next()).await.is_some() {}
    // Who has gone is found out at the next snapshot.
    within(async { while ask(&second, subscribe, "nil").await.is_err() {} }).await;
}

#[tokio::test]
async fn the_page_sends_to_whom_it_says_if_it_may() {
    let mut config = InspectorConfig::default();
    config.can_send = true;
    let (running, _inspector) = inspected(config, Router::new()).await;
    let (admin, _admin_events) = client(&running, "admin", "c1").await;
    let (ada, mut heard) = client(&running, "ada", "c2").await;
    let room = edn("[:room 1]");
    let connection = running.server.with_hub(|hub, _| {
        let mut connections = hub.connections_of(&UserId::from("ada"));
        connections.next().unwrap()
    });
    running
        .server
        .channels()
        .subscribe(connection, &room)
        .unwrap();
    for (to, wanted) in [
        (":all", 2),
        ("{:user \"ada\"}", 1),
        ("{:channel [:room 1]}", 1),
        (&format!("{{:connection \"{connection}\"}}"), 1),
        ("{:user \"nobody\"}", 0),
    ] {
        let data = format!("{{:to {to} :event [:chat/notice {{:n 1}}]}}");
        let sent = ask(&admin, "inspector/send", &data).await.unwrap();
        assert_eq!(at(&sent, &["connections"]), &Value::Int(wanted), "{to}");
        if wanted > 0 {
            assert_eq!(next(&mut heard).await.0, "chat/notice", "{to}");
        }
    }
    for (data, error) in [
        ("nil", ":no-target"),
        ("{:to {:nothing 1} :event [:a/b]}", ":no-target"),
        ("{:to :all :event [:plain]}", ":no-event"),
        ("{:to :all}", ":no-event"),
        ("{:to :all :event [:chsk/close]}", ":no-event"),
        ("{:to :all :event [:inspector/snapshot {}]}", ":reserved"),
        (
            "{:to {:connection \"nobody\"} :event [:a/b]}",
            ":no-such-connection",
        ),
        (
            "{:to {:channel \"nowhere\"} :event [:a/b]}",
            ":not-delivered",
        ),
    ] {
        let sent = ask(&admin, "inspector/send", data).await.unwrap();
        assert_eq!(at(&sent, &["error"]), &edn(error), "{data}");
    }
    drop(ada);
}

#[tokio::test]
async fn sending_is_off_until_it_is_switched_on() {
    let (running, _inspector) = inspected(InspectorConfig::default(), Router::new()).await;
    let (admin, _events) = client(&running, "admin", "c1").await;
    let sent = ask(&admin, "inspector/send", "{:to :all :event [:a/b]}").await;
    assert_eq!(sent.unwrap(), edn("{:error :not-allowed}"));
}

#[tokio::test]
async fn the_inspector_changes_nothing_for_the_applications_events() {
    let router = Router::new().fallback(async |data: Option<Payload>| data);
    let (running, inspector) = inspected(InspectorConfig::default(), router).await;
    let (ada, mut heard) = client(&running, "ada", "c1").await;
    assert_eq!(ask(&ada, "test/echo", "[1]").await.unwrap(), edn("[1]"));
    running
        .server
        .fan_out(&Target::All, &event("srv/news", 1))
        .unwrap();
    assert_eq!(
        next(&mut heard).await,
        ("srv/news".to_owned(), Value::Int(1))
    );
    // A server has one inspector.
    assert!(!inspector.watch(&running.server));
}
