//! What `Builder::enable_tokio_compat` is for: libraries that call `tokio::spawn`, `tokio::net` and `tokio::time`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use ringway::runtime::Builder;
use ringway::time::timeout;
use ringway_compat_tests::{LONG, runtime};
use tower::{Service, ServiceBuilder, ServiceExt};

fn thread_name() -> String {
    thread::current().name().unwrap_or_default().to_owned()
}

/// Mutant: `TokioSide::start` does not enter our runtime on tokio's threads.
#[test]
fn axum_serves_what_reqwest_asks_and_its_handlers_may_use_both_runtimes() {
    let runtime = runtime();
    let body = async {
        let handler = || async {
            // A timer of each, and a task of each.
            ringway::time::sleep(Duration::from_millis(1)).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
            let ours = ringway::spawn(async { thread_name() }).await.unwrap();
            let theirs = tokio::spawn(async { thread_name() }).await.unwrap();
            format!("{ours} and {theirs}")
        };
        let any = "127.0.0.1:0";
        let theirs = tokio::net::TcpListener::bind(any).await.unwrap();
        let ours = ringway::net::TcpListener::bind(any).await.unwrap();
        let addresses = [theirs.local_addr().unwrap(), ours.local_addr().unwrap()];
        let app = Router::new().route("/", get(handler));
        let servers = [
            ringway::spawn(axum::serve(theirs, app.clone()).into_future()),
            ringway::spawn(axum::serve(ours, app).into_future()),
        ];
        for address in addresses.repeat(10) {
            let answer = reqwest::get(format!("http://{address}/")).await.unwrap();
            assert_eq!(answer.text().await.unwrap(), "ours and tokio-compat");
        }
        servers.iter().for_each(|server| server.abort());
    };
    runtime.block_on(async { timeout(LONG, body).await.expect("in time") });
}

#[test]
fn layers_of_tower_that_spawn_and_sleep_work_in_our_tasks() {
    let runtime = runtime();
    let body = ringway_task(async {
        let slow = tower::service_fn(|millis: u64| async move {
            ringway::time::sleep(Duration::from_millis(millis)).await;
            Ok::<_, tower::BoxError>(millis)
        });
        let mut service = ServiceBuilder::new()
            .buffer(8)
            .timeout(Duration::from_millis(500))
            .service(slow);
        assert_eq!(service.ready().await.unwrap().call(1).await.unwrap(), 1);
        let late = service.ready().await.unwrap().call(60_000).await;
        assert!(late.unwrap_err().is::<tower::timeout::error::Elapsed>());
    });
    runtime.block_on(async { timeout(LONG, body).await.expect("in time") });
}

async fn ringway_task(future: impl Future<Output = ()> + Send + 'static) {
    ringway::spawn(future).await.unwrap();
}

/// Mutant: `run_thread` in `runtime/src/blocking/threads.rs` enters our runtime alone.
#[test]
fn every_kind_of_thread_finds_tokio() {
    let finds = || tokio::runtime::Handle::try_current().is_ok();
    let runtime = runtime();
    assert!(!finds(), "not yet");
    {
        let _entered = runtime.enter();
        assert!(finds(), "entered");
    }
    assert!(!finds(), "left");
    assert!(runtime.block_on(async { finds() }), "the root");
    let tasks = async {
        let in_task = ringway::spawn(async move { finds() }).await.unwrap();
        let in_job = ringway::task::spawn_blocking(finds).await.unwrap();
        let in_place = ringway::spawn(async move { ringway::task::block_in_place(finds) });
        (in_task, in_job, in_place.await.unwrap())
    };
    assert_eq!(runtime.block_on(tasks), (true, true, true));
    let outside = thread::spawn({
        let handle = runtime.handle().clone();
        move || handle.block_on(async move { finds() })
    });
    assert!(outside.join().unwrap(), "a root on another thread");

    let single = Builder::new_current_thread()
        .enable_all()
        .enable_tokio_compat()
        .build()
        .unwrap();
    let value = single.block_on(async { tokio::spawn(async { 7 }).await.unwrap() });
    assert_eq!(value, 7, "one thread of ours, one of tokio's");
}

#[test]
fn without_it_nothing_of_tokio_is_found() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let found = runtime.block_on(async { tokio::runtime::Handle::try_current().is_ok() });
    assert!(!found);
}

/// Mutant: `explain` is not called in `poll_future` of `runtime/src/task/harness.rs`.
#[test]
fn a_task_that_misses_tokio_is_told_what_to_do() {
    const CHILD: &str = "RINGWAY_TEST_MISSES_TOKIO";
    if std::env::var_os(CHILD).is_some() {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let spawned = runtime.block_on(ringway_handle(async { drop(tokio::spawn(async {})) }));
        assert!(spawned.unwrap_err().is_panic());
        return;
    }
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_task_that_misses_tokio_is_told_what_to_do",
            "--nocapture",
        ])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{said}");
    assert!(said.contains("there is no reactor running"), "{said}");
    assert!(said.contains("Builder::enable_tokio_compat"), "{said}");
}

/// Spawned by the future, for the runtime is not entered before.
async fn ringway_handle(
    future: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ringway::task::JoinError> {
    ringway::spawn(future).await
}

/// A future that counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Mutant: `Shared::shut_down` leaves tokio's runtime alone.
#[test]
fn tokios_tasks_and_threads_end_with_the_runtime() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let runtime = runtime();
    runtime.block_on(async {
        for _ in 0..10 {
            let counted = Counted(Arc::clone(&dropped));
            tokio::spawn(async move {
                let _counted = counted;
                std::future::pending::<()>().await;
            });
        }
        // The last of them has begun.
        tokio::spawn(async {}).await.unwrap();
    });
    drop(runtime);
    assert_eq!(dropped.load(Ordering::Relaxed), 10);
}

#[test]
fn it_may_be_built_and_dropped_a_hundred_times() {
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let round = || {
        let runtime = runtime();
        let sum = runtime.block_on(async {
            let theirs = tokio::spawn(async { 1 });
            let ours = ringway::spawn(async { 2 });
            theirs.await.unwrap() + ours.await.unwrap()
        });
        assert_eq!(sum, 3);
    };
    round();
    let before = threads();
    (0..100).for_each(|_| round());
    // Other tests of this file start and end threads meanwhile, but none a hundred.
    assert!(threads() < before + 100, "{before} threads before");
}
