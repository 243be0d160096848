//! What a resolver is built with.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use hickory_net::runtime::RuntimeProvider;
use ringway_net::TcpSocket;

use crate::{Clock, Tasks, TcpStream, UdpSocket};

/// How long a connection may take to be made if hickory does not say: as long as hickory has it on tokio.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The runtime that the resolver is used in: its tasks run on our workers, its sockets wait in their rings, and its
/// timeouts follow the runtime's clock, which a test may pause.
///
/// Make one for each resolver: the tasks of a resolver end with the last copy of its provider.
///
/// # Panics
///
/// hickory's calls, outside a runtime and in one without timers.
///
/// ```
/// use hickory_net::runtime::{DnsUdpSocket, RuntimeProvider};
/// use ringway_hickory::Provider;
///
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// let server = std::net::UdpSocket::bind("127.0.0.1:0")?;
/// let address = server.local_addr()?;
///
/// // What a resolver does first, `Resolver::builder_with_config(config, Provider::new())`:
/// let local = "127.0.0.1:0".parse().unwrap();
/// let socket = Provider::new().bind_udp(local, address).await?;
/// socket.send_to(b"a question", address).await?;
/// assert_eq!(server.recv(&mut [0; 64])?, 10);
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Provider {
    tasks: Tasks,
}

impl Provider {
    /// A provider whose tasks are those of no other.
    pub fn new() -> Provider {
        Provider::default()
    }
}

impl RuntimeProvider for Provider {
    type Handle = Tasks;
    type Timer = Clock;
    type Udp = UdpSocket;
    type Tcp = TcpStream;

    fn create_handle(&self) -> Tasks {
        self.tasks.clone()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        local: Option<SocketAddr>,
        timeout: Option<Duration>,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<TcpStream>>>> {
        let timeout = timeout.unwrap_or(CONNECT_TIMEOUT);
        Box::pin(async move {
            match ringway_timer::timeout(timeout, connect(server, local)).await {
                Ok(connected) => connected.map(TcpStream::new),
                Err(_) => Err(timed_out(server, timeout)),
            }
        })
    }

    fn bind_udp(
        &self,
        local: SocketAddr,
        _server: SocketAddr,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<UdpSocket>>>> {
        Box::pin(async move {
            let socket = ringway_net::UdpSocket::bind(local).await?;
            Ok(UdpSocket::new(socket))
        })
    }
}

async fn connect(
    server: SocketAddr,
    local: Option<SocketAddr>,
) -> io::Result<ringway_net::TcpStream> {
    let socket = match server {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    if let Some(local) = local {
        socket.bind(local)?;
    }
    // Questions are short, and an answer to one is waited for before the next is asked.
    socket.set_nodelay(true)?;
    socket.connect(server).await
}

fn timed_out(server: SocketAddr, timeout: Duration) -> io::Error {
    let text = format!("no connection to {server} within {timeout:?}");
    io::Error::new(io::ErrorKind::TimedOut, text)
}
