//! Standard input, output and error, each case in a process of its own, whose streams are pipes.
//!
//! Without an argument of ours this program runs the cases, each as a child which is told what to do.

use std::fs::File;
use std::future::Future;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use ringway::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, stderr, stdin, stdout};
use ringway::runtime::Runtime;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// How long a child may take for anything.
const PATIENCE: Duration = Duration::from_secs(20);
/// Names the part that a child plays.
const PART: &str = "RINGWAY_STDIO_PART";
/// More than a pipe holds, so that a writer has to wait for its reader.
const MUCH: usize = 300_000;

/// A case: its name, what the child's input is, the child's part and the parent's.
type Case = (&'static str, Input, fn(), fn(&mut Parent));

#[derive(Clone, Copy)]
enum Input {
    Pipe,
    Terminal,
}

const CASES: [Case; 8] = [
    (
        "lines_are_read_until_the_end_of_the_input",
        Input::Pipe,
        echo_lines,
        feed_lines,
    ),
    (
        "a_pending_read_holds_up_neither_the_runtimes_end_nor_the_processs",
        Input::Pipe,
        end_while_reading,
        keep_silent,
    ),
    (
        "what_a_dropped_read_asked_for_goes_to_the_next_reader",
        Input::Pipe,
        drop_a_read,
        feed_after_the_drop,
    ),
    (
        "what_a_blocking_read_left_in_the_buffer_is_read",
        Input::Pipe,
        read_the_first_line_blocking,
        feed_two_lines_at_once,
    ),
    (
        "what_was_reported_as_written_is_written_though_the_runtime_ends",
        Input::Pipe,
        write_and_end,
        read_much,
    ),
    (
        "a_flush_waits_for_a_slow_reader",
        Input::Pipe,
        flush_much,
        read_much_late,
    ),
    (
        "an_error_of_a_write_is_reported_by_the_flush",
        Input::Pipe,
        write_to_nobody,
        close_the_output,
    ),
    (
        "a_terminal_is_read_by_lines_and_holds_up_nothing",
        Input::Terminal,
        end_while_reading_a_second_line,
        type_one_line,
    ),
];

fn main() {
    if let Ok(part) = std::env::var(PART) {
        let (_, _, child, _) = CASES
            .iter()
            .find(|(name, ..)| *name == part)
            .expect("a part");
        return child();
    }
    let filter = std::env::args()
        .skip(1)
        .find(|it| !it.starts_with('-'))
        .unwrap_or_default();
    for (name, input, _, parent) in CASES.iter().filter(|(name, ..)| name.contains(&filter)) {
        let mut child = Parent::start(name, *input);
        parent(&mut child);
        child.finish();
        println!("test {name} ... ok");
    }
}

fn echo_lines() {
    Runtime::new().unwrap().block_on(async {
        let mut lines = BufReader::new(stdin()).lines();
        let mut out = stdout();
        while let Some(line) = lines.next_line().await.unwrap() {
            out.write_all(format!("<{line}>").as_bytes()).await.unwrap();
        }
        out.write_all(b"end").await.unwrap();
        out.flush().await.unwrap();
    });
}

fn feed_lines(parent: &mut Parent) {
    for line in ["one\n", "two\n", "three"] {
        parent.write(line);
        thread::sleep(Duration::from_millis(5));
    }
    parent.close_input();
    assert_eq!(parent.read_to_end(), "<one><two><three>end");
}

/// Mutant: the read is a job of the blocking pool.
fn end_while_reading() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let mut byte = [0];
        let mut input = stdin();
        let read = ringway::time::timeout(Duration::from_millis(50), input.read(&mut byte));
        assert!(read.await.is_err());
    });
    drop(runtime);
    println!("ended");
}

fn keep_silent(parent: &mut Parent) {
    assert_eq!(parent.read_to_end().trim(), "ended");
    parent.close_input();
}

/// Mutant: as above.
fn end_while_reading_a_second_line() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let mut lines = BufReader::new(stdin()).lines();
        println!("<{}>", lines.next_line().await.unwrap().unwrap());
        let second = ringway::time::timeout(Duration::from_millis(50), lines.next_line());
        assert!(second.await.is_err());
    });
    drop(runtime);
    println!("ended");
}

fn type_one_line(parent: &mut Parent) {
    parent.write("from a terminal\n");
    parent.read_line("<from a terminal>\n");
    assert_eq!(parent.read_to_end().trim(), "ended");
    parent.close_input();
}

/// Mutant: `hand_out` keeps the bytes only if somebody waits.
fn drop_a_read() {
    Runtime::new().unwrap().block_on(async {
        {
            let mut input = stdin();
            let mut read = pin!(async {
                let mut byte = [0; 16];
                input.read(&mut byte).await
            });
            let first = read.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(first.is_pending());
        }
        stdout().write_all(b"dropped\n").await.unwrap();
        wait_for_hang_up();
        let mut text = String::new();
        stdin().read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "after");
    });
}

/// Until the parent has closed the input.
fn wait_for_hang_up() {
    let input = std::io::stdin();
    let mut fds = [PollFd::new(&input, PollFlags::empty())];
    let patience = PATIENCE.try_into().unwrap();
    assert_eq!(rustix::event::poll(&mut fds, Some(&patience)), Ok(1));
}

