//! Room for descriptors: a process may have a thousand unless it asks for more.

use std::io;

/// Descriptors beside those of connections: rings, pipes, standard streams.
const OTHERS: u64 = 256;

/// Lets this process, and those that it starts from now on, have so many connections.
///
/// # Panics
///
/// If the system's hard limit is below that.
pub fn make_room(connections: usize) {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is room for one `rlimit`, which is all that is written.
    checked(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) });
    let wanted = connections as u64 + OTHERS;
    if limit.rlim_cur >= wanted {
        return;
    }
    assert!(
        limit.rlim_max >= wanted,
        "{connections} connections need {wanted} descriptors, and the hard limit is {}",
        limit.rlim_max
    );
    limit.rlim_cur = wanted;
    // SAFETY: `limit` is one `rlimit`, which is read.
    checked(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) });
}

fn checked(result: libc::c_int) {
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::make_room;

    #[test]
    fn as_many_descriptors_as_asked_for_can_be_had() {
        make_room(1_500);
        let open: Result<Vec<File>, _> = (0..1_500).map(|_| File::open("/dev/null")).collect();
        assert_eq!(open.unwrap().len(), 1_500);
    }
}
