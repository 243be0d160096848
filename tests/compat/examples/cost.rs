//! What libraries that call tokio themselves cost: `cargo run --release -p ringway-compat-tests --example cost`
//!
//! Processor time of the whole process for an operation, the least of many samples that alternate.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use ringway::io::{AsyncReadExt, AsyncWriteExt};
use ringway::net::{TcpListener, TcpStream};
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
    let router = Router::new().route("/", get(async || "hello"));
    let listen = || with.block_on(TcpListener::bind("127.0.0.1:0"));
    let (ours_at, theirs_at) = (listen()?, listen()?);
    let addresses = (ours_at.local_addr()?, theirs_at.local_addr()?);
    with.spawn(ringway::axum::serve(ours_at, router.clone()).into_future());
    with.spawn(axum::serve(theirs_at, router).into_future());
    let rows: [(&str, &dyn Fn()); 7] = [
        ("our spawn and join, without", &|| ours(&without)),
        ("our spawn and join, with tokio at the side", &|| {
            ours(&with)
        }),
        ("tokio's spawn and join, from our task", &|| theirs(&with)),
        ("our sleep of no time", &|| our_sleep(&with)),
        ("tokio's sleep of no time, in our task", &|| {
            their_sleep(&with)
        }),
        ("a request to ringway::axum::serve", &|| {
            ask(&with, addresses.0)
        }),
        ("a request to axum::serve, of tokio's tasks", &|| {
            ask(&with, addresses.1)
        }),
    ];
    let mut least = [Duration::MAX; 7];
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

/// Requests one after the other over one connection, the client's work among the cost.
fn ask(runtime: &Runtime, address: SocketAddr) {
    let task = runtime.spawn(async move {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let mut answer = [0; 1024];
        for _ in 0..OPERATIONS {
            let request = b"GET / HTTP/1.1\r\nhost: here\r\n\r\n";
            stream.write_all(request).await.expect("a server");
            let mut heard = 0;
            while !answer[..heard].ends_with(b"hello") {
                heard += stream.read(&mut answer[heard..]).await.expect("bytes");
            }
        }
    });
    runtime.block_on(task).expect("it returns");
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
