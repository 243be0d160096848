//! Things that the blocking pool finds one after the other, and hands over many at a time.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ringway_runtime::spawn_blocking;
use ringway_runtime::task::JoinHandle;

use crate::limits::READ_DIR_CHUNK;
use crate::pool::{has_ended, on_pool};

/// What the pool asks for one thing after the other.
pub(crate) trait Source: Send + 'static {
    type Item: Send + 'static;

    /// The next one, which may wait for a disk. `None`: there are no more.
    fn next(&mut self) -> Option<io::Result<Self::Item>>;
}

/// The things that a source has.
pub(crate) struct Chunks<S: Source> {
    state: State<S>,
}

enum State<S: Source> {
    Ready(Chunk<S>),
    Filling(JoinHandle<Chunk<S>>),
    /// The pool shut down while it had the chunk.
    Lost,
}

struct Chunk<S: Source> {
    found: VecDeque<io::Result<S::Item>>,
    source: S,
    ended: bool,
}

impl<S: Source> Chunk<S> {
    /// Finds the next things, up to the first error.
    fn fill(mut self) -> Self {
        while self.found.len() < READ_DIR_CHUNK {
            let Some(next) = self.source.next() else {
                self.ended = true;
                break;
            };
            let failed = next.is_err();
            self.found.push_back(next);
            if failed {
                break;
            }
        }
        self
    }
}

impl<S: Source> Chunks<S> {
    /// Opens a source on the pool, and finds its first things in the same trip.
    pub(crate) async fn open(
        open: impl FnOnce() -> io::Result<S> + Send + 'static,
    ) -> io::Result<Self> {
        let chunk = on_pool(move || {
            let chunk = Chunk {
                found: VecDeque::new(),
                source: open()?,
                ended: false,
            };
            Ok(chunk.fill())
        });
        Ok(Self {
            state: State::Ready(chunk.await?),
        })
    }

    /// The next thing; `None` at the end. After an error there may be more.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<S::Item>>> {
        loop {
            match &mut self.state {
                State::Ready(chunk) => {
                    if let Some(next) = chunk.found.pop_front() {
                        return Poll::Ready(next.map(Some));
                    }
                    if chunk.ended {
                        return Poll::Ready(Ok(None));
                    }
                    self.refill();
                }
                State::Filling(handle) => {
                    let chunk = ready!(Pin::new(handle).poll(cx));
                    self.state = chunk.map_or(State::Lost, State::Ready);
                }
                State::Lost => return Poll::Ready(Err(has_ended())),
            }
        }
    }

    fn refill(&mut self) {
        if let State::Ready(chunk) = std::mem::replace(&mut self.state, State::Lost) {
            self.state = State::Filling(spawn_blocking(move || chunk.fill()));
        }
    }
}

impl<S: Source> fmt::Debug for Chunks<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Ready(_) => "ready",
            State::Filling(_) => "filling",
            State::Lost => "lost",
        };
        f.debug_struct("Chunks").field("state", &state).finish()
    }
}
