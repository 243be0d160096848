//! tokio-postgres by `connect_raw`, over our TCP and Unix sockets.
//!
//! The server is in `server`, so that the tests need nothing that is not built with them. With
//! `RINGWAY_TEST_POSTGRES="host=/run/postgresql user=postgres"` (a socket's folder, or an address and `port`) they ask a real
//! one, of the same statements.

mod server;

use std::future::poll_fn;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::join_all;
use futures_util::{StreamExt, pin_mut};
use ringway::io::{AsyncRead, AsyncWrite};
use ringway::net::{TcpStream, UnixStream};
use ringway::sync::mpsc;
use ringway_ecosystem_tests::{pair, within};
use server::Peers;
use tokio_postgres::config::Host;
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, SimpleQueryMessage};

const REAL: &str = "RINGWAY_TEST_POSTGRES";

/// A text that is more than all buffers on the way hold.
const LARGE: i32 = 8 << 20;
/// Queries that are under way at once.
const PIPELINED: i32 = 200;
/// Rows of one result.
const ROWS: i32 = 100_000;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<I: AsyncRead + AsyncWrite + Unpin + Send> Stream for I {}

/// A server, to which one can connect again.
#[derive(Clone)]
enum Server {
    Tcp(Arc<Peers>),
    Unix(Arc<Peers>),
    Real(Arc<Config>),
}

impl Server {
    /// The ways to reach one.
    fn all() -> Vec<Self> {
        match std::env::var(REAL) {
            Ok(config) => {
                let config = config.parse().expect("a configuration");
                vec![Self::Real(Arc::new(config))]
            }
            Err(_) => vec![Self::Tcp(Arc::default()), Self::Unix(Arc::default())],
        }
    }

    async fn stream(&self) -> Box<dyn Stream> {
        match self {
            Self::Tcp(peers) => {
                let (near, far) = pair().await;
                ringway::spawn(server::serve(far, Arc::clone(peers)));
                Box::new(near)
            }
            Self::Unix(peers) => {
                let (near, far) = UnixStream::pair().expect("a pair");
                ringway::spawn(server::serve(far, Arc::clone(peers)));
                Box::new(near)
            }
            Self::Real(config) => {
                let port = config.get_ports().first().copied().unwrap_or(5432);
                match &config.get_hosts()[0] {
                    Host::Unix(folder) => {
                        let path: PathBuf = folder.join(format!(".s.PGSQL.{port}"));
                        Box::new(UnixStream::connect(path).await.expect("a server"))
                    }
                    Host::Tcp(name) => {
                        let address = (name.as_str(), port);
                        Box::new(TcpStream::connect(address).await.expect("a server"))
                    }
                }
            }
        }
    }

    /// A client, and what its server tells it unasked.
    async fn connect(&self) -> (Client, mpsc::UnboundedReceiver<AsyncMessage>) {
        let config = match self {
            Self::Real(config) => Config::clone(config),
            _ => Config::new().user("test").clone(),
        };
        let connected = config.connect_raw(self.stream().await, NoTls).await;
        let (client, mut connection) = connected.expect("a session");
        let (told, messages) = mpsc::unbounded_channel();
        ringway::spawn(async move {
            while let Some(message) = poll_fn(|cx| connection.poll_message(cx)).await {
                // Nobody may be listening.
                let _ = told.send(message.expect("a message"));
            }
        });
        (client, messages)
    }
}

#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn simple_queries_give_text() {
    within(async {
        for server in Server::all() {
            let (client, _) = server.connect().await;
            let sql = "SELECT 1 AS one; SELECT 2 AS two";
            let messages = client.simple_query(sql).await.unwrap();
            let cells: Vec<_> = messages
                .iter()
                .filter_map(|message| match message {
                    SimpleQueryMessage::Row(row) => row.get(0),
                    _ => None,
                })
                .collect();
            assert_eq!(cells, ["1", "2"]);
            let error = client.simple_query("SELEKT").await.unwrap_err();
            assert_eq!(error.code(), Some(&SqlState::SYNTAX_ERROR));
            client.batch_execute("SELECT 3 AS three").await.unwrap();
        }
    })
    .await;
}

