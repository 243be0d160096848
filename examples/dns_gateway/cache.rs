//! Answers by question, bounded in bytes, and who waits for one that is being fetched.

use std::hash::RandomState;
use std::sync::Arc;
use std::time::Instant;

use quick_cache::Weighter;
use quick_cache::sync::{Cache as Entries, DefaultLifecycle, PlaceholderGuard};

use crate::answer::Answer;
use crate::limits::{ENTRY_BYTES, USUAL_ANSWER_BYTES};

/// The cache. What is used least goes first when it is full.
///
/// Its hash is the standard library's: strangers choose what is hashed, and another would let them choose
/// names that collide.
pub(crate) struct Cache {
    entries: Entries<Vec<u8>, Arc<Answer>, Bytes, RandomState>,
}

/// What an entry weighs: the bytes that it takes.
#[derive(Clone, Debug)]
struct Bytes;

impl Weighter<Vec<u8>, Arc<Answer>> for Bytes {
    fn weight(&self, key: &Vec<u8>, answer: &Arc<Answer>) -> u64 {
        (key.len() + answer.bytes() + ENTRY_BYTES) as u64
    }
}

/// Who has to fetch an answer. Others who want it wait until it is filled, or dropped: then the next of
/// them has to.
pub(crate) struct Vacancy<'a> {
    cache: &'a Cache,
    key: &'a [u8],
    guard: Guard<'a>,
}

type Guard<'a> = PlaceholderGuard<'a, Vec<u8>, Arc<Answer>, Bytes, RandomState, Evicted>;

/// What becomes of answers that are evicted: nothing.
type Evicted = DefaultLifecycle<Vec<u8>, Arc<Answer>>;

/// What came of a look that may take a while.
pub(crate) enum Found<'a> {
    /// An answer, which somebody else has fetched meanwhile.
    Answer(Arc<Answer>),
    Vacancy(Vacancy<'a>),
}

impl Cache {
    pub(crate) fn new(bytes: u64) -> Cache {
        let usual = bytes / (ENTRY_BYTES + USUAL_ANSWER_BYTES) as u64;
        let usual = usize::try_from(usual).unwrap_or(usize::MAX);
        let hasher = RandomState::new();
        Cache {
            entries: Entries::with(usual, bytes, Bytes, hasher, Evicted::default()),
        }
    }

    /// The answer that is there and has not expired.
    pub(crate) fn get(&self, key: &[u8], now: Instant) -> Option<Arc<Answer>> {
        let answer = self.entries.get(key)?;
        (!answer.has_expired(now)).then_some(answer)
    }

    /// The answer that somebody is fetching, or the duty to fetch it.
    pub(crate) async fn get_or_wait<'a>(&'a self, key: &'a [u8]) -> Found<'a> {
        self.forget_expired(key);
        match self.entries.get_value_or_guard_async(key).await {
            Ok(answer) => Found::Answer(answer),
            Err(guard) => Found::Vacancy(Vacancy {
                cache: self,
                key,
                guard,
            }),
        }
    }

    /// Keeps an answer.
    pub(crate) fn insert(&self, key: &[u8], answer: &Arc<Answer>) {
        self.entries.insert(key.to_vec(), Arc::clone(answer));
    }

    fn forget_expired(&self, key: &[u8]) {
        let now = Instant::now();
        self.entries
            .remove_if(key, |answer| answer.has_expired(now));
    }

    /// Entries, and the bytes that they take.
    pub(crate) fn size(&self) -> (usize, u64) {
        (self.entries.len(), self.entries.weight())
    }
}

impl Vacancy<'_> {
    /// Keeps the answer as long as it lives, and gives it to those who wait, even if that is no time.
    pub(crate) fn fill(self, answer: &Arc<Answer>) {
        // It is refused if the entry was taken away meanwhile; who waits has it all the same.
        let _ = self.guard.insert(Arc::clone(answer));
        self.cache.forget_expired(self.key);
    }
}
