//! Doing without SIGPIPE.

use std::io;
use std::mem::MaybeUninit;
use std::ptr;

/// Calls `call`, which fails with EPIPE when its socket or pipe is closed at the other end, without the signal
/// SIGPIPE that comes with it. splice(2), unlike send(2), has no flag for that.
///
/// The signal is blocked for this thread meanwhile, and taken off the pending ones if `call` raised it; a
/// SIGPIPE that was pending before stays.
pub(crate) fn without_sigpipe<T>(call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let set = sigpipe_set();
    let pending_before = is_pending();
    let before = exchange_mask(libc::SIG_BLOCK, &set);
    let result = call();
    let broken = result
        .as_ref()
        .is_err_and(|error| error.raw_os_error() == Some(libc::EPIPE));
    if broken && !pending_before {
        take_pending(&set);
    }
    exchange_mask(libc::SIG_SETMASK, &before);
    result
}

fn sigpipe_set() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the pointer is good for writing; sigemptyset initialises all of it.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: initialised by the call before, and SIGPIPE is a signal.
    unsafe { libc::sigaddset(set.as_mut_ptr(), libc::SIGPIPE) };
    // SAFETY: initialised above.
    unsafe { set.assume_init() }
}

fn is_pending() -> bool {
    let mut set = sigpipe_set();
    // SAFETY: the pointer is good for writing.
    unsafe { libc::sigpending(&mut set) };
    // SAFETY: an initialised set, and SIGPIPE is a signal.
    unsafe { libc::sigismember(&set, libc::SIGPIPE) == 1 }
}

/// Changes this thread's mask and gives the one before.
fn exchange_mask(how: libc::c_int, set: &libc::sigset_t) -> libc::sigset_t {
    let mut before = *set;
    // SAFETY: both pointers are good; `how` is one of the two that need nothing else.
    unsafe { libc::pthread_sigmask(how, set, &mut before) };
    before
}

fn take_pending(set: &libc::sigset_t) {
    let at_once = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointers are good, and no information about the signal is asked for.
    unsafe { libc::sigtimedwait(set, ptr::null_mut(), &at_once) };
}
