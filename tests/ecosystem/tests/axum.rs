//! `ringway::axum::serve`: routers, who connects, how a server ends, and what goes wrong.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Path};
use axum::handler::{Handler, HandlerWithoutStateExt};
use axum::routing;
use bytes::Bytes;

use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode};
use ringway::axum::{IncomingStream, Listener, ListenerExt, serve};
use ringway::io::{AsyncReadExt, AsyncWriteExt};
use ringway::net::{TcpListener, TcpStream, UnixListener, UnixStream, unix};
use ringway::sync::{Notify, Semaphore, oneshot};
use ringway::time::timeout;
use ringway_ecosystem_tests::{get, http1, http2, text, within};

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("a connection")
}

/// What `path` has, over a connection of its own.
async fn fetch(address: SocketAddr, path: &str) -> String {
    let mut client = http1(connect(address).await).await;
    text(client.send_request(get(path)).await.expect("a response")).await
}

fn hello() -> Router {
    let hello = |Path(name): Path<String>| async move { format!("hello, {name}") };
    Router::new()
        .route("/hello/{name}", routing::get(hello))
        .route("/echo", routing::post(async |body: Bytes| body))
}

#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_router_is_served_to_many_at_once_without_a_runtime_of_tokios() {
    within(async {
        let found = || async {
            let tokio = tokio::runtime::Handle::try_current();
            format!("{}", tokio.is_ok())
        };
        let (listener, address) = listen().await;
        let server = serve(listener, hello().route("/tokio", routing::get(found)));
        assert_eq!(server.local_addr().unwrap(), address);
        let server = ringway::spawn(server.into_future());
        let clients: Vec<_> = (0..50)
            .map(|number: usize| {
                ringway::spawn(async move {
                    let mut client = http1(connect(address).await).await;
                    for length in [0, 1, 100_000] {
                        let body = Bytes::from(vec![number as u8; length]);
                        let request = Request::post("/echo").header("host", "test");
                        let request = request.body(Full::new(body.clone())).unwrap();
                        client.ready().await.unwrap();
                        let response = client.send_request(request).await.unwrap();
                        let heard = response.into_body().collect().await.unwrap();
                        assert_eq!(heard.to_bytes(), body);
                    }
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
        assert_eq!(fetch(address, "/hello/ring").await, "hello, ring");
        assert_eq!(fetch(address, "/tokio").await, "false");
        server.abort();
    })
    .await;
}

#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_at_once_over_one_connection_of_http_2() {
    within(async {
        let (listener, address) = listen().await;
        let server = ringway::spawn(serve(listener, hello()).into_future());
        let client = http2(connect(address).await).await;
        let requests = (0..100).map(|number| {
            let mut client = client.clone();
            ringway::spawn(async move {
                let path = format!("http://test/hello/{number}");
                let response = client.send_request(get(&path)).await.unwrap();
                assert_eq!(text(response).await, format!("hello, {number}"));
            })
        });
        for request in requests.collect::<Vec<_>>() {
            request.await.unwrap();
        }
        server.abort();
    })
    .await;
}

/// Mutant: the listener gives its own address with a connection.
#[ringway::test]
async fn handlers_learn_who_has_connected() {
    within(async {
        let who = |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() };
        let router = Router::new().route("/", routing::get(who));
        let (plain, address) = listen().await;
        let make = router
            .clone()
            .into_make_service_with_connect_info::<SocketAddr>();
        ringway::spawn(serve(plain, make.clone()).into_future());
        let (tapped, tapped_address) = listen().await;
        let tapped = tapped.tap_io(|stream| stream.set_nodelay(true).expect("an option"));
        ringway::spawn(serve(tapped, make).into_future());
        for address in [address, tapped_address] {
            let stream = connect(address).await;
            let own = stream.local_addr().unwrap().to_string();
            let response = http1(stream).await.send_request(get("/")).await.unwrap();
            assert_eq!(text(response).await, own);
        }
    })
    .await;
}

/// What a handler wants to know of a Unix socket's other end.
#[derive(Clone)]
struct Peer {
    pid: Option<i32>,
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        assert!(stream.remote_addr().is_unnamed());
        let credentials = stream.io().peer_cred().expect("a peer");
        let pid = credentials.pid();
        Self { pid }
    }
}

