//! The cooperative budget: a task whose operations are always ready lets others run, unless it is unconstrained.
//!
//! Every test runs on one core. A second task counts how often it was polled while the first one loops; nothing in
//! the loop ever has to wait, so a turn of the second task is one that the budget has given it.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ringway::io::{AsyncReadExt, AsyncWriteExt};
use ringway::net::{TcpListener, TcpStream};
use ringway::runtime::Builder;
use ringway::signal::unix::{SignalKind, signal};
use ringway::task::{self, coop};

/// Units of one poll, in tokio as here.
const BUDGET: usize = 128;

/// Runs a future as a task; returns how many turns another task had since the future set the count to zero.
fn turns_beside<L>(looping: impl FnOnce(Turns) -> L) -> usize
where
    L: Future<Output = ()> + Send + 'static,
{
    turns_in(&mut Builder::new_current_thread(), looping)
}

fn turns_in<L>(builder: &mut Builder, looping: impl FnOnce(Turns) -> L) -> usize
where
    L: Future<Output = ()> + Send + 'static,
{
    let runtime = builder.enable_all().build().expect("a runtime");
    let turns = Turns::default();
    let counting = turns.clone();
    let looping = looping(turns.clone());
    runtime.block_on(async {
        let looping = ringway::spawn(async move {
            let other = ringway::spawn(async move {
                loop {
                    counting.0.fetch_add(1, Ordering::Relaxed);
                    task::yield_now().await;
                }
            });
            looping.await;
            other.abort();
            turns.0.load(Ordering::Relaxed)
        });
        looping.await.expect("the loop ends")
    })
}

/// Turns that the other task had.
#[derive(Clone, Default)]
struct Turns(Arc<AtomicUsize>);

