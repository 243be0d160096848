//! Sockets, and the futures of all their functions, can be sent to and shared with other threads, as tokio's.

use std::net::SocketAddr;
use std::panic::{RefUnwindSafe, UnwindSafe};

use ringway::io::unix::{AsyncFd, AsyncFdReadyGuard, AsyncFdReadyMutGuard};
use ringway::io::{Interest, Ready};
use ringway::net::tcp::{self, OwnedReadHalf, OwnedWriteHalf};
use ringway::net::unix::{self, pipe};
use ringway::net::{
    Datagram, Incoming, Received, RecvBatch, Splice, SpliceBidirectional, TcpListener, TcpSocket,
    TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixSocket, UnixStream, lookup_host, splice,
    splice_bidirectional,
};

fn value<T: Send + Sync + Unpin>() {}

fn value_after_panic<T: UnwindSafe + RefUnwindSafe>() {}

fn future<F: Future + Send + Sync>(_: impl FnOnce() -> F) {}

#[test]
fn types_are_send_sync_and_unpin() {
    value::<AsyncFd<TcpStream>>();
    value::<AsyncFdReadyGuard<'_, TcpStream>>();
    value::<AsyncFdReadyMutGuard<'_, TcpStream>>();
    value::<Datagram<'_>>();
    value::<Incoming<'_, TcpStream>>();
    value::<Interest>();
    value::<Ready>();
    value::<Received<'_>>();
    value::<RecvBatch>();
    value::<Splice<'_, OwnedReadHalf, OwnedWriteHalf>>();
    value::<SpliceBidirectional<'_, TcpStream, UnixStream>>();
    value::<TcpListener>();
    value::<TcpSocket>();
    value::<TcpStream>();
    value::<UdpSocket>();
    value::<UnixDatagram>();
    value::<UnixListener>();
    value::<UnixSocket>();
    value::<UnixStream>();
    value::<pipe::OpenOptions>();
    value::<pipe::Receiver>();
    value::<pipe::Sender>();
    value::<tcp::OwnedReadHalf>();
    value::<tcp::OwnedWriteHalf>();
    value::<tcp::ReadHalf<'_>>();
    value::<tcp::ReuniteError>();
    value::<tcp::WriteHalf<'_>>();
    value::<unix::OwnedReadHalf>();
    value::<unix::OwnedWriteHalf>();
    value::<unix::ReadHalf<'_>>();
    value::<unix::ReuniteError>();
    value::<unix::SocketAddr>();
    value::<unix::UCred>();
    value::<unix::WriteHalf<'_>>();
}

#[test]
fn types_may_be_used_after_a_panic_as_those_of_tokio() {
    value_after_panic::<Interest>();
    value_after_panic::<Ready>();
    value_after_panic::<TcpListener>();
    value_after_panic::<TcpSocket>();
    value_after_panic::<TcpStream>();
    value_after_panic::<UdpSocket>();
    value_after_panic::<UnixDatagram>();
    value_after_panic::<UnixListener>();
    value_after_panic::<UnixSocket>();
    value_after_panic::<UnixStream>();
    value_after_panic::<pipe::OpenOptions>();
    value_after_panic::<pipe::Receiver>();
    value_after_panic::<pipe::Sender>();
    value_after_panic::<tcp::OwnedReadHalf>();
    value_after_panic::<tcp::OwnedWriteHalf>();
    value_after_panic::<tcp::ReadHalf<'_>>();
    value_after_panic::<tcp::WriteHalf<'_>>();
    value_after_panic::<unix::SocketAddr>();
    value_after_panic::<unix::UCred>();
}

/// Nothing is called: that it compiles is the assertion.
#[test]
fn futures_are_send_and_sync() {
    const HERE: &str = "localhost:0";
    let call = || -> std::io::Result<()> { Ok(()) };
    future(|| lookup_host(HERE));
    future(|| TcpListener::bind(HERE));
    future(|| TcpListener::bind_per_worker(HERE));
    future(|| TcpStream::connect(HERE));
    future(|| UdpSocket::bind(HERE));
    future(|| UdpSocket::bind_per_worker(HERE));
    future(|| UnixStream::connect(HERE));

    fn of_listeners(tcp: &TcpListener, unix: &UnixListener, socket: TcpSocket, to: SocketAddr) {
        future(|| tcp.accept());
        future(|| unix.accept());
        future(|| async { tcp.incoming().next().await.map(drop) });
        future(|| async { unix.incoming().next().await.map(drop) });
        future(|| socket.connect(to));
    }
    let of_streams = |tcp: &TcpStream, unix: &UnixStream, fd: &AsyncFd<TcpStream>| {
        future(|| tcp.readable());
        future(|| tcp.writable());
        future(|| tcp.ready(Interest::READABLE));
        future(|| tcp.async_io(Interest::READABLE, call));
        future(|| unix.ready(Interest::READABLE));
        future(|| unix.async_io(Interest::READABLE, call));
        future(|| fd.readable());
        future(|| fd.async_io(Interest::READABLE, |_| call()));
    };
    fn of_messages(udp: &UdpSocket, unix: &UnixDatagram, batch: &mut RecvBatch, room: &mut [u8]) {
        future(|| udp.send_to(b"", HERE));
        future(|| udp.send(b""));
        future(|| async { udp.send_many(&[Datagram::new(b"")]).await });
        future(|| udp.recv_many(batch));
        future(|| udp.recv_from(room));
        future(|| udp.peek_sender());
        future(|| unix.send(b""));
        future(|| unix.send_to(b"", HERE));
    }
    fn of_both(one: &mut TcpStream, two: &mut UnixStream) {
        future(|| splice(one, two));
    }
    fn of_both_ways(one: &mut TcpStream, two: &mut UnixStream) {
        future(|| splice_bidirectional(one, two));
    }
    let _ = (of_listeners, of_streams, of_messages, of_both, of_both_ways);
}
