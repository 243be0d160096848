//! `cargo run --example proxy -- 127.0.0.1:8081 127.0.0.1:8080`
//!
//! Passes each connection on to a server, which is the second address, both ways.

use std::io;

use ringway::io::copy_bidirectional;
use ringway::net::{TcpListener, TcpStream};

#[ringway::main]
async fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, server] = &arguments[..] else {
        return Err(io::Error::other("usage: proxy ADDRESS SERVER"));
    };
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (client, peer) = listener.accept().await?;
        let server = server.clone();
        ringway::spawn(async move {
            match pass_on(client, &server).await {
                Ok((there, back)) => eprintln!("{peer}: {there} bytes there, {back} back"),
                Err(error) => eprintln!("{peer}: {error}"),
            }
        });
    }
}

/// Until both have closed their direction: one that is closed closes the other end's, and the other goes on.
async fn pass_on(mut client: TcpStream, server: &str) -> io::Result<(u64, u64)> {
    let mut server = TcpStream::connect(server).await?;
    copy_bidirectional(&mut client, &mut server).await
}
