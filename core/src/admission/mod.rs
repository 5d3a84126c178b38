//! Who may connect: the checks of Sente's server, as functions of an HTTP request, without I/O.
//!
//! [`Admission::check`] applies them to a [`Request`] in Sente's order: the application's `reject`,
//! the CSRF token, the origin, the application's `authorized`, and the client id. What passes is an
//! [`Incoming`], which the application accepts with an [`Identity`] or refuses; in between it may
//! take its time, look into a database, ask another server. What does not pass is a [`Refusal`]: a
//! response whose body tells the client why. The same is asked of a WebSocket upgrade, of every poll
//! and of every post.
//!
//! [`Gate`] counts: how many connections there are, in all, of one address and of one user, and how
//! often an address connects. [`IdentityTimer`] says when an identity is over.
//!
//! ```
//! use sente_core::admission::{Admission, CsrfCheck, Identity, Origins, Request};
//!
//! let admission = Admission::new(CsrfCheck::cookie())
//!     .origins(Origins::only(["https://app.example"])?)
//!     .authorized(|request| request.cookie("session").is_some());
//!
//! let request = Request::new("GET", "/chsk?client-id=1c1b&csrf-token=t0k")
//!     .with_header("Origin", "https://app.example")
//!     .with_header("Cookie", "__Host-csrf-token=t0k; session=42");
//! let admitted = match admission.check(request) {
//!     Ok(incoming) => {
//!         // Here an adapter may wait for whoever knows whose session 42 is.
//!         incoming.accept(Identity::of("ada"))
//!     }
//!     Err(refusal) => panic!("{} {}", refusal.status, refusal.body),
//! };
//! assert_eq!(admitted.client_id.as_deref(), Some("1c1b"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod address;
mod csrf;
mod gate;
mod identity;
mod origin;
mod refusal;
mod request;

pub use csrf::{CsrfCheck, CsrfReference, CsrfToken, CsrfTokenError};
pub use gate::{Gate, GateLimits, Pass};
pub use identity::{Identity, IdentityDue, IdentityTimer};
pub use origin::{OriginError, Origins};
pub use refusal::{Refusal, RefusalReason};
pub use request::Request;

use alloc::sync::Arc;
use core::fmt;

use sente_edn::Value;
use smol_str::SmolStr;

use crate::connection::{Accept, keyword};

/// The rules by which requests are let in. Cloning shares the hooks.
///
/// | Sente's option | here | default |
/// | --- | --- | --- |
/// | `:reject-fn` | [`reject`](Self::reject) | rejects nothing |
/// | `:csrf-token-fn` | [`new`](Self::new); [`default`](Self::default) | refuses everything |
/// | `:bad-csrf-fn` | [`on_bad_csrf`](Self::on_bad_csrf) | 403 `Bad CSRF token` |
/// | `:allowed-origins` | [`origins`](Self::origins) | all |
/// | `:bad-origin-fn` | [`on_bad_origin`](Self::on_bad_origin) | 403 `Unauthorized origin` |
/// | `:authorized?-fn` | [`authorized`](Self::authorized) | everybody is |
/// | `:unauthorized-fn` | [`on_unauthorized`](Self::on_unauthorized) | 401 `Unauthorized request` |
/// | `:user-id-fn` | [`user_id`](Self::user_id) | nobody is known |
/// | `:handshake-data-fn` | [`handshake_data`](Self::handshake_data) | nil |
///
/// `:?unauthorized-fn`, which Sente deprecates, is not there: `reject` does what it did.
#[derive(Clone, Debug)]
pub struct Admission {
    reject: Option<Hook<Option<Refusal>>>,
    csrf: CsrfCheck,
    on_bad_csrf: Option<Hook<Refusal>>,
    origins: Origins,
    on_bad_origin: Option<Hook<Refusal>>,
    authorized: Option<Hook<bool>>,
    on_unauthorized: Option<Hook<Refusal>>,
    client_id_optional: bool,
    user_id: Option<Hook<Option<Value>>>,
    handshake_data: Option<Hook<Value>>,
}

