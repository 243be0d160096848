//! The cases. Each is a name and what came of it, as text that has the kind and the number of an error.

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::rt;
use rt::io::{AsyncReadExt, AsyncWriteExt, Interest};
use rt::net::unix::pipe;
use rt::net::{
    TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixSocket, UnixStream,
};

/// No case takes as long; one that does hangs.
const PATIENCE: Duration = Duration::from_secs(20);

type Results = Vec<(&'static str, String)>;

/// Runs all cases.
pub(crate) fn all() -> Results {
    let runtime = rt::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let mut results = Vec::new();
    let cases = async {
        connections(&mut results).await;
        tcp_ends(&mut results).await;
        tcp_resets(&mut results).await;
        halves(&mut results).await;
        datagrams(&mut results).await;
        unix_streams(&mut results).await;
        unix_datagrams(&mut results).await;
        pipes(&mut results).await;
    };
    let finished = runtime.block_on(async { rt::time::timeout(PATIENCE, cases).await });
    assert!(finished.is_ok(), "it hangs after {:?}", results.last());
    results
}

fn told<T: Debug>(result: io::Result<T>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        // The kernel has said so, or it was known without asking.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => "WouldBlock".to_owned(),
        Err(error) => format!("{:?} {:?}", error.kind(), error.raw_os_error()),
    }
}

async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (client, server) = rt::join!(TcpStream::connect(address), listener.accept());
    (client.unwrap(), server.unwrap().0)
}

/// Writes until the kernel says that nobody reads.
async fn write_until_error(stream: &mut (impl AsyncWriteExt + Unpin)) -> io::Result<()> {
    loop {
        stream.write_all(&[7; 1024]).await?;
        rt::task::yield_now().await;
    }
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

async fn connections(results: &mut Results) {
    results.push((
        "connect: nobody listens",
        told(TcpStream::connect(nobody()).await.map(drop)),
    ));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = listener.local_addr().unwrap();
    results.push((
        "bind: taken",
        told(TcpListener::bind(taken).await.map(drop)),
    ));
    results.push((
        "bind: not ours",
        told(TcpListener::bind("192.0.2.1:0").await.map(drop)),
    ));
    results.push((
        "bind: no address",
        told(TcpListener::bind("nonsense").await.map(drop)),
    ));
    let none: &[SocketAddr] = &[];
    results.push((
        "connect: no address",
        told(TcpStream::connect(none).await.map(drop)),
    ));
    // The client has reset its connection before anybody has accepted it.
    let early = std::net::TcpStream::connect(taken).unwrap();
    socket2::SockRef::from(&early)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(early);
    let accepted = listener.accept().await;
    results.push((
        "accept: was reset",
        told(accepted.as_ref().map(|_| ()).map_err(copy)),
    ));
    let (mut accepted, _) = accepted.unwrap();
    results.push((
        "read: was reset before",
        told(accepted.read(&mut [0; 8]).await),
    ));
    results.push(("peer_addr: was reset", told(accepted.peer_addr().map(drop))));
}

fn copy(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => error.kind().into(),
    }
}

async fn tcp_ends(results: &mut Results) {
    let (mut client, mut server) = tcp_pair().await;
    results.push(("write: nothing", told(client.write(&[]).await)));
    results.push((
        "try_read: nothing there",
        told(server.try_read(&mut [0; 8])),
    ));
    client.write_all(b"last").await.unwrap();
    server.readable().await.unwrap();
    results.push(("read: no room", told(server.read(&mut []).await)));
    client.shutdown().await.unwrap();
    let mut bytes = Vec::new();
    results.push((
        "read: to the end",
        told(server.read_to_end(&mut bytes).await),
    ));
    results.push(("read: after the end", told(server.read(&mut [0; 8]).await)));
    results.push((
        "read_exact: after the end",
        told(server.read_exact(&mut [0; 8]).await),
    ));
    results.push((
        "try_read: after the end",
        told(server.try_read(&mut [0; 8])),
    ));
    results.push(("write: after the own end", told(client.write(b"x").await)));
    results.push(("try_write: after the own end", told(client.try_write(b"x"))));
    results.push(("shutdown: again", told(client.shutdown().await)));
    results.push((
        "write: other half is open",
        told(server.write(b"answer").await),
    ));
    results.push((
        "read: other half is open",
        told(client.read(&mut [0; 8]).await),
    ));
    let ready = server
        .ready(Interest::READABLE)
        .await
        .map(|ready| ready.is_read_closed());
    results.push(("ready: after the end", told(ready)));
    drop(server);
    results.push(("read: peer is gone", told(client.read(&mut [0; 8]).await)));
}

