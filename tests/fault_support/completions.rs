//! Scenarios of the completion face.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use ringway::fs::File;
use ringway::net::unix::pipe;
use ringway::net::{TcpListener, UdpSocket};
use ringway::uring;

use super::files::{TEXT, folder, with_text};
use super::sockets::{LOCAL, drain, hear, say, std_listener, tcp, udp};
use super::{Cut, cases, nothing, soon};

cases![
    uring_recv,
    uring_recv_exact,
    uring_recv_vectored,
    uring_send,
    uring_send_when_full,
    uring_send_zc,
    uring_recv_multi,
    uring_recv_multi_bulk,
    uring_accept,
    uring_accept_multi,
    uring_connect,
    uring_recv_from,
    uring_send_to,
    uring_shutdown,
    uring_pipe_read,
    uring_read_at,
    uring_write_all_at,
    uring_sync,
    uring_splice,
];

/// A cancel has reached the kernel after this time.
const CANCELLED: Duration = Duration::from_millis(2);

/// A transfer may always bring less.
fn check_part(part: &[u8]) {
    assert!(!part.is_empty() && b"word".starts_with(part), "{part:?}");
}

async fn uring_recv(cut: &Cut) -> io::Result<()> {
    let (near, far) = tcp()?;
    match cut.at(uring::recv(&near, vec![0; 8]), || say(&far)).await {
        Some((count, buffer)) => check_part(&buffer[..count?]),
        // The word may go with the future, and what comes before the cancel reaches the kernel; the stream goes on.
        None => {
            ringway::time::sleep(CANCELLED).await;
            say(&far);
            let receive = async { uring::recv(&near, vec![0; 4]).await.0 };
            assert!((1..=4).contains(&soon(receive).await?));
        }
    }
    Ok(())
}

async fn uring_recv_exact(cut: &Cut) -> io::Result<()> {
    let (near, far) = tcp()?;
    let receive = uring::recv_exact(&near, vec![0; 4]);
    if let Some((count, buffer)) = cut.at(receive, || say(&far)).await {
        assert_eq!(&buffer[..count?], b"word");
    }
    Ok(())
}

async fn uring_recv_vectored(cut: &Cut) -> io::Result<()> {
    let (near, far) = tcp()?;
    let buffers = vec![vec![0; 2], vec![0; 8]];
    let receive = uring::recv_vectored(&near, buffers);
    if let Some((count, buffers)) = cut.at(receive, || say(&far)).await {
        assert_eq!((count?, &buffers[0][..]), (4, &b"wo"[..]));
    }
    Ok(())
}

async fn uring_send(cut: &Cut) -> io::Result<()> {
    let (near, far) = tcp()?;
    if let Some((count, _)) = cut.at(uring::send_all(&near, "word"), nothing).await {
        count?;
        hear(&far);
    }
    Ok(())
}

async fn uring_send_when_full(cut: &Cut) -> io::Result<()> {
    let (near, far) = tcp()?;
    let mut sent = 0;
    soon(near.writable()).await?;
    while let Ok(count) = near.try_write(&[1; 1 << 16]) {
        sent += count;
    }
    let empty = || {
        drain(&far, sent);
    };
    if let Some((count, _)) = cut.at(uring::send(&near, vec![2; 100]), empty).await {
        assert!(count? > 0);
    }
    soon(near.writable()).await
}

async fn uring_send_zc(cut: &Cut) -> io::Result<()> {
    let (near, far) = tcp()?;
    let bytes = vec![3; 20_000];
    if let Some((count, _)) = cut.at(uring::send_all_zc(&near, bytes), nothing).await {
        drain(&far, count?);
    }
    Ok(())
}

async fn uring_recv_multi(cut: &Cut) -> io::Result<()> {
    let (near, far) = tcp()?;
    let mut received = uring::recv_multi(&near);
    let mut all = Vec::new();
    if let Some(part) = cut.at(received.next(), || say(&far)).await {
        all.extend_from_slice(&part.expect("no end")?);
    }
    say(&far);
    far.shutdown(Shutdown::Write).expect("an end");
    while let Some(part) = soon(async { received.next().await.transpose() }).await? {
        all.extend_from_slice(&part);
    }
    assert_eq!(all, b"wordword", "no byte is lost or doubled");
    Ok(())
}

/// More than one buffer has room for, and than one request brings.
async fn uring_recv_multi_bulk(cut: &Cut) -> io::Result<()> {
    const TOTAL: usize = 200_000;
    let (near, mut far) = tcp()?;
    let sent: Vec<u8> = (0..TOTAL).map(|place| (place % 251) as u8).collect();
    let mut received = uring::recv_multi(&near);
    let mut all = Vec::new();
    let (one, two) = sent.split_at(TOTAL / 2);
    if let Some(part) = cut
        .at(received.next(), || far.write_all(one).expect("room"))
        .await
    {
        all.extend_from_slice(&part.expect("no end")?);
    }
    far.write_all(two).expect("room");
    far.shutdown(Shutdown::Write).expect("an end");
    while let Some(part) = soon(async { received.next().await.transpose() }).await? {
        all.extend_from_slice(&part);
    }
    assert!(all == sent, "no byte is lost or doubled");
    Ok(())
}

