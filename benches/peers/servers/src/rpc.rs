//! Servers of events or calls that are answered.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::echo::accept_each;

/// `chat/msg` is acknowledged with its own data; `pub` is told to everybody.
pub(crate) async fn socketioxide(address: String) {
    use socketioxide::SocketIo;
    use socketioxide::extract::{AckSender, Data, SocketRef};
    let (service, io) = SocketIo::builder().max_buffer_size(16_384).build_svc();
    let all = io.clone();
    io.ns("/", move |socket: SocketRef| {
        let all = all.clone();
        async move {
            socket.join("room");
            socket.on(
                peer_shapes::EVENT_ID,
                async |Data::<Value>(data), ack: AckSender| {
                    let _ = ack.send(&data);
                },
            );
            socket.on("pub", move |Data::<Value>(data): Data<Value>| {
                let all = all.clone();
                async move {
                    let _ = all.to("room").emit("ev", &data).await;
                }
            });
        }
    });
    let service = Arc::new(service);
    accept_each(address, |stream| {
        let service = service.clone();
        tokio::spawn(async move {
            let io = hyper_util::rt::TokioIo::new(stream);
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(io, service)
                .with_upgrades()
                .await;
        });
    })
    .await;
}

pub(crate) async fn jsonrpsee(address: String) {
    use jsonrpsee::server::{RpcModule, ServerBuilder, ServerConfig};
    let config = ServerConfig::builder()
        .max_connections(20_000)
        .set_message_buffer_capacity(16_384)
        .build();
    let builder = ServerBuilder::with_config(config);
    let server = builder.build(address).await.expect("a free address");
    let mut module = RpcModule::new(());
    module
        .register_method(peer_shapes::EVENT_ID, |parameters, _, _| {
            parameters.one::<Value>().unwrap_or(Value::Null)
        })
        .expect("a new name");
    server.start(module).stopped().await;
}

#[tarpc::service]
trait Echo {
    async fn echo(data: peer_shapes::Data) -> peer_shapes::Data;
}

#[derive(Clone)]
struct EchoServer;

impl Echo for EchoServer {
    async fn echo(self, _: tarpc::context::Context, data: peer_shapes::Data) -> peer_shapes::Data {
        data
    }
}

pub(crate) async fn tarpc(address: String) {
    use futures_util::StreamExt;
    use tarpc::server::{BaseChannel, Channel, Config};
    use tarpc::tokio_serde::formats::Bincode;
    let listening = tarpc::serde_transport::tcp::listen(&address, Bincode::default);
    let mut incoming = listening.await.expect("a free address");
    incoming.config_mut().max_frame_length(usize::MAX);
    while let Some(transport) = incoming.next().await {
        let Ok(transport) = transport else { continue };
        let _ = transport.get_ref().set_nodelay(true);
        let config = Config {
            pending_response_buffer: 16_384,
        };
        let channel = BaseChannel::new(config, transport).execute(EchoServer.serve());
        tokio::spawn(channel.for_each(|response| async {
            tokio::spawn(response);
        }));
    }
}

/// Writes `count` requests into a file, just as tarpc's client would put them on the wire, with the
/// ids from 1 on.
pub(crate) fn tarpc_frames(bytes: usize, count: usize, path: &str) {
    use tarpc::tokio_serde::{Serializer, formats::Bincode};
    type Request = tarpc::ClientMessage<EchoRequest>;
    let mut codec: Bincode<Request, Request> = Bincode::default();
    let mut context = tarpc::context::current();
    context.deadline = Instant::now() + Duration::from_hours(1);
    let data = peer_shapes::data(bytes);
    let mut out = Vec::new();
    for id in 1..=count as u64 {
        let request = tarpc::ClientMessage::Request(tarpc::Request {
            context,
            id,
            message: EchoRequest::Echo { data: data.clone() },
        });
        let packed = Pin::new(&mut codec).serialize(&request).expect("it packs");
        out.extend_from_slice(&(packed.len() as u32).to_be_bytes());
        out.extend_from_slice(&packed);
    }
    std::fs::write(path, out).expect("a file to write");
}
