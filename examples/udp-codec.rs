//! `cargo run --example udp-codec`
//!
//! Two tasks send each other messages over UDP, which a codec turns into datagrams and back. What is lost is sent again.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use ringway::net::UdpSocket;
use ringway::time::timeout;
use tokio_util::codec::{Decoder, Encoder, LinesCodec};

/// How often the ball goes there and back.
const ROUNDS: u32 = 4;
/// A message that has no answer after this time is sent again.
const PATIENCE: Duration = Duration::from_millis(200);
/// No datagram is longer.
const DATAGRAM_MAX: usize = 2048;

#[ringway::main]
async fn main() -> io::Result<()> {
    let mut one = Peer::bind().await?;
    let mut other = Peer::bind().await?;
    let (one_is_at, other_is_at) = (one.socket.local_addr()?, other.socket.local_addr()?);

    let answering = ringway::spawn(async move {
        loop {
            let (message, peer) = other.receive().await?;
            println!("{other_is_at} heard {message}");
            other.send(&message.replace("ping", "pong"), peer).await?;
        }
        #[expect(unreachable_code, reason = "says what the block's errors are")]
        io::Result::Ok(())
    });
    for round in 0..ROUNDS {
        let (answer, _) = loop {
            one.send(&format!("ping {round}"), other_is_at).await?;
            if let Ok(answer) = timeout(PATIENCE, one.receive()).await {
                break answer?;
            }
        };
        println!("{one_is_at} heard {answer}");
    }
    answering.abort();
    Ok(())
}

/// A socket whose datagrams are lines.
struct Peer {
    socket: UdpSocket,
    codec: LinesCodec,
}

impl Peer {
    async fn bind() -> io::Result<Self> {
        Ok(Self {
            socket: UdpSocket::bind("127.0.0.1:0").await?,
            codec: LinesCodec::new(),
        })
    }

    async fn send(&mut self, message: &str, peer: SocketAddr) -> io::Result<()> {
        let mut datagram = BytesMut::new();
        self.codec
            .encode(message, &mut datagram)
            .map_err(io::Error::other)?;
        self.socket.send_to(&datagram, peer).await.map(drop)
    }

    /// The next message. A datagram that holds none is passed over.
    async fn receive(&mut self) -> io::Result<(String, SocketAddr)> {
        let mut datagram = BytesMut::with_capacity(DATAGRAM_MAX);
        loop {
            datagram.clear();
            let (_, peer) = self.socket.recv_buf_from(&mut datagram).await?;
            if let Ok(Some(message)) = self.codec.decode(&mut datagram) {
                return Ok((message, peer));
            }
        }
    }
}
