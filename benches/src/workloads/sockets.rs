//! Sockets of other kinds than those of [`net`](super::net): Unix, UDP, large messages, a stream, connections that come
//! and go. The clients are in another process, but for the stream's.

use std::io;
use std::sync::Arc;

use socket2::SockRef;

use super::{on_worker, rt, runtime};
use crate::Run;
use crate::clients::{Clients, Load};
use crate::gauges::{Figure, Promise};
use crate::meter::Memory;
use rt::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use rt::net::{TcpListener, TcpSocket, UdpSocket, UnixListener};

/// Messages echoed in a batch, over all connections together.
pub const ECHOES: u64 = 2_048;

/// Large messages echoed in a batch.
pub const LARGE_ECHOES: u64 = 256;

/// Large messages echoed in a batch over so many connections that each of them has some.
pub const LARGE_MANY: u64 = 8_192;

/// Connections accepted in a batch.
pub const ACCEPTS: u64 = 512;

/// Pieces of a stream in a batch.
pub const PIECES: u64 = 1_024;

/// Length of a message.
pub const MESSAGE_BYTES: usize = 64;

/// Length of a large message, and of a piece of a stream.
pub const LARGE_BYTES: usize = 64 * 1_024;

/// A congestion control that every kernel has, and that does not pace what it sends.
pub const UNPACED: &[u8] = b"reno";

/// Clients that make connections: so many are under way at once.
pub const COMING: usize = 32;

/// Clients that send datagrams, each of which has one under way.
pub const SENDERS: usize = 64;

/// A server's buffer for a connection: larger than a message, as it is in most programs.
const BUFFER_BYTES: usize = 1_024;

/// Connections that are idle at once.
const IDLE: usize = 10_000;

/// Echoes messages over so many Unix connections.
pub fn echo_unix(connections: usize) -> Run {
    over_unix(Load::Unix(MESSAGE_BYTES), BUFFER_BYTES, connections, ECHOES)
}

/// Echoes large messages over so many Unix connections, as [`echo_large`].
pub fn echo_unix_large(connections: usize) -> Run {
    let load = Load::Unix(LARGE_BYTES);
    over_unix(load, LARGE_BYTES, connections, large_batch_of(connections))
}

fn over_unix(load: Load, buffer_bytes: usize, connections: usize, batch: u64) -> Run {
    let runtime = runtime();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("echo");
    let listener = runtime
        .block_on(async { UnixListener::bind(&path) })
        .unwrap();
    runtime.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            rt::spawn(echo_all(stream, buffer_bytes));
        }
    });
    let mut clients = Clients::start(load, path.to_str().unwrap(), connections);
    Box::new(move |batches| {
        let _alive = (&runtime, &folder);
        clients.exchange(batches * batch);
    })
}

/// Echoes large messages over so many TCP connections.
///
/// Of the clients, 512 at most have a message under way, and take turns: 8,000 would have half a gigabyte in each direction in
/// the kernel's buffers, which is more than it gives to TCP before it holds senders back. The server has a buffer of
/// [`LARGE_BYTES`] for each connection all the same: half a gigabyte for 8,000.
pub fn echo_large(connections: usize) -> Run {
    let runtime = runtime();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    runtime.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            rt::spawn(echo_all(stream, LARGE_BYTES));
        }
    });
    let mut clients = Clients::start(Load::Tcp(LARGE_BYTES), &address, connections);
    let batch = large_batch_of(connections);
    Box::new(move |batches| {
        let _alive = &runtime;
        clients.exchange(batches * batch);
    })
}

/// Large messages echoed in a batch over `connections`.
pub fn large_batch_of(connections: usize) -> u64 {
    match connections as u64 > LARGE_ECHOES * 4 {
        true => LARGE_MANY,
        false => LARGE_ECHOES,
    }
}

async fn echo_all(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: usize) {
    let mut buffer = vec![0; bytes];
    loop {
        let length = stream.read(&mut buffer).await.unwrap();
        if length == 0 {
            return;
        }
        stream.write_all(&buffer[..length]).await.unwrap();
    }
}

/// Accepts connections and closes them.
pub fn accept() -> Run {
    let runtime = runtime();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    runtime.spawn(async move {
        loop {
            drop(listener.accept().await.unwrap());
        }
    });
    let mut clients = Clients::start(Load::Connect, &address, COMING);
    Box::new(move |batches| {
        let _alive = &runtime;
        clients.exchange(batches * ACCEPTS);
    })
}

/// Receives datagrams and answers each in a task of its own.
pub fn datagrams() -> Run {
    let runtime = runtime();
    let socket = runtime.block_on(UdpSocket::bind("127.0.0.1:0")).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    runtime.spawn(async move {
        let socket = Arc::new(socket);
        let mut buffer = [0; BUFFER_BYTES];
        loop {
            let (length, sender) = socket.recv_from(&mut buffer).await.unwrap();
            let (socket, message) = (Arc::clone(&socket), buffer[..length].to_vec());
            rt::spawn(async move { socket.send_to(&message, sender).await.unwrap() });
        }
    });
    let mut clients = Clients::start(Load::Datagram(MESSAGE_BYTES), &address, SENDERS);
    Box::new(move |batches| {
        let _alive = &runtime;
        clients.exchange(batches * ECHOES);
    })
}

/// One task writes a stream, another reads it.
pub fn stream() -> Run {
    stream_with(|_| Ok(()))
}

/// The same, with a congestion control that does not pace what it sends by timers. It is chosen before the socket is
/// connected: a socket that has begun to pace goes on with it.
pub fn stream_reno() -> Run {
    stream_with(|writer| writer.set_tcp_congestion(UNPACED))
}

fn stream_with(prepare: fn(SockRef<'_>) -> io::Result<()>) -> Run {
    on_worker(move |batches| async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        prepare(SockRef::from(&socket)).unwrap();
        let mut writer = socket.connect(address).await.unwrap();
        let (mut reader, _) = listener.accept().await.unwrap();
        let pieces = batches * PIECES;
        let writing = rt::spawn(async move {
            let piece = vec![7; LARGE_BYTES];
            for _ in 0..pieces {
                writer.write_all(&piece).await.unwrap();
            }
        });
        let mut piece = vec![0; LARGE_BYTES];
        for _ in 0..pieces {
            reader.read_exact(&mut piece).await.unwrap();
        }
        writing.await.unwrap();
    })
}

/// The memory of connections whose tasks wait for bytes that never come.
pub fn idle_connections() -> Vec<Figure> {
    /// What a program gives of its own to a connection: its heap's share is counted too.
    const ROOM: usize = 1;
    let runtime = runtime();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let accepting = runtime.spawn(async move {
        let mut before = Memory::now();
        for number in 0..=IDLE {
            // The first one pays for what all share.
            if number == 1 {
                before = Memory::now();
            }
            let (mut stream, _) = listener.accept().await.unwrap();
            rt::spawn(async move { stream.read(&mut [0; ROOM]).await.map(drop) });
        }
        for _ in 0..IDLE {
            rt::task::yield_now().await;
        }
        (before, Memory::now())
    });
    let clients = Clients::start(Load::Tcp(MESSAGE_BYTES), &address, IDLE + 1);
    let (before, after) = runtime.block_on(accepting).unwrap();
    drop(clients);
    let each = |bytes: u64| bytes as f64 / IDLE as f64;
    vec![
        Figure::new("on the heap", "B", each(after.heap - before.heap))
            .promised(Promise::Value(1_024.0)),
        Figure::new("resident", "B", each(after.resident - before.resident))
            .promised(Promise::Value(1_024.0)),
    ]
}
