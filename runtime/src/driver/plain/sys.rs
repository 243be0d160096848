//! System calls' results as a ring gives them.

use std::io;
use std::os::fd::RawFd;

use parking_lot::Mutex;

/// What a call that has just returned `value` answers: the value, or the negative errno.
pub(super) fn answer(value: isize) -> i32 {
    if value < 0 {
        return -io::Error::last_os_error()
            .raw_os_error()
            .unwrap_or(libc::EIO);
    }
    // What one call moves is less than 2 GiB (`MAX_RW_COUNT`), and descriptors are ints.
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// Calls until no signal comes between.
pub(super) fn uninterrupted(mut call: impl FnMut() -> i32) -> i32 {
    loop {
        let answer = call();
        if answer != -libc::EINTR {
            return answer;
        }
    }
}

/// The kind of a file, `S_IF…`.
pub(super) fn kind_of(fd: RawFd) -> Result<libc::mode_t, i32> {
    let mut status = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: there is room for one `stat`; a number that names no descriptor is an error.
    let done = answer(unsafe { libc::fstat(fd, status.as_mut_ptr()) } as isize);
    if done < 0 {
        return Err(done);
    }
    // SAFETY: the call has filled it in.
    let status = unsafe { status.assume_init() };
    Ok(status.st_mode & libc::S_IFMT)
}

/// Whether bytes go through it in a stream that can be waited for.
pub(super) fn is_stream(fd: RawFd) -> Result<bool, i32> {
    Ok(matches!(kind_of(fd)?, libc::S_IFIFO | libc::S_IFSOCK))
}

fn status_flags(fd: RawFd) -> i32 {
    // SAFETY: no pointer is passed.
    answer(unsafe { libc::fcntl(fd, libc::F_GETFL) } as isize)
}

/// Makes a call that knows no flag by which it does not wait. If the file waits, it is told not to for the time of the
/// call: others who use it just then may be told EAGAIN.
pub(super) fn without_waiting(fd: RawFd, call: impl FnOnce() -> i32) -> i32 {
    /// Nobody takes a flag that another has set for a moment for the file's own.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock();
    let flags = status_flags(fd);
    if flags < 0 || flags & libc::O_NONBLOCK != 0 {
        return call();
    }
    set_status_flags(fd, flags | libc::O_NONBLOCK);
    let answer = call();
    set_status_flags(fd, flags);
    answer
}

fn set_status_flags(fd: RawFd, flags: i32) {
    // SAFETY: no pointer is passed.
    let set = unsafe { libc::fcntl(fd, libc::F_SETFL, flags) };
    debug_assert!(set == 0, "F_SETFL knows O_NONBLOCK");
}
