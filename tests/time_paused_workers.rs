//! A clock that stands in a runtime of several workers: it moves when nothing is left to do, and at no other time.

mod support;

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use ringway::io::{AsyncReadExt, AsyncWriteExt};
use ringway::net::{TcpListener, TcpStream, UnixStream};
use ringway::runtime::{Builder, Handle, Runtime};
use ringway::sync::mpsc::{Sender, channel as mpsc_channel};
use ringway::sync::oneshot;
use ringway::task::{JoinSet, LocalSet, block_in_place, spawn_blocking, yield_now};
use ringway::time::{self, DelayQueue, Instant, advance, interval, sleep, sleep_until, timeout};

use support::{WATCHDOG, count, panic_text, within, workers};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A runtime with so many workers whose clock stands.
fn paused(workers: usize) -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime")
}

/// Runs `body` as a root and as a task, on one, two and four workers, and bounds the real time that it takes.
fn on_paused_workers<F>(body: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    for workers in [1, 2, 4] {
        let (root, task) = (body(), body());
        within(WATCHDOG, move || {
            let runtime = paused(workers);
            runtime.block_on(root);
            if let Err(error) = runtime.block_on(runtime.spawn(task)) {
                std::panic::resume_unwind(error.into_panic());
            }
        });
    }
}

#[test]
fn a_day_passes_at_once_and_exactly() {
    on_paused_workers(|| async {
        let start = Instant::now();
        sleep(Duration::from_secs(86_400)).await;
        assert_eq!(start.elapsed(), Duration::from_secs(86_400));
        sleep(Duration::from_nanos(1)).await;
        assert_eq!(start.elapsed(), Duration::from_nanos(86_400_000_000_001));
    });
}

/// Each sleeper is woken at its own deadline, and before any that is later, whichever worker has its timer.
///
/// Mutants: the jump is to the first deadline of the worker that jumps; a jump fires on one worker only.
#[test]
fn sleepers_on_all_workers_wake_in_the_order_of_their_deadlines() {
    on_paused_workers(|| async {
        let start = Instant::now();
        let woken = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        for number in 0..200_u64 {
            let woken = Arc::clone(&woken);
            tasks.spawn(async move {
                yield_now().await;
                let wanted = ms(number * 7919 % 200);
                sleep_until(start + wanted).await;
                assert_eq!(start.elapsed(), wanted);
                woken.lock().expect("nobody panics with it").push(wanted);
            });
        }
        tasks.join_all().await;
        let woken = woken.lock().expect("nobody panics with it");
        assert!(woken.is_sorted(), "{woken:?}");
        assert_eq!(woken.len(), 200);
    });
}

/// What tasks do between themselves, on all workers, over channels, jobs and sockets, takes no time of this clock, though
/// timers of other tasks would be due at once.
///
/// Mutants: a jump that does not ask for jobs, or for operations that are on their way.
#[test]
fn what_tasks_do_takes_no_time() {
    on_paused_workers(|| async {
        let start = Instant::now();
        let end = Arc::new(AtomicBool::new(false));
        let impatient: Vec<_> = (1..20)
            .map(|nanos| impatient(Duration::from_nanos(nanos), Arc::clone(&end)))
            .map(ringway::spawn)
            .collect();
        let rounds = count("RINGWAY_TEST_STANDSTILL", 30);
        for _ in 0..rounds {
            let now = Instant::now();
            let work = [
                ringway::spawn(pass_a_token_around()),
                ringway::spawn(jobs_and_files()),
                ringway::spawn(echo()),
            ];
            for part in work {
                part.await.expect("a part of the work");
            }
            assert_eq!(now.elapsed(), Duration::ZERO, "time has passed");
            sleep(Duration::from_nanos(5)).await;
        }
        assert_eq!(start.elapsed(), Duration::from_nanos(5) * rounds as u32);
        end.store(true, Ordering::Relaxed);
        for task in impatient {
            task.await.expect("it ends with the next tick");
        }
    });
}

