//! Wakers for those who wait outside of tasks.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use loom::thread::{self, Thread};

use crate::crew::Bell;

/// Unparks the thread that made it.
#[derive(Debug)]
pub struct Alarm(Thread);

impl Alarm {
    /// A waker for the calling thread of a model.
    pub fn waker() -> Waker {
        Waker::from(Arc::new(Self(thread::current())))
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a task as a thread does that has nothing else to do.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Alarm::waker();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        loom::thread::park();
    }
}

/// The same for who may be woken when it waits no more: loom does not bear that a thread is unparked which waits for
/// something else since.
pub fn block_on_bell<F: Future>(future: F) -> F::Output {
    struct Ring(Bell);

    impl Wake for Ring {
        fn wake(self: Arc<Self>) {
            self.0.ring();
        }
    }

    let mut future = pin!(future);
    let ring = Arc::new(Ring(Bell::new()));
    let waker = Waker::from(Arc::clone(&ring));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        ring.0.wait();
    }
}

/// Counts wakes. The count is nothing that loom sees, so it orders nothing.
#[derive(Debug, Default)]
pub struct Count(AtomicUsize);

impl Count {
    /// A count and a waker that counts in it.
    pub fn new() -> (Arc<Self>, Waker) {
        let count = Arc::new(Self::default());
        (Arc::clone(&count), Waker::from(count))
    }

    /// How often the waker was used.
    pub fn wakes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