async fn tcp_resets(results: &mut Results) {
    let (client, mut server) = tcp_pair().await;
    let reading = rt::spawn(async move {
        let first = server.read(&mut [0; 8]).await;
        (first, server)
    });
    socket2::SockRef::from(&client)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(client);
    let (first, mut server) = reading.await.unwrap();
    results.push(("read: reset", told(first)));
    results.push((
        "read: after the reset",
        told(server.read(&mut [0; 8]).await),
    ));
    results.push(("write: after the reset", told(server.write(b"x").await)));
    results.push(("shutdown: after the reset", told(server.shutdown().await)));
    results.push((
        "take_error: after the reset",
        told(server.take_error().map(|error| error.is_some())),
    ));
    results.push(("readable: after the reset", told(server.readable().await)));
    results.push(("writable: after the reset", told(server.writable().await)));
    results.push((
        "peek: after the reset",
        told(server.peek(&mut [0; 8]).await),
    ));

    // A peer that closes with unread bytes resets.
    let (mut client, server) = tcp_pair().await;
    client.write_all(b"unread").await.unwrap();
    server.readable().await.unwrap();
    drop(server);
    results.push((
        "read: unread bytes at the peer",
        told(client.read(&mut [0; 8]).await),
    ));

    let (mut client, server) = tcp_pair().await;
    drop(server);
    let error = write_until_error(&mut client)
        .await
        .map_err(|error| error.kind());
    let is_gone = matches!(
        error,
        Err(io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
    );
    results.push(("write: peer is gone", is_gone.to_string()));
    results.push(("write: and again", told(client.write(b"x").await)));
}

async fn halves(results: &mut Results) {
    let (client, mut server) = tcp_pair().await;
    let (reader, writer) = client.into_split();
    drop(writer);
    results.push((
        "owned write half dropped",
        told(server.read(&mut [0; 8]).await),
    ));
    results.push(("its peer writes", told(server.write(b"x").await)));
    drop(reader);
    let (client, mut server) = tcp_pair().await;
    let (reader, writer) = client.into_split();
    drop(reader);
    server.write_all(b"x").await.unwrap();
    writer.forget();
    results.push((
        "owned halves gone",
        told(server.read(&mut [0; 8]).await.map_err(|error| {
            // Unread bytes were there.
            copy(&error)
        })),
    ));
}

async fn datagrams(results: &mut Results) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    results.push(("send: not connected", told(socket.send(b"x").await)));
    let address = socket.local_addr().unwrap();
    let long = vec![0; 70_000];
    results.push((
        "send_to: too long",
        told(socket.send_to(&long, address).await),
    ));
    results.push((
        "send_to: other family",
        told(socket.send_to(b"x", "[::1]:9").await),
    ));
    results.push((
        "try_recv: nothing there",
        told(socket.try_recv(&mut [0; 8])),
    ));
    let gone = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(gone.local_addr().unwrap()).await.unwrap();
    drop(gone);
    results.push(("send: nobody there", told(socket.send(b"x").await)));
    results.push(("recv: nobody there", told(socket.recv(&mut [0; 8]).await)));
    results.push(("try_recv: told once", told(socket.try_recv(&mut [0; 8]))));
    let own = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    own.connect(own.local_addr().unwrap()).await.unwrap();
    results.push(("send: empty", told(own.send(&[]).await)));
    results.push(("recv: empty", told(own.recv(&mut [0; 8]).await)));
    own.send(b"longer").await.unwrap();
    results.push(("recv: cut", told(own.recv(&mut [0; 2]).await)));
}

