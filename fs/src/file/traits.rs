//! The traits of tokio and std for [`File`].

use std::fmt;
use std::fs::File as StdFile;
use std::io::{self, IoSlice, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ringway_runtime::driver::{AsSharedFd, SharedFd};
use ringway_runtime::task::coop;
use tokio::io::{AsyncRead, AsyncSeek, AsyncWrite, ReadBuf};

use super::File;
use crate::op::with_std;

impl AsyncRead for File {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let traffic = this.traffic.get_mut();
        poll_with_budget(cx, |cx| {
            traffic.poll_read(cx, &this.core, this.max_buf_size, target)
        })
    }
}

impl AsyncWrite for File {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        source: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(source)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let traffic = this.traffic.get_mut();
        poll_with_budget(cx, |cx| {
            traffic.poll_write(cx, &this.core, this.max_buf_size, slices)
        })
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().traffic.get_mut().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

impl AsyncSeek for File {
    fn start_seek(self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
        let this = self.get_mut();
        this.traffic.get_mut().seek(&this.core, position)
    }

    fn poll_complete(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        let traffic = self.get_mut().traffic.get_mut();
        poll_with_budget(cx, |cx| traffic.poll_seek(cx)).map(Ok)
    }
}

/// Polls what is mostly done at once, and takes a unit of the task's budget if it was.
fn poll_with_budget<T>(
    cx: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    let unit = ready!(coop::poll_proceed(cx));
    let polled = poll(cx);
    if polled.is_ready() {
        unit.made_progress();
    }
    polled
}

impl From<StdFile> for File {
    fn from(std: StdFile) -> Self {
        Self::from_std(std)
    }
}

impl From<OwnedFd> for File {
    fn from(fd: OwnedFd) -> Self {
        Self::from_std(StdFile::from(fd))
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.core.as_fd()
    }
}

impl AsRawFd for File {
    fn as_raw_fd(&self) -> RawFd {
        self.core.as_raw_fd()
    }
}

impl AsSharedFd for File {
    fn shared_fd(&self) -> &SharedFd {
        &self.core.fd
    }
}

impl fmt::Debug for File {
    /// As tokio's file says it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        with_std(self.as_fd(), |std| {
            f.debug_struct("tokio::fs::File").field("std", std).finish()
        })
    }
}
