//! Operations of the user's own.

use std::fmt;
use std::mem;
use std::ptr::NonNull;

use ringway_runtime::driver::{self, Completion, squeue};

use crate::request::{Request, Round, Rounds};

/// A request to the kernel that this crate does not know: an SQE, the memory that it names, and what its result means.
///
/// [`submit`](crate::submit) makes a [`Request`] of it, which keeps the memory where it is until the kernel has let go
/// of it, whatever happens to the future, the task and the runtime.
///
/// # Safety
///
/// The kernel reads and writes through the pointers in the SQE until it has answered. The implementor promises:
///
/// - **Memory.** `entry` names only memory that `self` owns on the heap, `self` itself (it does not move between
///   `entry` and `complete`), or statics. Between `entry` and `complete` nobody else
///   reads or writes what the kernel writes, and nobody writes what the kernel reads.
/// - **Descriptors.** Every descriptor in the SQE stays open as long as `self` lives. A
///   [`SharedFd`](crate::SharedFd) sees to that.
/// - **One answer.** The operation is answered once. What is answered more than once (multishots) or never
///   (`CQE_SKIP_SUCCESS`) is not for this trait; a send without a copy, whose second answer only says that the memory
///   is free, is.
/// - **Alone.** The SQE is not linked to the next one (`IO_LINK`, `IO_HARDLINK`), for that is likely somebody else's;
///   it does not wait for all before it (`IO_DRAIN`), and takes no provided buffer (`BUFFER_SELECT`), which are the
///   runtime's.
///
/// The last two are checked as far as the flags of the SQE show them. The driver sets the user data.
///
/// # What comes from outside
///
/// The SQE is a [`squeue::Entry`](crate::squeue::Entry) of the crate `io-uring`, version 0.7, whose modules
/// [`opcode`](crate::opcode), [`squeue`](crate::squeue), [`cqueue`](crate::cqueue) and [`types`](crate::types) are
/// re-exported here. That crate is thus a part of this one's face: when it breaks compatibility, so does this trait,
/// and nothing else in this module.
///
/// # Examples
///
/// Telling the kernel that a stretch of memory can be dropped: `madvise(2)`, which there is no function for here.
///
/// ```
/// use std::io;
/// use ringway_uring::{self as uring, Completion, Operation, opcode, squeue};
///
/// /// Pages that the kernel may take back.
/// struct Forget {
///     pages: Vec<u8>,
/// }
///
/// // SAFETY: the stretch is within the vector's heap memory, which self owns and nobody else touches; there is no
/// // descriptor. Only whole pages of zeroes are named, and they read as zeroes afterwards.
/// unsafe impl Operation for Forget {
///     type Output = (io::Result<()>, Vec<u8>);
///
///     fn entry(&mut self) -> squeue::Entry {
///         let start = self.pages.as_mut_ptr();
///         let skip = start.align_offset(4096);
///         let len = (self.pages.len() - skip) / 4096 * 4096;
///         let address = start.wrapping_add(skip).cast();
///         opcode::Madvise::new(address, len as i64, 4 /* MADV_DONTNEED */).build()
///     }
///
///     fn complete(self, completion: Completion) -> Self::Output {
///         (completion.result.map(drop), self.pages)
///     }
/// }
///
/// # fn main() -> io::Result<()> {
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// let (result, pages) = uring::submit(Forget { pages: vec![0; 1 << 20] }).await;
/// result?;
/// assert!(pages.iter().all(|&byte| byte == 0));
/// # Ok(())
/// # })
/// # }
/// ```
pub unsafe trait Operation: Send + 'static {
    /// What the caller gets. It must own what the kernel made (a descriptor, a filled buffer), for it is simply dropped
    /// when the future is gone.
    type Output: Send;

    /// Builds the SQE. Called once, by [`submit`](crate::submit), which has given `self` its place before.
    fn entry(&mut self) -> squeue::Entry;

    /// Turns the kernel's answer into the output. Called once, after the kernel is through with the memory; with the
    /// error ECANCELED if the operation was cancelled or never submitted, and with the runtime's own if that has ended.
    fn complete(self, completion: Completion) -> Self::Output;
}

