//! A client's link as the tests drive it.

use sente_core::admission::Request;
use sente_core::ajax::{
    AjaxClient, AjaxClientConfig, AjaxClientConfigBuilder, AjaxRequest, AjaxSend, Exchange, Poll,
    Response,
};
use sente_core::{CallError, ConnectionEvent, Instant, Payload};

use super::NOW;

pub const HANDSHAKE: &str = "[[:chsk/handshake [\"ada\" nil {:v 1}]] nil]";

pub fn new(
    configure: impl FnOnce(AjaxClientConfigBuilder) -> AjaxClientConfigBuilder,
) -> AjaxClient {
    let config = configure(AjaxClientConfig::builder("/chsk"))
        .build()
        .unwrap();
    AjaxClient::new(config, "c1", [1; 32], NOW)
}

/// The requests to be made now.
pub fn sends(client: &mut AjaxClient) -> Vec<AjaxSend> {
    std::iter::from_fn(|| client.poll_send()).collect()
}

/// The only request to be made now.
pub fn sent(client: &mut AjaxClient) -> AjaxSend {
    let mut all = sends(client);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

pub fn events(client: &mut AjaxClient) -> Vec<ConnectionEvent> {
    std::iter::from_fn(|| client.poll_event()).collect()
}

pub fn aborts(client: &mut AjaxClient) -> Vec<Exchange> {
    std::iter::from_fn(|| client.poll_abort()).collect()
}

pub fn answer(client: &mut AjaxClient, now: Instant, exchange: Exchange, body: &str) {
    client.handle_response(now, exchange, &Response::new(200, body.to_owned()));
}

/// A link that is open, and the poll that is out.
pub fn opened(
    configure: impl FnOnce(AjaxClientConfigBuilder) -> AjaxClientConfigBuilder,
) -> (AjaxClient, Exchange) {
    opened_with(configure, HANDSHAKE)
}

pub fn opened_with(
    configure: impl FnOnce(AjaxClientConfigBuilder) -> AjaxClientConfigBuilder,
    handshake: &str,
) -> (AjaxClient, Exchange) {
    let mut client = new(configure);
    let first = sent(&mut client);
    answer(&mut client, NOW, first.exchange, handshake);
    assert!(matches!(
        events(&mut client)[..],
        [ConnectionEvent::Opened(_)]
    ));
    let poll = sent(&mut client);
    assert_eq!(asks(&poll.request), AjaxRequest::Poll(Poll::Wait));
    (client, poll.exchange)
}

pub fn asks(request: &Request) -> AjaxRequest {
    AjaxRequest::read(request).unwrap()
}

/// The message of a post.
pub fn posted(send: &AjaxSend) -> String {
    match asks(&send.request) {
        AjaxRequest::Post(frame) => String::from_utf8(frame.bytes.to_vec()).unwrap(),
        poll => panic!("{poll:?}"),
    }
}

pub fn settled(told: &[ConnectionEvent]) -> Vec<Result<&Payload, CallError>> {
    told.iter()
        .filter_map(|event| match event {
            ConnectionEvent::Settled { result, .. } => {
                Some(result.as_ref().map_err(|error| *error))
            }
            _ => None,
        })
        .collect()
}

/// The packed events that came back.
pub fn undelivered(told: &[ConnectionEvent]) -> Vec<String> {
    told.iter()
        .filter_map(|event| match event {
            ConnectionEvent::Undelivered(events) => Some(events),
            _ => None,
        })
        .flatten()
        .map(|event| String::from_utf8(event.bytes().to_vec()).unwrap())
        .collect()
}
