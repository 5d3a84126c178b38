//! A client that wants in, and how it comes to be one.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

#[cfg(feature = "tls")]
use rustls::pki_types::CertificateDer;
use sente_core::framing::upgrade::UpgradeRequest;
use sente_core::packer::{Edn, Packer};
use sente_core::{Accept, Carrier, ConnId, ConnectionConfig, Dialect, Extensions};

use crate::budget::SharedRecvBudget;
use crate::clock::Clock;
use crate::configs::Configs;
use crate::connection::start;
use crate::deflate;
use crate::events::Events;
use crate::handle::Handle;
use crate::link::{Held, Link, LinkLayer, Transport};
use crate::listen::{ListenError, ListenOptions};
use crate::record::{self, Recordings};
use crate::runtime::{Runtime, chosen};
use crate::seed::conn_id;
#[cfg(feature = "tls")]
use crate::tls::ServerTls;
use crate::url::{Address, Url, dialect_of, offered_in};
use crate::websocket::{self, Asked};

/// Takes clients over links that are open already, the other side of
/// [`connect_over`](crate::connect_over): in memory, out of another library, by
/// a [`Listener`](crate::Listener) of one's own. Cheap to clone.
#[derive(Clone)]
pub struct Acceptor {
    configs: Configs,
    dialect: Option<Dialect>,
    is_websocket: bool,
    /// What clients without an address are called.
    here: String,
    scheme: &'static str,
    #[cfg(feature = "tls")]
    tls: Option<ServerTls>,
    layer: Option<LinkLayer>,
    runtime: Arc<dyn Runtime>,
}

impl Acceptor {
    /// One for links as `url` says: whether they are upgraded to WebSockets first, and which packer
    /// is spoken. Its host, port and path do not matter.
    ///
    /// # Errors
    /// [`ListenError`]: the options do not fit together, or there is no runtime.
    pub fn new(url: &Url, options: ListenOptions) -> Result<Self, ListenError> {
        let runtime = chosen(options.runtime.as_ref()).map_err(|error| ListenError::Bind {
            url: url.to_string(),
            error,
        })?;
        Self::of(&url.address, url.to_packer(), options, runtime)
    }

    pub(crate) fn of(
        address: &Address,
        packer: Option<Arc<dyn Packer>>,
        options: ListenOptions,
        runtime: Arc<dyn Runtime>,
    ) -> Result<Self, ListenError> {
        let own = options.packer.clone().or(packer);
        let packer = own.unwrap_or_else(|| Arc::new(Edn));
        #[cfg(feature = "tls")]
        let tls = options.tls.clone().filter(|_| address.is_secure());
        #[cfg(feature = "tls")]
        let has_certificate = tls.is_some();
        #[cfg(not(feature = "tls"))]
        let has_certificate = false;
        if address.is_secure() && !has_certificate {
            return Err(ListenError::NoCertificate(address.to_string()));
        }
        Ok(Self {
            configs: Configs::new(&options, &packer)?,
            dialect: options.dialect,
            is_websocket: matches!(address, Address::Ws(_)),
            here: address.to_string(),
            scheme: match (address, address.is_secure()) {
                (Address::Ws(_), false) => "ws",
                (Address::Ws(_), true) => "wss",
                (_, false) => "tcp",
                (_, true) => "tls",
            },
            #[cfg(feature = "tls")]
            tls,
            layer: options.layer,
            runtime,
        })
    }

    /// The client behind `link`, which is called `peer` in messages. `None` if it asked for
    /// something else than a WebSocket, and was answered.
    ///
    /// It waits for the request of a WebSocket as long as that takes; give it a time limit.
    ///
    /// # Errors
    /// The link's, before the request was there.
    ///
    /// # Cancel safety
    /// Dropped, the link is dropped.
    pub async fn take(
        &self,
        link: impl Link + 'static,
        peer: &str,
    ) -> io::Result<Option<Incoming>> {
        self.take_boxed(Box::new(link), peer).await
    }

    pub(crate) async fn take_boxed(
        &self,
        link: Box<dyn Link>,
        peer: &str,
    ) -> io::Result<Option<Incoming>> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            let link = LinkLayer::around(self.layer.as_ref(), link);
            let (link, certificates) = crate::tls::accept(link, tls).await?;
            let mut incoming = self.agree(link, peer, false).await?;
            if let Some(incoming) = &mut incoming {
                incoming.certificates = certificates;
            }
            return Ok(incoming);
        }
        let is_message_based = link.is_message_based();
        let link = LinkLayer::around(self.layer.as_ref(), link);
        self.agree(link, peer, is_message_based).await
    }

    /// What a client at `address` is called.
    pub(crate) fn peer_at(&self, address: Option<SocketAddr>) -> String {
        match address {
            Some(address) => format!("{}://{address}", self.scheme),
            None => self.here.clone(),
        }
    }

    /// A client that has nothing to agree on.
    pub(crate) fn stream(&self, link: Box<dyn Link>, peer: String) -> io::Result<Incoming> {
        let link = LinkLayer::around(self.layer.as_ref(), link);
        self.incoming(
            peer,
            self.configs.stream.clone(),
            Way::Stream(Held::new(link)),
        )
    }

    async fn agree(
        &self,
        link: Box<dyn Link>,
        peer: &str,
        is_message_based: bool,
    ) -> io::Result<Option<Incoming>> {
        if self.is_websocket {
            return self.upgrade(link, peer.to_owned()).await;
        }
        let config = if is_message_based {
            &self.configs.messages
        } else {
            &self.configs.stream
        };
        let way = Way::Stream(Held::new(link));
        self.incoming(peer.to_owned(), config.clone(), way)
            .map(Some)
    }

    async fn upgrade(&self, link: Box<dyn Link>, peer: String) -> io::Result<Option<Incoming>> {
        let Some(asked) = websocket::read_request(&*self.runtime, link).await? else {
            return Ok(None);
        };
        let request = &asked.request;
        let by_request = || dialect_of(request.path(), request.query());
        let dialect = self.dialect.unwrap_or_else(by_request);
        let config = self.configs.websocket_at(request.path(), dialect);
        let incoming = self.incoming(peer, config, Way::WebSocket(Box::new(asked)))?;
        // Sente's clients always name themselves; its server fails without (http-kit answers 500).
        let nameless = incoming.client_id().is_none_or(|id| id.trim().is_empty());
        if dialect == Dialect::Sente && nameless {
            incoming
                .refuse(
                    400,
                    "the parameter client-id is missing: Sente's clients send one",
                )
                .await;
            return Ok(None);
        }
        Ok(Some(incoming))
    }

    fn incoming(
        &self,
        peer: String,
        config: Arc<ConnectionConfig>,
        way: Way,
    ) -> io::Result<Incoming> {
        Ok(Incoming {
            id: conn_id()?,
            peer,
            config,
            budget: self.configs.budget.clone(),
            record: self.configs.record.clone(),
            runtime: self.runtime.clone(),
            #[cfg(feature = "tls")]
            certificates: Vec::new(),
            way,
        })
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor")
            .field("here", &self.here)
            .finish_non_exhaustive()
    }
}

