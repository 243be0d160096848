//! tonic's own server and channel, with a runtime of tokio's at the side of ours: over our sockets, and over tokio's.

#[path = "../../support/grpc.rs"]
mod grpc;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::TryStreamExt;
use grpc::{Caller, Words};
use hyper_util::rt::TokioIo;
use ringway::io::{AsyncRead, AsyncWrite, ReadBuf};
use ringway::net::{TcpListener, TcpStream};
use ringway::sync::oneshot;
use ringway::time::timeout;
use ringway_compat_tests::{LONG, runtime};
use tonic::codegen::http::Uri;
use tonic::transport::server::Connected;
use tonic::transport::{Endpoint, Server};
use tonic::{Code, Request};
use tower::service_fn;

/// A stream of ours, of which tonic wants to know who is at its other end.
struct Accepted(TcpStream);

impl Connected for Accepted {
    type ConnectInfo = Option<SocketAddr>;

    fn connect_info(&self) -> Option<SocketAddr> {
        self.0.peer_addr().ok()
    }
}

impl AsyncRead for Accepted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[test]
fn tonics_server_takes_our_incoming_connections_and_its_channel_ours() {
    let body = async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = ringway::spawn(async move {
            let incoming = listener.incoming().map_ok(Accepted);
            Server::builder()
                .timeout(LONG)
                .http2_keepalive_interval(Some(Duration::from_millis(5)))
                .add_service(Words)
                .serve_with_incoming_shutdown(incoming, async { stopped.await.unwrap() })
                .await
        });
        let connector =
            service_fn(
                move |_: Uri| async move { TcpStream::connect(address).await.map(TokioIo::new) },
            );
        let endpoint = Endpoint::from_static("http://test")
            .connect_timeout(LONG)
            .executor(ringway::hyper::Executor);
        let channel = endpoint.connect_with_connector(connector).await.unwrap();
        Caller::new(channel).call_everything().await;
        stop.send(()).unwrap();
        server.await.unwrap().unwrap();
    };
    runtime().block_on(async { timeout(LONG, body).await.expect("in time") });
}

#[test]
fn tonics_own_sockets_clocks_and_deadlines_work_as_they_are() {
    let body = async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        let serving = Server::builder()
            .add_service(Words)
            .serve_with_incoming(incoming);
        let server = ringway::spawn(serving);
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let mut caller = Caller::new(endpoint.connect().await.unwrap());
        caller.clone().call_everything().await;
        let mut request = Request::new("wait".to_owned());
        request.set_timeout(Duration::from_millis(20));
        let late = caller.echo(request).await.unwrap_err();
        assert!(
            matches!(late.code(), Code::Cancelled | Code::DeadlineExceeded),
            "{late:?}"
        );
        server.abort();
    };
    runtime().block_on(async { timeout(LONG, body).await.expect("in time") });
}
