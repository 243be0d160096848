//! Scenarios of what sockets have beyond tokio's.

use std::io::{self, Read, Write};
use std::net::Shutdown;

use ringway::net::{
    Datagram, RecvBatch, TcpListener, UdpSocket, UnixListener, splice, splice_bidirectional,
};

use super::sockets::{LOCAL, drain, hear, say, tcp, udp, unix};
use super::{Cut, cases, join, nothing, soon};

cases![
    tcp_incoming,
    unix_incoming,
    tcp_bind_per_worker,
    udp_bind_per_worker,
    udp_recv_many,
    udp_send_many,
    splice_one_way,
    splice_that_is_full,
    splice_both_ways,
];

async fn tcp_incoming(cut: &Cut) -> io::Result<()> {
    let listener = TcpListener::bind(LOCAL).await?;
    let address = listener.local_addr()?;
    let connect = || std::net::TcpStream::connect(address).expect("a connection");
    let (mut far, mut near) = (Vec::new(), Vec::new());
    {
        let mut incoming = listener.incoming();
        let first = cut.at(incoming.next(), || far.push(connect())).await;
        near.extend(first.transpose()?);
        far.extend((0..3).map(|_| connect()));
        if near.is_empty() {
            near.push(soon(incoming.next()).await?);
        }
    }
    // What it had won goes to the others.
    while near.len() < far.len() {
        near.push(soon(listener.accept()).await?.0);
    }
    Ok(())
}

async fn unix_incoming(cut: &Cut) -> io::Result<()> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path)?;
    let mut far = None;
    let mut incoming = listener.incoming();
    let first = cut
        .at(incoming.next(), || {
            let stream = std::os::unix::net::UnixStream::connect(&path);
            far = Some(stream.expect("a connection"));
        })
        .await;
    let near = match first {
        Some(stream) => stream?,
        None => soon(incoming.next()).await?,
    };
    say(far.as_ref().expect("it has connected"));
    soon(near.readable()).await
}

async fn tcp_bind_per_worker(cut: &Cut) -> io::Result<()> {
    let listeners = match cut.at(TcpListener::bind_per_worker(LOCAL), nothing).await {
        Some(listeners) => listeners?,
        None => TcpListener::bind_per_worker(LOCAL).await?,
    };
    assert_ne!(listeners[0].local_addr()?.port(), 0);
    Ok(())
}

async fn udp_bind_per_worker(cut: &Cut) -> io::Result<()> {
    let sockets = match cut.at(UdpSocket::bind_per_worker(LOCAL), nothing).await {
        Some(sockets) => sockets?,
        None => UdpSocket::bind_per_worker(LOCAL).await?,
    };
    assert_ne!(sockets[0].local_addr()?.port(), 0);
    Ok(())
}

async fn udp_recv_many(cut: &Cut) -> io::Result<()> {
    let (near, far) = udp().await?;
    let mut batch = RecvBatch::new(4, 8);
    let send = || assert_eq!(far.send(b"word").expect("room"), 4);
    let count = match cut.at(near.recv_many(&mut batch), send).await {
        Some(count) => count?,
        None => soon(near.recv_many(&mut batch)).await?,
    };
    assert_eq!(count, 1);
    assert!(batch.iter().all(|message| message.bytes() == b"word"));
    Ok(())
}

async fn udp_send_many(cut: &Cut) -> io::Result<()> {
    let (near, far) = udp().await?;
    let words = [Datagram::new(b"word"), Datagram::new(b"word")];
    let sent = cut.at(near.send_many(&words), nothing).await;
    let sent = match sent {
        Some(sent) => sent?,
        None => soon(near.send_many(&words)).await?,
    };
    for _ in 0..sent {
        assert_eq!(far.recv(&mut [0; 8])?, 4);
    }
    Ok(())
}

async fn splice_one_way(cut: &Cut) -> io::Result<()> {
    let (mut from, from_far) = tcp()?;
    let (mut to, to_far) = unix()?;
    let event = || {
        say(&from_far);
        from_far.shutdown(Shutdown::Write).expect("a connection");
    };
    match cut.at(splice(&mut from, &mut to), event).await {
        Some(moved) => {
            assert_eq!(moved?, 4);
            hear(&to_far);
        }
        // At most what it held is lost, and both go on.
        None => {
            let (mut there, mut again) = (tcp()?, 0);
            say(&there.1);
            there.1.shutdown(Shutdown::Write).expect("a connection");
            again += soon(splice(&mut there.0, &mut to)).await?;
            assert_eq!(again, 4);
            to_far.set_nonblocking(true).expect("an option");
            let mut heard = Vec::new();
            let end = (&to_far).read_to_end(&mut heard).expect_err("no end");
            assert_eq!(end.kind(), io::ErrorKind::WouldBlock);
            assert!(heard == b"word" || heard == b"wordword", "{heard:?}");
        }
    }
    Ok(())
}

async fn splice_that_is_full(cut: &Cut) -> io::Result<()> {
    let (mut from, mut from_far) = unix()?;
    let (mut to, to_far) = unix()?;
    while to.try_write(&[7; 4096]).is_ok() {}
    from_far.write_all(&[7; 20_000]).expect("room");
    from_far.shutdown(Shutdown::Write).expect("a connection");
    let mut reader = None;
    let moved = cut
        .at(splice(&mut from, &mut to), || {
            let mut far = to_far.try_clone().expect("a descriptor");
            reader = Some(std::thread::spawn(move || {
                let mut all = Vec::new();
                far.read_to_end(&mut all).expect("bytes").max(20_000)
            }));
        })
        .await;
    drop(to);
    let heard = join(reader.expect("it has begun")).await;
    if let Some(moved) = moved {
        assert_eq!(moved?, 20_000);
        assert!(heard > 20_000);
    }
    Ok(())
}

async fn splice_both_ways(cut: &Cut) -> io::Result<()> {
    let (mut one, one_far) = tcp()?;
    let (mut two, two_far) = tcp()?;
    say(&one_far);
    say(&two_far);
    let event = || {
        one_far.shutdown(Shutdown::Write).expect("a connection");
        two_far.shutdown(Shutdown::Write).expect("a connection");
    };
    let moved = cut
        .at(splice_bidirectional(&mut one, &mut two), event)
        .await;
    if let Some(moved) = moved {
        assert_eq!(moved?, (4, 4));
        assert_eq!(drain(&one_far, 4) + drain(&two_far, 4), 8);
    }
    Ok(())
}
