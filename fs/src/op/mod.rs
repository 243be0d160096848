//! What this crate asks of the kernel, and its only home of unsafe code.
//!
//! Two kinds of things live here:
//!
//! - **operations** for the ring, one small file each. An operation owns everything that its SQE points to,
//!   paths as `CString`, buffers as [`IoBuf`], statx results in a box, and holds each descriptor by a
//!   [`SharedFd`], so that neither memory nor descriptor can go while the kernel works with it;
//! - **calls that never wait** ([`now`]): made at once, on the worker, where a ring would only add its cost.
//!
//! [`SharedFd`]: ringway_runtime::driver::SharedFd

mod close;
mod deliver;
mod name;
mod on_fd;
mod open;
mod poll;
mod raw;
mod read;
pub(crate) mod splice;
mod statx;
mod write;

pub(crate) mod descriptor;
pub(crate) mod now;

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub use ringway_runtime::driver::{IoBuf, IoBufMut};

pub(crate) use close::Close;
pub(crate) use deliver::{Deliver, Delivery};
pub(crate) use name::NameOp;
pub(crate) use on_fd::FdOp;
pub(crate) use open::Open;
pub(crate) use poll::Ready;
pub(crate) use raw::with_std;
pub(crate) use read::Read;
pub(crate) use ringway_runtime::driver::without_sigpipe;

pub(crate) use statx::Statx;
pub(crate) use write::Write;

/// The offset that means "the position of the open file description, and move it".
pub(crate) const AT_POSITION: u64 = u64::MAX;

/// What an operation says whose runtime has ended. tokio's text: its files are a matter of background threads.
const REFUSED: &str = "background task failed";

/// The most that one read or write moves; the kernel's own limit (`MAX_RW_COUNT`), 2 GiB less a page.
pub(crate) const TRANSFER_MAX_BYTES: usize = 0x7fff_f000;

/// `path` as the kernel wants it.
///
/// # Errors
///
/// `InvalidInput`, with the text of std, if `path` has a NUL byte.
pub(crate) fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            "file name contained an unexpected NUL byte",
        )
    })
}

/// `len`, cut to what one call may move.
fn call_len(len: usize) -> u32 {
    len.min(TRANSFER_MAX_BYTES) as u32
}