/// Carries out an operation of the user's own.
///
/// On a runtime without io_uring, operations work whose opcode has a plain system call that does the same, which are
/// those that this crate uses itself; others answer with an error.
///
/// # Cancel safety
///
/// Dropping the request cancels the operation; what it brought all the same is dropped as soon as the kernel answers.
/// [`Request::cancel`] gives it back.
///
/// ```
/// use std::io;
/// use ringway_uring::{self as uring, Completion, Operation, opcode, squeue};
///
/// struct Nop;
///
/// // SAFETY: no memory, no descriptor.
/// unsafe impl Operation for Nop {
///     type Output = io::Result<u32>;
///
///     fn entry(&mut self) -> squeue::Entry {
///         opcode::Nop::new().build()
///     }
///
///     fn complete(self, completion: Completion) -> io::Result<u32> {
///         completion.result
///     }
/// }
///
/// # fn main() -> io::Result<()> {
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// assert_eq!(uring::submit(Nop).await?, 0);
/// # Ok(())
/// # })
/// # }
/// ```
///
/// # Panics
///
/// If the SQE has a flag that [`Operation`] forbids, and if `entry` panics.
#[track_caller]
pub fn submit<T: Operation>(operation: T) -> Request<Own<T>> {
    let mut own = Own::new(operation);
    own.entry = own.build();
    let forbidden = flags_of(&own.entry) & FORBIDDEN;
    assert!(
        forbidden.is_empty(),
        "an operation of one's own must not set {forbidden:?}"
    );
    Request::new(own)
}

/// An operation of the user's own as a request: [`submit`].
///
/// It lies in a box, because its SQE is made before the driver's table has a place for it: no code of a user's runs under
/// the driver's lock.
pub struct Own<T> {
    operation: NonNull<T>,
    entry: squeue::Entry,
}

impl<T: Operation> Own<T> {
    fn new(operation: T) -> Self {
        Self {
            operation: NonNull::from(Box::leak(Box::new(operation))),
            entry: driver::opcode::Nop::new().build(),
        }
    }

    fn build(&mut self) -> squeue::Entry {
        // SAFETY: the box was leaked in `new` and is taken back by `into_inner` or by the drop only, which end self.
        unsafe { self.operation.as_mut() }.entry()
    }

    fn into_inner(self) -> T {
        let own = mem::ManuallyDrop::new(self);
        // SAFETY: as above; self is not dropped any more.
        *unsafe { Box::from_raw(own.operation.as_ptr()) }
    }
}

impl<T> Drop for Own<T> {
    fn drop(&mut self) {
        // SAFETY: the box was leaked in `new`, and `into_inner` has not taken it, for then nothing is dropped.
        drop(unsafe { Box::from_raw(self.operation.as_ptr()) });
    }
}

// SAFETY: it owns what it points to.
unsafe impl<T: Send> Send for Own<T> {}

impl<T> fmt::Debug for Own<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own")
            .field("entry", &self.entry)
            .finish_non_exhaustive()
    }
}

// SAFETY: the user's operation promises the same, it does not move within its box, and the flags that would break the
// promise unseen were refused.
unsafe impl<T: Operation> driver::Operation for Own<T> {
    type Output = Round<Self, T::Output>;

    fn entry(&mut self) -> squeue::Entry {
        self.entry.clone()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        Round::Done(self.into_inner().complete(completion))
    }
}

impl<T: Operation> Rounds for Own<T> {
    type Done = T::Output;

    fn give_up(self) -> Self::Done {
        unreachable!("an operation of a user's has one round")
    }
}

/// What an SQE of a user's must not say, see [`Operation`].
const FORBIDDEN: squeue::Flags = squeue::Flags::IO_DRAIN
    .union(squeue::Flags::IO_LINK)
    .union(squeue::Flags::IO_HARDLINK)
    .union(squeue::Flags::BUFFER_SELECT)
    .union(squeue::Flags::SKIP_SUCCESS);

/// The flags of an SQE, which its type sets but does not tell.
fn flags_of(entry: &squeue::Entry) -> squeue::Flags {
    let flags = (&raw const *entry).cast::<u8>().wrapping_add(FLAGS_AT);
    // SAFETY: an `Entry` is an SQE of 64 bytes, as the constant below sees to; any byte of it may be read.
    let flags = unsafe { flags.read() };
    squeue::Flags::from_bits_retain(flags)
}

/// Where the flags of an SQE are: part of the kernel's ABI.
const FLAGS_AT: usize = 1;

const _: () = assert!(size_of::<squeue::Entry>() == 64);

#[cfg(test)]
mod tests {
    use super::*;
    use ringway_runtime::driver::opcode;

    #[test]
    fn the_flags_of_an_entry_are_those_that_were_set() {
        let flags = squeue::Flags::IO_LINK | squeue::Flags::ASYNC;
        let entry = opcode::Nop::new().build().flags(flags);
        assert_eq!(flags_of(&entry), flags);
        assert!(flags_of(&opcode::Nop::new().build()).is_empty());
    }
}
