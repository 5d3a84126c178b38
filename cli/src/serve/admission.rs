//! Who is let in, as the configuration says it.

use std::sync::{Arc, PoisonError, RwLock};

use sente_core::admission::{
    Admission, CsrfCheck, CsrfToken, GateLimits, OriginError, Refusal, Request,
};
use subtle::ConstantTimeEq;

use super::config::{Csrf, Loaded, Pace, Secret};

/// The rules for requests; `generated` is the token that this start made.
pub(super) fn rules(loaded: &Loaded, generated: &CsrfToken) -> Result<Admission, OriginError> {
    let admission = &loaded.config.admission;
    let csrf = match csrf_token(loaded, generated) {
        Some(token) => CsrfCheck::token(token),
        None => CsrfCheck::skip(),
    };
    let mut rules = Admission::new(csrf).origins(admission.origins.to_rule()?);
    if let Some(token) = loaded.auth_token.clone() {
        let token = Arc::new(token);
        rules = rules
            .authorized(move |request| shows(request, &token))
            .on_unauthorized(|_| {
                Refusal::new(
                    401,
                    "a token is asked for, as `Authorization: Bearer TOKEN`",
                )
                .with_header("WWW-Authenticate", "Bearer")
            });
    }
    Ok(rules)
}

/// The CSRF token that is asked for, if one is.
fn csrf_token(loaded: &Loaded, generated: &CsrfToken) -> Option<CsrfToken> {
    match &loaded.config.admission.csrf {
        Csrf::Off => None,
        Csrf::Generated => Some(generated.clone()),
        // A token that does not fit was refused with the configuration.
        Csrf::Token(token) => {
            Some(CsrfToken::new(token.reveal()).unwrap_or_else(|_| generated.clone()))
        }
    }
}

/// How many may be connected.
pub(super) fn gate(loaded: &Loaded) -> GateLimits {
    let admission = &loaded.config.admission;
    let mut limits = GateLimits::default();
    limits.max_connections = admission.max_connections.value().map(|count| count.0);
    limits.max_per_address = admission.max_per_address.value().map(|count| count.0);
    limits.max_per_user = admission.max_per_user.value().map(|count| count.0);
    limits.connect_rate = admission.connect_rate.value().map(Pace::to_rate);
    limits
}

/// Whether a request shows the token: in its header, or, as browsers cannot set one for a
/// WebSocket, as a parameter.
fn shows(request: &Request, token: &Secret) -> bool {
    let parameter = request.param("auth-token");
    shows_token(request.header("authorization"), parameter.as_deref(), token)
}

/// The same of what stands there. How long that takes says nothing about where they differ.
pub(super) fn shows_token(header: Option<&str>, parameter: Option<&str>, token: &Secret) -> bool {
    let header = header.and_then(|value| {
        let (scheme, shown) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| shown.trim())
    });
    let shown = header.or(parameter);
    shown.is_some_and(|shown| shown.as_bytes().ct_eq(token.reveal().as_bytes()).into())
}

/// The tokens in force, for what is not let in by the rules.
#[derive(Clone, Debug)]
pub(super) struct Tokens(Arc<RwLock<(Option<Secret>, Option<CsrfToken>)>>);

impl Tokens {
    pub(super) fn new(loaded: &Loaded, generated: &CsrfToken) -> Self {
        let tokens = (loaded.auth_token.clone(), csrf_token(loaded, generated));
        Self(Arc::new(RwLock::new(tokens)))
    }

    pub(super) fn set(&self, loaded: &Loaded, generated: &CsrfToken) {
        let tokens = (loaded.auth_token.clone(), csrf_token(loaded, generated));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = tokens;
    }

    /// The token that clients have to show.
    pub(super) fn auth(&self) -> Option<Secret> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .clone()
    }

    /// The check of the CSRF token.
    pub(super) fn csrf(&self) -> CsrfCheck {
        let tokens = self.0.read().unwrap_or_else(PoisonError::into_inner);
        tokens
            .1
            .clone()
            .map_or_else(CsrfCheck::skip, CsrfCheck::token)
    }
}

#[cfg(test)]
mod tests {
    use sente_core::admission::Request;

    use super::shows;
    use crate::serve::config::Secret;

    #[test]
    fn a_token_is_shown_in_the_header_or_as_a_parameter() {
        let token = Secret::new("s3cret").unwrap();
        let request = |target: &str| Request::new("GET", target);
        let bearer = |value: &str| request("/chsk").with_header("Authorization", value);
        assert!(shows(&bearer("Bearer s3cret"), &token));
        assert!(shows(&bearer("bearer  s3cret"), &token));
        assert!(shows(&request("/chsk?auth-token=s3cret"), &token));
        for wrong in [
            request("/chsk"),
            request("/chsk?auth-token=S3cret"),
            request("/chsk?auth-token=s3cret&auth-token=s3cret"),
            bearer("s3cret"),
            bearer("Bearer"),
            bearer("Basic s3cret"),
            bearer("Bearer s3cret2"),
        ] {
            assert!(!shows(&wrong, &token), "{wrong:?}");
        }
    }
}
