//! UDP.

mod options;
mod peek;
mod socket;

pub use socket::UdpSocket;
