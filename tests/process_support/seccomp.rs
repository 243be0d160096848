//! A seccomp filter that refuses some system calls, from a moment on that the test chooses.
//!
//! The filter asks a thread of this process at each call, which lets it through or answers with an errno. That thread was
//! started before the filter was installed, and is not under it; all that are started later are.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc;

/// System calls under the filter.
#[derive(Debug)]
pub(crate) struct Filter {
    /// Calls that are let through from now on.
    left: Arc<AtomicI64>,
}

/// More calls than any test makes.
const FOR_EVER: i64 = i64::MAX / 2;

impl Filter {
    /// Puts this thread, and all that it starts from now on, under a filter that lets the first `allowed` calls of
    /// `numbers` through, or all for the time being, and fails the others with `errno`.
    pub(crate) fn install(numbers: &[libc::c_long], errno: i32, allowed: Option<i64>) -> Self {
        let left = Arc::new(AtomicI64::new(allowed.unwrap_or(FOR_EVER)));
        let (give, given) = mpsc::channel();
        let policy = Arc::clone(&left);
        std::thread::spawn(move || {
            let listener: OwnedFd = given.recv().expect("a filter");
            while answer_one(&listener, &policy, errno).is_ok() {}
        });
        give.send(install(numbers)).expect("somebody answers");
        Self { left }
    }

    /// Refuses from now on.
    pub(crate) fn refuse(&self) {
        self.left.store(0, Ordering::SeqCst);
    }

    /// Lets all through from now on.
    pub(crate) fn allow(&self) {
        self.left.store(FOR_EVER, Ordering::SeqCst);
    }
}

/// Installs the filter, and returns where its questions come.
fn install(numbers: &[libc::c_long]) -> OwnedFd {
    let statement = |code: u32, jt, jf, k| libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    let answer = |action| statement(libc::BPF_RET | libc::BPF_K, 0, 0, action);
    // The number of the call is the first field of what the filter sees. Each comparison that fits jumps over those that
    // are left, and over the answer for the others.
    let mut program = vec![statement(
        libc::BPF_LD | libc::BPF_W | libc::BPF_ABS,
        0,
        0,
        0,
    )];
    let equals = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    for (left, number) in (1..=numbers.len() as u8).rev().zip(numbers) {
        program.push(statement(equals, left, 0, *number as u32));
    }
    program.push(answer(libc::SECCOMP_RET_ALLOW));
    program.push(answer(libc::SECCOMP_RET_USER_NOTIF));
    let program = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the call takes no pointer.
    let set = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
    // SAFETY: the program lives through the call.
    let listener = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const program,
        )
    };
    assert!(listener >= 0, "{}", io::Error::last_os_error());
    // SAFETY: the descriptor was just made and nobody else has it.
    unsafe { OwnedFd::from_raw_fd(listener as i32) }
}

/// Waits for one question and answers it.
fn answer_one(listener: &OwnedFd, left: &AtomicI64, errno: i32) -> io::Result<()> {
    // SAFETY: all zeroes are a value of this structure of numbers, and what the kernel asks for.
    let mut question: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: the kernel writes a question to memory that lives through the call.
        let asked = unsafe {
            libc::ioctl(
                listener.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_RECV,
                &raw mut question,
            )
        };
        if asked == 0 {
            break;
        }
        let error = io::Error::last_os_error();
        // The caller was interrupted before we heard of it, or we were.
        if !matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINTR)) {
            return Err(error);
        }
    }
    let allow = left.fetch_sub(1, Ordering::SeqCst) > 0;
    let mut answer = libc::seccomp_notif_resp {
        id: question.id,
        val: 0,
        error: if allow { 0 } else { -errno },
        flags: if allow {
            libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32
        } else {
            0
        },
    };
    // SAFETY: the kernel reads the answer from memory that lives through the call. If it fails, the caller is gone.
    unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_SEND,
            &raw mut answer,
        )
    };
    Ok(())
}
