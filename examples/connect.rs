//! `cargo run --example connect -- 127.0.0.1:8080`
//!
//! Connects standard input and output with a server: what is typed goes out, what comes in is shown. With `--udp` before
//! the address each line is a message.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use ringway::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy, stdin, stdout};
use ringway::net::{TcpStream, UdpSocket};

/// No message over UDP is longer.
const MESSAGE_MAX: usize = 64 * 1024;

#[ringway::main]
async fn main() -> io::Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let udp = arguments.iter().position(|argument| argument == "--udp");
    let udp = udp.map(|place| arguments.remove(place)).is_some();
    let [address] = &arguments[..] else {
        return Err(io::Error::other("usage: connect [--udp] ADDRESS"));
    };
    if udp {
        let address = address.parse().map_err(io::Error::other)?;
        talk_by_messages(address).await
    } else {
        talk(TcpStream::connect(address).await?).await
    }
}

async fn talk(stream: TcpStream) -> io::Result<()> {
    let (mut from_peer, mut to_peer) = stream.into_split();
    let sending = async {
        copy(&mut stdin(), &mut to_peer).await?;
        // The peer sees the end of our input, and may go on talking.
        to_peer.shutdown().await
    };
    let showing = async {
        let mut out = stdout();
        copy(&mut from_peer, &mut out).await?;
        out.flush().await
    };
    ringway::try_join!(sending, showing)?;
    Ok(())
}

async fn talk_by_messages(peer: SocketAddr) -> io::Result<()> {
    let any: SocketAddr = match peer {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(peer).await?;
    let mut lines = BufReader::new(stdin()).lines();
    let mut out = stdout();
    let mut message = vec![0; MESSAGE_MAX];
    loop {
        // Neither loses anything when the other is first.
        ringway::select! {
            line = lines.next_line() => match line? {
                Some(line) => _ = socket.send(line.as_bytes()).await?,
                None => return out.flush().await,
            },
            count = socket.recv(&mut message) => {
                out.write_all(&message[..count?]).await?;
                out.write_all(b"\n").await?;
                out.flush().await?;
            }
        }
    }
}
