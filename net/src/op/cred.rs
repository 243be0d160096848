//! Asking who is at the other end of a Unix socket.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use super::sys::checked;
use crate::unix::UCred;

/// The credentials of the peer (`SO_PEERCRED`).
///
/// # Errors
///
/// Those of getsockopt(2).
pub(crate) fn peer_cred(fd: &impl AsFd) -> io::Result<UCred> {
    let mut cred = libc::ucred {
        pid: 0,
        uid: 0,
        gid: 0,
    };
    let mut length = size_of_val(&cred) as libc::socklen_t;
    // SAFETY: `cred` is valid for writes of `length` bytes, which the kernel does not exceed, and any bytes are a
    // `ucred`.
    checked(unsafe {
        libc::getsockopt(
            fd.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut cred).cast(),
            &mut length,
        )
    })?;
    Ok(UCred {
        pid: Some(cred.pid),
        uid: cred.uid,
        gid: cred.gid,
    })
}