async fn uring_accept_multi(cut: &Cut) -> io::Result<()> {
    let listener = TcpListener::bind(LOCAL).await?;
    let address = listener.local_addr()?;
    let connect = || std::net::TcpStream::connect(address).expect("a connection");
    let mut accepted = uring::accept_multi(&listener);
    let (mut far, mut near) = (Vec::new(), Vec::new());
    let first = cut.at(accepted.next(), || far.push(connect())).await;
    near.extend(first.transpose()?);
    far.extend((0..4).map(|_| connect()));
    while near.len() < far.len() {
        near.push(soon(accepted.next()).await?);
    }
    Ok(())
}

async fn uring_accept(cut: &Cut) -> io::Result<()> {
    let listener = TcpListener::bind(LOCAL).await?;
    let address = listener.local_addr()?;
    let mut far = None;
    let accepted = cut
        .at(uring::accept(&listener), || {
            far = Some(std::net::TcpStream::connect(address).expect("a connection"));
        })
        .await;
    let near = match accepted {
        Some(accepted) => accepted?,
        None => soon(listener.accept()).await?.0,
    };
    say(far.as_ref().expect("it has connected"));
    soon(near.readable()).await
}

async fn uring_connect(cut: &Cut) -> io::Result<()> {
    let (_listener, address) = std_listener();
    let (near, _far) = tcp()?;
    // A connected one: the kernel says so, whoever asks.
    if let Some(result) = cut.at(uring::connect(&near, address), nothing).await {
        let error = result.expect_err("it is connected");
        if error.raw_os_error() != Some(libc::EISCONN) {
            return Err(error);
        }
    }
    Ok(())
}

async fn uring_recv_from(cut: &Cut) -> io::Result<()> {
    let (near, far) = udp().await?;
    let send = || assert_eq!(far.send(b"word").expect("room"), 4);
    let receive = uring::recv_from(&near, vec![0; 8]);
    if let Some((received, buffer)) = cut.at(receive, send).await {
        received?;
        assert_eq!(&buffer[..4], b"word");
    }
    Ok(())
}

async fn uring_send_to(cut: &Cut) -> io::Result<()> {
    let near = UdpSocket::bind(LOCAL).await?;
    let far = std::net::UdpSocket::bind(LOCAL).expect("a port");
    let to = far.local_addr().expect("an address");
    if let Some((sent, _)) = cut.at(uring::send_to(&near, "word", to), nothing).await {
        assert_eq!((sent?, far.recv(&mut [0; 8])?), (4, 4));
    }
    Ok(())
}

async fn uring_shutdown(cut: &Cut) -> io::Result<()> {
    let (near, mut far) = tcp()?;
    let down = cut
        .at(uring::shutdown(&near, Shutdown::Write), nothing)
        .await;
    if down.transpose()?.is_some() {
        assert_eq!(far.read(&mut [0; 4]).expect("the end"), 0);
    }
    Ok(())
}

async fn uring_pipe_read(cut: &Cut) -> io::Result<()> {
    let (write, read) = pipe::pipe()?;
    let event = || assert_eq!(write.try_write(b"word").expect("room"), 4);
    let request = uring::read(&read, vec![0; 8]);
    if let Some((count, buffer)) = cut.at(request, event).await {
        check_part(&buffer[..count?]);
    }
    Ok(())
}

async fn uring_read_at(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let file = File::open(with_text(&folder)).await?;
    let read = uring::read_exact_at(&file, vec![0; 5], 5);
    if let Some((count, buffer)) = cut.at(read, nothing).await {
        count?;
        assert_eq!(buffer, &TEXT[5..10]);
    }
    Ok(())
}

async fn uring_write_all_at(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let path = folder.path().join("new");
    let file = File::create(&path).await?;
    let write = uring::write_all_at(&file, TEXT, 0);
    if let Some((count, _)) = cut.at(write, nothing).await {
        count?;
        assert_eq!(std::fs::read(&path).expect("a file"), TEXT);
    }
    Ok(())
}

async fn uring_sync(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let file = File::create(folder.path().join("new")).await?;
    let synced = cut.at(uring::sync_all(&file), nothing).await;
    synced.transpose()?;
    uring::sync_data(&file).await.map(drop)
}

async fn uring_splice(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let file = File::open(with_text(&folder)).await?;
    let (write, read) = ringway::net::unix::pipe::pipe()?;
    let splice = uring::splice(&file, Some(0), &write, None, 4);
    if let Some(count) = cut.at(splice, nothing).await {
        let count = count?;
        assert!((1..=4).contains(&count));
        assert_eq!(read.try_read(&mut [0; 8])?, count);
    }
    Ok(())
}