impl Admission {
    /// Rules with this check of the CSRF token, that allow everything else.
    #[must_use]
    pub const fn new(csrf: CsrfCheck) -> Self {
        Self {
            reject: None,
            csrf,
            on_bad_csrf: None,
            origins: Origins::all(),
            on_bad_origin: None,
            authorized: None,
            on_unauthorized: None,
            client_id_optional: false,
            user_id: None,
            handshake_data: None,
        }
    }

    /// Asked first: a refusal is the response, as it is, headers included.
    #[must_use]
    pub fn reject(
        mut self,
        hook: impl Fn(&Request) -> Option<Refusal> + Send + Sync + 'static,
    ) -> Self {
        self.reject = Some(Hook::new(hook));
        self
    }

    /// The response where the CSRF token is missing or wrong.
    #[must_use]
    pub fn on_bad_csrf(
        mut self,
        hook: impl Fn(&Request) -> Refusal + Send + Sync + 'static,
    ) -> Self {
        self.on_bad_csrf = Some(Hook::new(hook));
        self
    }

    /// The origins that are allowed. Default [`Origins::all`].
    #[must_use]
    pub fn origins(mut self, origins: Origins) -> Self {
        self.origins = origins;
        self
    }

    /// The response where the origin is not allowed.
    #[must_use]
    pub fn on_bad_origin(
        mut self,
        hook: impl Fn(&Request) -> Refusal + Send + Sync + 'static,
    ) -> Self {
        self.on_bad_origin = Some(Hook::new(hook));
        self
    }

    /// Whether a request is authorized, as far as that can be said at once. What takes time is asked
    /// of the [`Incoming`].
    #[must_use]
    pub fn authorized(mut self, hook: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Self {
        self.authorized = Some(Hook::new(hook));
        self
    }

    /// The response where it is not.
    #[must_use]
    pub fn on_unauthorized(
        mut self,
        hook: impl Fn(&Request) -> Refusal + Send + Sync + 'static,
    ) -> Self {
        self.on_unauthorized = Some(Hook::new(hook));
        self
    }

    /// Lets requests without a client id in. Sente's clients always send one and need one for Ajax;
    /// sente-lite's send none.
    #[must_use]
    pub const fn client_id_optional(mut self) -> Self {
        self.client_id_optional = true;
        self
    }

    /// Who is connecting, for [`admit`](Self::admit) and [`identify`](Self::identify). `None` for
    /// nobody known.
    #[must_use]
    pub fn user_id(
        mut self,
        hook: impl Fn(&Request) -> Option<Value> + Send + Sync + 'static,
    ) -> Self {
        self.user_id = Some(Hook::new(hook));
        self
    }

    /// What the handshake tells the client, for [`admit`](Self::admit) and
    /// [`identify`](Self::identify).
    #[must_use]
    pub fn handshake_data(
        mut self,
        hook: impl Fn(&Request) -> Value + Send + Sync + 'static,
    ) -> Self {
        self.handshake_data = Some(Hook::new(hook));
        self
    }

    /// Applies the checks.
    ///
    /// # Errors
    /// The [`Refusal`] to answer with. Of several reasons it is the first in the order of the checks.
    pub fn check(&self, request: Request) -> Result<Incoming, Refusal> {
        if let Some(mut refusal) = self.reject.as_ref().and_then(|hook| hook.call(&request)) {
            refusal.reason = RefusalReason::Rejected;
            return Err(refusal);
        }
        if !self.csrf.passes(&request) {
            let standard = (RefusalReason::BadCsrfToken, 403, "Bad CSRF token");
            return Err(refuse(self.on_bad_csrf.as_ref(), &request, standard));
        }
        if !self.origins.allow(&request) {
            let standard = (RefusalReason::BadOrigin, 403, "Unauthorized origin");
            return Err(refuse(self.on_bad_origin.as_ref(), &request, standard));
        }
        if self
            .authorized
            .as_ref()
            .is_some_and(|hook| !hook.call(&request))
        {
            let standard = (RefusalReason::Unauthorized, 401, "Unauthorized request");
            return Err(refuse(self.on_unauthorized.as_ref(), &request, standard));
        }
        let client_id = request.client_id();
        let missing = client_id.is_none();
        if missing && (!self.client_id_optional || request.has_param("client-id")) {
            let told = "The parameter client-id is missing, blank, too long or given twice";
            return Err(Refusal::because(RefusalReason::BadClientId, 400, told));
        }
        Ok(Incoming { request, client_id })
    }

    /// The identity that `user_id` and `handshake_data` give a request that passed.
    #[must_use]
    pub fn identify(&self, incoming: &Incoming) -> Identity {
        let request = &incoming.request;
        let user = self.user_id.as_ref().and_then(|hook| hook.call(request));
        let data = self.handshake_data.as_ref().map(|hook| hook.call(request));
        Identity {
            user,
            data: data.unwrap_or(Value::Nil),
            expires: None,
        }
    }

    /// Checks and identifies in one step, where nothing has to be waited for.
    ///
    /// # Errors
    /// As for [`check`](Self::check).
    pub fn admit(&self, request: Request) -> Result<Admitted, Refusal> {
        let incoming = self.check(request)?;
        let identity = self.identify(&incoming);
        Ok(incoming.accept(identity))
    }

    /// The check of the CSRF token, for one's own endpoints.
    #[must_use]
    pub const fn csrf(&self) -> &CsrfCheck {
        &self.csrf
    }
}

/// Refuses everything for want of a CSRF token, as Sente's server does unless it is told where the
/// token is: say which check is meant with [`Admission::new`].
impl Default for Admission {
    fn default() -> Self {
        Self::new(CsrfCheck::missing())
    }
}

/// A request that passed the checks and waits for the application's word.
#[derive(Clone, Debug)]
#[must_use = "a request is to be answered: accept or refuse it"]
pub struct Incoming {
    request: Request,
    client_id: Option<SmolStr>,
}

impl Incoming {
    /// The request.
    #[must_use]
    pub const fn request(&self) -> &Request {
        &self.request
    }

