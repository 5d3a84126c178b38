//! What a handler returns.

use std::fmt;

use sente_core::edn::Value;
use sente_core::{Event, Payload, TypedError};
use serde::Serialize;

use crate::router::connection::AnyHandle;

/// What comes of a handler.
#[derive(Debug)]
#[non_exhaustive]
pub enum Answer {
    /// The answer to the call. Where nobody waits for one it is dropped.
    Reply(Payload),
    /// An event for whom the event came from. A call gets it as its answer, `[id data]`.
    Event(Event),
    /// No answer, and the caller is not told so.
    Nothing,
    /// It failed: the caller is told that it did, the application why.
    Failed(String),
}

/// What a handler can return.
///
/// | returned | the caller gets |
/// | --- | --- |
/// | `()` | `nil` |
/// | [`Typed<T>`](Typed) | `T` by serde, packed as the connection does |
/// | [`Payload`], [`Value`] and what becomes one: text, numbers, booleans | that |
/// | [`Event`] | `[id data]`; where nobody waits for an answer, the event is sent |
/// | `Option<A>` | `A`, or as for `()` |
/// | `Result<A, E>` | `A`, or that the call failed; `E` is reported on this side |
/// | [`NoReply`] | nothing: its time will pass |
pub trait IntoAnswer {
    /// Makes the answer; `connection` is where it goes.
    fn into_answer(self, connection: &AnyHandle) -> Answer;
}

/// A Rust type as the answer, by serde.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a wrapper")]
pub struct Typed<T>(pub T);

/// No answer, and no news of that: for calls that are not to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing in it")]
pub struct NoReply;

impl IntoAnswer for () {
    fn into_answer(self, _: &AnyHandle) -> Answer {
        Answer::Reply(Payload::from(Value::Nil))
    }
}

impl IntoAnswer for Answer {
    fn into_answer(self, _: &AnyHandle) -> Answer {
        self
    }
}

impl IntoAnswer for NoReply {
    fn into_answer(self, _: &AnyHandle) -> Answer {
        Answer::Nothing
    }
}

impl IntoAnswer for Event {
    fn into_answer(self, _: &AnyHandle) -> Answer {
        Answer::Event(self)
    }
}

impl IntoAnswer for Payload {
    fn into_answer(self, _: &AnyHandle) -> Answer {
        Answer::Reply(self)
    }
}

impl<T: Serialize> IntoAnswer for Typed<T> {
    fn into_answer(self, connection: &AnyHandle) -> Answer {
        match connection.payload(&self.0) {
            Ok(payload) => Answer::Reply(payload),
            Err(error) => Answer::Failed(unpackable(&error)),
        }
    }
}

impl<A: IntoAnswer> IntoAnswer for Option<A> {
    fn into_answer(self, connection: &AnyHandle) -> Answer {
        match self {
            Some(answer) => answer.into_answer(connection),
            None => ().into_answer(connection),
        }
    }
}

impl<A: IntoAnswer, E: fmt::Display> IntoAnswer for Result<A, E> {
    fn into_answer(self, connection: &AnyHandle) -> Answer {
        match self {
            Ok(answer) => answer.into_answer(connection),
            Err(error) => Answer::Failed(error.to_string()),
        }
    }
}

macro_rules! value {
    ($($type:ty),*) => {$(
        impl IntoAnswer for $type {
            fn into_answer(self, _: &AnyHandle) -> Answer {
                Answer::Reply(Payload::from(self))
            }
        }
    )*};
}

value!(Value, bool, i64, i32, u32, u64, f64, &'static str, String);

fn unpackable(error: &TypedError) -> String {
    format!("what it returned cannot be packed: {error}")
}