impl Turns {
    /// What came before is not counted.
    fn start(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// Turns that `operations` operations of one unit each give to another task.
fn turns_of(operations: usize) -> std::ops::RangeInclusive<usize> {
    let full = operations / BUDGET;
    full.saturating_sub(1)..=full + 1
}

/// Mutant: do not refill before the polls of a task (`WorkerContext::run`): there are none.
#[test]
fn a_loop_over_a_ready_channel_lets_others_run() {
    let turns = turns_beside(|_| async move {
        let (sender, mut receiver) = ringway::sync::mpsc::unbounded_channel();
        for message in 0..10 * BUDGET {
            sender.send(message).expect("the receiver lives");
        }
        drop(sender);
        while receiver.recv().await.is_some() {}
    });
    assert!(turns_of(10 * BUDGET).contains(&turns), "{turns}");
}

#[test]
fn an_unconstrained_loop_lets_nobody_run() {
    let turns = turns_beside(|_| {
        task::unconstrained(async {
            for _ in 0..10 * BUDGET {
                coop::consume_budget().await;
            }
        })
    });
    assert_eq!(turns, 0);
}

#[test]
fn a_loop_over_a_free_semaphore_lets_others_run() {
    let turns = turns_beside(|_| async move {
        let semaphore = ringway::sync::Semaphore::new(1);
        for _ in 0..10 * BUDGET {
            drop(semaphore.acquire().await.expect("it is open"));
        }
    });
    assert!(turns_of(10 * BUDGET).contains(&turns), "{turns}");
}

#[test]
fn a_loop_over_a_free_mutex_lets_others_run() {
    let turns = turns_beside(|_| async move {
        let mutex = ringway::sync::Mutex::new(0);
        for _ in 0..10 * BUDGET {
            *mutex.lock().await += 1;
        }
    });
    assert!(turns_of(10 * BUDGET).contains(&turns), "{turns}");
}

#[test]
fn a_loop_over_a_watch_that_has_always_changed_lets_others_run() {
    let turns = turns_beside(|_| async move {
        let (sender, mut receiver) = ringway::sync::watch::channel(0);
        for value in 0..10 * BUDGET {
            sender.send(value).expect("the receiver lives");
            receiver.changed().await.expect("the sender lives");
        }
    });
    assert!(turns_of(10 * BUDGET).contains(&turns), "{turns}");
}

#[test]
fn a_copy_from_an_endless_reader_lets_others_run() {
    let turns = turns_beside(|_| async move {
        let mut endless = ringway::io::AsyncReadExt::take(ringway::io::repeat(1), 10 << 20);
        let copied = ringway::io::copy(&mut endless, &mut ringway::io::sink()).await;
        assert_eq!(copied.expect("no error in memory"), 10 << 20);
    });
    assert!(turns > 0);
}

/// Mutant: do not charge in `JoinHandle::poll`.
#[test]
fn a_loop_over_tasks_that_are_done_lets_others_run() {
    let turns = turns_beside(|turns| async move {
        let mut handles = Vec::new();
        // Of two that yield each is first in every other round, so the other has two turns at a time, and then none. With the
        // handle too many the loop is interrupted an even number of times.
        for _ in 0..=10 * BUDGET {
            handles.push(ringway::spawn(async {}));
        }
        while !handles.iter().all(task::JoinHandle::is_finished) {
            task::yield_now().await;
        }
        turns.start();
        for handle in handles {
            handle.await.expect("it is done");
        }
    });
    assert!(turns_of(10 * BUDGET).contains(&turns), "{turns}");
}

/// Mutant: do not charge in `Timer::poll`.
#[test]
fn a_loop_over_sleeps_that_are_over_lets_others_run() {
    let past = ringway::time::Instant::now();
    let turns = turns_beside(|_| async move {
        for _ in 0..10 * BUDGET {
            ringway::time::sleep_until(past).await;
        }
    });
    assert!(turns_of(10 * BUDGET).contains(&turns), "{turns}");
}

/// A worker that has not looked at the time for long, because a poll takes long, has sleeps wait for its next look, and others
/// get more turns: as many as the machine is slow. Where the clock stands there is no such look.
///
/// Mutant: do not charge in `Timer::poll`.
#[test]
fn a_loop_over_sleeps_of_no_time_lets_others_run() {
    let sleeps = |_| async {
        for _ in 0..10 * BUDGET {
            ringway::time::sleep(Duration::ZERO).await;
        }
    };
    let turns = turns_beside(sleeps);
    assert!(turns >= *turns_of(10 * BUDGET).start(), "{turns}");
    let turns = turns_in(Builder::new_current_thread().start_paused(true), sleeps);
    assert!(turns_of(10 * BUDGET).contains(&turns), "{turns}");
}

/// Mutant: do not charge in `Direction::poll_io`.
#[test]
fn a_loop_over_a_socket_that_never_has_to_wait_lets_others_run() {
    let turns = turns_beside(|turns| async move {
        let (mut near, mut far) = pair().await;
        turns.start();
        for _ in 0..5 * BUDGET {
            near.write_all(b"x").await.expect("there is room");
            let mut byte = [0; 1];
            far.read_exact(&mut byte).await.expect("the byte is there");
        }
    });

    assert!(turns >= 10 - 1, "{turns}");
}

/// Waits for readiness cost a unit for each eight. Mutant: do not charge in `Direction::poll_readiness`.
#[test]
fn a_loop_over_a_socket_that_is_always_ready_lets_others_run() {
    let turns = turns_beside(|turns| async move {
        let (near, _far) = pair().await;
        turns.start();
        for _ in 0..80 * BUDGET {
            near.writable().await.expect("there is room");
        }
    });
    assert!(turns_of(10 * BUDGET).contains(&turns), "{turns}");
}

/// Mutant: do not charge in `TcpListener::poll_accept_as`.
#[test]
fn a_loop_over_connections_that_wait_lets_others_run() {
    /// The kernel keeps so many for the listener.
    const CONNECTIONS: usize = 3 * BUDGET;
    let turns = turns_beside(|turns| async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|_| std::net::TcpStream::connect(address).expect("a connection"))
            .collect();
        turns.start();
        for _ in &clients {
            listener.accept().await.expect("a connection waits");
        }
    });
    assert!(turns_of(CONNECTIONS).contains(&turns), "{turns}");
}

/// Mutant: do not charge in `Signal::poll_recv`.
#[test]
fn a_loop_over_signals_that_have_come_lets_others_run() {
    let turns = turns_beside(|turns| async move {
        let mut signals = signal(SignalKind::user_defined1()).expect("a listener");
        turns.start();
        for _ in 0..3 * BUDGET {
            let own = rustix::process::getpid();
            rustix::process::kill_process(own, rustix::process::Signal::USR1).expect("allowed");
            // Another thread gets it; by then it mostly has, and the listener need not wait.
            std::thread::sleep(Duration::from_micros(200));
            signals.recv().await.expect("listeners do not end");
        }
    });
    assert!(turns >= 2, "{turns}");
}

