//! Scenarios of sockets, pipes and descriptors.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::OwnedFd;

use ringway::io::unix::AsyncFd;
use ringway::io::{AsyncReadExt, AsyncWriteExt, Interest};
use ringway::net::unix::pipe;
use ringway::net::{
    TcpListener, TcpSocket, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream,
};

use super::{Cut, cases, join, nothing, soon};

cases![
    tcp_bind,
    tcp_accept,
    tcp_connect,
    tcp_socket_connect,
    tcp_read,
    tcp_read_again_and_again,
    tcp_read_exact,
    tcp_write,
    tcp_write_all,
    tcp_peek,
    tcp_readable,
    tcp_ready,
    tcp_writable_when_full,
    tcp_async_io,
    tcp_shutdown,
    tcp_split_halves,
    udp_recv,
    udp_recv_from,
    udp_recv_buf_from,
    udp_peek,
    udp_peek_from,
    udp_peek_sender,
    udp_send,
    udp_send_to,
    udp_connect,
    unix_accept,
    unix_connect,
    unix_read,
    unix_write,
    unix_datagram_recv,
    unix_datagram_send_when_full,
    pipe_read,
    pipe_write_when_full,
    pipe_readable,
    async_fd_readable,
    async_fd_async_io,
];

pub(super) const LOCAL: &str = "127.0.0.1:0";

/// A connection, and the other end of it, which blocks.
pub(super) fn tcp() -> io::Result<(TcpStream, std::net::TcpStream)> {
    let listener = std::net::TcpListener::bind(LOCAL).expect("a port");
    let far = std::net::TcpStream::connect(listener.local_addr().expect("an address"));
    let (near, _) = listener.accept().expect("a connection");
    near.set_nonblocking(true).expect("an option");
    Ok((TcpStream::from_std(near)?, far.expect("a connection")))
}

pub(super) fn unix() -> io::Result<(UnixStream, std::os::unix::net::UnixStream)> {
    let (near, far) = std::os::unix::net::UnixStream::pair().expect("a pair");
    near.set_nonblocking(true).expect("an option");
    Ok((UnixStream::from_std(near)?, far))
}

pub(super) async fn udp() -> io::Result<(UdpSocket, std::net::UdpSocket)> {
    let near = UdpSocket::bind(LOCAL).await?;
    let far = std::net::UdpSocket::bind(LOCAL).expect("a port");
    far.connect(near.local_addr()?).expect("an address");
    near.connect(far.local_addr().expect("an address")).await?;
    Ok((near, far))
}

pub(super) fn say(mut to: impl Write) {
    to.write_all(b"word").expect("room");
}

pub(super) fn hear(mut from: impl Read) {
    let mut word = [0; 4];
    from.read_exact(&mut word).expect("four bytes");
    assert_eq!(&word, b"word");
}

/// Empties what the other end has sent so far, and says how much it was.
pub(super) fn drain(mut from: impl Read, least: usize) -> usize {
    let mut buffer = vec![0; 1 << 16];
    let mut all = 0;
    while all < least {
        all += from.read(&mut buffer).expect("bytes");
    }
    all
}

async fn tcp_bind(cut: &Cut) -> io::Result<()> {
    let bound = cut.at(TcpListener::bind(LOCAL), nothing).await;
    let listener = match bound {
        Some(listener) => listener?,
        None => TcpListener::bind(LOCAL).await?,
    };
    assert_ne!(listener.local_addr()?.port(), 0);
    Ok(())
}

async fn tcp_accept(cut: &Cut) -> io::Result<()> {
    let listener = TcpListener::bind(LOCAL).await?;
    let address = listener.local_addr()?;
    let mut far = None;
    let accepted = cut
        .at(listener.accept(), || {
            far = Some(std::net::TcpStream::connect(address).expect("a connection"));
        })
        .await;
    let (mut near, _) = match accepted {
        Some(accepted) => accepted?,
        None => soon(listener.accept()).await?,
    };
    say(far.as_ref().expect("it has connected"));
    let mut word = [0; 4];
    soon(near.read_exact(&mut word)).await.map(drop)
}

