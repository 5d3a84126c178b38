//! Async functions that handle events: what they are given, what becomes of what they return, and
//! of what goes wrong in them.
#![allow(missing_docs)]

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sente_adapters::{
    Answer, AnyHandle, CallFailure, ConnectOptions, Context, Data, Events, Extension, FromContext,
    Handle, IntoAnswer, ListenOptions, Listener, NoReply, RouteError, Routed, Router, State, Typed,
    TypedCallError, connect,
};
use sente_core::{Accept, CallError, ConnectionEvent, Event, EventId};
use sente_edn::Value;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, oneshot};

const PATIENCE: Duration = Duration::from_secs(30);
/// Longer than any test here has patience: what ends before has not waited for it.
const FOR_EVER: Duration = Duration::from_secs(3600);

fn event(text: &str) -> Event {
    Event::from_value(sente_edn::from_str(text).unwrap()).unwrap()
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what)
        .await
        .expect("it takes for ever")
}

async fn pair_at(url: &str) -> ((Handle, Events), Events) {
    let mut listener = Listener::bind(&url.parse().unwrap(), ListenOptions::default())
        .await
        .unwrap();
    let at = listener.url().clone();
    let options = ConnectOptions::default();
    let (client, server) = tokio::join!(connect(&at, &options), async {
        let incoming = listener.accept().await.unwrap().unwrap();
        incoming.accept(Accept::new("ada")).await.unwrap()
    });
    (client.unwrap(), server.1)
}

/// A caller, and what it calls served by `router` on a task.
async fn served<S: Clone + Send + Sync + 'static>(router: Router<S>) -> (Handle, Events) {
    let (caller, events) = pair_at("tcp://127.0.0.1:0").await;
    tokio::spawn(router.serve(events).run());
    caller
}

async fn ask(caller: &Handle, text: &str) -> Result<String, CallFailure> {
    let answer = soon(caller.call(event(text), FOR_EVER)).await;
    answer.map(|payload| payload.to_value().unwrap().to_string())
}

