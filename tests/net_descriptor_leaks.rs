//! No socket leaves a descriptor behind. Alone in its process, because it counts the process's descriptors.

mod net_support;

use std::pin::pin;
use std::time::Duration;

use net_support::*;
use ringway::io::AsyncReadExt;
use ringway::io::unix::AsyncFd;
use ringway::net::unix::pipe;
use ringway::net::{
    TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream, splice,
    splice_bidirectional,
};

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd")
        .expect("the process's descriptors")
        .count()
}

/// Descriptors of pipes. Of other kinds a worker that starts meanwhile may open some.
fn open_pipes() -> usize {
    std::fs::read_dir("/proc/self/fd")
        .expect("the process's descriptors")
        .filter_map(|descriptor| std::fs::read_link(descriptor.ok()?.path()).ok())
        .filter(|target| target.as_os_str().as_encoded_bytes().starts_with(b"pipe:"))
        .count()
}

/// Gives up a splice that has nothing to move yet, and one that has filled its pipe.
async fn one_splice() {
    let (far, mut one) = UnixStream::pair().unwrap();
    let (mut two, _other_far) = UnixStream::pair().unwrap();
    {
        let before = open_pipes();
        let idle = pin!(splice_bidirectional(&mut one, &mut two));
        assert!(poll_future(idle).await.is_pending());
        assert!(open_pipes() <= before, "an idle one has a pipe");
    }
    while far.try_write(&[7; 4096]).is_ok() {}
    let stuck = pin!(splice(&mut one, &mut two));
    let stuck = ringway::time::timeout(Duration::from_millis(1), stuck).await;
    stuck.expect_err("nobody reads");
}

/// Makes one of each, gives up a wait at each, and drops them in one way or the other.
async fn one_round(name: &str) {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    let mut client = TcpStream::connect(address).await.unwrap();
    assert!(
        poll_future(pin!(client.read(&mut [0; 1])))
            .await
            .is_pending()
    );
    let refused = TcpStream::connect("127.0.0.1:1").await;
    assert!(refused.is_err());
    {
        let given_up = pin!(TcpStream::connect(address));
        assert!(poll_future(given_up).await.is_pending());
    }
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    assert!(poll_future(pin!(udp.recv(&mut [0; 1]))).await.is_pending());
    let listener = UnixListener::bind(name).unwrap();
    assert!(poll_future(pin!(listener.accept())).await.is_pending());
    let stream = UnixStream::connect(name).await.unwrap();
    let (_accepted, _) = listener.accept().await.unwrap();
    let std = stream.into_std().unwrap();
    let (one, two) = UnixDatagram::pair().unwrap();
    assert!(poll_future(pin!(one.recv(&mut [0; 1]))).await.is_pending());
    drop(two);
    let (sender, mut receiver) = pipe::pipe().unwrap();
    assert!(
        poll_future(pin!(receiver.read(&mut [0; 1])))
            .await
            .is_pending()
    );
    drop(sender.into_blocking_fd().unwrap());
    // SAFETY: the stream that is moved in keeps its descriptor open.
    let watched = unsafe { AsyncFd::register(std) }.unwrap();
    assert!(poll_future(pin!(watched.readable())).await.is_pending());
    drop(watched.into_inner());
    let mut incoming = tcp.incoming();
    // It has the client's connection, or has asked the kernel for it.
    drop(poll_future(pin!(incoming.next())).await);
    one_splice().await;
}

/// Mutant: `AsyncFd::into_inner` forgets its watch.
#[test]
fn sockets_whose_waits_were_given_up_leave_no_descriptor() {
    const ROUNDS: usize = 100;
    let before = open_descriptors();
    on_both_flavours(|| async {
        let name = format!("\0ringway leaks {}", std::process::id());
        one_round(&name).await;
        // What the first round has made for good, such as the runtime's own, is there now.
        let first = open_descriptors();
        for _ in 0..ROUNDS {
            one_round(&name).await;
        }
        until("no more are open than after the first round", || {
            open_descriptors() <= first
        })
        .await;
    });
    assert_eq!(open_descriptors(), before);
}
