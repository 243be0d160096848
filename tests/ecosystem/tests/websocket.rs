//! tokio-tungstenite over our sockets: echoes, pings, ends, large messages, many at once, and inside an axum server.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::{connect as connect_to, get};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use hyper::ext::Protocol;
use hyper::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use ringway::axum::serve;
use ringway::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use ringway::net::{TcpListener, TcpStream, UnixStream};
use ringway_ecosystem_tests::{get as ask_for, http2, pair, text, within};
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_async, client_async};

/// More than all buffers on the way hold.
const LARGE: usize = 8 << 20;
/// Connections at once.
const MANY: usize = 50;

/// Sends back what says something, until the other end closes.
async fn echo<I>(mut socket: WebSocketStream<I>) -> Result<(), Error>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(message) = socket.next().await {
        let message = message?;
        // Pings and closes are answered by the library.
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}

/// Where somebody echoes.
async fn serve_echoes() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("an address");
    ringway::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            ringway::spawn(async move { echo(accept_async(stream).await?).await });
        }
    });
    address
}

async fn connect(address: SocketAddr) -> WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let shaken = client_async(format!("ws://{address}/"), stream).await;
    shaken.expect("a handshake").0
}

/// Both ends of a connection that has been made.
async fn shake<I>((near, far): (I, I)) -> (WebSocketStream<I>, WebSocketStream<I>)
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let both = ringway::join!(client_async("ws://test/", near), accept_async(far));
    (both.0.expect("a client").0, both.1.expect("a server"))
}

#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_all_lengths_come_back() {
    within(async {
        let mut socket = connect(serve_echoes().await).await;
        // About where the header grows, and where it takes many turns.
        for length in [0, 1, 125, 126, 65_535, 65_536, LARGE] {
            let binary = Message::binary(vec![7; length]);
            socket.send(binary.clone()).await.unwrap();
            assert!(socket.next().await.unwrap().unwrap() == binary, "{length}");
            let text = Message::text("ß".repeat(length / 2));
            socket.send(text.clone()).await.unwrap();
            assert!(socket.next().await.unwrap().unwrap() == text, "{length}");
        }
        socket.close(None).await.unwrap();
    })
    .await;
}

#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_connections_talk_at_once_each_with_two_halves_in_two_tasks() {
    within(async {
        let address = serve_echoes().await;
        let connections = (0..MANY).map(|number| {
            ringway::spawn(async move {
                let (mut sink, mut stream) = connect(address).await.split();
                let text = move |round| Message::text(format!("{number} says {round}"));
                let sending = ringway::spawn(async move {
                    for round in 0..100 {
                        sink.send(text(round)).await.unwrap();
                    }
                    sink
                });
                for round in 0..100 {
                    assert_eq!(stream.next().await.unwrap().unwrap(), text(round));
                }
                sending.await.unwrap().close().await.unwrap();
                assert!(matches!(stream.next().await, Some(Ok(Message::Close(_)))));
                assert!(stream.next().await.is_none());
            })
        });
        for connection in connections.collect::<Vec<_>>() {
            connection.await.unwrap();
        }
    })
    .await;
}

#[ringway::test]
async fn a_ping_is_answered_while_the_other_end_reads() {
    within(async {
        let (mut near, far) = shake(UnixStream::pair().unwrap()).await;
        let echo = ringway::spawn(echo(far));
        let payload = Bytes::from_static(b"are you there?");
        near.send(Message::Ping(payload.clone())).await.unwrap();
        assert_eq!(near.next().await.unwrap().unwrap(), Message::Pong(payload));
        near.close(None).await.unwrap();
        while near.next().await.is_some() {}
        echo.await.unwrap().unwrap();
    })
    .await;
}

#[ringway::test]
async fn a_close_tells_both_ends_why_and_then_the_connection_ends() {
    within(async {
        let (mut near, mut far) = shake(pair().await).await;
        let frame = CloseFrame {
            code: CloseCode::Away,
            reason: "good night".into(),
        };
        near.close(Some(frame.clone())).await.unwrap();
        let heard = far.next().await.unwrap().unwrap();
        assert_eq!(heard, Message::Close(Some(frame.clone())));
        assert!(far.next().await.is_none());
        let answer = near.next().await.unwrap().unwrap();
        assert_eq!(answer, Message::Close(Some(frame)));
        drop(far);
        assert_eq!(near.into_inner().read(&mut [0]).await.unwrap(), 0);
    })
    .await;
}