async fn impatient(period: Duration, end: Arc<AtomicBool>) {
    let mut ticks = interval(period);
    while !end.load(Ordering::Relaxed) {
        ticks.tick().await;
    }
}

async fn pass_a_token_around() {
    let mut tasks = Vec::new();
    let (first, mut before) = oneshot::channel();
    for _ in 0..20 {
        let (next, after) = oneshot::channel();
        let token = std::mem::replace(&mut before, after);
        tasks.push(ringway::spawn(async move {
            next.send(token.await.expect("a token") + 1)
                .expect("the next waits");
        }));
    }
    first.send(0).expect("the first waits");
    assert_eq!(before.await, Ok(20));
    for task in tasks {
        task.await.expect("it has passed the token on");
    }
}

async fn jobs_and_files() {
    let job = spawn_blocking(|| std::thread::sleep(ms(2)));
    let file = tempfile::NamedTempFile::new().expect("a file");
    ringway::fs::write(file.path(), b"written")
        .await
        .expect("room");
    let synced = ringway::fs::File::open(file.path())
        .await
        .expect("the file");
    synced.sync_all().await.expect("a disk");
    assert_eq!(
        ringway::fs::read(file.path()).await.expect("the file"),
        b"written"
    );
    job.await.expect("the job");
}

async fn echo() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("an address");
    let server = ringway::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let (mut reader, mut writer) = stream.split();
        ringway::io::copy(&mut reader, &mut writer)
            .await
            .expect("an echo")
    });
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    for _ in 0..5 {
        stream.write_all(b"ping").await.expect("the peer reads");
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await.expect("an answer");
    }
    drop(stream);
    assert_eq!(server.await.expect("the server"), 20);
}

/// A thread that is none of the runtime's spawns and wakes at every moment of falling asleep and jumping: every task
/// runs, and none sees the clock move while it runs.
///
/// Mutant: a jump that asks neither who sleeps nor the park words.
#[test]
fn spawns_and_wakes_from_outside_are_neither_lost_nor_overtaken_while_they_run() {
    for workers in [1, 2, 4] {
        within(WATCHDOG, move || {
            let runtime = paused(workers);
            let end = Arc::new(AtomicBool::new(false));
            let ticking: Vec<_> = (1..4)
                .map(|nanos| {
                    runtime.spawn(impatient(Duration::from_nanos(nanos), Arc::clone(&end)))
                })
                .collect();
            let rounds = count("RINGWAY_TEST_STANDSTILL_WAKES", 2_000);
            for round in 0..rounds {
                let (wake, woken) = oneshot::channel();
                let (done, is_done) = mpsc::channel();
                runtime.spawn(async move {
                    let _ = woken.await;
                    let now = Instant::now();
                    for _ in 0..200 {
                        std::hint::spin_loop();
                    }
                    assert_eq!(Instant::now(), now, "the clock has moved while a task ran");
                    sleep(Duration::from_nanos(round as u64 % 3)).await;
                    done.send(()).expect("somebody waits");
                });
                spin(round % 97);
                wake.send(()).expect("it waits");
                is_done.recv().expect("it ran, and its clock has moved on");
            }
            end.store(true, Ordering::Relaxed);
            for task in ticking {
                runtime.block_on(task).expect("it ends");
            }
        });
    }
}

