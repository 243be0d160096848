//! Who has slept for a moment looks out before the next sleep: for what another thread wakes, and for the kernel's answers.
//! Where nothing comes it soon sleeps.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use ringway::io::{AsyncReadExt, AsyncWriteExt};
use ringway::net::TcpListener;
use ringway::runtime::{Builder, Driver, Runtime};
use ringway::sync::{mpsc, oneshot};
use rustix::time::{ClockId, clock_gettime};

/// Exchanges of a try.
const ROUNDS: u64 = 500;
/// Between an answer and the next question: some time for who does not look out to fall asleep, and well within that for
/// which workers look out.
const MOMENT: Duration = Duration::from_micros(10);
/// The fewest sleeps count: a machine that takes a processor away makes answers late, and who has looked out in vain leaves
/// some chances out.
const TRIES: usize = 400;
/// Without a look-out 490 sleeps were the fewest.
const SLEEPS_MAX: u64 = ROUNDS / 10;

/// Mutants, in `runtime/src/scheduler/park.rs`: `waits_awake` never lingers; `rise` does not mind that there were answers, as
/// the doorbell's.
#[test]
fn a_task_that_another_thread_wakes_again_at_once_costs_no_sleep_each_time() {
    let runtime = runtime();
    expect_few_sleeps(&runtime, || {
        let (question, mut questions) = mpsc::channel(1);
        let (answer, answers) = mpsc::unbounded_channel();
        let other = thread::spawn(move || ask(&question, answers, MOMENT));
        runtime.block_on(async {
            while questions.recv().await.is_some() {
                answer.send(()).expect("the thread lives");
            }
        });
        other.join().expect("no panic");
    });
}

/// Mutants, in `runtime/src/scheduler/park.rs`: `waits_awake` never lingers; `sees_work` does not look for answers.
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
    expect_few_sleeps(&runtime, || {
        let client = thread::spawn(move || {
            let mut client = TcpStream::connect(address).expect("room");
            client.set_nonblocking(true).expect("a socket");
            for _ in 0..ROUNDS {
                let_pass(MOMENT);
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
}

/// Mutant, in `runtime/src/scheduler/park.rs`: `lingers` does not mind that the worker was notified, of which only who falls
/// asleep takes note.
#[test]
fn who_was_woken_as_it_looked_out_sleeps_when_nothing_more_comes() {
    const SILENCE: Duration = Duration::from_millis(100);
    for _ in 0..3 {
        let runtime = runtime();
        let (question, mut questions) = mpsc::channel(1);
        let (end, ended) = oneshot::channel();
        let (answer, answers) = mpsc::unbounded_channel();
        let other = thread::spawn(move || {
            ask(&question, answers, Duration::ZERO);
            thread::sleep(SILENCE);
            end.send(()).expect("the root lives");
        });
        let used = runtime.block_on(async {
            for _ in 0..ROUNDS {
                questions.recv().await.expect("the thread lives");
                answer.send(()).expect("the thread lives");
            }
            let before = processor_time();
            ended.await.expect("the thread lives");
            processor_time() - before
        });
        other.join().expect("no panic");
        assert!(used < SILENCE / 10, "{used:?} of {SILENCE:?}");
    }
}

/// Another thread's part of the exchanges: it asks, each time a `moment` after the last answer, and waits awake.
fn ask(question: &mpsc::Sender<()>, mut answers: mpsc::UnboundedReceiver<()>, moment: Duration) {
    for _ in 0..ROUNDS {
        let_pass(moment);
        question.blocking_send(()).expect("the root lives");
        while answers.try_recv().is_err() {
            std::hint::spin_loop();
        }
    }
}

/// Waits awake.
fn let_pass(time: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// What this thread has used.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("not negative")
}

fn runtime() -> Runtime {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime")
}

/// Asserts that in some try the worker hardly ever sleeps.
#[track_caller]
fn expect_few_sleeps(runtime: &Runtime, mut exchange: impl FnMut()) {
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
    assert!(
        fewest <= SLEEPS_MAX,
        "{fewest} sleeps in {ROUNDS} exchanges"
    );
}
