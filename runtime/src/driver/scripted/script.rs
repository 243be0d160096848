//! [`Script`]: what a simulated ring does to the operations in it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crate::rand::{FastRand, RngSeed};

/// What the simulated rings of one runtime do: by chance, with a seed, and at calls that are named by their number.
///
/// A new script alters nothing. Each method adds something; clones share their counts.
///
/// The *calls* are the SQEs of operations, those of cancels and of the doorbell apart; the *enters* are the system calls
/// into the ring. Both are counted from 0, over all rings of the runtime, in the order in which they happen.
#[derive(Clone)]
pub struct Script {
    seed: u64,
    chances: Chances,
    errnos: Arc<[i32]>,
    calls: BTreeMap<u64, i32>,
    calls_from: Option<(u64, i32)>,
    enters: BTreeMap<u64, i32>,
    enters_from: Option<(u64, i32)>,
    counts: Arc<Counts>,
}

/// Per mille, each.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chances {
    pub(super) reorder: u16,
    pub(super) hold: u16,
    pub(super) duplicate: u16,
    pub(super) drop: u16,
    pub(super) shorten: u16,
    pub(super) end_multishot: u16,
    pub(super) full: u16,
    pub(super) fail: u16,
    pub(super) refuse: u16,
    pub(super) short_submit: u16,
}

/// What happened so far on the simulated rings of a runtime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Played {
    /// SQEs of operations.
    pub calls: u64,
    /// System calls into the rings, those that were refused included.
    pub enters: u64,
    /// Operations that failed by script.
    pub failed: u64,
    /// Reads, writes, receives and sends that were asked for less.
    pub shortened: u64,
    /// Multishot operations that were made to end with their first answer.
    pub ended: u64,
    /// Answers that were held back until later enters.
    pub held: u64,
    /// Times that answers changed places.
    pub reordered: u64,
    /// Answers that came a second time.
    pub duplicated: u64,
    /// Last answers that never came.
    pub dropped: u64,
    /// Times that the submission queue was full by script.
    pub full: u64,
    /// Enters that were refused.
    pub refused: u64,
    /// Enters that took less than they were told to.
    pub short_submits: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) calls: AtomicU64,
    pub(super) enters: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) shortened: AtomicU64,
    pub(super) ended: AtomicU64,
    pub(super) held: AtomicU64,
    pub(super) reordered: AtomicU64,
    pub(super) duplicated: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) full: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) short_submits: AtomicU64,
}

/// What enters are refused with by chance: the kernel was interrupted, or is short of something for the moment.
pub(super) const REFUSALS: [i32; 4] = [libc::EINTR, libc::EAGAIN, libc::EBUSY, libc::ENOMEM];
/// Once in how many enters answers are held back at most.
pub(super) const HELD_ENTERS_MAX: usize = 4;
/// Names a seed for all runtimes that are given no script.
const SEED_VARIABLE: &str = "RINGWAY_RING_SCRIPT";

