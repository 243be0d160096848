//! Doing without SIGPIPE.

use std::mem::MaybeUninit;
use std::ptr;

/// Calls `call` so that it raises no SIGPIPE when the other end of its socket is closed: splice(2), unlike
/// send(2), has no flag for that.
///
/// Programs that std starts ignore the signal anyway. In others it is blocked for this thread meanwhile, and
/// taken off the pending ones, whatever `call` says: it may have moved some bytes before the signal was
/// raised. A SIGPIPE that was pending before stays.
pub fn without_sigpipe<T>(call: impl FnOnce() -> T) -> T {
    if is_ignored() {
        return call();
    }
    let set = sigpipe_set();
    let pending_before = is_pending();
    let before = exchange_mask(libc::SIG_BLOCK, &set);
    let result = call();
    if !pending_before {
        take_pending(&set);
    }
    exchange_mask(libc::SIG_SETMASK, &before);
    result
}

fn is_ignored() -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the pointer is good for writing, and nothing is changed.
    unsafe { libc::sigaction(libc::SIGPIPE, ptr::null(), action.as_mut_ptr()) };
    // SAFETY: numbers and a pointer that may be null, zeroed above.
    let action = unsafe { action.assume_init() };
    action.sa_sigaction == libc::SIG_IGN
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
