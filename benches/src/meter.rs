//! What an operation costs: processor time of the whole process, beside wall time.
//!
//! Processor time (user and system, of all threads, those of the kernel's io-wq included) is the
//! figure that counts: it says how many machines a load takes, and another program on the machine
//! disturbs it little. The kernel brings the time of a thread that runs on *another* core up to date
//! only at its tick, so a single measurement should take 100 ms or more.

use std::mem::MaybeUninit;
use std::time::{Duration, Instant};
use std::{fs, io};

/// What the process, or a thread, had used at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    who: libc::c_int,
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
    /// Begins to measure the process.
    pub fn start() -> Meter {
        Meter::start_of(libc::RUSAGE_SELF)
    }

    /// Begins to measure this thread, on which alone the meter may be read.
    pub fn start_of_this_thread() -> Meter {
        Meter::start_of(libc::RUSAGE_THREAD)
    }

    /// Begins to measure programs that this one has started, each of which counts when it has ended and was waited for.
    pub fn start_of_children() -> Meter {
        Meter::start_of(libc::RUSAGE_CHILDREN)
    }

    fn start_of(who: libc::c_int) -> Meter {
        Meter {
            who,
            start: Instant::now(),
            usage: Usage::now(who),
        }
    }

    /// What was used since the start.
    pub fn read(&self) -> Reading {
        let wall = self.start.elapsed();
        let usage = Usage::now(self.who);
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

    /// What is left without a part that was measured at the same time.
    pub fn without(&self, part: &Reading) -> Reading {
        Reading {
            user: self.user.saturating_sub(part.user),
            system: self.system.saturating_sub(part.system),
            wall: self.wall,
            waits: self.waits.saturating_sub(part.waits),
        }
    }
}

impl Usage {
    fn now(who: libc::c_int) -> Usage {
        let mut usage = MaybeUninit::<libc::rusage>::uninit();
        // SAFETY: `usage` is room for one `rusage`, and getrusage writes no more than that.
        let result = unsafe { libc::getrusage(who, usage.as_mut_ptr()) };
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

/// The memory of the process at a moment, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// What the system's allocator has given out, with what it needs itself.
    pub heap: u64,
    /// What is in memory.
    pub resident: u64,
}

/// The pages of the kernels that we measure on.
const PAGE_BYTES: u64 = 4_096;

impl Memory {
    /// The memory in use now.
    pub fn now() -> Memory {
        // SAFETY: the call takes no argument, and locks what it reads.
        let heap = unsafe { libc::mallinfo2() };
        let statm = fs::read_to_string("/proc/self/statm").unwrap();
        let pages = statm.split_whitespace().nth(1).unwrap();
        Memory {
            heap: (heap.uordblks + heap.hblkhd) as u64,
            resident: pages.parse::<u64>().unwrap() * PAGE_BYTES,
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

    #[test]
    fn the_heap_counts_what_every_thread_allocates() {
        let before = Memory::now();
        let kept = std::thread::spawn(|| vec![Box::new([1_u8; 1_000]); 1_000]);
        let kept = kept.join().unwrap();
        let memory = Memory::now();
        assert!(memory.heap >= before.heap + 1_000_000, "{memory:?}");
        assert!(memory.resident > 0, "{memory:?}");
        drop(kept);
    }
}
