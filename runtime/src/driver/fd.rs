//! A file descriptor that operations and their owner share, closed when the last of them is gone.

use std::num::NonZeroU32;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

use super::current::{Here, with_here};
use super::tally::Counted;
use crate::registry;

/// A shared file descriptor: every operation in flight holds one, so its number cannot be recycled under it.
///
/// The descriptor is closed, by close(2) and on whichever thread it happens, when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct SharedFd(Arc<Place>);

#[derive(Debug)]
struct Place {
    fd: OwnedFd,
    home: Option<Home>,
    /// For the metrics, if it was made in its runtime.
    counted: Option<Counted>,
}

/// The runtime in which something was made. When it has ended, so has what belongs to it, wherever it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Home(NonZeroU32);

impl Home {
    /// The runtime that this thread is in; none outside of runtimes.
    pub fn here() -> Option<Self> {
        let runtime = with_here(|here| match here {
            Here::Owner(shard) | Here::Guest(shard) => shard.runtime(),
            Here::Nowhere => 0,
        });
        NonZeroU32::new(runtime).map(Self)
    }

    /// Whether it is a runtime of the process from which this one was forked.
    pub(super) fn is_of_parent(self) -> bool {
        registry::is_of_parent(self.number())
    }

    pub(crate) fn number(self) -> u32 {
        self.0.get()
    }
}

impl SharedFd {
    /// Shares a descriptor of the runtime `home`, whichever this thread is in.
    pub fn at_home(fd: OwnedFd, home: Option<Home>) -> Self {
        let counted = with_here(|here| match here {
            Here::Owner(shard) | Here::Guest(shard) => {
                let at_home = home.is_some_and(|home| home.number() == shard.runtime());
                at_home.then(|| shard.count_descriptor())
            }
            Here::Nowhere => None,
        });
        Self(Arc::new(Place { fd, home, counted }))
    }

    /// Gives the descriptor back if nobody else holds it, in particular no operation in flight.
    ///
    /// # Errors
    ///
    /// The shared descriptor itself, if it is still shared.
    pub fn try_into_owned(self) -> Result<OwnedFd, Self> {
        let place = Arc::try_unwrap(self.0).map_err(Self)?;
        drop(place.counted);
        Ok(place.fd)
    }

    /// The runtime in which the descriptor was shared first; none outside of runtimes.
    pub fn home(&self) -> Option<Home> {
        self.0.home
    }
}

impl From<OwnedFd> for SharedFd {
    fn from(fd: OwnedFd) -> Self {
        Self::at_home(fd, Home::here())
    }
}

impl AsRawFd for SharedFd {
    #[inline]
    fn as_raw_fd(&self) -> RawFd {
        self.0.fd.as_raw_fd()
    }
}

impl AsFd for SharedFd {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.fd.as_fd()
    }
}

/// What has a [`SharedFd`]: sockets and files, for operations that join one to the other.
pub trait AsSharedFd {
    /// The shared descriptor.
    fn shared_fd(&self) -> &SharedFd;
}

impl AsSharedFd for SharedFd {
    fn shared_fd(&self) -> &SharedFd {
        self
    }
}
