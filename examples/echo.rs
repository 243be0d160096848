//! `cargo run --example echo -- 127.0.0.1:8080`
//!
//! Sends back what it gets, on any number of connections at once. Try it with `connect`.

use std::io;

use ringway::io::{AsyncReadExt, AsyncWriteExt};
use ringway::net::{TcpListener, TcpStream};

/// Bytes that are read at a time.
const CHUNK: usize = 16 * 1024;

#[ringway::main]
async fn main() -> io::Result<()> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let listener = TcpListener::bind(&address).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, peer) = listener.accept().await?;
        // A task for each connection: one that is slow holds up nobody.
        ringway::spawn(async move {
            if let Err(error) = send_back(stream).await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

async fn send_back(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        // Zero is the end of what the peer has to say.
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}
