//! Where attempts go: as one closure says, or along a list.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sente_core::{Connect, ConnectFailure};

use super::endpoint::{Aim, Endpoint};
use super::search::Search;
use crate::connect::ConnectOptions;
use crate::url::Url;

/// What a client is told before each attempt.
pub(super) trait Targets: Send {
    /// What the attempt is to do.
    fn aim(&mut self, connect: Connect)
    -> impl Future<Output = Result<Aim, ConnectFailure>> + Send;

    /// What is tried while this endpoint is in use.
    fn search(&self, endpoint: usize, client_id: &str) -> Search;
}

/// One closure that says it all.
pub(super) struct Asked<F>(pub(super) F);

impl<F, Fut> Targets for Asked<F>
where
    F: FnMut(Connect) -> Fut + Send,
    Fut: Future<Output = Result<(Url, ConnectOptions), ConnectFailure>> + Send,
{
    fn aim(
        &mut self,
        connect: Connect,
    ) -> impl Future<Output = Result<Aim, ConnectFailure>> + Send {
        let target = (self.0)(connect);
        async move {
            let (url, options) = target.await?;
            Ok(Aim::Dial(url, options))
        }
    }

    fn search(&self, _: usize, client_id: &str) -> Search {
        Search {
            candidates: Vec::new(),
            every: None,
            client_id: client_id.to_owned(),
        }
    }
}

/// A list, those to be preferred first.
pub(super) struct Listed {
    pub(super) endpoints: Arc<[Endpoint]>,
    pub(super) return_every: Option<Duration>,
}

impl Targets for Listed {
    async fn aim(&mut self, connect: Connect) -> Result<Aim, ConnectFailure> {
        match self.endpoints.get(connect.endpoint) {
            Some(endpoint) => endpoint.aim().await,
            None => Err(ConnectFailure::Final(
                "there is no such endpoint".to_owned(),
            )),
        }
    }

    fn search(&self, endpoint: usize, client_id: &str) -> Search {
        let preferred = self.endpoints.iter().take(endpoint).cloned();
        Search {
            candidates: preferred.enumerate().collect(),
            every: self.return_every,
            client_id: client_id.to_owned(),
        }
    }
}
