//! The completion face moves every byte, and gives every buffer back.

mod net_support;

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use net_support::*;
use ringway::net::unix::pipe;
use ringway::net::{UdpSocket, UnixDatagram, UnixStream};
use ringway::uring::{self, Address, IoBuf, IoBufMut, SharedFd};

/// A file of this test's own.
fn file() -> SharedFd {
    SharedFd::from(OwnedFd::from(tempfile::tempfile().expect("a file")))
}

/// Mutant: `Vec<u8>`'s length where `initialized` is asked for its room, or the other way round.
#[test]
fn every_kind_of_buffer_is_sent_and_comes_back() {
    async fn echo<B: IoBuf>(one: &UnixStream, two: &UnixStream, buf: B) -> B {
        let (result, buf) = uring::send_all(one, buf).await;
        assert_eq!(result.unwrap(), 5);
        let (result, heard) = uring::recv(two, Vec::with_capacity(64)).await;
        assert_eq!((result.unwrap(), &heard[..]), (5, &b"hello"[..]));
        buf
    }
    on_both_flavours(|| async {
        let (one, two) = UnixStream::pair().unwrap();
        assert_eq!(echo(&one, &two, b"hello".to_vec()).await, b"hello");
        assert_eq!(
            &*echo(&one, &two, Box::<[u8]>::from(*b"hello")).await,
            b"hello"
        );
        assert_eq!(
            &*echo(&one, &two, Arc::<[u8]>::from(*b"hello")).await,
            b"hello"
        );
        assert_eq!(echo(&one, &two, String::from("hello")).await, "hello");
        assert_eq!(echo(&one, &two, "hello").await, "hello");
        assert_eq!(echo(&one, &two, &b"hello"[..]).await, b"hello");
        assert_eq!(
            echo(&one, &two, Bytes::from_static(b"hello")).await,
            "hello"
        );
        assert_eq!(echo(&one, &two, BytesMut::from("hello")).await, "hello");
        let part = echo(&one, &two, b"oh hello!".to_vec().slice(3..8)).await;
        assert_eq!(part.into_inner(), b"oh hello!");
    });
}

/// Mutant: `Fill::entry` names the buffer from its length on, or does not mind the part.
#[test]
fn a_buffer_is_filled_from_its_first_byte_on_and_a_part_within_its_bounds() {
    on_both_flavours(|| async {
        let (one, two) = UnixStream::pair().unwrap();
        uring::send_all(&one, "0123456789").await.0.unwrap();
        let mut buf = Vec::with_capacity(16);
        buf.extend_from_slice(b"abcdef");
        let (result, buf) = uring::recv(&two, buf.slice_mut(2..4)).await;
        assert_eq!((result.unwrap(), &buf[..]), (2, &b"01"[..]));
        let buf = buf.into_inner();
        assert_eq!(buf, b"ab01ef");
        let (result, buf) = uring::recv(&two, buf.slice_mut(6..9)).await;
        assert_eq!((result.unwrap(), &buf[..]), (3, &b"234"[..]));
        let buf = buf.into_inner();
        assert_eq!(buf, b"ab01ef234");
        let (result, buf) = uring::recv(&two, buf).await;
        assert_eq!((result.unwrap(), &buf[..]), (5, &b"56789"[..]));
        let (result, boxed) = {
            uring::send_all(&one, "xy").await.0.unwrap();
            uring::recv(&two, Box::<[u8]>::from(*b"....")).await
        };
        assert_eq!((result.unwrap(), &*boxed), (2, &b"xy.."[..]));
    });
}

/// Mutants: `Drain::complete` ends at the first answer, with `Goal::flags` at 0; it begins again at the first byte.
#[test]
fn a_large_send_arrives_whole_however_slowly_it_is_taken() {
    const TOTAL: usize = 8 << 20;
    on_both_flavours(|| async {
        let (client, server) = pair().await;
        let sender = ringway::spawn(async move {
            let buf = pattern_from(1, 0, TOTAL);
            let (result, buf) = uring::send_all(&client, buf).await;
            assert_eq!((result.unwrap(), buf.len()), (TOTAL, TOTAL));
            uring::shutdown(&client, Shutdown::Write).await.unwrap();
            client
        });
        let mut numbers = Numbers::new(2);
        let mut position = 0;
        let mut buf = Vec::with_capacity(1 << 18);
        loop {
            let result;
            (result, buf) = uring::recv(&server, buf).await;
            check_pattern(1, position, &buf[..result.unwrap()]);
            position += buf.len() as u64;
            if buf.is_empty() {
                break;
            }
            if numbers.below(8) == 0 {
                ringway::time::sleep(Duration::from_micros(300)).await;
            }
        }
        assert_eq!(position, TOTAL as u64);
        sender.await.unwrap();
    });
}

