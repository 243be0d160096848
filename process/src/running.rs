//! A child that nobody has waited for yet.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::process::{Child, ExitStatus};
use std::task::{Context, Poll, ready};

use parking_lot::Mutex;
use ringway_runtime::Process;
use ringway_runtime::driver::{self, Home, Op, SharedFd};
use ringway_runtime::task::coop;
use ringway_signal::unix::{Signal, SignalKind, signal};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::op::{Asker, Watch};
use crate::orphan;

/// A process that runs, or has ended and waits to be reaped. Dropped, it becomes an orphan.
#[derive(Debug)]
pub(crate) struct Running {
    /// There until it is reaped.
    child: Option<Child>,
    pub(crate) kill_on_drop: bool,
    exit: Exit,
    home: Option<Home>,
    process: Process,
}

/// What tells of the end.
#[derive(Debug)]
enum Exit {
    Pidfd(Pidfd),
    /// Any child's end, after which one has to look.
    Signal(Signal),
}

#[derive(Debug)]
struct Pidfd {
    fd: SharedFd,
    /// The operation that waits. It may be in another runtime than the one that polls next. Locked by nobody: the lock
    /// only makes the child `Sync`.
    watch: Mutex<Option<Op<Watch<Asker>>>>,
}

impl Running {
    /// Takes over a child. If there is no way to hear of its end, it is killed.
    pub(crate) fn new(mut child: Child, kill_on_drop: bool) -> io::Result<Self> {
        orphan::look_again();
        let home = Home::here();
        let exit = match open(&child) {
            Ok(pidfd) => Ok(Exit::Pidfd(Pidfd::new(pidfd))),
            Err(_) => signal(SignalKind::child()).map(Exit::Signal),
        };
        match exit {
            Ok(exit) => Ok(Self {
                child: Some(child),
                kill_on_drop,
                exit,
                home,
                process: Process::current(),
            }),
            Err(error) => {
                // If that fails it has ended by itself. Killed, it ends soon, and nothing else could tell when.
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    pub(crate) fn kill(&mut self) -> io::Result<()> {
        if let Some(child) = &mut self.child {
            child.kill()?;
        }
        self.kill_on_drop = false;
        Ok(())
    }

    /// Reaps the child if it has ended.
    pub(crate) fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let Some(child) = &mut self.child else {
            return Ok(None);
        };
        let status = child.try_wait()?;
        if status.is_some() {
            self.child = None;
        }
        Ok(status)
    }

    /// Waits for its end and reaps it.
    pub(crate) fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<ExitStatus>> {
        let unit = ready!(coop::poll_proceed(cx));
        let status = ready!(self.poll_reap(cx));
        unit.made_progress();
        Poll::Ready(status)
    }

    fn poll_reap(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<ExitStatus>> {
        loop {
            // Without a look before the wait, one that has ended would cost a round of the ring.
            let is_told = match &mut self.exit {
                Exit::Pidfd(pidfd) => ready!(pidfd.poll_readable(cx))?,
                // First the waker, then the look: what comes between is not missed.
                Exit::Signal(signal) => signal.poll_recv(cx).is_ready(),
            };
            if let Some(status) = self.try_wait()? {
                return Poll::Ready(Ok(status));
            }
            match &mut self.exit {
                // Somebody traces it: its end is seen, but not to be had. SIGCHLD comes when it is.
                Exit::Pidfd(_) if is_told => {
                    self.exit = Exit::Signal(signal(SignalKind::child())?);
                }
                Exit::Pidfd(pidfd) => pidfd.begin(),
                Exit::Signal(_) if is_told => {}
                Exit::Signal(_) => return Poll::Pending,
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // In the child of a fork it is a sibling, whose parent has this value too.
        let Some(mut child) = self.child.take_if(|_| self.process.is_current()) else {
            return;
        };
        if self.kill_on_drop {
            // If that fails it has ended by itself.
            let _ = child.kill();
        }
        let pidfd = match &self.exit {
            Exit::Pidfd(pidfd) => Some(pidfd.fd.clone()),
            Exit::Signal(_) => None,
        };
        orphan::adopt(child, pidfd, self.home);
    }
}

impl Pidfd {
    fn new(fd: OwnedFd) -> Self {
        Self {
            fd: SharedFd::from(fd),
            watch: Mutex::new(None),
        }
    }

    fn begin(&mut self) {
        let watch = Op::new(Watch::new(self.fd.clone(), None, Asker));
        *self.watch.get_mut() = Some(watch);
    }

    /// Waits for the operation, if there is one, and says whether there was; after that there is none.
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut refused = false;
        loop {
            let Some(watch) = self.watch.get_mut() else {
                return Poll::Ready(Ok(false));
            };
            let result = ready!(Pin::new(watch).poll(cx));
            *self.watch.get_mut() = None;
            match result {
                // It was in a runtime that has ended; perhaps this one has not.
                Err(error) if driver::is_shutdown(&error) && !refused => {
                    refused = true;
                    self.begin();
                }
                result => return Poll::Ready(result.map(|()| true)),
            }
        }
    }
}

fn open(child: &Child) -> io::Result<OwnedFd> {
    Ok(pidfd_open(Pid::from_child(child), PidfdFlags::empty())?)
}
