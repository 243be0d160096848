//! What the tests of the sockets share: runtimes, pairs of connections, patterns of bytes, and a watchdog.

#![allow(dead_code, unused_imports, reason = "each test file uses a part of it")]

#[path = "../support/flavours.rs"]
mod flavours;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ringway::net::{TcpListener, TcpStream};

pub(crate) use flavours::{WATCHDOG, on_both_flavours, on_this_thread, on_two_workers, within};

/// A listener on a free port of this machine.
pub(crate) async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a listener")
}

/// A connection: the end that connected and the end that was accepted.
pub(crate) async fn pair() -> (TcpStream, TcpStream) {
    let listener = listener().await;
    let address = listener.local_addr().expect("an address");
    let client = TcpStream::connect(address).await.expect("a connection");
    let (server, _) = listener.accept().await.expect("a connection");
    (client, server)
}

/// A connection whose client is the standard library's, and blocking.
pub(crate) async fn pair_with_std() -> (std::net::TcpStream, TcpStream) {
    let listener = listener().await;
    let address = listener.local_addr().expect("an address");
    let client = std::net::TcpStream::connect(address).expect("a connection");
    let (server, _) = listener.accept().await.expect("a connection");
    (client, server)
}

/// The byte at `position` of a stream in which a lost, doubled or swapped piece shows. `salt` tells streams apart.
pub(crate) fn pattern(salt: u64, position: u64) -> u8 {
    let mut value = (position ^ salt.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    value ^= value >> 29;
    value as u8
}

/// `count` bytes of the pattern from `position` on.
pub(crate) fn pattern_from(salt: u64, position: u64, count: usize) -> Vec<u8> {
    (0..count as u64)
        .map(|offset| pattern(salt, position + offset))
        .collect()
}

/// Checks that `bytes` are the pattern's from `position` on.
#[track_caller]
pub(crate) fn check_pattern(salt: u64, position: u64, bytes: &[u8]) {
    for (offset, byte) in bytes.iter().enumerate() {
        let place = position + offset as u64;
        assert_eq!(
            *byte,
            pattern(salt, place),
            "byte {place} of the stream is wrong"
        );
    }
}

/// Numbers that look random and are the same in every run.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Numbers {
        Numbers(seed.wrapping_mul(2).wrapping_add(1))
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// Asks again and again until `condition` holds.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = std::time::Instant::now();
    while !condition() {
        assert!(begin.elapsed() < WATCHDOG, "never came true: {what}");
        ringway::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Polls once, with a waker that nobody hears.
pub(crate) fn poll_once<T>(poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls a future once, as its task.
pub(crate) async fn poll_future<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

/// The processor time that this thread has used.
pub(crate) fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Whether an I/O result says that it would have to wait.
pub(crate) fn would_block<T>(result: &io::Result<T>) -> bool {
    matches!(result, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// A waker that counts its wakes, for polling by hand.
#[derive(Default)]
pub(crate) struct Wakes(std::sync::atomic::AtomicUsize);

impl Wakes {
    pub(crate) fn count(&self) -> usize {
        // Relaxed: a number to look at, nothing is read because of it.
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}

impl std::task::Wake for Wakes {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}
