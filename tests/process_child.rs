//! Child processes: how they are started, talked to, awaited and killed.

mod support;

use std::future::{Future, poll_fn};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ringway::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use ringway::process::{Child, ChildStdin, ChildStdout, Command};
use ringway::time::timeout;
use support::{WATCHDOG, current_thread, everywhere, panic_text, wait_until, within, workers};

/// A shell that runs `script`.
fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(script);
    command
}

/// Ends when its input does.
fn cat() -> Command {
    let mut command = Command::new("cat");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// Whether a process of this number is there, running or as a zombie.
fn is_there(id: u32) -> bool {
    std::fs::exists(format!("/proc/{id}")).expect("procfs")
}

#[test]
fn wait_says_how_the_child_has_ended_as_often_as_it_is_asked() {
    everywhere(|| async {
        let mut child = shell("exit 7").spawn().unwrap();
        let id = child.id().unwrap();
        assert!(is_there(id));
        for _ in 0..2 {
            assert_eq!(child.wait().await.unwrap().code(), Some(7));
            assert_eq!(child.id(), None);
        }
        assert_eq!(child.try_wait().unwrap().unwrap().code(), Some(7));
        assert!(!is_there(id));
        child.start_kill().unwrap();
        child.kill().await.unwrap();
    });
}

#[test]
fn the_status_tells_of_a_signal() {
    everywhere(|| async {
        let status = shell("kill -TERM $$").status().await.unwrap();
        assert_eq!(status.signal(), Some(libc::SIGTERM));
    });
}

#[test]
fn output_has_both_streams_and_the_status_however_much_there_is() {
    const BYTES: usize = 300_000;
    everywhere(|| async {
        let script = format!("head -c {BYTES} /dev/zero; head -c {BYTES} /dev/zero >&2; exit 3");
        let output = shell(&script).output().await.unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(output.stdout, vec![0; BYTES]);
        assert_eq!(output.stderr, vec![0; BYTES]);
    });
}

#[test]
fn what_is_written_to_a_child_comes_back() {
    everywhere(|| async {
        let mut child = cat().spawn().unwrap();
        let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut line = [0; 5];
        for _ in 0..3 {
            input.write_all(b"ahoi\n").await.unwrap();
            output.read_exact(&mut line).await.unwrap();
            assert_eq!(&line, b"ahoi\n");
        }
        drop(input);
        assert_eq!(output.read(&mut line).await.unwrap(), 0);
        assert!(child.wait().await.unwrap().success());
    });
}

/// Mutant: `wait` leaves `stdin` open.
#[test]
fn wait_closes_the_childs_input() {
    everywhere(|| async {
        let mut child = cat().stdout(Stdio::null()).spawn().unwrap();
        assert_eq!(child.try_wait().unwrap(), None);
        assert!(child.wait().await.unwrap().success());
        assert!(child.stdin.is_none());
    });
}

#[test]
fn kill_ends_a_child_and_reaps_it() {
    everywhere(|| async {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let id = child.id().unwrap();
        child.kill().await.unwrap();
        assert!(!is_there(id));
        assert_eq!(
            child.try_wait().unwrap().unwrap().signal(),
            Some(libc::SIGKILL)
        );
    });
}

/// Mutant: the operation is the future's, which is dropped, and the next `wait` takes an old answer for its own.
#[test]
fn a_wait_that_is_dropped_loses_nothing() {
    everywhere(|| async {
        let mut child = cat().spawn().unwrap();
        let input = child.stdin.take().unwrap();
        for _ in 0..100 {
            let waited = timeout(Duration::from_micros(50), child.wait()).await;
            assert!(waited.is_err(), "it still has its input");
        }
        for _ in 0..10 {
            let mut wait = pin!(child.wait());
            poll_fn(|cx| {
                assert!(wait.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
        }
        drop(input);
        assert!(child.wait().await.unwrap().success());
    });
}

#[test]
fn the_end_is_heard_of_while_the_task_waits_for_something_else() {
    everywhere(|| async {
        let mut child = cat().spawn().unwrap();
        let mut output = child.stdout.take().unwrap();
        let input = child.stdin.take().unwrap();
        let ticks = async {
            for _ in 0..20 {
                ringway::time::sleep(Duration::from_millis(1)).await;
            }
            drop(input);
            output.read_u8().await.unwrap_err()
        };
        let (status, error) = ringway::join!(child.wait(), ticks);
        assert!(status.unwrap().success());
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    });
}

#[test]
fn a_child_can_be_awaited_in_another_runtime_also_when_the_first_has_ended() {
    within(WATCHDOG, || {
        for first in [workers(2), current_thread()] {
            let (mut child, input) = first.block_on(async {
                let mut child = cat().spawn().unwrap();
                let input = child.stdin.take();
                // An operation of the first runtime's is on its way now.
                assert!(
                    timeout(Duration::from_millis(1), child.wait())
                        .await
                        .is_err()
                );
                (child, input)
            });
            let second = current_thread();
            let pending = second.block_on(async {
                timeout(Duration::from_millis(1), child.wait())
                    .await
                    .is_err()
            });
            assert!(pending);
            drop(first);
            drop(input);
            assert!(second.block_on(child.wait()).unwrap().success());
        }
    });
}

#[test]
fn wait_in_a_runtime_that_has_ended_fails_and_in_another_does_not() {
    within(WATCHDOG, || {
        let first = workers(1);
        let mut child = first.block_on(async { cat().spawn().unwrap() });
        let input = child.stdin.take();
        let handle = first.handle().clone();
        drop(first);
        let entered = handle.enter();
        let mut cx = Context::from_waker(Waker::noop());
        let polled = pin!(child.wait()).poll(&mut cx);
        assert!(
            matches!(polled, Poll::Ready(Err(error)) if ringway::runtime::is_rt_shutdown_err(&error))
        );
        drop(entered);
        drop(input);
        assert!(workers(1).block_on(child.wait()).unwrap().success());
    });
}

#[test]
fn a_child_that_another_has_reaped_is_an_error() {
    everywhere(|| async {
        let mut child = shell("exit 0").spawn().unwrap();
        let id = rustix::process::Pid::from_raw(child.id().unwrap() as i32).unwrap();
        rustix::process::waitpid(Some(id), rustix::process::WaitOptions::empty()).unwrap();
        let error = child.wait().await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ECHILD));
    });
}

#[test]
fn the_future_of_status_does_not_borrow_and_has_started_the_child() {
    everywhere(|| async {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let status = Command::new("touch").arg(&mark).status();
        wait_until("the child has run", || mark.exists());
        assert!(status.await.unwrap().success());
    });
}

#[test]
fn a_program_that_is_not_there_is_an_error_and_starts_nothing() {
    everywhere(|| async {
        let error = Command::new("/no/such/program").spawn().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
        assert!(Command::new("/no/such/program").output().await.is_err());
        assert!(Command::new("/no/such/program").status().await.is_err());
    });
}

#[test]
fn outside_of_a_runtime_no_child_is_started() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let text = panic_text(|| {
        let _ = Command::new("touch").arg(&mark).spawn();
    });
    assert_eq!(
        text,
        "there is no reactor running, must be called from the context of a Tokio 1.x runtime"
    );
    let runtime = ringway::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let text =
        panic_text(|| drop(runtime.block_on(async { Command::new("touch").arg(&mark).spawn() })));
    assert!(text.contains("IO is disabled"), "{text}");
    std::thread::sleep(Duration::from_millis(20));
    assert!(!mark.exists());
}

#[test]
fn the_child_has_what_the_command_says() {
    everywhere(|| async {
        let mut command = shell("echo $0 $A $B $C; pwd");
        command
            .arg("one")
            .env("A", "a")
            .envs([("B", "b"), ("C", "c")]);
        let output = command
            .env_remove("C")
            .current_dir("/")
            .output()
            .await
            .unwrap();
        // The shell's own `$0` is what follows the script.
        assert_eq!(output.stdout, b"one a b\n/\n");

        let output = Command::new("sh")
            .arg0("name")
            .args(["-c", "echo $0"])
            .output()
            .await
            .unwrap();
        assert_eq!(output.stdout, b"name\n");

        let output = Command::new("/usr/bin/env")
            .env_clear()
            .env("ONLY", "1")
            .output()
            .await
            .unwrap();
        assert_eq!(output.stdout, b"ONLY=1\n");
    });
}

#[test]
fn user_group_and_process_group_are_set() {
    everywhere(|| async {
        let (uid, gid) = (rustix::process::getuid(), rustix::process::getgid());
        let script = "id -u; id -g; cut -d' ' -f5 /proc/$$/stat; echo $$";
        let mut command = shell(script);
        command.uid(uid.as_raw()).gid(gid.as_raw()).process_group(0);
        let output = command.output().await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<u32> = text.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(lines[..2], [uid.as_raw(), gid.as_raw()]);
        assert_eq!(lines[2], lines[3], "it leads its group");
    });
}

#[test]
fn pre_exec_runs_in_the_child_and_its_error_is_that_of_spawn() {
    everywhere(|| async {
        let mut command = shell("umask");
        // SAFETY: umask(2) is async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o27));
                Ok(())
            })
        };
        assert_eq!(command.output().await.unwrap().stdout, b"0027\n");

        let mut command = shell("exit 0");
        // SAFETY: an error of a number allocates nothing.
        unsafe { command.pre_exec(|| Err(std::io::Error::from_raw_os_error(libc::EDOM))) };
        assert_eq!(
            command.spawn().unwrap_err().raw_os_error(),
            Some(libc::EDOM)
        );
    });
}

