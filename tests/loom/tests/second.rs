//! The second driver: answers that its pool's threads leave, whose turn it is to sleep, and who has a job.
#![cfg(loom)]

use std::sync::Arc;

use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::Relaxed;
use ringway_loom_models::crew;
use ringway_loom_models::{check, spawn};
use ringway_runtime::internals::{Answer, Bell, Claim, Gate, ParkWord, Turn, Unparked};

/// A poller without descriptors: a thread sleeps in it until it is called, before or meanwhile.
#[derive(Default)]
struct Poller(crew::Bell);

impl Bell for Poller {
    fn ring(&self) {
        self.0.ring();
    }
}

/// A device, as far as the gate goes, and the park word of its worker.
struct Device {
    gate: Gate,
    poller: Poller,
    word: ParkWord,
}

const DOORBELL: u64 = u64::MAX;

impl Device {
    fn new() -> Arc<Self> {
        let word = ParkWord::new_vacant();
        word.wake();
        Arc::new(Self {
            gate: Gate::new(),
            poller: Poller::default(),
            word,
        })
    }

    /// As `PollDevice::enter` with a wait.
    fn sleep(&self) {
        match self.gate.enter(true, &self.poller) {
            Turn::Away => {}
            Turn::Look => self.gate.leave(),
            Turn::Sleep => self.sleep_on(),
        }
    }

    /// With the turn.
    fn sleep_on(&self) {
        self.poller.0.wait();
        self.gate.wake();
        self.gate.leave();
    }

    /// As a thread of the blocking pool that is through with a call.
    fn post(&self, user_data: u64) {
        let answer = Answer {
            result: 0,
            flags: 0,
        };
        self.gate.post(&mut vec![(user_data, answer)], &self.poller);
    }

    /// What is there, all of it.
    fn reap(&self) -> Vec<u64> {
        let mut found = Vec::new();
        self.gate.reap(&mut { usize::MAX }, &mut |user_data, _| {
            found.push(user_data)
        });
        found
    }

    /// As `Shard::unpark`.
    fn unpark(&self) {
        if self.word.unpark() == Unparked::RingDoorbell {
            self.gate.ring_doorbell(&self.poller);
        }
    }

    /// As `Shard::rescue`: looks, reaps, and rings again what it took from the sleeper.
    fn rescue(&self) -> Vec<u64> {
        if self.gate.enter(false, &self.poller) == Turn::Look {
            self.gate.leave();
        }
        let mut found = self.reap();
        let had_rung = found.contains(&DOORBELL);
        if had_rung && self.word.is_notified() {
            self.gate.ring_doorbell(&self.poller);
        }
        found.retain(|&user_data| user_data != DOORBELL);
        found
    }
}

/// Two threads of the pool leave their answers while the worker falls asleep: it reaps both.
///
/// Mutants in `driver/poll/gate.rs`: `post` rings for nobody; `enter` sleeps though answers are there; it says that it
/// sleeps when it has let go of the lock.
#[test]
fn answers_of_the_pool_reach_a_worker_that_falls_asleep() {
    check(|| {
        let device = Device::new();
        let threads = [7, 8].map(|user_data| {
            let device = Arc::clone(&device);
            spawn(move || device.post(user_data))
        });
        let mut found = device.reap();
        while found.len() < 2 {
            device.sleep();
            found.extend(device.reap());
        }
        for thread in threads {
            thread.join().expect("no panic");
        }
        assert_eq!(found.iter().sum::<u64>(), 15);
    });
}

/// A worker is unparked while it falls asleep, and a helper, who looks too, takes the doorbell's ring: the worker wakes.
///
/// Mutants in `driver/poll/gate.rs`: `ring_doorbell` rings for nobody; it leaves nothing to be reaped.
#[test]
fn a_doorbell_of_the_second_driver_wakes_the_worker_whoever_reaps_it() {
    check(|| {
        let device = Device::new();
        let guest = {
            let device = Arc::clone(&device);
            spawn(move || device.unpark())
        };
        let helper = {
            let device = Arc::clone(&device);
            spawn(move || device.rescue())
        };
        while device.word.park() {
            device.sleep();
            if device.word.wake() {
                break;
            }
            device.reap();
        }
        guest.join().expect("no panic");
        helper.join().expect("no panic");
    });
}

/// The worker's own thread sleeps in the poller, and another, which has taken the core over, wants to sleep as well. The
/// first leaves, and the second gets the answer that comes.
///
/// Mutants in `driver/poll/gate.rs`: `leave` tells nobody; `enter` sleeps though answers are there.
#[test]
fn a_second_sleeper_gets_its_turn_and_what_comes() {
    check(|| {
        let device = Device::new();
        assert_eq!(device.gate.enter(true, &device.poller), Turn::Sleep);
        let own = {
            let device = Arc::clone(&device);
            spawn(move || device.sleep_on())
        };
        let thread = {
            let device = Arc::clone(&device);
            spawn(move || device.post(7))
        };
        let mut found = device.reap();
        while found.is_empty() {
            device.sleep();
            found.extend(device.reap());
        }
        // It was called out by who wanted its turn, or by the answer.
        own.join().expect("no panic");
        thread.join().expect("no panic");
    });
}

/// A job is begun by a thread of the pool, cancelled, and dropped by the pool at its end, all at once: it has one answer.
///
/// Mutants in `driver/poll/claim.rs`: `take` is a load and a store; `cancel` grants what has begun.
#[test]
fn a_job_of_the_second_driver_is_answered_once() {
    check(|| {
        let claim = Arc::new(Claim::new());
        let answers = Arc::new(AtomicUsize::new(0));
        let count = |granted: bool, answers: &AtomicUsize| {
            answers.fetch_add(usize::from(granted), Relaxed);
        };
        let runner = {
            let (claim, answers) = (Arc::clone(&claim), Arc::clone(&answers));
            spawn(move || {
                count(claim.begin(), &answers);
                // The pool drops every job.
                count(claim.cancel(), &answers);
            })
        };
        let canceller = {
            let (claim, answers) = (Arc::clone(&claim), Arc::clone(&answers));
            spawn(move || count(claim.cancel(), &answers))
        };
        runner.join().expect("no panic");
        canceller.join().expect("no panic");
        assert_eq!(answers.load(Relaxed), 1);
    });
}
