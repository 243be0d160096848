//! The strands: small stories, each with an end.

use std::future::{Future, pending, poll_fn};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream as StdStream;
use std::pin::Pin;
use std::sync::{Arc, Mutex, mpsc as std_mpsc};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use ringway::fs;
use ringway::io::{AsyncReadExt, AsyncWriteExt};
use ringway::net::unix::pipe;
use ringway::net::{TcpListener, TcpStream, UnixStream};
use ringway::runtime::Handle;
use ringway::sync::{Notify, mpsc, oneshot};
use ringway::task::{JoinSet, block_in_place, spawn_blocking, yield_now};
use ringway::time::{Sleep, interval, sleep};

use crate::stage::{Dice, Scene, let_pass};

const HOUR: Duration = Duration::from_secs(3600);

type Begin = fn(&Arc<Scene>, Dice);

const STRANDS: [Begin; 18] = [
    yields,
    wakes_from_outside,
    questions_from_outside,
    ping_pong,
    sleeps,
    timers_that_others_move,
    timers_that_others_drop,
    ticks,
    jobs,
    blocks_in_place,
    streams,
    connections,
    pipes,
    waits_that_are_given_up,
    aborts,
    files,
    token,
    what_is_left,
];

/// Begins a strand.
pub(crate) fn begin(scene: &Arc<Scene>, dice: &mut Dice) {
    let own = dice.split();
    STRANDS[dice.below(STRANDS.len())](scene, own);
}

/// Runs `body` as a strand of that name.
fn run<F>(scene: &Arc<Scene>, name: &'static str, mut dice: Dice, body: impl FnOnce(Dice) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let strand = scene.begin(name);
    let body = body(dice.split());
    let whole = async {
        body.await;
        strand.done();
    };
    scene.place(&mut dice, Box::pin(whole));
}

/// Does something on a thread of its own.
fn outside(body: impl FnOnce() + Send + 'static) {
    thread::spawn(body);
}

/// A wait of any kind, of a thread.
fn rest(dice: &mut Dice) {
    match dice.below(8) {
        0 => thread::sleep(dice.moment()),
        1 => thread::yield_now(),
        2 => {}
        _ => let_pass(dice.moment()),
    }
}

fn yields(scene: &Arc<Scene>, dice: Dice) {
    run(scene, "a task that yields", dice, |mut dice| async move {
        for _ in 0..dice.below(200) {
            yield_now().await;
        }
    });
}

fn wakes_from_outside(scene: &Arc<Scene>, dice: Dice) {
    run(scene, "wakes from outside", dice, |mut dice| async move {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        outside(move || {
            for number in 0..dice.below(40) {
                rest(&mut dice);
                sender.send(number).expect("it waits for all");
            }
        });
        while receiver.recv().await.is_some() {}
    });
}

fn questions_from_outside(scene: &Arc<Scene>, dice: Dice) {
    run(
        scene,
        "questions from outside",
        dice,
        |mut dice| async move {
            let (question, mut questions) = mpsc::channel(1);
            let (answer, answers) = std_mpsc::channel();
            outside(move || {
                for number in 0..dice.below(40) {
                    rest(&mut dice);
                    question.blocking_send(number).expect("it waits for all");
                    assert_eq!(answers.recv(), Ok(number));
                }
            });
            while let Some(number) = questions.recv().await {
                answer.send(number).expect("it waits for the answer");
            }
        },
    );
}

fn ping_pong(scene: &Arc<Scene>, dice: Dice) {
    run(
        scene,
        "two tasks that ask each other",
        dice,
        |mut dice| async move {
            let (to, mut from) = mpsc::channel(1);
            let (answer, mut answers) = mpsc::channel(1);
            let partner = ringway::spawn(async move {
                while let Some(number) = from.recv().await {
                    answer.send(number).await.expect("it waits for the answer");
                }
            });
            for number in 0..dice.below(60) {
                to.send(number).await.expect("the partner lives");
                if dice.below(4) == 0 {
                    let_pass(dice.moment());
                }
                assert_eq!(answers.recv().await, Some(number));
            }
            drop(to);
            partner.await.expect("no panic");
        },
    );
}

fn sleeps(scene: &Arc<Scene>, dice: Dice) {
    run(scene, "timers", dice, |mut dice| async move {
        for _ in 0..dice.below(8) {
            sleep(Duration::from_micros(dice.below(2000) as u64)).await;
        }
    });
}

type Shared = Arc<Mutex<Pin<Box<Sleep>>>>;

fn poll_shared(timer: &Shared) -> impl Future<Output = ()> + use<> {
    let timer = Arc::clone(timer);
    poll_fn(move |cx| timer.lock().expect("no panic").as_mut().poll(cx))
}

