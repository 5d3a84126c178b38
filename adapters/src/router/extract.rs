//! What a handler can ask for: its arguments.

use std::convert::Infallible;
use std::fmt;

use sente_core::edn::Value;
use sente_core::{Event, EventId, Payload, TypedError};
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::router::connection::AnyHandle;
use crate::router::context::Context;

/// What can be an argument of a handler.
///
/// | argument | is |
/// | --- | --- |
/// | [`Data<T>`] | the event's data as a Rust type, `nil` where it has none |
/// | [`State<S>`] | the state all handlers share |
/// | [`AnyHandle`] | what to send with, to whom the event came from |
/// | [`Extension<T>`] | what is known of the connection: an identity, the opening request |
/// | [`EventId`], [`Event`], `Option<Payload>` | the event as it came |
/// | `Option<A>`, `Result<A, A::Rejection>` of an extractor | the same, where it may be missing or wrong |
pub trait FromContext<S>: Sized {
    /// Why it is not there.
    type Rejection: fmt::Display;

    /// Reads it out of `context`.
    ///
    /// # Errors
    /// The handler is not called, and fails with what the rejection says.
    fn from_context(context: &Context<S>) -> Result<Self, Self::Rejection>;
}

/// The event's data as a Rust type, read by serde. An event without data counts as `nil`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "an argument that is taken apart")]
pub struct Data<T>(pub T);

impl<T: DeserializeOwned, S> FromContext<S> for Data<T> {
    type Rejection = NotOfThisType;

    fn from_context(context: &Context<S>) -> Result<Self, NotOfThisType> {
        let data = match &context.event().data {
            Some(data) => data.deserialize(),
            None => Payload::from(Value::Nil).deserialize(),
        };
        data.map(Data).map_err(NotOfThisType)
    }
}

/// The event's data is not of the type the handler takes.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the data is not what its handler takes: {0}")]
#[expect(clippy::exhaustive_structs, reason = "it says all there is")]
pub struct NotOfThisType(pub TypedError);

/// The state that all handlers of a [`Router`](crate::Router) share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "an argument that is taken apart")]
pub struct State<S>(pub S);

impl<S: Clone> FromContext<S> for State<S> {
    type Rejection = Infallible;

    fn from_context(context: &Context<S>) -> Result<Self, Infallible> {
        Ok(Self(context.state().clone()))
    }
}

/// Something of type `T` that whoever serves the connection knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "an argument that is taken apart")]
pub struct Extension<T>(pub T);

impl<T: Clone + Send + Sync + 'static, S> FromContext<S> for Extension<T> {
    type Rejection = MissingExtension;

    fn from_context(context: &Context<S>) -> Result<Self, MissingExtension> {
        let found = context.extensions().get::<T>().cloned();
        found.map(Extension).ok_or_else(|| MissingExtension {
            wanted: std::any::type_name::<T>(),
        })
    }
}

/// A handler asks for something that nobody gave to the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("nothing of type {wanted} was given to the connection: add it to its extensions")]
#[non_exhaustive]
pub struct MissingExtension {
    /// The name of the type.
    pub wanted: &'static str,
}

impl<S> FromContext<S> for EventId {
    type Rejection = Infallible;

    fn from_context(context: &Context<S>) -> Result<Self, Infallible> {
        Ok(context.event().id.clone())
    }
}

impl<S> FromContext<S> for Event {
    type Rejection = Infallible;

    fn from_context(context: &Context<S>) -> Result<Self, Infallible> {
        Ok(context.event().clone())
    }
}

impl<S> FromContext<S> for Option<Payload> {
    type Rejection = Infallible;

    fn from_context(context: &Context<S>) -> Result<Self, Infallible> {
        Ok(context.event().data.clone())
    }
}

impl<S> FromContext<S> for AnyHandle {
    type Rejection = Infallible;

    fn from_context(context: &Context<S>) -> Result<Self, Infallible> {
        Ok(context.connection().clone())
    }
}

impl<T: Clone + Send + Sync + 'static, S> FromContext<S> for Option<Extension<T>> {
    type Rejection = Infallible;

    fn from_context(context: &Context<S>) -> Result<Self, Infallible> {
        Ok(Extension::from_context(context).ok())
    }
}

impl<A: FromContext<S>, S> FromContext<S> for Result<A, A::Rejection> {
    type Rejection = Infallible;

    fn from_context(context: &Context<S>) -> Result<Self, Infallible> {
        Ok(A::from_context(context))
    }
}
