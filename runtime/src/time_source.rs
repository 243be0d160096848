//! The timers' way to the runtime: which wheel a timer goes to, and what time it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use ringway_timer::seam::{Registration, TimerSource};
use ringway_timer::wheel::Key;

use crate::contain::contain;
use crate::context::{self, Missing};
use crate::driver::{self, Debts, FromAfar, Removed, Shard, Timers};
use crate::fork::{FORKED, Process};
use crate::registry;
use crate::scheduler::Shared;
use crate::task::coop;

/// Makes this runtime the source of all timers.
pub(crate) fn install() {
    ringway_timer::seam::install(&Source);
}

/// The runtimes, as timers see them.
pub(crate) struct Source;

/// Whether any runtime of this process ever had its clock paused: until then nobody asks for the runtime's
/// own clock.
static EVER_PAUSED: AtomicBool = AtomicBool::new(false);

const DISABLED: &str = "A Tokio 1.x context was found, but timers are disabled. \
                        Call `enable_time` on the runtime builder to enable timers.";
const SHUTTING_DOWN: &str = "A Tokio 1.x context was found, but it is being shutdown.";
const NO_CLOCK: &str = "time cannot be frozen from outside the Tokio runtime";

/// A clock was made to stand.
pub(crate) fn note_paused() {
    // Relaxed: set before the clock is handed to anybody who could read it.
    EVER_PAUSED.store(true, Ordering::Relaxed);
}

impl TimerSource for Source {
    fn check(&self) -> Result<u32, &'static str> {
        let current =
            context::with_current(|shared| shared.config.time_enabled.then(|| shared.id()));
        current.map_err(context::missing)?.ok_or(DISABLED)
    }

    fn now(&self) -> Instant {
        if !EVER_PAUSED.load(Ordering::Relaxed) {
            return Instant::now();
        }
        context::with_current(|shared| shared.clock.instant()).unwrap_or_else(|_| Instant::now())
    }

    fn is_due(&self, deadline: Instant) -> bool {
        if EVER_PAUSED.load(Ordering::Relaxed) {
            return self.now() >= deadline;
        }
        context::with_worker(|worker| worker?.has_come(deadline))
            .unwrap_or_else(|| Instant::now() >= deadline)
    }

    fn register(
        &self,
        runtime: u32,
        deadline: Instant,
        waker: &Waker,
    ) -> Result<Registration, &'static str> {
        // Cloned before any lock is taken.
        let waker = waker.clone();
        let registration = with_home(runtime, |shared, shard, owned| {
            let deadline_ns = shared.clock.ns_of(deadline);
            let key = match owned {
                true => shard.timers().insert(deadline_ns, waker),
                false => from_afar(shard, |timers| timers.insert_from_afar(deadline_ns, waker)),
            };
            Some(Registration {
                runtime,
                shard: shard.index(),
                key: key?,
            })
        });
        registration
            .flatten()
            .ok_or_else(|| match registry::is_of_parent(runtime) {
                true => FORKED,
                false => SHUTTING_DOWN,
            })
    }

    fn update(&self, registration: &Registration, waker: &Waker) -> bool {
        let key = registration.key;
        let stays = with_shard(registration, |_, shard, here| match here {
            Here::Home => shard.timers().update(key, waker),
            // It is made anew in this worker's wheel, where it costs less from now on.
            Here::OtherWorker => {
                remove_from_afar(shard, key, here);
                false
            }
            Here::Outside => from_afar(shard, |timers| timers.update_from_afar(key, waker)),
        });
        stays.unwrap_or(false)
    }

    fn reset(&self, registration: &Registration, deadline: Instant) -> bool {
        let key = registration.key;
        let moved = with_shard(registration, |shared, shard, here| {
            let deadline_ns = shared.clock.ns_of(deadline);
            match here {
                Here::Home => shard.timers().reset(key, deadline_ns),
                Here::OtherWorker | Here::Outside => {
                    from_afar(shard, |timers| timers.reset_from_afar(key, deadline_ns))
                }
            }
        });
        moved.unwrap_or(false)
    }

    fn deregister(&self, registration: Registration) {
        let key = registration.key;
        let removed = driver::with_owner(|shard| {
            is_home(&registration, shard).then(|| shard.timers().remove(key))
        });
        if let Some(Some(removed)) = removed {
            return drop_wakers(removed);
        }
        with_shard(&registration, |_, shard, here| {
            remove_from_afar(shard, key, here);
        });
    }

    fn poll_charge(&self, cx: &mut Context<'_>) -> Poll<()> {
        coop::poll_charge(cx)
    }

    fn has_budget(&self) -> bool {
        coop::has_budget_remaining()
    }

    fn pause(&self) -> Result<(), &'static str> {
        with_runtime(|shared| shared.pause_clock())
    }

    fn resume(&self) -> Result<(), &'static str> {
        with_runtime(|shared| shared.resume_clock())
    }

    fn advance(&self, by: Duration) -> Result<(), &'static str> {
        with_runtime(|shared| shared.advance_clock(by))
    }
}

