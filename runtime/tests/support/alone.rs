//! Tests in a process of their own, under other variables: what the driver reads from the environment it reads once.

use std::process::Command;

/// Set in the process that was started for one test.
const MARK: &str = "RINGWAY_TEST_ALONE";

/// Runs `body` in a process whose environment has each of `environments` in turn; `test` is the name of the test that
/// calls this.
#[track_caller]
pub(crate) fn under(test: &str, environments: &[&[(&str, &str)]], body: impl FnOnce()) {
    if std::env::var_os(MARK).is_some() {
        return body();
    }
    let program = std::env::current_exe().expect("this test's program");
    for variables in environments {
        let mut command = Command::new(&program);
        command
            .args([test, "--exact", "--nocapture"])
            .env(MARK, "1");
        // What the whole run is under is none of this test's business: it is about the ring.
        for inherited in [TINY.0, OLD.0, "RINGWAY_FIRST_GENERATION"] {
            command.env_remove(inherited);
        }
        command.env("RINGWAY_DRIVER", "io_uring");
        command.envs(variables.iter().copied());
        let status = command.status().expect("another process");
        assert!(status.success(), "{variables:?}: {status}");
    }
}

/// Queues of 2 SQEs and 4 CQEs.
pub(crate) const TINY: (&str, &str) = ("RINGWAY_RING_ENTRIES", "2,4");
/// A kernel without the flags, the messages and the cancels that came later.
pub(crate) const OLD: (&str, &str) = ("RINGWAY_MASK", "5.15");
