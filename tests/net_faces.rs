//! The many ways to one direction of a socket: halves, guards, `poll_…`, `try_…` and `…_io` see and move the same bytes.

mod net_support;

use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;
use std::time::Duration;

use net_support::*;
use ringway::io::unix::AsyncFd;
use ringway::io::{Interest, ReadBuf};
use ringway::net::unix::pipe;
use ringway::net::{TcpSocket, UdpSocket, UnixDatagram, UnixListener, UnixStream};

/// Writes by each way of the half `writer` and reads by each way of the half `reader`, whose descriptor is `fd`.
macro_rules! every_way_of_halves {
    ($reader:expr, $fd:expr, $writer:expr) => {{
        let (reader, writer) = ($reader, $writer);
        assert!(would_block(&reader.try_read(&mut [0])));
        writer.writable().await.unwrap();
        assert!(
            writer
                .ready(Interest::WRITABLE)
                .await
                .unwrap()
                .is_writable()
        );
        assert_eq!(writer.try_write(b"ab").unwrap(), 2);
        let slices = [IoSlice::new(b"cd"), IoSlice::new(b"efgh")];
        assert_eq!(writer.try_write_vectored(&slices).unwrap(), 6);
        until("all has come", || {
            rustix::io::ioctl_fionread($fd).unwrap() == 8
        })
        .await;
        reader.readable().await.unwrap();
        assert!(
            reader
                .ready(Interest::READABLE)
                .await
                .unwrap()
                .is_readable()
        );
        let (mut one, mut three) = ([0], [0; 3]);
        assert_eq!(reader.try_read(&mut one).unwrap(), 1);
        assert_eq!(&one, b"a");
        let mut slices = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut three)];
        assert_eq!(reader.try_read_vectored(&mut slices).unwrap(), 4);
        assert_eq!((&one, &three), (b"b", b"cde"));
        let mut rest = Vec::with_capacity(16);
        assert_eq!(reader.try_read_buf(&mut rest).unwrap(), 3);
        assert_eq!(rest, b"fgh");
        assert!(would_block(&reader.try_read_buf(&mut rest)));
    }};
}

/// Mutant: `try_read_vectored` of a half fills the first slice only.
#[test]
fn halves_of_both_kinds_do_what_their_streams_do() {
    on_both_flavours(|| async {
        let (mut client, mut server) = pair().await;
        let (client_fd, server_fd) = (copy_of(&client), copy_of(&server));
        let (local, peer) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
        {
            let (mut reader, writer) = client.split();
            assert_eq!(reader.local_addr().unwrap(), local);
            assert_eq!(reader.peer_addr().unwrap(), peer);
            assert_eq!(writer.local_addr().unwrap(), local);
            assert_eq!(writer.peer_addr().unwrap(), peer);
            let (other_reader, other_writer) = server.split();
            every_way_of_halves!(&other_reader, &server_fd, &writer);
            every_way_of_halves!(&reader, &client_fd, &other_writer);
            assert_eq!(other_writer.try_write(b"look").unwrap(), 4);
            let mut bytes = [0; 8];
            assert_eq!(reader.peek(&mut bytes).await.unwrap(), 4);
            let mut room = ReadBuf::new(&mut bytes);
            let seen = poll_fn(|cx| reader.poll_peek(cx, &mut room)).await;
            assert_eq!((seen.unwrap(), room.filled()), (4, &b"look"[..]));
            assert_eq!(reader.try_read(&mut bytes).unwrap(), 4);
        }
        let (reader, writer) = client.into_split();
        let (mut other_reader, other_writer) = server.into_split();
        assert_eq!(reader.local_addr().unwrap(), writer.local_addr().unwrap());
        assert_eq!(
            reader.peer_addr().unwrap(),
            other_writer.local_addr().unwrap()
        );
        assert_eq!(
            writer.peer_addr().unwrap(),
            other_reader.local_addr().unwrap()
        );
        every_way_of_halves!(&reader, &client_fd, &other_writer);
        every_way_of_halves!(&other_reader, &server_fd, &writer);
        assert_eq!(writer.try_write(b"look").unwrap(), 4);
        assert_eq!(other_reader.peek(&mut [0; 2]).await.unwrap(), 2);
        let mut bytes = [0; 8];
        let mut room = ReadBuf::new(&mut bytes);
        let seen = poll_fn(|cx| other_reader.poll_peek(cx, &mut room)).await;
        assert_eq!(seen.unwrap(), 4);

        let (mut one, two) = UnixStream::pair().unwrap();
        let (client_fd, server_fd) = (copy_of(&one), copy_of(&two));
        {
            let (reader, writer) = one.split();
            assert!(reader.local_addr().unwrap().is_unnamed());
            assert!(writer.peer_addr().unwrap().is_unnamed());
            let (other_reader, other_writer) = two.into_split();
            assert!(other_reader.peer_addr().unwrap().is_unnamed());
            assert!(other_writer.local_addr().unwrap().is_unnamed());
            every_way_of_halves!(&reader, &client_fd, &other_writer);
            every_way_of_halves!(&other_reader, &server_fd, &writer);
        }
    });
}

