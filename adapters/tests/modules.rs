//! Modules over real transports: the clock of `core/examples` on a client and on its server.
#![allow(missing_docs)]

#[path = "../../core/examples/clock/module.rs"]
mod clock;

use std::time::Duration;

use clock::{Clock, ClockEvent};
use sente_adapters::{
    Attached, ClientOptions, ConnectOptions, Engine, ListenOptions, Listener, Told, connect,
    keep_connected,
};
use sente_core::{
    Accept, CallError, Client, ClientEvent, ConnId, ConnectionEvent, Event, Modules, Outbox,
    SendError, Target,
};
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_secs(30);
const EVERY: Duration = Duration::from_millis(5);

fn event(text: &str) -> Event {
    Event::from_value(sente_edn::from_str(text).unwrap()).unwrap()
}

fn clock(every: Option<Duration>) -> Modules<ClockEvent> {
    let mut modules = Modules::new();
    modules.add(Clock::new(every).unwrap()).unwrap();
    modules
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what)
        .await
        .expect("it takes for ever")
}

async fn next<M: Engine>(
    attached: &mut Attached<ClockEvent, M>,
) -> Told<ClockEvent, <M as Engine>::Event> {
    soon(attached.next()).await.expect("it is not over")
}

/// The next that the clock tells.
async fn clock_says<M: Engine>(attached: &mut Attached<ClockEvent, M>) -> ClockEvent {
    loop {
        if let Told::Module(told) = next(attached).await {
            return told;
        }
    }
}

/// A listener, and what is attached to each connection it accepts.
async fn server() -> (String, mpsc::UnboundedReceiver<Attached<ClockEvent>>) {
    let at = "tcp://127.0.0.1:0".parse().unwrap();
    let mut listener = Listener::bind(&at, ListenOptions::default()).await.unwrap();
    let url = listener.url().to_string();
    let (accepted, connections) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(incoming)) = listener.accept().await {
            let (_, events) = incoming.accept(Accept::new("ada")).await.unwrap();
            let attached = events.attach(clock(None)).of_user("ada");
            accepted.send(attached).unwrap();
        }
    });
    (url, connections)
}

/// The same, whose clocks answer without anybody's doing.
async fn clocks() -> String {
    let (url, mut connections) = server().await;
    tokio::spawn(async move {
        while let Some(mut attached) = connections.recv().await {
            tokio::spawn(async move { while attached.next().await.is_some() {} });
        }
    });
    url
}

fn client(url: &str) -> Attached<ClockEvent, Client> {
    let url = url.to_owned();
    let (_, events) = keep_connected(ClientOptions::default(), move |_| {
        let url = url.parse();
        async move { Ok((url.unwrap(), ConnectOptions::default())) }
    })
    .unwrap();
    events.attach(clock(Some(EVERY)))
}