    /// The label the client gave itself. It proves nothing.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// Lets it in.
    pub fn accept(self, identity: Identity) -> Admitted {
        Admitted {
            request: self.request,
            client_id: self.client_id,
            identity,
        }
    }

    /// Refuses it with this HTTP status, and a reason that reaches the client.
    pub fn refuse(self, status: u16, reason: &str) -> Refusal {
        Refusal::new(status, reason)
    }
}

/// A request that was let in.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[must_use = "whoever was let in waits for a connection"]
pub struct Admitted {
    /// The request.
    pub request: Request,
    /// The label the client gave itself. It proves nothing.
    pub client_id: Option<SmolStr>,
    /// Who it is.
    pub identity: Identity,
}

impl Admitted {
    /// The handshake of a connection for this request: the user id, or `:sente/nil-uid` where nobody
    /// is known, the handshake data, and the extensions the client offered.
    ///
    /// The CSRF token that sente-lite's handshake has room for is the application's to put in:
    /// whoever connects can read it there.
    #[must_use]
    pub fn handshake(&self) -> Accept {
        let user = self.identity.user.clone();
        let mut accept = Accept::new(user.unwrap_or_else(|| keyword("sente/nil-uid")));
        accept.data = self.identity.data.clone();
        accept.offered = self
            .request
            .param("sente-ext")
            .and_then(|offer| offer.parse().ok());
        accept
    }
}

fn refuse(
    hook: Option<&Hook<Refusal>>,
    request: &Request,
    (reason, status, body): (RefusalReason, u16, &str),
) -> Refusal {
    match hook {
        None => Refusal::because(reason, status, body),
        Some(hook) => Refusal {
            reason,
            ..hook.call(request)
        },
    }
}

/// An application's function of a request.
struct Hook<T>(Arc<dyn Fn(&Request) -> T + Send + Sync>);

impl<T> Hook<T> {
    fn new(function: impl Fn(&Request) -> T + Send + Sync + 'static) -> Self {
        Self(Arc::new(function))
    }

    fn call(&self, request: &Request) -> T {
        (self.0)(request)
    }
}

impl<T> Clone for Hook<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for Hook<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fn(&Request)")
    }
}
