//! An operation with many answers between whoever takes them, the threads that reap, and the kernel.
#![cfg(loom)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;

use ringway_loom_models::kernel::{Buffer, Kernel, ModelRing, Queues, Read, completion, finish};
use ringway_loom_models::{Alarm, check, spawn};
use ringway_runtime::driver::{Answers, Completion, Operation, Tell, squeue};
use ringway_runtime::internals::{Abandoned, Key, Next, Operations, Settled, Submitted, Told};

/// What answers own: how many of it were made, and how many are gone. Nothing that loom sees, so it orders nothing.
#[derive(Debug, Default)]
struct Ledger {
    made: AtomicUsize,
    gone: AtomicUsize,
}

/// What one answer owns.
#[derive(Debug)]
struct Owned {
    result: u32,
    ledger: Arc<Ledger>,
}

impl Owned {
    fn new(ledger: &Arc<Ledger>, completion: Completion) -> Option<Self> {
        let result = completion.result.ok()?;
        ledger.made.fetch_add(1, Ordering::Relaxed);
        Some(Self {
            result,
            ledger: Arc::clone(ledger),
        })
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.ledger.gone.fetch_add(1, Ordering::Relaxed);
    }
}

/// An operation each of whose answers owns something.
#[derive(Debug)]
struct Accepts {
    read: Read,
    ledger: Arc<Ledger>,
}

/// So many answers may wait.
const LIMIT: u32 = 2;

// SAFETY: as that of `Read`, to which the memory belongs.
unsafe impl Operation for Accepts {
    type Output = Option<Owned>;

    const ANSWERS: Answers<Self> = Answers::Queue {
        item: |accepts, completion| Owned::new(&accepts.ledger, completion),
        limit: LIMIT,
    };

    fn entry(&mut self) -> squeue::Entry {
        self.read.entry()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        Owned::new(&self.ledger, completion)
    }
}

/// An operation whose answers are masks.
struct Poll {
    read: Read,
    heard: Arc<dyn Tell>,
}

/// What a side of a socket has been told and not looked at, and the waker of who waits there.
struct Heard {
    mask: loom::sync::Mutex<u32>,
    waker: Waker,
}

impl Heard {
    fn take(&self) -> u32 {
        std::mem::take(&mut self.mask.lock().expect("no panic"))
    }
}

impl Tell for Heard {
    fn tell(self: Arc<Self>, mask: u32) {
        *self.mask.lock().expect("no panic") |= mask;
        self.waker.wake_by_ref();
    }
}

// SAFETY: as above.
unsafe impl Operation for Poll {
    type Output = Option<u32>;

    const ANSWERS: Answers<Self> = Answers::Told(|poll| &poll.heard);

    fn entry(&mut self) -> squeue::Entry {
        self.read.entry()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        completion.result.ok()
    }
}

/// A shard's operations, its ring, and what its answers own.
struct Shard {
    queues: Arc<Queues>,
    operations: Operations<ModelRing>,
    ledger: Arc<Ledger>,
}

impl Shard {
    fn new() -> Arc<Self> {
        let queues = Queues::new(4);
        Arc::new(Self {
            operations: Operations::new(ModelRing(Arc::clone(&queues))),
            queues,
            ledger: Arc::default(),
        })
    }

    fn submit<T: Operation>(&self, operation: T, waker: &Waker) -> Key {
        match self.operations.submit(operation, Some(waker.clone())) {
            Submitted::Queued { key, .. } => key,
            Submitted::Refused(_) | Submitted::NoRoom(_) => panic!("the shard is open"),
        }
    }

    fn accept(&self, waker: &Waker) -> (Key, Arc<Buffer>) {
        let (read, buffer) = Read::new();
        let ledger = Arc::clone(&self.ledger);
        (self.submit(Accepts { read, ledger }, waker), buffer)
    }

    /// As `Many::poll_next`: an output, or none if none waits.
    fn next<T: Operation>(&self, key: Key, waker: &Waker) -> Option<T::Output> {
        match self.operations.next::<T>(key, waker) {
            Next::Pending(replaced) => {
                drop(replaced);
                None
            }
            Next::Resumed { .. } => None,
            Next::Item(output) => Some(output),
            Next::Last(operation, answer) => Some(operation.complete(completion(answer))),
        }
    }

    /// As `Shard::service`.
    fn reap(&self) {
        let mut settled = Settled::default();
        self.operations.reap(&mut { usize::MAX }, &mut settled);
        settled.orphans.into_iter().for_each(finish);
        settled.told.into_iter().for_each(Told::tell);
        settled.wakers.into_iter().for_each(Waker::wake);
    }

