//! The example `dns_gateway`, seen from the wire.
//!
//! Each test starts the built example on a free port and speaks to it through the sockets of std; the
//! upstream is a thread of the test that replies as the test wants it. Nothing here depends on ringway
//! but the gateway itself.

mod answers;
mod lifecycle;
mod packets;
mod support;
mod tcp;
mod upstream;
