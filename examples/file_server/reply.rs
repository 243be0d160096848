//! What is answered: statuses, bodies, and how the head of a response is written.

use std::io::Write;
use std::sync::Arc;

use crate::conditional::ETag;
use crate::content::Content;
use crate::entity::Entity;
use crate::listing::Listing;
use crate::multipart::Multipart;
use crate::range::Part;
use crate::{notice, page};

/// The statuses that this server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Ok,
    NoContent,
    PartialContent,
    MovedPermanently,
    NotModified,
    BadRequest,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    PreconditionFailed,
    ContentTooLarge,
    UriTooLong,
    RangeNotSatisfiable,
    ExpectationFailed,
    HeaderFieldsTooLarge,
    InternalServerError,
    NotImplemented,
    ServiceUnavailable,
    HttpVersionNotSupported,
}

impl Status {
    /// The number and the reason, as they stand in the status line and begin an error page.
    pub(crate) fn line(self) -> &'static str {
        match self {
            Status::Ok => "200 OK",
            Status::NoContent => "204 No Content",
            Status::PartialContent => "206 Partial Content",
            Status::MovedPermanently => "301 Moved Permanently",
            Status::NotModified => "304 Not Modified",
            Status::BadRequest => "400 Bad Request",
            Status::Forbidden => "403 Forbidden",
            Status::NotFound => "404 Not Found",
            Status::MethodNotAllowed => "405 Method Not Allowed",
            Status::RequestTimeout => "408 Request Timeout",
            Status::PreconditionFailed => "412 Precondition Failed",
            Status::ContentTooLarge => "413 Content Too Large",
            Status::UriTooLong => "414 URI Too Long",
            Status::RangeNotSatisfiable => "416 Range Not Satisfiable",
            Status::ExpectationFailed => "417 Expectation Failed",
            Status::HeaderFieldsTooLarge => "431 Request Header Fields Too Large",
            Status::InternalServerError => "500 Internal Server Error",
            Status::NotImplemented => "501 Not Implemented",
            Status::ServiceUnavailable => "503 Service Unavailable",
            Status::HttpVersionNotSupported => "505 HTTP Version Not Supported",
        }
    }

    /// The first digit of the number.
    pub(crate) fn class(self) -> usize {
        usize::from(self.line().as_bytes()[0] - b'0')
    }

    /// The number alone.
    pub(crate) fn code(self) -> &'static str {
        &self.line()[..3]
    }

    /// The text of a page that has nothing but this status to show. It reveals no path and no
    /// cause.
    pub(crate) fn notice(self) -> &'static str {
        match self {
            Status::MovedPermanently => "301 Moved Permanently: see the Location field.\n",
            Status::BadRequest => {
                "400 Bad Request: this is not a request that can be understood.\n"
            }
            Status::Forbidden => "403 Forbidden: this may not be read.\n",
            Status::NotFound => "404 Not Found: there is nothing here under this name.\n",
            Status::MethodNotAllowed => "405 Method Not Allowed: files can only be read here.\n",
            Status::RequestTimeout => "408 Request Timeout: the request took too long to arrive.\n",
            Status::PreconditionFailed => {
                "412 Precondition Failed: the file is not the one that was asked for.\n"
            }
            Status::ContentTooLarge => "413 Content Too Large: no request may have a body here.\n",
            Status::UriTooLong => "414 URI Too Long: the address is too long.\n",
            Status::RangeNotSatisfiable => {
                "416 Range Not Satisfiable: the range begins behind the end of the file.\n"
            }
            Status::ExpectationFailed => {
                "417 Expectation Failed: only 100-continue may be expected.\n"
            }
            Status::HeaderFieldsTooLarge => {
                "431 Request Header Fields Too Large: there are too many or too long fields.\n"
            }
            Status::InternalServerError => {
                "500 Internal Server Error: the file could not be read.\n"
            }
            Status::NotImplemented => "501 Not Implemented: this method is unknown here.\n",
            Status::ServiceUnavailable => "503 Service Unavailable: too busy, try again soon.\n",
            Status::HttpVersionNotSupported => {
                "505 HTTP Version Not Supported: HTTP/1.1 and HTTP/1.0 are spoken here.\n"
            }
            Status::Ok | Status::NoContent | Status::PartialContent | Status::NotModified => "",
        }
    }
}