#[ringway::test]
async fn a_connection_that_is_cut_is_an_error() {
    within(async {
        let (near, mut far) = shake(pair().await).await;
        drop(near);
        let cut = far.next().await.unwrap().unwrap_err();
        let reset = ProtocolError::ResetWithoutClosingHandshake;
        assert!(matches!(cut, Error::Protocol(error) if error == reset));
    })
    .await;
}

#[ringway::test]
async fn who_asks_for_no_socket_is_refused() {
    within(async {
        let (mut near, far) = pair().await;
        let asking = async {
            near.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n")
                .await
                .unwrap();
            near.shutdown().await.unwrap();
            let mut answer = Vec::new();
            near.read_to_end(&mut answer).await.unwrap();
        };
        let (refused, ()) = ringway::join!(accept_async(far), asking);
        assert!(matches!(refused, Err(Error::Protocol(_))), "{refused:?}");
    })
    .await;
}

/// Answers with an upgrade, after which a task of ours has the connection. (axum's own `ws` spawns on tokio's runtime.)
async fn upgrade(mut request: Request) -> Result<Response, StatusCode> {
    let key = request.headers().get(SEC_WEBSOCKET_KEY);
    let accept = derive_accept_key(key.ok_or(StatusCode::BAD_REQUEST)?.as_bytes());
    let upgraded = hyper::upgrade::on(&mut request);
    ringway::spawn(async move {
        let io = TokioIo::new(upgraded.await.expect("an upgrade"));
        echo(WebSocketStream::from_raw_socket(io, Role::Server, None).await).await
    });
    let response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_ACCEPT, accept);
    Ok(response
        .body(axum::body::Body::empty())
        .expect("a response"))
}

/// Says something, hears it, and closes.
async fn talk<I>(mut socket: WebSocketStream<I>)
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    for text in ["one", "two"] {
        socket.send(Message::text(text)).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(text));
    }
    socket.close(None).await.unwrap();
    while socket.next().await.is_some() {}
}

/// Mutant: `serve_connection` for `serve_connection_with_upgrades` in `axum/src/connection.rs`.
#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_to_an_axum_server_becomes_a_socket() {
    within(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", get(upgrade));
        let server = ringway::spawn(serve(listener, router).into_future());
        talk(connect(address).await).await;
        server.abort();
    })
    .await;
}

/// Takes what asks by HTTP/2 for a socket, with which a task of ours talks.
async fn extend(mut request: Request) -> StatusCode {
    let upgraded = hyper::upgrade::on(&mut request);
    ringway::spawn(async move {
        let io = TokioIo::new(upgraded.await.expect("an upgrade"));
        echo(WebSocketStream::from_raw_socket(io, Role::Server, None).await).await
    });
    StatusCode::OK
}

/// Mutant: no `enable_connect_protocol` in `axum/src/connection.rs`.
#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_http_2_becomes_a_socket_beside_others() {
    within(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/", connect_to(extend))
            .route("/hello", get(async || "hello"));
        let server = ringway::spawn(serve(listener, router).into_future());
        let mut client = http2(TcpStream::connect(address).await.unwrap()).await;
        // With its answer comes what the server understands.
        let hello = client.send_request(ask_for("http://test/hello")).await;
        assert_eq!(text(hello.unwrap()).await, "hello");
        let sockets = (0..3).map(|_| {
            let mut client = client.clone();
            ringway::spawn(async move {
                let mut request = ask_for("http://test/");
                *request.method_mut() = Method::CONNECT;
                let websocket = Protocol::from_static("websocket");
                request.extensions_mut().insert(websocket);
                let response = client.send_request(request).await.unwrap();
                assert_eq!(response.status(), StatusCode::OK);
                let io = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
                talk(WebSocketStream::from_raw_socket(io, Role::Client, None).await).await;
            })
        });
        for socket in sockets.collect::<Vec<_>>() {
            socket.await.unwrap();
        }
        server.abort();
    })
    .await;
}
