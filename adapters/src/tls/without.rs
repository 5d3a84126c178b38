//! What stands in for TLS without the feature `tls`: that there is none.

use std::io;

use crate::link::Link;

/// Nobody can make one.
pub(crate) enum ClientTls {}

pub(crate) async fn connect(
    _: Box<dyn Link>,
    _: &str,
    _: Option<&ClientTls>,
) -> io::Result<Box<dyn Link>> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "TLS is not built in: it needs the feature `tls`",
    ))
}
