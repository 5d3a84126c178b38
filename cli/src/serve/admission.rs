//! Who is let in, as the configuration says it.

use std::io;
use std::sync::Arc;

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
pub(super) fn csrf_token(loaded: &Loaded, generated: &CsrfToken) -> Option<CsrfToken> {
    match &loaded.config.admission.csrf {
        Csrf::Off => None,
        Csrf::Generated => Some(generated.clone()),
        // A token that does not fit was refused with the configuration.
        Csrf::Token(token) => {
            Some(CsrfToken::new(token.reveal()).unwrap_or_else(|_| generated.clone()))
        }
    }
}

/// A token that nobody can guess.
///
/// # Errors
/// What the system says if it gives no random numbers.
pub(super) fn generate() -> io::Result<CsrfToken> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    Ok(CsrfToken::generate(&random))
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
/// WebSocket, as a parameter. How long that takes says nothing about where they differ.
fn shows(request: &Request, token: &Secret) -> bool {
    let header = request.header("authorization").and_then(|value| {
        let (scheme, shown) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| shown.trim())
    });
    let parameter = request.param("auth-token");
    let shown = match header {
        Some(shown) => Some(shown),
        None => parameter.as_deref(),
    };
    shown.is_some_and(|shown| shown.as_bytes().ct_eq(token.reveal().as_bytes()).into())
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