/// Readers on all workers, and one who writes to them and gives them no time at all.
///
/// Mutant: a worker that does not submit before it looks.
#[test]
fn what_was_sent_over_sockets_of_this_machine_has_arrived_before_time_passes() {
    const READERS: usize = 8;
    for workers in [2, 4] {
        within(WATCHDOG, move || {
            let runtime = paused(workers);
            let rounds = count("RINGWAY_TEST_STANDSTILL_SOCKETS", 200);
            runtime
                .block_on(runtime.spawn(async move {
                    let (tell, mut told) = mpsc_channel(READERS);
                    let mut writers: Vec<_> = (0..READERS)
                        .map(|_| {
                            let (writer, reader) = UnixStream::pair().expect("a pair");
                            ringway::spawn(read_all(reader, tell.clone()));
                            writer
                        })
                        .collect();
                    for _ in 0..rounds {
                        let start = Instant::now();
                        for writer in &mut writers {
                            writer.write_all(b"x").await.expect("it is read");
                        }
                        for _ in 0..READERS {
                            let told = timeout(Duration::from_nanos(1), told.recv()).await;
                            told.expect("time has passed").expect("readers are there");
                        }
                        assert_eq!(start.elapsed(), Duration::ZERO);
                        sleep(Duration::from_nanos(1)).await;
                    }
                }))
                .expect("in no time");
        });
    }
}

async fn read_all(mut reader: UnixStream, tell: Sender<()>) {
    // Long enough that other workers help, and each reader waits on the one that it came to.
    let start = std::time::Instant::now();
    while start.elapsed() < ms(1) {
        std::hint::spin_loop();
    }
    let mut byte = [0];
    while reader.read_exact(&mut byte).await.is_ok() {
        tell.send(()).await.expect("somebody listens");
    }
}

fn spin(times: usize) {
    for _ in 0..times * 50 {
        std::hint::spin_loop();
    }
}

#[test]
fn advance_fires_what_is_due_on_all_workers() {
    on_paused_workers(|| async {
        let fired = Arc::new(AtomicUsize::new(0));
        let waiting = Arc::new(AtomicUsize::new(0));
        // A job keeps the clock from moving by itself.
        let (finish, is_finished) = mpsc::channel::<()>();
        let job = spawn_blocking(move || is_finished.recv());
        let tasks: Vec<_> = (0..100)
            .map(|number| {
                let (fired, waiting) = (Arc::clone(&fired), Arc::clone(&waiting));
                ringway::spawn(async move {
                    let timer = sleep(ms(number % 2 * 1000 + 10));
                    waiting.fetch_add(1, Ordering::Relaxed);
                    timer.await;
                    fired.fetch_add(1, Ordering::Relaxed);
                })
            })
            .collect();
        while waiting.load(Ordering::Relaxed) < 100 {
            yield_now().await;
        }
        let start = Instant::now();
        advance(ms(10)).await;
        assert_eq!(start.elapsed(), ms(10));
        while fired.load(Ordering::Relaxed) < 50 {
            yield_now().await;
        }
        assert_eq!(start.elapsed(), ms(10), "nothing but `advance` moves it");
        advance(ms(1000)).await;
        while fired.load(Ordering::Relaxed) < 100 {
            yield_now().await;
        }
        drop(finish);
        job.await.expect("the job").expect_err("it was let go");
        for task in tasks {
            task.await.expect("its timer fired");
        }
    });
}

#[test]
fn a_clock_that_goes_on_wakes_sleepers_by_real_time_and_may_be_stopped_again() {
    on_paused_workers(|| async {
        let sleeper = ringway::spawn(async {
            sleep(Duration::from_secs(3600)).await;
            let start = std::time::Instant::now();
            time::resume();
            let others: Vec<_> = (0..8).map(|_| ringway::spawn(sleep(ms(20)))).collect();
            for other in others {
                other.await.expect("it wakes by real time");
            }
            assert!(start.elapsed() >= ms(20), "the clock runs");
            assert_eq!(panic_text(time::resume), "time is not frozen");
            time::pause();
            assert_eq!(panic_text(time::pause), "time is already frozen");
            let now = Instant::now();
            sleep(Duration::from_secs(3600)).await;
            assert_eq!(now.elapsed(), Duration::from_secs(3600));
        });
        sleeper.await.expect("the sleeper");
    });
}

/// A runtime that was not built for it keeps tokio's panic.
#[test]
fn only_a_runtime_that_was_built_with_its_clock_standing_can_be_paused() {
    let runtime = workers(2);
    let text = runtime.block_on(async { panic_text(time::pause) });
    assert_eq!(
        text,
        "`time::pause()` requires the `current_thread` Tokio runtime. \
         This is the default Runtime used by `#[tokio::test]."
    );
    runtime.block_on(async {
        assert_eq!(panic_text(time::resume), "time is not frozen");
    });
}

