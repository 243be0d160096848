//! Standard input.
//!
//! A read of a terminal or of a pipe may last for ever, and nothing can end it. A thread of the blocking pool that is
//! in one would hold up the end of its runtime until somebody types a line. So one thread does all reads of standard
//! input. It is started by the first read, belongs to the process, and ends with it. It reads only when somebody asks,
//! and one read at a time: what a program's children are to read, it leaves alone.
//!
//! What it has read belongs to the process too, as the rest of standard input does: it waits for the next reader, through
//! whatever handle. So nothing is lost when a future or a handle is dropped.
//!
//! Rejected: a read in the ring, which can be cancelled and needs no thread. It would pass by the buffer of
//! `std::io::stdin`, and with it by all that a blocking read has put there beside what it was asked for.

use std::io::{self, Read};
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::thread;

use parking_lot::{Condvar, Mutex};
use ringway_runtime::task::coop;
use tokio::io::{AsyncRead, ReadBuf};

/// A handle to the standard input of the process.
///
/// Handles share the process's input: bytes go to whoever reads first. Reading from a terminal, each read is up to a
/// line long.
///
/// # Cancel safety
///
/// A read that is dropped has taken nothing: what it asked for goes to the next read, of any handle.
#[derive(Debug)]
pub struct Stdin {
    number: u64,
}

/// A handle to the standard input of the process.
///
/// A pending read does not hold up the end of a runtime, nor that of the process.
///
/// # Examples
///
/// ```no_run
/// use tokio::io::{AsyncBufReadExt, BufReader};
///
/// # async fn lines() -> std::io::Result<()> {
/// let mut lines = BufReader::new(ringway_stdio::stdin()).lines();
/// while let Some(line) = lines.next_line().await? {
///     println!("length = {}", line.len());
/// }
/// # Ok(())
/// # }
/// ```
pub fn stdin() -> Stdin {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // Relaxed: only the number counts.
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    Stdin { number }
}

impl AsyncRead for Stdin {
    /// # Errors
    ///
    /// Those of read(2), and of starting the thread.
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let unit = ready!(coop::poll_proceed(cx));
        let read = ready!(INPUT.poll_take(self.number, cx.waker(), buffer));
        unit.made_progress();
        Poll::Ready(read)
    }
}

impl Drop for Stdin {
    fn drop(&mut self) {
        // The waker is dropped unlocked.
        drop(INPUT.forget(self.number));
    }
}

impl AsRawFd for Stdin {
    fn as_raw_fd(&self) -> RawFd {
        io::stdin().as_raw_fd()
    }
}

impl AsFd for Stdin {
    fn as_fd(&self) -> BorrowedFd<'_> {
        STREAM.as_fd()
    }
}

/// Bytes that one read asks for at most: what a pipe holds.
const READ_MAX: usize = 64 * 1024;

static INPUT: Input = Input::new();
static STREAM: std::sync::LazyLock<io::Stdin> = std::sync::LazyLock::new(io::stdin);

/// What readers and the thread share.
struct Input {
    state: Mutex<State>,
    /// Somebody asks for bytes.
    asked: Condvar,
}

struct State {
    /// How many bytes are asked for; zero: none.
    wanted: usize,
    /// What was read and not taken yet.
    bytes: Vec<u8>,
    taken: usize,
    /// The end of the input, or an error, which one reader takes.
    end: Option<io::Result<()>>,
    /// By the numbers of their handles.
    waiters: Vec<(u64, Waker)>,
    has_thread: bool,
}

impl Input {
    const fn new() -> Self {
        Self {
            state: Mutex::new(State {
                wanted: 0,
                bytes: Vec::new(),
                taken: 0,
                end: None,
                waiters: Vec::new(),
                has_thread: false,
            }),
            asked: Condvar::new(),
        }
    }

    /// Takes what was read; or asks for it, and has the waker called when it is there.
    fn poll_take(
        &'static self,
        number: u64,
        waker: &Waker,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.state.lock();
        if let Some(taken) = state.take(buffer) {
            return Poll::Ready(taken);
        }
        if !state.has_thread {
            thread::Builder::new()
                .name("ringway-stdin".to_owned())
                .spawn(|| self.read_for_others())?;
            state.has_thread = true;
        }
        state.wanted = state.wanted.max(buffer.remaining().min(READ_MAX));
        let former = state.wait(number, waker);
        drop(state);
        self.asked.notify_one();
        drop(former);
        Poll::Pending
    }

    /// The handle of that number waits no longer.
    fn forget(&self, number: u64) -> Option<Waker> {
        let mut state = self.state.lock();
        let place = state.place_of(number)?;
        Some(state.waiters.swap_remove(place).1)
    }

    /// The body of the thread.
    fn read_for_others(&self) {
        loop {
            let wanted = self.wait_for_demand();
            let mut bytes = vec![0; wanted];
            let read = read(&mut bytes);
            bytes.truncate(*read.as_ref().unwrap_or(&0));
            for waker in self.hand_out(bytes, read.map(drop)) {
                // A waker is its user's code, whose panic is not the next reader's business; nor is the drop of what
                // it panicked with.
                if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
                    mem::forget(payload);
                }
            }
        }
    }

    fn wait_for_demand(&self) -> usize {
        let mut state = self.state.lock();
        while state.wanted == 0 {
            self.asked.wait(&mut state);
        }
        mem::take(&mut state.wanted)
    }

    /// Makes what was read known; returns whom to wake.
    fn hand_out(&self, bytes: Vec<u8>, read: io::Result<()>) -> Vec<Waker> {
        let mut state = self.state.lock();
        if bytes.is_empty() {
            state.end = Some(read);
        }
        state.bytes = bytes;
        state.taken = 0;
        // What was asked for meanwhile may be here by now, and is asked for again if it is not.
        state.wanted = 0;
        let waiters = mem::take(&mut state.waiters);
        waiters.into_iter().map(|(_, waker)| waker).collect()
    }
}

impl State {
    fn take(&mut self, buffer: &mut ReadBuf<'_>) -> Option<io::Result<()>> {
        let left = &self.bytes[self.taken..];
        if left.is_empty() {
            return self.end.take();
        }
        let taken = left.len().min(buffer.remaining());
        buffer.put_slice(&left[..taken]);
        self.taken += taken;
        Some(Ok(()))
    }

    /// Keeps the waker of a handle; returns the one that it replaces.
    fn wait(&mut self, number: u64, waker: &Waker) -> Option<Waker> {
        match self.place_of(number) {
            Some(place) => Some(mem::replace(&mut self.waiters[place].1, waker.clone())),
            None => {
                self.waiters.push((number, waker.clone()));
                None
            }
        }
    }

    fn place_of(&self, number: u64) -> Option<usize> {
        self.waiters
            .iter()
            .position(|(waiter, _)| *waiter == number)
    }
}

fn read(bytes: &mut [u8]) -> io::Result<usize> {
    loop {
        match io::stdin().read(bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}
