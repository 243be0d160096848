//! What this crate hands to the kernel: operations for the ring, and plain system calls.
//!
//! The only unsafe code of the crate is here. An operation owns everything its entry points to, in itself, and it
//! holds the [`SharedFd`], so that the descriptor's number cannot be given to another file before the kernel is
//! done with it.
//!
//! Every file this crate opens is close-on-exec and non-blocking; every send says `MSG_NOSIGNAL`.
//!
//! [`SharedFd`]: ringway_runtime::driver::SharedFd

mod adopt;
mod connect;
mod poll;
mod sys;

pub(crate) use connect::Connect;
pub(crate) use poll::PollOnce;
pub(crate) use sys::{
    Take, accept, inet_address, poll_now, recv_buf_mut, recv_into, recv_vectored, send,
    send_vectored, stream_socket, watch,
};
