//! The cooperative budget is tokio's, and brings nothing else of tokio's with it. Alone in its process, whose threads it
//! counts.

use ringway::runtime::Builder;
use ringway::task::coop;

fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux lists threads");
    tasks.count()
}

#[test]
fn the_budget_brings_no_thread_with_it() {
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    let before = threads();
    runtime.block_on(async {
        let task = ringway::spawn(async {
            while coop::has_budget_remaining() {
                coop::consume_budget().await;
            }
        });
        task.await.expect("the budget is used up");
    });
    assert_eq!(threads(), before);
}