#[test]
fn std_commands_go_in_and_come_out() {
    everywhere(|| async {
        let mut std = std::process::Command::new("echo");
        std.arg("from std");
        let mut command = Command::from(std);
        assert_eq!(command.as_std().get_program(), "echo");
        command.as_std_mut().arg("and back");
        assert!(!command.get_kill_on_drop());
        assert!(command.kill_on_drop(true).get_kill_on_drop());
        command.stdout(Stdio::piped());
        let child = command.spawn_with(|std| std.spawn()).unwrap();
        let output = child.wait_with_output().await.unwrap();
        assert_eq!(output.stdout, b"from std and back\n");
        assert_eq!(command.into_std().get_args().count(), 2);
    });
}

#[test]
fn the_output_of_one_child_is_the_input_of_the_next() {
    everywhere(|| async {
        let mut first = Command::new("echo")
            .arg("abc")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let between: Stdio = first.stdout.take().unwrap().try_into().unwrap();
        let second = Command::new("tr")
            .args(["a-c", "x-z"])
            .stdin(between)
            .output()
            .await
            .unwrap();
        assert_eq!(second.stdout, b"xyz\n");
        assert!(first.wait().await.unwrap().success());
    });
}

#[test]
fn streams_are_taken_over_from_std_and_given_back_blocking() {
    everywhere(|| async {
        let mut command = std::process::Command::new("cat");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut input = ChildStdin::from_std(child.stdin.take().unwrap()).unwrap();
        let mut output = ChildStdout::from_std(child.stdout.take().unwrap()).unwrap();
        assert_eq!(output.as_fd().as_raw_fd(), output.as_raw_fd());
        assert!(is_nonblocking(&output));
        assert!(input.is_write_vectored());
        input.write_all(b"1").await.unwrap();
        assert_eq!(output.read_u8().await.unwrap(), b'1');
        let (input, output): (OwnedFd, OwnedFd) = (
            input.into_owned_fd().unwrap(),
            output.into_owned_fd().unwrap(),
        );
        assert!(!is_nonblocking(&input) && !is_nonblocking(&output));
        drop(input);
        assert!(child.wait().unwrap().success());
    });
}

