//! Async functions as handlers, and what all of them look like from outside.

use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use crate::router::answer::{Answer, IntoAnswer};
use crate::router::context::Context;
use crate::router::extract::FromContext;

/// An async function of at most eight extractors. Nothing else needs to be one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot handle events",
    note = "a handler is an async function whose arguments are extractors (`FromContext`), whose \
            result is an answer (`IntoAnswer`), and whose future is `Send`"
)]
pub trait Handler<T, S>: Send + Sync + 'static {
    /// Reads the arguments out of `context` and begins. What it borrows of the context it has
    /// cloned when this returns.
    fn call(&self, context: &Context<S>) -> Outcome;
}

/// A handler at work.
pub type Outcome = Pin<Box<dyn Future<Output = Answer> + Send>>;

macro_rules! handler {
    ($($argument:ident),*) => {
        impl<F, Fut, R, S, $($argument,)*> Handler<($($argument,)*), S> for F
        where
            F: Fn($($argument),*) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = R> + Send + 'static,
            R: IntoAnswer,
            $($argument: FromContext<S>,)*
        {
            fn call(&self, context: &Context<S>) -> Outcome {
                $(
                    #[expect(non_snake_case, reason = "one name for the type and its argument")]
                    let $argument = match $argument::from_context(context) {
                        Ok(argument) => argument,
                        Err(rejection) => return rejected(&rejection),
                    };
                )*
                let connection = context.connection().clone();
                let future = self($($argument),*);
                Box::pin(async move { future.await.into_answer(&connection) })
            }
        }
    };
}

handler!();
handler!(A);
handler!(A, B);
handler!(A, B, C);
handler!(A, B, C, D);
handler!(A, B, C, D, E);
handler!(A, B, C, D, E, G);
handler!(A, B, C, D, E, G, H);
handler!(A, B, C, D, E, G, H, I);

fn rejected(rejection: &dyn std::fmt::Display) -> Outcome {
    Box::pin(std::future::ready(Answer::Failed(rejection.to_string())))
}

/// A handler without the types of its arguments.
pub(super) type Route<S> = Arc<dyn Erase<S>>;

pub(super) trait Erase<S>: Send + Sync {
    fn call(&self, context: &Context<S>) -> Outcome;
}

pub(super) struct Erased<H, T>(H, PhantomData<fn(T)>);

impl<H, T: 'static> Erased<H, T> {
    #[expect(clippy::new_ret_no_self, reason = "it is there to be erased")]
    pub(super) fn new<S>(handler: H) -> Route<S>
    where
        H: Handler<T, S>,
    {
        Arc::new(Self(handler, PhantomData))
    }
}

impl<S, T: 'static, H: Handler<T, S>> Erase<S> for Erased<H, T> {
    fn call(&self, context: &Context<S>) -> Outcome {
        self.0.call(context)
    }
}
