//! The terms of one exchange: what a request means for its response and for the connection.

use ringway::time::Instant;

use crate::reply::Persistence;
use crate::request::{Method, Request, Version};

/// What the request means for sending the response, and for what follows.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) with_body: bool,
    pub(crate) persistence: Persistence,
    /// The peer may still be sending what will never be read.
    pub(crate) must_linger: bool,
    pub(crate) started: Instant,
    /// The same in seconds since 1970.
    pub(crate) second: u64,
}

impl Terms {
    pub(crate) fn of(request: &Request<'_>, stops: bool, started: Instant, second: u64) -> Terms {
        let goes_on = request.keep_alive && !stops;
        Terms {
            with_body: request.method == Method::Get,
            persistence: match (goes_on, request.version) {
                (false, _) => Persistence::Close,
                (true, Version::Http10) => Persistence::KeepAlive,
                (true, Version::Http11) => Persistence::Implied,
            },
            must_linger: false,
            started,
            second,
        }
    }

    /// For a head that was refused: nobody knows where the next would begin.
    pub(crate) fn refused(head: &[u8], started: Instant, second: u64) -> Terms {
        Terms {
            with_body: !head.starts_with(b"HEAD "),
            persistence: Persistence::Close,
            must_linger: true,
            started,
            second,
        }
    }
}
