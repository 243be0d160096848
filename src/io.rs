//! The traits for asynchronous input and output, and what works on anything that has them.
//!
//! They are tokio's own traits and adapters, by the same names.

#[doc(no_inline)]
pub use std::io::{Error, ErrorKind, Result, SeekFrom};

pub use tokio::io::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite, ReadBuf};

// By name and not by `*`: if another crate turns on more features of tokio, what they bring there
// needs tokio's runtime, and must not appear here.
#[cfg(feature = "io-util")]
pub use tokio::io::{
    AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt, BufReader, BufStream, BufWriter,
    Chain, DuplexStream, Empty, Join, Lines, ReadHalf, Repeat, SimplexStream, Sink, Split, Take,
    WriteHalf, copy, copy_bidirectional, copy_bidirectional_with_sizes, copy_buf, duplex, empty,
    join, repeat, simplex, sink, split,
};

#[cfg(feature = "io-std")]
#[doc(inline)]
pub use ringway_stdio::{Stderr, Stdin, Stdout, stderr, stdin, stdout};

#[cfg(feature = "net")]
#[doc(inline)]
pub use ringway_net::{Interest, Ready};

/// Waiting for the readiness of any descriptor.
///
/// ```
/// # #[ringway::main]
/// # async fn main() -> std::io::Result<()> {
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
///
/// use ringway::io::Interest;
/// use ringway::io::unix::AsyncFd;
///
/// let (ours, mut theirs) = UnixStream::pair()?;
/// ours.set_nonblocking(true)?;
/// // SAFETY: the stream that is moved in keeps its descriptor open.
/// let ours = unsafe { AsyncFd::register_with_interest(ours, Interest::READABLE) }?;
/// theirs.write_all(b"hello")?;
///
/// let mut buffer = [0; 16];
/// let read = ours.async_io(Interest::READABLE, |mut stream| stream.read(&mut buffer));
/// assert_eq!(read.await?, 5);
/// # Ok(())
/// # }
/// ```
#[cfg(feature = "net")]
pub mod unix {
    #[doc(inline)]
    pub use ringway_net::unix::{
        AsyncFd, AsyncFdReadyGuard, AsyncFdReadyMutGuard, AsyncFdRegisterError, TryIoError,
    };

    #[doc(hidden)]
    #[deprecated = "it is called `AsyncFdRegisterError` now"]
    pub type AsyncFdTryNewError<T> = AsyncFdRegisterError<T>;
}
