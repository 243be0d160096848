//! Answers of many, put together while they are taken: in order, none lost, and the slot freed after the last.
#![cfg(loom)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Waker;

use ringway_loom_models::kernel::{MORE, ModelRing, Queues};
use ringway_loom_models::{Alarm, check, spawn};
use ringway_runtime::driver::{Answers, Completion, Operation, Tell, opcode, squeue, types};
use ringway_runtime::internals::{Abandoned, Key, Next, Operations, Settled, Submitted, Told};

/// Answers that each own something, of which there must be as many at the end as were given.
#[derive(Debug)]
struct Stream;

/// A poll that tells what it sees.
struct Masks(Arc<dyn Tell>);

/// What was told: each mask once, if this is the sum. Nothing that loom sees, so it orders nothing.
#[derive(Debug, Default)]
struct Sum(AtomicU32);

impl Tell for Sum {
    fn tell(self: Arc<Self>, mask: u32) {
        self.0.fetch_add(mask, Ordering::Relaxed);
    }
}

// SAFETY: the entry names no memory and no descriptor.
unsafe impl Operation for Stream {
    type Output = i32;
    const ANSWERS: Answers<Self> = Answers::Queue {
        item: |_, completion| result_of(&completion),
        limit: 2,
    };

    fn entry(&mut self) -> squeue::Entry {
        opcode::Nop::new().build()
    }

    fn complete(self, completion: Completion) -> i32 {
        result_of(&completion)
    }
}

// SAFETY: as above.
unsafe impl Operation for Masks {
    type Output = i32;
    const ANSWERS: Answers<Self> = Answers::Told(|masks| &masks.0);

    fn entry(&mut self) -> squeue::Entry {
        opcode::PollAdd::new(types::Fd(-1), 1).multi(true).build()
    }

    fn complete(self, completion: Completion) -> i32 {
        result_of(&completion)
    }
}

fn result_of(completion: &Completion) -> i32 {
    match &completion.result {
        Ok(value) => *value as i32,
        Err(error) => -error.raw_os_error().expect("the kernel's"),
    }
}

struct Shard {
    queues: Arc<Queues>,
    operations: Operations<ModelRing>,
}

impl Shard {
    fn new() -> Arc<Self> {
        let queues = Queues::new(4);
        Arc::new(Self {
            operations: Operations::new(ModelRing(Arc::clone(&queues))),
            queues,
        })
    }

    fn submit<T: Operation>(&self, operation: T, waker: &Waker) -> Key {
        match self.operations.submit(operation, Some(waker.clone())) {
            Submitted::Queued { key, .. } => key,
            _ => panic!("the shard is open"),
        }
    }

    fn answer(&self, key: Key, result: i32, flags: u32) {
        self.queues.post(key.to_user_data(), result, flags);
    }

    /// As `Shard::service` and `Shard::rescue`.
    fn reap(&self) {
        let mut settled = Settled::default();
        self.operations.reap(&mut { usize::MAX }, &mut settled);
        for orphan in settled.orphans {
            ringway_loom_models::kernel::finish(orphan);
        }
        settled.told.into_iter().for_each(Told::tell);
        settled.wakers.into_iter().for_each(Waker::wake);
    }

    /// As a task that takes outputs until the last: all of them, and the last.
    fn take_all<T: Operation<Output = i32>>(&self, key: Key, waker: &Waker) -> (Vec<i32>, i32) {
        let mut items = Vec::new();
        loop {
            match self.operations.next::<T>(key, waker) {
                Next::Item(item) => items.push(item),
                Next::Last(_, answer) => return (items, answer.result),
                Next::Pending(replaced) => {
                    drop(replaced);
                    loom::thread::park();
                }
                Next::Resumed { .. } => panic!("the kernel has not given it up"),
            }
        }
    }
}

