//! The lock that spins.
#![cfg(loom)]

use std::sync::Arc;

use ringway_loom_models::{check, spawn};
use ringway_runtime::internals::SpinLock;

/// Two threads change a value under the lock: one after the other, and the second sees what the first did.
///
/// Mutants in `spin.rs`: the lock is taken with Relaxed; it is given up with Relaxed; `take` does not wait.
#[test]
fn a_spin_lock_lends_its_value_to_one_thread_at_a_time() {
    check(|| {
        let lock = Arc::new(SpinLock::new(0));
        let other = {
            let lock = Arc::clone(&lock);
            spawn(move || lock.with(|value| *value += 1))
        };
        lock.with(|value| *value += 1);
        other.join().expect("no panic");
        assert_eq!(lock.with(|value| *value), 2);
    });
}
