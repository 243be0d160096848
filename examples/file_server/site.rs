//! The served directory: from a request to an answer, with the file open.
//!
//! Every open goes through [`Site::open`], which resolves beneath the root in the kernel (`openat2`
//! with RESOLVE_BENEATH): neither a path nor a symlink, nor somebody who renames directories at
//! that moment, leads out. What is opened is looked at through its descriptor, never again through
//! its name.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ringway::fs::{Dir, File, OpenOptions, PathRefused};
use ringway::task::spawn_blocking;
use rustix::fs::OFlags;

use crate::clock::HTTP_SECONDS_MAX;
use crate::conditional::{ETag, Validators, Verdict};
use crate::journal::Journal;
use crate::listing;
use crate::path::SitePath;
use crate::range::{Selection, select};
use crate::reply::{Body, ContentRange, FilePart, Reply, Status};
use crate::request::{Method, Request};

/// A directory whose files are served.
#[derive(Debug)]
pub(crate) struct Site {
    root: Dir,
    journal: Arc<Journal>,
}

/// Something that was opened, and what it is.
#[derive(Debug)]
struct Opened {
    file: File,
    status: ringway::fs::Status,
}

/// The name that stands for its directory.
const INDEX_NAME: &[u8] = b"index.html";

/// The type of bytes of which nothing is known.
const MEDIA_TYPE_UNKNOWN: &str = "application/octet-stream";

impl Site {
    /// Opens the directory to be served. Errors are those of opening it, or `NotADirectory`.
    pub(crate) async fn open_root(path: &Path, journal: Arc<Journal>) -> io::Result<Site> {
        let root = Dir::open(path).await?;
        Ok(Site { root, journal })
    }

    /// Answers a request. `now` is in seconds since 1970.
    pub(crate) async fn answer(&self, request: &Request<'_>, now: u64) -> Reply {
        if request.method == Method::Options {
            return Reply::notice(Status::NoContent);
        }
        let Ok(path) = SitePath::parse(request.path) else {
            return Reply::notice(Status::BadRequest);
        };
        let found = if path.names_directory {
            self.answer_directory(&path, request, now).await
        } else {
            self.answer_name(&path, request, now).await
        };
        found.unwrap_or_else(|error| self.failure(&path, &error))
    }

    /// A path without a slash at its end: a file, or a directory that is somewhere else.
    async fn answer_name(
        &self,
        path: &SitePath,
        request: &Request<'_>,
        now: u64,
    ) -> io::Result<Reply> {
        let opened = self.open(path).await?;
        if opened.status.is_dir() {
            return Ok(redirect_to_directory(path, request.query));
        }
        if !opened.status.is_file() {
            return Ok(Reply::notice(Status::Forbidden));
        }
        let media_type = mime_guess::from_path(path.as_path())
            .first_raw()
            .unwrap_or(MEDIA_TYPE_UNKNOWN);
        Ok(file_reply(opened, media_type, request, now))
    }

    /// A path with a slash at its end: the index if there is one, or else the listing.
    async fn answer_directory(
        &self,
        path: &SitePath,
        request: &Request<'_>,
        now: u64,
    ) -> io::Result<Reply> {
        match self.open(&path.join(INDEX_NAME)).await {
            Ok(index) if index.status.is_file() => {
                return Ok(file_reply(index, "text/html", request, now));
            }
            Err(error) if status_of(&error) != Status::NotFound => return Err(error),
            Ok(_) | Err(_) => {}
        }
        let directory = self.open(path).await?;
        if !directory.status.is_dir() {
            return Ok(Reply::notice(Status::NotFound));
        }
        let page = self.list(path, directory.file).await?;
        Ok(Reply {
            body: Body::Page(page),
            ..Reply::notice(Status::Ok)
        })
    }

    /// Opens beneath the root. `O_NONBLOCK` keeps a FIFO from waiting for its writer; a terminal
    /// does not become ours.
    async fn open(&self, path: &SitePath) -> io::Result<Opened> {
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(flags.bits().cast_signed());
        let file = options.open_beneath(&self.root, path.as_path()).await?;
        let status = file.status().await?;
        Ok(Opened { file, status })
    }

    async fn list(&self, path: &SitePath, directory: File) -> io::Result<String> {
        let (root, path) = (self.root.clone(), path.clone());
        let list = move || {
            let gathered = listing::gather(&root, &path, &directory)?;
            Ok(listing::render(&path, gathered))
        };
        spawn_blocking(list).await.map_err(io::Error::other)?
    }

    /// The answer to an error. Troubles of ours are told on standard error, never to the client.
    fn failure(&self, path: &SitePath, error: &io::Error) -> Reply {
        let status = status_of(error);
        if matches!(
            status,
            Status::InternalServerError | Status::ServiceUnavailable
        ) {
            self.journal
                .warn(format_args!("cannot read {:?}: {error}", path.as_path()));
        }
        Reply::notice(status)
    }
}

