//! Standard output and error.
//!
//! A write copies the bytes and is done; a job of the blocking pool brings them to the stream. The job is mandatory: what
//! was reported as written is written, also when the runtime ends before the job has begun. Each handle has one job at a
//! time, so that its bytes stay in order; the next write, or a flush, waits for it and reports its error.

use std::future::Future;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, ready};

use ringway_runtime::driver;
use ringway_runtime::spawn_mandatory_blocking;
use ringway_runtime::task::JoinHandle;
use tokio::io::AsyncWrite;

/// Bytes that one write copies at most. tokio's number.
const WRITE_MAX: usize = 2 * 1024 * 1024;

/// One of the two streams.
trait Stream: Send + 'static {
    fn lock() -> impl Write;
}

/// A stream and the job that is under way on it.
#[derive(Debug)]
struct Writer<S> {
    job: Option<JoinHandle<Done>>,
    /// The copy of what is written, when no job has it.
    bytes: Vec<u8>,
    /// Something was written since the last flush.
    unflushed: bool,
    stream: std::marker::PhantomData<fn() -> S>,
}

/// What a job leaves: its result, and the buffer for the next.
#[derive(Debug)]
struct Done {
    result: io::Result<()>,
    bytes: Vec<u8>,
}

impl<S: Stream> Writer<S> {
    fn new() -> Self {
        Self {
            job: None,
            bytes: Vec::new(),
            unflushed: false,
            stream: std::marker::PhantomData,
        }
    }

    #[track_caller]
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_job(cx))?;
        let taken = &bytes[..bytes.len().min(WRITE_MAX)];
        self.bytes.extend_from_slice(taken);
        self.start(|stream, bytes| stream.write_all(bytes))?;
        self.unflushed = true;
        Poll::Ready(Ok(taken.len()))
    }

    #[track_caller]
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_job(cx))?;
            if !self.unflushed {
                return Poll::Ready(Ok(()));
            }
            self.start(|stream, _| stream.flush())?;
            self.unflushed = false;
        }
    }

    /// Waits for the job that is under way, and reports its error.
    fn poll_job(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(job) = &mut self.job else {
            return Poll::Ready(Ok(()));
        };
        let done = ready!(Pin::new(job).poll(cx));
        self.job = None;
        let Done { result, mut bytes } = done?;
        bytes.clear();
        self.bytes = bytes;
        Poll::Ready(result)
    }

    /// Starts a job; there is none.
    #[track_caller]
    fn start(&mut self, write: fn(&mut dyn Write, &[u8]) -> io::Result<()>) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.bytes);
        let job = spawn_mandatory_blocking(move || {
            let result = write(&mut S::lock(), &bytes);
            Done { result, bytes }
        });
        self.job = Some(job.ok_or_else(driver::shutdown_error)?);
        Ok(())
    }
}

macro_rules! stream {
    ($name:ident, $function:ident, $what:literal) => {
        #[doc = concat!("A handle to the ", $what, " of the process.")]
        ///
        /// A write is done when the bytes have been copied. They are brought to the stream in the background, in order,
        /// and also when the runtime or the handle is dropped meanwhile. A flush waits for that, and for the flush of
        /// the standard library's buffer. Writes of different handles are not in order, and those that are longer than
        /// 2 MiB are done in parts.
        ///
        /// # Cancel safety
        ///
        /// A write that is dropped before it is done has written nothing.
        #[derive(Debug)]
        pub struct $name(Writer<$name>);

        #[doc = concat!("A handle to the ", $what, " of the process.")]
        ///
        /// # Panics
        ///
        /// Writing panics outside a runtime.
        ///
        /// # Examples
        ///
        /// ```
        /// use tokio::io::AsyncWriteExt;
        ///
        /// # fn main() -> std::io::Result<()> {
        /// # ringway_runtime::Runtime::new()?.block_on(async {
        #[doc = concat!("let mut stream = ringway_stdio::", stringify!($function), "();")]
        /// stream.write_all(b"Hello!\n").await?;
        /// stream.flush().await
        /// # })
        /// # }
        /// ```
        pub fn $function() -> $name {
            $name(Writer::new())
        }

        impl Stream for $name {
            fn lock() -> impl Write {
                io::$function().lock()
            }
        }

        impl AsyncWrite for $name {
            /// # Errors
            ///
            /// Those of the write before, and that the runtime is shutting down.
            fn poll_write(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.0.poll_write(cx, bytes)
            }

            fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.0.poll_flush(cx)
            }

            /// The stream is the process's and stays open: as `poll_flush`.
            fn poll_shutdown(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
            ) -> Poll<io::Result<()>> {
                self.0.poll_flush(cx)
            }
        }

        impl AsRawFd for $name {
            fn as_raw_fd(&self) -> RawFd {
                io::$function().as_raw_fd()
            }
        }

        impl AsFd for $name {
            fn as_fd(&self) -> BorrowedFd<'_> {
                static STREAM: LazyLock<io::$name> = LazyLock::new(io::$function);
                STREAM.as_fd()
            }
        }
    };
}

stream!(Stdout, stdout, "standard output");
stream!(Stderr, stderr, "standard error");
