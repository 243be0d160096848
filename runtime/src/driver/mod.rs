//! The driver: one io_uring per worker, the operations in it, its timers and the way to wake its worker.
//!
//! # Who owns what
//!
//! A *shard* is a ring, the table of the operations that were submitted to it (`slots`), a timer wheel
//! and a place to sleep. Shard *i* belongs to worker *i*, who submits, reaps and
//! sleeps there; but **any thread may service any shard**: the ring's two queues and the table are behind one
//! lock, which is held for moments only, never while user code runs (poll, wake, drop) and never while
//! blocked in the kernel.
//!
//! # The life of an operation
//!
//! ```text
//!   Op::new ─► Idle ──first poll──► InFlight ──last CQE──► Done ──poll──► finished
//!                                      │                    │
//!                                     drop                 drop
//!                                      ▼                    ▼
//!                                  Abandoned ─last CQE─► output dropped
//! ```
//!
//! 1. *Idle*: the [`Op`] owns the request; the kernel knows nothing of it. Dropping it drops the request.
//! 2. *InFlight*: the request has moved into a slot of the shard, at an address that does not change; its SQE
//!    is queued or with the kernel. The slot owns it, **until the last CQE**: not drop, not panic, not the
//!    end of the runtime frees it earlier.
//! 3. *Done*: the result waits in the slot for the next poll, which takes request and result and frees the slot.
//! 4. *Abandoned*: the future is gone. A cancel is queued behind the request; whatever the kernel answers,
//!    the output is made and dropped: a file descriptor that nobody wants is closed, a buffer freed.
//!
//! # Many answers
//!
//! [`Answers`] says how an operation's answers become outputs. One that has many is polled as [`Many`]: in flight until
//! the last, it hands out what came before it. Masks are told at once. Outputs that nobody takes wait in the slot, up to
//! a limit, at which the operation is cancelled; it is then *Paused*, owned by its `Many` like an idle one, and goes back
//! into the ring when all is taken. *Abandoned*, it makes and drops the outputs of all answers, after the last.
//!
//! # Where
//!
//! An operation stays in the shard where it was submitted, though its task may move; a cancel goes to that
//! shard, whichever thread drops the future.
//!
//! The driver names no operation of the net and fs crates: whoever has one implements [`Operation`].

mod answers;
mod bounds;
mod buf;
mod choice;
mod current;
mod debts;
mod device;
mod doorbell;
mod elsewhere;
mod error;
mod fd;
mod features;
mod home;
mod kick;
mod knobs;
mod ledger;
mod many;
mod marks;
mod op;
mod operations;
mod outside;
mod park;
mod payload;
mod plain;
mod poll;
mod provided;
mod refusal;
mod ring;
mod scratch;
#[cfg(feature = "scripted-ring")]
mod scripted;
mod setup;
mod shard;
mod sigpipe;
mod slots;
#[cfg(feature = "models")]
mod specimen;
mod stored;
mod sweep;
mod tally;
mod timers;
mod twins;
mod withdrawal;

pub use io_uring::{cqueue, opcode, squeue, types};

pub use buf::{CALL_BYTES_MAX, IoBuf, IoBufMut, IoBufs, IoBufsMut, Piece, Pieces, Slice};
pub use choice::Driver;
pub use current::{assert_context, check_context, is_in_live_runtime};
pub use error::{SetupError, is_lost, is_shutdown, shutdown_error, shutdown_error_saying};
pub use fd::{AsSharedFd, Home, SharedFd};
pub use features::{Feature, Features, features};
pub use ledger::Birth;
pub use many::{Many, QUEUED_ANSWERS_MAX};
pub use op::{Answers, Completion, Op, Operation, Tell, provided_buffers};
pub use provided::{PROVIDED_BYTES, Pool, ProvidedBuf, ProvidedBufs, Use, receive_now};
#[cfg(feature = "scripted-ring")]
#[doc(hidden)]
pub use scripted::{Played, Script};
#[doc(hidden)]
pub use sigpipe::without_sigpipe;
pub use tally::RingMetrics;

pub(crate) use choice::open_devices;
pub(crate) use current::with_owner;
pub(crate) use current::{Entered, enter_guest, enter_owner, leave_place};
pub(crate) use debts::Debts;
pub(crate) use home::{begin_homes_anew, enter_home, leave_home};
pub(crate) use ledger::check as check_ledger;
pub(crate) use park::ParkWord;
pub(crate) use scratch::{Scratch, wake_all};
pub(crate) use shard::Shard;
pub(crate) use timers::{FromAfar, NextTimer, Now, Removed, Timers};

/// For models.
pub(crate) mod internals {
    pub use super::debts::Debts;
    pub use super::device::{Device, Wait};
    pub use super::ledger::{mismatches, shards_alive};
    pub use super::operations::{Operations, Outgoing, Ring, Submitted};
    pub use super::park::{Absence, ParkWord, ThreadInRing, Unparked};
    #[cfg(feature = "models")]
    pub use super::poll::PollMachine;
    pub use super::poll::{Bell, Claim, Gate, Turn};
    pub use super::provided::Lane;
    pub use super::slots::{Abandoned, Answer, Key, Next, Orphan, Polled, Settled, Told};
    #[cfg(feature = "models")]
    pub use super::specimen::Specimen;
    pub use super::timers::{FromAfar, NextTimer, Now, Removed, Timers};
    pub use ringway_timer::wheel::Key as TimerKey;
}