fn timers_that_others_move(scene: &Arc<Scene>, dice: Dice) {
    run(
        scene,
        "timers that others move",
        dice,
        |mut dice| async move {
            for _ in 0..=dice.below(4) {
                let timer: Shared = Arc::new(Mutex::new(Box::pin(sleep(HOUR))));
                let (moved, mut other) = (Arc::clone(&timer), dice.split());
                let mut move_nearer = move || {
                    rest(&mut other);
                    for times in (0..=other.below(3)).rev() {
                        let left = Duration::from_micros(other.below(500) as u64);
                        let deadline = Instant::now() + left + times as u32 * 2 * left;
                        let mut timer = moved.lock().expect("no panic");
                        timer.as_mut().reset(deadline.into());
                    }
                };
                match dice.below(3) {
                    0 => outside(move_nearer),
                    1 => drop(spawn_blocking(move_nearer)),
                    _ => drop(ringway::spawn(async move { move_nearer() })),
                }
                poll_shared(&timer).await;
            }
        },
    );
}

fn timers_that_others_drop(scene: &Arc<Scene>, dice: Dice) {
    run(
        scene,
        "timers that others drop",
        dice,
        |mut dice| async move {
            let mut timers = Vec::new();
            for _ in 0..=dice.below(20) {
                let left = Duration::from_micros(dice.below(300) as u64);
                let far = dice.below(2) == 0;
                let mut timer = Box::pin(sleep(if far { HOUR } else { left }));
                poll_fn(|cx| Poll::Ready(timer.as_mut().poll(cx).is_ready())).await;
                timers.push(timer);
            }
            let (end, ended) = oneshot::channel();
            let place = dice.below(3);
            let drop_all = move || {
                for timer in timers {
                    if dice.below(4) == 0 {
                        rest(&mut dice);
                    }
                    drop(timer);
                }
                end.send(()).expect("it waits");
            };
            match place {
                0 => outside(drop_all),
                1 => drop(spawn_blocking(drop_all)),
                _ => drop(ringway::spawn(async move { drop_all() })),
            }
            ended.await.expect("told");
        },
    );
}

fn ticks(scene: &Arc<Scene>, dice: Dice) {
    run(scene, "an interval", dice, |mut dice| async move {
        let mut ticks = interval(Duration::from_micros(1 + dice.below(1000) as u64));
        for _ in 0..dice.below(8) {
            ticks.tick().await;
        }
    });
}

fn jobs(scene: &Arc<Scene>, dice: Dice) {
    run(scene, "jobs", dice, |mut dice| async move {
        for _ in 0..dice.below(6) {
            let mut jobs = JoinSet::new();
            for _ in 0..dice.below(4) {
                let mut other = dice.split();
                jobs.spawn_blocking(move || {
                    rest(&mut other);
                    if other.below(3) == 0 {
                        Handle::current().spawn_blocking(move || rest(&mut other));
                    }
                });
            }
            if dice.below(4) == 0 {
                let_pass(dice.moment());
            }
            while let Some(job) = jobs.join_next().await {
                job.expect("no panic");
            }
        }
    });
}

fn blocks_in_place(scene: &Arc<Scene>, dice: Dice) {
    if !scene.has_workers() {
        return;
    }
    run(
        scene,
        "tasks that block in place",
        dice,
        |mut dice| async move {
            for _ in 0..=dice.below(4) {
                block_in_place(|| match dice.below(4) {
                    0 => Handle::current().block_on(async { ringway::spawn(yield_now()).await }),
                    1 => Handle::current().block_on(async {
                        sleep(dice.moment()).await;
                        Ok(())
                    }),
                    _ => {
                        rest(&mut dice);
                        Ok(())
                    }
                })
                .expect("no panic");
                if dice.below(2) == 0 {
                    yield_now().await;
                }
            }
        },
    );
}

fn streams(scene: &Arc<Scene>, dice: Dice) {
    run(scene, "a stream", dice, |mut dice| async move {
        let (near, mut far) = StdStream::pair().expect("a pair");
        near.set_nonblocking(true).expect("an option");
        let mut near = UnixStream::from_std(near).expect("a stream");
        let answers = dice.below(2) == 0;
        outside(move || {
            for _ in 0..dice.below(30) {
                rest(&mut dice);
                far.write_all(&[7]).expect("it reads");
                if answers {
                    far.read_exact(&mut [0]).expect("it answers");
                }
            }
        });
        let mut bytes = [0; 16];
        while let Ok(1..) = near.read(&mut bytes).await {
            if answers {
                near.write_all(&[8]).await.expect("room");
            }
        }
    });
}

fn connections(scene: &Arc<Scene>, dice: Dice) {
    run(scene, "connections", dice, |mut dice| async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let connections = dice.below(4);
        let mut other = dice.split();
        outside(move || {
            for _ in 0..connections {
                rest(&mut other);
                let mut stream = std::net::TcpStream::connect(address).expect("a connection");
                rest(&mut other);
                stream.write_all(&[1; 100]).expect("room");
            }
        });
        for _ in 0..connections {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let read = async move { stream.read_to_end(&mut Vec::new()).await };
            assert_eq!(
                ringway::spawn(read).await.expect("no panic").ok(),
                Some(100)
            );
        }
        let stream = TcpStream::connect(address).await.expect("a connection");
        if dice.below(2) == 0 {
            listener.accept().await.expect("a connection");
        }
        drop((listener, stream));
    });
}