fn read(told: &ClockEvent) -> ConnId {
    match told {
        ClockEvent::Read { peer, .. } => *peer,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_module_asks_again_and_again_over_each_link_of_a_client_that_comes_back() {
    let mut attached = client(&clocks().await);
    let first = read(&clock_says(&mut attached).await);
    assert_eq!(read(&clock_says(&mut attached).await), first);
    attached.handle().break_connection();
    let mut ended = false;
    let second = loop {
        match next(&mut attached).await {
            Told::Event(ClientEvent::Closed(_)) => ended = true,
            // The link may have gone with a question on its way.
            Told::Module(ClockEvent::Failed { peer, error }) => {
                assert_eq!((peer, error, ended), (first, CallError::Closed, false));
            }
            Told::Module(told) if ended => break read(&told),
            _ => {}
        }
    };
    assert!(second > first);
    assert_eq!(read(&clock_says(&mut attached).await), second);
}

#[tokio::test]
async fn what_is_not_for_the_modules_is_given_out() {
    let (url, mut connections) = server().await;
    let mut attached = client(&url);
    let mut server = soon(connections.recv()).await.unwrap();
    let to = server.handle().clone();
    to.send(event("[:clock/tick]")).await.unwrap();
    to.send(event("[:chat/hi]")).await.unwrap();
    let said = loop {
        if let Told::Event(ClientEvent::Link(ConnectionEvent::Message(message))) =
            next(&mut attached).await
        {
            break message.event.id;
        }
    };
    assert_eq!(said.as_str(), "chat/hi");
    // A caller's own call is settled with the caller while the modules run.
    let caller = attached.handle().clone();
    let call = tokio::spawn(async move { caller.call(event("[:chat/ask]"), PATIENCE).await });
    let token = loop {
        if let Told::Event(ConnectionEvent::Message(message)) = next(&mut server).await {
            break message.reply.unwrap();
        }
    };
    to.reply(token, 5).unwrap();
    let answer = soon(call).await.unwrap().unwrap();
    assert_eq!(answer.to_value().unwrap().to_string(), "5");
}

#[tokio::test]
async fn the_end_of_a_call_made_for_a_module_is_told_by_the_events() {
    let (url, mut connections) = server().await;
    let (handle, events) = connect(&url.parse().unwrap(), &ConnectOptions::default())
        .await
        .unwrap();
    let mut server = soon(connections.recv()).await.unwrap();
    let mut attached = events.attach(clock(None));
    let to = handle.id();
    let question = event("[:clock/now]");
    let call = attached.with(|_: &mut Clock, _, out| out.call(to, question, PATIENCE));
    let call = call.expect("there is a clock").unwrap();
    let answers = tokio::spawn(async move { while server.next().await.is_some() {} });
    let told = loop {
        if let Told::Event(ConnectionEvent::Settled { call, result }) = next(&mut attached).await {
            break (call, result.is_ok());
        }
    };
    // The clock did not ask, so it is not the clock's.
    assert_eq!(told, (call, true));

    let question = event("[:chat/ask]");
    let unanswered = handle.outbox().call(to, question, PATIENCE).unwrap();
    handle.close();
    let mut settled = Vec::new();
    let mut closed = false;
    while let Some(told) = soon(attached.next()).await {
        match told {
            Told::Event(ConnectionEvent::Settled { call, result }) => {
                assert!(!closed, "the end comes last");
                settled.push((call, result.err()));
            }
            Told::Event(ConnectionEvent::Closed(_)) => closed = true,
            _ => {}
        }
    }
    assert!(closed);
    assert_eq!(settled, [(unanswered, Some(CallError::Closed))]);
    answers.abort();
}

#[tokio::test]
async fn an_outbox_over_a_handle_reaches_its_peer_by_connection_and_by_user() {
    let (url, mut connections) = server().await;
    let mut attached = client(&url);
    let mut server = soon(connections.recv()).await.unwrap();
    let to = server.handle().id();
    let elsewhere = ConnId::new(0, &[0; 10]);
    let reached = server.with(|_: &mut Clock, _, out| {
        let news = event("[:news/flash]");
        let mut queued = |target| out.publish(&target, &news).unwrap().queued;
        let reached = [
            queued(Target::All),
            queued(Target::AllBut(to)),
            queued(Target::Connection(to)),
            queued(Target::Connection(elsewhere)),
            queued(Target::User("ada".into())),
            queued(Target::User("bob".into())),
        ];
        out.send(to, news.clone()).unwrap();
        let refused = out.send(elsewhere, news);
        assert!(matches!(refused, Err(SendError::NotOpen(_))));
        reached
    });
    assert_eq!(reached, Some([1, 0, 1, 0, 1, 0]));
    let mut arrived = 0;
    while arrived < 4 {
        if let Told::Event(ClientEvent::Link(ConnectionEvent::Message(message))) =
            next(&mut attached).await
        {
            assert_eq!(message.event.id.as_str(), "news/flash");
            arrived += 1;
        }
    }
}

#[tokio::test]
async fn modules_and_events_can_be_parted_again() {
    let (url, mut connections) = server().await;
    let attached = client(&url);
    let server = soon(connections.recv()).await.unwrap();
    server.handle().send(event("[:clock/tick]")).await.unwrap();
    let (mut events, mut modules) = attached.detach();
    assert!(modules.find_mut::<Clock>().is_some());
    loop {
        let event = soon(events.next()).await.unwrap();
        if let ClientEvent::Link(ConnectionEvent::Message(message)) = event {
            assert_eq!(message.event.id.as_str(), "clock/tick");
            return;
        }
    }
}
