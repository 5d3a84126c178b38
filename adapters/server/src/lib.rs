//! A server for Sente-style events on tokio: the [`sente_core::Hub`] on real sockets.
