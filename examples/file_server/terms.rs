//! The terms of one exchange: what a request means for its response and for the connection.

use ringway::time::Instant;

use crate::reply::Persistence;
use crate::request::{Method, Request, Version};

/// What the request means for sending the response, and for what follows.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) with_body: bool,
    pub(crate) persistence: Persistence,
    /// Bytes of the request's body that have to be skipped.
    pub(crate) skip_bytes: u64,
    pub(crate) must_linger: bool,
    pub(crate) started: Instant,
}

impl Terms {
    pub(crate) fn of(request: &Request<'_>, stops: bool, started: Instant) -> Terms {
        // Who waits for a "100 Continue" has not sent the body and may or may not do so now.
        let goes_on = request.keep_alive && !request.expects_continue && !stops;
        Terms {
            with_body: request.method == Method::Get,
            persistence: match (goes_on, request.version) {
                (false, _) => Persistence::Close,
                (true, Version::Http10) => Persistence::KeepAlive,
                (true, Version::Http11) => Persistence::Implied,
            },
            skip_bytes: request.body_bytes,
            must_linger: request.body_bytes > 0 || request.expects_continue,
            started,
        }
    }

    /// For a head that was refused: nobody knows where the next would begin.
    pub(crate) fn refused(head: &[u8], started: Instant) -> Terms {
        Terms {
            with_body: !head.starts_with(b"HEAD "),
            persistence: Persistence::Close,
            skip_bytes: 0,
            must_linger: true,
            started,
        }
    }
}
