//! The second driver's table: requests that wait for descriptors or are with the blocking pool, between those who enter,
//! those who cancel, the pool's threads and what happens to the descriptors.
#![cfg(loom)]

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, OnceLock};
use std::task::Waker;

use loom::sync::{Condvar, Mutex};
use ringway_loom_models::device::{Calls, at, work_until};
use ringway_loom_models::{check, spawn};
use ringway_runtime::driver::{Completion, Operation, opcode, squeue, types};
use ringway_runtime::internals::{Key, PollMachine, Polled, Specimen};

/// A request, and the descriptor that it names.
struct Ask {
    entry: squeue::Entry,
    _held: Arc<UnixStream>,
}

// SAFETY: the request names no memory, and holds its descriptor open.
unsafe impl Operation for Ask {
    type Output = io::Result<u32>;

    fn entry(&mut self) -> squeue::Entry {
        self.entry.clone()
    }

    fn complete(self, completion: Completion) -> io::Result<u32> {
        completion.result
    }
}

/// Two ends of a stream: one to be watched, and one to make it ready.
struct Stream {
    watched: Arc<UnixStream>,
    other: UnixStream,
}

impl Stream {
    fn new() -> Self {
        let (watched, other) = UnixStream::pair().expect("a stream");
        watched.set_nonblocking(true).expect("an option");
        Self {
            watched: Arc::new(watched),
            other,
        }
    }

    fn fd(&self) -> types::Fd {
        types::Fd(self.watched.as_raw_fd())
    }

    fn ask(&self, entry: squeue::Entry) -> Ask {
        Ask {
            entry,
            _held: Arc::clone(&self.watched),
        }
    }

    /// Waits until there is something to read.
    fn poll(&self) -> Ask {
        self.ask(opcode::PollAdd::new(self.fd(), libc::POLLIN as u32).build())
    }

    /// A call that may wait for a disk, for all the driver knows.
    fn sync(&self) -> Ask {
        self.ask(opcode::Fsync::new(self.fd()).build())
    }

    /// A call of the same kind that finds out, at the pool, that it has to wait for the stream.
    fn splice(&self) -> Ask {
        static SINK: OnceLock<File> = OnceLock::new();
        let sink = SINK.get_or_init(|| tempfile::tempfile().expect("a file"));
        let sink = types::Fd(sink.as_raw_fd());
        self.ask(opcode::Splice::new(self.fd(), -1, sink, -1, 1).build())
    }

    /// Whether no request holds the watched end.
    fn is_free(&self) -> bool {
        Arc::strong_count(&self.watched) == 1
    }
}

/// The blocking pool.
#[derive(Default)]
struct Pool {
    jobs: Mutex<VecDeque<Job>>,
    pushed: Condvar,
}

type Job = Box<dyn FnOnce() + Send>;

impl Pool {
    /// Runs the next job.
    fn run_one(&self) {
        let mut jobs = self.jobs.lock().expect("no panic inside");
        let job = loop {
            if let Some(job) = jobs.pop_front() {
                break job;
            }
            jobs = self.pushed.wait(jobs).expect("no panic inside");
        };
        drop(jobs);
        job();
    }
}

fn shard() -> (Specimen, PollMachine, Arc<Pool>) {
    let pool = Arc::new(Pool::default());
    let of_device = Arc::clone(&pool);
    let (shard, machine) = PollMachine::new(Box::new(move |job| {
        let mut jobs = of_device.jobs.lock().expect("no panic inside");
        jobs.push_back(job);
        of_device.pushed.notify_one();
    }));
    (shard, machine, pool)
}

fn submit(shard: &Specimen, ask: Ask, waker: &Waker) -> Key {
    shard.submit(ask, waker).expect("the shard is open")
}

fn take(shard: &Specimen, key: Key) -> io::Result<u32> {
    match shard.poll::<Ask>(key, Waker::noop()) {
        Polled::Ready(ask, answer) => ask.complete(ringway_loom_models::kernel::completion(answer)),
        Polled::Pending(_) => panic!("it has not ended"),
    }
}

/// As a worker with nothing else to do, until no operation is left.
fn work_until_idle(shard: &Specimen) {
    shard.as_owner(|| {
        shard.service(at(0));
        while !shard.is_idle() {
            shard.sleep();
            shard.service(at(0));
        }
    });
}

/// As a helper, who calls the worker of the model to look whether nothing is left.
fn help(shard: &Specimen) {
    shard.rescue(at(0));
    shard.unpark();
}

/// Nothing of any request is left, and none was answered twice.
fn assert_over(shard: &Specimen, machine: &PollMachine, stream: &Stream) {
    shard.as_owner(|| shard.service(at(0)));
    assert!(machine.is_empty());
    assert!(stream.is_free());
    assert_eq!(shard.strays(), 0);
}

