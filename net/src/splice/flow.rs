//! One direction: from a source through a pipe to a sink.

use std::io;
use std::task::{Context, Poll, ready};

use super::pipe::Pipe;
use crate::op;
use crate::socket::Duplex;

/// Bytes on their way from a source to a sink.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Made when the first bytes are there.
    pipe: Option<Pipe>,
    /// How many bytes it holds.
    held: usize,
    /// How many bytes the sink has got.
    moved: u64,
    until: Until,
}

/// How far a flow goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Until {
    /// The end of its source.
    #[default]
    End,
    /// What is held: the source has ended.
    Ended,
    /// What is held: nobody wants more.
    Stopped,
}

impl Flow {
    pub(super) fn moved(&self) -> u64 {
        self.moved
    }

    pub(super) fn held(&self) -> usize {
        self.held
    }

    pub(super) fn stop(&mut self) {
        if self.until == Until::End {
            self.until = Until::Stopped;
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.until == Until::Stopped
    }

    /// Moves what there is, until the source has ended or the flow is stopped, and the sink has got everything.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        source: &Duplex,
        sink: &Duplex,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_drain(cx, sink))?;
            if self.until != Until::End {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_fill(cx, source))?;
        }
    }

    /// Brings the next bytes of the source into the empty pipe.
    fn poll_fill(&mut self, cx: &mut Context<'_>, source: &Duplex) -> Poll<io::Result<()>> {
        let pipe = match &self.pipe {
            Some(pipe) => pipe,
            None => {
                ready!(source.poll_read_ready(cx))?;
                self.pipe.insert(Pipe::new()?)
            }
        };
        // The pipe is empty: if the call would block, it is the source that has nothing.
        let fill = |fd: &_| op::splice(fd, &pipe.writer, pipe.capacity);
        let count = ready!(source.poll_read_with(cx, fill))?;
        self.held = count;
        if count == 0 {
            self.until = Until::Ended;
        }
        Poll::Ready(Ok(()))
    }

    /// Brings what the pipe holds into the sink.
    fn poll_drain(&mut self, cx: &mut Context<'_>, sink: &Duplex) -> Poll<io::Result<()>> {
        while self.held > 0 {
            let pipe = self.pipe.as_ref().expect("what is held is in the pipe");
            let held = self.held;
            // The pipe has bytes: if the call would block, it is the sink that has no room.
            let drain = |fd: &_| op::splice(&pipe.reader, fd, held);
            let count = ready!(sink.poll_write(cx, 0, drain))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.held -= count;
            self.moved += count as u64;
        }
        Poll::Ready(Ok(()))
    }
}
