//! The served directory: from a request to an answer, with the file open.
//!
//! Every open goes through [`Tree::open`], which resolves beneath the root in the kernel (`openat2`
//! with RESOLVE_BENEATH): neither a path nor a symlink, nor somebody who renames directories at
//! that moment, leads out, unless all symlinks are to be followed. What is opened is looked at
//! through its descriptor, never again through its name.

use std::fs::Metadata;
use std::future::pending;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ringway::fs::{Dir, File, OpenOptions, PathRefused};
use ringway::task::yield_now;
use ringway::time::{Instant, sleep};
use rustix::fs::OFlags;

use crate::cache::{Cache, Look, Wanted};
use crate::coding::{Coding, Codings};
use crate::conditional::{Conditions, ETag, Validators, Verdict};
use crate::content::{Bytes, Content, State};
use crate::entity::Entity;
use crate::journal::Journal;
use crate::limits::{CLOSED_FILES_PER_TURN, CacheLimits, UNUSED_FILE_TIME};
use crate::listing::{Listed, Lister, Order, View};
use crate::media::MediaType;
use crate::multipart::Multipart;
use crate::path::SitePath;
use crate::policy::{Policy, Symlinks};
use crate::range::{Part, Selection, select};
use crate::reply::{Body, ContentRange, Reply, Status};
use crate::request::{Method, Request, Version};
use crate::status::Gauges;

/// A directory whose files are served.
#[derive(Debug)]
pub(crate) struct Site {
    tree: Tree,
    cache: Option<Cache>,
    lister: Lister,
    policy: Policy,
    /// See [`Policy::field_lines`].
    file_fields: Vec<u8>,
    journal: Arc<Journal>,
    gauges: Option<Arc<Gauges>>,
}

/// The directory, and how paths in it are resolved.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    root: Dir,
    /// The directory's own path, if all symlinks are followed: then paths begin here, and the kernel
    /// does not watch over them.
    unwatched: Option<PathBuf>,
}

/// Something that was opened, and what it is.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) file: File,
    pub(crate) status: Metadata,
}

/// A regular file that is to be sent.
struct Found {
    opened: Opened,
    media_type: MediaType,
    coding: Option<Coding>,
}

/// What is needed to answer one request.
#[derive(Clone, Copy, Debug)]
struct Visit<'r> {
    request: &'r Request<'r>,
    wanted: Wanted<'r>,
    /// A moment at which nothing had been looked for yet.
    begin: Instant,
    /// Seconds since 1970.
    now: u64,
    /// What the path led to when it was last looked for.
    known: Option<&'r Arc<Entity>>,
}

/// The name that stands for its directory.
const INDEX_NAME: &[u8] = b"index.html";

impl Site {
    /// Opens the directory to be served. Errors are those of opening it, or `NotADirectory`.
    pub(crate) async fn open_root(
        path: &Path,
        policy: Policy,
        cache: &CacheLimits,
        journal: Arc<Journal>,
    ) -> io::Result<Site> {
        Ok(Site {
            tree: Tree::open_root(path, policy.symlinks).await?,
            cache: Cache::new(cache),
            lister: Lister::new(),
            file_fields: policy.field_lines(),
            policy,
            journal,
            gauges: None,
        })
    }

    /// Lists directories by another lister.
    #[cfg(test)]
    pub(crate) fn with_lister(self, lister: Lister) -> Site {
        Site { lister, ..self }
    }

    /// Counts what is answered from the cache.
    pub(crate) fn with_gauges(self, gauges: Option<Arc<Gauges>>) -> Site {
        Site { gauges, ..self }
    }

    /// Answers a request that began at `begin`. `now` is in seconds since 1970.
    pub(crate) async fn answer(&self, request: &Request<'_>, begin: Instant, now: u64) -> Reply {
        if request.method == Method::Options {
            return Reply::notice(Status::NoContent);
        }
        let codings = self.codings(request);
        let wanted = Wanted {
            path: request.path,
            codings,
        };
        let mut known = None;
        // A path without escapes under which something is kept is in its plain form.
        if !request.path.contains(&b'%') {
            match self.recall(&wanted, begin).await {
                Ok(entity) => {
                    self.consider_memory(&wanted, &entity).await;
                    return self.entity_reply(entity, request, now);
                }
                Err(unsure) => known = unsure,
            }
        }
        let Ok(path) = SitePath::parse(request.path) else {
            return Reply::notice(Status::BadRequest);
        };
        let plain = path.plain();
        let wanted = Wanted {
            path: &plain,
            codings,
        };
        if *plain != *request.path {
            match self.recall(&wanted, begin).await {
                Ok(entity) => return self.entity_reply(entity, request, now),
                Err(unsure) => known = unsure,
            }
        }
        let visit = Visit {
            request,
            wanted,
            begin,
            now,
            known: known.as_ref(),
        };
        // In a place of its own: see `connection`.
        let reply = Box::pin(self.answer_path(&path, &visit)).await;
        if let (Some(cache), Some(_), None) = (&self.cache, &known, &reply.entity) {
            // Whatever is there now, it is no file that was answered with.
            cache.forget(&wanted);
        }
        reply
    }