/// Mutant: `retain_ready` takes the readiness back.
#[test]
#[expect(deprecated, reason = "tokio's constructors, which programs use")]
fn guards_that_may_change_their_descriptor_clear_and_keep_the_same_readiness() {
    on_both_flavours(|| async {
        let ends = || {
            let (ours, theirs) = StdStream::pair().unwrap();
            ours.set_nonblocking(true).unwrap();
            (ours, theirs)
        };
        for way in 0..4 {
            let (ours, mut theirs) = ends();
            let mut fd = match way {
                0 => AsyncFd::new(ours).unwrap(),
                1 => AsyncFd::with_interest(ours, Interest::READABLE | Interest::WRITABLE).unwrap(),
                2 => AsyncFd::try_new(ours).unwrap(),
                _ => AsyncFd::try_with_interest(ours, Interest::READABLE | Interest::WRITABLE)
                    .unwrap(),
            };
            assert!(poll_once(|cx| fd.poll_read_ready_mut(cx).map(|_| ())).is_pending());
            let mut room = poll_fn(|cx| fd.poll_write_ready_mut(cx).map_ok(drop)).await;
            room.as_mut().unwrap();
            fd.writable()
                .await
                .unwrap()
                .get_inner()
                .write_all(b"!")
                .unwrap();
            fd.writable_mut()
                .await
                .unwrap()
                .get_inner_mut()
                .write_all(b"?")
                .unwrap();
            theirs.read_exact(&mut [0; 2]).unwrap();

            theirs.write_all(b"xyz").unwrap();
            poll_fn(|cx| fd.poll_read_ready_mut(cx).map_ok(drop))
                .await
                .unwrap();
            let mut guard = fd.readable_mut().await.unwrap();
            assert!(guard.ready().is_readable());
            assert_eq!(guard.get_mut().get_mut().read(&mut [0]).unwrap(), 1);
            assert_eq!(guard.get_ref().get_ref().read(&mut [0]).unwrap(), 1);
            assert_eq!(guard.get_inner().read(&mut [0]).unwrap(), 1);
            guard.retain_ready();
            let mut guard = fd.readable_mut().await.expect("it was kept");
            let empty = guard.try_io(|fd| fd.get_mut().read(&mut [0]));
            assert!(empty.is_err(), "it is said to be cleared");
            assert!(poll_once(|cx| fd.poll_read_ready_mut(cx).map(|_| ())).is_pending());
            theirs.write_all(b"z").unwrap();
            fd.readable_mut().await.unwrap().clear_ready();
            assert!(poll_once(|cx| fd.poll_read_ready_mut(cx).map(|_| ())).is_pending());
        }
    });
}