/// The status that an error of opening or reading becomes.
fn status_of(error: &io::Error) -> Status {
    use rustix::io::Errno;
    // The path or a symlink leads out of the root, or in a circle. Nobody is told that it exists.
    if error
        .get_ref()
        .is_some_and(|inner| inner.is::<PathRefused>())
    {
        return Status::NotFound;
    }
    let Some(errno) = Errno::from_io_error(error) else {
        return Status::InternalServerError;
    };
    match errno {
        Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG => Status::NotFound,
        // NXIO, NODEV: a socket, or a device without a driver.
        Errno::ACCESS | Errno::PERM | Errno::NXIO | Errno::NODEV => Status::Forbidden,
        // AGAIN: directories are being renamed faster than the path can be proven to stay inside.
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS | Errno::AGAIN => {
            Status::ServiceUnavailable
        }
        _ => Status::InternalServerError,
    }
}

/// Keeps the query, and turns what has no place in a header field into escapes.
fn redirect_to_directory(path: &SitePath, query: Option<&[u8]>) -> Reply {
    let mut location = path.to_directory_url();
    if let Some(query) = query {
        location.push('?');
        location.extend(percent_encoding::percent_encode(
            query,
            percent_encoding::CONTROLS,
        ));
    }
    Reply {
        location: Some(location),
        ..Reply::notice(Status::MovedPermanently)
    }
}

/// The answer with an open regular file, as its conditions and its range will have it.
fn file_reply(opened: Opened, media_type: &'static str, request: &Request<'_>, now: u64) -> Reply {
    let Opened { file, status } = opened;
    let size = status.len();
    let validators = Validators {
        etag: ETag::new(status.dev(), status.ino(), size, status.modified()),
        modified: last_modified(status.modified(), now),
    };
    let selection = match request.conditions.evaluate(&validators, now) {
        Verdict::NotModified => {
            return Reply {
                validators: Some(validators),
                ..Reply::notice(Status::NotModified)
            };
        }
        Verdict::PreconditionFailed => return Reply::notice(Status::PreconditionFailed),
        // Ranges are defined for GET alone.
        Verdict::Proceed if request.method == Method::Get => request
            .range
            .map_or(Selection::Whole, |range| select(range, size)),
        Verdict::Proceed | Verdict::ProceedWhole => Selection::Whole,
    };
    let part = |offset, length| {
        Body::File(FilePart {
            file,
            media_type,
            offset,
            length,
        })
    };
    let whole = Reply {
        validators: Some(validators),
        ..Reply::notice(Status::Ok)
    };
    match selection {
        Selection::Whole => Reply {
            body: part(0, size),
            ..whole
        },
        Selection::Part { offset, length } => Reply {
            status: Status::PartialContent,
            content_range: Some(ContentRange::Part {
                offset,
                length,
                size,
            }),
            body: part(offset, length),
            ..whole
        },
        Selection::Unsatisfiable => Reply {
            content_range: Some(ContentRange::Unsatisfied { size }),
            ..Reply::notice(Status::RangeNotSatisfiable)
        },
    }
}

/// `Last-Modified` of a file, in seconds since 1970: never in the future, and none for a year that
/// the field cannot say.
fn last_modified(modified: SystemTime, now: u64) -> Option<u64> {
    let seconds = modified.duration_since(UNIX_EPOCH).ok()?.as_secs().min(now);
    (seconds <= HTTP_SECONDS_MAX).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_redirect_keeps_the_query_and_names_this_host() {
        let table: [(&str, Option<&str>, &str); 5] = [
            ("/a", None, "/a/"),
            ("/a", Some(""), "/a/?"),
            ("/a", Some("b=c&d"), "/a/?b=c&d"),
            ("//evil.example", Some("x"), "/evil.example/?x"),
            ("/ä", Some("ä\r\n"), "/%C3%A4/?%C3%A4%0D%0A"),
        ];
        for (path, query, expected) in table {
            let path = SitePath::parse(path.as_bytes()).expect("valid");
            let reply = redirect_to_directory(&path, query.map(str::as_bytes));
            assert_eq!(reply.location.as_deref(), Some(expected));
            assert_eq!(reply.status, Status::MovedPermanently);
        }
    }

    #[test]
    fn last_modified_is_never_in_the_future_nor_beyond_what_a_date_can_say() {
        let at = |second| UNIX_EPOCH + Duration::from_secs(second);
        assert_eq!(last_modified(at(5), 10), Some(5));
        assert_eq!(last_modified(at(15), 10), Some(10));
        assert_eq!(
            last_modified(UNIX_EPOCH - Duration::from_nanos(1), 10),
            None
        );
        assert_eq!(
            last_modified(at(HTTP_SECONDS_MAX), u64::MAX),
            Some(HTTP_SECONDS_MAX)
        );
        assert_eq!(last_modified(at(HTTP_SECONDS_MAX + 1), u64::MAX), None);
    }

    #[test]
    fn errors_become_statuses_that_tell_nothing_about_the_outside() {
        let table = [
            (2, Status::NotFound),
            (20, Status::NotFound),
            (36, Status::NotFound),
            (13, Status::Forbidden),
            (6, Status::Forbidden),
            (24, Status::ServiceUnavailable),
            (11, Status::ServiceUnavailable),
            (5, Status::InternalServerError),
        ];
        for (errno, expected) in table {
            assert_eq!(
                status_of(&io::Error::from_raw_os_error(errno)),
                expected,
                "{errno}"
            );
        }
    }
}