fn is_nonblocking(fd: &impl AsFd) -> bool {
    rustix::fs::fcntl_getfl(fd)
        .unwrap()
        .contains(rustix::fs::OFlags::NONBLOCK)
}

#[test]
fn a_write_to_a_child_that_has_ended_is_an_error() {
    everywhere(|| async {
        let mut child = shell("exec 0<&-; exit 0")
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        assert!(child.wait().await.unwrap().success());
        let error = input.write_all(&[0; 100_000]).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    });
}

/// What it may have beside its streams is what the program that started the tests has left open for all.
///
/// Mutant: a descriptor is opened without close-on-exec.
#[test]
fn a_child_has_no_descriptor_of_ours() {
    everywhere(|| async {
        // Beside the rings and what else the runtime has open.
        let listener = ringway::net::TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap();
        let address = listener.local_addr().unwrap();
        let _client = ringway::net::TcpStream::connect(address).await.unwrap();
        let _accepted = listener.accept().await.unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        let _file = ringway::fs::File::open(file.path()).await.unwrap();
        let mut other = cat().kill_on_drop(true).spawn().unwrap();
        let input = other.stdin.take().unwrap();
        assert!(
            timeout(Duration::from_millis(1), other.wait())
                .await
                .is_err()
        );

        let mut list = Command::new("ls");
        list.args(["-l", "/proc/self/fd"]).stdin(Stdio::null());
        let text = String::from_utf8(list.output().await.unwrap().stdout).unwrap();
        let pipe = format!("pipe:[{}]", rustix::fs::fstat(&input).unwrap().st_ino);
        let ours = [
            "anon_inode:",
            "socket:",
            &pipe,
            file.path().to_str().unwrap(),
        ];
        for name in ours {
            assert!(!text.contains(name), "{name} in\n{text}");
        }
        assert!(text.contains("/dev/null"), "{text}");
    });
}

#[test]
fn many_children_at_once_are_all_awaited() {
    everywhere(|| async {
        let children: Vec<Child> = (0..50)
            .map(|code| shell(&format!("exit {code}")).spawn().unwrap())
            .collect();
        let tasks: Vec<_> = children
            .into_iter()
            .map(|mut child| ringway::spawn(async move { child.wait().await.unwrap() }))
            .collect();
        for (code, task) in tasks.into_iter().enumerate() {
            let status: ExitStatus = task.await.unwrap();
            assert_eq!(status.code(), Some(code as i32));
        }
    });
}
