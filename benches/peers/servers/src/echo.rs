//! Servers that give messages back, written the way each library's own example writes them.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt, TryStreamExt};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// Accepts for ever.
pub(crate) async fn accept_each(address: String, mut serve: impl FnMut(TcpStream)) {
    let listener = TcpListener::bind(&address).await.expect("a free address");
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).expect("a socket");
        serve(stream);
    }
}

pub(crate) async fn raw_tokio(address: String) {
    accept_each(address, |mut stream| {
        tokio::spawn(async move {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(read) = stream.read(&mut buffer).await {
                if read == 0 || stream.write_all(&buffer[..read]).await.is_err() {
                    break;
                }
            }
        });
    })
    .await;
}

pub(crate) fn config(buffers: Option<usize>) -> Option<WebSocketConfig> {
    let config = WebSocketConfig::default();
    buffers.map(|bytes| config.read_buffer_size(bytes).write_buffer_size(bytes))
}

/// The loop that most people write: one `send` for each message.
pub(crate) async fn tungstenite(address: String, buffers: Option<usize>) {
    accept_each(address, |stream| {
        tokio::spawn(async move {
            let config = config(buffers);
            let upgraded = tokio_tungstenite::accept_async_with_config(stream, config).await;
            let Ok(mut socket) = upgraded else { return };
            while let Some(Ok(message)) = socket.next().await {
                let is_data = message.is_text() || message.is_binary();
                if is_data && socket.send(message).await.is_err() {
                    break;
                }
            }
        });
    })
    .await;
}

/// The library's own example: `forward` flushes only when there is nothing more to read.
pub(crate) async fn tungstenite_forward(address: String) {
    accept_each(address, |stream| {
        tokio::spawn(async move {
            let Ok(socket) = tokio_tungstenite::accept_async(stream).await else {
                return;
            };
            let (write, read) = socket.split();
            let data = read
                .try_filter(|message| std::future::ready(message.is_text() || message.is_binary()));
            let _ = data.forward(write).await;
        });
    })
    .await;
}

/// What one writes without a library for events: parse `[[id, data], callback]` into a `Value`, look
/// the handler up, answer `[reply, callback]`.
pub(crate) async fn tungstenite_json(address: String) {
    type Handler = fn(Value) -> Value;
    let mut handlers: HashMap<String, Handler> = HashMap::new();
    handlers.insert(peer_shapes::EVENT_ID.to_owned(), |data| data);
    let handlers = Arc::new(handlers);
    accept_each(address, |stream| {
        let handlers = handlers.clone();
        tokio::spawn(async move {
            let upgraded = tokio_tungstenite::accept_async_with_config(stream, config(Some(4096)));
            let Ok(mut socket) = upgraded.await else {
                return;
            };
            while let Some(Ok(message)) = socket.next().await {
                let Message::Text(text) = message else {
                    continue;
                };
                let parsed = serde_json::from_str::<((String, Value), Value)>(&text);
                let Ok(((id, data), callback)) = parsed else {
                    break;
                };
                let Some(handler) = handlers.get(&id) else {
                    continue;
                };
                let reply = serde_json::to_string(&(handler(data), callback)).expect("JSON");
                if socket.send(Message::text(reply)).await.is_err() {
                    break;
                }
            }
        });
    })
    .await;
}

pub(crate) async fn fastws(address: String) {
    accept_each(address, |stream| {
        tokio::spawn(async move {
            let io = hyper_util::rt::TokioIo::new(stream);
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(io, hyper::service::service_fn(fastws_upgrade))
                .with_upgrades()
                .await;
        });
    })
    .await;
}

async fn fastws_upgrade(
    mut request: Request<Incoming>,
) -> Result<Response<Empty<Bytes>>, fastwebsockets::WebSocketError> {
    let (response, upgraded) = fastwebsockets::upgrade::upgrade(&mut request)?;
    tokio::spawn(async move {
        let _ = tokio::task::unconstrained(fastws_client(upgraded)).await;
    });
    Ok(response)
}

async fn fastws_client(
    upgraded: fastwebsockets::upgrade::UpgradeFut,
) -> Result<(), fastwebsockets::WebSocketError> {
    use fastwebsockets::OpCode;
    let mut socket = fastwebsockets::FragmentCollector::new(upgraded.await?);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            _ => {}
        }
    }
}
