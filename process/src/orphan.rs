//! Children that nobody will wait for: they must be reaped all the same, or else they stay as zombies.
//!
//! 1. An orphan with a pidfd is put into a poll operation of which nobody has the future. When the operation
//!    completes, wherever that is, it is reaped there.
//! 2. Any other goes into the queue: it has no pidfd; or the pidfd says that it has ended and it cannot be reaped,
//!    because a debugger holds it; or its operation was cancelled, and there is no runtime left.
//! 3. As long as somebody is in the queue and some runtime lives, one operation waits for SIGCHLD, and then looks through
//!    the queue. If there is no runtime, the next child that is started or dropped in one sees to it.
//!
//! Why none is forgotten in 3: who enters the queue looks through it *after* entering. If the child ends before that look,
//! the look reaps it. If it ends later, SIGCHLD rings the bell later, and only the one operation makes it silent, before
//! it looks.

use std::io;
use std::process::Child;

use parking_lot::Mutex;
use ringway_runtime::driver::{Home, Op, SharedFd};
use ringway_signal::seam::Bell;

use crate::op::{Told, Watch};

/// Sees to it that the child is reaped when it has ended. `home` is the runtime where it was started.
pub(crate) fn adopt(mut child: Child, pidfd: Option<SharedFd>, home: Option<Home>) {
    look_again();
    if is_reaped(&mut child) {
        return;
    }
    match pidfd {
        Some(pidfd) => Op::new(Watch::new(pidfd, home, Orphan::new(child))).detach_anywhere(),
        None => keep(child),
    }
}

/// Sees to those that had no runtime. Called where there is one.
pub(crate) fn look_again() {
    if QUEUE.lock().children.is_empty() {
        return;
    }
    watch();
    sweep();
}

/// An orphan in an operation.
#[derive(Debug)]
struct Orphan {
    /// There until it is reaped, or in the queue.
    child: Option<Child>,
}

impl Orphan {
    fn new(child: Child) -> Self {
        Self { child: Some(child) }
    }
}

impl Told for Orphan {
    type Output = ();

    fn told(mut self, result: io::Result<()>) {
        if result.is_ok() {
            self.child.take_if(is_reaped);
        }
    }
}

impl Drop for Orphan {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            keep(child);
        }
    }
}

static QUEUE: Mutex<Queue> = Mutex::new(Queue {
    children: Vec::new(),
    is_watched: false,
});

struct Queue {
    children: Vec<Child>,
    /// A [`Sweep`] is on its way.
    is_watched: bool,
}

/// Puts an orphan into the queue.
fn keep(child: Child) {
    QUEUE.lock().children.push(child);
    watch();
    sweep();
}

/// Reaps those in the queue that have ended.
fn sweep() {
    QUEUE.lock().children.retain_mut(|child| !is_reaped(child));
}

/// Waits for SIGCHLD, unless somebody does already, or nobody is in the queue. If that is not possible now, a later
/// call will.
fn watch() {
    let mut queue = QUEUE.lock();
    if queue.is_watched || queue.children.is_empty() {
        return;
    }
    let Ok(bell) = Bell::of_children() else {
        return;
    };
    queue.is_watched = true;
    drop(queue);
    Op::new(Watch::new(bell.fd().clone(), None, Sweep { bell })).detach_anywhere();
}

/// The one who waits for SIGCHLD.
#[derive(Debug)]
struct Sweep {
    bell: &'static Bell,
}

impl Told for Sweep {
    type Output = ();

    fn told(self, result: io::Result<()>) {
        let bell = self.bell;
        drop(self);
        if result.is_ok() {
            bell.drain();
            sweep();
        }
        watch();
    }
}

impl Drop for Sweep {
    fn drop(&mut self) {
        QUEUE.lock().is_watched = false;
    }
}

/// Whether the child has ended; it is reaped then. One that another has reaped counts too.
fn is_reaped(child: &mut Child) -> bool {
    !matches!(child.try_wait(), Ok(None))
}
