//! What an operation costs: processor time of the whole process, beside wall time.
//!
//! Processor time (user and system, of all threads, those of the kernel's io-wq included) is the
//! figure that counts: it says how many machines a load takes, and another program on the machine
//! disturbs it little. The kernel brings the time of a thread that runs on *another* core up to date
//! only at its tick, so a single measurement should take 100 ms or more.

use std::io;
use std::mem::MaybeUninit;
use std::time::{Duration, Instant};

/// What the process had used at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    start: Instant,
    usage: Usage,
}

/// What was used since [`Meter::start`].
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// Processor time in user code.
    pub user: Duration,
    /// Processor time in the kernel.
    pub system: Duration,
    /// Time on the clock.
    pub wall: Duration,
    /// How often a thread gave its core up to wait.
    pub waits: u64,
}

#[derive(Clone, Copy, Debug)]
struct Usage {
    user: Duration,
    system: Duration,
    waits: u64,
}

impl Meter {
    /// Begins to measure.
    pub fn start() -> Meter {
        Meter {
            start: Instant::now(),
            usage: Usage::now(),
        }
    }

    /// What was used since the start.
    pub fn read(&self) -> Reading {
        let wall = self.start.elapsed();
        let usage = Usage::now();
        Reading {
            user: usage.user.saturating_sub(self.usage.user),
            system: usage.system.saturating_sub(self.usage.system),
            wall,
            waits: usage.waits - self.usage.waits,
        }
    }
}

impl Reading {
    /// User and system time together.
    pub fn cpu(&self) -> Duration {
        self.user + self.system
    }
}

impl Usage {
    fn now() -> Usage {
        let mut usage = MaybeUninit::<libc::rusage>::uninit();
        // SAFETY: `usage` is room for one `rusage`, and getrusage writes no more than that.
        let result = unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) };
        assert_eq!(result, 0, "getrusage: {}", io::Error::last_os_error());
        // SAFETY: getrusage has succeeded, so it has filled the whole structure.
        let usage = unsafe { usage.assume_init() };
        Usage {
            user: duration(usage.ru_utime),
            system: duration(usage.ru_stime),
            waits: usage.ru_nvcsw as u64,
        }
    }
}

fn duration(time: libc::timeval) -> Duration {
    Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_counts_every_thread_and_no_sleep() {
        let meter = Meter::start();
        let spin = || {
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(50) {
                std::hint::spin_loop();
            }
        };
        std::thread::spawn(spin).join().unwrap();
        let spun = meter.read();
        assert!(spun.cpu() > Duration::from_millis(5), "{spun:?}");

        let meter = Meter::start();
        std::thread::sleep(Duration::from_millis(50));
        let slept = meter.read();
        assert!(slept.wall >= Duration::from_millis(50), "{slept:?}");
        assert!(slept.cpu() < Duration::from_millis(25), "{slept:?}");
        assert!(slept.waits >= 1, "{slept:?}");
    }
}
