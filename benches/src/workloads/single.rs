//! A runtime on one thread, the one that blocks on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::outside::StopOnDrop;
use super::tasks::{Countdown, SPAWNS, join_again_and_again, spawn_and_join, yield_batches};
use super::{current_thread, on_root, rt};
use crate::Run;
use rt::runtime::{Handle, Runtime};

/// The root spawns tasks and awaits their handles.
pub fn join() -> Run {
    on_root(current_thread(), spawn_and_join)
}

/// `block_on` of a future that spawns `tasks` tasks, each of which yields once, and awaits them.
pub fn block_on_and_join(tasks: u64) -> Run {
    join_again_and_again(current_thread(), tasks)
}

/// Many tasks do nothing but yield.
pub fn yield_now() -> Run {
    let countdown = Countdown::leak();
    on_root(current_thread(), move |batches| {
        yield_batches(countdown, batches)
    })
}

/// Tasks are spawned while the runtime does not run, and then awaited in `block_on`.
pub fn spawn_before() -> Run {
    let runtime = current_thread();
    Box::new(move |batches| spawn_then_join(&runtime, batches))
}

/// As [`spawn_before`], on a runtime with a task that spawns itself again and again.
pub fn spawn_before_beside_spawns() -> Run {
    let runtime = current_thread();
    Box::new(move |batches| {
        let stop = StopOnDrop::default();
        succeed(runtime.handle(), stop.flag());
        spawn_then_join(&runtime, batches);
    })
}

fn succeed(handle: &Handle, stopped: Arc<AtomicBool>) {
    if !stopped.load(Ordering::Relaxed) {
        let next = handle.clone();
        handle.spawn(async move { succeed(&next, stopped) });
    }
}

fn spawn_then_join(runtime: &Runtime, batches: u64) {
    let mut handles = Vec::with_capacity(SPAWNS as usize);
    for _ in 0..batches {
        handles.extend((0..SPAWNS).map(|number| runtime.spawn(async move { number })));
        runtime.block_on(async {
            for (number, handle) in (0..).zip(handles.drain(..)) {
                assert_eq!(handle.await.unwrap(), number);
            }
        });
    }
}