pub(super) fn std_listener() -> (std::net::TcpListener, SocketAddr) {
    let listener = std::net::TcpListener::bind(LOCAL).expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

async fn tcp_connect(cut: &Cut) -> io::Result<()> {
    let (_listener, address) = std_listener();
    let stream = match cut.at(TcpStream::connect(address), nothing).await {
        Some(stream) => stream?,
        None => soon(TcpStream::connect(address)).await?,
    };
    assert_eq!(stream.peer_addr()?, address);
    Ok(())
}

async fn tcp_socket_connect(cut: &Cut) -> io::Result<()> {
    let (_listener, address) = std_listener();
    let socket = TcpSocket::new_v4()?;
    if let Some(stream) = cut.at(socket.connect(address), nothing).await {
        assert_eq!(stream?.peer_addr()?, address);
    }
    Ok(())
}

async fn tcp_read(cut: &Cut) -> io::Result<()> {
    let (mut near, far) = tcp()?;
    let mut buffer = [0; 8];
    let read = cut.at(near.read(&mut buffer), || say(&far)).await;
    let count = match read {
        Some(count) => count?,
        None => soon(near.read(&mut buffer)).await?,
    };
    assert_eq!(&buffer[..count], b"word");
    Ok(())
}

async fn tcp_read_again_and_again(cut: &Cut) -> io::Result<()> {
    let (mut near, far) = tcp()?;
    let mut buffer = [0; 8];
    let mut all = Vec::new();
    for round in 0..6 {
        if round == 3 {
            let read = cut.at(near.read(&mut buffer), || say(&far)).await;
            let count = read.transpose()?.unwrap_or(0);
            all.extend_from_slice(&buffer[..count]);
            continue;
        }
        let mut far = far.try_clone().expect("a descriptor");
        let later = ringway::spawn(async move {
            ringway::task::yield_now().await;
            far.write_all(b"word").expect("room");
        });
        let count = soon(near.read(&mut buffer)).await?;
        all.extend_from_slice(&buffer[..count]);
        later.await.expect("the task");
    }
    while all.len() < 6 * 4 {
        let count = soon(near.read(&mut buffer)).await?;
        all.extend_from_slice(&buffer[..count]);
    }
    assert_eq!(all, b"word".repeat(6), "no byte is lost or doubled");
    Ok(())
}

/// Not cancel safe: what a cut one has read is gone. But no more than that.
async fn tcp_read_exact(cut: &Cut) -> io::Result<()> {
    let (mut near, far) = tcp()?;
    let mut buffer = [0; 4];
    match cut.at(near.read_exact(&mut buffer), || say(&far)).await {
        Some(result) => assert_eq!((result?, &buffer), (4, b"word")),
        None => {
            say(&far);
            soon(near.read_exact(&mut buffer)).await?;
            assert_eq!(&buffer, b"word");
        }
    }
    Ok(())
}

async fn tcp_write(cut: &Cut) -> io::Result<()> {
    let (mut near, far) = tcp()?;
    let written = cut.at(near.write(b"word"), nothing).await;
    if written.transpose()?.is_none() {
        soon(near.write_all(b"word")).await?;
    }
    hear(&far);
    Ok(())
}

async fn tcp_write_all(cut: &Cut) -> io::Result<()> {
    let (mut near, far) = tcp()?;
    let bytes = vec![7; 4 << 20];
    let mut reader = None;
    let written = cut
        .at(near.write_all(&bytes), || {
            let mut far = far.try_clone().expect("a descriptor");
            reader = Some(std::thread::spawn(move || {
                let mut all = Vec::new();
                far.read_to_end(&mut all).expect("bytes");
                all.len()
            }));
        })
        .await;
    near.shutdown().await.or_else(|_| {
        // The other end must not wait for ever for what a failing ring does not send.
        far.shutdown(Shutdown::Both)
    })?;
    drop(near);
    let heard = match reader {
        Some(reader) => Some(join(reader).await),
        None => None,
    };
    if let (Some(written), Some(heard)) = (written, heard) {
        written?;
        assert_eq!(heard, bytes.len());
    }
    Ok(())
}

async fn tcp_peek(cut: &Cut) -> io::Result<()> {
    let (mut near, far) = tcp()?;
    let mut buffer = [0; 8];
    cut.at(near.peek(&mut buffer), || say(&far))
        .await
        .transpose()?;
    soon(near.read_exact(&mut buffer[..4])).await?;
    assert_eq!(&buffer[..4], b"word");
    Ok(())
}

async fn tcp_readable(cut: &Cut) -> io::Result<()> {
    let (near, far) = tcp()?;
    cut.at(near.readable(), || say(&far)).await.transpose()?;
    soon(near.readable()).await?;
    let mut buffer = [0; 8];
    assert_eq!(near.try_read(&mut buffer)?, 4);
    Ok(())
}

async fn tcp_ready(cut: &Cut) -> io::Result<()> {
    let (near, far) = tcp()?;
    let interest = Interest::READABLE | Interest::WRITABLE;
    let ready = cut.at(near.ready(interest), || say(&far)).await;
    if let Some(ready) = ready.transpose()? {
        assert!(ready.is_writable() || ready.is_readable());
    }
    soon(near.readable()).await
}

async fn tcp_writable_when_full(cut: &Cut) -> io::Result<()> {
    let (near, far) = tcp()?;
    let mut sent = 0;
    let bytes = [1; 1 << 16];
    soon(near.writable()).await?;
    while let Ok(count) = near.try_write(&bytes) {
        sent += count;
    }
    cut.at(near.writable(), || {
        drain(&far, sent);
    })
    .await
    .transpose()?;
    soon(near.writable()).await?;
    Ok(())
}

async fn tcp_async_io(cut: &Cut) -> io::Result<()> {
    let (near, far) = tcp()?;
    let mut buffer = [0; 8];
    let read = cut
        .at(
            near.async_io(Interest::READABLE, || near.try_read(&mut buffer)),
            || say(&far),
        )
        .await;
    if read.transpose()?.is_none() {
        soon(near.readable()).await?;
    }
    Ok(())
}

async fn tcp_shutdown(cut: &Cut) -> io::Result<()> {
    let (mut near, mut far) = tcp()?;
    if cut
        .at(near.shutdown(), nothing)
        .await
        .transpose()?
        .is_none()
    {
        near.shutdown().await?;
    }
    assert_eq!(far.read(&mut [0; 4]).expect("the end"), 0);
    Ok(())
}

async fn tcp_split_halves(cut: &Cut) -> io::Result<()> {
    let (near, far) = tcp()?;
    let (mut read, mut write) = near.into_split();
    let mut buffer = [0; 4];
    let both = async {
        write.write_all(b"word").await?;
        read.readable().await
    };
    let done = cut.at(both, || say(&far)).await;
    if done.transpose()?.is_none() {
        soon(write.write_all(b"word")).await?;
    }
    hear(&far);
    soon(read.read_exact(&mut buffer)).await?;
    assert_eq!(&buffer, b"word");
    drop(write);
    Ok(())
}

async fn udp_recv(cut: &Cut) -> io::Result<()> {
    let (near, far) = udp().await?;
    let mut buffer = [0; 8];
    let send = || assert_eq!(far.send(b"word").expect("room"), 4);
    let count = match cut.at(near.recv(&mut buffer), send).await {
        Some(count) => count?,
        None => soon(near.recv(&mut buffer)).await?,
    };
    assert_eq!(&buffer[..count], b"word");
    Ok(())
}

async fn udp_recv_from(cut: &Cut) -> io::Result<()> {
    let (near, far) = udp().await?;
    let mut buffer = [0; 8];
    let send = || assert_eq!(far.send(b"word").expect("room"), 4);
    let (count, from) = match cut.at(near.recv_from(&mut buffer), send).await {
        Some(received) => received?,
        None => soon(near.recv_from(&mut buffer)).await?,
    };
    assert_eq!((&buffer[..count], from), (&b"word"[..], far.local_addr()?));
    Ok(())
}

async fn udp_recv_buf_from(cut: &Cut) -> io::Result<()> {
    let (near, far) = udp().await?;
    let mut buffer = Vec::with_capacity(8);
    let send = || assert_eq!(far.send(b"word").expect("room"), 4);
    match cut.at(near.recv_buf_from(&mut buffer), send).await {
        Some(received) => received.map(drop)?,
        None => soon(near.recv_buf_from(&mut buffer)).await.map(drop)?,
    }
    assert_eq!(buffer, b"word");
    Ok(())
}

async fn udp_peek(cut: &Cut) -> io::Result<()> {
    let (near, far) = udp().await?;
    let mut buffer = [0; 8];
    let send = || assert_eq!(far.send(b"word").expect("room"), 4);
    cut.at(near.peek(&mut buffer), send).await.transpose()?;
    assert_eq!(soon(near.recv(&mut buffer)).await?, 4);
    Ok(())
}

async fn udp_peek_from(cut: &Cut) -> io::Result<()> {
    let (near, far) = udp().await?;
    let mut buffer = [0; 8];
    let send = || assert_eq!(far.send(b"word").expect("room"), 4);
    cut.at(near.peek_from(&mut buffer), send)
        .await
        .transpose()?;
    assert_eq!(soon(near.recv(&mut buffer)).await?, 4);
    Ok(())
}

async fn udp_peek_sender(cut: &Cut) -> io::Result<()> {
    let (near, far) = udp().await?;
    let send = || assert_eq!(far.send(b"word").expect("room"), 4);
    cut.at(near.peek_sender(), send).await.transpose()?;
    assert_eq!(soon(near.peek_sender()).await?, far.local_addr()?);
    Ok(())
}

async fn udp_send(cut: &Cut) -> io::Result<()> {
    let (near, far) = udp().await?;
    if cut
        .at(near.send(b"word"), nothing)
        .await
        .transpose()?
        .is_none()
    {
        soon(near.send(b"word")).await?;
    }
    assert_eq!(far.recv(&mut [0; 8])?, 4);
    Ok(())
}

async fn udp_send_to(cut: &Cut) -> io::Result<()> {
    let near = UdpSocket::bind(LOCAL).await?;
    let far = std::net::UdpSocket::bind(LOCAL).expect("a port");
    let to = far.local_addr().expect("an address");
    let sent = cut.at(near.send_to(b"word", to), nothing).await;
    if sent.transpose()?.is_none() {
        soon(near.send_to(b"word", to)).await?;
    }
    assert_eq!(far.recv(&mut [0; 8])?, 4);
    Ok(())
}

async fn udp_connect(cut: &Cut) -> io::Result<()> {
    let near = UdpSocket::bind(LOCAL).await?;
    let far = std::net::UdpSocket::bind(LOCAL).expect("a port");
    let to = far.local_addr().expect("an address");
    if cut
        .at(near.connect(to), nothing)
        .await
        .transpose()?
        .is_none()
    {
        near.connect(to).await?;
    }
    assert_eq!(near.peer_addr()?, to);
    Ok(())
}

async fn unix_accept(cut: &Cut) -> io::Result<()> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path)?;
    let mut far = None;
    let accepted = cut
        .at(listener.accept(), || {
            let stream = std::os::unix::net::UnixStream::connect(&path);
            far = Some(stream.expect("a connection"));
        })
        .await;
    let (near, _) = match accepted {
        Some(accepted) => accepted?,
        None => soon(listener.accept()).await?,
    };
    say(far.as_ref().expect("it has connected"));
    soon(near.readable()).await
}

