//! A client without the feature `http-client`: there is one way only.

use std::sync::Arc;

use sente_core::{Attempt, Client, ConnectFailure};

use super::ClientOptions;
use super::search::Found;
use crate::connect::ConnectOptions;
use crate::runtime::Runtime;
use crate::shared::Shared;
use crate::url::Url;

#[derive(Debug)]
pub(super) struct Ways;

impl Ways {
    pub(super) const fn new(_: &ClientOptions) -> Self {
        Self
    }

    pub(super) const fn none() -> Self {
        Self
    }

    #[expect(
        clippy::needless_pass_by_ref_mut,
        reason = "as where there is a fallback"
    )]
    pub(super) const fn web_socket(&mut self, _: bool) {}

    #[expect(
        clippy::needless_pass_by_ref_mut,
        reason = "as where there is a fallback"
    )]
    pub(super) const fn polled(&mut self, _: bool) {}

    pub(super) const fn polls(
        &self,
        _: &Arc<dyn Runtime>,
        _: &Url,
        _: &ConnectOptions,
        _: &str,
    ) -> Result<Option<Polls>, ConnectFailure> {
        Ok(None)
    }
}

/// Nothing polls.
pub(super) enum Polls {}

impl Polls {
    pub(super) async fn run(self, _: &Arc<Shared<Client>>, _: Attempt) -> Option<Found> {
        match self {}
    }
}
