//! A request that is cancelled gives back its buffer, and what had come of it; one that is dropped harms nobody.

mod net_support;

use std::future::{pending, ready};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use net_support::*;
use ringway::net::unix::pipe;
use ringway::net::{UdpSocket, UnixStream};
use ringway::uring::{self, IoBuf, IoBufMut, is_cancelled};

/// So many cancels in the tests of many; `RINGWAY_TEST_CANCELS` sets another number.
fn cancels() -> usize {
    let set = std::env::var("RINGWAY_TEST_CANCELS").ok();
    set.map_or(20_000, |set| set.parse().expect("a number of cancels"))
}

/// Mutant: `Op::cancel` leaves an idle operation idle.
#[test]
fn a_request_that_was_never_polled_is_cancelled_without_the_kernel() {
    on_both_flavours(|| async {
        let (one, two) = UnixStream::pair().unwrap();
        let (result, buf) = uring::send_all(&one, b"unsent".to_vec()).cancel().await;
        assert!(is_cancelled(&result.unwrap_err()));
        assert_eq!(buf, b"unsent");
        uring::send_all(&one, "sent").await.0.unwrap();
        let (_, heard) = uring::recv(&two, Vec::with_capacity(64)).await;
        assert_eq!(heard, b"sent");
    });
}

/// Mutant: `Shard::cancel` queues no cancel, or does not say that something is queued.
#[test]
fn every_request_that_waits_can_be_cancelled_and_gives_its_buffer_back() {
    const SHORT: Duration = Duration::from_millis(2);
    on_both_flavours(|| async {
        let (one, _two) = UnixStream::pair().unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (_sender, receiver) = pipe::pipe().unwrap();
        let listener = listener().await;
        let buf = || Vec::with_capacity(77);
        let (result, back) = uring::recv(&one, buf()).cancel_after(SHORT).await;
        assert!(is_cancelled(&result.unwrap_err()) && back.capacity() == 77);
        let (result, back) = uring::recv_exact(&one, buf()).cancel_after(SHORT).await;
        assert!(is_cancelled(&result.unwrap_err()) && back.capacity() == 77);
        let (result, back) = uring::recv_vectored(&one, [buf()])
            .cancel_after(SHORT)
            .await;
        assert!(is_cancelled(&result.unwrap_err()) && back[0].capacity() == 77);
        let (result, back) = uring::recv_from(&udp, buf()).cancel_after(SHORT).await;
        assert!(is_cancelled(&result.unwrap_err()) && back.capacity() == 77);
        let (result, back) = uring::read(&receiver, buf()).cancel_after(SHORT).await;
        assert!(is_cancelled(&result.unwrap_err()) && back.capacity() == 77);
        let moved = uring::splice(&receiver, None, &one, None, 9).cancel_after(SHORT);
        assert!(is_cancelled(&moved.await.unwrap_err()));
        let accepted = uring::accept(&listener).cancel_after(SHORT).await;
        assert!(is_cancelled(&accepted.unwrap_err()));
    });
}

/// Mutant: `CancelWhen::poll` drops a result that comes with `when`, or `Request::poll` one that comes after the cancel.
#[test]
fn receives_that_are_cancelled_at_random_lose_no_byte() {
    on_both_flavours(|| async {
        let rounds = cancels();
        let (client, server) = pair().await;
        let (stop, stopped) = ringway::sync::oneshot::channel::<()>();
        let sender = ringway::spawn(async move {
            let mut numbers = Numbers::new(3);
            let mut stopped = pin!(stopped);
            let mut sent = 0;
            while poll_future(stopped.as_mut()).await.is_pending() {
                let count = 1 + numbers.below(300);
                let buf = pattern_from(9, sent, count);
                assert_eq!(uring::send_all(&client, buf).await.0.unwrap(), count);
                sent += count as u64;
                if numbers.below(3) == 0 {
                    ringway::time::sleep(Duration::from_micros(numbers.below(200) as u64)).await;
                }
            }
            uring::shutdown(&client, std::net::Shutdown::Write)
                .await
                .unwrap();
            sent
        });
        let mut numbers = Numbers::new(4);
        let mut buf = Vec::with_capacity(2000);
        let (mut received, mut cancelled, mut won) = (0, 0, 0);
        while cancelled < rounds {
            let room = 1 + numbers.below(2000);
            let request = uring::recv(&server, buf.slice_mut(..room));
            let (result, part) = if numbers.below(2) == 0 {
                let patience = Duration::from_micros(1 + numbers.below(200) as u64);
                request.cancel_after(patience).await
            } else {
                let mut request = request;
                let polled = poll_future(pin!(&mut request)).await;
                match polled {
                    std::task::Poll::Ready(output) => output,
                    std::task::Poll::Pending => request.cancel().await,
                }
            };
            match result {
                Ok(count) => {
                    check_pattern(9, received, &part[..count]);
                    received += count as u64;
                    won += 1;
                }
                Err(error) => {
                    assert!(is_cancelled(&error), "{error}");
                    cancelled += 1;
                }
            }
            buf = part.into_inner();
        }
        stop.send(()).unwrap();
        loop {
            let result;
            (result, buf) = uring::recv(&server, buf).await;
            match result.unwrap() {
                0 => break,
                count => check_pattern(9, received, &buf[..count]),
            }
            received += buf.len() as u64;
        }
        assert_eq!(received, sender.await.unwrap());
        assert!(won > 0, "no receive was faster than its cancel");
    });
}

