//! What paths lead to, kept for a while.
//!
//! 1. What is kept is believed for a bounded time (`--cache-ms`) from the moment on at which its path was
//!    last about to be resolved. Then the path is resolved again, beneath the root as ever, and what is kept is believed further
//!    only if that leads to the same file in the same state. So a file that was changed, replaced, renamed or
//!    forbidden is served as it was for that time at the longest, and what was swapped for a symlink meanwhile leads
//!    nowhere that was not allowed when it was followed.
//! 2. A key is a path in its plain form, so that no file is kept twice because somebody wrote its name in two ways; with it go
//!    the compressed forms that may be sent in its place.
//! 3. Bytes in memory and open files are bounded, each by itself; what is used least goes first. Of a flood of names that are
//!    asked for once little is kept.
//! 4. A file that nobody asks for any more is closed soon: it may have been deleted, and takes its room on the disk until then.

use std::cell::RefCell;
use std::hash::{Hash, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::{Cache as Shelf, DefaultLifecycle};
use quick_cache::{Equivalent, OptionsBuilder, Weighter};
use ringway::time::Instant;

use crate::coding::Codings;
use crate::content::Bytes;
use crate::entity::Entity;
use crate::limits::{
    CACHE_ENTRY_BYTES, CACHE_SHARDS, CACHE_USUAL_BYTES, CacheLimits, DESCRIPTORS_PER_LARGE_FILE,
    KEY_PATH_BYTES, UNPROVEN_BYTES_MAX, UNUSED_FILE_TIME,
};

/// What is kept of all paths.
#[derive(Debug)]
pub(crate) struct Cache {
    /// Entities whose bytes are in memory, by what they weigh.
    memory: Shelf<Key, Arc<Entity>, ByBytes, RandomState>,
    /// Bytes from which on this is full: a part of it may be full earlier than the others.
    memory_full: u64,
    /// Entities whose files are open, by their descriptors.
    files: Shelf<Key, Arc<Entity>, ByDescriptors, RandomState>,
    /// For how many nanoseconds.
    believed: u64,
    /// What moments are counted from.
    begin: Instant,
}

#[derive(Clone, Debug)]
struct Key {
    path: KeptPath,
    codings: Codings,
}

/// A path as part of a key. Whoever looks compares it, so a usual one lies within the key: a block of memory of its own would
/// be one more that no cache of the processor has.
#[derive(Clone, Debug)]
enum KeptPath {
    Short {
        length: u8,
        bytes: [u8; KEY_PATH_BYTES],
    },
    Long(Box<[u8]>),
}

impl KeptPath {
    fn of(path: &[u8]) -> KeptPath {
        let mut bytes = [0; KEY_PATH_BYTES];
        match (bytes.get_mut(..path.len()), u8::try_from(path.len())) {
            (Some(room), Ok(length)) => {
                room.copy_from_slice(path);
                KeptPath::Short { length, bytes }
            }
            _ => KeptPath::Long(Box::from(path)),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            KeptPath::Short { length, bytes } => &bytes[..usize::from(*length)],
            KeptPath::Long(bytes) => bytes,
        }
    }
}

impl Key {
    fn as_wanted(&self) -> Wanted<'_> {
        Wanted {
            path: self.path.as_bytes(),
            codings: self.codings,
        }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        self.as_wanted() == other.as_wanted()
    }
}

impl Eq for Key {}

/// As what is wanted under it.
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_wanted().hash(state);
    }
}

/// What somebody asks for, and what of it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted<'p> {
    /// In its plain form.
    pub(crate) path: &'p [u8],
    /// Forms that may be sent in place of what is there.
    pub(crate) codings: Codings,
}

impl Wanted<'_> {
    fn to_key(self) -> Key {
        Key {
            path: KeptPath::of(self.path),
            codings: self.codings,
        }
    }
}

/// In two writes, of which the last is a byte: no two that differ write the same. Each write of a number costs the hash as much as
/// eight bytes of a path, and every request is hashed.
impl Hash for Wanted<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.path);
        state.write_u8(self.codings.number());
    }
}

impl Equivalent<Key> for Wanted<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self == key.as_wanted()
    }
}

#[derive(Clone, Debug)]
struct ByBytes;

impl Weighter<Key, Arc<Entity>> for ByBytes {
    fn weight(&self, key: &Key, entity: &Arc<Entity>) -> u64 {
        let bytes = match entity.content().bytes() {
            Bytes::Memory(bytes) => bytes.len(),
            Bytes::File(_) => 0,
        };
        CACHE_ENTRY_BYTES + (key.path.as_bytes().len() + bytes) as u64
    }
}

#[derive(Clone, Debug)]
struct ByDescriptors;

impl Weighter<Key, Arc<Entity>> for ByDescriptors {
    fn weight(&self, _: &Key, entity: &Arc<Entity>) -> u64 {
        match entity.content().is_small() {
            true => 1,
            false => DESCRIPTORS_PER_LARGE_FILE,
        }
    }
}

/// What came of a look.
#[derive(Debug)]
pub(crate) enum Look {
    Nothing,
    /// Believed.
    Fresh(Arc<Entity>),
    /// To be confirmed.
    Stale(Arc<Entity>),
}

