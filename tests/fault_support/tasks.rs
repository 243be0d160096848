//! Scenarios of timers, tasks, signals and standard streams.

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use ringway::io::AsyncWriteExt;
use ringway::signal::unix::{SignalKind, signal};
use ringway::task::JoinSet;
use ringway::time::{interval, sleep, timeout};

use super::{Cut, cases, nothing};

cases![
    time_sleep,
    time_timeout,
    time_interval,
    join_handle,
    join_set,
    join_set_shutdown,
    blocking_job,
    signal_recv,
    stdout_flush,
];

const SHORT: Duration = Duration::from_micros(300);

async fn time_sleep(cut: &Cut) -> io::Result<()> {
    cut.at(sleep(SHORT), nothing).await;
    sleep(SHORT).await;
    Ok(())
}

async fn time_timeout(cut: &Cut) -> io::Result<()> {
    let never = poll_fn(|_| Poll::<()>::Pending);
    if let Some(done) = cut.at(timeout(SHORT, never), nothing).await {
        assert!(done.is_err());
    }
    Ok(())
}

async fn time_interval(cut: &Cut) -> io::Result<()> {
    let mut ticks = interval(SHORT);
    ticks.tick().await;
    cut.at(ticks.tick(), nothing).await;
    ticks.tick().await;
    Ok(())
}

async fn join_handle(cut: &Cut) -> io::Result<()> {
    let mut task = ringway::spawn(async {
        sleep(SHORT).await;
        7
    });
    let joined = match cut.at(&mut task, nothing).await {
        Some(joined) => joined,
        None => task.await,
    };
    assert_eq!(joined.expect("a task"), 7);
    Ok(())
}

async fn join_set(cut: &Cut) -> io::Result<()> {
    let mut set = JoinSet::new();
    for number in 0..3 {
        set.spawn(async move {
            sleep(number * SHORT).await;
            number
        });
    }
    let mut sum = 0;
    if let Some(joined) = cut.at(set.join_next(), nothing).await {
        sum += joined.expect("three tasks").expect("a task");
    }
    while let Some(joined) = set.join_next().await {
        sum += joined.expect("a task");
    }
    assert_eq!(sum, 3, "no output is lost");
    Ok(())
}

async fn join_set_shutdown(cut: &Cut) -> io::Result<()> {
    let mut set = JoinSet::new();
    for _ in 0..3 {
        set.spawn(sleep(Duration::from_secs(3600)));
    }
    cut.at(set.shutdown(), nothing).await;
    set.shutdown().await;
    assert!(set.is_empty());
    Ok(())
}

async fn blocking_job(cut: &Cut) -> io::Result<()> {
    let mut job = ringway::task::spawn_blocking(|| 7);
    let done = match cut.at(&mut job, nothing).await {
        Some(done) => done,
        None => job.await,
    };
    assert_eq!(done.expect("a job"), 7);
    Ok(())
}

async fn signal_recv(cut: &Cut) -> io::Result<()> {
    let mut signals = signal(SignalKind::user_defined2())?;
    let raise = || {
        let this = rustix::process::getpid();
        rustix::process::kill_process(this, rustix::process::Signal::USR2).expect("a signal");
    };
    if cut.at(signals.recv(), raise).await.is_none() {
        signals.recv().await.expect("signals do not end");
    }
    Ok(())
}

async fn stdout_flush(cut: &Cut) -> io::Result<()> {
    let mut out = ringway::io::stdout();
    let both = async {
        out.write_all(b"").await?;
        out.flush().await
    };
    cut.at(both, nothing).await.transpose()?;
    out.flush().await
}
