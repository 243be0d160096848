//! How many system calls a process makes, counted by the kernel's own tracepoint.
//!
//! That needs the tracing file system and the right to count (root, or `perf_event_paranoid` below 0). Counting
//! adds to each call, so nothing else is measured meanwhile.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::FromRawFd;

/// Where the kernel says by which number perf_event_open knows the beginning of a system call.
const TRACEPOINT: &str = "/sys/kernel/tracing/events/raw_syscalls/sys_enter/id";

/// perf_event.h: the type of event that is a tracepoint, and flags of `perf_event_attr`.
const PERF_TYPE_TRACEPOINT: u64 = 2;
const PERF_ATTR_SIZE_VER0: u64 = 64;
const INHERIT: u64 = 1 << 1;
const INHERIT_THREAD: u64 = 1 << 35;
const PERF_FLAG_FD_CLOEXEC: u64 = 8;

/// Counts system calls.
#[derive(Debug)]
pub struct Calls(File);

impl Calls {
    /// Those of this thread, and of all threads that it and they start from now on; not of other processes.
    ///
    /// # Errors
    ///
    /// Where the kernel does not let us count.
    pub fn of_this_and_new_threads() -> io::Result<Calls> {
        Calls::open(INHERIT | INHERIT_THREAD)
    }

    /// Those of this thread.
    ///
    /// # Errors
    ///
    /// Where the kernel does not let us count.
    pub fn of_this_thread() -> io::Result<Calls> {
        Calls::open(0)
    }

    fn open(flags: u64) -> io::Result<Calls> {
        let tracepoint: u64 = fs::read_to_string(TRACEPOINT)?
            .trim()
            .parse()
            .map_err(io::Error::other)?;
        // The first version of `perf_event_attr`: type and size, config, four words of sampling, flags, one more.
        let attributes: [u64; 8] = [
            PERF_TYPE_TRACEPOINT | PERF_ATTR_SIZE_VER0 << 32,
            tracepoint,
            0,
            0,
            0,
            flags,
            0,
            0,
        ];
        let (this_thread, any_processor, no_group) = (0, -1, -1);
        // SAFETY: the kernel reads as many bytes behind the pointer as the structure's size says, which is its own.
        let fd = unsafe {
            libc::syscall(
                libc::SYS_perf_event_open,
                attributes.as_ptr(),
                this_thread,
                any_processor,
                no_group,
                PERF_FLAG_FD_CLOEXEC,
            )
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just given us this descriptor, and nobody else knows it.
        Ok(Calls(unsafe { File::from_raw_fd(fd as i32) }))
    }

    /// The calls so far, this one included.
    pub fn count(&self) -> u64 {
        let mut count = [0; 8];
        (&self.0).read_exact(&mut count).unwrap();
        u64::from_ne_bytes(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_new_threads_are_counted_where_the_kernel_lets_us() {
        let (Ok(all), Ok(own)) = (Calls::of_this_and_new_threads(), Calls::of_this_thread()) else {
            return println!("system calls cannot be counted here");
        };
        let thread = std::thread::spawn(|| {
            for _ in 0..1_000 {
                std::thread::yield_now();
            }
        });
        thread.join().unwrap();
        let (all, own) = (all.count(), own.count());
        assert!(all >= own + 1_000, "{all} of all, {own} of one");
        assert!(own < 500, "{own}");
    }
}
