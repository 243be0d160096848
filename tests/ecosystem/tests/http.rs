//! HTTP: hyper's servers and clients, an axum router, a tower of services, and h2 by itself.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Path;
use axum::routing;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use ringway::hyper::{Executor, Timer};
use ringway::io::{AsyncReadExt, AsyncWriteExt};
use ringway::net::{TcpListener, TcpStream};
use ringway_ecosystem_tests::{WATCHDOG, get, http1, http2, text, within};

/// How long a server waits for a header that does not come.
const HEADER_TIMEOUT: Duration = Duration::from_millis(50);

/// Sends the body back.
async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.expect("a body");
    Ok(Response::new(Full::new(body.to_bytes())))
}

/// A server for HTTP/1 and 2, each connection a task. Who does not send a header for so long is given up.
async fn serve(patience: Duration) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    ringway::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            ringway::spawn(async move {
                let mut builder = hyper_util::server::conn::auto::Builder::new(Executor);
                builder.http1().timer(Timer).header_read_timeout(patience);
                builder.http2().timer(Timer);
                // A connection that is given up is an error.
                let _ = builder
                    .serve_connection(TokioIo::new(stream), service_fn(echo))
                    .await;
            });
        }
    });
    Ok(address)
}

fn request(body: String) -> Request<Full<Bytes>> {
    let request = Request::post("/").header("host", "test");
    request
        .body(Full::new(Bytes::from(body)))
        .expect("a request")
}

#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn hyper_serves_requests_one_after_the_other() {
    within(async {
        let stream = TcpStream::connect(serve(WATCHDOG).await.unwrap())
            .await
            .unwrap();
        let io = TokioIo::new(stream);
        let (mut client, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        let connection = ringway::spawn(connection);
        for size in [0, 1, 100_000, 10] {
            let body = "x".repeat(size);
            client.ready().await.unwrap();
            let response = client.send_request(request(body.clone())).await.unwrap();
            assert_eq!(text(response).await, body);
        }
        drop(client);
        connection.await.unwrap().unwrap();
    })
    .await;
}

#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn hyper_serves_many_requests_at_once_over_one_connection() {
    within(async {
        let stream = TcpStream::connect(serve(WATCHDOG).await.unwrap())
            .await
            .unwrap();
        let client = http2(stream).await;
        let tasks: Vec<_> = (0..100)
            .map(|number| {
                let mut client = client.clone();
                ringway::spawn(async move {
                    let body = format!("{number} ").repeat(1000);
                    let response = client.send_request(request(body.clone())).await.unwrap();
                    assert_eq!(text(response).await, body);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    })
    .await;
}

/// Mutant: `Timer::sleep` never ends.
#[ringway::test]
async fn hypers_timeouts_are_our_timers() {
    within(async {
        let mut stream = TcpStream::connect(serve(HEADER_TIMEOUT).await.unwrap())
            .await
            .unwrap();
        let begun = Instant::now();
        stream
            .write_all(b"POST / HTTP/1.1\r\nhost: te")
            .await
            .unwrap();
        let mut answer = Vec::new();
        // Closed, with or without a word about it.
        let _ = stream.read_to_end(&mut answer).await;
        assert!(begun.elapsed() >= HEADER_TIMEOUT);
    })
    .await;
}

#[ringway::test(flavor = "current_thread", start_paused = true)]
async fn hypers_clock_is_ours() {
    use hyper::rt::Timer as _;

    let begun = Timer.now();
    let mut sleep = Timer.sleep(Duration::from_secs(10));
    Timer.reset(&mut sleep, begun + Duration::from_secs(3600));
    sleep.await;
    assert_eq!(Timer.now() - begun, Duration::from_secs(3600));
    Timer.sleep_until(begun).await;
    assert_eq!(Timer.now() - begun, Duration::from_secs(3600));
}

#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_axum_router_is_served_through_a_tower_of_services() {
    within(async {
        let hello = |Path(name): Path<String>| async move { format!("hello, {name}") };
        let router = Router::new().route("/hello/{name}", routing::get(hello));
        let service = tower::ServiceBuilder::new()
            .concurrency_limit(8)
            .service(router);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        ringway::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let builder = hyper_util::server::conn::auto::Builder::new(Executor);
            let service = TowerToHyperService::new(service);
            builder
                .serve_connection(TokioIo::new(stream), service)
                .await
                .map_err(|error| error.to_string())
        });
        let stream = TcpStream::connect(address).await.unwrap();
        let mut client = http1(stream).await;
        let response = client.send_request(get("/hello/ring")).await.unwrap();
        assert_eq!(text(response).await, "hello, ring");
        client.ready().await.unwrap();
        let response = client.send_request(get("/nothing")).await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
    })
    .await;
}

#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2_speaks_over_our_sockets() {
    within(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = ringway::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(accepted) = connection.accept().await {
                let (request, mut respond) = accepted.unwrap();
                let path = request.uri().path().to_owned();
                let mut stream = respond.send_response(Response::new(()), false).unwrap();
                stream.send_data(Bytes::from(path), true).unwrap();
            }
        });
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
        let connection = ringway::spawn(connection);
        for path in ["/a", "/b"] {
            let request = Request::get(format!("http://test{path}")).body(()).unwrap();
            client = client.ready().await.unwrap();
            let (response, _) = client.send_request(request, true).unwrap();
            let data = response
                .await
                .unwrap()
                .into_body()
                .data()
                .await
                .unwrap()
                .unwrap();
            assert_eq!(data, path.as_bytes());
        }
        drop(client);
        connection.await.unwrap().unwrap();
        server.await.unwrap();
    })
    .await;
}
