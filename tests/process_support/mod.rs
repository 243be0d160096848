//! What the tests that make processes share: children by fork(2), and how they end.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod seccomp;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// A child that is not done after this time hangs: the kernel ends it by SIGALRM.
const CHILD_SECONDS_MAX: u32 = 20;
/// How a child ends whose checks failed, and one whose checks held.
const FAILED: i32 = 101;
const PASSED: i32 = 0;

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// What it was made for has returned without a panic.
    Passed,
    /// It panicked, and has told of it on standard error.
    Failed,
    /// It was ended by this signal: SIGALRM if it hung.
    Signal(i32),
    Code(i32),
}

/// Says on standard error, past whoever captures the output of tests, with what a child has panicked.
fn tell(payload: Box<dyn std::any::Any + Send>) {
    let text = match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload
            .downcast::<&str>()
            .map_or(String::new(), |text| text.to_string()),
    };
    let line = format!("a child panicked: {text}\n");
    // SAFETY: the bytes live through the call.
    unsafe { libc::write(2, line.as_ptr().cast(), line.len()) };
}

/// A child of this process.
#[derive(Debug)]
pub(crate) struct Child(libc::pid_t);

impl Child {
    /// Forks; the child calls `body` and ends, without a return to the test.
    pub(crate) fn fork(body: impl FnOnce()) -> Self {
        // SAFETY: the child calls `body` and then leaves by `_exit`; glibc's allocator works in it.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "{}", std::io::Error::last_os_error());
        if pid > 0 {
            return Self(pid);
        }
        // SAFETY: the call takes no pointer.
        unsafe { libc::alarm(CHILD_SECONDS_MAX) };
        std::panic::set_hook(Box::new(|_| ()));
        let code = match catch_unwind(AssertUnwindSafe(body)) {
            Ok(()) => PASSED,
            Err(payload) => {
                tell(payload);
                FAILED
            }
        };
        // SAFETY: nothing of the parent is to be run here, destructors neither.
        unsafe { libc::_exit(code) }
    }

    pub(crate) fn pid(&self) -> libc::pid_t {
        self.0
    }

    /// Sends a signal to the child.
    pub(crate) fn kill(&self, signal: i32) {
        // SAFETY: the call takes no pointer; the child has not been waited for, so the number is its own.
        let sent = unsafe { libc::kill(self.0, signal) };
        assert_eq!(sent, 0, "{}", std::io::Error::last_os_error());
    }

    /// Waits for its end.
    pub(crate) fn wait(self) -> End {
        let mut status = 0;
        loop {
            // SAFETY: the status is written to a variable that lives through the call.
            let waited = unsafe { libc::waitpid(self.0, &raw mut status, 0) };
            if waited == self.0 {
                break;
            }
            let error = std::io::Error::last_os_error();
            assert_eq!(error.kind(), std::io::ErrorKind::Interrupted, "{error}");
        }
        if libc::WIFSIGNALED(status) {
            return End::Signal(libc::WTERMSIG(status));
        }
        match libc::WEXITSTATUS(status) {
            PASSED => End::Passed,
            FAILED => End::Failed,
            other => End::Code(other),
        }
    }
}

/// A child that returns from the fork, and goes on with what its parent was at.
#[derive(Debug)]
pub(crate) struct Raw(Child);

impl Raw {
    /// Forks. `None` in the child, which will leave no core file behind.
    pub(crate) fn fork() -> Option<Self> {
        // SAFETY: the child returns to its caller, who sees to it that it ends.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "{}", std::io::Error::last_os_error());
        if pid > 0 {
            return Some(Self(Child(pid)));
        }
        let none = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: the limit is read from memory that lives through the call.
        unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) };
        // SAFETY: the call takes no pointer.
        unsafe { libc::alarm(CHILD_SECONDS_MAX) };
        None
    }

    pub(crate) fn wait(self) -> End {
        self.0.wait()
    }
}