async fn unix_connect(cut: &Cut) -> io::Result<()> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&path).expect("a name");
    match cut.at(UnixStream::connect(&path), nothing).await {
        Some(stream) => stream.map(drop),
        None => soon(UnixStream::connect(&path)).await.map(drop),
    }
}

async fn unix_read(cut: &Cut) -> io::Result<()> {
    let (mut near, far) = unix()?;
    let mut buffer = [0; 8];
    let count = match cut.at(near.read(&mut buffer), || say(&far)).await {
        Some(count) => count?,
        None => soon(near.read(&mut buffer)).await?,
    };
    assert_eq!(&buffer[..count], b"word");
    Ok(())
}

async fn unix_write(cut: &Cut) -> io::Result<()> {
    let (mut near, far) = unix()?;
    if cut
        .at(near.write(b"word"), nothing)
        .await
        .transpose()?
        .is_none()
    {
        soon(near.write_all(b"word")).await?;
    }
    hear(&far);
    Ok(())
}

async fn unix_datagram_recv(cut: &Cut) -> io::Result<()> {
    let (near, far) = UnixDatagram::pair()?;
    let mut buffer = [0; 8];
    let send = || assert_eq!(far.try_send(b"word").expect("room"), 4);
    let count = match cut.at(near.recv(&mut buffer), send).await {
        Some(count) => count?,
        None => soon(near.recv(&mut buffer)).await?,
    };
    assert_eq!(&buffer[..count], b"word");
    Ok(())
}

