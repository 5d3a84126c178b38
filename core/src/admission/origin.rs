//! From which web pages a browser may connect.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeSet;
use alloc::string::String;

use thiserror::Error;

use super::Request;

/// The origins that are allowed.
///
/// A browser names the page's origin in `Origin`, and no page can change it; programs that are no
/// browsers name any or none. So this keeps other people's pages from using a visitor's cookies, and
/// nothing else.
///
/// ```
/// use sente_core::admission::{Origins, Request};
///
/// let origins = Origins::only(["https://app.example"])?;
/// let from = |origin| Request::new("GET", "/chsk").with_header("Origin", origin);
/// assert!(origins.allow(&from("https://app.example")));
/// assert!(!origins.allow(&from("https://app.example.evil")));
/// # Ok::<(), sente_core::admission::OriginError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origins {
    /// `None` for all.
    only: Option<BTreeSet<String>>,
    null: bool,
}

impl Origins {
    /// Every origin, and none at all: Sente's `:all`.
    #[must_use]
    pub const fn all() -> Self {
        Self {
            only: None,
            null: false,
        }
    }

    /// These only, each as a browser writes it: `https://app.example`, `http://localhost:8080`.
    ///
    /// # Errors
    /// [`OriginError`] for a text that no browser would ever send, and that so would allow nobody.
    pub fn only<'a>(origins: impl IntoIterator<Item = &'a str>) -> Result<Self, OriginError> {
        let mut only = BTreeSet::new();
        for origin in origins {
            check(origin).map_err(|problem| OriginError {
                origin: origin.to_owned(),
                problem,
            })?;
            only.insert(origin.to_owned());
        }
        Ok(Self {
            only: Some(only),
            null: false,
        })
    }

    /// These and `Origin: null`, which every sandboxed frame, `data:` URL and local file sends: any
    /// page can put itself behind it.
    #[must_use]
    pub fn dangerously_allow_null(mut self) -> Self {
        self.null = true;
        self
    }

    /// Whether a request comes from an allowed origin.
    ///
    /// `Origin` has to be one of them, letter by letter. Without `Origin`, `Referer` has to begin
    /// with one of them and a slash; with neither a request comes from nowhere, and is not allowed.
    #[must_use]
    pub fn allow(&self, request: &Request) -> bool {
        let Some(only) = &self.only else {
            return true;
        };
        if request.has_header("origin") {
            return match request.header("origin") {
                None => false,
                Some("null") => self.null,
                Some(origin) => only.contains(origin),
            };
        }
        let Some(page) = request.header("referer") else {
            return false;
        };
        // The origin of the page ends at its third slash.
        let authority = page.find("://").and_then(|at| at.checked_add(3));
        let end = authority.and_then(|at| page.get(at..)?.find('/')?.checked_add(at));
        end.and_then(|end| page.get(..end))
            .is_some_and(|origin| only.contains(origin))
    }
}

/// An allowed origin as it is written that no browser ever sends: the caller's mistake.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{origin:?} would allow nobody: {problem}")]
#[non_exhaustive]
pub struct OriginError {
    /// As it was given.
    pub origin: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

fn check(origin: &str) -> Result<(), &'static str> {
    if origin == "null" {
        return Err("use dangerously_allow_null");
    }
    let Some((scheme, host)) = origin.split_once("://") else {
        return Err("write it as scheme://host or scheme://host:port");
    };
    if scheme.is_empty() || host.is_empty() {
        return Err("write it as scheme://host or scheme://host:port");
    }
    if host.contains(['/', '?', '#', '@']) {
        return Err("an origin ends with its host or port, without a slash");
    }
    if origin.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err("browsers write origins in lower case");
    }
    if !origin.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("browsers write hosts in visible ascii, others as xn--");
    }
    if (scheme == "https" && host.ends_with(":443")) || (scheme == "http" && host.ends_with(":80"))
    {
        return Err("browsers leave the default port out");
    }
    Ok(())
}