/// Drops wakers of timers of this thread's own shard, where neither its lock nor the shard itself is held.
#[inline]
fn drop_wakers(removed: Removed) {
    match removed {
        Removed::None => {}
        Removed::One(waker) => drop(waker),
        Removed::Several(mut wakers) => {
            contain(|| wakers.clear());
            driver::with_owner(|shard| shard.timers().keep_room(wakers));
        }
    }
}

/// Calls `f` with the runtime whose clock this thread sees.
fn with_runtime(f: impl FnOnce(&Shared) -> Result<(), &'static str>) -> Result<(), &'static str> {
    match context::with_current(|shared| f(shared)) {
        Ok(result) => result,
        Err(Missing::NoRuntime) if !Process::is_child() => Err(NO_CLOCK),
        Err(other) => Err(context::missing(other)),
    }
}

/// Where a thread stands to the wheel of a timer.
#[derive(Clone, Copy, Debug)]
enum Here {
    /// It runs the core to which the wheel belongs.
    Home,
    /// It runs another core of the same runtime.
    OtherWorker,
    /// It runs no core of that runtime.
    Outside,
}

/// Whether the timer is in the wheel of `shard`.
fn is_home(registration: &Registration, shard: &Shard) -> bool {
    shard.runtime() == registration.runtime && shard.index() == registration.shard
}

/// Calls `f` with the shard in which this thread's timers live, and whether it is this thread's own.
fn with_home<R>(runtime: u32, f: impl FnOnce(&Arc<Shared>, &Arc<Shard>, bool) -> R) -> Option<R> {
    let own = driver::with_owner(|shard| shard.runtime() == runtime).unwrap_or(false);
    if !own {
        return registry::with(runtime, |shared| f(shared, shared.guest_shard(), false));
    }
    context::with_worker(|worker| {
        let worker = worker?;
        Some(f(worker.shared(), worker.shard(), true))
    })
}

fn with_shard<R>(
    registration: &Registration,
    f: impl FnOnce(&Arc<Shared>, &Arc<Shard>, Here) -> R,
) -> Option<R> {
    let here = driver::with_owner(|shard| match shard.runtime() == registration.runtime {
        true if shard.index() == registration.shard => Here::Home,
        true => Here::OtherWorker,
        false => Here::Outside,
    });
    registry::with(registration.runtime, |shared| {
        let shard = shared.shard(registration.shard);
        f(shared, shard, here.unwrap_or(Here::Outside))
    })
}

/// Removes a timer of another thread's.
fn remove_from_afar(shard: &Shard, key: Key, here: Here) {
    match here {
        Here::OtherWorker if Debts::may_be_to(shard.index()) => {
            if from_afar(shard, |timers| timers.remove_from_worker(key)) {
                driver::with_owner(|own| own.debts().add(shard.index()));
            }
        }
        _ => from_afar(shard, |timers| timers.remove_from_afar(key)),
    }
}

/// Does something to timers of another thread's, and wakes it if it sleeps past a deadline.
fn from_afar<T>(shard: &Shard, f: impl FnOnce(&Timers) -> FromAfar<T>) -> T {
    let done = f(shard.timers());
    if done.before_sleeper {
        shard.unpark();
    }
    done.outcome
}
