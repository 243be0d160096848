//! The timers of a worker in a steady flow: what is due does not wait for what has to be moved.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use ringway_runtime::internals::{Now, Timers};
use ringway_timer::wheel::{Progress, TICK_NS};

/// Timers due in each tick on average, as if there were half a million in a second.
const A_TICK: u64 = 8;
/// 600 ms, so that thousands lie in a slot of the third level.
const TICKS: u64 = 36_000;

struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Makes them all, and then looks every `ticks` ticks, for `wakers_max` timers each time. Returns how often a look has left
/// something for the next, though it had found fewer timers than that.
fn looks_cut_short(ticks: usize, wakers_max: usize) -> usize {
    let timers = Timers::new();
    timers.end_sleep();
    let woken = Arc::new(Woken(AtomicUsize::new(0)));
    let mut number = 1u64;
    for _ in 0..A_TICK * TICKS {
        number = number.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
        let deadline_ns = (number >> 16) % (TICKS * TICK_NS);
        let key = timers.insert(deadline_ns, Waker::from(Arc::clone(&woken)));
        assert!(key.is_some(), "it is open");
    }
    let mut cut_short = 0;
    let (mut due, mut removed) = (Vec::new(), Vec::new());
    for tick in (0..=TICKS + ticks as u64).step_by(ticks) {
        let now = Now {
            ns: tick * TICK_NS,
            exact: false,
        };
        while timers.fire(now, wakers_max, &mut due, &mut removed) == Progress::More {
            cut_short += usize::from(due.len() < wakers_max);
            due.drain(..).for_each(Waker::wake);
        }
        due.drain(..).for_each(Waker::wake);
    }
    assert_eq!(woken.0.load(Ordering::Relaxed) as u64, A_TICK * TICKS);
    cut_short
}

/// Mutants: nothing is moved before its time; as many for each look, however many timers it has found; nothing by a look
/// that finds more than are wanted.
#[test]
fn no_timer_that_is_due_waits_until_others_have_been_moved() {
    assert_eq!(looks_cut_short(1, 64), 0, "a look at each tick");
    assert_eq!(looks_cut_short(30, 64), 0, "a look each half millisecond");
}
