//! Unix streams and listeners: bytes, halves, cancelled reads and accepts, closing, addresses and credentials.

mod net_support;

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use net_support::*;
use ringway::io::{AsyncReadExt, AsyncWriteExt, Interest};
use ringway::net::{UnixListener, UnixSocket, UnixStream};

/// An abstract name that nothing else has.
fn name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("\0ringway test {} {number}", std::process::id())
}

/// A listener, and both ends of a connection to it.
async fn connected() -> (UnixListener, UnixStream, UnixStream) {
    let name = name();
    let listener = UnixListener::bind(&name).expect("a free name");
    let client = UnixStream::connect(&name).await.expect("a connection");
    let (server, _) = listener.accept().await.expect("a connection");
    (listener, client, server)
}

#[test]
fn bytes_go_both_ways_whole_and_in_order() {
    const TOTAL: usize = 3_000_000;
    on_both_flavours(|| async {
        let (_listener, client, server) = connected().await;
        let ends = [(client, 1, 2), (server, 2, 1)];
        let tasks = ends.map(|(end, ours, theirs)| {
            let (mut read, mut write) = end.into_split();
            let writer = ringway::spawn(async move {
                for chunk in pattern_from(ours, 0, TOTAL).chunks(70_000) {
                    write.write_all(chunk).await.unwrap();
                }
            });
            let reader = ringway::spawn(async move {
                let mut bytes = Vec::new();
                read.read_to_end(&mut bytes).await.unwrap();
                assert_eq!(bytes.len(), TOTAL);
                check_pattern(theirs, 0, &bytes);
            });
            (writer, reader)
        });
        for (writer, reader) in tasks {
            writer.await.unwrap();
            reader.await.unwrap();
        }
    });
}

#[test]
fn the_end_of_one_direction_leaves_the_other() {
    on_both_flavours(|| async {
        let (mut one, mut two) = UnixStream::pair().unwrap();
        one.write_all(b"last words").await.unwrap();
        one.shutdown().await.unwrap();
        one.shutdown().await.unwrap();
        let mut heard = String::new();
        two.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "last words");
        assert_eq!(
            one.write(b"x").await.unwrap_err().kind(),
            ErrorKind::BrokenPipe
        );
        two.write_all(b"answer").await.unwrap();
        drop(two);
        heard.clear();
        one.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "answer");
        one.shutdown()
            .await
            .expect("a peer that is gone is no error");
    });
}

#[test]
fn a_dropped_owned_write_half_ends_its_direction_and_a_forgotten_one_does_not() {
    on_both_flavours(|| async {
        let (one, mut two) = UnixStream::pair().unwrap();
        let (read, write) = one.into_split();
        write.forget();
        let waited = ringway::time::timeout(Duration::from_millis(5), two.read(&mut [0; 1])).await;
        assert!(waited.is_err(), "a forgotten half ended the direction");
        let (three, _four) = UnixStream::pair().unwrap();
        let (other_read, other_write) = three.into_split();
        let wrong = read.reunite(other_write).unwrap_err();
        let text = "tried to reunite halves that are not from the same socket";
        assert_eq!(wrong.to_string(), text);
        let again = other_read.reunite(wrong.1).unwrap();
        let (_read, write) = again.into_split();
        drop(write);
        let (_kept, write) = UnixStream::pair().unwrap().0.into_split();
        drop(write);
    });
    on_both_flavours(|| async {
        let (one, mut two) = UnixStream::pair().unwrap();
        let (_read, write) = one.into_split();
        drop(write);
        assert_eq!(two.read(&mut [0; 1]).await.unwrap(), 0);
    });
}

/// Mutant: the operation that waits reads a byte, in place of polling (`PollOnce::entry`).
#[test]
fn reads_that_lose_a_race_lose_no_byte() {
    const TOTAL: u64 = 50_000;
    on_both_flavours(|| async {
        let (mut one, mut two) = UnixStream::pair().unwrap();
        let sender = ringway::spawn(async move {
            let mut numbers = Numbers::new(21);
            let mut sent = 0;
            while sent < TOTAL {
                let count = (1 + numbers.below(500)).min((TOTAL - sent) as usize);
                one.write_all(&pattern_from(4, sent, count)).await.unwrap();
                sent += count as u64;
                let pause = Duration::from_micros(numbers.below(300) as u64);
                ringway::time::sleep(pause).await;
            }
        });
        let mut numbers = Numbers::new(22);
        let mut buffer = vec![0; 700];
        let (mut received, mut dropped) = (0, 0);
        while received < TOTAL {
            let patience = Duration::from_micros(numbers.below(200) as u64);
            ringway::select! {
                biased;
                () = ringway::time::sleep(patience) => dropped += 1,
                count = two.read(&mut buffer) => {
                    let count = count.unwrap();
                    assert!(count > 0, "the stream ended at {received}");
                    check_pattern(4, received, &buffer[..count]);
                    received += count as u64;
                }
            }
        }
        sender.await.unwrap();
        assert!(dropped > 0, "no read was dropped");
    });
}

