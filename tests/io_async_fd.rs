//! `AsyncFd`: readiness that stays until it is cleared, guards, several who wait, errors and the end of the runtime.

mod net_support;

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use net_support::*;
use ringway::io::unix::AsyncFd;
use ringway::io::{Interest, Ready};

/// A stream that is watched, and its other end.
fn watched() -> (AsyncFd<UnixStream>, UnixStream) {
    watched_for(Interest::READABLE | Interest::WRITABLE)
}

fn watched_for(interest: Interest) -> (AsyncFd<UnixStream>, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    ours.set_nonblocking(true).expect("a socket takes the flag");
    // SAFETY: the stream that is moved in keeps its descriptor open.
    let ours = unsafe { AsyncFd::register_with_interest(ours, interest) };
    (ours.expect("a watch"), theirs)
}

fn not_now() -> io::Result<()> {
    Err(ErrorKind::WouldBlock.into())
}

/// Polls once, after what the kernel has to tell has had time to come.
async fn is_ready_soon(fd: &AsyncFd<UnixStream>, interest: Interest) -> bool {
    let patience = Duration::from_millis(10);
    ringway::time::timeout(patience, fd.ready(interest))
        .await
        .is_ok()
}

#[test]
fn readiness_stays_until_it_is_cleared() {
    on_both_flavours(|| async {
        let (fd, mut other) = watched();
        assert!(!is_ready_soon(&fd, Interest::READABLE).await);
        other.write_all(b"x").unwrap();
        let mut guard = fd.readable().await.unwrap();
        let read = guard.try_io(|fd| fd.get_ref().read(&mut [0; 8]));
        assert_eq!(read.unwrap().unwrap(), 1);
        fd.readable().await.unwrap().retain_ready();
        let empty = guard.try_io(|fd| fd.get_ref().read(&mut [0; 8]));
        assert!(empty.is_err(), "it is said to be cleared");
        assert!(!is_ready_soon(&fd, Interest::READABLE).await);
        other.write_all(b"y").unwrap();
        assert!(fd.readable().await.unwrap().ready().is_readable());
    });
}

/// What comes between the last call and the clearing is not lost. Mutant: clear whatever the tick.
#[test]
fn what_comes_while_a_guard_is_held_survives_its_clearing() {
    on_both_flavours(|| async {
        let (fd, mut other) = watched();
        other.write_all(b"x").unwrap();
        let mut first = fd.readable().await.unwrap();
        assert_eq!(fd.get_ref().read(&mut [0; 8]).unwrap(), 1);
        let mut second = fd.readable().await.unwrap();
        second.clear_ready();
        other.write_all(b"y").unwrap();
        fd.readable().await.unwrap().retain_ready();
        first.clear_ready();
        assert!(is_ready_soon(&fd, Interest::READABLE).await);
    });
}

#[test]
fn a_part_of_the_readiness_can_be_cleared() {
    on_both_flavours(|| async {
        let (mut fd, mut other) = watched();
        other.write_all(b"x").unwrap();
        let both = Interest::READABLE | Interest::WRITABLE;
        fd.readable().await.unwrap().retain_ready();
        let mut guard = fd.ready_mut(both).await.unwrap();
        assert_eq!(guard.ready(), Ready::READABLE | Ready::WRITABLE);
        guard.clear_ready_matching(Ready::READABLE);
        assert_eq!(guard.ready(), Ready::WRITABLE);
        guard.clear_ready_matching(Ready::WRITABLE);
        assert_eq!(guard.ready(), Ready::EMPTY);
        assert_eq!(guard.get_inner_mut().read(&mut [0; 8]).unwrap(), 1);
        assert!(!is_ready_soon(&fd, both).await);
    });
}

