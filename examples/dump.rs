//! `cargo run --example dump`
//!
//! What a runtime's tasks are at, asked from outside while one of them holds a worker and does not give it back.

use std::time::Duration;

use ringway::runtime::Builder;
use ringway::sync::{Barrier, oneshot};
use ringway::task;

fn main() -> std::io::Result<()> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let (release, is_released) = std::sync::mpsc::channel::<()>();
    let (begun, has_begun) = oneshot::channel();

    task::Builder::new().name("stuck").spawn_on(
        async move {
            let _ = begun.send(());
            // A mistake: it blocks the thread, and with it the worker.
            let _ = is_released.recv();
        },
        runtime.handle(),
    )?;
    let barrier = std::sync::Arc::new(Barrier::new(3));
    for number in 0..2 {
        let barrier = std::sync::Arc::clone(&barrier);
        let waits = async move { barrier.wait().await };
        let name = format!("waits for a third, {number}");
        task::Builder::new()
            .name(&name)
            .spawn_on(waits, runtime.handle())?;
    }
    has_begun.blocking_recv().map_err(std::io::Error::other)?;
    std::thread::sleep(Duration::from_millis(50));

    // It needs no worker, so it answers though one is stuck.
    println!("{}", runtime.handle().dump());
    drop(release);
    Ok(())
}
