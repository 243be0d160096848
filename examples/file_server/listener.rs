//! Where connections come from: TCP, or a Unix socket that was handed over, behind which a proxy on this machine is.
//!
//! What is true of TCP alone ends here and in `transport`: addresses of clients, bounds and options of its sockets.

use std::fmt::{self, Display, Formatter};
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use ringway::net::{TcpListener, UnixListener, unix};
use socket2::SockRef;

use crate::transport::Transport;

/// A socket that listens for clients.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        /// Bytes that the kernel may hold for a client that does not read, if they are fewer than it would.
        unsent_bytes: Option<usize>,
    },
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Address(SocketAddr),
    /// Somebody behind a Unix socket, whose clients have no names.
    Local,
}

impl Listener {
    /// Has the kernel hold no more than `bytes` that cannot be sent yet, for each connection to come.
    pub(crate) fn bound_unsent(&mut self, bytes: u32) -> io::Result<()> {
        match self {
            // The connections that are accepted inherit it.
            Listener::Tcp(listener) => SockRef::from(&*listener).set_tcp_notsent_lowat(bytes),
            // They do not inherit this, and have what the listener has.
            Listener::Unix {
                listener,
                unsent_bytes,
            } => {
                let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
                let usual = SockRef::from(&*listener).send_buffer_size()?;
                *unsent_bytes = (bytes < usual).then_some(bytes);
                Ok(())
            }
        }
    }

    /// Where it listens, for people.
    pub(crate) fn place(&self, with_tls: bool) -> io::Result<String> {
        let listener = match self {
            Listener::Tcp(listener) => listener,
            Listener::Unix { listener, .. } => return Ok(unix_place(&listener.local_addr()?)),
        };
        let address = listener.local_addr()?;
        let scheme = if with_tls { "https" } else { "http" };
        let everywhere = match address.ip().is_unspecified() {
            true => " on every network of this machine",
            false => "",
        };
        Ok(format!("{scheme}://{address}/{everywhere}"))
    }

    /// Accepts a connection, as [`TcpListener::poll_accept`] does.
    pub(crate) fn poll_accept(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<(Transport, Peer)>> {
        Poll::Ready(match self {
            Listener::Tcp(listener) => {
                let (stream, peer) = ready!(listener.poll_accept(context))?;
                Ok((Transport::Plain(stream), Peer::Address(peer)))
            }
            Listener::Unix {
                listener,
                unsent_bytes,
            } => {
                let (stream, _) = ready!(listener.poll_accept(context))?;
                if let &Some(bytes) = unsent_bytes {
                    // The kernel doubles it, for what it keeps beside the bytes.
                    SockRef::from(&stream).set_send_buffer_size(bytes)?;
                }
                Ok((Transport::Unix(stream), Peer::Local))
            }
        })
    }
}

fn unix_place(address: &unix::SocketAddr) -> String {
    match (address.as_pathname(), address.as_abstract_name()) {
        (Some(path), _) => format!("unix:{}", path.display()),
        (None, Some(name)) => format!("unix:@{}", name.escape_ascii()),
        (None, None) => "unix:".to_owned(),
    }
}

impl Display for Peer {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Address(address) => address.fmt(formatter),
            Peer::Local => formatter.write_str("unix:"),
        }
    }
}
