//! Our side: the asynchronous handles or the blocking ones, under the same names.

use std::time::Duration;

use sente_adapters::{CallFailure, End, Events, Handle, blocking};
use sente_core::{ConnectionEvent, Event, Payload, SendError};

pub(crate) enum Party {
    Async(Handle, Events),
    Blocking(blocking::Handle, blocking::Events),
}

impl Party {
    pub(crate) fn handle(&self) -> &Handle {
        match self {
            Self::Async(handle, _) => handle,
            Self::Blocking(handle, _) => handle,
        }
    }

    pub(crate) async fn call(
        &self,
        event: Event,
        timeout: Duration,
    ) -> Result<Payload, CallFailure> {
        match self {
            Self::Async(handle, _) => handle.call(event, timeout).await,
            Self::Blocking(handle, _) => handle.call(event, timeout),
        }
    }

    pub(crate) async fn send(&self, event: Event) -> Result<(), SendError> {
        match self {
            Self::Async(handle, _) => handle.send(event).await,
            Self::Blocking(handle, _) => handle.send(event),
        }
    }

    pub(crate) async fn next(&mut self) -> Option<ConnectionEvent> {
        match self {
            Self::Async(_, events) => events.next().await,
            Self::Blocking(_, events) => events.next(),
        }
    }

    pub(crate) async fn flush(&self) {
        match self {
            Self::Async(handle, _) => handle.flush().await.unwrap(),
            Self::Blocking(handle, _) => handle.flush().unwrap(),
        }
    }

    pub(crate) async fn ended(&self) -> End {
        match self {
            Self::Async(handle, _) => handle.ended().await,
            Self::Blocking(handle, _) => handle.ended(),
        }
    }

    /// The next message.
    pub(crate) async fn message(&mut self) -> sente_core::Message {
        loop {
            match self.next().await {
                Some(ConnectionEvent::Message(message)) => return message,
                Some(ConnectionEvent::Closed(reason)) => panic!("closed: {reason}"),
                Some(_) => {}
                None => panic!("over"),
            }
        }
    }
}
