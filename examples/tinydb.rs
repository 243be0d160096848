//! `cargo run --example tinydb -- 127.0.0.1:8080`
//!
//! A table of keys and values that all connections share, in memory. A line is a request, and so is each answer:
//!
//! ```text
//! GET key           key = value, or: no key
//! SET key value     key = value (was: old value)
//! DEL key           gone: value, or: no key
//! ```

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use ringway::net::{TcpListener, TcpStream};
use tokio_util::codec::{Framed, LinesCodec};

/// A longer line is an error, and ends the connection.
const LINE_MAX: usize = 64 * 1024;

/// A lock of std is enough: nobody awaits while holding it.
type Table = Arc<Mutex<HashMap<String, String>>>;

#[ringway::main]
async fn main() -> io::Result<()> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let listener = TcpListener::bind(&address).await?;
    println!("listening on {}", listener.local_addr()?);
    let table = Table::default();
    loop {
        let (stream, peer) = listener.accept().await?;
        let table = Arc::clone(&table);
        ringway::spawn(async move {
            if let Err(error) = serve(stream, &table).await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

async fn serve(
    stream: TcpStream,
    table: &Table,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut lines = Framed::new(stream, LinesCodec::new_with_max_length(LINE_MAX));
    while let Some(line) = lines.next().await {
        let answer = match Request::parse(&line?) {
            Ok(request) => request.answer(&mut table.lock().expect("nobody panics")),
            Err(complaint) => format!("error: {complaint}"),
        };
        lines.send(answer).await?;
    }
    Ok(())
}

/// What a client asks for.
enum Request {
    Get(String),
    Set(String, String),
    Delete(String),
}

impl Request {
    fn parse(line: &str) -> Result<Self, &'static str> {
        let mut words = line.splitn(3, ' ');
        let verb = words.next().unwrap_or_default();
        let key = words.next().map(str::to_owned);
        let value = words.next().map(str::to_owned);
        match (verb, key, value) {
            ("GET", Some(key), None) => Ok(Self::Get(key)),
            ("SET", Some(key), Some(value)) => Ok(Self::Set(key, value)),
            ("DEL", Some(key), None) => Ok(Self::Delete(key)),
            ("GET" | "DEL", ..) => Err("it takes one key"),
            ("SET", ..) => Err("it takes a key and a value"),
            _ => Err("GET, SET or DEL"),
        }
    }

    fn answer(self, table: &mut HashMap<String, String>) -> String {
        match self {
            Self::Get(key) => match table.get(&key) {
                Some(value) => format!("{key} = {value}"),
                None => format!("no {key}"),
            },
            Self::Set(key, value) => {
                let answer = format!("{key} = {value}");
                match table.insert(key, value) {
                    Some(old) => format!("{answer} (was: {old})"),
                    None => answer,
                }
            }
            Self::Delete(key) => match table.remove(&key) {
                Some(value) => format!("gone: {value}"),
                None => format!("no {key}"),
            },
        }
    }
}
