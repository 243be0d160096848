//! quinn's endpoints, connections and streams, by `ringway::quinn::Runtime` and without a runtime of tokio's.

#[path = "../../support/mod.rs"]
mod support;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quinn::rustls::RootCertStore;
use quinn::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use quinn::{
    ClientConfig, Connection, ConnectionError, Endpoint, EndpointConfig, RecvStream, SendStream,
    ServerConfig, TransportConfig, VarInt,
};
use ringway::quinn::Runtime;
use ringway::task::JoinSet;
use ringway::time::{Instant, timeout};
use ringway_ecosystem_tests::{WATCHDOG, within};

/// The name that the server's certificate is for.
const NAME: &str = "localhost";
/// How long a stream of the large transfer is.
const LARGE: usize = 8 * 1024 * 1024;

/// A socket at a free port, blocking, as a program has it.
fn socket() -> UdpSocket {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port")
}

fn endpoint(socket: UdpSocket, server: Option<ServerConfig>) -> Endpoint {
    Endpoint::new(EndpointConfig::default(), server, socket, Arc::new(Runtime))
        .expect("an endpoint")
}

/// A client's and a server's side, with these rules, that trust each other.
fn configs(rules: TransportConfig) -> (ClientConfig, ServerConfig) {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a certificate");
    let certificate = CertificateDer::from(made.cert);
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("a certificate");
    let rules = Arc::new(rules);
    let mut client =
        ClientConfig::with_root_certificates(Arc::new(roots)).expect("a client's side");
    client.transport_config(Arc::clone(&rules));
    let mut server =
        ServerConfig::with_single_cert(vec![certificate], key).expect("a server's side");
    server.transport_config(rules);
    (client, server)
}

/// A connection, both ends of it, and the client's endpoint. The server's stays with its connection.
struct Pair {
    endpoint: Endpoint,
    client: Connection,
    server: Connection,
}

impl Pair {
    async fn new(rules: TransportConfig) -> Pair {
        let (client, server) = configs(rules);
        let listening = endpoint(socket(), Some(server));
        let address = listening.local_addr().expect("an address");
        let endpoint = endpoint(socket(), None);
        let connecting = endpoint
            .connect_with(client, address, NAME)
            .expect("a connection begins");
        let accepting = async { listening.accept().await.expect("it is open").await };
        let (client, server) = ringway::join!(connecting, accepting);
        Pair {
            endpoint,
            client: client.expect("a connection"),
            server: server.expect("a connection"),
        }
    }
}

/// Sends each stream of `connection` back.
async fn echo(connection: Connection) {
    while let Ok((mut send, mut receive)) = connection.accept_bi().await {
        ringway::spawn(async move {
            let bytes = receive.read_to_end(LARGE).await.expect("bytes");
            send.write_all(&bytes).await.expect("it is open");
            send.finish().expect("it is open");
        });
    }
}

/// A server that sends the streams of all its connections back.
fn serve(socket: UdpSocket, config: ServerConfig) -> SocketAddr {
    let listening = endpoint(socket, Some(config));
    let address = listening.local_addr().expect("an address");
    ringway::spawn(async move {
        while let Some(incoming) = listening.accept().await {
            ringway::spawn(async move {
                // A client that has given up is no concern of others.
                if let Ok(connection) = incoming.await {
                    echo(connection).await;
                }
            });
        }
    });
    address
}

async fn ask((mut send, mut receive): (SendStream, RecvStream), bytes: &[u8]) -> Vec<u8> {
    send.write_all(bytes).await.expect("it is open");
    send.finish().expect("it is open");
    receive.read_to_end(LARGE).await.expect("bytes")
}

/// Bytes that show where one is missing or in the wrong place.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at ^ (at >> 8)) as u8).collect()
}

#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_streams_of_a_connection_go_on_at_once() {
    within(async {
        let pair = Pair::new(TransportConfig::default()).await;
        ringway::spawn(echo(pair.server));
        let mut streams = JoinSet::new();
        for number in 0..400_usize {
            let client = pair.client.clone();
            streams.spawn(async move {
                let bytes = pattern(number * 7);
                let answer = ask(client.open_bi().await.expect("a stream"), &bytes).await;
                assert_eq!(answer, bytes);
            });
        }
        assert_eq!(streams.join_all().await.len(), 400);
    })
    .await;
}

/// With as many datagrams to a system call as the kernel cuts (GSO). Mutant: 1 as `max_transmit_segments`.
#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_transfer_arrives_whole_and_in_few_system_calls() {
    within(async {
        let pair = Pair::new(TransportConfig::default()).await;
        ringway::spawn(echo(pair.server));
        let bytes = pattern(LARGE);
        let stream = pair.client.open_bi().await.expect("a stream");
        assert!(ask(stream, &bytes).await == bytes, "the bytes differ");
        let sent = pair.client.stats().udp_tx;
        let datagrams = LARGE as u64 / 1500;
        assert!(sent.datagrams >= datagrams, "{sent:?}");
        assert!(sent.ios <= sent.datagrams / 2, "{sent:?}");
    })
    .await;
}

