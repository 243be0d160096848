//! What hickory's resolver needs of a runtime. Not in tokio, whose part hickory has itself.
//!
//! Give [`Provider`] to the resolver's builder: `Resolver::builder(Provider::new())?.build()?` asks the servers of the
//! machine's `/etc/resolv.conf`, `Resolver::builder_with_config(config, Provider::new())` those of a configuration; by UDP,
//! and by TCP where an answer is too long.
//!
//! Take hickory-resolver with `default-features = false` and, for the file, `system-config`: its feature `tokio` is not
//! needed. DNS over TLS, HTTPS and QUIC call tokio's timers themselves, and need a runtime with `enable_tokio_compat`.

#[doc(inline)]
pub use ringway_hickory::{Clock, Provider, Tasks, TcpStream, UdpSocket};