impl Script {
    /// A script that alters nothing yet; all its chances come from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            chances: Chances::default(),
            errnos: Arc::new([]),
            calls: BTreeMap::new(),
            calls_from: None,
            enters: BTreeMap::new(),
            enters_from: None,
            counts: Arc::default(),
        }
    }

    /// All at once that a ring may do to a program without the program being told: answers reordered, held back and
    /// doubled, multishots ended, a full queue, enters that are refused for the moment or submit less.
    pub fn storm(seed: u64) -> Self {
        Self::new(seed)
            .reorder(300)
            .hold(100)
            .duplicate(100)
            .end_multishots(300)
            .full(50)
            .refuse_enters(50)
            .short_submits(100)
    }

    /// The storm with the seed that the environment names in `RINGWAY_RING_SCRIPT`, if it does.
    ///
    /// # Panics
    ///
    /// If it is no number.
    pub fn from_environment() -> Option<Self> {
        let text = std::env::var(SEED_VARIABLE).ok()?;
        let seed = text
            .parse()
            .unwrap_or_else(|error| panic!("{SEED_VARIABLE}={text}: {error}"));
        Some(Self::storm(seed))
    }

    /// Answers change places, though not those of one operation.
    pub fn reorder(self, per_mille: u16) -> Self {
        self.with(|chances| chances.reorder = per_mille)
    }

    /// Answers come some enters later, as those for which the completion queue had no room.
    pub fn hold(self, per_mille: u16) -> Self {
        self.with(|chances| chances.hold = per_mille)
    }

    /// Last answers come once more.
    pub fn duplicate(self, per_mille: u16) -> Self {
        self.with(|chances| chances.duplicate = per_mille)
    }

    /// Last answers never come, as if the kernel had no memory to keep them. What they own is lost.
    pub fn drop_answers(self, per_mille: u16) -> Self {
        self.with(|chances| chances.drop = per_mille)
    }

    /// Reads, writes, receives and sends are asked for less.
    pub fn shorten(self, per_mille: u16) -> Self {
        self.with(|chances| chances.shorten = per_mille)
    }

    /// Multishot operations end with their first answer.
    pub fn end_multishots(self, per_mille: u16) -> Self {
        self.with(|chances| chances.end_multishot = per_mille)
    }

    /// The submission queue is full.
    pub fn full(self, per_mille: u16) -> Self {
        self.with(|chances| chances.full = per_mille)
    }

    /// Operations fail with one of `errnos`, and do nothing. (A close does what it should and says otherwise.)
    ///
    /// # Panics
    ///
    /// If there are none.
    pub fn fail(mut self, per_mille: u16, errnos: &[i32]) -> Self {
        assert!(!errnos.is_empty(), "errnos to fail with");
        self.errnos = errnos.into();
        self.with(|chances| chances.fail = per_mille)
    }

    /// Enters are refused with `EINTR`, `EAGAIN`, `EBUSY` or `ENOMEM`.
    pub fn refuse_enters(self, per_mille: u16) -> Self {
        self.with(|chances| chances.refuse = per_mille)
    }

    /// Enters take less than they were told to.
    pub fn short_submits(self, per_mille: u16) -> Self {
        self.with(|chances| chances.short_submit = per_mille)
    }

    /// The call of this number fails.
    pub fn fail_call(mut self, number: u64, errno: i32) -> Self {
        self.calls.insert(number, errno);
        self
    }

    /// The call of this number fails, and all after it.
    pub fn fail_calls_from(mut self, number: u64, errno: i32) -> Self {
        self.calls_from = Some((number, errno));
        self
    }

    /// The enter of this number is refused.
    pub fn refuse_enter(mut self, number: u64, errno: i32) -> Self {
        self.enters.insert(number, errno);
        self
    }

    /// The enter of this number is refused, and all after it.
    pub fn refuse_enters_from(mut self, number: u64, errno: i32) -> Self {
        self.enters_from = Some((number, errno));
        self
    }

    /// What happened so far, to all clones.
    pub fn played(&self) -> Played {
        self.counts.read()
    }

    fn with(mut self, change: impl FnOnce(&mut Chances)) -> Self {
        change(&mut self.chances);
        self
    }

    pub(super) fn chances(&self) -> Chances {
        self.chances
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The chances of one ring.
    pub(super) fn dice(&self, ring: u32) -> Dice {
        let seed = RngSeed::from_bytes(&self.seed.to_ne_bytes());
        Dice(FastRand::seeded(&seed, ring as usize))
    }

    /// The errno that the next call fails with, if it does.
    pub(super) fn next_call(&self, dice: &mut Dice) -> Option<i32> {
        let number = tick(&self.counts.calls);
        let named = named(number, &self.calls, self.calls_from);
        let by_chance = dice.says(self.chances.fail);
        let errno = named.or_else(|| by_chance.then(|| dice.one_of(&self.errnos)));
        if errno.is_some() {
            tick(&self.counts.failed);
        }
        errno
    }

    /// The errno that the next enter is refused with, if it is.
    pub(super) fn next_enter(&self, dice: &mut Dice) -> Option<i32> {
        let number = tick(&self.counts.enters);
        let named = named(number, &self.enters, self.enters_from);
        let by_chance = dice.says(self.chances.refuse);
        let errno = named.or_else(|| by_chance.then(|| dice.one_of(&REFUSALS)));
        if errno.is_some() {
            tick(&self.counts.refused);
        }
        errno
    }
}

/// Counts one more, and says how many there were before.
pub(super) fn tick(count: &AtomicU64) -> u64 {
    // Relaxed: only the number counts.
    count.fetch_add(1, Relaxed)
}

fn named(number: u64, once: &BTreeMap<u64, i32>, from: Option<(u64, i32)>) -> Option<i32> {
    let ever = from.filter(|(first, _)| number >= *first);
    once.get(&number).copied().or(ever.map(|(_, errno)| errno))
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script")
            .field("seed", &self.seed)
            .field("chances", &self.chances)
            .field("errnos", &self.errnos)
            .field("calls", &self.calls)
            .field("calls_from", &self.calls_from)
            .field("enters", &self.enters)
            .field("enters_from", &self.enters_from)
            .field("played", &self.played())
            .finish()
    }
}

impl Counts {
    fn read(&self) -> Played {
        // Relaxed: only the numbers count.
        let read = |count: &AtomicU64| count.load(Relaxed);
        Played {
            calls: read(&self.calls),
            enters: read(&self.enters),
            failed: read(&self.failed),
            shortened: read(&self.shortened),
            ended: read(&self.ended),
            held: read(&self.held),
            reordered: read(&self.reordered),
            duplicated: read(&self.duplicated),
            dropped: read(&self.dropped),
            full: read(&self.full),
            refused: read(&self.refused),
            short_submits: read(&self.short_submits),
        }
    }
}

/// The chances of one ring, one after another.
#[derive(Debug)]
pub(super) struct Dice(FastRand);

impl Dice {
    /// Whether something that happens so many times in a thousand happens now.
    pub(super) fn says(&mut self, per_mille: u16) -> bool {
        per_mille > 0 && self.0.below(1000) < usize::from(per_mille)
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0.below(bound)
    }

    fn one_of(&mut self, errnos: &[i32]) -> i32 {
        errnos[self.0.below(errnos.len())]
    }
}
