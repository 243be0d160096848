//! A process without room for descriptors: for tests that are alone in theirs.

use std::os::fd::AsRawFd;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Lets this process have no more descriptors than it has; returns the limit before.
pub(crate) fn fill_table() -> Rlimit {
    let next = std::fs::File::open("/dev/null").expect("a descriptor");
    let former = getrlimit(Resource::Nofile);
    let current = Some(next.as_raw_fd() as u64);
    setrlimit(Resource::Nofile, Rlimit { current, ..former }).expect("a lower limit");
    former
}

/// Undoes it.
pub(crate) fn make_room(former: Rlimit) {
    setrlimit(Resource::Nofile, former).expect("the former limit");
}
