//! The arguments of `#[test]` and `#[main]` that are options of the builder, on a real runtime.

#[ringway::test(name = "ingest")]
async fn the_name_is_the_runtimes() {
    let handle = ringway::runtime::Handle::current();
    assert_eq!(handle.name(), Some("ingest"));
}

#[ringway::test(unhandled_panic = "shutdown_runtime")]
#[should_panic(expected = "configured to shut down on unhandled panic")]
async fn a_panic_of_any_task_ends_the_test_that_asked_for_it() {
    ringway::spawn(async { panic!("expected by the test") });
    std::future::pending::<()>().await;
}

#[ringway::test(unhandled_panic = "ignore")]
async fn a_panic_that_is_to_be_ignored_goes_to_the_join_handle() {
    let task = ringway::spawn(async { panic!("expected by the test") });
    assert!(task.await.unwrap_err().is_panic());
}

#[ringway::main(flavor = "current_thread", name = "main")]
async fn main_with_a_name() -> Option<String> {
    ringway::runtime::Handle::current()
        .name()
        .map(str::to_owned)
}

#[test]
fn main_takes_a_name_too() {
    assert_eq!(main_with_a_name().as_deref(), Some("main"));
}