    /// Closes the files that nobody asks for any more. Never ends.
    pub(crate) async fn close_unused(&self) {
        let Some(cache) = &self.cache else {
            return pending().await;
        };
        loop {
            sleep(UNUSED_FILE_TIME).await;
            let mut unused = cache.take_unused(Instant::now());
            while !unused.is_empty() {
                unused.truncate(unused.len().saturating_sub(CLOSED_FILES_PER_TURN));
                yield_now().await;
            }
        }
    }

    async fn answer_path(&self, path: &SitePath, visit: &Visit<'_>) -> Reply {
        let found = if path.names_directory {
            self.answer_directory(path, visit).await
        } else {
            self.answer_name(path, visit).await
        };
        found.unwrap_or_else(|error| self.failure(path, &error))
    }

    /// The compressed forms that this request may be answered with.
    fn codings(&self, request: &Request<'_>) -> Codings {
        match self.policy.precompressed {
            true => Codings::of(&request.accept_encoding),
            false => Codings::default(),
        }
    }

    /// Moves a small file that is kept open into memory if it is used much.
    async fn consider_memory(&self, wanted: &Wanted<'_>, entity: &Entity) {
        let content = entity.content();
        if let (Some(cache), Bytes::File(_)) = (&self.cache, content.bytes())
            && content.is_small()
            && entity.is_used_much()
            // Who cannot read it now will say so when it is sent.
            && let Ok(Some(entity)) = Box::pin(entity.in_memory()).await
        {
            cache.move_into_memory(wanted, entity);
        }
    }

    /// What is kept, if it is believed and still as it was; otherwise what is kept and has to be looked for anew, if anything.
    async fn recall(
        &self,
        wanted: &Wanted<'_>,
        begin: Instant,
    ) -> Result<Arc<Entity>, Option<Arc<Entity>>> {
        let Some(cache) = &self.cache else {
            return Err(None);
        };
        match cache.look(wanted, begin) {
            Look::Fresh(entity) if entity.content().is_as_promised().await => {
                if let Some(gauges) = &self.gauges {
                    gauges.note_from_cache();
                }
                Ok(entity)
            }
            Look::Fresh(entity) | Look::Stale(entity) => Err(Some(entity)),
            Look::Nothing => Err(None),
        }
    }

    /// A path without a slash at its end: a file, or a directory that is somewhere else.
    async fn answer_name(&self, path: &SitePath, visit: &Visit<'_>) -> io::Result<Reply> {
        if let Some(reply) = self.confirmed_reply(path, visit).await {
            return Ok(reply);
        }
        let opened = match self.tree.open(path).await {
            Err(error) if self.is_closed_directory(path, &error).await => {
                return Ok(redirect_to_directory(path, visit.request.query));
            }
            opened => opened?,
        };
        if opened.status.is_dir() {
            return Ok(redirect_to_directory(path, visit.request.query));
        }
        if !opened.status.is_file() {
            return Ok(Reply::notice(Status::Forbidden));
        }
        let media_type = MediaType::of(path.as_path());
        let choice = self.choose_coding(path, opened, media_type, visit.wanted.codings);
        self.file_reply(choice.await, visit).await
    }

    /// Whether an error of opening is that there is a directory that may not be read: it may have an index all the same.
    async fn is_closed_directory(&self, path: &SitePath, error: &io::Error) -> bool {
        status_of(error) == Status::Forbidden
            && self
                .tree
                .look_at(path)
                .await
                .is_ok_and(|status| status.is_dir())
    }

