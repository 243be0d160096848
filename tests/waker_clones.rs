//! Wakers whose clone comes back for what is being waited for: they are never cloned under a lock.

mod net_support;

use std::future::Future;
use std::mem::ManuallyDrop;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use std::thread;

use net_support::{WATCHDOG, listener, pair};
use ringway::io::unix::AsyncFd;
use ringway::runtime::Builder;
use ringway::uring;

/// What such a waker does when it is cloned, and how often it was.
struct Nosy {
    clones: AtomicUsize,
    on_clone: Box<dyn Fn() + Send + Sync>,
}

static TABLE: RawWakerVTable = RawWakerVTable::new(clone, drop_waker, |_| {}, drop_waker);

fn clone(nosy: *const ()) -> RawWaker {
    // SAFETY: the pointer is an `Arc`'s, whose count a waker holds while it is cloned.
    let nosy = ManuallyDrop::new(unsafe { Arc::from_raw(nosy.cast::<Nosy>()) });
    nosy.clones.fetch_add(1, Ordering::Relaxed);
    (nosy.on_clone)();
    RawWaker::new(Arc::into_raw(Arc::clone(&nosy)).cast(), &TABLE)
}

fn drop_waker(nosy: *const ()) {
    // SAFETY: the pointer is an `Arc`'s, and the waker that is used up here held a count.
    drop(unsafe { Arc::from_raw(nosy.cast::<Nosy>()) });
}

/// A waker that calls `on_clone` when it is cloned, and what counts its clones.
fn nosy(on_clone: impl Fn() + Send + Sync + 'static) -> (Arc<Nosy>, Waker) {
    let nosy = Arc::new(Nosy {
        clones: AtomicUsize::new(0),
        on_clone: Box::new(on_clone),
    });
    let pointer = Arc::into_raw(Arc::clone(&nosy));
    // SAFETY: the functions of the table keep a waker's contract: each waker holds a count of the `Arc`.
    let waker = unsafe { Waker::from_raw(RawWaker::new(pointer.cast(), &TABLE)) };
    (nosy, waker)
}

fn idle() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Runs `body` on a runtime of its own; a thread that blocks for ever fails the test.
fn watched<F: Future<Output = ()>>(body: impl FnOnce() -> F + Send + 'static) {
    let (tell, told) = mpsc::channel();
    let thread = thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(body());
        tell.send(()).expect("somebody waits");
    });
    match told.recv_timeout(WATCHDOG) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("a lock is held while a waker is cloned"),
        Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => thread.join().expect("the test"),
    }
}

/// Waits by `wait` twice, with a waker whose clone does the same.
fn wait_with_nosy<T, R>(at: &Arc<T>, wait: fn(&T, &mut Context<'_>) -> Poll<R>)
where
    T: Send + Sync + 'static,
    R: 'static,
{
    let again = Arc::clone(at);
    let (nosy, waker) = nosy(move || drop(wait(&again, &mut idle())));
    for _ in 0..2 {
        assert!(wait(at, &mut Context::from_waker(&waker)).is_pending());
    }
    assert!(nosy.clones.load(Ordering::Relaxed) > 0);
}

/// Mutant: `Operations::poll` in `runtime/src/driver/operations.rs` prepares the offer under its lock.
#[test]
fn a_waker_of_an_operation_may_submit_another_when_it_is_cloned() {
    watched(async || {
        let (_client, server) = pair().await;
        let server = Arc::new(server);
        let again = Arc::clone(&server);
        let receive = move || drop(pin!(uring::recv(&*again, vec![0; 8])).poll(&mut idle()));
        let (nosy, waker) = nosy(receive);
        let mut received = pin!(uring::recv(&*server, vec![0; 8]));
        assert!(received.as_mut().poll(&mut idle()).is_pending());
        let mut cx = Context::from_waker(&waker);
        assert!(received.as_mut().poll(&mut cx).is_pending());
        assert_eq!(nosy.clones.load(Ordering::Relaxed), 1);
        // The same waker need not be cloned again.
        assert!(received.as_mut().poll(&mut cx).is_pending());
        assert_eq!(nosy.clones.load(Ordering::Relaxed), 1);
    });
}

/// Mutants: `Operations::next` prepares the offer under its lock; `Taker::poll_take` in `net/src/socket/stash.rs` does.
#[test]
fn a_waker_of_an_operation_with_many_answers_may_submit_another_when_it_is_cloned() {
    watched(async || {
        let listener = Arc::new(listener().await);
        let again = Arc::clone(&listener);
        let accept = move || drop(uring::accept_multi(&*again).poll_next(&mut idle()));
        let (nosy, waker) = nosy(accept);
        let mut accepts = uring::accept_multi(&*listener);
        assert!(accepts.poll_next(&mut idle()).is_pending());
        for _ in 0..2 {
            let mut cx = Context::from_waker(&waker);
            assert!(accepts.poll_next(&mut cx).is_pending());
        }
        assert!(nosy.clones.load(Ordering::Relaxed) > 0);
    });
}

/// Mutant: `wait` in `net/src/socket/side.rs` prepares the offer before it gives up the lock.
#[test]
fn a_waker_of_a_socket_may_wait_for_it_when_it_is_cloned() {
    watched(async || {
        let (_client, server) = pair().await;
        // A socket is believed ready until a call would have blocked.
        assert!(server.try_read(&mut [0; 8]).is_err());
        let server = Arc::new(server);
        wait_with_nosy(&server, |server, cx| server.poll_read_ready(cx));
        wait_with_nosy(&server, |server, cx| pin!(server.readable()).poll(cx));
        wait_with_nosy(&Arc::new(listener().await), |listener, cx| {
            listener.poll_accept(cx)
        });
        let (ours, _theirs) = UnixStream::pair().expect("a pair");
        ours.set_nonblocking(true).expect("a mode");
        // SAFETY: the watch owns the descriptor.
        let watched = unsafe { AsyncFd::register(ours) }.expect("a watch");
        wait_with_nosy(&Arc::new(watched), |watched, cx| {
            watched.poll_read_ready(cx).map(|ready| ready.is_ok())
        });
    });
}
