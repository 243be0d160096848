//! Sockets that share an address: one for each worker.

use std::io;
use std::net::SocketAddr;

use ringway_runtime::Handle;
use socket2::Socket;

use crate::addr::{ToSocketAddrs, no_address, resolve};

/// Binds as many sockets as the runtime has workers to the first of `address`'s addresses that can be had.
///
/// `bind` makes one. If the kernel chooses the port, it does so for the first, and the others take the same.
pub(crate) async fn bind_per_worker<A: ToSocketAddrs, T>(
    address: A,
    bind: fn(SocketAddr) -> io::Result<Socket>,
    make: fn(Socket) -> io::Result<T>,
) -> io::Result<Vec<T>> {
    let count = Handle::current().metrics().num_workers();
    let mut last_error = None;
    for address in resolve(address).await? {
        match bind_all(address, count, bind) {
            Ok(sockets) => return sockets.into_iter().map(make).collect(),
            Err(error) => last_error = Some(error),
        }
    }
    Err(last_error.unwrap_or_else(no_address))
}

fn bind_all(
    address: SocketAddr,
    count: usize,
    bind: fn(SocketAddr) -> io::Result<Socket>,
) -> io::Result<Vec<Socket>> {
    let first = bind(address)?;
    let bound = crate::op::inet_address(&first.local_addr()?)?;
    let mut sockets = vec![first];
    for _ in 1..count {
        sockets.push(bind(bound)?);
    }
    Ok(sockets)
}