/// Mutant: `Fill::complete` ends `Goal::Whole` at the first answer, with `Goal::flags` at 0.
#[test]
fn an_exact_receive_waits_for_the_last_byte_and_tells_of_an_end_before_it() {
    on_both_flavours(|| async {
        let (mut client, server) = pair_with_std().await;
        let receiver = ringway::spawn(async move {
            let whole = uring::recv_exact(&server, Vec::with_capacity(300)).await;
            let short = uring::recv_exact(&server, Vec::with_capacity(100)).await;
            (whole, short)
        });
        for begin in [0, 100, 200] {
            client.write_all(&pattern_from(5, begin, 100)).unwrap();
            ringway::time::sleep(Duration::from_millis(5)).await;
        }
        client.write_all(b"rest").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let ((result, whole), (short, rest)) = receiver.await.unwrap();
        assert_eq!(result.unwrap(), 300);
        check_pattern(5, 0, &whole);
        assert_eq!(short.unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert_eq!(rest, b"rest");
    });
}

#[test]
fn an_exact_request_of_nothing_is_over_at_once() {
    on_both_flavours(|| async {
        let (one, _two) = UnixStream::pair().unwrap();
        assert_eq!(uring::recv_exact(&one, Vec::new()).await.0.unwrap(), 0);
        assert_eq!(uring::send_all(&one, Vec::new()).await.0.unwrap(), 0);
        let none: Vec<Vec<u8>> = Vec::new();
        assert_eq!(uring::send_all_vectored(&one, none).await.0.unwrap(), 0);
    });
}

/// Mutants: `Pieces::add` skips no bytes; it pushes more than the kernel takes.
#[test]
fn thousands_of_buffers_go_out_and_come_in_as_one_stream() {
    on_both_flavours(|| async {
        let (client, server) = pair().await;
        let sender = ringway::spawn(async move {
            let mut position = 0;
            let bufs: Vec<Vec<u8>> = (0..3000)
                .map(|index| {
                    let buf = pattern_from(7, position, index % 700);
                    position += buf.len() as u64;
                    buf
                })
                .collect();
            let (result, bufs) = uring::send_all_vectored(&client, bufs).await;
            assert_eq!(result.unwrap() as u64, position);
            assert_eq!(bufs.len(), 3000);
            (client, position)
        });
        let mut position = 0;
        while position < 900_000 {
            let bufs: Vec<Vec<u8>> = (1..40).map(Vec::with_capacity).collect();
            let (result, bufs) = uring::recv_vectored(&server, bufs).await;
            let count = result.unwrap();
            let bytes = bufs.concat();
            assert_eq!(bytes.len(), count, "lengths are the count's");
            check_pattern(7, position, &bytes);
            position += count as u64;
        }
        let rest = sender.await.unwrap().1 - position;
        let (result, buf) = uring::recv_exact(&server, Vec::with_capacity(rest as usize)).await;
        assert_eq!(result.unwrap() as u64, rest);
        check_pattern(7, position, &buf);
    });
}

/// Mutants: `Header::of_message` says no length of the address; `RecvFrom::sender` gives the address before the last.
#[test]
fn messages_keep_their_bounds_and_tell_who_sent_them() {
    on_both_flavours(|| async {
        let one = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let two = UdpSocket::bind("[::1]:0").await.unwrap();
        let three = UdpSocket::bind("[::1]:0").await.unwrap();
        let (to, from) = (two.local_addr().unwrap(), three.local_addr().unwrap());
        let (result, buf) = uring::send_to(&three, vec![3; 700], to).await;
        assert_eq!((result.unwrap(), buf.len()), (700, 700));
        uring::send_to(&three, "short", to).await.0.unwrap();
        let (result, buf) = uring::recv_from(&two, Vec::with_capacity(100)).await;
        assert_eq!(
            (result.unwrap(), buf.len()),
            ((100, Address::from(from)), 100)
        );
        let (result, buf) = uring::recv_from(&two, buf).await;
        assert_eq!(result.unwrap().1.as_inet(), Some(from));
        assert_eq!(buf, b"short");
        let (result, buf) = uring::send_to(&one, vec![0; 70_000], one.local_addr().unwrap()).await;
        assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EMSGSIZE));
        assert_eq!(buf.len(), 70_000);

        let dir = tempfile::tempdir().unwrap();
        let [ours, theirs] = ["ours", "theirs"].map(|name| dir.path().join(name));
        let sender = UnixDatagram::bind(&ours).unwrap();
        let receiver = UnixDatagram::bind(&theirs).unwrap();
        let target = Address::unix(&theirs).unwrap();
        uring::send_to(&sender, "by name", target).await.0.unwrap();
        let (result, buf) = uring::recv_from(&receiver, Vec::with_capacity(64)).await;
        let (count, from) = result.unwrap();
        assert_eq!(
            (&buf[..count], from.as_pathname()),
            (&b"by name"[..], Some(&*ours))
        );
    });
}

