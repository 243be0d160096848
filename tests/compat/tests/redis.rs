//! redis with a runtime of tokio's at the side of ours: its client is stock, its server a small one over our sockets.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use ringway::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use ringway::net::{TcpListener, TcpStream};
use ringway::time::timeout;
use ringway_compat_tests::{LONG, runtime};

/// Tasks that ask at once over one connection.
const TASKS: i64 = 100;
/// A value that is more than all buffers on the way hold.
const LARGE: usize = 8 << 20;

type Values = Arc<Mutex<HashMap<Vec<u8>, Vec<u8>>>>;

async fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("an address");
    let values = Values::default();
    ringway::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            ringway::spawn(converse(stream, Arc::clone(&values)));
        }
    });
    address
}

async fn converse(stream: TcpStream, values: Values) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let Some(count) = header(&mut stream, '*').await? else {
            return Ok(());
        };
        let mut words = Vec::new();
        for _ in 0..count {
            let length = header(&mut stream, '$').await?.expect("a whole request");
            let mut word = vec![0; length + 2];
            stream.read_exact(&mut word).await?;
            word.truncate(length);
            words.push(word);
        }
        let answer = answer(&words, &values);
        stream.write_all(&answer).await?;
    }
}

/// The number in a line that begins with `sign`, if there is one more line.
async fn header(stream: &mut BufReader<TcpStream>, sign: char) -> io::Result<Option<usize>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let number = line.trim_end().strip_prefix(sign).expect("the protocol");
    Ok(Some(number.parse().expect("a number")))
}

fn answer(words: &[Vec<u8>], values: &Values) -> Vec<u8> {
    let mut values = values.lock().expect("nobody panics");
    match words {
        [name, key, value] if name == b"SET" => {
            values.insert(key.clone(), value.clone());
            b"+OK\r\n".to_vec()
        }
        [name, key] if name == b"GET" => match values.get(key) {
            Some(value) => {
                let mut answer = format!("${}\r\n", value.len()).into_bytes();
                answer.extend_from_slice(value);
                answer.extend_from_slice(b"\r\n");
                answer
            }
            None => b"$-1\r\n".to_vec(),
        },
        [name, key, by] if name == b"INCRBY" => {
            let number = |text: &[u8]| String::from_utf8_lossy(text).parse::<i64>().unwrap_or(0);
            let value = values.entry(key.clone()).or_default();
            let sum = number(value) + number(by);
            *value = sum.to_string().into_bytes();
            format!(":{sum}\r\n").into_bytes()
        }
        // What the client says of itself.
        [name, ..] if name == b"CLIENT" => b"+OK\r\n".to_vec(),
        _ => b"-ERR unknown command\r\n".to_vec(),
    }
}

async fn connect() -> MultiplexedConnection {
    let address = serve().await;
    let client = redis::Client::open(format!("redis://{address}/")).expect("a client");
    let connection = client.get_multiplexed_async_connection().await;
    connection.expect("a connection")
}

#[test]
fn redis_answers_tasks_of_ours_many_at_once_over_one_connection() {
    let body = async {
        let connection = connect().await;
        let adding = (1..=TASKS).map(|number| {
            let mut connection = connection.clone();
            ringway::spawn(async move {
                let mut add = redis::cmd("INCRBY");
                let add = add.arg("sum").arg(number);
                add.query_async::<i64>(&mut connection).await.unwrap()
            })
        });
        let mut greatest = 0;
        for sum in adding.collect::<Vec<_>>() {
            greatest = greatest.max(sum.await.unwrap());
        }
        assert_eq!(greatest, TASKS * (TASKS + 1) / 2);
    };
    runtime().block_on(async { timeout(LONG, body).await.expect("in time") });
}

#[test]
fn redis_sends_pipelines_and_large_values_and_tells_errors() {
    let body = async {
        let mut connection = connect().await;
        let large = "x".repeat(LARGE);
        let answers: (String, String, Option<String>) = redis::pipe()
            .cmd("SET")
            .arg("large")
            .arg(&large)
            .cmd("GET")
            .arg("large")
            .cmd("GET")
            .arg("nothing")
            .query_async(&mut connection)
            .await
            .unwrap();
        assert!(answers == ("OK".to_owned(), large, None));
        let unknown = redis::cmd("DANCE").exec_async(&mut connection).await;
        assert_eq!(unknown.unwrap_err().code(), Some("ERR"));
        // Whoever stops waiting leaves the connection to others.
        let mut get = redis::cmd("GET");
        let get = get.arg("nothing");
        let late = timeout(Duration::ZERO, get.exec_async(&mut connection));
        drop(late.await);
        let again = get.query_async(&mut connection).await;
        assert_eq!(again, Ok(None::<String>));
    };
    runtime().block_on(async { timeout(LONG, body).await.expect("in time") });
}