#[test]
fn polls_and_tries_of_whole_sockets_see_the_same_bytes() {
    on_both_flavours(|| async {
        let (client, server) = pair().await;
        poll_fn(|cx| client.poll_write_ready(cx)).await.unwrap();
        #[expect(deprecated, reason = "tokio's, which programs use")]
        client.set_linger(Some(Duration::from_secs(1))).unwrap();
        assert_eq!(client.linger().unwrap(), Some(Duration::from_secs(1)));
        let mut bytes = [0; 8];
        let mut room = ReadBuf::new(&mut bytes);
        assert!(poll_once(|cx| server.poll_peek(cx, &mut room)).is_pending());
        assert_eq!(client.try_write(b"abc").unwrap(), 3);
        let seen = poll_fn(|cx| server.poll_peek(cx, &mut room)).await;
        assert_eq!((seen.unwrap(), room.filled()), (3, &b"abc"[..]));
        let again = TcpSocket::from_std_stream(server.into_std().unwrap());
        assert_eq!(again.local_addr().unwrap(), client.peer_addr().unwrap());

        let (one, two) = UnixStream::pair().unwrap();
        let slices = [IoSlice::new(b"ab"), IoSlice::new(b"c")];
        assert_eq!(one.try_write_vectored(&slices).unwrap(), 3);
        two.readable().await.unwrap();
        let look = two.try_io(Interest::READABLE, || rest_of(&two));
        assert_eq!(look.unwrap(), b"abc");
        assert_eq!(one.try_write(b"abc").unwrap(), 3);
        two.readable().await.unwrap();
        let mut slices = [IoSliceMut::new(&mut bytes)];
        assert_eq!(two.try_read_vectored(&mut slices).unwrap(), 3);

        let (one, two) = (udp().await, udp().await);
        let (first, second) = (one.local_addr().unwrap(), two.local_addr().unwrap());
        one.writable().await.unwrap();
        assert_eq!(one.try_send_to(b"1", second).unwrap(), 1);
        assert_eq!(
            poll_fn(|cx| one.poll_send_to(cx, b"2", second))
                .await
                .unwrap(),
            1
        );
        one.connect(second).await.unwrap();
        assert_eq!(poll_fn(|cx| one.poll_send(cx, b"3")).await.unwrap(), 1);
        for number in b'1'..=b'3' {
            assert_eq!(two.recv_from(&mut bytes).await.unwrap(), (1, first));
            assert_eq!(bytes[0], number);
        }

        let (one, two) = UnixDatagram::pair().unwrap();
        assert_eq!(poll_fn(|cx| one.poll_send(cx, b"1")).await.unwrap(), 1);
        let receive = || rest_of(&two);
        assert_eq!(
            two.async_io(Interest::READABLE, receive).await.unwrap(),
            b"1"
        );
        assert!(would_block(&two.try_io(Interest::READABLE, receive)));
        assert_eq!(one.send(b"2").await.unwrap(), 1);
        two.readable().await.unwrap();
        assert_eq!(two.try_io(Interest::READABLE, receive).unwrap(), b"2");
    });
}

fn copy_of(socket: &impl AsFd) -> OwnedFd {
    socket.as_fd().try_clone_to_owned().expect("a descriptor")
}

async fn udp() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.expect("a socket")
}

/// What a call of the caller's own reads from a socket.
fn rest_of(socket: &impl AsFd) -> io::Result<Vec<u8>> {
    let mut bytes = [0; 64];
    let count = rustix::io::read(socket, &mut bytes)?;
    Ok(bytes[..count].to_vec())
}

#[test]
fn descriptors_of_listeners_and_pipes_go_in_and_come_out_unchecked_too() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("listener")).unwrap();
        assert!(listener.take_error().unwrap().is_none());
        let listener = UnixListener::from_std(listener.into_std().unwrap()).unwrap();
        let client = UnixStream::connect(folder.path().join("listener"))
            .await
            .unwrap();
        let (server, _) = listener.accept().await.unwrap();
        assert_eq!(client.try_write(b"x").unwrap(), 1);
        server.readable().await.unwrap();

        let (sender, receiver) = pipe::pipe().unwrap();
        let sender: OwnedFd = sender.into_nonblocking_fd().unwrap();
        let receiver: OwnedFd = receiver.into_nonblocking_fd().unwrap();
        let sender = pipe::Sender::from_owned_fd_unchecked(sender).unwrap();
        let receiver = pipe::Receiver::from_owned_fd_unchecked(receiver).unwrap();
        assert_eq!(sender.try_write(b"xy").unwrap(), 2);
        receiver.readable().await.unwrap();
        assert_eq!(receiver.try_read(&mut [0; 4]).unwrap(), 2);
    });
}
