//! What libraries that call tokio themselves cost: `cargo run --release -p ringway-compat-tests --example cost`
//!
//! Processor time of the whole process for an operation, the least of many samples that alternate.

use std::time::Duration;

use ringway::runtime::{Builder, Runtime};

const SAMPLES: usize = 15;
const OPERATIONS: u32 = 2_000;

fn main() -> std::io::Result<()> {
    let with = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .enable_tokio_compat()
        .build()?;
    let without = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let rows: [(&str, &dyn Fn()); 5] = [
        ("our spawn and join, without", &|| ours(&without)),
        ("our spawn and join, with tokio at the side", &|| {
            ours(&with)
        }),
        ("tokio's spawn and join, from our task", &|| theirs(&with)),
        ("our sleep of no time", &|| our_sleep(&with)),
        ("tokio's sleep of no time, in our task", &|| {
            their_sleep(&with)
        }),
    ];
    let mut least = [Duration::MAX; 5];
    for _ in 0..SAMPLES {
        for ((_, run), least) in rows.iter().zip(&mut least) {
            let before = processor_time();
            run();
            *least = (*least).min(processor_time() - before);
        }
    }
    for ((name, _), least) in rows.iter().zip(least) {
        println!(
            "{name:44} {:>8.0} ns",
            least.as_nanos() as f64 / f64::from(OPERATIONS)
        );
    }
    Ok(())
}

fn ours(runtime: &Runtime) {
    in_task(runtime, || async {
        ringway::spawn(async {}).await.expect("it returns")
    });
}

fn theirs(runtime: &Runtime) {
    in_task(runtime, || async {
        tokio::spawn(async {}).await.expect("it returns")
    });
}

fn our_sleep(runtime: &Runtime) {
    in_task(runtime, || async {
        ringway::time::sleep(Duration::ZERO).await
    });
}

fn their_sleep(runtime: &Runtime) {
    in_task(runtime, || async {
        tokio::time::sleep(Duration::ZERO).await
    });
}

/// Calls `operation` again and again in a task of ours.
fn in_task<F>(runtime: &Runtime, operation: impl Fn() -> F + Send + 'static)
where
    F: Future<Output = ()> + Send,
{
    let task = runtime.spawn(async move {
        for _ in 0..OPERATIONS {
            operation().await;
        }
    });
    runtime.block_on(task).expect("it returns");
}

/// Of all threads of this process, user and system.
fn processor_time() -> Duration {
    let usage = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(usage.tv_sec as u64, usage.tv_nsec as u32)
}
