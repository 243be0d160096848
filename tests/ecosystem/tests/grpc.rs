//! tonic without a runtime of tokio's: its services as routes of `ringway::axum::serve`, its channel with a connector and an
//! executor of ours.

#[path = "../../support/grpc.rs"]
mod grpc;

use std::io;
use std::time::Duration;

use grpc::{Caller, Words};
use hyper_util::rt::TokioIo;
use ringway::axum::serve;
use ringway::hyper::Executor;
use ringway::io::{AsyncRead, AsyncWrite};
use ringway::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use ringway::time::timeout;
use ringway_ecosystem_tests::within;
use tonic::Request;
use tonic::codegen::http::Uri;
use tonic::service::Routes;
use tonic::transport::Endpoint;
use tower::service_fn;

/// A client over whatever `connect` gives.
async fn caller<C, F, I>(connect: C) -> Caller
where
    C: Fn() -> F + Clone + Send + 'static,
    F: Future<Output = io::Result<I>> + Send + 'static,
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connector = service_fn(move |_: Uri| {
        let connecting = connect();
        async { connecting.await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_static("http://test").executor(Executor);
    let channel = endpoint.connect_with_connector(connector).await;
    Caller::new(channel.expect("a connection"))
}

fn routes() -> axum::Router {
    Routes::new(Words).prepare().into_axum_router()
}

/// Mutant: `ringway_hyper::Executor` drops what it is given.
#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_method_is_called_over_tcp() {
    within(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = ringway::spawn(serve(listener, routes()).into_future());
        caller(move || TcpStream::connect(address))
            .await
            .call_everything()
            .await;
        server.abort();
    })
    .await;
}

/// Mutant: a write for which there is no room waits for nothing (`Duplex`).
#[ringway::test]
async fn each_kind_of_method_is_called_over_unix_sockets() {
    within(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let server = ringway::spawn(serve(listener, routes()).into_future());
        caller(move || UnixStream::connect(path.clone()))
            .await
            .call_everything()
            .await;
        server.abort();
    })
    .await;
}

/// A call has a timeout of ours around it. (tonic's own, `Request::set_timeout`, asks tokio's clock.)
#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_dropped_leaves_its_connection_to_others() {
    within(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = ringway::spawn(serve(listener, routes()).into_future());
        let mut caller = caller(move || TcpStream::connect(address)).await;
        for _ in 0..10 {
            let waiting = caller.echo(Request::new("wait".to_owned()));
            let late = timeout(Duration::from_millis(5), waiting).await;
            late.expect_err("nobody answers that");
        }
        let answer = caller.echo(Request::new("hello".to_owned())).await;
        assert_eq!(answer.unwrap(), "hello");
        server.abort();
    })
    .await;
}
