//! What an SQE asks for, done by plain system calls.
//!
//! An operation has no second implementation: this reads the entry that the kernel's ring would have read, and does the
//! same. What an operation of net, of fs or of a user's own asks for works here if its opcode is in the table of
//! [`Request::step`]; any other is answered as by a kernel that does not know it.
//!
//! There are three ways in which a call is kept from blocking the thread that makes it:
//!
//! 1. *at once*: it never waits (socket, shutdown);
//! 2. *by readiness*: it is tried without waiting, and when it would have to wait, the caller waits until the
//!    descriptor is ready and tries again (sockets, pipes, terminals);
//! 3. *elsewhere*: it is made on a thread that may wait (files and their names).
//!
//! Which way it is shows as it goes: a [`Step`] says what is to be done next, and by whom. This module knows no poller,
//! no thread and no lock.
//!
//! Results are those that the ring gives: a value that is not negative, or a negative errno. EINTR is not among them.
//!
//! # Who may call
//!
//! Any thread, one at a time for each request.

mod file;
mod name;
mod poll;
mod socket;
mod splice;
mod sqe;
mod stream;
mod sys;

use std::os::fd::RawFd;

use io_uring::{opcode, squeue};

pub(crate) use self::poll::{is_poll, poll_all, poll_now};
use self::sqe::Sqe;

/// A request under way.
#[derive(Debug)]
pub(crate) struct Request {
    sqe: Sqe,
    /// Bytes that earlier steps have moved.
    moved: u32,
    /// The descriptor was waited for because nothing but waiting keeps the call from blocking, or a connect has begun.
    begun: bool,
}

/// Where a step is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On a thread that must not wait.
    Worker,
    /// On a thread that may.
    Pool,
}

/// What comes after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Step {
    /// Nothing: this is the last answer.
    Done(i32),
    /// This is one answer of many. Step again.
    More(i32),
    /// Step again, at [`Place::Worker`], when the descriptor has one of these `POLL…` events. If it cannot be waited
    /// for, as a file, step at [`Place::Pool`].
    Wait(RawFd, u32),
    /// Step at [`Place::Pool`].
    Elsewhere,
}

/// What a request means for others than itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A call.
    Call,
    /// Waits for events of a descriptor.
    Poll {
        /// It goes on after its first answer.
        multishot: bool,
    },
    /// Cancels others.
    Cancel(Cancel),
}

/// Which requests a cancel means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cancel {
    target: Target,
    /// All of them, and not just the first.
    pub(crate) all: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Any,
    UserData(u64),
    Fd(RawFd),
}

const IOSQE_FIXED_FILE: u8 = 1;
/// Drains, links and selected buffers, which need a ring.
const IOSQE_NEEDS_RING: u8 = 0b0010_1110;
const IOSQE_CQE_SKIP_SUCCESS: u8 = 1 << 6;

const ASYNC_CANCEL_ALL: u32 = 1;
const ASYNC_CANCEL_FD: u32 = 1 << 1;
const ASYNC_CANCEL_ANY: u32 = 1 << 2;
/// Slots of registered files, and opcodes.
const ASYNC_CANCEL_UNKNOWN: u32 = !(ASYNC_CANCEL_ALL | ASYNC_CANCEL_FD | ASYNC_CANCEL_ANY | 1 << 4);

impl Request {
    /// # Safety
    ///
    /// Until the last answer, every pointer in the entry is good for what its opcode does with it, and nobody else
    /// uses what it points to. That is the contract of [`super::Operation`].
    pub(crate) unsafe fn new(entry: &squeue::Entry) -> Self {
        Self {
            sqe: Sqe::of(entry),
            moved: 0,
            begun: false,
        }
    }

    pub(crate) fn user_data(&self) -> u64 {
        self.sqe.user_data
    }

    /// The last answer of one that is given up: what it has moved is told, as by the ring.
    pub(crate) fn given_up(&self) -> i32 {
        match self.moved {
            0 => -libc::ECANCELED,
            moved => moved as i32,
        }
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.sqe.fd
    }

    /// Whether an answer that is a success is not wanted.
    pub(crate) fn skips_success(&self) -> bool {
        self.sqe.flags & IOSQE_CQE_SKIP_SUCCESS != 0
    }

    /// What it is; or the answer to an entry that asks for what only a ring has.
    pub(crate) fn kind(&self) -> Result<Kind, i32> {
        let sqe = &self.sqe;
        if sqe.flags & IOSQE_NEEDS_RING != 0 {
            return Err(-libc::EINVAL);
        }
        if sqe.flags & IOSQE_FIXED_FILE != 0 {
            return Err(-libc::EBADF);
        }
        match sqe.opcode {
            opcode::PollAdd::CODE => self.poll_kind(),
            opcode::AsyncCancel::CODE => self.cancel_kind().map(Kind::Cancel),
            opcode::PollRemove::CODE if sqe.len == 0 => Ok(Kind::Cancel(Cancel {
                target: Target::UserData(sqe.addr),
                all: false,
            })),
            _ => Ok(Kind::Call),
        }
    }

