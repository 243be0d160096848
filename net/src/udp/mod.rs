//! UDP.

mod batch;
mod options;
mod peek;
mod socket;

pub use batch::{Datagram, Received, RecvBatch};
pub use socket::UdpSocket;