async fn unix_streams(results: &mut Results) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    results.push((
        "unix connect: nothing there",
        told(UnixStream::connect(&path).await.map(drop)),
    ));
    let listener = UnixListener::bind(&path).unwrap();
    results.push((
        "unix bind: taken",
        told(UnixListener::bind(&path).map(drop)),
    ));
    drop(listener);
    results.push((
        "unix connect: nobody listens",
        told(UnixStream::connect(&path).await.map(drop)),
    ));
    let long = "x".repeat(200);
    results.push((
        "unix connect: path too long",
        told(UnixStream::connect(&long).await.map(drop)),
    ));
    let socket = UnixSocket::new_stream().unwrap();
    results.push(("unix listen: not bound", told(socket.listen(1).map(drop))));

    let (mut one, mut two) = UnixStream::pair().unwrap();
    one.write_all(b"unread").await.unwrap();
    drop(one);
    results.push(("unix read: left behind", told(two.read(&mut [0; 8]).await)));
    results.push(("unix read: at the end", told(two.read(&mut [0; 8]).await)));
    results.push(("unix write: peer is gone", told(two.write(b"x").await)));
    results.push(("unix try_write: peer is gone", told(two.try_write(b"x"))));
    results.push(("unix shutdown: peer is gone", told(two.shutdown().await)));

    // A peer that closes with unread bytes resets.
    let (one, mut two) = UnixStream::pair().unwrap();
    two.write_all(b"unread").await.unwrap();
    drop(one);
    results.push((
        "unix read: unread bytes at the peer",
        told(two.read(&mut [0; 8]).await),
    ));
    results.push((
        "unix read: after the reset",
        told(two.read(&mut [0; 8]).await),
    ));
}

async fn unix_datagrams(results: &mut Results) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let socket = UnixDatagram::unbound().unwrap();
    results.push(("unix send: not connected", told(socket.send(b"x").await)));
    results.push((
        "unix send_to: nothing there",
        told(socket.send_to(b"x", &path).await),
    ));
    drop(UnixDatagram::bind(&path).unwrap());
    results.push((
        "unix send_to: nobody there",
        told(socket.send_to(b"x", &path).await),
    ));
    let (one, two) = UnixDatagram::pair().unwrap();
    drop(one);
    results.push(("unix send: peer is gone", told(two.send(b"x").await)));
    let (one, _two) = UnixDatagram::pair().unwrap();
    results.push((
        "unix send: too long",
        told(one.send(&vec![0; 8 << 20]).await),
    ));
    results.push((
        "unix try_recv: nothing there",
        told(one.try_recv(&mut [0; 8])),
    ));
}

async fn pipes(results: &mut Results) {
    let (mut sender, receiver) = pipe::pipe().unwrap();
    drop(receiver);
    results.push(("pipe write: nobody reads", told(sender.write(b"x").await)));
    results.push(("pipe try_write: nobody reads", told(sender.try_write(b"x"))));
    let (sender, mut receiver) = pipe::pipe().unwrap();
    results.push((
        "pipe try_read: nothing there",
        told(receiver.try_read(&mut [0; 8])),
    ));
    drop(sender);
    results.push((
        "pipe read: nobody writes",
        told(receiver.read(&mut [0; 8]).await),
    ));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    let options = pipe::OpenOptions::new();
    results.push((
        "pipe open: nothing there",
        told(options.open_receiver(&path).map(drop)),
    ));
    std::fs::write(&path, "no pipe").unwrap();
    results.push((
        "pipe open: a file",
        told(options.open_receiver(&path).map(drop)),
    ));
    let fifo = folder.path().join("fifo");
    let made = std::process::Command::new("mkfifo")
        .arg(&fifo)
        .status()
        .unwrap();
    assert!(made.success());
    results.push((
        "pipe open: nobody reads",
        told(options.open_sender(&fifo).map(drop)),
    ));
}
