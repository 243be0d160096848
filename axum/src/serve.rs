//! The loop that accepts connections, and how it ends.

use std::convert::Infallible;
use std::fmt;
use std::future::{pending, poll_fn};
use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::Response;
use tower_service::Service;

use crate::connection::{House, converse};
use crate::{IncomingStream, Listener};

/// Serves what `listener` accepts with what `make_service` makes for each connection: a task for each.
///
/// As `axum::serve`, which it stands for: `make_service` is a `Router` or `MethodRouter` without missing state, a
/// handler's or a router's `into_make_service` or `into_make_service_with_connect_info`, or a service of your own that
/// takes an [`IncomingStream`] and gives a service for its requests. Both HTTP/1 and HTTP/2 are spoken (without TLS a client has to
/// begin with HTTP/2 by itself), with upgrades to WebSockets. As there, there are no timeouts and nothing to
/// configure: for those give `hyper_util::server::conn::auto::Builder` our `Executor` and `Timer`.
///
/// ```
/// use axum::Router;
/// use axum::routing::get;
/// use ringway_net::{TcpListener, TcpStream};
/// use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
///
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// let router = Router::new().route("/", get(async || "hello"));
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let address = listener.local_addr()?;
/// let server = ringway_runtime::spawn(async { ringway_axum::serve(listener, router).await });
///
/// let mut client = TcpStream::connect(address).await?;
/// client.write_all(b"GET / HTTP/1.1\r\nhost: example\r\nconnection: close\r\n\r\n").await?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer).await?;
/// assert!(answer.starts_with("HTTP/1.1 200 OK"));
/// assert!(answer.ends_with("hello"));
/// # server.abort();
/// # Ok(())
/// # })
/// # }
/// ```
///
/// # Errors
///
/// None: it never ends by itself. An accept that fails is tried again, at once where only one connection was the
/// matter, and otherwise after a second, or as soon as there are descriptors again; a line on standard error, or with the
/// feature `tracing` an event, tells of it once a second. What fails in a connection ends that connection.
///
/// # Panics
///
/// A handler's panic ends its connection. Awaited outside a runtime it panics.
///
/// # Cancel safety
///
/// When the future is dropped the listener is closed, and connections go on until they have answered the requests that
/// they have begun.
pub fn serve<L, M, S>(listener: L, make_service: M) -> Serve<L, M, S>
where
    L: Listener,
    M: for<'a> Service<IncomingStream<'a, L>, Error = Infallible, Response = S>,
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    Serve {
        listener,
        make_service,
        services: PhantomData,
    }
}

/// What [`serve`] returns: await it, or say first how it is to end.
#[must_use = "futures must be awaited or polled"]
pub struct Serve<L, M, S> {
    listener: L,
    make_service: M,
    services: PhantomData<fn() -> S>,
}

impl<L: Listener, M, S> Serve<L, M, S> {
    /// Ends when `signal` does: nothing more is accepted, connections answer the requests that they have begun and
    /// close, and the future is done when the last of them has.
    ///
    /// A connection takes as long as its request: put a timeout around what waits for the server if that is too long.
    ///
    /// ```
    /// use axum::Router;
    /// use axum::routing::get;
    /// use ringway_net::TcpListener;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// let router = Router::new().route("/", get(async || "hello"));
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    /// let server = ringway_runtime::spawn(async {
    ///     ringway_axum::serve(listener, router)
    ///         .with_graceful_shutdown(async { drop(stopped.await) })
    ///         .await
    /// });
    ///
    /// stop.send(()).expect("a server");
    /// server.await??;
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// None, as [`serve`]; `Ok` comes when all is done.
    ///
    /// # Panics
    ///
    /// With `signal`'s panic, which is polled in the same task.
    ///
    /// # Cancel safety
    ///
    /// As [`serve`]: without the future nobody waits for the connections, which end all the same.
    pub fn with_graceful_shutdown<F>(self, signal: F) -> WithGracefulShutdown<L, M, S, F>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        WithGracefulShutdown {
            serve: self,
            signal,
        }
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// Those of the listener's `local_addr`.
    pub fn local_addr(&self) -> io::Result<L::Addr> {
        self.listener.local_addr()
    }
}

