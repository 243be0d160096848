//! The timers' way to the runtime: which wheel a timer goes to, and what time it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use ringway_timer::seam::{Registration, TimerSource};

use crate::context::{self, Missing};
use crate::driver::Shard;
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

    fn register(
        &self,
        runtime: u32,
        deadline: Instant,
        waker: &Waker,
    ) -> Result<Registration, &'static str> {
        let inserted = with_home(runtime, |shared, shard, owned| {
            let inserted = shard
                .timers()
                .insert(shared.clock.ns_of(deadline), waker.clone())?;
            if inserted.before_sleeper && !owned {
                shard.unpark();
            }
            Some(Registration {
                runtime,
                shard: shard.index(),
                key: inserted.key,
            })
        });
        inserted
            .flatten()
            .ok_or_else(|| match registry::is_of_parent(runtime) {
                true => FORKED,
                false => SHUTTING_DOWN,
            })
    }

    fn update(&self, registration: &Registration, waker: &Waker) -> bool {
        with_shard(registration, |_, shard| {
            shard.timers().update(registration.key, waker)
        })
        .unwrap_or(false)
    }

    fn reset(&self, registration: &Registration, deadline: Instant) -> bool {
        let reset = with_shard(registration, |shared, shard| {
            let before_sleeper = shard
                .timers()
                .reset(registration.key, shared.clock.ns_of(deadline))?;
            let owned =
                crate::driver::with_owner(|owner| Arc::ptr_eq(owner, shard)).unwrap_or(false);
            if before_sleeper && !owned {
                shard.unpark();
            }
            Some(())
        });
        reset.flatten().is_some()
    }

    fn deregister(&self, registration: Registration) {
        // The waker leaves the closure, and so the lock, before it is dropped.
        drop(with_shard(&registration, |_, shard| {
            shard.timers().remove(registration.key)
        }));
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

/// Calls `f` with the runtime whose clock this thread sees.
fn with_runtime(f: impl FnOnce(&Shared) -> Result<(), &'static str>) -> Result<(), &'static str> {
    match context::with_current(|shared| f(shared)) {
        Ok(result) => result,
        Err(Missing::NoRuntime) if !Process::is_child() => Err(NO_CLOCK),
        Err(other) => Err(context::missing(other)),
    }
}

/// Calls `f` with the shard in which this thread's timers live, and whether it is this thread's own.
fn with_home<R>(runtime: u32, f: impl FnOnce(&Arc<Shared>, &Arc<Shard>, bool) -> R) -> Option<R> {
    context::with_worker(|worker| match worker {
        Some(worker) if worker.shared().id() == runtime => {
            Some(f(worker.shared(), worker.shard(), true))
        }
        _ => registry::with(runtime, |shared| f(shared, shared.guest_shard(), false)),
    })
}

fn with_shard<R>(
    registration: &Registration,
    f: impl FnOnce(&Arc<Shared>, &Arc<Shard>) -> R,
) -> Option<R> {
    registry::with(registration.runtime, |shared| {
        f(shared, shared.shard(registration.shard))
    })
}
