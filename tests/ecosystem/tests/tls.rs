//! tokio-rustls over our sockets: servers and clients, large bodies, ends of both kinds, and handshakes that fail.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rcgen::CertifiedKey;
use ringway::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use ringway::net::{TcpStream, UnixStream};
use ringway::time::timeout;
use ringway_ecosystem_tests::{pair, within};
use tokio_rustls::rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    ClientConfig, Error, RootCertStore, ServerConfig, SupportedProtocolVersion,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// More than all buffers on the way hold.
const LARGE: usize = 4 << 20;
/// Connections at once.
const MANY: usize = 50;

/// The two sides, the client of which trusts the server's certificate, in one version of TLS.
fn sides(version: &'static SupportedProtocolVersion) -> (TlsAcceptor, TlsConnector) {
    let named = vec!["localhost".to_owned()];
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(named).unwrap();
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let server = ServerConfig::builder_with_protocol_versions(&[version])
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key.into())
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_protocol_versions(&[version])
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server).into(), Arc::new(client).into())
}

fn localhost() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

/// Both ends of a connection that has been made.
async fn shake<I>(
    (acceptor, connector): (TlsAcceptor, TlsConnector),
    (near, far): (I, I),
) -> (client::TlsStream<I>, server::TlsStream<I>)
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let both = ringway::join!(connector.connect(localhost(), near), acceptor.accept(far));
    (both.0.expect("a client"), both.1.expect("a server"))
}

/// Bytes that nobody sends by accident.
fn sample(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at as u32).wrapping_mul(2_654_435_761).to_le_bytes()[3])
        .collect()
}

/// Both ends send at the same time, and hear the other's end.
async fn exchange<A, B>(near: A, far: B)
where
    A: AsyncRead + AsyncWrite + Send + 'static,
    B: AsyncRead + AsyncWrite + Send + 'static,
{
    async fn talk<I: AsyncRead + AsyncWrite + Send + 'static>(stream: I) {
        let (mut reader, mut writer) = split(stream);
        let writing = ringway::spawn(async move {
            writer.write_all(&sample(LARGE)).await.unwrap();
            // The half that has spoken is closed, the other is not.
            writer.shutdown().await.unwrap();
        });
        let mut heard = Vec::new();
        reader.read_to_end(&mut heard).await.unwrap();
        assert!(heard == sample(LARGE), "{} bytes", heard.len());
        writing.await.unwrap();
    }
    let near = ringway::spawn(talk(near));
    talk(far).await;
    near.await.unwrap();
}

#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_go_both_ways_at_once_over_tcp() {
    within(async {
        for version in [&TLS12, &TLS13] {
            let (near, far) = shake(sides(version), pair().await).await;
            exchange(near, far).await;
        }
    })
    .await;
}

#[ringway::test]
async fn large_bodies_go_both_ways_at_once_over_unix_sockets() {
    within(async {
        let (near, far) = shake(sides(&TLS13), UnixStream::pair().unwrap()).await;
        exchange(near, far).await;
    })
    .await;
}

#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_connections_are_served_at_once() {
    within(async {
        let (acceptor, connector) = sides(&TLS13);
        let connections = (0..MANY).map(|number| {
            let sides = (acceptor.clone(), connector.clone());
            ringway::spawn(async move {
                let (mut near, mut far) = shake(sides, pair().await).await;
                let echo = ringway::spawn(async move {
                    let mut word = [0; 16];
                    while far.read_exact(&mut word).await.is_ok() {
                        far.write_all(&word).await.unwrap();
                        far.flush().await.unwrap();
                    }
                });
                for round in 0..20 {
                    let word = [(number + round) as u8; 16];
                    near.write_all(&word).await.unwrap();
                    near.flush().await.unwrap();
                    let mut heard = [0; 16];
                    near.read_exact(&mut heard).await.unwrap();
                    assert_eq!(heard, word);
                }
                drop(near);
                echo.await.unwrap();
            })
        });
        for connection in connections.collect::<Vec<_>>() {
            connection.await.unwrap();
        }
    })
    .await;
}

#[ringway::test]
async fn who_has_closed_its_half_still_hears_the_other() {
    within(async {
        let (mut near, mut far) = shake(sides(&TLS13), pair().await).await;
        near.write_all(b"question").await.unwrap();
        near.shutdown().await.unwrap();
        let mut question = String::new();
        far.read_to_string(&mut question).await.unwrap();
        assert_eq!(question, "question");
        far.write_all(b"answer").await.unwrap();
        far.shutdown().await.unwrap();
        let mut answer = String::new();
        near.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "answer");
    })
    .await;
}

/// An attacker who cuts the connection must not pass for the end of what was said.
#[ringway::test]
async fn an_end_without_close_notify_is_an_error() {
    within(async {
        // In 1.3 the server sends tickets that nobody reads here, so that the end would be a reset.
        let (mut near, mut far) = shake(sides(&TLS12), pair().await).await;
        near.write_all(b"half of a").await.unwrap();
        near.flush().await.unwrap();
        let (tcp, _) = near.into_inner();
        drop(tcp);
        let mut heard = Vec::new();
        let error = far.read_to_end(&mut heard).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(heard, b"half of a");
    })
    .await;
}

#[ringway::test]
async fn a_certificate_that_nobody_trusts_fails_both_sides() {
    within(async {
        let (acceptor, _) = sides(&TLS13);
        let (_, stranger) = sides(&TLS13);
        let (near, far) = pair().await;
        let client = async {
            let failed = stranger.connect(localhost(), near).await.unwrap_err();
            let inner = failed.get_ref().and_then(|error| error.downcast_ref());
            assert!(
                matches!(inner, Some(Error::InvalidCertificate(_))),
                "{failed}"
            );
        };
        let server = async {
            let failed = acceptor.accept(far).await.unwrap_err();
            let inner = failed.get_ref().and_then(|error| error.downcast_ref());
            assert!(matches!(inner, Some(Error::AlertReceived(_))), "{failed}");
        };
        ringway::join!(client, server);
    })
    .await;
}

#[ringway::test]
async fn a_client_that_speaks_no_tls_is_told_so() {
    within(async {
        let (acceptor, _) = sides(&TLS13);
        let (mut near, far) = pair().await;
        near.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let failed = acceptor.accept(far).await.unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::InvalidData);
        let mut alert = Vec::new();
        // Reset if it had more to say.
        let _ = near.read_to_end(&mut alert).await;
        // An alert's record begins so.
        assert_eq!(alert.first(), Some(&21), "{alert:?}");
    })
    .await;
}

/// A connection that says nothing is given up, and closed with the future of its handshake.
#[ringway::test]
async fn a_handshake_that_is_dropped_closes_its_connection() {
    within(async {
        let (acceptor, _) = sides(&TLS13);
        let (mut near, far): (TcpStream, _) = pair().await;
        let handshake = timeout(Duration::from_millis(20), acceptor.accept(far));
        assert!(handshake.await.is_err());
        assert_eq!(near.read(&mut [0]).await.unwrap(), 0);
    })
    .await;
}