/// Mutant: `Verdict::of` takes EAGAIN for an error. (Pipes of the runtime are O_NONBLOCK.)
#[test]
fn a_read_of_an_empty_pipe_waits_and_so_does_a_write_to_a_full_one() {
    const TOTAL: usize = 1 << 20;
    on_both_flavours(|| async {
        let (sender, receiver) = pipe::pipe().unwrap();
        let reader = ringway::spawn(async move {
            let (result, buf) = uring::read_exact(&receiver, Vec::with_capacity(TOTAL)).await;
            assert_eq!(result.unwrap(), TOTAL);
            let (result, rest) = uring::read(&receiver, Vec::with_capacity(10)).await;
            assert_eq!((result.unwrap(), rest.len()), (0, 0));
            buf
        });
        ringway::time::sleep(Duration::from_millis(5)).await;
        let half = TOTAL / 2;
        let bufs = [
            pattern_from(4, 0, half / 2),
            pattern_from(4, half as u64 / 2, half / 2),
        ];
        let (result, _) = uring::write_all_vectored(&sender, bufs).await;
        assert_eq!(result.unwrap(), half);
        let (result, _) = uring::write_all(&sender, pattern_from(4, half as u64, half)).await;
        assert_eq!(result.unwrap(), half);
        drop(sender);
        check_pattern(4, 0, &reader.await.unwrap());
    });
}

#[test]
fn files_are_read_and_written_at_offsets() {
    on_both_flavours(|| async {
        let file = file();
        let (result, buf) = uring::write_all_at(&file, pattern_from(8, 0, 100_000), 0).await;
        assert_eq!((result.unwrap(), buf.len()), (100_000, 100_000));
        let pair = (pattern_from(8, 100_000, 10), pattern_from(8, 100_010, 20));
        let (result, _) = uring::write_vectored_at(&file, pair, 100_000).await;
        assert_eq!(result.unwrap(), 30);
        let (result, buf) = uring::read_exact_at(&file, Vec::with_capacity(50_000), 50_000).await;
        assert_eq!(result.unwrap(), 50_000);
        check_pattern(8, 50_000, &buf);
        let bufs = [Vec::with_capacity(20), Vec::with_capacity(100)];
        let (result, bufs) = uring::read_vectored_at(&file, bufs, 99_990).await;
        assert_eq!(result.unwrap(), 40);
        assert_eq!(bufs.each_ref().map(Vec::len), [20, 20]);
        check_pattern(8, 99_990, &bufs.concat());
        let (result, buf) = uring::read_exact_at(&file, Vec::with_capacity(50), 100_000).await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert_eq!(buf.len(), 30);
        for offset in [u64::MAX, u64::MAX - 5, 1 << 63] {
            let (result, _) = uring::read_at(&file, vec![0; 4], offset).await;
            assert_eq!(
                result.unwrap_err().raw_os_error(),
                Some(libc::EINVAL),
                "{offset}"
            );
        }
        uring::sync_data(&file).await.unwrap();
        uring::sync_all(&file).await.unwrap();
        uring::advise(&file, 0, 0, libc::POSIX_FADV_WILLNEED)
            .await
            .unwrap();
        uring::allocate(&file, 0, 0, 200_000).await.unwrap();
        let (result, buf) = uring::read_at(&file, vec![1; 8], 199_992).await;
        assert_eq!((result.unwrap(), buf), (8, vec![0; 8]));
    });
}