/// Mutant: a write for which there is no room waits for nothing (`Duplex` of `ringway-net`).
#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_in_a_pipeline_get_their_own_answers_and_errors() {
    within(async {
        for server in Server::all() {
            let (mut client, _) = server.connect().await;
            let add = client.prepare("SELECT $1::int4 + 1").await.unwrap();
            let divide = client.prepare("SELECT 100 / $1::int4").await.unwrap();
            let answers = join_all((0..PIPELINED).map(|number| {
                let (client, add, divide) = (&client, &add, &divide);
                async move {
                    let sum = client.query_one(add, &[&number]).await.unwrap();
                    assert_eq!(sum.get::<_, i32>(0), number + 1);
                    let quotient = client.query_one(divide, &[&(number % 5)]).await;
                    match number % 5 {
                        0 => {
                            let error = quotient.unwrap_err();
                            assert_eq!(error.code(), Some(&SqlState::DIVISION_BY_ZERO));
                        }
                        divisor => assert_eq!(quotient.unwrap().get::<_, i32>(0), 100 / divisor),
                    }
                }
            }));
            assert_eq!(answers.await.len(), PIPELINED as usize);
            let transaction = client.transaction().await.unwrap();
            let sum = transaction.query_one(&add, &[&1]).await.unwrap();
            assert_eq!(sum.get::<_, i32>(0), 2);
            transaction.commit().await.unwrap();
        }
    })
    .await;
}

/// Mutant: a write for which there is no room waits for nothing (`Duplex` of `ringway-net`).
#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_rows_and_many_rows_arrive_whole() {
    within(async {
        for server in Server::all() {
            let (client, _) = server.connect().await;
            let sql = "SELECT repeat('x', $1::int4)";
            let row = client.query_one(sql, &[&LARGE]).await.unwrap();
            let text: &str = row.get(0);
            assert_eq!(text.len(), LARGE as usize);
            assert!(text.bytes().all(|byte| byte == b'x'));

            let sql = "SELECT n FROM generate_series(1, $1::int4) AS n";
            let parameters: [i32; 1] = [ROWS];
            let rows = client.query_raw(sql, parameters).await.unwrap();
            pin_mut!(rows);
            let mut expected = 1;
            while let Some(row) = rows.next().await {
                assert_eq!(row.unwrap().get::<_, i32>(0), expected);
                expected += 1;
            }
            assert_eq!(expected, ROWS + 1);

            // Half a result is dropped; the next query does not find the rest.
            let rows = client.query_raw(sql, parameters).await.unwrap();
            drop(rows);
            let messages = client.simple_query("SELECT 4 AS four").await.unwrap();
            assert!(
                matches!(&messages[1], SimpleQueryMessage::Row(row) if row.get(0) == Some("4"))
            );
        }
    })
    .await;
}

#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_is_cancelled_by_another_connection() {
    within(async {
        for server in Server::all() {
            let (client, _) = server.connect().await;
            let sleep = client.prepare("SELECT pg_sleep(60)").await.unwrap();
            let cancel = client.cancel_token();
            let stop = ringway::spawn({
                let server = server.clone();
                async move {
                    // A cancel that comes before its query does nothing: so until it is told to stop.
                    loop {
                        let stream = server.stream().await;
                        cancel.cancel_query_raw(stream, NoTls).await.unwrap();
                        ringway::time::sleep(std::time::Duration::from_millis(20)).await;
                    }
                }
            });
            let error = client.query(&sleep, &[]).await.unwrap_err();
            assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED));
            stop.abort();
        }
    })
    .await;
}

#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn notifications_come_to_who_listens() {
    within(async {
        for server in Server::all() {
            let (listener, mut heard) = server.connect().await;
            let (other, _) = server.connect().await;
            listener.batch_execute("LISTEN news").await.unwrap();
            for payload in ["first", "second"] {
                let sql = format!("NOTIFY news, '{payload}'");
                other.batch_execute(&sql).await.unwrap();
                let AsyncMessage::Notification(note) = heard.recv().await.unwrap() else {
                    panic!("no notification");
                };
                assert_eq!((note.channel(), note.payload()), ("news", payload));
            }
        }
    })
    .await;
}
