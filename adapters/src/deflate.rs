//! permessage-deflate in the upgrade of a WebSocket; nothing at all without the feature `deflate`.

#[cfg(not(feature = "deflate"))]
pub(crate) use without::*;

#[cfg(feature = "deflate")]
pub(crate) use with::*;

#[cfg(feature = "deflate")]
mod with {
    use sente_core::framing::upgrade::{
        ClientUpgrade, ServerUpgrade, UpgradeError, UpgradeRequest, UpgradeResponse,
    };
    use sente_core::{Attempt, Client, Connection, ConnectionConfig, TransmitBuf};

    use crate::connect::ConnectOptions;

    /// What both sides agreed on.
    pub(crate) type Agreed = sente_core::framing::websocket::Deflate;

    pub(crate) fn offer(upgrade: ClientUpgrade, options: &ConnectOptions) -> ClientUpgrade {
        match &options.deflate {
            Some(config) => upgrade.deflate(config),
            None => upgrade,
        }
    }

    pub(crate) fn answered(response: UpgradeResponse) -> Option<Agreed> {
        response.deflate
    }

    pub(crate) fn accept(
        upgrade: &mut ServerUpgrade,
        request: &UpgradeRequest,
        config: &ConnectionConfig,
        out: &mut TransmitBuf,
    ) -> Result<Option<Agreed>, UpgradeError> {
        match config.deflate() {
            Some(config) => upgrade.accept_deflate(request, &[], config, out),
            None => upgrade.accept(request, &[], out).map(|()| None),
        }
    }

    pub(crate) fn set(connection: &mut Connection, agreed: Option<Agreed>) {
        if let Some(agreed) = agreed {
            connection.set_deflate(agreed);
        }
    }

    pub(crate) fn set_link(client: &mut Client, attempt: Attempt, agreed: Option<Agreed>) {
        if let Some(agreed) = agreed {
            client.set_deflate(attempt, agreed);
        }
    }
}

#[cfg(not(feature = "deflate"))]
mod without {
    use sente_core::framing::upgrade::{
        ClientUpgrade, ServerUpgrade, UpgradeError, UpgradeRequest, UpgradeResponse,
    };
    use sente_core::{Attempt, Client, Connection, ConnectionConfig, TransmitBuf};

    use crate::connect::ConnectOptions;

    pub(crate) enum Agreed {}

    pub(crate) fn offer(upgrade: ClientUpgrade, _: &ConnectOptions) -> ClientUpgrade {
        upgrade
    }

    pub(crate) fn answered(_: UpgradeResponse) -> Option<Agreed> {
        None
    }

    pub(crate) fn accept(
        upgrade: &mut ServerUpgrade,
        request: &UpgradeRequest,
        _: &ConnectionConfig,
        out: &mut TransmitBuf,
    ) -> Result<Option<Agreed>, UpgradeError> {
        upgrade.accept(request, &[], out).map(|()| None)
    }

    pub(crate) fn set(_: &mut Connection, _: Option<Agreed>) {}

    pub(crate) fn set_link(_: &mut Client, _: Attempt, _: Option<Agreed>) {}
}
