//! What a file is to HTTP: its content, its type and validators, and the fields that say so.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::clock::HTTP_SECONDS_MAX;
use crate::coding::Coding;
use crate::conditional::{ETag, Validators};
use crate::content::Content;
use crate::limits::{MOVE_UNIT_BYTES, USES_PER_MOVE};
use crate::media::MediaType;

/// A file that a path leads to. Everything that does not depend on the request is made once.
#[derive(Debug)]
pub(crate) struct Entity {
    content: Content,
    media_type: MediaType,
    coding: Option<Coding>,
    validators: Validators,
    fields: Fields,
    /// See [`Cache`](crate::cache::Cache). Relaxed: it is a number of its own, and who reads an old one resolves once
    /// more.
    resolved: AtomicU64,
    /// How often it was answered with. Relaxed: nothing hangs on it but how soon it moves into memory.
    uses: AtomicU64,
}

/// Lines of fields, each with its CR LF, and the end of a head, as they follow each other in the answer that is the whole file.
#[derive(Clone, Debug)]
struct Fields {
    bytes: Box<[u8]>,
    /// Where those about the file end, and those about its content begin.
    about_end: usize,
    /// Where those about its content end, and the length begins.
    content_end: usize,
}

impl Entity {
    /// `now` is in seconds since 1970; `site_fields` are the lines that every answer about a file has.
    pub(crate) fn new(
        content: Content,
        media_type: MediaType,
        coding: Option<Coding>,
        now: u64,
        site_fields: &[u8],
    ) -> Entity {
        let state = content.state();
        let identity = (state.device, state.inode);
        let validators = Validators {
            etag: ETag::new(identity, state.size, state.modified, state.changed),
            modified: last_modified(state.modified, now),
        };
        Entity {
            fields: Fields::write(&validators, site_fields, media_type, coding, state.size),
            content,
            media_type,
            coding,
            validators,
            resolved: AtomicU64::new(0),
            uses: AtomicU64::new(0),
        }
    }

    /// The same entity with its bytes in memory, resolved when this one was.
    pub(crate) async fn in_memory(&self) -> io::Result<Option<Entity>> {
        let content = self.content.in_memory().await?;
        Ok(content.map(|content| Entity {
            content,
            media_type: self.media_type,
            coding: self.coding,
            validators: self.validators,
            fields: self.fields.clone(),
            resolved: AtomicU64::new(self.resolved()),
            uses: AtomicU64::new(0),
        }))
    }

    /// Counts a use; true for one in [`USES_PER_MOVE`] for each part of its size.
    pub(crate) fn is_used_much(&self) -> bool {
        let uses = self.uses.fetch_add(1, Ordering::Relaxed) + 1;
        let parts = self.size().div_ceil(MOVE_UNIT_BYTES).max(1);
        uses.is_multiple_of(USES_PER_MOVE * parts)
    }

    pub(crate) fn content(&self) -> &Content {
        &self.content
    }

    pub(crate) fn size(&self) -> u64 {
        self.content.state().size
    }

    pub(crate) fn media_type(&self) -> MediaType {
        self.media_type
    }

    /// What the bytes are compressed by.
    pub(crate) fn coding(&self) -> Option<Coding> {
        self.coding
    }

    pub(crate) fn validators(&self) -> &Validators {
        &self.validators
    }

    /// `ETag`, `Last-Modified` and the lines of the site, each with its CR LF.
    pub(crate) fn about_fields(&self) -> &[u8] {
        &self.fields.bytes[..self.fields.about_end]
    }

    /// `Content-Type`, `Content-Encoding` and `Accept-Ranges`.
    pub(crate) fn content_fields(&self) -> &[u8] {
        &self.fields.bytes[self.fields.about_end..self.fields.content_end]
    }

    /// All of these, the length of the whole, and the end of the head.
    pub(crate) fn fields_of_whole(&self) -> &[u8] {
        &self.fields.bytes
    }

    pub(crate) fn resolved(&self) -> u64 {
        self.resolved.load(Ordering::Relaxed)
    }

    pub(crate) fn note_resolved(&self, moment: u64) {
        self.resolved.store(moment, Ordering::Relaxed);
    }
}

/// `Last-Modified` of a file, in seconds since 1970: never in the future, and none for a year that
/// the field cannot say.
fn last_modified(modified: SystemTime, now: u64) -> Option<u64> {
    let seconds = modified.duration_since(UNIX_EPOCH).ok()?.as_secs().min(now);
    (seconds <= HTTP_SECONDS_MAX).then_some(seconds)
}

impl Fields {
    fn write(
        validators: &Validators,
        site_fields: &[u8],
        media_type: MediaType,
        coding: Option<Coding>,
        size: u64,
    ) -> Fields {
        let mut bytes = Vec::new();
        write_validators(validators, &mut bytes);
        bytes.extend_from_slice(site_fields);
        let about_end = bytes.len();
        // Here and below: writing to a vector cannot fail.
        let _ = write!(bytes, "Content-Type: {media_type}\r\n");
        if let Some(coding) = coding {
            let _ = write!(bytes, "Content-Encoding: {}\r\n", coding.token());
        }
        bytes.extend_from_slice(b"Accept-Ranges: bytes\r\n");
        let content_end = bytes.len();
        let _ = write!(bytes, "Content-Length: {size}\r\n\r\n");
        Fields {
            bytes: bytes.into_boxed_slice(),
            about_end,
            content_end,
        }
    }
}

fn write_validators(validators: &Validators, output: &mut Vec<u8>) {
    output.extend_from_slice(b"ETag: ");
    output.extend_from_slice(&validators.etag.to_bytes());
    output.extend_from_slice(b"\r\n");
    if let Some(modified) = validators.modified {
        let time = httpdate::HttpDate::from(UNIX_EPOCH + Duration::from_secs(modified));
        let _ = write!(output, "Last-Modified: {time}\r\n");
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::content::State;

    /// An entity of an empty file, changed at the given second.
    pub(crate) fn entity(modified: u64) -> Entity {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let time = UNIX_EPOCH + Duration::from_secs(modified);
        file.as_file().set_modified(time).expect("its owner may");
        let runtime = ringway::runtime::Builder::new_current_thread().build();
        let content = runtime.expect("a runtime").block_on(async {
            let file = ringway::fs::File::open(file.path()).await?;
            let state = State::of(&file.metadata().await?);
            std::io::Result::Ok(Content::of(file, state))
        });
        let content = content.expect("a readable file");
        Entity::new(
            content,
            MediaType::HTML,
            None,
            2_000_000_000,
            b"Vary: x\r\n",
        )
    }

    #[test]
    fn its_fields_say_what_it_is() {
        let entity = entity(1_000_000_000);
        assert_eq!(
            entity.content_fields(),
            b"Content-Type: text/html; charset=utf-8\r\nAccept-Ranges: bytes\r\n"
        );
        let tag = entity.validators().etag.to_bytes();
        let tag = str::from_utf8(&tag).expect("ASCII");
        let about =
            format!("ETag: {tag}\r\nLast-Modified: Sun, 09 Sep 2001 01:46:40 GMT\r\nVary: x\r\n");
        assert_eq!(entity.about_fields(), about.as_bytes());
        let whole = [
            entity.about_fields(),
            entity.content_fields(),
            b"Content-Length: 0\r\n\r\n",
        ];
        assert_eq!(entity.fields_of_whole(), whole.concat());
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
}