/// Mutant: `Rounds::give_up` of `Fill` says ECANCELED whatever had come.
#[test]
fn a_cancelled_exact_receive_tells_how_many_bytes_had_come() {
    on_both_flavours(|| async {
        let (client, server) = pair().await;
        let mut request = uring::recv_exact(&server, Vec::with_capacity(100));
        assert!(poll_future(pin!(&mut request)).await.is_pending());
        uring::send_all(&client, "some").await.0.unwrap();
        let request = request.cancel_after(Duration::from_millis(20));
        let (result, buf) = request.await;
        assert_eq!((result.unwrap(), &buf[..]), (4, &b"some"[..]));
    });
}

/// Mutant: `Rounds::give_up` of `Drain` says ECANCELED whatever was sent.
#[test]
fn a_cancelled_send_tells_how_many_bytes_were_sent() {
    const TOTAL: usize = 16 << 20;
    on_both_flavours(|| async {
        let (client, server) = pair().await;
        let request = uring::send_all(&client, pattern_from(1, 0, TOTAL));
        let (result, buf) = request.cancel_after(Duration::from_millis(20)).await;
        let sent = result.unwrap();
        assert!(0 < sent && sent < TOTAL && buf.len() == TOTAL);
        drop(client);
        let (result, heard) = uring::recv_exact(&server, Vec::with_capacity(TOTAL)).await;
        assert_eq!(
            result.unwrap_err().kind(),
            std::io::ErrorKind::UnexpectedEof
        );
        assert_eq!(heard.len(), sent);
        check_pattern(1, 0, &heard);
    });
}

#[test]
fn a_future_that_is_ready_cancels_and_one_that_never_is_does_not() {
    on_both_flavours(|| async {
        let (one, two) = UnixStream::pair().unwrap();
        let (result, _) = uring::recv(&one, vec![0; 8]).cancel_when(ready(7)).await;
        assert!(is_cancelled(&result.unwrap_err()));
        uring::send_all(&two, "there").await.0.unwrap();
        let (result, _) = uring::recv(&one, vec![0; 8])
            .cancel_when(pending::<()>())
            .await;
        assert_eq!(result.unwrap(), 5);
    });
}

/// A buffer that says when it is freed.
struct Watched(Vec<u8>, Arc<AtomicUsize>);

impl Drop for Watched {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: as the vector in it.
unsafe impl IoBuf for Watched {
    fn stable_ptr(&self) -> *const u8 {
        self.0.stable_ptr()
    }

    fn initialized(&self) -> usize {
        self.0.initialized()
    }
}

// SAFETY: as the vector in it.
unsafe impl IoBufMut for Watched {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.0.stable_mut_ptr()
    }

    fn room(&self) -> usize {
        self.0.room()
    }

    unsafe fn set_initialized(&mut self, count: usize) {
        // SAFETY: the caller's promise is the same.
        unsafe { self.0.set_initialized(count) }
    }
}

/// Mutant: the future's drop forgets the operation (`Op::drop` without `abandon`), or frees it at once (the payload is
/// taken in `Slots::abandon`): the first leaks, the second frees before the kernel has answered.
#[test]
fn the_buffer_of_a_dropped_request_is_freed_when_the_kernel_is_through() {
    on_both_flavours(|| async {
        let freed = Arc::new(AtomicUsize::new(0));
        let (one, _two) = UnixStream::pair().unwrap();
        for _ in 0..100 {
            let buf = Watched(Vec::with_capacity(64), freed.clone());
            let mut request = uring::recv(&one, buf);
            assert!(poll_future(pin!(&mut request)).await.is_pending());
            let before = freed.load(Ordering::Relaxed);
            drop(request);
            assert_eq!(
                freed.load(Ordering::Relaxed),
                before,
                "the kernel has it still"
            );
            until("it is freed", || {
                freed.load(Ordering::Relaxed) == before + 1
            })
            .await;
        }
    });
}

/// On another thread, outside of every runtime, and after its runtime has ended.
#[test]
fn a_request_may_be_dropped_and_cancelled_anywhere() {
    let freed = Arc::new(AtomicUsize::new(0));
    let (request, other, stream) = on_two_workers({
        let freed = freed.clone();
        async move {
            let (one, two) = UnixStream::pair().unwrap();
            let mut request = uring::recv(&one, Watched(Vec::with_capacity(64), freed.clone()));
            assert!(poll_future(pin!(&mut request)).await.is_pending());
            let mut other = uring::recv(&one, Watched(Vec::with_capacity(64), freed));
            assert!(poll_future(pin!(&mut other)).await.is_pending());
            (request, other, (one, two))
        }
    });
    std::thread::spawn(move || drop(request)).join().unwrap();
    let (result, buf) = on_this_thread(other.cancel());
    assert!(result.is_err());
    drop((buf, stream));
    assert_eq!(freed.load(Ordering::Relaxed), 2);
}

/// The task that awaits a cancel need not be where the request was polled.
#[test]
fn a_cancel_is_awaited_on_another_worker() {
    on_two_workers(async {
        for round in 0..200 {
            let (one, two) = UnixStream::pair().unwrap();
            let mut request = uring::recv(&one, Vec::with_capacity(8));
            assert!(poll_future(pin!(&mut request)).await.is_pending());
            if round % 2 == 0 {
                uring::send_all(&two, "hi").await.0.unwrap();
            }
            let other = ringway::spawn(async move { request.cancel().await });
            let (result, buf) = other.await.unwrap();
            match result {
                Ok(count) => assert_eq!((count, &buf[..]), (2, &b"hi"[..])),
                Err(error) => assert!(is_cancelled(&error)),
            }
        }
    });
}