/// A client that wants in: accept it or refuse it. Dropped, its connection is closed.
#[must_use = "a client waits to be accepted or refused"]
pub struct Incoming {
    id: ConnId,
    peer: String,
    config: Arc<ConnectionConfig>,
    budget: SharedRecvBudget,
    record: Option<Recordings>,
    runtime: Arc<dyn Runtime>,
    #[cfg(feature = "tls")]
    certificates: Vec<CertificateDer<'static>>,
    way: Way,
}

enum Way {
    Stream(Held),
    WebSocket(Box<Asked>),
}

impl Incoming {
    /// The address of the client, as far as the transport has one.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// The certificates the client showed, its own first, which its server has checked; empty
    /// without TLS, and where the server did not ask for any.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// The HTTP request, if it came by WebSocket.
    #[must_use]
    pub fn request(&self) -> Option<&UpgradeRequest> {
        match &self.way {
            Way::WebSocket(asked) => Some(&asked.request),
            Way::Stream(_) => None,
        }
    }

    /// A parameter of the request's URL, decoded.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<String> {
        let query = self.request()?.query();
        form_urlencoded::parse(query.as_bytes())
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
    }

    /// The label the client gave itself in its URL.
    #[must_use]
    pub fn client_id(&self) -> Option<String> {
        self.param("client-id")
    }

    /// The extensions the client offered in its URL. [`accept`](Self::accept) passes them on.
    #[must_use]
    pub fn extensions(&self) -> Option<Extensions> {
        offered_in(self.request()?.query())
    }

    /// The dialect it will be spoken to in.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.config.dialect()
    }

    /// What carries it: a WebSocket or a byte stream.
    #[must_use]
    pub fn carrier(&self) -> Carrier {
        self.config.carrier()
    }

    /// The packer it will be spoken to in.
    #[must_use]
    pub fn packer(&self) -> &Arc<dyn Packer> {
        self.config.packer()
    }

    /// The id its connection will have.
    #[must_use]
    pub const fn id(&self) -> ConnId {
        self.id
    }

    /// Lets it in with this handshake and starts to drive the connection.
    ///
    /// # Errors
    /// The socket's, if the client is gone already.
    ///
    /// # Cancel safety
    /// Dropped, the client is let go.
    pub async fn accept(self, mut accept: Accept) -> io::Result<(Handle, Events)> {
        if accept.offered.is_none() {
            accept.offered = self.extensions();
        }
        let Self {
            id,
            peer,
            config,
            budget,
            record,
            runtime,
            way,
            ..
        } = self;
        let mut transport = match way {
            Way::Stream(link) => Transport::new(link.into_inner(), peer),
            Way::WebSocket(asked) => asked.accept(peer, &config).await?,
        };
        let clock = Clock::start(runtime);
        let mut connection = record::connection(config, id, clock.now(), record.as_ref())?;
        deflate::set(&mut connection, transport.deflate.take());
        connection.accept(clock.now(), accept);
        Ok(start(connection, clock, id, transport, &budget))
    }

    /// Turns it away: a WebSocket client with an HTTP status and a reason it can read, any other
    /// by closing.
    ///
    /// # Cancel safety
    /// Dropped, the client is let go without an answer.
    pub async fn refuse(self, status: u16, reason: &str) {
        self.refuse_with(status, &[], &format!("{reason}\n")).await;
    }

    /// The same with these headers, name and value, and this body, which is sent as it is.
    ///
    /// # Cancel safety
    /// As for [`refuse`](Self::refuse).
    pub async fn refuse_with(self, status: u16, headers: &[(&str, &str)], body: &str) {
        if let Way::WebSocket(asked) = self.way {
            let mut link = asked.link.into_inner();
            // A client that is gone needs no answer.
            let runtime = &*self.runtime;
            let _ = websocket::refuse(runtime, &mut *link, status, headers, body).await;
        }
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("id", &self.id)
            .field("peer", &self.peer)
            .field("dialect", &self.dialect())
            .finish_non_exhaustive()
    }
}