    fn cancel_kind(&self) -> Result<Cancel, i32> {
        let flags = self.sqe.op_flags;
        if flags & ASYNC_CANCEL_UNKNOWN != 0 {
            return Err(-libc::EINVAL);
        }
        let target = if flags & ASYNC_CANCEL_ANY != 0 {
            Target::Any
        } else if flags & ASYNC_CANCEL_FD != 0 {
            Target::Fd(self.sqe.fd)
        } else {
            Target::UserData(self.sqe.addr)
        };
        let all = flags & (ASYNC_CANCEL_ALL | ASYNC_CANCEL_ANY) != 0;
        Ok(Cancel { target, all })
    }

    /// Does what can be done at this place.
    pub(crate) fn step(&mut self, place: Place) -> Step {
        let sqe = &self.sqe;
        match sqe.opcode {
            opcode::Nop::CODE => Step::Done(0),
            opcode::PollAdd::CODE => self.poll_step(),
            opcode::Read::CODE | opcode::ReadFixed::CODE => self.read(place),
            opcode::Write::CODE | opcode::WriteFixed::CODE => self.write(place),
            opcode::Readv::CODE => self.read_vectored(place),
            opcode::Writev::CODE => self.write_vectored(place),
            opcode::Recv::CODE => self.receive(),
            opcode::Send::CODE | opcode::SendZc::CODE => self.send(),
            opcode::RecvMsg::CODE => self.receive_message(),
            opcode::SendMsg::CODE | opcode::SendMsgZc::CODE => self.send_message(),
            opcode::Accept::CODE => self.accept(),
            opcode::Connect::CODE => self.connect(),
            opcode::Shutdown::CODE => Step::Done(socket::shut_down(sqe)),
            opcode::Socket::CODE => Step::Done(socket::make(sqe)),
            opcode::Bind::CODE => Step::Done(socket::bind(sqe)),
            opcode::Listen::CODE => Step::Done(socket::listen(sqe)),
            opcode::EpollCtl::CODE => Step::Done(poll::control(sqe)),
            opcode::Splice::CODE => self.splice(place),
            opcode::Tee::CODE => self.tee(),
            opcode::Close::CODE => file::close(sqe, place),
            _ => match blocking(sqe.opcode) {
                None => Step::Done(-libc::EINVAL),
                Some(_) if place == Place::Worker => Step::Elsewhere,
                Some(call) => Step::Done(sys::uninterrupted(|| call(sqe))),
            },
        }
    }
}

/// What [`Request::step`] knows.
pub(crate) const OPCODES: [u8; 38] = [
    opcode::Nop::CODE,
    opcode::Readv::CODE,
    opcode::Writev::CODE,
    opcode::Fsync::CODE,
    opcode::ReadFixed::CODE,
    opcode::WriteFixed::CODE,
    opcode::PollAdd::CODE,
    opcode::PollRemove::CODE,
    opcode::SyncFileRange::CODE,
    opcode::SendMsg::CODE,
    opcode::RecvMsg::CODE,
    opcode::Accept::CODE,
    opcode::AsyncCancel::CODE,
    opcode::Connect::CODE,
    opcode::Fallocate::CODE,
    opcode::OpenAt::CODE,
    opcode::Close::CODE,
    opcode::Statx::CODE,
    opcode::Read::CODE,
    opcode::Write::CODE,
    opcode::Fadvise::CODE,
    opcode::Madvise::CODE,
    opcode::Send::CODE,
    opcode::Recv::CODE,
    opcode::OpenAt2::CODE,
    opcode::EpollCtl::CODE,
    opcode::Splice::CODE,
    opcode::Tee::CODE,
    opcode::Shutdown::CODE,
    opcode::RenameAt::CODE,
    opcode::UnlinkAt::CODE,
    opcode::MkDirAt::CODE,
    opcode::SymlinkAt::CODE,
    opcode::LinkAt::CODE,
    opcode::Socket::CODE,
    opcode::Ftruncate::CODE,
    opcode::Bind::CODE,
    opcode::Listen::CODE,
];

/// The calls that may wait for a disk, or for a server.
fn blocking(opcode: u8) -> Option<fn(&Sqe) -> i32> {
    Some(match opcode {
        opcode::Fsync::CODE => file::sync,
        opcode::SyncFileRange::CODE => file::sync_range,
        opcode::Ftruncate::CODE => file::truncate,
        opcode::Fallocate::CODE => file::allocate,
        opcode::Fadvise::CODE => file::advise,
        opcode::Madvise::CODE => file::advise_memory,
        opcode::Statx::CODE => name::statx,
        opcode::OpenAt::CODE => name::open,
        opcode::OpenAt2::CODE => name::open_how,
        opcode::UnlinkAt::CODE => name::unlink,
        opcode::MkDirAt::CODE => name::make_dir,
        opcode::RenameAt::CODE => name::rename,
        opcode::LinkAt::CODE => name::link,
        opcode::SymlinkAt::CODE => name::symlink,
        _ => return None,
    })
}

impl Cancel {
    /// Whether it means a request with this user data on this descriptor.
    pub(crate) fn means(&self, user_data: u64, fd: RawFd) -> bool {
        match self.target {
            Target::Any => true,
            Target::UserData(target) => target == user_data,
            Target::Fd(target) => target == fd,
        }
    }

    /// The one user data that it means, if it is that.
    pub(crate) fn user_data(&self) -> Option<u64> {
        match self.target {
            Target::UserData(user_data) => Some(user_data),
            Target::Any | Target::Fd(_) => None,
        }
    }
}