    /// A path with a slash at its end: the index if there is one, or else the listing.
    async fn answer_directory(&self, path: &SitePath, visit: &Visit<'_>) -> io::Result<Reply> {
        let index_path = path.join(INDEX_NAME);
        if let Some(reply) = self.confirmed_reply(&index_path, visit).await {
            return Ok(reply);
        }
        match self.tree.open(&index_path).await {
            Ok(index) if index.status.is_file() => {
                let html = MediaType::HTML;
                let choice = self.choose_coding(&index_path, index, html, visit.wanted.codings);
                return self.file_reply(choice.await, visit).await;
            }
            Err(error) if status_of(&error) != Status::NotFound => return Err(error),
            Ok(_) | Err(_) => {}
        }
        let directory = self.tree.open(path).await?;
        if !directory.status.is_dir() {
            return Ok(Reply::notice(Status::NotFound));
        }
        if !path.is_level_with(visit.request.path) {
            return Ok(redirect_to_directory(path, visit.request.query));
        }
        self.list(path, directory.file, visit).await
    }

    /// Takes a compressed sibling in place of the file at `path`, if the client takes one. A sibling
    /// that is older than its file was made of another state of it, and does not count; nor does
    /// one that cannot be opened.
    async fn choose_coding(
        &self,
        path: &SitePath,
        opened: Opened,
        media_type: MediaType,
        codings: Codings,
    ) -> Found {
        let plain = |opened| Found {
            opened,
            media_type,
            coding: None,
        };
        for coding in codings.iter() {
            match self.tree.open(&path.with_suffix(coding.suffix())).await {
                Ok(sibling)
                    if sibling.status.is_file()
                        && State::of(&sibling.status).modified
                            >= State::of(&opened.status).modified =>
                {
                    return Found {
                        coding: Some(coding),
                        ..plain(sibling)
                    };
                }
                Ok(_) | Err(_) => {}
            }
        }
        plain(opened)
    }

    /// The page of a directory.
    async fn list(&self, path: &SitePath, directory: File, visit: &Visit<'_>) -> io::Result<Reply> {
        let (root, resolve) = (self.tree.root.clone(), self.policy.symlinks.resolve_flags());
        let view = View {
            directory: path.clone(),
            order: Order::of(visit.request.query),
        };
        let request = visit.request;
        let (page_tag, body) = match self.lister.list(root, resolve, view, directory).await? {
            Listed::Whole(page) => (Some(ETag::of_page(page.as_bytes())), Body::Page(page)),
            Listed::Pieces(listing) => {
                let chunked = request.version == Version::Http11;
                (None, Body::Pieces { listing, chunked })
            }
        };
        let (status, body) = match page_verdict(&request.conditions, page_tag, visit.now) {
            Verdict::NotModified => (Status::NotModified, Body::Nothing),
            Verdict::PreconditionFailed => return Ok(Reply::notice(Status::PreconditionFailed)),
            Verdict::Proceed | Verdict::ProceedWhole => (Status::Ok, body),
        };
        Ok(Reply {
            page_tag,
            body,
            ..Reply::notice(status)
        })
    }

    /// The answer with what is known, if its path, resolved anew, leads to it and it is as it was.
    async fn confirmed_reply(&self, path: &SitePath, visit: &Visit<'_>) -> Option<Reply> {
        let (Some(known), Some(cache)) = (visit.known, &self.cache) else {
            return None;
        };
        if !visit.wanted.codings.is_empty() {
            // Which form is sent depends on several files.
            return None;
        }
        let status = self.tree.look_at(path).await.ok()?;
        if State::of(&status) != *known.content().state() {
            return None;
        }
        cache.confirm(known, visit.begin);
        Some(self.entity_reply(Arc::clone(known), visit.request, visit.now))
    }

    /// The answer with an open regular file, which is kept for those who ask after this one.
    async fn file_reply(&self, found: Found, visit: &Visit<'_>) -> io::Result<Reply> {
        let Visit { begin, now, .. } = *visit;
        let state = State::of(&found.opened.status);
        let content = Content::of(found.opened.file, state);
        let site_fields = &self.file_fields;
        let mut entity = Entity::new(content, found.media_type, found.coding, now, site_fields);
        if let Some(cache) = &self.cache
            && cache.has_room(state.size)
            && let Some(in_memory) = entity.in_memory().await?
        {
            entity = in_memory;
        }
        let entity = Arc::new(entity);
        if let Some(cache) = &self.cache {
            cache.keep(&visit.wanted, &entity, begin);
        }
        Ok(self.entity_reply(entity, visit.request, now))
    }

