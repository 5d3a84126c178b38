//! The endpoint as a router of axum.

use super::host::HttpHost;
use super::service::SenteService;
use axum::Router;
use axum::routing::any_service;

/// A router with `service` at `path`, Sente's `/chsk`, to be merged into one's own.
///
/// With axum's own `serve`, make the service with `into_make_service_with_connect_info::<SocketAddr>()`,
/// so that addresses are known; [`serve`](super::serve()) does without.
///
/// ```no_run
/// use axum::Router;
/// use axum::routing::get_service;
/// use sente_core::admission::{Admission, CsrfCheck, GateLimits};
/// use sente_server::http::{CsrfTokens, Door, HttpConfig, SenteService, router};
///
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let (door, _arrivals) = Door::new(Admission::new(CsrfCheck::cookie()), GateLimits::default());
/// let service = SenteService::new(door, HttpConfig::new()?);
/// let app: Router = Router::new()
///     .route("/csrf-token", get_service(CsrfTokens::cookie()))
///     .merge(router("/chsk", service));
/// # let _ = app;
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// Where `path` is none that axum takes: it begins with a slash.
pub fn router<H: HttpHost, S>(path: &str, service: SenteService<H>) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    Router::new().route(path, any_service(service))
}
