//! Pipes, with and without a name.

mod open;
mod receiver;
mod sender;

use std::io;
use std::os::fd::{AsFd, OwnedFd};

pub use open::OpenOptions;
pub use receiver::Receiver;
pub use sender::Sender;

use crate::Ready;
use crate::op;
use crate::socket::{Duplex, Way, adopt};

/// A new pipe.
///
/// # Errors
///
/// Those of pipe2(2): no descriptor left.
///
/// # Panics
///
/// Outside a runtime.
///
/// ```
/// use ringway_net::unix::pipe;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// let (mut sender, mut receiver) = pipe::pipe()?;
/// sender.write_all(b"through the pipe").await?;
/// drop(sender);
/// let mut heard = String::new();
/// receiver.read_to_string(&mut heard).await?;
/// assert_eq!(heard, "through the pipe");
/// # Ok(())
/// # })
/// # }
/// ```
#[track_caller]
pub fn pipe() -> io::Result<(Sender, Receiver)> {
    let (read, write) = op::pipe()?;
    Ok((Sender::new(write)?, Receiver::new(read)?))
}

/// Which end of a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Read,
    Write,
}

/// Takes a descriptor that does not block. The first read waits: to a try, a pipe that nobody has opened for writing
/// yet looks as if it had ended.
#[track_caller]
fn end_of_pipe(fd: OwnedFd) -> io::Result<Duplex> {
    Ok(Duplex::new(adopt(fd)?, Ready::EMPTY, Way::Aside)
        .read_in_pieces()
        .wait_first(Way::Aside))
}

/// Checks that `fd` is that end of a pipe, and makes it non-blocking.
fn prepare(fd: &OwnedFd, end: End) -> io::Result<()> {
    must_be_pipe(fd)?;
    let flags = op::flags(fd.as_fd())?;
    let (access, refusal) = match end {
        End::Read => (libc::O_RDONLY, "not in O_RDONLY or O_RDWR access mode"),
        End::Write => (libc::O_WRONLY, "not in O_WRONLY or O_RDWR access mode"),
    };
    let mode = flags & libc::O_ACCMODE;
    if mode != access && mode != libc::O_RDWR {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, refusal));
    }
    op::set_flags(fd.as_fd(), flags | libc::O_NONBLOCK)
}

fn must_be_pipe(fd: &impl AsFd) -> io::Result<()> {
    if op::is_pipe(fd.as_fd())? {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a pipe"))
    }
}

/// Makes a descriptor block again.
fn set_blocking(fd: &OwnedFd) -> io::Result<()> {
    let flags = op::flags(fd.as_fd())?;
    op::set_flags(fd.as_fd(), flags & !libc::O_NONBLOCK)
}

