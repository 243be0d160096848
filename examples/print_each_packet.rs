//! `cargo run --example print_each_packet -- 127.0.0.1:8080`
//!
//! Shows what comes over each connection, as it comes: a codec of tokio-util turns the stream of bytes into a stream of
//! packets, on our sockets as on tokio's.

use std::io;

use futures_util::StreamExt;
use ringway::net::{TcpListener, TcpStream};
use tokio_util::codec::{BytesCodec, FramedRead};

#[ringway::main]
async fn main() -> io::Result<()> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let listener = TcpListener::bind(&address).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, peer) = listener.accept().await?;
        ringway::spawn(async move {
            match print_packets(stream).await {
                Ok(()) => println!("{peer} has gone"),
                Err(error) => println!("{peer}: {error}"),
            }
        });
    }
}

async fn print_packets(stream: TcpStream) -> io::Result<()> {
    let mut packets = FramedRead::new(stream, BytesCodec::new());
    while let Some(packet) = packets.next().await {
        println!("{:?}", packet?);
    }
    Ok(())
}