    /// The answer with a file, as its conditions and its range will have it.
    fn entity_reply(&self, entity: Arc<Entity>, request: &Request<'_>, now: u64) -> Reply {
        let size = entity.size();
        let selection = match request.conditions.evaluate(entity.validators(), now) {
            Verdict::NotModified => {
                return Reply {
                    entity: Some(entity),
                    ..Reply::notice(Status::NotModified)
                };
            }
            Verdict::PreconditionFailed => return Reply::notice(Status::PreconditionFailed),
            // Ranges are defined for GET alone.
            Verdict::Proceed if request.method == Method::Get => {
                request.range.map_or(Selection::Whole, |range| {
                    select(range, size, self.policy.ranges_max)
                })
            }
            Verdict::Proceed | Verdict::ProceedWhole => Selection::Whole,
        };
        let (status, content_range, body) = match selection {
            Selection::Part(part) => {
                let range = ContentRange::Part { part, size };
                (Status::PartialContent, Some(range), Body::File(part))
            }
            // The standard does not say where a coding is told of parts: none is sent in one.
            Selection::Parts(parts) if entity.coding().is_none() => {
                let multipart = Multipart::new(parts, size, entity.media_type());
                (
                    Status::PartialContent,
                    None,
                    Body::FileParts(Box::new(multipart)),
                )
            }
            Selection::Whole | Selection::Parts(_) => {
                let whole = Part {
                    offset: 0,
                    length: size,
                };
                (Status::Ok, None, Body::File(whole))
            }
            Selection::Unsatisfiable => {
                return Reply {
                    content_range: Some(ContentRange::Unsatisfied { size }),
                    ..Reply::notice(Status::RangeNotSatisfiable)
                };
            }
        };
        Reply {
            entity: Some(entity),
            content_range,
            body,
            ..Reply::notice(status)
        }
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

/// What conditions make of a page. One that has no tag is there and fits no tag that anybody could know; no page has a
/// date.
fn page_verdict(conditions: &Conditions<'_>, tag: Option<ETag>, now: u64) -> Verdict {
    let nobody_knows = || ETag::of_page(&RandomState::new().hash_one(now).to_ne_bytes());
    let validators = Validators {
        etag: tag.unwrap_or_else(nobody_knows),
        modified: None,
    };
    conditions.evaluate(&validators, now)
}

/// The status that an error of opening or reading becomes.
fn status_of(error: &io::Error) -> Status {
    use rustix::io::Errno;
    // The path or a symlink leads out of the root, or may not be followed. Nobody is told that it exists.
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
        Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::LOOP => Status::NotFound,
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

impl Tree {
    pub(crate) async fn open_root(path: &Path, symlinks: Symlinks) -> io::Result<Tree> {
        let root = Dir::open(path).await?;
        Ok(match symlinks {
            Symlinks::Never => Tree {
                root: root.no_symlinks(),
                unwatched: None,
            },
            Symlinks::Within => Tree {
                root,
                unwatched: None,
            },
            Symlinks::Always => Tree {
                root,
                unwatched: Some(ringway::fs::canonicalize(path).await?),
            },
        })
    }

    /// What the file at `path` is, without opening it. Whether it may be read is not asked, but its state tells of changes of
    /// that as well.
    pub(crate) async fn look_at(&self, path: &SitePath) -> io::Result<Metadata> {
        match &self.unwatched {
            None => self.root.metadata(path.as_path()).await,
            Some(root) => ringway::fs::metadata(root.join(path.as_path())).await,
        }
    }

    /// Opens what is at `path`. `O_NONBLOCK` keeps a FIFO from waiting for its writer; a terminal
    /// does not become ours.
    pub(crate) async fn open(&self, path: &SitePath) -> io::Result<Opened> {
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(flags.bits().cast_signed());
        let file = match &self.unwatched {
            None => options.open_beneath(&self.root, path.as_path()).await?,
            Some(root) => options.open(root.join(path.as_path())).await?,
        };
        let status = file.metadata().await?;
        Ok(Opened { file, status })
    }
}

#[cfg(test)]
mod tests {
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
    fn errors_become_statuses_that_tell_nothing_about_the_outside() {
        let table = [
            (2, Status::NotFound),
            (20, Status::NotFound),
            (36, Status::NotFound),
            (40, Status::NotFound),
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