/// Mutant: `Listener::accept` yields between taking a connection and returning it.
#[test]
fn cancelled_accepts_lose_no_connection() {
    const CLIENTS: usize = 300;
    on_both_flavours(|| async {
        let name = name();
        let listener = UnixListener::bind(&name).unwrap();
        let clients = ringway::spawn(async move {
            for number in 0..CLIENTS {
                let mut client = UnixStream::connect(&name).await.unwrap();
                client.write_all(&number.to_le_bytes()).await.unwrap();
                let mut answer = [0; 8];
                client.read_exact(&mut answer).await.unwrap();
                assert_eq!(usize::from_le_bytes(answer), number);
            }
        });
        let mut served = 0;
        let mut numbers = Numbers::new(23);
        while served < CLIENTS {
            let patience = Duration::from_micros(numbers.below(150) as u64);
            let accept = ringway::time::timeout(patience, listener.accept());
            if let Ok(accepted) = accept.await {
                let (mut stream, address) = accepted.unwrap();
                assert!(address.is_unnamed());
                let mut number = [0; 8];
                stream.read_exact(&mut number).await.unwrap();
                stream.write_all(&number).await.unwrap();
                served += 1;
            }
        }
        clients.await.unwrap();
    });
}

#[test]
fn a_connect_to_a_full_queue_is_told_so_and_may_be_tried_again() {
    on_both_flavours(|| async {
        let name = name();
        let socket = UnixSocket::new_stream().unwrap();
        socket.bind(&name).unwrap();
        let listener = socket.listen(0).unwrap();
        let _first = UnixStream::connect(&name).await.unwrap();
        let refused = UnixStream::connect(&name).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::WouldBlock);
        listener.accept().await.unwrap();
        UnixStream::connect(&name)
            .await
            .expect("there is room again");
    });
}

