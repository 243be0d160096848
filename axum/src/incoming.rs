//! What makes a service of a connection: [`IncomingStream`] is what it is asked with, and axum's own types answer.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::handler::HandlerService;
use axum::routing::MethodRouter;
use ringway_net::unix;
use tower_service::Service;

use crate::Listener;

/// A connection that [`serve`](crate::serve) has accepted, for which a service is wanted. As axum's own type of that name.
///
/// A type of yours that wants to know more of a connection than its address implements `Connected` for it:
///
/// ```
/// use axum::extract::ConnectInfo;
/// use axum::extract::connect_info::Connected;
/// use axum::{Router, routing::get};
/// use ringway_axum::{IncomingStream, serve};
/// use ringway_net::{UnixListener, unix::UCred};
///
/// #[derive(Clone, Debug)]
/// struct Peer {
///     credentials: UCred,
/// }
///
/// impl Connected<IncomingStream<'_, UnixListener>> for Peer {
///     fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
///         let credentials = stream.io().peer_cred().expect("a peer");
///         Peer { credentials }
///     }
/// }
///
/// async fn who(ConnectInfo(peer): ConnectInfo<Peer>) -> String {
///     peer.credentials.uid().to_string()
/// }
///
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # let path = std::env::temp_dir().join(format!("ringway-axum-{}", std::process::id()));
/// # runtime.block_on(async {
/// let router = Router::new().route("/", get(who));
/// let listener = UnixListener::bind(&path)?;
/// let service = router.into_make_service_with_connect_info::<Peer>();
/// let server = ringway_runtime::spawn(async { serve(listener, service).await });
/// # use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
/// # let mut client = ringway_net::UnixStream::connect(&path).await?;
/// # std::fs::remove_file(&path)?;
/// # client.write_all(b"GET / HTTP/1.1\r\nhost: example\r\nconnection: close\r\n\r\n").await?;
/// # let mut answer = String::new();
/// # client.read_to_string(&mut answer).await?;
/// # assert!(answer.ends_with(&client.peer_cred()?.uid().to_string()));
/// # server.abort();
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Debug)]
pub struct IncomingStream<'a, L>
where
    L: Listener,
{
    io: &'a L::Io,
    remote_addr: L::Addr,
}

impl<'a, L: Listener> IncomingStream<'a, L> {
    pub(crate) fn new(io: &'a L::Io, remote_addr: L::Addr) -> Self {
        Self { io, remote_addr }
    }

    /// The stream.
    pub fn io(&self) -> &L::Io {
        self.io
    }

    /// Who has connected.
    pub fn remote_addr(&self) -> &L::Addr {
        &self.remote_addr
    }
}

/// Of every listener that knows such addresses, `TapIo` and listeners of yours too.
impl<L> Connected<IncomingStream<'_, L>> for SocketAddr
where
    L: Listener<Addr = SocketAddr>,
{
    fn connect_info(stream: IncomingStream<'_, L>) -> Self {
        stream.remote_addr
    }
}

/// Of every listener that knows such addresses.
impl<L> Connected<IncomingStream<'_, L>> for unix::SocketAddr
where
    L: Listener<Addr = unix::SocketAddr>,
{
    fn connect_info(stream: IncomingStream<'_, L>) -> Self {
        stream.remote_addr
    }
}

/// axum's makers of routes: each connection has a copy with its state, so that routes are made here and not for each
/// request.
macro_rules! routes {
    ($routes:ty) => {
        impl<L: Listener> Service<IncomingStream<'_, L>> for $routes {
            type Response = Self;
            type Error = Infallible;
            type Future = Ready<Result<Self, Infallible>>;

            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
                Poll::Ready(Ok(()))
            }

            fn call(&mut self, _: IncomingStream<'_, L>) -> Self::Future {
                ready(Ok(self.clone().with_state(())))
            }
        }
    };
}

routes!(Router<()>);
routes!(MethodRouter<()>);

impl<H, T, S, L> Service<IncomingStream<'_, L>> for HandlerService<H, T, S>
where
    H: Clone,
    S: Clone,
    L: Listener,
{
    type Response = Self;
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: IncomingStream<'_, L>) -> Self::Future {
        ready(Ok(self.clone()))
    }
}