#[test]
fn try_io_calls_only_what_is_ready() {
    on_both_flavours(|| async {
        let (mut fd, mut other) = watched();
        let never = fd.try_io(Interest::READABLE, |_| -> io::Result<()> {
            panic!("there is nothing to read")
        });
        assert!(would_block(&never));
        other.write_all(b"x").unwrap();
        assert!(would_block(&fd.try_io(Interest::READABLE, |_| not_now())));
        let never = fd.try_io_mut(Interest::READABLE, |_| -> io::Result<()> {
            panic!("it was cleared")
        });
        assert!(would_block(&never));
        let wrote = fd.try_io_mut(Interest::WRITABLE, |stream| stream.write(b"abc"));
        assert_eq!(wrote.unwrap(), 3);
    });
}

/// Who finds the news by `try_io` wakes those who wait for it. Mutant: leave out the hand-on in `Edges::event_now`.
#[test]
fn news_that_a_try_found_reaches_those_who_wait() {
    on_both_flavours(|| async {
        let (fd, mut other) = watched();
        let count = Arc::new(Wakes::default());
        let mut waits = pin!(fd.readable());
        {
            let waker = Waker::from(count.clone());
            let poll = waits.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(poll.is_pending());
        }
        other.write_all(b"x").unwrap();
        fd.try_io(Interest::READABLE, |_| Ok(())).unwrap();
        assert_eq!(count.count(), 1);
        waits.await.unwrap().retain_ready();
    });
}

#[test]
fn async_io_waits_and_calls_until_it_does_not_block() {
    on_both_flavours(|| async {
        let (mut fd, mut other) = watched();
        let writer = ringway::spawn(async move {
            for byte in 0..100_u8 {
                ringway::time::sleep(Duration::from_micros(200)).await;
                other.write_all(&[byte]).unwrap();
            }
            other
        });
        let mut bytes = Vec::new();
        while bytes.len() < 100 {
            let mut buffer = [0; 3];
            let count = fd.async_io_mut(Interest::READABLE, |stream| stream.read(&mut buffer));
            let count = count.await.unwrap();
            bytes.extend(&buffer[..count]);
        }
        assert!((0..100_u8).eq(bytes));
        drop(writer.await.unwrap());
        let ended = fd.async_io(Interest::READABLE, |mut stream| stream.read(&mut [0; 8]));
        assert_eq!(ended.await.unwrap(), 0);
    });
}

#[test]
fn each_direction_wakes_its_last_poller_and_all_its_futures() {
    on_both_flavours(|| async {
        let (fd, mut other) = watched();
        while fd.get_ref().write(&[0; 4096]).is_ok() {}
        let fd = Arc::new(fd);
        let counts: [Arc<Wakes>; 3] = Default::default();
        let [old, reader, writer] = counts.each_ref().map(|count| Waker::from(count.clone()));
        assert!(
            fd.poll_read_ready(&mut Context::from_waker(&old))
                .is_pending()
        );
        assert!(
            fd.poll_read_ready(&mut Context::from_waker(&reader))
                .is_pending()
        );
        assert!(
            fd.poll_write_ready(&mut Context::from_waker(&writer))
                .is_pending()
        );
        let futures = [(); 4].map(|()| {
            let fd = fd.clone();
            ringway::spawn(async move { fd.readable().await.unwrap().retain_ready() })
        });
        other.write_all(b"x").unwrap();
        for future in futures {
            future.await.unwrap();
        }
        until("the reader is woken", || counts[1].count() == 1).await;
        assert_eq!(counts[0].count(), 0, "another has taken its place");
        let before = counts[2].count();
        let poll = |cx: &mut Context<'_>| fd.poll_write_ready(cx).map(|guard| drop(guard.unwrap()));
        assert!(poll(&mut Context::from_waker(&writer)).is_pending());
        let mut room = vec![0; 1 << 20];
        other.set_nonblocking(true).unwrap();
        while other.read(&mut room).is_ok() {}
        until("the writer is woken", || counts[2].count() > before).await;
        assert!(poll(&mut Context::from_waker(&writer)).is_ready());
    });
}

