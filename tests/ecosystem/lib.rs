//! Libraries that are generic over tokio's I/O traits, on the sockets, tasks and timers of ringway, with no runtime of
//! tokio's anywhere: see `tests/`. Here is what these tests have in common.
//!
//! A package of its own, because these libraries bring many others.

#![forbid(unsafe_code)]

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use ringway::hyper::Executor;
use ringway::io::{AsyncRead, AsyncWrite};
use ringway::net::{TcpListener, TcpStream};

/// No test takes this long; one that does hangs.
pub const WATCHDOG: Duration = Duration::from_secs(60);

/// What `body` returns, in time.
///
/// # Panics
///
/// If it hangs.
pub async fn within<R>(body: impl Future<Output = R>) -> R {
    let output = ringway::time::timeout(WATCHDOG, body).await;
    output.expect("it hangs")
}

/// The two ends of a TCP connection.
///
/// # Panics
///
/// If there is none to be had.
pub async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("an address");
    let client = TcpStream::connect(address).await.expect("a connection");
    let (server, _) = listener.accept().await.expect("a connection");
    (client, server)
}

/// A client of HTTP/1 over `stream`, whose connection is a task.
///
/// # Panics
///
/// If the handshake fails.
pub async fn http1<I>(stream: I) -> http1::SendRequest<Full<Bytes>>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let shaken = http1::handshake(TokioIo::new(stream)).await;
    let (client, connection) = shaken.expect("a handshake");
    ringway::spawn(connection);
    client
}

/// A client of HTTP/2 over `stream`, whose connection is a task.
///
/// # Panics
///
/// If the handshake fails.
pub async fn http2<I>(stream: I) -> http2::SendRequest<Full<Bytes>>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let builder = http2::Builder::new(Executor);
    let shaken = builder.handshake(TokioIo::new(stream)).await;
    let (client, connection) = shaken.expect("a handshake");
    ringway::spawn(connection);
    client
}

/// A request for `path`.
///
/// # Panics
///
/// If `path` is none.
pub fn get(path: &str) -> Request<Full<Bytes>> {
    let request = Request::get(path).header("host", "test");
    request.body(Full::default()).expect("a request")
}

/// The text of a response that is a success.
///
/// # Panics
///
/// If it is not, or breaks off.
pub async fn text(response: Response<Incoming>) -> String {
    assert_eq!(response.status(), StatusCode::OK);
    let body = response.into_body().collect().await.expect("a body");
    String::from_utf8(body.to_bytes().to_vec()).expect("text")
}
