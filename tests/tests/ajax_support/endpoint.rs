//! Sente's test server, made of admission and sessions: what an adapter does, without the I/O.

use std::collections::BTreeMap;
use std::sync::Arc;

use sente_core::admission::{Admission, Request};
use sente_core::ajax::{AjaxConfig, AjaxRequest, AjaxSession, BadMethod, Exchange, Poll, Response};
use sente_core::{ConnectionEvent, Event, EventId, Instant, Message};
use sente_edn::Value;

use super::millis;

/// A request that was made, until it is answered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked(u64);

/// User and client id.
type Who = (String, String);

pub struct Endpoint {
    admission: Admission,
    config: Arc<AjaxConfig>,
    sessions: BTreeMap<Who, AjaxSession>,
    asked: u64,
    waiting: BTreeMap<(Who, Exchange), Asked>,
    answered: BTreeMap<Asked, (Instant, Response)>,
    /// Events that the application sends later.
    later: Vec<(Instant, Who, Event)>,
}

impl Endpoint {
    pub fn new(admission: Admission, config: Arc<AjaxConfig>) -> Self {
        Self {
            admission,
            config,
            sessions: BTreeMap::new(),
            asked: 0,
            waiting: BTreeMap::new(),
            answered: BTreeMap::new(),
            later: Vec::new(),
        }
    }

    /// Makes a request.
    pub fn ask(&mut self, now: Instant, request: Request) -> Asked {
        self.advance(now);
        self.asked += 1;
        let asked = Asked(self.asked);
        match self.admit(now, request) {
            Ok(key) => {
                self.waiting.insert(key, asked.clone());
                self.drive(now);
            }
            Err(response) => {
                self.answered.insert(asked.clone(), (now, response));
            }
        }
        asked
    }

    fn admit(&mut self, now: Instant, request: Request) -> Result<(Who, Exchange), Response> {
        // As an adapter would, before anything is asked of the application.
        if !["GET", "POST"].contains(&request.method()) {
            return Err(BadMethod.response());
        }
        let admitted = self
            .admission
            .admit(request)
            .map_err(|refusal| Response::new(refusal.status, refusal.body.into_bytes()))?;
        let asks = AjaxRequest::read(&admitted.request).map_err(BadMethod::response)?;
        let handshake = admitted.handshake();
        let who = (
            handshake.uid.to_string(),
            admitted.client_id.unwrap().to_string(),
        );
        let session = self.sessions.entry(who.clone()).or_insert_with(|| {
            AjaxSession::new(self.config.clone(), handshake.clone(), [7; 32], now)
        });
        if asks == AjaxRequest::Poll(Poll::Handshake) {
            session.accept(now, handshake);
        }
        let exchange = session.handle(now, asks);
        Ok((who, exchange))
    }

    /// Lets time pass, to each moment at which something is due.
    pub fn advance(&mut self, until: Instant) {
        loop {
            let due = self
                .sessions
                .values()
                .filter_map(AjaxSession::poll_timeout)
                .chain(self.later.iter().map(|(at, ..)| *at))
                .min();
            let Some(at) = due.filter(|at| *at <= until) else {
                break;
            };
            let (now, later) = self.later.drain(..).partition(|(due, ..)| *due <= at);
            self.later = later;
            let now: Vec<(Instant, Who, Event)> = now;
            for (_, who, event) in now {
                if let Some(session) = self.sessions.get_mut(&who) {
                    session.send(at, event).unwrap();
                }
            }
            for session in self.sessions.values_mut() {
                session.handle_timeout(at);
            }
            self.drive(at);
        }
    }

    /// Lets the application answer, and notes the answers to requests.
    fn drive(&mut self, now: Instant) {
        for (who, session) in &mut self.sessions {
            while let Some(event) = session.poll_event() {
                if let ConnectionEvent::Message(message) = event {
                    application(now, who, session, message, &mut self.later);
                }
            }
            while let Some(respond) = session.poll_respond() {
                let key = (who.clone(), respond.exchange);
                let asked = self.waiting.remove(&key).expect("answered once");
                self.answered.insert(asked, (now, respond.response));
            }
        }
        self.sessions.retain(|_, session| !session.is_finished());
    }

    pub fn answer(&self, asked: &Asked) -> Option<&(Instant, Response)> {
        self.answered.get(asked)
    }

    /// When something is due next.
    pub fn next(&self) -> Option<Instant> {
        self.sessions
            .values()
            .filter_map(AjaxSession::poll_timeout)
            .chain(self.later.iter().map(|(at, ..)| *at))
            .min()
    }
}

/// What the recorded server's application does.
fn application(
    now: Instant,
    who: &Who,
    session: &mut AjaxSession,
    message: Message,
    later: &mut Vec<(Instant, Who, Event)>,
) {
    let data = message.event.data.as_ref();
    let data = data.map_or(Value::Nil, |data| data.to_value().unwrap());
    let Message { event, reply, .. } = message;
    match (event.id.as_str(), reply) {
        ("test/echo", Some(token)) => session.reply(now, token, data).unwrap(),
        ("test/multi-reply", Some(token)) => {
            let first = Value::Keyword(sente_edn::Keyword::new("first").unwrap());
            session.reply(now, token, first).unwrap();
        }
        ("test/push", reply) => {
            let Value::Map(map) = &data else {
                panic!("{data}");
            };
            let of = |name: &str| {
                map.get(&Value::Keyword(sente_edn::Keyword::new(name).unwrap()))
                    .cloned()
            };
            let count = of("n").and_then(|n| n.as_i64()).unwrap();
            let gap = of("gap-ms").and_then(|gap| gap.as_i64()).unwrap_or(0);
            for number in 0..count {
                let mut pushed = sente_edn::Map::new();
                let mut put = |name: &str, value: Value| {
                    pushed.insert(
                        Value::Keyword(sente_edn::Keyword::new(name).unwrap()),
                        value,
                    );
                };
                put("i", Value::from(number));
                put("data", of("data").unwrap());
                let event = Event::new(EventId::new("test/pushed").unwrap(), Value::Map(pushed));
                let at = now.as_millis() + u64::try_from(number * gap).unwrap();
                if gap == 0 {
                    session.send(now, event).unwrap();
                } else {
                    later.push((millis(at), who.clone(), event));
                }
            }
            assert!(reply.is_none());
        }
        (_, token) => drop(token),
    }
}
