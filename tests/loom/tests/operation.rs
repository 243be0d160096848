//! An operation between its future, the threads that reap, and the kernel.
#![cfg(loom)]

use std::sync::Arc;
use std::task::Waker;

use ringway_loom_models::kernel::{
    Buffer, Kernel, ModelRing, Outcome, Queues, Read, completion, finish,
};
use ringway_loom_models::{Alarm, Count, check, spawn};
use ringway_runtime::driver::{Operation, opcode, squeue, types};
use ringway_runtime::internals::{Abandoned, Key, Operations, Polled, Settled, Submitted};

/// A shard's operations and its ring.
struct Shard {
    queues: Arc<Queues>,
    operations: Operations<ModelRing>,
}

impl Shard {
    fn new(capacity: usize) -> Arc<Self> {
        let queues = Queues::new(capacity);
        Arc::new(Self {
            operations: Operations::new(ModelRing(Arc::clone(&queues))),
            queues,
        })
    }

    fn submit(&self, waker: &Waker) -> (Key, Arc<Buffer>) {
        let (read, buffer) = Read::new();
        match self.operations.submit(read, Some(waker.clone())) {
            Submitted::Queued { key, .. } => (key, buffer),
            Submitted::Refused(_) | Submitted::NoRoom(_) => panic!("the shard is open"),
        }
    }

    /// As `Shard::abandon`.
    fn abandon(&self, key: Key) {
        match self.operations.abandon(key) {
            Abandoned::Cancel(waker) => drop(waker),
            Abandoned::Finish(orphan) => finish(orphan),
        }
    }

    /// As `Shard::service`.
    fn reap(&self) {
        let mut settled = Settled::default();
        self.operations.reap(&mut { usize::MAX }, &mut settled);
        act(settled);
    }

    /// As `Shard::rescue`.
    fn try_reap(&self) {
        let mut settled = Settled::default();
        self.operations.try_reap(&mut settled);
        act(settled);
    }

    /// Reaps until the kernel has let go of everything.
    fn reap_all(&self) {
        while self.operations.in_flight() > 0 {
            self.queues.sleep();
            self.reap();
        }
    }

    /// Polls as `Op` does; the outcome if there is one.
    fn poll(&self, key: Key, waker: &Waker) -> Option<Outcome> {
        match self.operations.poll::<Read>(key, waker) {
            Polled::Pending(replaced) => {
                drop(replaced);
                None
            }
            Polled::Ready(read, answer) => Some(read.complete(completion(answer))),
        }
    }

    /// The result of an operation whose task was woken.
    fn result_of(&self, key: Key) -> u32 {
        let outcome = self.poll(key, Waker::noop()).expect("it was woken");
        outcome.result.expect("it did not fail")
    }
}

/// As `Shard::act`.
fn act(settled: Settled) {
    settled.orphans.into_iter().for_each(finish);
    settled.wakers.into_iter().for_each(Waker::wake);
}

/// The future is dropped while the kernel works: it either cancels the operation or completes it. The memory is freed
/// once, after the last CQE, and no output is lost.
///
/// Mutants in `driver/slots.rs`: `abandon` frees an operation that is in flight; `settle` makes no orphan of an
/// abandoned operation; it does not take the answer to a cancelled one for the last.
#[test]
fn a_dropped_operation_keeps_its_memory_until_the_last_completion() {
    check(|| {
        let shard = Shard::new(4);
        let (key, buffer) = shard.submit(Waker::noop());
        let mut kernel = Kernel::new(&shard.queues);
        kernel.take();
        let kernel = spawn(move || {
            // What is not cancelled by now is completed.
            kernel.take();
            kernel.cancel();
            kernel.complete(1);
            kernel
        });
        shard.abandon(key);
        shard.reap_all();
        assert!(buffer.is_free());
        let mut kernel = kernel.join().expect("no panic");
        kernel.take();
        kernel.cancel();
        shard.reap();
    });
}