/// An answer, complete but for what depends on the connection.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: Status,
    /// The file, if the answer is about one.
    pub(crate) entity: Option<Arc<Entity>>,
    pub(crate) content_range: Option<ContentRange>,
    /// Path and query to go to, safe to stand in a field.
    pub(crate) location: Option<String>,
    /// The tag of a page, if the answer is about one that has a tag.
    pub(crate) page_tag: Option<ETag>,
    pub(crate) body: Body,
}

#[derive(Debug)]
pub(crate) enum Body {
    /// The status forbids a body (204, 304).
    Nothing,
    /// Plain text that is always the same.
    Notice(&'static str),
    /// The same as HTML.
    NoticePage(String),
    /// The page of a directory.
    Page(String),
    /// The same in pieces: in chunks, or, for who does not know chunks, until the connection ends.
    Pieces {
        listing: Box<Listing>,
        chunked: bool,
    },
    /// Of the reply's entity.
    File(Part),
    /// Several parts of it, as multipart/byteranges.
    FileParts(Box<Multipart>),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum ContentRange {
    /// A part of `size` bytes.
    Part { part: Part, size: u64 },
    /// None of `size` bytes.
    Unsatisfied { size: u64 },
}

/// What the response says about the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Persistence {
    /// It goes on, which HTTP/1.1 takes for granted.
    Implied,
    /// It goes on, which HTTP/1.0 must be told.
    KeepAlive,
    /// It ends with this response.
    Close,
}

impl Reply {
    /// An answer that is its status and no more.
    pub(crate) fn notice(status: Status) -> Reply {
        let body = match status.notice() {
            "" => Body::Nothing,
            text => Body::Notice(text),
        };
        Reply {
            status,
            entity: None,
            content_range: None,
            location: None,
            page_tag: None,
            body,
        }
    }

    /// What becomes of the connection, if `wished` is what its two ends would have.
    pub(crate) fn persistence(&self, wished: Persistence) -> Persistence {
        match self.body {
            Body::Pieces { chunked: false, .. } => Persistence::Close,
            _ => wished,
        }
    }

    /// What a body that is of a file is taken from.
    pub(crate) fn content(&self) -> &Content {
        let entity = self.entity.as_ref();
        entity
            .expect("a body of a file comes with the file")
            .content()
    }

    /// Appends status line and fields to `output`. `date` is the present time as HTTP writes it.
    pub(crate) fn write_head(&self, output: &mut Vec<u8>, date: &str, persistence: Persistence) {
        match (self.status, &self.body, &self.entity, persistence) {
            (Status::Ok, Body::File(_), Some(entity), Persistence::Implied) => {
                write_head_of_whole(entity, output, date);
            }
            _ => self.write_any_head(output, date, persistence),
        }
    }

    fn write_any_head(&self, output: &mut Vec<u8>, date: &str, persistence: Persistence) {
        let mut line = |parts: &[&[u8]]| {
            parts.iter().for_each(|part| output.extend_from_slice(part));
            output.extend_from_slice(b"\r\n");
        };
        line(&[b"HTTP/1.1 ", self.status.line().as_bytes()]);
        line(&[b"Date: ", date.as_bytes()]);
        if let Some(location) = &self.location {
            line(&[b"Location: ", location.as_bytes()]);
        }
        match persistence {
            Persistence::Implied => {}
            Persistence::KeepAlive => line(&[b"Connection: keep-alive"]),
            Persistence::Close => line(&[b"Connection: close"]),
        }
        match self.status {
            Status::MethodNotAllowed | Status::NoContent => {
                line(&[b"Allow: GET, HEAD, OPTIONS"]);
            }
            Status::ServiceUnavailable => line(&[b"Retry-After: 1"]),
            _ => {}
        }
        line(&[b"X-Content-Type-Options: nosniff"]);
        if let Some(entity) = &self.entity {
            output.extend_from_slice(entity.about_fields());
        }
        if let Some(tag) = self.page_tag {
            output.extend_from_slice(b"ETag: ");
            output.extend_from_slice(&tag.to_bytes());
            output.extend_from_slice(b"\r\nCache-Control: no-cache\r\n");
        }
        self.write_content_fields(output);
        output.extend_from_slice(b"\r\n");
    }

