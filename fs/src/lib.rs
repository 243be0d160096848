//! Files and directories of ringway.
//!
//! Everything that tokio's `fs` has is here under its name, and does what it does there, but by other
//! means: what lies in memory is done at once, what has to wait for a disk goes through the ring of the worker,
//! and only what the kernel has no asynchronous operation for (reading directories and links, resolving paths,
//! permissions, times, copying), or hands to a thread of its own each time (changes of names, writes that need new blocks),
//! goes to the blocking pool.
//!
//! Beyond tokio there are
//!
//! - owned buffers at given offsets, one ([`File::read_at`], [`File::write_at`]) or several
//!   ([`File::read_vectored_at`]), past the cache if wished ([`OpenOptions::direct`], [`AlignedBuf`]);
//! - paths that cannot escape ([`Dir`], [`OpenOptions::open_beneath`]);
//! - [`walk()`], through everything beneath a directory;
//! - [`File::fallocate`], [`File::advise`], [`File::sync_range`], [`File::close`];
//! - [`status()`], which is all that statx(2) says;
//! - [`transfer()`] from a file to a socket, as a whole or step by step ([`Transfer`]).
//!
//! # Cancel safety
//!
//! Each function says what dropping its future means. In general:
//!
//! - What only asks or reads can be dropped at any time. Reading through [`AsyncRead`](tokio::io::AsyncRead)
//!   loses no byte by it; reading into an owned buffer drops the buffer and with it what was read.
//! - What changes something leaves open whether it was changed: the kernel may have been faster.
//! - What opens something closes it again if nobody waits for it any more.

#![deny(unsafe_code)]

mod chunks;
mod dir;
mod dir_builder;
mod entries;
mod file;
mod file_times;
mod gate;
mod kind;
mod limits;
mod metadata;
mod names;
#[expect(unsafe_code, reason = "the crate's only home of unsafe code")]
mod op;
mod open;
mod open_options;
mod pool;
mod read_dir;
mod status;
mod transfer;
mod walk;
mod whole;

pub use dir::{Dir, PathRefused};
pub use dir_builder::DirBuilder;
pub use entries::{Entries, Entry};
pub use file::{Advice, Allocate, File, Misaligned};
pub use file_times::FileTimes;
pub use kind::FileKind;
pub use metadata::{metadata, status, symlink_metadata, symlink_status, try_exists};
pub use names::{
    canonicalize, copy, create_dir, create_dir_all, hard_link, read_link, remove_dir,
    remove_dir_all, remove_file, rename, set_permissions, symlink,
};
pub use op::{AlignedBuf, IoBuf, IoBufMut, IoBufs, IoBufsMut};
pub use open_options::OpenOptions;
pub use read_dir::{DirEntry, ReadDir, read_dir};
pub use status::{Attributes, DirectAlignment, Status};
pub use transfer::{ShortTransfer, Transfer, transfer};
pub use walk::{Walk, WalkEntry, WalkError, walk};
pub use whole::{read, read_to_string, write};
