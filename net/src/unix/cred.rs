//! Who is at the other end.

use super::{gid_t, pid_t, uid_t};

/// The process at the other end of a Unix stream, as it was when it connected, listened or made the pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UCred {
    pub(crate) pid: Option<pid_t>,
    pub(crate) uid: uid_t,
    pub(crate) gid: gid_t,
}

impl UCred {
    /// Its effective user.
    pub fn uid(&self) -> uid_t {
        self.uid
    }

    /// Its effective group.
    pub fn gid(&self) -> gid_t {
        self.gid
    }

    /// Its number. Linux always knows it.
    pub fn pid(&self) -> Option<pid_t> {
        self.pid
    }
}