/// What is watched becomes ready while the worker falls asleep and a helper, who takes it to be stuck, looks in its place:
/// who waits is answered, once.
///
/// Mutants: in `driver/poll/table.rs`, `wait` does not arm the registration; in `driver/poll/mod.rs`, `change` posts no
/// answers, or `look` keeps the turn.
#[test]
fn an_event_that_a_helper_may_find_first_ends_a_poll_of_a_worker_that_falls_asleep() {
    check(|| {
        let (shard, machine, _pool) = shard();
        let stream = Stream::new();
        let (calls, waker) = Calls::new(&shard);
        let key = shard.as_owner(|| submit(&shard, stream.poll(), &waker));
        let helper = {
            let shard = shard.clone();
            spawn(move || shard.rescue(at(0)))
        };
        let mut other = stream.other.try_clone().expect("a descriptor");
        let world = {
            let machine = machine.clone();
            spawn(move || {
                other.write_all(b".").expect("room");
                machine.tell();
            })
        };
        work_until(&shard, &calls, 1);
        let events = take(&shard, key).expect("events");
        assert_eq!(events, libc::POLLIN as u32);
        world.join().expect("no panic");
        helper.join().expect("no panic");
        assert_over(&shard, &machine, &stream);
    });
}

/// A worker queues a poll and its cancel, and a helper takes them over as well: the cancel comes second, whoever of them
/// begins what.
///
/// Mutant in `driver/poll/mod.rs`: `begin` takes what was pushed before it has the lock of the table.
#[test]
fn a_cancel_does_not_overtake_its_request_whoever_enters() {
    check(|| {
        let (shard, machine, _pool) = shard();
        let stream = Stream::new();
        shard.as_owner(|| {
            let key = submit(&shard, stream.poll(), Waker::noop());
            shard.abandon(key);
        });
        let helper = {
            let shard = shard.clone();
            spawn(move || help(&shard))
        };
        work_until_idle(&shard);
        helper.join().expect("no panic");
        assert_over(&shard, &machine, &stream);
    });
}

/// A future is dropped while its event comes: the request is over once, and nothing of it stays.
///
/// Mutants in `driver/poll/table.rs`: `stop_waiting` leaves the waiter where it is, or does not answer.
#[test]
fn a_poll_that_is_cancelled_while_its_event_comes_leaves_nothing() {
    check(|| {
        let (shard, machine, _pool) = shard();
        let stream = Stream::new();
        let key = shard.as_owner(|| {
            let key = submit(&shard, stream.poll(), Waker::noop());
            shard.service(at(0));
            key
        });
        let mut other = stream.other.try_clone().expect("a descriptor");
        let world = {
            let (machine, shard) = (machine.clone(), shard.clone());
            spawn(move || {
                other.write_all(b".").expect("room");
                machine.tell();
                help(&shard);
            })
        };
        shard.as_owner(|| shard.abandon(key));
        work_until_idle(&shard);
        world.join().expect("no panic");
        assert_over(&shard, &machine, &stream);
    });
}

/// A call is cancelled while a thread of the pool begins it: it has one answer, from one of the two.
///
/// Mutants: in `driver/poll/table.rs`, `cancel_one` answers though the job has begun; in `driver/poll/job.rs`, `run` does
/// not mind that the job was cancelled, or leaves it in the table (`finish`).
#[test]
fn a_call_that_is_cancelled_while_the_pool_begins_it_leaves_nothing() {
    check(|| {
        cancel_beside_the_pool(|shard, stream| submit(shard, stream.sync(), Waker::noop()));
    });
}

/// A call is cancelled while a thread of the pool finds out that it would have to wait for a descriptor: it does not wait,
/// for nobody will cancel it once more.
///
/// Mutants: in `driver/poll/job.rs`, `cancel` does not note that the job is unwanted; in `driver/poll/mod.rs`, `take_back`
/// does not mind that it is.
#[test]
fn a_call_that_is_cancelled_while_it_comes_back_from_the_pool_does_not_wait() {
    check(|| {
        cancel_beside_the_pool(|shard, stream| submit(shard, stream.splice(), Waker::noop()));
    });
}

/// The owner begins an operation and abandons it, while a thread of the pool does one job.
fn cancel_beside_the_pool(begin: impl FnOnce(&Specimen, &Stream) -> Key) {
    let (shard, machine, pool) = shard();
    let stream = Stream::new();
    let thread = {
        let pool = Arc::clone(&pool);
        spawn(move || pool.run_one())
    };
    shard.as_owner(|| {
        let key = begin(&shard, &stream);
        shard.service(at(0));
        shard.abandon(key);
    });
    work_until_idle(&shard);
    thread.join().expect("no panic");
    assert_over(&shard, &machine, &stream);
}