/// Each file for itself lets others run after a number of reads; together they must, too.
///
/// Mutant: do not charge in `poll_with_budget` of the file.
#[test]
fn a_loop_over_files_in_memory_lets_others_run() {
    let turns = turns_beside(|turns| async move {
        let mut files: Vec<_> = (0..BUDGET).map(|_| cached_file()).collect();
        turns.start();
        for file in &mut files {
            for _ in 0..READS {
                let mut byte = [0; 1];
                file.read_exact(&mut byte).await.expect("a byte");
            }
        }
    });
    assert!(turns_of(READS * BUDGET).contains(&turns), "{turns}");
}

/// Mutant: do not charge in `Core::read`.
#[test]
fn a_loop_over_places_of_files_in_memory_lets_others_run() {
    let turns = turns_beside(|turns| async move {
        let files: Vec<_> = (0..BUDGET).map(|_| cached_file()).collect();
        turns.start();
        for file in &files {
            for place in 0..READS {
                let (read, _) = file.read_at(vec![0; 1], place as u64).await;
                assert_eq!(read.expect("a byte"), 1);
            }
        }
    });
    assert!(turns_of(READS * BUDGET).contains(&turns), "{turns}");
}

/// Reads of one file that it does at once.
const READS: usize = 10;

/// A file whose bytes were just written, and so lie in memory.
fn cached_file() -> ringway::fs::File {
    let mut file = tempfile::tempfile().expect("a file");
    std::io::Write::write_all(&mut file, &[1; 10 * BUDGET]).expect("room");
    std::io::Seek::rewind(&mut file).expect("a file can");
    ringway::fs::File::from_std(file)
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let (near, far) = ringway::join!(TcpStream::connect(address), listener.accept());
    (near.expect("a connection"), far.expect("a connection").0)
}

/// Mutant: do not refill before the polls of the root (`poll_on_core`): it is unconstrained.
#[test]
fn a_root_that_is_always_ready_lets_tasks_run() {
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    let turns = runtime.block_on(async {
        let task = ringway::spawn(async {});
        for unit in 0..10 * BUDGET {
            coop::consume_budget().await;
            if task.is_finished() {
                return unit;
            }
        }
        usize::MAX
    });
    assert!(turns <= BUDGET, "{turns}");
}

/// Mutant: do not refill in `poll_from_outside`: the root of a second thread has no budget.
#[test]
fn a_root_without_a_core_has_a_budget_too() {
    let runtime = Builder::new_multi_thread().worker_threads(1).build();
    let runtime = runtime.expect("a runtime");
    let spent = std::thread::scope(|threads| {
        let outside = threads.spawn(|| {
            runtime.block_on(async {
                for _ in 0..BUDGET {
                    coop::consume_budget().await;
                }
                !coop::has_budget_remaining()
            })
        });
        outside.join().expect("the thread ends")
    });
    assert!(spent);
}

/// What is polled after `block_on`, by whatever executor, is not limited by what the root left.
///
/// Mutant: leave `coop::scope` out of `block_on`.
#[test]
fn a_root_leaves_no_budget_behind() {
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        for _ in 0..BUDGET {
            coop::consume_budget().await;
        }
        assert!(!coop::has_budget_remaining());
    });
    assert!(coop::has_budget_remaining());
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    for _ in 0..10 * BUDGET {
        assert!(coop::poll_charge(&mut cx).is_ready());
    }
}

/// Mutant: refill in `harness::poll`, which jobs go through too.
#[test]
fn a_blocking_job_is_unconstrained() {
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    let job = runtime.spawn_blocking(|| {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        (0..10 * BUDGET).all(|_| coop::poll_charge(&mut cx).is_ready())
    });
    assert!(runtime.block_on(job).expect("the job ends"));
}

/// Mutant: call the closure of `block_in_place` without `coop::without`.
#[test]
fn a_closure_that_blocks_in_place_is_unconstrained_and_its_task_goes_on_with_what_it_had() {
    let runtime = Builder::new_multi_thread().worker_threads(1).build();
    let task = async {
        for _ in 0..BUDGET {
            coop::consume_budget().await;
        }
        let inside = task::block_in_place(coop::has_budget_remaining);
        (inside, coop::has_budget_remaining())
    };
    let runtime = runtime.expect("a runtime");
    let left = runtime.block_on(runtime.spawn(task));
    assert_eq!(left.expect("no panic"), (true, false));
}