/// The kernel answers twice while an owner and a helper reap and the task takes: the task gets each answer once, in
/// order, and the last at the end.
///
/// Mutants in `driver/slots.rs`: `next` takes the last answer before those that wait; `end` wakes nobody.
#[test]
fn every_answer_of_many_is_taken_once_and_in_order() {
    check(|| {
        let shard = Shard::new();
        let waker = Alarm::waker();
        let key = shard.submit(Stream, &waker);
        shard.answer(key, 1, MORE);
        let helper = {
            let shard = Arc::clone(&shard);
            spawn(move || shard.reap())
        };
        let kernel = {
            let shard = Arc::clone(&shard);
            spawn(move || {
                shard.answer(key, 2, 0);
                shard.reap();
            })
        };
        assert_eq!(shard.take_all::<Stream>(key, &waker), (vec![1], 2));
        helper.join().expect("no panic");
        kernel.join().expect("no panic");
        assert_eq!(shard.operations.in_flight(), 0);
    });
}

/// Events are reaped by an owner and a helper: each is told, and once, up to the end, of which the waker tells that was
/// stored when the poll was submitted.
///
/// Mutants in `driver/slots.rs`: `gather` tells nobody; `end` wakes nobody.
#[test]
fn every_event_of_a_poll_is_told_once_and_then_its_end() {
    check(|| {
        let shard = Shard::new();
        let waker = Alarm::waker();
        let sum = Arc::new(Sum::default());
        let key = shard.submit(Masks(sum.clone()), &waker);
        shard.answer(key, 1, MORE);
        let helper = {
            let shard = Arc::clone(&shard);
            spawn(move || shard.reap())
        };
        let kernel = {
            let shard = Arc::clone(&shard);
            spawn(move || {
                shard.answer(key, 4, MORE);
                shard.answer(key, 2, 0);
                shard.reap();
            })
        };
        loom::thread::park();
        assert_eq!(shard.take_all::<Masks>(key, &waker), (vec![], 2));
        helper.join().expect("no panic");
        kernel.join().expect("no panic");
        assert_eq!(sum.0.load(Ordering::Relaxed), 5);
        assert_eq!(shard.operations.in_flight(), 0);
    });
}

/// The future is dropped while an event is told: who is told may be so late, and lives until then, and no longer.
///
/// Mutant in `driver/slots.rs`: `gather` keeps who is told.
#[test]
fn who_is_told_late_is_not_kept() {
    check(|| {
        let shard = Shard::new();
        let sum = Arc::new(Sum::default());
        let key = shard.submit(Masks(sum.clone()), Waker::noop());
        shard.answer(key, 1, MORE);
        let helper = {
            let shard = Arc::clone(&shard);
            spawn(move || {
                shard.reap();
                shard.answer(key, 4, MORE);
                shard.answer(key, -libc::ECANCELED, 0);
                shard.reap();
            })
        };
        match shard.operations.abandon(key) {
            Abandoned::Cancel(waker) => drop(waker),
            Abandoned::Finish(orphan) => ringway_loom_models::kernel::finish(orphan),
        }
        helper.join().expect("no panic");
        assert!(sum.0.load(Ordering::Relaxed) <= 5);
        assert_eq!(Arc::strong_count(&sum), 1);
        assert_eq!(shard.operations.in_flight(), 0);
    });
}

/// The future is dropped while answers come and are reaped by a helper: the slot is freed once, after the last.
///
/// Mutant in `driver/slots.rs`: `end` does not free the slot of an abandoned one.
#[test]
fn a_drop_between_two_of_many_answers_frees_the_slot_after_the_last() {
    check(|| {
        let shard = Shard::new();
        let key = shard.submit(Stream, Waker::noop());
        shard.answer(key, 1, MORE);
        let helper = {
            let shard = Arc::clone(&shard);
            spawn(move || {
                shard.reap();
                shard.answer(key, -libc::ECANCELED, 0);
                shard.reap();
            })
        };
        match shard.operations.abandon(key) {
            Abandoned::Cancel(waker) => drop(waker),
            Abandoned::Finish(orphan) => ringway_loom_models::kernel::finish(orphan),
        }
        helper.join().expect("no panic");
        assert_eq!(shard.operations.in_flight(), 0);
        let next = shard.submit(Stream, Waker::noop());
        assert_eq!(
            next.to_user_data() as u32,
            key.to_user_data() as u32,
            "the slot is free again"
        );
        assert_ne!(next, key);
        let _ = shard.operations.abandon(next);
    });
}
