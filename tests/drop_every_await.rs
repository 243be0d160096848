//! Every operation, dropped at every one of its awaits, in every state that the driver knows: queued, in flight, completed,
//! reaped. Nothing is lost that is said to be kept, nothing leaks, and the objects go on working.

mod fault_support;

use std::time::Duration;

use fault_support::{Between, Case, Cut, all_cases, assert_descriptors, descriptors, within};
use ringway::runtime::{Builder, Runtime};
use ringway_runtime::driver::Script;
use ringway_runtime::internals::mismatches;

/// Longer than any scenario, and all its cuts, take.
const BOUND: Duration = Duration::from_secs(120);
/// A future that is not ready after so many polls waits for something that polling does not bring.
const POLLS_MAX: usize = 24;
/// The same where nothing happens between polls.
const IDLE_POLLS_MAX: usize = 3;

fn runtime(script: Option<Script>) -> Runtime {
    let mut builder = Builder::new_current_thread();
    if let Some(script) = script {
        builder.ring_script(script);
    }
    builder.enable_all().build().expect("a runtime")
}

fn cut_everywhere(case: Case, script: impl Fn() -> Option<Script>) {
    let runtime = runtime(script());
    for between in Between::ALL {
        let polls_max = match between {
            Between::Queued => IDLE_POLLS_MAX,
            _ => POLLS_MAX,
        };
        for polls in 0..polls_max {
            let cut = Cut::after(polls, between);
            let result = runtime.block_on((case.run)(&cut));
            if let Err(error) = result {
                panic!("{}, {cut:?}: {error}", case.name);
            }
            if cut.has_finished() {
                break;
            }
        }
    }
}

fn all(script: impl Fn(u64) -> Option<Script> + Copy + Send + 'static) {
    let only = std::env::var("RINGWAY_TEST_CASE").ok();
    // What is made once and kept, as the watches of signals.
    for case in all_cases() {
        runtime(None)
            .block_on((case.run)(&Cut::never()))
            .expect(case.name);
    }
    let before = descriptors();
    for (seed, case) in (1..).zip(all_cases()) {
        if only.as_ref().is_some_and(|only| !case.name.contains(only)) {
            continue;
        }
        within(BOUND, case.name, move || {
            cut_everywhere(case, || script(seed));
        });
        assert_eq!(mismatches(), 0, "{}", case.name);
        assert_descriptors(before, case.name);
    }
}

/// One test, because descriptors are the process's.
///
/// Mutants: a connection that was accepted for nobody is closed (`uring/src/op/accept.rs`); `abandon` frees the slot of an
/// operation that is in flight (`driver/slots.rs`).
#[test]
fn an_operation_that_is_dropped_at_any_await_loses_and_leaks_nothing() {
    all(|_| None);
    all(|seed| Some(Script::storm(seed)));
}