/// The answer is there when the future is dropped and a helper reaps: one of the two finishes the operation.
///
/// Mutants in `driver/slots.rs`: `abandon` of an operation that is done leaves its output, or does not free the slot;
/// `settle` of an abandoned one does not free the slot.
#[test]
fn a_drop_against_a_helpers_reaping_finishes_the_operation_once() {
    check(|| {
        let shard = Shard::new(4);
        let (wakes, waker) = Count::new();
        let (key, buffer) = shard.submit(&waker);
        let mut kernel = Kernel::new(&shard.queues);
        kernel.take();
        kernel.complete(1);
        let helper = {
            let shard = Arc::clone(&shard);
            spawn(move || shard.try_reap())
        };
        shard.abandon(key);
        helper.join().expect("no panic");
        shard.reap();
        assert!(buffer.is_free());
        assert_eq!(shard.operations.in_flight(), 0);
        assert!(wakes.wakes() <= 1);
        let (next, _) = shard.submit(&waker);
        assert_eq!(slot_of(next), slot_of(key), "the slot is free again");
        shard.abandon(next);
        kernel.take();
        kernel.cancel();
        shard.reap();
    });
}

fn slot_of(key: Key) -> u32 {
    key.to_user_data() as u32
}

/// The owner and a helper reap at once an operation that the kernel answers in two CQEs: the first has the result, and
/// the last lets go of the memory. The task is woken once, after the last, and gets the result of the first.
///
/// Mutants: `reap` in `driver/operations.rs` lets go of the lock between taking the CQEs and settling them; `settle` in
/// `driver/slots.rs` forgets the first answer when the last comes; it takes the first for the last; it hands out no
/// waker.
#[test]
fn an_owner_and_a_helper_that_reap_at_once_settle_once() {
    check(|| {
        let shard = Shard::new(4);
        let (wakes, waker) = Count::new();
        let (key, _buffer) = shard.submit(&waker);
        let mut kernel = Kernel::new(&shard.queues);
        kernel.take();
        kernel.post_first(5);
        let kernel = spawn(move || assert!(kernel.complete(0)));
        let helper = {
            let shard = Arc::clone(&shard);
            spawn(move || shard.try_reap())
        };
        let task = {
            let (shard, wakes) = (Arc::clone(&shard), Arc::clone(&wakes));
            // As a task that is polled when it was woken, and drops what it gets.
            spawn(move || (wakes.wakes() > 0).then(|| shard.result_of(key)))
        };
        shard.reap();
        helper.join().expect("no panic");
        let result = task.join().expect("no panic");
        kernel.join().expect("no panic");
        shard.reap();
        assert_eq!(wakes.wakes(), 1);
        assert_eq!(result.unwrap_or_else(|| shard.result_of(key)), 5);
        assert_eq!(shard.operations.in_flight(), 0);
    });
}

/// An operation is dropped, and the next one gets its slot, while the kernel takes its time with the cancel. The cancel
/// never hits the next operation.
///
/// Mutant in `driver/slots.rs`: `give_free` leaves the generation as it is.
#[test]
fn a_late_cancel_never_hits_the_next_operation_in_the_slot() {
    check(|| {
        let shard = Shard::new(4);
        let (key, first) = shard.submit(Waker::noop());
        let mut kernel = Kernel::new(&shard.queues);
        kernel.take();
        let kernel = spawn(move || {
            kernel.complete(1);
            kernel.wait();
            kernel.take();
            kernel.cancel();
            while !kernel.complete(2) {
                kernel.wait();
            }
            kernel.cancelled
        });
        shard.abandon(key);
        shard.reap_all();
        assert!(first.is_free());
        let (next, second) = shard.submit(Waker::noop());
        assert_eq!(slot_of(next), slot_of(key), "the model is of one slot");
        shard.reap_all();
        assert_eq!(shard.result_of(next), 2);
        let cancelled = kernel.join().expect("no panic");
        assert!(!cancelled.contains(&second.address()));
    });
}