impl Cache {
    /// `None` where nothing is to be believed without a look.
    pub(crate) fn new(limits: &CacheLimits) -> Option<Cache> {
        let believed = nanoseconds(limits.time);
        (believed > 0).then(|| Cache {
            memory: shelf(limits.bytes, limits.bytes / CACHE_USUAL_BYTES, ByBytes),
            memory_full: limits.bytes / 8 * 7,
            files: shelf(limits.descriptors, limits.descriptors, ByDescriptors),
            believed,
            begin: Instant::now(),
        })
    }

    /// What is kept. `now` is a moment at which the request was there already.
    pub(crate) fn look(&self, wanted: &Wanted<'_>, now: Instant) -> Look {
        let found = self.memory.get(wanted).or_else(|| self.files.get(wanted));
        match found {
            None => Look::Nothing,
            Some(entity) => {
                let age = self.moment(now).saturating_sub(entity.resolved());
                if age < self.believed {
                    Look::Fresh(entity)
                } else {
                    Look::Stale(entity)
                }
            }
        }
    }

    /// Keeps what a path led to when it was resolved. `begin` is a moment before that.
    pub(crate) fn keep(&self, wanted: &Wanted<'_>, entity: &Arc<Entity>, begin: Instant) {
        entity.note_resolved(self.moment(begin));
        if !entity.content().may_be_kept() {
            self.forget(wanted);
            return;
        }
        let (key, value) = (wanted.to_key(), Arc::clone(entity));
        match entity.content().bytes() {
            // The open file, if one is kept, stays for the time when there is no more room for the bytes.
            Bytes::Memory(_) => self.memory.insert(key, value),
            Bytes::File(_) => {
                self.memory.remove(wanted);
                self.files.insert(key, value);
            }
        }
    }

    /// Whether a file of so many bytes may be in memory although nobody knows yet how much it is used: if
    /// it takes little, and no other has to go for it.
    pub(crate) fn has_room(&self, bytes: u64) -> bool {
        bytes <= UNPROVEN_BYTES_MAX && self.memory.weight() < self.memory_full
    }

    /// Keeps an entity in memory that is kept as an open file.
    pub(crate) fn move_into_memory(&self, wanted: &Wanted<'_>, entity: Entity) {
        self.memory.insert(wanted.to_key(), Arc::new(entity));
    }

    /// Believes further what was confirmed by resolving its path. `begin` is a moment before that.
    pub(crate) fn confirm(&self, entity: &Entity, begin: Instant) {
        entity.note_resolved(self.moment(begin));
    }

    /// Forgets what a path has led to.
    pub(crate) fn forget(&self, wanted: &Wanted<'_>) {
        self.memory.remove(wanted);
        self.files.remove(wanted);
    }

    /// Forgets the open files that nobody has asked for since a while before `now`; returns them.
    pub(crate) fn take_unused(&self, now: Instant) -> Vec<Arc<Entity>> {
        let (now, unused_time) = (self.moment(now), nanoseconds(UNUSED_FILE_TIME));
        let kept = self.believed.saturating_add(unused_time);
        let unused = RefCell::new(Vec::new());
        self.files.retain(|_, entity| {
            // Who is asked for is confirmed as soon as it is believed no more.
            let is_used = now.saturating_sub(entity.resolved()) < kept;
            if !is_used {
                // It is closed by the caller, when nobody has to wait for a lock.
                unused.borrow_mut().push(Arc::clone(entity));
            }
            is_used
        });
        unused.into_inner()
    }

    fn moment(&self, at: Instant) -> u64 {
        nanoseconds(at.saturating_duration_since(self.begin))
    }
}

/// As many as a word can say are 584 years.
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A shelf of so much weight and about so many things.
fn shelf<W>(weight: u64, items: u64, weighter: W) -> Shelf<Key, Arc<Entity>, W, RandomState>
where
    W: Weighter<Key, Arc<Entity>> + Clone,
{
    let options = OptionsBuilder::new()
        .shards(CACHE_SHARDS)
        .estimated_items_capacity(usize::try_from(items).unwrap_or(usize::MAX))
        .weight_capacity(weight)
        .build()
        .expect("everything that has no default is given");
    // Strangers choose what is hashed: another hash than the standard library's would let them choose paths that collide.
    Shelf::with_options(
        options,
        weighter,
        RandomState::new(),
        DefaultLifecycle::default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mutants: cut a path to what lies within a key; compare the whole room for it.
    #[test]
    fn a_key_has_the_whole_path_whatever_its_length() {
        let path = [b'a'; 512];
        let lengths = [0, 1, KEY_PATH_BYTES - 1, KEY_PATH_BYTES, KEY_PATH_BYTES + 1];
        for length in lengths.into_iter().chain([255, 256, 300]) {
            let wanted = |length| Wanted {
                path: &path[..length],
                codings: Codings::default(),
            };
            let key = wanted(length).to_key();
            assert_eq!(key.path.as_bytes(), &path[..length]);
            assert!(wanted(length).equivalent(&key), "{length}");
            assert!(!wanted(length ^ 1).equivalent(&key), "{length}");
        }
    }
}