/// Mutant: `Splice::complete` takes EAGAIN for an error.
#[test]
fn a_splice_waits_for_both_of_its_ends() {
    const TOTAL: usize = 3 << 20;
    on_both_flavours(|| async {
        let (sender, receiver) = pipe::pipe().unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mover = ringway::spawn(async move {
            let mut moved = 0;
            while let Ok(count @ 1..) = uring::splice(&receiver, None, &ours, None, 1 << 16).await {
                moved += count;
            }
            moved
        });
        ringway::time::sleep(Duration::from_millis(5)).await;
        let writer = ringway::spawn(async move {
            let (result, _) = uring::write_all(&sender, pattern_from(6, 0, TOTAL)).await;
            result.unwrap()
        });
        ringway::time::sleep(Duration::from_millis(20)).await;
        let (result, buf) = uring::recv_exact(&theirs, Vec::with_capacity(TOTAL)).await;
        assert_eq!(result.unwrap(), TOTAL);
        check_pattern(6, 0, &buf);
        assert_eq!(
            (writer.await.unwrap(), mover.await.unwrap()),
            (TOTAL, TOTAL)
        );
    });
}

#[test]
fn a_tee_leaves_the_bytes_where_they_are() {
    on_both_flavours(|| async {
        let (sender, receiver) = pipe::pipe().unwrap();
        let (copy, copied) = pipe::pipe().unwrap();
        uring::write_all(&sender, "twice").await.0.unwrap();
        assert_eq!(uring::tee(&receiver, &copy, 100).await.unwrap(), 5);
        for pipe in [&receiver, &copied] {
            assert_eq!(uring::read(pipe, Vec::with_capacity(9)).await.1, b"twice");
        }
    });
}

/// A signal would end the test's process. Mutant: sends without MSG_NOSIGNAL, with SIGPIPE's default restored.
#[test]
fn a_send_to_a_peer_that_is_gone_is_an_error_with_the_buffer() {
    on_both_flavours(|| async {
        let (one, two) = UnixStream::pair().unwrap();
        drop(two);
        let (result, buf) = uring::send(&one, "hello").await;
        assert_eq!(
            (result.unwrap_err().kind(), buf),
            (ErrorKind::BrokenPipe, "hello")
        );
        let (result, bufs) = uring::send_all_vectored(&one, ["a", "b"]).await;
        assert_eq!(
            (result.unwrap_err().kind(), bufs),
            (ErrorKind::BrokenPipe, ["a", "b"])
        );
    });
}

/// Over TCP, and over a Unix socket, which cannot: mutant there, `Drain::judge` without the way back.
#[test]
fn a_send_without_a_copy_arrives_whole_or_is_sent_with_one() {
    const TOTAL: usize = 1 << 20;
    on_both_flavours(|| async {
        let (client, server) = pair().await;
        let sender = ringway::spawn(async move {
            let (result, buf) = uring::send_all_zc(&client, pattern_from(3, 0, TOTAL)).await;
            assert_eq!(result.unwrap(), TOTAL);
            check_pattern(3, 0, &buf);
            assert_eq!(uring::send_zc(&client, "end").await.0.unwrap(), 3);
            client
        });
        let (result, buf) = uring::recv_exact(&server, Vec::with_capacity(TOTAL + 3)).await;
        assert_eq!(result.unwrap(), TOTAL + 3);
        check_pattern(3, 0, &buf[..TOTAL]);
        assert_eq!(&buf[TOTAL..], b"end");
        sender.await.unwrap();

        let (one, two) = UnixStream::pair().unwrap();
        assert_eq!(uring::send_all_zc(&one, "copied").await.0.unwrap(), 6);
        assert_eq!(uring::recv(&two, Vec::with_capacity(9)).await.1, b"copied");
    });
}

#[test]
fn a_socket_of_ones_own_connects_and_says_when_nobody_listens() {
    on_both_flavours(|| async {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let socket = || {
            let kind = socket2::Type::STREAM.nonblocking();
            let socket = socket2::Socket::new(socket2::Domain::IPV4, kind, None).unwrap();
            SharedFd::from(OwnedFd::from(socket))
        };
        let ours = socket();
        uring::connect(&ours, address).await.unwrap();
        uring::send_all(&ours, "it is me").await.0.unwrap();
        let (mut theirs, _) = listener.accept().unwrap();
        let mut heard = [0; 8];
        theirs.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"it is me");
        drop(listener);
        let error = uring::connect(&socket(), address).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}
