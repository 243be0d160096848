//! What can be spliced.

use crate::tcp::{self, TcpStream};
use crate::unix::{self, UnixStream, pipe};

/// What [`splice`](crate::splice) can take bytes from: a stream of this crate, its reading half, or a pipe.
///
/// Only this crate implements it.
pub trait SpliceSource: sealed::End {}

/// What [`splice`](crate::splice) can give bytes to: a stream of this crate, its writing half, or a pipe.
///
/// Only this crate implements it.
pub trait SpliceSink: sealed::End {}

pub(crate) mod sealed {
    use crate::socket::Duplex;

    /// What is read or written.
    #[derive(Debug)]
    pub struct Channel<'a>(pub(crate) &'a Duplex);

    /// The hidden part of [`SpliceSource`](super::SpliceSource) and [`SpliceSink`](super::SpliceSink).
    #[doc(hidden)]
    pub trait End {
        fn end(&self) -> Channel<'_>;
    }
}

macro_rules! ends {
    ($($End:ty: $($Role:ident),*;)*) => {$(
        impl sealed::End for $End {
            fn end(&self) -> sealed::Channel<'_> {
                sealed::Channel(self.socket())
            }
        }

        $(impl $Role for $End {})*
    )*};
}

ends! {
    TcpStream: SpliceSource, SpliceSink;
    tcp::ReadHalf<'_>: SpliceSource;
    tcp::OwnedReadHalf: SpliceSource;
    tcp::WriteHalf<'_>: SpliceSink;
    tcp::OwnedWriteHalf: SpliceSink;
    UnixStream: SpliceSource, SpliceSink;
    unix::ReadHalf<'_>: SpliceSource;
    unix::OwnedReadHalf: SpliceSource;
    unix::WriteHalf<'_>: SpliceSink;
    unix::OwnedWriteHalf: SpliceSink;
    pipe::Receiver: SpliceSource;
    pipe::Sender: SpliceSink;
}
