//! Who has slept for a moment looks out before the next sleep: for what another thread wakes, and for the kernel's answers.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use ringway::io::{AsyncReadExt, AsyncWriteExt};
use ringway::net::TcpListener;
use ringway::runtime::{Builder, Driver, Runtime};
use ringway::sync::mpsc;

/// Exchanges of a try.
const ROUNDS: u64 = 500;
/// The fewest sleeps count: a machine that takes a processor away makes answers late, and who has looked out in vain leaves
/// some chances out.
const TRIES: usize = 400;
/// Without a look-out some answers come before the worker sleeps, too: 200 to 300 sleeps were the fewest then.
const SLEEPS_MAX: u64 = ROUNDS / 10;

/// Mutants, in `runtime/src/scheduler/park.rs`: `waits_awake` never lingers; `sees_work` does not look at the shard's word.
#[test]
fn a_task_that_another_thread_wakes_again_at_once_costs_no_sleep_each_time() {
    let runtime = runtime();
    let fewest = fewest_sleeps(&runtime, || {
        let (question, mut questions) = mpsc::channel(1);
        let (answer, mut answers) = mpsc::unbounded_channel();
        let other = thread::spawn(move || {
            for _ in 0..ROUNDS {
                question.blocking_send(()).expect("the task lives");
                while answers.try_recv().is_err() {
                    std::hint::spin_loop();
                }
            }
        });
        runtime.block_on(async {
            while questions.recv().await.is_some() {
                answer.send(()).expect("the thread lives");
            }
        });
        other.join().expect("no panic");
    });
    assert!(
        fewest <= SLEEPS_MAX,
        "{fewest} sleeps in {ROUNDS} exchanges"
    );
}

/// Mutants, in `runtime/src/scheduler/park.rs`: `waits_awake` never lingers; `rise` does not mind that there were answers.
#[test]
fn a_message_that_comes_at_once_costs_no_sleep_each_time() {
    let runtime = runtime();
    let is_told_in_the_ring = runtime.metrics().driver() == Driver::IoUring
        && std::env::var_os("RINGWAY_MASK").is_none()
        && std::env::var_os("RINGWAY_RING_ENTRIES").is_none();
    if !is_told_in_the_ring {
        // Elsewhere each wait has to be told to the kernel, by the call in which the worker sleeps.
        return;
    }
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
    let listener = listener.expect("a port");
    let address = listener.local_addr().expect("an address");
    let fewest = fewest_sleeps(&runtime, || {
        let client = thread::spawn(move || {
            let mut client = TcpStream::connect(address).expect("room");
            client.set_nonblocking(true).expect("a socket");
            for _ in 0..ROUNDS {
                client.write_all(&[7]).expect("room");
                while client.read(&mut [0]).is_err() {
                    std::hint::spin_loop();
                }
            }
        });
        runtime.block_on(async {
            let (mut server, _) = listener.accept().await.expect("a connection");
            let mut byte = [0];
            while server.read(&mut byte).await.expect("a byte, or the end") == 1 {
                server.write_all(&byte).await.expect("room");
            }
        });
        client.join().expect("no panic");
    });
    assert!(
        fewest <= SLEEPS_MAX,
        "{fewest} sleeps in {ROUNDS} exchanges"
    );
}

fn runtime() -> Runtime {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime")
}

/// How often the worker has slept in the best try.
fn fewest_sleeps(runtime: &Runtime, mut exchange: impl FnMut()) -> u64 {
    let sleeps = || runtime.metrics().worker_park_count(0);
    let mut fewest = u64::MAX;
    for _ in 0..TRIES {
        let before = sleeps();
        exchange();
        fewest = fewest.min(sleeps() - before);
        if fewest <= SLEEPS_MAX {
            break;
        }
    }
    println!("{fewest} sleeps in {ROUNDS} exchanges");
    fewest
}