/// A thread that blocks for a future is at rest while that waits; one that blocks for anything else is not.
///
/// Mutants: a closure in place is no doing; a job that waits counts as busy; of one thread all doings count.
#[test]
fn threads_that_wait_for_a_future_do_not_keep_the_clock_from_moving_and_others_do() {
    on_paused_workers(|| async {
        let start = Instant::now();
        let timer = ringway::spawn(sleep(ms(1)));
        let in_place = ringway::spawn(async move {
            block_in_place(|| {
                std::thread::sleep(ms(20));
                assert_eq!(start.elapsed(), Duration::ZERO, "this thread is busy");
                Handle::current().block_on(async {
                    sleep(ms(10)).await;
                    block_in_place(|| Handle::current().block_on(sleep(ms(10))));
                });
            });
            assert_eq!(start.elapsed(), ms(20));
        });
        in_place.await.expect("it blocked in place");
        timer.await.expect("its timer fired");
        let job = spawn_blocking(move || {
            std::thread::sleep(ms(20));
            assert_eq!(start.elapsed(), ms(20), "this thread is busy");
            Handle::current().block_on(sleep(ms(5)));
            Handle::current().block_on(async { timeout(ms(5), std::future::pending::<()>()).await })
        });
        job.await.expect("the job").expect_err("it was too late");
        assert_eq!(start.elapsed(), ms(30));
    });
}

#[test]
fn roots_on_many_threads_sleep_together() {
    within(WATCHDOG, || {
        let runtime = paused(2);
        let handle = runtime.handle().clone();
        let start = {
            let _entered = handle.enter();
            Instant::now()
        };
        // As long as one root is not at rest, the clock stands.
        let begun = Arc::new(std::sync::Barrier::new(4));
        let threads: Vec<_> = (1..=4)
            .map(|number| {
                let (handle, begun) = (handle.clone(), Arc::clone(&begun));
                std::thread::spawn(move || {
                    handle.block_on(async {
                        begun.wait();
                        for _ in 0..50 {
                            sleep(ms(number)).await;
                        }
                        start.elapsed()
                    })
                })
            })
            .collect();
        for (number, thread) in (1..).zip(threads) {
            assert_eq!(thread.join().expect("its root"), ms(50 * number));
        }
        let local = LocalSet::new();
        runtime.block_on(local.run_until(async {
            let now = Instant::now();
            let task = ringway::task::spawn_local(sleep(ms(7)));
            task.await.expect("a local task");
            assert_eq!(now.elapsed(), ms(7));
        }));
    });
}

#[test]
fn queues_and_timeouts_are_exact() {
    on_paused_workers(|| async {
        let start = Instant::now();
        let mut queue = DelayQueue::new();
        for millis in [5, 1, 3] {
            queue.insert(millis, ms(millis));
        }
        while let Some(expired) = std::future::poll_fn(|cx| queue.poll_expired(cx)).await {
            assert_eq!(start.elapsed(), ms(expired.into_inner()));
        }
        timeout(ms(5), sleep(ms(6))).await.expect_err("too late");
        assert_eq!(start.elapsed(), ms(10));
    });
}

/// It may end with timers, jobs and roots around, like any other.
#[test]
fn a_runtime_whose_clock_stands_ends_like_any_other() {
    within(WATCHDOG, || {
        for _ in 0..50 {
            let runtime = paused(2);
            for _ in 0..10 {
                runtime.spawn(async {
                    loop {
                        sleep(ms(1)).await;
                    }
                });
            }
            runtime.spawn_blocking(|| ());
            let task = runtime.spawn(async { sleep(Duration::from_secs(1)).await });
            runtime.block_on(task).expect("it sleeps");
            drop(runtime);
        }
    });
}
