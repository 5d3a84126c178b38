//! TLS from files: whom a client trusts and who it is, and the certificate of a server. What is wrong
//! is said with the name of the file.

use sente_adapters::Url;

use crate::args::TlsArgs;
use crate::exit::Failure;

#[cfg(feature = "tls")]
use std::path::Path;

#[cfg(feature = "tls")]
use sente_adapters::tls::{ClientTls, ServerTls, TlsError};

/// How a client of this URL speaks TLS; `None` for the default, or where it speaks none.
///
/// # Errors
/// Usage: flags that do not fit the URL, or a file that is not what it should be.
#[cfg(feature = "tls")]
pub(crate) fn of_client(url: &Url, args: &TlsArgs) -> Result<Option<ClientTls>, Failure> {
    if !needed(url, args)? {
        return Ok(None);
    }
    let roots = match &args.ca {
        Some(path) => {
            let roots = read("--ca", path)?;
            // By itself first, so that what is wrong afterwards is not in this file.
            ClientTls::trusting(&roots).map_err(|error| wrong("--ca", path, &error))?;
            Some(roots)
        }
        None => None,
    };
    let tls = match (&roots, &args.cert, &args.key) {
        (None, Some(cert), Some(key)) => {
            let (chain, private) = (read("--cert", cert)?, read("--key", key)?);
            ClientTls::system_with_identity(&chain, &private)
                .map_err(|error| wrong_pair(("--cert", cert), ("--key", key), &error))?
        }
        (Some(roots), Some(cert), Some(key)) => {
            let (chain, private) = (read("--cert", cert)?, read("--key", key)?);
            ClientTls::with_identity(roots, &chain, &private)
                .map_err(|error| wrong_pair(("--cert", cert), ("--key", key), &error))?
        }
        (Some(roots), _, _) => ClientTls::trusting(roots).map_err(Failure::usage)?,
        (None, _, _) => ClientTls::system().map_err(Failure::usage)?,
    };
    let tls = match &args.server_name {
        Some(name) => tls
            .expecting(name)
            .map_err(|error| Failure::usage(format!("--server-name: {error}")))?,
        None => tls,
    };
    Ok(Some(tls))
}

/// The same where TLS is not built in: then no flag may ask for it.
#[cfg(not(feature = "tls"))]
pub(crate) fn of_client(url: &Url, args: &TlsArgs) -> Result<(), Failure> {
    match needed(url, args)? {
        false => Ok(()),
        true => Err(Failure::usage(
            "TLS is not built in: it needs the feature `tls`",
        )),
    }
}

/// Whether a flag says how TLS is to be spoken.
fn needed(url: &Url, args: &TlsArgs) -> Result<bool, Failure> {
    let flags = [
        ("--ca", args.ca.is_some()),
        ("--cert", args.cert.is_some()),
        ("--key", args.key.is_some()),
        ("--server-name", args.server_name.is_some()),
    ];
    let Some((flag, _)) = flags.into_iter().find(|(_, given)| *given) else {
        return Ok(false);
    };
    if !url.address.is_secure() {
        return Err(Failure::usage(format!(
            "{flag} is about TLS: it works with wss:// and tls:// URLs only, not with {url}"
        )));
    }
    Ok(true)
}

/// The certificate of a server, and whose clients it lets in.
///
/// # Errors
/// Usage: a file that is not what it should be.
#[cfg(feature = "tls")]
pub(crate) fn of_server(
    cert: &Path,
    key: &Path,
    client_ca: Option<&Path>,
) -> Result<ServerTls, Failure> {
    let pair = (("tls.cert", cert), ("tls.key", key));
    let (chain, private) = (read(pair.0.0, cert)?, read(pair.1.0, key)?);
    let own = ServerTls::new(&chain, &private);
    let own = own.map_err(|error| wrong_pair(pair.0, pair.1, &error))?;
    match client_ca {
        None => Ok(own),
        Some(path) => {
            let roots = read("tls.client-ca", path)?;
            ServerTls::for_clients_of(&roots, &chain, &private)
                .map_err(|error| wrong("tls.client-ca", path, &error))
        }
    }
}

#[cfg(feature = "tls")]
fn read(what: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| {
        let path = path.display();
        Failure::usage(format!("{what}: cannot read {path}: {error}"))
    })
}

#[cfg(feature = "tls")]
fn wrong(what: &str, path: &Path, error: &TlsError) -> Failure {
    Failure::usage(format!("{what}: {}: {error}", path.display()))
}

/// Says which of the two is wrong, or that they do not fit together.
#[cfg(feature = "tls")]
fn wrong_pair(cert: (&str, &Path), key: (&str, &Path), error: &TlsError) -> Failure {
    match error {
        TlsError::NoCertificate | TlsError::Pem(_) => wrong(cert.0, cert.1, error),
        TlsError::NoKey | TlsError::Key(_) => wrong(key.0, key.1, error),
        error => {
            let ((cert, chain), (key, private)) = (cert, key);
            let (chain, private) = (chain.display(), private.display());
            Failure::usage(format!(
                "{cert} {chain} and {key} {private} do not go together: {error}"
            ))
        }
    }
}

/// What to try where a peer was refused, or refused this one, for its certificate.
pub(crate) fn hint(message: &str) -> &'static str {
    let hints = [
        ("UnknownIssuer", "; --ca FILE says whom to trust instead"),
        (
            "not valid for name",
            "; --server-name NAME says what the server is called",
        ),
        (
            "CertificateRequired",
            ": the server asks for a certificate; --cert FILE and --key FILE show one",
        ),
        ("UnknownCA", ": the server does not trust this certificate"),
    ];
    let found = hints.iter().find(|(part, _)| message.contains(part));
    found.map_or("", |(_, hint)| *hint)
}
