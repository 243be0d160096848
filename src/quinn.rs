//! What quinn needs of a runtime, for QUIC. Not in tokio, whose part quinn has itself.
//!
//! Give [`Runtime`] to `quinn::Endpoint::new`, with a socket of the standard library, as
//! `Endpoint::new(EndpointConfig::default(), Some(server), UdpSocket::bind(address)?, Arc::new(ringway::quinn::Runtime))`.
//! Everything after that is quinn's: accept, connect, streams, datagrams.
//!
//! Take quinn with `default-features = false` and the cryptography of your choice, as `rustls-ring`: its feature
//! `runtime-tokio` is not needed.

#[doc(inline)]
pub use ringway_quinn::Runtime;