async fn unix_datagram_send_when_full(cut: &Cut) -> io::Result<()> {
    let (near, far) = UnixDatagram::pair()?;
    let mut sent = 0;
    while near.try_send(b"word").is_ok() {
        sent += 1;
    }
    let receive = || {
        for _ in 0..sent {
            assert_eq!(far.try_recv(&mut [0; 8]).expect("a message"), 4);
        }
    };
    if cut
        .at(near.send(b"word"), receive)
        .await
        .transpose()?
        .is_none()
    {
        soon(near.send(b"word")).await?;
    }
    soon(far.recv(&mut [0; 8])).await.map(drop)
}

async fn pipe_read(cut: &Cut) -> io::Result<()> {
    let (write, mut read) = pipe::pipe()?;
    let mut buffer = [0; 8];
    let event = || assert_eq!(write.try_write(b"word").expect("room"), 4);
    let count = match cut.at(read.read(&mut buffer), event).await {
        Some(count) => count?,
        None => soon(read.read(&mut buffer)).await?,
    };
    assert_eq!(&buffer[..count], b"word");
    Ok(())
}

async fn pipe_write_when_full(cut: &Cut) -> io::Result<()> {
    let (mut write, read) = pipe::pipe()?;
    let mut room = 0;
    while let Ok(count) = write.try_write(&[0; 4096]) {
        room += count;
    }
    let event = || {
        let mut buffer = vec![0; room];
        assert_eq!(read.try_read(&mut buffer).expect("bytes"), room);
    };
    if cut
        .at(write.write(b"word"), event)
        .await
        .transpose()?
        .is_none()
    {
        soon(write.write_all(b"word")).await?;
    }
    soon(read.readable()).await
}