/// What both ends have: how they are made, taken apart and named.
macro_rules! end {
    ($End:ident, $end:expr) => {
        impl $End {
            #[track_caller]
            pub(super) fn new(fd: OwnedFd) -> io::Result<$End> {
                Ok($End {
                    socket: end_of_pipe(fd)?,
                })
            }

            pub(crate) fn socket(&self) -> &Duplex {
                &self.socket
            }

            /// Takes over a file that is this end of a pipe, and makes it non-blocking.
            ///
            /// # Errors
            ///
            /// `InvalidInput` if it is no pipe, or open the other way.
            ///
            /// # Panics
            ///
            /// Outside a runtime.
            ///
            /// ```
            /// # fn main() -> std::io::Result<()> {
            /// # let runtime = ringway_runtime::Runtime::new()?;
            /// # runtime.block_on(async {
            /// use std::fs::File;
            /// use ringway_net::unix::pipe;
            ///
            /// // A file that is no pipe is refused.
            /// assert!(pipe::Sender::from_file(File::create("/dev/null")?).is_err());
            /// let (reader, writer) = std::io::pipe()?;
            /// let sender = pipe::Sender::from_owned_fd(writer.into())?;
            /// let receiver = pipe::Receiver::from_owned_fd(reader.into())?;
            /// assert_eq!(sender.try_write(b"hello")?, 5);
            /// assert!(receiver.ready(ringway_net::Interest::READABLE).await?.is_readable());
            /// assert_eq!(receiver.try_read(&mut [0; 16])?, 5);
            /// # Ok(())
            /// # })
            /// # }
            /// ```
            #[track_caller]
            pub fn from_file(file: File) -> io::Result<$End> {
                $End::from_owned_fd(file.into())
            }

            /// Takes over a descriptor that is this end of a pipe, and makes it non-blocking.
            ///
            /// # Errors
            ///
            /// As [`from_file`](Self::from_file).
            ///
            /// # Panics
            ///
            /// Outside a runtime.
            #[track_caller]
            pub fn from_owned_fd(fd: OwnedFd) -> io::Result<$End> {
                prepare(&fd, $end)?;
                $End::new(fd)
            }

            /// As [`from_file`](Self::from_file), without a look at the file, which must be non-blocking.
            ///
            /// # Errors
            ///
            /// None at present.
            ///
            /// # Panics
            ///
            /// Outside a runtime.
            #[track_caller]
            pub fn from_file_unchecked(file: File) -> io::Result<$End> {
                $End::new(file.into())
            }

            /// As [`from_owned_fd`](Self::from_owned_fd), without a look at the descriptor, which must be non-blocking.
            ///
            /// # Errors
            ///
            /// None at present.
            ///
            /// # Panics
            ///
            /// Outside a runtime.
            #[track_caller]
            pub fn from_owned_fd_unchecked(fd: OwnedFd) -> io::Result<$End> {
                $End::new(fd)
            }

            /// Gives the descriptor back, and makes it block: for a child process, for example.
            ///
            /// # Errors
            ///
            /// Those of fcntl(2) and dup(2).
            ///
            /// ```
            /// # fn main() -> std::io::Result<()> {
            /// # let runtime = ringway_runtime::Runtime::new()?;
            /// # runtime.block_on(async {
            /// use std::io::{Read, Write};
            /// use ringway_net::unix::pipe;
            ///
            /// let (sender, receiver) = pipe::pipe()?;
            /// let mut writer = std::fs::File::from(sender.into_blocking_fd()?);
            /// let mut reader = std::fs::File::from(receiver.into_blocking_fd()?);
            /// writer.write_all(b"by std")?;
            /// assert_eq!(reader.read(&mut [0; 16])?, 6);
            /// # Ok(())
            /// # })
            /// # }
            /// ```
            pub fn into_blocking_fd(self) -> io::Result<OwnedFd> {
                let fd = self.into_nonblocking_fd()?;
                set_blocking(&fd)?;
                Ok(fd)
            }

            /// Gives the descriptor back, still non-blocking.
            ///
            /// # Errors
            ///
            /// Those of dup(2), in the rare case that no descriptor was left for the runtime's watch on the pipe.
            ///
            /// ```
            /// # fn main() -> std::io::Result<()> {
            /// # let runtime = ringway_runtime::Runtime::new()?;
            /// # runtime.block_on(async {
            /// use ringway_net::unix::pipe;
            ///
            /// let (sender, receiver) = pipe::pipe()?;
            /// // To another runtime, for example, which needs no look at it.
            /// let fd = receiver.into_nonblocking_fd()?;
            /// let receiver = pipe::Receiver::from_owned_fd_unchecked(fd)?;
            /// assert_eq!(sender.try_write(b"hello")?, 5);
            /// receiver.readable().await?;
            /// assert_eq!(receiver.try_read(&mut [0; 16])?, 5);
            /// # Ok(())
            /// # })
            /// # }
            /// ```
            pub fn into_nonblocking_fd(self) -> io::Result<OwnedFd> {
                self.socket.into_fd()
            }

            /// Waits for one of the events of `interest`, and says which have come.
            ///
            /// It may be wrong: a call after it may still fail with `WouldBlock`, and then this waits again.
            ///
            /// # Errors
            ///
            /// If the runtime is shutting down.
            ///
            /// # Cancel safety
            ///
            /// Safe: it takes nothing from the pipe.
            pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
                self.socket.ready(interest).await
            }
        }

        impl AsRawFd for $End {
            fn as_raw_fd(&self) -> RawFd {
                self.socket.fd().as_raw_fd()
            }
        }

        impl AsFd for $End {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.socket.fd().as_fd()
            }
        }

        impl AsSharedFd for $End {
            fn shared_fd(&self) -> &SharedFd {
                self.socket.fd()
            }
        }

        // A panic in a waker leaves the locks' states whole: wakers are called outside of them.
        impl UnwindSafe for $End {}
        impl RefUnwindSafe for $End {}

        impl fmt::Debug for $End {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($End))
                    .field("fd", &self.as_raw_fd())
                    .finish()
            }
        }
    };
}
use end;
