//! What this crate asks of the kernel, and its only home of unsafe code.
//!
//! Three kinds of things live here:
//!
//! - **operations** for the ring, one small file each. An operation owns everything that its SQE points to,
//!   paths as `CString`, buffers as [`IoBuf`], and holds each descriptor by a [`SharedFd`], so that neither memory nor
//!   descriptor can go while the kernel works with it;
//! - **calls that never wait** ([`now`]): made at once, on the worker, where a ring would only add its cost;
//! - **calls for the blocking pool** ([`NameOp`], [`Listing`], [`copy`]).
//!
//! [`SharedFd`]: ringway_runtime::driver::SharedFd

mod aligned;
mod close;
mod copy;
mod deliver;
mod listing;
mod location;
mod many;
mod name;
mod on_fd;
mod open;
mod poll;
mod raw;
mod read;
pub(crate) mod splice;
mod write;

pub(crate) mod descriptor;
pub(crate) mod now;

use std::io;

use ringway_runtime::driver::CALL_BYTES_MAX;
pub use ringway_runtime::driver::{IoBuf, IoBufMut, IoBufs, IoBufsMut};

pub use aligned::AlignedBuf;
pub(crate) use close::Close;
pub(crate) use copy::copy;
pub(crate) use deliver::{Deliver, Delivered, Delivery};
pub(crate) use listing::{Found, Listing};
pub(crate) use location::{Location, c_path, with_c_path};
pub(crate) use many::{ReadMany, WriteMany};
pub(crate) use name::NameOp;
pub(crate) use on_fd::{FdOp, PIECE_MAX_BYTES};
pub(crate) use open::{Open, open_to_read_now};
pub(crate) use poll::Ready;
pub(crate) use raw::with_std;
pub(crate) use read::Read;
pub(crate) use ringway_runtime::driver::without_sigpipe;

pub(crate) use write::Write;

/// The offset that means "the position of the open file description, and move it".
pub(crate) const AT_POSITION: u64 = u64::MAX;

/// What an operation says whose runtime has ended. tokio's text: its files are a matter of background threads.
pub(crate) const REFUSED: &str = "background task failed";

/// The result of a system call: what it returned, or the errno.
fn answer(result: libc::c_long) -> io::Result<u64> {
    u64::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// `len`, cut to what one call may move.
fn call_len(len: usize) -> u32 {
    len.min(CALL_BYTES_MAX) as u32
}