    fn reap_all(&self) {
        while self.operations.in_flight() > 0 {
            self.queues.sleep();
            self.reap();
        }
    }

    /// What was made and what is gone by now.
    fn counts(&self) -> [usize; 2] {
        [&self.ledger.made, &self.ledger.gone].map(|count| count.load(Ordering::Relaxed))
    }
}

/// Who takes the answers takes one and goes, while the kernel posts some more. What an answer owns is made and dropped
/// once, whether it was taken, waited, or came too late.
///
/// Mutants: in `driver/slots.rs`, `untaken` forgets what waits; in `driver/payload.rs`, `finish_of` makes nothing of the
/// earlier answers.
#[test]
fn what_every_answer_owns_is_taken_or_disposed_of_once() {
    check(|| {
        let shard = Shard::new();
        let (key, buffer) = shard.accept(Waker::noop());
        let mut kernel = Kernel::new(&shard.queues);
        kernel.take();
        kernel.post_first(1);
        let kernel = spawn(move || {
            kernel.post_first(2);
            kernel.take();
            kernel.cancel();
            // What was not cancelled by now has a last answer that owns something too.
            let posted = 2 + usize::from(kernel.complete(3));
            (kernel, posted)
        });
        let helper = {
            let shard = Arc::clone(&shard);
            spawn(move || shard.reap())
        };
        drop(shard.next::<Accepts>(key, Waker::noop()));
        match shard.operations.abandon(key) {
            Abandoned::Cancel(waker) => drop(waker),
            Abandoned::Finish(orphan) => finish(orphan),
        }
        helper.join().expect("no panic");
        let (mut kernel, posted) = kernel.join().expect("no panic");
        kernel.take();
        kernel.cancel();
        shard.reap();
        assert!(buffer.is_free());
        assert_eq!(shard.operations.in_flight(), 0);
        assert_eq!(shard.counts(), [posted; 2]);
    });
}

/// A side looks at what its poll has told only when it was woken: an event that comes at any moment before, during or
/// after the look wakes it once more. The end is found where the poll itself is asked.
///
/// Mutants in `driver/slots.rs`: `gather` tells nobody; it tells only the last mask of each look.
#[test]
fn of_what_a_poll_tells_no_bit_is_lost() {
    check(|| {
        let shard = Shard::new();
        let waker = Alarm::waker();
        let heard = Arc::new(Heard {
            mask: loom::sync::Mutex::new(0),
            waker: waker.clone(),
        });
        let read = Read::new().0;
        let told = Arc::clone(&heard);
        let key = shard.submit(Poll { read, heard: told }, &waker);
        let mut kernel = Kernel::new(&shard.queues);
        kernel.take();
        let reaper = {
            let shard = Arc::clone(&shard);
            spawn(move || {
                kernel.post_first(1);
                shard.reap();
                kernel.post_first(4);
                kernel.post_first(2);
                shard.reap();
                kernel
            })
        };
        let mut seen = 0;
        while seen != 7 {
            loom::thread::park();
            seen |= heard.take();
        }
        let mut kernel = reaper.join().expect("no panic");
        kernel.complete(0);
        shard.reap();
        assert_eq!(shard.next::<Poll>(key, &waker), Some(Some(0)));
    });
}

/// More answers come than may wait, while they are taken or before: the operation is cancelled, and goes back into the ring
/// when all are taken. It does not matter who finds out what first.
///
/// Mutants in `driver/slots.rs`: `gather` names no operation that is full; `next` does not put one back that has paused;
/// `end` hands out no waker when it pauses.
#[test]
fn an_operation_of_which_too_much_waits_pauses_and_goes_on() {
    check(|| {
        let shard = Shard::new();
        let waker = Alarm::waker();
        let (key, buffer) = shard.accept(&waker);
        let mut kernel = Kernel::new(&shard.queues);
        kernel.take();
        kernel.post_first(1);
        kernel.post_first(2);
        let owner = {
            let shard = Arc::clone(&shard);
            spawn(move || {
                shard.reap();
                // The cancel, and then the operation once more.
                while kernel.cancelled.is_empty() {
                    kernel.wait();
                    kernel.cancel();
                }
                shard.reap();
                while !kernel.complete(3) {
                    kernel.wait();
                }
                shard.reap();
            })
        };
        let mut taken = Vec::new();
        while taken.len() < 3 {
            match shard.next::<Accepts>(key, &waker) {
                Some(output) => taken.push(output.expect("no error").result),
                None => loom::thread::park(),
            }
        }
        assert_eq!(taken, [1, 2, 3]);
        owner.join().expect("no panic");
        shard.reap_all();
        assert!(buffer.is_free());
        assert_eq!(shard.counts(), [3; 2]);
    });
}