#[ringway::test]
async fn unix_sockets_are_served_and_say_which_process_has_connected() {
    within(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        type Unnamed = ConnectInfo<unix::SocketAddr>;
        let pid = |ConnectInfo(peer): ConnectInfo<Peer>| async move { format!("{:?}", peer.pid) };
        let name = |ConnectInfo(address): Unnamed| async move { format!("{address:?}") };
        let make = routing::get(pid).into_make_service_with_connect_info::<Peer>();
        ringway::spawn(serve(UnixListener::bind(&path).unwrap(), make).into_future());
        let mut client = http1(UnixStream::connect(&path).await.unwrap()).await;
        let response = client.send_request(get("/")).await.unwrap();
        let own = i32::try_from(std::process::id()).ok();
        assert_eq!(text(response).await, format!("{own:?}"));

        std::fs::remove_file(&path).unwrap();
        let make = routing::get(name).into_make_service_with_connect_info::<unix::SocketAddr>();
        ringway::spawn(serve(UnixListener::bind(&path).unwrap(), make).into_future());
        let mut client = http1(UnixStream::connect(&path).await.unwrap()).await;
        let response = client.send_request(get("/")).await.unwrap();
        assert_eq!(text(response).await, "(unnamed)");
    })
    .await;
}

#[ringway::test]
async fn whatever_axum_serves_is_served() {
    within(async {
        let plain = async || "a handler";
        let make = tower::service_fn(|stream: IncomingStream<'_, TcpListener>| {
            let peer = stream.remote_addr().to_string();
            let service = routing::get(move || std::future::ready(peer.clone()));
            std::future::ready(Ok::<_, Infallible>(service.with_state::<()>(())))
        });
        let mut addresses = Vec::new();
        let mut listener = async || {
            let (listener, address) = listen().await;
            addresses.push(address);
            listener
        };
        ringway::spawn(serve(listener().await, routing::get(plain)).into_future());
        ringway::spawn(serve(listener().await, plain.into_make_service()).into_future());
        ringway::spawn(serve(listener().await, plain.with_state(())).into_future());
        ringway::spawn(
            serve(listener().await, routing::get(plain).into_make_service()).into_future(),
        );
        ringway::spawn(serve(listener().await, make).into_future());
        let own = addresses.pop().unwrap();
        for address in addresses {
            assert_eq!(fetch(address, "/").await, "a handler");
        }
        let stream = connect(own).await;
        let peer = stream.local_addr().unwrap().to_string();
        let response = http1(stream).await.send_request(get("/")).await.unwrap();
        assert_eq!(text(response).await, peer);
    })
    .await;
}

/// A router whose handler says when it begins, and waits until it may end.
fn slow() -> (Router, Arc<Notify>, Arc<Semaphore>) {
    let (begun, end) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let (begins, may_end) = (Arc::clone(&begun), Arc::clone(&end));
    let handler = move || async move {
        begins.notify_one();
        let _permit = may_end.acquire().await.expect("an open semaphore");
        "done"
    };
    let router = Router::new()
        .route("/slow", routing::get(handler))
        .route("/", routing::get(async || "fast"));
    (router, begun, end)
}

