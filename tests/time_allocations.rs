//! What timers take of memory: nothing before one is waited for, and nothing for each once there is room. On one thread,
//! whose allocations are counted: the test harness may still be busy on its own.

#[path = "support/counting.rs"]
mod counting;

use std::future::{Future, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use counting::allocations_of_thread as allocations;
use ringway::runtime::Builder;
use ringway::time::{sleep, timeout};

const ROUNDS: u64 = 1_000;
/// Far enough that nothing fires.
const HOUR: Duration = Duration::from_secs(3600);

/// The wheel of a new runtime has no memory for timers, and asks for some with the first one: so it shows whether it was
/// touched.
///
/// Mutants: in `timer/src/timeout.rs`, the sleep is polled before the future; in `timer/src/wheel/slab.rs`, an entry that
/// was given back is not taken again (`release` leaves `free` as it is).
#[test]
fn a_timeout_of_what_is_ready_touches_no_wheel_and_timers_in_the_steady_state_allocate_nothing() {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let before = allocations();
        for round in 0..ROUNDS {
            assert_eq!(timeout(HOUR, ready(round)).await, Ok(round));
        }
        assert_eq!(allocations() - before, 0, "allocations of what is ready");

        let before = allocations();
        wait_for_an_hour();
        assert!(allocations() > before, "the first timer needs memory");

        // While there is one, the wheel is not as new each time.
        let mut pending = pin!(sleep(HOUR));
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(pending.as_mut().poll(&mut context), Poll::Pending);
        let before = allocations();
        for _ in 0..ROUNDS {
            wait_for_an_hour();
        }
        assert_eq!(allocations() - before, 0, "allocations of later timers");
    });
}

/// A sleep that is waited for, and dropped.
fn wait_for_an_hour() {
    let mut sleep = pin!(sleep(HOUR));
    let mut context = Context::from_waker(Waker::noop());
    assert_eq!(sleep.as_mut().poll(&mut context), Poll::Pending);
}
