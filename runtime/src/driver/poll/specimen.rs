//! The second device over a poller that there is not, for models: the very device, its table and its jobs, but that who
//! sleeps does so in the model's sight. The descriptors are real.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use polling::{Event, PollMode};

use super::super::plain::poll_now;
use super::super::specimen::Specimen;
use super::gate::Bell;
use super::registry::{Registry, Told};
use super::watch::{Lookout, Report};
use super::{Core, Offload, PollDevice};
use crate::loom::{Condvar, Mutex};

/// The device, as the model sees it.
#[derive(Clone)]
pub struct PollMachine(Arc<Core<Model>>);

impl PollMachine {
    /// A shard over such a device, which takes calls that may wait to `offload`.
    pub fn new(offload: Offload) -> (Specimen, Self) {
        let (device, queues) = PollDevice::over(Model::default());
        device.set_offload(offload);
        let core = Arc::clone(&device.core);
        let shard = Specimen::new(Box::new(device), Box::new(queues));
        (shard, Self(core))
    }

    /// As the kernel, when something has happened to a descriptor.
    pub fn tell(&self) {
        let Self(core) = self;
        let mut inner = core.watch.inner.lock();
        inner.rearm_edges();
        drop(inner);
        core.watch.changed.notify_one();
    }

    /// Whether no request is left that has not been answered for good.
    pub fn is_empty(&self) -> bool {
        self.0.desk.lock().table.is_deserted()
    }
}

impl fmt::Debug for PollMachine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A poller that asks poll(2) when it is looked into.
#[derive(Debug, Default)]
struct Model {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    registered: BTreeMap<RawFd, Registered>,
    rung: bool,
}

#[derive(Debug)]
struct Registered {
    key: usize,
    events: u32,
    is_for_edges: bool,
    armed: bool,
}

impl Inner {
    fn register(&mut self, fd: RawFd, interest: Event, mode: PollMode) {
        let events = if interest.readable { libc::POLLIN } else { 0 }
            | if interest.writable { libc::POLLOUT } else { 0 };
        let registered = Registered {
            key: interest.key,
            events: events as u32,
            is_for_edges: mode == PollMode::Edge,
            armed: true,
        };
        self.registered.insert(fd, registered);
    }

    /// What an edge has told of may be told again.
    fn rearm_edges(&mut self) {
        for registered in self.registered.values_mut() {
            registered.armed |= registered.is_for_edges;
        }
    }

    fn reports(&mut self) -> Vec<Report> {
        let mut reports = Vec::new();
        for (&fd, registered) in &mut self.registered {
            let found = poll_now(fd, registered.events);
            if registered.armed && found > 0 {
                registered.armed = false;
                reports.push(Report {
                    key: registered.key,
                    told: Told::exact(found as u32),
                    found: None,
                });
            }
        }
        reports
    }
}

impl Registry for Model {
    fn add(&self, fd: RawFd, interest: Event, mode: PollMode) -> io::Result<()> {
        let mut inner = self.inner.lock();
        if inner.registered.contains_key(&fd) {
            return Err(io::Error::from_raw_os_error(libc::EEXIST));
        }
        inner.register(fd, interest, mode);
        drop(inner);
        // What is there already is an event too.
        self.changed.notify_one();
        Ok(())
    }

    fn change(&self, source: BorrowedFd<'_>, interest: Event, mode: PollMode) -> io::Result<()> {
        self.inner
            .lock()
            .register(source.as_raw_fd(), interest, mode);
        self.changed.notify_one();
        Ok(())
    }

    fn delete(&self, source: BorrowedFd<'_>) -> io::Result<()> {
        self.inner.lock().registered.remove(&source.as_raw_fd());
        Ok(())
    }
}

impl Lookout for Model {
    fn registry(&self) -> &dyn Registry {
        self
    }

    fn wait(
        &self,
        timeout: Option<Duration>,
        awake: impl FnOnce(),
        tell: impl FnOnce(&mut [Report]),
    ) -> io::Result<()> {
        let mut inner = self.inner.lock();
        let mut reports = inner.reports();
        while reports.is_empty() && !inner.rung && timeout.is_none() {
            self.changed.wait(&mut inner);
            reports = inner.reports();
        }
        inner.rung = false;
        drop(inner);
        awake();
        if !reports.is_empty() {
            tell(&mut reports);
        }
        Ok(())
    }
}

impl Bell for Model {
    fn ring(&self) {
        self.inner.lock().rung = true;
        self.changed.notify_one();
    }
}