/// Waits until nobody listens there.
async fn wait_until_refused(address: SocketAddr) {
    while TcpStream::connect(address).await.is_ok() {
        ringway::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Mutants: connections are not told (the idle ones never end); the listener is kept; nobody waits for the guests.
#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graceful_end_answers_what_has_begun_and_closes_the_rest() {
    within(async {
        let (router, begun, end) = slow();
        let (listener, address) = listen().await;
        let (stop, stopped) = oneshot::channel::<()>();
        let server =
            serve(listener, router).with_graceful_shutdown(async { stopped.await.unwrap() });
        assert_eq!(server.local_addr().unwrap(), address);
        let mut server = ringway::spawn(server.into_future());

        let mut idle = http1(connect(address).await).await;
        let response = idle.send_request(get("/")).await.unwrap();
        assert_eq!(text(response).await, "fast");
        // It has said nothing yet.
        let mut silent = connect(address).await;
        let mut busy = http1(connect(address).await).await;
        let answer = ringway::spawn(busy.send_request(get("/slow")));
        begun.notified().await;

        stop.send(()).unwrap();
        wait_until_refused(address).await;
        while !idle.is_closed() {
            ringway::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
        let early = timeout(Duration::from_millis(20), &mut server).await;
        early.expect_err("a request is under way");

        end.add_permits(1);
        let response = answer.await.unwrap().unwrap();
        assert_eq!(response.headers()["connection"], "close");
        assert_eq!(text(response).await, "done");
        server.await.unwrap().unwrap();
    })
    .await;
}

/// Mutants: connections are not told; nobody waits for the guests.
#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graceful_end_answers_what_has_begun_over_http_2_too() {
    within(async {
        let (router, begun, end) = slow();
        let (listener, address) = listen().await;
        let (stop, stopped) = oneshot::channel::<()>();
        let server =
            serve(listener, router).with_graceful_shutdown(async { stopped.await.unwrap() });
        let mut server = ringway::spawn(server.into_future());
        let mut idle = http2(connect(address).await).await;
        assert_eq!(
            text(idle.send_request(get("http://test/")).await.unwrap()).await,
            "fast"
        );
        let mut busy = http2(connect(address).await).await;
        let answer = ringway::spawn(busy.send_request(get("http://test/slow")));
        begun.notified().await;

        stop.send(()).unwrap();
        while !idle.is_closed() {
            ringway::time::sleep(Duration::from_millis(1)).await;
        }
        let early = timeout(Duration::from_millis(20), &mut server).await;
        early.expect_err("a request is under way");
        end.add_permits(1);
        assert_eq!(text(answer.await.unwrap().unwrap()).await, "done");
        server.await.unwrap().unwrap();
    })
    .await;
}

/// Mutant: the house is leaked when its server's future is dropped.
#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_dropped_answers_what_has_begun() {
    within(async {
        let (router, begun, end) = slow();
        let (listener, address) = listen().await;
        let server = ringway::spawn(serve(listener, router).into_future());
        let mut busy = http1(connect(address).await).await;
        let answer = ringway::spawn(async move {
            let response = busy.send_request(get("/slow")).await;
            (busy, response)
        });
        begun.notified().await;
        server.abort();
        assert!(server.await.unwrap_err().is_cancelled());
        wait_until_refused(address).await;
        end.add_permits(1);
        let (busy, response) = answer.await.unwrap();
        assert_eq!(text(response.unwrap()).await, "done");
        while !busy.is_closed() {
            ringway::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_panics_and_a_client_that_talks_nonsense_harm_nobody_else() {
    async fn panics() -> &'static str {
        panic!("a handler's own")
    }
    within(async {
        let (listener, address) = listen().await;
        let router = hello().route("/panic", routing::get(panics));
        let server = ringway::spawn(serve(listener, router).into_future());
        let mut other = http1(connect(address).await).await;
        let mut client = http1(connect(address).await).await;
        client.send_request(get("/panic")).await.unwrap_err();
        let mut liar = connect(address).await;
        liar.write_all(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        let _ = liar.read_to_string(&mut answer).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        let response = other.send_request(get("/nothing")).await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(fetch(address, "/hello/you").await, "hello, you");
        server.abort();
    })
    .await;
}

/// The listener's own error lasts, so each accept finds it at once. Mutant: no pause in `back_off`.
#[ringway::test(flavor = "current_thread", start_paused = true)]
async fn a_listener_that_fails_is_asked_again_once_a_second() {
    let (mut listener, _) = listen().await;
    // It listens no more: accept(2) says EINVAL.
    let socket = socket2::SockRef::from(&listener);
    socket.shutdown(std::net::Shutdown::Both).unwrap();
    assert_eq!(
        listener.accept().await.unwrap_err().kind(),
        io::ErrorKind::InvalidInput
    );
    let mut polls = 0;
    let mut accepting = pin!(Listener::accept(&mut listener));
    let counted = poll_fn(|cx| {
        polls += 1;
        assert!(polls < 100, "it does not rest");
        accepting.as_mut().poll(cx).map(drop)
    });
    // The clock goes on only when everybody rests.
    let end = timeout(Duration::from_secs(10), counted).await;
    end.expect_err("nobody can connect");
    assert!(polls > 5, "it rests for too long");
}
