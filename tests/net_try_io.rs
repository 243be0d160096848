//! A caller's own system calls on sockets and pipes: made only if they may succeed, and learnt from.

mod net_support;

use std::io::{self, ErrorKind};

use net_support::*;
use ringway::io::{AsyncReadExt, AsyncWriteExt, Interest};
use ringway::net::unix::pipe;
use ringway::net::{TcpStream, UdpSocket, UnixStream};

fn blocked() -> io::Result<()> {
    Err(ErrorKind::WouldBlock.into())
}

/// Whether `try_io` makes the call, which then says `result`.
fn is_called(
    try_io: impl FnOnce(&mut dyn FnMut() -> io::Result<()>) -> io::Result<()>,
    result: fn() -> io::Result<()>,
) -> bool {
    let mut called = false;
    let tried = try_io(&mut || {
        called = true;
        result()
    });
    if !called {
        assert_eq!(tried.expect_err("no call").kind(), ErrorKind::WouldBlock);
    }
    called
}

/// Mutants: `Duplex::try_io` calls without asking; `Direction::may_be_ready` believes nothing but a poll that has told
/// something.
#[test]
fn a_call_is_made_only_if_the_socket_may_be_ready() {
    on_both_flavours(|| async {
        let (client, mut server) = pair().await;
        let read =
            |call: &mut dyn FnMut() -> io::Result<()>| client.try_io(Interest::READABLE, call);
        assert!(!is_called(read, || Ok(())), "nothing is there");
        server.write_all(b"word").await.unwrap();
        // Of a socket that has never waited, the kernel is asked.
        until("the word is there", || is_called(read, || Ok(()))).await;
        assert!(is_called(
            |call| client.try_io(Interest::WRITABLE, call),
            || Ok(())
        ));
        let both = Interest::READABLE | Interest::WRITABLE;
        assert!(is_called(|call| client.try_io(both, call), || Ok(())));
    });
}

/// After a call that has blocked, the next one is made when the kernel has told of something. Mutants: `expect_news` arms
/// nothing (the last wait hangs); a block is not noted (the second call is made).
#[test]
fn after_a_call_that_blocked_the_next_one_waits_for_news() {
    on_both_flavours(|| async {
        let (sender, receiver) = pipe::pipe().unwrap();
        assert_eq!(sender.try_write(b"word").unwrap(), 4);
        receiver.readable().await.unwrap();
        assert!(is_called(|call| receiver.try_io(call), blocked));
        assert!(!is_called(|call| receiver.try_io(call), || Ok(())));
        // There is something, and the poll says so.
        until("the poll has told", || {
            is_called(|call| receiver.try_io(call), || Ok(()))
        })
        .await;
        let mut word = [0; 8];
        assert_eq!(receiver.try_read(&mut word).unwrap(), 4);
    });
}

/// A call that tries both directions is made if either is ready, and when it blocks both are cleared: it does not spin.
/// Mutant: only the read direction learns.
#[test]
fn a_call_for_both_directions_clears_both() {
    on_both_flavours(|| async {
        let (one, mut two) = UnixStream::pair().unwrap();
        let both = Interest::READABLE | Interest::WRITABLE;
        let mut calls = 0;
        let waits = one.async_io(both, || {
            calls += 1;
            let mut byte = [0];
            match rustix::io::read(&one, &mut byte) {
                Err(error) => Err(error.into()),
                Ok(count) => Ok(count),
            }
        });
        let (read, ()) = ringway::join!(waits, async {
            for _ in 0..50 {
                ringway::task::yield_now().await;
            }
            two.write_all(b"x").await.unwrap();
        });
        assert_eq!(read.unwrap(), 1);
        // Room to write is reported again whenever a poll is armed; but not in every turn.
        assert!(calls < 40, "{calls} calls");
    });
}

/// Calls of the sockets' own are always made: they find what has come a moment ago.
#[test]
fn a_try_of_the_socket_s_own_is_always_made() {
    on_both_flavours(|| async {
        let (one, mut two) = UnixStream::pair().unwrap();
        assert!(would_block(&one.try_read(&mut [0; 8])));
        two.write_all(b"word").await.unwrap();
        assert_eq!(one.try_read(&mut [0; 8]).unwrap(), 4);
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        udp.connect(udp.local_addr().unwrap()).await.unwrap();
        assert!(would_block(&udp.try_recv(&mut [0; 8])));
        udp.send(b"word").await.unwrap();
        assert_eq!(udp.try_recv(&mut [0; 8]).unwrap(), 4);
    });
}

/// The halves lend their descriptor as the whole does.
#[test]
fn owned_buffers_go_through_halves_and_datagrams() {
    use ringway::uring::SocketExt;

    on_both_flavours(|| async {
        let (client, server) = pair().await;
        let (client_reads, client_writes) = client.into_split();
        let (mut server_reads, server_writes) = server.into_split();
        let (sent, question) = client_writes.send_all_owned(vec![7; 100_000]).await;
        assert_eq!(sent.unwrap(), question.len());
        let (received, heard) = server_reads.recv_exact_owned(vec![0; 100_000]).await;
        assert_eq!((received.unwrap(), heard == question), (100_000, true));
        // From now on tokio's way, on the same half.
        let (sent, _) = client_writes.send_zc(b"tail".to_vec()).await;
        assert_eq!(sent.unwrap(), 4);
        let mut tail = [0; 4];
        server_reads.read_exact(&mut tail).await.unwrap();
        assert_eq!(&tail, b"tail");
        let (sent, _) = server_writes.send_owned("answer").await;
        assert_eq!(sent.unwrap(), 6);
        let mut received = client_reads.recv_multi();
        assert_eq!(&received.next().await.unwrap().unwrap()[..], b"answer");

        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        udp.connect(udp.local_addr().unwrap()).await.unwrap();
        udp.send_owned("message").await.0.unwrap();
        let (count, message) = udp.recv_owned(Vec::with_capacity(64)).await;
        assert_eq!(&message[..count.unwrap()], b"message");
        let _: TcpStream = client_reads.reunite(client_writes).unwrap();
    });
}
