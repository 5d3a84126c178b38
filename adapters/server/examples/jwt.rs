//! Clients that prove who they are by a JSON Web Token: who may come in, as whom, and until when.
//!
//! It serves on loopback until its input ends, and prints two tokens to try it with:
//!
//! ```console
//! $ cargo run -p sente-server --example jwt
//! ada, for 600 s:
//!   sente call --param token=... ws://127.0.0.1:.../chsk '[:test/whoami]'
//! bob, for 10 s:
//!   sente call --param token=... ws://127.0.0.1:.../chsk '[:test/whoami]'
//! a line with a name blocks that user, the end of the input ends it
//! ```

use std::collections::HashSet;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use sente_adapters::{ListenOptions, Listener, Router};
use sente_core::Instant;
use sente_core::admission::{Admission, CsrfCheck, Identity, Request};
use sente_server::{Sender, Server, ServerConfig};
use serde::{Deserialize, Serialize};

/// What a token says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    /// Whose it is.
    pub(crate) sub: String,
    /// When it ends, in seconds since 1970.
    pub(crate) exp: u64,
    /// Who made it.
    pub(crate) iss: String,
    /// For whom it was made.
    pub(crate) aud: String,
}

/// The rules by which tokens count.
pub(crate) struct Tokens {
    key: DecodingKey,
    rules: Validation,
    /// Those whose tokens do not count any more, whatever they say.
    blocked: Mutex<HashSet<String>>,
    /// What the server's clock begins at, in milliseconds since 1970.
    began: u64,
}

impl Tokens {
    /// Tokens signed with this secret, of 32 random bytes at least.
    pub(crate) fn new(secret: &[u8]) -> Self {
        // The one algorithm that counts. What the token's head says it was signed with is the
        // sender's to choose: `none`, or another one with a key that is public.
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_required_spec_claims(&["exp", "sub", "iss", "aud"]);
        rules.set_issuer(&[ISSUER]);
        rules.set_audience(&[AUDIENCE]);
        rules.validate_nbf = true;
        // The end is the end, here and on the server's timer: clocks that differ differ for all.
        rules.leeway = 0;
        Self {
            key: DecodingKey::from_secret(secret),
            rules,
            blocked: Mutex::default(),
            began: unix_millis(),
        }
    }

    /// Who shows a token with this request, and until when that counts.
    ///
    /// A browser cannot set a header for a WebSocket, so that its page puts the token into Sente's
    /// `:params`. An address is easily logged: such a token should end soon.
    pub(crate) fn identify(&self, request: &Request) -> Option<Identity> {
        let header = request.header("authorization");
        let header = header.and_then(|value| value.strip_prefix("Bearer "));
        let parameter = request.param("token");
        let token = header.or(parameter.as_deref())?;
        // Why a token does not count is for the log, and not for whoever tries one.
        let claims = decode::<Claims>(token, &self.key, &self.rules)
            .inspect_err(|error| eprintln!("a token does not count: {error}"))
            .ok()?
            .claims;
        let blocked = self.blocked.lock().unwrap_or_else(PoisonError::into_inner);
        if blocked.contains(&claims.sub) {
            return None;
        }
        // In the second in which it ends, the library lets it count.
        let end = claims.exp.saturating_mul(1000);
        let until = Instant::from_millis(end.saturating_sub(self.began));
        (unix_millis() < end).then(|| Identity::of(claims.sub).until(until))
    }

    /// Has no token of this user count any more.
    pub(crate) fn block(&self, user: &str) {
        let mut blocked = self.blocked.lock().unwrap_or_else(PoisonError::into_inner);
        blocked.insert(user.to_owned());
    }
}

/// A server for those who show a token that counts. Whoever is in is looked at again each `period`:
/// the server closes a connection when its token ends, and when the token does not count any more.
pub(crate) fn server(tokens: &Arc<Tokens>, period: Duration) -> Result<Server, Box<dyn Error>> {
    let mut config = ServerConfig::default();
    config.hub.unix_millis_at_epoch = tokens.began;
    config.recheck.every = Some(period);
    // No cookie says who is there, so that no page can use a visitor's.
    let rules = Admission::new(CsrfCheck::skip());
    let (admit, recheck) = (tokens.clone(), tokens.clone());
    let server = Server::builder()
        .config(config)
        .admission(rules)
        .admit(move |incoming| {
            let identity = admit.identify(incoming.request());
            async move {
                match identity {
                    Some(identity) => Ok(incoming.accept(identity)),
                    None => Err(incoming.refuse(401, "A token is asked for that counts")),
                }
            }
        })
        .recheck(move |sender: Sender| {
            let identity = sender
                .request()
                .and_then(|request| recheck.identify(request));
            async move { identity }
        })
        .router(Router::new().on("test/whoami", whoami)?)
        .build()?;
    Ok(server)
}

async fn whoami(sender: Sender) -> String {
    sender.user().map(ToString::to_string).unwrap_or_default()
}

/// A token of this user, that ends in so many seconds: what a login would answer with.
pub(crate) fn issue(secret: &[u8], user: &str, seconds: u64) -> Result<String, Box<dyn Error>> {
    let claims = Claims {
        sub: user.to_owned(),
        exp: (unix_millis() / 1000).saturating_add(seconds),
        iss: ISSUER.to_owned(),
        aud: AUDIENCE.to_owned(),
    };
    let key = EncodingKey::from_secret(secret);
    Ok(encode(&Header::new(Algorithm::HS256), &claims, &key)?)
}

/// Milliseconds since 1970.
pub(crate) fn unix_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// Who makes the tokens.
pub(crate) const ISSUER: &str = "https://login.example";
/// For whom.
pub(crate) const AUDIENCE: &str = "chat";

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example shows what it does")]
async fn main() -> Result<(), Box<dyn Error>> {
    // Two random halves; a server that runs for longer reads its secret from a file.
    let secret = [
        sente_adapters::fresh_csrf_token()?.as_str().to_owned(),
        sente_adapters::fresh_csrf_token()?.as_str().to_owned(),
    ]
    .concat();
    let tokens = Arc::new(Tokens::new(secret.as_bytes()));
    let server = server(&tokens, Duration::from_secs(30))?;
    let url = "ws://127.0.0.1:0/chsk".parse()?;
    let listening = server.serve(Listener::bind(&url, ListenOptions::default()).await?);
    for (user, seconds) in [("ada", 600), ("bob", 10)] {
        let token = issue(secret.as_bytes(), user, seconds)?;
        println!("{user}, for {seconds} s:");
        let url = listening.url();
        println!("  sente call --param token={token} {url} '[:test/whoami]'");
    }
    println!("a line with a name blocks that user, the end of the input ends it");
    let reading = tokio::task::spawn_blocking(move || {
        for user in std::io::stdin().lines().map_while(Result::ok) {
            tokens.block(user.trim());
        }
    });
    reading.await?;
    server.drain(Duration::from_secs(3)).await;
    Ok(())
}