#[test]
fn a_closed_end_is_told_and_stays_told() {
    on_both_flavours(|| async {
        let (fd, other) = watched();
        drop(other);
        let both = Interest::READABLE | Interest::WRITABLE;
        for _ in 0..3 {
            let mut guard = fd.ready(both).await.unwrap();
            let ready = guard.ready();
            assert!(
                ready.is_read_closed() && ready.is_write_closed(),
                "{ready:?}"
            );
            guard.clear_ready();
        }
    });
}

#[test]
fn only_what_was_registered_for_is_told() {
    on_both_flavours(|| async {
        let (fd, mut other) = watched_for(Interest::READABLE);
        assert!(!is_ready_soon(&fd, Interest::WRITABLE).await);
        other.write_all(b"x").unwrap();
        assert!(is_ready_soon(&fd, Interest::READABLE).await);
    });
}

#[test]
fn out_of_band_data_is_a_priority() {
    on_both_flavours(|| async {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        // SAFETY: the stream that is moved in keeps its descriptor open.
        let fd = unsafe { AsyncFd::register_with_interest(client, Interest::PRIORITY) }.unwrap();
        assert!(
            poll_future(pin!(fd.ready(Interest::PRIORITY)))
                .await
                .is_pending()
        );
        socket2::SockRef::from(&server)
            .send_out_of_band(b"!")
            .unwrap();
        let guard = fd.ready(Interest::PRIORITY).await.unwrap();
        assert!(guard.ready().is_priority());
    });
}

#[test]
fn dropping_closes_and_into_inner_does_not() {
    on_both_flavours(|| async {
        let (fd, mut other) = watched();
        assert!(poll_future(pin!(fd.readable())).await.is_pending());
        ringway::task::yield_now().await;
        let stream = fd.into_inner();
        other.set_nonblocking(true).unwrap();
        assert!(would_block(&other.read(&mut [0; 1])));
        // SAFETY: the stream that is moved in keeps its descriptor open.
        let fd = unsafe { AsyncFd::register(stream) }.unwrap();
        assert!(poll_future(pin!(fd.readable())).await.is_pending());
        ringway::task::yield_now().await;
        drop(fd);
        assert_eq!(other.read(&mut [0; 1]).unwrap(), 0, "closed there and then");
    });
}

#[derive(Debug)]
struct Nothing;

impl AsRawFd for Nothing {
    fn as_raw_fd(&self) -> RawFd {
        -1
    }
}

#[test]
fn what_cannot_be_watched_is_given_back() {
    on_both_flavours(|| async {
        // SAFETY: there is no descriptor that could be closed.
        let refused = unsafe { AsyncFd::register(Nothing) }.unwrap_err();
        let (Nothing, cause) = refused.into_parts();
        assert_eq!(cause.raw_os_error(), Some(libc::EBADF));
        let file = File::open(std::env::current_exe().unwrap()).unwrap();
        // SAFETY: the file that is moved in keeps its descriptor open.
        let refused = unsafe { AsyncFd::register(file) }.unwrap_err();
        assert_eq!(io::Error::from(refused).raw_os_error(), Some(libc::EPERM));
    });
}

/// Mutant: ask the watch before the operation, wherever the thread is.
#[test]
fn the_end_of_the_runtime_is_told_to_all() {
    let runtime = ringway::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let ((fd, _other), (late, _late_other)) = runtime.block_on(async { (watched(), watched()) });
    let mut cx = Context::from_waker(Waker::noop());
    let mut waits = Box::pin(fd.readable());
    assert!(waits.as_mut().poll(&mut cx).is_pending());
    drop(runtime);
    assert!(matches!(
        waits.as_mut().poll(&mut cx),
        std::task::Poll::Ready(Err(_))
    ));
    assert!(matches!(
        late.poll_write_ready(&mut cx),
        std::task::Poll::Ready(Err(_))
    ));
    assert!(matches!(
        fd.poll_write_ready(&mut cx),
        std::task::Poll::Ready(Err(_))
    ));
}
