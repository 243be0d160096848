//! On a runtime of one thread, tasks run in the order in which they run on tokio's: the same cases on both, in one process.
//!
//! tokio promises no order, and programs' own tests hang on it all the same.

#[path = "ringway.rs"]
mod on_ringway;
#[path = "tokio.rs"]
mod on_tokio;

/// Mutants, in `runtime/src/scheduler/worker.rs`: what is woken runs next; who yields goes behind those that are queued, and not behind
/// the round; and in `root.rs`: the root has its turn after each task.
#[test]
fn tasks_of_one_thread_run_in_tokios_order() {
    let ours = on_ringway::cases::all();
    let theirs = on_tokio::cases::all();
    assert_eq!(ours.len(), 23);
    for (ours, theirs) in ours.into_iter().zip(theirs) {
        assert_eq!(ours, theirs);
    }
}