#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_of_one_server_do_not_wait_for_each_other() {
    within(async {
        let (client, server) = configs(TransportConfig::default());
        let address = serve(socket(), server);
        let mut clients = JoinSet::new();
        for number in 0..16_u8 {
            let client = client.clone();
            clients.spawn(async move {
                let endpoint = endpoint(socket(), None);
                let connecting = endpoint.connect_with(client, address, NAME);
                let connection = connecting.expect("it begins").await.expect("a connection");
                for round in 0..10 {
                    let stream = connection.open_bi().await.expect("a stream");
                    assert_eq!(ask(stream, &[number, round]).await, [number, round]);
                }
            });
        }
        assert_eq!(clients.join_all().await.len(), 16);
    })
    .await;
}

#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn datagrams_arrive_whole() {
    within(async {
        let pair = Pair::new(TransportConfig::default()).await;
        let most = pair.client.max_datagram_size().expect("they are allowed");
        let mut lengths = Vec::new();
        // One that is lost is not sent again: the next one is waited for.
        while lengths.len() < 20 {
            let bytes = Bytes::from(pattern(most - lengths.len()));
            pair.client.send_datagram(bytes).expect("it is open");
            let receive = timeout(Duration::from_secs(1), pair.server.read_datagram());
            if let Ok(bytes) = receive.await {
                let bytes = bytes.expect("it is open");
                assert_eq!(bytes, pattern(bytes.len()));
                lengths.push(bytes.len());
            }
        }
        assert!(lengths.contains(&most), "{lengths:?}");
    })
    .await;
}

/// The clock is the runtime's, which a test may pause; the watchdog's is not. Mutants: `Instant::now` of the standard
/// library as `now`; `poll` of the timer says that it waits, and no more.
#[test]
fn a_connection_that_idles_ends_after_its_timeout() {
    let idle = Duration::from_secs(300);
    let body = async move {
        let mut rules = TransportConfig::default();
        rules.max_idle_timeout(Some(idle.try_into().expect("it fits")));
        // The last packet comes after this, before the clock stands or later.
        let begun = Instant::now();
        let pair = Pair::new(rules).await;
        ringway::time::pause();
        let (client, server) = ringway::join!(pair.client.closed(), pair.server.closed());
        assert_eq!(client, ConnectionError::TimedOut);
        assert_eq!(server, ConnectionError::TimedOut);
        assert!(begun.elapsed() >= idle);
    };
    support::within(WATCHDOG, || support::current_thread().block_on(body));
}

#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_tells_the_other_end_why() {
    within(async {
        let pair = Pair::new(TransportConfig::default()).await;
        let waiting = pair.server.accept_uni();
        pair.client.close(VarInt::from_u32(42), b"enough");
        let error = waiting.await.expect_err("no stream");
        let ConnectionError::ApplicationClosed(close) = error else {
            panic!("{error}");
        };
        assert_eq!(close.error_code, VarInt::from_u32(42));
        assert_eq!(&close.reason[..], b"enough");
        assert_eq!(
            pair.client.closed().await,
            ConnectionError::LocallyClosed,
            "the end that closed"
        );
        pair.endpoint.wait_idle().await;
    })
    .await;
}

#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_moves_to_another_port_keeps_its_connection() {
    within(async {
        let pair = Pair::new(TransportConfig::default()).await;
        ringway::spawn(echo(pair.server.clone()));
        let before = pair.server.remote_address();
        let stream = pair.client.open_bi().await.expect("a stream");
        assert_eq!(ask(stream, b"here").await, b"here");

        pair.endpoint.rebind(socket()).expect("another socket");
        let now = pair.endpoint.local_addr().expect("an address");
        let stream = pair.client.open_bi().await.expect("a stream");
        assert_eq!(ask(stream, b"there").await, b"there");
        assert_ne!(before, now);
        assert_eq!(pair.server.remote_address(), now);
    })
    .await;
}

/// The machine of a peer that is not there yet says so, and a socket that is connected is told with its next receive.
/// Mutant: 0 as `ERRORS_MAX`.
#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_outlives_what_a_peer_refuses() {
    within(async {
        let (client, server) = configs(TransportConfig::default());
        let place = socket();
        let address = place.local_addr().expect("an address");
        drop(place);
        let connected = socket();
        connected.connect(address).expect("an address");
        let endpoint = endpoint(connected, None);
        let refused = endpoint.connect_with(client.clone(), address, NAME);
        // Its first datagram finds nobody.
        let refused = timeout(Duration::from_millis(50), refused.expect("it begins"));
        assert!(refused.await.is_err(), "nobody answers");

        serve(UdpSocket::bind(address).expect("it is free"), server);
        let connecting = endpoint.connect_with(client, address, NAME);
        let connection = connecting.expect("it begins").await.expect("a connection");
        let stream = connection.open_bi().await.expect("a stream");
        assert_eq!(ask(stream, b"at last").await, b"at last");
    })
    .await;
}