fn pipes(scene: &Arc<Scene>, dice: Dice) {
    run(scene, "a pipe", dice, |mut dice| async move {
        let (sender, mut receiver) = pipe::pipe().expect("a pipe");
        let sender = sender.into_blocking_fd().expect("a descriptor");
        outside(move || {
            let mut sender = std::fs::File::from(sender);
            for _ in 0..dice.below(30) {
                rest(&mut dice);
                sender.write_all(&[7]).expect("it reads");
            }
        });
        while let Ok(1..) = receiver.read(&mut [0; 16]).await {}
    });
}

fn waits_that_are_given_up(scene: &Arc<Scene>, dice: Dice) {
    run(
        scene,
        "waits that are given up",
        dice,
        |mut dice| async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let (mut near, _far) = UnixStream::pair().expect("a pair");
            for _ in 0..dice.below(12) {
                let left = dice.moment() * dice.below(8) as u32;
                let kind = dice.below(4);
                let wait = async {
                    match kind {
                        0 => pending().await,
                        1 => drop(listener.accept().await),
                        2 => drop(near.read(&mut [0]).await),
                        _ => drop(near.readable().await),
                    }
                };
                ringway::select! {
                    biased;
                    () = wait => unreachable!("nothing comes"),
                    () = sleep(left), if kind < 3 => {}
                    () = yield_now() => {}
                }
            }
        },
    );
}

fn aborts(scene: &Arc<Scene>, dice: Dice) {
    run(
        scene,
        "tasks that are aborted",
        dice,
        |mut dice| async move {
            let mut tasks = JoinSet::new();
            let (near, _far) = UnixStream::pair().expect("a pair");
            let near = Arc::new(near);
            let handles: Vec<_> = (0..dice.below(8))
                .map(|_| match dice.below(4) {
                    0 => tasks.spawn(pending()),
                    1 => tasks.spawn(sleep(HOUR)),
                    2 => {
                        let near = Arc::clone(&near);
                        tasks.spawn(async move { drop(near.readable().await) })
                    }
                    _ => tasks.spawn(async {
                        loop {
                            yield_now().await;
                        }
                    }),
                })
                .collect();
            outside(move || {
                for handle in handles {
                    rest(&mut dice);
                    handle.abort();
                }
            });
            while let Some(ended) = tasks.join_next().await {
                assert!(ended.expect_err("aborted").is_cancelled());
            }
        },
    );
}

fn files(scene: &Arc<Scene>, dice: Dice) {
    run(scene, "a file", dice, |mut dice| async move {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        for _ in 0..=dice.below(2) {
            fs::write(&path, vec![1; 10_000]).await.expect("room");
            assert_eq!(fs::read(&path).await.expect("a file").len(), 10_000);
        }
    });
}

fn token(scene: &Arc<Scene>, dice: Dice) {
    run(scene, "a token", dice, |mut dice| async move {
        const PLACES: usize = 3;
        let notifies: Arc<Vec<_>> = Arc::new((0..PLACES).map(|_| Notify::new()).collect());
        let rounds = dice.below(20);
        let tasks: Vec<_> = (0..PLACES)
            .map(|place| {
                let (notifies, mut dice) = (Arc::clone(&notifies), dice.split());
                ringway::spawn(async move {
                    for _ in 0..rounds {
                        notifies[place].notified().await;
                        if dice.below(8) == 0 {
                            let_pass(dice.moment());
                        }
                        notifies[(place + 1) % PLACES].notify_one();
                    }
                })
            })
            .collect();
        notifies[0].notify_one();
        for task in tasks {
            task.await.expect("no panic");
        }
    });
}

/// Streams in which there is something that nobody reads, tasks that wait for ever, timers in an hour.
fn what_is_left(scene: &Arc<Scene>, dice: Dice) {
    let keeper = Arc::clone(scene);
    run(scene, "what is left", dice, |mut dice| async move {
        let (near, mut far) = StdStream::pair().expect("a pair");
        near.set_nonblocking(true).expect("an option");
        let near = Arc::new(UnixStream::from_std(near).expect("a stream"));
        let mut other = dice.split();
        let (end, ended) = oneshot::channel();
        outside(move || {
            rest(&mut other);
            far.write_all(&[7]).expect("room");
            if other.below(2) == 0 {
                far.shutdown(Shutdown::Both).expect("it is connected");
            }
            end.send(far).expect("it waits");
        });
        let once = match dice.below(3) {
            0 => near.readable().await,
            1 => near.writable().await,
            _ => Ok(()),
        };
        once.expect("it is told");
        let reader = Arc::clone(&near);
        let forever = ringway::spawn(async move {
            match dice.below(3) {
                0 => sleep(HOUR).await,
                1 => drop(reader.readable().await),
                _ => {}
            }
            pending::<()>().await;
        });
        keeper.keep((near, ended.await, forever.abort_on_drop()));
    });
}