async fn pipe_readable(cut: &Cut) -> io::Result<()> {
    let (write, read) = pipe::pipe()?;
    let event = || assert_eq!(write.try_write(b"word").expect("room"), 4);
    cut.at(read.readable(), event).await.transpose()?;
    soon(read.readable()).await?;
    assert_eq!(read.try_read(&mut [0; 8])?, 4);
    Ok(())
}

fn async_fd() -> io::Result<(AsyncFd<OwnedFd>, std::os::unix::net::UnixStream)> {
    let (near, far) = std::os::unix::net::UnixStream::pair().expect("a pair");
    near.set_nonblocking(true).expect("an option");
    #[expect(deprecated, reason = "a test without unsafe code")]
    let near = AsyncFd::new(OwnedFd::from(near));
    Ok((near?, far))
}

async fn async_fd_readable(cut: &Cut) -> io::Result<()> {
    let (near, far) = async_fd()?;
    cut.at(near.readable(), || say(&far)).await.transpose()?;
    soon(near.readable()).await.map(drop)
}

async fn async_fd_async_io(cut: &Cut) -> io::Result<()> {
    let (near, far) = async_fd()?;
    let read = |fd: &OwnedFd| rustix::io::read(fd, &mut [0; 8]).map_err(io::Error::from);
    let done = cut
        .at(near.async_io(Interest::READABLE, read), || say(&far))
        .await;
    if done.transpose()?.is_none() {
        soon(near.readable()).await?.clear_ready();
    }
    Ok(())
}
