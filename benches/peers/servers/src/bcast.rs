//! Servers that tell everybody what one says.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_tungstenite::tungstenite::Message;

use crate::echo::{accept_each, config};

/// Everybody's channel.
struct Everybody<T>(Mutex<Joined<T>>);

struct Joined<T> {
    last: u64,
    channels: HashMap<u64, UnboundedSender<T>>,
}

impl<T: Clone> Everybody<T> {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Joined {
            last: 0,
            channels: HashMap::new(),
        })))
    }

    fn with<R>(&self, act: impl FnOnce(&mut Joined<T>) -> R) -> R {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn join(&self) -> (u64, UnboundedReceiver<T>) {
        let (sender, receiver) = unbounded_channel();
        self.with(|joined| {
            joined.last += 1;
            joined.channels.insert(joined.last, sender);
            (joined.last, receiver)
        })
    }

    fn leave(&self, id: u64) {
        self.with(|joined| joined.channels.remove(&id));
    }

    fn tell(&self, news: &T) {
        self.with(|joined| {
            for channel in joined.channels.values() {
                let _ = channel.send(news.clone());
            }
        });
    }
}

/// The usual chat server: one channel for each connection, one `send` for each message.
pub(crate) async fn tungstenite(address: String, buffers: Option<usize>) {
    let everybody = Everybody::<Message>::new();
    accept_each(address, |stream| {
        let everybody = everybody.clone();
        tokio::spawn(async move {
            let config = config(buffers);
            let upgraded = tokio_tungstenite::accept_async_with_config(stream, config).await;
            let Ok(socket) = upgraded else { return };
            let (mut write, mut read) = socket.split();
            let (id, mut news) = everybody.join();
            loop {
                tokio::select! {
                    said = read.next() => match said {
                        Some(Ok(message)) if message.is_text() => everybody.tell(&message),
                        Some(Ok(message)) if !message.is_close() => {}
                        _ => break,
                    },
                    Some(message) = news.recv() => {
                        if write.send(message).await.is_err() {
                            break;
                        }
                    }
                }
            }
            everybody.leave(id);
        });
    })
    .await;
}

pub(crate) async fn fastws(address: String) {
    let everybody = Everybody::<Bytes>::new();
    accept_each(address, |stream| {
        let everybody = everybody.clone();
        tokio::spawn(async move {
            let io = hyper_util::rt::TokioIo::new(stream);
            let service = hyper::service::service_fn(
                move |mut request: hyper::Request<hyper::body::Incoming>| {
                    let everybody = everybody.clone();
                    async move {
                        let (response, upgraded) = fastwebsockets::upgrade::upgrade(&mut request)?;
                        tokio::spawn(async move {
                            if let Ok(socket) = upgraded.await {
                                fastws_client(socket, &everybody).await;
                            }
                        });
                        Ok::<_, fastwebsockets::WebSocketError>(response)
                    }
                },
            );
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(io, service)
                .with_upgrades()
                .await;
        });
    })
    .await;
}

async fn fastws_client(
    socket: fastwebsockets::WebSocket<hyper_util::rt::TokioIo<hyper::upgrade::Upgraded>>,
    everybody: &Everybody<Bytes>,
) {
    use fastwebsockets::{Frame, OpCode, Payload};
    let (mut read, mut write) = socket.split(tokio::io::split);
    let (id, mut news) = everybody.join();
    // Reading cannot be cancelled, so writing has a task of its own.
    let writer = tokio::spawn(async move {
        while let Some(bytes) = news.recv().await {
            let frame = Frame::text(Payload::Borrowed(&bytes));
            if write.write_frame(frame).await.is_err() {
                break;
            }
        }
    });
    let mut obligated = |_: Frame<'_>| std::future::ready(Ok::<(), std::io::Error>(()));
    while let Ok(frame) = read.read_frame(&mut obligated).await {
        match frame.opcode {
            OpCode::Close => break,
            OpCode::Text => everybody.tell(&Bytes::copy_from_slice(&frame.payload)),
            _ => {}
        }
    }
    everybody.leave(id);
    writer.abort();
}
