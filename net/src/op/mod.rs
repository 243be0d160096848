//! What this crate hands to the kernel: operations for the ring, and plain system calls.
//!
//! The only unsafe code of the crate is here. An operation owns everything its entry points to, in itself, and it
//! holds the [`SharedFd`], so that the descriptor's number cannot be given to another file before the kernel is
//! done with it.
//!
//! Every file this crate opens is close-on-exec and non-blocking; every send says `MSG_NOSIGNAL`.
//!
//! [`SharedFd`]: ringway_runtime::driver::SharedFd

mod accept;
mod adopt;
mod batch;
mod connect;
mod cred;
mod datagram;
mod pipe;
mod poll;
mod register;
mod splice;
mod sys;
mod watch;

pub use accept::{ACCEPT_FLAGS, Parcel};

pub(crate) use accept::AcceptMany;
pub(crate) use batch::{Arrived, MESSAGES_MAX, Outgoing, Rooms, send_batch, set_gro};
pub(crate) use connect::Connect;
pub(crate) use cred::peer_cred;
pub(crate) use datagram::{
    Filled, Room, fill_buf_mut, fill_read_buf, peek, peek_from, peek_sender, recv, recv_from,
    recv_to_boundary,
};
pub(crate) use pipe::{
    flags, is_pipe, pipe, read, read_vectored, set_flags, write, write_vectored,
};
pub(crate) use poll::{PollMany, PollOnce};
pub(crate) use splice::splice;
pub(crate) use sys::{
    accept, datagram_socket, inet_address, new_socket, poll_now, recv_vectored, send, send_to,
    send_vectored, stream_socket,
};
pub(crate) use watch::{Trigger, Watch};
