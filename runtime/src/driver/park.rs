//! The park word: whether a shard's thread sleeps, and who has to wake it.
//!
//! One word, written by the thread that serves the shard and by whoever wakes it.
//!
//! ```text
//!            park                    unpark
//!  Running ────────► Parked ──────────────────────► Notified ──┐
//!     │  ▲             │ woke by itself                        │
//!     │  └─────────────┴──────────────────────────────── wake ─┘
//!     │ vacate                 unpark
//!     └──────────► Vacant ────────────► Notified  (a thread is to be started on the core)
//!     └── unpark ─► Notified ── park: does not sleep, back to Running
//! ```
//!
//! A wake that comes before the sleeper sleeps is kept: `park` sees *Notified* and refuses. What was written
//! before `unpark` is seen after `wake` or a refused `park`.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};

use crate::loom::atomic::{AtomicBool, AtomicU32, fence};

const RUNNING: u32 = 0;
const PARKED: u32 = 1;
const VACANT: u32 = 2;
const NOTIFIED: u32 = 3;

/// The state of a shard's sleeper. See the module's drawing.
#[derive(Debug)]
pub struct ParkWord(AtomicU32);

/// What the caller of [`ParkWord::unpark`] owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Unparked {
    /// Nothing: the thread runs, or somebody else is waking it.
    Noted,
    /// The thread sleeps in the ring: ring the doorbell.
    RingDoorbell,
    /// Nobody runs the core: start the worker's thread on it.
    StartThread,
}

impl ParkWord {
    /// A word whose core nobody runs.
    pub fn new_vacant() -> Self {
        Self(AtomicU32::new(VACANT))
    }

    /// Says that the thread is about to sleep in the ring; `false` if it was notified and must not.
    pub fn park(&self) -> bool {
        self.leave_running(PARKED)
    }

    /// Says that the core is about to lie in its slot without a thread; `false` if it was notified.
    pub fn vacate(&self) -> bool {
        self.leave_running(VACANT)
    }

    /// Wakes whoever is responsible.
    pub fn unpark(&self) -> Unparked {
        // AcqRel: Release publishes what was done before the wake to `wake` and `leave_running`; Acquire
        // pairs with the sleeper's transitions, so that the doorbell is rung after the sleep was announced.
        match self.0.swap(NOTIFIED, AcqRel) {
            RUNNING | NOTIFIED => Unparked::Noted,
            PARKED => Unparked::RingDoorbell,
            VACANT => Unparked::StartThread,
            other => unreachable!("park word {other}"),
        }
    }

    /// Says that a thread runs the core again; returns whether it was notified.
    pub fn wake(&self) -> bool {
        // AcqRel: Acquire pairs with the Release in `unpark`.
        self.0.swap(RUNNING, AcqRel) == NOTIFIED
    }

    /// Whether a wake waits to be taken by [`Self::wake`].
    pub fn is_notified(&self) -> bool {
        // Acquire: pairs with the Release in `unpark`.
        self.0.load(Acquire) == NOTIFIED
    }

    /// Whether a thread runs the core, or is about to.
    pub fn is_awake(&self) -> bool {
        // Acquire: pairs with the Release in `unpark`.
        matches!(self.0.load(Acquire), RUNNING | NOTIFIED)
    }

    fn leave_running(&self, to: u32) -> bool {
        // AcqRel / Acquire: pair with the Release in `unpark`.
        match self.0.compare_exchange(RUNNING, to, AcqRel, Acquire) {
            Ok(_) => true,
            Err(found) => {
                debug_assert_eq!(found, NOTIFIED, "only a running core goes to sleep");
                // AcqRel: Acquire pairs with the Release in `unpark`, for a second one in between.
                self.0.swap(RUNNING, AcqRel);
                false
            }
        }
    }
}

/// Whether a worker's own thread is in the ring. It goes there with its core in the slot, so that another thread
/// may run the core meanwhile, sleep in the ring as well, and give the core back, with or without a thread needed.
///
/// Then the thread is called: the word says *Notified*, and what is told here is whether the doorbell must be rung
/// too, since a thread that is in the ring notices nothing else.
#[derive(Debug)]
pub struct ThreadInRing(AtomicBool);

impl ThreadInRing {
    /// A thread that is elsewhere.
    pub fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// The thread is about to enter the ring; `false` if it was called and must look for its core instead.
    pub fn enter(&self, word: &ParkWord) -> bool {
        // Relaxed: ordered by the fence.
        self.0.store(true, Relaxed);
        // Partner of the fence in `must_be_rung`: either we see that we were called, or the caller sees us.
        fence(SeqCst);
        !word.is_notified()
    }

    /// The thread is out of the ring.
    pub fn leave(&self) {
        // Relaxed: a doorbell that rings in vain does no harm.
        self.0.store(false, Relaxed);
    }

    /// Whether the thread is in the ring or about to enter it. A moment's value, unless a lock orders it.
    pub fn is_set(&self) -> bool {
        // Relaxed: who asks has taken the lock of the operations after the thread had.
        self.0.load(Relaxed)
    }

    /// For the caller of a thread, after the word says *Notified*: whether to ring the doorbell.
    pub fn must_be_rung(&self) -> bool {
        // Partner of the fence in `enter`.
        fence(SeqCst);
        // Relaxed: ordered by the fence.
        self.0.load(Relaxed)
    }
}

/// Whether a worker's own thread is elsewhere, inside `block_in_place`, and cannot be called to its core.
///
/// The thread leaves while it holds the core, and says so before it gives the core up by a change of the park word;
/// so who has to start a thread on the core sees it. Back, it says so and then unparks itself: whoever runs the
/// core meanwhile finds itself notified, sees that the thread is back, and gives it the core.
#[derive(Debug)]
pub struct Absence(AtomicBool);

impl Absence {
    /// A thread that is there.
    pub fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// The thread, which holds the core, is about to give it up.
    pub fn begin(&self) {
        // Relaxed: the change of the park word that gives the core up publishes it.
        self.0.store(true, Relaxed);
    }

    /// The thread has its core again.
    pub fn end_with_core(&self) {
        // Relaxed: the next change of the park word publishes it.
        self.0.store(false, Relaxed);
    }

    /// The thread is back without its core, and will wait for it.
    pub fn end(&self, word: &ParkWord) -> Unparked {
        self.0.store(false, Relaxed);
        // Publishes the store, to who has to be woken and to who runs the core.
        word.unpark()
    }

    /// Whether the thread is elsewhere.
    pub fn is_on(&self) -> bool {
        // Relaxed: ordered by the park word.
        self.0.load(Relaxed)
    }
}

impl Default for Absence {
    fn default() -> Self {
        Self::new()
    }
}

impl Default for ThreadInRing {
    fn default() -> Self {
        Self::new()
    }
}
