//! What hickory's resolver needs of a runtime: somebody who runs its tasks, sockets, and somebody who tells the time.
//!
//! Applications use it as `ringway::hickory`. [`Provider`] is what a resolver is built with; the other types are what it
//! gives to hickory.
//!
//! hickory asks by UDP, and by TCP where an answer does not fit, through these types alone. Its TLS, HTTPS and QUIC call
//! tokio's timers themselves, and need the runtime's `enable_tokio_compat`.

#![forbid(unsafe_code)]

mod clock;
mod provider;
mod sockets;
mod tasks;

pub use clock::Clock;
pub use provider::Provider;
pub use sockets::{TcpStream, UdpSocket};
pub use tasks::Tasks;