/// The ring has room for one SQE. A dropped operation that waits in the backlog is submitted before its cancel, which
/// else would find nothing, and the operation would stay for ever.
///
/// Mutants in `driver/operations.rs`: `queue` pushes although others wait in the backlog; `unsubmitted` does not count
/// the backlog, so that its owner sleeps over it; `abandon` queues no cancel.
#[test]
fn a_cancel_never_overtakes_its_operation() {
    check(|| {
        let shard = Shard::new(1);
        let (first, _) = shard.submit(Waker::noop());
        let (second, buffer) = shard.submit(Waker::noop());
        let mut kernel = Kernel::new(&shard.queues);
        let kernel = spawn(move || {
            // The second is one that only a cancel ends.
            kernel.wait();
            kernel.complete(1);
            while kernel.cancelled.is_empty() {
                kernel.wait();
                kernel.cancel();
            }
        });
        shard.abandon(second);
        while shard.operations.in_flight() > 0 {
            // As the owner's flush, which refills the ring.
            while shard.operations.unsubmitted() > 0 {
                loom::thread::yield_now();
            }
            shard.queues.sleep();
            shard.reap();
        }
        kernel.join().expect("no panic");
        assert!(buffer.is_free());
        assert!(shard.poll(first, Waker::noop()).is_some());
    });
}

/// An operation is submitted while its shard is drained: it is refused, or the drain cancels it. None stays with the
/// kernel behind the drain's back.
///
/// Mutants: `submit` in `driver/operations.rs` does not mind that the shard is closed; `close` does not close it;
/// `expect_cancel_of_all` in `driver/slots.rs` marks nothing, so that a cancelled operation is submitted again.
#[test]
fn a_submission_during_the_drain_is_refused_or_cancelled() {
    check(|| {
        let shard = Shard::new(4);
        let drain = {
            let shard = Arc::clone(&shard);
            spawn(move || {
                let mut kernel = Kernel::new(&shard.queues);
                let mut rounds = 0;
                loop {
                    shard.operations.close(cancel_everything);
                    kernel.take();
                    kernel.cancel();
                    shard.reap();
                    rounds += 1;
                    if shard.operations.in_flight() == 0 {
                        return rounds;
                    }
                }
            })
        };
        let (wakes, waker) = Count::new();
        let (read, buffer) = Read::new();
        let submitted = shard.operations.submit(read, Some(waker.clone()));
        let rounds = drain.join().expect("no panic");
        assert_eq!(
            rounds, 1,
            "what is submitted before the close is cancelled by it"
        );
        assert_eq!(shard.operations.in_flight(), 0, "the shard is drained");
        match submitted {
            Submitted::Refused(read) | Submitted::NoRoom(read) => drop(read),
            Submitted::Queued { key, .. } => {
                assert_eq!(wakes.wakes(), 1);
                let outcome = shard.poll(key, &waker).expect("it was woken");
                assert!(outcome.result.is_err());
            }
        }
        assert!(buffer.is_free());
    });
}

fn cancel_everything() -> Option<squeue::Entry> {
    Some(opcode::AsyncCancel2::new(types::CancelBuilder::any()).build())
}

/// The task moves to another waker while the answer is settled: it finds the answer, or the new waker is woken.
///
/// Mutants in `driver/slots.rs`: `poll` keeps the waker that it has; `settle` calls the operation done without handing
/// out the waker.
#[test]
fn a_poll_with_another_waker_is_not_forgotten_by_the_settling() {
    check(|| {
        let shard = Shard::new(4);
        let (_, former) = Count::new();
        let (key, _buffer) = shard.submit(&former);
        let mut kernel = Kernel::new(&shard.queues);
        kernel.take();
        let reaper = {
            let shard = Arc::clone(&shard);
            spawn(move || {
                kernel.complete(3);
                shard.reap();
            })
        };
        let waker = Alarm::waker();
        let outcome = loop {
            match shard.poll(key, &waker) {
                Some(outcome) => break outcome,
                None => loom::thread::park(),
            }
        };
        assert_eq!(outcome.result.expect("no error"), 3);
        reaper.join().expect("no panic");
    });
}