    /// The fields about what is sent, and those that belong to one kind of body.
    fn write_content_fields(&self, output: &mut Vec<u8>) {
        match self.content_range {
            Some(ContentRange::Part { part, size }) => {
                let (first, last) = (part.offset, part.end() - 1);
                put(
                    output,
                    format_args!("Content-Range: bytes {first}-{last}/{size}\r\n"),
                );
            }
            Some(ContentRange::Unsatisfied { size }) => {
                put(output, format_args!("Content-Range: bytes */{size}\r\n"));
            }
            None => {}
        }
        match (&self.body, &self.entity) {
            (Body::Nothing, entity) => {
                // Of a page without a tag it is all that its 304 has to repeat (RFC 9110, 15.4.5).
                let is_page = self.status == Status::NotModified && entity.is_none();
                if is_page && self.page_tag.is_none() {
                    output.extend_from_slice(b"Cache-Control: no-cache\r\n");
                }
                return;
            }
            (Body::Notice(_), _) => {
                output.extend_from_slice(b"Content-Type: text/plain; charset=utf-8\r\n");
                output.extend_from_slice(notice::FIELDS.as_bytes());
            }
            (Body::NoticePage(_), _) => {
                output.extend_from_slice(page::FIELDS.as_bytes());
                output.extend_from_slice(notice::FIELDS.as_bytes());
            }
            (Body::Page(_), _) => output.extend_from_slice(page::FIELDS.as_bytes()),
            (Body::Pieces { chunked, .. }, _) => {
                output.extend_from_slice(page::FIELDS.as_bytes());
                output.extend_from_slice(b"Cache-Control: no-cache\r\n");
                if *chunked {
                    output.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
                }
                return;
            }
            (Body::FileParts(multipart), _) => {
                multipart.write_content_type(output);
                output.extend_from_slice(b"Accept-Ranges: bytes\r\n");
            }
            (Body::File(_), Some(entity)) => output.extend_from_slice(entity.content_fields()),
            (Body::File(_), None) => unreachable!("a part of a file comes with the file"),
        }
        output.extend_from_slice(b"Content-Length: ");
        put_number(output, self.body.length());
        output.extend_from_slice(b"\r\n");
    }
}

impl Body {
    /// Bytes that a GET sends after the head.
    pub(crate) fn length(&self) -> u64 {
        match self {
            Body::Nothing => 0,
            Body::Notice(text) => text.len() as u64,
            Body::NoticePage(page) | Body::Page(page) => page.len() as u64,
            Body::Pieces { .. } => unreachable!("nobody knows how much is to come"),
            Body::File(part) => part.length,
            Body::FileParts(multipart) => multipart.length(),
        }
    }
}

/// As [`Reply::write_any_head`], for what is asked for most: the whole of a file, on a connection that goes on. All but
/// the date was written when the file was opened.
fn write_head_of_whole(entity: &Entity, output: &mut Vec<u8>, date: &str) {
    let pieces: [&[u8]; 4] = [
        b"HTTP/1.1 200 OK\r\nDate: ",
        date.as_bytes(),
        b"\r\nX-Content-Type-Options: nosniff\r\n",
        entity.fields_of_whole(),
    ];
    output.reserve(pieces.iter().map(|piece| piece.len()).sum());
    pieces
        .iter()
        .for_each(|piece| output.extend_from_slice(piece));
}

/// Writing to a vector cannot fail.
fn put(output: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let written = output.write_fmt(text);
    debug_assert!(written.is_ok());
}

/// Appends a number in decimal: every answer has one, and the formatting of the standard library
/// takes longer.
fn put_number(output: &mut Vec<u8>, mut number: u64) {
    // The greatest has 20 digits.
    let mut digits = [b'0'; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    output.extend_from_slice(&digits[first..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Sun, 09 Sep 2001 01:46:40 GMT";

    fn head(reply: &Reply, persistence: Persistence) -> String {
        let mut output = b"before".to_vec();
        reply.write_head(&mut output, DATE, persistence);
        let text = String::from_utf8(output).expect("ASCII");
        text.strip_prefix("before").expect("appended").to_owned()
    }

    #[test]
    fn a_notice_has_its_length_and_says_what_becomes_of_the_connection() {
        let reply = Reply::notice(Status::NotFound);
        let expected = |connection: &str| {
            format!(
                "HTTP/1.1 404 Not Found\r\nDate: {DATE}\r\n{connection}\
                 X-Content-Type-Options: nosniff\r\nContent-Type: text/plain; charset=utf-8\r\n\
                 Vary: Accept\r\nCache-Control: no-cache\r\nContent-Length: {}\r\n\r\n",
                Status::NotFound.notice().len()
            )
        };
        assert_eq!(head(&reply, Persistence::Implied), expected(""));
        assert_eq!(
            head(&reply, Persistence::Close),
            expected("Connection: close\r\n")
        );
        assert_eq!(
            head(&reply, Persistence::KeepAlive),
            expected("Connection: keep-alive\r\n")
        );
    }

    #[test]
    fn every_error_has_a_page_that_begins_with_its_status() {
        for status in [
            Status::MovedPermanently,
            Status::BadRequest,
            Status::Forbidden,
            Status::NotFound,
            Status::MethodNotAllowed,
            Status::RequestTimeout,
            Status::PreconditionFailed,
            Status::ContentTooLarge,
            Status::UriTooLong,
            Status::RangeNotSatisfiable,
            Status::ExpectationFailed,
            Status::HeaderFieldsTooLarge,
            Status::InternalServerError,
            Status::NotImplemented,
            Status::ServiceUnavailable,
            Status::HttpVersionNotSupported,
        ] {
            assert!(status.notice().starts_with(status.line()), "{status:?}");
            assert!(
                status
                    .code()
                    .parse::<u16>()
                    .is_ok_and(|code| (300..600).contains(&code))
            );
        }
    }

    #[test]
    fn a_304_has_validators_and_neither_body_nor_length() {
        let entity = Arc::new(crate::entity::tests::entity(1_000_000_000));
        let fields = String::from_utf8(entity.about_fields().to_vec()).expect("ASCII");
        let reply = Reply {
            entity: Some(entity),
            ..Reply::notice(Status::NotModified)
        };
        let head = head(&reply, Persistence::Implied);
        assert!(head.contains(&format!("\r\n{fields}\r\n")), "{head}");
        assert!(!head.contains("\r\nContent-"), "{head}");
    }

    /// Mutant: leave a line out of what is written when a file is opened.
    #[test]
    fn the_head_of_a_whole_file_is_the_same_whoever_writes_it() {
        let part = Part {
            offset: 0,
            length: 0,
        };
        let reply = Reply {
            entity: Some(Arc::new(crate::entity::tests::entity(1_000_000_000))),
            body: Body::File(part),
            ..Reply::notice(Status::Ok)
        };
        let mut written = b"before".to_vec();
        reply.write_any_head(&mut written, DATE, Persistence::Implied);
        assert_eq!(
            written,
            format!("before{}", head(&reply, Persistence::Implied)).as_bytes()
        );
        assert!(head(&reply, Persistence::Close).contains("\r\nConnection: close\r\n"));
    }

    #[test]
    fn numbers_are_written_as_the_standard_library_writes_them() {
        for number in [0, 1, 9, 10, 4_096, 99_999, u64::MAX] {
            let mut output = Vec::new();
            put_number(&mut output, number);
            assert_eq!(output, number.to_string().into_bytes());
        }
    }

    #[test]
    fn statuses_bring_the_fields_that_they_need() {
        let allow = head(&Reply::notice(Status::MethodNotAllowed), Persistence::Close);
        assert!(
            allow.contains("\r\nAllow: GET, HEAD, OPTIONS\r\n"),
            "{allow}"
        );
        let busy = head(
            &Reply::notice(Status::ServiceUnavailable),
            Persistence::Close,
        );
        assert!(busy.contains("\r\nRetry-After: 1\r\n"), "{busy}");
        let content_range = Some(ContentRange::Unsatisfied { size: 7 });
        let range = Reply {
            content_range,
            ..Reply::notice(Status::RangeNotSatisfiable)
        };
        assert!(head(&range, Persistence::Implied).contains("\r\nContent-Range: bytes */7\r\n"));
        let location = Some("/a/?b".to_owned());
        let moved = Reply {
            location,
            ..Reply::notice(Status::MovedPermanently)
        };
        assert!(head(&moved, Persistence::Implied).contains("\r\nLocation: /a/?b\r\n"));
        let body = Body::Page("<p>".to_owned());
        let page = head(
            &Reply {
                body,
                ..Reply::notice(Status::Ok)
            },
            Persistence::Implied,
        );
        assert!(
            page.contains("\r\nContent-Security-Policy: default-src 'none';"),
            "{page}"
        );
        assert!(page.contains("\r\nContent-Length: 3\r\n"), "{page}");
    }
}