async fn message(events: &mut Events) -> Event {
    loop {
        match soon(events.next()).await.expect("it is open") {
            ConnectionEvent::Message(message) => return message.event,
            _ => continue,
        }
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Order {
    item: String,
    how_many: u32,
}

#[tokio::test]
async fn an_argument_is_the_data_as_a_rust_type_and_the_result_is_the_reply() {
    async fn price(Data(order): Data<Order>) -> Typed<(String, u32)> {
        Typed((order.item, order.how_many * 3))
    }
    let router = Router::new().on("shop/price", price).unwrap();
    let (caller, _events) = served(router).await;
    assert_eq!(
        ask(&caller, r#"[:shop/price {:item "tea" :how-many 2}]"#)
            .await
            .unwrap(),
        r#"["tea" 6]"#
    );
    let id = EventId::new("shop/price").unwrap();
    let order = Order {
        item: "tea".to_owned(),
        how_many: 5,
    };
    let answer: (String, u32) = soon(caller.call_typed(id, &order, FOR_EVER)).await.unwrap();
    assert_eq!(answer, ("tea".to_owned(), 15));
}

#[tokio::test]
async fn every_handler_shares_the_state() {
    async fn add(Data(by): Data<u64>, State(total): State<Arc<AtomicU64>>) -> i64 {
        let total = total.fetch_add(by, Ordering::Relaxed) + by;
        i64::try_from(total).unwrap()
    }
    async fn total(State(total): State<Arc<AtomicU64>>) -> Value {
        Value::from(total.load(Ordering::Relaxed))
    }
    let router = Router::with_state(Arc::new(AtomicU64::new(1)))
        .on("n/add", add)
        .unwrap()
        .on("n/total", total)
        .unwrap();
    let (one, _events) = served(router.clone()).await;
    let (other, _more) = served(router).await;
    assert_eq!(ask(&one, "[:n/add 4]").await.unwrap(), "5");
    assert_eq!(ask(&other, "[:n/add 5]").await.unwrap(), "10");
    assert_eq!(ask(&one, "[:n/total]").await.unwrap(), "10");
}

#[tokio::test]
async fn data_of_another_type_fails_the_call_and_is_reported() {
    async fn double(Data(n): Data<i64>) -> i64 {
        n * 2
    }
    let router = Router::new().on("n/double", double).unwrap();
    let ((caller, _events), events) = pair_at("tcp://127.0.0.1:0").await;
    let mut serving = router.serve(events);
    let (answer, failure) = tokio::join!(ask(&caller, r#"[:n/double "two"]"#), async {
        loop {
            if let Routed::Failed(failure) = soon(serving.next()).await.unwrap() {
                return failure;
            }
        }
    });
    assert!(
        matches!(answer, Err(CallFailure::Failed(CallError::Peer))),
        "{answer:?}"
    );
    assert_eq!(failure.event.as_str(), "n/double");
    assert!(!failure.panicked);
    assert!(
        failure
            .message
            .contains("the data is not what its handler takes"),
        "{failure}"
    );
    assert_eq!(serving.failures(), 1);
}

#[tokio::test]
async fn a_handler_that_panics_before_or_after_it_waited_fails_its_call_alone() {
    fn at_once() -> impl Future<Output = ()> + Send {
        if AtomicU64::new(0).load(Ordering::Relaxed) == 0 {
            panic!("at once");
        }
        async {}
    }
    async fn later(Data(n): Data<Option<i64>>) -> i64 {
        tokio::task::yield_now().await;
        n.expect("a number")
    }
    let router = Router::new()
        .on("p/now", at_once)
        .unwrap()
        .on("p/later", later)
        .unwrap();
    let (caller, _events) = served(router).await;
    for text in ["[:p/now]", "[:p/later]"] {
        let answer = ask(&caller, text).await;
        assert!(
            matches!(answer, Err(CallFailure::Failed(CallError::Peer))),
            "{text}: {answer:?}"
        );
    }
    assert_eq!(ask(&caller, "[:p/later 7]").await.unwrap(), "7");
}

#[tokio::test]
async fn an_error_a_handler_returns_is_reported_here_and_not_shown_to_the_caller() {
    async fn fails() -> Result<(), String> {
        Err("the database is away, password hunter2".to_owned())
    }
    let router = Router::new().on("x/fails", fails).unwrap();
    let ((caller, _events), events) = pair_at("tcp://127.0.0.1:0").await;
    let mut serving = router.serve(events);
    let (answer, failure) = tokio::join!(ask(&caller, "[:x/fails]"), async {
        loop {
            if let Routed::Failed(failure) = soon(serving.next()).await.unwrap() {
                return failure;
            }
        }
    });
    assert!(!answer.unwrap_err().to_string().contains("hunter2"));
    assert_eq!(
        failure.to_string(),
        "the handler of :x/fails failed: the database is away, password hunter2"
    );
}

#[tokio::test]
async fn an_event_goes_to_its_own_handler_then_to_its_namespace_then_to_the_fallback() {
    async fn own() -> &'static str {
        "own"
    }
    async fn namespace(id: EventId) -> String {
        format!("namespace {}", id.name())
    }
    async fn fallback(event: Event) -> String {
        format!("fallback {}", event.id)
    }
    let router = Router::new()
        .fallback(fallback)
        .on_namespace("a", namespace)
        .unwrap()
        .on(":a/own", own)
        .unwrap();
    let (caller, _events) = served(router).await;
    assert_eq!(ask(&caller, "[:a/own]").await.unwrap(), r#""own""#);
    assert_eq!(
        ask(&caller, "[:a/other]").await.unwrap(),
        r#""namespace other""#
    );
    assert_eq!(
        ask(&caller, "[:b/own]").await.unwrap(),
        r#""fallback :b/own""#
    );
}

#[tokio::test]
async fn a_call_nobody_handles_fails_at_once_and_an_event_nobody_handles_is_given_out() {
    let router = Router::new();
    let ((caller, _events), events) = pair_at("tcp://127.0.0.1:0").await;
    let mut serving = router.serve(events);
    caller.send(event("[:no/body 1]")).await.unwrap();
    let (answer, given) = tokio::join!(ask(&caller, "[:no/body]"), async {
        let mut given = None;
        // The call is answered while the end is waited for.
        while let Some(routed) = soon(serving.next()).await {
            match routed {
                Routed::Event(ConnectionEvent::Message(message))
                    if message.event.data.is_some() =>
                {
                    given = Some(message.event.id);
                    caller.send(event("[:the/end]")).await.unwrap();
                }
                Routed::Event(ConnectionEvent::Message(message)) => {
                    assert_eq!(message.event.id.as_str(), "the/end");
                    return given;
                }
                _ => {}
            }
        }
        given
    });
    assert!(
        matches!(answer, Err(CallFailure::Failed(CallError::Peer))),
        "{answer:?}"
    );
    assert_eq!(given.unwrap().as_str(), "no/body");
}

#[tokio::test]
async fn an_event_that_is_returned_answers_a_call_and_is_sent_where_none_waits() {
    async fn echo(event: Event) -> Event {
        Event::new(EventId::new("echo/back").unwrap(), event.data.unwrap())
    }
    let router = Router::new().on("echo/this", echo).unwrap();
    let (caller, mut events) = served(router).await;
    assert_eq!(
        ask(&caller, "[:echo/this 1]").await.unwrap(),
        "[:echo/back 1]"
    );
    caller.send(event("[:echo/this 2]")).await.unwrap();
    let back = message(&mut events).await;
    assert_eq!(back.to_value().unwrap().to_string(), "[:echo/back 2]");
}

#[tokio::test]
async fn an_argument_of_one_s_own_knows_whether_an_answer_is_waited_for() {
    struct IsCall(bool);

    impl<S> FromContext<S> for IsCall {
        type Rejection = std::convert::Infallible;

        fn from_context(context: &Context<S>) -> Result<Self, Self::Rejection> {
            Ok(Self(context.is_call()))
        }
    }

    let router = Router::new()
        .on("a/b", async |IsCall(is_call): IsCall| match is_call {
            true => Answer::Reply("a call".into()),
            false => Answer::Event(event("[:a/c]")),
        })
        .unwrap();
    let (caller, mut events) = served(router).await;
    assert_eq!(ask(&caller, "[:a/b]").await.unwrap(), r#""a call""#);
    caller.send(event("[:a/b]")).await.unwrap();
    assert_eq!(message(&mut events).await.id.as_str(), "a/c");
}

#[tokio::test]
async fn a_handler_can_call_back_whom_it_answers() {
    async fn confirm(connection: AnyHandle) -> Result<String, CallFailure> {
        let answer = connection.call(event("[:are/you-sure]"), FOR_EVER).await?;
        Ok(format!("they said {}", answer.to_value().unwrap()))
    }
    async fn sure() -> bool {
        true
    }
    let router = Router::new().on("do/it", confirm).unwrap();
    let (caller, events) = served(router).await;
    tokio::spawn(
        Router::new()
            .on("are/you-sure", sure)
            .unwrap()
            .serve(events)
            .run(),
    );
    assert_eq!(
        ask(&caller, "[:do/it]").await.unwrap(),
        r#""they said true""#
    );
}

#[tokio::test]
async fn what_is_known_of_the_connection_is_an_extension_and_a_missing_one_is_named() {
    #[derive(Clone)]
    struct User(&'static str);
    async fn who(Extension(User(user)): Extension<User>) -> &'static str {
        user
    }
    async fn maybe(number: Option<Extension<u8>>) -> bool {
        number.is_some()
    }
    async fn wants(number: Result<Extension<u8>, sente_adapters::MissingExtension>) -> String {
        number.unwrap_err().to_string()
    }
    let router = Router::new()
        .on("ext/who", who)
        .unwrap()
        .on("ext/maybe", maybe)
        .unwrap()
        .on("ext/wants", wants)
        .unwrap();
    let ((caller, _events), events) = pair_at("tcp://127.0.0.1:0").await;
    tokio::spawn(router.serve(events).extension(User("ada")).run());
    assert_eq!(ask(&caller, "[:ext/who]").await.unwrap(), r#""ada""#);
    assert_eq!(ask(&caller, "[:ext/maybe]").await.unwrap(), "false");
    assert!(
        ask(&caller, "[:ext/wants]")
            .await
            .unwrap()
            .contains("nothing of type u8")
    );
}

#[tokio::test]
async fn handlers_of_one_connection_run_in_the_order_of_its_events() {
    async fn note(Data(n): Data<u64>, State(seen): State<Arc<Mutex<Vec<u64>>>>) {
        // The first waits longest.
        for _ in n..20 {
            tokio::task::yield_now().await;
        }
        seen.lock().unwrap().push(n);
    }
    let seen = Arc::new(Mutex::new(Vec::new()));
    let router = Router::with_state(seen.clone())
        .on("in/order", note)
        .unwrap();
    let (caller, _events) = served(router).await;
    for n in 0..20 {
        caller
            .send(event(&format!("[:in/order {n}]")))
            .await
            .unwrap();
    }
    assert_eq!(ask(&caller, "[:in/order 20]").await.unwrap(), "nil");
    assert_eq!(*seen.lock().unwrap(), (0..=20).collect::<Vec<_>>());
}

#[tokio::test]
async fn concurrency_lets_a_later_call_overtake_one_that_waits() {
    type Gate = Arc<Semaphore>;
    async fn waits(State(gate): State<Gate>) -> &'static str {
        gate.acquire().await.unwrap().forget();
        "opened"
    }
    async fn opens(State(gate): State<Gate>) -> &'static str {
        gate.add_permits(1);
        "open"
    }
    let router = Router::with_state(Gate::new(Semaphore::new(0)))
        .on("gate/wait", waits)
        .unwrap()
        .on("gate/open", opens)
        .unwrap();
    let ((caller, _events), events) = pair_at("tcp://127.0.0.1:0").await;
    tokio::spawn(
        router
            .serve(events)
            .concurrency(NonZeroUsize::new(2).unwrap())
            .run(),
    );
    let (first, second) = tokio::join!(ask(&caller, "[:gate/wait]"), ask(&caller, "[:gate/open]"));
    assert_eq!(
        (first.unwrap(), second.unwrap()),
        (r#""opened""#.into(), r#""open""#.into())
    );
}

#[tokio::test]
async fn handlers_that_began_before_the_end_finish_before_it_is_told() {
    type Slot<T> = Arc<Mutex<Option<T>>>;
    #[derive(Clone)]
    struct Shared {
        begun: Slot<oneshot::Sender<()>>,
        go: Slot<oneshot::Receiver<()>>,
        done: Arc<AtomicU64>,
    }
    async fn slow(State(shared): State<Shared>) {
        let (begun, go) = (
            shared.begun.lock().unwrap().take(),
            shared.go.lock().unwrap().take(),
        );
        begun.unwrap().send(()).unwrap();
        go.unwrap().await.unwrap();
        shared.done.fetch_add(1, Ordering::Relaxed);
    }
    let (begun, has_begun) = oneshot::channel();
    let (go, may_go) = oneshot::channel();
    let shared = Shared {
        begun: Arc::new(Mutex::new(Some(begun))),
        go: Arc::new(Mutex::new(Some(may_go))),
        done: Arc::default(),
    };
    let router = Router::with_state(shared.clone())
        .on("s/low", slow)
        .unwrap();
    let ((caller, _events), events) = pair_at("tcp://127.0.0.1:0").await;
    let handle = events.handle().clone();
    // Two may run, so that the end is taken while one does.
    let mut serving = router
        .serve(events)
        .concurrency(NonZeroUsize::new(2).unwrap());
    let served = handle.clone();
    let told = tokio::spawn(async move {
        while let Some(routed) = serving.next().await {
            match routed {
                Routed::Event(ConnectionEvent::PeerFinished) => served.close(),
                Routed::Event(ConnectionEvent::Closed(_)) => {
                    return shared.done.load(Ordering::Relaxed);
                }
                _ => {}
            }
        }
        panic!("the end was not told");
    });
    caller.send(event("[:s/low]")).await.unwrap();
    soon(has_begun).await.unwrap();
    caller.close();
    soon(handle.ended()).await;
    go.send(()).unwrap();
    assert_eq!(soon(told).await.unwrap(), 1);
}

#[tokio::test]
async fn no_reply_leaves_the_caller_to_its_patience() {
    async fn silent() -> NoReply {
        NoReply
    }
    let router = Router::new().on("s/ilent", silent).unwrap();
    let (caller, _events) = served(router).await;
    let answer = soon(caller.call(event("[:s/ilent]"), Duration::from_millis(50))).await;
    assert!(
        matches!(answer, Err(CallFailure::Failed(CallError::Timeout))),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_reply_of_another_type_is_given_back_with_the_reason() {
    async fn text() -> &'static str {
        "text"
    }
    let (caller, _events) = served(Router::new().on("a/text", text).unwrap()).await;
    let id = EventId::new("a/text").unwrap();
    let answer: Result<u8, _> = soon(caller.call_typed(id, &(), FOR_EVER)).await;
    let Err(TypedCallError::Reply { reply, .. }) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(reply.to_value().unwrap().as_str(), Some("text"));
}

#[test]
fn a_second_handler_of_one_event_is_refused() {
    async fn nothing() {}
    let router = Router::new().on("a/b", nothing).unwrap();
    assert_eq!(
        router.clone().on("a/b", nothing).unwrap_err().to_string(),
        "a/b has a handler already: register each event and each namespace once"
    );
    assert!(matches!(
        router.clone().on("ab", nothing),
        Err(RouteError::Id(_))
    ));
    assert!(matches!(
        router.on(":chsk/x", nothing),
        Err(RouteError::Id(_))
    ));
}

/// An answer of one's own type.
struct Teapot;

impl IntoAnswer for Teapot {
    fn into_answer(self, _: &AnyHandle) -> Answer {
        Answer::Failed("short and stout".to_owned())
    }
}

#[tokio::test]
async fn one_set_of_handlers_serves_every_transport_at_once() {
    async fn double(Data(n): Data<i64>) -> i64 {
        n * 2
    }
    async fn teapot() -> Teapot {
        Teapot
    }
    let router = Router::new()
        .on("n/double", double)
        .unwrap()
        .on("t/ea", teapot)
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let unix = format!("unix:{}", directory.path().join("s.sock").display());
    for url in [
        "ws://127.0.0.1:0/",
        "ws://127.0.0.1:0/chsk",
        "tcp://127.0.0.1:0",
        &unix,
    ] {
        let ((caller, _events), events) = pair_at(url).await;
        tokio::spawn(router.serve(events).run());
        assert_eq!(ask(&caller, "[:n/double 21]").await.unwrap(), "42", "{url}");
        assert!(ask(&caller, "[:t/ea]").await.is_err(), "{url}");
    }
}
