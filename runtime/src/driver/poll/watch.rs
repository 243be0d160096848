//! The poller, and a wait of one system call.
//!
//! Registering and calling are the crate's. Its wait sets a timer, arms it, waits, empties its bell and arms that: five
//! system calls, which a worker that sleeps for each message pays for each. So the wait is made here, on the poller's
//! descriptor, which is an epoll instance; only when the bell was among what it tells, the poller's own wait is called, without
//! waiting, to put the bell right. Where the system has no epoll_pwait2(2), or forbids it, the poller waits itself.

use std::fmt;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use parking_lot::Mutex;
use polling::{Events, Poller};

use super::gate::Bell;
use super::registry::{Registry, Told};

/// A poller, and the bell that calls out of it: a [`Watch`], or a model's.
pub(crate) trait Lookout: Bell + fmt::Debug + Send + Sync + 'static {
    fn registry(&self) -> &dyn Registry;

    /// Waits, says that it is awake, and hands out what there is, if it is anything.
    fn wait(
        &self,
        timeout: Option<Duration>,
        awake: impl FnOnce(),
        tell: impl FnOnce(&mut [Report]),
    ) -> io::Result<()>;
}

/// A poller and room for what it tells. Whoever has the turn waits.
#[derive(Debug)]
pub(crate) struct Watch {
    poller: Poller,
    room: Mutex<Room>,
}

#[derive(Debug)]
struct Room {
    raw: Vec<libc::epoll_event>,
    events: Events,
    reports: Vec<Report>,
}

/// What was told of one registration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    pub(super) key: usize,
    pub(super) told: Told,
    /// The exact events, if they were asked for.
    pub(super) found: Option<u32>,
}

/// Descriptors that one wait tells of; the others are told by the next.
const REPORTS_MAX: usize = 256;
/// The key of the poller's own descriptors.
const BELL: u64 = u64::MAX;

/// The system has refused epoll_pwait2(2).
static IS_REFUSED: AtomicBool = AtomicBool::new(false);

impl Watch {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            poller: Poller::new()?,
            room: Mutex::new(Room {
                raw: Vec::with_capacity(REPORTS_MAX),
                events: Events::new(),
                reports: Vec::new(),
            }),
        })
    }

    fn fill(&self, room: &mut Room, timeout: Option<Duration>) -> io::Result<()> {
        // Relaxed: whoever does not see it is refused himself.
        if IS_REFUSED.load(Relaxed) {
            return self.fill_slowly(room, timeout);
        }
        match self.wait_once(&mut room.raw, timeout) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => {
                let errno = error.raw_os_error();
                if !matches!(errno, Some(libc::ENOSYS | libc::EPERM | libc::EACCES)) {
                    return Err(error);
                }
                IS_REFUSED.store(true, Relaxed);
                return self.fill_slowly(room, timeout);
            }
        }
        let mut has_rung = false;
        for event in &room.raw {
            let (key, events) = (event.u64, event.events);
            if key == BELL {
                has_rung = true;
                continue;
            }
            room.reports.push(Report {
                key: key as usize,
                told: Told::exact(events),
                found: None,
            });
        }
        if has_rung {
            return self.fill_slowly(room, Some(Duration::ZERO));
        }
        Ok(())
    }

    /// By the poller's own wait.
    fn fill_slowly(&self, room: &mut Room, timeout: Option<Duration>) -> io::Result<()> {
        room.events.clear();
        self.poller.wait(&mut room.events, timeout)?;
        room.reports.extend(room.events.iter().map(|event| Report {
            key: event.key,
            told: Told::by(&event),
            found: None,
        }));
        Ok(())
    }

    fn wait_once(
        &self,
        raw: &mut Vec<libc::epoll_event>,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        raw.clear();
        // The system call's own type, whatever the C library takes for the time.
        let timeout = timeout.map(|timeout| {
            let seconds = i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX);
            [seconds, i64::from(timeout.subsec_nanos())]
        });
        let timeout = timeout
            .as_ref()
            .map_or(std::ptr::null(), |timeout| timeout.as_ptr());
        // SAFETY: there is room for as many events as are said to be, and the time lives for the call; no mask is passed.
        let count = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.poller.as_raw_fd(),
                raw.as_mut_ptr(),
                REPORTS_MAX,
                timeout,
                std::ptr::null::<libc::sigset_t>(),
                0,
            )
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        // SAFETY: the call has filled in so many, of the room that was made with the vector.
        unsafe { raw.set_len(count) };
        Ok(())
    }
}

impl Lookout for Watch {
    fn registry(&self) -> &dyn Registry {
        &self.poller
    }

    fn wait(
        &self,
        timeout: Option<Duration>,
        awake: impl FnOnce(),
        tell: impl FnOnce(&mut [Report]),
    ) -> io::Result<()> {
        let mut room = self.room.lock();
        room.reports.clear();
        let waited = self.fill(&mut room, timeout);
        awake();
        if !room.reports.is_empty() {
            tell(&mut room.reports);
        }
        waited
    }
}

impl Bell for Watch {
    fn ring(&self) {
        let rung = self.poller.notify();
        debug_assert!(rung.is_ok(), "the poller was not called: {rung:?}");
    }
}
