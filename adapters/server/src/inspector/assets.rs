//! The files of the inspector page, and how they are to be served.

use std::borrow::Cow;

/// What the page may load and do: its own files, and its link to the server it came from.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'";

/// Where the page says which endpoint it connects to, and where it gets a CSRF token for it.
const ENDPOINT: &str = r#"<meta name="sente-endpoint" content="/chsk">"#;
const TOKENS: &str = r#"<meta name="sente-csrf-tokens" content="">"#;
/// As which parameter a token is shown.
const PARAMETER: &str = r#"<meta name="sente-token-parameter" content="">"#;

/// A file of the page.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Asset {
    /// What it is.
    pub content_type: &'static str,
    /// The file.
    pub body: Cow<'static, [u8]>,
}

impl Asset {
    /// The headers to serve it with: its type, a strict Content-Security-Policy, and that it is
    /// asked for anew each time.
    #[must_use]
    pub const fn headers(&self) -> [(&'static str, &'static str); 6] {
        [
            ("content-type", self.content_type),
            ("content-security-policy", POLICY),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cache-control", "no-cache"),
        ]
    }
}

/// The client for browsers and Node: one ES module without dependencies.
#[must_use]
pub const fn sente_js() -> Asset {
    script(include_bytes!("../../assets/sente.js"))
}

/// The inspector page: files that are the same for all, but for where it connects to.
///
/// ```
/// use sente_server::inspector::InspectorPage;
///
/// let page = InspectorPage::new("/chsk");
/// let html = page.asset("").unwrap();
/// assert_eq!(html.content_type, "text/html; charset=utf-8");
/// assert!(page.asset("../Cargo.toml").is_none());
/// ```
#[derive(Clone, Debug)]
pub struct InspectorPage {
    endpoint: String,
    csrf_tokens: String,
    token_parameter: String,
}

impl InspectorPage {
    /// A page that connects to this endpoint of the server it came from: a path with perhaps a
    /// query, `/chsk` for most. It speaks Sente's dialect in EDN.
    #[must_use]
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            csrf_tokens: String::new(),
            token_parameter: String::new(),
        }
    }

    /// The path where the page is told its CSRF token, as by `CsrfTokens`. Default none: then
    /// whoever uses the page may type one in.
    #[must_use]
    pub fn csrf_tokens(mut self, path: impl Into<String>) -> Self {
        self.csrf_tokens = path.into();
        self
    }

    /// The parameter of the endpoint's URL in which the page shows the token that was typed in, or
    /// given behind the `#` of its own URL as `#token=…`. Default none: then it is the CSRF token.
    #[must_use]
    pub fn token_parameter(mut self, name: impl Into<String>) -> Self {
        self.token_parameter = name.into();
        self
    }

    /// The file of this name; that of the page itself is empty. The names in the page are relative
    /// to it, so that its path ends in a slash.
    #[must_use]
    pub fn asset(&self, name: &str) -> Option<Asset> {
        match name {
            "" => Some(self.html()),
            "inspector.css" => Some(Asset {
                content_type: "text/css; charset=utf-8",
                body: Cow::Borrowed(include_bytes!("../../assets/inspector.css")),
            }),
            "inspector.js" => Some(script(include_bytes!("../../assets/inspector.js"))),
            "sente.js" => Some(sente_js()),
            _ => None,
        }
    }

    fn html(&self) -> Asset {
        let meta = |name: &str, content: &str| {
            format!(r#"<meta name="{name}" content="{}">"#, escape(content))
        };
        let html = include_str!("../../assets/inspector.html")
            .replacen(ENDPOINT, &meta("sente-endpoint", &self.endpoint), 1)
            .replacen(TOKENS, &meta("sente-csrf-tokens", &self.csrf_tokens), 1)
            .replacen(
                PARAMETER,
                &meta("sente-token-parameter", &self.token_parameter),
                1,
            );
        Asset {
            content_type: "text/html; charset=utf-8",
            body: Cow::Owned(html.into_bytes()),
        }
    }
}

const fn script(body: &'static [u8]) -> Asset {
    Asset {
        content_type: "text/javascript; charset=utf-8",
        body: Cow::Borrowed(body),
    }
}

/// A text as the value of an attribute in double quotes.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('<', "&lt;")
}