fn feed_after_the_drop(parent: &mut Parent) {
    parent.read_line("dropped\n");
    parent.write("after");
    let begun = Instant::now();
    let input = parent.input.as_ref().expect("open");
    while rustix::io::ioctl_fionread(input) != Ok(0) {
        assert!(begun.elapsed() < PATIENCE, "nobody reads");
        thread::yield_now();
    }
    parent.close_input();
}

/// Mutant: the thread reads the descriptor and not the standard library's stream.
fn read_the_first_line_blocking() {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    assert_eq!(line, "one\n");
    let mut rest = String::new();
    Runtime::new()
        .unwrap()
        .block_on(async { stdin().read_to_string(&mut rest).await.unwrap() });
    assert_eq!(rest, "two\n");
}

fn feed_two_lines_at_once(parent: &mut Parent) {
    parent.write("one\ntwo\n");
    parent.close_input();
}

/// The pool's only thread is kept until the runtime's end has begun, so that the write has not been begun by then.
///
/// Mutant: the job is an ordinary one, and is cancelled.
fn write_and_end() {
    let runtime = ringway::runtime::Builder::new_current_thread()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let (end, ended) = mpsc::channel::<()>();
    runtime.spawn_blocking(move || {
        let _ = ended.recv();
        thread::sleep(Duration::from_millis(50));
    });
    runtime.block_on(async { stdout().write_all(&much()).await.unwrap() });
    let ending = thread::spawn(move || drop(runtime));
    drop(end);
    ending.join().unwrap();
    // What the standard library's line buffer holds.
    std::io::stdout().flush().unwrap();
}

fn read_much(parent: &mut Parent) {
    assert_eq!(parent.read_to_end().as_bytes(), much());
}

fn flush_much() {
    Runtime::new().unwrap().block_on(async {
        let mut out = stdout();
        out.write_all(&much()).await.unwrap();
        let flushing = Instant::now();
        out.flush().await.unwrap();
        stderr().write_all(b"flushed").await.unwrap();
        assert!(flushing.elapsed() >= LATE / 2, "the flush did not wait");
    });
}

/// How late the reader is.
const LATE: Duration = Duration::from_millis(200);

/// Mutant: the flush does not wait for the write.
fn read_much_late(parent: &mut Parent) {
    thread::sleep(LATE);
    assert_eq!(parent.read_to_end().as_bytes(), much());
}

/// Mutant: the result of a job is dropped.
fn write_to_nobody() {
    Runtime::new().unwrap().block_on(async {
        let mut byte = [0];
        assert_eq!(stdin().read(&mut byte).await.unwrap(), 0);
        let mut out = stdout();
        // A line, which the standard library does not keep back.
        out.write_all(b"nobody reads this\n").await.unwrap();
        let error = out.flush().await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    });
}

fn close_the_output(parent: &mut Parent) {
    drop(parent.child.stdout.take());
    parent.close_input();
}

fn much() -> Vec<u8> {
    (0..MUCH).map(|at| b'a' + (at % 26) as u8).collect()
}

/// The parent's end of a child's streams.
struct Parent {
    child: Child,
    /// Where the child's input comes from, until it is closed.
    input: Option<File>,
    name: &'static str,
}

impl Parent {
    fn start(name: &'static str, input: Input) -> Self {
        let (ours, theirs) = match input {
            Input::Pipe => pipe(),
            Input::Terminal => terminal(),
        };
        let child = Command::new(std::env::current_exe().unwrap())
            .env(PART, name)
            .stdin(theirs)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let input = Some(ours);
        Self { child, input, name }
    }

    fn write(&mut self, text: &str) {
        let input = self.input.as_mut().expect("open");
        input.write_all(text.as_bytes()).unwrap();
    }

    fn close_input(&mut self) {
        drop(self.input.take());
    }

    fn read_line(&mut self, expected: &str) {
        let mut line = vec![0; expected.len()];
        let output = self.child.stdout.as_mut().expect("open");
        output.read_exact(&mut line).unwrap();
        assert_eq!(line, expected.as_bytes());
    }

    /// Reads until the child has closed its output, within the time that it may take.
    fn read_to_end(&mut self) -> String {
        let mut output = self.child.stdout.take().expect("open");
        let (send, receive) = mpsc::channel();
        thread::spawn(move || {
            let mut text = String::new();
            output.read_to_string(&mut text).unwrap();
            let _ = send.send(text);
        });
        receive.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            let _ = self.child.kill();
            panic!("{}: the child does not come to its end", self.name)
        })
    }

    fn finish(mut self) {
        let begun = Instant::now();
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if begun.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(1)),
                None => {
                    let _ = self.child.kill();
                    panic!("{}: the child does not end", self.name)
                }
            }
        };
        let mut complaint = String::new();
        let mut errors = self.child.stderr.take().expect("open");
        errors.read_to_string(&mut complaint).unwrap();
        assert!(status.success(), "{}: {complaint}", self.name);
    }
}

/// Our end and the child's.
fn pipe() -> (File, Stdio) {
    let (read, write) = std::io::pipe().unwrap();
    (File::from(OwnedFd::from(write)), Stdio::from(read))
}

fn terminal() -> (File, Stdio) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let path = ptsname(&ours, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let theirs = rustix::fs::open(path, flags, Mode::empty()).unwrap();
    (File::from(ours), Stdio::from(theirs))
}
