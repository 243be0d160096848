//! Answers that the kernel had no memory for: the search for whose they were, by a worker and its helper.
#![cfg(loom)]

use std::sync::Arc;
use std::task::Waker;

use ringway_loom_models::device::{Bells, Calls, Machine, at, poll, submit, work_until};
use ringway_loom_models::{check, spawn};

/// The kernel drops the answer of one of two operations, and answers the other before, during or after the search, in
/// which a helper takes part. The first ends with an error, and the other as it would have.
///
/// Mutants: in `driver/sweep.rs`, `take_lost` does not wait for the mark, or `hear` forgets nobody; in
/// `driver/operations.rs`, nobody looks for what was dropped.
#[test]
fn of_two_operations_the_one_whose_answer_was_dropped_is_found() {
    check(|| {
        let (shard, machine) = Machine::new(Bells::Message, 4, 8);
        let (calls, waker) = Calls::new(&shard);
        let keys = shard.as_owner(|| {
            let keys = [(); 2].map(|()| submit(&shard, &waker).0);
            shard.service(at(0));
            keys
        });
        let kernel = {
            let (machine, shard) = (Arc::clone(&machine), shard.clone());
            spawn(move || {
                machine.drop_answer();
                // As the kernel's overflow flag calls who sleeps there.
                shard.unpark();
                loop {
                    machine.wait();
                    if machine.complete(1) {
                        return;
                    }
                }
            })
        };
        let helper = {
            let shard = shard.clone();
            spawn(move || shard.rescue(at(0)))
        };
        work_until(&shard, &calls, 2);
        helper.join().expect("no panic");
        kernel.join().expect("no panic");
        let results = keys.map(|key| {
            let outcome = poll(&shard, key, Waker::noop()).expect("it has ended");
            outcome.result.ok()
        });
        assert_eq!(results, [None, Some(1)]);
    });
}