impl<L, M, S> IntoFuture for Serve<L, M, S>
where
    L: Listener,
    L::Addr: fmt::Debug,
    M: for<'a> Service<IncomingStream<'a, L>, Error = Infallible, Response = S> + Send + 'static,
    for<'a> <M as Service<IncomingStream<'a, L>>>::Future: Send,
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Output = io::Result<()>;
    type IntoFuture = ServeFuture;

    fn into_future(self) -> ServeFuture {
        // Nobody ends it but who drops the future.
        self.with_graceful_shutdown(pending()).into_future()
    }
}

impl<L, M, S> fmt::Debug for Serve<L, M, S>
where
    L: fmt::Debug + 'static,
    M: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve")
            .field("listener", &self.listener)
            .field("make_service", &self.make_service)
            .finish()
    }
}

/// What [`Serve::with_graceful_shutdown`] returns.
#[must_use = "futures must be awaited or polled"]
pub struct WithGracefulShutdown<L, M, S, F> {
    serve: Serve<L, M, S>,
    signal: F,
}

impl<L: Listener, M, S, F> WithGracefulShutdown<L, M, S, F> {
    /// Where it listens.
    ///
    /// # Errors
    ///
    /// Those of the listener's `local_addr`.
    pub fn local_addr(&self) -> io::Result<L::Addr> {
        self.serve.local_addr()
    }
}

impl<L, M, S, F> IntoFuture for WithGracefulShutdown<L, M, S, F>
where
    L: Listener,
    L::Addr: fmt::Debug,
    M: for<'a> Service<IncomingStream<'a, L>, Error = Infallible, Response = S> + Send + 'static,
    for<'a> <M as Service<IncomingStream<'a, L>>>::Future: Send,
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    F: Future<Output = ()> + Send + 'static,
{
    type Output = io::Result<()>;
    type IntoFuture = ServeFuture;

    fn into_future(self) -> ServeFuture {
        let Self { serve, signal } = self;
        let Serve {
            listener,
            mut make_service,
            ..
        } = serve;
        ServeFuture(Box::pin(async move {
            let house = House::default();
            let closing = async {
                signal.await;
                house.close();
            };
            // Its end closes the listener.
            let accepting = async {
                let mut listener = listener;
                while let Some((io, remote_addr)) = house.unless_closed(listener.accept()).await {
                    ready(&mut make_service).await;
                    let stream = IncomingStream::new(&io, remote_addr);
                    let Ok(service) = make_service.call(stream).await;
                    ringway_runtime::spawn(converse(io, service, house.guest()));
                }
            };
            tokio::join!(accepting, closing);
            house.wait_until_empty().await;
            Ok(())
        }))
    }
}

/// Waits until `service` can be called.
async fn ready<S, R>(service: &mut S)
where
    S: Service<R, Error = Infallible>,
{
    let Ok(()) = poll_fn(|cx| service.poll_ready(cx)).await;
}

impl<L, M, S, F> fmt::Debug for WithGracefulShutdown<L, M, S, F>
where
    L: fmt::Debug + 'static,
    M: fmt::Debug,
    F: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithGracefulShutdown")
            .field("listener", &self.serve.listener)
            .field("make_service", &self.serve.make_service)
            .field("signal", &self.signal)
            .finish()
    }
}

/// A server that runs: what [`Serve`] and [`WithGracefulShutdown`] are when they are awaited.
#[must_use = "futures must be awaited or polled"]
pub struct ServeFuture(Pin<Box<dyn Future<Output = io::Result<()>> + Send>>);

impl Future for ServeFuture {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for ServeFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServeFuture").finish_non_exhaustive()
    }
}
