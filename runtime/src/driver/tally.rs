//! What a shard counts about its ring.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// Counts of what happens outside the shard's lock: beside each stands a system call, or a worker that is stuck.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Tally {
    enters: AtomicU64,
    /// Enters that submitted something.
    batches: AtomicU64,
    submitted: AtomicU64,
    /// Enters that took fewer SQEs than they could have.
    short: AtomicU64,
    interrupted: AtomicU64,
    refused: AtomicU64,
    rescues: AtomicU64,
}

/// The descriptors that operations of one shard's thread were made for.
#[derive(Debug, Default)]
pub(super) struct Descriptors {
    made: AtomicU64,
    gone: AtomicU64,
}

/// A descriptor that is counted, until it is dropped.
#[derive(Debug)]
pub(super) struct Counted(Arc<Descriptors>);

impl Counted {
    pub(super) fn new(descriptors: &Arc<Descriptors>) -> Self {
        // Relaxed, here and below: only the numbers count.
        descriptors.made.fetch_add(1, Relaxed);
        Self(Arc::clone(descriptors))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.gone.fetch_add(1, Relaxed);
    }
}

impl Descriptors {
    /// How many were made, and how many of those are gone.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.made.load(Relaxed), self.gone.load(Relaxed))
    }
}

/// Counts of what happens under the shard's lock.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reaped {
    /// CQEs.
    pub(super) completions: u64,
    /// Those that were answers to operations, and not to a cancel or the doorbell.
    pub(super) answers: u64,
    /// Those that found no operation.
    pub(super) strays: u64,
    /// Reapings that found something.
    pub(super) batches: u64,
    /// Times the completion queue was found to have run over.
    pub(super) overflows: u64,
    /// SQEs that found no room in the ring.
    pub(super) waited: u64,
    /// Operations whose answers the kernel has dropped.
    pub(super) lost: u64,
}

/// What happened to one ring so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingMetrics {
    enters: u64,
    submit_batches: u64,
    submitted: u64,
    rescues: u64,
    completions: u64,
    answers: u64,
    strays: u64,
    completion_batches: u64,
    overflows: u64,
    short: u64,
    interrupted: u64,
    refused: u64,
    waited: u64,
    lost: u64,
    in_flight: usize,
}

impl Tally {
    /// The kernel was entered to take `asked` SQEs, with this outcome.
    pub(super) fn note_enter(&self, asked: usize, outcome: &io::Result<usize>) {
        // Relaxed, here and below: only the numbers count.
        self.enters.fetch_add(1, Relaxed);
        match outcome {
            Ok(submitted) => self.note_submit(asked, *submitted),
            Err(error) => self.note_refusal(error),
        }
    }

    fn note_submit(&self, asked: usize, submitted: usize) {
        if submitted < asked {
            self.short.fetch_add(1, Relaxed);
        }
        if submitted > 0 {
            self.batches.fetch_add(1, Relaxed);
            self.submitted.fetch_add(submitted as u64, Relaxed);
        }
    }

    #[cold]
    fn note_refusal(&self, error: &io::Error) {
        match error.raw_os_error() {
            // A sleep that is over.
            Some(libc::ETIME) => 0,
            Some(libc::EINTR) => self.interrupted.fetch_add(1, Relaxed),
            _ => self.refused.fetch_add(1, Relaxed),
        };
    }

    /// A helper found something to do here.
    pub(super) fn note_rescue(&self) {
        self.rescues.fetch_add(1, Relaxed);
    }

    pub(super) fn read(&self, reaped: Reaped, in_flight: usize) -> RingMetrics {
        RingMetrics {
            enters: self.enters.load(Relaxed),
            submit_batches: self.batches.load(Relaxed),
            submitted: self.submitted.load(Relaxed),
            rescues: self.rescues.load(Relaxed),
            completions: reaped.completions,
            answers: reaped.answers,
            strays: reaped.strays,
            completion_batches: reaped.batches,
            overflows: reaped.overflows,
            short: self.short.load(Relaxed),
            interrupted: self.interrupted.load(Relaxed),
            refused: self.refused.load(Relaxed),
            waited: reaped.waited,
            lost: reaped.lost,
            in_flight,
        }
    }
}

impl RingMetrics {
    /// Submission queue entries that the kernel has taken.
    pub fn submitted_count(&self) -> u64 {
        self.submitted
    }

    /// Completion queue entries that were taken out of the ring, those of cancels and doorbells included.
    pub fn completed_count(&self) -> u64 {
        self.completions
    }

    /// Completion queue entries that were answers to operations.
    pub fn answer_count(&self) -> u64 {
        self.answers
    }

    /// Completion queue entries that answered nothing in flight: a second last answer, or one to an operation that was
    /// never submitted. They are dropped. A kernel that keeps its word posts none.
    pub fn stray_count(&self) -> u64 {
        self.strays
    }

    /// System calls into the ring, to submit or to wait.
    pub fn enter_count(&self) -> u64 {
        self.enters
    }

    /// System calls that submitted entries: [`submitted_count`](Self::submitted_count) in so many batches.
    pub fn submit_batch_count(&self) -> u64 {
        self.submit_batches
    }

    /// Entries that a submitting system call submitted in the mean; 0 if there was none.
    pub fn mean_submit_batch(&self) -> f64 {
        mean(self.submitted, self.submit_batches)
    }

    /// Looks at the completion queue that found some: [`completed_count`](Self::completed_count) in so many batches.
    pub fn completion_batch_count(&self) -> u64 {
        self.completion_batches
    }

    /// Completions that were found together in the mean; 0 if there was none.
    pub fn mean_completion_batch(&self) -> f64 {
        mean(self.completions, self.completion_batches)
    }

    /// Times the completion queue had run over when somebody looked: the kernel kept what did not fit, and nothing is
    /// lost.
    pub fn overflow_count(&self) -> u64 {
        self.overflows
    }

    /// Submitting system calls that took fewer entries than were there: a bad entry stopped an old kernel, or another
    /// thread had submitted them. The rest goes with the next one.
    pub fn short_submit_count(&self) -> u64 {
        self.short
    }

    /// System calls into the ring that a signal ended.
    pub fn interrupted_count(&self) -> u64 {
        self.interrupted
    }

    /// System calls into the ring that the kernel refused: it had no memory, or wanted completions to be taken first.
    /// They are made again.
    pub fn refused_count(&self) -> u64 {
        self.refused
    }

    /// Entries that found the submission queue full and waited in memory.
    pub fn full_count(&self) -> u64 {
        self.waited
    }

    /// Operations that failed because the kernel had no memory to keep their answers.
    pub fn lost_count(&self) -> u64 {
        self.lost
    }

    /// Times a helper had to submit, reap or fire timers because the worker was stuck in user code.
    pub fn rescue_count(&self) -> u64 {
        self.rescues
    }

    /// Operations that were submitted and are not done, at the moment of the reading.
    pub fn operations_in_flight(&self) -> usize {
        self.in_flight
    }
}

fn mean(things: u64, batches: u64) -> f64 {
    if batches == 0 {
        return 0.0;
    }
    things as f64 / batches as f64
}
