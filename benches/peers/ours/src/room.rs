//! A server of `sente-server` with one channel that everybody is subscribed to.

use peer_shapes::EVENT_ID;
use sente_adapters::{ListenOptions, Listener, Router, State, Url};
use sente_core::edn::Value;
use sente_core::{ChannelOptions, Event, Target};
use sente_server::{Server, ServerConfig, ServerEvent};

/// Tells everybody, as the subscribers of a channel, each event that is said.
pub(crate) async fn serve(
    url: &Url,
    options: ListenOptions,
) -> Result<(), Box<dyn std::error::Error>> {
    let everybody = Value::from("everybody");
    let router = Router::with_state(Target::Channel(everybody.clone())).on(EVENT_ID, tell)?;
    let mut config = ServerConfig::default();
    // Nobody asks for them, and the others keep none either.
    config.keep_requests = false;
    // Whoever comes is to be subscribed, however many come at once.
    config.max_events = 32_768;
    let server = Server::builder()
        .config(config)
        .router(router)
        .let_everybody_in()
        .build()?;
    let large = ChannelOptions::default().max_subscribers(100_000);
    server.channels().create(&everybody, large)?;
    let mut events = server.events();
    server.serve(Listener::bind(url, options).await?);
    while let Some(event) = events.next().await {
        if let ServerEvent::Joined { peer, .. } = event {
            // Who is gone already is not subscribed.
            let _ = server.channels().subscribe(peer.connection, &everybody);
        }
    }
    Ok(())
}

/// Nobody is waited for; who has no room for it misses it.
async fn tell(event: Event, server: Server, State(target): State<Target>) {
    server.fan_out(&target, &event).expect("it packs");
}