#[test]
fn connecting_to_nobody_is_refused_or_not_found() {
    on_both_flavours(|| async {
        let error = UnixStream::connect(name()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let error = UnixStream::connect(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let error = UnixStream::connect("x".repeat(200)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let _listener = UnixListener::bind(&path).unwrap();
        let error = UnixListener::bind(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
    });
}

#[test]
fn addresses_and_credentials_are_those_of_the_ends() {
    on_both_flavours(|| async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let socket = UnixSocket::new_stream().unwrap();
        let client_path = directory.path().join("client");
        socket.bind(&client_path).unwrap();
        let (client, accepted) = ringway::join!(socket.connect(&path), listener.accept());
        let (client, (server, address)) = (client.unwrap(), accepted.unwrap());
        assert_eq!(address.as_pathname(), Some(client_path.as_path()));
        assert_eq!(
            server.peer_addr().unwrap().as_pathname(),
            Some(client_path.as_path())
        );
        assert_eq!(
            server.local_addr().unwrap().as_pathname(),
            Some(path.as_path())
        );
        assert_eq!(
            client.peer_addr().unwrap().as_pathname(),
            Some(path.as_path())
        );
        let process = rustix::process::getpid().as_raw_pid();
        for end in [&client, &server] {
            let cred = end.peer_cred().unwrap();
            assert_eq!(cred.pid(), Some(process));
            assert_eq!(cred.uid(), rustix::process::geteuid().as_raw());
            assert_eq!(cred.gid(), rustix::process::getegid().as_raw());
            assert!(end.take_error().unwrap().is_none());
        }
        let abstract_name = name();
        let listener = UnixListener::bind(&abstract_name).unwrap();
        let client = UnixStream::connect_addr(&listener.local_addr().unwrap())
            .await
            .unwrap();
        let peer = client.peer_addr().unwrap();
        assert_eq!(
            peer.as_abstract_name(),
            Some(&abstract_name.as_bytes()[1..])
        );
    });
}

/// Mutant: `Way::Direct` for listeners.
#[test]
fn a_dropped_listener_frees_its_abstract_name_at_once() {
    on_both_flavours(|| async {
        let name = name();
        for _ in 0..50 {
            let listener = UnixListener::bind(&name).expect("the name is free");
            {
                let accept = pin!(listener.accept());
                assert!(poll_future(accept).await.is_pending());
            }
            ringway::task::yield_now().await;
        }
    });
}

#[test]
fn readiness_says_what_a_try_will_find() {
    on_both_flavours(|| async {
        let (one, two) = UnixStream::pair().unwrap();
        assert!(poll_once(|cx| one.poll_write_ready(cx)).is_ready());
        assert!(poll_once(|cx| one.poll_read_ready(cx)).is_pending());
        let mut sent = 0;
        while let Ok(count) = one.try_write(&[7; 4096]) {
            sent += count;
        }
        assert!(poll_once(|cx| one.poll_write_ready(cx)).is_pending());
        two.readable().await.unwrap();
        let mut received = 0;
        let mut bytes = Vec::with_capacity(sent);
        while let Ok(count) = two.try_read_buf(&mut bytes) {
            received += count;
            if received == sent {
                break;
            }
        }
        assert_eq!(received, sent);
        one.writable().await.unwrap();
        drop(two);
        let ready = one
            .ready(Interest::READABLE | Interest::WRITABLE)
            .await
            .unwrap();
        assert!(
            ready.is_read_closed() && ready.is_write_closed(),
            "{ready:?}"
        );
        assert_eq!(one.try_read(&mut [0; 1]).unwrap(), 0);
    });
}

#[test]
fn std_streams_go_in_and_come_out() {
    on_both_flavours(|| async {
        let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let number = ours.as_raw_fd();
        let mut stream = UnixStream::from_std(ours).unwrap();
        theirs.write_all(b"in").unwrap();
        let mut bytes = [0; 2];
        stream.read_exact(&mut bytes).await.unwrap();
        let mut std = stream.into_std().unwrap();
        assert_eq!(std.as_raw_fd(), number);
        theirs.write_all(b"out").unwrap();
        let mut bytes = [0; 3];
        std.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"out");
    });
}

#[test]
fn sockets_of_the_wrong_kind_are_refused() {
    on_both_flavours(|| async {
        let path = PathBuf::from("nowhere");
        let error = UnixSocket::new_datagram()
            .unwrap()
            .connect(&path)
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "connect cannot be called on a datagram socket"
        );
        let error = UnixSocket::new_datagram().unwrap().listen(1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "listen cannot be called on a datagram socket"
        );
        let error = UnixSocket::new_stream().unwrap().datagram().unwrap_err();
        assert_eq!(
            error.to_string(),
            "datagram cannot be called on a stream socket"
        );
    });
}

/// Sends `bytes` with a descriptor beside them.
fn send_with_descriptor(socket: &std::os::unix::net::UnixStream, bytes: &[u8]) {
    use std::os::fd::AsRawFd;
    let descriptor = socket.as_raw_fd().to_ne_bytes();
    let length = size_of::<libc::cmsghdr>() + descriptor.len();
    let control = [
        &length.to_ne_bytes()[..],
        &libc::SOL_SOCKET.to_ne_bytes(),
        &libc::SCM_RIGHTS.to_ne_bytes(),
        &descriptor,
        &[0; 4],
    ]
    .concat();
    let slices = [std::io::IoSlice::new(bytes)];
    let message = socket2::MsgHdr::new()
        .with_buffers(&slices)
        .with_control(&control);
    let sent = socket2::SockRef::from(socket).sendmsg(&message, 0);
    assert_eq!(sent.expect("room"), bytes.len());
}

/// The kernel stops behind bytes that came with a descriptor, however much room there is. Mutant: take such a read for a
/// proof that nothing is left (it waits for ever).
#[test]
fn what_follows_a_message_with_a_descriptor_is_read_too() {
    on_this_thread(async {
        let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().expect("a pair");
        ours.set_nonblocking(true).expect("sets");
        let mut stream = UnixStream::from_std(ours).expect("a stream");
        let mut buffer = [0; 64];
        // The poll that waits stays armed from some time on, and tells only what is new.
        for _ in 0..8 {
            let mut read = std::pin::pin!(stream.read(&mut buffer));
            assert!(poll_future(read.as_mut()).await.is_pending());
            std::io::Write::write_all(&mut theirs, b"x").expect("room");
            assert_eq!(read.await.expect("a byte"), 1);
        }
        send_with_descriptor(&theirs, b"first");
        std::io::Write::write_all(&mut theirs, b"second").expect("room");
        assert_eq!(stream.read(&mut buffer).await.expect("bytes"), 5);
        assert_eq!(stream.read(&mut buffer).await.expect("bytes"), 6);
        assert_eq!(&buffer[..6], b"second");
    });
}
